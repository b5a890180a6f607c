"""T3: functions of functions and of patterns: Map, Apply, Select, Cases, Fold, Nest, ReplaceAll..."""

from __future__ import annotations

from typing import Any

from nsrl.engines.wolfram.assoc import from_pairs, from_rules, is_assoc, pairs, rules_of
from nsrl.engines.wolfram.builtins.lists import elements, not_list
from nsrl.engines.wolfram.errors import ReturnFlow
from nsrl.engines.wolfram.evaluator import sub_handler
from nsrl.engines.wolfram.expr import LIST, NONE, NULL, RULE, TRUE, Expr, S, boolean, is_list, key, lst, mk, same
from nsrl.engines.wolfram.parts import level_range, map_levels, walk
from nsrl.engines.wolfram.pattern import head_of, match, matches, with_rest
from nsrl.engines.wolfram.subst import bind
from nsrl.engines.wolfram.table import FLAT, ORDERLESS, Builtin, table

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
_ASSOC = S.Association


def _heads_option(args: tuple) -> tuple[tuple, bool | None]:
    """Arguments without Heads -> True, and what it said."""
    kept = tuple(a for a in args if not (type(a) is Expr and a.head is RULE and a.args[0] is S.Heads))
    found = [a.args[1] is TRUE for a in args if type(a) is Expr and a.head is RULE and a.args[0] is S.Heads]
    return kept, found[0] if found else None


# -- mapping -----------------------------------------------------------------------------------------------------------
@builtin("Map", arity=(1, 4), operator="append")
def map_(ev: Any, args: tuple) -> Any:
    args, heads = _heads_option(args)
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
def map_all(ev: Any, args: tuple) -> Any:
    return map_levels(args[1], lambda x: mk(args[0], x), 0, 10**9)


@builtin("Apply", arity=(1, 4), operator="append")
def apply(ev: Any, args: tuple) -> Any:
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
def map_apply(ev: Any, args: tuple) -> Any:
    if len(args) == 1 or type(args[1]) is not Expr:
        return None
    f, e = args
    return Expr(e.head, tuple([Expr(f, x.args) if type(x) is Expr else x for x in e.args])) if not is_assoc(e) else None


@builtin("MapIndexed", arity=(1, 3), operator="append")
def map_indexed(ev: Any, args: tuple) -> Any:
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
def map_thread(ev: Any, args: tuple) -> Any:
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
        ev.message("MapThread", "mptc", f"Incompatible dimensions of objects at positions {{2, 1}} and {{2, 2}} of {ev.text(Expr(S.MapThread, args))}; dimensions are {len(rows.args[0].args)} and {len(rows.args[1].args)}.")
        return None
    if len(args) == 3 and type(args[2]) is int and args[2] > 1:
        return lst(ev.call(S.MapThread, f, lst(c), args[2] - 1) for c in zip(*[r.args for r in rows.args]))
    return lst(ev.call(f, *c) for c in zip(*[r.args for r in rows.args]))


@builtin("Thread", arity=(1, 3))
def thread(ev: Any, args: tuple) -> Any:
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
def map_at(ev: Any, args: tuple) -> Any:
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
def scan(ev: Any, args: tuple) -> Any:
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


@builtin("Through", arity=(1, 2))
def through(ev: Any, args: tuple) -> Any:
    e = args[0]
    if type(e) is Expr and type(e.head) is Expr:
        return Expr(e.head.head, tuple([Expr(f, e.args) for f in e.head.args]))
    return e


@builtin("Distribute", arity=(1, 5))
def distribute(ev: Any, args: tuple) -> Any:
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
    return Expr(args[3] if len(args) > 3 else over, tuple([Expr(args[4] if len(args) > 4 else e.head, c) for c in product(*pools)]))


@builtin("Operate", arity=(2, 3))
def operate(ev: Any, args: tuple) -> Any:
    e = args[1]
    return Expr(mk(args[0], e.head), e.args) if type(e) is Expr else mk(args[0], e)


@builtin("Outer", arity=(2, None))
def outer(ev: Any, args: tuple) -> Any:
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


@builtin("Inner", arity=(3, 5))
def inner(ev: Any, args: tuple) -> Any:
    f, a, b, g = args[0], args[1], args[2], args[3] if len(args) > 3 else S.Plus
    if type(a) is not Expr or type(b) is not Expr:
        return None

    def vectors(x: Any, y: Any) -> Any:
        if len(x) != len(y):
            return None
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
def nest(ev: Any, args: tuple) -> Any:
    f, x, n = args
    if type(n) is not int or n < 0:
        return None
    for _ in range(n):
        ev.step()
        x = ev.call(f, x)
    return x


