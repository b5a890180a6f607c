"""Systems of equations and inequalities over real unknowns, for nsl: trees in, exact solutions out.

Native first (`solving`); roots and absolute values become helper unknowns; what stays goes over the algebra bridge.
Knows nothing of programs, statements or what is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Any

from nsrl.engines.nsl.words import free_names
from nsrl.engines.wolfram.expr import FALSE, TRUE, Expr, S, Symbol, has_head, is_list, mk, norm, sym
from nsrl.engines.wolfram.poly import NotPolynomial, Poly, Ring
from nsrl.engines.wolfram.solving import solve

_ORDER: dict[Any, Callable[[float], bool]] = {
    S.Less: lambda d: d < 0,
    S.LessEqual: lambda d: d <= 0,
    S.Greater: lambda d: d > 0,
    S.GreaterEqual: lambda d: d >= 0,
}
_SQUARED = "\x00"  # helper unknowns cannot be written in a program


class Unsolved(Exception):
    """No method found the solutions. why: one sentence."""

    def __init__(self, why: str):
        super().__init__(why)
        self.why = why


@dataclass
class Found:
    """solutions: each maps unknown symbols to trees; free: unknowns without a value of their own; leftover: relations
    that could not be decided; exact: no decimal was involved."""

    solutions: list[dict[Any, Any]] = field(default_factory=list)
    free: set = field(default_factory=set)
    leftover: list[Any] = field(default_factory=list)
    exact: bool = True


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
    """One system: its ring, helper unknowns and the core's evaluator (`evaluate`: tree to tree)."""

    def __init__(self, evaluate: Callable[[Any], Any]):
        self.evaluate = evaluate
        self.ring = Ring()
        self.helpers: list[tuple[int, Poly]] = []  # helper unknown -> what its square is; each is >= 0
        self.nonzero: list[Poly] = []

    # --- reading trees

    def numerator(self, e: Any) -> Poly:
        """e = 0 as a polynomial; denominators that must not vanish are kept."""
        n, d = self.ring.ratio(self._plain(e))
        if self.ring.number(d) is None:
            self.nonzero.append(d)
        return n

    def _plain(self, e: Any) -> Any:
        """e with roots and absolute values of unknowns replaced by helpers."""
        if type(e) is not Expr:
            return e
        if e.head in (S.Abs, S.Sqrt) and len(e.args) == 1 and free_names(e.args[0]):
            inside = self._plain(e.args[0])
            return self._helper(inside if e.head is S.Sqrt else mk(S.Power, inside, 2))
        if e.head is S.Power and len(e.args) == 2 and free_names(e.args[0]):
            base, n = e.args
            if has_head(base, S.Abs) and type(n) is int and n % 2 == 0:
                return mk(S.Power, self._plain(base.args[0]), n)
            if type(n) is Fraction and n.denominator == 2:
                return mk(S.Power, self._helper(self._plain(base)), n.numerator)
        if e.head in (S.Plus, S.Times, S.Power):
            return Expr(e.head, tuple(self._plain(a) for a in e.args))
        return e

    def _helper(self, square: Any) -> Symbol:
        n, d = self.ring.ratio(square)
        p = self.ring.quotient(n, d)
        for g, q in self.helpers:
            if q == p:
                return self.ring.gens[g]
        s = sym(f"{_SQUARED}{len(self.helpers)}")
        self.helpers.append((self.ring.gen(s), p))
        return s

    # --- solving

    def solve(self, relations: list[Any], wanted: list[Any]) -> Found:
        """Real solutions of the relations. Raises Unsolved."""
        equations, filters = split([self._listed(r) for r in relations])
        filters, domains = self._integers(filters)
        try:
            return self._native(equations, filters, domains)
        except (NotPolynomial, ZeroDivisionError):
            # Perhaps the core makes something plainer of it: Sin[30 Degree], Norm, Total…
            evaluated = [self.evaluate(e) for e in equations]
            try:
                self.__init__(self.evaluate)
                return self._native(*_again(evaluated), filters, domains)
            except (NotPolynomial, ZeroDivisionError):
                found = self._searched(evaluated, filters, domains)
                if found is not None:
                    return found
                return self._bridge(evaluated, filters, domains, wanted)

    def _listed(self, r: Any) -> Any:
        """An equation between points is evaluated first, so that both sides are lists."""
        if has_head(r, S.Equal) and any(_has_list(a) for a in r.args):
            return Expr(S.Equal, tuple(self.evaluate(a) for a in r.args))
        return r

    def _integers(self, filters: list[Any]) -> tuple[list[Any], dict[Any, Any]]:
        rest, domains = [], {}
        for f in filters:
            if has_head(f, S.Element) and type(f.args[0]) is Symbol:
                domains[f.args[0]] = f.args[1]
            else:
                rest.append(f)
        return rest, domains

    def _native(self, equations: list[Any], filters: list[Any], domains: dict) -> Found:
        polys = [self.numerator(e) for e in equations]
        ring = self.ring
        for g, p in self.helpers:
            polys.append(ring.add({((g, 2),): 1}, p, -1))
        unknowns = sorted({g for p in polys for g in ring.free(p)})
        if not polys and domains:
            whole = self._enumerated(filters, domains, [], list(domains))
            if whole is not None:
                return whole
        found = solve(ring, polys, unknowns)
        if found is None:
            if len(polys) < len(unknowns) or not polys:
                whole = self._enumerated(filters, domains, equations, [ring.gens[g] for g in unknowns])
                if whole is not None:
                    return whole
            raise NotPolynomial
        out = Found(exact=ring.exact)
        helper = {g for g, _ in self.helpers}
        for s in found:
            kept = self._real(s, helper)
            if kept is None:
                continue
            verdict = self._filtered(kept, filters, domains, out)
            if verdict:
                free = set(unknowns) - set(kept) - helper
                if free and domains:
                    whole = self._enumerated(filters, domains, equations, [ring.gens[g] for g in unknowns])
                    if whole is not None:
                        return whole
                out.free |= {ring.gens[g] for g in free}
                out.solutions.append({ring.gens[g]: v for g, v in kept.items() if g not in helper})
        out.solutions = [
            {name: self.tree(v) for name, v in s.items()} for s in _distinct(out.solutions)
        ]
        return out

    def _real(self, s: dict, helper: set) -> dict | None:
        """The solution if it is real, its helpers are not negative and no denominator vanishes; else None."""
        ring = self.ring
        for g, v in s.items():
            if any(h in ring.square and ring.square[h] < 0 for m in v for h, _ in m):
                return None
            if g in helper and not ring.free(v) and ring.real(v) is not None and ring.real(v) < 0:
                return None
        if any(not ring.substitute(d, s) for d in self.nonzero):
            return None
        return s

    def _filtered(self, s: dict, filters: list[Any], domains: dict, out: Found) -> bool:
        """Whether the solution passes every filter; what cannot be decided is put into out.leftover."""
        ring = self.ring
        for name, domain in domains.items():
            g = ring.index.get(name)
            v = s.get(g) if g is not None else None
            if v is None or ring.free(v):
                continue
            n = ring.number(v)
            if domain in (S.Integers, S.PositiveIntegers) and (n is None or Fraction(n).denominator != 1):
                return False
            if domain is S.PositiveIntegers and n <= 0:
                return False
            if domain is S.Rationals and n is None:
                return False
        for f in filters:
            truth = self._truth(f, s)
            if truth is False:
                return False
            if truth is None and f not in out.leftover:
                out.leftover.append(f)
        return True

    def _truth(self, f: Any, s: dict) -> bool | None:
        exact = self.ring.exact
        try:
            return self._decided(f, s)
        finally:
            self.ring.exact = exact  # a decimal in a filter does not make the solution one

    def _decided(self, f: Any, s: dict) -> bool | None:
        if type(f) is Expr and (f.head in _ORDER or f.head is S.Unequal):
            try:
                values = [self._value(a, s) for a in f.args]
            except (NotPolynomial, ZeroDivisionError):
                values = None
            if values is not None:
                known: list[bool | None] = []
                for a, b in pairwise(values):
                    d = self.ring.add(a, b, -1)
                    if f.head is S.Unequal:
                        known.append(bool(d) if not self.ring.free(d) else None)
                    else:
                        r = self.ring.real(d) if d else 0.0
                        known.append(None if r is None else _ORDER[f.head](r))
                return False if False in known else None if None in known else True
        values = {self.ring.gens[g]: self.tree(v) for g, v in s.items()}
        t = self.evaluate(replaced(f, values))
        return True if t is TRUE else False if t is FALSE else None

    def _value(self, e: Any, s: dict) -> Poly:
        n, d = self.ring.ratio(e)
        return self.ring.quotient(self.ring.substitute(n, s), self.ring.substitute(d, s))

    def tree(self, p: Poly) -> Any:
        """A value as a tree; decimals where the system had some."""
        return number_tree(self.ring, p)

    # --- other ways

    def _enumerated(self, filters: list[Any], domains: dict, equations: list[Any], unknowns: list[Any]) -> Found | None:
        """Whole-number solutions by search, where every unknown is whole and bounded (or positive, up to 100)."""
        if not unknowns or any(domains.get(u) not in (S.Integers, S.PositiveIntegers) for u in unknowns) or len(unknowns) > 3:
            return None
        low, high = {}, {}
        for u in unknowns:
            low[u], high[u] = (1 if domains[u] is S.PositiveIntegers else -100), 100
        for f in filters:
            for a, op, b in _pairs(f):
                if type(a) is Symbol and isinstance(b, (int, Fraction)) and a in low:
                    if op in (S.Greater, S.GreaterEqual):
                        low[a] = max(low[a], int(b))
                    elif op in (S.Less, S.LessEqual):
                        high[a] = min(high[a], int(b) + 1)
        ring = self.ring
        polys = [self.numerator(e) for e in equations]
        gens = [ring.gen(u) for u in unknowns]
        if len(unknowns) > 1:
            size = 1
            for u in unknowns[:-1]:
                size *= max(0, high[u] - low[u] + 1)
            if size > 5000:
                return None
        out = Found(exact=ring.exact)

        def search(k: int, s: dict) -> None:
            left = [ring.substitute(p, s) for p in polys]
            if any(p and not ring.free(p) for p in left):
                return
            if k == len(unknowns):
                if self._filtered(s, filters, domains, out):
                    out.solutions.append(dict(s))
                return
            u, g = unknowns[k], gens[k]
            if k == len(unknowns) - 1 and any(left):
                found = solve(ring, [p for p in left if p], [g])
                for t in found or []:
                    n = ring.number(t[g]) if g in t else None
                    if n is not None and Fraction(n).denominator == 1 and low[u] <= n <= high[u]:
                        search(k + 1, {**s, g: t[g]})
                return
            for n in range(low[u], high[u] + 1):
                search(k + 1, {**s, g: ({(): n} if n else {})})

        search(0, {})
        out.solutions = [{ring.gens[g]: self.tree(v) for g, v in s.items()} for s in _distinct(out.solutions)]
        return out

    def _searched(self, equations: list[Any], filters: list[Any], domains: dict) -> Found | None:
        """One whole unknown in a condition that is no polynomial (x mod 5 = 2): every value from -100 to 1000, or the
        bounds the filters give, is tried."""
        unknowns = list(dict.fromkeys(n for e in [*equations, *filters] for n in free_names(e)))
        if len(unknowns) != 1 or domains.get(unknowns[0]) not in (S.Integers, S.PositiveIntegers):
            return None
        x = unknowns[0]
        low, high = (1 if domains[x] is S.PositiveIntegers else -100), 1000
        for f in filters:
            for a, op, b in _pairs(f):
                if a is x and isinstance(b, (int, Fraction)):
                    if op in (S.Greater, S.GreaterEqual):
                        low = max(low, int(b))
                    else:
                        high = min(high, int(b) + 1)
        if high - low > 2000:
            return None
        tests = [*(mk(S.Equal, e, 0) for e in equations), *filters]
        hits = [n for n in range(low, high + 1) if all(self.evaluate(replaced(t, {x: n})) is TRUE for t in tests)]
        return Found([{x: n} for n in hits])

    def _bridge(self, equations: list[Any], filters: list[Any], domains: dict, wanted: list[Any]) -> Found:
        from nsrl.engines.wolfram import bridge

        unknowns = list(dict.fromkeys(n for e in [*equations, *filters] for n in free_names(e)))
        if not unknowns:
            zero = [self.evaluate(mk(S.Equal, e, 0)) for e in equations]
            if all(z is TRUE for z in zero):
                return Found([{}])
            if any(z is FALSE for z in zero):
                return Found([])
            raise Unsolved("an equation between known values could not be decided")
        found = bridge.solve_real(equations, unknowns, filters)
        if found is None:
            raise Unsolved("no method here solves this system")
        out = Found()
        for s in found:
            ok = True
            values = {k: self.evaluate(v) for k, v in s.items()}
            for f in filters:
                t = self.evaluate(replaced(f, values))
                if t is FALSE:
                    ok = False
                elif t is not TRUE and f not in out.leftover:
                    out.leftover.append(f)
            for name, domain in domains.items():
                v = values.get(name)
                if v is not None and domain in (S.Integers, S.PositiveIntegers) and type(v) is not int:
                    if free_names(v):
                        out.leftover.append(mk(S.Element, name, domain))
                    else:
                        ok = False
                elif type(v) is int and domain is S.PositiveIntegers and v <= 0:
                    ok = False
            if ok:
                out.solutions.append(values)
                for u in unknowns:
                    if u not in values or free_names(values[u]):
                        out.free.add(u)
        return out


