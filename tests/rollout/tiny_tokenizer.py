"""A byte-level tokenizer with a family's control tokens, and Qwen's image processor, for the tiny models."""

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from tests.models.kinds import ROLES
from tests.rollout import tiny


def control(kind: str = "qwen3_vl") -> list[str]:
    """The control tokens by id, as tiny.py has them."""
    own = [ROLES[role][kind == "internvl"] for role in ("image", "video", "start", "end")]
    return ["<|endoftext|>", "<|im_end|>", *own]


def build(
    first: tuple[str, ...] = (), merges: tuple[tuple[str, str], ...] = (), kind: str = "qwen3_vl"
) -> PreTrainedTokenizerFast:
    """Ids of the control tokens are those of tiny.py, unless `first` are moved to the front; merges make it a BPE."""
    tokens = control(kind)
    vocab = {token: i for i, token in enumerate([*first, *(token for token in tokens if token not in first)])}
    for byte in sorted(pre_tokenizers.ByteLevel.alphabet()):
        vocab[byte] = len(vocab)
    for a, b in merges:
        vocab[a + b] = len(vocab)
    while len(vocab) < tiny.VOCAB:
        vocab[f"<extra_{len(vocab)}>"] = len(vocab)
    inner = Tokenizer(models.BPE(vocab=vocab, merges=list(merges)))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token="<|im_end|>", pad_token="<|endoftext|>", extra_special_tokens=tokens[2:]
    )


def image_processor() -> Qwen2VLImageProcessorPil:
    return Qwen2VLImageProcessorPil(
        patch_size=16,
        merge_size=2,
        min_pixels=32 * 32,
        max_pixels=256 * 32 * 32,
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )
