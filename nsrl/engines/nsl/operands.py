"""The operands of nsl: numbers, names, lists, comprehensions and what stands in brackets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nsrl.engines.nsl.calls import Calls
from nsrl.engines.nsl.lexer import Token
from nsrl.engines.nsl.words import CONSTANTS
from nsrl.engines.wolfram.expr import Expr, S, has_head, lst, mk

ROOTS = {"√": lambda x: mk(S.Sqrt, x), "∛": lambda x: mk(S.CubeRoot, x), "∜": lambda x: mk(S.Surd, x, 4)}
_EXPECTED = "expected a number, a name or '('"
_HINTS = {
    "..": "a list from 1 to 10 is 1..10", "?": "to ask for x write it alone: ;x", "mod": "the remainder is a mod b",
    "div": "the quotient is a div b",
}  # fmt: skip


class Operands(Calls):
    """Reads one operand: a number, a text, a name, a word, or what stands in brackets."""

    # --- what the readers of operators bring

    relation: Callable[[], Any]
    range: Callable[[], Any]
    sum: Callable[[], Any]
    signed: Callable[[], Any]

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


def iterator(where: Any) -> tuple:
    """The rest of {n, …} for Table and Do: {n, a, b} for a range, {n, list} otherwise."""
    if has_head(where, S.Range) and len(where.args) in (2, 3):
        return where.args
    return (where,)