@builtin("NestList", arity=3)
def nest_list(ev: Any, args: tuple) -> Any:
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
    def nest_while(ev: Any, args: tuple) -> Any:
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
    @builtin(name, arity=(2, 4))
    def fixed_point(ev: Any, args: tuple) -> Any:
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
    def fold(ev: Any, args: tuple) -> Any:
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
def fold_pair_list(ev: Any, args: tuple) -> Any:
    f, y, items = args[0], args[1], elements(args[2]) or ()
    out = []
    for a in items:
        r = ev.call(f, y, a)
        if not is_list(r) or len(r.args) != 2:
            return None
        out.append(r.args[0] if len(args) == 3 else ev.call(args[3], r))
        y = r.args[1]
    return lst(out)


TABLE["FoldPair"].handler = lambda ev, args: r.args[-1] if (r := fold_pair_list(ev, args)) is not None and r.args else None


@builtin("SequenceFold", arity=3)
def sequence_fold(ev: Any, args: tuple) -> Any:
    window = list(elements(args[1]) or ())
    n = len(window)
    for a in elements(args[2]) or ():
        window.append(ev.call(args[0], *window[-n:], a))
    return window[-1]


@builtin("Accumulate", arity=1)
def accumulate(ev: Any, args: tuple) -> Any:
    return ev.call(S.FoldList, S.Plus, args[0]) if type(args[0]) is Expr else None


@builtin("ComposeList", arity=2)
def compose_list(ev: Any, args: tuple) -> Any:
    out = [args[1]]
    for f in elements(args[0]) or ():
        out.append(ev.call(f, out[-1]))
    return lst(out)


@sub_handler("Composition")
def _composition(ev: Any, head: Expr, args: tuple) -> Any:
    fs = list(head.args)
    e = Expr(fs[-1], args) if fs else (args[0] if args else None)
    for f in reversed(fs[:-1]):
        e = mk(f, e)
    return e


@sub_handler("RightComposition")
def _right_composition(ev: Any, head: Expr, args: tuple) -> Any:
    return _composition(ev, Expr(S.Composition, head.args[::-1]), args)


def _compose(name: str) -> None:
    @builtin(name, "Flat OneIdentity")
    def composition(ev: Any, args: tuple) -> Any:
        kept = [a for a in args if a is not S.Identity]
        if len(kept) == 1:
            return kept[0]
        return S.Identity if not kept else None if len(kept) == len(args) else Expr(getattr(S, name), tuple(kept))


_compose("Composition")
_compose("RightComposition")


@sub_handler("CurryApplied")
def _curry(ev: Any, head: Expr, args: tuple) -> Any:
    if len(head.args) == 2 and type(head.args[1]) is int:
        f, n = head.args
        return Expr(f, args) if n == len(args) else None
    return None


@sub_handler("MapAt")
def _map_at_operator(ev: Any, head: Expr, args: tuple) -> Any:
    return mk(S.MapAt, head.args[0], args[0], head.args[1]) if len(head.args) == 2 and len(args) == 1 else None


@sub_handler("Association")
def _association_call(ev: Any, head: Expr, args: tuple) -> Any:
    from nsrl.engines.wolfram.assoc import lookup, missing

    if not is_assoc(head) or not args:
        return None
    k = args[0].args[0] if type(args[0]) is Expr and args[0].head is S.Key and len(args[0].args) == 1 else args[0]
    v = lookup(head, k)
    v = missing(k) if v is None else v
    return v if len(args) == 1 else Expr(v, args[1:])


# -- choosing ----------------------------------------------------------------------------------------------------------
@builtin("Select", arity=(1, 3), operator="prepend")
def select(ev: Any, args: tuple) -> Any:
    if len(args) == 1:
        return None
    e, f = args[0], args[1]
    if type(e) is not Expr:
        return not_list(ev, "Select", args)
    most = args[2] if len(args) > 2 and type(args[2]) is int else 10**9
    assoc = is_assoc(e)
    out = []
    for a in e.args:
        if len(out) >= most:
            break
        if ev.call(f, a.args[1] if assoc else a) is TRUE:
            out.append(a)
    return Expr(e.head, tuple(out))


