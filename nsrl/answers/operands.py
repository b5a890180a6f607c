"""The operands of an answer: numbers, brackets, commands of LaTeX, with exponents and marks."""

from __future__ import annotations

from fractions import Fraction

from nsrl.answers.calls import CONSTANTS, FUNCTIONS, GREEK, Calls
from nsrl.answers.cursor import MAX_DEPTH
from nsrl.answers.lexer import Token, Unreadable
from nsrl.answers.tree import DEGREE, PERCENT, Tree, div, neg, num


class Operands(Calls):
    """One operand with its exponent and the marks behind it: a number, a name, a command of LaTeX, brackets."""

    def power(self) -> Tree:
        """An operand with what stands behind it, raised to an exponent."""
        base = self.postfix(self.atom())
        if self.is_op("^", "**"):
            self.take()
            if self.accept("°"):
                return ("mul", base, DEGREE)
            if self.is_op("{") and self.peek().text == "°" and self.peek(2).text == "}":
                self.at += 3
                return ("mul", base, DEGREE)
            if (self.is_op("{") and self.peek().text == "'") or self.is_op("'"):
                raise Unreadable("prime")
            exponent = self.exponent()
            return self.postfix(("pow", base, exponent))
        return base

    def exponent(self) -> Tree:
        """What stands behind ^: a group, a signed operand or a power."""
        if self.accept("{"):
            tree = self.sum()
            self.expect("}")
            return tree
        if self.accept("-"):
            return neg(self.exponent())
        if self.latex and self.here.kind == "num" and len(self.here.text) > 1 and self.here.places is None:
            token = self.take()
            return num(token.value or 0)
        return self.power()

    def postfix(self, tree: Tree) -> Tree:
        """A tree with the !, ° and % behind it."""
        while True:
            if self.is_op("!") and self.peek().text != "=":
                self.take()
                tree = ("fn", "factorial", tree)
            elif self.accept("°"):
                tree = ("mul", tree, DEGREE)
            elif self.accept("%"):
                tree = ("mul", tree, PERCENT)
            else:
                return tree

    def atom(self) -> Tree:
        """One operand. Raises Unreadable past MAX_DEPTH."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable("nested too deeply")
        try:
            return self.bare_atom()
        finally:
            self.depth -= 1

    def bare_atom(self) -> Tree:
        """One operand: a number, a name, a command, or what stands in brackets or bars."""
        token = self.take()
        if token.kind == "num":
            return ("num", token.value)
        if token.kind == "name":
            return self.named(token)
        if token.kind == "cmd":
            return self.command(token)
        if token.text in ("(", "[", "{"):
            tree = self.sum()
            self.expect({"(": ")", "[": "]", "{": "}"}[token.text])
            return tree
        if token.text in ("|", "|<"):
            tree = self.sum()
            self.expect("|" if token.text == "|" else ">|")
            return ("fn", "abs", tree)
        if token.text == "√":
            return ("pow", self.atom(), num(Fraction(1, 2)))
        raise Unreadable(f"unexpected {token.text or 'end'!r}")

    def argument(self) -> Tree:
        """{...} or one token, as LaTeX commands take them: \\frac12, \\frac{1}{2}, \\sqrt3."""
        if self.accept("{"):
            tree = self.sum()
            self.expect("}")
            return tree
        token = self.here
        if token.kind == "num" and len(token.text) > 1 and token.text.isdecimal():
            self.split(
                *(Token("num", t, token.spaced, token.roman, Fraction(int(t))) for t in (token.text[0], token.text[1:]))
            )
            return num(self.take().value or 0)
        if (
            token.kind == "name"
            and not token.roman
            and len(token.text) == 2
            and token.text not in CONSTANTS
            and self.tokens[self.at - 1].text == "frac"
        ):
            self.split(Token("name", token.text[0], token.spaced), Token("name", token.text[1]))  # \\frac ab
        return self.atom()

    def split(self, *parts: Token) -> None:
        """The token here as two. They stay two when it is read again."""
        self.tokens[self.at : self.at + 1] = parts

    def command(self, token: Token) -> Tree:
        """What a LaTeX command makes of its arguments; the command is taken."""
        name = token.text
        if name == "frac":
            top = self.argument()
            return div(top, self.argument())
        if name in ("binom", "dbinom", "tbinom"):
            top = self.argument()
            return ("fn", "binomial", top, self.argument())
        if name == "sqrt":
            index = Fraction(2)
            if self.accept("["):
                root = self.sum()
                self.expect("]")
                if root[0] != "num" or not root[1]:
                    raise Unreadable("index of a root")
                index = root[1]
            return ("pow", self.argument(), num(1 / index))
        if name in ("cuberoot", "fourthroot"):
            return ("pow", self.atom(), num(Fraction(1, 3 if name == "cuberoot" else 4)))
        if name in ("lfloor", "lceil"):
            tree = self.sum()
            closing = self.take()
            if closing.text != {"lfloor": "rfloor", "lceil": "rceil"}[name]:
                raise Unreadable(name)
            return ("fn", "floor" if name == "lfloor" else "ceil", tree)
        if name in CONSTANTS:
            return CONSTANTS[name]
        if name in FUNCTIONS:
            return self.function(FUNCTIONS[name])
        if name in ("angle", "measuredangle", "vec", "overrightarrow") and (
            named := self.points(2 if name in ("vec", "overrightarrow") else 3)
        ):
            if name in ("vec", "overrightarrow"):
                return ("fn", "vec", *(("sym", c) for c in named))
            return ("sym", "∠" + min(named, named[::-1]))  # the angle ABC is the angle CBA, and no other
        if name in ("vec", "overrightarrow"):
            return self.atom()
        if name in ("angle", "triangle", "measuredangle"):
            return self.power()
        if name in GREEK:
            return self.subscripted(name)
        raise Unreadable(f"\\{name}")

    def points(self, count: int) -> str:
        """The capitals that name an angle or a vector, in braces or not, taken; "" and nothing taken where it is
        something else."""
        mark, named = self.at, ""
        braces = self.accept("{") is not None
        while self.here.kind == "name" and self.here.text.isupper() and len(named) < count:
            named += self.take().text
        if len(named) == count and (not braces or self.accept("}")) and not self.is_op("_", "'"):
            return named
        self.at = mark
        return ""
