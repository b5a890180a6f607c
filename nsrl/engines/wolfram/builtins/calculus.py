"""Limit, Sum, Product, Series and functions given in pieces: closed forms by SymPy, answered when numbers confirm
them."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram import confirm, converging
from nsrl.engines.wolfram.branches import CHOOSING, beside, branching
from nsrl.engines.wolfram.bridge import Bridge, NotBridged, guarded, sympy
from nsrl.engines.wolfram.builtins import series as power_series
from nsrl.engines.wolfram.builtins.algebra import contains
from nsrl.engines.wolfram.builtins.derivatives import negated
from nsrl.engines.wolfram.builtins.simplify import assumptions_of
from nsrl.engines.wolfram.compiled import NotNumeric, compiled
from nsrl.engines.wolfram.expr import FALSE, TRUE, Expr, S, Symbol, has_head, is_list, lst, mk, plus, power, rule, times
from nsrl.engines.wolfram.order import is_number
from nsrl.engines.wolfram.points import Undefined, Unknown, difference
from nsrl.engines.wolfram.realline import sign
from nsrl.engines.wolfram.roots import Cannot, polynomial_in, symbols
from nsrl.engines.wolfram.table import Builtin, table
from nsrl.engines.wolfram.table import symbols as rows_of

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

PROBES = 5  # whole indices at which a summand is compared with its form for an index without value

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
rows_of(TABLE, "InterpolatingFunction Exists ForAll ConditionalExpression Direction Assumptions")


_DIRECTIONS = {"+": (-1, "FromAbove"), "-": (1, "FromBelow"), "+-": (S.Reals, "TwoSided", S.Automatic)}


@builtin("Limit", arity=(2, None), options="Assumptions Direction")
def limit(ev: Evaluator, args: tuple) -> Any:
    rest, facts = [args[0], args[1]], {}
    direction = "+-"
    for a in args[2:]:
        if has_head(a, S.Rule) and a.args[0] is S.Direction:
            v = a.args[1]
            direction = next((way for way, names in _DIRECTIONS.items() if v in names), "")
            if not direction:
                return None
        elif has_head(a, S.Rule) and a.args[0] is S.Assumptions:
            facts = assumptions_of(a.args[1])
        else:
            return None
    e, at = rest
    if is_list(e):
        return ev.eval(lst(Expr(S.Limit, (a, *args[1:])) for a in e.args))
    if not has_head(at, S.Rule) or type(at.args[0]) is not Symbol:
        return None
    x, to = at.args
    if not contains(e, x):
        return e
    if branching(e, x, (*CHOOSING, S.UnitStep)):
        return _beside(ev, e, x, to, direction, args[2:])
    if to is S.Infinity and _factorials(e, x) and converging.dies(e, x, ev.step):
        return 0
    sides = {"+-": (1, -1), "+": (1,), "-": (-1,)}[direction]
    found = _limit_candidate(ev, e, x, to, direction, facts)
    return found if found is not None and converging.limit(e, found, x, to, sides, facts, ev.step) else None


def _beside(ev: Evaluator, e: Any, x: Symbol, to: Any, direction: str, options: tuple) -> Any:
    """The limit of a function given in pieces: that of the piece on the side, and from both sides where they agree."""
    ways = {"+": ("FromAbove",), "-": ("FromBelow",)}.get(direction, ("FromAbove", "FromBelow"))
    at, rest = to, [a for a in options if a.args[0] is not S.Direction]
    if confirm.infinite(to):
        at, ways = None, ("FromBelow",) if to is S.Infinity else ("FromAbove",)
    try:
        pieces = [beside(ev, e, x, at, (w == "FromAbove") == (at is not None)) for w in ways]
        found = [ev.eval(Expr(S.Limit, (f, rule(x, to), rule(S.Direction, w), *rest))) for f, w in zip(pieces, ways)]
        if any(contains(v, S.Limit) or contains(v, S.Null) for v in found):
            return None
        if len(found) == 1 or found[0] == found[1]:
            return found[0]
        return found[0] if not any(map(confirm.infinite, found)) and sign(*found) == 0 else S.Indeterminate
    except Cannot:
        return None


def _factorials(e: Any, x: Symbol) -> bool:
    """Whether e is a product of powers and factorials of polynomials in x alone, where SymPy takes seconds."""
    factors = e.args if has_head(e, S.Times) else (e,)
    calls = [f.args[0] if has_head(f, S.Power) and type(f.args[1]) is int else f for f in factors]
    known = (S.Binomial, S.Factorial, S.Gamma, S.CatalanNumber, S.Power)
    return (
        any(type(f) is Expr and f.head in known[:-1] for f in calls)
        and symbols(e) == {x}
        and all(polynomial_in(f, x) or (f.head in known and all(polynomial_in(a, x) for a in f.args)) for f in calls)
    )


def _limit_candidate(ev: Evaluator, e: Any, x: Symbol, to: Any, direction: str, facts: dict) -> Any:
    b = Bridge(facts)
    try:
        sp = sympy()
        f, v, t = b.to_sympy(e), b.to_sympy(x), b.to_sympy(to)
        if b.opaque:
            return None
        if t in (sp.oo, -sp.oo):
            found = guarded(sp.limit, f, v, t)
        elif direction == "+-":
            right, left = guarded(sp.limit, f, v, t, "+"), guarded(sp.limit, f, v, t, "-")
            if right != left and guarded(sp.simplify, right - left) != 0:
                return S.Indeterminate
            found = right
        else:
            found = guarded(sp.limit, f, v, t, direction)
        if isinstance(found, sp.AccumBounds):
            return S.Indeterminate
        return None if found.has(sp.Limit) else ev.eval(b.from_sympy(found))
    except NotBridged:
        return None


def _iterated(ev: Evaluator, args: tuple, combine: Any) -> Any:
    """Sum and Product: explicit where the range is numeric, else the closed form."""
    e = args[0]
    specs = [a for a in args[1:] if not has_head(a, S.Rule)]
    if not specs:
        return None
    spec = specs[-1] if is_list(specs[-1]) else ev.eval(specs[-1])
    if len(specs) > 1:
        inner = Expr(S.Sum if combine is S.Plus else S.Product, (e, spec))
        return ev.eval(Expr(S.Sum if combine is S.Plus else S.Product, (inner, *specs[:-1])))
    if not is_list(spec):
        return _closed(ev, ev.eval(e), spec, None, None, combine is S.Times) if type(spec) is Symbol else None
    parts = [spec.args[0], *[ev.eval(a) for a in spec.args[1:]]]
    x = parts[0]
    if type(x) is not Symbol:
        n = ev.eval(parts[0])
        return ev.eval(times(n, e) if combine is S.Plus else power(e, n)) if len(parts) == 1 else None
    if len(parts) == 2 and is_list(parts[1]):
        values = list(parts[1].args)
    else:
        low, high = (1, parts[1]) if len(parts) == 2 else (parts[1], parts[2])
        step = parts[3] if len(parts) > 3 else 1
        if all(isinstance(t, (int, Fraction, float)) for t in (low, high, step)) and step != 0:
            count = int((high - low) // step) + 1
            if count > 100_000 and type(step) is int:
                term = _shielded(ev, e, x, low)
                found = None if term is None else _long(ev, term, x, low, high, combine is S.Times)
                if found is not None:
                    return found
            ev.need_length(max(count, 0))
            values = [low + k * step for k in range(max(count, 0))]
        else:
            if len(parts) > 3 and step != 1:
                return None
            term = _shielded(ev, e, x, low)
            return None if term is None else _closed(ev, term, x, low, high, combine is S.Times)
    out = []
    for v in values:
        ev.step()
        out.append(_at(ev, e, x, v))
    return ev.eval(Expr(combine, tuple(out))) if out else (0 if combine is S.Plus else 1)


def _long(ev: Evaluator, e: Any, x: Symbol, low: int, high: int, product: bool) -> Any:
    """A sum of very many terms: the closed form for any number of them, at that number."""
    n = Symbol("\x04n")
    found = _closed(ev, e, x, low, n, product) if type(high) is int else None
    return None if found is None else ev.eval(mk(S.ReplaceAll, found, rule(n, high)))


def _at(ev: Evaluator, e: Any, x: Any, v: Any) -> Any:
    return ev.eval(mk(S.Block, lst((mk(S.Set, x, v),)), e))


def _shielded(ev: Evaluator, e: Any, x: Any, low: Any) -> Any:
    """The summand evaluated with the index free of any value it may have; None where it is another one for whole
    indices.

    A program may look at what the index is (MatchQ, Head, a string's length) and take it for a symbol here.
    """
    term = ev.eval(mk(S.Block, lst((x,)), e))
    if any(_inside(e, h) for h in (S.Sum, S.Product, S.Integrate)):
        return term  # long to evaluate, and looked at by itself
    start = low if type(low) is int else 1
    ev.quiet += 1
    try:
        for v in range(start, start + PROBES):
            try:
                if difference(_at(ev, e, x, v), _at(ev, term, x, v)) != 0:
                    return None
            except (Unknown, Undefined):
                continue  # other symbols, or no value
        return term
    finally:
        ev.quiet -= 1


def _inside(e: Any, h: Symbol) -> bool:
    return type(e) is Expr and (e.head is h or any(_inside(a, h) for a in e.args))


def _closed(ev: Evaluator, e: Any, x: Symbol, low: Any, high: Any, product: bool) -> Any:
    """A sum or product in closed form (indefinite if there are no ends), confirmed; else None."""
    if low is None and product:
        return None
    known = set() if low is None else {s for t in (low, high) for s in _free(t, x)}
    facts = {s: {"integer": True, "positive": True} for s in known}
    for found in _closed_candidates(ev, e, x, low, high, product, facts):
        if low is None:
            right = converging.antidifference(e, found, x, facts, ev.step)
        else:
            right = converging.total(e, found, x, low, high, product, facts, ev.step)
        if right:
            return found
    return None


def _closed_candidates(
    ev: Evaluator, e: Any, x: Symbol, low: Any, high: Any, product: bool, facts: dict
) -> Iterator[Any]:
    """What SymPy finds for the sum or product; for an infinite product also the limit of the finite ones."""
    sp = sympy()
    b = Bridge(facts)
    k = sp.Symbol(x.name, integer=True)
    b.there[x], b.symbols[k] = k, x
    try:
        f = b.to_sympy(e)
        if low is None:
            ends = (sp.Integer(1), k - 1)
        else:
            ends = (b.to_sympy(low), b.to_sympy(high))
        if b.opaque:
            return
        if product:
            yield from _products(ev, b, f, k, *ends)
            return
        found = guarded(sp.summation, f, (k, *ends))
        for value in _values(found, sp.Sum):
            if value in (sp.oo, -sp.oo, sp.zoo):
                ev.message("Sum", "div", "Sum does not converge.")
                return
            yield ev.eval(b.from_sympy(_shortest(value)))
    except NotBridged:
        return


def _values(found: Any, head: Any) -> list[Any]:
    """The values a result of SymPy may have, without those that still hold a sum or product; first the general one."""
    sp = sympy()
    pairs = found.args if isinstance(found, sp.Piecewise) else [(found, sp.true)]
    ordered = sorted(pairs, key=lambda p: isinstance(p[1], sp.Eq))
    return [v for v, _ in ordered if not v.has(head)]


def _shortest(found: Any) -> Any:
    sp = sympy()
    if not found.has(sp.Pow) or found.is_polynomial():
        return guarded(sp.factor, found)
    return guarded(lambda: sp.powsimp(sp.simplify(found)))


def _products(ev: Evaluator, b: Bridge, f: Any, k: Any, low: Any, high: Any) -> Iterator[Any]:
    sp = sympy()
    for value in _values(guarded(sp.product, f, (k, low, high)), sp.Product):
        if value not in (sp.oo, -sp.oo, sp.zoo, sp.nan):
            yield ev.eval(b.from_sympy(guarded(sp.simplify, value)))
    if high is sp.oo:
        n = sp.Symbol("\x04n", integer=True, positive=True)
        for value in _values(guarded(sp.product, f, (k, low, n)), sp.Product):
            yield ev.eval(b.from_sympy(guarded(sp.limit, guarded(sp.simplify, value), n, sp.oo)))


def _free(e: Any, x: Any) -> set:
    from nsrl.engines.wolfram.solver import symbols_in

    return {s for s in symbols_in(e) if s is not x}


def _left(ev: Evaluator, head: Any, args: tuple) -> Any:
    """The call as the real engine leaves it: its summand evaluated."""
    x = args[1].args[0] if is_list(args[1]) and args[1].args else None
    if type(x) is not Symbol:
        return None
    e = _shielded(ev, args[0], x, args[1].args[1] if len(args[1].args) > 2 else 1)
    return None if e is None or e == args[0] else Expr(head, (e, *args[1:]))


@builtin("Sum", "HoldAll", arity=(2, None), options="Assumptions GenerateConditions")
def sum_(ev: Evaluator, args: tuple) -> Any:
    out = _iterated(ev, args, S.Plus)
    return _left(ev, S.Sum, args) if out is None else out


@builtin("Product", "HoldAll", arity=(2, None), options="Assumptions GenerateConditions")
def product(ev: Evaluator, args: tuple) -> Any:
    out = _iterated(ev, args, S.Times)
    return _left(ev, S.Product, args) if out is None else out


@builtin("NSum", "HoldAll", arity=(2, None))
def nsum(ev: Evaluator, args: tuple) -> Any:
    return _numerically(ev, S.Sum, args, converging.infinite_sum)


@builtin("NProduct", "HoldAll", arity=(2, None))
def nproduct(ev: Evaluator, args: tuple) -> Any:
    return _numerically(ev, S.Product, args, converging.infinite_product)


def _numerically(ev: Evaluator, exact: Symbol, args: tuple, endless: Any) -> Any:
    """The number of a sum or product: summed to infinity directly, else from the exact value."""
    spec = args[1]
    if (
        len(args) == 2
        and is_list(spec)
        and len(spec.args) == 3
        and type(spec.args[0]) is Symbol
        and converging.infinite(spec.args[2]) == 1
    ):
        low = ev.eval(spec.args[1])
        try:
            term = _shielded(ev, args[0], spec.args[0], low)
            if term is None:
                return None
            f = compiled(term, (spec.args[0],))
            value = endless(lambda c, n: f(c, (n,)), low, ev.step) if type(low) is int else None
            if value is not None and not getattr(value, "imag", 0):
                return float(value)
        except NotNumeric:
            pass
    value = ev.eval(mk(S.N, Expr(exact, args)))
    return value if is_number(value) else None


@builtin("Series", arity=(2, None))
def series(ev: Evaluator, args: tuple) -> Any:
    e, spec = args[0], args[1]
    if not is_list(spec) or len(spec.args) != 3 or type(spec.args[2]) is not int or type(spec.args[0]) is not Symbol:
        return None
    x, at, n = spec.args
    found = power_series.expansion(ev, e, x, at, n)
    if found is None:
        return None
    low, coefficients, den = found
    return mk(S.SeriesData, x, at, lst(coefficients), low, (n + 1) * den if den == 1 else n * den + 1, den)


@builtin("Normal", arity=1)
def normal(ev: Evaluator, args: tuple) -> Any:
    """A power series as a plain sum, an association as a list of rules; anything else as it is."""
    e = args[0]
    if has_head(e, S.Association):
        return lst(e.args)
    if is_list(e) and any(has_head(a, S.SeriesData) for a in e.args):
        return ev.eval(lst(mk(S.Normal, a) if has_head(a, S.SeriesData) else a for a in e.args))
    if has_head(e, S.FittedModel):
        return e.args[0]
    if has_head(e, S.SeriesData):
        x, at, c, low, _, den = e.args
        base = power(x, -1) if at is S.Infinity else x if at == 0 else plus(x, negated(at))
        terms = [times(v, power(base, Fraction(low + i, den) if (low + i) % den else (low + i) // den))
                 for i, v in enumerate(c.args)]  # fmt: skip
        return ev.eval(Expr(S.Plus, tuple(terms)))
    return e


@builtin("SeriesCoefficient", arity=2)
def series_coefficient(ev: Evaluator, args: tuple) -> Any:
    e, spec = args[:2]
    if (s := power_series.read(e)) is not None and len(args) == 2:
        return power_series.coefficient(s, spec)
    if is_list(spec) and len(spec.args) == 3 and type(spec.args[2]) is int:
        found = power_series.expansion(ev, e, spec.args[0], spec.args[1], spec.args[2])
        if found is None:
            return None
        i = spec.args[2] - found[0]
        return found[1][i] if 0 <= i < len(found[1]) else 0
    return None


@builtin("Piecewise", "HoldAll", arity=(1, 2), data=True)
def piecewise(ev: Evaluator, args: tuple) -> Any:
    pairs = args[0] if is_list(args[0]) else ev.eval(args[0])
    if not is_list(pairs):
        return None
    default = ev.eval(args[1]) if len(args) == 2 else 0
    kept = []
    for p in pairs.args:
        p = p if is_list(p) else ev.eval(p)
        if not is_list(p) or len(p.args) != 2:
            return None
        c = ev.eval(p.args[1])
        if c is FALSE:
            continue
        v = ev.eval(p.args[0])
        if c is TRUE:
            default = v
            if not kept:
                return v
            break
        kept.append(lst((v, c)))
    if not kept:
        return default
    out = mk(S.Piecewise, lst(kept), default)
    return None if out.args == args else out


@builtin("UnitStep", "Listable NumericFunction")
def unit_step(ev: Evaluator, args: tuple) -> Any:
    values = [ev.eval(mk(S.GreaterEqual, a, 0)) for a in args]
    if FALSE in values:
        return 0
    return 1 if all(v is TRUE for v in values) else None


@builtin("HeavisideTheta", "Listable NumericFunction")
def heaviside(ev: Evaluator, args: tuple) -> Any:
    if any(ev.eval(mk(S.Less, a, 0)) is TRUE for a in args):
        return 0
    return 1 if all(ev.eval(mk(S.Greater, a, 0)) is TRUE for a in args) else None


@builtin("InterpolatingPolynomial", arity=2)
def interpolating_polynomial(ev: Evaluator, args: tuple) -> Any:
    """Newton's form, as the real engine writes it; a number for a numeric second argument."""
    data, x = args
    if not is_list(data) or not data.args:
        return None
    points = [tuple(p.args) if is_list(p) and len(p.args) == 2 else (i + 1, p) for i, p in enumerate(data.args)]
    nodes = [p[0] for p in points]
    table = [p[1] for p in points]
    coefficients = [table[0]]
    for k in range(1, len(points)):
        table = [ev.eval(times(plus(table[i + 1], negated(table[i])), power(plus(nodes[i + k], negated(nodes[i])), -1)))
                 for i in range(len(table) - 1)]  # fmt: skip
        coefficients.append(table[0])
    out = coefficients[-1]
    for c, node in zip(reversed(coefficients[:-1]), reversed(nodes[:-1])):
        out = ev.eval(plus(c, times(out, plus(x, negated(node)))))
    return out
