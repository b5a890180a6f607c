"""`rotation`: a picture of shapes and numbers, turned by a quarter, two, three or none. By how much?"""

from __future__ import annotations

from functools import partial
from random import Random
from typing import Any

from nsrl.data.generator import Generator, Item
from nsrl.data.shapes.draw import COLOURS, Cell, Grid
from nsrl.data.shapes.forms import constant
from nsrl.types import ImageRef

UPRIGHT = (2, 3, 4, 5, 7)  # digits that are no digit when they are turned
ROUND = ("circle", "square", "diamond")  # look the same when they are turned
ANGLES = (0, 90, 180, 270)


class Rotation(Generator):
    """Every cell tells at level 1 (2 x 2 cells), half of them at level 2 (3 x 2), a single one at level 3 (3 x 3)."""

    levels = range(1, 4)

    def draw(self, rng: Random, level: int) -> Item:
        """See `Generator`."""
        columns, rows, telling = ((2, 2, 4), (3, 2, 3), (3, 3, 1))[level - 1]
        cells = [_telling(rng) for _ in range(telling)]
        cells += [Cell(rng.choice(ROUND), colour=rng.choice(list(COLOURS))) for _ in range(columns * rows - telling)]
        rng.shuffle(cells)
        grid = Grid(tuple(tuple(cells[at : at + columns]) for at in range(0, len(cells), columns)))
        angle = rng.choice(ANGLES)
        width, height = grid.size
        size = (width, height) if angle % 180 == 0 else (height, width)
        shown = ImageRef(f"{grid.key}/turned {angle}", partial(turned, grid, angle), size)
        question = "By how many degrees was the picture turned clockwise?"
        return Item(question, str(angle), (shown,), f"{telling} of {columns * rows} cells", values=angle)

    def demonstrate(self, item: Item, language: str, rng: Random, wrong: bool) -> str:
        """See `Generator`."""
        angle = rng.choice([other for other in ANGLES if other != item.values]) if wrong else item.values
        return constant(language, str(angle), f"The picture was turned by {angle} degrees. The answer is {angle}.")


def turned(grid: Grid, angle: int) -> Any:
    """The picture, turned clockwise by an angle of `ANGLES`."""
    from PIL import Image

    how = {90: Image.Transpose.ROTATE_270, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_90}
    return grid.open().transpose(how[angle]) if angle else grid.open()


def _telling(rng: Random) -> Cell:
    if rng.random() < 0.5:
        return Cell("triangle", colour=rng.choice(list(COLOURS)))
    return Cell("number", rng.choice(UPRIGHT))
