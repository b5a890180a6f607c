"""The seed paper's table has, per category, Count, pictures, Has Code %, No Error %, Accuracy %, and tokens.

A record is one completion (a dictionary): category, problem_id, correct, has_code, no_error, status, value_text,
tokens, prompt_tokens, sample (-1 for greedy), and, since version 0.3, tokens_PART of each of `PARTS` and n_images,
image_width, image_height. What a record does not say is a dash. Reasoning tokens are those of prose and program.
"""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from textwrap import wrap
from typing import Any

from nsrl.report.calibration import calibration, calibration_lines
from nsrl.report.statistics import mean_interval

Record = Mapping[str, Any]
PARTS = ("prose", "program", "answer", "delimiters")
COLUMNS = (
    ("category", "Category"),
    ("count", "Count"),
    ("n_images", "Images"),
    ("image_width", "Width"),
    ("image_height", "Height"),
    ("has_code", "Has Code %"),
    ("no_error", "No Error %"),
    ("no_error_seed_rule", "No Error % (seed's rule)"),
    ("accuracy", "Accuracy % [95%]"),
    ("greedy_accuracy", "Greedy %"),
    ("prompt_tokens", "Prompt tokens"),
    ("output_tokens", "Output tokens"),
    ("reasoning_tokens", "Reasoning tokens"),
    ("parts", "Prose + program + answer + delimiters"),
)
_SHORT = {  # headings where the terminal is narrow
    "count": "Count", "n_images": "Img", "image_width": "W", "image_height": "H", "has_code": "Code\n%",
    "no_error": "No\nerr %", "no_error_seed_rule": "Seed's\nrule %", "accuracy": "Accuracy %\n[95%]",
    "greedy_accuracy": "Greedy\n%", "prompt_tokens": "Tok.\nin", "output_tokens": "Tok.\nout",
    "reasoning_tokens": "Rea-\nson", "parts": "Prose+prog.\n+ans.+del.",
}  # fmt: skip
GROUP = "group/"  # columns of records: what else a benchmark reports by
_PICTURES = ("n_images", "image_width", "image_height")
_SEED_RULE = re.compile(r"invalid|\bnot\b|missing", re.IGNORECASE)


