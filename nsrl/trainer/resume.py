"""A resumed run stands where its checkpoint says; its folder is brought to that point before it goes on.

A run goes on in its own folder, or in a new one that then holds all it needs: the checkpoint, the metrics up to it, the
evaluations made on the way and the reference model. What lies behind the point (of another ending of the same run, its
checkpoints too) goes away: it is not of this run any more.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

from nsrl.config import TrainConfig
from nsrl.config.stages import Until, parse_until, planned_stages
from nsrl.data.sources import reads_out
from nsrl.engines.languages import LANGUAGES
from nsrl.errors import UserError
from nsrl.trainer import checkpoint
from nsrl.trainer.changes import own
from nsrl.trainer.folder import CONFIG
from nsrl.trainer.metrics import CLOCK_KEYS, cut_back
from nsrl.userfiles import expanded

PHASES = ("reading", "warm_start", "extra", "grpo")
BEHIND = ("summary.json", "report.html")  # of a run that had ended


@dataclasses.dataclass
class State:
    """Where a run stands; the JSON part of a checkpoint."""

    phase: str = "reading"
    step: int = 0  # steps done in that phase
    position: int = 0  # training problems taken by GRPO
    num_tokens: int = 0  # of all prompts and completions so far, a prompt once per completion
    held_out: int | None = None  # data.eval_size of the split that training excludes
    # digests of the rows it was trained on and of those held out; None: shapes, or not kept
    split: dict[str, str] | None = None
    # the runs its first weights come from (`heldout.began`); None: not kept, up to 0.1
    began: list[dict[str, Any]] | None = None
    rewards: dict[str, Any] = dataclasses.field(default_factory=dict)  # what stateful rewards remember
    shapes: dict[str, Any] = dataclasses.field(default_factory=dict)  # what shape functions remember
    draw: dict[str, Any] = dataclasses.field(default_factory=dict)  # what `draw` remembers
    # problems taken of each part, by stage, where `draw` takes them from parts
    drawn: dict[str, dict[str, int]] = dataclasses.field(default_factory=dict)
    monitor: dict[str, Any] = dataclasses.field(default_factory=dict)  # what the monitor knows of the categories
    best: dict[str, Any] | None = None  # the checkpoint of GRPO with the highest running accuracy: name, step, pass@1
    watched: list[float] = dataclasses.field(default_factory=list)  # what `until` compares, the latest values
    learned: dict[str, list[int]] = dataclasses.field(default_factory=dict)  # `Learned` of the supervised stage
    # steps and position of each stage begun so far, where the run had one to write them
    done: dict[str, list[int]] = dataclasses.field(default_factory=dict)
    row: dict[str, Any] | None = None  # the step's line of metrics.jsonl, written behind the checkpoint
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Order:
    """The learning stages of a run, by which its states are ordered."""

    names: tuple[str, ...]
    sampling: tuple[str, ...]
    """Those of GRPO."""

    @classmethod
    def of(cls, config: TrainConfig) -> Order:
        """That of a configuration."""
        learning = [stage for stage in planned_stages(config) if stage.kind != "evaluate"]
        if not learning:
            return cls(PHASES, ("grpo",))
        return cls(tuple(s.name for s in learning), tuple(s.name for s in learning if s.kind == "grpo"))

    def at(self, phase: str, step: int) -> tuple[int, int]:
        """What orders two states of one run."""
        return self.names.index(phase), step

    def sampled(self, state: State, before: str | None = None) -> int:
        """Steps of GRPO in all stages, or in those before one: files of steps are numbered through."""
        upto = self.names.index(state.phase if before is None else before) + (before is None)
        done = {**state.done, state.phase: [state.step, 0]}
        return sum(done.get(name, [0])[0] for name in self.names[:upto] if name in self.sampling)


def steps_done(config: TrainConfig, state: State) -> dict[str, int]:
    """Steps of each stage up to a state: those that were taken, where it ended before its count."""
    steps, order = planned_steps(config), Order.of(config).names
    at = order.index(state.phase)
    return {
        p: state.step if i == at else state.done.get(p, [steps[p]])[0] if i < at else 0 for i, p in enumerate(order)
    }


def until_of(config: TrainConfig, phase: str) -> tuple[Until | None, int]:
    """(what ends a stage before its count, the steps before that counts)."""
    for stage in planned_stages(config):
        if stage.name == phase:
            return stage.until, stage.least
    text = {"reading": config.warm_start.reading_until, "warm_start": warm_start_until(config)}.get(phase)
    return (None if text is None else parse_until(text, "supervised", phase)), 0


def is_over(config: TrainConfig, phase: str, state: State) -> bool:
    """Whether the stage that a state is in has no step left."""
    until, least = until_of(config, phase)
    met = until is not None and state.step >= max(1, least) and until.met(state.watched)
    return met or state.step >= planned_steps(config)[phase]


def schooling(config: TrainConfig) -> str:
    """The optimiser of supervised steps."""
    return config.warm_start.optimizer or ("muon" if config.model.name == "small" else "adamw")


def warm_start_until(config: TrainConfig) -> str | None:
    """What ends the steps on demonstrations before their count does."""
    warm = config.warm_start
    own = warm.until is not None or warm.steps is not None or config.model.name != "small"
    return warm.until if own else _schooling_of_small(config)[1]


def _schooling_of_small(config: TrainConfig) -> tuple[int, str | None]:
    """The warm start of the small model where nothing is said of it: steps at most, and what ends it before. AdamW's is
    that of 0.1."""
    if schooling(config) == "adamw":
        return 600, None
    return (800, "learned/worst >= 0.9") if any(map(config.taught.get, LANGUAGES)) else (300, None)


def planned_steps(config: TrainConfig) -> dict[str, int]:
    """Steps of each learning stage, at most."""
    if config.stages:
        return {stage.name: stage.steps for stage in planned_stages(config) if stage.kind != "evaluate"}
    steps = config.warm_start.steps
    if steps is None:
        steps = _schooling_of_small(config)[0] if config.model.name == "small" else 0
    return {
        "reading": config.warm_start.reading_steps if steps and reads_out(config.teacher.source) else 0,
        "warm_start": steps,
        "extra": config.extra_supervised_steps,
        "grpo": 0 if config.extra_supervised_steps else config.max_steps,
    }


def find(config: TrainConfig, folder: Path) -> Path | None:
    """The checkpoint to continue from; None for a new run, or one that ended before its first.

    Raises `UserError` where another run's checkpoint is to be continued in a folder that holds a run, and where no
    checkpoint is of the run as its metrics tell it.
    """
    last = checkpoint.latest(folder)  # refused where it is something else than a link
    if config.resume_from_checkpoint is None:
        return (last or _newest(folder)) if config.resume else None
    path = expanded(config.resume_from_checkpoint).resolve()
    if path.parent != folder.resolve() and (folder / "config.yaml").is_file():
        raise UserError(f"resume_from_checkpoint={config.resume_from_checkpoint} is of another run than the one in "
                        f"output_dir {str(folder)!r}; name a new folder, or go on with that one by --resume "
                        f"alone")  # fmt: skip
    return path


def _newest(folder: Path) -> Path | None:
    """Where the link `latest` is gone: the newest whole checkpoint that metrics.jsonl agrees with; None before the
    first."""
    file, rows = folder / "metrics.jsonl", []
    for line in file.read_text().splitlines() if file.is_file() else []:
        with contextlib.suppress(ValueError):  # the line a kill cut off
            rows.append(json.loads(line))
    found = checkpoint.kept(folder)
    config = own(folder / CONFIG)
    order = Order.of(config)
    for path in sorted(found, key=lambda p: _at(order, found[p]), reverse=True):
        if _agrees(order, found[path], rows):
            with contextlib.suppress(UserError):
                checkpoint.require_whole(path)
                return path
    first = min([config.save_steps, *[steps for steps in planned_steps(config).values() if steps][:1]])
    if found or len(rows) > first:  # the step behind the first checkpoint comes after it
        raise UserError(f"resume: {str(folder / 'latest')!r} is missing, and no whole checkpoint beside it is of the "
                        f"run that "
                        "metrics.jsonl tells of; name one by resume_from_checkpoint, or another "
                        "output_dir")  # fmt: skip
    return None


def _at(order: Order, state: dict[str, Any]) -> tuple[int, int]:
    return order.at(state["phase"], state["step"])


def _agrees(order: Order, state: dict[str, Any], rows: list[dict[str, Any]]) -> bool:
    """Whether a checkpoint's step is the one that its line tells of, or the one whose line was still to be written."""
    at = lambda row: _at(order, row)
    line = next((row for row in reversed(rows) if at(row) == at(state)), None)
    if line is not None:
        kept = (state.get("row") or {}).items()  # none up to 0.1
        return all(line.get(key) == value for key, value in kept if not key.startswith(CLOCK_KEYS))
    phase, step = at(state)
    return not rows or (at(rows[-1]) < (phase, step) and (step == 1 or at(rows[-1]) == (phase, step - 1)))


