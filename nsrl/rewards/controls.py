"""Control experiments on rewards: shuffled (no information left), and flipped (a robustness check of the stack)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any


def shuffled(values: Sequence[Any], group_sizes: Sequence[int], seed: int, step: int) -> list[Any]:
    """`values` (rewards or rows of components) permuted within each group: the spread stays, the information goes."""
    rng = random.Random(f"shuffled/{seed}/{step}")
    out: list[Any] = []
    for size in group_sizes:
        part = list(values[len(out) : len(out) + size])
        rng.shuffle(part)
        out.extend(part)
    return out


def flipped(correct: Sequence[bool | None], share: float, seed: int, step: int, round_: int = 0) -> list[bool | None]:
    """`correct` with this share of its entries turned round (the noise test: 0.4 should still learn).

    round_: of dynamic sampling; each draws its own.
    """
    rng = random.Random(f"flipped/{seed}/{step}" + (f"/{round_}" if round_ else ""))
    return [c if c is None or rng.random() >= share else not c for c in correct]
