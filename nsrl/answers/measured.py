"""Numbers of an answer with what they count: units, nouns, digits after the point."""

from __future__ import annotations

from nsrl.answers import units
from nsrl.answers.expressions import Expressions
from nsrl.answers.lexer import Unreadable
from nsrl.answers.tree import DEGREE, PERCENT, Tree, num, symbols
from nsrl.answers.values import Scalar

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


class Measured(Expressions):
    """Numbers with their units and nouns, and the digits that they were written with."""

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

    def unit(self, tree: Tree, places: int | None) -> Scalar:
        """The scalar of a tree with the unit that follows; without one where none follows."""
        if self.here.text == "Omega" and self.here.kind == "cmd" and not symbols(tree):
            self.take()
            return Scalar(tree, places, units.lookup("ohm"))
        if tree[0] == "mul" and len(tree) == 3 and DEGREE in tree[1:]:
            other = tree[2] if tree[1] == DEGREE else tree[1]
            if self.here.kind == "name" and self.here.text in ("C", "F"):
                return Scalar(other, places, units.lookup("°" + self.take().text))
            if self.here.text == "T":
                self.take()  # a bearing from true north
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
