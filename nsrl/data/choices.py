"""The options of a row and its gold answer, in every shape that data sets write them; numbers as their shortest text.

A gold that could mean two options, or none, is refused, never guessed. Knows no other columns and no files.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nsrl.answers.gold import chosen

LETTERED = 10  # options from A to J: the letters that the answer check knows
LONGEST = 100_000  # characters of a list written as text
DEEPEST = 20  # brackets within each other in one
TEXT = ("text", "content", "value", "option_text", "choice", "option", "answer")
LABEL = ("id", "label", "key", "letter", "name", "index", "idx", "option")
NO_GOLD = "no gold answer"

_LETTER = re.compile(r"(?:(?:option|choice|answer|ans)[ _-]?)?[(\[]?([A-Za-z])[)\].:]?", re.IGNORECASE)
_NUMBER = re.compile(r"(?:(?:option|choice|answer|ans)[ _-]?)?[(\[]?(\d{1,3})[)\].:]?", re.IGNORECASE)
_LABELLED = re.compile(r"\s*\(?([A-Z])[.):]\s*(?=\S)")
_MARKER = re.compile(r"(?:^|(?<=[\s,;]))\(?([A-Z])[.):]\s*(?=\S)")
_WHOLE = re.compile(r"[+-]?\d{1,6}(?:\.0)?")
_PRINTED = re.compile(r"-?\d+\.\d{14,}(?:e[+-]?\d+)?")  # of a float with all its digits
_STRING = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_PIECE = re.compile(
    rf",\s*dtype=(?:\w+|'[^']{{0,12}}')\s*\)|\barray\(|\b(?:nan|null|true|false)\b|{_STRING}", re.DOTALL
)
_GAP = re.compile(rf"({_STRING})|[^'\"]+", re.DOTALL)
_LOST = re.compile(r"[\a\b\v\f]|\t[a-z]")  # what \frac and \times become where a list written by hand is read
_WORDS = {"nan": "None", "null": "None", "true": "True", "false": "False"}


class BadRow(ValueError):
    """A row that is skipped: why, in a few words that are the same for every such row, and the detail."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


@dataclass(frozen=True)
class Options:
    """texts: of A, B, C, …, empty where the row leaves a letter out; labels: what the row calls them, if not by
    letters."""

    texts: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    def answer(self, index: int) -> str:
        """The gold that means this option: its letter, where the answer check knows it. Raises `BadRow`."""
        if not self.texts[index]:
            raise BadRow(NO_GOLD, f"it names option {chr(65 + index)}, which is empty")
        return chr(65 + index) if index < LETTERED else self.texts[index]


@dataclass(frozen=True)
class Counted:
    """A whole number as gold beside options, which may be an option's text or count options from 0.

    text: index of the option that is this number, if one is; count: index that it counts to, if there is such an
    option.
    """

    number: int
    options: Options
    text: int | None
    count: int | None


def text_of(value: Any) -> str:
    """Text of a value; bytes are taken for UTF-8, as a binary column of a parquet file has it. Raises `BadRow`."""
    if isinstance(value, float):
        return float_text(value)
    if not isinstance(value, bytes | bytearray | memoryview):
        return str(value)
    try:
        return bytes(value).decode()
    except UnicodeDecodeError as error:
        raise BadRow("unreadable text", f"a binary value is not UTF-8 ({error})") from None


def float_text(value: float) -> str:
    """The shortest text of a float: whole ones without a fraction, and at 15 digits where that ends its noise (0.1 +
    0.2)."""
    if value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    text = repr(float(value))
    if not math.isfinite(value):
        return text
    rounded = repr(float(f"{value:.15g}"))
    return rounded if len(rounded) + 4 <= len(text) else text


def listed(value: Any) -> Any:
    """Arrays as lists; a parquet map, which comes as a list of pairs, as a mapping."""
    if hasattr(value, "tolist") and not isinstance(value, memoryview):
        value = value.tolist()
    pairs = isinstance(value, list) and value and all(isinstance(v, tuple) and len(v) == 2 for v in value)
    return {text_of(k): v for k, v in value} if pairs else value


