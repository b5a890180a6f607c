"""Running an nsl program: statements in order, then the system, then what is asked for: a `Result`.

Plain arithmetic and polynomial systems run natively on exact fractions; every builtin is the Wolfram evaluator's.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any

from nsrl.engines.nsl.asked import counted_none, derived, extrema, has_set, in_terms, over_solutions, sign
from nsrl.engines.nsl.late import waits
from nsrl.engines.nsl.lengths import of_texts, sized
from nsrl.engines.nsl.lexer import NslSyntaxError
from nsrl.engines.nsl.parser import Program, parse
from nsrl.engines.nsl.plan import Plan, assigned, in_arithmetic, plan
from nsrl.engines.nsl.system import Algebra, Found, Unsolved, fractions, number_tree, replaced, split
from nsrl.engines.nsl.trees import (
    by_size,
    calls,
    has_symbol,
    holds_empty,
    holds_float,
    in_radians,
    innermost_lists,
    is_call,
    is_nameless,
    is_text,
    memberships,
    names_of,
    norms,
    of_choices,
    one_name,
    reciprocal_degree,
    repeats_value,
    sets_again,
    word_of,
)  # fmt: skip
from nsrl.engines.nsl.truths import RELATION_HEADS, is_test
from nsrl.engines.nsl.units import has_base, in_base
from nsrl.engines.nsl.words import BINDERS, free_names, heads, is_user, symbol
from nsrl.engines.result import Limits, Message, Result, Status
from nsrl.engines.wolfram import printer
from nsrl.engines.wolfram.builtins import load
from nsrl.engines.wolfram.errors import Flow, LimitReached
from nsrl.engines.wolfram.expr import FALSE, TRUE, Expr, S, Symbol, has_head, is_list, lst, mk, rule, sym
from nsrl.engines.wolfram.points import Undefined, Unknown, number
from nsrl.engines.wolfram.poly import NotPolynomial, Ring

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


class Core:
    """The Wolfram evaluator, made when first needed: most programs never do."""

    def __init__(self, limits: Limits):
        self.limits = limits
        self.ev: Any = None

    def evaluate(self, e: Any) -> Any:
        """The value of a tree; the evaluator is made at the first that needs one."""
        if type(e) in (int, float, str):
            return e
        if self.ev is None:
            from nsrl.engines.wolfram.evaluator import Evaluator

            load()
            self.ev = Evaluator(self.limits)
        value = self.ev.eval(e)
        if self.ev.lost is not None:
            lost, self.ev.lost = self.ev.lost, None
            raise Unsolved(f"a call to {lost.name} that has no value was taken for a value")
        if self.ev.judged:  # isprime(n) is no of a name without a value
            self.ev.judged = frozenset()
            raise Unsolved("a test such as isprime(x) was asked of a name that has no value")
        return value

    @property
    def steps(self) -> int:
        """Steps that the evaluator took."""
        return self.ev.steps if self.ev is not None else 0

    @property
    def messages(self) -> tuple[Message, ...]:
        """What the evaluator said."""
        return tuple(self.ev.messages) if self.ev is not None else ()


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


def unowned(e: Any) -> Any:
    """A tree with the `$` taken off the program's own names, for showing."""
    if type(e) is Symbol:
        return sym(e.name[:-1]) if e.name.endswith("$") and len(e.name) > 1 else e
    if type(e) is Expr:
        args = tuple([unowned(a) if type(a) is Expr or type(a) is Symbol else a for a in e.args])
        return Expr(unowned(e.head), args)
    return e


