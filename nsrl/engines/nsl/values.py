"""The names of a program while it runs, and the values of its trees."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from nsrl.engines.nsl.asked import derived, has_set
from nsrl.engines.nsl.core import Core
from nsrl.engines.nsl.late import waits
from nsrl.engines.nsl.lengths import of_texts, sized
from nsrl.engines.nsl.parser import Program
from nsrl.engines.nsl.plan import Plan, assigned, plan
from nsrl.engines.nsl.system import Algebra, Unsolved, fractions, number_tree, replaced, split
from nsrl.engines.nsl.trees import has_symbol, holds_float, norms, reciprocal_degree
from nsrl.engines.nsl.truths import RELATION_HEADS, is_test
from nsrl.engines.nsl.words import BINDERS, free_names, heads, is_user
from nsrl.engines.wolfram.expr import FALSE, TRUE, Expr, S, Symbol, has_head, is_list, lst, mk
from nsrl.engines.wolfram.points import Undefined, Unknown, number
from nsrl.engines.wolfram.poly import NotPolynomial, Ring


class Values:
    """A program while it runs: what its names stand for, and the values of trees."""

    def __init__(self, program: Program, core: Core, done: Any):
        self.program, self.core, self.done = program, core, done
        self.plan: Plan = plan(program)
        self.env: dict[Any, Any] = {}
        self.units = program.unit is not None
        self.intended = {
            n for s in program.statements if s.kind == "assign" for n in free_names(s.tree.args[1])
        }  # r:=h/2
        self.repeated = False  # whether a name is in a list that holds a value twice
        self.functions: set[Any] = set()  # the program's own that wait for the values of their names
        self.valued: set[Any] = set()  # names that get values: by a setting, or as unknowns
        if program.late:
            self.valued = self.plan.unknowns | {t.args[0] for kind, t in self.plan.actions if kind == "set"}
            made = [t.args for kind, t in self.plan.actions if kind == "define"]
            for _ in made:
                self.functions |= {f.head for f, body in made if waits(body, None, self.functions)}

    def waits(self, e: Any) -> bool:
        """Whether e must stay as it is until its names have values."""
        return self.program.late and waits(e, self.valued, self.functions)

    def late(self, relation: Any) -> bool:
        """The same of a relation, whose names are all unknowns."""
        return waits(relation, None, self.functions)

    def algebra(self) -> Algebra:
        """The solver of equations that evaluates as this program does."""
        return Algebra(self.core.evaluate, self.late if self.program.late else None)

    def act(self, kind: str, t: Any) -> None:
        """Does an action of the plan: sets a name, defines a function or runs a loop."""
        if self.plan.imperative:
            if self.program.late and kind != "define":
                if waits(t.args[1] if kind == "set" else t, self.valued - set(assigned(t)), self.functions):
                    raise Unsolved("a name stands here before it has a value")
                self.valued -= set(assigned(t))
            texts = {u.args[0]: u.args[1] for k, u in self.plan.actions if k == "set" and isinstance(u.args[1], str)}
            self.core.evaluate(of_texts(t, texts))
        elif kind == "set":
            name, value = t.args[0], self.simplified(self.known(t.args[1]))
            for other, v in self.env.items():  # y=2x+1; x=3: y knows x from now on
                if name in free_names(v):
                    self.env[other] = self.simplified(replaced(v, {name: value}))
            self.env[name] = value

    def known(self, e: Any) -> Any:
        """e with what is known put in."""
        if self.plan.imperative:
            if type(e) is Expr and (e.head in RELATION_HEADS or is_test(e)) and not self.plan.query:
                return Expr(e.head, tuple(self.known(a) for a in e.args))
            if self.waits(e) or has_set(e):
                return sized(self.filled(e), self.core.evaluate, bool(self.plan.constraints))
            return self.core.evaluate(sized(e, self.core.evaluate, bool(self.plan.constraints)))
        if self.env:
            if S.D in heads(e):
                made = {t.args[0]: t.args[1] for kind, t in self.plan.actions if kind == "set"}
                e = derived(e, self.env, made, self.core.evaluate)
            e = replaced(e, self.env)
        if S.Abs in heads(e):
            e = norms(e)
        return sized(e, self.core.evaluate, bool(self.plan.constraints))

    def filled(self, e: Any) -> Any:
        """e with the values of names and of the program's own functions put in, and nothing else evaluated."""
        e = replaced(e, {n: self.core.evaluate(n) for n in free_names(e)})

        def put(e: Any) -> Any:
            if type(e) is not Expr or e.head in BINDERS:
                return e
            if is_user(e.head):
                return e if e.head in self.functions else self.core.evaluate(e)
            return Expr(e.head, tuple(map(put, e.args)))

        return put(e)

    def simplified(self, e: Any, native_symbols: bool = False) -> Any:
        """The value of e: native for numbers, else the core's. native_symbols: polynomials too are put in order here,
        so that what cancels does."""
        if type(e) in (int, float, str, Symbol):
            return e
        if is_list(e):
            return lst(self.simplified(a, native_symbols) for a in e.args)
        if self.waits(e):
            return e
        ring = Ring()
        try:
            p = ring.quotient(*ring.ratio(e))
        except (NotPolynomial, ZeroDivisionError):
            if holds_float(e):
                return self.decimals(self.core.evaluate(fractions(e)))
            return self.tidied(self.core.evaluate(e), native_symbols)
        if ring.number(p) is not None:
            return number_tree(ring, p)
        if ring.free(p) and not native_symbols:
            return self.core.evaluate(e)
        if not ring.exact and has_head(e, S.Times) and S.Degree in e.args:
            return self.core.evaluate(e)
        if not native_symbols and has_symbol(e, S.Degree):
            return self.core.evaluate(e)
        return self.core.evaluate(number_tree(ring, p))

    def decimals(self, v: Any) -> Any:
        """A value from exact decimals as decimals again; whole numbers stay whole, a tree that holds names as it is."""
        if type(v) is Fraction:
            return float(v)
        if type(v) is not Expr:
            return v
        if is_list(v) or v.head in RELATION_HEADS or free_names(v):
            return Expr(v.head, tuple(self.decimals(a) for a in v.args))
        try:
            exact = number(v)
            return self.core.evaluate(mk(S.N, v)) if exact.imag else float(exact)
        except (Undefined, Unknown):
            return self.core.evaluate(mk(S.N, v))

    def tidied(self, v: Any, native_symbols: bool) -> Any:
        """What the core left, in lowest terms where that is polynomial (30° over °, sums of roots)."""
        if type(v) is not Expr or is_list(v):
            return v
        if v.head in (S.Plus, S.Times, S.Power) and (native_symbols or not free_names(v)):
            if has_symbol(v, S.Degree) and not (has_symbol(v, S.Pi) or reciprocal_degree(v)):
                return v
            ring = Ring()
            try:
                p = ring.quotient(*ring.ratio(v))
                return self.core.evaluate(number_tree(ring, p))
            except (NotPolynomial, ZeroDivisionError):
                if has_symbol(v, S.Degree) and (has_symbol(v, S.Pi) or reciprocal_degree(v)):
                    return self.core.evaluate(replaced(v, {S.Degree: mk(S.Times, S.Pi, mk(S.Power, 180, -1))}))
        return v

    def truth(self, relation: Any) -> Any:
        """True or False of a relation between known values."""
        try:
            algebra = self.algebra()
            equations, filters = split([relation])
            if all(not algebra.numerator(e) for e in equations) if equations else True:
                truths = [algebra._truth(f, {}) for f in filters]
                if None not in truths:
                    return FALSE if False in truths else TRUE
            elif not filters:
                return FALSE
        except (NotPolynomial, ZeroDivisionError, Unsolved):
            pass
        return self.core.evaluate(relation)

    def reduced(self, relations: list[Any], names: list[Any]) -> Any:
        """Inequalities alone: what they say of the unknowns."""
        what = relations[0] if len(relations) == 1 else Expr(S.And, tuple(relations))
        out = self.core.evaluate(mk(S.Reduce, what, names[0] if len(names) == 1 else lst(names), S.Reals))
        if has_head(out, S.Reduce):
            raise Unsolved("no method here says where this is true")
        return out
