"""The packed policy against transformers' own padded forward: hidden states, log-probs, gradients, speed."""

import time
from functools import partial

import pytest
import torch

from nsrl.models.contexts import BLANK_IMAGES, POLICY
from nsrl.models.pack import pack
from nsrl.models.padded import padded_hidden
from nsrl.models.policy import Policy
from nsrl.models.registry import SMALL
from tests.models.kinds import KINDS, has_deepstack
from tests.models.packing_cases import IMAGE, cases, default_run_groups, middle_model, small_model

CASES = {kind: cases(kind) for kind in KINDS}
# of a family that is not the built-in model's, "mixed" stands for all cases, which it consists of
RUNS = [
    (name, case, budget)
    for name in (*KINDS, "2B structure")
    for case in cases()
    for budget in (10_000, 70)
    if name in (SMALL, "2B structure") or case == "mixed" or (case in ("text only", "one image") and budget > 70)
]
MODELS = {kind: partial(small_model, kind=kind) for kind in KINDS} | {"2B structure": middle_model}


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    return MODELS[request.param]()


@pytest.fixture
def batches(model):
    return CASES[model.config.model_type]


def logp_of(model, hidden, target):
    return torch.log_softmax(hidden @ model.lm_head.weight.T, -1).gather(1, target[:, None])[:, 0]


def grpo_loss(logp, old, advantage, weight):
    """A clipped GRPO objective; every argument is per token."""
    ratio = (logp - old).exp()
    return -(torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.28) * advantage) * weight).sum()


def per_token(groups, seed=1):
    """Targets, old log-prob noise, advantages and weights of all completions' tokens, one after the other."""
    g = torch.Generator().manual_seed(seed)
    size = torch.tensor([len(c) for x in groups for c in x.completions])
    target = torch.cat([torch.tensor(c) for x in groups for c in x.completions])
    advantage = torch.randn(len(size), generator=g).repeat_interleave(size)
    return target, 0.2 * torch.randn(len(target), generator=g), advantage, (1 / size).repeat_interleave(size)


def gradients(model):
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(("model", "case", "budget"), RUNS, indirect=["model"])
def test_hidden_states_logps_and_gradients_equal_transformers(model, batches, case, budget):
    groups = batches[case]
    target, noise, advantage, weight = per_token(groups)
    model.zero_grad()
    want = padded_hidden(model, groups)
    want_logp = logp_of(model, want, target)
    old = want_logp.detach() + noise
    grpo_loss(want_logp, old, advantage, weight).backward()
    want_grad = gradients(model)

    model.zero_grad()
    policy, seen = Policy(model), []
    for batch in pack(groups, budget, image_token_id=IMAGE):
        assert batch.tokens <= budget
        rows = batch.token_rows
        assert torch.equal(batch.target, target[rows])
        hidden = policy.hidden(batch)
        assert (hidden - want[rows]).abs().max() <= 1e-5
        logp = logp_of(model, hidden, batch.target)
        assert (logp - want_logp[rows]).abs().max() <= 1e-5
        grpo_loss(logp, old[rows], advantage[rows], weight[rows]).backward()
        seen.append(rows)
    assert torch.equal(torch.cat(seen).sort().values, torch.arange(len(target)))
    got = gradients(model)
    assert set(got) == set(want_grad)
    whole = torch.cat([g.flatten() for g in want_grad.values()]).norm()
    for name, grad in want_grad.items():
        scale = max(grad.norm(), 1e-3 * whole)  # biases of a softmax's keys have no gradient but rounding
        assert (got[name] - grad).norm() <= 1e-4 * scale, name


def test_images_and_deepstack_matter(model, batches):
    """The comparison above can fail: without DeepStack, or with images blacked out, it does."""
    groups = batches["one image"]
    (batch,) = pack(groups, 10_000, image_token_id=IMAGE)
    policy = Policy(model)
    with torch.no_grad():
        real = policy.hidden(batch)
        assert (policy.hidden(batch, context=BLANK_IMAGES) - real).abs().max() > 1e-2
        if not has_deepstack(model):
            return
        visual, _ = policy.encode(batch, POLICY)
        policy.encode = lambda batch, context: (visual, [])
        assert (policy.hidden(batch) - real).abs().max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_deepstack_behind_the_last_layer_too(kind):
    """One layer and one DeepStack feature: all rows are needed until the end."""
    model, groups = small_model(kind=kind, num_hidden_layers=1), CASES[kind]["one image"]
    (batch,) = pack(groups, 10_000, image_token_id=IMAGE)
    want = padded_hidden(model, groups)[batch.token_rows]
    assert (Policy(model).hidden(batch) - want).abs().max() <= 1e-5


def test_gradient_checkpointing_changes_nothing(model, batches):
    groups = batches["mixed"]
    _target, noise, advantage, weight = per_token(groups)
    (batch,) = pack(groups, 10_000, image_token_id=IMAGE)
    rows, results = batch.token_rows, []
    for checkpointing in (False, True):
        model.zero_grad()
        logp = logp_of(model, Policy(model, checkpointing=checkpointing).hidden(batch), batch.target)
        grpo_loss(logp, logp.detach() + noise[rows], advantage[rows], weight[rows]).backward()
        results.append((logp.detach(), gradients(model)))
    assert torch.equal(results[0][0], results[1][0])
    for name, grad in results[0][1].items():
        assert torch.allclose(results[1][1][name], grad, rtol=1e-4, atol=1e-6), name


def test_default_run_update_is_at_least_one_and_a_half_times_faster_than_padded():
    model = small_model()
    groups = default_run_groups()
    target, noise, advantage, weight = per_token(groups)
    policy = Policy(model)
    batches = pack(groups, 6_000, image_token_id=IMAGE)

    def packed():
        model.zero_grad()
        for batch in batches:
            rows = batch.token_rows
            logp = logp_of(model, policy.hidden(batch), batch.target)
            grpo_loss(logp, logp.detach() + noise[rows], advantage[rows], weight[rows]).backward()

    def padded():
        model.zero_grad()
        logp = logp_of(model, padded_hidden(model, groups), target)
        grpo_loss(logp, logp.detach() + noise, advantage, weight).backward()

    def seconds(f):
        start = time.perf_counter()
        f()
        return time.perf_counter() - start

    ratios = []
    for _ in range(3):  # again only where the machine was busy with something else
        slow = seconds(padded)
        want = gradients(model)
        ratios.append(slow / seconds(packed))
        if ratios[-1] >= 1.5:
            break
    got = gradients(model)
    for name, grad in want.items():
        assert torch.allclose(got[name], grad, rtol=1e-3, atol=1e-4 * grad.abs().max().item() + 1e-7), name
    assert max(ratios) >= 1.5, ratios
