"""`linear_logp`: the function, its checks, the custom ops with their fakes, autograd. Knows nothing of losses.

The forward computes the Jacobian ∂logp/∂hidden (one H-vector per row); the backward is a row scale. A weight or bias
that wants a gradient takes the recompute path instead.
"""

import importlib

import torch

from ... import _backend, _check, _op
from ..._operands import head_operands, without_autocast
from ..._rows import Saved, checked_rows, weight_of_rows, wide
from .spec import Inputs, Needs, Options

_NAME = "linear_logp"
_ENTROPY = ("metric", "grad", "none")
_MODES = ("jacobian", "recompute")
_GEMMS = ("triton", "cublas")  # the default first


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
    gemm: str | None = None,
    batch_invariant: bool = False,
    vocab_group=None,
    vocab_start: int = 0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-prob of each row's target token under softmax(head(hidden) / temperature), and that softmax's entropy.

    Never materialised: the logits [N, V]. On a GPU at most one chunk of 2,048 rows of exp(logits) in 16 bits, and only
    when a gradient is wanted; without one, nothing.

    Args:
        hidden: [N, H] (or [..., H]), bf16, fp16, fp32 (fp64 on the torch backend).
        weight: [V, H], the same dtype and device. If it requires a gradient the recompute mode is used. Under autocast
            hidden and weight may differ, and are lowered to its dtype. A DTensor is gathered if it is frozen.
        target: [N] int64 in [0, V); a negative id (such as -100) leaves the row out, as `row_mask` does, but for its
            work: ids are not read back, so a batch with many of them is faster with row_mask=target >= 0. An id of V or
            more gives NaN.
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
        backend: "torch", "triton" or None for the best there is.
        gemm: who multiplies GEMM 1 on the triton backend: "triton" (one kernel multiplies and sums; None means this) or
            "cublas" (fp32 logits of 512 rows, which one Triton pass reads). Others ignore it.
        batch_invariant: the same bits for a row whatever else is in the batch (on the triton backend).
        vocab_group: process group over which the rows of the head are sharded; weight (and bias) are then this
            rank's shard, starting at global id `vocab_start`; hidden, target and banned are the same on every rank.
        vocab_start: global id of the shard's first row.

    Returns:
        (logp, entropy) in nats, [N] (the leading shape of hidden), fp32.

    Raises:
        ValueError, TypeError: an argument's shape, dtype or device is wrong; values are not looked at.

    Numerics: |Δlogp| ≤ 2e-6 for logits within ±25 and ≤ 2e-7·max|logit| beyond, against fp64 on the same inputs; where
        tensor cores multiply, H/16·2⁻²⁴·max|logit| more (docs/kernels.md, accuracy). A row of ∂hidden: ≤ 4e-3 of it for
        bf16, however alike rows of the head are.
    Source: odds form, docs/kernels.md.
    """
    _check.tensors(_NAME, hidden=hidden, weight=weight, bias=bias, banned=banned)
    _check.floating(_NAME, "hidden", hidden)
    hidden, weight, bias = head_operands(_NAME, hidden, weight, bias)
    lead, n_hidden = hidden.shape[:-1], hidden.shape[-1]
    _check.shape(_NAME, "weight", weight, ("V", n_hidden), "to match hidden")
    if weight.dtype != hidden.dtype:
        raise TypeError(f"{_NAME}: weight must be {hidden.dtype} like hidden; got {weight.dtype}")
    if weight.shape[0] == 0:
        _check.fail(_NAME, "weight", "at least one row", tuple(weight.shape))
    _check.one_of(_NAME, "entropy", entropy, _ENTROPY)
    _check.one_of(_NAME, "mode", mode, _MODES)
    if gemm is not None:
        _check.one_of(_NAME, "gemm", gemm, _GEMMS)
    if softcap is not None and not softcap > 0:
        _check.fail(_NAME, "softcap", "positive", softcap)
    rows, number = checked_rows(
        _NAME, "hidden", hidden, target, temperature, hint_logp=hint_logp, row_mask=row_mask, grad_rows=grad_rows
    )
    _check.same_device(_NAME, hidden.device, weight=weight, bias=bias, banned=banned)
    inputs = Inputs(
        hidden=hidden.reshape(-1, n_hidden), weight=weight, target=target.reshape(-1).long().contiguous(),
        bias=_head_bias(weight, bias, banned, vocab_start), **rows,
    )  # fmt: skip
    options = Options(
        temperature=number, softcap=float(softcap or 0.0), entropy=entropy,
        saving=_saving(hidden, weight, bias, entropy, mode), batch_invariant=batch_invariant,
        vocab_group="" if vocab_group is None else vocab_group.group_name, vocab_start=int(vocab_start),
        backend=backend or "", gemm=gemm or _GEMMS[0], bans_only=bias is None,
    )  # fmt: skip
    logp, ent, *_ = _linear_logp(*inputs, *options)
    return logp.view(lead), ent.view(lead)


def _head_bias(weight, bias, banned, vocab_start):
    """Bias and ban as one [V] vector (wide dtype), or None. Ids outside this shard ban nothing here."""
    n_vocab = weight.shape[0]
    if bias is not None:
        _check.floating(_NAME, "bias", bias)
        _check.shape(_NAME, "bias", bias, (n_vocab,), "to match weight")
        bias = bias.to(wide(weight.dtype)).contiguous()
    if banned is None:
        return bias
    _check.integer(_NAME, "banned", banned)
    if bias is None:
        bias = torch.zeros(n_vocab, dtype=wide(weight.dtype), device=weight.device)
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


@torch.library.custom_op("nsrl::linear_logp", mutates_args=(), schema=_op.schema(Inputs, Options, returns=4))
@without_autocast
def _linear_logp(*flat):
    """(logp, entropy, log-sum-exp of z/T, J); J has no rows unless saved."""
    x, options = _op.group(flat, Inputs, Options)
    return _implementation(x.hidden, options.backend).forward(x, options)


@_linear_logp.register_fake
def _(*flat):
    x, options = _op.group(flat, Inputs, Options)
    n, n_hidden = x.hidden.shape
    scalar = lambda: x.hidden.new_empty(n, dtype=wide(x.hidden.dtype))
    return scalar(), scalar(), scalar(), x.hidden.new_empty(n if options.saving == "jacobian" else 0, n_hidden)


_BACKWARD = (Inputs, Saved, Needs, Options)


@torch.library.custom_op("nsrl::linear_logp_backward", mutates_args=(), schema=_op.schema(*_BACKWARD, returns=3))
@without_autocast
def _linear_logp_backward(*flat):
    """(∂hidden, ∂weight, ∂bias) of the recompute mode; empty where not needed."""
    x, saved, needs, options = _op.group(flat, *_BACKWARD)
    return _implementation(x.hidden, options.backend).backward(x, saved, needs, options)


@_linear_logp_backward.register_fake
def _(*flat):
    x, _, needs, _ = _op.group(flat, *_BACKWARD)
    empty = x.hidden.new_empty(0)
    return (
        torch.empty_like(x.hidden) if needs.need_hidden else empty,
        torch.empty_like(x.weight) if needs.need_weight else empty.clone(),
        torch.empty_like(x.bias) if needs.need_bias else empty.to(wide(x.hidden.dtype)).clone(),
    )


def _implementation(hidden: torch.Tensor, backend: str):
    """The module that runs: both have forward, backward and scale_rows."""
    name = _backend.resolve(_NAME, hidden.device.type, backend or None, triton=hidden.dtype != torch.float64)
    return importlib.import_module(f".{name}_backend", __package__)


def _setup_context(ctx, inputs, output):
    x, ctx.options = _op.group(inputs, Inputs, Options)
    logp, entropy_value, lse, jacobian = output
    if ctx.options.saving == "jacobian":
        ctx.save_for_backward(jacobian, logp)
    elif ctx.options.saving == "recompute":
        ctx.save_for_backward(*x._replace(hint_logp=None), logp, entropy_value, lse)


def _backward(ctx, g_logp, g_entropy, *_):
    options = ctx.options
    if options.saving == "jacobian":
        jacobian, logp = ctx.saved_tensors
        hidden = _scale_rows(jacobian, weight_of_rows(g_logp, logp, jacobian.dtype).contiguous(), options.backend)
        return _op.gradients(Inputs, Options, hidden=hidden)
    wanted, _ = _op.group(ctx.needs_input_grad, Inputs, Options)
    needs = Needs(bool(wanted.hidden), bool(wanted.weight), bool(wanted.bias))
    g_entropy = g_entropy.contiguous() if options.entropy == "grad" else None
    found = _linear_logp_backward(*ctx.saved_tensors, g_logp.contiguous(), g_entropy, *needs, *options)
    hidden, weight, bias = (g if needed else None for g, needed in zip(found, needs))
    return _op.gradients(Inputs, Options, hidden=hidden, weight=weight, bias=bias)


@torch.library.custom_op("nsrl::scale_rows", mutates_args=())
def _scale_rows(jacobian: torch.Tensor, g_logp: torch.Tensor, backend: str) -> torch.Tensor:
    """g·J, the product in fp32 (fp64), rounded once."""
    out = torch.empty_like(jacobian)
    _implementation(jacobian, backend).scale_rows(jacobian, g_logp, out)
    return out


@_scale_rows.register_fake
def _(jacobian, g_logp, backend):
    return torch.empty_like(jacobian)


_linear_logp.register_autograd(_backward, setup_context=_setup_context)
