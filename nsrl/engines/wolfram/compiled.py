"""A tree as a numeric function: `compiled(e, names)(context, values)` in mpmath's machine (`fp`) or arbitrary (`mp`)
context.

This is what exact answers are checked against (confirm.py), so nothing here goes through the evaluator or SymPy.
`NotNumeric` is raised at compile time for what has no numerical meaning, at run time for points where there is no
value.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

from nsrl.engines.wolfram.bignum import BigReal
from nsrl.engines.wolfram.expr import COMPLEX, FALSE, TRUE, Expr, S, Symbol, is_list
from nsrl.engines.wolfram.numeric import FUNCTIONS, MP_CONSTANTS

Numeric = Callable[[Any, tuple], Any]  # (mpmath context, values of the names) -> number


class NotNumeric(Exception):
    """No number: an unknown function or symbol, or a point outside the domain."""


_NAMES = {
    "Erfi": "erfi", "PolyLog": "polylog", "Beta": "beta", "PolyGamma": "psi", "ProductLog": "lambertw",
    "ExpIntegralEi": "ei", "SinIntegral": "si", "CosIntegral": "ci", "LogIntegral": "li", "FresnelS": "fresnels",
    "FresnelC": "fresnelc", "HarmonicNumber": "harmonic", "BesselJ": "besselj", "BesselY": "bessely",
    "BesselI": "besseli", "BesselK": "besselk", "EllipticK": "ellipk", "EllipticE": "ellipe", "EllipticF": "ellipf",
    "Sinc": "sinc", "Pochhammer": "rf", "FactorialPower": "ff", "AiryAi": "airyai", "AiryBi": "airybi",
    "LegendreP": "legendre", "ChebyshevT": "chebyt", "ChebyshevU": "chebyu", "HermiteH": "hermite",
    "Binomial": "binomial", "Factorial2": "fac2", "Fibonacci": "fib", "Hypergeometric2F1": "hyp2f1",
    "Hypergeometric1F1": "hyp1f1", "Hypergeometric0F1": "hyp0f1", "Re": "re", "Im": "im", "Conjugate": "conj",
    "Arg": "arg",
}  # fmt: skip


def _real(c: Any, z: Any) -> Any:
    if getattr(z, "imag", 0) and abs(z.imag) > 1e-12 * abs(z):
        raise NotNumeric
    return z.real if hasattr(z, "real") else z


def _bounded(c: Any, z: Any) -> Any:
    """z, an exponent that mpmath can take: it works with as many bits as the exponent has before its point."""
    if abs(z) > 1e200 and c.mag(z) > 4000:
        raise NotNumeric
    return z


def _sign(c: Any, z: Any) -> Any:
    return z / abs(z) if z else c.mpf(0)


def _step(c: Any, z: Any) -> Any:
    return c.mpf(1 if _real(c, z) >= 0 else 0)


def _root(c: Any, x: Any, n: Any) -> Any:
    x = _real(c, x)
    return -((-x) ** (c.mpf(1) / n)) if x < 0 and int(n) % 2 else x ** (c.mpf(1) / n)


_OWN: dict[Symbol, Callable] = {
    S.Abs: lambda c, z: abs(z),
    S.RealAbs: lambda c, z: abs(_real(c, z)),
    S.Sign: _sign,
    S.RealSign: lambda c, z: _sign(c, _real(c, z)),
    S.UnitStep: _step,
    S.HeavisideTheta: _step,
    S.Sqrt: lambda c, z: c.sqrt(z),
    S.CubeRoot: lambda c, z: _root(c, z, 3),
    S.Surd: _root,
    S.Log: lambda c, *z: c.log(z[0]) if len(z) == 1 else c.log(z[1]) / c.log(z[0]),
    S.ArcTan: lambda c, *z: c.atan(z[0]) if len(z) == 1 else c.atan2(_real(c, z[1]), _real(c, z[0])),
    S.Gamma: lambda c, *z: c.gamma(z[0]) if len(z) == 1 else c.gammainc(*z),
    S.Zeta: lambda c, *z: c.zeta(*z),
    S.Floor: lambda c, z: c.floor(_real(c, z)),
    S.Ceiling: lambda c, z: c.ceil(_real(c, z)),
    S.FractionalPart: lambda c, z: z - (c.floor(z) if _real(c, z) >= 0 else c.ceil(z)),
    S.Mod: lambda c, a, b: a - b * c.floor(_real(c, a) / _real(c, b)),
    S.Max: lambda c, *z: max(_real(c, a) for a in z),
    S.Min: lambda c, *z: min(_real(c, a) for a in z),
    S.Haversine: lambda c, z: c.sin(z / 2) ** 2,
    S.CatalanNumber: lambda c, n: c.binomial(2 * n, n) / (n + 1),
}
_RELATIONS: dict[Symbol, Callable[[Any, Any], bool]] = {
    S.Less: lambda a, b: a < b,
    S.LessEqual: lambda a, b: a <= b,
    S.Greater: lambda a, b: a > b,
    S.GreaterEqual: lambda a, b: a >= b,
    S.Equal: lambda a, b: a == b,
    S.Unequal: lambda a, b: a != b,
}


def compiled(e: Any, names: tuple) -> Numeric:
    """e as a function of the values of `names`. Raises NotNumeric."""
    inner = _compile(e, {n: i for i, n in enumerate(names)})

    def value(c: Any, at: tuple) -> Any:
        try:
            z = inner(c, at)
        except (ZeroDivisionError, OverflowError, ValueError, TypeError, NotImplementedError, c.NoConvergence) as error:
            # mpmath: poles, overflow, orders it cannot do; TypeError where its real functions meet a complex number.
            raise NotNumeric(str(error)) from error
        if z != z or abs(z) == c.inf:
            raise NotNumeric
        return z

    return value


def _constant(number: Any) -> Numeric:
    if type(number) is Fraction:
        p, q = number.numerator, number.denominator
        return lambda c, at: c.mpf(p) / q
    if type(number) is BigReal:
        return lambda c, at: c.mpf(number.value)
    return lambda c, at: c.mpf(number)


def _compile(e: Any, places: dict[Any, int]) -> Numeric:
    t = type(e)
    if t in (int, Fraction, float, BigReal):
        return _constant(e)
    if t is Symbol:
        i = places.get(e)
        if i is not None:
            return lambda c, at: at[i]
        name = MP_CONSTANTS.get(e)
        if name is None:
            raise NotNumeric(e.name)
        return (lambda c, at: c.pi / 180) if name == "degree" else (lambda c, at: +getattr(c, name))
    if t is not Expr or type(e.head) is not Symbol:
        raise NotNumeric
    h = e.head
    if h is S.Piecewise:
        return _piecewise(e, places)
    if h is S.Boole and len(e.args) == 1:
        test = _condition(e.args[0], places)
        return lambda c, at: c.mpf(1 if test(c, at) else 0)
    if h is S.HypergeometricPFQ and len(e.args) == 3:
        upper, lower = ([_compile(a, places) for a in p.args] for p in e.args[:2])
        last = _compile(e.args[2], places)
        return lambda c, at: c.hyper([f(c, at) for f in upper], [f(c, at) for f in lower], last(c, at))
    fs = tuple([_compile(a, places) for a in e.args])
    if h is S.Plus:
        return lambda c, at: sum([f(c, at) for f in fs])
    if h is S.Times:
        return lambda c, at: c.fprod([f(c, at) for f in fs])
    if h is S.Power and len(fs) == 2:
        base, exponent = fs
        if type(e.args[1]) is int:
            n = e.args[1]
            return lambda c, at: base(c, at) ** n
        if e.args[0] is S.E:
            return lambda c, at: c.exp(_bounded(c, exponent(c, at)))
        return lambda c, at: c.power(base(c, at), _bounded(c, exponent(c, at)))
    if h is COMPLEX:
        return lambda c, at: c.mpc(fs[0](c, at), fs[1](c, at))
    own = _OWN.get(h)
    if own is not None:
        return lambda c, at: own(c, *[f(c, at) for f in fs])
    name = _NAMES.get(h.name) or (FUNCTIONS[h][2] if h in FUNCTIONS and len(fs) == 1 else None)
    if not name:
        raise NotNumeric(h.name)
    return lambda c, at: _named(c, name)(*[f(c, at) for f in fs])


def _named(c: Any, name: str) -> Callable:
    f = getattr(c, name, None)  # the machine context lacks a few
    if f is None:
        raise NotNumeric(name)
    return f


def _piecewise(e: Expr, places: dict[Any, int]) -> Numeric:
    pairs = [(_compile(p.args[0], places), _condition(p.args[1], places)) for p in e.args[0].args if is_list(p)]
    default = _compile(e.args[1], places) if len(e.args) > 1 else _constant(0)

    def value(c: Any, at: tuple) -> Any:
        for f, test in pairs:
            if test(c, at):
                return f(c, at)
        return default(c, at)

    return value


def _condition(e: Any, places: dict[Any, int]) -> Callable[[Any, tuple], bool]:
    if e is TRUE or e is FALSE:
        return lambda c, at: e is TRUE
    if type(e) is Expr:
        h, args = e.head, e.args
        if h in (S.And, S.Or, S.Not):
            tests = [_condition(a, places) for a in args]
            if h is S.Not:
                return lambda c, at: not tests[0](c, at)
            combine = all if h is S.And else any
            return lambda c, at: combine(t(c, at) for t in tests)
        if h in _RELATIONS or h is S.Inequality:
            values = args[::2] if h is S.Inequality else args
            tests = [_RELATIONS[r] for r in args[1::2]] if h is S.Inequality else [_RELATIONS[h]] * (len(args) - 1)
            fs = [_compile(a, places) for a in values]

            def holds(c: Any, at: tuple) -> bool:
                zs = [_real(c, f(c, at)) for f in fs]
                return all(t(a, b) for t, (a, b) in zip(tests, pairwise(zs)))

            return holds
    raise NotNumeric
