"""`logp_from_logits`: the function, its checks, custom ops with fakes, autograd. Knows nothing of heads."""

import torch

from .. import _backend, _check
from . import reference

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
        logits: [N, V] (or [..., V]), bf16, fp16, fp32 (fp64 on the reference backend).
        target: [N] int64; a negative id leaves the row out.
        temperature, softcap, entropy, row_mask, banned: as in `linear_logp`.
        inplace_grad: the backward writes ∂logits over the logits, which are then gone (a second backward raises).
        backend: "reference", "triton" or None.

    Returns:
        (logp, entropy) in nats, target's shape, fp32 (fp64 for fp64 logits).

    Raises:
        ValueError, TypeError: an argument's shape, dtype or device is wrong.
    """
    _check.floating(_NAME, "logits", logits)
    lead, n_vocab = logits.shape[:-1], logits.shape[-1]
    _check.integer(_NAME, "target", target)
    if target.shape != lead:
        _check.fail(_NAME, "target", f"{tuple(lead)} like the rows of logits", tuple(target.shape))
    _check.one_of(_NAME, "entropy", entropy, ("metric", "grad", "none"))
    per_row = {"row_mask": row_mask}
    if isinstance(temperature, torch.Tensor):
        per_row["temperature"], temperature = temperature, 1.0
    elif not temperature > 0:
        _check.fail(_NAME, "temperature", "positive", temperature)
    for argument, value in per_row.items():
        if value is not None and value.shape != lead and not (argument == "temperature" and value.dim() == 0):
            _check.fail(_NAME, argument, f"{tuple(lead)} like the rows of logits", tuple(value.shape))
    _check.same_device(_NAME, logits.device, target=target, banned=banned, **per_row)
    flat = {k: None if v is None else v.detach().expand(lead).reshape(-1) for k, v in per_row.items()}
    shut = None
    if banned is not None:
        shut = torch.zeros(n_vocab, dtype=torch.bool, device=logits.device).index_fill(0, banned.long(), True)
    logp, ent, _ = _logits_logp(
        logits.reshape(-1, n_vocab), target.reshape(-1).long(), flat.get("temperature"), flat["row_mask"], shut,
        float(temperature), float(softcap or 0.0), entropy, inplace_grad, backend or "",
    )  # fmt: skip
    return logp.view(lead), ent.view(lead)


def _wide(logits):
    return torch.float64 if logits.dtype == torch.float64 else torch.float32


def _prepare(logits, target, temperature_rows, row_mask, temperature):
    if temperature_rows is not None:
        inv_t = temperature_rows.double().reciprocal()
    else:
        inv_t = torch.full((logits.shape[0],), 1.0 / temperature, dtype=torch.float64, device=logits.device)
    return inv_t, target >= 0 if row_mask is None else row_mask & (target >= 0)


def _implementation(logits, backend):
    offered = ("reference",)
    if _backend.has_triton() and logits.dtype != torch.float64:
        from . import fused

        if fused.scan.runs_on(logits.device):
            offered = ("triton", "reference")
    name = _backend.resolve(_NAME, logits.device.type, backend or None, offered)
    return fused if name == "triton" else reference


@torch.library.custom_op("nsrl::logits_logp", mutates_args=())
def _logits_logp(
    logits: torch.Tensor,
    target: torch.Tensor,
    temperature_rows: torch.Tensor | None,
    row_mask: torch.Tensor | None,
    shut: torch.Tensor | None,
    temperature: float,
    softcap: float,
    entropy: str,
    inplace_grad: bool,
    backend: str,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(logp, entropy, log-sum-exp of z/T)."""
    inv_t, scored = _prepare(logits, target, temperature_rows, row_mask, temperature)
    logp, ent, lse = _implementation(logits, backend).forward(logits, target, inv_t, softcap, shut, scored)
    return logp, ent if entropy != "none" else torch.zeros_like(ent), lse


@_logits_logp.register_fake
def _(logits, target, temperature_rows, row_mask, shut, temperature, softcap, entropy, inplace_grad, backend):
    return tuple(logits.new_empty(logits.shape[0], dtype=_wide(logits)) for _ in range(3))


def _write_gradient(
    logits, out, target, temperature_rows, row_mask, shut, saved, g_logp, g_entropy, temperature, softcap, backend
):
    inv_t, scored = _prepare(logits, target, temperature_rows, row_mask, temperature)
    _implementation(logits, backend).backward(
        logits, out, target, inv_t, softcap, shut, scored, *saved, g_logp, g_entropy
    )


@torch.library.custom_op("nsrl::logits_logp_backward", mutates_args=())
def _logits_logp_backward(
    logits: torch.Tensor,
    target: torch.Tensor,
    temperature_rows: torch.Tensor | None,
    row_mask: torch.Tensor | None,
    shut: torch.Tensor | None,
    saved: list[torch.Tensor],
    g_logp: torch.Tensor,
    g_entropy: torch.Tensor | None,
    temperature: float,
    softcap: float,
    backend: str,
) -> torch.Tensor:
    out = torch.empty_like(logits)
    _write_gradient(
        logits, out, target, temperature_rows, row_mask, shut, saved, g_logp, g_entropy, temperature, softcap, backend
    )
    return out


@_logits_logp_backward.register_fake
def _(logits, *_):
    return torch.empty_like(logits)


@torch.library.custom_op("nsrl::logits_logp_backward_", mutates_args=("logits",))
def _logits_logp_backward_(
    logits: torch.Tensor,
    target: torch.Tensor,
    temperature_rows: torch.Tensor | None,
    row_mask: torch.Tensor | None,
    shut: torch.Tensor | None,
    saved: list[torch.Tensor],
    g_logp: torch.Tensor,
    g_entropy: torch.Tensor | None,
    temperature: float,
    softcap: float,
    backend: str,
) -> None:
    _write_gradient(
        logits, logits, target, temperature_rows, row_mask, shut, saved, g_logp, g_entropy, temperature, softcap,
        backend,
    )  # fmt: skip


def _setup_context(ctx, inputs, output):
    logits, target, temperature_rows, row_mask, shut, temperature, softcap, entropy, inplace_grad, backend = inputs
    ctx.save_for_backward(logits, target, temperature_rows, row_mask, shut, *output)
    ctx.rest, ctx.with_entropy, ctx.inplace = (temperature, softcap, backend), entropy == "grad", inplace_grad


def _backward(ctx, g_logp, g_entropy, _):
    *inputs, logp, entropy, lse = ctx.saved_tensors
    rest = ([logp, entropy, lse], g_logp.contiguous(), g_entropy.contiguous() if ctx.with_entropy else None, *ctx.rest)
    if ctx.inplace:
        _logits_logp_backward_(*inputs, *rest)
        gradient = inputs[0]
    else:
        gradient = _logits_logp_backward(*inputs, *rest)
    return gradient, *[None] * 9


_logits_logp.register_autograd(_backward, setup_context=_setup_context)
