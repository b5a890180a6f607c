"""The reader: LaTeX, plain, Wolfram or SymPy text of one answer to a value (`nsrl.answers.values`).

Nothing is evaluated and no parser of another library sees the text. Length, depth and digits are bounded; anything
else than a complete reading raises `Unreadable`. Knows nothing of gold, options or prose.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from nsrl.answers import clean, units
from nsrl.answers.expressions import CONSTANTS, MAX_DEPTH, MAX_TREE, Expressions, Spent
from nsrl.answers.lexer import Unreadable
from nsrl.answers.tree import DEGREE, INFINITY, PERCENT, Tree, deeper_than, div, neg, normal, num, symbols
from nsrl.answers.values import Clock, Interval, Items, Ratio, Relation, Scalar, Union, Value

MAX_LENGTH = 1200

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
_PRINTED = {
    "Eq": "=",
    "Ne": "!=",
    "And": "and",
    "Or": "or",
    "Union": "or",
    "Intersection": "and",
    "Complement": "minus",
}
_RELATIONS = {
    "=": "=",
    "==": "=",
    "<": "<",
    ">": ">",
    "<=": "<=",
    ">=": ">=",
    "!=": "!=",
    "->": "=",
    "=>": "=",
    "≈": "~",
    "<>": "!=",
}
_NO_NOUNS = frozenset(
    [
        "not",
        "never",
        "wrong",
        "incorrect",
        "false",
        "than",
        "squared",
        "cubed",
        "factorial",
        "hundred",
        "thousand",
        "million",
        "billion",
        "trillion",
        "dozen",
        "times",
        "plus",
        "minus",
        "mod",
        "choose",
        "past",
        "minimum",
        "maximum",
        "min",
        "max",
        "twice",
    ]
)
_SCALES = frozenset(["celsius", "fahrenheit", "c", "f"])
_LISTS = {"or": "or", "and": "or", "||": "or", ";": "bare", ",": "bare", "&&": "and", "&": "and"}


class Reader(Expressions):
    """Values: what an expression may stand in."""

    # -- values

    def answer(self) -> Value:
        """The whole text as one value. Raises Unreadable where something is left over."""
        value = self.listing(top=True)
        if self.here.kind != "end":
            raise Unreadable(f"left over: {self.here.text!r}")
        return value

    def listing(self, top: bool = False) -> Value:
        """Values with commas, semicolons, `and` or `or` between them; one value alone is itself."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable("nested too deeply")
        items = [self.relation()]
        kinds = []
        marks = []
        while True:
            text = self.here.text.lower() if self.here.kind in ("op", "name") else ""
            if text not in _LISTS and not (
                text == "|" and (isinstance(items[-1], Interval | Union | Relation) or _conditions(items[-1]))
            ):
                break
            self.take()
            kind = _LISTS.get(text, "or")  # SymPy's (3 < x) | (x < 2)
            if kind == "bare" and self.word("and", "or") and self.here.text not in _PRINTED:  # the Oxford comma
                self.take()
            if kind == "bare" and (self.here.kind == "end" or self.is_op(")", "]", "}", "\\}")):
                break
            kinds.append(kind)
            marks.append(text)
            items.append(self.relation())
        self.depth -= 1
        if len(items) == 1:
            return items[0]
        if ";" in marks and "," in marks:  # p=5, q=2; p=7, q=2
            groups: list[list[Value]] = [[items[0]]]
            for mark, item in zip(marks, items[1:]):
                groups.append([item]) if mark == ";" else groups[-1].append(item)
            return Items("bare", tuple(g[0] if len(g) == 1 else Items("bare", tuple(g)) for g in groups))
        kind = "and" if all(k == "and" for k in kinds) else "or" if "or" in kinds else "bare"
        if set(marks) <= {"and", ","} and len(items) == 2 and all(isinstance(i, Interval) and i.of for i in items):
            first, second = (i for i in items if isinstance(i, Interval))
            if first.of == second.of and _infinite(first.low) != _infinite(second.low):
                kind = "bounds"
        if set(marks) <= {"and", ","} and any(isinstance(i, Relation) and i.op == "!=" for i in items):
            kind = "and"  # x > 0, x != 1
        if kind == "bounds" and "and" in marks:
            kind = "and"  # both hold; a comma may also list two sides
        return Items(kind, tuple(items))

    def relation(self) -> Value:
        """A value, or two with an equals or an order sign between them."""
        start = self.at
        left = self.union()
        if isinstance(left, Ratio) and len(left.parts) == 2 and self.named_ratio(start, left):
            return Relation("=", *left.parts)
        label, left = self.label(start, left) if self.is_op("=", "==", "->") else (False, left)
        chain: list[Value] = [left]
        ops: list[str] = []
        while self.here.kind == "op":
            if self.is_op("∈"):
                if isinstance(chain[-1], Scalar) and not symbols(chain[-1].tree):
                    raise Unreadable("a number in something")
                self.take()
                chain = [self.union()]  # x ∈ S says S
                ops = []
                continue
            if self.here.text not in _RELATIONS:
                break
            ops.append(_RELATIONS[self.here.text])
            unsolved = self.take().text == "=="
            chain.append(self.union())
        if not ops:
            return chain[0]
        if len(ops) == 1 and ops != ["~"]:
            return _relation(ops[0], chain[0], chain[1], unsolved, label)
        if "~" in ops:  # x = a ≈ b says a, which is about b; an approximation of approximations says nothing
            if ops[-1] != "~" or ops.count("~") > 1 or not all(isinstance(c, Scalar) for c in chain):
                raise Unreadable("a chain of approximations")
            return Relation("~", chain[-2], chain[-1])
        if all(o == "=" for o in ops):
            return Relation("=", chain[0], chain[-1], label=label)  # a = ... = b says a = b
        if len(ops) == 2 and all(o in ("<", "<=") for o in ops):
            return _interval(chain[0], chain[2], ops[0] == "<=", ops[1] == "<=")
        if len(ops) == 2 and all(o in (">", ">=") for o in ops):
            return _interval(chain[2], chain[0], ops[1] == ">=", ops[0] == ">=")
        raise Unreadable("a chain of relations")

    def label(self, start: int, left: Value) -> tuple[bool, Value]:
        """Whether the tokens up to here are a value at a point (f(3), P(5)) or a derivative (dy/dx); and the left side
        of an equation, y for the function y(x)."""
        if not isinstance(left, Scalar) or not 3 <= self.at - start <= MAX_LABEL:
            return False, left
        text = "".join(t.text for t in self.tokens[start : self.at])
        if match := _FUNCTION.fullmatch(text):
            return False, Scalar(("sym", match[1]))
        return bool(
            _DERIVATIVE.fullmatch(text) or ((match := _CALL.match(text)) and _closes_last(text[match.end() - 1 :]))
        ), left

    def named_ratio(self, start: int, ratio: Ratio) -> bool:
        """`Sum: 12`, `n: 12`: a name before a colon and a value is no ratio; an option's letter (`C: 3`) and `AB:2` may
        be."""
        name = self.tokens[start]
        if name.kind == "name" and clean.changes(name.text):
            raise Unreadable("a label that changes its value")  # Not: 5
        return (
            name.kind == "name"
            and self.tokens[start + 1].text == ":"
            and not symbols(ratio.parts[1].tree)
            and not _LETTERS.fullmatch(name.text)
        )

    def union(self) -> Value:
        """Sets with ∪ between them, or one set without another."""
        parts = [self.ratio()]
        while self.is_op("∪") or (self.word("u", "union") and isinstance(parts[0], Interval | Items | Union)):
            self.take()
            parts.append(self.ratio())
        whole = parts[0] if len(parts) == 1 else Union(tuple(parts))
        if (
            isinstance(whole, Interval | Items | Union)
            and self.here.kind == "cmd"
            and self.here.text in ("setminus", "backslash")
        ):
            self.take()
            return Items("minus", (whole, self.ratio()))
        return whole

    def ratio(self) -> Value:
        """Scalars with colons or `to` between them."""
        parts = [self.scalar()]
        while (self.is_op(":") or self.word("to")) and isinstance(parts[-1], Scalar):
            self.take()
            parts.append(self.scalar())
        if len(parts) == 1:
            return parts[0]
        if not all(isinstance(p, Scalar) for p in parts):
            raise Unreadable("a ratio of collections")
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
        if deeper_than(tree, MAX_TREE):
            raise Unreadable("nested too deeply")
        places = self.places(start)
        total = self.unit(tree, places)
        if total.unit is not None and total.unit.known:  # 2 h 48 min, 5 ft 6 in
            while self.here.kind == "num":
                more_start = self.at
                more = self.unit(self.sum(), None)
                if more.unit is None or more.unit.dims != total.unit.dims:  # pyright: ignore[reportOptionalMemberAccess]
                    self.at = more_start
                    break
                scaled = ("mul", more.tree, div(more.unit.factor, total.unit.factor))  # pyright: ignore[reportOptionalMemberAccess]
                total = Scalar(("add", total.tree, scaled), None, total.unit)
        return total

    def places(self, start: int) -> int | None:
        """Digits after the point when the expression was one signed decimal (or one times a power of ten). A number
        written without a point, `3 \\times 10^5` like `300000`, is exact."""
        tokens = [
            t
            for t in self.tokens[start : self.at]
            if t.text not in ("+", "-", "±", "∓", "°", "%", "^", "{", "}", "(", ")")
        ]
        if len(tokens) == 1:
            return tokens[0].places
        if (
            len(tokens) == 4
            and tokens[0].places is not None
            and tokens[1].text in ("*", "x")
            and tokens[2].text == "10"
            and tokens[3].value is not None
        ):
            if tokens[3].value.denominator == 1 and abs(tokens[3].value) <= 1000:
                minus = any(t.text == "-" for t in self.tokens[start : self.at][2:])
                return tokens[0].places - int(tokens[3].value) * (-1 if minus else 1)
        return None

    def quantity(self) -> Scalar:
        """Quantity[number, unit], as an engine prints it."""
        self.at += 2
        tree = self.sum()
        self.expect(",")
        unit = self.unit(tree, None).unit
        self.expect("]")
        return Scalar(tree, None, unit)

    # -- units

    def unit(self, tree: Tree, places: int | None) -> Scalar:
        """The scalar of a tree with the unit that follows; without one where none follows."""
        if self.here.text == "Omega" and self.here.kind == "cmd" and not symbols(tree):
            self.take()
            return Scalar(tree, places, units.lookup("ohm"))
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
            start = self.at
            named = self.noun()
            words = tuple(t.text.lower() for t in self.tokens[start : self.at] if t.kind == "name") if named else ()
            return Scalar(tree, places, units.Unit(num(1), (), words[:8]) if words else None)
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
        """The unit that the next name is, taken; None and nothing taken where it is none."""
        token = self.here
        if token.kind != "name":
            return None
        if token.text.lower() in ("degree", "degrees") and self.peek().text.lower() in _SCALES:
            self.at += 2
            return units.lookup(self.tokens[self.at - 1].text)
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
        if self.accept("^", "**"):
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
        if (
            self.here.kind == "num"
            and not self.here.spaced
            and self.here.text in "23"
            and unit.dims == (("length", 1),)
        ):
            return unit ** int(self.take().text)  # cm2
        return unit

    def noun(self) -> bool:
        """Skip plain words after a number ("apples", "square units") if they run to the end of the item."""
        mark = self.at
        while self.here.kind == "name" and self.here.text.lower() not in ("or", "and"):
            word = self.here.text
            squared = word.lower() in ("squared", "cubed") and self.tokens[self.at - 1].text.lower() in (
                "unit",
                "units",
            )
            if (word.lower() in _NO_NOUNS and not squared) or (
                len(word) < 3 and word.lower() not in ("of", "in", "to", "up", "is")
            ):
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
            return _REALS
        if self.word("reals") and self.peek().text != "(":
            self.take()
            return _REALS
        if self.here.kind == "cmd" and self.here.text == "begin":
            return self.matrix()
        name = self.here.text if self.here.kind == "name" and self.peek().text in ("(", "[") else ""
        if name in _PRINTED:
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
            infinite = any(_infinite(i) for i in items)
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
        function = _FUNCTION.fullmatch("".join(t.text for t in self.tokens[self.at : self.at + 4]))
        inner = self.listing()
        self.expect(")")
        if not (isinstance(inner, Items) and inner.kind in ("bare", "bounds")):
            raise Unreadable(name)
        if _PRINTED[name] in ("and", "or"):
            return Items(_PRINTED[name], inner.items)
        if _PRINTED[name] == "minus":
            return Items("minus", inner.items)
        if len(inner.items) != 2:
            raise Unreadable(name)
        left = Scalar(("sym", function[1])) if function else inner.items[0]  # Eq(y(x), exp(x))
        return _relation(_PRINTED[name], left, inner.items[1], unsolved=True)

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


