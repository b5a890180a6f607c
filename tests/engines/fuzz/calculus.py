"""Derivatives, integrals, sums, products, limits, series and differential equations against mpmath."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

import mpmath
from mpmath import mp, mpf

from nsrl.engines import Result
from tests.engines.fuzz.functions import (
    F,
    X,
    absolute,
    call,
    constant,
    everywhere,
    judged,
    linear,
    mpq,
    over,
    plus,
    points,
    polynomial,
    power,
    random_polynomial,
    rational,
    times,
    tree,
)
from tests.engines.fuzz.runner import RIGHT, UNEVALUATED, WRONG, Case, Kind
from tests.engines.fuzz.values import NoNumber, number, same

# --- derivatives


def _derivative(rng: random.Random) -> Case:
    f, n = tree(rng), rng.choice((1, 1, 1, 2))

    def slope(x: Any) -> Any:
        size = mpmath.log10(1 + abs(f.at(x)))  # of a large constant nothing would be left beside it
        if size > 300:
            raise ValueError("too large for differences")
        with mp.workdps(60 + int(size)):
            found = []
            for h in (mpf(10) ** -12, mpf(10) ** -15):
                two = (f.at(x + h) - 2 * f.at(x) + f.at(x - h)) / h**2
                found.append((f.at(x + h) - f.at(x - h)) / (2 * h) if n == 1 else two)
            if not same(*found, 1e-12):
                raise ValueError("it swings too fast for differences")
            return found[1]

    program = f"D[{f.text},{'x' if n == 1 else '{x,2}'}]"
    return Case(
        "wolfram",
        program,
        everywhere(slope, [*points(rng, 3), *map(abs, points(rng, 2))], lambda v, x: number(v, {"x": x})),
    )


# --- integrals


def _antiderivative(rng: random.Random) -> Case:
    f, _ = _integrand(rng)

    def slope(value: Any, x: Any) -> Any:
        with mp.workdps(60):
            h = mpf(10) ** -14
            return (number(value, {"x": x + h}) - number(value, {"x": x - h})) / (2 * h)

    def real(x: Any) -> Any:
        v = f.at(x)
        if abs(mpmath.im(v)) > 1e-20:
            raise ValueError("not real here")
        return v

    return Case("wolfram", f"Integrate[{f.text},x]", everywhere(real, points(rng, 6), slope))


def _random_coefficients(rng: random.Random, most: int) -> list[int]:
    return [rng.randint(-5, 5) for _ in range(rng.randint(0, most))] + [rng.choice((1, -1, 2, 3, -4))]


def _integrand(rng: random.Random) -> tuple[F, list[int]]:
    """What textbooks integrate, and the polynomial at whose roots it is not smooth."""
    p, c = random_polynomial(rng, 2), _random_coefficients(rng, 3)
    line = [rng.randint(-4, 4), rng.choice((1, 1, 2, 3, -1, -2))]
    wave = call(rng.choice(("Sin", "Cos")), linear(rng))
    root = rng.choice((Fraction(1, 2), Fraction(-1, 2), Fraction(1, 3), Fraction(3, 2)))
    arch = [rng.randint(1, 5), 0, -1]
    return rng.choice([
        (random_polynomial(rng, 5), []),
        (times(p, wave), []),
        (times(p, call("Exp", linear(rng))), []),
        (over(p, polynomial(c)), c),
        (times(p, power(polynomial(line), root)), line),
        (times(power(X, rng.randint(0, 3)), call("Log", polynomial([0, rng.randint(1, 3)]))), [0, 1]),
        (power(call(rng.choice(("Sin", "Cos")), X), rng.randint(2, 4)), []),
        (times(call("Exp", X), wave), []),
        (over(constant(rng.randint(1, 4)), polynomial([rng.randint(1, 5), 0, rng.randint(1, 4)])), []),
        (times(call("Sin", polynomial([0, rng.randint(1, 4)])), call("Cos", polynomial([0, rng.randint(1, 4)]))), []),
        (times(X, call("Exp", polynomial([0, 0, rng.choice((-1, -2))]))), []),
        (absolute(polynomial(c)), c),
        (power(polynomial(arch), Fraction(1, 2)), arch),
        (call("ArcTan", linear(rng)), []),
    ])  # fmt: skip


def _end(rng: random.Random) -> tuple[str, Callable[[], Any]]:
    c = rng.choice((rng.randint(-4, 6), rational(rng, 8, 3)))
    return (f"({c})*Pi", lambda: mpq(c) * mp.pi) if rng.random() < 0.2 else (f"({c})", lambda: mpq(c))


def _definite(rng: random.Random) -> Case:
    f, rough = _integrand(rng)
    (low, a), (high, b) = _end(rng), _end(rng)
    return Case("wolfram", f"Integrate[{f.text},{{x,{low},{high}}}]", judged(lambda: _area(f, rough, a(), b())))


def _area(f: F, rough: list[int], a: Any, b: Any) -> Any:
    """The integral between the points where f is not smooth; None if f is not integrable at one of them."""
    if a > b:
        v = _area(f, rough, b, a)
        return None if v is None else -v
    cuts = [a, b]
    with mp.workdps(60):
        roots = mpmath.polyroots(rough[::-1], maxsteps=500, extraprec=400) if len(rough) > 1 else []
        for r in (mpmath.re(r) for r in roots if abs(mpmath.im(r)) < mpf(10) ** -25):
            for side in (1, -1):
                inside = a <= r <= b and a < r + side * mpf(10) ** -30 < b
                if inside and abs(f.at(r + side * mpf(10) ** -20)) * mpf(10) ** -20 > mpf(10) ** -8:
                    return None
            cuts += [r] if a < r < b else []
    cuts.sort()
    far = [u + (v - u) * mpf(k) / 8 for u, v in pairwise(cuts) for k in range(8)] + [b]
    return mpmath.quad(
        f.at, [t for t, u in zip(far, [*far[1:], None], strict=True) if u is None or u - t > mpf(10) ** -25]
    )


def _steps(rng: random.Random) -> Case:
    """Floor and its kin over an interval, beside a polynomial or a wave: by Gauss's rule between all the jumps."""
    a, b, n = rng.choice((1, 2, -1, 3)), rng.randint(-3, 3), rng.choice((2, 3))
    u, at = rng.choice(
        (
            (f"({a})*x+({b})", lambda x: a * x + b),
            (f"x^2+({b})", lambda x: x * x + b),
            (f"({a})*x/2+1/3", lambda x: a * x / 2 + mpf(1) / 3),
        )
    )
    text, step, base, half = rng.choice((
        (f"Floor[{u}]", mpmath.floor, 1, 0), (f"Ceiling[{u}]", mpmath.ceil, 1, 0), (f"Round[{u}]", mpmath.nint, 1,
        mpf(1) / 2),
        (f"Mod[{u},{n}]", lambda v: v - n * mpmath.floor(v / n), n, 0), (f"Quotient[{u},{n}]",
        lambda v: mpmath.floor(v / n), n, 0),
        (f"FractionalPart[{u}]", lambda v: v - (mpmath.floor(v) if v > 0 else mpmath.ceil(v)), 1, 0),
        (f"IntegerPart[{u}]", lambda v: mpmath.floor(v) if v > 0 else mpmath.ceil(v), 1, 0),
    ))  # fmt: skip
    p = random_polynomial(rng, 2)
    f = rng.choice((F(text, lambda x: step(at(x))), times(p, F(text, lambda x: step(at(x)))), plus(p, power(F(text,
    lambda x: step(at(x))), 2)),
                    times(call("Sin", X), F(text, lambda x: step(at(x))))))  # fmt: skip
    (low, c), (high, d) = _end(rng), _end(rng)

    def truth() -> Any:
        lo, hi = sorted((c(), d()))
        cuts = {lo, hi}
        for k in range(-300, 301):  # beyond (5 Pi)^2; u = k base + half, by the quadratic or linear it is
            level = k * base + half
            if "^2" in u:
                roots = [s * mpmath.sqrt(level - b) for s in (1, -1)] if level >= b else []
            else:
                roots = [(level - at(mpf(0))) / (at(mpf(1)) - at(mpf(0)))]
            cuts |= {r for r in roots if lo < r < hi} | ({mpf(0)} if lo < 0 < hi else set())
        total = mpmath.fsum(mpmath.quad(f.at, [s, t]) for s, t in pairwise(sorted(cuts)) if t - s > mpf(10) ** -20)
        return total if c() <= d() else -total

    return Case("wolfram", f"Integrate[{f.text},{{x,{low},{high}}}]", judged(truth))


