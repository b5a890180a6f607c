"""The expressions of nsl: tokens to Wolfram trees, one method per level of binding.

Knows nothing of statements, nor of what a program's value is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from nsrl.engines.nsl.lexer import NslSyntaxError, Token, tokens
from nsrl.engines.nsl.names import Names, opens
from nsrl.engines.nsl.units import UNITS
from nsrl.engines.nsl.words import CONSTANTS, OTHERWISE, TAKES_RELATIONS, WORDS, plain, symbol
from nsrl.engines.wolfram.expr import Expr, S, Symbol, has_head, is_list, lst, mk, norm, sym

RELATIONS = {"=": S.Equal, "!=": S.Unequal, "<": S.Less, "<=": S.LessEqual, ">": S.Greater, ">=": S.GreaterEqual}
RELATION_HEADS = frozenset(RELATIONS.values()) | {S.Inequality, S.Element, S.And, S.Or, S.Not, S.MemberQ}
DOMAINS = {"ℤ": S.Integers, "ℝ": S.Reals, "ℕ": S.PositiveIntegers, "ℚ": S.Rationals, "Z": S.Integers, "R": S.Reals,
           "N": S.PositiveIntegers, "Q": S.Rationals}  # fmt: skip
MAX_DEPTH = 45  # brackets, signs and powers inside of each other: some 15 calls each
ROOTS = {"√": lambda x: mk(S.Sqrt, x), "∛": lambda x: mk(S.CubeRoot, x), "∜": lambda x: mk(S.Surd, x, 4)}
_HINTS = {"..": "a list from 1 to 10 is 1..10", "?": "to ask for x write it alone: ;x"}
_CIRCULAR = frozenset(["sin", "cos", "tan", "cot", "sec", "csc"])


class Expressions:
    """Reads the expressions of `text`. Every method leaves `i` behind what it read, or raises NslSyntaxError."""

    def __init__(self, text: str):
        self.text = text
        self.toks = tokens(text)
        self.i = 0
        self.bars = 0
        self.depth = 0
        self.names = Names(text, self.toks)


    # --- helpers

    @property
    def tok(self) -> Token:
        return self.toks[self.i]

    def take(self, value: str) -> bool:
        t = self.toks[self.i]
        if t.value == value and t.kind in ("op", "key"):
            self.i += 1
            return True
        return False

    def need(self, value: str) -> None:
        if not self.take(value):
            self.fail(f"expected {value!r}")

    def deeper(self, read: Callable[[], Any]) -> Any:
        """What `read` reads, one level further down."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(f"more than {MAX_DEPTH} brackets or signs inside of each other")
        out = read()
        self.depth -= 1
        return out

    def fail(self, reason: str, tok: Token | None = None) -> None:
        t = tok or self.tok
        got = "the program ends" if t.kind == "end" else f"got {self.text[t.start : t.end]!r}"
        raise NslSyntaxError(f"{reason}, {got}", t.start, max(t.end, t.start))

    def name(self) -> Any:
        if self.tok.kind not in ("name", "word"):
            self.fail("expected a name")
        self.i += 1
        return symbol(str(self.toks[self.i - 1].value))

    # --- expressions, loosest first

    def relation(self) -> Any:
        parts = [self.conjunction()]
        while self.take("or"):
            parts.append(self.conjunction())
        return parts[0] if len(parts) == 1 else mk(S.Or, *parts)

    def conjunction(self) -> Any:
        parts = [self.negation()]
        while self.take("and"):
            parts.append(self.negation())
        return parts[0] if len(parts) == 1 else mk(S.And, *parts)

    def negation(self) -> Any:
        if self.take("not") or (self.tok.value == "!" and self.tok.kind == "op" and self.take("!")):
            return mk(S.Not, self.deeper(self.negation))
        return self.comparison()

    def comparison(self) -> Any:
        first = self.range()
        items, signs = [first], []
        while self.tok.kind in ("op", "key"):
            v = self.tok.value
            if v in RELATIONS:
                self.i += 1
                signs.append(RELATIONS[v])
                items.append(self.range())
            elif v == "in" and not signs:
                self.i += 1
                t = self.tok
                if t.value in DOMAINS and self.toks[self.i + 1].kind in ("end", "op", "key"):
                    self.i += 1
                    return mk(S.Element, first, DOMAINS[t.value])
                where = self.range()
                if t.value in ("(", "[") and is_list(where) and len(where.args) == 2:
                    self.fail("for an interval write a<x<b, for a list {a,b}", t)
                return mk(S.MemberQ, where, first)
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

    def range(self) -> Any:
        a = self.sum()
        if self.take(".."):
            b = self.sum()
            if self.take(".."):
                return mk(S.Range, a, self.sum(), b)  # 1..3..9 would be read start..step..end
            return mk(S.Range, a, b)
        return a

    def sum(self) -> Any:
        terms = [self.product()]
        while self.tok.kind == "op" and self.tok.value in ("+", "-"):
            minus = self.tok.value == "-"
            self.i += 1
            term = self.product()
            terms.append(_negative(term) if minus else term)
        return terms[0] if len(terms) == 1 else Expr(S.Plus, tuple(terms))

    def product(self) -> Any:
        out = [self.signed()]

        def fold() -> Any:
            return out[0] if len(out) == 1 else Expr(S.Times, tuple(out))

        while True:
            t = self.tok
            if (t.kind == "op" and t.value == "*") or (t.kind == "key" and t.value == "of"):
                self.i += 1
                out.append(self.signed())
            elif t.kind == "op" and t.value == "/":
                self.i += 1
                below = self.signed()
                if self.names.units and self.toks[self.i - 1].kind == "num" and self._unit_next():
                    below = mk(S.Times, below, self.power())  # 10km/2h: two hours
                out.append(mk(S.Power, below, -1))
            elif t.kind in ("op", "key") and (t.value in ("mod", "div") or t.value == "%"):
                self.i += 1
                head = S.Quotient if t.value == "div" else S.Mod
                out[:] = [mk(head, fold(), self.signed())]
            elif self.joins():
                out.append(self.counting())
            else:
                return fold()

    def _unit_next(self) -> bool:
        return self.tok.kind in ("name", "word") and self.tok.value in UNITS and self.tok.value not in self.names.defined

    def joins(self) -> bool:
        """Whether the next token begins a factor that is written without a sign before it."""
        t = self.tok
        if not (opens(t) or (t.value == "|" and t.kind == "op" and not self.bars)):
            return False
        if t.kind == "num" and self.toks[self.i - 1].kind == "num":
            self.fail("two numbers stand side by side; write * or +")
        return t.kind != "str" or self.fail("a text cannot be multiplied") is not None

    def signed(self) -> Any:
        if self.tok.kind == "op" and self.tok.value in ("-", "+"):
            minus = self.tok.value == "-"
            self.i += 1
            x = self.deeper(self.signed)
            return _negative(x) if minus else x
        return self.counting()

    def counting(self) -> Any:
        """`n choose k`, `n perm k`."""
        a = self.power()
        while self.tok.kind == "key" and self.tok.value in ("choose", "perm"):
            head = S.Binomial if self.tok.value == "choose" else S.FactorialPower
            self.i += 1
            a = mk(head, a, self.power())
        return a

    def power(self) -> Any:
        letters = self.names.letters(self.tok) if self.tok.kind == "name" and self._stands_alone() else None
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
            t = self.tok
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
                base = mk(S.Factorial, base)
            elif t.value == "°":
                self.i += 1
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
                base = mk(S.Part, base, *index)
            elif t.value == "." and not t.gap and self.toks[self.i + 1].value in ("x", "y", "z"):
                base = mk(S.Part, base, "xyz".index(self.toks[self.i + 1].value) + 1)
                self.i += 2
            else:
                return base
        self.fail(f"more than {MAX_DEPTH} signs behind one operand")

    def exponent(self) -> Any:
        if self.tok.kind == "op" and self.tok.value in ("-", "+"):
            minus = self.tok.value == "-"
            self.i += 1
            x = self.deeper(self.exponent)
            return _negative(x) if minus else x
        return self.power()

    def primary(self) -> Any:
        t = self.tok
        if t.kind == "num":
            self.i += 1
            return t.value
        if t.kind == "str":
            self.i += 1
            return t.value
        if t.kind == "word":
            return self.word()
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
                inside = self.deeper(self.primary) if self.tok.value == "(" and self.tok.kind == "op" else self.power()
                return ROOTS[t.value](inside)
            if t.value == "|":
                return self.absolute()
            if t.value == "(":
                return self.bracketed()
            if t.value in ("{", "["):
                return self.braces("}" if t.value == "{" else "]")
        self.fail(_HINTS.get(t.value, "expected a number, a name or '('") if t.kind == "op" else "expected a number, a name or '('")
        return None

    def absolute(self) -> Any:
        self.i += 1
        saved, self.bars = self.bars, 1
        inside = self.relation()
        self.bars = saved
        self.need("|")
        return mk(S.Abs, inside)

    def bracketed(self) -> Any:
        """`(x)` is x; `(x, y)` a point, which is a list."""
        self.i += 1
        saved, self.bars = self.bars, 0
        items = self.items(")")
        self.bars = saved
        return items[0] if len(items) == 1 else lst(items)

    def braces(self, closing: str) -> Any:
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
        while self.tok.kind == "op" and self.tok.value in (",", "->"):
            if self.take(","):
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
            test = self.relation()
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

    # --- names and words

    def named(self) -> Any:
        t = self.tok
        self.i += 1
        nxt = self.tok
        name = str(t.value)
        word = name.lower() in WORDS and (name not in self.names.alone or name in ("C", "P"))
        if nxt.value == "(" and nxt.kind == "op" and not nxt.gap:
            if name in self.names.functions:
                return Expr(symbol(name), self.arguments("(", ")"))
            if self.text[t.end - 1] in "'′" and name.rstrip("p") in self.names.functions:
                self.fail("the derivative is diff(f(x),x)", t)
            wolfram = len(name) > 2 and symbol(name).name != name
            if name == "Log" and wolfram:
                self.fail("log(x) is to base 10, ln(x) natural", t)
            if word and name not in OTHERWISE:
                return self.build(name.lower(), self.arguments("(", ")", name.lower() == "lim"), t)
            if wolfram:  # a builtin by its Wolfram name
                return Expr(sym(name), self.arguments("(", ")", True))
            if len(name) > 2 and name.isalpha() and name.islower() and name not in self.names.alone:
                self.fail(f"{name!r} is no function", t)
        elif nxt.value in ("{", "[") and nxt.kind == "op" and word:
            return self.build(name.lower(), (self.braces("}" if nxt.value == "{" else "]"),), t)
        if nxt.value == "{" and nxt.kind == "op" and not nxt.gap:
            self.fail(f"{name!r} is no function of lists", t)
        constant = self.names.constant(name)
        return symbol(name) if constant is None else constant

    def word(self) -> Any:
        t = self.tok
        name = str(t.value)
        self.i += 1
        nxt, after = self.tok, self.toks[min(self.i + 1, len(self.toks) - 1)]
        if name in self.names.functions and nxt.value == "(":
            return Expr(symbol(name), self.arguments("(", ")"))
        if name in UNITS and self.names.units and nxt.value not in ("(", "{"):
            return symbol(name)  # 20min
        sup = None
        if nxt.kind == "sup" and (opens(after) or name not in self.names.defined):
            sup = int(nxt.value) if nxt.value.isdigit() and len(nxt.value) < 10 else None  # sin²x
            self.i += 1
        elif nxt.value == "^" and WORDS[name].loose and name not in self.names.defined:
            sup = after.value if after.kind == "num" and isinstance(after.value, int) else None  # sin^2 x
            self.i += 2
        if self.toks[self.i] is not nxt and sup is None:
            self.fail(f"write 1/{name}(x) for the reciprocal, a{name}(x) for the inverse", nxt)
        out = self.based(t) if name == "log" else None
        out = self.applied(name, t, self.tok) if out is None else out
        return out if sup is None else mk(S.Power, out, sup)

    def based(self, t: Token) -> Any:
        """`log₂8`, `log_2(8)`, `log2(8)`: the logarithm to base 2; None where no base is written."""
        at, nxt = self.i, self.tok
        marked = nxt.value == "_" and nxt.kind == "op"
        self.i += marked
        base = self.tok
        self.i += 1
        bracket = self.tok.value == "(" and self.tok.kind == "op" and not self.tok.gap
        if not marked and not (base.kind == "num" and base.start == t.end and bracket):
            self.i = at
            return None
        x = self.arguments("(", ")") if bracket else (self.power(),)
        if len(x) != 1:
            self.fail("one number stands behind the base of a logarithm")
        return mk(S.Log, base.value if base.kind == "num" else symbol(str(base.value)), x[0])

    def applied(self, name: str, t: Token, nxt: Token) -> Any:
        if name in ("C", "P"):  # words only as C(n, k); else names
            if nxt.value == "(" and not nxt.gap:
                at = self.i
                args = self.arguments("(", ")")
                if len(args) == 2:
                    return self.build(name, args, t)
                self.i = at
            return symbol(name)
        if nxt.value == "(" and nxt.kind == "op":
            return self.build(name, self.arguments("(", ")", name == "lim"), t)
        word = WORDS[name]
        if (nxt.value in ("{", "[") and nxt.kind == "op") or nxt.kind == "str":
            first = nxt.value if nxt.kind == "str" else self.braces("}" if nxt.value == "{" else "]")
            if nxt.kind == "str":
                self.i += 1
            if word.tail and (opens(self.tok) and not (self.tok.value == "[" and self.tok.kind == "op")):
                return self.build(name, (first, self.power()), t)
            return self.build(name, (first,), t)
        if not opens(nxt) and not (nxt.value == "|" and not self.bars):
            return self.plain_word(name, t, nxt)
        if name == "angle" and nxt.kind == "name":  # angle A is ∠A
            self.i += 1
            return symbol("angle" + str(nxt.value))
        return self.build(name, (self.unbracketed(name, t),), t)

    def plain_word(self, name: str, t: Token, nxt: Token) -> Any:
        """A word without an argument is a name, which must have a meaning where it is calculated with."""
        before = self.toks[self.i - 2] if self.i > 1 else None
        near = [x.value for x in (before, nxt) if x is not None and x.kind == "op"]
        if not self.names.related and (set(near) & set("+-*/^") or (before is not None and before.kind == "num")):
            self.fail(f"{name} has no argument here; write {name}(…)", t)
        return symbol(name)

    def unbracketed(self, name: str, t: Token) -> Any:
        """The argument of a word without brackets. What could end in two places is refused."""
        word = WORDS[name]
        first = self.tok
        operand = self.power()
        hint = f"where does the argument of {name} end? write {name}(…)"
        if word.loose:
            factors = [operand]
            while type(factors[0]) in (int, float) and (
                (self.tok.kind == "name" and len(self.tok.value) < 3) or self.tok.value == "π"
            ):
                factors.append(self.power())
            if len(factors) > 1:
                operand = Expr(S.Times, tuple(factors))
            unclear = self.tok.value == "(" or (self.tok.value == "/" and (first.kind == "num" or first.value == "π"))
            if self.tok.kind == "op" and unclear and not _ends_in_degrees(operand):
                self.fail(hint)
        elif name != "sqrt":
            aggregate = word.most > 1
            signs = (",", "..") if aggregate else ("/", "..")
            simple = type(operand) in (Symbol, int, float, str) or not aggregate
            number = type(operand) in (int, float) and self.tok.value == "/"
            if (self.tok.kind == "op" and (self.tok.value in signs or number)) or self.joins() or not simple:
                self.fail(hint)
        return operand

    def build(self, name: str, args: tuple, t: Token) -> Any:
        word = WORDS[name]
        if len(args) == 1 and is_list(args[0]) and word.least > 1 and word.least <= len(args[0].args) <= word.most:
            args = args[0].args  # dist{A,B}
        if not word.least <= len(args) <= word.most:
            want = str(word.least) if word.least == word.most else f"{word.least} to {word.most}"
            raise NslSyntaxError(f"{name} takes {want} argument(s), got {len(args)}", t.start, t.end)
        if name not in TAKES_RELATIONS and any(_is_relation(a) for a in (args[0].args if is_list(args[0]) else args)):
            hint = "write the conditions as statements, then " if name in ("count", "len") else "for the solutions of conditions write "
            raise NslSyntaxError(f"{name} takes values; {hint}{name}{{x}}", t.start, t.end)
        if name == "solve" and not any(_is_relation(a) for a in (args[0].args if is_list(args[0]) else args[:1])):
            raise NslSyntaxError("solve takes an equation: solve(x²=4,x)", t.start, t.end)
        if name in _CIRCULAR and type(args[0]) in (int, float, Fraction) and abs(args[0]) > 2 * math.pi:
            raise NslSyntaxError(f"{args[0]} would be radians; write {name}({args[0]}°)", t.start, t.end)
        return word.build(args)


def _is_relation(e: Any) -> bool:
    return type(e) is Expr and e.head in RELATION_HEADS


def _ends_in_degrees(e: Any) -> bool:
    return has_head(e, S.Times) and e.args[-1] is S.Degree


def _negative(x: Any) -> Any:
    if type(x) in (int, float):
        return -x
    if has_head(x, S.Times) and x.args and type(x.args[0]) in (int, float) and x.args[0] > 0:
        return Expr(S.Times, (-x.args[0], *x.args[1:]))
    return mk(S.Times, -1, x)


def _percent(x: Any) -> Any:
    return norm(Fraction(x, 100)) if type(x) is int and x >= 0 else mk(S.Times, x, Fraction(1, 100))


def iterator(where: Any) -> tuple:
    """The rest of {n, …} for Table and Do: {n, a, b} for a range, {n, list} otherwise."""
    if has_head(where, S.Range) and len(where.args) == 2:
        return where.args
    if has_head(where, S.Range) and len(where.args) == 3:
        return where.args
    return (where,)
