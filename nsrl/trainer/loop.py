"""A GRPO step goes from problems to an optimiser step, in the order in which it happens.

How it departs from the GRPO paper:
1. The prompt and its image are computed once per group, in sampling and in the update.
2. Log-probs come from `linear_logp`: there are no logits; banned tokens are outside the softmax on both sides.
3. Groups with zero spread are skipped before any forward (exact, as long as nothing but the advantage drives the loss;
   `dead_groups` says otherwise).
4. The first pass over a batch is on-policy, so its own log-probs are the old ones and no extra pass is needed (a
   reference pass only if beta > 0, one before the first update if mini_batches > 1); the sampler's are for the
   importance correction and to see that both models still agree.
"""

from __future__ import annotations

import time
from itertools import accumulate
from typing import Any

import torch

from nsrl.checks.parity import require_agreement
from nsrl.config import TrainConfig
from nsrl.models.contexts import ADAPTER_OFF
from nsrl.models.pack import pack_metrics
from nsrl.models.vlm import VLM
from nsrl.rewards.spans import texts
from nsrl.rollout.types import SamplingParams
from nsrl.trainer import contexts, members, shape
from nsrl.trainer import loss as objective
from nsrl.trainer.advantage import step_advantages
from nsrl.trainer.completions import complete, sampling_params
from nsrl.trainer.draw import draw_metrics, keeper
from nsrl.trainer.evaluation import record
from nsrl.trainer.learner import Learner, Rollout
from nsrl.trainer.mini_batches import before_updates, divisor, metrics_of, mini_batches, name_of, packed
from nsrl.trainer.parts import token_parts
from nsrl.trainer.scoring import Scores, against_greedy, batch_of, score
from nsrl.trainer.step_metrics import step_metrics, update_metrics
from nsrl.types import Problem

GAP = "sampling/sampling_logp_difference"


def grpo_step(learner: Learner, step: int) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """One rollout and its optimiser steps (one, if nothing else is said).

    Returns its metrics (TRL's keys) and one record per completion.
    """
    config, vlm, timer, world = learner.config, learner.vlm, learner.timer, learner.world
    start = time.perf_counter()

    # Problems are sampled, and programs run meanwhile; values become reward components, and these advantages against
    # the group. Again while groups without spread are replaced.
    learner.problems.recent = {}
    groups, scores = draw(learner, learner.problems.wanted(config.prompts_per_step), step, 0)
    rounds = [len(groups)]
    while True:
        sizes = [len(g.samples) for g in groups]
        rewards, weights = scores.weighed(learner.rewards.weights)
        lengths = [len(s.written_ids) for g in groups for s in g.samples]
        alike, kept = members.compared(learner, groups, rewards), keeper(learner, groups, scores)
        gain = step_advantages(
            alike, sizes, rounds[-1], weights, config.scale_rewards, lengths, scores.baselines, kept,
            config.prompts_per_step,
        )  # fmt: skip
        if not (missing := int(gain.missing)) or len(rounds) > config.dynamic_sampling:
            break
        others, values = draw(learner, missing, step, len(rounds))
        groups, scores, rounds = groups + others, scores + values, [*rounds, len(others)]

    gain = members.with_own(learner, groups, gain, rewards, weights)

    # What has a gradient is packed: live groups only, each prompt once, no padding; each rank takes some of them.
    terms = contexts.coefficients(config, learner.progress)
    parts = mini_batches(learner, groups, gain, terms)
    mine = [one for part in parts for one in part.mine]
    metrics: dict[str, float] = {}
    if any(part.learning for part in parts):
        with timer("pack"):
            vlm.read_ahead(g.problem for g, _ in mine if not g.prompt.has_pixels)  # other ranks sampled these
            batches = packed(learner, parts)
        metrics |= pack_metrics(batches)
        device = learner.policy.device
        members.fill(learner, parts, batches)
        samples = [g.samples[i] for g, _ in mine for i in g.learns]
        advantage_R = gain.advantages[[row for _, rows in mine for row in rows]].float().to(device)
        sampled_N = torch.tensor([p for s in samples for p in s.logps], dtype=torch.float32, device=device)

        # The same tokens in other contexts, and functions that say what each of them counts.
        scored = contexts.score(learner, step, [g for g, _ in mine], batches, sampled_N, terms)
        values = (scores.components, gain.drawn.reward, gain.advantages)
        shaped, told = shape.shaped(learner, step, groups, parts, values, scored)
        metrics |= told
        shaped = members.counting(learner, shaped, parts)

        # Log-probs of completion tokens without logits, then the objective, then the optimiser.
        reference_N = _reference(learner, batches, len(sampled_N))
        clean_N = objective.without_dropout(
            learner.policy, batches, len(sampled_N), config, learner.banned, timer, world
        )
        old_N, weights_N = before_updates(learner, parts, advantage_R, shaped, len(sampled_N), step)
        first_N = torch.zeros_like(sampled_N) if old_N is None and config.num_iterations > 1 else None
        for iteration in range(config.num_iterations):
            vectors, norms = [], []
            for number, part in enumerate(parts):
                if not part.learning:
                    learner.optimizer.skip()
                    continue
                vector = objective.backward(
                    learner.policy, part.batches, advantage_R, old_N, sampled_N, reference_N, divisor(part, config),
                    config, learner.banned, timer, first_N if iteration == 0 else None, world,
                    name_of(step, number, len(parts)), clean_N, shaped, weights_N,
                )  # fmt: skip
                if iteration == 0 and config.parity_check:
                    gap = dict(zip(objective.NAMES, vector.tolist()))
                    require_agreement(gap[f"{GAP}/max"], gap[f"{GAP}/mean"], learner.policy, learner.sampler)
                rate = learner.optimizer.learning_rate
                with timer("optim"):
                    norms.append(learner.optimizer.step())
                vectors.append(vector)
            old_N = first_N if old_N is None else old_N
        dropped = learner.optimizer.take_dropped()
        if learner.optimizer.gate is not None:
            metrics["gradient_signal"] = learner.optimizer.gate.signal
        metrics |= update_metrics(metrics_of(vectors), config) | {
            "grad_norm": float(sum(norms) / len(norms)),
            "learning_rate": rate,
            "dropped_updates": dropped,
        }
    else:
        metrics |= {"loss": 0.0, "grad_norm": 0.0, "learning_rate": learner.optimizer.learning_rate}
        learner.optimizer.skip(config.num_iterations * config.mini_batches)
    with timer("sync"):
        synced = learner.sampler.sync(learner.vlm.model)
        world.require_same("weights (checksums)", synced.checksum)

    # Everything that was sampled counts in the metrics, whether or not it was learned from.
    with timer("metrics"):
        metrics |= members.metrics_of(groups, gain.drawn.reward) | learner.told
        learner.told = {}
        rows = [first + i for g, first in zip(groups, accumulate(sizes, initial=0)) for i in g.counted]
        drawn, components = members.sampled(learner, groups, gain, rewards, weights), scores.components[rows]
        samples = [g.samples[i] for g in groups for i in g.counted]
        graded = [g.as_counted(i) for g in groups for i in g.counted]
        parts = [token_parts(vlm, s.written_ids, j) for s, j in zip(samples, graded)]
        sizes = [len(g.counted) for g in groups]
        metrics |= step_metrics(samples, graded, sizes, components, learner.rewards.names, drawn, parts)
        if config.dynamic_sampling:
            metrics |= {"dynamic_sampling/rounds": len(rounds) - 1, "dynamic_sampling/groups": sum(rounds[1:])}
        metrics |= draw_metrics(learner, groups, scores, gain.drawn.reward.tolist(), gain.chosen.tolist())
        sampled = sum(len(s.written_ids) for s in samples)
        prompts = [len(g.prompt_of(i).ids) for g in groups for i in range(len(g.samples))]
        metrics["num_tokens"] = sum(prompts) + sum(len(s.token_ids) for g in groups for s in g.samples)
        metrics["engine/overlap_frac"] = sum(learner.overlap) / max(1, len(learner.overlap))
        learner.overlap = []
        part = iter(parts)
        records = [
            record(g.problem_of(i), g.graded[i], len(g.prompt_of(i).ids), g.samples[i], number, next(part))
            | members.columns_of(learner, g, i)
            for g in groups
            for number, i in enumerate(g.counted)
        ]
        for row, value, advantage, parts in zip(
            records, drawn.reward.tolist(), gain.advantages[rows].tolist(), components.tolist()
        ):
            row.update(
                {f"rewards/{name}": part for name, part in zip(learner.rewards.names, parts)},
                reward=value,
                advantage=advantage,
                **texts(row["completion"], config.spans),
            )
    metrics["perf/tokens_per_s"] = sampled / (time.perf_counter() - start)
    return metrics | timer.take(), records


