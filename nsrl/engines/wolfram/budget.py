"""What a program may use up: steps, CPU time, lengths, digits.

The evaluator counts; builtins ask before they build.
"""

from __future__ import annotations

import time
from typing import Any

from nsrl.engines.result import Limits, Status
from nsrl.engines.wolfram.errors import LimitReached
from nsrl.engines.wolfram.expr import Expr

NODES = 500_000  # of a tree that may share its parts: small in memory, but who walks through it comes to each of them


class Budget:
    """The limits of one program and what it has used of them."""

    def __init__(self, limits: Limits | None = None):
        self.limits = limits or Limits()
        self.steps = 0
        self.depth = 0
        self.max_depth = self.limits.depth
        self.max_steps = self.limits.steps
        self.max_bits = int(self.limits.integer_digits * 3.3219280948873626) + 1
        self.deadline = time.process_time() + self.limits.cpu_s

    def step(self, n: int = 1) -> None:
        """Count work. Raises LimitReached when the program has had its share of steps or of CPU."""
        before = self.steps
        self.steps = before + n
        if self.steps > self.max_steps:
            raise LimitReached(Status.TIMEOUT, "evaluation steps")
        if (before ^ self.steps) & ~0x3FF:
            self.check_cpu()

    def check_cpu(self) -> None:
        """Raises LimitReached when the CPU time is spent."""
        if time.process_time() > self.deadline:
            raise LimitReached(Status.TIMEOUT, "CPU time")

    def need_length(self, n: int) -> None:
        """To be called before building n elements."""
        if n > self.limits.list_length:
            raise LimitReached(Status.MEMORY, "list length")
        if n > 1024:
            self.step(n >> 10)

    def need_bits(self, n: int) -> None:
        """To be called before building an integer of n bits."""
        if n > self.max_bits:
            raise LimitReached(Status.MEMORY, "integer digits")

    def need_text(self, n: int) -> None:
        """To be called before building a string of n characters."""
        if n > self.limits.list_length * 4:
            raise LimitReached(Status.MEMORY, "string length")


def walkable(e: Any) -> None:
    """Ends the program before someone walks through a tree that is too large for it."""
    if type(e) is Expr and e.nodes > NODES:
        raise LimitReached(Status.TIMEOUT, "size of an expression")
