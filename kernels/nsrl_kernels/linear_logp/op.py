"""`linear_logp`: the function, its checks, the custom ops with their fakes, autograd. Knows nothing of losses.

The forward computes the Jacobian ∂logp/∂hidden (one H-vector per row); the backward is a row scale. A weight or bias
that wants a gradient takes the recompute path instead.
"""

import torch

from .. import _backend, _check
from . import lean, sharded

_NAME = "linear_logp"
_ENTROPY = ("metric", "grad", "none")
_MODES = ("jacobian", "recompute")


def linear_logp(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    target: torch.Tensor,
    *,
    bias: torch.Tensor | None = None,
    temperature: float | torch.Tensor = 1.0,
    softcap: float | None = None,
    entropy: str = "metric",
    hint_logp: torch.Tensor | None = None,
    row_mask: torch.Tensor | None = None,
    grad_rows: torch.Tensor | None = None,
    banned: torch.Tensor | None = None,
    mode: str = "jacobian",
    backend: str | None = None,
    batch_invariant: bool = False,
    vocab_group=None,
    vocab_start: int = 0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-prob of each row's target token under softmax(head(hidden) / temperature), and that softmax's entropy.

    Never materialised: the logits [N, V]. On a GPU at most one chunk of 2,048 rows of exp(logits) in 16 bits, and only
    when a gradient is wanted; without one, nothing.

    Args:
        hidden: [N, H] (or [..., H]), bf16, fp16, fp32 (fp64 on the reference backend).
        weight: [V, H], the same dtype and device. If it requires a gradient the recompute mode is used.
        target: [N] int64 in [0, V); a negative id (such as -100) leaves the row out, as `row_mask` does. An id of V or
            more gives NaN (ids are not read back to be checked).
        bias: [V], added to h·W before the softcap; -inf bans the id.
        temperature: a positive float, or [N] per token; the logits are divided by it.
        softcap: c of c·tanh(logit / c), applied before the temperature.
        entropy: "metric" (value, no gradient), "grad" (value and gradient; takes the recompute mode) or "none" (zeros).
        hint_logp: [N] an earlier log-prob of the same tokens: sets the scale of rows with tiny probabilities. Never
            changes the value beyond rounding.
        row_mask: [N] bool; False leaves the row out: logp 0, entropy 0, no gradient, no work.
        grad_rows: [N] bool; False scores the row but gives it no gradient (no GEMM 2 for it).
        banned: int64 ids that can not be sampled (vision tokens): excluded from the softmax. A banned target has
            log-prob -inf and no gradient.
        mode: "jacobian" keeps one H-vector per row for the backward; "recompute" keeps none and recomputes logits.
        backend: "reference", "triton", "triton_v0" (the vendor's GEMM 1, then one Triton pass) or None for the best.
        batch_invariant: the same bits for a row whatever else is in the batch (Triton and CUDA backends).
        vocab_group: process group over which the rows of the head are sharded; weight (and bias) are then this
            rank's shard, starting at global id `vocab_start`; hidden, target and banned are the same on every rank.
        vocab_start: global id of the shard's first row.

    Returns:
        (logp, entropy) in nats, [N] (the leading shape of hidden), fp32.

    Raises:
        ValueError, TypeError: an argument's shape, dtype or device is wrong; values are not looked at.

    Numerics: |Δlogp| ≤ 2e-6 for logits within ±25 and ≤ 2e-7·max|logit| beyond, against fp64 on the same inputs.
    Source: odds form, docs/kernels.md.
    """
    _check.floating(_NAME, "hidden", hidden)
    lead, n_hidden = hidden.shape[:-1], hidden.shape[-1]
    _check.shape(_NAME, "weight", weight, ("V", n_hidden), "to match hidden")
    if weight.dtype != hidden.dtype:
        raise TypeError(f"{_NAME}: weight must be {hidden.dtype} like hidden; got {weight.dtype}")
    if weight.shape[0] == 0:
        _check.fail(_NAME, "weight", "at least one row", tuple(weight.shape))
    _check.integer(_NAME, "target", target)
    if target.shape != lead:
        _check.fail(_NAME, "target", f"{tuple(lead)} like the rows of hidden", tuple(target.shape))
    _check.one_of(_NAME, "entropy", entropy, _ENTROPY)
    _check.one_of(_NAME, "mode", mode, _MODES)
    if softcap is not None and not softcap > 0:
        _check.fail(_NAME, "softcap", "positive", softcap)
    per_row = {"hint_logp": hint_logp, "row_mask": row_mask, "grad_rows": grad_rows}
    for argument in ("row_mask", "grad_rows"):
        if per_row[argument] is not None:
            _check.boolean(_NAME, argument, per_row[argument])
    if isinstance(temperature, torch.Tensor):
        per_row["temperature"] = temperature
        scalar_temperature = 1.0
    else:
        if not temperature > 0:
            _check.fail(_NAME, "temperature", "positive", temperature)
        scalar_temperature = float(temperature)
    for argument, value in per_row.items():
        if value is not None and value.shape != lead and not (argument == "temperature" and value.dim() == 0):
            _check.fail(_NAME, argument, f"{tuple(lead)} like the rows of hidden", tuple(value.shape))
    _check.same_device(_NAME, hidden.device, weight=weight, target=target, bias=bias, banned=banned, **per_row)

    flat = {k: None if v is None else v.detach().expand(lead).reshape(-1) for k, v in per_row.items()}
    logp, ent, *_ = _linear_logp(
        hidden.reshape(-1, n_hidden),
        weight,
        target.reshape(-1).long(),
        _head_bias(weight, bias, banned, vocab_start),
        flat.get("temperature"),
        flat["hint_logp"],
        flat["row_mask"],
        flat["grad_rows"],
        scalar_temperature,
        float(softcap or 0.0),
        entropy,
        _saving(hidden, weight, bias, entropy, mode),
        batch_invariant,
        "" if vocab_group is None else vocab_group.group_name,
        int(vocab_start),
        backend or "",
    )
    return logp.view(lead), ent.view(lead)


def _head_bias(weight, bias, banned, vocab_start):
    """Bias and ban as one [V] vector (wide dtype), or None. Ids outside this shard ban nothing here."""
    n_vocab = weight.shape[0]
    if bias is not None:
        _check.floating(_NAME, "bias", bias)
        _check.shape(_NAME, "bias", bias, (n_vocab,), "to match weight")
        bias = bias.to(lean.wide(weight.dtype)).contiguous()
    if banned is None:
        return bias
    _check.integer(_NAME, "banned", banned)
    if bias is None:
        bias = torch.zeros(n_vocab, dtype=lean.wide(weight.dtype), device=weight.device)
    local = banned.reshape(-1).long() - vocab_start
    shut = torch.zeros(n_vocab + 1, dtype=torch.bool, device=weight.device)
    shut = shut.index_fill(0, torch.where((local >= 0) & (local < n_vocab), local, n_vocab), True)
    return bias.masked_fill(shut[:n_vocab], float("-inf"))


def _saving(hidden, weight, bias, entropy, mode) -> str:
    """What the forward keeps for the backward: "none" (no gradient wanted), "jacobian" or "recompute".

    An entropy gradient costs three GEMMs either way (a second Jacobian would be a third product, with cancellation in
    its 16-bit factors), so it recomputes.
    """
    head_trains = weight.requires_grad or (bias is not None and bias.requires_grad)
    if not torch.is_grad_enabled() or not (hidden.requires_grad or head_trains):
        return "none"
    return "recompute" if head_trains or entropy == "grad" else mode


@torch.library.custom_op("nsrl::linear_logp", mutates_args=())
def _linear_logp(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    target: torch.Tensor,
    bias: torch.Tensor | None,
    temperature_rows: torch.Tensor | None,
    hint_logp: torch.Tensor | None,
    row_mask: torch.Tensor | None,
    grad_rows: torch.Tensor | None,
    temperature: float,
    softcap: float,
    entropy: str,
    saving: str,
    batch_invariant: bool,
    vocab_group: str,
    vocab_start: int,
    backend: str,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """(logp, entropy, log-sum-exp of z/T, J); J has no rows unless saved."""
    run, extra = _implementation(hidden, backend)
    head = lean.Head(weight, bias, softcap)
    inv_t = _inverse_temperature(hidden, temperature_rows, temperature)
    scored = target >= 0 if row_mask is None else row_mask & (target >= 0)
    want = (saving == "jacobian", entropy != "none")
    return run.forward(
        hidden,
        head,
        target,
        inv_t,
        scored,
        grad_rows,
        hint_logp,
        want,
        batch_invariant,
        sharded.resolve_group(vocab_group),
        vocab_start,
        masked=row_mask is not None or grad_rows is not None,
        **extra,
    )


@_linear_logp.register_fake
def _(
    hidden, weight, target, bias, temperature_rows, hint_logp, row_mask, grad_rows, temperature, softcap, entropy,
    saving, batch_invariant, vocab_group, vocab_start, backend,
):  # fmt: skip
    n, n_hidden = hidden.shape
    scalar = lambda: hidden.new_empty(n, dtype=lean.wide(hidden.dtype))
    return scalar(), scalar(), scalar(), hidden.new_empty(n if saving == "jacobian" else 0, n_hidden)


@torch.library.custom_op("nsrl::linear_logp_backward", mutates_args=())
def _linear_logp_backward(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    target: torch.Tensor,
    bias: torch.Tensor | None,
    temperature_rows: torch.Tensor | None,
    row_mask: torch.Tensor | None,
    grad_rows: torch.Tensor | None,
    logp: torch.Tensor,
    entropy_value: torch.Tensor,
    lse: torch.Tensor,
    g_logp: torch.Tensor,
    g_entropy: torch.Tensor | None,
    need: list[bool],
    temperature: float,
    softcap: float,
    batch_invariant: bool,
    vocab_group: str,
    vocab_start: int,
    backend: str,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(∂hidden, ∂weight, ∂bias) of the recompute mode; empty where `need` is False."""
    run, extra = _implementation(hidden, backend)
    head = lean.Head(weight, bias, softcap)
    inv_t = _inverse_temperature(hidden, temperature_rows, temperature)
    live = target >= 0
    for mask in (row_mask, grad_rows):
        live = live if mask is None else live & mask
    return run.backward(
        hidden,
        head,
        target,
        inv_t,
        live,
        logp,
        entropy_value,
        lse,
        g_logp,
        g_entropy,
        need,
        batch_invariant,
        sharded.resolve_group(vocab_group),
        vocab_start,
        masked=row_mask is not None or grad_rows is not None,
        **extra,
    )


@_linear_logp_backward.register_fake
def _(
    hidden, weight, target, bias, temperature_rows, row_mask, grad_rows, logp, entropy_value, lse, g_logp, g_entropy,
    need, temperature, softcap, batch_invariant, vocab_group, vocab_start, backend,
):  # fmt: skip
    empty = hidden.new_empty(0)
    return (
        torch.empty_like(hidden) if need[0] else empty,
        torch.empty_like(weight) if need[1] else empty.clone(),
        torch.empty_like(bias) if need[2] else empty.to(lean.wide(hidden.dtype)).clone(),
    )


def _implementation(hidden: torch.Tensor, backend: str):
    """(module, extra keywords of its forward and backward)."""
    offered = ("reference",)
    if _backend.has_triton() and hidden.dtype != torch.float64:
        from . import fused

        if fused.runs_on(hidden.device):
            offered = ("triton", "triton_v0", "reference")
    name = _backend.resolve(_NAME, hidden.device.type, backend or None, offered)
    if name == "reference":
        from . import eager

        return eager, {}
    return fused, {"path": "v0" if name == "triton_v0" else "fused"}


def _inverse_temperature(hidden, temperature_rows, temperature):
    if temperature_rows is not None:
        return temperature_rows.double().reciprocal()
    return torch.full((hidden.shape[0],), 1.0 / temperature, dtype=torch.float64, device=hidden.device)


def _setup_context(ctx, inputs, output):
    (hidden, weight, target, bias, temperature_rows, _, row_mask, grad_rows, temperature, softcap, entropy, saving,
     batch_invariant, vocab_group, vocab_start, backend) = inputs  # fmt: skip
    logp, entropy_value, lse, jacobian = output
    ctx.saving, ctx.entropy = saving, entropy
    ctx.rest = (temperature, softcap, batch_invariant, vocab_group, vocab_start, backend)
    ctx.has_bias = bias is not None
    if saving == "jacobian":
        ctx.save_for_backward(jacobian)
    elif saving == "recompute":
        ctx.save_for_backward(
            hidden, weight, target, bias, temperature_rows, row_mask, grad_rows, logp, entropy_value, lse
        )


def _backward(ctx, g_logp, g_entropy, *_):
    grads = [None] * 16
    if ctx.saving == "jacobian":
        grads[0] = _scale_rows(ctx.saved_tensors[0], g_logp.contiguous(), ctx.rest[-1])
        return tuple(grads)
    need = [bool(ctx.needs_input_grad[i]) for i in (0, 1, 3)]
    g_entropy = g_entropy.contiguous() if ctx.entropy == "grad" else None
    found = _linear_logp_backward(*ctx.saved_tensors, g_logp.contiguous(), g_entropy, need, *ctx.rest)
    grads[0], grads[1], grads[3] = (g if n else None for g, n in zip(found, need))
    return tuple(grads)


@torch.library.custom_op("nsrl::scale_rows", mutates_args=())
def _scale_rows(jacobian: torch.Tensor, g_logp: torch.Tensor, backend: str) -> torch.Tensor:
    """g·J, the product in fp32 (fp64), rounded once."""
    run, _ = _implementation(jacobian, backend)
    out = torch.empty_like(jacobian)
    run.scale_rows(jacobian, g_logp, out)
    return out


@_scale_rows.register_fake
def _(jacobian, g_logp, backend):
    return torch.empty_like(jacobian)


_linear_logp.register_autograd(_backward, setup_context=_setup_context)
