"""A model may be evaluated on nothing that the run it comes from was trained on, nor the run that one came from.

A run's folder says what that was: its config.yaml and its checkpoint's state, which also keeps what the runs before it
were, so that they may go. Rows with a picture in common count as the same, as in the run's own split.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import json
import re
from collections.abc import Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nsrl.config import DataConfig, EvalConfig, HarvestConfig, TrainConfig, from_yaml, plain
from nsrl.config.draw import divided
from nsrl.config.stages import planned_stages
from nsrl.data import Problems, content_key, load_problems, open_source
from nsrl.data.dedup import picture_keys, without
from nsrl.data.demonstrations import load_demonstrations
from nsrl.data.made import name_of, noise_of, opened
from nsrl.data.procedural import Content, Procedural
from nsrl.data.source import Rows, Source
from nsrl.data.sources import is_made, source_and_path
from nsrl.errors import UserError
from nsrl.rewards import Verifiers
from nsrl.trainer.checkpoint import STATE
from nsrl.trainer.distributed import ALONE, World
from nsrl.trainer.folder import CONFIG, check_writable, settings_of
from nsrl.trainer.pools import pools
from nsrl.trainer.problems import read_data, read_demonstrations, split_digests
from nsrl.trainer.resume import State, planned_steps, steps_done
from nsrl.types import Problem
from nsrl.userfiles import expanded

if TYPE_CHECKING:
    from nsrl.models.vlm import VLM

EVALUATIONS = "evaluations"  # where completions are kept of models that are in no run


@dataclasses.dataclass(frozen=True)
class Trained:
    """A run up to one of its checkpoints."""

    config: TrainConfig
    state: State
    checkpoint: Path

    @property
    def chose_unseen(self) -> bool:
        """Whether it held out nothing that the runs before it had learned from (up to version 0.1 it was not looked
        at)."""
        return self.state.began is not None

    @property
    def held_out(self) -> int:
        """data.eval_size of its split."""
        return self.state.held_out or self.config.data.eval_size

    def _legs(self) -> list[Leg]:
        """What it took from the stream of each stage."""
        done, config = steps_done(self.config, self.state), self.config
        size = config.warm_start.batch_size
        if not config.stages:
            shown = (done["warm_start"] + done["extra"]) * size
            return [Leg(config, done["reading"] * size, shown, self._taken("grpo", self.state.position))]
        legs: list[Leg] = []
        for stage in planned_stages(config):
            steps = done.get(stage.name, 0)
            taken = (
                self.state.position if stage.name == self.state.phase else self.state.done.get(stage.name, [0, 0])[1]
            )
            size = steps * stage.config.warm_start.batch_size
            shown = size + (legs[-1].demonstrations if stage.joins and legs else 0)
            grpo = stage.kind == "grpo"
            parts = self._taken(stage.name, taken) if grpo else {}
            legs.append(Leg(stage.config, size * stage.readings, shown * (not grpo and not stage.readings), parts))
        return legs

    def _taken(self, stage: str, position: int) -> dict[str, int]:
        """Problems of each part that a stage of GRPO has taken, those passed over too."""
        return self.state.drawn.get(stage) or ({"": position} if position else {})

    def learned(self, train: Sequence[Problem] = (), test: Sequence[Problem] = ()) -> list[Problem]:
        """The problems of rows that it learned from, given its split. Raises `UserError` where they cannot be read."""
        taken: list[Problem] = []
        for leg in self._legs():
            data, teacher = leg.config.data, leg.config.teacher
            if leg.problems and not is_made(data.source):
                taken += train if data == self.config.data else without(load_problems(data, self.config.seed)[0], test)
            if leg.demonstrations and not is_made(teacher.source):
                taken += without((one.problem for one in load_demonstrations(teacher)[0]), test)
        return taken

    def seen_made(self, before: Set[Content]) -> set[Content]:
        """The contents of made problems it learned from, in every stage up to the checkpoint; before: those of the runs
        before it."""
        run, own = self.config, None
        if is_made(run.data.source):
            own = _made(run.data, run.seed, self.held_out, before if self.chose_unseen else frozenset())
        excluded = own.test() if own is not None else []
        seen: set[Content] = set()
        for leg in self._legs():
            data, teacher, seed = leg.config.data, leg.config.teacher, leg.config.seed
            parts = divided(leg.config.draw, data) if is_made(data.source) else {}
            for part, taken in leg.problems.items():
                if part in parts and taken:
                    seen |= _same_or_made(own, parts[part], seed, excluded).seen(train=taken)
            if (leg.readings or leg.demonstrations) and is_made(teacher.source):
                source = _same_or_made(own, teacher, seed, excluded)
                seen |= source.seen(readings=leg.readings, demonstrations=leg.demonstrations)
        return seen


@dataclasses.dataclass(frozen=True)
class Leg:
    """A stage of a run that was, and how much of each of its streams it took; problems: of each part."""

    config: TrainConfig
    readings: int
    demonstrations: int
    problems: dict[str, int]


def lineage(model: str) -> list[Trained]:
    """The run that a model (a run's or a checkpoint's folder) comes from, the run that one began with, and so on."""
    runs: list[Trained] = []
    folder = expanded(model)
    while str(folder) != "small" and folder.is_dir():
        folder = (folder / "latest" if (folder / "latest").exists() else folder).resolve()
        config = next((p / CONFIG for p in (folder, folder.parent) if (p / CONFIG).is_file()), None)
        if config is None or not (folder / STATE).is_file() or any(run.checkpoint == folder for run in runs):
            break
        state = _state(json.loads((folder / STATE).read_text()))
        runs.append(Trained(from_yaml(TrainConfig, config.read_text()), state, folder))
        if state.began is not None:
            return runs + restored(state)
        folder = expanded(runs[-1].config.model.name)
    return runs


def began(model: str) -> list[dict[str, Any]]:
    """The lineage of a model as a run that begins with it keeps it, in JSON: it holds when those folders are gone."""
    kept = []
    for run in lineage(model):
        config, path = plain(run.config), run.config.data.path
        if path is not None and expanded(path).exists():
            config["data"]["path"] = str(expanded(path).resolve())
        state = dataclasses.replace(run.state, rewards={}, row=None, seconds={}, began=[] if run.chose_unseen else None)
        kept.append({"config": config, "state": dataclasses.asdict(state), "checkpoint": str(run.checkpoint)})
    return kept


def restored(state: State) -> list[Trained]:
    """The runs before one in this state, the latest first: the inverse of `began`."""
    return [Trained(from_yaml(TrainConfig, json.dumps(kept["config"])), _state(kept["state"]), Path(kept["checkpoint"]))
            for kept in state.began or []]  # fmt: skip


def lost(runs: list[Trained]) -> list[str]:
    """A sentence where a run of the lineage began with a folder that is gone, so that nobody knows what it learned
    from."""
    name = runs[-1].config.model.name if runs and not runs[-1].chose_unseen else "small"
    local = name.startswith((".", "/", "~")) or name.count("/") != 1 or Path(name).name.startswith("checkpoint-")
    if name == "small" or not local or expanded(name).is_dir():
        return []
    return [
        f"{name!r}, which {runs[-1].checkpoint} began with, is not there any more: what that was trained on cannot be "
        f"left out"
    ]


@dataclasses.dataclass(frozen=True)
class OwnData:
    """What a run learns from and is measured on.

    source: of its problems; teacher: of the demonstrations before GRPO; held_out: its test problems; longest: training
    rows from the longest prompt down (none where the source makes them on the spot); taught: so of demonstrations;
    pools: the sources that problems are drawn from, by part.
    """

    source: Source
    teacher: Source
    held_out: list[Problem]
    longest: list[Problem]
    taught: list[Problem] = dataclasses.field(default_factory=list)
    pools: dict[str, Source] = dataclasses.field(default_factory=dict)


def own_data(config: TrainConfig, state: State, vlm: VLM, world: World = ALONE) -> OwnData:
    """The data of a run. Nothing that the runs before it learned from is held out.

    state: where it stands; it learns what rows these are (`split`).
    """
    runs = restored(state)
    size = state.held_out or config.data.eval_size
    if is_made(config.data.source):
        source = _made(config.data, config.seed, size, _seen_made(runs))
        teacher, taught = _teacher(config, [source], source.test(), vlm, world)
        return OwnData(source, teacher, source.test(), [], taught, _pools(config, source, source, source.test()))
    splits, taken = _splits(runs)
    for before, found in splits:
        if isinstance(found, UserError) and world.is_main:
            print(
                f"what {before.checkpoint} was trained on cannot be left out of the held-out problems: {found}",
                flush=True,
            )
    data = dataclasses.replace(config.data, eval_size=size)
    train, test, longest, state.split = read_data(data, vlm, world, taken)
    Verifiers(config.paid.verifiers).require([*train, *test])
    source = Rows(train, test, config.seed)
    teacher, taught = _teacher(config, [source], list(test), vlm, world)
    return OwnData(source, teacher, list(test), longest, taught, _pools(config, source, source, list(test)))


def stage_data(config: TrainConfig, run: TrainConfig, own: OwnData, vlm: VLM, world: World = ALONE) -> OwnData:
    """The data of a stage: of the run's where they are the same, and without what the run holds out.

    config: the run's, as the stage has it; own: the run's data; vlm: asked as the stage is.
    """
    if config.data == run.data and (is_made(run.data.source) or config.prompt == run.prompt):
        source, longest = own.source, own.longest
    elif is_made(config.data.source):
        excluded = own.held_out if isinstance(own.source, Procedural) else []
        source, longest = _made(config.data, config.seed, excluded=excluded), []
    else:
        train, _, ordered, _ = read_data(config.data, vlm, world)
        Verifiers(config.paid.verifiers).require(train)
        kept = without(train, own.held_out)
        ids = {problem.id for problem in kept}
        source, longest = Rows(kept, (), config.seed), [problem for problem in ordered if problem.id in ids]
    teacher, taught = _teacher(config, [source, own.source], own.held_out, vlm, world)
    return OwnData(source, teacher, own.held_out, longest, taught, _pools(config, source, own.source, own.held_out))


def _pools(config: TrainConfig, source: Source, own: Source, held_out: list[Problem]) -> dict[str, Source]:
    """What problems are drawn from. source: of the stage; own: of the run, which holds some out."""
    mine = own if isinstance(own, Procedural) else None
    return pools(config, source, lambda data: _same_or_made(mine, data, config.seed, held_out if mine else []))


def _teacher(
    config: TrainConfig, sources: list[Source], held_out: list[Problem], vlm: VLM, world: World
) -> tuple[Source, list[Problem]]:
    """(what supervised steps learn from, without what is held out; its rows from the longest prompt down).

    sources: of the problems, and of the run's, which holds some out; the first makes the demonstrations where no other
    source is named.
    """
    if is_made(config.teacher.source):
        own = sources[0] if isinstance(sources[0], Procedural) else None
        excluded = held_out if isinstance(sources[-1], Procedural) else []
        return _same_or_made(own, config.teacher, config.seed, excluded), []
    steps = planned_steps(config)
    if not (steps.get("warm_start") or steps.get("extra")):
        return sources[0], []
    found = read_demonstrations(config, held_out, vlm, world)
    lengths = {one.problem.id: int(n) for one, n in zip(found, vlm.prompt_lengths([one.problem for one in found]))}
    taught = sorted((one.problem for one in found), key=lambda p: -lengths[p.id])
    return Rows([], seed=config.seed, demonstrated=found), taught


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
    if is_made(source):
        problems, name, notes = _chosen(config, runs, source)
    else:
        problems, notes = _rows(config, runs, source, path, vlm)
        name = f"{source}:{path}"
    if not problems:
        raise UserError(f"data: no problem of {name} is left that {config.model} was not trained on")
    return problems, name, lost(runs) + notes


def is_own(config: EvalConfig) -> bool:
    """Whether `choose` gives held-out problems of the run itself, the first ones of them."""
    runs = lineage(config.model)
    said = (config.data, config.seed, config.level, config.noise, config.occlusion, config.contrast)
    return bool(runs) and set(said) == {None} and (config.size or 0) <= runs[0].held_out


def verifiers_of(config: EvalConfig | HarvestConfig) -> Verifiers:
    """Who says what is right: as the command says, else as the run that the model is of, on that run's data."""
    runs = lineage(config.model) if config.data is None else []
    return Verifiers(config.verifiers or (runs[0].config.paid.verifiers if runs else {}))


