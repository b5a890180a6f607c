"""The definition of `policy_loss` in plain differentiable torch, any dtype; it is also what the torch backend runs.

Each line of `surrogate` is a row of the loss table in docs/kernels.md; autograd of this file is what kernels must
match.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from .spec import METRICS, Objective

LEAST_LOG, MOST_LOG = -18.420680743952367, 20.0  # ln 1e-8: between these VESPO's log-ratios are taken


class Inputs(NamedTuple):
    """The tensors of a call, layouts undone: T tokens of S sequences, one after the other."""

    logp: Tensor  # [T]
    entropy: Tensor | None  # [T]
    advantages: Tensor  # [S] or [T]
    mask: Tensor | None  # [T] bool
    offsets: Tensor  # [S + 1]
    normalizer: Tensor  # [] (or a number, for the definition)
    entropy_normalizer: Tensor  # the same
    old: Tensor | None  # [T]
    ref: Tensor | None  # [T]
    sampler: Tensor | None  # [T]
    weights: Tensor | None  # [T]
    policy_weights: Tensor | None  # [T]: of the policy term alone
    drift_weights: Tensor | None  # [T]
    nll_weights: Tensor | None  # [T]
    extra: Tensor | None  # [K, T]: log-probs of each extra k3 term
    extra_coefs: tuple[float, ...]  # its coefficient, [K]


def geometric(objective: Objective, log_ratio, adv):
    """GMPO's log-ratio of a token: clipped where it goes on in the direction of its advantage; 0 where that is 0.

    The sequence's ratio is exp of its mean. Source: arXiv 2507.20673, eq. 4.
    """
    sign = adv.sign()
    band = log_ratio.clamp(objective.low - 1, objective.high - 1)
    return sign * torch.minimum(sign * log_ratio, sign * band)


def gamma_weight(objective: Objective, log_path, adv):
    """VESPO's weight e^λ · w^k · e^(-λw) of the sequence's whole ratio w = exp(log_path), 1 at w = 1, by A's sign."""
    side = lambda pair: torch.where(adv >= 0, pair[0], pair[1]).to(log_path.dtype)
    power, decay = side(objective.vespo_k), side(objective.vespo_lambda).clamp(min=1e-4)
    log_path = log_path.clamp(LEAST_LOG, MOST_LOG)
    return (decay + power * log_path - decay * log_path.exp()).exp()


def surrogate(objective: Objective, logp, ratio, adv, gamma):
    """The loss per token, before aggregation. Clipped values carry no gradient (gppo's do, as a multiple of logp).

    gamma: vespo's weight, without gradient.
    """
    if objective.loss_type == "reinforce":
        return -adv * logp
    if objective.loss_type == "vespo":
        return -gamma * adv * logp
    if objective.loss_type == "gmpo":
        return -ratio * adv
    low, high = objective.low, objective.high
    if objective.loss_type == "cispo":
        return -ratio.detach().clamp(max=high) * adv * logp
    if objective.loss_type == "sapo":
        tau = torch.where(adv > 0, objective.tau[0], objective.tau[1]).to(ratio.dtype)
        return -torch.sigmoid(tau * (ratio - 1)) * 4 / tau * adv
    bounded = ratio if objective.delta is None else ratio.clamp(max=objective.delta)
    band = ratio.clamp(low, high)
    if objective.loss_type == "gppo":  # the band's edge in value; its gradient continues as edge·A·β·∂logp
        side = torch.where(adv > 0, objective.gppo_beta[1], objective.gppo_beta[0]).to(ratio.dtype)
        outside = (ratio < low) | (ratio > high)
        band = torch.where(outside, band.detach() * (1 + side * (logp - logp.detach())), band)
    gain = torch.where(band * adv < bounded * adv, band * adv, bounded * adv)
    if objective.dual_clip is not None:
        floor = objective.dual_clip * adv
        gain = torch.where((adv < 0) & (gain < floor), floor, gain)
    return -gain


def divergence(objective: Objective, logp, other, kind):
    """k1, k2 or k3 of the policy against `other` on the sampled token, with the objective's clamps."""
    log_ratio = other - logp
    if objective.kl_log_clamp is not None:
        log_ratio = log_ratio.clamp(-objective.kl_log_clamp, objective.kl_log_clamp)
    value = {
        "k1": lambda: -log_ratio,
        "k2": lambda: 0.5 * log_ratio * log_ratio,
        "k3": lambda: torch.expm1(log_ratio) - log_ratio,
    }[kind]()
    return value if objective.kl_clamp is None else value.clamp(-objective.kl_clamp, objective.kl_clamp)


