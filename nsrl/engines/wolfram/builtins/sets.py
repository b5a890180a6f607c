"""Lists as sets, tallies, groups and runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.assoc import from_pairs, is_assoc
from nsrl.engines.wolfram.builtins.lists import elements, not_list
from nsrl.engines.wolfram.builtins.sorting import keyed
from nsrl.engines.wolfram.expr import (
    RULE,
    TRUE,
    Expr,
    S,
    boolean,
    is_list,
    key,
    lst,
    same,
)
from nsrl.engines.wolfram.order import sort
from nsrl.engines.wolfram.table import Builtin, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
_ASSOC = S.Association
_NOTHING = S.Nothing


# -- sets --------------------------------------------------------------------------------------------------------------
def unique(ev: Evaluator, items: tuple, test: Any = None) -> list[Any]:
    """First occurrences in order; `test` is a SameTest function."""
    if test is None:
        first: dict[Any, Any] = {}
        for a in items:
            first.setdefault(key(a), a)
        return list(first.values())
    out: list[Any] = []
    for a in items:
        ev.step(1 + len(out))
        if not any(ev.call(test, b, a) is TRUE for b in out):
            out.append(a)
    return out


def same_test(args: tuple) -> tuple[tuple, Any]:
    """Arguments without SameTest -> f, and f."""
    if args and type(args[-1]) is Expr and args[-1].head is RULE and args[-1].args[0] is S.SameTest:
        t = args[-1].args[1]
        return args[:-1], None if t is S.Automatic or t is S.SameQ else t
    return args, None


@builtin("Union", "Flat OneIdentity", options="SameTest")
def union(ev: Evaluator, args: tuple) -> Any:
    args, test = same_test(args)
    if not args:
        return lst(())
    if any(type(a) is not Expr for a in args):
        return None
    return Expr(args[0].head, tuple(sort(unique(ev, tuple([x for a in args for x in a.args]), test))))


@builtin("Intersection", "Flat OneIdentity", options="SameTest")
def intersection(ev: Evaluator, args: tuple) -> Any:
    args, test = same_test(args)
    if not args or any(type(a) is not Expr for a in args):
        return lst(()) if not args else None
    out = unique(ev, args[0].args, test)
    for other in args[1:]:
        if test is None:
            have = {key(x) for x in other.args}
            out = [a for a in out if key(a) in have]
        else:
            out = [a for a in out if any(ev.call(test, a, x) is TRUE for x in other.args)]
    return Expr(args[0].head, tuple(sort(out)))


@builtin("Complement", arity=(1, None), options="SameTest")
def complement(ev: Evaluator, args: tuple) -> Any:
    args, test = same_test(args)
    if any(type(a) is not Expr for a in args):
        return None
    if test is None:
        gone = {key(x) for a in args[1:] for x in a.args}
        out = [a for a in unique(ev, args[0].args) if key(a) not in gone]
    else:
        out = [
            a
            for a in unique(ev, args[0].args, test)
            if not any(ev.call(test, a, x) is TRUE for o in args[1:] for x in o.args)
        ]
    return Expr(args[0].head, tuple(sort(out)))


@builtin("SymmetricDifference", arity=(1, None))
def symmetric_difference(ev: Evaluator, args: tuple) -> Any:
    counts: dict[Any, int] = {}
    values: dict[Any, Any] = {}
    for a in args:
        for k, x in {key(x): x for x in elements(a) or ()}.items():
            counts[k] = counts.get(k, 0) + 1
            values[k] = x
    return lst(sort(values[k] for k, n in counts.items() if n % 2))


@builtin("DeleteDuplicates", arity=(1, 2))
def delete_duplicates(ev: Evaluator, args: tuple) -> Any:
    e = args[0]
    if type(e) is not Expr:
        return not_list(ev, "DeleteDuplicates", args)
    if is_assoc(e):
        seen: dict[Any, Expr] = {}
        for r in e.args:
            seen.setdefault(key(r.args[1]), r)
        return Expr(e.head, tuple(seen.values()))
    return Expr(e.head, tuple(unique(ev, e.args, args[1] if len(args) > 1 else None)))


@builtin("DeleteDuplicatesBy", arity=(1, 2), operator="prepend")
def delete_duplicates_by(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1 or type(args[0]) is not Expr:
        return None
    seen: dict[Any, Any] = {}
    for v, a in keyed(ev, args[0], args[1]):
        seen.setdefault(key(v), a)
    return Expr(args[0].head, tuple(seen.values()))


@builtin("DuplicateFreeQ", arity=(1, 2))
def duplicate_free_q(ev: Evaluator, args: tuple) -> Any:
    items = elements(args[0])
    return None if items is None else boolean(len(unique(ev, items, args[1] if len(args) > 1 else None)) == len(items))


def _containment(name: str, test: Callable[[set, set], bool]) -> None:
    @builtin(name, arity=(1, 2), operator="prepend")
    def contains(ev: Evaluator, args: tuple) -> Any:
        both = [elements(a) if type(a) is Expr else None for a in args]
        if len(args) == 1 or None in both:
            return None
        return boolean(test({key(x) for x in both[0]}, {key(x) for x in both[1]}))


_containment("ContainsAll", lambda a, b: b <= a)
_containment("ContainsAny", lambda a, b: bool(a & b))
_containment("ContainsNone", lambda a, b: not a & b)
_containment("ContainsOnly", lambda a, b: a <= b)
_containment("ContainsExactly", lambda a, b: a == b)
_containment("SubsetQ", lambda a, b: b <= a)
_containment("DisjointQ", lambda a, b: not a & b)
_containment("IntersectingQ", lambda a, b: bool(a & b))


# -- tallies -----------------------------------------------------------------------------------------------------------
@builtin("Tally", arity=(1, 2))
def tally(ev: Evaluator, args: tuple) -> Any:
    items = elements(args[0])
    if items is None:
        return None
    if len(args) == 2:
        heads = unique(ev, items, args[1])
        return lst(lst((h, sum(ev.call(args[1], h, a) is TRUE for a in items))) for h in heads)
    counts: dict[Any, list[Any]] = {}
    for a in items:
        counts.setdefault(key(a), [a, 0])[1] += 1
    return lst(lst(c) for c in counts.values())


@builtin("Counts", arity=1)
def counts(ev: Evaluator, args: tuple) -> Any:
    items = elements(args[0])
    if items is None:
        return None
    return from_pairs([c.args for c in tally(ev, (lst(items),)).args])


@builtin("CountsBy", arity=(1, 2), operator="prepend")
def counts_by(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1 or elements(args[0]) is None:
        return None
    return counts(ev, (lst(ev.call(args[1], a) for a in elements(args[0])),))


@builtin("CountDistinct", arity=(1, 2))
def count_distinct(ev: Evaluator, args: tuple) -> Any:
    items = elements(args[0])
    return None if items is None else len(unique(ev, items, args[1] if len(args) > 1 else None))


@builtin("CountDistinctBy", arity=2)
def count_distinct_by(ev: Evaluator, args: tuple) -> Any:
    items = elements(args[0])
    return None if items is None else len({key(ev.call(args[1], a)) for a in items})


@builtin("Gather", arity=(1, 2))
def gather(ev: Evaluator, args: tuple) -> Any:
    items = elements(args[0])
    if items is None:
        return None
    if len(args) == 2:
        groups: list[list[Any]] = []
        for a in items:
            for g in groups:
                if ev.call(args[1], g[0], a) is TRUE:
                    g.append(a)
                    break
            else:
                groups.append([a])
        return lst(map(lst, groups))
    table_: dict[Any, list[Any]] = {}
    for a in items:
        table_.setdefault(key(a), []).append(a)
    return lst(map(lst, table_.values()))


@builtin("GatherBy", arity=(1, 2), operator="prepend")
def gather_by(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1 or elements(args[0]) is None:
        return None
    fs = args[1].args if is_list(args[1]) else (args[1],)
    table_: dict[Any, list[Any]] = {}
    for a in elements(args[0]):
        table_.setdefault(key(ev.call(fs[0], a)), []).append(a)
    if len(fs) > 1:
        return lst(ev.call(S.GatherBy, lst(g), lst(fs[1:])) for g in table_.values())
    return lst(map(lst, table_.values()))


@builtin("Split", arity=(1, 2))
def split(ev: Evaluator, args: tuple) -> Any:
    items = elements(args[0])
    if items is None:
        return None
    runs: list[list[Any]] = []
    for a in items:
        if runs and (same(runs[-1][-1], a) if len(args) == 1 else ev.call(args[1], runs[-1][-1], a) is TRUE):
            runs[-1].append(a)
        else:
            runs.append([a])
    return lst(map(lst, runs))


@builtin("SplitBy", arity=(1, 2), operator="prepend")
def split_by(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1 or elements(args[0]) is None:
        return None
    fs = args[1].args if is_list(args[1]) else (args[1],)
    runs: list[list[Any]] = []
    last: Any = None
    for a in elements(args[0]):
        v = ev.call(fs[0], a)
        if runs and same(v, last):
            runs[-1].append(a)
        else:
            runs.append([a])
        last = v
    if len(fs) > 1:
        return lst(ev.call(S.SplitBy, lst(g), lst(fs[1:])) for g in runs)
    return lst(map(lst, runs))


@builtin("TakeWhile LengthWhile", arity=(1, 2), operator="prepend")
def take_while(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1 or elements(args[0]) is None:
        return None
    n = _while(ev, args)
    return Expr(args[0].head, args[0].args[:n])


def _while(ev: Evaluator, args: tuple) -> int:
    n = 0
    for a in elements(args[0]) or ():
        if ev.call(args[1], a) is not TRUE:
            break
        n += 1
    return n


TABLE["LengthWhile"].handler = lambda ev, args: _while(ev, args) if len(args) == 2 else None
