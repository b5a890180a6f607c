"""Builtins that solve: Solve and its kin, Reduce, FindRoot, FindInstance, Eliminate, optimisation, recurrences.

Native exact methods first (`solving`), SymPy over the bridge where they do not decide; unevaluated where neither does.
Knows nothing of printing.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from nsrl.engines.wolfram import bridge
from nsrl.engines.wolfram.bridge import NotBridged
from nsrl.engines.wolfram.builtins.algebra import contains, one_fraction
from nsrl.engines.wolfram.expr import COMPLEX, FALSE, TRUE, Expr, S, Symbol, has_head, is_list, lst, mk, norm, rule
from nsrl.engines.wolfram.order import compare, sort
from nsrl.engines.wolfram.poly import NotPolynomial, Ring, content
from nsrl.engines.wolfram.solving import solve as solve_polys
from nsrl.engines.wolfram.table import Builtin, table

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)

_DOMAINS = {S.Reals, S.Complexes, S.Integers, S.Rationals, S.PositiveReals, S.PositiveIntegers, S.NonNegativeReals,
            S.NonNegativeIntegers, S.NegativeReals, S.NegativeIntegers, S.Primes}  # fmt: skip
_INEQUALITIES = (S.Less, S.LessEqual, S.Greater, S.GreaterEqual, S.Unequal, S.Inequality)


class _Cannot(Exception):
    """Not solvable here."""


def as_difference(e: Any) -> Any:
    """left - right of an equation; anything else as it is."""
    if has_head(e, S.Equal) and len(e.args) == 2:
        return mk(S.Plus, e.args[0], mk(S.Times, -1, e.args[1]))
    return e


def symbols_in(e: Any) -> list:
    """User symbols in e, sorted canonically."""
    found: dict = {}

    def walk(x: Any) -> None:
        if type(x) is Symbol:
            if x.builtin is None and x not in _DOMAINS:
                found[x] = None
        elif type(x) is Expr:
            for a in x.args:
                walk(a)

    walk(e)
    return sort(found)


def conditions(e: Any) -> list[tuple[list, list]]:
    """An expression of And, Or, lists and relations as alternatives: [(differences, filters), …]."""
    if e is TRUE:
        return [([], [])]
    if e is FALSE:
        return []
    if is_list(e) or has_head(e, S.And):
        out: list[tuple[list, list]] = [([], [])]
        for a in e.args:
            parts = conditions(a)
            out = [(x + p, f + q) for x, f in out for p, q in parts]
            if len(out) > 64:
                raise _Cannot
        return out
    if has_head(e, S.Or):
        return [c for a in e.args for c in conditions(a)]
    if has_head(e, S.Equal):
        pairs = []
        for a, b in zip(e.args, e.args[1:]):
            if is_list(a) and is_list(b) and len(a.args) == len(b.args):
                return conditions(lst(mk(S.Equal, x, y) for x, y in zip(a.args, b.args)))
            pairs.append(mk(S.Plus, a, mk(S.Times, -1, b)))
        return [(pairs, [])]
    if type(e) is Expr and e.head in (*_INEQUALITIES, S.Element, S.Not):
        return [([], [e])]
    raise _Cannot


# --- polynomial systems


def _solutions(ev: Any, differences: list, filters: list, names: list, domain: Any) -> list[dict]:
    """Solutions as {name: tree}; raises _Cannot."""
    ring = Ring(frozenset(s for d in differences for s in symbols_in(d)) - set(names))
    try:
        polys, nonzero = [], []
        for d in differences:
            n, den = ring.ratio(d)
            polys.append(n)
            if ring.number(den) is None:
                nonzero.append(den)
        if not ring.exact:
            raise NotPolynomial
        # The last variable is solved for first: earlier ones stay free, as in the real engine.
        gens = [ring.gen(x) for x in reversed(names)]
        found = solve_polys(ring, polys, gens)
        if found is None:
            raise NotPolynomial
        found = [s for s in found if all(ring.substitute(d, s) for d in nonzero)]
        if len(names) == 1 and len(polys) == 1 and not nonzero:
            found = [s for s in found for _ in range(_multiplicity(ring, polys[0], gens[0], s))]
        return [{ring.gens[g]: _shown(ev, ring, v, len(names) == 1) for g, v in s.items()} for s in found]
    except (NotPolynomial, ZeroDivisionError):
        pass
    symbolic = _symbolic_quadratic(ev, differences, names)
    if symbolic is not None:
        return symbolic
    unity = _radical_roots(ev, differences, names, domain)
    if unity is not None:
        return unity
    special = _special(ev, differences, names, domain)
    if special is not None:
        return special
    exact = [_rationalized(d) for d in differences]
    inexact = any(e is not d for e, d in zip(exact, differences))
    if any(_unsupported(e) for e in exact):
        raise _Cannot
    real = domain in (S.Reals, S.PositiveReals) or any(contains(e, S.Abs) for e in exact)
    found = bridge.solve(exact, names, real=real)
    if found is None:
        raise _Cannot
    out = []
    for s in found:
        values = {k: one_fraction(ev, ev.eval(v)) for k, v in s.items()}
        if inexact:
            values = {k: ev.eval(mk(S.N, v)) for k, v in values.items()}
        out.append(values)
    return out


def _multiplicity(ring: Ring, p: dict, g: int, s: dict) -> int:
    """How often the root s occurs in p."""
    if g not in s:
        return 1
    n = 0
    while p and ring.degree(p, g) > 0 and not ring.substitute(p, s):
        n += 1
        by = ring.coefficients(p, g)
        p = {}
        for e, c in by.items():
            if e:
                p = ring.add(p, ring.mul(c, {((g, e - 1),) if e > 1 else (): e}))
    return max(n, 1)


def _shown(ev: Any, ring: Ring, v: Any, single: bool) -> Any:
    """A value as the real engine writes it: sums with a common denominator as one fraction, roots of unity as powers of -1."""
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
    r = 2 * abs(re)
    r = norm(Fraction(r))
    if re > 0:
        return mk(S.Times, r, mk(S.Power, -1, Fraction(1, 3))) if im > 0 else mk(S.Times, -r, mk(S.Power, -1, Fraction(2, 3)))
    return mk(S.Times, r, mk(S.Power, -1, Fraction(2, 3))) if im > 0 else mk(S.Times, -r, mk(S.Power, -1, Fraction(1, 3)))


def _symbolic_quadratic(ev: Any, differences: list, names: list) -> list[dict] | None:
    """a x² + b x + c = 0 with symbolic coefficients, by the formula; a x + b = 0 as one fraction."""
    if len(differences) != 1 or len(names) != 1 or _has_float(differences[0]):
        return None
    x = names[0]
    e = ev.eval(mk(S.Numerator, mk(S.Together, differences[0])))
    c = _coefficients(ev, e, x)
    if c is None or not 1 <= max(c) <= 2 or any(_has_float(v) for v in c.values()):
        return None
    a, b, k = c.get(2, 0), c.get(1, 0), c.get(0, 0)
    if max(c) == 1:
        return [{x: ev.eval(mk(S.Together, mk(S.Times, -1, k, mk(S.Power, b, -1))))}]
    if b == 0:
        root = _root_quotient(ev, k, a)
        return [{x: ev.eval(mk(S.Times, -1, root))}, {x: root}]
    inside = ev.eval(mk(S.Expand, mk(S.Plus, mk(S.Power, b, 2), mk(S.Times, -4, a, k))))
    even = all(isinstance(n, int) and n % 2 == 0 for n in _numbers(b)) and isinstance(a, int)
    if even:  # b = 2β: (-β ± Sqrt[β² - a c])/a
        beta = ev.eval(mk(S.Expand, mk(S.Times, Fraction(1, 2), b)))
        inside = ev.eval(mk(S.Expand, mk(S.Plus, mk(S.Power, beta, 2), mk(S.Times, -1, a, k))))
        tops = [mk(S.Plus, mk(S.Times, -1, beta), mk(S.Times, s, mk(S.Sqrt, inside))) for s in (-1, 1)]
        return [{x: ev.eval(mk(S.Times, t, mk(S.Power, a, -1)))} for t in tops]
    tops = [mk(S.Plus, mk(S.Times, -1, b), mk(S.Times, s, mk(S.Sqrt, inside))) for s in (-1, 1)]
    return [{x: ev.eval(mk(S.Times, t, mk(S.Power, mk(S.Times, 2, a), -1)))} for t in tops]


def _root_quotient(ev: Any, k: Any, a: Any) -> Any:
    """Sqrt[-k/a], the root taken apart where the denominator is symbolic: Sqrt[c]/Sqrt[a]."""
    q = ev.eval(mk(S.Together, mk(S.Times, -1, k, mk(S.Power, a, -1))))
    top, bottom = ev.eval(mk(S.Numerator, q)), ev.eval(mk(S.Denominator, q))
    return ev.eval(mk(S.Times, mk(S.Sqrt, top), mk(S.Power, mk(S.Sqrt, bottom), -1)))


def _numbers(e: Any) -> list:
    """The leading numbers of e's terms."""
    terms = e.args if has_head(e, S.Plus) else (e,)
    return [t.args[0] if has_head(t, S.Times) else t if isinstance(t, (int, Fraction)) else 1 for t in terms]


