"""Statistics, probability of common distributions, fits, units, shortest paths.

Lists are exact where the data are. Knows nothing of algebra beyond what the evaluator gives.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import prod
from typing import Any

from nsrl.engines.wolfram.assoc import is_assoc
from nsrl.engines.wolfram.builtins.algebra import contains
from nsrl.engines.wolfram.builtins.linalg import matrix, reduced, rows, vector
from nsrl.engines.wolfram.evaluator import Defs, sub_handler
from nsrl.engines.wolfram.expr import FALSE, TRUE, Expr, S, Symbol, has_head, is_list, lst, mk, norm, rule
from nsrl.engines.wolfram.table import Builtin, symbols, table

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)

HALF = Fraction(1, 2)

symbols(TABLE, "NormalDistribution BinomialDistribution UniformDistribution PoissonDistribution ExponentialDistribution "
               "DiscreteUniformDistribution BernoulliDistribution GeometricDistribution HypergeometricDistribution "
               "Distributed Conditioned FittedModel QuantityVariable EmpiricalDistribution")  # fmt: skip


def _plus(items: Any) -> Expr:
    return Expr(S.Plus, tuple(items))


def _times(*a: Any) -> Expr:
    return Expr(S.Times, a)


def _power(a: Any, n: Any) -> Expr:
    return mk(S.Power, a, n)


def _values(ev: Any, e: Any, name: str) -> list[Any] | None:
    """The data of a list or association; a message where they are none."""
    if is_assoc(e):
        return [r.args[1] for r in e.args]
    if is_list(e) and e.args:
        return list(e.args)
    if is_list(e):
        ev.message(name, "empt", "Argument {} should be a nonempty list.")
    return None


def _columns(ev: Any, name: str, e: Any) -> Any:
    """name applied to every column of a matrix, or None where e is no matrix."""
    m = rows(e)
    return None if m is None else ev.eval(lst(mk(getattr(S, name), lst(c)) for c in zip(*m)))


def mean(ev: Any, v: list[Any]) -> Any:
    if len(v) < 2:
        return ev.eval(v[0])
    total = ev.eval(_plus(v))
    return total / len(v) if type(total) is float else ev.eval(_times(Fraction(1, len(v)), total))


@builtin("Mean", arity=1)
def mean_(ev: Any, args: tuple) -> Any:
    if type(args[0]) is Expr and args[0].head in _DISTRIBUTIONS:
        return _moment(ev, args[0], "mean")
    v = _values(ev, args[0], "Mean")
    return None if v is None else mean(ev, v)


@builtin("Median", arity=1)
def median(ev: Any, args: tuple) -> Any:
    if rows(args[0]) is not None:
        return _columns(ev, "Median", args[0])
    if type(args[0]) is Expr and args[0].head is S.NormalDistribution:
        return args[0].args[0] if args[0].args else 0
    v = _values(ev, args[0], "Median")
    s = _sorted(ev, v)
    if s is None:
        return None
    n = len(s)
    return s[n // 2] if n % 2 else ev.eval(_times(HALF, _plus((s[n // 2 - 1], s[n // 2]))))


def _sorted(ev: Any, v: list[Any] | None) -> list[Any] | None:
    """Numeric values by size; None where one has no numeric value."""
    if v is None:
        return None
    if all(isinstance(x, (int, Fraction, float)) for x in v):
        return sorted(v)
    sizes = [ev.eval(mk(S.N, x)) for x in v]
    if not all(isinstance(x, (int, float, Fraction)) for x in sizes):
        return None
    return [v[i] for i in sorted(range(len(v)), key=lambda i: sizes[i])]


@builtin("Variance", arity=1)
def variance(ev: Any, args: tuple) -> Any:
    if rows(args[0]) is not None:
        return _columns(ev, "Variance", args[0])
    if type(args[0]) is Expr and args[0].head in _DISTRIBUTIONS:
        return _moment(ev, args[0], "variance")
    v = _values(ev, args[0], "Variance")
    if v is None:
        return None
    if len(v) < 2:
        ev.message("Variance", "shlen", f"The argument {ev.text(args[0])} should have at least two elements.")
        return None
    return _variance(ev, v, len(v) - 1)


def _variance(ev: Any, v: list[Any], n: int) -> Any:
    m = mean(ev, v)
    numeric = all(isinstance(x, (int, Fraction, float)) for x in v)
    square = (lambda d: _power(d, 2)) if numeric else (lambda d: _times(d, mk(S.Conjugate, d)))
    return ev.eval(_times(Fraction(1, n), _plus(square(_plus((x, _times(-1, m)))) for x in v)))


@builtin("StandardDeviation", arity=1)
def standard_deviation(ev: Any, args: tuple) -> Any:
    if rows(args[0]) is not None:
        return _columns(ev, "StandardDeviation", args[0])
    if type(args[0]) is Expr and args[0].head is S.NormalDistribution:
        return _normal(args[0])[1]
    v = variance(ev, args)
    return None if v is None else ev.eval(mk(S.Sqrt, v))


@builtin("Commonest", arity=(1, 2))
def commonest(ev: Any, args: tuple) -> Any:
    v = _values(ev, args[0], "Commonest")
    if v is None:
        return None
    counts: dict[Any, list] = {}
    for x in v:
        counts.setdefault((type(x), x), [x, 0])[1] += 1
    items = list(counts.values())
    if len(args) == 2:
        if type(args[1]) is not int:
            return None
        order = sorted(range(len(items)), key=lambda i: (-items[i][1], i))[: args[1]]
        return lst(items[i][0] for i in sorted(order))
    top = max(n for _, n in items)
    return lst(x for x, n in items if n == top)


@builtin("Quantile", arity=(2, 3))
def quantile(ev: Any, args: tuple) -> Any:
    if is_list(args[1]):
        return ev.eval(lst(Expr(S.Quantile, (args[0], q, *args[2:])) for q in args[1].args))
    s = _sorted(ev, _values(ev, args[0], "Quantile"))
    q = args[1]
    if s is None or not isinstance(q, (int, Fraction, float)) or not 0 <= q <= 1:
        return None
    a, b, c, d = (0, 0, 1, 0)
    if len(args) == 3 and rows(args[2]) is not None:
        (a, b), (c, d) = rows(args[2])
    return _quantile(ev, s, q, a, b, c, d)


def _quantile(ev: Any, s: list[Any], q: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    """The quantile of sorted data under the parameters {{a, b}, {c, d}} of the documentation."""
    n = len(s)
    r = a + (n + b) * q
    lower = min(max(r.__floor__(), 1), n)
    upper = min(max(r.__ceil__(), 1), n)
    x, y = s[lower - 1], s[upper - 1]
    part = r - r.__floor__()
    weight = c + d * part
    return ev.eval(_plus((x, _times(norm(weight) if isinstance(weight, Fraction) else weight, _plus((y, _times(-1, x)))))))


@builtin("Quartiles", arity=(1, 2))
def quartiles(ev: Any, args: tuple) -> Any:
    s = _sorted(ev, _values(ev, args[0], "Quartiles"))
    if s is None:
        return None
    return lst(_quantile(ev, s, Fraction(k, 4), HALF, 0, 0, 1) for k in (1, 2, 3))


@builtin("InterquartileRange", arity=(1, 2))
def interquartile_range(ev: Any, args: tuple) -> Any:
    q = quartiles(ev, args)
    return None if q is None else ev.eval(_plus((q.args[2], _times(-1, q.args[0]))))


@builtin("GeometricMean", arity=1)
def geometric_mean(ev: Any, args: tuple) -> Any:
    v = _values(ev, args[0], "GeometricMean")
    return None if v is None else ev.eval(_power(Expr(S.Times, tuple(v)), Fraction(1, len(v)) if len(v) > 1 else 1))


@builtin("HarmonicMean", arity=1)
def harmonic_mean(ev: Any, args: tuple) -> Any:
    v = _values(ev, args[0], "HarmonicMean")
    return None if v is None else ev.eval(_times(len(v), _power(_plus(_power(x, -1) for x in v), -1)))


@builtin("RootMeanSquare", arity=1)
def root_mean_square(ev: Any, args: tuple) -> Any:
    v = _values(ev, args[0], "RootMeanSquare")
    return None if v is None else ev.eval(mk(S.Sqrt, _times(Fraction(1, len(v)), _plus(_power(x, 2) for x in v))))


@builtin("MeanDeviation MedianDeviation", arity=1)
def mean_deviation(ev: Any, args: tuple) -> Any:
    return None


def _deviation(centre: Any, head: Any):
    def handler(ev: Any, args: tuple) -> Any:
        v = _values(ev, args[0], head.name)
        if v is None:
            return None
        m = ev.eval(mk(centre, args[0]))
        return ev.eval(mk(centre, lst(mk(S.Abs, _plus((x, _times(-1, m)))) for x in v)))

    return handler


TABLE["MeanDeviation"].handler = _deviation(S.Mean, S.MeanDeviation)
TABLE["MedianDeviation"].handler = _deviation(S.Median, S.MedianDeviation)


@builtin("CentralMoment Moment", arity=2)
def central_moment(ev: Any, args: tuple) -> Any:
    return None


def _about(central: bool):
    def handler(ev: Any, args: tuple) -> Any:
        v = _values(ev, args[0], "Moment")
        if v is None or not is_list(args[0]):
            return None
        m = mean(ev, v) if central else 0
        return ev.eval(_times(Fraction(1, len(v)), _plus(_power(_plus((x, _times(-1, m))), args[1]) for x in v)))

    return handler


TABLE["CentralMoment"].handler, TABLE["Moment"].handler = _about(True), _about(False)


@builtin("Skewness", arity=1)
def skewness(ev: Any, args: tuple) -> Any:
    if not is_list(args[0]):
        return None
    two, three = (ev.eval(mk(S.CentralMoment, args[0], k)) for k in (2, 3))
    return ev.eval(_times(three, _power(two, Fraction(-3, 2))))


@builtin("Kurtosis", arity=1)
def kurtosis(ev: Any, args: tuple) -> Any:
    if not is_list(args[0]):
        return None
    two, four = (ev.eval(mk(S.CentralMoment, args[0], k)) for k in (2, 4))
    return ev.eval(_times(four, _power(two, -2)))


@builtin("Covariance", arity=(1, 2))
def covariance(ev: Any, args: tuple) -> Any:
    if len(args) == 1:
        m = rows(args[0])
        if m is None:
            return None
        columns = [list(c) for c in zip(*m)]
        return matrix([[_covariance(ev, a, b) for b in columns] for a in columns])
    u, v = vector(args[0]), vector(args[1])
    return None if u is None or v is None or len(u) != len(v) or len(u) < 2 else _covariance(ev, u, v)


def _covariance(ev: Any, u: list[Any], v: list[Any]) -> Any:
    a, b = mean(ev, u), mean(ev, v)
    return ev.eval(_times(Fraction(1, len(u) - 1), _plus(
        _times(_plus((x, _times(-1, a))), _plus((y, _times(-1, b)))) for x, y in zip(u, v))))  # fmt: skip


@builtin("Correlation", arity=(1, 2))
def correlation(ev: Any, args: tuple) -> Any:
    if len(args) == 1:
        m = rows(args[0])
        if m is None:
            return None
        columns = [lst(c) for c in zip(*m)]
        return matrix([[1 if a is b else correlation(ev, (a, b)) for b in columns] for a in columns])
    c = covariance(ev, args)
    return None if c is None else ev.eval(_times(c, _power(mk(S.StandardDeviation, args[0]), -1),
                                                 _power(mk(S.StandardDeviation, args[1]), -1)))  # fmt: skip


@builtin("Standardize", arity=1)
def standardize(ev: Any, args: tuple) -> Any:
    if not is_list(args[0]):
        return None
    m, s = ev.eval(mk(S.Mean, args[0])), ev.eval(mk(S.StandardDeviation, args[0]))
    return ev.eval(_times(_plus((args[0], _times(-1, m))), _power(s, -1)))


@builtin("TrimmedMean", arity=(1, 2))
def trimmed_mean(ev: Any, args: tuple) -> Any:
    s = _sorted(ev, _values(ev, args[0], "TrimmedMean"))
    f = args[1] if len(args) == 2 else Fraction(1, 20)
    if s is None or not isinstance(f, (int, Fraction, float)) or not 0 <= f < HALF:
        return None
    k = int(f * len(s))
    return mean(ev, s[k : len(s) - k])


@builtin("MovingAverage", arity=2)
def moving_average(ev: Any, args: tuple) -> Any:
    v, n = vector(args[0]), args[1]
    if v is None or type(n) is not int or not 0 < n <= len(v):
        return None
    return ev.eval(lst(_times(Fraction(1, n) if n > 1 else 1, _plus(v[i : i + n])) for i in range(len(v) - n + 1)))


# --- distributions


def _normal(d: Expr) -> tuple[Any, Any]:
    return d.args if d.args else (0, 1)


def _uniform(d: Expr) -> tuple[Any, Any]:
    return d.args[0].args if d.args and is_list(d.args[0]) else (0, 1)


_DISTRIBUTIONS = {S.NormalDistribution, S.BinomialDistribution, S.UniformDistribution, S.PoissonDistribution,
                  S.ExponentialDistribution, S.DiscreteUniformDistribution, S.BernoulliDistribution, S.GeometricDistribution,
                  S.HypergeometricDistribution}  # fmt: skip
_CONTINUOUS = {S.NormalDistribution, S.UniformDistribution, S.ExponentialDistribution}


def _moment(ev: Any, d: Expr, which: str) -> Any:
    h, a = d.head, d.args
    one_minus = lambda p: _plus((1, _times(-1, p)))
    mean_of = which == "mean"
    if h is S.NormalDistribution:
        m, s = _normal(d)
        out = m if mean_of else _power(s, 2)
    elif h is S.BinomialDistribution:
        out = _times(*a) if mean_of else _times(*a, one_minus(a[1]))
    elif h is S.BernoulliDistribution:
        out = a[0] if mean_of else _times(a[0], one_minus(a[0]))
    elif h is S.UniformDistribution:
        low, high = _uniform(d)
        out = _times(HALF, _plus((low, high))) if mean_of else _times(Fraction(1, 12), _power(_plus((high, _times(-1, low))), 2))
    elif h is S.DiscreteUniformDistribution:
        low, high = _uniform(d)
        out = _times(HALF, _plus((low, high))) if mean_of else _times(
            Fraction(1, 12), _plus((-1, _power(_plus((1, high, _times(-1, low))), 2))))  # fmt: skip
    elif h is S.PoissonDistribution:
        out = a[0]
    elif h is S.ExponentialDistribution:
        out = _power(a[0], -1) if mean_of else _power(a[0], -2)
    elif h is S.GeometricDistribution:
        out = _plus((-1, _power(a[0], -1))) if mean_of else _times(one_minus(a[0]), _power(a[0], -2))
    else:
        n, k, total = a
        p = _times(k, _power(total, -1))
        out = _times(n, p) if mean_of else _times(n, p, one_minus(p), _plus((total, _times(-1, n))), _power(_plus((total, -1)), -1))
    return ev.eval(out)


def density(d: Expr, x: Any) -> Any:
    """The PDF of a distribution at x, inside its range."""
    h, a = d.head, d.args
    minus = lambda p, q: _plus((p, _times(-1, q)))
    if h is S.NormalDistribution:
        m, s = _normal(d)
        return _times(_power(S.E, _times(-HALF, _power(minus(x, m), 2), _power(s, -2))),
                      _power(_times(s, mk(S.Sqrt, _times(2, S.Pi))), -1))  # fmt: skip
    if h is S.BinomialDistribution:
        return _times(mk(S.Binomial, a[0], x), _power(a[1], x), _power(minus(1, a[1]), minus(a[0], x)))
    if h is S.BernoulliDistribution:
        return _times(_power(a[0], x), _power(minus(1, a[0]), minus(1, x)))
    if h is S.UniformDistribution:
        low, high = _uniform(d)
        return _power(minus(high, low), -1)
    if h is S.DiscreteUniformDistribution:
        low, high = _uniform(d)
        return _power(_plus((1, high, _times(-1, low))), -1)
    if h is S.PoissonDistribution:
        return _times(_power(S.E, _times(-1, a[0])), _power(a[0], x), _power(mk(S.Factorial, x), -1))
    if h is S.ExponentialDistribution:
        return _times(a[0], _power(S.E, _times(-1, a[0], x)))
    if h is S.GeometricDistribution:
        return _times(a[0], _power(minus(1, a[0]), x))
    n, k, total = a
    return _times(mk(S.Binomial, k, x), mk(S.Binomial, minus(total, k), minus(n, x)), _power(mk(S.Binomial, total, n), -1))


def _support(ev: Any, d: Expr) -> tuple[Any, Any]:
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
        return _times(-1, S.Infinity), S.Infinity
    return 0, S.Infinity


@builtin("PDF CDF", arity=(1, 2))
def pdf(ev: Any, args: tuple) -> Any:
    return None


def _pdf(ev: Any, args: tuple) -> Any:
    if len(args) == 1 or type(args[0]) is not Expr or args[0].head not in _DISTRIBUTIONS:
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


def _cdf(ev: Any, args: tuple) -> Any:
    if len(args) == 1 or type(args[0]) is not Expr or args[0].head not in _DISTRIBUTIONS:
        return None
    d, x = args
    if d.head is S.NormalDistribution:
        m, s = _normal(d)
        return ev.eval(_times(HALF, mk(S.Erfc, _times(_plus((m, _times(-1, x))), _power(_times(mk(S.Sqrt, 2), s), -1)))))
    if not isinstance(x, (int, Fraction, float)):
        return None
    low, high = _support(ev, d)
    if ev.eval(mk(S.Less, x, low)) is TRUE:
        return 0
    if ev.eval(mk(S.GreaterEqual, x, high)) is TRUE:
        return 1
    if d.head is S.UniformDistribution:
        return ev.eval(_times(_plus((x, _times(-1, low))), density(d, x)))
    if d.head is S.ExponentialDistribution:
        return ev.eval(_plus((1, _times(-1, _power(S.E, _times(-1, d.args[0], x))))))
    if type(low) is not int:
        return None
    k = int(x // 1)
    ev.need_length(k - low + 1)
    return ev.eval(_plus(density(d, i) for i in range(low, k + 1)))


TABLE["PDF"].handler, TABLE["CDF"].handler = _pdf, _cdf


@builtin("Probability NProbability", "HoldFirst", arity=2)
def probability(ev: Any, args: tuple) -> Any:
    return None


def _distributed(e: Any) -> list[tuple[Symbol, Any]] | None:
    """[(x, its distribution or list of values), …] of a call to Distributed, or of a list of independent ones."""
    each = e.args if is_list(e) else (e,)
    if not each or not all(has_head(a, S.Distributed) and len(a.args) == 2 and type(a.args[0]) is Symbol for a in each):
        return None
    return [a.args for a in each] if len({a.args[0] for a in each}) == len(each) else None


def _outcomes(ev: Any, pairs: list[tuple[Symbol, Any]]) -> list[tuple[dict, Any]] | None:
    """Every joint value with its weight, where there are finitely many."""
    each: list[list[tuple[Any, Any]]] = []
    for _, d in pairs:
        if is_list(d):
            each.append([(v, norm(Fraction(1, len(d.args)))) for v in d.args])
            continue
        low, high = _support(ev, d) if type(d) is Expr and d.head in _DISTRIBUTIONS - _CONTINUOUS else (None, None)
        if type(low) is not int or type(high) is not int:
            return None
        ev.need_length(high - low + 1)
        each.append([(k, density(d, k)) for k in range(low, high + 1)])
    ev.need_length(prod(map(len, each)))
    names = [x for x, _ in pairs]
    return [(dict(zip(names, (v for v, _ in point))), _times(*(w for _, w in point))) for point in product(*each)]


def _symbolic(ev: Any, e: Any, pairs: list) -> Any:
    """e evaluated for variables without values; None where a test said "no" of one for that alone."""
    before, ev.judged = ev.judged, frozenset()
    out = ev.eval(e)
    new = ev.judged & {x for x, _ in pairs}
    ev.judged = before | (ev.judged - new)
    return None if new else out


def _here(ev: Any, held: Any, point: dict) -> Any:
    """The value at a point of what was not evaluated before: MatchQ or Divisors would see a symbol."""
    return ev.eval(mk(S.Block, lst(mk(S.Set, x, v) for x, v in point.items()), held))


def _probability(ev: Any, args: tuple) -> Any:
    pairs = _distributed(ev.eval(args[1]))
    if pairs is None:
        return None
    event = ev.own.get(args[0], args[0]) if type(args[0]) is Symbol else args[0]
    if has_head(event, S.Conditioned):
        both = ev.eval(mk(S.Probability, mk(S.And, *event.args), args[1]))
        given = ev.eval(mk(S.Probability, event.args[1], args[1]))
        return ev.eval(_times(both, _power(given, -1)))
    outcomes = _outcomes(ev, pairs)
    if outcomes is None:
        event = _symbolic(ev, event, pairs) if len(pairs) == 1 else None
        return None if event is None else _expected(ev, mk(S.Boole, event), *pairs[0], event)
    hits = [(_here(ev, args[0], point), weight) for point, weight in outcomes]
    if any(t is not TRUE and t is not FALSE for t, _ in hits):
        return None
    return ev.eval(_plus(weight for t, weight in hits if t is TRUE))


@builtin("Expectation NExpectation", "HoldFirst", arity=2)
def expectation(ev: Any, args: tuple) -> Any:
    pairs = _distributed(ev.eval(args[1]))
    if pairs is None:
        return None
    f = ev.own.get(args[0], args[0]) if type(args[0]) is Symbol else args[0]
    if has_head(f, S.Conditioned):
        there = ev.eval(mk(S.Expectation, mk(S.Times, f.args[0], mk(S.Boole, f.args[1])), args[1]))
        return ev.eval(_times(there, _power(mk(S.Probability, f.args[1], args[1]), -1)))
    outcomes = _outcomes(ev, pairs)
    if outcomes is None:
        f = _symbolic(ev, args[0], pairs) if len(pairs) == 1 else None
        return None if f is None else _expected(ev, f, *pairs[0], None)
    values = [_here(ev, args[0], point) for point, _ in outcomes]
    weights = [weight for _, weight in outcomes]
    if all(w == weights[0] for w in weights):
        return ev.eval(_times(weights[0], _plus(values)))
    return ev.eval(_plus(map(_times, values, weights)))


def _numeric(handler: Any):
    def at(ev: Any, args: tuple) -> Any:
        out = handler(ev, args)
        return None if out is None else ev.eval(mk(S.N, out))

    return at


TABLE["Probability"].handler, TABLE["NProbability"].handler = _probability, _numeric(_probability)
TABLE["NExpectation"].handler = _numeric(expectation)


def _expected(ev: Any, f: Any, x: Any, d: Any, event: Any) -> Any:
    """The expectation of f(x): a finite sum, a closed sum, or an integral over the event's intervals."""
    if type(d) is not Expr or d.head not in _DISTRIBUTIONS:
        return None
    low, high = _support(ev, d)
    if d.head in _CONTINUOUS:
        if event is None:
            out = ev.eval(mk(S.Integrate, _times(f, density(d, x)), lst((x, low, high))))
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
            terms.append(_plus((top, _times(-1, bottom))))
        return ev.eval(mk(S.Simplify, _plus(terms))) if terms else 0
    if d.head is S.DiscreteUniformDistribution:
        return None  # its ends are no numbers: which values it takes is not known
    if event is not None:
        below = ev.eval(mk(S.Reduce, mk(S.And, event, mk(S.GreaterEqual, x, 0)), x, S.Integers))
        hits = _listed(below, x)
        if hits is not None:
            return ev.eval(_plus(density(d, k) for k in hits))
        other = _listed(ev.eval(mk(S.Reduce, mk(S.And, mk(S.Not, event), mk(S.GreaterEqual, x, 0)), x, S.Integers)), x)
        if other is not None:
            return ev.eval(_plus((1, *[_times(-1, density(d, k)) for k in other])))
        return None
    out = ev.eval(mk(S.Sum, _times(f, density(d, x)), lst((x, low, high))))
    return None if contains(out, S.Sum) else out


