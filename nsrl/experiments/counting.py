"""How many tokens a text has in a tokenizer that lies on disk: `tokenizer` of an experiment."""

from __future__ import annotations

import base64
import binascii
import unicodedata
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from nsrl.engines.token_counts import open_tokenizer
from nsrl.errors import UserError
from nsrl.models.small import QWEN_SPLIT
from nsrl.userfiles import expanded

Counter = Callable[[str], int]


def counter(tokenizer: str | None) -> Counter | None:
    """How many tokens a text has; None without a tokenizer.

    tokenizer: a tokenizer.json, a folder that has one, or the ranks of byte pairs that go with `QWEN_SPLIT`
    (.tiktoken). Raises `UserError`.
    """
    if tokenizer is None:
        return None
    path = expanded(tokenizer)
    if not path.exists():
        raise UserError(f"tokenizer must be a tokenizer.json, or a folder that has one; {tokenizer!r} is not there")
    if path.suffix == ".tiktoken":
        return _by_ranks(path)
    found = open_tokenizer(str(path), "tokenizer")
    return lambda text: len(found.encode(text, add_special_tokens=False).ids)


def _by_ranks(file: Path) -> Counter:
    """Byte pairs are joined in the order of their ranks, within words."""
    import regex

    try:
        lines = [line.split() for line in file.read_bytes().splitlines() if line]
        ranks = {base64.b64decode(token, validate=True): int(rank) for token, rank in lines}
    except (OSError, ValueError, binascii.Error) as error:
        raise UserError(
            f"tokenizer must have lines of a token in base64 and its rank; {str(file)!r}: {error}"
        ) from None
    if missing := 256 - sum(bytes([one]) in ranks for one in range(256)):
        raise UserError(f"tokenizer must have a rank for every byte; {str(file)!r} lacks {missing} of the 256")
    words = regex.compile(QWEN_SPLIT)

    def pieces(word: bytes) -> int:
        parts = [bytes([one]) for one in word]
        while pairs := [(ranks[a + b], i) for i, (a, b) in enumerate(pairwise(parts)) if a + b in ranks]:
            _, i = min(pairs)
            parts[i : i + 2] = [parts[i] + parts[i + 1]]
        return len(parts)

    return lambda text: sum(pieces(word.encode()) for word in words.findall(unicodedata.normalize("NFC", text)))
