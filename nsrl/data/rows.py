"""One row to one `Problem`: which column means what, image markers, options, gold. Knows no file formats and no models.

A row that cannot become a problem raises `BadRow` with the reason; the caller counts it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nsrl.answers.checker import check
from nsrl.data import choices, images
from nsrl.data.choices import BadRow, Counted, Meaning, text_of
from nsrl.data.jsons import Refused
from nsrl.data.names import FILE_NAME, PICTURES
from nsrl.errors import UserError
from nsrl.types import MARK, ImageRef, Problem

QUESTION = ("question", "prompt", "problem", "query", "messages", "conversations")
IMAGES = ("images", "decoded_image", "image", "img", "image_path", "image_paths")
ANSWER = (
    "answer",
    "solution",
    "ground_truth",
    "final_answer",
    "gold",
    "target",
    "answerkey",
    "answer_key",
    "label",
    "reward_model",
)
OPTIONS = ("options", "choices")
CATEGORY = ("category", "subject", "topic", "task")
IDENTITY = ("id", "qid", "pid", "question_id", "problem_id", "uid", "index")
DECISIVE = frozenset((*QUESTION, *IMAGES, *ANSWER, *OPTIONS))  # a row in which two of one name differ is refused
MEDIA = ("video", "audio")  # what questions may be about that cannot be shown
MAX_DEPTH = 100  # of lists in lists; no data set's are
MAX_QUESTION = 40_000  # characters; longer ones fit no context and are no question

_NUMBERED = re.compile(r"<image[ _]?(\d+)>")
_ANY_MARK = re.compile(
    r"<image>|<\|image_pad\|>|<\|vision_start\|><\|image_pad\|><\|vision_end\|>|<img>", re.IGNORECASE
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile(r"<\|[^|<>\s]{1,40}\|>")
_NUMBERED_COLUMN = re.compile(r"(?:image|img|picture)[ _-]?(\d+)")
Again = Callable[[], Any]
OpenImage = Callable[[Any, "Path | None", "Again | None"], ImageRef]


def to_problem(
    row: Mapping[str, Any],
    number: int,
    source: str,
    open_image: OpenImage,
    answered: bool = True,
    one_picture: bool = False,
    numbers: dict[int, Counted] | None = None,
) -> Problem:
    """The problem of a row. Raises `BadRow`.

    number: of the row, its id where it has none; open_image: what an entry of an image column refers to; answered: a
    row without a usable gold answer is bad (else a gold that is no text stays in its column); one_picture: markers
    <image1>, <image2>, … all lie in the one image of the row; numbers: takes, by the rows' numbers, golds whose
    meaning only the whole data set tells (None: this row alone has to tell it).
    """
    if isinstance(row, Refused):
        raise BadRow("unreadable row", row.why)
    if not isinstance(row, Mapping):
        raise BadRow("not a row", f"expected columns, got {type(row).__name__}")
    _check_values(row)
    named = _named(row)
    question_column = _first(row, named, QUESTION)
    if question_column is None:
        raise BadRow("no question", columns_text(row, QUESTION))
    system, question, inline = _text(row[question_column])
    image_columns, entries = ((question_column,), inline) if inline else _pictures(row, named)
    for kind in MEDIA:
        if f"<{kind}>" in question and any(not _blank(row[c]) for n, c in named.items() if n.startswith(kind)):
            raise BadRow("neither text nor picture", f"the question shows a {kind}")
    question = _markers(question, len(entries), one_picture)
    if not question.replace(MARK, "").strip() and not entries:
        raise BadRow("no question", "the text is empty")
    if len(question) > MAX_QUESTION:
        raise BadRow("over-long prompt", f"{len(question)} characters")
    marks = question.count(MARK)
    if marks > len(entries):
        found = "" if image_columns else "; " + columns_text(row, IMAGES)
        raise BadRow("missing image", f"{marks} image markers for {len(entries)} images{found}")
    options_column = _first(row, named, OPTIONS)
    among = choices.options(row[options_column] if options_column else None)
    options = tuple(_NUMBERED.sub(lambda m: f"(picture {m[1]})", o).replace(MARK, "(picture)") for o in among.texts)
    among = replace(among, texts=options)
    answer_column = _first(row, named, ANSWER)
    answer = _gold(row[answer_column] if answer_column else None, among, answered)
    if isinstance(answer, Counted):
        if numbers is None:
            answer = Meaning.of([answer]).answer(answer)
        else:
            numbers[number], answer = answer, str(answer.number)
    if answered and check("", answer, options).correct is None:
        absent = f"the column {answer_column!r} is empty" if answer_column else columns_text(row, ANSWER)
        raise BadRow("no gold answer", f"unreadable: {answer[:60]!r}" if answer else absent)
    try:
        refs = tuple(
            open_image(entry, getattr(row, "folder", None), _again(row, image_columns, bool(inline), k))
            for k, entry in enumerate(entries)
        )
    except UserError as error:
        raise BadRow("missing image" if "missing" in str(error) else "corrupt image", str(error)) from None
    category = _first(row, named, CATEGORY)
    used = {question_column, answer_column if answer is not None else None, options_column, category, *image_columns}
    used |= {named[name] for name in (*IDENTITY, *IMAGES) if name in named}
    columns = {k: v for k, v in row.items() if k not in used and not _is_picture(v)}
    if said := _CONTROL.sub(" ", system) or _system(row, named):
        columns["system"] = said
    return Problem(
        id=_identity(row, named, number),
        question=question,
        answer=answer,
        images=refs,
        options=options,
        options_pictured=getattr(row, "pictured", False),
        groups=getattr(row, "groups", {}),
        category=text_of(row[category]) if category and not _blank(row[category]) else "",
        source=text_of(row.get("source") or source),
        columns=columns,
    )


def column(row: Mapping[str, Any], names: Sequence[str]) -> Any:
    """The value of the first of these columns that holds something, whatever the case of its name; None without one."""
    named = _named(row)
    found = _first(row, named, names)
    return None if found is None or _blank(row[found]) else row[found]


def _system(row: Mapping[str, Any], named: Mapping[str, str]) -> str:
    """The row's own system text: a text or typed content, without control tokens; "" where it has none."""
    value = row[named["system"]] if "system" in named else None
    return "".join(spoken(value)) if isinstance(value, str | bytes | list | tuple) else ""


