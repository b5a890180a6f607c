"""The experiment of a real checkpoint: each arm asked with examples, harvested, taught what it was right about, GRPO.

The folder holds of each arm ARM/context-0 (a run that learns nothing: the held-out problems asked with the arm's
examples), ARM/lessons-0.* (what it is taught), ARM/seed-N (a run: the cold start on the lessons, without the examples,
then GRPO), ARM/cold-N (what the cold start ended with) and ARM/on-BENCHMARK/POINT-N.*; harvests/ARM-0.parquet is what
the checkpoint was right about in that context.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import yaml

from nsrl.config import TrainConfig, plain
from nsrl.config.experiment import POINTS, ExperimentConfig
from nsrl.data.sources import is_made, source_and_path
from nsrl.engines.languages import LANGUAGES
from nsrl.errors import UserError
from nsrl.experiments.jobs import Job
from nsrl.experiments.parts import COLD, Keys
from nsrl.experiments.plan import Cell, Plan
from nsrl.userfiles import expanded

TAUGHT = {  # the arms whose harvests an arm learns from, and the languages of its lessons (prose: an answer in words)
    "answer": (("answer",), ("direct", "prose")),
    "cot": (("cot",), ("prose",)),
    "sympy": (("sympy",), ("sympy",)),
    "wolfram": (("wolfram",), ("wolfram",)),
    "nsl": (("nsl", "wolfram", "sympy"), ("nsl",)),
    "any": (("any",), LANGUAGES),
}
DRAWN = 0  # the seed of what does not depend on a run's: contexts, harvests, lessons
NAMES = {"context": "context", "cold": "cold start", "grpo": "GRPO"}
HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
TOKENS_S = 2000.0  # a guess that is put right by what was measured
Files = tuple[tuple[Path, str], ...]


class OfACheckpoint(Plan):
    """Each arm is asked with examples, harvested, taught without them what it was right about, and reinforced."""

    def __init__(self, config: ExperimentConfig, of: TrainConfig, folder: Path, threads: int | None = None) -> None:
        super().__init__(config, of, folder, threads)
        self.keys = Keys(config, of, threads)
        self.points = [point for point in POINTS if point in config.points]
        self.benchmarks = _named(config.benchmarks)

    def require_sound(self) -> None:
        """See `Plan`; prints a line for each key that acts nowhere."""
        for note in self.keys.require_sound():
            print(f"note: {note}", flush=True)

    def drawn(self, seed: int) -> int:
        """The seed of what a run of `seed` shares with others. What makes its problems has others for every seed."""
        return seed if is_made(self.of.data.source) else DRAWN

    def drawings(self) -> list[int]:
        """The seeds of what is shared."""
        return list(dict.fromkeys(map(self.drawn, self.config.seeds)))

    def all_jobs(self) -> list[Job]:
        """What the seeds share comes first; then seed by seed."""
        shared = [job for drawn in self.drawings() for job in self.shared(drawn)]
        return [*shared, *(job for seed in self.config.seeds for job in self.jobs(seed))]

    def shared(self, drawn: int) -> Iterator[Job]:
        """Contexts, harvests, lessons."""
        for arm in self.config.arms if "context" in self.points else ():
            file, run = self._asked(arm, drawn), self.folder / arm / f"context-{drawn}"
            words = ("nsrl.train", "--config", str(file[0]))
            yield self._job(
                "context", arm, drawn, words, run / "summary.json", run, resumes=("--resume",), keys=(file,),
                also=(run / "eval" / "warm_start.parquet",), cost=self._evaluation,
            )  # fmt: skip
            yield from self.measured(arm, "context", drawn, self._whole(arm, drawn, examples=True))
        if not self.keys.cold:
            return
        for arm in dict.fromkeys(other for taught in self.config.arms for other in TAUGHT[taught][0]):
            file, output = self._asked(arm, drawn), self.harvest_of(arm, drawn)
            words = (
                "nsrl.harvest", f"model={self.of.model.name}", f"run={file[0]}", f"output={output}", "translate=true",
                f"size={self.config.harvest_size}", f"samples={self.config.harvest_samples}", "allow_empty=true",
            )  # fmt: skip
            cost = self._seconds(self.config.harvest_size * self.config.harvest_samples)
            yield self._job("harvest", arm, drawn, words, output, output.with_suffix(""), keys=(file,), cost=cost)
        for arm in self.config.arms:
            yield self.lessons(arm, drawn)

    def lessons(self, arm: str, drawn: int) -> Job:
        """What an arm learns, and the keys of a run that begins with it."""
        harvested, languages = TAUGHT[arm]
        home = self.folder / arm / f"lessons-{drawn}"
        told = {
            "harvests": [str(self.harvest_of(other, drawn)) for other in harvested],
            "languages": list(languages),
            "rows": f"{home}.parquet",
            "keys": f"{home}.yaml",
            "taught": self.keys.lessons(f"{home}.parquet"),
            "untaught": {"warm_start": {"steps": 0}},
        }
        plan, done = Path(f"{home}-plan.json"), Path(f"{home}.json")
        words = ("nsrl.experiments.lessons", str(plan), str(done))
        after = tuple(_called("harvest", other, drawn) for other in harvested)
        keys = ((plan, json.dumps(told, indent=1) + "\n"),)
        return self._job("lessons", arm, drawn, words, done, home, after=after, keys=keys)

    def jobs(self, seed: int) -> Iterator[Job]:
        """Cold start and GRPO of each arm: one run, in two commands, so that what the cold start ended with is kept."""
        for arm in self.config.arms if self.keys.cold or self.keys.grpo else ():
            run, kept = self.folder / arm / f"seed-{seed}", self.folder / arm / f"cold-{seed}"
            own = self.keys.learning(arm) | {"seed": seed, "output_dir": str(run)}
            cold = self.keys.cold
            keys = (run.with_name(f"{run.name}.yaml"), self.keys.text(own, (*COLD, "max_steps") if cold else ()))
            words, after = ("nsrl.train", "--config", str(keys[0])), ()
            if cold:
                lessons = self.folder / arm / f"lessons-{self.drawn(seed)}.yaml"
                words = (*words, "--config", str(lessons))
                yield self._job(
                    "cold", arm, seed, (*words, "max_steps=0"), run / "eval" / "warm_start.json", run, run=run,
                    resumes=("--resume",), after=(_called("lessons", arm, self.drawn(seed)),), keys=(keys,),
                    cost=self._evaluation + self._seconds(50 * self.keys.cold_start["warm_start.steps"]),
                )  # fmt: skip
                whole = self._whole(arm, seed)
                keep = ("nsrl.experiments.kept", str(run), str(kept), str(whole[0]))
                after = (_called("cold", arm, seed),)
                yield self._job("kept", arm, seed, keep, Path(f"{kept}.yaml"), kept, after=after, keys=(whole,))
                after = (_called("kept", arm, seed),)
                yield from self.measured(arm, "cold", seed, (Path(f"{kept}.yaml"), ""), after)
                words = (*words, f"max_steps={self.of.max_steps}")
            if self.keys.grpo:
                of = self.of
                cost = self._seconds(of.max_steps * of.prompts_per_step * of.num_generations) + 2 * self._evaluation
                yield self._job(
                    "grpo", arm, seed, words, run / "summary.json", run, after=after, resumes=("--resume",),
                    also=(run / "eval" / "final.json",), keys=(keys,), cost=cost,
                )  # fmt: skip
                name = (run.with_name(f"{run.name}-eval.yaml"), yaml.safe_dump({"model": str(run)}))
                yield from self.measured(arm, "grpo", seed, name, (_called("grpo", arm, seed),))

    def measured(
        self, arm: str, point: str, seed: int, model: tuple[Path, str], after: tuple[str, ...] = ()
    ) -> Iterator[Job]:
        """The benchmarks of an arm at a point, sampled as the run's own problems are. model: the file of keys that says
        which, and its text ("" where it will be there)."""
        of = self.of
        how = {
            "seed": seed + 1, "samples": of.eval_samples, "temperature": of.temperature,
            "max_completion_length": of.max_completion_length, "size": self.config.benchmark_size,
            "device": of.model.device, "dtype": of.model.dtype, "max_pixels": of.model.max_pixels,
            "spans": of.spans, "engine": plain(of)["engine"],
        }  # fmt: skip
        keys = (self.folder / "asked" / f"benchmarks-{seed}.yaml", yaml.safe_dump(how, sort_keys=False))
        files = (keys, model) if model[1] else (keys,)
        for name, spec in self.benchmarks.items():
            output = self._records(arm, point, name, seed).with_suffix(".json")
            words = (
                "nsrl.eval",
                "--config",
                str(keys[0]),
                "--config",
                str(model[0]),
                f"data={spec}",
                f"output={output}",
            )
            yield self._job(
                f"{name}/{point}", arm, seed, words, output, output.with_suffix(""), after=after, keys=files,
                cost=self._evaluation, also=(output.with_suffix(".parquet"),),
            )  # fmt: skip

    def harvest_of(self, arm: str, drawn: int) -> Path:
        """What the checkpoint was right about in an arm's context."""
        return self.folder / "harvests" / f"{arm}-{drawn}.parquet"

    def _asked(self, arm: str, drawn: int) -> tuple[Path, str]:
        """The keys of an arm's context, for `nsrl train` and for its harvest."""
        own = {"seed": drawn, "output_dir": str(self.folder / arm / f"context-{drawn}")}
        return self.folder / "asked" / f"{arm}-{drawn}.yaml", self.keys.text(self.keys.asked(arm) | own)

    def _whole(self, arm: str, seed: int, examples: bool = False) -> tuple[Path, str]:
        """The checkpoint itself, as `nsrl eval` is to ask it."""
        name = f"{arm}{'-in-context' if examples else ''}-{seed}-eval.yaml"
        asked = self.keys.asked(arm) if examples else self.keys.learning(arm)
        keys = {"model": self.of.model.name, **self.keys.prompt(asked)}
        return self.folder / "asked" / name, yaml.safe_dump(keys, sort_keys=False, allow_unicode=True)

    def _job(self, kind: str, arm: str, seed: int, words: tuple[str, ...], file: Path, place: Path, **more: Any) -> Job:
        """A job of an arm and a seed. place: beside which its log stands."""
        return Job(_called(kind, arm, seed), words, file, place.with_name(f"{place.name}.log"), **more)

    def _seconds(self, completions: int) -> float:
        return 10.0 + completions * self.of.max_completion_length / TOKENS_S

    @property
    def _evaluation(self) -> float:
        return self._seconds(self.of.data.eval_size * (self.of.eval_samples + 1))

    def cells(self) -> list[Cell]:
        """Arm by arm its points, on the held-out problems and then on each benchmark."""
        return [
            Cell(arm, NAMES[point], tuple(self._records(arm, point, name, seed) for seed in seeds), name)
            for name in ("", *self.benchmarks)
            for arm in self.config.arms
            for point in self.points
            for seeds in [self.drawings() if point == "context" else self.config.seeds]
        ]

    def _records(self, arm: str, point: str, benchmark: str, seed: int) -> Path:
        home = self.folder / arm
        if benchmark:
            return home / f"on-{benchmark}" / f"{point}-{seed}.parquet"
        run = home / (f"context-{seed}" if point == "context" else f"seed-{seed}")
        return run / "eval" / ("final.parquet" if point == "grpo" else "warm_start.parquet")

    def notes(self) -> list[str]:
        """What each arm learned in its cold start, in words."""
        several = len(self.drawings()) > 1
        return [
            self._note(arm, json.loads((self.folder / arm / f"lessons-{drawn}.json").read_text(encoding="utf-8")),
                       f" (seed {drawn})" if several else "")
            for arm in (self.config.arms if self.keys.cold else ())
            for drawn in self.drawings()
        ]  # fmt: skip

    def _note(self, arm: str, told: dict[str, Any], seed: str) -> str:
        right = f"{told['right']} of {told['sampled']} answers to training problems in context were right"
        if told["lessons"]:
            anew = f", {told['translated']} of them translations" if told["translated"] else ""
            return f"{arm}{seed}: {told['lessons']} lessons{anew}; {right}."
        then = "; GRPO begins with the checkpoint itself" if self.keys.grpo else ""
        mine = f", none of them in {' or '.join(TAUGHT[arm][1])}" if told["right"] else ""
        return (
            f"{arm}{seed}: no lessons, so no cold start: that row is the checkpoint itself, asked without "
            f"examples{then}; {right}{mine}."
        )


def _called(kind: str, arm: str, seed: int) -> str:
    return f"{kind}/{arm}-{seed}"


def _named(specs: Collection[str]) -> dict[str, str]:
    """Benchmarks by a name: of the source, and of the folder or file. Raises `UserError`."""
    found: dict[str, str] = {}
    for spec in specs:
        source, path = source_and_path(spec)
        on_the_hub = HUB_ID.fullmatch(path) and not path.startswith((".", "~"))
        if not is_made(source) and not on_the_hub and not (path and expanded(path).exists()):
            raise UserError(f"benchmarks must be data sets; {path!r} of {spec!r} is not there")
        name = (
            f"{source}-{re.sub(r'[^A-Za-z0-9_]+', '-', Path(path).name).strip('-')}"
            if path
            else re.sub(r"[^A-Za-z0-9_]+", "-", source)
        )
        if name in found:
            raise UserError(f"benchmarks must have names of their own; {found[name]!r} and {spec!r} are both {name}")
        found[name] = spec
    return found
