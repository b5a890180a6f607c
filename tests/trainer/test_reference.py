"""The KL reference of an adapter is the policy at the start of GRPO: against a copy of the whole model made then."""

import copy

import pytest
import torch

from nsrl.config import LoraConfig, ModelConfig, TrainConfig, WarmStartConfig
from nsrl.data.shapes import Shapes
from nsrl.errors import UserError
from nsrl.models import loading
from nsrl.models.contexts import ADAPTER_OFF, FROZEN, POLICY
from nsrl.models.pack import Group, pack
from nsrl.models.policy import Policy
from nsrl.trainer.distributed import ALONE
from nsrl.trainer.optim import Optimizer
from nsrl.trainer.reference import bytes_held, reference, require_kept
from nsrl.trainer.supervised import supervised_step

CONFIG = TrainConfig(beta=0.05)
ADAPTER = LoraConfig(enabled=True, r=4)


def learn(vlm, policy, steps, seed):
    optimizer = Optimizer(vlm.model, learning_rate=1e-2, schedule="constant", warmup=0, total=9, max_grad_norm=1.0)
    stream = Shapes(1, seed, 0).demonstrations({"nsl": 1.0})
    for _ in range(steps):
        supervised_step(vlm, policy, optimizer, stream, 4, 4096)


def scores(vlm, policy, context=POLICY):
    problems = Shapes(1, 5, 0).unseen(3, set())
    groups = [Group(vlm.encode(p), [[40, 41, 42], [43]]) for p in problems]
    batches = pack(groups, 200, image_token_id=vlm.config.image_token_id)
    return torch.cat([policy.score(b, grad=False, entropy="none", context=context).logp for b in batches])


@pytest.fixture
def warm():
    vlm = loading.load(ModelConfig(), ADAPTER, seed=1)
    policy = Policy(vlm.model)
    learn(vlm, policy, 2, 0)
    return vlm, policy


def test_it_scores_as_a_copy_of_the_model_and_stays_so(warm, tmp_path):
    vlm, policy = warm
    start = Policy(copy.deepcopy(vlm.model))
    frozen, context = reference(CONFIG, vlm, policy, tmp_path / "reference", ALONE, starting=True)
    assert context == FROZEN
    assert torch.equal(scores(vlm, frozen, context), scores(vlm, policy))  # KL 0 at the first step
    learn(vlm, policy, 2, 1)
    vlm.save(tmp_path / "checkpoint")
    want = scores(vlm, start)
    assert torch.equal(scores(vlm, frozen, context), want)
    now = scores(vlm, policy)
    assert (now - want).abs().max() > 1e-2  # the policy is its own again
    assert (scores(vlm, policy, ADAPTER_OFF) - want).abs().max() > 1e-2

    other = loading.load(ModelConfig(), ADAPTER, seed=1)  # resumed: another process
    loading.load_weights(other, tmp_path / "checkpoint")
    policy = Policy(other.model)
    frozen, context = reference(CONFIG, other, policy, tmp_path / "reference", ALONE, starting=False)
    assert torch.equal(scores(other, frozen, context), want)
    assert torch.equal(scores(other, policy), now)


def test_an_adapter_that_has_learned_nothing_is_switched_off(tmp_path):
    vlm = loading.load(ModelConfig(), ADAPTER, seed=1)
    policy = Policy(vlm.model)
    start = scores(vlm, policy)
    for starting in (True, False):
        frozen, context = reference(CONFIG, vlm, policy, tmp_path / "reference", ALONE, starting)
        assert context == ADAPTER_OFF
        learn(vlm, policy, 1, 0)
        assert torch.equal(scores(vlm, frozen, context), start)


def test_beta_needs_a_start_that_was_kept(warm, tmp_path):
    vlm, policy = warm
    assert reference(TrainConfig(beta=0), vlm, policy, tmp_path / "reference", ALONE, starting=True)[0] is None
    assert not (tmp_path / "reference").exists()
    with pytest.raises(UserError, match=r"beta cannot be 0\.05 from here on"):
        require_kept(CONFIG, tmp_path / "reference")
    require_kept(TrainConfig(beta=0), tmp_path / "reference")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "lora,tower,steps", [(LoraConfig(), None, 0), (ADAPTER, True, 0), (ADAPTER, True, 2), (ADAPTER, False, 0)]
)
def test_preflight_knows_what_it_will_hold(lora, tower, steps, dtype, tmp_path):
    vlm = loading.load(ModelConfig(dtype=dtype, freeze_vision_tower=tower), lora, seed=1)
    config = TrainConfig(beta=0.05, warm_start=WarmStartConfig(steps=steps))
    expected = bytes_held(config, vlm)
    policy = Policy(vlm.model)
    if steps:
        learn(vlm, policy, steps, 0)
    scorer, context = reference(config, vlm, policy, tmp_path / "reference", ALONE, starting=True)
    held = list((scorer.frozen or {}).values()) if scorer is policy else list(scorer.model.parameters())
    assert (context == ADAPTER_OFF) == (not held)
    assert expected == sum(t.nbytes for t in {t.data_ptr(): t for t in held}.values())
    assert bytes_held(TrainConfig(beta=0.0), vlm) == 0
