"""Rows of data files: JSON, JSON lines, CSV, parquet, saved HF data sets and the Hub. One broken line costs one row.

Knows nothing of problems; a row is a mapping of columns.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from nsrl.errors import UserError

FORMATS = {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet"}
TEST_NAMES = ("test", "validation", "val", "testmini", "eval")
BATCH = 256  # rows of a parquet file decoded at a time


@dataclass(frozen=True)
class BadLine:
    """A line of a file that is no row."""

    detail: str


Row = Mapping[str, Any] | BadLine


def rows(file: Path) -> Iterator[Row]:
    """The rows of a data file by its ending. Raises `UserError` for a file that cannot be read at all."""
    kind = FORMATS.get(file.suffix.lower())
    if kind is None:
        raise UserError(f"data.path must end in {', '.join(FORMATS)}; got {file.name!r}")
    if not file.is_file():
        raise UserError(f"data.path: no file {str(file)!r}")
    return {"json": _json, "jsonl": _jsonl, "csv": _csv, "parquet": _parquet}[kind](file)


def _jsonl(file: Path) -> Iterator[Row]:
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                yield json.loads(line)
            except ValueError as error:
                yield BadLine(f"line {number} is not JSON ({error})")


def _json(file: Path) -> Iterator[Row]:
    try:
        value = json.loads(file.read_bytes())
    except ValueError as error:
        if file.read_bytes().count(b"\n{") > 0:  # JSON lines under the name .json
            yield from _jsonl(file)
            return
        raise UserError(f"data.path: {file.name!r} is not JSON ({error})") from None
    if isinstance(value, dict):
        lists = [v for v in value.values() if isinstance(v, list) and v and isinstance(v[0], dict)]
        if len(lists) == 1:
            value = lists[0]
        elif value and all(isinstance(v, dict) for v in value.values()):
            value = [{"id": k, **v} for k, v in value.items()]  # {id: row}
        elif value:
            value = [value]
    if not isinstance(value, list | dict):
        raise UserError(f"data.path: {file.name!r} must hold a list of rows; got {type(value).__name__}")
    yield from value


def _csv(file: Path) -> Iterator[Row]:
    with file.open(newline="", encoding="utf-8", errors="replace") as lines:
        yield from csv.DictReader(lines)


def _parquet(file: Path) -> Iterator[Row]:
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.ParquetFile(file)
        for batch in table.iter_batches(BATCH):
            yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"data.path: {file.name!r} is not a readable parquet file ({str(error)[:120]})") from None


def open_any(path: str, split: str) -> tuple[Iterable[Row], Path | None]:
    """(rows, folder that relative image paths start from) of a file, folder or Hub id. Raises `UserError`."""
    place = Path(path).expanduser()
    if place.is_file():
        return rows(place), place.parent
    if place.is_dir():
        if (place / "dataset_dict.json").exists() or (place / "state.json").exists():
            return _saved(place, split), place
        files = _files(place, split)
        if files:
            return (row for file in files for row in rows(file)), place
        raise UserError(f"data.path: folder {path!r} holds no json, jsonl, csv or parquet file for split {split!r}, and no saved data set")
    if place.suffix.lower() in FORMATS or path.startswith((".", "/", "~")) or path.count("/") > 1:
        raise UserError(f"data.path: {path!r} does not exist")
    return _hub(path, split), None


def _files(folder: Path, split: str) -> list[Path]:
    """Data files of a folder: those named after the split if any are, else all that are not another split's."""
    files = sorted(f for f in folder.rglob("*") if f.suffix.lower() in FORMATS and f.name not in ("dataset_info.json", "config.json"))
    named = [f for f in files if f.stem.split("-")[0] == split or f.parent.name == split]
    return named or [f for f in files if f.stem.split("-")[0] not in TEST_NAMES] or files


def _saved(place: Path, split: str) -> Iterator[Row]:
    import datasets

    try:
        data = datasets.load_from_disk(str(place))
    except (OSError, ValueError) as error:
        raise UserError(f"data.path: {str(place)!r} is not a readable saved data set ({str(error)[:120]})") from None
    return _dataset_rows(data, split, str(place))


def _hub(path: str, split: str) -> Iterator[Row]:
    import datasets
    from huggingface_hub.errors import HfHubHTTPError

    try:
        data = datasets.load_dataset(path, split=split)
    except (OSError, ValueError, HfHubHTTPError) as error:
        reason = str(error).split("\n")[0][:160]
        raise UserError(f"data.path: {path!r} is no local file or folder, and not loadable from the Hub ({reason})") from None
    return _dataset_rows(data, split, path)


def _dataset_rows(data: Any, split: str, name: str) -> Iterator[Row]:
    import datasets

    if isinstance(data, datasets.DatasetDict):
        if split not in data:
            raise UserError(f"data.split must be one of {', '.join(data)} for {name!r}; got {split!r}")
        data = data[split]
    return iter(_undecoded(data))


def _undecoded(data: Any) -> Any:
    """Image columns as stored bytes: a broken one then costs its row, not the data set."""
    import datasets

    for column, feature in data.features.items():
        if isinstance(feature, datasets.Image):
            data = data.cast_column(column, datasets.Image(decode=False))
        else:
            inner = getattr(feature, "feature", feature[0] if isinstance(feature, list) and feature else None)
            if isinstance(inner, datasets.Image):
                data = data.cast_column(column, datasets.List(datasets.Image(decode=False)))
    return data


@lru_cache(maxsize=16)
def test_split(path: str) -> str | None:
    """The name of a data set's own held-out split, if it has one."""
    place = Path(path).expanduser()
    if place.is_file():
        return None
    if place.is_dir():
        if (place / "dataset_dict.json").exists():
            splits = json.loads((place / "dataset_dict.json").read_text()).get("splits", [])
        elif (place / "state.json").exists():
            return None
        else:
            splits = {f.stem.split("-")[0] for f in place.rglob("*") if f.suffix.lower() in FORMATS}
            splits = splits if splits - set(TEST_NAMES) else set()  # a folder that is nothing but a test set
        return next((n for n in TEST_NAMES if n in splits), None)
    if place.suffix.lower() in FORMATS or path.startswith((".", "/", "~")) or path.count("/") > 1:
        return None
    import datasets
    from huggingface_hub.errors import HfHubHTTPError

    try:
        splits = datasets.get_dataset_split_names(path)
    except (OSError, ValueError, HfHubHTTPError):
        return None  # loading it says what is wrong
    return next((n for n in TEST_NAMES if n in splits), None)


def download(hub_id: str) -> Path:
    """The files of a Hub data set in the local cache. Raises `UserError`."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(snapshot_download(hub_id, repo_type="dataset"))
    except (OSError, ValueError, HfHubHTTPError) as error:
        reason = str(error).split("\n")[0][:160]
        raise UserError(f"data.path: {hub_id!r} is no local folder, and not loadable from the Hub ({reason})") from None
