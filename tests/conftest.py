"""What every room's tests share.

Without a GPU, Triton kernels run under its interpreter: the flag must stand before Triton is first imported, by
whichever test file does it, so it stands here. A process that sees a GPU keeps native kernels and runs the same tests
on it.
"""

import os
from pathlib import Path

import pytest
import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

# Files of whole runs, each longer than what is left at the end for the other processes: they begin first.
LONG = (
    "trainer/test_resume.py", "test_user_commands.py", "trainer/test_continue.py", "trainer/test_distributed.py",
    "trainer/test_heldout.py", "trainer/test_short_run.py", "trainer/test_data_run.py", "models/test_families.py",
)  # fmt: skip
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not str(item.path).endswith(LONG))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Recorded data beside the checkout (real problems, real engine output); a user's clone does not have it."""
    if not SHARED.is_dir():
        pytest.skip(f"recorded data not found beside the checkout ({SHARED.name}/ is absent)")
    return SHARED
