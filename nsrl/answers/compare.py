"""Whether two read answers are the same: collections, intervals, equations, ratios and times; scalars next door.

Knows nothing of text, options or models.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import permutations
from typing import Any

from nsrl.answers import labels, regions, work
from nsrl.answers import tree as tr
from nsrl.answers.scalars import NEEDED, POINTS, Outcome, equal_trees, same_scalar
from nsrl.answers.tree import INFINITY, neg, num
from nsrl.answers.units import alike
from nsrl.answers.values import Clock, Interval, Items, Ratio, Relation, Scalar, Union, Value

MAX_ITEMS = 60


def tidy(value: Value) -> Value:
    """One shape for what is written in many: rules and `x = 1 or x = 2` as sets, ± as two values, `[5]` as 5."""
    if isinstance(value, Scalar):
        if tr.has_kind(value.tree, "pm"):
            both = tuple(Scalar(tr.with_sign(value.tree, s), value.places, value.unit) for s in (1, -1))
            return Items("brace", both)
        return value
    if isinstance(value, Relation):
        return _tidy_relation(replace(value, left=tidy(value.left), right=tidy(value.right)))
    if isinstance(value, Union):
        return regions.union([tidy(p) for p in value.parts])
    if isinstance(value, Items):
        return _tidy_items(value)
    return value


def _tidy_relation(r: Relation) -> Value:
    """A linear inequality in one symbol as its interval; (x, y) = (3, 2) as the tuple it gives."""
    if (
        r.op == "="
        and isinstance(r.left, Items)
        and isinstance(r.right, Items)
        and all(labels.name(i) for i in r.left.items)
    ):
        return r.right
    if r.op not in ("<", "<=") or not (isinstance(r.left, Scalar) and isinstance(r.right, Scalar)):
        return r
    for inner, bound, beyond in ((r.left, r.right, False), (r.right, r.left, True)):
        if inner.tree[:2] == ("fn", "abs") and not tr.symbols(bound.tree) and regions.rising(Scalar(num(0)), bound):
            inner = Scalar(inner.tree[2])  # |x| < 3 lies between, 3 < |x| on both sides
            sides = [(inner, bound), (Scalar(neg(bound.tree)), inner)]
            both = [_tidy_relation(Relation(r.op, *(side[::-1] if beyond else side))) for side in sides]  # pyright: ignore[reportArgumentType]
            if all(isinstance(side, Interval) for side in both):
                return regions.union(both[::-1]) if beyond else regions.joined("and", both) or r
    gap = ("add", r.left.tree, neg(r.right.tree))
    names = tr.symbols(gap)
    if len(names) != 1:
        return r
    (x,) = names
    try:
        poly = tr.normal(gap)
    except (ArithmeticError, RecursionError):
        return r
    slope = poly.get(((x, Fraction(1)),))
    if slope is None or any(m != ((x, Fraction(1)),) and any(x in str(a) for a, _ in m) for m in poly):
        return r
    bound = Scalar(("mul", num(-1 / slope), tr.substitute(gap, x, tr.ZERO)))
    if slope > 0:
        return Interval(Scalar(neg(INFINITY)), bound, False, r.op == "<=", x)
    return Interval(bound, Scalar(INFINITY), r.op == "<=", False, x)


def _entry(value: Value) -> Value:
    """`x: 5` in a dictionary says x = 5."""
    if isinstance(value, Ratio) and len(value.parts) == 2 and isinstance(value.parts[0], Scalar):
        if value.parts[0].tree[0] == "sym":
            return Relation("=", value.parts[0], value.parts[1])
    return value


def _tidy_items(value: Items) -> Value:
    kind = value.kind
    items = [tidy(_entry(i) if kind == "brace" else i) for i in value.items]
    if kind in ("bounds", "and", "minus", "or", "bare") and (region := regions.joined(kind, items)) is not None:
        return region
    kind = "bare" if kind == "and" else kind
    if len(items) == 1 and kind in ("brace", "bracket"):
        return items[0]
    named = [i for i in items if isinstance(i, Relation) and i.op == "=" and labels.name(i.left)]
    if named and len(named) == len(items):
        names = {labels.name(i.left) for i in named}
        if len({str(n).partition("_")[0] for n in names}) == 1 and (
            len(names) == 1 or all("_" in str(n) for n in names)
        ):
            return tidy(Items("brace", tuple(i.right for i in named)))
        if len(names) == len(items):
            return Items("assign", tuple(items))
    elif named and items[0] is named[0] and len(named) == 1:  # x = 1, 2 or x = 1 or 2
        items[0] = named[0].right
        kind = "brace" if kind in ("or", "bare") else kind
    if kind in ("brace", "or", "bare"):
        flat: list[Value] = []
        for i in items:  # {±1, 0} and nested single solutions
            flat.extend(i.items if isinstance(i, Items) and i.kind == "brace" and i.items and kind != "brace" else (i,))
        written = [i for i in value.items if isinstance(i, Items) and len(i.items) > 1 and i.kind == "brace"]
        items = flat if len(written) < 2 else items  # one set or another is not their union
    if (
        value.items
        and kind == "brace"
        and all(isinstance(i, Scalar) and tr.has_kind(i.tree, "pm") for i in value.items)
    ):
        items = [x for i in items for x in (i.items if isinstance(i, Items) else (i,))]
    return Items(kind, tuple(items), value.listed)


def several(value: Value) -> bool:
    """Whether a value is a collection or a region, however it is written: {{x -> 5}} is one number, ±5 are two."""
    work.begin()
    return isinstance(tidy(value), Items | Interval | Union)


def same(gold: Value, value: Value) -> Outcome:
    """Whether `value` answers `gold` (both read), and the test that decided. Bounded work: what takes more is no
    answer."""
    work.begin()
    return _same(tidy(gold), tidy(value))


def _same(g: Value, p: Value) -> Outcome:
    if isinstance(g, Relation) != isinstance(p, Relation):
        g, p = (regions.without(v) or v if isinstance(other, Union) else v for v, other in ((g, p), (p, g)))
    if (isinstance(g, Relation) and g.op == "~") or (isinstance(p, Relation) and p.op == "~"):
        return _same_about(g, p)
    if isinstance(g, Relation) or isinstance(p, Relation):
        return _same_relation(g, p)
    if isinstance(g, Clock) or isinstance(p, Clock):
        return _same_clock(g, p)
    if isinstance(g, Ratio) or isinstance(p, Ratio):
        return _same_ratio(g, p)
    if isinstance(g, Scalar) and isinstance(p, Scalar):
        return same_scalar(g, p)
    if isinstance(g, Interval | Union) or isinstance(p, Interval | Union):
        return _same_region(g, p)
    if isinstance(g, Items) and isinstance(p, Items):
        return _same_items(g, p)
    return False, "type"


def _same_about(g: Value, p: Value) -> Outcome:
    """`x ≈ 5` is `x = 5`; a prediction's `a ≈ b` is one number, and only if b is a rounded as b is printed."""
    if isinstance(g, Relation) and g.op == "~":
        if labels.name(g.left):
            return _same(Relation("=", g.left, g.right), p)
        exact = _same(g.left, p)
        return exact if exact[0] else _same(g.right, p)
    assert isinstance(p, Relation)
    if labels.name(p.left):
        return _same(g, Relation("=", p.left, p.right))
    if not _rounds(p.left, p.right):
        return False, "relation"
    # a decimal rounded further is what it was rounded to
    rounded = isinstance(p.left, Scalar) and p.left.places is not None
    return _same(g, p.right if rounded else p.left)


