"""Calculus: D natively by the rules; Integrate, Limit, Sum, Product, Series, DSolve over the bridge.

Knows nothing of solving equations or of printing.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import gcd
from typing import Any

from nsrl.engines.wolfram import bridge
from nsrl.engines.wolfram.bridge import Bridge, NotBridged, guarded, sympy
from nsrl.engines.wolfram.builtins.algebra import contains
from nsrl.engines.wolfram.builtins.simplify import assumptions_of
from nsrl.engines.wolfram.evaluator import sub_handler
from nsrl.engines.wolfram.expr import COMPLEX, FALSE, TRUE, Expr, S, Symbol, has_head, is_list, lst, mk, rule
from nsrl.engines.wolfram.table import Builtin, symbols, table

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)

HALF = Fraction(1, 2)


def _plus(*a: Any) -> Expr:
    return Expr(S.Plus, a)


def _times(*a: Any) -> Expr:
    return Expr(S.Times, a)


def _power(a: Any, b: Any) -> Expr:
    return mk(S.Power, a, b)


def _neg(a: Any) -> Expr:
    return mk(S.Times, -1, a)


def _minus_square(x: Any) -> Expr:
    """1 - x²"""
    return _plus(1, _neg(_power(x, 2)))


# f -> its derivative at x
_RULES = {
    S.Sin: lambda x: mk(S.Cos, x),
    S.Cos: lambda x: _neg(mk(S.Sin, x)),
    S.Tan: lambda x: _power(mk(S.Sec, x), 2),
    S.Cot: lambda x: _neg(_power(mk(S.Csc, x), 2)),
    S.Sec: lambda x: _times(mk(S.Sec, x), mk(S.Tan, x)),
    S.Csc: lambda x: _neg(_times(mk(S.Cot, x), mk(S.Csc, x))),
    S.ArcSin: lambda x: _power(_minus_square(x), -HALF),
    S.ArcCos: lambda x: _neg(_power(_minus_square(x), -HALF)),
    S.ArcTan: lambda x: _power(_plus(1, _power(x, 2)), -1),
    S.ArcCot: lambda x: _neg(_power(_plus(1, _power(x, 2)), -1)),
    S.ArcSec: lambda x: _times(_power(_plus(1, _neg(_power(x, -2))), -HALF), _power(x, -2)),
    S.ArcCsc: lambda x: _neg(_times(_power(_plus(1, _neg(_power(x, -2))), -HALF), _power(x, -2))),
    S.Sinh: lambda x: mk(S.Cosh, x),
    S.Cosh: lambda x: mk(S.Sinh, x),
    S.Tanh: lambda x: _power(mk(S.Sech, x), 2),
    S.Coth: lambda x: _neg(_power(mk(S.Csch, x), 2)),
    S.Sech: lambda x: _neg(_times(mk(S.Sech, x), mk(S.Tanh, x))),
    S.Csch: lambda x: _neg(_times(mk(S.Coth, x), mk(S.Csch, x))),
    S.ArcSinh: lambda x: _power(_plus(1, _power(x, 2)), -HALF),
    S.ArcCosh: lambda x: _times(_power(_plus(-1, x), -HALF), _power(_plus(1, x), -HALF)),
    S.ArcTanh: lambda x: _power(_minus_square(x), -1),
    S.Erf: lambda x: _times(2, _power(S.E, _neg(_power(x, 2))), _power(S.Pi, -HALF)),
    S.Gamma: lambda x: _times(mk(S.Gamma, x), mk(S.PolyGamma, 0, x)),
    S.Factorial: lambda x: _times(mk(S.Gamma, _plus(1, x)), mk(S.PolyGamma, 0, _plus(1, x))),
}


def derivative(ev: Any, e: Any, x: Any) -> Any:
    """d e / d x, not yet evaluated."""
    if e == x and type(e) is type(x):
        return 1
    if type(e) is not Expr or not contains(e, x):
        return 0
    ev.step()
    h, a = e.head, e.args
    if h is S.Plus or is_list(e):
        return Expr(h, tuple(derivative(ev, t, x) for t in a))
    if h is S.Times:
        return Expr(S.Plus, tuple(Expr(S.Times, (*a[:i], derivative(ev, t, x), *a[i + 1 :]))
                                  for i, t in enumerate(a) if contains(t, x)))  # fmt: skip
    if h is S.Power and len(a) == 2:
        b, n = a
        terms = []
        if contains(b, x) and contains(n, x):
            slopes = derivative(ev, b, x), derivative(ev, n, x)
            return _times(e, _plus(_times(n, slopes[0], _power(b, -1)), _times(slopes[1], mk(S.Log, b))))
        if contains(b, x):
            terms.append(_times(n, _power(b, _plus(n, -1)), derivative(ev, b, x)))
        if contains(n, x):
            terms.append(_times(_power(b, n), mk(S.Log, b), derivative(ev, n, x)))
        return terms[0] if len(terms) == 1 else Expr(S.Plus, tuple(terms))
    if h is S.Log:
        if len(a) == 1:
            return _times(_power(a[0], -1), derivative(ev, a[0], x))
        return derivative(ev, _times(mk(S.Log, a[1]), _power(mk(S.Log, a[0]), -1)), x)
    if h in _RULES and len(a) == 1:
        return _times(_RULES[h](a[0]), derivative(ev, a[0], x))
    if h in (S.Equal, S.Rule):
        return Expr(h, tuple(mk(S.D, t, x) for t in a))
    if h is S.Integrate and len(a) == 2:
        if not is_list(a[1]):
            return a[0] if a[1] == x else mk(S.Integrate, derivative(ev, a[0], x), a[1])
        t, low, high = a[1].args
        out: list[Any] = []
        for limit, s in ((high, 1), (low, -1)):
            out.append(_times(s, mk(S.ReplaceAll, a[0], rule(t, limit)), derivative(ev, limit, x)))
        if contains(a[0], x):
            out.append(mk(S.Integrate, derivative(ev, a[0], x), a[1]))
        return Expr(S.Plus, tuple(out))
    if h is S.Piecewise and is_list(a[0]):
        pairs = lst(lst((derivative(ev, p.args[0], x), p.args[1])) for p in a[0].args)
        return mk(S.Piecewise, pairs, derivative(ev, a[1], x) if len(a) > 1 else 0)
    if h is S.Abs and len(a) == 1:
        return _times(derivative(ev, a[0], x), Expr(Expr(Expr(S.Derivative, (1,)), (S.Abs,)), a))
    if type(h) is Expr and has_head(h.head, S.Derivative) and len(h.args) == 1:
        orders, f = list(h.head.args), h.args[0]
        return _chain(ev, f, orders, a, x)
    return _chain(ev, h, [0] * len(a), a, x)


def _chain(ev: Any, f: Any, orders: list[int], args: tuple, x: Any) -> Any:
    terms = []
    for i, t in enumerate(args):
        if contains(t, x):
            up = [k + (1 if j == i else 0) for j, k in enumerate(orders)]
            terms.append(_times(Expr(Expr(Expr(S.Derivative, tuple(up)), (f,)), args), derivative(ev, t, x)))
    return terms[0] if len(terms) == 1 else Expr(S.Plus, tuple(terms)) if terms else 0


@builtin("D", arity=(1, None))
def d(ev: Any, args: tuple) -> Any:
    e = args[0]
    for spec in args[1:]:
        if has_head(spec, S.Rule):
            continue
        if is_list(spec):
            if len(spec.args) == 2 and type(spec.args[1]) is int and spec.args[1] >= 0:
                for _ in range(spec.args[1]):
                    e = ev.eval(derivative(ev, e, spec.args[0]))
                continue
            if len(spec.args) == 2 and type(spec.args[1]) is Symbol:
                return _nth(ev, e, *spec.args)
            if spec.args and is_list(spec.args[0]):
                n = spec.args[1] if len(spec.args) == 2 else 1
                for _ in range(n if type(n) is int else 1):
                    e = ev.eval(_gradient(e, spec.args[0].args))
                continue
            return None
        if isinstance(spec, (int, float, Fraction, str)):
            ev.message("General", "ivar", f"{ev.text(spec)} is not a valid variable.")
            return None
        e = ev.eval(derivative(ev, e, spec))
    return e


def _gradient(e: Any, names: tuple) -> Any:
    if is_list(e):
        return lst(_gradient(a, names) for a in e.args)
    return lst(mk(S.D, e, n) for n in names)


def _nth(ev: Any, e: Any, x: Any, n: Any) -> Any:
    """The n-th derivative for symbolic n: of powers of E and of sine and cosine."""
    if has_head(e, S.Power) and e.args[0] is S.E and ev.eval(mk(S.D, e.args[1], x)) not in (0,):
        k = ev.eval(mk(S.D, e.args[1], x))
        if not contains(k, x):
            return ev.eval(_times(_power(k, n), e))
    if type(e) is Expr and e.head in (S.Sin, S.Cos) and e.args[0] == x:
        return ev.eval(mk(e.head, _plus(x, _times(n, S.Pi, HALF))))
    return None


@builtin("Dt", arity=(1, None), data=True)
def dt(ev: Any, args: tuple) -> Any:
    if len(args) == 2 and type(args[1]) is Symbol:
        e, x = args
        if type(e) is Symbol:
            return 1 if e is x else None if e.builtin is None else 0
        if not isinstance(e, Expr):
            return 0
        out: list[Any] = []
        from nsrl.engines.wolfram.solver import symbols_in

        for s in symbols_in(e):
            out.append(_times(derivative(ev, e, s), 1 if s is x else mk(S.Dt, s, x)))
        return ev.eval(Expr(S.Plus, tuple(out)))
    return None


@sub_handler("Derivative")
def derivative_of(ev: Any, head: Expr, args: tuple) -> Any:
    """Derivative[n][f]: of a pure function, a named one, or a builtin; Derivative[n][f][x] likewise."""
    if len(args) != 1:
        return None
    orders, f = head.args, args[0]
    if not all(type(n) is int and n >= 0 for n in orders):
        return None
    if not any(orders):
        return f
    if type(f) is Symbol and f not in _RULES and f is not S.Log and f is not S.Exp and f not in ev.down:
        return None
    if type(f) is Expr and f.head is not S.Function:
        return None
    slots = [Symbol(f"\x03{i}") for i in range(len(orders))]
    e = ev.eval(Expr(f, tuple(slots)))
    for n, s in zip(orders, slots):
        for _ in range(n):
            e = ev.eval(derivative(ev, e, s))
    back = lst(rule(s, mk(S.Slot, i + 1)) for i, s in enumerate(slots))
    return mk(S.Function, ev.eval(mk(S.ReplaceAll, e, back)))


@builtin("Grad", arity=(2, 3))
def grad(ev: Any, args: tuple) -> Any:
    return ev.eval(_gradient(args[0], args[1].args)) if is_list(args[1]) else None


@builtin("Div", arity=(2, 3))
def div(ev: Any, args: tuple) -> Any:
    f, names = args[:2]
    if not is_list(f) or not is_list(names) or len(f.args) != len(names.args):
        return None
    return ev.eval(Expr(S.Plus, tuple(mk(S.D, a, n) for a, n in zip(f.args, names.args))))


@builtin("Curl", arity=(2, 3))
def curl(ev: Any, args: tuple) -> Any:
    f, names = args[:2]
    if not is_list(f) or not is_list(names) or len(f.args) != len(names.args):
        return None

    def part(i: int, j: int) -> Any:
        return _plus(mk(S.D, f.args[j], names.args[i]), _neg(mk(S.D, f.args[i], names.args[j])))

    if len(f.args) == 2:
        return ev.eval(part(0, 1))
    if len(f.args) == 3:
        return ev.eval(lst((part(1, 2), part(2, 0), part(0, 1))))
    return None


@builtin("Laplacian", arity=(2, 3))
def laplacian(ev: Any, args: tuple) -> Any:
    if not is_list(args[1]):
        return None
    return ev.eval(Expr(S.Plus, tuple(mk(S.D, args[0], lst((n, 2))) for n in args[1].args)))


# --- integration


def _options(args: tuple) -> tuple[list, dict]:
    facts: dict = {}
    rest = []
    for a in args:
        if has_head(a, S.Rule):
            if a.args[0] is S.Assumptions:
                facts = assumptions_of(a.args[1])
        else:
            rest.append(a)
    return rest, facts


@builtin("Integrate", arity=(2, None))
def integrate(ev: Any, args: tuple) -> Any:
    rest, facts = _options(args)
    e = rest[0]
    if has_head(e, S.Equal) or (is_list(e)):
        return ev.eval(Expr(e.head, tuple(Expr(S.Integrate, (a, *args[1:])) for a in e.args)))
    for spec in reversed(rest[1:]):
        e = _integral(ev, e, spec, facts)
        if e is None:
            return None
    return e


def _integral(ev: Any, e: Any, spec: Any, facts: dict) -> Any:
    b = Bridge(facts)
    try:
        if type(spec) is Symbol:
            native = _elementary(ev, e, spec)
            if native is not None:
                return native
            found = guarded(sympy().integrate, b.to_sympy(e), b.to_sympy(spec))
        elif is_list(spec) and len(spec.args) == 3 and type(spec.args[0]) is Symbol:
            x, low, high = spec.args
            native = _elementary(ev, e, x)
            if native is not None and _finite(low) and _finite(high) and _entire(e, x):
                at = [ev.eval(mk(S.ReplaceAll, native, rule(x, t))) for t in (high, low)]
                return ev.eval(mk(S.Expand, _plus(at[0], _neg(at[1]))) if _polynomial(e, x) else _plus(at[0], _neg(at[1])))
            found = guarded(sympy().integrate, b.to_sympy(e), tuple(b.to_sympy(t) for t in (x, low, high)))
        else:
            return None
        if isinstance(found, sympy().Piecewise):
            found = found.args[0][0]
        if found.has(sympy().Integral):
            return None
        tree = ev.eval(b.from_sympy(found))
    except NotBridged:
        return None
    if is_list(spec):
        if found.is_infinite:
            ev.message("Integrate", "idiv", f"Integral of {ev.text(e)} does not converge on {{{ev.text(spec.args[1])}, {ev.text(spec.args[2])}}}.")
            return None
        return ev.eval(mk(S.Simplify, tree)) if _has_root(tree) else tree
    return _pulled(ev, tree)


def _has_root(e: Any) -> bool:
    if type(e) is Expr:
        return (e.head in (S.ArcTan, S.Log, S.Sin, S.Cos)) or any(_has_root(a) for a in e.args)
    return False


def _finite(e: Any) -> bool:
    return not contains(e, S.Infinity)


def _polynomial(e: Any, x: Any) -> bool:
    if not contains(e, x) or e == x:
        return True
    if type(e) is Expr and e.head in (S.Plus, S.Times):
        return all(_polynomial(a, x) for a in e.args)
    return has_head(e, S.Power) and type(e.args[1]) is int and e.args[1] >= 0 and _polynomial(e.args[0], x)


def _entire(e: Any, x: Any) -> bool:
    """Whether e has no pole on the real line: polynomials, E^x, Sin, Cos of such."""
    if not contains(e, x) or e == x:
        return True
    if type(e) is Expr:
        if e.head in (S.Plus, S.Times, S.Sin, S.Cos):
            return all(_entire(a, x) for a in e.args)
        if e.head is S.Power:
            return (type(e.args[1]) is int and e.args[1] >= 0 and _entire(e.args[0], x)) or (
                not contains(e.args[0], x) and _entire(e.args[1], x))  # fmt: skip
    return False


def _elementary(ev: Any, e: Any, x: Any) -> Any:
    """Integrals by table, in the real engine's form: sums of constants times powers, E^(kx), Sin, Cos of kx."""
    if not contains(e, x):
        return ev.eval(_times(e, x))
    if has_head(e, S.Plus):
        parts = [_elementary(ev, a, x) for a in e.args]
        return None if None in parts else ev.eval(Expr(S.Plus, tuple(parts)))
    if has_head(e, S.Times):
        constant = [a for a in e.args if not contains(a, x)]
        rest = [a for a in e.args if contains(a, x)]
        if constant:
            inner = _elementary(ev, rest[0] if len(rest) == 1 else Expr(S.Times, tuple(rest)), x)
            return None if inner is None else _distributed(ev, constant, inner)
        if len(rest) == 2 and {a.head for a in rest if type(a) is Expr} == {S.Sin, S.Cos} and rest[0].args == rest[1].args:
            slope = ev.eval(derivative(ev, rest[0].args[0], x))
            if not contains(slope, x):
                return ev.eval(_times(-HALF, _power(slope, -1), _power(mk(S.Cos, rest[0].args[0]), 2)))
        if _polynomial(e, x):
            return _elementary(ev, ev.eval(mk(S.Expand, e)), x) if any(has_head(a, S.Plus) or (
                has_head(a, S.Power) and has_head(a.args[0], S.Plus)) for a in rest) else None  # fmt: skip
        return None
    if e == x:
        return ev.eval(_times(HALF, _power(x, 2)))
    if has_head(e, S.Power):
        b, n = e.args
        if b == x and not contains(n, x):
            if n == -1:
                return mk(S.Log, x)
            return ev.eval(_times(_power(x, _plus(n, 1)), _power(_plus(n, 1), -1)))
        if has_head(b, S.Plus) and type(n) is int and n != -1 and n != 0 and not contains(n, x):
            slope = ev.eval(derivative(ev, b, x))
            if not contains(slope, x):
                return ev.eval(_times(_power(b, n + 1), _power(_times(n + 1, slope), -1)))
            if n > 0 and _polynomial(b, x):
                return _elementary(ev, ev.eval(mk(S.Expand, e)), x)
        if has_head(b, S.Plus) and n == -1:
            slope = ev.eval(derivative(ev, b, x))
            if not contains(slope, x):
                return ev.eval(_times(mk(S.Log, b), _power(slope, -1)))
        if n == 2 and type(b) is Expr and b.head in (S.Sec, S.Csc):
            slope = ev.eval(derivative(ev, b.args[0], x))
            if not contains(slope, x):
                f = mk(S.Tan, b.args[0]) if b.head is S.Sec else _neg(mk(S.Cot, b.args[0]))
                return ev.eval(_times(f, _power(slope, -1)))
        if n == 2 and type(b) is Expr and b.head in (S.Sin, S.Cos) and len(b.args) == 1:
            slope = ev.eval(derivative(ev, b.args[0], x))
            if not contains(slope, x):
                wave = _times(mk(S.Sin, _times(2, b.args[0])), _power(_times(4, slope), -1))
                return ev.eval(_plus(_times(HALF, x), _neg(wave) if b.head is S.Sin else wave))
        if not contains(b, x):
            slope = ev.eval(derivative(ev, n, x))
            if not contains(slope, x):
                return ev.eval(_times(e, _power(_times(slope, mk(S.Log, b)), -1)))
        return None
    if type(e) is Expr and e.head in _WAVES and len(e.args) == 1:
        slope = ev.eval(derivative(ev, e.args[0], x))
        if not contains(slope, x) and slope != 0:
            f = _WAVES[e.head](e.args[0])
            return ev.eval(_times(f, _power(slope, -1)))
    return None


