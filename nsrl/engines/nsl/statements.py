"""The statements of nsl: values, relations, actions, loops and definitions."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from nsrl.engines.nsl.expressions import Expressions
from nsrl.engines.nsl.lexer import NslSyntaxError
from nsrl.engines.nsl.operands import iterator
from nsrl.engines.nsl.truths import RELATION_HEADS
from nsrl.engines.nsl.words import symbol
from nsrl.engines.wolfram.expr import Expr, S, Symbol, has_head, lst, mk

UPDATES = {"+=": S.AddTo, "-=": S.SubtractFrom, "*=": S.TimesBy, "/=": S.DivideBy}
_COUNTED = re.compile(r"[A-Za-z][CP](?:\d+|[a-z])")  # nC2, nCr, nPr


@dataclass(frozen=True)
class Statement:
    """kind: value, relation, assign, update, define, loop. tree: its Wolfram tree. start, end: offsets in the
    source."""

    kind: str
    tree: Any
    start: int = 0
    end: int = 0


class Statements(Expressions):
    """Reads one statement: a value, a relation, an action or a loop."""

    def __init__(self, text: str):
        super().__init__(text)
        self.defined: set[Any] = set()  # functions: f(x)=5 after f(x)=x² is an equation
        self.percents: set[Any] = set()  # names that are set to a percentage

    def statement(self) -> list[Statement]:
        """The statements up to the next `;`: one, or several with commas between them."""
        start = self.tok.start
        if self.tok.value == "let" and self.toks[self.i + 1].kind in ("name", "word"):
            self.i += 1
        if self.take("while"):
            t = self.tok
            test = self.condition(self.relation(), t)
            self.need(":")
            tree = mk(S.While, test, self.body())
            return [self.made("loop", tree, start)]
        if self.take("for"):
            name = self.name()
            self.need("in")
            where = self.range()
            self.need(":")
            tree = mk(S.Do, self.body(), lst([name, *iterator(where)]))
            return [self.made("loop", tree, start)]
        out = self.repeated()
        for key, negate in (("until", True), ("while", False)):
            if self.take(key):
                t = self.tok
                test = self.condition(self.relation(), t)
                done = [_as_action(s) for s in out]
                if any(s.kind not in ("assign", "update") for s in done):
                    self.fail(f"before {key!r} stands what is repeated, such as x-=3")
                body = [s.tree for s in done]
                test = mk(S.Not, test) if negate else test
                # The body comes first and at least once, as in "do … until".
                return [self.made("loop", mk(S.While, mk(S.CompoundExpression, *body, test)), start)]
        return out

    def made(self, kind: str, tree: Any, start: int) -> Statement:
        """A statement that began at `start` and ends here."""
        if self.flags or self.tested:
            self.numbers(tree, start)
        return Statement(kind, tree, start, self.toks[self.i - 1].end)

    def body(self) -> Any:
        """What a loop repeats: one action, or several in brackets."""
        done = [_as_action(s) for s in self.repeated()]
        for d in done:
            if d.kind not in ("assign", "update"):
                raise NslSyntaxError(
                    "a loop repeats what changes a name, such as s+=k; a comparison stands in brackets", d.start, d.end
                )
        return done[0].tree if len(done) == 1 else mk(S.CompoundExpression, *[d.tree for d in done])

    def repeated(self) -> list[Statement]:
        """Actions in brackets, or a statement; of two errors the one that got further says what is wrong."""
        at = self.i
        try:
            return self.looped() or self.simple()
        except NslSyntaxError as outer:
            self.i, self.depth = at, 0
            self.looped(outer.start)
            raise

    def looped(self, most: float = math.inf) -> list[Statement] | None:
        """`(s+=k,k+=1)`: actions in brackets, or None where something else stands here. most: errors behind this
        place are raised."""
        at, depth = self.i, self.depth
        if self.take("("):
            try:
                actions = self.list_of(self.action_or_value)
                if self.take(")") and all(a.kind != "value" for a in actions):
                    return actions
            except NslSyntaxError as e:
                if e.start > most:
                    raise
                self.depth = depth
            self.i = at
        return None

    def simple(self) -> list[Statement]:
        """Actions, relations or values with commas between them."""
        start = self.tok.start
        first = self.action_or_value()
        if first.kind in ("assign", "update", "define") or self.tok.value != ",":
            return [first]
        items = [first]
        while self.take(","):
            items.append(self.action_or_value())
        if all(s.kind != "value" for s in items):
            return items  # x+y=5,x-y=1 are two statements
        both = self._together(items, start)
        if both:
            return both
        for a, _, b in self._glued(start):
            if b.end - b.start == 3 and a.end - a.start < 4:
                raise NslSyntaxError("no thousands separators; a list is {12,345}", a.start, b.end)
            if not all(type(s.tree) in (int, float, Fraction) for s in items):
                raise NslSyntaxError("a decimal is 1.5; write a list as {1,5+2}", a.start, b.end)
        if any(s.kind != "value" for s in items):
            self.fail("a list mixes values and equations; put ';' between statements")
        return [self.made("value", lst(s.tree for s in items), start)]

    def _glued(self, start: int) -> list:
        """Tokens of this statement that look like 12,345 or 1,5."""
        read = [t for t in self.toks[: self.i] if t.start >= start]
        return [
            (a, comma, b) for a, comma, b in zip(read, read[1:], read[2:])
            if comma.value == "," and a.kind == b.kind == "num" and not comma.gap and not b.gap
            and isinstance(b.value, int) and isinstance(a.value, int)
        ]  # fmt: skip

    def _together(self, items: list[Statement], start: int) -> list[Statement] | None:
        """`A,B=(0,0),(3,4)`: as many names as values around one `=`."""
        at = [k for k, s in enumerate(items) if has_head(s.tree, S.Equal)]
        if len(at) != 1 or len(items) != 2 * at[0] + 1 or len(items[at[0]].tree.args) != 2:
            return None
        k = at[0]
        left = [s.tree for s in items[:k]] + [items[k].tree.args[0]]
        right = [items[k].tree.args[1]] + [s.tree for s in items[k + 1 :]]
        if not all(type(n) is Symbol for n in left):
            return None
        return [self.made("relation", mk(S.Equal, n, v), start) for n, v in zip(left, right)]

    def action_or_value(self) -> Statement:
        """One action, relation, definition or value."""
        start = self.tok.start
        t = self.toks
        if self.tok.kind in ("name", "word") and self.tok.value in self.names.functions and t[self.i + 1].value == "(":
            made = self.definition(start)
            if made is not None:
                return made
        if self.tok.kind in ("name", "word") and t[self.i + 1].value in (":=", *UPDATES) and t[self.i + 1].kind == "op":
            target = self.name()
            op = t[self.i].value
            self.i += 1
            value = self.range()
            if self.percentage(value):
                if op in ("+=", "-="):
                    self.fail("percent of what? write x-=25% of x", t[self.i - 1])
                self.percents.add(target)
            self.noted(target, value)
            return self.made("assign", mk(S.Set, target, value), start) if op == ":=" else self.made(
                "update", mk(UPDATES[op], target, value), start)  # fmt: skip
        if self.tok.kind == "name" and _COUNTED.fullmatch(str(self.tok.value)) and t[self.i + 1].value == "=":
            name = str(self.tok.value)
            self.fail(f"{name}=… would set a name; write {name[1]}({name[0]},{name[2:]})=…")
        tree = self.relation()
        if has_head(tree, S.Equal) and tree.args:
            self.noted(tree.args[0], tree.args[-1])
            if (
                type(tree.args[0]) is Symbol
                and len(tree.args) == 2
                and (self.percentage(tree.args[1]) or tree.args[1] in self.percents)
            ):
                self.percents.add(tree.args[0])
        signs = (k for k in t[: self.i] if k.start >= start and self.text[k.start : k.end] == "!=" and not k.gap)
        if has_head(tree, S.Unequal) and (sign := next(signs, None)):
            self.fail("factorial or ≠? write n≠720 or n != 720, or n! = 720", sign)
        kind = "relation" if type(tree) is Expr and tree.head in RELATION_HEADS else "value"
        return self.made(kind, tree, start)

    def noted(self, name: Any, value: Any) -> None:
        """Keeps in mind that a name is true or false where its value is."""
        if self.truthful(value):
            self.flags.add(name)

    def definition(self, start: int) -> Statement | None:
        """`f(x)=…` or `f(x):=…`; None if what stands here is a use of f."""
        at = self.i
        f = symbol(str(self.tok.value))
        self.i += 2
        names: list[Any] = []
        while self.tok.kind in ("name", "word", "num"):
            names.append(self.tok.value if self.tok.kind == "num" else symbol(self.tok.value))
            self.i += 1
            if not self.take(","):
                break
        point = any(type(n) is not Symbol for n in names)  # f(0):=1; f(0)=1 is an equation, unless f calls itself
        if names and self.take(")") and ((f not in self.defined and not point and self.take("=")) or self.take(":=")):
            pattern = Expr(f, tuple(mk(S.Pattern, n, mk(S.Blank)) if type(n) is Symbol else n for n in names))
            body = self.relation()
            self.defined.add(f)
            self.noted(f, body)
            return self.made("define", mk(S.SetDelayed, pattern, body), start)
        self.i = at
        return None


def _as_action(s: Statement) -> Statement:
    """Inside a loop `x = …` assigns."""
    t = s.tree
    if s.kind == "relation" and has_head(t, S.Equal) and len(t.args) == 2 and type(t.args[0]) is Symbol:
        return Statement("assign", mk(S.Set, *t.args), s.start, s.end)
    return s
