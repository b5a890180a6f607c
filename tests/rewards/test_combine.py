"""Rewards with arguments and gates, and what makes one number of several: by formulas typed again in torch."""

import json
import math
import random
import re

import pytest
import torch

from nsrl.errors import UserError
from nsrl.rewards import RewardBatch, Rewards, lengths
from nsrl.rewards.combine import by_member, gdpo
from nsrl.types import Problem


def batch(sizes, **changes):
    count, rng = sum(sizes), random.Random(random.randrange(10**9))
    fields = dict(
        problems=[Problem("a", "?", "5")] * count, completions=["5"] * count,
        completion_ids=[[0] * rng.randrange(1, 900) for _ in range(count)], extracted=[None] * count,
        results=[None] * count, group_sizes=sizes, correct=[rng.choice([True, False, None]) for _ in range(count)],
    )  # fmt: skip
    return RewardBatch(**(fields | changes))


def test_arguments_stand_in_place_of_the_constants():
    given = batch([6, 3, 8])
    target, bonus, longest, least = 200, 0.25, 700, 0.5
    rows = Rewards(["laser", "cosine"], arguments=[{"target": target, "bonus": bonus},
                                                  {"longest": longest, "least": least}])(given)  # fmt: skip
    for (laser, cosine), right, length in zip(rows, given.correct, given.lengths):
        if right is None:
            assert laser is cosine is None
            continue
        assert laser == (bonus if right and length <= target else 0.0)
        ends = (least, 1.0) if right else (-least, -1.0)
        wave = (1 + math.cos(math.pi * min(length / longest, 1))) / 2
        assert cosine == pytest.approx(ends[0] + (ends[1] - ends[0]) * wave)
    plain = Rewards(["laser", "cosine"])(given)
    assert plain == Rewards(["laser", "cosine"], arguments=[{"target": lengths.LASER_TARGET},
                                                           {"longest": lengths.COSINE_MAX}])(given)  # fmt: skip
    windowed = Rewards(["laser_d"], arguments=[{"window": 2}])
    windowed(batch([4], correct=[True] * 4, completion_ids=[[0] * n for n in (9, 8, 7, 6)]))
    assert windowed.state_dict()["laser_d"]["windows"]["easy"] == [7, 6]


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("laser", {"tarjet": 3}, "'laser' takes target, bonus; got 'tarjet'; did you mean 'target'?"),
        ("laser", {"target": "long"}, "target of 'laser' must be an integer; got 'long'"),
        ("laser", {"target": 1.5}, "target of 'laser' must be an integer; got 1.5"),
        ("cosine", {"longest": 0}, "longest of 'cosine' must be above 0; got 0"),
        ("cosine", {"least": True}, "least of 'cosine' must be a number; got True"),
        ("correct", {"x": 1}, "'correct' takes no arguments; got 'x'"),
        (lambda completions, mine: [], {"completions": 1}, "gets completions from the batch, so it is no argument"),
        (lambda batch, mine: [], {}, "it also wants mine"),
    ],
)
def test_an_argument_that_cannot_be_is_refused(name, arguments, said):
    with pytest.raises(UserError, match="^rewards: .*" + re.escape(said)):
        Rewards([name], arguments=[arguments], key="rewards").require_callable({"level"}, "rewards")


def test_arguments_of_both_signatures():
    whole = lambda batch, share=1.0, deep=None: [share] * len(batch)
    named = lambda completions, answer, unit="": [float(len(unit))] * len(completions)
    named.__name__, whole.__name__ = "named", "whole"
    rewards = Rewards([whole, named], arguments=[{"share": 0.5, "deep": [1]}, {"unit": "cm"}])
    rewards.require_callable({"level"})
    assert rewards(batch([2])) == [[0.5, 2.0]] * 2


def test_a_gate_counts_a_reward_only_where_another_is_above_0():
    values = {"a": [1.0, 0.0, None, -1.0, 1.0], "b": [2.0, 2.0, 2.0, 2.0, None], "c": [3.0] * 5}

    def reward(name):
        function = lambda completions: values[name]
        function.__name__ = name
        return function

    rows = Rewards([reward(n) for n in "cba"], gates=["b", "a", None])(batch([5]))
    assert list(zip(*rows))[::-1] == [
        (1.0, 0.0, None, -1.0, 1.0), (2.0, 0.0, None, 0.0, None), (3.0, 0.0, None, 0.0, None)
    ]  # fmt: skip
    for gates, said in ((["d", None, None], "gate of 'c' must be one of c, b, a; got 'd'"),
                        (["b", "c", None], "gates must not lead back to themselves; got c, b"),
                        (["c", None, None], "gates must not lead back to themselves; got c")):  # fmt: skip
        with pytest.raises(UserError, match=re.escape(said)):
            Rewards([reward(n) for n in "cba"], gates=gates)


