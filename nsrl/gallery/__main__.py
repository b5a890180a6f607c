"""`python -m nsrl.gallery` runs the rows of the gallery, which arms of methods matter on the small model, and writes
the page.

`make gallery` runs all of them and writes docs/gallery.md; begun again, it does what is missing.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nsrl.config import GalleryConfig, command, parse
from nsrl.errors import UserError

if TYPE_CHECKING:
    from nsrl.experiments.jobs import Job

PROGRAM = "python -m nsrl.gallery"


def main(argv: list[str]) -> int:
    """Run what is missing of the rows, and write a JSON of each, the page and its pictures. Returns 0; raises
    `UserError` for what cannot work, before anything is run."""
    config = parse(GalleryConfig, argv, PROGRAM)

    # all that it needs, now: the source tree may change in the hours to come
    from nsrl.experiments.jobs import run
    from nsrl.gallery.plan import Parts
    from nsrl.gallery.row import read, row_names
    from nsrl.gallery.writing import DOCS, write_page, write_rows, write_seconds
    from nsrl.trainer.folder import disk_watched, locked
    from nsrl.trainer.metrics import clock

    if config.publish and not (DOCS / "README.md").is_file():
        raise UserError(f"publish needs the source tree as working directory; there is no {DOCS / 'README.md'} here")
    rows = [read(name) for name in config.rows or row_names()]
    # those that share most come first: their parts serve several
    starts = [row.warm.name for row in rows]
    rows.sort(key=lambda row: -starts.count(row.warm.name))
    if len({row.name for row in rows}) < len(rows):
        raise UserError(f"rows must have names of their own; got {', '.join(row.name for row in rows)}")
    parts = Parts(config.place, config.seeds, quick=config.quick)
    for row in rows:
        parts.add(row)
    for note in parts.notes:
        print(f"note: {note}")
    together = config.jobs or len(os.sched_getaffinity(0))
    missing = sum(not job.done for job in parts.jobs)
    left = "a few minutes" if config.quick else clock(parts.seconds() / together)
    print(f"{config.place}: {len(rows)} rows, {len(config.seeds)} seeds, {len(parts.jobs)} parts, of which {missing} "
          f"are to be run{f': about {left} on {together} quiet cores' if missing else ''}")  # fmt: skip
    if config.dry:
        for job in parts.jobs:
            print(f"{'done' if job.done else clock(job.cost):>8}  {job.name}")
        if config.publish:
            write_page(config, rows)
        return 0
    written: set[str] = set()

    def ended(job: Job, took: float) -> None:
        if job.words[0] == "nsrl.harvest":
            write_seconds(job, took)
        write_rows(rows, parts, written)

    with (
        locked(config.place, "gallery"),
        disk_watched(config.place, "what is done stays, and the same command goes on"),
    ):
        write_rows(rows, parts, written)
        try:
            run(parts.jobs, together, parts.threads, ended=ended, patient=True)
        finally:
            write_page(config, rows)
    return 0


if __name__ == "__main__":
    command(main)