def _has_float(e: Any) -> bool:
    return type(e) is float or (type(e) is Expr and any(_has_float(a) for a in e.args))


def _coefficients(ev: Any, e: Any, x: Any) -> dict[int, Any] | None:
    c = ev.eval(mk(S.CoefficientList, e, x)) if _polynomial_in(e, x) else None
    if not is_list(c):
        return None
    return {i: v for i, v in enumerate(c.args) if v != 0} or None


def _polynomial_in(e: Any, x: Any) -> bool:
    if e == x or not contains(e, x):
        return True
    if type(e) is Expr and e.head in (S.Plus, S.Times):
        return all(_polynomial_in(a, x) for a in e.args)
    return has_head(e, S.Power) and type(e.args[1]) is int and e.args[1] > 0 and _polynomial_in(e.args[0], x)


def _radical_roots(ev: Any, differences: list, names: list, domain: Any) -> list[dict] | None:
    """a x^n = c for n > 2, and irreducible polynomials: radicals, or Root objects, factor by factor."""
    if len(differences) != 1 or len(names) != 1 or _has_float(differences[0]):
        return None
    x = names[0]
    e = ev.eval(mk(S.Numerator, mk(S.Together, differences[0])))
    c = _coefficients(ev, e, x)
    if c is None or max(c) < 3 or not all(isinstance(v, (int, Fraction)) for v in c.values()):
        return None
    factors = ev.eval(mk(S.FactorList, e))
    if not is_list(factors):
        return None
    out: list[Any] = []
    for f in factors.args[1:]:
        p = f.args[0]
        n = ev.eval(mk(S.Exponent, p, x))
        if n < 3:
            try:
                out += [s[x] for s in _solutions(ev, [p], [], [x], S.Complexes)]
            except _Cannot:
                return None
            continue
        d = _coefficients(ev, p, x)
        if set(d) == {0, n}:
            r = norm(Fraction(-d[0]) / d[n])
            sign, size = (1, r) if r > 0 else (-1, -r)
            base = mk(S.Power, size, Fraction(1, n))
            for k in range(n):
                # sign^(1/n) times the k-th root of unity, as powers of -1.
                t = Fraction(2 * k + (1 if sign < 0 else 0), n)
                t = t - 2 if t > 1 else t
                minus = t < 0
                angle = t + 1 if minus else t
                if angle == Fraction(1, n) and size != 1:
                    out.append(ev.eval(mk(S.Times, -1 if minus else 1, mk(S.Power, norm(-size), Fraction(1, n)))))
                    continue
                power = 1 if angle == 0 else -1 if angle == 1 else mk(S.Power, -1, norm(angle))
                out.append(ev.eval(mk(S.Times, -1 if minus else 1, power, base)))
            continue
        b = bridge.Bridge()
        poly = b.to_sympy(p)
        if n == 4 and set(d) == {0, 2, 4}:
            found = bridge.guarded(bridge.sympy().solve, poly, b.to_sympy(x))
            out += [ev.eval(b.from_sympy(v)) for v in found]
            continue
        terms = []
        for k, v in sorted(d.items()):
            s = mk(S.Slot, 1)
            power = s if k == 1 else mk(S.Power, s, k)
            terms.append(v if k == 0 else power if v == 1 else mk(S.Times, v, power))
        function = mk(S.Function, Expr(S.Plus, tuple(terms)))
        real = int(bridge.guarded(bridge.sympy().count_roots, poly))
        last = real if domain is S.Reals else n
        out += [mk(S.Root, function, k + 1, 0) for k in range(last)]
    return [{x: v} for v in out]


