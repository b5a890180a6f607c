"""A tiny random model and prompts with images for it: Qwen3-VL's, and of each family where a test asks for `tiny`."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.models.kinds import KINDS  # noqa: E402
from tests.rollout import tiny as default  # noqa: E402


@pytest.fixture(scope="session", params=KINDS)
def tiny(request):
    """tests/rollout/tiny.py for each family."""
    return default.of(request.param)


@pytest.fixture(scope="session")
def model():
    return default.build()


@pytest.fixture
def requests():
    return default.requests(6, n=3)