@builtin("SelectFirst", "HoldRest Protected", arity=(1, 3), operator="prepend")
def select_first(ev: Any, args: tuple) -> Any:
    if len(args) == 1:
        return None
    items = elements(args[0])
    if items is None:
        return not_list(ev, "SelectFirst", args)
    f = ev.eval(args[1])
    for a in items:
        if ev.call(f, a) is TRUE:
            return a
    return args[2] if len(args) > 2 else mk(S.Missing, "NotFound")


@builtin("Pick", arity=(2, 3))
def pick(ev: Any, args: tuple) -> Any:
    e, sel = args[0], args[1]
    p = args[2] if len(args) > 2 else TRUE
    if type(e) is not Expr or type(sel) is not Expr or len(e.args) != len(sel.args):
        return None

    def go(x: Any, s: Any) -> Any:
        out = []
        for a, b in zip(x.args, s.args):
            if matches(ev, b, p):
                out.append(a)
            elif type(a) is Expr and type(b) is Expr and len(a.args) == len(b.args) and b.args:
                out.append(go(a, b))
        return Expr(x.head, tuple(out))

    return go(e, sel)


def _cases_args(ev: Any, args: tuple) -> tuple[Any, Any, tuple[int, int], int, bool] | None:
    args, heads = _heads_option(args)
    levels = level_range(args[2]) if len(args) > 2 else (1, 1)
    n = args[3] if len(args) > 3 and type(args[3]) is int else 10**9
    return None if levels is None else (args[0], args[1], levels, n, bool(heads))


@builtin("Cases", arity=(1, 5), operator="prepend")
def cases(ev: Any, args: tuple) -> Any:
    if len(args) == 1:
        return None
    spec = _cases_args(ev, args)
    if spec is None or type(spec[0]) is not Expr:
        return lst(()) if spec is not None else None
    e, p, levels, most, heads = spec
    rhs = None
    if type(p) is Expr and p.head in (RULE, S.RuleDelayed) and len(p.args) == 2:
        p, rhs = p.args
    m = ev.matcher(p)
    out: list[Any] = []
    for _, x in walk(e, *levels, heads=heads):
        if len(out) >= most:
            break
        if rhs is None:
            if m(ev, x, {}, _yes):
                out.append(x)
        else:
            r = ev._try_rule(m, x, rhs, {})
            if r is not None:
                out.append(ev.eval(r))
    return lst(out)


def _yes(b: dict) -> bool:
    return True


@builtin("FirstCase", "HoldRest Protected", arity=(1, 4), operator="prepend")
def first_case(ev: Any, args: tuple) -> Any:
    if len(args) == 1:
        return None
    found = ev.call(S.Cases, args[0], ev.eval(args[1]), ev.eval(args[3]) if len(args) > 3 else lst((1,)), 1)
    if is_list(found) and found.args:
        return found.args[0]
    return args[2] if len(args) > 2 else mk(S.Missing, "NotFound")


@builtin("DeleteCases", arity=(1, 4), operator="prepend")
def delete_cases(ev: Any, args: tuple) -> Any:
    if len(args) == 1 or type(args[0]) is not Expr:
        return None
    e, p = args[0], args[1]
    m = ev.matcher(p)
    levels = level_range(args[2]) if len(args) > 2 else (1, 1)
    most = args[3] if len(args) > 3 and type(args[3]) is int else 10**9
    if levels is None:
        return None
    gone = 0

    def go(x: Any, level: int) -> Any:
        nonlocal gone
        if type(x) is not Expr or level > levels[1]:
            return x
        out = []
        for a in x.args:
            v = a.args[1] if is_assoc(x) else a
            if level >= levels[0] and gone < most and m(ev, v, {}, _yes):
                gone += 1
                continue
            out.append(go(a, level + 1))
        return Expr(x.head, tuple(out))

    return go(e, 1)


@builtin("DeleteMissing", arity=(1, 3))
def delete_missing(ev: Any, args: tuple) -> Any:
    return ev.call(S.DeleteCases, args[0], mk(S.Missing, mk(S.BlankNullSequence)))


@builtin("Count", arity=(1, 3), operator="prepend")
def count(ev: Any, args: tuple) -> Any:
    if len(args) == 1:
        return None
    e, p = args[0], args[1]
    levels = level_range(args[2]) if len(args) > 2 else (1, 1)
    if levels is None:
        return None
    m = ev.matcher(p)
    if levels == (1, 1):
        return sum(m(ev, x, {}, _yes) for x in elements(e) or ())
    return sum(m(ev, x, {}, _yes) for _, x in walk(e, *levels))