def _unsupported(e: Any) -> bool:
    """Whether e holds something SymPy's solve would take for a constant: strings, unknown calls of lists."""
    if type(e) is str:
        return True
    return type(e) is Expr and (is_list(e) or any(_unsupported(a) for a in e.args))


def _rationalized(e: Any) -> Any:
    if type(e) is float:
        return norm(Fraction(repr(e))) if e == e and abs(e) != float("inf") else e
    if type(e) is Expr:
        args = tuple(_rationalized(a) for a in e.args)
        return e if all(a is b for a, b in zip(args, e.args)) else Expr(e.head, args)
    return e


def _special(ev: Any, differences: list, names: list, domain: Any) -> list[dict] | None:
    """f(x) = c for a periodic or exponential f of a linear argument: the general solution with C[1]."""
    if len(differences) != 1 or len(names) != 1:
        return None
    x = names[0]
    e = ev.eval(mk(S.Expand, differences[0]))
    found: list[Any] = []

    def walk(t: Any) -> None:
        if type(t) is Expr and contains(t, x):
            if t.head in (S.Sin, S.Cos, S.Tan, S.Log) or (t.head is S.Power and not contains(t.args[0], x)):
                if t not in found:
                    found.append(t)
            else:
                for a in t.args:
                    walk(a)

    walk(e)
    if len(found) != 1:
        return None
    f = found[0]
    u, v = Symbol("\x02u"), Symbol("\x02v")
    inner = f.args[-1]
    outer = ev.eval(mk(S.ReplaceAll, e, rule(f, u)))
    if contains(outer, x):
        return None
    try:
        values = [s[u] for s in _solutions(ev, [outer], [], [u], S.Complexes) if u in s]
    except _Cannot:
        return None
    k = mk(S.C, 1)
    out = []
    for c in values:
        targets: list[tuple[Any, Any]] = []  # (value of the argument, period)
        if f.head is S.Sin:
            a = ev.eval(mk(S.ArcSin, c))
            targets = [(a, mk(S.Times, 2, S.Pi)), (mk(S.Plus, S.Pi, mk(S.Times, -1, a)), mk(S.Times, 2, S.Pi))]
            if c in (1, -1):
                targets = targets[:1]
            if c == 0:
                targets = [(0, mk(S.Times, 2, S.Pi)), (S.Pi, mk(S.Times, 2, S.Pi))]
        elif f.head is S.Cos:
            a = ev.eval(mk(S.ArcCos, c))
            targets = [(mk(S.Times, -1, a), mk(S.Times, 2, S.Pi)), (a, mk(S.Times, 2, S.Pi))]
            if c in (1, -1):
                targets = targets[1:]
        elif f.head is S.Tan:
            targets = [(mk(S.ArcTan, c), S.Pi)]
        elif f.head is S.Log:
            targets = [(mk(S.Power, S.E, c), None)]
        else:
            if c == 0:
                continue
            base = f.args[0]
            log = mk(S.Times, mk(S.Log, c), mk(S.Power, mk(S.Log, base), -1))
            whole = _integer_log(base, c)
            log = whole if whole is not None else log
            if domain is S.Reals:
                if _negative(ev, c):
                    continue
                targets = [(log, None)]
            else:
                targets = [(log, mk(S.Times, mk(COMPLEX, 0, 2), S.Pi, mk(S.Power, mk(S.Log, base), -1)))]
        for value, period in targets:
            shifted = value if period is None else mk(S.Plus, value, mk(S.Times, period, k))
            try:
                inverse = _solutions(ev, [mk(S.Plus, inner, mk(S.Times, -1, v))], [], [x], S.Complexes)
            except _Cannot:
                return None
            for s in inverse:
                out_value = ev.eval(mk(S.Expand, mk(S.ReplaceAll, s[x], rule(v, ev.eval(shifted)))))
                if period is not None:
                    out_value = mk(S.ConditionalExpression, out_value, mk(S.Element, k, S.Integers))
                out.append({x: out_value})
    return out


