"""Completions of several turns in TRL's place: its tool mask on the padded model, and the loss over what is left."""

import random

import pytest
import torch

from nsrl.models.pack import Group
from nsrl.models.policy import Policy
from nsrl_kernels import Objective, policy_loss
from tests.models.packing_cases import IMAGE, small_model

pytest.importorskip("trl", reason="TRL is not installed here; `make test-peers` makes an environment that has it")
from tests.peers.test_trl_loss import LIMIT, G, make
from tests.peers.trl_oracle import Oracle

LOSSES = {"dapo": "token", "grpo": "sequence", "dr_grpo": "fixed"}


class Masked(Oracle):
    """TRL after an environment's turn: what `_generate` returns third says which tokens the policy wrote."""

    def _generate(self, prompts):
        ids, completions, _, *rest = super()._generate(prompts)
        return ids, completions, [list(map(int, mask)) for g in self.groups for mask in g.masks], *rest


@pytest.mark.parametrize("loss_type", LOSSES)
@pytest.mark.parametrize("pictures", ("text only", "several images"))
def test_what_was_shown_is_in_no_loss_as_in_trl(loss_type, pictures):
    groups, rewards = make(pictures, f"turns/{loss_type}")
    rng = random.Random(f"turns/{loss_type}/{pictures}")
    groups = [
        Group(g.prompt, g.completions, [[rng.random() < 0.6 for _ in c[:-1]] + [True] for c in g.completions])
        for g in groups
    ]
    rows = G * len(groups)
    theirs = Masked(
        small_model(), None, image_token=IMAGE, rows=rows, num_generations=G, max_completion_length=LIMIT,
        loss_type=loss_type, scale_rewards="group",
    )  # fmt: skip
    inputs = theirs.inputs(groups, rewards)
    want, wanted = theirs.backward(inputs), theirs.gradients()
    model = small_model()
    policy = Policy(model)
    lengths = torch.tensor([sum(mask) for g in groups for mask in g.masks])
    divisor = {"dapo": float(lengths.sum()), "grpo": float(rows), "dr_grpo": float(rows * LIMIT)}[loss_type]
    advantage_R = inputs["advantages"].float()
    total = 0.0
    for batch in policy.pack(groups, 4096):
        scored = policy.score(batch)
        loss, _ = policy_loss(
            scored.logp, advantage_R[batch.rows], cu_seqlens=batch.cu_completions,
            objective=Objective(loss_type=loss_type), max_length=LIMIT, normalizer=divisor,
        )  # fmt: skip
        loss.backward()
        total += loss.item()
    assert total == pytest.approx(want, abs=1e-6)
    for name, p in model.named_parameters():
        if p.grad is not None:
            assert torch.allclose(p.grad, wanted[name], atol=1e-5), name
