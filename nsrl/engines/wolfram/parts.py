"""Part extraction and assignment, level specifications, position lists, Take and Drop ranges."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from nsrl.engines.result import Status
from nsrl.engines.wolfram.assoc import from_pairs, from_rules, is_assoc, lookup, missing, pairs
from nsrl.engines.wolfram.errors import LimitReached
from nsrl.engines.wolfram.expr import LIST, RULE, Expr, S, Symbol, mk

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

_ASSOC = S.Association
MAX_VISITS = 2_500_000  # weighted by depth: a tree with shared parts can have more subtrees than steps would ever count


class PartError(Exception):
    """tag, text of a Part message."""

    def __init__(self, tag: str, text: str):
        super().__init__(text)
        self.tag, self.text = tag, text


def span_range(span: Expr, size: int) -> list[int]:
    """Positions (0-based) of a Span over `size` elements. Raises PartError where it leaves them."""
    a: Any = span.args
    step = a[2] if len(a) > 2 else 1
    if type(step) is not int or step == 0:
        raise PartError("span", "")
    low = a[0] if a[0] is not S.All else 1
    high = a[1] if len(a) > 1 and a[1] is not S.All else size if step > 0 else 1
    if a[0] is S.All and step < 0:
        low = size
    if type(low) is not int or type(high) is not int:
        raise PartError("span", "")
    i = low - 1 if low > 0 else size + low
    j = high - 1 if high > 0 else size + high
    if step > 0:
        if i < 0 or j >= size or i > j + 1 or i > size:
            raise PartError("take", f"positions {low} through {high}")
        return list(range(i, j + 1, step))
    if i >= size or j < 0 or (low == 0):
        raise PartError("take", f"positions {low} through {high}")
    return list(range(i, j - 1, step))


def _pick(ev: Evaluator, e: Expr, i: Any) -> Any:
    """One element by integer or key."""
    if type(i) is int:
        if i == 0:
            return e.head
        n = len(e.args)
        if -n <= i <= n:
            a = e.args[i - 1 if i > 0 else i]
            return a.args[1] if e.head is _ASSOC else a
        raise PartError("partw", "")
    if e.head is _ASSOC:
        k = i.args[0] if type(i) is Expr and i.head is S.Key else i
        v = lookup(e, k)
        return missing(k) if v is None else v
    raise PartError("pkspec1" if type(i) is not str else "partw", "")


def get_part(ev: Evaluator, e: Any, specs: list[Any], whole: Any = None) -> Any:
    """e[[specs...]]. Raises PartError."""
    if not specs:
        return e
    first, rest = specs[0], specs[1:]
    if type(e) is not Expr or e.head is S.Complex:
        if type(first) is int and first == 0:
            from nsrl.engines.wolfram.pattern import head_of

            return get_part(ev, head_of(e), rest)
        raise PartError("partd", "")
    t = type(first)
    if t is int or t is str or (t is Expr and first.head is S.Key):
        return get_part(ev, _pick(ev, e, first), rest)
    if first is S.All:
        chosen = list(range(len(e.args)))
    elif t is Expr and first.head is S.Span:
        chosen = span_range(first, len(e.args))
    elif t is Expr and first.head is LIST:
        if e.head is _ASSOC:
            ks = [k.args[0] if type(k) is Expr and k.head is S.Key else k for k in first.args]
            rows = []
            for k in ks:
                if type(k) is int:
                    _pick(ev, e, k)
                    rows.append(pairs(e)[k - 1 if k > 0 else k])
                else:
                    v = lookup(e, k)
                    rows.append((k, missing(k) if v is None else v))
            return from_pairs([(k, get_part(ev, v, rest)) for k, v in rows])
        return Expr(e.head, tuple([get_part(ev, _pick(ev, e, i), rest) for i in first.args]))
    else:
        raise PartError("pkspec1", "")
    if e.head is _ASSOC:
        table = pairs(e)
        return from_pairs([(table[i][0], get_part(ev, table[i][1], rest)) for i in chosen])
    return Expr(e.head, tuple([get_part(ev, e.args[i], rest) for i in chosen]))


def part(ev: Evaluator, e: Any, specs: tuple) -> Any:
    """Part with its messages; None where it stays as it is."""
    try:
        return get_part(ev, e, list(specs))
    except PartError as err:
        shown = ", ".join(ev.text(s) for s in specs)
        if err.tag == "partw":
            size_of = e
            ev.message(
                "Part",
                "partw",
                f"Part {shown if len(specs) == 1 else '{' + shown + '}'} of {ev.text(size_of)} does not exist.",
            )
        elif err.tag == "partd":
            ev.message("Part", "partd", f"Part specification {ev.text(e)}[[{shown}]] is longer than depth of object.")
        elif err.tag == "take":
            ev.message("Part", "take", f"Cannot take {err.text} in {ev.text(e)}.")
        elif err.tag == "span":
            ev.message("Part", "span", f"{shown} is not a valid Span specification.")
        else:
            ev.message("Part", "pkspec1", f"The expression {shown} cannot be used as a part specification.")
        return None


def set_part(ev: Evaluator, e: Any, specs: list[Any], value: Any) -> Any:
    """e with the part replaced; None after a message."""
    try:
        return set_inside(ev, e, specs, value)
    except PartError:
        shown = ", ".join(ev.text(s) for s in specs)
        ev.message(
            "Set", "partw", f"Part {shown if len(specs) == 1 else '{' + shown + '}'} of {ev.text(e)} does not exist."
        )
        return None


def set_inside(ev: Evaluator, e: Any, specs: list[Any], value: Any) -> Any:
    """The tree with `value` in the place that the specifications name. Raises PartError."""
    if not specs:
        return value
    if type(e) is not Expr:
        raise PartError("partd", "")
    first, rest = specs[0], specs[1:]
    if e.head is _ASSOC and type(first) is not int and first is not S.All:
        k = first.args[0] if type(first) is Expr and first.head is S.Key else first
        old = lookup(e, k)
        if old is None and rest:
            raise PartError("partw", "")
        return from_pairs([*pairs(e), (k, set_inside(ev, old, rest, value))])
    items = list(e.args)

    def put(i: int, v: Any) -> None:
        old = items[i]
        items[i] = (
            Expr(RULE, (old.args[0], set_inside(ev, old.args[1], rest, v)))
            if e.head is _ASSOC
            else set_inside(ev, old, rest, v)
        )

    if type(first) is int:
        if first == 0:
            return Expr(value, e.args)
        if not -len(items) <= first <= len(items):
            raise PartError("partw", "")
        put(first - 1 if first > 0 else first, value)
        return Expr(e.head, tuple(items))
    if first is S.All:
        chosen = list(range(len(items)))
    elif type(first) is Expr and first.head is S.Span:
        chosen = span_range(first, len(items))
    elif (
        type(first) is Expr
        and first.head is LIST
        and all(type(i) is int and 0 < abs(i) <= len(items) for i in first.args)
    ):
        chosen = [i - 1 if i > 0 else len(items) + i for i in first.args]
    else:
        raise PartError("partw", "")
    many = type(value) is Expr and value.head is LIST and len(value.args) == len(chosen)
    for n, i in enumerate(chosen):
        put(i, value.args[n] if many else value)
    return Expr(e.head, tuple(items))


# -- levels ----------------------------------------------------------------------------------------------------------
def level_range(spec: Any) -> tuple[int, int] | None:
    """(least, most) of a level specification; negative numbers count from the leaves; None if it is none."""
    inf = 10**9
    if type(spec) is int:
        return 1, spec
    if spec in (S.Infinity, S.All) if type(spec) is Symbol else False:
        return (0 if spec is S.All else 1), inf
    if type(spec) is Expr and spec.head is LIST and len(spec.args) in (1, 2):
        ends = [inf if a is S.Infinity else a for a in spec.args]
        if all(type(a) is int for a in ends):
            return (ends[0], ends[0]) if len(ends) == 1 else (ends[0], ends[1])
    return None


def depth(e: Any) -> int:
    """Depth[e]: 1 for atoms."""
    seen: dict[int, int] = {}  # shared subtrees are measured once

    def go(x: Any) -> int:
        if type(x) is not Expr or x.head is S.Complex:
            return 1
        known = seen.get(id(x))
        if known is None:
            args = [r.args[1] for r in x.args] if is_assoc(x) else x.args
            known = seen[id(x)] = 1 + max(map(go, args)) if args else 2
        return known

    return go(e)


def at_level(e: Any, level: int, low: int, high: int) -> bool:
    """Whether e, standing at `level`, is within (low, high)."""
    if low >= 0 and high >= 0:
        return low <= level <= high
    d = -depth(e)
    above = level >= low if low >= 0 else d >= low
    below = level <= high if high >= 0 else d <= high
    return above and below


def children(e: Expr) -> list[tuple[Any, Any]]:
    """(position, element) of each element; an association's positions are Key[k]."""
    if is_assoc(e):
        return [(mk(S.Key, r.args[0]), r.args[1]) for r in e.args]
    return list(enumerate(e.args, 1))


