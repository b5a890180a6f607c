"""The values here travel between rooms. Stdlib only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

MARK = "<image>"  # where a picture stands in a question


@dataclass(frozen=True)
class ImageRef:
    """An image by reference: rollout records and checkpoints hold this, never pixels.

    key: identity of the content (equal keys mean equal pixels); open: returns a PIL image in RGB, or raises
    `UserError`; size: (width, height) in pixels of what `open` returns, known from the file's header (None: only
    opening tells).
    """

    key: str
    open: Callable[[], Any] = field(compare=False, repr=False)
    size: tuple[int, int] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Problem:
    """One row of a data set: what is asked, about which images, and the gold answer (None: unscorable)."""

    id: str
    question: str
    answer: str | None
    images: tuple[ImageRef, ...] = ()
    options: tuple[str, ...] = ()
    options_pictured: bool = False
    """The options stand in the picture: the prompt does not list them, the check knows them."""
    category: str = ""
    source: str = ""
    groups: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    """What a benchmark reports by besides the category: name to value."""
    columns: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    chat: tuple[Mapping[str, Any], ...] = field(default=(), compare=False, repr=False)
    """The prompt as messages of a chat template with typed content, where the row has it so (of demonstrations)."""
    behind: tuple[Mapping[str, Any], ...] = field(default=(), compare=False, repr=False)
    """Messages behind the question, where earlier turns are part of a demonstration's prompt; their pictures are the
    last ones of `images`."""
