"""Calls that have no value and were taken for one: what a builtin made of them, what a test or an effect left
undecided.

A part of the evaluator, which says which calls those are (`open`, `absences`) and asks `lost` of the program's end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from nsrl.engines.wolfram.expr import FALSE, LIST, RULE, TRUE, Expr, S, Symbol
from nsrl.engines.wolfram.table import CONSTANT, HOLD_ALL, HOLD_ALL_COMPLETE, HOLD_FIRST, HOLD_REST, NUMERIC, Builtin

# What may be given a call that has no value and drop it without saying anything about it, or say what holds of any
# call.
PASSES_BY = {
    S.CompoundExpression, S.Module, S.Block, S.With, S.DynamicModule, S.Set, S.SetDelayed, S.Do, S.Print, S.Echo,
    S.Quiet, S.Function, S.Clear, S.Remove, S.D, S.Dt, S.Hold, S.HoldForm, S.HoldComplete, S.HoldPattern,
}  # fmt: skip
# What knows power series; anything else that makes a value of one has none.
_TAKES_SERIES = {
    "Normal",
    "SeriesCoefficient",
    "Coefficient",
    "CoefficientList",
    "Plus",
    "Times",
    "Power",
    "N",
    "SeriesData",
}
_TAKES_IF = {"Integrate", "Limit"}
_BRANCHES = {S.If, S.Which, S.Switch}
# What has no value for symbols in the real engine either, and has one for numbers.
_RELATIONS = {
    S.Equal, S.Unequal, S.Less, S.LessEqual, S.Greater, S.GreaterEqual, S.Inequality, S.Positive, S.Negative,
    S.NonNegative,
    S.NonPositive,
}  # fmt: skip


class Losses:
    """The evaluator's notes of what was lost."""

    open: set[Symbol]  # heads of calls that had no value so far
    absences: int  # how many calls had none
    lost: Symbol | None
    eval: Callable[[Any], Any]
    attributes: Callable[[Symbol], int]

    def look_for_loss(self, b: Builtin, attrs: int, args: tuple, r: Any, absences: int) -> None:
        """Note in `lost` when a builtin made r out of a call that has no value: Length[Solve[...]] counts arguments.

        Of a call to a name that is absent nothing is known, so it counts wherever it stands in an argument, and where
        it came up while the builtin worked. A call to a builtin counts where it, or a sum or list it is in, is the
        argument; and where it came up in a function that the builtin applies (Select, Count).
        """
        held = attrs & HOLD_ALL
        seen: set[Symbol] = set()
        if not attrs & HOLD_ALL_COMPLETE:
            for i, a in enumerate(args):
                if type(a) is Expr and not (held & HOLD_FIRST if i == 0 else held & HOLD_REST):
                    _open_calls(a, self.open, seen)
        if self.absences != absences:
            seen |= self.open if b.operator is not None else {h for h in self.open if h.builtin is None}
        if seen:
            seen -= _heads(r)
            if b.name in _TAKES_SERIES:
                seen.discard(S.SeriesData)
            if b.name in _TAKES_IF:
                seen.discard(S.If)
            if seen:
                self.lost = min(seen, key=lambda s: s.name)

    def effect(self, statement: Any) -> Any:
        """The value of a statement that is evaluated for what it does: what was not decided in it was not done."""
        absences = self.absences
        value = self.eval(statement)
        if self.absences != absences:
            self.thrown_away(value)
        return value

    def thrown_away(self, value: Any) -> None:
        """Note in `lost` where a value that nobody looks at is or holds an If whose test has no value."""
        for e in _calls(value, lambda e: e.head not in _BRANCHES and not self._holds_arguments(e.head)):
            if e.head in _BRANCHES and e.args:
                self.undecided(e.args[0])

    def _holds_arguments(self, head: Any) -> bool:
        return type(head) is Symbol and bool(self.attributes(head) & (HOLD_ALL | HOLD_ALL_COMPLETE))

    def holds(self, test: Any) -> bool:
        """Whether the value of test is True. One that could not be found is noted in `lost`: it is no answer "no"."""
        value = self.eval(test)
        if value is not TRUE and value is not FALSE:
            self.undecided(value)
        return value is TRUE

    def undecided(self, test: Any) -> None:
        """Note in `lost` a call in a test that has no value here; x > 0 has none in the real engine either."""
        for e in _calls(test, lambda e: e.head is not S.Function):
            if self.lost is None and (all(map(_numeric, e.args)) if e.head in _RELATIONS else e.head in self.open):
                self.lost = e.head


def _open_calls(e: Expr, open_: set[Symbol], seen: set[Symbol]) -> None:
    """Add to `seen` the heads in `open_` that e calls: absent ones anywhere, builtins but under lists and
    arithmetic."""
    todo, met = [(e, True)], set()
    while todo:
        e, top = todo.pop()
        if (id(e), top) in met:
            continue
        met.add((id(e), top))
        h = e.head
        if type(h) is Symbol:
            if h in open_ and (top or h.builtin is None):
                seen.add(h)
            if h is S.Function:
                continue
            top = top and (h is LIST or h is RULE or (h.builtin is not None and bool(h.builtin.attrs & NUMERIC)))
        elif type(h) is Expr:
            todo.append((h, False))
        todo += [(a, top) for a in e.args if type(a) is Expr]


def _heads(e: Any) -> set[Symbol]:
    """Every symbol that heads a call in e."""
    out, todo, met = set(), [e], set()
    while todo:
        e = todo.pop()
        if type(e) is Expr and id(e) not in met:
            met.add(id(e))
            if type(e.head) is Symbol:
                out.add(e.head)
            todo += (e.head, *e.args)
    return out


def _calls(e: Any, inside: Callable[[Expr], bool]) -> Iterator[Expr]:
    """Every call in e once, but in those that are not to be looked into. A value may hold the same tree 2^40 times."""
    todo, met = [e], set()
    while todo:
        e = todo.pop()
        if type(e) is Expr and e.stamp != -1 and id(e) not in met:
            met.add(id(e))
            yield e
            if inside(e):
                todo += (e.head, *e.args)


def _numeric(e: Any) -> bool:
    """Whether e stands for a number: x does not, Sqrt[2] + Pi does."""
    if type(e) is Symbol:
        return bool(e.attrs & CONSTANT)
    if type(e) is Expr:
        return type(e.head) is Symbol and bool(e.head.attrs & NUMERIC) and all(map(_numeric, e.args))
    return type(e) is not str
