"""`python -m nsrl.experiment` asks which language a model should think in: arms × points × seeds, one table.

`nsrl experiment recipe=paper model.name=FOLDER data.path=VIRL39K` asks a checkpoint; without a word, the small model.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nsrl.config import ExperimentConfig, TrainConfig, command, parse
from nsrl.config.experiment import require_free, split
from nsrl.config.keys import flat, keys
from nsrl.errors import UserError
from nsrl.experiments.settings import require_same, settings, settings_in
from nsrl.report.records import EXPERIMENT
from nsrl.trainer.folder import LOCK, disk_watched, locked, write

PROGRAM = "python -m nsrl.experiment"


def main(argv: list[str]) -> int:
    """Run what is missing of the experiment, and write its table, paired differences and page. Returns 0; raises
    `UserError` for what cannot work, before anything is run."""
    own, of_runs = split(argv)
    if wish := next((word for word in own if word.lstrip("-").startswith("print_config")), None):
        own.remove(wish)
    config = parse(ExperimentConfig, own, PROGRAM)
    if wish:
        _print(config, wish)
    runs = parse(TrainConfig, of_runs, "python -m nsrl.train")
    require_free(runs)

    from nsrl.experiments import results
    from nsrl.experiments.checkpoint import OfACheckpoint
    from nsrl.experiments.counting import counter
    from nsrl.experiments.jobs import run
    from nsrl.experiments.small import OfTheSmallModel

    together, threads = _processes(config, runs)
    plan = (OfTheSmallModel if runs.model.name == "small" else OfACheckpoint)(config, runs, config.place, threads)
    plan.require_sound()
    counter = counter(config.tokenizer)
    parts = plan.all_jobs()
    with _held(config.place, settings(config, runs)):
        print(f"{config.place}: {len(config.arms)} arms, {len(config.seeds)} seeds, {len(parts)} parts", flush=True)
        run(parts, together, threads)
        results.write_all(config, plan, counter)
    return 0


def _processes(config: ExperimentConfig, runs: TrainConfig) -> tuple[int, int | None]:
    """(runs at a time, CPU threads of each; None: as a run takes them)."""
    import torch

    if torch.cuda.is_available() and runs.model.device != "cpu":
        return config.jobs or 1, runs.threads
    cores = len(os.sched_getaffinity(0))
    together = config.jobs or cores
    # sums of other threads are rounded otherwise, so what the small model comes to would be another's on each machine
    return together, runs.threads or (1 if runs.model.name == "small" else max(1, cores // together))


@contextmanager
def _held(folder: Path, now: dict[str, Any]) -> Iterator[None]:
    """The folder while nobody else writes to it; what it is of stands in it. Raises `UserError` where that is
    something else."""
    import yaml

    kept, was = folder / EXPERIMENT, None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        was = settings_in(kept) if kept.is_file() else None
        if was is None and any(file.name != LOCK for file in folder.iterdir()):
            raise UserError(f"folder must be of an experiment, or empty; {str(folder)!r} holds something else")
    except OSError as error:
        raise UserError(f"folder must be one that can be written; {str(folder)!r}: {error.strerror}") from None
    with locked(folder, "experiment"):
        if was is not None:
            require_same(folder, was, now)
        with disk_watched(folder, "what is done stays, and the same command goes on"):
            write(kept, yaml.safe_dump(now, sort_keys=False, allow_unicode=True))
            yield


def _print(config: ExperimentConfig, wish: str) -> None:
    """The experiment's own keys as a recipe has them; those of its runs follow."""
    import yaml

    known, everything = keys(ExperimentConfig), not wish.endswith("skip_default")
    own = {name: value for name, value in flat(config).items() if everything or value != known[name].default}
    own.pop("recipe", None)  # the runs say it
    print(yaml.safe_dump({"experiment": own}, sort_keys=False), end="")


if __name__ == "__main__":
    command(main)
