"""A place in the tokens of an answer, with bounds on how deep and how often they are read."""

from __future__ import annotations

from nsrl.answers.lexer import Token, Unreadable, tokenise

MAX_DEPTH = 40
MAX_TAKEN = 3_000  # tokens taken, those read twice or more often counted each time


class Spent(Exception):
    """A text that is read again and again at every level is given up."""


class Cursor:
    """One pass over the tokens of one answer."""

    def __init__(self, text: str) -> None:
        self.latex = "\\" in text
        self.tokens = tokenise(text)
        self.at = 0
        self.depth = 0
        self.taken = 0

    @property
    def here(self) -> Token:
        """The token that is read next."""
        return self.tokens[self.at]

    def peek(self, n: int = 1) -> Token:
        """The token `n` places further on; the last one is the end."""
        return self.tokens[min(self.at + n, len(self.tokens) - 1)]

    def take(self) -> Token:
        """The next token, and one step on. Raises Spent where a text is read over and over."""
        token = self.tokens[self.at]
        self.at += token.kind != "end"
        self.taken += 1
        if self.taken > MAX_TAKEN:
            raise Spent("read over and over")
        return token

    def is_op(self, *texts: str) -> bool:
        """Whether the next token is one of these signs."""
        return self.here.kind == "op" and self.here.text in texts

    def accept(self, *texts: str) -> Token | None:
        """The next token, taken, if it is one of these signs; else None and nothing taken."""
        return self.take() if self.is_op(*texts) else None

    def expect(self, *texts: str) -> Token:
        """The next token, taken; it must be one of these signs. Raises Unreadable."""
        token = self.accept(*texts)
        if token is None:
            raise Unreadable(f"expected {' or '.join(texts)}, got {self.here.text!r}")
        return token

    def word(self, *texts: str) -> bool:
        """Whether the next token is one of these words, in lower case."""
        return self.here.kind == "name" and self.here.text.lower() in texts
