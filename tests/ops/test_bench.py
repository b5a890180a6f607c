"""The benchmarks' machinery on a CPU: small shapes run, rivals must agree, absent ones are named, `make gpu` walks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bench import contest, gpu
from bench.rivals import LOGP, OBJECTIVE, Contender
from bench.shapes import BF16_FLOPS, CASE_2B, N_SWEEP, SMALL

ROOT = Path(__file__).resolve().parents[2]


def test_the_case_is_the_documented_one():
    assert round(CASE_2B.gemm_flop / 1e12, 3) == 6.373
    assert abs(CASE_2B.gemm_flop / BF16_FLOPS * 1e3 - 8.07) < 0.005


def test_every_contender_is_timed_or_named():
    rows = [contest.timed(contest.logp_trial(c, SMALL, "cpu", torch.float32), 2) for c in LOGP]
    rows += [contest.timed(contest.objective_trial(c, SMALL, 12, "cpu", torch.float32), 2) for c in OBJECTIVE]
    for row in rows:
        assert ("absent" in row) != ("forward_ms" in row), row
        assert "disagrees" not in row
    timed = {(row["op"], row["contender"]) for row in rows if "forward_ms" in row}
    assert {("linear_logp", "nsrl torch"), ("linear_logp", "torch"), ("linear_grpo", "nsrl torch")} <= timed
    text = contest.table(rows)
    assert all(row["contender"] in text for row in rows) and text.count("\n") == len(rows) + 1


def test_who_disagrees_is_not_timed():
    wrong = Contender("wrong", lambda: lambda h, w, t: torch.zeros(len(t)), tolerance=1e-3)
    row = contest.timed(contest.logp_trial(wrong, SMALL, "cpu", torch.float32), 2)
    assert "mean |Δlogp|" in row["disagrees"] and "forward_ms" not in row and "mean |Δlogp|" in contest.table([row])


def test_who_is_absent_says_why():
    there = Contender("x", lambda: None, modules=("no_such_module.inner",))
    assert there.missing("cpu") == "no_such_module.inner is not installed"
    assert Contender("y", lambda: None, needs_cuda=True).missing("cpu") == "needs a CUDA device"


def test_the_most_valuable_stages_come_first_and_their_limits_leave_room_for_the_rest():
    names = [stage.__name__ for stage in gpu.STAGES]
    assert names[:5] == ["machine", "native_build", "rollout_step", "packed_step", "rollout_32"]
    assert names.index("head") < names.index("gates") < names.index("suite") < names.index("sweeps")


def test_the_torch_backend_is_not_timed_at_sizes_that_would_eat_the_budget():
    """760,000 launches a forward at the 2B case: minutes of a ten-minute run."""
    ours = [c for c in (*LOGP, *OBJECTIVE) if c.name == contest.TORCH_BACKEND]
    assert len(ours) == 2
    for contender in ours:
        assert "not timed" in contest.too_slow(contender, CASE_2B, "cuda")
        assert contest.too_slow(contender, N_SWEEP[0], "cuda") is contest.too_slow(contender, CASE_2B, "cpu") is None
    assert all(contest.too_slow(c, CASE_2B, "cuda") is None for c in (*LOGP, *OBJECTIVE) if c not in ours)


def test_a_sweep_without_rivals_has_ours_and_plain_torch():
    rows = contest.all_rows(SMALL, None, "cpu", torch.float32, 2, rivals=False)
    assert {row["contender"] for row in rows} == {"nsrl torch", "nsrl triton", "nsrl triton, cuBLAS GEMM 1", "torch"}


def test_a_step_that_does_not_finish_leaves_the_rounds_it_did(tmp_path):
    run = gpu.Run(tmp_path, "cpu", 60.0)
    said = "import time; print('{\"round\": 0}', flush=True); print('{\"round\": 1}', flush=True); print('{\"rou', end='', flush=True)"
    gpu.whole_step(run, "hung", ["-c", f"{said}; time.sleep(60)"], 4.0)
    gpu.whole_step(run, "broken", ["-c", f"{said}; raise SystemExit('why')"], 20.0)
    gpu.whole_step(run, "whole", ["-c", "print('{\"round\": 2}')"], 20.0)
    assert run.record["hung"] == run.record["broken"] == {"round": 1} and run.record["whole"] == {"round": 2}
    assert run.record["notes"] == [
        "hung did not finish in 4 s; 2 rounds are kept",
        "broken failed: why\n; 2 rounds are kept",
    ]


@pytest.mark.long
def test_make_gpu_walks_on_a_cpu(tmp_path):
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT / "kernels"), str(ROOT)]), "TRITON_INTERPRET": "1",
        "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "bench.gpu",
        "--out",
        str(tmp_path),
        "--device",
        "cpu",
        "--budget-s",
        "60",
    ]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (record,) = (json.loads(path.read_text()) for path in tmp_path.glob("*.json"))
    assert len(record["checks"]) >= 19 and all(check["passed"] for check in record["checks"])
    assert record["machine"]["copy_gb_per_s"] > 0 and list(record["stages"]) == [
        "machine",
        "head",
        "gates",
        "sanitizer",
    ]
    assert record["rows"] and any(row.get("absent") for row in record["rows"])
    (report,) = tmp_path.glob("*.md")
    assert "0 failed" in report.read_text()
