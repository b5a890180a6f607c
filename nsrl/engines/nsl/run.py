"""Running an nsl program: statements in order, then the system, then what is asked for: a `Result`.

Plain arithmetic and polynomial systems run natively on exact fractions; every builtin is the Wolfram evaluator's.
"""

from __future__ import annotations

import time
from typing import Any

from nsrl.engines.nsl.answers import Answers
from nsrl.engines.nsl.asked import extrema, has_set, in_terms, sign
from nsrl.engines.nsl.core import Core
from nsrl.engines.nsl.lexer import NslSyntaxError
from nsrl.engines.nsl.parser import parse
from nsrl.engines.nsl.plan import in_arithmetic
from nsrl.engines.nsl.system import Unsolved, replaced, split
from nsrl.engines.nsl.trees import (
    calls,
    innermost_lists,
    memberships,
    names_of,
    of_choices,
    one_name,
    repeats_value,
    sets_again,
    unowned,
)  # fmt: skip
from nsrl.engines.nsl.units import has_base, in_base
from nsrl.engines.nsl.words import free_names, is_user
from nsrl.engines.result import Limits, Message, Result, Status
from nsrl.engines.wolfram import printer
from nsrl.engines.wolfram.errors import Flow, LimitReached
from nsrl.engines.wolfram.expr import FALSE, Expr, S, Symbol, has_head, is_list, lst, mk, sym
from nsrl.engines.wolfram.poly import NotPolynomial

VERSION = "2"
MAX_PROGRAM = 20_000  # characters
_SIDES = {S.Greater: 1, S.Less: -1}
# What is asked with these may hold letters: they say themselves what they are about.
_FORMAL = {
    S.D,
    S.Integrate,
    S.Expand,
    S.Factor,
    S.Simplify,
    S.Collect,
    S.Coefficient,
    S.Limit,
    S.SolveValues,
    S.Sum,
    S.Product,
}


def evaluate(program: str, limits: Limits = Limits()) -> Result:
    """The Result of an nsl program's text. Never raises for what the text says."""
    began = time.process_time()
    core = Core(limits)

    def done(status: Status, text: str = "", value: Any = None, *said: tuple[str, str], tree: Any = None) -> Result:
        if tree is not None:
            shown = unowned(tree)
            text, value = printer.text(shown), printer.to_json(shown)
        if 4 * len(text) > limits.output_bytes and len(text.encode()) > limits.output_bytes:
            status, text, value = Status.MEMORY, "", None
            said = (("output", f"the value takes more than {limits.output_bytes} bytes"),)
        messages = core.messages
        if status is Status.OK and messages:
            status = Status.MESSAGE
            if any(m.tag in ("iterb", "range") for m in messages):  # a list without known bounds has no value
                status, text, value = Status.UNEVALUATED, "", None
        messages += tuple(Message("nsl", tag, words) for tag, words in said)
        return Result(status, text, value, messages, steps=core.steps, engine="nsl", version=VERSION,
                      cpu_ms=(time.process_time() - began) * 1000)  # fmt: skip

    if len(program) > MAX_PROGRAM:
        return done(Status.SYNTAX, "", None, ("syntax", f"a program has at most {MAX_PROGRAM} characters"))
    try:
        parsed = parse(program)
        return _Run(parsed, core, done).result()
    except NslSyntaxError as e:
        return done(Status.SYNTAX, "", None, ("syntax", f"at {e.start}: {e.reason}"))
    except LimitReached as e:
        return done(e.status, "", None, ("limit", e.what))
    except Unsolved as e:
        return done(Status.UNEVALUATED, "", None, ("solve", e.why))
    except RecursionError:
        return done(Status.TIMEOUT, "", None, ("limit", "recursion depth"))
    except Flow:
        return done(Status.UNEVALUATED, "", None, ("flow", "the program stops itself or jumps out of nothing"))
    except (ZeroDivisionError, NotPolynomial):
        return done(Status.UNEVALUATED, "", None, ("solve", "a division by zero or an expression no method here holds"))
    except OverflowError:
        return done(Status.MEMORY, "", None, ("limit", "a number is too large"))


def _counted(e: Any) -> list[Symbol]:
    """The names n of which n! stands in e: whole numbers."""
    if type(e) is not Expr:
        return []
    return list(e.args) if e.head is S.Factorial and is_user(e.args[0]) else [n for a in e.args for n in _counted(a)]


