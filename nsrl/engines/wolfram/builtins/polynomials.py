"""Polynomials beyond algebra.py: square-free lists, decomposition, extended gcd, reduction, minimal polynomials.

All go over the bridge. Knows nothing of equations.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from nsrl.engines.wolfram.bridge import Bridge, NotBridged, guarded, sympy
from nsrl.engines.wolfram.evaluator import sub_handler
from nsrl.engines.wolfram.expr import Expr, S, Symbol, is_list, lst, mk, norm, plus, times
from nsrl.engines.wolfram.table import Builtin, table

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
_NUMERIC = "Listable NumericFunction"

_MAX_CYCLOTOMIC = 5000


def _expanded(ev: Any, b: Bridge, e: Any) -> Any:
    return ev.eval(mk(S.Expand, b.from_sympy(e.as_expr() if hasattr(e, "as_expr") else e)))


@builtin("FactorSquareFreeList", arity=1)
def factor_square_free_list(ev: Any, args: tuple) -> Any:
    b = Bridge()
    try:
        number, parts = guarded(sympy().sqf_list, b.to_sympy(args[0]))
        parts = sorted(parts, key=lambda p: -p[1])
        return lst([lst((ev.eval(b.from_sympy(number)), 1)), *(lst((_expanded(ev, b, p), int(k))) for p, k in parts)])
    except NotBridged:
        return None


@builtin("Interpolation", arity=(1, 3), takes="matrix")
def interpolation(ev: Any, args: tuple) -> Any:
    """Of at most four points, where the default cubic is one polynomial; longer tables are splines of the kernel's own."""
    points = sorted(p.args for p in args[0].args if len(p.args) == 2 and all(isinstance(x, (int, float, Fraction)) for x in p.args))
    if len(args) > 1 or not 2 <= len(points) == len(args[0].args) <= 4 or len({x for x, _ in points}) < len(points):
        return None
    return mk(S.InterpolatingFunction, lst((lst((points[0][0], points[-1][0])),)), lst(map(lst, points)))


@sub_handler("InterpolatingFunction")
def _interpolated(ev: Any, head: Expr, args: tuple) -> Any:
    if len(args) != 1 or not isinstance(args[0], (int, float, Fraction)) or len(head.args) != 2:
        return None
    points, x = [p.args for p in head.args[1].args], args[0]
    if not points[0][0] <= x <= points[-1][0]:
        return None
    out = 0
    for i, (a, y) in enumerate(points):
        for j, (b, _) in enumerate(points):
            y = y if i == j else y * (x - b) / (a - b) if float in (type(x), type(a), type(b), type(y)) else Fraction(y) * (x - b) / (a - b)
        out += y
    return norm(out) if type(out) is Fraction else out


@builtin("Decompose", arity=2)
def decompose(ev: Any, args: tuple) -> Any:
    b = Bridge()
    try:
        parts = guarded(sympy().decompose, b.to_sympy(args[0]), b.to_sympy(args[1]))
        return lst(_expanded(ev, b, p) for p in parts)
    except NotBridged:
        return None


@builtin("Cyclotomic", "Listable", arity=2)
def cyclotomic(ev: Any, args: tuple) -> Any:
    if type(args[0]) is not int or not 0 < args[0] <= _MAX_CYCLOTOMIC:
        return 1 if args[0] == 0 else None
    sp = sympy()
    z = sp.Symbol("z")
    p = guarded(sp.cyclotomic_poly, args[0], z)
    coefficients = [int(c) for c in sp.Poly(p, z).all_coeffs()]
    n = len(coefficients) - 1
    return ev.eval(mk(S.Plus, *(mk(S.Times, c, mk(S.Power, args[1], n - i)) for i, c in enumerate(coefficients) if c)))


@builtin("MinimalPolynomial", arity=2)
def minimal_polynomial(ev: Any, args: tuple) -> Any:
    b = Bridge()
    try:
        return _expanded(ev, b, guarded(sympy().minimal_polynomial, b.to_sympy(args[0]), b.to_sympy(args[1])))
    except NotBridged:
        return None


@builtin("PolynomialExtendedGCD", arity=3)
def extended_gcd(ev: Any, args: tuple) -> Any:
    b = Bridge()
    try:
        s, t, g = guarded(sympy().gcdex, b.to_sympy(args[0]), b.to_sympy(args[1]), b.to_sympy(args[2]))
        return lst((_expanded(ev, b, g), lst((_expanded(ev, b, s), _expanded(ev, b, t)))))
    except NotBridged:
        return None


