"""Sources that make their problems themselves, by name: `nsrl.data.sources.MADE`, or the user's `FILE.py:Class`."""

from __future__ import annotations

from collections.abc import Iterable, Set
from importlib import import_module
from typing import Any

from nsrl.answers import Verdict
from nsrl.data.generator import Generator
from nsrl.data.noise import CLEAN, Noise
from nsrl.data.procedural import Content, Procedural
from nsrl.data.sources import is_file, is_made, plugin
from nsrl.engines.extract import Extracted
from nsrl.engines.result import Result
from nsrl.errors import UserError
from nsrl.types import Problem

GENERATORS = {
    "shapes": "nsrl.data.shapes:ShapesGenerator",
    "chains": "nsrl.data.shapes.chains:Chains",
    "zoom": "nsrl.data.shapes.zoom:Zoom",
    "sat": "nsrl.data.sat:Sat",
    "graphs": "nsrl.data.graphs:Graphs",
    "jigsaw": "nsrl.data.shapes.jigsaw:Jigsaw",
    "rotation": "nsrl.data.shapes.rotation:Rotation",
    "spot": "nsrl.data.shapes.spot:Spot",
}


def generator(source: str) -> Generator:
    """The generator of a source. Raises `UserError` where the user's file has none."""
    if is_file(source):
        return plugin(source)
    module, _, name = GENERATORS[source].partition(":")
    return getattr(import_module(module), name)()


def opened(
    source: str,
    level: int = 1,
    seed: int = 0,
    held_out: int = 600,
    refused: Set[Content] = frozenset(),
    excluded: Iterable[Problem] = (),
    noise: Noise = CLEAN,
) -> Procedural:
    """A source that `is_made`; arguments as of `Procedural`."""
    name = source.rpartition(":")[2]
    return Procedural(generator(source), name, level, seed, held_out, refused, excluded, noise, spec=source)


def noise_of(data: Any) -> Noise:
    """What disturbs the pictures of a data configuration (noise, occlusion, contrast)."""
    return Noise(data.noise, data.occlusion, data.contrast)


def name_of(source: str, level: int, seed: int, noise: Noise = CLEAN) -> str:
    """What these problems are called, with the level: a level is a distribution of its own."""
    return f"{source} (level {level}, seed {seed}{'' if noise == CLEAN else f', {noise}'})"


def verified(problem: Problem, text: str, extracted: Extracted | None, result: Result | None) -> Verdict | None:
    """What the source of a problem says of a completion where its column `verifier` names a source; None: nothing."""
    name = problem.columns.get("verifier")
    if not isinstance(name, str) or not is_made(name):
        return None
    judge = generator(name)
    if not judge.verifies:
        raise UserError(f"verifier: {name} judges no completions")
    return judge.verify(problem, text, extracted, result)
