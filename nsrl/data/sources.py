"""Sources of problems by name, a row each: how the rows of a data set are opened, and how its folder is recognised.

Imports nothing that opens a picture: the command line reads this table before anything is loaded.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from nsrl.data import tables
from nsrl.data.generator import Generator
from nsrl.errors import UserError
from nsrl.userfiles import expanded, load

VIRL39K = "TIGER-Lab/ViRL39K"


class Opened(NamedTuple):
    """A data set: its rows, the folders in which the paths of pictures are looked up, and its name."""

    table: tables.Table
    folders: list[Path]
    name: str


class Format(NamedTuple):
    """A kind of data set.

    opened: of (path, split, subset); needs: what its path must be, in words, empty where it may be none; recognised:
    whether a path that was given alone is one; splits: whether `split` and `subset` name parts of it; held_out: the
    share of it that is for tests, None where no such share is known; one_picture: a row has one, however many markers;
    benchmark: every row counts, by its own protocol (`benchmarks.py`).
    """

    opened: Callable[[str | None, str, str | None], Opened]
    needs: str = ""
    recognised: Callable[[str], bool] = lambda path: False
    splits: bool = False
    held_out: float | None = None
    one_picture: bool = False
    benchmark: bool = False


def _benchmark(what: str, parts: tuple[str, ...], **others: Any) -> Format:
    """A benchmark as its authors publish it: a file, or of a folder or Hub data set the first part that is there.

    what: it must be, in words; parts: how names of files begin, parquet before JSON; before any other file of rows.
    """

    def opened(path: str | None, split: str, subset: str | None) -> Opened:
        name = str(path)
        place = _place(name, what)
        files = [place] if place.is_file() else _first_part(place, parts)
        if not files:
            raise UserError(f"data.path must be {what}; {name!r}: no .jsonl or .parquet file in it")
        return Opened(tables.table(files), list(dict.fromkeys([*(f.parent for f in files), place])), name)

    return Format(opened, what, benchmark=True, **others)


def _first_part(folder: Path, parts: tuple[str, ...]) -> list[Path]:
    """The files of the first part of a benchmark that is in a folder: all of a sharded one, else one."""
    for part in parts:
        if shards := tables.visible(folder, f"**/{part}-*.parquet"):
            return shards
        for ending in (".parquet", ".json", ".jsonl"):
            if files := tables.visible(folder, f"**/{part}{ending}"):
                return files[:1]
    return (tables.visible(folder, "*.jsonl") + tables.visible(folder, "*.parquet"))[:1]


def _place(name: str, what: str) -> Path:
    """The file or folder of this name, or what the Hub has under it. Raises `UserError`."""
    place = expanded(name)
    if not place.exists():
        if name.count("/") != 1 or name.startswith((".", "/", "~")):
            raise UserError(f"data.path must be {what}; {name!r} does not exist")
        place = tables.download(name)
    return place


def _is_mathvision(path: str) -> bool:
    """Called so, or a folder with testmini.jsonl (or test.jsonl) alone, and images."""
    folder = Path(path)
    files = [f.name for f in tables.visible(folder, "*.jsonl")] if (folder / "images").is_dir() else []
    return _named("mathvision")(path) or (bool(files) and all(name.startswith("test") for name in files))


def _named(name: str) -> Callable[[str], bool]:
    """Whether what a path names begins with this name."""
    return lambda path: Path(path).name.lower().startswith(name)


def _virl39k(path: str | None, split: str, subset: str | None) -> Opened:
    """Parquet with question, answer in \\boxed{}, image paths, category, source; images beside it or in images.zip."""
    name = path or VIRL39K
    folder = _place(name, "a ViRL39K folder, parquet file or Hub id")
    files = [folder] if folder.is_file() else tables.visible(folder, "**/*.parquet")
    if not files:
        raise UserError(f"data.path must hold a parquet file for data.source=virl39k; {name!r} has none")
    return Opened(tables.table(files), [f.parent for f in files], name)


def _any(path: str | None, split: str, subset: str | None) -> Opened:
    """A file, a folder or a data set of the Hub, whose columns are recognised."""
    table, folder = tables.open_any(str(path), split, subset)
    return Opened(table, [folder] if folder else [], str(path))


class Made(NamedTuple):
    """A source that makes its problems itself.

    levels: 1 to so many; pictures: whether its problems have any; reads: whether these can be read out, nothing solved;
    columns: of its problems (None: not known).
    """

    levels: int
    pictures: bool = True
    reads: bool = False
    columns: frozenset[str] | None = frozenset({"level"})


_COLUMNS = frozenset({"level"})
MADE: dict[str, Made] = {
    "shapes": Made(3, reads=True),
    "chains": Made(4, reads=True, columns=_COLUMNS | {"operations"}),
    "zoom": Made(3, reads=True, columns=_COLUMNS | {"scene", "cells", "boxes"}),
    "sat": Made(4, pictures=False, columns=_COLUMNS | {"verifier", "clauses", "variables", "difficulty"}),
    "graphs": Made(3, pictures=False),
    "jigsaw": Made(2),
    "rotation": Made(3),
    "spot": Made(3),
}
FILE = r"[^\n:]+\.py:[A-Za-z_]\w*"  # FILE.py:Class of the user, instead of a name

SOURCES: dict[str, Format | None] = {
    **dict.fromkeys(MADE),
    "mathvista": _benchmark(
        "a MathVista folder, file or Hub id (AI4Math/MathVista)",
        ("testmini",),
        recognised=_named("mathvista"),
    ),
    "mathverse": _benchmark(
        "a MathVerse folder, file or Hub id (AI4Math/MathVerse)",
        ("testmini",),
        recognised=_named("mathverse"),
    ),
    "mathvision": _benchmark(
        "a MathVision folder (testmini.jsonl and images/), file or Hub id (MathLLMs/MathVision)",
        ("test", "testmini"),
        recognised=_is_mathvision,
        one_picture=True,
    ),
    # the seed's split of ViRL39K is 99/1
    "virl39k": Format(_virl39k, recognised=lambda path: "virl39k" in path.lower(), held_out=0.01),
    "hf": Format(_any, "a Hub id, a file (json, jsonl, csv, parquet) or a folder", lambda path: True, splits=True),
}


def is_made(source: str | None) -> bool:
    """Whether a source makes its problems itself: one of `MADE`, or the user's `FILE.py:Class`."""
    return source in MADE or is_file(source)


