"""A model is opened here: the small one, a checkpoint or a Hub id, with its adapter, its dtype and what of it
learns."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
import yaml
from transformers import AutoConfig, AutoTokenizer

from nsrl.config import LoraConfig, ModelConfig, PromptConfig, launched
from nsrl.config.sound import require_model
from nsrl.data.chat import Chat
from nsrl.engines import Pair
from nsrl.errors import UserError
from nsrl.models import chats, small
from nsrl.models.family import Family
from nsrl.models.registry import FAMILIES, family_class
from nsrl.models.vlm import BASE, VLM
from nsrl.userfiles import expanded


def load(
    config: ModelConfig,
    lora: LoraConfig | None = None,
    seed: int = 0,
    prompt: PromptConfig | None = None,
    sources: Sequence[str] = (),
) -> VLM:
    """Build or load a model as configured: device, dtype, adapter, what is frozen. Raises `UserError` in one sentence.

    lora: None takes the model as it is, with its adapter if it has one. An adapter is in fp32 whatever `config.dtype`
    says: that is the dtype of the weights it belongs to. prompt: how problems are put to it; None: as the checkpoint
    was trained. sources: whose words the tokenizer of the small model knows besides those of shapes.
    """
    transformers.utils.logging.disable_progress_bar()  # a bar per checkpoint shard would bury ours
    device = pick_device(config.device)
    if config.liger and device.type != "cuda":
        raise UserError(f"model.liger=true needs a GPU (its kernels are Triton's); got model.device {str(device)!r}")
    if config.name == "small":
        tokenizer = small.build_tokenizer(sources=sources)
        vlm = VLM(small.build_model(tokenizer, seed), tokenizer, small.build_image_processor(), "small", system=False)
        dtype = torch.float32 if config.dtype == "auto" else getattr(torch, config.dtype)
        vlm.model.to(device)
        for p in vlm.model.parameters():  # not buffers: rotary frequencies in 16 bits would be another model's
            p.data = p.data.to(dtype)
    else:
        vlm = _load_checkpoint(config, device)
    if config.min_pixels or config.max_pixels:
        vlm.family.bound_pictures(vlm.image_processor, config.min_pixels, config.max_pixels)
    if lora is not None and not vlm.has_adapter and (not vlm.is_small if lora.enabled is None else lora.enabled):
        add_lora(vlm, lora, seed, tower=config.freeze_vision_tower is False)
    freeze = config.freeze_vision_tower
    if freeze or (freeze is None and (vlm.has_adapter or not vlm.is_small)):
        for tower in vlm.family.towers:
            tower.requires_grad_(False)
    if prompt is not None:
        ask_as(vlm, prompt)
    vlm.model.eval()  # dropout off: sampler and trainer must be the same function; the loop never turns it on
    return vlm


def ask_as(vlm: VLM, prompt: PromptConfig, said: Collection[str] = chats.KEYS) -> None:
    """Put problems to the model as `prompt` says from now on; of what was not `said`, as it was trained."""
    before, vlm.chat = vlm.chat, chats.chat_for(vlm, prompt, said)
    for note in (chats.note_on_change(vlm, before), chats.note_on_cost(vlm)):
        if note is not None and launched()[0] == 0:
            print(f"note: {note}", flush=True)


def add_lora(vlm: VLM, lora: LoraConfig, seed: int = 0, tower: bool = False) -> None:
    """Wrap the language model's target modules in fp32 adapters (peft); everything else is frozen.

    tower: the vision tower learns beside them, all of its weights. peft keeps a copy that learns, saves it with the
    adapter, and goes back to the original where the adapter is switched off.
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
                modules_to_save=list(vlm.family.tower_names) if tower else None,
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
        where = (
            f" ({', '.join(tower)}: in the vision tower only, which model.freeze_vision_tower=false trains)"
            if tower
            else ""
        )
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
    positions = vlm.family.positions
    if prompt_tokens >= positions:
        raise UserError(
            f"the question with its pictures must leave room for an answer in the model's {positions} positions; it "
            f"takes "
            f"{prompt_tokens} of them"
        )
    if prompt_tokens + max_completion_length > positions:
        behind = f" behind a prompt of {prompt_tokens}" if prompt_tokens > 1 else ""
        raise UserError(
            f"max_completion_length must be at most {positions - prompt_tokens}{behind}, because the model has "
            f"{positions} "
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
    own, lost = vlm.model.state_dict(), set()
    if parts and any(name not in own or tensor.shape != own[name].shape for name, tensor in state.items()):
        # files of some families have other names than the modules: transformers' own loader knows them
        read, info = vlm.family.model_class().from_pretrained(
            folder, dtype=next(iter(state.values())).dtype, output_loading_info=True, ignore_mismatched_sizes=True
        )
        state = read.state_dict()
        lost = {*info["missing_keys"], *info["unexpected_keys"], *(key[0] for key in info["mismatched_keys"])}
    missing, unexpected = vlm.model.load_state_dict(state, strict=False) if not lost else ([], [])
    wrong = sorted({*missing, *unexpected, *lost} - {"lm_head.weight"})  # tied
    if wrong or not parts:
        raise UserError(f"checkpoint {str(folder)!r} does not fit the model: {wrong[:3]} differ")


def trained_length(folder: Path) -> int | None:
    """max_completion_length of the run a model comes from; None when it comes from none."""
    for place in (folder, folder.parent):
        config = place / "config.yaml"
        if config.is_file():
            keys = yaml.safe_load(config.read_text())
            return int(keys.get("max_completion_length", 0)) or None if isinstance(keys, dict) else None
    return None


def latest_checkpoint(path: Path) -> Path:
    """A checkpoint folder from a run folder or a checkpoint folder."""
    if (path / "latest").exists():
        return (path / "latest").resolve()
    return path


def _load_checkpoint(config: ModelConfig, device: torch.device) -> VLM:
    folder = expanded(config.name)
    require_model(config.name)
    source = str(_checked(latest_checkpoint(folder))) if folder.is_dir() else config.name
    adapter = Path(source) / "adapter_config.json"
    weights = _base_of(adapter) if adapter.is_file() else source
    own = Path(source) / "nsrl.json"
    recorded = json.loads(own.read_text()) if own.is_file() else {}
    small_one = bool(recorded.get("small"))
    dtype = config.dtype
    if dtype == "auto":
        dtype = "bfloat16" if device.type == "cuda" and not small_one else "float32"
    try:
        own_config = AutoConfig.from_pretrained(source)
        family = family_class(own_config.model_type)
        family.require_supported(own_config)
        tokenizer = AutoTokenizer.from_pretrained(source)
        processor = family.load_processor(source)
        model = family.model_class().from_pretrained(weights, dtype=getattr(torch, dtype), attn_implementation="sdpa")
    except OSError as error:
        first = str(error).strip().splitlines()[0]
        way = (
            "" if folder.is_dir() else "; where the Hub cannot be reached, give a checkpoint folder (model.name=FOLDER)"
        )
        raise UserError(f"model {config.name!r} could not be loaded: {first.rstrip('.')}{way}") from None
    model.to(device)
    if adapter.is_file():
        model = _load_adapter(family, model, source, tower=config.freeze_vision_tower is False)
    return VLM(model, tokenizer, processor, config.name, system=not small_one, chat=_chat(recorded.get("prompt")))


def _chat(recorded: dict[str, Any] | None) -> Chat:
    """The chat that a checkpoint was trained with."""
    if recorded is None:
        return Chat()
    return Chat(**{**recorded, "delimiters": tuple(Pair(*pair) for pair in recorded["delimiters"])})


def _base_of(adapter: Path) -> str:
    """Where the weights of an adapter are: in its own folder, wherever that is now, or as it says."""
    base = json.loads(adapter.read_text()).get("base_model_name_or_path")
    if (adapter.parent / BASE).is_dir():
        return str(adapter.parent / BASE)
    if not base or base == BASE:
        raise UserError(
            f"model {str(adapter.parent)!r} is an adapter whose base weights are not recorded: train it again"
        )
    if Path(base).is_absolute() and not Path(base).is_dir():
        raise UserError(f"model {str(adapter.parent)!r} is an adapter for {base!r}, which is no longer there")
    return base


def _load_adapter(family: type[Family], model: Any, source: str, tower: bool) -> Any:
    """The model with the adapter of a checkpoint, in fp32 and ready to learn on; tower: the vision tower learns too."""
    from peft import PeftConfig, PeftModel, get_peft_model, set_peft_model_state_dict
    from peft.utils import load_peft_weights

    kept: Any = PeftConfig.from_pretrained(source)
    if not tower or kept.modules_to_save:
        return PeftModel.from_pretrained(model, source, is_trainable=True, autocast_adapter_dtype=True)
    kept.modules_to_save, kept.inference_mode = (
        list(family.tower_names),
        False,
    )  # it was frozen: it begins as the base has it
    state = load_peft_weights(source, device="cpu")
    for tower_name in family.tower_names:
        weights = getattr(model.model, tower_name).state_dict()
        state |= {f"base_model.model.model.{tower_name}.{name}": tensor for name, tensor in weights.items()}
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
    if kind not in FAMILIES:
        known = ", ".join(map(repr, FAMILIES))
        raise UserError(
            f"model must be a checkpoint of a family that nsrl knows (model_type {known}); {str(folder)!r} is {kind!r}"
        )
    return folder
