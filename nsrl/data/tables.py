"""Rows of data files: JSON, JSON lines, CSV, parquet, saved HF data sets and the Hub. One broken line costs one row.

Knows nothing of problems; a row is a mapping of columns.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from nsrl.data import csvs, jsons
from nsrl.data.images import PICTURES
from nsrl.errors import UserError

FORMATS = {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "csv", ".parquet": "parquet"}
TEST_NAMES = ("test", "validation", "testmini", "eval")
_KEYWORDS = {  # HF's words for splits, and MathVision's testmini
    "train": "train", "training": "train", "test": "test", "testing": "test", "testmini": "testmini",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
    "eval": "eval", "evaluation": "eval",
}  # fmt: skip
_KEYWORD = re.compile(rf"(?<![^\W\d_])({'|'.join(_KEYWORDS)})(?:[-_ ]?(?:set|data|split))?(?![^\W\d_])", re.IGNORECASE)
METADATA = "metadata"  # the stem of HF imagefolder's own files: pictures stand beside them, named by file_name columns
BATCH_ROWS, BATCH_BYTES = 256, 32 << 20  # of a parquet file decoded at a time
_ONE_READER = threading.Lock()


@dataclass(frozen=True)
class BadLine:
    """A line of a file that is no row."""

    detail: str


class Row(dict[str, Any]):
    """The columns of a row.

    folder: where its relative paths start from; again: reads columns of it anew, so that a picture inside a row need not
    be held in memory (None: it cannot be); metadata: it names its pictures as HF's imagefolder does.
    """

    folder: Path | None = None
    again: Callable[[Sequence[str]], Mapping[str, Any]] | None = None
    metadata: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of a data set, in order. total: how many, about (None: not known before they are read)."""

    rows: Iterable[Mapping[str, Any] | BadLine | Any]
    total: int | None = None


def rows(file: Path) -> Iterator[Any]:
    """The rows of a data file by its ending: `Row`, `BadLine`, or what else stands there. `UserError` if unreadable."""
    kind = FORMATS.get(file.suffix.lower())
    if kind is None:
        raise UserError(f"data.path must end in {', '.join(FORMATS)}; got {file.name!r}")
    if not file.is_file():
        raise UserError(f"data.path: no file {str(file)!r}")
    for row in {"json": _json, "jsonl": _jsonl, "csv": _csv, "parquet": _parquet}[kind](file):
        if isinstance(row, Row):
            row.folder, row.metadata = file.parent, file.stem == METADATA
        yield row


def table(files: Sequence[Path]) -> Table:
    """The rows of several files one after the other."""
    return Table((row for file in files for row in rows(file)), _total(files))


def renamed(whole: Table, names: Mapping[str, str]) -> Table:
    """The table with the columns `names` (role to column) called by their roles. Raises `UserError` where one is absent."""
    back = {"images" if role == "image" else role: column for role, column in names.items()}

    def named(row: Mapping[str, Any]) -> dict[str, Any]:
        others = {k: v for k, v in row.items() if k not in back and k not in back.values()}
        return {role: row[column] for role, column in back.items() if column in row} | others

    def each() -> Iterator[Any]:
        checked = False
        for row in whole.rows:
            if not isinstance(row, Row):
                yield row
                continue
            absent = [column for column in back.values() if column not in row]
            if absent and not checked:
                raise UserError(f"data.columns must name columns of the data set ({', '.join(map(str, row))}); got {absent[0]!r}")
            checked = True
            fresh = Row(named(row))
            fresh.folder, fresh.metadata = row.folder, row.metadata
            if row.again is not None:
                fresh.again = lambda columns, again=row.again: named(again([back.get(c, c) for c in columns]))
            yield fresh

    return Table(each(), whole.total)


def _total(files: Sequence[Path]) -> int | None:
    """Rows of the files from what is quickly read: a parquet's footer, lines of text. None where there is a JSON."""
    import pyarrow
    from pyarrow import parquet

    count = 0
    for file in files:
        if file.suffix.lower() == ".json" or not file.is_file():
            return None
        try:
            if file.suffix.lower() == ".parquet":
                count += parquet.read_metadata(file).num_rows
                continue
        except (pyarrow.ArrowException, OSError):
            return None  # reading it says what is wrong
        with file.open("rb") as data:
            while block := data.read(1 << 20):
                count += block.count(b"\n")
    return count


def _jsonl(file: Path) -> Iterator[Row | BadLine | Any]:
    offset = 0
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            here, offset = offset, offset + len(line)
            if not line.strip():
                continue
            try:
                value = jsons.loads(line)
            except ValueError as error:
                yield BadLine(f"line {number} is not JSON ({error})")
                continue
            if isinstance(value, dict):
                value = Row(value)
                value.again = partial(_line_again, file, here)
            yield value


def _line_again(file: Path, offset: int, columns: Sequence[str]) -> Mapping[str, Any]:
    try:
        with file.open("rb") as lines:
            lines.seek(offset)
            return jsons.loads(lines.readline())
    except (OSError, ValueError):
        raise UserError(f"image in {file.name!r} cannot be read any more: the file changed") from None


