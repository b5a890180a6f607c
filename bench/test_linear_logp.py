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


def _report(benchmark, row, call):
    for outcome in ("absent", "disagrees"):
        if outcome in row:
            (pytest.skip if outcome == "absent" else pytest.fail)(f"{row['contender']}: {row[outcome]}")
    benchmark.extra_info.update({k: v for k, v in row.items() if isinstance(v, (int, float, str))})
    benchmark.pedantic(call, rounds=3, warmup_rounds=1)


@pytest.mark.parametrize("part", ("forward", "step"))
@pytest.mark.parametrize("contender", LOGP, ids=lambda c: c.name)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: s.name)
def test_logp(benchmark, shape, contender, part):
    """Log-probs alone (forward), or with ∂hidden (step)."""
    benchmark.group = f"linear_logp {shape.name} {part}"
    row = contest.logp_row(contender, shape, DEVICE, DTYPE, budget_ms=20)
    hidden, weight, target = contest.head_inputs(shape, DEVICE, DTYPE)
    hidden.requires_grad_(part == "step")
    function = None if "absent" in row else contender.build()

    def call():
        logp = function(hidden, weight, target)
        if part == "step":
            logp.sum().backward()
        if GPU:
            torch.cuda.synchronize()

    _report(benchmark, row, call)


@pytest.mark.parametrize("contender", OBJECTIVE, ids=lambda c: c.name)
def test_objective(benchmark, contender):
    """Hidden states to the loss and ∂hidden."""
    shape, length = (CASE_2B, COMPLETION) if GPU else (SMALL, 12)
    benchmark.group = f"linear_grpo {shape.name} step"
    row = contest.objective_row(contender, shape, length, DEVICE, DTYPE, budget_ms=20)
    hidden, weight, target = contest.head_inputs(shape, DEVICE, DTYPE)
    hidden.requires_grad_()
    advantages = torch.where(torch.arange(shape.n // length, device=DEVICE) % 3 == 0, 1.0, -0.5)
    old = torch.full((shape.n,), -5.0, device=DEVICE)
    function = None if "absent" in row else contender.build()

    def call():
        function(hidden, weight, target, advantages, old, length).backward()
        if GPU:
            torch.cuda.synchronize()

    _report(benchmark, row, call)
