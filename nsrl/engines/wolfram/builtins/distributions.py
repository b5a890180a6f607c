"""Distributions: density, probability and expectation, exact where the parameters are."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.builtins.algebra import contains
from nsrl.engines.wolfram.expr import FALSE, TRUE, Expr, S, Symbol, has_head, is_list, lst, mk, norm, plus, power, times
from nsrl.engines.wolfram.points import Undefined, Unknown, difference
from nsrl.engines.wolfram.table import Builtin, symbols, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)

HALF = Fraction(1, 2)

symbols(TABLE, "NormalDistribution BinomialDistribution UniformDistribution PoissonDistribution "
"ExponentialDistribution "
               "DiscreteUniformDistribution BernoulliDistribution GeometricDistribution HypergeometricDistribution "
               "Distributed Conditioned EmpiricalDistribution")  # fmt: skip


def normal(d: Expr) -> tuple[Any, Any]:
    """Mean and standard deviation of a NormalDistribution."""
    return d.args if d.args else (0, 1)


def _uniform(d: Expr) -> tuple[Any, Any]:
    return d.args[0].args if d.args and is_list(d.args[0]) else (0, 1)


DISTRIBUTIONS = {S.NormalDistribution, S.BinomialDistribution, S.UniformDistribution, S.PoissonDistribution,
                  S.ExponentialDistribution, S.DiscreteUniformDistribution, S.BernoulliDistribution,
                  S.GeometricDistribution,
                  S.HypergeometricDistribution}  # fmt: skip
_CONTINUOUS = {S.NormalDistribution, S.UniformDistribution, S.ExponentialDistribution}


def moment(ev: Evaluator, d: Expr, which: str) -> Any:
    """The mean or the variance (`which`) of a distribution; None where it has none here."""
    h, a = d.head, d.args
    one_minus = lambda p: plus(1, times(-1, p))
    mean_of = which == "mean"
    if h is S.NormalDistribution:
        m, s = normal(d)
        out = m if mean_of else power(s, 2)
    elif h is S.BinomialDistribution:
        out = times(*a) if mean_of else times(*a, one_minus(a[1]))
    elif h is S.BernoulliDistribution:
        out = a[0] if mean_of else times(a[0], one_minus(a[0]))
    elif h is S.UniformDistribution:
        low, high = _uniform(d)
        out = times(HALF, plus(low, high)) if mean_of else times(Fraction(1, 12), power(plus(high, times(-1, low)), 2))
    elif h is S.DiscreteUniformDistribution:
        low, high = _uniform(d)
        out = times(HALF, plus(low, high)) if mean_of else times(
            Fraction(1, 12), plus(-1, power(plus(1, high, times(-1, low)), 2)))  # fmt: skip
    elif h is S.PoissonDistribution:
        out = a[0]
    elif h is S.ExponentialDistribution:
        out = power(a[0], -1) if mean_of else power(a[0], -2)
    elif h is S.GeometricDistribution:
        out = plus(-1, power(a[0], -1)) if mean_of else times(one_minus(a[0]), power(a[0], -2))
    else:
        n, k, total = a
        p = times(k, power(total, -1))
        out = (
            times(n, p) if mean_of else times(n, p, one_minus(p), plus(total, times(-1, n)), power(plus(total, -1), -1))
        )
    return ev.eval(out)


def density(d: Expr, x: Any) -> Any:
    """The PDF of a distribution at x, inside its range."""
    h, a = d.head, d.args
    minus = lambda p, q: plus(p, times(-1, q))
    if h is S.NormalDistribution:
        m, s = normal(d)
        return times(power(S.E, times(-HALF, power(minus(x, m), 2), power(s, -2))),
                      power(times(s, mk(S.Sqrt, times(2, S.Pi))), -1))  # fmt: skip
    if h is S.BinomialDistribution:
        return times(mk(S.Binomial, a[0], x), power(a[1], x), power(minus(1, a[1]), minus(a[0], x)))
    if h is S.BernoulliDistribution:
        return times(power(a[0], x), power(minus(1, a[0]), minus(1, x)))
    if h is S.UniformDistribution:
        low, high = _uniform(d)
        return power(minus(high, low), -1)
    if h is S.DiscreteUniformDistribution:
        low, high = _uniform(d)
        return power(plus(1, high, times(-1, low)), -1)
    if h is S.PoissonDistribution:
        return times(power(S.E, times(-1, a[0])), power(a[0], x), power(mk(S.Factorial, x), -1))
    if h is S.ExponentialDistribution:
        return times(a[0], power(S.E, times(-1, a[0], x)))
    if h is S.GeometricDistribution:
        return times(a[0], power(minus(1, a[0]), x))
    n, k, total = a
    return times(
        mk(S.Binomial, k, x), mk(S.Binomial, minus(total, k), minus(n, x)), power(mk(S.Binomial, total, n), -1)
    )


def _support(ev: Evaluator, d: Expr) -> tuple[Any, Any]:
    h, a = d.head, d.args
    if h is S.BinomialDistribution:
        return 0, a[0]
    if h is S.BernoulliDistribution:
        return 0, 1
    if h in (S.UniformDistribution, S.DiscreteUniformDistribution):
        return _uniform(d)
    if h is S.HypergeometricDistribution:
        return 0, ev.eval(mk(S.Min, a[0], a[1]))
    if h is S.NormalDistribution:
        return times(-1, S.Infinity), S.Infinity
    return 0, S.Infinity


@builtin("PDF CDF", arity=(1, 2))
def pdf(ev: Evaluator, args: tuple) -> Any:
    return None


def _pdf(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1 or type(args[0]) is not Expr or args[0].head not in DISTRIBUTIONS:
        return None
    d, x = args
    if d.head is S.NormalDistribution:
        return ev.eval(density(d, x))
    if not isinstance(x, (int, Fraction, float)):
        return None
    low, high = _support(ev, d)
    if ev.eval(mk(S.LessEqual, low, x, high)) is not TRUE or (d.head not in _CONTINUOUS and x != int(x)):
        return 0
    return ev.eval(density(d, x))


def _cdf(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1 or type(args[0]) is not Expr or args[0].head not in DISTRIBUTIONS:
        return None
    d, x = args
    if d.head is S.NormalDistribution:
        m, s = normal(d)
        return ev.eval(times(HALF, mk(S.Erfc, times(plus(m, times(-1, x)), power(times(mk(S.Sqrt, 2), s), -1)))))
    if not isinstance(x, (int, Fraction, float)):
        return None
    low, high = _support(ev, d)
    if ev.eval(mk(S.Less, x, low)) is TRUE:
        return 0
    if ev.eval(mk(S.GreaterEqual, x, high)) is TRUE:
        return 1
    if d.head is S.UniformDistribution:
        return ev.eval(times(plus(x, times(-1, low)), density(d, x)))
    if d.head is S.ExponentialDistribution:
        return ev.eval(plus(1, times(-1, power(S.E, times(-1, d.args[0], x)))))
    if type(low) is not int:
        return None
    k = int(x // 1)
    ev.need_length(k - low + 1)
    return ev.eval(plus(*(density(d, i) for i in range(low, k + 1))))


def quantile_of(ev: Evaluator, d: Expr, q: Any) -> Any:
    """The least k at which the CDF of a distribution of whole numbers is at least q, 0 < q < 1; None where that is not
    certain."""
    low, high = _support(ev, d)
    if d.head in _CONTINUOUS or type(low) is not int or not 0 < q < 1:
        return None
    total: Any = 0
    for k in range(low, (high if type(high) is int else low + 10_000) + 1):
        ev.step()
        total = ev.eval(plus(total, density(d, k)))
        try:
            d40 = difference(total, q)
        except (Undefined, Unknown):
            return None
        if d40.imag or (abs(d40) < 1e-12 and (type(q) is float or type(total) is float)):
            return None
        if d40.real >= 0:
            return k
    return None


TABLE["PDF"].handler, TABLE["CDF"].handler = _pdf, _cdf


@builtin("Probability NProbability", "HoldFirst", arity=2)
def probability(ev: Evaluator, args: tuple) -> Any:
    return None


def _distributed(e: Any) -> list[tuple[Symbol, Any]] | None:
    """[(x, its distribution or list of values), …] of a call to Distributed, or of a list of independent ones."""
    each = e.args if is_list(e) else (e,)
    if not each or not all(has_head(a, S.Distributed) and len(a.args) == 2 and type(a.args[0]) is Symbol for a in each):
        return None
    return [a.args for a in each] if len({a.args[0] for a in each}) == len(each) else None


def _outcomes(ev: Evaluator, pairs: list[tuple[Symbol, Any]]) -> list[tuple[dict, Any]] | None:
    """Every joint value with its weight, where there are finitely many."""
    each: list[list[tuple[Any, Any]]] = []
    for _, d in pairs:
        if is_list(d):
            each.append([(v, norm(Fraction(1, len(d.args)))) for v in d.args])
            continue
        low, high = _support(ev, d) if type(d) is Expr and d.head in DISTRIBUTIONS - _CONTINUOUS else (None, None)
        if type(low) is not int or type(high) is not int:
            return None
        ev.need_length(high - low + 1)
        each.append([(k, density(d, k)) for k in range(low, high + 1)])
    ev.need_length(prod(map(len, each)))
    names = [x for x, _ in pairs]
    return [(dict(zip(names, (v for v, _ in point))), times(*(w for _, w in point))) for point in product(*each)]


def _symbolic(ev: Evaluator, e: Any, pairs: list) -> Any:
    """e evaluated for variables without values; None where a test said "no" of one for that alone."""
    before, ev.judged = ev.judged, frozenset()
    out = ev.eval(e)
    new = ev.judged & {x for x, _ in pairs}
    ev.judged = before | (ev.judged - new)
    return None if new else out


def _here(ev: Evaluator, held: Any, point: dict) -> Any:
    """The value at a point of what was not evaluated before: MatchQ or Divisors would see a symbol."""
    return ev.eval(mk(S.Block, lst(mk(S.Set, x, v) for x, v in point.items()), held))


def _probability(ev: Evaluator, args: tuple) -> Any:
    pairs = _distributed(ev.eval(args[1]))
    if pairs is None:
        return None
    event = ev.own.get(args[0], args[0]) if type(args[0]) is Symbol else args[0]
    if has_head(event, S.Conditioned):
        both = ev.eval(mk(S.Probability, mk(S.And, *event.args), args[1]))
        given = ev.eval(mk(S.Probability, event.args[1], args[1]))
        return ev.eval(times(both, power(given, -1)))
    outcomes = _outcomes(ev, pairs)
    if outcomes is None:
        event = _symbolic(ev, event, pairs) if len(pairs) == 1 else None
        return None if event is None else _expected(ev, mk(S.Boole, event), *pairs[0], event)
    hits = [(_here(ev, args[0], point), weight) for point, weight in outcomes]
    if any(t is not TRUE and t is not FALSE for t, _ in hits):
        return None
    return ev.eval(plus(*(weight for t, weight in hits if t is TRUE)))


@builtin("Expectation NExpectation", "HoldFirst", arity=2)
def expectation(ev: Evaluator, args: tuple) -> Any:
    pairs = _distributed(ev.eval(args[1]))
    if pairs is None:
        return None
    f = ev.own.get(args[0], args[0]) if type(args[0]) is Symbol else args[0]
    if has_head(f, S.Conditioned):
        there = ev.eval(mk(S.Expectation, mk(S.Times, f.args[0], mk(S.Boole, f.args[1])), args[1]))
        return ev.eval(times(there, power(mk(S.Probability, f.args[1], args[1]), -1)))
    outcomes = _outcomes(ev, pairs)
    if outcomes is None:
        f = _symbolic(ev, args[0], pairs) if len(pairs) == 1 else None
        return None if f is None else _expected(ev, f, *pairs[0], None)
    values = [_here(ev, args[0], point) for point, _ in outcomes]
    weights = [weight for _, weight in outcomes]
    if all(w == weights[0] for w in weights):
        return ev.eval(times(weights[0], plus(*values)))
    return ev.eval(plus(*map(times, values, weights)))


def _numeric(handler: Any):
    def at(ev: Evaluator, args: tuple) -> Any:
        out = handler(ev, args)
        return None if out is None else ev.eval(mk(S.N, out))

    return at


TABLE["Probability"].handler, TABLE["NProbability"].handler = _probability, _numeric(_probability)
TABLE["NExpectation"].handler = _numeric(expectation)


def _expected(ev: Evaluator, f: Any, x: Any, d: Any, event: Any) -> Any:
    """The expectation of f(x): a finite sum, a closed sum, or an integral over the event's intervals."""
    if type(d) is not Expr or d.head not in DISTRIBUTIONS:
        return None
    low, high = _support(ev, d)
    if d.head in _CONTINUOUS:
        if event is None:
            out = ev.eval(mk(S.Integrate, times(f, density(d, x)), lst((x, low, high))))
            return None if contains(out, S.Integrate) else out
        from nsrl.engines.wolfram.realline import real_line
        from nsrl.engines.wolfram.roots import Cannot

        try:
            pieces = real_line(ev, event, x)
        except Cannot:
            return None
        terms = []
        for a, _, b, _ in pieces:
            top = 1 if b is None else _cdf(ev, (d, b))
            bottom = 0 if a is None else _cdf(ev, (d, a))
            if top is None or bottom is None:
                return None
            terms.append(plus(top, times(-1, bottom)))
        return ev.eval(mk(S.Simplify, plus(*terms))) if terms else 0
    if d.head is S.DiscreteUniformDistribution:
        return None  # its ends are no numbers: which values it takes is not known
    if event is not None:
        below = ev.eval(mk(S.Reduce, mk(S.And, event, mk(S.GreaterEqual, x, 0)), x, S.Integers))
        hits = _listed(below, x)
        if hits is not None:
            return ev.eval(plus(*(density(d, k) for k in hits)))
        other = _listed(ev.eval(mk(S.Reduce, mk(S.And, mk(S.Not, event), mk(S.GreaterEqual, x, 0)), x, S.Integers)), x)
        if other is not None:
            return ev.eval(plus(1, *[times(-1, density(d, k)) for k in other]))
        return None
    out = ev.eval(mk(S.Sum, times(f, density(d, x)), lst((x, low, high))))
    return None if contains(out, S.Sum) else out


def _listed(e: Any, x: Any) -> list[int] | None:
    """The numbers of x == 1 || x == 2 …"""
    if e is FALSE:
        return []
    parts = e.args if has_head(e, S.Or) else (e,)
    if all(has_head(p, S.Equal) and p.args[0] is x and type(p.args[1]) is int for p in parts):
        return [p.args[1] for p in parts]
    return None
