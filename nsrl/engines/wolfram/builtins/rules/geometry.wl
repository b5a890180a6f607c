(* Distances, regions, transformations, coordinates *)
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
RegionQ[(Disk | Circle | Ball | Sphere | Triangle | Polygon | Line | Point | Rectangle | Cuboid | Cylinder | Cone |
    Ellipsoid | Simplex | Parallelogram | Tetrahedron | InfiniteLine | HalfLine | HalfPlane | InfinitePlane |
    Interval)[___]] :=
    True
RegionQ[_] := False
BoundedRegionQ[(InfiniteLine | HalfLine | HalfPlane | InfinitePlane)[___]] := False
BoundedRegionQ[r_] := RegionQ[r]
SimplePolygonQ[Polygon[p_?MatrixQ]] := Length[p] == 3 && Det[Map[Append[#, 1] &, p]] != 0 ||
    ConvexPolygonQ[Polygon[p]] /; Length[p] == 3 || ConvexPolygonQ[Polygon[p]]
ConvexPolygonQ[Polygon[p_?MatrixQ] | Triangle[p_?MatrixQ]] := With[{s = Table[Sign[Det[{RotateLeft[p,
    i][[2]] - RotateLeft[p, i][[1]], RotateLeft[p, i][[3]] - RotateLeft[p, i][[2]]}]], {i, 0, Length[p] - 1}]},
    AllTrue[s, # >= 0 &] || AllTrue[s, # <= 0 &]] /; Length[First[p]] == 2
RotationMatrix[{u : {_, _}, v : {_, _}}] := With[{n = Norm[u] Norm[v], c = u . v, s = Det[{u, v}]}, {{c/n, -s/n}, {s/n,
    c/n}}] /; AllTrue[Join[u, v], NumericQ]
ScalingMatrix[s_, v_?VectorQ] := IdentityMatrix[Length[v]] + (s - 1) Outer[Times, v, v]/v . v
ShearingMatrix[t_, v_?VectorQ, n_?VectorQ] := IdentityMatrix[Length[v]] + Tan[t] Outer[Times, Normalize[v],
    Normalize[n]]
AffineTransform[m_?MatrixQ] := AffineTransform[{m, ConstantArray[0, Length[m]]}]
AffineTransform[{m_?MatrixQ, v_?VectorQ}] := TransformationFunction[Append[MapThread[Append, {m, v}],
    Append[ConstantArray[0, Length[v]], 1]]]
LinearFractionalTransform[m_?MatrixQ] := TransformationFunction[m]
ShearingTransform[t_, v_?VectorQ, n_?VectorQ] := AffineTransform[ShearingMatrix[t, v, n]]
ShearingTransform[t_, v_?VectorQ, n_?VectorQ, p_?VectorQ] := With[{m = ShearingMatrix[t, v, n]}, AffineTransform[{m,
    p - m . p}]]
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
ToPolarCoordinates[{x_, y_}] := {Sqrt[x^2 + y^2], ArcTan[x, y]}
FromPolarCoordinates[{r_, t_}] := {r Cos[t], r Sin[t]}
AngleVector[{r_, t_}] := {r Cos[t], r Sin[t]}
AngleVector[t_] := {Cos[t], Sin[t]}
AngleVector[p_, t_] := p + {Cos[t], Sin[t]}
