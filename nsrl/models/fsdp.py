"""FSDP2 shards parameters, gradients and optimiser state for full fine-tuning, one shard per rank.

Each decoder layer is a unit, gathered when the forward reaches it and freed behind it. Embedding, head, final norm and
vision tower form the root unit, gathered once per forward: a rank without images gathers what the others gather. The
sampler reads weights straight from the modules, so everything is gathered for the length of a rollout.

A 16-bit model that learns is kept as fp32 shards, the masters: they are gathered rounded to 16 bits, and gradients are
summed over ranks in fp32.

What leaves here (weights, optimiser state) is whole tensors, the same as one process would hold.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor

from nsrl.models.registry import family_of


def shard(model: Any, size: int) -> None:
    """Shard a whole model over `size` ranks, in place. Before the policy and the optimiser are made."""
    first = next(model.parameters())
    mesh = init_device_mesh(first.device.type, (size,))
    options: dict[str, Any] = {"mesh": mesh}
    model.shards_compute_in = first.dtype
    if first.dtype is not torch.float32 and any(p.requires_grad for p in model.parameters()):
        options["mp_policy"] = MixedPrecisionPolicy(first.dtype, torch.float32, cast_forward_inputs=False)
    for unit in [*family_of(model).text.layers, model]:
        if "mp_policy" in options:  # one unit at a time: never the whole model in fp32 on one rank
            for p in unit.parameters():
                p.data = p.data if p.dtype is torch.float32 else p.data.float()
        fully_shard(unit, **options)


def is_sharded(model: nn.Module) -> bool:
    """Whether `shard` was called on it."""
    return isinstance(model, FSDPModule)


def compute_dtype(model: nn.Module) -> torch.dtype:
    """The dtype a model computes in, which its shards may hold more finely."""
    return getattr(model, "shards_compute_in", next(model.parameters()).dtype)


def rounds(model: nn.Module) -> bool:
    """Whether it is sharded and computes in fewer bits than its shards have."""
    return is_sharded(model) and compute_dtype(model) is not next(model.parameters()).dtype


def entry(module: nn.Module, name: str, function: Any) -> None:
    """Make `module.name(*args)` call `function(*args)` as a forward of the module: gathered before, freed after.

    What the function returns for a gradient must be tensors, in tuples or bare; so must inputs that carry one.
    """
    setattr(module, name, function)
    register_fsdp_forward_method(module, name)


@contextlib.contextmanager
def gathered(model: nn.Module) -> Iterator[None]:
    """Whole parameters on every rank for the length of the block (a collective); nothing to do for a whole model."""
    units = [module for module in model.modules() if isinstance(module, FSDPModule)]
    for unit in units:
        unit.unshard()
    try:
        yield
    finally:
        for unit in units:
            unit.reshard()


def whole(value: Any, keep: bool = True) -> Any:
    """Nested containers with every sharded tensor gathered, on the CPU (a collective when there are any).

    keep=False: this rank only takes part, and has None in their places.
    """
    if isinstance(value, DTensor):
        full = value.full_tensor()
        return full.cpu() if keep else None
    if isinstance(value, dict):
        return {key: whole(inner, keep) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(whole(inner, keep) for inner in value)
    return value


def spread(state: dict[str, Any], parameters: Sequence[Tensor]) -> dict[str, Any]:
    """An optimiser's state dict with whole tensors, sharded as its parameters are (in the optimiser's own order)."""
    spread_state = {}
    for index, moments in state["state"].items():
        p = parameters[int(index)]
        fits = lambda t, p=p: isinstance(t, Tensor) and t.shape == p.shape
        spread_state[index] = {name: place(t, p) if fits(t) else t for name, t in moments.items()}
    return {**state, "state": spread_state}


def gathered_tensor(tensor: Tensor) -> Tensor:
    """A sharded tensor whole on every rank, on its device (a collective); any other as it is."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def place(tensor: Tensor, parameter: Tensor) -> Tensor:
    """A tensor that every rank holds whole as its parameter lies: this rank's shard of it, or itself."""
    if not isinstance(parameter, DTensor):
        return tensor
    return distribute_tensor(
        tensor.to(parameter.device), parameter.device_mesh, parameter.placements, src_data_rank=None
    )


def whole_weights(model: nn.Module, keep: bool = True) -> dict[str, Tensor]:
    """Every parameter under its name on the CPU, tied ones once (a collective). keep=False: only take part."""
    with gathered(model):
        return {name: p.detach().cpu().clone() for name, p in model.named_parameters()} if keep else {}
