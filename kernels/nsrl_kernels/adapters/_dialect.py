"""The objective as TRL and Liger speak of it, over padded [B, L] tokens: their names and definitions, on `policy_loss`.

What they say and `policy_loss` does not is a weight here: CISPO's bound is on the ratio itself and may lie below 1, the
correction for another sampler comes as a ratio, sequences or tokens may be left out of the policy term. Knows no model
and no trainer.

Source: `GRPOTrainer._compute_loss` of TRL 1.16 and `LigerFusedLinearGRPOLoss` of Liger 0.8.5.
"""

from dataclasses import dataclass
from typing import Any

import torch

from ..ops.policy_loss.op import policy_loss
from ..ops.policy_loss.reference import LEAST_LOG, MOST_LOG, gamma_weight
from ..ops.policy_loss.spec import Objective

# how each averages what its tokens pay, up to the normaliser, which the caller gives
AGGREGATIONS = {
    "grpo": "sequence", "sapo": "sequence", "bnpo": "token", "dr_grpo": "token", "dapo": "token", "cispo": "token",
    "vespo": "token", "luspo": "sequence_sum",
}  # fmt: skip
CLIPPED = ("grpo", "bnpo", "dr_grpo", "dapo", "luspo")
NO_BOUND = 1e30  # for an option that wants a number: no ratio reaches it


@dataclass(frozen=True)
class Dialect:
    """The options by TRL's names, with what they mean there."""

    loss_type: str = "dapo"
    importance_sampling_level: str = "token"
    beta: float = 0.0
    epsilon_low: float = 0.2
    epsilon_high: float = 0.2  # of cispo: the bound itself
    delta: float | None = None
    use_bias_correction_kl: bool = False
    sapo_temperature: tuple[float, float] = (1.0, 1.05)  # of positive advantages, of the others
    vespo_k: tuple[float, float] = (2.0, 3.0)
    vespo_lambda: tuple[float, float] = (3.0, 2.0)

    @property
    def objective(self) -> Objective:
        """The same as `policy_loss` says it; where the policy term is a weight times -A·logp, without the weight."""
        clipped = self.loss_type in CLIPPED
        return Objective(
            loss_type="grpo" if clipped else "sapo" if self.loss_type == "sapo" else "reinforce",
            importance_sampling_level=self.importance_sampling_level, aggregation=AGGREGATIONS[self.loss_type],
            epsilon=self.epsilon_low if clipped else 0.2, epsilon_high=self.epsilon_high if clipped else None,
            delta=self.delta if clipped else None, beta=self.beta, kl_times_ratio=self.use_bias_correction_kl,
            tau=self.sapo_temperature, vespo_k=self.vespo_k, vespo_lambda=self.vespo_lambda,
        )  # fmt: skip


class Batch:
    """The tokens of a batch, [B, L] each, and what is known of them beside the policy of the moment.

    Args:
        mask: 0 where a token counts nowhere. advantages: [B], [B, 1] or [B, L].
        old: log-probs at sampling time; None means on-policy. ref: the reference's, needed with beta above 0.
        correction: [B, L] or [B, 1], the ratio to another sampler, as it is to be multiplied with.
        keep: weights of the policy term alone, each [B, L] or [B, 1].
    """

    def __init__(self, mask, advantages, old=None, ref: Any = None, correction=None, keep=()):
        self.mask = mask
        self.advantages = advantages[:, 0] if advantages.dim() == 2 and advantages.shape[1] == 1 else advantages
        self.old, self.ref, self.correction, self.keep = old, ref, correction, keep

    @property
    def lengths(self) -> torch.Tensor:
        """[B] tokens of each sequence that count; 1 for one without any."""
        return (self.mask != 0).sum(1).clamp(min=1)

    def per_token(self) -> torch.Tensor:
        """The advantages as [B, 1] or [B, L]."""
        return self.advantages[:, None] if self.advantages.dim() == 1 else self.advantages


class Seen:
    """What TRL and Liger report of a batch, without gradient: the ratio they clip, the KL they add.

    Attributes:
        ratio: [B, L], or [B, 1] of sequences, before anything bounds it. kl: [B, L], times that ratio where the dialect
            says so; None without beta. phi: [B, 1], VESPO's weight; None for the others.
    """

    def __init__(self, said: Dialect, batch: Batch, logp: torch.Tensor):
        logp = logp.detach().float()
        kept = batch.mask != 0
        put = lambda values: torch.where(kept, values, 0)
        log_ratio = torch.zeros_like(logp) if batch.old is None else put(logp - batch.old)
        moved = log_ratio
        if said.importance_sampling_level == "sequence":
            moved = (log_ratio.sum(1) / batch.lengths)[:, None]
        self.ratio, self.kl, self.phi = moved.exp(), None, None
        if said.beta:
            apart = put(batch.ref - logp)
            self.kl = torch.expm1(apart) - apart
            self.kl = self.kl * self.ratio if said.use_bias_correction_kl else self.kl
        if said.loss_type == "vespo":
            path = log_ratio.clamp(-MOST_LOG, MOST_LOG).sum(1, keepdim=True)
            if batch.correction is not None:
                logs = batch.correction.float().log().clamp(LEAST_LOG, MOST_LOG)
                path = path + (logs if logs.shape[1] == 1 else put(logs).sum(1, keepdim=True))
            self.phi = gamma_weight(said.objective, path, batch.per_token())


def loss(
    said: Dialect, batch: Batch, logp: torch.Tensor, normalizer: float | torch.Tensor
) -> tuple[torch.Tensor, Seen]:
    """(the loss, with gradient by logp; what is reported of it).

    Args:
        logp: [B, L] log-probs of the batch's tokens. normalizer: sequences, tokens or tokens at most, as the dialect's
        loss is divided; a number or a 0-d tensor.
    """
    seen = Seen(said, batch, logp)
    weights = [weight for weight in batch.keep if weight is not None]
    if said.loss_type == "cispo":
        weights.append(seen.ratio.clamp(max=said.epsilon_high))
    if seen.phi is not None:  # which has the correction in it
        weights.append(seen.phi)
    elif batch.correction is not None:
        weights.append(batch.correction)
    product = None
    for weight in weights:
        product = weight.to(logp.dtype) if product is None else product * weight
    value, _ = policy_loss(
        logp, batch.advantages, mask=batch.mask, old_logp=batch.old, ref_logp=batch.ref if said.beta else None,
        policy_weights=None if product is None else product.expand_as(logp), normalizer=normalizer,
        objective=said.objective,
    )  # fmt: skip
    return value, seen
