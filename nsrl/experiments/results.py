"""What an experiment came to: the table of arms, paired differences on the same problems, and the page over all
completions."""

from __future__ import annotations

import json
import shutil
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nsrl.config.experiment import ExperimentConfig
from nsrl.experiments.counting import Counter
from nsrl.experiments.plan import Cell, Plan
from nsrl.report.arms import (
    Row,
    arm_row,
    by_category,
    lines,
    markdown_of,
    over_runs,
    points_cell,
    ratio_cell,
    run_lines,
)
from nsrl.report.compare import TOKENS
from nsrl.report.records import collect
from nsrl.report.statistics import (
    Paired,
    paired_difference,
    paired_ratio,
    problem_means,
    right_tokens,
    same_problem,
)
from nsrl.report.table import mean_std, percent, print_lines
from nsrl.report.viewer import write_view
from nsrl.trainer.folder import write

Records = list[dict[str, Any]]
COUNTED = "tokens_counted"  # a column of records: what was reasoned, in the tokens of `tokenizer`


@dataclass(frozen=True)
class Found:
    """A cell of the table and its records, of each seed."""

    cell: Cell
    seeds: list[Records]


def write_all(config: ExperimentConfig, plan: Plan, count: Counter | None = None) -> None:
    """Write table.md, table.json, paired.json and view.html into the folder, and print what they say in short."""
    print("the table and the page are written", flush=True)
    everything = [Found(cell, [_records(file) for file in cell.files]) for cell in plan.cells()]
    text, all_rows, all_pairs = [f"# {len(config.arms)} arms, seeds {', '.join(map(str, config.seeds))}", ""], [], []
    width = shutil.get_terminal_size(fallback=(80, 24)).columns
    for benchmark in dict.fromkeys(found.cell.benchmark for found in everything):
        cells, left_out = common([found for found in everything if found.cell.benchmark == benchmark])
        if count is not None:
            _count(cells, count)
        rows = [_row(found) for found in cells]
        pairs = paired(cells, config.against)
        text += [f"## {benchmark}", ""] if benchmark else []
        text += [markdown_of(lines(rows)), markdown_of(_categories(cells))]
        text += [markdown_of(pair_lines(pairs), left=3)] if pairs else []
        text += [markdown_of(run_lines(runs, config.seeds), left=1)] if (runs := _over_runs(cells, config)) else []
        text += [f"{note}.\n" for note in [*_told(pairs, left_out)]]
        all_rows += [row | {"category": "All"} for row in rows]
        all_rows += [
            {"arm": found.cell.arm, "point": found.cell.point, "benchmark": benchmark}
            | arm_row(seeds, votes=False)
            | {"category": name}
            for found in cells
            for name, seeds in by_category(found.seeds).items()
        ]  # fmt: skip
        all_pairs += [{**pair, "benchmark": benchmark} for pair in pairs]
        print_lines(lines(rows, narrow=True), benchmark, "", width, whole=2)
        if pairs:
            print_lines(pair_lines(pairs), "on the same problems", "", width)
    text += [f"{note}\n" for note in [*_counted(config, count), *plan.notes()]]
    folder = plan.folder
    write(folder / "table.md", "\n".join(text))
    write(folder / "table.json", json.dumps(all_rows, indent=1) + "\n")
    write(folder / "paired.json", json.dumps([_plain(pair) for pair in all_pairs], indent=1) + "\n")
    parts, notes = collect([folder])
    told = write_view(parts, folder / "view.html", folder.resolve().name, notes)
    print(f"table: {folder / 'table.md'} (as data: table.json, paired.json)")
    print(f"every completion, arms side by side: {folder / 'view.html'} ({told.records} completions, "
          f"{told.bytes / 2**20:.0f} MiB; nsrl view {folder} writes it anew)")  # fmt: skip


def common(cells: Sequence[Found]) -> tuple[list[Found], int]:
    """The cells with the problems of a seed that all of them have, and how many problems another one lacks: a prompt
    with examples may be too long for some. A cell of one seed among others of several is the same for each."""
    most = max(len(found.seeds) for found in cells)
    ids = [[{same_problem(r) for r in records} for records in found.seeds] for found in cells]
    shared = [set.intersection(*(one[seed if len(one) > 1 else 0] for one in ids)) for seed in range(most)]
    whole = [set.union(*(one[seed if len(one) > 1 else 0] for one in ids)) for seed in range(most)]
    of_all = set.intersection(*shared)
    kept = [
        Found(found.cell, [
            [r for r in records if same_problem(r) in (shared[seed] if len(found.seeds) > 1 else of_all)]
            for seed, records in enumerate(found.seeds)
        ])
        for found in cells
    ]  # fmt: skip
    return kept, sum(len(one - other) for one, other in zip(whole, shared))


def paired(cells: Sequence[Found], against: Iterable[str]) -> list[dict[str, Any]]:
    """Each arm with each of `against` at the same point: accuracy (a difference), and tokens (ratios over problems that
    both solve) of what `TOKENS` names and, where it was counted, in another tokenizer."""
    by_name = {(found.cell.arm, found.cell.point): found for found in cells}
    pairs = []
    for (arm, point), found in by_name.items():
        for name in against:
            other = by_name.get((name, point))
            if other is None or name == arm:
                continue
            difference = paired_difference(*([problem_means(r) for r in one.seeds] for one in (found, other)))
            ratios = {
                what: paired_ratio(*([right_tokens(r, *columns) for r in one.seeds] for one in (found, other)))
                for what, columns in {**TOKENS, "counted tokens": (COUNTED,)}.items()
            }
            pairs.append({"arm": arm, "against": name, "point": point, "accuracy": difference, **ratios})
    return pairs


