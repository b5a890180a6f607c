"""What changes an expression's form and must not change its value: at random complex points, and real ones."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.engines.fuzz.functions import (
    F,
    X,
    call,
    complex_points,
    constant,
    everywhere,
    over,
    plus,
    points,
    power,
    random_polynomial,
    times,
    tree,
)
from tests.engines.fuzz.runner import Case, Kind
from tests.engines.fuzz.values import number


def _fraction(rng: random.Random, depth: int = 2) -> F:
    if depth == 0:
        return random_polynomial(rng, 3)
    kind = rng.randrange(4)
    a, b = _fraction(rng, depth - 1), _fraction(rng, depth - 1)
    return (plus(a, b), times(a, b), over(a, b), power(a, rng.choice((2, 3, -1))))[kind]


def _trigonometric(rng: random.Random) -> F:
    waves = [
        power(
            call(rng.choice(("Sin", "Cos", "Tan")), rng.choice((X, times(constant(2), X), plus(X, constant(1))))),
            rng.randint(1, 3),
        )
        for _ in range(3)
    ]
    return rng.choice(
        (
            plus(*waves),
            times(*waves[:2]),
            over(waves[0], plus(constant(2), waves[1])),
            plus(times(*waves[:2]), waves[2]),
        )
    )


def _kept(head: str, make: Callable[[random.Random], F], few: int = 12) -> Kind:
    def case(rng: random.Random) -> Case:
        f = make(rng)
        at = complex_points(rng) + points(rng, 2)
        return Case("wolfram", f"{head}[{f.text}]", everywhere(f.at, at, lambda v, x: number(v, {"x": x})))

    return Kind(case, least=0.7, few=few)


KIND = {
    **{
        f"forms.{h.lower()}": _kept(h, _fraction)
        for h in ("Expand", "Factor", "Together", "Apart", "Cancel", "ExpandAll")
    },
    **{f"forms.{h.lower()}": _kept(h, _trigonometric) for h in ("TrigExpand", "TrigReduce", "TrigFactor", "TrigToExp")},
    "forms.simplify": _kept("Simplify", tree),
    "forms.simplify.trig": _kept("Simplify", _trigonometric, few=6),
    "forms.fullsimplify": _kept("FullSimplify", _trigonometric, few=6),
    "forms.fullsimplify.fractions": _kept("FullSimplify", _fraction),
}