def _listed(e: Any, x: Any) -> list[int] | None:
    """The numbers of x == 1 || x == 2 …"""
    if e is FALSE:
        return []
    parts = e.args if has_head(e, S.Or) else (e,)
    if all(has_head(p, S.Equal) and p.args[0] is x and type(p.args[1]) is int for p in parts):
        return [p.args[1] for p in parts]
    return None


# --- fits


@builtin("Fit", arity=3)
def fit(ev: Any, args: tuple) -> Any:
    found = _least_squares(ev, args)
    if found is None:
        return None
    coefficients, basis = found
    return ev.eval(_plus(_times(c, b) for c, b in zip(coefficients, basis)))


def _least_squares(ev: Any, args: tuple) -> tuple[list[Any], list[Any]] | None:
    data, basis, x = args
    if not is_list(data) or not is_list(basis) or type(x) is not Symbol:
        return None
    points = [tuple(p.args) if is_list(p) else (i + 1, p) for i, p in enumerate(data.args)]
    table_, right = [], []
    for p in points:
        if len(p) != 2 or not isinstance(p[1], (int, Fraction, float)):
            return None
        row = [ev.eval(mk(S.ReplaceAll, b, rule(x, p[0]))) for b in basis.args]
        if not all(isinstance(v, (int, Fraction, float)) for v in row):
            row = [ev.eval(mk(S.N, v)) for v in row]
            if not all(isinstance(v, (int, Fraction, float)) for v in row):
                return None
        table_.append([Fraction(v) for v in row])
        right.append(Fraction(p[1]))
    k = len(basis.args)
    normal = [[sum(r[i] * r[j] for r in table_) for j in range(k)] + [sum(r[i] * y for r, y in zip(table_, right))]
              for i in range(k)]  # fmt: skip
    out, pivots = reduced(normal)
    if pivots != list(range(k)):
        return None
    return [float(r[k]) for r in out], list(basis.args)


