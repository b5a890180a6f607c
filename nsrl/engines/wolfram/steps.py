"""Floor and its kin of a polynomial over an interval: where they jump, what stands there without them in between, and
where on the real line a condition with them holds."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import ceil, floor
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.expr import TRUE, Expr, S, Symbol, minus, mk, norm, plus, times
from nsrl.engines.wolfram.points import RELATIONS
from nsrl.engines.wolfram.realline import (
    Piece,
    as_float,
    between,
    by_abs,
    critical,
    ordered,
    pieces_between,
    real_line,
    sign,
    zeros_of,
)
from nsrl.engines.wolfram.roots import Cannot, contains, polynomial_in, put
from nsrl.engines.wolfram.univariate import replaced

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

MAX_STEPS = 100
# A step of u lies within the half width of u + the middle.
_BAND = {
    S.Floor: (Fraction(-1, 2), Fraction(1, 2)),
    S.Ceiling: (Fraction(1, 2), Fraction(1, 2)),
    S.Round: (0, Fraction(1, 2)),
    S.IntegerPart: (0, 1),
}
_JUMPS = {
    S.Floor: Fraction(0),
    S.Ceiling: Fraction(0),
    S.IntegerPart: Fraction(0),
    S.Round: Fraction(1, 2),
}  # at k + this


def between_jumps(ev: Evaluator, e: Any, x: Symbol, low: Any, high: Any) -> list[tuple[Any, Any, Any]]:
    """[(a, b, e from a to b without steps), …] from low < high upwards. Raises Cannot, also where e has no step."""
    e = _by_floor(e, x)
    steps = list(dict.fromkeys(_steps(e, x)))
    if not steps:
        raise Cannot
    jumps = [p for s in steps for p in _jumps(ev, s, x, low, high)]
    edges = ordered([low, *(p for p in jumps if sign(low, p) < 0 < sign(high, p)), high])
    out = []
    for a, b in pairwise(edges):
        here = between(a, b)
        out.append((a, b, ev.eval(replaced(e, {s: put(ev, s, {x: here}) for s in steps}))))
    return out


def _by_floor(e: Any, x: Symbol) -> Any:
    """Mod, Quotient and FractionalPart by Floor and IntegerPart."""
    if type(e) is not Expr or not contains(e, x):
        return e
    args = tuple(_by_floor(a, x) for a in e.args)
    if e.head in (S.Mod, S.Quotient) and len(args) == 2:
        whole = mk(S.Floor, mk(S.Times, args[0], mk(S.Power, args[1], -1)))
        return whole if e.head is S.Quotient else minus(args[0], mk(S.Times, args[1], whole))
    return minus(args[0], mk(S.IntegerPart, args[0])) if e.head is S.FractionalPart else Expr(e.head, args)


def _steps(e: Any, x: Symbol) -> list[Expr]:
    """The calls that step, none inside another. Raises Cannot for those of what is no polynomial."""
    if type(e) is not Expr or not contains(e, x):
        return []
    if e.head not in _JUMPS:
        return [s for a in e.args for s in _steps(a, x)]
    if len(e.args) != 1 or not polynomial_in(e.args[0], x):
        raise Cannot
    return [e]


def _jumps(ev: Evaluator, step: Expr, x: Symbol, low: Any, high: Any) -> list[Any]:
    """Where the argument of a step is a whole number (and a half): between the values it takes at ends and turns."""
    u = ev.eval(mk(S.Expand, step.args[0]))
    slope = ev.eval(mk(S.D, u, x))
    turns = [r.value for r in zeros_of(ev, slope, x)] if contains(slope, x) else []
    at = [low, high, *(t for t in turns if sign(low, t) < 0 < sign(high, t))]
    values = [as_float(put(ev, u, {x: t})) for t in at]
    shift = _JUMPS[step.head]
    levels = range(floor(min(values)) - 1, ceil(max(values)) + 1)
    if len(levels) > MAX_STEPS:
        raise Cannot
    return [r.value for k in levels for r in zeros_of(ev, minus(u, norm(k + shift)), x)]


def stepping(e: Any, x: Symbol) -> bool:
    """Whether e holds a call of x that steps."""
    heads = (*_JUMPS, S.Mod, S.Quotient, S.FractionalPart)
    return type(e) is Expr and (
        (e.head in heads and any(contains(a, x) for a in e.args)) or any(stepping(a, x) for a in e.args)
    )


def line_with_steps(ev: Evaluator, what: Any, x: Symbol) -> list[Piece]:
    """Where a condition on x alone holds, ascending, also one with steps of polynomials of x. Raises Cannot."""
    if not stepping(what, x):
        return real_line(ev, what, x)
    what = _by_floor(what, x)
    low, high = bounds(ev, what, x)
    if low is None:
        return []
    if sign(low, high) == 0:
        return pieces_between([low], what, x)
    points = [low, high]
    for a, b, smooth in between_jumps(ev, what, x, low, high):
        points += [
            a,
            b,
            *(p for p in (critical(ev, smooth, x) if contains(smooth, x) else ()) if sign(a, p) < 0 < sign(b, p)),
        ]
    return pieces_between(ordered(points), what, x)


def bounds(ev: Evaluator, what: Any, x: Symbol) -> tuple[Any, Any]:
    """Two values between which every x lies at which the condition holds; (None, None) for no x. Raises Cannot."""
    pieces = real_line(ev, ev.eval(_wider(ev, _by_floor(what, x), x)), x)
    if not pieces:
        return None, None
    if pieces[0].low is None or pieces[-1].high is None:
        raise Cannot
    return pieces[0].low, pieces[-1].high


def _wider(ev: Evaluator, e: Any, x: Symbol) -> Any:
    """A condition without steps that holds wherever e does: each step is somewhere in its band."""
    if type(e) is not Expr or not stepping(e, x):
        return e
    if e.head in (S.And, S.Or):
        return Expr(e.head, tuple(_wider(ev, a, x) for a in e.args))
    if e.head is S.Inequality:
        return Expr(
            S.And, tuple(_wider(ev, mk(op, a, b), x) for a, op, b in zip(e.args[::2], e.args[1::2], e.args[2::2]))
        )
    if e.head not in RELATIONS or e.head is S.Unequal:
        return TRUE
    return Expr(S.And, tuple(_wider_pair(ev, e.head, a, b, x) for a, b in pairwise(e.args)))


def _wider_pair(ev: Evaluator, op: Symbol, a: Any, b: Any, x: Symbol) -> Any:
    d = by_abs(minus(a, b))
    try:
        steps = {s: Symbol(f"\x02t{i}") for i, s in enumerate(dict.fromkeys(_outer(d, x)))}
    except Cannot:
        return TRUE
    d = ev.eval(mk(S.Expand, replaced(d, steps)))
    if len(steps) == 1 and not contains(d, x):  # a condition on the step alone
        ((step, t),) = steps.items()
        pieces = real_line(ev, mk(op, d, 0), t)
        u, (middle, half) = step.args[0], _BAND[step.head]
        inside = [
            Expr(S.And, (TRUE, *(mk(S.LessEqual, plus(p.low, -middle, -half), u) for _ in "x" if p.low is not None),
                         *(mk(S.LessEqual, u, plus(p.high, -middle, half)) for _ in "x" if p.high is not None)))
            for p in pieces
        ]  # fmt: skip
        return Expr(S.Or, tuple(inside))
    centre = [d]
    width = []
    for step, t in steps.items():
        c = ev.eval(mk(S.D, d, t))
        if any(contains(c, s) for s in steps.values()):
            return TRUE
        middle, half = _BAND[step.head]
        centre.append(times(c, plus(step.args[0], middle, times(-1, t))))
        width.append(times(half, mk(S.Abs, c)))
    middle, reach = ev.eval(mk(S.Expand, Expr(S.Plus, tuple(centre)))), Expr(S.Plus, tuple(width))
    above, below = mk(S.GreaterEqual, plus(middle, reach), 0), mk(S.LessEqual, plus(middle, times(-1, reach)), 0)
    return (
        above
        if op in (S.Greater, S.GreaterEqual)
        else below
        if op in (S.Less, S.LessEqual)
        else mk(S.And, above, below)
    )


def _outer(e: Any, x: Symbol) -> list[Expr]:
    """The calls that step and stand in no other. Raises Cannot for one in a form of its own, or with another inside."""
    if type(e) is not Expr or not contains(e, x):
        return []
    if e.head not in _JUMPS:
        return [s for a in e.args for s in _outer(a, x)]
    if len(e.args) != 1 or stepping(e.args[0], x):
        raise Cannot
    return [e]
