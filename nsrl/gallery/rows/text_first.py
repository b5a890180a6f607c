"""`shapes` as text: what stands in the picture is told in the question, and nothing is shown."""

from random import Random

from nsrl.data.generator import Item
from nsrl.data.shapes import ShapesGenerator


class Told(ShapesGenerator):
    """Every problem of `shapes`, its picture read out (`3,4,7`) in front of the question."""

    def draw(self, rng: Random, level: int) -> Item:
        """See `Generator`."""
        item = super().draw(rng, level)
        told = self.reading(item, Random(item.question)).text
        return Item(f"{told} {item.question}", item.answer, (), item.category, values=item.values)