def _improper(rng: random.Random) -> Case:
    """Over half the line or all of it; the convergent ones are known by their family."""
    k, a = rng.randint(0, 3), rng.randint(1, 4)
    omega = rng.randint(1, 3)
    wave = call(rng.choice(("Sin", "Cos")), polynomial([0, omega]))
    even = polynomial([a, 0, rng.randint(1, 3)])
    p = rng.choice((Fraction(1, 2), 1, Fraction(3, 2), 2, 3, 4))
    f, low, high, converges = rng.choice([
        lambda: (times(power(X, k), call("Exp", polynomial([0, -a]))), "0", "Infinity", True),
        lambda: (times(power(X, k), call("Exp", polynomial([0, 0, -a]))), rng.choice(("0", "-Infinity")), "Infinity",
        True),
        lambda: (over(constant(1), even), rng.choice(("0", "-Infinity")), "Infinity", True),
        lambda: (over(power(X, 2), power(even, 2)), "0", "Infinity", True),
        lambda: (over(X, even), "0", "Infinity", False),
        lambda: (power(X, -p), "1", "Infinity", p > 1),
        lambda: (power(X, -p), "0", "1", p < 1),
        lambda: (times(wave, call("Exp", polynomial([0, -a]))), "0", "Infinity", True),
        lambda: (over(wave, even), "-Infinity", "Infinity", True),
        lambda: (over(call("Sin", polynomial([0, omega])), X), "0", "Infinity", True),
        lambda: (wave, "0", "Infinity", False),
        lambda: (call("Log", X), "0", str(a), True),
        lambda: (over(call("Log", X), power(X, 2)), "1", "Infinity", True),
        lambda: (over(constant(1), polynomial([0, a, 1])), rng.choice(("0", "1")), "Infinity", None),
    ])()  # fmt: skip
    if converges is None:
        converges = low == "1"

    def truth() -> Any:
        if not converges:
            return None
        a, b = (mp.inf if t == "Infinity" else -mp.inf if t == "-Infinity" else mpf(t) for t in (low, high))
        if "Sin" in f.text or "Cos" in f.text:
            if "Exp" in f.text:
                return mpmath.quad(f.at, mpmath.linspace(0, 60, 61))
            if a == 0:
                return mpmath.quadosc(f.at, [mpf(10) ** -40, b], omega=omega)
            return mpmath.quadosc(lambda t: f.at(t) + f.at(-t), [0, b], omega=omega)
        return mpmath.quad(f.at, [a, 0, b] if a == -mp.inf else [a, 1, 10, b] if b == mp.inf else [a, b])

    return Case("wolfram", f"Integrate[{f.text},{{x,{low},{high}}}]", judged(truth, slack=1e-7))


