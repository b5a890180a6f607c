"""A real function given in pieces (Abs, Sign, Max, Min, If, Piecewise, …): where it passes from one to the next, and
what stands between."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.expr import Expr, S, Symbol, is_list, mk, times
from nsrl.engines.wolfram.realline import between, critical, holds, ordered, sign
from nsrl.engines.wolfram.roots import Cannot, contains, put

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

MAX_PIECES = 100
BY_SIGN = (S.Abs, S.RealAbs, S.Sign, S.UnitStep, S.HeavisideTheta)
CHOOSING = (S.Max, S.Min, S.If, S.Piecewise, S.Boole)


def branching(e: Any, x: Symbol, heads: tuple = BY_SIGN + CHOOSING) -> bool:
    """Whether e holds a call of x that changes its formula."""
    return type(e) is Expr and ((e.head in heads and contains(e, x)) or any(branching(a, x, heads) for a in e.args))


def between_corners(ev: Evaluator, e: Any, x: Symbol, low: Any, high: Any) -> list[tuple[Any, Any, Any]]:
    """[(a, b, e from a to b without branches), …] from low < high upwards; None is infinity. Raises Cannot."""
    ends = [
        t for t in (low is not None and mk(S.GreaterEqual, x, low), high is not None and mk(S.LessEqual, x, high)) if t
    ]
    points = critical(ev, Expr(S.And, (*ends, *_tests(e, x))), x)
    inside = [p for p in points if (low is None or sign(low, p) < 0) and (high is None or sign(p, high) < 0)]
    if len(inside) >= MAX_PIECES:
        raise Cannot
    return [(a, b, ev.eval(_chosen(ev, e, x, between(a, b)))) for a, b in pairwise([low, *ordered(inside), high])]


def beside(ev: Evaluator, e: Any, x: Symbol, at: Any, above: bool) -> Any:
    """e without branches just above or below a point; beyond all points where it changes for None. Raises Cannot."""
    points = critical(ev, Expr(S.And, _tests(e, x)), x)
    if at is None:
        ends = (points[-1], None) if above and points else (None, points[0]) if points else (None, None)
    elif above:
        ends = (at, next((p for p in points if sign(at, p) < 0), None))
    else:
        ends = (next((p for p in reversed(points) if sign(p, at) < 0), None), at)
    return ev.eval(_chosen(ev, e, x, between(*ends)))


def _tests(e: Any, x: Symbol) -> tuple:
    """The conditions by which e changes its formula. Raises Cannot for calls in a form of their own."""
    if type(e) is not Expr or not contains(e, x):
        return ()
    if e.head in BY_SIGN:
        if len(e.args) != 1:
            raise Cannot
        return (mk(S.GreaterEqual, e.args[0], 0), *_tests(e.args[0], x))
    if e.head in (S.Max, S.Min):
        return (
            *(mk(S.GreaterEqual, a, b) for a, b in combinations(e.args, 2)),
            *(t for a in e.args for t in _tests(a, x)),
        )
    if e.head is S.If:
        if len(e.args) < 2:
            raise Cannot
        return (e.args[0], *(t for a in e.args[1:3] for t in _tests(a, x)))
    if e.head is S.Boole:
        return e.args
    if e.head is S.Piecewise:
        rows, default = _rows(e)
        return (*(c for _, c in rows), *(t for v in (*(v for v, _ in rows), default) for t in _tests(v, x)))
    return tuple(t for a in e.args for t in _tests(a, x))


def _rows(e: Expr) -> tuple[list[tuple[Any, Any]], Any]:
    """Piecewise as [(value, condition), …] and the default. Raises Cannot."""
    rows = e.args[0].args if e.args and is_list(e.args[0]) else ()
    if not rows or not all(is_list(r) and len(r.args) == 2 for r in rows):
        raise Cannot
    return [r.args for r in rows], e.args[1] if len(e.args) > 1 else 0


def _chosen(ev: Evaluator, e: Any, x: Symbol, here: Any) -> Any:
    """The formula that e has at a point, and up to the next point where it changes. Raises Cannot."""
    if type(e) is not Expr or not contains(e, x):
        return e
    if e.head in BY_SIGN:
        u = e.args[0]
        s = sign(put(ev, u, {x: here}), 0)
        if e.head in (S.Abs, S.RealAbs):
            return times(s, _chosen(ev, u, x, here))
        return s if e.head is S.Sign else int(s >= 0)
    if e.head in (S.Max, S.Min):
        way = 1 if e.head is S.Max else -1
        best = e.args[0]
        for a in e.args[1:]:
            if way * sign(put(ev, a, {x: here}), put(ev, best, {x: here})) > 0:
                best = a
        return _chosen(ev, best, x, here)
    if e.head is S.If:
        value = e.args[1] if holds(e.args[0], x, here) else e.args[2] if len(e.args) > 2 else S.Null
        return _chosen(ev, value, x, here)
    if e.head is S.Boole:
        return int(holds(e.args[0], x, here))
    if e.head is S.Piecewise:
        rows, default = _rows(e)
        return _chosen(ev, next((v for v, c in rows if holds(c, x, here)), default), x, here)
    return Expr(e.head, tuple(_chosen(ev, a, x, here) for a in e.args))
