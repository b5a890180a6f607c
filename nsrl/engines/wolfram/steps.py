"""Floor and its kin of a polynomial over an interval: where they jump, and what stands there without them in between.

Knows nothing of integrals and sums.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import ceil, floor
from typing import Any

from nsrl.engines.wolfram.expr import Expr, S, Symbol, minus, mk, norm
from nsrl.engines.wolfram.realline import as_float, between, ordered, sign, zeros_of
from nsrl.engines.wolfram.roots import Cannot, contains, polynomial_in, put
from nsrl.engines.wolfram.univariate import replaced

MAX_STEPS = 100
_JUMPS = {S.Floor: Fraction(0), S.Ceiling: Fraction(0), S.IntegerPart: Fraction(0), S.Round: Fraction(1, 2)}  # at k + this


def between_jumps(ev: Any, e: Any, x: Symbol, low: Any, high: Any) -> list[tuple[Any, Any, Any]]:
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


def _jumps(ev: Any, step: Expr, x: Symbol, low: Any, high: Any) -> list[Any]:
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
