(* Functions and control *)
SetAttributes[ParallelTable, HoldAll]
Construct[f_, a___] := f[a]
Compose[f__, x_] := Fold[#2[#1] &, x, Reverse[{f}]]
Assert[True] := Null
Assert[True, _] := Null
ParallelMap[a__] := Map[a]
ParallelArray[a__] := Array[a]
ParallelTable[a__] := Table[a]
