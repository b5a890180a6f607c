"""A packed batch's pictures become visual tokens before the decoder, once for every distinct picture."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import torch
from torch import Tensor

from nsrl.models.contexts import Context
from nsrl.models.family import Family
from nsrl.models.pack import PackedBatch


def encode(
    family: Family, batch: PackedBatch, context: Context, black: Sequence[float]
) -> tuple[Tensor | None, list[Tensor]]:
    """Visual tokens (n, D) of the distinct pictures, and what is added behind the first decoder layers (n, D).

    (None, []) without pictures. black: a black pixel by channel, for contexts that paint. Kept on the batch for the
    step's further passes where nothing that sees learns.
    """
    if batch.pixel_values is None:
        return None, []
    trains = family.tower_trains
    names = [name for tower in family.towers for name, _ in tower.named_parameters()]
    adapted = any("lora_" in name or "modules_to_save." in name for name in names)
    weights = (context.adapter, context.frozen) if adapted else ()
    key = ("vision", family, context.images, context.share, context.seed, weights)
    if not trains and key in batch.kept:
        return batch.kept[key]
    pixels = batch.pixel_values
    if context.images == "black":
        chosen = torch.rand(pixels.shape[0], generator=torch.Generator().manual_seed(context.seed)) < context.share
        each = pixels.shape[1] // len(black)  # a patch is laid out channel by channel
        painted = pixels.new_tensor(black).repeat_interleave(each)
        pixels = torch.where(chosen[:, None].to(pixels.device), painted, pixels)
    with contextlib.nullcontext() if trains else torch.no_grad():
        encoded = family.see(pixels.to(family.tower_dtype), batch.distinct_grid)
    if not trains:
        batch.kept[key] = encoded
    return encoded


def zero_through_tower(family: Family) -> Tensor:
    """Zero, through every parameter of the tower: a batch without images then has the gradients of the other ranks."""
    rows, added = family.see(*family.smallest_picture())
    return 0.0 * (rows.sum() + sum(f.sum() for f in added))
