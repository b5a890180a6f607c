"""Points and regions: which points lie in a region, the nearest one, how far it is, what two regions share."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.application import sub_handler
from nsrl.engines.wolfram.builtins.geometry import distance, dotted, point_list, vector_difference
from nsrl.engines.wolfram.builtins.linalg import vector
from nsrl.engines.wolfram.builtins.regions import centre_radius, embedding, polygon_points
from nsrl.engines.wolfram.expr import FALSE, TRUE, Expr, S, is_list, lst, minus, mk, plus, power, times
from nsrl.engines.wolfram.table import Builtin, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)


def _constraint(ev: Evaluator, e: Any, x: list[Any]) -> Any:
    """The condition for a point x to lie in a region, or None."""
    a = e.args

    def square_distance(c: list[Any]) -> Any:
        return Expr(S.Plus, tuple(power(minus(u, v), 2) for u, v in zip(x, c)))

    if e.head in (S.Disk, S.Ball, S.Circle, S.Sphere):
        cr = centre_radius(a, len(x))
        if cr is None or len(cr[0]) != len(x) or is_list(cr[1]) or len(a) > 2:
            return None
        op = S.LessEqual if e.head in (S.Disk, S.Ball) else S.Equal
        return mk(op, square_distance(cr[0]), power(cr[1], 2))
    if e.head is S.Point:
        p = point_list(a[0]) or [vector(a[0])]
        return Expr(S.Or, tuple(Expr(S.And, tuple(mk(S.Equal, u, v) for u, v in zip(x, q))) for q in p))
    if e.head in (S.Rectangle, S.Cuboid):
        low = vector(a[0]) if a else [0] * len(x)
        high = vector(a[1]) if len(a) > 1 else [plus(v, 1) for v in low]
        return Expr(S.And, tuple(mk(S.LessEqual, lo, v, hi) for lo, v, hi in zip(low, x, high)))
    if e.head in (S.InfiniteLine, S.Line, S.HalfLine):
        p = point_list(a[0])
        if p is None or len(p) != 2:
            return None
        u, v = vector_difference(p[1], p[0]), vector_difference(x, p[0])
        parts = [mk(S.Equal, minus(times(u[i], v[j]), times(u[j], v[i])), 0)
                 for i in range(len(x)) for j in range(i)]  # fmt: skip
        if e.head is not S.InfiniteLine:
            parts.append(mk(S.GreaterEqual, dotted(u, v), 0))
        if e.head is S.Line:
            parts.append(mk(S.LessEqual, dotted(u, v), dotted(u, u)))
        return Expr(S.And, tuple(parts))
    return None


def _inside_polygon(ev: Evaluator, p: list[list[Any]], x: list[Any]) -> bool | None:
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
def region_member(ev: Evaluator, args: tuple) -> Any:
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
def region_member_function(ev: Evaluator, head: Expr, args: tuple) -> Any:
    return mk(S.RegionMember, head.args[0], args[0]) if len(head.args) == 1 and len(args) == 1 else None


@builtin("RegionNearest", arity=(1, 2))
def region_nearest(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1:
        return None
    e, x = args[0], vector(args[1])
    if type(e) is not Expr or x is None:
        return None
    if e.head in (S.InfiniteLine, S.Line, S.HalfLine):
        p = point_list(e.args[0])
        if p is None or len(p) != 2:
            return None
        u = vector_difference(p[1], p[0])
        t = ev.eval(times(dotted(vector_difference(x, p[0]), u), power(dotted(u, u), -1)))
        if e.head is not S.InfiniteLine and ev.eval(mk(S.Less, t, 0)) is TRUE:
            t = 0
        if e.head is S.Line and ev.eval(mk(S.Greater, t, 1)) is TRUE:
            t = 1
        return ev.eval(lst(plus(a, times(t, b)) for a, b in zip(p[0], u)))
    if e.head is S.Point:
        p = point_list(e.args[0])
        if p is None:
            return e.args[0]
        sizes = [ev.eval(mk(S.N, distance(ev, x, q))) for q in p]
        return lst(p[min(range(len(p)), key=lambda i: sizes[i])])
    if e.head in (S.Disk, S.Ball, S.Circle, S.Sphere):
        cr = centre_radius(e.args, len(x))
        if cr is None:
            return None
        if e.head in (S.Disk, S.Ball) and ev.eval(_constraint(ev, e, x)) is TRUE:
            return args[1]
        u = vector_difference(x, cr[0])
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
def region_distance(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1 or vector(args[1]) is None:
        return None
    q = ev.eval(mk(S.RegionNearest, *args))
    return distance(ev, vector(args[1]), vector(q)) if vector(q) is not None else None


@builtin("RegionIntersection", arity=(1, None), data=True)
def region_intersection(ev: Evaluator, args: tuple) -> Any:
    if len(args) != 2:
        return args[0] if len(args) == 1 else None
    from nsrl.engines.wolfram.expr import sym

    a, b = args
    if type(a) is not Expr or type(b) is not Expr:
        return None
    if a == b:
        return a
    n = embedding(ev, (a,))
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
