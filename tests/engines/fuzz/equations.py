"""Equations in one unknown: Solve, NSolve, Reduce and FindRoot against other ways to their roots.

Polynomials against exact root isolation; rational, radical and absolute-value equations against the real roots of a
polynomial made by hand (squaring, cases) or sign changes on a fine grid; trigonometric, exponential and logarithmic
ones against sign changes and touching points on a fine grid of an interval.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import mpmath
from mpmath import mp, mpf

from nsrl.engines import Result
from tests.engines.fuzz.runner import RIGHT, UNEVALUATED, WRONG, Case, Kind
from tests.engines.fuzz.values import DIGITS, NoNumber, holds, match, number, rules, same, solutions

NEAR = mpf(10) ** -7  # for roots found on a grid


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
    import sympy  # exact greatest common divisors and root counts only

    x = sympy.Symbol("x")
    p = sympy.Poly(c[::-1], x)
    part = sympy.Poly(sympy.quo(p, sympy.gcd(p, p.diff(x))), x) if p.degree() > 1 else p
    with mp.workdps(2 * DIGITS):
        coefficients = [mpf(int(a.p)) / int(a.q) for a in part.all_coeffs()]
        roots = mpmath.polyroots(coefficients, maxsteps=500, extraprec=400) if part.degree() > 0 else []
        assert sum(abs(mpmath.im(r)) < mpf(10) ** -DIGITS for r in roots) == part.count_roots()
        return [mpmath.re(r) if abs(mpmath.im(r)) < mpf(10) ** -DIGITS else r for r in roots]


def real_roots(c: list[int]) -> list[Any]:
    return [r for r in polynomial_roots(c) if isinstance(r, mpf)]


def grid_roots(f: Callable, low: Any, high: Any, bounds: str = "<=x<=", pieces: int = 6000) -> list[Any]:
    """Zeros of a real function between low and high: sign changes on a fine grid, and points where it touches 0.

    f(x, m) takes a number and the mpmath context to use (machine numbers scan, long ones refine); it gives None where
    it has no real value. Zeros nearer together than a grid step would be missed: the cases have none. Which ends belong
    to the interval is read from bounds.
    """
    step = (float(high) - float(low)) / pieces
    xs = [float(low) + step * (i + 0.37) for i in range(-3, pieces + 3)]
    quick = [f(x, mpmath.fp) for x in xs]
    with mp.workdps(DIGITS):
        # near a zero of the fourth order machine numbers have signs by chance
        quick = [v if v is None or abs(v) > 1e-9 else f(mpf(x), mpmath) for x, v in zip(xs, quick, strict=True)]
        found: list[Any] = []
        for i in range(1, len(xs) - 1):
            before, here, after = quick[i - 1 : i + 2]
            if here is None:
                continue
            if after is not None and here * after <= 0:
                found += _refined(_bisected, f, xs[i], xs[i + 1])
            if before == here == after != 0:
                continue  # level between two corners
            if None in (before, after) or (
                abs(here) <= abs(before) and abs(here) <= abs(after) and here * before > 0 and here * after > 0
            ):
                found += _refined(_least, f, xs[i - 1], xs[i + 1])
        out: list[Any] = []
        for r in sorted(found):
            inside = (r >= low - NEAR if "<=x" in bounds else r > low + NEAR) and (
                r <= high + NEAR if "x<=" in bounds else r < high - NEAR
            )
            if inside and (not out or r - out[-1] > mpf(10) ** -6):
                out.append(r)
        return out


def _refined(way: Callable, f: Callable, a: float, b: float) -> list[Any]:
    r = way(f, mpf(a), mpf(b), f(mpf(a), mpmath))
    v = None if r is None else f(r, mpmath)
    return [r] if v is not None and abs(v) < mpf(10) ** -11 else []  # a pole changes signs too


def _bisected(f: Callable, a: Any, b: Any, at_a: Any) -> Any:
    for _ in range(120):
        m = (a + b) / 2
        v = f(m, mpmath)
        if v is None or at_a is None:
            return None
        a, b = (m, b) if (v > 0) == (at_a > 0) else (a, m)
    return (a + b) / 2


def _least(f: Callable, a: Any, b: Any, _: Any) -> Any:
    """Where |f| is least between a and b; where it has no value counts as large (the end of its domain)."""

    def size(x: Any) -> Any:
        v = f(x, mpmath)
        return mp.inf if v is None else abs(v)

    g = (mpmath.sqrt(5) - 1) / 2
    for _ in range(150):
        p, q = b - g * (b - a), a + g * (b - a)
        u, v = size(p), size(q)
        if u == v == mp.inf:
            return min((a, b), key=size)
        a, b = (a, q) if u < v else (p, b)
    return min((a, b, (a + b) / 2), key=size)


def distinct(found: list[tuple]) -> list[tuple]:
    """Each point once: Solve repeats a root as often as it occurs."""
    out: list[tuple] = []
    for p in found:
        if not any(match([p], [q]) for q in out):
            out.append(p)
    return out


def judged(
    expected: Callable[[], list[tuple]], names: tuple[str, ...] = ("x",), slack: Any = None
) -> Callable[[Result], str]:
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


def same_set(expected: Callable[[], list[Any]], slack: Any) -> Callable[[Result], str]:
    """The judge of Reduce: the equations it lists are the expected values of x, each once."""

    def judge(result: Result) -> str:
        with mp.workdps(DIGITS):
            wanted = expected()
            parts = (
                result.value[1:]
                if result.value[0] == "Or"
                else []
                if result.value == ["Symbol", "False"]
                else [result.value]
            )
            try:
                if any(p[0] != "Equal" or p[1] != ["Symbol", "x"] for p in parts):
                    return WRONG
                found = [(number(p[2]),) for p in parts]
            except NoNumber:
                return WRONG
            return RIGHT if match(distinct(found), [(w,) for w in wanted], slack) else WRONG

    return judge


def _polynomial(rng: random.Random) -> Case:
    c = random_polynomial(rng)
    if rng.random() < 0.5:
        return Case("wolfram", f"Solve[{polynomial_text(c)}==0,x]", judged(lambda: [(r,) for r in polynomial_roots(c)]))
    if rng.random() < 0.5:
        return Case(
            "wolfram", f"Reduce[{polynomial_text(c)}==0,x,Reals]", same_set(lambda: real_roots(c), mpf(10) ** -18)
        )
    return Case("wolfram", f"Solve[{polynomial_text(c)}==0,x,Reals]", judged(lambda: [(r,) for r in real_roots(c)]))


def _numeric_polynomial(rng: random.Random) -> Case:
    c = random_polynomial(rng, 7)
    return Case(
        "wolfram",
        f"NSolve[{polynomial_text(c)}" + rng.choice(("==0,x]", ",x]")),
        judged(lambda: [(r,) for r in polynomial_roots(c)], slack=mpf(10) ** -6),
    )


def _value(c: list[int], x: Any) -> Any:
    return mpmath.polyval(c[::-1], x)


def _rational(rng: random.Random) -> Case:
    a, b, c, d = (random_polynomial(rng, 2) for _ in range(4))
    b[0], d[0] = b[0] or 2, d[0] or -3  # x²/x is x before anything is solved, and p/p is 1
    if a == b or c == d:
        return _rational(rng)
    text = f"({polynomial_text(a)})/({polynomial_text(b)})==({polynomial_text(c)})/({polynomial_text(d)})"
    # a d - b c without the zeros of b and d
    left, right = times(a, d), times(b, c)
    n = max(len(left), len(right))
    p = [(left[i] if i < len(left) else 0) - (right[i] if i < len(right) else 0) for i in range(n)]
    while p and not p[-1]:
        p.pop()
    if len(p) < 2:
        return _rational(rng)
    return Case("wolfram", f"Solve[{text},x]", judged(
        lambda: [(r,) for r in polynomial_roots(p) if not same(_value(b, r), 0) and not same(_value(d, r),
        0)]))  # fmt: skip


def _on_grid(rng: random.Random, text: str, f: Callable[[Any], Any], low: float, high: float, bounds: str) -> Case:
    """f = 0 with low <= x <= high by one of the four that solve."""
    program, judge = rng.choice((
        (f"Solve[{text}&&{bounds},x]", judged(lambda: [(r,) for r in grid_roots(f, low, high, bounds)], slack=NEAR)),
        (f"Solve[{text}&&{bounds},x,Reals]", judged(lambda: [(r,) for r in grid_roots(f, low, high, bounds)],
        slack=NEAR)),
        (f"NSolve[{text}&&{bounds},x]", judged(lambda: [(r,) for r in grid_roots(f, low, high, bounds)], slack=NEAR)),
        (f"Reduce[{text}&&{bounds},x]", same_set(lambda: grid_roots(f, low, high, bounds), NEAR)),
    ))  # fmt: skip
    return Case("wolfram", program, judge)


def _real(v: Any) -> Any:
    """A number as a real one; None for infinity, no number, and what has an imaginary part."""
    return None if abs(v.imag) > 1e-25 or v != v or abs(v) == mp.inf else v.real


def _total(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """f with None where it has no real value."""

    def at(x: Any, m: Any = mpmath) -> Any:
        try:
            return _real(f(x, m))
        except (ZeroDivisionError, ValueError, OverflowError):
            return None

    return at


def _radical(rng: random.Random) -> Case:
    a, b = rng.randint(-5, 9), rng.choice((1, 1, 2, 3, -1))
    c, d = rng.randint(-6, 6), rng.choice((1, 1, 2, -1, 0))
    e, g = rng.randint(-4, 8), rng.choice((1, 2, 1, -1))
    if b * g < 0 and a * g == e * b:
        e += 1  # two roots that are real at one point alone: no grid sees it
    text, f = rng.choice((
        (f"Sqrt[{b}*x+{a}]=={d}*x+{c}", lambda x, m=mpmath: m.sqrt(b * x + a) - d * x - c),
        (f"Sqrt[{b}*x+{a}]+Sqrt[{g}*x+{e}]=={abs(c)}", lambda x,
        m=mpmath: m.sqrt(b * x + a) + m.sqrt(g * x + e) - abs(c)),
        (f"x*Sqrt[{b}*x+{abs(a)}]=={d}*x", lambda x, m=mpmath: x * m.sqrt(b * x + abs(a)) - d * x),
        (f"Sqrt[x^2+{abs(a)}]=={d}*x+{c}", lambda x, m=mpmath: m.sqrt(x * x + abs(a)) - d * x - c),
        (f"x-({c})*Sqrt[x]+{e}==0", lambda x, m=mpmath: x - c * m.sqrt(x) + e),
        (f"x^(1/3)=={d}*x+{c}", lambda x, m=mpmath: (m.cbrt(x) if x >= 0 else m.mpf("nan")) - d * x - c),
        (f"1/Sqrt[x+{abs(a)}]=={g}*x+{c}", lambda x, m=mpmath: 1 / m.sqrt(x + abs(a)) - g * x - c),
    ))  # fmt: skip
    return _on_grid(rng, text, _total(f), -40, 60, "-40<=x<=60") if rng.random() < 0.6 else Case(
        "wolfram", f"Solve[{text},x,Reals]", _superset(_total(f), -40, 60))  # fmt: skip


def _superset(f: Callable[[Any], Any], low: float, high: float) -> Callable[[Result], str]:
    """Roots over all reals: each satisfies the equation, and those of the grid are there."""

    def judge(result: Result) -> str:
        with mp.workdps(DIGITS):
            try:
                found = [r for (r,) in distinct(solutions(result.value, ("x",)))]
            except NoNumber:
                return WRONG
            for r in found:
                v = f(mpmath.re(r), mpmath) if abs(mpmath.im(r)) < 1e-20 else None
                if v is None or abs(v) > 1e-15 * (1 + abs(r)):
                    return WRONG
            inside = [(r,) for r in found if low <= mpmath.re(r) <= high]
            return RIGHT if match(inside, [(r,) for r in grid_roots(f, low, high)], NEAR) else WRONG

    return judge


def _absolute(rng: random.Random) -> Case:
    a, b, c, d = (rng.randint(-6, 6) for _ in range(4))
    k = rng.choice((1, 2, 3, -1))
    text, f = rng.choice((
        (f"Abs[x-({a})]+Abs[x-({b})]=={abs(c) + 13}", lambda x, m=mpmath: abs(x - a) + abs(x - b) - abs(c) - 13),
        (f"Abs[{k}*x+{a}]=={abs(b)}", lambda x, m=mpmath: abs(k * x + a) - abs(b)),
        (f"Abs[2x+{a}]==x+{b}", lambda x, m=mpmath: abs(2 * x + a) - x - b),
        (f"Abs[x^2+({a})*x+({b})]=={abs(c) + 1}", lambda x, m=mpmath: abs(x * x + a * x + b) - abs(c) - 1),
        (f"Abs[x-({a})]*x=={d}", lambda x, m=mpmath: abs(x - a) * x - d),
        (f"Abs[Abs[x-({a})]-{abs(b)}]=={abs(c) + 1}", lambda x, m=mpmath: abs(abs(x - a) - abs(b)) - abs(c) - 1),
    ))  # fmt: skip
    if rng.random() < 0.6:
        return _on_grid(rng, text, _total(f), -60, 60, "-60<=x<=60")
    return Case("wolfram", f"Solve[{text},x,Reals]", _superset(_total(f), -60, 60))


def _trigonometric(rng: random.Random) -> Case:
    """Over [0, 2 Pi), or a shorter or longer closed interval."""
    k, n = rng.choice((1, 1, 2, 3)), rng.choice((1, 2, 3))
    a, b = rng.choice((1, 2, 3, -1)), rng.choice((1, 2, -1, -2, 3))
    c = rng.choice((0, 1, -1, 1, 2))
    text, f = rng.choice((
        (f"{a}*Sin[{k}x]+({b})*Cos[{n}x]=={c}", lambda x, m=mpmath: a * m.sin(k * x) + b * m.cos(n * x) - c),
        (f"Sin[{k}x]=={b}*Cos[x]", lambda x, m=mpmath: m.sin(k * x) - b * m.cos(x)),
        (f"2*Sin[x]^2+({b})*Sin[x]+({c})==0", lambda x, m=mpmath: 2 * m.sin(x) ** 2 + b * m.sin(x) + c),
        (f"{a}*Cos[x]^2+({b})*Sin[x]=={c}", lambda x, m=mpmath: a * m.cos(x) ** 2 + b * m.sin(x) - c),
        (f"Sin[{k}x]==Sin[{n}x+Pi/3]", lambda x, m=mpmath: m.sin(k * x) - m.sin(n * x + m.pi / 3)),
        (f"Cos[{k}x]-Cos[{n + k}x]==0", lambda x, m=mpmath: m.cos(k * x) - m.cos((n + k) * x)),
        (f"Tan[x]^2=={abs(b)}", lambda x, m=mpmath: m.tan(x) ** 2 - abs(b)),
        (f"Sin[x]*Cos[x]=={c}/4", lambda x, m=mpmath: m.sin(x) * m.cos(x) - m.mpf(c) / 4),
        (f"Sin[{k}x]=={c}/3", lambda x, m=mpmath: m.sin(k * x) - m.mpf(c) / 3),
        (f"Sin[x]+Cos[x]=={b}/2", lambda x, m=mpmath: m.sin(x) + m.cos(x) - m.mpf(b) / 2),
        (f"Cos[2x]+({b})*Sin[x]==1", lambda x, m=mpmath: m.cos(2 * x) + b * m.sin(x) - 1),
        (f"Sin[x]*(2*Cos[{n}x]-({c}))==0", lambda x, m=mpmath: m.sin(x) * (2 * m.cos(n * x) - c)),
        (f"Sqrt[3]*Sin[x]+Cos[x]=={c}", lambda x, m=mpmath: m.sqrt(3) * m.sin(x) + m.cos(x) - c),
    ))  # fmt: skip
    if _vanishes(f):
        return _trigonometric(rng)
    with mp.workdps(DIGITS):
        low, high, bounds = rng.choice(((mpf(0), 2 * mp.pi, "0<=x<2Pi"), (mpf(0), +mp.pi, "0<=x<=Pi"), (-mp.pi, +mp.pi,
        "-Pi<x<=Pi"),
                                        (mpf(1), mpf(9), "1<x<9"), (mpf(0), 2 * mp.pi, "0<=x<=2Pi")))  # fmt: skip
    return _on_grid(rng, text, _total(f), low, high, bounds)


def _quotient(rng: random.Random) -> Case:
    """A numerator with families of roots over what vanishes, or ends its domain, at some of their members."""
    k, n, sign, p, q = (
        rng.choice((1, 2, 3, 4)),
        rng.choice((1, 1, 2, 3)),
        rng.choice((1, -1)),
        rng.randint(-4, 6),
        rng.choice((1, 2)),
    )
    plain = (  # text, what vanishes where the quotient has no value, what is negative where it is not real
        ("x", lambda x: x, None), (f"(x-({p}))", lambda x: x - p, None), (f"(x*({q}x-({p})))",
        lambda x: x * (q * x - p), None),
        (f"Sqrt[x-({p})]", lambda x: x - p, lambda x: x - p), (f"Log[{q}x]", lambda x: x * (q * x - 1), lambda x: x),
    )  # fmt: skip
    waves = (
        (f"(1+({sign})*Sin[{n}x])", lambda x: 1 + sign * mpmath.sin(n * x), None),
        (f"(1+({sign})*Cos[{n}x])", lambda x: 1 + sign * mpmath.cos(n * x), None),
        (f"Sin[{n}x]", lambda x: mpmath.sin(n * x), None), (f"Cos[{n}x]", lambda x: mpmath.cos(n * x), None),
        (f"(x-({p})*Pi/{q})", lambda x: x - p * mp.pi / q, None),
    )  # fmt: skip
    text, f, under = rng.choice((
        (f"Sin[{k}x]", lambda x, m=mpmath: m.sin(k * x), waves + plain), (f"Cos[{k}x]", lambda x,
        m=mpmath: m.cos(k * x), waves + plain),
        (f"(1-({sign})*Cos[{k}x])", lambda x, m=mpmath: 1 - sign * m.cos(k * x), waves + plain),
        (f"Tan[{k}x]", lambda x, m=mpmath: m.tan(k * x), waves + plain),
        (f"(Sin[{k + 1}x]+({sign})*Sin[x])", lambda x, m=mpmath: m.sin((k + 1) * x) + sign * m.sin(x), waves + plain),
        (f"Sin[{k}Pi*x]", lambda x, m=mpmath: m.sin(k * m.pi * x), plain),
        (f"Cos[{k}Pi*x/2]", lambda x, m=mpmath: m.cos(k * m.pi * x / 2), plain),
    ))  # fmt: skip
    divisor, pole, real = rng.choice(under)
    (low, high), program, domain = (
        rng.choice(((0, 7), (-5, 5), (2, 9))),
        rng.choice(("Solve", "NSolve", "Reduce")),
        rng.choice(("", ",Reals")),
    )

    def expected() -> list[Any]:
        roots = grid_roots(_total(f), low, high)
        return [r for r in roots if abs(pole(r)) > 1e-9 and not (domain and real and real(r) < 0)]

    judge = same_set(expected, NEAR) if program == "Reduce" else judged(lambda: [(r,) for r in expected()], slack=NEAR)
    return Case("wolfram", f"{program}[{text}/{divisor}==0&&{low}<=x<={high},x{domain}]", judge)


def _vanishes(f: Callable[[Any], Any]) -> bool:
    return all(abs(f(mpf(k) / 7)) < 1e-12 for k in (1, 3, 5, 9))


def _exponential(rng: random.Random) -> Case:
    a, b, c = rng.randint(-6, 6), rng.randint(-8, 8), rng.choice((1, 2, 3))
    base = rng.choice((2, 3, 5))
    text, f = rng.choice((
        (f"E^(2x)+({a})*E^x+({b})==0", lambda x, m=mpmath: m.exp(2 * x) + a * m.exp(x) + b),
        (f"{base}^({c}x+1)+({a})*{base}^x+({b})==0", lambda x,
        m=mpmath: m.mpf(base) ** (c * x + 1) + a * m.mpf(base) ** x + b),
        (f"4^x+({a})*2^x+({b})==0", lambda x, m=mpmath: m.mpf(4) ** x + a * m.mpf(2) ** x + b),
        (f"E^x-({a})*E^(-x)=={b}", lambda x, m=mpmath: m.exp(x) - a * m.exp(-x) - b),
        (f"2^(x+{c})=={base + 2}^x", lambda x, m=mpmath: m.mpf(2) ** (x + c) - m.mpf(base + 2) ** x),
        (f"Log[x]+Log[x+({a})]==Log[{abs(b) + 1}]", lambda x, m=mpmath: m.log(x) + m.log(x + a) - m.log(abs(b) + 1)),
        (f"Log[x]^2+({a})*Log[x]+({c})==0", lambda x, m=mpmath: m.log(x) ** 2 + a * m.log(x) + c),
        (f"Log[2,x]+Log[4,x+({a})]=={c}", lambda x, m=mpmath: m.log(x) / m.log(2) + m.log(x + a) / m.log(4) - c),
        (f"Log[{base},x^2+({a})*x]=={c}", lambda x, m=mpmath: m.log(x * x + a * x) / m.log(base) - c),
        (f"x*(E^x-{c})*(x-({a}))==0", lambda x, m=mpmath: x * (m.exp(x) - c) * (x - a)),
        (f"Cosh[x]=={c}", lambda x, m=mpmath: m.cosh(x) - c),
        (f"E^(x^2+({a})*x)=={c}", lambda x, m=mpmath: m.exp(x * x + a * x) - c),
    ))  # fmt: skip
    return _on_grid(rng, text, _total(f), -12, 30, "-12<=x<=30") if rng.random() < 0.6 else Case(
        "wolfram", f"Solve[{text},x,Reals]", _superset(_total(f), -12, 30))  # fmt: skip


def _mixed(rng: random.Random) -> Case:
    """x beside functions of x: only intervals of arithmetic can tell the roots apart."""
    a, b, c = rng.choice((1, 2, 3, 5)), rng.randint(-5, 5), rng.choice((1, 2, 3))
    text, f = rng.choice((
        (f"{a}*Cos[{c}x]==x", lambda x, m=mpmath: a * m.cos(c * x) - x),
        (f"E^x=={a}*x+{b}", lambda x, m=mpmath: m.exp(x) - a * x - b),
        (f"x^2+{a}*Sin[{c}x]=={b}", lambda x, m=mpmath: x * x + a * m.sin(c * x) - b),
        (f"x^3+x==Exp[x]-{b}", lambda x, m=mpmath: x**3 + x - m.exp(x) + b),
        (f"x*Sin[x]=={a}", lambda x, m=mpmath: x * m.sin(x) - a),
        (f"2^x==x^2+{b}", lambda x, m=mpmath: m.mpf(2) ** x - x * x - b),
    ))  # fmt: skip
    return Case(
        "wolfram",
        f"NSolve[{text}&&-5<=x<=6,x]",
        judged(lambda: [(r,) for r in grid_roots(_total(f), -5, 6)], slack=NEAR),
    )


def _find_root(rng: random.Random) -> Case:
    a, b, start = rng.choice((1, 2, 5, 100, 1000)), rng.randint(-4, 4), rng.choice((-3, -1, 0, 0.5, 1, 2, 5, 10))
    c = random_polynomial(rng, 4)
    text, f = rng.choice((
        (f"Exp[x]-{a}", lambda x: mpmath.exp(x) - a),
        (f"Cos[x]=={b}*x+1/3", lambda x: mpmath.cos(x) - b * x - mpf(1) / 3),
        (polynomial_text(c), lambda x: _value(c, x)),
        (f"Log[x]=={b}-x", lambda x: mpmath.log(x) - b + x),
        (f"x^2+{a}", lambda x: x * x + a),
        (f"x*Exp[x]=={a}", lambda x: x * mpmath.exp(x) - a),
        (f"ArcTan[x]=={b}/7", lambda x: mpmath.atan(x) - mpf(b) / 7),
        (f"Sqrt[x+4]=={b}+x", lambda x: mpmath.sqrt(x + 4) - b - x),
    ))  # fmt: skip

    def judge(result: Result) -> str:
        with mp.workdps(30):
            try:
                x = number(rules(result.value)["x"])
                step = mpf(10) ** -9 * (1 + abs(x))
                # the residual is what a small move of x explains; a multiple root is met less exactly
                return RIGHT if abs(f(x)) <= 1e-12 or abs(f(x)) <= 2 * abs(f(x + step) - f(x - step)) else WRONG
            except (NoNumber, KeyError):
                return WRONG

    return Case("wolfram", f"FindRoot[{text},{{x,{start}}}]", judge)


def _no_root(rng: random.Random) -> Case:
    """What comes as near to zero as one likes, or a little less, and is never zero: whatever FindRoot gives is
    wrong."""
    a, b, n, tiny = rng.randint(1, 5), rng.randint(-4, 4), rng.choice((2, 4, 6)), rng.randint(8, 60)
    u = f"({rng.choice((1, -1, 2, 3))}*x+({b}))"
    decay = rng.choice((
        f"E^{u}", f"1/{u}", f"1/({u}^{n}+{a})", f"ArcTan[{u}]-Pi/2", f"Tanh[{u}]-1", f"Erf[{u}]+1", f"{a + 1}^{u}",
        f"E^(-{u}^{n})", f"1/(1+E^{u})", f"Sech[{u}]", f"{u}/Sqrt[{a}+{u}^2]-1", f"{u}^{n}+10^-{tiny}",
        f"({u}^2-{a})^{n}+10^-{tiny}", f"Cosh[{u}]-1+10^-{tiny}", f"Erfc[{u}]", f"Csch[{u}]", f"Sin[{u}]^2+10^-{tiny}",
        f"Sqrt[{u}^2+{a}]-Abs[{u}]", f"Log[1+E^{u}]", f"E^{u}-Sinh[{u}]",
    ))  # fmt: skip
    f = rng.choice(
        (decay, f"10^-{rng.randint(1, 40)}*({decay})", f"({u}^2+{a})*({decay})", f"({decay})^{rng.randint(2, 3)}")
    )
    start = rng.choice((str(rng.randint(-5, 5)), f"{rng.uniform(-9, 9):.3f}", f"{rng.uniform(-90, 90):.1f}"))
    program = rng.choice((
        f"FindRoot[{f},{{x,{start}}}]", f"FindRoot[{f}==0,{{x,{start}}}]",
        f"FindRoot[{{{f}==0,y=={a}}},{{{{x,{start}}},{{y,1}}}}]",
    ))  # fmt: skip
    return Case("wolfram", program, lambda result: WRONG)


def _inequality(rng: random.Random) -> Case:
    """Reduce against a thousand points, those of the condition's own corners among them."""
    a, b, c = random_polynomial(rng, 3), random_polynomial(rng, 2), rng.randint(-6, 6)
    b[0] = b[0] or 2  # x²/x is x before anything is reduced, and p/p is 1
    b[0] += a == b
    op, other = rng.choice(("<", "<=", ">", ">=")), rng.choice(("<", ">="))
    k = rng.randint(1, 5)
    text = rng.choice((
        f"{polynomial_text(a)}{op}{c}",
        f"({polynomial_text(a)})/({polynomial_text(b)}){op}{c}",
        f"Abs[{polynomial_text(b)}]{op}{k}",
        f"{polynomial_text(a)}{op}0&&{polynomial_text(b)}{other}{c}",
        f"{polynomial_text(a)}{op}0||x{other}{c}",
        f"Sqrt[{polynomial_text(b)}]{op}x+{c}",
        f"Abs[x-{k}]{op}Abs[{polynomial_text(b)}]",
        f"E^x{op}{k}&&x{other}{c}",
        f"Log[x+{k}]{op}1/2",
        f"Sin[{k}x]{op}1/2&&0<=x<=4",
        f"{-k}<{polynomial_text(b)}<={k + 2}",
        f"x!={c}&&{polynomial_text(a)}{op}0",
        f"Not[{polynomial_text(b)}{op}0]",
    ))  # fmt: skip
    spots = [mpf(rng.randint(-12000, 12000)) / 1000 for _ in range(300)] + [mpf(i) / 2 for i in range(-24, 25)]

    def judge(result: Result) -> str:
        tree = read(text)
        with mp.workdps(30):
            for x in spots:
                try:
                    if holds(result.value, {"x": x}) != true(tree, x):
                        return WRONG
                except NoNumber:
                    return WRONG
        return RIGHT

    return Case("wolfram", f"Reduce[{text},x,Reals]", judge)


