"""The log-probs of completion tokens, and with them the objective, are computed over the micro-batches of one optimiser
step.

Everything stays on the device: the metrics of all micro-batches come to the host once, at the end of the step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any

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
_OF_ALL = torch.tensor([name in ("loss", "policy_loss") for name in METRICS])  # whatever a token is counted in
LOG_CLAMP, K3_CLAMP = 20.0, 10.0  # of log differences and k3 where there are terms: those of PAPO's formula


@dataclass(frozen=True)
class Shaped:
    """What tokens count otherwise than their completion, for the tokens of this rank in the order given to `pack`.

    advantage_N, weight_N: (N,) on the policy's device, in place of the completions' advantages and times the loss;
    None: as they are. terms: of each context that is in the loss its log-probs (N,) and its coefficient. counted_N:
    (N,) bool, whole completions: which tokens metrics are of, but for the loss; None: of all.
    """

    advantage_N: torch.Tensor | None = None
    weight_N: torch.Tensor | None = None
    terms: tuple[tuple[torch.Tensor, float], ...] = ()
    counted_N: torch.Tensor | None = None


AS_IT_IS = Shaped()


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
    shaped: Shaped = AS_IT_IS,
    weights_N: Mapping[str, torch.Tensor] = MappingProxyType({}),
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
    compared with these. shaped: what single tokens count. weights_N: further weights of all completion tokens, by the
    argument of `policy_loss` that they are.
    """
    vectors = []
    objective = clamped(config.objective.handed_on()) if shaped.terms else config.objective.handed_on()
    moved = [batch.to(policy.device) for batch in batches]
    idle = world.idle_rounds(len(batches))
    bonus = objective.entropy_coef
    tokens = max(1.0, *world.all_reduce_sum(sum(batch.target.numel() for batch in batches))) if bonus else None
    for index, batch in enumerate(moved):
        with timer("forward"):
            old, sampler, reference, clean = (
                None if values is None else values[batch.token_rows]
                for values in (old_N, sampler_N, reference_N, clean_N)
            )
            scored = policy.score(
                batch,
                temperature=config.temperature,
                banned=banned,
                dropout=(*dropout, world.rank, index),
                entropy="grad" if objective.entropy_coef else "metric",
                hint_logp=sampler if old is None else old,  # the scale of exp: no row has to be scanned twice
            )
            weights: dict[str, Any] = {name: values[batch.token_rows] for name, values in weights_N.items()}
            if sampler is not None and clean is not None:  # policy_loss takes the old log-probs minus the sampler's
                sampler = sampler + (scored.logp.detach() if old is None else old) - clean
            own_N, weight = (None if x is None else x[batch.token_rows] for x in (shaped.advantage_N, shaped.weight_N))
            minimised = partial(
                policy_loss,
                scored.logp,
                advantage_R[batch.rows] if own_N is None else own_N,
                cu_seqlens=batch.cu_completions,
                old_logp=old,
                ref_logp=reference,
                sampler_logp=sampler,
                entropy=scored.entropy,
                weights=weight,
                extra_kl=tuple((values[batch.token_rows], coefficient) for values, coefficient in shaped.terms),
                objective=objective,
                max_length=config.max_completion_length,
                normalizer=normalizer,
                entropy_normalizer=tokens,
                **weights,
            )
            loss, vector = minimised()
            if shaped.counted_N is not None:
                with torch.no_grad():
                    _, counted = minimised(mask=shaped.counted_N[batch.token_rows])
                vector = torch.where(_OF_ALL.to(vector.device), vector, counted)
        with timer("backward"):
            if loss.requires_grad:  # what learns may be no part of it: a merger, and a batch without pictures
                (loss * world.loss_scale).backward()
        ratio = _sampler_weight(scored.logp.detach() if old is None else old, sampler, objective)
        least, mean, most = ratio.amin(), ratio.mean(), ratio.amax()
        if shaped.counted_N is not None:
            own = [torch.where(shaped.counted_N[batch.token_rows], ratio, x) for x in (torch.inf, 0.0, -torch.inf)]
            least, most = own[0].amin(), own[2].amax()
            mean = own[1].sum() / vector[_TOKENS].clamp(min=1)
        vectors.append(torch.cat([vector.detach(), least[None], mean[None], most[None]]))
        if keep_N is not None:
            keep_N[batch.token_rows] = scored.logp.detach()
    if world.sharded:
        policy.join_collectives(idle)
        if not any(world.gather(any(batch.pixel_values is not None for batch in batches))):
            for tower in policy.towers:
                tower.zero_grad(set_to_none=True)  # no rank saw an image: as if the tower had not been run
    own = torch.stack(vectors) if vectors else torch.zeros(0, len(NAMES), device=policy.device)
    return combine(world.all_gather_rows(own))


def clamped(objective: Objective) -> Objective:
    """The objective with PAPO's clamps of KL terms, where it has none of its own."""
    log, k3 = objective.kl_log_clamp, objective.kl_clamp
    return replace(objective, kl_log_clamp=LOG_CLAMP if log is None else log, kl_clamp=K3_CLAMP if k3 is None else k3)


def score_all(
    policy: Policy,
    batches: Sequence[PackedBatch],
    count: int,
    config: TrainConfig,
    banned: torch.Tensor,
    context: Context,
    world: World = ALONE,
    entropy_N: torch.Tensor | None = None,
    temperature: float | None = None,
) -> torch.Tensor:
    """Log-probs of all `count` completion tokens under another context, without gradient, in `pack`'s token order.

    entropy_N: (count,) on the policy's device, is filled with the entropies where it is given; temperature: None is the
    run's.
    """
    cooled = config.temperature if temperature is None else temperature
    out = torch.zeros(count, device=policy.device)
    kind = "none" if entropy_N is None else "metric"
    idle = world.idle_rounds(len(batches))
    for batch in [batch.to(policy.device) for batch in batches]:
        scored = policy.score(batch, temperature=cooled, banned=banned, grad=False, context=context, entropy=kind)
        out[batch.token_rows] = scored.logp
        if entropy_N is not None and scored.entropy is not None:
            entropy_N[batch.token_rows] = scored.entropy
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
    return float(sequences) if how in ("sequence", "sequence_sum") else float(max(1, tokens))
