"""Preflight takes the worst step of the real data set before the first one, so that what does not fit shows in the
first minute.

The longest prompt with G completions of the full length goes through forward and backward; what that took, with what
the sampler's cache and the optimiser will take, makes a memory table and the token budget of a micro-batch. Leaves no
gradient and draws from no global random state.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nsrl.errors import UserError
from nsrl.models.pack import Group, PackedBatch
from nsrl.models.policy import Policy
from nsrl.models.precision import bytes_held, gradients_in_fp32
from nsrl.models.prompt import Prompt
from nsrl.rollout.native import cuda_free

CAP_CPU, CAP_GPU = 16_384, 65_536  # rows of a micro-batch beyond which nothing is gained
MARGIN = 0.85  # of what is free: allocators round up and fragment


@dataclass(frozen=True)
class Preflight:
    """What was found. Sizes in bytes; rows are token rows of a packed stream."""

    parts: dict[str, int]
    free: int  # on the device before anything of a step was allocated
    bytes_per_row: float
    token_budget: int
    worst_rows: int  # the longest prompt with all of its completions
    seconds: float

    def __str__(self) -> str:
        width = max(map(len, self.parts))
        lines = [f"  {name:<{width}}  {_size(size):>10}" for name, size in self.parts.items()]
        head = (
            f"preflight: worst group {self.worst_rows} rows, {_size(self.bytes_per_row)} each, "
            f"token budget {self.token_budget}, {_size(self.free)} free ({self.seconds:.2f} s)"
        )
        return "\n".join([head, *lines])


def preflight(
    policy: Policy,
    prompt: Prompt,
    *,
    num_generations: int,
    max_completion_length: int,
    prompts_per_step: int,
    banned: Tensor,
    temperature: float = 1.0,
    token_budget: int | None = None,
    reserved: int = 0,
    reference: int = 0,
    free: int | None = None,
) -> Preflight:
    """Run the worst step and choose the token budget (token_budget: given by the user, then only checked).

    prompt: the longest of the data set. reserved: bytes the device must keep for
    others (vLLM's share); reference: bytes of the reference model that will be there too. free: bytes free on the
    device (None: asked). Raises UserError, naming what to lower, when a single completion of it does not fit.
    """
    start = time.perf_counter()
    parameters = list(policy.model.parameters())
    trainable = [p for p in parameters if p.requires_grad]
    free = free_bytes(policy.device) if free is None else free
    cache = cache_bytes(policy, len(prompt.ids), max_completion_length, num_generations, prompts_per_step)
    cache = min(cache, int(0.6 * free))  # the native sampler samples in waves that fit
    held = bytes_held(trainable)
    gradients_in_fp32(trainable)  # as the optimiser will have them
    parts = {
        "weights (there already)": _bytes(parameters),
        **{name: size for name, size in held.items() if size or not name.startswith("fp32")},
        **({"reference model": reference} if reference else {}),
        "sampler's cache": cache,
    }
    if reserved:
        parts["reserved for vLLM"] = reserved
    single = _filled(policy, prompt, 1, max_completion_length, banned)
    whole = _filled(policy, prompt, num_generations, max_completion_length, banned)
    least = _rows(single)
    cap = token_budget or max(least, CAP_CPU if policy.device.type == "cpu" else CAP_GPU)
    advice = (
        f"{_advice(policy)}; the longest prompt ({prompt.name or 'unnamed'}) has {len(prompt.ids)} tokens and a "
        f"completion {max_completion_length}"
    )
    if cap < least:
        raise UserError(
            f"token_budget must be at least {least} for one completion of the longest prompt; got {cap}: {advice}"
        )
    least_cache = cache_bytes(policy, len(prompt.ids), max_completion_length, num_generations, 1)
    room = MARGIN * free - reserved - reference - sum(held.values())
    left = room + held["gradients"]  # while it samples
    if least_cache > left:
        raise UserError(
            f"preflight: the sampler's cache of one group needs {_size(least_cache)} and {_size(max(left, 0))} are "
            f"left for it; "
            f"lower num_generations, or {advice}"
        )
    try:
        one_rows, one = _measure(policy, [single], cap, banned, temperature)
        rough = int(room / max(one / one_rows, 1.0))
        if rough < least:
            raise UserError(f"preflight: {_size(one)} of activations and only {_size(max(room, 0))} of room; {advice}")
        many_rows, many = _measure(policy, [whole], min(cap, max(rough, least)), banned, temperature)
    except torch.OutOfMemoryError:
        raise UserError(
            f"preflight: the device is out of memory in the worst step ({_size(free)} were free); {advice}"
        ) from None
    finally:
        for p in trainable:
            p.grad = None
    per_row = max(many / many_rows, 1.0)
    budget = token_budget or max(least, min(cap, int(room / per_row)))
    parts["activations of a full micro-batch"] = int(per_row * budget)
    return Preflight(parts, free, per_row, budget, _rows(whole), time.perf_counter() - start)


def free_bytes(device: torch.device) -> int:
    """Free memory of the device; on a CPU what the kernel calls available."""
    if device.type == "cuda":
        return cuda_free(device)
    try:
        with open("/proc/meminfo") as file:
            fields = dict(line.split(":", 1) for line in file)
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):  # not Linux: half of what the machine has
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def cache_bytes(policy: Policy, prompt: int, completion: int, generations: int, prompts: int, most: int = 512) -> int:
    """Keys and values of one wave of the native sampler: each prompt once, each completion behind it.

    most: completions sampled together (NativeSampler's max_sequences).
    """
    together = min(prompts, max(1, most // generations))
    return policy.family.cache_row_bytes * together * (prompt + generations * completion)


def _filled(policy: Policy, prompt: Prompt, completions: int, length: int, banned: Tensor) -> Group:
    """The prompt with completions of the full length, of tokens that may occur."""
    allowed = torch.ones(policy.family.vocabulary, dtype=torch.bool)
    allowed[banned.cpu()] = False
    tokens = allowed.nonzero()[:, 0]
    rows = [tokens[(torch.arange(length) * 31 + 17 * i) % len(tokens)].tolist() for i in range(completions)]
    return Group(prompt, rows)


def _rows(group: Group) -> int:
    return group.tokens - len(group.completions)


def _measure(
    policy: Policy, groups: Sequence[Group], budget: int, banned: Tensor, temperature: float
) -> tuple[int, int]:
    """(rows, bytes) of the largest micro-batch through forward and backward: peak on a GPU, saved tensors on a CPU."""
    largest = (0, 0)
    for batch in policy.pack(groups, budget):
        if policy.device.type == "cuda":
            torch.cuda.synchronize(policy.device)
            before = torch.cuda.memory_allocated(policy.device)
            torch.cuda.reset_peak_memory_stats(policy.device)
            _forward_backward(policy, batch, banned, temperature)
            used = torch.cuda.max_memory_allocated(policy.device) - before
        else:
            used = _saved(policy, batch, banned, temperature)
        largest = max(largest, (batch.tokens, used))
    return largest


def _forward_backward(policy: Policy, batch: PackedBatch, banned: Tensor, temperature: float) -> None:
    scored = policy.score(batch, temperature=temperature, banned=banned, dropout=("preflight",))
    if scored.logp.requires_grad:
        scored.logp.sum().backward()


def _saved(policy: Policy, batch: PackedBatch, banned: Tensor, temperature: float) -> int:
    """Bytes autograd keeps for the backward, each storage once, weights left out."""
    weights = {p.untyped_storage().data_ptr() for p in policy.model.parameters()}
    kept: dict[int, int] = {}

    def count(tensor: Tensor) -> Any:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        scored = policy.score(batch, temperature=temperature, banned=banned, dropout=("preflight",))
    if scored.logp.requires_grad:
        scored.logp.sum().backward()
    return sum(kept.values())


def _advice(policy: Policy) -> str:
    what = ["max_completion_length", "data.max_prompt_length", "model.max_pixels"]
    more = "" if policy.checkpointing else ", or set model.gradient_checkpointing"
    return f"lower {', '.join(what[:-1])} or {what[-1]}{more}"


def _bytes(tensors: Sequence[Tensor]) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError
