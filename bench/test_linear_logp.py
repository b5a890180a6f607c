"""The head's ops against every rival that is importable: the 2B case on a GPU, a small shape on a CPU.

python -m pytest bench/test_linear_logp.py --benchmark-only --benchmark-group-by=group
"""

import pytest
import torch

from . import contest
from .rivals import LOGP, OBJECTIVE
from .shapes import CASE_2B, COMPLETION, ON_GPU, SMALL

GPU = torch.cuda.is_available()
DEVICE, DTYPE = ("cuda", torch.bfloat16) if GPU else ("cpu", torch.float32)
SHAPES = ON_GPU if GPU else (SMALL,)


def _run(benchmark, group, trial, call):
    for outcome in ("absent", "disagrees"):
        if outcome in trial.row:
            (pytest.skip if outcome == "absent" else pytest.fail)(f"{trial.row['contender']}: {trial.row[outcome]}")
    benchmark.group = group
    benchmark.extra_info.update({k: v for k, v in trial.row.items() if isinstance(v, (int, float, str))})

    def waited():
        call()
        if GPU:
            torch.cuda.synchronize()

    benchmark.pedantic(waited, rounds=3, warmup_rounds=1)


@pytest.mark.parametrize("part", ("forward", "step"))
@pytest.mark.parametrize("contender", LOGP, ids=lambda c: c.name)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: s.name)
def test_logp(benchmark, shape, contender, part):
    """Log-probs alone (forward), or with ∂hidden (step)."""
    trial = contest.logp_trial(contender, shape, DEVICE, DTYPE)
    _run(benchmark, f"linear_logp {shape.name} {part}", trial, getattr(trial, part))


@pytest.mark.parametrize("contender", OBJECTIVE, ids=lambda c: c.name)
def test_objective(benchmark, contender):
    """Hidden states to the loss and ∂hidden."""
    shape, length = (CASE_2B, COMPLETION) if GPU else (SMALL, 12)
    trial = contest.objective_trial(contender, shape, length, DEVICE, DTYPE)
    _run(benchmark, f"linear_grpo {shape.name} step", trial, trial.step)