def identity(model: str, name: str, problems: Sequence[Problem]) -> dict[str, Any]:
    """Which model and which problems, in JSON."""
    runs = lineage(model)
    digest = hashlib.sha256("".join(map(content_key, problems)).encode()).hexdigest()[:16]
    return {
        "model": str(runs[0].checkpoint.name if runs else model),
        "data": name,
        "size": len(problems),
        "problems": digest,
    }


def settings(config: EvalConfig, name: str, problems: list[Problem], **resolved: Any) -> dict[str, Any]:
    """What the completions of an evaluation on `name` depend on, in JSON; resolved: what stands in place of null and
    auto."""
    samples = config.samples if config.temperature else 1
    given = {"samples": samples, "temperature": config.temperature, "max_pixels": config.max_pixels}
    kept = identity(config.model, name, problems)
    return {**kept, **given, **resolved, "engine": dataclasses.asdict(config.engine)}


def place(model: str, name: str, made: dict[str, Any]) -> Path:
    """The file for the completions of an evaluation on `name`: in the folder of the model's run, else (a checkpoint in
    no run, a folder that cannot be written) in `EVALUATIONS` of the working directory.

    made: their settings, in which the model then stands as a path. A file of other settings is not replaced: this one
    then has a number behind its name. Raises `UserError` where there is no place.
    """
    runs = lineage(model)
    home = runs[0].checkpoint.parent if runs else None
    if runs and home is not None and (home / CONFIG).is_file():
        with contextlib.suppress(OSError, UserError):
            return _free(home / "eval", runs[0].checkpoint.name, name, made)
    made["model"] = str(expanded(model).resolve()) if expanded(model).is_dir() else model
    try:
        return _free(Path(EVALUATIONS), Path(made["model"]).name, name, made)
    except (OSError, UserError) as error:
        raise UserError(f"the completions have no place; output=FILE.json names one: {error}") from None


