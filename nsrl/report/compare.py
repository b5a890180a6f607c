"""`python -m nsrl.report compare A B` sets two evaluations against each other, on the problems that both have."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nsrl.errors import UserError
from nsrl.report.statistics import (
    at_k,
    difference_text,
    paired_difference,
    paired_ratio,
    powers,
    problem_means,
    ratio_text,
    right_tokens,
    same_problem,
)
from nsrl.report.table import percent, print_lines

Records = list[dict[str, Any]]
TOKENS = {"output tokens": ("tokens",), "reasoning tokens": ("tokens_prose", "tokens_program")}


def evaluations(names: str) -> list[Records]:
    """The records of each of several evaluations, by comma: parquet files, run folders (their last evaluation), or
    folders with one parquet file. Raises `UserError`."""
    return [_records(Path(name).expanduser()) for name in names.split(",")]


def print_comparison(names: Sequence[str]) -> None:
    """Print what A is against B: by category and over all, tokens where both are right, pass@k and maj@k.

    names: of A and B, each one evaluation or one per seed, by comma. Raises `UserError` where they share no problem.
    """
    sets = [evaluations(name) for name in names]
    if len(sets[0]) != len(sets[1]):
        raise UserError(
            f"compare needs as many evaluations in A as in B, seed by seed; got {len(sets[0])} and {len(sets[1])}"
        )
    titles = _titles(names)
    lines = [["Category", "Problems", *(f"{title} %" for title in titles), "difference in points [95%]"]]
    for category in [*sorted({_category(r) for records in sets[0] for r in records}), None]:
        chosen = [[[r for r in records if category in (None, _category(r))] for records in one] for one in sets]
        line = _line(category or "All", chosen)
        if line is not None:
            lines.append(line)
    if len(lines) == 1:
        raise UserError(
            f"compare needs problems that both have, with a verdict in both; {' and '.join(names)} share none"
        )
    print_lines(lines, "", "", shutil.get_terminal_size(fallback=(80, 24)).columns)
    for sentence in _sentences(titles, sets):
        print(sentence)


def _line(category: str, sets: Sequence[Sequence[Records]]) -> list[str] | None:
    means = [[problem_means(records) for records in one] for one in sets]
    found = paired_difference(*means)
    if found is None:
        return None
    shared = [one.keys() & other.keys() for one, other in zip(*means)]
    of = [
        [sum(mean[p] for p in keys) / len(keys) for mean, keys in zip(one, shared) if keys]
        for one in means
    ]  # fmt: skip
    low, high = 100 * found.low, 100 * found.high
    return [category, str(found.problems), *(percent(sum(v) / len(v)) for v in of),
            f"{100 * found.value:+.1f} [{low:+.1f}, {high:+.1f}]"]  # fmt: skip


def _sentences(titles: Sequence[str], sets: Sequence[Sequence[Records]]) -> list[str]:
    a, b = titles
    said = []
    for kind, greedy in (("samples", False), ("greedy answers", True)):
        found = paired_difference(*([problem_means(records, greedy) for records in one] for one in sets))
        if found is not None:
            said.append(f"{kind}: {difference_text(a, b, found)}")
    for what, columns in TOKENS.items():
        ratio = paired_ratio(*([right_tokens(records, *columns) for records in one] for one in sets))
        if ratio is not None:
            said.append(ratio_text(a, b, what, ratio))
    for title, one, other in ((a, *sets), (b, *reversed(sets))):
        keys = {same_problem(r) for records in other for r in records}
        said.append(f"{title}: " + at_k_text(*([r for r in records if same_problem(r) in keys] for records in one)))
    return said


def at_k_text(*seeds: Sequence[Mapping[str, Any]]) -> str:
    """`pass@1 53.0  pass@2 … maj@4 …` of samples, in percent, the mean over seeds."""
    most = min((max((r.get("sample", 0) for r in records), default=-1) + 1 for records in seeds), default=0)
    found = [at_k(records, powers(most)) for records in seeds if most]
    return "  ".join(
        f"{kind}@{k} {percent(sum(one[kind][k] for one in found) / len(found))}"
        for kind, values in (found[0].items() if found else ())
        for k in values
    )


def _titles(names: Sequence[str]) -> list[str]:
    """Short and different names: the last part of a path in which they differ."""
    parts = [Path(name.split(",")[0]).expanduser().absolute().with_suffix("").parts for name in names]
    for one, other in zip(*map(reversed, parts)):
        if one != other:
            return [one, other]
    return ["A", "B"]


def _category(r: Mapping[str, Any]) -> str:
    return str(r.get("category") or "(none)")


def _records(path: Path) -> Records:
    from pyarrow import ArrowException, parquet

    try:
        found = parquet.read_table(_file(path)).to_pylist()
    except (ArrowException, OSError) as error:
        raise UserError(f"compare: {str(path)!r} must hold records of an evaluation; {error}") from None
    if not found or not {"problem_id", "correct"} <= found[0].keys():
        raise UserError(f"compare: {str(path)!r} must hold records of an evaluation (problem_id, correct); it has none")
    return found


def _file(path: Path) -> Path:
    if not path.is_dir():
        return path
    home = path / "eval" if (path / "eval").is_dir() else path
    steps = sorted(home.glob("step_*.parquet"), reverse=True)
    for file in (home / "final.parquet", *steps, home / "warm_start.parquet"):
        if file.is_file():
            return file
    others = [file for file in home.glob("*.parquet") if file.stem != "pictures"]
    if len(others) != 1:
        raise UserError(
            f"compare: {str(path)!r} must be a run folder, or hold one evaluation's records (*.parquet); it has "
            f"{len(others)} (name the file)"
        )
    return others[0]
