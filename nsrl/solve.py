"""`python -m nsrl.solve --model RUN --image FILE --question TEXT` prints the program, the engine's value and the time.

`--problem N` in place of both asks a held-out problem of the run, by its number or by the id that the report shows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nsrl.config import EvalConfig, ModelConfig, SolveConfig, TrainConfig, command, from_yaml, parse, require_sound
from nsrl.config.prompts import said
from nsrl.config.sound import require_observer
from nsrl.errors import UserError
from nsrl.userfiles import expanded

PROGRAM = "python -m nsrl.solve"


def main(argv: list[str]) -> int:
    """Ask one question and print program, value and answer, or why there is none. Returns 0, an answer or not; raises
    `UserError` where the question cannot be asked."""
    config = parse(SolveConfig, argv, PROGRAM)
    require_sound(config)
    if config.problem is None and config.question is None:
        raise UserError("question must be given, with image where there is one; or problem in place of both")
    if config.problem is not None and (config.question is not None or config.image):
        raise UserError("problem stands in place of question and image; got more than it")

    from nsrl.data.images import file_image
    from nsrl.data.shapes import is_familiar
    from nsrl.types import Problem

    run = _run(Path(config.model))
    turns = config.turns.over(run.turns if run is not None else None, config.given)
    require_observer(turns)
    if config.problem is not None:
        problem = _held_out(config.model, run, config.problem)
    else:
        images = tuple(file_image(expanded(path)) for path in config.image)
        problem = Problem("question", str(config.question), None, images)

    from nsrl.models import loading  # torch and transformers are only imported once the pictures can be read
    from nsrl.rewards import Verifiers, gold_of
    from nsrl.rollout.native import NativeSampler
    from nsrl.rollout.types import Finish
    from nsrl.trainer.completions import complete, sampling_params
    from nsrl.trainer.grader import Grader, open_pool
    from nsrl.trainer.metrics import Timer
    from nsrl.trainer.talk import talk_of

    vlm = loading.load(ModelConfig(name=config.model, device=config.device), seed=config.seed)
    loading.ask_as(vlm, config.prompt, said(config.prompt, config.given))
    prompt = vlm.encode(problem)
    longest = config.max_completion_length or loading.trained_length(Path(config.model)) or 1024
    loading.require_positions(vlm, longest, len(prompt.ids))
    with open_pool(config.engine) as pool:
        # a question of the user's has no gold, and nobody else to say what is right
        own = run.paid.verifiers if run is not None and config.problem is not None else {}
        grader = Grader(pool, Verifiers(own))
        params, timer = sampling_params(vlm, longest, config.temperature), Timer()
        talk = talk_of(vlm, turns)
        sampler, seeds = NativeSampler(vlm.model), [config.seed]
        done = complete(vlm, sampler, grader, [problem], [prompt], params, 1, seeds, timer, talk)
    sample, answer = done.samples[0][0], done.graded[0][0]
    text, cut, result = answer.text, answer.extracted, answer.result

    if config.problem is not None:
        print(f"problem  {problem.id}\nquestion {problem.question}")
    for turn in answer.history[:-1]:
        print(f"turn     {turn.text}\nshown    {turn.seen}")
    ended = sample.finish is Finish.STOP
    if result is not None:
        print(f"program  ({cut.language})\n{cut.program}")
        print(f"value    {result.text or '(none)'}   ({result.status.value})")
        for message in result.messages:
            print(f"message  {message}")
        if not result.has_value:
            print(f"note     no answer: the engine got no value out of this program ({result.status.value})")
    elif ended and cut.answer:
        print(f"answer   {cut.answer}   (written directly, no program)")
        print(f"text     {text}")
    else:
        why = "the text ended without one" if ended else f"the text was cut at {longest} tokens (max_completion_length)"
        print(f"answer   (none)   (no program)\ntext     {text}\nnote     no answer: {why}")
    schooled = run is None or run.data.source == "shapes"
    if vlm.is_small and schooled and config.problem is None and not is_familiar(problem):
        print("note     this is the built-in small model, which has only ever seen `shapes`: this picture or question "
              "is not of "
              "that kind, so take nothing above for an answer (--problem 0 asks one that is)")  # fmt: skip
    gold = gold_of(problem) if answer.verifier else problem.answer
    if gold is not None or answer.verifier:
        verdict = "not scored" if answer.correct is None else "right" if answer.correct else "wrong"
        print(f"gold     {'(none)' if gold is None else gold}   ({verdict})")
    sampling, engine = timer.seconds["rollout"], timer.seconds["engine"]
    print(
        f"time     {sampling + engine:.2f} s: {sampling:.2f} s for {len(sample.written_ids)} tokens, "
        f"{1000 * engine:.0f} ms in the engine"
    )
    return 0


def _run(model: Path) -> TrainConfig | None:
    """The configuration of the run a model comes from; None when it comes from none."""
    files = [place / "config.yaml" for place in (expanded(model), expanded(model).resolve().parent)]
    file = next((f for f in files if f.is_file()), None)
    return from_yaml(TrainConfig, file.read_text(encoding="utf-8")) if file is not None else None


def _held_out(model: str, run: TrainConfig | None, wanted: str) -> Any:
    """A held-out problem of a run: the split is made again as the run made it."""
    if run is None:
        raise UserError(f"problem needs a run folder or a checkpoint in one as model; {model!r} has no config.yaml")
    from nsrl.trainer.heldout import choose

    problems, _, _ = choose(EvalConfig(model=model))
    for number, problem in enumerate(problems):
        if wanted in (str(number), problem.id):
            return problem
    raise UserError(
        f"problem must be 0 to {len(problems) - 1} or the id of a held-out problem of the run; got {wanted!r}"
    )


if __name__ == "__main__":
    command(main)
