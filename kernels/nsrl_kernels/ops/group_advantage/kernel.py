"""Triton kernel of `group_advantage`: one program per group of consecutive rows. Knows nothing of ids or lists."""

import triton
import triton.language as tl


@triton.jit
def _combined(rewards, weights, rows, keep, n_components):
    """Weighted sum of the components that apply; NaN where none does, and outside `keep`."""
    total = tl.zeros_like(rows).to(tl.float32)
    seen = tl.zeros_like(rows).to(tl.float32)
    for k in range(n_components):
        x = tl.load(rewards + rows * n_components + k, mask=keep, other=float("nan"))
        there = x == x
        total += tl.where(there, x, 0.0) * tl.load(weights + k)
        seen += tl.where(there, 1.0, 0.0)
    return tl.where(seen > 0, total, float("nan"))


@triton.jit
def _moments(rewards, weights, start, end, n_components, BLOCK: tl.constexpr):
    """(scorable rows, their mean, sum of squares about it) of rows start:end."""
    n = tl.zeros([BLOCK], dtype=tl.float32)
    total = tl.zeros([BLOCK], dtype=tl.float32)
    for r0 in range(start, end, BLOCK):
        rows = r0 + tl.arange(0, BLOCK).to(tl.int64)
        x = _combined(rewards, weights, rows, rows < end, n_components)
        n += tl.where(x == x, 1.0, 0.0)
        total += tl.where(x == x, x, 0.0)
    count = tl.sum(n, 0)
    mean = tl.sum(total, 0) / tl.maximum(count, 1.0)
    square = tl.zeros([BLOCK], dtype=tl.float32)
    for r0 in range(start, end, BLOCK):
        rows = r0 + tl.arange(0, BLOCK).to(tl.int64)
        x = _combined(rewards, weights, rows, rows < end, n_components)
        square += tl.where(x == x, (x - mean) * (x - mean), 0.0)
    return count, mean, tl.sum(square, 0)


@triton.jit
def group_kernel(
    rewards, weights, offsets, advantages, reward, mean_out, std_out, count_out, live_out, n_rows, n_components,
    epsilon,
    MODE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The statistics and advantages of one group; MODE as in op.py. Every sum runs in a fixed order."""
    group = tl.program_id(0)
    start = tl.load(offsets + group).to(tl.int64)
    end = tl.load(offsets + group + 1).to(tl.int64)
    scale_std = 0.0
    if MODE == "batch_std":  # each program sums the whole batch: rows are few, and the order is the same for all
        batch_n, _, square = _moments(rewards, weights, 0, n_rows, n_components, BLOCK)
        scale_std = tl.sqrt(square / tl.maximum(batch_n - 1.0, 1.0))
    count, mean, square = _moments(rewards, weights, start, end, n_components, BLOCK)
    low = tl.full([BLOCK], float("inf"), dtype=tl.float32)
    high = tl.full([BLOCK], float("-inf"), dtype=tl.float32)
    for r0 in range(start, end, BLOCK):
        rows = r0 + tl.arange(0, BLOCK)
        x = _combined(rewards, weights, rows, rows < end, n_components)
        tl.store(reward + rows, x, mask=rows < end)
        low = tl.minimum(low, tl.where(x == x, x, float("inf")))
        high = tl.maximum(high, tl.where(x == x, x, float("-inf")))
    spread = tl.max(high, 0) > tl.min(low, 0)
    std = tl.where(spread, tl.sqrt(square / tl.maximum(count - 1.0, 1.0)), 0.0)
    alive = tl.zeros([BLOCK], dtype=tl.float32)
    for r0 in range(start, end, BLOCK):
        rows = r0 + tl.arange(0, BLOCK)
        x = _combined(rewards, weights, rows, rows < end, n_components)
        centred = tl.where(x == x, tl.where(spread, x - mean, 0.0), 0.0)
        if MODE == "grpo":
            a = centred / (std + epsilon)
        elif MODE == "no_std":
            a = centred
        elif MODE == "batch_std":
            a = centred / (scale_std + epsilon)
        elif MODE == "rloo":
            a = centred * (count / tl.maximum(count - 1.0, 1.0))
        else:
            a = tl.where(x == x, x, 0.0)
        tl.store(advantages + rows, a, mask=rows < end)
        alive += tl.where(a != 0.0, 1.0, 0.0)
    tl.store(mean_out + group, mean)
    tl.store(std_out + group, std)
    tl.store(count_out + group, count.to(tl.int64))
    tl.store(live_out + group, (tl.sum(alive, 0) > 0).to(tl.int8))
