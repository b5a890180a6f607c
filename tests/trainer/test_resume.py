"""N steps and N resumed ones are 2N steps, bit for bit, however the first process ended."""

import json
import signal
import subprocess
import sys

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
    "rollout": ("nsrl.trainer.judge.Judge", "submit", 16),
    "checkpoint": ("nsrl.trainer.checkpoint", "_fsync", 70),
    "warm start": ("nsrl.trainer.run", "supervised_step", 5),
}

DRIVER = """
import importlib, os, signal, sys
from nsrl.train import main
if sys.argv[1] != "-":
    where, name, calls = sys.argv[1], sys.argv[2], int(sys.argv[3])
    try:
        holder = importlib.import_module(where)
    except ImportError:
        module, _, attribute = where.rpartition(".")
        holder = getattr(importlib.import_module(module), attribute)
    inner, count = getattr(holder, name), [0]
    def killed(*args, **options):
        count[0] += 1
        if count[0] > calls:
            os.kill(os.getpid(), signal.SIGKILL)
        return inner(*args, **options)
    setattr(holder, name, killed)
sys.exit(main(sys.argv[4:]))
"""


def train(folder, *extra, kill=("-", "-", 0)):
    command = [sys.executable, "-c", DRIVER, *map(str, kill), f"output_dir={folder}", *extra]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def outcome(folder):
    """Weights, optimizer and random state, metrics without the clock, accuracies."""
    last = checkpoint.latest(folder)
    _, tensors = checkpoint.load(last)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    rows = [{k: v for k, v in row.items() if not k.startswith(CLOCK_KEYS)} for row in rows]
    summary = json.loads((folder / "summary.json").read_text())
    del summary["seconds"]
    return (last / "model.safetensors").read_bytes(), tensors, rows, summary


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    done = train(folder, *TINY)
    assert done.returncode == 0, done.stderr[-3000:]
    return outcome(folder)


@pytest.mark.parametrize("where", KILLS)
def test_killed_and_resumed_is_the_same_run(whole, tmp_path, where):
    folder = tmp_path / "run"
    died = train(folder, *TINY, kill=KILLS[where])
    assert died.returncode == -signal.SIGKILL, died.stderr[-3000:]
    again = train(folder, "--resume")
    assert again.returncode == 0, again.stderr[-3000:]
    weights, tensors, rows, summary = outcome(folder)
    assert rows == whole[2]
    assert weights == whole[0]
    flat, other = flatten(tensors), flatten(whole[1])
    assert flat.keys() == other.keys()
    assert all(torch.equal(torch.as_tensor(flat[k]), torch.as_tensor(other[k])) for k in flat)
    assert summary == whole[3]


def flatten(value, before=""):
    if isinstance(value, dict):
        return {k: v for key, inner in value.items() for k, v in flatten(inner, f"{before}/{key}").items()}
    if isinstance(value, list):
        return flatten(dict(enumerate(value)), before)
    return {before: value} if isinstance(value, int | float | torch.Tensor) else {}
