"""People compute mRoPE wrongly in known ways: each is done here on purpose to transformers' own forward, so that it can
be recognised."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from nsrl.models.family import Fault


def _positions(change: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Any, dict[str, Tensor]], dict[str, Tensor]]:
    """Inputs of the forward with positions (3, 1, T) changed; `change` also gets where image tokens are (T,)."""

    def changed(family: Any, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        kinds = inputs["mm_token_type_ids"]
        right, _ = family.base.model.get_rope_index(
            inputs["input_ids"], kinds, image_grid_thw=inputs.get("image_grid_thw")
        )
        return {**inputs, "position_ids": change(right, kinds[0].bool())}

    return changed


def as_text(positions: Tensor, image: Tensor) -> Tensor:
    """0, 1, 2, … on all three axes of positions (3, 1, T), images (T,) or not."""
    return torch.arange(positions.shape[-1], device=positions.device).expand_as(positions)


def by_product(positions: Tensor, image: Tensor) -> Tensor:
    """Text behind an image pushed on to image start + number of image tokens, the image's own axes left as they are."""
    count = torch.arange(positions.shape[-1], device=positions.device)
    moved = torch.where(image, positions, count.expand_as(positions))
    start = torch.zeros_like(count)
    opens = image & ~torch.cat([image.new_zeros(1), image[:-1]])
    for at in opens.nonzero()[:, 0].tolist():
        start[at:] = count[at] - positions[0, 0, at]
    return torch.where(image, moved + start, moved)


def time_only(positions: Tensor, image: Tensor) -> Tensor:
    """The first of three axes (3, 1, T) on all of them."""
    return positions[:1].expand_as(positions)


@contextlib.contextmanager
def _laid_out(family: Any, lay: Callable[[Tensor, list[int]], Tensor]) -> Iterator[None]:
    """The rotary module's output with the axes of the angles (3, B, T, d/2) laid out in another way."""
    rotary = family.text.rotary_emb

    def instead(module: Any, args: tuple, output: Any) -> tuple[Tensor, Tensor]:
        x, positions = args
        angles = positions.expand(3, -1, -1)[..., None].float() * module.inv_freq
        laid = lay(angles, list(module.mrope_section))
        both = torch.cat([laid, laid], -1)
        return (both.cos() * module.attention_scaling).to(x.dtype), (both.sin() * module.attention_scaling).to(x.dtype)

    handle = rotary.register_forward_hook(instead)
    try:
        yield
    finally:
        handle.remove()


def blocks(family: Any) -> AbstractContextManager[None]:
    """The axes in blocks of mrope_section, as Qwen2-VL lays them out."""
    return _laid_out(
        family, lambda angles, sections: torch.cat([part[i] for i, part in enumerate(angles.split(sections, -1))], -1)
    )


def interleaved(family: Any) -> AbstractContextManager[None]:
    """The axes in turn, as Qwen3-VL lays them out."""

    def lay(angles: Tensor, sections: list[int]) -> Tensor:
        laid = angles[0].clone()
        for axis in (1, 2):
            laid[..., axis : 3 * sections[axis] : 3] = angles[axis][..., axis : 3 * sections[axis] : 3]
        return laid

    return _laid_out(family, lay)


POSITIONS = [
    Fault("wrong mRoPE: the {} counts image tokens as if they were text (positions on one axis)", _positions(as_text)),
    Fault(
        "wrong mRoPE: the {} resumes text behind an image at + rows × columns, not + max(rows, columns)",
        _positions(by_product),
    ),
    Fault("wrong mRoPE: the {} gives image tokens the time axis alone (mrope_section lost?)", _positions(time_only)),
]
INTERLEAVED = [
    *POSITIONS,
    Fault(
        "wrong mRoPE: the {} lays the three axes out in blocks, not interleaved (mrope_interleaved lost?)",
        within=blocks,
    ),
]
BLOCKS = [
    *POSITIONS,
    Fault("wrong mRoPE: the {} interleaves the three axes, which this model has in blocks", within=interleaved),
]