@builtin("LinearModelFit", arity=3)
def linear_model_fit(ev: Any, args: tuple) -> Any:
    data, basis, x = args
    functions = list(basis.args) if is_list(basis) else [basis]
    if 1 not in functions:
        functions = [1, *functions]
    found = _least_squares(ev, (data, lst(functions), x))
    if found is None:
        return None
    best = ev.eval(_plus(_times(c, b) for c, b in zip(*found)))
    return mk(S.FittedModel, best, lst((x,)), lst(found[0]), data)


@sub_handler("FittedModel")
def fitted_model(ev: Any, head: Expr, args: tuple) -> Any:
    if len(head.args) != 4 or len(args) != 1:
        return None
    best, names, parameters, data = head.args
    what = args[0]
    if isinstance(what, str):
        if what == "BestFit":
            return best
        if what == "BestFitParameters":
            return parameters
        points = [tuple(p.args) if is_list(p) else (i + 1, p) for i, p in enumerate(data.args)]
        residuals = [ev.eval(_plus((p[1], _times(-1, mk(S.ReplaceAll, best, rule(names.args[0], p[0])))))) for p in points]
        if what == "FitResiduals":
            return lst(residuals)
        if what == "RSquared":
            m = mean(ev, [p[1] for p in points])
            ss = ev.eval(_plus(_power(_plus((p[1], _times(-1, m))), 2) for p in points))
            return ev.eval(_plus((1, _times(-1, _plus(_power(r, 2) for r in residuals), _power(ss, -1)))))
        return None
    return mk(S.ReplaceAll, best, rule(names.args[0], what))


