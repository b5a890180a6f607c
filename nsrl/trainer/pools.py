"""The parts that problems are drawn from (`draw`), each a source of its own."""

from __future__ import annotations

from collections.abc import Callable

from nsrl.config import DataConfig, TrainConfig
from nsrl.config.draw import divided
from nsrl.data.source import Rows, Source
from nsrl.data.sources import is_made
from nsrl.errors import UserError, did_you_mean
from nsrl.trainer.draw import Streams, value_of
from nsrl.trainer.draw import opened as made
from nsrl.types import Problem


def pools(config: TrainConfig, own: Source, opened: Callable[[DataConfig], Source]) -> dict[str, Source]:
    """The sources of a configuration by part; {"": own} where nothing is divided. Raises `UserError` for a part that no
    training row has, and a column by which none can be taken.

    own: what its problems come from; opened: a source that makes others, without those that are held out.
    """
    found = _divided(config, own, opened)
    made(config.draw, streams(config, found), config.seed, {})  # it is refused before any work
    return found


def _divided(config: TrainConfig, own: Source, opened: Callable[[DataConfig], Source]) -> dict[str, Source]:
    draw = config.draw
    if is_made(config.data.source) or not draw.divides or not isinstance(own, Rows):
        data = divided(draw, config.data)
        return {"": own} if [*data] == [""] else {name: opened(part) for name, part in data.items()}
    by, rows = draw.by_of(False), {}
    for problem in own.rows:
        rows.setdefault(value_of(problem, by), []).append(problem)
    return {name: Rows(_part(rows, name, by), (), own.seed) for name in _names(config, rows)}


def streams(config: TrainConfig, sources: dict[str, Source]) -> Streams:
    """Those of a stage. Problems of different levels may have one id, and so may those of two classes of one name:
    these get their part behind it."""
    if not (config.draw.divides and is_made(config.data.source)):
        return Streams(sources)
    names = [getattr(source, "name", part) for part, source in sources.items()]
    return Streams(sources, config.draw.by_of(True) == "level" or len({*names}) < len(names))


def _names(config: TrainConfig, rows: dict[str, list[Problem]]) -> list[str]:
    said = config.draw.weights if config.draw.kind == "mixture" else config.draw.order
    return [*said] or sorted(rows)


def _part(rows: dict[str, list[Problem]], name: str, by: str) -> list[Problem]:
    if name not in rows:
        there = ", ".join(f"{part} ({len(of)})" for part, of in sorted(rows.items())[:20])
        raise UserError(f"draw: no training row has {by} {name!r}; there are {there}{did_you_mean(name, rows)}")
    return rows[name]
