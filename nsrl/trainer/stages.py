"""A stage says what is learned, from which data and for how many steps; a run is a list of them (`planned`).

The list is the configuration's (`stages`), or the default: reading, warm start, GRPO, with the evaluations between.
Everything a step draws depends on (seed, stage, step) alone, so N steps and N
resumed ones are 2N steps, bit for bit on a CPU.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from nsrl.checks.configured import check_parity
from nsrl.config import TrainConfig
from nsrl.config.schedules import scheduled, schedules_of, widest
from nsrl.config.stages import WINDOW, Until, planned_stages
from nsrl.data.source import Demonstration
from nsrl.engines import EnginePool
from nsrl.models.learning import only
from nsrl.report import write_report
from nsrl.rewards import Rewards, Verifiers
from nsrl.rollout.types import Sampler
from nsrl.trainer.draw import opened, state_of
from nsrl.trainer.grader import Grader
from nsrl.trainer.heldout import OwnData, stage_data
from nsrl.trainer.keep import with_pictures
from nsrl.trainer.learned import Learned
from nsrl.trainer.learner import Learner
from nsrl.trainer.loop import grpo_step
from nsrl.trainer.members import require_members
from nsrl.trainer.metrics import Progress
from nsrl.trainer.monitor import Monitor
from nsrl.trainer.pools import streams
from nsrl.trainer.problems import ProblemStream
from nsrl.trainer.reference import reference
from nsrl.trainer.resume import Order, State, planned_steps, schooling, until_of
from nsrl.trainer.shape import ShapeFunctions
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
    name. config: the run's, as it is in this stage; until: ends it before `steps`, after `least` at the earliest.
    """

    name: str
    data: Literal["readings", "demonstrations", "problems", "held_out"]
    steps: int = 0
    skip: int = 0
    joins: str | None = None
    optimizer: dict[str, Any] = field(default_factory=dict)
    config: TrainConfig = field(default_factory=TrainConfig)
    until: Until | None = None
    least: int = 0
    whole: int = 0  # steps of all that it is joined with, at most: what schedules are over

    def ended(self, step: int, watched: list[float]) -> bool:
        """Whether `step` is its last, given what was watched of it."""
        met = self.until is not None and step >= self.least and self.until.met(watched)
        return met or step >= self.steps


def planned(config: TrainConfig) -> list[Stage]:
    """The stages of a run in order, those that would learn for no step left out."""
    if config.stages:
        return _configured(config)
    steps, warm = planned_steps(config), config.warm_start
    schooling = _schooling(config, steps["reading"] + steps["warm_start"])
    again = {**_schooling(config, steps["extra"]), "learning_rate": 0.3 * warm.learning_rate}
    stages = [
        Stage("reading", "readings", steps["reading"], optimizer=schooling),
        Stage("warm_start", "demonstrations", steps["warm_start"], joins="reading", optimizer=schooling),
        Stage("warm_start", "held_out"),
        # fresh ones: the control run goes on where the warm start ended
        Stage("extra", "demonstrations", steps["extra"], skip=steps["warm_start"] * warm.batch_size, optimizer=again),
        Stage("grpo", "problems", steps["grpo"], whole=steps["grpo"], optimizer=_reinforced(config, steps["grpo"])),
        *([Stage("final", "held_out")] if steps["extra"] or steps["grpo"] else []),
    ]
    return [
        replace(stage, config=config, until=until_of(config, stage.name)[0] if stage.data != "held_out" else None)
        for stage in stages
        if stage.steps or stage.data == "held_out"
    ]


def _configured(config: TrainConfig) -> list[Stage]:
    """The list of the configuration, with the evaluations of every run: before GRPO (before anything, where there is
    none) and at the end."""
    stages: list[Stage] = []
    whole: dict[str, int] = {}  # steps of what shares a schedule, by the stage that it begins with
    root: dict[str, str] = {}
    found = planned_stages(config)
    for one in found:
        root[one.name] = root[one.joins] if one.joins else one.name
        whole[root[one.name]] = whole.get(root[one.name], 0) + one.steps
    for one in found:
        total = whole[root[one.name]]
        if one.kind == "evaluate":
            stages.append(Stage(one.name, "held_out", config=one.config))
            continue
        shared: dict[str, Any] = dict(joins=one.joins, config=one.config, until=one.until, least=one.least, whole=total)
        if one.kind == "grpo":
            stages.append(Stage(one.name, "problems", one.steps, optimizer=_reinforced(one.config, total), **shared))
        else:
            data = "readings" if one.readings else "demonstrations"
            stages.append(Stage(one.name, data, one.steps, optimizer=_schooling(one.config, total), **shared))
    at = next((i for i, stage in enumerate(stages) if stage.data == "problems"), 0)
    return [*stages[:at], Stage("warm_start", "held_out", config=config), *stages[at:],
            Stage("final", "held_out", config=config)]  # fmt: skip


