"""The fixed-point evaluator: one instance is one fresh context.

Own-, down-, up- and sub-values, attributes, argument holding, flattening, threading, messages, and the limits that
make a program end. Builtins come from the tables; what they mean is their business. Knows nothing of text.
"""

from __future__ import annotations

import time
from itertools import count
from typing import Any

from nsrl.engines.result import Limits, Message, Status
from nsrl.engines.wolfram.errors import LimitReached
from nsrl.engines.wolfram.expr import FAILED, FALSE, LIST, NONE, NULL, RULE, TRUE, Expr, S, Symbol, mk, same
from nsrl.engines.wolfram.lost import PASSES_BY, Losses
from nsrl.engines.wolfram.order import is_sorted, sort
from nsrl.engines.wolfram.pattern import compile_pattern, has_pattern, specificity
from nsrl.engines.wolfram.subst import bind, fill_slots, flatten, replace_symbols, slots, splice
from nsrl.engines.wolfram.table import (
    FLAT,
    HOLD_ALL,
    HOLD_ALL_COMPLETE,
    HOLD_FIRST,
    HOLD_REST,
    LISTABLE,
    ORDERLESS,
    SEQUENCE_HOLD,
    absent,
    without_options,
)  # fmt: skip

_EPOCHS = count(1)  # never repeats in a process: a stamp of another context can not be taken for one of this
_SEQUENCE, _UNEVALUATED, _EVALUATE, _FUNCTION = S.Sequence, S.Unevaluated, S.Evaluate, S.Function
_SORTS_ITSELF = {S.Plus, S.Times}
_INERT_SYMBOLS = {TRUE, FALSE, NULL, NONE, S.All, S.Pi, S.E, S.Degree, S.Infinity}
_RULES = {RULE, S.RuleDelayed}
_INERT_HEADS = {LIST, RULE, S.Complex, S.Association, S.Missing}
_MAX_MESSAGES = 200
_NODES = 500_000  # of a tree that may share its parts: small in memory, but who walks through it comes to each of them
_SHALLOW = {getattr(S, n) for n in [
    "List", "CompoundExpression", "Set", "Return", "Length", "Part", "First", "Last", "Rest", "Most", "Head", "Depth",
    "SameQ",
    "UnsameQ", "AtomQ", "ListQ", "Nest", "NestList", "Fold", "FoldList", "FixedPoint", "Append", "Prepend", "Reverse",
    "Identity", "If", "Which", "Module", "Block", "With",
]}  # fmt: skip
_ITERATIONS = (
    12_288  # thrice the kernel's $IterationLimit: f[x_] := f[x + 1] nests nothing, only the steps would end it
)
# What a handler may raise on values that it has no rule for. Not TypeError or AttributeError: those are mistakes, and
# arguments of an odd kind are refused before (`takes`) or in the handler.
ODD_VALUES = (ValueError, IndexError, KeyError, ZeroDivisionError, OverflowError, StopIteration)


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


