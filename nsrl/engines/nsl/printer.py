"""Between nsl and Wolfram Language: a program as one tree, and trees as nsl text.

`to_wolfram(from_wolfram(t)) == t` for every t that to_wolfram gives.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from nsrl.engines.nsl.parser import Program, parse
from nsrl.engines.nsl.plan import assigned, plan
from nsrl.engines.nsl.statements import UPDATES
from nsrl.engines.nsl.texts import ANY, ATOM, RELATION, SUM, Texts, closed
from nsrl.engines.nsl.units import in_wolfram
from nsrl.engines.nsl.words import free_names, plain
from nsrl.engines.wolfram.expr import Expr, S, Symbol, has_head, is_list, lst, mk, rule

_UPDATE_SIGNS = {h: s for s, h in UPDATES.items()}


def to_wolfram(program: str | Program) -> Any:
    """A program as one Wolfram Language tree. Raises NslSyntaxError.

    Equations and what is asked become `asked /. Solve[{…}, {…}, Reals]`, options `Replace[…, {… -> "A"}]`."""
    p = parse(program) if isinstance(program, str) else program
    q = plan(p)
    items = [t for _, t in q.actions]
    target = q.target
    if q.constraints:
        names = list(dict.fromkeys(n for c in q.constraints for n in free_names(c)))
        if target is None and not any(_has_equation(c) for c in q.constraints):
            what = q.constraints[0] if len(q.constraints) == 1 else lst(q.constraints)
            value = mk(S.Reduce, what, lst(names), S.Reals)
        else:
            value = mk(S.Solve, lst(q.constraints), lst(names), S.Reals)
            if target is None and len(names) == 1:
                target = names[0]
            if target is not None:
                value = mk(S.ReplaceAll, target, value)
    else:
        value = target
    if p.unit is not None:
        taken = {t.args[0] for kind, t in q.actions if kind == "set"}
        items = [in_wolfram(t, taken) for t in items]
        value = mk(S.UnitConvert, in_wolfram(value, taken), in_wolfram(p.unit, taken))
    if p.options:
        value = mk(S.Replace, value, lst(rule(o, chr(ord("A") + i)) for i, o in enumerate(p.options)))
    return Expr(S.CompoundExpression, (*items, value)) if items else value


def _has_equation(c: Any) -> bool:
    return has_head(c, S.Equal) or ((has_head(c, S.And) or has_head(c, S.Or)) and any(_has_equation(a) for a in c.args))


def from_wolfram(tree: Any) -> str:
    """A Wolfram Language tree as nsl text. What has no word of its own is written by its Wolfram name."""
    return _Writer().program(tree)


class _Writer(Texts):
    def __init__(self) -> None:
        self.set: set | None = set()  # names that have a value

    def program(self, t: Any) -> str:
        if has_head(t, S.CompoundExpression):
            out = []
            for a in t.args[:-1]:
                out.append(self.action(a))
                if self.set is not None:
                    self.set.update(assigned(a))
            return ";".join([*out, self.final(t.args[-1])])
        return self.final(t)

    def final(self, t: Any) -> str:
        if (
            has_head(t, S.Replace)
            and len(t.args) == 2
            and is_list(t.args[1])
            and all(has_head(r, S.Rule) and isinstance(r.args[1], str) for r in t.args[1].args)
        ):
            return f"{self.final(t.args[0])}?{','.join(self.at(r.args[0], RELATION) for r in t.args[1].args)}"
        if has_head(t, S.UnitConvert) and len(t.args) == 2:
            unit = "%" if t.args[1] == Fraction(1, 100) else self.at(t.args[1], SUM)
            return f"{self.final(t.args[0])}→{unit}"
        if has_head(t, S.ReplaceAll) and len(t.args) == 2 and has_head(t.args[1], S.Solve):
            return f"{self.final(t.args[1])};{self.at(t.args[0], RELATION)}"
        if has_head(t, S.Solve) and t.args:
            what = t.args[0].args if is_list(t.args[0]) or has_head(t.args[0], S.And) else (t.args[0],)
            return ";".join(self.at(c, ANY) for c in what)
        if has_head(t, S.Reduce) and t.args:
            what = t.args[0].args if is_list(t.args[0]) else (t.args[0],)
            return ";".join(self.at(c, ANY) for c in what)
        if type(t) is Expr and (t.head in (S.Set, S.SetDelayed, S.While, S.Do) or t.head in _UPDATE_SIGNS):
            return self.action(t)
        return self.at(t, ANY)

    def action(self, t: Any) -> str:
        if has_head(t, S.Set) and len(t.args) == 2:
            name, value = t.args
            again = self.set is not None and (name in self.set) is not (name in free_names(value))
            return f"{self.at(name, ATOM)}{':=' if again else '='}{self.at(value, RELATION)}"
        if (
            has_head(t, S.SetDelayed)
            and len(t.args) == 2
            and type(t.args[0]) is Expr
            and type(t.args[0].head) is Symbol
        ):
            f, body = t.args
            names = ",".join(self.at(p.args[0] if has_head(p, S.Pattern) else p, ATOM) for p in f.args)
            return f"{plain(f.head.name)}({names}):={self.at(body, ANY)}"
        if type(t) is Expr and t.head in _UPDATE_SIGNS:
            return f"{self.at(t.args[0], ATOM)}{_UPDATE_SIGNS[t.head]}{closed(self.at(t.args[1], SUM))}"
        if has_head(t, S.While):
            if len(t.args) == 1 and has_head(t.args[0], S.CompoundExpression):
                *body, test = t.args[0].args
                if has_head(test, S.Not):
                    return f"{self.body(body)} until {self.at(test.args[0], RELATION)}"
                return f"{self.body(body)} while {self.at(test, RELATION)}"
            test, *body = t.args
            return f"while {self.at(test, RELATION)}:{self.body(body)}"
        if has_head(t, S.Do) and is_list(t.args[1]):
            return (
                f"for {self.at(t.args[1].args[0], ATOM)} in {self.where(t.args[1].args[1:])}:{self.body([t.args[0]])}"
            )
        return self.at(t, ANY)

    def body(self, parts: list[Any]) -> str:
        if len(parts) == 1 and has_head(parts[0], S.CompoundExpression):
            parts = list(parts[0].args)
        saved, self.set = self.set, None  # inside a loop `=` always assigns
        out = [self.action(p) for p in parts]
        self.set = saved
        return out[0] if len(out) == 1 else f"({','.join(out)})"
