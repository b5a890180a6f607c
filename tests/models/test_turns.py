"""Completions of several turns: what the policy was shown is context; it is no target and counts nowhere."""

import pytest
import torch

from nsrl.engines import extract
from nsrl.errors import UserError
from nsrl.models.pack import Group, pack
from nsrl.models.padded import padded_hidden
from nsrl.models.policy import Policy
from nsrl.rewards import RewardBatch
from nsrl.rollout.types import Finish, Sample, Turn
from nsrl.types import Problem
from tests.models.packing_cases import IMAGE, cases, small_model


def masked(seed: int) -> list[Group]:
    """The mixed cases, half of their completions with random stretches that were shown (also first and last ones)."""
    rng = torch.Generator().manual_seed(seed)
    groups = []
    for group in cases()["mixed"]:
        masks = []
        for completion in group.completions:
            mask = (torch.rand(len(completion), generator=rng) < 0.6).tolist()
            masks.append(mask if any(mask) and torch.rand((), generator=rng) < 0.5 else None)
        groups.append(Group(group.prompt, group.completions, masks))
    return groups


@pytest.mark.parametrize("budget", [10_000, 60])
def test_written_tokens_are_scored_as_in_the_padded_forward(budget):
    """Values and gradients; whatever the micro-batches, `token_rows` says where a token's value belongs."""
    seed = int(torch.randint(1 << 30, ()))
    groups, model = masked(seed), small_model()
    policy = Policy(model)
    batches = pack(groups, budget, image_token_id=IMAGE)
    everything = [c for g in groups for c in g.completions]
    written = [
        t
        for g in groups
        for i, c in enumerate(g.completions)
        for j, t in enumerate(c)
        if not g.masks[i] or g.masks[i][j]
    ]
    weight = torch.randn(len(written), generator=torch.Generator().manual_seed(seed))
    got = torch.zeros(len(written))
    for batch in batches:
        scored = policy.score(batch)
        (scored.logp * weight[batch.token_rows]).sum().backward()
        got[batch.token_rows] = scored.logp.detach()
        assert batch.cu_completions.diff().tolist() == [
            sum(m) if (m := [m for g in groups for m in g.masks][r]) else len(everything[r]) for r in batch.rows
        ], seed
    gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    logits = padded_hidden(model, groups) @ model.lm_head.weight.T
    want = logits.log_softmax(-1).gather(1, torch.tensor(written)[:, None])[:, 0]
    assert (got - want.detach()).abs().max() <= 1e-5, seed
    (want * weight).sum().backward()
    whole = torch.cat([p.grad.flatten() for p in model.parameters()]).norm()
    for name, p in model.named_parameters():
        assert (gradients[name] - p.grad).norm() <= 1e-4 * max(p.grad.norm(), 1e-3 * whole), (seed, name)


def test_a_single_turn_is_the_batch_it_always_was():
    groups = cases()["mixed"]
    plain = pack(groups, 10_000, image_token_id=IMAGE)[0]
    for masks in ([None], [[True]]):
        full = [Group(g.prompt, g.completions, [masks[0] and [True] * len(c) for c in g.completions]) for g in groups]
        other = pack(full, 10_000, image_token_id=IMAGE)[0]
        for name, tensor in vars(plain).items():
            if isinstance(tensor, torch.Tensor):
                assert torch.equal(tensor, getattr(other, name)), name


def test_masks_that_do_not_fit_are_named():
    prompt = cases()["text only"][0].prompt
    for masks, words in (
        ([[True]], "an entry per token"),
        ([[False, False]], "one of them True"),
        ([None, None], "one per completion"),
    ):
        with pytest.raises(UserError, match=words):
            pack([Group(prompt, [[1, 2]], masks)], 999, image_token_id=IMAGE)


def test_a_sample_of_turns_counts_what_was_written():
    sample = Sample((Turn([5, 6, 7], [-1.0, -2.0, -3.0]), Turn([9, 9], None), Turn([8], [-4.0])), Finish.STOP)
    assert sample.token_ids == [5, 6, 7, 9, 9, 8] and sample.written_ids == [5, 6, 7, 8]
    assert sample.logps == [-1.0, -2.0, -3.0, -4.0] and sample.mask == [True] * 3 + [False] * 2 + [True]
    single = Sample.single([5, 6], [-1.0, -2.0], Finish.LENGTH)
    assert single.mask is None and single.written_ids is single.token_ids is single.turns[0].token_ids
    problem = Problem("p", "?", "4")
    batch = RewardBatch(
        [problem] * 2,
        ["4", "4"],
        [sample.token_ids, [1, 2]],
        [extract("4")] * 2,
        [None] * 2,
        [2],
        masks=[sample.mask, None],
    )
    assert batch.lengths == [4, 2]
