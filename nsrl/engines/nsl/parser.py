"""The grammar of nsl: text to a `Program`, whose statements hold Wolfram expression trees.

Recursive descent with one function per level of binding.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from nsrl.engines.nsl.expressions import Expressions, iterator
from nsrl.engines.nsl.lexer import NslSyntaxError
from nsrl.engines.nsl.truths import RELATION_HEADS
from nsrl.engines.nsl.units import UNITS
from nsrl.engines.nsl.words import plain, symbol
from nsrl.engines.wolfram.expr import Expr, S, Symbol, has_head, is_list, lst, mk

FIGURES = frozenset(["dist", "mid", "slope", "angle", "area", "peri", "line", "meet", "foot"])  # words about points
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


@dataclass(frozen=True)
class Program:
    """statements in order; options: the trees after `?`; unit: the words after `→`, or empty."""

    statements: tuple[Statement, ...]
    options: tuple = ()
    unit: Any = None
    unclear: frozenset = field(default=frozenset(), compare=False)  # e, i: names by an equation alone
    source: str = field(default="", compare=False)
    late: bool = field(default=False, compare=False)  # a call may have to wait for the values of its names


def parse(text: str) -> Program:
    """The program of `text`. Raises NslSyntaxError with the place."""
    return _Parser(text).program()


class _Parser(Expressions):
    def __init__(self, text: str):
        super().__init__(text)
        self.defined: set[Any] = set()  # functions: f(x)=5 after f(x)=x² is an equation
        self.percents: set[Any] = set()  # names that are set to a percentage

    # --- statements

    def program(self) -> Program:
        out: list[Statement] = []
        options: tuple = ()
        unit: Any = None
        while self.tok.kind != "end":
            if self.take(";"):
                continue
            if options or unit is not None:
                self.fail("nothing may follow the options or the unit")
            out += self.statement()
            if self.take("?"):
                options = self.options()
            if self.take("->") or self.take("to"):
                unit = self.unit()
                if self.take("?"):
                    options = self.options()
            if self.tok.kind != "end" and not self.take(";"):
                self.fail("for a ratio write a/b" if self.tok.value == ":" else "expected an operator or ';'")
        if not out:
            raise NslSyntaxError("the program is empty", 0, len(self.text))
        last = len(out) - 1
        out = [self._point(s) if i < last else s for i, s in enumerate(out)]
        out = _with_ends(out)
        for s in out if self.percents else ():
            if s.kind != "define":
                self._shares(s, s.tree)
        return Program(tuple(out), options, unit, frozenset(self.names.unclear), self.text, self.late)

    def _point(self, s: Statement) -> Statement:
        """`A(1,2)` as a statement of its own names a point."""
        t = s.tree
        if s.kind == "value" and has_head(t, S.Times) and len(t.args) == 2:
            name, point = t.args
            if type(name) is Symbol and name.name[0].isupper() and is_list(point) and len(point.args) > 1:
                return Statement("relation", mk(S.Equal, name, point), s.start, s.end)
        if s.kind == "value" and type(t) is Expr and self.text[s.start : s.start + 2] in ("C(", "P("):
            if t.head in (S.Binomial, S.FactorialPower) and self._names_point(s, t):
                return Statement("relation", mk(S.Equal, symbol(self.text[s.start]), lst(t.args)), s.start, s.end)
        return s

    def _shares(self, s: Statement, e: Any, whole: bool = False) -> None:
        """A name that is set to a percentage is added to 1, to decimals and to percentages alone, or where the sum is
        one (whole)."""
        if type(e) is not Expr:
            return
        if e.head in (S.AddTo, S.SubtractFrom) and e.args[1] in self.percents and e.args[0] not in self.percents:
            raise NslSyntaxError(
                f"percent of what? write {plain(e.args[0].name)}*=(1-{plain(e.args[1].name)})", s.start, s.end
            )
        terms = (
            [a.args[1] if has_head(a, S.Times) and len(a.args) == 2 and a.args[0] == -1 else a for a in e.args]
            if e.head is S.Plus and not whole
            else []
        )
        named = next((t for t in terms if t in self.percents), None)
        if named is not None and not all(
            t in self.percents or type(t) in (Fraction, float) or t in (1, -1) for t in terms
        ):
            name = plain(named.name)
            raise NslSyntaxError(
                f"percent of what? {name} is a percentage: write x*(1-{name}), or {name}*x", s.start, s.end
            )
        share = e.head is S.Equal and any(a == 1 or type(a) is Fraction or a in self.percents for a in e.args)
        for a in e.args:
            self._shares(s, a, share)

    def _names_point(self, s: Statement, t: Any) -> bool:
        """Whether the statement `C(n,r)` (`P(n,r)`) is a point: one of numbers, or of a letter that stands alone
        elsewhere. Raises NslSyntaxError where that letter could mean the number, too."""
        names = {plain(n.name) for n in _symbols(t)}
        letter = self.text[s.start]
        if not names or letter not in self.names.alone or any(t.value in FIGURES for t in self.toks):
            return not names or letter in self.names.alone
        if self.names.defined.issuperset(names):
            raise NslSyntaxError(
                f"a point or a number? write {letter}={self.text[s.start + 1 : s.end]}, or k={letter}(…)",
                s.start,
                s.end,
            )
        return True

    def options(self) -> tuple:
        items = self.list_of(self.relation)
        if len(items) == 1 and is_list(items[0]):
            items = list(items[0].args)
        if not 2 <= len(items) <= 26:
            self.fail("'?' needs 2 to 26 options")
        return tuple(items)

    def unit(self) -> Any:
        """What stands behind `→`: products of unit names, ° or %."""
        t = self.tok
        if self.take("%"):
            return Fraction(1, 100)
        tree = self.sum()
        names = [plain(n.name) for n in _symbols(tree)]
        if not names or any(n not in (*UNITS, "Degree") or n in self.names.defined for n in names):
            self.fail("behind '→' stands a unit that is no name of the program", t)
        return tree

    def list_of(self, item) -> list:
        out = [item()]
        while self.take(","):
            out.append(item())
        return out

    def statement(self) -> list[Statement]:
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
        if has_head(tree, S.Equal):
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


def _with_ends(statements: list[Statement]) -> list[Statement]:
    """The statements where `f(0)=1` of an f that calls itself is a definition. Raises NslSyntaxError for an f that
    never ends."""
    heads = {
        s.tree.args[0].head for s in statements if s.kind == "define" and _calls(s.tree.args[1], s.tree.args[0].head)
    }
    if not heads:
        return statements
    out = []
    for s in statements:
        left = s.tree.args[0] if s.kind == "relation" and has_head(s.tree, S.Equal) and len(s.tree.args) == 2 else None
        if type(left) is Expr and left.head in heads and all(type(a) is int for a in left.args):
            s = Statement("define", mk(S.SetDelayed, *s.tree.args), s.start, s.end)
        out.append(s)
    ended = {
        s.tree.args[0].head
        for s in out
        if s.kind == "define" and any(not has_head(a, S.Pattern) for a in s.tree.args[0].args)
    }
    for s in out:
        if s.kind == "define" and (f := s.tree.args[0].head) in heads - ended:
            name = plain(f.name)
            raise NslSyntaxError(
                f"{name} calls itself without end; add {name}(0)=…, or write if(n=0,…,…)", s.start, s.end
            )
    return out


def _calls(e: Any, f: Any) -> bool:
    """Whether e calls f in any case: not in a branch of `if` alone."""
    if type(e) is not Expr:
        return False
    return e.head is f or any(_calls(a, f) for a in (e.args[:1] if e.head is S.If else e.args))


def _as_action(s: Statement) -> Statement:
    """Inside a loop `x = …` assigns."""
    t = s.tree
    if s.kind == "relation" and has_head(t, S.Equal) and len(t.args) == 2 and type(t.args[0]) is Symbol:
        return Statement("assign", mk(S.Set, *t.args), s.start, s.end)
    return s


def _symbols(e: Any) -> list[Symbol]:
    if type(e) is Expr:
        return [s for a in e.args for s in _symbols(a)]
    return [e] if type(e) is Symbol else []
