"""Names, words and calls of nsl: where an argument begins and ends, and what it is refused for."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from nsrl.engines.nsl.late import depends, gives_list
from nsrl.engines.nsl.lexer import NslSyntaxError, Token, tokens
from nsrl.engines.nsl.names import Names, opens
from nsrl.engines.nsl.truths import ARITHMETIC, RELATION_HEADS, is_test, is_truth
from nsrl.engines.nsl.units import UNITS
from nsrl.engines.nsl.words import OF_NUMBERS, OTHERWISE, TAKES_RELATIONS, WORDS, plain, symbol
from nsrl.engines.wolfram.expr import Expr, S, Symbol, has_head, is_list, mk, sym

RELATIONS = {"=": S.Equal, "!=": S.Unequal, "<": S.Less, "<=": S.LessEqual, ">": S.Greater, ">=": S.GreaterEqual}
MAX_DEPTH = 45  # brackets, signs and powers inside of each other: some 15 calls each
_CIRCULAR = frozenset(["sin", "cos", "tan", "cot", "sec", "csc"])


_OF_LISTS = OF_NUMBERS | {"len", "count", "first", "last", "unique", "sort", "rev", "mode"}


class Calls:
    """Reads calls in `text`. Every method leaves `i` behind what it read, or raises NslSyntaxError."""

    def __init__(self, text: str):
        self.text = text
        self.toks = tokens(text)
        self.i = 0
        self.bars = 0
        self.depth = 0
        self.names = Names(text, self.toks)
        self.flags: set[Any] = set()  # names that are set to true or false, functions that give one of them
        self.tested = False  # whether a builtin's yes or no was read
        self.late = False  # whether a call was read that may have to wait for the values of its names

    # --- what the readers of operators (Expressions, _Parser) bring

    arguments: Callable[..., tuple]
    braces: Callable[[str], Any]
    power: Callable[[], Any]
    joins: Callable[[Token], bool]
    list_of: Callable[[Callable[[], Any]], list]

    # --- helpers

    @property
    def tok(self) -> Token:
        """The token that is read next."""
        return self.toks[self.i]

    def take(self, value: str) -> bool:
        """Whether the next token is this sign, which is taken then."""
        t = self.toks[self.i]
        if t.value == value and t.kind in ("op", "key"):
            self.i += 1
            return True
        return False

    def need(self, value: str) -> None:
        """Takes this sign. Raises NslSyntaxError where another stands."""
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
        """Raises NslSyntaxError with the reason and the place of a token, by default the next."""
        t = tok or self.tok
        got = "the program ends" if t.kind == "end" else f"got {self.text[t.start : t.end]!r}"
        raise NslSyntaxError(f"{reason}, {got}", t.start, max(t.end, t.start))

    def condition(self, e: Any, t: Token, names: bool = False) -> Any:
        """e where it can be true or false; names: so can any name. Raises NslSyntaxError elsewhere, with a hint."""
        if self.truthful(e, names):
            return e
        hint = (
            "prime(n) is the n-th prime; write isprime(n)" if _holds_prime(e) else "a condition compares, such as n%2=0"
        )
        raise NslSyntaxError(f"this is neither true nor false; {hint}", t.start, self.toks[self.i - 1].end)

    def truthful(self, e: Any, names: bool = False) -> bool:
        """Whether a tree is a condition; names: a bare name may be one."""
        if has_head(e, S.And) or has_head(e, S.Or) or has_head(e, S.Not):
            return all(self.truthful(a, names) for a in e.args)
        return (
            (names and type(e) is Symbol)
            or is_truth(e)
            or e in self.flags
            or (type(e) is Expr and e.head in self.flags)
        )

    def numbers(self, e: Any, start: int) -> None:
        """Raises NslSyntaxError where something true or false stands in e as a number: isprime(5)+1."""
        if type(e) is Expr:
            if e.head in ARITHMETIC and any(self.truthful(a) for a in e.args):
                raise NslSyntaxError(
                    "something true or false stands here as a number", start, self.toks[self.i - 1].end
                )
            for a in e.args:
                self.numbers(a, start)

    def name(self) -> Any:
        """A name as a symbol, taken."""
        if self.tok.kind not in ("name", "word"):
            self.fail("expected a name")
        self.i += 1
        return symbol(str(self.toks[self.i - 1].value))

    # --- names and words

    def named(self) -> Any:
        """A name, or the call that it begins."""
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
                self.late = True
                return Expr(sym(name), tuple([self.argument(a) for a in self.arguments("(", ")", True)]))
            if len(name) > 2 and name.isalpha() and name.islower() and name not in self.names.alone:
                self.fail(f"{name!r} is no function", t)
        elif nxt.value in ("{", "[") and nxt.kind == "op" and word:
            return self.build(name.lower(), (self.braces("}" if nxt.value == "{" else "]"),), t)
        if nxt.value == "{" and nxt.kind == "op" and not nxt.gap:
            self.fail(f"{name!r} is no function of lists", t)
        constant = self.names.constant(name)
        return (self.chosen(name) or symbol(name)) if constant is None else constant

    def argument(self, a: Any) -> Any:
        """An argument of a call by its Wolfram name; a function's name there is the function: Select(L,EvenQ)."""
        if type(a) is not Symbol or a.builtin is not None or not a.name.endswith("$"):
            return a
        name = plain(a.name)
        return a if len(name) < 3 or name in self.names.defined else sym(name)

    def chosen(self, name: str) -> Any:
        """`nCr`, `nC2`, `nPr` of names that the program sets, as the number that it is; else None."""
        known = self.names.defined
        if (
            len(name) > 2
            and name[1] in "CP"
            and name not in known
            and name[0] in known
            and (name[2:] in known or name[2:].isdigit())
        ):
            return WORDS[name[1]].build((symbol(name[0]), int(name[2:]) if name[2:].isdigit() else symbol(name[2:])))
        return None

    def word(self) -> Any:
        """A word of the language with its arguments."""
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
        if base.kind == "end":
            self.i = at
            return None
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
        """The call of a word whose argument may stand without brackets."""
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
            nxt = self.tok  # sin x/2, sin a b; a word ends an argument: sin x cos x
            if (
                (nxt.value == "/" and nxt.kind == "op") or (nxt.kind != "word" and self.joins(nxt))
            ) and not _ends_in_degrees(operand):
                self.fail(hint)
        elif name != "sqrt":
            aggregate = word.most > 1
            simple = type(operand) in (Symbol, int, float, str) or not aggregate
            more = self.tok.value in ("/", "..") or (aggregate and self.tok.value == ",")
            if (self.tok.kind == "op" and more) or self.joins(self.tok) or not simple:
                self.fail(hint)
        return operand

    def build(self, name: str, args: tuple, t: Token) -> Any:
        """The tree of a word with its arguments, which are checked. Raises NslSyntaxError."""
        word = WORDS[name]
        if (
            len(args) == 1
            and is_list(args[0])
            and len(args[0].args) == 1
            and (word.most > 2 or name == "count")
            and gives_list(args[0].args[0])
        ):
            args = args[0].args  # sum{digits(n)}
        if len(args) == 1 and is_list(args[0]) and word.least > 1 and word.least <= len(args[0].args) <= word.most:
            args = args[0].args  # dist{A,B}
        if not word.least <= len(args) <= word.most:
            want = str(word.least) if word.least == word.most else f"{word.least} to {word.most}"
            raise NslSyntaxError(f"{name} takes {want} argument(s), got {len(args)}", t.start, t.end)
        if name not in TAKES_RELATIONS and any(_is_relation(a) for a in (args[0].args if is_list(args[0]) else args)):
            hint = (
                "write the conditions as statements, then "
                if name in ("count", "len")
                else "for the solutions of conditions write "
            )
            raise NslSyntaxError(f"{name} takes values; {hint}{name}{{x}}", t.start, t.end)
        if name == "num" and isinstance(args[0], str):
            raise NslSyntaxError('num takes a number; a text in base 2 is FromDigits("101",2)', t.start, t.end)
        if name == "solve" and not any(_is_relation(a) for a in (args[0].args if is_list(args[0]) else args[:1])):
            raise NslSyntaxError("solve takes an equation: solve(x²=4,x)", t.start, t.end)
        if name in _CIRCULAR and type(args[0]) in (int, float, Fraction) and abs(args[0]) > 2 * math.pi:
            raise NslSyntaxError(f"{args[0]} would be radians; write {name}({args[0]}°)", t.start, t.end)
        if name == "if":
            self.condition(args[0], t)
        if name in ("len", "count") and len(args) == 1 and type(args[0]) in (int, float, Fraction):
            raise NslSyntaxError(f"{name} takes a list or a text; the digits of a number are digits(n)", t.start, t.end)
        if name in _OF_LISTS and has_head(args[0], S.FactorInteger):
            raise NslSyntaxError(
                "factors(n) are pairs {prime,power}; the primes are {p for p in divisors(n) if isprime(p)}",
                t.start,
                t.end,
            )
        if name == "nth":
            self.index(args[1:], t)
        if name in OF_NUMBERS and any(
            self.truthful(m)
            for a in args
            for m in ((a.args[0],) if has_head(a, S.Table) else a.args if is_list(a) else (a,))
        ):
            raise NslSyntaxError(
                f"{name} takes numbers; count{{n for n in 1..9 if isprime(n)}} counts what is true", t.start, t.end
            )
        out = word.build(args)
        self.late = self.late or depends(out.head) or (out.head is S.Length and not is_list(out.args[0]))
        self.tested = self.tested or is_test(out)
        return out

    def index(self, index: Any, t: Token) -> None:
        """Refuses element 0: the first is 1."""
        if any(type(k) is int and k == 0 for k in index):
            raise NslSyntaxError("the first element is L[1]", t.start, self.toks[self.i - 1].end)


def _is_relation(e: Any) -> bool:
    return type(e) is Expr and e.head in RELATION_HEADS


def _holds_prime(e: Any) -> bool:
    return type(e) is Expr and (e.head is S.Prime or any(_holds_prime(a) for a in e.args))


def _ends_in_degrees(e: Any) -> bool:
    return has_head(e, S.Times) and e.args[-1] is S.Degree
