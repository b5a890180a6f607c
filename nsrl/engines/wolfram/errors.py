"""What interrupts an evaluation: reached limits and the control flow of Wolfram Language.

None of these leaves `evaluate`.
"""

from __future__ import annotations

from typing import Any

from nsrl.engines.result import Status


class LimitReached(Exception):
    """A bound of `Limits` was met; `status` is Status.TIMEOUT (steps, depth, CPU) or Status.MEMORY (sizes)."""

    def __init__(self, status: Status, what: str):
        super().__init__(what)
        self.status = status
        self.what = what


class WolframSyntaxError(Exception):
    """The text is no program. start, end: offsets into the source."""

    def __init__(self, reason: str, start: int, end: int):
        super().__init__(reason)
        self.reason, self.start, self.end = reason, start, end


class Flow(Exception):
    """Base of what travels up from Return, Break, Continue, Throw, Goto-less control flow and Abort."""

    def __init__(self, value: Any = None, tag: Any = None):
        super().__init__()
        self.value, self.tag = value, tag


class ReturnFlow(Flow):
    """Return[value]: ends the innermost function, loop or scope that catches it."""


class BreakFlow(Flow):
    """Break[]"""


class ContinueFlow(Flow):
    """Continue[]"""


class ThrowFlow(Flow):
    """Throw[value, tag]"""


class AbortFlow(Flow):
    """Abort[]"""


class QuitFlow(Flow):
    """Quit[] or Exit[]: nothing in the program catches it."""
