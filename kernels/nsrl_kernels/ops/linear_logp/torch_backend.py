"""The torch backend of `linear_logp`: blocks of rows, tiles of logits, never more than one tile held. Runs everywhere.

Numerics: the odds form of docs/kernels.md with a running shift, so no row overflows. Per-row scalars are fp64 whatever
the inputs. Half-precision inputs are multiplied in fp64 (their products are exact there), fp32 inputs in fp32, fp64 in
fp64; E·W runs in fp32 (fp64 for fp64). Knows nothing of autograd.

On a CPU, rows that need nothing are dropped before any work. On a GPU that would synchronise, so there every row is
computed and the masks are applied at the end.
"""

import math
from typing import Any

import torch

from ..._rows import RowStats, Saved, chosen, finish, inverse_temperature, jacobian, wide
from . import sharded
from .spec import Head, Inputs, Needs, Options

TILE_BYTES = 4 << 20  # one tile of logits
_RAISE_ABOVE = 8.0  # a running maximum further above the level than this moves the level


def forward(x: Inputs, options: Options):
    """(logp, entropy, log-sum-exp of z/T [N], J [N, H]); J has no rows unless it is saved."""
    n, n_hidden = x.hidden.shape
    out, device = wide(x.hidden.dtype), x.hidden.device
    head, group = Head(x.weight, x.bias, options.softcap), sharded.resolve_group(options.vocab_group)
    saves, with_entropy = options.saving == "jacobian", options.entropy != "none"
    inv_t = inverse_temperature(x.hidden, x.temperature_rows, options.temperature)
    logp, entropy, lse = (torch.zeros(n, dtype=out, device=device) for _ in range(3))
    jac = torch.zeros(n if saves else 0, n_hidden, dtype=x.hidden.dtype, device=device)
    scored = chosen(x.target, x.row_mask)
    graded = chosen(x.target, x.row_mask, x.grad_rows)
    column, own = _local(x.target, head, options.vocab_start)
    for mask, grad in ((graded, saves), (scored & ~graded, False)):
        for rows in _blocks(x.hidden, head, mask, group):
            h, t = x.hidden[rows], inv_t[rows]
            stats, d = _scan(h, head, column[rows], own[rows], t, grad=grad, entropy=with_entropy)
            if group is None:  # an id past the end of the head
                stats = stats._replace(target=torch.where(own[rows], stats.target, torch.nan))
            stats, d = sharded.merge(stats, d, group)
            row_logp, row_entropy, whole = finish(stats)
            keep = mask[rows]
            logp[rows] = torch.where(keep, row_logp.to(out), logp[rows])
            lse[rows] = torch.where(keep, (stats.level + whole.log()).to(out), lse[rows])
            if with_entropy:
                entropy[rows] = torch.where(keep, row_entropy.to(out), entropy[rows])
            if grad:
                target_rows = head.weight[column[rows]].to(out).mul_(own[rows, None])
                j = sharded.sum_rows(jacobian(stats, whole, d, target_rows, t, jac.dtype), group)
                jac[rows] = torch.where(keep[:, None], j.to(jac.dtype), jac[rows])
    return logp, entropy, lse, jac


def backward(x: Inputs, saved: Saved, needs: Needs, options: Options):
    """(∂hidden, ∂weight, ∂bias) of the recompute mode. Empty tensors where not needed."""
    hidden, device = x.hidden, x.hidden.device
    out = wide(hidden.dtype)
    head, group = Head(x.weight, x.bias, options.softcap), sharded.resolve_group(options.vocab_group)
    zeros = lambda like, wanted: torch.zeros(like.shape if wanted else (0,), dtype=out, device=device)
    d_hidden = torch.zeros_like(hidden) if needs.need_hidden else hidden.new_zeros(0)
    d_weight = zeros(head.weight, needs.need_weight)
    d_bias = zeros(head.weight[:, 0], needs.need_bias)
    inv_t = inverse_temperature(hidden, x.temperature_rows, options.temperature)
    live = chosen(x.target, x.row_mask, x.grad_rows)
    column, own = _local(x.target, head, options.vocab_start)
    zeroed: Any = lambda g: None if g is None else torch.where(live, g, 0)
    saved = saved._replace(g_logp=zeroed(saved.g_logp), g_entropy=zeroed(saved.g_entropy))
    if device.type != "cpu":  # where rows that are left out are multiplied with the others: 0 times NaN would not be 0
        hidden = torch.where(live[:, None], hidden, 0)
    for rows in _blocks(hidden, head, live, group):
        part = Saved(*(None if v is None else v[rows] for v in saved))  # pyright: ignore
        dh = _block_gradients(hidden[rows], head, column[rows], own[rows], inv_t[rows], part, needs, d_weight, d_bias)
        if needs.need_hidden:
            dh = sharded.sum_rows(dh, group)
            d_hidden[rows] = dh.to(d_hidden.dtype)
    return d_hidden, d_weight.to(hidden.dtype), d_bias


def scale_rows(jacobian_rows, g_logp, out) -> None:
    """out [N, H] = g·J in one pass."""
    torch.mul(jacobian_rows, g_logp[:, None], out=out)


def _work(dtype: torch.dtype) -> torch.dtype:
    """The dtype of GEMM 1."""
    return torch.float32 if dtype == torch.float32 else torch.float64


