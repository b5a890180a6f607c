"""Boxes against what can be counted: cells of a grid, all permutations, the curve by its definition; torchvision where
it is installed."""

import itertools
import json
import random

import pytest

from nsrl.rewards import boxes

RNG = random.Random(random.randrange(10**9))


def box(size=12):
    x1, y1 = RNG.randrange(size), RNG.randrange(size)
    return (x1, y1, x1 + RNG.randrange(1, size), y1 + RNG.randrange(1, size))


def cells(b):
    return {(x, y) for x in range(b[0], b[2]) for y in range(b[1], b[3])}


def test_overlaps_are_what_counting_cells_gives():
    for _ in range(300):
        a, b = box(), box()
        assert boxes.iou(a, b) == pytest.approx(len(cells(a) & cells(b)) / len(cells(a) | cells(b)))
        a, b = (a[0], a[2]), (b[0], b[2])
        seconds = [set(range(*stretch)) for stretch in (a, b)]
        assert boxes.interval_iou(a, b) == pytest.approx(len(seconds[0] & seconds[1]) / len(seconds[0] | seconds[1]))
    assert boxes.iou((1, 1, 1, 1), (1, 1, 1, 1)) == 0


def test_overlaps_are_torchvisions():
    ops = pytest.importorskip("torchvision.ops")
    import torch

    some, others = [box() for _ in range(40)], [box() for _ in range(50)]
    want = ops.box_iou(torch.tensor(some).double(), torch.tensor(others).double())
    assert torch.allclose(torch.tensor([[boxes.iou(a, b) for b in others] for a in some]).double(), want)


def test_the_best_pairing_is_the_best_of_all():
    for _ in range(200):
        rows, columns = RNG.randrange(1, 6), RNG.randrange(1, 6)
        worth = [[RNG.choice([0, 0.5, RNG.random()]) for _ in range(columns)] for _ in range(rows)]
        found = boxes.matched(worth)
        few = min(rows, columns)
        ways = [zip(range(rows), p) for p in itertools.permutations(range(columns), rows)] if rows <= columns else [
            zip(p, range(columns)) for p in itertools.permutations(range(rows), columns)]  # fmt: skip
        best = max(sum(worth[i][j] for i, j in way) for way in ways)
        assert len({i for i, _ in found}) == len({j for _, j in found}) == len(found) == few
        assert sum(worth[i][j] for i, j in found) == pytest.approx(best)
    assert boxes.matched([]) == []


def test_greedy_pairs_take_the_largest_that_is_left():
    for _ in range(100):
        found, gold = [box() for _ in range(RNG.randrange(5))], [box() for _ in range(RNG.randrange(5))]
        left = {(i, j): boxes.iou(f, g) for i, f in enumerate(found) for j, g in enumerate(gold)}
        want = []
        while left and (value := max(left.values())) > 0.1:
            want.append(value)
            i, j = min(pair for pair, v in left.items() if v == value)
            left = {(a, b): v for (a, b), v in left.items() if a != i and b != j}
        assert [v for _, _, v in boxes.pairs(found, gold, 0.1)] == pytest.approx(want)


def test_average_precision_by_its_definition():
    """The mean over the gold boxes' recalls of the best precision at that recall or above."""
    for _ in range(150):
        gold, least = [box() for _ in range(RNG.randrange(1, 5))], RNG.choice([0.1, 0.3, 0.5])
        found = [tuple(c + RNG.randrange(-1, 2) for c in b[:2]) + b[2:] for b in RNG.choices(gold, k=3)]
        found = [b for b in found if b[2] > b[0] and b[3] > b[1]] + [box() for _ in range(2)]
        scores = RNG.sample(range(100), len(found))
        free, hits = dict(enumerate(gold)), []
        for b in [b for _, b in sorted(zip(scores, found), reverse=True)]:
            best = max(free, key=lambda j: (boxes.iou(b, free[j]), -j), default=None)
            hits.append(best is not None and boxes.iou(b, free[best]) >= least)
            if hits[-1]:
                del free[best]
        curve = [(sum(hits[:n]) / len(gold), sum(hits[:n]) / n) for n in range(1, len(hits) + 1)]
        recalls = [(k + 1) / len(gold) for k in range(len(gold))]
        want = sum(max((p for r, p in curve if r >= recall - 1e-9), default=0) for recall in recalls) / len(gold)
        assert boxes.average_precision(found, scores, gold, least) == pytest.approx(want)
    assert boxes.average_precision([], [], [box()], 0.5) == boxes.average_precision([box()], [1], [], 0.5) == 0


def test_boxes_are_read_out_of_what_a_model_or_a_row_says():
    assert boxes.read("it is at [10, 20.5,30, 40] and (1,2,3,4).") == [(10, 20.5, 30, 40), (1, 2, 3, 4)]
    assert boxes.read('```json\n[{"bbox_2d": [1, 2, 3, 4], "label": "cat"}]```') == [(1, 2, 3, 4)]
    assert boxes.read([[1, 2, 3, 4], [5, 6, 7, 8]]) == [(1, 2, 3, 4), (5, 6, 7, 8)]
    assert boxes.read({"bbox": [1, 2, 3, 4]}) == boxes.read([1, 2, 3, 4]) == [(1, 2, 3, 4)]
    assert boxes.read("[3, 2, 1, 4] [1, 2, 3]") == boxes.read(None) == boxes.read("") == []
    for hostile in (
        "[" * 50_000,
        "[1," * 20_000,
        "[1,2,3,4]" * 20_000,
        "9" * 30_000,
        json.dumps([[1, 2, 3, 4]] * 5000),
    ):
        assert len(boxes.read(hostile)) <= boxes.MOST
