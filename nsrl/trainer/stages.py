"""A stage says what is learned, from which data and for how many steps; a run is a list of them (`planned`).

A run is a list of stages (`planned`). Everything a step draws depends on (seed, stage, step) alone, so N steps and N
resumed ones are 2N steps, bit for bit on a CPU.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from nsrl.checks.configured import check_parity
from nsrl.config import TrainConfig
from nsrl.data.source import Demonstration
from nsrl.engines import EnginePool
from nsrl.report import write_report
from nsrl.rollout.types import Sampler
from nsrl.trainer.grader import Grader
from nsrl.trainer.keep import with_pictures
from nsrl.trainer.learner import Learner
from nsrl.trainer.loop import grpo_step
from nsrl.trainer.metrics import Progress
from nsrl.trainer.monitor import Monitor
from nsrl.trainer.problems import ProblemStream
from nsrl.trainer.reference import reference
from nsrl.trainer.resume import planned_steps
from nsrl.trainer.step_metrics import engine_metrics, gpu_uuid, peak_memory
from nsrl.trainer.supervised import supervised_step
from nsrl.trainer.telemetry import Telemetry

if TYPE_CHECKING:
    from nsrl.trainer.run import Run

REPORT_EVERY_S = 60.0  # at checkpoints, at most: a page takes a second, and some checkpoints come every few


@dataclass(frozen=True)
class Stage:
    """A stretch of a run under one name, which stands in checkpoints and metrics.

    data: pictures read out, solved problems (supervised), or problems (GRPO). skip: demonstrations of its stream that
    an earlier stage took. joins: the stage whose optimiser and schedule this one goes on with. optimizer: options of
    its own `Optimizer`. With data="held_out" nothing is learned: the weights that stand there are evaluated, under that
    name.
    """

    name: str
    data: Literal["readings", "demonstrations", "problems", "held_out"]
    steps: int = 0
    skip: int = 0
    joins: str | None = None
    optimizer: dict[str, Any] = field(default_factory=dict)


def planned(config: TrainConfig) -> list[Stage]:
    """The stages of a run in order, those that would learn for no step left out."""
    steps, warm = planned_steps(config), config.warm_start
    supervised = {"schedule": "linear", "warmup": 30, "floor": 0.05, "muon": warm.optimizer == "muon"}
    schooling = {**supervised, "learning_rate": warm.learning_rate, "total": steps["reading"] + steps["warm_start"]}
    again = {**supervised, "learning_rate": 0.3 * warm.learning_rate, "total": steps["extra"]}
    reinforced = {
        "learning_rate": config.learning_rate,
        "schedule": config.lr_scheduler_type,
        "warmup": config.warmup_steps,
        "total": config.max_steps * config.num_iterations,
        "weight_decay": config.weight_decay,
        "betas": (0.9, config.adam_beta2),
    }
    stages = [
        Stage("reading", "readings", steps["reading"], optimizer=schooling),
        Stage("warm_start", "demonstrations", steps["warm_start"], joins="reading", optimizer=schooling),
        Stage("warm_start", "held_out"),
        # fresh ones: the control run goes on where the warm start ended
        Stage("extra", "demonstrations", steps["extra"], skip=steps["warm_start"] * warm.batch_size, optimizer=again),
        Stage("grpo", "problems", steps["grpo"], optimizer=reinforced),
        *([Stage("final", "held_out")] if steps["extra"] or steps["grpo"] else []),
    ]
    return [stage for stage in stages if stage.steps or stage.data == "held_out"]


def demonstrations(run: Run, stage: Stage, taken: int) -> Iterator[Demonstration]:
    """The stage's demonstrations behind the first `taken` of it."""
    teacher, warm = run.data.teacher, run.config.warm_start
    stream = teacher.readings() if stage.data == "readings" else teacher.demonstrations(run.config.taught, warm.wrong)
    for _ in range(stage.skip + taken):
        next(stream)
    return stream if teacher.size is None else _read_ahead(run, stream, warm.batch_size)


def _read_ahead(run: Run, stream: Iterator[Demonstration], size: int) -> Iterator[Demonstration]:
    """The stream, with the pictures of the next `size` demonstrations beginning to be read when as many are taken."""
    following = list(islice(stream, size))
    while True:
        now, following = following, list(islice(stream, size))
        run.vlm.read_ahead(one.problem for one in run.world.share(following))
        yield from now


