"""Stages of a run as they are configured: what each one does, until when, and which keys it has otherwise.

An entry of `stages` is a mapping: keys of its own (`StageConfig`), and any key of the run that is not of the run as a
whole, nested or dotted. Each stage has a whole configuration of its own, checked as the run's is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from nsrl.config.draw import divided
from nsrl.config.keys import build, entry_of, first_key, flat, groups, keys, known_keys, nest
from nsrl.config.names import unknown_key
from nsrl.config.schedules import widest
from nsrl.config.values import as_text, check_value, value_of
from nsrl.data.sources import is_made, reads_out
from nsrl.errors import UserError
from nsrl_kernels.options import Bound

WINDOW = 20  # steps over which what every step measures is smoothed
EVERY = 25  # steps between evaluations midway that an `until` asks for
EVALUATED = ("eval/accuracy", "eval/greedy_accuracy", "eval/pass_at_n", "eval/worst_category")
MEASURED = {
    "supervised": ("loss", "learned/worst"),
    "grpo": (
        "reward", "frac_reward_zero_std", "pass@1", "pass@k", "kl", "entropy", "completions/mean_length",
        "completions/clipped_ratio", "program/has_code", "program/no_error",
    ),
}  # fmt: skip
OF_THE_DEFAULT = (  # the numbers of the list of stages that stands where none is given
    "max_steps", "extra_supervised_steps", "warm_start.steps", "warm_start.reading_steps", "warm_start.until",
    "warm_start.reading_until",
)  # fmt: skip
OF_THE_RUN = (
    # its folder is one
    "recipe", "output_dir", "resume", "resume_from_checkpoint", "stages", "report_to", "save_total_limit", "save_best",
    # opened once, for all stages
    "model", "engine", "rollout", "vllm", "parallel", "threads", "data.picture_memory_mb", "data.picture_threads",
    "preflight", "turns",
    "lora",  # what was learned belongs to it
    "seed",  # everything is drawn from it
    "data.eval_size", "eval_samples",  # evaluations before and after are of the same
    *OF_THE_DEFAULT,
)  # fmt: skip
UNBOUNDED = ("loss", "reward", "kl", "entropy", "completions/mean_length")  # all other metrics are shares of 1
JOINED = {  # what the optimiser that joined stages share was made with
    "supervised": ("warm_start.learning_rate", "warm_start.optimizer", "max_grad_norm"),
    "grpo": (
        "learning_rate", "lr_scheduler_type", "warmup_steps", "weight_decay", "adam_beta2", "noise_gate",
        "max_grad_norm", "num_iterations", "mini_batches",
    ),
}  # fmt: skip
_UNTIL = re.compile(r"([\w/@]+)\s*(<=|>=|<|>)\s*([-+]?[\d.]+(?:e[-+]?\d+)?)(?:\s+every\s+(\d+))?", re.IGNORECASE)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
_MEASURED_NAMES = re.compile(r"warm_start|final|step_\d+|later")  # of evaluations that every run makes


@dataclass
class StageConfig:
    """A stage's own keys."""

    name: str
    """small letters, digits and underscores; it stands in metrics, checkpoints and evaluations."""

    kind: Literal["supervised", "grpo", "evaluate"]
    """learn demonstrations, learn from rewards, or evaluate the held-out problems."""

    steps: Annotated[int | None, Bound(least=1)] = None
    """optimiser steps (null: `until` ends it)."""

    until: str | None = None
    """METRIC <= NUMBER or >=: what ends it."""

    min_steps: Annotated[int, Bound(least=0)] = 0
    """with until: at least so many."""

    max_steps: Annotated[int | None, Bound(least=1)] = None
    """with until: at most so many."""

    joins: str | None = None
    """the learning stage directly before, of the same kind, whose optimiser, schedule, stream, rewards' memory and
    reference it goes on with (null: all of them new)."""

    readings: bool = False
    """of supervised: pictures of shapes merely read out."""