_WAVES = {
    S.Sin: lambda u: _neg(mk(S.Cos, u)),
    S.Cos: lambda u: mk(S.Sin, u),
    S.Tan: lambda u: _neg(mk(S.Log, mk(S.Cos, u))),
    S.Cot: lambda u: mk(S.Log, mk(S.Sin, u)),
    S.Sinh: lambda u: mk(S.Cosh, u),
    S.Cosh: lambda u: mk(S.Sinh, u),
}


def _pulled(ev: Any, e: Any) -> Any:
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
    inside = Expr(S.Plus, tuple(_times(k, t, *[_power(f, -1) for f in common]) for t in e.args))
    return ev.eval(_times(Fraction(1, k) if k > 1 else 1, *common, ev.eval(inside)))


def _distributed(ev: Any, constant: list, inner: Any) -> Any:
    if has_head(inner, S.Plus):
        return ev.eval(_times(*constant, inner))
    return ev.eval(_times(*constant, inner))


@builtin("NIntegrate", "HoldAll", arity=(2, None))
def nintegrate(ev: Any, args: tuple) -> Any:
    f = args[0]
    specs = [ev.eval(a) if not is_list(a) else a for a in args[1:]]
    specs = [s for s in specs if not has_head(s, S.Rule)]
    if not all(is_list(s) and len(s.args) >= 3 and type(s.args[0]) is Symbol for s in specs):
        return None
    f = ev.eval(f)
    value = _quadrature(ev, f, specs)
    return value


