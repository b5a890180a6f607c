"""Polynomials over anything: the ring behind Expand, Factor, Together and their kin.

Whatever is no sum, product or whole power becomes a generator. Factoring and greatest common divisors are SymPy's,
crossed as exponent tables.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from nsrl.engines.wolfram.bridge import NotBridged, guarded, sympy
from nsrl.engines.wolfram.expr import COMPLEX, Expr, S, has_head, mk, norm
from nsrl.engines.wolfram.poly import MAX_POWER, NotPolynomial, Poly, Ring, content

_ONE = ()


class OpenRing(Ring):
    """A Ring in which every tree is something: non-polynomial parts are generators."""

    def ratio(self, e: Any) -> tuple[Poly, Poly]:
        """A tree as (numerator, denominator); what is no sum, product or power is a generator."""
        t = type(e)
        if t is float:
            return ({_ONE: e} if e else {}), {_ONE: 1}
        if t is int or t is Fraction:
            return super().ratio(e)
        if t is Expr:
            if e.head in (S.Plus, S.Times):
                return super().ratio(e)
            if e.head is COMPLEX and all(isinstance(a, (int, Fraction)) for a in e.args):
                return super().ratio(e)
            if e.head is S.Power and len(e.args) == 2:
                base, n = e.args
                if type(n) is int and (abs(n) <= MAX_POWER or has_head(base, S.Plus)):
                    return self._power_ratio(base, n)
                if type(n) is Fraction:
                    return self._root(base, n)
                lead = self._negative_exponent(n)
                if lead is not None:
                    num, den = self.ratio(mk(S.Power, base, lead))
                    return den, num
        return {((self.gen(e), 1),): 1}, {_ONE: 1}

    def _negative_exponent(self, n: Any) -> Any:
        """x for an exponent that is -x."""
        if has_head(n, S.Times) and type(n.args[0]) in (int, Fraction) and n.args[0] < 0:
            rest = n.args[1:] if n.args[0] == -1 else (norm(-n.args[0]), *n.args[1:])
            return rest[0] if len(rest) == 1 else Expr(S.Times, rest)
        return None

    def _root(self, base: Any, n: Fraction) -> tuple[Poly, Poly]:
        if type(base) is int and n.denominator == 2:
            try:
                root = self.sqrt({_ONE: base})
                if n < 0:
                    return {_ONE: 1}, self.power(root, -n.numerator)
                return self.power(root, n.numerator), {_ONE: 1}
            except NotPolynomial:
                pass
        whole, part = divmod(abs(n.numerator), n.denominator)
        g = self.gen(mk(S.Power, base, Fraction(1, n.denominator)))
        out: Poly = {((g, part),): 1} if part else {_ONE: 1}
        den: Poly = {_ONE: 1}
        if whole:
            top, den = self._power_ratio(base, whole)
            out = self.mul(out, top)
        return (out, den) if n > 0 else (den, out)

    def laurent(self, e: Any) -> Poly:
        """e expanded, sums in denominators kept whole (as generators with negative exponents)."""
        t = type(e)
        if t is int or t is Fraction or t is float:
            return {_ONE: e} if e else {}
        if t is Expr:
            if e.head is S.Plus:
                out: Poly = {}
                for a in e.args:
                    out = self.add(out, self.laurent(a))
                return out
            if e.head is S.Times:
                out = {_ONE: 1}
                for a in e.args:
                    out = self.mul(out, self.laurent(a))
                return out
            if e.head is S.Power and len(e.args) == 2:
                base, n = e.args
                if type(n) is int:
                    if n > 0 and has_head(base, S.Plus):
                        return self.power(self.laurent(base), n)
                    if has_head(base, S.Plus):
                        return {((self.gen(base), n),): 1}
                    if n > 0 and has_head(base, S.Times):
                        return self.power(self.laurent(base), n)
                    g = self.laurent(base)
                    if len(g) == 1 and n > 0:
                        return self.power(g, n)
                    return {((self.gen(base), n),): 1}
                if type(n) is Fraction:
                    return {((self.gen(base), n),): 1} if type(base) is not int else {((self.gen(e), 1),): 1}
        return {((self.gen(e), 1),): 1}

    def is_constant(self, i: int) -> bool:
        """Whether a generator is a square root of a number."""
        return i in self.square

    # --- SymPy's algorithms on exponent tables

    def _sympy(self, p: Poly, gens: list[int], names: list[Any]) -> Any:
        sp = sympy()
        table: dict[tuple, Any] = {}
        place = {g: k for k, g in enumerate(gens)}
        for m, c in p.items():
            if type(c) is float:
                raise NotPolynomial
            row = [0] * len(gens)
            for g, e in m:
                if e < 0 or type(e) is not int:
                    raise NotPolynomial
                row[place[g]] = e
            f = Fraction(c)
            table[tuple(row)] = sp.Rational(f.numerator, f.denominator)
        return sp.Poly.from_dict(table, *names, domain="QQ")

    def _from(self, q: Any, gens: list[int]) -> Poly:
        out: Poly = {}
        for row, c in q.terms():
            if c:
                m = tuple(sorted((g, int(e)) for g, e in zip(gens, row) if e))
                out[m] = norm(Fraction(int(c.p), int(c.q)))
        return out

    def _frame(self, *polys: Poly) -> tuple[list[int], list[Any]]:
        gens = sorted({g for p in polys for m in p for g, _ in m})
        # Named by place: SymPy's own order must not depend on what the program calls things.
        return gens, [sympy().Symbol(f"g{k:03d}") for k in range(len(gens))]

    def factors(self, p: Poly) -> tuple[int | Fraction, list[tuple[Poly, int]]]:
        """p as a number times powers of irreducible polynomials over the rationals."""
        if not p or (len(p) == 1 and _ONE in p):
            return (p.get(_ONE, 0), [])
        gens, names = self._frame(p)
        c, parts = guarded(self._sympy(p, gens, names).factor_list)
        out = []
        number = Fraction(int(c.p), int(c.q))
        for q, k in parts:
            f = self._from(q, gens)
            r = content(f)
            if r != 1:
                f, number = self.scale(f, 1 / r), number * r**k
            out.append((f, int(k)))
        return norm(number), out

    def gcd(self, p: Poly, q: Poly) -> Poly:
        """The greatest common divisor with whole coprime coefficients."""
        if not p or not q:
            return p or q
        gens, names = self._frame(p, q)
        if not gens:
            return {_ONE: 1}
        g = self._from(guarded(self._sympy(p, gens, names).gcd, self._sympy(q, gens, names)), gens)
        r = content(g)
        return self.scale(g, 1 / r) if r != 1 else g

    def lowest(self, num: Poly, den: Poly) -> tuple[Poly, Poly]:
        """num/den without common factors, the denominator with whole coefficients."""
        if not den:
            raise ZeroDivisionError
        if any(type(c) is float for p in (num, den) for c in p.values()):
            return num, den
        if len(den) > 1 or next(iter(den)) != _ONE:
            g = self.gcd(num, den)
            if g != {_ONE: 1}:
                num, den = self.divide(num, g), self.divide(den, g)
        k = content(den)
        lead = den[max(den)]
        if lead < 0 and all(c < 0 for c in den.values()):
            k = -k
        return (self.scale(num, 1 / k), self.scale(den, 1 / k)) if k != 1 else (num, den)


__all__ = ["NotBridged", "OpenRing"]
