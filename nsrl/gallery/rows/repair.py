"""`shapes` whose teacher breaks a program in three: the last bracket is left out, and the answer is given anew."""

from random import Random

from nsrl.data.generator import Item
from nsrl.data.shapes import ShapesGenerator

SHARE = 1 / 3
CLOSING = "}])"


class Broken(ShapesGenerator):
    """`shapes` with such demonstrations."""

    def demonstrate(self, item: Item, language: str, rng: Random, wrong: bool) -> str:
        """See `Generator`."""
        right = super().demonstrate(item, language, rng, wrong)
        at = max(right.rfind(sign) for sign in CLOSING)
        if language not in ("nsl", "wolfram", "sympy") or at < 0 or rng.random() >= SHARE:
            return right
        return right[:at] + right[at + 1 :]
