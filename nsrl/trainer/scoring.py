"""Graded completions become reward components and, where they are not just summed, totals.

The controls on rewards stand here, both of them: verdicts turned round (`reward_noise`) before any reward sees them,
and rewards permuted within their groups (`shuffle_rewards`) after all is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import torch

from nsrl.rewards import RewardBatch
from nsrl.rewards.controls import flipped, shuffled
from nsrl.trainer.learner import Learner, Rollout


@dataclass(frozen=True)
class Scores:
    """components: (R, K) float64, NaN where one does not apply; totals: (R, 1) of `combine`, None where it is the
    weighted sum."""

    components: torch.Tensor
    totals: torch.Tensor | None

    def __add__(self, other: Scores) -> Scores:
        totals = None
        if self.totals is not None and other.totals is not None:
            totals = torch.cat([self.totals, other.totals])
        return Scores(torch.cat([self.components, other.components]), totals)

    def weighed(self, weights: Sequence[float]) -> tuple[torch.Tensor, Sequence[float]]:
        """(what advantages are of, the weights of its columns)."""
        return (self.components, weights) if self.totals is None else (self.totals, [1.0])


def batch_of(learner: Learner, groups: Sequence[Rollout], step: int, round_: int) -> RewardBatch:
    """What the rewards of a step look at; round_: of dynamic sampling, which draws its own noise."""
    config, found = learner.config, [j.correct for g in groups for j in g.graded]
    verdicts = iter(flipped(found, config.paid.reward_noise, config.seed, step, round_))
    for group in groups:
        group.correct = list(islice(verdicts, len(group.samples)))
    return learner.batch_of(groups, step)


def score(learner: Learner, batch: RewardBatch) -> Scores:
    """The rewards of a batch, on every rank alike: called on one of them, for a reward may ask a service, or draw."""

    def called() -> tuple[list[list[float | None]], list[float | None] | None]:
        rows = learner.rewards(batch)
        return rows, learner.rewards.totals(rows, batch)

    with learner.timer("reward"):
        rows, totals = learner.world.from_main(called)
    if learner.config.paid.shuffle_rewards:
        order = shuffled(range(len(rows)), batch.group_sizes, learner.config.seed, batch.step)
        rows, totals = [rows[i] for i in order], None if totals is None else [totals[i] for i in order]
    return Scores(_tensor(rows), None if totals is None else _tensor([[value] for value in totals]))


def _tensor(rows: Sequence[Sequence[float | None]]) -> torch.Tensor:
    values = [[float("nan") if value is None else float(value) for value in row] for row in rows]
    return torch.tensor(values, dtype=torch.float64)
