"""Systems of polynomial equations, solved exactly and natively where school methods suffice.

Linear systems by elimination; unknowns that an equation gives directly are substituted; one-unknown equations by
rational roots, square roots and the quadratic formula; products of unknowns by elimination and back-substitution. What
these do not decide is left to the algebra bridge: `solve` then returns None, never a guess.
"""

from __future__ import annotations

from fractions import Fraction

from nsrl.engines.wolfram.poly import NotPolynomial, Poly, Ring, content
from nsrl.engines.wolfram.polyroots import Undecided, roots

MAX_BRANCHES = 64
Solution = dict  # generator -> Poly; unknowns that stay free are absent


def solve(ring: Ring, equations: list[Poly], unknowns: list[int]) -> list[Solution] | None:
    """All complex solutions of equations = 0, or None where native methods do not decide.

    A solution maps unknowns to polynomials in constants, parameters and the unknowns that stay free.
    """
    try:
        return _dedupe(_Solver(ring, list(unknowns)).run(equations, 0))
    except (Undecided, NotPolynomial, ZeroDivisionError, RecursionError):
        return None


def _dedupe(found: list[Solution]) -> list[Solution]:
    seen, out = set(), []
    for s in found:
        key = tuple(sorted((g, tuple(sorted(p.items()))) for g, p in s.items()))
        if key not in seen:
            seen.add(key)
            out.append(s)
    return out


class _Solver:
    def __init__(self, ring: Ring, unknowns: list[int]):
        self.ring = ring
        self.unknowns = unknowns
        self.set = set(unknowns)
        self.branches = 0

    def run(self, equations: list[Poly], depth: int) -> list[Solution]:
        """Solutions of the equations; recursion over branches."""
        self.branches += 1
        if self.branches > MAX_BRANCHES or depth > 24:
            raise Undecided
        ring = self.ring
        live = []
        for p in equations:
            if not p:
                continue
            if not self._in(p):
                if ring.free(p):
                    raise Undecided  # a condition on parameters
                return []
            live.append(self._simplified(p))
        if not live:
            return [{}]
        step = self._direct(live)
        if step is not None:
            p, g, value = step
            rest = [ring.substitute(q, {g: value}) for q in live if q is not p]
            return [self._back(s, g, value) for s in self.run(rest, depth + 1)]
        p = min(live, key=lambda q: (len(self._in(q)), len(q)))
        factors = self._factors(p)
        if factors is not None:
            others = [q for q in live if q is not p]
            return [s for f in factors for s in self.run([f, *others], depth + 1)]
        single = next((q for q in live if len(self._in(q)) == 1), None)
        if single is not None:
            g = next(iter(self._in(single)))
            others = [q for q in live if q is not single]
            out = []
            for root in roots(ring, single, g):
                rest = [ring.substitute(q, {g: root}) for q in others]
                out += [self._back(s, g, root) for s in self.run(rest, depth + 1)]
            return out
        reduced = self._reduced(live)
        if reduced is not None:
            return self.run(reduced, depth + 1)
        return self._eliminated(live, depth)

    def _in(self, p: Poly) -> set[int]:
        return {g for m in p for g, _ in m if g in self.set}

    def _simplified(self, p: Poly) -> Poly:
        k = content(p)
        p = p if k == 1 else self.ring.scale(p, 1 / k)
        # A common factor that is a constant (9π = πr²) says nothing.
        common: dict[int, int] | None = None
        for m in p:
            here = {g: e for g, e in m if g not in self.set and self.ring.is_constant(g) and g not in self.ring.square}
            common = here if common is None else {g: min(e, here.get(g, 0)) for g, e in common.items()}
        for g, e in (common or {}).items():
            if e > 0:
                p = self.ring.mul(p, {((g, -e),): 1})
        return p

    def _back(self, s: Solution, g: int, value: Poly) -> Solution:
        s = dict(s)
        s[g] = self.ring.substitute(value, s)
        return s

    def _direct(self, live: list[Poly]) -> tuple[Poly, int, Poly] | None:
        """An equation that is linear in an unknown with a constant coefficient: (equation, unknown, its value)."""
        best = None
        for p in live:
            names = self._in(p)
            linear = all(sum(e for g, e in m if g in self.set) <= 1 for m in p)
            for g in names:
                parts = self.ring.coefficients(p, g)
                if max(parts) != 1 or min(parts) < 0 or self._in(parts[1]):
                    continue
                # Linear equations first, then those with few terms; the later unknown stays free.
                rank = (not linear, len(p), self.unknowns.index(g))
                if best is None or rank < best[0]:
                    try:
                        inverse = self.ring.inverse(parts[1])
                    except NotPolynomial:
                        continue
                    best = (rank, p, g, self.ring.mul(self.ring.scale(parts.get(0, {}), -1), inverse))
        return None if best is None else best[1:]

    def _factors(self, p: Poly) -> list[Poly] | None:
        """p as unknown-monomial times rest, where it is one; else None."""
        common = None
        for m in p:
            here = {g: e for g, e in m if g in self.set}
            common = here if common is None else {g: min(e, here[g]) for g, e in common.items() if g in here}
        if not common:
            return None
        rest = p
        for g, e in common.items():
            rest = self.ring.mul(rest, {((g, -e),): 1})
        out: list[Poly] = [{((g, 1),): 1} for g in common]
        return out + [rest] if self._in(rest) else out

    def _reduced(self, live: list[Poly]) -> list[Poly] | None:
        """Linear combinations that cancel the highest monomials, if that gives a simpler system."""
        if len(live) < 2 or any(not isinstance(c, (int, Fraction)) for p in live for c in p.values()):
            return None
        ring = self.ring

        def order(m: tuple) -> tuple:
            return (sum(e for g, e in m if g in self.set), m)

        rows = [dict(p) for p in live]
        out: list[Poly] = []
        while rows:
            top = max((m for r in rows for m in r), key=order)
            with_top = [r for r in rows if top in r]
            pivot: Poly = min(with_top, key=len)
            rows = [r for r in rows if top not in r] + [
                ring.add(r, pivot, -Fraction(r[top]) / pivot[top]) for r in with_top if r is not pivot
            ]
            rows = [r for r in rows if r]
            out.append(pivot)
        size = sorted(max(order(m)[0] for m in p) for p in out)
        before = sorted(max(order(m)[0] for m in p) for p in live)
        return out if size < before or len(out) < len(live) else None

    def _eliminated(self, live: list[Poly], depth: int) -> list[Solution]:
        """c(x) y + r(x) = 0: eliminate y from the others, solve these, then find y."""
        ring = self.ring
        if len(live) < 2:
            raise Undecided
        for p in live:
            for g in self._in(p):
                parts = ring.coefficients(p, g)
                if max(parts) != 1 or min(parts) < 0:
                    continue
                c, r = parts[1], ring.scale(parts.get(0, {}), -1)
                rest = []
                for q in live:
                    if q is p:
                        continue
                    by = ring.coefficients(q, g)
                    k = max(by)
                    if min(by) < 0:
                        raise Undecided
                    total: Poly = {}
                    for e, a in by.items():
                        total = ring.add(total, ring.mul(a, ring.mul(ring.power(r, e), ring.power(c, k - e))))
                    rest.append(total)
                out = []
                for s in self.run(rest, depth + 1):
                    back = [ring.substitute(q, s) for q in live]
                    for t in self.run(back, depth + 1):
                        out.append({**{h: ring.substitute(v, t) for h, v in s.items()}, **t})
                return out
        raise Undecided
