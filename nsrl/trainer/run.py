"""A run from configuration to report: warm start, evaluation, GRPO, evaluation. Resumable at every step.

The phases are `reading`, `warm_start`, `extra` (the supervised control) and `grpo`; a checkpoint's state says which
phase and step it is behind. Everything a step draws depends on (seed, phase, step) alone, so N steps and N resumed ones
are 2N steps, bit for bit on a CPU.
"""

from __future__ import annotations

import copy
import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from nsrl.config import EngineConfig, TrainConfig
from nsrl.data.shapes import Demonstration, Shapes
from nsrl.engines import EnginePool, Limits
from nsrl.errors import UserError
from nsrl.report import point_title, write_report
from nsrl.report.table import print_table, table
from nsrl.rewards import Rewards
from nsrl.rewards.controls import Shuffled
from nsrl.rollout.native import NativeSampler
from nsrl.rollout.types import Sampler
from nsrl.trainer import checkpoint, evaluation, model, sharded
from nsrl.trainer.distributed import ALONE, World
from nsrl.trainer.folder import RunFolder, versions
from nsrl.trainer.judge import Judge
from nsrl.trainer.keep import keep_pictures, with_pictures
from nsrl.trainer.loop import Learner, grpo_step
from nsrl.trainer.metrics import MetricsLog, Progress
from nsrl.trainer.optim import Optimizer
from nsrl.trainer.policy import Policy
from nsrl.trainer.problems import ProblemStream, read_data
from nsrl.trainer.ready import check_parity, run_preflight
from nsrl.trainer.supervised import supervised_step
from nsrl.trainer.telemetry import Telemetry
from nsrl.types import Problem

PHASES = ("reading", "warm_start", "extra", "grpo")
WARM_START_STEPS = 600  # of the small model
DEFAULT_BUDGET = 16_384  # stream rows per micro-batch when memory does not say otherwise


@dataclasses.dataclass
class State:
    """Where a run stands; the JSON part of a checkpoint."""

    phase: str = "reading"
    step: int = 0  # steps done in that phase
    position: int = 0  # training problems taken by GRPO
    num_tokens: int = 0  # of all prompts and completions so far, a prompt once per completion
    rewards: dict[str, Any] = dataclasses.field(default_factory=dict)  # what stateful rewards remember
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)


