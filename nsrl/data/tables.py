"""Rows of data files: JSON, JSON lines, CSV, parquet, saved HF data sets and the Hub. One broken line costs one row.

A row is a mapping of columns; what makes it a problem is `rows`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nsrl.data import csvs, jsons
from nsrl.data.names import FILE_NAME, PICTURES, TEST_NAMES, same_split, split_of, split_of_path
from nsrl.errors import UserError
from nsrl.userfiles import expanded

FORMATS = {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "csv", ".parquet": "parquet"}
METADATA = "metadata"  # the stem of HF imagefolder's own files: pictures stand beside them, named by file_name columns
_PACKED = {  # how files begin that are something else than their names say
    b"\x1f\x8b": "gzip, so it must be unpacked first",
    b"PK\x03\x04": "a zip archive or a spreadsheet, so it must be unpacked or saved as CSV first",
    b"BZh": "bzip2, so it must be unpacked first",
    b"\xfd7zXZ": "xz, so it must be unpacked first",
    b"\x28\xb5\x2f\xfd": "zstandard, so it must be unpacked first",
    b"PAR1": "parquet, so its name must end in .parquet",
}
BATCH_ROWS, BATCH_BYTES = 256, 32 << 20  # of a parquet file decoded at a time
_ONE_READER = threading.Lock()


@dataclass(frozen=True)
class BadLine:
    """A line of a file that is no row."""

    detail: str


class Row(dict[str, Any]):
    """The columns of a row.

    folder: where its relative paths start from; again: reads columns of it anew, so that a picture inside a row need
    not be held in memory (None: it cannot be); metadata: it names its pictures as HF's imagefolder does; groups,
    pictured: of a problem's `groups` and `options_pictured`.
    """

    folder: Path | None = None
    again: Callable[[Sequence[str]], Mapping[str, Any]] | None = None
    metadata: bool = False
    groups: Mapping[str, str] = MappingProxyType({})
    pictured: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of a data set, in order. total: how many, about (None: not known before they are read); origin: in words."""

    rows: Iterable[Mapping[str, Any] | BadLine | Any]
    total: int | None = None
    origin: str = ""


