"""What the folder of an experiment is of, and with what it may go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nsrl.config import ExperimentConfig, TrainConfig
from nsrl.config.acts import GRPO
from nsrl.config.experiment import GROWING, ITS_OWN
from nsrl.config.keys import flat
from nsrl.errors import UserError

FREE = ("folder", "recipe", "against", "tokenizer", "jobs")  # of no run: they may change at any time


def settings(config: ExperimentConfig, runs: TrainConfig) -> dict[str, Any]:
    """What the folder of an experiment is of, by key; those of the runs as `runs.KEY`."""
    own = {name: value for name, value in flat(config).items() if name not in FREE}
    given = {*ITS_OWN, "recipe"} - {"warm_start.steps"}
    return own | {f"runs.{name}": value for name, value in flat(runs).items() if name not in given}


def require_same(folder: Path, was: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise `UserError` where a folder that was begun with settings `was` cannot go on with `now`."""
    if "cold" in now["points"] and "grpo" in was["points"] and not _taught(was):
        raise UserError(
            f"points was {was['points']} in {str(folder)!r} and is {now['points']}; GRPO began there without a cold "
            f"start: name another folder"
        )
    for name in now.keys() & was.keys():
        before, after = was[name], now[name]
        if (name in GROWING and set(before) <= set(after)) or _acted_nowhere(name, was):
            continue
        if before != after:
            more = "it may grow, and not lose any" if name in GROWING else "its runs were made with it"
            raise UserError(
                f"{name.removeprefix('runs.')} was {before} in {str(folder)!r} and is {after}; {more}: name another "
                f"folder"
            )


def _taught(was: dict[str, Any]) -> bool:
    """Whether runs of these settings have a cold start: those of the small model always do."""
    return "cold" in was["points"] or was.get("runs.model.name") == "small"


def _acted_nowhere(name: str, was: dict[str, Any]) -> bool:
    """Whether a key is of a point, or of benchmarks, that settings `was` had none of: nothing was made with it."""
    if name == "benchmark_size":
        return not was["benchmarks"]
    if name in ("cold_steps", "harvest_size", "harvest_samples") or name.startswith("runs.warm_start."):
        return not _taught(was)
    return name.removeprefix("runs.") in ("max_steps", *GRPO) and "grpo" not in was["points"]


def settings_in(file: Path) -> dict[str, Any] | None:
    """What the folder is of; None where the file says none of that, so that it is somebody else's."""
    import yaml

    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, yaml.YAMLError):
        return None
    lists = isinstance(found, dict) and [found.get(name) for name in GROWING]
    return found if lists and all(isinstance(one, list) for one in lists) else None
