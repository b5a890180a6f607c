"""Where an integrand may be narrow or have a corner, by its form: what a grid of samples would pass over.

A peak stands where an exponent, a denominator or a function's argument is 0 or turns, or near such a point of the
complex plane.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations, pairwise
from typing import Any

from nsrl.engines.wolfram.compiled import NotNumeric, compiled
from nsrl.engines.wolfram.expr import Expr, S, Symbol
from nsrl.engines.wolfram.roots import contains

MAX_POINTS = 40
_GRID = 64
_WINDOW = 50.0  # how far from 0 what is no polynomial is looked at on an infinite range
_TRANSPARENT = (
    S.Plus,
    S.Times,
    S.List,
    S.Piecewise,
    S.And,
    S.Or,
    S.Not,
    S.Boole,
    S.Sin,
    S.Cos,
    S.Floor,
    S.Ceiling,
    S.Round,
    S.Mod,
)
_ORDERS = (S.Less, S.LessEqual, S.Greater, S.GreaterEqual, S.Inequality, S.Equal, S.Unequal)


def inner(tree: Any, x: Symbol) -> list[Any]:
    """The subtrees of which zeros and turns matter."""
    out: dict[Any, None] = {}

    def walk(e: Any) -> None:
        if type(e) is not Expr or not contains(e, x):
            return
        for a in e.args:
            walk(a)
        if e.head is S.Power and len(e.args) == 2:
            if contains(e.args[1], x):
                out[e.args[1]] = None
            if not (type(e.args[1]) is int and e.args[1] > 0):
                out[e.args[0]] = None
        elif e.head in _ORDERS or e.head in (S.Max, S.Min):
            sides = e.args[::2] if e.head is S.Inequality else e.args
            for a, b in combinations(sides, 2) if e.head in (S.Max, S.Min) else pairwise(sides):
                out[Expr(S.Plus, (a, Expr(S.Times, (-1, b))))] = None
        elif e.head not in _TRANSPARENT:
            out.update(dict.fromkeys(e.args))

    walk(tree)
    return [g for g in out if contains(g, x)]


def points(parts: list[Any], x: Symbol, names: tuple, c: Any, low: Any, high: Any) -> Callable[[tuple], list[Any]]:
    """values of the names -> zeros and turns of `parts` (from `inner`) strictly between low and high, ascending.

    c: the mpmath context to work in; low and high may be infinite.
    """
    ways = [_way(g, x, names) for g in parts]

    def at(values: tuple) -> list[Any]:
        found = []
        for way in ways:
            found += [p for p in way(c, values, low, high) if low < p < high]
        width = c.mpf(1e-13) * (high - low if c.inf not in (high, -low) else 1)
        kept: list[Any] = []
        for p in sorted(found):
            if not kept or p - kept[-1] > width:
                kept.append(p)
        return kept if len(kept) <= MAX_POINTS else []

    return at


def _way(g: Any, x: Symbol, names: tuple) -> Callable:
    """(context, values, low, high) -> points of one subtree."""
    number = compiled(g, (x, *names))
    try:
        poly = _polynomial(g, x, names)
    except NotNumeric:
        return lambda c, values, low, high: list(_on_grid(lambda t: number(c, (t, *values)), c, low, high))

    def roots(c: Any, values: tuple, low: Any, high: Any) -> list[Any]:
        try:
            p = poly(c, values)
            return [r for q in (p, [k * a for k, a in enumerate(p)][1:]) for r in _roots(c, q)]
        except (NotNumeric, ZeroDivisionError, OverflowError, ValueError, c.NoConvergence):
            return list(_on_grid(lambda t: number(c, (t, *values)), c, low, high))

    return roots


def _polynomial(e: Any, x: Symbol, names: tuple) -> Callable[[Any, tuple], list[Any]]:
    """(context, values) -> coefficients from the constant upwards. Raises NotNumeric where e is no polynomial."""
    if e is x:
        return lambda c, values: [c.mpf(0), c.mpf(1)]
    if not contains(e, x):
        number = compiled(e, names)
        return lambda c, values: [number(c, values)]
    if e.head is S.Power and type(e.args[1]) is int and 0 < e.args[1] <= 12:
        fs, combine = [_polynomial(e.args[0], x, names)] * e.args[1], _product
    elif e.head in (S.Plus, S.Times):
        fs, combine = [_polynomial(a, x, names) for a in e.args], _sum if e.head is S.Plus else _product
    else:
        raise NotNumeric

    def value(c: Any, values: tuple) -> list[Any]:
        out = fs[0](c, values)
        for f in fs[1:]:
            out = combine(out, f(c, values))
        if len(out) > 24:
            raise NotNumeric
        return out

    return value


def _sum(p: list, q: list) -> list:
    n = max(len(p), len(q))
    return [(p[i] if i < len(p) else 0) + (q[i] if i < len(q) else 0) for i in range(n)]


def _product(p: list, q: list) -> list:
    out = [p[0] * 0] * (len(p) + len(q) - 1)
    for i, a in enumerate(p):
        for j, b in enumerate(q):
            out[i + j] += a * b
    return out


def _roots(c: Any, p: list[Any]) -> list[Any]:
    """The real parts of the roots of a polynomial."""
    p = list(p)
    while p and p[-1] == 0:
        p.pop()
    if len(p) < 2:
        return []
    if len(p) == 2:
        return [(-p[0] / p[1]).real]
    if len(p) == 3:
        d = c.sqrt(p[1] ** 2 - 4 * p[2] * p[0])
        return [((-p[1] + s * d) / (2 * p[2])).real for s in (1, -1)]
    return [r.real for r in c.polyroots(p[::-1], maxsteps=200, extraprec=200)]


def _on_grid(g: Callable[[Any], Any], c: Any, low: Any, high: Any) -> Iterator[Any]:
    low, high = max(low, c.mpf(-_WINDOW)), min(high, c.mpf(_WINDOW))
    if not low < high:
        return

    def real(t: Any) -> Any:
        try:
            v = g(t)
        except NotNumeric:
            return None
        return v.real if abs(v.imag) < 1e-12 * (1 + abs(v)) else None

    grid = [low + (high - low) * k / _GRID for k in range(_GRID + 1)]
    values = [real(t) for t in grid]
    for (s, u), (t, v) in pairwise(zip(grid, values)):
        if u is not None and v is not None and (u < 0 < v or v < 0 < u):
            for _ in range(60):
                mid = (s + t) / 2
                w = real(mid)
                if w is None:
                    break
                s, t = (mid, t) if (w < 0) == (u < 0) else (s, mid)
            yield s
        elif v == 0:
            yield t
    for i in range(1, _GRID):
        u, v, w = values[i - 1 : i + 2]
        if None not in (u, v, w) and (v - u) * (w - v) < 0:
            yield _turn(real, grid[i - 1], grid[i + 1], 1 if v > u else -1)


def _turn(real: Callable[[Any], Any], s: Any, t: Any, way: int) -> Any:
    """Where way g is greatest between s and t, by golden section."""
    ratio = 0.6180339887498949
    a, b = t - (t - s) * ratio, s + (t - s) * ratio
    u, v = real(a), real(b)
    for _ in range(60):
        if u is None or v is None or a == b:
            break
        if way * u > way * v:
            t, b, v = b, a, u
            a = t - (t - s) * ratio
            u = real(a)
        else:
            s, a, u = a, b, v
            b = s + (t - s) * ratio
            v = real(b)
    return (s + t) / 2
