"""Association and the functions of keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.application import sub_handler
from nsrl.engines.wolfram.assoc import (
    from_pairs,
    from_rules,
    is_assoc,
    is_rule,
    lookup,
    missing,
    pairs,
    rules_of,
    values_of,
    with_values,
)
from nsrl.engines.wolfram.builtins.lists import elements
from nsrl.engines.wolfram.expr import LIST, RULE, TRUE, Expr, S, Symbol, boolean, is_list, key, lst
from nsrl.engines.wolfram.order import KEY
from nsrl.engines.wolfram.pattern import has_pattern, matches
from nsrl.engines.wolfram.table import Builtin, symbols, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
_ASSOC = S.Association
_NO_RULES = Symbol("Association")  # heads what is written as an association and is none: no handler takes it for one


@builtin("Association", "HoldAllComplete", data=True)
def association(ev: Evaluator, args: tuple) -> Any:
    rows: list[Expr] = []
    changed = False
    for a in args:
        if not (is_rule(a) and a.head is S.RuleDelayed):
            v = (
                a
                if type(a) is Expr and a.head is RULE and len(a.args) == 2 and _plain(a.args[0]) and _plain(a.args[1])
                else ev.eval(a)
            )
            changed = changed or v is not a
            a = v
        if is_rule(a):
            rows.append(a)
            continue
        if type(a) is Expr and a.head is S.Sequence:
            inner = rules_of(lst(a.args))
        else:
            inner = rules_of(a) if type(a) is Expr and a.head in (LIST, _ASSOC) else None
        if inner is None:
            return None if any(map(has_pattern, args)) else Expr(_NO_RULES, args)
        rows += inner
        changed = True
    if not changed and len({key(r.args[0]) for r in rows}) == len(rows):
        return None
    return from_rules(rows)


def _plain(e: Any) -> bool:
    return type(e) in (int, str, float)


def _side(name: str, index: int) -> None:
    @builtin(name, arity=(1, 2))
    def side(ev: Evaluator, args: tuple) -> Any:
        e = args[0]
        if is_rule(e):
            return e.args[index]
        if is_assoc(e) or (is_list(e) and all(map(is_rule, e.args))):
            items = [r.args[index] for r in e.args]
            return lst(items if len(args) == 1 else [ev.call(args[1], x) for x in items])
        if is_list(e):
            return lst(ev.call(getattr(S, name), a, *args[1:]) for a in e.args)
        ev.message(name, "invrl", f"The argument {ev.text(e)} is not a valid Association or a list of rules.")
        return None


_side("Keys", 0)
_side("Values", 1)


@builtin("Key", operator="key")
def key_(ev: Evaluator, args: tuple) -> Any:
    return None


TABLE["Key"].handler = None


@sub_handler("Key")
def _key_call(ev: Evaluator, head: Expr, args: tuple) -> Any:
    return ev.call(S.Lookup, args[0], head) if len(args) == 1 and is_assoc(args[0]) and len(head.args) == 1 else None


@sub_handler("Lookup")
def _lookup_call(ev: Evaluator, head: Expr, args: tuple) -> Any:
    return ev.call(S.Lookup, args[0], *head.args) if len(args) == 1 else None


@builtin("Lookup", "HoldAllComplete", arity=(1, 3))
def lookup_(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1:
        return None
    e, k = ev.eval(args[0]), ev.eval(args[1])
    default = args[2] if len(args) > 2 else None
    if is_list(e) and e.args and not all(map(is_rule, e.args)):
        return lst(ev.call(S.Lookup, a, *args[1:]) for a in e.args)
    rules = rules_of(e)
    if rules is None:
        ev.message("Lookup", "invrl", f"The argument {ev.text(e)} is not a valid Association or a list of rules.")
        return None
    table_ = e if is_assoc(e) else from_rules(rules[::-1])

    def one(k: Any) -> Any:
        k = k.args[0] if type(k) is Expr and k.head is S.Key else k
        v = lookup(table_, k)
        return v if v is not None else missing(k) if default is None else ev.eval(default)

    return lst(map(one, k.args)) if is_list(k) else one(k)


@builtin("KeyExistsQ", arity=(1, 2), operator="prepend")
def key_exists_q(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1:
        return None
    rules = rules_of(args[0])
    return None if rules is None else boolean(any(key(r.args[0]) == key(args[1]) for r in rules))


TABLE["KeyMemberQ"] = Builtin("KeyMemberQ", TABLE["KeyExistsQ"].attrs, None, 1, 2, "prepend")
TABLE["KeyFreeQ"] = Builtin("KeyFreeQ", TABLE["KeyExistsQ"].attrs, None, 1, 2, "prepend")
TABLE["KeyMemberQ"].handler = lambda ev, args: _key_matches(ev, args)
TABLE["KeyFreeQ"].handler = lambda ev, args: None if (r := _key_matches(ev, args)) is None else boolean(r is not TRUE)


def _key_matches(ev: Evaluator, args: tuple) -> Any:
    return (
        boolean(any(matches(ev, k, args[1]) for k, _ in pairs(args[0])))
        if len(args) == 2 and is_assoc(args[0])
        else None
    )


def _keys_spec(e: Any) -> list[Any]:
    return [k.args[0] if type(k) is Expr and k.head is S.Key else k for k in (e.args if is_list(e) else (e,))]


def _each(ev: Evaluator, name: str, args: tuple) -> Any:
    """Functions of one association also work on a list of them."""
    return lst(ev.call(getattr(S, name), a, *args[1:]) for a in args[0].args)


@builtin("KeyTake", arity=(1, 2), operator="prepend")
def key_take(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1:
        return None
    if is_list(args[0]) and all(map(is_assoc, args[0].args)) and args[0].args:
        return _each(ev, "KeyTake", args)
    rules = rules_of(args[0])
    if rules is None:
        return None
    table_ = from_rules(rules)
    rows = [(k, lookup(table_, k)) for k in _keys_spec(args[1])]
    return from_pairs([(k, v) for k, v in rows if v is not None])


@builtin("KeyDrop", arity=(1, 2), operator="prepend")
def key_drop(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1:
        return None
    if is_list(args[0]) and all(map(is_assoc, args[0].args)) and args[0].args:
        return _each(ev, "KeyDrop", args)
    rules = rules_of(args[0])
    if rules is None:
        return None
    gone = {key(k) for k in _keys_spec(args[1])}
    return from_rules([r for r in rules if key(r.args[0]) not in gone])


@builtin("KeySelect", arity=(1, 2), operator="prepend")
def key_select(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1 or not is_assoc(args[0]):
        return None
    return from_rules([r for r in args[0].args if ev.call(args[1], r.args[0]) is TRUE])


@builtin("KeyMap", arity=(1, 2), operator="append")
def key_map(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1 or not is_assoc(args[1]):
        return None
    return from_pairs([(ev.call(args[0], k), v) for k, v in pairs(args[1])])


@builtin("KeyValueMap", arity=(1, 2), operator="append")
def key_value_map(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1 or rules_of(args[1]) is None:
        return None
    return lst(ev.call(args[0], *r.args) for r in rules_of(args[1]) or ())


@builtin("AssociationMap", arity=(1, 2), operator="append")
def association_map(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1 or type(args[1]) is not Expr:
        return None
    f, e = args
    if is_assoc(e):
        rules = rules_of(lst(ev.call(f, r) for r in e.args))
        return None if rules is None else from_rules(rules)
    return from_pairs([(k, ev.call(f, k)) for k in e.args])


@builtin("AssociationThread", arity=(1, 2))
def association_thread(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1:
        if not is_rule(args[0]):
            return None
        args = args[0].args
    ks, vs = args
    if not is_list(ks) or type(vs) is not Expr:
        return None
    values = elements(vs) or ()
    if len(ks.args) != len(values):
        ev.message("AssociationThread", "idim", f"{ev.text(ks)} and {ev.text(vs)} must have the same length.")
        return None
    return from_pairs(zip(ks.args, values))


@builtin("GroupBy", arity=(1, 3), operator="prepend")
def group_by(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1 or type(args[0]) is not Expr:
        return None
    e, f = args[0], args[1]
    after = args[2] if len(args) > 2 else None
    rest = None
    if is_list(f):
        rest = lst(f.args[1:]) if len(f.args) > 2 else f.args[1] if len(f.args) == 2 else None
        f = f.args[0]
    value = None
    if is_rule(f):
        f, value = f.args
    groups: dict[Any, tuple[Any, list[Any]]] = {}
    for r in e.args:
        a = r.args[1] if is_assoc(e) else r
        k = ev.call(f, a)
        groups.setdefault(key(k), (k, []))[1].append(r if value is None else ev.call(value, a))
    out = []
    for k, items in groups.values():
        g: Any = Expr(_ASSOC if is_assoc(e) and value is None else LIST, tuple(items))
        if rest is not None:
            g = ev.call(S.GroupBy, g, rest, *([] if after is None else [after]))
        elif after is not None:
            g = ev.call(after, g)
        out.append((k, g))
    return from_pairs(out)


@builtin("Merge", arity=(1, 2), operator="prepend")
def merge(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1 or not is_list(args[0]):
        return None
    groups: dict[Any, tuple[Any, list[Any]]] = {}
    for a in args[0].args:
        for r in rules_of(a) or ():
            groups.setdefault(key(r.args[0]), (r.args[0], []))[1].append(r.args[1])
    return from_pairs([(k, ev.call(args[1], lst(vs))) for k, vs in groups.values()])


@builtin("KeySort", arity=(1, 2), operator="prepend")
def key_sort(ev: Evaluator, args: tuple) -> Any:
    if not is_assoc(args[0]):
        return None
    if len(args) == 2:
        from nsrl.engines.wolfram.builtins.sorting import order_key

        k = order_key(ev, args[1])
        return from_rules(sorted(args[0].args, key=lambda r: k(r.args[0])))
    return from_rules(sorted(args[0].args, key=lambda r: KEY(r.args[0])))


@builtin("KeySortBy", arity=(1, 2), operator="prepend")
def key_sort_by(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1 or not is_assoc(args[0]):
        return None
    return from_rules(sorted(args[0].args, key=lambda r: KEY(ev.call(args[1], r.args[0]))))


@builtin("KeyUnion KeyIntersection KeyComplement", arity=(1, 2), takes="assocs")
def key_union(ev: Evaluator, args: tuple) -> Any:
    rows = args[0].args if is_list(args[0]) else ()
    ks = list(dict.fromkeys(key(k) for a in rows for k, _ in pairs(a)))
    return lst(from_pairs([(k, lookup(a, k, missing(k))) for k in ks]) for a in rows)


def _key_intersection(ev: Evaluator, args: tuple) -> Any:
    rows = args[0].args if is_list(args[0]) else ()
    common = [k for k, _ in pairs(rows[0]) if all(lookup(a, k) is not None for a in rows)] if rows else []
    return lst(from_pairs([(k, lookup(a, k)) for k in common]) for a in rows)


def _key_complement(ev: Evaluator, args: tuple) -> Any:
    rows = args[0].args if is_list(args[0]) else ()
    gone = {key(k) for a in rows[1:] for k, _ in pairs(a)}
    return from_pairs([(k, v) for k, v in pairs(rows[0]) if key(k) not in gone]) if rows else None


TABLE["KeyIntersection"].handler = _key_intersection
TABLE["KeyComplement"].handler = _key_complement


@builtin("PositionIndex", arity=1)
def position_index(ev: Evaluator, args: tuple) -> Any:
    groups: dict[Any, tuple[Any, list[Any]]] = {}
    rows = pairs(args[0]) if is_assoc(args[0]) else enumerate(elements(args[0]) or (), 1)
    for i, a in rows:
        groups.setdefault(key(a), (a, []))[1].append(i)
    return from_pairs([(k, lst(v)) for k, v in groups.values()])


symbols(TABLE, "Query")
_DESCENDING = {
    S.Select,
    S.SelectFirst,
    S.SortBy,
    S.GroupBy,
    S.TakeLargestBy,
    S.TakeSmallestBy,
    S.DeleteDuplicatesBy,
    S.KeyTake,
    S.KeyDrop,
}


def _query(ev: Evaluator, steps: tuple, data: Any) -> Any:
    if not steps:
        return data
    first, rest = steps[0], steps[1:]
    below = (lambda d: with_values(d, [_query(ev, rest, v) for v in values_of(d) or ()])) if rest else (lambda d: d)
    if first is S.All:
        return below(data)
    if type(first) is int:
        return _query(ev, rest, ev.call(S.Part, data, first))
    if type(first) is str or (type(first) is Expr and first.head is S.Key):
        k = first if type(first) is str else first.args[0]
        return _query(ev, rest, lookup(data, k, missing(k)) if is_assoc(data) else ev.call(S.Part, data, first))
    if type(first) is Expr and first.head in (S.List, S.Span) and not any(is_rule(a) for a in first.args):
        return below(ev.call(S.Part, data, first))
    if type(first) is Expr and first.head in _DESCENDING:
        return below(ev.call(first, data))
    return ev.call(first, below(data))


@sub_handler("Query")
def _run_query(ev: Evaluator, head: Expr, args: tuple) -> Any:
    return _query(ev, head.args, args[0]) if len(args) == 1 else None


@builtin("JoinAcross", arity=3, takes="assocs assocs")
def join_across(ev: Evaluator, args: tuple) -> Any:
    """Inner join of two lists of associations on one key or a list of keys."""
    left, right, on = args
    keys = on.args if is_list(on) else (on,)
    keys = tuple(k.args[0] if type(k) is Expr and k.head is S.Key else k for k in keys)
    ev.need_length(len(left.args) * max(1, len(right.args)))
    out = []
    for a in left.args:
        for b in right.args:
            ev.step()
            if all(lookup(a, k) is not None and lookup(a, k) == lookup(b, k) for k in keys):
                out.append(from_pairs([(k, lookup(a, k)) for k in keys]
                                      + [p for p in (*pairs(a), *pairs(b)) if p[0] not in keys]))  # fmt: skip
    return lst(out)
