"""Arithmetic of number literals: exact integers and rationals, machine reals, BigReals, and complex pairs of these.

Mixed arithmetic contaminates as the kernel's does: exact with machine gives machine, BigReal with machine gives
machine. Sizes are checked before anything large is computed.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from nsrl.engines.result import Status
from nsrl.engines.wolfram.bignum import MACHINE_DIGITS, BigReal, bits, joint, mp, mpf
from nsrl.engines.wolfram.errors import LimitReached
from nsrl.engines.wolfram.expr import COMPLEX, Expr

REALS = (int, float, Fraction, BigReal)


def is_real(e: Any) -> bool:
    """Whether e is a number without imaginary part."""
    return type(e) in REALS


def is_exact(e: Any) -> bool:
    """Whether e is an integer, a rational, or a complex of these."""
    t = type(e)
    return (
        t is int
        or t is Fraction
        or (t is Expr and e.head is COMPLEX and len(e.args) == 2 and all(map(is_exact, e.args)))
    )


def parts(z: Any) -> tuple[Any, Any]:
    """Real and imaginary part."""
    return z.args if type(z) is Expr else (z, 0)


def complex_(re: Any, im: Any) -> Any:
    """re + im I, a plain real when im is the exact 0."""
    if type(im) is int and im == 0:
        return re
    if type(re) is float and type(im) is not float:
        im = to_float(im)
    elif type(im) is float and type(re) is not float:
        re = to_float(re)
    z = Expr(COMPLEX, (re, im))
    z.stamp = -1
    return z


def to_float(x: Any) -> float:
    """The nearest machine number; infinities for what does not fit."""
    try:
        return x.numerator / x.denominator if type(x) is Fraction else float(x.value if type(x) is BigReal else x)
    except OverflowError:
        return math.inf if x > 0 else -math.inf  # pyright: ignore[reportOperatorIssue]


def machine(x: Any) -> Any:
    """The machine number of a real; what none holds as a number of that precision."""
    v = to_float(x)
    return v if math.isfinite(v) and (v or not sign(x)) else x if type(x) is BigReal else BigReal.of(x, MACHINE_DIGITS)


def to_complex(z: Any) -> complex:
    """A Python complex of any number."""
    re, im = parts(z)
    return complex(to_float(re), to_float(im))


def from_complex(z: complex) -> Any:
    """A machine number or machine complex of a Python complex."""
    return complex_(z.real, z.imag) if z.imag else z.real


def _real_op(a: Any, b: Any, op: Callable, exact: Callable) -> Any:
    ta, tb = type(a), type(b)
    if ta is int and tb is int:
        return exact(a, b)
    if ta is float or tb is float:
        v = op(a if ta is float else to_float(a), b if tb is float else to_float(b))
        if v - v == 0 and (v or op is _add or not a or not b):
            return v
        if not all(math.isfinite(x) for x in (a, b) if type(x) is float):
            return v
    if ta is BigReal or tb is BigReal or ta is float or tb is float:  # also what no machine number holds
        digits = joint(a, b)
        with mp().workprec(bits(digits)):
            return BigReal(op(mpf(a), mpf(b)), digits)
    out = exact(a, b)
    return out.numerator if type(out) is Fraction and out.denominator == 1 else out


def _add(a: Any, b: Any) -> Any:
    return a + b


def _mul(a: Any, b: Any) -> Any:
    return a * b


def add(a: Any, b: Any) -> Any:
    """a + b"""
    if type(a) is int and type(b) is int:
        return a + b
    if type(a) is Expr or type(b) is Expr:
        (ar, ai), (br, bi) = parts(a), parts(b)
        return complex_(_real_op(ar, br, _add, _add), _real_op(ai, bi, _add, _add))
    return _real_op(a, b, _add, _add)


def mul(a: Any, b: Any) -> Any:
    """a * b"""
    if type(a) is int and type(b) is int:
        return a * b
    if type(a) is Expr or type(b) is Expr:
        (ar, ai), (br, bi) = parts(a), parts(b)
        re = add(real_mul(ar, br), neg(real_mul(ai, bi)))
        return complex_(re, add(real_mul(ar, bi), real_mul(ai, br)))
    return real_mul(a, b)


def real_mul(a: Any, b: Any) -> Any:
    """a * b for real a, b; an exact 0 annihilates."""
    if (type(a) is int and a == 0) or (type(b) is int and b == 0):
        return 0
    return _real_op(a, b, _mul, _mul)


def neg(a: Any) -> Any:
    """-a"""
    if type(a) is Expr:
        return complex_(neg(a.args[0]), neg(a.args[1]))
    return -a


def sub(a: Any, b: Any) -> Any:
    """a - b"""
    return add(a, neg(b))


def inverse(a: Any) -> Any:
    """1 / a. Raises ZeroDivisionError."""
    t = type(a)
    if t is int:
        return a if a in (1, -1) else Fraction(1, a)
    if t is Fraction:
        f = 1 / a
        return f.numerator if f.denominator == 1 else f
    if t is float:
        return 1 / a
    if t is BigReal:
        with mp().workprec(bits(a.digits)):
            return BigReal(1 / a.value, a.digits)
    re, im = a.args
    if is_exact(a):
        d = inverse(add(mul(re, re), mul(im, im)))
        return complex_(mul(re, d), neg(mul(im, d)))
    if BigReal in (type(re), type(im)) and float not in (type(re), type(im)):
        d = inverse(add(mul(re, re), mul(im, im)))
        return complex_(mul(re, d), neg(mul(im, d)))
    return from_complex(1 / to_complex(a))


def sign(a: Any) -> int:
    """-1, 0 or 1 of a real number."""
    v = a.value if type(a) is BigReal else a
    return (v > 0) - (v < 0)


def compare_reals(a: Any, b: Any) -> int:
    """-1, 0 or 1; machine numbers within their last seven bits count as equal, as Equal and Less hold it."""
    ta, tb = type(a), type(b)
    if ta in (int, Fraction) and tb in (int, Fraction):
        return (a > b) - (a < b)
    if ta is BigReal or tb is BigReal:
        digits = min(joint(a, b), 100_000.0)
        with mp().workprec(bits(digits)):
            x, y = mpf(a), mpf(b)
            if abs(x - y) <= max(abs(x), abs(y)) * mp().mpf(10) ** (-int(digits)) * 2:
                return 0
            return 1 if x > y else -1
    x, y = to_float(a), to_float(b)
    if math.isinf(x) or math.isinf(y):
        return (a > b) - (a < b)
    if x == y or abs(x - y) <= 2.0**-46 * max(abs(x), abs(y)):
        return 0
    return 1 if x > y else -1


def bit_length(a: Any) -> int:
    """Bits of an exact number's larger half (0 for inexact ones: their size is fixed)."""
    t = type(a)
    if t is int:
        return a.bit_length()
    if t is Fraction:
        return max(a.numerator.bit_length(), a.denominator.bit_length())
    if t is Expr:
        return max(bit_length(a.args[0]), bit_length(a.args[1]))
    return 0


