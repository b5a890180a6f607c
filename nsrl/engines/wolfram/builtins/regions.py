"""Regions and their measures: areas, volumes, lengths, centroids, angles. Exact throughout.

Regions stay symbolic (Disk[{0, 0}, 2]); measures are formulas per kind of region."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.builtins.geometry import HALF, distance, point_list, vector_angle, vector_difference
from nsrl.engines.wolfram.builtins.linalg import determinant, vector
from nsrl.engines.wolfram.builtins.overlaps import common, convex, crosses_itself, hull, lens, rational
from nsrl.engines.wolfram.expr import Expr, S, has_head, is_list, lst, minus, mk, plus, power, times
from nsrl.engines.wolfram.numeric import real_value
from nsrl.engines.wolfram.table import Builtin, symbols, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
symbols(TABLE, "RegionUnion RegionDifference BoundaryMeshRegion")


def signed_area(p: list[list[Any]]) -> Any:
    """The area of a polygon, positive where its corners go round counterclockwise."""
    n = len(p)
    return times(HALF, Expr(S.Plus, tuple(
        minus(times(p[i][0], p[(i + 1) % n][1]), times(p[(i + 1) % n][0], p[i][1])) for i in range(n))))  # fmt: skip


def polygon_points(ev: Evaluator, e: Any) -> list[list[Any]] | None:
    """Corners of a plane region made of straight sides."""
    if type(e) is not Expr:
        return None
    a = e.args
    if e.head in (S.Polygon, S.Triangle, S.Simplex) and len(a) >= 1:
        p = point_list(a[0])
        return p if p is not None and len(p) >= 3 else None
    if e.head is S.Triangle and not a:
        return [[0, 0], [1, 0], [0, 1]]
    if e.head is S.Rectangle:
        low = vector(a[0]) if a else [0, 0]
        high = vector(a[1]) if len(a) > 1 else [ev.eval(plus(x, 1)) for x in low] if low else None
        if low is None or high is None:
            return None
        return [low, [high[0], low[1]], high, [low[0], high[1]]]
    if e.head is S.Parallelogram and len(a) == 2:
        o, sides = vector(a[0]), point_list(a[1])
        if o is None or sides is None or len(sides) != 2:
            return None
        u, v = sides
        return [o, _sum(ev, o, u), _sum(ev, _sum(ev, o, u), v), _sum(ev, o, v)]
    if e.head is S.RegularPolygon:
        return regular_polygon(ev, a)
    return None


def _sum(ev: Evaluator, p: list[Any], q: list[Any]) -> list[Any]:
    return [ev.eval(plus(a, b)) for a, b in zip(p, q)]


def regular_polygon(ev: Evaluator, a: tuple) -> list[list[Any]] | None:
    """The corners of RegularPolygon[…]; None for arguments it does not take."""
    if not a or type(a[-1]) is not int or not 3 <= a[-1] <= 1000:
        return None
    n = a[-1]
    centre, radius, start = [0, 0], 1, None
    for x in a[:-1]:
        if vector(x) is not None and len(vector(x)) == 2 and x is a[0] and len(a) == 3:
            centre = vector(x)
        elif vector(x) is not None:
            radius, start = x.args
        else:
            radius = x
    if start is None:
        start = plus(times(Fraction(-1, 2), S.Pi), times(Fraction(1, n), S.Pi))
    out = []
    for k in range(n):
        t = plus(start, times(Fraction(2 * k, n), S.Pi))
        out.append(
            [
                ev.eval(plus(centre[0], times(radius, mk(S.Cos, t)))),
                ev.eval(plus(centre[1], times(radius, mk(S.Sin, t)))),
            ]
        )
    return out


def centre_radius(a: tuple, dimension: int) -> tuple[list[Any], Any] | None:
    """Centre and radius of a ball by its arguments: the origin and 1 where they are left out."""
    centre = vector(a[0]) if a else [0] * dimension
    radius = a[1] if len(a) > 1 else 1
    return None if centre is None else (centre, radius)


def side_lengths(ev: Evaluator, p: list[list[Any]], closed: bool) -> Any:
    """The sum of the sides; closed: with the one from the last corner to the first."""
    pairs = list(zip(p, p[1:])) + ([(p[-1], p[0])] if closed else [])  # noqa: RUF007 (a list is needed)
    return ev.eval(Expr(S.Plus, tuple(distance(ev, a, b) for a, b in pairs)))


def area(ev: Evaluator, e: Any) -> Any:
    """The area of a plane region or surface, or None."""
    if type(e) is not Expr:
        return None
    a = e.args
    if e.head in (S.Polygon, S.Triangle, S.Rectangle, S.Parallelogram, S.RegularPolygon):
        if (e.head is S.RegularPolygon and len(a) == 1) or (
            e.head is S.RegularPolygon and not is_list(a[0]) and len(a) == 2
        ):
            n, r = a[-1], a[0] if len(a) == 2 else 1
            if type(n) is int and n >= 3:
                return ev.eval(times(Fraction(n, 2), power(r, 2), mk(S.Sin, times(Fraction(2, n), S.Pi))))
        p = polygon_points(ev, e)
        if p is None:
            return None
        if len(p[0]) == 3:
            u, v = vector_difference(p[1], p[0]), vector_difference(p[2], p[0])
            parts = ev.eval(mk(S.Cross, lst(u), lst(v)))
            return ev.eval(times(HALF, mk(S.Norm, parts))) if len(p) == 3 else None
        at = [[real_value(x) for x in c] for c in p]
        if len(p) > 3 and (any(None in c for c in at) or crosses_itself(at)) and e.head is S.Polygon:
            return None
        return ev.eval(mk(S.Abs, signed_area(p)))
    if e.head is S.Disk:
        cr = centre_radius(a, 2)
        if cr is None:
            return None
        r = cr[1]
        if len(a) == 3 and is_list(a[2]):
            t1, t2 = a[2].args
            if is_list(r):
                return None
            return ev.eval(times(HALF, power(r, 2), mk(S.Abs, minus(t2, t1))))
        if is_list(r):
            return ev.eval(times(S.Pi, *r.args))
        return ev.eval(times(S.Pi, power(r, 2)))
    if e.head is S.Ellipsoid and len(a) == 2 and is_list(a[1]) and len(a[1].args) == 2:
        return ev.eval(times(S.Pi, *a[1].args))
    if e.head is S.Annulus:
        r1, r2 = a[1].args if len(a) > 1 and is_list(a[1]) else (HALF, 1)
        return ev.eval(times(S.Pi, minus(power(r2, 2), power(r1, 2))))
    if e.head is S.Ball and a and len(a[0].args if is_list(a[0]) else ()) == 2:
        return ev.eval(times(S.Pi, power(a[1] if len(a) > 1 else 1, 2)))
    if e.head is S.Sphere:
        cr = centre_radius(a, 3)
        return ev.eval(times(4, S.Pi, power(cr[1], 2))) if cr and len(cr[0]) == 3 else None
    if e.head is S.Simplex:
        return area(ev, Expr(S.Triangle, a))
    if e.head in (S.RegionUnion, S.RegionIntersection, S.RegionDifference) and len(a) == 2:
        return _combined_area(ev, e)
    if e.head is S.BoundaryMeshRegion and len(a) == 2:
        return area(ev, mk(S.Polygon, a[0]))
    return None


def _combined_area(ev: Evaluator, e: Expr) -> Any:
    """Of two disks, or two convex polygons with rational corners."""
    both = _overlap(ev, *e.args)
    if both is None or e.head is S.RegionIntersection:
        return both
    one, two = (area(ev, x) for x in e.args)
    if one is None or two is None:
        return None
    return ev.eval(plus(one, times(-1, both)) if e.head is S.RegionDifference else plus(one, two, times(-1, both)))


def _overlap(ev: Evaluator, a: Any, b: Any) -> Any:
    if all(has_head(x, S.Disk) and len(x.args) < 3 for x in (a, b)):
        one, two = centre_radius(a.args, 2), centre_radius(b.args, 2)
        if one is None or two is None or is_list(one[1]) or is_list(two[1]):
            return None
        return lens(ev, distance(ev, one[0], two[0]), one[1], two[1])
    corners = [polygon_points(ev, x) for x in (a, b)]
    if None in corners or not all(map(rational, corners)):
        return None
    one, two = map(convex, corners)
    if one is None or two is None:
        return None
    shared = common(one, two)
    return ev.eval(mk(S.Abs, signed_area(shared))) if len(shared) > 2 else 0


@builtin("ConvexHullMesh", arity=1, takes="matrix")
def convex_hull_mesh(ev: Evaluator, args: tuple) -> Any:
    p = [[real_value(x) for x in r.args] for r in args[0].args]
    if any(None in c or len(c) != 2 for c in p):
        return None
    corners = hull([[float(x) for x in c] for c in p])
    if len(corners) < 3:
        return None
    return mk(S.BoundaryMeshRegion, lst(map(lst, corners)), lst((mk(S.Polygon, lst(range(1, len(corners) + 1))),)))


@builtin("MeshCoordinates", arity=1)
def mesh_coordinates(ev: Evaluator, args: tuple) -> Any:
    return args[0].args[0] if has_head(args[0], S.BoundaryMeshRegion) else None


@builtin("Area", arity=1)
def area_(ev: Evaluator, args: tuple) -> Any:
    e = args[0]
    if type(e) is Expr and e.head in (S.Line, S.Circle, S.Point, S.InfiniteLine):
        return S.Undefined
    if type(e) is Expr and e.head in (S.InfinitePlane, S.HalfPlane):
        return S.Infinity
    if is_list(e) and e.args and all(type(a) is Expr and not is_list(a) for a in e.args):
        return None
    return area(ev, e)


@builtin("Perimeter", arity=1)
def perimeter(ev: Evaluator, args: tuple) -> Any:
    e = args[0]
    if type(e) is not Expr:
        return None
    if e.head is S.Disk:
        cr = centre_radius(e.args, 2)
        if cr is None or is_list(cr[1]):
            return None
        if len(e.args) == 3 and is_list(e.args[2]):
            t1, t2 = e.args[2].args
            return ev.eval(plus(times(2, cr[1]), times(cr[1], mk(S.Abs, minus(t2, t1)))))
        return ev.eval(times(2, S.Pi, cr[1]))
    if (
        e.head is S.RegularPolygon
        and len(e.args) <= 2
        and not (e.args and is_list(e.args[0]))
        and type(e.args[-1]) is int
    ):
        n, r = e.args[-1], e.args[0] if len(e.args) == 2 else 1
        return ev.eval(times(2 * n, r, mk(S.Sin, times(Fraction(1, n), S.Pi))))
    p = polygon_points(ev, e)
    return None if p is None else side_lengths(ev, p, True)


@builtin("ArcLength", arity=(1, None))
def arc_length(ev: Evaluator, args: tuple) -> Any:
    e = args[0]
    if len(args) == 2 and is_list(args[1]) and len(args[1].args) == 3:
        t = args[1].args[0]
        parts = e.args if is_list(e) else (t, e)
        speed = mk(S.Sqrt, mk(S.Simplify, Expr(S.Plus, tuple(power(mk(S.D, p, t), 2) for p in parts))))
        out = ev.eval(mk(S.Integrate, ev.eval(speed), args[1]))
        return None if has_head(out, S.Integrate) else out
    if type(e) is not Expr:
        return None
    if e.head is S.Circle:
        cr = centre_radius(e.args, 2)
        if cr is None or is_list(cr[1]):
            return None
        if len(e.args) == 3 and is_list(e.args[2]):
            t1, t2 = e.args[2].args
            return ev.eval(times(cr[1], mk(S.Abs, minus(t2, t1))))
        return ev.eval(times(2, S.Pi, cr[1]))
    if e.head is S.Line:
        p = point_list(e.args[0])
        return None if p is None else side_lengths(ev, p, False)
    if e.head in (S.InfiniteLine, S.HalfLine):
        return S.Infinity
    return None


def volume(ev: Evaluator, e: Any) -> Any:
    """The volume of a solid, or None."""
    if type(e) is not Expr:
        return None
    a = e.args
    if e.head is S.Ball:
        cr = centre_radius(a, 3)
        return ev.eval(times(Fraction(4, 3), S.Pi, power(cr[1], 3))) if cr and len(cr[0]) == 3 else None
    if e.head is S.Ellipsoid and len(a) == 2 and is_list(a[1]) and len(a[1].args) == 3:
        return ev.eval(times(Fraction(4, 3), S.Pi, *a[1].args))
    if e.head is S.Cuboid:
        low = vector(a[0]) if a else [0, 0, 0]
        high = vector(a[1]) if len(a) > 1 else [ev.eval(plus(x, 1)) for x in low]
        return (
            ev.eval(mk(S.Abs, Expr(S.Times, tuple(minus(h, x) for x, h in zip(low, high))))) if len(low) == 3 else None
        )
    if e.head is S.Cube:
        side = a[-1] if a and not is_list(a[-1]) else 1
        return ev.eval(power(side, 3))
    if e.head in (S.Cylinder, S.Cone):
        ends = point_list(a[0]) if a else [[0, 0, -1], [0, 0, 1]]
        if ends is None or len(ends) != 2:
            return None
        r = a[1] if len(a) > 1 else 1
        k = 1 if e.head is S.Cylinder else Fraction(1, 3)
        return ev.eval(times(k, S.Pi, power(r, 2), distance(ev, *ends)))
    if e.head is S.Tetrahedron and (not a or not is_list(a[0])):
        return ev.eval(times(power(a[0] if a else 1, 3), power(times(6, mk(S.Sqrt, 2)), -1)))
    if e.head in (S.Tetrahedron, S.Simplex, S.Pyramid) and a and point_list(a[0]) and len(point_list(a[0])) == 4:
        p = point_list(a[0])
        d = determinant(ev, [[ev.eval(x) for x in vector_difference(q, p[0])] for q in p[1:]])
        return ev.eval(times(Fraction(1, 6), mk(S.Abs, d)))
    if e.head is S.Parallelepiped and len(a) == 2:
        m = point_list(a[1])
        return None if m is None else ev.eval(mk(S.Abs, determinant(ev, m)))
    return None


@builtin("Volume", arity=1)
def volume_(ev: Evaluator, args: tuple) -> Any:
    e = args[0]
    if type(e) is Expr and (_DIMENSION.get(e.head, 3) < 3 or e.head is S.Sphere):
        return S.Undefined
    return volume(ev, e)


@builtin("SurfaceArea", arity=1)
def surface_area(ev: Evaluator, args: tuple) -> Any:
    e = args[0]
    if type(e) is not Expr:
        return None
    a = e.args
    if e.head is S.Ball:
        cr = centre_radius(a, 3)
        return ev.eval(times(4, S.Pi, power(cr[1], 2))) if cr else None
    if e.head is S.Cube:
        return ev.eval(times(6, power(a[-1] if a and not is_list(a[-1]) else 1, 2)))
    if e.head is S.Cuboid:
        low = vector(a[0]) if a else [0, 0, 0]
        high = vector(a[1]) if len(a) > 1 else [ev.eval(plus(x, 1)) for x in low]
        x, y, z = (mk(S.Abs, minus(h, v)) for v, h in zip(low, high))
        return ev.eval(times(2, plus(times(x, y), times(y, z), times(x, z))))
    if e.head is S.Cylinder:
        ends = point_list(a[0]) if a else [[0, 0, -1], [0, 0, 1]]
        r = a[1] if len(a) > 1 else 1
        return ev.eval(plus(times(2, S.Pi, power(r, 2)), times(2, S.Pi, r, distance(ev, *ends))))
    if e.head is S.Cone:
        ends = point_list(a[0]) if a else [[0, 0, -1], [0, 0, 1]]
        r = a[1] if len(a) > 1 else 1
        slant = mk(S.Sqrt, plus(power(r, 2), power(distance(ev, *ends), 2)))
        return ev.eval(plus(times(S.Pi, power(r, 2)), times(S.Pi, r, slant)))
    return None


@builtin("RegionMeasure", arity=1)
def region_measure(ev: Evaluator, args: tuple) -> Any:
    e = args[0]
    if type(e) is not Expr:
        return None
    if e.head is S.Point:
        return len(e.args[0].args) if point_list(e.args[0]) else 1
    if e.head is S.EmptyRegion:
        return 0
    for f in (volume(ev, e), area(ev, e)):
        if f is not None:
            return f
    return arc_length(ev, (e,))


@builtin("RegionDimension RegionEmbeddingDimension", arity=1)
def region_dimension(ev: Evaluator, args: tuple) -> Any:
    return None


_DIMENSION = {S.Point: 0, S.Line: 1, S.Circle: 1, S.InfiniteLine: 1, S.HalfLine: 1, S.Polygon: 2, S.Triangle: 2,
S.Rectangle: 2,
              S.Disk: 2, S.Sphere: 2, S.RegularPolygon: 2, S.Parallelogram: 2, S.Ball: 3, S.Cuboid: 3, S.Cube: 3,
              S.Cylinder: 3, S.Cone: 3, S.Tetrahedron: 3, S.Ellipsoid: 3, S.InfinitePlane: 2, S.Annulus: 2}  # fmt: skip


def _dimension(ev: Evaluator, args: tuple) -> Any:
    e = args[0]
    return _DIMENSION.get(e.head) if type(e) is Expr else None


def embedding(ev: Evaluator, args: tuple) -> Any:
    """In how many dimensions a region lies, or None."""
    e = args[0]
    while type(e) is Expr and not (is_list(e) and e.args and not is_list(e.args[0])):
        if not e.args:
            return (
                3 if type(args[0]) is Expr and args[0].head in (S.Ball, S.Sphere, S.Cuboid, S.Cone, S.Cylinder) else 2
            )
        e = e.args[0]
    return len(e.args) if type(e) is Expr else None


TABLE["RegionDimension"].handler, TABLE["RegionEmbeddingDimension"].handler = _dimension, embedding


@builtin("RegionCentroid", arity=1)
def region_centroid(ev: Evaluator, args: tuple) -> Any:
    e = args[0]
    if type(e) is not Expr:
        return None
    if e.head in (S.Disk, S.Circle, S.Sphere, S.Ball, S.Ellipsoid):
        cr = centre_radius(e.args, 3 if e.head in (S.Sphere, S.Ball) else 2)
        return lst(cr[0]) if cr and len(e.args) < 3 else None
    if e.head is S.Point:
        p = point_list(e.args[0])
        return e.args[0] if p is None else mean_of(ev, p)
    if e.head is S.Line:
        p = point_list(e.args[0])
        if p is None or len(p) < 2:
            return None
        if len(p) == 2:
            return mean_of(ev, p)
        weights = [distance(ev, a, b) for a, b in zip(p, p[1:])]  # noqa: RUF007
        middles = [mean_of(ev, [a, b]) for a, b in zip(p, p[1:])]  # noqa: RUF007
        whole = power(Expr(S.Plus, tuple(weights)), -1)
        return ev.eval(times(whole, Expr(S.Plus, tuple(times(w, m) for w, m in zip(weights, middles)))))
    if e.head is S.Cuboid:
        low = vector(e.args[0]) if e.args else [0, 0, 0]
        high = vector(e.args[1]) if len(e.args) > 1 else [ev.eval(plus(x, 1)) for x in low]
        return mean_of(ev, [low, high])
    if e.head in (S.Tetrahedron, S.Simplex) and e.args and point_list(e.args[0]):
        return mean_of(ev, point_list(e.args[0]))
    p = polygon_points(ev, e)
    if p is None:
        return None
    if len(p) == 3:
        return mean_of(ev, p)
    n = len(p)
    a = signed_area(p)
    out = []
    for c in (0, 1):
        terms = []
        for i in range(n):
            q = p[(i + 1) % n]
            terms.append(times(plus(p[i][c], q[c]), minus(times(p[i][0], q[1]), times(q[0], p[i][1]))))
        out.append(times(Expr(S.Plus, tuple(terms)), power(times(6, a), -1)))
    return ev.eval(lst(out))


def mean_of(ev: Evaluator, p: list[list[Any]]) -> Any:
    """The mean of points."""
    return ev.eval(lst(times(Fraction(1, len(p)), Expr(S.Plus, tuple(c))) for c in zip(*p)))


@builtin("PolygonAngle", arity=(1, 2))
def polygon_angle(ev: Evaluator, args: tuple) -> Any:
    p = polygon_points(ev, args[0])
    if p is None:
        return None
    n = len(p)
    orientation = ev.eval(mk(S.Sign, signed_area(p)))

    def at(i: int) -> Any:
        a, b, c = p[i - 1], p[i], p[(i + 1) % n]
        u, v = vector_difference(a, b), vector_difference(c, b)
        angle = vector_angle(ev, u, v)
        turn = ev.eval(mk(S.Sign, minus(times(v[0], u[1]), times(v[1], u[0]))))
        return angle if turn == orientation or turn == 0 else ev.eval(minus(times(2, S.Pi), angle))

    if len(args) == 2:
        q = vector(args[1])
        for i, v in enumerate(p):
            if v == q:
                return at(i)
        return None
    return lst(at(i) for i in range(n))
