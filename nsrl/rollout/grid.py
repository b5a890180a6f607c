"""Live samples are laid out for decoding as a grid: N rows × W slots, every row a prompt, its slots samples of that
prompt.

A wide grid reads a prompt's cache once for many samples but leaves holes when groups have shrunk unequally; a narrow
one has no holes but repeats prompts. `lay_out` weighs the two. Plain Python, without tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# What a slot costs beside its attention over the prompt, in prompt tokens: linears, norms and the draw. Measured once
# on the small model; the choice is flat around the optimum.
_SLOT_COST = 32
_WORTH = 0.9  # share of its slots to which a grid must shrink for the move: moving copies the whole cache


@dataclass(frozen=True)
class Grid:
    """row_prompt: prompt of each row; slot_sample: sample of each slot, row by row, -1 for a hole; width: W."""

    row_prompt: list[int]
    slot_sample: list[int]
    width: int

    @property
    def slots(self) -> int:
        """Slots in all rows, holes included: what a decode step computes."""
        return len(self.slot_sample)


def size(counts: Sequence[int], prompt_length: int) -> tuple[int, int]:
    """(rows, width) of the cheapest grid for counts[p] samples of prompt p."""
    sizes = [(sum(-(-count // width) for count in counts), width) for width in range(1, max(counts, default=0) + 1)]
    return min(sizes, key=lambda of: of[0] * (prompt_length + of[1] * _SLOT_COST), default=(0, 1))


def lay_out(live: Sequence[Sequence[int]], prompt_length: int) -> Grid:
    """The cheapest grid for live[p], the samples of prompt p that still run; prompts without any get no row."""
    _, width = size([len(samples) for samples in live], prompt_length)
    row_prompt: list[int] = []
    slot_sample: list[int] = []
    for prompt, samples in enumerate(live):
        for start in range(0, len(samples), width):
            row_prompt.append(prompt)
            part = list(samples[start : start + width])
            slot_sample += part + [-1] * (width - len(part))
    return Grid(row_prompt, slot_sample, width)


def shrunk(grid: Grid, live: Sequence[Sequence[int]], prompt_length: int) -> Grid | None:
    """The grid for what still runs if the move to it is worth its copies, else None."""
    rows, width = size([len(samples) for samples in live], prompt_length)
    return lay_out(live, prompt_length) if rows * width <= _WORTH * grid.slots else None


def moves(old: Grid, new: Grid) -> tuple[list[int], list[int]]:
    """Where the new grid's rows and slots lie in the old one (a hole takes slot 0: what it computes is never read)."""
    row_of = {prompt: row for row, prompt in enumerate(old.row_prompt)}
    slot_of = {sample: slot for slot, sample in enumerate(old.slot_sample)}
    return [row_of[p] for p in new.row_prompt], [slot_of[s] if s >= 0 else 0 for s in new.slot_sample]
