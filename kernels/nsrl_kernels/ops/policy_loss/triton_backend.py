"""The Triton backend of `policy_loss`: two launches. Knows nothing of layouts or autograd."""

import torch

from ..._tl import on_its_device
from . import kernel
from .reference import Inputs
from .spec import METRICS, MOST_EXTRA, OPTIONS, Objective

_BITS = {how.upper(): sum(1 << i for i, h in enumerate(METRICS.values()) if h == how) for how in ("mean", "min", "max")}


@on_its_device
def forward(x: Inputs, objective: Objective):
    """(loss [], metrics [M], ∂loss/∂logp [T], ∂loss/∂entropy [T] or [0])."""
    logp, n_tokens, n_seq = x.logp, x.logp.shape[0], x.offsets.shape[0] - 1
    g_logp = torch.zeros_like(logp)
    g_entropy = torch.zeros_like(logp) if x.entropy is not None else logp.new_empty(0)
    parts = logp.new_empty(len(METRICS), n_seq)
    loss, metrics = logp.new_empty(()), logp.new_empty(len(METRICS))
    given = lambda v: logp if v is None else v.contiguous()
    extra = (*x.extra_coefs, *[0.0] * (MOST_EXTRA - len(x.extra_coefs)))
    kernel.objective_kernel[(n_seq,)](
        logp.contiguous(), x.advantages.contiguous(), given(None if x.mask is None else x.mask.to(torch.int8)),
        x.offsets.contiguous(), x.normalizer, x.entropy_normalizer, given(x.old), given(x.ref), given(x.sampler),
        given(x.entropy), given(x.weights), given(x.policy_weights), given(x.drift_weights), given(x.nll_weights),
        given(x.extra), g_logp, g_entropy, parts, n_tokens, n_seq,
        **_by_name(objective), low=objective.low, high=objective.high, tau_pos=objective.tau[0],
        tau_neg=objective.tau[1], side_low=objective.gppo_beta[0], side_high=objective.gppo_beta[1],
        k_pos=objective.vespo_k[0], k_neg=objective.vespo_k[1], lambda_pos=objective.vespo_lambda[0],
        lambda_neg=objective.vespo_lambda[1],
        **{f"extra_{k}": coefficient for k, coefficient in enumerate(extra)},
        SEQUENCE_RATIO=objective.sequence_ratio,
        SEQUENCE_CORRECTION=objective.importance_level == "sequence" and x.sampler is not None,
        PER_SEQUENCE_MEAN=objective.averages == "sequence", PER_TOKEN_ADV=x.advantages.shape == logp.shape,
        HAS_MASK=x.mask is not None, HAS_OLD=x.old is not None, HAS_REF=x.ref is not None,
        HAS_SAMPLER=x.sampler is not None, HAS_ENTROPY=x.entropy is not None, HAS_WEIGHTS=x.weights is not None,
        HAS_POLICY_WEIGHTS=x.policy_weights is not None, HAS_DRIFT=x.drift_weights is not None,
        HAS_NLL=x.nll_weights is not None, N_EXTRA=len(x.extra_coefs), BLOCK=1024,
    )  # fmt: skip
    kernel.total_kernel[(1,)](
        parts, loss, metrics, n_seq, METRICS=len(METRICS), SLOTS=1 << (len(METRICS) - 1).bit_length(), **_BITS,
        TOKENS=list(METRICS).index("tokens"), BLOCK=64,
    )  # fmt: skip
    return loss, metrics, g_logp, g_entropy


def _by_name(objective: Objective) -> dict:
    """The options that the kernel takes as they are: numbers by their names (-1 for none), words as constants."""
    taken = kernel.objective_kernel.arg_names
    options = {name: getattr(objective, name) for name in OPTIONS}
    numbers = {name: -1.0 if value is None else value for name, value in options.items() if name in taken}
    return numbers | {name.upper(): value for name, value in options.items() if name.upper() in taken}