def is_file(source: str | None) -> bool:
    """Whether a source is the user's `FILE.py:Class`."""
    return source is not None and re.fullmatch(FILE, source) is not None


def made_of(source: str) -> Made:
    """What a source is that makes its problems itself. Raises `UserError` where the user's file cannot be opened."""
    if source in MADE:
        return MADE[source]
    made = plugin(source)
    return Made(max(made.levels), reads=made.reads, columns=None)


def reads_out(source: str) -> bool:
    """Whether a source makes pictures that can be read out. Raises `UserError` as `made_of`."""
    return is_made(source) and made_of(source).reads


def plugin(spec: str) -> Generator:
    """The generator of the user's `FILE.py:Class`. Raises `UserError`."""
    _, kind = load(spec, "data.source")
    if not (inspect.isclass(kind) and issubclass(kind, Generator)):
        raise UserError(f"data.source: {spec!r} must be a class of nsrl.data.generator.Generator; got {kind!r}")
    levels = kind.levels
    if not isinstance(levels, range) or levels.start != 1 or not levels:
        raise UserError(f"data.source: levels of {spec!r} must be a range from 1, such as range(1, 4); got {levels!r}")
    return kind()


def format_of(source: str) -> Format:
    """Its row of `SOURCES`. Raises `UserError` for a source without rows."""
    format = SOURCES.get(source)
    if format is None:
        raise UserError(f"data.source must be one of {', '.join(SOURCES)}; got {source!r}")
    return format


def opened(source: str, path: str | Path | None, split: str, subset: str | None) -> Opened:
    """The rows of a data set. Raises `UserError`."""
    format = format_of(source)
    require_path(source, path)
    return format.opened(str(path) if path else None, split, subset)  # an empty one would be the current folder


def require_path(source: str, path: str | Path | None) -> None:
    """Raises `UserError` where a source needs a path and has none."""
    format = SOURCES.get(source)
    if format is not None and format.needs and not path:
        raise UserError(f"data.path must be {format.needs} for data.source={source}; got none")


def source_and_path(spec: str) -> tuple[str, str]:
    """`source:path`, a source alone that makes its problems (shapes, FILE.py:Class), or a bare path whose format is
    recognised."""
    if is_file(spec):
        return spec, ""
    source, colon, path = spec.partition(":")
    if source not in SOURCES or (not colon and source not in MADE):
        return guess_source(spec), spec
    if source in MADE and colon:
        raise UserError(f"data must be {source}, which has no path, SOURCE:PATH or a path; got {spec!r}")
    if source not in MADE and not path:
        raise UserError(f"data must name a path behind {source}:; got none")
    return source, path


def guess_source(path: str) -> str:
    """The first source that recognises a path: hf takes any."""
    return next(name for name, format in SOURCES.items() if format is not None and format.recognised(path))
