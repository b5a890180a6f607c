"""The expressions of nsl: tokens to Wolfram trees, one method per level of binding."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from nsrl.engines.nsl.calls import MAX_DEPTH, RELATIONS, Calls
from nsrl.engines.nsl.lexer import Token
from nsrl.engines.nsl.names import opens
from nsrl.engines.nsl.units import UNITS
from nsrl.engines.nsl.words import CONSTANTS, WORDS, plain, symbol
from nsrl.engines.wolfram.expr import Expr, S, Symbol, has_head, is_list, lst, mk, norm

DOMAINS = {"ℤ": S.Integers, "ℝ": S.Reals, "ℕ": S.PositiveIntegers, "ℚ": S.Rationals, "Z": S.Integers, "R": S.Reals,
           "N": S.PositiveIntegers, "Q": S.Rationals}  # fmt: skip
ROOTS = {"√": lambda x: mk(S.Sqrt, x), "∛": lambda x: mk(S.CubeRoot, x), "∜": lambda x: mk(S.Surd, x, 4)}
HUNDREDTH = Fraction(1, 100)
_BEHIND_OPERANDS = frozenset(
    ["^", "!", "°", "%", "[", ".", "choose", "perm"]
)  # signs and words that belong to what stands before
_WHOLE = frozenset([S.Ceiling, S.Floor, S.Round, S.Length, S.StringLength, S.Count, S.Factorial, S.Binomial, S.GCD,
                    S.LCM, S.Quotient, S.Prime])  # fmt: skip
_EXPECTED = "expected a number, a name or '('"
_HINTS = {
    "..": "a list from 1 to 10 is 1..10", "?": "to ask for x write it alone: ;x", "mod": "the remainder is a mod b",
    "div": "the quotient is a div b",
}  # fmt: skip


class Expressions(Calls):
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
            terms.append(_negative(term) if t.value == "-" else term)
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

    def signed(self) -> Any:
        """An operand with its sign."""
        t = self.toks[self.i]
        if t.kind == "num":
            behind = self.toks[self.i + 1]
            if behind.value not in _BEHIND_OPERANDS and behind.kind != "sup":  # a number and nothing more
                self.i += 1
                return t.value
        elif t.kind == "op" and t.value in ("-", "+"):
            self.i += 1
            x = self.deeper(self.signed)
            return _negative(x) if t.value == "-" else x
        return self.counting()

    def counting(self) -> Any:
        """`n choose k`, `n perm k`."""
        a = self.power()
        while (t := self.toks[self.i]).kind == "key" and t.value in ("choose", "perm"):
            self.i += 1
            a = mk(S.Binomial if t.value == "choose" else S.FactorialPower, a, self.power())
        return a

    def power(self) -> Any:
        """An operand with its exponent."""
        t = self.toks[self.i]
        letters = self.names.letters(t) if t.kind == "name" and self.names.bound and self._stands_alone() else None
        if letters is None:
            return self.raised(self.deeper(self.primary))
        self.i += 1  # xy where x and y are names of their own; what follows belongs to the last: mc² is m·c²
        return Expr(S.Times, (*(self._letter(c) for c in letters[:-1]), self.raised(self._letter(letters[-1]))))

    def _letter(self, c: str) -> Any:
        constant = self.names.constant(c)
        return symbol(c) if constant is None else constant

    def _stands_alone(self) -> bool:
        """Whether the name here is no call."""
        nxt = self.toks[self.i + 1]
        call = nxt.kind == "op" and nxt.value in ("(", "{", "[") and not nxt.gap
        return not (call and (self.tok.value in self.names.functions or str(self.tok.value).lower() in WORDS))

    def raised(self, base: Any) -> Any:
        """Powers and the signs behind an operand, as often as they come."""
        for _ in range(MAX_DEPTH):
            t = self.toks[self.i]
            if t.kind == "op" and t.value not in _BEHIND_OPERANDS:
                return base
            if t.kind == "sup":
                self.i += 1
                n = int(t.value) if re.fullmatch(r"-?\d{1,9}", t.value) else None
                if n is None and t.value != "n":
                    self.fail("this superscript is no number", t)
                if n == -1 and type(base) is Symbol and plain(base.name) in self.names.functions:
                    self.fail("there is no inverse function; solve the equation", t)
                base = mk(S.Power, base, symbol("n") if n is None else n)
            elif t.kind != "op":
                return base
            elif t.value == "^":
                self.i += 1
                base = mk(S.Power, base, self.deeper(self.exponent))
            elif t.value == "!":
                self.i += 1
                if has_head(base, S.Factorial) and self.toks[self.i - 2].value == "!":
                    base = mk(S.Factorial2, *base.args)
                    again = self.tok.value == "!"
                else:
                    base, again = mk(S.Factorial, base), False
                    behind = self.tok.start
                    if self.text[behind - 1 : behind + 2] == "!!=":  # (n!) ≠ or (n!!) = ?
                        again = True
                if again:
                    self.fail("n!! is the double factorial; write (n!)!, and a blank before =")
            elif t.value == "°":
                self.i += 1
                if self.tok.value in ("C", "F") and not self.tok.gap and self.tok.value not in self.names.defined:
                    self.fail("° is the degree of an angle; a temperature is a plain number")
                base = mk(S.Times, base, S.Degree)
            elif t.value == "%":
                behind = self.toks[self.i + 1]
                if not (opens(behind) or (behind.value == "|" and not self.bars)):
                    base = _percent(base)
                elif self.toks[self.i - 1].kind == "num":
                    self.fail("percent or remainder? write 20% of x, or 17 mod 5")
                else:
                    return base  # n%7: the remainder
                self.i += 1
            elif t.value == "[" and not t.gap and self.toks[self.i - 1].kind not in ("num", "sup"):
                self.i += 1
                index = self.list_of(self.relation)
                self.need("]")
                self.index(index, t)
                base = mk(S.Part, base, *index)
            elif t.value == "." and not t.gap and self.toks[self.i + 1].value in ("x", "y", "z"):
                base = mk(S.Part, base, "xyz".index(self.toks[self.i + 1].value) + 1)
                self.i += 2
            else:
                return base
        self.fail(f"more than {MAX_DEPTH} signs behind one operand")

    def exponent(self) -> Any:
        """What stands behind ^, with its sign."""
        if self.tok.kind == "op" and self.tok.value in ("-", "+"):
            minus = self.tok.value == "-"
            self.i += 1
            x = self.deeper(self.exponent)
            return _negative(x) if minus else x
        return self.power()

    def primary(self) -> Any:
        """One operand: a number, a text, a name, a word, or what stands in brackets."""
        t = self.toks[self.i]
        if t.kind in ("num", "str"):
            self.i += 1
            return t.value
        if t.kind == "word":
            return self.word()
        if t.kind == "key" and t.value in ("choose", "perm") and self.toks[self.i + 1].value == "(":
            self.i += 1
            args = self.arguments("(", ")")
            if len(args) != 2:
                self.fail("write choose(n,k), or n choose k", t)
            return mk(S.Binomial if t.value == "choose" else S.FactorialPower, *args)
        if t.kind == "key" and t.value == "if" and self.toks[self.i + 1].value == "(":
            self.i += 1
            return self.build("if", self.arguments("(", ")"), t)
        if t.kind == "name":
            return self.named()
        if t.kind == "op":
            if t.value in CONSTANTS:
                self.i += 1
                return getattr(S, CONSTANTS[t.value])
            if t.value == "°":  # alone: the number π/180
                self.i += 1
                return S.Degree
            if t.value in ROOTS:
                self.i += 1
                nxt = (
                    self.tok.value if self.tok.kind == "op" else None
                )  # √(x)² is the square of a root, ∛-8 the root of -8
                return ROOTS[t.value](
                    self.deeper(self.primary if nxt == "(" else self.signed if nxt == "-" else self.power)
                )
            if t.value == "|":
                return self.absolute()
            if t.value == "(":
                return self.bracketed()
            if t.value in ("{", "["):
                return self.braces("}" if t.value == "{" else "]")
        if self._two_bars():  # ||x|-1|
            return self.absolute()
        self.fail(_HINTS.get(t.value, _EXPECTED) if t.kind in ("op", "key") else _EXPECTED)
        return None

    def absolute(self) -> Any:
        """What stands between two bars."""
        self.i += 1
        saved, self.bars = self.bars, 1
        inside = self.sum()
        self.bars = saved
        self._two_bars()  # |x||y|, |2-|x||
        self.need("|")
        return mk(S.Abs, inside)

    def _two_bars(self) -> bool:
        """Takes the sign `||` apart where a bar may stand; between conditions it is `or`."""
        t = self.tok
        if t.value != "or" or self.text[t.start] not in "|∣":
            return False
        middle = t.start + 1
        self.toks[self.i : self.i + 1] = [
            Token("op", "|", t.start, middle, t.gap),
            Token("op", "|", middle, t.end, False),
        ]
        return True

    def bracketed(self) -> Any:
        """`(x)` is x; `(x, y)` a point, which is a list."""
        self.i += 1
        saved, self.bars = self.bars, 0
        items = self.items(")")
        self.bars = saved
        return items[0] if len(items) == 1 else lst(items)

    def braces(self, closing: str) -> Any:
        """A list, as elements or as a comprehension, up to the closing bracket."""
        self.i += 1
        saved, self.bars = self.bars, 0
        if self.take(closing):
            self.bars = saved
            return lst(())
        items = self.items(closing)
        self.bars = saved
        if len(items) == 1 and type(items[0]) is Expr and items[0].head in (S.Range, S.Table, S.Flatten):
            return items[0]  # {1..5}, {n² for n in 1..5}
        return lst(items)

    def items(self, closing: str, rules: bool = False) -> list:
        """Comma-separated values up to the closing sign, or one value with `for … in …`."""
        out = [self.relation()]
        if self.tok.kind == "key" and self.tok.value == "for":
            out = [self.comprehension(out[0])]
        while (t := self.toks[self.i]).kind == "op" and t.value in (",", "->"):
            if t.value == ",":
                self.i += 1
                out.append(self.relation())
            elif rules:
                self.i += 1
                out[-1] = mk(S.Rule, out[-1], self.relation())
            else:
                self.fail("'→' converts a statement's value, or stands in lim(f,x→a)")
        self.need(closing)
        return out

    def comprehension(self, body: Any) -> Any:
        """`body for n in list if test`, several `for` allowed; the value is a list."""
        self.late = True
        loops = []
        while self.take("for"):
            names = self.list_of(self.name)
            self.need("in")
            if len(names) > 1:
                self.fail("one name per 'for'")
            loops.append((names[0], self.range()))
        test = None
        if self.tok.kind == "key" and self.tok.value == "if":
            self.i += 1
            t = self.tok
            test = self.condition(self.relation(), t)
        if test is not None and len(loops) == 1:
            n, where = loops[0]
            where = mk(S.Select, where, mk(S.Function, n, test))
            return mk(S.Table, body, lst([n, where]))
        if test is not None:
            body = mk(S.If, test, body, S.Nothing)
        table = Expr(S.Table, (body, *[lst([n, *iterator(w)]) for n, w in loops]))
        return table if len(loops) == 1 else mk(S.Flatten, table, len(loops) - 1)

    def arguments(self, opening: str, closing: str, rules: bool = False) -> tuple:
        """What stands in the brackets of a call; rules: `x->a` may stand there."""
        self.need(opening)
        saved, self.bars = self.bars, 0
        args: tuple = ()
        if not self.take(closing):
            args = tuple(self.items(closing, rules))
        self.bars = saved
        return args


def _product(factors: list[Any]) -> Any:
    return factors[0] if len(factors) == 1 else Expr(S.Times, tuple(factors))


def _negative(x: Any) -> Any:
    if type(x) in (int, float):
        return -x
    if has_head(x, S.Times) and x.args and type(x.args[0]) in (int, float) and x.args[0] > 0:
        return Expr(S.Times, (-x.args[0], *x.args[1:]))
    return mk(S.Times, -1, x)


def _is_share(e: Any) -> bool:
    """Whether a factor is a fraction or a percentage as such: ½, 1/3, 0.2, x%."""
    if has_head(e, S.Times):
        return any(_is_share(a) for a in e.args)
    return type(e) in (float, Fraction) or (has_head(e, S.Power) and e.args[1] == -1)


def _percent(x: Any) -> Any:
    return norm(x * HUNDREDTH) if type(x) is int and x >= 0 else mk(S.Times, x, HUNDREDTH)


def iterator(where: Any) -> tuple:
    """The rest of {n, …} for Table and Do: {n, a, b} for a range, {n, list} otherwise."""
    if has_head(where, S.Range) and len(where.args) in (2, 3):
        return where.args
    return (where,)
