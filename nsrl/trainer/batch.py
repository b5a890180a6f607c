"""From what the model room encodes to what the sampler and the packer take. Knows nothing of losses."""

from __future__ import annotations

from collections.abc import Sequence

from nsrl.rollout.types import Images, Request
from nsrl.trainer.model import Encoded
from nsrl.trainer.pack import PackedGroup, PromptImage


def packed_group(encoded: Encoded, completions: Sequence[Sequence[int]], name: str) -> PackedGroup:
    """One prompt with its completions, as the packer takes it."""
    images: list[PromptImage] = []
    if encoded.image_grid_thw is not None and encoded.pixel_values is not None:
        sizes = encoded.image_grid_thw.prod(-1).tolist()
        for key, grid, pixels in zip(
            encoded.image_keys, encoded.image_grid_thw.tolist(), encoded.pixel_values.split(sizes)
        ):
            images.append(PromptImage(pixels, tuple(grid), key))
    return PackedGroup(encoded.prompt_ids, completions, images, name)


def request(encoded: Encoded, n: int, seed: int, problem: int) -> Request:
    """The same prompt as a request to a sampler."""
    images = None
    if encoded.image_grid_thw is not None and encoded.pixel_values is not None:
        images = Images(encoded.pixel_values, encoded.image_grid_thw, encoded.image_keys)
    return Request(encoded.prompt_ids, images, n=n, seed=seed, problem=problem)
