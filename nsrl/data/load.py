"""Sources of problems: `mathvision`, `virl39k`, and any HF, JSON(L), CSV or parquet data set; splits without overlap.

A bad row is skipped, counted and named in the log. A data set that is empty, or has no row with a usable gold answer,
is the user's error. Knows nothing of models or tokens; `shapes` is the one source that makes its problems itself.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nsrl.data import tables
from nsrl.data.dedup import content_key, without
from nsrl.data.images import ZipImages, file_image
from nsrl.data.rows import BadRow, OpenImage, entry_image, identity, to_problem
from nsrl.errors import UserError
from nsrl.types import ImageRef, Problem

log = logging.getLogger("nsrl.data")
SOURCES = ("shapes", "mathvision", "virl39k", "hf")
VIRL39K = "TIGER-Lab/ViRL39K"
VIRL_TEST = 0.01  # the seed's split: 99/1
SPLIT_SEED = 42  # splits do not depend on a run's seed
READERS = 8  # threads that read and check images


@dataclass(frozen=True)
class Skipped:
    """A row that was left out: its number, its id if it had one, and why."""

    row: int
    id: str
    reason: str
    detail: str


@dataclass
class Problems(Sequence[Problem]):
    """The problems of a data set in its order, and the rows that were skipped."""

    items: list[Problem]
    skipped: list[Skipped] = field(default_factory=list)
    name: str = ""

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: Any) -> Any:
        return self.items[index]

    def __iter__(self) -> Iterator[Problem]:
        return iter(self.items)

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
        return f"{self.name}: {len(self.items)} problems; {len(self.skipped)} of {total} rows skipped: {'; '.join(parts)}"


def load(
    source: str,
    path: str | Path | None = None,
    split: str = "train",
    *,
    answered: bool = True,
    limit: int | None = None,
    count_tokens: Callable[[Problem], int] | None = None,
    max_prompt_length: int | None = None,
) -> Problems:
    """All problems of a data set.

    source: mathvision, virl39k or hf; path: folder, file or Hub id; split: of a Hub data set or a saved DatasetDict;
    answered: rows without a usable gold answer are skipped; limit: at most so many rows are read; with `count_tokens`,
    prompts longer than `max_prompt_length` are skipped. Raises `UserError`.
    """
    if source == "mathvision":
        rows, open_image, name = _mathvision(path)
    elif source == "virl39k":
        rows, open_image, name = _virl39k(path)
    elif source == "hf":
        rows, open_image, name = _any(path, split)
    else:
        raise UserError(f"data.source must be one of {', '.join(SOURCES)}; got {source!r}")
    problems = _collect(rows, open_image, source, name, answered, limit, one_picture=source == "mathvision")
    if count_tokens is not None and max_prompt_length is not None:
        problems = _short_enough(problems, count_tokens, max_prompt_length)
    if problems.skipped:
        if problems.items:
            log.warning("%s", problems.report())
        for s in problems.skipped:
            log.info("%s: row %d (id %s) skipped: %s: %s", problems.name, s.row, s.id, s.reason, s.detail)
    if not problems.items:
        if not problems.skipped:
            raise UserError(f"data.path {name!r}: the data set is empty")
        reason, count = Counter(s.reason for s in problems.skipped).most_common(1)[0]
        if reason == "no gold answer":
            raise UserError(f"data.path {name!r}: none of the {len(problems.skipped)} rows has a usable gold answer (columns answer or solution)")
        first = next(s for s in problems.skipped if s.reason == reason)
        raise UserError(f"data.path {name!r}: no usable row; {count} of {len(problems.skipped)} skipped for: {reason} ({first.detail})")
    return problems


def load_problems(config: Any, seed: int = 0) -> tuple[Problems, Problems]:
    """(train, test) of a data configuration (source, path, split, eval_size); no test problem occurs in train.

    virl39k: 1% test, as in the seed; a data set with its own test split uses that; others hold out a tenth. At most
    eval_size test problems. The split depends on the data alone; `seed` is taken for symmetry with `shapes`.
    """
    source, path, size = config.source, config.path, config.eval_size
    if source == "hf" and path is not None and (own := tables.test_split(path)) is not None and own != config.split:
        train, test = load(source, path, config.split), load(source, path, own)
        test.items = test.items[:size]
    else:
        whole = load(source, path, config.split)
        share = VIRL_TEST if source == "virl39k" else 0.1
        count = min(size, max(1, round(share * len(whole)))) if len(whole) > 1 else 0
        chosen = _held_out(whole, count)
        train = Problems([p for i, p in enumerate(whole) if i not in chosen], whole.skipped, whole.name)
        test = Problems([p for i, p in enumerate(whole) if i in chosen], [], whole.name)
    kept = without(train.items, test.items)
    if len(kept) < len(train):
        log.warning("%s: %d training problems left out because they are in the test set", train.name, len(train) - len(kept))
    if not kept:
        raise UserError(f"data.path {train.name!r}: every training problem is also in the test set")
    train.items = kept
    return train, test


def _held_out(problems: Sequence[Problem], count: int) -> set[int]:
    """`count` indices in proportion to the categories: evenly spaced in a shuffled order sorted by category."""
    order = list(range(len(problems)))
    random.Random(SPLIT_SEED).shuffle(order)
    order.sort(key=lambda i: problems[i].category)
    return {order[int((k + 0.5) * len(order) / count)] for k in range(count)}


def open_source(spec: str, level: int = 1, seed: int = 0, size: int | None = None) -> Sequence[Problem]:
    """Problems to evaluate on: `shapes`, `mathvision:FOLDER`, `virl39k:FOLDER` (its test share), `hf:PATH`, or a bare path.

    At most `size` of them, each content once.
    """
    source, colon, path = spec.partition(":")
    if source not in SOURCES or (not colon and source != "shapes"):
        source, path = guess_source(spec), spec
    if source == "shapes":
        from nsrl.data.shapes import Shapes

        return Shapes(level, seed, size or 600).test()
    if source == "virl39k":

        @dataclass
        class _Config:
            source: str = "virl39k"
            path: str = ""
            split: str = "train"
            eval_size: int = size or 10**9

        return load_problems(_Config(path=path))[1]
    split = (tables.test_split(path) or "train") if source == "hf" else "train"
    problems = load(source, path, split)
    seen: set[str] = set()
    problems.items = [p for p in problems if not ((key := content_key(p)) in seen or seen.add(key))][:size]
    return problems


def guess_source(path: str) -> str:
    """mathvision for a folder with testmini.jsonl (or test.jsonl) and images, virl39k for its parquet, else hf."""
    folder = Path(path)
    if folder.is_dir() and list(folder.glob("test*.jsonl")) and (folder / "images").is_dir():
        return "mathvision"
    if "virl39k" in path.lower():
        return "virl39k"
    return "hf"


# -- the sources ---------------------------------------------------------------------------------------------------

Rows = Iterable[Mapping[str, Any] | tables.BadLine]


def _mathvision(path: str | Path | None) -> tuple[Rows, OpenImage, str]:
    """A folder with a .jsonl file and images/: the format of the recorded MathVision testmini."""
    if path is None:
        raise UserError("data.path must be a MathVision folder (testmini.jsonl and images/) for data.source=mathvision; got none")
    folder = Path(path).expanduser()
    file = folder if folder.is_file() else next(iter(sorted(folder.glob("*.jsonl")) + sorted(folder.glob("*.parquet"))), None)
    if file is None:
        what = "no such folder" if not folder.is_dir() else "no .jsonl or .parquet file in it"
        raise UserError(f"data.path must be a MathVision folder (testmini.jsonl and images/); {str(path)!r}: {what}")
    return tables.rows(file), _finder([file.parent]), str(path)


def _virl39k(path: str | Path | None) -> tuple[Rows, OpenImage, str]:
    """Parquet with question, answer in \\boxed{}, image paths, category, source; images beside it or in images.zip."""
    name = str(path or VIRL39K)
    folder = Path(name).expanduser()
    if not folder.exists():
        if name.count("/") != 1 or name.startswith((".", "/", "~")):
            raise UserError(f"data.path must be a ViRL39K folder, parquet file or Hub id; {name!r} does not exist")
        folder = tables.download(name)
    files = [folder] if folder.is_file() else sorted(folder.rglob("*.parquet"))
    if not files:
        raise UserError(f"data.path must hold a parquet file for data.source=virl39k; {name!r} has none")
    return (row for file in files for row in tables.rows(file)), _finder([f.parent for f in files]), name


def _any(path: str | Path | None, split: str) -> tuple[Rows, OpenImage, str]:
    if path is None:
        raise UserError("data.path must be a Hub id, a file (json, jsonl, csv, parquet) or a folder for data.source=hf; got none")
    rows, folder = tables.open_any(str(path), split)
    return rows, _finder([folder] if folder else []), str(path)


def _finder(folders: Sequence[Path]) -> OpenImage:
    """Opens an entry of an image column; paths are looked up in the folders, their images/, and their images.zip."""
    roots = list(dict.fromkeys([f.resolve() for f in folders]))
    archives = [ZipImages(z) for f in roots for z in sorted(f.glob("*.zip"))]
    members = {name: archive for archive in archives for name in archive.names()}
    known: dict[str, ImageRef] = {}

    def find(path: str) -> ImageRef:
        if path in known:
            return known[path]
        given = Path(path).expanduser()
        places = [given] if given.is_absolute() else [p for r in roots for p in (r / given, r / "images" / given, r.parent / given)]
        ref = None
        for place in places:
            if place.is_file():
                ref = file_image(place)
                break
        if ref is None:
            for name in (path, f"images/{path}", path.removeprefix("./")):
                if name in members:
                    ref = members[name].image(name)
                    break
        if ref is None:
            raise UserError(f"image {path!r} is missing")
        known[path] = ref
        return ref

    return lambda entry: entry_image(entry, find)


def _collect(
    rows: Rows, open_image: OpenImage, source: str, name: str, answered: bool, limit: int | None, one_picture: bool
) -> Problems:
    def one(numbered: tuple[int, Any]) -> Problem | Skipped:
        number, row = numbered
        if isinstance(row, tables.BadLine):
            return Skipped(number, str(number), "unreadable row", row.detail)
        try:
            return to_problem(row, number, source, open_image, answered, one_picture)
        except BadRow as bad:
            return Skipped(number, identity(row, number), bad.reason, str(bad))

    out = Problems([], name=name)
    seen: Counter[str] = Counter()
    with ThreadPoolExecutor(READERS) as pool:
        for got in pool.map(one, _numbered(rows, limit)):
            if isinstance(got, Skipped):
                out.skipped.append(got)
                continue
            seen[got.id] += 1
            if seen[got.id] > 1:  # ids name records and seeds: they must differ
                got = _renamed(got, f"{got.id}#{seen[got.id]}")
            out.items.append(got)
    return out


def _numbered(rows: Rows, limit: int | None) -> Iterator[tuple[int, Any]]:
    for number, row in enumerate(rows):
        if limit is not None and number >= limit:
            return
        yield number, row


def _renamed(p: Problem, identity: str) -> Problem:
    return Problem(identity, p.question, p.answer, p.images, p.options, p.category, p.source, p.columns)


def _short_enough(problems: Problems, count_tokens: Callable[[Problem], int], longest: int) -> Problems:
    kept, skipped = [], list(problems.skipped)
    for number, p in enumerate(problems):
        n = count_tokens(p)
        if n <= longest:
            kept.append(p)
        else:
            skipped.append(Skipped(number, p.id, "over-long prompt", f"{n} tokens, at most {longest}"))
    return Problems(kept, skipped, problems.name)
