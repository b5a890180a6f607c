"""What an engine prints, read: a value, or one value after a label of words on its last line."""

from __future__ import annotations

import re

from nsrl.answers import clean
from nsrl.answers.lexer import Unreadable
from nsrl.answers.reader import read
from nsrl.answers.values import Value

MAX_LABEL = 120
_WORDED = re.compile(r"([A-Za-z][A-Za-z' _-]*?)\s?(?:[:=]|\b(?:is|are|equals)\b[:=]?)\s?(?=[^\s:=])")
_VALUE = re.compile(r"[-+]?[\d.(\[{√π]|\(?[A-J]\)?\.?$|-?(?:Sqrt|sqrt|pi|Pi|Rational|Fraction)\b")


def unlabelled(line: str) -> str | None:
    """The 12 of `The area is 12` and `Answer: 12`, the B of `Answer: B`; None where no label of words stands before a
    value."""
    match = _WORDED.match(line[:MAX_LABEL])
    if match is None or match[1] in "ABCDEFGHIJ" or clean.changes(match[1]):
        return None
    rest = line[match.end() :].rstrip(" .")
    return rest if _VALUE.match(rest) else None


def read_printed(line: str) -> Value:
    """The value of a printed line. Raises `Unreadable`."""
    try:
        return read(line)
    except Unreadable:
        if (rest := unlabelled(line)) is None:
            raise
        return read(rest)
