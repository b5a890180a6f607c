"""`linear_logp` in chunked torch: the path of any machine without Triton. Never holds more than one tile of logits.

Knows nothing of autograd: it returns values, Jacobians and gradients. Numerics: the odds form of docs/kernels.md with a
running shift, so no row overflows. Per-row scalars are fp64 whatever the inputs. Half-precision inputs are multiplied
in fp64 (their products are exact there), fp32 inputs in fp32, fp64 in fp64; E·W runs in fp32 (fp64 for fp64).
"""

import math
from typing import NamedTuple

import torch

TILE_BYTES = 4 << 20  # one tile of logits
_RAISE_ABOVE = 8.0  # a running maximum further above the level than this moves the level


class Head(NamedTuple):
    """What turns hidden states into scaled logits. `bias` is fp32 or fp64 [V] with -inf for a banned id, or None."""

    weight: torch.Tensor
    bias: torch.Tensor | None
    softcap: float  # 0: none


class RowStats(NamedTuple):
    """Per row and one vocabulary shard, fp64: exp is taken of z/T - level."""

    level: torch.Tensor
    total: torch.Tensor  # R: sum of exp over the shard, the target's own column left out
    first: torch.Tensor  # Q: sum of exp * (z/T - level), the same columns
    target: torch.Tensor  # z_y / T where this shard owns the target, else 0
    slope: torch.Tensor  # d(capped)/d(raw) logit of the target; 1 without softcap


def wide(dtype: torch.dtype) -> torch.dtype:
    """The dtype of GEMM 2 and of what it returns."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def _work(dtype: torch.dtype) -> torch.dtype:
    return torch.float32 if dtype == torch.float32 else torch.float64


def tile_shape(n_rows: int, n_vocab: int, n_hidden: int, dtype: torch.dtype) -> tuple[int, int]:
    """Rows and columns of one tile of logits: the tile and the widened piece of the head stay near TILE_BYTES."""
    itemsize = _work(dtype).itemsize
    columns = max(64, min(n_vocab, 2048, TILE_BYTES // (itemsize * max(n_hidden, 1))))
    rows = TILE_BYTES // (itemsize * max(min(columns, n_vocab), n_hidden))
    return max(1, min(n_rows, rows)), columns


def _logits(hidden_w, head: Head, v0: int, step: int, inv_t, want_slope: bool):
    """One tile of z/T, the piece of the head it came from, and the softcap's slope (None without one)."""
    piece = head.weight[v0 : v0 + step].to(hidden_w.dtype)
    tile = hidden_w @ piece.T
    bias = None if head.bias is None else head.bias[v0 : v0 + step].to(tile.dtype)
    slope = None
    if head.softcap:
        tile = tile if bias is None else tile.add_(bias.masked_fill(torch.isneginf(bias), 0))
        tile = tile.div_(head.softcap).tanh_()
        slope = 1 - tile * tile if want_slope else None
        tile.mul_(head.softcap)
        tile = tile if bias is None else tile.masked_fill_(torch.isneginf(bias), -math.inf)
    elif bias is not None:
        tile.add_(bias)
    return tile.mul_(inv_t[:, None].to(tile.dtype)), piece, slope


def target_logit(hidden, head: Head, column, inv_t):
    """(z_y / T, slope, banned) in fp64 for column ids inside the shard: H products per row, exact for half inputs."""
    raw = (hidden.double() * head.weight[column].double()).sum(-1)
    banned = torch.zeros_like(column, dtype=torch.bool)
    if head.bias is not None:
        bias = head.bias[column].double()
        banned = torch.isneginf(bias)
        raw = raw + bias.masked_fill(banned, 0)
    slope = torch.ones_like(raw)
    if head.softcap:
        squashed = torch.tanh(raw / head.softcap)
        raw, slope = head.softcap * squashed, 1 - squashed * squashed
    return raw * inv_t, slope, banned


