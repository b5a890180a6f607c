"""`group_advantage`: the function, its checks, group layouts, and the list of live groups. Knows nothing of tokens."""

from typing import NamedTuple

import torch

from .. import _backend, _check
from . import reference

_NAME = "group_advantage"
MODES = ("grpo", "no_std", "batch_std", "rloo", "none")


class GroupAdvantage(NamedTuple):
    """Per row R and per group P; everything stays on the device of the rewards."""

    advantages: torch.Tensor  # [R] fp32; 0 for an unscorable row
    reward: torch.Tensor  # [R] fp32 weighted sum of the components; NaN where none applied
    mean: torch.Tensor  # [P] of the scorable rewards; 0 for a group without any
    std: torch.Tensor  # [P] unbiased; 0 for groups of one
    count: torch.Tensor  # [P] int64 scorable rows
    live: torch.Tensor  # [P] bool: some advantage of the group is not 0
    live_groups: torch.Tensor  # [P] int64: ids of the live groups in order, then -1
    n_live: torch.Tensor  # [] int64
    live_rows: torch.Tensor  # [R] bool: rows of live groups


def group_advantage(
    rewards: torch.Tensor,
    groups: torch.Tensor | int,
    *,
    num_groups: int | None = None,
    weights: torch.Tensor | None = None,
    mode: str = "grpo",
    epsilon: float = 1e-4,
    backend: str | None = None,
) -> GroupAdvantage:
    """Advantages of samples against their group.

    Args:
        rewards: [R] or [R, K] components; NaN = does not apply. A row whose components are all NaN is unscorable: left
            out of every statistic, advantage 0.
        groups: an int G (every G rows are a group), offsets [P + 1] of consecutive groups, or, when `num_groups` is
            given, a group id in [0, num_groups) per row, in any order.
        num_groups: number of groups when `groups` holds ids.
        weights: [K] of the components; ones if None.
        mode: "grpo" (r - mean)/(std + epsilon); "no_std" r - mean (Dr.GRPO); "batch_std" (r - mean)/(std of the whole
            batch + epsilon); "rloo" r - mean of the others; "none" r.
        epsilon: added to the standard deviation (unbiased, as torch.std).
        backend: "reference", "triton", "cuda" or None.

    Returns:
        GroupAdvantage. A group with zero spread has advantages of exactly 0 in every centred mode and is not live.

    Raises:
        ValueError, TypeError: an argument's shape, dtype or choice is wrong.
    """
    _check.floating(_NAME, "rewards", rewards)
    _check.one_of(_NAME, "mode", mode, MODES)
    if rewards.dim() not in (1, 2):
        _check.fail(_NAME, "rewards", "(R,) or (R, K)", tuple(rewards.shape))
    rewards = rewards.detach()
    dtype = torch.float64 if rewards.dtype == torch.float64 else torch.float32
    components = rewards.to(dtype).reshape(rewards.shape[0], -1) if rewards.dim() == 2 else rewards.to(dtype)[:, None]
    n_rows, n_components = components.shape
    if weights is None:
        weights = torch.ones(n_components, dtype=dtype, device=rewards.device)
    _check.shape(_NAME, "weights", weights, (n_components,), "to match the components of rewards")
    group, n_groups = _group_of_row(groups, num_groups, n_rows, rewards.device)
    _backend.resolve(_NAME, rewards.device.type, backend, ("reference",))
    reward = reference.combine(components, weights.to(dtype))
    advantages, mean, std, count, live = reference.group_advantage(reward, group, n_groups, mode, epsilon)
    return _with_lists(advantages, reward, mean, std, count.long(), live, group)


def _with_lists(advantages, reward, mean, std, count, live, group):
    n_live = live.sum()
    order = torch.argsort(~live, stable=True)
    listed = torch.where(torch.arange(live.shape[0], device=live.device) < n_live, order, -1)
    return GroupAdvantage(advantages, reward, mean, std, count, live, listed, n_live, live[group])


def _group_of_row(groups, num_groups, n_rows, device):
    """(group id of each row, number of groups), without reading the device."""
    if isinstance(groups, int):
        if groups < 1 or n_rows % groups:
            _check.fail(_NAME, "groups", f"a divisor of the {n_rows} rows", groups)
        return torch.arange(n_rows, device=device) // groups, n_rows // groups
    _check.integer(_NAME, "groups", groups)
    _check.same_device(_NAME, device, groups=groups)
    if num_groups is not None:
        _check.shape(_NAME, "groups", groups, (n_rows,), "ids, one per row")
        return groups.long(), num_groups
    if groups.dim() != 1 or groups.shape[0] < 1:
        _check.fail(_NAME, "groups", "offsets (P + 1,)", tuple(groups.shape))
    rows = torch.arange(n_rows, device=device, dtype=groups.dtype)
    return torch.searchsorted(groups[1:].contiguous(), rows, right=True), groups.shape[0] - 1
