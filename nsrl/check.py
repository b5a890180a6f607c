"""`python -m nsrl.check` says whether a run is sound before it starts. It takes what `nsrl.train` takes, and trains
nothing.

Runs the preflight (does the worst step fit?) and the parity self-check (are sampler and trainer the same model, do both
see the images, does a sync arrive?) on the run's own model and data; with --resume or `resume_from_checkpoint` on the
weights it would go on from. Exit code 2 and one sentence when something is off.
"""

from __future__ import annotations

from nsrl.config import TrainConfig, command, parse, require_sound, run_path
from nsrl.config.schedules import widest
from nsrl.config.stages import other_sources, planned_stages
from nsrl.trainer.changes import continued, origin

PROGRAM = "python -m nsrl.check"


def main(argv: list[str]) -> int:
    """Check the run that the arguments describe and print what was found.

    Returns 0. Raises `UserError`, which `command` turns into exit code 2, where the run is not sound.
    """
    config = parse(TrainConfig, argv, PROGRAM)
    if config.resume or config.resume_from_checkpoint:
        config = continued(config, argv, PROGRAM)
    require_sound(config)

    from nsrl.checks.configured import check_parity, open_policy, run_preflight
    from nsrl.models import chats, loading
    from nsrl.models.learning import only, require_parts
    from nsrl.rollout.open import open_sampler
    from nsrl.trainer import checkpoint, heldout
    from nsrl.trainer.problems import ProblemStream, worst_problems
    from nsrl.trainer.reference import bytes_held, require_kept
    from nsrl.trainer.resume import State, check_steps, find

    found = find(config, run_path(config))
    kept = checkpoint.load(found)[0] if found is not None else {"files": {}}
    del kept["files"]
    state = State(**kept)
    check_steps(config, state)
    if state.phase == "grpo" and not config.stages:
        require_kept(config, origin(config) / "reference")
    vlm = loading.load(config.model, config.lora, config.seed, config.prompt, other_sources(config))
    loading.require_positions(vlm, config.max_completion_length + config.turns.shown)
    if found is not None:
        loading.load_weights(vlm, found)
        print(f"{found}: {state.phase} step {state.step}")
    else:
        state.began = heldout.began(config.model.name)
    policy = open_policy(config, vlm)
    data = heldout.own_data(config, state, vlm)
    learning = [stage.config for stage in planned_stages(config) if stage.kind != "evaluate"]
    for one in learning or [config]:
        with vlm.asked(chats.chat_for(vlm, one.prompt)):
            own, most = heldout.stage_data(one, config, data, vlm) if learning else data, widest(one)
            worst = worst_problems([*own.pools.values()], vlm, own.longest, own.taught)
            require_parts(vlm, one.train)
            held = bytes_held(most, vlm)
            with only(vlm, one.train):
                print(run_preflight(most, vlm, policy, worst, held))
    sampler = open_sampler(config, vlm)
    print(check_parity(config, vlm, policy, sampler, ProblemStream(data.source, 0, vlm).take(8)))
    sampler.close()
    print("sound: sampler and trainer agree, and the worst step fits")
    return 0


if __name__ == "__main__":
    command(main)
