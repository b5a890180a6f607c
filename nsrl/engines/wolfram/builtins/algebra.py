"""Builtins on the form of expressions: Expand, Factor, Together, Apart.

Polynomials are handled natively (`openring`); factoring and partial fractions are SymPy's, over the
bridge.
"""

from __future__ import annotations

from fractions import Fraction
from math import lcm
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.bridge import Bridge, NotBridged, guarded, sympy
from nsrl.engines.wolfram.expr import COMPLEX, Expr, S, Symbol, has_head, is_list, lst, mk, norm
from nsrl.engines.wolfram.openring import OpenRing
from nsrl.engines.wolfram.poly import NotPolynomial, Poly, TooLarge, content
from nsrl.engines.wolfram.table import Builtin, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)

_CANNOT = (NotPolynomial, NotBridged, ZeroDivisionError)
_THREADED = (S.List, S.Equal, S.Unequal, S.Less, S.LessEqual, S.Greater, S.GreaterEqual, S.And, S.Or, S.Not, S.Rule)


def threaded(ev: Evaluator, head: Symbol, args: tuple) -> Any:
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


def one_fraction(ev: Evaluator, e: Any) -> Any:
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
def expand(ev: Evaluator, args: tuple) -> Any:
    done = threaded(ev, S.Expand, args)
    if done is not None:
        return done
    e = args[0]
    if type(e) is not Expr:
        return e
    if len(args) == 2 and not contains(e, args[1]):
        return e
    return expanded(ev, e)


def expanded(ev: Evaluator, e: Any) -> Any:
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


@builtin("ExpandAll", arity=1)
def expand_all(ev: Evaluator, args: tuple) -> Any:
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


def factored(ev: Evaluator, ring: OpenRing, p: Poly) -> Any:
    """A polynomial as a product of its factors."""
    return ev.eval(_product(ring, *ring.factors(p)))


def _product(ring: OpenRing, number: Any, parts: list[tuple[Poly, int]]) -> Any:
    """Number and factors as a product; factors whose terms are all negative in canonical order stay as they are."""
    factors = [] if number == 1 else [number]
    for f, k in parts:
        t = terms_tree(ring, f)
        factors.append(t if k == 1 else mk(S.Power, t, k))
    return factors[0] if len(factors) == 1 else Expr(S.Times, tuple(factors)) if factors else 1


def lowest_terms(ev: Evaluator, e: Any) -> tuple[OpenRing, Poly, Poly]:
    """e as numerator and denominator without common factors."""
    ring = OpenRing()
    num, den = ring.ratio(e)
    ev.step(len(num) + len(den))
    return (ring, *ring.lowest(num, den))


@builtin("Together", arity=1)
def together(ev: Evaluator, args: tuple) -> Any:
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


def _fraction(ev: Evaluator, ring: OpenRing, num: Poly, den: Poly) -> Any:
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
    front = [
        ring.gens[g] if e == 1 else mk(S.Power, ring.gens[g], e) for g, e in common.items() if g not in ring.square
    ]
    if front and len(num) > 1:
        for g, e in common.items():
            if g not in ring.square:
                num = {tuple((h, x - e if h == g else x) for h, x in m if h != g or x != e): c for m, c in num.items()}
    else:
        front = []
    top = ev.eval(terms_tree(ring, num))
    below = [] if ring.number(den) == 1 else [mk(S.Power, factored(ev, ring, den), -1)]
    return ev.eval(Expr(S.Times, (norm(k), *front, top, *below)))


@builtin("Cancel", arity=1)
def cancel(ev: Evaluator, args: tuple) -> Any:
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
def factor(ev: Evaluator, args: tuple) -> Any:
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


def _factor_extended(ev: Evaluator, e: Any, option: Any) -> Any:
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
def factor_list(ev: Evaluator, args: tuple) -> Any:
    try:
        ring = OpenRing()
        number, parts = ring.factors(ring.poly(args[0]))
    except _CANNOT:
        return None
    return lst([lst((number, 1)), *(lst((ev.eval(terms_tree(ring, f)), k)) for f, k in parts)])


@builtin("FactorTerms", arity=1)
def factor_terms(ev: Evaluator, args: tuple) -> Any:
    try:
        ring = OpenRing()
        p = ring.poly(args[0])
        k = content(p)
        return ev.eval(mk(S.Times, norm(k), terms_tree(ring, ring.scale(p, 1 / k)))) if p else 0
    except _CANNOT:
        return None


@builtin("FactorSquareFree", arity=1)
def factor_square_free(ev: Evaluator, args: tuple) -> Any:
    b = Bridge()
    try:
        return ev.eval(b.from_sympy(guarded(sympy().sqf, b.to_sympy(args[0]))))
    except _CANNOT:
        return None


@builtin("Apart", arity=(1, 2))
def apart(ev: Evaluator, args: tuple) -> Any:
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
    if top.is_Mul and top.args[0].is_number and top.args[0] < 0 and any(f.is_Add for f in top.args):
        return sympy().Mul(sympy().expand(top), 1 / below, evaluate=False)
    return term
