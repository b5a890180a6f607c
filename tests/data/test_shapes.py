"""The procedural source: answers are right, held-out problems are really held out, demonstrations say what they
mean."""

import hashlib
from collections import Counter
from fractions import Fraction
from itertools import islice

import numpy as np
import pytest

from nsrl.data.shapes import LANGUAGES, Shapes
from nsrl.data.shapes.draw import CELL, KINDS, Cell, Grid
from nsrl.data.shapes.families import FAMILIES, show
from nsrl.errors import UserError

EVERY = dict.fromkeys(LANGUAGES, 1.0)


def content(problem):
    return problem.question, problem.images[0].key


@pytest.mark.parametrize("level", [1, 2, 3])
def test_held_out_problems_are_distinct_and_never_trained_on(level):
    source = Shapes(level, seed=3, held_out=600)
    test = source.test()
    keys = {content(p) for p in test}
    assert len(test) == len(keys) == 600
    assert not keys & {content(p) for p in islice(source.train(), 4000)}
    assert not keys & {content(d.problem) for d in islice(source.demonstrations(EVERY), 4000)}
    assert not keys & {content(d.problem) for d in islice(source.readings(), 1000) if d.problem.question in dict(keys)}


def test_a_stream_can_be_entered_anywhere():
    source = Shapes(1, seed=5, held_out=50)
    whole = list(islice(source.train(), 60))
    assert list(islice(source.train(40), 20)) == whole[40:]
    assert list(islice(Shapes(1, seed=5, held_out=50).train(), 60)) == whole
    assert list(islice(Shapes(1, seed=6, held_out=50).train(), 60)) != whole


def test_every_family_occurs_and_one_cell_is_one_visual_token():
    problems = list(islice(Shapes(3, seed=0).train(), 400))
    assert {p.category for p in problems} == {f.name for f in FAMILIES} and len(FAMILIES) >= 6
    for problem in problems:
        width, height = problem.images[0].open().size
        assert width % CELL == height % CELL == 0 and width * height <= 9 * CELL * CELL


def test_equal_keys_are_equal_pixels_and_different_keys_are_not():
    seen = {}
    for problem in islice(Shapes(1, seed=1).train(), 500):
        image = problem.images[0]
        digest = hashlib.sha256(image.open().tobytes() + bytes(str(image.open().size), "ascii")).digest()
        assert seen.setdefault(image.key, digest) == digest
    assert len(set(seen.values())) == len(seen)


def test_every_number_and_every_shape_looks_different():
    cells = [Cell("number", n) for n in range(10)] + [Cell("bar", h) for h in range(1, 10)]
    cells += [Cell(kind, colour=colour) for kind in KINDS for colour in ("red", "green", "blue", "yellow")]
    pictures = [np.asarray(Grid(((cell,),)).open(), dtype=float) for cell in cells]
    for i, a in enumerate(pictures):
        for b in pictures[:i]:
            assert np.abs(a - b).sum() > 500


def test_wrong_demonstrations_are_wrong_and_only_those():
    source = Shapes(1, seed=2)
    demonstrations = list(islice(source.demonstrations(EVERY, wrong=0.3), 3000))
    share = sum(d.wrong for d in demonstrations) / len(demonstrations)
    assert 0.26 < share < 0.34
    direct = [d for d in demonstrations if d.language == "direct"]
    assert all(d.text == d.problem.answer for d in direct if not d.wrong)
    # a misread picture can give the right value by accident, but not often
    assert sum(d.text == d.problem.answer for d in direct if d.wrong) < 0.35 * sum(d.wrong for d in direct)
    counts = Counter(d.language for d in demonstrations)
    assert all(500 < counts[name] < 700 for name in LANGUAGES)


def test_unknown_language_and_level():
    with pytest.raises(UserError, match=r"languages must be among .*; got klingon"):
        next(Shapes().demonstrations({"klingon": 1.0}))
    with pytest.raises(UserError, match="level must be 1, 2 or 3; got 7"):
        Shapes(level=7)


def test_answers_are_exact():
    assert show(Fraction(6, 4)) == "3/2" and show(Fraction(-4, 2)) == "-2"