class Run:
    """One run. `Run(config).execute()` returns the summary; under torchrun each rank makes one with its world."""

    def __init__(self, config: TrainConfig, world: World = ALONE) -> None:
        self.world = world
        if config.threads:
            torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)  # nothing should draw from it; what does is then the same in a resumed run
        self.folder = world.from_main(lambda: RunFolder.create(config))
        self.folder.writes = world.is_main
        self.config = config
        self.vlm = model.load(config.model, config.lora, config.seed)
        model.require_positions(self.vlm, config.max_completion_length)
        self.vlm.pictures.memory = config.data.picture_memory_mb << 20
        self.vlm.pictures.threads = config.data.picture_threads
        self.state = State()
        self.log = MetricsLog(self.folder.path, config.report_to, dataclasses.asdict(config), world.is_main)
        steps = config.warm_start.steps
        if steps is None:
            steps = WARM_START_STEPS if config.model.name == "small" else 0
        self.steps = {
            "reading": config.warm_start.reading_steps if steps else 0,
            "warm_start": steps,
            "extra": config.extra_supervised_steps,
            "grpo": 0 if config.extra_supervised_steps else config.max_steps,
        }
        self._tensors: dict[str, Any] | None = None  # of the checkpoint, until its optimiser is built
        self._carried: Optimizer | None = None  # from the reading phase to the warm start
        self._restore()
        self._shard()
        self.policy = Policy(
            self.vlm.model,
            attention=None if config.model.attention == "auto" else config.model.attention,
            checkpointing=config.model.gradient_checkpointing or None,
            liger=config.model.liger,
        )
        self.shapes = Shapes(config.data.level, config.seed, config.data.eval_size if config.data.source == "shapes" else 0)
        self.train_set, self.test_set = self._data()
        self.budget = self._budget()

    # --- the whole run, top to bottom -------------------------------------------------------------------------------

    def execute(self) -> dict[str, Any]:
        config = self.config
        with open_pool(config.engine) as pool:
            sampler = open_sampler(config, self.vlm)
            if self.world.sharded:
                sampler = sharded.GatheredSampler(sampler, self.vlm.model)
            judge = Judge(pool)
            self._supervised("reading", lambda: self.shapes.readings())
            self._supervised("warm_start", self._demonstrations)
            before = self._evaluate("warm_start", sampler, judge)
            self._supervised("extra", self._more_demonstrations)
            if self.steps["grpo"]:
                self._grpo(sampler, judge, pool)
            after = self._evaluate("final", sampler, judge) if self.steps["grpo"] or self.steps["extra"] else before
            sampler.close()
        summary = self._summary(before, after)
        self.folder.write_json("summary.json", summary)
        if self.world.is_main:
            write_report(self.folder.path)
        return summary

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
                self.state.phase, self.state.step = phase, step
                self._count_tokens(metrics)
                self.log.write(phase, step, metrics | {"timing_s/step": time.perf_counter() - start})
                progress.step(f"loss {metrics['loss']:.3f}")
                if step % self.config.save_steps == 0 or step == todo:
                    self._save(f"checkpoint-{phase.replace('_', '-')}-{step}", optimizer)
        self._carried = optimizer if phase == "reading" else None

    def _grpo(self, sampler: Sampler, judge: Judge, pool: EnginePool) -> None:
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
        learner = Learner(
            config,
            self.vlm,
            self.policy,
            sampler,
            judge,
            _rewards(config),
            optimizer,
            ProblemStream(self.train_set, config.seed, self.state.position, self.vlm, self.world),
            self.budget,
            reference=self._reference_policy(),
            world=self.world,
        )
        learner.rewards.load_state_dict(self.state.rewards)
        sampler.sync(self.vlm.model)
        if config.parity_check:  # after a resume too: what was loaded may lack its adapter
            self._parity(learner)
        telemetry = Telemetry(gpu_uuid(self.vlm.device))
        with Progress("grpo", config.max_steps, begun, every=config.logging_steps) as progress:
            for step in range(begun + 1, config.max_steps + 1):
                start = time.perf_counter()
                metrics, records = grpo_step(learner, step)
                self._count("grpo", start)
                self.state.phase, self.state.step, self.state.position = "grpo", step, learner.problems.position
                self._count_tokens(metrics)
                metrics |= engine_metrics(pool.stats())
                metrics |= telemetry.read()
                if config.completions_steps and (step % config.completions_steps == 0 or step == 1):
                    self._keep_completions(learner, step, records)
                if config.eval_steps and step % config.eval_steps == 0 and step < config.max_steps:
                    midway = self._evaluate(f"step_{step:06d}", sampler, judge, config.eval_size_midway)
                    metrics |= {"eval/accuracy": midway["accuracy"], "eval/greedy_accuracy": midway["greedy_accuracy"]}
                if step % config.save_steps == 0 or step == config.max_steps:
                    with learner.timer("save"):
                        self._save(f"checkpoint-{step}", optimizer)
                self.log.write("grpo", step, metrics | {"timing_s/step": time.perf_counter() - start})
                progress.step(_line(metrics))
                if step % config.save_steps == 0 and step < config.max_steps and self.world.is_main:
                    write_report(self.folder.path)  # at its end the run writes it anyway

    def _evaluate(self, name: str, sampler: Sampler, judge: Judge, size: int | None = None) -> dict[str, Any]:
        """Evaluate once: a result that is already in the run folder is taken from there."""
        file = f"eval/{name}.json"
        known = self.world.from_main(lambda: self.folder.read_json(file))
        if known is not None:
            return known
        problems = self.test_set[:size]
        sampler.sync(self.vlm.model)  # supervised steps before this did not
        start = time.perf_counter()
        point = point_title(name, warm=bool(self.steps["warm_start"]))
        with Progress(f"evaluate {point}", len(problems), every=200) as progress:
            result = evaluation.evaluate(
                self.vlm,
                sampler,
                judge,
                problems,
                samples=self.config.eval_samples,
                temperature=self.config.temperature,
                max_tokens=self.config.max_completion_length,
                seed=self.config.seed + 1,
                progress=lambda count: progress.step(count=count),
                world=self.world,
            )
        self._count("evaluation", start)
        numbers = result.numbers() | {"table": table(result.records), "problems": len(problems)}
        print_table(result.records, title=f"{len(problems)} held-out problems {point}")
        low, high = result.ci95
        print(f"accuracy of samples {100 * result.accuracy:.1f}% [{100 * low:.1f}, {100 * high:.1f}], "
              f"greedy {100 * result.greedy_accuracy:.1f}%, mean tokens {result.mean_tokens:.1f}", flush=True)  # fmt: skip
        self.folder.write_json(file, numbers)
        if self.world.is_main:
            keep_pictures(self.folder.path, self.test_set)
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
        if phase == "warm_start" and self._carried is not None:
            return self._carried
        optimizer = Optimizer(self.vlm.model, max_grad_norm=self.config.max_grad_norm, world=self.world, **options)
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
            sharded.shard(self.vlm.model, self.world.size)
            self.world.sharded = True

    def _save(self, name: str, optimizer: Optimizer) -> None:
        """The same files whatever the number of processes; the main rank writes them, the others only take part."""
        weights = sharded.whole_weights(self.vlm.model, self.world.is_main) if self.world.sharded else None
        tensors = {"optimizer": optimizer.state_dict(), "random": torch.get_rng_state()}
        state = dataclasses.asdict(self.state)
        if self.world.is_main:
            write = lambda folder: self.vlm.save(folder, weights)
            checkpoint.save(self.folder.path, name, write, state, tensors, self.config.save_total_limit)

    def _restore(self) -> None:
        """Continue from a checkpoint when resuming: weights, optimizer, random state, data position, metrics."""
        config = self.config
        if not config.resume and config.resume_from_checkpoint is None:
            return
        chosen = config.resume_from_checkpoint
        path = Path(chosen) if chosen else self.world.from_main(lambda: checkpoint.latest(self.folder.path))
        if path is None:
            self.log.cut_back(PHASES[0], 0, PHASES)  # killed before the first checkpoint: start again
            return
        state, self._tensors = checkpoint.load(path)
        state.pop("files")
        self.state = State(**state)
        model.load_weights(self.vlm, path)
        torch.set_rng_state(self._tensors["random"])
        self.log.cut_back(self.state.phase, self.state.step, PHASES)
        print(f"resumed from {path.name}: {self.state.phase} step {self.state.step}", flush=True)

    def _reference_policy(self) -> Policy | None:
        """The frozen start of GRPO, kept in the run folder so that a resumed run has the same one."""
        if self.config.beta == 0 or self.vlm.has_adapter:
            return None
        path = self.folder.path / "reference"
        if not self.world.from_main(path.exists):
            weights = sharded.whole_weights(self.vlm.model, self.world.is_main) if self.world.sharded else None
            if self.world.is_main:
                working = path.with_suffix(".tmp")
                self.vlm.save(working, weights)
                working.rename(path)
            self.world.barrier()
        if self.world.sharded:  # shards cannot be copied
            frozen = model.load(self.config.model, self.config.lora, self.config.seed).model
        else:
            frozen = copy.deepcopy(self.vlm.model)
        model.load_weights(dataclasses.replace(self.vlm, model=frozen.requires_grad_(False)), path)
        if self.world.sharded:
            sharded.shard(frozen, self.world.size)
        return Policy(frozen, attention=self.policy.attention.name)

    # --- data and summary -------------------------------------------------------------------------------------------

    def _data(self) -> tuple[Any, list]:
        if self.config.data.source == "shapes":
            return self.shapes, self.shapes.test()
        train, test, self.longest = read_data(self.config.data, self.vlm, self.world)
        return train, test

    def _budget(self) -> int:
        """Token rows of a micro-batch: by preflight, once; a resumed run keeps it, or its sums would differ."""
        if not self.config.preflight or self.world.sharded:  # its memory table is of a model that is whole
            return self.config.token_budget or DEFAULT_BUDGET
        known = self.world.from_main(lambda: self.folder.read_json("preflight.json"))
        if known is None:
            shapes = self.config.data.source == "shapes"
            problems = ProblemStream(self.train_set, self.config.seed).take(64) if shapes else self._longest()
            found = run_preflight(self.config, self.vlm, self.policy, problems)
            print(found, flush=True)
            known = dataclasses.asdict(found)
            known["token_budget"] = min(self.world.gather(known["token_budget"]))
            self.folder.write_json("preflight.json", known)
        return self.config.token_budget or known["token_budget"]

    def _longest(self) -> list[Problem]:
        return [next((p for p in self.longest if self.vlm.unreadable(p) is None), self.longest[0])]

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
        self.folder.write_completions(step, with_pictures(records, learner.problems.recent))

    def _count(self, phase: str, start: float) -> None:
        self.state.seconds[phase] = self.state.seconds.get(phase, 0.0) + time.perf_counter() - start

    def _count_tokens(self, metrics: dict[str, float]) -> None:
        """A step's tokens to those of the run, as TRL's `num_tokens`."""
        self.state.num_tokens += int(metrics["num_tokens"])
        metrics["num_tokens"] = self.state.num_tokens

    def _summary(self, before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
        return {
            "accuracy_warm_start": before["accuracy"],
            "accuracy_warm_start_ci95": before["ci95"],
            "accuracy_warm_start_greedy": before["greedy_accuracy"],
            "accuracy_warm_start_greedy_ci95": before["greedy_ci95"],
            "accuracy_final": after["accuracy"],
            "accuracy_final_ci95": after["ci95"],
            "accuracy_final_greedy": after["greedy_accuracy"],
            "accuracy_final_greedy_ci95": after["greedy_ci95"],
            "gain_points": 100 * (after["accuracy"] - before["accuracy"]),
            "tokens_by_language": before["tokens_by_language"],  # before GRPO, while every language is still in use
            "tokens_by_language_final": after["tokens_by_language"],
            "language_share": {"before": before["language_share"], "after": after["language_share"]},
            "mean_output_tokens": {"before": before["mean_tokens"], "after": after["mean_tokens"]},
            "seconds": {name: round(value, 2) for name, value in self.state.seconds.items()},
            "seed": self.config.seed,
            "problems_evaluated": before["problems"],
            "steps": self.steps,
            "versions": versions(),
        }


def _rewards(config: TrainConfig) -> Rewards:
    if config.shuffle_rewards:
        return Shuffled(config.reward_funcs, config.reward_weights, config.seed)
    return Rewards(config.reward_funcs, config.reward_weights)


def open_pool(engine: EngineConfig) -> EnginePool:
    """The pool as configured, in a `with`."""
    limits = Limits(cpu_s=engine.cpu_s, wall_s=engine.wall_s, memory_mb=engine.memory_mb)
    return EnginePool(engine.workers, limits, allow_unsandboxed=engine.allow_unsandboxed)


def open_sampler(config: TrainConfig, vlm: model.VLM) -> Sampler:
    """The native sampler, or vLLM when asked for (a clear error when it is not installed)."""
    if config.rollout == "native":
        return NativeSampler(vlm.model)
    from nsrl.rollout.vllm import VllmSampler

    room = config.data.max_prompt_length + config.max_completion_length
    return VllmSampler(
        vlm.model,
        vlm.tokenizer,
        vlm.image_processor,
        max_model_len=min(room, vlm.config.text_config.max_position_embeddings),
        seed=config.seed,
        **dataclasses.asdict(config.vllm),
    )


def engine_metrics(stats: dict[str, Any]) -> dict[str, float]:
    """The pool's telemetry of the clock's kind; what it counts from its start would differ after a resume."""
    metrics = {f"engine/latency_s/{name}": ms / 1000 for name, ms in stats["latency_ms"].items()}
    names = {"queued": "queue_depth", "restarts": "restarts", "stalls": "stalls", "cache_hits": "cache_hits"}
    return metrics | {f"engine/{name}": float(stats[key]) for key, name in names.items()}


def gpu_uuid(device: torch.device) -> str | None:
    """What the driver calls the device, whatever CUDA_VISIBLE_DEVICES renumbers; None for a CPU."""
    return f"GPU-{torch.cuda.get_device_properties(device).uuid}" if device.type == "cuda" else None


def _line(metrics: dict[str, float]) -> str:
    return (
        f"reward {metrics['reward']:.3f}  pass@1 {metrics['pass@1']:.3f}  "
        f"tokens {metrics['completions/mean_length']:.1f}  nsl {metrics['language/nsl']:.2f}"
    )
