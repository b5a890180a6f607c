"""The trees of nsl's words, and what their arguments are refused for."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from nsrl.engines.nsl.cursor import Cursor
from nsrl.engines.nsl.late import depends, gives_list
from nsrl.engines.nsl.lexer import NslSyntaxError, Token
from nsrl.engines.nsl.truths import ARITHMETIC, RELATION_HEADS, is_test, is_truth
from nsrl.engines.nsl.words import OF_NUMBERS, TAKES_RELATIONS, WORDS
from nsrl.engines.wolfram.expr import Expr, S, Symbol, has_head, is_list

_CIRCULAR = frozenset(["sin", "cos", "tan", "cot", "sec", "csc"])
_OF_LISTS = OF_NUMBERS | {"len", "count", "first", "last", "unique", "sort", "rev", "mode"}


class Checks(Cursor):
    """Makes the trees of words and refuses what they cannot be asked: too many arguments, a truth as a number."""

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
