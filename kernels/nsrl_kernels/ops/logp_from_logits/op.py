"""`logp_from_logits`: the function, its checks, custom ops with fakes, autograd. Knows nothing of heads."""

import importlib

import torch

from ... import _backend, _check, _op
from ..._rows import Saved, checked_rows, wide
from .spec import Inputs, Options

_NAME = "logp_from_logits"


def logp_from_logits(
    logits: torch.Tensor,
    target: torch.Tensor,
    *,
    temperature: float | torch.Tensor = 1.0,
    softcap: float | None = None,
    entropy: str = "metric",
    row_mask: torch.Tensor | None = None,
    banned: torch.Tensor | None = None,
    inplace_grad: bool = False,
    backend: str | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-prob of each row's target and the entropy, from logits: one read, and one write for the gradient.

    Never materialised: a second [N, V] tensor in the forward; with `inplace_grad` none in the backward either.

    Args:
        logits: [N, V] (or [..., V]), bf16, fp16, fp32 (fp64 on the torch backend).
        target: [N] int64; a negative id leaves the row out.
        temperature, softcap, entropy, row_mask, banned: as in `linear_logp`.
        inplace_grad: the backward writes ∂logits over the logits, which are then gone (a second backward raises).
        backend: "torch", "triton" or None for the best there is.

    Returns:
        (logp, entropy) in nats, target's shape, fp32 (fp64 for fp64 logits).

    Raises:
        ValueError, TypeError: an argument's shape, dtype or device is wrong.

    Numerics: |Δlogp| ≤ 4e-6 against fp64 on the same logits.
    Source: odds form, docs/kernels.md.
    """
    _check.tensors(_NAME, logits=logits, banned=banned)
    _check.floating(_NAME, "logits", logits)
    lead, n_vocab = logits.shape[:-1], logits.shape[-1]
    if n_vocab == 0:
        _check.fail(_NAME, "logits", "at least one per row", tuple(logits.shape))
    _check.one_of(_NAME, "entropy", entropy, ("metric", "grad", "none"))
    rows, number = checked_rows(_NAME, "logits", logits, target, temperature, row_mask=row_mask)
    _check.same_device(_NAME, logits.device, banned=banned)
    if banned is not None:
        banned = torch.zeros(n_vocab, dtype=torch.bool, device=logits.device).index_fill(0, banned.long(), True)
    flat = logits.reshape(-1, n_vocab)
    if inplace_grad and 0 in flat.stride() and flat.numel() > 1:
        _check.fail(_NAME, "logits", "rows of their own with inplace_grad", f"strides {tuple(logits.stride())}")
    inputs = Inputs(flat, target.reshape(-1).long().contiguous(), banned=banned, **rows)
    options = Options(number, float(softcap or 0.0), entropy, inplace_grad, backend or "")
    logp, ent, _ = _logits_logp(*inputs, *options)
    return logp.view(lead), ent.view(lead)


def _implementation(logits, backend):
    """The module that runs: both have forward and backward."""
    name = _backend.resolve(_NAME, logits.device.type, backend or None, triton=logits.dtype != torch.float64)
    return importlib.import_module(f".{name}_backend", __package__)


@torch.library.custom_op("nsrl::logits_logp", mutates_args=(), schema=_op.schema(Inputs, Options, returns=3))
def _logits_logp(*flat):
    """(logp, entropy, log-sum-exp of z/T)."""
    x, options = _op.group(flat, Inputs, Options)
    logp, ent, lse = _implementation(x.logits, options.backend).forward(x, options)
    return logp, ent if options.entropy != "none" else torch.zeros_like(ent), lse


@_logits_logp.register_fake
def _(logits, *_):
    return tuple(logits.new_empty(logits.shape[0], dtype=wide(logits.dtype)) for _ in range(3))


_BACKWARD = (Inputs, Saved, Options)


@torch.library.custom_op("nsrl::logits_logp_backward", mutates_args=(), schema=_op.schema(*_BACKWARD, returns=1))
def _logits_logp_backward(*flat):
    """∂logits in a tensor of its own."""
    x, saved, options = _op.group(flat, *_BACKWARD)
    out = torch.empty_like(x.logits)
    _implementation(x.logits, options.backend).backward(x, saved, options, out)
    return out


@_logits_logp_backward.register_fake
def _(logits, *_):
    return torch.empty_like(logits)


@torch.library.custom_op(
    "nsrl::logits_logp_backward_", mutates_args=("logits",), schema=_op.schema(*_BACKWARD, returns=0, mutates="logits")
)
def _logits_logp_backward_(*flat):
    """∂logits over the logits."""
    x, saved, options = _op.group(flat, *_BACKWARD)
    _implementation(x.logits, options.backend).backward(x, saved, options, x.logits)


def _setup_context(ctx, inputs, output):
    x, ctx.options = _op.group(inputs, Inputs, Options)
    ctx.save_for_backward(*x, *output)


def _backward(ctx, g_logp, g_entropy, _):
    options, logits = ctx.options, ctx.saved_tensors[0]
    g_entropy = g_entropy.contiguous() if options.entropy == "grad" else None
    call = (*ctx.saved_tensors, g_logp.contiguous(), g_entropy, *options)
    if options.inplace_grad:
        _logits_logp_backward_(*call)
    return _op.gradients(Inputs, Options, logits=logits if options.inplace_grad else _logits_logp_backward(*call))


_logits_logp.register_autograd(_backward, setup_context=_setup_context)
