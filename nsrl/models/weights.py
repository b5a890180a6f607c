"""This reads a policy's weights as a plain checkpoint would hold them: names without wrappers, adapters merged in or
left out.

Tensors are made one at a time, so merging never holds a second model.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from nsrl.models.registry import base_of

_COPIES = ".modules_to_save."  # peft's trained copies of a whole module, one per adapter, beside the original


def merged_weights(policy: nn.Module, adapter: bool = True) -> Iterator[tuple[str, Tensor]]:
    """(name, tensor) of every parameter of a model under its checkpoint name, an active LoRA added to its base.

    The merge is computed in fp32 and rounded once to the parameter's dtype. A module that peft trains as a whole comes
    as the active adapter has it. Tied weights come once. adapter=False: the base as it was, without what was trained.
    """
    base = base_of(policy)
    adapted = {
        name: module
        for name, module in base.named_modules()
        if hasattr(module, "base_layer") and hasattr(module, "lora_A")
    }
    for name, parameter in base.named_parameters():
        owner, _, leaf = name.rpartition(".")
        if ".lora_" in f".{name}":
            continue
        if _COPIES in name or ".original_module." in name:
            place = _active_place(base, name, adapter)
            if place is not None:
                yield place, parameter.detach()
            continue
        if not owner.endswith(".base_layer"):
            yield name, parameter.detach()
            continue
        module = adapted[owner.removesuffix(".base_layer")]
        yield (
            f"{owner.removesuffix('.base_layer')}.{leaf}",
            _merge(module, parameter) if adapter and leaf == "weight" else parameter.detach(),
        )


def _active_place(base: nn.Module, name: str, adapter: bool) -> str | None:
    """The plain name of a weight under peft's wrapper of a whole module; None for the copies that are not in use."""
    original = ".original_module." in name
    owner, _, rest = name.partition(".original_module." if original else _COPIES)
    wrapper: Any = base.get_submodule(owner)
    used = adapter and not wrapper.disable_adapters and bool(wrapper.active_adapters)
    if original:
        return None if used else f"{owner}.{rest}"
    copy, _, rest = rest.partition(".")
    return f"{owner}.{rest}" if used and copy == wrapper.active_adapters[0] else None


@torch.no_grad()
def _merge(module: Any, weight: Tensor) -> Tensor:
    if module.disable_adapters or module.merged:  # switched off, or already in the base weight
        return weight.detach()
    merged = weight.detach().float()
    for adapter in module.active_adapters:
        if adapter in module.lora_A:
            a, b = module.lora_A[adapter].weight, module.lora_B[adapter].weight
            merged = merged + module.scaling[adapter] * (b.float() @ a.float())
    return merged.to(weight.dtype)
