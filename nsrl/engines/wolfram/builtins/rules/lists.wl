(* Lists and permutations *)
NumericalSort[l_List] := l[[Ordering[N[l]]]]
UniqueElements[l : {___List}] := MapIndexed[Function[{s, i}, With[{o = Catenate[Delete[l, i]]},
    DeleteCases[DeleteDuplicates[s], x_ /; MemberQ[o, x]]]], l]
ArrayRules[a_?ArrayQ] := Append[Map[# -> Extract[a, #] &, Position[a, x_ /; x =!= 0, {ArrayDepth[a]}, Heads -> False]],
    Table[_, {ArrayDepth[a]}] -> 0]
InversePermutation[p_List] := Ordering[p]
PermutationProduct[p_List, q_List] := q[[p]]
PermutationLength[p_List] := Count[MapIndexed[# == First[#2] &, p], False]
LexicographicSort[l : {___List}] := Sort[l, Function[{a, b}, With[{n = Min[Length[a], Length[b]]},
    With[{o = SelectFirst[Table[Order[a[[i]], b[[i]]], {i, n}], # != 0 &, Order[Length[a], Length[b]]]}, o >= 0]]]]
FindRepeat[l_List] := With[{d = SelectFirst[Divisors[Length[l]], Function[k, Length[DeleteDuplicates[Partition[l,
    k]]] == 1]]}, Take[l, d]] /; l =!= {}
Subsequences[l_List] := Prepend[Catenate[Table[Partition[l, k, 1], {k, Length[l]}]], {}]
Subsequences[l_List, {n_Integer}] := Partition[l, n, 1]
