"""`VLM` is a model with everything needed to speak to it: a `Problem` becomes a `Prompt`, and ids become text.

Uses the tokenizer, the chat template and the image processor directly, so torchvision is not needed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateError

from nsrl.data.chat import Chat
from nsrl.engines.result import writable
from nsrl.errors import UserError
from nsrl.models.card import model_card
from nsrl.models.family import Family
from nsrl.models.lengths import token_counts
from nsrl.models.pictures import Pictures
from nsrl.models.prompt import Prompt, PromptImage
from nsrl.models.registry import base_of, family_of
from nsrl.models.weights import merged_weights
from nsrl.types import Problem

BASE = "base"  # beside the adapter of a small model: the weights it belongs to, which nobody else has


@dataclass
class VLM:
    """A model, its tokenizer and its image processor.

    model: the transformers model, or a peft wrapper around it; name: what the user asked for.
    """

    model: Any
    tokenizer: Any  # transformers' PreTrainedTokenizerFast
    image_processor: Any
    name: str
    system: bool = True  # whether prompts carry a system text
    chat: Chat = field(default_factory=Chat)  # how problems are put, and answers read
    pictures: Pictures = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.pictures = self.family.pictures(self.image_processor)

    @property
    def base(self) -> Any:
        """The transformers model inside any adapter."""
        return base_of(self.model)

    @property
    def family(self) -> Family:
        """Its architecture."""
        return family_of(self.model)

    @property
    def config(self) -> Any:
        """transformers' configuration of the model inside any adapter."""
        return self.base.config

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return next(self.model.parameters()).device

    @property
    def is_small(self) -> bool:
        """Whether this is a built-in small model, whose prompts carry no system text."""
        return not self.system

    @property
    def has_adapter(self) -> bool:
        """Whether the model is wrapped by peft: LoRA learns, and the base is the reference."""
        return hasattr(self.model, "disable_adapter")

    @property
    def black(self) -> tuple[float, ...]:
        """A black pixel behind the image processor's normalisation, by channel."""
        processor = self.image_processor
        return tuple(-mean / std for mean, std in zip(processor.image_mean, processor.image_std))

    def stop_ids(self) -> list[int]:
        """Tokens that end a completion: the generation config's and the tokenizer's end of turn."""
        stop = self.base.generation_config.eos_token_id
        ids = set(stop if isinstance(stop, list | tuple) else [stop])
        ids.add(self.tokenizer.eos_token_id)
        return sorted(i for i in ids if i is not None)

    def banned_ids(self) -> list[int]:
        """Tokens the policy may never sample: those of pictures, padding, and other control tokens."""
        banned = {
            *self.family.control_tokens.values(),
            *self.family.marks(self.tokenizer),
            self.tokenizer.pad_token_id,
            self.tokenizer.convert_tokens_to_ids("<|im_start|>"),
        }
        rows = self.base.get_input_embeddings().weight.shape[0]
        banned |= set(range(len(self.tokenizer), rows)) if rows - len(self.tokenizer) < 4096 else set()
        return sorted(i for i in banned if i is not None and i not in self.stop_ids())

    def encode(self, problem: Problem) -> Prompt:
        """Token ids and pixels of a problem, up to the head of the assistant's turn. Raises `UserError` naming the
        problem when an image cannot be read."""
        problem = self.chat.shown(problem)
        template_ids = list(self.tokenizer(self.prompt_text(problem), add_special_tokens=False)["input_ids"])
        family = self.family
        image_token = family.image_token_id
        _require_marks(problem, template_ids.count(image_token))
        images = []
        for image in problem.images:
            pixels, grid = self.pictures.patches(image)
            images.append(PromptImage(image.key, grid, pixels))
        sizes = iter([prod(image.grid) // family.merge**2 for image in images])
        ids: list[int] = []
        for token in template_ids:
            ids += family.expand(next(sizes), self.tokenizer) if token == image_token else [token]
        return Prompt(ids, template_ids, tuple(images), problem.id)

    @contextmanager
    def asked(self, chat: Chat) -> Iterator[None]:
        """Within it problems are put, and completions read, as `chat` says."""
        before, self.chat = self.chat, chat
        try:
            yield
        finally:
            self.chat = before

    @property
    def end_of_turn(self) -> int:
        """The token that ends a completion in demonstrations."""
        return int(self.tokenizer.eos_token_id)

    def learned_ids(self, text: str) -> list[int]:
        """Of a demonstration: what is learned behind the prompt, with the end of the turn once."""
        if (bare := text.rstrip()).endswith(self.tokenizer.eos_token):
            text = bare.removesuffix(self.tokenizer.eos_token)
        text = self.chat.learned(text)
        return [*self.token_ids(text), self.end_of_turn]

    def token_ids(self, text: str) -> list[int]:
        """Of a text as it stands: no special token is added."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def with_pixels(self, prompt: Prompt, problem: Problem) -> Prompt:
        """The same prompt with its pixels: they do not travel between processes (another rank may have encoded it)."""
        return prompt if prompt.has_pixels else self.encode(problem)

    def read_ahead(self, problems: Iterable[Problem]) -> None:
        """Begin to read the pictures of problems that will be encoded soon (`Pictures.ahead`)."""
        self.pictures.ahead(image for problem in problems for image in self.chat.shown(problem).images)

    def unreadable(self, problem: Problem) -> str | None:
        """Why a picture of the problem cannot be read, in a sentence; None when `encode` will find all of them."""
        images = self.chat.shown(problem).images
        return next((why for image in images if (why := self.pictures.problem_with(image)) is not None), None)

    def prompt_lengths(self, problems: Sequence[Problem]) -> list[int | str]:
        """Tokens of each problem's prompt, image tokens included, without decoding a picture; or why it can be none."""
        problems = [self.chat.shown(problem) for problem in problems]
        texts: list[str | UserError] = []
        for problem in problems:
            try:
                texts.append(self.prompt_text(problem))
            except UserError as error:
                texts.append(error)
        family = self.family
        mark = self.tokenizer.convert_ids_to_tokens(family.image_token_id)
        lengths: list[int | str] = []
        counts = iter(token_counts(self.tokenizer, [text for text in texts if isinstance(text, str)]))
        for problem, text in zip(problems, texts):
            try:
                if isinstance(text, UserError):
                    raise text
                count = next(counts)
                _require_marks(problem, text.count(mark))
                expanded = [family.expand(self.pictures.tokens(image), self.tokenizer) for image in problem.images]
                lengths.append(count + sum(map(len, expanded)) - len(expanded))
            except UserError as error:
                lengths.append(str(error))
        return lengths

    def prompt_text(self, problem: Problem) -> str:
        """The chat prompt as text, one placeholder per image, up to the head of the assistant's turn. Raises
        `UserError` where the template has no form for the messages (a role that it does not know)."""
        asked = self.chat.messages(problem, system=self.system)
        try:
            text = self.tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
        except TemplateError as error:
            raise UserError(f"problem {problem.id}: the chat template cannot write its messages: {error}") from None
        return text if problem.behind else text + self.chat.prefill

    def decode(self, token_ids: list[int]) -> str:
        """The text of a completion without its end-of-turn token; delimiter tokens of programs are kept. No lone
        surrogates."""
        stop = set(self.stop_ids())
        while token_ids and token_ids[-1] in stop:
            token_ids = token_ids[:-1]
        return writable(self.tokenizer.decode(token_ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def save(
        self, folder: Path, weights: dict[str, torch.Tensor] | None = None, facts: dict[str, Any] | None = None
    ) -> None:
        """Write what transformers, peft and vLLM load directly: weights (or adapter), config, tokenizer, processor,
        card.

        weights: what to write instead of the model's own parameters (a sharded model's, gathered); facts: of the
        training, for the model card. An adapter is written in fp32, as it learns; whole weights in the dtype the model
        computes in.
        """
        base = self.name
        if self.has_adapter:
            peft = self.model.peft_config["default"]
            if self.is_small:
                self.base.save_pretrained(folder / BASE, state_dict=dict(merged_weights(self.model, adapter=False)))
                peft.base_model_name_or_path = BASE
            elif Path(peft.base_model_name_or_path).is_dir():  # wherever the next command is run from
                peft.base_model_name_or_path = str(Path(peft.base_model_name_or_path).resolve())
            base = peft.base_model_name_or_path
            self.model.save_pretrained(folder, save_embedding_layers=False)  # it never trains them
            self.config.save_pretrained(folder)
        else:
            self.model.save_pretrained(folder, state_dict=weights)
        self.family.save_processor(folder, self.tokenizer, self.image_processor)
        (folder / "README.md").write_text(model_card(self.family, self.name, base, self.has_adapter, facts or {}))
        own: dict[str, Any] = {"small": self.is_small, "base": self.name}
        if self.chat != Chat():
            own["prompt"] = asdict(self.chat)
        (folder / "nsrl.json").write_text(json.dumps(own) + "\n")


def _require_marks(problem: Problem, count: int) -> None:
    if count != len(problem.images):
        raise UserError(
            f"problem {problem.id}: the question must hold one image marker per image ({len(problem.images)}); got "
            f"{count}"
        )