def _schooling(config: TrainConfig, total: int) -> dict[str, Any]:
    """The optimiser of supervised steps, `total` with all that share its schedule."""
    warm = config.warm_start
    how = {"schedule": "linear", "warmup": 30, "floor": 0.05, "muon": schooling(config) == "muon"}
    return {**how, "learning_rate": warm.learning_rate, "total": total}


def _reinforced(config: TrainConfig, total: int) -> dict[str, Any]:
    """The optimiser of GRPO; a schedule of the learning rate says the rate of each rollout's updates."""
    updates = config.num_iterations * config.mini_batches
    options = {
        "learning_rate": config.learning_rate,
        "schedule": config.lr_scheduler_type,
        "warmup": config.warmup_steps,
        "total": total * updates,
        "weight_decay": config.weight_decay,
        "betas": (0.9, config.adam_beta2),
        "gate": config.noise_gate,
    }
    if (rate := schedules_of(config).get("learning_rate")) is not None:
        options |= {"learning_rate": 1.0, "schedule": lambda update: rate.at(update // updates, total), "warmup": 0}
    return options


def begun_of(config: TrainConfig, stage: Stage, state: State) -> int | None:
    """Steps of a stage that are done; None where none is left to do."""
    names = Order.of(config).names
    at, of = names.index(state.phase), names.index(stage.name)
    if at < of:
        return 0
    over = at > of or (state.step > 0 and stage.ended(state.step, state.watched))
    return None if over else state.step


def is_past(config: TrainConfig, number: int, state: State) -> bool:
    """Whether the weights that a stage of the plan evaluates are gone: the next one that learns has begun."""
    names, plan = Order.of(config).names, planned(config)
    following = next((stage.name for stage in plan[number + 1 :] if stage.data != "held_out"), None)
    return following is not None and state.step > 0 and names.index(state.phase) >= names.index(following)


def reference_name(config: TrainConfig, stage: Stage) -> str:
    """Where the reference of a stage of GRPO is kept, below the run folder: what goes on with another has its."""
    if not config.stages:
        return "reference"
    plan = {one.name: one for one in planned(config) if one.data != "held_out"}
    while stage.joins is not None:
        stage = plan[stage.joins]
    return f"reference/{stage.name}"


def data_by_stage(run: Run) -> dict[str, OwnData]:
    """What each stage of the configuration's list learns from. Raises `UserError` for members that no problem of their
    stage has, in a run of one stage too."""
    found: dict[str, OwnData] = {}
    for stage in run.plan:
        with run.vlm.asked(run.chats[stage.name]):
            if run.config.stages and stage.data != "held_out":
                found[stage.name] = stage_data(stage.config, run.config, run.data, run.vlm, run.world)
            if stage.data == "problems":
                require_members(stage.config, found.get(stage.name, run.data).source, run.vlm)
    return found


def demonstrations(run: Run, stage: Stage, taken: int) -> Iterator[Demonstration]:
    """The stage's demonstrations behind the first `taken` of it."""
    teacher, warm = run.data_of(stage).teacher, stage.config.warm_start
    taught = stage.config.taught, warm.wrong, stage.config.turns.max > 1
    stream = teacher.readings() if stage.data == "readings" else teacher.demonstrations(*taught)
    for _ in range(stage.skip + _taken_by_joined(run, stage) + taken):
        next(stream)
    return stream if teacher.size is None else _read_ahead(run, stream, warm.batch_size)


def _joined(run: Run, stage: Stage) -> Iterator[tuple[Stage, int]]:
    """The stages that one goes on with, the latest first, and the steps that were taken in each."""
    plan = {one.name: one for one in run.plan if one.data != "held_out"}
    while stage.joins in plan:
        stage = plan[stage.joins]
        yield stage, run.progress.state.done.get(stage.name, [0])[0]


def _taken_by_joined(run: Run, stage: Stage) -> int:
    """Demonstrations of the same stream that the stages which this one goes on with have taken."""
    stream = lambda s: (s.data, s.config.teacher, s.config.warm_start.languages, s.config.warm_start.wrong)
    joined = [(one, steps) for one, steps in _joined(run, stage) if stream(one) == stream(stage)]
    return sum(steps * one.config.warm_start.batch_size for one, steps in joined)


def _read_ahead(run: Run, stream: Iterator[Demonstration], size: int) -> Iterator[Demonstration]:
    """The stream, with the pictures of the next `size` demonstrations beginning to be read when as many are taken."""
    following = list(islice(stream, size))
    while True:
        now, following = following, list(islice(stream, size))
        run.vlm.read_ahead(one.problem for one in run.world.share(following))
        yield from now


def supervise(run: Run, stage: Stage, begun: int, sampler: Sampler, grader: Grader) -> None:
    """Supervised steps `begun` + 1 to the stage's last."""
    config, size = stage.config, stage.config.warm_start.batch_size
    run.progress.enter(stage)
    optimizer = run.progress.optimizer(stage)
    stream = demonstrations(run, stage, begun * size)
    learned = Learned({name: [*rows] for name, rows in run.progress.state.learned.items()})
    with Progress(stage.name.replace("_", " "), stage.steps, begun, every=50) as progress:
        for step in range(begun + 1, stage.steps + 1):
            start = time.perf_counter()
            metrics = supervised_step(
                run.vlm, run.policy, optimizer, stream, size, run.budget_of(stage), run.world, learned
            )
            run.progress.count(stage.name, start)
            if midway_due(stage, step):
                metrics |= midway(run, stage, f"{stage.name}_{step:06d}", step, sampler, grader)
            metrics["timing_s/step"] = time.perf_counter() - start
            watched = watch(stage, run.progress.state.watched, metrics)
            kept = {name: [*rows] for name, rows in learned.kept.items()}
            run.progress.commit(metrics, phase=stage.name, step=step, watched=watched, learned=kept)
            run.log.write(stage.name, step, metrics)
            worst = metrics.get("learned/worst")
            progress.step(f"loss {metrics['loss']:.3f}" + (f"  learned {worst:.0%}" if worst is not None else ""))
            ended = stage.ended(step, watched)
            if step % config.save_steps == 0 or ended:
                run.progress.save()
            if ended:
                break
    _say_end(run, stage)


def midway_due(stage: Stage, step: int) -> bool:
    """Whether the stage's `until` wants an evaluation behind this step."""
    return stage.until is not None and stage.until.every > 0 and step % stage.until.every == 0


def midway(run: Run, stage: Stage, name: str, step: int, sampler: Sampler, grader: Grader) -> dict[str, float]:
    """An evaluation on the first held-out problems, as metrics of a step."""
    numbers = run.evaluate(name, sampler, grader, (stage.name, step), stage.config.eval_size_midway)
    shown = {k: numbers[k] for k in ("accuracy", "greedy_accuracy") if numbers[k] is not None}
    if stage.until is not None and stage.until.every:
        by_category = [row["accuracy"] for row in numbers["table"][:-1] if row["accuracy"] is not None]
        more = {"pass_at_n": numbers["pass_at_n"], "worst_category": min(by_category, default=None)}
        shown |= {name: value for name, value in more.items() if value is not None}
    return {f"eval/{name}": value for name, value in shown.items()}


def watch(stage: Stage, watched: list[float], metrics: dict[str, float]) -> list[float]:
    """What `until` compares, with this step's value."""
    if stage.until is None or not math.isfinite(value := metrics.get(stage.until.metric, math.nan)):
        return watched
    return [*watched, float(value)][-WINDOW:]


def _say_end(run: Run, stage: Stage) -> None:
    state, until = run.progress.state, stage.until
    if until is not None and run.world.is_main:
        why = "was met" if until.met(state.watched) else f"was not met in {stage.steps} steps"
        print(
            f"{stage.name} ended at step {state.step}: {until.metric} {until.sign} {until.number:g} {why}", flush=True
        )


def reinforce(run: Run, stage: Stage, begun: int, sampler: Sampler, grader: Grader, pool: EnginePool) -> None:
    """GRPO steps `begun` + 1 to the stage's last."""
    anew = run.progress.enter(stage) and stage.joins is None
    held = reference(widest(stage.config), run.vlm, run.policy, run.reference_of(stage), run.world, anew)
    sampler.sync(run.vlm.model)  # all that the run has learned; steps hand over what their stage does
    with only(run.vlm, stage.config.train):
        _reinforce(run, stage, begun, sampler, grader, pool, held)


def _reinforce(
    run: Run, stage: Stage, begun: int, sampler: Sampler, grader: Grader, pool: EnginePool, held: tuple[Any, Any]
) -> None:
    """held: the reference and the context in which it is the reference."""
    config, device, (frozen, context) = stage.config, run.vlm.device, held
    before = run.steps_before(stage)
    scheduled_before = sum(steps for _, steps in _joined(run, stage))
    optimizer = run.progress.optimizer(stage)
    rewards, data = Rewards(**config.paid.asked()), run.data_of(stage)
    own = Grader(pool, Verifiers(config.paid.verifiers))  # evaluations midway are judged as the run's
    chooser = opened(config.draw, streams(config, data.pools), config.seed, run.progress.state.draw)
    learner = Learner(
        config,
        run.vlm,
        run.policy,
        sampler,
        own,
        rewards,
        optimizer,
        ProblemStream(data.source, run.progress.state.position, run.vlm, run.world, chooser),
        run.budget_of(stage),
        reference=frozen,
        reference_context=context,
        world=run.world,
        shapes=ShapeFunctions(config.tokens.shape_funcs),
        talk=run.talk,
    )
    learner.rewards.load_state_dict(run.progress.state.rewards)
    learner.shapes.load_state_dict(run.progress.state.shapes)
    monitor = Monitor(run.progress.state.monitor)
    if config.parity_check:  # after a resume too: what was loaded may lack its adapter
        _require_parity(run, stage, sampler)
    telemetry = Telemetry(gpu_uuid(device))
    peak_memory(device)
    reported = time.perf_counter()
    with Progress(stage.name, stage.steps, begun, every=config.logging_steps) as progress:
        for step in range(begun + 1, stage.steps + 1):
            start = time.perf_counter()
            learner.progress = (scheduled_before + step - 1, stage.whole)
            if config.schedules:
                learner.config, values = scheduled(config, *learner.progress)
                rewards.weights = list(learner.config.paid.named().values())
            metrics, records = grpo_step(learner, step)
            metrics |= monitor.see(step, (row for row in records if not row.get("other_problem")))
            for line in monitor.fallen():  # asked on every rank: what was told is remembered
                if run.world.is_main:
                    print(line, flush=True)
            run.progress.count(stage.name, start)
            metrics |= engine_metrics(pool.stats()) | telemetry.read() | peak_memory(device)
            if config.schedules:
                metrics |= {f"schedule/{name}": value for name, value in values.items()}
            if config.completions_steps and (step % config.completions_steps == 0 or step == 1):
                with learner.timer("save"):
                    _keep_completions(run, learner, before + step, records)
            asked = config.eval_steps and step % config.eval_steps == 0 and step < stage.steps
            if asked or midway_due(stage, step):
                with learner.timer("evaluation"):
                    metrics |= midway(run, stage, f"step_{before + step:06d}", step, sampler, grader)
            taken, remembered = learner.problems.position, rewards.state_dict()
            shapes, draw = learner.shapes.state_dict(), state_of(chooser)
            parts = {} if chooser is None else {stage.name: dict(chooser.streams.positions)}
            watched = watch(stage, run.progress.state.watched, metrics)
            where = {"phase": stage.name, "step": step, "position": taken, "watched": watched}
            where |= {"draw": draw, "drawn": run.progress.state.drawn | parts}
            run.progress.commit(metrics, **where, rewards=remembered, shapes=shapes, monitor=monitor.state_dict())
            ended = stage.ended(step, watched)
            if step % config.save_steps == 0 or ended:
                with learner.timer("save"):
                    run.progress.save(None if config.draw.moves else monitor.accuracy())
            metrics |= learner.timer.take()
            run.log.write(stage.name, step, metrics | {"timing_s/step": time.perf_counter() - start})
            progress.step(_line(metrics))
            stale = time.perf_counter() - reported > REPORT_EVERY_S
            if stale and step % config.save_steps == 0 and not ended and run.world.is_main:
                write_report(run.folder.path)  # at its end the run writes it anyway
                reported = time.perf_counter()
            if ended:
                break
    _say_end(run, stage)


def _require_parity(run: Run, stage: Stage, sampler: Sampler) -> None:
    """Sampler and trainer must agree, and both must look at the image, before anything is learned."""
    start = time.perf_counter()
    problems = ProblemStream(run.data_of(stage).source, 0, run.vlm, run.world).take(8)
    print(check_parity(stage.config, run.vlm, run.policy, sampler, problems), flush=True)
    run.progress.count("parity", start)


def _keep_completions(run: Run, learner: Learner, step: int, records: list[dict[str, Any]]) -> None:
    """Every completion of the step, with the picture beside the first of each group."""
    rows = [{"step": step, **row} for row in with_pictures(records, learner.problems.recent.values())]
    run.folder.write_records(f"completions/step_{step:06d}.parquet", rows)


def _line(metrics: dict[str, float]) -> str:
    return (
        f"reward {metrics['reward']:.3f}  pass@1 {metrics['pass@1']:.3f}  "
        f"tokens {metrics['completions/mean_length']:.1f}  nsl {metrics['language/nsl']:.2f}"
    )