def _json(file: Path) -> Iterator[Row | BadLine | Any]:
    try:
        value = jsons.loads(file.read_bytes())
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
    for row in value:
        yield Row(row) if isinstance(row, dict) else row


def _csv(file: Path) -> Iterator[Row | BadLine]:
    for _, record in csvs.records(file):
        yield BadLine(record) if isinstance(record, str) else Row(record)


def _parquet(file: Path) -> Iterator[Row]:
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(file, memory_map=True) as table:
            for group in range(table.num_row_groups):
                size = table.metadata.row_group(group)
                batch_rows = max(1, min(BATCH_ROWS, BATCH_BYTES * size.num_rows // max(1, size.total_byte_size)))
                number = 0
                for batch in table.iter_batches(batch_rows, row_groups=[group]):
                    for value in _values(batch):
                        if isinstance(value, BadLine):
                            number += 1
                            yield value
                            continue
                        row = Row(value)
                        row.again = partial(_parquet_again, file, group, number)
                        number += 1
                        yield row
        pyarrow.default_memory_pool().release_unused()
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"data.path: {file.name!r} is not a readable parquet file ({str(error)[:120]})") from None


def _values(batch: Any) -> Iterator[Any]:
    """The rows of a batch; one with a value that Python cannot have (text that is not UTF-8, the year 10000) is bad."""
    try:
        yield from batch.to_pylist()
    except (ValueError, OverflowError):
        for number in range(len(batch)):
            try:
                value = batch.slice(number, 1).to_pylist()[0]
            except (ValueError, OverflowError) as error:
                value = BadLine(f"a value cannot be read ({str(error)[:120]})")
            yield value


def _parquet_again(file: Path, group: int, number: int, columns: Sequence[str]) -> Mapping[str, Any]:
    """Columns of one row. Parquet is decoded page by page, and a page may be a whole row group: one reader at a time."""
    import pyarrow
    from pyarrow import parquet

    large = False
    try:
        with _ONE_READER, parquet.ParquetFile(file, memory_map=True) as table:
            large = table.metadata.row_group(group).total_byte_size > BATCH_BYTES
            for batch in table.iter_batches(16, row_groups=[group], columns=list(columns)):
                if number < len(batch):
                    return batch.slice(number, 1).to_pylist()[0]
                number -= len(batch)
    except (pyarrow.ArrowException, OSError, IndexError):  # IndexError: fewer row groups than there were
        pass
    finally:
        if large:
            pyarrow.default_memory_pool().release_unused()
    raise UserError(f"image in {file.name!r} cannot be read any more: the file changed")


def open_any(path: str, split: str, subset: str | None = None) -> tuple[Table, Path | None]:
    """(rows, folder that relative image paths start from) of a file, folder or Hub id. Raises `UserError`."""
    place = Path(path).expanduser()
    if place.is_file():
        return table([place]), place.parent
    if place.is_dir():
        if (place / "dataset_dict.json").exists() or (place / "state.json").exists():
            return _saved(place, split), place
        files = _files(place, split)
        if files:
            whole = table(files)
            inside = _split_folders(place)
            return Table(_of_split(whole.rows, split, inside), None) if inside else whole, place
        if any(file.suffix.lower() in PICTURES for file in place.rglob("*")):
            raise UserError(
                f"data.path: folder {path!r} holds pictures but no questions; an image folder needs a metadata.csv, .jsonl "
                "or .parquet with the columns file_name, question and answer (folders named after classes have none)"
            )
        raise UserError(f"data.path: folder {path!r} holds no json, jsonl, csv or parquet file for split {split!r}, and no saved data set")
    if place.suffix.lower() in FORMATS or path.startswith((".", "/", "~")) or path.count("/") > 1:
        raise UserError(f"data.path: {path!r} does not exist")
    return _hub(path, split, subset), None


def visible(folder: Path, pattern: str) -> list[Path]:
    """Files below a folder, sorted, without the hidden ones that systems leave there (`._data.csv`, `__MACOSX`)."""
    found = (f for f in folder.glob(pattern) if not any(p.startswith((".", "__")) for p in f.relative_to(folder).parts))
    return sorted(f for f in found if f.is_file())


def _data_files(folder: Path) -> list[Path]:
    files = visible(folder, "**/*")
    return [f for f in files if f.suffix.lower() in FORMATS and f.name not in ("dataset_info.json", "config.json")]


def _keyword(name: str) -> str:
    """The split that a name of a file or folder speaks of, as in HF: a word of it, whatever its case; else none."""
    found = _KEYWORD.search(name)
    return _KEYWORDS[found[1].lower()] if found else ""


def same_split(one: str, other: str) -> bool:
    """Whether two names mean the same split: `val` and `validation` do."""
    return one == other or _KEYWORDS.get(one.lower(), one) == _KEYWORDS.get(other.lower(), other)


def _label(file: Path, root: Path) -> str:
    """The split a file of a folder belongs to: by its name, else by the folder it lies in; else none."""
    names = (file.stem, *reversed(file.relative_to(root).parts[:-1]))
    return next(filter(None, map(_keyword, names)), "")


def _files(folder: Path, split: str) -> list[Path]:
    """Data files of a folder: those named after the split; for training else all that are not another split's.

    Raises `UserError` for another split that nothing is named after.
    """
    files = _data_files(folder)
    labels = [_label(f, folder) for f in files]
    inside = _split_folders(folder)
    if inside:
        labels = ["train", *inside.values()]
        if any(same_split(split, label) for label in labels):
            return [f for f in files if f.stem == METADATA]
    elif named := [f for f, label in zip(files, labels) if label and same_split(split, label)] or [
        f for f in files if split.lower() in (p.lower() for p in (f.stem, *f.relative_to(folder).parts[:-1]))
    ]:
        return named
    elif same_split(split, "train"):
        return [f for f, label in zip(files, labels) if label not in TEST_NAMES] or files
    if not files:
        return []
    there = sorted({label or "train" for label in labels})
    raise UserError(f"data.split must be one of {', '.join(there)} for {str(folder)!r}; got {split!r}")


def _split_folders(folder: Path) -> dict[str, str]:
    """Folders of pictures below one metadata file of an imagefolder, and the splits that they are named after."""
    if not any((folder / (METADATA + ending)).is_file() for ending in FORMATS):
        return {}
    below = sorted(f for f in folder.iterdir() if f.is_dir() and not f.name.startswith("."))
    return {f.name: split for f in below if (split := _keyword(f.name)) and not _data_files(f)}


def _of_split(whole: Iterable[Any], split: str, inside: Mapping[str, str]) -> Iterator[Any]:
    """The rows of one metadata file whose pictures lie in the split's folder (those in no split's are for training)."""
    for row in whole:
        names = [v for k, v in row.items() if str(k).endswith("file_name") and v] if isinstance(row, Row) else []
        first = Path(str(names[0])).parts[0] if names else ""
        if same_split(inside.get(first, "train"), split) or not names:
            yield row


def _saved(place: Path, split: str) -> Table:
    import datasets

    try:
        data = datasets.load_from_disk(str(place))
    except (OSError, ValueError) as error:
        raise UserError(f"data.path: {str(place)!r} is not a readable saved data set ({str(error)[:120]})") from None
    return _dataset_rows(data, split, str(place))


def _hub(path: str, split: str, subset: str | None) -> Table:
    import datasets
    from huggingface_hub.errors import HfHubHTTPError

    try:
        data = datasets.load_dataset(path, subset, split=split)
    except (OSError, ValueError, HfHubHTTPError) as error:
        reason = str(error).split("\n")[0][:160]
        raise UserError(f"data.path: {path!r} is no local file or folder, and not loadable from the Hub ({reason})") from None
    return _dataset_rows(data, split, path)


def _dataset_rows(data: Any, split: str, name: str) -> Table:
    import datasets

    if isinstance(data, datasets.DatasetDict):
        if split not in data:
            raise UserError(f"data.split must be one of {', '.join(data)} for {name!r}; got {split!r}")
        data = data[split]
    elif not same_split(split, "train") and split != str(data.split):
        raise UserError(f"data.split must be train for {name!r}, which has no splits; got {split!r}")
    data = _undecoded(data)

    def each() -> Iterator[Row]:
        number = 0
        while number < len(data):
            try:
                for value in data.select(range(number, len(data))) if number else data:
                    row = Row(value)
                    row.again = lambda columns, number=number: data.select_columns(list(columns))[number]
                    yield row
                    number += 1
            except (ValueError, OverflowError) as error:  # a value that Python cannot have
                yield BadLine(f"a value cannot be read ({str(error)[:120]})")
                number += 1

    return Table(each(), len(data))


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


def test_split(path: str, subset: str | None = None) -> str | None:
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
            splits = {_label(f, place) for f in _data_files(place)} | set(_split_folders(place).values())
            splits = splits if splits - set(TEST_NAMES) else set()  # a folder that is nothing but a test set
    elif place.suffix.lower() in FORMATS or path.startswith((".", "/", "~")) or path.count("/") > 1:
        return None
    else:
        splits = _hub_splits(path, subset)
    ranked = [(TEST_NAMES.index(label), name != label, name) for name in splits if (label := _keyword(name)) in TEST_NAMES]
    return min(ranked)[2] if ranked else None


@lru_cache(maxsize=16)
def _hub_splits(path: str, subset: str | None) -> tuple[str, ...]:
    import datasets
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return tuple(datasets.get_dataset_split_names(path, subset))
    except (OSError, ValueError, HfHubHTTPError):
        return ()  # loading it says what is wrong


def download(hub_id: str) -> Path:
    """The files of a Hub data set in the local cache. Raises `UserError`."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(snapshot_download(hub_id, repo_type="dataset"))
    except (OSError, ValueError, HfHubHTTPError) as error:
        reason = str(error).split("\n")[0][:160]
        raise UserError(f"data.path: {hub_id!r} is no local folder, and not loadable from the Hub ({reason})") from None