def spoken(content: Any) -> list[str]:
    """The pieces of a message's content in order: texts, with a marker for each picture. Raises `BadRow`.

    Control tokens of chat formats are taken out, as of a question.
    """
    items = [content] if isinstance(content, str | bytes) or not isinstance(content, list | tuple) else content
    pieces = [_text([{"role": "user", "content": item if isinstance(item, str | bytes) else [item]}])[1]
              for item in items if item is not None]  # fmt: skip
    return [_CONTROL.sub(" ", _ANY_MARK.sub(MARK, piece)) for piece in pieces]


def _gold(value: Any, among: choices.Options, answered: bool) -> str | Counted | None:
    try:
        return choices.gold(value, among)
    except BadRow:
        if answered:
            raise
        return None


def identity(row: Any, number: int) -> str:
    """The id a row gives itself, else its number; always text that can be written."""
    if not isinstance(row, Mapping):
        return str(number)
    try:
        return _identity(row, _named(row), number).encode("utf-8", "backslashreplace").decode()
    except (BadRow, RecursionError):
        return str(number)


def _identity(row: Mapping[str, Any], named: Mapping[str, str], number: int) -> str:
    name = _first(row, named, IDENTITY)
    return str(number) if name is None or _blank(row[name]) else text_of(row[name])


def _check_values(row: Mapping[str, Any]) -> None:
    """Raises `BadRow` for what can be neither tokenised nor written: half of a character, or lists in lists in
    lists."""
    left: list[tuple[Any, Any, int]] = [(k, v, 1) for item in row.items() for k, v in ((item[0], item[0]), item)]
    while left:
        column, value, depth = left.pop()
        if isinstance(value, str):
            if not value.isascii() and (half := _SURROGATE.search(value)):
                raise BadRow("unreadable text", f"the column {column!a} holds half of a surrogate pair, {half[0]!a}")
        elif isinstance(value, Refused):
            raise BadRow("unreadable row", f"the column {column!a}: {value.why}")
        elif isinstance(value, Mapping | list | tuple):
            if depth > MAX_DEPTH:
                raise BadRow("unreadable row", f"the column {column!a} is nested more than {MAX_DEPTH} deep")
            inner = [*value, *value.values()] if isinstance(value, Mapping) else value
            left += [(column, v, depth + 1) for v in inner if isinstance(v, str | Mapping | list | tuple | Refused)]


