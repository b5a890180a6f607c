"""The split that a name speaks of: of a file, a folder, or in a column. Knows no files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePath

TEST_NAMES = ("test", "validation", "testmini", "eval")
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")  # how the names of pictures end
FILE_NAME = re.compile(r"(?:.+_)?file_names?")  # columns of HF's imagefolder
_WORDS = {  # HF's words for splits, MathVision's testmini, and what people make of them
    "train": "train(?:ing)?",
    "testmini": "testmini",
    "test": r"(?:dev|val)?test|tests(?!\d+[^\W\d_])|test(?:ing|dev|val|[a-c])|h[eo]ld[-_ ]?outs?",
    "validation": "validation|valid|val[a-c]?|dev",
    "eval": "evals?|evaluations?",
}
_BEFORE = "(?:my|our|mini|small|tiny|full|sub|new|final|public|private|hidden|open)?"  # glued to them
_AFTER = (
    "(?:[-_ ]?(?:sets?|data|splits?|images?|pictures?|questions?|problems?|rows|files?|samples?|examples?|"
    "mini|small|full|hard|easy|final))?"
)
_ANY = "|".join(f"(?P<{split}>{word})" for split, word in _WORDS.items())
_WORD = re.compile(rf"(?<![^\W\d_]){_BEFORE}(?:{_ANY}){_AFTER}(?![^\W\d_])")
_EXACT = re.compile(_ANY)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z][a-z]|[A-Z]+(?![a-zA-Z]))")


def split_of(name: str) -> str:
    """The split that a name speaks of, as in HF: a word of it, whatever its case; else none."""
    found = _WORD.search(_HUMP.sub("_", name).casefold()) or _WORD.search(name.casefold())
    return found.lastgroup or "" if found else ""


def same_split(one: str, other: str) -> bool:
    """Whether two names mean the same split: `val` and `validation` do."""
    return one == other or (_named(one) or one) == (_named(other) or other)


def _named(name: str) -> str:
    """The split that a name is a word for and nothing else."""
    found = _EXACT.fullmatch(name.casefold())
    return found.lastgroup or "" if found else ""


def split_of_path(path: PurePath) -> str:
    """The split of a file: by its name, else by the nearest of its folders that names one; else none."""
    return next(filter(None, map(split_of, (path.stem, *reversed(path.parts[:-1])))), "")


def column_splits(values: Iterable[str]) -> dict[str, str]:
    """What the values of a column `split` mean; nothing if the column does not set a test split apart from the rest."""
    found = {value: (split_of(value) or value) if value else "train" for value in set(values)}
    tests = {split for split in found.values() if split in TEST_NAMES}
    return found if tests and set(found.values()) - tests else {}
