"""N, precision, Rationalize, Chop."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.assoc import is_assoc
from nsrl.engines.wolfram.bignum import MACHINE_DIGITS, BigReal
from nsrl.engines.wolfram.builtins.arithmetic import is_numeric
from nsrl.engines.wolfram.builtins.rounding import fraction_of
from nsrl.engines.wolfram.expr import COMPLEX, Expr, S, Symbol, is_list, mk, norm
from nsrl.engines.wolfram.numbers import (
    complex_,
    from_complex,
    from_mp,
    is_exact,
    is_real,
    machine,
    to_float,
)
from nsrl.engines.wolfram.numeric import (
    CONSTANTS,
    approx,
    approx_mp,
    real_value,
)
from nsrl.engines.wolfram.table import Builtin, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
_NUMERIC = "Listable NumericFunction"
_HALF = Fraction(1, 2)


# -- numerical values ----------------------------------------------------------------------------------------------
def numericize(ev: Evaluator, e: Any, digits: float | None) -> Any:
    """N[e] (digits None) or N[e, digits]."""
    t = type(e)
    if t is str or t is float:
        return e
    if t is int or t is Fraction:
        return machine(e) if digits is None else BigReal.of(e, digits)
    if t is BigReal:
        if digits is None:
            return machine(e)
        return BigReal(e.value, digits) if digits < e.digits else e
    if t is Symbol:
        if e in CONSTANTS:
            return CONSTANTS[e] if digits is None else from_mp(approx_mp(e, digits), digits)
        return e
    if e.head is COMPLEX:
        re, im = e.args
        return (
            complex_(numericize(ev, re, digits), numericize(ev, im, digits)) if im != 0 else numericize(ev, re, digits)
        )
    if is_numeric(e):
        if digits is None:
            v = approx(e)
            if v is not None and (type(v) is complex or (v and math.isfinite(v))):
                if type(v) is complex:
                    # what is real analytically stays real
                    return (
                        from_complex(complex(v.real, v.imag))
                        if abs(v.imag) > 1e-16 * abs(v.real) or _complex_by_nature(e)
                        else v.real
                    )
                if (
                    v != 0
                    and type(e) is Expr
                    and e.head is S.Plus
                    and abs(v) < 1e-9 * max(abs(approx(a) or 0) for a in e.args)
                ):
                    m = approx_mp(e, 30)
                    return float(m.real) if m is not None else v
                return v
        v = approx_mp(e, 20 if digits is None else digits)
        if v is not None:
            if digits is None:
                re, im = (machine(BigReal(part, MACHINE_DIGITS)) for part in (v.real, v.imag))
                return complex_(re, im) if v.imag else re
            return from_mp(v, digits)
    head, args = e.head, e.args
    if (
        type(head) is not Symbol
        or head in (S.Function, S.Hold, S.HoldForm, S.Rational, S.Slot, S.Quantity)
        or ev.attributes(head) & (3 << 13)
    ):
        if head is S.Quantity:
            return Expr(head, (numericize(ev, args[0], digits), *args[1:]))
        return e
    if head is S.SeriesData:
        return Expr(head, (*args[:2], numericize(ev, args[2], digits), *args[3:]))
    if head is S.Power and len(args) == 2 and type(args[1]) is int:
        return mk(S.Power, numericize(ev, args[0], digits), args[1])
    if head is S.Association or head in (S.Rule, S.RuleDelayed):
        if head is S.Association:
            if not is_assoc(e):
                return e
            return Expr(head, tuple([Expr(r.head, (r.args[0], numericize(ev, r.args[1], digits))) for r in args]))
        return Expr(head, tuple([numericize(ev, a, digits) for a in args]))
    return Expr(head, tuple([numericize(ev, a, digits) for a in args]))


def _complex_by_nature(e: Any) -> bool:
    return type(e) is Expr and (
        e.head is COMPLEX
        or any(map(_complex_by_nature, e.args))
        or (e.head is S.Power and type(e.args[0]) is int and e.args[0] < 0)
    )


@builtin("N", arity=(1, 2), operator=None)
def n_(ev: Evaluator, args: tuple) -> Any:
    digits = None
    if len(args) == 2 and args[1] is not S.MachinePrecision:
        d = args[1]
        if is_list(d):
            d = d.args[0]
        if not is_real(d):
            d = real_value(d)
            if d is None:
                return None
        digits = to_float(d)
        if digits > 10_000:
            ev.need_bits(10**9)
        ev.step(int(digits) // 4)
        digits = max(digits, 1.0)
    out = numericize(ev, args[0], digits)
    return None if out is args[0] and type(out) is Expr and out.head is S.N else out


@builtin("SetPrecision", arity=2)
def set_precision(ev: Evaluator, args: tuple) -> Any:
    x, d = args
    if is_real(x) and is_real(d) and 0 < to_float(d) < math.inf:
        ev.need_bits(4 * int(to_float(d)))
        return BigReal.of(x.value if type(x) is BigReal else x, to_float(d))
    if is_real(d) and to_float(d) > 0 and is_numeric(x):
        return ev.call(S.N, x, d)
    return (
        to_float(x)
        if d is S.MachinePrecision and is_real(x)
        else ev.call(S.Rationalize, x, 0)
        if d is S.Infinity
        else None
    )


@builtin("Precision Accuracy", arity=1)
def precision(ev: Evaluator, args: tuple) -> Any:
    x = args[0]
    if type(x) is float:
        return S.MachinePrecision
    if type(x) is BigReal:
        return x.digits
    if type(x) is Expr:
        found = [p for p in (precision(ev, (a,)) for a in x.args) if p is not S.Infinity]
        return S.MachinePrecision if S.MachinePrecision in found else min(found) if found else S.Infinity
    return S.Infinity


TABLE["Accuracy"].handler = lambda ev, args: (
    MACHINE_DIGITS - math.log10(abs(args[0]))
    if type(args[0]) is float and args[0]
    else S.Infinity
    if is_exact(args[0])
    else None
)


@builtin("Rationalize", "Listable", arity=(1, 2))
def rationalize(ev: Evaluator, args: tuple) -> Any:
    x = args[0]
    if type(x) is Expr and x.head is COMPLEX and len(x.args) == 2:
        return complex_(*[_rationalize(ev, p, args) for p in x.args])
    if type(x) is Expr and x.head not in (S.Plus, S.Times, S.Power, S.Rule):
        return x if not (len(args) == 2 and is_numeric(x)) else _rationalize(ev, real_value(x), args)
    if type(x) is Expr:
        if len(args) == 2 and is_numeric(x):
            return _rationalize(ev, real_value(x), args)
        return Expr(x.head, tuple([mk(S.Rationalize, a, *args[1:]) for a in x.args]))
    if len(args) == 2 and type(x) is Symbol and x in CONSTANTS:
        return _rationalize(ev, CONSTANTS[x], args)
    return _rationalize(ev, x, args)


def _rationalize(ev: Evaluator, x: Any, args: tuple) -> Any:
    if type(x) is BigReal:
        f = fraction_of(x)
        return norm(f.limit_denominator(10 ** int(x.digits / 2)))
    if type(x) is not float or not math.isfinite(x):
        return x
    tolerance = to_float(args[1]) if len(args) > 1 and is_real(args[1]) else None
    if tolerance == 0:
        best = next((f for f in _convergents(Fraction(x)) if to_float(f) == x), Fraction(x))
        return norm(best)
    f = Fraction(x)
    if tolerance is None:
        # accepted when close for its denominator, as the documentation states: |p/q - x| < c/q^2 with c = 10^-4
        for c in _convergents(f):
            if abs(float(c - f)) * c.denominator**2 < 1e-4:
                return norm(c)
        return x
    low, high = f - Fraction(tolerance), f + Fraction(tolerance)
    return norm(simplest_between(low, high))


def _convergents(f: Fraction) -> Any:
    h0, h1, k0, k1 = 0, 1, 1, 0
    n, d = f.numerator, f.denominator
    while d:
        q = n // d
        n, d = d, n - q * d
        h0, h1 = h1, q * h1 + h0
        k0, k1 = k1, q * k1 + k0
        yield Fraction(h1, k1)


def simplest_between(low: Fraction, high: Fraction) -> Fraction:
    """The fraction of least denominator in [low, high]."""
    if low <= 0 <= high:
        return Fraction(0)
    if high < 0:
        return -simplest_between(-high, -low)
    n = math.ceil(low)
    if n <= high:
        return Fraction(n)
    return math.floor(low) + 1 / simplest_between(1 / (high - math.floor(low)), 1 / (low - math.floor(low)))


@builtin("Chop", "Listable", arity=(1, 2))
def chop(ev: Evaluator, args: tuple) -> Any:
    d = to_float(args[1]) if len(args) > 1 and is_real(args[1]) else 1e-10

    def go(e: Any) -> Any:
        if type(e) in (float, BigReal):
            return 0 if abs(to_float(e)) < d else e
        if type(e) is Expr and e.head is COMPLEX:
            return complex_(go(e.args[0]), go(e.args[1]))
        return Expr(e.head, tuple(map(go, e.args))) if type(e) is Expr else e

    out = go(args[0])
    return out
