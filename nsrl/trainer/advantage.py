"""Room 7: reward components to group advantages, through `nsrl_kernels.group_advantage`."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from nsrl.config import TrainConfig
from nsrl_kernels import GroupAdvantage, group_advantage

MODES = {"group": "grpo", "none": "no_std", "batch": "batch_std", "rloo": "rloo"}


def advantages(components: torch.Tensor, sizes: list[int], config: TrainConfig) -> GroupAdvantage:
    """Advantages of every completion of a step.

    components: (R, K) rewards, NaN where one does not apply; sizes: completions per group, in order.
    """
    offsets = torch.tensor([0, *sizes]).cumsum(0)
    weights = torch.tensor(config.reward_weights, dtype=components.dtype)
    return group_advantage(components, offsets, weights=weights, mode=MODES[config.scale_rewards])


@dataclass
class StepAdvantages:
    """What a step learns from. drawn: statistics of every group that was sampled; chosen: per group, whether the update
    has it; advantages: (R,) of every completion, 0 outside the update; missing: groups without spread in the update."""

    drawn: GroupAdvantage
    chosen: list[bool]
    advantages: torch.Tensor
    missing: int


def step_advantages(components: torch.Tensor, sizes: list[int], latest: int, config: TrainConfig) -> StepAdvantages:
    """The update's batch out of the rounds of dynamic sampling: live groups, and of the last round the others too.

    components, sizes: of all rounds, as in `advantages`; latest: groups of the last round. `scale_rewards=batch` takes
    the spread of the update's batch (DAPO filters before it computes advantages), which is all there is in one round.
    """
    drawn = advantages(components, sizes, config)
    earlier = len(sizes) - latest
    chosen = [live or group >= earlier for group, live in enumerate(drawn.live.tolist())]
    update, values = drawn, drawn.advantages
    if not all(chosen):
        rows = torch.tensor(chosen).repeat_interleave(torch.tensor(sizes))
        update = advantages(components[rows], [size for size, on in zip(sizes, chosen) if on], config)
        values = torch.zeros_like(values).masked_scatter(rows, update.advantages)
    return StepAdvantages(drawn, chosen, values, sum(chosen) - int(update.n_live))