def walk(e: Any, low: int, high: int, heads: bool = False) -> Iterator[tuple[tuple, Any]]:
    """(position, subtree) within the levels, leaves first, as Level and Cases go. Raises LimitReached past
    MAX_VISITS."""
    visits = 0

    def go(x: Any, level: int, at: tuple) -> Iterator[tuple[tuple, Any]]:
        nonlocal visits
        visits += 1 + level
        if visits > MAX_VISITS:
            raise LimitReached(Status.TIMEOUT, "visited subtrees")
        if type(x) is Expr and x.head is not S.Complex and (high < 0 or level < high):
            if heads:
                yield from go(x.head, level + 1, (*at, 0))
            for i, a in children(x):
                yield from go(a, level + 1, (*at, i))
        if at_level(x, level, low, high):
            yield at, x

    return go(e, 0, ())


def map_levels(e: Any, f: Any, low: int, high: int, heads: bool = False) -> Any:
    """e with f (a Python function of the subtree) applied at the levels, leaves first."""

    def go(x: Any, level: int) -> Any:
        out = x
        if type(x) is Expr and x.head is not S.Complex and (high < 0 or level < high):
            if is_assoc(x):
                out = from_rules([Expr(r.head, (r.args[0], go(r.args[1], level + 1))) for r in x.args])
            else:
                head = go(x.head, level + 1) if heads else x.head
                out = Expr(head, tuple([go(a, level + 1) for a in x.args]))
        return f(out) if at_level(x, level, low, high) else out

    return go(e, 0)


