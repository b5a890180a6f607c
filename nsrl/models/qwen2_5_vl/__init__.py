"""Qwen2.5-VL has mRoPE with its axes in blocks, biases on queries, keys and values, no norms on them, no DeepStack.

The tower attends within windows in most of its layers, by itself.
"""

from __future__ import annotations

from typing import Any

from transformers import Qwen2_5_VLConfig

from nsrl.models.family import Fault
from nsrl.models.qwen_vl import faults
from nsrl.models.qwen_vl.family import QwenVL


class Qwen25VL(QwenVL):
    """transformers' `Qwen2_5_VLForConditionalGeneration`."""

    model_type = "qwen2_5_vl"
    title = "Qwen2.5-VL"
    class_name = "Qwen2_5_VLForConditionalGeneration"
    patch = 14
    processor_class = "Qwen2_5_VLProcessor"
    video_processor_class = "Qwen2VLVideoProcessor"
    config_class = Qwen2_5_VLConfig

    @classmethod
    def small_parts(cls) -> tuple[dict[str, Any], dict[str, Any]]:
        """See `QwenVL.small_parts`: windows of two visual tokens, so that a picture of three has two of them."""
        rotary = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [6, 5, 5]}
        text = {
            "rope_parameters": rotary,
            "bos_token_id": None,
            "eos_token_id": None,
        }  # transformers' defaults are the large ones
        return text, {"window_size": 4 * cls.patch, "fullatt_block_indexes": [1]}

    def faults(self) -> list[Fault]:
        """See `Family.faults`: positions, and the axes interleaved."""
        return faults.BLOCKS