# -- options -------------------------------------------------------------------------------------------------------


def options(value: Any) -> Options:
    """The options of a cell: a list, a mapping, a list of mappings, or one of these written as text. Raises
    `BadRow`."""
    value, text = listed(value), ""
    if isinstance(value, str | bytes):
        text = text_of(value).strip()
        value = _parsed(text)
        if value is None:
            return _ordered(*_split(text)) if text else Options()
    if _nothing(value):
        return Options()
    if isinstance(value, Mapping):
        labels, texts = _columns(value)
    elif isinstance(value, list | tuple):
        labels, texts = _rows(value)
    else:
        raise BadRow("unreadable options", f"expected a list, got {str(value)[:60]!r}")
    if "\\" in text and any(isinstance(t, str) and _LOST.search(t) for t in texts):
        raise BadRow("unreadable options", f"backslashes stand single in the list {text[:60]!r}")
    return _ordered(labels, [_option(t) for t in texts])


def _nothing(value: Any) -> bool:
    return value is None or value != value or (isinstance(value, Mapping | list | tuple) and not value)


def _option(value: Any) -> str:
    value = listed(value)
    if isinstance(value, Mapping):
        raise BadRow("unreadable options", f"one of them is {str(dict(value))[:60]!r}")
    return "" if _nothing(value) else text_of(value).strip()


def _columns(value: Mapping[Any, Any]) -> tuple[list[str], list[Any]]:
    """(labels, texts) of {"label": [...], "text": [...]}, {"text": [...]} or {label: text}."""
    named = {str(k).strip().lower(): listed(v) for k, v in value.items()}
    lists = {k: v for k, v in named.items() if isinstance(v, list | tuple)}
    texts = next((k for k in TEXT if k in lists), None)
    if texts is None:
        return [str(k) for k in value], list(value.values())
    labels = next((lists[k] for k in LABEL if k in lists and k != texts), [])
    if labels and len(labels) != len(lists[texts]):
        raise BadRow("unreadable options", f"{len(labels)} labels for {len(lists[texts])} texts")
    return ([_option(k) for k in labels], list(lists[texts])) if labels else _rows(lists[texts])


def _rows(value: Sequence[Any]) -> tuple[list[str], list[Any]]:
    """(labels, texts) of ["10", …], [{"id": "A", "text": "10"}, …] or [{"A": "10"}, …]."""
    value = [listed(v) for v in value]
    if not any(isinstance(v, Mapping) for v in value):
        marked = [_LABELLED.match(v) if isinstance(v, str) else None for v in value]
        letters = [m[1] for m in marked if m]
        if (
            len(value) > 1
            and len(letters) == len(value)
            and sorted(letters) == [chr(65 + i) for i in range(len(value))]
        ):
            return letters, [v[m.end() :] for v, m in zip(value, marked) if m]
        return [], list(value)
    labels, texts = [], []
    for one in value:
        if not isinstance(one, Mapping) or not one:
            raise BadRow("unreadable options", f"one of them is {str(one)[:60]!r}, others are mappings")
        named = {str(k).strip().lower(): v for k, v in one.items()}
        text = next((k for k in TEXT if k in named and not isinstance(named[k], bool)), None)
        label = next((k for k in LABEL if k in named and k != text), None)
        if text is None and len(one) > 1:
            raise BadRow(
                "unreadable options",
                f"looked for {', '.join(TEXT[:-1])} or {TEXT[-1]}; found {', '.join(map(str, one))}",
            )
        labels.append(_option(named[label]) if label else str(next(iter(one))) if text is None else "")
        texts.append(named[text] if text else next(iter(one.values())))
    return (labels if any(labels) else []), texts


