"""The packing bench runs here with small shapes: every rival is compared, nothing is timed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.long
def test_bench_pack_agrees_with_every_rival():
    pytest.importorskip("pytest_benchmark")
    pytest.importorskip("transformers.models.qwen3_vl")
    root = Path(__file__).resolve().parents[2]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "bench/test_pack.py",
        "-q",
        "--benchmark-disable",
        "-p",
        "no:cacheprovider",
    ]
    env = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"} | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "passed" in done.stdout
