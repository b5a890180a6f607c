"""Builtins on the form of expressions: Expand, Factor, Together, Simplify, and the parts of polynomials.

Polynomials are handled natively (`openring`); factoring, partial fractions and simplification are SymPy's, over the
bridge. Knows nothing of equations (solve.py).
"""

from __future__ import annotations

from fractions import Fraction
from math import comb, lcm
from typing import Any

from nsrl.engines.wolfram.bridge import Bridge, NotBridged, guarded, sympy, trig_rules
from nsrl.engines.wolfram.builtins import series
from nsrl.engines.wolfram.expr import COMPLEX, Expr, S, Symbol, boolean, has_head, is_list, lst, mk, norm
from nsrl.engines.wolfram.openring import OpenRing
from nsrl.engines.wolfram.poly import NotPolynomial, Poly, TooLarge, content
from nsrl.engines.wolfram.table import Builtin, table

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)

_CANNOT = (NotPolynomial, NotBridged, ZeroDivisionError)
_THREADED = (S.List, S.Equal, S.Unequal, S.Less, S.LessEqual, S.Greater, S.GreaterEqual, S.And, S.Or, S.Not, S.Rule)


def threaded(ev: Any, head: Symbol, args: tuple) -> Any:
    """head applied inside lists, relations and logic, as the form-changing builtins do; None where there are none."""
    e = args[0]
    if type(e) is Expr and e.head in _THREADED:
        return ev.eval(Expr(e.head, tuple(Expr(head, (a, *args[1:])) for a in e.args)))
    return None


def terms_tree(ring: OpenRing, p: Poly) -> Any:
    """A polynomial as a tree, its radicals and generators put back."""
    return ring.tree(p)


def contains(e: Any, x: Any) -> bool:
    """Whether x occurs in e."""
    if e == x and type(e) is type(x):
        return True
    return type(e) is Expr and (contains(e.head, x) or any(contains(a, x) for a in e.args))


def one_fraction(ev: Any, e: Any) -> Any:
    """A number such as 5/2 + Sqrt[33]/2 over its common denominator: (5 + Sqrt[33])/2."""
    if not has_head(e, S.Plus):
        return e
    ring = OpenRing()
    try:
        p = ring.laurent(e)
    except NotPolynomial:
        return e
    k = 1
    for c in p.values():
        if not isinstance(c, (int, Fraction)):
            return e
        k = lcm(k, Fraction(c).denominator)
    return e if k == 1 else ev.eval(mk(S.Times, Fraction(1, k), ring.tree(ring.scale(p, k))))


def leaf_count(e: Any) -> int:
    """How large Simplify thinks e is: leaves, numbers by their digits."""
    if type(e) is Expr:
        if e.head is COMPLEX:
            return 1 + sum(leaf_count(a) for a in e.args)
        return leaf_count(e.head) + sum(leaf_count(a) for a in e.args)
    if type(e) is int:
        return 1 if e == 0 else max(1, len(str(abs(e)))) + (1 if e < 0 else 0) if e.bit_length() < 10_000 else 3000
    if type(e) is Fraction:
        return leaf_count(abs(e.numerator)) + leaf_count(e.denominator) + 1 + (1 if e < 0 else 0)
    return 1


# --- expanding


@builtin("Expand", arity=(1, 2))
def expand(ev: Any, args: tuple) -> Any:
    done = threaded(ev, S.Expand, args)
    if done is not None:
        return done
    e = args[0]
    if type(e) is not Expr:
        return e
    if len(args) == 2 and not contains(e, args[1]):
        return e
    return expanded(ev, e)


def expanded(ev: Any, e: Any) -> Any:
    """e with products and whole powers of sums multiplied out; None where that has too many terms to be written."""
    if type(e) is not Expr:
        return e
    ring = OpenRing()
    try:
        p = ring.laurent(e)
    except TooLarge:
        return None
    except NotPolynomial:
        return e
    ev.step(len(p))
    return ev.eval(terms_tree(ring, p))


