"""`python -m nsrl.train`: train a vision-language model with GRPO to think in short programs. See --help.

On several GPUs: `torchrun --nproc-per-node N -m nsrl.train`, with the same arguments.
"""

from __future__ import annotations

import time

from nsrl.config import TrainConfig, command, launched, parse, require_sound, run_path
from nsrl.errors import UserError

PROGRAM = "python -m nsrl.train"


def main(argv: list[str]) -> int:
    try:
        config = parse(TrainConfig, argv, PROGRAM)
        if config.resume or config.resume_from_checkpoint:  # what the run was started with; the command line still wins
            begun = run_path(config) / "config.yaml"
            if begun.is_file():
                config = parse(TrainConfig, argv, PROGRAM, begun)
        require_sound(config)
    except UserError:
        if launched()[0]:  # rank 0 says it, and its end ends this rank
            time.sleep(30)
        raise

    from nsrl.trainer.distributed import join  # torch and transformers are only imported once the command line is right
    from nsrl.trainer.run import Run

    with join() as world:
        run = Run(config, world)
        summary = run.execute()
        before, after = 100 * summary["accuracy_warm_start"], 100 * summary["accuracy_final"]
        print(f"accuracy of samples {before:.1f}% -> {after:.1f}% ({summary['gain_points']:+.1f} points)")
        print(f"report: {run.folder.path / 'report.html'}")
    return 0


if __name__ == "__main__":
    command(main)
