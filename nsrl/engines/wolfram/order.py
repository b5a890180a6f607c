"""Canonical order: what Sort, Order and the Orderless functions use.

Numbers come before strings, strings before symbols, symbols before compound trees; products and powers compare as
polynomials do, factor by factor from the last, so that `1 + x + x^2` and `AB - BC + CD` come out as the kernel prints
them. Source: documentation of Sort and Order.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from functools import cmp_to_key
from typing import Any
from unicodedata import combining, normalize

from nsrl.engines.wolfram.bignum import BigReal
from nsrl.engines.wolfram.expr import COMPLEX, Expr, S, Symbol

_TIMES, _PLUS, _POWER = S.Times, S.Plus, S.Power


def is_number(e: Any) -> bool:
    """Whether e is a number literal: integer, rational, real or complex."""
    t = type(e)
    return (
        t is int
        or t is float
        or t is Fraction
        or t is BigReal
        or (t is Expr and e.head is COMPLEX and len(e.args) == 2)
    )


def text_key(text: str) -> tuple:
    """Dictionary order: é beside e; of two spellings that differ in case only, the lower-case one first."""
    plain = text if text.isascii() else "".join(c for c in normalize("NFKD", text) if not combining(c))
    return plain.lower(), text.lower(), text.swapcase()


def _text_order(a: str, b: str) -> int:
    if a == b:
        return 0
    return -1 if text_key(a) < text_key(b) else 1


def _parts(n: Any) -> tuple:
    return n.args if type(n) is Expr else (n, 0)


def _float(n: Any) -> Any:
    return n.value if type(n) is BigReal else n


def _number_order(a: Any, b: Any) -> int:
    (ar, ai), (br, bi) = _parts(a), _parts(b)
    for x, y in ((_float(ar), _float(br)), (_float(ai), _float(bi))):
        if type(x) is not type(y) and Fraction in (type(x), type(y)) and type(x) is not int and type(y) is not int:
            x, y = (x.numerator / x.denominator, y) if type(x) is Fraction else (x, y.numerator / y.denominator)
        if x != y:
            return -1 if x < y else 1
    exact_a, exact_b = type(ar) in (int, Fraction), type(br) in (int, Fraction)
    return 0 if exact_a == exact_b else -1 if exact_a else 1


def _rank(e: Any) -> int:
    t = type(e)
    if t is Symbol:
        return 2
    if t is str:
        return 1
    if t is Expr:
        return 0 if e.head is COMPLEX else 3
    return 0


def _sequence_order(a: tuple, b: tuple) -> int:
    for x, y in zip(a, b):
        c = compare(x, y)
        if c:
            return c
    return (len(a) > len(b)) - (len(a) < len(b))


def _backwards(a: tuple, b: tuple) -> int:
    """Terms of sums or factors of products, from the last; a leading number counts least."""
    i, j = len(a) - 1, len(b) - 1
    while i >= 0 and j >= 0:
        c = compare(a[i], b[j])
        if c:
            return c
        i, j = i - 1, j - 1
    return (len(a) > len(b)) - (len(a) < len(b))


def _coefficient(e: Any, head: Any) -> tuple[Any, tuple]:
    """Number and other factors of a product: x is 1 times x, so that -x comes before x and x before 2x."""
    if head is not _TIMES:
        return 1, (e,)
    return (e.args[0], e.args[1:]) if e.args and is_number(e.args[0]) else (1, e.args)


def _constant(e: Any, head: Any) -> tuple[Any, tuple]:
    """Number and other terms of a sum: x is 0 + x, so that x comes after -1 + x and before 1 + x."""
    if head is not _PLUS:
        return 0, (e,)
    return (e.args[0], e.args[1:]) if e.args and is_number(e.args[0]) else (0, e.args)


def compare(a: Any, b: Any) -> int:
    """-1 if a comes first, 1 if b does, 0 if neither."""
    if a is b:
        return 0
    ra, rb = _rank(a), _rank(b)
    if ra == rb == 3 and a.nodes == b.nodes > 1000 and a == b:  # equality looks at a shared part once
        return 0
    if ra < 3 and rb < 3:
        if ra != rb:
            return -1 if ra < rb else 1
        if ra == 2:
            return _text_order(a.name, b.name)
        return _text_order(a, b) if ra == 1 else _number_order(a, b)
    ha, hb = (a.head if ra == 3 else None), (b.head if rb == 3 else None)
    # a number or a string is never taken for a power of itself
    if ra >= 2 and rb >= 2:
        if ha is _TIMES or hb is _TIMES:
            (ca, fa), (cb, fb) = _coefficient(a, ha), _coefficient(b, hb)
            return _backwards(fa, fb) or _number_order(ca, cb)
        if (ha is _POWER and len(a.args) == 2) or (hb is _POWER and len(b.args) == 2):
            base_a, exp_a = a.args if ha is _POWER and len(a.args) == 2 else (a, 1)
            base_b, exp_b = b.args if hb is _POWER and len(b.args) == 2 else (b, 1)
            return compare(base_a, base_b) or compare(exp_a, exp_b)
        if ha is _PLUS or hb is _PLUS:
            (ka, ta), (kb, tb) = _constant(a, ha), _constant(b, hb)
            return _backwards(ta, tb) or _number_order(ka, kb)
    if ra != rb:
        return -1 if ra < rb else 1
    c = (len(a.args) > len(b.args)) - (len(a.args) < len(b.args))
    if c:
        return c
    return compare(ha, hb) or _sequence_order(a.args, b.args)


KEY = cmp_to_key(compare)


def sort(items: Iterable[Any]) -> list[Any]:
    """Items in canonical order; equal ones keep their order."""
    out = list(items)
    kinds = set(map(type, out))
    if kinds == {int}:
        out.sort()
    elif kinds == {str}:
        out.sort(key=text_key)
    elif len(out) > 1:
        out.sort(key=KEY)
    return out


def is_sorted(items: tuple) -> bool:
    """Whether items already stand in canonical order."""
    return all(compare(items[i], items[i + 1]) <= 0 for i in range(len(items) - 1))
