"""The fixed-point evaluator: one instance is one fresh context.

The walk: one rewriting step after another until nothing changes, with flattening, threading and sorting by attributes.
It stands on four layers: budget.py (limits), messages.py, definitions.py and application.py (heads and arguments).
Builtins come from the tables; what they mean is their business. Knows nothing of text.
"""

from __future__ import annotations

from typing import Any

from nsrl.engines.result import Limits, Status
from nsrl.engines.wolfram.application import ODD_VALUES, Application
from nsrl.engines.wolfram.budget import NODES, walkable
from nsrl.engines.wolfram.errors import LimitReached
from nsrl.engines.wolfram.expr import FALSE, LIST, NONE, NULL, RULE, TRUE, Expr, S, Symbol
from nsrl.engines.wolfram.lost import PASSES_BY
from nsrl.engines.wolfram.order import is_sorted, sort
from nsrl.engines.wolfram.subst import flatten
from nsrl.engines.wolfram.table import FLAT, HOLD_ALL_COMPLETE, LISTABLE, ORDERLESS, absent, without_options

_UNEVALUATED = S.Unevaluated
_SORTS_ITSELF = {S.Plus, S.Times}
_INERT_SYMBOLS = {TRUE, FALSE, NULL, NONE, S.All, S.Pi, S.E, S.Degree, S.Infinity}
_RULES = {RULE, S.RuleDelayed}
_INERT_HEADS = {LIST, RULE, S.Complex, S.Association, S.Missing}
_SHALLOW = {getattr(S, n) for n in [
    "List", "CompoundExpression", "Set", "Return", "Length", "Part", "First", "Last", "Rest", "Most", "Head", "Depth",
    "SameQ",
    "UnsameQ", "AtomQ", "ListQ", "Nest", "NestList", "Fold", "FoldList", "FixedPoint", "Append", "Prepend", "Reverse",
    "Identity", "If", "Which", "Module", "Block", "With",
]}  # fmt: skip
_ITERATIONS = (
    12_288  # thrice the kernel's $IterationLimit: f[x_] := f[x + 1] nests nothing, only the steps would end it
)


class Evaluator(Application):
    """A context and the counters of one program."""

    def __init__(self, limits: Limits | None = None):
        super().__init__(limits)
        self.open: set[Symbol] = set()  # heads of the calls that were left without a value
        self.absences = 0  # how many times that happened
        self.lost: Symbol | None = None  # head of a call without a value that some value was made from
        self.judged: frozenset[Symbol] = frozenset()  # symbols of which a test like EvenQ said "no" for want of a value
        self.series = False  # whether a power series has come up
        self.sow: list[list[tuple[Any, Any]]] = []
        self.catching = 0
        self.random: Any = None

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
                    if a.nodes > NODES and head not in _SHALLOW:
                        walkable(a)
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


def _inert(args: tuple) -> bool:
    for a in args:
        t = type(a)
        if t is Expr:
            if a.stamp != -1:
                return False
        elif t is Symbol and a not in _INERT_SYMBOLS:
            return False
    return True
