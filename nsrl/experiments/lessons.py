"""`python -m nsrl.experiments.lessons PLAN.json DONE.json`: the lessons of an arm out of harvests, and what its runs
begin with: a cold start on them, or none where there are none.

The plan says `harvests` (parquet files), `languages`, `rows` (the parquet file to write), `keys` (the file of keys of
`nsrl train` to write) and what stands in that: `taught` or `untaught`. DONE.json has what came of it, in numbers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from nsrl.config import command
from nsrl.trainer.folder import replacing, settings_of, write

TOGETHER = 256  # rows that are held with their pictures
TOLD = ("problem_id", "language", "tokens", "translated_from")


def main(argv: list[str]) -> int:
    """Write the lessons, the keys, and last the numbers. Returns 0."""
    plan, done = json.loads(Path(argv[0]).read_text(encoding="utf-8")), Path(argv[1])
    harvests, rows = [Path(file) for file in plan["harvests"]], Path(plan["rows"])
    chosen, told = choose(harvests, plan["languages"])
    if told["lessons"]:
        gather(harvests, chosen, rows)
    write(Path(plan["keys"]), yaml.safe_dump(plan["taught" if told["lessons"] else "untaught"], sort_keys=False))
    write(done, json.dumps(told, indent=1) + "\n")
    print(
        f"{told['lessons']} lessons of {told['problems']} problems, {told['translated']} of them translations: {rows}"
    )
    return 0


def choose(harvests: Sequence[Path], languages: Sequence[str]) -> tuple[list[set[int]], dict[str, Any]]:
    """(numbers of the rows to take of each harvest, what they come to): of each problem the shortest row in each of the
    languages, of equal ones the first."""
    from pyarrow import parquet

    best: dict[tuple[str, str], tuple[int, int, int, str]] = {}
    sampled = right = 0
    for at, file in enumerate(harvests):
        made: Mapping[str, Any] = settings_of(file) or {}
        sampled, right = sampled + made["sampled"], right + made["right"]
        for number, row in enumerate(parquet.read_table(file, columns=list(TOLD)).to_pylist()):
            if row["language"] in languages:
                # answers without a program are of one kind here, long or short
                kind = row["language"] if "direct" not in languages else ""
                mine = (row["tokens"], at, number, row["translated_from"])
                key = (row["problem_id"], kind)
                best[key] = min(mine, best.get(key, mine))
    told = {
        "lessons": len(best), "problems": len({problem for problem, _ in best}),
        "translated": sum(bool(row[3]) for row in best.values()), "sampled": sampled, "right": right,
    }  # fmt: skip
    return [{number for _, of, number, _ in best.values() if of == at} for at in range(len(harvests))], told


def gather(harvests: Sequence[Path], chosen: Sequence[set[int]], rows: Path) -> None:
    """The chosen rows of the harvests with their pictures as one table, whole or not at all."""
    import pyarrow
    from pyarrow import parquet

    with replacing(rows) as working, parquet.ParquetWriter(working, parquet.read_schema(harvests[0])) as writer:
        for file, numbers in zip(harvests, chosen):
            seen = 0
            for batch in parquet.ParquetFile(file).iter_batches(TOGETHER):
                mask = pyarrow.array([seen + i in numbers for i in range(len(batch))])
                writer.write_table(pyarrow.Table.from_batches([batch.filter(mask)]).cast(writer.schema))
                seen += len(batch)


if __name__ == "__main__":
    command(main)
