"""How busy this machine is, for tests whose bounds hold on a quiet one."""

import time


def slowdown(cpu_s: float = 0.1) -> float:
    """Wall seconds per CPU second that one process gets now, at least 1."""
    started, end = time.perf_counter(), time.process_time() + cpu_s
    while time.process_time() < end:
        pass
    return max(1.0, (time.perf_counter() - started) / cpu_s)
