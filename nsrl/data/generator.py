"""What a procedural source has to say of itself: how a problem is drawn, demonstrated, read out and judged.

`nsrl.data.procedural` makes a source of it: problems held out first, none of them twice, streams that can be entered
anywhere. Opens no picture: the configuration asks here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, ClassVar

from nsrl.answers import Verdict
from nsrl.data.turns import Observation
from nsrl.engines.extract import Extracted
from nsrl.engines.result import Result
from nsrl.types import ImageRef, Problem


@dataclass(frozen=True)
class Item:
    """One problem as it was drawn.

    pictures: none, or those that the prompt shows; two items with one question and pictures of the same keys are one
    problem. columns: what rewards and verifiers may look at (JSON-able); values: what the generator itself needs to
    demonstrate it.
    """

    question: str
    answer: str | None
    pictures: tuple[ImageRef, ...] = ()
    category: str = ""
    columns: Mapping[str, Any] = field(default_factory=dict)
    values: Any = None


@dataclass(frozen=True)
class Reading:
    """Pictures read out, nothing solved: question, the text to be written, and the pictures (None: those of the
    item)."""

    question: str
    text: str
    pictures: tuple[ImageRef, ...] | None = None


class Generator:
    """A procedural source of the user: a class with `levels` and `draw`; the other methods where it has them.

    Everything random comes from the `rng` that is handed in, so that a problem is a function of (seed, index).
    """

    levels: ClassVar[range] = range(1, 2)
    """Its difficulties, from 1."""

    def draw(self, rng: Random, level: int) -> Item:
        """A problem of this level."""
        raise TypeError(f"{type(self).__name__} must have a method draw(rng, level) that returns an Item")

    def demonstrate(self, item: Item, language: str, rng: Random, wrong: bool) -> str | None:
        """A completion that answers it in one of `nsrl.data.shapes.LANGUAGES`, delimiters included, the end of the turn
        left out; None: not in this language.

        wrong: as one who misread the problem would.
        """
        return None

    def converse(
        self, item: Item, language: str, rng: Random, wrong: bool
    ) -> Sequence[tuple[str, Observation | None]] | None:
        """A completion of several turns, as `demonstrate`: what is written, and what is shown behind it (None behind
        the last); None: there is no such one, and `demonstrate` says all at once. Asked where a run has turns."""
        return None

    def reading(self, item: Item, rng: Random) -> Reading | None:
        """What stands in its pictures; None: nothing that can be read out."""
        return None

    def verify(self, problem: Problem, text: str, extracted: Extracted | None, result: Result | None) -> Verdict | None:
        """Whether a completion is right; None: the check against the gold answer decides.

        text: the completion; extracted: program and answer in it; result: the engine's, None without a program. Must
        not raise, whatever the text is. Rows of a source with this method have its name as column `verifier`.
        """
        return None

    @property
    def demonstrates(self) -> bool:
        """Whether it has demonstrations at all."""
        return type(self).demonstrate is not Generator.demonstrate

    @property
    def reads(self) -> bool:
        """Whether its pictures can be read out."""
        return type(self).reading is not Generator.reading

    @property
    def verifies(self) -> bool:
        """Whether it judges completions itself."""
        return type(self).verify is not Generator.verify


def picture(image: Any) -> ImageRef:
    """A reference to a picture (PIL, RGB) that was made already; its key is of its size and pixels."""
    kept = image.convert("RGB")
    digest = hashlib.sha256(f"{kept.size}".encode() + kept.tobytes()).hexdigest()[:24]
    return ImageRef(f"made:{digest}", kept.copy, kept.size)
