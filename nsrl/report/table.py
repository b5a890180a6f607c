"""The seed paper's table has, per category, Count, Has Code %, No Error %, Accuracy %, prompt and output tokens.

A record is one completion (a dictionary): category, problem_id, correct, has_code, no_error, value_text, tokens,
prompt_tokens, and sample (-1 for greedy).
"""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Record = Mapping[str, Any]
COLUMNS = (
    ("category", "Category"),
    ("count", "Count"),
    ("has_code", "Has Code %"),
    ("no_error", "No Error %"),
    ("no_error_seed_rule", "No Error % (seed's rule)"),
    ("accuracy", "Accuracy % [95%]"),
    ("greedy_accuracy", "Greedy %"),
    ("prompt_tokens", "Prompt tokens"),
    ("output_tokens", "Output tokens"),
)
_NARROW = {  # headings where the terminal is narrow
    "category": "Category", "count": "Count", "has_code": "Code\n%", "no_error": "No\nerr %",
    "no_error_seed_rule": "Seed's\nrule %",
    "accuracy": "Accuracy %\n[95%]", "greedy_accuracy": "Greedy\n%", "prompt_tokens": "Tok.\nin",
    "output_tokens": "Tok.\nout",
}  # fmt: skip
_SEED_RULE = re.compile(r"invalid|\bnot\b|missing", re.IGNORECASE)


