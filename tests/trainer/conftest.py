"""What the tests of single steps begin with."""

import pytest
import shaping

from nsrl.engines import EnginePool


@pytest.fixture(scope="module")
def pool():
    with EnginePool(1) as pool:
        yield pool


@pytest.fixture(scope="module")
def start():
    """An untrained model with so many end tokens that some of its completions end and some are cut off."""
    return shaping.untrained()
