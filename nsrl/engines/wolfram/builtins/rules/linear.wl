(* Matrices and arrays *)
ConjugateTranspose[m_?MatrixQ] := Conjugate[Transpose[m]]
Tr[m_?MatrixQ, f_] := f @@ Diagonal[m]
Det[m_?MatrixQ, Modulus -> p_Integer] := Mod[Det[m], p]
Inverse[m_?MatrixQ, Modulus -> p_Integer] := Mod[PowerMod[Det[m], -1, p] Adjugate[m], p]
Tr[v_?VectorQ, f_] := f @@ v
Norm[v_?VectorQ, p_Symbol] := Total[Abs[v]^p]^(1/p) /; p =!= Infinity
Norm[m_?MatrixQ, 1] := Max[Total[Abs[m]]]
Norm[m_?MatrixQ, Infinity] := Max[Map[Total, Abs[m]]]
Norm[m_?MatrixQ] := First[SingularValueList[m]] /; FreeQ[m, _Real] && Min[Dimensions[m]] <= 2
Normalize[v_, f_] := With[{n = f[v]}, If[n === 0, v, v/n]]
Eigenvectors[{{a_, b_}, {c_, d_}}] := Map[{Together[(# - d)/c], 1} &, Eigenvalues[{{a, b}, {c, d}}]] /; c =!= 0 &&
    FreeQ[{a, b, c, d}, _Real] && Not[MatchQ[Eigenvalues[{{a, b}, {c, d}}], {(_Integer | _Rational | _Complex) ..}]] &&
    Not[SameQ @@ Eigenvalues[{{a, b}, {c, d}}]]
Eigensystem[{{a_, b_}, {c_, d_}}] := {Eigenvalues[{{a, b}, {c, d}}], Eigenvectors[{{a, b}, {c, d}}]} /; c =!= 0 &&
    FreeQ[{a, b, c, d}, _Real] && FreeQ[Eigenvalues[{{a, b}, {c, d}}], Eigenvalues] && Not[MatchQ[Eigenvalues[{{a, b},
    {c, d}}], {(_Integer | _Rational | _Complex) ..}]] && Not[SameQ @@ Eigenvalues[{{a, b}, {c, d}}]]
Adjugate[m_?MatrixQ] := Table[(-1)^(i + j) If[Length[m] == 1, 1, Det[Drop[m, {j}, {i}]]], {i, Length[m]}, {j,
    Length[m]}] /; SquareMatrixQ[m]
LeastSquares[m_?MatrixQ, b_List] := LinearSolve[ConjugateTranspose[m] . m, ConjugateTranspose[m] . b] /;
    MatrixRank[m] == Length[First[m]]
MatrixExp[{{0, b_}, {c_, 0}}] := {{Cos[b], Sin[b]}, {-Sin[b], Cos[b]}} /; c === -b && Not[MatchQ[b,
    _Integer?Negative]] && b =!= 0
PseudoInverse[m_?MatrixQ] := ConjugateTranspose[m] /; MatrixRank[m] == 0
PseudoInverse[m_?MatrixQ] := Module[{r = MatrixRank[m], f, c, p}, If[r == Length[m] && r == Length[First[m]],
    Inverse[m], f = Take[RowReduce[m], r]; p = Map[FirstPosition[#, u_ /; u != 0][[1]] &, f]; c = m[[All, p]];
    ConjugateTranspose[f] . Inverse[f . ConjugateTranspose[f]] .
    Inverse[ConjugateTranspose[c] . c] . ConjugateTranspose[c]]]
HermitianMatrixQ[m_] := MatrixQ[m] && SquareMatrixQ[m] && ConjugateTranspose[m] === m
AntisymmetricMatrixQ[m_] := MatrixQ[m] && SquareMatrixQ[m] && Transpose[m] === -m
AntihermitianMatrixQ[m_] := MatrixQ[m] && SquareMatrixQ[m] && ConjugateTranspose[m] === -m
OrthogonalMatrixQ[m_] := MatrixQ[m] && TrueQ[Simplify[m . Transpose[m]] == IdentityMatrix[Length[m]]]
UnitaryMatrixQ[m_] := MatrixQ[m] && TrueQ[Simplify[m . ConjugateTranspose[m]] == IdentityMatrix[Length[m]]]
NormalMatrixQ[m_] := MatrixQ[m] && SquareMatrixQ[m] && TrueQ[m . ConjugateTranspose[m] == ConjugateTranspose[m] . m]
PositiveDefiniteMatrixQ[m_] := MatrixQ[m] && SquareMatrixQ[m] && With[{h = m + ConjugateTranspose[m]},
    AllTrue[Table[Det[Take[h, k, k]], {k, Length[m]}], TrueQ[# > 0] &]]
NegativeDefiniteMatrixQ[m_] := MatrixQ[m] && PositiveDefiniteMatrixQ[-m]
PositiveSemidefiniteMatrixQ[m_] := MatrixQ[m] && SquareMatrixQ[m] && With[{h = m + ConjugateTranspose[m]},
    AllTrue[Subsets[Range[Length[m]], {1, Length[m]}], TrueQ[Det[h[[#, #]]] >= 0] &]]
NegativeSemidefiniteMatrixQ[m_] := MatrixQ[m] && PositiveSemidefiniteMatrixQ[-m]
DiagonalMatrixQ[m_] := MatrixQ[m] && AllTrue[Flatten[Table[If[i == j, 0, m[[i, j]]], {i, Length[m]}, {j,
    Length[First[m]]}]], # == 0 &]
UpperTriangularMatrixQ[m_] := MatrixQ[m] && AllTrue[Flatten[Table[If[i <= j, 0, m[[i, j]]], {i, Length[m]}, {j,
    Length[First[m]]}]], # == 0 &]
LowerTriangularMatrixQ[m_] := MatrixQ[m] && AllTrue[Flatten[Table[If[i >= j, 0, m[[i, j]]], {i, Length[m]}, {j,
    Length[First[m]]}]], # == 0 &]
ArrayFlatten[a_List] := With[{h = Map[Max[Map[If[ListQ[#], Length[#], 1] &, #]] &, a], w = Map[Max[Map[If[ListQ[#],
    Length[First[#]], 1] &, #]] &, Transpose[a]]}, ArrayFlatten[Table[If[ListQ[a[[i, j]]], a[[i, j]],
    ConstantArray[a[[i, j]], {h[[i]], w[[j]]}]], {i, Length[h]}, {j, Length[w]}]]] /; AllTrue[a, ListQ] &&
    AnyTrue[Flatten[a, 1], Not[ListQ[#]] &]
QRDecomposition[m_?MatrixQ] := With[{q = Orthogonalize[Transpose[m]]}, {q, Simplify[q . m]}] /;
    MatrixRank[m] == Length[First[m]] && FreeQ[m, _Complex]
CholeskyDecomposition[m_?MatrixQ] := Module[{n = Length[m], u}, u = ConstantArray[0, {n, n}]; Do[Do[u[[i,
    j]] = If[i == j, Sqrt[m[[i, i]] - Sum[u[[k, i]]^2, {k, i - 1}]], Simplify[(m[[i, j]] - Sum[u[[k, i]] u[[k, j]], {k,
    i - 1}])/u[[i, i]]]], {j, i, n}], {i, n}]; u] /; SymmetricMatrixQ[m] && PositiveDefiniteMatrixQ[m]
SingularValueList[m_?MatrixQ] := Sqrt[DeleteCases[Eigenvalues[If[Length[m] <= Length[First[m]],
    m . ConjugateTranspose[m], ConjugateTranspose[m] . m]], 0]] /; FreeQ[m, _Real]
SingularValueList[m_?MatrixQ] := With[{e = Sort[Select[Re[Eigenvalues[ConjugateTranspose[m] . m]],
    # > 0.000000000001 &], Greater]}, Sqrt[e]]
Permanent[m_?MatrixQ] := Total[Map[Product[m[[i, #[[i]]]], {i, Length[m]}] &, Permutations[Range[Length[m]]]]] /;
    SquareMatrixQ[m] && Length[m] < 8
Normal[SparseArray[r : {(_Rule | _RuleDelayed) ...}]] := Normal[SparseArray[r, If[ListQ[r[[1, 1]]], Map[Max,
    Transpose[Map[First, r]]], Max[Map[First, r]]]]] /; AllTrue[r, MatchQ[First[#], _Integer | {_Integer ..}] &]
Normal[SparseArray[r_List, n_Integer]] := Normal[SparseArray[r, {n}, 0]]
Normal[SparseArray[r_List, d_List]] := Normal[SparseArray[r, d, 0]]
Normal[SparseArray[r : {(_Rule | _RuleDelayed) ...}, d_List, z_]] := Array[Replace[{##}, Append[Map[If[ListQ[First[#]],
    #, MapAt[List, #, 1]] &, r], _ -> z]] &, d]
Normal[SparseArray[m_List]] := m
