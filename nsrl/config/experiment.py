"""The keys of `nsrl experiment`; every other word of its command line is a key of `nsrl train`, for all of its runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

from nsrl.config.keys import keys
from nsrl.config.recipes import recipe_title
from nsrl.config.schema import ONE_OR_MORE, SAMPLES, SEED, Given, TrainConfig
from nsrl.config.values import check_value
from nsrl.data.modes import MODES
from nsrl.errors import UserError, did_you_mean
from nsrl.userfiles import expanded
from nsrl_kernels.options import Bound

POINTS = ("context", "cold", "grpo")
ITS_OWN = {  # keys of nsrl train that an experiment gives each of its runs, and what says so instead
    "seed": "seeds",
    "prompt.mode": "arms",
    "warm_start.steps": "cold_steps",
    "output_dir": "folder",
    "resume": "the same command again",
    "resume_from_checkpoint": "the same command again",
    "stages": "points",
    "extra_supervised_steps": "points",
}
GROWING = ("arms", "seeds", "points", "benchmarks")  # what a folder may have more of when it is begun again
OF_A_CHECKPOINT = ("harvest_size", "harvest_samples", "benchmarks", "benchmark_size")


@dataclass
class ExperimentConfig:
    """Which language should a model think in: arms, from their context over a cold start to GRPO, in one table."""

    recipe: str = "default"
    """default, languages, paper (files of nsrl/recipes), a YAML file or a folder with recipe.yaml: keys of its runs,
    and in its group `experiment` those listed here."""

    folder: str | None = None
    """of the experiment (null: runs/experiment-RECIPE); begun again, it does what is missing: also further arms, seeds
    and points."""

    arms: list[str] = field(default_factory=lambda: ["answer", "cot", "sympy", "wolfram", "nsl", "any"])
    """what is compared: values of prompt.mode."""

    seeds: Annotated[list[int], SEED] = field(default_factory=lambda: [0, 1, 2])
    """of the runs; every arm has every seed."""

    points: list[str] = field(default_factory=lambda: list(POINTS))
    """where an arm is measured: context (asked with examples, nothing learned; not of the small model, which has
    learned nothing before), cold (after supervised steps), grpo."""

    against: list[str] = field(default_factory=lambda: ["sympy", "cot"])
    """arms with which the others are paired on the same problems; those that are none are passed over."""

    tokenizer: str | None = None
    """a tokenizer.json, a folder that has one, or a table of ranks (.tiktoken; experiment.md), in whose tokens what was
    reasoned is counted too (null: the run's own alone)."""

    cold_steps: Annotated[int | None, ONE_OR_MORE] = None
    """supervised steps of an arm (null: those of a run of the model)."""

    jobs: Annotated[int | None, ONE_OR_MORE] = None
    """runs at a time (null: one per CPU core without a GPU, else one)."""

    harvest_size: Annotated[int, ONE_OR_MORE] = 1000
    """training problems that a checkpoint is asked in the context of each arm; what it is right about are the lessons
    of the cold start."""

    harvest_samples: Annotated[int, SAMPLES] = 8
    """answers to each of them."""

    benchmarks: list[str] = field(default_factory=list)
    """data sets on which every arm of a checkpoint is evaluated too, at every point, each with a table of its own:
    SOURCE:PATH as in nsrl eval, or shapes."""

    benchmark_size: Annotated[int | None, Bound(least=1, why="null takes all")] = None
    """at most so many problems of each."""

    given: ClassVar[Given] = {}
    more: ClassVar[str] = (
        "Every key of nsrl train may follow, for all runs (nsrl train --help lists them): max_steps=60, data.level=2. "
        "Not those that an experiment gives each run itself: "
        + ", ".join(f"{name} ({said})" for name, said in ITS_OWN.items())
        + "."
    )

    def __post_init__(self) -> None:
        for name, key in keys(type(self)).items():
            check_value(key, getattr(self, name))
        for name, known in (("arms", MODES), ("against", MODES), ("points", POINTS)):
            for value in getattr(self, name):
                if value not in known:
                    raise UserError(
                        f"{name} must be among {', '.join(known)}; got {value!r}" + did_you_mean(value, known)
                    )
        for name in GROWING:
            values = getattr(self, name)
            if (not values and name != "benchmarks") or len(set(values)) < len(values):
                raise UserError(f"{name} must be at least one, each once; got {values}")

    @property
    def place(self) -> Path:
        """The folder."""
        return expanded(self.folder or f"runs/experiment-{recipe_title(self.recipe)}")


def split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """(the words of `nsrl experiment`, those of its runs) of a command line; recipe, files and --print_config are of
    both."""
    own, runs = [], []
    rest = list(words)
    ours, theirs = keys(ExperimentConfig), keys(TrainConfig)
    while rest:
        said = [rest.pop(0)]
        name, equals, _ = said[0].partition("=")
        dashed, name = name.startswith("-"), name.lstrip("-").replace("-", "_")
        asked = name in ("help", "h") and (dashed or not equals)
        flag = asked or name == "print_config" or (name in theirs and theirs[name].type is bool)
        if dashed and not equals and rest and (not flag or (not asked and rest[0].lower() in ("true", "false"))):
            said.append(rest.pop(0))
        if name in ours or asked or name in ("config", "print_config"):
            own += said
        if name not in ours or name == "recipe":
            runs += said if not asked else []
    return own, runs


def require_free(runs: TrainConfig) -> None:
    """Raise `UserError` for a key of the runs that the experiment gives each of them itself."""
    for name, instead in ITS_OWN.items():
        # how long a recipe's cold start is, is the number of cold_steps where nobody says one
        if name in runs.given and (runs.given[name], name) != ("recipe", "warm_start.steps"):
            raise UserError(
                f"{name} must not be said of the runs of an experiment, which gives it to each; {instead} says it"
            )