def power_int(a: Any, n: int, max_bits: int) -> Any:
    """a^n for an integer n. Raises ZeroDivisionError for 0^-n, LimitReached where the result would be too long."""
    t = type(a)
    if t is int or t is Fraction:
        if t is int and a in (0, 1, -1):
            return 0**n if a == 0 else 1 if a == 1 or n % 2 == 0 else -1
        if (bit_length(a) - 1) * abs(n) > max_bits:
            raise LimitReached(Status.MEMORY, "integer digits")
        if n >= 0:
            return a**n
        return inverse(a ** (-n))
    if t is float:
        try:
            v = a**n
            if v or not a:
                return v
        except OverflowError:
            pass
        return power_int(BigReal.of(a, MACHINE_DIGITS), n, max_bits)
    if t is BigReal:
        with mp().workprec(bits(a.digits)):
            return BigReal(a.value**n, a.digits)
    if n < 0:
        return inverse(power_int(a, -n, max_bits))
    if is_exact(a) and 2 * bit_length(a) * n > 2 * max_bits + 64:
        raise LimitReached(Status.MEMORY, "integer digits")
    if not is_exact(a) and n > 64:
        return from_complex(cmath.exp(n * cmath.log(to_complex(a)))) if to_complex(a) else 0.0
    out: Any = 1
    while n:
        if n & 1:
            out = mul(out, a)
        n >>= 1
        if n:
            a = mul(a, a)
    return out


def power_inexact(a: Any, b: Any) -> Any:
    """a^b where one of them is inexact and b is no integer; None where it is not defined."""
    digits = min(joint(*_reals(a)), joint(*_reals(b)))
    if BigReal in map(type, _reals(a) + _reals(b)) and float not in map(type, _reals(a) + _reals(b)):
        m = mp()
        with m.workprec(bits(digits)):
            z = m.power(_mpc(a), _mpc(b))
            return from_mp(z, digits)
    try:
        if is_real(a) and is_real(b):
            x, y = to_float(a), to_float(b)
            return x**y if x >= 0 else from_complex(complex(x) ** y)
        return from_complex(to_complex(a) ** to_complex(b))
    except OverflowError:
        return from_mp(mp().power(_mpc(a), _mpc(b)), digits)
    except ZeroDivisionError:
        return None


def _reals(z: Any) -> tuple[Any, Any]:
    return z.args if type(z) is Expr else (z, z)


def _mpc(z: Any) -> Any:
    re, im = parts(z)
    return mp().mpc(mpf(re), mpf(im)) if type(z) is Expr else mpf(re)


def from_mp(z: Any, digits: float) -> Any:
    """An mpf or mpc as BigReal or complex of BigReals."""
    if hasattr(z, "imag") and z.imag:
        return complex_(BigReal(z.real, digits), BigReal(z.imag, digits))
    return BigReal(z.real, digits)
