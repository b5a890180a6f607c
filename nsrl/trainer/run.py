"""A run goes from its configuration to its report: a folder, and stages one after the other.

A checkpoint's state says which stage and step it is behind; the run goes on there.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import torch

from nsrl.checks.configured import open_policy, run_preflight
from nsrl.config import TrainConfig, plain, run_path
from nsrl.config.schedules import widest
from nsrl.config.stages import other_sources
from nsrl.data.chat import Chat
from nsrl.errors import Terminated, UserError
from nsrl.models import chats, fsdp, loading
from nsrl.models.learning import only, require_parts
from nsrl.models.policy import Policy
from nsrl.models.vlm import VLM
from nsrl.report import write_report
from nsrl.rewards import Rewards, Verifiers
from nsrl.rollout.gathered import GatheredSampler
from nsrl.rollout.open import open_sampler
from nsrl.rollout.types import Sampler
from nsrl.trainer import changes, heldout
from nsrl.trainer.checkpointer import Checkpointer
from nsrl.trainer.distributed import ALONE, World
from nsrl.trainer.evaluations import Evaluations, Numbers, summary
from nsrl.trainer.folder import CONFIG, RunFolder, disk_watched
from nsrl.trainer.grader import Grader, open_pool
from nsrl.trainer.loop import sampling
from nsrl.trainer.metrics import MetricsLog
from nsrl.trainer.problems import worst_problems
from nsrl.trainer.reference import bytes_held, require_kept
from nsrl.trainer.resume import Order, check_steps, find, planned_steps, rewind
from nsrl.trainer.stages import (
    Stage,
    begun_of,
    data_by_stage,
    is_past,
    planned,
    reference_name,
    reinforce,
    supervise,
)
from nsrl.trainer.talk import talk_of

DEFAULT_BUDGET = 16_384  # stream rows per micro-batch when memory does not say otherwise


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
        for stage in (stage for stage in planned(config) if stage.data == "problems"):
            Rewards(**stage.config.paid.asked())
        self.vlm = loading.load(config.model, config.lora, config.seed, config.prompt, other_sources(config))
        self.chats = {stage.name: chats.chat_for(self.vlm, stage.config.prompt) for stage in planned(config)}
        longest = max(one.config.max_completion_length for one in planned(config)) + config.turns.shown
        loading.require_positions(self.vlm, longest)
        self.vlm.pictures.memory = config.data.picture_memory_mb << 20
        self.vlm.pictures.threads = config.data.picture_threads
        for stage in planned(config):
            sampling(stage.config, self.vlm)
        self.progress = Checkpointer(self.asked, self.vlm, self.folder, self.world)
        self.found = self.world.from_main(lambda: find(config, self.folder.path))
        if self.found is not None:
            self.progress.restore(self.found)
        state = self.progress.state
        order = Order.of(config)
        if self.found is None:
            state.phase = order.names[0]
            state.began = heldout.began(config.model.name)
            for note in heldout.lost(heldout.restored(state)) if self.world.is_main else []:
                print(note, flush=True)
        check_steps(config, state)
        for stage in planned(config):
            if stage.data == "problems" and stage.name == state.phase and state.step:
                require_kept(widest(stage.config), self.home / reference_name(config, stage))
        # fewer problems may be evaluated from now on; what training leaves out stays as it was
        state.held_out = state.held_out or self.changed.get("data.eval_size", (config.data.eval_size,))[0]
        self.config = dataclasses.replace(config, data=dataclasses.replace(config.data, eval_size=state.held_out))
        shard_where_asked(config, self.vlm, self.world)
        self.talk = talk_of(self.vlm, config.turns, self.world.sharded)
        for stage in planned(config):
            require_parts(self.vlm, stage.config.train)
            if stage.config.train is not None and self.world.sharded:
                raise UserError("train cannot act where the model is sharded (parallel=ddp, or leave it out)")
        self.policy = open_policy(config, self.vlm)
        self.data = heldout.own_data(self.config, state, self.vlm, self.world)
        self.plan = planned(self.config)
        self._data = data_by_stage(self)
        anew = not self.config.preflight or self.world.sharded or changes.needs_new_budget(self.changed)
        kept = None if anew else self.world.from_main(lambda: RunFolder(self.home).read_json("preflight.json"))
        self._budgets, self.preflight = self._measured(kept)
        held_out = self.data.held_out[: config.data.eval_size]
        self.evaluations = Evaluations(config, self.folder, self.vlm, held_out, self.world, self.talk)
        self.before = {
            stage.name: self.evaluations.recall(stage.name, self.home)
            for number, stage in enumerate(self.plan)
            if stage.data == "held_out" and is_past(self.config, number, state)
        }
        self.log = MetricsLog(self.folder.path, config.report_to, plain(self.asked), self.world.is_main)

    def execute(self) -> dict[str, Any]:
        """Everything from where the run stands to the report. The folder is free for others afterwards."""
        try:
            with disk_watched(self.folder.path):
                try:
                    return self._execute()
                except Terminated:
                    self.folder.copied = None  # --resume goes on from the copies
                    raise Terminated(self.progress.save_at_sigterm()) from None
        except Exception:
            self.folder.abandon()
            raise
        finally:
            self.folder.release()

    def _execute(self) -> dict[str, Any]:
        self._begin()
        measured: dict[str, Numbers] = {}
        with open_pool(self.config.engine) as pool:
            sampler = open_sampler(self._roomiest(), self.vlm)
            if self.world.sharded:
                sampler = GatheredSampler(sampler, self.vlm.model)
            grader = Grader(pool, Verifiers(self.config.paid.verifiers))
            for stage in self.plan:
                if stage.data == "held_out":
                    known = self.before.get(stage.name)
                    chat = self.chats[stage.name]
                    measured[stage.name] = known or self.evaluate(stage.name, sampler, grader, chat=chat)
                elif (begun := begun_of(self.config, stage, self.progress.state)) is not None:
                    with self.vlm.asked(self.chats[stage.name]):
                        if stage.data == "problems":
                            reinforce(self, stage, begun, sampler, grader, pool)
                        else:
                            with only(self.vlm, stage.config.train):
                                supervise(self, stage, begun, sampler, grader)
            sampler.close()
        self.evaluations.tidy()
        before = measured["warm_start"]
        state = self.progress.state
        steps = planned_steps(self.config) | {name: taken for name, (taken, _) in state.done.items()}
        result = summary(before, measured.get("final", before), self.config.seed, steps, state.seconds)
        if self.config.stages:
            result["evaluations"] = {name: numbers["accuracy"] for name, numbers in measured.items()}
        result["best_checkpoint"] = state.best
        self.folder.write_json("summary.json", result)
        if self.world.is_main:
            write_report(self.folder.path)
        return result

    def data_of(self, stage: Stage) -> heldout.OwnData:
        """What a stage learns from."""
        return self._data.get(stage.name, self.data)

    def budget_of(self, stage: Stage) -> int:
        """Token rows of its micro-batches."""
        return self._budgets.get(stage.name, self._budgets[""])

    def steps_before(self, stage: Stage) -> int:
        """Steps of GRPO before a stage, whose files are numbered on."""
        return Order.of(self.config).sampled(self.progress.state, stage.name)

    def reference_of(self, stage: Stage) -> Path:
        """Where the reference of a stage of GRPO is kept."""
        return self.folder.path / reference_name(self.config, stage)

    def _roomiest(self) -> TrainConfig:
        """The configuration whose completions and prompts are as long as those of any stage."""
        each = [stage.config for stage in self.plan]
        prompt = max(config.data.max_prompt_length for config in each)
        data = dataclasses.replace(self.config.data, max_prompt_length=prompt)
        longest = max(config.max_completion_length for config in each)
        return dataclasses.replace(self.config, data=data, max_completion_length=longest)

    def _measured(self, kept: dict[str, Any] | None) -> tuple[dict[str, int], dict[str, Any] | None]:
        """(token rows of a micro-batch by stage, "" for all others; what preflight.json says). kept: what it said."""
        if not self.config.stages:
            config = widest(self.config)
            budget, found = token_budget(config, self.vlm, self.policy, self.data, self.world, kept)
            return {"": budget}, found
        budgets, reports = {"": self.config.token_budget or DEFAULT_BUDGET}, {}
        for name, data in self._data.items():
            config = widest(next(stage.config for stage in self.plan if stage.name == name))
            known = None if kept is None else kept["stages"].get(name)
            with self.vlm.asked(self.chats[name]):
                budgets[name], reports[name] = token_budget(config, self.vlm, self.policy, data, self.world, known)
        return budgets, {"stages": reports} if any(reports.values()) else None

    def _begin(self) -> None:
        """The folder becomes that of the run as it goes on from here."""
        where, state = "its beginning", self.progress.state
        if self.found is not None:
            where = f"{self.found} ({state.phase} step {state.step})"
            print(f"resumed from {self.found.name}: {state.phase} step {state.step}", flush=True)
        if self.world.is_main:
            if self.home.resolve() != self.folder.path.resolve():
                self.folder.copied = RunFolder(self.home).evaluations()
            rewind(self.folder.path, self.found, self.config, state)
            if self.preflight is not None:
                self.folder.write_json("preflight.json", self.preflight)
            changes.record(self.folder.path, self.asked, self.changed, where)
        self.world.barrier()

    def evaluate(
        self,
        name: str,
        sampler: Sampler,
        grader: Grader,
        at: tuple[str, int] | None = None,
        size: int | None = None,
        chat: Chat | None = None,
    ) -> Numbers:
        """Evaluate the present weights, `at` (stage, step), if that has not been done; asked as the run is, or as
        `chat` says."""
        start, state = time.perf_counter(), self.progress.state
        with self.vlm.asked(chat or self.progress.chat):
            numbers = self.evaluations.measure(name, at or (state.phase, state.step), sampler, grader, size)
        self.progress.count("evaluation", start)
        return numbers


def token_budget(
    config: TrainConfig, vlm: VLM, policy: Policy, data: heldout.OwnData, world: World, kept: dict[str, Any] | None
) -> tuple[int, dict[str, Any] | None]:
    """(token rows of a micro-batch, what preflight found).

    kept: what it found before: a resumed run keeps it, or its sums would differ.
    """
    if not config.preflight or world.sharded:  # its memory table is of a model that is whole
        return config.token_budget or DEFAULT_BUDGET, None
    if kept is None:
        worst = worst_problems([*data.pools.values()], vlm, data.longest, data.taught)
        held = bytes_held(config, vlm)
        with only(vlm, config.train):
            report = run_preflight(config, vlm, policy, worst, held)
        print(report, flush=True)
        kept = dataclasses.asdict(report)
        kept["token_budget"] = min(world.gather(kept["token_budget"]))
    return config.token_budget or kept["token_budget"], kept


def shard_where_asked(config: TrainConfig, vlm: VLM, world: World) -> None:
    """FSDP2 where it was asked for, or where all weights of a checkpoint learn in several processes."""
    wanted, whole = config.parallel, vlm.has_adapter
    if wanted == "fsdp" and whole:
        raise UserError(
            "parallel=fsdp is for full fine-tuning; got a model with an adapter (lora.enabled=false, or ddp)"
        )
    auto = wanted == "auto" and not whole and not vlm.is_small
    if world.size > 1 and (wanted == "fsdp" or auto):
        fsdp.shard(vlm.model, world.size)
        world.sharded = True
