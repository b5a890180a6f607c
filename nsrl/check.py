"""`python -m nsrl.check`: is this run sound before it starts? Takes what `nsrl.train` takes, and trains nothing.

Runs the preflight (does the worst step fit?) and the parity self-check (are sampler and trainer the same model, do both
see the images, does a sync arrive?) on the run's own model and data; with --resume or `resume_from_checkpoint` on the
weights it would go on from. Exit code 2 and one sentence when something is off.
"""

from __future__ import annotations

from nsrl.config import TrainConfig, command, parse, require_sound, run_path
from nsrl.trainer.changes import continued, origin

PROGRAM = "python -m nsrl.check"


def main(argv: list[str]) -> int:
    config = parse(TrainConfig, argv, PROGRAM)
    if config.resume or config.resume_from_checkpoint:
        config = continued(config, argv, PROGRAM)
    require_sound(config)

    from nsrl.trainer import checkpoint, heldout, model
    from nsrl.trainer.problems import ProblemStream
    from nsrl.trainer.ready import check_parity, open_policy, run_preflight, worst_problems
    from nsrl.trainer.reference import require_kept
    from nsrl.trainer.resume import State, check_steps, find
    from nsrl.trainer.run import open_sampler

    found = find(config, run_path(config))
    kept = checkpoint.load(found)[0] if found is not None else {"files": {}}
    del kept["files"]
    state = State(**kept)
    check_steps(config, state)
    if state.phase == "grpo":
        require_kept(config, origin(config))
    vlm = model.load(config.model, config.lora, config.seed)
    model.require_positions(vlm, config.max_completion_length)
    if found is not None:
        model.load_weights(vlm, found)
        print(f"{found}: {state.phase} step {state.step}")
    else:
        state.began = heldout.began(config.model.name)
    policy = open_policy(config, vlm)
    _, train, _, longest = heldout.own_data(config, state, vlm)
    print(run_preflight(config, vlm, policy, worst_problems(config, vlm, train, longest)))
    sampler = open_sampler(config, vlm)
    print(check_parity(config, vlm, policy, sampler, ProblemStream(train, config.seed, 0, vlm).take(8)))
    sampler.close()
    print("sound: sampler and trainer agree, and the worst step fits")
    return 0


if __name__ == "__main__":
    command(main)
