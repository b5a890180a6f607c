"""Qwen's pictures are resized to whole visual tokens within the processor's bounds and cut into rows of patches."""

from __future__ import annotations

from typing import Any

import numpy as np
from transformers.image_utils import SizeDict
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

from nsrl.errors import UserError
from nsrl.models.pictures import Pictures


class QwenPictures(Pictures):
    """processor: a `Qwen2VLImageProcessorPil`; its own resize rule and its own patches."""

    def __init__(self, processor: Any, **options: Any) -> None:
        super().__init__(processor, **options)
        self.merge = processor.merge_size

    def grid(self, size: tuple[int, int], name: str = "image") -> tuple[int, int, int]:
        """(1, rows, columns): see `Pictures.grid`."""
        width, height = size
        processor, limits = self.processor, self.processor.size
        try:
            rows, columns = smart_resize(
                height, width, processor.patch_size * processor.merge_size,
                limits["shortest_edge"], limits["longest_edge"],
            )  # fmt: skip
        except ValueError as error:  # too long and thin
            raise UserError(f"{name} of {width}x{height} pixels cannot be shown to the model: {error}") from None
        if not rows or not columns:
            raise UserError(f"{name} of {width}x{height} pixels is too small to be shown to the model")
        return 1, rows // processor.patch_size, columns // processor.patch_size

    def resized(self, picture: Any) -> np.ndarray:
        """(3, height, width): see `Pictures.resized`."""
        processor, limits = self.processor, self.processor.size
        return processor.resize(
            np.moveaxis(np.asarray(picture), -1, 0),
            size=SizeDict(shortest_edge=limits["shortest_edge"], longest_edge=limits["longest_edge"]),
            resample=processor.resample,
            factor=processor.patch_size * processor.merge_size,
        )

    def patched(self, pixels: np.ndarray) -> np.ndarray:
        """See `Pictures.patched`."""
        out = self.processor(
            images=[pixels],
            do_resize=False,
            do_convert_rgb=False,
            input_data_format="channels_first",
            return_tensors="np",
        )
        return out["pixel_values"]

    def sizes(self, size: tuple[int, int]) -> tuple[int, int]:
        """See `Pictures.sizes`."""
        _, rows, columns = self.grid(size)
        pixels = 3 * rows * columns * self.processor.patch_size**2
        return pixels, 4 * self.processor.temporal_patch_size * pixels
