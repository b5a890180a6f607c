"""Exact polynomials and fractions of polynomials: the native fast path under the algebra builtins and nsl.

A `Ring` numbers its generators (symbols, radicals of primes, opaque constants such as Pi). A polynomial is a dict
{monomial: coefficient} with monomial = sorted tuple of (generator, exponent != 0) and int or Fraction coefficients;
exponents may be negative only for generators that are constants. Radicals are kept as square roots of primes (and of
-1), so that equal numbers have equal polynomials. Decimals are read as the exact fraction they are written as.
"""

from __future__ import annotations

from fractions import Fraction
from math import gcd, isqrt
from typing import Any

from nsrl.engines.wolfram.expr import COMPLEX, Expr, S, Symbol, mk, norm

Mono = tuple
Poly = dict
MAX_TERMS = 3000
MAX_POWER = 1000
MAX_PRODUCTS = 100_000  # of terms, in one multiplication
MAX_BITS = 20_000

_ONE: Mono = ()


class NotPolynomial(Exception):
    """The tree is outside what this module can hold; callers go another way."""


class TooLarge(NotPolynomial):
    """A polynomial, but one with more terms or digits than this module builds."""


class Generators:
    """The numbered generators of a ring, and what a polynomial over them shows.

    constants: which symbols count as constants (Pi is one always). exact: no decimal was read so far.
    """

    def __init__(self, constants: frozenset = frozenset()):
        self.gens: list[Any] = []
        self.index: dict[Any, int] = {}
        self.square: dict[int, int] = {}  # generator of a radical -> what its square is
        self.constants = constants
        self.exact = True

    def gen(self, e: Any) -> int:
        """The number of a generator; a new one is added."""
        i = self.index.get(e)
        if i is None:
            i = self.index[e] = len(self.gens)
            self.gens.append(e)
        return i

    def radical(self, n: int) -> int:
        """The generator of Sqrt[n], n a prime or -1."""
        i = self.gen(("sqrt", n))
        self.square[i] = n
        return i

    def is_constant(self, i: int) -> bool:
        """Whether a generator is a number (a root, Pi) and no unknown."""
        g = self.gens[i]
        return i in self.square or g is S.Pi or g in self.constants

    def number(self, p: Poly) -> int | Fraction | None:
        """The rational number p is, or None."""
        if not p:
            return 0
        return norm(p[_ONE]) if len(p) == 1 and _ONE in p else None

    def real(self, p: Poly) -> float | None:
        """The value of a p of constants as a float; None where it is not real or has other generators."""
        from math import pi

        total = 0.0
        for m, c in p.items():
            v = float(c)
            for g, e in m:
                if g in self.square:
                    if self.square[g] < 0:
                        return None
                    v *= self.square[g] ** (e / 2)
                elif self.gens[g] is S.Pi:
                    v *= pi**e
                else:
                    return None
            total += v
        return total

    def free(self, p: Poly) -> set[int]:
        """The generators of p that are no constants."""
        return {g for m in p for g, _ in m if not self.is_constant(g)}

    def degree(self, p: Poly, g: int) -> int:
        """The highest exponent of generator g."""
        return max((e for m in p for h, e in m if h == g), default=0)

    def coefficients(self, p: Poly, g: int) -> dict[int, Poly]:
        """p as a polynomial in generator g: exponent -> coefficient."""
        out: dict[int, Poly] = {}
        for m, c in p.items():
            e = 0
            rest = m
            for k, (h, x) in enumerate(m):
                if h == g:
                    e, rest = x, m[:k] + m[k + 1 :]
                    break
            out.setdefault(e, {})[rest] = c
        return out


