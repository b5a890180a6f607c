"""Components become one total per completion, before anything is compared within groups: a weighted sum, or otherwise.

A function of `(components, batch)`: components are R rows of K numbers, raw, NaN where one does not apply; the batch
has their `names` and `weights`. It returns R totals, None for a completion that counts nowhere.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

from nsrl.errors import UserError, did_you_mean
from nsrl.rewards.batch import RewardBatch
from nsrl.userfiles import load

Combine = Callable[[list[list[float]], RewardBatch], Any]
SUM = "sum"  # the weighted sum, which the advantages take themselves
EPSILON = 1e-4  # TRL's


def gdpo(components: Sequence[Sequence[float]], batch: RewardBatch) -> list[float | None]:
    """Each component normalised within its group, (x - mean) / (std + 1e-4), then their weighted sum.

    GDPO (arXiv 2601.05242), as TRL's multi_objective_aggregation="normalize_then_sum" with `scale_rewards=batch`; a
    component that does not apply counts as its group's mean.
    """
    totals: list[float | None] = [None] * len(batch)
    for rows in batch.groups():
        for k, weight in enumerate(batch.weights):
            given = [i for i in rows if not math.isnan(components[i][k])]
            values = [components[i][k] for i in given]
            if not values:
                continue
            mean, scale = _mean_and_scale(values)
            for i, value in zip(given, values):
                totals[i] = (totals[i] or 0.0) + weight * (value - mean) / scale
    return totals


def by_member(components: Sequence[Sequence[float]], batch: RewardBatch) -> list[float | None]:
    """Weighted sums, normalised among the completions of a group that are called alike (`members`): (r - mean) / (std +
    1e-4), 0 of one that is alone. With `scale_rewards=none` these are the advantages."""
    totals: list[float | None] = [None] * len(batch)
    for rows in batch.groups():
        for name in dict.fromkeys(batch.members[i] for i in rows):
            own = [i for i in rows if batch.members[i] == name and not all(map(math.isnan, components[i]))]
            sums = [sum(w * v for w, v in zip(batch.weights, components[i]) if not math.isnan(v)) for i in own]
            mean, scale = _mean_and_scale(sums)
            for i, value in zip(own, sums):
                totals[i] = (value - mean) / scale
    return totals


def _mean_and_scale(values: Sequence[float]) -> tuple[float, float]:
    """(mean, std + 1e-4), with n - 1; inf without spread, where what is left of the differences is rounding."""
    if not values or max(values) == min(values):
        return 0.0, math.inf
    mean = sum(values) / len(values)
    return mean, math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1)) + EPSILON


COMBINES: dict[str, Combine] = {"gdpo": gdpo, "by_member": by_member}


def resolve(spec: str | Combine) -> tuple[str, Combine] | None:
    """(name, function) of a way to combine; None for the weighted sum. Raises `UserError`."""
    if callable(spec):
        return getattr(spec, "__name__", type(spec).__name__), spec
    if spec == SUM:
        return None
    if ":" in spec:
        name, function = load(spec, "combine")
        try:
            inspect.signature(function).bind(None, None)
        except TypeError:
            given = inspect.signature(function)
            raise UserError(f"combine: {name!r} must take components and batch; it takes {given}") from None
        return name, function
    if spec not in COMBINES:
        names = [SUM, *COMBINES]
        raise UserError(
            f"combine must be one of {', '.join(names)}, or file.py:function; got {spec!r}" + did_you_mean(spec, names)
        )
    return spec, COMBINES[spec]
