"""The log-probs of completion tokens, and with them the objective, are computed over the micro-batches of one optimiser
step.

Everything stays on the device: the metrics of all micro-batches come to the host once, at the end of the step.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from nsrl.config import TrainConfig
from nsrl.models.contexts import POLICY, Context
from nsrl.models.pack import PackedBatch
from nsrl.models.policy import Policy
from nsrl.trainer.distributed import ALONE, World
from nsrl.trainer.metrics import Timer
from nsrl_kernels import METRICS, Objective, policy_loss

_WEIGHT = "sampling/importance_sampling_ratio"  # what the correction multiplied by: TRL's key
_HOW = METRICS | {
    f"{_WEIGHT}/{how}": how for how in ("min", "mean", "max")
}  # how micro-batches' values become the step's
NAMES = tuple(_HOW)
_TOKENS = NAMES.index("tokens")


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
    dropout: tuple[int | str, ...] = (),
    clean_N: torch.Tensor | None = None,
) -> torch.Tensor:
    """Accumulate the gradient of one optimiser step; returns the step's metrics as one vector (NAMES).

    In a run of several processes `batches` are this rank's (maybe none), the metrics those of all.

    advantage_R: (R,) per completion, in the order given to `pack`, on the policy's device as all log-probs are; old_N,
    sampler_N, reference_N: log-probs of all completion tokens one after the other, or None (old: this pass is
    on-policy); normalizer: tokens, sequences or R * max length of the whole step; keep_N: is filled with this pass's
    own log-probs, the old ones of later passes. The entropy bonus is a mean over all tokens of `batches`, whatever the
    loss type, as TRL's.
    dropout: names the step; the adapters' dropout draws the same masks in every pass of it, so that a ratio tells what
    learning changed. clean_N: log-probs without dropout at the sampler's weights: the sampler has none, so it is
    compared with these.
    """
    vectors = []
    objective = config.objective.handed_on()
    moved = [batch.to(policy.device) for batch in batches]
    idle = world.idle_rounds(len(batches))
    bonus = objective.entropy_coef
    tokens = max(1.0, *world.all_reduce_sum(sum(batch.target.numel() for batch in batches))) if bonus else None
    for index, batch in enumerate(moved):
        with timer("forward"):
            scored = policy.score(
                batch,
                temperature=config.temperature,
                banned=banned,
                dropout=(*dropout, world.rank, index),
                entropy="grad" if objective.entropy_coef else "metric",
            )
            old, sampler, reference, clean = (
                None if values is None else values[batch.token_rows]
                for values in (old_N, sampler_N, reference_N, clean_N)
            )
            if sampler is not None and clean is not None:  # policy_loss takes the old log-probs minus the sampler's
                sampler = sampler + (scored.logp.detach() if old is None else old) - clean
            loss, vector = policy_loss(
                scored.logp,
                advantage_R[batch.rows],
                cu_seqlens=batch.cu_completions,
                old_logp=old,
                ref_logp=reference,
                sampler_logp=sampler,
                entropy=scored.entropy,
                objective=objective,
                max_length=config.max_completion_length,
                normalizer=normalizer,
                entropy_normalizer=tokens,
            )
        with timer("backward"):
            (loss * world.loss_scale).backward()
        weight = _sampler_weight(scored.logp.detach() if old is None else old, sampler, objective)
        vectors.append(torch.cat([vector.detach(), weight.amin()[None], weight.mean()[None], weight.amax()[None]]))
        if keep_N is not None:
            keep_N[batch.token_rows] = scored.logp.detach()
    if world.sharded:
        policy.join_collectives(idle)
        if not any(world.gather(any(batch.pixel_values is not None for batch in batches))):
            for tower in policy.towers:
                tower.zero_grad(set_to_none=True)  # no rank saw an image: as if the tower had not been run
    own = torch.stack(vectors) if vectors else torch.zeros(0, len(NAMES), device=policy.device)
    return combine(world.all_gather_rows(own))


def score_all(
    policy: Policy,
    batches: Sequence[PackedBatch],
    count: int,
    config: TrainConfig,
    banned: torch.Tensor,
    context: Context,
    world: World = ALONE,
) -> torch.Tensor:
    """Log-probs of all `count` completion tokens under another context, without gradient, in `pack`'s token order."""
    out = torch.zeros(count, device=policy.device)
    idle = world.idle_rounds(len(batches))
    for batch in [batch.to(policy.device) for batch in batches]:
        scored = policy.score(
            batch, temperature=config.temperature, banned=banned, grad=False, context=context, entropy="none"
        )
        out[batch.token_rows] = scored.logp
    policy.join_collectives(idle, grad=False)
    return out


def _sampler_weight(logp: torch.Tensor, sampler: torch.Tensor | None, objective: Objective) -> torch.Tensor:
    """(N,): what each token's loss is multiplied by for having been drawn by the sampler's distribution; else its
    ratio."""
    if sampler is None:
        return torch.ones_like(logp)
    ratio = (logp - sampler).exp()
    if objective.importance == "truncate":
        return ratio.clamp(max=objective.importance_cap)
    return torch.where(ratio <= objective.importance_cap, ratio, 0) if objective.importance == "mask" else ratio


def without_dropout(
    policy: Policy,
    batches: Sequence[PackedBatch],
    count: int,
    config: TrainConfig,
    banned: torch.Tensor,
    timer: Timer,
    world: World = ALONE,
) -> torch.Tensor | None:
    """What the sampler, which has no dropout, is compared with; None where a pass of the update itself will do."""
    if not policy.has_dropout:
        return None
    with timer("forward"):
        return score_all(policy, batches, count, config, banned, POLICY, world)


def combine(vectors: torch.Tensor) -> torch.Tensor:
    """Metric vectors of micro-batches (B, len(NAMES)) to the step's: sums, extremes, and means over tokens."""
    tokens = vectors[:, _TOKENS]
    mean = (vectors * tokens[:, None]).sum(0) / tokens.sum().clamp(min=1)
    columns = [mean[i] if how == "mean" else getattr(vectors[:, i], how)() for i, how in enumerate(_HOW.values())]
    return torch.stack(columns)


def normalizer(config: TrainConfig, tokens: int, sequences: int) -> float:
    """What the loss is divided by: the counts of the whole step, so micro-batches add up to one batch."""
    how = config.objective.averages
    if how == "fixed":
        return float(sequences * config.max_completion_length)
    return float(sequences) if how == "sequence" else float(max(1, tokens))