# --- quantities

# Wolfram unit name: (factor to base units, {base: power})
_UNITS: dict[str, tuple[Any, dict[str, int]]] = {}


def _unit(names: str, factor: Any, **base: int) -> None:
    for n in names.split():
        _UNITS[n] = (factor, base)


for _prefix, _k in (("", 1), ("Kilo", 1000), ("Centi", Fraction(1, 100)), ("Milli", Fraction(1, 1000)), ("Deci", Fraction(1, 10)),
                    ("Micro", Fraction(1, 10**6)), ("Nano", Fraction(1, 10**9)), ("Mega", 10**6)):  # fmt: skip
    for _name, _f, _b in (("meters", 1, {"m": 1}), ("grams", Fraction(1, 1000), {"kg": 1}), ("seconds", 1, {"s": 1}),
                          ("liters", Fraction(1, 1000), {"m": 3}), ("watts", 1, {"kg": 1, "m": 2, "s": -3}),
                          ("joules", 1, {"kg": 1, "m": 2, "s": -2}), ("newtons", 1, {"kg": 1, "m": 1, "s": -2})):  # fmt: skip
        _UNITS[(_prefix + _name) if _prefix else _name.capitalize()] = (_f * _k, _b)
_unit("Minutes", 60, s=1)
_unit("Hours", 3600, s=1)
_unit("Days", 86_400, s=1)
_unit("Weeks", 604_800, s=1)
_unit("Years", 31_536_000, s=1)
_unit("Inches", Fraction(127, 5000), m=1)
_unit("Feet", Fraction(381, 1250), m=1)
_unit("Yards", Fraction(1143, 1250), m=1)
_unit("Miles", Fraction(201_168, 125), m=1)
_unit("Pounds", Fraction(45_359_237, 100_000_000), kg=1)
_unit("Ounces", Fraction(45_359_237, 1_600_000_000), kg=1)
_unit("MetricTons", 1000, kg=1)
_unit("Hectares", 10_000, m=2)
_unit("Acres", Fraction(316_160_658, 78_125), m=2)
_unit("Gallons", Fraction(473_176_473, 125_000_000_000), m=3)
_unit("USDollars", 1, usd=1)
_unit("USCents", Fraction(1, 100), usd=1)
_unit("Percent", Fraction(1, 100))
_unit("Degrees AngularDegrees", mk(S.Times, S.Pi, Fraction(1, 180)))
_unit("Radians", 1)
_unit("DegreesCelsius", 1, K=1)
_unit("DegreesFahrenheit", Fraction(5, 9), K=1)
_unit("Kelvins", 1, K=1)
_OFFSET = {"DegreesCelsius": Fraction(27_315, 100), "DegreesFahrenheit": Fraction(45_967, 100) * Fraction(5, 9), "Kelvins": 0}
_SHORT = {"m": "Meters", "meters": "Meters", "km": "Kilometers", "cm": "Centimeters", "mm": "Millimeters", "kg": "Kilograms",
          "g": "Grams", "s": "Seconds", "h": "Hours", "min": "Minutes", "Meter": "Meters", "Kilometer": "Kilometers",
          "Hour": "Hours", "Second": "Seconds", "Minute": "Minutes", "Kilogram": "Kilograms", "Gram": "Grams",
          "ft": "Feet", "in": "Inches", "mi": "Miles", "lb": "Pounds", "Foot": "Feet", "Inch": "Inches", "Mile": "Miles",
          "Celsius": "DegreesCelsius", "Fahrenheit": "DegreesFahrenheit", "Kelvin": "Kelvins"}  # fmt: skip


