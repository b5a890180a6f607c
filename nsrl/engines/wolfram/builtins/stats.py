"""Statistics of lists, and fits.

Lists are exact where the data are.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cmp_to_key
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.application import sub_handler
from nsrl.engines.wolfram.assoc import is_assoc
from nsrl.engines.wolfram.builtins.distributions import DISTRIBUTIONS, HALF, moment, normal, quantile_of
from nsrl.engines.wolfram.builtins.linalg import matrix, reduced, rows, vector
from nsrl.engines.wolfram.builtins.logic import compare_values
from nsrl.engines.wolfram.expr import Expr, S, Symbol, has_head, is_list, lst, mk, norm, plus, power, rule, times
from nsrl.engines.wolfram.table import Builtin, symbols, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)

symbols(TABLE, "FittedModel")


def _values(ev: Evaluator, e: Any, name: str) -> list[Any] | None:
    """The data of a list or association; a message where they are none."""
    if is_assoc(e):
        return [r.args[1] for r in e.args]
    if is_list(e) and e.args:
        return list(e.args)
    if is_list(e):
        ev.message(name, "empt", "Argument {} should be a nonempty list.")
    return None


def _columns(ev: Evaluator, name: str, e: Any) -> Any:
    """name applied to every column of a matrix, or None where e is no matrix."""
    m = rows(e)
    return None if m is None else ev.eval(lst(mk(getattr(S, name), lst(c)) for c in zip(*m)))


def mean(ev: Evaluator, v: list[Any]) -> Any:
    """The mean of at least one value."""
    if len(v) < 2:
        return ev.eval(v[0])
    total = ev.eval(plus(*v))
    return total / len(v) if type(total) is float else ev.eval(times(Fraction(1, len(v)), total))


@builtin("Mean", arity=1)
def mean_(ev: Evaluator, args: tuple) -> Any:
    if type(args[0]) is Expr and args[0].head in DISTRIBUTIONS:
        return moment(ev, args[0], "mean")
    v = _values(ev, args[0], "Mean")
    return None if v is None else mean(ev, v)


@builtin("Median", arity=1)
def median(ev: Evaluator, args: tuple) -> Any:
    if rows(args[0]) is not None:
        return _columns(ev, "Median", args[0])
    if type(args[0]) is Expr and args[0].head is S.NormalDistribution:
        return args[0].args[0] if args[0].args else 0
    v = _values(ev, args[0], "Median")
    s = _sorted(ev, v)
    if s is None:
        return None
    n = len(s)
    return s[n // 2] if n % 2 else ev.eval(times(HALF, plus(s[n // 2 - 1], s[n // 2])))


def _sorted(ev: Evaluator, v: list[Any] | None) -> list[Any] | None:
    """Numeric values by size; None where one has no numeric value."""
    if v is None:
        return None
    if all(isinstance(x, (int, Fraction, float)) for x in v):
        return sorted(v)
    if v and all(has_head(x, S.Quantity) for x in v):
        if any(compare_values(ev, v[0], x) is None for x in v):
            return None
        return sorted(v, key=cmp_to_key(lambda a, b: compare_values(ev, a, b)))
    sizes = [ev.eval(mk(S.N, x)) for x in v]
    if not all(isinstance(x, (int, float, Fraction)) for x in sizes):
        return None
    return [v[i] for i in sorted(range(len(v)), key=lambda i: sizes[i])]


@builtin("Variance", arity=1)
def variance(ev: Evaluator, args: tuple) -> Any:
    if rows(args[0]) is not None:
        return _columns(ev, "Variance", args[0])
    if type(args[0]) is Expr and args[0].head in DISTRIBUTIONS:
        return moment(ev, args[0], "variance")
    v = _values(ev, args[0], "Variance")
    if v is None:
        return None
    if len(v) < 2:
        ev.message("Variance", "shlen", f"The argument {ev.text(args[0])} should have at least two elements.")
        return None
    return _variance(ev, v, len(v) - 1)


def _variance(ev: Evaluator, v: list[Any], n: int) -> Any:
    m = mean(ev, v)
    numeric = all(isinstance(x, (int, Fraction, float)) for x in v)
    square = (lambda d: power(d, 2)) if numeric else (lambda d: times(d, mk(S.Conjugate, d)))
    return ev.eval(times(Fraction(1, n), plus(*(square(plus(x, times(-1, m))) for x in v))))


@builtin("StandardDeviation", arity=1)
def standard_deviation(ev: Evaluator, args: tuple) -> Any:
    if rows(args[0]) is not None:
        return _columns(ev, "StandardDeviation", args[0])
    if type(args[0]) is Expr and args[0].head is S.NormalDistribution:
        return normal(args[0])[1]
    v = variance(ev, args)
    return None if v is None else ev.eval(mk(S.Sqrt, v))


@builtin("Commonest", arity=(1, 2))
def commonest(ev: Evaluator, args: tuple) -> Any:
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
def quantile(ev: Evaluator, args: tuple) -> Any:
    if is_list(args[1]):
        return ev.eval(lst(Expr(S.Quantile, (args[0], q, *args[2:])) for q in args[1].args))
    q = args[1]
    if type(args[0]) is Expr and args[0].head in DISTRIBUTIONS:
        return quantile_of(ev, args[0], q) if isinstance(q, (int, Fraction, float)) and len(args) == 2 else None
    s = _sorted(ev, _values(ev, args[0], "Quantile"))
    if s is None or not isinstance(q, (int, Fraction, float)) or not 0 <= q <= 1:
        return None
    a, b, c, d = (0, 0, 1, 0)
    if len(args) == 3 and rows(args[2]) is not None:
        (a, b), (c, d) = rows(args[2])
    return _quantile(ev, s, q, a, b, c, d)


def _quantile(ev: Evaluator, s: list[Any], q: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    """The quantile of sorted data under the parameters {{a, b}, {c, d}} of the documentation."""
    n = len(s)
    r = a + (n + b) * q
    lower = min(max(r.__floor__(), 1), n)
    upper = min(max(r.__ceil__(), 1), n)
    x, y = s[lower - 1], s[upper - 1]
    part = r - r.__floor__()
    weight = c + d * part
    return ev.eval(plus(x, times(norm(weight) if isinstance(weight, Fraction) else weight, plus(y, times(-1, x)))))


@builtin("Quartiles", arity=1)
def quartiles(ev: Evaluator, args: tuple) -> Any:
    s = _sorted(ev, _values(ev, args[0], "Quartiles"))
    if s is None:
        return None
    return lst(_quantile(ev, s, Fraction(k, 4), HALF, 0, 0, 1) for k in (1, 2, 3))


@builtin("InterquartileRange", arity=1)
def interquartile_range(ev: Evaluator, args: tuple) -> Any:
    q = quartiles(ev, args)
    return None if q is None else ev.eval(plus(q.args[2], times(-1, q.args[0])))


@builtin("GeometricMean", arity=1)
def geometric_mean(ev: Evaluator, args: tuple) -> Any:
    v = _values(ev, args[0], "GeometricMean")
    return None if v is None else ev.eval(power(Expr(S.Times, tuple(v)), Fraction(1, len(v)) if len(v) > 1 else 1))


@builtin("HarmonicMean", arity=1)
def harmonic_mean(ev: Evaluator, args: tuple) -> Any:
    v = _values(ev, args[0], "HarmonicMean")
    return None if v is None else ev.eval(times(len(v), power(plus(*(power(x, -1) for x in v)), -1)))


@builtin("RootMeanSquare", arity=1)
def root_mean_square(ev: Evaluator, args: tuple) -> Any:
    v = _values(ev, args[0], "RootMeanSquare")
    return None if v is None else ev.eval(mk(S.Sqrt, times(Fraction(1, len(v)), plus(*(power(x, 2) for x in v)))))


@builtin("MeanDeviation MedianDeviation", arity=1)
def mean_deviation(ev: Evaluator, args: tuple) -> Any:
    return None


def _deviation(centre: Any, head: Any):
    def handler(ev: Evaluator, args: tuple) -> Any:
        v = _values(ev, args[0], head.name)
        if v is None:
            return None
        m = ev.eval(mk(centre, args[0]))
        return ev.eval(mk(centre, lst(mk(S.Abs, plus(x, times(-1, m))) for x in v)))

    return handler


TABLE["MeanDeviation"].handler = _deviation(S.Mean, S.MeanDeviation)
TABLE["MedianDeviation"].handler = _deviation(S.Median, S.MedianDeviation)


@builtin("CentralMoment Moment", arity=2)
def centralmoment(ev: Evaluator, args: tuple) -> Any:
    return None


def _about(central: bool):
    def handler(ev: Evaluator, args: tuple) -> Any:
        v = _values(ev, args[0], "Moment")
        if v is None or not is_list(args[0]):
            return None
        m = mean(ev, v) if central else 0
        return ev.eval(times(Fraction(1, len(v)), plus(*(power(plus(x, times(-1, m)), args[1]) for x in v))))

    return handler


TABLE["CentralMoment"].handler, TABLE["Moment"].handler = _about(True), _about(False)


@builtin("Skewness", arity=1)
def skewness(ev: Evaluator, args: tuple) -> Any:
    if not is_list(args[0]):
        return None
    two, three = (ev.eval(mk(S.CentralMoment, args[0], k)) for k in (2, 3))
    return ev.eval(times(three, power(two, Fraction(-3, 2))))


@builtin("Kurtosis", arity=1)
def kurtosis(ev: Evaluator, args: tuple) -> Any:
    if not is_list(args[0]):
        return None
    two, four = (ev.eval(mk(S.CentralMoment, args[0], k)) for k in (2, 4))
    return ev.eval(times(four, power(two, -2)))


@builtin("Covariance", arity=(1, 2))
def covariance(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1:
        m = rows(args[0])
        if m is None:
            return None
        columns = [list(c) for c in zip(*m)]
        return matrix([[_covariance(ev, a, b) for b in columns] for a in columns])
    u, v = vector(args[0]), vector(args[1])
    return None if u is None or v is None or len(u) != len(v) or len(u) < 2 else _covariance(ev, u, v)


def _covariance(ev: Evaluator, u: list[Any], v: list[Any]) -> Any:
    a, b = mean(ev, u), mean(ev, v)
    return ev.eval(times(Fraction(1, len(u) - 1), plus(*(times(plus(x, times(-1, a)), plus(y, times(-1, b))) for x,
    y in zip(u, v)))))  # fmt: skip


@builtin("Correlation", arity=(1, 2))
def correlation(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1:
        m = rows(args[0])
        if m is None:
            return None
        columns = [lst(c) for c in zip(*m)]
        return matrix([[1 if a is b else correlation(ev, (a, b)) for b in columns] for a in columns])
    c = covariance(ev, args)
    return None if c is None else ev.eval(times(c, power(mk(S.StandardDeviation, args[0]), -1),
                                                 power(mk(S.StandardDeviation, args[1]), -1)))  # fmt: skip


@builtin("Standardize", arity=1)
def standardize(ev: Evaluator, args: tuple) -> Any:
    if not is_list(args[0]):
        return None
    m, s = ev.eval(mk(S.Mean, args[0])), ev.eval(mk(S.StandardDeviation, args[0]))
    return ev.eval(times(plus(args[0], times(-1, m)), power(s, -1)))


@builtin("TrimmedMean", arity=(1, 2))
def trimmed_mean(ev: Evaluator, args: tuple) -> Any:
    s = _sorted(ev, _values(ev, args[0], "TrimmedMean"))
    f = args[1] if len(args) == 2 else Fraction(1, 20)
    if s is None or not isinstance(f, (int, Fraction, float)) or not 0 <= f < HALF:
        return None
    k = int(f * len(s))
    return mean(ev, s[k : len(s) - k])


@builtin("MovingAverage", arity=2)
def moving_average(ev: Evaluator, args: tuple) -> Any:
    v, n = vector(args[0]), args[1]
    if v is None or type(n) is not int or not 0 < n <= len(v):
        return None
    return ev.eval(lst(times(Fraction(1, n) if n > 1 else 1, plus(*v[i : i + n])) for i in range(len(v) - n + 1)))


# --- fits


@builtin("Fit", arity=3)
def fit(ev: Evaluator, args: tuple) -> Any:
    found = _least_squares(ev, args)
    if found is None:
        return None
    coefficients, basis = found
    return ev.eval(plus(*(times(c, b) for c, b in zip(coefficients, basis))))


def _least_squares(ev: Evaluator, args: tuple) -> tuple[list[Any], list[Any]] | None:
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
def linear_model_fit(ev: Evaluator, args: tuple) -> Any:
    data, basis, x = args
    functions = list(basis.args) if is_list(basis) else [basis]
    if 1 not in functions:
        functions = [1, *functions]
    found = _least_squares(ev, (data, lst(functions), x))
    if found is None:
        return None
    best = ev.eval(plus(*(times(c, b) for c, b in zip(*found))))
    return mk(S.FittedModel, best, lst((x,)), lst(found[0]), data)


@sub_handler("FittedModel")
def fitted_model(ev: Evaluator, head: Expr, args: tuple) -> Any:
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
        residuals = [ev.eval(plus(p[1], times(-1, mk(S.ReplaceAll, best, rule(names.args[0], p[0]))))) for p in points]
        if what == "FitResiduals":
            return lst(residuals)
        if what == "RSquared":
            m = mean(ev, [p[1] for p in points])
            ss = ev.eval(plus(*(power(plus(p[1], times(-1, m)), 2) for p in points)))
            return ev.eval(plus(1, times(-1, plus(*(power(r, 2) for r in residuals)), power(ss, -1))))
        return None
    return mk(S.ReplaceAll, best, rule(names.args[0], what))
