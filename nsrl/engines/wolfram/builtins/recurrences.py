"""RSolve: recurrences with their starting values, found by SymPy, decided by substitution. RecurrenceTable: step by
step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram import bridge
from nsrl.engines.wolfram.bridge import NotBridged
from nsrl.engines.wolfram.builtins.differential import answered, satisfies, unknown
from nsrl.engines.wolfram.expr import Expr, S, Symbol, has_head, is_list, lst, mk
from nsrl.engines.wolfram.roots import contains, symbols
from nsrl.engines.wolfram.table import Builtin, table
from nsrl.engines.wolfram.univariate import replaced

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)


@builtin("RSolve RSolveValue", arity=3)
def rsolve(ev: Evaluator, args: tuple) -> Any:
    return _recurrence(ev, args, False)


def _recurrence(ev: Evaluator, args: tuple, value: bool) -> Any:
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


@builtin("RecurrenceTable", "HoldAll", arity=3)
def recurrence_table(ev: Evaluator, args: tuple) -> Any:
    """The values of a[n] from one index to another: each by the equation for it, the sequences of a system side by
    side.

    Held, for If[EvenQ[a[n]], …] is to be asked of values."""
    what = args[0] if is_list(args[0]) or has_head(args[0], S.And) else ev.eval(args[0])
    n, *ends = args[2].args if is_list(args[2]) else (args[2],)
    ends = [1, *map(ev.eval, ends)][-2:]
    each = args[1].args if is_list(args[1]) else (args[1],)
    names = [t.head if type(t) is Expr and t.args == (n,) else t for t in each]
    if (
        type(n) is not Symbol
        or len(args[2].args if is_list(args[2]) else ()) not in (2, 3)
        or any(type(t) is not int for t in ends)
    ):
        return None
    if len(set(names)) < len(names) or not all(
        type(f) is Symbol and f.builtin is None and f not in ev.down for f in names
    ):
        return None
    index = Symbol("\x04n")
    what = replaced(what, {n: index})
    known: dict[tuple[Symbol, int], Any] = {}
    rules: list[tuple[Any, Any]] = []
    for p in what.args if type(what) is Expr and what.head in (S.List, S.And) else (what,):
        if not has_head(p, S.Equal) or len(p.args) != 2:
            return None
        left, right = p.args
        at = ev.eval(left.args[0]) if type(left) is Expr and left.head in names and len(left.args) == 1 else None
        if type(at) is int:
            if (left.head, at) in known or any(contains(right, s) for s in (index, *names)):
                return None
            known[left.head, at] = ev.eval(right)
        else:
            rules.append((left, right))
    offsets = [sorted(_offsets(ev, Expr(S.List, r), names, index) or (None,)) for r in rules]
    if len(rules) != len(names) or any(None in o for o in offsets):
        return None
    order = max(o[-1] - o[0] for o in offsets)
    first = min((k for _, k in known), default=0)
    if order < 1 or set(known) != {(f, first + k) for f in names for k in range(order)} or ends[0] < first:
        return None
    ev.need_length(max(ends[1] - first + 1, 0))
    for k in range(first + order, ends[1] + 1):
        ev.step()
        new = _next(ev, [(r, o[-1]) for r, o in zip(rules, offsets)], names, index, known, k)
        if new is None:
            return None
        known.update(new)
    rows = [[known[f, k] for f in names] for k in range(ends[0], ends[1] + 1)]
    return lst(lst(r) if is_list(args[1]) else r[0] for r in rows)


def _offsets(ev: Evaluator, e: Any, names: list[Symbol], index: Symbol) -> set | None:
    """The whole k of all f[n + k] in e; None where an index has another form."""
    if type(e) is not Expr:
        return None if e in names else set()
    out: set = set()
    if e.head in names:
        k = ev.eval(mk(S.Plus, e.args[0], mk(S.Times, -1, index))) if len(e.args) == 1 else None
        return {k} if type(k) is int else None
    for a in (e.head, *e.args):
        inner = _offsets(ev, a, names, index)
        if inner is None:
            return None
        out |= inner
    return out


def _next(ev: Evaluator, rules: list, names: list[Symbol], index: Symbol, known: dict, k: int) -> dict | None:
    """The values at index k: as an equation says it, or the one solution of the system."""
    fresh = {(f, k): Symbol(f"\x04{f.name}") for f in names}

    def put_in(e: Any) -> Any:
        if type(e) is not Expr:
            return e
        if e.head in names and len(e.args) == 1:
            place = (e.head, ev.eval(e.args[0]))
            return known[place] if place in known else fresh[place]
        return Expr(put_in(e.head), tuple(map(put_in, e.args)))

    try:
        sides = [tuple(put_in(replaced(side, {index: k - top})) for side in rule) for rule, top in rules]
    except KeyError:  # a value that is neither known nor the next
        return None
    unknowns = set(fresh.values())
    if [left for left, _ in sides] == list(fresh.values()) and not any(symbols(right) & unknowns for _, right in sides):
        return {place: ev.eval(right) for place, (_, right) in zip(fresh, sides)}
    found = ev.call(S.Solve, lst(mk(S.Equal, *s) for s in sides), lst(fresh.values()))
    if not is_list(found) or len(found.args) != 1 or len(found.args[0].args) != len(fresh):
        return None
    by = {r.args[0]: r.args[1] for r in found.args[0].args}
    return {place: by[s] for place, s in fresh.items()}
