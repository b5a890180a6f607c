"""InternVL's pictures are cut into tiles of one size, with an overview behind them where there are several."""

from __future__ import annotations

from typing import Any

import numpy as np
from transformers.image_utils import SizeDict
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import get_optimal_tiled_canvas

from nsrl.models.pictures import Pictures, grid_cells


class TiledPictures(Pictures):
    """processor: a `GotOcr2ImageProcessorPil`, its own rule and resize; patch: the side of the tower's patches."""

    def __init__(self, processor: Any, patch: int, merge: int, **options: Any) -> None:
        super().__init__(processor, **options)
        self.patch, self.merge = patch, merge
        self.height, self.width = processor.size["height"], processor.size["width"]
        self.tile = SizeDict(height=self.height, width=self.width)

    def grid(self, size: tuple[int, int], name: str = "image") -> tuple[int, int, int]:
        """(tiles, rows, columns): see `Pictures.grid`. Every picture can be shown."""
        return self._tiles(size), self.height // self.patch, self.width // self.patch

    def resized(self, picture: Any) -> np.ndarray:
        """(tiles, 3, height, width): see `Pictures.resized`."""
        processor, pixels = self.processor, np.moveaxis(np.asarray(picture), -1, 0)
        if self._tiles(picture.size) == 1:
            return processor.resize(pixels, self.tile, resample=processor.resample)[None]
        least, most = processor.min_patches, processor.max_patches
        return np.stack(
            processor.crop_image_to_patches(pixels, least, most, patch_size=self.tile, resample=processor.resample)
        )

    def patched(self, pixels: np.ndarray) -> np.ndarray:
        """See `Pictures.patched`; a row is (3, patch, patch), as Qwen's rows without their frames."""
        out = self.processor(
            images=list(pixels), do_resize=False, crop_to_patches=False, do_convert_rgb=False,
            input_data_format="channels_first", return_tensors="np",
        )  # fmt: skip
        tiles, side = out["pixel_values"], self.patch
        count, channels, height, width = tiles.shape
        cut = tiles.reshape(count, channels, height // side, side, width // side, side)
        return np.ascontiguousarray(cut.transpose(0, 2, 4, 1, 3, 5).reshape(-1, channels * side * side))

    def sizes(self, size: tuple[int, int]) -> tuple[int, int]:
        """See `Pictures.sizes`."""
        pixels = 3 * self._tiles(size) * self.height * self.width
        return pixels, 4 * pixels

    def cells(self, size: tuple[int, int]) -> np.ndarray:
        """See `Pictures.cells`: those of the tiles, then those of the overview, which see the whole once more."""
        side = self.patch * self.merge
        within = grid_cells(self.height // side, self.width // side)
        columns, rows = self._canvas(size)
        if columns * rows == 1:
            return within
        corner, count = grid_cells(rows, columns)[:, None, :2], np.array([columns, rows] * 2)
        return np.concatenate([(np.tile(corner, 2) + within / count).reshape(-1, 4), within])

    def _tiles(self, size: tuple[int, int]) -> int:
        """Tiles of a picture of (width, height), the overview counted."""
        columns, rows = self._canvas(size)
        return 1 if columns * rows == 1 else columns * rows + 1

    def _canvas(self, size: tuple[int, int]) -> tuple[int, int]:
        """Columns and rows of tiles of a picture of (width, height)."""
        processor, (width, height) = self.processor, size
        if processor.max_patches <= 1:
            return 1, 1
        return get_optimal_tiled_canvas(
            (height, width), (self.height, self.width), processor.min_patches, processor.max_patches
        )
