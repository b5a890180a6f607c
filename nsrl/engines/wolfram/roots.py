"""The roots of one polynomial in one unknown, exact and in the form the real engine prints; every one of them.

Rational roots, square roots and the quadratic formula natively; roots of numbers as powers of -1; Root objects for
irreducible factors beyond these.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram import bridge
from nsrl.engines.wolfram.expr import Expr, S, has_head, is_list, lst, mk, norm, rule
from nsrl.engines.wolfram.points import DOMAINS
from nsrl.engines.wolfram.poly import NotPolynomial, Ring, content
from nsrl.engines.wolfram.solving import solve as solve_polys

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator


class Cannot(Exception):
    """Not solvable here: the call stays unevaluated."""


def contains(e: Any, x: Any) -> bool:
    """Whether x occurs in e."""
    return e is x or (type(e) is Expr and (contains(e.head, x) or any(contains(a, x) for a in e.args)))


def polynomial_in(e: Any, x: Any) -> bool:
    """Whether e is a polynomial in x as it is written."""
    if e is x or not contains(e, x):
        return True
    if e.head in (S.Plus, S.Times):
        return all(polynomial_in(a, x) for a in e.args)
    return has_head(e, S.Power) and type(e.args[1]) is int and e.args[1] > 0 and polynomial_in(e.args[0], x)


def coefficients(ev: Evaluator, e: Any, x: Any) -> dict[int, Any] | None:
    """Exponent -> coefficient tree of a polynomial in x, zeros left out; None where it is none."""
    if not polynomial_in(e, x):
        return None
    c = ev.eval(mk(S.CoefficientList, e, x))
    return {i: v for i, v in enumerate(c.args) if v != 0} if is_list(c) else None


def roots(ev: Evaluator, e: Any, x: Any, real: bool = False) -> list[Any]:
    """The roots of a polynomial, each as often as it occurs; with `real`, Root objects of real roots only.

    Other symbols are parameters, taken to be generic. Raises Cannot.
    """
    for way in (_native, _formula, _by_factors, _cardano):
        found = way(ev, e, x, real)
        if found is not None:
            return found
    raise Cannot


def _native(ev: Evaluator, e: Any, x: Any, real: bool) -> list[Any] | None:
    ring = Ring(frozenset(s for s in symbols(e) if s is not x))
    try:
        p, _ = ring.ratio(e)
        g = ring.gen(x)
        found = solve_polys(ring, [p], [g]) if ring.exact else None
        if found is None or any(g not in s for s in found):
            return None
        return [shown(ev, ring, s[g]) for s in found for _ in range(_multiplicity(ring, p, g, s))]
    except (NotPolynomial, ZeroDivisionError):
        return None


def symbols(e: Any) -> set:
    """Symbols of e that the system does not define."""
    if type(e) is Expr:
        return set().union(*map(symbols, e.args))
    return {e} if getattr(e, "builtin", 0) is None and e not in DOMAINS else set()


def _multiplicity(ring: Ring, p: dict, g: int, s: dict) -> int:
    n = 0
    while p and ring.degree(p, g) > 0 and not ring.substitute(p, s):
        n += 1
        by, p = ring.coefficients(p, g), {}
        for e, c in by.items():
            if e:
                p = ring.add(p, ring.mul(c, {((g, e - 1),) if e > 1 else (): e}))
    return max(n, 1)


def shown(ev: Evaluator, ring: Ring, v: Any) -> Any:
    """A value as the real engine writes it: sums with a common denominator as one fraction, roots of unity as powers of
    -1."""
    i = ring.index.get(("sqrt", -1))
    if i is not None and any(g == i for m in v for g, _ in m):
        root = _unity(ring, v)
        if root is not None:
            return ev.eval(root)
    if len(v) > 1 and any(e < 0 for m in v for _, e in m):
        return ev.eval(mk(S.Together, ring.tree(v)))
    k = content(v) if len(v) > 1 else Fraction(1)
    if k.denominator > 1:
        return ev.eval(mk(S.Times, norm(k), ring.tree(ring.scale(v, 1 / k))))
    return ev.eval(ring.tree(v))


def _unity(ring: Ring, v: dict) -> Any:
    """(±1 ± I Sqrt[3]) r/2 with rational r as r times a power of -1."""
    i, three = ring.index.get(("sqrt", -1)), ring.index.get(("sqrt", 3))
    if three is None or set(v) != {(), tuple(sorted(((i, 1), (three, 1))))}:
        return None
    re, im = v[()], v[tuple(sorted(((i, 1), (three, 1))))]
    if abs(re) != abs(im):
        return None
    r = norm(Fraction(2 * abs(re)))
    power = Fraction(1, 3) if (re > 0) == (im > 0) else Fraction(2, 3)
    return mk(S.Times, r if im > 0 else -r, mk(S.Power, -1, power))


def _formula(ev: Evaluator, e: Any, x: Any, real: bool) -> list[Any] | None:
    """a x² + b x + c = 0 with symbolic coefficients, by the formula; a x + b = 0 as one fraction; a x^n + c = 0."""
    c = coefficients(ev, ev.eval(mk(S.Numerator, mk(S.Together, e))), x)
    if not c or not max(c):
        return None
    n, a, b, k = max(c), c[max(c)], c.get(1, 0), c.get(0, 0)
    if n == 1:
        return [ev.eval(mk(S.Together, mk(S.Times, -1, k, mk(S.Power, a, -1))))]
    if n > 2:
        if set(c) != {0, n} or all(isinstance(v, (int, Fraction)) for v in (a, k)):
            return None
        base = ev.eval(mk(S.Power, mk(S.Together, mk(S.Times, -1, k, mk(S.Power, a, -1))), Fraction(1, n)))
        turn = (mk(S.Power, -1, norm(Fraction(2 * j, n))) for j in range(n))
        return [ev.eval(mk(S.Times, t, base)) for t in turn]
    if b == 0:
        q = ev.eval(mk(S.Together, mk(S.Times, -1, k, mk(S.Power, a, -1))))
        top, bottom = ev.eval(mk(S.Numerator, q)), ev.eval(mk(S.Denominator, q))
        root = ev.eval(mk(S.Times, mk(S.Sqrt, top), mk(S.Power, mk(S.Sqrt, bottom), -1)))
        return [ev.eval(mk(S.Times, -1, root)), root]
    half = all(isinstance(v, int) and v % 2 == 0 for v in _leading(b)) and isinstance(a, int)
    if half:  # b = 2β: (-β ± Sqrt[β² - a c])/a
        b = ev.eval(mk(S.Expand, mk(S.Times, Fraction(1, 2), b)))
    inside = ev.eval(mk(S.Expand, mk(S.Plus, mk(S.Power, b, 2), mk(S.Times, -1 if half else -4, a, k))))
    under = mk(S.Power, mk(S.Times, 1 if half else 2, a), -1)
    return [
        ev.eval(mk(S.Times, mk(S.Plus, mk(S.Times, -1, b), mk(S.Times, s, mk(S.Sqrt, inside))), under)) for s in (-1, 1)
    ]


def _cardano(ev: Evaluator, e: Any, x: Any, real: bool) -> list[Any] | None:
    """Cubics and quartics with parameters, as SymPy writes their roots, if it finds as many as the degree."""
    b = bridge.Bridge()
    c = coefficients(ev, ev.eval(mk(S.Numerator, mk(S.Together, e))), x)
    if not c or not 3 <= max(c) <= 4 or not symbols(e) - {x}:
        return None
    found = bridge.guarded(bridge.sympy().roots, b.to_sympy(e), b.to_sympy(x))
    values = [ev.eval(b.from_sympy(v)) for v, times in found.items() for _ in range(times)]
    return values if len(values) == max(c) else None


def _leading(e: Any) -> list:
    terms = e.args if has_head(e, S.Plus) else (e,)
    return [t.args[0] if has_head(t, S.Times) else t if isinstance(t, (int, Fraction)) else 1 for t in terms]


def _by_factors(ev: Evaluator, e: Any, x: Any, real: bool) -> list[Any] | None:
    """Rational coefficients: factor by factor; radicals where they are simple, Root objects elsewhere."""
    e = ev.eval(mk(S.Numerator, mk(S.Together, e)))
    c = coefficients(ev, e, x)
    if not c or not all(isinstance(v, (int, Fraction)) for v in c.values()):
        return None
    factors = ev.eval(mk(S.FactorList, e))
    if not is_list(factors):
        return None
    out: list[Any] = []
    for f in factors.args[1:]:
        p, times = f.args
        d = coefficients(ev, p, x) or {}
        n = max(d, default=0)
        if n < 1:
            continue
        if n < 3:
            found = _native(ev, p, x, real) or _formula(ev, p, x, real)
        elif set(d) == {0, n}:
            found = _unity_roots(ev, norm(Fraction(-d[0]) / d[n]), n)
        elif n == 4 and set(d) == {0, 2, 4}:
            squares = roots(ev, ev.eval(mk(S.ReplaceAll, p, rule(x, mk(S.Power, x, Fraction(1, 2))))), x)
            found = [ev.eval(mk(S.Times, s, mk(S.Sqrt, q))) for q in squares for s in (-1, 1)]
        else:
            found = _root_objects(p, d, x, real)
        assert found is not None
        out += [r for r in found for _ in range(times)]
    return out


def _unity_roots(ev: Evaluator, r: Any, n: int) -> list[Any]:
    """The n-th roots of a rational r: a root of its size times powers of -1."""
    out = []
    size, sign = abs(r), 1 if r > 0 else -1
    for k in range(n):
        t = Fraction(2 * k + (1 if sign < 0 else 0), n)
        t = t - 2 if t > 1 else t
        minus = t < 0
        angle = t + 1 if minus else t
        if angle == Fraction(1, n) and size != 1:
            out.append(ev.eval(mk(S.Times, -1 if minus else 1, mk(S.Power, norm(-size), Fraction(1, n)))))
            continue
        power = 1 if angle == 0 else -1 if angle == 1 else mk(S.Power, -1, norm(angle))
        out.append(ev.eval(mk(S.Times, -1 if minus else 1, power, mk(S.Power, size, Fraction(1, n)))))
    return out


def _root_objects(p: Any, by: dict[int, Any], x: Any, real: bool) -> list[Any]:
    terms = []
    for k, v in sorted(by.items()):
        power = mk(S.Slot, 1) if k == 1 else mk(S.Power, mk(S.Slot, 1), k)
        terms.append(v if k == 0 else power if v == 1 else mk(S.Times, v, power))
    function = mk(S.Function, Expr(S.Plus, tuple(terms)))
    last = max(by)
    if real:
        b = bridge.Bridge()
        poly = bridge.guarded(bridge.sympy().Poly, b.to_sympy(p), b.to_sympy(x))
        last = int(bridge.guarded(poly.count_roots))
    return [mk(S.Root, function, k + 1, 0) for k in range(last)]


def factored(ev: Evaluator, e: Any) -> list[Any]:
    """The distinct irreducible factors of a tree's numerator."""
    found = ev.eval(mk(S.FactorList, ev.eval(mk(S.Numerator, mk(S.Together, e)))))
    return [f.args[0] for f in found.args if is_list(f)] if is_list(found) else [e]


def put(ev: Evaluator, e: Any, values: dict[Any, Any]) -> Any:
    """e with symbols replaced, evaluated."""
    return ev.eval(mk(S.ReplaceAll, e, lst(rule(k, v) for k, v in values.items()))) if values else e
