"""`zoom`: 8 x 8 numbers seen from afar. Which is asked for can be seen, what it is only in a crop.

From afar a cell has 16 x 16 pixels, and its number is a blot in its colour: pictures that differ in digits alone are
equal pixel for pixel. `crop` is the same scene from near: 32 x 32 pixels a cell, numbers drawn as in `shapes`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from nsrl.data.generator import Generator, Item, Reading
from nsrl.data.shapes.draw import COLOURS, GREY, INK, Cell, Grid
from nsrl.data.shapes.families import noted
from nsrl.data.shapes.forms import module, sympy, tagged
from nsrl.data.turns import Observation
from nsrl.types import ImageRef, Problem

SIDE = 8  # cells
AFAR = 16  # pixels of a cell, seen from afar
NEAR = 3  # cells that a crop shows from near, each way
MARGIN = 4  # of a blot, in its cell
Box = tuple[int, int, int, int]  # left, top, right and bottom, in pixels from afar; right and bottom are outside


@dataclass(frozen=True)
class Scene:
    """Rows of numbers, each with the name of its colour (empty: ink)."""

    rows: tuple[tuple[tuple[int, str], ...], ...]

    @property
    def text(self) -> str:
        """The cells in reading order: a digit, and the first letter of a colour that is not ink. `scene` reads it."""
        return "".join(f"{digit}{colour[:1]}" for row in self.rows for digit, colour in row)

    def afar(self) -> Any:
        """The picture that a problem shows."""
        from PIL import Image, ImageDraw

        picture = Image.new("RGB", (AFAR * len(self.rows[0]), AFAR * len(self.rows)), GREY)
        canvas = ImageDraw.Draw(picture)
        for top, row in enumerate(self.rows):
            for left, (_, colour) in enumerate(row):
                x, y = left * AFAR, top * AFAR
                corners = (x + MARGIN, y + MARGIN, x + AFAR - MARGIN - 1, y + AFAR - MARGIN - 1)
                canvas.rectangle(corners, COLOURS.get(colour, INK))
        return picture

    def shown(self) -> ImageRef:
        """From afar. Scenes that differ in digits alone have other keys: they are other problems."""
        digest = hashlib.sha256(self.text.encode()).hexdigest()[:24]
        return ImageRef(f"zoom:{digest}", self.afar, (AFAR * len(self.rows[0]), AFAR * len(self.rows)))

    def part(self, box: Box) -> ImageRef | None:
        """What stands in the cells that a box touches: from near where they are at most 3 x 3, else from afar; None
        where it touches none."""
        left, top = max(0, box[0] // AFAR), max(0, box[1] // AFAR)
        right, bottom = -(-box[2] // AFAR), -(-box[3] // AFAR)
        rows = [row[left:right] for row in self.rows[top:bottom]] if right > left and bottom > top else []
        if not rows or not rows[0]:
            return None
        if len(rows) > NEAR or len(rows[0]) > NEAR:
            some = Scene(tuple(rows))
            return ImageRef(f"{some.shown().key}/{len(rows)}", some.afar, (AFAR * len(rows[0]), AFAR * len(rows)))
        grid = Grid(tuple(tuple(Cell("number", digit, colour) for digit, colour in row) for row in rows))
        return ImageRef(grid.key, grid.open, grid.size)


def scene(text: str) -> Scene:
    """The scene of a text, as a problem's column `scene` has it."""
    names = {colour[0]: colour for colour in COLOURS}
    cells = [(int(digit), names.get(letter, "")) for digit, letter in re.findall(r"(\d)([a-z]?)", text)]
    return Scene(tuple(tuple(cells[at : at + SIDE]) for at in range(0, len(cells), SIDE)))


def crop(problem: Problem, box: Sequence[int]) -> ImageRef | None:
    """A part of the picture of a problem of this source, as `Scene.part`; None where the box touches no cell of it.

    box: left, top, right, bottom in pixels of the problem's picture. Numbers beyond it are cut off, never an error.
    """
    left, top, right, bottom = (int(edge) for edge in box)
    return scene(problem.columns["scene"]).part((left, top, right, bottom))


class Zoom(Generator):
    """Level 1 names row and column, 2 the one number of a colour, 3 asks for the sum of two of them."""

    levels = range(1, 4)

    def draw(self, rng: Random, level: int) -> Item:
        """See `Generator`. Columns: scene; cells: (row, column) of those asked for, from 0; boxes: theirs."""
        digits = [[rng.randint(1, 9) for _ in range(SIDE)] for _ in range(SIDE)]
        asked = [divmod(at, SIDE) for at in rng.sample(range(SIDE * SIDE), 2 if level == 3 else 1)]
        colours = rng.sample(list(COLOURS), len(asked)) if level > 1 else [""]
        dressed = dict(zip(asked, colours))
        seen = Scene(tuple(tuple((digit, dressed.get((y, x), "")) for x, digit in enumerate(row))
                           for y, row in enumerate(digits)))  # fmt: skip
        values = [digits[y][x] for y, x in asked]
        question = {
            1: f"What is the number in row {asked[0][0] + 1}, column {asked[0][1] + 1}?",
            2: f"What is the {colours[0]} number?",
            3: f"What is the sum of the {colours[0]} number and the {colours[-1]} number?",
        }[level]
        boxes = [[x * AFAR, y * AFAR, (x + 1) * AFAR, (y + 1) * AFAR] for y, x in asked]
        columns = {"scene": seen.text, "cells": [list(cell) for cell in asked], "boxes": boxes}
        return Item(question, str(sum(values)), (seen.shown(),), f"level {level}", columns, (seen, values))

    def demonstrate(self, item: Item, language: str, rng: Random, wrong: bool) -> str:
        """See `Generator`; what is written once the numbers were seen. wrong: one of them misread."""
        values = list(item.values[1])
        if wrong:
            at = rng.randrange(len(values))
            values[at] = rng.choice([digit for digit in range(1, 10) if digit != values[at]])
        total, added = str(sum(values)), "+".join(map(str, values))
        if language == "direct":
            return total
        stated = f"The numbers are {values[0]} and {values[-1]}. The sum is {total}."
        forms = {
            "prose": stated if len(values) > 1 else f"The number is {total}.",
            "sympy": sympy(f"print({added})"),
            "wolfram": module("n", f"n = {added}", "n"),
            "nsl": added,
        }
        return tagged(language, forms[language])

    def converse(
        self, item: Item, language: str, rng: Random, wrong: bool
    ) -> Sequence[tuple[str, Observation | None]] | None:
        """See `Generator`: a crop of each cell that is asked for, then what is written once they were seen."""
        seen: Scene = item.values[0]
        boxes = [tuple(box) for box in item.columns["boxes"]]
        looks = [(str(list(box)), Observation("", (part,))) for box in boxes if (part := seen.part(box)) is not None]
        return [*looks, (self.demonstrate(item, language, rng, wrong), None)]

    def reading(self, item: Item, rng: Random) -> Reading:
        """See `Generator`; one to three cells of a row from near."""
        seen: Scene = item.values[0]
        count = rng.randint(1, NEAR)
        x, y = rng.randint(0, SIDE - count), rng.randrange(SIDE)
        shown = seen.part((x * AFAR, y * AFAR, (x + count) * AFAR, (y + 1) * AFAR))
        assert shown is not None  # of cells that are there
        row = [digit for digit, _ in seen.rows[y][x : x + count]]
        return Reading("Read the numbers.", noted(row, rng), (shown,))
