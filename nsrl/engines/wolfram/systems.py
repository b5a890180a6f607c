"""Several equations in several unknowns: every solution, or Cannot.

Polynomial systems exactly (`solving`); roots and absolute values of unknowns become helper unknowns; an unknown that an
equation gives is put into the others; where a polynomial system has finitely many solutions, the roots of one
eliminated polynomial for each unknown are combined and tried. What was not derived exactly is verified by substitution.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram import bridge
from nsrl.engines.wolfram.bridge import NotBridged
from nsrl.engines.wolfram.expr import Expr, S, Symbol, has_head, mk
from nsrl.engines.wolfram.points import Undefined, Unknown, is_zero, terms
from nsrl.engines.wolfram.poly import NotPolynomial, Poly, Ring
from nsrl.engines.wolfram.roots import Cannot, contains, put, roots, shown, symbols
from nsrl.engines.wolfram.solving import solve as solve_polys
from nsrl.engines.wolfram.univariate import replaced, solve_one

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

MAX_COMBINATIONS = 512


def solve_system(ev: Evaluator, differences: list[Any], names: list[Symbol], real: bool, depth: int = 0) -> list[dict]:
    """Every solution of differences = 0 as {name: tree}; names that stay free are absent. Raises Cannot."""
    helpers: dict[Any, Symbol] = {}
    plain = [_plain(ev, d, names, helpers) for d in differences]
    relations = [_relation(ev, k, s, names, helpers) for k, s in list(helpers.items())]
    whole = [*plain, *relations]
    unknowns = [*names, *helpers.values()]
    if helpers and real and any(symbols(d) - set(names) for d in differences):
        raise Cannot  # which real solutions there are depends on the signs of the parameters
    found = _native(ev, whole, unknowns)
    if found is None and not helpers:
        found = _directly(ev, differences, names, real, depth)
    if found is None:
        found = _combined(ev, whole, unknowns)
    elif not helpers:
        return found
    if any(len(s) < len(unknowns) or any(symbols(v) & set(names) for v in s.values()) for s in found):
        raise Cannot  # which sign a helper has depends on what is free
    return _verified(ev, differences, names, found)


def without_squares(ev: Evaluator, d: Any, names: list[Symbol]) -> list[Any]:
    """What must vanish where d does, for real unknowns: of a sum of squares or absolute values each, else d itself."""
    if len(names) < 2:
        return [d]
    ring = Ring()
    try:
        found = _each_square(ring, d)
        if found is None:
            n, den = ring.ratio(ev.eval(mk(S.Expand, d)))
            found = _completed(ring, n) if ring.number(den) is not None else None
    except (NotPolynomial, ZeroDivisionError):
        return [d]
    if found is None or not all(ring.gens[g] in names for p in found for m in p for g, _ in m):
        return [d]
    return [ring.tree(p) for p in found]


def _each_square(ring: Ring, d: Any) -> list[Poly] | None:
    """A sum of positive numbers times even powers and absolute values of polynomials (or minus that): what is in
    these."""
    out: list[Poly] = []
    signs, rest = set(), Fraction(0)
    for t in terms(d):
        c, inside, plain = Fraction(1), {(): 1}, True
        for f in _factors(t):
            if type(f) in (int, Fraction):
                c *= f
                continue
            even = has_head(f, S.Power) and type(f.args[1]) is int and f.args[1] > 0 and f.args[1] % 2 == 0
            n, den = ring.ratio(f.args[0]) if even or has_head(f, S.Abs) else ({}, {})
            if den != {(): 1}:
                return None
            inside, plain = ring.mul(inside, n), False
        if plain:
            rest += c
        elif c:
            signs.add(c > 0)
            out.append(inside)
    if len(out) < 2 or len(signs) > 1 or (rest and (rest > 0) not in signs):
        return None
    return [{(): 1}] if rest else out


def _factors(t: Any) -> list[Any]:
    return [f for a in t.args for f in _factors(a)] if has_head(t, S.Times) else [t]


def _completed(ring: Ring, p: Poly) -> list[Poly] | None:
    """A polynomial of degree 2 as c + sum of a_i L_i^2 with positive a_i: the linear L_i for c = 0, [1] for c > 0."""
    if not all(isinstance(c, (int, Fraction)) for c in p.values()) or any(sum(e for _, e in m) > 2 for m in p):
        return None
    squares = [c for m, c in p.items() if len(m) == 1 and m[0][1] == 2]
    if len({g for m in p for g, _ in m}) < 2 or not squares:
        return None
    if squares[0] < 0:
        p = ring.scale(p, -1)
    out: list[Poly] = []
    while any(p):
        g, a = next(((m[0][0], c) for m, c in p.items() if len(m) == 1 and m[0][1] == 2), (None, 0))
        if g is None or a <= 0:
            return None
        by = ring.coefficients(p, g)
        line = ring.add({((g, 1),): 1}, ring.scale(by.get(1, {}), Fraction(1) / (2 * a)))
        out.append(line)
        p = ring.add(p, ring.scale(ring.mul(line, line), a), -1)
    c = p.get((), 0)
    return None if c < 0 else [{(): 1}] if c else out


def _native(ev: Evaluator, equations: list[Any], names: list[Symbol]) -> list[dict] | None:
    ring = Ring(frozenset().union(*map(symbols, equations)) - set(names))
    try:
        polys, nonzero = [], []
        for d in equations:
            n, den = ring.ratio(d)
            polys.append(n)
            if ring.number(den) is None:
                nonzero.append(den)
        if not ring.exact:
            return None
        # The last unknown is solved for first: earlier ones stay free, as in the real engine.
        gens = [ring.gen(x) for x in reversed(names)]
        found = solve_polys(ring, polys, gens)
        if found is None:
            return None
        found = [s for s in found if all(ring.substitute(d, s) for d in nonzero)]
        return [{ring.gens[g]: shown(ev, ring, v) for g, v in s.items()} for s in found]
    except (NotPolynomial, ZeroDivisionError):
        return None


def _plain(ev: Evaluator, e: Any, names: list[Symbol], helpers: dict) -> Any:
    """e with roots and absolute values of unknowns replaced by helper unknowns."""
    if type(e) is not Expr or not any(contains(e, n) for n in names):
        return e
    if e.head in (S.Abs, S.RealAbs) or (e.head is S.Power and type(e.args[1]) is Fraction):
        inside = _plain(ev, e.args[0], names, helpers)
        n = 0 if e.head is not S.Power else e.args[1].denominator
        h = helpers.setdefault((inside, n), Symbol(f"\x02h{len(helpers)}"))
        return h if n == 0 else mk(S.Power, h, e.args[1].numerator)
    return Expr(e.head, tuple(_plain(ev, a, names, helpers) for a in e.args))


def _relation(ev: Evaluator, key: tuple, h: Symbol, names: list[Symbol], helpers: dict) -> Any:
    inside, n = key
    left = mk(S.Power, h, n or 2)
    return ev.eval(mk(S.Plus, left, mk(S.Times, -1, inside if n else mk(S.Power, inside, 2))))


def _directly(ev: Evaluator, differences: list[Any], names: list[Symbol], real: bool, depth: int) -> list[dict] | None:
    """An equation that is linear in an unknown with a numeric coefficient, or holds one unknown alone."""
    live = [d for d in map(ev.eval, differences) if d != 0]
    if not live:
        return [{}]
    if depth > 8:
        raise Cannot
    for d in live:
        inside = [n for n in names if contains(d, n)]
        if not inside:
            try:
                if is_zero(d):
                    return _directly(ev, [q for q in live if q is not d], names, real, depth)
                return []
            except Undefined:
                return []
            except Unknown as error:
                raise Cannot from error
        if len(inside) == 1:
            x, values = inside[0], solve_one(ev, d, inside[0], real)
            if any(r.period is not None for r in values):
                raise Cannot
            branches = [r.value for r in values]
        else:
            x = next((n for n in reversed(inside) if isinstance(ev.eval(mk(S.D, d, n)), (int, Fraction))), None)
            if x is None:
                continue
            slope = ev.eval(mk(S.D, d, x))
            branches = [ev.eval(mk(S.Expand, mk(S.Times, -1, put(ev, d, {x: 0}), mk(S.Power, slope, -1))))]
        others, left = [q for q in live if q is not d], [n for n in names if n is not x]
        out = []
        for v in branches:
            rest = [put(ev, q, {x: v}) for q in others]
            for s in solve_system(ev, rest, left, real, depth + 1) if rest else [{}]:
                out.append({**s, x: put(ev, v, s)})
        return _verified(ev, differences, names, out)
    return None


def _verified(ev: Evaluator, differences: list[Any], names: list[Symbol], found: list[dict]) -> list[dict]:
    """The solutions that satisfy the equations as given, each once, without helpers."""
    out: list[dict] = []
    for s in found:
        s = {n: v for n, v in s.items() if n in names}
        free = set().union(*(symbols(replaced(d, s)) for d in differences)) if differences else set()
        sample = {f: Fraction(p, 7) for f, p in zip(sorted(free, key=lambda f: f.name), (11, 17, 23, 5, 31, 13, 3))}
        try:
            if all(is_zero(replaced(replaced(d, s), sample)) for d in differences) and s not in out:
                out.append(s)
        except Undefined:
            continue
        except Unknown as error:
            raise Cannot from error
    return out


def _combined(ev: Evaluator, equations: list[Any], names: list[Symbol]) -> list[dict]:
    """Finitely many solutions: for each unknown the roots of a polynomial in it alone, and every combination of
    them."""
    sp = bridge.sympy()
    b = bridge.Bridge()
    if any(symbols(e) - set(names) for e in equations) or len(names) > 4:
        raise Cannot
    try:
        polys = [sp.expand(sp.fraction(sp.together(b.to_sympy(e)))[0]) for e in equations]
        gens = [b.symbol(n) for n in names]
        if not all(p.is_polynomial(*gens) and all(c.is_Rational for c in sp.Poly(p, *gens).coeffs()) for p in polys):
            raise Cannot
        basis = bridge.guarded(sp.groebner, polys, *gens, order="grevlex")
        if basis.exprs == [1]:
            return []
        if not basis.is_zero_dimensional:
            raise Cannot
        alone = []
        for g in gens:
            order = [h for h in gens if h is not g] + [g]
            lex = bridge.guarded(sp.groebner, list(basis.exprs), *order, order="lex")
            alone.append(next(p for p in lex.exprs if p.free_symbols == {g}))
        values = [list(dict.fromkeys(roots(ev, b.from_sympy(p), n))) for p, n in zip(alone, names)]
    except NotBridged as error:
        raise Cannot from error
    if prod(map(len, values)) > MAX_COMBINATIONS:
        raise Cannot
    trees = [b.from_sympy(p) for p in polys]
    out = []
    for point in product(*values):
        s = dict(zip(names, point))
        try:
            if all(is_zero(replaced(t, s)) for t in trees):
                out.append(s)
        except (Undefined, Unknown) as error:
            raise Cannot from error
    return out
