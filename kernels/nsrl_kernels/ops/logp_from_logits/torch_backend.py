"""The torch backend of `logp_from_logits`: a few rows at a time. Knows nothing of autograd.

Same numerics as linear_logp: scale anchored at the target's logit, per-row scalars in fp64.
"""

import math

import torch

from ..._rows import Saved, chosen, inverse_temperature, wide
from .spec import Inputs, Options

TILE_BYTES = 4 << 20


def forward(x: Inputs, options: Options):
    """(logp, entropy, log-sum-exp of z/T), [N] in the wide dtype."""
    n, out_dtype = x.logits.shape[0], wide(x.logits.dtype)
    logp, entropy, lse = (torch.zeros(n, dtype=out_dtype, device=x.logits.device) for _ in range(3))
    inv_t = inverse_temperature(x.logits, x.temperature_rows, options.temperature)
    scored = chosen(x.target, x.row_mask)
    for r0, r1 in _blocks(x.logits):
        z, _ = _scaled(x.logits[r0:r1], options.softcap, inv_t[r0:r1], x.banned)
        at = x.target[r0:r1].clamp(min=0)[:, None]
        anchor = z.gather(1, at)[:, 0]
        level = torch.maximum(anchor, z.amax(1) - 8)
        s = (anchor - level).double()
        z.sub_(level[:, None]).scatter_(1, at, -math.inf)
        mass = z.exp()
        total = mass.sum(1, dtype=torch.float64)
        first = z.clamp_(min=-1e4).mul_(mass).sum(1, dtype=torch.float64)
        own = s.exp()
        value = -torch.logaddexp(torch.zeros_like(s), total.log() - s)
        value = torch.where(torch.isneginf(s), -math.inf, value)
        whole = own + total
        for out, row in (
            (logp, value),
            (entropy, whole.log() - (first + own * s.clamp(min=-1e4)) / whole),
            (lse, level.double() + whole.log()),
        ):
            out[r0:r1] = torch.where(scored[r0:r1], row.to(out.dtype), 0)
    return logp, entropy, lse


def backward(x: Inputs, saved: Saved, options: Options, out) -> None:
    """Writes ∂logits [N, V] into `out`, which may be the logits themselves."""
    inv_t = inverse_temperature(x.logits, x.temperature_rows, options.temperature)
    logp, entropy, lse, g_logp, g_entropy = saved
    scored = chosen(x.target, x.row_mask)
    for r0, r1 in _blocks(x.logits):
        z, slope = _scaled(x.logits[r0:r1], options.softcap, inv_t[r0:r1], x.banned)
        keep = (scored & torch.isfinite(logp))[r0:r1]
        column = lambda v, keep=keep, r0=r0, dtype=z.dtype: torch.where(keep, v[r0 : r0 + len(keep)].to(dtype), 0)[
            :, None
        ]
        at = x.target[r0:r1].clamp(min=0)[:, None]
        gl = column(g_logp) * inv_t[r0:r1, None].to(z.dtype)
        here = gl * -torch.expm1(column(logp))
        below = z.sub_(torch.where(keep, lse[r0:r1].to(z.dtype), math.inf)[:, None])
        c = below.exp()
        if g_entropy is None:
            c.mul_(-gl)
        else:
            ge = column(g_entropy) * inv_t[r0:r1, None].to(z.dtype)
            here = here - ge * column(logp).exp() * (column(logp) + column(entropy))
            c.mul_(below.clamp_(min=-1e4).add_(column(entropy)).mul_(-ge).sub_(gl))
        c.scatter_(1, at, here)
        out[r0:r1] = c if slope is None else c.mul_(slope)


def _blocks(logits):
    rows = max(1, TILE_BYTES // (wide(logits.dtype).itemsize * max(logits.shape[1], 1)))
    return [(r0, min(r0 + rows, logits.shape[0])) for r0 in range(0, logits.shape[0], rows)]


def _scaled(logits, softcap, inv_t, banned):
    """z/T of a block in the wide dtype (a copy), and the softcap's slope."""
    z = logits.to(wide(logits.dtype), copy=True)
    slope = None
    if softcap:
        z.div_(softcap).tanh_()
        slope = 1 - z * z
        z.mul_(softcap)
    z.mul_(inv_t[:, None].to(z.dtype))
    return (z if banned is None else z.masked_fill_(banned, -math.inf)), slope
