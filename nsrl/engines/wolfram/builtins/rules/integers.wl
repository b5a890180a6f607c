(* Integers and their bits *)
SetAttributes[{BitClear, BitFlip, BitGet, BitSet, CarmichaelLambda, Hyperfactorial, MixedFractionParts,
    PolygonalNumber}, Listable]
BitGet[n_Integer, k_Integer] := BitAnd[BitShiftRight[n, k], 1] /; k >= 0
BitSet[n_Integer, k_Integer] := BitOr[n, 2^k] /; k >= 0
BitClear[n_Integer, k_Integer] := n - 2^k BitAnd[BitShiftRight[n, k], 1] /; k >= 0
BitFlip[n_Integer, k_Integer] := BitXor[n, 2^k] /; k >= 0
CarmichaelLambda[1] := 1
CarmichaelLambda[n_Integer] := LCM @@ Map[If[First[#] == 2 && Last[#] > 2, 2^(Last[#] - 2),
    EulerPhi[First[#]^Last[#]]] &, FactorInteger[n]] /; n > 1
MixedFractionParts[x_?NumericQ] := {IntegerPart[x], FractionalPart[x]}
MantissaExponent[x_?NumericQ] := With[{e = Floor[Log10[Abs[x]]] + 1},
    {If[Head[x] === Real, N[Rationalize[x, 0]/10^e], x/10^e], e}] /; x != 0
Hyperfactorial[n_Integer] := Product[k^k, {k, n}] /; 0 <= n <= 2000
BarnesG[0] := 0
BarnesG[n_Integer] := Product[k!, {k, 0, n - 2}] /; 0 < n <= 2000
AlternatingFactorial[n_Integer] := Sum[(-1)^(n - i) i!, {i, n}] /; 0 <= n <= 2000
FareySequence[n_Integer] := Union[Flatten[Table[i/j, {j, n}, {i, 0, j}]]] /; n > 0
PolygonalNumber[n_] := n (1 + n)/2
PolygonalNumber[r_, n_] := n ((n - 1) (r - 2) + 2)/2