def _ordered(labels: Sequence[str], texts: Sequence[str]) -> Options:
    """Options in the order of their labels: letters give the place, empty places included, numbers the order."""
    if not any(texts):
        return Options()
    if len(set(labels)) < len(labels):
        raise BadRow("unreadable options", f"the labels {', '.join(labels)[:60]} are not all different")
    letters = [m[1].upper() for label in labels if (m := _LETTER.fullmatch(label))]
    numbers = [int(m[1]) for label in labels if (m := _NUMBER.fullmatch(label))]
    if not labels:
        kept, names = list(texts), ()
    elif len(letters) == len(labels) == len(set(letters)) and ord(max(letters)) - 65 < 2 * len(letters) + 2:
        by_letter = dict(zip(letters, texts))
        kept, names = [by_letter.get(chr(c), "") for c in range(65, ord(max(letters)) + 1)], ()
    else:
        pairs = [(label, text) for label, text in zip(labels, texts) if text]
        if len(numbers) == len(labels):
            order = dict(zip(labels, numbers))
            pairs = [(str(order[label]), text) for label, text in sorted(pairs, key=lambda pair: order[pair[0]])]
        kept, names = [text for _, text in pairs], tuple(label for label, _ in pairs)
    while kept and not kept[-1]:
        kept.pop()
    return Options(tuple(kept), names)


def _parsed(text: str) -> Any:
    """The list or mapping that a text is in JSON, Python's or NumPy's spelling; None where it is none."""
    if len(text) > LONGEST or not (text[:1] in "[{" and text[-1:] in "]}") or _depth(text) > DEEPEST:
        return None
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        value = ast.literal_eval(_python(text))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    return value if isinstance(value, list | dict) else None


def _depth(text: str) -> int:
    depth = most = 0
    for c in text:
        if c in "[{(":
            depth += 1
            most = max(most, depth)
        elif c in "]})":
            depth -= 1
    return most


def _python(text: str) -> str:
    """Python's spelling of a list as pandas writes cells: without `array(…, dtype=…)`, `nan`, and with all its
    commas."""

    def plain(match: re.Match[str]) -> str:
        piece: str = match[0]
        return ")" if piece.startswith(",") else "(" if piece.startswith("array") else _WORDS.get(piece, piece)

    text = _PIECE.sub(plain, text)
    if re.fullmatch(r"\[[-+\d.e\s]+\]", text):
        return re.sub(r"(?<=[\d.])\s+(?=[-+\d.])", ", ", text)
    out, before = [], False
    for match in _GAP.finditer(text):
        if match[1] and before:
            out.append(",")  # Python would join two strings that only a space parts
        before = bool(match[1]) or (before and match[0].isspace())
        out.append(match[0])
    return "".join(out)


