"""Rewards that ask the policy again, and ReMax's baseline: against an evaluation of the same problems."""

import asyncio
import pickle
from dataclasses import replace
from types import MappingProxyType

import pytest
import shaping
import torch
from test_members import no_clocks

from nsrl.config import TrainConfig, parse
from nsrl.config.sound import require_sound
from nsrl.errors import UserError
from nsrl.rewards import RewardBatch, Rewards
from nsrl.trainer.advantage import step_advantages
from nsrl.trainer.ask import _sendable
from nsrl.trainer.evaluation import evaluate
from nsrl.trainer.loop import grpo_step
from nsrl.types import ImageRef, Problem


def greedy_records(runner, problems, limit=shaping.LIMIT):
    return evaluate(
        runner.vlm, runner.sampler, runner.grader, problems, samples=1, temperature=0.0, max_tokens=limit, seed=0
    ).records  # fmt: skip


def firsts(batch):
    return [batch.problems[rows.start] for rows in batch.groups()]


def test_greedy_answers_are_those_of_an_evaluation(pool, start):
    """The weights that sampled the step answer, before its update; what is asked changes nothing of it."""
    said = {}

    def asking(batch, ask):
        said["problems"] = firsts(batch)
        said["greedy"] = [a for (a,) in ask(said["problems"])]
        said["drawn"] = ask(said["problems"], n=3, temperature=1.0, max_tokens=4)
        said["again"] = ask(said["problems"][::-1], n=3, temperature=1.0, max_tokens=4)[::-1]
        said["twice"] = ask([p for p in said["problems"] for _ in range(2)], n=3, temperature=1.0, max_tokens=4)
        assert ask([]) == []
        return shaping.spread(batch)

    def named(batch):
        return shaping.spread(batch)

    runner, plain = shaping.learner(pool, start), shaping.learner(pool, start)
    runner.rewards, plain.rewards = Rewards([asking]), Rewards([named])
    metrics, _ = grpo_step(runner, 1)
    other, _ = grpo_step(plain, 1)
    rows = greedy_records(shaping.learner(pool, start), said["problems"])
    assert [a.text for a in said["greedy"]] == [r["completion"] for r in rows]
    assert [(a.correct, a.tokens, a.value) for a in said["greedy"]] == [
        (r["correct"], r["tokens"], r["value_text"]) for r in rows
    ]
    drawn = [a for each in said["drawn"] for a in each]
    assert len(drawn) == 12 and max(a.tokens for a in drawn) <= 4 and len({a.text for a in drawn}) > 4
    texts = lambda each: [[a.text for a in answers] for answers in each]
    assert texts(said["again"]) == texts(said["drawn"]), "what is asked decides, not which call it is, nor its place"
    once, again = texts(said["twice"][::2]), texts(said["twice"][1::2])
    assert once == texts(said["drawn"]) and all(a != b for a, b in zip(once, again)), "but twice in a call is two draws"
    every = [a for name in ("again", "twice") for each in said[name] for a in each]
    assert metrics["tokens/ask"] == sum(a.tokens for a in [*said["greedy"], *drawn, *every]) > 0
    assert metrics["timing_s/ask"] > 0 and not any("ask" in key for key in other)
    left = lambda m: {k: v for k, v in no_clocks(m).items() if k != "tokens/ask" and not k.startswith("rewards/")}
    assert left(metrics) == left(other)
    repeat = shaping.learner(pool, start)
    repeat.rewards, first = Rewards([asking]), said["drawn"]
    grpo_step(repeat, 1)
    assert [[a.text for a in each] for each in said["drawn"]] == [[a.text for a in each] for each in first]


def test_what_cannot_be_shown_has_no_answer_and_ends_nothing(pool, start):
    said = {}

    def broken(image):
        raise UserError("this picture cannot be read")

    def asking(batch, ask):
        p = batch.problems[0]
        own = ImageRef("made here", lambda: p.images[0].open().rotate(90), p.images[0].size)
        said["answers"] = ask(
            [
                replace(p, images=(), question="what stands in <|vision_start|><|image_pad|><|vision_end|>?"),
                replace(p, images=(), question="3 + 4 <image>?"),
                replace(p, images=(own,)),
                replace(p, images=(ImageRef("broken", lambda: broken(0)),)),
                replace(p, images=(), question="words " * 3000),
            ],
            n=2,
        )
        for bad, words in (([3], "must be given problems"), (None, "")):
            if bad:
                with pytest.raises(UserError, match=words):
                    ask(bad)
        with pytest.raises(UserError, match="at least 1; got 0 and None"):
            ask([p], n=0)
        return shaping.spread(batch)

    runner = shaping.learner(pool, start)
    runner.config.rollout, runner.config.data.max_prompt_length = "vllm", 2000
    runner.rewards = Rewards([asking])
    grpo_step(runner, 1)
    tokens = [[a.tokens for a in each] for each in said["answers"]]
    assert tokens[0] == tokens[3] == tokens[4] == [0, 0] and said["answers"][0][0].correct is None
    assert min(tokens[1]) > 0 and min(tokens[2]) > 0