def pair_lines(pairs: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """The pairs as texts, headings first."""
    ratios = [what for what in (*TOKENS, "counted tokens") if any(pair[what] is not None for pair in pairs)]
    head = ["Arm", "Against", "Point", "points [95%]", "problems", *(f"{what}, ratio [95%]" for what in ratios)]
    return [head] + [
        [pair["arm"], pair["against"], pair["point"], points_cell(pair["accuracy"]),
         str(pair["accuracy"].problems if pair["accuracy"] else 0), *(ratio_cell(pair[what]) for what in ratios)]
        for pair in pairs
    ]  # fmt: skip


def _over_runs(cells: Sequence[Found], config: ExperimentConfig) -> dict[str, Row]:
    """By arm, what GRPO made of the cold start in each run, where there are both."""
    by_name = {(found.cell.arm, found.cell.point): found for found in cells}
    pairs = {arm: [by_name.get((arm, point)) for point in ("cold start", "GRPO")] for arm in config.arms}
    found = {
        arm: over_runs(before.seeds, after.seeds)
        for arm, (before, after) in pairs.items()
        if before is not None and after is not None
    }
    return {arm: row for arm, row in found.items() if row is not None}


def seconds(cell: Cell) -> tuple[float | None, float | None]:
    """(of learning, of its sampling): means over seeds of what the steps up to the cell took, those of the runs they
    begin with too; None where there were none."""
    spent = [[0.0, 0.0] for _ in cell.files]
    for number, file in enumerate(cell.files):
        for run in (file.parents[1], *cell.before[number : number + 1]):
            rows = run / "metrics.jsonl"
            for line in rows.read_text().splitlines() if rows.is_file() else ():
                row = json.loads(line)
                rollout = row.get("timing_s/rollout")
                if rollout is None or file.stem != "warm_start":  # the baseline is before all steps of GRPO
                    # a run that was cut off has the line of its checkpoint's step without its time
                    spent[number][0] += row.get("timing_s/step") or 0.0
                    spent[number][1] += rollout or 0.0
    learning, sampling = (sum(column) / len(spent) for column in zip(*spent))
    return (learning, sampling) if learning else (None, None)


def _row(found: Found) -> Row:
    learning, sampling = seconds(found.cell)
    counts = [float(r[COUNTED]) for records in found.seeds for r in records if COUNTED in r and r["sample"] >= 0]
    more: dict[str, Any] = {"seconds": learning, "sampling_s": sampling}
    if counts:
        more["counted"] = mean_std(counts)
    named = {"arm": found.cell.arm, "point": found.cell.point, "benchmark": found.cell.benchmark}
    return named | arm_row(found.seeds) | more


def _categories(cells: Sequence[Found]) -> list[list[str]]:
    """Accuracy in percent by category, as texts, headings first."""
    tables = [by_category(found.seeds) for found in cells]
    names = sorted({name for table in tables for name in table})
    head = ["Arm", "Point", *(f"{name} %" for name in names)]
    return [head] + [
        [found.cell.arm, found.cell.point, *(percent(_accuracy(table.get(name, []))) for name in names)]
        for found, table in zip(cells, tables)
    ]


def _accuracy(seeds: Sequence[Any]) -> float | None:
    means = [value for records in seeds for value in problem_means(records).values()]
    return statistics.fmean(means) if means else None


def _told(pairs: Sequence[Mapping[str, Any]], left_out: int) -> Iterable[str]:
    """What is to be said of the pairs: how well they tell, and of how many problems they are not."""
    known = [pair["accuracy"] for pair in pairs if pair["accuracy"] is not None]
    if known:
        half = max((one.high - one.low) / 2 for one in known)
        yield (
            f"Differences are on the same problems, with intervals by bootstrap over problems, then seeds: of "
            f"{known[0].problems} problems over {known[0].seeds} seeds, ± {100 * half:.1f} points at most"
        )
    if left_out:
        yield f"{left_out} problems are left out, which could not be shown to every arm"


def _counted(config: ExperimentConfig, count: Counter | None) -> Iterable[str]:
    yield "Tokens are those of the run's own tokenizer."
    if count is not None:
        yield (
            f"Counted tokens: what was reasoned (the program without delimiters, else the whole completion) in "
            f"{config.tokenizer}."
        )


def _count(cells: Sequence[Found], count: Counter) -> None:
    """Put the column `COUNTED` into the records."""
    known: dict[str, int] = {}
    for found in cells:
        for records in found.seeds:
            for r in records:
                text = r["program"] or r["completion"]
                if text not in known:
                    known[text] = count(text)
                r[COUNTED] = known[text]


def _plain(pair: Mapping[str, Any]) -> dict[str, Any]:
    return {name: vars(value) if isinstance(value, Paired) else value for name, value in pair.items()}


def _records(file: Path) -> Records:
    from pyarrow import parquet

    return parquet.read_table(file).to_pylist()