def _parsed(u: Any) -> tuple[Any, dict[str, int], Any] | None:
    """(factor, base powers, canonical form) of a unit: a name, or names multiplied and raised."""
    if isinstance(u, str):
        if "/" in u:
            top, _, bottom = u.partition("/")
            return _parsed(mk(S.Times, top.strip(), mk(S.Power, bottom.strip(), -1)))
        name = _SHORT.get(u, u)
        if name not in _UNITS:
            return None
        factor, base = _UNITS[name]
        return factor, dict(base), name
    if has_head(u, S.Quantity) and len(u.args) == 2:
        return _parsed(u.args[1])
    if has_head(u, S.Times):
        factor: Any = 1
        base: dict[str, int] = {}
        forms = []
        for a in u.args:
            if isinstance(a, (int, Fraction)):
                factor = factor * a
                continue
            p = _parsed(a)
            if p is None:
                return None
            factor = factor * p[0] if not isinstance(p[0], Expr) and not isinstance(factor, Expr) else mk(S.Times, factor, p[0])
            for k, n in p[1].items():
                base[k] = base.get(k, 0) + n
            forms.append(p[2])
        return factor, {k: n for k, n in base.items() if n}, Expr(S.Times, tuple(forms)) if len(forms) > 1 else forms[0]
    if has_head(u, S.Power) and type(u.args[1]) is int:
        p = _parsed(u.args[0])
        if p is None or isinstance(p[0], Expr):
            return None
        return norm(Fraction(p[0]) ** u.args[1]), {k: n * u.args[1] for k, n in p[1].items()}, mk(S.Power, p[2], u.args[1])
    return None


