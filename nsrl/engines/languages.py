"""The languages: names, delimiters, fences, versions, and how a worker reaches the engine of each. Stdlib only.

Engines are imported when they are first asked for, so that asking what exists costs nothing.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable
from typing import NamedTuple

from nsrl.engines.result import Limits, Result
from nsrl.errors import MissingBackend, UserError

LANGUAGES = ("nsl", "wolfram", "sympy")
OPEN = {language: f"<{language}>" for language in LANGUAGES}
CLOSE = {language: f"</{language}>" for language in LANGUAGES}
TOKENS = tuple(token for language in LANGUAGES for token in (OPEN[language], CLOSE[language]))


class Pair(NamedTuple):
    """What stands before and behind a program of a language."""

    language: str
    open: str
    close: str


TAGS = tuple(Pair(language, OPEN[language], CLOSE[language]) for language in LANGUAGES)

FENCES = {
    "nsl": "nsl", "wolfram": "wolfram", "mathematica": "wolfram", "wl": "wolfram", "wolframscript": "wolfram",
    "sympy": "sympy", "python": "sympy", "py": "sympy", "python3": "sympy",
}  # fmt: skip
NATIVE = ("nsl", "wolfram")  # run in a reused worker; `sympy` is forked for each program
KIND = {"nsl": "native", "wolfram": "native", "sympy": "python"}


def check_language(language: str) -> str:
    """`language` if it is one. Raises UserError."""
    if language not in LANGUAGES:
        raise UserError(f"language must be one of {', '.join(LANGUAGES)}; got {language!r}")
    return language


def present(language: str) -> bool:
    """Can this machine run programs of `language`? The algebra of all three is SymPy's."""
    if importlib.util.find_spec("sympy") is None:
        return False
    return language == "sympy" or (
        language in NATIVE and importlib.util.find_spec(f"nsrl.engines.{language}") is not None
    )


def require(language: str) -> None:
    """Raises MissingBackend with one sentence when the engine of `language` is not here."""
    check_language(language)
    if not present(language):
        without = importlib.util.find_spec("sympy") is None
        what = (
            "the package sympy is not installed (pip install 'nsrl[train]')"
            if without
            else "its evaluator is not part of this build"
        )
        raise MissingBackend(f"language {language!r} cannot run here: {what}")


def version(language: str) -> str:
    """Version of the engine that runs `language`: the project's own, and SymPy's, whose algebra all three use."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed  # slow to import, and no worker asks

    from nsrl import __version__

    try:
        algebra = installed("sympy")
    except PackageNotFoundError:
        algebra = "none"
    return f"sympy {algebra}" if language == "sympy" else f"{__version__}+sympy{algebra}"


def evaluators(languages: tuple[str, ...]) -> dict[str, Callable[[str, Limits], Result]]:
    """Import the native engines among `languages`, every module of them: later, inside the walls, no file is read."""
    table = {}
    for language in languages:
        if language in NATIVE and present(language):
            table[language] = importlib.import_module(f"nsrl.engines.{language}").evaluate
    for language in NATIVE if table else ():  # nsl stands on the other's algebra
        package = importlib.import_module(f"nsrl.engines.{language}")
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            importlib.import_module(module.name)
    return table
