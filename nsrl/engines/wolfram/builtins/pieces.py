"""The derivative of a function given in pieces: what it is at the points where the pieces meet."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.expr import TRUE, Expr, S, Symbol, lst, mk, rule
from nsrl.engines.wolfram.points import Undefined, Unknown, is_zero
from nsrl.engines.wolfram.realline import between, critical, holds
from nsrl.engines.wolfram.roots import Cannot, contains, put, symbols

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

_STEPS = (S.Floor, S.Ceiling, S.Round, S.IntegerPart, S.FractionalPart, S.Mod, S.Quotient, S.Sign, S.UnitStep,
S.HeavisideTheta,
          S.Piecewise, S.Boole, S.If)  # fmt: skip
_NOWHERE = (S.Indeterminate, S.ComplexInfinity, S.DirectedInfinity, S.Infinity)


def joined(ev: Evaluator, e: Expr, slopes: list[Any], x: Symbol) -> Any:
    """D of Piecewise e whose pieces (the default last) have these slopes; Indeterminate where it has no derivative.

    Piece by piece, as in the real engine, where other symbols stand in it. What could not be decided is noted in
    `ev.lost`.
    """
    pairs = e.args[0].args
    tests = [p.args[1] for p in pairs]
    values = [p.args[0] for p in pairs] + [e.args[1] if len(e.args) > 1 else 0]
    plain = mk(S.Piecewise, lst(lst(p) for p in zip(slopes, tests)), slopes[-1])
    if symbols(e) - {x}:
        return plain
    ev.quiet += 1
    try:
        return _joined(ev, tests, values, slopes, x) or plain
    except (Cannot, Undefined, Unknown):
        ev.lost = ev.lost or S.D
        return plain
    finally:
        ev.quiet -= 1


def _joined(ev: Evaluator, tests: list[Any], values: list[Any], slopes: list[Any], x: Symbol) -> Any:
    """None where the slopes of the pieces are right at their ends too."""
    points = critical(ev, Expr(S.And, tuple(tests)), x)
    edges = [None, *points, None]

    def piece(t: Any) -> int:
        return next((i for i, c in enumerate(tests) if c is TRUE or holds(c, x, t)), len(tests))

    gaps = [piece(between(a, b)) for a, b in pairwise(edges)]
    here = [piece(p) for p in points]
    slope = [
        _slope(ev, left, k, right, values, slopes, x, p) for p, left, k, right in zip(points, gaps, here, gaps[1:])
    ]
    owner = [left if left == k else right for left, k, right in zip(gaps, here, gaps[1:])]
    # where the pieces meet smoothly, and the formula of one of them says so at the point itself
    smooth = [s is not None and _plain(ev, slopes[i], x, p) is not None for s, i, p in zip(slope, owner, points)]
    if all(smooth) and owner == here:
        return None
    spans: dict[Any, list[Any]] = {}
    low, low_in = None, False
    for i, k in enumerate(gaps):
        high = edges[i + 1]
        if high is not None and smooth[i] and slopes[gaps[i + 1]] == slopes[k]:
            continue
        high_in = high is not None and smooth[i] and owner[i] != gaps[i + 1]
        spans.setdefault(slopes[k], []).append(_span(x, low, low_in, high, high_in))
        low, low_in = high, high is not None and smooth[i] and not high_in
    for s, good, p in zip(slope, smooth, points):
        if s is not None and not good:
            spans.setdefault(s, []).append(mk(S.Equal, x, p))
    pairs = [lst((s, c[0] if len(c) == 1 else Expr(S.Or, tuple(c)))) for s, c in spans.items()]
    return mk(S.Piecewise, lst(pairs), S.Indeterminate if None in slope else pairs[-1].args[0])


def _span(x: Symbol, low: Any, low_in: bool, high: Any, high_in: bool) -> Any:
    if low is None:
        return TRUE if high is None else mk(S.LessEqual if high_in else S.Less, x, high)
    if high is None:
        return mk(S.GreaterEqual if low_in else S.Greater, x, low)
    return mk(S.Inequality, low, S.LessEqual if low_in else S.Less, x, S.LessEqual if high_in else S.Less, high)


def _slope(
    ev: Evaluator, left: int, here: int, right: int, values: list[Any], slopes: list[Any], x: Symbol, p: Any
) -> Any:
    """The slope at p, None where there is none: the pieces that meet need one value there, those beside it one
    slope."""
    at = [_at(ev, values[i], x, p) for i in {left, here, right}]
    steep = [_at(ev, slopes[i], x, p) for i in (left, right)]
    if None in at or None in steep:
        return None
    return (
        steep[0] if all(is_zero(mk(S.Plus, a, mk(S.Times, -1, b))) for a, b in (*pairwise(at), tuple(steep))) else None
    )


def _at(ev: Evaluator, e: Any, x: Symbol, p: Any) -> Any:
    """The limit of e at p; None where there is none. Raises Cannot where that is not known."""
    if any(contains(e, h) for h in _STEPS):
        raise Cannot
    v = _plain(ev, e, x, p)
    if v is None and e is not S.Indeterminate:
        v = ev.call(S.Limit, e, rule(x, p))
        if any(contains(v, h) for h in _NOWHERE):
            return None
    if v is None:
        return None
    if symbols(v) or contains(v, S.Limit):
        raise Cannot
    return v


def _plain(ev: Evaluator, e: Any, x: Symbol, p: Any) -> Any:
    v = put(ev, e, {x: p})
    return None if any(contains(v, h) for h in _NOWHERE) else v
