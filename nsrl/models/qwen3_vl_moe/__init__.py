"""Qwen3-VL-MoE is Qwen3-VL with a feed-forward part of many experts, of which a router picks a few for each token."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor, nn
from transformers import Qwen3VLMoeConfig

from nsrl.models.decoder import DecoderLayer, Ops
from nsrl.models.qwen3_vl import Qwen3VL


class Qwen3VLMoe(Qwen3VL):
    """transformers' `Qwen3VLMoeForConditionalGeneration`. Its router's balancing loss is not added to nsrl's."""

    model_type = "qwen3_vl_moe"
    title = "Qwen3-VL-MoE"
    class_name = "Qwen3VLMoeForConditionalGeneration"
    config_class = Qwen3VLMoeConfig

    @classmethod
    def small_parts(cls) -> tuple[dict[str, Any], dict[str, Any]]:
        """See `QwenVL.small_parts`: as Qwen3-VL's, with two of four experts for each token."""
        text, vision = super().small_parts()
        return text | {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64}, vision

    def layers(self, ops: Ops) -> list[DecoderLayer]:
        """A layer whose feed-forward part has no router is that of Qwen3-VL."""
        return [
            DecoderLayer(module, ops, _experts(module.mlp) if hasattr(module.mlp, "experts") else None)
            for module in self.text.layers
        ]

    def engine_config(self, config: dict[str, Any]) -> dict[str, Any]:
        """transformers' router normalises the chosen experts' weights whatever this says; vLLM asks."""
        config["text_config"]["norm_topk_prob"] = True
        return super().engine_config(config)

    def engine_weights(self, weights: Iterable[tuple[str, Tensor]]) -> Iterable[tuple[str, Tensor]]:
        """Experts as published checkpoints have them, (experts, in, out); the modules have (experts, out, in)."""
        for name, tensor in weights:
            yield name, tensor.mT.contiguous() if ".mlp.experts." in name else tensor


def _experts(block: nn.Module) -> Callable[[Tensor], Tensor]:
    """transformers' sparse block as a function of (…, D): it routes every row by itself."""
    return lambda x: block(x.reshape(1, -1, x.shape[-1])).view(x.shape)
