"""JSON however deep: brackets beyond what the parser takes cost the row that holds them. Knows nothing of rows."""

from __future__ import annotations

import json
import re
from typing import Any

CUT_OFF = 200  # brackets within each other; the parser takes about 1,000
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def loads(data: bytes) -> Any:
    """The JSON value. One nested deeper than the parser goes comes cut off at a depth that `to_problem` refuses in a row."""
    try:
        return json.loads(data)
    except RecursionError:
        text = data.decode(json.detect_encoding(data), "surrogatepass")
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
    return json.loads("".join([*kept, text[end:] if depth < CUT_OFF else ""]))