# --- sums and products


def _finite_sum(rng: random.Random) -> Case:
    f, g = _summand(rng)
    low = rng.randint(1, 3)
    at = [mpf(n) for n in (low, low + 1, low + 4, low + 9)]
    truth = lambda n: mpmath.fsum([g(mpf(k)) for k in range(low, int(n) + 1)])
    return Case("wolfram", f"Sum[{f},{{k,{low},n}}]", everywhere(truth, at, lambda v, n: number(v, {"n": n})))


def _summand(rng: random.Random) -> tuple[str, Callable[[Any], Any]]:
    a, b, q = (
        rng.randint(1, 5),
        rng.randint(0, 4),
        rng.choice((Fraction(1, 2), 2, 3, Fraction(-1, 3), Fraction(2, 3), -2)),
    )
    return rng.choice([
        (f"({a}*k+{b})^2", lambda k: (a * k + b) ** 2),
        (f"k^3-{a}*k+{b}", lambda k: k**3 - a * k + b),
        (f"({q})^k", lambda k: mpq(q) ** int(k)),
        (f"({a}*k+{b})*({q})^k", lambda k: (a * k + b) * mpq(q) ** int(k)),
        (f"1/((k+{b})*(k+{b + a}))", lambda k: 1 / ((k + b) * (k + b + a))),
        (f"1/(k*(k+1)*(k+{a + 1}))", lambda k: 1 / (k * (k + 1) * (k + a + 1))),
        ("k*k!", lambda k: k * mpmath.factorial(k)),
        (f"(-1)^k*(k+{b})", lambda k: (-1) ** int(k) * (k + b)),
        (f"Binomial[k+{b},{min(a, 3)}]", lambda k: mpmath.binomial(k + b, min(a, 3))),
    ])  # fmt: skip