def _combines(ev: Any, e: Any, bound: dict, go_on: Any) -> bool:
    """The matcher of Quantity's up-value: a sum, product or power of quantities becomes one quantity."""
    if e.head not in (S.Plus, S.Times, S.Power):
        return False
    if e.head is S.Power and not (len(e.args) == 2 and isinstance(e.args[1], (int, Fraction))):
        return False
    if e.head is S.Times and not all(isinstance(a, (int, float, Fraction)) or contains(a, S.Quantity) for a in e.args):
        return False
    q = gathered(ev, e)
    if q is None or any(has_head(a, S.QuantityMagnitude) for a in _inside(q)):
        return False
    bound[_COMBINED] = ev.eval(q.args[0]) if ev.eval(q.args[1]) == 1 else q
    return go_on(bound)


def _inside(q: Expr) -> tuple:
    return q.args[0].args if has_head(q.args[0], S.Plus) else (q.args[0],)


_COMBINED = Symbol("\x02q")


@builtin("Quantity", arity=(1, 2), data=True)
def quantity(ev: Any, args: tuple) -> Any:
    if S.Quantity not in ev.up:
        # installed by the first quantity, so that plain arithmetic never looks for one
        ev.up[S.Quantity] = rules = Defs()
        rules.rules = [((), _COMBINED, _COMBINED, _combines)]
    if len(args) == 1:
        return mk(S.Quantity, 1, args[0])
    p = _parsed(args[1])
    if p is None or p[2] == args[1]:
        return None
    return mk(S.Quantity, args[0], ev.eval(p[2]))


