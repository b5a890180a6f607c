"""Writes a problem as chat messages, images as placeholders where its markers stand. No tokens, no pixels.

`Chat` says how problems are put and how the answer to one is read: the mode, a system text and examples of the user's,
what the assistant's turn begins with, and what stands around programs. The texts of the modes are in the spirit of the
seed's: read the image, write the program, let the engine compute. They, the files of `prompts/` and the user's own name
delimiters by our tags; `Chat` writes those in force in their place.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nsrl.data.modes import EXAMPLES, OPENING, require_opening
from nsrl.engines import CLOSE, OPEN, TAGS, Extracted, Pair, extract
from nsrl.errors import UserError
from nsrl.types import MARK, Problem
from nsrl.userfiles import expanded

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
_BOXED = "The box must hold the answer itself: a number, an expression, or the letter of the right option."


def system_text(mode: str = "any") -> str:
    """The system text of a mode; that of `any` offers every language."""
    if mode == "any":
        listed = "\n".join(f"- {text}" for text in _PROGRAMS.values())
        return f"{_READ} write one short program in one of these languages:\n{listed}\n{_LAST}"
    if mode in _PROGRAMS:
        return f"{_READ} write one short program:\n{_PROGRAMS[mode]}\n{_LAST}"
    if mode == "answer":
        return f"{_READ} answer at once, without reasoning: write the answer in \\boxed{{}} and nothing else.\n{_BOXED}"
    return f"{_READ} reason step by step, and write the answer in \\boxed{{}} at the end.\n{_BOXED}"


def text_of_file(key: str, path: str) -> str:
    """The text of a file that a key names, without blank lines around it. Raises `UserError`."""
    try:
        text = expanded(path).read_text(encoding="utf-8-sig").strip()
    except UnicodeDecodeError:
        raise UserError(f"{key} must be a text file in UTF-8; got {path!r}, which is not") from None
    except OSError as error:
        why = getattr(error, "strerror", None) or error
        raise UserError(f"{key} must be a file that can be read; got {path!r} ({why})") from None
    if not text:
        raise UserError(f"{key} must be a file with a text in it; got {path!r}, which is empty")
    return text


def examples_text(name: str) -> str:
    """The examples that come with nsrl under this name, or those of a file of the user's. Raises `UserError`."""
    own = Path(__file__).parent / "prompts" / f"{name}.txt"
    return text_of_file("prompt.examples", str(own) if name in EXAMPLES else name)


@dataclass(frozen=True)
class Chat:
    """How problems are put to a model, and how what it answers is read.

    mode: one of MODES; system: a text in place of the problem's own and of the mode's; examples: behind it; prefill: at
    the head of the assistant's turn; pictures: whether they are shown; delimiters: around programs.
    """

    mode: str = "any"
    system: str | None = None
    examples: str | None = None
    prefill: str = ""
    pictures: bool = True
    delimiters: tuple[Pair, ...] = TAGS

    def __post_init__(self) -> None:
        require_opening(self.mode, self.prefill)
        if self.prefill == OPENING:
            opening = next(pair.open for pair in self.delimiters if pair.language == self.mode)
            object.__setattr__(self, "prefill", opening)
        object.__setattr__(self, "prefill", self.written(self.prefill))

    @property
    def opened(self) -> Pair | None:
        """What closes the program that the head of the assistant's turn opens; None where it opens none."""
        return next((pair for pair in (*self.delimiters, *TAGS) if self.prefill.endswith(pair.open)), None)

    def shown(self, problem: Problem) -> Problem:
        """The problem with the pictures that the model is shown."""
        if self.pictures or not problem.images:
            return problem
        bare = lambda message: {**message, "content": [item for item in message["content"] if item["type"] != "image"]}
        chat, behind = (tuple(map(bare, messages)) for messages in (problem.chat, problem.behind))
        return replace(problem, images=(), question=problem.question.replace(MARK, ""), chat=chat, behind=behind)

    def written(self, text: str) -> str:
        """A text with the delimiters in force in place of the tags."""
        for pair in self.delimiters:
            text = text.replace(OPEN[pair.language], pair.open).replace(CLOSE[pair.language], pair.close)
        return text

    def system_text(self, problem: Problem) -> str:
        """`system`, or else the problem's own, or else the mode's; then the examples."""
        text = self.system or _own_system(problem) or system_text(self.mode)
        return self.written(text if self.examples is None else f"{text}\n\n{self.examples}")

    def messages(self, problem: Problem, system: bool = True) -> list[dict[str, Any]]:
        """Chat messages with typed content; system: with a system text."""
        return messages(self.shown(problem), self.system_text(problem) if system else False) + [
            {**said, "content": [{**p, "text": self.written(p["text"])} if "text" in p else p for p in said["content"]]}
            for said in self.shown(problem).behind
        ]

    def read(self, text: str, ended: bool) -> Extracted:
        """What a completion holds. text: `prefill` and what was sampled behind it; ended: the turn ended by itself."""
        return extract(text, self.delimiters, closed=ended and self.opened is not None)

    def goes_on(self, text: str) -> bool:
        """Whether a demonstration can stand behind the head of the turn: where that opens a program, it begins so."""
        return self.opened is None or self.written(text).startswith(self.prefill)

    def learned(self, text: str) -> str:
        """What of a demonstration is learned: it stands behind the head of the turn, whose end closes a program."""
        text = self.written(text)
        if not text.startswith(self.prefill):
            return text
        return text.removeprefix(self.prefill).removesuffix(self.opened.close if self.opened else "")


def messages(problem: Problem, system: bool | str = True) -> list[dict[str, Any]]:
    """Chat messages with typed content: text pieces and one image placeholder per image.

    Images stand where the question's markers are; images without a marker follow the text. system: False for none, True
    for the problem's own system text or else `system_text`, a string for itself. A problem that is a chat already
    (`Problem.chat`) is that chat.
    """
    if problem.chat:
        return [dict(message) for message in problem.chat]
    out: list[dict[str, Any]] = []
    if system:
        text = system if isinstance(system, str) else _own_system(problem) or system_text()
        out.append({"role": "system", "content": [{"type": "text", "text": text}]})
    content: list[dict[str, Any]] = []
    pieces = problem.question.split(MARK)
    own = len(problem.images) - sum(item["type"] == "image" for said in problem.behind for item in said["content"])
    placed = min(len(pieces) - 1, own)
    for number, piece in enumerate(pieces):
        if piece.strip():
            content.append({"type": "text", "text": piece if number == 0 else piece.lstrip("\n")})
        if number < placed:
            content.append({"type": "image"})
    if not problem.options_pictured and (options := options_text(problem.options)):
        content.append({"type": "text", "text": "\n" + options})
    content.extend({"type": "image"} for _ in range(own - placed))
    out.append({"role": "user", "content": content})
    return out


def _own_system(problem: Problem) -> str:
    """The row's own system text; "" where it has none, or something else under this name."""
    text = problem.columns.get("system")
    return text if isinstance(text, str) and text.strip() else ""


def options_text(options: tuple[str, ...]) -> str:
    """The choices that are not empty, one per line with their letters; nothing where they are nothing but their
    letters."""
    bare = [o.strip("() .") for o in options]
    if not options or bare == [chr(65 + i) for i in range(len(options))]:
        return ""
    return "\n".join(f"{chr(65 + i)}. {o}" for i, o in enumerate(options) if o)
