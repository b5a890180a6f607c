"""The optimal token baseline: the formula in plain loops over whole softmaxes, and a step of the small model."""

import math

import pytest
import shaping
import torch
from test_shape import view

from nsrl.config import TrainConfig, parse, require_sound
from nsrl.engines import EnginePool
from nsrl.errors import UserError
from nsrl.trainer.loop import grpo_step
from nsrl.trainer.token_baseline import SHARP, otb


def by_hand(pi, squares, lengths, sizes, reward):
    """R - B_t of each token, completion after completion, one token at a time."""
    begins = [sum(lengths[:i]) for i in range(len(lengths))]
    grown = []
    for begin, length in zip(begins, lengths):
        total = 0.0
        for t in range(length):
            total += 1 - 2 * pi[begin + t] + squares[begin + t]
            grown.append(total)
    found, first = [], 0
    for size in sizes:
        group = [i for i in range(first, first + size) if not math.isnan(reward[i])]
        for i in range(first, first + size):
            for t in range(lengths[i]):
                there = [j for j in group if lengths[j] > t]
                weight = [grown[begins[j] + t] for j in there]
                alone = len(there) < 2
                baseline = 0 if alone else sum(w * reward[j] for w, j in zip(weight, there)) / (sum(weight) + 1e-8)
                found.append(reward[i] - baseline if i in group else 0.0)
        first += size
    return torch.tensor(found, dtype=torch.float64)


@pytest.mark.parametrize("seed", range(8))
def test_formula(seed):
    rng = torch.Generator().manual_seed(seed)
    sizes = (3, 2, 1, 4)
    lengths = torch.randint(1, 7, (sum(sizes),), generator=rng).tolist()
    lengths[0] = lengths[1]  # two that are equally long
    logits = 3 * torch.randn(sum(lengths), 9, generator=rng, dtype=torch.float64)
    target = torch.randint(0, 9, (len(logits), 1), generator=rng)
    reward = torch.randn(len(lengths), generator=rng).double()
    reward[4] = torch.nan if seed % 2 else 0.5
    step = view(sizes, lengths)
    step.reward_R = reward
    step.sampled_N = logits.log_softmax(-1).gather(1, target)[:, 0].float()
    step.scored = {SHARP: (2 * logits).log_softmax(-1).gather(1, target)[:, 0].float()}
    otb(step)
    p = logits.softmax(-1)
    want = by_hand(p.gather(1, target)[:, 0].tolist(), (p * p).sum(-1).tolist(), lengths, sizes, reward.tolist())
    torch.testing.assert_close(step.advantage_N.double(), want, rtol=2e-5, atol=2e-6)


def test_a_step(monkeypatch):
    """Advantages of a step on the small model against whole logits of its padded completions; off is not asked."""
    start, seen = shaping.untrained(), {}
    look = lambda step: seen.update(advantage=step.advantage_N.clone(), reward=step.reward_R.tolist(),
                                    lengths=step.offsets.diff().tolist(), sizes=step.batch.group_sizes,
                                    ids=step.batch.completion_ids, problems=step.batch.problems)  # fmt: skip
    with EnginePool(1) as pool:
        runner = shaping.learner(pool, start, functions={"look": look}, scale_rewards="otb", temperature=0.8)
        grpo_step(runner, 1)
        network = shaping.learner(pool, start).vlm.model
        plain = shaping.learner(pool, start)
        monkeypatch.setattr("nsrl.trainer.contexts.objective.score_all", None)
        grpo_step(plain, 1)
    problems = seen["problems"]
    groups, first = [], 0
    for size in seen["sizes"]:
        prompt = runner.vlm.encode(problems[first])
        groups.append(shaping.Group(prompt, [list(ids) for ids in seen["ids"][first : first + size]]))
        first += size
    logits = shaping.padded_hidden(network, groups) @ network.get_output_embeddings().weight.T / 0.8
    logits[:, start.banned_ids()] = -math.inf
    p = logits.detach().double().softmax(-1)
    target = torch.tensor([t for g in groups for c in g.completions for t in c])
    pi = p.gather(1, target[:, None])[:, 0].tolist()
    want = by_hand(pi, (p * p).sum(-1).tolist(), seen["lengths"], seen["sizes"], seen["reward"])
    torch.testing.assert_close(seen["advantage"].double(), want, rtol=1e-4, atol=1e-4)
    assert len(set(seen["advantage"].tolist())) > len(seen["lengths"]), "it changes within completions"


def test_it_is_refused_where_a_member_has_its_own_advantage():
    line = ["scale_rewards=otb", "members=[{}, {given: gold, advantage: 0.1}]"]
    with pytest.raises(UserError, match="scale_rewards must not be otb where a member has an advantage of its own"):
        require_sound(parse(TrainConfig, line, ""))
    require_sound(parse(TrainConfig, ["scale_rewards=otb"], ""))