@builtin("Position", arity=(1, 5), operator="prepend")
def position(ev: Any, args: tuple) -> Any:
    if len(args) == 1:
        return None
    args, heads = _heads_option(args)
    levels = level_range(args[2]) if len(args) > 2 else (0, 10**9)
    most = args[3] if len(args) > 3 and type(args[3]) is int else 10**9
    if levels is None:
        return None
    m = ev.matcher(args[1])
    out = []
    for at, x in walk(args[0], *levels, heads=heads is not False):
        if len(out) >= most:
            break
        if m(ev, x, {}, _yes):
            out.append(lst(at))
    return lst(out)


@builtin("FirstPosition", "HoldRest Protected", arity=(1, 4), operator="prepend")
def first_position(ev: Any, args: tuple) -> Any:
    if len(args) == 1:
        return None
    found = ev.call(S.Position, args[0], ev.eval(args[1]), ev.eval(args[3]) if len(args) > 3 else lst((0, S.Infinity)))
    if is_list(found) and found.args:
        return found.args[0]
    return args[2] if len(args) > 2 else mk(S.Missing, "NotFound")


@builtin("MatchQ", arity=(1, 2), operator="prepend")
def match_q(ev: Any, args: tuple) -> Any:
    return boolean(matches(ev, args[0], args[1])) if len(args) == 2 else None


@builtin("MemberQ", arity=(1, 3), operator="prepend")
def member_q(ev: Any, args: tuple) -> Any:
    if len(args) == 1:
        return None
    m = ev.matcher(args[1])
    if len(args) == 3:
        levels = level_range(args[2])
        return None if levels is None else boolean(any(m(ev, x, {}, _yes) for _, x in walk(args[0], *levels)))
    return boolean(any(m(ev, x, {}, _yes) for x in elements(args[0]) or ()))


@builtin("FreeQ", arity=(1, 3), operator="prepend")
def free_q(ev: Any, args: tuple) -> Any:
    if len(args) == 1:
        return None
    m = ev.matcher(args[1])
    return boolean(not any(m(ev, x, {}, _yes) for _, x in walk(args[0], 0, 10**9, heads=True)))


def _quantifier(name: str, decide: Any) -> None:
    @builtin(name, arity=(1, 3), operator="prepend")
    def quantifier(ev: Any, args: tuple) -> Any:
        if len(args) == 1:
            if name in ("AllTrue", "AnyTrue", "NoneTrue"):
                ev.message(name, "argtu", f"{name} called with 1 argument; 2 arguments are expected.")
            return None
        items = elements(args[0])
        if items is None:
            return None
        return decide(ev, [mk(args[1], a) for a in items])


def _all_true(ev: Any, tests: list[Any]) -> Any:
    return ev.eval(Expr(S.And, tuple(tests)))


def _any_true(ev: Any, tests: list[Any]) -> Any:
    return ev.eval(Expr(S.Or, tuple(tests)))


_quantifier("AllTrue", _all_true)
_quantifier("AnyTrue", _any_true)
_quantifier("NoneTrue", lambda ev, tests: ev.eval(mk(S.Not, _any_true(ev, tests))))


@builtin("Level", arity=(2, 4))
def level(ev: Any, args: tuple) -> Any:
    args, heads = _heads_option(args)
    levels = level_range(args[1])
    if levels is None:
        return None
    found = [x for _, x in walk(args[0], *levels, heads=bool(heads))]
    return Expr(args[2] if len(args) > 2 else LIST, tuple(found))


@builtin("Head", arity=(1, 2))
def head(ev: Any, args: tuple) -> Any:
    return head_of(args[0])


# -- replacement -------------------------------------------------------------------------------------------------------
def compiled_rules(ev: Any, spec: Any) -> list[tuple[Any, Any, Any]] | None:
    """(pattern, matcher, right side) of rules, a list of rules or an association; None for anything else."""
    rules = rules_of(spec)
    if rules is None:
        return None
    return [(r.args[0], ev.matcher(r.args[0]), r.args[1]) for r in rules]


def _rewrite(ev: Any, e: Any, rules: list[tuple[Any, Any, Any]]) -> Any:
    """The first rule's result on e itself, or None."""
    for p, m, rhs in rules:
        ev.steps += 1
        r = ev._try_rule(m, e, rhs, {})
        if r is not None:
            return r
        if type(p) is Expr and type(e) is Expr and e.head is p.head and len(e.args) > len(p.args) and e.head.__class__ is S.Plus.__class__:
            attrs = ev.attributes(e.head)
            if attrs & FLAT and attrs & ORDERLESS:
                wide = with_rest(p)
                b = match(ev, e, wide)
                if b is not None:
                    rest = b.popitem() if list(b)[-1].name == "rest$$" else (None, b.pop(wide.args[-1].args[0]))
                    return Expr(e.head, (bind(rhs, b), *(rest[1].args if type(rest[1]) is Expr else ())))
    return None


