(* Special functions *)
SetAttributes[{Sinc, RealSign}, {Listable, NumericFunction}]
FunctionExpand[e_] := e /; Complement[Cases[{e}, h_[___] :> h, {1, Infinity}], {Plus, Times, Power, List}] === {}
Sinc[0] := 1
Sinc[x_?NumericQ] := Sin[x]/x
RealSign[x_] := Sign[x]
LogGamma[n_Integer] := Log[(n - 1)!] /; 0 < n <= 2000
