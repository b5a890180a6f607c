"""Floor and its kin, Max and Min in conditions on one unknown: what Reduce gives is looked at in many points."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction
from math import ceil, floor

from nsrl.engines import Result
from tests.engines.fuzz.runner import RIGHT, WRONG, Case, Kind

Function = Callable[[Fraction], Fraction]
_STEPS: dict[str, Function] = {
    "Floor": floor,
    "Ceiling": ceil,
    "Round": round,
    "IntegerPart": int,
    "FractionalPart": lambda v: v - int(v),
}
_HALF = Fraction(1, 2)


def _step(rng: random.Random) -> tuple[str, Function]:
    name = rng.choice(list(_STEPS))
    a, b = rng.choice((1, 2, 3, _HALF, Fraction(1, 3), -1)), rng.choice((0, 1, _HALF, -2))
    return f"{name}[({a})*x+({b})]", lambda x: _STEPS[name](a * x + b)


def _term(rng: random.Random) -> tuple[str, Function]:
    """A multiple of x or of a step, or the greater or lesser of something and a number."""
    c, kind = rng.randint(-3, 3), rng.randrange(5)
    if kind == 0:
        return f"({c})*x", lambda x: c * x
    text, f = _step(rng)
    if kind == 1:
        return f"({c})*{text}", lambda x: c * f(x)
    if kind == 2:
        return f"x*{text}", lambda x: x * f(x)
    pick, head = rng.choice(((max, "Max"), (min, "Min")))
    return (
        (f"{head}[2*x,{c}]", lambda x: pick(2 * x, c))
        if kind == 3
        else (f"{head}[{text},{c}]", lambda x: pick(f(x), c))
    )


def _reduce(rng: random.Random) -> Case:
    parts = [_step(rng), *(_term(rng) for _ in range(rng.randint(0, 2)))]
    sign, holds = rng.choice(
        (
            ("==", lambda a, b: a == b),
            ("==", lambda a, b: a == b),
            ("<", lambda a, b: a < b),
            (">=", lambda a, b: a >= b),
        )
    )
    right = rng.choice((0, 1, 2, 3, 5, Fraction(7, 2)))
    bound, whole = rng.random() < 0.7, rng.random() < 0.3
    points = list(
        dict.fromkeys(
            Fraction(k, d) for d in ((1,) if whole else (1, 2, 3, 4, 7, 12)) for k in range(-9 * d, 9 * d + 1)
        )
    )
    points = rng.sample(points, min(len(points), 60))
    wanted = [(not bound or -4 <= p <= 5) and holds(sum(f(p) for _, f in parts), right) for p in points]
    what = "+".join(t for t, _ in parts) + f"{sign}{right}" + ("&&-4<=x<=5" if bound else "")
    at = ",".join(map(str, points))
    program = (
        f"r=Reduce[{what},x,{'Integers' if whole else 'Reals'}];If[Head[r]===Reduce,r,Table[r/.x->p,{{p,{{{at}}}}}]]"
    )

    def judge(result: Result) -> str:
        return RIGHT if result.value == ["List", *(["Symbol", str(w)] for w in wanted)] else WRONG

    return Case("wolfram", program, judge)


KIND = {"steps.reduce": Kind(_reduce, least=0.5)}
