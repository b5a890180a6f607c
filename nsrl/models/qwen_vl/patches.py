"""Patches become pictures again here, for an engine that has an image processor of its own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image

from nsrl.errors import UserError
from nsrl.models.pictures import picture_of


def to_pictures(
    pixel_values: torch.Tensor,
    grids: Sequence[Sequence[int]],
    *,
    patch: int,
    temporal: int,
    merge: int,
    mean: Sequence[float],
    std: Sequence[float],
) -> list[Image.Image]:
    """The resized RGB pictures behind Qwen's patch rows (n_patches, 3 * temporal * patch²), image after image.

    Raises UserError when the rows are not those of 8-bit still pictures normalised with mean and std.
    """
    pictures, at = [], 0
    for t, h, w in grids:
        rows = pixel_values[at : at + t * h * w].double().cpu().numpy()
        at += t * h * w
        if t != 1:
            raise UserError(f"image_grid_thw must have t = 1 for a still picture; got {(t, h, w)}")
        blocks = rows.reshape(h // merge, w // merge, merge, merge, 3, temporal, patch, patch)[:, :, :, :, :, 0]
        # (row block, column block, row in block, column in block, channel, y, x) -> (y, x, channel)
        planes = blocks.transpose(0, 2, 5, 1, 3, 6, 4).reshape(h * patch, w * patch, 3)
        pictures.append(picture_of(planes, mean, std))
    return pictures