def _infinite_sum(rng: random.Random) -> Case:
    a, b = rng.randint(1, 4), rng.randint(0, 4)
    p = rng.choice((Fraction(1, 2), 1, 2, 3, 4, Fraction(3, 2)))
    q = rng.choice((Fraction(1, 2), Fraction(-1, 3), Fraction(2, 3), Fraction(3, 2), -1, 1, Fraction(-4, 5)))
    low = rng.randint(1, 3)
    text, term, converges = rng.choice([
        (f"1/k^({p})", lambda k: 1 / mpmath.power(k, mpq(p)), p > 1),
        (f"1/(k+{b})^2", lambda k: 1 / (k + b) ** 2, True),
        (f"1/((k+{b})*(k+{b + a}))", lambda k: 1 / ((k + b) * (k + b + a)), True),
        (f"({a}*k+{b})*({q})^k", lambda k: (a * k + b) * mpq(q) ** int(k), abs(q) < 1),
        (f"({q})^k/k!", lambda k: mpq(q) ** int(k) / mpmath.factorial(k), True),
        (f"(-1)^k/(k+{b})", lambda k: mpf(-1) ** int(k) / (k + b), True),
        (f"(-1)^k/(2*k+{b * 2 + 1})", lambda k: mpf(-1) ** int(k) / (2 * k + 2 * b + 1), True),
        (f"({q})^k/k", lambda k: mpq(q) ** int(k) / k, abs(q) < 1 or q == -1),
        (f"1/(k^2+{a})", lambda k: 1 / (k**2 + a), True),
        (f"(k+{b})/(k^2+{a})", lambda k: (k + b) / (k**2 + a), False),
        (f"k^{a}/{a + 1}^k", lambda k: k**a / mpf(a + 1) ** int(k), True),
        (f"k/(k+{a})", lambda k: k / (k + a), False),
        (f"(-1)^k*k^{b}", lambda k: mpf(-1) ** int(k) * k**b, False),
    ])  # fmt: skip

    def truth() -> Any:
        if not converges:
            return None
        if "(-1)^k" in text:
            return mpmath.nsum(lambda k: term(mpf(k)), [low, mp.inf], method="a")
        if text.startswith("1/k^"):
            return mpmath.zeta(mpq(p), low)
        if text.startswith("1/("):
            return mpmath.nsum(term, [low, mp.inf])
        return (
            mpmath.fsum([term(mpf(k)) for k in range(low, 500)])
            if q != -1
            else mpmath.nsum(lambda k: term(mpf(k)), [low, mp.inf], method="a")
        )

    return Case("wolfram", f"Sum[{text},{{k,{low},Infinity}}]", judged(truth, slack=1e-8))