@builtin("QuantityMagnitude", arity=(1, 2))
def quantity_magnitude(ev: Any, args: tuple) -> Any:
    if is_list(args[0]):
        return lst(mk(S.QuantityMagnitude, a, *args[1:]) for a in args[0].args)
    q = args[0] if len(args) == 1 else ev.eval(mk(S.UnitConvert, *args))
    if has_head(q, S.Quantity):
        return q.args[0]
    return q if isinstance(q, (int, float, Fraction)) else None


@builtin("QuantityUnit", arity=1)
def quantity_unit(ev: Any, args: tuple) -> Any:
    return args[0].args[1] if has_head(args[0], S.Quantity) else None


@builtin("QuantityQ", arity=1)
def quantity_q(ev: Any, args: tuple) -> Any:
    return TRUE if has_head(args[0], S.Quantity) and len(args[0].args) == 2 else FALSE


def gathered(ev: Any, e: Any) -> Any:
    """A product, power or sum of quantities as one quantity, or None."""
    if not contains(e, S.Quantity):
        return None
    if has_head(e, S.Quantity):
        return e if len(e.args) == 2 else None
    if has_head(e, S.Times):
        number, unit = [], []
        for a in e.args:
            q = gathered(ev, a)
            if q is not None:
                number.append(q.args[0])
                unit.append(q.args[1])
            else:
                number.append(a)
        if not unit:
            return None
        return ev.eval(mk(S.Quantity, Expr(S.Times, tuple(number)), Expr(S.Times, tuple(unit)) if len(unit) > 1 else unit[0]))
    if has_head(e, S.Power) and len(e.args) == 2 and gathered(ev, e.args[0]) is e.args[0]:
        return mk(S.Quantity, ev.eval(_power(e.args[0].args[0], e.args[1])), _power(e.args[0].args[1], e.args[1]))
    if has_head(e, S.Plus):
        parts = [gathered(ev, a) for a in e.args]
        if None in parts:
            return None
        unit = parts[0].args[1]
        same = [ev.eval(mk(S.QuantityMagnitude, p, unit)) for p in parts]
        return mk(S.Quantity, ev.eval(_plus(same)), unit)
    return None