def _integer_log(base: Any, c: Any) -> Any:
    if type(base) is int and base > 1 and isinstance(c, (int, Fraction)) and c > 0:
        n, v = 0, Fraction(c)
        while v > 1 and v % base == 0 if v.denominator == 1 else False:
            v, n = v / base, n + 1
        while v < 1 and n > -200:
            v, n = v * base, n - 1
        if v == 1:
            return n
    return None


def _negative(ev: Any, c: Any) -> bool:
    n = ev.eval(mk(S.N, c))
    return not isinstance(n, (int, float)) or n <= 0


# --- Solve


def _truth(ev: Any, f: Any, values: dict) -> Any:
    return ev.eval(mk(S.ReplaceAll, f, lst(rule(k, v) for k, v in values.items())))


def _is_real(ev: Any, v: Any) -> bool | None:
    """Whether a value without free symbols is real; None with free symbols."""
    if _has_complex(v):
        n = ev.eval(mk(S.N, v))
        if isinstance(n, (int, float)):
            return True
        if has_head(n, COMPLEX):
            return abs(n.args[1]) < 1e-12 * (1 + abs(n.args[0]))
        return None if symbols_in(v) else False
    n = ev.eval(mk(S.N, v))
    if isinstance(n, (int, float)):
        return True
    return False if has_head(n, COMPLEX) else None


def _has_complex(e: Any) -> bool:
    return has_head(e, COMPLEX) or (type(e) is Expr and any(_has_complex(a) for a in e.args))


def _order_solutions(ev: Any, found: list[dict], names: list) -> list[dict]:
    from functools import cmp_to_key

    def by(a: dict, b: dict) -> int:
        for n in names:
            x, y = a.get(n), b.get(n)
            if x is None or y is None:
                continue
            c = _value_order(ev, x, y)
            if c:
                return c
        return 0

    return sorted(found, key=cmp_to_key(by))