def _power_series_sum(rng: random.Random) -> Case:
    """Sums with a variable, within their radius of convergence."""
    a = rng.randint(1, 3)
    text, term = rng.choice([
        (f"x^k/({a}+k)", lambda k, x: x**k / (a + k)), ("x^k/k!", lambda k, x: x**k / mpmath.factorial(k)),
        (f"k^{a}*x^k", lambda k, x: k**a * x**k), ("(-1)^k*x^(2*k+1)/(2*k+1)!", lambda k,
        x: (-1) ** k * x ** (2 * k + 1) / mpmath.factorial(2 * k + 1)),
        ("(-1)^k*x^(2*k)/(2*k)!", lambda k, x: (-1) ** k * x ** (2 * k) / mpmath.factorial(2 * k)),
        ("(-1)^k*x^(2*k+1)/(2*k+1)", lambda k, x: (-1) ** k * x ** (2 * k + 1) / (2 * k + 1)), (f"({a}*x)^k", lambda k,
        x: (a * x) ** k),
    ])  # fmt: skip
    at = [mpf(rng.uniform(0.02, 0.3)) * s for s in (1, -1, 1)]
    truth = lambda x: mpmath.fsum([term(k, x) for k in range(200)])
    return Case(
        "wolfram", f"Sum[{text},{{k,0,Infinity}}]", everywhere(truth, at, lambda v, x: number(v, {"x": x}), slack=1e-8)
    )


def _product(rng: random.Random) -> Case:
    a, b, low = rng.randint(1, 4), rng.randint(0, 3), rng.randint(1, 3)
    if rng.random() < 0.6:
        text, term = rng.choice([
            (f"(k+{a})/(k+{b})", lambda k: (k + a) / (k + b)), (f"{a}*k+{b}", lambda k: a * k + b), (f"{a + 1}^k",
            lambda k: mpf(a + 1) ** int(k)),
            (f"1-1/(k+{b + 1})^2", lambda k: 1 - 1 / (k + b + 1) ** 2), (f"k^{a}", lambda k: k**a),
        ])  # fmt: skip
        at = [mpf(low + i) for i in (0, 1, 3, 6)]
        truth = lambda n: mpmath.fprod([term(mpf(k)) for k in range(low, int(n) + 1)])
        return Case(
            "wolfram", f"Product[{text},{{k,{low},n}}]", everywhere(truth, at, lambda v, n: number(v, {"n": n}))
        )
    text, term, converges = rng.choice([
        (f"1-1/(k+{b + 1})^2", lambda k: 1 - 1 / (k + b + 1) ** 2, True), (f"1+1/(k+{b})^2",
        lambda k: 1 + 1 / (k + b) ** 2, True),
        (f"1+{a}/k", lambda k: 1 + a / k, False), (f"1-2/((k+{b + 1})*(k+{b + 2}))",
        lambda k: 1 - 2 / ((k + b + 1) * (k + b + 2)), True),
    ])  # fmt: skip
    endless = lambda: (
        mpmath.nprod(term, [low, mp.inf]) if converges and term(mpf(low)) != 0 else None if not converges else mpf(0)
    )
    return Case("wolfram", f"Product[{text},{{k,{low},Infinity}}]", judged(endless, slack=1e-8))


# --- limits, series


