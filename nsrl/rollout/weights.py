"""A policy's weights as a plain checkpoint would hold them: names without wrappers, adapters merged in.

Tensors are made one at a time, so merging never holds a second model. Knows nothing of who reads them.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from nsrl.rollout.lean import base_of


def merged_weights(policy: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """(name, tensor) of every parameter of a Qwen3-VL under its checkpoint name, an active LoRA added to its base.

    The merge is computed in fp32 and rounded once to the parameter's dtype. Tied weights come once.
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
        if not owner.endswith(".base_layer"):
            yield name, parameter.detach()
            continue
        module = adapted[owner.removesuffix(".base_layer")]
        yield (
            f"{owner.removesuffix('.base_layer')}.{leaf}",
            _merge(module, parameter) if leaf == "weight" else parameter.detach(),
        )


@torch.no_grad()
def _merge(module: nn.Module, weight: Tensor) -> Tensor:
    if module.disable_adapters or module.merged:  # switched off, or already in the base weight
        return weight.detach()
    merged = weight.detach().float()
    for adapter in module.active_adapters:
        if adapter in module.lora_A:
            a, b = module.lora_A[adapter].weight, module.lora_B[adapter].weight
            merged = merged + module.scaling[adapter] * (b.float() @ a.float())
    return merged.to(weight.dtype)