def _quadrature(ev: Any, f: Any, specs: list) -> Any:
    """Tanh-sinh quadrature, nested for several variables."""
    spec, inner = specs[0], specs[1:]
    x = spec.args[0]
    ends = [ev.eval(mk(S.N, t)) for t in spec.args[1:]]
    if len(ends) > 2:
        parts = [_quadrature(ev, f, [lst((x, a, b)), *inner]) for a, b in pairwise(ends)]
        return None if None in parts else sum(parts)
    low, high = (_real_or_infinite(t) for t in ends)
    if low is None or high is None:
        return None
    from mpmath import mp, quad

    failed = []

    def at(t: Any) -> Any:
        ev.step(3)
        t = float(t)
        g = ev.eval(mk(S.ReplaceAll, f, rule(x, t)))
        if inner:
            here = [lst((s.args[0], *[ev.eval(mk(S.ReplaceAll, a, rule(x, t))) for a in s.args[1:]])) for s in inner]
            v = _quadrature(ev, g, here)
        else:
            v = ev.eval(mk(S.N, g))
        if not isinstance(v, (int, float)):
            if has_head(v, COMPLEX) and all(isinstance(a, (int, float)) for a in v.args):
                return mp.mpc(*v.args)
            if not isinstance(v, (int, float)) and (v is S.ComplexInfinity or v is S.Indeterminate or contains(v, S.Infinity)):
                return mp.mpf(0)
            failed.append(v)
            return mp.mpf(0)
        return mp.mpf(v)

    ev.quiet += 1
    try:
        value = quad(at, [low, high], maxdegree=6 if not inner else 4)
    finally:
        ev.quiet -= 1
    if failed:
        ev.message("NIntegrate", "inumr", f"The integrand {ev.text(f)} has evaluated to non-numerical values for all sampling points.")
        return None
    if hasattr(value, "imag") and abs(value.imag) > 1e-14:
        return mk(COMPLEX, float(value.real), float(value.imag))
    return float(value.real if hasattr(value, "real") else value)


