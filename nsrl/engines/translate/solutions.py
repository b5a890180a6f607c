"""What `solve` gives in Python: conditions on names, of which values or rows are taken."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from nsrl.engines.translate.straight import Untranslatable
from nsrl.engines.wolfram.expr import Expr, S, Symbol, lst, mk, norm

RELATIONS = (S.Equal, S.Less, S.LessEqual, S.Greater, S.GreaterEqual, S.Unequal, S.And)


def over(a: Any, b: Any) -> Any:
    """a/b, whole numbers as the fraction they are."""
    if type(a) is int and type(b) is int and b:
        return norm(Fraction(a, b))
    return mk(S.Times, a, mk(S.Power, b, -1))


class Solutions:
    """What `solve` gave: conditions on names; `every` for a list of values of the one name."""

    def __init__(self, conditions: list[Any], names: list[Symbol], rows: bool) -> None:
        self.conditions, self.names, self.rows = conditions, names, rows

    @property
    def solver(self) -> Expr:
        """The call that solves."""
        return mk(S.Solve, lst(self.conditions), lst(self.names))

    def value(self, of: Any) -> Expr:
        """One solution's value of an expression."""
        return mk(S.ReplaceAll, of, mk(S.Part, self.solver, 1))

    @property
    def every(self) -> Expr:
        """The set of the values of the one name."""
        if len(self.names) != 1:
            raise Untranslatable("a list of solutions for several names")
        return mk(S.ReplaceAll, self.names[0], self.solver)


class Row:
    """One solution: values by name, or by place."""

    def __init__(self, solutions: Solutions) -> None:
        self.solutions = solutions