def _free(folder: Path, model: str, name: str, made: dict[str, Any]) -> Path:
    """The first file of this name in the folder that holds nothing else, and can be written."""
    words = re.sub(r"[^\w.-]+", "-", name).strip("-")
    stem = f"{model}-on-{words}"
    paths = (folder / f"{stem}{f'-{number}' if number > 1 else ''}.parquet" for number in itertools.count(1))
    path = next(p for p in paths if not p.exists() or (p.is_file() and settings_of(p) == made))
    folder.mkdir(exist_ok=True)
    check_writable(path, "output")
    return path


def _state(kept: dict[str, Any]) -> State:
    return State(**{f.name: kept[f.name] for f in dataclasses.fields(State) if f.name in kept})


def _made(
    data: DataConfig,
    seed: int,
    held_out: int = 0,
    refused: Set[Content] = frozenset(),
    excluded: Sequence[Problem] = (),
) -> Procedural:
    return opened(data.source, data.level, seed, held_out, refused, excluded, noise_of(data))


def _same_or_made(own: Procedural | None, data: DataConfig, seed: int, excluded: Sequence[Problem]) -> Procedural:
    """A run's own source where `data` is of the same problems as it shows them, else one without what it holds out."""
    if own is not None and (own.spec, own.level, own.noise) == (data.source, data.level, noise_of(data)):
        return own
    return _made(data, seed, excluded=excluded)


