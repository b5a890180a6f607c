"""The table of an experiment: a row for each arm at each point, over seeds. Columns as the seed paper's, by `table`.

A row takes the records of each seed. Means are over all completions (accuracies over problems, then seeds), and the
interval of the accuracy is by bootstrap over problems, then seeds.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from nsrl.report.statistics import Paired, at_k, mean_over_seeds, powers, problem_means
from nsrl.report.table import COLUMNS, cells, percent, table

Records = Sequence[Mapping[str, Any]]
Row = dict[str, Any]
_SHOWN = [name for name, _ in COLUMNS if name not in ("category", "count", "no_error_seed_rule")]
_LEFT_OUT_NARROW = ("n_images", "image_width", "image_height", "has_code", "no_error", "prompt_tokens", "parts")


def arm_row(seeds: Sequence[Records], votes: bool = True) -> Row:
    """The numbers of an arm: those of `table` over all seeds, with seeds, accuracy and ci95 over problems and seeds,
    and, with votes, pass and maj by k (means over seeds); count: problems of a seed, the mean."""
    pooled = [{**r, "problem_id": (seed, r.get("problem_id"))} for seed, records in enumerate(seeds) for r in records]
    row: Row = dict(table(pooled)[-1]) | {"accuracy": None, "ci95": [None, None], "seeds": len(seeds)}
    row["count"] = round(row["count"] / len(seeds))
    found = mean_over_seeds([problem_means(records) for records in seeds])
    if found is not None:
        row |= {"accuracy": found.value, "ci95": [found.low, found.high]}
    if not votes:
        return row
    most = max((r.get("sample", 0) for r in pooled), default=0) + 1
    each = [at_k(records, powers(most)) for records in seeds]
    return row | {
        kind: {
            k: sum(one[kind][k] for one in each) / len(each)
            for k in each[0][kind]
            if all(k in one[kind] for one in each)
        }
        for kind in ("pass", "maj")
    }  # fmt: skip


def by_category(seeds: Sequence[Records]) -> dict[str, list[Records]]:
    """The records of each seed, by category in alphabetical order."""
    names = sorted({str(r.get("category") or "(none)") for records in seeds for r in records})
    return {
        name: [[r for r in records if str(r.get("category") or "(none)") == name] for records in seeds]
        for name in names
    }


def over_runs(before: Sequence[Records], after: Sequence[Records]) -> Row | None:
    """What became of the runs of an arm between two points, seed by seed: median and worst accuracy after, the largest
    fall of the greedy accuracy and of a category's (changes, 0 or above where none fell), each with the number of its
    run; None where nothing could be scored."""
    accuracy = [_mean(problem_means(records)) for records in after]
    if any(value is None for value in (*accuracy, *(_mean(problem_means(records)) for records in before))):
        return None
    known = [value for value in accuracy if value is not None]
    greedy = [_change(one, other, greedy=True) for one, other in zip(before, after)]
    families = [
        (change, name, run)
        for run, (one, other) in enumerate(zip(before, after))
        for name, (group,) in by_category([other]).items()
        if (change := _change(by_category([one]).get(name, [[]])[0], group)) is not None
    ]
    told = [(change, run) for run, change in enumerate(greedy) if change is not None]
    return {
        "median": statistics.median(known), "worst": min(known), "worst_run": known.index(min(known)),
        "greedy": min(told, default=(None, None)), "family": min(families, default=(None, "", None)),
    }  # fmt: skip


def run_lines(found: Mapping[str, Row], seeds: Sequence[int]) -> list[list[str]]:
    """`over_runs` of arms as texts, headings first; seeds: of the runs."""
    head = ["Arm", "median %", "worst %", "greedy, largest fall", "category, largest fall"]
    points = lambda change, run: "–" if change is None else f"{100 * change:+.1f} (seed {seeds[run]})"
    return [head] + [
        [arm, percent(row["median"]), f"{percent(row['worst'])} (seed {seeds[row['worst_run']]})",
         points(*row["greedy"]), f"{row['family'][1]} {points(row['family'][0], row['family'][2])}".strip()]
        for arm, row in found.items()
    ]  # fmt: skip


def lines(rows: Sequence[Row], narrow: bool = False) -> list[list[str]]:
    """The table as texts, headings first. Rows have arm, point, and may have seconds, sampling_s (means over seeds) and
    counted ((mean, std) of what was reasoned, in the tokens of another tokenizer); narrow: the chief columns alone."""
    shown = [name for name in _SHOWN if not narrow or name not in _LEFT_OUT_NARROW]
    titles = dict(COLUMNS)
    k = max((k for row in rows for k in row["pass"]), default=1)
    counted, timed = any(row.get("counted") for row in rows), any(row.get("seconds") is not None for row in rows)
    head = [
        "Arm",
        "Point",
        *([] if narrow else ["Count"]),
        *(titles[name] for name in shown),
        f"pass@{k} %",
        f"maj@{k} %",
    ]
    head += ["Counted tokens"] * counted + ["Learning s"] * timed + ["of it sampling s"] * (timed and not narrow)
    found = [head]
    for row in rows:
        texts = dict(zip(dict(COLUMNS), cells({"category": "", **row})))
        line = [row["arm"], row["point"], *([] if narrow else [f"{row['count']} × {row['seeds']}"])]
        line += [texts[name] for name in shown]
        line += [percent(row[kind].get(k)) for kind in ("pass", "maj")]
        line += [_mean_std(row.get("counted"))] * counted
        line += [_seconds(row.get("seconds"))] * timed + [_seconds(row.get("sampling_s"))] * (timed and not narrow)
        found.append(line)
    return found


def markdown_of(lines: Sequence[Sequence[str]], left: int = 2) -> str:
    """A table as GitHub markdown, headings first; left: how many columns stand on the left."""
    clean = [[text.replace("|", "\\|") for text in line] for line in lines]
    rule = "|" + "---|" * left + "---:|" * (len(lines[0]) - left)
    return "\n".join("| " + " | ".join(line) + " |" for line in clean).replace("\n", f"\n{rule}\n", 1) + "\n"


def ratio_cell(found: Paired | None) -> str:
    """A ratio and its interval; a dash where there is none."""
    return "–" if found is None else f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"


def points_cell(found: Paired | None) -> str:
    """A difference in points and its interval; a dash where there is none."""
    if found is None:
        return "–"
    return f"{100 * found.value:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"


def _mean(values: Mapping[Any, float]) -> float | None:
    return statistics.fmean(values.values()) if values else None


def _change(before: Records, after: Records, greedy: bool = False) -> float | None:
    was, now = (_mean(problem_means(records, greedy)) for records in (before, after))
    return None if was is None or now is None else now - was


def _mean_std(value: Sequence[float] | None) -> str:
    return "–" if not value else f"{value[0]:.0f} ± {value[1]:.0f}"


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"
