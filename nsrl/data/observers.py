"""Who answers the policy between its turns: the engine, a crop of the picture, or a function of the user's.

`observe(problem, extracted, result, history) -> Observation | None` sees the turn that has just ended; None ends the
conversation. Whatever a model wrote has an answer: an error of the engine, a killed one, a box beyond the picture are
observations. What a user's function does wrong is the user's to know.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any

from nsrl.data.shapes.zoom import crop as seen_from_near
from nsrl.data.turns import Observation, Said
from nsrl.engines.extract import Extracted
from nsrl.engines.result import Result
from nsrl.errors import UserError
from nsrl.types import ImageRef, Problem
from nsrl.userfiles import load

_BOX = re.compile(r"\[\s*(-?\d{1,6})\s*,\s*(-?\d{1,6})\s*,\s*(-?\d{1,6})\s*,\s*(-?\d{1,6})\s*\]")
Observe = Callable[[Problem, Extracted, Result | None, Sequence[Said]], Observation | None]


def engine(
    problem: Problem, extracted: Extracted, result: Result | None, history: Sequence[Said]
) -> Observation | None:
    """The value of the turn's program, or how it ended and what the engine complained of; None without a program."""
    if result is None:
        return None
    said = " ".join(str(message) for message in result.messages)
    if result.has_value:
        return Observation(f"{result.text} ({said})" if said else result.text)
    return Observation(f"error: {result.status.value}" + (f": {said}" if said else ""))


def crop(problem: Problem, extracted: Extracted, result: Result | None, history: Sequence[Said]) -> Observation | None:
    """The part of the problem's first picture in the last [left, top, right, bottom] outside of the turn's program;
    None where it says no box.

    In pixels of that picture; what is beyond it is cut off. A part of `zoom` is seen from near, of other pictures it is
    enlarged to the whole's longer side.
    """
    boxes = _BOX.findall(extracted.prose)
    if not boxes:
        return None
    left, top, right, bottom = map(int, boxes[-1])
    if "scene" in problem.columns:
        part = seen_from_near(problem, (left, top, right, bottom))
    else:
        part = _part(problem.images[0], (left, top, right, bottom)) if problem.images else None
    return Observation("nothing there") if part is None else Observation("", (part,))


def _part(image: ImageRef, box: tuple[int, int, int, int]) -> ImageRef | None:
    """A part of any picture, enlarged; None where the box touches none of it."""
    width, height = image.size or image.open().size
    left, top, right, bottom = max(0, box[0]), max(0, box[1]), min(width, box[2]), min(height, box[3])
    if left >= right or top >= bottom:
        return None
    scale = max(width, height) / max(right - left, bottom - top)
    size = max(1, round(scale * (right - left))), max(1, round(scale * (bottom - top)))
    seen = lambda: image.open().crop((left, top, right, bottom)).resize(size)
    return ImageRef(f"{image.key}/{left},{top},{right},{bottom}", seen, size)


OBSERVERS: dict[str, Observe] = {"engine": engine, "crop": crop}


def observer(spec: str) -> Observe:
    """The observer of `turns.observe`: one of OBSERVERS or the user's function, of which it is required to return an
    Observation or None. Raises `UserError`."""
    if spec in OBSERVERS:
        return OBSERVERS[spec]
    name, function = load(spec, "turns.observe")
    wanted = f"turns.observe: {name!r} must be a function (problem, extracted, result, history) (from {spec!r})"
    if inspect.iscoroutinefunction(function):
        raise UserError(f"{wanted}; got an async one")
    try:
        taken = inspect.signature(function)
    except (TypeError, ValueError):  # of a builtin that does not say
        raise UserError(f"{wanted}; got {type(function).__name__}") from None
    try:
        taken.bind(None, None, None, None)
    except TypeError:
        raise UserError(f"{wanted}; got {taken}") from None

    def observe(
        problem: Problem, extracted: Extracted, result: Result | None, history: Sequence[Said]
    ) -> Observation | None:
        found: Any = function(problem, extracted, result, history)
        if isinstance(found, Observation):
            sound = isinstance(found.text, str) and isinstance(found.images, tuple)
            if sound and all(isinstance(image, ImageRef) for image in found.images):
                return found
            raise UserError(
                f"turns.observe: {name!r} must return an Observation of a text and a tuple of ImageRef; got "
                f"{str(found)[:80]}"
            )
        if found is not None:
            raise UserError(f"turns.observe: {name!r} must return an Observation or None; got {type(found).__name__}")
        return None

    return observe
