"""Triton kernel of `logp_from_logits`: the gradient, one write per logit. (The forward is linear_logp's scan.)"""

import triton
import triton.language as tl

from ..._tl import fast_tanh, narrow


@triton.jit
def gradient_kernel(
    logits, out, target, inv_t, banned, coefficient, entropy_coefficient, at_target, entropy, lse,
    n_vocab, stride_l, stride_o, softcap,
    HAS_BANNED: tl.constexpr, HAS_SOFTCAP: tl.constexpr, ENTROPY: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """out = ∂L/∂logits of one row's block; `out` may be `logits` itself. A row without gradient has lse = +inf."""
    row = tl.program_id(0).to(tl.int64)
    cols = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = cols < n_vocab
    z = tl.load(logits + row * stride_l + cols, mask=inside, other=0.0).to(tl.float32)
    slope = tl.zeros([BLOCK], dtype=tl.float32) + 1.0
    if HAS_SOFTCAP:
        t = fast_tanh(z / softcap)
        z = softcap * t
        slope = 1.0 - t * t
    below = z * tl.load(inv_t + row).to(tl.float32) - tl.load(lse + row)
    if HAS_BANNED:
        below = tl.where(tl.load(banned + cols, mask=inside, other=0) != 0, -1e4, below)
    below = tl.maximum(below, -1e4)
    p = tl.exp(below)
    g = -p * tl.load(coefficient + row)
    if ENTROPY:
        g -= p * tl.load(entropy_coefficient + row) * (below + tl.load(entropy + row))
    g = tl.where(cols == tl.load(target + row), tl.load(at_target + row), g) * slope
    tl.store(out + row * stride_o + cols, narrow(g, out.dtype.element_ty), mask=inside)
