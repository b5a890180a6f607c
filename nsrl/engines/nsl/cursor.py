"""A place in the tokens of an nsl program, and what every reader of them does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nsrl.engines.nsl.lexer import NslSyntaxError, Token, tokens
from nsrl.engines.nsl.names import Names
from nsrl.engines.nsl.words import symbol

MAX_DEPTH = 45  # brackets, signs and powers inside of each other: some 15 calls each


class Cursor:
    """A place in the tokens of `text`. Every method leaves `i` behind what it read, or raises NslSyntaxError."""

    def __init__(self, text: str):
        self.text = text
        self.toks = tokens(text)
        self.i = 0
        self.bars = 0
        self.depth = 0
        self.names = Names(text, self.toks)
        self.flags: set[Any] = set()  # names that are set to true or false, functions that give one of them
        self.tested = False  # whether a builtin's yes or no was read
        self.late = False  # whether a call was read that may have to wait for the values of its names

    @property
    def tok(self) -> Token:
        """The token that is read next."""
        return self.toks[self.i]

    def take(self, value: str) -> bool:
        """Whether the next token is this sign, which is taken then."""
        t = self.toks[self.i]
        if t.value == value and t.kind in ("op", "key"):
            self.i += 1
            return True
        return False

    def need(self, value: str) -> None:
        """Takes this sign. Raises NslSyntaxError where another stands."""
        if not self.take(value):
            self.fail(f"expected {value!r}")

    def deeper(self, read: Callable[[], Any]) -> Any:
        """What `read` reads, one level further down."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(f"more than {MAX_DEPTH} brackets or signs inside of each other")
        out = read()
        self.depth -= 1
        return out

    def fail(self, reason: str, tok: Token | None = None) -> None:
        """Raises NslSyntaxError with the reason and the place of a token, by default the next."""
        t = tok or self.tok
        got = "the program ends" if t.kind == "end" else f"got {self.text[t.start : t.end]!r}"
        raise NslSyntaxError(f"{reason}, {got}", t.start, max(t.end, t.start))

    def name(self) -> Any:
        """A name as a symbol, taken."""
        if self.tok.kind not in ("name", "word"):
            self.fail("expected a name")
        self.i += 1
        return symbol(str(self.toks[self.i - 1].value))

    def list_of(self, item: Callable[[], Any]) -> list:
        """What `item` reads, as often as commas stand between."""
        out = [item()]
        while self.take(","):
            out.append(item())
        return out