@builtin("PolynomialReduce", arity=3)
def polynomial_reduce(ev: Any, args: tuple) -> Any:
    if not is_list(args[1]) or not is_list(args[2]) or not args[1].args:
        return None
    b = Bridge()
    try:
        divisors = [b.to_sympy(p) for p in args[1].args]
        quotients, rest = guarded(sympy().reduced, b.to_sympy(args[0]), divisors, *(b.to_sympy(v) for v in args[2].args))
        return lst((lst(_expanded(ev, b, q) for q in quotients), _expanded(ev, b, rest)))
    except NotBridged:
        return None


@builtin("SymmetricReduction", arity=(2, 3), takes="any list list")
def symmetric_reduction(ev: Any, args: tuple) -> Any:
    if not is_list(args[1]) or not args[1].args:
        return None
    b = Bridge()
    sp = sympy()
    try:
        gens = [b.to_sympy(v) for v in args[1].args]
        marks = sp.symbols(f"m1:{len(gens) + 1}", cls=sp.Dummy)
        symmetric, rest, _ = guarded(sp.symmetrize, b.to_sympy(args[0]), *gens, formal=True, symbols=marks)
        if len(args) == 3:
            values = [b.to_sympy(v) for v in args[2].args]
        else:
            values = [b.to_sympy(ev.eval(mk(S.SymmetricPolynomial, k + 1, args[1]))) for k in range(len(gens))]
        symmetric = symmetric.subs(dict(zip(marks, values)), simultaneous=True)
        return lst((ev.eval(b.from_sympy(symmetric)), _expanded(ev, b, rest)))
    except NotBridged:
        return None


@builtin("Residue", arity=2)
def residue(ev: Any, args: tuple) -> Any:
    if not is_list(args[1]) or len(args[1].args) != 2:
        return None
    b = Bridge()
    try:
        x, at = (b.to_sympy(a) for a in args[1].args)
        return ev.eval(mk(S.Simplify, b.from_sympy(guarded(sympy().residue, b.to_sympy(args[0]), x, at))))
    except NotBridged:
        return None


@builtin("JordanDecomposition", arity=1)
def jordan_decomposition(ev: Any, args: tuple) -> Any:
    from nsrl.engines.wolfram.builtins.linalg import from_matrix, rows, to_matrix

    m = rows(args[0])
    if m is None or len(m) != len(m[0]) or any(isinstance(x, float) for r in m for x in r):
        return None
    b = Bridge()
    try:
        p, j = guarded(to_matrix(b, m).jordan_form)
        return lst((from_matrix(ev, b, p), from_matrix(ev, b, j)))
    except NotBridged:
        return None


def _polynomial(name: str, arity: int, first: Any, step: Any) -> None:
    """P_0, P_1 = first(x, a); P_(n+1) = step(n, P_n, P_(n-1), x, a)."""

    @builtin(name, _NUMERIC, arity=arity)
    def orthogonal(ev: Any, args: tuple) -> Any:
        n, x, a = args[0], args[-1], args[1] if arity == 3 else None
        if type(n) is not int or not 0 <= n <= 200:
            return None
        p, q = first(x, a)
        if n == 0:
            return p
        q = ev.eval(q)
        for k in range(1, n):
            p, q = q, ev.eval(mk(S.Expand, step(k, q, p, x, a)))
        if name in ("LegendreP", "LaguerreL"):
            bottom = math.factorial(n) if name == "LaguerreL" else 1 << n
            whole = ev.eval(mk(S.Expand, times(bottom, q)))
            common = math.gcd(bottom, *[c for c in ev.call(S.Flatten, ev.call(S.CoefficientList, whole, x)).args]) if type(x) is Symbol else 1
            return times(Fraction(common, bottom), mk(S.Expand, times(Fraction(1, common), whole)))
        return mk(S.Expand, q)


_polynomial("ChebyshevT", 2, lambda x, a: (1, x), lambda k, q, p, x, a: plus(times(2, x, q), times(-1, p)))


_polynomial("ChebyshevU", 2, lambda x, a: (1, times(2, x)), lambda k, q, p, x, a: plus(times(2, x, q), times(-1, p)))


_polynomial("HermiteH", 2, lambda x, a: (1, times(2, x)), lambda k, q, p, x, a: plus(times(2, x, q), times(-2 * k, p)))


_polynomial("LegendreP", 2, lambda x, a: (1, x), lambda k, q, p, x, a: plus(times(Fraction(2 * k + 1, k + 1), x, q), times(norm(Fraction(-k, k + 1)), p)))


_polynomial("LaguerreL", 2, lambda x, a: (1, plus(1, times(-1, x))), lambda k, q, p, x, a: times(
    Fraction(1, k + 1), plus(times(plus(2 * k + 1, times(-1, x)), q), times(-k, p))))  # fmt: skip