def scan(hidden, head: Head, column, own, inv_t, *, grad: bool, entropy: bool):
    """One pass over a vocabulary shard for a block of rows: (RowStats, D).

    D [n, H] = Σ exp·slope·W without the target's own column, None unless asked for. `column` is the target's id in this shard, or any id of the shard where `own` is False.
    """
    work, out = _work(hidden.dtype), wide(hidden.dtype)
    anchor, slope_y, banned_y = target_logit(hidden, head, column, inv_t)
    level = anchor.to(work).double()  # the tile subtracts it in `work`: keep it exact there
    total, first = torch.zeros_like(level), torch.zeros_like(level)
    d_rows = torch.zeros(hidden.shape, dtype=out, device=hidden.device) if grad else None
    hidden_w, n_vocab = hidden.to(work), head.weight.shape[0]
    _, step = tile_shape(hidden.shape[0], n_vocab, hidden.shape[1], hidden.dtype)
    for v0 in range(0, n_vocab, step):
        tile, piece, slope = _logits(hidden_w, head, v0, step, inv_t, grad)
        inside = own & (column >= v0) & (column < v0 + piece.shape[0])
        here = torch.where(inside, column - v0, 0)[:, None]
        tile.scatter_(1, here, tile.gather(1, here).masked_fill(inside[:, None], -math.inf))
        highest = tile.amax(1).double()
        raised = torch.where(highest > level + _RAISE_ABOVE, highest, level)
        delta = level - raised
        factor = delta.exp()
        total, first, level = total * factor, (first + delta * total) * factor, raised
        below = tile.sub_(level[:, None].to(work)).to(out)
        mass = below.exp()
        total += mass.sum(1, dtype=torch.float64)
        if entropy:
            below = below.clamp_(min=-1e4).mul_(mass)  # exp(-inf)·(-inf) must be 0
            first += below.sum(1, dtype=torch.float64)
        if grad:
            d_rows.mul_(factor[:, None].to(out))
            d_rows.addmm_(mass if slope is None else mass.mul_(slope.to(out)), piece.to(out))
    target = torch.where(own, anchor.masked_fill(banned_y, -math.inf), 0.0)
    return RowStats(level, total, first, target, slope_y), d_rows


def finish(stats: RowStats):
    """fp64 per row: (logp, entropy, s, S, μ) with s = z_y/T - level, S = e^s + R, μ = Σ p·(z/T - level)."""
    s = stats.target - stats.level
    log_odds = stats.total.log() - s
    logp = -torch.logaddexp(torch.zeros_like(s), log_odds)
    logp = torch.where(torch.isneginf(s), -math.inf, logp)
    own = s.exp()
    whole = own + stats.total
    mean = (stats.first + own * s.clamp(min=-1e4)) / whole
    return logp, whole.log() - mean, s, whole, mean


def jacobian(stats: RowStats, finished, d_rows, target_rows, inv_t):
    """∂logp/∂h [n, H] from the sums; `target_rows` is W_y (zero where another shard owns it)."""
    whole = finished[3]
    column = lambda x: torch.where(torch.isneginf(stats.target), 0.0, x)[:, None].to(d_rows.dtype)
    return (target_rows * column(stats.total * stats.slope)).sub_(d_rows).mul_(column(inv_t / whole))


def block_gradients(hidden, head: Head, column, own, inv_t, lse, logp, entropy, g_logp, g_entropy, need, into):
    """One block's gradients once the coefficients are known (the recompute mode): logits once more, then ∂h, ∂W, ∂b.

    `need` says which of (hidden, weight, bias) want a gradient; `into` = (∂W, ∂b) accumulators in the wide dtype,
    added to in place. `g_entropy` may be None. Returns ∂h [n, H] in the wide dtype, or None.
    """
    work, out = _work(hidden.dtype), wide(hidden.dtype)
    lse = torch.where(torch.isneginf(logp), math.inf, lse)[:, None].to(work)  # a banned target: no gradient
    gl = (g_logp * inv_t).to(out)[:, None]
    at_target = gl[:, 0] * -torch.expm1(logp.to(out))  # 1 - p without cancellation
    if g_entropy is not None:
        ge, ent = (g_entropy * inv_t).to(out)[:, None], entropy[:, None].to(out)
        at_target = at_target - ge[:, 0] * (logp.exp() * (logp.clamp(min=-1e4) + entropy)).to(out)
    at_target = at_target.masked_fill(torch.isneginf(logp), 0)
    hidden_w, hidden_o = hidden.to(work), hidden.to(out)
    d_hidden = torch.zeros_like(hidden_o) if need[0] else None
    n_vocab = head.weight.shape[0]
    _, step = tile_shape(hidden.shape[0], n_vocab, hidden.shape[1], hidden.dtype)
    for v0 in range(0, n_vocab, step):
        tile, piece, slope = _logits(hidden_w, head, v0, step, inv_t, True)
        below = tile.sub_(lse).to(out)
        if g_entropy is None:
            c = below.exp_().mul_(-gl)
        else:
            c = below.exp()
            c.mul_(below.clamp_(min=-1e4).add_(ent).mul_(-ge).sub_(gl))
        inside = own & (column >= v0) & (column < v0 + piece.shape[0])
        here = torch.where(inside, column - v0, 0)[:, None]
        c.scatter_(1, here, torch.where(inside, at_target, c.gather(1, here)[:, 0])[:, None])
        if slope is not None:
            c.mul_(slope.to(out))
        if need[0]:
            d_hidden.addmm_(c, piece.to(out))
        if need[1]:
            into[0][v0 : v0 + step].addmm_(c.T, hidden_o)
        if need[2]:
            into[1][v0 : v0 + step].add_(c.sum(0))
    return d_hidden
