"""`policy_loss`: the function, its checks and layouts, the custom op with its fake, autograd. Knows nothing of
models."""

from dataclasses import replace
from typing import Any

import torch

from ... import _backend, _check, _op
from ..._rows import wide
from . import reference
from .reference import Inputs
from .spec import METRIC_NAMES, MOST_EXTRA, OPTIONS, Objective

_NAME = "policy_loss"
_PAIRS = {name for name, option in OPTIONS.items() if option.type == tuple[float, float]}


def policy_loss(
    logp: torch.Tensor,
    advantages: torch.Tensor,
    *,
    cu_seqlens: torch.Tensor | None = None,
    mask: torch.Tensor | None = None,
    old_logp: torch.Tensor | None = None,
    ref_logp: torch.Tensor | None = None,
    sampler_logp: torch.Tensor | None = None,
    entropy: torch.Tensor | None = None,
    weights: torch.Tensor | None = None,
    policy_weights: torch.Tensor | None = None,
    drift_weights: torch.Tensor | None = None,
    nll_weights: torch.Tensor | None = None,
    extra_kl: tuple = (),
    max_length: int | None = None,
    normalizer: float | torch.Tensor | None = None,
    entropy_normalizer: float | torch.Tensor | None = None,
    backend: str | None = None,
    objective: Objective | None = None,
    **options: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The GRPO-family objective of a batch of sampled tokens, with every metric of it in one device vector.

    Never materialised: anything but the gradients; value, gradient and metrics come from one pass on Triton. Nothing is
    read back to the host.

    Args:
        logp: the policy's log-probs of the sampled tokens, [T] packed (with cu_seqlens) or [S, L] padded.
        advantages: [S] per sequence, or per token in logp's shape.
        cu_seqlens: [S + 1] int32 or int64 offsets of the sequences in a packed [T]; the last one is T.
        mask: bool (or anything, 0 meaning False) in logp's shape; False tokens (padding, tool output) count nowhere.
        old_logp: log-probs at sampling time; None means on-policy (ratio 1, with its gradient).
        ref_logp: the reference policy's log-probs. Its KL is a metric, and in the loss when beta > 0.
        sampler_logp: the sampler's own log-probs, for the importance correction and its metrics.
        entropy: per token; a metric, and with entropy_coef a bonus (with gradient if it carries one).
        weights: per token in logp's shape; multiply the loss, not the normaliser: KL and -logp too.
        policy_weights: per token in logp's shape; multiply the policy term alone. 0 keeps a token out of it, and in
            every other term (`select.py`: Clip-Cov, tokens of high entropy).
        drift_weights: per token in logp's shape; drift_coef times them times |logp - old| is added to the policy term.
        nll_weights: [S] per sequence, or per token in logp's shape; multiply -logp under nll_coef (None: 1), so that
            it is of completions that are right alone.
        extra_kl: pairs (log-probs of another scored pass, coefficient of either sign), each a k3 term.
        max_length: L of dr_grpo's normaliser; None takes L of a padded layout and is an error for a packed one.
        normalizer: replaces the denominator (number of sequences, of tokens, or S·max_length): a float or a 0-d
            tensor, for counts over the global batch.
        entropy_normalizer: the same for the entropy bonus: tokens of the global batch. None takes the tokens of this
            call, or a `normalizer` that counts tokens (aggregation "token").
        backend: "torch", "triton" or None for the best there is.
        objective: everything that is no tensor, in one; options: the same by name, above what `objective` says. Both
            are the fields of `nsrl_kernels.Objective` (`spec.py`), each described where it stands: loss_type, epsilon,
            beta, kl, importance, entropy_coef, ...

    Returns:
        (loss, metrics): a scalar and a [len(METRIC_NAMES)] vector without gradient, on logp's device.

    Raises:
        ValueError, TypeError: an argument's shape, dtype or choice is wrong.

    Numerics: fp64 for fp64 log-probs (torch only), else fp32, summed over the sequences in a fixed order in fp64 on
        Triton; the backends agree to 2e-5.
    Source: the loss table of docs/kernels.md.
    """
    _check.tensors(
        _NAME, logp=logp, advantages=advantages, cu_seqlens=cu_seqlens, mask=mask, old_logp=old_logp, ref_logp=ref_logp,
        sampler_logp=sampler_logp, entropy=entropy, weights=weights, policy_weights=policy_weights,
        drift_weights=drift_weights, nll_weights=nll_weights,
    )  # fmt: skip
    for term, _ in extra_kl:
        _check.tensors(_NAME, extra_kl=term)
    _check.floating(_NAME, "logp", logp)
    objective = chosen(_NAME, objective, options)
    beta, importance, entropy_coef = objective.beta, objective.importance, objective.entropy_coef
    if beta and ref_logp is None:
        _check.fail(_NAME, "ref_logp", f"given when beta is {beta}", None)
    if importance != "none" and sampler_logp is None:
        _check.fail(_NAME, "sampler_logp", f"given when importance is {importance!r}", None)
    if entropy_coef and entropy is None:
        _check.fail(_NAME, "entropy", f"given when entropy_coef is {entropy_coef}", None)

    offsets, max_length = _layout(logp, cu_seqlens, max_length)
    n_seq = offsets.shape[0] - 1
    for argument, values in (("advantages", advantages), ("nll_weights", nll_weights)):
        if values is not None and values.shape != logp.shape and values.shape != (n_seq,):
            _check.fail(_NAME, argument, f"({n_seq},) or {tuple(logp.shape)}", tuple(values.shape))
    tokens = max(logp.numel(), 1) if mask is None else (mask != 0).sum().clamp(min=1)
    if entropy_normalizer is None:
        entropy_normalizer = tokens if normalizer is None or objective.averages != "token" else normalizer
    if normalizer is None:
        if objective.averages in ("sequence", "sequence_sum"):
            normalizer = max(n_seq, 1)
        elif objective.averages == "token":
            normalizer = tokens
        else:
            if max_length is None:
                _check.fail(_NAME, "max_length", "given for the fixed normaliser of a packed batch", None)
            normalizer = max(n_seq, 1) * max_length

    dtype = wide(logp.dtype)
    flat = lambda argument, x: None if x is None else _per_token(argument, x, logp).to(dtype)
    constant = lambda argument, x: None if x is None else flat(argument, x.detach())
    extra: Any = [constant("extra_kl", x) for x, _ in extra_kl]
    inputs = Inputs(
        logp=logp.reshape(-1).to(dtype), entropy=flat("entropy", entropy),
        advantages=advantages.detach().reshape(-1).to(dtype), offsets=offsets,
        mask=None if mask is None else _per_token("mask", mask != 0, logp),
        normalizer=normalizer,  # pyright: ignore
        entropy_normalizer=entropy_normalizer,  # pyright: ignore
        old=constant("old_logp", old_logp), ref=constant("ref_logp", ref_logp),
        sampler=constant("sampler_logp", sampler_logp), weights=constant("weights", weights),
        policy_weights=constant("policy_weights", policy_weights),
        drift_weights=constant("drift_weights", drift_weights),
        nll_weights=constant("nll_weights", _by_token(nll_weights, logp, offsets)),
        extra=torch.stack(extra) if extra else None, extra_coefs=tuple(float(c) for _, c in extra_kl),
    )  # fmt: skip
    triton = dtype == torch.float32 and logp.numel() > 0 and n_seq > 0 and len(extra) <= MOST_EXTRA
    if _backend.resolve(_NAME, logp.device.type, backend, triton=triton) == "torch":
        return reference.policy_loss(objective, inputs)
    on_device = {name: _on_device(getattr(inputs, name), logp) for name in ("normalizer", "entropy_normalizer")}
    loss, metrics, _, _ = _policy_loss(*inputs._replace(**on_device), *(getattr(objective, name) for name in OPTIONS))
    return loss, metrics


policy_loss.__signature__ = _op.signature(policy_loss, Objective)


def chosen(op: str, objective: Objective | None, options: dict[str, Any]) -> Objective:
    """The objective that the arguments of `op` ask for.

    Raises:
        TypeError: an option that is none, or is no number where one is wanted.
        ValueError: a value outside its bound or choices, or a bound on a ratio that the loss does not clip.
    """
    for name in options:
        if name not in OPTIONS:
            raise TypeError(f"{op}() got an unexpected keyword argument {name!r}")
    if not isinstance(objective, Objective | None):
        raise TypeError(f"{op}: objective must be an Objective; got {objective!r}")
    objective = Objective(**options) if objective is None else replace(objective, **options)
    for name, option in OPTIONS.items():
        value: Any = getattr(objective, name)
        if option.choices:
            _check.one_of(op, name, value, option.allowed())
        elif value is None and not option.optional:
            _check.fail(op, name, "given", None)
        elif name in _PAIRS and not (isinstance(value, (tuple, list)) and len(value) == 2):
            _check.fail(op, name, "a pair of numbers", value)
        elif option.bound is not None and value is not None:
            numbers: Any = value if name in _PAIRS else (value,)
            for number in numbers:
                if isinstance(number, str):
                    raise TypeError(f"{op}: {name} must be a number; got {number!r}")
                if not option.bound.holds(number):
                    _check.fail(op, name, str(option.bound), value)
    for name in ("dual_clip", "delta"):
        value = getattr(objective, name)
        if value is not None and not objective.loss.clipped:
            _check.fail(op, name, "None for a loss without a clipped ratio", f"{value} with {objective.loss_type}")
    if objective.loss_type == "vespo" and objective.importance_level != "token" and objective.importance != "none":
        _check.fail(op, "importance_level", "'token' for vespo, whose weight takes the sum", objective.importance_level)
    return objective


def _layout(logp, cu_seqlens, max_length):
    """Offsets [S + 1] of the sequences in the flattened tokens."""
    if logp.dim() == 2:
        if cu_seqlens is not None:
            _check.fail(_NAME, "cu_seqlens", "None for padded [S, L] logp", tuple(cu_seqlens.shape))
        rows, length = logp.shape
        return torch.arange(rows + 1, device=logp.device) * length, max_length or length
    if logp.dim() != 1:
        _check.fail(_NAME, "logp", "[T] or [S, L]", tuple(logp.shape))
    if cu_seqlens is None:
        _check.fail(_NAME, "cu_seqlens", "given for packed [T] logp", None)
    _check.integer(_NAME, "cu_seqlens", cu_seqlens)
    if cu_seqlens.dim() != 1 or cu_seqlens.shape[0] < 1:
        _check.fail(_NAME, "cu_seqlens", "(S + 1,)", tuple(cu_seqlens.shape))
    return cu_seqlens, max_length


def _per_token(argument, x, logp):
    if x.shape != logp.shape:
        _check.fail(_NAME, argument, f"{tuple(logp.shape)} like logp", tuple(x.shape))
    return x.reshape(-1)


def _by_token(values, logp, offsets):
    """Values per sequence [S] or per token, in logp's shape."""
    if values is None or values.shape == logp.shape:
        return values
    positions = torch.arange(logp.numel(), device=logp.device, dtype=offsets.dtype)
    return values[torch.searchsorted(offsets[1:].contiguous(), positions, right=True)].reshape(logp.shape)


def _on_device(number, like):
    """A number as a 0-d fp32 tensor, by a fill: a copy from the host could not be captured in a CUDA graph."""
    if isinstance(number, torch.Tensor):
        return number.to(like.device, torch.float32)
    return torch.full((), float(number), dtype=torch.float32, device=like.device)


@torch.library.custom_op("nsrl::policy_loss", mutates_args=(), schema=_op.schema(Inputs, Objective, returns=4))
def _policy_loss(*flat):
    """(loss, metrics, ∂loss/∂logp, ∂loss/∂entropy), by Triton."""
    from . import triton_backend

    return triton_backend.forward(*_op.group(flat, Inputs, Objective))


@_policy_loss.register_fake
def _(logp, entropy, *_):
    g_entropy = torch.empty_like(logp) if entropy is not None else logp.new_empty(0)
    return logp.new_empty(()), logp.new_empty(len(METRIC_NAMES)), torch.empty_like(logp), g_entropy


def _setup_context(ctx, inputs, output):
    ctx.with_entropy = _op.group(inputs, Inputs, Objective)[0].entropy is not None
    ctx.save_for_backward(output[2], output[3])


def _backward(ctx, g_loss, *_):
    g_logp, g_entropy = ctx.saved_tensors
    g_entropy = g_entropy * g_loss if ctx.with_entropy else None
    return _op.gradients(Inputs, Objective, logp=g_logp * g_loss, entropy=g_entropy)


_policy_loss.register_autograd(_backward, setup_context=_setup_context)
