"""This says what may change when a run is continued: each key is honoured, or refused with its reason. No torch: a
command line is refused before it is imported.

The configuration that a run has now stands in config.yaml; those it had before in config-1.yaml, config-2.yaml, …
"""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

from nsrl.config import TrainConfig, parse, run_path, to_yaml
from nsrl.config.keys import flat
from nsrl.errors import UserError
from nsrl.trainer.folder import CONFIG, write
from nsrl.userfiles import expanded

OF_THE_COMMAND = ("output_dir", "resume", "resume_from_checkpoint")  # of one start, not of the run
FIXED = {
    "recipe": "it only says what a run begins with",
    "seed": "everything drawn so far came from it",
    "model": "what was learned belongs to it",
    "lora": "what was learned belongs to it",
    "train": "the optimiser's state is of what learns",
    "data.source": "the evaluation before GRPO was on its held-out problems",
    "data.subset": "the evaluation before GRPO was on its held-out problems",
    "data.columns": "the evaluation before GRPO was on its held-out problems",
    "data.split": "the evaluation before GRPO was on its held-out problems",
    "data.level": "the evaluation before GRPO was on its held-out problems",
    "data.max_prompt_length": "the evaluation before GRPO was on its held-out problems",
    "data.answered": "the evaluation before GRPO was on its held-out problems",
    "draw": "what was drawn so far came from it",
    "verifiers": "the evaluation before GRPO was made with it",
    "prompt": "the evaluation before GRPO was made with it",
    "turns": "the evaluation before GRPO was made with it",
    "warm_start": "its steps are taken, or half taken",
    "demonstrations": "its steps are taken, or half taken",
    "stages": "they are done, or half done",
}
FREE = (
    "model.device",
    "model.dtype",
    "model.attention",
    "model.gradient_checkpointing",
    "model.liger",
)  # how, not what
BUDGET = (
    "beta",
    "num_generations",
    "max_completion_length",
    "prompts_per_step",
    "temperature",
    "rollout",
    "vllm",
    *FREE,
)


def continued(config: TrainConfig, argv: list[str], program: str) -> TrainConfig:
    """The configuration a run is continued with: its own, and what the command line changes of it.

    The run is the one in output_dir, or the one around `resume_from_checkpoint`, whose folder is also the default
    output_dir then. Raises `UserError` where there is none, and for a key that cannot change any more.
    """
    home, given = origin(config), config.resume_from_checkpoint
    file = home / CONFIG
    if not file.is_file():
        if given is None:
            raise UserError(f"resume: output_dir {str(home)!r} holds no run to continue (it has no {CONFIG})")
        raise UserError(
            f"resume_from_checkpoint must be a checkpoint in its run folder ({CONFIG}, eval/ and reference/ beside "
            f"it); "
            f"got {given!r} (model.name={given} starts a new run from its weights)"
        )
    merged = parse(TrainConfig, argv, program, begun=file)
    merged.output_dir = config.output_dir or str(home)
    merged.resume, merged.resume_from_checkpoint = config.resume, given
    refuse(differences(own(file), merged))
    return merged


def origin(config: TrainConfig) -> Path:
    """The folder of the run that is continued."""
    given = config.resume_from_checkpoint
    return run_path(config) if given is None else expanded(given).resolve().parent


def own(file: Path) -> TrainConfig:
    """The configuration in a config.yaml."""
    return parse(TrainConfig, [], "nsrl", begun=file)


def differences(old: TrainConfig, new: TrainConfig) -> dict[str, tuple[Any, Any]]:
    """Dotted key to (old, new) value, for the keys of a run that differ."""
    before, after = flat(old), flat(new)
    keys = [key for key in after if key not in OF_THE_COMMAND]
    return {key: (before[key], after[key]) for key in keys if before[key] != after[key]}


def refuse(changed: dict[str, tuple[Any, Any]]) -> None:
    """Raise `UserError` for the first key that a run cannot change any more."""
    for key, (old, new) in changed.items():
        rule = next((name for name in FIXED if f"{key}.".startswith(f"{name}.")), None)
        if rule is not None and key not in FREE:
            raise UserError(
                f"{key} cannot change when a run is continued: {FIXED[rule]}; the run has {old!r}, got {new!r}"
            )
        if key == "data.eval_size" and new > old:
            raise UserError(f"data.eval_size cannot grow when a run is continued (further problems may have been "
                            f"trained on); "
                            f"the run has {old}, got {new}; fewer are possible")  # fmt: skip
        if key == "extra_supervised_steps" and not (old and new):
            raise UserError(
                f"extra_supervised_steps cannot be turned on or off when a run is continued; the run has {old}, got "
                f"{new}"
            )


def needs_new_budget(changed: dict[str, tuple[Any, Any]]) -> bool:
    """Whether the preflight was of other steps than these."""
    return any(f"{key}.".startswith(f"{name}.") for key in changed for name in BUDGET)


def plain(config: TrainConfig) -> TrainConfig:
    """The configuration of the run, without what concerns one start of it alone."""
    return dataclasses.replace(config, resume=False, resume_from_checkpoint=None)


def record(folder: Path, config: TrainConfig, changed: dict[str, tuple[Any, Any]], where: str) -> None:
    """Write config.yaml anew if keys changed, with what changed at its top; the former one is kept beside it."""
    file = folder / CONFIG
    if file.is_file():
        if not changed:
            return
        number = 1 + sum(1 for _ in folder.glob("config-*.yaml"))
        shutil.copyfile(file, folder / f"config-{number}.yaml")
    lines = [
        f"# continued from {where}\n",
        *(f"#   {key}: {old!r} -> {new!r}\n" for key, (old, new) in changed.items()),
    ]
    write(file, "".join(lines) + to_yaml(plain(config)))
