"""Builtins that solve equations: Solve, NSolve, Roots, Eliminate, Root. Solving itself is `solver`'s."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import factorial
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram import bridge
from nsrl.engines.wolfram.assoc import is_rule
from nsrl.engines.wolfram.bignum import MACHINE_DIGITS, BigReal
from nsrl.engines.wolfram.bridge import NotBridged
from nsrl.engines.wolfram.complexplane import on_curves_only
from nsrl.engines.wolfram.expr import COMPLEX, FALSE, TRUE, Expr, S, Symbol, has_head, is_list, lst, mk, rule
from nsrl.engines.wolfram.numbers import complex_, machine
from nsrl.engines.wolfram.points import DOMAINS, Undefined, Unknown, difference
from nsrl.engines.wolfram.realline import as_float, span
from nsrl.engines.wolfram.rootobject import root_value
from nsrl.engines.wolfram.roots import Cannot
from nsrl.engines.wolfram.rootsearch import numeric_roots
from nsrl.engines.wolfram.solver import (
    conditions,
    is_ordered,
    rationalized,
    solutions,
    split,
    symbols_in,
)
from nsrl.engines.wolfram.table import Builtin, table
from nsrl.engines.wolfram.univariate import replaced

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)


def arguments(ev: Evaluator, args: tuple) -> tuple[Any, list[Symbol], Any, dict] | None:
    """(condition, variables, domain, {symbol: the variable it stands for}) of Solve-like calls; None for no variables.

    A variable that is no symbol (f[1], x[2]) is replaced by one.
    """
    what = _without_binomials(args[0])
    rest = [a for a in args[1:] if not has_head(a, S.Rule)]
    domain = rest.pop() if rest and rest[-1] in DOMAINS else S.Complexes
    if not rest:
        names = symbols_in(what)
    else:
        names = list(rest[0].args) if is_list(rest[0]) else [rest[0]]
        if any(has_head(n, S.Element) for n in names):
            what = mk(S.And, what, *(n for n in names if has_head(n, S.Element)))
            names = [n.args[0] if has_head(n, S.Element) else n for n in names]
    if len(rest) > 1 or len(set(names)) < len(names):
        return None
    if args[-1] is S.Complexes and on_curves_only(what, [n for n in names if type(n) is Symbol]):
        return None
    back: dict = {}
    for i, n in enumerate(names):
        if isinstance(n, (int, float, Fraction, str)) or (type(n) is Symbol and n.builtin is not None):
            ev.message("Solve", "ivar", f"{ev.text(n)} is not a valid variable.")
            return None
        if type(n) is not Symbol:
            s = names[i] = Symbol(f"\x02x{i}")
            back[s], what = n, replaced(what, {n: s})
    return what, names, domain, back


def _without_binomials(e: Any) -> Any:
    """Binomial[n, k] of a small whole k as the polynomial in n that it is."""
    if type(e) is not Expr:
        return e
    args = tuple(map(_without_binomials, e.args))
    if e.head is S.Binomial and len(args) == 2 and type(args[1]) is int and 0 <= args[1] <= 12:
        factors = (mk(S.Plus, args[0], -i) for i in range(args[1]))
        return mk(S.Times, Fraction(1, factorial(args[1])), *factors)
    return e if all(a is b for a, b in zip(args, e.args)) else Expr(e.head, args)


def _find(ev: Evaluator, args: tuple, finder: Callable = solutions) -> tuple[list[dict], list] | None:
    """(solutions, variables), both as the program wrote them; None where they are not found."""
    parsed = arguments(ev, args)
    if parsed is None:
        return None
    what, names, domain, back = parsed
    if any(n not in names and _among(n, names) for n in back.values()):
        return None
    try:
        found = finder(ev, what, names, domain)
    except Cannot:
        return None
    if len(names) > 1 and any(s and len(s) < len(names) for s in found):
        ev.message("Solve", "svars", 'Equations may not give solutions for all "solve" variables.')
    if back:
        found = [{back.get(k, k): ev.eval(replaced(v, back)) for k, v in s.items()} for s in found]
    return found, [back.get(n, n) for n in names]


def _among(n: Any, names: list) -> bool:
    return type(n) is Expr and (n.head in names or any(a in names or _among(a, names) for a in n.args))


def _rules(found: tuple[list[dict], list] | None) -> Any:
    return None if found is None else lst(lst(rule(n, s[n]) for n in found[1] if n in s) for s in found[0])


def _values(args: tuple, found: tuple[list[dict], list] | None) -> Any:
    if found is None:
        return None
    sets, names = found
    many = len(args) > 1 and is_list(args[1])
    return lst(lst(s.get(n, n) for n in names) if many else s.get(names[0], names[0]) for s in sets)


@builtin("Solve", arity=(1, None), options="Modulus")
def solve(ev: Evaluator, args: tuple) -> Any:
    if any(
        is_rule(a) for a in args[1:]
    ):  # Modulus: one polynomial equation is a rule of equations.wl, nothing else is done
        return None
    return _rules(_find(ev, args))


@builtin("SolveValues", arity=(1, None))
def solve_values(ev: Evaluator, args: tuple) -> Any:
    return _values(args, _find(ev, args))


@builtin("NSolve", arity=(1, None))
def nsolve(ev: Evaluator, args: tuple) -> Any:
    return _rules(_find(ev, (_as_equation(args[0]), *args[1:]), _numeric))


@builtin("NSolveValues", arity=(1, None))
def nsolve_values(ev: Evaluator, args: tuple) -> Any:
    return _values(args, _find(ev, (_as_equation(args[0]), *args[1:]), _numeric))


def _as_equation(e: Any) -> Any:
    """An expression without a relation is set to 0, also in a list."""
    if is_list(e):
        return lst(map(_as_equation, e.args))
    logical = (S.And, S.Or, S.Not, S.Equal, S.Element, S.Unequal)
    return e if e in (TRUE, FALSE) or is_ordered(e) or (type(e) is Expr and e.head in logical) else mk(S.Equal, e, 0)


def _numeric(ev: Evaluator, what: Any, names: list[Symbol], domain: Any) -> list[dict]:
    """Exact solutions as decimals; one equation between bounds that has none is searched by intervals. Raises
    Cannot."""
    what = rationalized(what)
    try:
        found = [{k: _decimal(ev, v) for k, v in s.items()} for s in solutions(ev, what, names, domain)]
    except Cannot:
        found = _searched(ev, what, names, domain)
    if all(isinstance(v, float) for s in found for v in s.values()):
        found.sort(key=lambda s: [s.get(n, 0.0) for n in names])
    return found


def _decimal(ev: Evaluator, v: Any) -> Any:
    quick = ev.eval(mk(S.N, v))
    try:
        n = difference(v, 0)
    except (Undefined, Unknown):
        return quick
    if isinstance(quick, (int, float)) and abs(n - quick) < 4e-16 * abs(n):
        return quick
    re, im = (machine(BigReal(part, MACHINE_DIGITS)) for part in (n.real, n.imag))
    return complex_(re, im) if n.imag else re


def _searched(ev: Evaluator, what: Any, names: list[Symbol], domain: Any) -> list[dict]:
    if len(names) != 1:
        raise Cannot
    x = names[0]
    out = []
    for differences, filters in conditions(what):
        domains, filters = split(filters, names, domain)
        if len(differences) != 1 or domains[x] not in (S.Reals, S.Complexes) or not filters:
            raise Cannot
        here = filters[0] if len(filters) == 1 else Expr(S.And, tuple(filters))
        low, high = (as_float(v) for v in span(ev, here, x))
        out += [{x: v} for v in numeric_roots(ev, differences[0], x, low, high, here)]
    return out


@builtin("Roots", arity=2)
def roots(ev: Evaluator, args: tuple) -> Any:
    found = _find(ev, args)
    if found is None or any(set(s) != {args[1]} for s in found[0]):
        return None
    out = [mk(S.Equal, args[1], s[args[1]]) for s in found[0]]
    return ev.eval(out[0] if len(out) == 1 else Expr(S.Or, tuple(out))) if out else FALSE


@builtin("Eliminate", arity=2)
def eliminate(ev: Evaluator, args: tuple) -> Any:
    names = list(args[1].args) if is_list(args[1]) else [args[1]]
    try:
        ((differences, filters),) = conditions(args[0])
    except (Cannot, ValueError):
        return None
    if filters:
        return None
    if not differences:
        return TRUE
    b = bridge.Bridge()
    sp = bridge.sympy()
    try:
        keep = [s for s in symbols_in(args[0]) if s not in names]
        gens = [b.to_sympy(n) for n in names] + [b.to_sympy(k) for k in keep]
        basis = bridge.guarded(sp.groebner, [b.to_sympy(d) for d in differences], *gens, order="lex")
        gone = {b.to_sympy(n) for n in names}
        left = [g for g in basis.exprs if not g.free_symbols & gone]
        out = [_isolated(ev, ev.eval(mk(S.Expand, b.from_sympy(g)))) for g in left]
    except NotBridged:
        return None
    if not out:
        return TRUE
    return ev.eval(out[0] if len(out) == 1 else Expr(S.And, tuple(out)))


def _isolated(ev: Evaluator, p: Any) -> Any:
    """p == 0 with the last term's side alone, as Eliminate writes it."""
    if p == 1:
        return FALSE
    if has_head(p, S.Plus):
        number = p.args[0] if isinstance(p.args[0], (int, Fraction)) else None
        if number is not None:
            rest = Expr(S.Plus, p.args[1:]) if len(p.args) > 2 else p.args[1]
            if number > 0:
                return ev.eval(mk(S.Equal, mk(S.Expand, mk(S.Times, -1, rest)), number))
            if has_head(rest, S.Plus) and _minus(rest.args[-1]) and len(rest.args) == 2:
                return ev.eval(mk(S.Equal, mk(S.Plus, -number, mk(S.Times, -1, rest.args[-1])), rest.args[0]))
            return ev.eval(mk(S.Equal, rest, -number))
        first = Expr(S.Plus, p.args[:-1]) if len(p.args) > 2 else p.args[0]
        return ev.eval(mk(S.Equal, mk(S.Expand, mk(S.Times, -1, p.args[-1])),
        first)) if _minus(p.args[-1]) else ev.eval(
            mk(S.Equal, mk(S.Expand, mk(S.Times, -1, first)), p.args[-1]))  # fmt: skip
    return ev.eval(mk(S.Equal, p, 0))


def _minus(e: Any) -> bool:
    return has_head(e, S.Times) and isinstance(e.args[0], (int, Fraction)) and e.args[0] < 0


@builtin("Root", "HoldFirst", arity=(2, 3), data=True)
def root(ev: Evaluator, args: tuple) -> Any:
    """Root[f, k] stays as it is when exact; with a decimal k (what N makes of it) it is the number."""
    f, k = args[0], args[1]
    if type(k) is not float or k != int(k):
        return None
    v = root_value(mk(S.Root, f, int(k)), 20)
    return None if v is None else mk(COMPLEX, float(v.real), float(v.imag)) if v.imag else float(v)