def columns_text(row: Mapping[str, Any], wanted: Sequence[str]) -> str:
    """Which columns were looked for and which are there, for a message."""
    there = ", ".join(str(k) for k in list(row)[:20]) or "none"
    return (
        f"looked for a column {', '.join(wanted[:-1])} or {wanted[-1]}; found {there}{', …' if len(row) > 20 else ''}"
    )


def entry_image(
    entry: Any, find: Callable[[str, Path | None], ImageRef], folder: Path | None = None, again: Again | None = None
) -> ImageRef:
    """The image of one entry: a path (through `find`), bytes, a data URL, HF's {bytes, path}, or a PIL image.

    again: gives the entry anew, so that bytes in it are read when the image is opened and not kept until then.
    """
    if (data := _embedded(entry)) is not None:
        name = str((entry.get("path") if isinstance(entry, Mapping) else None) or "in memory")
        if again is None:
            return images.bytes_image(data, name)
        return images.lazy_image(lambda: _embedded(again()) or b"", name, data)
    if isinstance(entry, Mapping):
        path = entry.get("path") or entry.get("url") or entry.get("image")
        if path is None:
            raise UserError("image is missing: neither bytes nor a path")
        return entry_image(path, find, folder)
    if isinstance(entry, str):
        if entry.startswith(("http://", "https://")):
            raise UserError(f"image {entry[:80]!r} is missing: it is an address, not a file")
        return find(entry.removeprefix("file://"), folder)
    if hasattr(entry, "tobytes") and hasattr(entry, "convert"):
        return images.pil_image(entry)
    raise UserError(f"image is missing: expected a path, bytes or an image; got {type(entry).__name__}")


def _is_picture(value: Any) -> bool:
    """Whether a picture's bytes are in this value: what is not shown is not kept either."""
    if isinstance(value, Mapping):
        value = value.get("bytes")
    return isinstance(value, bytes) or (isinstance(value, str) and value.startswith("data:image"))


def _embedded(entry: Any) -> bytes | None:
    """The encoded image inside an entry; None where it only refers to one."""
    if isinstance(entry, Mapping):
        return _encoded(entry["bytes"]) if entry.get("bytes") else None
    if isinstance(entry, bytes | bytearray | memoryview):
        return bytes(entry)
    return images.data_url_bytes(entry) if isinstance(entry, str) and entry.startswith("data:") else None


def _encoded(data: Any) -> bytes:
    """The bytes of a picture: as such, in base64, or as a list of numbers. Raises `UserError`."""
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data)
    if isinstance(data, str):
        return (
            images.data_url_bytes(data)
            if data.startswith("data:")
            else images.base64_bytes(data, "a text under 'bytes'")
        )
    if isinstance(data, list | tuple) and all(type(v) is int and 0 <= v < 256 for v in data):
        return bytes(data)
    raise UserError(
        f"image is corrupt: 'bytes' must be bytes, base64 or a list of numbers below 256; got {str(data)[:40]}"
    )


def _again(row: Mapping[str, Any], columns: tuple[str, ...], inline: bool, number: int) -> Again | None:
    """How to get an entry of these columns anew; None where the row cannot be read again."""
    reread = getattr(row, "again", None)
    if reread is None:
        return None

    def read() -> Any:
        fresh = reread(columns)
        there = isinstance(fresh, Mapping) and all(column in fresh for column in columns)
        entries = () if not there else _text(fresh[columns[0]])[2] if inline else _listed(fresh, columns)
        if number >= len(entries):
            raise UserError("image cannot be read any more: its row changed")
        return entries[number]

    return read


def _pictures(row: Mapping[str, Any], named: Mapping[str, str]) -> tuple[tuple[str, ...], list[Any]]:
    """(columns, entries) of a row's pictures: an image column, else numbered ones (image_1, …), else file names.

    A file name is a picture's in HF's metadata files; elsewhere only if it ends like one.
    """
    found = _first(row, named, IMAGES)
    columns = () if found is None else (found,)
    if entries := _listed(row, columns):
        return columns, entries
    numbered = sorted((int(m[1]), c) for n, c in named.items() if (m := _NUMBERED_COLUMN.fullmatch(n)))
    columns = tuple(c for _, c in numbered) or columns
    if not _listed(row, columns):
        whole = getattr(row, "metadata", False)
        files = [c for n, c in named.items() if FILE_NAME.fullmatch(n)]
        kept = [c for c in files if whole or all(str(e).lower().endswith(PICTURES) for e in _entries(row[c]))]
        columns = tuple(kept) or columns
    return columns, _listed(row, columns)


