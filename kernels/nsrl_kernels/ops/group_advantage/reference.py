"""The definition of `group_advantage` in plain torch; it is also what the torch backend runs."""

import torch

MODES = ("grpo", "no_std", "batch_std", "rloo", "none")  # csrc takes a mode by its place here
# of the torch backend alone; those of the second line weight by tokens
ONLY_TORCH = ("grpo_passk", "gpg", *(BY_TOKENS := ("opo", "reinforce_plus_plus", "reinforce_plus_plus_baseline")))


def combine(rewards_SK, weights_K):
    """Weighted sum of the components that apply; NaN where none does."""
    present = ~torch.isnan(rewards_SK)
    total = (rewards_SK.nan_to_num(0.0) * weights_K).sum(-1)
    return torch.where(present.any(-1), total, torch.nan)


def group_advantage(reward_S, group_S, n_groups, mode, epsilon, length_S):
    """(advantages_S, mean_B, std_B, count_B, live_B). NaN rewards are left out and get advantage 0.

    length_S: tokens of each, for the modes of BY_TOKENS.
    """
    valid = ~torch.isnan(reward_S)
    value = torch.where(valid, reward_S, 0)
    per_group = lambda x: x.new_zeros(n_groups).index_add(0, group_S, x)
    count = per_group(valid.to(value.dtype))
    mean = per_group(value) / count.clamp(min=1)
    centred = torch.where(valid, value - mean[group_S], 0)
    std = (per_group(centred * centred) / (count - 1).clamp(min=1)).sqrt()
    lowest = torch.full_like(mean, torch.inf).scatter_reduce(
        0, group_S, reward_S.masked_fill(~valid, torch.inf), "amin"
    )
    highest = torch.full_like(mean, -torch.inf).scatter_reduce(
        0, group_S, reward_S.masked_fill(~valid, -torch.inf), "amax"
    )
    spread = highest > lowest
    std, centred = std * spread, centred * spread[group_S]
    if mode == "grpo":
        advantage = centred / (std[group_S] + epsilon)
    elif mode == "no_std":
        advantage = centred
    elif mode == "batch_std":
        n = valid.sum()
        overall = torch.where(valid, value - value.sum() / n.clamp(min=1), 0)
        advantage = centred / ((overall * overall).sum() / (n - 1).clamp(min=1)).sqrt().add(epsilon)
    elif mode == "rloo":
        advantage = centred * (count / (count - 1).clamp(min=1))[group_S]
    elif mode == "grpo_passk":
        leads = valid & (value == highest[group_S])
        alone = per_group(leads.to(value.dtype)) == 1
        others = torch.full_like(mean, -torch.inf).scatter_reduce(
            0, group_S, reward_S.masked_fill(~valid | leads, -torch.inf), "amax"
        )
        advantage = torch.where(leads & (alone & spread)[group_S], value - others[group_S], 0) / (
            std[group_S] + epsilon
        )
    elif mode == "gpg":
        advantage = centred * (valid.sum() / (valid & (value != 0)).sum().clamp(min=1))
    elif mode == "opo":
        weight = torch.where(valid, length_S, 0)
        baseline = per_group(weight * value) / per_group(weight).clamp(min=1)
        advantage = torch.where(valid & spread[group_S], value - baseline[group_S], 0)
    elif mode in BY_TOKENS:
        advantage = _whitened(centred if mode == "reinforce_plus_plus_baseline" else value, valid, length_S)
    else:
        advantage = value
    live = per_group((advantage != 0).to(value.dtype)) > 0
    return advantage, mean, std, count.long(), live


def _whitened(value_S, valid_S, length_S):
    """Less the mean over all tokens, by their standard deviation (unbiased; 1e-8 is added to its square)."""
    weight = torch.where(valid_S, length_S, 0).to(value_S.dtype)
    tokens = weight.sum()
    apart = torch.where(valid_S, value_S - (weight * value_S).sum() / tokens.clamp(min=1), 0)
    return apart * ((weight * apart * apart).sum() / (tokens - 1).clamp(min=1) + 1e-8).rsqrt()