def _has_list(e: Any) -> bool:
    return type(e) is Expr and (is_list(e) or any(_has_list(a) for a in e.args))


def _again(evaluated: list[Any]) -> tuple[list[Any]]:
    """Equations after evaluation: a vector difference falls apart into its elements."""
    out: list[Any] = []
    for e in evaluated:
        out += list(e.args) if is_list(e) else [e]
    return (out,)


def _pairs(f: Any) -> list[tuple[Any, Any, Any]]:
    """An inequality as (left, sign, right) pairs, each also seen from its other side."""
    flip = {S.Less: S.Greater, S.LessEqual: S.GreaterEqual, S.Greater: S.Less, S.GreaterEqual: S.LessEqual}
    out = []
    if type(f) is Expr and f.head in flip:
        for a, b in zip(f.args, f.args[1:]):
            out += [(a, f.head, b), (b, flip[f.head], a)]
    elif has_head(f, S.Inequality):
        for a, op, b in zip(f.args[::2], f.args[1::2], f.args[2::2]):
            if op in flip:
                out += [(a, op, b), (b, flip[op], a)]
    return out


def _distinct(solutions: list[dict]) -> list[dict]:
    out: list[dict] = []
    for s in solutions:
        if s not in out:
            out.append(s)
    return out


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
        args = tuple(replaced(a, values) for a in e.args)
        head = replaced(e.head, values) if type(e.head) is Expr else values.get(e.head, e.head)
        if head is e.head and all(a is b for a, b in zip(args, e.args)):
            return e
        return Expr(head, args)
    return e