def _real_or_infinite(t: Any) -> Any:
    from mpmath import inf

    if isinstance(t, (int, float, Fraction)):
        return float(t)
    if t is S.Infinity:
        return inf
    return -inf if contains(t, S.Infinity) else None


# --- limits, sums, series


@builtin("Limit", arity=(2, None))
def limit(ev: Any, args: tuple) -> Any:
    rest, facts = [args[0], args[1]], {}
    direction = "+-"
    for a in args[2:]:
        if has_head(a, S.Rule) and a.args[0] is S.Direction:
            v = a.args[1]
            direction = "+" if v in (-1, "FromAbove") else "-" if v in (1, "FromBelow") else "+-"
        elif has_head(a, S.Rule) and a.args[0] is S.Assumptions:
            facts = assumptions_of(a.args[1])
    e, at = rest
    if is_list(e):
        return ev.eval(lst(Expr(S.Limit, (a, *args[1:])) for a in e.args))
    if not has_head(at, S.Rule) or type(at.args[0]) is not Symbol:
        return None
    x, to = at.args
    if not contains(e, x):
        return e
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
                if isinstance(right, sp.AccumBounds) or isinstance(left, sp.AccumBounds):
                    return S.Indeterminate
                return S.Indeterminate
            found = right
        else:
            found = guarded(sp.limit, f, v, t, direction)
        if isinstance(found, sp.AccumBounds):
            return S.Indeterminate
        if found.has(sp.Limit):
            return None
        return ev.eval(b.from_sympy(found))
    except NotBridged:
        return None


