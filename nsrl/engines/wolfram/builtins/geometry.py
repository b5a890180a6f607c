"""Geometry: distances, angles, regions and their measures, triangles, transformations. Exact throughout.

Regions stay symbolic (Disk[{0, 0}, 2]); measures are formulas per kind of region. Knows nothing of matrices (linalg).
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from nsrl.engines.wolfram.builtins.linalg import determinant, rows, vector
from nsrl.engines.wolfram.evaluator import sub_handler
from nsrl.engines.wolfram.expr import FALSE, TRUE, Expr, S, has_head, is_list, lst, mk
from nsrl.engines.wolfram.table import Builtin, symbols, table

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)

HALF = Fraction(1, 2)

symbols(TABLE, "Point Line Triangle Polygon Rectangle Disk Circle Sphere Ball InfiniteLine HalfLine InfinitePlane "
               "Cuboid Cube Cylinder Cone Ellipsoid Simplex Parallelogram Tetrahedron RegularPolygon EmptyRegion "
               "TransformationFunction Undefined Pyramid Prism Octahedron Dodecahedron Icosahedron Annulus Arrow "
               "ImplicitRegion StadiumShape Parallelepiped HalfPlane")  # fmt: skip


def plus(*a: Any) -> Expr:
    return Expr(S.Plus, a)


def times(*a: Any) -> Expr:
    return Expr(S.Times, a)


def power(a: Any, n: Any) -> Expr:
    return mk(S.Power, a, n)


def minus(a: Any, b: Any) -> Expr:
    return mk(S.Plus, a, mk(S.Times, -1, b))


def _points(e: Any) -> list[list[Any]] | None:
    """A list of points as lists of coordinates."""
    return rows(e)


def _difference(p: list[Any], q: list[Any]) -> list[Any]:
    return [minus(a, b) for a, b in zip(p, q)]


def _dotted(u: list[Any], v: list[Any]) -> Any:
    return Expr(S.Plus, tuple(times(a, b) for a, b in zip(u, v)))


def distance(ev: Any, p: list[Any], q: list[Any]) -> Any:
    return ev.eval(mk(S.Sqrt, Expr(S.Plus, tuple(power(mk(S.Abs, minus(a, b)), 2) for a, b in zip(p, q)))))


def _pair(args: tuple) -> tuple[list, list] | None:
    p, q = vector(args[0]), vector(args[1])
    if p is None or q is None or len(p) != len(q):
        return None
    return p, q


# --- distances and angles


@builtin("EuclideanDistance", arity=2)
def euclidean_distance(ev: Any, args: tuple) -> Any:
    if not is_list(args[0]) and not is_list(args[1]):
        return ev.eval(mk(S.Abs, minus(args[0], args[1])))
    both = _pair(args)
    return None if both is None else distance(ev, *both)


@builtin("SquaredEuclideanDistance", arity=2)
def squared_distance(ev: Any, args: tuple) -> Any:
    both = _pair(args)
    return None if both is None else ev.eval(
        Expr(S.Plus, tuple(power(mk(S.Abs, minus(a, b)), 2) for a, b in zip(*both))))  # fmt: skip


@builtin("ManhattanDistance", arity=2)
def manhattan_distance(ev: Any, args: tuple) -> Any:
    both = _pair(args)
    return None if both is None else ev.eval(Expr(S.Plus, tuple(mk(S.Abs, minus(a, b)) for a, b in zip(*both))))


@builtin("ChessboardDistance", arity=2)
def chessboard_distance(ev: Any, args: tuple) -> Any:
    both = _pair(args)
    return None if both is None else ev.eval(Expr(S.Max, tuple(mk(S.Abs, minus(a, b)) for a, b in zip(*both))))


@builtin("CosineDistance", arity=2)
def cosine_distance(ev: Any, args: tuple) -> Any:
    both = _pair(args)
    return None if both is None else ev.eval(minus(1, _cosine(*both)))


@builtin("HammingDistance", arity=2)
def hamming_distance(ev: Any, args: tuple) -> Any:
    a, b = args
    x = list(a) if isinstance(a, str) else vector(a)
    y = list(b) if isinstance(b, str) else vector(b)
    return None if x is None or y is None or len(x) != len(y) else sum(p != q for p, q in zip(x, y))


def _cosine(u: list[Any], v: list[Any]) -> Any:
    return times(_dotted(u, v), power(times(_dotted(u, u), _dotted(v, v)), -HALF))


def vector_angle(ev: Any, u: list[Any], v: list[Any]) -> Any:
    c = ev.eval(_cosine(u, v))
    return ev.eval(mk(S.ArcCos, c))


@builtin("VectorAngle", arity=2)
def vector_angle_(ev: Any, args: tuple) -> Any:
    both = _pair(args)
    return None if both is None else vector_angle(ev, *both)


@builtin("PlanarAngle", arity=(1, 2))
def planar_angle(ev: Any, args: tuple) -> Any:
    e = args[0]
    if has_head(e, S.Rule) and is_list(e.args[1]):
        e = lst((e.args[1].args[0], e.args[0], e.args[1].args[1]))
    p = _points(e)
    if p is None or len(p) != 3:
        return None
    return vector_angle(ev, _difference(p[0], p[1]), _difference(p[2], p[1]))


@builtin("PolygonAngle", arity=(1, 2))
def polygon_angle(ev: Any, args: tuple) -> Any:
    p = polygon_points(ev, args[0])
    if p is None:
        return None
    n = len(p)
    orientation = ev.eval(mk(S.Sign, signed_area(p)))

    def at(i: int) -> Any:
        a, b, c = p[i - 1], p[i], p[(i + 1) % n]
        u, v = _difference(a, b), _difference(c, b)
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


@builtin("Midpoint", arity=(1, 2))
def midpoint(ev: Any, args: tuple) -> Any:
    e = args[0]
    if has_head(e, S.Line):
        e = e.args[0]
    if len(args) == 2:
        e = lst(args)
    p = _points(e)
    if p is None or len(p) != 2:
        return None
    return ev.eval(lst(times(HALF, plus(a, b)) for a, b in zip(*p)))


@builtin("CollinearPoints CoplanarPoints", arity=1)
def collinear(ev: Any, args: tuple) -> Any:
    return None


# --- regions


def signed_area(p: list[list[Any]]) -> Any:
    n = len(p)
    return times(HALF, Expr(S.Plus, tuple(
        minus(times(p[i][0], p[(i + 1) % n][1]), times(p[(i + 1) % n][0], p[i][1])) for i in range(n))))  # fmt: skip


def polygon_points(ev: Any, e: Any) -> list[list[Any]] | None:
    """Corners of a plane region made of straight sides."""
    if type(e) is not Expr:
        return None
    a = e.args
    if e.head in (S.Polygon, S.Triangle, S.Simplex) and len(a) >= 1:
        p = _points(a[0])
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
        o, sides = vector(a[0]), _points(a[1])
        if o is None or sides is None or len(sides) != 2:
            return None
        u, v = sides
        return [o, _sum(ev, o, u), _sum(ev, _sum(ev, o, u), v), _sum(ev, o, v)]
    if e.head is S.RegularPolygon:
        return _regular(ev, a)
    return None


def _sum(ev: Any, p: list[Any], q: list[Any]) -> list[Any]:
    return [ev.eval(plus(a, b)) for a, b in zip(p, q)]


def _regular(ev: Any, a: tuple) -> list[list[Any]] | None:
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
        out.append([ev.eval(plus(centre[0], times(radius, mk(S.Cos, t)))), ev.eval(plus(centre[1], times(radius, mk(S.Sin, t))))])
    return out


def _centre_radius(a: tuple, dimension: int) -> tuple[list[Any], Any] | None:
    centre = vector(a[0]) if a else [0] * dimension
    radius = a[1] if len(a) > 1 else 1
    return None if centre is None else (centre, radius)


def _lengths(ev: Any, p: list[list[Any]], closed: bool) -> Any:
    pairs = list(zip(p, p[1:])) + ([(p[-1], p[0])] if closed else [])  # noqa: RUF007 (a list is needed)
    return ev.eval(Expr(S.Plus, tuple(distance(ev, a, b) for a, b in pairs)))


def area(ev: Any, e: Any) -> Any:
    """The area of a plane region or surface, or None."""
    if type(e) is not Expr:
        return None
    a = e.args
    if e.head in (S.Polygon, S.Triangle, S.Rectangle, S.Parallelogram, S.RegularPolygon):
        if (e.head is S.RegularPolygon and len(a) == 1) or (e.head is S.RegularPolygon and not is_list(a[0]) and len(a) == 2):
            n, r = a[-1], a[0] if len(a) == 2 else 1
            if type(n) is int and n >= 3:
                return ev.eval(times(Fraction(n, 2), power(r, 2), mk(S.Sin, times(Fraction(2, n), S.Pi))))
        p = polygon_points(ev, e)
        if p is None:
            return None
        if len(p[0]) == 3:
            u, v = _difference(p[1], p[0]), _difference(p[2], p[0])
            parts = ev.eval(mk(S.Cross, lst(u), lst(v)))
            return ev.eval(times(HALF, mk(S.Norm, parts))) if len(p) == 3 else None
        return ev.eval(mk(S.Abs, signed_area(p)))
    if e.head is S.Disk:
        cr = _centre_radius(a, 2)
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
        cr = _centre_radius(a, 3)
        return ev.eval(times(4, S.Pi, power(cr[1], 2))) if cr and len(cr[0]) == 3 else None
    if e.head is S.Simplex:
        return area(ev, Expr(S.Triangle, a))
    return None


@builtin("Area", arity=(1, None))
def area_(ev: Any, args: tuple) -> Any:
    e = args[0]
    if type(e) is Expr and e.head in (S.Line, S.Circle, S.Point, S.InfiniteLine):
        return S.Undefined
    if type(e) is Expr and e.head in (S.InfinitePlane, S.HalfPlane):
        return S.Infinity
    if is_list(e) and e.args and all(type(a) is Expr and not is_list(a) for a in e.args):
        return None
    return area(ev, e)


@builtin("Perimeter", arity=(1, None))
def perimeter(ev: Any, args: tuple) -> Any:
    e = args[0]
    if type(e) is not Expr:
        return None
    if e.head is S.Disk:
        cr = _centre_radius(e.args, 2)
        if cr is None or is_list(cr[1]):
            return None
        if len(e.args) == 3 and is_list(e.args[2]):
            t1, t2 = e.args[2].args
            return ev.eval(plus(times(2, cr[1]), times(cr[1], mk(S.Abs, minus(t2, t1)))))
        return ev.eval(times(2, S.Pi, cr[1]))
    if e.head is S.RegularPolygon and len(e.args) <= 2 and not (e.args and is_list(e.args[0])) and type(e.args[-1]) is int:
        n, r = e.args[-1], e.args[0] if len(e.args) == 2 else 1
        return ev.eval(times(2 * n, r, mk(S.Sin, times(Fraction(1, n), S.Pi))))
    p = polygon_points(ev, e)
    return None if p is None else _lengths(ev, p, True)


@builtin("ArcLength", arity=(1, None))
def arc_length(ev: Any, args: tuple) -> Any:
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
        cr = _centre_radius(e.args, 2)
        if cr is None or is_list(cr[1]):
            return None
        if len(e.args) == 3 and is_list(e.args[2]):
            t1, t2 = e.args[2].args
            return ev.eval(times(cr[1], mk(S.Abs, minus(t2, t1))))
        return ev.eval(times(2, S.Pi, cr[1]))
    if e.head is S.Line:
        p = _points(e.args[0])
        return None if p is None else _lengths(ev, p, False)
    if e.head in (S.InfiniteLine, S.HalfLine):
        return S.Infinity
    return None


def volume(ev: Any, e: Any) -> Any:
    """The volume of a solid, or None."""
    if type(e) is not Expr:
        return None
    a = e.args
    if e.head is S.Ball:
        cr = _centre_radius(a, 3)
        return ev.eval(times(Fraction(4, 3), S.Pi, power(cr[1], 3))) if cr and len(cr[0]) == 3 else None
    if e.head is S.Ellipsoid and len(a) == 2 and is_list(a[1]) and len(a[1].args) == 3:
        return ev.eval(times(Fraction(4, 3), S.Pi, *a[1].args))
    if e.head is S.Cuboid:
        low = vector(a[0]) if a else [0, 0, 0]
        high = vector(a[1]) if len(a) > 1 else [ev.eval(plus(x, 1)) for x in low]
        return ev.eval(mk(S.Abs, Expr(S.Times, tuple(minus(h, x) for x, h in zip(low, high))))) if len(low) == 3 else None
    if e.head is S.Cube:
        side = a[-1] if a and not is_list(a[-1]) else 1
        return ev.eval(power(side, 3))
    if e.head in (S.Cylinder, S.Cone):
        ends = _points(a[0]) if a else [[0, 0, -1], [0, 0, 1]]
        if ends is None or len(ends) != 2:
            return None
        r = a[1] if len(a) > 1 else 1
        k = 1 if e.head is S.Cylinder else Fraction(1, 3)
        return ev.eval(times(k, S.Pi, power(r, 2), distance(ev, *ends)))
    if e.head is S.Tetrahedron and (not a or not is_list(a[0])):
        return ev.eval(times(power(a[0] if a else 1, 3), power(times(6, mk(S.Sqrt, 2)), -1)))
    if e.head in (S.Tetrahedron, S.Simplex, S.Pyramid) and a and _points(a[0]) and len(_points(a[0])) == 4:
        p = _points(a[0])
        d = determinant(ev, [[ev.eval(x) for x in _difference(q, p[0])] for q in p[1:]])
        return ev.eval(times(Fraction(1, 6), mk(S.Abs, d)))
    if e.head is S.Parallelepiped and len(a) == 2:
        m = _points(a[1])
        return None if m is None else ev.eval(mk(S.Abs, determinant(ev, m)))
    return None


@builtin("Volume", arity=(1, None))
def volume_(ev: Any, args: tuple) -> Any:
    e = args[0]
    if type(e) is Expr and (_DIMENSION.get(e.head, 3) < 3 or e.head is S.Sphere):
        return S.Undefined
    return volume(ev, e)


@builtin("SurfaceArea", arity=(1, None))
def surface_area(ev: Any, args: tuple) -> Any:
    e = args[0]
    if type(e) is not Expr:
        return None
    a = e.args
    if e.head is S.Ball:
        cr = _centre_radius(a, 3)
        return ev.eval(times(4, S.Pi, power(cr[1], 2))) if cr else None
    if e.head is S.Cube:
        return ev.eval(times(6, power(a[-1] if a and not is_list(a[-1]) else 1, 2)))
    if e.head is S.Cuboid:
        low = vector(a[0]) if a else [0, 0, 0]
        high = vector(a[1]) if len(a) > 1 else [ev.eval(plus(x, 1)) for x in low]
        x, y, z = (mk(S.Abs, minus(h, v)) for v, h in zip(low, high))
        return ev.eval(times(2, plus(times(x, y), times(y, z), times(x, z))))
    if e.head is S.Cylinder:
        ends = _points(a[0]) if a else [[0, 0, -1], [0, 0, 1]]
        r = a[1] if len(a) > 1 else 1
        return ev.eval(plus(times(2, S.Pi, power(r, 2)), times(2, S.Pi, r, distance(ev, *ends))))
    if e.head is S.Cone:
        ends = _points(a[0]) if a else [[0, 0, -1], [0, 0, 1]]
        r = a[1] if len(a) > 1 else 1
        slant = mk(S.Sqrt, plus(power(r, 2), power(distance(ev, *ends), 2)))
        return ev.eval(plus(times(S.Pi, power(r, 2)), times(S.Pi, r, slant)))
    return None


@builtin("RegionMeasure", arity=(1, None))
def region_measure(ev: Any, args: tuple) -> Any:
    e = args[0]
    if type(e) is not Expr:
        return None
    if e.head is S.Point:
        return len(e.args[0].args) if _points(e.args[0]) else 1
    if e.head is S.EmptyRegion:
        return 0
    for f in (volume(ev, e), area(ev, e)):
        if f is not None:
            return f
    return arc_length(ev, (e,))


@builtin("RegionDimension RegionEmbeddingDimension", arity=1)
def region_dimension(ev: Any, args: tuple) -> Any:
    return None


_DIMENSION = {S.Point: 0, S.Line: 1, S.Circle: 1, S.InfiniteLine: 1, S.HalfLine: 1, S.Polygon: 2, S.Triangle: 2, S.Rectangle: 2,
              S.Disk: 2, S.Sphere: 2, S.RegularPolygon: 2, S.Parallelogram: 2, S.Ball: 3, S.Cuboid: 3, S.Cube: 3,
              S.Cylinder: 3, S.Cone: 3, S.Tetrahedron: 3, S.Ellipsoid: 3, S.InfinitePlane: 2, S.Annulus: 2}  # fmt: skip


def _dimension(ev: Any, args: tuple) -> Any:
    e = args[0]
    return _DIMENSION.get(e.head) if type(e) is Expr else None


def _embedding(ev: Any, args: tuple) -> Any:
    e = args[0]
    while type(e) is Expr and not (is_list(e) and e.args and not is_list(e.args[0])):
        if not e.args:
            return 3 if type(args[0]) is Expr and args[0].head in (S.Ball, S.Sphere, S.Cuboid, S.Cone, S.Cylinder) else 2
        e = e.args[0]
    return len(e.args) if type(e) is Expr else None


TABLE["RegionDimension"].handler, TABLE["RegionEmbeddingDimension"].handler = _dimension, _embedding


@builtin("RegionCentroid", arity=1)
def region_centroid(ev: Any, args: tuple) -> Any:
    e = args[0]
    if type(e) is not Expr:
        return None
    if e.head in (S.Disk, S.Circle, S.Sphere, S.Ball, S.Ellipsoid):
        cr = _centre_radius(e.args, 3 if e.head in (S.Sphere, S.Ball) else 2)
        return lst(cr[0]) if cr and len(e.args) < 3 else None
    if e.head is S.Point:
        p = _points(e.args[0])
        return e.args[0] if p is None else _mean(ev, p)
    if e.head is S.Line:
        p = _points(e.args[0])
        if p is None or len(p) < 2:
            return None
        if len(p) == 2:
            return _mean(ev, p)
        weights = [distance(ev, a, b) for a, b in zip(p, p[1:])]  # noqa: RUF007
        middles = [_mean(ev, [a, b]) for a, b in zip(p, p[1:])]  # noqa: RUF007
        whole = power(Expr(S.Plus, tuple(weights)), -1)
        return ev.eval(times(whole, Expr(S.Plus, tuple(times(w, m) for w, m in zip(weights, middles)))))
    if e.head is S.Cuboid:
        low = vector(e.args[0]) if e.args else [0, 0, 0]
        high = vector(e.args[1]) if len(e.args) > 1 else [ev.eval(plus(x, 1)) for x in low]
        return _mean(ev, [low, high])
    if e.head in (S.Tetrahedron, S.Simplex) and e.args and _points(e.args[0]):
        return _mean(ev, _points(e.args[0]))
    p = polygon_points(ev, e)
    if p is None:
        return None
    if len(p) == 3:
        return _mean(ev, p)
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


def _mean(ev: Any, p: list[list[Any]]) -> Any:
    return ev.eval(lst(times(Fraction(1, len(p)), Expr(S.Plus, tuple(c))) for c in zip(*p)))


def _constraint(ev: Any, e: Any, x: list[Any]) -> Any:
    """The condition for a point x to lie in a region, or None."""
    a = e.args

    def square_distance(c: list[Any]) -> Any:
        return Expr(S.Plus, tuple(power(minus(u, v), 2) for u, v in zip(x, c)))

    if e.head in (S.Disk, S.Ball, S.Circle, S.Sphere):
        cr = _centre_radius(a, len(x))
        if cr is None or len(cr[0]) != len(x) or is_list(cr[1]) or len(a) > 2:
            return None
        op = S.LessEqual if e.head in (S.Disk, S.Ball) else S.Equal
        return mk(op, square_distance(cr[0]), power(cr[1], 2))
    if e.head is S.Point:
        p = _points(a[0]) or [vector(a[0])]
        return Expr(S.Or, tuple(Expr(S.And, tuple(mk(S.Equal, u, v) for u, v in zip(x, q))) for q in p))
    if e.head in (S.Rectangle, S.Cuboid):
        low = vector(a[0]) if a else [0] * len(x)
        high = vector(a[1]) if len(a) > 1 else [plus(v, 1) for v in low]
        return Expr(S.And, tuple(mk(S.LessEqual, lo, v, hi) for lo, v, hi in zip(low, x, high)))
    if e.head in (S.InfiniteLine, S.Line, S.HalfLine):
        p = _points(a[0])
        if p is None or len(p) != 2:
            return None
        u, v = _difference(p[1], p[0]), _difference(x, p[0])
        parts = [mk(S.Equal, minus(times(u[i], v[j]), times(u[j], v[i])), 0)
                 for i in range(len(x)) for j in range(i)]  # fmt: skip
        if e.head is not S.InfiniteLine:
            parts.append(mk(S.GreaterEqual, _dotted(u, v), 0))
        if e.head is S.Line:
            parts.append(mk(S.LessEqual, _dotted(u, v), _dotted(u, u)))
        return Expr(S.And, tuple(parts))
    return None


def _inside_polygon(ev: Any, p: list[list[Any]], x: list[Any]) -> bool | None:
    """Whether the point of exact numbers lies in the polygon, its edge included."""
    number = (int, Fraction, float)
    values = [*x, *(c for q in p for c in q)]
    if not all(isinstance(v, number) for v in values):
        numeric = [ev.eval(mk(S.N, v)) for v in values]
        if not all(isinstance(v, number) for v in numeric):
            return None
        x = numeric[: len(x)]
        p = [numeric[len(x) + 2 * i : len(x) + 2 * i + 2] for i in range(len(p))]
    inside = False
    for i in range(len(p)):
        (x1, y1), (x2, y2) = p[i - 1], p[i]
        cross = (x2 - x1) * (x[1] - y1) - (y2 - y1) * (x[0] - x1)
        if abs(cross) < 1e-12 and min(x1, x2) <= x[0] <= max(x1, x2) and min(y1, y2) <= x[1] <= max(y1, y2):
            return True
        if (y1 > x[1]) != (y2 > x[1]) and x[0] < (x2 - x1) * (x[1] - y1) / (y2 - y1) + x1:
            inside = not inside
    return inside


@builtin("RegionMember", arity=(1, 2))
def region_member(ev: Any, args: tuple) -> Any:
    if len(args) == 1:
        return None
    e, x = args[0], vector(args[1])
    if type(e) is not Expr or x is None:
        return None
    c = _constraint(ev, e, x)
    if c is not None:
        return ev.eval(c)
    p = polygon_points(ev, e)
    inside = _inside_polygon(ev, p, x) if p is not None and len(p[0]) == 2 else None
    return None if inside is None else TRUE if inside else FALSE


@sub_handler("RegionMember")
def region_member_function(ev: Any, head: Expr, args: tuple) -> Any:
    return mk(S.RegionMember, head.args[0], args[0]) if len(head.args) == 1 and len(args) == 1 else None


@builtin("RegionNearest", arity=(1, 2))
def region_nearest(ev: Any, args: tuple) -> Any:
    if len(args) == 1:
        return None
    e, x = args[0], vector(args[1])
    if type(e) is not Expr or x is None:
        return None
    if e.head in (S.InfiniteLine, S.Line, S.HalfLine):
        p = _points(e.args[0])
        if p is None or len(p) != 2:
            return None
        u = _difference(p[1], p[0])
        t = ev.eval(times(_dotted(_difference(x, p[0]), u), power(_dotted(u, u), -1)))
        if e.head is not S.InfiniteLine and ev.eval(mk(S.Less, t, 0)) is TRUE:
            t = 0
        if e.head is S.Line and ev.eval(mk(S.Greater, t, 1)) is TRUE:
            t = 1
        return ev.eval(lst(plus(a, times(t, b)) for a, b in zip(p[0], u)))
    if e.head is S.Point:
        p = _points(e.args[0])
        if p is None:
            return e.args[0]
        sizes = [ev.eval(mk(S.N, distance(ev, x, q))) for q in p]
        return lst(p[min(range(len(p)), key=lambda i: sizes[i])])
    if e.head in (S.Disk, S.Ball, S.Circle, S.Sphere):
        cr = _centre_radius(e.args, len(x))
        if cr is None:
            return None
        if e.head in (S.Disk, S.Ball) and ev.eval(_constraint(ev, e, x)) is TRUE:
            return args[1]
        u = _difference(x, cr[0])
        scale = times(cr[1], power(distance(ev, x, cr[0]), -1))
        return ev.eval(lst(plus(c, times(scale, v)) for c, v in zip(cr[0], u)))
    p = polygon_points(ev, e)
    if p is None or len(p[0]) != 2:
        return None
    if _inside_polygon(ev, p, x):
        return args[1]
    best = [ev.eval(mk(S.RegionNearest, mk(S.Line, lst((lst(p[i - 1]), lst(p[i])))), args[1])) for i in range(len(p))]
    sizes = [ev.eval(mk(S.N, distance(ev, x, vector(q)))) for q in best]
    return best[min(range(len(best)), key=lambda i: sizes[i])]


@builtin("RegionDistance", arity=(1, 2))
def region_distance(ev: Any, args: tuple) -> Any:
    if len(args) == 1 or vector(args[1]) is None:
        return None
    q = ev.eval(mk(S.RegionNearest, *args))
    return distance(ev, vector(args[1]), vector(q)) if vector(q) is not None else None


@builtin("RegionIntersection", arity=(1, None))
def region_intersection(ev: Any, args: tuple) -> Any:
    if len(args) != 2:
        return args[0] if len(args) == 1 else None
    from nsrl.engines.wolfram.expr import sym

    a, b = args
    if type(a) is not Expr or type(b) is not Expr:
        return None
    if a == b:
        return a
    n = _embedding(ev, (a,))
    if n not in (2, 3):
        return None
    names = [sym("\x05" + c) for c in "xyz"[:n]]
    ca, cb = _constraint(ev, a, names), _constraint(ev, b, names)
    if ca is None or cb is None or S.LessEqual in (ca.head, cb.head):
        return None
    found = ev.eval(mk(S.Solve, mk(S.And, ca, cb), lst(names), S.Reals))
    if not is_list(found):
        return None
    points = []
    for s in found.args:
        if len(s.args) != n:
            return None
        points.append(lst(r.args[1] for r in s.args))
    if not points:
        return mk(S.EmptyRegion, n)
    return mk(S.Point, lst(points))


# --- triangles


@builtin("SSSTriangle", arity=3)
def sss_triangle(ev: Any, args: tuple) -> Any:
    """The triangle {0,0}, {c,0}, apex, with sides a, b, c opposite to its corners in that order."""
    a, b, c = args
    if any(isinstance(x, (int, Fraction, float)) and x <= 0 for x in args):
        return None
    if all(isinstance(x, (int, Fraction, float)) for x in args) and 2 * max(args) > sum(args):
        ev.message("SSSTriangle", "tineq", "The side lengths do not satisfy the triangle inequality.")
        return None
    x = times(plus(power(b, 2), power(c, 2), times(-1, power(a, 2))), power(times(2, c), -1))
    x = ev.eval(x)
    y = ev.eval(mk(S.Sqrt, minus(power(b, 2), power(x, 2))))
    return mk(S.Triangle, lst((lst((0, 0)), lst((c, 0)), lst((x, y)))))


@builtin("SASTriangle", arity=3)
def sas_triangle(ev: Any, args: tuple) -> Any:
    """Sides a and b with the angle gamma between them."""
    a, gamma, b = args
    c = ev.eval(mk(S.Sqrt, plus(power(a, 2), power(b, 2), times(-2, a, b, mk(S.Cos, gamma)))))
    x = ev.eval(mk(S.Simplify, times(plus(power(b, 2), times(-1, a, b, mk(S.Cos, gamma))), power(c, -1))))
    y = ev.eval(mk(S.Simplify, times(a, b, mk(S.Sin, gamma), power(c, -1))))
    return mk(S.Triangle, lst((lst((0, 0)), lst((c, 0)), lst((x, y)))))


@builtin("ASATriangle", arity=3)
def asa_triangle(ev: Any, args: tuple) -> Any:
    """Angles alpha and beta at the ends of side c."""
    alpha, c, beta = args
    b = times(c, mk(S.Sin, beta), power(mk(S.Sin, plus(alpha, beta)), -1))
    x, y = ev.eval(mk(S.Simplify, times(b, mk(S.Cos, alpha)))), ev.eval(mk(S.Simplify, times(b, mk(S.Sin, alpha))))
    return mk(S.Triangle, lst((lst((0, 0)), lst((c, 0)), lst((x, y)))))


@builtin("AASTriangle", arity=3)
def aas_triangle(ev: Any, args: tuple) -> Any:
    """Angles alpha and beta and the side a opposite alpha."""
    alpha, beta, a = args
    c = ev.eval(mk(S.Simplify, times(a, mk(S.Sin, plus(alpha, beta)), power(mk(S.Sin, alpha), -1))))
    return asa_triangle(ev, (alpha, c, beta))


def _triangle(ev: Any, e: Any) -> list[list[Any]] | None:
    p = _points(e.args[0]) if type(e) is Expr and e.head in (S.Triangle, S.Polygon) and e.args else _points(e)
    return p if p is not None and len(p) == 3 else None


def _circumcentre(ev: Any, p: list[list[Any]]) -> list[Any]:
    (ax, ay), (bx, by), (cx, cy) = p
    d = times(2, plus(times(ax, minus(by, cy)), times(bx, minus(cy, ay)), times(cx, minus(ay, by))))
    squares = [plus(power(x, 2), power(y, 2)) for x, y in p]
    ux = plus(times(squares[0], minus(by, cy)), times(squares[1], minus(cy, ay)), times(squares[2], minus(ay, by)))
    uy = plus(times(squares[0], minus(cx, bx)), times(squares[1], minus(ax, cx)), times(squares[2], minus(bx, ax)))
    return [ev.eval(times(ux, power(d, -1))), ev.eval(times(uy, power(d, -1)))]


@builtin("Circumsphere", arity=1)
def circumsphere(ev: Any, args: tuple) -> Any:
    p = _triangle(ev, args[0])
    if p is None or len(p[0]) != 2:
        return None
    c = _circumcentre(ev, p)
    return mk(S.Sphere, lst(c), distance(ev, c, p[0]))


def _sides(ev: Any, p: list[list[Any]]) -> tuple[Any, Any, Any]:
    return distance(ev, p[1], p[2]), distance(ev, p[2], p[0]), distance(ev, p[0], p[1])


def _incentre(ev: Any, p: list[list[Any]]) -> tuple[list[Any], Any]:
    a, b, c = _sides(ev, p)
    s = power(plus(a, b, c), -1)
    centre = [ev.eval(mk(S.Simplify, times(s, plus(times(a, p[0][i]), times(b, p[1][i]), times(c, p[2][i]))))) for i in (0, 1)]
    return centre, ev.eval(mk(S.Simplify, times(2, mk(S.Abs, signed_area(p)), s)))


@builtin("Insphere", arity=1)
def insphere(ev: Any, args: tuple) -> Any:
    p = _triangle(ev, args[0])
    if p is None or len(p[0]) != 2:
        return None
    centre, r = _incentre(ev, p)
    return mk(S.Sphere, lst(centre), r)


@builtin("TriangleMeasurement", arity=2)
def triangle_measurement(ev: Any, args: tuple) -> Any:
    p = _triangle(ev, args[0])
    what = args[1]
    if p is None or len(p[0]) != 2:
        return None
    if what == "Area":
        return ev.eval(mk(S.Abs, signed_area(p)))
    if what == "Perimeter":
        return _lengths(ev, p, True)
    if what == "Semiperimeter":
        return ev.eval(times(HALF, _lengths(ev, p, True)))
    if what in ("Circumradius", "CircumRadius"):
        return distance(ev, _circumcentre(ev, p), p[0])
    if what in ("Inradius", "InRadius"):
        return _incentre(ev, p)[1]
    return None


@builtin("TriangleCenter", arity=(1, 2))
def triangle_center(ev: Any, args: tuple) -> Any:
    p = _triangle(ev, args[0])
    what = args[1] if len(args) == 2 else "Centroid"
    if p is None or len(p[0]) != 2:
        return None
    if what == "Centroid":
        return _mean(ev, p)
    if what == "Circumcenter":
        return lst(_circumcentre(ev, p))
    if what == "Incenter":
        return lst(_incentre(ev, p)[0])
    if what == "Orthocenter":
        c = _circumcentre(ev, p)
        return ev.eval(lst(minus(plus(p[0][i], p[1][i], p[2][i]), times(2, c[i])) for i in (0, 1)))
    return None


# --- transformations


@builtin("RotationMatrix", arity=(1, 2))
def rotation_matrix(ev: Any, args: tuple) -> Any:
    t = args[0]
    c, s = mk(S.Cos, t), mk(S.Sin, t)
    if len(args) == 1:
        return ev.eval(lst((lst((c, times(-1, s))), lst((s, c)))))
    axis = vector(args[1])
    if axis == [0, 0, 1]:
        return ev.eval(lst((lst((c, times(-1, s), 0)), lst((s, c, 0)), lst((0, 0, 1)))))
    if axis == [1, 0, 0]:
        return ev.eval(lst((lst((1, 0, 0)), lst((0, c, times(-1, s))), lst((0, s, c)))))
    if axis == [0, 1, 0]:
        return ev.eval(lst((lst((c, 0, s)), lst((0, 1, 0)), lst((times(-1, s), 0, c)))))
    return None


@builtin("ReflectionMatrix", arity=1)
def reflection_matrix(ev: Any, args: tuple) -> Any:
    v = vector(args[0])
    if v is None:
        return None
    n = power(_dotted(v, v), -1)
    return ev.eval(lst(lst(plus(1 if i == j else 0, times(-2, v[i], v[j], n)) for j in range(len(v))) for i in range(len(v))))


@builtin("ScalingMatrix", arity=1)
def scaling_matrix(ev: Any, args: tuple) -> Any:
    return ev.eval(mk(S.DiagonalMatrix, args[0])) if vector(args[0]) is not None else None


def _affine(ev: Any, m: Any, shift: list[Any]) -> Any:
    """TransformationFunction of x -> m x + shift."""
    r = rows(ev.eval(m))
    shift = [ev.eval(s) for s in shift]
    body = [lst((*row, s)) for row, s in zip(r, shift)]
    return mk(S.TransformationFunction, lst((*body, lst((*[0] * len(shift), 1)))))


@builtin("TranslationTransform", arity=1)
def translation_transform(ev: Any, args: tuple) -> Any:
    v = vector(args[0])
    return None if v is None else _affine(ev, mk(S.IdentityMatrix, len(v)), v)


@builtin("RotationTransform", arity=(1, 3))
def rotation_transform(ev: Any, args: tuple) -> Any:
    if len(args) == 3:
        return None
    m = rotation_matrix(ev, args[:1])
    if len(args) == 1:
        return _affine(ev, m, [0, 0])
    p = vector(args[1])
    if p is None or len(p) != 2:
        r = rotation_matrix(ev, args)
        return None if r is None else _affine(ev, r, [0, 0, 0])
    moved = ev.eval(mk(S.Dot, m, lst(p)))
    return _affine(ev, m, [minus(a, b) for a, b in zip(p, moved.args)])


@builtin("ReflectionTransform", arity=(1, 2))
def reflection_transform(ev: Any, args: tuple) -> Any:
    m = reflection_matrix(ev, args[:1])
    if m is None:
        return None
    p = vector(args[1]) if len(args) == 2 else [0] * len(args[0].args)
    moved = ev.eval(mk(S.Dot, m, lst(p)))
    return _affine(ev, m, [minus(a, b) for a, b in zip(p, moved.args)])


@builtin("ScalingTransform", arity=(1, 2))
def scaling_transform(ev: Any, args: tuple) -> Any:
    v = vector(args[0])
    if v is None:
        return None
    p = vector(args[1]) if len(args) == 2 else [0] * len(v)
    if p is None:
        return None
    return _affine(ev, mk(S.DiagonalMatrix, lst(v)), [minus(a, times(k, a)) for a, k in zip(p, v)])


@sub_handler("TransformationFunction")
def transformed(ev: Any, head: Expr, args: tuple) -> Any:
    if len(args) != 1 or rows(head.args[0]) is None or not is_list(args[0]):
        return None
    if rows(args[0]) is not None:
        return lst(Expr(head, (p,)) for p in args[0].args)
    *m, last = rows(head.args[0])
    x = [*args[0].args, 1]
    if len(m[0]) != len(x):
        return None
    out = [Expr(S.Plus, tuple(times(a, b) for a, b in zip(r, x))) for r in m]
    if last != [0] * (len(x) - 1) + [1]:
        scale = power(Expr(S.Plus, tuple(times(a, b) for a, b in zip(last, x))), -1)
        out = [times(q, scale) for q in out]
    return lst(out)


@builtin("CirclePoints", arity=(1, 3))
def circle_points(ev: Any, args: tuple) -> Any:
    p = _regular(ev, args)
    return None if p is None else lst(lst(q) for q in p)


@builtin("PerpendicularBisector", arity=1)
def _perpendicular_bisector(ev: Any, args: tuple) -> Any:
    e = args[0].args[0] if has_head(args[0], S.Line) else args[0]
    p = _points(e)
    if p is None or len(p) != 2 or len(p[0]) != 2:
        return None
    u = _difference(p[1], p[0])
    return ev.eval(mk(S.InfiniteLine, mk(S.Midpoint, e), lst((times(-1, u[1]), u[0]))))


def _collinear(ev: Any, args: tuple) -> Any:
    p = _points(args[0])
    if p is None:
        return None
    wanted = 1
    m = lst(lst(_difference(q, p[0])) for q in p[1:])
    rank = ev.eval(mk(S.MatrixRank, m))
    return (TRUE if rank <= wanted else FALSE) if isinstance(rank, int) else None


def _coplanar(ev: Any, args: tuple) -> Any:
    p = _points(args[0])
    if p is None:
        return None
    rank = ev.eval(mk(S.MatrixRank, lst(lst(_difference(q, p[0])) for q in p[1:])))
    return (TRUE if rank <= 2 else FALSE) if isinstance(rank, int) else None


TABLE["CollinearPoints"].handler, TABLE["CoplanarPoints"].handler = _collinear, _coplanar
