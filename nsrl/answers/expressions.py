"""Expressions of an answer: tokens to trees by descent, with implicit products, mixed numbers and functions.

Nothing is evaluated.
"""

from __future__ import annotations

from nsrl.answers import units
from nsrl.answers.calls import CONSTANTS, FUNCTIONS
from nsrl.answers.cursor import MAX_DEPTH
from nsrl.answers.lexer import Unreadable
from nsrl.answers.operands import Operands
from nsrl.answers.tree import DEGREE, Tree, div, neg, num, symbols

_JOINING = frozenset(["or", "and", "per", "u", "union", "to", "of", "in", "is", "at", "on", "by", "no", "as"])


class Expressions(Operands):
    """Sums and products of one answer, also those written without a sign."""

    def sum(self) -> Tree:
        r"""Terms with + - ± ∓ between them; \over and \choose split the whole group."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable("nested too deeply")
        terms = [self.signed_product()]
        while self.is_op("+", "-", "±", "∓"):
            terms.append(self.signed_product())
        tree = terms[0] if len(terms) == 1 else ("add", *terms)
        if self.here.kind == "cmd" and self.here.text in ("over", "choose"):  # {1 \over 2}: they split the whole group
            tree = div(tree, self.sum()) if self.take().text == "over" else ("fn", "binomial", tree, self.sum())
        self.depth -= 1
        return tree

    def signed_product(self) -> Tree:
        """A product with its signs."""
        op = self.accept("+", "-", "±", "∓")
        if op is None:
            return self.product()
        inner = self.signed_product() if self.is_op("+", "-", "±", "∓") else self.product()
        if op.text == "-":
            return neg(inner)
        if op.text in "±∓":
            return ("pm", 1 if op.text == "±" else -1, inner)
        return inner

    def product(self) -> Tree:
        """Factors with signs between them or side by side."""
        tree = self.mixed()
        named = bool(symbols(tree))  # kept up to date: asking the whole product after each factor is quadratic
        while True:
            if self.accept("*"):
                if (
                    self.here.kind == "name"
                    and len(self.here.text) > 3
                    and not named
                    and self.here.text != "Degree"
                    and units.lookup(self.here.text)
                ):
                    return tree  # 5*centimeter
                right = self.signed_factor()
            elif self.is_op("/"):
                if (
                    self.peek().kind == "name"
                    and self.peek().text != "Degree"
                    and units.lookup(self.peek().text)
                    and self.peek(2).text != "("
                    and not named
                ):
                    return tree
                self.take()
                right = self.signed_factor()
                tree, named = div(tree, right), named or bool(symbols(right))
                continue
            elif self.here.kind == "name" and self.here.text in ("x", "X") and self.scientific(tree):
                self.take()
                right = self.signed_factor()
            elif self.implicit(tree, named):
                right = self.power()
            else:
                return tree
            tree, named = ("mul", tree, right), named or bool(symbols(right))

    def scientific(self, tree: Tree) -> bool:
        """`3.2x10^5` or `3 x 4`: the letter x as a times sign, before a power of ten or between spaces and numbers."""
        if self.tokens[self.at - 1].kind == self.peek().kind == "num" and self.here.spaced and self.peek().spaced:
            return True
        return tree[0] == "num" and self.peek().text == "10" and self.peek(2).text in ("^", "**")

    def signed_factor(self) -> Tree:
        """A factor that may bring its own sign."""
        if self.accept("-"):
            return neg(self.signed_factor())
        self.accept("+")
        return self.power()

    def mixed(self) -> Tree:
        """A power, or a mixed number: an integer followed by a proper fraction of integers."""
        first = self.here
        tree = self.power()
        if first.kind != "num" or first.places is not None or tree != ("num", first.value):
            return tree
        if self.here.kind == "cmd" and self.here.text == "frac":
            mark = self.at
            fraction = self.atom()
            if (
                fraction[0] == "num"
                and not self.is_op("^", "**", "!")
                and 0 < fraction[1] < 1
                and "-" not in [t.text for t in self.tokens[mark : self.at]]
            ):
                return self.postfix(num(tree[1] + fraction[1]))
            self.at = mark
        elif self.here.kind == "num" and self.here.spaced and self.peek().text == "/" and self.peek(2).kind == "num":
            top, bottom = self.here.value, self.peek(2).value
            if top is not None and bottom and 0 < top < bottom and self.here.places is None:
                self.at += 3
                return self.postfix(num(tree[1] + top / bottom))
        elif (
            self.here.text == "C"
            and not self.here.spaced
            and self.peek().kind == "num"
            and not self.peek().spaced
            and self.peek().value is not None
        ):
            self.at += 2  # 10C3
            return ("fn", "binomial", tree, ("num", self.tokens[self.at - 1].value))
        return tree

    def implicit(self, tree: Tree, named: bool) -> bool:
        """Whether a factor follows without a sign. named: symbols occur in the product so far."""
        token = self.here
        if token.kind == "num":
            previous = self.tokens[self.at - 1]
            return (previous.text in (")", "°", "!") and not token.spaced) or previous.text == "}"
        if token.kind == "op":
            return token.text in ("(", "√", "|<")
        if token.kind == "cmd":
            if token.text == "Omega" and not named and self.peek().text in ("", ",", ")", "]", "}", "\\}"):
                return False  # ohms
            return token.text not in (
                "over",
                "choose",
                "end",
                "cap",
                "setminus",
                "rfloor",
                "rceil",
                "qquad",
                "dots",
                "ldots",
                "cdots",
            )
        if token.kind != "name" or token.text.lower() in _JOINING:
            return False
        if token.text.lower() in FUNCTIONS and (
            token.text not in ("min", "max", "mod", "re") or self.peek().text in ("(", "[")
        ):
            return True
        if token.text.lower() in CONSTANTS or token.text == "Degree":
            return True
        if token.text in ("C", "F", "T") and tree[0] == "mul" and tree[2] == DEGREE:
            return False
        if named:
            return len(token.text) <= 3
        if units.lookup(token.text) and (len(token.text) > 1 or token.spaced or token.roman):
            return False
        if token.text.lower() in units.SQUARE:
            return False
        return len(token.text) <= 2 or (len(token.text) == 3 and not token.spaced)
