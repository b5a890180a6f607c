"""Tokens of an update that the policy term leaves out, or that pay for moving: by entropy, or by covariance.

All is of the policy before the rollout's first update and of all tokens with a gradient in a mini-batch, whatever the
number of micro-batches and processes; peers take the policy of the moment and the tokens of a micro-batch. The choices
themselves are `nsrl_kernels.ops.policy_loss.select`'s.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import torch

from nsrl.trainer.learner import Learner, MiniBatch
from nsrl.trainer.loss import Shaped
from nsrl_kernels.ops.policy_loss.select import clip_cov, covariance, high_entropy, kl_cov


def chosen_tokens(
    learner: Learner,
    parts: Sequence[MiniBatch],
    advantage_R: torch.Tensor,
    shaped: Shaped,
    old_N: torch.Tensor,
    entropy_N: torch.Tensor | None,
    step: int,
) -> dict[str, torch.Tensor]:
    """(N,) weights by argument of `policy_loss`, of this rank's tokens, mini-batch after mini-batch.

    advantage_R: of this rank's completions, where shaped has none of tokens; old_N, entropy_N: of its tokens
    (entropies: with top_entropy below 1).
    """
    config, world = learner.config.objective, learner.world
    device = old_N.device
    length_R = [len(g.samples[i].logps) for part in parts for g, _ in part.mine for i in g.learns]
    advantage_N = shaped.advantage_N
    if advantage_N is None:
        advantage_N = advantage_R.repeat_interleave(torch.tensor(length_R, dtype=torch.long, device=device))
    found: dict[str, list[torch.Tensor]] = {}
    first = 0
    for part in parts:
        rows = [row for _, rows in part.mine for row in rows]
        lengths = [len(g.samples[i].logps) for g, _ in part.mine for i in g.learns]
        here = slice(first, first + sum(lengths))
        first = here.stop
        draws = [_draws(learner, step, row, n) for row, n in zip(rows, lengths)] if config.clip_cov else []
        none = torch.zeros(sum(lengths), device=device)
        columns = torch.stack(
            [
                torch.full_like(none, float(world.rank)),
                advantage_N[here],
                old_N[here],
                none if entropy_N is None else entropy_N[here],
                torch.cat(draws).to(device) if draws else none,
            ],
            1,
        )
        rank, advantage, logp, entropy, draw = world.all_gather_rows(columns).unbind(1)
        kept = torch.ones_like(rank)
        if config.top_entropy < 1:
            kept = kept * high_entropy(entropy, config.top_entropy)
        if config.clip_cov or config.kl_cov:
            together = covariance(logp, advantage)
            if config.clip_cov:
                kept = kept * ~clip_cov(together, config.clip_cov, config.cov_band, draw)
            if config.kl_cov:
                found.setdefault("drift_weights", []).append(
                    kl_cov(together, config.kl_cov).float()[rank == world.rank]
                )
        if config.top_entropy < 1 or config.clip_cov:
            found.setdefault("policy_weights", []).append(kept[rank == world.rank])
    return {name: torch.cat(values) for name, values in found.items()}


def _draws(learner: Learner, step: int, row: int, count: int) -> torch.Tensor:
    """(count,) uniform numbers of a completion's tokens: by run seed, step and place in the step alone."""
    seed = zlib.crc32(f"clip_cov/{learner.config.seed}/{step}/{row}".encode())
    return torch.rand(count, generator=torch.Generator().manual_seed(seed))
