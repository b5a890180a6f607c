"""A packed batch's pictures become visual tokens before the decoder, once for every distinct picture."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Hashable, Sequence

import torch
from torch import Tensor

from nsrl.models.contexts import Context
from nsrl.models.family import Family
from nsrl.models.pack import PackedBatch


def encode(
    family: Family, batch: PackedBatch, context: Context, black: Sequence[float]
) -> tuple[Tensor | None, list[Tensor]]:
    """Visual tokens (n, D) of the distinct pictures, and what is added behind the first decoder layers (n, D).

    (None, []) without pictures. black: a black pixel by channel, for contexts that paint. What the real pictures give
    is kept on the batch for the step's further passes where nothing that sees learns.
    """
    if batch.pixel_values is None:
        return None, []
    trains = family.tower_trains
    names = [name for tower in family.towers for name, _ in tower.named_parameters()]
    adapted = any("lora_" in name or "modules_to_save." in name for name in names)
    weights = (context.adapter, context.frozen) if adapted else ()
    key, keeps = ("vision", family, weights), context.images == "real" and not trains
    if keeps and key in batch.kept:
        return batch.kept[key]
    pixels = altered(batch.pixel_values, batch.image_names, context, black)
    with contextlib.nullcontext() if trains else torch.no_grad():
        encoded = family.see(pixels.to(family.tower_dtype), batch.distinct_grid)
    if keeps:
        batch.kept[key] = encoded
    return encoded


def altered(pixels: Tensor, names: Sequence[tuple[Hashable, int]], context: Context, black: Sequence[float]) -> Tensor:
    """pixels (patches, C) of distinct pictures as a context shows them.

    names: of each picture its key and its number of patches, in order; the draw of a picture's patches needs no more.
    """
    if context.images == "real":
        return pixels
    chosen, noise = [], []
    for key, count in names:
        words = repr((context.seed, context.step, key)).encode()
        drawn = torch.Generator().manual_seed(int.from_bytes(hashlib.blake2b(words, digest_size=7).digest(), "big"))
        chosen.append(torch.rand(count, generator=drawn) < context.share)
        if context.images == "noise":
            noise.append(torch.randn(count, pixels.shape[1], generator=drawn))
    here = torch.cat(chosen)[:, None].to(pixels.device)
    if context.images == "noise":
        return pixels + context.sigma * here * torch.cat(noise).to(pixels)
    each = pixels.shape[1] // len(black)  # a patch is laid out channel by channel
    return torch.where(here, pixels.new_tensor(black).repeat_interleave(each), pixels)


def zero_through_tower(family: Family) -> Tensor:
    """Zero, through every parameter of the tower: a batch without images then has the gradients of the other ranks."""
    rows, added = family.see(*family.smallest_picture())
    return 0.0 * (rows.sum() + sum(f.sum() for f in added))