def _split(text: str) -> tuple[list[str], list[str]]:
    """(labels, texts) of options in one text, one per line or behind A., B., … in turn. Raises `BadRow`."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    if len(lines) > 1:
        labels, texts = _rows(lines)
        return labels, [str(t) for t in texts]
    found: list[re.Match] = []
    for match in _MARKER.finditer(text):
        if match[1] == chr(65 + len(found)):
            found.append(match)
    if len(found) < 2:
        raise BadRow("unreadable options", f"expected a list, or lines, or A. …, B. …; got {text[:60]!r}")
    ends = [m.start() for m in found[1:]] + [len(text)]
    return [m[1] for m in found], [text[m.end() : end].strip(" ,;\n") for m, end in zip(found, ends)]


# -- gold ----------------------------------------------------------------------------------------------------------


def gold(value: Any, among: Options) -> str | Counted | None:
    """The gold as text; None: there is none; `Counted`: what a number means, only the whole data set tells.

    A list of different answers is refused: joining them would ask for all, and any may be right. Raises `BadRow`.
    """
    value = listed(value)
    if isinstance(value, Mapping):
        named = [k for k in ("ground_truth", "answer", "value") if k in value]
        if value and not named:
            raise BadRow(NO_GOLD, f"a mapping without ground_truth, answer or value: {str(dict(value))[:60]!r}")
        value = listed(value[named[0]]) if named else None
    if isinstance(value, str) and re.match(r"\[\s*['\"]", value):
        value = alternatives if isinstance(alternatives := _parsed(value.strip()), list) else value
    if isinstance(value, list | tuple):
        different = list({text_of(v).strip(): v for v in value}.items())
        if len(different) > 1:
            raise BadRow(
                NO_GOLD,
                f"a list of {len(different)} different answers, {str([text for text, _ in different])[:60]}: whether "
                f"any of "
                "them is right or all are wanted is not said; write one text",
            )
        value = listed(different[0][1]) if different else None
    if isinstance(value, Mapping | list | tuple):
        raise BadRow(NO_GOLD, f"expected a text or a number, got {str(value)[:60]!r}")
    if value is None or value != value:
        return None
    if isinstance(value, float) and not math.isfinite(value):
        raise BadRow(NO_GOLD, f"{value} is no finite number")
    if isinstance(value, bool):
        word = "Yes" if value else "No"
        value = str(value) if among.texts and not chosen(word, among.texts) else word
    text = text_of(value).strip()
    if _PRINTED.fullmatch(text) and repr(float(text)) == text:
        text = float_text(float(text))
    return _of_options(text, among) if among.texts and text else text or None


def _of_options(text: str, among: Options) -> str | Counted:
    """The gold of a row with options: a label, a letter, an option's text, or a number. Raises `BadRow`."""
    whole = int(float(text)) if _WHOLE.fullmatch(text) else None
    name, labels = text.casefold() if whole is None else str(whole), [label.casefold() for label in among.labels]
    if name in labels:
        return among.answer(labels.index(name))
    letters = chosen(text, among.texts)
    for letter in letters or "":
        if ord(letter) - 65 < len(among.texts):
            among.answer(ord(letter) - 65)  # no empty one
        elif len(letters or "") > 1:
            letters = None
    if whole is not None and not any(label.isdigit() for label in among.labels):
        equal = ord(letters) - 65 if letters and len(letters) == 1 else None
        return Counted(whole, among, equal, whole if 0 <= whole < len(among.texts) else None)
    if not letters:
        raise BadRow(
            NO_GOLD,
            f"{text[:60]!r} is no letter, label or text of the {len(among.texts)} options (or of more than one)",
        )
    return (
        text
        if all(ord(letter) - 65 < LETTERED for letter in letters) or len(letters) > 1
        else among.answer(ord(letters) - 65)
    )


@dataclass(frozen=True)
class Meaning:
    """What whole numbers mean in a data set's golds beside options, as its rows show together.

    texts: some are the text of an option and count to none; counts: some are no option's text and count to one; beyond:
    one is neither, but would be the last option counted from 1, and none is 0.
    """

    texts: bool
    counts: bool
    beyond: bool

    @classmethod
    def of(cls, numbers: Iterable[Counted]) -> Meaning:
        """What the numbers of a column can be, taken together."""
        texts = counts = beyond = zero = False
        for n in numbers:
            texts |= n.text is not None and n.count is None
            counts |= n.text is None and n.count is not None
            beyond |= n.text is None and n.number == len(n.options.texts)
            zero |= n.number == 0
        return cls(texts, counts, beyond and not zero)

    def answer(self, gold: Counted) -> str:
        """The gold that a number means. Raises `BadRow` where it means no option, or perhaps one of two."""
        n = gold.number
        if gold.text is None and gold.count is None:
            raise BadRow(
                NO_GOLD, f"{n} is neither the text of an option nor counts to one of {len(gold.options.texts)} from 0"
            )
        if gold.text == gold.count or (
            gold.text is not None and (gold.count is None or (self.texts and not self.counts))
        ):
            return gold.options.answer(gold.text)  # type: ignore[arg-type]
        if self.beyond:
            raise BadRow(
                NO_GOLD,
                f"whether {n} counts options from 0 or from 1 is not clear: no gold is 0, and one is their number",
            )
        if self.texts or (gold.text is not None and not self.counts):
            raise BadRow(NO_GOLD, f"whether {n} counts options or is the text of one is not clear: write letters")
        return gold.options.answer(gold.count)  # type: ignore[arg-type]
