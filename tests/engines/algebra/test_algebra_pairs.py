"""Algebra, calculus, geometry and statistics: printed results, by the conventions of the documentation.

pairs.txt holds `program | result`, one a line.
"""

from pathlib import Path

import pytest

from nsrl.engines.result import Limits
from nsrl.engines.wolfram.run import evaluate

PAIRS = [
    line.split(" | ", 1) for line in (Path(__file__).parent / "pairs.txt").read_text().splitlines() if " | " in line
]
LIMITS = Limits(cpu_s=20.0, steps=2_000_000)  # the first call of SymPy counts its import


@pytest.mark.parametrize("program,expected", PAIRS, ids=[p for p, _ in PAIRS])
def test_prints(program, expected):
    assert evaluate(program, LIMITS).text == expected
