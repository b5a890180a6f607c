"""Graded completions become reward components and, where they are not just summed, totals.

The controls on rewards stand here, both of them: verdicts turned round (`reward_noise`) before any reward sees them,
and rewards permuted within their groups (`shuffle_rewards`) after all is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

import torch

from nsrl.config.schema import REMAX
from nsrl.rewards import RewardBatch
from nsrl.rewards.asking import Ask
from nsrl.rewards.controls import flipped, shuffled
from nsrl.trainer import ask
from nsrl.trainer.advantage import advantages
from nsrl.trainer.learner import Learner, Rollout


@dataclass(frozen=True)
class Scores:
    """components: (R, K) float64, NaN where one does not apply; totals: (R, 1) of `combine`, None where it is the
    weighted sum; baselines: (P,) what each group is compared with in place of its mean, None where it is not."""

    components: torch.Tensor
    totals: torch.Tensor | None
    baselines: torch.Tensor | None = None

    def __add__(self, other: Scores) -> Scores:
        both = lambda a, b: None if a is None or b is None else torch.cat([a, b])
        components = torch.cat([self.components, other.components])
        return Scores(components, both(self.totals, other.totals), both(self.baselines, other.baselines))

    def weighed(self, weights: Sequence[float]) -> tuple[torch.Tensor, Sequence[float]]:
        """(what advantages are of, the weights of its columns)."""
        return (self.components, weights) if self.totals is None else (self.totals, [1.0])

    def sums(self, weights: Sequence[float]) -> torch.Tensor:
        """(R,): what each completion is paid in all, NaN where nothing applies."""
        rewards, own = self.weighed(weights)
        return advantages(rewards, [len(rewards)], own, "none").reward


def batch_of(learner: Learner, groups: Sequence[Rollout], step: int, round_: int) -> RewardBatch:
    """What the rewards of a step look at; round_: of dynamic sampling, which draws its own noise."""
    config, found = (
        learner.config,
        [None if i in g.given else j.correct for g in groups for i, j in enumerate(g.graded)],
    )
    verdicts = iter(flipped(found, config.paid.reward_noise, config.seed, step, round_))
    for group in groups:
        told = list(islice(verdicts, len(group.samples)))  # what is given is right or wrong as it is
        group.correct = [group.graded[i].correct if i in group.given else one for i, one in enumerate(told)]
    return learner.batch_of(groups, step)


def score(learner: Learner, batch: RewardBatch, round_: int = 0) -> Scores:
    """The rewards of a batch, on every rank alike: called on one of them, for a reward may ask a service, or draw.
    round_: of dynamic sampling."""

    def called(policy: Ask | None) -> tuple[list[list[float | None]], list[float | None] | None]:
        rows = learner.rewards(batch, policy)
        return rows, learner.rewards.totals(rows, batch)

    with learner.timer("reward"):
        rows, totals = ask.from_main(learner, batch, round_, called)
    if learner.config.paid.shuffle_rewards:
        order = shuffled(range(len(rows)), batch.group_sizes, learner.config.seed, batch.step)
        rows, totals = [rows[i] for i in order], None if totals is None else [totals[i] for i in order]
    return Scores(_tensor(rows), None if totals is None else _tensor([[value] for value in totals]))


def against_greedy(learner: Learner, groups: Sequence[Rollout], scores: Scores, step: int, round_: int) -> Scores:
    """With the reward of each problem's greedy completion, where `scale_rewards` compares with it (ReMax, arXiv
    2310.10505); what rewards remember is not of it."""
    if learner.config.scale_rewards != REMAX:
        return scores
    alone = ask.greedy(learner, groups)
    remembered = learner.rewards.state_dict()
    own = score(learner, batch_of(learner, alone, step, -1 - round_), -1 - round_)
    learner.rewards.load_state_dict(remembered)
    components, weights = own.weighed(learner.rewards.weights)
    return replace(scores, baselines=advantages(components, [1] * len(alone), weights, "none").reward)


def _tensor(rows: Sequence[Sequence[float | None]]) -> torch.Tensor:
    values = [[float("nan") if value is None else float(value) for value in row] for row in rows]
    return torch.tensor(values, dtype=torch.float64)
