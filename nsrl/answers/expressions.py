"""Expressions of an answer: tokens to trees by descent, with implicit products, mixed numbers and functions.

Nothing is evaluated.
"""

from __future__ import annotations

from fractions import Fraction

from nsrl.answers import units
from nsrl.answers.lexer import Token, Unreadable, tokenise
from nsrl.answers.tree import DEGREE, INFINITY, PERCENT, PI, Tree, div, neg, num, symbols

MAX_DEPTH = 40
MAX_TREE = 100  # levels of a tree: products and marks nest without parentheses
MAX_TAKEN = 3_000  # tokens taken, those read twice or more often counted each time

_FUNCTIONS = {
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
_JOINING = frozenset(["or", "and", "per", "u", "union", "to", "of", "in", "is", "at", "on", "by", "no", "as"])


class Spent(Exception):
    """A text that is read again and again at every level is given up."""


class Expressions:
    """One pass over the tokens of one answer."""

    def __init__(self, text: str) -> None:
        self.latex = "\\" in text
        self.tokens = tokenise(text)
        self.at = 0
        self.depth = 0
        self.taken = 0

    # -- moving along the tokens

    @property
    def here(self) -> Token:
        """The token that is read next."""
        return self.tokens[self.at]

    def peek(self, n: int = 1) -> Token:
        """The token `n` places further on; the last one is the end."""
        return self.tokens[min(self.at + n, len(self.tokens) - 1)]

    def take(self) -> Token:
        """The next token, and one step on. Raises Spent where a text is read over and over."""
        token = self.tokens[self.at]
        self.at += token.kind != "end"
        self.taken += 1
        if self.taken > MAX_TAKEN:
            raise Spent("read over and over")
        return token

    def is_op(self, *texts: str) -> bool:
        """Whether the next token is one of these signs."""
        return self.here.kind == "op" and self.here.text in texts

    def accept(self, *texts: str) -> Token | None:
        """The next token, taken, if it is one of these signs; else None and nothing taken."""
        return self.take() if self.is_op(*texts) else None

    def expect(self, *texts: str) -> Token:
        """The next token, taken; it must be one of these signs. Raises Unreadable."""
        token = self.accept(*texts)
        if token is None:
            raise Unreadable(f"expected {' or '.join(texts)}, got {self.here.text!r}")
        return token

    def word(self, *texts: str) -> bool:
        """Whether the next token is one of these words, in lower case."""
        return self.here.kind == "name" and self.here.text.lower() in texts

    # -- expressions

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
        if token.text.lower() in _FUNCTIONS and (
            token.text not in ("min", "max", "mod", "re") or self.peek().text in ("(", "[")
        ):
            return True
        if token.text.lower() in CONSTANTS or token.text == "Degree":
            return True
        if token.text in ("C", "F") and tree[0] == "mul" and tree[2] == DEGREE:
            return False
        if named:
            return len(token.text) <= 3
        if units.lookup(token.text) and (len(token.text) > 1 or token.spaced or token.roman):
            return False
        if token.text.lower() in units.SQUARE:
            return False
        return len(token.text) <= 2 or (len(token.text) == 3 and not token.spaced)

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
        if name in _FUNCTIONS:
            return self.function(_FUNCTIONS[name])
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
        if name in _GREEK:
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
        if lower in _FUNCTIONS and (word[0].islower() or self.is_op("(")):
            return self.function(_FUNCTIONS[lower])
        if lower in CONSTANTS:
            return CONSTANTS[lower]
        if word == "Degree":
            return DEGREE
        if lower in _GREEK:
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
            if (self.here.text.lower() in _FUNCTIONS and self.here.text != "sqrt") or self.word("or", "and"):
                break
            tree = ("mul", tree, self.power())
        return tree


_WOLFRAM = {k: v for k, v in _FUNCTIONS.items() if k not in ("re", "im")} | {"re": "re", "im": "im"}
_GREEK = frozenset(
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