def policy_loss(objective: Objective, x: Inputs):
    """(loss [], metrics [M]) of the T tokens of S sequences, in logp's dtype."""
    positions = torch.arange(x.logp.shape[0], device=x.logp.device)
    seq = torch.searchsorted(x.offsets[1:].contiguous().to(positions.dtype), positions, right=True)
    n_seq = x.offsets.shape[0] - 1
    adv = x.advantages
    if adv.shape != x.logp.shape:
        adv = adv[seq.clamp(max=max(n_seq - 1, 0))] if len(seq) else adv[:0]
    mask = torch.ones_like(x.logp) if x.mask is None else x.mask.to(x.logp.dtype)
    keep = mask > 0
    put = lambda v: torch.where(keep, v, 0)
    per_seq = lambda v: v.new_zeros(n_seq).index_add(0, seq, put(v))
    length = per_seq(mask).clamp(min=1)
    logp = put(x.logp)
    now = logp.detach()
    old = now if x.old is None else put(x.old)
    log_ratio = logp - old
    gmpo, vespo = objective.loss_type == "gmpo", objective.loss_type == "vespo"
    moved = geometric(objective, log_ratio, adv) if gmpo else log_ratio
    ratio = (per_seq(moved) / length).exp()[seq] if objective.sequence_ratio else log_ratio.exp()
    zero = torch.zeros_like(now)
    gap, correction, factor = zero, torch.ones_like(now), torch.ones_like(now)
    if x.sampler is not None:
        gap = put(old - x.sampler).detach()
        correction = (per_seq(gap)[seq] if objective.importance_level == "sequence" else gap).exp()
        if objective.importance != "none":
            capped = correction.clamp(max=objective.importance_cap)
            factor = capped if objective.importance == "truncate" else capped * (correction <= objective.importance_cap)
    gamma = None
    if vespo:
        path = per_seq(log_ratio.detach().clamp(-MOST_LOG, MOST_LOG) + factor.log().clamp(LEAST_LOG, MOST_LOG))[seq]
        gamma = gamma_weight(objective, path, adv)
    value = surrogate(objective, logp, ratio, adv, gamma)
    if x.policy_weights is not None:
        value = value * x.policy_weights
    if x.drift_weights is not None:
        value = value + objective.drift_coef * x.drift_weights * log_ratio.abs()
    if not vespo:  # whose weight has it
        value = value * factor
    policy = value
    kl = zero if x.ref is None else divergence(objective, logp, put(x.ref), objective.kl)
    if objective.beta:
        value = value + objective.beta * (kl * ratio if objective.kl_times_ratio else kl)
    extra_kl = zero
    for coefficient, other in zip(x.extra_coefs, () if x.extra is None else x.extra):
        term = coefficient * divergence(objective, logp, put(other), "k3")
        value, extra_kl = value + term, extra_kl + term.detach()
    if objective.nll_coef:
        value = value - objective.nll_coef * (logp if x.nll_weights is None else x.nll_weights * logp)
    own = token = mask if x.weights is None else mask * x.weights
    if objective.averages == "sequence":
        token = token / length[seq]
    loss = per_seq(token * value).sum() / x.normalizer
    if x.entropy is not None and objective.entropy_coef:
        loss = loss - objective.entropy_coef * per_seq(own * put(x.entropy)).sum() / x.entropy_normalizer
    bounded, shift = (log_ratio, 1) if gmpo else (ratio, 0)  # what the band is of
    low, high = (bounded < objective.low - shift) & (adv < 0), (bounded > objective.high - shift) & (adv > 0)
    found = {
        "loss": loss,
        "policy_loss": per_seq(token * policy).sum() / x.normalizer,
        "kl": kl,
        "entropy": zero if x.entropy is None else x.entropy,
        "clip_ratio/low_mean": low,
        "clip_ratio/high_mean": high,
        "clip_ratio/region_mean": low | high,
        "ratio/min": ratio,
        "ratio/max": ratio,
        "ratio/mean": ratio,
        "sampling/sampling_logp_difference/mean": gap.abs(),
        "sampling/sampling_logp_difference/max": gap.abs(),
        "sampling/importance_ratio/mean": correction,
        "extra_kl": extra_kl,
        "tokens": mask.sum(),
        "sequences": (per_seq(mask) > 0).sum(),
    }
    count = mask.sum()
    over_tokens = {
        "sum": lambda v: v,
        "mean": lambda v: put(v).sum() / count.clamp(min=1),
        "min": lambda v: torch.where(count > 0, torch.where(keep, v, torch.inf).amin(), 0) if len(v) else zero.sum(),
        "max": lambda v: torch.where(count > 0, torch.where(keep, v, -torch.inf).amax(), 0) if len(v) else zero.sum(),
    }
    return loss, torch.stack([over_tokens[how](found[name].detach().to(logp.dtype)) for name, how in METRICS.items()])
