"""`python -m nsrl.recipes` lists the published methods that come as recipes; `... NAME` shows one of them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from nsrl.config import command
from nsrl.errors import extras_named, program
from nsrl.gallery.kept import by_recipe, published
from nsrl.gallery.row import read as read_row
from nsrl.gallery.row import row_names
from nsrl.recipes import Method, methods, read

FILE_WIDTH = 160  # columns of the table where it goes into a file
USAGE = """usage: {0}         the methods: year, what each is made of, its test, its row in the gallery
       {0} NAME    one of them: its source, what differs, and its files; also a folder of your own"""


def main(argv: Sequence[str]) -> int:
    """The command. Exit code 2 for bad input."""
    asked = list(argv) in (["-h"], ["--help"])
    if asked or len(argv) > 1 or (argv and argv[0].startswith("-")):
        print(USAGE.format(program("recipes")), file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    with extras_named():
        if argv:
            recipe = read(argv[0])
            if isinstance(recipe, Method):
                about = recipe.about
                print(f"{recipe.name}: {about.method} ({about.year}), {about.paper}")
                for name in ("differs", "formula", "tested", "scale", "gallery"):
                    if value := getattr(about, name):
                        print(f"{name:8} {value}")
            else:
                print(f"{recipe.name}: it has no group about, which would tell of its method")
            for file in recipe.files:
                print(f"\n{file}\n{file.read_text(encoding='utf-8')}", end="")
            return 0
        _list(methods())
    return 0


def _list(found: Sequence[Method]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("recipe=", "method", "year", "made of", "lines", "tested in", "gallery"):
        side = "right" if heading in ("year", "lines") else "left"
        longest = 38 if heading in ("method", "made of") else None  # these give way first on a narrow screen
        least = max(len(recipe.name) for recipe in found) if heading == "recipe=" else 5
        table.add_column(heading, justify=side, overflow="ellipsis", no_wrap=True, max_width=longest, min_width=least)
    told = by_recipe(map(read_row, row_names()), published())
    for recipe in found:
        about = recipe.about
        table.add_row(
            recipe.name, about.method, str(about.year), ", ".join(about.uses), str(recipe.lines),
            Path(about.tested.split("::")[0]).name, told.get(recipe.name) or about.gallery or about.scale,
        )  # fmt: skip
    Console(width=None if sys.stdout.isatty() else FILE_WIDTH).print(table)
    print(f"{len(found)} methods; `{program('recipes')} NAME` shows one, `nsrl train recipe=NAME` runs it")


if __name__ == "__main__":
    command(main)
