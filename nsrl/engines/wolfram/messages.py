"""What a program says besides its result: messages and printed lines."""

from __future__ import annotations

from typing import Any

from nsrl.engines.result import Limits, Message, Status
from nsrl.engines.wolfram.budget import Budget
from nsrl.engines.wolfram.errors import LimitReached
from nsrl.engines.wolfram.expr import Symbol

_MAX_MESSAGES = 200


class Messages(Budget):
    """The messages and the printed lines of one program, bounded."""

    def __init__(self, limits: Limits | None = None):
        super().__init__(limits)
        self.texts: dict[tuple[Symbol, str], Any] = {}
        self.messages: list[Message] = []
        self.counts: dict[tuple[str, str], int] = {}
        self.quiet = 0
        self.off: set[tuple[str, str]] = set()
        self.printed: list[str] = []
        self.printed_size = 0
        self.shown: Any = None  # what Print was last given

    def message(self, symbol: str, tag: str, text: str) -> None:
        """Record `symbol::tag: text` as the real engine prints it; after three of one kind, General::stop."""
        if self.quiet or (symbol, tag) in self.off or len(self.messages) >= _MAX_MESSAGES:
            return
        n = self.counts[symbol, tag] = self.counts.get((symbol, tag), 0) + 1
        if n <= 3:
            self.messages.append(Message(symbol, tag, text))
        if n == 3:
            self.messages.append(
                Message(
                    "General", "stop", f"Further output of {symbol}::{tag} will be suppressed during this calculation."
                )
            )

    def print(self, line: str, shown: Any = None) -> None:
        """Print[shown]: bounded by the output limit."""
        self.shown = line if shown is None else shown
        self.printed_size += len(line) + 1
        if self.printed_size > self.limits.output_bytes:
            raise LimitReached(Status.MEMORY, "output size")
        self.printed.append(line)

    def text(self, e: Any) -> str:
        """e as messages quote it (bounded)."""
        from nsrl.engines.wolfram.printer import text

        s = text(e)
        return s if len(s) <= 2000 else f"{s[:900]} <<{len(s) - 1800}>> {s[-900:]}"

    def _arity(self, name: str, n: int, least: int, most: int | None) -> None:
        """The message for a wrong number of arguments."""
        got = f"{n} argument{'' if n == 1 else 's'}"
        if most == least:
            if n == 1:
                self.message(name, "argr", f"{name} called with 1 argument; {least} arguments are expected.")
            elif least == 1:
                self.message(name, "argx", f"{name} called with {got}; 1 argument is expected.")
            else:
                self.message(name, "argrx", f"{name} called with {got}; {least} arguments are expected.")
        elif most is None:
            tag = "argmu" if n == 1 else "argm"
            self.message(name, tag, f"{name} called with {got}; {least} or more arguments are expected.")
        elif most == least + 1:
            tag = "argtu" if n == 1 else "argt"
            self.message(name, tag, f"{name} called with {got}; {least} or {most} arguments are expected.")
        else:
            tag = "argbu" if n == 1 else "argb"
            self.message(name, tag, f"{name} called with {got}; between {least} and {most} arguments are expected.")
