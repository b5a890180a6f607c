"""`QwenVL` is what Qwen2.5-VL, Qwen3-VL and Qwen3-VL-MoE have in common of a `Family`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from nsrl.errors import UserError
from nsrl.models.family import Family, Fault, right_padded
from nsrl.models.prompt import Prompt, PromptImage
from nsrl.models.qwen_vl import faults, processor
from nsrl.models.qwen_vl.patches import to_pictures
from nsrl.models.qwen_vl.pictures import QwenPictures
from nsrl.models.qwen_vl.positions import prompt_positions


class QwenVL(Family):
    """A vision tower over rows of patches, merged two by two; rotary positions on three axes (mRoPE)."""

    tower_names = ("visual",)
    patch: ClassVar[int] = 16
    small_tokens = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
    small_picture = "<|vision_start|><|image_pad|><|vision_end|>"
    config_class: ClassVar[Any]
    processor_class: ClassVar[str]
    video_processor_class: ClassVar[str]

    @classmethod
    def load_processor(cls, source: str) -> Any:
        """See `Family.load_processor`. Raises `OSError` where the checkpoint has no preprocessor_config.json."""
        return Qwen2VLImageProcessorPil.from_pretrained(source)

    @classmethod
    def small_processor(cls) -> Any:
        """Pictures from one visual token to 256 keep their size, rounded to whole tokens."""
        token = (2 * cls.patch) ** 2
        return Qwen2VLImageProcessorPil(
            patch_size=cls.patch,
            merge_size=2,
            temporal_patch_size=2,
            min_pixels=token,
            max_pixels=256 * token,
            image_mean=[0.5, 0.5, 0.5],
            image_std=[0.5, 0.5, 0.5],
        )

    @classmethod
    @abstractmethod
    def small_parts(cls) -> tuple[dict[str, Any], dict[str, Any]]:
        """What the small model's text and vision configurations say beside what all of these families do."""

    @classmethod
    def small_config(cls, tokenizer: Any, vocabulary: int) -> Any:
        """See `Family.small_config`: `small_parts` on top of what the three families share."""
        own_text, own_vision = cls.small_parts()
        ids = tokenizer.convert_tokens_to_ids
        text = {
            "vocab_size": vocabulary,
            "hidden_size": 96,
            "intermediate_size": 256,
            "num_hidden_layers": 3,
            "num_attention_heads": 3,
            "num_key_value_heads": 1,
            "max_position_embeddings": 4096,
            "initializer_range": 0.06,
            "tie_word_embeddings": True,
            "pad_token_id": tokenizer.pad_token_id,
        }
        vision = {
            "depth": 2,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_heads": 2,
            "patch_size": cls.patch,
            "temporal_patch_size": 2,
            "spatial_merge_size": 2,
            "out_hidden_size": 96,
            "initializer_range": 0.06,
        }
        config = cls.config_class(
            text_config=text | own_text,
            vision_config=vision | own_vision,
            image_token_id=ids("<|image_pad|>"),
            video_token_id=ids("<|video_pad|>"),
            vision_start_token_id=ids("<|vision_start|>"),
            vision_end_token_id=ids("<|vision_end|>"),
            tie_word_embeddings=True,
        )
        config.text_config.eos_token_id = tokenizer.eos_token_id
        return config

    def pictures(self, processor: Any) -> QwenPictures:
        """See `Family.pictures`."""
        return QwenPictures(processor)

    def bound_pictures(self, processor: Any, least: int | None, most: int | None) -> None:
        """See `Family.bound_pictures`. The bound that was not given makes way for the one that was."""
        size = dict(processor.size)
        own = size["shortest_edge"], size["longest_edge"]
        size["shortest_edge"] = least or min(own[0], most or own[0])
        size["longest_edge"] = most or max(own[1], least or own[1])
        processor.size = size
        room = self.positions * (processor.patch_size * processor.merge_size) ** 2
        if size["shortest_edge"] >= room:
            raise UserError(
                f"model.min_pixels must be below {room:,}, or no picture fits the model's positions; got {least}"
            )

    def save_processor(self, folder: Path, tokenizer: Any, image_processor: Any) -> None:
        """See `Family.save_processor`: with a video processor's file, without which `AutoProcessor` does not load."""
        processor.save_processor(folder, tokenizer, image_processor, self.processor_class, self.video_processor_class)

    @property
    def merge(self) -> int:
        """See `Family.merge`."""
        return self.config.vision_config.spatial_merge_size

    @property
    def control_tokens(self) -> dict[str, int]:
        """See `Family.control_tokens`: placeholders of pictures and videos, and the marks around them."""
        return {
            "<|image_pad|>": self.config.image_token_id,
            "<|video_pad|>": self.config.video_token_id,
            "<|vision_start|>": self.config.vision_start_token_id,
            "<|vision_end|>": self.config.vision_end_token_id,
        }

    def prompt_positions(self, prompt: Prompt) -> tuple[np.ndarray, int]:
        """See `Family.prompt_positions` and `positions.py`. Raises `UserError` where placeholders and pictures do not
        match."""
        return prompt_positions(prompt.ids, [image.grid for image in prompt.images], self.image_token_id, self.merge)

    def see(self, pixels: Tensor, grids: Tensor) -> tuple[Tensor, list[Tensor]]:
        """See `Family.see`: what is added (n, D) are DeepStack's features, where the family has them."""
        # the tower itself: what transformers' get_image_features splits by image differs by version
        out = self.base.model.visual(pixels, grid_thw=grids)
        return out.pooler_output, list(getattr(out, "deepstack_features", None) or [])

    def smallest_picture(self) -> tuple[Tensor, Tensor]:
        """See `Family.smallest_picture`: the patches of one visual token."""
        vision, side = self.config.vision_config, self.merge
        width = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
        black = torch.zeros(side * side, width, dtype=self.tower_dtype, device=self.device)
        return black, torch.tensor([[1, side, side]], device=self.device)

    def padded_inputs(
        self, rows: Sequence[Sequence[int]], prompts: Sequence[Prompt], pad_token_id: int
    ) -> dict[str, Tensor]:
        """See `Family.padded_inputs`: mm_token_type_ids marks the placeholders of prompts alone."""
        out = right_padded(rows, pad_token_id)
        ids, prompt = out["input_ids"], torch.tensor([len(p.ids) for p in prompts])
        images = [image for p in prompts for image in p.images]
        kinds = (ids == self.image_token_id) & (torch.arange(ids.shape[1]) < prompt[:, None])
        out["mm_token_type_ids"] = kinds.int()
        if images:
            out["pixel_values"] = torch.cat([image.patches for image in images])
            out["image_grid_thw"] = torch.tensor([image.grid for image in images])
        return out

    def faults(self) -> list[Fault]:
        """See `Family.faults`: those that are faults whatever the layout of the axes."""
        return faults.POSITIONS

    def to_pictures(self, images: Sequence[PromptImage], processor: Any) -> list[Any]:
        """See `Family.to_pictures`. Raises `UserError` where the patches are no 8-bit pictures."""
        vision = self.config.vision_config
        return to_pictures(
            torch.cat([image.patches for image in images]),
            [image.grid for image in images],
            patch=vision.patch_size,
            temporal=vision.temporal_patch_size,
            merge=self.merge,
            mean=processor.image_mean,
            std=processor.image_std,
        )

    def engine_processor(self, processor: Any) -> dict[str, Any]:
        """Pictures arrive resized, and none of those is touched again: below nothing, above what the run's own
        allows."""
        return {"size": {"shortest_edge": 1, "longest_edge": processor.size["longest_edge"]}}
