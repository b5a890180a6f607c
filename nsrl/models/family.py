"""`Family` is what nsrl asks of an architecture: the interface between a family of models and every other room.

Nothing outside `nsrl/models` names an architecture, a module of one or a field of its configuration. A family is bound
to a model (`Family(base)`); what does not need one is a class method. The defaults are those of most decoders in
transformers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import transformers
from torch import Tensor, nn

from nsrl.errors import UserError
from nsrl.models.decoder import DecoderLayer, Ops
from nsrl.models.prompt import Prompt, PromptImage
from nsrl_kernels import PackPlan


@dataclass(frozen=True)
class Fault:
    """A known fault, done on purpose to transformers' own forward.

    cause: a sentence with {} where "trainer" or "sampler" goes. inputs: (family, keyword arguments) → those of the
    fault. within: (family) → a context in which the forward has it.
    """

    cause: str
    inputs: Callable[[Any, dict[str, Tensor]], dict[str, Tensor]] = lambda family, inputs: inputs
    within: Callable[[Any], AbstractContextManager[None]] = lambda family: nullcontext()


def right_padded(rows: Sequence[Sequence[int]], pad_token_id: int) -> dict[str, Tensor]:
    """input_ids and attention_mask (B, longest row) of transformers' forward."""
    width = max(map(len, rows))
    ids = torch.tensor([[*row, *[pad_token_id] * (width - len(row))] for row in rows])
    mask = torch.arange(width) < torch.tensor([len(row) for row in rows])[:, None]
    return {"input_ids": ids, "attention_mask": mask.long()}


