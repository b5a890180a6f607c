"""What a model knows by now of its teacher's programs, by category and language: until when a warm start must go on.

The loss does not tell it: one language of one category that is not understood at all (the corners of `area` in nsl,
say) is a fortieth of it, less than what batches differ by, and GRPO takes long to teach what few samples get right.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from torch import Tensor

from nsrl.data.source import Demonstration
from nsrl.engines.languages import LANGUAGES
from nsrl.models.pack import PackedBatch

ROWS = 40  # demonstrations of a category in a language that its share is of
_SURE = math.log(0.5)  # a token above it is the likeliest one, whatever the others are


class Learned:
    """Shares of known demonstrations. kept: of a checkpoint, and changed as the model learns; by CATEGORY/LANGUAGE
    whether each of the latest `ROWS` was known (1) or not (0)."""

    def __init__(self, kept: dict[str, list[int]]) -> None:
        self.kept = kept

    def see(self, seen: Iterable[tuple[str, bool]]) -> None:
        """seen: `cell` of each demonstration, and whether it was known."""
        for name, knew in seen:
            if name:
                self.kept[name] = [*self.kept.get(name, []), int(knew)][-ROWS:]

    def worst(self) -> float | None:
        """The share of the least known category and language, 0 to 1, where fewer than `ROWS` were seen as if the
        others were not known; None where no program was seen."""
        return min((sum(values) / ROWS for values in self.kept.values()), default=None)


def cell(demonstration: Demonstration) -> str:
    """CATEGORY/LANGUAGE of a program; "" of what is none, and of a picture that the teacher misread, which cannot be
    known."""
    counts = demonstration.language in LANGUAGES and not demonstration.wrong
    return f"{demonstration.problem.category}/{demonstration.language}" if counts else ""


def known(batches: Sequence[PackedBatch], logps: Sequence[Tensor]) -> list[bool]:
    """Of every completion, in the order in which they were packed, whether the model gives each token a probability
    above a half but the first, which is the choice of a language. logps: of each batch's completion tokens, (N,)."""
    found: dict[int, bool] = {}
    for batch, logp in zip(batches, logps, strict=True):
        sure, ends = (logp > _SURE).tolist(), batch.cu_completions.tolist()
        for row, start, end in zip(batch.rows.tolist(), ends, ends[1:]):
            found[row] = all(sure[start + 1 : end])
    return [found[row] for row in sorted(found)]
