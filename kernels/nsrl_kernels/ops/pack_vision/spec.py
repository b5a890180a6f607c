"""What a packed stream is given as, and the plan made from it. Letters: T tokens, S sequences, I images, H hidden
size."""

from typing import NamedTuple

from torch import Tensor


class Stream(NamedTuple):
    """The tensors that describe a stream, all int32 on one device."""

    token_ids: Tensor  # [T]
    cu_seqlens: Tensor  # [S + 1] bounds of the sequences
    parent: Tensor  # [S] a completion's prompt sequence, or the sequence itself for a prompt
    cu_images: Tensor  # [S + 1] bounds of each sequence's images; a completion has none
    image_grid: Tensor  # [I, 3] patches in time, height, width
    image_key: Tensor  # [I] equal for equal images


class Numbers(NamedTuple):
    """What describes it beside them; the totals are the lengths of outputs, so they cannot come from the device."""

    image_token_id: int  # marks the visual rows of prompts
    merge: int  # the tower's spatial merge size
    total_visual: int  # visual rows of the stream
    total_kv: int  # keys of all sequences
    backend: str


class PackPlan(NamedTuple):
    """Where everything of a packed stream comes from. All int32, on the device of the token ids."""

    row_map: Tensor  # [T] ≥ 0: a row of the embedding table; else −1 − row of the vision tower's output
    positions: Tensor  # [3, T] mRoPE's temporal, height and width positions
    cu_seqlens_q: Tensor  # [S + 1] query bounds of each sequence, for varlen attention
    cu_seqlens_k: Tensor  # [S + 1] key bounds
    kv_index: (
        Tensor  # [total_kv] the stream row of every key: a prompt's own; for a completion the prompt's, then its own
    )
    visual_rows: Tensor  # [total_visual] DeepStack's map: stream row ←
    visual_src: Tensor  # [total_visual] row of the vision tower's output
    image_slot: Tensor  # [I] which distinct image each image is, counted in order of first use
    parent: Tensor  # [S] as given
