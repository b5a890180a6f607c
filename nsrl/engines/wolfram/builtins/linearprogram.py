"""Linear programs in exact numbers: the simplex method on dictionaries, with Bland's rule so that it ends.

A program without a single best point (none, unbounded, or several) stays as it is.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.expr import Expr, S, Symbol, has_head, is_list, lst, mk, norm, rule
from nsrl.engines.wolfram.table import Builtin, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)

Row = dict[int, Fraction]  # variable -> its factor; 0 -> the constant


def _put(row: Row, variable: int, by: Row) -> Row:
    """row with `variable` replaced by the row `by`."""
    factor = row.get(variable, Fraction(0))
    out = {k: v for k, v in row.items() if k != variable}
    for k, v in by.items():
        out[k] = out.get(k, Fraction(0)) + factor * v
    return out


def _pivot(rows: dict[int, Row], goal: Row, enter: int, leave: int) -> Row:
    row = rows.pop(leave)
    factor = row.pop(enter)
    solved = {leave: 1 / factor} | {k: -v / factor for k, v in row.items()}
    for name in rows:
        rows[name] = _put(rows[name], enter, solved)
    rows[enter] = solved
    return _put(goal, enter, solved)


def _descend(ev: Evaluator, rows: dict[int, Row], goal: Row) -> Row | None:
    """The goal at its least, rows pivoted to it; None where it has no least value."""
    while True:
        ev.step(len(rows) * len(goal))
        falling = [k for k, v in goal.items() if k and v < 0]
        if not falling:
            return goal
        enter = min(falling)
        bounds = [(row.get(0, Fraction(0)) / -row[enter], name) for name, row in rows.items() if row.get(enter, 0) < 0]
        if not bounds:
            return None
        goal = _pivot(rows, goal, enter, min(bounds)[1])


def minimum(ev: Evaluator, c: list[Any], a: list[list[Any]], b: list[Any]) -> list[Fraction] | None:
    """The one x >= 0 with a.x >= b where c.x is least; None where there is none, or more than one."""
    n, extra = len(c), len(c) + len(b) + 1
    rows = {
        n + i + 1: {0: -Fraction(y)} | {j + 1: Fraction(v) for j, v in enumerate(r)}
        for i, (r, y) in enumerate(zip(a, b))
    }
    goal = {j + 1: Fraction(v) for j, v in enumerate(c)}
    if any(row[0] < 0 for row in rows.values()):
        for row in rows.values():
            row[extra] = Fraction(1)
        first = _pivot(rows, {extra: Fraction(1)}, extra, min(rows, key=lambda k: (rows[k][0], k)))
        first = _descend(ev, rows, first)
        if first is None or first.get(0, 0) != 0:
            return None
        if extra in rows:
            away = [k for k, v in rows[extra].items() if k and v]
            if away:
                _pivot(rows, {}, min(away), extra)
            else:
                del rows[extra]
        for row in rows.values():
            row.pop(extra, None)
        for name in list(goal):
            if name in rows:
                goal = _put(goal, name, rows[name])
    goal = _descend(ev, rows, goal)
    if (
        goal is None
        or any(v == 0 for k, v in goal.items() if k)
        or any(k not in goal for row in rows.values() for k in row if k)
    ):
        return None
    return [rows.get(j + 1, {}).get(0, Fraction(0)) for j in range(n)]


def _exact(items: Any) -> bool:
    return all(isinstance(x, (int, Fraction)) for x in items)


@builtin("LinearProgramming", arity=3, takes="list matrix list")
def linear_programming(ev: Evaluator, args: tuple) -> Any:
    c, b, a = args[0].args, list(args[2].args), [r.args for r in args[1].args]
    if b and len(a) == len(b) and all(is_list(v) and len(v.args) == 2 and v.args[1] in (-1, 0, 1) for v in b):
        if not all(_exact((*r, v.args[0])) for r, v in zip(a, b)):
            return None
        pairs = [(r, v.args[0], s) for r, v in zip(a, b) for s in ({v.args[1]} if v.args[1] else {1, -1})]
        a, b = [tuple(s * x for x in r) for r, _, s in pairs], [s * y for _, y, s in pairs]  # {b, -1}: at most b
    if len(a) != len(b) or any(len(r) != len(c) or not _exact(r) for r in a) or not _exact((*b, *c)):
        return None
    x = minimum(ev, list(c), [list(r) for r in a], list(b))
    return None if x is None else lst(map(norm, x))


@builtin("LinearOptimization", arity=3, takes="any list list")
def linear_optimization(ev: Evaluator, args: tuple) -> Any:
    """Every variable must have a constant below it: it is counted from there."""
    f, names = args[0], args[2].args
    if not names or not all(type(v) is Symbol for v in names):
        return None
    below, limits = [], []
    for constraint in args[1].args:
        if not (type(constraint) is Expr and len(constraint.args) == 2):
            return None
        left, right = constraint.args
        row = _linear(ev, mk(S.Subtract, left, right), names)
        if row is None or constraint.head not in (S.GreaterEqual, S.LessEqual, S.Equal):
            return None
        for sign in {S.GreaterEqual: (1,), S.LessEqual: (-1,), S.Equal: (1, -1)}[constraint.head]:
            below.append([sign * v for v in row[1:]])
            limits.append(-sign * row[0])
    goal = _linear(ev, f, names)
    if goal is None:
        return None
    low: dict[int, Fraction] = {}
    for row, y in zip(below, limits):
        at = [i for i, v in enumerate(row) if v]
        if len(at) == 1 and row[at[0]] > 0:
            low[at[0]] = max(low.get(at[0], Fraction(y) / row[at[0]]), Fraction(y) / row[at[0]])
    if len(low) < len(names):
        return None
    shifted = [y - sum(v * low[i] for i, v in enumerate(row)) for row, y in zip(below, limits)]
    x = minimum(ev, goal[1:], below, shifted)
    return None if x is None else lst(rule(v, norm(k + low[i])) for i, (v, k) in enumerate(zip(names, x)))


def _linear(ev: Evaluator, e: Any, names: tuple) -> list[Any] | None:
    """[constant, factor of each name] of a linear form with exact numbers."""
    found = ev.call(S.CoefficientArrays, lst((e,)), lst(names))
    if not (
        is_list(found) and len(found.args) == 2 and all(map(is_list, found.args)) and is_list(found.args[1].args[0])
    ):
        return None
    row = [found.args[0].args[0], *found.args[1].args[0].args]
    return row if _exact(row) and not has_head(e, S.Equal) else None
