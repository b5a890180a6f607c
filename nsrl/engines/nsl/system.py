"""Systems of equations and inequalities over real unknowns, for nsl: trees in, exact solutions out.

Solving is the solver's of the other language (Solve over the reals): sound and complete, or Unsolved.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from math import isfinite
from typing import Any

from nsrl.engines.nsl.trees import has_symbol
from nsrl.engines.nsl.words import BINDERS, bound_names, free_names
from nsrl.engines.wolfram.expr import TRUE, Expr, S, Symbol, has_head, is_list, lst, mk, norm
from nsrl.engines.wolfram.points import DOMAINS, Undefined, Unknown, number, truth
from nsrl.engines.wolfram.poly import Poly, Ring
from nsrl.engines.wolfram.solver import rationalized


class Unsolved(Exception):
    """No method found the solutions. why: one sentence."""

    def __init__(self, why: str):
        super().__init__(why)
        self.why = why


@dataclass
class Found:
    """solutions: each maps unknown symbols to trees; free: unknowns without a value of their own; leftover: relations
    that could not be decided."""

    solutions: list[dict[Any, Any]] = field(default_factory=list)
    free: set = field(default_factory=set)
    leftover: list[Any] = field(default_factory=list)


def split(relations: list[Any]) -> tuple[list[Any], list[Any]]:
    """(equations, filters): And taken apart, chains of = taken apart, equal lists taken apart by element."""
    equations: list[Any] = []
    filters: list[Any] = []
    work = list(reversed(relations))
    while work:
        r = work.pop()
        if r is TRUE:
            continue
        if has_head(r, S.And):
            work.extend(reversed(r.args))
        elif has_head(r, S.Equal):
            for a, b in zip(r.args, r.args[1:]):
                if is_list(a) and is_list(b) and len(a.args) == len(b.args):
                    work.extend(mk(S.Equal, x, y) for x, y in zip(a.args, b.args))
                elif is_list(a) or is_list(b):
                    raise Unsolved("a list is set equal to something that is no list of that length")
                else:
                    equations.append(mk(S.Plus, a, mk(S.Times, -1, b)))
        elif has_head(r, S.Or) and all(has_head(o, S.Equal) and len(o.args) == 2 for o in r.args):
            equations.append(Expr(S.Times, tuple(mk(S.Plus, o.args[0], mk(S.Times, -1, o.args[1])) for o in r.args)))
        else:
            filters.append(r)
    return equations, filters


class Algebra:
    """One system, and the core's evaluator (`evaluate`: tree to tree). late: which relations are tests of the others'
    solutions, as they hold a call that waits for names; None where no call waits."""

    def __init__(self, evaluate: Callable[[Any], Any], late: Callable[[Any], bool] | None = None):
        self.evaluate = evaluate
        self.late = late
        self.ring = Ring()

    def numerator(self, e: Any) -> Poly:
        """e = 0 as a polynomial. Raises NotPolynomial, ZeroDivisionError."""
        return self.ring.ratio(e)[0]

    def solve(self, relations: list[Any], wanted: list[Any]) -> Found:
        """Real solutions of the relations. Raises Unsolved."""
        late = self.late or (lambda e: False)
        tests = [r for r in relations if late(r)]
        if tests:
            parts = [a for t in tests for a in (t.args if has_head(t, S.And) else (t,))]
            return self.tested([r for r in (*relations, *parts) if not late(r)], [p for p in parts if late(p)])
        try:
            return self.solved(relations)
        except Unsolved:
            simple = [p for r in relations for p in (r.args if has_head(r, S.And) else (r,)) if _is_algebra(p)]
            rest = [p for r in relations for p in (r.args if has_head(r, S.And) else (r,)) if not _is_algebra(p)]
            if not rest or not simple:
                raise
            return self.tested(simple, rest)

    def solved(self, relations: list[Any]) -> Found:
        """The solutions by the core's solver. Raises Unsolved."""
        equations, filters = split([self._listed(r) for r in relations])
        names = list(dict.fromkeys(n for e in [*equations, *filters] for n in free_names(e) if n not in DOMAINS))
        exact = [rationalized(e) for e in equations]  # decimals are what they are written as: 0.1 + 0.2 is 0.3
        what = Expr(S.And, tuple([*(mk(S.Equal, e, 0) for e in exact), *map(rationalized, filters)]))
        if not names:
            known = self._truth(what, {})
            if known is None:
                raise Unsolved("an equation between known values could not be decided")
            return Found([{}] if known else [])
        # The last unknown of Solve is solved for first; here it is the first.
        out = self.evaluate(mk(S.Quiet, mk(S.Solve, what, lst(reversed(names)), S.Reals)))
        if not is_list(out):
            raise Unsolved("no method here solves this system")
        found, seen = Found(), set()
        for s in out.args:
            values = {r.args[0]: r.args[1] for r in s.args}
            if any(e is not d for e, d in zip(exact, equations)):
                values = {n: self.evaluate(mk(S.N, v)) for n, v in values.items()}
            for name, v in values.items():
                if has_head(v, S.ConditionalExpression):
                    values[name] = v.args[0]
                    found.leftover += [v.args[1]] if v.args[1] not in found.leftover else []
            if (key := tuple(values.items())) not in seen:  # a double root is one solution
                seen.add(key)
                if not any(_undefined(r, values) for r in relations):  # √x√x is no x where x is negative
                    found.solutions.append(values)
            found.free |= {n for n in names if n not in values or n in free_names(values[n])}
        return found

    def tested(self, relations: list[Any], tests: list[Any]) -> Found:
        """The solutions of the relations for which the tests (isprime(x)) hold. Raises Unsolved where one is not
        decided."""
        found = self.solve(relations, [])
        kept = []
        for s in found.solutions:
            truth: bool | None = True
            for t in tests:
                at = replaced(t, s)
                if s is found.solutions[0] and not free_names(at):
                    self._refuse_mixed(at)
                one = None if free_names(at) else self._truth(fractions(at), {})
                truth = one if one is not True else truth
                if truth is False:
                    break
            if truth is None:
                raise Unsolved("a condition such as isprime(x) could not be decided for all values")
            if truth:
                kept.append(s)
        found.solutions = kept
        return found

    def _refuse_mixed(self, t: Any) -> None:
        """Raises Unsolved where a list is compared with a number, or the length of a number is taken."""
        if type(t) is not Expr:
            return
        if has_head(t, S.Equal) or has_head(t, S.Unequal):
            if len({is_list(self.evaluate(a)) for a in t.args}) > 1:
                raise Unsolved("a list is set equal to something that is no list")
        if has_head(t, S.Length) and len(t.args) == 1 and type(self.evaluate(t.args[0])) in (int, float, Fraction):
            raise Unsolved("a number has no length; its digits are digits(n)")
        if t.head not in BINDERS:
            for a in t.args:
                self._refuse_mixed(a)

    def _listed(self, r: Any) -> Any:
        """An equation between points is evaluated first, so that both sides are lists."""
        if has_head(r, S.Equal) and any(_has_list(a) for a in r.args):
            return Expr(S.Equal, tuple(self.evaluate(a) for a in r.args))
        return r

    def _truth(self, f: Any, values: dict) -> bool | None:
        """Whether a relation between known values holds; None where that is not decided."""
        f = replaced(f, values)
        for attempt in (f, None):
            try:
                return truth(self.evaluate(f) if attempt is None else attempt)
            except Unknown:
                continue
        return None