def _seen_made(runs: list[Trained]) -> set[Content]:
    """The contents of made problems that a lineage learned from."""
    seen: set[Content] = set()
    for run in reversed(runs):
        seen |= run.seen_made(seen)
    return seen


def _splits(runs: list[Trained]) -> tuple[list[tuple[Trained, tuple[Problems, Problems] | UserError]], set[str]]:
    """(of each run on rows, the latest first, (train, test) or why they cannot be read; picture keys of what they
    learned)."""
    found: list[tuple[Trained, tuple[Problems, Problems] | UserError]] = []
    taken: set[str] = set()
    for run in reversed(runs):
        data = run.config.data
        if is_made(data.source):
            with contextlib.suppress(UserError):  # rows that are gone: `_rows` says so
                taken = taken.union(*map(picture_keys, run.learned()))
            continue
        split = dataclasses.replace(data, eval_size=run.held_out)
        try:
            train, test = load_problems(split, run.config.seed, refused=taken if run.chose_unseen else frozenset())
            found_now = split_digests(train, test)
            changed = [name for name, digest in (run.state.split or {}).items() if digest != found_now[name]]
            if changed:
                raise UserError(f"data.path {data.path!r}: the {' and '.join(changed)} problems are not those of "
                                f"{str(run.checkpoint)!r}: "
                                "the data set was another when that was trained; put that one back")  # fmt: skip
            learned = run.learned(train, test)
        except UserError as error:
            found.append((run, error))
            continue
        found.append((run, (train, test)))
        taken = taken.union(*map(picture_keys, learned))
    return found[::-1], taken