def table(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Rows of the table, JSON-able: one per category in alphabetical order, then "All". Shares are 0 to 1.

    count: problems; n_images, image_width, image_height: means over problems, in pixels as given; has_code, no_error:
    shares of all sampled completions (a completion without a program is not free
    of errors: it ran nothing); no_error_seed_rule: the seed's criterion, a program whose output lacks the words
    invalid, not and missing; accuracy: mean over problems of the mean over samples, with its 95% interval; None where
    nothing could be scored. Tokens are (mean, std), parts the means by `PARTS`; calibration only where a confidence is
    stated. Greedy records count only for greedy_accuracy, unless there are no samples.
    """
    return [_row(name, group) for name, group in _by_category(records)]


def group_tables(records: Sequence[Record]) -> dict[str, list[dict[str, Any]]]:
    """Tables by what else a benchmark reports by, by its name: rows as `table`'s, under `category` the group's."""
    names = dict.fromkeys(name for r in records for name in r if name.startswith(GROUP))
    return {
        name.removeprefix(GROUP): table([{**r, "category": r[name]} for r in records if r.get(name)])[:-1]
        for name in names
    }


def status_table(records: Iterable[Record]) -> tuple[list[str], list[list[str]]]:
    """How programs ended: (headings, rows of texts), a row per category and a column per status that occurs.

    Percent of the sampled completions, those without a program too: a row adds up to 100.
    """
    groups = [(name, [_status(r) for r in _sampled(group)]) for name, group in _by_category(records)]
    names = sorted({status for _, found in groups for status in found}, key=lambda n: (n != "ok", n == NO_PROGRAM, n))
    rows = [[category, *(percent(found.count(n) / len(found)) for n in names)] for category, found in groups]
    return ["Category", *names], rows


NO_PROGRAM = "no program"


def _status(r: Record) -> str:
    return str(r.get("status") or "") or (NO_PROGRAM if not _has_code(r) else "not run")


def _by_category(records: Iterable[Record]) -> list[tuple[str, list[Record]]]:
    """In alphabetical order, then "All"; none where there are no records."""
    groups: dict[str, list[Record]] = {}
    everything = list(records)
    for r in everything:
        groups.setdefault(str(r.get("category") or "(none)"), []).append(r)
    return [(name, groups[name]) for name in sorted(groups)] + ([("All", everything)] if everything else [])


def _sampled(records: Sequence[Record]) -> list[Record]:
    return [r for r in records if r.get("sample", 0) >= 0] or list(records)


def _row(name: str, records: Sequence[Record]) -> dict[str, Any]:
    sampled, problems = _sampled(records), {r.get("problem_id"): r for r in records}
    greedy = [r for r in records if r.get("sample", 0) < 0 and r.get("correct") is not None]
    by_problem: dict[Any, list[float]] = {}
    for r in sampled:
        if r.get("correct") is not None:
            by_problem.setdefault(r.get("problem_id"), []).append(float(r["correct"]))
    means = [sum(v) / len(v) for v in by_problem.values()]
    accuracy, low, high = mean_interval(means)
    stated = calibration(sampled)
    return {
        "category": name,
        "count": len(problems),
        "completions": len(sampled),
        **{name: _mean(problems.values(), name) for name in _PICTURES},
        "has_code": _share(_has_code(r) for r in sampled),
        "no_error": _share(bool(r.get("no_error")) for r in sampled),
        "no_error_seed_rule": _share(
            _has_code(r) and not _SEED_RULE.search(str(r.get("value_text") or "")) for r in sampled
        ),
        "accuracy": accuracy,
        "ci95": [low, high],
        "greedy_accuracy": mean_interval([float(r["correct"]) for r in greedy])[0],
        "prompt_tokens": mean_std([r.get("prompt_tokens") for r in sampled]),
        "output_tokens": mean_std([r.get("tokens") for r in sampled]),
        "reasoning_tokens": mean_std([_reasoning(r) for r in sampled]),
        "parts": {part: _mean(sampled, f"tokens_{part}") for part in PARTS},
        **({} if stated is None else {"calibration": stated}),
    }


def _has_code(r: Record) -> bool:
    return bool(r["has_code"]) if "has_code" in r else bool(r.get("program"))


def _reasoning(r: Record) -> float | None:
    prose, program = r.get("tokens_prose"), r.get("tokens_program")
    return None if prose is None or program is None else prose + program


def _mean(records: Iterable[Record], name: str) -> float | None:
    told = [float(r[name]) for r in records if r.get(name) is not None]
    return sum(told) / len(told) if told else None


def _share(flags: Iterable[bool]) -> float:
    flags = list(flags)
    return sum(flags) / len(flags) if flags else 0.0


def mean_std(values: Sequence[Any]) -> list[float] | None:
    """Mean and standard deviation (of a sample, n − 1) of what is known; None of nothing."""
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
    """A row as the texts of its columns; a dash for what a table of an earlier version does not have."""

    def tokens(value: Sequence[float] | None) -> str:
        return "–" if not value else f"{value[0]:.0f} ± {value[1]:.0f}"

    def size(value: float | None) -> str:
        return "–" if value is None else f"{value:.1f}".removesuffix(".0")

    low, high = row["ci95"]
    interval = "" if low is None else f" [{100 * low:.1f}, {100 * high:.1f}]"
    parts = row.get("parts") or {}
    said = [parts.get(part) for part in PARTS]
    return [
        row["category"],
        str(row["count"]),
        size(row.get("n_images")),
        *("–" if row.get(side) is None else f"{row[side]:.0f}" for side in _PICTURES[1:]),
        percent(row["has_code"]),
        percent(row["no_error"]),
        percent(row["no_error_seed_rule"]),
        percent(row["accuracy"]) + interval,
        percent(row["greedy_accuracy"]),
        tokens(row["prompt_tokens"]),
        tokens(row["output_tokens"]),
        tokens(row.get("reasoning_tokens")),
        "–" if None in said else " + ".join(f"{value:.0f}" for value in said),
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
    otherwise); below it, where records are given, how programs ended (`status_table`).

    Takes records or the rows of `table`. The first of these forms that fits: the whole table; short headings; without
    the columns of the pictures; with tokens as means alone; without those of parts and reasoning. A line then says of
    all problems what the columns left out do.
    """
    given = list(records)
    rows = _rows(given)
    width = shutil.get_terminal_size(fallback=(80, 24)).columns
    shown = [
        {name: text for (name, _), text in zip(COLUMNS, line)}
        for line in [["\n".join(wrap(heading, 19)) for _, heading in COLUMNS], *map(cells, rows)]
    ]
    said = []
    fits = lambda between=3: _width([list(line.values()) for line in shown], between) <= width
    if not fits():
        shown = [shown[0] | _SHORT, *(line | {"parts": line["parts"].replace(" ", "")} for line in shown[1:])]
    if not fits():
        count, *sides = (shown[-1][name] for name in _PICTURES)
        said += [] if count in ("–", "0") else [f"pictures: {count} per problem, {' x '.join(sides)} pixels"]
        shown = [{name: text for name, text in line.items() if name not in _PICTURES} for line in shown]
    if not fits():
        shown = [{name: text.split(" ± ")[0] for name, text in line.items()} for line in shown]
    if not fits(1):
        parts = shown[-1]["parts"].split("+")
        said += [] if parts == ["–"] else ["tokens: " + ", ".join(map(" ".join, zip(PARTS, parts)))]
        left_out = ("parts", "reasoning_tokens")
        shown = [{name: text for name, text in line.items() if name not in left_out} for line in shown]
    whole = list(shown[0]).index("accuracy")
    print_lines([list(line.values()) for line in shown], title, "; ".join(said), width, whole)
    if any(r.get("status") for r in given):
        heads, texts = status_table(given)
        print_lines([heads, *texts], "", "how programs ended, % of the completions sampled", width)
    if any("calibration" in row for row in rows):
        print_lines(calibration_lines(rows), "", "confidence of the completions sampled", width)


def _width(lines: Sequence[Sequence[str]], between: int = 3) -> int:
    """Of a printed table, in columns of the terminal; between: for the rule and the blanks beside it."""
    longest = (max(len(part) for text in column for part in text.split("\n")) for column in zip(*lines))
    return sum(length + between for length in longest) + 1


def print_lines(lines: Sequence[Sequence[str]], title: str, caption: str, width: int, whole: int = -1) -> None:
    """A table on standard output, headings first; whole: the number of a column that is not broken where the table is
    too wide."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    narrow = _width(lines) > width
    shown = Table(
        title=escape(title) or None, title_justify="left", caption=caption or None, caption_justify="left",
        header_style="bold", pad_edge=False, padding=(0, 0 if narrow else 1),
    )  # fmt: skip
    headings, *rows = lines
    for number, heading in enumerate(headings):
        shown.add_column(heading, justify="right" if number else "left", no_wrap=not narrow or number == whole)
    for number, row in enumerate(rows):
        if number == len(rows) - 1 and len(rows) > 1:
            shown.add_section()
        shown.add_row(*map(escape, row), style="bold" if row[0] == "All" else None)
    Console(width=width).print(shown)
