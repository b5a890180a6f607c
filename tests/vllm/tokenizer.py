"""A byte-level tokenizer with Qwen's control tokens, and an image processor, for the tiny model of tests/rollout."""

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from tests.rollout import tiny

CONTROL = ["<|endoftext|>", "<|im_end|>", "<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"]


def build():
    """Ids of the control tokens are those of tests/rollout/tiny.py."""
    vocab = {token: i for i, token in enumerate(CONTROL)}
    for byte in sorted(pre_tokenizers.ByteLevel.alphabet()):
        vocab[byte] = len(vocab)
    while len(vocab) < tiny.VOCAB:
        vocab[f"<extra_{len(vocab)}>"] = len(vocab)
    inner = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token="<|im_end|>", pad_token="<|endoftext|>", extra_special_tokens=CONTROL[2:]
    )
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    assert tokenizer.convert_tokens_to_ids("<|image_pad|>") == tiny.IMAGE
    return tokenizer


def image_processor() -> Qwen2VLImageProcessorPil:
    return Qwen2VLImageProcessorPil(
        patch_size=16,
        merge_size=2,
        min_pixels=32 * 32,
        max_pixels=256 * 32 * 32,
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )
