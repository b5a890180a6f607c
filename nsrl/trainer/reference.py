"""The reference model of the KL term is the policy as it was when GRPO began, whatever it had learned before.

It is kept once in the run folder (`reference/`), so that a resumed run has the same one. Where an adapter learns, only
what learns is held twice; an adapter that had learned nothing yet (B = 0) is simply switched off, which is the same
function and cheaper. All weights of a model are a second model.
"""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import torch

from nsrl.config import TrainConfig
from nsrl.config.stages import other_sources
from nsrl.errors import UserError
from nsrl.models import fsdp, loading
from nsrl.models.contexts import ADAPTER_OFF, FROZEN, POLICY, Context
from nsrl.models.policy import Policy
from nsrl.models.vlm import VLM
from nsrl.trainer import checkpoint
from nsrl.trainer.distributed import World
from nsrl.trainer.resume import planned_steps


def reference(
    config: TrainConfig, vlm: VLM, policy: Policy, path: Path, world: World, starting: bool
) -> tuple[Policy | None, Context]:
    """(policy, context) that score as the start of GRPO did; no policy where beta is 0.

    path: where it is kept; starting: GRPO begins now, so the present weights are the reference, and are written.
    Otherwise they are read.
    """
    if config.objective.beta == 0:
        return None, POLICY
    if starting:
        _keep(vlm, path, world)
    if not vlm.has_adapter:
        return _second_model(config, vlm, policy, path, world), POLICY
    frozen = _learning(vlm, path)
    if _is_blank(frozen):
        return policy, ADAPTER_OFF
    policy.frozen = frozen
    return policy, FROZEN


def bytes_held(config: TrainConfig, vlm: VLM) -> int:
    """What the reference of a run that is about to begin will hold beside the model."""
    if config.objective.beta == 0:
        return 0
    size = lambda parameters: sum(p.numel() * p.element_size() for p in parameters)
    if not vlm.has_adapter:
        return size(vlm.model.parameters())
    learning = {name: p for name, p in vlm.model.named_parameters() if p.requires_grad}
    steps = planned_steps(config)
    stays = not (steps.get("reading") or steps.get("warm_start")) and _is_blank(
        {n: p.detach() for n, p in learning.items()}
    )
    return 0 if stays else size(learning.values())


def _is_blank(weights: dict[str, torch.Tensor]) -> bool:
    """Whether they are an adapter alone, and one that does nothing yet."""
    return all("lora_" in name for name in weights) and not any(
        t.any() for name, t in weights.items() if "lora_B" in name
    )


def require_kept(config: TrainConfig, path: Path) -> None:
    """For a run that is past the start of GRPO: raise `UserError` when it needs a reference that was not kept in
    `path`."""
    if config.objective.beta and not path.is_dir():
        raise UserError(
            f"beta cannot be {config.objective.beta} from here on: the reference model, the policy at the start of "
            f"GRPO, is not in {str(path.parent)!r} (a run that began with beta=0 keeps none)"
        )


def _keep(vlm: VLM, path: Path, world: World) -> None:
    weights = fsdp.whole_weights(vlm.model, world.is_main) if world.sharded else None
    if world.is_main:
        path.parent.mkdir(exist_ok=True)
        checkpoint.write_folder(path, lambda working: vlm.save(working, weights))
    world.barrier()


def _learning(vlm: VLM, path: Path) -> dict[str, torch.Tensor]:
    """What learns, as it stands in `path`, by parameter name and in the parameters' own dtype."""
    learning = {name: p for name, p in vlm.model.named_parameters() if p.requires_grad}
    now = {name: p.detach().clone() for name, p in learning.items()}
    loading.load_weights(vlm, path)
    then = {name: p.detach().clone() for name, p in learning.items()}
    with torch.no_grad():
        for name, p in learning.items():
            p.copy_(now[name])
    return then


def _second_model(config: TrainConfig, vlm: VLM, policy: Policy, path: Path, world: World) -> Policy:
    if world.sharded:  # shards cannot be copied
        frozen = loading.load(config.model, config.lora, config.seed, sources=other_sources(config)).model
    else:
        frozen = copy.deepcopy(vlm.model)
    loading.load_weights(dataclasses.replace(vlm, model=frozen.requires_grad_(False)), path)
    if world.sharded:
        fsdp.shard(frozen, world.size)
    return Policy(frozen, attention=policy.attention.name)
