"""Floor, Ceiling, Round and the parts before and after the point."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.bignum import BigReal, mp
from nsrl.engines.wolfram.builtins.arithmetic import is_infinity, is_numeric
from nsrl.engines.wolfram.expr import COMPLEX, Expr, S, mk, plus, times
from nsrl.engines.wolfram.numbers import complex_, is_real
from nsrl.engines.wolfram.numeric import CONSTANTS, real_value
from nsrl.engines.wolfram.order import is_number
from nsrl.engines.wolfram.points import Undefined, Unknown, difference, rounded
from nsrl.engines.wolfram.table import Builtin, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
_NUMERIC = "Listable NumericFunction"
_HALF = Fraction(1, 2)
MAX_DIGITS = 20_000


# -- rounding ------------------------------------------------------------------------------------------------------
def round_half_even(f: Fraction) -> int:
    """Nearest integer; halves go to the even one."""
    return round(f)


def _exact_int(ev: Evaluator, x: Any, f: Any) -> int | None:
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
        v = real_value(x) if _monomial(x) else None
        if v is not None and abs(v) < 2**20 and abs(2 * v - round(2 * v)) > 1e-6:
            return f(Fraction(v))
        try:
            if difference(x, 0).imag:
                return None
            w = rounded(x, MAX_DIGITS)
            with mp().workprec(max(64, mp().mag(w) + 128)):
                twice = mp().nint(2 * w)
                near = abs(2 * w - twice) < 1e-20
            half = Fraction(int(twice), 2)
            ev.need_bits(half.numerator.bit_length())
            return f(half if near and difference(x, half) == 0 else _mpf_fraction(w))
        except (Unknown, Undefined):
            return None
    return None


def _monomial(x: Any) -> bool:
    """Whether machine numbers are good for x: products and powers lose next to nothing."""
    if type(x) is not Expr:
        return type(x) in (int, Fraction) or x in CONSTANTS
    return x.head in (S.Times, S.Power) and all(map(_monomial, x.args))


def fraction_of(x: BigReal) -> Fraction:
    """The exact value of a BigReal."""
    return _mpf_fraction(x.value)


def _mpf_fraction(v: Any) -> Fraction:
    s, man, exp, _ = v._mpf_
    f = Fraction(int(man)) * (Fraction(2) ** exp if exp > -100000 else 0)
    return -f if s else f


def _rounding(name: str, f: Any) -> None:
    @builtin(name, _NUMERIC, arity=(1, 2))
    def rounding(ev: Evaluator, args: tuple) -> Any:
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
def fractional_part(ev: Evaluator, args: tuple) -> Any:
    x = args[0]
    if type(x) is float:
        return math.fmod(x, 1.0)
    n = ev.call(S.IntegerPart, x)
    return mk(S.Subtract, x, n) if is_number(n) else None


@builtin("UnitBox", _NUMERIC, arity=1)
def unit_box(ev: Evaluator, args: tuple) -> Any:
    x = real_value(args[0])
    return None if x is None else int(abs(x) <= 0.5)


@builtin("UnitTriangle", _NUMERIC, arity=1)
def unit_triangle(ev: Evaluator, args: tuple) -> Any:
    x = real_value(args[0])
    return None if x is None else 0 if abs(x) >= 1 else plus(1, times(-1, mk(S.Abs, args[0])))


@builtin("SquareWave", _NUMERIC, arity=1)
def square_wave(ev: Evaluator, args: tuple) -> Any:
    x = real_value(args[0])
    return None if x is None else 1 if x % 1 < 0.5 else -1


@builtin("SawtoothWave", _NUMERIC, arity=1)
def sawtooth(ev: Evaluator, args: tuple) -> Any:
    return plus(args[0], times(-1, mk(S.Floor, args[0]))) if is_real(args[0]) else None
