"""Random functions of one variable, as the language writes them and as mpmath computes them."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import mpmath
from mpmath import mp, mpf

from nsrl.engines import Result
from tests.engines.fuzz.runner import RIGHT, UNEVALUATED, WRONG
from tests.engines.fuzz.values import NoNumber, number, same

_ONE_ARGUMENT: dict[str, Callable] = {
    "Sin": mpmath.sin, "Cos": mpmath.cos, "Tan": mpmath.tan, "Exp": mpmath.exp, "Log": mpmath.log, "Sqrt": mpmath.sqrt,
    "ArcTan": mpmath.atan, "Sinh": mpmath.sinh, "Cosh": mpmath.cosh, "ArcSin": mpmath.asin, "Tanh": mpmath.tanh,
}  # fmt: skip


class F(NamedTuple):
    """text: the function of x in the language; at: the same in mpmath."""

    text: str
    at: Callable[[Any], Any]


def rational(rng: random.Random, most: int = 9, below: int = 4) -> Fraction:
    return Fraction(rng.randint(-most, most), rng.randint(1, below))


def text_of(c: Any) -> str:
    return f"({c})"


def mpq(c: Fraction | int) -> Any:
    return mpf(Fraction(c).numerator) / Fraction(c).denominator


def constant(c: Fraction | int) -> F:
    return F(text_of(c), lambda x: mpq(c))


X = F("x", lambda x: x)


def plus(*fs: F) -> F:
    return F("(" + "+".join(f.text for f in fs) + ")", lambda x: mpmath.fsum([f.at(x) for f in fs]))


def times(*fs: F) -> F:
    return F("*".join(f"({f.text})" for f in fs), lambda x: mpmath.fprod([f.at(x) for f in fs]))


def power(f: F, n: Fraction | int) -> F:
    if isinstance(n, int):
        return F(f"({f.text})^({n})", lambda x: f.at(x) ** n)
    return F(f"({f.text})^({n})", lambda x: mpmath.power(f.at(x), mpq(n)))


def over(f: F, g: F) -> F:
    return F(f"({f.text})/({g.text})", lambda x: f.at(x) / g.at(x))


def call(name: str, f: F) -> F:
    return F(f"{name}[{f.text}]", lambda x: _ONE_ARGUMENT[name](_moderate(f.at(x))))


def _moderate(value: Any) -> Any:
    """Reducing e^(e^20) modulo log 2 takes 10^8 digits: no point for a comparison."""
    if abs(value) > mpf(10) ** 1000:
        raise OverflowError(value)
    return value


def absolute(f: F) -> F:
    return F(f"Abs[{f.text}]", lambda x: abs(f.at(x)))


def polynomial(c: list[Any]) -> F:
    """Coefficients, lowest first."""
    text = "+".join(f"({a})*x^{i}" if i else f"({a})" for i, a in enumerate(c) if a) or "0"
    return F(f"({text})", lambda x: mpmath.fsum([mpq(a) * x**i for i, a in enumerate(c)]))


def random_polynomial(rng: random.Random, most: int = 3) -> F:
    return polynomial([rng.randint(-5, 5) for _ in range(rng.randint(0, most))] + [rng.choice((1, -1, 2, 3, -4))])


def linear(rng: random.Random) -> F:
    return polynomial([rng.randint(-4, 4), rng.choice((1, 1, 2, 3, -1, -2))])


def tree(rng: random.Random, depth: int = 3) -> F:
    """Any composition of what is here, for rules that hold everywhere."""
    if depth == 0 or rng.random() < 0.15:
        return rng.choice((X, X, linear(rng), constant(rng.randint(1, 5))))
    kind = rng.randrange(6)
    if kind == 0:
        return plus(tree(rng, depth - 1), tree(rng, depth - 1))
    if kind == 1:
        return times(tree(rng, depth - 1), tree(rng, depth - 1))
    if kind == 2:
        return over(
            tree(rng, depth - 1), plus(power(tree(rng, depth - 2 if depth > 1 else 0), 2), constant(rng.randint(1, 5)))
        )
    if kind == 3:
        return power(tree(rng, depth - 1), rng.choice((2, 3, -1, -2, Fraction(1, 2), Fraction(-3, 2))))
    return call(rng.choice(list(_ONE_ARGUMENT)), tree(rng, depth - 1))


def judged(
    truth: Callable[[], Any], names: dict[str, Any] | None = None, slack: float = 1e-9
) -> Callable[[Result], str]:
    """The judge of one number; truth() is None where there is none, so that any number is wrong."""

    def judge(result: Result) -> str:
        with mp.workdps(30):
            wanted = truth()
            try:
                found = number(result.value, names)
            except NoNumber:
                endless = wanted is None and any(w in result.text for w in ("Infinity", "Indeterminate"))
                return RIGHT if endless else UNEVALUATED
            return RIGHT if wanted is not None and same(found, wanted, slack) else WRONG

    return judge


def everywhere(
    f: Callable[[Any], Any], at: list[Any], read: Callable[[Any, Any], Any], slack: float = 1e-9
) -> Callable[[Result], str]:
    """The judge of a function: read(value, point) is f(point) at every one of the points where f has a value."""

    def judge(result: Result) -> str:
        good = 0
        with mp.workdps(30):
            for p in at:
                try:
                    wanted = f(p)
                except (ZeroDivisionError, ValueError, OverflowError):
                    continue
                if not mpmath.isfinite(wanted) or abs(wanted) > 1e12:
                    continue
                try:
                    found = read(result.value, p)
                except NoNumber:
                    return UNEVALUATED
                if not same(found, wanted, slack):
                    return WRONG
                good += 1
        return RIGHT if good else UNEVALUATED

    return judge


def points(rng: random.Random, n: int = 5) -> list[Any]:
    return [mpf(rng.uniform(-3, 3)) for _ in range(n)]


def complex_points(rng: random.Random, n: int = 4) -> list[Any]:
    return [mpmath.mpc(rng.uniform(-2, 2), rng.uniform(-2, 2)) for _ in range(n)]