class Arithmetic(Generators):
    """Sums, products, powers, quotients and square roots of polynomials."""

    def add(self, p: Poly, q: Poly, k: int | Fraction = 1) -> Poly:
        """p + k q"""
        out = dict(p)
        for m, c in q.items():
            v = out.get(m, 0) + k * c
            if v:
                out[m] = v
            else:
                out.pop(m, None)
        return out

    def scale(self, p: Poly, k: int | Fraction) -> Poly:
        """k p."""
        if type(k) is int and k == 1:
            return p
        out = {m: c * k for m, c in p.items()} if k else {}
        for c in out.values():
            if type(c) is not float and _bits(c) > MAX_BITS:  # each step at most doubles: nothing huge is ever built
                raise TooLarge
        return out

    def mul(self, p: Poly, q: Poly) -> Poly:
        """p q. Raises TooLarge."""
        if len(p) * len(q) > MAX_PRODUCTS:
            raise TooLarge
        if len(q) == 1 and _ONE in q:
            return self.scale(p, q[_ONE])
        if len(p) == 1 and _ONE in p:
            return self.scale(q, p[_ONE])
        out: Poly = {}
        for m, c in p.items():
            for n, d in q.items():
                mono, k = self._times(m, n)
                v = out.get(mono, 0) + c * d * k
                if v:
                    out[mono] = v
                else:
                    out.pop(mono, None)
        if len(out) > MAX_TERMS or any(type(c) is not float and _bits(c) > MAX_BITS for c in out.values()):
            raise TooLarge
        return out

    def _times(self, m: Mono, n: Mono) -> tuple[Mono, int | Fraction]:
        if not m:
            return n, 1
        if not n:
            return m, 1
        powers = dict(m)
        for g, e in n:
            powers[g] = powers.get(g, 0) + e
        k: int | Fraction = 1
        if self.square:
            for g in list(powers):
                if g in self.square:
                    whole, powers[g] = divmod(powers[g], 2)
                    if whole:
                        k *= Fraction(self.square[g]) ** whole if whole < 0 else self.square[g] ** whole
        return tuple(sorted((g, e) for g, e in powers.items() if e)), k

    def power(self, p: Poly, n: int) -> Poly:
        """p^n. Raises TooLarge, ZeroDivisionError."""
        if n < 0:
            return self.power(self.inverse(p), -n)
        if n > MAX_POWER and len(p) > 1:
            raise TooLarge
        if len(p) == 1:
            ((m, c),) = p.items()
            if isinstance(c, (int, Fraction)) and n * max(_bits(c), 1) > MAX_BITS and abs(c) != 1:
                raise TooLarge
            if not any(g in self.square for g, _ in m):
                return {tuple((g, e * n) for g, e in m) if n else _ONE: c**n}
        out: Poly = {_ONE: 1}
        base = p
        while n:
            if n & 1:
                out = self.mul(out, base)
            n >>= 1
            if n:
                base = self.mul(base, base)
        return out

    def inverse(self, p: Poly) -> Poly:
        """1/p for a p of constants: a monomial, or a sum over radicals. Raises ZeroDivisionError, NotPolynomial."""
        if not p:
            raise ZeroDivisionError
        if not all(self.is_constant(g) for m in p for g, _ in m):
            raise NotPolynomial
        if len(p) == 1:
            ((m, c),) = p.items()
            out: Poly = {_ONE: Fraction(1) / c}
            for g, e in m:
                if g in self.square:
                    out = self.mul(out, {((g, 1),): Fraction(1, self.square[g])})
                else:
                    out = self.mul(out, {((g, -e),): 1})
            return out
        radical = next((g for m in p for g, _ in m if g in self.square), None)
        if radical is None:
            raise NotPolynomial
        conjugate = {m: (-c if any(g == radical for g, _ in m) else c) for m, c in p.items()}
        return self.mul(conjugate, self.inverse(self.mul(p, conjugate)))

    def quotient(self, num: Poly, den: Poly) -> Poly:
        """num/den as one polynomial where the denominator is a constant, else NotPolynomial."""
        if len(den) == 1 and _ONE in den:
            return num if den[_ONE] == 1 else self.scale(num, Fraction(1) / den[_ONE])
        if num == den:
            return {_ONE: 1}
        try:
            return self.mul(num, self.inverse(den))
        except NotPolynomial:
            return self.divide(num, den)

    def divide(self, num: Poly, den: Poly) -> Poly:
        """The exact quotient of two polynomials; NotPolynomial if it leaves a remainder."""
        if not den:
            raise ZeroDivisionError
        if any(e < 0 for p in (num, den) for m in p for _, e in m):
            raise NotPolynomial
        width = len(self.gens)

        def order(m: Mono) -> tuple:
            row = [0] * width
            for g, e in m:
                row[g] = e
            return tuple(row)

        lead = max(den, key=order)
        out: Poly = {}
        rest = num
        for _ in range(MAX_TERMS):
            if not rest:
                return out
            top = max(rest, key=order)
            powers = dict(top)
            for g, e in lead:
                powers[g] = powers.get(g, 0) - e
            if any(e < 0 for e in powers.values()):
                raise NotPolynomial
            mono = tuple(sorted((g, e) for g, e in powers.items() if e))
            c = Fraction(rest[top]) / den[lead]
            out[mono] = c
            rest = self.add(rest, self.mul({mono: c}, den), -1)
        raise NotPolynomial

    def sqrt(self, p: Poly) -> Poly:
        """The square root of a rational times even powers of constants. Raises NotPolynomial."""
        if not p:
            return {}
        if len(p) != 1:
            raise NotPolynomial
        ((m, c),) = p.items()
        if any(e % 2 or not self.is_constant(g) or g in self.square for g, e in m):
            raise NotPolynomial
        c = Fraction(c)
        whole, primes = _split(c.numerator * c.denominator)
        out: Poly = {tuple((g, e // 2) for g, e in m): Fraction(whole, c.denominator)}
        for q in primes:
            out = self.mul(out, {((self.radical(q), 1),): 1})
        return out

    def substitute(self, p: Poly, values: dict[int, Poly]) -> Poly:
        """p with generators replaced by polynomials."""
        if not any(g in values for m in p for g, _ in m):
            return p
        out: Poly = {}
        for m, c in p.items():
            term: Poly = {_ONE: c}
            for g, e in m:
                if g in values:
                    v = values[g]
                    term = self.mul(term, self.power(v, e) if v or e > 0 else self.inverse(v))
                else:
                    term = self.mul(term, {((g, e),): 1})
            out = self.add(out, term)
        return out


class Ring(Arithmetic):
    """Polynomials of trees, and trees of polynomials."""

    def ratio(self, e: Any) -> tuple[Poly, Poly]:
        """(numerator, denominator) of a tree. Raises NotPolynomial, ZeroDivisionError."""
        t = type(e)
        if t is int or t is Fraction:
            return ({_ONE: e} if e else {}), {_ONE: 1}
        if t is float:
            self.exact = False
            if e != e or e in (float("inf"), float("-inf")):
                raise NotPolynomial
            f = norm(Fraction(repr(e)))
            return ({_ONE: f} if f else {}), {_ONE: 1}
        if t is Symbol:
            if e is S.Degree:
                return {((self.gen(S.Pi), 1),): Fraction(1, 180)}, {_ONE: 1}
            if e is S.I:
                return {((self.radical(-1), 1),): 1}, {_ONE: 1}
            if e.builtin is not None and e is not S.Pi:
                raise NotPolynomial
            return {((self.gen(e), 1),): 1}, {_ONE: 1}
        if t is not Expr:
            raise NotPolynomial
        h = e.head
        if h is S.Plus:
            num, den = self.ratio(e.args[0]) if e.args else ({}, {_ONE: 1})
            for a in e.args[1:]:
                n, d = self.ratio(a)
                if d == den:
                    num = self.add(num, n)
                elif len(d) == 1 and _ONE in d and len(den) == 1 and _ONE in den:
                    num, den = self.add(self.scale(num, d[_ONE]), self.scale(n, den[_ONE])), {_ONE: den[_ONE] * d[_ONE]}
                else:
                    num, den = self.add(self.mul(num, d), self.mul(n, den)), self.mul(den, d)
            return num, den
        if h is S.Times:
            num, den = {_ONE: 1}, {_ONE: 1}
            for a in e.args:
                n, d = self.ratio(a)
                num, den = self.mul(num, n), self.mul(den, d)
            return num, den
        if h is S.Power and len(e.args) == 2:
            return self._power_ratio(*e.args)
        if h is S.Sqrt and len(e.args) == 1:
            return self._power_ratio(e.args[0], Fraction(1, 2))
        if h is COMPLEX and len(e.args) == 2 and all(isinstance(a, (int, Fraction)) for a in e.args):
            re, im = e.args
            return self.add({_ONE: re} if re else {}, {((self.radical(-1), 1),): im}), {_ONE: 1}
        raise NotPolynomial

    def _power_ratio(self, base: Any, exponent: Any) -> tuple[Poly, Poly]:
        if type(exponent) is float and exponent == int(exponent):
            exponent = int(exponent)
        if type(exponent) is Expr:
            n, d = self.ratio(exponent)
            top, bottom = self.number(n), self.number(d)
            if top is None or bottom is None:
                raise NotPolynomial
            exponent = norm(Fraction(top) / Fraction(bottom))
        if type(exponent) is Fraction and exponent.denominator == 2:
            n, d = self.ratio(base)
            root = self.sqrt(self.quotient(n, d))
            if exponent.numerator == 1:
                return root, {_ONE: 1}
            n, d = root, {_ONE: 1}
            exponent = exponent.numerator
        elif type(exponent) is int:
            n, d = self.ratio(base)
        else:
            raise NotPolynomial
        if exponent < 0:
            if not n:
                raise ZeroDivisionError
            n, d, exponent = d, n, -exponent
        return self.power(n, exponent), self.power(d, exponent)

    def poly(self, e: Any) -> Poly:
        """A tree as one polynomial. Raises NotPolynomial, ZeroDivisionError."""
        return self.quotient(*self.ratio(e))

    def tree(self, p: Poly) -> Any:
        """p as a tree (terms in order of degree; the evaluator puts them in canonical order)."""
        if not p:
            return 0
        terms = [self._term(m, c) for m, c in p.items()]
        return terms[0] if len(terms) == 1 else Expr(S.Plus, tuple(terms))

    def _term(self, m: Mono, c: int | Fraction) -> Any:
        factors: list[Any] = []
        under, imaginary = 1, False
        for g, e in m:
            if g in self.square:
                if self.square[g] < 0:
                    imaginary = True
                else:
                    under *= self.square[g]
            else:
                x = self.gens[g]
                factors.append(x if e == 1 else mk(S.Power, x, e))
        if under > 1:
            # 1/Sqrt[2] rather than Sqrt[2]/2: what the evaluator itself would leave.
            c = Fraction(c)
            if c.denominator % under == 0:
                c = c * under
                factors.append(mk(S.Power, under, Fraction(-1, 2)))
            else:
                factors.append(mk(S.Power, under, Fraction(1, 2)))
        c = norm(c)
        if imaginary:
            factors.insert(0, mk(COMPLEX, 0, c))
        elif c != 1 or not factors:
            factors.insert(0, c)
        return factors[0] if len(factors) == 1 else Expr(S.Times, tuple(factors))


def _bits(c: int | Fraction) -> int:
    return c.bit_length() if isinstance(c, int) else max(c.numerator.bit_length(), c.denominator.bit_length())


def _split(n: int) -> tuple[int, list[int]]:
    """n = whole² · product of distinct primes (and -1). Raises NotPolynomial where factoring would be slow."""
    primes = [-1] if n < 0 else []
    n = abs(n)
    whole = 1
    d = 2
    while d * d <= n and d < 5000:
        e = 0
        while n % d == 0:
            n //= d
            e += 1
        whole *= d ** (e // 2)
        if e % 2:
            primes.append(d)
        d += 1 if d == 2 else 2
    if n > 1:
        r = isqrt(n)
        if r * r == n:
            whole *= r
        elif d * d > n:
            primes.append(n)
        else:
            raise NotPolynomial
    return whole, primes


def content(p: Poly) -> Fraction:
    """The positive rational that makes p's coefficients whole and coprime when divided by it."""
    den = num = 0
    for c in p.values():
        c = Fraction(c)
        num = gcd(num, c.numerator)
        den = c.denominator if not den else den * c.denominator // gcd(den, c.denominator)
    return Fraction(num, den) if num else Fraction(1)
