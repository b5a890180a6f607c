"""Named stretches of a completion, and the tokens that hold them. No tokenizer is imported: a decoder is handed in.

A span is what stands in a template's place: `<info>{}</info>`. Characters become tokens by decoding what stands before
each token, so nothing is tokenised again: the slice is of the ids that were sampled.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nsrl.engines.extract import Extracted

Decode = Callable[[list[int]], str]
PLACE = "{}"  # of what a template stands around
LONGEST = 8  # tokens: more than the bytes of any character
PROGRAM = "program"  # the span that every completion with a program has


@dataclass(frozen=True)
class Span:
    """A stretch of a completion's text: characters start to end, without what stands around it."""

    text: str
    start: int
    end: int


def find(text: str, template: str) -> Span | None:
    """The last whole span that a template finds in a text, the innermost one where it is opened twice; None without
    one. Delimiters that are alike open and close in turn. One pass."""
    before, _, behind = template.partition(PLACE)
    found, at = None, 0
    while (opening := text.find(before, at)) >= 0 and (end := text.find(behind, opening + len(before))) >= 0:
        start = text.rfind(before, opening, end) + len(before)
        found, at = Span(text[start:end], start, end), end + len(behind)
    return found


def of_program(extracted: Extracted) -> Span | None:
    """The program of a completion as a span."""
    if extracted.language is None:
        return None
    return Span(extracted.program, extracted.begin, extracted.begin + len(extracted.program))


class Offsets:
    """Where the tokens of one completion lie in its text.

    decode: ids to text; ids: of the completion; head: characters that stand in the text before the first token.
    """

    def __init__(self, decode: Decode, ids: Sequence[int], head: int = 0) -> None:
        self.starts: list[int] = []
        self.ends: list[int] = []
        begun, known, text = 0, head, ""  # the text of ids[begun:], which begins at character `known`
        for index in range(len(ids)):
            longer = decode(list(ids[begun : index + 1]))
            # Bytes of one character in two tokens: together they are fewer characters than each by itself.
            joined = len(longer) < len(text) + len(decode([ids[index]]))
            self.starts.append(known + len(text) - (1 if joined and text else 0))
            self.ends.append(known + len(longer))
            text = longer
            cut = index + 1 - LONGEST
            if not text.endswith("\ufffd"):  # no byte of its last character is to come
                begun, known, text = index + 1, known + len(text), ""
            elif cut > begun:  # bytes that are no text have no end: those before the last character are done with
                behind = decode(list(ids[cut : index + 1]))
                if len(text) == len(decode(list(ids[begun:cut]))) + len(behind):
                    begun, known, text = cut, known + len(text) - len(behind), behind

    def tokens(self, start: int, end: int) -> slice:
        """The tokens that hold a character of start to end; an empty slice at their place where there are none."""
        first = bisect_right(self.ends, start)
        return slice(first, max(first, bisect_left(self.starts, end)))


def texts(completion: str, templates: Mapping[str, str]) -> dict[str, str]:
    """The spans of a completion as columns of a table: `span/NAME` to its text, "" without one."""
    found = {name: find(completion, template) for name, template in templates.items()}
    return {f"span/{name}": span.text if span is not None else "" for name, span in found.items()}
