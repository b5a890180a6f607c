"""Reduce and FindInstance: what a condition says of its variables, or one of the points at which it holds."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.bridge import NotBridged
from nsrl.engines.wolfram.builtins.extrema import extremum
from nsrl.engines.wolfram.builtins.solve import arguments
from nsrl.engines.wolfram.complexplane import made_real, parts
from nsrl.engines.wolfram.expr import FALSE, TRUE, Expr, S, Symbol, has_head, lst, mk, norm, rule
from nsrl.engines.wolfram.points import ORDER, REALS, Unknown, truth
from nsrl.engines.wolfram.realline import Piece, as_float, between, condition, real_valued, sign
from nsrl.engines.wolfram.roots import Cannot, coefficients, symbols
from nsrl.engines.wolfram.solver import (
    conditions,
    integers_on_line,
    rationalized,
    solutions,
    split,
    symbols_in,
    whole_domain,
)
from nsrl.engines.wolfram.steps import line_with_steps
from nsrl.engines.wolfram.table import Builtin, table
from nsrl.engines.wolfram.univariate import replaced

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)


def _conjoined(ev: Evaluator, what: Any) -> Any:
    return ev.eval(Expr(S.And, what.args)) if has_head(what, S.List) else what


@builtin("Reduce", arity=(1, None))
def reduce(ev: Evaluator, args: tuple) -> Any:
    parsed = arguments(ev, args)
    if parsed is None or parsed[3]:
        return None
    what, names, domain, _ = parsed
    what = rationalized(_conjoined(ev, what))
    if what in (TRUE, FALSE):
        return what
    try:
        parameters = [s for s in symbols_in(what) if s not in names]
        if len(names) == 1:
            x = names[0]
            if whole_domain(domain):
                return _whole(ev, what, x, domain)
            if domain in REALS or made_real([what], names):
                return (
                    _parametric(ev, what, x)
                    if parameters
                    else _either([condition(x, p) for p in _pieces(ev, what, x, domain)])
                )
            if parameters:
                return _cases(ev, what, x)
        elif parameters:
            return None
        found = solutions(ev, what, names, domain)
        if len(found) > 1 and any(len(s) < len(names) for s in found):
            return None
        return _either([_written(s, names) for s in found])
    except (Cannot, NotBridged):
        return None


def _pieces(ev: Evaluator, what: Any, x: Symbol, domain: Any) -> list[Piece]:
    """The real line's pieces; conjuncts that say only where x lives become relations."""
    signs = {
        S.PositiveReals: S.Greater,
        S.NonNegativeReals: S.GreaterEqual,
        S.NegativeReals: S.Less,
        S.NonPositiveReals: S.LessEqual,
    }
    more = [mk(signs[domain], x, 0)] if domain in signs else []
    more += real_valued(what) if domain in REALS else []
    return line_with_steps(ev, mk(S.And, what, *more), x)


def _either(parts: list[Any]) -> Any:
    if not parts:
        return FALSE
    return parts[0] if len(parts) == 1 else Expr(S.Or, tuple(parts))


def _written(s: dict, names: list) -> Any:
    """A solution as a conjunction; the condition of a family first."""
    parts: list[Any] = []
    for n in names:
        v = s.get(n)
        if has_head(v, S.ConditionalExpression):
            if v.args[1] not in parts:
                parts.insert(0, v.args[1])
            v = v.args[0]
        if v is not None and v is not n:
            parts.append(mk(S.Equal, n, v))
    return TRUE if not parts else parts[0] if len(parts) == 1 else Expr(S.And, tuple(parts))


def _cases(ev: Evaluator, what: Any, x: Symbol) -> Any:
    """A polynomial equation of degree 1 or 2 in x with parameters: every case of its leading coefficients."""
    if not has_head(what, S.Equal) or len(what.args) != 2:
        raise Cannot
    e = ev.eval(mk(S.Expand, mk(S.Plus, what.args[0], mk(S.Times, -1, what.args[1]))))
    c = coefficients(ev, e, x)
    if c is None or not 1 <= max(c, default=0) <= 2:
        raise Cannot

    def below(n: int, zero: list[Any]) -> list[Any]:
        a = c.get(n, 0)
        if n == 0:
            vanishing = [ev.eval(mk(S.Equal, _unsigned(ev, a), 0)), *zero]
            return [] if FALSE in vanishing else [_and([v for v in vanishing if v is not TRUE])]
        rest: list[Any] = []
        if symbols(a) or a == 0:
            rest = below(n - 1, [mk(S.Equal, a, 0), *zero] if a != 0 else zero)
        if a == 0:
            return rest
        p = Expr(S.Plus, tuple(mk(S.Times, c[k], mk(S.Power, x, k)) for k in c if k <= n))
        nonzero = [mk(S.Unequal, a, 0)] if symbols(a) else []
        found = solutions(ev, mk(S.Equal, ev.eval(p), 0), [x], S.Complexes)
        if not symbols(a) and any(has_head(v, S.ConditionalExpression) for s in found for v in s.values()):
            raise Cannot
        values = list(dict.fromkeys(s[x] for s in found))
        return [*rest, *(_and([*zero, *nonzero, mk(S.Equal, x, v)]) for v in values)]

    return _either(below(max(c), []))


def _unsigned(ev: Evaluator, a: Any) -> Any:
    """-b as b: what is compared with 0 has no sign."""
    return ev.eval(mk(S.Times, -1, a)) if has_head(a, S.Times) and a.args[0] == -1 else a


def _and(parts: list[Any]) -> Any:
    return TRUE if not parts else parts[0] if len(parts) == 1 else Expr(S.And, tuple(parts))


def _parametric(ev: Evaluator, what: Any, x: Symbol) -> Any:
    """x + a > b: linear in x with a numeric coefficient."""
    flip = {
        S.Less: S.Greater,
        S.LessEqual: S.GreaterEqual,
        S.Greater: S.Less,
        S.GreaterEqual: S.LessEqual,
        S.Equal: S.Equal,
        S.Unequal: S.Unequal,
    }
    if type(what) is not Expr or what.head not in flip or len(what.args) != 2:
        raise Cannot
    c = coefficients(ev, ev.eval(mk(S.Expand, mk(S.Plus, what.args[0], mk(S.Times, -1, what.args[1])))), x)
    if c is None or max(c, default=0) != 1 or symbols(c[1]):
        raise Cannot
    head = what.head if sign(c[1], 0) > 0 else flip[what.head]
    return Expr(head, (x, ev.eval(mk(S.Expand, mk(S.Times, -1, c.get(0, 0), mk(S.Power, c[1], -1))))))


def _whole(ev: Evaluator, what: Any, x: Symbol, domain: Any) -> Any:
    try:
        found: list[int] = []
        for differences, filters in conditions(what):
            domains, filters = split(filters, [x], domain)
            filters += [t for e in (*differences, *filters) for t in real_valued(e)]
            found += integers_on_line(ev, differences, filters, x, domains[x])
        return _either([mk(S.Equal, x, n) for n in sorted(set(found))])
    except Cannot:
        if domain is not S.Integers:
            raise
    pieces = _pieces(ev, what, x, S.Reals)
    if len(pieces) != 1 or (pieces[0].low is None) == (pieces[0].high is None):
        if len(pieces) == 1 and pieces[0].low is None:
            return mk(S.Element, x, S.Integers)
        raise Cannot
    p = pieces[0]
    edge = int(as_float(p.low if p.high is None else p.high) // 1)
    near = [n for n in range(edge - 2, edge + 4) if truth(replaced(what, {x: n}))]
    bound = mk(S.GreaterEqual, x, near[0]) if p.high is None else mk(S.LessEqual, x, near[-1])
    return mk(S.And, mk(S.Element, x, S.Integers), bound)


MOST_INSTANCES = 100


@builtin("FindInstance", arity=(2, None))
def find_instance(ev: Evaluator, args: tuple) -> Any:
    rest = [a for a in args if not has_head(a, S.Rule)]
    count = rest.pop() if len(rest) > 2 and type(rest[-1]) is int else 1
    if not 0 < count <= MOST_INSTANCES:
        return None
    parsed = arguments(ev, tuple(rest))
    if parsed is None or parsed[3]:
        return None
    what, names, domain, _ = parsed
    what = rationalized(_conjoined(ev, what))
    if what is FALSE:
        return lst(())
    if set(symbols_in(what)) - set(names):
        return None
    try:
        found = _instances(ev, what, names, domain, count)
    except (Cannot, NotBridged):
        found = _tried(ev, what, names, domain)
        if len(found) < count and not whole_domain(domain):
            found = _fixed(ev, what, names, domain)
        if len(found) < count:
            best = _extreme(ev, what, names, domain)
            if best is None or len(best) not in (0, count):
                return None
            found = best
    return lst(lst(rule(k, s[k]) for k in names) for s in found[:count])


def _instances(ev: Evaluator, what: Any, names: list[Symbol], domain: Any, count: int = 1) -> list[dict]:
    """Solutions, or so many points of each interval: all there are, or at least so many. Raises Cannot."""
    if len(names) == 1 and (made_real([what], names) or what is TRUE) and (domain in REALS or domain is S.Complexes):
        pieces = _pieces(ev, what, names[0], domain)
        return [{names[0]: v} for p in pieces for v in ([p.low] if p.point else _inside(p.low, p.high, count))]
    found = solutions(ev, what, names, domain, finite=False)
    out = []
    for s in found:
        if any(has_head(v, S.ConditionalExpression) for v in s.values()):
            if count > 1:
                raise Cannot
            s = {
                n: ev.eval(replaced(v.args[0], {mk(S.C, 1): 0})) if has_head(v, S.ConditionalExpression) else v
                for n, v in s.items()
            }
        if len(s) < len(names) or any(map(symbols, s.values())):
            raise Cannot
        out.append(s)
    return out


def _inside(low: Any, high: Any, count: int) -> list[Any]:
    """So many numbers strictly between two, each below the one before."""
    out = []
    for _ in range(min(count, MOST_INSTANCES)):
        high = norm(between(low, high))
        out.append(high)
    return out


def _fixed(ev: Evaluator, what: Any, names: list[Symbol], domain: Any) -> list[dict]:
    """The last variable set to small numbers, and an instance of the others."""
    for k in (0, 1, -1, 2, -2, Fraction(1, 2), Fraction(-1, 2), 3, -3) if len(names) == 2 else ():
        try:
            found = _instances(ev, ev.eval(replaced(what, {names[-1]: k})), names[:-1], domain)
        except Cannot:
            continue
        if found:
            return [{**s, names[-1]: k} for s in found]
    return []


def _extreme(ev: Evaluator, what: Any, names: list[Symbol], domain: Any) -> list[dict] | None:
    """Where one of several inequalities holds best while the others hold: [] if it does not even there."""
    if domain not in (S.Reals, S.Complexes) or (
        domain is S.Complexes and any(p.head is not S.Abs for p in parts(what, names))
    ):
        return None
    each = what.args if has_head(what, S.And) else (what,)
    for p in each:
        if type(p) is not Expr or p.head not in ORDER or len(p.args) != 2:
            continue
        small, big = p.args if p.head in (S.Less, S.LessEqual) else reversed(p.args)
        try:
            best = extremum(
                ev, ev.eval(mk(S.Plus, small, mk(S.Times, -1, big))), _and([q for q in each if q is not p]), names, 1
            )
            if sign(best.value, 0) > 0 or (
                sign(best.value, 0) == 0 and (p.head in (S.Less, S.Greater) or not best.attained)
            ):
                return []
            if best.attained:
                return [{n: best.point.get(n, 0) for n in names}]
        except (Cannot, NotBridged):
            continue
    return None


def _tried(ev: Evaluator, what: Any, names: list[Symbol], domain: Any) -> list[dict]:
    """Small whole points, nearest to the origin first: what satisfies the condition is an instance, how it was
    found."""
    out: list[dict] = []
    if len(names) > 3:
        return out
    size = {1: 60, 2: 12, 3: 5}[len(names)]
    more = real_valued(what) if domain in REALS or whole_domain(domain) else []
    tests = Expr(S.And, (what, *more, *(mk(S.Element, n, domain) for n in names)))
    for values in sorted(
        product(range(-size, size + 1), repeat=len(names)), key=lambda p: (sum(map(abs, p)), [-v for v in p])
    ):
        ev.step()
        point = dict(zip(names, values))
        try:
            if truth(replaced(tests, point)):
                out.append(point)
                if len(out) >= 20:
                    break
        except Unknown:
            return []
    return out
