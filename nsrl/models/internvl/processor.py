"""InternVL's image processor is told here how many tiles it cuts, and written as `AutoProcessor` and vLLM read it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nsrl.errors import UserError


def bound_tiles(processor: Any, least: int | None, most: int | None) -> None:
    """Have a picture cut into whole tiles of at least and at most so many pixels, the overview not counted.

    Raises `UserError` where no number of tiles is between them.
    """
    tile = processor.size["height"] * processor.size["width"]
    if most is not None and most < tile:
        raise UserError(f"model.max_pixels must be at least {tile:,}, one tile of an InternVL's pictures; got {most:,}")
    few, many = -(-least // tile) if least else None, most // tile if most else None
    own = processor.min_patches, processor.max_patches
    processor.min_patches = few or min(own[0], many or own[0])
    processor.max_patches = many or max(own[1], few or own[1])
    if processor.min_patches > processor.max_patches:
        raise UserError(
            f"model.min_pixels and model.max_pixels must have a whole number of tiles of {tile:,} pixels between "
            f"them; got {least:,} and {most:,}"
        )


def save_processor(folder: Path, tokenizer: Any, image_processor: Any, image_seq_length: int) -> None:
    """Write tokenizer, chat template, image and video preprocessing, and the processor that holds them together.

    image_seq_length: visual tokens of a tile.
    """
    tokenizer.save_pretrained(folder)
    image_processor.save_pretrained(folder)
    path = folder / "preprocessor_config.json"
    own = {"processor_class": "InternVLProcessor"}
    image = json.loads(path.read_text()) | {"image_processor_type": "GotOcr2ImageProcessor"} | own
    video = {key: image[key] for key in ("size", "image_mean", "image_std")}
    video |= {"video_processor_type": "InternVLVideoProcessor"} | own
    processor = own | {"image_seq_length": image_seq_length}
    for name, values in (("preprocessor", image), ("video_preprocessor", video), ("processor", processor)):
        (folder / f"{name}_config.json").write_text(json.dumps(values, indent=1) + "\n")
