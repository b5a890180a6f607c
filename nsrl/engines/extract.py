"""Cuts the program, or the direct answer, out of a completion. Stdlib only; no engine is asked and no token counted.

A program stands between the tags of its language: `<nsl>2+3</nsl>`, `<wolfram>…</wolfram>`, `<sympy>…</sympy>`, or
between the delimiters that a prompt names in their place. Tags and fences (```nsl, ```wolfram, ```mathematica,
```python, ```sympy) are read whatever it names.

Which one: the LAST complete program counts, because a model that corrects itself writes the better program later. Text
inside a program never opens another. A program whose end is missing (the completion was cut off) counts only if no
complete one stands before it, and says so in `complete`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from nsrl.engines.languages import FENCES, TAGS, Pair

_FENCE = r"```[ \t]*([A-Za-z0-9]+)[ \t]*\r?\n"
_BOXED = re.compile(r"\\f?box(?:ed)?\s*\{")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_NO_TEXT = "\0"  # stands where no answer is looked for
_ANSWER = re.compile(r"(?:final\s+)?answer\s*(?:is|:|=)\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Extracted:
    """What a completion holds.

    language: nsl, wolfram, sympy, or None when there is no program; program: its text without delimiters, outer blank
    lines gone ("" when there is none); prose: the completion without the program and its delimiters; answer: the
    direct answer (the last `\\boxed{}`, else what follows the last "answer is", else the last line, of the prose) when
    there is no program, and the last `\\boxed{}` alone when there is one; span: character range of the program with
    its delimiters, (0, 0) for none; complete: False when the end of the program is missing; begin: the character at
    which the text of the program begins.
    """

    language: str | None
    program: str
    prose: str
    answer: str | None
    span: tuple[int, int] = (0, 0)
    complete: bool = True
    begin: int = 0


@dataclass(frozen=True)
class Place:
    """Where an answer stands in a text: its characters are start to end, and those of its box, if it has one, begin to
    stop."""

    begin: int
    start: int
    end: int
    stop: int


def boxed(text: str) -> str | None:
    """The content of the last `\\boxed{…}` to close; None without one. Escaped braces do not count. One pass."""
    found = _boxed_at(text)
    return found and text[found.start : found.end]


def answer_place(text: str, cut: Extracted) -> Place | None:
    """Where the answer stands that a completion states: in the last `\\boxed{}`, else behind the last "answer is", to
    the end of its line; None where neither does. cut: what `extract` found in it.

    The program is nowhere looked into. One that follows "answer is" directly is what is stated there, and one behind
    the answer ends it.
    """
    start, end = cut.span
    outside = text[:start] + _NO_TEXT * (end - start) + text[end:]
    return _boxed_at(outside) or _stated_at(outside, start if end > start else len(text))


def _boxed_at(text: str) -> Place | None:
    starts = {match.end() - 1: match for match in _BOXED.finditer(text)}
    if not starts:
        return None
    found, opened = None, []
    for brace in _BRACE.finditer(text, min(starts)):
        token, at = brace.group(), brace.start()
        if token == "{":
            opened.append(at)
        elif token == "}" and opened:
            box = starts.get(opened.pop())
            if box is not None:
                found = box, at
    if found is None:
        return None
    box, close = found
    start = close - len(text[box.end() : close].lstrip())
    return Place(box.start(), start, start + len(text[start:close].rstrip()), close + 1)


def _stated_at(text: str, program: int) -> Place | None:
    """Behind the last "answer is"; program: where one begins, which ends what is before it."""
    stated = None
    for match in _ANSWER.finditer(text):
        stated = match
    if stated is None:
        return None
    lines = text[stated.end() :].splitlines()
    line = lines[0] if lines else ""
    if stated.end() <= program:
        line = line[: program - stated.end()]
    answer = _bare(line)
    start = stated.end() + line.find(answer)
    return Place(start, start, start + len(answer), start + len(answer)) if answer else None


def _bare(line: str) -> str:
    """A line without the signs of its sentence and of emphasis around it."""
    return line.strip().strip("*$ ").removesuffix(".").strip("*$ ")


@lru_cache
def _starts(delimiters: tuple[Pair, ...]) -> tuple[re.Pattern[str], dict[str, Pair]]:
    """What begins a program (group 1: an opening, group 2: the word of a fence), and the pair of each opening."""
    pairs = {pair.open: pair for pair in (*TAGS, *delimiters)}
    return re.compile(f"({'|'.join(map(re.escape, pairs))})|{_FENCE}"), pairs


def _program(text: str, delimiters: tuple[Pair, ...]) -> tuple[str, str, tuple[int, int], bool, int] | None:
    """The last complete program, or the last one whose end is missing: language, text, span, complete, begin. One
    pass."""
    start_of, pairs = _starts(delimiters)
    whole = cut = None
    unclosed = set()
    at = 0
    while match := start_of.search(text, at):
        opening, fence = match.group(1), match.group(2)
        language = pairs[opening].language if opening else FENCES.get(fence.lower())
        close = pairs[opening].close if opening else "```"
        stop = -1 if close in unclosed else text.find(close, match.end())
        if stop >= 0:
            at = stop + len(close)
            whole = (language, match.end(), stop, (match.start(), at), True) if language else whole
            continue
        unclosed.add(close)
        cut = (language, match.end(), len(text), (match.start(), len(text)), False) if language else cut
        if fence:
            break
        at = match.end()  # a tag that never closes may be talk about the tag: look for a program behind it as well
    found = whole or cut
    if found is None:
        return None
    language, start, stop, span, complete = found
    whole_text = text[start:stop]
    program = _unfenced(whole_text.strip("\r\n").rstrip())
    return language, program, span, complete, start + whole_text.rindex(program)


def _unfenced(program: str) -> str:
    """The inside of a fence that stands inside the delimiters."""
    inner = program.strip()
    if inner.startswith("```") and inner.endswith("```") and "\n" in inner[3:-3]:
        return inner[3:-3].split("\n", 1)[1].strip("\r\n").rstrip()
    return program


def extract(completion: str, delimiters: tuple[Pair, ...] = TAGS, closed: bool = False) -> Extracted:
    """Cut the program out of `completion`. Total: every text has an answer, none raises.

    delimiters: what stands around programs beside tags and fences; closed: the end of the text ends an open program.
    """
    found = _program(completion, delimiters)
    if found is not None:
        language, program, span, complete, begin = found
        complete |= closed
        prose = completion[: span[0]] + completion[span[1] :]
        return Extracted(language, program, prose.strip(), boxed(prose), span, complete, begin)
    prose = completion.strip()
    return Extracted(None, "", prose, _direct(prose))


def _direct(prose: str) -> str | None:
    answer = boxed(prose)
    if answer is not None or not prose:
        return answer
    if _ANSWER.search(prose):
        found = _stated_at(prose, len(prose))
        return found and prose[found.start : found.end]
    lines = [line for line in prose.splitlines() if line.strip()]
    return (_bare(lines[-1]) if lines else "") or None
