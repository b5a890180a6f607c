"""Drawing for `shapes`: a grid of 32x32-pixel cells, one cell per visual token. Knows nothing of questions or answers.

A picture is a pure function of its `Grid`, so the grid's text is the identity of the picture.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from PIL import Image, ImageDraw, ImageFont

CELL = 32  # pixels: patch 16 x merge 2, so that one cell is one visual token of Qwen3-VL
GREY = (200, 200, 200)
INK = (20, 20, 40)
COLOURS = {"red": (205, 45, 45), "green": (40, 150, 70), "blue": (45, 80, 205), "yellow": (235, 195, 40)}
KINDS = ("circle", "square", "triangle", "diamond")
BAR_STEPS = 9  # a bar of height h fills h / BAR_STEPS of its cell


@dataclass(frozen=True)
class Cell:
    """What stands in one cell: a `number`, a `bar` of some height, a coloured shape (kind in KINDS), or nothing."""

    kind: str = "blank"
    value: int = 0
    colour: str = ""
    shift: tuple[int, int] = (0, 0)  # pixels off centre


@dataclass(frozen=True)
class Grid:
    """Rows of cells, all of one length."""

    rows: tuple[tuple[Cell, ...], ...]

    @property
    def key(self) -> str:
        """Equal for grids that look the same, in every process: `ImageRef.key`."""
        return "shapes:" + hashlib.sha256(repr(self.rows).encode()).hexdigest()[:24]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return CELL * len(self.rows[0]), CELL * len(self.rows)

    def open(self) -> Any:
        """The picture: RGB, 32 pixels per cell."""
        picture = Image.new("RGB", self.size, GREY)
        canvas = ImageDraw.Draw(picture)
        for top, row in enumerate(self.rows):
            for left, cell in enumerate(row):
                _draw(canvas, left * CELL, top * CELL, cell)
        return picture


@lru_cache(maxsize=4)
def _font(size: int) -> Any:
    return ImageFont.load_default(size)


def _draw(canvas: Any, x: int, y: int, cell: Cell) -> None:
    if cell.kind == "blank":
        return
    dx, dy = cell.shift
    fill = COLOURS.get(cell.colour, INK)
    if cell.kind == "number":
        text = str(cell.value)
        canvas.text(
            (x + CELL / 2 + dx, y + CELL / 2 + dy),
            text,
            fill,
            _font(26 if len(text) == 1 else 19),
            "mm",
            stroke_width=1,
        )
    elif cell.kind == "bar":
        height = round(CELL * cell.value / BAR_STEPS)
        canvas.rectangle((x + 7, y + CELL - height, x + CELL - 8, y + CELL - 1), fill)
    else:
        left, top, right, bottom = x + 6 + dx, y + 6 + dy, x + 25 + dx, y + 25 + dy
        middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
        if cell.kind == "circle":
            canvas.ellipse((left, top, right, bottom), fill)
        elif cell.kind == "square":
            canvas.rectangle((left, top, right, bottom), fill)
        elif cell.kind == "triangle":
            canvas.polygon(((middle_x, top), (right, bottom), (left, bottom)), fill)
        else:
            canvas.polygon(((middle_x, top), (right, middle_y), (middle_x, bottom), (left, middle_y)), fill)
