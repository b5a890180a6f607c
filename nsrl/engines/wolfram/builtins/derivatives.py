"""Derivatives by the rules: D, Dt, Derivative, and Grad, Div, Curl, Laplacian in Cartesian and curvilinear
coordinates."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.application import sub_handler
from nsrl.engines.wolfram.builtins.algebra import contains
from nsrl.engines.wolfram.builtins.pieces import joined
from nsrl.engines.wolfram.builtins.series import differentiated, read
from nsrl.engines.wolfram.expr import Expr, S, Symbol, has_head, is_list, lst, mk, plus, power, rule, times
from nsrl.engines.wolfram.roots import symbols as symbols_of
from nsrl.engines.wolfram.table import Builtin, symbols, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
symbols(TABLE, "Derivative")

HALF = Fraction(1, 2)


def negated(a: Any) -> Expr:
    """-a as a tree."""
    return mk(S.Times, -1, a)


def _minus_square(x: Any) -> Expr:
    """1 - x²"""
    return plus(1, negated(power(x, 2)))


# f -> its derivative at x
_RULES = {
    S.Sin: lambda x: mk(S.Cos, x),
    S.Cos: lambda x: negated(mk(S.Sin, x)),
    S.Tan: lambda x: power(mk(S.Sec, x), 2),
    S.Cot: lambda x: negated(power(mk(S.Csc, x), 2)),
    S.Sec: lambda x: times(mk(S.Sec, x), mk(S.Tan, x)),
    S.Csc: lambda x: negated(times(mk(S.Cot, x), mk(S.Csc, x))),
    S.ArcSin: lambda x: power(_minus_square(x), -HALF),
    S.ArcCos: lambda x: negated(power(_minus_square(x), -HALF)),
    S.ArcTan: lambda x: power(plus(1, power(x, 2)), -1),
    S.ArcCot: lambda x: negated(power(plus(1, power(x, 2)), -1)),
    S.ArcSec: lambda x: times(power(plus(1, negated(power(x, -2))), -HALF), power(x, -2)),
    S.ArcCsc: lambda x: negated(times(power(plus(1, negated(power(x, -2))), -HALF), power(x, -2))),
    S.Sinh: lambda x: mk(S.Cosh, x),
    S.Cosh: lambda x: mk(S.Sinh, x),
    S.Tanh: lambda x: power(mk(S.Sech, x), 2),
    S.Coth: lambda x: negated(power(mk(S.Csch, x), 2)),
    S.Sech: lambda x: negated(times(mk(S.Sech, x), mk(S.Tanh, x))),
    S.Csch: lambda x: negated(times(mk(S.Coth, x), mk(S.Csch, x))),
    S.ArcSinh: lambda x: power(plus(1, power(x, 2)), -HALF),
    S.ArcCosh: lambda x: times(power(plus(-1, x), -HALF), power(plus(1, x), -HALF)),
    S.ArcTanh: lambda x: power(_minus_square(x), -1),
    S.RealAbs: lambda x: times(x, power(mk(S.RealAbs, x), -1)),
    S.Erf: lambda x: times(2, power(S.E, negated(power(x, 2))), power(S.Pi, -HALF)),
    S.Gamma: lambda x: times(mk(S.Gamma, x), mk(S.PolyGamma, 0, x)),
    S.Factorial: lambda x: times(mk(S.Gamma, plus(1, x)), mk(S.PolyGamma, 0, plus(1, x))),
}


def derivative(ev: Evaluator, e: Any, x: Any) -> Any:
    """d e / d x, not yet evaluated."""
    if e == x and type(e) is type(x):
        return 1
    if type(e) is not Expr or not contains(e, x):
        return 0
    ev.step()
    h, a = e.head, e.args
    if h is S.Plus or is_list(e):
        return Expr(h, tuple(derivative(ev, t, x) for t in a))
    if h is S.Times:
        return Expr(S.Plus, tuple(Expr(S.Times, (*a[:i], derivative(ev, t, x), *a[i + 1 :]))
                                  for i, t in enumerate(a) if contains(t, x)))  # fmt: skip
    if h is S.Power and len(a) == 2:
        b, n = a
        terms = []
        if contains(b, x) and contains(n, x):
            slopes = derivative(ev, b, x), derivative(ev, n, x)
            return times(e, plus(times(n, slopes[0], power(b, -1)), times(slopes[1], mk(S.Log, b))))
        if contains(b, x):
            terms.append(times(n, power(b, plus(n, -1)), derivative(ev, b, x)))
        if contains(n, x):
            terms.append(times(power(b, n), mk(S.Log, b), derivative(ev, n, x)))
        return terms[0] if len(terms) == 1 else Expr(S.Plus, tuple(terms))
    if h is S.Log:
        if len(a) == 1:
            return times(power(a[0], -1), derivative(ev, a[0], x))
        return derivative(ev, times(mk(S.Log, a[1]), power(mk(S.Log, a[0]), -1)), x)
    if h in _RULES and len(a) == 1:
        return times(_RULES[h](a[0]), derivative(ev, a[0], x))
    if h in (S.Equal, S.Rule):
        return Expr(h, tuple(mk(S.D, t, x) for t in a))
    if h is S.Integrate and len(a) == 2:
        if not is_list(a[1]):
            return a[0] if a[1] == x else mk(S.Integrate, derivative(ev, a[0], x), a[1])
        t, low, high = a[1].args
        out: list[Any] = []
        for limit, s in ((high, 1), (low, -1)):
            out.append(times(s, mk(S.ReplaceAll, a[0], rule(t, limit)), derivative(ev, limit, x)))
        if contains(a[0], x):
            out.append(mk(S.Integrate, derivative(ev, a[0], x), a[1]))
        return Expr(S.Plus, tuple(out))
    if h is S.Piecewise and is_list(a[0]):
        pieces = [*(p.args[0] for p in a[0].args), a[1] if len(a) > 1 else 0]
        return joined(ev, e, [ev.eval(derivative(ev, p, x)) for p in pieces], x)
    if (pieces := _in_pieces(e)) is not None and not symbols_of(e) - {x}:
        return derivative(ev, pieces, x)
    if h is S.SeriesData and (s := read(e)) is not None and s.x is x and not any(contains(c, x) for c in (s.at, *s.c)):
        return differentiated(s)
    if h is S.Abs and len(a) == 1:
        return times(derivative(ev, a[0], x), Expr(Expr(Expr(S.Derivative, (1,)), (S.Abs,)), a))
    if type(h) is Expr and has_head(h.head, S.Derivative) and len(h.args) == 1:
        orders, f = list(h.head.args), h.args[0]
        return _chain(ev, f, orders, a, x)
    return _chain(ev, h, [0] * len(a), a, x)


def _in_pieces(e: Expr) -> Expr | None:
    """Max, Min, Ramp and UnitStep as Piecewise; None for another function."""
    h, a = e.head, e.args
    if h in (S.Ramp, S.UnitStep) and len(a) == 1:
        return mk(S.Piecewise, lst([lst((a[0] if h is S.Ramp else 1, mk(S.GreaterEqual, a[0], 0)))]), 0)
    if h not in (S.Max, S.Min) or len(a) < 2:
        return None
    first = S.GreaterEqual if h is S.Max else S.LessEqual
    tests = [Expr(S.And, tuple(mk(first, t, o) for o in a if o is not t)) for t in a[:-1]]
    return mk(S.Piecewise, lst(map(lst, zip(a, tests))), a[-1])


def _chain(ev: Evaluator, f: Any, orders: list[int], args: tuple, x: Any) -> Any:
    terms = []
    for i, t in enumerate(args):
        if contains(t, x):
            up = [k + (1 if j == i else 0) for j, k in enumerate(orders)]
            terms.append(times(Expr(Expr(Expr(S.Derivative, tuple(up)), (f,)), args), derivative(ev, t, x)))
    return terms[0] if len(terms) == 1 else Expr(S.Plus, tuple(terms)) if terms else 0


@builtin("D", arity=(1, None))
def d(ev: Evaluator, args: tuple) -> Any:
    e = args[0]
    for spec in args[1:]:
        if has_head(spec, S.Rule):
            continue
        if is_list(spec):
            if len(spec.args) == 2 and type(spec.args[1]) is int and spec.args[1] >= 0:
                for _ in range(spec.args[1]):
                    e = ev.eval(derivative(ev, e, spec.args[0]))
                continue
            if len(spec.args) == 2 and type(spec.args[1]) is Symbol:
                return _nth(ev, e, *spec.args)
            if spec.args and is_list(spec.args[0]):
                n = spec.args[1] if len(spec.args) == 2 else 1
                for _ in range(n if type(n) is int else 1):
                    e = ev.eval(_gradient(e, spec.args[0].args))
                continue
            return None
        if isinstance(spec, (int, float, Fraction, str)):
            ev.message("General", "ivar", f"{ev.text(spec)} is not a valid variable.")
            return None
        e = ev.eval(derivative(ev, e, spec))
    return e


def _gradient(e: Any, names: tuple) -> Any:
    if is_list(e):
        return lst(_gradient(a, names) for a in e.args)
    return lst(mk(S.D, e, n) for n in names)


def _nth(ev: Evaluator, e: Any, x: Any, n: Any) -> Any:
    """The n-th derivative for symbolic n: of powers of E and of sine and cosine."""
    if has_head(e, S.Power) and e.args[0] is S.E and ev.eval(mk(S.D, e.args[1], x)) not in (0,):
        k = ev.eval(mk(S.D, e.args[1], x))
        if not contains(k, x):
            return ev.eval(times(power(k, n), e))
    if type(e) is Expr and e.head in (S.Sin, S.Cos) and e.args[0] == x:
        return ev.eval(mk(e.head, plus(x, times(n, S.Pi, HALF))))
    return None


@builtin("Dt", arity=(1, None), data=True, options="Constants")
def dt(ev: Evaluator, args: tuple) -> Any:
    """The total differential Dt[e] or derivative Dt[e, x]; Constants -> {a, ...} do not vary."""
    from nsrl.engines.wolfram.solver import symbols_in

    e, rest = args[0], list(args[1:])
    fixed: tuple = ()
    option = rest[-1] if rest and has_head(rest[-1], S.Rule) and rest[-1].args[0] is S.Constants else None
    if option is not None:
        fixed = option.args[1].args if is_list(option.args[1]) else option.args[1:]
        rest.pop()
    if len(rest) > 1 or (rest and (type(rest[0]) is not Symbol or rest[0].builtin is not None)):
        ev.lost = ev.lost or S.Dt
        return None
    if type(e) is Expr and e.head in (S.Equal, S.Rule, S.List):
        return ev.eval(Expr(e.head, tuple([Expr(S.Dt, (a, *args[1:])) for a in e.args])))
    if type(e) is Symbol and e not in rest and e not in fixed and e.builtin is None:
        return None
    out = [
        times(derivative(ev, e, s), 1 if s in rest else mk(S.Dt, s, *args[1:])) for s in symbols_in(e) if s not in fixed
    ]
    return ev.eval(Expr(S.Plus, tuple(out)))


@sub_handler("Derivative")
def derivative_of(ev: Evaluator, head: Expr, args: tuple) -> Any:
    """Derivative[n][f]: of a pure function, a named one, or a builtin; Derivative[n][f][x] likewise."""
    if len(args) != 1:
        return None
    orders, f = head.args, args[0]
    if not all(type(n) is int and n >= 0 for n in orders):
        return None
    if not any(orders):
        return f
    if type(f) is Symbol and f not in _RULES and f is not S.Log and f is not S.Exp and f not in ev.down:
        return None
    if type(f) is Expr and f.head is not S.Function:
        return None
    slots = [Symbol(f"\x03{i}") for i in range(len(orders))]
    e = ev.eval(Expr(f, tuple(slots)))
    for n, s in zip(orders, slots):
        for _ in range(n):
            e = ev.eval(derivative(ev, e, s))
    back = lst(rule(s, mk(S.Slot, i + 1)) for i, s in enumerate(slots))
    return mk(S.Function, ev.eval(mk(S.ReplaceAll, e, back)))


# name of a chart -> its scale factors at the coordinates
_CHARTS = {
    "Cartesian": lambda x: [1] * len(x),
    "Polar": lambda x: [1, x[0]] if len(x) == 2 else None,
    "Cylindrical": lambda x: [1, x[0], 1] if len(x) == 3 else None,
    "Spherical": lambda x: [1, x[0], times(x[0], mk(S.Sin, x[1]))] if len(x) == 3 else None,
}


def _chart(args: tuple) -> tuple[tuple, list] | None:
    """(coordinates, scale factors) of Grad[f, x, chart] and its kin; None for charts that are not known."""
    if not is_list(args[1]) or not args[1].args:
        return None
    chart = args[2] if len(args) > 2 else "Cartesian"
    scales = _CHARTS[chart](args[1].args) if type(chart) is str and chart in _CHARTS else None
    return None if scales is None else (args[1].args, scales)


def _flux(ev: Evaluator, field: list, names: tuple, scales: list) -> Any:
    """1/h sum of d(h f_i/h_i)/dx_i, where h is the product of the scale factors."""
    if all(h == 1 for h in scales):
        return ev.eval(Expr(S.Plus, tuple(mk(S.D, f, x) for f, x in zip(field, names))))
    volume = times(*scales)
    terms = [mk(S.D, times(volume, power(h, -1), f), x) for f, h, x in zip(field, scales, names)]
    return ev.eval(mk(S.Simplify, times(power(volume, -1), Expr(S.Plus, tuple(terms)))))


@builtin("Grad", arity=(2, 3))
def grad(ev: Evaluator, args: tuple) -> Any:
    chart = _chart(args)
    if chart is None:
        return None
    names, scales = chart
    if all(h == 1 for h in scales):
        return ev.eval(_gradient(args[0], names))
    return (
        None
        if is_list(args[0])
        else ev.eval(lst(times(mk(S.D, args[0], x), power(h, -1)) for x, h in zip(names, scales)))
    )


@builtin("Div", arity=(2, 3))
def div(ev: Evaluator, args: tuple) -> Any:
    chart = _chart(args)
    if chart is None or not is_list(args[0]) or len(args[0].args) != len(chart[0]) or any(map(is_list, args[0].args)):
        return None
    return _flux(ev, list(args[0].args), *chart)


@builtin("Curl", arity=(2, 3))
def curl(ev: Evaluator, args: tuple) -> Any:
    chart = _chart(args)
    if chart is None or not is_list(args[0]) or len(args[0].args) != len(chart[0]):
        return None
    f, (names, scales) = args[0].args, chart
    flat = all(h == 1 for h in scales)

    def part(i: int, j: int) -> Any:
        turn = plus(mk(S.D, times(scales[j], f[j]), names[i]), negated(mk(S.D, times(scales[i], f[i]), names[j])))
        return turn if flat else mk(S.Simplify, times(power(times(scales[i], scales[j]), -1), turn))

    if len(f) == 2:
        return ev.eval(part(0, 1))
    return ev.eval(lst((part(1, 2), part(2, 0), part(0, 1)))) if len(f) == 3 else None


@builtin("Laplacian", arity=(2, 3))
def laplacian(ev: Evaluator, args: tuple) -> Any:
    chart = _chart(args)
    if chart is None or (is_list(args[0]) and len(args) > 2 and args[2] != "Cartesian"):
        return None
    names, scales = chart
    if all(h == 1 for h in scales):
        return ev.eval(Expr(S.Plus, tuple(mk(S.D, args[0], lst((n, 2))) for n in names)))
    return _flux(ev, [times(mk(S.D, args[0], x), power(h, -1)) for x, h in zip(names, scales)], names, scales)
