"""Arithmetic of power series: SeriesData and O, sums, products, whole powers, and what is read from them.

Only series in whole powers about a finite point; anything else that meets a series stays as it stands and has no value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from nsrl.engines.wolfram import converging
from nsrl.engines.wolfram.bridge import Bridge, NotBridged, guarded, sympy
from nsrl.engines.wolfram.expr import Expr, S, Symbol, has_head, is_list, lst, mk
from nsrl.engines.wolfram.order import is_number
from nsrl.engines.wolfram.roots import contains
from nsrl.engines.wolfram.table import Builtin, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
MAX_TERMS = 200
_SPARE = 8  # orders a factor is expanded beyond those of the series it meets: what its own lowest power may be


class Series(NamedTuple):
    """c[0] (x - at)^low + c[1] (x - at)^(low + 1) + ... + O[x - at]^end"""

    x: Any
    at: Any
    c: list
    low: int
    end: int


def read(e: Any) -> Series | None:
    """The series that a tree is; None where it is none in whole powers about a finite point."""
    if not has_head(e, S.SeriesData) or len(e.args) != 6 or not is_list(e.args[2]):
        return None
    x, at, c, low, end, den = e.args
    whole = type(low) is int and type(end) is int and den == 1 and len(c.args) <= end - low <= MAX_TERMS
    return Series(x, at, list(c.args), low, end) if whole and type(x) is Symbol and at is not S.Infinity else None


def written(ev: Evaluator, s: Series) -> Expr:
    """The tree of a series, without zeros at its ends."""
    c, low = [ev.eval(v) for v in s.c[: max(0, s.end - s.low)]], s.low
    while c and c[-1] == 0:
        c.pop()
    while c and c[0] == 0:
        c, low = c[1:], low + 1
    return mk(S.SeriesData, s.x, s.at, lst(c), low if c else s.end, s.end, 1)


@builtin("SeriesData", arity=(5, 6), data=True)
def series_data(ev: Evaluator, args: tuple) -> Any:
    if is_number(args[0]):
        ev.message(
            "SeriesData",
            "ssdn",
            f"Attempt to evaluate a series at the number {ev.text(args[0])}. Returning Indeterminate.",
        )
        return S.Indeterminate
    ev.series = True
    ev.open.add(S.SeriesData)  # what is made from it by a function that does not know series is no value
    return None


@builtin("O", arity=(1, 2))
def big_o(ev: Evaluator, args: tuple) -> Any:
    return (
        mk(S.SeriesData, args[0], args[1] if len(args) == 2 else 0, lst(()), 1, 1, 1)
        if type(args[0]) is Symbol
        else None
    )


def combined(ev: Evaluator, head: Any, args: tuple) -> Any:
    """Plus, Times or Power of arguments some of which are series; None where there is no rule for them."""
    there = [read(a) for a in args if has_head(a, S.SeriesData)]
    if not there or None in there:
        return None
    first = there[0]
    if any((s.x, s.at) != (first.x, first.at) for s in there):
        return None
    if head is S.Power:
        out = _power(ev, first, args[1]) if type(args[1]) is int else None
        return None if out is None else written(ev, out)
    reach = max(s.end for s in there) if head is S.Plus else max(s.end - s.low for s in there) + _SPARE
    operands = [read(a) or _expanded(ev, a, first, reach) for a in args]
    if None in operands or (
        head is S.Times and any(s.low > _SPARE and read(a) is None for s, a in zip(operands, args))
    ):
        return None
    out = operands[0]
    for s in operands[1:]:
        out = _sum(out, s) if head is S.Plus else _product(ev, out, s)
    return written(ev, out)


def _expanded(ev: Evaluator, e: Any, like: Series, reach: int) -> Series | None:
    """A tree that is no series as one about the same point, up to the power `reach`."""
    if contains(e, S.SeriesData) or reach > MAX_TERMS:
        return None
    if not contains(e, like.x):
        return Series(like.x, like.at, [e], 0, max(reach, 1))
    found = expansion(ev, e, like.x, like.at, reach)
    return None if found is None or found[2] != 1 else Series(like.x, like.at, found[1], found[0], reach + 1)


def expansion(ev: Evaluator, e: Any, x: Any, at: Any, n: int) -> tuple[int, list, int] | None:
    """(lowest exponent, coefficients, denominator) of the expansion up to (x - at)^n."""
    b = Bridge()
    try:
        sp = sympy()
        t = sp.Symbol("\x04t", positive=True)
        X = b.to_sympy(x)
        f = b.to_sympy(e)
        if b.opaque:
            return None
        infinite = at is S.Infinity
        g = f.subs(X, 1 / t if infinite else t + b.to_sympy(at))
        s = guarded(lambda: sp.series(g, t, 0, n + 1).removeO())
        s = guarded(sp.expand, s)
        terms: dict[int, Any] = {}
        for term in sp.Add.make_args(s):
            c, p = term.as_coeff_exponent(t)
            if not p.is_Integer:
                return None
            if int(p) <= n:
                terms[int(p)] = terms.get(int(p), 0) + c
        terms = {k: c for k, c in terms.items() if c != 0}
        low, high = (min(terms), max(terms)) if terms else (n + 1, n)
        found = [ev.eval(b.from_sympy(terms.get(k, sp.Integer(0)))) for k in range(low, high + 1)]
    except NotBridged:
        return None
    return (low, found, 1) if converging.expansion(e, found, low, x, at, n, ev.step) else None


def _sum(a: Series, b: Series) -> Series:
    low, end = min(a.low, b.low), min(a.end, b.end)
    at = lambda s, k: s.c[k - s.low] if 0 <= k - s.low < len(s.c) else 0
    return Series(a.x, a.at, [mk(S.Plus, at(a, k), at(b, k)) for k in range(low, end)], low, end)


def _product(ev: Evaluator, a: Series, b: Series) -> Series:
    low, end = a.low + b.low, min(a.low + b.end, b.low + a.end)
    terms: list[list[Any]] = [[] for _ in range(end - low)]
    for i, u in enumerate(a.c):
        for j, v in enumerate(b.c):
            if i + j < len(terms):
                terms[i + j].append(mk(S.Times, u, v))
    ev.step(len(a.c) * len(b.c))
    return Series(a.x, a.at, [ev.eval(mk(S.Expand, Expr(S.Plus, tuple(t)))) for t in terms], low, end)


def _power(ev: Evaluator, s: Series, n: int) -> Series | None:
    if abs(n) > MAX_TERMS or n == 0 or (n < 0 and not s.c):
        return None
    if n < 0:
        return _power(ev, _inverse(ev, s), -n)
    out = s
    for _ in range(n - 1):
        out = _product(ev, out, s)
    return out


def _inverse(ev: Evaluator, s: Series) -> Series:
    """1/s, whose first coefficient is not 0, to as many terms."""
    first = mk(S.Power, s.c[0], -1)
    out = [ev.eval(first)]
    for k in range(1, s.end - s.low):
        known = [mk(S.Times, s.c[j], out[k - j]) for j in range(1, min(k, len(s.c) - 1) + 1)]
        out.append(ev.eval(mk(S.Expand, mk(S.Times, -1, first, Expr(S.Plus, tuple(known))))))
    return Series(s.x, s.at, out, -s.low, s.end - 2 * s.low)


def coefficient(s: Series, n: Any) -> Any:
    """The coefficient of (x - at)^n; None from the order of the error on."""
    if type(n) is not int or n >= s.end:
        return None
    return s.c[n - s.low] if 0 <= n - s.low < len(s.c) else 0


def differentiated(s: Series) -> Expr:
    """The derivative by x, whose coefficients are free of it."""
    c = [mk(S.Times, s.low + i, v) for i, v in enumerate(s.c)]
    if s.low == 0:
        return mk(S.SeriesData, s.x, s.at, lst(c[1:]), 0, s.end - 1, 1)
    return mk(S.SeriesData, s.x, s.at, lst(c), s.low - 1, s.end - 1, 1)