@builtin("ExpandAll", arity=(1, 2))
def expand_all(ev: Any, args: tuple) -> Any:
    def multiplied(e: Any) -> Any:
        out = expanded(ev, e)
        if out is None:
            raise TooLarge
        return out

    def deep(e: Any) -> Any:
        if type(e) is not Expr:
            return e
        if e.head is S.Power and type(e.args[1]) is int and e.args[1] < -1 and has_head(e.args[0], S.Plus):
            return mk(S.Power, multiplied(mk(S.Power, deep(e.args[0]), -e.args[1])), -1)
        return multiplied(ev.eval(Expr(e.head, tuple(deep(a) for a in e.args))))

    try:
        return deep(args[0])
    except TooLarge:
        return None


# --- fractions


def factored(ev: Any, ring: OpenRing, p: Poly) -> Any:
    """A polynomial as a product of its factors."""
    return ev.eval(_product(ring, *ring.factors(p)))


def _product(ring: OpenRing, number: Any, parts: list[tuple[Poly, int]]) -> Any:
    """Number and factors as a product; factors whose terms are all negative in canonical order stay as they are."""
    factors = [] if number == 1 else [number]
    for f, k in parts:
        t = terms_tree(ring, f)
        factors.append(t if k == 1 else mk(S.Power, t, k))
    return factors[0] if len(factors) == 1 else Expr(S.Times, tuple(factors)) if factors else 1


def lowest_terms(ev: Any, e: Any) -> tuple[OpenRing, Poly, Poly]:
    """e as numerator and denominator without common factors."""
    ring = OpenRing()
    num, den = ring.ratio(e)
    ev.step(len(num) + len(den))
    return (ring, *ring.lowest(num, den))


@builtin("Together", arity=(1, 2))
def together(ev: Any, args: tuple) -> Any:
    done = threaded(ev, S.Together, args)
    if done is not None or type(args[0]) is not Expr:
        return done if done is not None else args[0]
    try:
        ring, num, den = lowest_terms(ev, args[0])
        return _fraction(ev, ring, num, den)
    except TooLarge:
        return None
    except _CANNOT:
        return args[0]


def _fraction(ev: Any, ring: OpenRing, num: Poly, den: Poly) -> Any:
    if not num:
        return 0
    k = content(num)
    if ring.number(num) is None and k != 1:
        num = ring.scale(num, 1 / k)
    else:
        k = Fraction(1)
    low = min((dict(m) for m in num), key=len) if num else {}
    common = {g: min(dict(m).get(g, 0) for m in num) for g in low}
    common = {g: e for g, e in common.items() if e > 0}
    front = [ring.gens[g] if e == 1 else mk(S.Power, ring.gens[g], e) for g, e in common.items() if g not in ring.square]
    if front and len(num) > 1:
        for g, e in common.items():
            if g not in ring.square:
                num = {tuple((h, x - e if h == g else x) for h, x in m if h != g or x != e): c for m, c in num.items()}
    else:
        front = []
    top = ev.eval(terms_tree(ring, num))
    below = [] if ring.number(den) == 1 else [mk(S.Power, factored(ev, ring, den), -1)]
    return ev.eval(Expr(S.Times, (norm(k), *front, top, *below)))


@builtin("Cancel", arity=(1, 2))
def cancel(ev: Any, args: tuple) -> Any:
    done = threaded(ev, S.Cancel, args)
    e = args[0]
    if done is not None or type(e) is not Expr:
        return done if done is not None else e
    if e.head is S.Plus:
        return ev.eval(Expr(S.Plus, tuple(mk(S.Cancel, a) for a in e.args)))
    try:
        ring = OpenRing()
        num, den = ring.ratio(e)
        n, d = ring.lowest(num, den)
    except TooLarge:
        return None
    except _CANNOT:
        return e
    if ring.number(d) is not None and ring.number(den) is not None:
        return e
    return _fraction(ev, ring, n, d)


@builtin("Factor", arity=(1, 2), options="Extension GaussianIntegers Modulus")
def factor(ev: Any, args: tuple) -> Any:
    done = threaded(ev, S.Factor, args[:1])
    e = args[0]
    if done is not None or type(e) is not Expr:
        return done if done is not None else e
    if len(args) > 1:
        return _factor_extended(ev, e, args[1])
    try:
        ring, num, den = lowest_terms(ev, e)
        top = _product(ring, *ring.factors(num))
        below = [] if ring.number(den) == 1 else [mk(S.Power, _product(ring, *ring.factors(den)), -1)]
        return ev.eval(Expr(S.Times, (top, *below)))
    except TooLarge:
        return None
    except _CANNOT:
        return e


