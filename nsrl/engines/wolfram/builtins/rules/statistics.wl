(* Data and distributions *)
Variance[{a_, b_}] := (a - b) (Conjugate[a] - Conjugate[b])/2 /; NoneTrue[{a, b}, NumericQ[#] || ListQ[#] ||
    Head[#] === Quantity &]
Variance[v_List] := Total[Map[(Length[v] # - Total[v]) Conjugate[#] &, v]]/(Length[v] (Length[v] - 1)) /;
    Length[v] > 2 && VectorQ[v] && NoneTrue[v, NumericQ] && NoneTrue[v, Head[#] === Quantity &]
Covariance[{a_, b_}, {x_, y_}] := (a - b) (Conjugate[x] - Conjugate[y])/2 /; NoneTrue[{a, b, x, y}, NumericQ]
WinsorizedMean[v_List, f_] := With[{s = Sort[v], k = Floor[f Length[v]]}, Mean[Clip[v, {s[[k + 1]], s[[-k - 1]]}]]] /;
    NumericQ[f] && 0 <= f < 1/2
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
CDF[UniformDistribution[{a_, b_}], x_] := Piecewise[{{Together[(x - a)/(b - a)], a <= x <= b}, {1, x > b}}, 0] /;
    Not[NumericQ[x]]
PDF[PoissonDistribution[m_], k_] := Piecewise[{{m^k/(E^m k!), k >= 0}}, 0] /; Not[NumericQ[k]]
PDF[BinomialDistribution[n_, p_], k_] := Piecewise[{{(1 - p)^(n - k) p^k Binomial[n, k], 0 <= k <= n}}, 0] /;
    Not[NumericQ[k]]
PDF[GeometricDistribution[p_], k_] := Piecewise[{{(1 - p)^k p, k >= 0}}, 0] /; Not[NumericQ[k]]
PDF[BernoulliDistribution[p_], k_] := Piecewise[{{1 - p, k == 0}, {p, k == 1}}, 0] /; Not[NumericQ[k]]
Quantile[NormalDistribution[], q_] := Quantile[NormalDistribution[0, 1], q]
Quantile[NormalDistribution[m_, s_], q_] := If[q == 1/2, m, m - Sqrt[2] s InverseErfc[2 q]] /; NumericQ[q] && 0 < q < 1
Quantile[ExponentialDistribution[l_], q_] := -Log[1 - q]/l /; NumericQ[q] && 0 <= q < 1
Quantile[UniformDistribution[{a_, b_}], q_] := a + (b - a) q /; NumericQ[q] && 0 <= q <= 1
InverseCDF[d_, q_] := Quantile[d, q] /; (NumericQ[q] || ListQ[q]) && Not[ListQ[d]]
QuartileDeviation[l_List] := With[{q = Quartiles[l]}, (q[[3]] - q[[1]])/2]
