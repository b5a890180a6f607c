"""Triangles from their parts, their centres and measurements."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.builtins.geometry import HALF, distance, point_list
from nsrl.engines.wolfram.builtins.regions import mean_of, side_lengths, signed_area
from nsrl.engines.wolfram.expr import Expr, S, lst, minus, mk, plus, power, times
from nsrl.engines.wolfram.table import Builtin, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)


@builtin("SSSTriangle", arity=3, takes="scalar scalar scalar")
def sss_triangle(ev: Evaluator, args: tuple) -> Any:
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


@builtin("SASTriangle", arity=3, takes="scalar scalar scalar")
def sas_triangle(ev: Evaluator, args: tuple) -> Any:
    """Sides a and b with the angle gamma between them."""
    a, gamma, b = args
    c = ev.eval(mk(S.Sqrt, plus(power(a, 2), power(b, 2), times(-2, a, b, mk(S.Cos, gamma)))))
    x = ev.eval(mk(S.Simplify, times(plus(power(b, 2), times(-1, a, b, mk(S.Cos, gamma))), power(c, -1))))
    y = ev.eval(mk(S.Simplify, times(a, b, mk(S.Sin, gamma), power(c, -1))))
    return mk(S.Triangle, lst((lst((0, 0)), lst((c, 0)), lst((x, y)))))


@builtin("ASATriangle", arity=3, takes="scalar scalar scalar")
def asa_triangle(ev: Evaluator, args: tuple) -> Any:
    """Angles alpha and beta at the ends of side c."""
    alpha, c, beta = args
    b = times(c, mk(S.Sin, beta), power(mk(S.Sin, plus(alpha, beta)), -1))
    x, y = ev.eval(mk(S.Simplify, times(b, mk(S.Cos, alpha)))), ev.eval(mk(S.Simplify, times(b, mk(S.Sin, alpha))))
    return mk(S.Triangle, lst((lst((0, 0)), lst((c, 0)), lst((x, y)))))


@builtin("AASTriangle", arity=3, takes="scalar scalar scalar")
def aas_triangle(ev: Evaluator, args: tuple) -> Any:
    """Angles alpha and beta and the side a opposite alpha."""
    alpha, beta, a = args
    c = ev.eval(mk(S.Simplify, times(a, mk(S.Sin, plus(alpha, beta)), power(mk(S.Sin, alpha), -1))))
    return asa_triangle(ev, (alpha, c, beta))


def _triangle(ev: Evaluator, e: Any) -> list[list[Any]] | None:
    p = point_list(e.args[0]) if type(e) is Expr and e.head in (S.Triangle, S.Polygon) and e.args else point_list(e)
    return p if p is not None and len(p) == 3 else None


def _circumcentre(ev: Evaluator, p: list[list[Any]]) -> list[Any]:
    (ax, ay), (bx, by), (cx, cy) = p
    d = times(2, plus(times(ax, minus(by, cy)), times(bx, minus(cy, ay)), times(cx, minus(ay, by))))
    squares = [plus(power(x, 2), power(y, 2)) for x, y in p]
    ux = plus(times(squares[0], minus(by, cy)), times(squares[1], minus(cy, ay)), times(squares[2], minus(ay, by)))
    uy = plus(times(squares[0], minus(cx, bx)), times(squares[1], minus(ax, cx)), times(squares[2], minus(bx, ax)))
    return [ev.eval(times(ux, power(d, -1))), ev.eval(times(uy, power(d, -1)))]


@builtin("Circumsphere", arity=1)
def circumsphere(ev: Evaluator, args: tuple) -> Any:
    p = _triangle(ev, args[0])
    if p is None or len(p[0]) != 2:
        return None
    c = _circumcentre(ev, p)
    return mk(S.Sphere, lst(c), distance(ev, c, p[0]))


def _sides(ev: Evaluator, p: list[list[Any]]) -> tuple[Any, Any, Any]:
    return distance(ev, p[1], p[2]), distance(ev, p[2], p[0]), distance(ev, p[0], p[1])


def _incentre(ev: Evaluator, p: list[list[Any]]) -> tuple[list[Any], Any]:
    a, b, c = _sides(ev, p)
    s = power(plus(a, b, c), -1)
    centre = [
        ev.eval(mk(S.Simplify, times(s, plus(times(a, p[0][i]), times(b, p[1][i]), times(c, p[2][i]))))) for i in (0, 1)
    ]
    return centre, ev.eval(mk(S.Simplify, times(2, mk(S.Abs, signed_area(p)), s)))


@builtin("Insphere", arity=1)
def insphere(ev: Evaluator, args: tuple) -> Any:
    p = _triangle(ev, args[0])
    if p is None or len(p[0]) != 2:
        return None
    centre, r = _incentre(ev, p)
    return mk(S.Sphere, lst(centre), r)


@builtin("TriangleMeasurement", arity=2)
def triangle_measurement(ev: Evaluator, args: tuple) -> Any:
    p = _triangle(ev, args[0])
    what = args[1]
    if p is None or len(p[0]) != 2:
        return None
    if what == "Area":
        return ev.eval(mk(S.Abs, signed_area(p)))
    if what == "Perimeter":
        return side_lengths(ev, p, True)
    if what == "Semiperimeter":
        return ev.eval(times(HALF, side_lengths(ev, p, True)))
    if what in ("Circumradius", "CircumRadius"):
        return distance(ev, _circumcentre(ev, p), p[0])
    if what in ("Inradius", "InRadius"):
        return _incentre(ev, p)[1]
    return None


@builtin("TriangleCenter", arity=(1, 2))
def triangle_center(ev: Evaluator, args: tuple) -> Any:
    p = _triangle(ev, args[0])
    what = args[1] if len(args) == 2 else "Centroid"
    if p is None or len(p[0]) != 2:
        return None
    if what == "Centroid":
        return mean_of(ev, p)
    if what == "Circumcenter":
        return lst(_circumcentre(ev, p))
    if what == "Incenter":
        return lst(_incentre(ev, p)[0])
    if what == "Orthocenter":
        c = _circumcentre(ev, p)
        return ev.eval(lst(minus(plus(p[0][i], p[1][i], p[2][i]), times(2, c[i])) for i in (0, 1)))
    return None
