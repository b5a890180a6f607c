"""What the tokens of a completion are for: prose, program, answer, or delimiters. The four add up to its tokens.

A program's tags or fence, the box of an answer and the end of the turn are delimiters. An answer is what stands in the
last `\\boxed{}` or behind the last "answer is", outside of a program; a completion of two words or fewer is an answer
alone. All else is prose. A token belongs where its first sign that is no blank stands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from nsrl.engines.extract import answer_place
from nsrl.engines.result import writable
from nsrl.models.vlm import VLM
from nsrl.report.table import PARTS
from nsrl.trainer.grader import Graded

_WINDOW = 4  # tokens before one that its text may depend on


def token_parts(vlm: VLM, ids: Sequence[int], graded: Graded) -> dict[str, int]:
    """Tokens of each of `PARTS` among the `ids` that the policy wrote; graded: of the text that ends with theirs.

    A prefilled opening is in the text and not among the ids: it costs nothing.
    """
    counts: dict[str, int] = dict.fromkeys(PARTS, 0)
    for _, part in named_tokens(vlm, ids, graded):
        counts[part] += 1
    return counts


def named_tokens(vlm: VLM, ids: Sequence[int], graded: Graded) -> list[tuple[str, str]]:
    """(its text, its part) of each token, as `token_parts` counts them; of tokens that share a sign the last has it."""
    stops = set(vlm.stop_ids())
    length = len(ids)
    while length and ids[length - 1] in stops:
        length -= 1
    starts, text = _starts(vlm.tokenizer, ids[:length])
    painted = _painted(graded)[max(0, len(graded.text) - len(text)) :]
    named = []
    for token, start, end in zip(ids, starts, [*starts[1:], len(text)]):
        blank = end - start - len(text[start:end].lstrip())
        at = start + blank if start + blank < end else start
        part = PARTS[painted[min(at, len(painted) - 1)]] if painted else "prose"
        named.append((text[start:end], "delimiters" if token in stops else part))  # between two turns
    return named + [(_alone(vlm.tokenizer, token), "delimiters") for token in ids[length:]]


def _painted(graded: Graded) -> bytearray:
    """For each sign of the text, the number of its part in `PARTS`."""
    text, cut = graded.text, graded.extracted
    rest = "answer" if graded.language == "direct" else "prose"
    signs = bytearray([PARTS.index(rest)]) * len(text)

    def paint(start: int, end: int, part: str) -> None:
        signs[start:end] = bytes([PARTS.index(part)]) * (end - start)

    place = answer_place(text, cut)
    if place is not None:
        paint(place.begin, place.stop, "delimiters")
        paint(place.start, place.end, "answer")
    earlier = [(said.extracted, said.start) for said in graded.history[:-1]]
    for one, at in (*earlier, (cut, 0)):
        if one.language is not None:
            start, end = one.span
            paint(at + start, at + end, "delimiters")
            paint(at + one.begin, at + one.begin + len(one.program), "program")
    return signs


def _starts(tokenizer: Any, ids: Sequence[int]) -> tuple[list[int], str]:
    """Where the text of each token begins in the text of all, and that text."""
    text = _decoded(tokenizer, ids)
    starts, end = _laid_out(
        ids, lambda group: _alone(tokenizer, group[0]) if len(group) == 1 else _decoded(tokenizer, group)
    )
    if end != len(text):  # what a token says depends on those before it
        starts, end = [], 0
        for index in range(len(ids)):
            starts.append(min(end, len(text)))
            window = ids[max(0, index - _WINDOW) : index + 1]
            end += len(_decoded(tokenizer, window)) - len(_decoded(tokenizer, window[:-1]))
    return starts, text


def _laid_out(ids: Sequence[int], decoded: Callable[[Sequence[int]], str]) -> tuple[list[int], int]:
    """(starts, the end) where texts of tokens simply follow each other; tokens that share a sign begin together."""
    starts: list[int] = []
    first = at = 0
    for index in range(len(ids)):
        piece = decoded(ids[first : index + 1])
        starts.append(at)
        if not piece.endswith("\ufffd") or index == len(ids) - 1 or index - first == _WINDOW - 1:
            first, at = index + 1, at + len(piece)
    return starts, at


def _decoded(tokenizer: Any, ids: Sequence[int]) -> str:
    return writable(tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))


@lru_cache(maxsize=1 << 18)
def _alone(tokenizer: Any, token: int) -> str:
    return _decoded(tokenizer, [token])
