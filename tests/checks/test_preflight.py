"""Preflight on the tiny model: the table, the budget, and what it says where there is no room."""

import dataclasses

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from nsrl.checks.preflight import cache_bytes, preflight  # noqa: E402
from nsrl.config import LoraConfig, ModelConfig  # noqa: E402
from nsrl.errors import UserError  # noqa: E402
from nsrl.models import loading  # noqa: E402
from nsrl.models.pack import Group, pack  # noqa: E402
from nsrl.models.policy import Policy  # noqa: E402
from nsrl.models.prompt import Prompt  # noqa: E402
from nsrl.trainer.optim import Optimizer  # noqa: E402
from tests.rollout import tiny  # noqa: E402

BANNED = torch.tensor(tiny.BANNED)


@pytest.fixture
def policy():
    return Policy(tiny.build(seed=40))


@pytest.fixture
def prompt():
    return dataclasses.replace(tiny.request(0, (3, 3), (2, 2), text=30).prompt, name="problem 7")


def check(policy, prompt, **more):
    options = dict(num_generations=10, max_completion_length=40, prompts_per_step=32, banned=BANNED) | more
    return preflight(policy, prompt, **options)


def test_the_table_adds_up_and_nothing_is_left_behind(policy, prompt):
    random = torch.get_rng_state()
    report = check(policy, prompt)
    weights = sum(p.numel() * 4 for p in policy.model.parameters())
    assert report.parts["weights (there already)"] == report.parts["gradients"] == weights
    assert report.parts["optimizer state"] == 2 * weights
    assert report.worst_rows == len(prompt.ids) + 10 * 39
    assert report.token_budget == 16_384, "with gigabytes free the cap decides"
    assert "problem" not in str(report) and "token budget 16384" in str(report)
    assert all(p.grad is None for p in policy.model.parameters())
    assert torch.equal(random, torch.get_rng_state())
    assert report.seconds < 60


def test_the_budget_follows_the_memory_and_holds(policy, prompt):
    generous = check(policy, prompt)
    assert 1_000 < generous.bytes_per_row < 200_000
    tight = check(policy, prompt, free=40 * 2**20)
    room = 0.85 * 40 * 2**20 - tight.parts["gradients"] - tight.parts["optimizer state"]
    assert 100 < tight.token_budget < generous.token_budget
    assert tight.parts["activations of a full micro-batch"] <= room
    full = Group(prompt, [[20] * 40] * 10)
    for batch in pack([full] * 4, tight.token_budget, image_token_id=tiny.IMAGE):
        assert batch.tokens <= tight.token_budget


def test_no_room_says_what_to_lower(policy, prompt):
    with pytest.raises(
        UserError, match=r"lower max_completion_length, data.max_prompt_length or model.max_pixels, or set"
    ):
        check(policy, prompt, free=9 * 2**20)
    with pytest.raises(UserError, match=r"\(problem 7\) has 50 tokens and a completion 40"):
        check(policy, prompt, free=9 * 2**20)
    with pytest.raises(
        UserError, match="token_budget must be at least 89 for one completion of the longest prompt; got 50"
    ):
        check(policy, prompt, token_budget=50)
    with pytest.raises(UserError, match=r"the sampler's cache of one group needs .* lower num_generations"):
        check(policy, prompt, free=20 * 2**20, num_generations=1000)


def test_a_users_budget_is_kept(policy, prompt):
    assert check(policy, prompt, token_budget=200).token_budget == 200


def test_the_cache_is_counted_as_the_sampler_holds_it(policy):
    # 3 layers × (k and v) × 1 head × 32 × 4 bytes = 768 bytes a token; prompts once, completions G times
    assert cache_bytes(policy, 50, 40, 10, 1) == 768 * (50 + 400)
    assert cache_bytes(policy, 50, 40, 10, 1000) == 768 * 51 * (50 + 400), "waves of 512 completions"


@pytest.mark.parametrize("adapter", [True, False], ids=["adapters", "all weights"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_learning_holds_is_counted_to_the_byte(adapter, dtype):
    """Against the tensors that are there after a step's backward, in the dtypes they really have."""
    vlm = loading.load(ModelConfig(dtype=dtype), LoraConfig(enabled=adapter, r=4))
    parts = check(Policy(vlm.model), Prompt([20, 21, 22])).parts
    optimizer = Optimizer(vlm.model, learning_rate=1e-3, schedule="constant", warmup=0, total=9, max_grad_norm=1.0)
    size = lambda tensors: sum(t.nbytes for t in {t.data_ptr(): t for t in tensors}.values())
    for parameter in vlm.model.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.ones_like(parameter, dtype=parameter.grad_dtype)
    gradients = size(p.grad for p in vlm.model.parameters() if p.grad is not None)
    optimizer.step()
    own = {p.data_ptr() for p in vlm.model.parameters()}
    real = {
        "weights (there already)": size(vlm.model.parameters()),
        "fp32 master weights": size(p for p in optimizer.parameters if p.data_ptr() not in own),
        "gradients": gradients,
        "optimizer state": size(s[k] for s in optimizer.inner.state.values() for k in ("exp_avg", "exp_avg_sq")),
    }
    assert {name: parts.get(name, 0) for name in real} == real
    learned = sum(p.numel() for p in vlm.model.parameters() if p.requires_grad)
    assert real["gradients"] == 4 * learned and real["optimizer state"] == 8 * learned
    assert real["fp32 master weights"] == (0 if adapter or dtype == "float32" else 4 * learned)


def test_what_others_hold_is_no_room(policy, prompt):
    """A reference model is in the table, makes the budget smaller, and leaves less for the sampler's cache."""
    learning = sum(p.numel() for p in policy.model.parameters())
    free = 60 * learning
    alone, beside = check(policy, prompt, free=free), check(policy, prompt, free=free, reference=20 * learning)
    assert "reference model" not in alone.parts and beside.parts["reference model"] == 20 * learning
    assert beside.token_budget < alone.token_budget
    with pytest.raises(UserError, match="cache of one group"):
        check(policy, prompt, free=free, reference=int(0.85 * free) - 8 * learning)


def test_a_frozen_model_needs_no_gradients(policy, prompt):
    policy.model.requires_grad_(False)
    report = check(policy, prompt)
    assert report.parts["gradients"] == report.parts["optimizer state"] == 0
