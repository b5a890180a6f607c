"""Sources of problems: `mathvision`, `virl39k`, and any HF, JSON(L), CSV or parquet data set.

A bad row is skipped, counted and named in the log. A data set that is empty, or has no row with a usable gold answer,
is the user's error. Knows nothing of models or tokens; `shapes` is the one source that makes its problems itself.
"""

from __future__ import annotations

import logging
import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from nsrl.data import tables
from nsrl.data.choices import BadRow, Counted, Meaning
from nsrl.data.images import ZipImages, file_image
from nsrl.data.names import column_splits, same_split
from nsrl.data.rows import OpenImage, entry_image, identity, to_problem
from nsrl.errors import UserError
from nsrl.types import ImageRef, Problem

log = logging.getLogger("nsrl.data")
SOURCES = ("shapes", "mathvision", "virl39k", "hf")
VIRL39K = "TIGER-Lab/ViRL39K"
READERS = 8  # threads that read and check images
ROWS_TOGETHER = 16  # rows handed to a thread at once
OnRows = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Skipped:
    """A row that was left out: its number, its id if it had one, and why."""

    row: int
    id: str
    reason: str
    detail: str


@dataclass
class Problems(Sequence[Problem]):
    """The problems of a data set in its order, and the rows that were skipped.

    origin: the files or the split that they come from, in words; others: problems of its other splits, which a column
    says.
    """

    items: list[Problem]
    skipped: list[Skipped] = field(default_factory=list)
    name: str = ""
    origin: str = ""
    others: dict[str, list[Problem]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: Any) -> Any:
        return self.items[index]

    def __iter__(self) -> Iterator[Problem]:
        return iter(self.items)

    def fitting(self, lengths: Sequence[int | str], longest: int) -> Problems:
        """Those whose prompts are no longer than `longest`.

        lengths: of each problem the tokens of its prompt, or in words why it cannot become one.
        """
        kept, skipped = [], list(self.skipped)
        for number, (p, n) in enumerate(zip(self.items, lengths, strict=True)):
            if isinstance(n, str):
                skipped.append(Skipped(number, p.id, "impossible prompt", n))
            elif n > longest:
                skipped.append(Skipped(number, p.id, "over-long prompt", f"{n} tokens, at most {longest}"))
            else:
                kept.append(p)
        return Problems(kept, skipped, self.name, self.origin)

    def report(self) -> str:
        """What was loaded and what was skipped, one line: the log's."""
        total = len(self.items) + len(self.skipped)
        if not self.skipped:
            return f"{self.name}: {total} problems"
        by_reason: dict[str, list[Skipped]] = {}
        for s in self.skipped:
            by_reason.setdefault(s.reason, []).append(s)
        parts = []
        for reason, rows in by_reason.items():
            shown = ", ".join(r.id for r in rows[:5]) + (", …" if len(rows) > 5 else "")
            parts.append(f"{len(rows)} {reason} (rows {shown}; first: {rows[0].detail.removeprefix(reason + ': ')})")
        return (
            f"{self.name}: {len(self.items)} problems; {len(self.skipped)} of {total} rows skipped: {'; '.join(parts)}"
        )


def load(
    source: str,
    path: str | Path | None = None,
    split: str = "train",
    *,
    answered: bool = True,
    limit: int | None = None,
    subset: str | None = None,
    names: Mapping[str, str] | None = None,
    progress: OnRows | None = None,
) -> Problems:
    """All problems of a data set.

    source: mathvision, virl39k or hf; path: folder, file or Hub id; split, subset: of a Hub data set or a saved
    DatasetDict; answered: rows without a usable gold answer are skipped; limit: at most so many rows are read;
    names: columns that are called otherwise, role to column; progress: called as progress(rows so far, rows in all or
    None). Raises `UserError`.
    """
    path = path or None  # an empty one would be the current folder
    if source == "mathvision":
        table, open_image, name = _mathvision(path)
    elif source == "virl39k":
        table, open_image, name = _virl39k(path)
    elif source == "hf":
        table, open_image, name = _any(path, split, subset)
    else:
        raise UserError(f"data.source must be one of {', '.join(SOURCES)}; got {source!r}")
    if names:
        table = tables.renamed(table, names)
    problems = _collect(table, open_image, source, name, answered, limit, source == "mathvision", progress)
    if problems.skipped:
        if problems.items:
            log.warning("%s", problems.report())
        for s in problems.skipped:
            log.info("%s: row %d (id %s) skipped: %s: %s", problems.name, s.row, s.id, s.reason, s.detail)
    _choose_split(problems, split)
    if not problems.items:
        if not problems.skipped:
            raise UserError(f"data.path {name!r}: the data set is empty")
        reason, count = Counter(s.reason for s in problems.skipped).most_common(1)[0]
        first = next(s.detail for s in problems.skipped if s.reason == reason).removeprefix(reason + ": ")
        if reason == "no gold answer":
            raise UserError(
                f"data.path {name!r}: none of the {len(problems.skipped)} rows has a usable gold answer ({first})"
            )
        raise UserError(
            f"data.path {name!r}: no usable row; {count} of {len(problems.skipped)} skipped for: {reason} ({first})"
        )
    return problems


