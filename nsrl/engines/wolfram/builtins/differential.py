"""DSolve: SymPy finds, substitution into the equation and its conditions decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram import bridge, converging
from nsrl.engines.wolfram.bridge import Bridge, NotBridged, guarded, sympy
from nsrl.engines.wolfram.builtins.algebra import contains
from nsrl.engines.wolfram.expr import Expr, S, Symbol, has_head, is_list, lst, mk, rule
from nsrl.engines.wolfram.table import Builtin, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)


@builtin("DSolve DSolveValue", arity=3)
def dsolve(ev: Evaluator, args: tuple) -> Any:
    return _dsolve(ev, args, False)


def _dsolve(ev: Evaluator, args: tuple, value: bool) -> Any:
    what, target, x = args
    f = unknown(target, x)
    if f is None:
        return None
    sp = sympy()
    b = Bridge()
    X = b.to_sympy(x)
    F = sp.Function("\x01" + f.name)
    b.symbols[F] = f
    parts = list(what.args) if type(what) is Expr and what.head in (S.List, S.And) else [what]

    def convert(e: Any) -> Any:
        """f[x], f'[x], f[0], f'[0] as SymPy's."""
        if type(e) is Expr:
            h = e.head
            if h is f and len(e.args) == 1:
                return F(b.to_sympy(e.args[0]))
            if type(h) is Expr and has_head(h.head, S.Derivative) and h.args and h.args[0] is f:
                k, at = h.head.args[0], b.to_sympy(e.args[0])
                d1 = sp.Derivative(F(X), (X, k))
                return d1 if at == X else d1.subs(X, at)
            if h in (S.Plus, S.Times, S.Power):
                return {S.Plus: sp.Add, S.Times: sp.Mul, S.Power: sp.Pow}[h](*[convert(a) for a in e.args])
            if contains(e, f):
                inner = [convert(a) for a in e.args]
                name = bridge.FUNCTIONS.get(getattr(h, "name", ""))
                if name is None:
                    raise NotBridged(f"{h} of an unknown function")
                return getattr(sp, name)(*inner)
        return b.to_sympy(e)

    main, init = None, {}
    try:
        for p in parts:
            if not has_head(p, S.Equal) or len(p.args) != 2:
                return None
            if contains(p, x):
                main = sp.Eq(convert(p.args[0]), convert(p.args[1]))
            else:
                init[convert(p.args[0])] = convert(p.args[1])
        if main is None or main in (True, False):
            return None
        found = guarded(sp.dsolve, main, F(X), ics=init or None)
        found = found if isinstance(found, list) else [found]
        out = []
        for s in found:
            if s.lhs != F(X):
                return None
            r = _constants_in_order(s.rhs, X)
            for c in sorted((c for c in r.free_symbols if str(c).startswith("C") and c not in b.symbols), key=str):
                b.symbols[c] = mk(S.C, int(str(c)[1:]))
            tree = (
                ev.eval(mk(S.Expand, b.from_sympy(r))) if not init else ev.eval(b.from_sympy(guarded(sp.simplify, r)))
            )
            order = max((sum(k for _, k in d.variable_count) for d in main.atoms(sp.Derivative)), default=0)
            if not satisfies(ev, parts, f, x, tree) or (not init and len(_constants(tree)) != order):
                return None
            out.append(tree)
    except NotBridged:
        return None
    return answered(ev, target, f, x, out, value)


def unknown(target: Any, x: Any) -> Symbol | None:
    """The one function of the program's own in a target: f, f[x], f'[2], {f[x]}; None where x is no symbol."""

    def applied(e: Any) -> set:
        if type(e) is not Expr:
            return set()
        h = (
            e.head.args[0]
            if type(e.head) is Expr and has_head(e.head.head, S.Derivative) and len(e.head.args) == 1
            else e.head
        )
        return set().union({h} if type(h) is Symbol and h.builtin is None else (), *map(applied, e.args))

    if type(x) is not Symbol:
        return None
    found = {e for e in (target.args if is_list(target) else (target,)) if type(e) is Symbol} | applied(target)
    return found.pop() if len(found) == 1 else None


def answered(ev: Evaluator, target: Any, f: Symbol, x: Symbol, trees: list, value: bool) -> Any:
    """The solutions f[x] = tree in the form asked for: the first one put into the target, or rules for f or f[x]."""
    functions = [mk(S.Function, lst((x,)), t) for t in trees]
    if value:
        return ev.eval(mk(S.ReplaceAll, target, rule(f, functions[0])))
    if is_list(target) and len(target.args) == 1:
        target = target.args[0]
    if target is f:
        return lst(lst((rule(f, g),)) for g in functions)
    return lst(lst((rule(target, t),)) for t in trees) if target == mk(f, x) else None


def _constants_in_order(r: Any, x: Any) -> Any:
    """C[1] Cos + C[2] Sin and C[1] E^x + C[2] E^-x, as the real engine numbers them."""
    sp = sympy()
    c1, c2 = sp.Symbol("C1"), sp.Symbol("C2")
    e = sp.expand(r)
    if not e.has(c1) or not e.has(c2):
        return r
    f1, f2 = e.coeff(c1), e.coeff(c2)
    swapped = (isinstance(f1, sp.sin) and isinstance(f2, sp.cos)) or (
        isinstance(f1, sp.exp) and isinstance(f2,
        sp.exp) and f1.args[0] == -f2.args[0] and f2.args[0].coeff(x).is_positive)  # fmt: skip
    return r.subs({c1: c2, c2: c1}, simultaneous=True) if swapped else r


TABLE["DSolveValue"].handler = lambda ev, args: _dsolve(ev, args, True)


def satisfies(ev: Evaluator, parts: list, f: Symbol, x: Symbol, tree: Any, whole: bool = False) -> bool:
    """Whether f[x] = tree makes the equation and every condition true, at real (or whole) numbers x."""
    put = rule(f, mk(S.Function, lst((x,)), tree))
    sides = [tuple(ev.eval(mk(S.ReplaceAll, side, put)) for side in p.args) for p in parts]
    return converging.residual(sides, x, ev.step, whole)


def _constants(e: Any) -> set:
    """The arbitrary constants C[k] in a solution."""
    if type(e) is not Expr:
        return set()
    return {e} if e.head is S.C else set().union(*map(_constants, e.args))
