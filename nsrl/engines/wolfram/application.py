"""How a head meets its arguments: their evaluation, threading over lists, functions, and heads that are compound."""

from __future__ import annotations

from typing import Any

from nsrl.engines.wolfram.budget import walkable
from nsrl.engines.wolfram.definitions import Definitions
from nsrl.engines.wolfram.expr import LIST, Expr, S, Symbol
from nsrl.engines.wolfram.subst import fill_slots, replace_symbols, slots, splice
from nsrl.engines.wolfram.table import HOLD_ALL, HOLD_FIRST, HOLD_REST, SEQUENCE_HOLD

_SEQUENCE, _EVALUATE, _FUNCTION = S.Sequence, S.Evaluate, S.Function
# What a handler may raise on values that it has no rule for. Not TypeError or AttributeError: those are mistakes, and
# arguments of an odd kind are refused before (`takes`) or in the handler.
ODD_VALUES = (ValueError, IndexError, KeyError, ZeroDivisionError, OverflowError, StopIteration)


class Application(Definitions):
    """Arguments evaluated and put into what is applied to them."""

    def _arguments(self, args: tuple, attrs: int) -> tuple:
        hold = attrs & HOLD_ALL
        ev = self.eval
        if not hold:
            new = [a if type(a) is int else ev(a) for a in args]
        else:
            new = [
                ev(a.args[0])
                if type(a) is Expr and a.head is _EVALUATE and len(a.args) == 1
                else a
                if (hold & HOLD_FIRST if i == 0 else hold & HOLD_REST)
                else ev(a)
                for i, a in enumerate(args)
            ]
        same = True
        for a, old in zip(new, args):
            if a is not old:
                same = False
            if type(a) is Expr and a.head is _SEQUENCE and not attrs & SEQUENCE_HOLD:
                return splice(new)
        return args if same else tuple(new)

    def _thread(self, head: Symbol, args: tuple) -> Expr | None:
        """f[{a, b}, c] -> {f[a, c], f[b, c]}; None where the lists have different lengths."""
        size = -1
        for a in args:
            if type(a) is Expr and a.head is LIST:
                if size == -1:
                    size = len(a.args)
                elif size != len(a.args):
                    self.message(
                        "Thread",
                        "tdlen",
                        f"Objects of unequal length in {self.text(Expr(head, args))} cannot be combined.",
                    )
                    return None
        self.need_length(size * len(args))
        columns = [a.args if type(a) is Expr and a.head is LIST else (a,) * size for a in args]
        return Expr(LIST, tuple([Expr(head, row) for row in zip(*columns)]))

    def _applied(self, head: Any, e: Expr) -> tuple[Any, bool]:
        """f[x] where f is itself compound."""
        if type(head) is Expr:
            if head.head is _FUNCTION:
                return self._function(head, e)
            args = self._arguments(e.args, 0)
            root: Any = head
            while type(root) is Expr:
                root = root.head
            if self.sub and root in self.sub:
                r = self._apply_defs(self.sub[root], Expr(head, args))
                if r is not None:
                    return r, False
            if type(head.head) is Symbol:
                b = head.head.builtin
                if b is not None and b.operator is not None and len(args) >= 1:
                    if b.operator == "append" and len(head.args) == 1 and len(args) == 1:
                        return Expr(head.head, (*head.args, *args)), False
                    if b.operator == "prepend" and head.args and len(args) == 1:
                        return Expr(head.head, (*args, *head.args)), False
                sub = SUB_HANDLERS.get(head.head)
                if sub is not None:
                    try:
                        r = sub(self, head, args)
                    except ODD_VALUES:
                        r = None
                    if r is not None:
                        return r, False
            if args is e.args and head is e.head:
                return e, True
            return Expr(head, args), True
        args = self._arguments(e.args, 0)
        return (e if args is e.args and head is e.head else Expr(head, args)), True

    def _function(self, f: Expr, e: Expr) -> tuple[Any, bool]:
        hold = 0
        if len(f.args) == 3:
            from nsrl.engines.wolfram.table import ATTRIBUTES

            spec = f.args[2]
            for a in spec.args if type(spec) is Expr else (spec,):
                hold |= ATTRIBUTES.get(a.name, 0) if type(a) is Symbol else 0
        args = self._arguments(e.args, hold)
        out = self.apply_function(f, args)
        if out is None:
            return (e if args is e.args and f is e.head else Expr(f, args)), True
        return out, False

    def apply_function(self, f: Expr, args: tuple) -> Any:
        """The body of Function f with its arguments put in (not yet evaluated), or None if it does not apply."""
        walkable(f)
        if len(f.args) == 1:
            body = f.args[0]
            out = fill_slots(body, args, f)
            if type(out) is Expr and out is not body and f.index is None:
                f.index = slots(body)
            if f.index is not None and f.index > len(args):
                self.message(
                    "Function",
                    "slotn",
                    f"Slot number {f.index} in {self.text(f)} cannot be filled from {self.text(Expr(f, args))}.",
                )
            return out
        if not f.args:
            return None
        spec, body = f.args[0], f.args[1]
        if spec is S.Null:
            return fill_slots(body, args, f)
        names = spec.args if type(spec) is Expr and spec.head is LIST else (spec,)
        names = tuple([n.args[0] if type(n) is Expr and n.args else n for n in names])
        if len(names) > len(args):
            self.message(
                "Function",
                "fpct",
                f"Too many parameters in {self.text(spec)} to be filled from {self.text(Expr(f, args))}.",
            )
            return None
        values: dict[Any, Any] = dict(zip(names, args))
        return replace_symbols(body, values)


# head -> handler(ev, head expression, args) for f[...][...]; filled by the tables that need it
SUB_HANDLERS: dict[Symbol, Any] = {}


def sub_handler(name: str) -> Any:
    """Decorator: handler(ev, head, args) for name[...][args]."""

    def keep(f: Any) -> Any:
        SUB_HANDLERS[getattr(S, name)] = f
        return f

    return keep