def _rounds(exact: Value, shown: Value) -> bool:
    """Whether two numbers are one, the second as it is printed: to half a unit of its last digit."""
    if (
        not (isinstance(exact, Scalar) and isinstance(shown, Scalar))
        or labels.free(exact)
        or labels.free(shown)
        or shown.tree[0] not in ("num", "mul")
    ):
        return False
    places = shown.places
    if places is None:
        if shown.tree[0] != "num" or shown.tree[1].denominator != 1:
            return False
        places = 0
    return same_scalar(Scalar(shown.tree, places, shown.unit), exact)[0]


def _same_relation(g: Value, p: Value) -> Outcome:
    g_value = g.right if isinstance(g, Relation) and g.op == "=" and labels.name(g.left) else None
    p_value = p.right if isinstance(p, Relation) and p.op == "=" and labels.name(p.left) else None
    if isinstance(g, Relation) and isinstance(p, Relation):
        if g_value is not None and p_value is not None:
            names = labels.name(g.left) or "", labels.name(p.left) or ""
            if not labels.other_things(*names) and (not labels.free(g_value) or names[0] == names[1]):
                correct, reason = _same(g_value, p_value)
                if correct or not labels.free(g_value):
                    return correct, reason
        if g.op != p.op:
            if g_value is None and g.op == "=" and not labels.free(g):
                return False, "type"
            return False, "relation"
        if g.label or p.label:
            return _same(g.left, p.left)[0] and _same(g.right, p.right)[0], "relation"
        return _same_equation(g, p)
    if isinstance(g, Relation):
        if g_value is not None:
            return _same(g_value, p)
        if g.label or (g.op == "=" and not labels.free(g.right) and labels.is_label(g.left)):
            return _same(g.right, p)
        if g.op == "=" and isinstance(g.left, Scalar) and labels.name(g.right):  # 5 = x
            return _same(g.left, p)
        return False, "type"
    assert isinstance(p, Relation)
    if p.unsolved and not any(isinstance(s, Scalar) and s.tree[0] in ("sym", "const") for s in (p.left, p.right)):
        return False, "type"
    if p_value is not None:
        return _same(g, p_value)
    if p.label:
        return _same(g, p.right)
    if p.op == "=":  # 2 + 3 = 5 says 5
        if labels.name(p.right):
            return _same(g, p.left)
        if not labels.free(p.left):
            return _same(g, p.right) if _holds(p.left, p.right) else (False, "relation")
        if isinstance(g, Scalar) and not labels.free(g) and not labels.free(p.right):
            if labels.is_label(p.left) or (
                labels.is_total(p.left) and not _same(Scalar(num(0)), p.right)[0]
            ):  # AB/BC = 50, x + y = 50; not x^2 = 50, x - y = 0
                return _same(g, p.right)
    return False, "type"


