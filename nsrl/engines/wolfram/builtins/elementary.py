"""Functions of real and complex numbers: Abs, Sign, Min and Max, Log, Gamma and Erf, and the mathematical constants."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.assoc import is_assoc
from nsrl.engines.wolfram.bignum import MACHINE_DIGITS, BigReal, mp
from nsrl.engines.wolfram.builtins.arithmetic import is_infinity, is_numeric
from nsrl.engines.wolfram.builtins.logic import compare_values
from nsrl.engines.wolfram.builtins.trig import inexact_value
from nsrl.engines.wolfram.expr import COMPLEX, LIST, Expr, S, Symbol, is_list, lst, mk, norm
from nsrl.engines.wolfram.numbers import (
    complex_,
    from_complex,
    from_mp,
    is_exact,
    is_real,
    neg,
    parts,
    sign,
    to_complex,
)
from nsrl.engines.wolfram.numeric import (
    approx_mp,
    log_value,
    real_value,
)
from nsrl.engines.wolfram.order import is_number
from nsrl.engines.wolfram.pattern import has_pattern
from nsrl.engines.wolfram.points import certain_sign
from nsrl.engines.wolfram.table import Builtin, symbols, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
_NUMERIC = "Listable NumericFunction"
symbols(TABLE, "Pi E Degree GoldenRatio EulerGamma Catalan Khinchin Glaisher", "Constant ReadProtected Protected")
_HALF = Fraction(1, 2)


@builtin("I", arity=-1)
def i_(ev: Evaluator, args: tuple) -> Any:
    return complex_(0, 1)


@builtin("$MachinePrecision", arity=-1)
def machine_precision(ev: Evaluator, args: tuple) -> Any:
    return MACHINE_DIGITS


@builtin("$MaxMachineNumber", arity=-1)
def max_machine(ev: Evaluator, args: tuple) -> Any:
    return 1.7976931348623157e308


@builtin("$MachineEpsilon", arity=-1)
def machine_epsilon(ev: Evaluator, args: tuple) -> Any:
    return 2.220446049250313e-16


_NO_NUMBER = Symbol(
    "Complex"
)  # the head of Complex[x, y]: arithmetic takes Complex[...] for a number of two real parts


@builtin("Complex", data=True)
def complex_number(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 2 and is_real(args[0]) and is_real(args[1]):
        z = complex_(*args)
        return z if z != Expr(COMPLEX, args) else None
    return None if any(map(has_pattern, args)) else Expr(_NO_NUMBER, args)


_NO_NUMBER.builtin = Builtin(
    "Complex", 0, lambda ev, args: complex_(*args) if len(args) == 2 and is_real(args[0]) and is_real(args[1]) else None
)


@builtin("Rational", arity=2)
def rational_(ev: Evaluator, args: tuple) -> Any:
    return norm(Fraction(*args)) if type(args[0]) is int and type(args[1]) is int and args[1] else None


# -- magnitude -----------------------------------------------------------------------------------------------------
@builtin("Abs RealAbs", _NUMERIC, arity=1)
def abs_(ev: Evaluator, args: tuple) -> Any:
    x = args[0]
    if is_real(x):
        return neg(x) if sign(x) < 0 else x
    if type(x) is Expr and x.head is COMPLEX:
        re, im = x.args
        if is_exact(x):
            return mk(S.Sqrt, re * re + im * im)
        return abs(to_complex(x))
    if is_infinity(x) or x is S.ComplexInfinity:
        return S.Infinity
    if is_numeric(x):
        s = certain_sign(x)
        if s is not None:
            return x if s > 0 else 0 if s == 0 else mk(S.Times, -1, x)
        if type(x) is Expr and x.head is S.Power and x.args[0] is S.E:
            return mk(S.Exp, mk(S.Re, x.args[1]))
        if type(x) is Expr and x.head is S.Plus:
            re, im = _split_complex(ev, x)
            if re is not None:
                return mk(S.Sqrt, mk(S.Plus, mk(S.Power, re, 2), mk(S.Power, im, 2)))
        return None
    if type(x) is Expr:
        if x.head is S.Abs:
            return x
        if x.head is S.Times and is_number(x.args[0]):
            rest = x.args[1] if len(x.args) == 2 else Expr(S.Times, x.args[1:])
            return mk(S.Times, mk(S.Abs, x.args[0]), mk(S.Abs, rest))
    return None


def _split_complex(ev: Evaluator, x: Expr) -> tuple[Any, Any]:
    """Real and imaginary part of a sum of real numeric terms and I times such; (None, None) otherwise."""
    re, im = [], []
    for t in x.args:
        if type(t) is Expr and t.head is COMPLEX:
            re.append(t.args[0])
            im.append(t.args[1])
        elif (
            type(t) is Expr
            and t.head is S.Times
            and type(t.args[0]) is Expr
            and t.args[0].head is COMPLEX
            and t.args[0].args[0] == 0
        ):
            im.append(mk(S.Times, t.args[0].args[1], *t.args[1:]))
        elif real_value(t) is not None:
            re.append(t)
        else:
            return None, None
    return ev.call(S.Plus, *re), ev.call(S.Plus, *im)


@builtin("Sign", _NUMERIC, arity=1)
def sign_(ev: Evaluator, args: tuple) -> Any:
    x = args[0]
    if is_real(x):
        return sign(x)
    if is_infinity(x):
        return 1 if x is S.Infinity else -1
    if is_numeric(x):
        s = certain_sign(x)
        if s is not None:
            return s
        return mk(S.Times, x, mk(S.Power, mk(S.Abs, x), -1)) if is_number(x) else None
    if type(x) is Expr and x.head is S.Times and is_real(x.args[0]):
        rest = x.args[1] if len(x.args) == 2 else Expr(S.Times, x.args[1:])
        return mk(S.Times, sign(x.args[0]), mk(S.Sign, rest))
    return None


@builtin("Ramp", _NUMERIC, arity=1)
def ramp(ev: Evaluator, args: tuple) -> Any:
    s = compare_values(ev, args[0], 0)
    return None if s is None else args[0] if s >= 0 else 0


@builtin("KroneckerDelta", "NumericFunction Orderless")
def kronecker_delta(ev: Evaluator, args: tuple) -> Any:
    if not all(map(is_number, args)):
        return None
    return int(all(a == (args[0] if len(args) > 1 else 0) for a in args))


@builtin("DiscreteDelta", _NUMERIC)
def discrete_delta(ev: Evaluator, args: tuple) -> Any:
    return int(all(a == 0 for a in args)) if all(map(is_number, args)) else None


@builtin("Clip", _NUMERIC.replace("Listable ", ""), arity=(1, 3))
def clip(ev: Evaluator, args: tuple) -> Any:
    x = args[0]
    if is_list(x):
        return lst(ev.call(S.Clip, a, *args[1:]) for a in x.args)
    low, high = args[1].args if len(args) > 1 and is_list(args[1]) else (-1, 1)
    below, above = args[2].args if len(args) > 2 and is_list(args[2]) else (low, high)
    a, b = compare_values(ev, x, low), compare_values(ev, x, high)
    if a is None or b is None:
        return None
    return below if a < 0 else above if b > 0 else x


@builtin("Rescale", "NumericFunction", arity=(1, 3))
def rescale(ev: Evaluator, args: tuple) -> Any:
    x = args[0]
    if len(args) == 1:
        if not is_list(x):
            return None
        args = (x, lst((ev.call(S.Min, x), ev.call(S.Max, x))))
    if is_list(x):
        return lst(ev.call(S.Rescale, a, *args[1:]) for a in x.args)
    if not all(is_list(a) and len(a.args) == 2 for a in args[1:]):
        return None
    low, high = args[1].args
    unit = ev.eval(mk(S.Divide, mk(S.Subtract, x, low), mk(S.Subtract, high, low)))
    if len(args) == 2:
        return unit
    a, b = args[2].args
    return mk(S.Plus, a, mk(S.Times, unit, mk(S.Subtract, b, a)))


def _extreme(name: str, want: int, empty: Any) -> None:
    @builtin(name, "Flat NumericFunction OneIdentity Orderless")
    def extreme(ev: Evaluator, args: tuple) -> Any:
        flat: list[Any] = []

        def collect(items: tuple) -> None:
            for a in items:
                if type(a) is Expr and a.head is LIST:
                    collect(a.args)
                elif is_assoc(a):
                    collect(tuple([r.args[1] for r in a.args]))
                else:
                    flat.append(a)

        collect(args)
        if not flat:
            return empty()
        best: Any = None
        symbolic: dict[Any, None] = {}
        for a in flat:
            if (is_real(a) or is_numeric(a) or is_infinity(a) or _is_quantity(a)) and (
                best is None or compare_values(ev, a, best) is not None
            ):
                if best is None or compare_values(ev, a, best) == want:
                    best = a
            else:
                symbolic[a] = None
        if best is not None and not is_number(best) and not symbolic and any(type(a) is float for a in flat):
            best = best if is_infinity(best) else ev.call(S.N, best)
        if not symbolic:
            return best
        new = ([best] if best is not None else []) + list(symbolic)
        if len(new) == 1:
            return new[0] if type(new[0]) is Symbol or type(new[0]) is Expr else None
        from nsrl.engines.wolfram.order import sort

        new = sort(new)
        return None if tuple(new) == args else Expr(getattr(S, name), tuple(new))


def _is_quantity(a: Any) -> bool:
    return type(a) is Expr and a.head is S.Quantity


_extreme("Max", 1, lambda: mk(S.Times, -1, S.Infinity))
_extreme("Min", -1, lambda: S.Infinity)


@builtin("MinMax", arity=(1, 2))
def min_max(ev: Evaluator, args: tuple) -> Any:
    low, high = ev.call(S.Min, args[0]), ev.call(S.Max, args[0])
    if len(args) == 2:
        return lst((ev.call(S.Subtract, low, args[1]), ev.call(S.Plus, high, args[1])))
    return lst((low, high))


# -- parts of numbers ----------------------------------------------------------------------------------------------
def _complex_part(name: str, pick: Any) -> None:
    @builtin(name, _NUMERIC, arity=1)
    def part(ev: Evaluator, args: tuple) -> Any:
        x = args[0]
        if is_number(x):
            return pick(*parts(x))
        if is_numeric(x):
            if real_value(x) is not None:
                return pick(x, 0)
            if type(x) is Expr and x.head is S.Plus:
                re, im = _split_complex(ev, x)
                return None if re is None else pick(re, im)
            if type(x) is Expr and x.head is S.Times:
                re, im = _split_complex(ev, Expr(S.Plus, (x,)))
                if re is not None:
                    return pick(re, im)
            if type(x) is Expr and x.head is S.Power:
                y = ev.call(S.ComplexExpand, x) if "ComplexExpand" in TABLE else None
                return None if y is None else mk(getattr(S, name), y)
        return None


_complex_part("Re", lambda re, im: re)
_complex_part("Im", lambda re, im: im)


@builtin("ReIm", "Listable", arity=1)
def re_im(ev: Evaluator, args: tuple) -> Any:
    return lst((mk(S.Re, args[0]), mk(S.Im, args[0])))


@builtin("AbsArg", "Listable", arity=1)
def abs_arg(ev: Evaluator, args: tuple) -> Any:
    return lst((mk(S.Abs, args[0]), mk(S.Arg, args[0])))


@builtin("Conjugate", _NUMERIC, arity=1)
def conjugate(ev: Evaluator, args: tuple) -> Any:
    x = args[0]
    if is_number(x):
        re, im = parts(x)
        return complex_(re, neg(im))
    if is_numeric(x):
        if real_value(x) is not None:
            return x
        if type(x) is Expr and x.head in (S.Plus, S.Times):
            return Expr(x.head, tuple([mk(S.Conjugate, a) for a in x.args]))
    if type(x) is Expr and x.head is S.Conjugate:
        return x.args[0]
    return None


@builtin("Arg", _NUMERIC, arity=1)
def arg(ev: Evaluator, args: tuple) -> Any:
    x = args[0]
    if not is_numeric(x) and not is_number(x):
        return None
    s = certain_sign(x)
    if s is not None:
        if type(x) is float and s < 0:
            return math.pi
        return 0 if s >= 0 else S.Pi
    re, im = (
        parts(x)
        if is_number(x)
        else _split_complex(ev, x)
        if type(x) is Expr and x.head is S.Plus
        else _split_complex(ev, Expr(S.Plus, (x,)))
    )
    if re is None:
        return None
    return mk(S.ArcTan, re, im)


@builtin("Numerator", "Listable", arity=1)
def numerator(ev: Evaluator, args: tuple) -> Any:
    return _fraction_parts(args[0])[0]


@builtin("Denominator", "Listable", arity=1)
def denominator(ev: Evaluator, args: tuple) -> Any:
    return _fraction_parts(args[0])[1]


@builtin("NumeratorDenominator", "Listable", arity=1)
def numerator_denominator(ev: Evaluator, args: tuple) -> Any:
    return lst(_fraction_parts(args[0]))


def _fraction_parts(e: Any) -> tuple[Any, Any]:
    if type(e) is Fraction:
        return e.numerator, e.denominator
    top, bottom = [], []
    for f in e.args if type(e) is Expr and e.head is S.Times else (e,):
        if type(f) is Fraction:
            top.append(f.numerator)
            bottom.append(f.denominator)
            continue
        if type(f) is Expr and f.head is S.Power and len(f.args) == 2:
            x = f.args[1]
            minus = (is_real(x) and sign(x) < 0) or (
                type(x) is Expr and x.head is S.Times and is_real(x.args[0]) and sign(x.args[0]) < 0
            )
            if minus:
                bottom.append(mk(S.Power, f.args[0], mk(S.Times, -1, x)))
                continue
        top.append(f)
    return (mk(S.Times, *top) if len(top) != 1 else top[0]), (mk(S.Times, *bottom) if len(bottom) != 1 else bottom[0])


# -- exponentials ----------------------------------------------------------------------------------------------------
@builtin("Log", _NUMERIC, arity=(1, 2))
def log(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 2:
        return _log_base(ev, *args)
    x = args[0]
    if type(x) is int:
        if x == 1:
            return 0
        if x == 0:
            return mk(S.Times, -1, S.Infinity)
        if x < 0:
            return mk(S.Plus, mk(S.Times, complex_(0, 1), S.Pi), mk(S.Log, -x))
        return None
    if type(x) is Fraction:
        if x < 0:
            return mk(S.Plus, mk(S.Times, complex_(0, 1), S.Pi), mk(S.Log, -x))
        return (
            mk(S.Times, -1, mk(S.Log, x.denominator))
            if x.numerator == 1
            else mk(S.Times, -1, mk(S.Log, 1 / x))
            if x < 1
            else None
        )
    if type(x) is float:
        v = log_value(x)
        return S.Indeterminate if v is None else from_complex(v) if type(v) is complex else v
    if type(x) is BigReal:
        return from_mp(approx_mp(mk(S.Log, x), x.digits), x.digits)
    if x is S.E:
        return 1
    if x is S.Infinity or x is S.ComplexInfinity:
        return S.Infinity
    if type(x) is Expr:
        if x.head is COMPLEX:
            if not is_exact(x):
                return from_complex(log_value(to_complex(x)))
            re, im = x.args
            if re == 0 and abs(im) == 1:
                return mk(S.Times, complex_(0, _HALF * im), S.Pi)
        if x.head is S.Power and x.args[0] is S.E and real_value(x.args[1]) is not None:
            return x.args[1]
        if x.head is S.Power and type(x.args[0]) is int and x.args[0] > 1 and type(x.args[1]) is Fraction:
            return mk(S.Times, x.args[1], mk(S.Log, x.args[0]))
    return None


def _log_base(ev: Evaluator, b: Any, x: Any) -> Any:
    if type(b) in (int, Fraction) and type(x) in (int, Fraction) and b > 0 and b != 1 and x > 0:
        if x == 1:
            return 0
        r = _exact_log(Fraction(b), Fraction(x))
        if r is not None:
            return norm(r)
        if type(x) is Fraction and x.numerator == 1 and type(b) is int:
            return mk(S.Divide, mk(S.Log, x), mk(S.Log, b))
    if type(b) is float or type(x) is float:
        if b == 2 and type(x) is float and x > 0:
            return math.log2(x)
        if b == 10 and type(x) is float and x > 0:
            return math.log10(x)
    return mk(S.Divide, mk(S.Log, x), mk(S.Log, b))


def _exact_log(b: Fraction, x: Fraction) -> Fraction | None:
    """r with b^r = x for rational r, or None: Euclid's algorithm on the exponents of powers of one number."""
    if b < 1:
        r = _exact_log(1 / b, x)
        return None if r is None else -r
    if x < 1:
        r = _exact_log(b, 1 / x)
        return None if r is None else -r
    quotients = []
    while b != 1 and len(quotients) < 64:
        k = int(
            (math.log(x.numerator) - math.log(x.denominator)) / (math.log(b.numerator) - math.log(b.denominator)) + 1e-9
        )
        if k * (b.numerator.bit_length() - 1) > x.numerator.bit_length():
            return None
        tops, bottoms = divmod(x.numerator, b.numerator**k), divmod(x.denominator, b.denominator**k)
        if tops[1] or bottoms[1]:  # powers of one number divide each other
            return None
        rest = Fraction(tops[0], bottoms[0])
        quotients.append(k)
        x, b = b, rest
    if b != 1:
        return None
    r = Fraction(0)
    for k in reversed(quotients):
        r = k + (1 / r if r else Fraction(0))
    return r


