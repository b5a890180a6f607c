"""Roots of one function in a range, as decimals: every one of them, separated by interval arithmetic, or Cannot."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.bignum import BigReal, mp
from nsrl.engines.wolfram.expr import S, Symbol, mk
from nsrl.engines.wolfram.points import Undefined, Unknown, number, truth
from nsrl.engines.wolfram.roots import Cannot, contains
from nsrl.engines.wolfram.univariate import replaced

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator


def numeric_roots(ev: Evaluator, e: Any, x: Symbol, low: float, high: float, within: Any) -> list[float]:
    """Every root of e that satisfies `within`, a condition with low <= x <= high, ascending. Raises Cannot.

    Interval arithmetic separates them: on a piece e has no zero, or its slope has none and the signs at the ends
    decide.
    """
    margin = 1e-3 * (1 + high - low)
    slope = ev.eval(mk(S.D, e, x))
    out = []
    for a, b in _isolated(e, slope, x, low - margin, high + margin):
        v = _refined(e, x, a, b)
        for end in (
            low,
            high,
            0,
        ):  # a root at the very end is put there, so that the condition can tell; 0 is no tiny number
            if abs(v - end) < 1e-12 * (1 + abs(end)) and (end != 0 or _sign_at(e, x, mp().mpf(0)) == 0):
                v = mp().mpf(end)
        if _holds(within, x, v):
            out.append(float(v))
    return out


def _holds(within: Any, x: Symbol, v: Any) -> bool:
    try:
        return truth(replaced(within, {x: BigReal(v, 40)}))
    except Unknown as error:
        raise Cannot from error


def _refined(e: Any, x: Symbol, a: float, b: float) -> Any:
    """The zero between two points of different signs, by bisection to 40 digits."""
    m = mp()
    with m.workdps(50):
        low, high = m.mpf(a), m.mpf(b)
        rising = _sign_at(e, x, high) > 0
        for _ in range(150):
            middle = (low + high) / 2
            low, high = (low, middle) if (_sign_at(e, x, middle) > 0) == rising else (middle, high)
        return (low + high) / 2


def _sign_at(e: Any, x: Symbol, v: Any) -> int:
    try:
        n = number(replaced(e, {x: BigReal(v, 50)}))
    except (Undefined, Unknown) as error:
        raise Cannot from error
    return (n.real > 0) - (n.real < 0)


def _isolated(e: Any, slope: Any, x: Symbol, low: float, high: float, most: int = 3000) -> list[tuple[float, float]]:
    found, work = [], [(low, high)]
    for _ in range(most):
        if not work:
            return sorted(found)
        a, b = work.pop()
        if b - a < 1e-11 * (1 + abs(a)):
            break
        value, rate = interval(e, x, a, b), interval(slope, x, a, b)
        if value is not None and 0 not in value:
            continue
        if value is not None and rate is not None and 0 not in rate:
            ends = [interval(e, x, t, t) for t in (a, b)]
            if any(v is None or 0 in v for v in ends):
                break
            if (ends[0].a > 0) != (ends[1].a > 0):
                found.append((a, b))
            continue
        split = a + (b - a) * 0.4837  # no round number: a root would sit on it
        work += [(split, b), (a, split)]
    raise Cannot


def interval(e: Any, x: Symbol, a: float, b: float) -> Any:
    """Bounds of a function on [a, b] as an mpmath interval; None where it may have a pole there. Raises Cannot."""
    from mpmath import iv

    def walk(t: Any) -> Any:
        if t is x:
            return iv.mpf([a, b])  # pyright: ignore[reportArgumentType]
        if not contains(t, x):
            v = number(t, 25)
            if mp().im(v):
                raise Cannot
            return iv.mpf([str(v - abs(v) * 1e-22), str(v + abs(v) * 1e-22)])  # pyright: ignore[reportArgumentType]
        vs = [walk(c) for c in t.args]
        h = t.head
        if h is S.Plus:
            return sum(vs[1:], vs[0])
        if h is S.Times:
            return prod(vs[1:], start=vs[0])
        if h is S.Power:
            n = t.args[1]
            if type(n) is int:
                if n < 0 and 0 in vs[0]:
                    raise ZeroDivisionError
                return vs[0] ** n
            if not (vs[0].a > 0):
                raise ZeroDivisionError
            return iv.exp(vs[1] * iv.log(vs[0]))  # pyright: ignore[reportAttributeAccessIssue]
        if h is S.Log and len(vs) == 1:
            if not (vs[0].a > 0):
                raise ZeroDivisionError
            return iv.log(vs[0])  # pyright: ignore[reportAttributeAccessIssue]
        if h in (S.Sin, S.Cos):
            return (iv.sin if h is S.Sin else iv.cos)(vs[0])
        if h in (S.Tan, S.Sec, S.Cot, S.Csc):
            under = iv.cos(vs[0]) if h in (S.Tan, S.Sec) else iv.sin(vs[0])
            if 0 in under:
                raise ZeroDivisionError
            return {S.Tan: iv.sin(vs[0]), S.Cot: iv.cos(vs[0])}.get(h, iv.mpf(1)) / under  # pyright: ignore[reportOperatorIssue]
        raise Cannot

    try:
        return walk(e)
    except (ZeroDivisionError, Undefined):
        return None
    except Unknown as error:
        raise Cannot from error
