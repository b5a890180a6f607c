"""This writes the files from which transformers' `AutoProcessor` and vLLM build a Qwen-VL processor: text, images and
video.

transformers needs torchvision for that processor; nsrl itself reads the tokenizer and the image processor alone, which
does not.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_SHARED = ("patch_size", "temporal_patch_size", "merge_size", "image_mean", "image_std")


def save_processor(folder: Path, tokenizer: Any, image_processor: Any, processor_class: str, video_class: str) -> None:
    """Write tokenizer, chat template, image and video preprocessing, and the processor that holds them together."""
    tokenizer.save_pretrained(folder)
    image_processor.save_pretrained(folder)
    path = folder / "preprocessor_config.json"
    image = json.loads(path.read_text())
    image |= {"image_processor_type": "Qwen2VLImageProcessor", "processor_class": processor_class}
    video = {key: image[key] for key in _SHARED if key in image}
    video |= {"video_processor_type": video_class, "processor_class": processor_class}
    processor = {"processor_class": processor_class}
    for name, values in (("preprocessor", image), ("video_preprocessor", video), ("processor", processor)):
        (folder / f"{name}_config.json").write_text(json.dumps(values, indent=1) + "\n")
