"""The keys of `prompt`: how problems are put to the model, in train, eval, solve and attend (docs/prompts.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Literal

from nsrl.data.modes import MODES
from nsrl_kernels.options import OneOf


@dataclass
class PromptConfig:
    """How problems are put to the model. In eval and solve, what is not said is as the checkpoint was trained."""

    mode: Annotated[str, OneOf(MODES)] = "any"
    """what is asked for: a program in any language or in one, an answer at once, or reasoning and an answer (the two in
    `\\boxed{}`). Demonstrations of shapes are then in that language."""

    system: str | None = None
    """a file with the system text (null: a row's own `system` column, else the mode's text)."""

    examples: str | None = None
    """worked examples behind the system text: wolfram, sympy, nsl (they come with nsrl), or a file (null: none)."""

    prefill: str | None = None
    """a text at the head of the assistant's turn, never learned and not counted as output; `open` is the opening
    delimiter of the mode's language, and the end of the turn then closes the program (null: none)."""

    images: Literal["keep", "none"] = "keep"
    """none leaves the pictures out: text alone."""

    delimiters: Literal["auto", "tags", "tokens"] = "auto"
    """around programs: our tags (`<nsl>…</nsl>`), or single tokens that the checkpoint's tokenizer has; auto takes tags
    where they are single tokens or it has too few, else tokens, for mode any a pair for each language."""


def said(prompt: PromptConfig, given: Mapping[str, str]) -> set[str]:
    """The keys of `prompt` that somebody said: those of a command line or file, and those that are no default."""
    names = [field.name for field in fields(prompt)]
    return {name for name in names if f"prompt.{name}" in given or getattr(prompt, name) != getattr(PromptConfig, name)}
