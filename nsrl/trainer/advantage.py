"""Reward components become group advantages here, through `nsrl_kernels.group_advantage`."""

from __future__ import annotations

from collections.abc import Sequence
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
) -> StepAdvantages:
    """The update's batch out of the rounds of dynamic sampling: live groups, and of the last round the others too.

    components, sizes, lengths: of all rounds, as in `advantages`; latest: groups of the last round.
    `scale_rewards=batch` takes the spread of the update's batch (DAPO filters before it computes advantages), which is
    all there is in one round.
    """
    length_R = torch.tensor(lengths)
    drawn = advantages(components, sizes, weights, scale_rewards, length_R)
    if latest == len(sizes):
        return StepAdvantages(drawn, torch.ones_like(drawn.live), drawn.advantages, len(sizes) - drawn.n_live)
    chosen, counts = drawn.live.clone(), torch.tensor(sizes)
    chosen[-latest:] = True
    rows = chosen.repeat_interleave(counts)
    update = advantages(components[rows], counts[chosen], weights, scale_rewards, length_R[rows])
    values = torch.zeros_like(drawn.advantages).masked_scatter(rows, update.advantages)
    return StepAdvantages(drawn, chosen, values, chosen.sum() - update.n_live)