def _limit(rng: random.Random) -> Case:
    a, b, c = (rng.choice((1, 2, 3, -1, -2)) for _ in range(3))
    at_zero = [
        lambda: over(call("Sin", polynomial([0, a])), call(rng.choice(("Sin", "Tan", "ArcTan")), polynomial([0, b]))),
        lambda: over(plus(call("Exp", polynomial([0, a])), polynomial([-1, -a])), power(X, rng.randint(1, 3))),
        lambda: over(
            plus(constant(1), times(constant(-1), call("Cos", polynomial([0, a])))), power(X, rng.randint(1, 4))
        ),
        lambda: over(plus(power(polynomial([1, a]), Fraction(1, 2)), constant(-1)), polynomial([0, b])),
        lambda: over(call("Log", polynomial([1, a])), polynomial([0, b])),
        lambda: over(absolute(polynomial([0, a])), X),
        lambda: over(random_polynomial(rng, 2), power(X, rng.randint(1, 2))),
        lambda: power(polynomial([1, a]), 3),
        lambda: over(plus(call("Tan", X), times(constant(-1), call("Sin", X))), power(X, 3)),
    ]
    far = [
        lambda: over(random_polynomial(rng, 3), random_polynomial(rng, 3)),
        lambda: plus(power(polynomial([b * b, a, 1]), Fraction(1, 2)), polynomial([0, -1])),
        lambda: F(f"(1+({a})/x)^(({b})*x)", lambda x: mpmath.power(1 + a / x, b * x)),
        lambda: over(call("Log", X), power(X, Fraction(1, 2))),
        lambda: times(power(X, abs(a)), call("Exp", polynomial([0, c]))),
        lambda: call("ArcTan", polynomial([0, a])),
        lambda: F(f"Sin[{abs(a)}*x]", lambda x: mpmath.sin(abs(a) * x)),
        lambda: times(X, call("Sin", F(f"({a})/x", lambda x: a / x))),
    ]
    infinite = rng.random() < 0.5
    f = rng.choice(far if infinite else at_zero)()
    sides = (1,) if infinite else rng.choice(((1,), (-1,), (1, -1)))
    to = "Infinity" if infinite else "0"
    option = (
        {(1,): ', Direction->"FromAbove"', (-1,): ', Direction->"FromBelow"'}.get(sides, "") if not infinite else ""
    )

    def judge(result: Result) -> str:
        with mp.workdps(400):
            near = [f.at(mpf(10) ** (32 if infinite else -32) * s * mpf(t)) for s in sides for t in ("1", "1.7")]
            nearer = [f.at(mpf(10) ** (36 if infinite else -36) * s * mpf(t)) for s in sides for t in ("1", "1.7")]
            grows = all(abs(v) > 1e6 and abs(v) > abs(u) for u, v in zip(near, nearer, strict=True))
            signs = {mpmath.sign(v) for v in nearer}
            if result.text in ("Infinity", "-Infinity"):
                return RIGHT if grows and signs == {1 if result.text == "Infinity" else -1} else WRONG
            if result.text in ("Indeterminate", "ComplexInfinity"):
                settles = not grows and max(abs(u - nearer[0]) for u in nearer) < 1e-8
                return WRONG if settles or (grows and len(signs) == 1) else RIGHT
            try:
                value = number(result.value)
            except NoNumber:
                return UNEVALUATED
            return RIGHT if not grows and all(same(v, value, mpf(10) ** -12) for v in nearer) else WRONG

    return Case("wolfram", f"Limit[{f.text},x->{to}{option}]", judge)


def _series(rng: random.Random) -> Case:
    order = rng.randint(1, 6)
    centre = rng.choice((0, 0, 1, 2))
    shifted = plus(X, constant(rng.choice((1, 2, 3))))
    f = rng.choice([
        lambda: call(rng.choice(("Sin", "Cos", "Exp", "ArcTan", "Sinh")), linear(rng)), lambda: call("Log", shifted),
        lambda: power(shifted, rng.choice((Fraction(1, 2), -1, -2, Fraction(-1, 3)))),
        lambda: times(call("Exp", X), call("Cos", polynomial([0, 2]))), lambda: over(call("Sin", X), shifted),
        lambda: call("Exp", call("Sin", X)), lambda: call("Log", call("Cos", polynomial([0, 1]))),
    ])()  # fmt: skip

    def judge(result: Result) -> str:
        with mp.workdps(60):
            wanted = mpmath.taylor(f.at, centre, order)
            for t in (mpf("0.37"), mpf("-1.21")):
                try:
                    found = number(result.value, {"x": centre + t})
                except NoNumber:
                    return UNEVALUATED
                if not same(found, mpmath.fsum([c * t**i for i, c in enumerate(wanted)]), 1e-12):
                    return WRONG
        return RIGHT

    return Case("wolfram", f"Normal[Series[{f.text},{{x,{centre},{order}}}]]", judge)