def _conditions(value: Value) -> bool:
    """(a < x) & (x < b), which another condition may follow."""
    return (
        isinstance(value, Items)
        and value.kind in ("and", "or", "bounds")
        and all(isinstance(i, Interval | Union | Relation) or _conditions(i) for i in value.items)
    )


def _infinite(value: Value) -> bool:
    return isinstance(value, Scalar) and value.tree in (INFINITY, neg(INFINITY))


def _named_interval(name: str, items: tuple) -> Value:
    """SymPy's Interval(1, 2) and Interval.open(1, 2), by then one name; the Wolfram Language's Interval[{1, 2}, {3,
    4}]."""
    pairs = [i.items for i in items] if all(isinstance(i, Items) for i in items) else [items]
    if not pairs or not all(len(pair) == 2 and all(isinstance(i, Scalar) for i in pair) for pair in pairs):
        raise Unreadable(name)
    left, right = name not in ("IntervalOpen", "IntervalLopen"), name not in ("IntervalOpen", "IntervalRopen")
    parts = tuple(Interval(a, b, left and not _infinite(a), right and not _infinite(b)) for a, b in pairs)
    return parts[0] if len(parts) == 1 else Union(parts)


def _interval(low: Value, high: Value, low_closed: bool, high_closed: bool) -> Value:
    if not (isinstance(low, Scalar) and isinstance(high, Scalar)):
        raise Unreadable("a chain of relations")
    return Interval(low, high, low_closed, high_closed)


