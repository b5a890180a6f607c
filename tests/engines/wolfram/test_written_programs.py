"""Programs as language models write them, through the pool: right, or said to be without a value.

programs/*.jsonl holds programs with the values the language's documentation gives, by subject; the shared file 60 more
with the values of the real engine. Where the text differs, what is compared is the value as the answer check reads it;
`printed` is the same value in the form this engine gives it, where the check reads no more than text.
"""

import json
import random
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import pytest

from nsrl.engines import EnginePool
from nsrl.engines.wolfram.builtins.linearprogram import minimum
from nsrl.engines.wolfram.evaluator import Evaluator
from nsrl.rewards import check

PROGRAMS = Path(__file__).parent / "programs"
SUBJECTS = sorted(p.stem for p in PROGRAMS.glob("*.jsonl"))


@pytest.fixture(scope="module")
def pool():
    with EnginePool(workers=1) as pool:
        yield pool


def right(result, wanted: str) -> bool:
    plain = lambda text: text.replace('"', "").replace(" ", "")
    return plain(result.text) == plain(wanted) or (
        result.status.value == "ok" and check(result, wanted).correct is True
    )


@pytest.mark.parametrize("subject", SUBJECTS)
def test_programs_are_right_or_have_no_value(pool, subject):
    rows = [json.loads(line) for line in (PROGRAMS / f"{subject}.jsonl").read_text().splitlines()]
    missed, wrong = [], []
    for row, result in zip(rows, pool.map("wolfram", [row["program"] for row in rows])):
        if not right(result, row["expected"]) and row.get("printed") != result.text:
            (wrong if result.status.value == "ok" else missed).append(
                (row["program"], row["expected"], result.text, result.status.value)
            )
    assert not wrong
    assert len(missed) <= max(2, len(rows) // 20), missed


def test_the_shared_programs(pool, shared_data):
    rows = json.loads((shared_data / "programs_llm.json").read_text())
    missed, wrong = [], []
    for row, result in zip(rows, pool.map("wolfram", [row["program"] for row in rows])):
        if not right(result, row["expected"]):
            (wrong if result.status.value == "ok" else missed).append(
                (row["id"], row["expected"], result.text, result.status.value)
            )
    assert not wrong
    assert len(missed) <= 3, missed


def test_linear_programs_against_all_corners():
    """minimum() in the plane against every corner of the feasible region; fresh numbers in each run."""
    seed = random.randrange(10**9)
    chance = random.Random(seed)
    answered = 0
    for _ in range(300):
        c = [chance.randint(-4, 4) for _ in range(2)]
        rows = [[chance.randint(-4, 4) for _ in range(2)] for _ in range(chance.randint(1, 4))]
        limits = [chance.randint(-6, 6) for _ in rows]
        found = minimum(Evaluator(), c, rows, limits)
        answered += found is not None
        assert found is None or found == best_corner(c, rows, limits), (seed, c, rows, limits)
    assert answered > 20, seed


def best_corner(c, rows, limits, far=10**9):
    """The corner where c.x is least, of the region cut off far away; None where it is not the only one or is far."""
    sides = [*zip(rows, limits), ([1, 0], 0), ([0, 1], 0), ([-1, 0], -far), ([0, -1], -far)]
    corners = set()
    for ((a, b), y), ((p, q), z) in combinations(sides, 2):
        if d := a * q - b * p:
            at = Fraction(y * q - b * z, d), Fraction(a * z - y * p, d)
            if all(u * at[0] + v * at[1] >= w for (u, v), w in sides):
                corners.add(at)
    value = lambda at: c[0] * at[0] + c[1] * at[1]
    best = [at for at in corners if value(at) == min(map(value, corners))]
    return list(best[0]) if len(best) == 1 and max(best[0]) < far // 1000 else None
