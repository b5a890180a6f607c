"""A few random programs of every kind, a fresh seed each run: no wrong value may be `ok`."""

import random

import pytest

from nsrl.engines import EnginePool
from tests.engines.fuzz.runner import RIGHT, kinds, run

CASES = 24  # of each kind; `python -m tests.engines.fuzz` runs thousands
SEED = random.SystemRandom().randrange(10**6)  # repeat: python -m tests.engines.fuzz --kind K --seed S --case N
KINDS = kinds()


@pytest.fixture(scope="module")
def pool():
    with EnginePool(workers=2, cache=0) as running:
        yield running


@pytest.mark.parametrize("name", KINDS)
def test_no_wrong_value_is_ok(pool, name):
    tally = run(pool, name, KINDS[name], SEED, range(CASES))
    assert not tally.failures, "\n".join(tally.failures)
    # A third of the share asked of the long mode: few cases scatter.
    assert tally.verdicts[RIGHT] >= KINDS[name].least * CASES / 3, "\n".join([f"seed {SEED}", *tally.silent])