def rollout(learner: Learner, problems: list[Problem], step: int, round_: int) -> list[Rollout]:
    """Problems with G completions each, graded: their programs run and their values are checked as they come.

    Each rank does its share of the problems and gets all groups. Seeds go by the problem, not by who samples it.
    """
    config, vlm, timer, world = learner.config, learner.vlm, learner.timer, learner.world
    base = ((config.seed * 8 + round_) * 1_000_003 + step) << 16  # no two requests of a run share a seed
    if config.grouped.members:
        return members.rollout(learner, problems, step, round_, base, sampling(config, vlm))
    with timer("pack"):
        share = world.share(problems)
        prompts = [vlm.encode(problem) for problem in share]
    seeds = [base + i for i in world.share(range(len(problems)))]
    done = complete(
        vlm,
        learner.sampler,
        learner.grader,
        share,
        prompts,
        sampling(config, vlm),
        config.num_generations,
        seeds,
        timer,
        learner.talk,
    )
    learner.overlap += done.overlapped
    with timer("exchange"):
        merged = world.gather_in_order(list(zip(prompts, done.samples, done.graded)))
    return [Rollout(problem, *parts) for problem, parts in zip(problems, merged)]


def sampling(config: TrainConfig, vlm: VLM) -> SamplingParams:
    """How a training step samples. Raises `UserError` where the update could not follow (top-p, top-k)."""
    return sampling_params(
        vlm, config.max_completion_length, config.temperature, config.top_p, config.top_k
    ).for_training()


def draw(learner: Learner, count: int, step: int, round_: int) -> tuple[list[Rollout], Scores]:
    """The next `count` problems: graded groups and what they are worth."""
    groups = rollout(learner, learner.problems.take(count, step), step, round_)
    scores = score(learner, batch_of(learner, groups, step, round_), round_)
    return groups, against_greedy(learner, groups, scores, step, round_)


def _reference(learner: Learner, batches: list, count: int) -> torch.Tensor | None:
    """Log-probs of the policy at the start of GRPO; none when beta is 0."""
    if learner.config.objective.beta == 0:
        return None
    policy, context = (
        (learner.reference, learner.reference_context) if learner.reference else (learner.policy, ADAPTER_OFF)
    )
    with learner.timer("reference"):
        return objective.score_all(policy, batches, count, learner.config, learner.banned, context, learner.world)
