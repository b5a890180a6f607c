"""A prompt has one shape from encoding through sampling to packing: token ids, and its pictures by reference."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from torch import Tensor

from nsrl.errors import UserError


@dataclass(frozen=True, eq=False)
class PromptImage:
    """One picture of a prompt, as the image processor made it.

    key: identity of the content: pictures with one key are encoded once, however often they occur. grid: patches in
    time, height and width. pixels: (patches, C) float32, referred to and never copied; None where they did not travel
    (`VLM.with_pixels` makes them again).
    """

    key: Hashable
    grid: tuple[int, int, int]
    pixels: Tensor | None

    def __post_init__(self) -> None:
        if self.pixels is not None and self.pixels.shape[0] != prod(self.grid):
            raise UserError(
                f"pixels of an image must have {prod(self.grid)} patches (grid {'×'.join(map(str, self.grid))}); "
                f"got {tuple(self.pixels.shape)}"
            )

    @property
    def patches(self) -> Tensor:
        """Its pixels, of one that has them."""
        assert self.pixels is not None, "a prompt without its pixels came to where they are needed"
        return self.pixels

    def __getstate__(self) -> dict[str, Any]:
        """What another process gets: everything but the pixels, which it can make itself."""
        return {**self.__dict__, "pixels": None}


@dataclass(frozen=True, eq=False)
class Prompt:
    """What the model is shown.

    ids: token ids with one placeholder per visual token. template_ids: the same with one placeholder per picture, as an
    engine with an image processor of its own wants them. images: in the order of their placeholders. name: what an
    error calls this row of the data.
    """

    ids: Sequence[int]
    template_ids: Sequence[int] = ()
    images: tuple[PromptImage, ...] = ()
    name: str | None = None

    @property
    def has_pixels(self) -> bool:
        """Whether every picture has its pixels (true of a prompt without pictures)."""
        return all(image.pixels is not None for image in self.images)


@dataclass(frozen=True, eq=False)
class ShownImage(PromptImage):
    """A picture that came into a conversation by observation: no problem has it, so its pixels travel with it."""

    def __getstate__(self) -> dict[str, Any]:
        """All of it."""
        return dict(self.__dict__)
