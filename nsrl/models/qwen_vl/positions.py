"""This computes a prompt's positions in the three-axis rotary embedding of the Qwen-VL families (mRoPE).

Text counts one position per token on all three axes; an image starting at position s covers (s, s + row, s + column),
and the text behind it resumes at s + max(rows, columns), not at s + rows * columns. Written apart from transformers'
get_rope_index so that the two can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nsrl.errors import UserError


def prompt_positions(
    prompt_ids: Sequence[int], grids: Sequence[tuple[int, int, int]], image_token_id: int, merge: int
) -> tuple[np.ndarray, int]:
    """(3, len(prompt_ids)) int64 positions, and the position of the first token behind the prompt.

    grids: (t, h, w) of each image in patches, in order of appearance; merge: the vision tower's spatial merge size.
    Raises UserError when the placeholders are not exactly those the grids ask for.
    """
    ids = np.asarray(prompt_ids)
    is_image = ids == image_token_id
    wanted = sum(t * (h // merge) * (w // merge) for t, h, w in grids)
    if int(is_image.sum()) != wanted:
        raise UserError(
            f"prompt_ids must hold {wanted} image placeholders (id {image_token_id}) for {len(grids)} images; "
            f"got {int(is_image.sum())}"
        )
    positions = np.empty((3, len(ids)), dtype=np.int64)
    at, position = 0, 0
    for t, h, w in grids:
        rows, columns = h // merge, w // merge
        start = at + int(np.argmax(is_image[at:]))
        positions[:, at:start] = position + np.arange(start - at)
        position += start - at
        at = start + t * rows * columns
        if not is_image[start:at].all():
            raise UserError(f"prompt_ids must hold each image's placeholders without a gap; broken after token {start}")
        positions[:, start:at] = position + np.indices((t, rows, columns)).reshape(3, -1)
        position += max(rows, columns)
    positions[:, at:] = position + np.arange(len(ids) - at)
    return positions, position + len(ids) - at