def table(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Rows of the table, JSON-able: one per category in alphabetical order, then "All". Shares are 0 to 1.

    count: problems; has_code, no_error: shares of all sampled completions (a completion without a program is not free
    of errors: it ran nothing); no_error_seed_rule: the seed's criterion, a program whose output lacks the words
    invalid, not and missing; accuracy: mean over problems of the mean over samples, with its 95% interval; None where
    nothing could be scored. Tokens are (mean, std). Greedy records count only for greedy_accuracy, unless there are no
    samples.
    """
    groups: dict[str, list[Record]] = {}
    everything = list(records)
    for r in everything:
        groups.setdefault(str(r.get("category") or "(none)"), []).append(r)
    rows = [_row(name, groups[name]) for name in sorted(groups)]
    if everything:
        rows.append(_row("All", everything))
    return rows


def _row(name: str, records: Sequence[Record]) -> dict[str, Any]:
    sampled = [r for r in records if r.get("sample", 0) >= 0] or list(records)
    greedy = [r for r in records if r.get("sample", 0) < 0 and r.get("correct") is not None]
    by_problem: dict[Any, list[float]] = {}
    for r in sampled:
        if r.get("correct") is not None:
            by_problem.setdefault(r.get("problem_id"), []).append(float(r["correct"]))
    means = [sum(v) / len(v) for v in by_problem.values()]
    accuracy, low, high = mean_interval(means)
    return {
        "category": name,
        "count": len({r.get("problem_id") for r in records}),
        "completions": len(sampled),
        "has_code": _share(_has_code(r) for r in sampled),
        "no_error": _share(bool(r.get("no_error")) for r in sampled),
        "no_error_seed_rule": _share(
            _has_code(r) and not _SEED_RULE.search(str(r.get("value_text") or "")) for r in sampled
        ),
        "accuracy": accuracy,
        "ci95": [low, high],
        "greedy_accuracy": mean_interval([float(r["correct"]) for r in greedy])[0],
        "prompt_tokens": _mean_std([r.get("prompt_tokens") for r in sampled]),
        "output_tokens": _mean_std([r.get("tokens") for r in sampled]),
    }


def mean_interval(values: Sequence[float]) -> tuple[float | None, float | None, float | None]:
    """Mean of values in 0..1 and its 95% interval: normal, or Wilson's where the values do not spread."""
    n = len(values)
    if n == 0:
        return None, None, None
    mean = sum(values) / n
    variance = sum((v - mean) ** 2 for v in values) / (n - 1) if n > 1 else 0.0
    if variance == 0:
        z = 1.959964
        centre = (mean + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(mean * (1 - mean) / n + z * z / (4 * n * n))
        return mean, max(0.0, centre - half), min(1.0, centre + half)
    half = 1.959964 * math.sqrt(variance / n)
    return mean, max(0.0, mean - half), min(1.0, mean + half)


def _has_code(r: Record) -> bool:
    return bool(r["has_code"]) if "has_code" in r else bool(r.get("program"))


def _share(flags: Iterable[bool]) -> float:
    flags = list(flags)
    return sum(flags) / len(flags) if flags else 0.0


def _mean_std(values: Sequence[Any]) -> list[float] | None:
    numbers = [float(v) for v in values if v is not None]
    if not numbers:
        return None
    mean = sum(numbers) / len(numbers)
    return [mean, math.sqrt(sum((n - mean) ** 2 for n in numbers) / max(1, len(numbers) - 1))]


def percent(value: float | None) -> str:
    """A share in percent; a dash where there is nothing it would be of."""
    return "–" if value is None else f"{100 * value:.1f}"


def accuracy_text(value: float | None, ci95: Sequence[float | None] = (None, None)) -> str:
    """`12.3% [10.0, 15.1]`, or a dash where nothing was scored."""
    if value is None:
        return "–"
    low, high = ci95
    return f"{percent(value)}%" + ("" if low is None else f" [{percent(low)}, {percent(high)}]")


def cells(row: Mapping[str, Any]) -> list[str]:
    """A row as the texts of its columns."""

    def tokens(value: Sequence[float] | None) -> str:
        return "–" if not value else f"{value[0]:.0f} ± {value[1]:.0f}"

    low, high = row["ci95"]
    interval = "" if low is None else f" [{100 * low:.1f}, {100 * high:.1f}]"
    return [
        row["category"],
        str(row["count"]),
        percent(row["has_code"]),
        percent(row["no_error"]),
        percent(row["no_error_seed_rule"]),
        percent(row["accuracy"]) + interval,
        percent(row["greedy_accuracy"]),
        tokens(row["prompt_tokens"]),
        tokens(row["output_tokens"]),
    ]


def _rows(records: Iterable[Record] | Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Rows of the table from records, or the rows themselves."""
    found = list(records)
    return found if found and "ci95" in found[0] else list(table(found))


def markdown(records: Iterable[Record]) -> str:
    """The table as GitHub markdown. Takes records or the rows of `table`."""
    lines = ["| " + " | ".join(title for _, title in COLUMNS) + " |", "|---|" + "---:|" * (len(COLUMNS) - 1)]
    lines += ["| " + " | ".join(c.replace("|", "\\|") for c in cells(row)) + " |" for row in _rows(records)]
    return "\n".join(lines) + "\n"


def print_table(records: Iterable[Record], title: str = "") -> None:
    """Print the table to standard output, as wide as the terminal (80 columns where there is none; COLUMNS says
    otherwise).

    Takes records or the rows of `table`. Where the whole table does not fit, headings are short and tokens are means.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    rows = _rows(records)
    width = shutil.get_terminal_size(fallback=(80, 24)).columns
    whole = [[heading for _, heading in COLUMNS], *(cells(row) for row in rows)]
    narrow = sum(max(map(len, column)) + 3 for column in zip(*whole)) + 1 > width
    shown = Table(
        title=escape(title) or None,
        title_justify="left",
        header_style="bold",
        pad_edge=False,
        padding=(0, 0 if narrow else 1),
    )
    for key, heading in COLUMNS:
        justify = "left" if key == "category" else "right"
        shown.add_column(
            _NARROW[key] if narrow else heading, justify=justify, no_wrap=key == "accuracy" if narrow else True
        )
    for number, row in enumerate(rows):
        if number == len(rows) - 1 and len(rows) > 1:
            shown.add_section()
        texts = [escape(text.split(" ± ")[0] if narrow else text) for text in cells(row)]
        shown.add_row(*texts, style="bold" if row["category"] == "All" else None)
    Console(width=width).print(shown)
