"""A program as statements and a value, on Wolfram Language trees: the form between the languages.

A source is read into it (`wolfram_source`, `sympy_source`); `variants` are the same program with more or fewer of its
names put in, and `systems` moves what is solved to the front, where nsl has it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nsrl.engines.nsl.words import free_names
from nsrl.engines.wolfram.expr import Expr, S, Symbol, has_head, is_list, lst, mk
from nsrl.engines.wolfram.subst import replace_all_symbols

_SOLVERS = {S.Solve, S.NSolve, S.Reduce}
_FIRST = {S.First, S.Flatten}
_DOMAINS = {S.Reals, S.Integers, S.PositiveIntegers, S.NonNegativeIntegers, S.PositiveReals, S.Rationals, S.Complexes}


class Untranslatable(Exception):
    """A program says what nsl, or this translation, has no words for."""


@dataclass(frozen=True)
class Straight:
    """statements: trees in order, of which `name = value` may be put in; value: what the program gives."""

    statements: tuple[Any, ...]
    value: Any

    @property
    def tree(self) -> Any:
        """The whole as one tree."""
        return Expr(S.CompoundExpression, (*self.statements, self.value)) if self.statements else self.value


_OF_SEVERAL = (S.Plus, S.Times, S.And, S.Or, S.Equal, S.Unequal, S.Less, S.LessEqual, S.Greater, S.GreaterEqual,
               S.CompoundExpression, S.Power, S.Set, S.ReplaceAll, S.Part, S.Rule, S.Element)  # fmt: skip


def require_calls(e: Any) -> None:
    """Raise `Untranslatable` where a call has a number of arguments that its function does not take."""
    if type(e) is not Expr:
        return
    count = len(e.args)
    if type(e.head) is Symbol and (own := e.head.builtin) is not None:
        if count < own.least or (own.most is not None and count > own.most):
            raise Untranslatable(f"{count} arguments for {e.head.name}")
    if e.head in _OF_SEVERAL and count < 2:
        raise Untranslatable(f"{count} arguments for {e.head.name}")
    for a in (e.head, *e.args):
        require_calls(a)


def uses(e: Any, name: Symbol) -> int:
    """How often a name stands in a tree."""
    if e is name:
        return 1
    return uses(e.head, name) + sum(uses(a, name) for a in e.args) if type(e) is Expr else 0


def assigned_once(statements: tuple[Any, ...], at: int) -> bool:
    """Whether the assignment at a place is the only thing that ever gives its name a value."""
    name = statements[at].args[0]
    changes = (S.Set, S.SetDelayed, S.Increment, S.Decrement, S.AddTo, S.SubtractFrom, S.TimesBy, S.DivideBy,
               S.AppendTo, S.PrependTo, S.PreIncrement, S.PreDecrement)  # fmt: skip

    def changed(e: Any) -> bool:
        if type(e) is not Expr:
            return False
        if e.head in changes and e.args and uses(e.args[0], name):
            return True
        return any(changed(a) for a in (e.head, *e.args))

    return not any(changed(s) for i, s in enumerate(statements) if i != at) and not uses(statements[at].args[1], name)


def variants(program: Straight) -> Iterator[Straight]:
    """The program with all names put in that can be, then with only those that stand once, then as it is."""
    seen = set()
    for often in (10**6, 1, 0):
        out = _inlined(program, often)
        if out.tree not in seen:
            seen.add(out.tree)
            yield out


def _inlined(program: Straight, often: int) -> Straight:
    """Every value that stands at most `often` times in what follows in place of its name."""
    statements, value = list(program.statements), program.value
    at = 0
    while at < len(statements):
        s = statements[at]
        if (
            has_head(s, S.Set)
            and len(s.args) == 2
            and type(s.args[0]) is Symbol
            and assigned_once(tuple(statements), at)
        ):
            name, put = s.args
            behind = statements[at + 1 :]
            count = sum(uses(b, name) for b in behind) + uses(value, name)
            solved = _solver(put) is not None  # a list of rules is nothing in nsl: it always goes where it is used
            if solved or count <= often:
                replaced = {name: put}
                statements[at:] = [replace_all_symbols(b, replaced) for b in behind]
                value = replace_all_symbols(value, replaced)
                continue
        at += 1
    return Straight(tuple(statements), value)


def _solver(e: Any) -> Expr | None:
    """The call that solves in `Solve[…]`, `First[Solve[…]]`, `Solve[…][[1]]`, `Flatten[…]`."""
    while type(e) is Expr:
        if e.head in _SOLVERS and e.args:
            return e
        first = e.head in _FIRST and len(e.args) == 1
        if not first and not (e.head is S.Part and len(e.args) == 2 and type(e.args[1]) is int):
            return None
        e = e.args[0]
    return None


def systems(program: Straight) -> Straight:
    """Solutions as nsl has them: the equations are statements, and what is asked for speaks of the unknowns.

    `x /. Solve[…][[1]]` is the unknown x, `x /. Solve[…]` the set {x} of its values, `Length[Solve[…]]` their count.
    Raises `Untranslatable` where two solutions are of one unknown.
    """
    found: dict[Expr, tuple[Any, ...]] = {}

    def unknowns(solver: Expr) -> list[Any]:
        what, *said = solver.args
        if said and said[0] not in _DOMAINS:
            return list(said[0].args) if is_list(said[0]) else [said[0]]
        return free_names(what)

    def keep(solver: Expr) -> list[Any]:
        names = unknowns(solver)
        if not all(type(n) is Symbol for n in names):
            raise Untranslatable("what is solved for is no name")
        if any(set(names) & set(unknowns(other)) for other in found if other != solver):
            raise Untranslatable("two systems of one unknown")
        found[solver] = tuple(conditions(solver, names))
        return names

    def walk(e: Any) -> Any:
        if type(e) is not Expr:
            return e
        if e.head is S.ReplaceAll and len(e.args) == 2 and (solver := _solver(e.args[1])) is not None:
            keep(solver)
            every = e.args[1] is solver
            return lst([walk(e.args[0])]) if every and not is_list(e.args[0]) else walk(e.args[0])
        if e.head is S.Part and len(e.args) == 4 and (solver := _solver(e.args[0])) is not None and e.args[3] == 2:
            names = keep(solver)  # sol[[1, k, 2]]
            if type(e.args[2]) is int and 0 < e.args[2] <= len(names):
                return names[e.args[2] - 1]
        if e.head is S.Length and len(e.args) == 1 and (solver := _solver(e.args[0])) is not None:
            names = keep(solver)
            return mk(S.Length, lst(names[:1]))
        return Expr(walk(e.head), tuple(map(walk, e.args)))

    value = program.value
    solver = _solver(value)
    if solver is not None and solver.head is not S.Reduce:  # the solutions themselves are asked for
        names = keep(solver)
        value = names[0] if len(names) == 1 else lst(names)
    else:
        value = walk(value)
    statements = tuple(map(walk, program.statements))
    if not found:
        return Straight(statements, value)
    system = lst(c for conditions in found.values() for c in conditions)
    return Straight(statements, mk(S.ReplaceAll, value, mk(S.Solve, system, lst(()), S.Reals)))


def conditions(solver: Expr, names: list[Any]) -> Iterator[Any]:
    """What a call of Solve asks to be true, one after the other, with what its domain adds."""
    todo = [solver.args[0]]
    while todo:
        e = todo.pop(0)
        if is_list(e) or has_head(e, S.And):
            todo = [*e.args, *todo]
        else:
            yield e
    domain = solver.args[-1]
    if domain in (S.Integers, S.PositiveIntegers, S.NonNegativeIntegers):
        yield from (mk(S.Element, n, S.Integers) for n in names)
    if domain in (S.PositiveIntegers, S.PositiveReals):
        yield from (mk(S.Greater, n, 0) for n in names)
    if domain is S.NonNegativeIntegers:
        yield from (mk(S.GreaterEqual, n, 0) for n in names)
