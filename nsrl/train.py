"""`python -m nsrl.train`: train a vision-language model with GRPO to think in short programs. See --help."""

from __future__ import annotations

from nsrl.config import TrainConfig, command, parse, run_path

PROGRAM = "python -m nsrl.train"


def main(argv: list[str]) -> int:
    config = parse(TrainConfig, argv, PROGRAM)
    if config.resume or config.resume_from_checkpoint:  # what the run was started with; the command line still wins
        begun = run_path(config) / "config.yaml"
        if begun.is_file():
            config = parse(TrainConfig, ["--config", str(begun), *argv], PROGRAM)

    from nsrl.trainer.run import Run  # torch and transformers are only imported once the command line is right

    run = Run(config)
    summary = run.execute()
    before, after = 100 * summary["accuracy_warm_start"], 100 * summary["accuracy_final"]
    print(f"accuracy of samples {before:.1f}% -> {after:.1f}% ({summary['gain_points']:+.1f} points)")
    print(f"report: {run.folder.path / 'report.html'}")
    return 0


if __name__ == "__main__":
    command(main)