def _choose_split(problems: Problems, split: str) -> None:
    """Keep the problems of a split where a column `split` sets a test split apart. Raises `UserError` for one not
    there."""
    values = [next((v for k, v in p.columns.items() if str(k).strip().lower() == "split"), None) for p in problems]
    meaning = column_splits("" if v is None else str(v) for v in values)
    if not meaning:
        return
    parts: dict[str, list[Problem]] = {}
    for value, problem in zip(values, problems):
        parts.setdefault(meaning["" if value is None else str(value)], []).append(problem)
    chosen = next((label for label in parts if same_split(label, split)), None)
    if chosen is None:
        there = ", ".join(sorted(parts))
        raise UserError(f"data.split must be one of {there}, by the column 'split' of {problems.name!r}; got {split!r}")
    problems.items, problems.others = parts.pop(chosen), parts
    problems.origin = f"{problems.origin or problems.name} (rows whose split is {chosen})"


def source_and_path(spec: str) -> tuple[str, str]:
    """`source:path`, a source alone (shapes), or a bare path whose format is recognised."""
    source, colon, path = spec.partition(":")
    if source not in SOURCES or (not colon and source != "shapes"):
        return guess_source(spec), spec
    if source == "shapes" and colon:
        raise UserError(f"data must be shapes, which has no path, SOURCE:PATH or a path; got {spec!r}")
    if source != "shapes" and not path:
        raise UserError(f"data must name a path behind {source}:; got none")
    return source, path


def guess_source(path: str) -> str:
    """mathvision for a folder with testmini.jsonl (or test.jsonl) alone and images, virl39k for its parquet, else
    hf."""
    folder = Path(path)
    files = [f.name for f in tables.visible(folder, "*.jsonl")] if (folder / "images").is_dir() else []
    if files and all(name.startswith("test") for name in files):
        return "mathvision"
    if "virl39k" in path.lower():
        return "virl39k"
    return "hf"


# -- the sources ---------------------------------------------------------------------------------------------------


def _mathvision(path: str | Path | None) -> tuple[tables.Table, OpenImage, str]:
    """A folder with a .jsonl file and images/: the format of the recorded MathVision testmini."""
    if path is None:
        raise UserError(
            "data.path must be a MathVision folder (testmini.jsonl and images/) for data.source=mathvision; got none"
        )
    folder = Path(path).expanduser()
    file = (
        folder
        if folder.is_file()
        else next(iter(tables.visible(folder, "*.jsonl") + tables.visible(folder, "*.parquet")), None)
    )
    if file is None:
        what = "no such folder" if not folder.is_dir() else "no .jsonl or .parquet file in it"
        raise UserError(f"data.path must be a MathVision folder (testmini.jsonl and images/); {str(path)!r}: {what}")
    return tables.table([file]), _finder([file.parent]), str(path)


def _virl39k(path: str | Path | None) -> tuple[tables.Table, OpenImage, str]:
    """Parquet with question, answer in \\boxed{}, image paths, category, source; images beside it or in images.zip."""
    name = str(path or VIRL39K)
    folder = Path(name).expanduser()
    if not folder.exists():
        if name.count("/") != 1 or name.startswith((".", "/", "~")):
            raise UserError(f"data.path must be a ViRL39K folder, parquet file or Hub id; {name!r} does not exist")
        folder = tables.download(name)
    files = [folder] if folder.is_file() else tables.visible(folder, "**/*.parquet")
    if not files:
        raise UserError(f"data.path must hold a parquet file for data.source=virl39k; {name!r} has none")
    return tables.table(files), _finder([f.parent for f in files]), name