def _holds(left: Value, right: Value) -> bool:
    """Whether an equation of two numbers is true, or the right side rounds the left; what is no such equation may
    be."""
    if not (isinstance(left, Scalar) and isinstance(right, Scalar)) or labels.free(right) or left.unit != right.unit:
        return True
    return same_scalar(left, right)[0] or _rounds(left, right)


def _same_equation(g: Relation, p: Relation) -> Outcome:
    """Equations (or inequalities) are the same if left - right are proportional (by a positive factor)."""
    sides = [s.tree for s in (g.left, g.right, p.left, p.right) if isinstance(s, Scalar)]
    if len(sides) < 4:
        left, _ = _same(g.left, p.left)
        return (left and _same(g.right, p.right)[0]), "relation"
    g_tree = ("add", sides[0], neg(sides[1]))
    p_tree = ("add", sides[2], neg(sides[3]))
    names = tuple(sorted(tr.symbols(g_tree) | tr.symbols(p_tree)))
    if tr.symbols(g_tree) != tr.symbols(p_tree):
        return False, "relation"
    ratio = None
    good = 0
    for i in range(POINTS):
        try:
            a, b = tr.evaluate(g_tree, tr.point(names, i)), tr.evaluate(p_tree, tr.point(names, i))
        except tr.Undefined:
            continue
        if a == 0 or b == 0:
            if (a == 0) != (b == 0):
                return False, "relation"
            continue
        if ratio is None:
            ratio = a / b
            if g.op not in ("=", "!=") and not (ratio.imag == 0 and ratio.real > 0):  # complex numbers have no order
                return False, "relation"
        elif not tr.close(ratio, a / b):
            return False, "relation"
        good += 1
        if good >= NEEDED:
            return True, "relation"
    return False, "relation"


def _same_clock(g: Value, p: Value) -> Outcome:
    if isinstance(g, Clock) and isinstance(p, Clock):
        # a gold without am or pm takes both; one with it takes a bare time by the 24-hour clock
        whole_day = g.half or max(g.hours, p.hours) > 12
        hours = _hours_24(g) == _hours_24(p) if whole_day else g.hours == p.hours
        return (g.minutes, g.seconds) == (p.minutes, p.seconds) and hours, "time"
    clock, other = (g, p) if isinstance(g, Clock) else (p, g)
    assert isinstance(clock, Clock)
    if isinstance(other, Scalar) and other.unit is not None and other.unit.dims == (("time", 1),) and not clock.half:
        seconds = num(clock.hours * 3600 + clock.minutes * 60 + clock.seconds)
        return equal_trees(seconds, ("mul", other.tree, other.unit.factor), None)[0], "time"
    if clock.half or clock.seconds or not isinstance(other, Ratio | Scalar):
        return False, "type"
    if not isinstance(g, Ratio):  # 1:30 is a time: no fraction and no ratio is
        return False, "type"
    return _same_ratio(g, Ratio((Scalar(num(clock.hours)), Scalar(num(clock.minutes)))))