def replace_all(ev: Any, e: Any, rules: list[tuple[Any, Any, Any]]) -> Any:
    """ReplaceAll: each largest matching subtree once; e itself where nothing matched."""
    r = _rewrite(ev, e, rules)
    if r is not None:
        return r
    if type(e) is not Expr or e.head is S.Complex:
        return e
    ev.step()
    if e.head is _ASSOC and is_assoc(e):
        return from_rules([Expr(x.head, (x.args[0], replace_all(ev, x.args[1], rules))) for x in e.args])
    new_head = replace_all(ev, e.head, rules)
    new = [replace_all(ev, a, rules) for a in e.args]
    if new_head is e.head and all(a is b for a, b in zip(new, e.args)):
        return e
    from nsrl.engines.wolfram.subst import rebuild

    return rebuild(e, new_head, new)


def _rule_lists(ev: Any, name: str, e: Any, spec: Any, one: Any) -> Any:
    if is_list(spec) and spec.args and all(is_list(a) for a in spec.args):
        return lst(_rule_lists(ev, name, e, a, one) for a in spec.args)
    rules = compiled_rules(ev, spec)
    if rules is None:
        ev.message(name, "reps", f"{ev.text(lst((spec,)) if not is_list(spec) else spec)} is neither a list of replacement rules nor a valid dispatch table, and so cannot be used for replacing.")
        return None
    return one(e, rules)


@builtin("ReplaceAll", arity=(1, 2), operator="prepend")
def replace_all_(ev: Any, args: tuple) -> Any:
    if len(args) == 1:
        return None
    return _rule_lists(ev, "ReplaceAll", args[0], args[1], lambda e, rules: ev.eval(replace_all(ev, e, rules)))


@builtin("ReplaceRepeated", arity=(1, 3), operator="prepend")
def replace_repeated(ev: Any, args: tuple) -> Any:
    if len(args) == 1:
        return None

    def run(e: Any, rules: list) -> Any:
        for _ in range(65536):
            ev.step(8)
            new = ev.eval(replace_all(ev, e, rules))
            if same(new, e):
                return new
            e = new
        return e

    return _rule_lists(ev, "ReplaceRepeated", args[0], args[1], run)


@builtin("Replace", arity=(1, 4), operator="prepend")
def replace(ev: Any, args: tuple) -> Any:
    args, _ = _heads_option(args)
    if len(args) == 1:
        return None
    levels = level_range(args[2]) if len(args) > 2 else (0, 0)
    if levels is None:
        return None

    def one(e: Any, rules: list) -> Any:
        def f(x: Any) -> Any:
            r = _rewrite(ev, x, rules)
            return x if r is None else r

        return ev.eval(map_levels(e, f, *levels))

    return _rule_lists(ev, "Replace", args[0], args[1], one)


@builtin("ReplaceList", arity=(2, 3))
def replace_list(ev: Any, args: tuple) -> Any:
    rules = compiled_rules(ev, args[1])
    if rules is None:
        return None
    out: list[Any] = []
    for _, m, rhs in rules:

        def collect(b: dict, rhs: Any = rhs) -> bool:
            out.append(ev.eval(bind(rhs, dict(b))))
            return False

        m(ev, args[0], {}, collect)
    return lst(out)


# -- sowing ------------------------------------------------------------------------------------------------------------
@builtin("Sow", arity=(1, 2))
def sow(ev: Any, args: tuple) -> Any:
    tags = args[1].args if len(args) > 1 and is_list(args[1]) else (args[1] if len(args) > 1 else NONE,)
    for t in tags:
        if ev.sow:
            ev.sow[-1].append((t, args[0]))
    return args[0]


@builtin("Reap", "HoldFirst", arity=(1, 3))
def reap(ev: Any, args: tuple) -> Any:
    ev.sow.append([])
    try:
        value = ev.eval(args[0])
    finally:
        sown = ev.sow.pop()
    groups: dict[Any, tuple[Any, list[Any]]] = {}
    left = []
    pattern = args[1] if len(args) > 1 else None
    for t, v in sown:
        if pattern is None or matches(ev, t, pattern) or (is_list(pattern) and any(matches(ev, t, p) for p in pattern.args)):
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
