"""`spot`: two pictures that are alike but for some cells. Which one differs, or how many?"""

from __future__ import annotations

from dataclasses import replace
from random import Random

from nsrl.data.generator import Generator, Item
from nsrl.data.shapes.draw import COLOURS, KINDS, Cell, Grid
from nsrl.data.shapes.forms import constant, listed, module, sympy, tagged
from nsrl.types import ImageRef

Names = tuple[str, ...]


class Spot(Generator):
    """Which cell of 2 x 2 (level 1) or 3 x 3 (level 2) differs; how many of 3 x 3 do, one to five (level 3)."""

    levels = range(1, 4)

    def draw(self, rng: Random, level: int) -> Item:
        """See `Generator`."""
        side = 2 if level == 1 else 3
        cells = [_cell(rng) for _ in range(side * side)]
        places = set(rng.sample(range(side * side), rng.randint(1, 5) if level == 3 else 1))
        others = [_other(rng, cell) if at in places else cell for at, cell in enumerate(cells)]
        grids = [Grid(tuple(tuple(some[at : at + side]) for at in range(0, len(some), side)))
                 for some in (cells, others)]  # fmt: skip
        shown = tuple(ImageRef(grid.key, grid.open, grid.size) for grid in grids)
        question, answer = "How many cells differ between the two pictures?", str(len(places))
        if level < 3:
            question = "Which cell differs between the two pictures? Count in reading order."
            answer = str(min(places) + 1)
        seen = tuple(map(_name, cells)), tuple(map(_name, others))
        return Item(question, answer, shown, "how many" if level == 3 else "which", values=(seen, level))

    def demonstrate(self, item: Item, language: str, rng: Random, wrong: bool) -> str:
        """See `Generator`; wrong: one cell of the second picture misread."""
        (first, second), level = item.values
        if wrong:
            which = [at for at in range(len(second)) if level == 3 or first[at] == second[at]]
            at = rng.choice(which)
            seen = first[at] if first[at] != second[at] else "other"
            before = second if level == 3 else first  # where one cell differs, another one is taken for it
            second = (*before[:at], seen, *before[at + 1 :])
        found = [at + 1 for at, (one, other) in enumerate(zip(first, second)) if one != other]
        if level < 3:
            value = str(found[0])
            told = f"The first picture has {listed(first)}. The second has {listed(second)}. The answer is {value}."
            return constant(language, value, told)
        value = str(len(found))
        told = f"The cells {listed(found)} differ. The number is {value}."
        if language in ("direct", "prose", "nsl"):
            return constant(language, value, told)
        if language == "sympy":
            rows = f"a = [{_quoted(first)}]", f"b = [{_quoted(second)}]"
            return tagged(language, sympy(*rows, "print(sum(x != y for x, y in zip(a, b)))"))
        rows = f"a = {{{_quoted(first)}}}", f"b = {{{_quoted(second)}}}"
        return tagged(language, module("a, b", *rows, "Count[MapThread[SameQ, {a, b}], False]"))


def _cell(rng: Random) -> Cell:
    if rng.random() < 0.5:
        return Cell("number", rng.randint(1, 9))
    return Cell(rng.choice(KINDS), colour=rng.choice(list(COLOURS)))


def _other(rng: Random, cell: Cell) -> Cell:
    """The same kind of thing: another number, or a shape of another form or colour."""
    if cell.kind == "number":
        return replace(cell, value=rng.choice([digit for digit in range(1, 10) if digit != cell.value]))
    if rng.random() < 0.5:
        return replace(cell, kind=rng.choice([kind for kind in KINDS if kind != cell.kind]))
    return replace(cell, colour=rng.choice([colour for colour in COLOURS if colour != cell.colour]))


def _name(cell: Cell) -> str:
    return str(cell.value) if cell.kind == "number" else f"{cell.colour} {cell.kind}"


def _quoted(names: Names) -> str:
    return listed(f'"{name}"' for name in names)
