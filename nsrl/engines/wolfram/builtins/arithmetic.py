"""Plus and Times in canonical form. Numbers are numbers.py's business, order is order.py's."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.assoc import is_assoc
from nsrl.engines.wolfram.builtins import series
from nsrl.engines.wolfram.expr import COMPLEX, Expr, S, Symbol, mk, norm
from nsrl.engines.wolfram.numbers import add, bit_length, is_real, mul, sign
from nsrl.engines.wolfram.order import is_number, is_sorted, sort
from nsrl.engines.wolfram.points import certain_sign
from nsrl.engines.wolfram.rootobject import root_coefficients
from nsrl.engines.wolfram.table import Builtin, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
_PLUS, _TIMES, _POWER = S.Plus, S.Times, S.Power
_NUMERIC = "Listable NumericFunction"


def is_infinity(e: Any) -> bool:
    """Infinity or -Infinity (as it is written: Infinity, Times[-1, Infinity])."""
    return e is S.Infinity or (
        type(e) is Expr and e.head is _TIMES and len(e.args) == 2 and e.args[1] is S.Infinity and e.args[0] == -1
    )


def _infinities(ev: Evaluator, args: tuple) -> Any:
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
def plus(ev: Evaluator, args: tuple) -> Any:
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


def _thread_associations(ev: Evaluator, head: Symbol, args: tuple) -> Any:
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
    return type(e) is not str and (e in CONSTANTS if type(e) is Symbol else type(e) is Expr and is_numeric(e))


CONSTANTS = {S.Pi, S.E, S.Degree, S.GoldenRatio, S.EulerGamma, S.Catalan, S.Khinchin, S.Glaisher}


def is_numeric(e: Any) -> bool:
    """NumericQ: a number, a constant, or a numeric function of these."""
    t = type(e)
    if t is Symbol:
        return e in CONSTANTS
    if t is Expr:
        if e.head is COMPLEX:
            return True
        if e.head is S.Root:
            return len(e.args) > 1 and type(e.args[1]) is int and root_coefficients(e.args[0]) is not None
        if type(e.head) is not Symbol or not e.head.attrs & (1 << 7):
            return False
        return all(map(is_numeric, e.args))
    return t is not str


def _numericize(ev: Evaluator, e: Expr) -> Any:
    """Machine numbers contaminate exact constants in a sum or product."""
    done = [
        ev.call(S.N, a) if _is_exact_constant(a) or (type(a) is Expr and a.head is _TIMES and is_numeric(a)) else a
        for a in e.args
    ]
    return Expr(e.head, tuple(done))


def as_power(f: Any) -> tuple[Any, Any]:
    """f as (base, exponent)."""
    return f.args if type(f) is Expr and f.head is _POWER and len(f.args) == 2 else (f, 1)


@builtin("Times", "Flat Listable NumericFunction OneIdentity Orderless")
def times(ev: Evaluator, args: tuple) -> Any:
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
        if type(base) is Expr and base.head in RECIPROCAL:
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
        if type(f) is Expr and f.head is _POWER and type(f.args[1]) is Fraction and pi_root(f) is not None:
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
        if (
            type(f) is Expr
            and f.head is _PLUS
            and (is_real(coefficient) or is_number(coefficient))
            and type(coefficient) is not float
        ):
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


def pi_root(f: Expr) -> tuple[Fraction, int] | None:
    """(r, k) where f = Sqrt[r] Pi^(k/2) is written as one square root, k = 1 or -1."""
    base, x = f.args
    if x not in (_HALF, -_HALF):
        return None
    way = 1 if x > 0 else -1
    if base is S.Pi:
        return Fraction(1), way
    if (
        type(base) is not Expr
        or base.head is not _TIMES
        or len(base.args) != 2
        or type(base.args[0]) not in (int, Fraction)
    ):
        return None
    c, rest = base.args
    if c <= 0:
        return None
    if rest is S.Pi:
        return Fraction(c) ** way, way
    if type(rest) is Expr and rest.head is _POWER and rest.args == (S.Pi, -1):
        return Fraction(c) ** way, -way
    return None


def root_of_pi(r: Fraction, k: int) -> tuple[Any, Expr]:
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
        root = pi_root(f) if type(f) is Expr and f.head is _POWER else None
        if root is not None:
            under, k = under * root[0], k + root[1]
        elif (
            type(f) is Expr
            and f.head is _POWER
            and type(f.args[0]) is int
            and f.args[0] > 0
            and f.args[1] in (_HALF, -_HALF)
        ):
            under *= Fraction(f.args[0]) ** (1 if f.args[1] > 0 else -1)
        else:
            others.append(f)
    if max(under.numerator, under.denominator).bit_length() > 256:
        return None
    if k not in (1, -1):
        return [coefficient, mk(_POWER, norm(under), _HALF), mk(_POWER, S.Pi, norm(Fraction(k, 2))), *others]
    rational = type(coefficient) in (int, Fraction)
    number, root = root_of_pi(under * (Fraction(coefficient) ** 2 if rational else 1), k)
    if rational and coefficient < 0:
        number = -number
    if len(others) + 1 == len(factors) and root in factors and (number == coefficient if rational else number == 1):
        return None
    return [number, root, *others] if rational else [coefficient, number, root, *others]


def _same_factor(a: Any, b: Any) -> bool:
    return (
        a is b or (type(a) is Expr and a == b) or (type(a) in (int, float, Fraction) and type(a) is type(b) and a == b)
    )


RECIPROCAL = {S.Sin: S.Csc, S.Cos: S.Sec, S.Tan: S.Cot, S.Csc: S.Sin, S.Sec: S.Cos, S.Cot: S.Tan}
_AS_SIN_COS = {S.Sin: (1, 0), S.Cos: (0, 1), S.Tan: (1, -1), S.Cot: (-1, 1), S.Sec: (0, -1), S.Csc: (-1, 0)}


def _trig_pairs(bases: dict[Any, list[Any]]) -> dict[Any, list[Any]]:
    """Whole powers of functions of one angle joined as the kernel joins them: Sin[x]/Cos[x] -> Tan[x]."""
    groups: dict[Any, list[Any]] = {}
    for b, xs in bases.items():
        if type(b) is Expr and b.head in RECIPROCAL and len(b.args) == 1 and all(type(x) is int for x in xs):
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


def _infinite_product(ev: Evaluator, coefficient: Any, args: tuple) -> Any:
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


def _radicals(ev: Evaluator, coefficient: Any, factors: list[Any]) -> tuple[Any, list[Any], bool]:
    """Roots of rationals joined, and moved against the coefficient: 2/Sqrt[2] -> Sqrt[2], Sqrt[2] Sqrt[3] ->
    Sqrt[6]."""
    roots: dict[Fraction, Fraction] = {}  # exponent > 0 -> base
    count = 0
    rest: list[Any] = []
    for f in factors:
        if (
            type(f) is Expr
            and f.head is _POWER
            and type(f.args[0]) in (int, Fraction)
            and f.args[0] > 0
            and type(f.args[1]) is Fraction
        ):
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
    made = [
        Expr(_POWER, (v.denominator, -x)) if v.numerator == 1 else Expr(_POWER, (norm(v), x))
        for x, v in roots.items()
        if v != 1
    ]
    return coefficient, rest + made, True


@builtin("Subtract", _NUMERIC, arity=2)
def subtract(ev: Evaluator, args: tuple) -> Any:
    return mk(_PLUS, args[0], mk(_TIMES, -1, args[1]))


@builtin("Divide", _NUMERIC, arity=2)
def divide(ev: Evaluator, args: tuple) -> Any:
    return mk(_TIMES, args[0], mk(_POWER, args[1], -1))


@builtin("Minus", _NUMERIC, arity=1)
def minus(ev: Evaluator, args: tuple) -> Any:
    return mk(_TIMES, -1, args[0])