class _Run(Answers):
    def result(self) -> Result:
        p = self.plan
        taken = {t.args[0] for kind, t in p.actions if kind == "set"}
        for kind, t in p.actions:
            self.act(kind, in_base(t, taken) if self.units else t)
        target = p.target
        if self.units and target is not None:
            target = mk(S.Times, in_base(target, taken), mk(S.Power, in_base(self.program.unit, taken), -1))
        if p.query:
            value = self.truth(self.known(target))
            if (
                value is FALSE and not self.program.options and sets_again(self.program.statements[-1].tree, p.actions)
            ):  # a=3;a=4
                return self.done(
                    Status.NO_SOLUTION, "{}", ["List"], ("none", "a name has two values; write := to change it")
                )
            return self.finish([value], None)
        if not p.constraints:
            target = extrema(self.known(target), [], self.core.evaluate)
            values = self.in_terms(one_name(target), []) if one_name(target) in p.unknowns else None
            if values is not None:
                return self.finish(self.set_of(target, values), None)
            value = self.simplified(target, native_symbols=self.units)
            return self.finish([value], self.unknown(value, p.target))
        relations = [memberships(self.known(c), self.core.evaluate) for c in p.constraints]
        relations += [a for r in relations if len(free_names(r)) == 1 for a in of_choices(r)]
        relations += [
            mk(S.Element, n, S.NonNegativeIntegers) for n in dict.fromkeys(n for r in relations for n in _counted(r))
        ]
        self.repeated = any(repeats_value(r) for r in relations)
        if self.units:
            relations = [in_base(r, taken) for r in relations]
        if (
            target is None
            and not any(calls(r, {S.Element}) or (self.program.late and self.late(r)) for r in relations)
            and not split(relations)[0]
        ):
            names = list(dict.fromkeys(n for r in relations for n in free_names(r)))
            return self.finish([self.reduced(relations, names)], None)
        points = self.points(relations)
        if points:
            relations = [replaced(r, points) for r in relations]
            for name, point in points.items():
                self.act("set", mk(S.Set, name, point))
        return self.solved(relations, target)

    def solved(self, relations: list[Any], target: Any) -> Result:
        """The answer where there are equations or conditions."""
        asked = self.known(target) if target is not None else None
        best = asked is not None and any(n in self.plan.unknowns for n in free_names(asked)) and has_set(asked)
        name = one_name(asked)
        try:
            found = self.algebra().solve(relations, [])
        except Unsolved:
            if self.program.late and any(map(self.late, relations)):
                raise
            values = self.in_terms(name, relations) if name is not None else None
            value = extrema(asked, relations, self.core.evaluate) if best and values is None else asked
            if values is None and value == asked:
                raise
            return self.finish(self.set_of(asked, values) if values is not None else [self.simplified(value)], None)
        if best and (found.free or found.leftover) and name is None:
            value = extrema(asked, relations, self.core.evaluate)
            if value != asked:
                return self.finish([self.simplified(value)], None)
        lettered = found.solutions or any(n is not name for r in relations for n in free_names(r))
        if name is not None and lettered and all(name not in s or free_names(s[name]) for s in found.solutions):
            values = self.in_terms(name, relations)
            if values is not None:
                return self.finish(self.set_of(asked, values), None)
        return self.answer(found, relations, target)

    def set_of(self, asked: Any, values: list[Any]) -> list[Any]:
        return [lst(values)] if is_list(asked) else values

    def in_terms(self, name: Any, relations: list[Any]) -> list[Any] | None:
        """All values of a name in terms of the others, where one equation gives them; None otherwise."""
        equations = [r for r in relations if has_head(r, S.Equal) and len(r.args) == 2]
        equations += [mk(S.Equal, n, v) for n, v in self.env.items() if name in free_names(v)]
        if len(equations) != 1 or has_base(equations[0]) or self.waits(equations[0]):
            return None
        values = in_terms(name, equations[0], self.core.evaluate)
        for f in relations:
            if f in equations or values is None:
                continue
            signs = [sign(v) for v in values]
            if not (type(f) is Expr and f.head in _SIDES and f.args[0] is name and f.args[1] == 0) or None in signs:
                return None
            values = [v for v, s in zip(values, signs) if s == _SIDES[f.head]]
        return values or None

    def unknown(self, value: Any, target: Any) -> tuple[str, str] | None:
        """What is left free in a value although the program speaks of other names, or names it like a word."""
        free = set(free_names(value)) - self.intended
        if not free:
            return None
        if calls(target, _FORMAL) or (
            self.plan.asked and one_name(target) in self.env and one_name(target) not in free
        ):
            return None
        left = free if self.units else free & self.plan.unknowns
        arithmetic = in_arithmetic(value) | in_arithmetic(target) | ({target} if type(target) is Symbol else set())
        if self.plan.actions:
            left |= free & arithmetic
        left |= {n for n in free & arithmetic if value is n or len(n.name.removesuffix("$").rstrip("0123456789")) > 1}
        return ("left", f"{names_of(left)} {'remains' if len(left) == 1 else 'remain'} free") if left else None

    def points(self, relations: list[Any]) -> dict[Any, Any]:
        """Unknown capital letters in an equation between points are points: {B: {B_x, B_y}}."""
        found: dict[Any, Any] = {}
        for r in relations:
            sizes = {len(x.args) for x in innermost_lists(r)} if has_head(r, S.Equal) else set()
            if len(sizes) == 1 and sizes <= {2, 3}:
                n = sizes.pop()
                for name in free_names(r):
                    if len(name.name.rstrip("0123456789$")) == 1 and name.name[0].isupper():
                        found[name] = lst(sym(f"{name.name}.{c}") for c in "xyz"[:n])
        return found
