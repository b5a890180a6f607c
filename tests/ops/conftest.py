"""Without a GPU, Triton kernels run under its interpreter: the flag must stand before a kernel is first imported.

nsrl_kernels imports its kernels on first use, so setting it while pytest collects this folder is early enough. A
process that sees a GPU keeps native kernels and runs the same tests on it.
"""

import os

import pytest
import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")


@pytest.fixture(scope="session")
def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture(autouse=True)
def _one_seed():
    torch.manual_seed(0)
