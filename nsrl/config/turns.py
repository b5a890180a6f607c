"""The keys of `turns`: who answers the policy between stretches of a completion, in train, eval and solve
(docs/turns.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Any

from nsrl.data.sources import FILE
from nsrl.errors import UserError
from nsrl_kernels.options import Bound, OneOf

OBSERVERS = ("engine", "crop")  # of nsrl.data.observers, which opens no picture before it is asked to
PLACE = "{}"  # of what is shown, in `turns.around`


@dataclass
class TurnsConfig:
    """A completion of several turns: what an engine, a crop or your own function says of one is shown before the
    next."""

    max: Annotated[int, Bound(least=1, most=64, why="each turn is a prefill of the whole conversation")] = 1
    """turns of a completion, at most (1: one, and nothing is shown)."""

    stop: list[str] = field(default_factory=list)
    """texts that end a turn before the last one, beside the end of the turn: ["</nsl>"]."""

    observe: Annotated[str, OneOf(OBSERVERS, "turns.md", "FILE.py:NAME", FILE)] = "engine"
    """who answers: engine (the value of the turn's program, or what was wrong with it), crop (the part of the picture
    whose [left, top, right, bottom] the turn says; data.source=zoom or any picture), or a function of your own."""

    max_observation: Annotated[int, Bound(least=1, why="an answer takes a token")] = 256
    """tokens of one answer, at most, pictures and what stands around it included; longer texts are cut."""

    around: str | None = None
    """what stands around an answer, a text with {} (null: a message of the user, as the chat template writes it; behind
    a stop text "\\n{}\\n")."""

    on_length: str | None = None
    """a text that is shown when the tokens of a completion are used up but for turns.reserve, so that an answer is
    still written: "\\n</think>\\n" (null: such a completion is cut off)."""

    reserve: Annotated[int, Bound(least=1)] = 16
    """tokens of max_completion_length that are left for what follows turns.on_length."""

    @property
    def on(self) -> bool:
        """Whether a completion can have more than one turn."""
        return self.max > 1 or self.on_length is not None

    @property
    def shown(self) -> int:
        """Tokens that are shown in a completion, at most: no text has more tokens than bytes."""
        forced = len(self.on_length.encode()) if self.on_length is not None else 0
        return (self.max - 1) * self.max_observation + forced

    def over(self, other: TurnsConfig | None, given: Mapping[str, str]) -> TurnsConfig:
        """What is said here, the rest as of `other`, with which a model was trained."""
        if other is None:
            return self
        names = [f.name for f in fields(self)]
        said: dict[str, Any] = {n: getattr(self, n) for n in names if f"turns.{n}" in given}
        return replace(other, **said)


def check_turns(values: Mapping[str, Any]) -> None:
    """What keys of turns must be to each other and to others; values: by dotted key. Raises `UserError`."""
    around, forced, longest = (values[name] for name in ("turns.around", "turns.on_length", "max_completion_length"))
    if around is not None and around.count(PLACE) != 1:
        raise UserError(f"turns.around must be a text with {PLACE} once, where the answer stands; got {around!r}")
    if any(not text.strip() for text in values["turns.stop"]):
        raise UserError(f"turns.stop must be texts with something in them; got {values['turns.stop']}")
    if forced is not None and not forced:
        raise UserError("turns.on_length must be a text with something in it; got none")
    if forced is not None and longest is not None and values["turns.reserve"] >= longest:
        raise UserError(
            f"turns.reserve must be below max_completion_length ({longest}), of which it is a part; got "
            f"{values['turns.reserve']}"
        )
    pictures = values.get("vllm.max_images")
    if values.get("rollout") == "vllm" and values["turns.observe"] == "crop" and pictures < values["turns.max"]:
        raise UserError(
            f"vllm.max_images must be at least {values['turns.max']}, a picture and one more for each turn behind the "
            f"first; got {pictures}"
        )
