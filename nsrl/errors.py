"""This says what a user did wrong: errors that are one sentence, the end a user may ask for, the nearest name. Stdlib
only; nothing of nsrl is imported.

A `UserError` is bad input: commands print its one sentence and exit with code 2. Anything else that is raised is a bug
of ours and stops the run with its traceback.
"""

import difflib
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import NoReturn

# What `pip install nsrl` alone does not bring, by the name it is imported under: the extra `train` of pyproject.toml.
TRAIN_EXTRA = {
    "PIL", "datasets", "jinja2", "math_verify", "matplotlib", "mpmath", "numpy", "peft", "pyarrow", "rich",
    "safetensors",
    "sympy", "tokenizers", "transformers", "yaml",
}  # fmt: skip


class UserError(Exception):
    """Bad input, said in one sentence: which argument, what was expected, what came."""


class MissingBackend(UserError):
    """A backend was asked for by name and is not installed here."""


def program(command: str) -> str:
    """What the user started this command as: by the script `nsrl`, or as a module."""
    return sys.argv[0] if sys.argv[0].startswith("nsrl ") else f"python -m nsrl.{command}"


def did_you_mean(name: str, names: Iterable[str], cutoff: float = 0.6) -> str:
    """The end of a sentence that offers the nearest name, empty where none is near."""
    near = difflib.get_close_matches(name, list(names), 1, cutoff)
    return f"; did you mean {near[0]!r}?" if near else ""


@contextmanager
def sigterm_raises(words: str) -> Iterator[None]:
    """SIGTERM ends what stands below as an exception does: by `Terminated` with these words, once, for the end is then
    being written. Python takes signals in the main thread alone; elsewhere nothing changes."""

    def end(*_: object) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Terminated(words)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


@contextmanager
def extras_named() -> Iterator[None]:
    """An absent package of the extra `train` becomes a `UserError` that says how to install it.

    Any other missing module goes on up: one of ours, and one that a package of the extra lacks although it is
    installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in TRAIN_EXTRA or find_spec(package) is not None:
            raise
        raise _without([package]) from error


def require_extra() -> None:
    """Raises `UserError` where packages of the extra `train` are absent, before anything heavy is imported."""
    absent = sorted(name for name in TRAIN_EXTRA if find_spec(name) is None)
    if absent:
        raise _without(absent)


def _without(absent: list[str]) -> UserError:
    packages = f"package{'s' if len(absent) > 1 else ''} {', '.join(absent)}"
    return UserError(f"this needs the Python {packages}, which the extra `train` brings: pip install 'nsrl[train]'")


class Terminated(BaseException):
    """SIGTERM arrived: commands print the sentence and exit with code 143."""
