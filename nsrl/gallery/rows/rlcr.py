"""`shapes` whose teacher states a confidence that is drawn at random: what it is worth is for rewards to teach."""

from random import Random

from nsrl.data.generator import Item
from nsrl.data.shapes import ShapesGenerator


class Sure(ShapesGenerator):
    """`shapes` with such demonstrations."""

    def demonstrate(self, item: Item, language: str, rng: Random, wrong: bool) -> str:
        """See `Generator`."""
        text = super().demonstrate(item, language, rng, wrong)
        return f"{text}\n<confidence>0.{rng.randrange(1, 10)}</confidence>"