def read(text: str) -> Any:
    """A condition of this file as a Python expression over mpmath; the language's own parser is not asked."""
    import re

    out = text.replace("^", "**").replace("&&", " and ").replace("||", " or ").replace("E**", "exp(1)**")
    out = re.sub(r"(\d)x", r"\1*x", out)
    for name, ours in (("Sqrt", "sqrt"), ("Abs", "abs"), ("Log", "log"), ("Sin", "sin"), ("Not", "not ")):
        out = out.replace(name + "[", ours + "(")
    return compile(
        re.sub(r"(?<![\w.])(\d+)(?![\w.])", r"mpf(\1)", out.replace("]", ")")).replace("**mpf(", "**("), "case", "eval"
    )


def true(code: Any, x: Any, y: Any = None) -> bool:
    """A condition read by `read` at a point; what has no real value there does not hold."""

    def root(v: Any) -> Any:
        if v < 0:
            raise ValueError
        return mpmath.sqrt(v)

    def log(v: Any) -> Any:
        if v <= 0:
            raise ValueError
        return mpmath.log(v)

    try:
        return bool(
            eval(
                code,
                {"__builtins__": {}},
                {
                    "x": x,
                    "y": y,
                    "mpf": mpf,
                    "sqrt": root,
                    "log": log,
                    "abs": abs,
                    "sin": mpmath.sin,
                    "exp": mpmath.exp,
                },
            )
        )
    except (ValueError, ZeroDivisionError):
        return False


