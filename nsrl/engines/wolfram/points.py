"""Numbers to any precision at exact points, and the truth of conditions there: what every solver verifies with.

A value is computed to 40 digits, and to 160 where 40 do not tell it from zero; equal there is equal. Digits count below
the size of what cancels, so 10^-100 is not 0 and 10^200 + 1 is not 10^200. A condition that is not defined at a point
(a pole, an order of complex numbers) does not hold.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import prod
from typing import Any

from nsrl.engines.wolfram.bignum import BigReal, mp
from nsrl.engines.wolfram.expr import COMPLEX, FALSE, TRUE, Expr, S, Symbol, is_list
from nsrl.engines.wolfram.numeric import FUNCTIONS
from nsrl.engines.wolfram.rootobject import root_value

DIGITS = (40, 160)
MAX_DIGITS = 1500
MAX_BITS = 50_000
ORDER = (S.Less, S.LessEqual, S.Greater, S.GreaterEqual)
RELATIONS = (S.Equal, S.Unequal, *ORDER)
REALS = (S.Reals, S.PositiveReals, S.NonNegativeReals, S.NegativeReals, S.NonPositiveReals)
INTEGERS = (S.Integers, S.PositiveIntegers, S.NonNegativeIntegers, S.NegativeIntegers, S.NonPositiveIntegers, S.Primes)
DOMAINS = frozenset((*REALS, *INTEGERS, S.Complexes, S.Rationals))
_ODD = (S.Sin, S.Tan, S.ArcSin, S.ArcTan, S.Sinh, S.Tanh, S.ArcSinh, S.ArcTanh, S.Erf)
_NOTHING = float("-inf")
_CONSTANTS = {
    S.Pi: "pi",
    S.E: "e",
    S.GoldenRatio: "phi",
    S.EulerGamma: "euler",
    S.Catalan: "catalan",
    S.Khinchin: "khinchin",
    S.Glaisher: "glaisher",
}


class Unknown(Exception):
    """The tree holds a symbol or a function without a number here."""


class Undefined(Exception):
    """There is no finite value at this point."""


class _Narrow(Exception):
    """Digits are missing: args[0] is how many."""


def number(e: Any, digits: int = 40) -> Any:
    """The mpf or mpc of a numeric tree. Raises Unknown, Undefined."""
    return _measured(e, digits)[0]


def _measured(e: Any, digits: int, most: int = 0) -> tuple[Any, Any, int]:
    """(value, n, digits used): what cancelled in the value was of the size 2^n, so below 2^n 10^-digits all is
    noise."""
    m = mp()
    while digits <= (most or MAX_DIGITS):
        with m.workdps(digits + 15):
            try:
                v, size = _sized(e, m, digits)
            except _Narrow as more:
                digits += more.args[0]
                continue
            except (ZeroDivisionError, OverflowError, ValueError) as error:
                raise Undefined from error
            if not m.isfinite(v):
                raise Undefined
            return v, size, digits
    raise Unknown


def _mag(v: Any) -> Any:
    """The binary exponent of a number; that of 0 is below all."""
    return mp().mag(v) if v else _NOTHING


def _bits(digits: int) -> int:
    return int(digits * 3.3219280948873626)


def _sized(e: Any, m: Any, digits: int) -> tuple[Any, Any]:
    t = type(e)
    if t is int or t is float:
        v = m.mpf(e)
    elif t is Fraction:
        v = m.mpf(e.numerator) / e.denominator
    elif t is BigReal:
        v = +e.value
    elif t is Symbol:
        if e not in _CONSTANTS and e is not S.Degree:
            raise Unknown
        v = +getattr(m, _CONSTANTS[e]) if e in _CONSTANTS else m.pi / 180
    elif t is not Expr or type(e.head) is not Symbol:
        raise Unknown
    elif e.head is S.Root:
        v = root_value(e, digits)
        if v is None:
            raise Unknown
    elif e.head is S.Piecewise and e.args and is_list(e.args[0]):
        for p in e.args[0].args:
            if not (is_list(p) and len(p.args) == 2):  # the call stays as it is
                raise Unknown
            if truth(p.args[1]):
                return _sized(p.args[0], m, digits)
        return _sized(e.args[1], m, digits) if len(e.args) > 1 else (m.mpf(0), _NOTHING)
    else:
        return _called(e, [_sized(a, m, digits) for a in e.args], m, digits)
    return v, _mag(v)


def _called(e: Expr, args: list[tuple[Any, Any]], m: Any, digits: int) -> tuple[Any, Any]:
    """A call by the values and sizes of its arguments."""
    h, vs, sizes = e.head, [v for v, _ in args], [n for _, n in args]
    bits = _bits(digits)
    noise = [_mag(v) < n - bits for v, n in args]
    if h is S.Plus:
        mags = [_mag(v) for v, zero in zip(vs, noise) if v and not zero]
        total = m.fsum(vs)
        if (
            mags and max(mags) - min(mags) > bits and _mag(total) < max(mags) - bits // 2
        ):  # small terms are what is left
            raise _Narrow(int((max(mags) - min(mags)) * 0.604))
        return total, max(sizes)
    if h is S.Times:
        return m.fprod(vs), sum(sizes)
    if h is COMPLEX:
        return m.mpc(*vs), max(sizes)
    if h in (S.Abs, S.RealAbs):
        return abs(vs[0]), sizes[0]
    if h is S.Sign:
        v = m.mpf(0) if noise[0] else m.sign(vs[0])
        return v, _mag(v)
    if h in (S.Re, S.Im, S.Conjugate):
        return {S.Re: m.re, S.Im: m.im, S.Conjugate: m.conj}[h](vs[0]), sizes[0]
    if h is S.Arg and len(vs) == 1:
        if noise[0] or not vs[0]:
            return m.mpf(0), _NOTHING
        z = vs[0] if _mag(m.im(vs[0])) >= sizes[0] - bits else m.re(vs[0])  # below the axis by noise alone is on it
        return m.arg(z), 2 + max(sizes[0] - _mag(z), 0)
    if h in (S.Max, S.Min) and vs:
        if any(m.im(v) for v in vs):
            raise Undefined
        return (max if h is S.Max else min)(vs), max(sizes)
    if (h in (S.Floor, S.Ceiling, S.Round, S.IntegerPart) and len(vs) == 1) or (h is S.Mod and len(vs) == 2):
        q, size = (vs[0], sizes[0]) if len(vs) == 1 else (vs[0] / vs[1], sizes[0] - _mag(vs[1]))
        if size > bits // 2:
            raise _Narrow(int(size * 0.302))
        near = m.nint(m.re(q))
        whole = abs(q - near) < m.mpf(10) ** (-digits // 2)
        if h is S.Mod:
            v = m.mpf(0) if whole else vs[0] - vs[1] * m.floor(q)
        else:
            down = h is S.Floor or (h is S.IntegerPart and m.re(q) > 0)
            v = near if whole or h is S.Round else (m.floor if down else m.ceil)(q)
        return v, max(_mag(v), sizes[0]) if h is S.Mod else _mag(v)
    lost = max((n - _mag(v) for v, n in args if v), default=0)  # bits that cancelled in an argument
    if h is S.Power and len(vs) == 2:
        base, n = vs
        if noise[0] or not base:
            if m.re(n) <= 0:
                raise Undefined
            return m.mpf(0), sizes[0] if sizes[0] == _NOTHING else sizes[0] * m.re(n)
        if _mag(n) > 64:
            raise Unknown  # its own exponent has more digits than are ever needed
        v = base ** (e.args[1] if type(e.args[1]) is int else n)
        return v, _mag(v) + lost + (0 if type(e.args[1]) is int else max(sizes[1], 0))
    slow = h in (S.Sin, S.Cos, S.Tan, S.Cot, S.Sec, S.Csc, S.Log, S.CubeRoot, S.Surd) or h.name.startswith("Arc")
    if max(sizes) > (20_000 if slow else 64):
        raise Unknown
    v = _function(e, vs, noise, sizes, m, digits)
    if h in _ODD and vs[0] and _mag(vs[0]) < -1:
        return v, _mag(v) + lost  # as f(x) is near x, it has as many sure digits
    return v, max(_mag(v), 0) + lost + max(0, *sizes)


def _function(e: Expr, vs: list[Any], noise: list[bool], sizes: list[Any], m: Any, digits: int) -> Any:
    h = e.head
    if h is S.Log and len(vs) in (1, 2):
        if any(noise) or not all(vs):
            raise Undefined
        return m.log(vs[0]) if len(vs) == 1 else m.log(vs[1]) / m.log(vs[0])
    if h is S.ArcTan and len(vs) == 2:
        return m.atan2(vs[1], vs[0])
    if h is S.CubeRoot or (h is S.Surd and type(e.args[1]) is int and e.args[1] % 2):
        return m.sign(vs[0]) * m.root(abs(vs[0]), 3 if h is S.CubeRoot else e.args[1])
    if h in (S.Tan, S.Sec, S.Cot, S.Csc):
        under = m.cos(vs[0]) if h in (S.Tan, S.Sec) else m.sin(vs[0])
        exact = h in (S.Cot, S.Csc) and not noise[0] and _mag(vs[0]) < -1
        if not under or (not exact and _mag(under) < max(sizes[0], 0) - _bits(digits)):
            raise Undefined
    if h is S.ProductLog:
        return m.lambertw(vs[-1], int(vs[0].real) if len(vs) == 2 else 0)
    if h in FUNCTIONS and len(vs) == 1 and FUNCTIONS[h][2]:
        return getattr(m, FUNCTIONS[h][2])(vs[0])
    raise Unknown


# --- decisions


def _fraction(e: Any) -> Any:
    """The rational number that sums, products and whole powers of such make; None for any other tree, and for a long
    one."""
    if type(e) in (int, Fraction):
        return e
    if type(e) is not Expr or e.head not in (S.Plus, S.Times, S.Power):
        return None
    vs = [_fraction(a) for a in e.args]
    if None in vs:
        return None
    if e.head is not S.Power:
        return sum(vs) if e.head is S.Plus else prod(vs)
    base, n = vs if len(vs) == 2 else (0, 0)
    if (
        type(n) is not int
        or (not base and n <= 0)
        or abs(n) * max(base.numerator.bit_length(), base.denominator.bit_length()) > MAX_BITS
    ):
        return None
    return base**n if n >= 0 else Fraction(1) / base**-n


def difference(a: Any, b: Any) -> Any:
    """a - b as an mpc that is exactly 0 where the two cannot be told apart. Raises Unknown, Undefined."""
    m = mp()
    x, y = _fraction(a), _fraction(b)
    if x is not None and y is not None:
        with m.workdps(DIGITS[0]):
            return m.mpc(m.mpf((x - y).numerator) / (x - y).denominator)
    e = Expr(S.Plus, tuple(terms(a if y == 0 else Expr(S.Plus, (a, Expr(S.Times, (-1, b)))))))
    size = 0
    for digits in DIGITS:
        digits += int(1.3 * size) if size > 20 else 0  # two roots of whole numbers of n digits may agree in 4 n
        d, size, digits = _measured(e, digits)
        re, im = m.re(d), m.im(d)
        least = size - _bits(digits // 2)
        if (d or size == _NOTHING) and all(_mag(v) > least for v in (re, im) if v):
            break
    return m.mpc(re if _mag(re) > least else 0, im if _mag(im) > least else 0)


def terms(e: Any, sign: int = 1) -> list[Any]:
    """The terms of a sum, those of sums in it too: side by side none is lost beside another."""
    if type(e) is Expr and e.head is S.Plus:
        return [t for a in e.args for t in terms(a, sign)]
    if type(e) is Expr and e.head is S.Times and len(e.args) == 2 and type(e.args[0]) is int and e.args[0] == -1:
        return terms(e.args[1], -sign)
    return [e if sign == 1 else Expr(S.Times, (-1, e))]


def whole_number(e: Any) -> int | None:
    """The whole number that a numeric tree is; None for any other. Raises Unknown, Undefined."""
    if type(e) in (int, Fraction):
        return e if type(e) is int else None
    d = difference(e, 0)
    if d.imag:
        return None
    n = int(mp().nint(rounded(e)))
    return n if difference(e, n) == 0 else None


def rounded(e: Any, most: int = 0) -> Any:
    """The real part of a numeric tree with at least 30 digits behind the point. Raises Unknown, Undefined."""
    v, size, _ = _measured(e, 40, most)
    return mp().re(_measured(e, 40 + int(size * 0.302), most)[0] if size > 0 else v)


def certain_sign(e: Any) -> int | None:
    """-1, 0 or 1 of a real numeric tree; None for any other."""
    s = _sign_by_form(e)
    if s is not None:
        return s
    try:
        d = difference(e, 0)
    except (Unknown, Undefined):
        return None
    return None if d.imag else (d.real > 0) - (d.real < 0)


def _sign_by_form(e: Any) -> int | None:
    """The sign of products and powers of positive numbers, and of sums of terms with one sign."""
    if type(e) in (int, Fraction, float):
        return (e > 0) - (e < 0) if e == e else None
    if type(e) is Symbol:
        return 1 if e in _CONSTANTS or e is S.Degree else None
    if type(e) is not Expr or e.head not in (S.Plus, S.Times, S.Power):
        return None
    signs: list[Any] = [_sign_by_form(a) for a in e.args]
    if None in signs:
        return None
    if e.head is S.Times:
        return prod(signs)
    if e.head is S.Plus:
        return signs[0] if signs and len(set(signs)) == 1 else None
    return 1 if signs[0] == 1 else None


def is_zero(e: Any) -> bool:
    """Whether a numeric tree is 0. Raises Unknown, Undefined."""
    return difference(e, 0) == 0


def is_real(e: Any) -> bool:
    """Whether a numeric tree is real. Raises Unknown, Undefined."""
    return difference(e, 0).imag == 0


def less(a: Any, b: Any) -> bool:
    """a < b for real numeric trees. Raises Unknown, Undefined."""
    d = difference(a, b)
    if d.imag:
        raise Undefined
    return d.real < 0


def truth(c: Any) -> bool:
    """Whether a condition without free symbols holds. Raises Unknown where that is not decided."""
    if c is TRUE or c is FALSE:
        return c is TRUE
    if type(c) is not Expr:
        raise Unknown
    h = c.head
    if h is S.And:
        return _all(c.args)
    if h is S.Or:
        return not _all(tuple(Expr(S.Not, (a,)) for a in c.args))
    if h is S.Not:
        return not truth(c.args[0])
    if h in (S.Xor, S.Implies, S.Equivalent, S.Nand, S.Nor):
        ts = [truth(a) for a in c.args]
        return {S.Xor: sum(ts) % 2 == 1, S.Implies: not ts[0] or ts[-1], S.Equivalent: len(set(ts)) == 1,
                S.Nand: not all(ts), S.Nor: not any(ts)}[h]  # fmt: skip
    if h is S.Inequality:
        return all(_related(op, a, b) for a, op, b in zip(c.args[::2], c.args[1::2], c.args[2::2]))
    if h is S.Unequal and len(c.args) > 2:
        return all(_related(h, a, b) for i, a in enumerate(c.args) for b in c.args[i + 1 :])
    if h in RELATIONS:
        return all(_related(h, a, b) for a, b in pairwise(c.args))
    if h is S.Element and len(c.args) == 2:
        return in_domain(c.args[0], c.args[1])
    raise Unknown


def _all(parts: tuple) -> bool:
    """And: one that is false decides, whatever is unknown."""
    unknown = False
    for p in parts:
        try:
            if not truth(p):
                return False
        except Unknown:
            unknown = True
    if unknown:
        raise Unknown
    return True


def _related(op: Any, a: Any, b: Any) -> bool:
    if op is S.Equal and is_list(a) and is_list(b):
        return len(a.args) == len(b.args) and all(_related(op, x, y) for x, y in zip(a.args, b.args))
    try:
        d = difference(a, b)
    except Undefined:
        return False
    if op is S.Equal:
        return d == 0
    if op is S.Unequal:
        return d != 0
    if d.imag:
        return False
    return {S.Less: d.real < 0, S.LessEqual: d.real <= 0, S.Greater: d.real > 0, S.GreaterEqual: d.real >= 0}[op]


_SIGNED = {
    "Positive": lambda d: d > 0,
    "Negative": lambda d: d < 0,
    "NonNegative": lambda d: d >= 0,
    "NonPositive": lambda d: d <= 0,
}


def in_domain(v: Any, domain: Any) -> bool:
    """Whether a numeric tree is in Reals, PositiveIntegers, …. Raises Unknown."""
    try:
        d = difference(v, 0)
    except Undefined:
        return False
    if domain is S.Complexes:
        return True
    if d.imag:
        return False
    name = domain.name if type(domain) is Symbol else ""
    for sign, test in _SIGNED.items():
        if name.startswith(sign):
            name = name[len(sign) :]
            if not test(d.real):
                return False
            break
    if name == "Reals":
        return True
    if name == "Integers":
        return whole_number(v) is not None
    if name == "Rationals":
        if type(v) in (int, Fraction):
            return True
        here = Fraction(mp().nstr(d.real, 40))
        if abs(here - here.limit_denominator(10**9)) > Fraction(1, 10**30):
            return False
    if name == "Primes" and type(v) is int:
        return v > 1 and all(v % k for k in range(2, min(int(v**0.5) + 1, 10**6)))
    raise Unknown
