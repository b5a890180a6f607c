"""The kind of answer that a completion states, found without the gold, and which golds it may answer."""

from __future__ import annotations

import re

from nsrl.answers import clean, final, lettered
from nsrl.answers.compare import several
from nsrl.answers.final import MAX_PIECE
from nsrl.answers.gold import Gold
from nsrl.answers.lexer import Unreadable
from nsrl.answers.phrases import YES_NO
from nsrl.answers.reader import read
from nsrl.answers.tree import INFINITY, neg
from nsrl.answers.values import Clock, Relation, Scalar, Value


def kind_stated(text: str) -> str | None:
    """The kind of answer a completion states, found without the gold: yes/no, letter, letters, date, value, several
    values, text, or none found.

    A text has one answer. Were each gold to find its own in `4`, `red` and `B` on three lines, that text would be a
    constant that pays for three.
    """
    for candidate in final.candidates(text):
        if candidate.several:
            continue
        said = candidate.text.strip(" \n()[]*$")
        if YES_NO.match(said):
            return "yes/no"
        if lettered.letters(candidate.text) is not None:
            return "letters"
        if lettered.letter(candidate.text) is not None or lettered.told_letter(candidate.text) is not None:
            return "letter"
        kinds = [kind for piece in final.pieces(candidate.text, labels=False) if (kind := kind_read(piece))]
        if kinds:
            return "date" if "date" in kinds else kinds[0]
        if candidate.strong and re.fullmatch(r"[^\d\\=<>]*[A-Za-z]{2}[^\d\\=<>]*", said):
            return "value" if _reads(said) else "text"
    return None


def kind_read(piece: str) -> str | None:
    """date, value, values or relation for a piece that says so; None where it is words, or letters that need be no
    value."""
    if len(piece) > MAX_PIECE:
        return None
    if clean.date(clean.unwrapped(piece)) is not None:
        return "date"
    try:
        value = read(piece)
    except Unreadable:
        return None
    if several(value):
        return "values"
    if isinstance(value, Relation) and _of_letters(piece):
        return "relation"
    return "value" if re.search(r"\d|\\pi(?![a-z])|π", piece) or isinstance(value, Clock) or _endless(value) else None


def _of_letters(text: str) -> bool:
    """Whether an inequality is of letters alone: `A > B` states no number, and what states a number does not state
    it."""
    return re.search(r"\d", text) is None and re.search(r"[<>≤≥]|\\[lg]eq?\b", text) is not None


def _endless(value: Value) -> bool:
    return isinstance(value, Scalar) and value.tree in (INFINITY, neg(INFINITY))


def _reads(text: str) -> bool:
    try:
        read(text)
    except Unreadable:
        return False
    return True


def fits(kind: str | None, gold: Gold) -> bool:
    """Whether a completion that states an answer of this kind may answer the gold."""
    if gold.kind == "value":
        assert gold.value is not None
        either = ("values",) if several(gold.value) or isinstance(gold.value, Relation) else ()
        relation = ("relation",) if isinstance(gold.value, Relation) else ()
        return kind in (None, *(() if relation and _of_letters(gold.text) else ("value",)), *either, *relation)
    if gold.kind != "text":
        return kind in (None, gold.kind)
    if YES_NO.match(gold.text):
        return kind in (None, "text", "yes/no")
    return kind in (None, "text") or (kind in ("value", "values") and re.search(r"\d", gold.text) is not None)
