"""Writes docs/coverage-wolfram.md from the tables and the tested programs: `python -m tests.engines.wolfram.coverage`.

A name's example is the shortest tested program that calls it: of devset/ and programs/ (documented values) and of
tests/engines/algebra/pairs.txt.
"""

import json
import re
from itertools import groupby
from pathlib import Path

from nsrl.engines.wolfram import builtins
from nsrl.engines.wolfram.builtins.control import refused
from nsrl.engines.wolfram.table import known_names

HERE = Path(__file__).parent
PAGE = HERE.parents[2] / "docs" / "coverage-wolfram.md"
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|(?<![\w$`])\$?[A-Za-z][A-Za-z0-9]*')
# Operators are how these are mostly written.
_WRITTEN = {
    "Plus": "+", "Times": "*", "Power": "^", "List": "{", "Set": "=", "SetDelayed": ":=", "Equal": "==", "Less": "<",
    "Greater": ">",
    "LessEqual": "<=", "GreaterEqual": ">=", "Unequal": "!=", "SameQ": "===", "UnsameQ": "=!=", "And": "&&", "Or": "||",
    "Map": "/@",
    "Apply": "@@", "MapApply": "@@@", "ReplaceAll": "/.", "ReplaceRepeated": "//.", "StringJoin": "<>", "Part": "[[",
    "Factorial": "!",
    "CompoundExpression": ";", "Function": "&", "Rule": "->", "RuleDelayed": ":>", "Association": "<|", "Dot": " . ",
    "Span": ";;",
    "Increment": "++", "Condition": "/;", "Not": "!", "Inequality": "<",
}  # fmt: skip


def tested() -> list[tuple[str, str]]:
    """(program, expected) of every program that a test compares, shorter ones first."""
    rows = []
    for folder in ("devset", "programs"):
        for path in sorted((HERE / folder).glob("*.jsonl")):
            found = [json.loads(line) for line in path.read_text().splitlines()]
            rows += [(row["program"], row.get("printed", row["expected"])) for row in found if not row.get("messages")]
    pairs = (HERE.parent / "algebra" / "pairs.txt").read_text().splitlines()
    rows += [tuple(line.split(" | ", 1)) for line in pairs if " | " in line]
    return sorted(
        (row for row in rows if "\n" not in row[0] + row[1]), key=lambda row: (len(row[0]) + len(row[1]), row)
    )


def examples() -> dict[str, tuple[str, str]]:
    """Name -> its example."""
    out: dict[str, tuple[str, str]] = {}
    rows = tested()
    for program, expected in rows:
        for word in _WORD.findall(program):
            out.setdefault(word, (program, expected))
    for name, sign in _WRITTEN.items():
        out.setdefault(name, next((row for row in rows if sign in row[0]), None))
    return out


def status(name: str) -> str:
    """implemented, attributes only, refused (files, processes), or absent."""
    row = builtins.load().get(name)
    if row is None:
        return "absent"
    if row.handler is None:
        return "attributes only"
    return "refused" if row.handler is refused else "implemented"


def page() -> str:
    """The page as text."""
    found = examples()
    names = builtins.load().keys() & known_names()  # the engine's own helpers have other names
    kinds = {
        kind: sorted(n for n in names if status(n) == kind) for kind in ("implemented", "attributes only", "refused")
    }
    missing = sorted(known_names() - names)
    lines = [
        "# Wolfram Language: what is there",
        "",
        "Written by `python -m tests.engines.wolfram.coverage`; every example is run by a test.",
        "",
        f"{len(kinds['implemented'])} names are implemented, {len(kinds['attributes only'])} are symbols with attributes only (options, heads of data), "
        f"{len(kinds['refused'])} are refused (files, processes, network), {len(missing)} names of the language are absent:",
        "a call to one of those has no value and takes part in none.",
        "",
        "| name | example | value |",
        "|---|---|---|",
    ]
    cell = lambda s: "`` " + s.replace("|", "\\|") + " ``"
    for name in kinds["implemented"]:
        example = found.get(name)
        lines.append(f"| {name} | {cell(example[0])} | {cell(example[1])} |" if example else f"| {name} | | |")
    for title, group in (
        ("Attributes only", kinds["attributes only"]),
        ("Refused", kinds["refused"]),
        ("Absent", missing),
    ):
        lines += ["", f"## {title}", ""]
        lines += [", ".join(letter) for _, letter in groupby(group, key=lambda n: n.lstrip("$")[:1].upper())]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
