"""Making lists and taking them apart: Table, Range, Part, Take, Insert, Join, Tuples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.assoc import from_rules, is_assoc, rules_of
from nsrl.engines.wolfram.errors import BreakFlow, ContinueFlow
from nsrl.engines.wolfram.expr import (
    LIST,
    NULL,
    Expr,
    S,
    Symbol,
    is_list,
    key,
    lst,
    mk,
)
from nsrl.engines.wolfram.iterators import arithmetic, bind_iterator, iterator
from nsrl.engines.wolfram.parts import depth, part, positions_spec, take_range
from nsrl.engines.wolfram.table import Builtin, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
_ASSOC = S.Association
_NOTHING = S.Nothing


def elements(e: Any) -> tuple | None:
    """The elements of a list or any compound tree, the values of an association; None for atoms."""
    if type(e) is not Expr or e.head is S.Complex:
        return None
    return tuple([r.args[1] for r in e.args]) if is_assoc(e) else e.args


def not_list(ev: Evaluator, name: str, args: tuple, position: int = 1) -> None:
    """The message `normal`: a compound tree was expected."""
    ev.message(
        name,
        "normal",
        f"Nonatomic expression expected at position {position} in {ev.text(Expr(getattr(S, name), args))}.",
    )


# -- making --------------------------------------------------------------------------------------------------------
@builtin("List", "Locked", data=True)
def list_(ev: Evaluator, args: tuple) -> Any:
    for a in args:
        if a is _NOTHING:
            return lst(a for a in args if a is not _NOTHING)
    return None


@builtin("Table", "HoldAll", arity=(1, None))
def table_(ev: Evaluator, args: tuple) -> Any:
    return _tabulate(ev, "Table", args[0], args[1:])


def _tabulate(ev: Evaluator, name: str, body: Any, specs: tuple) -> Any:
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
def range_(ev: Evaluator, args: tuple) -> Any:
    low, high, step = (1, args[0], 1) if len(args) == 1 else (args[0], args[1], args[2] if len(args) == 3 else 1)
    made = arithmetic(ev, low, high, step)
    if made is None:
        ev.message(
            "Range", "range", f"Range specification in {ev.text(Expr(S.Range, args))} does not have appropriate bounds."
        )
        return None
    ev.need_length(made[1])
    return lst(made[0])


@builtin("ConstantArray", arity=2)
def constant_array(ev: Evaluator, args: tuple) -> Any:
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
def array(ev: Evaluator, args: tuple) -> Any:
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
def tuples(ev: Evaluator, args: tuple) -> Any:
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
def subsets(ev: Evaluator, args: tuple) -> Any:
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


def _distinct(ids: list[int], k: int) -> Iterator[tuple[int, ...]]:
    """The arrangements of k of the elements, each once, in the order of their positions."""
    if k == 0:
        yield ()
        return
    for x in dict.fromkeys(ids):
        at = ids.index(x)
        for p in _distinct([*ids[:at], *ids[at + 1 :]], k - 1):
            yield (x, *p)


@builtin("Permutations", arity=(1, 2))
def permutations_(ev: Evaluator, args: tuple) -> Any:
    from itertools import permutations
    from math import factorial, perm, prod

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
        distinct = len(first) == n
        size = perm(n, k)
        if not distinct and k == n:
            size //= prod(map(factorial, Counter(ids).values()))
        ev.need_length(size if distinct or k == n else min(size, 10**7))
        for p in permutations(ids, k) if distinct else _distinct(ids, k):
            out.append(Expr(args[0].head, tuple([items[i] for i in p])))
    return lst(out)


# -- parts -----------------------------------------------------------------------------------------------------------
@builtin("Part", arity=(1, None), takes="parted")
def part_(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1:
        return args[0]
    if type(args[0]) is Symbol or (type(args[0]) is Expr and not args[0].args and args[0].head not in (LIST, _ASSOC)):
        specs = ", ".join(ev.text(s) for s in args[1:])
        ev.message("Part", "partd", f"Part specification {ev.text(args[0])}[[{specs}]] is longer than depth of object.")
        return None
    return part(ev, args[0], args[1:])


@builtin("Length", arity=1, takes="parted")
def length(ev: Evaluator, args: tuple) -> Any:
    e = args[0]
    return len(e.args) if type(e) is Expr and e.head is not S.Complex else 0


@builtin("Depth", arity=1)
def depth_(ev: Evaluator, args: tuple) -> Any:
    return depth(args[0])


@builtin("LeafCount", arity=1)
def leaf_count(ev: Evaluator, args: tuple) -> Any:
    from fractions import Fraction

    def count(e: Any) -> int:
        ev.step()
        if type(e) is Fraction:
            return 3
        return count(e.head) + sum(map(count, e.args)) if type(e) is Expr else 1

    return count(args[0])


def _end(name: str, index: int, rest: Callable[[tuple], tuple] | None) -> None:
    @builtin(
        name, "HoldRest Protected" if rest is None else "Protected", arity=(1, 2) if rest is None else 1, takes="parted"
    )
    def take_end(ev: Evaluator, args: tuple) -> Any:
        e = args[0]
        items = elements(e)
        if items is None:
            ev.message(
                name,
                "normal",
                f"Nonatomic expression expected at position 1 in {ev.text(Expr(getattr(S, name), args))}.",
            )
            return None
        if not items:
            if rest is None and len(args) == 2:
                return args[1]
            if rest is None:
                ev.message(
                    name,
                    "nofirst" if name == "First" else "nolast",
                    f"{ev.text(e)} has zero length and no {name.lower()} element.",
                )
            else:
                what = "without the first element" if name == "Rest" else "without the last element"
                ev.message(name, "norest" if name == "Rest" else "nomost",
                f"Cannot take {name} of expression {ev.text(e)} with length zero."
                           if what else "")  # fmt: skip
            return None
        return items[index] if rest is None else Expr(e.head, rest(e.args))


_end("First", 0, None)
_end("Last", -1, None)
_end("Rest", 0, lambda a: a[1:])
_end("Most", 0, lambda a: a[:-1])


def _range_of(ev: Evaluator, name: str, e: Any, spec: Any, args: tuple) -> list[int] | None:
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
            forms = "(+n, -n, {+n}, {-n}, {m, n}, or {m, n, s})"
            ev.message(
                name,
                "seqs",
                f"Sequence specification {forms} expected at position 2 in {ev.text(Expr(getattr(S, name), args))}.",
            )
    return chosen


@builtin("Take", arity=(1, None), takes="parted")
def take(ev: Evaluator, args: tuple) -> Any:
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


@builtin("Drop", arity=(1, None), takes="parted")
def drop(ev: Evaluator, args: tuple) -> Any:
    e = args[0]
    if type(e) is not Expr:
        return not_list(ev, "Drop", args) if len(args) > 1 else None
    if len(args) == 1:
        return e
    spec = args[1]
    chosen = (
        [] if spec is NULL or (type(spec) is Symbol and spec.name == "None") else _range_of(ev, "Drop", e, spec, args)
    )
    if chosen is None:
        return None
    gone = set(chosen)
    out = [a for i, a in enumerate(e.args) if i not in gone]
    if len(args) > 2:
        out = [ev.call(S.Drop, a, *args[2:]) for a in out]
    return Expr(e.head, tuple(out))


@builtin("TakeDrop", arity=2)
def take_drop(ev: Evaluator, args: tuple) -> Any:
    return lst((ev.call(S.Take, *args), ev.call(S.Drop, *args)))


@builtin("Extract", arity=(2, 3))
def extract(ev: Evaluator, args: tuple) -> Any:
    e, spec = args[0], args[1]
    many = is_list(spec) and spec.args and all(is_list(a) for a in spec.args)
    found = [ev.call(S.Part, e, *p) for p in positions_spec(spec)]
    if len(args) == 3:
        found = [ev.call(args[2], x) for x in found]
    return lst(found) if many else found[0]


def _at_end(name: str, front: bool) -> None:
    @builtin(name, arity=(1, 2), operator="prepend")
    def put(ev: Evaluator, args: tuple) -> Any:
        if len(args) == 1:
            return None
        e, x = args
        if type(e) is not Expr:
            return not_list(ev, name, args)
        ev.need_length(len(e.args) + 1)
        if is_assoc(e):
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
def join(ev: Evaluator, args: tuple) -> Any:
    if not args:
        return lst(())
    level = args[-1] if type(args[-1]) is int and len(args) > 1 else 1
    if type(args[-1]) is int and len(args) > 1:
        args = args[:-1]
    if any(type(a) is not Expr for a in args):
        bad = next(i for i, a in enumerate(args) if type(a) is not Expr)
        ev.message(
            "Join", "normal", f"Nonatomic expression expected at position {bad + 1} in {ev.text(Expr(S.Join, args))}."
        )
        return None
    if level > 1:
        rows = max(len(a.args) for a in args)
        return lst(
            ev.call(S.Join, *[a.args[i] for a in args if i < len(a.args)], *([level - 1] if level > 2 else []))
            for i in range(rows)
        )
    head = args[0].head
    if any(a.head is not head and a.head != head for a in args):
        ev.message(
            "Join",
            "heads",
            f"Heads {ev.text(args[0].head)} and {ev.text(next(a.head for a in args if a.head != head))} are expected "
            f"to be the same.",
        )
        return None
    ev.need_length(sum(len(a.args) for a in args))
    out = [x for a in args for x in a.args]
    return from_rules(out) if all(map(is_assoc, args)) else Expr(head, tuple(out))


@builtin("Catenate", arity=1)
def catenate(ev: Evaluator, args: tuple) -> Any:
    items = elements(args[0])
    if items is None:
        return None
    return lst(x for a in items for x in (elements(a) or ()))


@builtin("Insert", arity=(2, 3))
def insert(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 2 or type(args[0]) is not Expr:
        return None
    e, x, spec = args
    if not all(type(i) is int and i for p in positions_spec(spec) for i in p):
        return None
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
def delete(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 1 or type(args[0]) is not Expr:
        return None
    e = args[0]
    todo = positions_spec(args[1])
    if is_assoc(e) and not all(type(p[0]) is int for p in todo):
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
def replace_part(ev: Evaluator, args: tuple) -> Any:
    from nsrl.engines.wolfram.parts import set_inside
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
                    e = set_inside(ev, e, [i], ev.eval(bind(r.args[1], b)))
            continue
        for p in positions_spec(left):
            changed = ev_set(ev, e, list(p), ev.eval(r.args[1]))
            e = e if changed is None else changed
    return e


def ev_set(ev: Evaluator, e: Any, at: list[Any], value: Any) -> Any:
    """The tree with one part replaced, or None where there is no such part."""
    from nsrl.engines.wolfram.parts import PartError, set_inside

    try:
        return set_inside(ev, e, at, value)
    except PartError:
        return None
