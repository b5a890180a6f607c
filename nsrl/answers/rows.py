"""Rows of the commands' files: JSON lines of golds, and of predictions with labels. Whatever stands in a file, bad
input is a `UserError` of one sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from nsrl.errors import UserError


class Row(NamedTuple):
    """gold: empty where the file says null. prediction and label: only of rows for agreement."""

    gold: str
    options: tuple[str, ...]
    prediction: str = ""
    label: bool = False


def read(path: Path, command: str, labelled: bool = False) -> Iterator[tuple[int, Row]]:
    """Each row with the number of its line: gold or answer (text, number, null), options (may be absent; a list, or
    letter -> text) and, if labelled, prediction and label (true, false). A line ends at a line feed and nowhere
    else."""
    if not path.is_file():
        raise UserError(f"{command} needs a file of JSON lines; there is no {str(path)!r}")
    try:
        lines = path.read_bytes().decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise UserError(f"{command} needs a file in UTF-8; {str(path)!r} is not: {error}") from None
    except OSError as error:
        raise UserError(f"{command} cannot read {str(path)!r}: {error.strerror}") from None
    needs = "prediction, gold and label" if labelled else "gold or answer"
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield number, _row(json.loads(line), labelled)
            except (ValueError, RecursionError) as error:
                raise UserError(
                    f"line {number} must be JSON with {needs}, and a list of options or none: {error}"
                ) from None


def _row(row: Any, labelled: bool) -> Row:
    """Raises ValueError, which says what is wrong."""
    if not isinstance(row, dict):
        raise ValueError(f"it is no object but {type(row).__name__}")
    gold = _text(row, "answer" if "answer" in row and "gold" not in row else "gold")
    options = [] if row.get("options") is None else row["options"]
    if isinstance(options, dict):  # letter -> text
        options = [options[k] for k in sorted(options)]
    if not isinstance(options, list) or not all(map(_is_text, options)):
        raise ValueError("options is no list of texts and numbers")
    chosen = tuple(map(str, options))
    if not labelled:
        return Row(gold, chosen)
    if not isinstance(row.get("label"), bool):
        raise ValueError("label is neither true nor false")
    return Row(gold, chosen, _text(row, "prediction"), row["label"])


def _text(row: dict[str, Any], name: str) -> str:
    if name not in row:
        raise ValueError(f"there is no {name}")
    value = row[name]
    if value is not None and not _is_text(value):
        raise ValueError(f"{name} is neither a text nor a number")
    return "" if value is None else str(value)


def _is_text(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)
