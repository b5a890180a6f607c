"""Writes a problem as chat messages, images as placeholders where its markers stand. No tokens, no pixels.

The system text says how an answer is to be written in each language, in the spirit of the seed's: read the image, write
the program, let the engine compute.
"""

from __future__ import annotations

from typing import Any

from nsrl.data.rows import MARK
from nsrl.types import Problem

_READ = "You solve problems about images. Read the numbers and relations you need from the image, then"
_LAST = (
    "The engine computes; do no arithmetic yourself. The value must be the answer itself: a number, an expression, "
    "or the letter of the right option."
)
_PROGRAMS = {
    "nsl": "<nsl>…</nsl>: one line, the last expression is the result; equations given before it are solved. "
    "Examples: <nsl>mean{2,3,7}</nsl>, <nsl>2a+3p=13;4a+p=11;p</nsl>, <nsl>w(w+2)=48;w>0;w</nsl>",
    "wolfram": "<wolfram>…</wolfram>: Wolfram Language, the last expression is the result. "
    "Example: <wolfram>EuclideanDistance[{0,0},{3,4}]</wolfram>",
    "sympy": "<sympy>…</sympy>: Python with SymPy, print the result or end with it. "
    "Example: <sympy>from sympy import *\nx=symbols('x')\nprint(solve(Eq(2*x,6),x)[0])</sympy>",
}


def system_text() -> str:
    """The system prompt: it offers every language."""
    listed = "\n".join(f"- {text}" for text in _PROGRAMS.values())
    return f"{_READ} write one short program in one of these languages:\n{listed}\n{_LAST}"


def messages(problem: Problem, system: bool | str = True) -> list[dict[str, Any]]:
    """Chat messages with typed content: text pieces and one image placeholder per image.

    Images stand where the question's markers are; images without a marker follow the text. system: False for none, True
    for the problem's own system text or else `system_text`, a string for itself.
    """
    out: list[dict[str, Any]] = []
    if system:
        text = system if isinstance(system, str) else problem.columns.get("system") or system_text()
        out.append({"role": "system", "content": [{"type": "text", "text": text}]})
    content: list[dict[str, Any]] = []
    pieces = problem.question.split(MARK)
    placed = min(len(pieces) - 1, len(problem.images))
    for number, piece in enumerate(pieces):
        if piece.strip():
            content.append({"type": "text", "text": piece if number == 0 else piece.lstrip("\n")})
        if number < placed:
            content.append({"type": "image"})
    if options := options_text(problem.options):
        content.append({"type": "text", "text": "\n" + options})
    content.extend({"type": "image"} for _ in range(len(problem.images) - placed))
    out.append({"role": "user", "content": content})
    return out


def options_text(options: tuple[str, ...]) -> str:
    """The choices that are not empty, one per line with their letters; nothing where they are nothing but their
    letters."""
    bare = [o.strip("() .") for o in options]
    if not options or bare == [chr(65 + i) for i in range(len(options))]:
        return ""
    return "\n".join(f"{chr(65 + i)}. {o}" for i, o in enumerate(options) if o)