def _value_order(ev: Any, x: Any, y: Any) -> int:
    """Numbers of the same kind by size, otherwise canonical: rationals, then the conjugate pair with the minus first."""
    plain = (int, Fraction, float)
    if isinstance(x, plain) and isinstance(y, plain):
        return (x > y) - (x < y)
    if isinstance(x, plain) != isinstance(y, plain) and not _has_complex(x) and not _has_complex(y):
        return compare(x, y)
    nx, ny = ev.eval(mk(S.N, x)), ev.eval(mk(S.N, y))
    if isinstance(nx, float) and isinstance(ny, float) and type(x) is Expr and type(y) is Expr:
        return (nx > ny) - (nx < ny)
    if has_head(nx, COMPLEX) and has_head(ny, COMPLEX) and abs(nx.args[0] - ny.args[0]) < 1e-12:
        return (nx.args[1] > ny.args[1]) - (nx.args[1] < ny.args[1])
    if symbols_in(x) or symbols_in(y) or has_head(x, S.Root) or has_head(y, S.Root):
        return 0
    return compare(x, y)


def solutions(ev: Any, what: Any, names: list, domain: Any) -> list[dict]:
    """All solutions of a condition, filtered and in order. Raises _Cannot."""
    out: list[dict] = []
    integer = domain in (S.Integers, S.PositiveIntegers, S.NonNegativeIntegers, S.NegativeIntegers)
    alternatives = conditions(what)
    for differences, filters in alternatives:
        if not differences and not filters:
            return [{}]
        if not differences or (integer and len(differences) < len(names)):
            if integer:
                out += _bounded_integers(ev, differences, filters, names, domain)
                continue
            out += _from_inequalities(ev, filters, names)
            continue
        real = domain in (S.Reals, S.PositiveReals, S.NonNegativeReals, S.NegativeReals) or any(
            f.head in _INEQUALITIES and f.head is not S.Unequal for f in filters)  # fmt: skip
        found = _solutions(ev, differences, filters, names, S.Reals if real else domain)
        if filters and len(names) == 1:
            found = _within(ev, found, filters, names[0])
        for s in found:
            kept = _kept(ev, s, filters, domain, real)
            if kept is not None and (len(alternatives) == 1 or kept not in out):
                out.append(kept)
    return _order_solutions(ev, out, names)


def _within(ev: Any, found: list[dict], filters: list, x: Any) -> list[dict]:
    """General solutions a + p C[1] replaced by those of them that lie within the bounds of the filters."""
    from nsrl.engines.wolfram.builtins.reduce import _float, real_line

    if not any(has_head(s.get(x), S.ConditionalExpression) for s in found):
        return found
    pieces = real_line(ev, filters[0] if len(filters) == 1 else Expr(S.And, tuple(filters)), x)
    k = mk(S.C, 1)
    out: list[dict] = []
    for s in found:
        v = s[x]
        if not has_head(v, S.ConditionalExpression):
            out.append(s)
            continue
        base = ev.eval(mk(S.ReplaceAll, v.args[0], rule(k, 0)))
        step = ev.eval(mk(S.Expand, mk(S.Plus, mk(S.ReplaceAll, v.args[0], rule(k, 1)), mk(S.Times, -1, base))))
        if _has_complex(step):
            continue
        start, period = _float(ev, base), _float(ev, step)
        for low, _, high, _ in pieces:
            if low is None or high is None:
                raise _Cannot
            first = int((_float(ev, low) - start) / period) - 1
            last = int((_float(ev, high) - start) / period) + 1
            if last - first > 1000:
                raise _Cannot
            for n in range(first, last + 1):
                value = {x: ev.eval(mk(S.Plus, base, mk(S.Times, n, step)))}
                if value not in out:
                    out.append(value)
    return out


def _from_inequalities(ev: Any, filters: list, names: list) -> list[dict]:
    """Inequalities alone: no solution, single points, or (unsolved here) intervals."""
    from nsrl.engines.wolfram.builtins.reduce import real_line

    if len(names) != 1:
        raise _Cannot
    pieces = real_line(ev, filters[0] if len(filters) == 1 else Expr(S.And, tuple(filters)), names[0])
    if all(low is not None and low == high for low, _, high, _ in pieces):
        return [{names[0]: low} for low, _, _, _ in pieces]
    if len(pieces) == 1:
        from nsrl.engines.wolfram.builtins.reduce import _piece

        return [{names[0]: mk(S.ConditionalExpression, names[0], _piece(names[0], *pieces[0]))}]
    raise _Cannot


