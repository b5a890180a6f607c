"""T1: real and complex functions: Abs, Sign, rounding, Min and Max, N, trigonometry with exact values, Log."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from nsrl.engines.wolfram.bignum import MACHINE_DIGITS, BigReal, bits, mp
from nsrl.engines.wolfram.builtins.arithmetic import is_infinity, is_numeric
from nsrl.engines.wolfram.builtins.logic import compare_values
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
    to_float,
)
from nsrl.engines.wolfram.numeric import (
    CONSTANTS,
    approx,
    approx_mp,
    certain_sign,
    function_value,
    log_value,
    real_value,
)
from nsrl.engines.wolfram.order import is_number
from nsrl.engines.wolfram.table import Builtin, symbols, table

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
_NUMERIC = "Listable NumericFunction"
symbols(TABLE, "Pi E Degree GoldenRatio EulerGamma Catalan Khinchin Glaisher", "Constant ReadProtected Protected")
_HALF = Fraction(1, 2)


@builtin("I", arity=-1)
def i_(ev: Any, args: tuple) -> Any:
    return complex_(0, 1)


@builtin("$MachinePrecision", arity=-1)
def machine_precision(ev: Any, args: tuple) -> Any:
    return MACHINE_DIGITS


@builtin("$MaxMachineNumber", arity=-1)
def max_machine(ev: Any, args: tuple) -> Any:
    return 1.7976931348623157e308


@builtin("$MachineEpsilon", arity=-1)
def machine_epsilon(ev: Any, args: tuple) -> Any:
    return 2.220446049250313e-16


@builtin("Complex", arity=2)
def complex_number(ev: Any, args: tuple) -> Any:
    if is_real(args[0]) and is_real(args[1]):
        z = complex_(*args)
        return z if z != Expr(COMPLEX, args) else None
    return None


@builtin("Rational", arity=2)
def rational_(ev: Any, args: tuple) -> Any:
    return norm(Fraction(*args)) if type(args[0]) is int and type(args[1]) is int and args[1] else None


# -- magnitude -----------------------------------------------------------------------------------------------------
@builtin("Abs RealAbs", _NUMERIC, arity=1)
def abs_(ev: Any, args: tuple) -> Any:
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


def _split_complex(ev: Any, x: Expr) -> tuple[Any, Any]:
    """Real and imaginary part of a sum of real numeric terms and I times such; (None, None) otherwise."""
    re, im = [], []
    for t in x.args:
        if type(t) is Expr and t.head is COMPLEX:
            re.append(t.args[0])
            im.append(t.args[1])
        elif type(t) is Expr and t.head is S.Times and type(t.args[0]) is Expr and t.args[0].head is COMPLEX and t.args[0].args[0] == 0:
            im.append(mk(S.Times, t.args[0].args[1], *t.args[1:]))
        elif real_value(t) is not None:
            re.append(t)
        else:
            return None, None
    return ev.call(S.Plus, *re), ev.call(S.Plus, *im)


@builtin("Sign", _NUMERIC, arity=1)
def sign_(ev: Any, args: tuple) -> Any:
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
def ramp(ev: Any, args: tuple) -> Any:
    s = compare_values(ev, args[0], 0)
    return None if s is None else args[0] if s >= 0 else 0


@builtin("KroneckerDelta", "NumericFunction Orderless")
def kronecker_delta(ev: Any, args: tuple) -> Any:
    if not all(map(is_number, args)):
        return None
    return int(all(a == (args[0] if len(args) > 1 else 0) for a in args))


@builtin("DiscreteDelta", _NUMERIC)
def discrete_delta(ev: Any, args: tuple) -> Any:
    return int(all(a == 0 for a in args)) if all(map(is_number, args)) else None


@builtin("Clip", _NUMERIC.replace("Listable ", ""), arity=(1, 3))
def clip(ev: Any, args: tuple) -> Any:
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
def rescale(ev: Any, args: tuple) -> Any:
    x = args[0]
    if len(args) == 1:
        if not is_list(x):
            return None
        args = (x, lst((ev.call(S.Min, x), ev.call(S.Max, x))))
    if is_list(x):
        return lst(ev.call(S.Rescale, a, *args[1:]) for a in x.args)
    low, high = args[1].args
    unit = ev.eval(mk(S.Divide, mk(S.Subtract, x, low), mk(S.Subtract, high, low)))
    if len(args) == 2:
        return unit
    a, b = args[2].args
    return mk(S.Plus, a, mk(S.Times, unit, mk(S.Subtract, b, a)))


def _extreme(name: str, want: int, empty: Any) -> None:
    @builtin(name, "Flat NumericFunction OneIdentity Orderless")
    def extreme(ev: Any, args: tuple) -> Any:
        flat: list[Any] = []

        def collect(items: tuple) -> None:
            for a in items:
                if type(a) is Expr and a.head is LIST:
                    collect(a.args)
                elif type(a) is Expr and a.head is S.Association:
                    collect(tuple([r.args[1] for r in a.args]))
                else:
                    flat.append(a)

        collect(args)
        if not flat:
            return empty()
        best: Any = None
        symbolic: dict[Any, None] = {}
        for a in flat:
            if (is_real(a) or is_numeric(a) or is_infinity(a) or _is_quantity(a)) and (best is None or compare_values(ev, a, best) is not None):
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
def min_max(ev: Any, args: tuple) -> Any:
    low, high = ev.call(S.Min, args[0]), ev.call(S.Max, args[0])
    if len(args) == 2:
        return lst((ev.call(S.Subtract, low, args[1]), ev.call(S.Plus, high, args[1])))
    return lst((low, high))


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
        return f(_fraction_of(x))
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


def _fraction_of(x: BigReal) -> Fraction:
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
        if type(x) is Expr and x.head is S.Plus and type(x.args[0]) is int:
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


# -- parts of numbers ----------------------------------------------------------------------------------------------
def _complex_part(name: str, pick: Any) -> None:
    @builtin(name, _NUMERIC, arity=1)
    def part(ev: Any, args: tuple) -> Any:
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
def re_im(ev: Any, args: tuple) -> Any:
    return lst((mk(S.Re, args[0]), mk(S.Im, args[0])))


@builtin("AbsArg", "Listable", arity=1)
def abs_arg(ev: Any, args: tuple) -> Any:
    return lst((mk(S.Abs, args[0]), mk(S.Arg, args[0])))


@builtin("Conjugate", _NUMERIC, arity=1)
def conjugate(ev: Any, args: tuple) -> Any:
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
def arg(ev: Any, args: tuple) -> Any:
    x = args[0]
    if not is_numeric(x) and not is_number(x):
        return None
    s = certain_sign(x)
    if s is not None:
        if type(x) is float and s < 0:
            return math.pi
        return 0 if s >= 0 else S.Pi
    re, im = parts(x) if is_number(x) else _split_complex(ev, x) if type(x) is Expr and x.head is S.Plus else _split_complex(ev, Expr(S.Plus, (x,)))
    if re is None:
        return None
    return mk(S.ArcTan, re, im)


@builtin("Numerator", "Listable", arity=1)
def numerator(ev: Any, args: tuple) -> Any:
    return _fraction_parts(args[0])[0]


@builtin("Denominator", "Listable", arity=1)
def denominator(ev: Any, args: tuple) -> Any:
    return _fraction_parts(args[0])[1]


@builtin("NumeratorDenominator", "Listable", arity=1)
def numerator_denominator(ev: Any, args: tuple) -> Any:
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
            minus = (is_real(x) and sign(x) < 0) or (type(x) is Expr and x.head is S.Times and is_real(x.args[0]) and sign(x.args[0]) < 0)
            if minus:
                bottom.append(mk(S.Power, f.args[0], mk(S.Times, -1, x)))
                continue
        top.append(f)
    return (mk(S.Times, *top) if len(top) != 1 else top[0]), (mk(S.Times, *bottom) if len(bottom) != 1 else bottom[0])


# -- numerical values ----------------------------------------------------------------------------------------------
def numericize(ev: Any, e: Any, digits: float | None) -> Any:
    """N[e] (digits None) or N[e, digits]."""
    t = type(e)
    if t is str or t is float:
        return e
    if t is int or t is Fraction:
        return to_float(e) if digits is None else BigReal.of(e, digits)
    if t is BigReal:
        if digits is None:
            return to_float(e)
        return BigReal(e.value, digits) if digits < e.digits else e
    if t is Symbol:
        if e in CONSTANTS:
            return CONSTANTS[e] if digits is None else from_mp(approx_mp(e, digits), digits)
        return e
    if e.head is COMPLEX:
        re, im = e.args
        return complex_(numericize(ev, re, digits), numericize(ev, im, digits)) if im != 0 else numericize(ev, re, digits)
    if is_numeric(e):
        if digits is None:
            v = approx(e)
            if v is not None and (type(v) is complex or math.isfinite(v)):
                if type(v) is complex:
                    # what is real analytically stays real
                    return from_complex(complex(v.real, v.imag)) if abs(v.imag) > 1e-16 * abs(v.real) or _complex_by_nature(e) else v.real
                if v != 0 and type(e) is Expr and e.head is S.Plus and abs(v) < 1e-9 * max(abs(approx(a) or 0) for a in e.args):
                    m = approx_mp(e, 30)
                    return float(m.real) if m is not None else v
                return v
        v = approx_mp(e, 20 if digits is None else digits)
        if v is not None:
            if digits is None:
                return from_complex(complex(v)) if getattr(v, "imag", 0) else float(v.real)
            return from_mp(v, digits)
    head, args = e.head, e.args
    if type(head) is not Symbol or head in (S.Function, S.Hold, S.HoldForm, S.Rational, S.Slot, S.Quantity) or ev.attributes(head) & (3 << 13):
        if head is S.Quantity:
            return Expr(head, (numericize(ev, args[0], digits), *args[1:]))
        return e
    if head is S.Power and len(args) == 2 and type(args[1]) is int:
        return mk(S.Power, numericize(ev, args[0], digits), args[1])
    if head is S.Association or head in (S.Rule, S.RuleDelayed):
        if head is S.Association:
            return Expr(head, tuple([Expr(r.head, (r.args[0], numericize(ev, r.args[1], digits))) for r in args]))
        return Expr(head, tuple([numericize(ev, a, digits) for a in args]))
    return Expr(head, tuple([numericize(ev, a, digits) for a in args]))


def _complex_by_nature(e: Any) -> bool:
    return type(e) is Expr and (e.head is COMPLEX or any(map(_complex_by_nature, e.args)) or (e.head is S.Power and type(e.args[0]) is int and e.args[0] < 0))


@builtin("N", arity=(1, 2), operator=None)
def n_(ev: Any, args: tuple) -> Any:
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
def set_precision(ev: Any, args: tuple) -> Any:
    x, d = args
    if is_real(x) and is_real(d):
        return BigReal.of(x.value if type(x) is BigReal else x, to_float(d))
    return to_float(x) if d is S.MachinePrecision and is_real(x) else ev.call(S.Rationalize, x, 0) if d is S.Infinity else None


@builtin("Precision Accuracy", arity=1)
def precision(ev: Any, args: tuple) -> Any:
    x = args[0]
    if type(x) is float:
        return S.MachinePrecision
    if type(x) is BigReal:
        return x.digits
    if type(x) is Expr:
        found = [p for p in (precision(ev, (a,)) for a in x.args) if p is not S.Infinity]
        return S.MachinePrecision if S.MachinePrecision in found else min(found) if found else S.Infinity
    return S.Infinity


TABLE["Accuracy"].handler = lambda ev, args: MACHINE_DIGITS - math.log10(abs(args[0])) if type(args[0]) is float and args[0] else S.Infinity if is_exact(args[0]) else None


@builtin("Rationalize", "Listable", arity=(1, 2))
def rationalize(ev: Any, args: tuple) -> Any:
    x = args[0]
    if type(x) is Expr and x.head is COMPLEX:
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


def _rationalize(ev: Any, x: Any, args: tuple) -> Any:
    if type(x) is BigReal:
        f = _fraction_of(x)
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
def chop(ev: Any, args: tuple) -> Any:
    d = to_float(args[1]) if len(args) > 1 and is_real(args[1]) else 1e-10

    def go(e: Any) -> Any:
        if type(e) in (float, BigReal):
            return 0 if abs(to_float(e)) < d else e
        if type(e) is Expr and e.head is COMPLEX:
            return complex_(go(e.args[0]), go(e.args[1]))
        return Expr(e.head, tuple(map(go, e.args))) if type(e) is Expr else e

    out = go(args[0])
    return out


# -- trigonometry --------------------------------------------------------------------------------------------------
def _root(n: int) -> Any:
    return mk(S.Power, n, _HALF)


def _sum(*terms: Any) -> Any:
    return Expr(S.Plus, terms)


def _over(e: Any, d: int) -> Any:
    return mk(S.Times, Fraction(1, d), e)


def _exact_sines() -> dict[Fraction, Any]:
    """sin(r Pi) for 0 <= r <= 1/2, where the kernel gives radicals by itself."""
    s = {
        Fraction(0): 0,
        Fraction(1, 6): _HALF,
        Fraction(1, 4): mk(S.Power, 2, -_HALF),
        Fraction(1, 3): _over(_root(3), 2),
        Fraction(1, 2): 1,
        Fraction(1, 10): _over(_sum(-1, _root(5)), 4),
        Fraction(3, 10): _over(_sum(1, _root(5)), 4),
        Fraction(1, 5): mk(S.Power, _sum(Fraction(5, 8), mk(S.Times, Fraction(-1, 8), _root(5))), _HALF),
        Fraction(2, 5): mk(S.Power, _sum(Fraction(5, 8), mk(S.Times, Fraction(1, 8), _root(5))), _HALF),
        Fraction(1, 12): mk(S.Times, _sum(-1, _root(3)), Fraction(1, 2), mk(S.Power, 2, -_HALF)),
        Fraction(5, 12): mk(S.Times, _sum(1, _root(3)), Fraction(1, 2), mk(S.Power, 2, -_HALF)),
    }
    return s


_SINES: dict[Fraction, Any] = _exact_sines()
_TANGENTS: dict[Fraction, Any] = {
    Fraction(0): 0,
    Fraction(1, 6): mk(S.Power, 3, -_HALF),
    Fraction(1, 4): 1,
    Fraction(1, 3): _root(3),
    Fraction(1, 12): _sum(2, mk(S.Times, -1, _root(3))),
    Fraction(5, 12): _sum(2, _root(3)),
    Fraction(1, 5): mk(S.Power, _sum(5, mk(S.Times, -2, _root(5))), _HALF),
    Fraction(2, 5): mk(S.Power, _sum(5, mk(S.Times, 2, _root(5))), _HALF),
    Fraction(1, 10): mk(S.Power, _sum(1, mk(S.Times, -2, mk(S.Power, 5, -_HALF))), _HALF),
    Fraction(3, 10): mk(S.Power, _sum(1, mk(S.Times, 2, mk(S.Power, 5, -_HALF))), _HALF),
}


def pi_multiple(e: Any) -> Fraction | None:
    """r of e = r Pi (Degree counts as Pi/180), else None."""
    if type(e) is int and e == 0:
        return Fraction(0)
    if e is S.Pi:
        return Fraction(1)
    if e is S.Degree:
        return Fraction(1, 180)
    if type(e) is Expr and e.head is S.Times and len(e.args) == 2 and type(e.args[0]) in (int, Fraction) and e.args[1] in (S.Pi, S.Degree):
        return Fraction(e.args[0]) / (1 if e.args[1] is S.Pi else 180)
    return None


def _sine(r: Fraction) -> tuple[int, Fraction]:
    """sin(r Pi) = sign * sin(q Pi) with 0 <= q <= 1/2."""
    r %= 2
    s = 1
    if r >= 1:
        r, s = r - 1, -1
    return s, (r if r <= _HALF else 1 - r)


def _pi_times(q: Fraction) -> Any:
    return mk(S.Times, norm(q), S.Pi)


def _minus_argument(x: Any) -> Any:
    """-x where x is written with a leading minus, else None."""
    if is_real(x) and is_exact(x) and sign(x) < 0:
        return neg(x)
    if type(x) is Expr and x.head is S.Times and is_real(x.args[0]) and sign(x.args[0]) < 0:
        return mk(S.Times, -1, x)
    return None


def _trig(name: str, value: Any) -> None:
    head = getattr(S, name)
    odd = name not in ("Cos", "Sec")

    @builtin(name, _NUMERIC, arity=1)
    def trig(ev: Any, args: tuple) -> Any:
        x = args[0]
        inexact = inexact_value(ev, head, x)
        if inexact is not None:
            return inexact
        r = pi_multiple(x)
        if r is not None:
            return value(ev, r, x)
        if type(x) is Expr and type(x.head) is Symbol and x.head is _INVERSES.get(name) and len(x.args) == 1:
            return x.args[0]
        if type(x) is Expr and x.head in _RIGHT and len(x.args) == 1:
            done = _RIGHT[x.head](name, x.args[0])
            if done is not None:
                return done
        flipped = _minus_argument(x)
        if flipped is not None:
            return mk(S.Times, -1, mk(head, flipped)) if odd else mk(head, flipped)
        return _shifted(name, x)


_SHIFTS: dict[str, tuple[tuple[int, str], ...]] = {  # f(x + k Pi/2), k = 1, 2, 3
    "Sin": ((1, "Cos"), (-1, "Sin"), (-1, "Cos")),
    "Cos": ((-1, "Sin"), (-1, "Cos"), (1, "Sin")),
    "Tan": ((-1, "Cot"), (1, "Tan"), (-1, "Cot")),
    "Cot": ((-1, "Tan"), (1, "Cot"), (-1, "Tan")),
    "Sec": ((-1, "Csc"), (-1, "Sec"), (1, "Csc")),
    "Csc": ((1, "Sec"), (-1, "Csc"), (-1, "Sec")),
}


def _shifted(name: str, x: Any) -> Any:
    """f(x + k Pi/2) without the shift; None where there is none."""
    if type(x) is not Expr or x.head is not S.Plus:
        return None
    for i, t in enumerate(x.args):
        r = pi_multiple(t)
        if r is not None and (2 * r).denominator == 1 and r != 0:
            rest = x.args[:i] + x.args[i + 1 :]
            inner = rest[0] if len(rest) == 1 else Expr(S.Plus, rest)
            k = int(2 * r) % 4
            if k == 0:
                return mk(getattr(S, name), inner)
            s, other = _SHIFTS[name][k - 1]
            return mk(getattr(S, other), inner) if s > 0 else mk(S.Times, -1, mk(getattr(S, other), inner))
    return None


_INVERSES = {n: getattr(S, f"Arc{n}") for n in ("Sin", "Cos", "Tan", "Cot", "Sec", "Csc")}
_ONE_MINUS = lambda x: mk(S.Power, mk(S.Plus, 1, mk(S.Times, -1, mk(S.Power, x, 2))), _HALF)
_ONE_PLUS = lambda x: mk(S.Power, mk(S.Plus, 1, mk(S.Power, x, 2)), _HALF)
_RIGHT = {
    S.ArcSin: lambda n, x: {"Cos": _ONE_MINUS(x), "Tan": mk(S.Divide, x, _ONE_MINUS(x))}.get(n),
    S.ArcCos: lambda n, x: {"Sin": _ONE_MINUS(x), "Tan": mk(S.Divide, _ONE_MINUS(x), x)}.get(n),
    S.ArcTan: lambda n, x: {"Cos": mk(S.Power, _ONE_PLUS(x), -1), "Sin": mk(S.Divide, x, _ONE_PLUS(x))}.get(n),
}


def inexact_value(ev: Any, head: Symbol, x: Any) -> Any:
    """head[x] for an inexact number x, else None."""
    if type(x) is float:
        v = function_value(head, x)
        return None if v is None else from_complex(v) if type(v) is complex else v
    if type(x) is BigReal or (type(x) is Expr and x.head is COMPLEX and not is_exact(x)):
        if type(x) is Expr and float in map(type, x.args):
            v = function_value(head, to_complex(x))
            return None if v is None else from_complex(v) if type(v) is complex else v
        digits = x.digits if type(x) is BigReal else min(p.digits for p in x.args if type(p) is BigReal)
        m = approx_mp(mk(head, x), digits)
        return None if m is None else from_mp(m, digits)
    return None


def _sin_value(ev: Any, r: Fraction, x: Any) -> Any:
    s, q = _sine(r)
    exact = _SINES.get(q)
    if exact is not None:
        return exact if s > 0 else mk(S.Times, -1, exact)
    if (type(x) is Expr and x.args[1] is S.Degree and 0 < r <= _HALF) or x is S.Degree:
        return None
    inner: Any
    out = mk(S.Sin, _pi_times(q)) if q <= Fraction(1, 4) else mk(S.Cos, _pi_times(_HALF - q))
    inner = out
    if s > 0 and q == r and q <= Fraction(1, 4):
        return None
    return inner if s > 0 else mk(S.Times, -1, inner)


def _cos_value(ev: Any, r: Fraction, x: Any) -> Any:
    s, q = _sine(r + _HALF)
    exact = _SINES.get(q)
    if exact is not None:
        return exact if s > 0 else mk(S.Times, -1, exact)
    if (type(x) is Expr and x.args[1] is S.Degree and 0 < r <= _HALF) or x is S.Degree:
        return None
    c = _HALF - q
    if s > 0 and c == r and c <= Fraction(1, 4):
        return None
    out = mk(S.Cos, _pi_times(c)) if c <= Fraction(1, 4) else mk(S.Sin, _pi_times(q))
    return out if s > 0 else mk(S.Times, -1, out)


def _tan_value(ev: Any, r: Fraction, x: Any) -> Any:
    r %= 1
    if r == _HALF:
        return S.ComplexInfinity
    s, q = (1, r) if r < _HALF else (-1, 1 - r)
    exact = _TANGENTS.get(q)
    if exact is not None:
        return exact if s > 0 else mk(S.Times, -1, exact)
    return None


_trig("Sin", _sin_value)
_trig("Cos", _cos_value)
_trig("Tan", _tan_value)


def _reciprocal_trig(name: str, base: str, value: Any) -> None:
    def of(ev: Any, r: Fraction, x: Any) -> Any:
        v = value(ev, r, x)
        if v is None:
            return None
        v = ev.eval(v)
        if v is S.ComplexInfinity:
            return 0
        if type(v) is int and v == 0:
            return S.ComplexInfinity
        if type(v) is Expr and not is_number(v) and any(type(a) is Expr and a.head in (S.Sin, S.Cos) for a in (v, *v.args)):
            return None
        out = ev.call(S.Power, v, -1)
        return ev.call(S.Simplify, out) if type(out) is Expr and _has_sum(out) else out

    _trig(name, of)


def _has_sum(e: Any) -> bool:
    return type(e) is Expr and (e.head is S.Plus or any(map(_has_sum, e.args)))


_reciprocal_trig("Csc", "Sin", _sin_value)
_reciprocal_trig("Sec", "Cos", _cos_value)
_reciprocal_trig("Cot", "Tan", _tan_value)

_ARCSINES = {v: r for r, v in _SINES.items()}
_ARCTANS = {v: r for r, v in _TANGENTS.items()}


def _arc(name: str, exact: Any, odd: bool) -> None:
    head = getattr(S, name)

    @builtin(name, _NUMERIC, arity=(1, 2) if name == "ArcTan" else 1)
    def arc(ev: Any, args: tuple) -> Any:
        x = args[0]
        if len(args) == 2:
            return _arctan2(ev, *args)
        v = inexact_value(ev, head, x)
        if v is not None:
            return v
        r = exact(ev, x)
        if r is not None:
            return mk(S.Times, norm(r), S.Pi) if type(r) in (int, Fraction) else r
        flipped = _minus_argument(x)
        if flipped is not None and odd:
            return mk(S.Times, -1, mk(head, flipped))
        return None


def _evaluated(ev: Any, table_: dict[Any, Fraction]) -> dict[Any, Fraction]:
    """The inverse table with its keys in canonical form (made once per context)."""
    cache = ev.options.setdefault(S._ArcTables, {})
    got = cache.get(id(table_))
    if got is None:
        got = cache[id(table_)] = {ev.eval(v): r for v, r in table_.items()}
    return got


def _arcsin(ev: Any, x: Any) -> Fraction | None:
    if is_number(x) and x not in (0, 1, -1, _HALF, -_HALF):
        return None
    t = _evaluated(ev, _ARCSINES)
    if x in t:
        return t[x]
    minus = ev.call(S.Times, -1, x)
    return -t[minus] if minus in t else None


def _arccos(ev: Any, x: Any) -> Fraction | None:
    r = _arcsin(ev, x)
    return None if r is None else _HALF - r


def _arctan(ev: Any, x: Any) -> Any:
    if x is S.Infinity:
        return _HALF
    if is_infinity(x):
        return -_HALF
    if is_number(x) and x not in (0, 1, -1):
        return None
    t = _evaluated(ev, _ARCTANS)
    if x in t:
        return t[x]
    minus = ev.call(S.Times, -1, x)
    return -t[minus] if minus in t else None


def _arctan2(ev: Any, x: Any, y: Any) -> Any:
    if type(x) is float or type(y) is float:
        a, b = real_value(x), real_value(y)
        return math.atan2(b, a) if a is not None and b is not None else None
    sx, sy = (certain_sign(v) if is_numeric(v) else None for v in (x, y))
    if sx is None or sy is None:
        return None
    if sx == 0:
        if sy == 0:
            ev.message("ArcTan", "indet", "Indeterminate expression ArcTan[0, 0] encountered.")
            return S.Indeterminate
        return mk(S.Times, _HALF * sy, S.Pi)
    base = ev.call(S.ArcTan, ev.eval(mk(S.Times, y, mk(S.Power, x, -1))))
    if sx > 0:
        return base
    return mk(S.Plus, base, S.Pi if sy >= 0 else mk(S.Times, -1, S.Pi))


_arc("ArcSin", _arcsin, True)
_arc("ArcCos", _arccos, False)
_arc("ArcTan", _arctan, True)


def _arc_reciprocal(name: str, base: str, at_zero: Any, odd: bool) -> None:
    def exact(ev: Any, x: Any) -> Any:
        if type(x) is int and x == 0:
            return at_zero
        if is_number(x) and x not in (1, -1, 2, -2):
            return None
        v = ev.call(getattr(S, base), ev.call(S.Power, x, -1)) if is_numeric(x) else None
        return None if v is None or (type(v) is Expr and v.head is getattr(S, base)) or _contains(v, getattr(S, base)) else v

    _arc(name, exact, odd)


def _contains(e: Any, head: Symbol) -> bool:
    return type(e) is Expr and (e.head is head or any(_contains(a, head) for a in e.args))


_arc_reciprocal("ArcCsc", "ArcSin", S.ComplexInfinity, True)
_arc_reciprocal("ArcSec", "ArcCos", S.ComplexInfinity, False)
_arc_reciprocal("ArcCot", "ArcTan", _HALF, True)


def _hyperbolic(name: str, at_zero: Any, odd: bool) -> None:
    head = getattr(S, name)

    @builtin(name, _NUMERIC, arity=1)
    def hyperbolic(ev: Any, args: tuple) -> Any:
        x = args[0]
        v = inexact_value(ev, head, x)
        if v is not None:
            return v
        if type(x) is int and x == 0:
            return at_zero
        if name in ("ArcCosh", "ArcSech") and type(x) is int and x == 1:
            return 0
        if x is S.Infinity:
            return {"Sinh": S.Infinity, "Cosh": S.Infinity, "Tanh": 1, "Coth": 1, "Sech": 0, "Csch": 0, "ArcSinh": S.Infinity}.get(name)
        if type(x) is Expr and len(x.args) == 1 and x.head is getattr(S, f"Arc{name}", None) and not name.startswith("Arc"):
            return x.args[0]
        flipped = _minus_argument(x)
        if flipped is not None and not name.startswith("ArcCosh") and not name.startswith("ArcSech"):
            return mk(S.Times, -1, mk(head, flipped)) if odd else mk(head, flipped)
        return None


for _n, _z, _odd in (
    ("Sinh", 0, True), ("Cosh", 1, False), ("Tanh", 0, True), ("Coth", S.ComplexInfinity, True), ("Sech", 1, False),
    ("Csch", S.ComplexInfinity, True), ("ArcSinh", 0, True), ("ArcCosh", None, False), ("ArcTanh", 0, True),
    ("ArcCoth", None, True), ("ArcSech", None, False), ("ArcCsch", None, True),
):  # fmt: skip
    _hyperbolic(_n, _z, _odd)


@builtin("Haversine", _NUMERIC, arity=1)
def haversine(ev: Any, args: tuple) -> Any:
    return mk(S.Times, _HALF, mk(S.Plus, 1, mk(S.Times, -1, mk(S.Cos, args[0])))) if is_numeric(args[0]) else None


def _degrees(name: str, of: str) -> None:
    @builtin(name, _NUMERIC, arity=1)
    def in_degrees(ev: Any, args: tuple) -> Any:
        if name.startswith("Arc"):
            r = ev.call(getattr(S, of), args[0])
            return ev.eval(mk(S.Times, r, 180, mk(S.Power, S.Pi, -1))) if is_numeric(r) else None
        r = ev.eval(mk(getattr(S, of), mk(S.Times, args[0], mk(S.Times, S.Pi, Fraction(1, 180)))))
        return r if is_numeric(args[0]) else None


for _n in ("Sin", "Cos", "Tan"):
    _degrees(f"{_n}Degrees", _n)
    _degrees(f"Arc{_n}Degrees", f"Arc{_n}")


# -- exponentials ----------------------------------------------------------------------------------------------------
@builtin("Log", _NUMERIC, arity=(1, 2))
def log(ev: Any, args: tuple) -> Any:
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
        return mk(S.Times, -1, mk(S.Log, x.denominator)) if x.numerator == 1 else mk(S.Times, -1, mk(S.Log, 1 / x)) if x < 1 else None
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


def _log_base(ev: Any, b: Any, x: Any) -> Any:
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
    """r with b^r = x for rational r, or None."""
    if b < 1:
        r = _exact_log(1 / b, x)
        return None if r is None else -r
    if x < 1:
        r = _exact_log(b, 1 / x)
        return None if r is None else -r
    if b.denominator != 1 or x.denominator != 1:
        n, v = 0, x
        while v > 1 and n < 4096:
            v /= b
            n += 1
        return Fraction(n) if v == 1 else None
    p, q = b.numerator, x.numerator
    # both powers of one integer: the Euclidean algorithm on exponents
    k = 0
    steps: list[tuple[int, int]] = []
    u, v = q, p
    while v != 1 and len(steps) < 200:
        k = 0
        while u % v == 0:
            u //= v
            k += 1
        if k == 0 and u > v:
            return None
        steps.append((k, 0))
        if u == 1:
            break
        u, v = v, u
    if u != 1 and v != 1:
        return None
    r = Fraction(0)
    for k, _ in reversed(steps):
        r = k + (1 / r if r else 0)
    return r


@builtin("Log2", _NUMERIC, arity=1)
def log2(ev: Any, args: tuple) -> Any:
    return mk(S.Log, 2, args[0])


@builtin("Log10", _NUMERIC, arity=1)
def log10(ev: Any, args: tuple) -> Any:
    return mk(S.Log, 10, args[0])


@builtin("Log1p Expm1", _NUMERIC, arity=1)
def log1p(ev: Any, args: tuple) -> Any:
    return math.log1p(args[0]) if type(args[0]) is float and args[0] > -1 else mk(S.Log, mk(S.Plus, 1, args[0]))


@builtin("Gamma", _NUMERIC, arity=(1, 2))
def gamma(ev: Any, args: tuple) -> Any:
    x = args[0]
    if len(args) == 2:
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
def beta(ev: Any, args: tuple) -> Any:
    a, b = args
    if all(type(x) in (int, Fraction, float) for x in args):
        return mk(S.Times, mk(S.Gamma, a), mk(S.Gamma, b), mk(S.Power, mk(S.Gamma, mk(S.Plus, a, b)), -1))
    return None


def _special(name: str, exact: dict[Any, Any]) -> None:
    @builtin(name, _NUMERIC, arity=1)
    def special(ev: Any, args: tuple) -> Any:
        v = inexact_value(ev, getattr(S, name), args[0])
        if v is not None:
            return v
        return exact.get(args[0]) if type(args[0]) in (int, Fraction, Symbol) else None


_special("Erf", {0: 0, S.Infinity: 1})
_special("Erfc", {0: 1, S.Infinity: 0})
_special("LogGamma", {1: 0, 2: 0})
_special("Zeta", {0: -_HALF, 2: mk(S.Times, Fraction(1, 6), mk(S.Power, S.Pi, 2)), 4: mk(S.Times, Fraction(1, 90), mk(S.Power, S.Pi, 4)),
                  6: mk(S.Times, Fraction(1, 945), mk(S.Power, S.Pi, 6)), -1: Fraction(-1, 12), 1: S.ComplexInfinity})  # fmt: skip


@builtin("HarmonicNumber", _NUMERIC, arity=(1, 2))
def harmonic_number(ev: Any, args: tuple) -> Any:
    n, r = args[0], args[1] if len(args) > 1 else 1
    if type(n) is not int or type(r) is not int or n < 0 or n > 20_000:
        return None
    ev.step(n)
    ev.need_bits(n * 2)
    return norm(sum((Fraction(1, k**r) for k in range(1, n + 1)), Fraction(0)))