def _hours_24(clock: Clock) -> int:
    return clock.hours % 12 + 12 * (clock.half == "p") if clock.half else clock.hours


def _same_ratio(g: Value, p: Value) -> Outcome:
    if isinstance(g, Ratio) and isinstance(p, Ratio):
        if len(g.parts) != len(p.parts):
            return False, "type"
        pairs = [(a.tree, b.tree) for a, b in zip(g.parts, p.parts)]
        zero = lambda tree: equal_trees(tree, num(0), None)[0]
        a0, b0 = next(((a, b) for a, b in pairs if not zero(a)), pairs[0])
        if zero(a0) or zero(b0):  # every ratio is proportional to 0:0
            return all(zero(a) and zero(b) for a, b in pairs), "ratio"
        return all(equal_trees(("mul", a0, b), ("mul", b0, a), None)[0] for a, b in pairs), "ratio"
    ratio, other = (g, p) if isinstance(g, Ratio) else (p, g)
    assert isinstance(ratio, Ratio)
    if ratio is g and len(ratio.parts) == 2 and isinstance(other, Scalar) and other.unit is None:
        return equal_trees(tr.div(ratio.parts[0].tree, ratio.parts[1].tree), other.tree, None)[0], "ratio"
    return False, "type"


def _as_region(value: Value, gold: bool) -> Value:
    if isinstance(value, Items) and len(value.items) == 2 and value.kind in ("paren", "bracket"):
        if all(isinstance(i, Scalar) for i in value.items):
            closed = value.kind == "bracket"
            return Interval(value.items[0], value.items[1], closed, closed)
    return value


def _same_region(g: Value, p: Value) -> Outcome:
    g, p = _as_region(g, True), _as_region(p, False)
    if isinstance(g, Interval) and isinstance(p, Interval):
        ends = same_scalar(g.low, p.low)[0] and same_scalar(g.high, p.high)[0]
        return ends and (g.low_closed, g.high_closed) == (p.low_closed, p.high_closed), "interval"
    if isinstance(g, Union) and isinstance(p, Union) and len(g.parts) == len(p.parts):
        return _matched(g.parts, p.parts), "interval"
    return False, "interval" if isinstance(p, Interval | Union) else "type"


def _same_items(g: Items, p: Items) -> Outcome:
    if g.kind == "assign" or p.kind == "assign":
        return _same_assignment(g, p)
    if _same_nested(g, p):
        return True, "exact"
    if g.kind in ("paren", "bracket", "vector") and p.kind in ("brace", "or") and not p.listed:
        return False, "type"  # a set or alternatives are no point
    if g.kind != p.kind and "minus" in (g.kind, p.kind):
        return False, "type"
    if g.kind == "vector":  # [1, 2] and [[1], [2]] as well as (1, 2)
        return _in_order(g, p)
    if (
        {g.kind, p.kind} == {"paren", "bracket"}
        or (g.kind, p.kind) == ("bracket", "vector")
        or (g.kind == "brace" and p.kind in ("paren", "vector"))
    ):
        if not any(isinstance(i, Items) for i in g.items):
            return False, "type"
    if (nouns := _nouns(g)) and len(nouns) == len(g.items) and len(p.items) == len(others := _nouns(p)) == len(nouns):
        found = [next((others[o] for o in others if alike(n, o)), None) for n in nouns]  # 7 boys and 8 girls
        return all(o is not None and _same(nouns[n], o)[0] for n, o in zip(nouns, found)), "item"
    if len(g.items) > MAX_ITEMS or len(p.items) > MAX_ITEMS:
        return False, "size"
    points = g.kind in ("bare", "or") and all(isinstance(i, Items) for i in (*g.items, *p.items))
    if (g.kind == "brace" or points) and not _ordered(g, p):
        g, p = Items(g.kind, _distinct(g.items)), Items(p.kind, _distinct(p.items))
    if len(g.items) != len(p.items):
        return False, "size"
    if not g.items:
        return True, "set"
    in_order = _in_order(g, p)
    if in_order[0]:
        return in_order
    if _ordered(g, p):
        return False, "order" if _matched(g.items, p.items) else "item"
    return _matched(g.items, p.items), "set"


