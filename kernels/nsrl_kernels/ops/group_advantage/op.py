"""`group_advantage`: the function, its checks, group layouts, and the list of live groups. Knows nothing of tokens."""

from typing import NamedTuple

import torch

from ... import _backend, _check, _native, _op
from ..._rows import wide
from . import reference
from .reference import BY_TOKENS, MODES, ONLY_TORCH

_NAME = "group_advantage"


class GroupAdvantage(NamedTuple):
    """Per sequence S and per group P; everything stays on the device of the rewards."""

    advantages: torch.Tensor  # [S] fp32 (fp64 for fp64 rewards); 0 for an unscorable sequence
    reward: torch.Tensor  # [S] the same dtype: weighted sum of the components; NaN where none applied
    mean: torch.Tensor  # [P] of the scorable rewards; 0 for a group without any
    std: torch.Tensor  # [P] unbiased; 0 for groups of one
    count: torch.Tensor  # [P] int64 scorable sequences
    live: torch.Tensor  # [P] bool: some advantage of the group is not 0
    live_groups: torch.Tensor  # [P] int64: ids of the live groups in order, then -1
    n_live: torch.Tensor  # [] int64
    live_rows: torch.Tensor  # [S] bool: sequences of live groups


def group_advantage(
    rewards: torch.Tensor,
    groups: torch.Tensor | int,
    *,
    num_groups: int | None = None,
    weights: torch.Tensor | None = None,
    mode: str = "grpo",
    epsilon: float = 1e-4,
    lengths: torch.Tensor | None = None,
    backend: str | None = None,
) -> GroupAdvantage:
    """Advantages of samples against their group.

    The Triton and CUDA kernels are for rewards that are on a GPU already: `linear_grpo`'s, other trainers'. nsrl's own
    trainer has a few hundred fp64 rewards on the CPU, where they are made and written down, and runs the torch backend.

    Never materialised: anything larger than the rewards.

    Args:
        rewards: [S] or [S, K] components; NaN = does not apply. A sequence whose components are all NaN is unscorable:
            left out of every statistic, advantage 0.
        groups: an int G (every G sequences are a group), offsets [P + 1] of consecutive groups, or, when `num_groups`
        is
            given, a group id in [0, num_groups) per sequence, in any order.
        num_groups: number P of groups when `groups` holds ids.
        weights: [K] of the components; ones if None.
        mode: "grpo" (r - mean)/(std + epsilon); "no_std" r - mean (Dr.GRPO); "batch_std" (r - mean)/(std of the whole
            batch + epsilon); "rloo" r - mean of the others; "none" r. On the torch backend alone: "grpo_passk" (best -
            second best)/(std + epsilon) for a best one without equals, else 0; "gpg" (r - mean) · sequences / those
            whose r is not 0; "opo" r - mean weighted by length; "reinforce_plus_plus" r, and
            "reinforce_plus_plus_baseline" r - mean, less its mean over all tokens of the batch, by their deviation.
        epsilon: added to the standard deviation (unbiased, as torch.std).
        lengths: [S] tokens of each sequence, for "opo" and the two of REINFORCE++.
        backend: "torch", "triton", "cuda" or None for the best there is that has the mode.

    Returns:
        GroupAdvantage. A group with zero spread has advantages of exactly 0 in every mode centred in its group, and is
        not live.

    Raises:
        ValueError, TypeError: an argument's shape, dtype or choice is wrong.

    Numerics: fp64 for fp64 rewards (torch only), else fp32 with sums in a fixed order; the backends agree to 2e-6.
    Source: GRPO (arXiv 2402.03300), Dr.GRPO (arXiv 2503.20783), RLOO (arXiv 2402.14740), Pass@k (arXiv 2503.19595), GPG
        (arXiv 2504.02546), OPO (arXiv 2505.23585), REINFORCE++ (arXiv 2501.03262); the last four as verl has them.
    """
    _check.tensors(_NAME, rewards=rewards, weights=weights, lengths=lengths)
    _check.floating(_NAME, "rewards", rewards)
    _check.one_of(_NAME, "mode", mode, (*MODES, *ONLY_TORCH))
    if rewards.dim() not in (1, 2):
        _check.fail(_NAME, "rewards", "(S,) or (S, K)", tuple(rewards.shape))
    dtype, device = wide(rewards.dtype), rewards.device
    components = rewards.detach().to(dtype)
    components = components if components.dim() == 2 else components[:, None]
    n_rows, n_components = components.shape
    if weights is None:
        weights = torch.ones(n_components, dtype=dtype, device=device)
    _check.shape(_NAME, "weights", weights, (n_components,), "to match the components of rewards")
    group, n_groups, offsets = _layout(groups, num_groups, n_rows, device)
    if mode in BY_TOKENS:
        if lengths is None:
            _check.fail(_NAME, "lengths", f"given with mode={mode!r}", None)
        _check.shape(_NAME, "lengths", lengths, (n_rows,), "tokens, one number per row")
    single = dtype == torch.float32 and mode in MODES
    name = _backend.resolve(_NAME, device.type, backend, triton=single, cuda=single)
    weights = weights.to(dtype)
    if name == "torch" or not n_rows or not n_groups:
        reward = reference.combine(components, weights)
        tokens = torch.ones_like(reward) if lengths is None else lengths.to(device)
        advantages, *statistics, live = reference.group_advantage(reward, group, n_groups, mode, epsilon, tokens)
        return GroupAdvantage(advantages, reward, *statistics, live, *listed(live), live[group])  # pyright: ignore
    order = None
    if offsets is None:  # ids in any order: bring each group's sequences together, and the results back
        order = torch.argsort(group, stable=True)
        components = components[order]
        bounds = torch.arange(n_groups + 1, device=device)
        offsets = torch.searchsorted(group[order], bounds)
    advantages, reward, *rest = _group_advantage(
        components.contiguous(), weights.contiguous(), offsets.int().contiguous(), mode, float(epsilon), name
    )
    if order is not None:
        back = torch.empty_like(order).scatter_(0, order, torch.arange(n_rows, device=device))
        advantages, reward = advantages[back], reward[back]
    found = GroupAdvantage(advantages, reward, *rest, live_rows=group)
    return found._replace(live_rows=found.live[group])


