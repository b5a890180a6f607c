"""`python -m nsrl.check`: is this run sound before it starts? Takes what `nsrl.train` takes, and trains nothing.

Runs the preflight (does the worst step fit?) and the parity self-check (are sampler and trainer the same model, do both
see the images, does a sync arrive?) on the run's own model and data. Exit code 2 and one sentence when something is off.
"""

from __future__ import annotations

from nsrl.config import TrainConfig, command, parse, require_sound

PROGRAM = "python -m nsrl.check"


def main(argv: list[str]) -> int:
    config = parse(TrainConfig, argv, PROGRAM)
    require_sound(config)

    from nsrl.data.shapes import Shapes
    from nsrl.trainer import model
    from nsrl.trainer.problems import ProblemStream, read_data
    from nsrl.trainer.ready import check_parity, open_policy, run_preflight, worst_problems
    from nsrl.trainer.run import open_sampler

    vlm = model.load(config.model, config.lora, config.seed)
    model.require_positions(vlm, config.max_completion_length)
    policy = open_policy(config, vlm)
    if config.data.source == "shapes":
        train, longest = Shapes(config.data.level, config.seed, config.data.eval_size), []
    else:
        train, _, longest = read_data(config.data, vlm)
    print(run_preflight(config, vlm, policy, worst_problems(config, vlm, train, longest)))
    sampler = open_sampler(config, vlm)
    print(check_parity(config, vlm, policy, sampler, ProblemStream(train, config.seed, 0, vlm).take(8)))
    sampler.close()
    print("sound: sampler and trainer agree, and the worst step fits")
    return 0


if __name__ == "__main__":
    command(main)
