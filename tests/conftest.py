"""Fixtures every room shares."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Recorded data beside the checkout (real problems, real engine output); a user's clone does not have it."""
    if not SHARED.is_dir():
        pytest.skip(f"recorded data not found beside the checkout ({SHARED.name}/ is absent)")
    return SHARED