# --- differential equations


def _dsolve(rng: random.Random) -> Case:
    """y'' and y' with constant coefficients, a forcing term, and starting values; or y' = g(x) y; or a separable
    one."""
    p, q, y0, y1 = (rng.randint(-3, 3) for _ in range(4))
    force = rng.choice((constant(0), constant(rng.randint(1, 4)), X, call("Exp", X), call("Sin", X)))
    if rng.random() < 0.5:
        equation, order = f"y''[x]+({p})*y'[x]+({q})*y[x]=={force.text}", 2
        left = lambda y, x: mpmath.diff(y, x, 2) + p * mpmath.diff(y, x) + q * y(x) - force.at(x)
    elif rng.random() < 0.5:
        equation, order = f"y'[x]+({p})*y[x]=={force.text}", 1
        left = lambda y, x: mpmath.diff(y, x) + p * y(x) - force.at(x)
    else:
        equation, order = f"y'[x]==({p or 1})*x*y[x]", 1
        left = lambda y, x: mpmath.diff(y, x) - (p or 1) * x * y(x)
    started = rng.random() < 0.6
    conditions = [f"y[0]=={y0}", f"y'[0]=={y1}"][:order] if started else []
    constants = {f"C{i}": mpf(rng.uniform(-2, 2)) for i in (1, 2)}

    def judge(result: Result) -> str:
        value = result.value
        if value[0] != "List" or len(value) != 2 or value[1][0] != "List" or value[1][1][0] != "Rule":
            return UNEVALUATED
        body = _named_constants(value[1][1][2])
        used = {c for c in constants if c in str(body)}
        with mp.workdps(40):
            y = lambda x: number(body, {"x": x, **constants})
            try:
                if any(abs(left(y, mpf(x))) > 1e-12 * (1 + abs(y(mpf(x)))) for x in (0.3, -0.7, 1.1)):
                    return WRONG
                if started and (
                    not same(y(mpf(0)), y0, 1e-12) or (order == 2 and not same(mpmath.diff(y, 0), y1, 1e-12))
                ):
                    return WRONG
            except NoNumber:
                return UNEVALUATED
        return RIGHT if len(used) == (0 if started else order) else WRONG

    return Case("wolfram", f"DSolve[{{{','.join([equation, *conditions])}}},y[x],x]", judge)


def _named_constants(v: Any) -> Any:
    """C[1] as the symbol C1."""
    if isinstance(v, list):
        if v[0] == "C" and len(v) == 2:
            return ["Symbol", f"C{v[1]}"]
        return [_named_constants(a) if isinstance(a, list) else a for a in v]
    return v


KIND = {
    "calculus.derivative": Kind(_derivative, least=0.5),
    "calculus.antiderivative": Kind(_antiderivative, least=0.4, few=6),
    "calculus.definite": Kind(_definite, least=0.4, few=6),
    "calculus.steps": Kind(_steps, least=0.7, few=6),
    "calculus.improper": Kind(_improper, least=0.4, few=6),
    "calculus.finite_sum": Kind(_finite_sum, least=0.6, few=4),
    "calculus.infinite_sum": Kind(_infinite_sum, least=0.3, few=6),
    "calculus.power_series": Kind(_power_series_sum, least=0.3),
    "calculus.product": Kind(_product, least=0.3, few=6),
    "calculus.limit": Kind(_limit, least=0.5),
    "calculus.series": Kind(_series, least=0.5),
    "calculus.dsolve": Kind(_dsolve, least=0.5, few=6),
}
