"""The adapters' dropout is off, but for passes that ask for it: its masks are drawn from the pass's name alone."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import nn


class AdapterDropout:
    """The dropout modules of a model's parts (the model itself has none). seed: of every mask, with the pass's name."""

    def __init__(self, parts: Iterable[nn.Module], seed: int) -> None:
        self.seed = seed
        self._modules = {part: _of(part) for part in parts}

    def __bool__(self) -> bool:
        return any(self._modules.values())

    @contextlib.contextmanager
    def drawn(self, name: Sequence[int | str], device: torch.device) -> Iterator[None]:
        """The device's random state seeded from the name and the seed, and put back after."""
        digest = hashlib.blake2b(repr((self.seed, *name)).encode(), digest_size=7).digest()
        seed, cuda = int.from_bytes(digest), device.type == "cuda"
        with torch.random.fork_rng(devices=[device] if cuda else []):
            (torch.cuda.manual_seed if cuda else torch.default_generator.manual_seed)(seed)
            yield

    @contextlib.contextmanager
    def acting(self, *parts: nn.Module) -> Iterator[None]:
        """Dropout of these parts acts inside the block; everywhere else the policy is one function."""
        modules = [module for part in parts for module in self._modules[part]]
        for module in modules:
            module.train()
        try:
            yield
        finally:
            for module in modules:
                module.eval()


def _of(part: nn.Module) -> list[nn.Module]:
    return [m for name, m in part.named_modules() if "lora_dropout" in name and isinstance(m, nn.Dropout) and m.p > 0]
