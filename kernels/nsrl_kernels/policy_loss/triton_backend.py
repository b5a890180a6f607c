"""The Triton backend of `policy_loss`: two launches. Knows nothing of layouts or autograd."""

import torch

from . import kernel
from .spec import METRICS, MOST_EXTRA, Inputs, Spec

_NUMBERS = ("delta", "dual_clip", "beta", "kl_log_clamp", "kl_clamp", "cap", "entropy_coef", "nll_coef")
_BITS = {how.upper(): sum(1 << i for i, h in enumerate(METRICS.values()) if h == how) for how in ("mean", "min", "max")}


def forward(x: Inputs, spec: Spec):
    """(loss [], metrics [M], ∂loss/∂logp [T], ∂loss/∂entropy [T] or [0])."""
    logp, n_tokens, n_seq = x.logp, x.logp.shape[0], x.offsets.shape[0] - 1
    g_logp = torch.zeros_like(logp)
    g_entropy = torch.zeros_like(logp) if x.entropy is not None else logp.new_empty(0)
    parts = logp.new_empty(len(METRICS), n_seq)
    loss, metrics = logp.new_empty(()), logp.new_empty(len(METRICS))
    given = lambda v: logp if v is None else v.contiguous()
    off_below_0 = {name: -1.0 if getattr(spec, name) is None else getattr(spec, name) for name in _NUMBERS}
    extra = (*spec.extra_coefs, *[0.0] * (MOST_EXTRA - len(spec.extra_coefs)))
    kernel.objective_kernel[(n_seq,)](
        logp.contiguous(), x.advantages.contiguous(), given(None if x.mask is None else x.mask.to(torch.int8)),
        x.offsets.contiguous(), x.normalizer, x.entropy_normalizer, given(x.old), given(x.ref), given(x.sampler),
        given(x.entropy), given(x.weights), given(x.extra), g_logp, g_entropy, parts, n_tokens, n_seq,
        low=1 - spec.eps_low, high=1 + spec.eps_high, **off_below_0,
        tau_pos=spec.tau[0], tau_neg=spec.tau[1], side_low=spec.gppo_beta[0], side_high=spec.gppo_beta[1],
        **{f"extra_{k}": coefficient for k, coefficient in enumerate(extra)},
        LOSS=spec.loss_type, KL=spec.kl, CORRECTION=spec.correction, SEQUENCE_RATIO=spec.sequence_ratio,
        SEQUENCE_CORRECTION=spec.sequence_correction and x.sampler is not None, KL_TIMES_RATIO=spec.kl_times_ratio,
        PER_SEQUENCE_MEAN=spec.aggregation == "sequence", PER_TOKEN_ADV=x.advantages.shape == logp.shape,
        HAS_MASK=x.mask is not None, HAS_OLD=x.old is not None, HAS_REF=x.ref is not None,
        HAS_SAMPLER=x.sampler is not None, HAS_ENTROPY=x.entropy is not None, HAS_WEIGHTS=x.weights is not None,
        N_EXTRA=len(spec.extra_coefs), BLOCK=1024,
    )  # fmt: skip
    kernel.total_kernel[(1,)](
        parts, loss, metrics, n_seq, METRICS=len(METRICS), SLOTS=1 << (len(METRICS) - 1).bit_length(), **_BITS,
        TOKENS=list(METRICS).index("tokens"), BLOCK=64,
    )  # fmt: skip
    return loss, metrics, g_logp, g_entropy
