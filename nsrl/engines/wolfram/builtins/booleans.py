"""Boolean functions: truth tables, satisfiability, normal forms."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.expr import FALSE, LIST, TRUE, Expr, S, Symbol, boolean, lst, mk
from nsrl.engines.wolfram.order import sort
from nsrl.engines.wolfram.subst import replace_symbols
from nsrl.engines.wolfram.table import Builtin, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)


@builtin("Majority")
def majority(ev: Evaluator, args: tuple) -> Any:
    if all(a in (TRUE, FALSE) for a in args):
        return boolean(2 * sum(a is TRUE for a in args) > len(args))
    return None


def _symbols_of(e: Any, out: dict[Any, None]) -> None:
    if type(e) is Symbol:
        if e not in (TRUE, FALSE):
            out[e] = None
    elif type(e) is Expr:
        if type(e.head) is Symbol and e.head in _BOOLEAN_HEADS:
            for a in e.args:
                _symbols_of(a, out)
        else:
            out[e] = None


_BOOLEAN_HEADS = {S.And, S.Or, S.Not, S.Xor, S.Nand, S.Nor, S.Implies, S.Equivalent, S.Xnor, S.Majority}


@builtin("BooleanVariables", arity=1)
def boolean_variables(ev: Evaluator, args: tuple) -> Any:
    found: dict[Any, None] = {}
    _symbols_of(args[0], found)
    return lst(sort(found))


def _assignments(ev: Evaluator, args: tuple) -> Any:
    """(values in order TRUE first, rows as tuples) of a boolean expression or function."""
    f = args[0]
    if len(args) > 1:
        spec = args[1]
        names = list(spec.args) if type(spec) is Expr and spec.head is LIST else [spec]
        if type(spec) is int:
            ev.need_length(2 ** min(spec, 60))
            rows = list(product((TRUE, FALSE), repeat=spec))
            return [ev.eval(Expr(f, r)) for r in rows], rows
    elif type(f) is Expr and f.head is S.Function:
        n = _slot_count(f)
        ev.need_length(2 ** min(n, 60))
        rows = list(product((TRUE, FALSE), repeat=n))
        return [ev.eval(Expr(f, r)) for r in rows], rows
    else:
        names = list(boolean_variables(ev, (f,)).args)
    ev.need_length(2 ** min(len(names), 60))
    rows = list(product((TRUE, FALSE), repeat=len(names)))
    out = []
    for r in rows:
        ev.step()
        out.append(ev.eval(replace_symbols(f, dict(zip(names, r)))))
    return out, rows


def _slot_count(e: Any) -> int:
    if type(e) is not Expr:
        return 0
    if e.head is S.Slot and type(e.args[0]) is int:
        return e.args[0]
    if e.head is S.Function and len(e.args) > 1:
        return len(e.args[0].args) if type(e.args[0]) is Expr else 1
    return max([_slot_count(a) for a in (e.head, *e.args)], default=0)


@builtin("SatisfiableQ", arity=(1, 2))
def satisfiable_q(ev: Evaluator, args: tuple) -> Any:
    return boolean(TRUE in _assignments(ev, args)[0])


@builtin("TautologyQ", arity=(1, 2))
def tautology_q(ev: Evaluator, args: tuple) -> Any:
    return boolean(all(v is TRUE for v in _assignments(ev, args)[0]))


@builtin("BooleanTable", arity=(1, 2))
def boolean_table(ev: Evaluator, args: tuple) -> Any:
    f = args[0]
    if type(f) is Expr and f.head is LIST:
        names = args[1] if len(args) > 1 else boolean_variables(ev, (Expr(S.And, f.args),))
        columns = [_assignments(ev, (g, names))[0] for g in f.args]
        return lst(lst(row) for row in zip(*columns))
    return lst(_assignments(ev, args)[0])


@builtin("SatisfiabilityCount", arity=(1, 2))
def satisfiability_count(ev: Evaluator, args: tuple) -> Any:
    return sum(v is TRUE for v in _assignments(ev, args)[0])


@builtin("SatisfiabilityInstances", arity=(1, 3))
def satisfiability_instances(ev: Evaluator, args: tuple) -> Any:
    n = 1
    if len(args) == 3 or (len(args) == 2 and type(args[1]) is int):
        n = args[-1] if type(args[-1]) is int else 2**20
        args = args[:-1]
    values, rows = _assignments(ev, args)
    return lst([lst(r) for v, r in zip(values, rows) if v is TRUE][:n])


def _implicants(ev: Evaluator, f: Any) -> tuple[list[Any], list[tuple]]:
    """(variables, prime implicants that cover f) as tuples over 0, 1, None (absent): Quine-McCluskey."""
    names = list(boolean_variables(ev, (f,)).args)
    if len(names) > 8:
        raise ValueError("at most 8 variables")
    values, _ = _assignments(ev, (f, lst(names)))
    rows = list(product((1, 0), repeat=len(names)))
    ones = [r for r, v in zip(rows, values) if v is TRUE]
    level, primes = set(ones), set()
    while level:
        merged, used = set(), set()
        for a in level:
            for i, x in enumerate(a):
                if x is None:
                    continue
                b = (*a[:i], 1 - x, *a[i + 1 :])
                if b in level:
                    merged.add((*a[:i], None, *a[i + 1 :]))
                    used |= {a, b}
        primes |= level - used
        level = merged
    covers = {p: [r for r in ones if all(x is None or x == y for x, y in zip(p, r))] for p in primes}
    order = sorted(primes, key=lambda p: (sum(x is not None for x in p), [2 if x is None else 1 - x for x in p]))
    chosen, left = [], set(ones)
    for r in ones:
        only = [p for p in order if r in covers[p]]
        if len(only) == 1 and only[0] not in chosen:
            chosen.append(only[0])
            left -= set(covers[only[0]])
    while left:
        best = max(order, key=lambda p: len(left & set(covers[p])))
        chosen.append(best)
        left -= set(covers[best])
    chosen.sort(key=lambda p: [2 if x is None else 1 - x for x in p])
    return names, chosen


def _disjunction(names: list[Any], chosen: list[tuple]) -> Any:
    if not chosen:
        return FALSE
    terms = []
    for p in chosen:
        lits = [n if x else mk(S.Not, n) for n, x in zip(names, p) if x is not None]
        if not lits:
            return TRUE
        terms.append(lits[0] if len(lits) == 1 else Expr(S.And, tuple(lits)))
    return terms[0] if len(terms) == 1 else Expr(S.Or, tuple(terms))


@builtin("BooleanMinimize BooleanConvert", arity=(1, 2))
def boolean_minimize(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 2 and args[1] == "CNF":
        return _cnf(ev, args[0])
    return _disjunction(*_implicants(ev, args[0]))


def _cnf(ev: Evaluator, f: Any) -> Any:
    d = ev.eval(_disjunction(*_implicants(ev, mk(S.Not, f))))
    terms = d.args if type(d) is Expr and d.head is S.Or else (d,)
    if d in (TRUE, FALSE):
        return TRUE if d is FALSE else FALSE
    out = []
    for t in terms:
        lits = t.args if type(t) is Expr and t.head is S.And else (t,)
        flipped = [ev.call(S.Not, x) for x in lits]
        out.append(flipped[0] if len(flipped) == 1 else Expr(S.Or, tuple(flipped)))
    return out[0] if len(out) == 1 else Expr(S.And, tuple(out))


@builtin("LogicalExpand", arity=1)
def logical_expand(ev: Evaluator, args: tuple) -> Any:
    return _disjunction(*_implicants(ev, args[0]))
