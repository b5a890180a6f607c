"""The grammar of nsl: text to a `Program`, whose statements hold Wolfram expression trees.

Recursive descent with one function per level of binding.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from nsrl.engines.nsl.lexer import NslSyntaxError
from nsrl.engines.nsl.statements import Statement, Statements
from nsrl.engines.nsl.units import UNITS
from nsrl.engines.nsl.words import plain, symbol
from nsrl.engines.wolfram.expr import Expr, S, Symbol, has_head, is_list, lst, mk

FIGURES = frozenset(["dist", "mid", "slope", "angle", "area", "peri", "line", "meet", "foot"])  # words about points


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


class _Parser(Statements):
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


def _symbols(e: Any) -> list[Symbol]:
    if type(e) is Expr:
        return [s for a in e.args for s in _symbols(a)]
    return [e] if type(e) is Symbol else []
