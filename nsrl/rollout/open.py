"""This opens the sampler that a configuration asks for."""

from __future__ import annotations

import dataclasses

from nsrl.config import TrainConfig
from nsrl.models.vlm import VLM
from nsrl.rollout.native import NativeSampler
from nsrl.rollout.types import Sampler


def open_sampler(config: TrainConfig, vlm: VLM) -> Sampler:
    """The native sampler, or vLLM when asked for (a clear error when it is not installed)."""
    if config.rollout == "native":
        return NativeSampler(vlm.model)
    from nsrl.rollout.vllm import VllmSampler

    room = config.data.max_prompt_length + config.max_completion_length + config.turns.shown
    return VllmSampler(
        vlm.model,
        vlm.tokenizer,
        vlm.image_processor,
        max_model_len=min(room, vlm.family.positions),
        seed=config.seed,
        **dataclasses.asdict(config.vllm),
    )
