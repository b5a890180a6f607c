"""What the records of a row come to, as the JSON that is kept of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nsrl import __version__
from nsrl.experiments.plan import Cell
from nsrl.experiments.results import seconds
from nsrl.gallery.plan import TOOK, Parts, Run
from nsrl.gallery.results import BESIDE, Records, compared, direction, numbers
from nsrl.gallery.row import FINAL, Row


def result(row: Row, parts: Parts) -> dict[str, Any]:
    """A row whose parts are done: arms with their numbers, every comparison, and the verdict."""
    runs = {name: parts.runs[row.name, name] for name in row.arms}
    records = {(name, on): _records(run, on, parts.seeds) for name, run in runs.items() for on in row.on}
    arms = {
        name: {
            "before": _before(run, parts.seeds),
            **_seconds(run, parts.seeds),
            "on": {on: numbers(records[name, on]) for on in row.on},
        }
        for name, run in runs.items()
    }
    pairs = []
    against = row.arms[row.against]
    for name, arm in row.arms.items():
        for on in row.on if arm is not against else ():
            asked = dict.fromkeys([(arm.measure, against.measure), *((one, one) for one in BESIDE)])
            for mine, its in asked:
                found = compared(records[name, on], records[row.against, on], mine, its)
                if found is not None:
                    pairs.append({"arm": name, "against": row.against, "on": on, "measure": mine, **found})
    decisive = decides(row, pairs)
    return {
        "row": row.name, "digest": row.digest, "version": __version__, "quick": parts.quick, "seeds": list(parts.seeds),
        "measure": row.arms[row.decides].measure, "decides": row.decides, "on": row.on[0], "expects": row.expects,
        "came": "none" if decisive is None else direction(decisive),
        "verdict": "nothing to compare" if decisive is None else decisive["verdict"], "arms": arms, "pairs": pairs,
    }  # fmt: skip


def decides(row: Row, pairs: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The comparison that is the row's verdict; None where there was nothing to compare."""
    wanted = (row.decides, row.on[0], row.arms[row.decides].measure)
    return next((pair for pair in pairs if (pair["arm"], pair["on"], pair["measure"]) == wanted), None)


def _records(run: Run, on: str, seeds: Sequence[int]) -> list[Records]:
    from pyarrow import parquet

    return [parquet.read_table(run.folder / run.files[on].format(seed)).to_pylist() for seed in seeds]


def _before(run: Run, seeds: Sequence[int]) -> list[float | None]:
    """Right samples before GRPO on the held-out problems of the run, seed by seed; None where there was none."""
    if "warm_start" in run.files[FINAL]:
        return [None for _ in seeds]
    files = [run.folder / f"seed-{seed}" / "eval" / "warm_start.json" for seed in seeds]
    return [json.loads(file.read_text(encoding="utf-8"))["accuracy"] if file.is_file() else None for file in files]


def _seconds(run: Run, seeds: Sequence[int]) -> dict[str, Any]:
    """seconds of learning and of its sampling, means over seeds; of harvesting besides, where there was one."""
    final = [run.folder / f"seed-{seed}" / "eval" / "final.parquet" for seed in seeds]
    learning, sampling = seconds(Cell("", "", tuple(final)))
    took = [Path(run.harvest.format(seed)).with_suffix(TOOK) for seed in seeds] if run.harvest else []
    spent = [float(file.read_text()) for file in took if file.is_file()]
    return {
        "seconds": learning, "sampling_s": sampling,
        **({"harvest_s": sum(spent) / len(spent)} if spent else {}),
    }  # fmt: skip
