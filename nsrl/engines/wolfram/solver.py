"""The solver: all solutions of a condition over a domain, or Cannot. Every builtin that solves, and nsl, stands on it.

The contract is sound and complete over the stated domain: candidates come from methods that lose no solution, each is
checked by substitution, and what is not decided raises Cannot. Parameters (symbols that are not solved for) are
generic, as in the real engine.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cmp_to_key
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.bridge import NotBridged
from nsrl.engines.wolfram.complexplane import made_real, parts, real_is_meant, solve_curved, solve_plane
from nsrl.engines.wolfram.expr import COMPLEX, FALSE, TRUE, Expr, S, Symbol, has_head, is_list, mk, norm
from nsrl.engines.wolfram.order import compare, sort
from nsrl.engines.wolfram.points import (
    DOMAINS,
    INTEGERS,
    ORDER,
    REALS,
    Undefined,
    Unknown,
    difference,
    in_domain,
    rounded,
    truth,
    whole_number,
)
from nsrl.engines.wolfram.realline import Piece, by_abs, condition, members, real_line, real_valued, sign, span
from nsrl.engines.wolfram.roots import Cannot, contains, symbols
from nsrl.engines.wolfram.steps import bounds, line_with_steps, stepping
from nsrl.engines.wolfram.systems import solve_system, without_squares
from nsrl.engines.wolfram.univariate import Root, replaced, solve_one
from nsrl.engines.wolfram.wholenumbers import whole_points

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

INEQUALITIES = (*ORDER, S.Unequal, S.Inequality)
MAX_WHOLE = 10_000


def as_difference(e: Any) -> Any:
    """left - right of an equation; anything else as it is."""
    return mk(S.Plus, e.args[0], mk(S.Times, -1, e.args[1])) if has_head(e, S.Equal) and len(e.args) == 2 else e


def symbols_in(e: Any) -> list:
    """User symbols in e, in canonical order."""
    return sort(symbols(e))


def is_ordered(e: Any) -> bool:
    """Whether e holds an order relation: its variables are real then."""
    return type(e) is Expr and (e.head in (*ORDER, S.Inequality) or any(map(is_ordered, e.args)))


def conditions(e: Any) -> list[tuple[list, list]]:
    """And, Or, lists and relations as alternatives [(differences, filters), …]. Raises Cannot."""
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
                raise Cannot
        return out
    if has_head(e, S.Or):
        return [c for a in e.args for c in conditions(a)]
    if has_head(e, S.Equal):
        return _equal(e)
    if type(e) is Expr and e.head in (*INEQUALITIES, S.Element, S.Not, S.Divisible, S.CoprimeQ):
        return [([], [e])]
    raise Cannot


def _equal(e: Expr) -> list[tuple[list, list]]:
    out: list = []
    for a, b in pairwise(e.args):
        if any(map(is_list, (a, b))):
            rows = _threaded(a, b)
            if rows is None:
                return []
            for x, y in rows:
                inner = conditions(mk(S.Equal, x, y))
                if not inner:
                    return []
                out += inner[0][0]
        else:
            out.append(mk(S.Plus, a, mk(S.Times, -1, b)))
    return [(out, [])]


def _threaded(a: Any, b: Any) -> list[tuple[Any, Any]] | None:
    """Two lists, or a list and a number, by element; None for lists of different lengths."""
    if is_list(a) and is_list(b):
        return list(zip(a.args, b.args)) if len(a.args) == len(b.args) else None
    return [(x, b) for x in a.args] if is_list(a) else [(a, y) for y in b.args]


def rationalized(e: Any) -> Any:
    """e with decimals as the fractions they are written as."""
    if type(e) is float:
        return norm(Fraction(repr(e))) if e == e and abs(e) != float("inf") else e
    if type(e) is Expr:
        args = tuple(rationalized(a) for a in e.args)
        return e if all(a is b for a, b in zip(args, e.args)) else Expr(e.head, args)
    return e


def solutions(ev: Evaluator, what: Any, names: list[Symbol], domain: Any, finite: bool = False) -> list[dict]:
    """All solutions of a condition as {name: tree}, in order; a family's tree is a ConditionalExpression in C[1].

    finite: a solution that is no point (a family, an interval) raises Cannot, as anything undecided does.
    """
    exact = rationalized(what)
    try:
        found = _solutions(ev, exact, names, domain, finite)
    except (NotBridged, RecursionError) as error:
        raise Cannot from error
    if exact is not what:
        found = [{k: ev.eval(mk(S.N, v)) for k, v in s.items()} for s in found]
    return found


def _solutions(ev: Evaluator, what: Any, names: list[Symbol], domain: Any, finite: bool) -> list[dict]:
    out: list[dict] = []
    alternatives = conditions(what)
    for differences, filters in alternatives:
        domains, filters = split(filters, names, domain)
        if not differences and not filters:
            if all(d is S.Complexes for d in domains.values()):
                return [{}]
            raise Cannot
        for s in _alternative(ev, differences, filters, names, domains, finite):
            if len(alternatives) == 1 or s not in out:
                out.append(s)
    return _in_order(ev, out, names)


def split(filters: list, names: list[Symbol], domain: Any) -> tuple[dict[Symbol, Any], list]:
    """({name: its domain}, the other filters)."""
    domains, rest = dict.fromkeys(names, domain), []
    for f in filters:
        of = f.args[0] if has_head(f, S.Element) and len(f.args) == 2 and f.args[1] in DOMAINS else None
        each: tuple[Any, ...] = of.args if type(of) is Expr and of.head in (S.Alternatives, S.List) else (of,)
        if of is not None and all(n in domains for n in each):
            for n in each:
                if domains[n] not in (S.Complexes, S.Reals, f.args[1]):
                    rest.append(f)
                else:
                    domains[n] = f.args[1]
        else:
            rest.append(f)
    return domains, rest


def whole_domain(d: Any) -> bool:
    """Whether the domain is one of whole numbers."""
    return d in INTEGERS


def real_domain(d: Any) -> bool:
    """Whether the domain holds no complex numbers beyond the real ones."""
    return d is not S.Complexes


def _alternative(
    ev: Evaluator, differences: list, filters: list, names: list, domains: dict, finite: bool
) -> list[dict]:
    equations = [mk(S.Equal, d, 0) for d in differences]
    real = any(map(real_domain, domains.values())) or made_real([*equations, *filters], names)
    if real:
        differences = list(map(by_abs, differences))
    if all(d in REALS or d in INTEGERS for d in domains.values()):
        differences = [q for d in differences for q in without_squares(ev, d, names)]
    if any(d in REALS or d in INTEGERS for d in domains.values()):
        filters = [*filters, *(t for e in (*differences, *filters) for t in real_valued(e))]
    rest = [*filters, *(mk(S.Element, n, d) for n, d in domains.items() if d not in (S.Complexes, S.Reals))]
    parameters = set().union(*map(symbols, (*differences, *filters))) - set(names)
    whole = all(map(whole_domain, domains.values()))
    if whole and not parameters:
        if len(names) == 1:
            return [{names[0]: v} for v in integers_on_line(ev, differences, filters, names[0], domains[names[0]])]
        try:
            found = solve_system(ev, differences, names, True) if differences else None
        except Cannot:
            found = None
        if found is None or any(len(s) < len(names) or any(map(symbols, s.values())) for s in found):
            return whole_points(ev, differences, filters, names, domains)
    elif not differences:
        return _from_inequalities(ev, filters, names, domains, finite)
    elif len(names) == 1 and real and any(stepping(e, names[0]) for e in (*differences, *filters)):
        return _from_inequalities(ev, [*(mk(S.Equal, d, 0) for d in differences), *filters], names, domains, finite)
    elif len(names) == 1:
        found = _one(ev, differences, filters, names[0], real, parameters, finite)
    else:
        found = _several(ev, differences, filters, names, real)
    kept = [k for s in found for k in [_kept(ev, s, rest, names, real, parameters)] if k is not None]
    return [{n: _shown(v) for n, v in s.items()} for s in kept]


def _shown(v: Any) -> Any:
    """A value with logarithms as the whole number that it is."""
    if not contains(v, S.Log) or symbols(v):
        return v
    try:
        n = whole_number(v)
    except (Undefined, Unknown):
        return v
    return v if n is None else n


def _several(ev: Evaluator, differences: list, filters: list, names: list, real: bool) -> list[dict]:
    """Several unknowns. Where complex ones stand in Abs, Re, …, the other equations give points, and these are
    filtered."""
    curved = [] if real else [d for d in differences if parts(d, names)]
    if not curved:
        return solve_system(ev, differences, names, real)
    others = [d for d in differences if d not in curved]
    try:
        found = solve_system(ev, others, names, False) if others else [{}]
    except Cannot:
        found = [{}]
    if any(len(s) < len(names) or any(map(symbols, s.values())) for s in found):
        if filters:
            raise Cannot
        return solve_curved(ev, differences, names)
    return [s for s in found if all(_holds(mk(S.Equal, d, 0), s) for d in curved)]


def _one(
    ev: Evaluator, differences: list, filters: list, x: Symbol, real: bool, parameters: set, finite: bool
) -> list[dict]:
    """One unknown: the plainest equation is solved, the others are filters; families are cut to the filters' bounds."""
    differences = list(map(ev.eval, differences))
    live = [d for d in differences if contains(d, x)]
    for d in differences:
        if not contains(d, x):
            try:
                if difference(d, 0) != 0:
                    return []
            except Undefined:
                return []
            except Unknown as error:
                raise Cannot from error
    if not live:
        return _from_inequalities(ev, filters, [x], {x: S.Reals}, finite) if filters else [{}]
    found: list[Root] | None = None
    others: list[Any] = []
    curved = [] if real else [d for d in live if parts(d, [x])]
    if len(curved) == len(live) and (filters or len(live) > 1 or not real_is_meant(ev, live, [x])):
        return [{x: v} for v in solve_plane(ev, live, x)]
    for d in live if len(curved) == len(live) else [d for d in live if d not in curved]:
        try:
            found = solve_one(ev, d, x, real)
        except Cannot:
            continue
        others = [mk(S.Equal, o, 0) for o in live if o is not d]
        break
    if found is None:
        raise Cannot
    out = []
    for r in found:
        if r.period is None:
            out.append({x: r.value})
        elif filters or others or finite:
            here = tuple(f for f in filters if not symbols(f) - {x})
            low, high = span(ev, here[0] if len(here) == 1 else Expr(S.And, here), x)
            out += [{x: v} for v in members(ev, r, low, high)]
        elif r.test is not None:
            raise Cannot  # which members solve it is known between bounds only
        else:
            k = mk(S.C, 1)
            value = ev.eval(mk(S.Expand, mk(S.Plus, r.value, mk(S.Times, k, r.period))))
            out.append({x: mk(S.ConditionalExpression, value, mk(S.Element, k, S.Integers))})
    if others and parameters:
        raise Cannot
    out = [s for s in out if all(_holds(o, s) for o in others)]
    return out if all(r.period is None for r in found) else [s for i, s in enumerate(out) if s not in out[:i]]


