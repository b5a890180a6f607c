(* Equations and inequalities *)
SetAttributes[Assuming, HoldRest]
Solve[e_Equal, x_Symbol, Modulus -> p_Integer] := Map[{x -> #} &, Select[Range[0, p - 1],
    Mod[(e[[1]] - e[[2]]) /. x -> #, p] == 0 &]] /; 1 < p < 2000 && PolynomialQ[e[[1]] - e[[2]], x]
Reduce[And[a__, Element[x_, Integers]], x_] := Reduce[And[a], x, Integers]
Reduce[And[Element[x_, Integers], a__], x_] := Reduce[And[a], x, Integers]
SolveAlways[e_Equal, x_Symbol] := With[{c = DeleteCases[CoefficientList[e[[1]] - e[[2]], x], 0]}, Solve[Map[# == 0 &,
    c], Variables[c]]]
ToRules[False] := Sequence[]
ToRules[True] := {}
ToRules[e_Or] := Sequence @@ Map[ToRules, List @@ e]
ToRules[e_And] := Map[Rule @@ # &, List @@ e] /; AllTrue[List @@ e, Head[#] === Equal &]
ToRules[x_ == v_] := {x -> v}
Resolve[Exists[x_Symbol, c_], d___] := With[{r = Reduce[c, x, d]}, r =!= False /; FreeQ[r, Reduce] &&
    Complement[Cases[c, _Symbol?(Not[NumericQ[#]] &), {1, Infinity}], {x}] === {}]
Resolve[Exists[x_List, c_], d___] := With[{r = FindInstance[c, x, d]}, r =!= {} /; FreeQ[r, FindInstance]]
Resolve[Exists[x_, a_, c_], d___] := Resolve[Exists[x, a && c], d]
Resolve[ForAll[x_, c_], d___] := With[{r = Resolve[Exists[x, Not[c]], d]}, Not[r] /; BooleanQ[r]]
Resolve[ForAll[x_, a_, c_], d___] := With[{r = Resolve[Exists[x, a && Not[c]], d]}, Not[r] /; BooleanQ[r]]
Assuming[a_, b_] := ReleaseHold[Hold[b] /. {(h : Simplify | FullSimplify | Refine)[e_] :> h[e, a],
    HoldPattern[Integrate[e__]] :> Integrate[e, Assumptions -> a],
    HoldPattern[Limit[e__]] :> Limit[e, Assumptions -> a]}]
Solve[c : (_Less | _LessEqual | _Inequality | _Greater | _GreaterEqual), x_Symbol, Integers] := With[{r = Reduce[c, x,
    Integers]}, Which[r === False, {}, Head[r] === Or, Map[{x -> Last[#]} &, List @@ r], True, {{x -> Last[r]}}] /;
    r === False || Head[r] === Equal || (Head[r] === Or && AllTrue[List @@ r, Head[#] === Equal &])]
Root[f_Function, k_Integer] := With[{p = f[x]}, SolveValues[p == 0, x][[k]] /; PolynomialQ[p, x] && Exponent[p,
    x] <= 2 && 1 <= k <= Exponent[p, x]]
Root[f_Function, k_Integer] := With[{p = Expand[f[Slot[1]]]}, Root[Function[p], k, 0]] /; PolynomialQ[f[x], x] &&
    Exponent[f[x], x] > 2
FunctionDomain[f_, x_Symbol] := With[{c = Join[Cases[{f}, Power[b_, e_Rational] /; EvenQ[Denominator[e]] && e > 0 &&
    Not[FreeQ[b, x]] :> b >= 0, Infinity], Cases[{f}, Power[b_, e_Rational] /; EvenQ[Denominator[e]] && e < 0 &&
    Not[FreeQ[b, x]] :> b > 0, Infinity], Cases[{f}, Power[b_, e_Integer] /; e < 0 && Not[FreeQ[b, x]] :> b != 0,
    Infinity], Cases[{f}, Log[b_] /; Not[FreeQ[b, x]] :> b > 0, Infinity]]}, If[c === {}, True,
    Reduce[And @@ (c /. (b_ != 0) :> (b < 0 || b > 0)), x, Reals]] /; FreeQ[f, Tan | Sec | Csc | Cot | ArcSin | ArcCos]]
AddSides[e_Equal, c_] := Map[# + c &, e]
SubtractSides[e_Equal] := Map[# - Last[e] &, e]
SubtractSides[e_Equal, c_] := Map[# - c &, e]
