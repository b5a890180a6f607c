"""Policy, preflight and parity for a configured run: picks the prompts, sets the limits, calls the two checks.

Shared by `nsrl.train` and `nsrl.check`. Knows nothing of what the checks do inside.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from nsrl.config import TrainConfig
from nsrl.data.shapes import Shapes
from nsrl.rollout.types import Sampler, SamplingParams
from nsrl.trainer.batch import packed_group, request
from nsrl.trainer.model import VLM, require_positions
from nsrl.trainer.parity import ParityReport, self_check
from nsrl.trainer.policy import Policy
from nsrl.trainer.preflight import Preflight, preflight
from nsrl.trainer.problems import ProblemStream
from nsrl.trainer.reference import bytes_held
from nsrl.types import Problem

CHECK_TOKENS = 32  # per completion in the self-check: enough for text behind an image to show a wrong position


def open_policy(config: TrainConfig, vlm: VLM) -> Policy:
    """The model as the run scores it: with its attention, recomputation and kernels."""
    return Policy(
        vlm.model,
        attention=None if config.model.attention == "auto" else config.model.attention,
        checkpointing=config.model.gradient_checkpointing or None,
        liger=config.model.liger,
        seed=config.seed,
    )


def worst_problems(config: TrainConfig, vlm: VLM, train_set: Shapes | Sequence[Problem], longest: list[Problem]) -> list[Problem]:
    """Among which the worst step of the run is: the longest prompt that can be shown, or 64 of those drawn from shapes.

    longest: training problems from the longest prompt down, or none for shapes.
    """
    if not longest:
        return ProblemStream(train_set, config.seed).take(64)
    return [next((p for p in longest if vlm.unreadable(p) is None), longest[0])]


def run_preflight(config: TrainConfig, vlm: VLM, policy: Policy, problems: Sequence[Problem]) -> Preflight:
    """The worst step of `problems` (those whose prompts are no longer than data.max_prompt_length)."""
    encoded = [(vlm.encode(p), p) for p in problems]
    fits = [pair for pair in encoded if len(pair[0].prompt_ids) <= config.data.max_prompt_length] or encoded
    longest, problem = max(fits, key=lambda pair: len(pair[0].prompt_ids))
    require_positions(vlm, config.max_completion_length, len(longest.prompt_ids))
    reserved = 0
    if config.rollout == "vllm" and policy.device.type == "cuda":
        reserved = int(config.vllm.memory_share * torch.cuda.mem_get_info(policy.device)[1])
    return preflight(
        policy,
        packed_group(longest, [], problem.id),
        num_generations=config.num_generations,
        max_completion_length=config.max_completion_length,
        prompts_per_step=config.prompts_per_step,
        banned=torch.tensor(vlm.banned_ids(), device=policy.device),
        temperature=config.temperature,
        token_budget=config.token_budget,
        reserved=reserved,
        reference=bytes_held(config, vlm),
    )


def check_parity(
    config: TrainConfig, vlm: VLM, policy: Policy, sampler: Sampler, problems: Sequence[Problem]
) -> ParityReport:
    """The self-check on two completions of each problem, at the run's temperature and bans."""
    requests = [request(vlm.encode(p), 2, config.seed + i, i) for i, p in enumerate(problems)]
    params = SamplingParams(
        max_tokens=min(CHECK_TOKENS, config.max_completion_length),
        temperature=config.temperature,
        top_p=config.top_p,
        top_k=config.top_k,
        stop_ids=tuple(vlm.stop_ids()),
        banned_ids=tuple(vlm.banned_ids()),
    )
    return self_check(policy, sampler, requests, params, tokenizer=vlm.tokenizer, nudge=not policy.sharded)
