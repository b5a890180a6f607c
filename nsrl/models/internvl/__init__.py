"""InternVL has a tower that sees tiles of one size, a projector, and a language model whose positions count tokens."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

from nsrl.errors import UserError
from nsrl.models.family import Family, Fault, right_padded
from nsrl.models.internvl.pictures import TiledPictures
from nsrl.models.internvl.processor import bound_tiles, save_processor
from nsrl.models.internvl.small import small_config
from nsrl.models.pictures import picture_of
from nsrl.models.prompt import Prompt, PromptImage
from nsrl_kernels import PackPlan

START, CONTEXT, END, VIDEO = "<img>", "<IMG_CONTEXT>", "</img>", "<video>"
LANGUAGE_MODELS = ("qwen2", "qwen3", "llama")  # whose layers `decoder.walk` knows


class InternVL(Family):
    """transformers' `InternVLForConditionalGeneration`. A grid is (tiles, rows, columns), tile after tile."""

    model_type = "internvl"
    title = "InternVL"
    class_name = "InternVLForConditionalGeneration"
    tower_names = ("vision_tower", "multi_modal_projector")
    small_tokens = (START, END, CONTEXT, VIDEO)
    small_token_names = {
        "start_image_token": START, "end_image_token": END, "context_image_token": CONTEXT, "video_token": VIDEO,
    }  # fmt: skip
    small_picture = CONTEXT + "\n"

    @classmethod
    def require_supported(cls, config: Any) -> None:
        """See `Family.require_supported`: also where the language model is none of LANGUAGE_MODELS."""
        kind = config.text_config.model_type
        if kind not in LANGUAGE_MODELS:
            raise UserError(
                f"model: an InternVL's language model must be one of {', '.join(LANGUAGE_MODELS)}; got {kind!r}"
            )
        super().require_supported(config)

    @classmethod
    def load_processor(cls, source: str) -> Any:
        """See `Family.load_processor`. Raises `OSError` where the checkpoint has no preprocessor_config.json."""
        return GotOcr2ImageProcessorPil.from_pretrained(source)

    @classmethod
    def small_processor(cls) -> Any:
        """Tiles of 32 × 32 pixels, which are 4 visual tokens."""
        return GotOcr2ImageProcessorPil(
            size={"height": 32, "width": 32}, image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225]
        )

    @classmethod
    def small_config(cls, tokenizer: Any, vocabulary: int) -> Any:
        """See `Family.small_config`: Qwen2's language model, biases and all, below a tower with layer scales."""
        return small_config(tokenizer, vocabulary)

    def pictures(self, processor: Any) -> TiledPictures:
        """See `Family.pictures`. Raises `UserError` where the processor's tiles are not of the tower's size."""
        sides, own = (processor.size["height"], processor.size["width"]), tuple(self.config.vision_config.image_size)
        if sides != own:
            raise UserError(f"the image processor must make tiles of the tower's size {own}; got {sides}")
        return TiledPictures(processor, self._patch, self.merge)

    def bound_pictures(self, processor: Any, least: int | None, most: int | None) -> None:
        """In whole tiles, the overview not counted."""
        bound_tiles(processor, least, most)
        tile = processor.size["height"] * processor.size["width"]
        room = self.positions // (tile // (self._patch * self.merge) ** 2)
        if processor.min_patches >= room:
            raise UserError(
                f"model.min_pixels must be below {room * tile:,}, or no picture fits the model's positions; got {least}"
            )

    def save_processor(self, folder: Path, tokenizer: Any, image_processor: Any) -> None:
        """See `Family.save_processor`: with a video processor's file, without which `AutoProcessor` does not load."""
        save_processor(folder, tokenizer, image_processor, self.config.image_seq_length)

    @property
    def merge(self) -> int:
        """See `Family.merge`: how far the pixel shuffle folds a tile's rows and columns."""
        return round(1 / self.config.downsample_ratio)

    @property
    def _patch(self) -> int:
        return self.config.vision_config.patch_size[0]

    @property
    def control_tokens(self) -> dict[str, int]:
        """See `Family.control_tokens`: the placeholder alone. The marks around it are the tokenizer's (`marks`)."""
        return {CONTEXT: self.config.image_token_id}

    def marks(self, tokenizer: Any) -> list[int]:
        """See `Family.marks`: start and end of a picture, and the placeholder of a video."""
        known = tokenizer.get_vocab()
        return [known[token] for token in (START, END, VIDEO) if token in known]

    def expand(self, tokens: int, tokenizer: Any) -> list[int]:
        """As transformers' `InternVLProcessor` writes a picture: between its marks."""
        start, end = tokenizer.convert_tokens_to_ids([START, END])
        return [start, *super().expand(tokens, tokenizer), end]

    def prompt_positions(self, prompt: Prompt) -> tuple[np.ndarray, int]:
        """Positions count tokens, on all three axes alike."""
        wanted = (
            sum(tiles * rows * columns for tiles, rows, columns in (i.grid for i in prompt.images)) // self.merge**2
        )
        found, length = list(prompt.ids).count(self.image_token_id), len(prompt.ids)
        if found != wanted:
            raise UserError(
                f"prompt_ids must hold {wanted} image placeholders (id {self.image_token_id}) for "
                f"{len(prompt.images)} images; got {found}"
            )
        return np.tile(np.arange(length, dtype=np.int64), (3, 1)), length

    def stream_positions(self, plan: PackPlan) -> Tensor:
        """From the bounds of the sequences: a completion's first row is at its prompt's length."""
        cu = plan.cu_seqlens_q
        row = torch.arange(plan.row_map.numel(), device=cu.device, dtype=cu.dtype)
        sequence = torch.searchsorted(cu[1:], row, right=True)
        parent = plan.parent[sequence]
        before = torch.where(parent == sequence, 0, cu[1:][parent] - cu[parent])
        return (row - cu[sequence] + before).expand(3, -1)

    def rotary(self, positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """See `Family.rotary`: of the first axis, for the language model has one."""
        return super().rotary(positions[0], dtype)

    def see(self, pixels: Tensor, grids: Tensor) -> tuple[Tensor, list[Tensor]]:
        """See `Family.see`: a tile's tokens row by row, tile after tile; nothing is added behind decoder layers."""
        out = self.base.model.get_image_features(
            pixel_values=self._tiles(pixels),
            vision_feature_layer=self.config.vision_feature_layer,
            vision_feature_select_strategy=self.config.vision_feature_select_strategy,
            return_dict=True,
        )
        return out.pooler_output.flatten(0, 1), []

    def _tiles(self, pixels: Tensor) -> Tensor:
        """(tiles, 3, height, width) of rows of patches, tile after tile."""
        (height, width), side = self.config.vision_config.image_size, self._patch
        rows = pixels.view(-1, height // side, width // side, 3, side, side)
        return rows.permute(0, 3, 1, 4, 2, 5).reshape(-1, 3, height, width)

    def smallest_picture(self) -> tuple[Tensor, Tensor]:
        """See `Family.smallest_picture`: one tile."""
        (height, width), side = self.config.vision_config.image_size, self._patch
        rows, columns = height // side, width // side
        tower: Any = self.towers[0]
        black = torch.zeros(rows * columns, 3 * side * side, dtype=tower.dtype, device=self.device)
        return black, torch.tensor([[1, rows, columns]], device=self.device)

    def padded_inputs(
        self, rows: Sequence[Sequence[int]], prompts: Sequence[Prompt], pad_token_id: int
    ) -> dict[str, Tensor]:
        """See `Family.padded_inputs`: pixel_values is (tiles, 3, height, width), absent where no row has a picture."""
        images = [image for p in prompts for image in p.images]
        shown = {"pixel_values": self._tiles(torch.cat([image.patches for image in images]))} if images else {}
        return right_padded(rows, pad_token_id) | shown

    def faults(self) -> list[Fault]:
        """See `Family.faults`: the pixel shuffle of InternVL's first version."""
        return [
            Fault(
                "wrong pixel shuffle: the {} leaves the tokens of a tile transposed (ps_version v1)", within=_transposed
            )
        ]

    def to_pictures(self, images: Sequence[PromptImage], processor: Any) -> list[Any]:
        """See `Family.to_pictures`. Raises `UserError` for a picture of several tiles."""
        if any(image.grid[0] != 1 for image in images):
            tile = processor.size["height"] * processor.size["width"]
            raise UserError(
                "rollout=vllm cuts pictures itself and would make another overview of one of several tiles: "
                f"InternVL needs model.max_pixels={tile} there, or rollout=native"
            )
        tiles = self._tiles(torch.cat([image.patches for image in images])).permute(0, 2, 3, 1).double().cpu().numpy()
        return [picture_of(tile, processor.image_mean, processor.image_std) for tile in tiles]

    def engine_processor(self, processor: Any) -> dict[str, Any]:
        """See `Family.engine_processor`: one tile, so that nothing is cut again."""
        return {"min_patches": 1, "max_patches": 1}


@contextlib.contextmanager
def _transposed(family: Any) -> Iterator[None]:
    """Rows and columns not swapped back behind the pixel shuffle."""
    model, right = family.base.model, family.base.model.pixel_shuffle
    model.pixel_shuffle = lambda features, scale_factor=0.5: right(features, scale_factor).transpose(1, 2).contiguous()
    try:
        yield
    finally:
        del model.pixel_shuffle
