"""Simplify, FullSimplify, Refine, and what assumptions mean.

Native candidates (expanded, factored, over one denominator) compete with SymPy's; the shortest wins, as by Wolfram's
default complexity.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.bridge import Bridge, NotBridged, guarded, sympy
from nsrl.engines.wolfram.builtins.algebra import contains, expanded, leaf_count, threaded
from nsrl.engines.wolfram.builtins.polynomials import variables_of
from nsrl.engines.wolfram.expr import FALSE, TRUE, Expr, S, Symbol, has_head, is_list, mk, norm, plus, times
from nsrl.engines.wolfram.points import Undefined, Unknown, difference
from nsrl.engines.wolfram.rootobject import root_coefficients
from nsrl.engines.wolfram.table import Builtin, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)


def assumptions_of(e: Any) -> dict[Symbol, dict[str, bool]]:
    """What a condition says of single symbols: {x: {"positive": True}}."""
    out: dict[Symbol, dict[str, bool]] = {}

    def note(x: Any, **facts: bool) -> None:
        if type(x) is Symbol:
            out.setdefault(x, {}).update(facts)

    def walk(c: Any) -> None:
        if type(c) is not Expr:
            return
        if c.head in (S.And, S.List):
            for a in c.args:
                walk(a)
        elif c.head is S.Element:
            names = (
                c.args[0].args
                if type(c.args[0]) is Expr and c.args[0].head in (S.Alternatives, S.List)
                else (c.args[0],)
            )
            for n in names:
                if c.args[1] is S.Integers:
                    note(n, integer=True)
                elif c.args[1] is S.Reals:
                    note(n, real=True)
                elif c.args[1] is S.Rationals:
                    note(n, rational=True)
                elif c.args[1] in (S.PositiveReals, S.PositiveIntegers):
                    note(n, positive=True, **({"integer": True} if c.args[1] is S.PositiveIntegers else {}))
        elif c.head in (S.Greater, S.GreaterEqual, S.Less, S.LessEqual):
            for a, b in zip(c.args, c.args[1:]):
                _bound(c.head, a, b, note)
        elif c.head is S.Inequality:
            for a, op, b in zip(c.args[::2], c.args[1::2], c.args[2::2]):
                _bound(op, a, b, note)

    walk(e)
    return out


def _bound(op: Any, a: Any, b: Any, note: Any) -> None:
    if op in (S.Less, S.LessEqual):
        a, b = b, a
        op = S.Greater if op is S.Less else S.GreaterEqual
    if isinstance(b, (int, float, Fraction)) and type(a) is Symbol:
        strict = op is S.Greater
        if b > 0 or (b == 0 and strict):
            note(a, positive=True)
        elif b == 0:
            note(a, nonnegative=True)
        else:
            note(a, real=True)
    elif isinstance(a, (int, float, Fraction)) and type(b) is Symbol:
        if a < 0 or (a == 0 and op is S.Greater):
            note(b, negative=True)
        elif a == 0:
            note(b, nonpositive=True)
        else:
            note(b, real=True)


def _atoms(e: Any, found: set) -> None:
    if type(e) is Expr:
        found.add(e.head)
        for a in e.args:
            _atoms(a, found)


_TRIALS = {S.Together, S.Cancel, S.Factor, S.Apart, S.Collect}  # left standing, these are too large to be done
_POLYNOMIAL_HEADS = {S.Plus, S.Times, S.Power, S.Complex}


def simplified(ev: Evaluator, e: Any, assumptions: dict, full: bool) -> Any:
    """The shortest form of e found."""
    if type(e) is not Expr or is_list(e):
        return e
    plain = ev.eval(_turned_up(ev, e)) if _has_fractional_power(e) else e
    if leaf_count(plain) < leaf_count(e):
        e = plain
        if type(e) is not Expr:
            return e
    candidates = [e]

    def offer(tree: Any) -> None:
        if tree is not None and tree not in candidates and not (type(tree) is Expr and tree.head in _TRIALS):
            candidates.append(tree)

    if assumptions:
        refined = _refined(ev, e, assumptions)
        if refined is not None and refined != e:
            e = refined
            candidates[:] = [e]
            if type(e) is not Expr:
                return e
    heads: set = set()
    _atoms(e, heads)
    rational = heads <= _POLYNOMIAL_HEADS and not _has_fractional_power(e)
    offer(expanded(ev, e))
    for head in (S.Together, S.Cancel, S.Factor):
        offer(ev.eval(mk(head, e)))
    if rational:
        for c in list(candidates):
            offer(_expanded_below(ev, c))
        offer(ev.eval(mk(S.Apart, e))) if _has_sum_below(e) else None
        for c in list(candidates):
            offer(_partial_factor(ev, c))
        names = variables_of(e)
        if len(names) <= 5 and has_head(candidates[1] if len(candidates) > 1 else e, S.Plus):
            for n in names:
                offer(ev.eval(mk(S.Collect, e, n)))
    if not rational or assumptions:
        for c in _by_sympy(ev, e, assumptions, full):
            offer(c)
            if type(c) is Expr:
                offer(ev.eval(mk(S.Factor, c)))
                offer(expanded(ev, c))
    elif full:
        for c in _by_sympy(ev, e, assumptions, full):
            offer(c)
    best = min(candidates, key=lambda c: (leaf_count(c), 0 if has_head(c, S.Times) else 1))
    return best


def _turned_up(ev: Evaluator, e: Any) -> Any:
    """1/(a + b) with rational squares of a and b as (a - b)/(a^2 - b^2): what then cancels in a sum is gone."""
    if type(e) is not Expr:
        return e
    if e.head is S.Power and e.args[1] == -1 and has_head(e.args[0], S.Plus) and len(e.args[0].args) == 2:
        a, b = e.args[0].args
        under = [ev.eval(mk(S.Power, t, 2)) for t in (a, b)]
        if all(type(u) in (int, Fraction) for u in under) and under[0] != under[1]:
            return mk(S.Expand, times(norm(1 / Fraction(under[0] - under[1])), plus(a, times(-1, b))))
    return Expr(e.head, tuple(_turned_up(ev, a) for a in e.args))


def _refined(ev: Evaluator, e: Any, assumptions: dict) -> Any:
    """e with what the assumptions decide at once: Abs[x], Sqrt[x^2]."""
    b = Bridge(assumptions)
    try:
        return ev.eval(b.from_sympy(guarded(sympy().refine, b.to_sympy(e))))
    except NotBridged:
        return None


def _has_fractional_power(e: Any) -> bool:
    if type(e) is not Expr:
        return False
    if e.head is S.Power and type(e.args[1]) is not int:
        return True
    return any(_has_fractional_power(a) for a in e.args)


def _has_sum_below(e: Any) -> bool:
    if type(e) is not Expr:
        return False
    if e.head is S.Power and type(e.args[1]) is int and e.args[1] < 0 and has_head(e.args[0], S.Plus):
        return True
    return any(_has_sum_below(a) for a in e.args)


def _expanded_below(ev: Evaluator, e: Any) -> Any:
    """A fraction with its denominator multiplied out."""
    bottom = ev.eval(mk(S.Denominator, e))
    if not has_head(bottom, S.Times):
        return None
    return ev.eval(mk(S.Times, mk(S.Numerator, e), mk(S.Power, mk(S.Expand, bottom), -1)))


def _partial_factor(ev: Evaluator, e: Any) -> Any:
    """A sum with its common numeric factor or variable pulled out of the terms that share it."""
    return ev.eval(mk(S.FactorTerms, e)) if has_head(e, S.Plus) else None


def _by_sympy(ev: Evaluator, e: Any, assumptions: dict, full: bool) -> list[Any]:
    sp = sympy()
    out = []
    b = Bridge(assumptions)
    try:
        x = b.to_sympy(e)
    except NotBridged:
        return out
    ways: list[Any] = [lambda: sp.simplify(x)]
    if x.has(sp.sin, sp.cos, sp.tan, sp.sinh, sp.cosh):
        ways += [lambda: sp.trigsimp(x), lambda: sp.fu(x)]
    if x.has(sp.log):
        ways += [lambda: sp.logcombine(x, force=full)]
    if x.has(sp.Pow):
        ways += [lambda: sp.radsimp(x), lambda: sp.sqrtdenest(x), lambda: sp.powsimp(x), lambda: sp.powdenest(x)]
    if x.has(sp.factorial, sp.binomial, sp.gamma):
        ways += [lambda: sp.gammasimp(x), lambda: sp.combsimp(x)]
    if full:
        ways += [lambda: sp.nsimplify(x) if x.is_number else x]
    for w in ways:
        try:
            tree = ev.eval(b.from_sympy(guarded(w)))
        except NotBridged:
            continue
        out.append(tree)
    return out


def _split_options(args: tuple) -> tuple[Any, Any]:
    """(assumptions, rest) of Simplify[e, assumptions, options]."""
    assume = TRUE
    for a in args[1:]:
        if has_head(a, S.Rule):
            if a.args[0] is S.Assumptions:
                assume = a.args[1]
        else:
            assume = a
    return assume, None


def _simplify(full: bool):
    head = S.FullSimplify if full else S.Simplify

    def handler(ev: Evaluator, args: tuple) -> Any:
        e = args[0]
        known = _logic(ev, e, args)
        if known is not None:
            return known
        done = threaded(ev, head, args)
        if done is not None:
            if type(done) is Expr and done.head in (S.Equal, S.Less, S.Greater, S.LessEqual, S.GreaterEqual):
                return _relation(ev, done)
            return done
        assume, _ = _split_options(args)
        facts = assumptions_of(assume)
        if type(e) is Expr and e.head not in _POLYNOMIAL_HEADS:
            inner = Expr(e.head, tuple(_simplify(full)(ev, (a, *args[1:])) if type(a) is Expr else a for a in e.args))
            e = ev.eval(inner)
        out = simplified(ev, e, facts, full)
        for a in assume.args if has_head(assume, S.And) else (assume,):
            if has_head(a, S.Equal) and len(a.args) == 2 and type(a.args[0]) is Symbol and contains(out, a.args[0]):
                out = simplified(ev, ev.eval(mk(S.ReplaceAll, out, mk(S.Rule, *a.args))), facts, full)
        return out

    return handler


def _logic(ev: Evaluator, e: Any, args: tuple) -> Any:
    """Boolean formulas of plain symbols in shortest form; a relation that the assumption settles."""
    if type(e) is not Expr:
        return None
    if e.head in (S.And, S.Or, S.Not, S.Implies, S.Xor) and _boolean(e):
        b = Bridge()
        try:
            return ev.eval(b.from_sympy(guarded(sympy().simplify_logic, b.to_sympy(e))))
        except NotBridged:
            return None
    assume, _ = _split_options(args)
    if assume is TRUE or e.head not in (
        S.Less,
        S.LessEqual,
        S.Greater,
        S.GreaterEqual,
        S.Equal,
        S.Unequal,
        S.Inequality,
    ):
        return None
    if ev.eval(mk(S.Reduce, mk(S.And, assume, mk(S.Not, e)), S.Reals)) is FALSE:
        return TRUE
    if ev.eval(mk(S.Reduce, mk(S.And, assume, e), S.Reals)) is FALSE:
        return FALSE
    return None


def _boolean(e: Any) -> bool:
    if type(e) is Symbol:
        return e.builtin is None or e in (TRUE, FALSE)
    return type(e) is Expr and e.head in (S.And, S.Or, S.Not, S.Implies, S.Xor) and all(_boolean(a) for a in e.args)


def _relation(ev: Evaluator, e: Expr) -> Any:
    if len(e.args) != 2:
        return e
    difference = simplified(ev, ev.eval(mk(S.Plus, e.args[0], mk(S.Times, -1, e.args[1]))), {}, False)
    if difference == 0 and type(difference) is int:
        return TRUE if e.head in (S.Equal, S.LessEqual, S.GreaterEqual) else FALSE
    return e


@builtin("Simplify", arity=(1, None), options="Assumptions")
def simplify(ev: Evaluator, args: tuple) -> Any:
    return _simplify(False)(ev, args)


@builtin("FullSimplify", arity=(1, None), options="Assumptions")
def full_simplify(ev: Evaluator, args: tuple) -> Any:
    return _simplify(True)(ev, args)


@builtin("Refine", arity=(1, 2))
def refine(ev: Evaluator, args: tuple) -> Any:
    facts = assumptions_of(args[1]) if len(args) == 2 else {}
    b = Bridge(facts)
    try:
        return ev.eval(b.from_sympy(guarded(sympy().refine, b.to_sympy(args[0]))))
    except NotBridged:
        return args[0]


@builtin("RootReduce", arity=1)
def root_reduce(ev: Evaluator, args: tuple) -> Any:
    done = threaded(ev, S.RootReduce, args)
    if done is not None:
        return done
    b = Bridge()
    try:
        x = b.to_sympy(ev.eval(_turned_up(ev, args[0])))
        return ev.eval(b.from_sympy(guarded(lambda: sympy().radsimp(sympy().sqrtdenest(sympy().expand(x))))))
    except NotBridged:
        return args[0]


@builtin("ToRadicals", arity=1)
def to_radicals(ev: Evaluator, args: tuple) -> Any:
    """Root objects as the radicals that Solve gives; those without stay."""

    def shown(e: Any) -> Any:
        if type(e) is not Expr:
            return e
        return _radical(ev, e) if e.head is S.Root else Expr(e.head, tuple(map(shown, e.args)))

    return ev.eval(shown(args[0])) if contains(args[0], S.Root) else args[0]


def _radical(ev: Evaluator, e: Expr) -> Any:
    x = Symbol("\x04x")
    c = root_coefficients(e.args[0])
    if c is None:
        return e
    p = plus(*(times(norm(a), mk(S.Power, x, k)) for k, a in enumerate(c)))
    found = ev.call(S.SolveValues, mk(S.Equal, p, 0), x)
    for v in found.args if is_list(found) else ():
        try:
            if not contains(v, S.Root) and difference(v, e) == 0:
                return v
        except (Undefined, Unknown):
            continue
    return e