def positions_spec(spec: Any) -> list[tuple]:
    """{1, {2}, {{1}, {2, 3}}}-style positions as tuples."""
    if type(spec) is not Expr or spec.head is not LIST:
        return [(spec,)]
    if spec.args and all(type(a) is Expr and a.head is LIST for a in spec.args):
        return [a.args for a in spec.args]
    return [spec.args]


def take_range(spec: Any, size: int) -> list[int] | None:
    """0-based positions of a Take specification (n, -n, {n}, {m, n}, {m, n, s}, UpTo[n], a Span, All); None if out of
    range."""
    if spec is S.All:
        return list(range(size))
    if type(spec) is Expr and spec.head is S.Span:
        try:
            return span_range(spec, size)
        except PartError:
            return None
    if type(spec) is Expr and spec.head is S.UpTo and len(spec.args) == 1:
        n = size if spec.args[0] is S.Infinity else spec.args[0]
        return list(range(min(n, size))) if type(n) is int else None
    if type(spec) is int:
        if abs(spec) > size:
            return None
        return list(range(spec)) if spec >= 0 else list(range(size + spec, size))
    if type(spec) is Expr and spec.head is LIST and 1 <= len(spec.args) <= 3:
        ends = [size if a is S.All else a for a in spec.args]
        if not all(type(a) is int for a in ends):
            return None
        if len(ends) == 1:
            i = ends[0]
            return [i - 1 if i > 0 else size + i] if 0 < abs(i) <= size else None
        step = ends[2] if len(ends) == 3 else 1
        i, j = (x - 1 if x > 0 else size + x for x in ends[:2])
        if step == 0 or not (0 <= i <= size and -1 <= j < size):
            return None
        if step > 0 and i > j + 1:
            return None
        return list(range(i, j + 1, step)) if step > 0 else list(range(i, j - 1, step))
    return None
