"""Paths that a user says, and a user's function in a Python file, `file.py:function`: how a configuration names one,
and how it is taken.

Whatever key names a function takes it by `load`: rewards, verifiers, `combine`, shape functions, prompts of contexts. A
file is looked up beside the YAML file that names it first (`beside`), then from the working directory, so that a
recipe's files lie together anywhere; so are the texts of `prompt`. Stdlib only.
"""

from __future__ import annotations

import importlib.util
import inspect
import os
import re
import traceback
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from nsrl.errors import UserError, did_you_mean

TEXTS = (".prompt.system", ".prompt.examples")  # keys whose value is a file with a text, also in stages and contexts
_NAMED = re.compile(r"([^\n:]+\.py):([A-Za-z_]\w*)")


def expanded(path: str | Path) -> Path:
    """The path with `~` spelled out. Raises `UserError` for `~name` where no user of this machine has that name."""
    whole = Path(os.path.expanduser(path))
    if str(whole).startswith("~"):
        raise UserError(f"a path may begin with ~, or with ~name of a user of this machine; got {str(path)!r}")
    return whole


def beside(said: Any, home: Path, key: str = "") -> Any:
    """What a file in the folder `home` says (a text, or lists and mappings of texts), with every `file.py:function`
    and every file of `TEXTS` that lies there as a path from the root; what does not stays as it is. key: whose value
    it is, dotted."""
    if isinstance(said, Mapping):
        return {name: beside(value, home, f"{key}.{name}") for name, value in said.items()}
    if isinstance(said, list | tuple):
        return [beside(value, home, key) for value in said]
    if isinstance(said, str) and key.endswith(TEXTS):
        own = home / said  # no ~ of the user's: what is no file beside stays as it was said
        return str(own.absolute()) if own.is_file() else said
    if isinstance(said, str) and (found := _NAMED.fullmatch(said)):
        own = home / expanded(found[1])
        if own.is_file():
            return f"{own.absolute()}:{found[2]}"
    return said


def load(spec: str, key: str) -> tuple[str, Any]:
    """(name, function) of `file.py:function`; key: what names it. Raises `UserError`, which begins with the key."""
    file, _, name = spec.rpartition(":")
    path = expanded(file)
    if not path.is_file():
        raise UserError(f"{key}: no file {str(path)!r} (from {spec!r})")
    if path.suffix != ".py":
        raise UserError(f"{key}: {str(path)!r} is not a Python file (from {spec!r})")
    about = path.stat()
    try:
        module = _module(path.resolve(), about.st_mtime_ns, about.st_size)
    except UserError as error:
        raise UserError(f"{key}: {error}") from error
    function = getattr(module, name, None)
    if not callable(function):
        near = did_you_mean(name, [n for n, value in vars(module).items() if inspect.isfunction(value)])
        raise UserError(f"{key}: {path.name} has no function {name!r} (from {spec!r}){near}")
    return name, function


@lru_cache
def _module(path: Path, changed: int, size: int) -> ModuleType:
    """A user's file, run once however often it is asked for. What it raises is told with its line: the file is
    input."""
    spec = importlib.util.spec_from_file_location(f"nsrl_user_{path.stem}", path)
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
