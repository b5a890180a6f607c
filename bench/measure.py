"""Time and memory of one call, on a GPU or a CPU. Knows nothing of what it measures."""

import time

import torch


def milliseconds(call, *, device: str, budget_ms: float = 300.0) -> float:
    """Median time of a call. On a GPU triton's do_bench, which overwrites L2 between calls; on a CPU the wall clock."""
    if device == "cuda":
        from triton.testing import do_bench

        return float(do_bench(call, warmup=round(budget_ms / 4), rep=round(budget_ms), return_mode="median"))  # pyright: ignore
    call()
    times, end = [], time.perf_counter() + budget_ms / 1000
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2] * 1000


def extra_bytes(call, *, device: str) -> int | None:
    """Bytes allocated during a call above what was there before it, at the highest; None on a CPU."""
    if device != "cuda":
        return None
    call()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def reclaim() -> None:
    """Gives cached memory back between contenders, so that one's appetite does not starve the next."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
