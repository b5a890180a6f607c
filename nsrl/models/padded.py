"""This gives the same numbers the usual way: transformers' own forward on a padded batch, one row per completion.

The oracle of the packed policy's tests and the rival of its speed ratio. Prompt and image are computed once per
completion here, as everyone else does.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nsrl.models.pack import Group
from nsrl.models.prompt import Prompt
from nsrl.models.registry import family_of


def padded_inputs(model: nn.Module, groups: Sequence[Group], pad_token_id: int = 0) -> dict[str, Tensor]:
    """Keyword arguments of the model's forward: right-padded rows, images repeated per row."""
    rows = [[*g.prompt.ids, *c] for g in groups for c in g.completions]
    prompts = [
        Prompt([*g.prompt.ids, *c], images=(*g.prompt.images, *images)) if images else g.prompt
        for g in groups
        for c, images in zip(g.completions, g.images or [()] * len(g.completions))
    ]
    return family_of(model).padded_inputs(rows, prompts, pad_token_id)


def padded_hidden(model: nn.Module, groups: Sequence[Group], pad_token_id: int = 0) -> Tensor:
    """(N, H): the hidden states that predict the tokens that the policy wrote, rows one after the other in the order
    given.

    model: a model of a known family or a PeftModel of it; its `model` part runs, no logits are made.
    """
    base = family_of(model).base
    inputs = {k: v.to(base.device) for k, v in padded_inputs(model, groups, pad_token_id).items()}
    hidden = base.model(**inputs, use_cache=False).last_hidden_state
    start = torch.tensor([len(g.prompt.ids) - 1 for g in groups for _ in g.completions])
    size = torch.tensor([len(c) for g in groups for c in g.completions])
    j = torch.arange(hidden.shape[1])
    wanted = (j >= start[:, None]) & (j < (start + size)[:, None])
    masks = [mask for g in groups for mask in g.masks or [None] * len(g.completions)]
    for row, mask in enumerate(masks):
        if mask is not None:
            wanted[row, start[row] : start[row] + size[row]] &= torch.tensor(mask)
    return hidden[wanted.to(hidden.device)]