def _any(path: str | Path | None, split: str, subset: str | None) -> tuple[tables.Table, OpenImage, str]:
    if path is None:
        raise UserError(
            "data.path must be a Hub id, a file (json, jsonl, csv, parquet) or a folder for data.source=hf; got none"
        )
    table, folder = tables.open_any(str(path), split, subset)
    return table, _finder([folder] if folder else []), str(path)


def _finder(folders: Sequence[Path]) -> OpenImage:
    """Opens an entry of an image column; paths are looked up beside the row's file, in the folders, their images/, and
    their zip archives."""
    roots = list(dict.fromkeys([str(f.resolve()) for f in folders]))
    members: dict[str, ZipImages] = {}
    for archive in (ZipImages(z) for r in roots for z in tables.visible(Path(r), "*.zip")):
        try:
            members |= dict.fromkeys(archive.names(), archive)
        except UserError as error:  # a picture that lay in it will be missing
            log.warning("%s: it is left out", error)
    known: dict[tuple[str, Path | None], ImageRef] = {}
    resolved = lru_cache(maxsize=1024)(lambda folder: str(folder.resolve()))

    def find(path: str, folder: Path | None) -> ImageRef:
        if (path, folder) in known:
            return known[path, folder]
        given = os.path.expanduser(path)
        starts = dict.fromkeys([resolved(folder), *roots] if folder else roots)
        places = (
            [given]
            if os.path.isabs(given)
            else [os.path.join(r, f, given) for r in starts for f in ("", "images", "..")]
        )
        ref = None
        for place in places:
            if os.path.isfile(place):
                ref = file_image(place)
                break
        if ref is None:
            for name in (path, f"images/{path}", path.removeprefix("./")):
                if name in members:
                    ref = members[name].image(name)
                    break
        if ref is None:
            raise UserError(f"image {path!r} is missing")
        known[path, folder] = ref
        return ref

    return lambda entry, folder, again: entry_image(entry, find, folder, again)


def _collect(
    table: tables.Table,
    open_image: OpenImage,
    source: str,
    name: str,
    answered: bool,
    limit: int | None,
    one_picture: bool,
    progress: OnRows | None,
) -> Problems:
    numbers: dict[int, Counted] = {}  # golds that are clear only when all have been seen

    def one(number: int, row: Any) -> Problem | Skipped:
        if isinstance(row, tables.BadLine):
            return Skipped(number, str(number), "unreadable row", row.detail)
        try:
            return to_problem(row, number, source, open_image, answered, one_picture, numbers)
        except BadRow as bad:
            return Skipped(number, identity(row, number), bad.reason, str(bad))

    def several(numbered: list[tuple[int, Any]]) -> list[Problem | Skipped]:
        return [one(number, row) for number, row in numbered]

    found: list[Problem | Skipped] = []  # of every row

    def keep(part: list[Problem | Skipped]) -> None:
        found.extend(part)
        if progress is not None:
            progress(len(found), table.total)

    rows = iter(islice(enumerate(table.rows), limit))
    running: deque[Future] = deque()  # few at a time: rows may hold their pictures
    with ThreadPoolExecutor(READERS) as pool:
        while part := list(islice(rows, ROWS_TOGETHER)):
            running.append(pool.submit(several, part))
            if len(running) > READERS:
                keep(running.popleft().result())
        for future in running:
            keep(future.result())
    meaning = Meaning.of(numbers.values())
    out = Problems([], name=name, origin=table.origin)
    seen: Counter[str] = Counter()
    for number, got in enumerate(found):
        if number in numbers and isinstance(got, Problem):
            try:
                got = replace(got, answer=meaning.answer(numbers[number]))
            except BadRow as bad:
                got = Skipped(number, got.id, bad.reason, str(bad)) if answered else replace(got, answer=None)
        if isinstance(got, Skipped):
            out.skipped.append(got)
            continue
        seen[got.id] += 1
        if seen[got.id] > 1:  # ids name records and seeds: they must differ
            got = replace(got, id=f"{got.id}#{seen[got.id]}")
        out.items.append(got)
    return out
