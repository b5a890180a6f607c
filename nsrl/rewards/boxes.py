"""Boxes and stretches of time: read out of a text, and measured. A box is (x1, y1, x2, y2), in whatever unit; never
raises for model text."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any

Box = tuple[float, float, float, float]
MOST = 100  # boxes that are read in a text; pairing costs the square of it, and the cube at worst
_NUMBER = r"\s*(-?\d{1,9}(?:\.\d{0,9})?)\s*"
_BOX = re.compile(rf"[\[(]{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}[\])]")


def read(said: Any) -> list[Box]:
    """The boxes in a text, or in what a gold says: one, a list of them, or mappings with a `bbox`, `bbox_2d` or `box`.

    Those without an extent (x2 <= x1 or y2 <= y1) are none.
    """
    text = said if isinstance(said, str) else json.dumps(said, default=str)
    found = [tuple(float(n) for n in numbers) for numbers in _BOX.findall(text[-20_000:])[:MOST]]
    return [(a, b, c, d) for a, b, c, d in found if c > a and d > b]


def iou(one: Sequence[float], other: Sequence[float]) -> float:
    """What two boxes share, of what they cover together."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0.0, wide) * max(0.0, high)
    area = lambda box: (box[2] - box[0]) * (box[3] - box[1])
    together = area(one) + area(other) - shared
    return shared / together if together > 0 else 0.0


def first(text: Any, gold: Any) -> float | None:
    """The IoU of the first box said with the first of the gold; 0 without one, None without a gold box."""
    wanted, said = read(gold), read(text)
    return None if not wanted else iou(said[0], wanted[0]) if said else 0.0


def interval_iou(one: Sequence[float], other: Sequence[float]) -> float:
    """The same of two stretches (from, to)."""
    return iou((one[0], 0, one[1], 1), (other[0], 0, other[1], 1))


def pairs(found: Sequence[Box], gold: Sequence[Box], least: float = 0.0) -> list[tuple[int, int, float]]:
    """(of found, of gold, their IoU) of one with one, the largest first, above `least`."""
    all_pairs = ((iou(f, g), i, j) for i, f in enumerate(found) for j, g in enumerate(gold))
    taken_found: set[int] = set()
    taken_gold: set[int] = set()
    out: list[tuple[int, int, float]] = []
    for value, i, j in sorted(all_pairs, key=lambda pair: (-pair[0], pair[1], pair[2])):
        if value > least and i not in taken_found and j not in taken_gold:
            taken_found.add(i)
            taken_gold.add(j)
            out.append((i, j, value))
    return out


def matched(worth: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """The pairing of rows with columns, as many as the shorter side has, whose sum of `worth` is largest.

    Shortest augmenting paths with potentials (Jonker and Volgenant's form of the Hungarian method), O(n^3).
    """
    rows, columns = len(worth), len(worth[0]) if worth else 0
    if rows > columns:
        return sorted((i, j) for j, i in matched([[worth[i][j] for i in range(rows)] for j in range(columns)]))
    of_row, of_column = [0.0] * (rows + 1), [0.0] * (columns + 1)  # potentials; 0 is the column that starts a path
    holder = [0] * (columns + 1)  # the row, from 1, that a column is paired with
    for row in range(1, rows + 1):
        holder[0], column = row, 0
        shortest, before = [math.inf] * (columns + 1), [0] * (columns + 1)
        done = [False] * (columns + 1)
        while holder[column]:
            done[column], at, step, following = True, holder[column], math.inf, 0
            for j in range(1, columns + 1):
                if not done[j]:
                    cost = -worth[at - 1][j - 1] - of_row[at] - of_column[j]
                    if cost < shortest[j]:
                        shortest[j], before[j] = cost, column
                    if shortest[j] < step:
                        step, following = shortest[j], j
            for j in range(columns + 1):
                if done[j]:
                    of_row[holder[j]] += step
                    of_column[j] -= step
                else:
                    shortest[j] -= step
            column = following
        while column:
            holder[column], column = holder[before[column]], before[column]
    return sorted((holder[j] - 1, j - 1) for j in range(1, columns + 1) if holder[j])


def average_precision(found: Sequence[Box], scores: Sequence[float], gold: Sequence[Box], least: float) -> float:
    """Area below precision over recall, all points, made to fall (VOC 2010): the surest box first, each a hit where it
    has an IoU of at least `least` with a gold one that no surer box has taken."""
    taken: set[int] = set()
    hits: list[bool] = []
    for i in sorted(range(len(found)), key=lambda i: -scores[i]):
        free = [(iou(found[i], g), -j) for j, g in enumerate(gold) if j not in taken]
        value, j = max(free, default=(0.0, 0))
        hits.append(bool(free) and value >= least)
        if hits[-1]:
            taken.add(-j)
    precision = [sum(hits[: n + 1]) / (n + 1) for n in range(len(hits))]
    envelope = [max(precision[n:]) for n in range(len(hits))]
    return sum(value for value, hit in zip(envelope, hits) if hit) / len(gold) if gold else 0.0
