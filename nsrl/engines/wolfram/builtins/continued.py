"""Continued fractions: of rational numbers, of quadratic irrationals with their period, and of others to a stated
length."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.bignum import mp
from nsrl.engines.wolfram.builtins.integers import ints
from nsrl.engines.wolfram.expr import Expr, S, is_list, lst, mk
from nsrl.engines.wolfram.numeric import approx_mp
from nsrl.engines.wolfram.table import Builtin, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)


@builtin("ContinuedFraction", arity=(1, 2))
def continued_fraction(ev: Evaluator, args: tuple) -> Any:
    x = args[0]
    if type(x) in (int, Fraction):
        out, f = [], Fraction(x)
        while len(out) < (args[1] if len(args) > 1 and type(args[1]) is int else 10**4):
            q = f.numerator // f.denominator if f >= 0 else -(-f.numerator // f.denominator)
            out.append(q)
            if f == q:
                break
            f = 1 / (f - q)
        return lst(out)
    if len(args) == 1:
        surd = _quadratic(x)
        return None if surd is None else _periodic(ev, *surd)
    if len(args) == 2 and type(args[1]) is int and args[1] <= 1000:
        v = approx_mp(x, 40 + 2 * args[1])
        if v is None or getattr(v, "imag", 0):
            return None
        out = []
        with mp().workprec(200 + 8 * args[1]):
            for _ in range(args[1]):
                q = int(mp().floor(v))
                out.append(q)
                v = v - q
                if v == 0:
                    break
                v = 1 / v
        return lst(out)
    return None


def _quadratic(x: Any) -> tuple[Fraction, Fraction, int] | None:
    """(a, b, d) of x = a + b Sqrt[d] with rational a and b and a whole d > 0 that is no square; None for any other."""
    if type(x) in (int, Fraction):
        return Fraction(x), Fraction(0), 1
    if type(x) is not Expr:
        return None
    if (
        x.head is S.Power
        and type(x.args[0]) in (int, Fraction)
        and type(x.args[1]) is Fraction
        and x.args[1].denominator == 2
    ):
        base, n = Fraction(x.args[0]), x.args[1].numerator
        if base <= 0 or abs(n) > 20:
            return None
        return Fraction(0), base ** ((n - 1) // 2) / base.denominator, base.numerator * base.denominator
    parts = [_quadratic(a) for a in x.args] if x.head in (S.Plus, S.Times) else [None]
    if None in parts or len({d for _, b, d in parts if b}) != 1:
        return None
    d = next(d for _, b, d in parts if b)
    if x.head is S.Plus:
        return sum((a for a, _, _ in parts), Fraction(0)), sum((b for _, b, _ in parts), Fraction(0)), d
    a, b = Fraction(1), Fraction(0)
    for p, q, _ in parts:
        a, b = a * p + b * q * d, a * q + b * p
    return a, b, d


def _periodic(ev: Evaluator, a: Fraction, b: Fraction, d: int) -> Any:
    """The continued fraction of a + b Sqrt[d] > 0: the quotients before the period, and the period as a list."""
    if not b or math.isqrt(d) ** 2 == d:
        return None
    # (p + Sqrt[r])/q with q | r - p^2: the next has p' = k q - p and q' = (r - p'^2)/q
    scale = math.lcm(a.denominator, b.denominator)
    q = scale if b > 0 else -scale
    p, r = int(a * q), int((b * scale) ** 2 * d)
    p, r, q = p * abs(q), r * q * q, q * abs(q)
    out: list[int] = []
    seen: dict[tuple[int, int], int] = {}
    while (p, q) not in seen:
        ev.step()
        ev.need_length(len(out) + 1)
        seen[p, q] = len(out)
        k = (
            (p + math.isqrt(r)) // q if q > 0 else -((p + math.isqrt(r)) // -q) - 1
        )  # the floor: Sqrt[r] is no whole number
        if k < 0:
            return None
        out.append(k)
        p = k * q - p
        q = (r - p * p) // q
    start = seen[p, q]
    if not start:
        return None  # whether the first quotient stands before the period is not known
    return lst([*out[:start], lst(out[start:])])


@builtin("FromContinuedFraction", arity=1)
def from_continued_fraction(ev: Evaluator, args: tuple) -> Any:
    if not is_list(args[0]) or not args[0].args:
        return None
    *first, out = args[0].args
    if any(map(is_list, first)):
        return None
    periodic = is_list(out)
    if periodic:
        out = _of_period(ev, out.args)
        if out is None:
            return None
    for a in first[::-1]:
        out = ev.call(S.Plus, a, mk(S.Power, out, -1))
    return ev.call(S.Together, ev.call(S.RootReduce, out)) if periodic else out


def _of_period(ev: Evaluator, period: tuple) -> Any:
    """The positive x with x = [period; x]: a quadratic equation with the matrix of its quotients."""
    if not period or not ints(period) or min(period) < 1:
        return None
    a, b, c, d = 1, 0, 0, 1
    for k in period:
        ev.step()
        a, b, c, d = a * k + b, a, c * k + d, c
    ev.need_bits(a.bit_length())
    # c x^2 + (d - a) x - b = 0
    root = mk(S.Power, (d - a) ** 2 + 4 * b * c, Fraction(1, 2))
    return ev.eval(mk(S.Times, mk(S.Plus, a - d, root), Fraction(1, 2 * c)))


@builtin("Convergents", arity=(1, 2))
def convergents(ev: Evaluator, args: tuple) -> Any:
    cf = args[0] if is_list(args[0]) else ev.call(S.ContinuedFraction, *args)
    if not is_list(cf) or any(map(is_list, cf.args)):
        return None
    return lst(ev.call(S.FromContinuedFraction, lst(cf.args[:i])) for i in range(1, len(cf.args) + 1))
