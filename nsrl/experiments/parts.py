"""The keys of each run of a checkpoint's experiment: what somebody said, where it acts there, and what the experiment
gives it. A key acts in one run at least, or is refused."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import yaml

from nsrl.config import TrainConfig
from nsrl.config.acts import idle
from nsrl.config.experiment import ExperimentConfig
from nsrl.config.keys import build, flat, nest
from nsrl.config.sound import notes_on, require_model
from nsrl.engines.languages import LANGUAGES
from nsrl.errors import UserError

COLD_START = {"warm_start.steps": 100, "warm_start.batch_size": 16, "warm_start.learning_rate": 2e-4}  # if nobody says
GIVEN = {  # further keys that every run is given, and why
    "prompt.system": "every arm has its mode's text",
    "prompt.examples": "every arm has its own in its context, and none behind it",
    "demonstrations": "the lessons of an arm are what the checkpoint was right about",
}
COLD = ("warm_start.", "demonstrations.")  # keys of the cold start begin so
OF_POINTS = {"cold_steps": "cold", "harvest_size": "cold", "harvest_samples": "cold"}


class Keys:
    """Of the runs of an experiment. threads: CPU threads of each (None: as a run takes them)."""

    def __init__(self, config: ExperimentConfig, of: TrainConfig, threads: int | None = None) -> None:
        self.config, self.of = config, of
        self.said = {name for name, origin in of.given.items() if origin in ("line", "file")}
        self.cold, self.grpo = "cold" in config.points, "grpo" in config.points
        steps = config.cold_steps or of.warm_start.steps
        self.cold_start = {name: value for name, value in COLD_START.items() if name not in of.given}
        self.cold_start["warm_start.steps"] = steps or COLD_START["warm_start.steps"]
        self.more = {} if threads is None else {"threads": threads}

    def asked(self, arm: str) -> dict[str, Any]:
        """An arm in its context: with its examples, and nothing learned."""
        examples = {"prompt.examples": arm} if arm in LANGUAGES else {}
        return {
            "prompt.mode": arm, **examples, "max_steps": 0, "warm_start.steps": 0, "preflight": False, **self.more,
        }  # fmt: skip

    def learning(self, arm: str) -> dict[str, Any]:
        """An arm behind that: without the examples."""
        lessons = {"demonstrations.source": "hf", "demonstrations.path": "."} if self.cold else {}
        steps = {
            "warm_start.steps": self.cold_start["warm_start.steps"] if self.cold else 0,
            "max_steps": self.of.max_steps if self.grpo else 0,
        }
        return {"prompt.mode": arm, **lessons, **steps, **self.more}

    def prompt(self, own: dict[str, Any]) -> dict[str, Any]:
        """How a run with these keys is asked, nested."""
        config, _ = self._part(own)
        said = {n: v for n, v in flat(config).items() if n.startswith("prompt.") and config.given.get(n)}
        return nest(said)

    def lessons(self, path: str) -> dict[str, Any]:
        """The cold start on the rows at `path`, nested."""
        said = {name: value for name, value in flat(self.of).items() if name in self.said and name.startswith(COLD)}
        return nest(said | self.cold_start | {"demonstrations.source": "hf", "demonstrations.path": path})

    def text(self, own: dict[str, Any], leave: Collection[str] = ()) -> str:
        """The file of keys of a run: the recipe, what was said and acts in it, and `own` (dotted); without those that
        begin as in `leave`."""
        config, _ = self._part(own)
        recipe = {"recipe": self.of.recipe} if "recipe" in self.of.given else {}
        said = {name: value for name, value in flat(config).items() if name in self.said and name in config.given}
        kept = {name: value for name, value in (said | own).items() if not name.startswith(tuple(leave))}
        return yaml.safe_dump(nest(recipe | kept), sort_keys=False, allow_unicode=True)

    def require_sound(self) -> list[str]:
        """What to tell of keys that act in no run. Raises `UserError` for what cannot work, and for a key that was said
        and acts in none."""
        require_model(self.of.model.name)
        self._require_points()
        idle_in: list[dict[str, tuple[str, bool]]] = []
        for arm in self.config.arms:
            parts = [self.asked(arm)] if self.cold or "context" in self.config.points else []
            parts += [self.learning(arm)] if self.cold or self.grpo else []
            for own in parts:
                try:
                    config, left = self._part(own)
                    notes_on(config)
                except UserError as error:
                    raise UserError(f"arm {arm}: {error}") from None
                idle_in.append(left)
        notes = []
        for name in sorted(set.intersection(*map(set, idle_in))):
            why, told = idle_in[-1][name]
            if not told:
                raise UserError(f"{name} acts in no run of this experiment, because {why} (leave it out)")
            notes.append(f"{name} acts in no run of this experiment: {why}")
        return notes

    def _require_points(self) -> None:
        """Raise `UserError` for keys that every run is given, or that are of a point which is none of this
        experiment's."""
        needed = {name: point for name, point in OF_POINTS.items() if self.config.given.get(name) in ("line", "file")}
        for name in sorted(self.said):
            why = next((why for given, why in GIVEN.items() if f"{name}.".startswith(f"{given}.")), None)
            if why is not None:
                raise UserError(f"{name} must not be said of the runs of an experiment: {why}")
            if name.startswith(COLD) or name == "max_steps":
                needed[name] = "grpo" if name == "max_steps" else "cold"
        for name, point in needed.items():
            if point not in self.config.points:
                raise UserError(f"{name} cannot act here, because points has no {point} (leave it out)")
        if self.grpo and not self.of.max_steps:
            raise UserError("max_steps must be at least 1 with grpo among the points; got 0")
        if "benchmark_size" in self.config.given and not self.config.benchmarks:
            raise UserError("benchmark_size cannot act here, because there are no benchmarks (leave it out)")
        if "model.min_pixels" in self.said and self.config.benchmarks:
            raise UserError("model.min_pixels must not be said with benchmarks: nsrl eval has no such key")

    def _part(self, own: dict[str, Any]) -> tuple[TrainConfig, dict[str, tuple[str, bool]]]:
        """(the configuration of a run, what was said and cannot act in it: why, and whether that is merely told)."""
        config = build(TrainConfig, nest(flat(self.of) | own))
        config.given = {**self.of.given, **dict.fromkeys(own, "file")}
        left = {
            name: (why, rule.told) for rule, names, why in idle(config) for name in names
            if name in self.said and name not in own
        }  # fmt: skip
        config.given = {name: origin for name, origin in config.given.items() if name not in left}
        return config, left
