"""Geometry: distances, angles, regions and their measures, triangles, transformations. Exact throughout.

Regions stay symbolic (Disk[{0, 0}, 2]); measures are formulas per kind of region.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.builtins.linalg import rows, vector
from nsrl.engines.wolfram.expr import FALSE, TRUE, Expr, S, has_head, is_list, lst, minus, mk, plus, power, times
from nsrl.engines.wolfram.table import Builtin, symbols, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)

HALF = Fraction(1, 2)

symbols(TABLE, "Point Line Triangle Polygon Rectangle Disk Circle Sphere Ball InfiniteLine HalfLine InfinitePlane "
               "Cuboid Cube Cylinder Cone Ellipsoid Simplex Parallelogram Tetrahedron RegularPolygon EmptyRegion "
               "TransformationFunction Undefined Pyramid Prism Octahedron Dodecahedron Icosahedron Annulus Arrow "
               "ImplicitRegion StadiumShape Parallelepiped HalfPlane")  # fmt: skip


def point_list(e: Any) -> list[list[Any]] | None:
    """A list of points as lists of coordinates."""
    return rows(e)


def vector_difference(p: list[Any], q: list[Any]) -> list[Any]:
    """p - q by coordinates."""
    return [minus(a, b) for a, b in zip(p, q)]


def dotted(u: list[Any], v: list[Any]) -> Any:
    """The dot product as a tree."""
    return Expr(S.Plus, tuple(times(a, b) for a, b in zip(u, v)))


def distance(ev: Evaluator, p: list[Any], q: list[Any]) -> Any:
    """The distance of two points."""
    return ev.eval(mk(S.Sqrt, Expr(S.Plus, tuple(power(mk(S.Abs, minus(a, b)), 2) for a, b in zip(p, q)))))


def _pair(args: tuple) -> tuple[list, list] | None:
    p, q = vector(args[0]), vector(args[1])
    if p is None or q is None or len(p) != len(q):
        return None
    return p, q


# --- distances and angles


@builtin("EuclideanDistance", arity=2)
def euclidean_distance(ev: Evaluator, args: tuple) -> Any:
    if not is_list(args[0]) and not is_list(args[1]):
        return ev.eval(mk(S.Abs, minus(args[0], args[1])))
    both = _pair(args)
    return None if both is None else distance(ev, *both)


@builtin("SquaredEuclideanDistance", arity=2)
def squared_distance(ev: Evaluator, args: tuple) -> Any:
    both = _pair(args)
    return None if both is None else ev.eval(
        Expr(S.Plus, tuple(power(mk(S.Abs, minus(a, b)), 2) for a, b in zip(*both))))  # fmt: skip


@builtin("ManhattanDistance", arity=2)
def manhattan_distance(ev: Evaluator, args: tuple) -> Any:
    both = _pair(args)
    return None if both is None else ev.eval(Expr(S.Plus, tuple(mk(S.Abs, minus(a, b)) for a, b in zip(*both))))


@builtin("ChessboardDistance", arity=2)
def chessboard_distance(ev: Evaluator, args: tuple) -> Any:
    both = _pair(args)
    return None if both is None else ev.eval(Expr(S.Max, tuple(mk(S.Abs, minus(a, b)) for a, b in zip(*both))))


@builtin("HammingDistance", arity=2)
def hamming_distance(ev: Evaluator, args: tuple) -> Any:
    a, b = args
    x = list(a) if isinstance(a, str) else vector(a)
    y = list(b) if isinstance(b, str) else vector(b)
    return None if x is None or y is None or len(x) != len(y) else sum(p != q for p, q in zip(x, y))


def _cosine(u: list[Any], v: list[Any]) -> Any:
    return times(dotted(u, v), power(times(dotted(u, u), dotted(v, v)), -HALF))


def vector_angle(ev: Evaluator, u: list[Any], v: list[Any]) -> Any:
    """The angle between two vectors."""
    c = ev.eval(_cosine(u, v))
    return ev.eval(mk(S.ArcCos, c))


@builtin("VectorAngle", arity=2)
def vector_angle_(ev: Evaluator, args: tuple) -> Any:
    both = _pair(args)
    return None if both is None else vector_angle(ev, *both)


@builtin("PlanarAngle", arity=1)
def planar_angle(ev: Evaluator, args: tuple) -> Any:
    e = args[0]
    if has_head(e, S.Rule) and is_list(e.args[1]):
        e = lst((e.args[1].args[0], e.args[0], e.args[1].args[1]))
    p = point_list(e)
    if p is None or len(p) != 3:
        return None
    return vector_angle(ev, vector_difference(p[0], p[1]), vector_difference(p[2], p[1]))


@builtin("Midpoint", arity=(1, 2))
def midpoint(ev: Evaluator, args: tuple) -> Any:
    e = args[0]
    if has_head(e, S.Line):
        e = e.args[0]
    if len(args) == 2:
        e = lst(args)
    p = point_list(e)
    if p is None or len(p) != 2:
        return None
    return ev.eval(lst(times(HALF, plus(a, b)) for a, b in zip(*p)))


@builtin("CollinearPoints CoplanarPoints", arity=1)
def collinear(ev: Evaluator, args: tuple) -> Any:
    return None


# --- transformations


@builtin("PerpendicularBisector", arity=1)
def _perpendicular_bisector(ev: Evaluator, args: tuple) -> Any:
    e = args[0].args[0] if has_head(args[0], S.Line) else args[0]
    p = point_list(e)
    if p is None or len(p) != 2 or len(p[0]) != 2:
        return None
    u = vector_difference(p[1], p[0])
    return ev.eval(mk(S.InfiniteLine, mk(S.Midpoint, e), lst((times(-1, u[1]), u[0]))))


def _collinear(ev: Evaluator, args: tuple) -> Any:
    p = point_list(args[0])
    if p is None:
        return None
    wanted = 1
    m = lst(lst(vector_difference(q, p[0])) for q in p[1:])
    rank = ev.eval(mk(S.MatrixRank, m))
    return (TRUE if rank <= wanted else FALSE) if isinstance(rank, int) else None


def _coplanar(ev: Evaluator, args: tuple) -> Any:
    p = point_list(args[0])
    if p is None:
        return None
    rank = ev.eval(mk(S.MatrixRank, lst(lst(vector_difference(q, p[0])) for q in p[1:])))
    return (TRUE if rank <= 2 else FALSE) if isinstance(rank, int) else None


TABLE["CollinearPoints"].handler, TABLE["CoplanarPoints"].handler = _collinear, _coplanar
