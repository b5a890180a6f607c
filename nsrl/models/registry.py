"""The registry has a row for each architecture, by the `model_type` of transformers' configuration.

A new family is a folder beside this file with a subclass of `Family`, and its row here.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from torch import nn

from nsrl.errors import UserError
from nsrl.models.family import Family

FAMILIES = {
    "qwen3_vl": "nsrl.models.qwen3_vl:Qwen3VL",
    "qwen2_5_vl": "nsrl.models.qwen2_5_vl:Qwen25VL",
    "qwen3_vl_moe": "nsrl.models.qwen3_vl_moe:Qwen3VLMoe",
    "internvl": "nsrl.models.internvl:InternVL",
}
SMALL = "qwen3_vl"  # the family of the built-in model


@cache
def family_class(model_type: str) -> type[Family]:
    """The family of a configuration's `model_type`. Raises `UserError` naming those there are."""
    row = FAMILIES.get(model_type)
    if row is None:
        raise UserError(
            f"model must be of a family that nsrl knows (model_type {', '.join(FAMILIES)}); got {model_type!r}"
        )
    module, name = row.split(":")
    return getattr(import_module(module), name)


def base_of(model: Any) -> Any:
    """The transformers model under a peft wrapper, or the model itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def family_of(model: nn.Module) -> Family:
    """The family of a model (peft-wrapped or not), bound to it. Raises `UserError` for a model of none."""
    base = base_of(model)
    kind = getattr(getattr(base, "config", None), "model_type", None)
    if kind not in FAMILIES:
        raise UserError(
            f"model must be a vision-language model of a family that nsrl knows ({', '.join(FAMILIES)}); got "
            f"{type(base).__name__}"
        )
    return family_class(kind)(base)
