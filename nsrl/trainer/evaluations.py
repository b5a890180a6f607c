"""The evaluations of a run are each done once for one state of it, and kept with every record.

`eval/NAME.json` has the numbers and what they are of (phase, step, checksum of the weights, problems, settings);
`eval/NAME.parquet` has one row per completion. A result is taken from there only if it is of the very same.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nsrl.config import TrainConfig
from nsrl.data.dedup import content_key
from nsrl.errors import UserError
from nsrl.models.vlm import VLM
from nsrl.report import point_title
from nsrl.report.table import accuracy_text, print_table, table
from nsrl.rollout.types import Sampler
from nsrl.trainer import evaluation
from nsrl.trainer.distributed import World
from nsrl.trainer.evaluation import Evaluation
from nsrl.trainer.folder import RunFolder, versions
from nsrl.trainer.grader import Grader
from nsrl.trainer.keep import keep_pictures
from nsrl.trainer.metrics import Progress
from nsrl.trainer.resume import planned_steps
from nsrl.trainer.talk import Talk
from nsrl.types import Problem

Numbers = dict[str, Any]
DIGITS = 8  # of a problem's fingerprint


class Evaluations:
    """problems: the held-out ones; config: samples, temperature, length and seed of every evaluation; vlm: asked as the
    run is; talk: how completions go on behind their first turn."""

    def __init__(
        self,
        config: TrainConfig,
        folder: RunFolder,
        vlm: VLM,
        problems: Sequence[Problem],
        world: World,
        talk: Talk | None = None,
    ) -> None:
        self.config, self.folder, self.vlm, self.world, self.talk = config, folder, vlm, world, talk
        self.problems, self.chat = problems, vlm.chat

    def measure(
        self, name: str, at: tuple[str, int], sampler: Sampler, grader: Grader, size: int | None = None
    ) -> Numbers:
        """The evaluation of the present weights, at (phase, step), on the first `size` problems; done if it is not
        known."""
        problems = self.problems[:size]
        weights = sampler.sync(self.vlm.model).checksum  # supervised steps before this did not hand them over
        of = {"phase": at[0], "step": at[1], "weights": weights, **self._settings(problems)}
        known = self.world.from_main(lambda: self._known(name, of))
        if known is not None:
            return known
        point = point_title(name, warm=bool(planned_steps(self.config).get("warm_start")))
        with Progress(f"evaluate {point}", len(problems), every=200) as progress:
            result = evaluation.evaluate(
                self.vlm,
                sampler,
                grader,
                problems,
                samples=self.config.eval_samples,
                temperature=self.config.temperature,
                max_tokens=self.config.max_completion_length,
                seed=self.config.seed + 1,
                progress=lambda count: progress.step(count=count),
                world=self.world,
                spans=self.config.spans,
                talk=self.talk,
            )
        print_table(result.records, title=f"{len(problems)} held-out problems {point}")
        tokens = "–" if result.mean_tokens is None else f"{result.mean_tokens:.1f}"
        print(f"accuracy of samples {accuracy_text(result.accuracy, result.ci95)}, "
              f"greedy {accuracy_text(result.greedy_accuracy)}, mean tokens {tokens}", flush=True)  # fmt: skip
        self.folder.write_records(f"eval/{name}.parquet", result.records)
        numbers = _numbers(result, of)
        self.folder.write_json(f"eval/{name}.json", numbers)
        if self.folder.writes:
            keep_pictures(self.folder.path, self.problems)
        return numbers

    def recall(self, name: str, home: Path) -> Numbers:
        """From the run folder `home`, an evaluation of weights that are gone (the baseline of a run that is past it).

        If the run now evaluates on fewer problems, the numbers are those of the same ones. Raises `UserError` where the
        result is missing, or was on other problems; says so where it was sampled in another way.
        """
        return self.world.from_main(lambda: self._recall(name, RunFolder(home)))

    def tidy(self) -> None:
        """At the end of the run: what was put aside and not met again is of another ending."""
        if self.folder.writes:
            shutil.rmtree(self.folder.path / "eval" / "later", ignore_errors=True)

    def _recall(self, name: str, home: RunFolder) -> Numbers:
        known = home.read_json(f"eval/{name}.json")
        if known is None:
            raise UserError(f"eval/{name}.json is missing in {str(home.path)!r}: the weights it was of are gone, so "
                            f"it cannot "
                            "be done again; put it back, or start a new run from the checkpoint "
                            "(model.name)")  # fmt: skip
        of, now = known.get("of"), self._settings(self.problems)
        if of is None:  # of version 0.1.0
            return known
        if not of["problems"].startswith(now["problems"]):
            raise UserError(
                f"data.path: the held-out problems are not those of eval/{name}.json, so the run cannot go on with "
                f"this data set"
            )
        for key in ("samples", "temperature", "max_tokens"):
            if of[key] != now[key]:
                print(
                    f"note: the {name.replace('_', ' ')} was evaluated with {key}={of[key]}; from here on it is "
                    f"{now[key]}",
                    flush=True,
                )
        if of["problems"] == now["problems"]:
            return known
        from pyarrow import parquet

        ids = {problem.id for problem in self.problems}
        rows = parquet.read_table(home.path / "eval" / f"{name}.parquet").to_pylist()
        return _numbers(
            evaluation.summarise([row for row in rows if row["problem_id"] in ids]), {**of, "problems": now["problems"]}
        )

    def _known(self, name: str, of: dict[str, Any]) -> Numbers | None:
        home = self.folder.path / "eval"
        for place in (f"eval/{name}.json", f"eval/later/{name}.json"):
            known = self.folder.read_json(place)
            if known is not None and known.get("of") == of:
                if "later" in place:
                    for path in (home / "later").glob(f"{name}.*"):
                        os.replace(path, home / path.name)
                return known
        return None

    def _settings(self, problems: Sequence[Problem]) -> dict[str, Any]:
        other: dict[str, Any] = {"prompt": asdict(self.vlm.chat)} if self.vlm.chat != self.chat else {}
        if self.talk is not None:
            other["turns"] = asdict(self.talk.config)
        return {
            **other,
            "model": self.config.model.name,
            "problems": "".join(hashlib.sha256(content_key(p).encode()).hexdigest()[:DIGITS] for p in problems),
            "samples": self.config.eval_samples,
            "temperature": self.config.temperature,
            "max_tokens": self.config.max_completion_length,
            "seed": self.config.seed + 1,
        }


def _numbers(result: Evaluation, of: dict[str, Any]) -> Numbers:
    return result.numbers() | {"table": table(result.records), "problems": len(of["problems"]) // DIGITS, "of": of}


def summary(
    before: Numbers, after: Numbers, seed: int, steps: dict[str, int], seconds: dict[str, float]
) -> dict[str, Any]:
    """What summary.json says of a run; None where nothing could be scored."""
    scores = [before["accuracy"], after["accuracy"]]
    stated = {"before": before.get("calibration"), "after": after.get("calibration")}
    return {
        "accuracy_warm_start": before["accuracy"],
        "accuracy_warm_start_ci95": before["ci95"],
        "accuracy_warm_start_greedy": before["greedy_accuracy"],
        "accuracy_warm_start_greedy_ci95": before["greedy_ci95"],
        "accuracy_final": after["accuracy"],
        "accuracy_final_ci95": after["ci95"],
        "accuracy_final_greedy": after["greedy_accuracy"],
        "accuracy_final_greedy_ci95": after["greedy_ci95"],
        "gain_points": None if None in scores else 100 * (scores[1] - scores[0]),
        "tokens_by_language": before["tokens_by_language"],  # before GRPO, while every language is still in use
        "tokens_by_language_final": after["tokens_by_language"],
        "language_share": {"before": before["language_share"], "after": after["language_share"]},
        "mean_output_tokens": {"before": before["mean_tokens"], "after": after["mean_tokens"]},
        **({"calibration": stated} if any(stated.values()) else {}),
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
        "seed": seed,
        "problems_evaluated": before["problems"],
        "steps": steps,
        "versions": versions(),
    }
