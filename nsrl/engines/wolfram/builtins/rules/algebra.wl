(* Polynomials *)
ExpandNumerator[e_] := Expand[Numerator[e]]/Denominator[e]
ExpandDenominator[e_] := Numerator[e]/Expand[Denominator[e]]
Expand[e_Times, x_Symbol] := Expand[e /. u_ /; Not[AtomQ[u]] && FreeQ[u, x] -> Hold[u]] /. Hold[u_] -> u /; FreeQ[e,
    _Hold] && MemberQ[e, _Plus?(FreeQ[#, x] &) | (_Plus?(FreeQ[#, x] &)^_)]
FactorTermsList[p_] := With[{l = FactorTerms[p]}, If[MatchQ[l, _Integer _Plus | _Rational _Plus], List @@ l, {1, l}]] /;
    PolynomialQ[p, Variables[p]]
FromCoefficientRules[r_List, v_List] := Total[Map[Last[#] (Times @@ (v^First[#])) &, r]]
FromCoefficientRules[r_List, v_Symbol] := Total[Map[Last[#] v^First[First[#]] &, r]]
MonomialList[p_] := MonomialList[p, Variables[p]]
MonomialList[p_, v_List] := Map[Last[#] (Times @@ (v^First[#])) &, CoefficientRules[p, v]]
MonomialList[p_, v_Symbol] := MonomialList[p, {v}]
SymmetricPolynomial[k_Integer, v_List] := Total[Apply[Times, Subsets[v, {k}], {1}]] /; 0 <= k <= Length[v]
IrreduciblePolynomialQ[p_] := With[{l = Select[FactorList[p], Not[NumericQ[First[#]]] &]}, Length[l] == 1 && l[[1,
    2]] == 1]
CoefficientArrays[p_List, v_List] := With[{q = Map[If[Head[#] === Equal, First[#] - Last[#], #] &, p]},
    {q /. Map[# -> 0 &, v], Table[Coefficient[e, u], {e, q}, {u, v}]}] /; AllTrue[p, Max[Exponent[If[Head[#] === Equal,
    First[#] - Last[#], #], v]] <= 1 &]
PolynomialGCD[a_, b_] := Factor[PolynomialGCD[Expand[a], Expand[b]]] /; AllTrue[{a, b}, Head[#] === Times &] &&
    Expand[a] =!= a && Expand[b] =!= b
CompanionMatrix[p_, x_Symbol] := With[{c = CoefficientList[p, x], n = Exponent[p, x]},
    Table[If[j == n, -c[[i]]/c[[n + 1]], Boole[i == j + 1]], {i, n}, {j, n}]] /; PolynomialQ[p, x] && Exponent[p, x] > 0
PiecewiseExpand[p_Piecewise] := p
PiecewiseExpand[Max[x_, y_]] := Piecewise[{{x, x - y >= 0}}, y]
PiecewiseExpand[Min[x_, y_]] := Piecewise[{{x, x - y <= 0}}, y]
PiecewiseExpand[RealAbs[x_]] := Piecewise[{{-x, x < 0}}, x]
PiecewiseExpand[Abs[x_], Element[x_, Reals]] := Piecewise[{{-x, x < 0}}, x]
PiecewiseExpand[Abs[x_], Assumptions -> Element[x_, Reals]] := Piecewise[{{-x, x < 0}}, x]
PiecewiseExpand[UnitStep[x_]] := Piecewise[{{1, x >= 0}}, 0]
PiecewiseExpand[Ramp[x_]] := Piecewise[{{x, x >= 0}}, 0]
