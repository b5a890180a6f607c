"""The roots of one polynomial in one unknown: rational roots, square roots and the quadratic formula, no guess."""

from __future__ import annotations

from fractions import Fraction
from math import gcd, isqrt, lcm

from nsrl.engines.wolfram.poly import Poly, Ring

_ONE = ()


class Undecided(Exception):
    """No native method applies."""


def roots(ring: Ring, p: Poly, g: int) -> list[Poly]:
    """The roots of p as a polynomial in g alone, each once; raises Undecided."""
    by = ring.coefficients(p, g)
    if min(by) < 0:
        raise Undecided
    low = min(by)
    out: list[Poly] = []
    if low:
        out.append({})
        by = {e - low: c for e, c in by.items()}
    n = max(by)
    if n == 0:
        return out
    step = 0
    for e in by:
        step = gcd(step, e)
    if step > 1 and n > 2:
        inner = {e // step: c for e, c in by.items()}
        for u in _roots(ring, inner):
            out += _nth_roots(ring, u, step)
        return out
    return out + _roots(ring, by)


def _nth_roots(ring: Ring, u: Poly, n: int) -> list[Poly]:
    if not u:
        return [{}]
    if n == 2:
        r = ring.sqrt(u)
        return [ring.scale(r, -1), r]
    if n == 4:
        r = ring.sqrt(u)
        return [w for s in (ring.scale(r, -1), r) for w in _nth_roots(ring, s, 2)]
    if n == 3:
        value = ring.number(u)
        root = _cube_root(Fraction(value)) if value is not None else None
        if root is not None:
            half = Fraction(root) / 2
            w = ring.scale(ring.mul({((ring.radical(-1), 1),): 1}, {((ring.radical(3), 1),): 1}), half)
            return [{_ONE: root}, ring.add({_ONE: -half}, w, -1), ring.add({_ONE: -half}, w)]
    raise Undecided


def _roots(ring: Ring, by: dict[int, Poly]) -> list[Poly]:
    n = max(by)
    if n == 1:
        return [ring.mul(ring.scale(by.get(0, {}), -1), ring.inverse(by[1]))]
    if n == 2:
        a, b, c = by[2], by.get(1, {}), by.get(0, {})
        root = ring.sqrt(ring.add(ring.mul(b, b), ring.mul(a, c), -4))
        over = ring.inverse(ring.scale(a, 2))
        minus = ring.mul(ring.add(ring.scale(b, -1), root, -1), over)
        if not root:
            return [minus]
        return [minus, ring.mul(ring.add(ring.scale(b, -1), root), over)]
    numbers = {e: ring.number(c) for e, c in by.items()}
    known = {e: Fraction(c) for e, c in numbers.items() if c is not None}
    if len(known) < len(numbers):
        raise Undecided
    k = lcm(*(c.denominator for c in known.values()))
    coefficients = [int(known.get(e, 0) * k) for e in range(n + 1)]
    found: list[Fraction] = []
    while len(coefficients) > 3:
        r = _rational_root(coefficients)
        if r is None:
            raise Undecided
        found.append(r)
        coefficients = _deflate(coefficients, r)
    rest = _roots(ring, {e: {_ONE: c} for e, c in enumerate(coefficients) if c})
    out: list[Poly] = []
    for p in [*({_ONE: norm_root} if norm_root else {} for norm_root in found), *rest]:
        if p not in out:
            out.append(p)
    return out


def _cube_root(x: Fraction) -> Fraction | None:
    def whole(n: int) -> int | None:
        r = round(abs(n) ** (1 / 3)) if abs(n) < 10**15 else None
        if r is None:
            return None
        return next((s if n >= 0 else -s for s in (r - 1, r, r + 1) if s**3 == abs(n)), None)

    a, b = whole(x.numerator), whole(x.denominator)
    return None if a is None or not b else Fraction(a, b)


def _divisors(n: int) -> list[int]:
    n = abs(n)
    if n > 10**10:
        return []
    small = [d for d in range(1, min(isqrt(n), 100_000) + 1) if n % d == 0]
    return sorted({*small, *(n // d for d in small)})


def _rational_root(c: list[int]) -> Fraction | None:
    if c[0] == 0:
        return Fraction(0)
    tried = set()
    for p in _divisors(c[0]):
        for q in _divisors(c[-1]):
            for r in (Fraction(p, q), Fraction(-p, q)):
                if r in tried:
                    continue
                tried.add(r)
                if len(tried) > 4000:
                    return None
                v = 0
                for a in reversed(c):
                    v = v * r + a
                if v == 0:
                    return r
    return None


def _deflate(c: list[int], r: Fraction) -> list[int]:
    """The polynomial c (lowest first) divided by (x - r), scaled to whole coefficients."""
    out: list[Fraction] = []
    v = Fraction(0)
    for a in reversed(c):
        v = v * r + a
        out.append(v)
    out = out[:-1][::-1]
    k = 1
    for a in out:
        k = k * a.denominator // gcd(k, a.denominator)
    return [int(a * k) for a in out]
