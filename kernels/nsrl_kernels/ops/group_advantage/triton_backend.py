"""The Triton backend of `group_advantage`: one launch. Knows nothing of ids or lists."""

import torch

from ..._tl import on_its_device
from . import kernel


@on_its_device
def forward(rewards, weights, offsets, mode: str, epsilon: float):
    """(advantages, reward [S], mean, std, count, live [B]) of groups of consecutive sequences; rewards [S, K] fp32."""
    n_rows, n_components = rewards.shape
    n_groups = offsets.shape[0] - 1
    advantages, reward = torch.zeros_like(rewards[:, 0]), torch.full_like(rewards[:, 0], torch.nan)
    mean, std = rewards.new_empty(n_groups), rewards.new_empty(n_groups)
    count = torch.empty(n_groups, dtype=torch.int64, device=rewards.device)
    live = torch.empty(n_groups, dtype=torch.bool, device=rewards.device)
    kernel.group_kernel[(n_groups,)](
        rewards, weights, offsets, advantages, reward, mean, std, count, live.view(torch.int8), n_rows, n_components,
        epsilon, MODE=mode, BLOCK=32,
    )  # fmt: skip
    return advantages, reward, mean, std, count, live
