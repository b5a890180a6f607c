"""Room 11: AdamW, its schedule and the clipped step. Knows nothing of where gradients come from."""

from __future__ import annotations

import math
from typing import Any

import torch

from nsrl.trainer.distributed import ALONE, World
from nsrl.trainer.sharded import spread, whole


class Optimizer:
    """AdamW over the trainable parameters with a warm-up and a schedule.

    learning_rate: peak; schedule: constant, linear (down to `floor` of the peak) or cosine; total: steps of the whole
    phase; max_grad_norm: gradients are scaled to at most this global norm; world: gradients are added up over it first,
    so norm and step are the same on every rank.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        *,
        learning_rate: float,
        schedule: str,
        warmup: int,
        total: int,
        max_grad_norm: float,
        weight_decay: float = 0.0,
        floor: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.95),
        world: World = ALONE,
    ) -> None:
        self.world = world
        self.uncommitted = False  # weights have changed since the run last said that a step was whole
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.max_grad_norm = max_grad_norm
        self.inner = torch.optim.AdamW(self.parameters, lr=learning_rate, weight_decay=weight_decay, betas=betas)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.inner, lambda step: factor(step, schedule, warmup, total, floor)
        )

    @property
    def learning_rate(self) -> float:
        return self.schedule.get_last_lr()[0]

    def step(self) -> torch.Tensor:
        """Clip, step, advance the schedule, clear gradients. Returns the gradient norm before clipping (0-dim).

        A step whose gradient is not finite changes nothing but the schedule: the norm tells.
        """
        self.uncommitted = True
        self.world.sum_gradients(self.parameters)
        norm = whole(torch.nn.utils.clip_grad_norm_(self.parameters, self.max_grad_norm))
        if bool(torch.isfinite(norm)):
            self.inner.step()
        self.schedule.step()
        self.inner.zero_grad(set_to_none=True)
        return norm

    def skip(self) -> None:
        """A step without a live group: the schedule advances, nothing else."""
        self.uncommitted = True
        self.inner.zero_grad(set_to_none=True)
        self.inner.step()  # without gradients it changes nothing; the schedule wants to see it called
        self.schedule.step()

    def state_dict(self) -> dict[str, Any]:
        """Whole tensors whatever the number of processes (a collective when sharded; only the main rank's is complete)."""
        return {"inner": whole(self.inner.state_dict(), self.world.is_main), "schedule": self.schedule.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.inner.load_state_dict(spread(state["inner"], self.parameters))
        self.schedule.load_state_dict(state["schedule"])


def factor(step: int, schedule: str, warmup: int, total: int, floor: float) -> float:
    """The learning rate at `step` (from 0) as a share of its peak."""
    rising = (step + 1) / warmup if warmup else 1.0
    if rising < 1 or schedule == "constant":
        return min(1.0, rising)
    done = min(1.0, (step - warmup) / max(1, total - warmup))
    if schedule == "linear":
        return 1 - (1 - floor) * done
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))
