"""A checkpoint is written whole or not at all, and transformers, peft and vLLM load it with no merge step.

A checkpoint is written beside its place, every file fsynced, then renamed; `latest` is a link that is replaced in one
step. So a run killed at any moment leaves the previous checkpoint in force.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import re
import shutil
from collections.abc import Callable, Set
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from nsrl.errors import UserError
from nsrl.trainer.folder import FULL, WORKING, beside

STATE = "trainer_state.json"
TENSORS = "trainer_state.pt"


def name_of(phase: str, step: int) -> str:
    """`checkpoint-120` of GRPO, `checkpoint-warm-start-600` of another stage."""
    return f"checkpoint-{'' if phase == 'grpo' else phase.replace('_', '-') + '-'}{step}"


def save(
    run_dir: Path,
    name: str,
    write_model: Callable[[Path], None],
    state: dict[str, Any],
    tensors: dict[str, Any],
    keep: int | None = None,
    spare: str | None = None,
) -> Path:
    """Write checkpoint `name` and point `latest` at it.

    write_model: writes weights, config and tokenizer into the folder; state: JSON-able (phase, step, data position);
    tensors: what torch.save takes (optimizer, scheduler, random state); keep: older checkpoints beyond so many are
    deleted, after the new one is in force; spare: the name of one that is not, and does not count. A disk that is full
    raises its own `OSError`, and leaves what was there.
    """

    def fill(folder: Path) -> None:
        write_model(folder)
        with (folder / TENSORS).open("wb") as file:  # not a path: torch would lose what the disk said
            torch.save(tensors, file)
        sizes = {str(p.relative_to(folder)): p.stat().st_size for p in sorted(folder.rglob("*")) if p.is_file()}
        (folder / STATE).write_text(json.dumps({**state, "files": sizes}, indent=1) + "\n")

    final = run_dir / name
    write_folder(final, fill)
    point(run_dir / "latest", name)
    _fsync(run_dir)
    _prune(run_dir, {name, spare}, keep)
    return final


def write_folder(final: Path, fill: Callable[[Path], object]) -> None:
    """Write a folder whole or not at all: filled beside its place, fsynced, renamed. One that was there is replaced."""
    working = beside(final)
    working.mkdir()
    try:
        fill(working)
        for path in working.rglob("*"):
            if path.is_file():
                _fsync(path)
        _fsync(working)
    except (OSError, RuntimeError, SafetensorError) as error:
        shutil.rmtree(working, ignore_errors=True)  # makes room again
        number = _number_of(error)
        if number not in FULL or isinstance(error, OSError):
            raise
        raise OSError(number, os.strerror(number), str(working)) from error
    if final.exists():  # the same step again, after a resume from an older checkpoint
        shutil.rmtree(final)
    os.replace(working, final)


def load(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """State and tensors of a checkpoint. Raises `UserError` when it is not a whole one."""
    state = require_whole(folder)
    try:
        tensors = torch.load(folder / TENSORS, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError):
        raise UserError(f"checkpoint {str(folder)!r} is damaged: {TENSORS} cannot be read") from None
    return state, tensors


def require_whole(folder: Path) -> dict[str, Any]:
    """The state of a checkpoint. Raises `UserError` where a file is missing or has another size than it was written
    with."""
    path = folder / STATE
    if not folder.is_dir() or not path.is_file():
        raise UserError(
            f"checkpoint must be a folder with {STATE}; {str(folder)!r} has none (half-written, or not ours)"
        )
    try:
        state = json.loads(path.read_text())
        sizes = state["files"]
    except (ValueError, KeyError):
        raise UserError(f"checkpoint {str(folder)!r} is incomplete: {STATE} is cut off") from None
    for name, size in sizes.items():
        file = folder / name
        found = file.stat().st_size if file.is_file() else None
        if found != size:
            what = "is missing" if found is None else f"has {found} of {size} bytes"
            raise UserError(f"checkpoint {str(folder)!r} is incomplete: {name} {what}")
    return state


def kept(run_dir: Path) -> dict[Path, dict[str, Any]]:
    """The checkpoints of a run folder with their states: by name and by what is in them, so that no other folder is
    one."""
    found = {}
    for path in run_dir.glob("checkpoint-*"):
        if not path.is_symlink() and (path / STATE).is_file():
            with contextlib.suppress(ValueError):
                state = json.loads((path / STATE).read_text())
                # transformers' Trainer writes a file of this name too
                if isinstance(state, dict) and "files" in state and path.name == _called(state):
                    found[path] = state
    return found


def _called(state: dict[str, Any]) -> str:
    return name_of(str(state.get("phase", "grpo")), state.get("step", 0))


def latest(run_dir: Path) -> Path | None:
    """The checkpoint `latest` points at; None before the first.

    A copy that followed links has a folder there: that is the checkpoint with the same state. Raises `UserError`
    without one.
    """
    link = run_dir / "latest"
    if link.is_symlink() or not link.exists():
        return run_dir / os.readlink(link) if link.is_symlink() else None
    state = (link / STATE).read_bytes() if (link / STATE).is_file() else None
    for path in kept(run_dir):
        if (path / STATE).read_bytes() == state:
            return path
    raise UserError(f"{str(link)!r} must be a link to a checkpoint; it is a file or folder of its own, and no "
                    f"checkpoint beside it "
                    "has the same state; move it away (a checkpoint: to checkpoint-STEP), and --resume finds the "
                    "newest")  # fmt: skip


def point(link: Path, target: str) -> None:
    """Make `link` a link to its neighbour `target`, in one step. A copy of a checkpoint in its place (`latest`) goes
    away."""
    former = beside(link)
    if link.is_dir() and not link.is_symlink():
        os.replace(link, former)
    working = beside(link)
    working.symlink_to(target, target_is_directory=True)
    os.replace(working, link)
    shutil.rmtree(former, ignore_errors=True)


def _prune(run_dir: Path, stay: Set[str | None], keep: int | None) -> None:
    if keep is None:
        return
    done = sorted((p for p in kept(run_dir) if p.name not in stay), key=lambda p: (p / STATE).stat().st_mtime_ns)
    for old in done[: max(0, len(done) - max(keep - 1, 0))]:
        shutil.rmtree(old)
    for leftover in run_dir.glob(WORKING):  # of a process that was killed
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)


def _number_of(error: BaseException | None) -> int | None:
    """The errno of the system's error that torch's or safetensors' error stands for; None when there is none."""
    while error is not None and not isinstance(error, OSError):
        said = re.search(r"\(os error (\d+)\)", str(error)) if isinstance(error, SafetensorError) else None
        if said:
            return int(said.group(1))
        error = error.__context__
    return error.errno if error is not None else None


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
