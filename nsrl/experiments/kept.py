"""`python -m nsrl.experiments.kept RUN FOLDER ASKED`: the checkpoint that a cold start ended with stays in FOLDER,
whatever GRPO leaves of RUN, and FOLDER.yaml says to `nsrl eval` which model that is.

Where the run has no checkpoint, for it learned nothing, that is the model that ASKED names (a file of keys of `nsrl
eval`), asked as there.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import yaml

from nsrl.config import command
from nsrl.trainer.folder import beside, write

OPTIMISER = "trainer_state.pt"  # nothing goes on from here


def main(argv: list[str]) -> int:
    """Keep it, and say so. Returns 0."""
    run, folder, asked = map(Path, argv)
    if (run / "latest").exists():
        working = beside(folder)
        shutil.copytree(run / "latest", working, ignore=shutil.ignore_patterns(OPTIMISER), copy_function=_linked)
        if folder.exists():  # of a start that was killed before it said so
            shutil.rmtree(folder)
        os.replace(working, folder)
        text = yaml.safe_dump({"model": str(folder)})
    else:
        text = asked.read_text(encoding="utf-8")
    write(folder.with_name(f"{folder.name}.yaml"), text)
    return 0


def _linked(source: str, target: str) -> None:
    """A second name for a file that is never changed, which takes no room; a copy where the disk has no such thing."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


if __name__ == "__main__":
    command(main)
