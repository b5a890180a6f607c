"""Which parts of a model learn, by name, among those that it was opened to learn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch.nn import Parameter

from nsrl.errors import UserError
from nsrl.models.vlm import VLM

MERGERS = ("merger", "multi_modal_projector")  # how modules are called between the tower and the language model


def learning(vlm: VLM) -> dict[str, list[Parameter]]:
    """The weights that learn, by the part that they belong to: lora, merger, vision, head, language."""
    found: dict[str, list[Parameter]] = {}
    for name, weight in vlm.model.named_parameters():
        if weight.requires_grad:
            found.setdefault(_part(name, vlm.family.tower_names), []).append(weight)
    return found


def require_parts(vlm: VLM, wanted: Sequence[str] | None) -> None:
    """Raise `UserError` for a part that has no weight of its own that learns."""
    there = learning(vlm)
    lost = [part for part in wanted or () if part not in there]
    if lost:
        raise UserError(
            f"train must name parts that learn in this run ({', '.join(sorted(there))}); got {lost[0]} "
            f"(model.freeze_vision_tower and lora.enabled say what learns; a tied head is part of language)"
        )


@contextmanager
def only(vlm: VLM, wanted: Sequence[str] | None) -> Iterator[None]:
    """Within it no other parts than these learn (None: all that do)."""
    resting = [w for part, weights in learning(vlm).items() if part not in (wanted or (part,)) for w in weights]
    for weight in resting:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in resting:
            weight.requires_grad_(True)


def _part(name: str, towers: Sequence[str]) -> str:
    path = name.split(".")
    if any(step.startswith("lora_") for step in path):
        return "lora"
    if any(step.startswith(MERGERS) or step.endswith("_merger_list") for step in path):
        return "merger"
    if any(step in towers for step in path):
        return "vision"
    return "head" if "lm_head" in path else "language"
