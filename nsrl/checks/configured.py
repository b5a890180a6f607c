"""The two checks of a configured run start here: prompts are picked, limits set, the policy opened.

Shared by `nsrl.train` and `nsrl.check`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from nsrl.checks.parity import ParityReport, self_check
from nsrl.checks.preflight import Preflight, preflight
from nsrl.config import TrainConfig
from nsrl.models.loading import require_positions
from nsrl.models.policy import Policy
from nsrl.models.vlm import VLM
from nsrl.rollout.types import Request, Sampler, SamplingParams
from nsrl.types import Problem

CHECK_TOKENS = 32  # per completion in the self-check: enough for text behind an image to show a wrong position


def open_policy(config: TrainConfig, vlm: VLM) -> Policy:
    """The model as the run scores it: with its attention, recomputation and kernels."""
    return Policy(
        vlm.model,
        attention=None if config.model.attention == "auto" else config.model.attention,
        checkpointing=config.model.gradient_checkpointing or None,
        liger=config.model.liger,
        black=vlm.black,
        seed=config.seed,
    )


def run_preflight(
    config: TrainConfig, vlm: VLM, policy: Policy, problems: Sequence[Problem], reference: int
) -> Preflight:
    """The worst step of `problems` (those whose prompts are no longer than data.max_prompt_length).

    reference: bytes that the reference model of the run will take.
    """
    prompts = [vlm.encode(p) for p in problems]
    fits = [prompt for prompt in prompts if len(prompt.ids) <= config.data.max_prompt_length] or prompts
    longest = max(fits, key=lambda prompt: len(prompt.ids))
    behind = config.max_completion_length + config.turns.shown
    require_positions(vlm, behind, len(longest.ids))
    reserved = 0
    if config.rollout == "vllm" and policy.device.type == "cuda":
        reserved = int(config.vllm.memory_share * torch.cuda.mem_get_info(policy.device)[1])
    return preflight(
        policy,
        longest,
        num_generations=config.num_generations,
        max_completion_length=behind,
        prompts_per_step=config.prompts_per_step,
        banned=torch.tensor(vlm.banned_ids(), device=policy.device),
        temperature=config.temperature,
        token_budget=config.token_budget,
        reserved=reserved,
        reference=reference,
    )


def check_parity(
    config: TrainConfig, vlm: VLM, policy: Policy, sampler: Sampler, problems: Sequence[Problem]
) -> ParityReport:
    """The self-check on two completions of each problem, at the run's temperature and bans."""
    requests = [Request(vlm.encode(p), 2, config.seed + i, i) for i, p in enumerate(problems)]
    params = SamplingParams(
        max_tokens=min(CHECK_TOKENS, config.max_completion_length),
        temperature=config.temperature,
        top_p=config.top_p,
        top_k=config.top_k,
        stop_ids=tuple(vlm.stop_ids()),
        banned_ids=tuple(vlm.banned_ids()),
    )
    return self_check(policy, sampler, requests, params, tokenizer=vlm.tokenizer, nudge=not policy.sharded)
