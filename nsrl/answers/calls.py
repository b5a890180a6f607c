"""The names of an answer, and its calls of functions."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from nsrl.answers.cursor import Cursor
from nsrl.answers.lexer import Token, Unreadable
from nsrl.answers.tree import DEGREE, INFINITY, PI, Tree, div, num

FUNCTIONS = {
    "sqrt": "sqrt", "cbrt": "cbrt", "sin": "sin", "cos": "cos", "tan": "tan", "tg": "tan", "cot": "cot", "ctg": "cot",
    "sec": "sec", "csc": "csc", "cosec": "csc", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "asin": "asin",
    "acos": "acos", "atan": "atan", "arctg": "atan", "arccot": "acot", "sinh": "sinh", "cosh": "cosh", "tanh": "tanh",
    "exp": "exp", "ln": "ln", "log": "log", "lg": "lg", "abs": "abs", "floor": "floor", "ceiling": "ceil",
    "ceil": "ceil",
    "max": "max", "min": "min", "gcd": "gcd", "lcm": "lcm", "mod": "mod", "binomial": "binomial",
    "factorial": "factorial",
    "re": "re", "im": "im", "conjugate": "conj", "surd": "surd", "power": "power", "rational": "rational",
    "root": "surd", "cuberoot": "cbrt",
}  # fmt: skip
_GOLDEN = div(("add", num(1), ("pow", num(5), num(Fraction(1, 2)))), num(2))
CONSTANTS = {"pi": PI, "infinity": INFINITY, "inf": INFINITY, "infty": INFINITY, "oo": INFINITY, "goldenratio": _GOLDEN}
_WORDS = frozenset(
    ["so", "as", "at", "we", "it", "if", "he", "she", "they", "the", "and", "for", "are", "was"]
)  # no products of letters
_WOLFRAM = {k: v for k, v in FUNCTIONS.items() if k not in ("re", "im")} | {"re": "re", "im": "im"}
GREEK = frozenset(
    [
        "alpha",
        "beta",
        "gamma",
        "delta",
        "epsilon",
        "varepsilon",
        "zeta",
        "eta",
        "theta",
        "vartheta",
        "iota",
        "kappa",
        "lambda",
        "mu",
        "nu",
        "xi",
        "rho",
        "sigma",
        "tau",
        "upsilon",
        "phi",
        "varphi",
        "chi",
        "psi",
        "omega",
        "Gamma",
        "Delta",
        "Theta",
        "Lambda",
        "Sigma",
        "Phi",
        "Psi",
        "Omega",
        "ell",
    ]
)


class Calls(Cursor):
    """Names, with their subscripts, and calls of functions, with brackets or without."""

    # -- what the readers of operators bring

    sum: Callable[[], Tree]
    signed_factor: Callable[[], Tree]
    power: Callable[[], Tree]
    exponent: Callable[[], Tree]
    argument: Callable[[], Tree]
    implicit: Callable[[Tree, bool], bool]

    def named(self, token: Token) -> Tree:
        """A name as a symbol, a constant or a call; the name is taken."""
        word, lower = token.text, token.text.lower()
        if (
            len(word) == 1
            and word.islower()
            and self.is_op("[")
            and self.peek().text in ("x", "t")
            and self.peek(2).text == "]"
        ):
            self.at += 3
            return ("mul", ("sym", word), ("sym", self.tokens[self.at - 2].text))  # the Wolfram Language's y[x]
        if self.is_op("[") and len(word) > 1:
            if lower in _WOLFRAM:
                return self.function(_WOLFRAM[lower])
            raise Unreadable(f"{word}[...]")
        if lower in FUNCTIONS and (word[0].islower() or self.is_op("(")):
            return self.function(FUNCTIONS[lower])
        if lower in CONSTANTS:
            return CONSTANTS[lower]
        if word == "Degree":
            return DEGREE
        if lower in GREEK:
            return self.subscripted(lower)
        if token.roman and len(word) > 1 and not word.isupper():
            raise Unreadable(f"the word {word!r}")
        if len(word) > 3:
            raise Unreadable(f"the word {word!r}")
        if lower in _WORDS and not word.isupper():
            raise Unreadable(f"the word {word!r}")
        if word == "C" and (choose := self.choose()) is not None:
            return choose
        if len(word) == 1:
            return self.subscripted(word)
        parts = [_letter(c) for c in word[:-1]]
        last = self.subscripted(word[-1])
        if word.islower() and self.is_op("^", "**"):  # xy^2 is x times y^2; AB^2 is the square of AB
            self.take()
            last = ("pow", last, self.exponent())
        return ("mul", *parts, last)

    def choose(self) -> Tree | None:
        """C(5, 2), the number of ways to choose, after its letter; None, nothing read, where that stands not: a point
        C(2, 5)."""
        tokens = [self.peek(i) for i in range(5)]
        n, k = tokens[1].value, tokens[3].value
        if (
            [t.text for t in tokens[::2]] != ["(", ",", ")"]
            or n is None
            or k is None
            or not 0 <= k <= n
            or n.denominator * k.denominator > 1
        ):
            return None
        self.at += 5
        return ("fn", "binomial", num(n), num(k))

    def subscripted(self, name: str) -> Tree:
        """A name with its subscript."""
        if self.accept("_"):
            if self.accept("{"):
                text = ""
                while not self.is_op("}"):
                    if self.here.kind == "end":
                        raise Unreadable("subscript")
                    text += self.take().text
                self.take()
            else:
                text = self.take().text
            return ("sym", f"{name}_{text}")
        if self.here.kind == "num" and not self.here.spaced and self.here.places is None and len(self.here.text) <= 2:
            return ("sym", f"{name}_{self.take().text}")
        while self.accept("'"):
            name += "'"
        return _letter(name) if len(name) == 1 else ("sym", name)

    def function(self, name: str) -> Tree:
        """A call of a named function with its arguments."""
        power: Tree | None = None
        base: Tree | None = None
        if name == "log" and self.accept("_"):
            base = self.argument()
        elif name == "log" and self.here.kind == "num" and not self.here.spaced and self.peek().text == "(":
            base = num(self.take().value or 0)
        if self.is_op("^", "**"):
            self.take()
            power = self.exponent()
            if name == "log" and self.accept("_"):
                base = self.argument()
        if self.is_op("(", "[") or (self.is_op("{") and name != "max"):
            closing = {"(": ")", "[": "]", "{": "}"}[self.take().text]
            args = [self.sum()]
            while self.accept(","):
                args.append(self.sum())
            self.expect(closing)
        else:
            args = [self.function_product()]
        tree = _apply(name, args, base)
        if power == num(-1) and name in ("sin", "cos", "tan"):
            return ("fn", "a" + name, *args)
        return tree if power is None else ("pow", tree, power)

    def function_product(self) -> Tree:
        """The argument of \\sin without parentheses: an implicit product, up to a sign."""
        tree = self.signed_factor()
        while self.here.kind in ("num", "name", "cmd") and self.implicit(("sym", "x"), True):
            if (self.here.text.lower() in FUNCTIONS and self.here.text != "sqrt") or self.word("or", "and"):
                break
            tree = ("mul", tree, self.power())
        return tree


def _letter(c: str) -> Tree:
    if c in ("e", "i"):
        return ("const", c)
    if c in ("E", "I"):
        return ("const", c.lower())
    return ("sym", c)


def _apply(name: str, args: list[Tree], base: Tree | None) -> Tree:
    if name == "sqrt" and len(args) == 1:
        return ("pow", args[0], num(Fraction(1, 2)))
    if name == "cbrt" and len(args) == 1:
        return ("pow", args[0], num(Fraction(1, 3)))
    if name == "surd" and len(args) == 2:
        return ("pow", args[0], div(num(1), args[1]))
    if name == "power" and len(args) == 2:
        return ("pow", *args)
    if name == "rational" and len(args) == 2:
        return div(*args)
    if name == "lg" and len(args) == 1:
        return ("fn", "log", num(10), args[0])
    if name == "exp" and len(args) == 1:
        return ("pow", ("const", "e"), args[0])
    if name == "log":
        if len(args) == 2:
            return ("fn", "log", *args)
        if len(args) == 1:
            return ("fn", "log", base, args[0]) if base is not None else ("fn", "ln", args[0])
    return ("fn", name, *args)
