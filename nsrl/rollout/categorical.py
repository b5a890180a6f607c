"""`draw` takes one token per row of logits: temperature, bans, top-k, top-p, and the exact log-prob of what was drawn.

A draw inverts the cumulative distribution at a given uniform number, summed in float64: with 150,000 entries a float32
sum loses the tail, each of whose entries is below the sum's last place.
"""

from __future__ import annotations

import torch
from torch import Tensor


def ban_row(vocab: int, banned_ids: tuple[int, ...], device: torch.device) -> Tensor:
    """(V,) fp32 to add to logits: -inf at banned ids, 0 elsewhere."""
    row = torch.zeros(vocab, device=device)
    row[[i for i in banned_ids if i < vocab]] = -torch.inf
    return row


def cut(logp: Tensor, top_k: int, top_p: float) -> Tensor:
    """Log-probs (R, V) with everything outside the k likeliest and the smallest set of mass top_p at -inf, renormed.

    The likeliest token always stays; of equal tokens at the edge of top_k all stay.
    """
    if top_k and top_k < logp.shape[-1]:
        edge = logp.topk(top_k, dim=-1).values[..., -1:]
        logp = logp.masked_fill(logp < edge, -torch.inf)
    if top_p < 1:
        ordered, order = logp.softmax(-1).sort(-1, descending=True)
        before = ordered.cumsum(-1, dtype=torch.float64) - ordered
        drop = torch.zeros_like(logp, dtype=torch.bool).scatter(-1, order, before >= top_p)
        logp = logp.masked_fill(drop, -torch.inf)
    return logp.log_softmax(-1)


def draw(
    logits: Tensor, u: Tensor | None, bans: Tensor, temperature: float, top_k: int = 0, top_p: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Token ids (R,) int64 and their log-probs (R,) fp32.

    logits (R, V) fp32; u (R, 1) float64 in [0, 1), or None for greedy; bans as `ban_row` makes it; temperature 0 is
    greedy with log-probs at temperature 1 (and then the cuts do not apply).
    """
    logits = logits + bans
    if temperature not in (0.0, 1.0):
        logits = logits / temperature
    logp = logits.log_softmax(-1)
    if temperature == 0 or u is None:
        ids = logp.argmax(-1, keepdim=True)
    else:
        if top_k or top_p < 1:
            logp = cut(logp, top_k, top_p)
        mass = logp.exp().cumsum(-1, dtype=torch.float64)
        ids = torch.searchsorted(mass, u * mass[:, -1:], right=True)
    return ids.squeeze(-1), logp.gather(-1, ids).squeeze(-1)
