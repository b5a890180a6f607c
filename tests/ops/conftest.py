"""Fixtures of the ops: the device they run on, and one seed."""

import pytest
import torch


@pytest.fixture(scope="session")
def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture(autouse=True)
def _one_seed():
    torch.manual_seed(0)