@builtin("Log2", _NUMERIC, arity=1)
def log2(ev: Evaluator, args: tuple) -> Any:
    return mk(S.Log, 2, args[0])


@builtin("Log10", _NUMERIC, arity=1)
def log10(ev: Evaluator, args: tuple) -> Any:
    return mk(S.Log, 10, args[0])


@builtin("Log1p Expm1", _NUMERIC, arity=1)
def log1p(ev: Evaluator, args: tuple) -> Any:
    return math.log1p(args[0]) if type(args[0]) is float and args[0] > -1 else mk(S.Log, mk(S.Plus, 1, args[0]))


@builtin("Gamma", _NUMERIC, arity=(1, 2))
def gamma(ev: Evaluator, args: tuple) -> Any:
    x = args[0]
    if len(args) == 2:
        if args[1] == 0 and type(args[1]) is int and isinstance(x, (int, Fraction)):
            return ev.call(S.Gamma, x) if x > 0 else S.Infinity if x == 0 else None
        return None
    if type(x) is int:
        return ev.call(S.Factorial, x - 1) if x > 0 else S.ComplexInfinity
    if type(x) is Fraction and x.denominator == 2:
        n = x.numerator // 2
        c = Fraction(1)
        for k in range(abs(n)):
            c = c * (Fraction(2 * k + 1, 2)) if n > 0 else c / (Fraction(-2 * k - 1, 2))
        ev.step(abs(n))
        return mk(S.Times, norm(c), mk(S.Power, S.Pi, _HALF))
    return inexact_value(ev, S.Gamma, x)


