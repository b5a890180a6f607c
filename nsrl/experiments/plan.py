"""The parts of an experiment: which command does what for each arm and seed, and what it waits for.

The folder of an experiment holds ARM/seed-N, a run whose evaluations before and after GRPO are rows of the table, and
beside it what its kind of plan says.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from nsrl.config import TrainConfig, plain, require_sound
from nsrl.config.experiment import POINTS, ExperimentConfig
from nsrl.config.keys import build, keys
from nsrl.config.sound import notes_on
from nsrl.config.stages import OF_THE_DEFAULT
from nsrl.errors import UserError
from nsrl.experiments.jobs import Job


@dataclass(frozen=True)
class Cell:
    """A row of the table: an arm at a point, on a benchmark where there are several ("" else); files: of its records,
    one for each seed."""

    arm: str
    point: str
    files: tuple[Path, ...]
    benchmark: str = ""
    before: tuple[Path, ...] = ()  # folders of runs that theirs begin with, whose seconds count too


class Plan(ABC):
    """What the parts of an experiment have in common; its kinds say which jobs and which rows there are.

    of: what was said of the runs; threads: CPU threads of each (None: as a run takes them).
    """

    def __init__(self, config: ExperimentConfig, of: TrainConfig, folder: Path, threads: int | None = None) -> None:
        self.config, self.of, self.folder = config, of, folder
        self.told: list[list[str]] = []  # of each run, what to tell of keys that cannot act in it
        self.base = _said(of) | ({} if threads is None else {"threads": threads})

    def require_sound(self) -> None:
        """Raise `UserError` for what cannot work, before anything is run."""
        require_sound(self.of)

    def notes(self) -> list[str]:
        """Sentences below the table."""
        return []

    def all_jobs(self) -> list[Job]:
        """All parts in an order in which they may run: seed by seed, so that whole rows of the table come early."""
        return [job for seed in self.config.seeds for job in self.jobs(seed)]

    @abstractmethod
    def jobs(self, seed: int) -> Iterator[Job]:
        """The parts of one seed."""

    def cells(self) -> list[Cell]:
        """The rows of the table, in order: arm by arm, and the points of each."""
        named = {"cold": ("cold start", "warm_start"), "grpo": ("GRPO", "final")}
        return [
            self.cell(arm, point, f"seed-{{}}/eval/{file}.parquet")
            for arm in self.config.arms
            for point, file in (named[p] for p in POINTS if p in named and p in self.config.points)
        ]

    def cell(self, arm: str, point: str, file: str) -> Cell:
        """A row whose records are in ARM/FILE, in which {} is the seed."""
        return Cell(arm, point, tuple(self.folder / arm / file.format(seed) for seed in self.config.seeds))

    def train(
        self,
        name: str,
        seed: int,
        keys: dict[str, Any],
        after: tuple[str, ...],
        cost: float,
        base: dict[str, Any] | None = None,
        also: str = "eval/warm_start.parquet",
        more: tuple[Path, ...] = (),
    ) -> Job:
        """A run of `nsrl.train` in the folder NAME, its keys in a file beside it; base: what they are added to (None:
        what was said of the runs); also: a file of the run that is there when it is done; more: further files of keys.
        Raises `UserError` for keys that cannot be."""
        place = self.folder / name
        whole = merged(self.base if base is None else base, {"seed": seed, "output_dir": str(place)}, keys)
        try:
            self.told.append(notes_on(_as_read(whole)))
        except UserError as error:
            raise UserError(f"{name}: {error}") from None
        return train_job(name, place, whole, after, cost, also, more)


def train_job(
    name: str, place: Path, whole: dict[str, Any], after: tuple[str, ...], cost: float, also: str,
    more: tuple[Path, ...] = (),
) -> Job:  # fmt: skip
    """A run of `nsrl.train` in the folder `place`, which its keys name, and which goes on from its checkpoint; they are
    in a file beside it. Further arguments as of `Plan.train` and `Job`."""
    file = place.with_name(f"{place.name}.yaml")
    words = ["nsrl.train", "--config", str(file)] + [word for one in more for word in ("--config", str(one))]
    return Job(
        name,
        tuple(words),
        place / "summary.json",
        place.with_name(f"{place.name}.log"),
        after,
        cost,
        resumes=("--resume",),
        also=(place / also,),
        keys=((file, yaml.safe_dump(whole, sort_keys=False, allow_unicode=True)),),
    )


def _as_read(whole: dict[str, Any]) -> TrainConfig:
    """The configuration of a run with these keys in a file. Its model may not be there yet, which is the small one."""
    config = build(TrainConfig, merged(whole, {"model": {"name": "small"}}))
    config.given = {name: "file" for name in keys(TrainConfig) if _holds(whole, name.split("."))}
    return config


def _holds(whole: Any, path: list[str]) -> bool:
    return not path or (isinstance(whole, dict) and path[0] in whole and _holds(whole[path[0]], path[1:]))


def _said(of: TrainConfig) -> dict[str, Any]:
    """What somebody said of the runs, nested."""
    values = plain(of)
    said: dict[str, Any] = {}
    for name in of.given:
        if name in OF_THE_DEFAULT:  # the plan has the numbers
            continue
        group, dot, key = name.partition(".")
        if dot and dataclasses.is_dataclass(getattr(of, group, None)):
            said.setdefault(group, {})[key] = values[group][key]
        else:
            said[name] = values[name]
    return said


def merged(*parts: dict[str, Any]) -> dict[str, Any]:
    """Nested keys, the later part's where both have one."""
    out: dict[str, Any] = {}
    for part in parts:
        for name, value in part.items():
            old = out.get(name)
            out[name] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
    return out
