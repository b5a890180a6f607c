"""Probability and Expectation of independent discrete variables, by counting every joint value."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import product
from math import comb, prod

from nsrl.engines import Result
from tests.engines.fuzz.matrices import fractions
from tests.engines.fuzz.runner import RIGHT, WRONG, Case, Kind
from tests.engines.fuzz.values import NoNumber


def _distribution(rng: random.Random) -> tuple[str, dict[int, Fraction]]:
    low, size, n = rng.randint(-2, 2), rng.randint(1, 6), rng.randint(1, 5)
    p = Fraction(rng.randint(1, 4), 5)
    values = [rng.randint(-4, 6) for _ in range(rng.randint(1, 5))]
    return rng.choice((
        (f"DiscreteUniformDistribution[{{{low},{low + size - 1}}}]", {low + i: Fraction(1, size) for i in range(size)}),
        ("DiscreteUniformDistribution[{1,6}]", {i: Fraction(1, 6) for i in range(1, 7)}),
        (f"BinomialDistribution[{n},{p}]", {k: comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)}),
        (f"BernoulliDistribution[{p}]", {0: 1 - p, 1: p}),
        (f"HypergeometricDistribution[{n},3,8]", {k: Fraction(comb(3, k) * comb(5, n - k), comb(8,
        n)) for k in range(min(n, 3) + 1)}),
        ("{" + ",".join(map(str, values)) + "}", {v: Fraction(values.count(v), len(values)) for v in values}),
    ))  # fmt: skip


def _case(rng: random.Random) -> Case:
    names = "abc"[: rng.choice((1, 2, 2, 3))]
    each = [_distribution(rng) for _ in names]
    k, m = rng.randint(-2, 9), rng.randint(2, 4)
    total, largest = "+".join(names), f"Max[{','.join((*names, '0'))}]"
    event, happens = rng.choice((
        (f"{total}=={k}", lambda v: sum(v) == k), (f"{total}>{k}", lambda v: sum(v) > k), (f"{largest}<={k}",
        lambda v: max(*v, 0) <= k),
        (f"Mod[{total},{m}]==0", lambda v: sum(v) % m == 0), (f"a>={names[-1]}", lambda v: v[0] >= v[-1]),
        (f"a^2<{k}||{total}!={m}", lambda v: v[0] ** 2 < k or sum(v) != m),
    ))  # fmt: skip
    f, value = rng.choice(
        ((total, sum), (f"a*{names[-1]}+{k}", lambda v: v[0] * v[-1] + k), (f"({total})^2", lambda v: sum(v) ** 2))
    )
    law = ",".join(f"{n}\\[Distributed]{d}" for n, (d, _) in zip(names, each, strict=True))
    law = f"{{{law}}}" if len(names) > 1 or rng.random() < 0.3 else law
    points = [(p, prod(d[x] for (_, d), x in zip(each, p, strict=True))) for p in product(*(d for _, d in each))]
    chance = sum((w for p, w in points if happens(p)), Fraction(0))
    given = sum((w for p, w in points if p[0] > 0), Fraction(0))
    way = rng.randrange(3)
    if way == 0:
        program, wanted = f"Expectation[{f},{law}]", sum((w * value(p) for p, w in points), Fraction(0))
    elif way == 1 and given:
        program = f"Probability[{event}\\[Conditioned]a>0,{law}]"
        wanted = sum((w for p, w in points if happens(p) and p[0] > 0), Fraction(0)) / given
    else:
        program, wanted = f"Probability[{event},{law}]", chance

    def judge(result: Result) -> str:
        try:
            return RIGHT if fractions(result.value) == wanted else WRONG
        except NoNumber:
            return WRONG

    return Case("wolfram", program, judge)


KIND = {"stats.chances": Kind(_case, least=0.9)}
