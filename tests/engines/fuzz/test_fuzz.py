"""A few random programs of every kind, a fresh seed each run: no wrong value may be `ok`.

`python -m tests.engines.fuzz` runs thousands.
"""

import random

import pytest

from nsrl.engines import EnginePool
from tests.engines.fuzz.runner import RIGHT, kinds, run

SEED = random.SystemRandom().randrange(10**6)  # repeat: python -m tests.engines.fuzz --kind K --seed S --case N
KINDS = kinds()


@pytest.fixture(scope="module")
def pool():
    with EnginePool(workers=2, cache=0) as running:
        yield running


@pytest.mark.parametrize("name", KINDS)
def test_no_wrong_value_is_ok(pool, name):
    tally = run(pool, name, KINDS[name], SEED, range(KINDS[name].few))
    assert not tally.failures, "\n".join(tally.failures)
    # A third of the share asked of the long mode: few cases scatter.
    assert tally.verdicts[RIGHT] >= KINDS[name].least * KINDS[name].few / 3, "\n".join([f"seed {SEED}", *tally.silent])