def _listed(row: Mapping[str, Any], columns: Sequence[str]) -> list[Any]:
    return [entry for column in columns for entry in _entries(row[column])]


def _named(row: Mapping[str, Any]) -> dict[str, str]:
    """Columns by their names in small letters without spaces around them. Raises `BadRow` for two that differ."""
    named: dict[str, str] = {}
    for k in (k for k in row if isinstance(k, str)):
        other = named.setdefault(k.strip().lower(), k)
        if other != k and not _blank(row[k]):
            if not _blank(row[other]) and k.strip().lower() in DECISIVE and text_of(row[k]) != text_of(row[other]):
                raise BadRow("two columns of one name", f"{other!r} and {k!r} differ")
            named[k.strip().lower()] = k if _blank(row[other]) else other
    return named


def _first(row: Mapping[str, Any], named: Mapping[str, str], names: Sequence[str]) -> str | None:
    """The first of these columns that holds something; else the first that exists."""
    there = [named[name] for name in names if name in named]
    return next((c for c in there if not _blank(row[c])), there[0] if there else None)


def _blank(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(v is None for v in value.values())
    return value is None or (isinstance(value, str | Sequence) and len(value) == 0) or value != value


def _entries(value: Any) -> list[Any]:
    if _blank(value):
        return []
    if isinstance(value, list | tuple):
        return [v for v in value if not _blank(v)]
    if hasattr(value, "tolist") and not isinstance(value, memoryview) and not hasattr(value, "convert"):
        return [v for v in value.tolist() if not _blank(v)]
    return [value]


def _text(value: Any) -> tuple[str, str, list[Any]]:
    """(system text, question with a marker per image, images found inline) of a string or typed chat content."""
    if value is None:
        return "", "", []
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, list | tuple):
        return "", text_of(value), []
    system: list[str] = []
    parts: list[str] = []
    inline: list[Any] = []
    messages = (
        value
        if value and isinstance(value[0], Mapping) and ("content" in value[0] or "value" in value[0])
        else [{"role": "user", "content": value}]
    )
    for message in messages:
        if not isinstance(message, Mapping):
            parts.append(text_of(message))
            continue
        role = message.get("role") or message.get("from")
        if role in ("assistant", "gpt"):
            break  # what follows the first answer is not the question
        content = message.get("content", message.get("value"))
        where = system if role == "system" else parts
        if isinstance(content, str | bytes):
            where.append(text_of(content))
            continue
        for item in content if isinstance(content, list | tuple) else []:
            if not isinstance(item, Mapping):
                where.append(text_of(item))
            elif item.get("type") in ("image", "image_url", "input_image") or ("image" in item and "text" not in item):
                where.append(MARK)
                picture = item.get("image") or item.get("image_url") or item.get("path") or item.get("url")
                picture = picture.get("url") if isinstance(picture, Mapping) and "url" in picture else picture
                if picture is not None:
                    inline.append(picture)
            elif media := [m for m in MEDIA if item.get(m) or m in str(item.get("type"))]:
                raise BadRow("neither text nor picture", f"an item of the messages is of type {media[0]!r}")
            elif item.get("text") or item.get("type") in (None, "text", "input_text"):
                where.append(text_of(item.get("text") or ""))
            else:
                raise BadRow(
                    "neither text nor picture", f"an item of the messages is of type {str(item['type'])[:40]!r}"
                )
    return "\n".join(system), "\n".join(p for p in parts if p), inline


def _markers(question: str, count: int, one_picture: bool) -> str:
    """One marker per image in the text, `<image>`; control tokens of chat formats are taken out of user text."""
    question = _ANY_MARK.sub(MARK, question)
    question = _CONTROL.sub(" ", question)
    numbers = [int(n) for n in _NUMBERED.findall(question)]
    if numbers and (one_picture or count == 1 or count < len(set(numbers))) and MARK not in question:
        first = True

        def once(match: re.Match) -> str:
            nonlocal first
            if first and count:
                first = False
                return MARK
            return f"(picture {match[1]})"

        return _NUMBERED.sub(once, question)
    if numbers and count > 1 and MARK not in question:
        seen: set[int] = set()

        def in_turn(match: re.Match) -> str:
            number = int(match[1])
            if number in seen or number != len(seen) + 1 or number > count:
                return f"(picture {number})"
            seen.add(number)
            return MARK

        return _NUMBERED.sub(in_turn, question)
    return _NUMBERED.sub(lambda m: f"(picture {m[1]})", question)
