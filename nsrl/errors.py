"""The errors a user can cause. Stdlib only; knows nothing of the rest of nsrl.

A `UserError` is bad input: commands print its one sentence and exit with code 2. Anything else that is raised is a bug
of ours and stops the run with its traceback.
"""


class UserError(Exception):
    """Bad input, said in one sentence: which argument, what was expected, what came."""


class MissingBackend(UserError):
    """A backend was asked for by name and is not installed here."""
