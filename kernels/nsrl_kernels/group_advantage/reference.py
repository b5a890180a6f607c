"""The definition of `group_advantage` in plain torch. Knows nothing of tokens."""

import torch


def combine(rewards_RK, weights_K):
    """Weighted sum of the components that apply; NaN where none does."""
    present = ~torch.isnan(rewards_RK)
    total = (rewards_RK.nan_to_num(0.0) * weights_K).sum(-1)
    return torch.where(present.any(-1), total, torch.nan)


def group_advantage(reward_R, group_R, n_groups, mode, epsilon):
    """(advantages_R, mean_P, std_P, count_P, live_P). NaN rewards are left out and get advantage 0."""
    valid = ~torch.isnan(reward_R)
    value = torch.where(valid, reward_R, 0)
    per_group = lambda x: x.new_zeros(n_groups).index_add(0, group_R, x)
    count = per_group(valid.to(value.dtype))
    mean = per_group(value) / count.clamp(min=1)
    centred = torch.where(valid, value - mean[group_R], 0)
    std = (per_group(centred * centred) / (count - 1).clamp(min=1)).sqrt()
    lowest = torch.full_like(mean, torch.inf).scatter_reduce(
        0, group_R, reward_R.masked_fill(~valid, torch.inf), "amin"
    )
    highest = torch.full_like(mean, -torch.inf).scatter_reduce(
        0, group_R, reward_R.masked_fill(~valid, -torch.inf), "amax"
    )
    spread = highest > lowest
    std, centred = std * spread, centred * spread[group_R]
    if mode == "grpo":
        advantage = centred / (std[group_R] + epsilon)
    elif mode == "no_std":
        advantage = centred
    elif mode == "batch_std":
        n = valid.sum()
        overall = torch.where(valid, value - value.sum() / n.clamp(min=1), 0)
        advantage = centred / ((overall * overall).sum() / (n - 1).clamp(min=1)).sqrt().add(epsilon)
    elif mode == "rloo":
        advantage = centred * (count / (count - 1).clamp(min=1))[group_R]
    else:
        advantage = value
    live = per_group((advantage != 0).to(value.dtype)) > 0
    return advantage, mean, std, count, live
