"""The Triton backend of `logp_from_logits`: linear_logp's scan over logits in memory. Knows nothing of autograd."""

from types import SimpleNamespace

import torch

from ... import _tune
from ..._rows import LEAST_ODDS, Saved, chosen, inverse_temperature
from ..._tl import on_its_device
from ..linear_logp import triton_backend as head_backend
from ..linear_logp.kernel import finish_kernel
from ..linear_logp.spec import Head
from . import kernel
from .spec import Inputs, Options


def _side_by_side(logits: torch.Tensor) -> torch.Tensor:
    """The logits with a row's own next to each other, as the kernels read them: a copy where they are not."""
    return logits if logits.stride(1) == 1 else logits.contiguous()


@on_its_device
def forward(x: Inputs, options: Options):
    """(logp, entropy, log-sum-exp of z/T), [N] fp32: one read of the logits (rows at a bad scale are read again)."""
    logits = _side_by_side(x.logits)
    n, n_vocab = logits.shape
    f32, f64, i32 = torch.float32, torch.float64, torch.int32
    make = lambda dtype, *shape: torch.empty(*shape, dtype=dtype, device=logits.device)
    logp, entropy, lse = make(f32, n), make(f32, n), make(f32, n)
    if n == 0:
        return logp, entropy, lse
    bias = None
    if x.banned is not None:
        bias = torch.zeros(n_vocab, device=logits.device).masked_fill(x.banned, float("-inf"))
    odd = head_backend.odd_columns(bias, n_vocab, logits.device)
    head = Head(None, bias, options.softcap, True, odd)
    inv_t = inverse_temperature(logits, x.temperature_rows, options.temperature)
    rows = SimpleNamespace(
        hidden=None, inv_t=inv_t, column=x.target.clamp(0, n_vocab - 1).int(), own=(x.target < n_vocab).int(),
        role=chosen(x.target, x.row_mask).int(), hint=None, counts=None, order=None,
    )  # fmt: skip
    ws = {name: make(f64, n) for name in ("z_target", "total", "first")}
    ws |= {"slope": make(f32, n), "shift": make(f32, n), "flag": make(i32, n), "high": make(f32, n)}
    ws |= {"parts": make(f32, -(-n_vocab // _tune.split_columns()), 2, n), "marked": make(i32, 1)}
    ws["exact"] = make(torch.int64, 2, n)
    head_backend.anchor(ws, rows, 0, n, head, logits)
    head_backend.Scan(ws, rows, 0, n, head, n_vocab, logits).sums(True)
    finish_kernel[(-(-n // 64),)](
        ws["z_target"], inv_t, ws["shift"], ws["total"], ws["first"], ws["total"], ws["slope"], ws["shift"], rows.role,
        logp, entropy, lse, ws["shift"], n, LEAST_ODDS, ENTROPY=True, HAS_ORDER=False, STORED=False, BY_ODDS=False,
        HAS_SOFTCAP=False, BLOCK_R=64,
    )  # fmt: skip
    return logp, entropy, lse


@on_its_device
def backward(x: Inputs, saved: Saved, options: Options, out) -> None:
    """Writes ∂logits [N, V] into `out`, which may be the logits themselves."""
    n, n_vocab = x.logits.shape
    if n == 0:
        return
    inv_t = inverse_temperature(x.logits, x.temperature_rows, options.temperature)
    logp, entropy, lse, g_logp, g_entropy = saved
    live = chosen(x.target, x.row_mask) & torch.isfinite(logp)
    gl = torch.where(live, g_logp * inv_t, 0)
    at_target = gl * -torch.expm1(torch.where(live, logp, 0))
    ge = None
    if g_entropy is not None:
        ge = torch.where(live, g_entropy * inv_t, 0)
        at_target = at_target - ge * torch.where(live, logp.exp() * (logp + entropy), 0)
        ge = ge.float()
    gl, lse = gl.float(), torch.where(live, lse, 1e30)
    logits, into = _side_by_side(x.logits), out
    if out.stride(1) != 1:
        into = logits if out is x.logits else torch.empty_like(logits)
    block = 4096 if n_vocab > 2048 else 512
    kernel.gradient_kernel[(n, -(-n_vocab // block))](
        logits, into, x.target, inv_t, inv_t if x.banned is None else x.banned.to(torch.int8), gl,
        gl if ge is None else ge, at_target.float(), entropy, lse, n_vocab, logits.stride(0), into.stride(0),
        options.softcap, HAS_BANNED=x.banned is not None, HAS_SOFTCAP=options.softcap > 0, ENTROPY=ge is not None,
        BLOCK=block,
    )  # fmt: skip
    if into is not out:
        out.copy_(into)
