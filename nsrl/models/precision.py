"""Learning in 16 bits needs fp32 masters and gradients beside the weights; this says which."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def is_short(p: torch.Tensor) -> bool:
    """Whether a weight has fewer bits than its updates need."""
    return p.dtype in (torch.bfloat16, torch.float16)


def gradients_in_fp32(weights: Sequence[torch.nn.Parameter]) -> None:
    """Have autograd widen and add up the gradients of 16-bit weights in fp32, over all micro-batches of a step."""
    for p in weights:
        if is_short(p):
            p.grad_dtype = torch.float32


def bytes_held(weights: Sequence[torch.nn.Parameter]) -> dict[str, int]:
    """What learning these weights holds beside them, by kind: masters, gradients, and AdamW's two moments."""
    wide = [p.numel() * max(4, p.element_size()) for p in weights if p.requires_grad]
    masters = [4 * p.numel() for p in weights if p.requires_grad and is_short(p)]
    return {"fp32 master weights": sum(masters), "gradients": sum(wide), "optimizer state": 2 * sum(wide)}