def _kept(ev: Any, s: dict, filters: list, domain: Any, real: bool) -> dict | None:
    integer = domain in (S.Integers, S.PositiveIntegers, S.NonNegativeIntegers, S.NegativeIntegers)
    values = dict(s)
    for k, v in s.items():
        if real or integer:
            r = _is_real(ev, v)
            if r is False:
                return None
        if integer and type(v) is not int and not symbols_in(v) and not has_head(v, S.ConditionalExpression):
            return None
        if domain is S.Rationals and not isinstance(v, (int, Fraction)):
            return None
        if domain in (S.PositiveReals, S.PositiveIntegers) and ev.eval(mk(S.Greater, v, 0)) is FALSE:
            return None
        if domain in (S.NonNegativeReals, S.NonNegativeIntegers) and ev.eval(mk(S.GreaterEqual, v, 0)) is FALSE:
            return None
        del k
    for f in filters:
        t = _truth(ev, f, s)
        if t is FALSE:
            return None
        if t is not TRUE:
            if any(has_head(v, S.ConditionalExpression) for v in s.values()):
                raise _Cannot
            values = {k: mk(S.ConditionalExpression, v, t) for k, v in values.items()}
    return values


def _bounded_integers(ev: Any, differences: list, filters: list, names: list, domain: Any) -> list[dict]:
    """Integer points by search within the bounds the filters give; raises _Cannot where there are none."""
    low: dict = dict.fromkeys(names)
    high: dict = dict.fromkeys(names)
    if domain is S.PositiveIntegers:
        low = dict.fromkeys(names, 1)
    elif domain is S.NonNegativeIntegers:
        low = dict.fromkeys(names, 0)
    for f in filters:
        for a, op, b in _pairs(f):
            if a in low and isinstance(b, (int, Fraction)):
                if op in (S.Greater, S.GreaterEqual):
                    v = b.__ceil__() + (1 if op is S.Greater and b == b.__ceil__() else 0)
                    low[a] = v if low[a] is None else max(low[a], v)
                elif op in (S.Less, S.LessEqual):
                    v = b.__floor__() - (1 if op is S.Less and b == b.__floor__() else 0)
                    high[a] = v if high[a] is None else min(high[a], v)
    _implied_bounds(differences, names, low, high)
    if None in low.values() or None in high.values():
        raise _Cannot
    size = 1
    for n in names:
        size *= max(0, high[n] - low[n] + 1)
    if size > 200_000:
        raise _Cannot
    ring = Ring()
    try:
        polys = [ring.poly(d) for d in differences]
    except (NotPolynomial, ZeroDivisionError):
        return _tried(ev, differences, filters, names, low, high)
    gens = [ring.gen(n) for n in names]
    out: list[dict] = []

    def search(k: int, s: dict, left: list) -> None:
        ev.step()
        if any(p and not ring.free(p) for p in left):
            return
        if k == len(names):
            point = {n: ring.number(s[g]) for n, g in zip(names, gens)}
            if all(_truth(ev, f, point) is TRUE for f in filters):
                out.append(point)
            return
        for v in range(low[names[k]], high[names[k]] + 1):
            value = {(): v} if v else {}
            search(k + 1, {**s, gens[k]: value}, [ring.substitute(p, {gens[k]: value}) for p in left])

    search(0, {}, polys)
    return out


def _tried(ev: Any, differences: list, filters: list, names: list, low: dict, high: dict) -> list[dict]:
    """Every integer point in a box put into the conditions."""
    from itertools import product

    out = []
    tests = [*(mk(S.Equal, d, 0) for d in differences), *filters]
    for values in product(*(range(low[n], high[n] + 1) for n in names)):
        ev.step(4)
        point = dict(zip(names, values))
        if all(_truth(ev, t, point) is TRUE for t in tests):
            out.append(point)
    return out


def _implied_bounds(differences: list, names: list, low: dict, high: dict) -> None:
    """Sums of even powers equal to a number bound every variable; a positive linear form bounds non-negative ones."""
    for d in differences:
        ring = Ring()
        try:
            p = ring.poly(d)
        except (NotPolynomial, ZeroDivisionError):
            continue
        c = -p.get((), 0)
        terms = {m: k for m, k in p.items() if m}
        if any(len(m) != 1 for m in terms):
            continue
        if terms and all(k < 0 for k in terms.values()):
            terms, c = {m: -k for m, k in terms.items()}, -c
        if not all(k > 0 for k in terms.values()) or c < 0:
            continue
        for ((g, e),), k in [(m, k) for m, k in terms.items()]:
            n = ring.gens[g]
            if n not in low:
                continue
            bound = int((c / k) ** (1 / e)) + 1
            if all(x[0][1] % 2 == 0 for x in terms):
                low[n] = -bound if low[n] is None else max(low[n], -bound)
                high[n] = bound if high[n] is None else min(high[n], bound)
            elif all(low[ring.gens[h[0][0]]] is not None and low[ring.gens[h[0][0]]] >= 0
                     for h in terms if ring.gens[h[0][0]] in low):  # fmt: skip
                high[n] = bound if high[n] is None else min(high[n], bound)


