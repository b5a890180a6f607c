"""Liger's and verl's own test files, as they published them, with the adapters in the place of what they test.

run.sh fetches them beside the packages; nothing of them is kept here. What is left out stands in docs/trainers.md.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOME = Path(sys.prefix)
LIGER, VERL = HOME / "liger", HOME / "verl"


def run(folder, plugin, *arguments, timeout=1500):
    """(passed, failed and errors) of a run of theirs."""
    if not folder.is_dir():
        pytest.skip(f"{folder.name}'s tests are not here; `make test-peers` fetches them")
    path = os.pathsep.join(map(str, (ROOT / "kernels", ROOT / "tests" / "peers", folder)))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", plugin, "--import-mode=importlib", "-W", "ignore", "--tb=line",
         "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(folder), *arguments],
        cwd=folder, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=timeout,
    )  # fmt: skip
    said = done.stdout.strip().splitlines()
    assert done.returncode == 0, "\n".join(said[-40:]) + done.stderr[-2000:]
    return int(said[-1].split(" passed")[0].split()[-1])


@pytest.mark.parametrize("dtype", ("dtype0", "dtype1"))  # bf16, fp32
def test_liger(dtype):
    """The padded positions of luspo's KL, and a Triton kernel of Liger's own that needs a GPU."""
    among = f"test_correctness and {dtype} and 3-47-31-123 and not (luspo and 0.1-0.2-0.2)"
    assert run(LIGER, "shim_liger", "test/chunked_loss/test_grpo_loss.py", "-k", among) > 200


def test_what_else_liger_tests():
    rest = "not test_correctness and not triton_grpo_loss and not 8-128-1024 or bias_correction or vllm_is_ratio"
    assert run(LIGER, "shim_liger", "test/chunked_loss/test_grpo_loss.py", "-k", rest) > 50


def test_verl():
    files = [f"tests/trainer/ppo/test_{name}_on_cpu.py" for name in
             ("core_algos", "loss_aggregation", "dynamic_policy_losses")]  # fmt: skip
    assert run(VERL, "shim_verl", *files) >= 30
