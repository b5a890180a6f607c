"""This counts the tokens of a whole data set's prompts: in batches, each repeated text once."""

from __future__ import annotations

import re
from collections.abc import Sequence

from transformers import PreTrainedTokenizerFast

BATCH = 1024  # texts tokenised together


def token_counts(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]) -> list[int]:
    """Tokens of each text, as the tokenizer counts them without adding any.

    Special tokens are cut out before anything else, so a count is the sum over what stands between them; the system
    text and the roles' names, which all prompts share, are then tokenised once.
    """
    special = [
        str(token)
        for token in tokenizer.added_tokens_decoder.values()
        if token.special and not (token.normalized or token.lstrip or token.rstrip or token.single_word)
    ]
    cut = re.compile("|".join(re.escape(token) for token in sorted(special, key=len, reverse=True)) or r"(?!)")
    known: dict[str, int] = {}
    pieces = [cut.split(text) for text in texts]
    unknown = list(dict.fromkeys(piece for parts in pieces for piece in parts))
    for start in range(0, len(unknown), BATCH):
        part = unknown[start : start + BATCH]
        known.update(zip(part, map(len, tokenizer(part, add_special_tokens=False)["input_ids"])))
    return [sum(known[piece] for piece in parts) + len(parts) - 1 for parts in pieces]
