"""What the statements of a program mean together: which set a name, which constrain unknowns, and what is asked.

`plan` reads a Program once, without evaluating. Knows nothing of solving or printing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from nsrl.engines.nsl.lexer import NslSyntaxError
from nsrl.engines.nsl.parser import Program
from nsrl.engines.nsl.words import free_names
from nsrl.engines.wolfram.expr import Expr, S, Symbol, has_head, is_list

_SETTERS = (S.Set, S.AddTo, S.SubtractFrom, S.TimesBy, S.DivideBy)
_ARITHMETIC = (S.Plus, S.Times, S.Power, S.Sqrt, S.Abs)


@dataclass
class Plan:
    """actions: (kind, tree) in order, kind "set" (name = value), "define" or "run" (updates, loops);
    constraints: relations; target: the tree asked for, None for "the unknowns"; asked: the target was written
    as an expression; unknowns: names that stand in arithmetic of a definition or in a constraint;
    imperative: names change while the program runs."""

    actions: list[tuple[str, Any]] = field(default_factory=list)
    constraints: list[Any] = field(default_factory=list)
    target: Any = None
    asked: bool = True
    unknowns: set = field(default_factory=set)
    imperative: bool = False
    query: bool = False  # the last statement is a relation between known values: is it true?


def plan(program: Program) -> Plan:
    """The plan of a program. A statement `name = value` sets the name where the name is new; it updates the name
    where the value mentions a known name itself; everything else with a relation sign is a constraint.
    Raises NslSyntaxError where the last statement only gives a value and nothing says what is asked."""
    out = Plan()
    under: dict[Any, set] = {}  # a set name -> the free names below it
    constrained: set = set()
    last = len(program.statements) - 1

    def below(e: Any) -> set:
        found: set = set()
        for n in free_names(e):
            found |= under.get(n, {n})
        return found

    for i, s in enumerate(program.statements):
        t = s.tree
        if s.kind == "define":
            f = t.args[0]
            out.actions.append(("define", t))
            out.imperative = True
            under[f.head] = set()
            if i == last:
                out.target, out.asked = f.head, False
        elif s.kind in ("assign", "update", "loop"):
            names = assigned(t)
            if s.kind == "assign":
                under[t.args[0]] = set()  # `:=` means: what is free in it stays free by intent
                out.actions.append(("set", t))
            else:
                out.imperative = True
                out.actions.append(("run", t))
                for n in names:
                    under[n] = set()
            if i == last and names:
                out.target, out.asked = names[-1], False
        elif s.kind == "relation":
            name = _names_value(t)
            if name is not None and name not in constrained:
                value = t.args[1]
                free = below(value)
                own = name in free_names(value)
                if name not in under and not own and name not in free:
                    if free:
                        out.unknowns |= in_arithmetic(value) & free
                        out.unknowns |= {n for n in free_names(value) if type(value) is Symbol}
                    under[name] = free
                    out.actions.append(("set", Expr(S.Set, t.args)))
                    if i == last:
                        out.target = name if free_names(value) else _question(program, name, out)
                        out.asked = out.target is not name
                    continue
                if name in under and own:
                    out.imperative = True
                    out.actions.append(("run", Expr(S.Set, t.args)))
                    if i == last:
                        out.target, out.asked = name, False
                    continue
            free = below(t)
            if i == last and not free:
                out.target, out.query = t, True
                continue
            out.constraints.append(t)
            constrained |= free
            out.unknowns |= free
            if i == last:
                out.target, out.asked = None, False
        elif i == last:
            out.target = t
        else:
            out.actions.append(("run", t))
    return out


def _question(program: Program, name: Any, out: Plan) -> Any:
    """What is asked where the last statement sets `name` to a value without names: in `F=ma;m=2;a=3` the one name
    that the others define and that defines no other; `name` itself where no statement before it is about it."""
    before = [s for s in program.statements[:-1] if s.kind != "value"]
    about = [n for s in before for n in free_names(s.tree)]
    last = program.statements[-1]
    if not before or (name not in about and not _given(last.tree.args[1])):
        return name
    made = [t.args[0] for kind, t in out.actions if kind == "set" and free_names(t.args[1])]
    ends = [n for n in made if about.count(n) == 1]
    if name in about and not out.constraints and not out.imperative and len(ends) == 1:
        return ends[0]
    raise NslSyntaxError("the last statement only gives a value; write last what is asked", last.start, last.end)


def _given(e: Any) -> bool:
    """Whether e is a value as a problem states it (3, 1/2, 30°, a point), not a calculation."""
    if is_list(e):
        return all(_given(a) for a in e.args)
    if has_head(e, S.Times):
        return len(e.args) == 2 and (e.args[1] is S.Degree or (has_head(e.args[1], S.Power) and e.args[1].args[1] == -1))
    return isinstance(e, (int, float, Fraction, str))


def _names_value(t: Any) -> Any:
    """The name of `name = value`, else None."""
    if has_head(t, S.Equal) and len(t.args) == 2 and type(t.args[0]) is Symbol and t.args[0].builtin is None:
        return t.args[0]
    return None


def assigned(t: Any) -> list:
    """The names an action assigns, in order of appearance."""
    if type(t) is not Expr:
        return []
    if t.head in _SETTERS and type(t.args[0]) is Symbol:
        return [t.args[0]]
    if t.head is S.SetDelayed:
        return [t.args[0].head]
    return [n for a in t.args for n in assigned(a)]


def in_arithmetic(e: Any, inside: bool = False) -> set:
    """Names that stand in sums, products, powers of e (as numbers, not as marks in a list)."""
    if type(e) is Expr:
        inside = inside or e.head in _ARITHMETIC
        found: set = set()
        for a in e.args:
            found |= in_arithmetic(a, inside and not is_list(a))
        return found
    return {e} if inside and type(e) is Symbol else set()

