"""`python -m nsrl.gallery` runs the rows of the gallery, which arms of methods matter on the small model, and writes
the page.

`make gallery` runs all of them and writes docs/gallery.md; begun again, it does what is missing.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from nsrl.config import GalleryConfig, command, parse
from nsrl.errors import UserError

if TYPE_CHECKING:
    from nsrl.experiments.jobs import Job
    from nsrl.gallery.plan import Parts
    from nsrl.gallery.row import Row

PROGRAM = "python -m nsrl.gallery"
DOCS, PAGE, FOUND = Path("docs"), "gallery.md", Path("nsrl/gallery/found")  # of the source tree


def main(argv: list[str]) -> int:
    """Run what is missing of the rows, and write a JSON of each, the page and its pictures. Returns 0; raises
    `UserError` for what cannot work, before anything is run."""
    config = parse(GalleryConfig, argv, PROGRAM)

    from nsrl.experiments.jobs import run
    from nsrl.gallery.plan import Parts
    from nsrl.gallery.row import read, row_names
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
    left = "a few minutes" if config.quick else clock(parts.seconds() / together)
    missing = sum(not job.done for job in parts.jobs)
    print(f"{config.place}: {len(rows)} rows, {len(config.seeds)} seeds, {len(parts.jobs)} parts, of which {missing} "
          f"are to be run: about {left} on {together} quiet cores")  # fmt: skip
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


def write_seconds(job: Job, took: float) -> None:
    """Beside a harvest, how long it took: nothing else knows."""
    from nsrl.gallery.plan import TOOK

    job.file.with_suffix(TOOK).write_text(f"{took:.1f}\n", encoding="utf-8")


def write_rows(rows: list[Row], parts: Parts, written: set[str]) -> None:
    """The JSON of each row whose parts are done and which is not among those written, and a line that says so."""
    from nsrl.gallery.finished import decides, is_of, published, result
    from nsrl.gallery.page import sentence
    from nsrl.trainer.folder import write

    folder = parts.folder / "rows"
    kept = published(folder)
    for row in rows:
        if row.name in written or not all(file.exists() for file in parts.of[row.name]):
            continue
        written.add(row.name)
        if is_of(row, kept.get(row.name), parts):
            continue
        one = result(row, parts)
        folder.mkdir(exist_ok=True)
        write(folder / f"{row.name}.json", json.dumps(one, indent=1) + "\n")
        pair = decides(row, one["pairs"])
        print(f"row {row.name}: {'nothing to compare' if pair is None else sentence(row, one, pair)}", flush=True)


def write_page(config: GalleryConfig, rows: list[Row]) -> None:
    """The page and its pictures: of these rows into the folder; with publish of all that were ever run for it into the
    source tree."""
    from nsrl.gallery.finished import published
    from nsrl.gallery.page import page
    from nsrl.gallery.picture import drawn
    from nsrl.gallery.row import read, row_names
    from nsrl.trainer.folder import write

    home, found = config.place, published(config.place / "rows")
    if config.publish:
        home = DOCS
        FOUND.mkdir(exist_ok=True)
        for row in rows:
            if row.name in found and row.name in row_names():
                write(FOUND / f"{row.name}.json", json.dumps(found[row.name], indent=1) + "\n")
        rows, found = [read(name) for name in row_names()], published(FOUND)
    found = {row.name: found[row.name] for row in rows if row.name in found and found[row.name]["digest"] == row.digest}
    pictures = home / "gallery"
    pictures.mkdir(exist_ok=True)
    for row in rows:
        if row.name in found:
            write(pictures / f"{row.name}.svg", drawn(row, found[row.name]))
    write(home / PAGE, page(rows, found))
    print(f"page: {home / PAGE}", flush=True)


if __name__ == "__main__":
    command(main)
