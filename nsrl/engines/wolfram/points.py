"""Numbers to any precision at exact points, and the truth of conditions there: what every solver verifies with.

A value is computed to 40 digits, and to 160 where 40 do not tell it from zero; equal there is equal. A condition that
is not defined at a point (a pole, an order of complex numbers) does not hold. Knows nothing of evaluation.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

from nsrl.engines.wolfram.bignum import BigReal, mp
from nsrl.engines.wolfram.expr import COMPLEX, FALSE, TRUE, Expr, S, Symbol, is_list
from nsrl.engines.wolfram.numeric import FUNCTIONS
from nsrl.engines.wolfram.rootobject import root_value

DIGITS = (40, 160)
ORDER = (S.Less, S.LessEqual, S.Greater, S.GreaterEqual)
RELATIONS = (S.Equal, S.Unequal, *ORDER)
REALS = (S.Reals, S.PositiveReals, S.NonNegativeReals, S.NegativeReals, S.NonPositiveReals)
INTEGERS = (S.Integers, S.PositiveIntegers, S.NonNegativeIntegers, S.NegativeIntegers, S.NonPositiveIntegers, S.Primes)
DOMAINS = frozenset((*REALS, *INTEGERS, S.Complexes, S.Rationals))
_CONSTANTS = {S.Pi: "pi", S.E: "e", S.GoldenRatio: "phi", S.EulerGamma: "euler", S.Catalan: "catalan"}


class Unknown(Exception):
    """The tree holds a symbol or a function without a number here."""


class Undefined(Exception):
    """There is no finite value at this point."""


def number(e: Any, digits: int = 40) -> Any:
    """The mpf or mpc of a numeric tree. Raises Unknown, Undefined."""
    m = mp()
    with m.workdps(digits + 15):
        try:
            v = _number(e, m, digits)
        except (ZeroDivisionError, OverflowError, ValueError) as error:
            raise Undefined from error
        if not m.isfinite(v):
            raise Undefined
        return v


def _number(e: Any, m: Any, digits: int) -> Any:
    t = type(e)
    if t is int or t is float:
        return m.mpf(e)
    if t is Fraction:
        return m.mpf(e.numerator) / e.denominator
    if t is BigReal:
        return +e.value
    if t is Symbol:
        if e in _CONSTANTS:
            return +getattr(m, _CONSTANTS[e])
        if e is S.Degree:
            return m.pi / 180
        raise Unknown
    if t is not Expr or type(e.head) is not Symbol:
        raise Unknown
    h = e.head
    if h is S.Root:
        v = root_value(e, digits)
        if v is None:
            raise Unknown
        return v
    if h is S.Piecewise and e.args and is_list(e.args[0]):
        for p in e.args[0].args:
            if truth(p.args[1]):
                return _number(p.args[0], m, digits)
        return _number(e.args[1], m, digits) if len(e.args) > 1 else m.mpf(0)
    vs = [_number(a, m, digits) for a in e.args]
    if h is S.Plus:
        return m.fsum(vs)
    if h is S.Times:
        return m.fprod(vs)
    if h is COMPLEX:
        return m.mpc(*vs)
    if h is S.Power and len(vs) == 2:
        base, n = vs
        if abs(base) < m.mpf(10) ** -digits and (base == 0 or type(e.args[0]) is Expr):
            if m.re(n) <= 0:
                raise Undefined
            return m.mpf(0)
        return base ** (e.args[1] if type(e.args[1]) is int else n)
    if h is S.Log and len(vs) in (1, 2):
        if any(abs(v) < m.mpf(10) ** -digits for v in vs):
            raise Undefined
        return m.log(vs[0]) if len(vs) == 1 else m.log(vs[1]) / m.log(vs[0])
    if h is S.ArcTan and len(vs) == 2:
        return m.atan2(vs[1], vs[0])
    if h in (S.Abs, S.RealAbs):
        return abs(vs[0])
    if h is S.Sign:
        return m.sign(vs[0]) if abs(vs[0]) > m.mpf(10) ** -digits else m.mpf(0)
    if h in (S.Re, S.Im, S.Conjugate):
        return {S.Re: m.re, S.Im: m.im, S.Conjugate: m.conj}[h](vs[0])
    if h in (S.Max, S.Min) and vs:
        if any(m.im(v) for v in vs):
            raise Undefined
        return max(vs) if h is S.Max else min(vs)
    if h in (S.Floor, S.Ceiling, S.Round) and len(vs) == 1:
        near = m.nint(vs[0].real)
        if h is S.Round or abs(vs[0] - near) < m.mpf(10) ** -digits:
            return near
        return (m.floor if h is S.Floor else m.ceil)(vs[0])
    if h is S.Mod and len(vs) == 2:
        q = vs[0] / vs[1]
        near = m.nint(m.re(q))
        return m.mpf(0) if abs(q - near) < m.mpf(10) ** -digits else vs[0] - vs[1] * m.floor(q)
    if h is S.CubeRoot or (h is S.Surd and type(e.args[1]) is int and e.args[1] % 2):
        return m.sign(vs[0]) * m.root(abs(vs[0]), 3 if h is S.CubeRoot else e.args[1])
    if h in (S.Tan, S.Sec, S.Cot, S.Csc):
        under = m.cos(vs[0]) if h in (S.Tan, S.Sec) else m.sin(vs[0])
        if abs(under) < m.mpf(10) ** -digits:
            raise Undefined
    if h is S.ProductLog:
        return m.lambertw(vs[-1], int(vs[0].real) if len(vs) == 2 else 0)
    if h in FUNCTIONS and len(vs) == 1 and FUNCTIONS[h][2]:
        return getattr(m, FUNCTIONS[h][2])(vs[0])
    raise Unknown


# --- decisions


def difference(a: Any, b: Any) -> Any:
    """a - b as an mpc that is exactly 0 where the two cannot be told apart. Raises Unknown, Undefined."""
    m = mp()
    for digits in DIGITS:
        x, y = number(a, digits), number(b, digits)
        with m.workdps(digits + 15):
            d = x - y
            re, im = m.re(d), m.im(d)
            slack = m.mpf(10) ** -(digits // 2)
            if all(abs(v) > slack * (1 + abs(x)) for v in (re, im) if v):
                return m.mpc(re, im)
    big = slack * (1 + abs(x))
    return m.mpc(re if abs(re) > big else 0, im if abs(im) > big else 0)


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


_SIGNED = {"Positive": lambda d: d > 0, "Negative": lambda d: d < 0, "NonNegative": lambda d: d >= 0, "NonPositive": lambda d: d <= 0}


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
        near = int(mp().nint(d.real))
        return difference(v, near) == 0
    if name == "Rationals":
        near = Fraction(str(d.real)).limit_denominator(10**9)
        if type(v) in (int, Fraction) or abs(Fraction(str(d.real)) - near) > Fraction(1, 10**30):
            return type(v) in (int, Fraction)
    if name == "Primes" and type(v) is int:
        return v > 1 and all(v % k for k in range(2, min(int(v**0.5) + 1, 10**6)))
    raise Unknown
