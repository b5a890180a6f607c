"""Result.value, the nested lists of an engine, read as mpmath numbers and as truths: the oracles' own arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any

import mpmath
from mpmath import mp, mpc, mpf

DIGITS = 40
TINY = mpf(10) ** -18  # two numbers of DIGITS digits nearer than this are one

_CONSTANTS = {"Pi": lambda: mp.pi, "E": lambda: mp.e, "GoldenRatio": lambda: mp.phi, "EulerGamma": lambda: mp.euler,
              "Catalan": lambda: mp.catalan, "Infinity": lambda: mp.inf, "Degree": lambda: mp.pi / 180}  # fmt: skip
_FUNCTIONS: dict[str, Callable] = {
    "Sin": mpmath.sin, "Cos": mpmath.cos, "Tan": mpmath.tan, "Cot": mpmath.cot, "Sec": mpmath.sec, "Csc": mpmath.csc,
    "ArcSin": mpmath.asin, "ArcCos": mpmath.acos, "Sinh": mpmath.sinh, "Cosh": mpmath.cosh, "Tanh": mpmath.tanh,
    "ArcSinh": mpmath.asinh, "ArcCosh": mpmath.acosh, "ArcTanh": mpmath.atanh, "ArcCot": mpmath.acot,
    "Exp": mpmath.exp, "Sqrt": mpmath.sqrt, "Abs": abs, "Re": mpmath.re, "Im": mpmath.im, "Sign": mpmath.sign,
    "ProductLog": mpmath.lambertw, "Gamma": mpmath.gamma, "Factorial": mpmath.factorial, "Erf": mpmath.erf,
    "Floor": mpmath.floor, "Ceiling": mpmath.ceil, "Zeta": mpmath.zeta, "Conjugate": mpmath.conj,
    "CubeRoot": lambda z: mpmath.sign(z) * mpmath.cbrt(abs(z)), "ArcSec": mpmath.asec, "ArcCsc": mpmath.acsc,
}  # fmt: skip
_SEVERAL: dict[tuple[str, int], Callable] = {
    ("Pochhammer", 2): mpmath.rf, ("Binomial", 2): mpmath.binomial, ("Beta", 2): mpmath.beta, ("Gamma",
    2): mpmath.gammainc,
    ("HarmonicNumber", 1): mpmath.harmonic, ("PolyGamma", 1): mpmath.digamma, ("PolyGamma", 2): lambda n,
    z: mpmath.psi(int(n), z),
    ("Zeta", 2): mpmath.zeta, ("PolyLog", 2): mpmath.polylog, ("Hypergeometric2F1", 4): mpmath.hyp2f1, ("Erfc",
    1): mpmath.erfc,
    ("SinIntegral", 1): mpmath.si, ("CosIntegral", 1): mpmath.ci, ("ExpIntegralEi", 1): mpmath.ei, ("Coth",
    1): mpmath.coth,
    ("ArcCoth", 1): mpmath.acoth, ("Sech", 1): mpmath.sech, ("Csch", 1): mpmath.csch, ("Erfi", 1): mpmath.erfi,
}  # fmt: skip


class NoNumber(Exception):
    """The tree is none."""


def number(v: Any, names: dict[str, Any] | None = None) -> Any:
    """The mpf or mpc of a tree; `names` gives symbols their numbers. Raises NoNumber."""
    try:
        return _number(v, names or {})
    except (ZeroDivisionError, ValueError, OverflowError) as error:
        raise NoNumber(str(error)) from error


def _number(v: Any, names: dict[str, Any]) -> Any:
    if isinstance(v, int | float):
        return mpf(v)
    head, args = v[0], v[1:]
    if head == "Symbol":
        if args[0] in names:
            return names[args[0]]
        if args[0] in _CONSTANTS:
            return +_CONSTANTS[args[0]]()
        raise NoNumber(args[0])
    if head == "Rational":
        return mpf(args[0]) / args[1]
    if head == "Real":
        return mpf(args[0].split("`")[0].replace("*^", "e"))
    if head == "Root":
        return _root(*args)
    if head in ("Less", "LessEqual", "Greater", "GreaterEqual", "Equal", "Unequal", "And", "Or", "Not"):
        raise NoNumber(head)
    xs = [_number(a, names) for a in args]
    if head == "Plus":
        return mpmath.fsum(xs)
    if head == "Times":
        return mpmath.fprod(xs)
    if head == "Complex":
        return mpc(*xs)
    if head == "Power":
        return xs[0] ** xs[1]
    if head == "Log":
        return mpmath.log(xs[0]) if len(xs) == 1 else mpmath.log(xs[1]) / mpmath.log(xs[0])
    if head == "ArcTan":
        return mpmath.atan(xs[0]) if len(xs) == 1 else mpmath.atan2(xs[1], xs[0])
    if head in ("Max", "Min"):
        return max(xs) if head == "Max" else min(xs)
    if head in _FUNCTIONS and len(xs) == 1:
        return _FUNCTIONS[head](xs[0])
    if (head, len(xs)) in _SEVERAL:
        return _SEVERAL[head, len(xs)](*xs)
    raise NoNumber(str(head))


def _root(function: Any, k: int, *_: Any) -> Any:
    """Root[p &, k]: real roots ascending, then the others by real part, the conjugate below first."""
    terms = function[1][1:] if function[1][0] == "Plus" else [function[1]]
    by: dict[int, Any] = {}
    for t in terms:
        c, n = mpf(1), 0
        for f in t[1:] if isinstance(t, list) and t[0] == "Times" else [t]:
            if f == ["Slot", 1]:
                n += 1
            elif isinstance(f, list) and f[0] == "Power" and f[1] == ["Slot", 1]:
                n += f[2]
            else:
                c *= _number(f, {})
        by[n] = by.get(n, 0) + c
    return _ordered_roots(tuple(by.get(i, 0) for i in range(max(by), -1, -1)))[k - 1]


@cache
def _ordered_roots(coefficients: tuple[Any, ...]) -> list[Any]:
    """Kept: a judge asks for one root at hundreds of points, and roots that are nearly one take seconds."""
    with mp.workdps(2 * DIGITS):
        roots = mpmath.polyroots(coefficients, maxsteps=500, extraprec=400)
        reals = sorted(r.real for r in roots if abs(mpmath.im(r)) < mpf(10) ** -DIGITS)
        others = sorted(
            (r for r in roots if abs(mpmath.im(r)) >= mpf(10) ** -DIGITS), key=lambda r: (round(r.real, 30), r.imag)
        )
        return [*reals, *others]


def same(a: Any, b: Any, slack: Any = TINY) -> bool:
    """Whether two numbers are one within slack, taken of their size."""
    return abs(a - b) <= slack * (1 + abs(a) + abs(b))


def holds(v: Any, names: dict[str, Any]) -> bool:
    """The truth of And, Or, Not, chains of relations, Element, True and False at a point. Raises NoNumber."""
    if v in (["Symbol", "True"], ["Symbol", "False"]):
        return v[1] == "True"
    head, args = v[0], v[1:]
    if head == "And":
        return all(holds(a, names) for a in args)
    if head == "Or":
        return any(holds(a, names) for a in args)
    if head == "Not":
        return not holds(args[0], names)
    if head == "Inequality":
        return all(holds([op[1], a, b], names) for a, op, b in zip(args[::2], args[1::2], args[2::2], strict=False))
    if head == "Element" and args[1] == ["Symbol", "Integers"]:
        return same(number(args[0], names), mpmath.nint(number(args[0], names)))
    if head == "Element" and args[1] == ["Symbol", "Reals"]:
        return same(mpmath.im(number(args[0], names)), 0)
    return all(_related(head, number(a, names), number(b, names)) for a, b in pairwise(args))


def _related(head: str, a: Any, b: Any) -> bool:
    if head in ("Equal", "Unequal"):
        return same(a, b) == (head == "Equal")
    if head not in ("Less", "LessEqual", "Greater", "GreaterEqual"):
        raise NoNumber(head)
    if not same(mpmath.im(a), 0) or not same(mpmath.im(b), 0):
        return False
    if same(a, b):
        return head.endswith("Equal")
    return (a.real < b.real) == head.startswith("Less")


def rules(v: Any) -> dict[str, Any]:
    """{x -> 1, y -> 2} as trees by name. Raises NoNumber for anything else."""
    if not isinstance(v, list) or v[0] != "List" or any(not isinstance(r, list) or r[0] != "Rule" for r in v[1:]):
        raise NoNumber("no rules")
    return {r[1][1]: r[2] for r in v[1:]}


def solutions(v: Any, names: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """{{x -> 1}, {x -> 2}} as tuples of numbers in the order of names. Raises NoNumber."""
    if not isinstance(v, list) or v[0] != "List":
        raise NoNumber("no list")
    found = [rules(s) for s in v[1:]]
    if any(set(s) != set(names) for s in found):
        raise NoNumber("other names")
    return [tuple(number(s[n]) for n in names) for s in found]


def match(found: list[tuple], expected: list[tuple], slack: Any = TINY) -> bool:
    """Whether two collections of points are equal, in any order, each point once."""
    left = list(expected)
    for p in found:
        hit = next((i for i, q in enumerate(left) if all(same(a, b, slack) for a, b in zip(p, q, strict=True))), None)
        if hit is None:
            return False
        del left[hit]
    return not left