def _nouns(value: Items) -> dict[str, Scalar]:
    """The items by the nouns behind their numbers, those that have one."""
    return {
        i.unit.nouns[0].rstrip("s"): i
        for i in value.items
        if isinstance(i, Scalar) and i.unit is not None and i.unit.nouns
    }


def _in_order(g: Items, p: Items) -> Outcome:
    if len(g.items) != len(p.items):
        return False, "size"
    reason = "exact"
    for a, b in zip(g.items, p.items):
        correct, why = _same(a, b)
        if not correct:
            return False, "item"
        reason = why if why != "exact" else reason
    return True, reason


def _same_nested(g: Items, p: Items) -> bool:
    """Matrices and lists of points, row by row, whatever brackets they were written with."""
    if len(g.items) != len(p.items) or len(g.items) > MAX_ITEMS or not g.items:
        return False
    if not all(isinstance(i, Items) and len(i.items) > 1 for i in (*g.items, *p.items)):
        return False
    return all(
        len(a.items) == len(b.items) and all(_same(x, y)[0] for x, y in zip(a.items, b.items))
        for a, b in zip(g.items, p.items)
    )


def _ordered(g: Items, p: Items) -> bool:
    """Points and sequences are ordered; sets, alternatives and short or sorted bare lists are not."""
    if g.kind in ("paren", "bracket", "vector", "minus"):
        return True
    if g.kind == "bare":
        values: list[Any] = [
            i.tree[1] if isinstance(i, Scalar) and i.tree[0] in ("num", "sym") else None for i in g.items
        ]
        row = p.kind in ("paren", "vector")
        if row or (len(values) > 2 and None not in values and len({type(v) for v in values}) == 1):
            return row or values not in (sorted(values), sorted(values, reverse=True))
    return False


def _distinct(items: tuple) -> tuple:
    out: list[Value] = []
    for i in items:
        if not any(_same(o, i)[0] for o in out):
            out.append(i)
    return tuple(out)


def _matched(gold: tuple, given: tuple) -> bool:
    """A one-to-one matching: greedy is right because equality is an equivalence; tolerances get a second try."""
    left = list(given)
    for g in gold:
        for i, p in enumerate(left):
            if _same(g, p)[0]:
                del left[i]
                break
        else:
            if len(gold) <= 5:
                return any(all(_same(a, b)[0] for a, b in zip(gold, perm)) for perm in permutations(given))
            return False
    return True


def _same_assignment(g: Items, p: Items) -> Outcome:
    if len(g.items) != len(p.items):
        return False, "size"
    if g.kind == "assign" and p.kind == "assign":
        by_name = {labels.name(r.left): r.right for r in p.items}
        for relation in g.items:
            other = by_name.get(labels.name(relation.left))
            if other is None or not _same(relation.right, other)[0]:
                return False, "relation"
        return True, "relation"
    if "or" in (g.kind, p.kind) or g.kind == "brace":
        return False, "type"  # one unknown's alternatives are not the values of two
    if p.kind == "brace" and g.kind == "assign" and not all(isinstance(i, Scalar) for i in p.items):
        return False, "type"
    other = g if p.kind == "assign" else p
    orders = {_by_name} if other.kind in ("paren", "bracket", "vector") else {_by_name, _written}
    return any(all(_same(a, b)[0] for a, b in zip(order(g), order(p))) for order in orders), "relation"


def _written(value: Items) -> list[Value]:
    return [i.right if isinstance(i, Relation) else i for i in value.items]


def _by_name(value: Items) -> list[Value]:
    """The values of y = 2, x = 1 in the order of a point's coordinates; anything else as written."""
    if value.kind != "assign":
        return _written(value)
    names = [str(labels.name(i.left)).partition("_") for i in value.items]
    if any(len(name) > 1 for name, _, _ in names):
        return _written(value)
    places = sorted(range(len(names)), key=lambda i: (names[i][0], len(names[i][2]), names[i][2]))
    return [value.items[i].right for i in places]