class Family(ABC):
    """One architecture, seen through one model of it.

    base: the transformers model without adapters. `text` is its language model, `towers` the modules that see pictures.
    """

    model_type: ClassVar[str]  # as transformers' configuration says it
    title: ClassVar[str]  # what people call it
    class_name: ClassVar[str]  # transformers' class with a language-model head
    tower_names: ClassVar[tuple[str, ...]]  # modules of `base.model` that see pictures: peft's `modules_to_save`
    small_tokens: ClassVar[tuple[str, ...]]  # around and of pictures, in the small model's tokenizer
    small_token_names: ClassVar[dict[str, str]] = {}  # attributes of that tokenizer which transformers' processor reads
    small_picture: ClassVar[str]  # what the small model's chat template writes for a picture
    # Pairs of tokens that Qwen's tokenizers have and do not flag as special, so that decoding keeps them; which of them
    # a checkpoint's tokenizer has is looked up (`chats.delimiters`), in this order.
    delimiters: ClassVar[tuple[tuple[str, str], ...]] = (
        ("<tool_call>", "</tool_call>"),
        ("<tool_response>", "</tool_response>"),
        ("<|fim_prefix|>", "<|fim_suffix|>"),
        ("<|repo_name|>", "<|file_sep|>"),
    )

    def __init__(self, base: Any) -> None:
        self.require_supported(base.config)
        self.base, self.config = base, base.config
        self.text = base.model.language_model
        self.towers: list[nn.Module] = [getattr(base.model, name) for name in self.tower_names]

    # -- what a checkpoint of the family is ---------------------------------------------------------------------------

    @classmethod
    def model_class(cls) -> Any:
        """transformers' class."""
        return getattr(transformers, cls.class_name)

    @classmethod
    def require_supported(cls, config: Any) -> None:
        """Raise `UserError` where a configuration of this family asks for what nsrl does not compute."""
        kinds = set(getattr(config.text_config, "layer_types", None) or []) - {"full_attention"}
        if kinds:
            raise UserError(
                f"model must attend to everything before a token in every layer; this {cls.title} has layers of "
                f"{', '.join(sorted(kinds))}, which nsrl does not compute"
            )

    @classmethod
    @abstractmethod
    def load_processor(cls, source: str) -> Any:
        """The image processor of a checkpoint, without torchvision."""

    @classmethod
    @abstractmethod
    def small_processor(cls) -> Any:
        """The image processor of a small model."""

    @classmethod
    @abstractmethod
    def small_config(cls, tokenizer: Any, vocabulary: int) -> Any:
        """The configuration of a model of about 0.7M parameters for the built-in tokenizer."""

    @abstractmethod
    def pictures(self, processor: Any) -> Any:
        """The `Pictures` that make patches as this processor does."""

    @abstractmethod
    def bound_pictures(self, processor: Any, least: int | None, most: int | None) -> None:
        """Have the processor make pictures of at least and at most so many pixels (None: as it does). Raises
        `UserError`."""

    @abstractmethod
    def save_processor(self, folder: Path, tokenizer: Any, image_processor: Any) -> None:
        """Write what transformers' `AutoProcessor` and vLLM build the processor from."""

    # -- facts --------------------------------------------------------------------------------------------------------

    @property
    def vocabulary(self) -> int:
        """Rows of the embedding."""
        return self.config.text_config.vocab_size

    @property
    def positions(self) -> int:
        """Most tokens of prompt and completion together."""
        return self.config.text_config.max_position_embeddings

    @property
    def image_token_id(self) -> int:
        """The placeholder of a visual token."""
        return self.config.image_token_id

    @property
    @abstractmethod
    def merge(self) -> int:
        """Patches per visual token along each side."""

    @property
    @abstractmethod
    def control_tokens(self) -> dict[str, int]:
        """Tokens around and of pictures by their text, with the ids that the configuration says: never sampled."""

    def marks(self, tokenizer: Any) -> list[int]:
        """Further tokens around pictures, whose ids the tokenizer alone knows: never sampled either."""
        return []

    @property
    def head(self) -> Any:
        """The language-model head."""
        return self.base.get_output_embeddings()

    @property
    def device(self) -> torch.device:
        """Where the embedding lies, and with it the streams of `Policy` and the caches of `Decoder`."""
        return self.text.embed_tokens.weight.device

    @property
    def tower_dtype(self) -> torch.dtype:
        """What the towers compute in."""
        return next(self.towers[0].parameters()).dtype

    @property
    def cache_row_bytes(self) -> int:
        """Bytes of keys and values one token takes in all layers."""
        text = self.config.text_config
        dim = self.text.layers[0].self_attn.head_dim
        return 2 * text.num_hidden_layers * text.num_key_value_heads * dim * self.head.weight.element_size()

    @property
    def tower_trains(self) -> bool:
        """Whether any weight that sees pictures learns."""
        return any(p.requires_grad for tower in self.towers for p in tower.parameters())

    # -- prompts ------------------------------------------------------------------------------------------------------

    def expand(self, tokens: int, tokenizer: Any) -> list[int]:
        """What stands in a prompt for the one placeholder of a picture of so many tokens."""
        return [self.image_token_id] * tokens

    @abstractmethod
    def prompt_positions(self, prompt: Prompt) -> tuple[np.ndarray, int]:
        """((3, len(ids)) int64 rotary positions, the position of the first token behind the prompt)."""

    def stream_positions(self, plan: PackPlan) -> Tensor:
        """(3, T) rotary positions of a packed stream."""
        return plan.positions

    # -- the forward --------------------------------------------------------------------------------------------------

    @abstractmethod
    def see(self, pixels: Tensor, grids: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Visual tokens (n, D) of pictures, and what is added behind each of the first decoder layers (n, D).

        pixels: (patches, C), the pictures behind each other, in the towers' dtype and on their device; grids:
        (pictures, 3).
        """

    @abstractmethod
    def smallest_picture(self) -> tuple[Tensor, Tensor]:
        """(pixels, grids) of the smallest picture there is, in black."""

    def layers(self, ops: Ops) -> list[DecoderLayer]:
        """The decoder's layers for `walk`."""
        return [DecoderLayer(module, ops) for module in self.text.layers]

    def rotary(self, positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """cos and signed sin, each (B, T, 1, d), of positions (3, B, T), by the model's own rotary module."""
        cos, sin = self.text.rotary_emb(torch.empty(0, dtype=dtype, device=positions.device), positions)
        half = sin.shape[-1] // 2
        return cos.unsqueeze(-2), torch.cat([-sin[..., :half], sin[..., half:]], -1).unsqueeze(-2)

    # -- oracles and other engines ------------------------------------------------------------------------------------

    @abstractmethod
    def padded_inputs(
        self, rows: Sequence[Sequence[int]], prompts: Sequence[Prompt], pad_token_id: int
    ) -> dict[str, Tensor]:
        """Keyword arguments of transformers' forward: right-padded rows, row i beginning with prompts[i]."""

    def faults(self) -> list[Fault]:
        """Known ways to compute this family's forward wrongly, which the self-check tries
        (`checks/parity_faults.py`)."""
        return []

    @abstractmethod
    def to_pictures(self, images: Sequence[PromptImage], processor: Any) -> list[Any]:
        """The resized RGB pictures behind patches, for an engine that has an image processor of its own."""

    @abstractmethod
    def engine_processor(self, processor: Any) -> dict[str, Any]:
        """What the image processor of another engine (vLLM) is told, so that it leaves `to_pictures`'s pictures as
        they are."""

    def engine_weights(self, weights: Iterable[tuple[str, Tensor]]) -> Iterable[tuple[str, Tensor]]:
        """`merged_weights` as another engine's loader wants them."""
        return weights

    def engine_config(self, config: dict[str, Any]) -> dict[str, Any]:
        """config.json as another engine (vLLM) wants it."""
        return config | {"architectures": [self.class_name]}
