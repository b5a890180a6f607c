"""`policy_loss`: the function, its checks and layouts, the custom op with its fake, autograd. Knows nothing of models."""

import torch

from .. import _backend, _check
from . import reference
from .spec import AGGREGATIONS, CORRECTIONS, KLS, LEVELS, LOSSES, METRIC_NAMES, Spec, default_aggregation

__all__ = ["METRIC_NAMES", "policy_loss"]

_NAME = "policy_loss"


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
    loss_type: str = "dapo",
    importance_sampling_level: str = "token",
    aggregation: str | None = None,
    epsilon: float = 0.2,
    epsilon_high: float | None = None,
    delta: float | None = None,
    dual_clip: float | None = None,
    beta: float = 0.0,
    kl: str = "k3",
    kl_log_clamp: float | None = None,
    kl_clamp: float | None = None,
    kl_times_ratio: bool = False,
    extra_kl: tuple = (),
    importance: str = "none",
    importance_level: str = "token",
    importance_cap: float = 2.0,
    entropy_coef: float = 0.0,
    nll_coef: float = 0.0,
    tau: tuple[float, float] = (1.0, 1.05),
    gppo_beta: tuple[float, float] = (1.0, 1.0),
    max_length: int | None = None,
    normalizer: float | torch.Tensor | None = None,
    entropy_normalizer: float | torch.Tensor | None = None,
    backend: str | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The GRPO-family objective of a batch of sampled tokens, with every metric of it in one device vector.

    Value and gradient come from one pass; nothing is read back to the host.

    Args:
        logp: the policy's log-probs of the sampled tokens, [T] packed (with cu_seqlens) or [R, L] padded.
        advantages: [R] per sequence, or per token in logp's shape.
        cu_seqlens: [R + 1] int32 or int64 offsets of the sequences in a packed [T]; the last one is T.
        mask: bool (or anything, 0 meaning False) in logp's shape; False tokens (padding, tool output) count nowhere.
        old_logp: log-probs at sampling time; None means on-policy (ratio 1, with its gradient).
        ref_logp: the reference policy's log-probs. Its KL is a metric, and in the loss when beta > 0.
        sampler_logp: the sampler's own log-probs, for the importance correction and its metrics.
        entropy: per token; a metric, and with entropy_coef a bonus (with gradient if it carries one).
        weights: per token in logp's shape; multiply the loss, not the normaliser.
        loss_type: grpo, bnpo, dr_grpo, dapo, gspo, cispo, gppo, sapo or reinforce.
        importance_sampling_level: "token", or "sequence" for exp of the masked mean log-ratio (gspo always).
        aggregation: "sequence" (mean over sequences of token means: grpo, gspo, sapo), "token" (token mean: bnpo, dapo,
            cispo, gppo, reinforce) or "fixed" (sum / (R·max_length): dr_grpo); None for the loss type's own.
        epsilon, epsilon_high: the band is [1 - epsilon, 1 + epsilon_high]; epsilon_high None repeats epsilon. CISPO's
            weight is bounded by 1 + epsilon_high too (TRL's epsilon_high is that bound itself).
        delta: upper bound on the unclipped ratio. dual_clip: bound c > 1 of the loss where the advantage is negative.
        beta, kl: weight and estimator (k1, k2, k3) of the KL against ref_logp. kl_log_clamp bounds |log-ratio|, kl_clamp
            the estimate; no gradient where clamped. kl_times_ratio multiplies it by the ratio (of the level chosen).
        extra_kl: pairs (log-probs of another scored pass, coefficient of either sign), each a k3 term.
        importance, importance_level, importance_cap: correction by exp(old - sampler): "none", "truncate" at the cap or
            "mask" above it; "token", or "sequence" for the sum over the sequence.
        entropy_coef: weight of the entropy bonus, whatever the loss type a mean over tokens. nll_coef: weight of -logp.
        tau: SAPO's temperatures for positive and negative advantages.
        gppo_beta: GPPO's gradient scale below and above the band.
        max_length: L of dr_grpo's normaliser; None takes L of a padded layout and is an error for a packed one.
        normalizer: replaces the denominator (number of sequences, of tokens, or R·max_length): a float or a 0-d
            tensor, for counts over the global batch.
        entropy_normalizer: the same for the entropy bonus: tokens of the global batch. None takes the tokens of this
            call, or a `normalizer` that counts tokens (aggregation "token").
        backend: "reference", "triton" or None.

    Returns:
        (loss, metrics): a scalar and a [len(METRIC_NAMES)] vector without gradient, on logp's device.

    Raises:
        ValueError, TypeError: an argument's shape, dtype or choice is wrong.
    """
    _check.floating(_NAME, "logp", logp)
    _check.one_of(_NAME, "loss_type", loss_type, LOSSES)
    _check.one_of(_NAME, "importance_sampling_level", importance_sampling_level, LEVELS)
    _check.one_of(_NAME, "kl", kl, KLS)
    _check.one_of(_NAME, "importance", importance, CORRECTIONS)
    _check.one_of(_NAME, "importance_level", importance_level, LEVELS)
    if aggregation is not None:
        _check.one_of(_NAME, "aggregation", aggregation, AGGREGATIONS)
    if beta and ref_logp is None:
        _check.fail(_NAME, "ref_logp", f"given when beta is {beta}", None)
    if importance != "none" and sampler_logp is None:
        _check.fail(_NAME, "sampler_logp", f"given when importance is {importance!r}", None)
    if entropy_coef and entropy is None:
        _check.fail(_NAME, "entropy", f"given when entropy_coef is {entropy_coef}", None)
    if dual_clip is not None and not dual_clip > 1:
        _check.fail(_NAME, "dual_clip", "above 1", dual_clip)
    if delta is not None and not delta > 0:
        _check.fail(_NAME, "delta", "positive", delta)
    if dual_clip is not None and loss_type in ("cispo", "sapo", "reinforce"):
        _check.fail(_NAME, "dual_clip", "None for a loss without a clipped ratio", f"{dual_clip} with {loss_type}")
    if delta is not None and loss_type in ("cispo", "sapo", "reinforce"):
        _check.fail(_NAME, "delta", "None for a loss without a clipped ratio", f"{delta} with {loss_type}")

    offsets, max_length = _layout(logp, cu_seqlens, max_length)
    n_seq = offsets.shape[0] - 1
    flat = lambda argument, x: None if x is None else _per_token(argument, x, logp)
    per_token_advantage = advantages.shape == logp.shape
    if not per_token_advantage and advantages.shape != (n_seq,):
        _check.fail(_NAME, "advantages", f"({n_seq},) or {tuple(logp.shape)}", tuple(advantages.shape))
    spec = Spec(
        loss_type,
        loss_type == "gspo" or importance_sampling_level == "sequence",
        aggregation or default_aggregation(loss_type),
        float(epsilon),
        float(epsilon if epsilon_high is None else epsilon_high),
        delta,
        dual_clip,
        float(beta),
        kl,
        kl_log_clamp,
        kl_clamp,
        bool(kl_times_ratio),
        tuple(float(c) for _, c in extra_kl),
        importance,
        importance_level == "sequence",
        float(importance_cap),
        float(entropy_coef),
        float(nll_coef),
        (float(tau[0]), float(tau[1])),
        (float(gppo_beta[0]), float(gppo_beta[1])),
    )
    tokens = max(logp.numel(), 1) if mask is None else (mask != 0).sum().clamp(min=1)
    if entropy_normalizer is None:
        entropy_normalizer = tokens if normalizer is None or spec.aggregation != "token" else normalizer
    if normalizer is None:
        if spec.aggregation == "sequence":
            normalizer = max(n_seq, 1)
        elif spec.aggregation == "token":
            normalizer = tokens
        else:
            if max_length is None:
                _check.fail(_NAME, "max_length", "given for the fixed normaliser of a packed batch", None)
            normalizer = max(n_seq, 1) * max_length
    tensors = {
        "old_logp": old_logp, "ref_logp": ref_logp, "sampler_logp": sampler_logp, "entropy": entropy,
        "weights": weights,
    }  # fmt: skip
    for argument in ("old_logp", "ref_logp", "sampler_logp", "weights"):
        tensors[argument] = None if tensors[argument] is None else tensors[argument].detach()
    tensors = {argument: flat(argument, x) for argument, x in tensors.items()}
    extra = [flat("extra_kl", x.detach()) for x, _ in extra_kl]
    return _run(
        spec, logp.reshape(-1), advantages.detach(), per_token_advantage, flat("mask", None if mask is None else mask != 0), offsets, normalizer,
        entropy_normalizer, tensors, extra, backend,
    )  # fmt: skip


def _layout(logp, cu_seqlens, max_length):
    """Offsets [R + 1] of the sequences in the flattened tokens."""
    if logp.dim() == 2:
        if cu_seqlens is not None:
            _check.fail(_NAME, "cu_seqlens", "None for padded [R, L] logp", tuple(cu_seqlens.shape))
        rows, length = logp.shape
        return torch.arange(rows + 1, device=logp.device) * length, max_length or length
    if logp.dim() != 1:
        _check.fail(_NAME, "logp", "[T] or [R, L]", tuple(logp.shape))
    if cu_seqlens is None:
        _check.fail(_NAME, "cu_seqlens", "given for packed [T] logp", None)
    _check.integer(_NAME, "cu_seqlens", cu_seqlens)
    if cu_seqlens.dim() != 1 or cu_seqlens.shape[0] < 1:
        _check.fail(_NAME, "cu_seqlens", "(R + 1,)", tuple(cu_seqlens.shape))
    return cu_seqlens, max_length


def _per_token(argument, x, logp):
    if x.shape != logp.shape:
        _check.fail(_NAME, argument, f"{tuple(logp.shape)} like logp", tuple(x.shape))
    return x.reshape(-1)


def _run(spec, logp, advantages, per_token_advantage, mask, offsets, normalizer, entropy_normalizer, tensors, extra, backend):
    offered = ("reference",)
    if logp.dtype != torch.float64 and logp.numel() and offsets.shape[0] > 1 and len(extra) <= _MOST_EXTRA:
        offered = (*_with_triton(logp.device.type), "reference")
    name = _backend.resolve(_NAME, logp.device.type, backend, offered)
    dtype = torch.float64 if logp.dtype == torch.float64 else torch.float32
    cast = lambda x: None if x is None else x.to(dtype)
    old, ref, sampler = (cast(tensors[k]) for k in ("old_logp", "ref_logp", "sampler_logp"))
    entropy, weights = cast(tensors["entropy"]), cast(tensors["weights"])
    if name == "triton":
        options = [-1.0 if x is None else float(x) for x in _numbers(spec)]
        flags = [spec.sequence_ratio, spec.sequence_correction, spec.kl_times_ratio, per_token_advantage]
        loss, metrics, _, _ = _policy_loss(
            cast(logp), entropy, cast(advantages.reshape(-1)), None if mask is None else mask.to(torch.int8), offsets,
            _on_device(normalizer, logp, dtype), _on_device(entropy_normalizer, logp, dtype), old, ref, sampler, weights,
            torch.stack([cast(x) for x in extra]) if extra else None,
            spec.loss_type, spec.aggregation, spec.kl, spec.correction, flags, options, list(spec.extra),
        )  # fmt: skip
        return loss, metrics
    positions = torch.arange(logp.shape[0], device=logp.device)
    seq = torch.searchsorted(offsets[1:].contiguous().to(positions.dtype), positions, right=True)
    if not per_token_advantage:
        advantages = advantages[seq.clamp(max=max(offsets.shape[0] - 2, 0))] if logp.numel() else advantages[:0]
    mask = torch.ones_like(logp, dtype=dtype) if mask is None else cast(mask)
    return reference.policy_loss(
        spec, cast(logp), cast(advantages.reshape(-1)), mask, seq, offsets.shape[0] - 1, weights, normalizer,
        entropy_normalizer, old, ref, sampler, entropy, [cast(x) for x in extra],
    )  # fmt: skip


def _on_device(number, like, dtype):
    """A number as a 0-d tensor, by a fill: a copy from the host could not be captured in a CUDA graph."""
    if isinstance(number, torch.Tensor):
        return number.to(like.device, dtype)
    return torch.full((), float(number), dtype=dtype, device=like.device)


_MOST_EXTRA = 4  # extra k3 terms the kernel takes; more run on the reference


@torch.compiler.assume_constant_result
def _with_triton(device_type: str) -> tuple[str, ...]:
    if not _backend.has_triton():
        return ()
    from . import kernel

    return ("triton",) if device_type == "cuda" or _backend.is_interpreted(kernel.total_kernel) else ()


def _numbers(spec):
    """The spec's numbers in the kernel's order; None becomes -1, which switches a bound off."""
    return (
        1 - spec.eps_low, 1 + spec.eps_high, spec.delta, spec.dual_clip, spec.beta, spec.kl_log_clamp, spec.kl_clamp,
        spec.cap, spec.entropy_coef, spec.nll_coef, *spec.tau, *spec.gppo_beta,
    )  # fmt: skip


@torch.library.custom_op("nsrl::policy_loss", mutates_args=())
def _policy_loss(
    logp: torch.Tensor,
    entropy: torch.Tensor | None,
    advantages: torch.Tensor,
    mask: torch.Tensor | None,
    offsets: torch.Tensor,
    normalizer: torch.Tensor,
    entropy_normalizer: torch.Tensor,
    old: torch.Tensor | None,
    ref: torch.Tensor | None,
    sampler: torch.Tensor | None,
    weights: torch.Tensor | None,
    extra: torch.Tensor | None,
    loss_type: str,
    aggregation: str,
    kl: str,
    correction: str,
    flags: list[bool],
    options: list[float],
    coefficients: list[float],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """(loss, metrics, ∂loss/∂logp, ∂loss/∂entropy)."""
    from . import kernel

    n_tokens, n_seq = logp.shape[0], offsets.shape[0] - 1
    sequence_ratio, sequence_correction, kl_times_ratio, per_token_advantage = flags
    g_logp = torch.zeros_like(logp)
    g_entropy = torch.zeros_like(logp) if entropy is not None else logp.new_empty(0)
    parts = logp.new_empty(len(METRIC_NAMES), n_seq)
    loss, metrics = logp.new_empty(()), logp.new_empty(len(METRIC_NAMES))
    given = lambda x: logp if x is None else x.contiguous()
    coefficients = coefficients + [0.0] * (_MOST_EXTRA - len(coefficients))
    loss_code = {"cispo": 1, "gppo": 2, "sapo": 3, "reinforce": 4}.get(loss_type, 0)
    kernel.objective_kernel[(n_seq,)](
        logp.contiguous(), advantages.contiguous(), given(mask), offsets.contiguous(), normalizer, entropy_normalizer,
        given(old), given(ref), given(sampler), given(entropy), given(weights), given(extra), g_logp, g_entropy, parts, n_tokens, n_seq,
        *options, *coefficients,
        LOSS=loss_code, KL=int(kl[1]), CORRECTION=CORRECTIONS.index(correction), SEQUENCE_RATIO=sequence_ratio,
        SEQUENCE_CORRECTION=sequence_correction and sampler is not None, KL_TIMES_RATIO=kl_times_ratio,
        PER_SEQUENCE_MEAN=aggregation == "sequence", PER_TOKEN_ADV=per_token_advantage, HAS_MASK=mask is not None,
        HAS_OLD=old is not None, HAS_REF=ref is not None, HAS_SAMPLER=sampler is not None,
        HAS_ENTROPY=entropy is not None, HAS_WEIGHTS=weights is not None, N_EXTRA=0 if extra is None else len(extra),
        BLOCK=1024,
    )  # fmt: skip
    kernel.total_kernel[(1,)](parts, loss, metrics, n_seq, BLOCK=64)
    return loss, metrics, g_logp, g_entropy


@_policy_loss.register_fake
def _(logp, entropy, *_):
    g_entropy = torch.empty_like(logp) if entropy is not None else logp.new_empty(0)
    return logp.new_empty(()), logp.new_empty(len(METRIC_NAMES)), torch.empty_like(logp), g_entropy


def _setup_context(ctx, inputs, output):
    ctx.with_entropy = inputs[1] is not None
    ctx.save_for_backward(output[2], output[3])


def _backward(ctx, g_loss, *_):
    g_logp, g_entropy = ctx.saved_tensors
    return g_logp * g_loss, g_entropy * g_loss if ctx.with_entropy else None, *[None] * 17


_policy_loss.register_autograd(_backward, setup_context=_setup_context)
