"""CSV as people's programs write it: comma, semicolon, tab or bar; UTF-8 or UTF-16, with or without a byte order mark.

Knows nothing of problems. A file that is in no Unicode encoding is refused: guessing one would change its letters.
"""

from __future__ import annotations

import csv
import io
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from nsrl.errors import UserError

SEPARATORS = (",", ";", "\t", "|")
_SAMPLE = 1 << 16  # characters looked at to find the separator
_HINT = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)  # Excel's own first line


def records(file: Path) -> Iterator[tuple[int, dict[str, str | None] | str]]:
    """(line number, columns) for every record behind the header; a record that is none comes as what is wrong with it.

    Raises `UserError`, naming row, line and byte, where the file is not Unicode.
    """
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # pictures may stand in cells
    encoding = _encoding(file)
    try:
        with file.open(newline="", encoding=encoding) as lines:
            sample = lines.read(_SAMPLE)
            hint = _HINT.match(sample)
            lines.seek(0)
            if hint:
                lines.readline()
            separator = hint[1] if hint else _separator(sample, len(sample) < _SAMPLE)
            reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
            header: list[str] | None = None
            while True:
                line = reader.line_num + 1 + bool(hint)
                try:
                    fields = next(reader, None)
                except csv.Error as error:  # an open quote: the reader goes on behind it
                    yield line, f"line {line} is not CSV ({error})"
                    continue
                if fields is None:
                    return
                if not any(fields):
                    continue
                if header is None:
                    header = [name.strip() for name in fields]
                elif len(fields) > len(header):
                    yield line, f"line {line} has {len(fields)} fields, the header {len(header)}"
                else:
                    yield line, dict(zip(header, fields + [None] * (len(header) - len(fields))))
    except UnicodeDecodeError:
        raise _not_unicode(file, encoding) from None


def _encoding(file: Path) -> str:
    with file.open("rb") as data:
        start = data.read(3)
    return "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"


def _separator(sample: str, whole: bool) -> str:
    """The separator under which the most records have as many fields as the header; of those the one with most fields."""
    best = (0.0, 1, ",")
    for separator in SEPARATORS:
        counts = [len(fields) for fields in csv.reader(io.StringIO(sample, newline=""), delimiter=separator) if fields]
        counts = counts if whole or len(counts) < 3 else counts[:-1]  # the last record is cut off
        if not counts or counts[0] < 2:
            continue
        fitting = Counter(counts)[counts[0]] / len(counts)
        if (fitting, counts[0]) > best[:2]:
            best = (fitting, counts[0], separator)
    return best[2]


def _not_unicode(file: Path, encoding: str) -> UserError:
    data = file.read_bytes()
    try:
        data.decode(encoding)
    except UnicodeDecodeError as error:
        before = data[: error.start].decode(encoding, "ignore")
        line = before.count("\n") + 1
        row = sum(1 for fields in csv.reader(io.StringIO(before + "x", newline="")) if fields) - 1
        where = f"row {row} (line {line})" if row else f"the header (line {line})"
        byte = f"byte 0x{data[error.start]:02x}"
        return UserError(f"data.path: {file.name!r} must be UTF-8; {where} holds {byte}, as in Latin-1: save it as UTF-8")
    raise AssertionError("only called where decoding fails")
