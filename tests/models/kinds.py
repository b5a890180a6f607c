"""Small random models of every family, of its own small configuration, and pictures of random patches for them."""

from types import SimpleNamespace
from typing import Any

import torch

from nsrl.models.prompt import PromptImage
from nsrl.models.registry import FAMILIES, family_class, family_of

KINDS = tuple(FAMILIES)
ROLES = {  # of a family's control tokens, in one order
    "image": ("<|image_pad|>", "<IMG_CONTEXT>"),
    "start": ("<|vision_start|>", "<img>"),
    "end": ("<|vision_end|>", "</img>"),
    "video": ("<|video_pad|>", "<video>"),
}


def build(
    kind: str,
    seed: int,
    vocabulary: int,
    *,
    pad: int,
    eos: int,
    spread: float,
    dtype=torch.float32,
    ids: dict[str, int],
    **text,
) -> Any:
    """A model with nothing in it that is one or zero by default: norms, biases and positions are random too."""
    names = {token: ids[role] for role, tokens in ROLES.items() for token in tokens}
    family = family_class(kind)
    config = family.small_config(
        SimpleNamespace(convert_tokens_to_ids=names.__getitem__, pad_token_id=pad, eos_token_id=eos), vocabulary
    )
    for part in (config.text_config, config.vision_config):
        part.initializer_range = spread
    for name, value in text.items():
        setattr(config.text_config, name, value)
    if "num_hidden_layers" in text and getattr(config.text_config, "layer_types", None):
        config.text_config.layer_types = config.text_config.layer_types[: text["num_hidden_layers"]]
    torch.manual_seed(seed)  # what is drawn behind it, adapters for instance, follows the seed too
    model = family.model_class()._from_config(config, dtype=torch.float32, attn_implementation="sdpa").to(dtype).eval()
    with torch.no_grad():
        for p in model.parameters():
            if p.ndim == 1 or not p.any():
                p.add_(0.2 * torch.randn_like(p))
    return model


def grid(kind: str, rows: int, columns: int) -> tuple[int, int, int]:
    """Patches in time, height and width of a picture of about rows × columns visual tokens."""
    return (max(1, rows * columns // 4), 4, 4) if kind == "internvl" else (1, 2 * rows, 2 * columns)


def patch(kind: str) -> tuple[int, int]:
    """(frames, side) of the small model's patches."""
    return {"internvl": (1, 8), "qwen2_5_vl": (2, 14)}.get(kind, (2, 16))


def random_picture(kind: str, rng: torch.Generator, rows: int, columns: int, key: Any) -> PromptImage:
    """Of Gaussian patches."""
    shape, (frames, side) = grid(kind, rows, columns), patch(kind)
    count = shape[0] * shape[1] * shape[2]
    return PromptImage(key, shape, torch.randn(count, 3 * frames * side * side, generator=rng) * 0.5)


def tiles(image: PromptImage) -> torch.Tensor:
    """(tiles, 3, height, width) of a picture's rows of patches, by torch's own `fold`."""
    count, rows, columns = image.grid
    side = int((image.pixels.shape[1] // 3) ** 0.5)
    rows_of = image.pixels.view(count, rows * columns, -1).transpose(1, 2)
    return torch.nn.functional.fold(rows_of, (rows * side, columns * side), kernel_size=side, stride=side)


def has_deepstack(model: Any) -> bool:
    family = family_of(model)
    return bool(family.see(*family.smallest_picture())[1])