def _tile_shape(n_rows: int, n_vocab: int, n_hidden: int, dtype: torch.dtype) -> tuple[int, int]:
    """Rows and columns of one tile of logits: the tile and the widened piece of the head stay near TILE_BYTES."""
    itemsize = _work(dtype).itemsize
    columns = max(64, min(n_vocab, 2048, TILE_BYTES // (itemsize * max(n_hidden, 1))))
    rows = TILE_BYTES // (itemsize * max(min(columns, n_vocab), n_hidden))
    return max(1, min(n_rows, rows)), columns


def _blocks(hidden, head, mask, group):
    """Index tensors of at most one tile's rows: those where `mask` is True (CPU), or all of them (elsewhere)."""
    n = hidden.shape[0]
    n_vocab = head.weight.shape[0] if group is None else 1 << 30  # every rank must cut the same blocks
    size, _ = _tile_shape(max(n, 1), n_vocab, hidden.shape[1], hidden.dtype)
    rows = mask.nonzero()[:, 0] if mask.device.type == "cpu" else torch.arange(n, device=mask.device)
    return rows.split(size) if rows.numel() else ()


def _local(target, head, vocab_start):
    """(each target's column of this shard, or any where another rank owns it; whether this one does)."""
    local = target - vocab_start
    own = (local >= 0) & (local < head.weight.shape[0])
    return torch.where(own, local, 0), own


def _logits(hidden_w, head: Head, start: int, step: int, inv_t, want_slope: bool):
    """One tile of z/T, the piece of the head it came from, and the softcap's slope (None without one)."""
    piece = head.weight[start : start + step].to(hidden_w.dtype)
    tile = hidden_w @ piece.T
    bias = None if head.bias is None else head.bias[start : start + step].to(tile.dtype)
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


def _target_logit(hidden, head: Head, column, inv_t):
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


def _scan(hidden, head: Head, column, own, inv_t, *, grad: bool, entropy: bool):
    """One pass over a vocabulary shard for a block of n rows: (RowStats, D).

    D [n, H] = Σ exp·slope·W without the target's own column, None unless asked for. `column` is the target's id in this
    shard, or any id of the shard where `own` is False.
    """
    work, out = _work(hidden.dtype), wide(hidden.dtype)
    anchor, slope_y, banned_y = _target_logit(hidden, head, column, inv_t)
    level = anchor.to(work).double()  # the tile subtracts it in `work`: keep it exact there
    total, first = torch.zeros_like(level), torch.zeros_like(level)
    d_rows: Any = torch.zeros(hidden.shape, dtype=out, device=hidden.device) if grad else None
    hidden_w, n_vocab = hidden.to(work), head.weight.shape[0]
    _, step = _tile_shape(hidden.shape[0], n_vocab, hidden.shape[1], hidden.dtype)
    for start in range(0, n_vocab, step):
        tile, piece, slope = _logits(hidden_w, head, start, step, inv_t, grad)
        inside = own & (column >= start) & (column < start + piece.shape[0])
        here = torch.where(inside, column - start, 0)[:, None]
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
    return RowStats(level, total, first, target, slope_y, torch.zeros_like(total)), d_rows


def _block_gradients(hidden, head: Head, column, own, inv_t, saved: Saved, needs: Needs, d_weight, d_bias):
    """One block's gradients once the coefficients are known: logits once more, then ∂h (returned), ∂W and ∂b (added
    to)."""
    work, out = _work(hidden.dtype), wide(hidden.dtype)
    logp, entropy, lse, g_logp, g_entropy = saved
    lse = torch.where(torch.isneginf(logp), math.inf, lse)[:, None].to(work)  # a banned target: no gradient
    gl = (g_logp * inv_t).to(out)[:, None]
    at_target = gl[:, 0] * -torch.expm1(logp.to(out))  # 1 - p without cancellation
    if g_entropy is not None:
        ge, ent = (g_entropy * inv_t).to(out)[:, None], entropy[:, None].to(out)
        at_target = at_target - ge[:, 0] * (logp.exp() * (logp.clamp(min=-1e4) + entropy)).to(out)
    at_target = at_target.masked_fill(torch.isneginf(logp), 0)
    hidden_w, hidden_o = hidden.to(work), hidden.to(out)
    d_hidden: Any = torch.zeros_like(hidden_o) if needs.need_hidden else None
    n_vocab = head.weight.shape[0]
    _, step = _tile_shape(hidden.shape[0], n_vocab, hidden.shape[1], hidden.dtype)
    for start in range(0, n_vocab, step):
        tile, piece, slope = _logits(hidden_w, head, start, step, inv_t, True)
        below = tile.sub_(lse).to(out)
        if g_entropy is None:
            c = below.exp_().mul_(-gl)
        else:
            c = below.exp()
            c.mul_(below.clamp_(min=-1e4).add_(ent).mul_(-ge).sub_(gl))  # pyright: ignore
        inside = own & (column >= start) & (column < start + piece.shape[0])
        here = torch.where(inside, column - start, 0)[:, None]
        c.scatter_(1, here, torch.where(inside, at_target, c.gather(1, here)[:, 0])[:, None])
        if slope is not None:
            c.mul_(slope.to(out))
        if needs.need_hidden:
            d_hidden.addmm_(c, piece.to(out))
        if needs.need_weight:
            d_weight[start : start + step].addmm_(c.T, hidden_o)
        if needs.need_bias:
            d_bias[start : start + step].add_(c.sum(0))
    return d_hidden
