"""T1: Floor, Ceiling, Round and the parts before and after the point."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from nsrl.engines.wolfram.bignum import BigReal, bits, mp
from nsrl.engines.wolfram.builtins.arithmetic import is_infinity, is_numeric
from nsrl.engines.wolfram.expr import COMPLEX, Expr, S, mk, plus, times
from nsrl.engines.wolfram.numbers import (
    complex_,
    is_real,
)
from nsrl.engines.wolfram.numeric import (
    approx_mp,
    certain_sign,
    real_value,
)
from nsrl.engines.wolfram.order import is_number
from nsrl.engines.wolfram.table import Builtin, table

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
_NUMERIC = "Listable NumericFunction"
_HALF = Fraction(1, 2)


# -- rounding ------------------------------------------------------------------------------------------------------
def round_half_even(f: Fraction) -> int:
    """Nearest integer; halves go to the even one."""
    return round(f)


def _exact_int(ev: Any, x: Any, f: Any) -> int | None:
    """f (a rounding of Fractions) of any real numeric x."""
    t = type(x)
    if t is int:
        return x
    if t is Fraction:
        return f(x)
    if t is float:
        return f(Fraction(x)) if math.isfinite(x) else None
    if t is BigReal:
        return f(fraction_of(x))
    if is_numeric(x):
        v = real_value(x)
        if v is None or not math.isfinite(v):
            m = approx_mp(x, 400)
            if m is None or getattr(m, "imag", 0):
                return None
            ev.need_bits(int(mp().log(abs(m) + 1, 2)) + 2)
            with mp().workprec(bits(400) + int(mp().log(abs(m) + 1, 2))):
                m = approx_mp(x, 20 + float(mp().log10(abs(m) + 1)))
                return f(Fraction(int(mp().floor(m))) + Fraction(float(m - mp().floor(m))))
        near = round(v)
        digits = max(len(str(abs(near))), 1) + 20
        if abs(v - near) < 1e-6 or abs(v * 2 - round(v * 2)) < 1e-6 or abs(v) > 2**45:
            m = approx_mp(x, digits)
            if m is None:
                return f(Fraction(v))
            with mp().workprec(bits(digits)):
                n2 = int(mp().nint(m.real * 2))
                if certain_sign(mk(S.Plus, x, Fraction(-n2, 2))) == 0:
                    return f(Fraction(n2, 2))
                return f(_mpf_fraction(m.real))
        return f(Fraction(v))
    return None


def fraction_of(x: BigReal) -> Fraction:
    return _mpf_fraction(x.value)


def _mpf_fraction(v: Any) -> Fraction:
    s, man, exp, _ = v._mpf_
    f = Fraction(int(man)) * (Fraction(2) ** exp if exp > -100000 else 0)
    return -f if s else f


def _rounding(name: str, f: Any) -> None:
    @builtin(name, _NUMERIC, arity=(1, 2))
    def rounding(ev: Any, args: tuple) -> Any:
        x = args[0]
        if len(args) == 2:
            unit = args[1]
            if not is_numeric(unit) or not is_numeric(x):
                return None
            n = ev.call(getattr(S, name), ev.eval(mk(S.Times, x, mk(S.Power, unit, -1))))
            if type(unit) is float and type(n) is int:
                inv = 1 / unit if unit else 0.0
                return n / round(inv) if unit < 1 and abs(inv - round(inv)) < 1e-9 and abs(inv) < 1e15 else n * unit
            return mk(S.Times, n, unit)
        if type(x) is int:
            return x
        if type(x) is Expr and x.head is COMPLEX:
            re, im = (_exact_int(ev, p, f) for p in x.args)
            return None if re is None or im is None else complex_(re, im)
        if is_infinity(x):
            return x
        n = _exact_int(ev, x, f)
        if n is not None:
            return n
        if name in ("Floor", "Ceiling") and type(x) is Expr and x.head is S.Plus and type(x.args[0]) is int:
            return mk(S.Plus, x.args[0], mk(getattr(S, name), Expr(S.Plus, x.args[1:])))
        return None


_rounding("Floor", math.floor)
_rounding("Ceiling", math.ceil)
_rounding("Round", round_half_even)
_rounding("IntegerPart", math.trunc)


@builtin("FractionalPart", _NUMERIC, arity=1)
def fractional_part(ev: Any, args: tuple) -> Any:
    x = args[0]
    if type(x) is float:
        return math.fmod(x, 1.0)
    n = ev.call(S.IntegerPart, x)
    return mk(S.Subtract, x, n) if is_number(n) else None


@builtin("UnitBox", _NUMERIC, arity=1)
def unit_box(ev: Any, args: tuple) -> Any:
    x = real_value(args[0])
    return None if x is None else int(abs(x) <= 0.5)


@builtin("UnitTriangle", _NUMERIC, arity=1)
def unit_triangle(ev: Any, args: tuple) -> Any:
    x = real_value(args[0])
    return None if x is None else 0 if abs(x) >= 1 else plus(1, times(-1, mk(S.Abs, args[0])))


@builtin("SquareWave", _NUMERIC, arity=1)
def square_wave(ev: Any, args: tuple) -> Any:
    x = real_value(args[0])
    return None if x is None else 1 if x % 1 < 0.5 else -1


@builtin("SawtoothWave", _NUMERIC, arity=1)
def sawtooth(ev: Any, args: tuple) -> Any:
    return plus(args[0], times(-1, mk(S.Floor, args[0]))) if is_real(args[0]) else None
