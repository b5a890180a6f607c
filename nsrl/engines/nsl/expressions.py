"""The expressions of nsl: tokens to Wolfram trees, one method per level of binding."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from nsrl.engines.nsl.lexer import Token
from nsrl.engines.nsl.names import opens
from nsrl.engines.nsl.powers import HUNDREDTH, Powers, negative
from nsrl.engines.nsl.units import UNITS
from nsrl.engines.nsl.words import plain
from nsrl.engines.wolfram.expr import Expr, S, Symbol, has_head, is_list, mk

RELATIONS = {"=": S.Equal, "!=": S.Unequal, "<": S.Less, "<=": S.LessEqual, ">": S.Greater, ">=": S.GreaterEqual}
DOMAINS = {"ℤ": S.Integers, "ℝ": S.Reals, "ℕ": S.PositiveIntegers, "ℚ": S.Rationals, "Z": S.Integers, "R": S.Reals,
           "N": S.PositiveIntegers, "Q": S.Rationals}  # fmt: skip
_WHOLE = frozenset([S.Ceiling, S.Floor, S.Round, S.Length, S.StringLength, S.Count, S.Factorial, S.Binomial, S.GCD,
                    S.LCM, S.Quotient, S.Prime])  # fmt: skip


class Expressions(Powers):
    """Reads the expressions of `text`, loosest first."""

    def relation(self) -> Any:
        """Conditions with `or` between them: the loosest level."""
        t, first = self.toks[self.i], self.conjunction()
        return self.joined(first, t, self.conjunction, "or", S.Or) if self.toks[self.i].value == "or" else first

    def conjunction(self) -> Any:
        """Conditions with `and` between them."""
        t, first = self.toks[self.i], self.negation()
        return self.joined(first, t, self.negation, "and", S.And) if self.toks[self.i].value == "and" else first

    def joined(self, first: Any, t: Token, part: Callable[[], Any], key: str, head: Any) -> Any:
        """The parts from `first`, which began with `t`, with `key` between them."""
        parts = [first]
        while self.take(key):
            parts.append(self.condition(part(), t, True))
        return first if len(parts) == 1 else mk(head, self.condition(first, t, True), *parts[1:])

    def negation(self) -> Any:
        """A comparison, or one with `not` before it."""
        t = self.toks[self.i]
        if t.value in ("not", "!") and t.kind in ("op", "key"):
            self.i += 1
            t = self.toks[self.i]
            return mk(S.Not, self.condition(self.deeper(self.negation), t, True))
        return self.comparison()

    def comparison(self) -> Any:
        """Ranges with =, !=, <, `in` and their kin between them."""
        first = self.range()
        items, signs = [first], []
        while (t := self.toks[self.i]).kind in ("op", "key"):
            if t.value in RELATIONS:
                self.i += 1
                signs.append(RELATIONS[t.value])
                items.append(self.range())
            elif t.value == "in" and not signs:
                return self.membership(first)
            else:
                break
        if not signs:
            return first
        if len(set(signs)) == 1:
            return Expr(signs[0], tuple(items))
        out: list[Any] = [items[0]]
        for s, x in zip(signs, items[1:]):
            out += [s, x]
        return Expr(S.Inequality, tuple(out))

    def membership(self, first: Any) -> Any:
        """`in {a,b}`, `in 1..9`, `in ℤ` behind `first`."""
        self.i += 1
        t = self.tok
        if t.value in DOMAINS and self.toks[self.i + 1].kind in ("end", "op", "key"):
            self.i += 1
            return mk(S.Element, first, DOMAINS[t.value])
        where = self.range()
        if t.value in ("(", "[") and is_list(where) and len(where.args) == 2:
            self.fail("for an interval write a<x<b, for a list {a,b}", t)
        return mk(S.MemberQ, where, first)

    def range(self) -> Any:
        """A sum, or two with .. between them."""
        a = self.sum()
        if self.toks[self.i].value == ".." and self.take(".."):
            b = self.sum()
            if self.tok.value == "..":
                self.fail("which is the step? write {n for n in 1..9 if n%2=1} or Range(1,9,2)")
            self.late = self.late or not type(a) is type(b) is int
            return mk(S.Range, self.whole_from(a), b)
        return a

    def whole_from(self, a: Any) -> Any:
        """The first whole number of `a..b`: a itself where it is one by its form."""
        return a if self.is_whole(a) else mk(S.Ceiling, a)

    def is_whole(self, a: Any) -> bool:
        """Whether a tree is a whole number, or a name that counts."""
        if type(a) is Symbol:
            return plain(a.name) in self.names.counters
        if type(a) is not Expr:
            return type(a) is int
        if a.head in (S.Plus, S.Times):
            return all(map(self.is_whole, a.args))
        if a.head is S.Power:
            return self.is_whole(a.args[0]) and type(a.args[1]) is int and a.args[1] > 0
        return a.head in _WHOLE

    def sum(self) -> Any:
        """Products with + and - between them; percentages of nothing are refused."""
        term = self.product()
        t = self.toks[self.i]
        if t.kind != "op" or t.value not in ("+", "-"):
            return term
        terms, whole = [term], True  # whole: the terms so far are percentages, or 1
        while (t := self.toks[self.i]).kind == "op" and t.value in ("+", "-"):
            whole = whole and ((type(term) is int and term == 1) or self.percentage(term))
            self.i += 1
            term = self.product()
            if not whole and self.toks[self.i - 1].value == "%" and self.percentage(term):
                self.fail("percent of what? write 80-25% of 80, or 80*(1-25%)", self.toks[self.i - 1])
            terms.append(negative(term) if t.value == "-" else term)
        return Expr(S.Plus, tuple(terms))

    def percentage(self, term: Any) -> bool:
        """Whether `term`, which was just read, is one operand with % behind it."""
        if self.toks[self.i - 1].value != "%":
            return False
        return type(term) in (int, Fraction) or (has_head(term, S.Times) and term.args[-1] == HUNDREDTH)

    def product(self) -> Any:
        """Factors with signs between them or side by side."""
        out = [self.signed()]
        while True:
            t = self.toks[self.i]
            sign = t.value if t.kind in ("op", "key") else None
            if sign == "*":
                self.i += 1
                out.append(self.signed())
            elif sign == "of":
                if self.toks[self.i - 1].value != "%" and not any(_is_share(f) for f in out):
                    self.fail("share or product? before 'of' stands a fraction or a percentage; write 20/80 or 20*80")
                self.i += 1
                out.append(self.signed())
            elif sign == "/":
                measured = self._measure(self.i - 1)
                self.i += 1
                below = self.signed()
                if measured and self.toks[self.i - 1].kind == "num" and self._measure(self.i):
                    self.fail("a/b·c or a/(b·c)? write → and the unit of the result behind it, or brackets")
                if self.names.units and self.toks[self.i - 1].kind == "num" and self._unit_next():
                    below = mk(S.Times, below, self.power())  # 10km/2h: two hours
                out.append(mk(S.Power, below, -1))
            elif sign in ("mod", "div", "%"):
                self.i += 1
                out = [mk(S.Quotient if sign == "div" else S.Mod, _product(out), self.signed())]
            elif self.joins(t):
                out.append(self.counting())
            else:
                return _product(out)

    def _measure(self, at: int) -> bool:
        """Whether the token at `at` is a unit's name behind a number, where nothing says that units are meant."""
        t = self.toks[at]
        if self.names.units or t.kind not in ("name", "word") or t.gap:
            return False
        return t.value in UNITS and t.value not in self.names.defined and self.toks[at - 1].kind == "num"

    def _unit_next(self) -> bool:
        return (
            self.tok.kind in ("name", "word") and self.tok.value in UNITS and self.tok.value not in self.names.defined
        )

    def joins(self, t: Token) -> bool:
        """Whether the next token, `t`, begins a factor that is written without a sign before it."""
        if not (opens(t) or (t.value == "|" and t.kind == "op" and not self.bars)):
            return False
        if t.kind == "num" and self.toks[self.i - 1].kind == "num":
            self.fail("two numbers stand side by side; write * or +")
        return t.kind != "str" or self.fail("a text cannot be multiplied") is not None


def _product(factors: list[Any]) -> Any:
    return factors[0] if len(factors) == 1 else Expr(S.Times, tuple(factors))


def _is_share(e: Any) -> bool:
    """Whether a factor is a fraction or a percentage as such: ½, 1/3, 0.2, x%."""
    if has_head(e, S.Times):
        return any(_is_share(a) for a in e.args)
    return type(e) in (float, Fraction) or (has_head(e, S.Power) and e.args[1] == -1)
