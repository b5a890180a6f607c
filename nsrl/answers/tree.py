"""Expression trees of answers: exact normal form and 50-digit values, both bounded.

Trees are plain tuples: ("num", Fraction), ("sym", name), ("const", "pi"|"e"|"i"|"inf"|"deg"|"pct"), ("add", *terms),
("mul", *factors), ("pow", base, exponent), ("pm", sign, tree), ("fn", name, *arguments).
"""

from __future__ import annotations

import math
import random
from fractions import Fraction
from functools import lru_cache
from typing import Any

from nsrl.answers.work import NoNormalForm, Undefined, charge

Tree = tuple
DIGITS = 50
MAX_TERMS = 200
MAX_BITS = 20_000  # of an exact integer power; beyond it only the numeric test speaks

MAX_COUNT = 2_000  # of n! and of binomials that are written out

ZERO: Tree = ("num", Fraction(0))
ONE: Tree = ("num", Fraction(1))
MINUS_ONE: Tree = ("num", Fraction(-1))
PI: Tree = ("const", "pi")
DEGREE: Tree = ("const", "deg")
PERCENT: Tree = ("const", "pct")
INFINITY: Tree = ("const", "inf")


def num(value: int | Fraction) -> Tree:
    """An exact number as a leaf."""
    return ("num", Fraction(value))


def neg(tree: Tree) -> Tree:
    """The tree with the other sign."""
    if tree[0] == "num":
        return ("num", -tree[1])
    return ("mul", MINUS_ONE, tree)


def div(top: Tree, bottom: Tree) -> Tree:
    """A fraction; of two numbers it is their quotient."""
    if top[0] == "num" and bottom[0] == "num" and bottom[1] != 0:
        return ("num", top[1] / bottom[1])
    return ("mul", top, ("pow", bottom, MINUS_ONE))


def symbols(tree: Tree) -> frozenset[str]:
    """Names of the free symbols."""
    if tree[0] == "sym":
        return frozenset((tree[1],))
    return frozenset().union(*(symbols(t) for t in tree[1:] if isinstance(t, tuple)))


def mentions(tree: Tree, leaf: Tree) -> bool:
    """Whether `leaf` stands anywhere in the tree."""
    return tree == leaf or any(mentions(t, leaf) for t in tree[1:] if isinstance(t, tuple))


def deeper_than(tree: Tree, most: int) -> bool:
    """Whether a leaf lies more than `most` levels below the root; found level by level, so that no depth is too
    much."""
    level = [tree]
    for _ in range(most + 1):
        level = [t for node in level for t in node[1:] if isinstance(t, tuple)]
        if not level:
            return False
    return True


def has_kind(tree: Tree, kind: str) -> bool:
    """Whether a node of this kind stands anywhere in the tree."""
    return tree[0] == kind or any(has_kind(t, kind) for t in tree[1:] if isinstance(t, tuple))


def substitute(tree: Tree, name: str, value: Tree) -> Tree:
    """The tree with a symbol replaced."""
    if tree == ("sym", name):
        return value
    return tuple(substitute(t, name, value) if isinstance(t, tuple) else t for t in tree)


def with_sign(tree: Tree, sign: int) -> Tree:
    """The tree with every ± read as `sign` (and every ∓ as its opposite)."""
    if tree[0] == "pm":
        inner = with_sign(tree[2], sign)
        return inner if tree[1] * sign > 0 else neg(inner)
    return tuple(with_sign(t, sign) if isinstance(t, tuple) else t for t in tree)


# -- exact normal form: a sum of monomials over symbols, prime radicals and opaque atoms ---------------------------

Monomial = tuple  # sorted ((atom, Fraction exponent), ...)
Poly = dict  # Monomial -> Fraction


