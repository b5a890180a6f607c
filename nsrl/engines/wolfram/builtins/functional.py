"""Functions that apply functions: Map, Apply, Fold, Nest, FixedPoint, Sow and Reap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.application import sub_handler
from nsrl.engines.wolfram.assoc import from_pairs, from_rules, is_assoc, pairs
from nsrl.engines.wolfram.builtins.lists import elements
from nsrl.engines.wolfram.errors import ReturnFlow
from nsrl.engines.wolfram.expr import LIST, NONE, NULL, RULE, TRUE, Expr, S, is_list, key, lst, mk, same
from nsrl.engines.wolfram.parts import level_range, map_levels, walk
from nsrl.engines.wolfram.pattern import matches
from nsrl.engines.wolfram.table import Builtin, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
_ASSOC = S.Association


def heads_option(args: tuple) -> tuple[tuple, bool | None]:
    """Arguments without Heads -> True, and what it said."""
    kept = tuple(a for a in args if not (type(a) is Expr and a.head is RULE and a.args[0] is S.Heads))
    found = [a.args[1] is TRUE for a in args if type(a) is Expr and a.head is RULE and a.args[0] is S.Heads]
    return kept, found[0] if found else None


# -- mapping -----------------------------------------------------------------------------------------------------------
@builtin("Map", arity=(1, 4), operator="append", options="Heads")
def map_(ev: Evaluator, args: tuple) -> Any:
    args, heads = heads_option(args)
    if len(args) == 1:
        return None
    f, e = args[0], args[1]
    if len(args) == 2 and not heads:
        if type(e) is not Expr or e.head is S.Complex:
            return e
        if e.head is _ASSOC and is_assoc(e):
            return from_rules([Expr(RULE, (r.args[0], ev.call(f, r.args[1]))) for r in e.args])
        ev.step(len(e.args) >> 2)
        if e.head is LIST:
            return lst(ev.eval(Expr(f, (a,))) for a in e.args)
        return Expr(e.head, tuple([Expr(f, (a,)) for a in e.args]))
    levels = level_range(args[2]) if len(args) > 2 else (1, 1)
    if levels is None:
        return None
    return map_levels(e, lambda x: mk(f, x), *levels, heads=bool(heads))


@builtin("MapAll", arity=2)
def map_all(ev: Evaluator, args: tuple) -> Any:
    return map_levels(args[1], lambda x: mk(args[0], x), 0, 10**9)


@builtin("Apply", arity=(1, 3), operator="append")
def apply(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1:
        return None
    f, e = args[0], args[1]
    if len(args) == 2:
        if type(e) is not Expr:
            return e
        return Expr(f, elements(e) or ())
    levels = level_range(args[2])
    if levels is None:
        return None
    return map_levels(e, lambda x: Expr(f, x.args) if type(x) is Expr else x, *levels)


@builtin("MapApply", arity=(1, 2), operator="append")
def map_apply(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1 or type(args[1]) is not Expr:
        return None
    f, e = args
    return Expr(e.head, tuple([Expr(f, x.args) if type(x) is Expr else x for x in e.args])) if not is_assoc(e) else None


@builtin("MapIndexed", arity=(1, 3), operator="append")
def map_indexed(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1 or type(args[1]) is not Expr:
        return None
    f, e = args[0], args[1]
    levels = level_range(args[2]) if len(args) > 2 else (1, 1)
    if levels is None:
        return None
    low, high = levels

    def go(x: Any, at: tuple) -> Any:
        level = len(at)
        if type(x) is Expr and level < high:
            if is_assoc(x):
                x = from_pairs([(k, go(v, (*at, mk(S.Key, k)))) for k, v in pairs(x)])
            else:
                x = Expr(x.head, tuple([go(a, (*at, i)) for i, a in enumerate(x.args, 1)]))
        return ev.call(f, x, lst(at)) if low <= level <= high else x

    return go(e, ())


@builtin("MapThread", arity=(1, 3), operator="append")
def map_thread(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1:
        return None
    f, rows = args[0], args[1]
    if not is_list(rows) or any(type(r) is not Expr for r in rows.args):
        return None
    if not rows.args:
        return lst(())
    if all(is_assoc(r) for r in rows.args):
        keys = [k for k, _ in pairs(rows.args[0])]
        tables = [dict((key(k), v) for k, v in pairs(r)) for r in rows.args]
        return from_pairs([(k, ev.call(f, *[t[key(k)] for t in tables])) for k in keys])
    sizes = {len(r.args) for r in rows.args}
    if len(sizes) > 1:
        what = (
            f"{ev.text(Expr(S.MapThread, args))}; dimensions are {len(rows.args[0].args)} and {len(rows.args[1].args)}"
        )
        ev.message(
            "MapThread", "mptc", f"Incompatible dimensions of objects at positions {{2, 1}} and {{2, 2}} of {what}."
        )
        return None
    if len(args) == 3 and type(args[2]) is int and args[2] > 1:
        return lst(ev.call(S.MapThread, f, lst(c), args[2] - 1) for c in zip(*[r.args for r in rows.args]))
    return lst(ev.call(f, *c) for c in zip(*[r.args for r in rows.args]))


@builtin("Thread", arity=(1, 3))
def thread(ev: Evaluator, args: tuple) -> Any:
    e = args[0]
    head = args[1] if len(args) > 1 else LIST
    if type(e) is not Expr:
        return e
    lists = [a for a in e.args if type(a) is Expr and a.head is head]
    if not lists:
        return e
    n = len(lists[0].args)
    if any(len(a.args) != n for a in lists):
        ev.message("Thread", "tdlen", f"Objects of unequal length in {ev.text(e)} cannot be combined.")
        return e
    columns = [a.args if type(a) is Expr and a.head is head else (a,) * n for a in e.args]
    return Expr(head, tuple([Expr(e.head, row) for row in zip(*columns)]))


@builtin("MapAt", arity=(2, 3), operator="none")
def map_at(ev: Evaluator, args: tuple) -> Any:
    from nsrl.engines.wolfram.builtins.lists import ev_set
    from nsrl.engines.wolfram.parts import PartError, get_part, positions_spec

    if len(args) == 2:
        return None
    f, e, spec = args
    for p in positions_spec(spec):
        try:
            specs = list(p)
            if any(s is S.All or (type(s) is Expr and s.head is S.Span) for s in specs):
                old = get_part(ev, e, specs)
                e = ev_set(ev, e, specs, lst(ev.call(f, x) for x in old.args))
            else:
                e = ev_set(ev, e, specs, ev.call(f, get_part(ev, e, specs)))
        except PartError:
            ev.message("MapAt", "partw", f"Part {ev.text(lst(p))} of {ev.text(e)} does not exist.")
            return None
    return e


@builtin("Scan", arity=(1, 3), operator="append")
def scan(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1:
        return None
    levels = level_range(args[2]) if len(args) > 2 else (1, 1)
    if levels is None:
        return None
    try:
        for _, x in walk(args[1], *levels):
            ev.call(args[0], x)
    except ReturnFlow as r:
        return r.value
    return NULL


@builtin("Through", arity=1)
def through(ev: Evaluator, args: tuple) -> Any:
    e = args[0]
    if type(e) is Expr and type(e.head) is Expr:
        return Expr(e.head.head, tuple([Expr(f, e.args) for f in e.head.args]))
    return e


@builtin("Distribute", arity=(1, 5))
def distribute(ev: Evaluator, args: tuple) -> Any:
    from itertools import product

    e, over = args[0], args[1] if len(args) > 1 else S.Plus
    if type(e) is not Expr:
        return e
    if len(args) > 2 and e.head is not args[2]:
        return e
    pools = [a.args if type(a) is Expr and a.head is over else (a,) for a in e.args]
    if all(len(p) == 1 for p in pools):
        return e
    size = 1
    for p in pools:
        size *= len(p)
        ev.need_length(size)
    return Expr(
        args[3] if len(args) > 3 else over,
        tuple([Expr(args[4] if len(args) > 4 else e.head, c) for c in product(*pools)]),
    )


@builtin("Operate", arity=(2, 3))
def operate(ev: Evaluator, args: tuple) -> Any:
    e = args[1]
    return Expr(mk(args[0], e.head), e.args) if type(e) is Expr else mk(args[0], e)


@builtin("Outer", arity=(2, None))
def outer(ev: Evaluator, args: tuple) -> Any:
    f = args[0]
    lists = [a for a in args[1:] if type(a) is Expr]
    levels = [a for a in args[1:] if type(a) is int]
    if len(lists) + len(levels) != len(args) - 1 or not lists:
        return None
    depth_of = (levels * len(lists) if len(levels) == 1 else levels) or [10**9] * len(lists)
    size = 1
    for a in lists:
        size *= max(len(a.args), 1)
        ev.need_length(size)
    head = lists[0].head

    def go(rest: list[Any], chosen: tuple) -> Any:
        if not rest:
            ev.step()
            return Expr(f, chosen)
        return level(rest[0], rest[1:], chosen, depth_of[len(lists) - len(rest)])

    def level(x: Any, rest: list[Any], chosen: tuple, left: int) -> Any:
        if type(x) is Expr and x.head is head and left > 0:
            return Expr(head, tuple([level(a, rest, chosen, left - 1) for a in x.args]))
        return go(rest, (*chosen, x))

    return go(lists, ())


@builtin("Inner", arity=(3, 4))
def inner(ev: Evaluator, args: tuple) -> Any:
    f, a, b, g = args[0], args[1], args[2], args[3] if len(args) > 3 else S.Plus
    if type(a) is not Expr or type(b) is not Expr:
        return None

    def vectors(x: Any, y: Any) -> Any:
        if len(x) != len(y):
            raise ValueError("vectors of different lengths")
        return Expr(g, tuple([Expr(f, p) for p in zip(x, y)]))

    a_matrix = bool(a.args) and all(is_list(r) for r in a.args)
    b_matrix = bool(b.args) and all(is_list(r) for r in b.args)
    columns = list(zip(*[r.args for r in b.args])) if b_matrix else None
    if a_matrix and columns is not None:
        return lst(lst(vectors(r.args, c) for c in columns) for r in a.args)
    if a_matrix:
        return lst(vectors(r.args, b.args) for r in a.args)
    if columns is not None:
        return lst(vectors(a.args, c) for c in columns)
    return vectors(a.args, b.args)


# -- iteration ---------------------------------------------------------------------------------------------------------
@builtin("Nest", arity=3)
def nest(ev: Evaluator, args: tuple) -> Any:
    f, x, n = args
    if type(n) is not int or n < 0:
        return None
    for _ in range(n):
        ev.step()
        x = ev.call(f, x)
    return x


@builtin("NestList", arity=3)
def nest_list(ev: Evaluator, args: tuple) -> Any:
    f, x, n = args
    if type(n) is not int or n < 0:
        return None
    ev.need_length(n + 1)
    out = [x]
    for _ in range(n):
        ev.step()
        x = ev.call(f, x)
        out.append(x)
    return lst(out)


def _nest_while(name: str, keep: bool) -> None:
    @builtin(name, arity=(3, 6))
    def nest_while(ev: Evaluator, args: tuple) -> Any:
        f, x, test = args[:3]
        m = args[3] if len(args) > 3 else 1
        most = args[4] if len(args) > 4 else S.Infinity
        extra = args[5] if len(args) > 5 and type(args[5]) is int else 0
        out = [x]
        window = 10**9 if m is S.All else m if type(m) is int else 1
        while most is S.Infinity or len(out) <= most:
            ev.step()
            if len(out) >= (window if window < 10**9 else 2) and ev.call(test, *out[-window:]) is not TRUE:
                break
            out.append(ev.call(f, out[-1]))
            ev.need_length(len(out))
        for _ in range(extra):
            out.append(ev.call(f, out[-1]))
        if extra < 0:
            out = out[:extra] or out[:1]
        return lst(out) if keep else out[-1]


_nest_while("NestWhile", False)
_nest_while("NestWhileList", True)


def _fixed_point(name: str, keep: bool) -> None:
    @builtin(name, arity=(2, 4), options="SameTest")
    def fixed_point(ev: Evaluator, args: tuple) -> Any:
        args, test = _same_test(args)
        f, x = args[:2]
        most = args[2] if len(args) > 2 and type(args[2]) is int else 10**9
        out = [x]
        while len(out) <= most:
            ev.step()
            y = ev.call(f, out[-1])
            done = same(y, out[-1]) if test is None else ev.call(test, out[-1], y) is TRUE
            if keep or not done:
                out = [*out, y] if keep else [y]
                if keep:
                    ev.need_length(len(out))
            if not keep:
                most -= 1
            if done:
                break
        return lst(out) if keep else out[-1]


def _same_test(args: tuple) -> tuple[tuple, Any]:
    if type(args[-1]) is Expr and args[-1].head is RULE and args[-1].args[0] is S.SameTest:
        return args[:-1], args[-1].args[1]
    return args, None


_fixed_point("FixedPoint", False)
_fixed_point("FixedPointList", True)


def _fold(name: str, keep: bool) -> None:
    @builtin(name, arity=(1, 3), operator="append")
    def fold(ev: Evaluator, args: tuple) -> Any:
        if len(args) == 1:
            return None
        items = elements(args[-1])
        if items is None:
            return None
        f = args[0]
        if len(args) == 2:
            if not items:
                return lst(()) if keep else None
            x, items = items[0], items[1:]
        else:
            x = args[1]
        out = [x]
        for a in items:
            ev.step()
            x = ev.call(f, x, a)
            out.append(x)
        return Expr(args[-1].head if not is_assoc(args[-1]) else LIST, tuple(out)) if keep else x


_fold("Fold", False)
_fold("FoldList", True)


@builtin("FoldPairList FoldPair", arity=(3, 4))
def fold_pair_list(ev: Evaluator, args: tuple) -> Any:
    f, y, items = args[0], args[1], elements(args[2]) or ()
    out = []
    for a in items:
        r = ev.call(f, y, a)
        if not is_list(r) or len(r.args) != 2:
            return None
        out.append(r.args[0] if len(args) == 3 else ev.call(args[3], r))
        y = r.args[1]
    return lst(out)


TABLE["FoldPair"].handler = lambda ev, args: (
    r.args[-1] if (r := fold_pair_list(ev, args)) is not None and r.args else None
)


@builtin("SequenceFold", arity=3)
def sequence_fold(ev: Evaluator, args: tuple) -> Any:
    window = list(elements(args[1]) or ())
    n = len(window)
    for a in elements(args[2]) or ():
        window.append(ev.call(args[0], *window[-n:], a))
    return window[-1]


@builtin("Accumulate", arity=1)
def accumulate(ev: Evaluator, args: tuple) -> Any:
    return ev.call(S.FoldList, S.Plus, args[0]) if type(args[0]) is Expr else None


@builtin("ComposeList", arity=2)
def compose_list(ev: Evaluator, args: tuple) -> Any:
    out = [args[1]]
    for f in elements(args[0]) or ():
        out.append(ev.call(f, out[-1]))
    return lst(out)


@sub_handler("Composition")
def _composition(ev: Evaluator, head: Expr, args: tuple) -> Any:
    fs = list(head.args)
    e = Expr(fs[-1], args) if fs else (args[0] if args else None)
    for f in reversed(fs[:-1]):
        e = mk(f, e)
    return e


@sub_handler("RightComposition")
def _right_composition(ev: Evaluator, head: Expr, args: tuple) -> Any:
    return _composition(ev, Expr(S.Composition, head.args[::-1]), args)


def _compose(name: str) -> None:
    @builtin(name, "Flat OneIdentity", data=True)
    def composition(ev: Evaluator, args: tuple) -> Any:
        kept = [a for a in args if a is not S.Identity]
        if len(kept) == 1:
            return kept[0]
        return S.Identity if not kept else None if len(kept) == len(args) else Expr(getattr(S, name), tuple(kept))


_compose("Composition")
_compose("RightComposition")


@sub_handler("CurryApplied")
def _curry(ev: Evaluator, head: Expr, args: tuple) -> Any:
    if len(head.args) == 2 and type(head.args[1]) is int:
        f, n = head.args
        return Expr(f, args) if n == len(args) else None
    return None


@sub_handler("MapAt")
def _map_at_operator(ev: Evaluator, head: Expr, args: tuple) -> Any:
    return mk(S.MapAt, head.args[0], args[0], head.args[1]) if len(head.args) == 2 and len(args) == 1 else None


@sub_handler("Association")
def _association_call(ev: Evaluator, head: Expr, args: tuple) -> Any:
    from nsrl.engines.wolfram.assoc import lookup, missing

    if not is_assoc(head) or not args:
        return None
    k = args[0].args[0] if type(args[0]) is Expr and args[0].head is S.Key and len(args[0].args) == 1 else args[0]
    v = lookup(head, k)
    v = missing(k) if v is None else v
    return v if len(args) == 1 else Expr(v, args[1:])


# -- sowing ------------------------------------------------------------------------------------------------------------
@builtin("Sow", arity=(1, 2))
def sow(ev: Evaluator, args: tuple) -> Any:
    tags = args[1].args if len(args) > 1 and is_list(args[1]) else (args[1] if len(args) > 1 else NONE,)
    for t in tags:
        if ev.sow:
            ev.sow[-1].append((t, args[0]))
    return args[0]


@builtin("Reap", "HoldFirst", arity=(1, 3))
def reap(ev: Evaluator, args: tuple) -> Any:
    ev.sow.append([])
    try:
        value = ev.eval(args[0])
    finally:
        sown = ev.sow.pop()
    groups: dict[Any, tuple[Any, list[Any]]] = {}
    left = []
    pattern = args[1] if len(args) > 1 else None
    for t, v in sown:
        if (
            pattern is None
            or matches(ev, t, pattern)
            or (is_list(pattern) and any(matches(ev, t, p) for p in pattern.args))
        ):
            groups.setdefault(key(t), (t, []))[1].append(v)
        else:
            left.append((t, v))
    if ev.sow:
        ev.sow[-1].extend(left)
    f = args[2] if len(args) > 2 else None
    if pattern is not None and is_list(pattern):
        rows = []
        for p in pattern.args:
            hit = [lst(vs) if f is None else ev.call(f, t, lst(vs)) for t, vs in groups.values() if matches(ev, t, p)]
            rows.append(lst(hit))
        return lst((value, lst(rows)))
    return lst((value, lst(lst(vs) if f is None else ev.call(f, t, lst(vs)) for t, vs in groups.values())))
