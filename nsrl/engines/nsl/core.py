"""The Wolfram evaluator of a program."""

from __future__ import annotations

from typing import Any

from nsrl.engines.nsl.system import Unsolved
from nsrl.engines.result import Limits, Message
from nsrl.engines.wolfram.builtins import load


class Core:
    """The Wolfram evaluator, made when first needed: most programs never do."""

    def __init__(self, limits: Limits):
        self.limits = limits
        self.ev: Any = None

    def evaluate(self, e: Any) -> Any:
        """The value of a tree; the evaluator is made at the first that needs one."""
        if type(e) in (int, float, str):
            return e
        if self.ev is None:
            from nsrl.engines.wolfram.evaluator import Evaluator

            load()
            self.ev = Evaluator(self.limits)
        value = self.ev.eval(e)
        if self.ev.lost is not None:
            lost, self.ev.lost = self.ev.lost, None
            raise Unsolved(f"a call to {lost.name} that has no value was taken for a value")
        if self.ev.judged:  # isprime(n) is no of a name without a value
            self.ev.judged = frozenset()
            raise Unsolved("a test such as isprime(x) was asked of a name that has no value")
        return value

    @property
    def steps(self) -> int:
        """Steps that the evaluator took."""
        return self.ev.steps if self.ev is not None else 0

    @property
    def messages(self) -> tuple[Message, ...]:
        """What the evaluator said."""
        return tuple(self.ev.messages) if self.ev is not None else ()