def _relation(op: str, left: Value, right: Value, unsolved: bool = False, label: bool = False) -> Value:
    if op in (">", ">="):
        op, left, right = "<" + op[1:], right, left
    if op in ("<", "<=") and isinstance(left, Scalar) and isinstance(right, Scalar):
        closed = op == "<="
        if left.tree[0] == "sym" and not symbols(right.tree):
            return Interval(Scalar(neg(INFINITY)), right, False, closed, left.tree[1])
        if right.tree[0] == "sym" and not symbols(left.tree):
            return Interval(left, Scalar(INFINITY), closed, False, right.tree[1])
    return Relation(op, left, right, unsolved, label and not unsolved)


_REALS = Interval(Scalar(neg(INFINITY)), Scalar(INFINITY), False, False)
_EMPTY = Items("brace", ())
MAX_LABEL = 40  # tokens of a left side that is looked at as a label
_FUNCTION = re.compile(r"((?![fghei])[a-zA-Z])[(\[][xt][)\]]")
_CALL = re.compile(
    r"(?:[fghpquvdFGHPQRSTVNE]|varphi|phi|sigma|tau|mu|psi|zeta|Gamma)'{0,3}(?:\^(?:\{-1\}|-1))?\((?=[^=]*\d)"
)
_DERIVATIVE = re.compile(
    r"(?:frac\{d(?:\^\{?\d\}?)?[a-zA-Z]\}\{d[a-z](?:\^\{?\d\}?)?\}|d(?:\^\d)?[a-zA-Z]/d[a-z](?:\^\d)?)"
)
_LETTERS = re.compile(r"[A-J]|[A-Z]{2,}")


