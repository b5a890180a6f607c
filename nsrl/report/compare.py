"""`python -m nsrl.report compare A B` sets two evaluations against each other, on the problems that both have."""

from __future__ import annotations

import os
import shutil
from collections import Counter
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
    scored_samples,
)
from nsrl.report.table import percent, print_lines
from nsrl.userfiles import expanded

Records = list[dict[str, Any]]
TOKENS = {"output tokens": ("tokens",), "reasoning tokens": ("tokens_prose", "tokens_program")}


def evaluations(names: str) -> list[Records]:
    """The records of each of several evaluations, by comma: parquet files, run folders (their last evaluation), or
    folders with one parquet file. Raises `UserError`."""
    return [_records(expanded(name)) for name in names.split(",")]


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
    for title, name in zip(titles, names):
        for path in map(Path, name.split(",")):
            if expanded(path).is_dir():
                print(f"{title}: {_file(expanded(path))}")
    greedy = _line("All", sets, greedy=False) is None
    if greedy and _line("All", sets, greedy) is None:
        raise UserError(
            f"compare needs problems that both have, with a verdict in both; {' and '.join(names)} share "
            f"none{_why(sets)}"
        )
    lines = [["Category", "Problems", *(f"{title} %" for title in titles), "difference in points [95%]"]]
    for category in [*sorted({_category(r) for records in sets[0] for r in records}), None]:
        chosen = [[[r for r in records if category in (None, _category(r))] for records in one] for one in sets]
        lines += [line] if (line := _line(category or "All", chosen, greedy)) else []
    if greedy:
        print("of greedy answers: there are no samples of the same problems")
    print_lines(lines, "", "", shutil.get_terminal_size(fallback=(80, 24)).columns)
    for sentence in _sentences(titles, sets):
        print(sentence)


def _why(sets: Sequence[Sequence[Records]]) -> str:
    """What problems of which none is the same have in common."""
    ids = [{str(r["problem_id"]) for records in one for r in records} for one in sets]
    return " (the same ids, with other questions or gold answers, or other samples)" if ids[0] & ids[1] else ""


def _line(category: str, sets: Sequence[Sequence[Records]], greedy: bool) -> list[str] | None:
    means = [[problem_means(records, greedy) for records in one] for one in sets]
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
    if not any("tokens of" in sentence for sentence in said):
        said.append("tokens are not compared: no sample of both is right on the same problem, or too few take any")
    for title, one, other in ((a, *sets), (b, *reversed(sets))):
        keys = {same_problem(r) for records in other for r in records}
        said.append(f"{title}: " + at_k_text(*([r for r in records if same_problem(r) in keys] for records in one)))
    return said


def at_k_text(*seeds: Sequence[Mapping[str, Any]]) -> str:
    """`pass@1 53.0  pass@2 … maj@4 …` of samples, in percent, the mean over seeds; where fewer problems have so many
    samples, how many of how many."""
    sizes = [Counter(same_problem(r) for r in scored_samples(records)).values() for records in seeds]
    if not sizes or not all(sizes):
        return "no samples"
    found = [at_k(records, powers(min(map(max, sizes)))) for records in seeds]
    counts = [n for of_seed in sizes for n in of_seed]
    fewer = {k: sum(n >= k for n in counts) for k in found[0]["pass"]}
    return "  ".join(
        f"{kind}@{k} {percent(sum(one[kind][k] for one in found) / len(found))}"
        + (f" ({fewer[k]} of {len(counts)} problems)" if fewer[k] < len(counts) else "")
        for kind, values in found[0].items()
        for k in values
    )


def _titles(names: Sequence[str]) -> list[str]:
    """Short and different names: the last part of a path in which they differ; of several by comma, what they begin
    with."""
    groups = [[expanded(name).absolute().with_suffix("").parts for name in several.split(",")] for several in names]
    for place in range(1, min(len(parts) for group in groups for parts in group)):
        found = [
            os.path.commonprefix([parts[-place] for parts in group]).rstrip("-_. ")  # noqa: RUF071 (of letters)
            for group in groups
        ]
        if all(found) and found[0] != found[1]:
            return found
    return ["A", "B"]


def _category(r: Mapping[str, Any]) -> str:
    return str(r.get("category") or "(none)")


def _records(path: Path) -> Records:
    from pyarrow import ArrowException, parquet

    if not path.exists():
        raise UserError(f"compare: {str(path)!r} must be a run folder or records of an evaluation; there is none")
    try:
        found = parquet.read_table(_file(path)).to_pylist()
    except (ArrowException, OSError) as error:
        raise UserError(f"compare: {str(path)!r} must hold records of an evaluation; {error}") from None
    if not found or not {"problem_id", "correct"} <= found[0].keys():
        raise UserError(f"compare: {str(path)!r} must hold records of an evaluation (problem_id, correct); it has none")
    if any("sample" in r for r in found):
        ((problem, *_), sample), times = Counter((same_problem(r), r.get("sample")) for r in found).most_common(1)[0]
        if times > 1:
            raise UserError(
                f"compare: {str(path)!r} must hold each sample of a problem once; sample {sample} of {problem!r} "
                f"stands there {times} times (are these two evaluations?)"
            )
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