class _Run:
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
        return Algebra(self.core.evaluate, self.late if self.program.late else None)

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

    def act(self, kind: str, t: Any) -> None:
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

    # --- values

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

    # --- answers

    def answer(self, found: Found, relations: list[Any], target: Any) -> Result:
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

    def finish(self, values: list[Any], left: tuple[str, str] | None) -> Result:
        if self.units:
            for v in values:
                if has_base(v):
                    return self.done(Status.UNEVALUATED, "", None, ("unit", "the units do not match"))
        if any(S.EmptyRegion in heads(v) for v in values):
            return self.done(Status.NO_SOLUTION, "{}", ["List"], ("none", "the lines have no point in common"))
        if any(is_text(v) for v in values):
            return self.done(
                Status.UNEVALUATED,
                "",
                None,
                ("text", "a text stands where a number should, or a number or a name where true or false should"),
            )
        if self.program.unclear:
            parts = [a for v in values for a in (v.args if is_list(v) else (v,))]
            self.clear(n for a in parts for n in free_names(a.args[1] if has_head(a, S.Rule) else a))
        if any(in_radians(v) for v in values):
            return self.done(
                Status.UNEVALUATED, "", None, ("angle", "an angle is a plain number; degrees are written with °")
            )
        if self.program.options:
            return self.chosen(values)
        if left is not None:
            return self.done(Status.LEFTOVER, "", None, left, tree=values[0] if len(values) == 1 else lst(values))
        if len(values) > 1:
            said = ("many", f"{len(values)} solutions; a condition such as x>0 singles one out")
            return self.done(Status.AMBIGUOUS, "", None, said, tree=lst(values))
        v = values[0]
        if any(is_nameless(v) for v in values):
            return self.done(
                Status.UNEVALUATED,
                "",
                None,
                ("index", "the value holds a function's bare name; the first element is L[1]"),
            )
        if type(v) is Expr and is_call(v):
            return self.done(Status.UNEVALUATED, tree=v)
        return self.done(Status.OK, tree=v)

    def clear(self, names: Iterable[Any]) -> None:
        """Raises Unsolved for e and i among the names where only an equation makes them names."""
        if self.program.unclear and (unclear := {symbol(c) for c in self.program.unclear}.intersection(names)):
            raise Unsolved(f"is {names_of(unclear)} a name or the constant? set it, or name it otherwise")

    def chosen(self, values: list[Any]) -> Result:
        """The letter of the option that equals the value."""
        options = [self.option(o) for o in self.program.options]
        hits = [i for i, o in enumerate(options) if any(self.equal(v, o, False) for v in values)]
        if not hits:
            hits = [i for i, o in enumerate(options) if any(self.equal(v, o, True) for v in values)]
        shown = printer.text(unowned(values[0] if len(values) == 1 else lst(values)))
        if not hits:
            return self.done(Status.NO_SOLUTION, shown, None, ("option", f"no option equals {shown}"))
        letters = [chr(ord("A") + i) for i in hits]
        if len(hits) > 1:
            return self.done(Status.AMBIGUOUS, "", None, ("option", f"options {', '.join(letters)} equal {shown}"),
                             tree=lst(letters))  # fmt: skip
        return self.done(Status.OK, tree=letters[0])

    def option(self, o: Any) -> Any:
        o = self.known(o)
        if type(o) is Expr and o.head in RELATION_HEADS and free_names(o):
            names = free_names(o)
            return self.core.evaluate(mk(S.Reduce, o, names[0] if len(names) == 1 else lst(names), S.Reals))
        return self.simplified(o)

    def equal(self, v: Any, o: Any, loosely: bool) -> bool:
        """Whether value and option are the same; loosely: decimals to half a unit of the option's last digit, and
        degrees against bare numbers."""
        if v == o and type(v) is type(o):
            return True
        if v is S.E and type(o) is Symbol and o.name == "e":
            return True
        if v in (TRUE, FALSE):
            return (word_of(o) or "").lower() in (("yes", "true") if v is TRUE else ("no", "false"))
        if is_list(v) and is_list(o):
            ours, theirs = v.args, o.args  # pyright: ignore[reportAttributeAccessIssue]
            return len(ours) == len(theirs) and all(self.equal(a, b, loosely) for a, b in zip(ours, theirs))
        if isinstance(v, str) or isinstance(o, str):
            return word_of(v) is not None and word_of(v) == word_of(o)
        for a in (v, o):
            if type(a) is Expr and (is_list(a) or a.head in RELATION_HEADS):
                return False
        ring = Ring()
        try:
            d = ring.quotient(*ring.ratio(mk(S.Plus, v, mk(S.Times, -1, o))))
        except (NotPolynomial, ZeroDivisionError):
            d = None
            difference = self.core.evaluate(mk(S.N, mk(S.Plus, v, mk(S.Times, -1, o))))
            size = difference if isinstance(difference, (int, float)) else None
        else:
            if not d:
                return True
            size = ring.real(d)
        if size is None:
            return False
        if type(o) is float and loosely:
            digits = max(0, -int(Decimal(repr(o)).as_tuple().exponent) - repr(o).endswith(".0"))
            return abs(size) <= 0.5 * 10.0**-digits * (1 + 1e-9)
        if loosely and has_symbol(o, S.Degree) and not has_symbol(v, S.Degree):
            return self.equal(v, replaced(o, {S.Degree: 1}), False)
        return (d is None and abs(size) < 1e-9) or (type(v) is float and abs(size) < 1e-9)
