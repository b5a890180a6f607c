"""Integrate: found by a table or by SymPy, answered when numbers confirm it (confirm.py)."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import gcd
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram import confirm
from nsrl.engines.wolfram.branches import between_corners, branching
from nsrl.engines.wolfram.bridge import Bridge, NotBridged, guarded, sympy
from nsrl.engines.wolfram.builtins.algebra import contains
from nsrl.engines.wolfram.builtins.derivatives import HALF, derivative, negated
from nsrl.engines.wolfram.builtins.simplify import assumptions_of
from nsrl.engines.wolfram.expr import Expr, S, Symbol, has_head, is_list, lst, mk, plus, power, rule, times
from nsrl.engines.wolfram.numeric import real_value
from nsrl.engines.wolfram.realline import sign
from nsrl.engines.wolfram.roots import Cannot
from nsrl.engines.wolfram.solver import symbols_in
from nsrl.engines.wolfram.steps import between_jumps
from nsrl.engines.wolfram.table import Builtin, symbols, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
symbols(TABLE, "GenerateConditions PrincipalValue")
_INVERSES = (S.ArcSin, S.ArcCos, S.ArcTan, S.ArcCot, S.ArcSec, S.ArcCsc)
_PERIODIC = (S.Sin, S.Cos, S.Tan, S.Cot, S.Sec, S.Csc)
_STEPS = (S.Floor, S.Ceiling, S.Round, S.IntegerPart, S.FractionalPart, S.Mod, S.Quotient)


def options(args: tuple) -> tuple[list, dict]:
    """(arguments that are no options, what Assumptions say of symbols)."""
    facts: dict = {}
    rest = []
    for a in args:
        if has_head(a, S.Rule):
            if a.args[0] is S.Assumptions:
                facts = assumptions_of(a.args[1])
        else:
            rest.append(a)
    return rest, facts


@builtin("Integrate", arity=(2, None), options="Assumptions GenerateConditions PrincipalValue")
def integrate(ev: Evaluator, args: tuple) -> Any:
    if any(has_head(a, S.Rule) and a.args[0] is S.PrincipalValue for a in args):
        return None
    rest, facts = options(args)
    e = rest[0]
    if _folded(e, {s for spec in rest[1:] for s in symbols_in(spec)}):
        return None
    if has_head(e, S.Equal) or (is_list(e)):
        return ev.eval(Expr(e.head, tuple(Expr(S.Integrate, (a, *args[1:])) for a in e.args)))
    ranges = _ranges(ev, rest[1:])
    for spec in reversed(rest[1:]):
        if type(spec) is Symbol:
            e = _indefinite(ev, e, spec, facts)
        elif is_list(spec) and len(spec.args) == 3 and type(spec.args[0]) is Symbol:
            e = _definite(ev, e, *spec.args, facts, {n: r for n, r in ranges.items() if n is not spec.args[0]})
        else:
            return None
        if e is None:
            return None
    return e


def _folded(e: Any, names: set) -> bool:
    """Whether e holds an inverse of a periodic function, as ArcSin[Sin[x]]: SymPy searches without end."""
    if type(e) is not Expr:
        return False
    if e.head in _INVERSES and any(
        type(a) is Expr and a.head in _PERIODIC and names & set(symbols_in(a)) for a in e.args
    ):
        return True
    return any(_folded(a, names) for a in e.args)


def _ranges(ev: Evaluator, specs: list) -> dict[Symbol, tuple[float, float]]:
    """Where each variable of an iterated integral lies, ends that depend on outer ones taken at the middle of those."""
    out: dict[Symbol, tuple[float, float]] = {}
    for s in specs:
        if not is_list(s) or len(s.args) != 3 or type(s.args[0]) is not Symbol:
            return {}
        middle = lst(rule(n, (a + b) / 2) for n, (a, b) in out.items())
        low, high = (
            None if confirm.infinite(t) else real_value(ev.eval(mk(S.N, mk(S.ReplaceAll, t, middle))))
            for t in s.args[1:]
        )
        if low is not None or high is not None:
            out[s.args[0]] = (high - 3 if low is None else low, low + 3 if high is None else high)
    return out


def _opaque(ev: Evaluator, e: Any, found: Any, x: Symbol) -> bool:
    """Whether D gives e back, for integrands with functions that have no numbers."""
    difference = ev.eval(plus(derivative(ev, found, x), negated(e)))
    return difference == 0 or ev.eval(mk(S.Simplify, difference)) == 0


def _branches(found: Any) -> Iterator[Any]:
    """The values a result of SymPy may have, without those that still hold an integral."""
    values = [v for v, _ in found.args] if isinstance(found, sympy().Piecewise) else [found]
    return (v for v in values if not v.has(sympy().Integral))


def _indefinite(ev: Evaluator, e: Any, x: Symbol, facts: dict) -> Any:
    def right(tree: Any) -> bool:
        return confirm.antiderivative(e, tree, x, facts, ev.step) or (_is_opaque(e, x) and _opaque(ev, e, tree, x))

    native = _elementary(ev, e, x)
    if native is not None and right(native):
        return native
    b = Bridge(facts)
    try:
        for found in _branches(guarded(sympy().integrate, b.to_sympy(e), b.to_sympy(x))):
            tree = ev.eval(b.from_sympy(found))
            if has_head(tree, S.Plus):
                tree = ev.eval(_logs_turned(tree))
            if right(tree):
                return _pulled(ev, tree)
    except NotBridged:
        pass
    return None


def _logs_turned(e: Any) -> Any:
    """Log[x - c] of a positive number c as Log[c - x], as the real engine writes the integrals of fractions."""
    if type(e) is not Expr:
        return e
    if (
        e.head is S.Log
        and len(e.args) == 1
        and has_head(e.args[0], S.Plus)
        and (real_value(e.args[0].args[0]) or 0) < 0
    ):
        return mk(S.Log, mk(S.Expand, negated(e.args[0])))
    return Expr(e.head, tuple([_logs_turned(a) for a in e.args]))


def _is_opaque(e: Any, x: Symbol) -> bool:
    """Whether e holds a call to a function that has no definition: f[x]."""
    if type(e) is not Expr:
        return False
    return (contains(e, x) and (type(e.head) is not Symbol or e.head.builtin is None)) or any(
        _is_opaque(a, x) for a in e.args
    )


def _definite(ev: Evaluator, e: Any, x: Symbol, low: Any, high: Any, facts: dict, ranges: dict) -> Any:
    if contains(e, S.RealAbs):
        e = ev.eval(mk(S.ReplaceAll, e, rule(S.RealAbs, S.Abs)))
    if any(contains(e, h) for h in _STEPS):
        return _stepwise(ev, e, x, low, high, facts, ranges)
    if branching(e, x):
        found = _in_pieces(ev, e, x, low, high, facts, ranges)
        if found is not None:
            return found
    known = {n: {"positive": True} if a >= 0 else {"real": True} for n, (a, b) in ranges.items()} | facts
    if _real_interval(low, high) and any(contains(e, h) for h in (S.Abs, S.Sign, S.Max, S.Min)):
        known = {x: {"real": True}} | known
    conditional: list[Any] = []
    for tree in _definite_candidates(ev, e, x, low, high, known):
        if confirm.definite(e, tree, x, low, high, facts, ranges, ev.step):
            return tree
        conditional.append(tree)
    free = [n for n in _symbols([e, low, high], x) if n not in facts and n not in ranges]
    for tree in conditional if free else ():
        positive = {n: {"positive": True} for n in free}
        if confirm.definite(e, tree, x, low, high, facts | positive, ranges, ev.step):
            tests = [mk(S.Greater, mk(S.Re, n), 0) for n in free]
            return mk(S.ConditionalExpression, tree, tests[0] if len(tests) == 1 else Expr(S.And, tuple(tests)))
    return None


def _stepwise(ev: Evaluator, e: Any, x: Symbol, low: Any, high: Any, facts: dict, ranges: dict) -> Any:
    """The sum of the integrals between the points where Floor and its kin jump."""
    try:
        way = sign(high, low)
        pieces = between_jumps(ev, e, x, *((low, high) if way > 0 else (high, low))) if way else []
    except Cannot:
        return None
    parts = [_definite(ev, f, x, a, b, facts, ranges) for a, b, f in pieces]
    return None if None in parts else ev.eval(times(way, plus(*parts)))


def _in_pieces(ev: Evaluator, e: Any, x: Symbol, low: Any, high: Any, facts: dict, ranges: dict) -> Any:
    """The sum of the integrals between the points where Abs, If and their kin change their formula."""
    ends = [None if confirm.infinite(t) else t for t in (low, high)]
    try:
        way = 1 if None in ends else sign(high, low)
        if not way or (None in ends and (low is S.Infinity or high not in (S.Infinity, ends[1]))):
            return None
        pieces = between_corners(ev, e, x, *ends[::way])
    except Cannot:
        return None
    out = []
    for a, b, f in pieces:
        if contains(f, S.Null):
            return None
        a, b = times(-1, S.Infinity) if a is None else a, S.Infinity if b is None else b
        out.append(_definite(ev, f, x, ev.eval(a), b, facts, ranges))
        if out[-1] is None:
            return None
    return ev.eval(times(way, plus(*out)))


def _symbols(trees: list[Any], x: Symbol) -> list[Symbol]:
    return sorted({s for t in trees for s in symbols_in(t) if s is not x}, key=lambda s: s.name)


def _real_interval(low: Any, high: Any) -> bool:
    return all(confirm.infinite(t) or real_value(t) is not None for t in (low, high))


def _definite_candidates(ev: Evaluator, e: Any, x: Symbol, low: Any, high: Any, facts: dict) -> Iterator[Any]:
    """What the integral may be: an antiderivative at the ends, then what SymPy finds."""
    native = _elementary(ev, e, x)
    if native is not None and not confirm.infinite(low) and not confirm.infinite(high):
        at = [_vanished(ev.eval(mk(S.ReplaceAll, native, rule(x, t)))) for t in (high, low)]
        value = ev.eval(plus(at[0], negated(at[1])))
        yield ev.eval(mk(S.Expand, value)) if _polynomial(e, x) else value
    b = Bridge(facts)
    try:
        found = guarded(sympy().integrate, b.to_sympy(e), tuple(b.to_sympy(t) for t in (x, low, high)))
        for value in _branches(found):
            if value.is_infinite and (value.free_symbols or value is not found):  # or for some parameters alone
                continue
            if value.is_infinite:
                ev.message(
                    "Integrate",
                    "idiv",
                    f"Integral of {ev.text(e)} does not converge on {{{ev.text(low)}, {ev.text(high)}}}.",
                )
                return
            tree = ev.eval(b.from_sympy(value))
            yield ev.eval(mk(S.Simplify, tree)) if _has_root(tree) else tree
    except NotBridged:
        return


def _vanished(e: Any) -> Any:
    """e with 0^n as 0, which it is for each n that the integral is confirmed for."""
    if type(e) is not Expr:
        return e
    return 0 if has_head(e, S.Power) and e.args[0] == 0 else Expr(e.head, tuple(map(_vanished, e.args)))


def _has_root(e: Any) -> bool:
    if type(e) is Expr:
        return (e.head in (S.ArcTan, S.Log, S.Sin, S.Cos)) or any(_has_root(a) for a in e.args)
    return False


def _polynomial(e: Any, x: Any) -> bool:
    if not contains(e, x) or e == x:
        return True
    if type(e) is Expr and e.head in (S.Plus, S.Times):
        return all(_polynomial(a, x) for a in e.args)
    return has_head(e, S.Power) and type(e.args[1]) is int and e.args[1] >= 0 and _polynomial(e.args[0], x)


def _elementary(ev: Evaluator, e: Any, x: Any) -> Any:
    """Integrals by table, in the real engine's form: sums of constants times powers, E^(kx), Sin, Cos of kx."""
    if not contains(e, x):
        return ev.eval(times(e, x))
    if has_head(e, S.Plus):
        parts = [_elementary(ev, a, x) for a in e.args]
        return None if None in parts else ev.eval(Expr(S.Plus, tuple(parts)))
    if has_head(e, S.Times):
        constant = [a for a in e.args if not contains(a, x)]
        rest = [a for a in e.args if contains(a, x)]
        if constant:
            inner = _elementary(ev, rest[0] if len(rest) == 1 else Expr(S.Times, tuple(rest)), x)
            return None if inner is None else ev.eval(times(*constant, inner))
        if (
            len(rest) == 2
            and {a.head for a in rest if type(a) is Expr} == {S.Sin, S.Cos}
            and rest[0].args == rest[1].args
        ):
            slope = ev.eval(derivative(ev, rest[0].args[0], x))
            if not contains(slope, x):
                return ev.eval(times(-HALF, power(slope, -1), power(mk(S.Cos, rest[0].args[0]), 2)))
        if all(type(f) is Expr and f.head in (S.Sin, S.Cos) for f in rest) and any(
            s.builtin is None and s is not x for f in rest for s in symbols_in(f)
        ):
            waves = ev.eval(
                mk(S.Expand, mk(S.TrigReduce, Expr(S.Times, tuple(rest))))
            )  # parameters: SymPy's search has no end
            return _elementary(ev, waves, x) if has_head(waves, S.Plus) else None
        root = _linear_root(ev, rest, x)
        if root is not None:
            return root
        if _polynomial(e, x):
            return _elementary(ev, ev.eval(mk(S.Expand, e)), x) if any(has_head(a, S.Plus) or (
                has_head(a, S.Power) and has_head(a.args[0], S.Plus)) for a in rest) else None  # fmt: skip
        return None
    if e == x:
        return ev.eval(times(HALF, power(x, 2)))
    if has_head(e, S.Power):
        b, n = e.args
        if b == x and not contains(n, x):
            if n == -1:
                return mk(S.Log, x)
            return ev.eval(times(power(x, plus(n, 1)), power(plus(n, 1), -1)))
        if has_head(b, S.Plus) and type(n) is int and n != -1 and n != 0 and not contains(n, x):
            slope = ev.eval(derivative(ev, b, x))
            if not contains(slope, x):
                return ev.eval(times(power(b, n + 1), power(times(n + 1, slope), -1)))
            if n > 0 and _polynomial(b, x):
                return _elementary(ev, ev.eval(mk(S.Expand, e)), x)
        if has_head(b, S.Plus) and n == -1:
            slope = ev.eval(derivative(ev, b, x))
            if not contains(slope, x):
                return ev.eval(times(mk(S.Log, b), power(slope, -1)))
        if n == 2 and type(b) is Expr and b.head in (S.Sec, S.Csc):
            slope = ev.eval(derivative(ev, b.args[0], x))
            if not contains(slope, x):
                f = mk(S.Tan, b.args[0]) if b.head is S.Sec else negated(mk(S.Cot, b.args[0]))
                return ev.eval(times(f, power(slope, -1)))
        if n == 2 and type(b) is Expr and b.head in (S.Sin, S.Cos) and len(b.args) == 1:
            slope = ev.eval(derivative(ev, b.args[0], x))
            if not contains(slope, x):
                wave = times(mk(S.Sin, times(2, b.args[0])), power(times(4, slope), -1))
                return ev.eval(plus(times(HALF, x), negated(wave) if b.head is S.Sin else wave))
        if not contains(b, x):
            slope = ev.eval(derivative(ev, n, x))
            if not contains(slope, x):
                return ev.eval(times(e, power(times(slope, mk(S.Log, b)), -1)))
        return None
    if type(e) is Expr and e.head in _WAVES and len(e.args) == 1:
        slope = ev.eval(derivative(ev, e.args[0], x))
        if not contains(slope, x) and slope != 0:
            f = _WAVES[e.head](e.args[0])
            return ev.eval(times(f, power(slope, -1)))
    return None


