"""CSV as people's programs write it: comma, semicolon, tab or bar; UTF-8 or UTF-16, with or without a byte order mark.
A file that is in no Unicode encoding is refused: guessing one would change its letters."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections import Counter, deque
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
            feed = _Feed(lines, int(bool(hint)))
            reader = csv.reader(feed, delimiter=separator, skipinitialspace=True, strict=True)
            header: list[str] | None = None
            titled = ""  # a first line that names one thing
            torn = rest = 0  # up to here lines were first taken for the inside of a quote
            broken: tuple[int, str] | None = None
            while True:
                line = feed.start()
                try:
                    fields = next(reader, None)
                    problem = ""
                except csv.Error as error:  # a stray quote: what it swallowed is read again from the next line on
                    torn, fields, problem = max(torn, feed.again()), [], f"line {line} is not CSV ({error})"
                if broken and fields and header and len(fields) != len(header) and line <= torn:
                    rest += feed.lines  # of a cell that was broken into lines
                    continue
                if broken:
                    yield broken[0], broken[1] + (f"; {rest} more of its lines are lost" if rest else "")
                broken, rest = (line, problem) if problem else None, 0
                if problem:
                    continue
                if fields is None:
                    return
                if not any(fields):
                    continue
                if header is None:
                    header = [name.strip() for name in fields]
                    names = Counter(name.lower() for name in header if name)
                    if twice := [name for name, count in names.items() if count > 1]:
                        raise UserError(
                            f"data.path: the header of {file.name!r} must name each column once; got {twice[0]!r} "
                            f"{names[twice[0]]} times"
                        )
                    titled = header[0] if sum(map(bool, header)) == 1 else ""
                elif titled and sum(map(bool, fields)) > 1:
                    raise UserError(
                        f"data.path: the first line of {file.name!r} must name the columns; it is {titled[:60]!r}, and "
                        f"the next "
                        f"has {len(fields)} fields: take a title line away"
                    )
                elif len(fields) > len(header):
                    yield line, f"line {line} has {len(fields)} fields, the header {len(header)}"
                else:
                    titled = ""
                    yield line, dict(zip(header, fields + [None] * (len(header) - len(fields))))
    except UnicodeDecodeError:
        raise _not_unicode(file, encoding) from None


class _Feed:
    """Lines of a file for a CSV reader, of which those of the record being read can be given again.

    before: lines that were read already.
    """

    def __init__(self, lines: Iterator[str], before: int) -> None:
        self._lines, self._number = lines, before
        self._taken: list[str] = []
        self._left: deque[str] = deque()

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        line = self._left.popleft() if self._left else next(self._lines)
        self._taken.append(line)
        self._number += 1
        return line

    def start(self) -> int:
        """A new record begins; the number of its first line."""
        self._taken.clear()
        return self._number + 1

    @property
    def lines(self) -> int:
        """Lines of the record so far."""
        return len(self._taken)

    def again(self) -> int:
        """All lines of the record but its first come once more; the number of the last of them."""
        last = self._number
        self._left.extendleft(reversed(self._taken[1:]))
        self._number -= len(self._taken) - 1
        return last


def _encoding(file: Path) -> str:
    with file.open("rb") as data:
        start = data.read(3)
    return "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"


def _separator(sample: str, whole: bool) -> str:
    """The separator under which the most records have as many fields as the header; of those the one with most
    fields."""
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
        return UserError(
            f"data.path: {file.name!r} must be UTF-8; {where} holds {byte}, as in Latin-1: save it as UTF-8"
        )
    raise AssertionError("only called where decoding fails")
