"""Substitution into trees: pattern variables, slots, With and Module locals.

Everything returns the very same object where nothing changed, so that evaluation stamps survive.
"""

from __future__ import annotations

from typing import Any

from nsrl.engines.wolfram.expr import LIST, Expr, S, Symbol

_SEQUENCE, _FUNCTION, _SLOT, _SLOTS = S.Sequence, S.Function, S.Slot, S.SlotSequence
_SCOPES = {S.Module, S.Block, S.With}


def splice(items: list[Any]) -> tuple:
    """Items with every Sequence[...] opened up."""
    out: list[Any] = []
    for a in items:
        if type(a) is Expr and a.head is _SEQUENCE:
            out.extend(splice(list(a.args)))
        else:
            out.append(a)
    return tuple(out)


def rebuild(e: Expr, head: Any, items: list[Any]) -> Expr:
    """head[items], or e itself where every part is the same object."""
    old = e.args
    if head is e.head and len(items) == len(old) and all(map(_is, items, old)):
        return e
    for a in items:
        if type(a) is Expr and a.head is _SEQUENCE:
            return Expr(head, splice(items))
    return Expr(head, tuple(items))


def _is(a: Any, b: Any) -> bool:
    return a is b


def replace_symbols(e: Any, values: dict[Symbol, Any]) -> Any:
    """e with symbols replaced; names that an inner Function, Module, Block or With binds anew keep their meaning."""
    t = type(e)
    if t is Symbol:
        return values.get(e, e)
    if t is not Expr or e.stamp == -1:
        return e
    head, args = e.head, e.args
    if head is _FUNCTION and len(args) >= 2:
        inner = _without(values, _parameters(args[0]))
        if not inner:
            return e
        return rebuild(e, head, [args[0], *[replace_symbols(a, inner) for a in args[1:]]])
    if head in _SCOPES and len(args) == 2 and type(args[0]) is Expr and args[0].head is LIST:
        bound = [a.args[0] if type(a) is Expr and a.args else a for a in args[0].args]
        inner = _without(values, [b for b in bound if type(b) is Symbol])
        if len(inner) != len(values):
            specs = [
                rebuild(a, a.head, [a.args[0], *[replace_symbols(x, values) for x in a.args[1:]]])
                if type(a) is Expr and a.args
                else a
                for a in args[0].args
            ]
            return rebuild(e, head, [rebuild(args[0], LIST, specs), replace_symbols(args[1], inner)])
    new_head = values.get(head, head) if type(head) is Symbol else replace_symbols(head, values)
    return rebuild(e, new_head, [replace_symbols(a, values) for a in args])


def _parameters(spec: Any) -> list[Symbol]:
    if type(spec) is Symbol:
        return [spec]
    if type(spec) is Expr and spec.head is LIST:
        return [a for a in spec.args if type(a) is Symbol]
    return []


def _without(values: dict[Symbol, Any], names: list[Symbol]) -> dict[Symbol, Any]:
    if not any(n in values for n in names):
        return values
    return {k: v for k, v in values.items() if k not in names}


def bind(e: Any, values: dict[Symbol, Any]) -> Any:
    """The right-hand side of a rule with what its pattern variables matched."""
    if not values:
        return e
    return replace_all_symbols(e, values)


def replace_all_symbols(e: Any, values: dict[Symbol, Any]) -> Any:
    """e with symbols replaced everywhere, also where scoping constructs bind them (as rules do)."""
    t = type(e)
    if t is Symbol:
        return values.get(e, e)
    if t is not Expr or e.stamp == -1:
        return e
    head = e.head
    new_head = values.get(head, head) if type(head) is Symbol else replace_all_symbols(head, values)
    return rebuild(e, new_head, [replace_all_symbols(a, values) for a in e.args])


def fill_slots(e: Any, args: tuple, whole: Any) -> Any:
    """The body of a pure function with its slots filled; `whole` is the function itself (#0).

    A slot without an argument is left as it stands. Inner pure functions keep their own slots.
    """
    if type(e) is not Expr or e.stamp == -1:
        return e
    head = e.head
    if head is _SLOT and len(e.args) == 1:
        n = e.args[0]
        if type(n) is int:
            return args[n - 1] if 0 < n <= len(args) else whole if n == 0 else e
        if type(n) is str and args and type(args[0]) is Expr and args[0].head is S.Association:
            for r in args[0].args:
                if r.args[0] == n:
                    return r.args[1]
        return e
    if head is _SLOTS and len(e.args) == 1 and type(e.args[0]) is int:
        return Expr(_SEQUENCE, args[e.args[0] - 1 :])
    if head is _FUNCTION and len(e.args) == 1:
        return e
    new_head = fill_slots(head, args, whole) if type(head) is Expr else head
    return rebuild(e, new_head, [fill_slots(a, args, whole) for a in e.args])


def slots(e: Any) -> int:
    """The highest slot number in a pure function's body (0: none)."""
    if type(e) is not Expr or (e.head is S.Function and len(e.args) == 1):
        return 0
    if e.head is S.Slot and len(e.args) == 1:
        return e.args[0] if type(e.args[0]) is int else 0
    return max([slots(a) for a in (e.head, *e.args)], default=0)


def flatten(head: Symbol, args: tuple) -> tuple:
    """The arguments with those of nested calls of `head` in their place, at every depth."""
    out: list[Any] = []
    for a in args:
        if type(a) is Expr and a.head is head:
            out.extend(flatten(head, a.args) if any(type(x) is Expr and x.head is head for x in a.args) else a.args)
        else:
            out.append(a)
    return tuple(out)