def _factor_extended(ev: Any, e: Any, option: Any) -> Any:
    """Factor[e, Extension -> a], GaussianIntegers -> True, Modulus -> p."""
    if not has_head(option, S.Rule):
        return None
    name, value = option.args
    b = Bridge()
    try:
        x = b.to_sympy(e)
        sp = sympy()
        if name is S.Modulus and type(value) is int:
            out = guarded(sp.factor, x, modulus=value, symmetric=False)
        elif name is S.GaussianIntegers:
            out = guarded(sp.factor, x, gaussian=True)
        elif name is S.Extension:
            over = [b.to_sympy(v) for v in (value.args if is_list(value) else (value,))]
            out = guarded(sp.factor, x, extension=over)
        else:
            return None
        return ev.eval(b.from_sympy(out))
    except _CANNOT:
        return None


@builtin("FactorList FactorTermsList", arity=1)
def factor_list(ev: Any, args: tuple) -> Any:
    try:
        ring = OpenRing()
        number, parts = ring.factors(ring.poly(args[0]))
    except _CANNOT:
        return None
    return lst([lst((number, 1)), *(lst((ev.eval(terms_tree(ring, f)), k)) for f, k in parts)])


@builtin("FactorTerms", arity=(1, 2))
def factor_terms(ev: Any, args: tuple) -> Any:
    try:
        ring = OpenRing()
        p = ring.poly(args[0])
        k = content(p)
        return ev.eval(mk(S.Times, norm(k), terms_tree(ring, ring.scale(p, 1 / k)))) if p else 0
    except _CANNOT:
        return None


@builtin("FactorSquareFree", arity=1)
def factor_square_free(ev: Any, args: tuple) -> Any:
    b = Bridge()
    try:
        return ev.eval(b.from_sympy(guarded(sympy().sqf, b.to_sympy(args[0]))))
    except _CANNOT:
        return None


@builtin("Apart", arity=(1, 2))
def apart(ev: Any, args: tuple) -> Any:
    done = threaded(ev, S.Apart, args)
    e = args[0]
    if done is not None or type(e) is not Expr:
        return done if done is not None else e
    b = Bridge()
    try:
        x = b.to_sympy(e)
        names = [b.to_sympy(args[1])] if len(args) == 2 else sorted(x.free_symbols, key=str)[:1]
        out = guarded(sympy().apart, x, *names)
        terms = [guarded(_signs_inside, t) for t in sympy().Add.make_args(out)]
        return ev.eval(b.from_sympy(guarded(sympy().Add, *terms)))
    except TooLarge:
        return None
    except _CANNOT:
        return e


def _signs_inside(term: Any) -> Any:
    """-(2 + x)/d -> (-2 - x)/d, as Apart writes numerators."""
    top, below = term.as_numer_denom()
    if top.is_Add:
        scale, below = below.as_content_primitive()
        return sympy().Mul(top, sympy().Rational(1, scale), 1 / sympy().factor(below), evaluate=False)
    if (top.is_Mul and top.args[0].is_number and top.args[0] < 0 and any(f.is_Add for f in top.args)):
        return sympy().Mul(sympy().expand(top), 1 / below, evaluate=False)
    return term


# --- parts of polynomials


def _split_by(ev: Any, e: Any, x: Any) -> dict[Any, Any] | None:
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
def coefficient(ev: Any, args: tuple) -> Any:
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


@builtin("CoefficientList", arity=(2, 3))
def coefficient_list(ev: Any, args: tuple) -> Any:
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


def _degree(ev: Any, e: Any, x: Any) -> int | None:
    parts = _split_by(ev, e, x)
    if parts is None or any(type(k) is not int or k < 0 for k in parts):
        return None
    return max((k for k, c in parts.items() if c != 0), default=0)


@builtin("CoefficientRules", arity=(1, 2))
def coefficient_rules(ev: Any, args: tuple) -> Any:
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
def exponent(ev: Any, args: tuple) -> Any:
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
def variables(ev: Any, args: tuple) -> Any:
    return None if contains(args[0], S.SeriesData) else lst(variables_of(args[0]))


