"""Qwen3-VL: interleaved mRoPE, norms on queries and keys, DeepStack features behind the first decoder layers."""

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
    pixels_per_token = 32 * 32
    config_class: Any = Qwen3VLConfig

    @classmethod
    def small_config(cls, tokenizer: Any, vocabulary: int) -> Any:
        ids = tokenizer.convert_tokens_to_ids
        text = {
            "vocab_size": vocabulary,
            "hidden_size": 96,
            "intermediate_size": 256,
            "num_hidden_layers": 3,
            "num_attention_heads": 3,
            "num_key_value_heads": 1,
            "head_dim": 32,
            "max_position_embeddings": 4096,
            "initializer_range": 0.06,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10_000.0,
                "mrope_section": [6, 5, 5],
                "mrope_interleaved": True,
            },
            "tie_word_embeddings": True,
            "pad_token_id": tokenizer.pad_token_id,
        }
        vision = {
            "depth": 2,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_heads": 2,
            "patch_size": 16,
            "temporal_patch_size": 2,
            "spatial_merge_size": 2,
            "out_hidden_size": 96,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0],
            "initializer_range": 0.06,
        }
        config = cls.config_class(
            text_config=text,
            vision_config=vision,
            image_token_id=ids("<|image_pad|>"),
            video_token_id=ids("<|video_pad|>"),
            vision_start_token_id=ids("<|vision_start|>"),
            vision_end_token_id=ids("<|vision_end|>"),
            tie_word_embeddings=True,
        )
        config.text_config.eos_token_id = tokenizer.eos_token_id
        return config

    def faults(self) -> list[Fault]:
        return faults.INTERLEAVED

    def engine_config(self, config: dict[str, Any]) -> dict[str, Any]:
        """transformers interleaves the three axes of the rotary embedding whatever this says; vLLM asks."""
        config["text_config"]["rope_parameters"]["mrope_interleaved"] = True
        return super().engine_config(config)