def _undefined(e: Any, values: dict) -> bool:
    """Whether some part of e, as it is written, is no real number at these values: √x, ln x of -2, x/x at 0."""
    if type(e) is not Expr or e.head in BINDERS:
        return False
    if any(_undefined(a, values) for a in e.args):
        return True
    if e.head not in _PARTIAL or has_symbol(e, S.I):
        return False
    at = replaced(e, values)
    if free_names(at):
        return False
    try:
        v = number(_rooted(fractions(at)))
    except Undefined:
        return True
    except Unknown:
        return False
    return abs(v.imag) > 1e-25 * abs(v)


def _rooted(e: Any) -> Any:
    """e with roots as powers, which is what numbers are computed of."""
    if type(e) is not Expr:
        return e
    args = tuple(map(_rooted, e.args))
    return mk(S.Power, args[0], Fraction(1, 2)) if e.head is S.Sqrt else Expr(e.head, args)


_PARTIAL = frozenset([S.Power, S.Sqrt, S.Log, S.ArcSin, S.ArcCos, S.Tan, S.Cot, S.Sec, S.Csc])
_ALGEBRA = frozenset([S.Plus, S.Times, S.Power, S.List, S.Equal, S.Unequal, S.Less, S.LessEqual, S.Greater,
S.GreaterEqual, S.Inequality,
                      S.Element, S.Or])  # fmt: skip


def _is_algebra(e: Any) -> bool:
    """Whether a relation is one of sums, products and powers alone."""
    return type(e) is not Expr or (e.head in _ALGEBRA and all(_is_algebra(a) for a in e.args))


def fractions(e: Any) -> Any:
    """e with its decimals as the numbers that their digits say: 3. is 3."""
    if type(e) is float and isfinite(e):
        return norm(Fraction(repr(e)))
    return Expr(fractions(e.head), tuple(fractions(a) for a in e.args)) if type(e) is Expr else e


def _has_list(e: Any) -> bool:
    return type(e) is Expr and (is_list(e) or any(_has_list(a) for a in e.args))


def number_tree(ring: Ring, p: Poly) -> Any:
    """A polynomial as a tree; a number becomes a decimal where the ring has read one."""
    if ring.exact:
        return norm(p[()]) if len(p) == 1 and () in p else ring.tree(p)
    r = ring.real(p)
    if r is not None:
        n = ring.number(p)
        return float(n) if n is not None else r
    return ring.tree({m: float(c) if Fraction(c).denominator != 1 else c for m, c in p.items()})


def replaced(e: Any, values: dict[Any, Any]) -> Any:
    """e with symbols replaced by trees."""
    if type(e) is Symbol:
        return values.get(e, e)
    if type(e) is Expr and values:
        if e.head in BINDERS:
            values = {k: v for k, v in values.items() if k not in bound_names(e)}
        args = tuple(replaced(a, values) for a in e.args)
        head = replaced(e.head, values) if type(e.head) is Expr else values.get(e.head, e.head)
        if head is e.head and all(a is b for a, b in zip(args, e.args)):
            return e
        return Expr(head, args)
    return e