def _holds(condition: Any, s: dict) -> bool:
    try:
        return truth(replaced(condition, s))
    except Unknown as error:
        raise Cannot from error


def _from_inequalities(ev: Evaluator, filters: list, names: list, domains: dict, finite: bool) -> list[dict]:
    """Inequalities alone: no solution, single points, or one interval."""
    if len(names) != 1:
        raise Cannot
    x = names[0]
    rest = [*filters, *(mk(S.Element, x, d) for d in domains.values() if d not in (S.Complexes, *REALS))]
    signs = {"Positive": S.Greater, "Negative": S.Less, "NonNegative": S.GreaterEqual, "NonPositive": S.LessEqual}
    rest += [mk(op, x, 0) for s, op in signs.items() if domains[x].name == s + "Reals"]
    pieces = line_with_steps(ev, rest[0] if len(rest) == 1 else Expr(S.And, tuple(rest)), x)
    if all(p.point for p in pieces):
        return [{x: p.low} for p in pieces]
    if finite or len(pieces) != 1:
        raise Cannot
    where = condition(x, pieces[0])
    return [{}] if where is TRUE else [{x: mk(S.ConditionalExpression, x, where)}]


def _kept(ev: Evaluator, s: dict, filters: list, names: list, real: bool, parameters: set) -> dict | None:
    """The solution if it passes the filters, with the filters it depends on as its condition; else None."""
    loose = set().union(*map(symbols, s.values())) if s else set()
    if any(has_head(v, S.ConditionalExpression) for v in s.values()):
        if filters:
            raise Cannot
        return s
    left: list = []
    tests = [*filters, *(mk(S.Element, n, S.Reals) for n in names if real and n in s)]
    for f in tests:
        t = replaced(f, s)
        if symbols(t):
            if has_head(f, S.Element) and f.args[1] is S.Reals and not _may_be_complex(t.args[0]):
                continue
            if has_head(t, S.Element) and symbols(t.args[0]) and not is_ordered(t):
                raise Cannot
            t = ev.eval(t)
            if t is FALSE:
                return None
            if t is not TRUE:
                left.append(t)
            continue
        try:
            if not truth(t):
                return None
        except Unknown as error:
            raise Cannot from error
    if left:
        if loose & set(names) or len(s) < len(names):
            raise Cannot
        t = ev.eval(left[0] if len(left) == 1 else Expr(S.And, tuple(left)))
        return {k: mk(S.ConditionalExpression, v, t) for k, v in s.items()}
    return s