def _closes_last(text: str) -> bool:
    """Whether the parenthesis that opens the text closes at its end."""
    depth = 0
    for i, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if not depth:
            return i == len(text) - 1
    return False


_CLOCK = re.compile(
    r"(\d{1,2}):(\d{2})(?::(\d{2}))?\s*(?:(?P<half>[ap])\.?\s*m\.?|o'?clock|"
    r"in the (?P<part>morning|afternoon|evening))?$",
    re.IGNORECASE,
)
_PAST = re.compile(
    r"(half(?= past)|quarter|\d{1,2} minutes|\d{1,2}(?= past)) (past|to) (\d{1,2}|[a-z]{3,6})(?: o'?clock)?$",
    re.IGNORECASE,
)
_ON_CLOCK = re.compile(
    r"\\(?:text|textrm|textbf|mathrm|mbox)\s?\{((?:\d{1,2}:\d{2})?\s?(?:[ap]\.?\s?m\.?)?)\s?\}", re.IGNORECASE
)
_HOUR = re.compile(r"(\d{1,2})\s*(?:([ap])\.?m\.?|o'?clock)$", re.IGNORECASE)
_SPACED_THOUSANDS = re.compile(r"-?\d{1,3}(?: \d{3})+(?:\.\d+)?$")
_CONDITIONAL = re.compile(r"ConditionalExpression\[(.*),((?:[^,\[\]]|\[[^\[\]]{0,60}\])*)\]$")
_LETTER = re.compile(r"(?<![A-Za-z])[A-Za-z](?![A-Za-z])")
_ROOT = re.compile(r"Root\[([-+*/^#()\d ]{1,80})& ?, ?([1-9])(?:, ?0)?\]$")  # of a polynomial in #
_PURE = re.compile(r"([a-z]) -> Function\[\{[a-z]\}, ((?:[^\[\]]|\[[^\[\]]*\]){1,300})\]")
_COMPLEX = re.compile(r"^(\(?-?[\d.]*(?:(?<=\d)[-+])?\d[\d.]*)j(?=\)?$)")  # as Python prints one
_VECTOR = re.compile(r"^<([^<>=]+,[^<>=]+)>$")
_PERIOD = re.compile(r"(-?\d+\.\d*)\((\d{1,20})\)$")  # 0.1(6) is 0.1666...
_EITHER = re.compile(r"^(?:either|both) ", re.IGNORECASE)
_OUT_OF = re.compile(r"^(\d+) (?:out of|in every|in|over) (\d+)$")
_PART_OF = re.compile(r"^((?:[a-z]+[ -]){0,2}[a-z]+) of (?:the )?(\d{1,12})$", re.IGNORECASE)
_TEXT_OF = re.compile(r"^\\(?:text|textrm|textbf|mathrm|mbox)\s?\{([a-z -]{1,30}) ?\} ?", re.IGNORECASE)
_PHRASES: dict[str, Value] = {
    **dict.fromkeys(("all real numbers", "all reals", "reals", "s.reals", "all real values"), _REALS),
    **dict.fromkeys(("complexinfinity", "directedinfinity[1]", "directedinfinity[]"), Scalar(INFINITY)),
    "directedinfinity[-1]": Scalar(neg(INFINITY)),
    **dict.fromkeys(("empty set", "the empty set", "\\emptyset", "emptyset", "emptyset()", "s.emptyset"), _EMPTY),
}
_NONE = re.compile(r"(?:there (?:is|are) )?no (?:real |integer |rational )?(?:solution|root)s?(?: exists?)?$")
_DOTTED = re.compile(r"\s*\$?(-?\d{0,12}\.\d{0,12}?)(\d{1,3}?)\2{2,20}(?:\.\.\.?|…|\\l?dots)\.?\$?\s*$")  # 0.1666...
_POINT_CLOCK = re.compile(r"^(\d{1,2})\.(\d{2})(?=\s*[ap]\.?\s?m\b)", re.IGNORECASE)
_HOURS_MINUTES = re.compile(r"^(\d+)\s*h(?:rs?|ours?)?\.?\s*(?:and\s+)?(\d+)\s*m(?:ins?|inutes?)?\.?$")
_TEXT = re.compile(r"\\(?:text|textrm|textbf|mathrm|mbox)\s?\{([^{}]*)\}$")
_PYTHON = re.compile(r"\b(?:Point[23]D(?=\()|Fraction(?=\()|Interval\.(?:open|Lopen|Ropen)(?=\())")
_SHORT = {"Point2D": "Point", "Point3D": "Point", "Fraction": "Rational"}
_ARRAY = re.compile(r"\[\[?\s?-?\d[-+\d.e\[\] ]*\]")  # as NumPy prints one: no commas
_BETWEEN = re.compile(r"(?<=[\d.\]]) (?=-?\.?\d|\[)")
_QUOTED = re.compile(r'"([A-Z][A-Za-z]*)"')  # the unit in Quantity[5, "SquareMeters"]
_MARKED = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*('|′|’|\"|″|”|'')\s*\.?$")  # a length: no number of degrees is written so
_FOOT = ("'", "′", "’")
_FEET = re.compile(r"(\d+)\s*'\s*(\d+)\s*(?:\"|'')$")
_OF = frozenset(
    ["sin", "cos", "tan", "cot", "sec", "csc", "ln", "log", "lg", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh"]
)


def _of_letters(text: str) -> bool:
    """Whether words are functions of letters, `sin x cos y`."""
    parts = text.lstrip("-").split()
    return (
        bool(parts)
        and parts[-1] not in _OF
        and not _OF.isdisjoint(parts)
        and all(len(p) == 1 or p in _OF for p in parts)
    )


def _nth_root(polynomial: str, k: int) -> Scalar:
    """The k-th root, real ones first and from left to right, of a quadratic or of a x^n - c, as the Wolfram Language
    counts them. Raises `Unreadable` for any other."""
    inner = Reader(polynomial).answer()
    try:
        poly = normal(inner.tree) if isinstance(inner, Scalar) else {}
    except ArithmeticError:
        raise Unreadable("Root") from None
    by_degree = {sum(e for _, e in mono): c for mono, c in poly.items() if all(atom == "x" for atom, _ in mono)}
    degree = int(max(by_degree, default=0))
    if len(by_degree) != len(poly) or degree < 2 or not set(by_degree) <= ({0, 1, 2} if degree == 2 else {0, degree}):
        raise Unreadable("Root")
    a, b, c = by_degree[degree], by_degree.get(1, Fraction(0)), by_degree.get(0, Fraction(0))
    if degree == 2 and k <= 2:
        root = ("pow", num((b * b - 4 * a * c) / (4 * a * a)), num(Fraction(1, 2)))
        return Scalar(("add", num(-b / (2 * a)), root if k == 2 else neg(root)))
    power = -c / a
    if degree % 2 and k == 1:
        root = ("pow", num(abs(power)), num(Fraction(1, degree)))
        return Scalar(root if power > 0 else neg(root))
    if degree % 2 == 0 and power > 0 and k <= 2:
        root = ("pow", num(power), num(Fraction(1, degree)))
        return Scalar(root if k == 2 else neg(root))
    raise Unreadable("Root")


@lru_cache(maxsize=8192)
def read(text: str) -> Value:
    """The value of one answer. Raises `Unreadable`."""
    if len(text) > MAX_LENGTH:
        raise Unreadable("too long")
    marked = _MARKED.match(text)
    if dotted := _DOTTED.match(text):
        text = f"{dotted[1]}\\overline{{{dotted[2]}}}"
    text = _POINT_CLOCK.sub(r"\1:\2", clean.latex(text))
    if not text:
        raise Unreadable("empty")
    if marked:
        number = Reader(marked[1]).answer()
        assert isinstance(number, Scalar)
        return Scalar(number.tree, None, units.FOOT_MARK if marked[2] in _FOOT else units.INCH_MARK)
    if "{" in text and len(text) < 60:
        text = _ON_CLOCK.sub(r" \1", text.replace("{:}", ":")).strip()
    if match := _CLOCK.match(text):
        hours, minutes, seconds = int(match[1]), int(match[2]), int(match[3] or 0)
        if minutes < 60 and seconds < 60:
            part = {"morning": "a"}.get(match["part"].lower(), "p") if match["part"] else ""
            return Clock(hours, minutes, seconds, (match["half"] or part).lower())
    if match := _PAST.match(text):
        said = match[1].split()[0].lower()
        minutes = {"half": 30, "quarter": 15}.get(said) or int(said)
        hours = int(clean.word_number(match[3]) or 0) if match[3].isalpha() else int(match[3])
        if minutes < 60 and 0 < hours <= 12:
            back = match[2].lower() == "to"
            return Clock((hours - 2) % 12 + 1 if back else hours, 60 - minutes if back else minutes)
    if match := _HOUR.match(text):
        return Clock(int(match[1]), 0, 0, (match[2] or "").lower())
    if _SPACED_THOUSANDS.match(text):
        text = text.replace(" ", "")
    text = _HOURS_MINUTES.sub(r"\1 h \2 min", text)
    if match := _FEET.match(text):
        text = f"{match[1]} ft {match[2]} in"
    phrase = clean.spelled(match[1] if (match := _TEXT.match(text)) else text).strip().lower()
    if phrase in _PHRASES:
        return _PHRASES[phrase]
    if _NONE.match(phrase):
        return _EMPTY
    text = _PYTHON.sub(lambda m: _SHORT.get(m[0]) or m[0].title().replace(".", ""), text) if "(" in text else text
    if _ARRAY.fullmatch(text):
        text = _BETWEEN.sub(", ", text)
    if "Quantity[" in text:
        text = _QUOTED.sub(lambda m: re.sub(r"(?=[A-Z])", " ", m[1]).lower(), text)
    if text.startswith("Root[") and (match := _ROOT.match(text)):
        return _nth_root(match[1].replace("#1", "#").replace("#", "x"), int(match[2]))
    if "Function[" in text:
        text = _PURE.sub(r"\1 -> \2", text)
    text = _VECTOR.sub(r"(\1)", _COMPLEX.sub(r"\1i", text))
    if match := _CONDITIONAL.match(text):
        if not set(_LETTER.findall(match[1])) & set(_LETTER.findall(match[2])):
            raise Unreadable("a value only where something else holds")
        text = match[1]  # 1/(1 + n) where n > -1
    if match := _PERIOD.match(text):
        text = f"{match[1]}\\overline{{{match[2]}}}"
    text = _EITHER.sub("", _OUT_OF.sub(r"\1/\2", text))
    if (match := _PART_OF.match(_TEXT_OF.sub(r"\1", text))) and (part := clean.word_number(match[1])) is not None:
        if part.denominator > 1:  # two thirds of 6
            return Scalar(num(part * int(match[2])))
    number = clean.word_number(text)
    if number is not None and text[0].isalpha():
        return Scalar(num(number))
    if not any(c.isdigit() for c in text) and not re.search(r"[\\+*/^=<>|∪(\[{]", text) and len(text) > 1:
        text = clean.digits_for_words(text)
        if (
            not any(c.isdigit() for c in text)
            and text.lower().lstrip("-+") not in CONSTANTS
            and not _of_letters(text)
            and not re.fullmatch(
                r"-?[A-Za-z]!?|[A-Za-z](?:(?:, ?(?:and |or )?| and | or )[A-Za-z])+|-?[a-z] ?- ?[a-z]|(?:[a-z] )+[a-z]",
                text,
            )
        ):
            raise Unreadable("words")
    try:
        return Reader(text).answer()
    except (RecursionError, ZeroDivisionError, Spent):
        raise Unreadable("nested too deeply") from None
