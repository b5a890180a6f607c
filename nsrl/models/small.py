"""The built-in model is made on the spot: transformers' own classes at 0.7M parameters, and a tokenizer. No download.

Size and initialisation of a family are its `small_config`, and measured facts (CONTRIBUTING.md): with the usual
`initializer_range` of 0.02 a model this small does not learn to read a picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from nsrl.data.made import opened
from nsrl.data.procedural import LANGUAGES
from nsrl.data.sources import made_of
from nsrl.engines import CLOSE, OPEN
from nsrl.models.registry import SMALL, family_class

VOCABULARY = 512
OTHERS = 256  # more for each source besides shapes, whose words these are
TAUGHT = 2000  # demonstrations of a source that its words are taken from
CONTROL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")  # and those of the family
# The public Qwen pre-tokenizer: merges never cross a word, and every digit is a token of its own.
QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{ '<|im_start|>' + message.role + '\n' }}"
    "{%- if message.content is string -%}{{ message.content }}"
    "{%- else -%}{%- for part in message.content -%}"
    "{%- if part.type == 'image' -%}{{ 'PICTURE' }}"
    "{%- elif part.type == 'text' -%}{{ part.text }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{{ '<|im_end|>\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"
)


def build_tokenizer(model_type: str = SMALL, sources: Sequence[str] = ()) -> PreTrainedTokenizerFast:
    """A byte-level BPE with Qwen's pre-tokenizer, trained on the first demonstrations of `shapes` (seed 0, always).

    sources: others whose words it knows as well, `OTHERS` tokens more for each. Control tokens and the chat template's
    picture are those of the family.
    """
    family = family_class(model_type)
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    inner.decoder = decoders.ByteLevel()
    special = [*CONTROL_TOKENS, *family.small_tokens]
    delimiters = [token for pair in zip(OPEN.values(), CLOSE.values()) for token in pair]
    corpus = list(_texts("shapes", (1,)))
    for source in sources:
        corpus += _texts(source, range(1, made_of(source).levels + 1))
    for token in delimiters:
        corpus = [text.replace(token, "") for text in corpus]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY + OTHERS * len(sources) - len(delimiters),
        special_tokens=special,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    inner.train_from_iterator(corpus, trainer)
    named = {"model_specific_special_tokens": family.small_token_names} if family.small_token_names else {}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=special[1:],
        **named,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.add_tokens(delimiters)  # single tokens, but text: a decoded completion shows them
    tokenizer.chat_template = CHAT_TEMPLATE.replace("PICTURE", family.small_picture)
    return tokenizer


def _texts(source: str, levels: Sequence[int]) -> Iterator[str]:
    """Demonstrations of a source and the questions they answer; of one without any, questions and answers."""
    shares: dict[str, float] = dict.fromkeys(LANGUAGES, 1.0)
    for level in levels:
        made = opened(source, level, seed=0, held_out=0)
        count = TAUGHT // len(levels)
        if not made.generator.demonstrates:
            for problem in islice(made.train(), count):
                yield from (problem.answer or "", problem.question)
            continue
        for demonstration in islice(made.demonstrations(shares), count):
            yield from (demonstration.text, demonstration.problem.question)


def build_image_processor(model_type: str = SMALL) -> Any:
    """Of the family; pictures from one visual token to 256 keep their size where the family's pictures have sizes."""
    return family_class(model_type).small_processor()


def build_model(tokenizer: PreTrainedTokenizerFast, seed: int, model_type: str = SMALL) -> Any:
    """Random weights in fp32 from `seed`; the global random state is left as it was."""
    family = family_class(model_type)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = family.model_class()._from_config(
            family.small_config(tokenizer, len(tokenizer)), dtype=torch.float32, attn_implementation="sdpa"
        )
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model