def normal(tree: Tree) -> Poly:
    """Canonical sum of monomials; equal results prove equality. Raises `NoNormalForm` beyond its bounds."""
    charge(1)
    kind = tree[0]
    if kind == "num":
        return {(): tree[1]} if tree[1] else {}
    if kind == "sym":
        return {((tree[1], Fraction(1)),): Fraction(1)}
    if kind == "const":
        if tree[1] == "deg":
            return {(("π", Fraction(1)),): Fraction(1, 180)}
        if tree[1] == "pct":
            return {(): Fraction(1, 100)}
        name = {"pi": "π", "e": "ℯ", "i": "ⅈ", "inf": "∞"}[tree[1]]
        if name == "∞":
            raise NoNormalForm("infinity")
        return {((name, Fraction(1)),): Fraction(1)}
    if kind == "add":
        out: Poly = {}
        for term in tree[1:]:
            terms = normal(term)
            charge(len(terms) // 4)
            for mono, coefficient in terms.items():
                _add_to(out, mono, coefficient)
        return out
    if kind == "mul":
        out = {(): Fraction(1)}
        for factor in tree[1:]:
            out = _multiply(out, normal(factor))
        return out
    if kind == "pow":
        return _power(tree[1], tree[2])
    if kind == "fn":
        if (known := _exact(tree)) is not None:
            return normal(known)
        return {((f"@{tree[1]}(" + ";".join(_show(normal(a)) for a in tree[2:]) + ")", Fraction(1)),): Fraction(1)}
    raise NoNormalForm(kind)


def _exact(tree: Tree) -> Tree | None:
    """What a function of the tree is exactly: a vector from A to B as the difference of its ends, n! and binomials of
    integers as the integer; None where it stays a name."""
    if tree[1] == "vec" and len(tree) == 4:
        return ("add", tree[3], neg(tree[2]))
    if tree[1] not in ("factorial", "binomial") or len(tree) != (3 if tree[1] == "factorial" else 4):
        return None
    values = [rational(normal(t)) for t in tree[2:]]
    if any(v is None or v.denominator != 1 or not 0 <= v <= MAX_COUNT for v in values):
        return None
    numbers = [int(v) for v in values if v is not None]
    charge(1 + max(numbers) // 20)
    return num(math.factorial(numbers[0]) if tree[1] == "factorial" else math.comb(*numbers))


def rational(poly: Poly) -> Fraction | None:
    """The value of a constant rational normal form, else None."""
    if not poly:
        return Fraction(0)
    return poly[()] if len(poly) == 1 and () in poly else None


def independent(poly: Poly) -> bool:
    """Whether another such form is another value: monomials of radicals, π and symbols with integer exponents, no
    opaque atoms."""
    return all(
        atom[0] == "#" or (len(atom) == 1 and atom not in "ℯⅈ" and e.denominator == 1)
        for mono in poly
        for atom, e in mono
    )


def _show(poly: Poly) -> str:
    """The form as a name. In base 16: Python writes no integer of more than 4,300 digits in base 10."""
    return "+".join(f"{_hex(c)}*{'*'.join(f'{a}^{_hex(e)}' for a, e in m)}" for m, c in sorted(poly.items()))


def _hex(value: Fraction) -> str:
    return f"{value.numerator:x}/{value.denominator:x}"


def _add_to(poly: Poly, mono: Monomial, coefficient: Fraction) -> None:
    total = poly.get(mono, 0) + coefficient
    bits = total.numerator.bit_length() + total.denominator.bit_length()
    if bits > 400:  # arithmetic on long numbers is work
        charge(bits // 100)
    if total:
        poly[mono] = total
    else:
        poly.pop(mono, None)


def _multiply(a: Poly, b: Poly) -> Poly:
    if len(a) * len(b) > 4 * MAX_TERMS:
        raise NoNormalForm("too many terms")
    charge(4 * len(a) * len(b))
    out: Poly = {}
    for mono_a, ca in a.items():
        for mono_b, cb in b.items():
            mono, c = _merge(mono_a, mono_b) if mono_a and mono_b else (mono_a or mono_b, Fraction(1))
            _add_to(out, mono, ca * cb * c)
    if len(out) > MAX_TERMS:
        raise NoNormalForm("too many terms")
    return out


def _merge(a: Monomial, b: Monomial) -> tuple[Monomial, Fraction]:
    exponents = dict(a)
    for atom, e in b:
        exponents[atom] = exponents.get(atom, Fraction(0)) + e
    coefficient = Fraction(1)
    out = []
    for atom, e in sorted(exponents.items()):
        if atom[0] == "#":  # the radical of a prime keeps an exponent in [0, 1)
            whole = math.floor(e)
            coefficient *= _int_power(Fraction(int(atom[1:])), whole)
            e -= whole
        elif atom == "ⅈ" and e.denominator == 1:
            turns = int(e) % 4
            coefficient *= -1 if turns in (2, 3) else 1
            e = Fraction(turns % 2)
        if e:
            out.append((atom, e))
    return tuple(out), coefficient


def _int_power(base: Fraction, e: int) -> Fraction:
    if base == 0 and e < 0:
        raise NoNormalForm("1/0")
    if abs(e) * max(base.numerator.bit_length(), base.denominator.bit_length()) > MAX_BITS and abs(base) != 1:
        raise NoNormalForm("a power too large to write out")
    return base ** (e % 2 if base in (1, -1) else e)


def _power(base: Tree, exponent: Tree) -> Poly:
    e_poly = normal(exponent)
    e = rational(e_poly)
    if e is None:
        if base == ("const", "e") or base[0] in ("sym", "num"):
            return {((f"@pow({_show(normal(base))};{_show(e_poly)})", Fraction(1)),): Fraction(1)}
        raise NoNormalForm("symbolic exponent")
    b = normal(base)
    if e == 0:
        if not b:
            raise NoNormalForm("0^0")
        return {(): Fraction(1)}
    if not b:
        if e < 0:
            raise NoNormalForm("1/0")
        return {}
    if e.denominator == 1 and 0 < e <= 16 and len(b) > 1:
        out = b
        for _ in range(int(e) - 1):
            out = _multiply(out, b)
        return out
    if len(b) == 1:
        (mono, c), *_ = b.items()
        if e.denominator == 1:
            if abs(e) > 10**6:
                raise NoNormalForm("exponent")
            powered, extra = _merge(tuple((a, x * e) for a, x in mono), ())
            return {powered: _int_power(c, int(e)) * extra}
        if c < 0:
            raise NoNormalForm("root of a negative number")
        out = _root(c, e)
        for atom, x in mono:
            if atom[0] == "#" or atom in "πℯ":
                merged, extra = _merge(((atom, x * e),), ())
                out = _multiply(out, {merged: extra})
            else:
                inner = f"@({_show({((atom, x),): Fraction(1)})})" if x != 1 else atom
                out = _multiply(out, {((inner, e),): Fraction(1)})
        return out
    lead = b[min(b)]
    scaled = {m: c / lead for m, c in b.items()}
    if lead < 0 and e.denominator != 1:
        raise NoNormalForm("sign of a root")
    factor = {(): _int_power(lead, int(e))} if e.denominator == 1 else _root(lead, e)
    return _multiply(factor, {((f"@({_show(scaled)})", e),): Fraction(1)})


def _root(value: Fraction, e: Fraction) -> Poly:
    """value ** e for positive rational value, as coefficient times prime radicals."""
    if abs(e) > 1000:
        raise NoNormalForm("exponent")
    coefficient = Fraction(1)
    atoms: list[tuple[str, Fraction]] = []
    for n, sign in ((value.numerator, 1), (value.denominator, -1)):
        for prime, k in _factor(n):
            total = k * e * sign
            whole = math.floor(total)
            coefficient *= _int_power(Fraction(prime), whole)
            if total != whole:
                atoms.append((f"#{prime}", total - whole))
    return {tuple(sorted(atoms)): coefficient}


@lru_cache(maxsize=4096)
def _factor(n: int) -> tuple[tuple[int, int], ...]:
    out = []
    p = 2
    while p * p <= n and p < 2000:
        k = 0
        while n % p == 0:
            n //= p
            k += 1
        if k:
            out.append((p, k))
        p += 1 if p == 2 else 2
    if n > 1:
        if n >= 4_000_000:
            raise NoNormalForm("a number too large to factor")
        out.append((n, 1))
    return tuple(out)


# -- 50-digit values ----------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _context() -> Any:
    import mpmath

    ctx = mpmath.MPContext()
    ctx.dps = DIGITS + 10
    return ctx


@lru_cache(maxsize=256)
def point(names: tuple[str, ...], index: int) -> dict[str, Fraction]:
    """The index-th fixed random rational point: positive for even indices, of mixed signs for odd ones."""
    rng = random.Random(f"{index}:{','.join(names)}")
    return {
        n: Fraction(rng.randint(101, 997), rng.randint(53, 311)) * (-1 if index % 2 and rng.random() < 0.6 else 1)
        for n in names
    }


def evaluate(tree: Tree, at: dict[str, Fraction]) -> Any:
    """The value with 50 good digits at a point (an mpmath number). Raises `Undefined`.

    Real trees stay real: a root or logarithm of a negative number is undefined unless the tree mentions i.
    """
    ctx = _context()
    try:
        value = _ev(tree, at, ctx, mentions(tree, ("const", "i")))
    except (ZeroDivisionError, OverflowError, ValueError, RecursionError) as error:
        raise Undefined(str(error)) from None
    if ctx.isnan(value):
        raise Undefined("nan")
    return value


def close(a: Any, b: Any) -> bool:
    """Equal to at least 35 of the 50 digits (the rest is for cancellation)."""
    ctx = _context()
    if ctx.isinf(a) or ctx.isinf(b):
        return bool(a == b)
    scale = max(abs(a), abs(b), ctx.mpf(10) ** -20)
    return bool(abs(a - b) <= scale * ctx.mpf(10) ** -35)


def as_fraction(value: Any) -> Fraction | None:
    """A real mpmath value as a Fraction (50 digits), None if it is complex or infinite."""
    ctx = _context()
    if not isinstance(value, ctx.mpf) or ctx.isinf(value):
        return None
    if value != 0 and abs(ctx.mag(value)) > 4000:
        return None
    sign, mantissa, exponent, _ = value._mpf_  # pyright: ignore[reportAttributeAccessIssue]
    whole = -int(mantissa) if sign else int(mantissa)
    return Fraction(whole) * Fraction(2) ** int(exponent)


def _real(value: Any, ctx: Any, is_complex: bool) -> Any:
    if not is_complex and isinstance(value, ctx.mpc):
        if value.imag == 0:
            return value.real
        raise Undefined("not real")
    return value


_COST = {"num": 1, "sym": 1, "const": 1, "pow": 5, "fn": 12}


def _ev(tree: Tree, at: dict[str, Fraction], ctx: Any, cx: bool) -> Any:
    charge(_COST.get(tree[0], 2))
    kind = tree[0]
    if kind == "num":
        return ctx.mpf(tree[1].numerator) / tree[1].denominator
    if kind == "sym":
        value = at[tree[1]]
        return ctx.mpf(value.numerator) / value.denominator
    if kind == "const":
        name = tree[1]
        if name == "pi":
            return +ctx.pi
        if name == "e":
            return +ctx.e
        if name == "i":
            return ctx.mpc(0, 1)
        if name == "inf":
            return ctx.inf
        return +ctx.pi / 180 if name == "deg" else ctx.mpf(1) / 100
    if kind == "add":
        total = ctx.mpf(0)
        for t in tree[1:]:
            total += _ev(t, at, ctx, cx)
        return total
    if kind == "mul":
        total = ctx.mpf(1)
        for t in tree[1:]:
            total *= _ev(t, at, ctx, cx)
        return total
    if kind == "pow":
        return _ev_pow(_ev(tree[1], at, ctx, cx), tree[2], at, ctx, cx)
    if kind == "fn":
        return _ev_fn(tree[1], [_ev(t, at, ctx, cx) for t in tree[2:]], ctx, cx)
    raise Undefined(f"{kind} has no single value")


def _ev_pow(base: Any, exponent: Tree, at: dict[str, Fraction], ctx: Any, cx: bool) -> Any:
    e = _ev(exponent, at, ctx, cx)
    if ctx.isinf(base) or ctx.isinf(e):
        raise Undefined("power of infinity")
    if abs(e) > 1e9 or (base != 0 and abs(ctx.mag(base)) * abs(e) > 10**6):
        raise Undefined("a power too large")
    if (
        exponent[0] == "num"
        and not cx
        and base < 0
        and exponent[1].denominator % 2 == 1
        and exponent[1].denominator > 1
    ):
        root = (-base) ** e  # the real odd root, as \sqrt[3]{-8} means in answers
        return -root if exponent[1].numerator % 2 else root
    return _real(base**e, ctx, cx)


_FUNCTIONS = {
    "sin": "sin", "cos": "cos", "tan": "tan", "cot": "cot", "sec": "sec", "csc": "csc", "asin": "asin", "acos": "acos",
    "atan": "atan", "acot": "acot", "sinh": "sinh", "cosh": "cosh", "tanh": "tanh", "exp": "exp", "ln": "ln",
    "floor": "floor", "ceil": "ceil", "re": "re", "im": "im", "conj": "conj", "arg": "arg",
}  # fmt: skip


_ORDERED = ("factorial", "max", "min", "gcd", "lcm", "mod", "floor", "ceil")


def _ev_fn(name: str, args: list[Any], ctx: Any, cx: bool) -> Any:
    if any(ctx.isinf(a) for a in args):
        raise Undefined("function of infinity")
    if any(a != 0 and ctx.mag(a) > 2000 for a in args):
        raise Undefined("an argument too large")
    if name == "vec" and len(args) == 2:
        return args[1] - args[0]
    if name == "abs" and len(args) == 1:
        return abs(args[0])
    if name == "log" and len(args) == 2:  # log(base, x)
        return _real(ctx.ln(args[1]) / ctx.ln(args[0]), ctx, cx)
    if name in _ORDERED:
        args = [_real(a, ctx, False) for a in args]  # complex numbers have no order
    if name == "factorial" and len(args) == 1:
        if not -0.5 < args[0] <= 5000:
            raise Undefined("factorial")
        return ctx.factorial(args[0])
    if name == "binomial" and len(args) == 2:
        if any(abs(a) > 5000 for a in args):
            raise Undefined("binomial")
        return ctx.binomial(*args)
    if name in ("max", "min") and args:
        return max(args) if name == "max" else min(args)
    if name in ("gcd", "lcm", "mod"):
        if not all(ctx.isint(a) for a in args) or len(args) != 2:
            raise Undefined(name)
        a, b = int(args[0]), int(args[1])
        return ctx.mpf({"gcd": math.gcd, "lcm": math.lcm, "mod": lambda x, y: x % y}[name](a, b))
    if name in _FUNCTIONS and len(args) == 1:
        if name in ("exp", "sinh", "cosh") and abs(args[0]) > 10**6:
            raise Undefined("an argument too large")
        return _real(getattr(ctx, _FUNCTIONS[name])(args[0]), ctx, cx)
    raise Undefined(f"unknown function {name}")