def _chosen(config: EvalConfig, runs: list[Trained], spec: str) -> tuple[list[Problem], str, list[str]]:
    """Problems of a source that makes them; what is not said is as in the run, unless that makes others."""
    own = runs[0] if runs else None
    mine = own if own is not None and own.config.data.source == spec else None
    alike = own is not None and (mine is not None or not is_made(own.config.data.source))
    data = own.config.data if own is not None and alike else DataConfig()
    said = {name: getattr(config, name) for name in ("level", "noise", "occlusion", "contrast")}
    data = dataclasses.replace(data, source=spec, **{name: value for name, value in said.items() if value is not None})
    seed = config.seed if config.seed is not None else own.config.seed if own else 0
    size = config.size or (mine.held_out if mine else 600)
    source, name = _made(data, seed), name_of(spec, data.level, seed, noise_of(data))
    chose = mine is not None and (len(runs) == 1 or mine.chose_unseen)
    if mine and chose and (mine.config.data.level, mine.config.seed) == (data.level, seed) and size <= mine.held_out:
        # what training leaves out
        return source.unseen(size, _seen_made(runs[1:])), name, []
    seen = _seen_made(runs)
    problems = source.unseen(size, seen)
    drawn = source.unseen(size, set())
    left_out = len({p.id for p in drawn} - {p.id for p in problems})
    notes = [f"{left_out} of {size} problems left out and replaced: the model was trained on them"] if left_out else []
    if len(problems) < size:
        notes.append(
            f"only {len(problems)} of {size} problems: hardly any others are left that the model was not trained on"
        )
    return problems, name, notes


def _rows(
    config: EvalConfig, runs: list[Trained], source: str, path: str | None, vlm: VLM | None
) -> tuple[list[Problem], list[str]]:
    notes: list[str] = []
    problems: list[Problem] = []
    tested: Any = None
    for run, found in _splits(runs)[0]:
        data = run.config.data
        same = tested is None and source == data.source and same_place(path, data.path)
        if isinstance(found, UserError):
            if same:
                raise found
            notes.append(f"what it shares with the training data of {run.checkpoint} cannot be left out: {found}")
            continue
        trained, held_out = found
        if same:
            tested = held_out
            lengths = vlm.prompt_lengths(held_out) if vlm is not None else [0] * len(held_out)
            problems = list(held_out.fitting(lengths, data.max_prompt_length))
        elif tested is None:
            tested = open_source(f"{source}:{path}", answered=config.answered)
            problems = list(tested)
        kept = without(problems, run.learned(trained, held_out))
        if len(kept) < len(problems):
            notes.append(f"{len(problems) - len(kept)} problems left out: the model was trained on them")
        problems = kept
    if tested is None:
        problems = list(open_source(f"{source}:{path}", size=config.size, answered=config.answered))
    for run in runs:
        if is_made(run.config.data.source):
            try:
                kept = without(problems, run.learned())
            except UserError as error:
                notes.append(f"what {run.checkpoint} was shown as demonstrations cannot be left out: {error}")
                continue
            if len(kept) < len(problems):
                notes.append(f"{len(problems) - len(kept)} problems left out: they were demonstrated to the model")
            problems = kept
    return problems[: config.size], notes


def same_place(path: str | None, other: str | None) -> bool:
    """Whether two paths of data sets are one."""
    if path is None or other is None:
        return path == other
    return path == other or expanded(path).resolve() == expanded(other).resolve()
