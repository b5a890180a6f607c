"""The optimiser is AdamW in fp32, for matrices Muon where that is asked for, with its schedule and the clipped step.

A weight in 16 bits cannot take a small step: near 0.1 the next bfloat16 is 5e-4 away, so a step of 2e-5 rounds to
nothing. Such a weight has an fp32 master here, which learns; the model gets the master rounded. Gradients (summed over
micro-batches and ranks) and both moments are fp32 too. A weight that is fp32 already is its own master.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from nsrl.models.fsdp import place, rounds, spread, whole
from nsrl.models.precision import gradients_in_fp32, is_short
from nsrl.trainer.distributed import ALONE, World
from nsrl.trainer.gate import Gate
from nsrl.trainer.muon import TIMES, Muon, matrices


class Optimizer:
    """AdamW over the trainable parameters with a warm-up and a schedule.

    learning_rate: peak; schedule: constant, linear (down to `floor` of the peak) or cosine, or the share of the peak in
    each step, from 0; total: steps of the whole
    phase; max_grad_norm: gradients are scaled to at most this global norm; world: gradients are added up over it first,
    so norm and step are the same on every rank; muon: linear layers learn by `Muon`, at a multiple of that rate;
    gate: AdamW's steps shrink where they are noise, by a `Gate` of that gain (0: never).
    `parameters` is what learns: masters, and weights that need none.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        *,
        learning_rate: float,
        schedule: str | Callable[[int], float],
        warmup: int,
        total: int,
        max_grad_norm: float,
        weight_decay: float = 0.0,
        floor: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.95),
        muon: bool = False,
        gate: float = 0.0,
        world: World = ALONE,
    ) -> None:
        self.world = world
        self.dropped = 0  # updates since `take_dropped`
        self._in_a_row = 0
        self.uncommitted = False  # weights have changed since the run last said that a step was whole
        self.weights = [p for p in model.parameters() if p.requires_grad]
        gradients_in_fp32(self.weights)
        self.parameters = [p.detach().float().requires_grad_() if is_short(p) else p for p in self.weights]
        # whose fp32 values a checkpoint's weights do not hold (a sharded model's shards are masters themselves)
        self.finer = [i for i, p in enumerate(self.weights) if is_short(p) or rounds(model)]
        self.max_grad_norm = max_grad_norm
        self.inner = torch.optim.AdamW(self.parameters, lr=learning_rate, weight_decay=weight_decay, betas=betas)
        of = {id(weight): p for weight, p in zip(self.weights, self.parameters)}
        self.muon = Muon([of[id(weight)] for weight in matrices(model)]) if muon else None
        self.gate = Gate(gate, betas[0]) if gate else None
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.inner,
            schedule if callable(schedule) else lambda step: factor(step, schedule, warmup, total, floor),
        )

    @property
    def learning_rate(self) -> float:
        """That of the next step."""
        return self.inner.param_groups[0]["lr"]

    @property
    def steps(self) -> int:
        """Steps done, those without a gradient included."""
        return self.schedule.last_epoch

    def step(self) -> torch.Tensor:
        """Clip, step, advance the schedule, clear gradients. Returns the gradient norm before clipping (0-dim).

        A step whose gradient is not finite changes nothing but the schedule: it is counted, and the main rank says so
        of the first and every tenth of such steps in a row.
        """
        self.uncommitted = True
        for p, weight in zip(self.parameters, self.weights):
            if p is not weight:
                p.grad, weight.grad = weight.grad, None
        self.world.sum_gradients(self.parameters)
        norm = whole(torch.nn.utils.clip_grad_norm_(self.parameters, self.max_grad_norm))
        if bool(torch.isfinite(norm)):
            if self.muon is not None:
                self.muon.step(TIMES * self.learning_rate)  # takes its matrices' gradients: AdamW passes them over
            self._adamw(min(float(norm), self.max_grad_norm))
            self._round()
            self._in_a_row = 0
        else:
            self._drop()
        self.schedule.step()
        self.inner.zero_grad(set_to_none=True)
        return norm

    def _adamw(self, norm: float) -> None:
        if self.gate is None:
            self.inner.step()
            return
        (group,) = self.inner.param_groups
        rate = group["lr"]
        group["lr"] = rate * self.gate.share([moments["exp_avg"] for moments in self.inner.state.values()])
        self.inner.step()
        group["lr"] = rate
        self.gate.took(norm)

    def take_dropped(self) -> int:
        """Updates dropped since this was last asked, because their gradient was not finite."""
        count, self.dropped = self.dropped, 0
        return count

    def _drop(self) -> None:
        self.dropped += 1
        self._in_a_row += 1
        if self.world.is_main and (self._in_a_row == 1 or self._in_a_row % 10 == 0):
            which = f"update {self.steps + 1} was dropped ({self._in_a_row} in a row)"
            print(f"warning: {which}: its gradient is not finite, so nothing was learned from it", flush=True)

    def skip(self, steps: int = 1) -> None:
        """Steps without a live group: the schedule advances, nothing else."""
        self.uncommitted = True
        for weight in self.weights:
            weight.grad = None
        for _ in range(steps):
            self.inner.step()  # without gradients it changes nothing; the schedule wants to see it called
            self.schedule.step()

    def state_dict(self) -> dict[str, Any]:
        """Whole tensors whatever the number of processes (a collective when sharded; only the main rank's is
        complete)."""
        return {
            "inner": whole(self.inner.state_dict(), self.world.is_main),
            "masters": whole({i: self.parameters[i].detach() for i in self.finer}, self.world.is_main),
            "muon": whole(self.muon.state_dict(), self.world.is_main) if self.muon is not None else None,
            "schedule": self.schedule.state_dict(),
            "gate": self.gate.state_dict() if self.gate is not None else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state` was taken, whatever the number of processes and the weights' dtype then and now.

        Moments and the step come from `state`; learning rate, schedule and weight decay are those of this optimiser,
        which may have been changed since.
        """
        with torch.no_grad():
            for index, master in state.get("masters", {}).items():
                self.parameters[index].copy_(place(master, self.parameters[index]))
        self._round()
        if self.muon is not None:
            self.muon.load_state_dict(state["muon"])
        if self.gate is not None and state.get("gate") is not None:
            self.gate.load_state_dict(state["gate"])
        own, base = (
            [{k: v for k, v in g.items() if k != "params"} for g in self.inner.param_groups],
            self.schedule.base_lrs,
        )
        self.inner.load_state_dict(spread(state["inner"], self.parameters))
        self.schedule.load_state_dict(state["schedule"])
        self.schedule.base_lrs = base
        for group, settings, peak, share in zip(self.inner.param_groups, own, base, self.schedule.lr_lambdas):
            group.update(settings, lr=peak * share(self.schedule.last_epoch))

    @torch.no_grad()
    def _round(self) -> None:
        """Give the model the masters, rounded to what it computes in."""
        for p, weight in zip(self.parameters, self.weights):
            if p is not weight:
                weight.copy_(p)


def factor(step: int, schedule: str, warmup: int, total: int, floor: float) -> float:
    """The learning rate at `step` (from 0) as a share of its peak."""
    rising = (step + 1) / warmup if warmup else 1.0
    if rising < 1 or schedule == "constant":
        return min(1.0, rising)
    done = min(1.0, max(0, step - warmup) / max(1, total - warmup))  # the last step of the warm-up is the peak itself
    if schedule == "linear":
        return 1 - (1 - floor) * done
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))