@builtin("Beta", _NUMERIC, arity=2)
def beta(ev: Evaluator, args: tuple) -> Any:
    a, b = args
    if all(type(x) in (int, Fraction, float) for x in args):
        return mk(S.Times, mk(S.Gamma, a), mk(S.Gamma, b), mk(S.Power, mk(S.Gamma, mk(S.Plus, a, b)), -1))
    return None


def _special(name: str, exact: dict[Any, Any]) -> None:
    @builtin(name, _NUMERIC, arity=1)
    def special(ev: Evaluator, args: tuple) -> Any:
        v = inexact_value(ev, getattr(S, name), args[0])
        if v is not None:
            return v
        return exact.get(args[0]) if type(args[0]) in (int, Fraction, Symbol) else None


_special("Erf", {0: 0, S.Infinity: 1})
_special("Erfc", {0: 1, S.Infinity: 0})
_special("InverseErf", {0: 0, 1: S.Infinity})
_special("InverseErfc", {1: 0, 0: S.Infinity})
_special("LogGamma", {1: 0, 2: 0})
_special("ProductLog", {0: 0, S.E: 1})
_special("Zeta", {0: -_HALF, 2: mk(S.Times, Fraction(1, 6), mk(S.Power, S.Pi, 2)), 4: mk(S.Times, Fraction(1, 90),
mk(S.Power, S.Pi, 4)),
                  6: mk(S.Times, Fraction(1, 945), mk(S.Power, S.Pi, 6)), -1: Fraction(-1, 12),
                  1: S.ComplexInfinity})  # fmt: skip


@builtin("ArithmeticGeometricMean", _NUMERIC, arity=2)
def arithmetic_geometric_mean(ev: Evaluator, args: tuple) -> Any:
    a, b = args
    if type(a) is int and a == b:
        return a
    if not any(type(x) is float for x in args) or not all(type(x) in (int, Fraction, float) and x > 0 for x in args):
        return None
    return float(mp().agm(float(a), float(b)))


@builtin("HarmonicNumber", _NUMERIC, arity=(1, 2))
def harmonic_number(ev: Evaluator, args: tuple) -> Any:
    n, r = args[0], args[1] if len(args) > 1 else 1
    if type(n) is not int or type(r) is not int or n < 0 or n > 20_000 or abs(r) > 1000:
        return None
    ev.step(n)
    ev.need_bits(n * 2)
    return norm(sum((Fraction(k) ** -r for k in range(1, n + 1)), Fraction(0)))
