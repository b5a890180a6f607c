"""`python -m nsrl.data count` says how many problems a level has; `python -m nsrl.data draw FILE.png` draws one of
each source (docs/data.md)."""

from __future__ import annotations

import sys
from collections import Counter
from random import Random
from typing import Any

from nsrl.config import command
from nsrl.data.made import generator, opened
from nsrl.data.shapes.zoom import crop
from nsrl.data.sources import MADE, is_made
from nsrl.errors import UserError, program
from nsrl.types import Problem

USAGE = """usage: {0} count [SOURCE ...]   how many problems the levels of the sources have
       {0} draw FILE.png        one problem of each source as a picture"""
DRAWS = 20_000
WIDE, LINE, EDGE, TEXT = 300, 13, 8, 11  # pixels: a column, a line of text, a margin, the height of letters
SHOWN = (("shapes", 1), ("chains", 3), ("zoom", 2), ("sat", 1), ("graphs", 1), ("jigsaw", 1), ("rotation", 1),
         ("spot", 2))  # fmt: skip


def main(argv: list[str]) -> int:
    """The command. Exit code 2 for other words; raises `UserError` for a source that makes none."""
    match argv:
        case ["-h"] | ["--help"]:
            print(USAGE.format(program("data")))
        case ["count", *sources]:
            if strange := [source for source in sources if not is_made(source)]:
                raise UserError(f"count takes sources that make problems ({', '.join(MADE)}); got {strange[0]!r}")
            print("| source | level | different ones of 20,000 | in all, about |\n|---|---|---|---|")
            for source in sources or MADE:
                for level in generator(source).levels:
                    different, whole = counted(source, level)
                    print(f"| `{source}` | {level} | {different:,} | {whole} |")
        case ["draw", file] if file.endswith(".png"):
            sheet([opened(name, level, seed=1, held_out=0).unseen(1, set())[0] for name, level in SHOWN]).save(file)
        case _:
            print(USAGE.format(program("data")), file=sys.stderr)
            return 2
    return 0


def counted(source: str, level: int, draws: int = DRAWS) -> tuple[int, str]:
    """(different problems among so many draws, in words how many there are in all).

    Two draws are one problem with probability 1/N among N problems that are equally likely, so N is draws^2 / 2 over
    the pairs that are one; where some are likelier than others, this is how many it is as if there were.
    """
    made = generator(source)
    items = (made.draw(Random(f"count/{index}"), level) for index in range(draws))
    found = Counter((item.question, *(image.key for image in item.pictures)) for item in items)
    pairs = sum(n * (n - 1) // 2 for n in found.values())
    least = draws * (draws - 1) // 2
    whole = least // max(pairs, 1)
    rounded = round(whole, 1 - len(str(whole)) + 1)
    return len(found), f"{rounded:,}" if pairs >= 10 else f"over {round(least // 10, -6):,}"


def sheet(problems: list[Problem]) -> Any:
    """A picture of problems, two in a row: source and level, the question, the pictures, the gold."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(TEXT)
    parts = []
    for problem in problems:
        lines = [f"{problem.source}, level {problem.columns['level']}", *_lines(problem.question)]
        shown = [image.open() for image in problem.images]
        if "boxes" in problem.columns:
            near = crop(problem, problem.columns["boxes"][0])
            shown += [near.open()] if near is not None else []
        tall = max((picture.height for picture in shown), default=0)
        height = EDGE + LINE * (len(lines) + 1) + tall + 2 * EDGE
        part = Image.new("RGB", (WIDE, height), "white")
        canvas = ImageDraw.Draw(part)
        for at, line in enumerate(lines):
            canvas.text((EDGE, EDGE + LINE * at), line, "black" if at else (160, 30, 30), font)
        x, y = EDGE, 2 * EDGE + LINE * len(lines)
        for picture in shown:
            part.paste(picture, (x, y))
            x += picture.width + EDGE
        canvas.text((EDGE, height - LINE - EDGE // 2), f"gold: {problem.answer}", (30, 90, 30), font)
        parts.append(part)
    rows = [parts[at : at + 2] for at in range(0, len(parts), 2)]
    whole = Image.new("RGB", (2 * WIDE, sum(max(part.height for part in row) for row in rows)), "white")
    y = 0
    for row in rows:
        for at, part in enumerate(row):
            whole.paste(part, (at * WIDE, y))
        y += max(part.height for part in row)
    return whole.quantize(64)


def _lines(text: str, most: int = 48) -> list[str]:
    found = [""]
    for word in text.split():
        if len(found[-1]) + len(word) >= most:
            found.append("")
        found[-1] = f"{found[-1]} {word}".strip()
    return found


if __name__ == "__main__":
    command(main)
