"""A rollout's groups become mini-batches, each an optimiser step: PPO's several updates on fresh samples.

Groups with a gradient are dealt out one by one, then those without, so that every update has about as much to learn
from; which group goes where does not depend on the number of processes. The old log-probs of all of them come from one
pass before the first update. With one mini-batch there is no such pass: the update's own is on-policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from nsrl.config import TrainConfig
from nsrl.models.pack import PackedBatch
from nsrl.rollout.types import Finish
from nsrl.trainer import loss as objective
from nsrl.trainer.advantage import StepAdvantages
from nsrl.trainer.contexts import keeps_dead
from nsrl.trainer.learner import Learner, MiniBatch, Rollout, Taken
from nsrl.trainer.loss import Shaped
from nsrl.trainer.members import budget_for
from nsrl.trainer.selection import chosen_tokens


def mini_batches(
    learner: Learner, groups: Sequence[Rollout], gain: StepAdvantages, terms: dict[str, float]
) -> list[MiniBatch]:
    """The update's groups, dealt out to `config.mini_batches` steps; `learns` of each group is set here.

    A completion without an end is not learned from where `mask_truncated_completions` says so. terms: of the step, by
    context.
    """
    config = learner.config
    of_right = config.objective.nll_coef > 0 and config.objective.nll_on == "right"
    dead, first = keeps_dead(config, terms), 0
    with_gradient: list[Taken] = []
    without: list[Taken] = []
    for group, chosen, live in zip(groups, gain.chosen.tolist(), gain.drawn.live.tolist()):
        if chosen and (live or config.tokens.dead_groups != "drop"):
            group.learns = [
                i
                for i, s in enumerate(group.samples)
                if s.finish is Finish.STOP or not config.mask_truncated_completions
            ]
            liked = of_right and any(group.correct[i] is True for i in group.learns)
            has = group.learns and (live or dead or liked)
            (with_gradient if has else without).append((group, [first + i for i in group.learns]))
        first += len(group.samples)
    count = config.mini_batches
    found: list[MiniBatch] = []
    for number in range(count):
        learning = with_gradient[number::count]
        others = without[(number - len(with_gradient)) % count :: count]
        dealt = [group for group, _ in (*learning, *others)]
        found.append(
            MiniBatch(
                learning,
                sum(len(g.samples[i].written_ids) for g in dealt for i in g.learns),
                sum(len(g.samples) for g in dealt),
                sum(len(g.samples[i].written_ids) for g in dealt for i in g.learns if g.correct[i] is True),
                learner.world.partition_by_size([g.size for g, _ in learning]),
                [],
            )
        )
    return found


def packed(learner: Learner, parts: Sequence[MiniBatch]) -> list[PackedBatch]:
    """The micro-batches of all mini-batches, numbered through: `rows` and `token_rows` count over all of this rank's
    completions, mini-batch after mini-batch."""
    rows = tokens = groups = 0
    for part in parts:
        shown = [one for g, _ in part.mine for one in g.to_pack(learner.vlm)]
        made = learner.policy.pack(shown, budget_for(learner, shown))
        part.batches = [
            batch
            if not groups
            else replace(
                batch,
                rows=batch.rows + rows,
                token_rows=batch.token_rows + tokens,
                groups=batch.groups + groups,
                kept={},
            )
            for batch in made
        ]
        groups += len(shown)
        rows += sum(len(g.learns) for g, _ in part.mine)
        tokens += sum(len(g.samples[i].logps) for g, _ in part.mine for i in g.learns)
    return [batch for part in parts for batch in part.batches]


def name_of(step: int, number: int, count: int) -> tuple[int | str, ...]:
    """What names the passes over a mini-batch: dropout draws the same masks in all of them."""
    return ("grpo", step) if count == 1 else ("grpo", step, number)


def before_updates(
    learner: Learner, parts: Sequence[MiniBatch], advantage_R: torch.Tensor, shaped: Shaped, count: int, step: int
) -> tuple[torch.Tensor | None, dict[str, torch.Tensor]]:
    """(old log-probs (N,) of this rank's `count` tokens, None where the first pass of the update gives them; their
    weights (N,) by argument of `policy_loss`)."""
    chooses = learner.config.objective.chooses
    weights = {} if (nll_N := nll_weights(learner, parts)) is None else {"nll_weights": nll_N}
    if len(parts) == 1 and not chooses:
        return None, weights
    old_N, entropy_N = score_before(learner, parts, count, step)
    return old_N, weights | (
        chosen_tokens(learner, parts, advantage_R, shaped, old_N, entropy_N, step) if chooses else {}
    )


def score_before(
    learner: Learner, parts: Sequence[MiniBatch], count: int, step: int
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """(log-probs, entropies or None) of this rank's `count` tokens before the first update, under its dropout.

    Entropies where the objective chooses tokens by them.
    """
    config, policy, world = learner.config, learner.policy, learner.world
    logp_N = torch.zeros(count, device=policy.device)
    entropy_N = torch.zeros_like(logp_N) if config.objective.top_entropy < 1 else None
    batches = [batch for part in parts for batch in part.batches]
    with learner.timer("forward"):
        idle = world.idle_rounds(len(batches))
        for number, part in enumerate(parts):
            for index, batch in enumerate(batch.to(policy.device) for batch in part.batches):
                scored = policy.score(
                    batch,
                    temperature=config.temperature,
                    banned=learner.banned,
                    grad=False,
                    dropout=(*name_of(step, number, len(parts)), world.rank, index),
                    entropy="none" if entropy_N is None else "metric",
                )
                logp_N[batch.token_rows] = scored.logp
                if entropy_N is not None and scored.entropy is not None:
                    entropy_N[batch.token_rows] = scored.entropy
        policy.join_collectives(idle, grad=False)
    return logp_N, entropy_N


def divisor(part: MiniBatch, config: TrainConfig) -> float:
    """What the loss of a mini-batch is divided by: the counts of all its groups, on all ranks."""
    return objective.normalizer(config, part.tokens, part.sequences)


def nll_weights(learner: Learner, parts: Sequence[MiniBatch]) -> torch.Tensor | None:
    """(N,): under which `policy_loss` makes -logp the mean over the tokens of right completions of a mini-batch, where
    the objective has that term (VAPO, arXiv 2504.05118, eq. 11)."""
    if not learner.config.objective.nll_coef or learner.config.objective.nll_on == "all":
        return None
    weights: list[float] = []
    for part in parts:
        share = divisor(part, learner.config) / max(1, part.right)
        for group, _ in part.mine:
            for i in group.learns:
                length = len(group.samples[i].logps)
                times = length if learner.config.objective.averages == "sequence" else 1
                weights += [share * times if group.correct[i] is True else 0.0] * length
    return torch.tensor(weights, device=learner.policy.device)


def metrics_of(vectors: Sequence[torch.Tensor]) -> torch.Tensor:
    """The step's metrics, of its last pass over the rollout: tokens' means, extremes and counts over its mini-batches,
    and the mean of their losses."""
    if len(vectors) == 1:
        return vectors[0]
    vector = objective.combine(torch.stack(list(vectors)))
    for name in ("loss", "policy_loss"):
        vector[objective.NAMES.index(name)] /= len(vectors)
    return vector
