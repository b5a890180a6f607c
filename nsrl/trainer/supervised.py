"""Supervised steps learn demonstrations: of shapes, or of rows that have a completion.

The same packed forward and the same log-prob op as GRPO: the loss is the mean of −log p over completion tokens, the end
of the turn among them (as TRL's SFTTrainer with completion_only_loss: tests/peers/test_trl_sft.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, zip_longest
from typing import TYPE_CHECKING

import torch

from nsrl.errors import UserError
from nsrl.models.pack import Group
from nsrl.models.policy import Policy
from nsrl.models.vlm import VLM
from nsrl.trainer.distributed import ALONE, World
from nsrl.trainer.learned import Learned, cell, known
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
    learned: Learned | None = None,
) -> dict[str, float]:
    """One optimiser step on the next `size` demonstrations; `budget`: stream rows per micro-batch; learned: is told
    what of them the model knew.

    Returns loss (nats per token), grad_norm, learning_rate, dropped_updates, num_tokens (prompts and completions), and
    learned/worst where programs were seen.
    """
    groups, cells = [], []
    for demonstration in world.share(list(islice(demonstrations, size))):
        try:
            prompt = vlm.encode(demonstration.problem)
        except UserError as error:  # a picture that is sound to look at and breaks when it is read
            print(f"demonstration {demonstration.problem.id} passed over: {error}", flush=True)
            continue
        groups.append(Group(prompt, [vlm.learned_ids(demonstration.text)]))
        cells.append(cell(demonstration))
    batches = policy.pack(groups, budget)
    tokens, seen = map(int, world.all_reduce_sum(
        sum(batch.target.numel() for batch in batches),
        sum(group.tokens for group in groups),
    ))  # fmt: skip
    idle = world.idle_rounds(len(batches))
    total = torch.zeros((), device=policy.device)
    logps = []
    for index, batch in enumerate(batches):
        dropout = ("supervised", optimizer.steps, world.rank, index)
        logp = policy.score(batch, entropy="none", dropout=dropout).logp
        logps.append(logp.detach())
        loss = -logp.sum() / tokens
        if loss.requires_grad:  # what learns may be no part of it: a merger, and a batch without pictures
            (loss * world.loss_scale).backward()
        total += loss.detach()
    policy.join_collectives(idle)
    rate = optimizer.learning_rate
    if tokens:
        norm = optimizer.step()
    else:  # no picture of the whole batch could be read
        norm = 0.0
        optimizer.skip()
    metrics = {
        "loss": float(*world.all_reduce_sum(float(total))), "grad_norm": float(norm), "learning_rate": rate,
        "dropped_updates": optimizer.take_dropped(), "num_tokens": seen,
    }  # fmt: skip
    if learned is not None:
        parts = world.gather(list(zip(cells, known(batches, logps), strict=True)))
        learned.see(one for dealt in zip_longest(*parts) for one in dealt if one is not None)
        if (worst := learned.worst()) is not None:
            metrics["learned/worst"] = worst
    return metrics