def _iterated(ev: Any, args: tuple, combine: Any, symbolic: Any) -> Any:
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
        return symbolic(ev, ev.eval(e), spec, None, None) if type(spec) is Symbol else None
    parts = [spec.args[0], *[ev.eval(a) for a in spec.args[1:]]]
    x = parts[0]
    if type(x) is not Symbol:
        n = ev.eval(parts[0])
        return ev.eval(_times(n, e) if combine is S.Plus else _power(e, n)) if len(parts) == 1 else None
    if len(parts) == 2 and is_list(parts[1]):
        values = list(parts[1].args)
    else:
        low, high = (1, parts[1]) if len(parts) == 2 else (parts[1], parts[2])
        step = parts[3] if len(parts) > 3 else 1
        if all(isinstance(t, (int, Fraction, float)) for t in (low, high, step)) and step != 0:
            count = int((high - low) // step) + 1
            if count > 100_000 and type(step) is int:
                found = symbolic(ev, ev.eval(e), x, low, high)
                if found is not None:
                    return found
            ev.need_length(max(count, 0))
            values = [low + k * step for k in range(max(count, 0))]
        else:
            if len(parts) > 3 and step != 1:
                return None
            return symbolic(ev, _shielded(ev, e, x), x, low, high)
    out = []
    for v in values:
        ev.step()
        out.append(_at(ev, e, x, v))
    return ev.eval(Expr(combine, tuple(out))) if out else (0 if combine is S.Plus else 1)


def _at(ev: Any, e: Any, x: Any, v: Any) -> Any:
    return ev.eval(mk(S.Block, lst((mk(S.Set, x, v),)), e))


def _shielded(ev: Any, e: Any, x: Any) -> Any:
    """The summand evaluated with the index free of any value it may have."""
    return ev.eval(mk(S.Block, lst((x,)), e))


def _closed_sum(ev: Any, e: Any, x: Any, low: Any, high: Any) -> Any:
    b = Bridge()
    try:
        sp = sympy()
        k = sp.Symbol(x.name, integer=True)
        b.there[x], b.symbols[k] = k, x
        for s in _free(e, x) | (_free(high, x) if high is not None else set()):
            n = sp.Symbol(s.name, integer=True, positive=True) if high is not None and contains(high, s) else None
            if n is not None:
                b.there[s], b.symbols[n] = n, s
        f = b.to_sympy(e)
        if b.opaque:
            return None
        if low is None:
            found = guarded(sp.summation, f, (k, sp.Integer(1), k - 1))
        else:
            found = guarded(sp.summation, f, (k, b.to_sympy(low), b.to_sympy(high)))
        if isinstance(found, sp.Piecewise):
            found = next((v for v, c in found.args if not isinstance(c, sp.Eq) and not v.has(sp.Sum)), found)
        if found.has(sp.Sum):
            return None
        if found in (sp.oo, -sp.oo, sp.zoo):
            ev.message("Sum", "div", "Sum does not converge.")
            return None
        if not found.has(sp.Pow) or found.is_polynomial():
            found = guarded(sp.factor, found)
        else:
            found = guarded(lambda: sp.powsimp(sp.simplify(found)))
        return ev.eval(b.from_sympy(found))
    except NotBridged:
        return None


def _free(e: Any, x: Any) -> set:
    from nsrl.engines.wolfram.solver import symbols_in

    return {s for s in symbols_in(e) if s is not x}


def _closed_product(ev: Any, e: Any, x: Any, low: Any, high: Any) -> Any:
    if low is None:
        return None
    b = Bridge()
    try:
        sp = sympy()
        k = sp.Symbol(x.name, integer=True)
        b.there[x], b.symbols[k] = k, x
        for s in _free(high, x):
            n = sp.Symbol(s.name, integer=True, positive=True)
            b.there[s], b.symbols[n] = n, s
        f = b.to_sympy(e)
        found = guarded(sp.product, f, (k, b.to_sympy(low), b.to_sympy(high)))
        if b.opaque or found.has(sp.Product):
            return None
        return ev.eval(b.from_sympy(guarded(sp.simplify, found)))
    except NotBridged:
        return None


def _left(ev: Any, head: Any, args: tuple) -> Any:
    """The call as the real engine leaves it: its summand evaluated."""
    x = args[1].args[0] if is_list(args[1]) and args[1].args else None
    if type(x) is not Symbol:
        return None
    e = _shielded(ev, args[0], x)
    return None if e == args[0] else Expr(head, (e, *args[1:]))


@builtin("Sum", "HoldAll", arity=(2, None))
def sum_(ev: Any, args: tuple) -> Any:
    out = _iterated(ev, args, S.Plus, _closed_sum)
    return _left(ev, S.Sum, args) if out is None else out


@builtin("Product", "HoldAll", arity=(2, None))
def product(ev: Any, args: tuple) -> Any:
    out = _iterated(ev, args, S.Times, _closed_product)
    return _left(ev, S.Product, args) if out is None else out


@builtin("NSum NProduct", "HoldAll", arity=(2, None))
def nsum(ev: Any, args: tuple) -> Any:
    exact = ev.eval(Expr(S.Sum, args))
    return None if has_head(exact, S.Sum) else ev.eval(mk(S.N, exact))


@builtin("Series", arity=(2, None))
def series(ev: Any, args: tuple) -> Any:
    e, spec = args[0], args[1]
    if not is_list(spec) or len(spec.args) != 3 or type(spec.args[2]) is not int or type(spec.args[0]) is not Symbol:
        return None
    x, at, n = spec.args
    found = series_coefficients(ev, e, x, at, n)
    if found is None:
        return None
    low, coefficients, den = found
    return mk(S.SeriesData, x, at, lst(coefficients), low, (n + 1) * den if den == 1 else n * den + 1, den)


def series_coefficients(ev: Any, e: Any, x: Any, at: Any, n: int) -> tuple[int, list, int] | None:
    """(lowest exponent, coefficients, denominator) of the expansion up to (x - at)^n."""
    b = Bridge()
    try:
        sp = sympy()
        t = sp.Symbol("\x04t", positive=True)
        X = b.to_sympy(x)
        f = b.to_sympy(e)
        if b.opaque:
            return None
        infinite = at is S.Infinity
        g = f.subs(X, 1 / t if infinite else t + b.to_sympy(at))
        s = guarded(lambda: sp.series(g, t, 0, n + 1).removeO())
        s = guarded(sp.expand, s)
        terms: dict[int, Any] = {}
        for term in sp.Add.make_args(s):
            c, p = term.as_coeff_exponent(t)
            if not p.is_Integer:
                return None
            if int(p) <= n:
                terms[int(p)] = terms.get(int(p), 0) + c
        terms = {k: c for k, c in terms.items() if c != 0}
        if not terms:
            return n + 1, [], 1
        low, high = min(terms), max(terms)
        return low, [ev.eval(b.from_sympy(terms.get(k, sp.Integer(0)))) for k in range(low, high + 1)], 1
    except NotBridged:
        return None


@builtin("Normal", arity=(1, 2))
def normal(ev: Any, args: tuple) -> Any:
    """A power series as a plain sum, an association as a list of rules; anything else as it is."""
    e = args[0]
    if has_head(e, S.Association):
        return lst(e.args)
    if has_head(e, S.FittedModel):
        return e.args[0]
    if has_head(e, S.SeriesData):
        x, at, c, low, _, den = e.args
        base = _power(x, -1) if at is S.Infinity else x if at == 0 else _plus(x, _neg(at))
        terms = [_times(v, _power(base, Fraction(low + i, den) if (low + i) % den else (low + i) // den))
                 for i, v in enumerate(c.args)]  # fmt: skip
        return ev.eval(Expr(S.Plus, tuple(terms)))
    return e


@builtin("SeriesCoefficient", arity=(2, None))
def series_coefficient(ev: Any, args: tuple) -> Any:
    e, spec = args[:2]
    if has_head(e, S.SeriesData) and type(spec) is int:
        i = spec - e.args[3]
        return e.args[2].args[i] if 0 <= i < len(e.args[2].args) else 0
    if is_list(spec) and len(spec.args) == 3 and type(spec.args[2]) is int:
        found = series_coefficients(ev, e, spec.args[0], spec.args[1], spec.args[2])
        if found is None:
            return None
        i = spec.args[2] - found[0]
        return found[1][i] if 0 <= i < len(found[1]) else 0
    return None


symbols(TABLE, "SeriesData InterpolatingFunction Exists ForAll O ConditionalExpression Direction Assumptions GenerateConditions PrincipalValue Derivative")


# --- differential equations


@builtin("DSolve DSolveValue", arity=3)
def dsolve(ev: Any, args: tuple) -> Any:
    return _dsolve(ev, args, False)


def _dsolve(ev: Any, args: tuple, value: bool) -> Any:
    what, target, x = args
    if is_list(target):
        target = target.args[0] if len(target.args) == 1 else target
    if type(x) is not Symbol:
        return None
    f = target.head if type(target) is Expr else target
    if type(f) is not Symbol:
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
            if h in (S.Plus, S.Times, S.Power) :
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
            tree = ev.eval(mk(S.Expand, b.from_sympy(r))) if not init else ev.eval(b.from_sympy(guarded(sp.simplify, r)))
            out.append(tree)
    except NotBridged:
        return None
    if value:
        return out[0]
    if type(target) is Expr:
        return lst(lst((rule(target, t),)) for t in out)
    return lst(lst((rule(f, mk(S.Function, lst((x,)), t)),)) for t in out)


def _constants_in_order(r: Any, x: Any) -> Any:
    """C[1] Cos + C[2] Sin and C[1] E^x + C[2] E^-x, as the real engine numbers them."""
    sp = sympy()
    c1, c2 = sp.Symbol("C1"), sp.Symbol("C2")
    e = sp.expand(r)
    if not e.has(c1) or not e.has(c2):
        return r
    f1, f2 = e.coeff(c1), e.coeff(c2)
    swapped = (isinstance(f1, sp.sin) and isinstance(f2, sp.cos)) or (
        isinstance(f1, sp.exp) and isinstance(f2, sp.exp) and f1.args[0] == -f2.args[0] and f2.args[0].coeff(x).is_positive)  # fmt: skip
    return r.subs({c1: c2, c2: c1}, simultaneous=True) if swapped else r


TABLE["DSolveValue"].handler = lambda ev, args: _dsolve(ev, args, True)


# --- pieces


@builtin("Piecewise", "HoldAll", arity=(1, 2), data=True)
def piecewise(ev: Any, args: tuple) -> Any:
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
def unit_step(ev: Any, args: tuple) -> Any:
    values = [ev.eval(mk(S.GreaterEqual, a, 0)) for a in args]
    if FALSE in values:
        return 0
    return 1 if all(v is TRUE for v in values) else None


@builtin("HeavisideTheta", "Listable NumericFunction")
def heaviside(ev: Any, args: tuple) -> Any:
    if any(ev.eval(mk(S.Less, a, 0)) is TRUE for a in args):
        return 0
    return 1 if all(ev.eval(mk(S.Greater, a, 0)) is TRUE for a in args) else None


@builtin("InterpolatingPolynomial", arity=2)
def interpolating_polynomial(ev: Any, args: tuple) -> Any:
    """Newton's form, as the real engine writes it; a number for a numeric second argument."""
    data, x = args
    if not is_list(data) or not data.args:
        return None
    points = [tuple(p.args) if is_list(p) and len(p.args) == 2 else (i + 1, p) for i, p in enumerate(data.args)]
    nodes = [p[0] for p in points]
    table = [p[1] for p in points]
    coefficients = [table[0]]
    for k in range(1, len(points)):
        table = [ev.eval(_times(_plus(table[i + 1], _neg(table[i])), _power(_plus(nodes[i + k], _neg(nodes[i])), -1)))
                 for i in range(len(table) - 1)]  # fmt: skip
        coefficients.append(table[0])
    out = coefficients[-1]
    for c, node in zip(reversed(coefficients[:-1]), reversed(nodes[:-1])):
        out = ev.eval(_plus(c, _times(out, _plus(x, _neg(node)))))
    return out
