"""The runs of rows: warm starts, arms from them, and what the models are measured on besides; each a part that is done
once, however many rows need it.

A part stands in a folder that is named by all that it depends on, so that a row whose file is changed is run anew and
nothing else is. warm/NAME-DIGEST/seed-N, runs/DIGEST/seed-N and beside it ON-DIGEST/seed-N.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from nsrl.config import EvalConfig, HarvestConfig, TrainConfig, parse
from nsrl.config.sound import notes_on
from nsrl.errors import UserError
from nsrl.experiments.jobs import Job
from nsrl.experiments.plan import merged, train_job
from nsrl.gallery.row import FINAL, Arm, Row, Warm, digest

HELD_OUT, SAMPLES = 600, 4  # problems of each seed, and samples of each: mean@4
EVALUATION_S, HARVESTED_S = 12.0, 0.0013  # seconds of an evaluation, and of a sampled completion, on a quiet core
# Counts that a quick look cuts: steps of a stage or of GRPO, problems of a step, what is evaluated or harvested.
QUICK = {"steps": 3, "max_steps": 3, "min_steps": 0, "extra_supervised_steps": 3, "prompts_per_step": 8, "size": 64}
QUICK_WARM = {"steps": 60, "reading_steps": 40}
QUICK_HELD_OUT = 16
TOOK = ".took"  # beside a harvest: its seconds


@dataclass(frozen=True)
class Run:
    """An arm's runs. folder: of them, seed-N in it; learns: whether they take a step; files: of their records by what
    they are measured on, each with {} for the seed; harvest: what they learn from, {} for the seed ("": nothing)."""

    folder: Path
    learns: bool
    files: dict[str, str]
    harvest: str = ""


class Parts:
    """The jobs of rows, without doubles. seeds: of each; threads: CPU threads of each; quick: a few steps of all."""

    def __init__(self, folder: Path, seeds: list[int], threads: int = 1, quick: bool = False) -> None:
        self.folder, self.seeds, self.threads, self.quick = folder, seeds, threads, quick
        self.jobs: list[Job] = []
        self.runs: dict[tuple[str, str], Run] = {}  # by row and arm
        self.of: dict[str, set[Path]] = {}  # the files that a row waits for
        self.notes: list[str] = []
        self._known: dict[Path, Job] = {}

    def add(self, row: Row) -> None:
        """The parts of a row. Raises `UserError` for keys that cannot be, before anything is run."""
        warm = self._warm(row.warm)
        self.of[row.name] = set()
        for arm in row.arms.values():
            self.runs[row.name, arm.name] = self._arm(row, arm, warm)

    def seconds(self) -> float:
        """What is not done takes, one after the other on a quiet core, about."""
        return sum(job.cost for job in self.jobs if not job.done)

    def _warm(self, warm: Warm) -> Path:
        """The folder of a warm start, with a run for each seed."""
        own = merged(
            {"data": {"eval_size": self._held_out}, "eval_samples": 1, "preflight": False, "threads": self.threads},
            warm.keys,
            {"max_steps": 0},
        )
        if self.quick:
            said = own.get("warm_start", {})
            few = {name: str(min(int(said.get(name, most)), most)) for name, most in QUICK_WARM.items()}
            own["warm_start"] = {name: value for name, value in said.items() if not name.endswith("until")} | few
        place = self.folder / "warm" / f"{_plain_name(warm.name)}-{digest(own)}"
        if place / f"seed-{self.seeds[0]}" not in self._known:
            self._require(own, f"warm start {warm.name}")
        for seed in self.seeds:
            name = f"warm start {warm.name}/seed-{seed}"
            self._add(place / f"seed-{seed}", lambda at, name=name, seed=seed: train_job(
                name, at, merged(own, {"seed": seed, "output_dir": str(at)}), (), warm.seconds,
                also="eval/warm_start.parquet",
            ))  # fmt: skip
        return place

    def _arm(self, row: Row, arm: Arm, warm: Path) -> Run:
        common = {
            "model": {"name": warm.name}, "data": {"eval_size": self._held_out}, "eval_samples": SAMPLES,
            "preflight": False, "threads": self.threads, "save_total_limit": 1,
        }  # fmt: skip
        keys = self._cut(arm.keys)
        common |= {} if "stages" in keys or arm.harvest is not None else {"warm_start": {"steps": 0}}
        own = merged(common, keys)
        harvest = None if arm.harvest is None else self._cut(arm.harvest)
        where = f"row {row.name}, arm {arm.name}"
        config = self._require(own, where, harvest)
        if config.stages or (config.max_steps and not config.extra_supervised_steps):  # what only GRPO would keep
            own = merged({"completions_steps": 0, "save_best": False}, own)
        reinforced = bool(config.stages or config.max_steps or config.extra_supervised_steps)
        learns = reinforced or bool(config.warm_start.steps)
        place = self.folder / "runs" / digest(own, harvest)
        last = "final" if reinforced else "warm_start"
        files = {FINAL: f"seed-{{}}/eval/{last}.parquet"}
        kept = place / "harvest-{}.parquet"
        for seed in self.seeds:
            said = merged(own, {"model": {"name": str(warm / f"seed-{seed}")}})
            after = self._known[warm / f"seed-{seed}"].name
            if harvest is not None:
                said = merged(said, {"demonstrations": {"source": "hf", "path": str(kept).format(seed)}})
                after = self._harvest(row, arm, harvest, said, seed, Path(str(kept).format(seed)), after)
            name = f"{row.name}.{arm.name}/seed-{seed}"
            job = self._add(place / f"seed-{seed}", lambda at, name=name, said=said, seed=seed, after=after: train_job(
                name, at, merged(said, {"seed": seed, "output_dir": str(at)}), (after,), arm.seconds,
                also=files[FINAL].format(seed).partition("/")[2],
            ))  # fmt: skip
            self.of[row.name] |= {job.file, *job.also}
            for test, asked in row.tests.items():
                files[test] = self._test(row, arm, test, asked, seed, place, learns, warm, job.name)
        return Run(place, learns, files, "" if harvest is None else str(kept))

    def _harvest(
        self, row: Row, arm: Arm, asked: dict[str, Any], said: dict[str, Any], seed: int, output: Path, after: str
    ) -> str:
        """What the warm start is right about among the problems that the arm would draw. Returns the job's name."""
        leave = ("demonstrations", "warm_start", "max_steps")
        place = output.with_name(f"harvest-{seed}")
        as_there = {name: value for name, value in said.items() if name not in leave}
        as_there |= {"warm_start": {"steps": 0}, "seed": seed, "output_dir": str(place)}
        of_run, own = output.with_name(f"harvest-{seed}-run.yaml"), output.with_name(f"harvest-{seed}.yaml")
        told = {"model": said["model"]["name"], "output": str(output), "run": str(of_run), **asked}
        cost = HARVESTED_S * int(asked.get("size", HELD_OUT)) * int(asked.get("samples", 8)) + 10.0
        job = self._add(place, lambda at: Job(
            f"{row.name}.{arm.name} harvest/seed-{seed}", ("nsrl.harvest", "--config", str(own)), output,
            place.with_name(f"{place.name}.log"), (after,), cost,
            keys=((of_run, _text(as_there)), (own, _text(told))),
        ))  # fmt: skip
        self.of[row.name].add(job.file)
        return job.name

    def _test(
        self, row: Row, arm: Arm, test: str, asked: dict[str, Any], seed: int, place: Path, learns: bool, warm: Path,
        after: str,
    ) -> str:  # fmt: skip
        """A further measurement of the model that a run ends with. Returns the file of its records, below the runs."""
        whole = {"samples": str(SAMPLES), "size": str(self._held_out), **self._cut(asked)}
        if self.quick:
            whole["size"] = str(self._held_out)
        if seed == self.seeds[0]:
            _check(EvalConfig, whole, f"row {row.name}: tests.{test}")
        below = f"{_plain_name(test)}-{digest(whole)}"
        output = place / below / f"seed-{seed}.json"
        model = place / f"seed-{seed}" if learns else warm / f"seed-{seed}"
        keys = output.with_name(f"keys-{seed}.yaml")
        told = {"model": str(model), "output": str(output), **whole}
        job = self._add(output, lambda at: Job(
            f"{row.name}.{arm.name} on {test}/seed-{seed}", ("nsrl.eval", "--config", str(keys)), output,
            output.with_suffix(".log"), (after,), EVALUATION_S, also=(output.with_suffix(".parquet"),),
            keys=((keys, _text(told)),),
        ))  # fmt: skip
        self.of[row.name] |= {job.file, *job.also}
        return f"{below}/seed-{{}}.parquet"

    def _add(self, place: Path, made: Any) -> Job:
        """The job of a place, made where there is none yet."""
        if place not in self._known:
            self._known[place] = made(place)
            self.jobs.append(self._known[place])
        return self._known[place]

    @property
    def _held_out(self) -> int:
        return QUICK_HELD_OUT if self.quick else HELD_OUT

    def _cut(self, said: Any) -> Any:
        """Keys as they are, or of a quick look."""
        if not self.quick:
            return said
        if isinstance(said, Mapping):
            return {n: str(min(int(v), QUICK[n])) if n in QUICK else self._cut(v) for n, v in said.items()}
        return [self._cut(value) for value in said] if isinstance(said, list) else said

    def _require(self, own: dict[str, Any], where: str, harvest: dict[str, Any] | None = None) -> TrainConfig:
        """The configuration of a run with these keys. Raises `UserError` for keys that cannot be."""
        whole = merged(own, {"model": {"name": "small"}})  # the run that it begins with may not be there yet
        if harvest is not None:
            asked = {"model": "small", "output": "x.parquet", "run": "x.yaml", **harvest}
            _check(HarvestConfig, asked, f"{where}: harvest")
            whole = merged(whole, {"demonstrations": {"source": "hf", "path": "."}})
        config, notes = _check(TrainConfig, whole, where)
        self.notes += [f"{where}: {note}" for note in notes if f"{where}: {note}" not in self.notes]
        return config


def _check(kind: Any, own: dict[str, Any], where: str) -> tuple[Any, list[str]]:
    """(the configuration, what is told of it), read as the command will read its file. Raises `UserError`."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "keys.yaml"
        file.write_text(_text(own), encoding="utf-8")
        try:
            config = parse(kind, ["--config", str(file)], "nsrl gallery")
            return config, notes_on(config)
        except UserError as error:
            told = str(error).replace(f"--config file {str(file)!r}: ", "")
            raise UserError(f"{where}: {told}") from None


def _text(own: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(own), sort_keys=False, allow_unicode=True)


def _plain_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-")
