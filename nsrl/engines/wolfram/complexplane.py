"""Equations with Abs, Re, Im, Sign, Arg or Conjugate of unknowns that may be complex.

Such functions are not analytic: the methods of one unknown (t² = x² for Abs[x]) see the real axis alone. An unknown of
a polynomial equation is solved for in the plane, x = u + I v with real u and v; what leaves a curve of solutions is
Cannot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.expr import COMPLEX, Expr, S, Symbol, has_head, mk
from nsrl.engines.wolfram.points import ORDER, Undefined, Unknown, is_real
from nsrl.engines.wolfram.roots import Cannot, contains, symbols
from nsrl.engines.wolfram.systems import solve_system
from nsrl.engines.wolfram.univariate import replaced

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

PARTS = (S.Abs, S.Re, S.Im, S.Sign, S.Arg, S.Conjugate, S.ReIm, S.AbsArg)


def holds_any(e: Any, names: list[Symbol]) -> bool:
    """Whether one of the names stands in the tree."""
    return any(contains(e, n) for n in names)


def parts(e: Any, names: list[Symbol]) -> list[Expr]:
    """The outermost calls in e of functions that are not analytic, of an unknown."""
    if type(e) is not Expr or not holds_any(e, names):
        return []
    return [e] if e.head in PARTS else [p for a in e.args for p in parts(a, names)]


def outside(e: Any, names: list[Symbol]) -> bool:
    """Whether an unknown stands in e elsewhere than in these functions."""
    if type(e) is not Expr:
        return e in names
    return e.head not in PARTS and any(outside(a, names) for a in e.args)


def made_real(conditions: list[Any], names: list[Symbol]) -> bool:
    """Whether order relations say that the unknowns are real: x > 0 does and Im[x] > 0 does not.

    Of inequalities of absolute values alone (Abs[x] < 3) the real solutions are meant.
    """
    orders = [o for c in conditions for o in _under(c, (*ORDER, S.Inequality))]
    if any(outside(o, names) or not holds_any(o, names) for o in orders):
        return True
    plain = all(p.head is S.Abs and not contains(p, COMPLEX) for o in orders for p in parts(o, names))
    return bool(orders) and plain and not any(_under(c, (S.Equal,)) for c in conditions)


def _under(e: Any, heads: tuple) -> list[Expr]:
    if type(e) is not Expr:
        return []
    return [e] if e.head in heads else [o for a in e.args for o in _under(a, heads)]


def on_curves_only(what: Any, names: list[Symbol]) -> bool:
    """Whether a condition holds functions of PARTS and no equation without them, which would leave single points."""
    return bool(parts(what, names)) and all(parts(e, names) for e in _under(what, (S.Equal,)))


def real_is_meant(ev: Evaluator, differences: list[Any], names: list[Symbol]) -> bool:
    """Whether equations with absolute values have real solutions alone, or are of the plain kind of which these are
    meant.

    With the absolute values as real numbers the equations are linear in the unknowns: where that fixes each of them,
    they are real. One equation Abs[…] == … with no unknown elsewhere is a curve in the plane; its points on the axis
    are meant.
    """
    curved = [p for d in differences for p in parts(d, names)]
    if any(p.head is not S.Abs for p in curved) or any(contains(d, COMPLEX) for d in differences):
        return False
    marks = {p: Symbol(f"\x02p{i}") for i, p in enumerate(dict.fromkeys(curved))}
    rows = [[ev.eval(mk(S.D, replaced(d, marks), n)) for n in names] for d in differences]
    if len(differences) == 1:
        return not any(holds_any(c, names) for c in rows[0])
    if any(holds_any(c, [*names, *marks.values()]) for row in rows for c in row):
        return False
    rank = ev.eval(mk(S.MatrixRank, Expr(S.List, tuple(Expr(S.List, tuple(r)) for r in rows))))
    return rank == len(names) or sum(bool(parts(d, names)) for d in differences) == 1


def solve_plane(ev: Evaluator, differences: list[Any], x: Symbol) -> list[Any]:
    """Every complex x at which rational expressions in x and in PARTS of x are 0. Raises Cannot where they are not
    finitely many."""
    sign = next((p for d in differences for p in _under(d, (S.Sign,)) if contains(p, x)), None)
    if sign is not None:
        inner = sign.args[0]
        there = [replaced(d, {sign: mk(S.Times, inner, mk(S.Power, mk(S.Abs, inner), -1))}) for d in differences]
        at_zero = solve_plane(ev, [*(ev.eval(replaced(d, {sign: 0})) for d in differences), inner], x)
        return [*at_zero, *solve_plane(ev, there, x)]
    u, v = Symbol("\x02u"), Symbol("\x02v")
    rows = [ev.eval(mk(S.Expand, e)) for d in differences for e in _halves(ev, d, x, u, v)]
    out = []
    for s in solve_system(ev, [e for e in rows if e != 0], [u, v], True):
        if len(s) < 2 or any(map(symbols, s.values())):
            raise Cannot
        try:
            if is_real(s[u]) and is_real(s[v]):
                out.append(ev.eval(mk(S.Plus, s[u], mk(S.Times, mk(COMPLEX, 0, 1), s[v]))))
        except (Undefined, Unknown) as error:
            raise Cannot from error
    return out


def _halves(ev: Evaluator, e: Any, x: Symbol, u: Symbol, v: Symbol) -> tuple[Any, Any]:
    """Real and imaginary part of e at x = u + I v."""
    if e is x:
        return u, v
    if has_head(e, COMPLEX):
        return e.args
    if not contains(e, x):
        try:
            if is_real(e):
                return e, 0
        except (Undefined, Unknown) as error:
            raise Cannot from error
    if type(e) is not Expr:
        raise Cannot
    if e.head in (S.Plus, S.Times):
        re, im = _halves(ev, e.args[0], x, u, v)
        for a in e.args[1:]:
            p, q = _halves(ev, a, x, u, v)
            re, im = (mk(S.Plus, re, p), mk(S.Plus, im, q)) if e.head is S.Plus else _product(re, im, p, q)
        return ev.eval(re), ev.eval(im)
    if e.head is S.Power and type(e.args[1]) is int and abs(e.args[1]) <= 12:
        p, q = _halves(ev, e.args[0], x, u, v)
        re, im = p, q
        for _ in range(abs(e.args[1]) - 1):
            re, im = map(ev.eval, _product(re, im, p, q))
        if e.args[1] > 0:
            return re, im
        over = mk(S.Power, _squares(re, im), -1)
        return ev.eval(mk(S.Times, re, over)), ev.eval(mk(S.Times, -1, im, over))
    if len(e.args) != 1 or e.head not in (S.Abs, S.Re, S.Im, S.Conjugate):
        raise Cannot
    re, im = _halves(ev, e.args[0], x, u, v)
    if e.head is S.Conjugate:
        return re, ev.eval(mk(S.Times, -1, im))
    return (ev.eval(mk(S.Sqrt, mk(S.Expand, _squares(re, im)))) if e.head is S.Abs else re if e.head is S.Re else im), 0


def _squares(re: Any, im: Any) -> Any:
    return mk(S.Plus, mk(S.Power, re, 2), mk(S.Power, im, 2))


def _product(a: Any, b: Any, c: Any, d: Any) -> tuple[Any, Any]:
    return (mk(S.Plus, mk(S.Times, a, c), mk(S.Times, -1, b, d)), mk(S.Plus, mk(S.Times, a, d), mk(S.Times, b, c)))


def solve_curved(ev: Evaluator, differences: list[Any], names: list[Symbol]) -> list[dict]:
    """Several complex unknowns: real solutions where these are all or are meant. Raises Cannot for others."""
    if not real_is_meant(ev, differences, names):
        raise Cannot
    return solve_system(ev, differences, names, False)
