"""Regions of the real line: what conditions on one symbol leave together, either of them, or one without the other.

A part of a region is an interval or a single point (a Scalar).
"""

from __future__ import annotations

from contextlib import suppress
from functools import cmp_to_key
from itertools import product

from nsrl.answers import labels
from nsrl.answers import tree as tr
from nsrl.answers.tree import INFINITY, neg
from nsrl.answers.values import Interval, Items, Relation, Scalar, Union, Value

MAX_PARTS = 60
LOWEST, HIGHEST = Scalar(neg(INFINITY)), Scalar(INFINITY)
Part = Interval | Scalar


class _Undecided(Exception):
    """Which of two ends comes first depends on a symbol, or the region has too many parts."""


def joined(kind: str, items: list[Value]) -> Value | None:
    """The region of conditions (tidied): "and" all of them, "or" and "bare" any, "minus" the first without the others,
    "bounds" what lies between, or both sides where nothing does. None: they are no conditions on one symbol."""
    empty = [i for i in items if isinstance(i, Items) and i.kind == "brace" and not i.items]
    if empty and (kind == "and" or (kind == "or" and len(empty) == len(items))):
        return empty[0]
    if empty and kind == "or":  # what nothing satisfies adds nothing
        items = [i for i in items if i not in empty]
        if len(items) == 1:
            return items[0]
    unequal = [i for i in items if isinstance(i, Relation) and i.op == "!="]
    if (unequal and kind != "and") or not (
        any(isinstance(i, Interval | Union) for i in items) or len(unequal) == len(items) > 1
    ):
        return None
    listed = [_parts(i, kind != "bare") for i in items]
    parts = [p for p in listed if p is not None]
    if len(parts) < len(listed) or len({p.of for part in parts for p in part if isinstance(p, Interval) and p.of}) > 1:
        return None
    try:
        if kind in ("or", "bare"):
            return union([p for part in parts for p in part])
        if kind == "minus":
            parts[1:] = [_complement(part) for part in parts[1:]]
        met = parts[0]
        for part in parts[1:]:
            met = _meet(met, part)
    except _Undecided:
        return None
    if not met and kind == "bounds":
        return union(items)
    return union([*met]) if met else Items("brace", ())


def without(value: Value) -> Union | None:
    """x != 0 as the two intervals that it leaves; None for anything else."""
    if not (isinstance(value, Relation) and value.op == "!=" and isinstance(value.right, Scalar)) or labels.free(
        value.right
    ):
        return None
    of = labels.name(value.left)
    return (
        Union((Interval(LOWEST, value.right, False, False, of), Interval(value.right, HIGHEST, False, False, of)))
        if of
        else None
    )


def union(parts: list[Value]) -> Value:
    """One value for several parts: sets of numbers as one set, intervals that meet as one."""
    flat: list[Value] = []
    for p in parts:
        flat.extend(p.parts if isinstance(p, Union) else (p,))
    if all(isinstance(p, Items) and p.kind == "brace" for p in flat):
        return Items("brace", tuple(i for p in flat if isinstance(p, Items) for i in p.items))
    listed = [_parts(p, True) for p in flat]
    if len(flat) <= MAX_PARTS and None not in listed and any(isinstance(p, Interval) for p in flat):
        with suppress(_Undecided):
            flat = _merged([p for part in listed if part is not None for p in part])
    return flat[0] if len(flat) == 1 else Union(tuple(flat))


def rising(low: Scalar, high: Scalar) -> bool:
    """Whether the second number is greater for sure."""
    try:
        return _order(low, high) < 0
    except _Undecided:
        return False


