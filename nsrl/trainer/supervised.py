"""Supervised steps learn demonstrations: the warm start of the small model, and a control run.

The same packed forward and the same log-prob op as GRPO: the loss is the mean of −log p over completion tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

import torch

from nsrl.models.pack import Group
from nsrl.models.policy import Policy
from nsrl.models.vlm import VLM
from nsrl.trainer.distributed import ALONE, World
from nsrl.trainer.optim import Optimizer

if TYPE_CHECKING:
    from nsrl.data.source import Demonstration


def supervised_step(
    vlm: VLM,
    policy: Policy,
    optimizer: Optimizer,
    demonstrations: Iterator[Demonstration],
    size: int,
    budget: int,
    world: World = ALONE,
) -> dict[str, float]:
    """One optimiser step on the next `size` demonstrations; `budget`: stream rows per micro-batch.

    Returns loss (nats per token), grad_norm, learning_rate, dropped_updates and num_tokens (prompts and completions).
    """
    groups = []
    for demonstration in world.share(list(islice(demonstrations, size))):
        prompt = vlm.encode(demonstration.problem)
        groups.append(Group(prompt, [vlm.learned_ids(demonstration.text)]))
    batches = policy.pack(groups, budget)
    tokens, seen = map(int, world.all_reduce_sum(
        sum(batch.target.numel() for batch in batches),
        sum(group.tokens for group in groups),
    ))  # fmt: skip
    idle = world.idle_rounds(len(batches))
    total = torch.zeros((), device=policy.device)
    for index, batch in enumerate(batches):
        dropout = ("supervised", optimizer.steps, world.rank, index)
        loss = -policy.score(batch, entropy="none", dropout=dropout).logp.sum() / tokens
        (loss * world.loss_scale).backward()
        total += loss.detach()
    policy.join_collectives(idle)
    rate = optimizer.learning_rate
    norm = optimizer.step()
    return {
        "loss": float(*world.all_reduce_sum(float(total))), "grad_norm": float(norm), "learning_rate": rate,
        "dropped_updates": optimizer.take_dropped(), "num_tokens": seen,
    }  # fmt: skip