def rows(file: Path) -> Iterator[Any]:
    """The rows of a data file by its ending: `Row`, `BadLine`, or what else stands there. `UserError` if unreadable."""
    kind = FORMATS.get(file.suffix.lower())
    if kind is None:
        raise UserError(f"data.path must end in {', '.join(FORMATS)}; got {file.name!r}")
    if not file.is_file():
        raise UserError(f"data.path: no file {str(file)!r}")
    with file.open("rb") as data:
        start = data.read(6)
    for magic, what in _PACKED.items() if kind != "parquet" else ():
        if start.startswith(magic):
            raise UserError(f"data.path: {file.name!r} is {what}")
    if kind == "jsonl" and (start[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in start[:2]):
        raise UserError(f"data.path: {file.name!r} must be UTF-8; it begins as UTF-16 or UTF-32 does: save it as UTF-8")
    for row in {"json": _json, "jsonl": _jsonl, "csv": _csv, "parquet": _parquet}[kind](file):
        if isinstance(row, Row):
            row.folder, row.metadata = file.parent, file.stem == METADATA
        yield row


def table(files: Sequence[Path]) -> Table:
    """The rows of several files one after the other."""
    names = ", ".join(f.name if f.stem != METADATA else f"{f.parent.name}/{f.name}" for f in files[:4])
    return Table(
        (row for file in files for row in rows(file)),
        _total(files),
        names + (f" and {len(files) - 4} more" if files[4:] else ""),
    )


def renamed(whole: Table, names: Mapping[str, str]) -> Table:
    """The table with the columns `names` (role to column) called by their roles. Raises `UserError` where one is
    absent."""
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
                raise UserError(
                    f"data.columns must name columns of the data set ({', '.join(map(str, row))}); got {absent[0]!r}"
                )
            checked = True
            fresh = Row(named(row))
            fresh.folder, fresh.metadata = row.folder, row.metadata
            if row.again is not None:
                fresh.again = lambda columns, again=row.again: named(again([back.get(c, c) for c in columns]))
            yield fresh

    return Table(each(), whole.total, whole.origin)


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
        elif 2 * sum(isinstance(v, dict) for v in value.values()) > len(value):  # {id: row}, of which some may be bad
            value = [{"id": k, **v} if isinstance(v, dict) else v for k, v in value.items()]
        elif value:
            value = [value]
    if isinstance(value, jsons.Refused):
        raise UserError(f"data.path: {file.name!r} cannot be read: {value.why}")
    if not isinstance(value, list | dict):
        raise UserError(f"data.path: {file.name!r} must hold a list of rows; got {type(value).__name__}")
    for row in value:
        yield Row(row) if isinstance(row, dict) else row


def _csv(file: Path) -> Iterator[Row | BadLine]:
    for _, record in csvs.records(file):
        yield BadLine(record) if isinstance(record, str) else Row(record)


def _parquet(file: Path) -> Iterator[Row | BadLine]:
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(file, memory_map=True) as table:
            names = table.schema_arrow.names
            if twice := [name for name in names if names.count(name) > 1]:
                raise UserError(
                    f"data.path: {file.name!r} must name each column once; got {twice[0]!r} {len(twice)} times"
                )
            narrow = _narrow(table.schema_arrow)
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
                        row = Row(_shortest(value, narrow))
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


def _narrow(schema: Any) -> dict[str, str]:
    """NumPy's names of the types narrower than Python's floats that are in the columns of an Arrow schema."""
    found = {}
    for column in schema:
        inner, left = [column.type], [column.type]
        while left:
            kind = left.pop()
            fields = [kind.field(i).type for i in range(kind.num_fields)]
            inner, left = inner + fields, left + fields
        for kind, name in (("halffloat", "float16"), ("float", "float32")):
            if kind in map(str, inner):
                found[column.name] = name
    return found


def _shortest(row: Mapping[str, Any], narrow: Mapping[str, str]) -> Mapping[str, Any]:
    """The row with floats of narrow types as what their shortest text says: 0.1, not 0.10000000149011612."""
    if not narrow:
        return row
    import numpy

    def short(value: Any, kind: Any) -> Any:
        if isinstance(value, float):
            return float(str(kind(value)))
        if isinstance(value, Mapping):
            return {k: short(v, kind) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(short(v, kind) for v in value)
        return value

    return dict(row) | {column: short(row[column], getattr(numpy, name)) for column, name in narrow.items()}


def _parquet_again(file: Path, group: int, number: int, columns: Sequence[str]) -> Mapping[str, Any]:
    """Columns of one row. Parquet is decoded page by page, and a page may be a whole row group: one reader at a
    time."""
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
    place = expanded(path)
    if place.is_file():
        return table([place]), place.parent
    if place.is_dir():
        if (place / "dataset_dict.json").exists() or (place / "state.json").exists():
            return _saved(place, split), place
        files = _files(place, split)
        if files:
            whole = table(files)
            inside = _split_folders(place)
            return Table(_of_split(whole.rows, split), None, f"{whole.origin} ({split})") if inside else whole, place
        if any(file.suffix.lower() in PICTURES for file in place.rglob("*")):
            raise UserError(
                f"data.path: folder {path!r} holds pictures but no questions; an image folder needs a metadata.csv, "
                f".jsonl "
                "or .parquet with the columns file_name, question and answer (folders named after classes have none)"
            )
        raise UserError(
            f"data.path: folder {path!r} holds no json, jsonl, csv or parquet file for split {split!r}, and no saved "
            f"data set"
        )
    if place.exists():
        raise UserError(
            f"data.path must be a file, a folder or a Hub id; {path!r} is none of them but a pipe, a device or the like"
        )
    if is_local(path):
        raise UserError(f"data.path: {path!r} does not exist")
    return _hub(path, split, subset), None


def is_local(path: str) -> bool:
    """Whether this can be a file or folder only, and no Hub id."""
    return Path(path).suffix.lower() in FORMATS or path.startswith((".", "/", "~")) or path.count("/") > 1


def visible(folder: Path, pattern: str) -> list[Path]:
    """Files below a folder, sorted, without the hidden ones that systems leave there (`._data.csv`, `__MACOSX`)."""
    found = (f for f in folder.glob(pattern) if not any(p.startswith((".", "__")) for p in f.relative_to(folder).parts))
    return sorted(f for f in found if f.is_file())


def _data_files(folder: Path) -> list[Path]:
    files = visible(folder, "**/*")
    return [f for f in files if f.suffix.lower() in FORMATS and f.name not in ("dataset_info.json", "config.json")]


def _files(folder: Path, split: str) -> list[Path]:
    """Data files of a folder: those named after the split; for training else all that are not another split's.

    Raises `UserError` for another split that nothing is named after.
    """
    files = _data_files(folder)
    labels = [split_of_path(f.relative_to(folder)) for f in files]
    inside = _split_folders(folder)
    if inside:
        labels = sorted(inside)
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


def _split_folders(folder: Path) -> set[str]:
    """The splits that folders of pictures, however deep below one metadata file of an imagefolder, are named after.

    `train` is for pictures in no such folder, if there are any.
    """
    if not any((folder / (METADATA + ending)).is_file() for ending in FORMATS):
        return set()
    own = {f.parent for f in _data_files(folder)} - {folder}
    pictures = {f.parent for f in visible(folder, "**/*") if f.suffix.lower() in PICTURES}
    found = {_split_of_folders(p.relative_to(folder)) or "train" for p in pictures if own.isdisjoint((p, *p.parents))}
    return found if found - set(TEST_NAMES) and len(found) > 1 else set()


def _split_of_folders(inside: Path) -> str:
    """The split that the nearest of a picture's folders is named after."""
    return next(filter(None, map(split_of, reversed(inside.parts))), "")


def _of_split(whole: Iterable[Any], split: str) -> Iterator[Any]:
    """The rows of one metadata file whose pictures lie in the split's folders (those in no split's are for
    training)."""
    for row in whole:
        names = (
            [v for k, v in row.items() if FILE_NAME.fullmatch(str(k).strip().lower()) and v]
            if isinstance(row, Row)
            else []
        )
        first = names[0][0] if names and isinstance(names[0], list) else names[0] if names else None
        if first is None or same_split(_split_of_folders(Path(str(first)).parent) or "train", split):
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
        raise UserError(
            f"data.path: {path!r} is no local file or folder, and not loadable from the Hub ({reason})"
        ) from None
    return _dataset_rows(data, split, path)


def _dataset_rows(data: Any, split: str, name: str) -> Table:
    import datasets

    if isinstance(data, datasets.DatasetDict):
        if split not in data:
            raise UserError(f"data.split must be one of {', '.join(map(str, data))} for {name!r}; got {split!r}")
        data = data[split]
    elif not same_split(split, "train") and split != str(data.split):
        raise UserError(f"data.split must be train for {name!r}, which has no splits; got {split!r}")
    data = _undecoded(data)
    narrow = _narrow(data.features.arrow_schema)

    def each() -> Iterator[Row | BadLine]:
        number = 0
        while number < len(data):
            try:
                for value in data.select(range(number, len(data))) if number else data:
                    row = Row(_shortest(value, narrow))
                    row.again = lambda columns, number=number: data.select_columns(list(columns))[number]
                    yield row
                    number += 1
            except (ValueError, OverflowError) as error:  # a value that Python cannot have
                yield BadLine(f"a value cannot be read ({str(error)[:120]})")
                number += 1

    return Table(each(), len(data), f"split {data.split or split}")


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
    place = expanded(path)
    if place.is_file():
        return None
    if place.is_dir():
        if (place / "dataset_dict.json").exists():
            splits = json.loads((place / "dataset_dict.json").read_text()).get("splits", [])
        elif (place / "state.json").exists():
            return None
        else:
            splits = {split_of_path(f.relative_to(place)) for f in _data_files(place)} | _split_folders(place)
            splits = splits if splits - set(TEST_NAMES) else set()  # a folder that is nothing but a test set
    elif place.exists() or is_local(path):
        return None
    else:
        splits = _hub_splits(path, subset)
    ranked = [
        (TEST_NAMES.index(label), name != label, name) for name in splits if (label := split_of(name)) in TEST_NAMES
    ]
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
