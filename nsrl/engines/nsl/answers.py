"""What a program asks for, at the solutions of its equations."""

from __future__ import annotations

from typing import Any

from nsrl.engines.nsl.asked import counted_none, has_set, over_solutions
from nsrl.engines.nsl.plan import in_arithmetic
from nsrl.engines.nsl.results import Results
from nsrl.engines.nsl.system import Found, Unsolved, replaced
from nsrl.engines.nsl.trees import by_size, calls, holds_empty, names_of, one_name, unowned
from nsrl.engines.nsl.truths import RELATION_HEADS
from nsrl.engines.nsl.words import free_names
from nsrl.engines.result import Result, Status
from nsrl.engines.wolfram import printer
from nsrl.engines.wolfram.expr import FALSE, TRUE, Expr, S, has_head, is_list, lst, mk, rule


class Answers(Results):
    """What a program asks for, at the solutions of its equations."""

    def answer(self, found: Found, relations: list[Any], target: Any) -> Result:
        """The Result of what is asked, `target`, or of the unknowns where it is None, at the solutions found."""
        if not found.solutions and not (target is not None and calls(target, {S.Length})):
            self.clear(n for r in relations for n in free_names(r))
            return self.done(Status.NO_SOLUTION, "{}", ["List"], ("none", "no real values satisfy the statements"))
        names = list(dict.fromkeys(n for r in self.plan.constraints for n in free_names(r)))
        if target is not None and not found.solutions:
            target = counted_none(target, set(names))
        if target is None:
            below = [
                m
                for n in names
                for m in ([n] if n not in self.env or is_list(self.env[n]) else free_names(self.env[n]))
            ]
            given = {
                t.args[0]
                for t in self.plan.constraints
                if has_head(t, S.Equal) and one_name(t.args[0]) in self.env and not free_names(t.args[1])
            }
            listed = (
                list(dict.fromkeys(n for n in (*names, *below) if n not in given)) or names
            )  # y=2x+1;y=7 is about x
            target = listed[0] if len(listed) == 1 else lst(rule(n, mk(S.Hold, n)) for n in listed)
        values: list[Any] = []
        if has_set(self.known(target)):
            target = over_solutions(self.known(target), lambda e, repeats: self.over(e, found, relations, repeats))
        plain = self.known(target) if not has_head(target, S.List) or not self._rules(target) else target
        judged = type(plain) is Expr and plain.head in RELATION_HEADS
        if not found.solutions and (
            holds_empty(plain) or not {n for r in relations for n in free_names(r)}.isdisjoint(free_names(plain))
        ):
            return self.done(Status.NO_SOLUTION, "{}", ["List"], ("none", "no real values satisfy the statements"))
        one = not free_names(plain)  # mean{x}: its values are put in, so that it is the same at every solution
        for s in found.solutions[: 1 if one else None] or [{}]:
            if judged:
                v = self.truth(replaced(plain, s))
                if v not in (TRUE, FALSE):
                    raise Unsolved("a condition could not be decided")
            elif self._rules(plain):
                v = lst(
                    rule(r.args[0], self.simplified(replaced(self.known(r.args[1].args[0]), s), True))
                    for r in plain.args
                )
            else:
                v = self.simplified(replaced(plain, s), True)
            if v not in values:
                values.append(v)
        values = by_size(values)
        left = None
        unknown = set(names) | self.plan.unknowns | {n for r in relations for n in free_names(r)}
        free = {n for v in values for n in free_names(v)} & unknown
        for v in values:  # a+b=10;a-b=2;a+c, and c alone
            free |= (in_arithmetic(v) | ({one_name(plain)} & {one_name(v)})) & set(free_names(v)) - self.intended
        if self._rules(plain):
            free &= found.free
        if free:
            left = ("left", f"{names_of(free)} remain(s) free")
        elif found.leftover:
            left = ("left", "undecided: " + "; ".join(printer.text(unowned(f)) for f in found.leftover))
        elif found.free and not self._touched(found, relations, plain):
            left = ("left", f"statements about {names_of(found.free)} are left over")
        return self.finish(values, left)

    def over(self, e: Any, found: Found, relations: list[Any], repeats: bool | None) -> list[Any] | None:
        """The values of e over the solutions, for `{e}`: one for each (repeats), or the distinct ones; None where e
        holds no unknown. Raises Unsolved, with repeats=None where the two differ."""
        e = self.known(e)
        unknowns = {n for r in relations for n in free_names(r)}
        if not unknowns & set(free_names(e)):
            return None
        if found.leftover or found.free & set(free_names(e)):
            raise Unsolved("not all solutions are known")
        values = [self.simplified(replaced(e, s), True) for s in found.solutions]
        distinct = list(dict.fromkeys(values))
        if repeats is not False:
            if self.repeated or (found.free and len(values) > 1):
                raise Unsolved("how often does each value count? write the list itself, such as mean{2,2,5}")
            if repeats is None and len(values) > len(distinct):
                counts = f"{len(distinct)} values in {len(values)} solutions"
                raise Unsolved(f"{counts}; unique{{…}} takes the values, count{{x,y}} counts the solutions")
        return by_size(values if repeats else distinct)

    def _rules(self, e: Any) -> bool:
        return is_list(e) and bool(e.args) and all(has_head(r, S.Rule) and has_head(r.args[1], S.Hold) for r in e.args)

    def _touched(self, found: Found, relations: list[Any], target: Any) -> bool:
        """Whether every relation that leaves something free hangs together with what is asked."""
        groups: list[set] = []
        for r in relations:
            names = set(free_names(r))
            joined = [g for g in groups if g & names]
            for g in joined:
                groups.remove(g)
                names |= g
            groups.append(names)
        asked = set(free_names(target))
        return all(g & asked for g in groups if g & found.free)
