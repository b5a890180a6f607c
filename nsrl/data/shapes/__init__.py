"""`shapes`: a procedural source of visual-math problems with demonstrations in five languages. No download."""

from __future__ import annotations

import random
from collections.abc import Iterable, Set
from dataclasses import replace
from random import Random

from nsrl.data.generator import Generator, Item, Reading
from nsrl.data.noise import CLEAN, Noise
from nsrl.data.procedural import LANGUAGES, Content, Procedural
from nsrl.data.shapes.draw import CELL, COLOURS, GREY, Cell, Grid
from nsrl.data.shapes.families import FAMILIES, Family, Values, show
from nsrl.data.shapes.forms import tagged
from nsrl.data.source import Demonstration
from nsrl.types import ImageRef, Problem

__all__ = ["LANGUAGES", "Demonstration", "Shapes", "ShapesGenerator", "is_familiar"]


class ShapesGenerator(Generator):
    """Levels 1 (few cells) to 3 (3x3 cells, two-digit numbers)."""

    levels = range(1, 4)

    def draw(self, rng: Random, level: int) -> Item:
        """See `Generator`."""
        family = FAMILIES[rng.randrange(len(FAMILIES))]
        values = family.sample(rng, level)
        grid = _arrange(rng, family.cells(values), family.columns(values), level)
        shown = (ImageRef(grid.key, grid.open, grid.size),)
        answer = show(family.answer(values))
        return Item(family.question(values), answer, shown, family.name, values=(family, values))

    def demonstrate(self, item: Item, language: str, rng: Random, wrong: bool) -> str:
        """See `Generator`."""
        family, values = item.values
        return form(family, family.misread(rng, values) if wrong else values, language)

    def reading(self, item: Item, rng: Random) -> Reading:
        """See `Generator`."""
        family, values = item.values
        return Reading(*family.reading(values, rng))


class Shapes(Procedural):
    """The source `shapes`, by itself. Arguments as of `Procedural`."""

    def __init__(
        self,
        level: int = 1,
        seed: int = 0,
        held_out: int = 600,
        refused: Set[Content] = frozenset(),
        excluded: Iterable[Problem] = (),
        noise: Noise = CLEAN,
    ) -> None:
        super().__init__(ShapesGenerator(), "shapes", level, seed, held_out, refused, excluded, noise)


def is_familiar(problem: Problem) -> bool:
    """Whether a problem is of this source's kind: one of its questions about one picture, whole cells on its grey."""
    draws = range(64)  # enough for every shape and colour that is asked about
    known = {family.question(family.sample(random.Random(i), 1)) for family in FAMILIES for i in draws}
    if problem.question.strip() not in known or len(problem.images) != 1:
        return False
    picture = problem.images[0].open()
    if picture.width % CELL or picture.height % CELL or max(picture.size) > 9 * CELL:
        return False
    _, commonest = max(picture.getcolors(picture.width * picture.height))
    return all(abs(a - b) <= 8 for a, b in zip(commonest, GREY))  # a JPEG's grey is a little off


def form(family: Family, values: Values, language: str) -> str:
    """The completion a teacher writes for these values: delimiters included, end of turn left out."""
    answer = show(family.answer(values))
    return answer if language == "direct" else tagged(language, family.forms(values, answer)[language])


def _arrange(rng: random.Random, cells: list[Cell], columns: int, level: int) -> Grid:
    """Cells in reading order, the last row filled up with blanks; colours of shapes and (from level 2) places vary."""
    dressed = []
    for cell in cells:
        if cell.kind not in ("number", "bar") and not cell.colour:
            cell = replace(cell, colour=rng.choice(list(COLOURS)))
        if level >= 2 and cell.kind != "bar":
            cell = replace(cell, shift=(rng.randint(-2, 2), rng.randint(-2, 2)))
        dressed.append(cell)
    dressed += [Cell()] * (-len(dressed) % columns)
    return Grid(tuple(tuple(dressed[i : i + columns]) for i in range(0, len(dressed), columns)))
