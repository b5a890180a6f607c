(* Calculus, series, transforms, differences *)
D[f_, {v_List, n_Integer}] := Nest[D[#, {v}] &, f, n]
Integrate[1/(a_Symbol^2 + x_^2), x_Symbol] := ArcTan[x/a]/a /; a =!= x
Integrate[1/Sqrt[a_Symbol^2 - x_^2], x_Symbol] := ArcTan[x/Sqrt[a^2 - x^2]] /; a =!= x
Sum[x_Symbol^k_, {k_Symbol, 0, Infinity}] := 1/(1 - x) /; x =!= k
Integrate[Derivative[1][f_][x_], x_Symbol] := f[x]
Integrate[Derivative[n_Integer][f_][x_], x_Symbol] := Derivative[n - 1][f][x]
Series[f_Symbol[x_], {x_Symbol, a_, n_Integer}] := SeriesData[x, a, Table[If[k == 0, f[a], Derivative[k][f][a]/k!], {k,
    0, n}], 0, n + 1, 1] /; Attributes[f] === {} && FreeQ[a, x]
Wronskian[f_List, x_Symbol] := Simplify[Det[Table[D[f, {x, k}], {k, 0, Length[f] - 1}]]]
PadeApproximant[f_, {x_Symbol, a_, n_Integer}] := PadeApproximant[f, {x, a, {n, n}}]
PadeApproximant[f_, {x_Symbol, 0, {m_Integer, n_Integer}}] := Module[{c = Table[SeriesCoefficient[f, {x, 0, k}], {k, 0,
    m + n}], q, g}, g = If[# < 0, 0, c[[# + 1]]] &; q = If[n == 0, {}, LinearSolve[Table[g[m + i - j], {i, n}, {j, n}],
    Table[-g[m + i], {i, n}]]]; q = Prepend[q, 1]; Sum[Sum[g[k - j] q[[j + 1]], {j, 0, Min[k, n]}] x^k, {k, 0,
    m}]/Sum[q[[j + 1]] x^j, {j, 0, n}]]
LaplaceTransform[c_, t_Symbol, s_] := c/s /; FreeQ[c, t]
LaplaceTransform[f_Plus, t_Symbol, s_] := Map[LaplaceTransform[#, t, s] &, f]
LaplaceTransform[c_ f_, t_Symbol, s_] := c LaplaceTransform[f, t, s] /; FreeQ[c, t]
LaplaceTransform[t_^n_., t_Symbol, s_] := If[IntegerQ[n], n!, Gamma[1 + n]]/s^(n + 1) /; FreeQ[n, t]
LaplaceTransform[E^(a_. t_), t_Symbol, s_] := 1/(s - a) /; FreeQ[a, t]
LaplaceTransform[Sin[a_. t_], t_Symbol, s_] := a/(a^2 + s^2) /; FreeQ[a, t]
LaplaceTransform[Cos[a_. t_], t_Symbol, s_] := s/(a^2 + s^2) /; FreeQ[a, t]
LaplaceTransform[Sinh[a_. t_], t_Symbol, s_] := a/(-a^2 + s^2) /; FreeQ[a, t]
LaplaceTransform[Cosh[a_. t_], t_Symbol, s_] := s/(-a^2 + s^2) /; FreeQ[a, t]
LaplaceTransform[t_^n_Integer f_, t_Symbol, s_] := Factor[(-1)^n D[LaplaceTransform[f, t, s], {s, n}]] /; n > 0 &&
    AtomQ[s]
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
DifferenceDelta[f_, x_Symbol] := Simplify[(f /. x -> x + 1) - f]
DiscreteShift[f_, x_Symbol] := f /. x -> x + 1
DiscreteRatio[f_, x_Symbol] := Simplify[(f /. x -> x + 1)/f]
SeriesCoefficient[c_./(1 + b_. x_), {x_Symbol, 0, n_Symbol}] := Piecewise[{{c (-b)^n, n >= 0}}, 0] /; FreeQ[{b, c}, x]
SeriesCoefficient[c_./(1 + b_. x_)^2, {x_Symbol, 0, n_Symbol}] :=
    Piecewise[{{c (-b)^n (1 + n), n >= 0}}, 0] /; FreeQ[{b, c}, x]
SeriesCoefficient[Sin[a_. x_], {x_Symbol, 0, n_Symbol}] :=
    Piecewise[{{((I/2)*a^n*I^n*(-1 + (-1)^n))/n!, n >= 0}}, 0] /; FreeQ[a, x]
SeriesCoefficient[Cos[a_. x_], {x_Symbol, 0, n_Symbol}] :=
    Piecewise[{{(a^n*I^n*(1 + (-1)^n))/(2*n!), n >= 0}}, 0] /; FreeQ[a, x]
SeriesCoefficient[E^(a_. x_), {x_Symbol, 0, n_Symbol}] := Piecewise[{{a^n/n!, n >= 0}}, 0] /; FreeQ[a, x]
