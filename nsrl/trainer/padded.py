"""The same numbers the usual way: transformers' own forward on a padded batch, one row per completion.

The oracle of the packed policy's tests and the rival of its speed ratio. Prompt and image are computed once per
completion here, as everyone else does. Knows nothing of packing beyond reading the groups.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nsrl.trainer.pack import PackedGroup


def padded_inputs(groups: Sequence[PackedGroup], image_token_id: int, pad_token_id: int = 0) -> dict[str, Tensor]:
    """Keyword arguments of `Qwen3VLForConditionalGeneration.forward`: right-padded rows, images repeated per row."""
    rows = [[*g.prompt_ids, *c] for g in groups for c in g.completions]
    width = max(map(len, rows))
    ids = torch.tensor([r + [pad_token_id] * (width - len(r)) for r in rows])
    mask = torch.arange(width) < torch.tensor([len(r) for r in rows])[:, None]
    prompt = torch.tensor([len(g.prompt_ids) for g in groups for _ in g.completions])
    images = [i for g in groups for _ in g.completions for i in g.images]
    kinds = (ids == image_token_id) & (torch.arange(width) < prompt[:, None])
    out = {"input_ids": ids, "attention_mask": mask.long(), "mm_token_type_ids": kinds.int()}
    if images:
        out["pixel_values"] = torch.cat([i.pixel_values for i in images])
        out["image_grid_thw"] = torch.tensor([i.grid_thw for i in images])
    return out


def padded_hidden(model: nn.Module, groups: Sequence[PackedGroup], image_token_id: int, pad_token_id: int = 0) -> Tensor:
    """(N, H): the hidden states that predict the completions' tokens, rows one after the other in the order given.

    model: `Qwen3VLForConditionalGeneration` or a PeftModel of it; its `model` part runs, no logits are made.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    inputs = {k: v.to(base.device) for k, v in padded_inputs(groups, image_token_id, pad_token_id).items()}
    hidden = base.model(**inputs, use_cache=False).last_hidden_state
    start = torch.tensor([len(g.prompt_ids) - 1 for g in groups for _ in g.completions])
    size = torch.tensor([len(c) for g in groups for c in g.completions])
    j = torch.arange(hidden.shape[1])
    wanted = (j >= start[:, None]) & (j < (start + size)[:, None])
    return hidden[wanted.to(hidden.device)]
