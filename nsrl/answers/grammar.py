"""The grammar of an answer: lists of values, relations, ratios and unions, over expressions and collections."""

from __future__ import annotations

import re

from nsrl.answers import clean
from nsrl.answers.collected import FUNCTION_OF, PRINTED, Collections
from nsrl.answers.cursor import MAX_DEPTH
from nsrl.answers.lexer import Unreadable
from nsrl.answers.tree import deeper_than, div, symbols
from nsrl.answers.values import Interval, Items, Ratio, Relation, Scalar, Union, Value, is_infinite, related

MAX_TREE = 100  # levels of a tree: products and marks nest without parentheses
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
_LISTS = {"or": "or", "and": "or", "||": "or", ";": "bare", ",": "bare", "&&": "and", "&": "and"}
MAX_LABEL = 40  # tokens of a left side that is looked at as a label
_CALL = re.compile(
    r"(?:[fghpquvdFGHPQRSTVNE]|varphi|phi|sigma|tau|mu|psi|zeta|Gamma)'{0,3}(?:\^(?:\{-1\}|-1))?\((?=[^=]*\d)"
)
_DERIVATIVE = re.compile(
    r"(?:frac\{d(?:\^\{?\d\}?)?[a-zA-Z]\}\{d[a-z](?:\^\{?\d\}?)?\}|d(?:\^\d)?[a-zA-Z]/d[a-z](?:\^\d)?)"
)
_LETTERS = re.compile(r"[A-J]|[A-Z]{2,}")


class Reader(Collections):
    """Values: what an expression may stand in."""

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
            if kind == "bare" and self.word("and", "or") and self.here.text not in PRINTED:  # the Oxford comma
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
            if first.of == second.of and is_infinite(first.low) != is_infinite(second.low):
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
            return related(ops[0], chain[0], chain[1], unsolved, label)
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
        if match := FUNCTION_OF.fullmatch(text):
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


def _conditions(value: Value) -> bool:
    """(a < x) & (x < b), which another condition may follow."""
    return (
        isinstance(value, Items)
        and value.kind in ("and", "or", "bounds")
        and all(isinstance(i, Interval | Union | Relation) or _conditions(i) for i in value.items)
    )


def _interval(low: Value, high: Value, low_closed: bool, high_closed: bool) -> Value:
    if not (isinstance(low, Scalar) and isinstance(high, Scalar)):
        raise Unreadable("a chain of relations")
    return Interval(low, high, low_closed, high_closed)


def _closes_last(text: str) -> bool:
    """Whether the parenthesis that opens the text closes at its end."""
    depth = 0
    for i, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if not depth:
            return i == len(text) - 1
    return False
