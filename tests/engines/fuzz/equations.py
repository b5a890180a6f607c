"""Equations in one unknown: Solve, Reduce and NSolve against polynomial root isolation and substitution."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import mpmath
from mpmath import mp, mpf

from nsrl.engines import Result
from tests.engines.fuzz.runner import RIGHT, UNEVALUATED, WRONG, Case, Kind
from tests.engines.fuzz.values import DIGITS, NoNumber, match, solutions


def polynomial_text(c: list[int], x: str = "x") -> str:
    """Coefficients, lowest first, as a sum."""
    return "+".join(f"({a})*{x}^{i}" if i else f"({a})" for i, a in enumerate(c) if a) or "0"


def times(a: list[int], b: list[int]) -> list[int]:
    """The product of two polynomials, lowest coefficients first."""
    out = [0] * (len(a) + len(b) - 1)
    for i, p in enumerate(a):
        for j, q in enumerate(b):
            out[i + j] += p * q
    return out


def random_polynomial(rng: random.Random, most: int = 5) -> list[int]:
    """Of degree 1 to `most`: dense, sparse, or a product whose roots are rational, irrational, complex or repeated."""
    if rng.random() < 0.4:
        c = [rng.randint(-9, 9) for _ in range(rng.randint(1, most))]
        return [*(rng.choice((a, 0)) for a in c), rng.choice((1, 1, 2, -3, 5))]
    c = [1]
    while len(c) < 2 or (len(c) <= most and rng.random() < 0.6):
        f = rng.choice(([rng.randint(-6, 6), rng.randint(1, 3)], [rng.randint(-7, 7), rng.randint(-4, 4), 1], [0, 1]))
        if len(c) + len(f) - 2 > most:
            break
        c = times(c, f)
        if rng.random() < 0.2 and len(c) + len(f) - 2 <= most:
            c = times(c, f)
    return c


def polynomial_roots(c: list[int]) -> list[Any]:
    """The distinct complex roots, real ones as mpf: of the square-free part, by mpmath."""
    import sympy  # exact greatest common divisors only

    x = sympy.Symbol("x")
    p = sympy.Poly(c[::-1], x)
    part = sympy.Poly(sympy.quo(p, sympy.gcd(p, p.diff(x))), x) if p.degree() > 1 else p
    with mp.workdps(2 * DIGITS):
        coefficients = [mpf(int(a.p)) / int(a.q) for a in part.all_coeffs()]
        roots = mpmath.polyroots(coefficients, maxsteps=500, extraprec=400)
        assert sum(abs(mpmath.im(r)) < mpf(10) ** -DIGITS for r in roots) == part.count_roots()
        return [mpmath.re(r) if abs(mpmath.im(r)) < mpf(10) ** -DIGITS else r for r in roots]


def distinct(found: list[tuple]) -> list[tuple]:
    """Each point once: Solve repeats a root as often as it occurs."""
    out: list[tuple] = []
    for p in found:
        if not any(match([p], [q]) for q in out):
            out.append(p)
    return out


def judged(expected: Callable[[], list[tuple]], names: tuple[str, ...] = ("x",), slack: Any = None) -> Callable[[Result], str]:
    """The judge of a list of rules whose points are the expected ones."""

    def judge(result: Result) -> str:
        with mp.workdps(DIGITS):
            try:
                found = distinct(solutions(result.value, names))
            except NoNumber:
                return UNEVALUATED if "Solve" in result.text else WRONG
            wanted = expected()
            return RIGHT if match(found, wanted, *([slack] if slack else [])) else WRONG

    return judge


def _polynomial(rng: random.Random) -> Case:
    c = random_polynomial(rng)
    if rng.random() < 0.5:
        return Case("wolfram", f"Solve[{polynomial_text(c)}==0,x]", judged(lambda: [(r,) for r in polynomial_roots(c)]))
    reals = judged(lambda: [(r,) for r in polynomial_roots(c) if isinstance(r, mpf)])
    return Case("wolfram", f"Solve[{polynomial_text(c)}==0,x,Reals]", reals)


KIND = {"solve.polynomial": Kind(_polynomial, least=0.9)}
