"""ViCrit: a caption has one detail that is not in the picture; R = 1 for the very phrase, else 0. arXiv 2506.10128."""

from nsrl.answers import Verdict
from nsrl.data.generator import Generator, Item, picture
from nsrl.data.shapes.draw import COLOURS, KINDS, Cell, Grid

PHRASES = [f"{colour} {kind}" for colour in COLOURS for kind in KINDS]


class Captions(Generator):
    """Rows of 3, 4 or 5 shapes, and what is said of them."""

    levels = range(1, 4)

    def draw(self, rng, level):
        """A row, and a caption with one wrong phrase, which is the answer."""
        said, at = rng.choices(PHRASES, k=level + 2), rng.randrange(level + 2)
        row = Grid((tuple(Cell(kind, colour=colour) for colour, kind in map(str.split, said)),))
        said[at] = rng.choice([phrase for phrase in PHRASES if phrase not in said])
        asked = f"From the left: {', '.join(said)}. Which of them is not there?"
        return Item(asked, said[at], (picture(row.open()),), "caption", values=said)

    def demonstrate(self, item, language, rng, wrong):
        """The phrase; another one where the picture was misread."""
        return (rng.choice(item.values) if wrong else item.answer) if language == "direct" else None

    def verify(self, problem, text, extracted, result):
        """The very phrase, nothing beside it."""
        return Verdict(((extracted and extracted.answer) or text).strip(" .\n").lower() == problem.answer, "phrase")
