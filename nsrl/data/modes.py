"""The ways a problem can be put, by name. Imports no reader of pictures: the configuration asks here."""

from __future__ import annotations

from nsrl.engines.languages import LANGUAGES
from nsrl.errors import UserError

DEMONSTRATED = {"answer": "direct", "cot": "prose"} | {language: language for language in LANGUAGES}
"""The mode, and the language of `shapes`' demonstrations that answer as it asks."""

MODES = ("any", *DEMONSTRATED)
EXAMPLES = LANGUAGES  # the files of prompts/, by what `prompt.examples` calls them
OPENING = "open"  # a prefill of this name is the opening delimiter of the mode's language


def require_opening(mode: str, prefill: str | None) -> None:
    """Raise `UserError` where the prefill is the opening delimiter of a mode that has none of its own."""
    if prefill == OPENING and mode not in LANGUAGES:
        raise UserError(f"prompt.prefill=open needs a prompt.mode of one language ({', '.join(LANGUAGES)}); got {mode}")