def has_ended(config: TrainConfig, state: State) -> bool:
    """Whether no step is left to do."""
    steps, names = planned_steps(config), Order.of(config).names
    last = next((phase for phase in reversed(names) if steps[phase]), names[0])
    return names.index(state.phase) > names.index(last) or (state.phase == last and is_over(config, last, state))


def check_steps(config: TrainConfig, state: State) -> None:
    """Raise `UserError` when fewer steps are asked for than are done."""
    known = {"grpo": ("max_steps", config.max_steps),
             "extra": ("extra_supervised_steps", config.extra_supervised_steps)}  # fmt: skip
    key, wanted = ("", state.step) if config.stages else known.get(state.phase, ("", state.step))
    if wanted < state.step:
        raise UserError(f"{key} must be at least {state.step}, the steps already done; got {wanted} "
                        "(resume_from_checkpoint goes back to an earlier one)")  # fmt: skip


def rewind(folder: Path, found: Path | None, config: TrainConfig, state: State) -> None:
    """Bring the folder to where the run stands: main rank only, and only when nothing can be refused any more.

    found: the checkpoint it goes on from. Where no step is left to do, what the end wrote is still true.
    """
    order, ended = Order.of(config), has_ended(config, state)
    now = order.at(state.phase, state.step)
    if found is not None and found.parent.resolve() != folder.resolve():
        _adopt(folder, found)
    if found is not None:  # first of all: whatever ends this process now, the run goes on from the same point
        checkpoint.point(folder / "latest", found.name)
        for path, kept in checkpoint.kept(folder).items():
            if _at(order, kept) > now:
                shutil.rmtree(path)
    rows = folder / "metrics.jsonl"
    cut_back(rows, state.phase, state.step, order.names)
    if found is not None and state.row is not None:
        last = [json.loads(line) for line in rows.read_text().splitlines()[-1:]] if rows.exists() else []
        if not last or (last[0]["phase"], last[0]["step"]) != (state.phase, state.step):  # killed before it was written
            with rows.open("a") as file:
                file.write(json.dumps(state.row) + "\n")
    evaluated = {stage.name for stage in planned_stages(config) if stage.kind == "evaluate"}
    for file in folder.glob("eval/*.json"):
        midway = re.fullmatch(r"(?:step|" + "|".join(order.names) + r")_\d+", file.stem)
        if midway or file.stem in ("warm_start", "final") or file.stem in evaluated:
            of = json.loads(file.read_text()).get("of")
            at = _at(order, of) if of else (-1 if file.stem == "warm_start" else 99, 0)
            if at > now or (file.stem == "final" and not ended):
                _put_aside(file)
    for file in folder.glob("eval/checkpoint-*-on-*.parquet"):  # what `nsrl.eval` kept of a checkpoint
        if of := re.match(r"checkpoint-(?:([a-z][a-z0-9-]*)-)?(\d+)-on-", file.name):
            phase = (of[1] or "grpo").replace("-", "_")
            if phase in order.names and order.at(phase, int(of[2])) > now:
                file.unlink()
    for file in folder.glob("completions/step_*.parquet"):
        if int(file.stem.removeprefix("step_")) > order.sampled(state):
            file.unlink()
    if not ended:
        for name in BEHIND:
            (folder / name).unlink(missing_ok=True)


def _adopt(folder: Path, found: Path) -> None:
    """Copy what the run needs from the folder it was in; the checkpoint comes last and in one step."""
    home = found.parent
    if (home / "metrics.jsonl").is_file():
        shutil.copyfile(home / "metrics.jsonl", folder / "metrics.jsonl")
    for name in ("eval", "reference"):
        if (home / name).is_dir():
            shutil.copytree(home / name, folder / name, ignore=shutil.ignore_patterns("later"), dirs_exist_ok=True)
    checkpoint.write_folder(folder / found.name, lambda working: shutil.copytree(found, working, dirs_exist_ok=True))


def _put_aside(file: Path) -> None:
    """Into eval/later/: if the run comes by with the very same weights, it is taken back instead of done again."""
    later = file.parent / "later"
    later.mkdir(exist_ok=True)
    for path in (file, file.with_suffix(".parquet")):
        if path.exists():
            os.replace(path, later / path.name)
