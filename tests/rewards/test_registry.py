"""Rewards: the built-ins' values on a hand-made batch, TRL signatures, async, files, errors, controls, state."""

import json
import re
import sys
from dataclasses import dataclass

import pytest
import torch

from nsrl.engines.result import Result, Status
from nsrl.errors import UserError
from nsrl.rewards import RewardBatch, Rewards, builtin_names, lengths
from nsrl.rewards.controls import flipped, shuffled
from nsrl.rewards.registry import require_callable
from nsrl.types import Problem


@dataclass
class Cut:
    language: str | None = None
    program: str = ""
    prose: str = ""
    answer: str | None = None
    span: tuple[int, int] = (0, 0)
    complete: bool = True


def batch(**changes):
    """Two groups of three: right/right/wrong with 10, 20, 30 tokens; then one right in prose and two failures."""
    ok, bad = Result(Status.OK, text="5"), Result(Status.OK, text="6")
    fields = dict(
        problems=[Problem("a", "2+3?", "5", columns={"difficulty": 1})] * 3 + [Problem("b", "1+6?", "7")] * 3,
        completions=["<nsl>2+3</nsl>", "<nsl>5</nsl>", "<nsl>6</nsl>", "The answer is 7.", "<nsl>7</nsl>", "hm"],
        completion_ids=[[0] * n for n in (10, 20, 30, 40, 50, 60)],
        extracted=[
            Cut("nsl", "2+3"),
            Cut("nsl", "5"),
            Cut("nsl", "6"),
            Cut(answer="7"),
            Cut("nsl", "7"),
            Cut(answer=None),
        ],
        results=[ok, ok, bad, None, Result(Status.TIMEOUT), None],
        group_sizes=[3, 3],
        truncated=[False, False, False, False, False, True],
    )
    return RewardBatch(**(fields | changes))


def values(name, **changes):
    return [row[0] for row in Rewards([name])(batch(**changes))]


def test_correct_is_the_engines_value_or_the_direct_answer():
    assert values("correct") == [1, 1, 0, 1, 0, 0]


def test_no_gold_means_no_reward_that_needs_one():
    problems = [Problem("a", "?", None)] * 3 + [Problem("b", "1+6?", "7")] * 3
    names = ["executes", "correct", "format", "has_code", "short", "laser", "laser_d", "cosine", "kimi", "decision"]
    rows = Rewards(names)(batch(problems=problems))
    assert rows[0] == [1.0, None, 1.0, 1.0, *[None] * 6]  # 2+3 computes; a literal is paid where it is right alone
    assert rows[1][:4] == [0.0, None, 1.0, 1.0]
    assert rows[3][:3] == [None, 1.0, 1.0]


def test_executes_and_format():
    assert values("executes") == [1, 1, 0, None, 0, None]  # 6 is a literal, and wrong
    warned = Result(Status.MESSAGE, text="5")
    assert values("executes", results=[warned] * 6, extracted=[Cut("nsl", "2+3")] * 6) == [0.5] * 6
    assert values("format") == [1, 1, 1, 1, 1, 0]
    assert values("has_code") == [1, 1, 1, 0, 1, 0]


def test_short_pays_what_a_right_answer_saves():
    assert values("short") == [0.5, 0.0, 0.0, 0.0, 0.0, 0.0]
    assert values("short", correct=[True] * 6) == pytest.approx([2 / 3, 1 / 3, 0, 1 / 3, 1 / 6, 0])
    one_token = [[0] * n for n in (15, 16, 16, 0, 0, 0)]
    assert values("short", correct=[True] * 6, completion_ids=one_token) == [1 / 16, 0, 0, 0, 0, 0]


def test_laser_cosine_kimi_by_their_formulas():
    assert values("laser", correct=[True] * 3 + [False] * 3) == [0.5, 0.5, 0.5, 0, 0, 0]
    assert values("laser", completion_ids=[[0] * n for n in (64, 65, 1, 1, 1, 1)])[:2] == [0.5, 0]
    assert values("cosine", completion_ids=[[0] * n for n in (0, 512, 0, 512, 0, 9999)]) == pytest.approx(
        [1, 0.1, -1, 0.1, -1, -0.1]
    )
    assert values("kimi") == pytest.approx([0.2, 0.0, -0.2, 0.2, 0.0, -0.2])
    assert values("kimi", correct=[False] * 6) == pytest.approx([0.0, 0.0, -0.2, 0.0, 0.0, -0.2])


def test_laser_d_keeps_its_targets_across_steps_and_checkpoints():
    rewards = Rewards(["laser_d"])
    rewards(batch(correct=[True, False, False, False, False, False]))
    state = json.loads(json.dumps(rewards.state_dict()))
    assert state["laser_d"]["windows"]["hard"] == [10]
    other = Rewards(["laser_d"])
    other.load_state_dict(state)
    same = batch(correct=[False, False, True, False, False, False])
    assert other(same) == rewards(same)


def test_decision_pays_the_rarer_mode():
    assert values("decision", correct=[True] * 6) == pytest.approx([0, 0, 0, 1 / 3, 2 / 3, 1 / 3])