def _instance(rng: random.Random) -> Case:
    """FindInstance: what it gives satisfies the condition; {} only where the real line has no point of a fine grid."""
    base = _inequality(rng)
    text = base.program.removeprefix("Reduce[").removesuffix(",x,Reals]")

    def judge(result: Result) -> str:
        with mp.workdps(30):
            try:
                tree = read(text)
                if result.value == ["List"]:
                    return WRONG if any(true(tree, mpf(i) / 64) for i in range(-1000, 1000)) else RIGHT
                x = number(rules(result.value[1])["x"])
                # a closed end may be met from either side in decimals
                return RIGHT if any(true(tree, x + d) for d in (0, mpf(10) ** -26, -(mpf(10) ** -26))) else WRONG
            except NoNumber:
                return WRONG

    return Case("wolfram", f"FindInstance[{text},x,Reals]", judge)


KIND = {
    "solve.polynomial": Kind(_polynomial, least=0.9),
    "solve.rational": Kind(_rational, least=0.9),
    "solve.radical": Kind(_radical, least=0.7),
    "solve.absolute": Kind(_absolute, least=0.6),
    "solve.trigonometric": Kind(_trigonometric, least=0.7),
    "solve.quotient": Kind(_quotient, least=0.7),
    "solve.exponential": Kind(_exponential, least=0.6),
    "nsolve.polynomial": Kind(_numeric_polynomial, least=0.9),
    "nsolve.mixed": Kind(_mixed, least=0.5),
    "findroot": Kind(_find_root, least=0.5),
    "findroot.none": Kind(_no_root, least=0.0),
    "reduce.inequality": Kind(_inequality, least=0.6),
    "findinstance": Kind(_instance, least=0.6),
}
