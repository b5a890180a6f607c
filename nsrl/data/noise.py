"""Pictures made harder to see by three knobs: contrast, a covered cell, pixel noise. A function of (seed, picture).

The noise field, and which cell is covered, are the same at every strength, so that two strengths can be compared on the
same problems.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import Any

from nsrl.types import ImageRef

MARK = "~"  # in a key, before what disturbs the picture


@dataclass(frozen=True)
class Noise:
    """How much. sigma: standard deviation of each channel of each pixel, in levels of 255; occlusion: share of one
    drawn cell (32 x 32 pixels) that is covered with the background's grey, 0 to 1; contrast: what is left of the
    difference from that grey, 1 (all) to 0 (an empty picture)."""

    sigma: float = 0.0
    occlusion: float = 0.0
    contrast: float = 1.0

    def __str__(self) -> str:
        return f"noise {self.sigma:g}, occlusion {self.occlusion:g}, contrast {self.contrast:g}"


CLEAN = Noise()


def disturbed(clean: ImageRef, noise: Noise, seed: int) -> ImageRef:
    """The same picture as `noise` leaves it, of the same size."""
    key = f"{clean.key}{MARK}{noise.sigma!r}/{noise.occlusion!r}/{noise.contrast!r}/{seed}"
    return ImageRef(key, partial(_open, clean, noise, seed), clean.size)


def clean_key(key: str) -> str:
    """The key of the picture before it was disturbed."""
    return key.partition(MARK)[0]


def _open(clean: ImageRef, noise: Noise, seed: int) -> Any:
    import numpy as np
    from PIL import Image

    from nsrl.data.shapes.draw import CELL, GREY  # shapes is made by what disturbs it

    pixels = np.asarray(clean.open(), dtype=np.float64)
    digest = hashlib.sha256(f"noise/{seed}/{clean.key}".encode()).digest()
    rng = np.random.RandomState(int.from_bytes(digest[:4], "big"))  # its stream is frozen for ever
    place, field = rng.random_sample(), rng.standard_normal(pixels.shape)
    cells = [
        (top, left)
        for top in range(0, pixels.shape[0], CELL)
        for left in range(0, pixels.shape[1], CELL)
        if np.ptp(pixels[top : top + CELL, left : left + CELL], axis=(0, 1)).any()
    ]
    side = round(CELL * noise.occlusion**0.5)
    grey = np.array(GREY, dtype=np.float64)
    if side and cells:
        top, left = cells[int(place * len(cells))]
        top, left = top + (CELL - side) // 2, left + (CELL - side) // 2
        pixels[top : top + side, left : left + side] = grey
    pixels = grey + noise.contrast * (pixels - grey) + noise.sigma * field
    return Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8))