@builtin("UnitConvert", arity=(1, 2))
def unit_convert(ev: Any, args: tuple) -> Any:
    q = gathered(ev, args[0])
    if q is None:
        return None
    source = _parsed(q.args[1])
    if source is None:
        return None
    factor, base, _ = source
    if len(args) == 1:
        si = {"m": "Meters", "kg": "Kilograms", "s": "Seconds", "K": "Kelvins", "usd": "USDollars"}
        parts = [si[k] if n == 1 else _power(si[k], n) for k, n in sorted(base.items())]
        unit = ev.eval(Expr(S.Times, tuple(parts))) if len(parts) > 1 else parts[0] if parts else "DimensionlessUnit"
        return mk(S.Quantity, ev.eval(_times(q.args[0], factor)), unit)
    to = _parsed((gathered(ev, args[1]) or args[1]) if contains(args[1], S.Quantity) else args[1])
    if to is None or to[1] != base:
        ev.message("Quantity", "compat", f"{ev.text(q.args[1])} and {ev.text(args[1])} are incompatible units")
        return None
    if q.args[1] in _OFFSET and isinstance(args[1], str) and _SHORT.get(args[1], args[1]) in _OFFSET:
        kelvin = _plus((_times(q.args[0], factor), _OFFSET[q.args[1]]))
        value = _times(_plus((kelvin, _times(-1, _OFFSET[to[2]]))), _power(to[0], -1))
    else:
        value = _times(q.args[0], factor, _power(to[0], -1))
    return mk(S.Quantity, ev.eval(value), ev.eval(to[2]))
