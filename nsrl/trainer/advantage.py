"""Reward components become group advantages here, through `nsrl_kernels.group_advantage`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from nsrl.config.schema import SCALES
from nsrl_kernels import GroupAdvantage, group_advantage


def advantages(
    components: torch.Tensor,
    sizes: list[int] | torch.Tensor,
    weights: Sequence[float],
    scale_rewards: str,
    lengths: torch.Tensor | None = None,
) -> GroupAdvantage:
    """Advantages of every completion of a step.

    components: (R, K) rewards, NaN where one does not apply; sizes: completions per group, in order; weights: (K,);
    lengths: (R,) tokens of each, for estimators that weight by them.
    """
    offsets = torch.nn.functional.pad(torch.as_tensor(sizes).cumsum(0), (1, 0))
    return group_advantage(
        components,
        offsets,
        weights=torch.tensor(weights, dtype=components.dtype),
        mode=SCALES[scale_rewards],
        lengths=lengths,
    )


@dataclass
class StepAdvantages:
    """What a step learns from.

    drawn: statistics of every group that was sampled; chosen: (P,) whether the update has the group; advantages: (R,)
    of every completion, 0 outside the update; missing: groups without spread in the update.
    """

    drawn: GroupAdvantage
    chosen: torch.Tensor
    advantages: torch.Tensor
    missing: torch.Tensor


def step_advantages(
    components: torch.Tensor,
    sizes: list[int],
    latest: int,
    weights: Sequence[float],
    scale_rewards: str,
    lengths: Sequence[int],
    baselines: torch.Tensor | None = None,
    kept: Callable[[torch.Tensor], list[int]] | None = None,
    wanted: int = 0,
) -> StepAdvantages:
    """The update's batch out of the rounds of dynamic sampling: live groups, and of the last round the others too.

    components, sizes, lengths: of all rounds, as in `advantages`; latest: groups of the last round; baselines: (P,)
    what rewards are compared with in place of their group.
    `scale_rewards=batch` takes the spread of the update's batch (DAPO filters before it computes advantages), which is
    all there is in one round. kept: of the rewards (R,) of all completions, the groups that `draw` lets into the update
    (None: all); wanted: groups that the update is to have then.
    """
    length_R = torch.tensor(lengths)
    drawn = advantages(components, sizes, weights, scale_rewards, length_R)
    if baselines is not None:
        drawn = against(drawn, sizes, baselines)
    if latest == len(sizes) and kept is None:
        return StepAdvantages(drawn, torch.ones_like(drawn.live), drawn.advantages, len(sizes) - drawn.n_live)
    chosen, counts = drawn.live.clone(), torch.tensor(sizes)
    chosen[-latest:] = True
    if kept is not None:
        among = torch.zeros_like(chosen)
        among[kept(drawn.reward)] = True
        chosen &= among
        if not chosen.any():
            return StepAdvantages(drawn, chosen, torch.zeros_like(drawn.advantages), torch.tensor(wanted))
    rows = chosen.repeat_interleave(counts)
    update = advantages(components[rows], counts[chosen], weights, scale_rewards, length_R[rows])
    if baselines is not None:
        update = against(update, counts[chosen], baselines[chosen])
    values = torch.zeros_like(drawn.advantages).masked_scatter(rows, update.advantages)
    groups = chosen.sum() if kept is None else torch.tensor(wanted)
    return StepAdvantages(drawn, chosen, values, (groups - update.n_live).clamp(min=0))


def against(found: GroupAdvantage, sizes: list[int] | torch.Tensor, baselines: torch.Tensor) -> GroupAdvantage:
    """The advantages as r - baseline of the group (ReMax, arXiv 2310.10505). baselines: (P,); NaN counts as 0."""
    counts = torch.as_tensor(sizes)
    below = baselines.nan_to_num(0.0).repeat_interleave(counts)
    values = torch.where(found.reward.isnan(), 0.0, found.reward - below).to(found.advantages.dtype)
    group = torch.arange(len(counts)).repeat_interleave(counts)
    live = torch.zeros(len(counts), dtype=torch.long).index_add(0, group, (values != 0).long()) > 0
    order = torch.argsort(~live, stable=True)
    listed = torch.where(torch.arange(len(counts)) < live.sum(), order, -1)
    return found._replace(advantages=values, live=live, n_live=live.sum(), live_groups=listed, live_rows=live[group])
