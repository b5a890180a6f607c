"""A causal language model of a few thousand weights in a folder, with a tokenizer of letters, as trainers open them."""

from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM, Qwen3MoeConfig, Qwen3MoeForCausalLM

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789+-*/=?. "
SIZES = dict(
    hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
    head_dim=16, max_position_embeddings=256, initializer_range=0.3, bos_token_id=None, eos_token_id=1, pad_token_id=0,
)  # fmt: skip


def folder(path: Path, kind: str = "dense", **options) -> str:
    """Writes model and tokenizer. kind "moe": a mixture of experts whose routers have a loss; options: its config's."""
    words = {"<pad>": 0, "<end>": 1, **{letter: i + 2 for i, letter in enumerate(LETTERS)}}
    letters = Tokenizer(models.WordLevel(words, unk_token="?"))
    letters.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=letters, pad_token="<pad>", eos_token="<end>")
    tokenizer.save_pretrained(path)
    torch.manual_seed(0)
    sizes = {**SIZES, "vocab_size": len(words), "tie_word_embeddings": True, **options}
    if kind == "moe":
        experts = dict(num_experts=4, num_experts_per_tok=2, moe_intermediate_size=24, output_router_logits=True)
        model = Qwen3MoeForCausalLM(Qwen3MoeConfig(**sizes, **experts, router_aux_loss_coef=0.01))
    else:
        model = Qwen3ForCausalLM(Qwen3Config(**sizes))
    model.save_pretrained(path)
    return str(path)
