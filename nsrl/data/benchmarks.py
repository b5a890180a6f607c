"""The protocols of MathVista, MathVerse and MATH-Vision: what a row of theirs asks and what answers it, in the columns
of any row.

A protocol changes a row in place: its question, options, gold and category, what else the benchmark reports by, and
whether its options stand in the picture. The check is that of every source. Knows no files.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from nsrl.answers.checker import check
from nsrl.answers.gold import typed_gold
from nsrl.data.choices import NO_GOLD, BadRow, listed, text_of
from nsrl.data.tables import Row

_MOST_DIGITS = 10
_IN_THE_PICTURE = "Answer the question that the picture shows."
_CHOICES = re.compile(r"\n\s*Choices?\s*:\s*(?=\n)", re.IGNORECASE)
_CHOICE = re.compile(r"([A-J])\s*[.:]\s*(.*)", re.DOTALL)
_BEARING = re.compile(r"(°|\\circ\}?)\s*T$")  # from true north
_NAMED = re.compile(r"[$\s]*(?:[A-Za-z][A-Za-z. ]*?)?[$\s]*=(.+)", re.DOTALL)  # Area $=9 \pi$, slope =-4


def mathvista(row: Row) -> None:
    """Options are meant by their texts, numbers to their precision, in the unit that the question names.

    Raises `BadRow` for a row of options without them, or whose answer is none of them.
    """
    unit, kind = _word(row.get("unit")), row.get("answer_type")
    hints = [f"(Unit: {unit})"] if unit else []
    answer = _word(row.get("answer"))
    row["category"], row.groups = _of(row.get("metadata"), "task"), _groups(row, "answer_type")
    if row.get("question_type") == "multi_choice" or row.get("choices"):
        texts = _texts(row.get("choices"))
        row["choices"], row["answer"] = _single(texts), _chosen(answer, texts)
    elif kind in ("integer", "float", "list") and answer:
        digits = _digits(row.get("precision")) if kind == "float" else 0 if kind == "integer" else None
        row["answer"] = _with_unit(_rounded(answer, digits, exact=kind == "integer"), unit)
        hints.append(_hint(kind, digits))
    if isinstance(row.get("question"), str):
        row["question"] = " ".join([row["question"], *filter(None, hints)])


def mathverse(row: Row) -> None:
    """Options stand in the question, or in the picture; a gold may have a name before it; reported by the version of
    the problem."""
    row["category"] = _word(row.get("problem_version"))
    row.groups = {"subject": _of(row.get("metadata"), "subject")}
    question, answer = _word(row.get("question")), _word(row.get("answer"))
    text, options = _split(question or _word(row.get("question_for_eval")))
    row["question"] = text if question else _IN_THE_PICTURE
    if row.get("question_type") == "multi-choice" and options:
        row["options"], row.pictured = options, not question
    answer = answer.replace("\u63b3", "°")  # a degree sign in the wrong encoding
    row["answer"] = _unnamed(_BEARING.sub(r"\1", answer))


def mathvision(row: Row) -> None:
    """Rows as any source's; reported by level as well."""
    row.groups = _groups(row, "level")


PROTOCOLS: dict[str, Callable[[Row], None]] = {
    "mathvista": mathvista, "mathverse": mathverse, "mathvision": mathvision,
}  # fmt: skip


def _word(value: Any) -> str:
    """A text or a number as text; nothing for anything else. Raises `BadRow`."""
    return text_of(value).strip() if isinstance(value, str | int | float | bytes) and value == value else ""


def _of(metadata: Any, name: str) -> str:
    return _word(metadata.get(name)) if isinstance(metadata, Mapping) else ""


def _groups(row: Mapping[str, Any], *names: str) -> dict[str, str]:
    return {name.replace("_", " "): _word(row.get(name)) for name in names}


def _texts(value: Any) -> list[str]:
    value = listed(value)
    if not isinstance(value, list | tuple) or not value:
        raise BadRow("no options", f"question_type is multi_choice; choices are {str(value)[:60]!r}")
    return [_word(text) for text in value]


def _single(texts: list[str]) -> list[str]:
    """Each text once: what equals an option is that option, so its second is not shown."""
    return [text if text not in texts[:number] else "" for number, text in enumerate(texts)]


def _chosen(answer: str, texts: list[str]) -> str:
    """The gold that means the option of this text: its letter, but where the options are letters in another order."""
    if not answer or answer not in texts:
        raise BadRow(NO_GOLD, f"{answer[:60]!r} is the text of none of the {len(texts)} choices")
    letter = chr(65 + texts.index(answer))
    return letter if typed_gold(letter, tuple(texts)).options else answer


def _digits(precision: Any) -> int | None:
    """Digits behind the point; None where the row does not say it."""
    try:
        digits = float(precision)
    except (TypeError, ValueError):
        return None
    return int(digits) if 0 <= digits <= _MOST_DIGITS else None


def _rounded(answer: str, digits: int | None, exact: bool = False) -> str:
    """The number with so many digits behind the point, which the check takes for its precision; exact: left as it is
    where that changes its value."""
    try:
        number = float(answer)
    except ValueError:
        return answer
    if digits is None or not math.isfinite(number):
        return answer
    text = f"{number:.{digits}f}"
    return answer if exact and float(text) != number else text


def _with_unit(answer: str, unit: str) -> str:
    """The number in its unit, where the check can read that: it then takes the number alone as well."""
    whole = f"{answer} {unit}"
    return whole if unit and typed_gold(whole, ()).kind == "value" and check(answer, whole).correct else answer


def _hint(kind: Any, digits: int | None) -> str:
    if kind == "list":
        return "Answer with a list, such as [1, 2, 3]."
    if kind == "integer":
        return "Answer with a whole number."
    return "" if digits is None else f"Answer with a number rounded to {digits} decimal place{'s' * (digits != 1)}."


def _split(text: str) -> tuple[str, list[str]]:
    """(question, options) of a text with `Choices:` and a line for each behind it; no options where there are none."""
    heads = list(_CHOICES.finditer(text))
    found: list[str] = []
    for line in text[heads[-1].end() :].strip().split("\n") if heads else ():
        match = _CHOICE.match(line.strip())
        if match and match[1] == chr(65 + len(found)):
            found.append(match[2].strip())
        elif found and line.strip():
            found[-1] += f" {line.strip()}"
    return (text[: heads[-1].start()].rstrip(), found) if len(found) > 1 else (text, [])


def _unnamed(answer: str) -> str:
    """The value of `Area $=9 \\pi \\mathrm{cm}^{2}$`, where the check reads no value with its name."""
    match = _NAMED.fullmatch(answer) if typed_gold(answer, ()).kind == "text" else None
    value = match[1].replace("$", "").strip() if match else ""
    return value if value and typed_gold(value, ()).kind == "value" else answer
