"""`jigsaw`: one large shape or number, cut into 2 x 2 or 3 x 3 pieces that were mixed. Which belongs where?"""

from __future__ import annotations

import hashlib
from functools import partial
from random import Random
from typing import Any

from nsrl.data.generator import Generator, Item
from nsrl.data.shapes.draw import CELL, COLOURS, KINDS, Cell, Grid
from nsrl.data.shapes.forms import constant
from nsrl.types import ImageRef

Order = tuple[int, ...]  # for each place in reading order, the piece (counted in the whole picture) that lies there


class Jigsaw(Generator):
    """Level 1 has 2 x 2 pieces, level 2 has 3 x 3; no two pieces of a picture are alike."""

    levels = range(1, 3)

    def draw(self, rng: Random, level: int) -> Item:
        """See `Generator`. A piece is one cell of 32 x 32 pixels."""
        side = level + 1
        while True:
            shift = (rng.randint(-2, 2), rng.randint(-2, 2))
            if rng.random() < 0.5:
                cell = Cell("number", rng.randint(1, 9), shift=shift)
            else:
                cell = Cell(rng.choice(KINDS), colour=rng.choice(list(COLOURS)), shift=shift)
            if len({piece.tobytes() for piece in pieces(whole(cell, side), side)}) == side * side:
                break
        order = tuple(rng.sample(range(side * side), side * side))
        digest = hashlib.sha256(repr((cell, order)).encode()).hexdigest()[:24]
        shown = ImageRef(f"jigsaw:{digest}", partial(mixed, cell, order, side), (CELL * side, CELL * side))
        answer = "".join(str(order.index(piece) + 1) for piece in range(side * side))
        question = (
            f"The picture was cut into {side * side} pieces, which were mixed; they are numbered in reading order. "
            "Which piece belongs at the first place, the second, and so on? Answer as one number."
        )
        return Item(question, answer, (shown,), f"{side} x {side}", values=answer)

    def demonstrate(self, item: Item, language: str, rng: Random, wrong: bool) -> str:
        """See `Generator`; wrong: two pieces in each other's place."""
        digits = list(item.values)
        if wrong:
            one, other = rng.sample(range(len(digits)), 2)
            digits[one], digits[other] = digits[other], digits[one]
        answer = "".join(digits)
        return constant(language, answer, f"The pieces are {', '.join(digits)}. The answer is {answer}.")


def whole(cell: Cell, side: int) -> Any:
    """The picture before it was cut: a cell, `side` times as large."""
    return Grid(((cell,),)).open().resize((CELL * side, CELL * side), resample=0)  # nearest: pixels stay pixels


def pieces(picture: Any, side: int) -> list[Any]:
    """Its pieces in reading order."""
    corners = [(x * CELL, y * CELL) for y in range(side) for x in range(side)]
    return [picture.crop((x, y, x + CELL, y + CELL)) for x, y in corners]


def mixed(cell: Cell, order: Order, side: int) -> Any:
    """The pieces of a picture, laid down in this order."""
    picture = whole(cell, side)
    laid = picture.copy()
    cut = pieces(picture, side)
    for place, piece in enumerate(order):
        laid.paste(cut[piece], (place % side * CELL, place // side * CELL))
    return laid
