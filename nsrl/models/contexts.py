"""A context says how the same tokens are scored: under the policy, without its adapter, under older weights, or without
sight."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from nsrl.errors import UserError


@dataclass(frozen=True)
class Context:
    """Under what the same tokens are scored.

    adapter: False scores with the LoRA adapter off. frozen: with the weights of `Policy.frozen` in place of those that
    learn (the reference model of an adapter that had learned before). images: "black" paints image patches black,
    "noise" adds Gaussian noise of standard deviation sigma to normalised pixels; the number of visual tokens is
    unchanged. share: the fraction of patches that this happens to. Patches and noise are drawn by (seed, step, key of
    the image, patch) alone, so they are the same in any batch, on any rank, in any context.
    """

    adapter: bool = True
    frozen: bool = False
    images: Literal["real", "black", "noise"] = "real"
    share: float = 1.0
    sigma: float = 0.4
    seed: int = 0
    step: int = 0


POLICY = Context()
ADAPTER_OFF = Context(adapter=False)
FROZEN = Context(frozen=True)
BLANK_IMAGES = Context(images="black")


@contextlib.contextmanager
def adapter_off(model: Any) -> Iterator[None]:
    """The model without its adapter for the length of the block. Raises `UserError` where it has none."""
    if not hasattr(model, "disable_adapter"):
        raise UserError("scoring with the adapter off needs a LoRA model; this policy has no adapter")
    frozen = [p for p in model.parameters() if not p.requires_grad]
    try:
        with model.disable_adapter():
            yield
    finally:  # peft has everything of the adapter learn when it comes back, also what was frozen
        for p in frozen:
            p.requires_grad_(False)


@contextlib.contextmanager
def weights_replaced(model: torch.nn.Module, weights: dict[str, Tensor] | None) -> Iterator[None]:
    """`weights`, by parameter name, in the parameters' places for the length of the block.

    What the parameters point at is exchanged: nothing is copied. Raises `ValueError` where there are no weights, and
    where a gradient would be computed, which would be theirs.
    """
    if weights is None or torch.is_grad_enabled():
        raise ValueError("the frozen weights are for scoring without a gradient, once Policy.frozen is set")
    parameters = dict(model.named_parameters())
    learned = {name: parameters[name].data for name in weights}
    try:
        for name, tensor in weights.items():
            parameters[name].data = tensor
        yield
    finally:
        for name, tensor in learned.items():
            parameters[name].data = tensor