def _parts(value: Value, points: bool) -> list[Part] | None:
    """The parts of a condition; points: a number, a set of them or x = 1 are parts as well."""
    if isinstance(value, Relation) and value.op == "!=":
        value = without(value) or value
    if isinstance(value, Interval):
        return [value]
    if isinstance(value, Union):
        found = [_parts(p, True) for p in value.parts]
        return [p for part in found if part is not None for p in part] if None not in found else None
    if isinstance(value, Relation) and value.op == "=" and labels.name(value.left):
        value = value.right
    if isinstance(value, Scalar):
        return [value] if points and not labels.free(value) else None
    if (
        isinstance(value, Items)
        and value.kind == "brace"
        and points
        and all(isinstance(i, Scalar) and not labels.free(i) for i in value.items)
    ):
        return list(value.items)
    return None


def _order(a: Scalar, b: Scalar) -> int:
    """-1, 0 or 1: how two ends lie. Raises `_Undecided`."""
    if a.tree == b.tree:
        return 0
    if a.tree == LOWEST.tree or b.tree == HIGHEST.tree:
        return -1
    if a.tree == HIGHEST.tree or b.tree == LOWEST.tree:
        return 1
    if a.tree[0] == b.tree[0] == "num":
        return (a.tree[1] > b.tree[1]) - (a.tree[1] < b.tree[1])
    if labels.free(a) or labels.free(b):
        raise _Undecided
    try:
        ends = tr.evaluate(a.tree, {}), tr.evaluate(b.tree, {})
    except tr.Undefined:
        raise _Undecided from None
    if tr.close(*ends):
        return 0
    length = tr.as_fraction(ends[0] - ends[1])
    if length is None:
        raise _Undecided
    return -1 if length < 0 else 1


def _meet(one: list[Part], other: list[Part]) -> list[Part]:
    """What lies in both. Raises `_Undecided`."""
    if len(one) * len(other) > MAX_PARTS:
        raise _Undecided
    return [part for a, b in product(one, other) if (part := _common(_closed(a), _closed(b))) is not None]


def _closed(part: Part) -> Interval:
    return part if isinstance(part, Interval) else Interval(part, part, True, True)


def _common(a: Interval, b: Interval) -> Part | None:
    low, low_closed = a.low, a.low_closed
    if (order := _order(a.low, b.low)) <= 0:
        low, low_closed = b.low, b.low_closed and (order < 0 or a.low_closed)
    high, high_closed = a.high, a.high_closed
    if (order := _order(a.high, b.high)) >= 0:
        high, high_closed = b.high, b.high_closed and (order > 0 or a.high_closed)
    if not (labels.free(low) or labels.free(high)) and (order := _order(low, high)) >= 0:
        return low if order == 0 and low_closed and high_closed else None
    return Interval(low, high, low_closed, high_closed, a.of or b.of)


def _merged(parts: list[Part]) -> list[Value]:
    """The parts from left to right, those that overlap or touch as one. Raises `_Undecided`."""
    out: list[Interval] = []
    for part in sorted(
        map(_closed, parts), key=cmp_to_key(lambda a, b: _order(a.low, b.low) or b.low_closed - a.low_closed)
    ):
        order = _order(out[-1].high, part.low) if out else -1
        if order < 0 or (order == 0 and not (out[-1].high_closed or part.low_closed)):
            out.append(part)
            continue
        last = out.pop()
        further = _order(part.high, last.high)
        closed = part.high_closed if further > 0 else last.high_closed or (further == 0 and part.high_closed)
        out.append(
            Interval(last.low, part.high if further > 0 else last.high, last.low_closed, closed, last.of or part.of)
        )
    return [p.low if p.low.tree == p.high.tree else p for p in out]


def _complement(parts: list[Part]) -> list[Part]:
    """All other real numbers. Raises `_Undecided`."""
    rest: list[Part] = [Interval(LOWEST, HIGHEST, False, False)]
    for part in map(_closed, parts):
        sides = [
            Interval(LOWEST, part.low, False, not part.low_closed),
            Interval(part.high, HIGHEST, not part.high_closed, False),
        ]
        rest = _meet(rest, [side for side in sides if side.low.tree != side.high.tree])
    return rest
