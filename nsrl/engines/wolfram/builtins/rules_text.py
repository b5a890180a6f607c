"""The rules of builtins/defined.py as text: lhs := rhs, one per line; a condition is written rhs /; test."""

ATTRIBUTES = {"Assuming": "HoldRest"}

RULES = r"""
ExpandNumerator[e_] := Expand[Numerator[e]]/Denominator[e]
ExpandDenominator[e_] := Numerator[e]/Expand[Denominator[e]]
Expand[e_Times, x_Symbol] := Expand[e /. u_ /; Not[AtomQ[u]] && FreeQ[u, x] -> Hold[u]] /. Hold[u_] -> u /; FreeQ[e, _Hold] && MemberQ[e, _Plus?(FreeQ[#, x] &) | (_Plus?(FreeQ[#, x] &)^_)]
FactorTermsList[p_] := With[{l = FactorTerms[p]}, If[MatchQ[l, _Integer _Plus | _Rational _Plus], List @@ l, {1, l}]] /; PolynomialQ[p, Variables[p]]
FromCoefficientRules[r_List, v_List] := Total[Map[Last[#] (Times @@ (v^First[#])) &, r]]
FromCoefficientRules[r_List, v_Symbol] := Total[Map[Last[#] v^First[First[#]] &, r]]
MonomialList[p_] := MonomialList[p, Variables[p]]
MonomialList[p_, v_List] := Map[Last[#] (Times @@ (v^First[#])) &, CoefficientRules[p, v]]
MonomialList[p_, v_Symbol] := MonomialList[p, {v}]
SymmetricPolynomial[k_Integer, v_List] := Total[Apply[Times, Subsets[v, {k}], {1}]] /; 0 <= k <= Length[v]
IrreduciblePolynomialQ[p_] := With[{l = Select[FactorList[p], Not[NumericQ[First[#]]] &]}, Length[l] == 1 && l[[1, 2]] == 1]
CoefficientArrays[p_List, v_List] := With[{q = Map[If[Head[#] === Equal, First[#] - Last[#], #] &, p]}, {q /. Map[# -> 0 &, v], Table[Coefficient[e, u], {e, q}, {u, v}]}] /; AllTrue[p, Max[Exponent[If[Head[#] === Equal, First[#] - Last[#], #], v]] <= 1 &]
Solve[e_Equal, x_Symbol, Modulus -> p_Integer] := Map[{x -> #} &, Select[Range[0, p - 1], Mod[(e[[1]] - e[[2]]) /. x -> #, p] == 0 &]] /; 1 < p < 2000 && PolynomialQ[e[[1]] - e[[2]], x]
Reduce[And[a__, Element[x_, Integers]], x_] := Reduce[And[a], x, Integers]
Reduce[And[Element[x_, Integers], a__], x_] := Reduce[And[a], x, Integers]
PolynomialGCD[a_, b_] := Factor[PolynomialGCD[Expand[a], Expand[b]]] /; AllTrue[{a, b}, Head[#] === Times &] && Expand[a] =!= a && Expand[b] =!= b
SolveAlways[e_Equal, x_Symbol] := With[{c = DeleteCases[CoefficientList[e[[1]] - e[[2]], x], 0]}, Solve[Map[# == 0 &, c], Variables[c]]]
Product[1 - 1/k_^2, {k_Symbol, 2, Infinity}] := 1/2
ToRules[False] := Sequence[]
ToRules[True] := {}
ToRules[e_Or] := Sequence @@ Map[ToRules, List @@ e]
ToRules[e_And] := Map[Rule @@ # &, List @@ e] /; AllTrue[List @@ e, Head[#] === Equal &]
ToRules[x_ == v_] := {x -> v}
Resolve[Exists[x_Symbol, c_], d___] := With[{r = Reduce[c, x, d]}, r =!= False /; FreeQ[r, Reduce] && Complement[Cases[c, _Symbol?(Not[NumericQ[#]] &), {1, Infinity}], {x}] === {}]
Resolve[ForAll[x_Symbol, c_], d___] := With[{r = Reduce[Not[c], x, d]}, r === False /; FreeQ[r, Reduce] && Complement[Cases[c, _Symbol?(Not[NumericQ[#]] &), {1, Infinity}], {x}] === {}]
Assuming[a_, b_] := ReleaseHold[Hold[b] /. {(h : Simplify | FullSimplify | Refine)[e_] :> h[e, a], Integrate[e__] :> Integrate[e, Assumptions -> a], Limit[e__] :> Limit[e, Assumptions -> a]}]
D[f_, {v_List, n_Integer}] := Nest[D[#, {v}] &, f, n]
Dt[c_?NumericQ] := 0
Dt[f_] := Total[Map[D[f, #] Dt[#] &, Union[Cases[f, _Symbol?(Not[NumericQ[#]] &), {1, Infinity}]]]] /; Not[AtomQ[f]]
Integrate[1/(a_Symbol^2 + x_^2), x_Symbol] := ArcTan[x/a]/a /; a =!= x
Integrate[1/Sqrt[a_Symbol^2 - x_^2], x_Symbol] := ArcTan[x/Sqrt[a^2 - x^2]] /; a =!= x
Integrate[1/(1 - x_^2), x_Symbol] := -Log[1 - x]/2 + Log[1 + x]/2
Integrate[1/(c_Integer + x_^2), x_Symbol] := With[{r = Sqrt[-c]}, Log[r - x]/(2 r) - Log[r + x]/(2 r)] /; c < 0 && IntegerQ[Sqrt[-c]]
Sum[x_Symbol^k_, {k_Symbol, 0, Infinity}] := 1/(1 - x) /; x =!= k
Solve[c : (_Less | _LessEqual | _Inequality | _Greater | _GreaterEqual), x_Symbol, Integers] := With[{r = Reduce[c, x, Integers]}, Which[r === False, {}, Head[r] === Or, Map[{x -> Last[#]} &, List @@ r], True, {{x -> Last[r]}}] /; r === False || Head[r] === Equal || (Head[r] === Or && AllTrue[List @@ r, Head[#] === Equal &])]
Integrate[Derivative[1][f_][x_], x_Symbol] := f[x]
Integrate[Derivative[n_Integer][f_][x_], x_Symbol] := Derivative[n - 1][f][x]
Series[f_Symbol[x_], {x_Symbol, a_, n_Integer}] := SeriesData[x, a, Table[If[k == 0, f[a], Derivative[k][f][a]/k!], {k, 0, n}], 0, n + 1, 1] /; Attributes[f] === {} && FreeQ[a, x]
Root[f_Function, k_Integer] := With[{p = f[x]}, SolveValues[p == 0, x][[k]] /; PolynomialQ[p, x] && Exponent[p, x] <= 2 && 1 <= k <= Exponent[p, x]]
ToRadicals[e_] := e /; FreeQ[e, Root]
Root[f_Function, k_Integer] := With[{p = Expand[f[Slot[1]]]}, Root[Function[p], k, 0]] /; PolynomialQ[f[x], x] && Exponent[f[x], x] > 2
Wronskian[f_List, x_Symbol] := Simplify[Det[Table[D[f, {x, k}], {k, 0, Length[f] - 1}]]]
PadeApproximant[f_, {x_Symbol, a_, n_Integer}] := PadeApproximant[f, {x, a, {n, n}}]
PadeApproximant[f_, {x_Symbol, 0, {m_Integer, n_Integer}}] := Module[{c = Table[SeriesCoefficient[f, {x, 0, k}], {k, 0, m + n}], q, g}, g = If[# < 0, 0, c[[# + 1]]] &; q = If[n == 0, {}, LinearSolve[Table[g[m + i - j], {i, n}, {j, n}], Table[-g[m + i], {i, n}]]]; q = Prepend[q, 1]; Sum[Sum[g[k - j] q[[j + 1]], {j, 0, Min[k, n]}] x^k, {k, 0, m}]/Sum[q[[j + 1]] x^j, {j, 0, n}]]
FunctionDomain[f_, x_Symbol] := With[{c = Join[Cases[{f}, Power[b_, e_Rational] /; EvenQ[Denominator[e]] && e > 0 && Not[FreeQ[b, x]] :> b >= 0, Infinity], Cases[{f}, Power[b_, e_Rational] /; EvenQ[Denominator[e]] && e < 0 && Not[FreeQ[b, x]] :> b > 0, Infinity], Cases[{f}, Power[b_, e_Integer] /; e < 0 && Not[FreeQ[b, x]] :> b != 0, Infinity], Cases[{f}, Log[b_] /; Not[FreeQ[b, x]] :> b > 0, Infinity]]}, If[c === {}, True, Reduce[And @@ (c /. (b_ != 0) :> (b < 0 || b > 0)), x, Reals]] /; FreeQ[f, Tan | Sec | Csc | Cot | ArcSin | ArcCos]]
LaplaceTransform[c_, t_Symbol, s_] := c/s /; FreeQ[c, t]
LaplaceTransform[f_Plus, t_Symbol, s_] := Map[LaplaceTransform[#, t, s] &, f]
LaplaceTransform[c_ f_, t_Symbol, s_] := c LaplaceTransform[f, t, s] /; FreeQ[c, t]
LaplaceTransform[t_^n_., t_Symbol, s_] := If[IntegerQ[n], n!, Gamma[1 + n]]/s^(n + 1) /; FreeQ[n, t]
LaplaceTransform[E^(a_. t_), t_Symbol, s_] := 1/(s - a) /; FreeQ[a, t]
LaplaceTransform[Sin[a_. t_], t_Symbol, s_] := a/(a^2 + s^2) /; FreeQ[a, t]
LaplaceTransform[Cos[a_. t_], t_Symbol, s_] := s/(a^2 + s^2) /; FreeQ[a, t]
LaplaceTransform[Sinh[a_. t_], t_Symbol, s_] := a/(-a^2 + s^2) /; FreeQ[a, t]
LaplaceTransform[Cosh[a_. t_], t_Symbol, s_] := s/(-a^2 + s^2) /; FreeQ[a, t]
LaplaceTransform[t_^n_Integer f_, t_Symbol, s_] := Factor[(-1)^n D[LaplaceTransform[f, t, s], {s, n}]] /; n > 0 && AtomQ[s]
LaplaceTransform[t_ f_, t_Symbol, s_] := Factor[-D[LaplaceTransform[f, t, s], s]] /; AtomQ[s]
LaplaceTransform[E^(a_. t_) f_, t_Symbol, s_] := (LaplaceTransform[f, t, s] /. s -> s - a) /; FreeQ[a, t] && AtomQ[s]
InverseLaplaceTransform[c_ f_, s_Symbol, t_] := c InverseLaplaceTransform[f, s, t] /; FreeQ[c, s]
InverseLaplaceTransform[f_Plus, s_Symbol, t_] := Map[InverseLaplaceTransform[#, s, t] &, f]
InverseLaplaceTransform[s_^n_Integer, s_Symbol, t_] := t^(-n - 1)/(-n - 1)! /; n < 0
InverseLaplaceTransform[1/(s_ + a_), s_Symbol, t_] := E^(-a t) /; FreeQ[a, s]
InverseLaplaceTransform[(s_ + a_)^n_Integer, s_Symbol, t_] := t^(-n - 1) E^(-a t)/(-n - 1)! /; FreeQ[a, s] && n < 0
InverseLaplaceTransform[1/(s_^2 + a_), s_Symbol, t_] := Sin[Sqrt[a] t]/Sqrt[a] /; NumericQ[a] && a > 0
InverseLaplaceTransform[s_/(s_^2 + a_), s_Symbol, t_] := Cos[Sqrt[a] t] /; NumericQ[a] && a > 0
InverseLaplaceTransform[1/(s_^2 + a_Symbol^2), s_Symbol, t_] := Sin[a t]/a
InverseLaplaceTransform[s_/(s_^2 + a_Symbol^2), s_Symbol, t_] := Cos[a t]
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
Eigenvectors[{{a_, b_}, {c_, d_}}] := Map[{Together[(# - d)/c], 1} &, Eigenvalues[{{a, b}, {c, d}}]] /; c =!= 0 && FreeQ[{a, b, c, d}, _Real] && Not[MatchQ[Eigenvalues[{{a, b}, {c, d}}], {(_Integer | _Rational | _Complex) ..}]] && Not[SameQ @@ Eigenvalues[{{a, b}, {c, d}}]]
Eigensystem[{{a_, b_}, {c_, d_}}] := {Eigenvalues[{{a, b}, {c, d}}], Eigenvectors[{{a, b}, {c, d}}]} /; c =!= 0 && FreeQ[{a, b, c, d}, _Real] && FreeQ[Eigenvalues[{{a, b}, {c, d}}], Eigenvalues] && Not[MatchQ[Eigenvalues[{{a, b}, {c, d}}], {(_Integer | _Rational | _Complex) ..}]] && Not[SameQ @@ Eigenvalues[{{a, b}, {c, d}}]]
Adjugate[m_?MatrixQ] := Table[(-1)^(i + j) If[Length[m] == 1, 1, Det[Drop[m, {j}, {i}]]], {i, Length[m]}, {j, Length[m]}] /; SquareMatrixQ[m]
LeastSquares[m_?MatrixQ, b_List] := LinearSolve[ConjugateTranspose[m] . m, ConjugateTranspose[m] . b] /; MatrixRank[m] == Length[First[m]]
MatrixExp[{{0, b_}, {c_, 0}}] := {{Cos[b], Sin[b]}, {-Sin[b], Cos[b]}} /; c === -b && Not[MatchQ[b, _Integer?Negative]] && b =!= 0
PseudoInverse[m_?MatrixQ] := ConjugateTranspose[m] /; MatrixRank[m] == 0
PseudoInverse[m_?MatrixQ] := Module[{r = MatrixRank[m], f, c, p}, If[r == Length[m] && r == Length[First[m]], Inverse[m], f = Take[RowReduce[m], r]; p = Map[FirstPosition[#, u_ /; u != 0][[1]] &, f]; c = m[[All, p]]; ConjugateTranspose[f] . Inverse[f . ConjugateTranspose[f]] . Inverse[ConjugateTranspose[c] . c] . ConjugateTranspose[c]]]
HermitianMatrixQ[m_] := MatrixQ[m] && SquareMatrixQ[m] && ConjugateTranspose[m] === m
AntisymmetricMatrixQ[m_] := MatrixQ[m] && SquareMatrixQ[m] && Transpose[m] === -m
AntihermitianMatrixQ[m_] := MatrixQ[m] && SquareMatrixQ[m] && ConjugateTranspose[m] === -m
OrthogonalMatrixQ[m_] := MatrixQ[m] && TrueQ[Simplify[m . Transpose[m]] == IdentityMatrix[Length[m]]]
UnitaryMatrixQ[m_] := MatrixQ[m] && TrueQ[Simplify[m . ConjugateTranspose[m]] == IdentityMatrix[Length[m]]]
NormalMatrixQ[m_] := MatrixQ[m] && SquareMatrixQ[m] && TrueQ[m . ConjugateTranspose[m] == ConjugateTranspose[m] . m]
PositiveDefiniteMatrixQ[m_] := MatrixQ[m] && SquareMatrixQ[m] && With[{h = m + ConjugateTranspose[m]}, AllTrue[Table[Det[Take[h, k, k]], {k, Length[m]}], TrueQ[# > 0] &]]
NegativeDefiniteMatrixQ[m_] := MatrixQ[m] && PositiveDefiniteMatrixQ[-m]
PositiveSemidefiniteMatrixQ[m_] := MatrixQ[m] && SquareMatrixQ[m] && With[{h = m + ConjugateTranspose[m]}, AllTrue[Subsets[Range[Length[m]], {1, Length[m]}], TrueQ[Det[h[[#, #]]] >= 0] &]]
NegativeSemidefiniteMatrixQ[m_] := MatrixQ[m] && PositiveSemidefiniteMatrixQ[-m]
DiagonalMatrixQ[m_] := MatrixQ[m] && AllTrue[Flatten[Table[If[i == j, 0, m[[i, j]]], {i, Length[m]}, {j, Length[First[m]]}]], # == 0 &]
UpperTriangularMatrixQ[m_] := MatrixQ[m] && AllTrue[Flatten[Table[If[i <= j, 0, m[[i, j]]], {i, Length[m]}, {j, Length[First[m]]}]], # == 0 &]
LowerTriangularMatrixQ[m_] := MatrixQ[m] && AllTrue[Flatten[Table[If[i >= j, 0, m[[i, j]]], {i, Length[m]}, {j, Length[First[m]]}]], # == 0 &]
ArrayFlatten[a_List] := With[{h = Map[Max[Map[If[ListQ[#], Length[#], 1] &, #]] &, a], w = Map[Max[Map[If[ListQ[#], Length[First[#]], 1] &, #]] &, Transpose[a]]}, ArrayFlatten[Table[If[ListQ[a[[i, j]]], a[[i, j]], ConstantArray[a[[i, j]], {h[[i]], w[[j]]}]], {i, Length[h]}, {j, Length[w]}]]] /; AllTrue[a, ListQ] && AnyTrue[Flatten[a, 1], Not[ListQ[#]] &]
QRDecomposition[m_?MatrixQ] := With[{q = Orthogonalize[Transpose[m]]}, {q, Simplify[q . m]}] /; MatrixRank[m] == Length[First[m]] && FreeQ[m, _Complex]
CholeskyDecomposition[m_?MatrixQ] := Module[{n = Length[m], u}, u = ConstantArray[0, {n, n}]; Do[Do[u[[i, j]] = If[i == j, Sqrt[m[[i, i]] - Sum[u[[k, i]]^2, {k, i - 1}]], Simplify[(m[[i, j]] - Sum[u[[k, i]] u[[k, j]], {k, i - 1}])/u[[i, i]]]], {j, i, n}], {i, n}]; u] /; SymmetricMatrixQ[m] && PositiveDefiniteMatrixQ[m]
SingularValueList[m_?MatrixQ] := Sqrt[DeleteCases[Eigenvalues[If[Length[m] <= Length[First[m]], m . ConjugateTranspose[m], ConjugateTranspose[m] . m]], 0]] /; FreeQ[m, _Real]
SingularValueList[m_?MatrixQ] := With[{e = Sort[Select[Re[Eigenvalues[ConjugateTranspose[m] . m]], # > 0.000000000001 &], Greater]}, Sqrt[e]]
Permanent[m_?MatrixQ] := Total[Map[Product[m[[i, #[[i]]]], {i, Length[m]}] &, Permutations[Range[Length[m]]]]] /; SquareMatrixQ[m] && Length[m] < 8
Normal[SparseArray[r : {(_Rule | _RuleDelayed) ...}]] := Normal[SparseArray[r, If[ListQ[r[[1, 1]]], Map[Max, Transpose[Map[First, r]]], Max[Map[First, r]]]]] /; AllTrue[r, MatchQ[First[#], _Integer | {_Integer ..}] &]
Normal[SparseArray[r_List, n_Integer]] := Normal[SparseArray[r, {n}, 0]]
Normal[SparseArray[r_List, d_List]] := Normal[SparseArray[r, d, 0]]
Normal[SparseArray[r : {(_Rule | _RuleDelayed) ...}, d_List, z_]] := Array[Replace[{##}, Append[Map[If[ListQ[First[#]], #, MapAt[List, #, 1]] &, r], _ -> z]] &, d]
Normal[SparseArray[m_List]] := m
CosineDistance[u_?VectorQ, v_?VectorQ] := 1 - u . Conjugate[v]/(Norm[u] Norm[v])
CanberraDistance[u_?VectorQ, v_?VectorQ] := Total[Abs[u - v]/(Abs[u] + Abs[v])]
BrayCurtisDistance[u_?VectorQ, v_?VectorQ] := Total[Abs[u - v]]/Total[Abs[u + v]]
CorrelationDistance[u_?VectorQ, v_?VectorQ] := 1 - Correlation[u, v]
RegionMeasure[Interval[{a_, b_}]] := b - a
RegionBounds[(Disk | Circle)[]] := {{-1, 1}, {-1, 1}}
RegionBounds[(Ball | Sphere)[]] := {{-1, 1}, {-1, 1}, {-1, 1}}
RegionBounds[(Disk | Circle | Ball | Sphere)[c_List]] := Map[{# - 1, # + 1} &, c]
RegionBounds[(Disk | Circle)[c_List, r_List]] := MapThread[{#1 - #2, #1 + #2} &, {c, r}]
RegionBounds[(Disk | Circle | Ball | Sphere)[c_List, r_]] := Map[{# - r, # + r} &, c]
RegionBounds[(Polygon | Triangle | Line | Point | Simplex | Tetrahedron)[p_?MatrixQ]] := Map[MinMax, Transpose[p]]
RegionBounds[(Rectangle | Cuboid)[p_List, q_List]] := Transpose[{p, q}]
RegionBounds[Point[p_?VectorQ]] := Map[{#, #} &, p]
RegionBoundary[Disk[]] := Circle[{0, 0}]
RegionBoundary[Disk[a__]] := Circle[a]
RegionBoundary[Ball[]] := Sphere[{0, 0, 0}]
RegionBoundary[Ball[a__]] := Sphere[a]
RegionQ[(Disk | Circle | Ball | Sphere | Triangle | Polygon | Line | Point | Rectangle | Cuboid | Cylinder | Cone | Ellipsoid | Simplex | Parallelogram | Tetrahedron | InfiniteLine | HalfLine | HalfPlane | InfinitePlane | Interval)[___]] := True
RegionQ[_] := False
BoundedRegionQ[(InfiniteLine | HalfLine | HalfPlane | InfinitePlane)[___]] := False
BoundedRegionQ[r_] := RegionQ[r]
SimplePolygonQ[Polygon[p_?MatrixQ]] := Length[p] == 3 && Det[Map[Append[#, 1] &, p]] != 0 || ConvexPolygonQ[Polygon[p]] /; Length[p] == 3 || ConvexPolygonQ[Polygon[p]]
ConvexPolygonQ[Polygon[p_?MatrixQ] | Triangle[p_?MatrixQ]] := With[{s = Table[Sign[Det[{RotateLeft[p, i][[2]] - RotateLeft[p, i][[1]], RotateLeft[p, i][[3]] - RotateLeft[p, i][[2]]}]], {i, 0, Length[p] - 1}]}, AllTrue[s, # >= 0 &] || AllTrue[s, # <= 0 &]] /; Length[First[p]] == 2
RotationMatrix[{u : {_, _}, v : {_, _}}] := With[{n = Norm[u] Norm[v], c = u . v, s = Det[{u, v}]}, {{c/n, -s/n}, {s/n, c/n}}] /; AllTrue[Join[u, v], NumericQ]
ScalingMatrix[s_, v_?VectorQ] := IdentityMatrix[Length[v]] + (s - 1) Outer[Times, v, v]/v . v
ShearingMatrix[t_, v_?VectorQ, n_?VectorQ] := IdentityMatrix[Length[v]] + Tan[t] Outer[Times, Normalize[v], Normalize[n]]
AffineTransform[m_?MatrixQ] := AffineTransform[{m, ConstantArray[0, Length[m]]}]
AffineTransform[{m_?MatrixQ, v_?VectorQ}] := TransformationFunction[Append[MapThread[Append, {m, v}], Append[ConstantArray[0, Length[v]], 1]]]
LinearFractionalTransform[m_?MatrixQ] := TransformationFunction[m]
ShearingTransform[t_, v_?VectorQ, n_?VectorQ] := AffineTransform[ShearingMatrix[t, v, n]]
ShearingTransform[t_, v_?VectorQ, n_?VectorQ, p_?VectorQ] := With[{m = ShearingMatrix[t, v, n]}, AffineTransform[{m, p - m . p}]]
TransformationMatrix[TransformationFunction[m_]] := m
ToSphericalCoordinates[{x_, y_, z_}] := {Sqrt[x^2 + y^2 + z^2], ArcTan[z, Sqrt[x^2 + y^2]], ArcTan[x, y]}
FromSphericalCoordinates[{r_, t_, p_}] := {r Cos[p] Sin[t], r Sin[p] Sin[t], r Cos[t]}
CoordinateTransform["Cartesian" -> "Polar", p_List] := ToPolarCoordinates[p]
CoordinateTransform["Polar" -> "Cartesian", p_List] := FromPolarCoordinates[p]
CoordinateTransform["Cartesian" -> "Spherical", p_List] := ToSphericalCoordinates[p]
CoordinateTransform["Spherical" -> "Cartesian", p_List] := FromSphericalCoordinates[p]
CoordinateTransform["Cartesian" -> "Cylindrical", {x_, y_, z_}] := {Sqrt[x^2 + y^2], ArcTan[x, y], z}
CoordinateTransform["Cylindrical" -> "Cartesian", {r_, t_, z_}] := {r Cos[t], r Sin[t], z}
AngleVector[{x_, y_}, {r_, t_}] := {x + r Cos[t], y + r Sin[t]}
Variance[{a_, b_}] := (a - b) (Conjugate[a] - Conjugate[b])/2 /; NoneTrue[{a, b}, NumericQ[#] || ListQ[#] || Head[#] === Quantity &]
Variance[v_List] := Total[Map[(Length[v] # - Total[v]) Conjugate[#] &, v]]/(Length[v] (Length[v] - 1)) /; Length[v] > 2 && VectorQ[v] && NoneTrue[v, NumericQ] && NoneTrue[v, Head[#] === Quantity &]
Covariance[{a_, b_}, {x_, y_}] := (a - b) (Conjugate[x] - Conjugate[y])/2 /; NoneTrue[{a, b, x, y}, NumericQ]
WinsorizedMean[v_List, f_] := With[{s = Sort[v], k = Floor[f Length[v]]}, Mean[Clip[v, {s[[k + 1]], s[[-k - 1]]}]]] /; NumericQ[f] && 0 <= f < 1/2
BinCounts[v_?VectorQ, d_?NumericQ] := BinCounts[v, {Floor[Min[v], d], Floor[Max[v], d] + d, d}] /; d > 0
BinCounts[v_?VectorQ, {b_List}] := Map[Function[p, Count[v, u_ /; p[[1]] <= u < p[[2]]]], Partition[b, 2, 1]]
BinLists[v_?VectorQ, d_?NumericQ] := BinLists[v, {Floor[Min[v], d], Floor[Max[v], d] + d, d}] /; d > 0
BinLists[v_?VectorQ, {a_?NumericQ, b_?NumericQ, d_?NumericQ}] := BinLists[v, {Range[a, b, d]}]
BinLists[v_?VectorQ, {b_List}] := Map[Function[p, Select[v, p[[1]] <= # < p[[2]] &]], Partition[b, 2, 1]]
HistogramList[v_?VectorQ, {a_?NumericQ, b_?NumericQ, d_?NumericQ}] := {Range[a, b, d], BinCounts[v, {a, b, d}]}
HistogramList[v_?VectorQ, {b_List}] := {b, BinCounts[v, {b}]}
ExponentialMovingAverage[v_List, a_] := FoldList[(1 - a) #1 + a #2 &, v]
PDF[ExponentialDistribution[l_], x_] := Piecewise[{{l/E^(l x), x >= 0}}, 0] /; Not[NumericQ[x]]
CDF[ExponentialDistribution[l_], x_] := Piecewise[{{1 - E^(-l x), x >= 0}}, 0] /; Not[NumericQ[x]]
PDF[UniformDistribution[{a_, b_}], x_] := Piecewise[{{1/(b - a), a <= x <= b}}, 0] /; Not[NumericQ[x]]
CDF[UniformDistribution[{a_, b_}], x_] := Piecewise[{{Together[(x - a)/(b - a)], a <= x <= b}, {1, x > b}}, 0] /; Not[NumericQ[x]]
PDF[PoissonDistribution[m_], k_] := Piecewise[{{m^k/(E^m k!), k >= 0}}, 0] /; Not[NumericQ[k]]
PDF[BinomialDistribution[n_, p_], k_] := Piecewise[{{(1 - p)^(n - k) p^k Binomial[n, k], 0 <= k <= n}}, 0] /; Not[NumericQ[k]]
PDF[GeometricDistribution[p_], k_] := Piecewise[{{(1 - p)^k p, k >= 0}}, 0] /; Not[NumericQ[k]]
PDF[BernoulliDistribution[p_], k_] := Piecewise[{{1 - p, k == 0}, {p, k == 1}}, 0] /; Not[NumericQ[k]]
Quantile[NormalDistribution[], q_] := Quantile[NormalDistribution[0, 1], q]
Quantile[NormalDistribution[m_, s_], q_] := If[q == 1/2, m, m - Sqrt[2] s InverseErfc[2 q]] /; NumericQ[q]
Quantile[ExponentialDistribution[l_], q_] := -Log[1 - q]/l /; NumericQ[q]
Quantile[UniformDistribution[{a_, b_}], q_] := a + (b - a) q /; NumericQ[q]
InverseCDF[d_, q_] := Quantile[d, q] /; NumericQ[q]
"""