def test_gdpo_by_its_formula():
    """Formula 3 of arXiv 2601.05242, in torch, with components that do not apply and such without spread."""
    generator = torch.Generator().manual_seed(random.randrange(10**9))
    components = torch.randn(6, 5, 3, generator=generator, dtype=torch.float64)
    components[torch.rand(6, 5, 3, generator=generator) < 0.2] = torch.nan
    components[1, :, 0], components[2] = 0.1, torch.nan
    weights = torch.tensor([1.0, 0.3, -2.0], dtype=torch.float64)
    given = ~components.isnan()
    count = given.sum(1, keepdim=True)
    mean = components.nan_to_num().sum(1, keepdim=True) / count
    centred = torch.where(given, components - mean, 0.0)
    std = ((centred**2).sum(1, keepdim=True) / (count - 1)).sqrt()
    want = torch.where(given & (std > 1e-12), centred / (std + 1e-4), 0.0) @ weights
    got = gdpo(components.flatten(0, 1).tolist(), batch([5] * 6, names="abc", weights=weights.tolist()))
    for value, expected, any_given in zip(got, want.flatten(), given.any(-1).flatten()):
        assert (value is None) == (not any_given)
        if value is not None:
            assert value == pytest.approx(float(expected), abs=1e-9)


def test_by_member_is_grpo_in_groups_of_those_called_alike():
    """In torch, on groups cut up by name; one that is alone is 0, one that nothing applies to counts nowhere."""
    generator = torch.Generator().manual_seed(random.randrange(10**9))
    components = torch.rand(4, 6, 2, generator=generator, dtype=torch.float64)
    components[torch.rand(4, 6, 2, generator=generator) < 0.2] = torch.nan
    components[1, :3], weights = 0.25, torch.tensor([1.0, -0.5], dtype=torch.float64)
    names = [random.choice(["a", "b", "c"]) if g else "abc"[i // 3] for g in range(4) for i in range(6)]
    given = batch([6] * 4, names="xy", weights=weights.tolist(), members=names)
    got, rows = by_member(components.flatten(0, 1).tolist(), given), components.flatten(0, 1)
    for i, value in enumerate(got):
        if rows[i].isnan().all():
            assert value is None
            continue
        alike = [j for j in range(i // 6 * 6, i // 6 * 6 + 6) if names[j] == names[i] and not rows[j].isnan().all()]
        sums = rows[alike].nan_to_num() @ weights
        own = sums[alike.index(i)]
        want = (own - sums.mean()) / (sums.std() + 1e-4) if len(alike) > 1 and sums.max() > sums.min() else 0.0
        assert value == pytest.approx(float(want), abs=1e-9)


def test_a_way_to_combine_of_ones_own_sees_components_names_and_weights_and_remembers(tmp_path):
    (tmp_path / "mine.py").write_text(
        "def least(components, batch):\n"
        "    batch.state['seen'] = batch.state.get('seen', 0) + len(batch)\n"
        "    assert batch.names == ('a', 'b') and batch.weights == (2.0, 1.0)\n"
        "    return [min(row) if min(row) == min(row) else None for row in components]\n"
    )
    a, b = lambda completions: [1.0, 4.0, None], lambda completions: [3.0, 2.0, 1.0]
    a.__name__, b.__name__ = "a", "b"
    rewards = Rewards([a, b], [2, 1], combined=f"{tmp_path}/mine.py:least")
    given = batch([3])
    assert rewards.totals(rewards(given), given)[:2] == [1.0, 2.0]
    state = json.loads(json.dumps(rewards.state_dict()))
    assert state == {"combine:least": {"seen": 3}}
    other = Rewards([a, b], [2, 1], combined=f"{tmp_path}/mine.py:least")
    other.load_state_dict(state)
    other.totals(other(given), given)
    assert other.state_dict()["combine:least"] == {"seen": 6}
    assert Rewards([a, b]).totals(rewards(given), given) is None  # the sum is the advantages' own
    with pytest.raises(
        UserError, match="combine must be one of sum, gdpo, by_member, or file.py:function; got 'gdp'.*'gdpo'"
    ):
        Rewards([a, b], combined="gdp")
    with pytest.raises(UserError, match="combine '<lambda>' must return 3 finite numbers or None.*got 1 values"):
        wrong = Rewards([a, b], combined=lambda components, batch: [1.0])
        wrong.totals(wrong(given), given)
