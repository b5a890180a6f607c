"""The model room: any Qwen3-VL checkpoint or the built-in small one, with its tokenizer and image processor.

`VLM` is what the other rooms hold: the model, how a `Problem` becomes token ids and pixels, which tokens are banned and
which end a completion. Uses the tokenizer, the chat template and the PIL image processor directly, so torchvision is not
needed. Knows nothing of rollouts, rewards or losses.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
import yaml
from transformers import AutoTokenizer, PreTrainedTokenizerFast, Qwen3VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from nsrl.config import LoraConfig, ModelConfig
from nsrl.data.chat import messages
from nsrl.engines.result import writable
from nsrl.errors import UserError
from nsrl.rollout.processor import save_processor
from nsrl.rollout.weights import merged_weights
from nsrl.trainer import small
from nsrl.trainer.card import model_card
from nsrl.trainer.lengths import token_counts
from nsrl.trainer.pictures import Pictures
from nsrl.types import Problem

ARCHITECTURE = "qwen3_vl"
PIXELS_PER_TOKEN = 32 * 32  # of Qwen3-VL's vision tower: patches of 16, two by two merged
TOWER = ["visual"]  # what peft calls the vision tower
BASE = "base"  # beside the adapter of a small model: the weights it belongs to, which nobody else has


@dataclass
class Encoded:
    """A prompt ready for a sampler or the policy.

    prompt_ids: token ids, one per visual token (placeholders expanded); template_ids: the same with one placeholder per
    image, as vLLM wants them; pixel_values: (patches, 3 * 2 * 16 * 16) float32, or None; image_grid_thw: (images, 3)
    int64, or None; image_keys: identity of each image.
    """

    prompt_ids: list[int]
    template_ids: list[int]
    pixel_values: torch.Tensor | None
    image_grid_thw: torch.Tensor | None
    image_keys: tuple[str, ...] = ()

    def __getstate__(self) -> dict[str, Any]:
        """What another process gets: everything but the pixels, which it can make itself (`VLM.with_pixels`)."""
        return {**self.__dict__, "pixel_values": None}


@dataclass
class VLM:
    """A Qwen3-VL with everything needed to speak to it.

    model: the transformers model, or a peft wrapper around it; name: what the user asked for.
    """

    model: Any
    tokenizer: PreTrainedTokenizerFast
    image_processor: Qwen2VLImageProcessorPil
    name: str
    system: bool = True  # whether prompts carry the system text that names the languages
    pictures: Pictures = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.pictures = Pictures(self.image_processor)

    @property
    def base(self) -> Qwen3VLForConditionalGeneration:
        """The transformers model inside any adapter."""
        return self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model

    @property
    def config(self) -> Any:
        return self.base.config

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def is_small(self) -> bool:
        return not self.system

    @property
    def has_adapter(self) -> bool:
        return hasattr(self.model, "disable_adapter")

    def stop_ids(self) -> list[int]:
        """Tokens that end a completion: the generation config's and the tokenizer's end of turn."""
        stop = self.base.generation_config.eos_token_id
        ids = set(stop if isinstance(stop, list | tuple) else [stop])
        ids.add(self.tokenizer.eos_token_id)
        return sorted(i for i in ids if i is not None)

    def banned_ids(self) -> list[int]:
        """Tokens the policy may never sample: the four vision tokens, padding, and other control tokens."""
        config = self.config
        banned = {
            config.image_token_id,
            config.video_token_id,
            config.vision_start_token_id,
            config.vision_end_token_id,
            self.tokenizer.pad_token_id,
            self.tokenizer.convert_tokens_to_ids("<|im_start|>"),
        }
        rows = self.base.get_input_embeddings().weight.shape[0]
        banned |= set(range(len(self.tokenizer), rows)) if rows - len(self.tokenizer) < 4096 else set()
        return sorted(i for i in banned if i is not None and i not in self.stop_ids())

    def encode(self, problem: Problem) -> Encoded:
        """Token ids and pixels of a problem. Raises `UserError` naming the problem when an image cannot be read."""
        template_ids = self.tokenizer(self.prompt_text(problem), add_special_tokens=False)["input_ids"]
        image_token = self.config.image_token_id
        _require_marks(problem, template_ids.count(image_token))
        if not problem.images:
            return Encoded(list(template_ids), list(template_ids), None, None)
        pictures = [self.pictures.patches(image) for image in problem.images]
        merge = self.image_processor.merge_size**2
        counts = iter([int(grid.prod()) // merge for _, grid in pictures])
        prompt_ids: list[int] = []
        for token in template_ids:
            prompt_ids += [token] * next(counts) if token == image_token else [token]
        return Encoded(
            prompt_ids,
            list(template_ids),
            torch.cat([pixels for pixels, _ in pictures]),
            torch.stack([grid for _, grid in pictures]),
            tuple(image.key for image in problem.images),
        )

    def with_pixels(self, encoded: Encoded, problem: Problem) -> Encoded:
        """The same prompt with its pixels: they do not travel between processes (another rank may have encoded it)."""
        return self.encode(problem) if encoded.image_keys and encoded.pixel_values is None else encoded

    def read_ahead(self, problems: Iterable[Problem]) -> None:
        """Begin to read the pictures of problems that will be encoded soon (`Pictures.ahead`)."""
        self.pictures.ahead(image for problem in problems for image in problem.images)

    def unreadable(self, problem: Problem) -> str | None:
        """Why a picture of the problem cannot be read, in a sentence; None when `encode` will find all of them."""
        return next((why for image in problem.images if (why := self.pictures.problem_with(image)) is not None), None)

    def prompt_lengths(self, problems: Sequence[Problem]) -> list[int | str]:
        """Tokens of each problem's prompt, image tokens included, without decoding a picture; or why it can be none."""
        texts = [self.prompt_text(problem) for problem in problems]
        mark = self.tokenizer.convert_ids_to_tokens(self.config.image_token_id)
        lengths: list[int | str] = []
        for problem, text, count in zip(problems, texts, token_counts(self.tokenizer, texts)):
            try:
                _require_marks(problem, text.count(mark))
                lengths.append(count + sum(self.pictures.tokens(image) - 1 for image in problem.images))
            except UserError as error:
                lengths.append(str(error))
        return lengths

    def prompt_text(self, problem: Problem) -> str:
        """The chat prompt as text, one placeholder per image."""
        return self.tokenizer.apply_chat_template(
            messages(problem, system=self.system), tokenize=False, add_generation_prompt=True
        )

    def decode(self, token_ids: list[int]) -> str:
        """The text of a completion without its end-of-turn token; delimiter tokens of programs are kept. No lone surrogates."""
        stop = set(self.stop_ids())
        while token_ids and token_ids[-1] in stop:
            token_ids = token_ids[:-1]
        return writable(self.tokenizer.decode(token_ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def save(
        self, folder: Path, weights: dict[str, torch.Tensor] | None = None, facts: dict[str, Any] | None = None
    ) -> None:
        """Write what transformers, peft and vLLM load directly: weights (or adapter), config, tokenizer, processor, card.

        weights: what to write instead of the model's own parameters (a sharded model's, gathered); facts: of the training,
        for the model card. An adapter is written in fp32, as it learns; whole weights in the dtype the model computes in.
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
        save_processor(folder, self.tokenizer, self.image_processor)
        (folder / "README.md").write_text(model_card(self.name, base, self.has_adapter, facts or {}))
        (folder / "nsrl.json").write_text(json.dumps({"small": self.is_small, "base": self.name}) + "\n")


def _require_marks(problem: Problem, count: int) -> None:
    if count != len(problem.images):
        raise UserError(
            f"problem {problem.id}: the question must hold one image marker per image ({len(problem.images)}); got {count}"
        )


def load(config: ModelConfig, lora: LoraConfig | None = None, seed: int = 0) -> VLM:
    """Build or load a model as configured: device, dtype, adapter, what is frozen. Raises `UserError` in one sentence.

    lora: None takes the model as it is, with its adapter if it has one. An adapter is in fp32 whatever `config.dtype` says:
    that is the dtype of the weights it belongs to.
    """
    transformers.utils.logging.disable_progress_bar()  # a bar per checkpoint shard would bury ours
    device = pick_device(config.device)
    if config.liger and device.type != "cuda":
        raise UserError(f"model.liger=true needs a GPU (its kernels are Triton's); got model.device {str(device)!r}")
    if config.name == "small":
        tokenizer = small.build_tokenizer()
        vlm = VLM(small.build_model(tokenizer, seed), tokenizer, small.build_image_processor(), "small", system=False)
        dtype = torch.float32 if config.dtype == "auto" else getattr(torch, config.dtype)
        vlm.model.to(device)
        for p in vlm.model.parameters():  # not buffers: rotary frequencies in 16 bits would be another model's
            p.data = p.data.to(dtype)
    else:
        vlm = _load_checkpoint(config, device)
    if config.min_pixels or config.max_pixels:
        size = dict(vlm.image_processor.size)
        own = size["shortest_edge"], size["longest_edge"]  # the bound that was not given makes way for the one that was
        size["shortest_edge"] = config.min_pixels or min(own[0], config.max_pixels or own[0])
        size["longest_edge"] = config.max_pixels or max(own[1], config.min_pixels or own[1])
        vlm.image_processor.size = size
        room = vlm.config.text_config.max_position_embeddings * PIXELS_PER_TOKEN
        if size["shortest_edge"] >= room:
            raise UserError(
                f"model.min_pixels must be below {room:,}, or no picture fits the model's positions; got {config.min_pixels}"
            )
    if lora is not None and not vlm.has_adapter and (not vlm.is_small if lora.enabled is None else lora.enabled):
        add_lora(vlm, lora, seed, tower=config.freeze_vision_tower is False)
    freeze = config.freeze_vision_tower
    if freeze or (freeze is None and (vlm.has_adapter or not vlm.is_small)):
        vlm.base.model.visual.requires_grad_(False)
    vlm.model.eval()  # dropout off: sampler and trainer must be the same function; the loop never turns it on
    return vlm


def add_lora(vlm: VLM, lora: LoraConfig, seed: int = 0, tower: bool = False) -> None:
    """Wrap the language model's target modules in fp32 adapters (peft); everything else is frozen.

    tower: the vision tower learns beside them, all of its weights. peft keeps a copy that learns, saves it with the adapter,
    and goes back to the original where the adapter is switched off.
    """
    from peft import LoraConfig as PeftLora
    from peft import get_peft_model

    targets = _targets(vlm.base, lora.target_modules)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vlm.model = get_peft_model(
            vlm.base,
            PeftLora(
                r=lora.r,
                lora_alpha=lora.alpha,
                lora_dropout=lora.dropout,
                target_modules=targets,
                modules_to_save=TOWER if tower else None,
                bias="none",
            ),
            autocast_adapter_dtype=True,
        )


def _targets(base: torch.nn.Module, wanted: Sequence[str]) -> list[str]:
    """Full names of the linear layers of the language model that `wanted` names; each must name one at least."""
    linear = [name for name, m in base.named_modules() if isinstance(m, torch.nn.Linear)]
    text = [name for name in linear if ".language_model." in f".{name}."]
    found = {target: [name for name in text if f".{name}".endswith(f".{target}")] for target in wanted}
    lost = [target for target in wanted if not found[target]]
    if lost or not wanted:
        there = ", ".join(sorted({name.rsplit(".", 1)[-1] for name in text}))
        tower = [target for target in lost if any(f".{name}".endswith(f".{target}") for name in linear)]
        where = f" ({', '.join(tower)}: in the vision tower only, which model.freeze_vision_tower=false trains)" if tower else ""
        raise UserError(
            "lora.target_modules must each name linear layers of the language model; "
            f"got {', '.join(lost) or 'none'}, of which it has none{where}; there are {there}"
        )
    return sorted({name for names in found.values() for name in names})


def pick_device(name: str) -> torch.device:
    """The device of that name. Raises `UserError` listing what is there when it is not."""
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return torch.device("cuda" if gpus else "cpu")
    there = ["cpu", *(["cuda"] if gpus else []), *(f"cuda:{i}" for i in range(gpus))]
    if name not in there:
        none = "" if gpus else " (torch sees no CUDA GPU)"
        raise UserError(f"model.device must be one of auto, {', '.join(there)} on this machine{none}; got {name!r}")
    return torch.device(name)


def require_positions(vlm: VLM, max_completion_length: int, prompt_tokens: int = 1) -> None:
    """A prompt and its completion must fit the model's positions. Raises `UserError`."""
    positions = vlm.config.text_config.max_position_embeddings
    if prompt_tokens >= positions:
        raise UserError(
            f"the question with its pictures must leave room for an answer in the model's {positions} positions; it takes "
            f"{prompt_tokens} of them"
        )
    if prompt_tokens + max_completion_length > positions:
        behind = f" behind a prompt of {prompt_tokens}" if prompt_tokens > 1 else ""
        raise UserError(
            f"max_completion_length must be at most {positions - prompt_tokens}{behind}, because the model has {positions} "
            f"positions; got {max_completion_length}"
        )


def load_weights(vlm: VLM, folder: Path) -> None:
    """Put the weights of a checkpoint of the same model into it: the adapter's, or all of them."""
    from safetensors.torch import load_file

    if vlm.has_adapter:
        from peft import set_peft_model_state_dict

        set_peft_model_state_dict(vlm.model, load_file(folder / "adapter_model.safetensors"))
        return
    parts = sorted(folder.glob("model*.safetensors"))
    state = {name: tensor for part in parts for name, tensor in load_file(part).items()}
    missing, unexpected = vlm.model.load_state_dict(state, strict=False)
    missing = [name for name in missing if name != "lm_head.weight"]  # tied
    if missing or unexpected or not parts:
        raise UserError(f"checkpoint {str(folder)!r} does not fit the model: {(missing + unexpected)[:3]} differ")


def trained_length(folder: Path) -> int | None:
    """max_completion_length of the run a model comes from; None when it comes from none."""
    for place in (folder, folder.parent):
        config = place / "config.yaml"
        if config.is_file():
            return int(yaml.safe_load(config.read_text()).get("max_completion_length", 0)) or None
    return None


def latest_checkpoint(path: Path) -> Path:
    """A checkpoint folder from a run folder or a checkpoint folder."""
    if (path / "latest").exists():
        return (path / "latest").resolve()
    return path


def _load_checkpoint(config: ModelConfig, device: torch.device) -> VLM:
    folder = Path(config.name).expanduser()
    looks_local = config.name.startswith((".", "/", "~")) or config.name.count("/") != 1
    if folder.is_dir():
        source = str(_checked(latest_checkpoint(folder)))
    elif looks_local:
        raise UserError(f"model must be `small`, a Hub id or a folder; got {config.name!r}, which does not exist")
    else:
        source = config.name
    adapter = Path(source) / "adapter_config.json"
    weights = _base_of(adapter) if adapter.is_file() else source
    own = Path(source) / "nsrl.json"
    small_one = own.is_file() and json.loads(own.read_text())["small"]
    dtype = config.dtype
    if dtype == "auto":
        dtype = "bfloat16" if device.type == "cuda" and not small_one else "float32"
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
        processor = Qwen2VLImageProcessorPil.from_pretrained(source)
        model = Qwen3VLForConditionalGeneration.from_pretrained(
            weights, dtype=getattr(torch, dtype), attn_implementation="sdpa"
        )
    except OSError as error:
        first = str(error).strip().splitlines()[0]
        way = "" if folder.is_dir() else "; where the Hub cannot be reached, give a checkpoint folder (model.name=FOLDER)"
        raise UserError(f"model {config.name!r} could not be loaded: {first.rstrip('.')}{way}") from None
    model.to(device)
    if adapter.is_file():
        model = _load_adapter(model, source, tower=config.freeze_vision_tower is False)
    return VLM(model, tokenizer, processor, config.name, system=not small_one)


def _base_of(adapter: Path) -> str:
    """Where the weights of an adapter are: in its own folder, wherever that is now, or as it says."""
    base = json.loads(adapter.read_text()).get("base_model_name_or_path")
    if (adapter.parent / BASE).is_dir():
        return str(adapter.parent / BASE)
    if not base or base == BASE:
        raise UserError(f"model {str(adapter.parent)!r} is an adapter whose base weights are not recorded: train it again")
    if Path(base).is_absolute() and not Path(base).is_dir():
        raise UserError(f"model {str(adapter.parent)!r} is an adapter for {base!r}, which is no longer there")
    return base


def _load_adapter(model: Any, source: str, tower: bool) -> Any:
    """The model with the adapter of a checkpoint, in fp32 and ready to learn on; tower: the vision tower learns too."""
    from peft import PeftConfig, PeftModel, get_peft_model, set_peft_model_state_dict
    from peft.utils import load_peft_weights

    kept = PeftConfig.from_pretrained(source)
    if not tower or kept.modules_to_save:
        return PeftModel.from_pretrained(model, source, is_trainable=True, autocast_adapter_dtype=True)
    kept.modules_to_save, kept.inference_mode = TOWER, False  # it was frozen: it begins as the base has it
    state = load_peft_weights(source, device="cpu")
    state |= {f"base_model.model.model.visual.{name}": t for name, t in model.model.visual.state_dict().items()}
    with torch.random.fork_rng(devices=[]):
        model = get_peft_model(model, kept, autocast_adapter_dtype=True)
    set_peft_model_state_dict(model, state)
    return model


def _checked(folder: Path) -> Path:
    path = folder / "config.json"
    if not path.is_file():
        raise UserError(f"model must be a checkpoint folder with a config.json; {str(folder)!r} has none")
    try:
        kind = json.loads(path.read_text()).get("model_type")
    except ValueError:
        raise UserError(f"model {str(folder)!r}: config.json is not valid JSON") from None
    if kind != ARCHITECTURE:
        raise UserError(f"model must be a Qwen3-VL checkpoint (model_type {ARCHITECTURE!r}); {str(folder)!r} is {kind!r}")
    return folder