def _may_be_complex(v: Any) -> bool:
    """Whether a value with symbols may be no real number for real ones."""
    if type(v) is not Expr:
        return False
    if (
        v.head is COMPLEX
        or (v.head is S.Power and type(v.args[1]) is not int)
        or v.head not in (S.Plus, S.Times, S.Power)
    ):
        return bool(symbols(v)) or v.head is COMPLEX or not in_domain(v, S.Reals)
    return any(map(_may_be_complex, v.args))


def integers_on_line(ev: Evaluator, differences: list, filters: list, x: Symbol, domain: Any) -> list[int]:
    """Whole numbers that satisfy conditions on one unknown. Raises Cannot where they are not finitely many."""
    live = [d for d in map(ev.eval, differences) if contains(d, x)]
    tests = [mk(S.Element, x, domain), *(mk(S.Equal, d, 0) for d in differences), *filters]

    def good(n: int) -> bool:
        try:
            return truth(Expr(S.And, tuple(replaced(t, {x: n}) for t in tests)))
        except Unknown as error:
            raise Cannot from error

    for d in live:
        try:
            found = solve_one(ev, d, x, True)
        except Cannot:
            continue
        if all(r.period is None for r in found):
            return sorted(n for n in {_whole(r.value) for r in found} if n is not None and good(n))
    for d in live:
        if (roots := _of_factorial(ev, d, x)) is not None:
            return sorted(n for n in roots if good(n))
    where = Expr(S.And, (*(mk(S.Equal, d, 0) for d in live), *filters, *bounds_of(x, domain)))
    try:
        if stepping(where, x):
            low, high = bounds(ev, where, x)
            pieces = [] if low is None else [Piece(low, True, high, True)]
        else:
            pieces = real_line(ev, where, x) if not live else None
    except (Cannot, NotBridged):
        pieces = None
    if pieces is None:
        return [p[x] for p in whole_points(ev, differences, filters, [x], {x: domain})]
    out: list[int] = []
    for p in pieces:
        out += [n for n in _whole_in(p) if n not in out[-3:] and good(n)]  # pieces are taken a little wide
    return out


