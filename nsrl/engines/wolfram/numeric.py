"""Numerical values of exact expressions: machine precision first, mpmath where more is asked or machine is not enough.

`approx` walks a tree such as Sqrt[2] + Sin[Pi/7] without going through the evaluator. What decides anything (Less,
Floor, Sign, Max) asks points.py, where cancellation is counted.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from nsrl.engines.wolfram.bignum import BigReal, bits, mp, mpf
from nsrl.engines.wolfram.expr import COMPLEX, Expr, S, Symbol
from nsrl.engines.wolfram.numbers import to_complex, to_float
from nsrl.engines.wolfram.rootobject import root_value

CONSTANTS: dict[Symbol, float] = {
    S.Pi: math.pi,
    S.E: math.e,
    S.Degree: math.pi / 180,
    S.GoldenRatio: (1 + math.sqrt(5)) / 2,
    S.EulerGamma: 0.5772156649015329,
    S.Catalan: 0.915965594177219,
    S.Khinchin: 2.6854520010653062,
    S.Glaisher: 1.2824271291006226,
}


def _cot(z: complex) -> complex:
    return 1 / cmath.tan(z)


def _cbrt(x: Any) -> Any:
    return math.copysign(abs(x) ** (1 / 3), x)


# name -> (real function, or None where only the complex one is right; complex function; mpmath name)
def _inverse_erf(x: float, less: float = 0.0) -> float:
    """The z with erf(z) = x - less, to machine precision. Raises ValueError outside -1 < x - less < 1."""
    m = mp()
    with m.workdps(340 if less else 40):
        u = m.mpf(x) - m.mpf(less)
        if not -1 < u < 1:
            raise ValueError
        return float(m.erfinv(u))


FUNCTIONS: dict[Symbol, tuple[Callable | None, Callable | None, str]] = {
    S.Sin: (math.sin, cmath.sin, "sin"),
    S.Cos: (math.cos, cmath.cos, "cos"),
    S.Tan: (math.tan, cmath.tan, "tan"),
    S.Cot: (lambda x: 1 / math.tan(x), _cot, "cot"),
    S.Sec: (lambda x: 1 / math.cos(x), lambda z: 1 / cmath.cos(z), "sec"),
    S.Csc: (lambda x: 1 / math.sin(x), lambda z: 1 / cmath.sin(z), "csc"),
    S.ArcSin: (math.asin, cmath.asin, "asin"),
    S.ArcCos: (math.acos, cmath.acos, "acos"),
    S.ArcTan: (math.atan, cmath.atan, "atan"),
    S.ArcCot: (lambda x: math.atan(1 / x) if x else math.pi / 2, lambda z: cmath.atan(1 / z), "acot"),
    S.ArcSec: (lambda x: math.acos(1 / x), lambda z: cmath.acos(1 / z), "asec"),
    S.ArcCsc: (lambda x: math.asin(1 / x), lambda z: cmath.asin(1 / z), "acsc"),
    S.Sinh: (math.sinh, cmath.sinh, "sinh"),
    S.Cosh: (math.cosh, cmath.cosh, "cosh"),
    S.Tanh: (math.tanh, cmath.tanh, "tanh"),
    S.Coth: (lambda x: 1 / math.tanh(x), lambda z: 1 / cmath.tanh(z), "coth"),
    S.Sech: (lambda x: 1 / math.cosh(x), lambda z: 1 / cmath.cosh(z), "sech"),
    S.Csch: (lambda x: 1 / math.sinh(x), lambda z: 1 / cmath.sinh(z), "csch"),
    S.ArcSinh: (math.asinh, cmath.asinh, "asinh"),
    S.ArcCosh: (math.acosh, cmath.acosh, "acosh"),
    S.ArcTanh: (math.atanh, cmath.atanh, "atanh"),
    S.ArcCoth: (lambda x: math.atanh(1 / x), lambda z: cmath.atanh(1 / z), "acoth"),
    S.ArcSech: (lambda x: math.acosh(1 / x), lambda z: cmath.acosh(1 / z), "asech"),
    S.ArcCsch: (lambda x: math.asinh(1 / x), lambda z: cmath.asinh(1 / z), "acsch"),
    S.Exp: (math.exp, cmath.exp, "exp"),
    S.Gamma: (math.gamma, None, "gamma"),
    S.LogGamma: (math.lgamma, None, "loggamma"),
    S.Erf: (math.erf, None, "erf"),
    S.Erfc: (math.erfc, None, "erfc"),
    S.InverseErf: (lambda x: _inverse_erf(x), None, ""),
    S.InverseErfc: (lambda x: _inverse_erf(1, x), None, ""),
    S.Zeta: (None, None, "zeta"),
    S.ProductLog: (None, None, "lambertw"),
    S.CubeRoot: (_cbrt, None, "cbrt"),
    S.Factorial: (lambda x: math.gamma(x + 1), None, "factorial"),
    S.Haversine: (lambda x: math.sin(x / 2) ** 2, None, ""),
}


_WAVES = (S.Sin, S.Cos, S.Tan, S.Cot, S.Sec, S.Csc)


def function_value(name: Symbol, z: Any) -> Any:
    """A FUNCTIONS entry at a machine number: float or complex; None where it is not defined."""
    real, cplx, mp_name = FUNCTIONS[name]
    try:
        if type(z) is float:
            if real is not None:
                try:
                    return real(z)
                except ValueError:
                    if cplx is None:
                        return None
                    # above 1 the kernel's inverse sine and cosine take the lower side of the cut
                    return cplx(complex(z, -0.0 if z > 1 and name in (S.ArcSin, S.ArcCos) else 0.0))
        elif cplx is not None:
            return cplx(z)
        if not mp_name:
            return None
        v = getattr(mp(), mp_name)(z)
        return complex(v) if getattr(v, "imag", 0) else float(v.real)
    except (OverflowError, ValueError, ZeroDivisionError):
        return None


def log_value(z: Any) -> Any:
    """Natural logarithm of a machine number."""
    if type(z) is float:
        return math.log(z) if z > 0 else None if z == 0 else complex(math.log(-z), math.pi)
    return cmath.log(z) if z else None


def approx(e: Any) -> Any:
    """The machine value (float or complex) of an exact or inexact numeric tree; None where it has none."""
    t = type(e)
    if t is int or t is Fraction or t is float or t is BigReal:
        return to_float(e)
    if t is Symbol:
        return CONSTANTS.get(e)
    if t is not Expr:
        return None
    h, args = e.head, e.args
    if h is COMPLEX:
        return to_complex(e)
    if type(h) is not Symbol:
        return None
    if h is S.Root:
        v = root_value(e, 20)
        return v if v is None else complex(v) if v.imag else float(v)
    if h is S.Plus:
        total: Any = 0.0
        for a in args:
            v = approx(a)
            if v is None:
                return None
            total += v
        return total
    if h is S.Times:
        product: Any = 1.0
        for a in args:
            v = approx(a)
            if v is None:
                return None
            product *= v
        return product
    try:
        if h is S.Power and len(args) == 2:
            return _power(args[0], args[1])
        if h is S.Log:
            vs = [approx(a) for a in args]
            if None in vs or not 1 <= len(vs) <= 2:
                return None
            if len(vs) == 1:
                return log_value(vs[0])
            a, b = log_value(vs[0]), log_value(vs[1])
            return None if a is None or b is None or a == 0 else b / a
        if h is S.ArcTan and len(args) == 2:
            x, y = approx(args[0]), approx(args[1])
            return math.atan2(y, x) if type(x) is float and type(y) is float else None
        if h is S.Abs and len(args) == 1:
            v = approx(args[0])
            return None if v is None else abs(v)
        if h in FUNCTIONS and len(args) == 1:
            v = approx(args[0])
            if h in _WAVES and type(v) is float and abs(v) > 1e4 and type(args[0]) is not float:
                m = approx_mp(
                    e, 20 + (math.log10(abs(v)) if math.isfinite(v) else 400)
                )  # a machine number says little of its angle
                return None if m is None or getattr(m, "imag", 0) else float(m.real)
            return None if v is None else function_value(h, v)
    except (OverflowError, ZeroDivisionError):
        return None
    return None


def _power(base: Any, exponent: Any) -> Any:
    if base is S.E:
        x = approx(exponent)
        return None if x is None else math.exp(x) if type(x) is float else cmath.exp(x)
    b = approx(base)
    if b is None:
        return None
    if (
        type(exponent) is Fraction
        and exponent.denominator == 2
        and type(b) is float
        and b >= 0
        and abs(exponent.numerator) == 1
    ):
        r = math.sqrt(b)
        return r if exponent.numerator == 1 else 1 / r
    x = int(exponent) if type(exponent) is int and abs(exponent) < 2**53 else approx(exponent)
    if x is None:
        return None
    if type(b) is float and b < 0 and type(x) is float:
        return complex(b) ** x
    return b**x


def real_value(e: Any) -> float | None:
    """The machine value of a real numeric tree; None for complex or symbolic ones."""
    v = approx(e)
    if type(v) is complex:
        return v.real if abs(v.imag) <= 1e-13 * abs(v.real) else None
    return v


def approx_mp(e: Any, digits: float) -> Any:
    """The mpf or mpc of a numeric tree to at least `digits` digits; None where it has none."""
    m = mp()
    with m.workprec(bits(digits) + 40):
        return _mp(e, m)


def _mp(e: Any, m: Any) -> Any:
    t = type(e)
    if t in (int, Fraction, float, BigReal):
        return mpf(e)
    if t is Symbol:
        name = MP_CONSTANTS.get(e)
        return None if name is None else m.pi / 180 if name == "degree" else +getattr(m, name)
    if t is not Expr or type(e.head) is not Symbol:
        return None
    h = e.head
    if h is S.Root:
        return root_value(e, m.dps)
    vs = [_mp(a, m) for a in e.args]
    if any(v is None for v in vs):
        return None
    try:
        if h is COMPLEX:
            return m.mpc(*vs)
        if h is S.Plus:
            return m.fsum(vs)
        if h is S.Times:
            return m.fprod(vs)
        if h is S.Power and len(vs) == 2:
            return m.power(*vs)
        if h is S.Log and len(vs) in (1, 2):
            return m.log(vs[0]) if len(vs) == 1 else m.log(vs[1]) / m.log(vs[0])
        if h is S.ArcTan and len(vs) == 2:
            return m.atan2(vs[1], vs[0])
        if h is S.Abs and len(vs) == 1:
            return abs(vs[0])
        if h in FUNCTIONS and len(vs) == 1 and FUNCTIONS[h][2]:
            return getattr(m, FUNCTIONS[h][2])(vs[0])
    except (ZeroDivisionError, ValueError):
        return None
    return None


MP_CONSTANTS = {
    S.Pi: "pi", S.E: "e", S.Degree: "degree", S.GoldenRatio: "phi", S.EulerGamma: "euler", S.Catalan: "catalan",
    S.Khinchin: "khinchin", S.Glaisher: "glaisher",
}  # fmt: skip
