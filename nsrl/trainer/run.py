"""A run from configuration to report: warm start, evaluation, GRPO, evaluation. Resumable at every step.

The phases are `reading`, `warm_start`, `extra` (the supervised control) and `grpo`; a checkpoint's state says which
phase and step it is behind. Everything a step draws depends on (seed, phase, step) alone, so N steps and N resumed ones
are 2N steps, bit for bit on a CPU.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from nsrl.checks.configured import check_parity, open_policy, run_preflight
from nsrl.config import TrainConfig, run_path, to_yaml
from nsrl.data.shapes import Demonstration
from nsrl.engines import EnginePool
from nsrl.errors import Terminated, UserError
from nsrl.models import fsdp, loading
from nsrl.report import write_report
from nsrl.rewards import Rewards
from nsrl.rewards.controls import Shuffled
from nsrl.rollout.gathered import GatheredSampler
from nsrl.rollout.open import open_sampler
from nsrl.rollout.types import Sampler
from nsrl.trainer import changes, checkpoint, heldout
from nsrl.trainer.distributed import ALONE, World
from nsrl.trainer.evaluations import Evaluations, summary
from nsrl.trainer.folder import CONFIG, RunFolder, disk_watched, versions
from nsrl.trainer.grader import Grader, open_pool
from nsrl.trainer.keep import with_pictures
from nsrl.trainer.loop import Learner, grpo_step, sampling
from nsrl.trainer.metrics import MetricsLog, Progress, as_row
from nsrl.trainer.optim import Optimizer
from nsrl.trainer.problems import ProblemStream, worst_problems
from nsrl.trainer.reference import bytes_held, reference, require_kept
from nsrl.trainer.resume import PHASES, State, check_steps, find, has_ended, planned_steps, settle
from nsrl.trainer.step_metrics import engine_metrics, gpu_uuid, peak_memory
from nsrl.trainer.supervised import supervised_step
from nsrl.trainer.telemetry import Telemetry

DEFAULT_BUDGET = 16_384  # stream rows per micro-batch when memory does not say otherwise
QUICKLY_SAVED = 300_000_000  # parameters that learn: saved within the seconds a SIGTERM leaves


class Run:
    """One run. `Run(config).execute()` returns the summary; under torchrun each rank makes one with its world."""

    def __init__(self, config: TrainConfig, world: World = ALONE) -> None:
        self.world = world
        self.folder = RunFolder(run_path(config), world.is_main)
        world.from_main(lambda: self.folder.claim(config))
        try:
            with disk_watched(self.folder.path):
                self._prepare(config)
        except Exception:
            self.folder.abandon()
            raise
        except BaseException:
            self.folder.release()
            raise

    def _prepare(self, config: TrainConfig) -> None:
        """Everything that can be refused, before anything of a run that is there already is touched."""
        if config.threads:
            torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)  # nothing should draw from it; what does is then the same in a resumed run
        resuming = config.resume or config.resume_from_checkpoint is not None
        self.home = changes.origin(config) if resuming else self.folder.path  # of the run that goes on
        before = self.world.from_main(lambda: changes.own(self.home / CONFIG)) if resuming else config
        self.changed = changes.differences(before, config)
        self.asked = changes.plain(config)  # as it is written down
        self.rewards = _rewards(config)
        self.steps = planned_steps(config)
        self.vlm = loading.load(config.model, config.lora, config.seed)
        loading.require_positions(self.vlm, config.max_completion_length)
        self.vlm.pictures.memory = config.data.picture_memory_mb << 20
        self.vlm.pictures.threads = config.data.picture_threads
        sampling(config, self.vlm)
        self.state = State()
        self._tensors: dict[str, Any] | None = None  # of the checkpoint, until its optimiser is built
        self._learning: Optimizer | None = None  # the phase's, or the one carried over from reading to the warm start
        self.found = self.world.from_main(lambda: find(config, self.folder.path))
        if self.found is not None:
            self._restore(self.found)
        else:
            self.state.began = heldout.began(config.model.name)
            for note in heldout.lost(heldout.restored(self.state)) if self.world.is_main else []:
                print(note, flush=True)
        check_steps(config, self.state)
        if self.state.phase == "grpo":
            require_kept(config, self.home)
        # fewer problems may be evaluated from now on; what training leaves out stays as it was
        self.state.held_out = self.state.held_out or self.changed.get("data.eval_size", (config.data.eval_size,))[0]
        self.config = dataclasses.replace(config, data=dataclasses.replace(config.data, eval_size=self.state.held_out))
        self._shard()
        self.policy = open_policy(config, self.vlm)
        self.shapes, self.train_set, test_set, self.longest = heldout.own_data(self.config, self.state, self.vlm, self.world)
        self.budget = self._budget()
        self.evaluations = Evaluations(config, self.folder, self.vlm, test_set[: config.data.eval_size], self.world)
        past = self.state.phase in ("extra", "grpo")
        self.before = self.evaluations.recall("warm_start", self.home) if past else None
        self.log = MetricsLog(self.folder.path, config.report_to, dataclasses.asdict(self.asked), self.world.is_main)

    # --- the whole run, top to bottom -------------------------------------------------------------------------------

    def execute(self) -> dict[str, Any]:
        """Everything from where the run stands to the report. The folder is free for others afterwards."""
        try:
            with disk_watched(self.folder.path):
                try:
                    return self._execute()
                except Terminated:
                    self.folder.copied = None  # --resume goes on from the copies
                    raise Terminated(self._parting()) from None
        except Exception:
            self.folder.abandon()
            raise
        finally:
            self.folder.release()

    def _execute(self) -> dict[str, Any]:
        config = self.config
        self._begin()
        with open_pool(config.engine) as pool:
            sampler = open_sampler(config, self.vlm)
            if self.world.sharded:
                sampler = GatheredSampler(sampler, self.vlm.model)
            grader = Grader(pool)
            self._supervised("reading", lambda: self.shapes.readings())
            self._supervised("warm_start", self._demonstrations)
            before = self.before or self._evaluate("warm_start", sampler, grader)
            self._supervised("extra", self._more_demonstrations)
            if self.steps["grpo"]:
                self._grpo(sampler, grader, pool)
            after = self._evaluate("final", sampler, grader) if self.steps["grpo"] or self.steps["extra"] else before
            sampler.close()
        self.evaluations.tidy()
        result = summary(before, after, config.seed, self.steps, self.state.seconds)
        self.folder.write_json("summary.json", result)
        if self.world.is_main:
            write_report(self.folder.path)
        return result

    def _begin(self) -> None:
        """The folder becomes that of the run as it goes on from here."""
        where = "its beginning"
        if self.found is not None:
            where = f"{self.found} ({self.state.phase} step {self.state.step})"
            print(f"resumed from {self.found.name}: {self.state.phase} step {self.state.step}", flush=True)
        if self.world.is_main:
            if self.home.resolve() != self.folder.path.resolve():
                self.folder.copied = RunFolder(self.home).evaluations()
            settle(self.folder.path, self.found, self.state, has_ended(self.state, self.steps))
            if self.preflight is not None:
                self.folder.write_json("preflight.json", self.preflight)
            changes.record(self.folder.path, self.asked, self.changed, where)
        self.world.barrier()

    def _parting(self) -> str:
        """After SIGTERM (one process; `watchdog.py` answers for several): save if that is safe and quick, say what remains."""
        optimizer, state = self._learning, self.state
        name = f"checkpoint-{state.step}" if state.phase == "grpo" else f"checkpoint-{state.phase.replace('_', '-')}-{state.step}"
        last = checkpoint.latest(self.folder.path)
        whole = optimizer is not None and not optimizer.uncommitted and state.row is not None
        if whole and (last is None or last.name != name) and sum(p.numel() for p in optimizer.parameters) <= QUICKLY_SAVED:
            self._save(name, optimizer)
            return f"ended by SIGTERM: {name} was saved; --resume continues from it"
        if last is None:
            return "ended by SIGTERM before the first checkpoint; --resume starts the run again"
        return f"ended by SIGTERM; --resume continues from {last.name}"

    # --- phases -----------------------------------------------------------------------------------------------------

    def _supervised(self, phase: str, stream: Callable[[], Iterator[Demonstration]]) -> None:
        """Supervised steps; reading and warm start share one optimiser and one schedule."""
        todo = self.steps[phase]
        if not todo or PHASES.index(self.state.phase) > PHASES.index(phase):
            return
        begun = self.state.step if self.state.phase == phase else 0
        if begun >= todo:
            return
        together = ("reading", "warm_start") if phase != "extra" else ("extra",)
        optimizer = self._optimizer(
            phase,
            learning_rate=self.config.warm_start.learning_rate * (1.0 if phase != "extra" else 0.3),
            schedule="linear",
            warmup=30,
            total=sum(self.steps[name] for name in together),
            floor=0.05,
        )
        demonstrations = stream()
        for _ in range(begun * self.config.warm_start.batch_size):  # where the phase stood
            next(demonstrations)
        with Progress(phase.replace("_", " "), todo, begun, every=50) as progress:
            for step in range(begun + 1, todo + 1):
                start = time.perf_counter()
                metrics = supervised_step(
                    self.vlm, self.policy, optimizer, demonstrations, self.config.warm_start.batch_size, self.budget,
                    self.world,
                )  # fmt: skip
                self._count(phase, start)
                metrics["timing_s/step"] = time.perf_counter() - start
                self._commit(optimizer, metrics, phase=phase, step=step)
                self.log.write(phase, step, metrics)
                progress.step(f"loss {metrics['loss']:.3f}")
                if step % self.config.save_steps == 0 or step == todo:
                    self._save(f"checkpoint-{phase.replace('_', '-')}-{step}", optimizer)

    def _grpo(self, sampler: Sampler, grader: Grader, pool: EnginePool) -> None:
        config = self.config
        begun = self.state.step if self.state.phase == "grpo" else 0
        if begun >= config.max_steps:
            return
        if self.state.phase != "grpo":
            self.state.position = 0
        optimizer = self._optimizer(
            "grpo",
            learning_rate=config.learning_rate,
            schedule=config.lr_scheduler_type,
            warmup=config.warmup_steps,
            total=config.max_steps * config.num_iterations,
            weight_decay=config.weight_decay,
        )
        starting = self.state.phase != "grpo"
        frozen, context = reference(config, self.vlm, self.policy, self.folder.path, self.world, starting)
        learner = Learner(
            config,
            self.vlm,
            self.policy,
            sampler,
            grader,
            self.rewards,
            optimizer,
            ProblemStream(self.train_set, config.seed, self.state.position, self.vlm, self.world),
            self.budget,
            reference=frozen,
            reference_context=context,
            world=self.world,
        )
        learner.rewards.load_state_dict(self.state.rewards)
        sampler.sync(self.vlm.model)
        if config.parity_check:  # after a resume too: what was loaded may lack its adapter
            self._parity(learner)
        telemetry = Telemetry(gpu_uuid(self.vlm.device))
        peak_memory(self.vlm.device)
        with Progress("grpo", config.max_steps, begun, every=config.logging_steps) as progress:
            for step in range(begun + 1, config.max_steps + 1):
                start = time.perf_counter()
                metrics, records = grpo_step(learner, step)
                self._count("grpo", start)
                metrics |= engine_metrics(pool.stats())
                metrics |= telemetry.read()
                metrics |= peak_memory(self.vlm.device)
                if config.completions_steps and (step % config.completions_steps == 0 or step == 1):
                    with learner.timer("save"):
                        self._keep_completions(learner, step, records)
                if config.eval_steps and step % config.eval_steps == 0 and step < config.max_steps:
                    with learner.timer("evaluation"):
                        midway = self._evaluate(
                            f"step_{step:06d}", sampler, grader, ("grpo", step), config.eval_size_midway
                        )
                    metrics |= {f"eval/{k}": midway[k] for k in ("accuracy", "greedy_accuracy") if midway[k] is not None}
                taken, remembered = learner.problems.position, self.rewards.state_dict()
                self._commit(optimizer, metrics, phase="grpo", step=step, position=taken, rewards=remembered)
                if step % config.save_steps == 0 or step == config.max_steps:
                    with learner.timer("save"):
                        self._save(f"checkpoint-{step}", optimizer)
                metrics |= learner.timer.take()
                self.log.write("grpo", step, metrics | {"timing_s/step": time.perf_counter() - start})
                progress.step(_line(metrics))
                if step % config.save_steps == 0 and step < config.max_steps and self.world.is_main:
                    write_report(self.folder.path)  # at its end the run writes it anyway

    def _commit(self, optimizer: Optimizer, metrics: dict[str, float], **where: Any) -> None:
        """The step is whole: from here on a checkpoint is of it. Its tokens become those of the run, as TRL's `num_tokens`."""
        metrics["num_tokens"] = tokens = self.state.num_tokens + int(metrics["num_tokens"])
        row = as_row(where["phase"], where["step"], metrics)
        self.state = dataclasses.replace(self.state, row=row, num_tokens=tokens, **where)
        optimizer.uncommitted = False
        self.folder.copied = None

    def _evaluate(
        self, name: str, sampler: Sampler, grader: Grader, at: tuple[str, int] | None = None, size: int | None = None
    ) -> dict[str, Any]:
        """Evaluate the present weights, `at` (phase, step), if that has not been done."""
        start = time.perf_counter()
        numbers = self.evaluations.measure(name, at or (self.state.phase, self.state.step), sampler, grader, size)
        self._count("evaluation", start)
        return numbers

    def _parity(self, learner: Learner) -> None:
        """Sampler and trainer must agree, and both must look at the image, before anything is learned."""
        start = time.perf_counter()
        problems = ProblemStream(self.train_set, self.config.seed, 0, self.vlm, self.world).take(8)
        print(check_parity(self.config, self.vlm, self.policy, learner.sampler, problems), flush=True)
        self._count("parity", start)

    # --- state ------------------------------------------------------------------------------------------------------

    def _optimizer(self, phase: str, **options: Any) -> Optimizer:
        """A new optimiser, the one carried over from the reading phase, or the checkpoint's."""
        if phase == "warm_start" and self._learning is not None:
            return self._learning
        optimizer = self._learning = Optimizer(self.vlm.model, max_grad_norm=self.config.max_grad_norm, world=self.world, **options)
        same = self.state.phase == phase or (self.state.phase == "reading" and phase == "warm_start")
        if self._tensors is not None and same:
            optimizer.load_state_dict(self._tensors["optimizer"])
            self._tensors = None
        return optimizer

    def _shard(self) -> None:
        """FSDP2 where it was asked for, or where all weights of a checkpoint learn in several processes."""
        wanted, whole = self.config.parallel, self.vlm.has_adapter
        if wanted == "fsdp" and whole:
            raise UserError("parallel=fsdp is for full fine-tuning; got a model with an adapter (lora.enabled=false, or ddp)")
        auto = wanted == "auto" and not whole and not self.vlm.is_small
        if self.world.size > 1 and (wanted == "fsdp" or auto):
            fsdp.shard(self.vlm.model, self.world.size)
            self.world.sharded = True

    def _save(self, name: str, optimizer: Optimizer) -> None:
        """The same files whatever the number of processes; the main rank writes them, the others only take part."""
        weights = fsdp.whole_weights(self.vlm.model, self.world.is_main) if self.world.sharded else None
        tensors = {"optimizer": optimizer.state_dict(), "random": torch.get_rng_state()}
        state = dataclasses.asdict(self.state)
        facts = {
            "recipe": self.config.recipe,
            "data": self.config.data.path or self.config.data.source,
            "phase": f"{self.state.phase}, step {self.state.step}",
            "seed": self.config.seed,
            "trained with": ", ".join(f"{name} {version}" for name, version in versions().items()),
        }

        def write(folder: Path) -> None:
            self.vlm.save(folder, weights, facts)
            (folder / CONFIG).write_text(to_yaml(self.asked), encoding="utf-8")

        if self.world.is_main:
            checkpoint.save(self.folder.path, name, write, state, tensors, self.config.save_total_limit)

    def _restore(self, path: Path) -> None:
        """Weights, optimiser, random state and where the run stood."""
        state, self._tensors = checkpoint.load(path)
        state.pop("files")
        self.state = State(**state)
        loading.load_weights(self.vlm, path)
        torch.set_rng_state(self._tensors["random"])

    # --- data -------------------------------------------------------------------------------------------------------

    def _budget(self) -> int:
        """Token rows of a micro-batch: by preflight, once; a resumed run keeps it, or its sums would differ."""
        self.preflight: dict[str, Any] | None = None
        if not self.config.preflight or self.world.sharded:  # its memory table is of a model that is whole
            return self.config.token_budget or DEFAULT_BUDGET
        if not changes.needs_new_budget(self.changed):
            self.preflight = self.world.from_main(lambda: RunFolder(self.home).read_json("preflight.json"))
        if self.preflight is None:
            worst = worst_problems(self.config, self.vlm, self.train_set, self.longest)
            found = run_preflight(self.config, self.vlm, self.policy, worst, bytes_held(self.config, self.vlm))
            print(found, flush=True)
            self.preflight = dataclasses.asdict(found)
            self.preflight["token_budget"] = min(self.world.gather(self.preflight["token_budget"]))
        return self.config.token_budget or self.preflight["token_budget"]

    def _demonstrations(self) -> Iterator[Demonstration]:
        return self.shapes.demonstrations(self.config.warm_start.languages, self.config.warm_start.wrong)

    def _more_demonstrations(self) -> Iterator[Demonstration]:
        """Fresh ones: the control run goes on where the warm start ended."""
        stream = self._demonstrations()
        for _ in range(self.steps["warm_start"] * self.config.warm_start.batch_size):
            next(stream)
        return stream

    def _keep_completions(self, learner: Learner, step: int, records: list[dict[str, Any]]) -> None:
        """Every completion of the step, with the picture beside the first of each group."""
        rows = [{"step": step, **row} for row in with_pictures(records, learner.problems.recent)]
        self.folder.write_records(f"completions/step_{step:06d}.parquet", rows)

    def _count(self, phase: str, start: float) -> None:
        self.state.seconds[phase] = self.state.seconds.get(phase, 0.0) + time.perf_counter() - start


def _rewards(config: TrainConfig) -> Rewards:
    if config.shuffle_rewards:
        return Shuffled(config.reward_funcs, config.reward_weights, config.seed)
    return Rewards(config.reward_funcs, config.reward_weights)


def _line(metrics: dict[str, float]) -> str:
    return (
        f"reward {metrics['reward']:.3f}  pass@1 {metrics['pass@1']:.3f}  "
        f"tokens {metrics['completions/mean_length']:.1f}  nsl {metrics['language/nsl']:.2f}"
    )