@dataclass(frozen=True)
class Until:
    """A metric compared with a number. every: steps between evaluations; 0: it is measured in every step."""

    metric: str
    sign: str
    number: float
    every: int

    def first(self, least: int) -> int:
        """The step behind which it can be met at the earliest; least: steps before it counts."""
        return max(self.every, -(-least // self.every) * self.every) if self.every else max(WINDOW, least)

    def met(self, watched: Sequence[float]) -> bool:
        """watched: the metric's latest values in the stage, of evaluations or of steps; those of steps are averaged
        over the last `WINDOW`, and say nothing before there are as many."""
        if not watched or (not self.every and len(watched) < WINDOW):
            return False
        value = watched[-1] if self.every else sum(watched[-WINDOW:]) / WINDOW
        signs = {"<=": value <= self.number, ">=": value >= self.number}
        return {**signs, "<": value < self.number, ">": value > self.number}[self.sign]


@dataclass(frozen=True)
class Planned:
    """A stage that is configured. steps: at most; least: before `until` counts; config: the run's, as this stage has
    it."""

    name: str
    kind: str
    steps: int
    until: Until | None
    least: int
    joins: str | None
    readings: bool
    config: Any


def parse_until(text: str, kind: str, name: str) -> Until:
    """`loss <= 0.3`, `eval/accuracy >= 0.8 every 10`. kind: of the stage; name: of the key. Raises `UserError`."""
    found = _UNTIL.fullmatch(text.strip())
    if found is None:
        raise UserError(
            f"{name} must be METRIC <= NUMBER or METRIC >= NUMBER, for eval/… with `every STEPS` behind it; got "
            f"{text!r}"
        )
    metric, sign, number, every = found.groups()
    known = (*MEASURED[kind], *EVALUATED)
    if metric not in known:
        raise UserError(f"{name} must compare one of {', '.join(known)}; got {metric!r}")
    if every is not None and (metric not in EVALUATED or int(every) < 1):
        raise UserError(
            f"{name}: `every` says how many steps lie between evaluations, of eval/… alone, at least 1; got {text!r}"
        )
    try:
        value = float(number)
    except ValueError:
        raise UserError(f"{name} must compare with a number; got {number!r}") from None
    if not math.isfinite(value) or (metric not in UNBOUNDED and not 0 <= value <= 1):
        what = "a finite number" if metric in UNBOUNDED else f"a share from 0 to 1, as {metric} is"
        raise UserError(f"{name} must compare with {what}; got {number}")
    return Until(metric, sign, value, int(every or EVERY) if metric in EVALUATED else 0)


def typed(kind: type[Any], entries: Sequence[Any]) -> list[dict[str, Any]]:
    """`stages` with values of their keys' types, nested, from texts or values. Raises `UserError`."""
    done = []
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, Mapping):
            raise UserError(f"stages must be a list of mappings with name and kind; got {str(entry)[:60]!r}")
        where = f"stage {entry.get('name', number)!r}: "
        own, others = keys(StageConfig), keys(kind)
        values: dict[str, Any] = {}
        try:
            for name, value in _flattened(kind, {n: v for n, v in entry.items() if n not in own}):
                values[name] = value_of(others[name], as_text(value))
            said = {n: value_of(own[n], as_text(v)) for n, v in entry.items() if n in own}
            for name, value in said.items():
                check_value(own[name], value)
        except UserError as error:
            raise UserError(f"{where}{error}") from None
        for name in ("name", "kind"):
            if name not in said:
                raise UserError(f"{where}{name} must be given; got none")
        for name in values:
            if any(f"{name}.".startswith(f"{of}.") for of in OF_THE_RUN):
                raise UserError(
                    f"{where}{name} is of the whole run and cannot differ between stages; give it beside `stages`"
                )
            if said["kind"] == "evaluate" and not name.startswith("prompt."):
                raise UserError(
                    f"{where}{name} cannot act in a stage that only evaluates: its evaluation is the run's, but for "
                    f"`prompt`"
                )
        done.append(said | nest(values))
    _fit_together([StageConfig(**{n: v for n, v in e.items() if n in keys(StageConfig)}) for e in done])
    return done


def _fit_together(stages: Sequence[StageConfig]) -> None:
    names: set[str] = set()
    before: StageConfig | None = None
    for stage in stages:
        where = f"stage {stage.name!r}: "
        if not _NAME.fullmatch(stage.name) or stage.name in names or stage.name == "latest":
            raise UserError(
                f"{where}name must be small letters, digits and underscores, and its own, at most 60; got "
                f"{stage.name!r}"
            )
        names.add(stage.name)
        if stage.kind == "evaluate":
            idle = [
                n for n, v in vars(stage).items() if n not in ("name", "kind") and v != keys(StageConfig)[n].default
            ]
            if idle:
                raise UserError(f"{where}{idle[0]} cannot act in a stage that only evaluates (leave it out)")
            if _MEASURED_NAMES.fullmatch(stage.name):
                raise UserError(f"{where}name is that of an evaluation every run makes; choose another")
            continue
        if (stage.steps is None) == (stage.until is None):
            raise UserError(
                f"{where}either steps or until must be given; got {'none' if stage.steps is None else 'both'}"
            )
        if stage.until is None and (stage.min_steps or stage.max_steps is not None):
            raise UserError(f"{where}min_steps and max_steps are for a stage with until")
        if stage.until is not None:
            parse_until(stage.until, stage.kind, f"{where}until")
            if stage.max_steps is None or stage.max_steps < stage.min_steps:
                raise UserError(
                    f"{where}max_steps must be given with until, at least min_steps ({stage.min_steps}); got "
                    f"{stage.max_steps}"
                )
        if stage.readings and stage.kind != "supervised":
            raise UserError(f"{where}readings is for kind=supervised; got kind={stage.kind}")
        if stage.joins is not None and (before is None or (before.name, before.kind) != (stage.joins, stage.kind)):
            there = "none" if before is None else f"{before.name} ({before.kind})"
            raise UserError(
                f"{where}joins must name the learning stage before it, of the same kind; that is {there}, got "
                f"{stage.joins!r}"
            )
        before = stage
    if stages and before is None:
        raise UserError("stages must have one that learns; got none")


def planned_stages(config: Any) -> list[Planned]:
    """The stages of a run's configuration, each with its own. Raises `UserError`, with the stage's name, for values
    that do not go together."""
    own = keys(StageConfig)
    found: list[Planned] = []
    for entry in config.stages:
        stage = StageConfig(**{n: v for n, v in entry.items() if n in own})
        steps = stage.steps or stage.max_steps or 0
        others = dict(_flattened(type(config), {n: v for n, v in entry.items() if n not in own}))
        values = flat(config) | others | dict.fromkeys(OF_THE_DEFAULT) | {
            "stages": [], "extra_supervised_steps": 0, "warm_start.reading_steps": 0,
            "warm_start.steps": steps if stage.kind == "supervised" else 0,
            "max_steps": steps if stage.kind == "grpo" else 0,
        }  # fmt: skip
        try:
            whole = build(type(config), nest(values))
        except UserError as error:
            raise UserError(f"stage {stage.name!r}: {error}") from None
        whole.given = dict.fromkeys(others, "file")
        until = None if stage.until is None else parse_until(stage.until, stage.kind, "until")
        whole.evaluates = until is not None and until.every > 0
        joined = next((one.config for one in found if one.name == stage.joins), whole)
        if joined.train != whole.train:
            raise UserError(
                f"stage {stage.name!r}: train must be as in {stage.joins}, whose optimiser it goes on with "
                f"({joined.train}); got {whole.train}"
            )
        found.append(Planned(stage.name, stage.kind, steps, until, stage.min_steps, stage.joins, stage.readings, whole))
    return found


def never_asked(until: Until, least: int, steps: int) -> str | None:
    """Why a condition cannot end `steps` steps before their count; None where it can. least: steps before it counts."""
    first = until.first(least)
    if first < steps:
        return None
    return f"{until.metric} is asked first behind step {first}, and at most {steps} steps are done"


def other_sources(config: Any) -> tuple[str, ...]:
    """The sources besides shapes that make problems of a run, in any of its stages: a built-in model knows their
    words."""
    each = [config, *(stage.config for stage in planned_stages(config))]
    drawn = [data.source for one in each for data in divided(one.draw, one.data).values()]
    used = [s for one in each for s in (one.data.source, one.teacher.source) if is_made(s)] + [*filter(is_made, drawn)]
    return tuple(sorted(set(used) - {"shapes"}))


def require_fitting(stages: Sequence[Planned]) -> list[str]:
    """What to tell of conditions that are never asked. Raises `UserError` for readings of what cannot be read
    out, and for a stage that would have otherwise what it goes on with."""
    notes: list[str] = []
    by_name = {stage.name: stage for stage in stages}
    for stage in stages:
        where, before = f"stage {stage.name!r}: ", by_name.get(stage.joins or "")
        if stage.until is not None and (why := never_asked(stage.until, stage.least, stage.steps)):
            notes.append(f"{where}until cannot act in this run: {why}")
        if stage.until is not None and stage.until.metric == "kl" and not widest(stage.config).beta:
            raise UserError(f"{where}until must not compare kl where beta is 0, because no reference is kept")
        if stage.readings and not reads_out(stage.config.teacher.source):
            rows = stage.config.teacher.path or stage.config.teacher.source
            raise UserError(
                f"{where}readings are of pictures that can be read out, as those of shapes; got the rows of {rows}"
            )
        if before is None:
            continue
        mine, its = (
            {**flat(of), "schedules.learning_rate": of.schedules.get("learning_rate")}
            for of in (stage.config, before.config)
        )
        for name in (*JOINED[stage.kind], *(["schedules.learning_rate"] if stage.kind == "grpo" else [])):
            if mine[name] != its[name]:
                raise UserError(
                    f"{where}{name} must be as in {before.name!r}, whose optimiser it goes on with ({its[name]}); got "
                    f"{mine[name]}"
                )
        if stage.kind == "grpo" and widest(stage.config).beta and not widest(before.config).beta:
            raise UserError(
                f"{where}beta must be 0 as in {before.name!r}, which it joins and which keeps no reference; got "
                f"{widest(stage.config).beta}"
            )
    return notes


def _flattened(kind: type[Any], content: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Nested or dotted keys to dotted ones; entries of a mapping are put together."""
    known, inner = keys(kind), groups(kind)
    entries: dict[str, dict[str, Any]] = {}
    for last, value in content.items():
        name = f"{before}{last}"
        if name in inner and isinstance(value, Mapping):
            yield from _flattened(kind, value, f"{name}.")
        elif name in known:
            yield name, value
        elif found := entry_of(known, name):
            entries.setdefault(found[0], {})[found[1]] = value
        elif name in inner:
            raise UserError(f"{name} is a group of keys, {first_key(kind, name)} and others; got {value!r}")
        else:
            raise UserError(unknown_key(name, [*known_keys(kind), *keys(StageConfig)]))
    yield from entries.items()
