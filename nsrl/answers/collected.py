"""Collections of an answer: sets, points, lists, intervals, matrices, as LaTeX, SymPy and Wolfram write them."""

from __future__ import annotations

import re
from collections.abc import Callable

from nsrl.answers.lexer import Unreadable
from nsrl.answers.measured import Measured
from nsrl.answers.values import REALS, Interval, Items, Scalar, Union, Value, is_infinite, related

_COLLECTIONS = (
    "Interval",
    "IntervalOpen",
    "IntervalLopen",
    "IntervalRopen",
    "FiniteSet",
    "Point",
    "List",
    "Matrix",
    "Vector",
    "ImmutableDenseMatrix",
)
_COLUMNS = ("Matrix", "ImmutableDenseMatrix")
PRINTED = {
    "Eq": "=",
    "Ne": "!=",
    "And": "and",
    "Or": "or",
    "Union": "or",
    "Intersection": "and",
    "Complement": "minus",
}
FUNCTION_OF = re.compile(r"((?![fghei])[a-zA-Z])[(\[][xt][)\]]")


class Collections(Measured):
    """Sets, tuples, lists, intervals and matrices."""

    # -- what the reader of values brings

    listing: Callable[[], Value]
    relation: Callable[[], Value]

    def collection(self) -> Value | None:
        """A set, tuple, list or interval if one stands here and is not part of a product; else None, nothing read."""
        mark, depth = self.at, self.depth
        if self.here.kind == "cmd" and self.here.text in ("emptyset", "varnothing"):
            self.take()
            return Items("brace", ())
        if self.here.kind == "cmd" and self.here.text == "mathbb" and self.peek(2).text == "R":
            self.at += 4 if self.peek().text == "{" else 2
            return REALS
        if self.word("reals") and self.peek().text != "(":
            self.take()
            return REALS
        if self.here.kind == "cmd" and self.here.text == "begin":
            return self.matrix()
        name = self.here.text if self.here.kind == "name" and self.peek().text in ("(", "[") else ""
        if name in PRINTED:
            return self.printed(name)
        if name in _COLLECTIONS:
            self.take()
        elif (
            len(name) == 1 and name.isupper() and self.peek().text == "(" and not self.peek().spaced
        ):  # a point, P(2, 3)
            self.take()
            point = self.collection() if name != "C" or self.choose() is None else None
            if isinstance(point, Items) and len(point.items) > 1 and all(isinstance(i, Scalar) for i in point.items):
                return point
            self.at, self.depth = mark, depth
            return None
        if not self.is_op("(", "[", "{", "\\{", "]") or (self.is_op("{") and self.latex and not self.braces_list()):
            return None
        opening = self.take().text
        closers = {"(": (")", "]"), "[": ("]", ")", "["), "]": ("[", "]"), "{": ("}",), "\\{": ("\\}", "}")}[opening]
        if self.accept(*closers[:1]):
            return Items("brace", ())
        if opening in ("{", "\\{") and self.here.kind == "name" and self.peek().text in (":", "|"):
            builder = self.at
            self.at += 2
            try:
                inner = self.listing()  # {x : condition}
                self.expect(*closers)
                if not isinstance(inner, Scalar | Items) or (
                    isinstance(inner, Items) and inner.kind in ("and", "bounds")
                ):
                    return inner
            except Unreadable:
                pass  # a dictionary, or bars around something
            self.at = builder
        try:
            inner = self.listing()
        except Unreadable:
            if opening in "([]":
                self.at, self.depth = mark, depth
                return None
            raise
        if opening in ("\\{", "{") and self.accept("|", ":"):
            inner = self.listing()  # {x | condition} is its condition
            self.expect(*closers)
            return inner
        closing = self.expect(*closers).text
        items = inner.items if isinstance(inner, Items) and inner.kind == "bare" else (inner,)
        if name.startswith("Interval"):
            return _named_interval(name, items)
        if len(items) == 2 and all(isinstance(i, Scalar) for i in items) and opening in "([]" and closing in "([])":
            infinite = any(is_infinite(i) for i in items)
            if opening + closing not in ("()", "[]") or infinite:  # [2, 3[ is [2, 3)
                return Interval(items[0], items[1], opening == "[", closing == "]")
        if opening + closing not in ("()", "[]", "{}", "\\{\\}", "\\{}"):
            raise Unreadable("brackets that do not belong together")
        if name in _COLUMNS and len(items) == 1 and isinstance(items[0], Items) and items[0].items:
            rows = [i.items if isinstance(i, Items) else (i,) for i in items[0].items]
            if len(rows) == 1 or all(len(r) == 1 for r in rows):
                return Items("vector", tuple(v for r in rows for v in r))
        kind = "brace" if name == "FiniteSet" else {"(": "paren", "[": "bracket", "{": "brace", "\\{": "brace"}[opening]
        if opening == "(" and len(items) == 1:
            if isinstance(inner, Scalar) or self.continues():
                self.at, self.depth = mark, depth
                return None  # a parenthesis of an expression
            return inner
        if opening == "[" and len(items) == 1 and self.continues():
            self.at, self.depth = mark, depth
            return None
        return Items(kind, tuple(items), opening == "{")

    def printed(self, name: str) -> Value:
        """Eq(y, 2*x + 1), And(2 <= x, x < 3): as SymPy prints what it leaves standing."""
        self.take()
        self.expect("(")
        function = FUNCTION_OF.fullmatch("".join(t.text for t in self.tokens[self.at : self.at + 4]))
        inner = self.listing()
        self.expect(")")
        if not (isinstance(inner, Items) and inner.kind in ("bare", "bounds")):
            raise Unreadable(name)
        if PRINTED[name] in ("and", "or"):
            return Items(PRINTED[name], inner.items)
        if PRINTED[name] == "minus":
            return Items("minus", inner.items)
        if len(inner.items) != 2:
            raise Unreadable(name)
        left = Scalar(("sym", function[1])) if function else inner.items[0]  # Eq(y(x), exp(x))
        return related(PRINTED[name], left, inner.items[1], unsolved=True)

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
        r"""The rows of a LaTeX matrix, up to its \end."""
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
        if self.is_op("^") and [t.text for t in self.tokens[self.at + 1 : self.at + 4]] in (
            ["{", "T", "}"],
            ["{", "top", "}"],
        ):
            self.at += 4
            rows = _transposed(rows)
        elif self.is_op("^") and self.peek().text in ("T", "top"):
            self.at += 2
            rows = _transposed(rows)
        if len(rows) == 1 or all(len(r) == 1 for r in rows):
            return Items("vector", tuple(v for r in rows for v in r))
        return Items("paren", tuple(Items("paren", tuple(r)) for r in rows))


def _transposed(rows: list[list[Value]]) -> list[list[Value]]:
    if len({len(row) for row in rows}) > 1:
        raise Unreadable("matrix")
    return [list(column) for column in zip(*rows)]


def _named_interval(name: str, items: tuple) -> Value:
    """SymPy's Interval(1, 2) and Interval.open(1, 2), by then one name; the Wolfram Language's Interval[{1, 2}, {3,
    4}]."""
    pairs = [i.items for i in items] if all(isinstance(i, Items) for i in items) else [items]
    if not pairs or not all(len(pair) == 2 and all(isinstance(i, Scalar) for i in pair) for pair in pairs):
        raise Unreadable(name)
    left, right = name not in ("IntervalOpen", "IntervalLopen"), name not in ("IntervalOpen", "IntervalRopen")
    parts = tuple(Interval(a, b, left and not is_infinite(a), right and not is_infinite(b)) for a, b in pairs)
    return parts[0] if len(parts) == 1 else Union(parts)
