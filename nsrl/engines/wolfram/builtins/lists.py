"""T3: making lists and taking them apart: Table, Range, Part, Take, Join, Flatten, Sort, Union..."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import cmp_to_key
from typing import Any

from nsrl.engines.wolfram.assoc import from_pairs, from_rules, is_assoc, pairs, rules_of, values_of
from nsrl.engines.wolfram.errors import BreakFlow, ContinueFlow
from nsrl.engines.wolfram.expr import (
    FALSE,
    LIST,
    NULL,
    RULE,
    TRUE,
    Expr,
    S,
    Symbol,
    boolean,
    is_list,
    key,
    lst,
    mk,
    same,
)
from nsrl.engines.wolfram.iterators import arithmetic, bind_iterator, iterator
from nsrl.engines.wolfram.order import compare, is_sorted, sort
from nsrl.engines.wolfram.parts import depth, part, positions_spec, take_range
from nsrl.engines.wolfram.table import Builtin, table

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
_ASSOC = S.Association
_NOTHING = S.Nothing


def elements(e: Any) -> tuple | None:
    """The elements of a list or any compound tree, the values of an association; None for atoms."""
    if type(e) is not Expr or e.head is S.Complex:
        return None
    return tuple([r.args[1] for r in e.args]) if e.head is _ASSOC and is_assoc(e) else e.args


def not_list(ev: Any, name: str, args: tuple, position: int = 1) -> None:
    """The message `normal`: a compound tree was expected."""
    ev.message(name, "normal", f"Nonatomic expression expected at position {position} in {ev.text(Expr(getattr(S, name), args))}.")


# -- making --------------------------------------------------------------------------------------------------------
@builtin("List", "Locked")
def list_(ev: Any, args: tuple) -> Any:
    for a in args:
        if a is _NOTHING:
            return lst(a for a in args if a is not _NOTHING)
    return None


@builtin("Table", "HoldAll", arity=(1, None))
def table_(ev: Any, args: tuple) -> Any:
    return _tabulate(ev, "Table", args[0], args[1:])


def _tabulate(ev: Any, name: str, body: Any, specs: tuple) -> Any:
    if not specs:
        return body
    it = iterator(ev, name, specs[0])
    if it is None:
        return None
    out: list[Any] = []
    rest = specs[1:]
    with bind_iterator(ev, it) as assign:
        for v in it.values:
            ev.steps += 1
            assign(v)
            try:
                row = _tabulate(ev, name, body, rest) if rest else ev.eval(body)
            except ContinueFlow:
                continue
            except BreakFlow:
                break
            if row is None:
                return None
            if type(row) is Expr and row.head is S.Sequence:
                out.extend(row.args)
            elif row is not S.Nothing:
                out.append(row)
    return lst(out)


@builtin("Range", "Listable", arity=(1, 3))
def range_(ev: Any, args: tuple) -> Any:
    low, high, step = (1, args[0], 1) if len(args) == 1 else (args[0], args[1], args[2] if len(args) == 3 else 1)
    made = arithmetic(ev, low, high, step)
    if made is None:
        ev.message("Range", "range", f"Range specification in {ev.text(Expr(S.Range, args))} does not have appropriate bounds.")
        return None
    ev.need_length(made[1])
    return lst(made[0])


@builtin("ConstantArray", arity=2)
def constant_array(ev: Any, args: tuple) -> Any:
    dims = args[1].args if is_list(args[1]) else (args[1],)
    if not all(type(d) is int and d >= 0 for d in dims):
        return None
    size = 1
    for d in dims:
        size *= d
        ev.need_length(size)
    out = args[0]
    for d in reversed(dims):
        out = Expr(LIST, (out,) * d)
    return out


@builtin("Array", arity=(2, 4))
def array(ev: Any, args: tuple) -> Any:
    f, dims = args[0], args[1].args if is_list(args[1]) else (args[1],)
    origins = args[2].args if len(args) > 2 and is_list(args[2]) else (args[2] if len(args) > 2 else 1,) * len(dims)
    if not all(type(d) is int and d >= 0 for d in dims):
        return None
    if len(args) > 2 and is_list(args[2]) and len(dims) == 1 and len(origins) == 2:
        low, high = origins
        n = dims[0]
        width = ev.call(S.Subtract, high, low)
        return lst(ev.call(f, ev.call(S.Plus, low, mk(S.Times, k, width, mk(S.Power, n - 1, -1)))) for k in range(n))
    size = 1
    for d in dims:
        size *= d
        ev.need_length(size)

    def build(at: tuple) -> Any:
        if len(at) == len(dims):
            ev.step()
            return ev.call(f, *at)
        o = origins[len(at)]
        return lst(build((*at, ev.call(S.Plus, o, i))) for i in range(dims[len(at)]))

    return build(())


@builtin("Tuples", arity=(1, 2))
def tuples(ev: Any, args: tuple) -> Any:
    from itertools import product

    first = elements(args[0])
    if first is None:
        return None
    if len(args) == 2:
        if type(args[1]) is not int or args[1] < 0:
            return None
        pools, head = [first] * args[1], args[0].head
    else:
        pools, head = [elements(a) or () for a in first], LIST
    size = 1
    for p in pools:
        size *= len(p)
        ev.need_length(size)
    return lst(Expr(head if head is not _ASSOC else LIST, t) for t in product(*pools))


@builtin("Subsets", arity=(1, 3))
def subsets(ev: Any, args: tuple) -> Any:
    from itertools import combinations, islice

    items = elements(args[0])
    if items is None:
        return None
    low, high, step = 0, len(items), 1
    if len(args) > 1:
        spec = args[1]
        if type(spec) is int:
            high = min(spec, high)
        elif is_list(spec) and all(type(a) is int or a is S.Infinity for a in spec.args):
            ends = [len(items) if a is S.Infinity else a for a in spec.args]
            low, high = (ends[0], ends[0]) if len(ends) == 1 else ends[:2]
            step = ends[2] if len(ends) == 3 else 1
        elif spec is not S.All:
            return None
    limit = None
    if len(args) == 3:
        limit = args[2] if type(args[2]) is int else args[2].args[0] if is_list(args[2]) else None
    import math

    sizes = [k for k in range(low, high + (1 if step > 0 else -1), step) if 0 <= k <= len(items)]
    total = sum(math.comb(len(items), k) for k in sizes)
    ev.need_length(total if limit is None or is_list(args[2]) else min(total, limit))
    rows = (Expr(args[0].head, c) for k in sizes for c in combinations(items, k))
    if len(args) == 3 and is_list(args[2]):
        return lst(list(islice(rows, limit))[limit - 1 : limit])
    return lst(islice(rows, limit))


@builtin("Permutations", arity=(1, 2))
def permutations_(ev: Any, args: tuple) -> Any:
    from itertools import permutations
    from math import perm

    items = elements(args[0])
    if items is None:
        return None
    n = len(items)
    sizes = [n]
    if len(args) > 1:
        spec = args[1]
        if type(spec) is int:
            sizes = list(range(0, min(spec, n) + 1))
        elif spec is S.All:
            sizes = list(range(n + 1))
        elif is_list(spec) and all(type(a) is int for a in spec.args):
            a = spec.args
            sizes = [a[0]] if len(a) == 1 else list(range(a[0], a[1] + 1, a[2] if len(a) > 2 else 1))
    # equal elements are interchangeable: work on indices of first occurrence
    first: dict[Any, int] = {}
    ids = [first.setdefault(key(x), i) for i, x in enumerate(items)]
    out: list[Any] = []
    for k in sizes:
        if k > n:
            continue
        ev.need_length(perm(n, k) if len(first) == n else min(perm(n, k), 10**7))
        seen: set[tuple] = set()
        for p in permutations(ids, k):
            if len(first) < n:
                if p in seen:
                    continue
                seen.add(p)
                ev.step()
            out.append(Expr(args[0].head, tuple([items[i] for i in p])))
    return lst(out)


# -- parts -----------------------------------------------------------------------------------------------------------
@builtin("Part", arity=(1, None))
def part_(ev: Any, args: tuple) -> Any:
    if len(args) == 1:
        return args[0]
    if type(args[0]) is Symbol or (type(args[0]) is Expr and not args[0].args and args[0].head not in (LIST, _ASSOC)):
        specs = ", ".join(ev.text(s) for s in args[1:])
        ev.message("Part", "partd", f"Part specification {ev.text(args[0])}[[{specs}]] is longer than depth of object.")
        return None
    return part(ev, args[0], args[1:])


@builtin("Length", arity=1)
def length(ev: Any, args: tuple) -> Any:
    e = args[0]
    return len(e.args) if type(e) is Expr and e.head is not S.Complex else 0


@builtin("Depth", arity=1)
def depth_(ev: Any, args: tuple) -> Any:
    return depth(args[0])


@builtin("LeafCount", arity=1)
def leaf_count(ev: Any, args: tuple) -> Any:
    from fractions import Fraction

    def count(e: Any) -> int:
        ev.step()
        if type(e) is Fraction:
            return 3
        return count(e.head) + sum(map(count, e.args)) if type(e) is Expr else 1

    return count(args[0])


def _end(name: str, index: int, rest: Callable[[tuple], tuple] | None) -> None:
    @builtin(name, "HoldRest Protected" if rest is None else "Protected", arity=(1, 2) if rest is None else 1)
    def take_end(ev: Any, args: tuple) -> Any:
        e = args[0]
        items = elements(e)
        if items is None:
            ev.message(name, "normal", f"Nonatomic expression expected at position 1 in {ev.text(Expr(getattr(S, name), args))}.")
            return None
        if not items:
            if rest is None and len(args) == 2:
                return args[1]
            if rest is None:
                ev.message(name, "nofirst" if name == "First" else "nolast", f"{ev.text(e)} has zero length and no {name.lower()} element.")
            else:
                what = "without the first element" if name == "Rest" else "without the last element"
                ev.message(name, "norest" if name == "Rest" else "nomost", f"Cannot take {name} of expression {ev.text(e)} with length zero."
                           if what else "")  # fmt: skip
            return None
        return items[index] if rest is None else Expr(e.head, rest(e.args))


_end("First", 0, None)
_end("Last", -1, None)
_end("Rest", 0, lambda a: a[1:])
_end("Most", 0, lambda a: a[:-1])


def _range_of(ev: Any, name: str, e: Any, spec: Any, args: tuple) -> list[int] | None:
    chosen = take_range(spec, len(e.args))
    if chosen is None:
        if type(spec) is int:
            what = f"positions 1 through {spec}" if spec > 0 else f"positions {spec} through -1"
        elif is_list(spec) and len(spec.args) == 1:
            what = f"positions {ev.text(spec.args[0])} through {ev.text(spec.args[0])}"
        elif is_list(spec) and len(spec.args) > 1:
            what = f"positions {ev.text(spec.args[0])} through {ev.text(spec.args[1])}"
        else:
            what = None
        tag = "take" if name == "Take" else "drop"
        if what:
            ev.message(name, tag, f"Cannot {tag} {what} in {ev.text(e)}.")
        else:
            ev.message(name, "seqs", f"Sequence specification (+n, -n, {{+n}}, {{-n}}, {{m, n}}, or {{m, n, s}}) expected at position 2 in {ev.text(Expr(getattr(S, name), args))}.")
    return chosen


@builtin("Take", arity=(1, None))
def take(ev: Any, args: tuple) -> Any:
    e = args[0]
    if type(e) is not Expr:
        return not_list(ev, "Take", args) if len(args) > 1 else None
    if len(args) == 1:
        return e
    chosen = _range_of(ev, "Take", e, args[1], args)
    if chosen is None:
        return None
    out = [e.args[i] for i in chosen]
    if len(args) > 2:
        out = [ev.call(S.Take, a, *args[2:]) for a in out]
    return Expr(e.head, tuple(out))


@builtin("Drop", arity=(1, None))
def drop(ev: Any, args: tuple) -> Any:
    e = args[0]
    if type(e) is not Expr:
        return not_list(ev, "Drop", args) if len(args) > 1 else None
    if len(args) == 1:
        return e
    spec = args[1]
    chosen = [] if spec is NULL or (type(spec) is Symbol and spec.name == "None") else _range_of(ev, "Drop", e, spec, args)
    if chosen is None:
        return None
    gone = set(chosen)
    out = [a for i, a in enumerate(e.args) if i not in gone]
    if len(args) > 2:
        out = [ev.call(S.Drop, a, *args[2:]) for a in out]
    return Expr(e.head, tuple(out))


@builtin("TakeDrop", arity=2)
def take_drop(ev: Any, args: tuple) -> Any:
    return lst((ev.call(S.Take, *args), ev.call(S.Drop, *args)))


@builtin("Extract", arity=(2, 3))
def extract(ev: Any, args: tuple) -> Any:
    e, spec = args[0], args[1]
    many = is_list(spec) and spec.args and all(is_list(a) for a in spec.args)
    found = [ev.call(S.Part, e, *p) for p in positions_spec(spec)]
    if len(args) == 3:
        found = [ev.call(args[2], x) for x in found]
    return lst(found) if many else found[0]


def _at_end(name: str, front: bool) -> None:
    @builtin(name, arity=(1, 2), operator="prepend")
    def put(ev: Any, args: tuple) -> Any:
        if len(args) == 1:
            return None
        e, x = args
        if type(e) is not Expr:
            return not_list(ev, name, args)
        ev.need_length(len(e.args) + 1)
        if e.head is _ASSOC:
            new = rules_of(x)
            if new is None:
                return None
            if front:
                ks = {key(r.args[0]) for r in new}
                return from_rules([*new, *[r for r in e.args if key(r.args[0]) not in ks]])
            return from_rules([*e.args, *new])
        return Expr(e.head, (x, *e.args) if front else (*e.args, x))


_at_end("Append", False)
_at_end("Prepend", True)


@builtin("Join", "Flat OneIdentity")
def join(ev: Any, args: tuple) -> Any:
    if not args:
        return lst(())
    level = args[-1] if type(args[-1]) is int and len(args) > 1 else 1
    if type(args[-1]) is int and len(args) > 1:
        args = args[:-1]
    if any(type(a) is not Expr for a in args):
        bad = next(i for i, a in enumerate(args) if type(a) is not Expr)
        ev.message("Join", "normal", f"Nonatomic expression expected at position {bad + 1} in {ev.text(Expr(S.Join, args))}.")
        return None
    if level > 1:
        rows = max(len(a.args) for a in args)
        return lst(ev.call(S.Join, *[a.args[i] for a in args if i < len(a.args)], *([level - 1] if level > 2 else [])) for i in range(rows))
    head = args[0].head
    if any(a.head is not head and a.head != head for a in args):
        ev.message("Join", "heads", f"Heads {ev.text(args[0].head)} and {ev.text(next(a.head for a in args if a.head != head))} are expected to be the same.")
        return None
    ev.need_length(sum(len(a.args) for a in args))
    out = [x for a in args for x in a.args]
    return from_rules(out) if head is _ASSOC else Expr(head, tuple(out))


@builtin("Catenate", arity=1)
def catenate(ev: Any, args: tuple) -> Any:
    items = elements(args[0])
    if items is None:
        return None
    return lst(x for a in items for x in (elements(a) or ()))


@builtin("Insert", arity=(2, 3))
def insert(ev: Any, args: tuple) -> Any:
    if len(args) == 2 or type(args[0]) is not Expr:
        return None
    e, x, spec = args
    if is_list(spec) and spec.args and all(is_list(a) for a in spec.args):
        spots = sorted((a.args[0] if a.args[0] > 0 else len(e.args) + a.args[0] + 2 for a in spec.args), reverse=True)
        items = list(e.args)
        for i in spots:
            items.insert(i - 1, x)
        return Expr(e.head, tuple(items))
    if is_list(spec) and len(spec.args) > 1:
        i = spec.args[0]
        items = list(e.args)
        at = i - 1 if i > 0 else len(items) + i
        items[at] = ev.call(S.Insert, items[at], x, lst(spec.args[1:]) if len(spec.args) > 2 else spec.args[1])
        return Expr(e.head, tuple(items))
    i = spec.args[0] if is_list(spec) else spec
    n = len(e.args)
    if type(i) is not int or i == 0 or abs(i) > n + 1:
        ev.message("Insert", "ins", f"Cannot insert at position {ev.text(spec)} in {ev.text(e)}.")
        return None
    at = i - 1 if i > 0 else n + i + 1
    return Expr(e.head, (*e.args[:at], x, *e.args[at:]))


@builtin("Delete", arity=(1, 2), operator="prepend")
def delete(ev: Any, args: tuple) -> Any:
    if len(args) == 1 or type(args[0]) is not Expr:
        return None
    e = args[0]
    todo = positions_spec(args[1])
    if e.head is _ASSOC and not all(type(p[0]) is int for p in todo):
        return ev.call(S.KeyDrop, e, lst(p[0].args[0] if type(p[0]) is Expr else p[0] for p in todo))
    flat = {p[0] if p[0] > 0 else len(e.args) + p[0] + 1 for p in todo if len(p) == 1 and type(p[0]) is int}
    if any(not 1 <= i <= len(e.args) for i in flat):
        ev.message("Delete", "partw", f"Part {ev.text(args[1])} of {ev.text(e)} does not exist.")
        return None
    items = list(e.args)
    for p in todo:
        if len(p) > 1 and type(p[0]) is int:
            at = p[0] - 1 if p[0] > 0 else len(items) + p[0]
            items[at] = ev.call(S.Delete, items[at], lst(p[1:]))
    return Expr(e.head, tuple([a for i, a in enumerate(items, 1) if i not in flat]))


@builtin("ReplacePart", arity=(1, 2), operator="prepend")
def replace_part(ev: Any, args: tuple) -> Any:
    from nsrl.engines.wolfram.parts import _set
    from nsrl.engines.wolfram.pattern import has_pattern, match
    from nsrl.engines.wolfram.subst import bind

    if len(args) == 1:
        return None
    e, rules = args[0], rules_of(args[1])
    if rules is None:
        return None
    for r in rules:
        left = r.args[0]
        if has_pattern(left):
            for i in range(1, len(e.args) + 1):
                b = match(ev, i, left)
                b = match(ev, lst((i,)), left) if b is None else b
                if b is not None:
                    e = _set(ev, e, [i], ev.eval(bind(r.args[1], b)))
            continue
        for p in positions_spec(left):
            changed = ev_set(ev, e, list(p), ev.eval(r.args[1]))
            e = e if changed is None else changed
    return e


def ev_set(ev: Any, e: Any, at: list[Any], value: Any) -> Any:
    """The tree with one part replaced, or None where there is no such part."""
    from nsrl.engines.wolfram.parts import PartError, _set

    try:
        return _set(ev, e, at, value)
    except PartError:
        return None


# -- rearranging -----------------------------------------------------------------------------------------------------
@builtin("Reverse", arity=(1, 2))
def reverse(ev: Any, args: tuple) -> Any:
    e = args[0]
    if type(e) is not Expr:
        return not_list(ev, "Reverse", args)
    if len(args) == 2:
        levels = args[1].args if is_list(args[1]) else (args[1],)

        def go(x: Any, level: int) -> Any:
            if type(x) is not Expr or level > max(levels):
                return x
            items = [go(a, level + 1) for a in x.args]
            return Expr(x.head, tuple(items[::-1] if level in levels else items))

        return go(e, 1) if all(type(i) is int for i in levels) else None
    return Expr(e.head, e.args[::-1])


def _rotate(name: str, direction: int) -> None:
    @builtin(name, arity=(1, 2))
    def rotate(ev: Any, args: tuple) -> Any:
        e, n = args[0], args[1] if len(args) > 1 else 1
        if type(e) is not Expr:
            return not_list(ev, name, args)
        if is_list(n) and len(n.args) == 2:
            inner = lst(n.args[1:]) if len(n.args) > 2 else n.args[1]
            e, n = Expr(e.head, tuple([ev.call(getattr(S, name), r, inner) for r in e.args])), n.args[0]
        if type(n) is not int or not e.args:
            return e if type(n) is int else None
        k = (direction * n) % len(e.args)
        return Expr(e.head, e.args[k:] + e.args[:k])


_rotate("RotateLeft", 1)
_rotate("RotateRight", -1)


@builtin("Flatten", arity=(1, 3))
def flatten(ev: Any, args: tuple) -> Any:
    e = args[0]
    if type(e) is not Expr:
        return not_list(ev, "Flatten", args)
    if len(args) > 1 and is_list(args[1]):
        if args[1] == lst((lst((2,)), lst((1,)))):
            width = max((len(r.args) for r in e.args if type(r) is Expr), default=0)
            return lst(lst(r.args[j] for r in e.args if j < len(r.args)) for j in range(width))
        levels = sorted(x for x in args[1].args if type(x) is int)
        return ev.call(S.Flatten, e, len(levels) - 1) if levels else None
    level = args[1] if len(args) > 1 else S.Infinity
    head = args[2] if len(args) > 2 else e.head
    most = 10**9 if level is S.Infinity else level
    if type(most) is not int:
        return None
    if e.head is _ASSOC:
        e, head = lst(elements(e) or ()), LIST
    out: list[Any] = []

    def go(items: tuple, left: int) -> None:
        for a in items:
            if left > 0 and type(a) is Expr and (a.head is head or a.head == head):
                go(a.args, left - 1)
            else:
                out.append(a)

    go(e.args, most)
    return Expr(e.head, tuple(out))


@builtin("Partition", arity=(2, 5))
def partition(ev: Any, args: tuple) -> Any:
    e, n = args[0], args[1]
    if type(e) is not Expr:
        return None
    up_to = type(n) is Expr and n.head is S.UpTo
    n = n.args[0] if up_to else n
    if is_list(n) and len(n.args) == 2:
        step = args[2].args if len(args) > 2 and is_list(args[2]) else (args[2], args[2]) if len(args) > 2 else n.args
        outer = ev.call(S.Partition, e, n.args[0], step[0])
        return lst(ev.call(S.Transpose, lst(ev.call(S.Partition, r, n.args[1], step[1]) for r in block.args)) for block in outer.args)
    d = args[2] if len(args) > 2 else n
    if type(n) is not int or type(d) is not int or n <= 0 or d <= 0:
        return None
    items, h = e.args, e.head
    if up_to:
        return lst(Expr(h, items[i : i + n]) for i in range(0, len(items), d))
    if len(args) > 3:
        return _padded_partition(items, h, n, d, args[3], args[4] if len(args) > 4 else None)
    return lst(Expr(h, items[i : i + n]) for i in range(0, len(items) - n + 1, d))


def _padded_partition(items: tuple, h: Any, n: int, d: int, align: Any, pad: Any) -> Any:
    kl, kr = align.args if is_list(align) and len(align.args) == 2 else (align, align)
    if type(kl) is not int or type(kr) is not int or not items:
        return None
    size = len(items)
    start = 1 - kl if kl > 0 else -(n + kl)
    last = size - 1 if kr == 1 else size - kr if kr > 0 else size - (n + kr + 1)
    rows = []
    i = start
    while i <= last:
        row = []
        for j in range(i, i + n):
            if 0 <= j < size:
                row.append(items[j])
            elif pad is None:
                row.append(items[j % size])
            elif is_list(pad):
                if pad.args:
                    row.append(pad.args[j % len(pad.args)])
            else:
                row.append(pad)
        rows.append(Expr(h, tuple(row)))
        i += d
    return lst(rows)


@builtin("Transpose", arity=(1, 2))
def transpose(ev: Any, args: tuple) -> Any:
    e = args[0]
    if not is_list(e) or not e.args or not all(is_list(r) for r in e.args):
        return e if is_list(e) and not e.args else None
    if is_assoc(e.args[0]):
        return None
    n = len(e.args[0].args)
    if any(len(r.args) != n for r in e.args):
        ev.message("Transpose", "nmtx", "The first two levels of " + ev.text(e) + " cannot be transposed.")
        return None
    return lst(lst(c) for c in zip(*[r.args for r in e.args]))


@builtin("Riffle", arity=(2, 3))
def riffle(ev: Any, args: tuple) -> Any:
    items = elements(args[0])
    if items is None:
        return None
    x = args[1]
    if len(args) == 3 and type(args[2]) is int:
        out: list[Any] = []
        n = args[2]
        for i, a in enumerate(items, 1):
            out.append(a)
            if n > 1 and i % (n - 1) == 0 and i < len(items):
                out.append(x)
        return lst(out)
    if is_list(x):
        if len(x.args) == len(items):
            return lst(v for p in zip(items, x.args) for v in p)
        if not x.args:
            return args[0]
        between = [x.args[i % len(x.args)] for i in range(len(items) - 1)]
    else:
        between = [x] * (len(items) - 1)
    out = []
    for i, a in enumerate(items):
        out.append(a)
        if i < len(between):
            out.append(between[i])
    return lst(out)


def _pad(name: str, left: bool) -> None:
    @builtin(name, arity=(1, 4))
    def pad(ev: Any, args: tuple) -> Any:
        e = args[0]
        if type(e) is not Expr:
            return None
        if len(args) == 1:
            width = max((len(r.args) for r in e.args if is_list(r)), default=0)
            return Expr(e.head, tuple([ev.call(getattr(S, name), r, width) if is_list(r) else r for r in e.args]))
        n, x = args[1], args[2] if len(args) > 2 else 0
        if is_list(n):
            rows = e.args
            inner = [ev.call(getattr(S, name), r, n.args[1], *args[2:]) for r in rows]
            blank = lst((x,) * n.args[1])
            missing_rows = [blank] * (n.args[0] - len(inner))
            return lst((missing_rows + inner)[-n.args[0] :] if left else (inner + missing_rows)[: n.args[0]])
        if type(n) is not int:
            return None
        ev.need_length(abs(n))
        margin = args[3] if len(args) > 3 and type(args[3]) is int else 0
        items, h = e.args, e.head
        cycle = x.args if is_list(x) and x.args else (x,)
        take_left = left if n >= 0 else not left
        n = abs(n)
        size = len(items)
        out = []
        # the padding repeats cyclically, anchored so that it tiles up to the margin beside the list
        start = size + margin - n if take_left else -margin
        for j in range(start, start + n):
            out.append(items[j] if 0 <= j < size else cycle[(j if take_left else j - size) % len(cycle)])
        return Expr(h, tuple(out))


_pad("PadLeft", True)
_pad("PadRight", False)


# -- order -----------------------------------------------------------------------------------------------------------
def order_key(ev: Any, p: Any) -> Any:
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
def sort_(ev: Any, args: tuple) -> Any:
    e = args[0]
    if type(e) is not Expr:
        return not_list(ev, "Sort", args)
    if e.head is _ASSOC and is_assoc(e):
        k = (lambda r: cmp_to_key(compare)(r.args[1])) if len(args) == 1 else (lambda r, f=order_key(ev, args[1]): f(r.args[1]))
        return from_rules(sorted(e.args, key=k))
    if len(args) == 1:
        return Expr(e.head, tuple(sort(e.args)))
    return Expr(e.head, tuple(sorted(e.args, key=order_key(ev, args[1]))))


@builtin("ReverseSort", arity=(1, 2))
def reverse_sort(ev: Any, args: tuple) -> Any:
    r = sort_(ev, args)
    return None if r is None else Expr(r.head, r.args[::-1])


def _by(ev: Any, e: Expr, f: Any) -> list[tuple[Any, Any]]:
    """(f[value], element) pairs; elements of an association are its rules."""
    if e.head is _ASSOC and is_assoc(e):
        return [(ev.call(f, r.args[1]), r) for r in e.args]
    return [(ev.call(f, a), a) for a in e.args]


def sort_by_key(ev: Any, f: Any) -> Callable[[Any], tuple]:
    """A key function for SortBy: f or a list of functions, ties in canonical order."""
    fs = f.args if is_list(f) else (f,)
    return lambda a: tuple([cmp_to_key(compare)(ev.call(g, a)) for g in fs])


@builtin("SortBy ReverseSortBy", arity=(1, 3), operator="prepend")
def sort_by(ev: Any, args: tuple) -> Any:
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


TABLE["ReverseSortBy"].handler = lambda ev, args: None if (r := sort_by(ev, args)) is None else Expr(r.head, r.args[::-1])


@builtin("Ordering", arity=(1, 3))
def ordering(ev: Any, args: tuple) -> Any:
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
def ordered_q(ev: Any, args: tuple) -> Any:
    items = elements(args[0])
    if items is None:
        return None
    if len(args) == 1:
        return boolean(is_sorted(items))
    return boolean(all(ev.call(args[1], a, b) not in (FALSE, -1) for a, b in itertools.pairwise(items)))


@builtin("Order", arity=2)
def order(ev: Any, args: tuple) -> Any:
    return -compare(args[0], args[1])


def _extreme_by(name: str, biggest: bool) -> None:
    @builtin(name, arity=(1, 3), operator="prepend")
    def extreme_by(ev: Any, args: tuple) -> Any:
        if len(args) == 1 or type(args[0]) is not Expr:
            return None
        e = args[0]
        rows = _by(ev, e, args[1])
        if len(args) == 3:
            n = args[2].args[0] if type(args[2]) is Expr and args[2].head is S.UpTo else args[2]
            if type(n) is not int:
                return None
            k = cmp_to_key(lambda a, b: _numeric_compare(ev, a, b))
            rows = sorted(rows, key=lambda r: k(r[0]), reverse=biggest)[:n]
            picked = [a for _, a in rows]
        else:
            if not rows:
                return lst(()) if e.head is LIST else e
            best = rows[0][0]
            for v, _ in rows:
                c = _numeric_compare(ev, v, best)
                if (c > 0) if biggest else (c < 0):
                    best = v
            picked = [a for v, a in rows if _numeric_compare(ev, v, best) == 0]
        return from_rules(picked) if is_assoc(e) and e.head is _ASSOC else Expr(e.head, tuple(picked))


def _numeric_compare(ev: Any, a: Any, b: Any) -> int:
    from nsrl.engines.wolfram.builtins.logic import compare_values

    if is_list(a) and is_list(b) and len(a.args) == len(b.args):
        for x, y in zip(a.args, b.args):
            c = _numeric_compare(ev, x, y)
            if c:
                return c
        return 0
    c = compare_values(ev, a, b)
    return compare(a, b) if c is None else c


_extreme_by("MaximalBy", True)
_extreme_by("MinimalBy", False)


def _take_extremes(name: str, biggest: bool) -> None:
    @builtin(name, arity=(1, 2), operator="prepend")
    def take_extremes(ev: Any, args: tuple) -> Any:
        if len(args) == 1 or type(args[0]) is not Expr:
            return None
        e, n = args
        if type(n) is Expr and n.head is S.UpTo:
            n = min(n.args[0], len(e.args))
        if type(n) is not int or n > len(e.args):
            return None
        k = cmp_to_key(lambda a, b: _numeric_compare(ev, a, b))
        value = (lambda r: k(r.args[1])) if is_assoc(e) else k
        return Expr(e.head, tuple(sorted(e.args, key=value, reverse=biggest)[:n]))


_take_extremes("TakeLargest", True)
_take_extremes("TakeSmallest", False)


def _take_by(name: str, by: str) -> None:
    @builtin(name, arity=3)
    def take_by(ev: Any, args: tuple) -> Any:
        return mk(getattr(S, by), *args)


_take_by("TakeLargestBy", "MaximalBy")
_take_by("TakeSmallestBy", "MinimalBy")


# -- sets --------------------------------------------------------------------------------------------------------------
def unique(ev: Any, items: tuple, test: Any = None) -> list[Any]:
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


@builtin("Union", "Flat OneIdentity")
def union(ev: Any, args: tuple) -> Any:
    args, test = same_test(args)
    if not args:
        return lst(())
    if any(type(a) is not Expr for a in args):
        return None
    return Expr(args[0].head, tuple(sort(unique(ev, tuple([x for a in args for x in a.args]), test))))


@builtin("Intersection", "Flat OneIdentity")
def intersection(ev: Any, args: tuple) -> Any:
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


@builtin("Complement", arity=(1, None))
def complement(ev: Any, args: tuple) -> Any:
    args, test = same_test(args)
    if any(type(a) is not Expr for a in args):
        return None
    if test is None:
        gone = {key(x) for a in args[1:] for x in a.args}
        out = [a for a in unique(ev, args[0].args) if key(a) not in gone]
    else:
        out = [a for a in unique(ev, args[0].args, test) if not any(ev.call(test, a, x) is TRUE for o in args[1:] for x in o.args)]
    return Expr(args[0].head, tuple(sort(out)))


@builtin("SymmetricDifference", arity=(1, None))
def symmetric_difference(ev: Any, args: tuple) -> Any:
    counts: dict[Any, int] = {}
    values: dict[Any, Any] = {}
    for a in args:
        for k, x in {key(x): x for x in elements(a) or ()}.items():
            counts[k] = counts.get(k, 0) + 1
            values[k] = x
    return lst(sort(values[k] for k, n in counts.items() if n % 2))


@builtin("DeleteDuplicates", arity=(1, 2))
def delete_duplicates(ev: Any, args: tuple) -> Any:
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
def delete_duplicates_by(ev: Any, args: tuple) -> Any:
    if len(args) == 1 or type(args[0]) is not Expr:
        return None
    seen: dict[Any, Any] = {}
    for v, a in _by(ev, args[0], args[1]):
        seen.setdefault(key(v), a)
    return Expr(args[0].head, tuple(seen.values()))


@builtin("DuplicateFreeQ", arity=(1, 2))
def duplicate_free_q(ev: Any, args: tuple) -> Any:
    items = elements(args[0])
    return None if items is None else boolean(len(unique(ev, items, args[1] if len(args) > 1 else None)) == len(items))


def _containment(name: str, test: Callable[[set, set], bool]) -> None:
    @builtin(name, arity=(1, 2), operator="prepend")
    def contains(ev: Any, args: tuple) -> Any:
        if len(args) == 1 or type(args[0]) is not Expr or type(args[1]) is not Expr:
            return None
        return boolean(test({key(x) for x in elements(args[0])}, {key(x) for x in elements(args[1])}))


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
def tally(ev: Any, args: tuple) -> Any:
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
def counts(ev: Any, args: tuple) -> Any:
    items = elements(args[0])
    if items is None:
        return None
    return from_pairs([c.args for c in tally(ev, (lst(items),)).args])


@builtin("CountsBy", arity=(1, 2), operator="prepend")
def counts_by(ev: Any, args: tuple) -> Any:
    if len(args) == 1 or elements(args[0]) is None:
        return None
    return counts(ev, (lst(ev.call(args[1], a) for a in elements(args[0])),))


@builtin("CountDistinct", arity=(1, 2))
def count_distinct(ev: Any, args: tuple) -> Any:
    items = elements(args[0])
    return None if items is None else len(unique(ev, items, args[1] if len(args) > 1 else None))


@builtin("CountDistinctBy", arity=2)
def count_distinct_by(ev: Any, args: tuple) -> Any:
    items = elements(args[0])
    return None if items is None else len({key(ev.call(args[1], a)) for a in items})


@builtin("Gather", arity=(1, 2))
def gather(ev: Any, args: tuple) -> Any:
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
def gather_by(ev: Any, args: tuple) -> Any:
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
def split(ev: Any, args: tuple) -> Any:
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
def split_by(ev: Any, args: tuple) -> Any:
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


def listify(e: Any) -> tuple:
    """Elements of a list, or the thing itself as the only one."""
    return values_of(e) or () if is_list(e) else (e,)


@builtin("TakeWhile LengthWhile DropWhile$", arity=(1, 2), operator="prepend")
def take_while(ev: Any, args: tuple) -> Any:
    if len(args) == 1 or elements(args[0]) is None:
        return None
    n = _while(ev, args)
    return Expr(args[0].head, args[0].args[:n])


def _while(ev: Any, args: tuple) -> int:
    n = 0
    for a in elements(args[0]) or ():
        if ev.call(args[1], a) is not TRUE:
            break
        n += 1
    return n


TABLE["LengthWhile"].handler = lambda ev, args: _while(ev, args) if len(args) == 2 else None
del TABLE["DropWhile$"]


def association_pairs(e: Expr) -> list[tuple[Any, Any]]:
    """(key, value) of an association."""
    return pairs(e)
