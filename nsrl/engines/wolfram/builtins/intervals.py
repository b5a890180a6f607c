"""Unions and intersections of intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.builtins.sorting import order_key
from nsrl.engines.wolfram.expr import FALSE, TRUE, Expr, S, lst, mk
from nsrl.engines.wolfram.table import Builtin, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)


@builtin("IntervalMemberQ", arity=(1, 2), takes="interval")
def interval_member(ev: Evaluator, args: tuple) -> Any:
    e, x = args
    hit = [ev.call(S.LessEqual, p.args[0], x, p.args[1]) for p in e.args]
    return TRUE if TRUE in hit else FALSE if all(h is FALSE for h in hit) else None


@builtin("IntervalUnion IntervalIntersection", takes="interval*")
def interval_union(ev: Evaluator, args: tuple) -> Any:
    k = order_key(ev, S.LessEqual)
    spans = sorted((p.args for e in args for p in e.args), key=lambda p: k(p[0]))
    out: list[tuple] = []
    for low, high in spans:
        if out and ev.call(S.LessEqual, low, out[-1][1]) is TRUE:
            out[-1] = (out[-1][0], ev.call(S.Max, out[-1][1], high))
        else:
            out.append((low, high))
    return Expr(S.Interval, tuple(map(lst, out)))


def _interval_intersection(ev: Evaluator, args: tuple) -> Any:
    spans = [e.args[0].args for e in args]
    low, high = ev.call(S.Max, *[a for a, _ in spans]), ev.call(S.Min, *[b for _, b in spans])
    return mk(S.Interval, lst((low, high))) if ev.call(S.LessEqual, low, high) is TRUE else mk(S.Interval)


TABLE["IntervalIntersection"].handler = _interval_intersection
