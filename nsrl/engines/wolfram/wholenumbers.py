"""Conditions on whole numbers, by search in the box that the conditions themselves imply.

Bounds are propagated through polynomial equations and inequalities until they stay; where a variable stays unbounded
the search is not begun.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import floor, prod
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.bridge import NotBridged
from nsrl.engines.wolfram.expr import FALSE, TRUE, Expr, S, Symbol, mk
from nsrl.engines.wolfram.openring import OpenRing
from nsrl.engines.wolfram.points import Unknown, truth
from nsrl.engines.wolfram.poly import NotPolynomial, Poly, Ring, content
from nsrl.engines.wolfram.roots import Cannot
from nsrl.engines.wolfram.systems import solve_system
from nsrl.engines.wolfram.univariate import replaced

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

MAX_POINTS = 200_000
_INFINITY = float("inf")
_LOW = {S.PositiveIntegers: (1, _INFINITY), S.NonNegativeIntegers: (0, _INFINITY), S.NegativeIntegers: (-_INFINITY, -1),
        S.NonPositiveIntegers: (-_INFINITY, 0), S.Primes: (2, _INFINITY)}  # fmt: skip


def whole_points(
    ev: Evaluator, differences: list[Any], filters: list[Any], names: list[Symbol], domains: dict[Symbol, Any]
) -> list[dict]:
    """Every point at which the differences vanish and the filters hold. Raises Cannot."""
    ring = Ring()
    zero: list[Poly] = []
    at_least: list[Poly] = []  # polynomials >= 0
    rest = [*filters]
    for d in differences:
        try:
            n, den = ring.ratio(ev.eval(mk(S.Expand, d)))
            if not _of(ring, n, names):
                raise NotPolynomial
            zero.append(n)
            if ring.number(den) is None:
                rest.append(mk(S.Unequal, ring.tree(den), 0))
        except (NotPolynomial, ZeroDivisionError):
            rest.append(mk(S.Equal, d, 0))
    for f in filters:
        for big, small, strict in _ordered_sides(f):
            try:
                n, den = ring.ratio(ev.eval(mk(S.Expand, mk(S.Plus, big, mk(S.Times, -1, small)))))
                k = ring.number(den)
            except (NotPolynomial, ZeroDivisionError):
                continue
            if k is not None and _of(ring, n, names) and all(isinstance(c, (int, Fraction)) for c in n.values()):
                n = ring.scale(n, Fraction(1) / k)
                whole = all(Fraction(c).denominator == 1 for c in n.values())
                at_least.append(ring.add(n, {(): 1}, -1) if strict and whole else n)
    gens = {ring.gen(n): n for n in names}
    lowest: dict[Any, tuple] = _LOW
    box = {g: lowest.get(domains.get(n), (-_INFINITY, _INFINITY)) for g, n in gens.items()}
    both = [*at_least, *zero, *(ring.scale(p, -1) for p in zero)]
    for p in zero:
        _divided(p, box)
    bounded(both, box)
    if any(a > b for a, b in box.values()):
        return []
    if any(_INFINITY in (-a, b) for a, b in box.values()):
        return _from_divisors(ev, ring, zero, rest, names, domains)
    order = sorted(gens, key=lambda g: box[g][1] - box[g][0])
    last = order[-1] if zero and len(order) > 1 else None
    sizes = [b - a + 1 for g, (a, b) in box.items() if g != last]
    if prod(sizes) > MAX_POINTS:
        raise Cannot
    out: list[dict] = []

    def search(k: int, s: dict, left: list[Poly]) -> None:
        ev.step()
        if any(p and not any(g in gens for m in p for g, _ in m) for p in left):
            return
        if k == len(order):
            point = {n: s[g].get((), 0) for g, n in gens.items()}
            if _true(ev, Expr(S.And, tuple(replaced(f, point) for f in rest))):
                out.append(point)
            return
        g = order[k]
        for v in _values(ring, g, left if k == len(order) - 1 else [], *box[g]):
            value = {(): v} if v else {}
            search(k + 1, {**s, g: value}, [ring.substitute(p, {g: value}) for p in left])

    search(0, {}, zero)
    return [p for p in out if all(_in(p[n], domains.get(n)) for n in names)]


def _of(ring: Ring, p: Poly, names: list[Symbol]) -> bool:
    """Whether a polynomial is one in these names alone, and not in functions of theirs."""
    return all(ring.gens[g] in names for m in p for g, _ in m)


def _true(ev: Evaluator, condition: Any) -> bool:
    """The truth of a condition at whole numbers, where numbers to some digits do not decide it by evaluation. Raises
    Cannot."""
    try:
        return truth(condition)
    except Unknown as error:
        value = ev.eval(condition)
        if value is not TRUE and value is not FALSE:
            raise Cannot from error
        return value is TRUE


def _from_divisors(
    ev: Evaluator, ring: Ring, zero: list[Poly], rest: list, names: list[Symbol], domains: dict
) -> list[dict]:
    """An equation u v = c with c not 0: u is one of the divisors of c, and two equations are left. Raises Cannot."""
    for p in zero:
        for u, v, c in _products(ring, p):
            out: list[dict] = []
            for d in (s * k for k in range(1, abs(c) + 1) if c % k == 0 for s in (1, -1)):
                system = [
                    ring.tree(q)
                    for q in (ring.add(u, {(): -d}), ring.add(v, {(): -(c // d)}), *(q for q in zero if q is not p))
                ]
                for s in solve_system(ev, [ev.eval(e) for e in system], names, True):
                    if len(s) < len(names):
                        raise Cannot
                    tests = (*rest, *(mk(S.Element, n, domains[n]) for n in names))
                    try:
                        if s not in out and truth(Expr(S.And, tuple(replaced(t, s) for t in tests))):
                            out.append(s)
                    except Unknown as error:
                        raise Cannot from error
            return out
    raise Cannot


def _products(ring: Ring, p: Poly) -> list[tuple[Poly, Poly, int]]:
    """(u, v, c) with p = 0 the same as u v = c, whole coefficients, c not 0 and of modest size."""
    k = content(p)
    p = {m: int(Fraction(c) / k) for m, c in p.items()}
    free = sorted({g for m in p for g, _ in m})
    tries: list[tuple[Poly, Poly, int]] = []
    if len(free) == 2 and set(p) <= {((free[0], 1), (free[1], 1)), ((free[0], 1),), ((free[1], 1),), ()}:
        x, y = (((g, 1),) for g in free)
        a, b, c, d = p.get((*x, *y), 0), p.get(x, 0), p.get(y, 0), p.get((), 0)  # (a x + c)(a y + b) = b c - a d
        if a:
            tries.append(({x: a, **({(): c} if c else {})}, {y: a, **({(): b} if b else {})}, b * c - a * d))
    open_ring = OpenRing()
    open_ring.gens, open_ring.index = ring.gens, ring.index
    try:
        number, factors = open_ring.factors({m: c for m, c in p.items() if m})
    except (NotPolynomial, NotBridged):
        return tries
    each = [f for f, times in factors for _ in range(times)]
    if len(each) > 1 and () in p and Fraction(-p[()]) % Fraction(number) == 0:
        rest: Poly = {(): 1}
        for f in each[1:]:
            rest = ring.mul(rest, f)
        tries.append((each[0], rest, int(Fraction(-p[()]) / Fraction(number))))
    return [(u, v, c) for u, v, c in tries if c and abs(c) <= 20_000]


def _in(v: int, domain: Any) -> bool:
    low, high = _LOW.get(domain, (-_INFINITY, _INFINITY))
    return low <= v <= high and (domain is not S.Primes or all(v % k for k in range(2, int(v**0.5) + 1)))


def _values(ring: Ring, g: int, left: list[Poly], low: int, high: int) -> Any:
    """What the last unknown may be: the one value a linear equation leaves, else the whole range."""
    for p in left:
        by = ring.coefficients(p, g)
        if set(by) <= {0, 1} and 1 in by and all(set(c) <= {()} for c in by.values()):
            v = Fraction(-by.get(0, {}).get((), 0)) / by[1][()]
            return [v.numerator] if v.denominator == 1 and low <= v <= high else []
    if high - low > MAX_POINTS:
        raise Cannot
    return range(low, high + 1)


def _ordered_sides(f: Any) -> list[tuple[Any, Any, bool]]:
    """(greater side, smaller side, strict) of every inequality in a chain."""
    if type(f) is not Expr:
        return []
    if f.head is S.Inequality:
        links = list(zip(f.args[::2], f.args[1::2], f.args[2::2]))
    elif f.head in (S.Less, S.LessEqual, S.Greater, S.GreaterEqual):
        links = [(a, f.head, b) for a, b in pairwise(f.args)]
    else:
        return []
    return [(b, a, op is S.Less) if op in (S.Less, S.LessEqual) else (a, b, op is S.Greater)
            for a, op, b in links if op not in (S.Equal, S.Unequal)]  # fmt: skip


def _power(a: float, b: float, e: int) -> tuple[float, float]:
    ends = (a**e, b**e)
    if e % 2 == 0:
        return (0 if a <= 0 <= b else min(ends)), max(ends)
    return ends


def _times(a: Any, b: Any) -> tuple[float, float]:
    ends = [0 if 0 in (x, y) else x * y for x in a for y in b]
    return min(ends), max(ends)


def _range(m: tuple, c: Any, box: dict) -> tuple[Any, Any]:
    out: tuple = (c, c)
    for g, e in m:
        low, high = box[g]
        out = _times(out, _power(low, high, e))
    return out


def bounded(polys: list[Poly], box: dict, whole: bool = True) -> dict:
    """The box of generator -> (low, high), made smaller by polynomials that are >= 0.

    Bounds of variables that are not whole are a little wide.
    """
    for p in polys:
        _ellipsoid(p, box)
    for _ in range(60):
        before = dict(box)
        for p in polys:
            _tightened(p, box, 0 if whole else 1)
        if any(a > b for a, b in box.values()) or box == before:
            break
    return box


def _ellipsoid(p: Poly, box: dict) -> None:
    """p >= 0 of degree 2 that falls in every direction: the box around the ellipsoid (x - m) A (x - m) <= r."""
    gens = sorted({g for m in p for g, _ in m})
    n = len(gens)
    if (
        not 0 < n <= 4
        or any(sum(e for _, e in m) > 2 for m in p)
        or not all(isinstance(c, (int, Fraction)) for c in p.values())
    ):
        return
    # [A | 1] becomes [1 | its inverse] by elimination; a pivot that is not positive: no ellipsoid
    rows = [[Fraction(-p.get(((g, 2),) if g == h else ((min(g, h), 1), (max(g, h), 1)), 0),
    1 if g == h else 2) for h in gens]
            + [Fraction(i == j) for j in range(n)] for i, g in enumerate(gens)]  # fmt: skip
    for k in range(n):
        if rows[k][k] <= 0:
            return
        rows[k] = [v / rows[k][k] for v in rows[k]]
        for i in range(n):
            if i != k:
                rows[i] = [v - rows[i][k] * w for v, w in zip(rows[i], rows[k])]
    inverse = [r[n:] for r in rows]
    slope = [Fraction(p.get(((g, 1),), 0)) for g in gens]
    middle = [sum(v * b for v, b in zip(r, slope)) / 2 for r in inverse]
    radius = p.get((), 0) + sum(b * m for b, m in zip(slope, middle)) / 2
    for i, g in enumerate(gens):
        size = _root(floor(radius * inverse[i][i]), 2) + 1 if radius >= 0 else -1
        a, b = box[g]
        box[g] = (max(a, floor(middle[i]) - size), min(b, -floor(-middle[i]) + size))


def _tightened(p: Poly, box: dict, slack: int) -> None:
    """p >= 0 with all else at its greatest bounds each variable that occurs in one term, as c m y^e."""
    ranges = {m: _range(m, c, box) for m, c in p.items()}
    for m, c in p.items():
        others = sum(hi for n, (_, hi) in ranges.items() if n != m)
        if others == _INFINITY or others != others:
            continue
        for g, e in m:
            # c m' y^e >= -others, where m' is the rest of the monomial
            lo, hi = _range(tuple((h, k) for h, k in m if h != g), c, box)
            a, b = box[g]
            if lo > 0 and e % 2:  # y^e >= -others / m'
                bound = _over(-others, lo if -others > 0 and hi == _INFINITY else hi if -others > 0 else lo)
                if hi == _INFINITY and -others > 0:
                    continue
                a = max(a, _up(bound, e) - slack)
            elif hi < 0:  # y^e <= others / -m'
                bound = _over(others, -hi if others >= 0 else -lo)
                if e % 2:
                    b = min(b, _down(bound, e) + slack)
                elif bound < 0:
                    a, b = 1, 0
                else:
                    r = _down(bound, e) + slack
                    a, b = max(a, -r), min(b, r)
            box[g] = (a, b)


def _down(v: Any, e: int) -> Any:
    """A whole number not below any whole y with y^e <= v."""
    if v in (_INFINITY, -_INFINITY):
        return v
    if e == 1:
        return floor(v)
    return _root(floor(v), e) if v >= 0 else -_root(floor(-v), e)


def _root(n: int, e: int) -> int:
    """The whole part of the e-th root of n >= 0, by Newton's iteration from above."""
    y = 1 << -(-n.bit_length() // e)
    x = y + 1
    while y < x:
        x, y = y, ((e - 1) * y + n // y ** (e - 1)) // e if y else 0
    return x


def _over(a: Any, b: Any) -> Any:
    """a / b, exact where both are finite."""
    if abs(b) == _INFINITY:
        return 0
    return Fraction(a) / b if abs(a) != _INFINITY else a if b > 0 else -a


def _up(v: Any, e: int) -> Any:
    return -_down(-v, e)


def _divided(p: Poly, box: dict) -> None:
    """A product of unknowns that equals a number other than 0: each divides it."""
    terms = [m for m in p if m]
    if len(terms) != 1 or () not in p:
        return
    bound = abs(Fraction(p[()]) / p[terms[0]])
    for g, e in terms[0]:
        r = _down(bound, e)
        box[g] = (max(box[g][0], -r), min(box[g][1], r))
