"""The problems of a data set: its rows read, each a `Problem` or skipped with the reason.

A bad row is skipped, counted and named in the log. A data set that is empty, or has no row with a usable gold answer,
is the user's error. Knows nothing of models, tokens or formats.
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
from nsrl.data.benchmarks import PROTOCOLS
from nsrl.data.choices import BadRow, Counted, Meaning
from nsrl.data.images import ZipImages, file_image
from nsrl.data.names import column_splits, same_split
from nsrl.data.rows import OpenImage, entry_image, identity, to_problem
from nsrl.data.sources import format_of, opened
from nsrl.errors import UserError
from nsrl.types import ImageRef, Problem

log = logging.getLogger("nsrl.data")
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
    prepare: Callable[[tables.Table], tables.Table] = lambda table: table,
    progress: OnRows | None = None,
) -> Problems:
    """All problems of a data set.

    source: a name of `SOURCES` that has rows; path: folder, file or Hub id; split, subset: of a Hub data set or a saved
    DatasetDict; answered: rows without a usable gold answer are skipped; limit: at most so many rows are read;
    names: columns that are called otherwise, role to column; prepare: makes other rows of them first;
    progress: called as progress(rows so far, rows in all or None). Raises `UserError`.
    """
    table, folders, name = opened(source, path, split, subset)
    if names:
        table = tables.renamed(table, names)
    table = prepare(table)
    problems = _collect(table, _finder(folders), source, name, answered, limit, progress)
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
    progress: OnRows | None,
) -> Problems:
    one_picture, protocol = format_of(source).one_picture, PROTOCOLS.get(source)
    numbers: dict[int, Counted] = {}  # golds that are clear only when all have been seen

    def one(number: int, row: Any) -> Problem | Skipped:
        if isinstance(row, tables.BadLine):
            return Skipped(number, str(number), "unreadable row", row.detail)
        try:
            if protocol is not None and isinstance(row, tables.Row):
                protocol(row)
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