def _of_factorial(ev: Evaluator, d: Any, x: Symbol) -> set[int] | None:
    """Whole x at which d = 0 where x stands in one factorial alone, of a multiple of x and a number; None for any other
    d."""
    t = Symbol("\x02t")
    calls = {c for c in _calls(d, S.Factorial) if contains(c, x)}
    u = next(iter(calls)).args[0] if len(calls) == 1 else None
    at = {} if u is None else {k: ev.eval(replaced(u, {x: k})) for k in (0, 1, 2)}
    if (
        u is None
        or contains(rest := replaced(d, {c: t for c in calls}), x)
        or not all(type(v) is int for v in at.values())
        or at[2] - at[1] != at[1] - at[0]
    ):
        return None
    try:
        values = solve_one(ev, rest, t, True)
    except Cannot:
        return None
    if any(r.period is not None for r in values):
        return None
    found: set[int] = set()
    for r in values:
        value, m, product = _whole(r.value), 0, 1
        while value is not None and product <= value:
            if product == value and at[1] != at[0] and (m - at[0]) % (at[1] - at[0]) == 0:
                found.add((m - at[0]) // (at[1] - at[0]))
            m += 1
            product *= m
    return found


def _calls(e: Any, head: Symbol) -> list[Expr]:
    if type(e) is not Expr:
        return []
    return [e] if e.head is head else [c for a in e.args for c in _calls(a, head)]


def bounds_of(x: Symbol, domain: Any) -> list:
    """What a domain of whole numbers says of the size of x, as relations."""
    return {S.PositiveIntegers: [mk(S.Greater, x, 0)], S.NonNegativeIntegers: [mk(S.GreaterEqual, x, 0)],
    S.Primes: [mk(S.Greater, x, 1)],
            S.NegativeIntegers: [mk(S.Less, x, 0)], S.NonPositiveIntegers: [mk(S.LessEqual, x, 0)]}.get(domain,
            [])  # fmt: skip


def _whole(v: Any) -> int | None:
    try:
        return whole_number(v)
    except Undefined:
        return None
    except Unknown as error:
        raise Cannot from error


def _whole_in(p: Piece) -> range:
    if p.low is None or p.high is None:
        raise Cannot
    try:
        low, high = rounded(p.low), rounded(p.high)
    except (Undefined, Unknown) as error:
        raise Cannot from error
    if high - low > MAX_WHOLE:
        raise Cannot
    return range(int(low) - 1, int(high) + 2)


# --- order


def _in_order(ev: Evaluator, found: list[dict], names: list) -> list[dict]:
    def by(a: dict, b: dict) -> int:
        return next((c for n in names if n in a and n in b for c in [_compared(a[n], b[n])] if c), 0)

    return sorted(found, key=cmp_to_key(by))


def _compared(x: Any, y: Any) -> int:
    """Numbers of the same kind by size, otherwise canonical: rationals, then the conjugate pair with the minus
    first."""
    plain = (int, Fraction, float)
    if symbols(x) or symbols(y) or any(has_head(v, h) for v in (x, y) for h in (S.Root, S.ConditionalExpression)):
        return 0
    if isinstance(x, plain) != isinstance(y, plain) and not any(_complex_inside(v) for v in (x, y)):
        return compare(x, y)
    try:
        return sign(x, y)
    except Cannot:
        pass
    try:
        a, b = difference(x, 0), difference(y, 0)
    except (Undefined, Unknown):
        return compare(x, y)
    if a.imag and b.imag and abs(a.real - b.real) < 1e-12:
        return (a.imag > b.imag) - (a.imag < b.imag)
    return compare(x, y)


def _complex_inside(e: Any) -> bool:
    return has_head(e, COMPLEX) or (type(e) is Expr and any(map(_complex_inside, e.args)))