@builtin("PolynomialQ", arity=(1, 2))
def polynomial_q(ev: Any, args: tuple) -> Any:
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
def collect(ev: Any, args: tuple) -> Any:
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


def _two_polys(ev: Any, p: Any, q: Any) -> tuple[Bridge, Any, Any]:
    b = Bridge()
    return b, b.to_sympy(p), b.to_sympy(q)


@builtin("PolynomialQuotient PolynomialRemainder PolynomialQuotientRemainder", arity=(3, 4))
def polynomial_division(ev: Any, args: tuple) -> Any:
    return None


def _division(which: int):
    def handler(ev: Any, args: tuple) -> Any:
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
def polynomial_gcd(ev: Any, args: tuple) -> Any:
    return None


def _gcd_like(lcm: bool):
    def handler(ev: Any, args: tuple) -> Any:
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
def polynomial_mod(ev: Any, args: tuple) -> Any:
    if type(args[1]) is not int or args[1] == 0:
        return None
    ring = OpenRing()
    try:
        p = ring.poly(args[0])
        return ev.eval(terms_tree(ring, {m: c % args[1] for m, c in p.items() if c % args[1]}))
    except _CANNOT:
        return None


@builtin("Discriminant", arity=2)
def discriminant(ev: Any, args: tuple) -> Any:
    try:
        b, p, x = _two_polys(ev, *args)
        return ev.eval(mk(S.Expand, b.from_sympy(guarded(sympy().discriminant, p, x))))
    except _CANNOT:
        return None


@builtin("Resultant", arity=3)
def resultant(ev: Any, args: tuple) -> Any:
    try:
        b, p, q = _two_polys(ev, *args[:2])
        return ev.eval(mk(S.Expand, b.from_sympy(guarded(sympy().resultant, p, q, b.to_sympy(args[2])))))
    except _CANNOT:
        return None


@builtin("GroebnerBasis", arity=(2, 3))
def groebner(ev: Any, args: tuple) -> Any:
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


@builtin("HornerForm", arity=(1, 2))
def horner(ev: Any, args: tuple) -> Any:
    b = Bridge()
    try:
        return ev.eval(b.from_sympy(guarded(sympy().horner, b.to_sympy(args[0]))))
    except _CANNOT:
        return None


# --- trigonometry and powers


def _through(function: str, **options: Any):
    def handler(ev: Any, args: tuple) -> Any:
        try:
            b = Bridge()
            x = b.to_sympy(args[0])
            return ev.eval(b.from_sympy(guarded(getattr(sympy(), function), x, **options)))
        except _CANNOT:
            return None

    return handler


@builtin("TrigExpand", arity=1)
def trig_expand(ev: Any, args: tuple) -> Any:
    done = threaded(ev, S.TrigExpand, args)
    if done is not None:
        return done
    return ev.eval(mk(S.Expand, _angles_apart(ev, args[0])))


