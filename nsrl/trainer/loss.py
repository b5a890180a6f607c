"""Room 10: log-probs of completion tokens, then the objective, over the micro-batches of one optimiser step.

Everything stays on the device: the metrics of all micro-batches come to the host once, at the end of the step. Knows
nothing of rewards or optimisers.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from nsrl.config import TrainConfig
from nsrl.trainer.distributed import ALONE, World
from nsrl.trainer.metrics import Timer
from nsrl.trainer.pack import PackedBatch
from nsrl.trainer.policy import Policy
from nsrl_kernels import METRIC_NAMES, policy_loss

_SUMMED = ("loss", "policy_loss", "tokens", "sequences")
_TOKENS = METRIC_NAMES.index("tokens")


def backward(
    policy: Policy,
    batches: Sequence[PackedBatch],
    advantage_R: torch.Tensor,
    old_N: torch.Tensor | None,
    sampler_N: torch.Tensor | None,
    reference_N: torch.Tensor | None,
    normalizer: float,
    config: TrainConfig,
    banned: torch.Tensor,
    timer: Timer,
    keep_N: torch.Tensor | None = None,
    world: World = ALONE,
) -> torch.Tensor:
    """Accumulate the gradient of one optimiser step; returns the step's metrics as one vector (METRIC_NAMES).

    In a run of several processes `batches` are this rank's (maybe none), the metrics those of all.

    advantage_R: (R,) per completion, in the order given to `pack`; old_N, sampler_N, reference_N: log-probs of all
    completion tokens one after the other, or None (old: this pass is on-policy); normalizer: tokens, sequences or
    R * max length of the whole step; keep_N: is filled with this pass's own log-probs, the old ones of later passes.
    """
    vectors = []
    idle = world.idle_rounds(len(batches))
    for batch in batches:
        with timer("forward"):
            scored = policy.score(
                batch,
                temperature=config.temperature,
                banned=banned,
                entropy="grad" if config.entropy_coef else "metric",
            )
            part = lambda values, batch=batch: None if values is None else values[batch.token_rows].to(policy.device)
            loss, vector = policy_loss(
                scored.logp,
                advantage_R[batch.rows].to(policy.device),
                cu_seqlens=batch.cu_completions.to(policy.device),
                old_logp=part(old_N),
                ref_logp=part(reference_N),
                sampler_logp=part(sampler_N),
                entropy=scored.entropy,
                loss_type=config.loss_type,
                importance_sampling_level=config.importance_sampling_level,
                epsilon=config.epsilon,
                epsilon_high=config.epsilon_high,
                delta=config.delta,
                beta=config.beta,
                importance=config.sampler_correction,
                entropy_coef=config.entropy_coef,
                max_length=config.max_completion_length,
                normalizer=normalizer,
            )
        with timer("backward"):
            (loss * world.loss_scale).backward()
        vectors.append(vector.detach())
        if keep_N is not None:
            keep_N[batch.token_rows] = scored.logp.detach().cpu()
    if world.sharded:
        policy.take_part(idle)
        if not any(world.gather(any(batch.pixel_values is not None for batch in batches))):
            policy.visual.zero_grad(set_to_none=True)  # no rank saw an image: as if the tower had not been run
    own = torch.stack(vectors) if vectors else torch.zeros(0, len(METRIC_NAMES), device=policy.device)
    return combine(world.rows(own))


def score_all(
    policy: Policy,
    batches: Sequence[PackedBatch],
    count: int,
    config: TrainConfig,
    banned: torch.Tensor,
    context: str,
    world: World = ALONE,
) -> torch.Tensor:
    """Log-probs of all `count` completion tokens under another context, without gradient, in `pack`'s token order."""
    out = torch.zeros(count)
    idle = world.idle_rounds(len(batches))
    for batch in batches:
        scored = policy.score(
            batch, temperature=config.temperature, banned=banned, grad=False, context=context, entropy="none"
        )
        out[batch.token_rows] = scored.logp.cpu()
    policy.take_part(idle, grad=False)
    return out


def combine(vectors: torch.Tensor) -> torch.Tensor:
    """Metric vectors of micro-batches (B, len(METRIC_NAMES)) to the step's: sums, extremes, and means over tokens."""
    tokens = vectors[:, _TOKENS]
    mean = (vectors * tokens[:, None]).sum(0) / tokens.sum().clamp(min=1)
    columns = []
    for index, name in enumerate(METRIC_NAMES):
        if name in _SUMMED:
            columns.append(vectors[:, index].sum())
        elif name.endswith("/min"):
            columns.append(vectors[:, index].min())
        elif name.endswith("/max"):
            columns.append(vectors[:, index].max())
        else:
            columns.append(mean[index])
    return torch.stack(columns)


def normalizer(config: TrainConfig, tokens: int, sequences: int) -> float:
    """What the loss is divided by: the counts of the whole step, so micro-batches add up to one batch."""
    if config.loss_type == "dr_grpo":
        return float(sequences * config.max_completion_length)
    if config.loss_type in ("grpo", "gspo", "sapo"):
        return float(sequences)
    return float(max(1, tokens))