def listed(live: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(ids [P] of the live groups in order, then -1; how many []), both int64, without reading the device."""
    n_live = live.sum()
    order = torch.argsort(~live, stable=True)
    return torch.where(torch.arange(live.shape[0], device=live.device) < n_live, order, -1), n_live


def _layout(groups, num_groups, n_rows, device):
    """(group id of each sequence, number of groups, offsets or None for unsorted ids), without reading the device."""
    if isinstance(groups, int):
        if groups < 1 or n_rows % groups:
            _check.fail(_NAME, "groups", f"a divisor of the {n_rows} rows", groups)
        n_groups = n_rows // groups
        rows = torch.arange(n_rows, device=device)
        return rows // groups, n_groups, torch.arange(n_groups + 1, device=device) * groups
    _check.tensors(_NAME, groups=groups)
    _check.integer(_NAME, "groups", groups)
    _check.same_device(_NAME, device, groups=groups)
    if num_groups is not None:
        _check.shape(_NAME, "groups", groups, (n_rows,), "ids, one per row")
        return groups.long(), num_groups, None
    if groups.dim() != 1 or groups.shape[0] < 1:
        _check.fail(_NAME, "groups", "offsets (P + 1,)", tuple(groups.shape))
    rows = torch.arange(n_rows, device=device, dtype=groups.dtype)
    return torch.searchsorted(groups[1:].contiguous(), rows, right=True), groups.shape[0] - 1, groups


class _Call(NamedTuple):
    rewards: torch.Tensor  # [S, K] fp32
    weights: torch.Tensor  # [K]
    offsets: torch.Tensor  # [P + 1] int32
    mode: str
    epsilon: float
    backend: str


@torch.library.custom_op("nsrl::group_advantage", mutates_args=(), schema=_op.schema(_Call, returns=8))
def _group_advantage(rewards, weights, offsets, mode, epsilon, backend):
    """The fields of GroupAdvantage but the last, for groups of consecutive sequences."""
    if backend == "cuda":
        return _cuda(rewards, weights, offsets, mode, epsilon)
    from . import triton_backend

    statistics = triton_backend.forward(rewards, weights, offsets, mode, epsilon)
    return *statistics, *listed(statistics[-1])


@_group_advantage.register_fake
def _(rewards, weights, offsets, mode, epsilon, backend):
    n, ids = offsets.shape[0] - 1, torch.int64
    per_row = lambda: rewards.new_empty(rewards.shape[0])
    per_group = lambda dtype=rewards.dtype: rewards.new_empty(n, dtype=dtype)
    return (
        per_row(), per_row(), per_group(), per_group(), per_group(ids), per_group(torch.bool), per_group(ids),
        rewards.new_empty((), dtype=ids),
    )  # fmt: skip


def _cuda(rewards, weights, offsets, mode, epsilon):
    """By csrc/group_advantage.cu."""
    n_groups = offsets.shape[0] - 1
    ints = lambda n: torch.empty(n, dtype=torch.int32, device=rewards.device)
    advantages, reward = torch.zeros_like(rewards[:, 0]), torch.full_like(rewards[:, 0], torch.nan)
    mean, std, batch_std = rewards.new_empty(n_groups), rewards.new_empty(n_groups), rewards.new_empty(1)
    count, live_groups, n_live = ints(n_groups), ints(n_groups), ints(1)
    live = torch.empty(n_groups, dtype=torch.bool, device=rewards.device)
    _native.op("group_advantage")(
        rewards, weights, offsets, MODES.index(mode), epsilon, advantages, reward, mean, std, count, live, live_groups,
        n_live, batch_std,
    )  # fmt: skip
    return advantages, reward, mean, std, count.long(), live, live_groups.long(), n_live[0].long()