def _angles_apart(ev: Any, e: Any) -> Any:
    """Sine and cosine of sums and whole multiples written in those of single angles."""
    if type(e) is not Expr:
        return e
    e = Expr(e.head, tuple(_angles_apart(ev, a) for a in e.args))
    if e.head is S.Tan and len(e.args) == 1 and (has_head(e.args[0], S.Plus) or _multiple(e.args[0]) > 1):
        top, bottom = _angles_apart(ev, mk(S.Sin, e.args[0])), _angles_apart(ev, mk(S.Cos, e.args[0]))
        return mk(S.Times, top, mk(S.Power, bottom, -1))
    if e.head not in (S.Sin, S.Cos) or len(e.args) != 1:
        return e
    u = e.args[0]
    if has_head(u, S.Plus):
        a, b = u.args[0], u.args[1] if len(u.args) == 2 else Expr(S.Plus, u.args[1:])
        sa, ca, sb, cb = (_angles_apart(ev, mk(h, v)) for v in (a, b) for h in (S.Sin, S.Cos))
        if e.head is S.Sin:
            return mk(S.Plus, mk(S.Times, sa, cb), mk(S.Times, ca, sb))
        return mk(S.Plus, mk(S.Times, ca, cb), mk(S.Times, -1, sa, sb))
    n = _multiple(u)
    if 1 < n <= 30:
        v = ev.eval(mk(S.Times, Fraction(1, n), u))
        terms = []
        for k in range(1 if e.head is S.Sin else 0, n + 1, 2):
            c = comb(n, k) * (-1) ** (k // 2)
            terms.append(mk(S.Times, c, mk(S.Power, mk(S.Cos, v), n - k), mk(S.Power, mk(S.Sin, v), k)))
        return Expr(S.Plus, tuple(terms))
    return e


def _multiple(u: Any) -> int:
    """n of an angle n x."""
    return abs(u.args[0]) if has_head(u, S.Times) and type(u.args[0]) is int else 1


@builtin("TrigReduce", arity=1)
def trig_reduce(ev: Any, args: tuple) -> Any:
    done = threaded(ev, S.TrigReduce, args)
    if done is not None:
        return done
    b = Bridge()
    try:
        sp = sympy()
        TR7, TR8 = trig_rules()
        x = guarded(lambda: TR8(sp.expand(TR7(sp.expand(b.to_sympy(args[0]))))))
        return ev.eval(mk(S.Together, b.from_sympy(guarded(lambda: sp.expand(TR8(sp.expand(x)))))))
    except TooLarge:
        return None
    except _CANNOT:
        return args[0]


@builtin("TrigToExp", arity=1)
def trig_to_exp(ev: Any, args: tuple) -> Any:
    b = Bridge()
    try:
        sp = sympy()
        return ev.eval(mk(S.Expand, b.from_sympy(b.to_sympy(args[0]).rewrite(sp.exp))))
    except _CANNOT:
        return None


@builtin("ExpToTrig", arity=1)
def exp_to_trig(ev: Any, args: tuple) -> Any:
    b = Bridge()
    try:
        sp = sympy()
        x = b.to_sympy(args[0])
        return ev.eval(b.from_sympy(guarded(sp.expand, x.rewrite(sp.cos)) if x.has(sp.I) else x.rewrite(sp.cosh)))
    except _CANNOT:
        return None


@builtin("TrigFactor", arity=1)
def trig_factor(ev: Any, args: tuple) -> Any:
    return ev.eval(mk(S.Factor, args[0]))


@builtin("PowerExpand", arity=(1, 2))
def power_expand(ev: Any, args: tuple) -> Any:
    done = threaded(ev, S.PowerExpand, args)
    if done is not None:
        return done

    def walk(e: Any) -> Any:
        if type(e) is not Expr:
            return e
        e = Expr(e.head, tuple(walk(a) for a in e.args))
        if e.head is S.Power and len(e.args) == 2:
            base, n = e.args
            if has_head(base, S.Times):
                return Expr(S.Times, tuple(walk(mk(S.Power, f, n)) for f in base.args))
            if has_head(base, S.Power):
                return mk(S.Power, base.args[0], mk(S.Times, base.args[1], n))
        if e.head is S.Log and len(e.args) == 1:
            x = e.args[0]
            if has_head(x, S.Times) and all(has_head(f, S.Power) for f in x.args) and len({f.args[1] for f in x.args}) == 1:
                return mk(S.Times, x.args[0].args[1], Expr(S.Plus, tuple(walk(mk(S.Log, f.args[0])) for f in x.args)))
            if has_head(x, S.Times):
                return Expr(S.Plus, tuple(walk(mk(S.Log, f)) for f in x.args))
            if has_head(x, S.Power):
                return mk(S.Times, x.args[1], walk(mk(S.Log, x.args[0])))
            if type(x) is Fraction:
                return mk(S.Plus, mk(S.Log, x.numerator), mk(S.Times, -1, mk(S.Log, x.denominator)))
        return e

    return ev.eval(walk(args[0]))


@builtin("ComplexExpand", arity=(1, 3))
def complex_expand(ev: Any, args: tuple) -> Any:
    done = threaded(ev, S.ComplexExpand, args)
    if done is not None:
        return done
    b = Bridge(everything_real=True)
    try:
        sp = sympy()
        x = b.to_sympy(args[0])
        if not isinstance(x, sp.Expr):
            return args[0]
        re, im = guarded(x.as_real_imag)
        return ev.eval(b.from_sympy(guarded(sp.expand, sp.expand(re) + sp.I * sp.expand(im))))
    except TooLarge:
        return None
    except _CANNOT:
        return args[0]
