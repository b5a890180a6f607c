"""RSolve and its kin: recurrences with their starting values, found by SymPy, decided by substitution."""

from __future__ import annotations

from typing import Any

from nsrl.engines.wolfram import bridge
from nsrl.engines.wolfram.bridge import NotBridged
from nsrl.engines.wolfram.builtins.differential import answered, satisfies, unknown
from nsrl.engines.wolfram.expr import Expr, S, has_head, mk
from nsrl.engines.wolfram.table import Builtin, table

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)


@builtin("RSolve RSolveValue", arity=3)
def rsolve(ev: Any, args: tuple) -> Any:
    return _recurrence(ev, args, False)


def _recurrence(ev: Any, args: tuple, value: bool) -> Any:
    """Linear recurrences a[n] with their starting values, by SymPy."""
    what, target, n = args
    f = unknown(target, n)
    if f is None:
        return None
    sp = bridge.sympy()
    b = bridge.Bridge()
    k = sp.Symbol(n.name, integer=True)
    b.there[n], b.symbols[k] = k, n
    parts = list(what.args) if type(what) is Expr and what.head in (S.List, S.And) else [what]
    main, starts = None, {}
    y = None
    try:
        for p in parts:
            if not has_head(p, S.Equal) or len(p.args) != 2:
                return None
            left, right = p.args
            if type(left) is Expr and left.head is f and isinstance(left.args[0], int):
                starts[left.args[0]] = right
            else:
                main = b.to_sympy(mk(S.Plus, left, mk(S.Times, -1, right)))
        if main is None:
            return None
        y = next(t for t, s in b.symbols.items() if s is f)
        init = {y(i): b.to_sympy(v) for i, v in starts.items()}
        found = bridge.guarded(sp.rsolve, main, y(k), init)
        if found is None:
            return None
        for i in range(4):
            b.symbols.setdefault(sp.Symbol(f"C{i}"), mk(S.C, i + 1))
        tree = ev.eval(b.from_sympy(bridge.guarded(sp.simplify, found)))
    except (NotBridged, StopIteration):
        return None
    if not satisfies(ev, parts, f, n, tree, whole=True):
        return None
    return answered(ev, target, f, n, [tree], value)


TABLE["RSolveValue"].handler = lambda ev, args: _recurrence(ev, args, True)
