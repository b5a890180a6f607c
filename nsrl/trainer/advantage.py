"""Room 7: reward components to group advantages, through `nsrl_kernels.group_advantage`."""

from __future__ import annotations

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