def supervise(run: Run, stage: Stage, begun: int) -> None:
    """Supervised steps `begun` + 1 to the stage's last."""
    config, optimizer = run.config, run.progress.optimizer(stage)
    stream = demonstrations(run, stage, begun * config.warm_start.batch_size)
    with Progress(stage.name.replace("_", " "), stage.steps, begun, every=50) as progress:
        for step in range(begun + 1, stage.steps + 1):
            start = time.perf_counter()
            metrics = supervised_step(
                run.vlm, run.policy, optimizer, stream, config.warm_start.batch_size, run.budget, run.world
            )
            run.progress.count(stage.name, start)
            metrics["timing_s/step"] = time.perf_counter() - start
            run.progress.commit(metrics, phase=stage.name, step=step)
            run.log.write(stage.name, step, metrics)
            progress.step(f"loss {metrics['loss']:.3f}")
            if step % config.save_steps == 0 or step == stage.steps:
                run.progress.save()


def reinforce(run: Run, stage: Stage, begun: int, sampler: Sampler, grader: Grader, pool: EnginePool) -> None:
    """GRPO steps `begun` + 1 to the stage's last."""
    config, device = run.config, run.vlm.device
    starting = run.progress.state.phase != stage.name
    if starting:
        run.progress.state.position = 0
    optimizer = run.progress.optimizer(stage)
    frozen, context = reference(config, run.vlm, run.policy, run.folder.path, run.world, starting)
    learner = Learner(
        config,
        run.vlm,
        run.policy,
        sampler,
        grader,
        run.rewards,
        optimizer,
        ProblemStream(run.data.source, run.progress.state.position, run.vlm, run.world),
        run.budget,
        reference=frozen,
        reference_context=context,
        world=run.world,
    )
    learner.rewards.load_state_dict(run.progress.state.rewards)
    monitor = Monitor(run.progress.state.monitor)
    sampler.sync(run.vlm.model)
    if config.parity_check:  # after a resume too: what was loaded may lack its adapter
        _require_parity(run, sampler)
    telemetry = Telemetry(gpu_uuid(device))
    peak_memory(device)
    reported = time.perf_counter()
    with Progress(stage.name, stage.steps, begun, every=config.logging_steps) as progress:
        for step in range(begun + 1, stage.steps + 1):
            start = time.perf_counter()
            metrics, records = grpo_step(learner, step)
            metrics |= monitor.see(step, records)
            for line in monitor.fallen():  # asked on every rank: what was told is remembered
                if run.world.is_main:
                    print(line, flush=True)
            run.progress.count(stage.name, start)
            metrics |= engine_metrics(pool.stats()) | telemetry.read() | peak_memory(device)
            if config.completions_steps and (step % config.completions_steps == 0 or step == 1):
                with learner.timer("save"):
                    _keep_completions(run, learner, step, records)
            if config.eval_steps and step % config.eval_steps == 0 and step < stage.steps:
                with learner.timer("evaluation"):
                    midway = run.evaluate(
                        f"step_{step:06d}", sampler, grader, (stage.name, step), config.eval_size_midway
                    )
                metrics |= {f"eval/{k}": midway[k] for k in ("accuracy", "greedy_accuracy") if midway[k] is not None}
            taken, remembered = learner.problems.position, run.rewards.state_dict()
            where = {"phase": stage.name, "step": step, "position": taken}
            run.progress.commit(metrics, **where, rewards=remembered, monitor=monitor.state_dict())
            if step % config.save_steps == 0 or step == stage.steps:
                with learner.timer("save"):
                    run.progress.save(monitor.accuracy())
            metrics |= learner.timer.take()
            run.log.write(stage.name, step, metrics | {"timing_s/step": time.perf_counter() - start})
            progress.step(_line(metrics))
            stale = time.perf_counter() - reported > REPORT_EVERY_S
            if stale and step % config.save_steps == 0 and step < stage.steps and run.world.is_main:
                write_report(run.folder.path)  # at its end the run writes it anyway
                reported = time.perf_counter()


def _require_parity(run: Run, sampler: Sampler) -> None:
    """Sampler and trainer must agree, and both must look at the image, before anything is learned."""
    start = time.perf_counter()
    problems = ProblemStream(run.data.source, 0, run.vlm, run.world).take(8)
    print(check_parity(run.config, run.vlm, run.policy, sampler, problems), flush=True)
    run.progress.count("parity", start)


def _keep_completions(run: Run, learner: Learner, step: int, records: list[dict[str, Any]]) -> None:
    """Every completion of the step, with the picture beside the first of each group."""
    rows = [{"step": step, **row} for row in with_pictures(records, learner.problems.recent)]
    run.folder.write_records(f"completions/step_{step:06d}.parquet", rows)


def _line(metrics: dict[str, float]) -> str:
    return (
        f"reward {metrics['reward']:.3f}  pass@1 {metrics['pass@1']:.3f}  "
        f"tokens {metrics['completions/mean_length']:.1f}  nsl {metrics['language/nsl']:.2f}"
    )
