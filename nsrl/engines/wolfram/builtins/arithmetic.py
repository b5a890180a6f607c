"""T1: Plus, Times, Power and their kin, in canonical form. Numbers are numbers.py's business, order is order.py's."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from nsrl.engines.wolfram.assoc import is_assoc
from nsrl.engines.wolfram.bignum import MACHINE_DIGITS, BigReal, joint, mp
from nsrl.engines.wolfram.builtins import series
from nsrl.engines.wolfram.expr import COMPLEX, Expr, S, Symbol, mk, norm
from nsrl.engines.wolfram.numbers import (
    add,
    bit_length,
    complex_,
    from_mp,
    inverse,
    is_exact,
    is_real,
    machine,
    mul,
    neg,
    parts,
    power_inexact,
    power_int,
    sign,
)
from nsrl.engines.wolfram.numeric import approx_mp
from nsrl.engines.wolfram.order import is_number, is_sorted, sort
from nsrl.engines.wolfram.points import certain_sign
from nsrl.engines.wolfram.rootobject import root_coefficients
from nsrl.engines.wolfram.table import Builtin, table

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
_PLUS, _TIMES, _POWER = S.Plus, S.Times, S.Power
_INFINITE = mk(S.DirectedInfinity, 1)
_NUMERIC = "Listable NumericFunction"


def is_infinity(e: Any) -> bool:
    """Infinity or -Infinity (as it is written: Infinity, Times[-1, Infinity])."""
    return e is S.Infinity or (type(e) is Expr and e.head is _TIMES and len(e.args) == 2 and e.args[1] is S.Infinity and e.args[0] == -1)


def _infinities(ev: Any, args: tuple) -> Any:
    """A sum with infinite or undefined terms; None if it has none."""
    pos = any(a is S.Infinity for a in args)
    negative = any(is_infinity(a) and a is not S.Infinity for a in args)
    undirected = sum(a is S.ComplexInfinity for a in args)
    if S.Indeterminate in args:
        return S.Indeterminate
    if not (pos or negative or undirected):
        return None
    if (pos and negative) or undirected > 1 or (undirected and (pos or negative)):
        ev.message("Infinity", "indet", f"Indeterminate expression {ev.text(Expr(_PLUS, args))} encountered.")
        return S.Indeterminate
    if undirected:
        return S.ComplexInfinity
    rest = [a for a in args if not is_infinity(a) and not is_number(a) and certain_sign(a) is None]
    if rest:
        return None
    return S.Infinity if pos else mk(_TIMES, -1, S.Infinity)


@builtin("Plus", "Flat Listable NumericFunction OneIdentity Orderless")
def plus(ev: Any, args: tuple) -> Any:
    if len(args) == 2:
        a, b = args
        if type(a) is int and type(b) is int:
            return a + b
    if len(args) < 2:
        return args[0] if args else 0
    if ev.series and (found := series.combined(ev, S.Plus, args)) is not None:
        return found
    total: Any = 0
    terms: dict[Any, Any] = {}
    special = False
    for a in args:
        t = type(a)
        if t is Expr:
            if a.head is _TIMES and is_number(a.args[0]):
                rest = a.args[1] if len(a.args) == 2 else Expr(_TIMES, a.args[1:])
                c = a.args[0]
                special = special or rest is S.Infinity
            elif a.head is COMPLEX:
                total = add(total, a)
                continue
            else:
                rest, c = a, 1
        elif t is Symbol or t is str:
            rest, c = a, 1
            special = special or (t is Symbol and a in (S.Infinity, S.ComplexInfinity, S.Indeterminate))
        else:
            total = add(total, a)
            continue
        old = terms.get(rest)
        terms[rest] = c if old is None else add(old, c)
    if special:
        r = _infinities(ev, args)
        if r is not None:
            return r
    associations = [a for a in args if is_assoc(a)]
    if associations:
        return _thread_associations(ev, _PLUS, args)
    if bit_length(total) > ev.max_bits:
        ev.need_bits(bit_length(total))
    out: list[Any] = [] if type(total) is int and total == 0 else [total]
    for rest, c in terms.items():
        if type(c) is int and c == 0:
            continue
        if type(c) is int and c == 1:
            out.append(rest)
        elif type(c) is float and c == 0.0:
            out.append(0.0)
        elif type(rest) is Expr and rest.head is _TIMES:
            out.append(Expr(_TIMES, (c, *rest.args)))
        else:
            out.append(Expr(_TIMES, (c, rest)))
    if not out:
        return 0
    if len(out) == 1:
        return out[0]
    new = tuple(out) if is_sorted(tuple(out)) else tuple(sort(out))
    if len(new) == len(args) and all(map(_same_factor, new, args)):
        return None
    e = Expr(_PLUS, new)
    if type(total) is float and len(out) > 1 and any(_is_exact_constant(t) for t in terms):
        return _numericize(ev, e)
    return e


def _thread_associations(ev: Any, head: Symbol, args: tuple) -> Any:
    from nsrl.engines.wolfram.assoc import from_pairs, pairs

    first = next(a for a in args if is_assoc(a))
    keys = [k for k, _ in pairs(first)]
    columns = []
    for a in args:
        if is_assoc(a):
            if [k for k, _ in pairs(a)] != keys:
                return None
            columns.append([v for _, v in pairs(a)])
        else:
            columns.append([a] * len(keys))
    return from_pairs([(k, ev.eval(Expr(head, row))) for k, row in zip(keys, zip(*columns))])


def _is_exact_constant(e: Any) -> bool:
    """Sqrt[2], Pi, Sin[1]...: what an inexact neighbour turns into a machine number."""
    return type(e) is not str and (e in _CONSTANTS if type(e) is Symbol else type(e) is Expr and is_numeric(e))


_CONSTANTS = {S.Pi, S.E, S.Degree, S.GoldenRatio, S.EulerGamma, S.Catalan, S.Khinchin, S.Glaisher}


def is_numeric(e: Any) -> bool:
    """NumericQ: a number, a constant, or a numeric function of these."""
    t = type(e)
    if t is Symbol:
        return e in _CONSTANTS
    if t is Expr:
        if e.head is COMPLEX:
            return True
        if e.head is S.Root:
            return len(e.args) > 1 and type(e.args[1]) is int and root_coefficients(e.args[0]) is not None
        if type(e.head) is not Symbol or not e.head.attrs & (1 << 7):
            return False
        return all(map(is_numeric, e.args))
    return t is not str


def _numericize(ev: Any, e: Expr) -> Any:
    """Machine numbers contaminate exact constants in a sum or product."""
    done = [ev.call(S.N, a) if _is_exact_constant(a) or (type(a) is Expr and a.head is _TIMES and is_numeric(a)) else a for a in e.args]
    return Expr(e.head, tuple(done))


def as_power(f: Any) -> tuple[Any, Any]:
    """f as (base, exponent)."""
    return f.args if type(f) is Expr and f.head is _POWER and len(f.args) == 2 else (f, 1)


@builtin("Times", "Flat Listable NumericFunction OneIdentity Orderless")
def times(ev: Any, args: tuple) -> Any:
    if len(args) == 2:
        a, b = args
        if type(a) is int and type(b) is int:
            if a.bit_length() + b.bit_length() > ev.max_bits:
                ev.need_bits(a.bit_length() + b.bit_length() - 1)
            return a * b
    if len(args) < 2:
        return args[0] if args else 1
    if ev.series and (found := series.combined(ev, S.Times, args)) is not None:
        return found
    coefficient: Any = 1
    bases: dict[Any, list[Any]] = {}
    special = trig = False
    for a in args:
        t = type(a)
        if t is Expr:
            if a.head is COMPLEX:
                coefficient = mul(coefficient, a)
                continue
            if a.head is S.DirectedInfinity:
                special = True
            base, x = as_power(a)
        elif t is Symbol or t is str:
            base, x = a, 1
            special = special or (t is Symbol and a in (S.Infinity, S.ComplexInfinity, S.Indeterminate))
        else:
            if type(a) is int and type(coefficient) is int:
                ev.need_bits(a.bit_length() + coefficient.bit_length() - 1)
            coefficient = mul(coefficient, a)
            continue
        if type(base) is Expr and base.head in _RECIPROCAL:
            trig = True
        bases.setdefault(base, []).append(x)
    if trig and len(bases) > 1:
        bases = _trig_pairs(bases)
    if special:
        r = _infinite_product(ev, coefficient, args)
        if r is not None:
            return r
    if type(coefficient) is int and coefficient == 0:
        return 0
    if any(is_assoc(b) for b in bases):
        return _thread_associations(ev, _TIMES, args)
    factors: list[Any] = []
    again = False
    for base, xs in bases.items():
        if len(xs) == 1:
            x = xs[0]
        else:
            x = ev.call(_PLUS, *xs)
            again = True
        if type(x) is int and x == 1:
            factors.append(base)
        elif type(x) is int and x == 0:
            continue
        elif len(xs) == 1:
            factors.append(Expr(_POWER, (base, x)))
        else:
            p = ev.call(_POWER, base, x)
            factors.append(p)
    if again and any(is_number(f) or (type(f) is Expr and f.head is _TIMES) for f in factors):
        return ev.call(_TIMES, coefficient, *factors)
    for f in factors:
        if type(f) is Expr and f.head is _POWER and type(f.args[1]) is Fraction and _pi_root(f) is not None:
            joined = _join_pi_roots(coefficient, factors)
            if joined is not None:
                return ev.call(_TIMES, *joined)
            break
    coefficient, factors, changed = _radicals(ev, coefficient, factors)
    if changed:
        return ev.call(_TIMES, coefficient, *factors)
    if type(coefficient) is float and coefficient == 0.0 and all(map(is_numeric, factors)):
        return 0.0
    if not factors:
        return coefficient
    one = type(coefficient) is int and coefficient == 1
    if len(factors) == 1 and not one:
        f = factors[0]
        if type(f) is Expr and f.head is _PLUS and (is_real(coefficient) or is_number(coefficient)) and type(coefficient) is not float:
            if type(coefficient) is int and coefficient == -1:
                return Expr(_PLUS, tuple([Expr(_TIMES, (coefficient, t)) for t in f.args]))
    if len(factors) > 1 and not is_sorted(tuple(factors)):
        factors = sort(factors)
    new = tuple(factors) if one else (coefficient, *factors)
    if len(new) == 1:
        return new[0]
    if type(coefficient) is float and any(_is_exact_constant(f) for f in factors):
        return _numericize(ev, Expr(_TIMES, new))
    if len(new) == len(args) and all(map(_same_factor, new, args)):
        return None
    return Expr(_TIMES, new)


_HALF = Fraction(1, 2)


def _pi_root(f: Expr) -> tuple[Fraction, int] | None:
    """(r, k) where f = Sqrt[r] Pi^(k/2) is written as one square root, k = 1 or -1."""
    base, x = f.args
    if x not in (_HALF, -_HALF):
        return None
    way = 1 if x > 0 else -1
    if base is S.Pi:
        return Fraction(1), way
    if type(base) is not Expr or base.head is not _TIMES or len(base.args) != 2 or type(base.args[0]) not in (int, Fraction):
        return None
    c, rest = base.args
    if c <= 0:
        return None
    if rest is S.Pi:
        return Fraction(c) ** way, way
    if type(rest) is Expr and rest.head is _POWER and rest.args == (S.Pi, -1):
        return Fraction(c) ** way, -way
    return None


def _root_of_pi(r: Fraction, k: int) -> tuple[Any, Expr]:
    """(number, root) with number * root = Sqrt[r] Pi^(k/2) and nothing square left under the root."""
    (a, b), (c, d) = extract_root(r.numerator, 2), extract_root(r.denominator, 2)
    left = norm(Fraction(b, d))
    if k == 1:
        root = mk(_POWER, S.Pi if left == 1 else mk(_TIMES, left, S.Pi), _HALF)
    elif b == 1:
        root = mk(_POWER, S.Pi if d == 1 else mk(_TIMES, d, S.Pi), -_HALF)
    else:
        root = mk(_POWER, mk(_TIMES, left, mk(_POWER, S.Pi, -1)), _HALF)
    return norm(Fraction(a, c)), root


def _join_pi_roots(coefficient: Any, factors: list[Any]) -> list[Any] | None:
    """Sqrt[2] Sqrt[Pi] -> Sqrt[2 Pi], 2 Sqrt[Pi/2] -> Sqrt[2 Pi]: the factors with one root, or None if it is so."""
    under, k, others = Fraction(1), 0, []
    for f in factors:
        root = _pi_root(f) if type(f) is Expr and f.head is _POWER else None
        if root is not None:
            under, k = under * root[0], k + root[1]
        elif type(f) is Expr and f.head is _POWER and type(f.args[0]) is int and f.args[0] > 0 and f.args[1] in (_HALF, -_HALF):
            under *= Fraction(f.args[0]) ** (1 if f.args[1] > 0 else -1)
        else:
            others.append(f)
    if max(under.numerator, under.denominator).bit_length() > 256:
        return None
    if k not in (1, -1):
        return [coefficient, mk(_POWER, norm(under), _HALF), mk(_POWER, S.Pi, norm(Fraction(k, 2))), *others]
    rational = type(coefficient) in (int, Fraction)
    number, root = _root_of_pi(under * (Fraction(coefficient) ** 2 if rational else 1), k)
    if rational and coefficient < 0:
        number = -number
    if len(others) + 1 == len(factors) and root in factors and (number == coefficient if rational else number == 1):
        return None
    return [number, root, *others] if rational else [coefficient, number, root, *others]


def _same_factor(a: Any, b: Any) -> bool:
    return a is b or (type(a) is Expr and a == b) or (type(a) in (int, float, Fraction) and type(a) is type(b) and a == b)


_RECIPROCAL = {S.Sin: S.Csc, S.Cos: S.Sec, S.Tan: S.Cot, S.Csc: S.Sin, S.Sec: S.Cos, S.Cot: S.Tan}
_AS_SIN_COS = {S.Sin: (1, 0), S.Cos: (0, 1), S.Tan: (1, -1), S.Cot: (-1, 1), S.Sec: (0, -1), S.Csc: (-1, 0)}


def _trig_pairs(bases: dict[Any, list[Any]]) -> dict[Any, list[Any]]:
    """Whole powers of functions of one angle joined as the kernel joins them: Sin[x]/Cos[x] -> Tan[x]."""
    groups: dict[Any, list[Any]] = {}
    for b, xs in bases.items():
        if type(b) is Expr and b.head in _RECIPROCAL and len(b.args) == 1 and all(type(x) is int for x in xs):
            groups.setdefault(b.args[0], []).append(b)
    if all(len(g) < 2 for g in groups.values()):
        return bases
    out = dict(bases)
    for u, members in groups.items():
        if len(members) < 2:
            continue
        sines = sum(_AS_SIN_COS[b.head][0] * sum(bases[b]) for b in members)
        cosines = sum(_AS_SIN_COS[b.head][1] * sum(bases[b]) for b in members)
        for b in members:
            del out[b]
        both = min(abs(sines), abs(cosines)) if sines * cosines < 0 else 0
        found: list[tuple[Any, int]] = []
        if both:
            found.append((S.Tan if sines > 0 else S.Cot, both))
        found.append((S.Sin if sines > 0 else S.Csc, abs(sines) - both))
        found.append((S.Cos if cosines > 0 else S.Sec, abs(cosines) - both))
        for head, n in found:
            if n:
                out.setdefault(Expr(head, (u,)), []).append(n)
    return out


def _infinite_product(ev: Any, coefficient: Any, args: tuple) -> Any:
    if S.Indeterminate in args:
        return S.Indeterminate
    if type(coefficient) is int and coefficient == 0:
        ev.message("Infinity", "indet", f"Indeterminate expression {ev.text(Expr(_TIMES, args))} encountered.")
        return S.Indeterminate
    others = [a for a in args if a not in (S.Infinity, S.ComplexInfinity) and not is_number(a)]
    if S.ComplexInfinity in args:
        return S.ComplexInfinity if all(map(is_numeric, others)) else None
    sign_total = 1
    for a in others:
        s = certain_sign(a) if is_numeric(a) else None
        if s is None or s == 0:
            return None
        sign_total *= s
    if not is_real(coefficient):
        return mk(S.DirectedInfinity, coefficient)
    s = sign(coefficient) * sign_total
    if s == 0:
        return S.Indeterminate
    out = S.Infinity if s > 0 else mk(_TIMES, -1, S.Infinity)
    return None if tuple(args) == (-1, S.Infinity) else out


def _radicals(ev: Any, coefficient: Any, factors: list[Any]) -> tuple[Any, list[Any], bool]:
    """Roots of rationals joined, and moved against the coefficient: 2/Sqrt[2] -> Sqrt[2], Sqrt[2] Sqrt[3] -> Sqrt[6]."""
    roots: dict[Fraction, Fraction] = {}  # exponent > 0 -> base
    count = 0
    rest: list[Any] = []
    for f in factors:
        if type(f) is Expr and f.head is _POWER and type(f.args[0]) in (int, Fraction) and f.args[0] > 0 and type(f.args[1]) is Fraction:
            base, x = f.args
            count += 1
            roots[abs(x)] = roots.get(abs(x), Fraction(1)) * (base if x > 0 else 1 / Fraction(base))
        else:
            rest.append(f)
    if not roots:
        return coefficient, factors, False
    changed = count > len(roots)
    if type(coefficient) in (int, Fraction) and coefficient not in (0, 1, -1):
        a, b = (coefficient, 1) if type(coefficient) is int else (coefficient.numerator, coefficient.denominator)
        for x, base in list(roots.items()):
            n, d = base.numerator, base.denominator
            if x.denominator == 2:
                # a Sqrt[n/d] with g | a, d: (a/g) Sqrt[n g/(d/g)];  Sqrt[n]/b with g | b, n likewise
                g, h = math.gcd(a, d), math.gcd(b, n)
                if g > 1 or h > 1:
                    a, d, n = a // g, d // g, n * g
                    b, n, d = b // h, n // h, d * h
                    roots[x] = Fraction(n, d)
                    changed = True
            elif d == 1 and b % n == 0 and n > 1:
                b //= n
                del roots[x]
                rest.append(Expr(_POWER, (n, x - 1)))
                changed = True
            elif n == 1 and a % d == 0 and d > 1:
                a //= d
                del roots[x]
                rest.append(Expr(_POWER, (d, 1 - x)))
                changed = True
        if changed:
            coefficient = norm(Fraction(a, b))
    if not changed:
        return coefficient, factors, False
    made = [Expr(_POWER, (v.denominator, -x)) if v.numerator == 1 else Expr(_POWER, (norm(v), x)) for x, v in roots.items() if v != 1]
    return coefficient, rest + made, True


_SMALL_PRIMES = [p for p in range(2, 400) if all(p % q for q in range(2, int(p**0.5) + 1))]


def extract_root(n: int, q: int) -> tuple[int, int]:
    """n = a^q b with a as large as small factors show; (a, b), for n > 0."""
    a, b = 1, 1
    r = round(n ** (1 / q)) if n < 2**50 else iroot(n, q)
    if r**q == n:
        return r, 1
    m = n
    for p in _SMALL_PRIMES:
        if p**q > m:
            break
        k = 0
        while m % p == 0:
            m //= p
            k += 1
        if k:
            a *= p ** (k // q)
            b *= p ** (k % q)
    if m > 1:
        r = iroot(m, q)
        if r**q == m:
            a, m = a * r, 1
        elif m < 10**14:
            d = 401
            while d**q <= m:
                while m % d**q == 0:
                    m //= d**q
                    a *= d
                d += 2
    return a, b * m


def iroot(n: int, q: int) -> int:
    """floor(n^(1/q)) for n >= 0."""
    if q == 2:
        return math.isqrt(n)
    if n < 2:
        return n
    x = 1 << -(-n.bit_length() // q)
    while True:
        y = ((q - 1) * x + n // x ** (q - 1)) // q
        if y >= x:
            return x
        x = y


def rational_power(ev: Any, base: Any, x: Fraction) -> Any:
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
        root = Expr(_POWER, (inside.denominator, -left)) if inside.numerator == 1 else Expr(_POWER, (norm(inside), left))
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
def power(ev: Any, args: tuple) -> Any:
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
            known = [f for f in base.args if f in _CONSTANTS] if any(type(f) is Symbol for f in base.args) else []
            if known and not is_numeric(base):
                known += [f for f in base.args[:1] if type(f) in (int, Fraction) and f > 0]
                rest = Expr(_TIMES, tuple(f for f in base.args if f not in known))
                return mk(_TIMES, mk(_POWER, Expr(_TIMES, tuple(known)), x), mk(_POWER, rest, x))
        c = base.args[0]
        if tx is Fraction and (root := _pi_root(Expr(_POWER, args))) is not None:
            number, plain = _root_of_pi(*root)
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


def _infinite(ev: Any, base: Any, x: Any) -> None:
    shown = "1/0" if type(x) is int and x == -1 and type(base) is int else None
    if shown is None:
        shown = ev.text(mk(_POWER, base, x)) if x != -1 else f"1/{ev.text(base)}"
        if (type(x) is int and x < -1) or type(x) is Fraction:
            b = "0" if type(base) is int else ev.text(base)
            power = "" if x == -1 else f"^{ev.text(-x)}" if type(x) is int else ""
            shown = f"1/{b}{power}" if type(x) is int else f"1/Sqrt[{b}]" if x == Fraction(-1, 2) else shown
    ev.message("Power", "infy", f"Infinite expression {shown} encountered.")


def _number_power(ev: Any, base: Any, n: int) -> Any:
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


def _complex_root(ev: Any, z: Any, x: Fraction) -> Any:
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


def _special_power(ev: Any, base: Any, x: Any) -> Any:
    if base is S.Indeterminate or x is S.Indeterminate:
        return S.Indeterminate
    if base is S.ComplexInfinity and is_real(x):
        return 0 if sign(x) < 0 else S.ComplexInfinity
    if base is S.Infinity and is_real(x):
        return S.Infinity if sign(x) > 0 else 0 if sign(x) < 0 else S.Indeterminate
    if type(x) is int and x < 0 and type(base) is Expr and base.head in _RECIPROCAL and len(base.args) == 1:
        return mk(_POWER, Expr(_RECIPROCAL[base.head], base.args), -x)
    if is_infinity(base) and type(x) is int:
        return 0 if x < 0 else S.Infinity if x % 2 == 0 else base
    return None


def _exp(ev: Any, x: Any) -> Any:
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


def _euler(ev: Any, x: Expr) -> Any:
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


@builtin("Subtract", _NUMERIC, arity=2)
def subtract(ev: Any, args: tuple) -> Any:
    return mk(_PLUS, args[0], mk(_TIMES, -1, args[1]))


@builtin("Divide", _NUMERIC, arity=2)
def divide(ev: Any, args: tuple) -> Any:
    return mk(_TIMES, args[0], mk(_POWER, args[1], -1))


@builtin("Minus", _NUMERIC, arity=1)
def minus(ev: Any, args: tuple) -> Any:
    return mk(_TIMES, -1, args[0])


@builtin("Sqrt", _NUMERIC, arity=1)
def sqrt(ev: Any, args: tuple) -> Any:
    return mk(_POWER, args[0], Fraction(1, 2))


@builtin("CubeRoot", _NUMERIC, arity=1)
def cube_root(ev: Any, args: tuple) -> Any:
    return ev.call(S.Surd, args[0], 3)


@builtin("Surd", _NUMERIC, arity=2)
def surd(ev: Any, args: tuple) -> Any:
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
def exp(ev: Any, args: tuple) -> Any:
    return mk(_POWER, S.E, args[0])
