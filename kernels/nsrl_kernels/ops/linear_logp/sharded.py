"""Combining one row's sums over vocabulary shards: two SUM all-reduces per block of rows, any scale of logits.

Knows nothing of how a shard computed its sums. With a group of one it does nothing.
"""

import torch
import torch.distributed as dist

from ..._rows import RowStats


def resolve_group(name: str):
    """The process group of this name, or None for a head that is whole. (Custom ops carry the name, not the object.)"""
    if not name:
        return None
    from torch.distributed import distributed_c10d

    return distributed_c10d._resolve_process_group(name)  # pyright: ignore


def merge(stats: RowStats, d_rows, group):
    """All-reduce 1: every shard's level and sums (each in its own slot) with the target's logit; scalars per row only.

    Returns the global RowStats and this shard's D [n, H] (or None) moved to the global level, ready for all-reduce 2.
    """
    if group is None:
        return stats, d_rows
    rank, world = dist.get_rank(group), dist.get_world_size(group)
    slots = stats.level.new_zeros(world + 1, 4, stats.level.shape[0])
    slots[rank] = torch.stack([stats.level, stats.total, stats.first, stats.spare])
    banned = torch.isneginf(stats.target)
    slots[world, :3] = torch.stack([stats.target.masked_fill(banned, 0), banned.double(), stats.slope - 1])
    dist.all_reduce(slots, group=group)
    level = slots[:world, 0].amax(0)
    delta = slots[:world, 0] - level
    factor = delta.exp()
    total = (slots[:world, 1] * factor).sum(0)
    first = ((slots[:world, 2] + delta * slots[:world, 1]) * factor).sum(0)
    spare = (slots[:world, 3] * factor).sum(0)
    target = slots[world, 0].masked_fill(slots[world, 1] > 0, float("-inf"))
    if d_rows is not None:
        d_rows = d_rows * factor[rank][:, None].to(d_rows.dtype)
    return RowStats(level, total, first, target, slots[world, 2] + 1, spare), d_rows


def sum_rows(rows, group):
    """All-reduce 2: the shards' rows [n, H]. In place."""
    if group is not None:
        dist.all_reduce(rows, group=group)
    return rows
