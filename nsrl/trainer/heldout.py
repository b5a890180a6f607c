"""What a model may be evaluated on: nothing that the run it comes from was trained on, nor the run that one came from.

A run's folder says what that was: its config.yaml and its checkpoint's state. Rows with a picture in common count as the
same, as in the run's own split.
"""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nsrl.config import EvalConfig, TrainConfig, from_yaml
from nsrl.data import load_problems, open_source
from nsrl.data.dedup import without
from nsrl.data.load import source_and_path
from nsrl.data.shapes import Shapes
from nsrl.errors import UserError
from nsrl.trainer.checkpoint import STATE
from nsrl.trainer.folder import CONFIG, check_writable
from nsrl.trainer.resume import PHASES, State, planned_steps
from nsrl.types import Problem

if TYPE_CHECKING:
    from nsrl.trainer.model import VLM


@dataclasses.dataclass(frozen=True)
class Trained:
    """A run up to one of its checkpoints."""

    config: TrainConfig
    state: State
    checkpoint: Path

    @property
    def held_out(self) -> int:
        """data.eval_size of its split."""
        return self.state.held_out or self.config.data.eval_size

    def shapes(self) -> Shapes:
        """The source of its pictures, with what it held out."""
        own = self.config.data.source == "shapes"
        return Shapes(self.config.data.level, self.config.seed, self.held_out if own else 0)

    def seen_shapes(self) -> set[tuple[str, str]]:
        """The contents it learned from, in every phase up to the checkpoint."""
        steps, at = planned_steps(self.config), PHASES.index(self.state.phase)
        done = {p: self.state.step if i == at else steps[p] * (i < at) for i, p in enumerate(PHASES)}
        size = self.config.warm_start.batch_size
        return self.shapes().seen(
            readings=done["reading"] * size,
            demonstrations=(done["warm_start"] + done["extra"]) * size,
            train=self.state.position if self.config.data.source == "shapes" else 0,
        )


def lineage(model: str) -> list[Trained]:
    """The run that a model (a run's or a checkpoint's folder) comes from, the run that one began with, and so on."""
    runs: list[Trained] = []
    folder = Path(model).expanduser()
    while str(folder) != "small" and folder.is_dir():
        folder = (folder / "latest" if (folder / "latest").exists() else folder).resolve()
        config = next((p / CONFIG for p in (folder, folder.parent) if (p / CONFIG).is_file()), None)
        if config is None or not (folder / STATE).is_file() or any(run.checkpoint == folder for run in runs):
            break
        kept = json.loads((folder / STATE).read_text())
        state = State(**{f.name: kept[f.name] for f in dataclasses.fields(State) if f.name in kept})
        runs.append(Trained(from_yaml(TrainConfig, config.read_text()), state, folder))
        folder = Path(runs[-1].config.model.name).expanduser()
    return runs


def choose(config: EvalConfig, vlm: VLM | None = None) -> tuple[list[Problem], str, list[str]]:
    """(problems, what they are, sentences on what was left out) for an evaluation of `config.model`.

    vlm: the model, which counts tokens: the run's own held-out problems are then those with prompts that it took.

    Where `config.data` is the data of the run itself, these are its own held-out problems; of any other data, all that
    the run has not learned from. Raises `UserError` when nothing is left.
    """
    runs = lineage(config.model)
    own = runs[0] if runs else None
    if config.data is not None:
        source, path = source_and_path(config.data)
    else:
        source, path = (own.config.data.source, own.config.data.path) if own else ("shapes", None)
    if source == "shapes":
        problems, name, notes = _shapes(config, runs)
    else:
        problems, notes = _rows(config, runs, source, path, vlm)
        name = f"{source}:{path}"
    if not problems:
        raise UserError(f"data: no problem of {name} is left that {config.model} was not trained on")
    return problems, name, notes


def place(model: str, name: str) -> tuple[Path | None, str]:
    """(file, "") for the completions of an evaluation of a run on `name`, in the run's folder; else (None, why not)."""
    runs = lineage(model)
    home = runs[0].checkpoint.parent if runs else None
    if home is None or not (home / CONFIG).is_file():
        return None, "not kept, for the model is not in a run folder (output=FILE.json keeps them)"
    words = re.sub(r"[^\w.-]+", "-", name).strip("-")
    path = home / "eval" / f"{runs[0].checkpoint.name}-on-{words}.parquet"
    try:
        path.parent.mkdir(exist_ok=True)
        check_writable(path, "output")
    except (OSError, UserError) as error:
        return None, f"not kept (output=FILE.json keeps them): {error}"
    return path, ""


def _shapes(config: EvalConfig, runs: list[Trained]) -> tuple[list[Problem], str, list[str]]:
    own = runs[0] if runs else None
    level = config.level if config.level is not None else own.config.data.level if own else 1
    seed = config.seed if config.seed is not None else own.config.seed if own else 0
    mine = own is not None and own.config.data.source == "shapes"
    size = config.size or (own.held_out if mine else 600)
    source, name = Shapes(level, seed, 0), f"shapes (level {level}, seed {seed})"
    same = mine and len(runs) == 1 and (own.config.data.level, own.config.seed) == (level, seed)
    if same and size <= own.held_out:  # what training leaves out
        return source.unseen(size, set()), name, []
    seen = set().union(*(run.seen_shapes() for run in runs))
    problems = source.unseen(size, seen)
    drawn = source.unseen(size, set())
    left_out = len({p.id for p in drawn} - {p.id for p in problems})
    notes = [f"{left_out} of {size} problems left out and replaced: the model was trained on them"] if left_out else []
    if len(problems) < size:
        notes.append(f"only {len(problems)} of {size} problems: hardly any others are left that the model was not trained on")
    return problems, name, notes


def _rows(
    config: EvalConfig, runs: list[Trained], source: str, path: str | None, vlm: VLM | None
) -> tuple[list[Problem], list[str]]:
    notes: list[str] = []
    problems: list[Problem] = []
    tested: Any = None
    for run in runs:
        data = run.config.data
        if data.source == "shapes":
            continue
        split = dataclasses.replace(data, eval_size=run.held_out)
        same = tested is None and source == data.source and _same(path, data.path)
        try:
            trained, held_out = load_problems(split, run.config.seed)
        except UserError as error:
            if same:
                raise
            notes.append(f"what it shares with the training data of {run.checkpoint} cannot be left out: {error}")
            continue
        if same:
            tested = held_out
            lengths = vlm.prompt_lengths(held_out) if vlm is not None else [0] * len(held_out)
            problems = list(held_out.fitting(lengths, data.max_prompt_length))
        elif tested is None:
            tested = open_source(f"{source}:{path}")
            problems = list(tested)
        kept = without(problems, trained)
        if len(kept) < len(problems):
            notes.append(f"{len(problems) - len(kept)} problems left out: the model was trained on them")
        problems = kept
    if tested is None:
        problems = list(open_source(f"{source}:{path}", size=config.size))
    return problems[: config.size], notes


def _same(path: str | None, other: str | None) -> bool:
    if path is None or other is None:
        return path == other
    return path == other or Path(path).expanduser().resolve() == Path(other).expanduser().resolve()
