"""Parts of polynomials, division and elimination, and what is rarer: decomposition, extended gcd, minimal
polynomials."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.application import sub_handler
from nsrl.engines.wolfram.bridge import Bridge, NotBridged, guarded, sympy
from nsrl.engines.wolfram.builtins import series
from nsrl.engines.wolfram.builtins.algebra import contains, factored, terms_tree, threaded
from nsrl.engines.wolfram.expr import COMPLEX, Expr, S, Symbol, boolean, has_head, is_list, lst, mk, norm, plus, times
from nsrl.engines.wolfram.openring import OpenRing
from nsrl.engines.wolfram.poly import NotPolynomial, content
from nsrl.engines.wolfram.table import Builtin, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
_CANNOT = (NotPolynomial, NotBridged, ZeroDivisionError)
_NUMERIC = "Listable NumericFunction"

_MAX_CYCLOTOMIC = 5000


def _split_by(ev: Evaluator, e: Any, x: Any) -> dict[Any, Any] | None:
    """Exponent of x -> coefficient tree (summed), of e expanded."""
    ring = OpenRing()
    try:
        p = ring.laurent(ev.eval(e))
    except NotPolynomial:
        return None
    parts: dict[Any, dict] = {}
    base, unit = x, 1
    if has_head(x, S.Power) and len(x.args) == 2 and type(x.args[1]) in (int, Fraction):
        base, unit = x.args
    g = ring.index.get(base)
    for m, c in p.items():
        k = next((e for h, e in m if h == g), 0) if g is not None else 0
        q = norm(Fraction(k) / unit)
        rest = tuple((h, e) for h, e in m if h != g)
        parts.setdefault(q, {})[rest] = c
    return {k: ev.eval(terms_tree(ring, q)) for k, q in parts.items()}


@builtin("Coefficient", "Listable", arity=(2, 3))
def coefficient(ev: Evaluator, args: tuple) -> Any:
    e, x = args[0], args[1]
    n = args[2] if len(args) == 3 else 1
    if type(n) not in (int, Fraction):
        return None
    if len(args) == 2 and has_head(x, S.Power) and len(x.args) == 2 and type(x.args[1]) is int:
        x, n = x.args
    if has_head(e, S.SeriesData):
        s = series.read(e)
        return None if s is None or (s.x, s.at) != (x, 0) else series.coefficient(s, n)
    if has_head(x, S.Times):
        for f in x.args:
            base, k = f.args if has_head(f, S.Power) and type(f.args[1]) is int else (f, 1)
            parts = _split_by(ev, e, base)
            if parts is None:
                return None
            e = parts.get(k * n, 0)
        for f in x.args:
            base = f.args[0] if has_head(f, S.Power) else f
            parts = _split_by(ev, e, base)
            e = parts.get(0, 0) if parts is not None else e
        return e
    parts = _split_by(ev, e, x)
    return None if parts is None else parts.get(n, 0)


@builtin("CoefficientList", arity=2)
def coefficient_list(ev: Evaluator, args: tuple) -> Any:
    e, x = args[:2]
    if has_head(e, S.Equal):
        return None
    if has_head(e, S.SeriesData):
        s = series.read(e)
        plain = s is not None and (s.x, s.at) == (x, 0) and s.low >= 0 and s.low + len(s.c) == s.end
        return lst([0] * s.low + s.c) if plain else None
    if is_list(x):
        if not x.args:
            return None
        first, rest = x.args[0], x.args[1:]
        if not rest:
            return coefficient_list(ev, (e, first))
        degrees = [_degree(ev, e, v) for v in x.args]
        if None in degrees:
            return None

        def level(part: Any, k: int) -> Any:
            if k == len(x.args):
                return part
            parts = _split_by(ev, part, x.args[k]) or {}
            return lst(level(parts.get(i, 0), k + 1) for i in range(degrees[k] + 1))

        return level(e, 0)
    parts = _split_by(ev, e, x)
    if parts is None or any(type(k) is not int or k < 0 for k in parts) or any(contains(c, x) for c in parts.values()):
        ev.message("General", "poly", f"{ev.text(e)} is not a polynomial.")
        return None
    parts = {k: c for k, c in parts.items() if c != 0}
    n = max(parts, default=-1)
    ev.need_length(n + 1)
    return lst(parts.get(i, 0) for i in range(n + 1))


def _degree(ev: Evaluator, e: Any, x: Any) -> int | None:
    parts = _split_by(ev, e, x)
    if parts is None or any(type(k) is not int or k < 0 for k in parts):
        return None
    return max((k for k, c in parts.items() if c != 0), default=0)


@builtin("CoefficientRules", arity=(1, 2))
def coefficient_rules(ev: Evaluator, args: tuple) -> Any:
    names = args[1].args if len(args) == 2 and is_list(args[1]) else (args[1],) if len(args) == 2 else tuple(
        variables_of(args[0]))  # fmt: skip
    rows: list[tuple[tuple, Any]] = [((), args[0])]
    for v in names:
        new = []
        for k, c in rows:
            parts = _split_by(ev, c, v)
            if parts is None:
                return None
            new += [((*k, n), part) for n, part in parts.items() if part != 0]
        rows = new
    rows.sort(key=lambda r: r[0], reverse=True)
    return lst(mk(S.Rule, lst(k), c) for k, c in rows)


@builtin("Exponent", "Listable", arity=(2, 3))
def exponent(ev: Evaluator, args: tuple) -> Any:
    parts = _split_by(ev, args[0], args[1])
    if parts is None:
        return None
    powers = [k for k, c in parts.items() if c != 0]
    if not powers:
        return ev.eval(mk(S.Times, -1, S.Infinity))
    which = args[2] if len(args) == 3 else S.Max
    if which is S.List:
        return lst(sorted(powers))
    return min(powers) if which is S.Min else max(powers)


def variables_of(e: Any) -> list:
    """The generators a polynomial is in, in canonical order of the system."""
    found: dict = {}

    def walk(x: Any) -> None:
        if type(x) is Symbol:
            if x.builtin is None:
                found[x] = None
        elif type(x) is Expr:
            if x.head in (S.Plus, S.Times, S.List, S.Equal):
                for a in x.args:
                    walk(a)
            elif x.head is S.Power and isinstance(x.args[1], (int, Fraction)):
                if type(x.args[1]) is int or type(x.args[0]) is Symbol or type(x.args[0]) is not int:
                    walk(x.args[0])
            elif x.head is not COMPLEX and not _numeric(x):
                found[x] = None

    walk(e)
    from nsrl.engines.wolfram.order import sort

    return sort(found)


def _numeric(e: Any) -> bool:
    if type(e) is Symbol:
        return e.builtin is not None
    if type(e) is Expr:
        return all(_numeric(a) for a in e.args)
    return not isinstance(e, str)


@builtin("Variables", arity=1)
def variables(ev: Evaluator, args: tuple) -> Any:
    return None if contains(args[0], S.SeriesData) else lst(variables_of(args[0]))


@builtin("PolynomialQ", arity=(1, 2))
def polynomial_q(ev: Evaluator, args: tuple) -> Any:
    e = args[0]
    names = variables_of(e) if len(args) == 1 else list(args[1].args) if is_list(args[1]) else [args[1]]

    def ok(x: Any) -> bool:
        if x in names:
            return True
        if not any(contains(x, n) for n in names):
            return True
        if type(x) is Expr:
            if x.head in (S.Plus, S.Times):
                return all(ok(a) for a in x.args)
            if x.head is S.Power and type(x.args[1]) is int and x.args[1] > 0:
                return ok(x.args[0])
        return False

    return boolean(ok(e))


@builtin("Collect", arity=(2, 3))
def collect(ev: Evaluator, args: tuple) -> Any:
    done = threaded(ev, S.Collect, args)
    if done is not None:
        return done
    names = list(args[1].args) if is_list(args[1]) else [args[1]]
    simplify = args[2] if len(args) == 3 else None

    def level(e: Any, k: int) -> Any:
        if k == len(names):
            return ev.call(simplify, e) if simplify is not None else e
        parts = _split_by(ev, e, names[k])
        if parts is None:
            return e
        out = []
        for n, c in parts.items():
            c = level(c, k + 1)
            power = 1 if n == 0 else mk(S.Power, names[k], n)
            if n == 0 and has_head(c, S.Plus):
                out += list(c.args)
            else:
                out.append(mk(S.Times, c, power))
        return ev.eval(Expr(S.Plus, tuple(out)))

    return level(args[0], 0)


def _two_polys(ev: Evaluator, p: Any, q: Any) -> tuple[Bridge, Any, Any]:
    b = Bridge()
    return b, b.to_sympy(p), b.to_sympy(q)


@builtin("PolynomialQuotient PolynomialRemainder PolynomialQuotientRemainder", arity=3)
def polynomial_division(ev: Evaluator, args: tuple) -> Any:
    return None


def _division(which: int):
    def handler(ev: Evaluator, args: tuple) -> Any:
        try:
            b, p, q = _two_polys(ev, *args[:2])
            quotient, remainder = guarded(sympy().div, p, q, b.to_sympy(args[2]))
            found = [ev.eval(mk(S.Expand, b.from_sympy(x))) for x in (quotient, remainder)]
            return lst(found) if which == 2 else found[which]
        except _CANNOT:
            return None

    return handler


for _k, _name in enumerate(("PolynomialQuotient", "PolynomialRemainder", "PolynomialQuotientRemainder")):
    TABLE[_name].handler = _division(_k)


@builtin("PolynomialGCD PolynomialLCM", arity=(1, None))
def polynomial_gcd(ev: Evaluator, args: tuple) -> Any:
    return None


def _gcd_like(lcm: bool):
    def handler(ev: Evaluator, args: tuple) -> Any:
        try:
            ring = OpenRing()
            polys = [ring.poly(a) for a in args]
            out = polys[0]
            for p in polys[1:]:
                g = ring.gcd(out, p)
                out = ring.divide(ring.mul(out, p), g) if lcm else g
            return factored(ev, ring, out) if lcm else ev.eval(terms_tree(ring, out))
        except _CANNOT:
            return None

    return handler


TABLE["PolynomialGCD"].handler, TABLE["PolynomialLCM"].handler = _gcd_like(False), _gcd_like(True)


@builtin("PolynomialMod", arity=2)
def polynomial_mod(ev: Evaluator, args: tuple) -> Any:
    if type(args[1]) is not int or args[1] == 0:
        return None
    ring = OpenRing()
    try:
        p = ring.poly(args[0])
        return ev.eval(terms_tree(ring, {m: c % args[1] for m, c in p.items() if c % args[1]}))
    except _CANNOT:
        return None


@builtin("Discriminant", arity=2)
def discriminant(ev: Evaluator, args: tuple) -> Any:
    try:
        b, p, x = _two_polys(ev, *args)
        return ev.eval(mk(S.Expand, b.from_sympy(guarded(sympy().discriminant, p, x))))
    except _CANNOT:
        return None


@builtin("Resultant", arity=3)
def resultant(ev: Evaluator, args: tuple) -> Any:
    try:
        b, p, q = _two_polys(ev, *args[:2])
        return ev.eval(mk(S.Expand, b.from_sympy(guarded(sympy().resultant, p, q, b.to_sympy(args[2])))))
    except _CANNOT:
        return None


@builtin("GroebnerBasis", arity=2)
def groebner(ev: Evaluator, args: tuple) -> Any:
    from nsrl.engines.wolfram.solver import as_difference

    if not is_list(args[0]) or not is_list(args[1]):
        return None
    if not args[0].args:
        return lst(())
    if not args[1].args:
        return None
    b = Bridge()
    try:
        basis = guarded(sympy().groebner, [b.to_sympy(as_difference(e)) for e in args[0].args],
                        *[b.to_sympy(v) for v in args[1].args], order="lex")  # fmt: skip
        out = []
        for g in reversed(list(basis.exprs)):
            ring = OpenRing()
            p = ring.poly(ev.eval(b.from_sympy(g)))
            out.append(ev.eval(terms_tree(ring, ring.scale(p, 1 / content(p)))))
        return lst(out)
    except _CANNOT:
        return None


@builtin("HornerForm", arity=1)
def horner(ev: Evaluator, args: tuple) -> Any:
    b = Bridge()
    try:
        return ev.eval(b.from_sympy(guarded(sympy().horner, b.to_sympy(args[0]))))
    except _CANNOT:
        return None


# --- rarer


def _expanded(ev: Evaluator, b: Bridge, e: Any) -> Any:
    return ev.eval(mk(S.Expand, b.from_sympy(e.as_expr() if hasattr(e, "as_expr") else e)))


@builtin("FactorSquareFreeList", arity=1)
def factor_square_free_list(ev: Evaluator, args: tuple) -> Any:
    b = Bridge()
    try:
        number, parts = guarded(sympy().sqf_list, b.to_sympy(args[0]))
        parts = sorted(parts, key=lambda p: -p[1])
        return lst([lst((ev.eval(b.from_sympy(number)), 1)), *(lst((_expanded(ev, b, p), int(k))) for p, k in parts)])
    except NotBridged:
        return None


@builtin("Interpolation", arity=(1, 3), takes="list")
def interpolation(ev: Evaluator, args: tuple) -> Any:
    """Of at most four points, where the default cubic is one polynomial; longer tables are splines of the kernel's
    own."""
    values = not any(map(is_list, args[0].args))  # at 1, 2, 3…
    given = [(i, p) if values else p.args if is_list(p) else () for i, p in enumerate(args[0].args, 1)]
    points = sorted(p for p in given if len(p) == 2 and all(isinstance(x, (int, float, Fraction)) for x in p))
    if len(args) > 1 or not 2 <= len(points) == len(args[0].args) <= 4 or len({x for x, _ in points}) < len(points):
        return None
    return mk(S.InterpolatingFunction, lst((lst((points[0][0], points[-1][0])),)), lst(map(lst, points)))


@sub_handler("InterpolatingFunction")
def _interpolated(ev: Evaluator, head: Expr, args: tuple) -> Any:
    if len(args) != 1 or not isinstance(args[0], (int, float, Fraction)) or len(head.args) != 2:
        return None
    points, x = [p.args for p in head.args[1].args], args[0]
    if not points[0][0] <= x <= points[-1][0]:
        return None
    out = 0
    for i, (a, y) in enumerate(points):
        for j, (b, _) in enumerate(points):
            y = (
                y
                if i == j
                else y * (x - b) / (a - b)
                if float in (type(x), type(a), type(b), type(y))
                else Fraction(y) * (x - b) / (a - b)
            )
        out += y
    return norm(out) if type(out) is Fraction else out


@builtin("Decompose", arity=2)
def decompose(ev: Evaluator, args: tuple) -> Any:
    b = Bridge()
    try:
        parts = guarded(sympy().decompose, b.to_sympy(args[0]), b.to_sympy(args[1]))
        return lst(_expanded(ev, b, p) for p in parts)
    except NotBridged:
        return None


@builtin("Cyclotomic", "Listable", arity=2)
def cyclotomic(ev: Evaluator, args: tuple) -> Any:
    if type(args[0]) is not int or not 0 < args[0] <= _MAX_CYCLOTOMIC:
        return 1 if args[0] == 0 else None
    sp = sympy()
    z = sp.Symbol("z")
    p = guarded(sp.cyclotomic_poly, args[0], z)
    coefficients = [int(c) for c in sp.Poly(p, z).all_coeffs()]
    n = len(coefficients) - 1
    return ev.eval(mk(S.Plus, *(mk(S.Times, c, mk(S.Power, args[1], n - i)) for i, c in enumerate(coefficients) if c)))


@builtin("MinimalPolynomial", arity=2)
def minimal_polynomial(ev: Evaluator, args: tuple) -> Any:
    b = Bridge()
    try:
        return _expanded(ev, b, guarded(sympy().minimal_polynomial, b.to_sympy(args[0]), b.to_sympy(args[1])))
    except NotBridged:
        return None


@builtin("PolynomialExtendedGCD", arity=3)
def extended_gcd(ev: Evaluator, args: tuple) -> Any:
    b = Bridge()
    try:
        s, t, g = guarded(sympy().gcdex, b.to_sympy(args[0]), b.to_sympy(args[1]), b.to_sympy(args[2]))
        return lst((_expanded(ev, b, g), lst((_expanded(ev, b, s), _expanded(ev, b, t)))))
    except NotBridged:
        return None


@builtin("PolynomialReduce", arity=3)
def polynomial_reduce(ev: Evaluator, args: tuple) -> Any:
    if not is_list(args[1]) or not is_list(args[2]) or not args[1].args:
        return None
    b = Bridge()
    try:
        divisors = [b.to_sympy(p) for p in args[1].args]
        quotients, rest = guarded(
            sympy().reduced, b.to_sympy(args[0]), divisors, *(b.to_sympy(v) for v in args[2].args)
        )
        return lst((lst(_expanded(ev, b, q) for q in quotients), _expanded(ev, b, rest)))
    except NotBridged:
        return None


@builtin("SymmetricReduction", arity=(2, 3), takes="any list list")
def symmetric_reduction(ev: Evaluator, args: tuple) -> Any:
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
def residue(ev: Evaluator, args: tuple) -> Any:
    if not is_list(args[1]) or len(args[1].args) != 2:
        return None
    b = Bridge()
    try:
        x, at = (b.to_sympy(a) for a in args[1].args)
        return ev.eval(mk(S.Simplify, b.from_sympy(guarded(sympy().residue, b.to_sympy(args[0]), x, at))))
    except NotBridged:
        return None


@builtin("JordanDecomposition", arity=1)
def jordan_decomposition(ev: Evaluator, args: tuple) -> Any:
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
    def orthogonal(ev: Evaluator, args: tuple) -> Any:
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
            common = (
                math.gcd(bottom, *[c for c in ev.call(S.Flatten, ev.call(S.CoefficientList, whole, x)).args])
                if type(x) is Symbol
                else 1
            )
            return times(Fraction(common, bottom), mk(S.Expand, times(Fraction(1, common), whole)))
        return mk(S.Expand, q)


_polynomial("ChebyshevT", 2, lambda x, a: (1, x), lambda k, q, p, x, a: plus(times(2, x, q), times(-1, p)))


_polynomial("ChebyshevU", 2, lambda x, a: (1, times(2, x)), lambda k, q, p, x, a: plus(times(2, x, q), times(-1, p)))


_polynomial("HermiteH", 2, lambda x, a: (1, times(2, x)), lambda k, q, p, x, a: plus(times(2, x, q), times(-2 * k, p)))


_polynomial(
    "LegendreP",
    2,
    lambda x, a: (1, x),
    lambda k, q, p, x, a: plus(times(Fraction(2 * k + 1, k + 1), x, q), times(norm(Fraction(-k, k + 1)), p)),
)


_polynomial("LaguerreL", 2, lambda x, a: (1, plus(1, times(-1, x))), lambda k, q, p, x, a: times(
    Fraction(1, k + 1), plus(times(plus(2 * k + 1, times(-1, x)), q), times(-k, p))))  # fmt: skip