def test_trl_signature_gets_columns_and_async_is_awaited():
    seen = {}

    def mine(prompts, completions, completion_ids, difficulty, **kwargs):
        seen.update(prompts=prompts, difficulty=difficulty, answer=kwargs["answer"], ids=completion_ids)
        return [float(len(c)) for c in completions]

    async def later(completions, **kwargs):
        return [None for _ in completions]

    def two(completions, answer):
        return [1.0] * len(answer)

    rewards = Rewards([mine, later, two, "correct"], [0.5, 1, 1, 2])
    rows = rewards(batch())
    assert [r[0] for r in rows] == [float(len(c)) for c in batch().completions]
    assert seen["difficulty"] == [1, 1, 1, None, None, None] and seen["answer"] == ["5"] * 3 + ["7"] * 3
    assert all(r[1] is None for r in rows)


def test_reward_from_a_file(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def lucky(completions, **kwargs):\n    return [7.0] * len(completions)\n")
    rewards = Rewards([f"{file}:lucky"])
    assert rewards.names == ["lucky"] and rewards(batch())[0] == [7.0]
    with pytest.raises(UserError, match="no function 'other'"):
        Rewards([f"{file}:other"])
    with pytest.raises(UserError, match="no file"):
        Rewards([f"{tmp_path}/absent.py:f"])


@pytest.mark.parametrize("code", [None, 0, 3, "enough"])
def test_a_reward_that_exits_is_named(code):
    def quits(completions, **kwargs):
        sys.exit(code)

    async def later(completions, **kwargs):
        sys.exit(code)

    for reward in (quits, later):
        said = f"reward {reward.__name__!r} called sys.exit({'' if code is None else repr(code)})"
        with pytest.raises(UserError, match=f"^{re.escape(said)}$"):
            Rewards(["correct", reward])(batch())


def test_a_memory_is_saved_and_taken_up_or_there_is_none():
    class Half:
        def __call__(self, completions): ...
        def state_dict(self): ...

    class Other:
        def __call__(self, completions): ...
        def load_state_dict(self, state): ...

    class Whole(Half, Other): ...

    require_callable("mine", Whole())
    for half, there, absent in ((Half(), "state_dict", "load_state_dict"), (Other(), "load_state_dict", "state_dict")):
        with pytest.raises(UserError, match=f"'mine' has {there} and no {absent}, "):
            require_callable("mine", half)


def test_a_bug_in_a_reward_raises():
    def broken(completions, **kwargs):
        raise KeyError("oops")

    with pytest.raises(KeyError):
        Rewards([broken])(batch())


@pytest.mark.parametrize(
    ("wrong", "got"),
    [
        (1.0, "got 1.0"), (None, "got nothing"), ([1.0], "got 1 values"), ([1.0] * 7, "got 7 values"), ("123456",
        "got '123456'"),
        ({i: 1.0 for i in range(6)}, "got {0: 1.0"), (["x"] * 6, "got 'x' for completion 0"), ([1.0] * 5 + ["1"],
        "got '1' for completion 5"),
        ([float("nan")] * 6, "got nan"), ([0, float("-inf"), 0, 0, 0, 0], "got -inf for completion 1"), ([[1.0]] * 6,
        "got [1.0]"),
        ([10**400] * 6, "for completion 0"), ([1j] * 6, "got 1j"), (torch.tensor(1.0), "got tensor(1.)"), (torch.ones(6,
        2), "got tensor([1., 1.])"),
    ],
)  # fmt: skip
def test_what_a_reward_returns_is_checked_in_one_sentence(wrong, got):
    async def later(completions, **kwargs):
        return wrong

    def mine(completions, **kwargs):
        return wrong

    for function in (mine, later):
        with pytest.raises(UserError, match=re.escape(got)) as error:
            Rewards([function])(batch())
        assert f"reward {function.__name__!r} must return 6" in str(error.value) and "\n" not in str(error.value)


def test_a_reward_may_return_any_sequence_of_numbers():
    for right in ((1, 2, 3, 4, 5, None), torch.arange(6), (float(i) for i in range(6)), [True] * 6):
        assert len(Rewards([lambda completions, out=right, **kwargs: out])(batch())) == 6


def test_unknown_names_and_weights_are_one_sentence():
    with pytest.raises(UserError, match="must name one of .*correct"):
        Rewards(["corect"])
    with pytest.raises(UserError, match="one weight per reward"):
        Rewards(["correct"], [1, 2])
    with pytest.raises(UserError, match="at least one"):
        Rewards([])
    assert {"correct", "executes", "format", "short", "laser", "cosine", "kimi"} <= set(builtin_names())


def test_batch_checks_its_shapes():
    with pytest.raises(ValueError, match="group_sizes must sum to 6"):
        batch(group_sizes=[3])
    with pytest.raises(ValueError, match="results must have 6"):
        batch(results=[None])


def test_shuffled_keeps_each_groups_rewards_and_loses_their_order():
    sizes = [50, 50]
    given = list(range(100))
    mixed = shuffled(given, sizes, seed=1, step=3)
    assert mixed != given and sorted(mixed[:50]) == given[:50] and sorted(mixed[50:]) == given[50:]
    assert mixed == shuffled(given, sizes, seed=1, step=3) != shuffled(given, sizes, seed=1, step=4)
    turned = flipped([True] * 1000 + [None], 0.4, 0, 0)
    assert 300 < turned.count(False) < 500 and turned[-1] is None


def test_constants_are_what_the_docs_say():
    assert (lengths.LASER_TARGET, lengths.COSINE_MAX) == (64, 512)
