"""Do two engines agree on a program? Their values are compared by the answer check, not their texts."""

from __future__ import annotations

from nsrl.answers.checker import check
from nsrl.engines.result import Result, Status

OUTCOMES = ("agreed", "differ", "only the first", "only the second", "neither")


def same_value(one: str, other: str) -> bool:
    """Whether two printed values are the same to the answer check, whichever is taken for the gold."""
    texts = [" ".join(text.split()) for text in (one, other)]
    return texts[0] == texts[1] or any(
        check(Result(Status.OK, given), gold).correct is True for given, gold in (texts, texts[::-1])
    )


def agreement(one: Result, other: Result) -> str:
    """One of `OUTCOMES`. An engine decides where it has a value, with a message or without."""
    if one.has_value and other.has_value:
        return "agreed" if same_value(one.text, other.text) else "differ"
    return "only the first" if one.has_value else "only the second" if other.has_value else "neither"
