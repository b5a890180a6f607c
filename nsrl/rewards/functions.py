"""A user's function, named `file.py:function` by a key: the one place that looks such files up."""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import json
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from nsrl.errors import UserError, did_you_mean


def function_of(spec: str, key: str) -> tuple[str, Callable[..., Any]]:
    """(name, function) of `file.py:function`. key: the key that names it. Raises `UserError` that begins with it."""
    path, _, name = spec.rpartition(":")
    return name, _from_file(Path(path).expanduser(), name, spec, key)


def one_argument(spec: str, key: str) -> tuple[str, Callable[..., Any]]:
    """(name, function) of `file.py:function` that is called with one argument. Raises `UserError`."""
    if ":" not in spec:
        raise UserError(f"{key} must name file.py:function; got {spec!r}")
    name, function = function_of(spec, key)
    try:
        inspect.signature(function).bind(None)
    except (TypeError, ValueError):
        raise UserError(f"{key}: {name!r} must be a function of one argument (from {spec!r})") from None
    return name, function


def shape_functions(specs: Sequence[str]) -> dict[str, Callable[..., Any]]:
    """The functions of `shape_funcs` by name. Raises `UserError`."""
    pairs = [one_argument(spec, "shape_funcs") for spec in specs]
    if len(dict(pairs)) != len(pairs):
        raise UserError(f"shape_funcs must have different names; got {', '.join(name for name, _ in pairs)}")
    return dict(pairs)


@contextlib.contextmanager
def exit_named(what: str) -> Iterator[None]:
    """A function that ends the process would end the run without a word."""
    try:
        yield
    except SystemExit as error:
        raise UserError(f"{what} called sys.exit({'' if error.code is None else repr(error.code)})") from error


def _from_file(path: Path, name: str, spec: str, key: str) -> Callable[..., Any]:
    if not path.is_file():
        raise UserError(f"{key}: no file {str(path)!r} (from {spec!r})")
    if path.suffix != ".py":
        raise UserError(f"{key}: {str(path)!r} is not a Python file (from {spec!r})")
    about = path.stat()
    try:
        module = _module(path.resolve(), about.st_mtime_ns, about.st_size)
    except UserError as error:
        raise UserError(f"{key}: {error}") from error.__cause__
    function = getattr(module, name, None)
    if not callable(function):
        near = did_you_mean(name, [n for n, value in vars(module).items() if inspect.isfunction(value)])
        raise UserError(f"{key}: {path.name} has no function {name!r} (from {spec!r}){near}")
    return function


@lru_cache
def _module(path: Path, changed: int, size: int) -> ModuleType:
    """A user's file, run once however often it is asked for. What it raises is told with its line: the file is
    input."""
    spec = importlib.util.spec_from_file_location(f"nsrl_reward_{path.stem}", path)
    assert spec is not None and spec.loader is not None  # a path that ends in .py has a loader
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
        line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
        told = " ".join((error.msg if isinstance(error, SyntaxError) else str(error)).split())
        place = f" line {line}" if line else ""
        raise UserError(f"{str(path)!r}{place} cannot be run: {type(error).__name__}: {told}") from error
    return module


def through_json(what: str, values: Any) -> Any:
    """A copy of what `what` remembers. Raises `UserError` for what JSON would bring back as something else."""
    try:
        back = json.loads(json.dumps(values, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise UserError(f"{what}: what it remembers must be JSON, to be saved with the run; {error}") from None
    if back != values:
        raise UserError(
            f"{what}: what it remembers must come back from JSON as it was (text as keys, lists for tuples)"
        )
    return back
