"""A tiny random Qwen3-VL and prompts with images for it."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.rollout import tiny  # noqa: E402


@pytest.fixture(scope="session")
def model():
    return tiny.build()


@pytest.fixture
def requests():
    return tiny.requests(6, n=3)