def _pairs(f: Any) -> list[tuple[Any, Any, Any]]:
    flip = {S.Less: S.Greater, S.LessEqual: S.GreaterEqual, S.Greater: S.Less, S.GreaterEqual: S.LessEqual}
    out = []
    if type(f) is Expr and f.head in flip:
        for a, b in zip(f.args, f.args[1:]):
            out += [(a, f.head, b), (b, flip[f.head], a)]
    elif has_head(f, S.Inequality):
        for a, op, b in zip(f.args[::2], f.args[1::2], f.args[2::2]):
            if op in flip:
                out += [(a, op, b), (b, flip[op], a)]
    return out


def _arguments(ev: Any, args: tuple) -> tuple[Any, list, Any] | None:
    """(condition, variables, domain) of Solve-like calls."""
    what = args[0]
    rest = [a for a in args[1:] if not has_head(a, S.Rule)]
    domain = S.Complexes
    if rest and rest[-1] in _DOMAINS:
        domain = rest.pop()
    if not rest:
        names = symbols_in(what)
    else:
        names = list(rest[0].args) if is_list(rest[0]) else [rest[0]]
        names = [n.args[0] if has_head(n, S.Element) else n for n in names]
    return what, names, domain


def _with_symbols(ev: Any, what: Any, names: list) -> tuple[Any, list, dict]:
    """Variables that are no symbols (f[1], x[2]) replaced by symbols."""
    back = {}
    out = []
    for i, n in enumerate(names):
        if type(n) is Symbol:
            out.append(n)
        else:
            s = Symbol(f"\x02x{i}")
            back[s] = n
            what = _replace(what, n, s)
            out.append(s)
    return what, out, back


def _replace(e: Any, old: Any, new: Any) -> Any:
    if e == old:
        return new
    return Expr(e.head, tuple(_replace(a, old, new) for a in e.args)) if type(e) is Expr else e


def _find(ev: Any, args: tuple) -> tuple[list[dict], list] | None:
    parsed = _arguments(ev, args)
    what, names, domain = parsed
    for n in names:
        if isinstance(n, (int, float, Fraction, str)) or (type(n) is Symbol and n.builtin is not None):
            ev.message("Solve", "ivar", f"{ev.text(n)} is not a valid variable.")
            return None
    shown = names
    what, names, back = _with_symbols(ev, what, names)
    try:
        found = solutions(ev, what, names, domain)
    except (_Cannot, NotBridged):
        return None
    if any(len(s) < len(names) for s in found) and found and len(names) > 1 and any(s for s in found):
        ev.message("Solve", "svars", 'Equations may not give solutions for all "solve" variables.')
    if back:
        found = [{back.get(k, k): ev.eval(mk(S.ReplaceAll, v, lst(rule(a, b) for a, b in back.items()))) for k, v in s.items()}
                 for s in found]  # fmt: skip
    return found, shown


@builtin("Solve", arity=(1, None))
def solve(ev: Any, args: tuple) -> Any:
    found = _find(ev, args)
    if found is None:
        return None
    sets, names = found
    return lst(lst(rule(n, s[n]) for n in names if n in s) for s in sets)


@builtin("SolveValues", arity=(1, None))
def solve_values(ev: Any, args: tuple) -> Any:
    found = _find(ev, args)
    if found is None:
        return None
    sets, names = found
    many = len(args) > 1 and is_list(args[1])
    return lst(lst(s.get(n, n) for n in names) if many else s.get(names[0], names[0]) for s in sets)


def _numeric_roots(ev: Any, args: tuple) -> list[dict] | None:
    parsed = _arguments(ev, args)
    what, names, domain = parsed
    exact = _rationalized(what)
    found = _find(ev, (exact, *args[1:]))
    if found is not None and not any(contains(v, S.Root) for s in found[0] for v in s.values()):
        return [{k: ev.eval(mk(S.N, v)) for k, v in s.items()} for s in found[0]]
    if len(names) != 1 or type(names[0]) is not Symbol:
        return None
    try:
        (differences, filters), = conditions(exact)
        sp = bridge.sympy()
        b = bridge.Bridge()
        p = bridge.guarded(sp.Poly, b.to_sympy(differences[0]), b.to_sympy(names[0]))
        roots = bridge.guarded(p.nroots, n=17, maxsteps=200)
    except (ValueError, IndexError, _Cannot, NotBridged):
        return None
    if domain is S.Reals:
        roots = [r for r in roots if r.is_real]
    if filters:
        return None
    values = [ev.eval(mk(S.N, b.from_sympy(r))) for r in roots]
    return [{names[0]: v} for v in values]


