"""`python -m nsrl.train` trains a vision-language model with GRPO to think in short programs. See --help.

On several GPUs: `torchrun --nproc-per-node N -m nsrl.train`, with the same arguments.
"""

from __future__ import annotations

import contextlib
import time

from nsrl.config import TrainConfig, command, launched, parse, require_sound, run_path
from nsrl.errors import UserError, sigterm_raises
from nsrl.trainer.changes import continued
from nsrl.trainer.folder import RunFolder

PROGRAM = "python -m nsrl.train"


def terminable() -> contextlib.AbstractContextManager[None]:
    """SIGTERM ends the run as an exception does. The processes of a launcher have their own answer (`watchdog.py`)."""
    if launched()[1] > 1:
        return contextlib.nullcontext()
    return sigterm_raises("ended by SIGTERM before the first step; the same command starts it again")


def main(argv: list[str]) -> int:
    """Train, or go on with a run, and print the accuracies before and after. Returns 0; raises `UserError` for a
    configuration that cannot be run and `Terminated` after SIGTERM."""
    try:
        config = parse(TrainConfig, argv, PROGRAM)
        if config.resume or config.resume_from_checkpoint:
            config = continued(config, argv, PROGRAM)
        require_sound(config)
        if launched()[0] == 0:
            RunFolder(run_path(config)).look(config)
    except UserError:
        if launched()[0]:  # rank 0 says it, and its end ends this rank
            time.sleep(30)
        raise

    from nsrl.report.table import accuracy_text
    from nsrl.trainer.distributed import join  # torch and transformers are only imported once the command line is right
    from nsrl.trainer.run import Run

    with terminable(), join() as world:
        run = Run(config, world)
        summary = run.execute()
        before, after = (accuracy_text(summary[f"accuracy_{name}"]) for name in ("warm_start", "final"))
        gain = "nothing could be scored" if summary["gain_points"] is None else f"{summary['gain_points']:+.1f} points"
        print(f"accuracy of samples {before} -> {after} ({gain})")
        print(f"report: {run.folder.path / 'report.html'}")
    return 0


if __name__ == "__main__":
    command(main)
