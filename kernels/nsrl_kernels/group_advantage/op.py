"""`group_advantage`: the function, its checks, group layouts, and the list of live groups. Knows nothing of tokens."""

from typing import NamedTuple

import torch

from .. import _backend, _check, _native
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
    group, n_groups, offsets = _layout(groups, num_groups, n_rows, rewards.device)
    name = _backend.resolve(_NAME, rewards.device.type, backend, _offered(rewards.device.type, dtype))
    weights = weights.to(dtype)
    if name == "reference" or not n_rows or not n_groups:
        reward = reference.combine(components, weights)
        advantages, mean, std, count, live = reference.group_advantage(reward, group, n_groups, mode, epsilon)
        return _with_lists(advantages, reward, mean, std, count.long(), live, group)
    order = None
    if offsets is None:  # ids in any order: bring each group's rows together, and the results back
        order = torch.argsort(group, stable=True)
        components = components[order]
        bounds = torch.arange(n_groups + 1, device=rewards.device)
        offsets = torch.searchsorted(group[order], bounds)
    run = _group_advantage_cuda if name == "cuda" else _group_advantage
    advantages, reward, mean, std, count, live, *listed = run(
        components.contiguous(), weights.contiguous(), offsets.int(), MODES.index(mode), float(epsilon)
    )
    if order is not None:
        back = torch.empty_like(order).scatter_(0, order, torch.arange(n_rows, device=order.device))
        advantages, reward = advantages[back], reward[back]
    if listed:
        return GroupAdvantage(advantages, reward, mean, std, count, live, *listed, live[group])
    return _with_lists(advantages, reward, mean, std, count, live, group)


@torch.compiler.assume_constant_result
def _offered(device_type: str, dtype: torch.dtype) -> tuple[str, ...]:
    """cuda first where csrc is built; Triton where it runs; the reference everywhere and for fp64."""
    found = ()
    if dtype == torch.float32 and _native.available(device_type):
        found += ("cuda",)
    if dtype == torch.float32 and _backend.has_triton():
        from . import kernel

        if device_type == "cuda" or _backend.is_interpreted(kernel.group_kernel):
            found += ("triton",)
    return (*found, "reference")


@torch.library.custom_op("nsrl::group_advantage", mutates_args=())
def _group_advantage(
    rewards: torch.Tensor, weights: torch.Tensor, offsets: torch.Tensor, mode: int, epsilon: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """(advantages, reward, mean, std, count, live) of groups of consecutive rows, by Triton."""
    from . import kernel

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


@_group_advantage.register_fake
def _(rewards, weights, offsets, mode, epsilon):
    per_row = lambda: rewards.new_empty(rewards.shape[0])
    per_group = lambda dtype: rewards.new_empty(offsets.shape[0] - 1, dtype=dtype)
    floats = rewards.dtype
    return per_row(), per_row(), per_group(floats), per_group(floats), per_group(torch.int64), per_group(torch.bool)


@torch.library.custom_op("nsrl::group_advantage_cuda", mutates_args=())
def _group_advantage_cuda(
    rewards: torch.Tensor, weights: torch.Tensor, offsets: torch.Tensor, mode: int, epsilon: float
) -> tuple[
    torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor
]:
    """The same by csrc/group_advantage.cu, which also lists the live groups: (..., live_groups, n_live)."""
    n_groups = offsets.shape[0] - 1
    ints = lambda n: torch.empty(n, dtype=torch.int32, device=rewards.device)
    advantages, reward = torch.zeros_like(rewards[:, 0]), torch.full_like(rewards[:, 0], torch.nan)
    mean, std, batch_std = rewards.new_empty(n_groups), rewards.new_empty(n_groups), rewards.new_empty(1)
    count, live_groups, n_live = ints(n_groups), ints(n_groups), ints(1)
    live = torch.empty(n_groups, dtype=torch.bool, device=rewards.device)
    _native.ops().group_advantage(
        rewards, weights, offsets, mode, epsilon, advantages, reward, mean, std, count, live, live_groups, n_live,
        batch_std,
    )  # fmt: skip
    return advantages, reward, mean, std, count.long(), live, live_groups.long(), n_live[0].long()


@_group_advantage_cuda.register_fake
def _(rewards, weights, offsets, mode, epsilon):
    n = offsets.shape[0] - 1
    per_row = lambda: rewards.new_empty(rewards.shape[0])
    per_group = lambda dtype: rewards.new_empty(n, dtype=dtype)
    return (
        per_row(), per_row(), per_group(rewards.dtype), per_group(rewards.dtype), per_group(torch.int64),
        per_group(torch.bool), per_group(torch.int64), rewards.new_empty((), dtype=torch.int64),
    )  # fmt: skip


def _with_lists(advantages, reward, mean, std, count, live, group):
    n_live = live.sum()
    order = torch.argsort(~live, stable=True)
    listed = torch.where(torch.arange(live.shape[0], device=live.device) < n_live, order, -1)
    return GroupAdvantage(advantages, reward, mean, std, count, live, listed, n_live, live[group])


def _layout(groups, num_groups, n_rows, device):
    """(group id of each row, number of groups, offsets or None for unsorted ids), without reading the device."""
    if isinstance(groups, int):
        if groups < 1 or n_rows % groups:
            _check.fail(_NAME, "groups", f"a divisor of the {n_rows} rows", groups)
        n_groups = n_rows // groups
        rows = torch.arange(n_rows, device=device)
        return rows // groups, n_groups, torch.arange(n_groups + 1, device=device) * groups
    _check.integer(_NAME, "groups", groups)
    _check.same_device(_NAME, device, groups=groups)
    if num_groups is not None:
        _check.shape(_NAME, "groups", groups, (n_rows,), "ids, one per row")
        return groups.long(), num_groups, None
    if groups.dim() != 1 or groups.shape[0] < 1:
        _check.fail(_NAME, "groups", "offsets (P + 1,)", tuple(groups.shape))
    rows = torch.arange(n_rows, device=device, dtype=groups.dtype)
    return torch.searchsorted(groups[1:].contiguous(), rows, right=True), groups.shape[0] - 1, groups
