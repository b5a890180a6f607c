"""How a teacher writes programs: the delimiters of each language, and the frame of a SymPy or Wolfram program."""

from __future__ import annotations

from collections.abc import Iterable

CLOSING = {"sympy": ("<sympy>", "</sympy>"), "wolfram": ("<wolfram>", "</wolfram>"), "nsl": ("<nsl>", "</nsl>")}


def tagged(language: str, text: str) -> str:
    """A program between its delimiters; prose and answers as they are."""
    before, after = CLOSING.get(language, ("", ""))
    return before + text + after


def listed(items: Iterable[object]) -> str:
    """`1, 2, 3`."""
    return ", ".join(str(item) for item in items)


def sympy(*lines: str) -> str:
    """A program of these lines."""
    return "from sympy import *\n" + "\n".join(lines)


def module(names: str, *lines: str) -> str:
    """A Wolfram program of these lines, with local names."""
    return "f := Module[{" + names + "},\n    " + ";\n    ".join(lines) + "\n];"


def constant(language: str, value: str, prose: str) -> str:
    """A completion that states a value: a program without a computation, or the prose; delimiters included."""
    forms = {"direct": value, "prose": prose, "nsl": value, "sympy": sympy(f"print({value})"),
             "wolfram": module("n", f"n = {value}", "n")}  # fmt: skip
    return tagged(language, forms[language])