def _linear_root(ev: Evaluator, factors: list, x: Symbol) -> Any:
    """The integral of p(x) (a x + b)^(k/m) with a polynomial p: by powers of u = a x + b."""
    roots = [f for f in factors if has_head(f, S.Power) and type(f.args[1]) is Fraction and contains(f.args[0], x)]
    rest = [f for f in factors if f not in roots]
    if len(roots) != 1 or not all(_polynomial(f, x) for f in rest):
        return None
    (base, r), u = roots[0].args, Symbol("\x04u")
    slope = ev.eval(derivative(ev, base, x))
    if contains(slope, x) or base == x:
        return None
    inverse = times(plus(u, negated(ev.eval(mk(S.ReplaceAll, base, rule(x, 0))))), power(slope, -1))
    p = ev.call(
        S.CoefficientList, ev.eval(mk(S.Expand, mk(S.ReplaceAll, Expr(S.Times, tuple(rest)), rule(x, inverse)))), u
    )
    if not is_list(p):
        return None
    terms = [times(c, power(plus(r, k + 1), -1), power(base, k)) for k, c in enumerate(p.args)]
    inside = ev.eval(mk(S.Factor, mk(S.Expand, Expr(S.Plus, tuple(terms)))))
    return ev.eval(times(power(slope, -1), power(base, r + 1), inside))


_WAVES = {
    S.Sin: lambda u: negated(mk(S.Cos, u)),
    S.Cos: lambda u: mk(S.Sin, u),
    S.Tan: lambda u: negated(mk(S.Log, mk(S.Cos, u))),
    S.Cot: lambda u: mk(S.Log, mk(S.Sin, u)),
    S.Sinh: lambda u: mk(S.Cosh, u),
    S.Cosh: lambda u: mk(S.Sinh, u),
}


def _pulled(ev: Evaluator, e: Any) -> Any:
    """A sum of which every term has the same exponential: that, and the common denominator, in front."""
    if not has_head(e, S.Plus):
        return e
    common = None
    k = 1
    for t in e.args:
        factors = list(t.args) if has_head(t, S.Times) else [t]
        own = [f for f in factors if has_head(f, S.Power) and f.args[0] is S.E]
        common = own if common is None else [f for f in common if f in own]
        if isinstance(factors[0], Fraction):
            k = k * factors[0].denominator // gcd(k, factors[0].denominator)
    if not common:
        return e
    inside = Expr(S.Plus, tuple(times(k, t, *[power(f, -1) for f in common]) for t in e.args))
    return ev.eval(times(Fraction(1, k) if k > 1 else 1, *common, ev.eval(inside)))
