"""The definition of `policy_loss` in plain differentiable torch, any dtype. Knows nothing of layouts: T tokens, R sequences.

Each line of `surrogate` is a row of the loss table in docs/kernels.md; autograd of this file is what kernels must match.
"""

import torch


def surrogate(spec, logp, ratio, adv):
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


def divergence(spec, logp, other, kind):
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


def policy_loss(spec, logp, adv, mask, seq, n_seq, weights, normalizer, entropy_normalizer, old, ref, sampler, entropy, extra):
    """(loss, metrics) from [T] vectors. `mask` is 0/1 in logp's dtype, `seq` the sequence of each token."""
    keep = mask > 0
    put = lambda x: torch.where(keep, x, 0)
    per_seq = lambda x: x.new_zeros(n_seq).index_add(0, seq, put(x))
    length = per_seq(mask).clamp(min=1)
    logp = put(logp)
    now = logp.detach()
    old = now if old is None else put(old)
    log_ratio = logp - old
    ratio = (per_seq(log_ratio) / length).exp()[seq] if spec.sequence_ratio else log_ratio.exp()
    value = surrogate(spec, logp, ratio, adv)
    zero = torch.zeros_like(now)
    gap, correction = zero, torch.ones_like(now)
    if sampler is not None:
        gap = put(old - sampler).detach()
        correction = (per_seq(gap)[seq] if spec.sequence_correction else gap).exp()
        if spec.correction != "none":
            capped = correction.clamp(max=spec.cap)
            value = value * (capped if spec.correction == "truncate" else capped * (correction <= spec.cap))
    policy = value
    kl = zero if ref is None else divergence(spec, logp, put(ref), spec.kl)
    if spec.beta:
        value = value + spec.beta * (kl * ratio if spec.kl_times_ratio else kl)
    extra_kl = zero
    for coefficient, other in zip(spec.extra, extra):
        term = coefficient * divergence(spec, logp, put(other), "k3")
        value, extra_kl = value + term, extra_kl + term.detach()
    if spec.nll_coef:
        value = value - spec.nll_coef * logp
    own = token = mask if weights is None else mask * weights
    if spec.aggregation == "sequence":
        token = token / length[seq]
    loss = per_seq(token * value).sum() / normalizer
    if entropy is not None and spec.entropy_coef:
        loss = loss - spec.entropy_coef * per_seq(own * put(entropy)).sum() / entropy_normalizer
    policy = (per_seq(token * policy).sum() / normalizer).detach()
    count = mask.sum().clamp(min=1)
    mean = lambda x: put(x.detach().to(logp.dtype)).sum() / count
    low, high = (ratio < 1 - spec.eps_low) & (adv < 0), (ratio > 1 + spec.eps_high) & (adv > 0)
    edge = lambda fill: torch.where(keep, ratio.detach(), fill)
    none = mask.sum() == 0
    metrics = [
        loss.detach(), policy, mean(kl), mean(zero if entropy is None else entropy), mean(low), mean(high),
        mean(low | high), edge(torch.inf).amin() if len(mask) else zero.sum(), edge(-torch.inf).amax() if len(mask) else zero.sum(),
        mean(ratio), mean(gap.abs()), put(gap.abs()).amax() if len(mask) else zero.sum(), mean(correction), mean(extra_kl),
        mask.sum(), (per_seq(mask) > 0).sum().to(logp.dtype),
    ]  # fmt: skip
    metrics = torch.stack([m.to(logp.dtype) for m in metrics])
    return loss, torch.where(none & torch.isinf(metrics), 0, metrics)