class Evaluator(Losses):
    """A context and the counters of one program."""

    def __init__(self, limits: Limits | None = None):
        self.limits = limits or Limits()
        self.own: dict[Symbol, Any] = {}
        self.down: dict[Symbol, Defs] = {}
        self.sub: dict[Symbol, Defs] = {}
        self.up: dict[Symbol, Defs] = {}
        self.attrs: dict[Symbol, int] = {}
        self.options: dict[Symbol, dict[Any, Any]] = {}
        self.texts: dict[tuple[Symbol, str], Any] = {}
        self.matchers: dict[Any, Any] = {}
        self.messages: list[Message] = []
        self.counts: dict[tuple[str, str], int] = {}
        self.quiet = 0
        self.off: set[tuple[str, str]] = set()
        self.printed: list[str] = []
        self.printed_size = 0
        self.epoch = next(_EPOCHS)
        self.steps = 0
        self.depth = 0
        self.max_depth = self.limits.depth
        self.max_steps = self.limits.steps
        self.max_bits = int(self.limits.integer_digits * 3.3219280948873626) + 1
        self.deadline = time.process_time() + self.limits.cpu_s
        self.module_number = 0
        self.open: set[Symbol] = set()  # heads of the calls that were left without a value
        self.absences = 0  # how many times that happened
        self.lost: Symbol | None = None  # head of a call without a value that some value was made from
        self.judged: frozenset[Symbol] = frozenset()  # symbols of which a test like EvenQ said "no" for want of a value
        self.shown: Any = None  # what Print was last given
        self.series = False  # whether a power series has come up
        self.sow: list[list[tuple[Any, Any]]] = []
        self.catching = 0
        self.random: Any = None

    # -- limits --------------------------------------------------------------------------------------------------
    def step(self, n: int = 1) -> None:
        """Count work. Raises LimitReached when the program has had its share of steps or of CPU."""
        before = self.steps
        self.steps = before + n
        if self.steps > self.max_steps:
            raise LimitReached(Status.TIMEOUT, "evaluation steps")
        if (before ^ self.steps) & ~0x3FF:
            self.check_cpu()

    def check_cpu(self) -> None:
        """Raises LimitReached when the CPU time is spent."""
        if time.process_time() > self.deadline:
            raise LimitReached(Status.TIMEOUT, "CPU time")

    def need_length(self, n: int) -> None:
        """To be called before building n elements."""
        if n > self.limits.list_length:
            raise LimitReached(Status.MEMORY, "list length")
        if n > 1024:
            self.step(n >> 10)

    def need_bits(self, n: int) -> None:
        """To be called before building an integer of n bits."""
        if n > self.max_bits:
            raise LimitReached(Status.MEMORY, "integer digits")

    def need_text(self, n: int) -> None:
        """To be called before building a string of n characters."""
        if n > self.limits.list_length * 4:
            raise LimitReached(Status.MEMORY, "string length")

    # -- context -------------------------------------------------------------------------------------------------
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

    def message(self, symbol: str, tag: str, text: str) -> None:
        """Record `symbol::tag: text` as the real engine prints it; after three of one kind, General::stop."""
        if self.quiet or (symbol, tag) in self.off or len(self.messages) >= _MAX_MESSAGES:
            return
        n = self.counts[symbol, tag] = self.counts.get((symbol, tag), 0) + 1
        if n <= 3:
            self.messages.append(Message(symbol, tag, text))
        if n == 3:
            self.messages.append(
                Message(
                    "General", "stop", f"Further output of {symbol}::{tag} will be suppressed during this calculation."
                )
            )

    def print(self, line: str, shown: Any = None) -> None:
        """Print[shown]: bounded by the output limit."""
        self.shown = line if shown is None else shown
        self.printed_size += len(line) + 1
        if self.printed_size > self.limits.output_bytes:
            raise LimitReached(Status.MEMORY, "output size")
        self.printed.append(line)

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

    # -- evaluation ----------------------------------------------------------------------------------------------
    def call(self, f: Any, *args: Any) -> Any:
        """Evaluate f[args...]."""
        return self.eval(Expr(f, args))

    def true(self, f: Any, *args: Any) -> bool:
        """Whether f[args...] is True."""
        return self.eval(Expr(f, args)) is TRUE

    def eval(self, e: Any) -> Any:
        """The value of e."""
        t = type(e)
        if t is Expr:
            if e.stamp == -1 or e.stamp == self.epoch:
                return e
            return self._evaluate(e)
        if t is Symbol:
            v = self.own.get(e)
            if v is None:
                if e.builtin is not None and e.builtin.most == -1:
                    return e.builtin.handler(self, ())
                return e
            if type(v) is Expr:
                if v.stamp == -1 or v.stamp == self.epoch:
                    return v
                return self._evaluate(v)
            if type(v) is Symbol and v is not e:
                self.step(1)
                self.depth += 1
                try:
                    if self.depth > self.max_depth:
                        raise LimitReached(Status.TIMEOUT, "recursion depth")
                    return self.eval(v)
                finally:
                    self.depth -= 1
            return v
        return e

    def _evaluate(self, e: Expr) -> Any:
        self.depth += 1
        if self.depth > self.max_depth:
            self.depth -= 1
            raise LimitReached(Status.TIMEOUT, "recursion depth")
        epoch = self.epoch
        rewrites = 0
        try:
            while True:
                rewrites += 1
                if rewrites > _ITERATIONS:
                    raise LimitReached(Status.TIMEOUT, "iterations of one rewriting")
                self.steps += 1
                if self.steps > self.max_steps:
                    raise LimitReached(Status.TIMEOUT, "evaluation steps")
                if not self.steps & 0x3FF:
                    self.check_cpu()
                r, done = self._once(e)
                if type(r) is not Expr:
                    return self.eval(r)
                if done:
                    n = 1
                    for a in r.args:
                        if type(a) is Expr:
                            n += a.nodes
                    r.nodes = n
                    if self.epoch == epoch:
                        r.stamp = epoch
                        if r.head in _INERT_HEADS and _inert(r.args):
                            r.stamp = -1
                    return r
                if r.stamp == -1 or r.stamp == self.epoch:
                    return r
                e = r
        finally:
            self.depth -= 1

    def _once(self, e: Expr) -> tuple[Any, bool]:
        """One rewriting step: (new tree, whether it is its own value)."""
        head, args = e.head, e.args
        if type(head) is Symbol:
            if head in self.own:
                head = self.eval(head)
        else:
            head = self.eval(head)
        if type(head) is not Symbol:
            return self._applied(head, e)
        attrs = self.attrs.get(head, head.attrs) if self.attrs else head.attrs
        absences = self.absences
        # arguments
        if attrs & HOLD_ALL_COMPLETE:
            new = args
        else:
            new = self._arguments(args, attrs)
            if attrs & FLAT:
                for a in new:
                    if type(a) is Expr and a.head is head:
                        new = flatten(head, new)
                        break
            if attrs & LISTABLE:
                for a in new:
                    if type(a) is Expr and a.head is LIST:
                        threaded = self._thread(head, new)
                        if threaded is not None:
                            return threaded, False
                        return Expr(head, tuple(sort(new)) if attrs & ORDERLESS else new), True
            if attrs & ORDERLESS and len(new) > 1 and head not in _SORTS_ITSELF:
                if not is_sorted(new):
                    new = tuple(sort(new))
        if self.up:
            r = self._up(head, new)
            if r is not None:
                return r, False
        defs = self.down.get(head)
        if defs is not None:
            call = e if new is args and head is e.head else Expr(head, new)
            r = self._apply_defs(defs, call)
            if r is not None:
                return r, False
        b = head.builtin
        if b is not None and b.handler is not None:
            last = new[-1] if new else None
            read: tuple | None = new
            if type(last) is Expr and last.head in _RULES and not b.data and "*" not in b.options:
                read = without_options(b, new)
            n = len(new) if read is None else len(read)
            if read is None:
                pass  # an option that the handler does not read may ask for another value
            elif n < b.least or (b.most is not None and n > b.most):
                self._arity(head.name, n, b.least, b.most)
            else:
                bare = read
                for a in read:
                    if type(a) is not Expr:
                        continue
                    if a.nodes > _NODES and head not in _SHALLOW:
                        _walkable(a)
                    if a.head is _UNEVALUATED and not attrs & HOLD_ALL_COMPLETE:
                        bare = tuple(
                            [
                                x.args[0] if type(x) is Expr and x.head is _UNEVALUATED and len(x.args) == 1 else x
                                for x in read
                            ]
                        )
                        break
                try:
                    r = b.handler(self, bare)
                except ODD_VALUES:
                    r = None  # as in the kernel, the call stays as it is
                if r is not None:
                    if self.open and head not in PASSES_BY and self.lost is None:
                        self.look_for_loss(b, attrs, bare, r, absences)
                    return r, False
            if b.answers:
                self.open.add(head)
                self.absences += 1
        elif absent(head) and head not in self.down:
            self.open.add(head)
            self.absences += 1
        if new is args and head is e.head:
            return e, True
        return Expr(head, new), True

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

    def _arity(self, name: str, n: int, least: int, most: int | None) -> None:
        """The message for a wrong number of arguments."""
        got = f"{n} argument{'' if n == 1 else 's'}"
        if most == least:
            if n == 1:
                self.message(name, "argr", f"{name} called with 1 argument; {least} arguments are expected.")
            elif least == 1:
                self.message(name, "argx", f"{name} called with {got}; 1 argument is expected.")
            else:
                self.message(name, "argrx", f"{name} called with {got}; {least} arguments are expected.")
        elif most is None:
            tag = "argmu" if n == 1 else "argm"
            self.message(name, tag, f"{name} called with {got}; {least} or more arguments are expected.")
        elif most == least + 1:
            tag = "argtu" if n == 1 else "argt"
            self.message(name, tag, f"{name} called with {got}; {least} or {most} arguments are expected.")
        else:
            tag = "argbu" if n == 1 else "argb"
            self.message(name, tag, f"{name} called with {got}; between {least} and {most} arguments are expected.")

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

    def text(self, e: Any) -> str:
        """e as messages quote it (bounded)."""
        from nsrl.engines.wolfram.printer import text

        s = text(e)
        return s if len(s) <= 2000 else f"{s[:900]} <<{len(s) - 1800}>> {s[-900:]}"

    # -- definitions ---------------------------------------------------------------------------------------------
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

    def define(self, table: dict[Symbol, Defs], name: Symbol, lhs: Any, rhs: Any) -> None:
        """Add lhs -> rhs to the down-, sub- or up-values of a symbol, replacing a rule of the same left-hand side."""
        defs = table.get(name)
        if defs is None:
            defs = table[name] = Defs()
        self.changed()
        conditional = type(rhs) is Expr and rhs.head is S.Condition
        for a in lhs.args if type(lhs) is Expr else ():
            _walkable(a)
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

    # -- application ---------------------------------------------------------------------------------------------
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
        _walkable(f)
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


def _walkable(e: Any) -> None:
    """Ends the program before someone walks through a tree that is too large for it."""
    if type(e) is Expr and e.nodes > _NODES:
        raise LimitReached(Status.TIMEOUT, "size of an expression")


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


def _inert(args: tuple) -> bool:
    for a in args:
        t = type(a)
        if t is Expr:
            if a.stamp != -1:
                return False
        elif t is Symbol and a not in _INERT_SYMBOLS:
            return False
    return True
