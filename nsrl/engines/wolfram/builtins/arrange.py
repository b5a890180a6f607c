"""Rearranging lists: Reverse, Rotate, Flatten, Partition, Transpose, Riffle, Pad."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.assoc import is_assoc
from nsrl.engines.wolfram.builtins.lists import elements, not_list
from nsrl.engines.wolfram.expr import (
    LIST,
    Expr,
    S,
    is_list,
    lst,
)
from nsrl.engines.wolfram.table import Builtin, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
_ASSOC = S.Association
_NOTHING = S.Nothing


# -- rearranging -----------------------------------------------------------------------------------------------------
@builtin("Reverse", arity=(1, 2), takes="parted")
def reverse(ev: Evaluator, args: tuple) -> Any:
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
    def rotate(ev: Evaluator, args: tuple) -> Any:
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
def flatten(ev: Evaluator, args: tuple) -> Any:
    e = args[0]
    if type(e) is not Expr:
        return not_list(ev, "Flatten", args)
    if len(args) > 1 and is_list(args[1]):
        if len(args) > 2:
            return None
        if args[1] in (lst((lst((2,)), lst((1,)))), lst((2,))):
            width = max((len(r.args) for r in e.args if type(r) is Expr), default=0)
            return lst(lst(r.args[j] for r in e.args if j < len(r.args)) for j in range(width))
        levels = args[1].args
        joined = bool(levels) and levels == tuple(range(1, len(levels) + 1))
        return ev.call(S.Flatten, e, len(levels) - 1) if joined else None
    level = args[1] if len(args) > 1 else S.Infinity
    head = args[2] if len(args) > 2 else e.head
    most = 10**9 if level is S.Infinity else level
    if type(most) is not int:
        return None
    if is_assoc(e):
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
def partition(ev: Evaluator, args: tuple) -> Any:
    e, n = args[0], args[1]
    if type(e) is not Expr:
        return None
    up_to = type(n) is Expr and n.head is S.UpTo
    n = n.args[0] if up_to else n
    if is_list(n) and len(n.args) == 2 and len(args) <= 3 and all(map(is_list, e.args)):
        step = args[2].args if len(args) > 2 and is_list(args[2]) else (args[2], args[2]) if len(args) > 2 else n.args
        outer = ev.call(S.Partition, e, n.args[0], step[0])
        return lst(
            ev.call(S.Transpose, lst(ev.call(S.Partition, r, n.args[1], step[1]) for r in block.args))
            for block in outer.args
        )
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


@builtin("Transpose", arity=1)
def transpose(ev: Evaluator, args: tuple) -> Any:
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
def riffle(ev: Evaluator, args: tuple) -> Any:
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
    def pad(ev: Evaluator, args: tuple) -> Any:
        e = args[0]
        if type(e) is not Expr:
            return None
        if len(args) == 1:
            width = max((len(r.args) for r in e.args if is_list(r)), default=0)
            return Expr(e.head, tuple([ev.call(getattr(S, name), r, width) if is_list(r) else r for r in e.args]))
        n, x = args[1], args[2] if len(args) > 2 else 0
        if is_list(n):
            if len(n.args) != 2 or not all(type(k) is int and k > 0 for k in n.args) or not all(map(is_list, e.args)):
                return None
            ev.need_length(n.args[0] * n.args[1])
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
