"""An algebraic equation in one unknown as polynomials: roots and absolute values become helper unknowns, eliminated by
resultants, which lose no solution and may add some."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from nsrl.engines.wolfram import bridge
from nsrl.engines.wolfram.expr import COMPLEX, Expr, S, Symbol
from nsrl.engines.wolfram.roots import Cannot

MAX_HELPERS = 5
MAX_DEGREE = 40


def eliminated(e: Any, x: Symbol) -> list[Any]:
    """Irreducible polynomials in x among whose roots are all solutions of e = 0."""
    sp = bridge.sympy()
    b = bridge.Bridge()
    helpers: list[tuple[Any, Any]] = []
    known: dict[Any, Any] = {}

    def helper(inside: Any, n: int, key: Any) -> Any:
        if key not in known:
            if len(helpers) >= MAX_HELPERS:
                raise Cannot
            t = known[key] = sp.Symbol(f"\x00{len(helpers)}")
            num, den = sp.fraction(sp.together(inside))
            helpers.append((t, sp.expand(t**n * den - num)))
        return known[key]

    def walk(t: Any) -> Any:
        if type(t) in (int, Fraction, Symbol):
            if type(t) is Symbol and t.builtin is not None:
                raise Cannot
            return b.to_sympy(t)
        if type(t) is not Expr:
            raise Cannot
        if t.head in (S.Plus, S.Times):
            return (sp.Add if t.head is S.Plus else sp.Mul)(*map(walk, t.args))
        if t.head is COMPLEX:
            return walk(t.args[0]) + walk(t.args[1]) * helper(sp.Integer(-1), 2, "i")
        if t.head is S.Power:
            base, n = t.args
            if type(n) is int:
                return walk(base) ** n
            if type(n) is Fraction:
                return helper(walk(base), n.denominator, (base, n.denominator)) ** n.numerator
        if t.head in (S.Abs, S.RealAbs):
            return helper(walk(t.args[0]) ** 2, 2, t)
        if t.head in (S.CubeRoot, S.Surd):
            return helper(walk(t.args[0]), 3 if t.head is S.CubeRoot else t.args[1], t)
        raise Cannot

    X = b.symbol(x)
    p = sp.expand(sp.fraction(sp.together(walk(e)))[0])
    for t, relation in reversed(helpers):
        if p.has(t):
            p = bridge.guarded(sp.resultant, p, relation, t)
            p = sp.expand(p)
            if p == 0:
                raise Cannot  # it holds on a whole interval
            if p.has(X):
                p = bridge.guarded(sp.sqf_part, p) if sp.degree(p, X) > 4 else p
                if sp.degree(p, X) > 3 * MAX_DEGREE:
                    raise Cannot
    if p == 0:
        raise Cannot
    out = []
    for f, _ in bridge.guarded(sp.factor_list, p)[1]:
        if f.has(X):
            if sp.degree(f, X) > MAX_DEGREE:
                raise Cannot
            out.append(b.from_sympy(f))
    return out
