"""The definition of `policy_loss` in plain differentiable torch, any dtype; it is also what the torch backend runs.

Each line of `surrogate` is a row of the loss table in docs/kernels.md; autograd of this file is what kernels must
match.
"""

import torch

from .spec import METRICS, Inputs, Spec


def surrogate(spec: Spec, logp, ratio, adv):
    """The loss per token, before aggregation. Clipped values carry no gradient (gppo's do, as a multiple of logp)."""
    if spec.loss_type == "reinforce":
        return -adv * logp
    low, high = 1 - spec.eps_low, 1 + spec.eps_high
    if spec.loss_type == "cispo":
        return -ratio.detach().clamp(max=high) * adv * logp
    if spec.loss_type == "sapo":
        tau = torch.where(adv > 0, spec.tau[0], spec.tau[1]).to(ratio.dtype)
        return -torch.sigmoid(tau * (ratio - 1)) * 4 / tau * adv
    bounded = ratio if spec.delta is None else ratio.clamp(max=spec.delta)
    band = ratio.clamp(low, high)
    if spec.loss_type == "gppo":  # the band's edge in value; its gradient continues as edge·A·β·∂logp
        side = torch.where(adv > 0, spec.gppo_beta[1], spec.gppo_beta[0]).to(ratio.dtype)
        outside = (ratio < low) | (ratio > high)
        band = torch.where(outside, band.detach() * (1 + side * (logp - logp.detach())), band)
    objective = torch.where(band * adv < bounded * adv, band * adv, bounded * adv)
    if spec.dual_clip is not None:
        floor = spec.dual_clip * adv
        objective = torch.where((adv < 0) & (objective < floor), floor, objective)
    return -objective


def divergence(spec: Spec, logp, other, kind):
    """k1, k2 or k3 of the policy against `other` on the sampled token, with the spec's clamps."""
    log_ratio = other - logp
    if spec.kl_log_clamp is not None:
        log_ratio = log_ratio.clamp(-spec.kl_log_clamp, spec.kl_log_clamp)
    value = {
        "k1": lambda: -log_ratio,
        "k2": lambda: 0.5 * log_ratio * log_ratio,
        "k3": lambda: torch.expm1(log_ratio) - log_ratio,
    }[kind]()
    return value if spec.kl_clamp is None else value.clamp(-spec.kl_clamp, spec.kl_clamp)


def policy_loss(spec: Spec, x: Inputs):
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
    ratio = (per_seq(log_ratio) / length).exp()[seq] if spec.sequence_ratio else log_ratio.exp()
    value = surrogate(spec, logp, ratio, adv)
    zero = torch.zeros_like(now)
    gap, correction = zero, torch.ones_like(now)
    if x.sampler is not None:
        gap = put(old - x.sampler).detach()
        correction = (per_seq(gap)[seq] if spec.sequence_correction else gap).exp()
        if spec.correction != "none":
            capped = correction.clamp(max=spec.cap)
            value = value * (capped if spec.correction == "truncate" else capped * (correction <= spec.cap))
    policy = value
    kl = zero if x.ref is None else divergence(spec, logp, put(x.ref), spec.kl)
    if spec.beta:
        value = value + spec.beta * (kl * ratio if spec.kl_times_ratio else kl)
    extra_kl = zero
    for coefficient, other in zip(spec.extra_coefs, () if x.extra is None else x.extra):
        term = coefficient * divergence(spec, logp, put(other), "k3")
        value, extra_kl = value + term, extra_kl + term.detach()
    if spec.nll_coef:
        value = value - spec.nll_coef * logp
    own = token = mask if x.weights is None else mask * x.weights
    if spec.aggregation == "sequence":
        token = token / length[seq]
    loss = per_seq(token * value).sum() / x.normalizer
    if x.entropy is not None and spec.entropy_coef:
        loss = loss - spec.entropy_coef * per_seq(own * put(x.entropy)).sum() / x.entropy_normalizer
    low, high = (ratio < 1 - spec.eps_low) & (adv < 0), (ratio > 1 + spec.eps_high) & (adv > 0)
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
