"""Whether two problems are the same, or show the same picture: by content, not by id."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable

from nsrl.types import Problem


def content_key(problem: Problem) -> str:
    """A key that is equal for equal content: the question without case and spacing, the options, the images."""
    text = unicodedata.normalize("NFKC", problem.question).casefold()
    parts = [re.sub(r"\s+", " ", text).strip(), *problem.options, *sorted(i.key for i in problem.images)]
    return hashlib.blake2b("\x1f".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def picture_keys(problem: Problem) -> set[str]:
    """What must not stand on both sides of a split: its pictures; of a problem without one, its content."""
    return {image.key for image in problem.images} or {content_key(problem)}


def without(problems: Iterable[Problem], held_out: Iterable[Problem]) -> list[Problem]:
    """`problems` less those with a picture (without pictures: with the content) of one in `held_out`."""
    taken = {key for p in held_out for key in picture_keys(p)}
    return [p for p in problems if taken.isdisjoint(picture_keys(p))]
