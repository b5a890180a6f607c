"""Operands of nsl with what stands before and behind them: signs, exponents, factorials, indices."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

from nsrl.engines.nsl.cursor import MAX_DEPTH
from nsrl.engines.nsl.names import opens
from nsrl.engines.nsl.operands import Operands
from nsrl.engines.nsl.words import WORDS, plain, symbol
from nsrl.engines.wolfram.expr import Expr, S, Symbol, has_head, mk, norm

HUNDREDTH = Fraction(1, 100)
_BEHIND_OPERANDS = frozenset(
    ["^", "!", "°", "%", "[", ".", "choose", "perm"]
)  # signs and words that belong to what stands before


class Powers(Operands):
    """Reads an operand with its sign, its exponent and the signs behind it."""

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
            return negative(x) if t.value == "-" else x
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
            return negative(x) if minus else x
        return self.power()


def negative(x: Any) -> Any:
    """The tree of -x."""
    if type(x) in (int, float):
        return -x
    if has_head(x, S.Times) and x.args and type(x.args[0]) in (int, float) and x.args[0] > 0:
        return Expr(S.Times, (-x.args[0], *x.args[1:]))
    return mk(S.Times, -1, x)


def _percent(x: Any) -> Any:
    return norm(x * HUNDREDTH) if type(x) is int and x >= 0 else mk(S.Times, x, HUNDREDTH)
