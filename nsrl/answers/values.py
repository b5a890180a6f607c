"""What an answer can be, once read: a scalar with its unit, a collection, an interval, a relation, a ratio, a time.

Plain data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nsrl.answers.tree import INFINITY, Tree, neg, symbols
from nsrl.answers.units import Unit


@dataclass(frozen=True, slots=True)
class Scalar:
    """One expression. places: digits after the point if it was written as one decimal (its last digit is
    10**-places), else None; unit: what it declares, else None."""

    tree: Tree
    places: int | None = None
    unit: Unit | None = None


@dataclass(frozen=True, slots=True)
class Items:
    """Several values. kind: "paren", "bracket", "brace", "vector" (a matrix of one row or column), "bare" (commas
    alone), "or" (alternatives, or 'and'), "and" (conditions that hold together), "bounds" (a lower and an upper one of
    one symbol), or "minus" (a set without another)."""

    kind: str
    items: tuple[Any, ...]  # of Values
    listed: bool = False  # a "brace" written {1, 2}: a set, and a list in the Wolfram Language; \{1, 2\} is a set


@dataclass(frozen=True, slots=True)
class Interval:
    """The numbers between two ends, each in or out."""

    low: Scalar
    high: Scalar
    low_closed: bool
    high_closed: bool
    of: str = ""  # the symbol of a bound written `x < 3`


@dataclass(frozen=True, slots=True)
class Union:
    """Sets of numbers together."""

    parts: tuple[Any, ...]  # of Values


@dataclass(frozen=True, slots=True)
class Relation:
    """op: "=", "<", "<=", "!="; left and right are values. Greater-than is stored turned round. unsolved: printed by an
    engine as an equation (`==`, `Eq(…)`), which states no value of its sides. label: the left side is written as a
    value at a point or a derivative (`f(3)`, `dy/dx`), which only names what the right side gives."""

    op: str
    left: Value
    right: Value
    unsolved: bool = False
    label: bool = False


@dataclass(frozen=True, slots=True)
class Ratio:
    """Scalars with colons between them."""

    parts: tuple[Any, ...]  # of Values


@dataclass(frozen=True, slots=True)
class Clock:
    """A time of day or a duration as written with colons; half is "am", "pm" or ""."""

    hours: int
    minutes: int
    seconds: int = 0
    half: str = ""


Value = Scalar | Items | Interval | Union | Relation | Ratio | Clock


REALS = Interval(Scalar(neg(INFINITY)), Scalar(INFINITY), False, False)
EMPTY = Items("brace", ())


def is_infinite(value: Value) -> bool:
    """Whether a value is infinity, with either sign."""
    return isinstance(value, Scalar) and value.tree in (INFINITY, neg(INFINITY))


def related(op: str, left: Value, right: Value, unsolved: bool = False, label: bool = False) -> Value:
    """The relation of two values, or the interval that it says where one side is a name and the other a number."""
    if op in (">", ">="):
        op, left, right = "<" + op[1:], right, left
    if op in ("<", "<=") and isinstance(left, Scalar) and isinstance(right, Scalar):
        closed = op == "<="
        if left.tree[0] == "sym" and not symbols(right.tree):
            return Interval(Scalar(neg(INFINITY)), right, False, closed, left.tree[1])
        if right.tree[0] == "sym" and not symbols(left.tree):
            return Interval(left, Scalar(INFINITY), closed, False, right.tree[1])
    return Relation(op, left, right, unsolved, label and not unsolved)
