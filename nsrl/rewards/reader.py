"""The reader: LaTeX, plain, Wolfram or SymPy text of one answer to values. Tokens, then a Pratt-like descent.

Nothing is evaluated and no parser of another library sees the text. Length, depth and digits are bounded; anything
else than a complete reading raises `Unreadable`. Knows nothing of gold, options or prose.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from nsrl.rewards import clean, units
from nsrl.rewards.tree import DEGREE, INFINITY, PERCENT, PI, Tree, div, neg, num, symbols
from nsrl.rewards.values import Clock, Interval, Items, Ratio, Relation, Scalar, Union, Value

MAX_LENGTH = 1200
MAX_TOKENS = 500
MAX_DEPTH = 40
MAX_DIGITS = 400


class Unreadable(ValueError):
    """The text is not one complete answer this reader knows."""


@dataclass(frozen=True, slots=True)
class Token:
    kind: str  # num, name, op, cmd, end
    text: str
    spaced: bool = False  # white space before it
    roman: bool = False  # from \text{} or \mathrm{}
    value: Fraction | None = None
    places: int | None = None


_NUMBER = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:`[\d.]*)?(?:(?:\*\^|[eE](?=[+-]?\d))[+-]?\d+)?")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?![\d]|,\d)(?:\.\d+)?")
_NAME = re.compile(r"[A-Za-z¢]+")
_COMMAND = re.compile(r"\\([A-Za-z]+)\*?|\\(.)")
_OPS = re.compile(r"\*\*|==|!=|<=|>=|->|=>|&&|\|\||<>|[-+*/^_=<>(){}\[\],;:|!%°'~]")
_SKIP = {"displaystyle", "rm", "bf", "it", "vec", "overline", "bar", "overrightarrow", "hat", "widehat", "mathbf",
         "mathcal", "boldsymbol", "underline", "mathit", "boxed", "phantom", "hspace", "widetilde", "tilde", "overset", "hfill",
         "textstyle", "mathop", "ensuremath", "bold", "Big"}  # fmt: skip
_ROMAN = {"text", "textrm", "textbf", "textit", "mathrm", "mbox", "operatorname", "mathsf", "texttt", "textnormal"}
_OPERATOR_COMMANDS = {
    "times": "*", "cdot": "*", "ast": "*", "div": "/", "le": "<=", "leq": "<=", "leqslant": "<=", "ge": ">=", "geq": ">=",
    "geqslant": ">=", "lt": "<", "gt": ">", "ne": "!=", "neq": "!=", "to": "->", "rightarrow": "->", "Rightarrow": "->",
    "colon": ":", "mid": "|", "vert": "|", "lvert": "|", "rvert": "|", "langle": "(", "rangle": ")", "prime": "'",
    "degree": "°", "land": "&&", "lor": "||", "wedge": "&&", "vee": "||", "equiv": "=", "lbrace": "\\{", "rbrace": "\\}",
    "lbrack": "[", "rbrack": "]", "percent": "%", "surd": "√", "approx": "≈", "sim": "≈", "in": "∈", "cup": "∪", "pm": "±",
    "mp": "∓", "cap": "∩", "longrightarrow": "->", "implies": "->", "slash": "/", "lparen": "(", "rparen": ")",
}  # fmt: skip


def tokenise(text: str, roman: bool = False) -> list[Token]:
    out: list[Token] = []
    i, depth = 0, 0
    spaced = False
    while i < len(text):
        if len(out) > MAX_TOKENS:
            raise Unreadable("too many tokens")
        c = text[i]
        if c.isspace():
            spaced, i = True, i + 1
            continue
        before = i
        if c.isdigit() or (c == "." and text[i + 1 : i + 2].isdigit()):
            match = (depth == 0 and _THOUSANDS.match(text, i)) or _NUMBER.match(text, i)
            if match is None:
                raise Unreadable(f"digit {c!r}")
            out.append(_number(match[0], spaced, roman))
            i = match.end()
        elif match := _NAME.match(text, i):
            out.append(Token("name", match[0], spaced, roman))
            i = match.end()
        elif c == "\\":
            match = _COMMAND.match(text, i)
            if match is None:
                raise Unreadable("a lone backslash")
            i = match.end()
            word = match[1] or match[2]
            if word in _ROMAN:
                while text[i : i + 1] == " ":
                    i += 1
                close = clean.balanced(text, i) if text[i : i + 1] == "{" else None
                if close is None:
                    raise Unreadable(f"\\{word} without its braces")
                inner = tokenise(text[i + 1 : close], roman=True)[:-1]
                if inner:
                    first = inner[0]
                    inner[0] = Token(first.kind, first.text, spaced or text[i + 1] == " ", True, first.value, first.places)
                out.extend(inner)
                i = close + 1
            elif word in "{}":
                out.append(Token("op", "\\" + word, spaced))
                depth += 1 if word == "{" else -1
            elif word == "\\":
                out.append(Token("op", "\\\\", spaced))
            elif word == "|":
                out.append(Token("op", "|", spaced))
            elif word in _OPERATOR_COMMANDS:
                out.append(Token("op", _OPERATOR_COMMANDS[word], spaced))
            elif word == "circ":
                out.append(Token("op", "°", spaced))
            elif word not in _SKIP:
                out.append(Token("cmd", word, spaced))
        elif match := _OPS.match(text, i):
            out.append(Token("op", match[0], spaced, roman))
            depth += 1 if c in "([" else -1 if c in ")]" else 0
            i = match.end()
        elif c == "&":
            out.append(Token("op", "&", spaced))
            i += 1
        else:
            raise Unreadable(f"character {c!r}")
        spaced = False
        if i == before:
            raise Unreadable("no progress")
    return [*out, Token("end", "", spaced)]


def _number(text: str, spaced: bool, roman: bool) -> Token:
    plain = re.sub(r"`[\d.]*", "", text.replace(",", ""))
    mantissa, _, exponent = re.sub(r"\*\^", "e", plain).lower().partition("e")
    if len(mantissa) > MAX_DIGITS or len(exponent) > 4:
        raise Unreadable("too many digits")
    whole, point, digits = mantissa.partition(".")
    shift = int(exponent or 0)
    if abs(shift) > 1000:
        raise Unreadable("exponent")
    value = Fraction(int((whole + digits) or 0)) * Fraction(10) ** (shift - len(digits))
    return Token("num", text, spaced, roman, value, len(digits) - shift if (point and digits) or exponent else None)


_FUNCTIONS = {
    "sqrt": "sqrt", "cbrt": "cbrt", "sin": "sin", "cos": "cos", "tan": "tan", "tg": "tan", "cot": "cot", "ctg": "cot",
    "sec": "sec", "csc": "csc", "cosec": "csc", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "asin": "asin",
    "acos": "acos", "atan": "atan", "arctg": "atan", "arccot": "acot", "sinh": "sinh", "cosh": "cosh", "tanh": "tanh",
    "exp": "exp", "ln": "ln", "log": "log", "lg": "lg", "abs": "abs", "floor": "floor", "ceiling": "ceil", "ceil": "ceil",
    "max": "max", "min": "min", "gcd": "gcd", "lcm": "lcm", "mod": "mod", "binomial": "binomial", "factorial": "factorial",
    "re": "re", "im": "im", "conjugate": "conj", "surd": "surd", "power": "power", "rational": "rational", "root": "surd",
}  # fmt: skip
_CONSTANTS = {"pi": PI, "infinity": INFINITY, "inf": INFINITY, "infty": INFINITY, "oo": INFINITY}
_RELATIONS = {"=": "=", "==": "=", "<": "<", ">": ">", "<=": "<=", ">=": ">=", "!=": "!=", "->": "=", "=>": "=", "≈": "=", "<>": "!="}
_JOINING = frozenset(["or", "and", "per", "u", "union", "to", "of", "in", "is", "at", "on", "by", "no", "as"])
_LISTS = {"or": "or", "and": "or", "||": "or", ";": "bare", ",": "bare", "&&": "and"}


class Reader:
    """One pass over the tokens of one answer."""

    def __init__(self, text: str) -> None:
        self.latex = "\\" in text
        self.tokens = tokenise(text)
        self.at = 0
        self.depth = 0

    # -- helpers

    @property
    def here(self) -> Token:
        return self.tokens[self.at]

    def peek(self, n: int = 1) -> Token:
        return self.tokens[min(self.at + n, len(self.tokens) - 1)]

    def take(self) -> Token:
        token = self.tokens[self.at]
        self.at += token.kind != "end"
        return token

    def is_op(self, *texts: str) -> bool:
        return self.here.kind == "op" and self.here.text in texts

    def accept(self, *texts: str) -> Token | None:
        return self.take() if self.is_op(*texts) else None

    def expect(self, *texts: str) -> Token:
        token = self.accept(*texts)
        if token is None:
            raise Unreadable(f"expected {' or '.join(texts)}, got {self.here.text!r}")
        return token

    def word(self, *texts: str) -> bool:
        return self.here.kind == "name" and self.here.text.lower() in texts

    # -- values

    def answer(self) -> Value:
        value = self.listing(top=True)
        if self.here.kind != "end":
            raise Unreadable(f"left over: {self.here.text!r}")
        return value

    def listing(self, top: bool = False) -> Value:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable("nested too deeply")
        items = [self.relation()]
        kinds = []
        while True:
            text = self.here.text.lower() if self.here.kind in ("op", "name") else ""
            if text not in _LISTS:
                break
            self.take()
            kind = _LISTS[text]
            if kind == "bare" and self.word("and", "or"):  # the Oxford comma
                self.take()
            if kind == "bare" and (self.here.kind == "end" or self.is_op(")", "]", "}", "\\}")):
                break
            kinds.append(kind)
            items.append(self.relation())
        self.depth -= 1
        if len(items) == 1:
            return items[0]
        kind = "and" if all(k == "and" for k in kinds) else "or" if "or" in kinds else "bare"
        return Items(kind, tuple(items))

    def relation(self) -> Value:
        left = self.union()
        chain: list[Value] = [left]
        ops: list[str] = []
        while self.here.kind == "op":
            if self.is_op("∈"):
                self.take()
                chain = [self.union()]  # x ∈ S says S
                ops = []
                continue
            if self.here.text not in _RELATIONS:
                break
            ops.append(_RELATIONS[self.take().text])
            chain.append(self.union())
        if not ops:
            return chain[0]
        if len(ops) == 1:
            return _relation(ops[0], chain[0], chain[1])
        if all(o == "=" for o in ops):
            return Relation("=", chain[0], chain[-1])  # a = ... = b says a = b
        if len(ops) == 2 and all(o in ("<", "<=") for o in ops):
            return _interval(chain[0], chain[2], ops[0] == "<=", ops[1] == "<=")
        if len(ops) == 2 and all(o in (">", ">=") for o in ops):
            return _interval(chain[2], chain[0], ops[1] == ">=", ops[0] == ">=")
        raise Unreadable("a chain of relations")

    def union(self) -> Value:
        parts = [self.ratio()]
        while self.is_op("∪") or (self.word("u", "union") and isinstance(parts[0], Interval | Items | Union)):
            self.take()
            parts.append(self.ratio())
        return parts[0] if len(parts) == 1 else Union(tuple(parts))

    def ratio(self) -> Value:
        parts = [self.scalar()]
        while (self.is_op(":") or self.word("to")) and isinstance(parts[-1], Scalar):
            self.take()
            parts.append(self.scalar())
        if len(parts) == 1:
            return parts[0]
        return Ratio(tuple(parts))

    def scalar(self) -> Value:
        """An expression with its unit, or a collection standing alone."""
        start = self.at
        special = self.collection()
        if special is not None:
            return special
        if self.here.kind == "name" and self.here.text == "Quantity" and self.peek().text == "[":
            return self.quantity()
        tree = self.sum()
        places = self.places(start)
        total = self.unit(tree, places)
        if total.unit is not None and total.unit.known:  # 2 h 48 min, 5 ft 6 in
            while self.here.kind == "num":
                more_start = self.at
                more = self.unit(self.sum(), None)
                if more.unit is None or more.unit.dims != total.unit.dims:
                    self.at = more_start
                    break
                scaled = ("mul", more.tree, div(more.unit.factor, total.unit.factor))
                total = Scalar(("add", total.tree, scaled), None, total.unit)
        return total

    def places(self, start: int) -> int | None:
        """Digits after the point when the expression was one signed decimal (or one times a power of ten)."""
        tokens = [t for t in self.tokens[start : self.at] if t.text not in ("+", "-", "°", "%", "^", "{", "}", "(", ")")]
        if len(tokens) == 1:
            return tokens[0].places
        if len(tokens) == 4 and tokens[1].text in ("*", "x") and tokens[2].text == "10" and tokens[3].value is not None:
            if tokens[3].value.denominator == 1 and abs(tokens[3].value) <= 1000:
                minus = any(t.text == "-" for t in self.tokens[start : self.at][2:])
                return (tokens[0].places or 0) - int(tokens[3].value) * (-1 if minus else 1)
        return None

    def quantity(self) -> Scalar:
        self.at += 2
        tree = self.sum()
        self.expect(",")
        unit = self.unit(tree, None).unit
        self.expect("]")
        return Scalar(tree, None, unit)

    # -- units

    def unit(self, tree: Tree, places: int | None) -> Scalar:
        if tree[0] == "mul" and len(tree) == 3 and DEGREE in tree[1:]:
            other = tree[2] if tree[1] == DEGREE else tree[1]
            if self.here.kind == "name" and self.here.text in ("C", "F"):
                return Scalar(other, places, units.lookup("°" + self.take().text))
            return Scalar(other, places, units.DEGREE_UNIT)
        if tree[0] == "mul" and len(tree) == 3 and tree[2] == PERCENT:
            if self.here.kind == "name":
                self.noun()
            return Scalar(tree[1], places, units.PERCENT_UNIT)
        if tree[0] == "pow" and tree[2] == DEGREE:
            raise Unreadable("degree")
        if self.here.kind != "name" or symbols(tree):
            return Scalar(tree, places)
        unit = self.one_unit(first=True)
        if unit is None:
            return Scalar(tree, places, units.NOUN if self.noun() else None)
        while True:
            mark = self.at
            if self.accept("/") or self.word("per"):
                if self.word("per"):
                    self.take()
                other, sign = self.one_unit(), -1
            else:
                self.accept("*")
                other, sign = (self.one_unit(), 1) if self.here.kind == "name" else (None, 1)
            if other is None:
                self.at = mark
                break
            unit = unit.times(other, sign)
        self.noun()
        return Scalar(tree, places, unit)

    def one_unit(self, first: bool = False) -> units.Unit | None:
        token = self.here
        if token.kind != "name":
            return None
        if token.text.lower() in units.SQUARE:
            following = units.lookup(self.peek().text) if self.peek().kind == "name" else None
            if following is None:
                return None
            self.at += 2
            return following ** units.SQUARE[token.text.lower()]
        unit = units.lookup(token.text)
        if unit is None:
            return None
        if token.text in units.AMBIGUOUS and first and not (token.spaced or token.roman):
            return None
        if token.text.lower() == "in" and self.peek().kind == "name":
            return None  # "12 in total"
        self.take()
        if self.accept("^"):
            braces = self.accept("{")
            minus = self.accept("-")
            power = self.take()
            if power.kind != "num" or power.value is None or power.value not in (1, 2, 3):
                raise Unreadable("power of a unit")
            if braces:
                self.expect("}")
            return unit ** (int(power.value) * (-1 if minus else 1))
        if self.word("squared", "cubed"):
            return unit ** (2 if self.take().text.lower() == "squared" else 3)
        if self.here.kind == "num" and not self.here.spaced and self.here.text in "23" and unit.dims == (("length", 1),):
            return unit ** int(self.take().text)  # cm2
        return unit

    def noun(self) -> bool:
        """Skip plain words after a number ("apples", "square units") if they run to the end of the item."""
        mark = self.at
        while self.here.kind == "name" and self.here.text.lower() not in ("or", "and"):
            word = self.here.text
            if len(word) < 3 and word.lower() not in ("of", "in", "to", "up", "is"):
                self.at = mark
                return False
            self.take()
        if self.accept("^"):  # units^2
            braces = self.accept("{")
            self.take()
            if braces:
                self.expect("}")
        if self.at == mark:
            return False
        if self.here.kind == "end" or self.is_op(",", ";", ")", "]", "}", "\\}", ":") or self.word("or", "and"):
            return True
        self.at = mark
        return False

    # -- collections

    def collection(self) -> Value | None:
        """A set, tuple, list or interval if one stands here and is not part of a product; else None, nothing read."""
        mark, depth = self.at, self.depth
        if self.here.kind == "cmd" and self.here.text in ("emptyset", "varnothing"):
            self.take()
            return Items("brace", ())
        if self.here.kind == "cmd" and self.here.text == "mathbb" and self.peek(2).text == "R":
            self.at += 4 if self.peek().text == "{" else 2
            return Interval(Scalar(neg(INFINITY)), Scalar(INFINITY), False, False)
        if self.here.kind == "cmd" and self.here.text == "begin":
            return self.matrix()
        if self.here.kind == "name" and self.here.text in ("Interval", "FiniteSet", "Point", "List", "Matrix", "Vector"):
            if self.peek().text in ("(", "["):
                self.take()
        if not self.is_op("(", "[", "{", "\\{") or (self.is_op("{") and self.latex and not self.braces_list()):
            return None
        opening = self.take().text
        closers = {"(": (")", "]"), "[": ("]", ")", "["), "{": ("}",), "\\{": ("\\}", "}")}[opening]
        if self.accept(*closers[:1]):
            return Items("brace", ())
        try:
            inner = self.listing()
        except Unreadable:
            if opening in "([":
                self.at, self.depth = mark, depth
                return None
            raise
        if opening in ("\\{", "{") and self.accept("|", ":"):
            inner = self.listing()  # {x | condition} is its condition
            self.expect(*closers)
            return inner
        closing = self.expect(*closers).text
        items = inner.items if isinstance(inner, Items) and inner.kind == "bare" else (inner,)
        if len(items) == 2 and all(isinstance(i, Scalar) for i in items) and opening in "([" and closing in "([])":
            infinite = any(_infinite(i) for i in items)
            if (opening == "(") != (closing == ")") or infinite:
                return Interval(items[0], items[1], opening == "[", closing == "]")
        kind = {"(": "paren", "[": "bracket", "{": "brace", "\\{": "brace"}[opening]
        if opening == "(" and len(items) == 1:
            if isinstance(inner, Scalar) or self.continues():
                self.at, self.depth = mark, depth
                return None  # a parenthesis of an expression
            return inner
        if opening == "[" and len(items) == 1 and self.continues():
            self.at, self.depth = mark, depth
            return None
        return Items(kind, tuple(items))

    def braces_list(self) -> bool:
        """In LaTeX unescaped braces group; with a comma at their own level they were meant as a set."""
        depth = 0
        for token in self.tokens[self.at :]:
            if token.text in ("{", "(", "[", "\\{"):
                depth += 1
            elif token.text in ("}", ")", "]", "\\}"):
                depth -= 1
                if depth == 0:
                    return False
            elif token.text == "," and depth == 1:
                return True
        return False

    def continues(self) -> bool:
        """Whether an expression goes on here."""
        return self.is_op("+", "-", "*", "/", "^", "**", "!", "°", "%") or self.here.kind in ("num", "name", "cmd")

    def matrix(self) -> Value:
        self.take()
        self.expect("{")
        self.take()
        self.expect("}")
        if self.is_op("{"):  # column format of array
            while not self.accept("}"):
                if self.take().kind == "end":
                    raise Unreadable("array")
        rows: list[list[Value]] = [[]]
        while not (self.here.kind == "cmd" and self.here.text == "end"):
            rows[-1].append(self.relation())
            if self.accept("\\\\"):
                rows.append([])
            elif not self.accept("&") and not (self.here.kind == "cmd" and self.here.text == "end"):
                raise Unreadable("matrix")
        self.take()
        self.expect("{")
        self.take()
        self.expect("}")
        rows = [r for r in rows if r]
        if len(rows) == 1 or all(len(r) == 1 for r in rows):
            return Items("paren", tuple(v for r in rows for v in r))
        return Items("paren", tuple(Items("paren", tuple(r)) for r in rows))

    # -- expressions

    def sum(self) -> Tree:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable("nested too deeply")
        terms = [self.signed_product()]
        while self.is_op("+", "-", "±", "∓"):
            terms.append(self.signed_product())
        self.depth -= 1
        return terms[0] if len(terms) == 1 else ("add", *terms)

    def signed_product(self) -> Tree:
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
        tree = self.mixed()
        while True:
            if self.accept("*"):
                tree = ("mul", tree, self.signed_factor())
            elif self.is_op("/"):
                if self.peek().kind == "name" and units.lookup(self.peek().text) and not symbols(tree):
                    return tree
                self.take()
                tree = div(tree, self.signed_factor())
            elif self.here.kind == "name" and self.here.text in ("x", "X") and self.scientific(tree):
                self.take()
                tree = ("mul", tree, self.signed_factor())
            elif self.implicit(tree):
                right = self.power()
                tree = ("mul", tree, right)
            else:
                return tree

    def scientific(self, tree: Tree) -> bool:
        """`3.2 x 10^5`: the letter x as a times sign between a number and a power of ten."""
        return tree[0] == "num" and self.peek().text == "10" and self.peek(2).text in ("^", "**")

    def signed_factor(self) -> Tree:
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
            fraction = self.power()
            if fraction[0] == "num" and 0 < fraction[1] < 1 and "-" not in [t.text for t in self.tokens[mark : self.at]]:
                return num(tree[1] + fraction[1])
            self.at = mark
        elif self.here.kind == "num" and self.here.spaced and self.peek().text == "/" and self.peek(2).kind == "num":
            top, bottom = self.here.value, self.peek(2).value
            if top is not None and bottom and 0 < top < bottom and self.here.places is None:
                self.at += 3
                return num(tree[1] + top / bottom)
        return tree

    def implicit(self, tree: Tree) -> bool:
        """Whether a factor follows without a sign."""
        token = self.here
        if token.kind == "num":
            previous = self.tokens[self.at - 1]
            return (previous.text in (")", "°") and not token.spaced) or previous.text == "}"
        if token.kind == "op":
            return token.text in ("(", "√")
        if token.kind == "cmd":
            return token.text not in ("end", "cap", "setminus", "qquad", "dots", "ldots", "cdots")
        if token.kind != "name" or token.text.lower() in _JOINING:
            return False
        if token.text.lower() in _FUNCTIONS and (token.text not in ("min", "max", "mod", "re") or self.peek().text in ("(", "[")):
            return True
        if token.text.lower() in _CONSTANTS or token.text == "Degree":
            return True
        if token.text in ("C", "F") and tree[0] == "mul" and tree[2] == DEGREE:
            return False
        if symbols(tree):
            return len(token.text) <= 3
        if units.lookup(token.text) and (len(token.text) > 1 or token.spaced or token.roman):
            return False
        if token.text.lower() in units.SQUARE:
            return False
        return len(token.text) <= 2 or (len(token.text) == 3 and not token.spaced)

    def power(self) -> Tree:
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
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable("nested too deeply")
        try:
            return self.bare_atom()
        finally:
            self.depth -= 1

    def bare_atom(self) -> Tree:
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
        if token.text == "|":
            tree = self.sum()
            self.expect("|")
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
            head, rest = token.text[0], token.text[1:]
            self.tokens[self.at] = Token("num", rest, False, token.roman, Fraction(int(rest)))
            return num(int(head))
        return self.atom()

    def command(self, token: Token) -> Tree:
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
        if name in ("lfloor", "lceil"):
            tree = self.sum()
            closing = self.take()
            if closing.text != {"lfloor": "rfloor", "lceil": "rceil"}[name]:
                raise Unreadable(name)
            return ("fn", "floor" if name == "lfloor" else "ceil", tree)
        if name in _CONSTANTS:
            return _CONSTANTS[name]
        if name in _FUNCTIONS:
            return self.function(_FUNCTIONS[name])
        if name in ("angle", "triangle", "measuredangle"):
            return self.power()
        if name in _GREEK:
            return self.subscripted(name)
        raise Unreadable(f"\\{name}")

    def named(self, token: Token) -> Tree:
        word, lower = token.text, token.text.lower()
        if self.is_op("[") and len(word) > 1:
            if lower in _WOLFRAM:
                return self.function(_WOLFRAM[lower])
            raise Unreadable(f"{word}[...]")
        if lower in _FUNCTIONS and (word[0].islower() or self.is_op("(")):
            return self.function(_FUNCTIONS[lower])
        if lower in _CONSTANTS:
            return _CONSTANTS[lower]
        if word == "Degree":
            return DEGREE
        if word in ("GoldenRatio", "phi") and len(word) > 3:
            return div(("add", num(1), ("pow", num(5), num(Fraction(1, 2)))), num(2))
        if lower in _GREEK:
            return self.subscripted(lower)
        if word[-3:] == "log" and len(word) > 3:
            raise Unreadable(word)
        if len(word) > 3:
            raise Unreadable(f"the word {word!r}")
        if len(word) == 1:
            return self.subscripted(word)
        parts = [_letter(c) for c in word[:-1]]
        return ("mul", *parts, self.subscripted(word[-1]))

    def subscripted(self, name: str) -> Tree:
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
        while self.here.kind in ("num", "name", "cmd") and self.implicit(("sym", "x")):
            if (self.here.text.lower() in _FUNCTIONS and self.here.text != "sqrt") or self.word("or", "and"):
                break
            tree = ("mul", tree, self.power())
        return tree


_WOLFRAM = {k: v for k, v in _FUNCTIONS.items() if k not in ("re", "im")} | {"re": "re", "im": "im"}
_GREEK = frozenset(
    ["alpha", "beta", "gamma", "delta", "epsilon", "varepsilon", "zeta", "eta", "theta", "vartheta", "iota", "kappa", "lambda", "mu", "nu", "xi", "rho", "sigma", "tau", "upsilon", "phi", "varphi", "chi", "psi", "omega", "Gamma", "Delta", "Theta", "Lambda", "Sigma", "Phi", "Psi", "Omega", "ell"]
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


def _infinite(value: Value) -> bool:
    return isinstance(value, Scalar) and value.tree in (INFINITY, neg(INFINITY))


def _interval(low: Value, high: Value, low_closed: bool, high_closed: bool) -> Value:
    if not (isinstance(low, Scalar) and isinstance(high, Scalar)):
        raise Unreadable("a chain of relations")
    return Interval(low, high, low_closed, high_closed)


def _relation(op: str, left: Value, right: Value) -> Value:
    if op in (">", ">="):
        op, left, right = "<" + op[1:], right, left
    if op in ("<", "<=") and isinstance(left, Scalar) and isinstance(right, Scalar):
        closed = op == "<="
        if left.tree[0] == "sym" and not symbols(right.tree):
            return Interval(Scalar(neg(INFINITY)), right, False, closed)
        if right.tree[0] == "sym" and not symbols(left.tree):
            return Interval(left, Scalar(INFINITY), closed, False)
    return Relation(op, left, right)


_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?\s*(?:([ap])\.?\s*m\.?|o'?clock)?$", re.IGNORECASE)
_HOUR = re.compile(r"(\d{1,2})\s*(?:([ap])\.?m\.?|o'?clock)$", re.IGNORECASE)
_SPACED_THOUSANDS = re.compile(r"-?\d{1,3}(?: \d{3})+(?:\.\d+)?$")
_HOURS_MINUTES = re.compile(r"^(\d+)\s*h(?:rs?|ours?)?\.?\s*(?:and\s+)?(\d+)\s*m(?:ins?|inutes?)?\.?$")
_FEET = re.compile(r"(\d+)\s*'\s*(\d+)\s*(?:\"|'')$")


@lru_cache(maxsize=8192)
def read(text: str) -> Value:
    """The value of one answer. Raises `Unreadable`."""
    if len(text) > MAX_LENGTH:
        raise Unreadable("too long")
    text = clean.latex(text)
    if not text:
        raise Unreadable("empty")
    if match := _CLOCK.match(text):
        hours, minutes, seconds = int(match[1]), int(match[2]), int(match[3] or 0)
        if minutes < 60 and seconds < 60:
            return Clock(hours, minutes, seconds, (match[4] or "").lower())
    if match := _HOUR.match(text):
        return Clock(int(match[1]), 0, 0, (match[2] or "").lower())
    if _SPACED_THOUSANDS.match(text):
        text = text.replace(" ", "")
    text = _HOURS_MINUTES.sub(r"\1 h \2 min", text)
    if match := _FEET.match(text):
        text = f"{match[1]} ft {match[2]} in"
    number = clean.word_number(text)
    if number is not None and text[0].isalpha():
        return Scalar(num(number))
    if not any(c.isdigit() for c in text) and not re.search(r"[\\+*/^=<>|∪(\[{]", text) and len(text) > 1:
        text = clean.digits_for_words(text)
        if not any(c.isdigit() for c in text) and text.lower().lstrip("-+") not in _CONSTANTS and not re.fullmatch(
            r"-?[A-Za-z]|[A-Za-z](?:(?:, ?(?:and |or )?| and | or )[A-Za-z])+|-?[a-z] ?- ?[a-z]", text
        ):
            raise Unreadable("words")
    try:
        return Reader(text).answer()
    except (RecursionError, ZeroDivisionError):
        raise Unreadable("nested too deeply") from None
