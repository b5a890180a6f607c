"""The development programs where programs really run: in a walled worker, which must say what the engine says in
process."""

import json
from pathlib import Path

import pytest

from nsrl.engines import EnginePool, Limits, Status, languages
from tests.engines.nsl.problems import MORE, PROBLEMS

HERE = Path(__file__).parent


def lines(path):
    """`program | result` lines."""
    return [tuple(line.rsplit(" | ", 1)) for line in path.read_text().splitlines() if " | " in line]


def devset():
    rows = [
        json.loads(line)
        for path in sorted((HERE / "wolfram/devset").glob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]
    return [(row["program"], row["expected"]) for row in rows]


def problems():
    return [(program, text) for program, text, _ in PROBLEMS.values()] + [(program, text) for _, program, text in MORE]


SETS = {
    "the development set": ("wolfram", devset),
    "algebra": ("wolfram", lambda: lines(HERE / "algebra/pairs.txt")),
    "nsl programs": ("nsl", lambda: [(p.replace("\\n", "\n"), text) for p, text in lines(HERE / "nsl/programs.txt")]),
    "nsl problems": ("nsl", problems),
}


@pytest.fixture(scope="module")
def pool():
    chosen = [name for name in ("nsl", "wolfram") if languages.present(name)]
    with EnginePool(workers=2, limits=Limits(cpu_s=20, wall_s=60, steps=2_000_000), languages=chosen) as running:
        yield running


@pytest.mark.parametrize("name", SETS)
def test_a_worker_says_what_is_expected(pool, name):
    language, read = SETS[name]
    pairs = read()
    assert len(pairs) > 30
    results = pool.map(language, [program for program, _ in pairs])
    assert [(p, r.messages) for (p, _), r in zip(pairs, results) if r.status is Status.CRASH] == []
    assert [(p, text, r.text) for (p, text), r in zip(pairs, results) if r.text != text] == []
