"""How much work one comparison of two answers may take, counted in steps, so that no text of a model takes longer.

Counted per thread.
"""

from __future__ import annotations

import threading

WORK = 3_000  # steps of a few microseconds that one comparison of two answers may take


class NoNormalForm(ArithmeticError):
    """The exact normal form does not exist within its bounds."""


class Undefined(ArithmeticError):
    """The tree has no (finite, bounded, real where asked) value at this point."""


class Spent(NoNormalForm, Undefined):
    """The comparison took all its work: nothing more is exact, nothing more has a value."""


class _Work(threading.local):
    left = WORK
    again = True


_work = _Work()


def begin() -> None:
    """A new comparison begins, with all its work before it."""
    _work.left, _work.again = WORK, True


def refill() -> None:
    """The exact test took all the work: once in a comparison the numeric test may still speak."""
    if _work.left < 0 and _work.again:
        _work.left, _work.again = WORK, False


def charge(steps: int) -> None:
    """Pay for work of this comparison. Raises `Spent`."""
    _work.left -= steps
    if _work.left < 0:
        raise Spent("too much work")
