"""Whether two problems are the same: by content, not by id. Knows nothing of sources."""

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


def without(problems: Iterable[Problem], held_out: Iterable[Problem]) -> list[Problem]:
    """`problems` less those whose content occurs in `held_out`."""
    taken = {content_key(p) for p in held_out}
    return [p for p in problems if content_key(p) not in taken]
