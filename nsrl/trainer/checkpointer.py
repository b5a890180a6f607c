"""The checkpointer knows where a run stands, holds the optimiser that brought it there, and saves both."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from nsrl.config import TrainConfig, to_yaml
from nsrl.models import fsdp, loading
from nsrl.models.vlm import VLM
from nsrl.trainer import checkpoint
from nsrl.trainer.distributed import World
from nsrl.trainer.folder import CONFIG, RunFolder, versions
from nsrl.trainer.gate import GAIN_OF_SMALL
from nsrl.trainer.metrics import as_row
from nsrl.trainer.optim import Optimizer
from nsrl.trainer.resume import State

if TYPE_CHECKING:
    from nsrl.trainer.stages import Stage

QUICKLY_SAVED = 300_000_000  # parameters that learn: saved within the seconds a SIGTERM leaves


class Checkpointer:
    """Holds the state of a run: restored from a checkpoint, committed after each step, saved as the next checkpoint.

    config: of the run, as it is written down; vlm: whose weights are restored and saved, with the prompt it has now:
    the run's.
    """

    def __init__(self, config: TrainConfig, vlm: VLM, folder: RunFolder, world: World) -> None:
        self.config, self.vlm, self.folder, self.world = config, vlm, folder, world
        self.chat = vlm.chat
        self.state = State()
        self._tensors: dict[str, Any] | None = None  # of the checkpoint, until its optimiser is built
        self._learning: Optimizer | None = None  # the phase's, or the one carried over from reading to the warm start

    def restore(self, path: Path) -> None:
        """Weights, optimiser, random state and where the run stood. Raises `UserError` where it is not whole."""
        state, self._tensors = checkpoint.load(path)
        state.pop("files")
        self.state = State(**state)
        loading.load_weights(self.vlm, path)
        torch.set_rng_state(self._tensors["random"])

    def optimizer(self, stage: Stage) -> Optimizer:
        """A new optimiser, the one carried over from the stage that this one joins, or the checkpoint's."""
        if stage.joins is not None and self._learning is not None:
            return self._learning
        options = {"max_grad_norm": stage.config.max_grad_norm, "world": self.world, **stage.optimizer}
        if options.get("gate", 0.0) is None:
            options["gate"] = GAIN_OF_SMALL if self.vlm.is_small else 0.0
        optimizer = self._learning = Optimizer(self.vlm.model, **options)
        if self._tensors is not None and self.state.phase in (stage.name, stage.joins):
            optimizer.load_state_dict(self._tensors["optimizer"])
            self._tensors = None
        return optimizer

    def enter(self, stage: Stage) -> bool:
        """Whether a stage begins now. What `until` watches is of one stage alone; one that joins none begins with a
        stream and rewards of its own."""
        if self.state.phase == stage.name and self.state.step:
            return False
        self.state.watched, self.state.learned = [], {}
        if stage.joins is None and stage.data == "problems":
            self.state.position, self.state.rewards, self.state.monitor, self.state.best = 0, {}, {}, None
            self.state.shapes, self.state.draw = {}, {}
        return True

    def commit(self, metrics: dict[str, float], **where: Any) -> None:
        """The step is whole: from here on a checkpoint is of it.

        metrics: of the step; its `num_tokens` become those of the run, as TRL's. where: fields of `State`, phase and
        step among them.
        """
        metrics["num_tokens"] = tokens = self.state.num_tokens + int(metrics["num_tokens"])
        row = as_row(where["phase"], where["step"], metrics)
        done = {**self.state.done, where["phase"]: [where["step"], where.get("position", 0)]}
        self.state = dataclasses.replace(self.state, row=row, num_tokens=tokens, done=done, **where)
        self._optimizer().uncommitted = False
        self.folder.copied = None

    def count(self, what: str, start: float) -> None:
        """Add the seconds since `start` to what the run has spent on a stage, on evaluations or on the self-check."""
        self.state.seconds[what] = self.state.seconds.get(what, 0.0) + time.perf_counter() - start

    def save(self, accuracy: float | None = None) -> None:
        """A checkpoint of the state committed last: the same files whatever the number of processes.

        The main rank writes them, the others only take part. accuracy: the running one of GRPO, by which the best
        checkpoint is told (a later one as good takes its place); None where there is none.
        """
        if self.config.save_best and accuracy is not None:
            best = self.state.best
            if best is None or accuracy >= best["pass@1"] or not (self.folder.path / best["checkpoint"]).is_dir():
                best = {"checkpoint": self._name(), "step": self.state.step, "pass@1": accuracy}
            self.state.best = best
        weights = fsdp.whole_weights(self.vlm.model, self.world.is_main) if self.world.sharded else None
        tensors = {"optimizer": self._optimizer().state_dict(), "random": torch.get_rng_state()}
        config, state = self.config, dataclasses.asdict(self.state)
        facts = {
            "recipe": config.recipe,
            "data": config.data.path or config.data.source,
            "phase": f"{self.state.phase}, step {self.state.step}",
            "seed": config.seed,
            "trained with": ", ".join(f"{name} {version}" for name, version in versions().items()),
        }

        def write(folder: Path) -> None:
            with self.vlm.asked(self.chat):
                self.vlm.save(folder, weights, facts)
            (folder / CONFIG).write_text(to_yaml(config), encoding="utf-8")

        if self.world.is_main:
            best = self.state.best["checkpoint"] if self.state.best is not None else None
            checkpoint.save(self.folder.path, self._name(), write, state, tensors, config.save_total_limit, best)

    def save_at_sigterm(self) -> str:
        """Save if that is safe and quick; what remains, in a sentence. Of one process: `watchdog.py` answers for
        several."""
        optimizer, name = self._learning, self._name()
        last = checkpoint.latest(self.folder.path)
        whole = optimizer is not None and not optimizer.uncommitted and self.state.row is not None
        size = sum(p.numel() for p in optimizer.parameters) if optimizer is not None else 0
        if whole and (last is None or last.name != name) and size <= QUICKLY_SAVED:
            self.save()
            return f"ended by SIGTERM: {name} was saved; --resume continues from it"
        if last is None:
            return "ended by SIGTERM before the first checkpoint; --resume starts the run again"
        return f"ended by SIGTERM; --resume continues from {last.name}"

    def _optimizer(self) -> Optimizer:
        assert self._learning is not None, "a step was made by nobody"
        return self._learning

    def _name(self) -> str:
        return checkpoint.name_of(self.state.phase, self.state.step)
