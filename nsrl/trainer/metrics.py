"""What a step measured goes into `metrics.jsonl`, a progress bar with an estimate, and optional further sinks.

One line of JSON per optimiser step, appended and flushed, so a killed run keeps what it had; a resumed run cuts the
file back to the step it resumes from. Keys are TRL's where TRL has one (docs/metrics.md).
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nsrl.errors import UserError

# Keys whose values depend on the clock or the machine: everything else is the same in two runs of one seed.
CLOCK_KEYS = (
    "timing_s/",
    "perf/",
    "engine/latency",
    "engine/queue",
    "engine/cache",
    "engine/restarts",
    "engine/stalls",
    "engine/overlap",
    "check/",
    "gpu/",
)


class Timer:
    """Adds up wall seconds by stage. `with timer("rollout"): ...`; `take()` hands them over and starts anew.

    wait: returns when the device has done all it was given; called where a stage ends, and nowhere else, so that work
    counts in the stage that asked for it. It costs the start of the next stage its head start: some ten microseconds.
    """

    def __init__(self, wait: Callable[[], object] = lambda: None) -> None:
        self.seconds: dict[str, float] = {}
        self.wait = wait

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.wait()
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start

    def take(self) -> dict[str, float]:
        """Seconds by stage since this was last called, under `timing_s/STAGE`."""
        seconds, self.seconds = self.seconds, {}
        return {f"timing_s/{stage}": value for stage, value in seconds.items()}


class MetricsLog:
    """`metrics.jsonl` and its sinks.

    run_dir: the run folder; writes: False on all ranks but the main one; report_to: `tensorboard` and `wandb`, each a
    clear error when its package is absent.
    """

    def __init__(
        self, run_dir: Path, report_to: list[str], config: dict[str, Any] | None = None, writes: bool = True
    ) -> None:
        self.path = run_dir / "metrics.jsonl"
        self.writes = writes
        self._sinks = [_sink(name, run_dir, config or {}) for name in report_to] if writes else []

    def write(self, phase: str, step: int, values: dict[str, float]) -> None:
        """Append a step's line and hand its values to every sink; nothing on ranks that do not write."""
        if not self.writes:
            return
        row = as_row(phase, step, values)
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        for sink in self._sinks:
            sink(phase, step, values)

    def rows(self) -> list[dict[str, Any]]:
        """All lines of the file, in order; [] before the first."""
        if not self.path.exists():
            return []
        return [json.loads(line) for line in self.path.read_text().splitlines()]


def as_row(phase: str, step: int, values: dict[str, float]) -> dict[str, Any]:
    """A step's line of metrics.jsonl: what is not finite is null."""
    return {"phase": phase, "step": step, **{k: _plain(v) for k, v in values.items()}}


def cut_back(path: Path, phase: str, step: int, phases: tuple[str, ...]) -> None:
    """Drop the lines of a metrics.jsonl that are of later phases, or of this one after `step`: they are computed
    again."""
    if not path.exists():
        return
    order = {name: index for index, name in enumerate(phases)}
    kept = []
    for line in path.read_text().splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue  # the line a kill cut off
        if (order[row["phase"]], row["step"]) <= (order[phase], step):
            kept.append(line)
    working = path.with_suffix(".tmp")
    working.write_text("".join(line + "\n" for line in kept))
    working.replace(path)


class Progress:
    """A bar with an estimate on a terminal; elsewhere a plain line every so many steps."""

    def __init__(self, title: str, total: int, done: int = 0, every: int = 10) -> None:
        self.title, self.total, self.done, self.every = title, total, done, every
        self.begun, self.start = done, time.perf_counter()
        self._bar: Any = None

    def __enter__(self) -> Progress:
        if sys.stdout.isatty():
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
            from rich.progress import Progress as RichProgress

            self._bar = RichProgress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"),
            )
            self._bar.start()
            self._task = self._bar.add_task(self.title, total=self.total, completed=self.done, note="")
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def step(self, note: str = "", count: int = 1) -> None:
        """`count` further ones are done; note: what the line or the bar shows behind the time."""
        before, self.done = self.done, self.done + count
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done, note=note)
        elif before // self.every != self.done // self.every or self.done >= self.total:
            spent = time.perf_counter() - self.start
            left = spent / max(1, self.done - self.begun) * (self.total - self.done)
            print(
                f"{self.title} {self.done}/{self.total}  {clock(spent)} spent, {clock(left)} left  {note}", flush=True
            )


def clock(seconds: float) -> str:
    """`12:05`, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def _plain(value: Any) -> Any:
    value = float(value) if not isinstance(value, int | str) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _sink(name: str, run_dir: Path, config: dict[str, Any]) -> Any:
    if name == "tensorboard":
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise UserError(
                "report_to tensorboard needs the package tensorboard: pip install 'nsrl[logging]'"
            ) from None
        writer = SummaryWriter(str(run_dir / "tensorboard"))

        def to_tensorboard(phase: str, step: int, values: dict[str, float]) -> None:
            for key, value in values.items():
                writer.add_scalar(f"{phase}/{key}", value, step)

        return to_tensorboard
    if name == "wandb":
        try:
            import wandb
        except ImportError:
            raise UserError("report_to wandb needs the package wandb: pip install 'nsrl[logging]'") from None
        run = wandb.init(project="nsrl", name=run_dir.name, config=config, dir=str(run_dir))

        def to_wandb(phase: str, step: int, values: dict[str, float]) -> None:
            run.log({f"{phase}/{key}": value for key, value in values.items()} | {f"{phase}/step": step})

        return to_wandb
    raise UserError(f"report_to must name tensorboard or wandb; got {name!r}")
