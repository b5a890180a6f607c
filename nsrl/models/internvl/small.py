"""A small InternVL is configured here."""

from __future__ import annotations

from typing import Any

from transformers import InternVLConfig


def small_config(tokenizer: Any, vocabulary: int) -> InternVLConfig:
    """Qwen2's language model, biases and all, below a tower with layer scales, which sees tiles of 4 visual tokens.

    tokenizer: has the family's tokens; vocabulary: rows of the embedding.
    """
    text = {
        "model_type": "qwen2",
        "vocab_size": vocabulary,
        "hidden_size": 96,
        "intermediate_size": 256,
        "num_hidden_layers": 3,
        "num_attention_heads": 3,
        "num_key_value_heads": 1,
        "max_position_embeddings": 4096,
        "initializer_range": 0.06,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0},
        "tie_word_embeddings": True,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    vision = {
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 128,
        "attention_bias": True,
        "image_size": 32,
        "patch_size": 8,
        "layer_scale_init_value": 1.0,
        "initializer_range": 0.06,
    }
    return InternVLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
        downsample_ratio=0.5,
        tie_word_embeddings=True,
    )
