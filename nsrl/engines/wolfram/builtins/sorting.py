"""Sort and its kin, by canonical order or by functions."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import cmp_to_key
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.assoc import from_rules, is_assoc
from nsrl.engines.wolfram.builtins.lists import elements, not_list
from nsrl.engines.wolfram.builtins.logic import compare_values
from nsrl.engines.wolfram.expr import (
    FALSE,
    LIST,
    Expr,
    S,
    boolean,
    has_head,
    is_list,
    lst,
    mk,
)
from nsrl.engines.wolfram.order import compare, is_sorted, sort
from nsrl.engines.wolfram.table import Builtin, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
_ASSOC = S.Association
_NOTHING = S.Nothing


# -- order -----------------------------------------------------------------------------------------------------------
def order_key(ev: Evaluator, p: Any) -> Any:
    """A sort key from an ordering function p[a, b] (True, False, 1, 0, -1)."""
    if p is S.Less or p is S.LessEqual:
        from nsrl.engines.wolfram.builtins.logic import compare_values

        return cmp_to_key(lambda a, b: compare_values(ev, a, b) or 0)
    if p is S.Greater or p is S.GreaterEqual:
        from nsrl.engines.wolfram.builtins.logic import compare_values

        return cmp_to_key(lambda a, b: -(compare_values(ev, a, b) or 0))

    def cmp(a: Any, b: Any) -> int:
        ev.step()
        r = ev.call(p, a, b)
        if type(r) is int:
            return -r
        if r is FALSE:
            return 1 if ev.call(p, b, a) is not FALSE else 0
        return -1 if ev.call(p, b, a) is FALSE else 0

    return cmp_to_key(cmp)


@builtin("Sort", arity=(1, 2))
def sort_(ev: Evaluator, args: tuple) -> Any:
    e = args[0]
    if type(e) is not Expr:
        return not_list(ev, "Sort", args)
    if e.head is _ASSOC and is_assoc(e):
        k = (
            (lambda r: cmp_to_key(compare)(r.args[1]))
            if len(args) == 1
            else (lambda r, f=order_key(ev, args[1]): f(r.args[1]))
        )
        return from_rules(sorted(e.args, key=k))
    if len(args) == 1:
        r = sort(e.args)
        if S.Quantity in ev.up and any(
            has_head(a, S.Quantity) and compare_values(ev, a, b) not in (-1, 0) for a, b in pairwise(r)
        ):
            return None  # in canonical order 3 meters come before 20 centimeters
        return Expr(e.head, tuple(r))
    return Expr(e.head, tuple(sorted(e.args, key=order_key(ev, args[1]))))


@builtin("ReverseSort", arity=(1, 2))
def reverse_sort(ev: Evaluator, args: tuple) -> Any:
    r = sort_(ev, args)
    return None if r is None else Expr(r.head, r.args[::-1])


def keyed(ev: Evaluator, e: Expr, f: Any) -> list[tuple[Any, Any]]:
    """(f[value], element) pairs; elements of an association are its rules."""
    if e.head is _ASSOC and is_assoc(e):
        return [(ev.call(f, r.args[1]), r) for r in e.args]
    return [(ev.call(f, a), a) for a in e.args]


def sort_by_key(ev: Evaluator, f: Any) -> Callable[[Any], tuple]:
    """A key function for SortBy: f or a list of functions, ties in canonical order."""
    fs = f.args if is_list(f) else (f,)
    return lambda a: tuple([cmp_to_key(compare)(ev.call(g, a)) for g in fs])


@builtin("SortBy ReverseSortBy", arity=(1, 3), operator="prepend")
def sort_by(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1:
        return None
    e, f = args[0], args[1]
    if type(e) is not Expr:
        return not_list(ev, "SortBy", args)
    k = sort_by_key(ev, f)
    if len(args) == 3:
        k = lambda a, o=order_key(ev, args[2]): o(ev.call(f, a))
        return Expr(e.head, tuple(sorted(e.args, key=k)))
    if is_assoc(e):
        return from_rules(sorted(e.args, key=lambda r: k(r.args[1])))
    return Expr(e.head, tuple(sorted(e.args, key=lambda a: (*k(a), cmp_to_key(compare)(a)))))


TABLE["ReverseSortBy"].handler = lambda ev, args: (
    None if (r := sort_by(ev, args)) is None else Expr(r.head, r.args[::-1])
)


@builtin("Ordering", arity=(1, 3))
def ordering(ev: Evaluator, args: tuple) -> Any:
    items = elements(args[0])
    if items is None:
        return None
    k = cmp_to_key(compare) if len(args) < 3 else order_key(ev, args[2])
    order = sorted(range(len(items)), key=lambda i: k(items[i]))
    out = [i + 1 for i in order]
    if len(args) > 1 and type(args[1]) is int:
        out = out[: args[1]] if args[1] > 0 else out[args[1] :]
    return lst(out)


@builtin("OrderedQ", arity=(1, 2))
def ordered_q(ev: Evaluator, args: tuple) -> Any:
    items = elements(args[0])
    if items is None:
        return None
    if len(args) == 1:
        return boolean(is_sorted(items))
    return boolean(all(ev.call(args[1], a, b) not in (FALSE, -1) for a, b in itertools.pairwise(items)))


@builtin("Order", arity=2)
def order(ev: Evaluator, args: tuple) -> Any:
    return -compare(args[0], args[1])


def _extreme_by(name: str, biggest: bool) -> None:
    @builtin(name, arity=(1, 3), operator="prepend")
    def extreme_by(ev: Evaluator, args: tuple) -> Any:
        if len(args) == 1 or type(args[0]) is not Expr:
            return None
        e = args[0]
        rows = keyed(ev, e, args[1])
        if len(args) == 3:
            n = args[2].args[0] if type(args[2]) is Expr and args[2].head is S.UpTo else args[2]
            if type(n) is not int:
                return None
            k = cmp_to_key(lambda a, b: numeric_compare(ev, a, b))
            rows = sorted(rows, key=lambda r: k(r[0]), reverse=biggest)[:n]
            picked = [a for _, a in rows]
        else:
            if not rows:
                return lst(()) if e.head is LIST else e
            best = rows[0][0]
            for v, _ in rows:
                c = numeric_compare(ev, v, best)
                if (c > 0) if biggest else (c < 0):
                    best = v
            picked = [a for v, a in rows if numeric_compare(ev, v, best) == 0]
        return from_rules(picked) if is_assoc(e) and e.head is _ASSOC else Expr(e.head, tuple(picked))


def numeric_compare(ev: Evaluator, a: Any, b: Any) -> int:
    """-1, 0 or 1 by size where both are real numbers, else by canonical order; lists element by element."""
    from nsrl.engines.wolfram.builtins.logic import compare_values

    if is_list(a) and is_list(b) and len(a.args) == len(b.args):
        for x, y in zip(a.args, b.args):
            c = numeric_compare(ev, x, y)
            if c:
                return c
        return 0
    c = compare_values(ev, a, b)
    return compare(a, b) if c is None else c


_extreme_by("MaximalBy", True)
_extreme_by("MinimalBy", False)


def _take_extremes(name: str, biggest: bool) -> None:
    @builtin(name, arity=(1, 2), operator="prepend")
    def take_extremes(ev: Evaluator, args: tuple) -> Any:
        if len(args) == 1 or type(args[0]) is not Expr:
            return None
        e, n = args
        if type(n) is Expr and n.head is S.UpTo:
            n = min(n.args[0], len(e.args))
        if type(n) is not int or n > len(e.args):
            return None
        k = cmp_to_key(lambda a, b: numeric_compare(ev, a, b))
        value = (lambda r: k(r.args[1])) if is_assoc(e) else k
        return Expr(e.head, tuple(sorted(e.args, key=value, reverse=biggest)[:n]))


_take_extremes("TakeLargest", True)
_take_extremes("TakeSmallest", False)


def _take_by(name: str, by: str) -> None:
    @builtin(name, arity=3)
    def take_by(ev: Evaluator, args: tuple) -> Any:
        return mk(getattr(S, by), *args)


_take_by("TakeLargestBy", "MaximalBy")
_take_by("TakeSmallestBy", "MinimalBy")
