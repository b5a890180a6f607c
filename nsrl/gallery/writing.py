"""What the command writes: a JSON of each row as soon as its parts are done, the page, its pictures."""

from __future__ import annotations

import json
from pathlib import Path

from nsrl.config.gallery import GalleryConfig
from nsrl.experiments.jobs import Job
from nsrl.gallery.finished import decides, result
from nsrl.gallery.kept import is_of, published
from nsrl.gallery.page import page, sentence
from nsrl.gallery.picture import drawn
from nsrl.gallery.plan import TOOK, Parts
from nsrl.gallery.row import Row, read, row_names
from nsrl.trainer.folder import write

DOCS, PAGE, FOUND = Path("docs"), "gallery.md", Path("nsrl/gallery/found")  # of the source tree


def write_seconds(job: Job, took: float) -> None:
    """Beside a harvest, how long it took: nothing else knows."""
    job.file.with_suffix(TOOK).write_text(f"{took:.1f}\n", encoding="utf-8")


def write_rows(rows: list[Row], parts: Parts, written: set[str]) -> None:
    """The JSON of each row whose parts are done and which is not among those written, and a line that says so."""
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