@builtin("NSolve NSolveValues", arity=(1, None))
def nsolve(ev: Any, args: tuple) -> Any:
    found = _numeric_roots(ev, args)
    if found is None:
        return None
    names = _arguments(ev, args)[1]
    if all(isinstance(v, (int, float)) for s in found for v in s.values()):
        found = sorted(found, key=lambda s: [s.get(n, 0.0) for n in names])
    return lst(lst(rule(n, s[n]) for n in names if n in s) for s in found)


@builtin("Roots", arity=2)
def roots(ev: Any, args: tuple) -> Any:
    found = _find(ev, args)
    if found is None:
        return None
    out = [mk(S.Equal, args[1], s[args[1]]) for s in found[0]]
    return ev.eval(out[0] if len(out) == 1 else Expr(S.Or, tuple(out))) if out else FALSE


@builtin("Eliminate", arity=2)
def eliminate(ev: Any, args: tuple) -> Any:
    names = list(args[1].args) if is_list(args[1]) else [args[1]]
    try:
        (differences, filters), = conditions(args[0])
    except (_Cannot, ValueError):
        return None
    if filters:
        return None
    if not differences:
        return TRUE
    b = bridge.Bridge()
    sp = bridge.sympy()
    try:
        keep = [s for s in symbols_in(args[0]) if s not in names]
        gens = [b.to_sympy(n) for n in names] + [b.to_sympy(k) for k in keep]
        basis = bridge.guarded(sp.groebner, [b.to_sympy(d) for d in differences], *gens, order="lex")
        gone = {b.to_sympy(n) for n in names}
        left = [g for g in basis.exprs if not g.free_symbols & gone]
        out = [_isolated(ev, ev.eval(mk(S.Expand, b.from_sympy(g)))) for g in left]
    except NotBridged:
        return None
    if not out:
        return TRUE
    return ev.eval(out[0] if len(out) == 1 else Expr(S.And, tuple(out)))


def _isolated(ev: Any, p: Any) -> Any:
    """p == 0 with the last term's side alone, as Eliminate writes it."""
    if p == 1:
        return FALSE
    if has_head(p, S.Plus):
        number = p.args[0] if isinstance(p.args[0], (int, Fraction)) else None
        if number is not None:
            rest = Expr(S.Plus, p.args[1:]) if len(p.args) > 2 else p.args[1]
            if number > 0:
                return ev.eval(mk(S.Equal, mk(S.Expand, mk(S.Times, -1, rest)), number))
            if has_head(rest, S.Plus) and _minus(rest.args[-1]) and len(rest.args) == 2:
                return ev.eval(mk(S.Equal, mk(S.Plus, -number, mk(S.Times, -1, rest.args[-1])), rest.args[0]))
            return ev.eval(mk(S.Equal, rest, -number))
        first = Expr(S.Plus, p.args[:-1]) if len(p.args) > 2 else p.args[0]
        return ev.eval(mk(S.Equal, mk(S.Expand, mk(S.Times, -1, p.args[-1])), first)) if _minus(p.args[-1]) else ev.eval(
            mk(S.Equal, mk(S.Expand, mk(S.Times, -1, first)), p.args[-1]))  # fmt: skip
    return ev.eval(mk(S.Equal, p, 0))


def _minus(e: Any) -> bool:
    return has_head(e, S.Times) and isinstance(e.args[0], (int, Fraction)) and e.args[0] < 0


@builtin("Root", "HoldFirst", arity=(2, 3), data=True)
def root(ev: Any, args: tuple) -> Any:
    """Root[f, k] stays as it is when exact; with a decimal k (what N makes of it) it is the number."""
    f, k = args[0], args[1]
    if type(k) is not float or not has_head(f, S.Function):
        return None
    x = Symbol("\x02r")
    p = ev.eval(Expr(f, (x,)))
    b = bridge.Bridge()
    try:
        poly = bridge.guarded(bridge.sympy().Poly, b.to_sympy(p), b.to_sympy(x))
        found = bridge.guarded(poly.nroots, n=17, maxsteps=200)
    except NotBridged:
        return None
    reals = sorted((r for r in found if r.is_real), key=float)
    others = sorted((r for r in found if not r.is_real), key=lambda r: (float(bridge.sympy().re(r)), abs(float(bridge.sympy().im(r))),
                                                                       float(bridge.sympy().im(r))))  # fmt: skip
    ordered = [*reals, *others]
    return ev.eval(mk(S.N, b.from_sympy(ordered[int(k) - 1]))) if 1 <= k <= len(ordered) else None
