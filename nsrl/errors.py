"""The errors a user can cause. Stdlib only; knows nothing of the rest of nsrl.

A `UserError` is bad input: commands print its one sentence and exit with code 2. Anything else that is raised is a bug
of ours and stops the run with its traceback.
"""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Bad input, said in one sentence: which argument, what was expected, what came."""


class MissingBackend(UserError):
    """A backend was asked for by name and is not installed here."""


def did_you_mean(name: str, names: Iterable[str], cutoff: float = 0.6) -> str:
    """The end of a sentence that offers the nearest name, empty where none is near."""
    near = difflib.get_close_matches(name, list(names), 1, cutoff)
    return f"; did you mean {near[0]!r}?" if near else ""
