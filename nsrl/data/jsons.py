"""JSON however deep: what the parser does not take, or would take in silence, costs the row that holds it. Knows no
rows."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

LONGEST = 1000  # digits of an integer; Python refuses to read more than 4,300
CUT_OFF = 200  # brackets within each other; the parser takes about 1,000
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


@dataclass(frozen=True)
class Refused:
    """Stands for a value that is not taken, and says why."""

    why: str


def loads(data: bytes) -> Any:
    """The JSON value, with `Refused` for integers of thousands of digits and objects that name a key twice.

    One nested deeper than the parser goes comes cut off at a depth that `to_problem` refuses in a row.
    """
    text = data.decode(json.detect_encoding(data), "surrogatepass")
    try:
        return _parse(text)
    except RecursionError:
        pass
    kept, depth, end = [], 0, 0
    for token in _TOKEN.finditer(text):
        if text[token.start()] in "[{":
            depth += 1
            if depth == CUT_OFF:
                kept += [text[end : token.start()], "[]"]
        elif text[token.start()] in "]}":
            depth -= 1
            if depth == CUT_OFF - 1:
                end = token.end()
    return _parse("".join([*kept, text[end:] if depth < CUT_OFF else ""]))


def _parse(text: str) -> Any:
    return json.loads(text, parse_int=_integer, object_pairs_hook=_object)


def _integer(digits: str) -> int | Refused:
    return int(digits) if len(digits) <= LONGEST else Refused(f"an integer of {len(digits)} digits")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | Refused:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    names = [name for name, _ in pairs]
    return Refused(f"the key {next(n for n in names if names.count(n) > 1)[:60]!a} is given twice")
