"""The reference backend of `linear_logp`: walks blocks of rows through lean.py. Knows nothing of autograd.

On a CPU, rows that need nothing are dropped before any work. On a GPU that would synchronise, so there every row is
computed and the masks are applied at the end.
"""

import torch

from . import lean, sharded


def _blocks(hidden, head, mask, group):
    """Index tensors of at most one tile's rows: those where `mask` is True (CPU), or all of them (elsewhere)."""
    n = hidden.shape[0]
    n_vocab = head.weight.shape[0] if group is None else 1 << 30  # every rank must cut the same blocks
    size, _ = lean.tile_shape(max(n, 1), n_vocab, hidden.shape[1], hidden.dtype)
    rows = mask.nonzero()[:, 0] if mask.device.type == "cpu" else torch.arange(n, device=mask.device)
    return rows.split(size) if rows.numel() else ()


def _local(target, head, vocab_start):
    local = target - vocab_start
    own = (local >= 0) & (local < head.weight.shape[0])
    return torch.where(own, local, 0), own


def forward(hidden, head, target, inv_t, scored, grad_rows, hint_logp, want, batch_invariant, group, vocab_start, masked):
    """(logp, entropy, lse, J): see op.py. `want` = (J, entropy)."""
    n, n_hidden = hidden.shape
    out = lean.wide(hidden.dtype)
    logp, entropy, lse = (torch.zeros(n, dtype=out, device=hidden.device) for _ in range(3))
    jac = torch.zeros(n if want[0] else 0, n_hidden, dtype=hidden.dtype, device=hidden.device)
    with_grad = scored if grad_rows is None else scored & grad_rows
    column, own = _local(target, head, vocab_start)
    for mask, grad in ((with_grad, want[0]), (scored & ~with_grad, False)):
        for rows in _blocks(hidden, head, mask, group):
            h, t = hidden[rows], inv_t[rows]
            stats, d = lean.scan(h, head, column[rows], own[rows], t, grad=grad, entropy=want[1])
            if group is None:  # an id past the end of the head
                stats = stats._replace(target=torch.where(own[rows], stats.target, torch.nan))
            stats, d = sharded.merge(stats, d, group)
            finished = lean.finish(stats)
            keep = mask[rows]
            logp[rows] = torch.where(keep, finished[0].to(out), logp[rows])
            lse[rows] = torch.where(keep, (stats.level + finished[3].log()).to(out), lse[rows])
            if want[1]:
                entropy[rows] = torch.where(keep, finished[1].to(out), entropy[rows])
            if grad:
                target_rows = head.weight[column[rows]].to(out).mul_(own[rows, None])
                j = sharded.sum_rows(lean.jacobian(stats, finished, d, target_rows, t), group)
                jac[rows] = torch.where(keep[:, None], j.to(jac.dtype), jac[rows])
    return logp, entropy, lse, jac


def backward(
    hidden, head, target, inv_t, live, logp, entropy, lse, g_logp, g_entropy, need, batch_invariant, group, vocab_start,
    masked,
):  # fmt: skip
    """(∂hidden, ∂weight, ∂bias) of the recompute mode. Empty tensors where not needed."""
    out = lean.wide(hidden.dtype)
    zeros = lambda like, wanted: torch.zeros(like.shape if wanted else (0,), dtype=out, device=hidden.device)
    d_hidden = torch.zeros_like(hidden) if need[0] else hidden.new_zeros(0)
    d_weight = zeros(head.weight, need[1])
    d_bias = zeros(head.weight[:, 0], need[2])
    column, own = _local(target, head, vocab_start)
    g_logp = torch.where(live, g_logp, 0)
    g_entropy = None if g_entropy is None else torch.where(live, g_entropy, 0)
    for rows in _blocks(hidden, head, live, group):
        pick = lambda x, rows=rows: None if x is None else x[rows]
        dh = lean.block_gradients(
            hidden[rows], head, column[rows], own[rows], inv_t[rows], lse[rows], logp[rows], entropy[rows],
            g_logp[rows], pick(g_entropy), need, (d_weight, d_bias),
        )  # fmt: skip
        if need[0]:
            dh = sharded.sum_rows(dh, group)
            d_hidden[rows] = dh.to(d_hidden.dtype)
    return d_hidden, d_weight.to(hidden.dtype), d_bias


def scale_rows(jacobian, g_logp, out):
    """out = g·J in one pass."""
    torch.mul(jacobian, g_logp[:, None], out=out)