def test_functions_that_ask_as_rewards_see_them():
    async def waiting(batch, ask):
        await asyncio.sleep(0)
        return [float(len(ask([p])[0][0].text)) for p in batch.problems]

    def trl(prompts, completions, ask, answer=None):
        return [float(len(ask([])) + len(a)) for a in answer]

    batch = shaping_batch()
    from nsrl.rewards.asking import Answer

    ask = lambda problems, **_: [[Answer("abc", batch.extracted[0], None, None, 3, False)] for _ in problems]
    made = Rewards([waiting, trl])
    made.require_callable()
    assert made.asks and made(batch, ask) == [[3.0, 1.0]] * 2 and not Rewards(["correct"]).asks
    with pytest.raises(UserError, match="reward 'waiting' asks the policy, which is there in training alone"):
        made(batch)
    with pytest.raises(UserError, match="gets ask from the batch"):
        Rewards([waiting], arguments=[{"ask": 3}]).require_callable()


def shaping_batch():
    from nsrl.engines import extract
    from nsrl.types import Problem

    problems = [Problem("a", "q", "5")] * 2
    return RewardBatch(problems, ["5", "6"], [[1], [2]], [extract("5"), extract("6")], [None, None], [2])


@pytest.mark.parametrize("count", [shaping.G, 1])
def test_remax_compares_with_the_greedy_completion(pool, start, count):
    """A = r - r(greedy), with the same rewards, and what they remember is not of the greedy ones; no group is needed.
    Prompts of problems that are made may be of any length."""

    def paid(batch):
        batch.state["seen"] = batch.state.get("seen", 0) + len(batch)
        return [len(text) / 10 + float(ids[0] % 3) for text, ids in zip(batch.completions, batch.completion_ids)]

    runner = shaping.learner(pool, start, scale_rewards="remax", dynamic_sampling=1, num_generations=count)
    runner.config.data.max_prompt_length = 1
    runner.rewards = Rewards([paid])
    gradients = shaping.seen_gradients(runner)
    metrics, records = grpo_step(runner, 1)
    fresh = shaping.learner(pool, start)
    problems = [*{r["problem_id"]: runner.problems.recent[r["problem_id"]] for r in records}.values()]
    done = fresh.sampler.sample(
        [shaping_request(fresh.vlm.encode(p)) for p in problems], greedy_params(fresh)
    )  # fmt: skip
    baseline = {}
    for problem, (sample,) in zip(problems, done):
        text = fresh.vlm.decode(list(sample.written_ids))
        baseline[problem.id] = len(text) / 10 + float(sample.token_ids[0] % 3)
    for row in records:
        assert row["advantage"] == pytest.approx(row["reward"] - baseline[row["problem_id"]])
    assert runner.rewards.state_dict()["paid"]["seen"] == len(records) and gradients
    assert metrics["tokens/ask"] == sum(len(s.written_ids) for (s,) in done)


def shaping_request(prompt):
    from nsrl.rollout.types import Request

    return Request(prompt, 1, 7)


def greedy_params(runner):
    from nsrl.trainer.completions import sampling_params

    return sampling_params(runner.vlm, runner.config.max_completion_length, 0.0)


def test_remax_in_numbers():
    """Two groups, one equal to its baseline throughout (dead), one reward that does not apply; two rounds too."""
    nan = float("nan")
    rewards = torch.tensor([[1.0], [0.0], [nan], [2.0], [2.0], [2.0]], dtype=torch.float64)
    baselines = torch.tensor([0.25, 2.0], dtype=torch.float64)
    gain = step_advantages(rewards, [3, 3], 2, [1.0], "remax", [1] * 6, baselines)
    assert gain.advantages.tolist() == [0.75, -0.25, 0, 0, 0, 0] and gain.drawn.live.tolist() == [True, False]
    assert int(gain.missing) == 1 and gain.drawn.reward[:2].tolist() == [1, 0]
    later = step_advantages(rewards, [3, 3], 1, [1.0], "remax", [1] * 6, baselines)
    assert later.advantages.tolist() == [0.75, -0.25, 0, 0, 0, 0] and later.chosen.tolist() == [True, True]
    assert parse(TrainConfig, ["scale_rewards=remax"], "x").scale_rewards == "remax"
    require_sound(parse(TrainConfig, ["scale_rewards=remax", "dynamic_sampling=1"], "x"))


def test_a_row_travels_to_other_ranks():
    """A row's groups are a read-only mapping, which cannot be pickled, and its columns may be of any kind."""
    row = Problem(
        "a", "?", "1", columns={"own": MappingProxyType({}), "rate": 0.5}, groups=MappingProxyType({"level": "1"})
    )
    there = pickle.loads(pickle.dumps(_sendable(row)))
    assert (there.groups, there.columns) == ({"level": "1"}, {"rate": 0.5})
