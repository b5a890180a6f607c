"""Own-, down-, up- and sub-values, attributes and options of symbols: how they are kept and how a rule is applied."""

from __future__ import annotations

from itertools import count
from typing import Any

from nsrl.engines.result import Limits
from nsrl.engines.wolfram.budget import walkable
from nsrl.engines.wolfram.expr import FAILED, LIST, Expr, S, Symbol, mk, same
from nsrl.engines.wolfram.lost import Losses
from nsrl.engines.wolfram.messages import Messages
from nsrl.engines.wolfram.pattern import compile_pattern, has_pattern, specificity
from nsrl.engines.wolfram.subst import bind

_EPOCHS = count(1)  # never repeats in a process: a stamp of another context can not be taken for one of this


class Defs:
    """Down- or sub-values of one symbol: literal left-hand sides in a dict, the others in order of specificity."""

    __slots__ = ("literal", "rules")

    def __init__(self) -> None:
        self.literal: dict[Expr, Any] = {}
        self.rules: list[tuple[tuple, Expr, Any, Any]] = []  # specificity, lhs, rhs, matcher

    def copy(self) -> Defs:
        """The same definitions in containers of their own."""
        out = Defs()
        out.literal, out.rules = dict(self.literal), list(self.rules)
        return out


class Definitions(Messages, Losses):
    """What the symbols of one context mean."""

    def __init__(self, limits: Limits | None = None):
        super().__init__(limits)
        self.own: dict[Symbol, Any] = {}
        self.down: dict[Symbol, Defs] = {}
        self.sub: dict[Symbol, Defs] = {}
        self.up: dict[Symbol, Defs] = {}
        self.attrs: dict[Symbol, int] = {}
        self.options: dict[Symbol, dict[Any, Any]] = {}
        self.matchers: dict[Any, Any] = {}
        self.epoch = next(_EPOCHS)
        self.module_number = 0

    def changed(self) -> None:
        """A definition changed: nothing that was found evaluated counts as such any more."""
        self.epoch = next(_EPOCHS)

    def attributes(self, s: Symbol) -> int:
        """Attribute flags of a symbol in this context."""
        if self.attrs:
            a = self.attrs.get(s)
            if a is not None:
                return a
        return s.attrs

    def new_symbol(self, base: str) -> Symbol:
        """A fresh local symbol base$n, as Module makes it."""
        self.module_number += 1
        return Symbol(f"{base.split('$')[0]}${self.module_number}")

    def matcher(self, p: Any) -> Any:
        """The compiled matcher of a pattern."""
        if type(p) is not Expr:
            return compile_pattern(p, self)[0]
        m = self.matchers.get(p)
        if m is None:
            m = self.matchers[p] = compile_pattern(p, self)[0]
        return m

    def define(self, table: dict[Symbol, Defs], name: Symbol, lhs: Any, rhs: Any) -> None:
        """Add lhs -> rhs to the down-, sub- or up-values of a symbol, replacing a rule of the same left-hand side."""
        defs = table.get(name)
        if defs is None:
            defs = table[name] = Defs()
        self.changed()
        conditional = type(rhs) is Expr and rhs.head is S.Condition
        for a in lhs.args if type(lhs) is Expr else ():
            walkable(a)
        if not has_pattern(lhs) and not conditional:
            defs.literal[lhs] = rhs
            return
        kept = []
        for r in defs.rules:
            old = type(r[2]) is Expr and r[2].head is S.Condition
            if r[1] == lhs and old == conditional and (not conditional or same(r[2].args[1], rhs.args[1])):
                continue
            kept.append(r)
        entry = (specificity(lhs, conditional), lhs, rhs, compile_pattern(lhs, self)[0])
        at = len(kept)
        while at > 0 and kept[at - 1][0] > entry[0]:
            at -= 1
        kept.insert(at, entry)
        defs.rules = kept

    def _apply_defs(self, defs: Defs, call: Expr) -> Any:
        if defs.literal:
            r = defs.literal.get(call)
            if r is not None:
                return r
        for _, _, rhs, m in defs.rules:
            b: dict[Symbol, Any] = {}
            self.steps += 1
            result = self._try_rule(m, call, rhs, b)
            if result is not None:
                return result
        return None

    def _try_rule(self, m: Any, e: Any, rhs: Any, b: dict[Symbol, Any]) -> Any:
        """The right-hand side if e matches (and its own /; condition holds), else None."""
        if type(rhs) is Expr and rhs.head is S.Condition and len(rhs.args) == 2:
            found: list[Any] = []

            def holds(b: dict[Symbol, Any]) -> bool:
                if self.holds(_bound(rhs.args[1], b, e)):
                    found.append(_bound(rhs.args[0], b, e))
                    return True
                return False

            return found[0] if m(self, e, b, holds) else None
        if type(rhs) is Expr and rhs.head in (S.Module, S.Block, S.With) and len(rhs.args) == 2:
            inner = rhs.args[1]
            if type(inner) is Expr and inner.head is S.Condition:
                return self._scoped_condition(m, e, rhs, b)
        return _bound(rhs, b, e) if m(self, e, b, _yes) else None

    def _scoped_condition(self, m: Any, e: Any, rhs: Expr, b: dict[Symbol, Any]) -> Any:
        """lhs := Module[{...}, body /; test]: the test shares the scope's variables."""
        found: list[Any] = []
        body, test = rhs.args[1].args
        marker = mk(LIST, test, mk(S.Hold, body))

        def holds(b: dict[Symbol, Any]) -> bool:
            trial = self.eval(bind(Expr(rhs.head, (rhs.args[0], mk(S.If, marker.args[0], body, FAILED))), b))
            if trial is FAILED:
                return False
            found.append(trial)
            return True

        return found[0] if m(self, e, b, holds) else None

    def _up(self, head: Symbol, args: tuple) -> Any:
        for a in args:
            tag = a if type(a) is Symbol else a.head if type(a) is Expr else None
            while type(tag) is Expr:
                tag = tag.head
            defs = self.up.get(tag) if tag is not None else None
            if defs is not None:
                r = self._apply_defs(defs, Expr(head, args))
                if r is not None:
                    return r
        return None


def _bound(rhs: Any, b: dict[Symbol, Any], call: Any) -> Any:
    """rhs with its variables; where options were matched, OptionValue[n] learns which, and whose defaults hold."""
    options = b.get(S.OptionsPattern) if b else None
    if options is None:
        return bind(rhs, b)
    head = call.head if type(call) is Expr else call
    while type(head) is Expr:
        head = head.head
    known, given = options.args

    def go(x: Any) -> Any:
        if type(x) is not Expr:
            return x
        if x.head is S.OptionValue and len(x.args) == 1:
            return mk(S.OptionValue, head if known is S.Automatic else known, given, x.args[0])
        return Expr(go(x.head), tuple([go(a) for a in x.args]))

    return go(bind(rhs, {k: v for k, v in b.items() if k is not S.OptionsPattern}))


def _yes(b: dict) -> bool:
    return True
