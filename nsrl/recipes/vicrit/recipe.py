"""ViCrit: a caption has one detail that is not in the picture; R = 1 for the very phrase, else 0. arXiv 2506.10128."""

from PIL import Image, ImageDraw

from nsrl.answers import Verdict
from nsrl.data.generator import Generator, Item, picture

COLOURS, KINDS = ("red", "green", "blue", "black"), ("circle", "square")


class Captions(Generator):
    """Rows of 3, 4 or 5 shapes, and what is said of them."""

    levels = range(1, 4)

    def draw(self, rng, level):
        """A row, and a caption with one wrong phrase, which is the answer."""
        seen = [(rng.choice(COLOURS), rng.choice(KINDS)) for _ in range(level + 2)]
        canvas = Image.new("RGB", (160, 32), "white")
        for x, (colour, kind) in enumerate(seen):
            draw = ImageDraw.Draw(canvas).ellipse if kind == "circle" else ImageDraw.Draw(canvas).rectangle
            draw((32 * x + 6, 6, 32 * x + 25, 25), fill=colour)
        said, at = [f"{colour} {kind}" for colour, kind in seen], rng.randrange(len(seen))
        said[at] = rng.choice([f"{c} {k}" for c in COLOURS for k in KINDS if f"{c} {k}" not in said])
        caption = ", ".join(said)
        return Item(f"From the left: {caption}. Which of them is not there?", said[at], (picture(canvas),), "caption")

    def demonstrate(self, item, language, rng, wrong):
        """The phrase; another one where the picture was misread."""
        said = item.question.removeprefix("From the left: ").partition(".")[0].split(", ")
        return (rng.choice(said) if wrong else item.answer) if language == "direct" else None

    def verify(self, problem, text, extracted, result):
        """The very phrase, nothing beside it."""
        return Verdict(text.strip().strip(".").lower() == problem.answer, "phrase")
