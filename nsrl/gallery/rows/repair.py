"""`shapes` whose teacher breaks a program in three, the last bracket of it, and mends it once it was told."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from nsrl.data.generator import Item
from nsrl.data.shapes import ShapesGenerator
from nsrl.data.turns import Observation, Said
from nsrl.engines.extract import Extracted
from nsrl.engines.result import Result, Status
from nsrl.types import Problem

SHARE = 1 / 3
CLOSING = "}])"


def message(
    problem: Problem, extracted: Extracted, result: Result | None, history: Sequence[Said]
) -> Observation | None:
    """How a program without a value ended; None, which is the end, for one that has a value."""
    return None if result is None or result.has_value else Observation(f"error: {result.status.value}")


class Broken(ShapesGenerator):
    """`shapes` with such demonstrations."""

    def demonstrate(self, item: Item, language: str, rng: Random, wrong: bool) -> str:
        """See `Generator`: without turns nobody tells."""
        return self._told(item, language, rng, wrong)[0]

    def converse(self, item: Item, language: str, rng: Random, wrong: bool) -> Sequence[tuple[str, Observation | None]]:
        """See `Generator`."""
        said, mended = self._told(item, language, rng, wrong)
        if mended is None:
            return [(said, None)]
        return [(said, Observation(f"error: {Status.SYNTAX.value}")), (mended, None)]

    def _told(self, item: Item, language: str, rng: Random, wrong: bool) -> tuple[str, str | None]:
        """What is written first, and where that is broken what mends it."""
        whole = super().demonstrate(item, language, rng, wrong)
        at = max(whole.rfind(sign) for sign in CLOSING)
        if language not in ("nsl", "wolfram", "sympy") or at < 0 or rng.random() >= SHARE:
            return whole, None
        return whole[:at] + whole[at + 1 :], whole
