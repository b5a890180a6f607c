"""The run folder says what is in it, who may write to it, and what is said when its disk is full."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import importlib.metadata
import json
import os
import platform
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from nsrl.config import TrainConfig, to_yaml
from nsrl.engines.result import writable
from nsrl.errors import UserError
from nsrl.userfiles import expanded

PACKAGES = ("torch", "triton", "transformers", "peft", "tokenizers", "sympy", "numpy", "pillow", "vllm", "liger-kernel")
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # no room on the disk, in the quota, under the limit on a file's size
CONFIG, LOCK = "config.yaml", ".lock"
SETTINGS = b"nsrl.settings"  # the key in a parquet file's metadata
WORKING = f".{'[0-9a-f]' * 16}.tmp"  # pattern of `beside`
# What a run makes in its folder; whatever else lies there is the user's and is never touched.
OURS = (CONFIG, "config-*.yaml", "metrics.jsonl", "metrics.tmp", "completions", "eval", "preflight.json", "reference",
        "checkpoint-*", "latest", "summary.json", "report.html", "report.html.tmp", "plots", "tensorboard", "wandb",
        LOCK, WORKING)  # fmt: skip
HOLDS = "process "  # what a lock file of ours begins with


class RunFolder:
    """`output_dir`: config.yaml, metrics.jsonl, completions/, eval/, checkpoint-*/, latest, summary.json, report.html.

    writes: False on all ranks but the main one. `claim` before anything is written, `release` at the end.
    """

    def __init__(self, path: Path, writes: bool = True) -> None:
        self.path = path
        self.writes = writes
        self._lock: Any = None
        self._made: list[Path] = []  # folders that were not there, outermost first
        self._found: set[str] = set()  # what was
        self.copied: set[str] | None = None  # evaluations, while nothing but copies from another run's folder is here

    def look(self, config: TrainConfig) -> None:
        """Raise `UserError` for what `claim` would refuse, as far as a few looks tell; nothing is written."""
        with self._explained():
            nearest = next(p for p in (self.path, *self.path.parents) if os.path.lexists(p))
            if not nearest.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            if not os.access(nearest, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            if nearest != self.path:
                return
            if (self.path / LOCK).is_file():
                with (self.path / LOCK).open() as file:
                    self._lock_file(file, fcntl.LOCK_SH)
            self._require_free(config)

    def claim(self, config: TrainConfig) -> None:
        """Make the folder, lock it until `release`, and write a new run's config.yaml.

        The lock ends with its process, however that ends. Raises `UserError` for a folder that cannot be written, that
        another process writes to, that holds a run which is not to be continued, or something of the user's under a
        name that a run writes.
        """
        if not self.writes:
            return
        resuming = config.resume or config.resume_from_checkpoint is not None
        with self._explained():
            missing = [p for p in (self.path, *self.path.parents) if not p.exists()]
            self.path.mkdir(parents=True, exist_ok=True)
            self._made = missing[::-1]
            self._found = set(os.listdir(self.path))
            self._require_free(config)
            self._take_lock()
            self._require_free(config)  # again: another run may have come and gone
            if not resuming:
                write(self.path / CONFIG, to_yaml(config) + _versions_yaml())
                (self.path / "preflight.json").unlink(missing_ok=True)  # of a start that never came to its first step

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """What the system refuses becomes one sentence; whatever is refused, nothing stays behind."""
        try:
            yield
        except OSError as error:
            self.abandon()
            raise UserError(
                f"output_dir must be a folder that can be written; {str(self.path)!r}: {error.strerror}"
            ) from None
        except UserError:
            self.abandon()
            raise

    def _require_free(self, config: TrainConfig) -> None:
        """Raise `UserError` where a run that is not to be continued is here, or something of the user's in a run's way.

        A lock file tells a folder in which a run was started before; an empty folder is in nobody's way.
        """
        given = config.resume_from_checkpoint
        if (config.resume and given is None) or (
            given is not None and expanded(given).resolve().parent == self.path.resolve()
        ):
            return  # the run that is here goes on
        lock = self.path / LOCK
        if not (lock.is_file() and lock.read_text(errors="replace").startswith(HOLDS)):
            taken = sorted({p.name for pattern in OURS for p in self.path.glob(pattern) if not _is_empty_folder(p)})
            if taken and not (self.has_begun() and (given is None or (self.path / CONFIG).is_file())):
                more = f" and {len(taken) - 3} more" if len(taken) > 3 else ""
                raise UserError(f"output_dir {str(self.path)!r} holds {', '.join(taken[:3])}{more}, which a run would "
                                f"write over, "
                                "and is not the folder of a run; name another folder")  # fmt: skip
        if given is None and self.has_begun():
            raise UserError(
                f"output_dir {str(self.path)!r} already holds a run; continue it with --resume or name another folder"
            )

    def has_begun(self) -> bool:
        """Whether something of a run is here that a new run would overwrite: a step, a checkpoint or a summary."""
        rows = self.path / "metrics.jsonl"
        return (rows.is_file() and rows.stat().st_size > 0) or any(
            os.path.lexists(self.path / name) for name in ("latest", "summary.json")
        )

    def evaluations(self) -> set[str]:
        """Names of the evaluations that are here."""
        return {file.name for file in self.path.glob("eval/*.json")}

    def release(self) -> None:
        """Let other processes write here."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def abandon(self) -> None:
        """After a start that failed: remove what it made or copied (nothing else), unless there is a result among
        it."""
        measured = self.evaluations() - (self.copied or set())
        if self.writes and self.path.is_dir() and (self.copied is not None or not self.has_begun()) and not measured:
            mine = {p for pattern in OURS for p in self.path.glob(pattern) if p.name not in self._found}
            if self._lock is None:  # another process has the folder
                mine = set()
            for path in mine:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
            for folder in reversed(self._made):
                with contextlib.suppress(OSError):  # the user has put something in
                    folder.rmdir()
        self.release()

    def _take_lock(self) -> None:
        file = (self.path / LOCK).open("a+")
        self._lock_file(file, fcntl.LOCK_EX)
        self._lock = file
        file.truncate(0)
        file.write(f"{HOLDS}{os.getpid()} on {socket.gethostname()}\n")
        file.flush()

    def _lock_file(self, file: TextIO, how: int) -> None:
        try:
            fcntl.flock(file, how | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            owner = file.read().strip() or "another process"
            file.close()
            raise UserError(
                f"output_dir {str(self.path)!r} is being written by {owner}; wait for it or name another folder"
            ) from None

    def write_json(self, name: str, value: Any) -> None:
        """A JSON file of this name, whole or not at all; nothing on ranks that do not write."""
        if self.writes:
            (self.path / name).parent.mkdir(exist_ok=True)
            write(self.path / name, json.dumps(value, indent=1, ensure_ascii=False) + "\n")

    def read_json(self, name: str) -> Any | None:
        """What `write_json` wrote under this name; None where there is no such file."""
        path = self.path / name
        return json.loads(path.read_text()) if path.exists() else None

    def write_records(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Completions as a parquet file of this name, one row each."""
        if self.writes:
            write_parquet(self.path / name, rows)


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and not any(path.iterdir())


def write_parquet(path: Path, rows: list[dict[str, Any]], settings: dict[str, Any] | None = None) -> None:
    """A table of the rows, whole or not at all. A lone surrogate, in a data set's text too, becomes U+FFFD.

    settings: what they were made with, kept as JSON in the file's metadata (`settings_of`).
    """
    import pyarrow
    from pyarrow import parquet

    path.parent.mkdir(exist_ok=True)
    rows = [{k: writable(v) if isinstance(v, str) else v for k, v in row.items()} for row in rows]
    table = pyarrow.Table.from_pylist(rows)
    with replacing(path) as working:
        parquet.write_table(
            table if settings is None else table.replace_schema_metadata({SETTINGS: json.dumps(settings)}), working
        )


def settings_of(path: Path) -> dict[str, Any] | None:
    """The settings in a table's metadata; None where it has none."""
    from pyarrow import ArrowInvalid, parquet

    try:
        kept = (parquet.read_schema(path).metadata or {}).get(SETTINGS)
    except ArrowInvalid:  # not a table of ours, whatever its name says
        return None
    return json.loads(kept) if kept is not None else None


def check_writable(path: Path, option: str) -> None:
    """Raise `UserError` unless a file can be written at `path`: asked before the work whose result goes there.

    What is there already must be a regular file that may be written, or a link to one: anything else (a device, a pipe)
    would be replaced by ours.
    """
    try:
        target = Path(os.path.realpath(path))
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        if os.path.lexists(target) and not target.is_file():
            raise OSError(errno.EINVAL, "it is not a regular file")
        if target.exists() and not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        probe = beside(target)
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise UserError(f"{option} must be a file that can be written; {str(path)!r}: {error.strerror}") from None


@contextlib.contextmanager
def disk_watched(
    folder: Path, rest: str = "what was saved before is intact: --resume continues from it"
) -> Iterator[None]:
    """Turn a disk that is full into one sentence with the disk, the folder and the `rest`. Other errors pass."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        place = Path(error.filename).resolve() if isinstance(error.filename, str) else folder.resolve()
        raise UserError(f"{_why_full(place, error)}; {rest}") from error


def _why_full(path: Path, error: OSError) -> str:
    folder = next(p for p in (path, *path.parents) if p.is_dir())
    mount = next(p for p in (folder, *folder.parents) if os.path.ismount(p))
    usage = shutil.disk_usage(folder)
    what = os.strerror(error.errno or errno.ENOSPC)
    free = f"{usage.free / 2**20:.0f} of {usage.total / 2**20:.0f} MiB free"
    return f"cannot write to {str(folder)!r} on the disk mounted at {str(mount)!r} ({free}): {what}"


@contextlib.contextmanager
def locked(folder: Path, by: str) -> Iterator[None]:
    """The folder, which is made, while nobody else has it so. Raises `UserError` where another one has, or it cannot be
    written; by: what each of them is."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("w")
    except OSError as error:
        raise UserError(f"folder must be one that can be written; {str(folder)!r}: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"folder {str(folder)!r} is being written by another {by}; wait for it") from None
        yield


def write(path: Path, text: str) -> None:
    """Write a small file whole or not at all."""
    with replacing(path) as working:
        working.write_text(writable(text), encoding="utf-8")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write, which then takes the place of `path` (of what it leads to, where it is a link) or is removed."""
    target = Path(os.path.realpath(path))
    working = beside(target)
    try:
        yield working
        os.replace(working, target)
    finally:
        working.unlink(missing_ok=True)


def beside(path: Path) -> Path:
    """A name in the folder of `path` that nobody else uses."""
    return path.with_name(f".{secrets.token_hex(8)}.tmp")


def versions() -> dict[str, str]:
    """What the run runs on: Python, packages, the commit of the source tree when it is one."""
    found = {"python": platform.python_version(), "nsrl": _version("nsrl") or "source"}
    found |= {name: version for name in PACKAGES if (version := _version(name))}
    if shutil.which("git"):
        command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
        git = subprocess.run(command, capture_output=True, text=True)
        if git.returncode == 0:
            found["commit"] = git.stdout.strip()
    return found


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _versions_yaml() -> str:
    return "# written before the first step, with:\n" + "".join(f"#   {k}: {v}\n" for k, v in versions().items())
