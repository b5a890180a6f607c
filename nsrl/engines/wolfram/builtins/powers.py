"""Power, roots and Exp, in canonical form: what is exact stays exact, and a root of a number is as small as it can
be."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.bignum import MACHINE_DIGITS, BigReal, joint, mp
from nsrl.engines.wolfram.builtins import series
from nsrl.engines.wolfram.builtins.arithmetic import (
    CONSTANTS,
    RECIPROCAL,
    extract_root,
    iroot,
    is_infinity,
    is_numeric,
    pi_root,
    root_of_pi,
)
from nsrl.engines.wolfram.expr import COMPLEX, Expr, S, Symbol, mk, norm
from nsrl.engines.wolfram.numbers import (
    complex_,
    from_mp,
    inverse,
    is_exact,
    is_real,
    machine,
    neg,
    parts,
    power_inexact,
    power_int,
    sign,
)
from nsrl.engines.wolfram.numeric import approx_mp
from nsrl.engines.wolfram.order import is_number
from nsrl.engines.wolfram.points import certain_sign
from nsrl.engines.wolfram.table import Builtin, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
_PLUS, _TIMES, _POWER = S.Plus, S.Times, S.Power
_INFINITE = mk(S.DirectedInfinity, 1)
_NUMERIC = "Listable NumericFunction"


def rational_power(ev: Evaluator, base: Any, x: Fraction) -> Any:
    """base^x in canonical form for rational base and non-integer x; None if it already is."""
    whole, p, q = x.numerator // x.denominator, x.numerator % x.denominator, x.denominator
    if type(base) is Fraction:
        n, d = base.numerator, base.denominator
        if n == 1:
            return ev.call(_POWER, d, -x)
        if n < 0:
            return ev.call(_TIMES, ev.call(_POWER, -1, x), ev.call(_POWER, -base, x))
        if x < 0:
            return ev.call(_POWER, norm(1 / base), -x)
        if n.bit_length() + d.bit_length() > 4096 or q > 64:
            return None
        (a, n2), (b, d2) = extract_root(n, q), extract_root(d, q)
        if a == b == 1 and x < 1:
            return None
        ev.need_bits(abs(x.numerator) * max(a, b).bit_length())
        outside = Fraction(a, b) ** x.numerator
        if n2 == d2 == 1:
            return norm(outside)
        inside = Fraction(n2, d2)
        outside *= inside**whole
        left = Fraction(p, q)
        root = (
            Expr(_POWER, (inside.denominator, -left)) if inside.numerator == 1 else Expr(_POWER, (norm(inside), left))
        )
        return mk(_TIMES, norm(outside), root)
    if base < 0:
        if base == -1:
            if q == 2:
                i = complex_(0, 1)
                return i if (x.numerator % 4) == 1 else neg(i)
            if 0 < x < 1:
                return None
            sgn = 1 if whole % 2 == 0 else -1
            r = mk(_POWER, -1, Fraction(p, q))
            return r if sgn == 1 else ev.call(_TIMES, -1, r)
        return ev.call(_TIMES, ev.call(_POWER, -1, x), ev.call(_POWER, -base, x))
    if base.bit_length() > 4096 or q > 64:
        return None
    a, b = extract_root(base, q)
    if b == 1:
        return power_int(a, x.numerator, ev.max_bits)
    if a == 1:
        # a perfect power inside: 4^(1/4) -> Sqrt[2]
        for k in range(2, q + 1):
            if q % k == 0 or k <= 8:
                r = iroot(b, k)
                if r**k == b and r > 1:
                    return ev.call(_POWER, r, x * k)
        if 0 < x < 1 or (x < 0 and x > -1):
            return None
        if x < 0:
            whole, p = -((-x.numerator) // q), -((-x.numerator) % q)
        ev.need_bits(abs(whole) * b.bit_length())
        return mk(_TIMES, norm(Fraction(b) ** whole), mk(_POWER, b, Fraction(p, q)))
    ev.need_bits(abs(x.numerator) * a.bit_length())
    return ev.call(_TIMES, norm(Fraction(a) ** x.numerator), ev.call(_POWER, b, x))


@builtin("Power", "Listable NumericFunction OneIdentity")
def power(ev: Evaluator, args: tuple) -> Any:
    if len(args) != 2:
        if not args:
            return 1
        return args[0] if len(args) == 1 else mk(_POWER, args[0], Expr(_POWER, args[1:]))
    base, x = args
    tb, tx = type(base), type(x)
    if tx is int:
        if tb is int or tb is Fraction or tb is float or tb is BigReal or (tb is Expr and base.head is COMPLEX):
            return _number_power(ev, base, x)
        if x == 1:
            return base
        if x == 0:
            if base in (S.Infinity, S.ComplexInfinity, S.Indeterminate) if tb is Symbol else is_infinity(base):
                ev.message("Infinity", "indet", f"Indeterminate expression {ev.text(Expr(_POWER, args))} encountered.")
                return S.Indeterminate
            return 1
    if ev.series and (found := series.combined(ev, S.Power, args)) is not None:
        return found
    if tb is Symbol or tb is Expr:
        special = _special_power(ev, base, x)
        if special is not None:
            return special
    if is_number(base) and is_number(x):
        if tb in (int, Fraction) and tx is Fraction:
            if base == 0:
                if x > 0:
                    return 0
                _infinite(ev, base, x)
                return S.ComplexInfinity
            if base == 1:
                return 1
            return rational_power(ev, base, x)
        if is_exact(base) and is_exact(x):
            if tb is int and base == 1:
                return 1
            if tx is Fraction and x.denominator == 2:
                return _complex_root(ev, base, x)
            return None
        if (is_real(base) and sign(base) == 0) and is_real(x):
            if sign(x) > 0:
                return 0.0 if tx is float or tb is float else 0
            if sign(x) < 0:
                _infinite(ev, base, x)
                return S.ComplexInfinity
            return S.Indeterminate
        return power_inexact(base, x)
    if tb is int and base == 1:
        return 1
    if tb is int and base == 0 and tx is Symbol and x is S.Infinity:
        return 0
    if base is S.E:
        return _exp(ev, x)
    if tb is Expr and base.head is _POWER and len(base.args) == 2:
        inner, y = base.args
        within = type(y) in (int, Fraction, float) and -1 < y <= 1 and y != 0
        if tx is int or (within and is_real(x) and is_number(inner) is False and certain_sign(inner) == 1):
            return mk(_POWER, inner, mk(_TIMES, y, x))
        if type(y) is int and is_real(x) and is_numeric(inner) and certain_sign(inner) == 1:
            return mk(_POWER, inner, mk(_TIMES, y, x))
    if tb is Expr and base.head is _TIMES:
        if tx is int:
            return Expr(_TIMES, tuple([mk(_POWER, f, x) for f in base.args]))
        if tx is Fraction:
            known = [f for f in base.args if f in CONSTANTS] if any(type(f) is Symbol for f in base.args) else []
            if known and not is_numeric(base):
                known += [f for f in base.args[:1] if type(f) in (int, Fraction) and f > 0]
                rest = Expr(_TIMES, tuple(f for f in base.args if f not in known))
                return mk(_TIMES, mk(_POWER, Expr(_TIMES, tuple(known)), x), mk(_POWER, rest, x))
        c = base.args[0]
        if tx is Fraction and (root := pi_root(Expr(_POWER, args))) is not None:
            number, plain = root_of_pi(*root)
            return None if number == 1 and plain.args == args else mk(_TIMES, number, plain)
        if is_real(c) and tx in (Fraction, float):
            rest = base.args[1] if len(base.args) == 2 else Expr(_TIMES, base.args[1:])
            if sign(c) > 0:
                return mk(_TIMES, mk(_POWER, c, x), mk(_POWER, rest, x))
            if is_numeric(rest) and certain_sign(rest) == 1 and not (type(c) is int and c == -1):
                return mk(_TIMES, mk(_POWER, c, x), mk(_POWER, rest, x))
            if type(c) is int and c == -1 and is_numeric(rest) and certain_sign(rest) == 1:
                return mk(_TIMES, mk(_POWER, -1, x), mk(_POWER, rest, x))
            if type(c) in (int, Fraction) and c not in (-1,):
                return mk(_TIMES, mk(_POWER, -c, x), mk(_POWER, mk(_TIMES, -1, rest), x))
    if tb is int and tx is Expr and x.head is S.Log and len(x.args) == 2 and x.args[0] == base:
        return x.args[1]
    if tx is float and is_numeric(base) and not is_number(base):
        return mk(_POWER, ev.call(S.N, base), x)
    if tb is float and is_numeric(x) and not is_number(x):
        return mk(_POWER, base, ev.call(S.N, x))
    return None


def _infinite(ev: Evaluator, base: Any, x: Any) -> None:
    shown = "1/0" if type(x) is int and x == -1 and type(base) is int else None
    if shown is None:
        shown = ev.text(mk(_POWER, base, x)) if x != -1 else f"1/{ev.text(base)}"
        if (type(x) is int and x < -1) or type(x) is Fraction:
            b = "0" if type(base) is int else ev.text(base)
            power = "" if x == -1 else f"^{ev.text(-x)}" if type(x) is int else ""
            shown = f"1/{b}{power}" if type(x) is int else f"1/Sqrt[{b}]" if x == Fraction(-1, 2) else shown
    ev.message("Power", "infy", f"Infinite expression {shown} encountered.")


def _number_power(ev: Evaluator, base: Any, n: int) -> Any:
    type(base)
    if n < 0 and (is_real(base) and sign(base) == 0):
        _infinite(ev, base, n)
        return S.ComplexInfinity
    if n == 0 and is_real(base) and sign(base) == 0:
        ev.message("Power", "indet", f"Indeterminate expression {ev.text(base)}^0 encountered.")
        return S.Indeterminate
    if n == -1:
        return inverse(base)
    if n == 0:
        return 1
    return power_int(base, n, ev.max_bits)


def _complex_root(ev: Evaluator, z: Any, x: Fraction) -> Any:
    """Sqrt of a complex with rational parts where it is one, e.g. Sqrt[3 + 4 I]."""
    re, im = z.args if type(z) is Expr else (z, 0)
    m2 = re * re + im * im
    root = rational_power(ev, norm(Fraction(m2)), Fraction(1, 2)) if m2 != 1 else 1
    if type(root) not in (int, Fraction):
        return None
    a2, b2 = Fraction(root + re) / 2, Fraction(root - re) / 2
    a, b = _rational_root(a2), _rational_root(b2)
    if a is None or b is None:
        return None
    r = complex_(norm(a), norm(b if im >= 0 else -b))
    return power_int(r, x.numerator, ev.max_bits)


def _rational_root(f: Fraction) -> Fraction | None:
    n, d = math.isqrt(f.numerator), math.isqrt(f.denominator)
    return Fraction(n, d) if n * n == f.numerator and d * d == f.denominator else None


def _special_power(ev: Evaluator, base: Any, x: Any) -> Any:
    if base is S.Indeterminate or x is S.Indeterminate:
        return S.Indeterminate
    if base is S.ComplexInfinity and is_real(x):
        return 0 if sign(x) < 0 else S.ComplexInfinity
    if base is S.Infinity and is_real(x):
        return S.Infinity if sign(x) > 0 else 0 if sign(x) < 0 else S.Indeterminate
    if type(x) is int and x < 0 and type(base) is Expr and base.head in RECIPROCAL and len(base.args) == 1:
        return mk(_POWER, Expr(RECIPROCAL[base.head], base.args), -x)
    if is_infinity(base) and type(x) is int:
        return 0 if x < 0 else S.Infinity if x % 2 == 0 else base
    return None


def _exp(ev: Evaluator, x: Any) -> Any:
    if type(x) is float:
        return _float_exp(x)
    if type(x) is BigReal or (type(x) is Expr and x.head is COMPLEX and not is_exact(x)):
        digits = joint(*parts(x)) if type(x) is Expr else x.digits
        z = from_mp(approx_mp(mk(_POWER, S.E, x), digits), digits)
        return z if digits != MACHINE_DIGITS else complex_(*map(machine, parts(z)))
    if type(x) is Expr:
        if x.head is S.Log and len(x.args) == 1:
            return x.args[0]
        if x.head is _TIMES:
            logs = [a for a in x.args if type(a) is Expr and a.head is S.Log and len(a.args) == 1]
            if len(logs) == 1:
                rest = [a for a in x.args if a is not logs[0]]
                return mk(_POWER, logs[0].args[0], Expr(_TIMES, tuple(rest)))
            return _euler(ev, x)
        if is_infinity(x):
            return 0
    if x is S.Infinity:
        return S.Infinity
    return None


def _float_exp(x: float) -> Any:
    try:
        v = math.exp(x)
    except OverflowError:
        v = 0.0
    return v or BigReal.of(mp().exp(x), MACHINE_DIGITS)  # neither too large nor too small for a machine number


def _euler(ev: Evaluator, x: Expr) -> Any:
    """E^(I Pi r): exact for multiples of Pi/2, with the exponent brought into (-Pi, Pi] otherwise."""
    if is_infinity(x):
        return 0
    if S.Pi not in x.args or len(x.args) != 2:
        return None
    c = x.args[0]
    if type(c) is not Expr or c.head is not COMPLEX or c.args[0] != 0 or type(c.args[1]) not in (int, Fraction):
        return None
    r = c.args[1] % 2
    exact = {0: 1, 1: -1, Fraction(1, 2): complex_(0, 1), Fraction(3, 2): complex_(0, -1)}.get(norm(Fraction(r)))
    if exact is not None:
        return exact
    r = norm(Fraction(r if r <= 1 else r - 2))
    return mk(_POWER, S.E, mk(_TIMES, complex_(0, r), S.Pi)) if r != c.args[1] else None


@builtin("Sqrt", _NUMERIC, arity=1)
def sqrt(ev: Evaluator, args: tuple) -> Any:
    return mk(_POWER, args[0], Fraction(1, 2))


@builtin("CubeRoot", _NUMERIC, arity=1)
def cube_root(ev: Evaluator, args: tuple) -> Any:
    return ev.call(S.Surd, args[0], 3)


@builtin("Surd", _NUMERIC, arity=2)
def surd(ev: Evaluator, args: tuple) -> Any:
    x, n = args
    if type(n) is not int or n == 0 or not is_real(x):
        return None
    if sign(x) < 0:
        if n % 2 == 0:
            ev.message("Surd", "noneg", "Surd is not defined for even roots of negative values.")
            return S.Indeterminate
        return mk(_TIMES, -1, mk(_POWER, neg(x), Fraction(1, n) if n != 1 else 1))
    return mk(_POWER, x, norm(Fraction(1, n)))


@builtin("Exp", _NUMERIC, arity=1)
def exp(ev: Evaluator, args: tuple) -> Any:
    return mk(_POWER, S.E, args[0])
