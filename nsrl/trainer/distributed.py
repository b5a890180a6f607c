"""`World` is several processes in one run (`torchrun --nproc-per-node N -m nsrl.train`): who does what, and what is
added up.

Every rank takes the same problems from the same stream and computes its share; what it sampled is exchanged, so that
rewards, advantages and metrics are those of the whole batch on every rank, as they would be in one process. Completions
are then dealt out again by length and gradients added up. Losses are divided by the counts of the whole step, so a sum
is all it takes, and a rank without a live group takes part with nothing.

With one process (`ALONE`) everything here is a no-op. FSDP2 is `nsrl/models/fsdp.py`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from nsrl.config import launched
from nsrl.errors import UserError
from nsrl.trainer.watchdog import Watchdog

# Of a collective: the longest that ranks may be apart. A dead rank is found by the watchdog.
TIMEOUT = timedelta(minutes=60)
BUCKET = 1 << 26  # gradient elements reduced at once

T = TypeVar("T")
R = TypeVar("R")


@dataclass(eq=False)
class World:
    """The processes of a run as one of them sees them. Every method but `share` must be called by all ranks alike."""

    rank: int = 0
    size: int = 1
    sharded: bool = False  # FSDP2 reduces gradients itself, and every forward is a collective
    _gloo: Any = None  # gloo: Python objects, on a CPU whatever the model's device

    @property
    def is_main(self) -> bool:
        """Whether this rank writes the run folder and prints."""
        return self.rank == 0

    def share(self, items: Sequence[T]) -> list[T]:
        """This rank's part, dealt out one by one; `gather_in_order` puts results back into the order of the items."""
        return list(items[self.rank :: self.size])

    def gather_in_order(self, part: list[R]) -> list[R]:
        """The results of all ranks for all items, from each rank's results for its share. Own objects stay the same
        ones."""
        if self.size == 1:
            return part
        parts = self.gather(part)
        parts[self.rank] = part
        whole: list[Any] = [None] * sum(map(len, parts))
        for rank, values in enumerate(parts):
            whole[rank :: self.size] = values
        return whole

    def gather(self, value: T) -> list[T]:
        """The value of every rank, in order of rank."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value, group=self._gloo)
        return values

    def from_main(self, function: Callable[[], T]) -> T:
        """What `function` returns on the main rank; the others do not call it."""
        if self.size == 1:
            return function()
        box = [function() if self.is_main else None]
        dist.broadcast_object_list(box, src=0, group=self._gloo)
        return box[0]  # type: ignore[return-value]

    def barrier(self) -> None:
        """Wait for all ranks."""
        if self.size > 1:
            dist.barrier(group=self._gloo)

    def all_reduce_sum(self, *values: float) -> tuple[float, ...]:
        """Sums over the ranks (exact for counts below 2^53)."""
        return tuple(map(sum, zip(*self.gather(values))))

    def all_gather_rows(self, rows: Tensor) -> Tensor:
        """The rows (n, …) of all ranks one after the other; n may differ, and be 0."""
        if self.size == 1:
            return rows
        return torch.cat([part.to(rows.device) for part in self.gather(rows.detach().cpu())])

    def partition_by_size(self, sizes: Sequence[int]) -> list[int]:
        """Indices of the items this rank takes, so that all ranks carry about the same size. Every rank gets the same
        answer."""
        bins: list[list[int]] = [[] for _ in range(self.size)]
        loads = [0] * self.size
        for index in sorted(range(len(sizes)), key=lambda i: (-sizes[i], i)):
            rank = loads.index(min(loads))
            bins[rank].append(index)
            loads[rank] += sizes[index]
        return sorted(bins[self.rank])

    def idle_rounds(self, batches: int) -> int:
        """Micro-batches this rank must run without work: where a forward is a collective, all ranks run equally many.

        Ask before the first of them: asking is a collective too.
        """
        return max(self.gather(batches)) - batches if self.sharded else 0

    @property
    def loss_scale(self) -> float:
        """What a loss is multiplied by before its backward: FSDP2 averages gradients over ranks, and a sum is
        wanted."""
        return float(self.size) if self.sharded else 1.0

    def sum_gradients(self, parameters: Sequence[torch.Tensor]) -> None:
        """Add up the gradients of all ranks, in at least fp32.

        A parameter without a gradient on any rank keeps none (the optimiser leaves it alone, as in one process); one
        that has a gradient somewhere has it everywhere.
        """
        if self.size == 1 or self.sharded or not parameters:
            return
        present = torch.tensor([float(p.grad is not None) for p in parameters], device=parameters[0].device)
        dist.all_reduce(present)
        wanted = [p for p, anywhere in zip(parameters, present.tolist()) if anywhere]
        for bucket in _buckets(wanted):
            kind = torch.promote_types(bucket[0].dtype, torch.float32)
            flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).to(kind).flatten() for p in bucket])
            dist.all_reduce(flat)
            for p, part in zip(bucket, flat.split([p.numel() for p in bucket])):
                p.grad = part.view_as(p).to(p.dtype)

    def require_same(self, what: str, value: Any) -> None:
        """Raise `UserError` when the ranks do not hold the same value: they have drifted apart and no number is
        right."""
        values = self.gather(value)
        if any(other != values[0] for other in values):
            odd = next(rank for rank, other in enumerate(values) if other != values[0])
            raise UserError(f"{what} of rank {odd} differ from rank 0's ({values[odd]} and {values[0]})")


ALONE = World()


def _buckets(parameters: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    bucket: list[Tensor] = []
    size = 0
    for p in parameters:
        if bucket and (p.dtype != bucket[0].dtype or size + p.numel() > BUCKET):
            yield bucket
            bucket, size = [], 0
        bucket.append(p)
        size += p.numel()
    if bucket:
        yield bucket


@contextlib.contextmanager
def join() -> Iterator[World]:
    """Join the processes that a launcher started (torchrun, or RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT set).

    Alone when there is no launcher. In a run of several, this rank's GPU is made the current one, cores are shared out,
    only rank 0 prints, and whatever ends one rank ends all: an error leaves here by ending the process.
    """
    if launched()[1] == 1:
        yield ALONE
        return
    store, rank, size = next(dist.rendezvous("env://", timeout=timedelta(minutes=10)))  # pyright: ignore
    watchdog = Watchdog(dist.PrefixStore("nsrl", store.clone()), rank, size)  # pyright: ignore
    try:
        watchdog.start()
    except UserError as error:
        watchdog.fail(str(error), 2)
    backend, device = "gloo", None
    if torch.cuda.is_available():
        torch.cuda.set_device(watchdog.local_rank % torch.cuda.device_count())
        backend, device = "cpu:gloo,cuda:nccl", torch.device("cuda", torch.cuda.current_device())
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // watchdog.local_size))
    out = sys.stdout
    try:
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=TIMEOUT, device_id=device)
        world = World(rank, size, _gloo=dist.new_group(backend="gloo", timeout=TIMEOUT))
        if rank:
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115  (for as long as the run lasts)
            logging.disable(logging.WARNING)  # they would be said once per rank
        yield world
        watchdog.done()
        if dist.is_initialized():  # vLLM ends all groups of a process when its engine is closed
            world.barrier()  # nobody leaves while another still works: rank 0 may be writing the report
    except UserError as error:
        watchdog.fail(str(error), 2)
    except KeyboardInterrupt:
        watchdog.fail("interrupted; --resume continues from the latest checkpoint", 130)
    except BaseException as error:
        sentence = watchdog.explain(5.0) if isinstance(error, RuntimeError) else None  # a collective broke: who ended?
        if sentence is not None:
            watchdog.fail(sentence, 1)
        watchdog.fail(f"rank {rank} ended with {type(error).__name__}; the others stop", 1, traceback.format_exc())
        raise
    finally:
        sys.stdout = out
        logging.disable(logging.NOTSET)
    watchdog.stop()
    if dist.is_initialized():
        dist.destroy_process_group()
