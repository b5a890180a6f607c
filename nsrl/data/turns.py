"""What is said and shown in completions of several turns: plain data, which sources, observers and records share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nsrl.engines.extract import Extracted
from nsrl.engines.result import Result
from nsrl.errors import UserError
from nsrl.types import ImageRef


@dataclass(frozen=True)
class Observation:
    """What the policy is shown: pictures, then a text behind them."""

    text: str = ""
    images: tuple[ImageRef, ...] = ()

    def __getstate__(self) -> dict[str, Any]:
        """What another process gets: pictures by name, for what opens them need not be made to travel."""
        named = tuple(ImageRef(image.key, _elsewhere, image.size) for image in self.images)
        return {"text": self.text, "images": named}


def _elsewhere() -> Any:
    raise UserError("a picture that was shown in another process cannot be opened in this one")


@dataclass(frozen=True)
class Said:
    """A turn that the policy wrote: its text and what stands in it, what the engine said of its program (None without
    one), and what was shown behind it (None: nothing, or nothing yet). start: where it begins in the whole text."""

    text: str
    extracted: Extracted
    result: Result | None = None
    shown: Observation | None = None
    start: int = 0

    @property
    def seen(self) -> str:
        """What was shown behind it as a line of text, pictures by their sizes and keys; "" for nothing."""
        if self.shown is None:
            return ""
        size = lambda image: f"of {image.size[0]} × {image.size[1]} pixels, " if image.size else ""
        pictures = [f"(picture {size(image)}{image.key})" for image in self.shown.images]
        return " ".join([*pictures, self.shown.text] if self.shown.text else pictures)


def message(shown: Observation) -> dict[str, Any]:
    """An observation as a message of the user's, in typed content."""
    content: list[dict[str, Any]] = [{"type": "image"}] * len(shown.images)
    return {"role": "user", "content": [*content, *([{"type": "text", "text": shown.text}] if shown.text else [])]}


def told(history: Sequence[Said]) -> str:
    """What was said and shown, in order, as a column of records has it: JSON, a list of {by, text}, by `policy` or
    `shown`."""
    rows: list[dict[str, str]] = []
    for said in history:
        rows.append({"by": "policy", "text": said.text})
        if said.shown is not None:
            rows.append({"by": "shown", "text": said.seen})
    return json.dumps(rows, ensure_ascii=False)
