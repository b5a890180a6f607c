"""N steps and N resumed ones are 2N steps, bit for bit, however the first process ended."""

import json
import signal
import subprocess
import sys

import forked
import pytest
import torch

from nsrl.trainer import checkpoint
from nsrl.trainer.metrics import CLOCK_KEYS

TINY = [
    "data.eval_size=6", "warm_start.steps=4", "warm_start.reading_steps=3", "warm_start.batch_size=4", "max_steps=4",
    "prompts_per_step=3", "num_generations=4", "save_steps=2", "save_total_limit=2", "completions_steps=2",
    "max_completion_length=24", "eval_samples=1", "threads=1", "logging_steps=1", "reward_funcs=[correct,format,short]",
    "engine.workers=1", "dynamic_sampling=1",
]  # fmt: skip

# Each names a function of the run and how often it may be called before the process is killed inside it.
KILLS = {
    "step": ("nsrl.trainer.loop.objective", "backward", 1),
    "rollout": ("nsrl.trainer.grader.Grader", "submit", 16),
    "checkpoint": ("nsrl.trainer.checkpoint", "_fsync", 70),
    "warm start": ("nsrl.trainer.stages", "supervised_step", 5),
    "before the first checkpoint": ("nsrl.trainer.stages", "supervised_step", 1),
    "between checkpoint and metrics": ("nsrl.trainer.metrics.MetricsLog", "write", 8),
}


def train(folder, *extra, kill=None, by=signal.SIGKILL):
    return forked.run("nsrl.train", f"output_dir={folder}", *extra, kill=kill and (*kill, by))


def outcome(folder, weights="model"):
    """Weights, metrics without the clock, summary without the clock, optimizer and random state as numbers."""
    last = checkpoint.latest(folder)
    _, tensors = checkpoint.load(last)
    tensors = {k: torch.as_tensor(v).tolist() for k, v in flatten(tensors).items()}
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    rows = [{k: v for k, v in row.items() if not k.startswith(CLOCK_KEYS)} for row in rows]
    summary = json.loads((folder / "summary.json").read_text())
    del summary["seconds"]
    return {
        "weights": (last / f"{weights}.safetensors").read_bytes(),
        "rows": rows,
        "summary": summary,
        "tensors": tensors,
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    command = [sys.executable, "-m", "nsrl.train", f"output_dir={folder}", *TINY]  # started like a user's, not forked
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return outcome(folder)


@pytest.mark.parametrize(
    "where",
    [where if where in ("step", "checkpoint") else pytest.param(where, marks=pytest.mark.long) for where in KILLS],
)
def test_killed_and_resumed_is_the_same_run(whole, tmp_path, where):
    folder = tmp_path / "run"
    died = train(folder, *TINY, kill=KILLS[where])
    assert died.returncode == -signal.SIGKILL, died.stderr[-3000:]
    again = train(folder, "--resume")
    assert again.returncode == 0, again.stderr[-3000:]
    assert same(outcome(folder), whole)


def same(one, other):
    """What differs is named, without printing weights."""
    assert one["rows"] == other["rows"]
    assert one["summary"] == other["summary"]
    different = [key for key in ("weights", "tensors") if one[key] != other[key]]
    assert not different
    return True


def test_sigterm_saves_what_is_done_and_exits_with_143(whole, tmp_path):
    folder = tmp_path / "run"
    died = train(
        folder, *TINY, kill=("nsrl.trainer.grader.Grader", "submit", 31), by=signal.SIGTERM
    )  # of step 4's 30 to 34
    assert died.returncode == 143, died.stderr[-3000:]
    assert died.stderr.splitlines()[-1] == "ended by SIGTERM: checkpoint-3 was saved; --resume continues from it"
    assert "Traceback" not in died.stderr
    again = train(folder, "--resume")
    assert again.returncode == 0, again.stderr[-3000:]
    assert same(outcome(folder), whole)


def flatten(value, before=""):
    if isinstance(value, dict):
        return {k: v for key, inner in value.items() for k, v in flatten(inner, f"{before}/{key}").items()}
    if isinstance(value, list):
        return flatten(dict(enumerate(value)), before)
    return {before: value} if isinstance(value, int | float | torch.Tensor) else {}
