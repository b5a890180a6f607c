"""A fingerprint of weights shows that what was handed over is what arrived, bit for bit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor, nn

_INTS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


_CHUNK = 1 << 24  # elements widened to 64 bits at a time


def fingerprint(tensor: Tensor) -> tuple[int, int]:
    """Two 64-bit sums over the tensor's bits, the second weighted by place, computed where the tensor lives.

    Sums of integers modulo 2^64, so exact and the same on every device; a change of any bit, and of two elements'
    order, changes them.
    """
    flat = tensor.detach().contiguous().view(_INTS[tensor.element_size()]).flatten()
    plain = torch.zeros((), dtype=torch.int64, device=flat.device)
    placed = plain.clone()
    for start in range(0, flat.numel(), _CHUNK):
        bits = flat[start : start + _CHUNK].long()
        place = torch.arange(start, start + bits.numel(), device=bits.device) % 65521 + 1
        plain += bits.sum()
        placed += (bits * place).sum()
    return int(plain), int(placed)


def checksum(tensors: Mapping[str, Tensor]) -> str:
    """16 hex digits over names, shapes, dtypes and `fingerprint`s, whatever the mapping's order. Meta tensors raise."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype} {fingerprint(tensor)}\n".encode())
    return digest.hexdigest()[:16]


def policy_checksum(policy: nn.Module) -> str:
    """Checksum of what learning can change: the parameters that require a gradient, or all when none does."""
    named = dict(policy.named_parameters())
    return checksum({k: p for k, p in named.items() if p.requires_grad} or named)
