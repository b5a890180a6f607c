"""Qwen3-VL has interleaved mRoPE, norms on queries and keys, and DeepStack features behind the first decoder layers."""

from __future__ import annotations

from typing import Any

from transformers import Qwen3VLConfig

from nsrl.models.family import Fault
from nsrl.models.qwen_vl import faults
from nsrl.models.qwen_vl.family import QwenVL


class Qwen3VL(QwenVL):
    """transformers' `Qwen3VLForConditionalGeneration`."""

    model_type = "qwen3_vl"
    title = "Qwen3-VL"
    class_name = "Qwen3VLForConditionalGeneration"
    processor_class = "Qwen3VLProcessor"
    video_processor_class = "Qwen3VLVideoProcessor"
    config_class = Qwen3VLConfig

    @classmethod
    def small_parts(cls) -> tuple[dict[str, Any], dict[str, Any]]:
        """See `QwenVL.small_parts`: positions learned for 8 × 8 patches, DeepStack from the first tower layer."""
        text = {
            "head_dim": 32,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10_000.0,
                "mrope_section": [6, 5, 5],
                "mrope_interleaved": True,
            },
        }
        return text, {"num_position_embeddings": 64, "deepstack_visual_indexes": [0]}

    def faults(self) -> list[Fault]:
        """See `Family.faults`: positions, and the axes in blocks."""
        return faults.INTERLEAVED

    def engine_config(self, config: dict[str, Any]) -> dict[str, Any]:
        """transformers interleaves the three axes of the rotary embedding whatever this says; vLLM asks."""
        config["text_config"]["rope_parameters"]["mrope_interleaved"] = True
        return super().engine_config(config)
