"""The experiment of the small model, which has learned nothing before: reading, then each arm its language, then GRPO.

Reading is learned once for a seed, in shared/reading-N, and every arm of the seed begins with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from nsrl.config.experiment import OF_A_CHECKPOINT
from nsrl.config.sound import notes_on
from nsrl.data.sources import is_made
from nsrl.errors import UserError
from nsrl.experiments.jobs import Job
from nsrl.experiments.plan import Cell, Plan
from nsrl.trainer.resume import planned_steps, schooling, warm_start_until

# Seconds of a step on a quiet core: of reading, on demonstrations and of GRPO; and of a start and an evaluation.
READING_S, SHOWN_S, GRPO_S, AROUND_S = 0.11, 0.2, 0.8, 20.0
TERSE_S = {"answer": (0.15, 0.35), "nsl": (0.16, 0.45)}  # of the arms that write little
LEARNED = {"any": 0.7}  # of the steps at most, what it takes until all is learned: of five languages, else of one


class OfTheSmallModel(Plan):
    """Reading is learned once for a seed, by all arms; then each is shown its language."""

    def require_sound(self) -> None:
        """See `Plan`."""
        if self.config.points == ["context"]:
            raise UserError("points must have cold or grpo for the small model, which has learned nothing; got context")
        for name in OF_A_CHECKPOINT:
            if self.config.given.get(name) in ("line", "file"):
                raise UserError(f"{name} cannot act here, because the small model has nothing to harvest; it is for a "
                                f"checkpoint (model.name)")  # fmt: skip
        if "grpo" in self.config.points and not self.of.max_steps:
            raise UserError("max_steps must be at least 1 with grpo among the points; got 0")
        if not is_made(self.of.teacher.source):
            raise UserError(f"demonstrations.source must be one that makes them, as shapes, for the small model, whose "
                            f"arms are shown these in their language; got {self.of.teacher.source}")  # fmt: skip
        notes_on(self.of)
        self.told.clear()
        for _ in self.jobs(self.config.seeds[0]):  # each of which is looked at
            pass
        notes = [note for note in self.told[-1] if all(note in one for one in self.told[-len(self.config.arms) :])]
        if "max_steps" in self.of.given and "grpo" not in self.config.points:
            notes.append(f"max_steps={self.of.max_steps} cannot act in this run: points has no grpo")
        for note in notes:
            print(f"note: {note}", flush=True)

    def jobs(self, seed: int) -> Iterator[Job]:
        """See `Plan`; arms that take longest come first, so that the last one to end is short."""
        warm, name = self.of.warm_start, f"shared/reading-{seed}"
        whole = replace(self.of, warm_start=replace(warm, steps=self.config.cold_steps or warm.steps or None))
        steps = planned_steps(whole)
        of = {arm: replace(whole, prompt=replace(whole.prompt, mode=arm)) for arm in self.config.arms}
        shown = {arm: planned_steps(config)["warm_start"] for arm, config in of.items()}
        until = {arm: warm_start_until(config) for arm, config in of.items()}
        reinforced = self.of.max_steps if "grpo" in self.config.points else 0
        taught = {"optimizer": schooling(self.of), "batch_size": warm.batch_size, "learning_rate": warm.learning_rate}
        begins: dict[str, str] = {}
        if steps["reading"]:
            ends = {"until": warm.reading_until, "max_steps": steps["reading"]}
            reading = {"name": "reading", "kind": "supervised", "readings": True} | (
                ends if warm.reading_until else {"steps": steps["reading"]}
            )
            # what it answers before it was taught is of no interest
            few = {"eval_samples": 1, "max_completion_length": 4, "data": {"eval_size": 1}}
            base = {n: value for n, value in self.base.items() if n in ("model", "train", "data", "engine", "threads")}
            cost = AROUND_S / 2 + READING_S * steps["reading"]
            yield self.train(name, seed, {"stages": [reading], **few, "warm_start": taught}, (), cost, base)
            begins = {"name": str(self.folder / name)}
        likely = {arm: count * (LEARNED.get(arm, 0.35) if until[arm] else 1.0) for arm, count in shown.items()}
        spent = {
            arm: AROUND_S + one * likely[arm] + other * reinforced + AROUND_S * bool(reinforced)
            for arm in self.config.arms
            for one, other in [TERSE_S.get(arm, (SHOWN_S, GRPO_S))]
        }
        for arm in sorted(self.config.arms, key=lambda arm: -spent[arm]):
            keys = {
                "model": begins,
                "prompt": {"mode": arm},
                "warm_start": {**taught, "steps": shown[arm], "reading_steps": 0, "until": until[arm]},
                "max_steps": reinforced,
            }
            also = f"eval/{'final' if reinforced else 'warm_start'}.parquet"
            yield self.train(f"{arm}/seed-{seed}", seed, keys, (name,) if begins else (), spent[arm], also=also)

    def cell(self, arm: str, point: str, file: str) -> Cell:
        """See `Plan`."""
        shared = (self.folder / "shared" / f"reading-{seed}" for seed in self.config.seeds)
        return replace(super().cell(arm, point, file), before=tuple(path for path in shared if path.exists()))
