"""`pack_vision`: the plan of a packed stream, the gather that fills it, and DeepStack's add by index.

Nothing of size [tokens, hidden] is made but the packed stream itself: no mask is expanded, no image row is repeated for
the completions that share it, no position is computed in Python. Knows nothing of models; `reference.py` is the
definition.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from nsrl_kernels.pack_vision import reference


class PackPlan(NamedTuple):
    """Where everything of a packed stream comes from. All int32, on the device of the token ids.

    row_map (T,): ≥ 0 a row of the embedding table, otherwise −1 − row of the vision tower's output.
    positions (3, T): mRoPE's temporal, height and width positions.
    cu_seqlens_q, cu_seqlens_k (S+1,): query and key bounds of each sequence, for varlen attention.
    kv_index (total_kv,): the stream row of every key: a prompt's own rows; for a completion the prompt's, then its own.
    visual_rows, visual_src (total_visual,): DeepStack's map, stream row ← row of the vision tower's output.
    image_slot (I,): which distinct image each image is, counted in order of first use.
    """

    row_map: Tensor
    positions: Tensor
    cu_seqlens_q: Tensor
    cu_seqlens_k: Tensor
    kv_index: Tensor
    visual_rows: Tensor
    visual_src: Tensor
    image_slot: Tensor


def pack_vision(
    token_ids: Tensor, cu_seqlens: Tensor, parent: Tensor, cu_images: Tensor, image_grid: Tensor, image_key: Tensor,
    *, image_token_id: int, merge: int, total_visual: int, total_kv: int,
) -> PackPlan:  # fmt: skip
    """Plan of a packed stream of T tokens in S sequences with I images; no host synchronisation.

    token_ids (T,) int32; cu_seqlens (S+1,) int32; parent (S,) int32, a completion's prompt sequence (which comes before
    it) or the sequence itself for a prompt; cu_images (S+1,) int32, images of each sequence; image_grid (I, 3) int32,
    patches in time, height, width; image_key (I,) int32, equal for equal images. image_token_id marks visual rows in
    prompts; merge is the tower's spatial merge size. total_visual and total_kv are the host's sums of visual rows and
    of keys (they are the lengths of outputs).
    Raises ValueError naming the argument. Positions follow transformers' `get_rope_index`: text after an image resumes
    at its start + max(height, width).
    """
    I, S = image_key.numel(), parent.numel()
    for name, x, shape in (
        ("token_ids", token_ids, (token_ids.numel(),)),
        ("cu_seqlens", cu_seqlens, (S + 1,)),
        ("parent", parent, (S,)),
        ("cu_images", cu_images, (S + 1,)),
        ("image_grid", image_grid, (I, 3)),
        ("image_key", image_key, (I,)),
    ):
        if x.dtype != torch.int32 or tuple(x.shape) != shape:
            raise ValueError(f"pack_vision: {name} must be int32 of shape {shape}; got {x.dtype} {tuple(x.shape)}")
        if x.device != token_ids.device:
            raise ValueError(f"pack_vision: {name} must be on {token_ids.device} like token_ids; got {x.device}")
    row_map, positions, cu_k, kv_index, rows, src, slot = reference.plan(
        token_ids, cu_seqlens, parent, image_grid, image_key, image_token_id, merge, total_visual, total_kv
    )
    return PackPlan(row_map, positions, cu_seqlens, cu_k, kv_index, rows, src, slot)


def pack_embed(table: Tensor, visual: Tensor | None, plan: PackPlan) -> Tensor:
    """(T, D): the packed embeddings. table (V, D), visual (rows, D) of the distinct images or None."""
    if visual is None:
        visual = table.new_empty(0, table.shape[1])
    return reference.gather(table, visual, plan.row_map)


def deepstack_add(hidden: Tensor, feature: Tensor, plan: PackPlan) -> Tensor:
    """hidden (T, D) with feature (rows, D) added at the visual rows."""
    return hidden.index_add(0, plan.visual_rows, feature.index_select(0, plan.visual_src).to(hidden.dtype))
