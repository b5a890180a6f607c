"""What the statements of a program mean together: which set a name, which constrain unknowns, and what is asked.

`plan` reads a Program once, without evaluating. Knows nothing of solving or printing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from nsrl.engines.nsl.lexer import NslSyntaxError
from nsrl.engines.nsl.parser import Program
from nsrl.engines.nsl.truths import ARITHMETIC, is_truth
from nsrl.engines.nsl.words import free_names
from nsrl.engines.wolfram.expr import FALSE, TRUE, Expr, S, Symbol, has_head, is_list

_SETTERS = (S.Set, S.AddTo, S.SubtractFrom, S.TimesBy, S.DivideBy)
_BOUNDS = (S.Less, S.LessEqual, S.Greater, S.GreaterEqual)
TRIG = frozenset([S.Sin, S.Cos, S.Tan, S.Cot, S.Sec, S.Csc])


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
    Raises NslSyntaxError where the last statement only gives a value and nothing says what is asked, and for a value
    before the last statement that is no condition."""
    program = _asked_last(program)
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
        elif s.kind == "relation" or (i < last and is_truth(t)):
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
            if i == last and _words(program.options):
                for _ in under:  # a=2b;b=3;a=6?yes,no
                    free = {m for n in free for m in under.get(n, {n})}
                out.query = not free
                if out.query or out.constraints:  # x+5=17;x>3?yes,no
                    out.target = t
                    continue
            out.constraints.append(t)
            constrained |= free
            out.unknowns |= free
            if i == last:
                out.target, out.asked = None, False
        elif i == last:
            out.target = t
        else:
            raise NslSyntaxError("this value is used for nothing; name it, or write last what is asked", s.start, s.end)
    _refuse_degrees(program, out)
    return out


def _asked_last(program: Program) -> Program:
    """The program with its one value behind the settings that it stands before: `πr²;r=3` asks for πr². Every name
    that is set must lead to the value; as it stands otherwise."""
    if len(program.statements) == 1:
        return program
    values, others = [], []
    for s in program.statements:
        (values if s.kind == "value" and not is_truth(s.tree) else others).append(s)
    set_by: dict[Any, Any] = {}
    for s in others:
        name = (
            s.tree.args[0].head
            if s.kind == "define"
            else s.tree.args[0]
            if s.kind == "assign"
            else _names_value(s.tree)
        )
        if s.kind not in ("define", "assign", "relation") or name is None or name in set_by:
            return program
        set_by[name] = s.tree.args[1]
    if len(values) != 1 or not others or program.statements[-1] is values[0] or program.unit is not None:
        return program
    led: set = set()
    work = [values[0].tree]
    while work:
        e = work.pop()
        if type(e) is Expr:
            work += (e.head, *e.args)
        elif type(e) is Symbol and e in set_by and e not in led:
            led.add(e)
            work.append(set_by[e])
    return replace(program, statements=(*others, values[0])) if led == set_by.keys() else program


def _words(options: tuple) -> bool:
    """Whether the options are yes and no, or true and false."""
    return bool(options) and all(
        o in (TRUE, FALSE) or (type(o) is Symbol and o.name.lower() in ("yes", "no")) for o in options
    )


def _mentions(e: Any, name: Any) -> bool:
    return e is name or (type(e) is Expr and (_mentions(e.head, name) or any(_mentions(a, name) for a in e.args)))


def _refuse_degrees(program: Program, out: Plan) -> None:
    """sin(x)=1/2; 0≤x<360: the bound is one of degrees, the sine's argument radians."""
    if not out.unknowns:
        return
    angles = {n for s in program.statements for n in _angles(s.tree)} & out.unknowns
    if not angles:
        return
    bounds = [(s, t) for s in program.statements for t in (s.tree.args if has_head(s.tree, S.And) else (s.tree,))]
    for s, t in bounds:
        sides = t.args if type(t) is Expr and t.head in (*_BOUNDS, S.Inequality, S.Equal) else ()
        if any(type(a) in (int, float) and a and a % 45 == 0 for a in sides):
            for n in (n.name.removesuffix("$") for a in sides for n in _terms(a) if n in angles):
                raise NslSyntaxError(
                    f"{n} would be radians; write sin({n}°), or the bound in multiples of π", s.start, s.end
                )


def _terms(e: Any) -> list:
    """The names that are e, a multiple of which is e, or is a term of the sum e."""
    if has_head(e, S.Plus):
        return [n for a in e.args for n in _terms(a)]
    factors = [a for a in (e.args if has_head(e, S.Times) else (e,)) if type(a) not in (int, float, Fraction)]
    return factors if len(factors) == 1 and type(factors[0]) is Symbol else []


def _angles(e: Any) -> list:
    """The names in arguments of sine and its like that hold neither ° nor π."""
    if type(e) is not Expr:
        return []
    if e.head in TRIG:
        return [] if _mentions(e, S.Degree) or _mentions(e, S.Pi) else free_names(e)
    return [n for a in e.args for n in _angles(a)]


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
        return len(e.args) == 2 and (
            e.args[1] is S.Degree or (has_head(e.args[1], S.Power) and e.args[1].args[1] == -1)
        )
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
        target = t.args[0]  # f[x], or a bare name, as Wolfram Language's f := value has it
        return [target.head if type(target) is Expr else target]
    return [n for a in t.args for n in assigned(a)]


def in_arithmetic(e: Any, inside: bool = False) -> set:
    """Names that stand in sums, products, powers of e (as numbers, not as marks in a list)."""
    if type(e) is Expr:
        inside = inside or e.head in ARITHMETIC
        found: set = set()
        for a in e.args:
            found |= in_arithmetic(a, inside and not is_list(a))
        return found
    return {e} if inside and type(e) is Symbol else set()
