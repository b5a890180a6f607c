"""The self-check passes on the real thing and catches every injected fault by name."""

import copy
import dataclasses
import re
from dataclasses import replace
from functools import partial

import pytest
import torch

from nsrl.checks import parity_faults
from nsrl.checks.parity import ParityError, blanked, policy_score, require_agreement, self_check
from nsrl.errors import UserError
from nsrl.models.family import Fault
from nsrl.models.policy import Policy
from nsrl.models.prompt import Prompt, PromptImage
from nsrl.models.qwen_vl import family as qwen
from nsrl.models.qwen_vl import faults
from nsrl.models.qwen_vl.patches import to_pictures
from nsrl.models.registry import family_of
from nsrl.rollout.fingerprint import policy_checksum
from nsrl.rollout.native import NativeSampler
from nsrl.rollout.types import Request, SamplingParams, SyncReport
from tests.rollout import tiny as default
from tests.rollout import tiny_tokenizer

PARAMS = SamplingParams(max_tokens=8, stop_ids=(default.EOS,), banned_ids=default.BANNED, temperature=0.9)


@pytest.fixture
def requests(tiny):
    return tiny.requests(4, n=2)


@pytest.fixture
def plain(tiny):
    return tiny.build(seed=11)


def adapted(tiny, seed: int = 11):
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=4, lora_alpha=8, target_modules=r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj)")
    return peft.get_peft_model(tiny.build(seed), config).eval()


class Wrapped:
    """A sampler with a fault between it and the caller."""

    def __init__(self, inner, change=lambda r: r):
        self.inner, self.change = inner, change

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def sample(self, requests, params, on_group=None):
        return self.inner.sample([self.change(r) for r in requests], params, on_group)


def test_the_real_thing_passes_and_is_left_as_it_was(plain, requests, tiny):
    before = {k: v.clone() for k, v in plain.state_dict().items()}
    report = self_check(
        Policy(plain), NativeSampler(plain), requests, PARAMS, tokenizer=tiny_tokenizer.build(kind=tiny.kind)
    )
    assert report.most < 2e-5 and report.nudged_most < 2e-5
    assert report.trainer_effect > 0.05 and report.sampler_effect > 0.05
    assert report.seconds < 3, "the bound for the default run"
    assert "parity" in str(report)
    assert all(torch.equal(before[k], v) for k, v in plain.state_dict().items())


def test_an_adapter_passes_too(requests, tiny):
    model = adapted(tiny)
    assert self_check(Policy(model), NativeSampler(model), requests, PARAMS).most < 2e-5


def test_text_only_data_has_no_image_check(plain, tiny):
    report = self_check(Policy(plain), NativeSampler(plain), [tiny.request(0, n=2)], PARAMS)
    assert report.trainer_effect is None


def test_lost_adapter(requests, tiny):
    model = adapted(tiny)

    class Lost(NativeSampler):
        def sample(self, *args):
            with model.disable_adapter():
                return super().sample(*args)

    with pytest.raises(ParityError, match="lost adapter: the sampler computes"):
        self_check(Policy(model), Lost(model), requests, PARAMS)
    with pytest.raises(ParityError, match="lost adapter: the trainer computes"):
        policy = Policy(model)
        score = policy_score(policy, PARAMS)

        def without(*args):
            with model.disable_adapter():
                return score(*args)

        self_check(policy, NativeSampler(model), requests, PARAMS, score=without)


class Separate(NativeSampler):
    """Holds weights of its own, as an engine does; `deaf` syncs report well and copy nothing."""

    def __init__(self, model, deaf=False):
        super().__init__(copy.deepcopy(model))
        self.deaf = deaf

    def sync(self, policy):
        if not self.deaf:
            self.model.load_state_dict(policy.state_dict())
        self.version += 1
        self.last_sync = SyncReport(self.version, 1, 1, policy_checksum(policy), 0.0)
        return self.last_sync


def test_a_sync_that_does_nothing_is_caught_before_the_first_step(plain, requests):
    assert self_check(Policy(plain), Separate(plain), requests, PARAMS).nudged_most < 2e-5
    with pytest.raises(ParityError, match=r"stale weights: .*a sync that did not arrive"):
        self_check(Policy(plain), Separate(plain, deaf=True), requests, PARAMS)


def test_stale_weights_between_steps(plain, requests, tiny):
    sampler, policy = Separate(plain), Policy(plain)
    score = policy_score(policy, PARAMS)
    optimizer = torch.optim.AdamW(plain.parameters(), lr=1e-3)

    def gap():
        groups = sampler.sample(requests, PARAMS)
        sampled = torch.cat([torch.tensor(s.logps) for g in groups for s in g])
        delta = (sampled - torch.cat(score(requests, groups))).abs()
        return float(delta.max()), float(delta.mean())

    with pytest.raises(ParityError, match="never synchronised"):
        require_agreement(1.0, 1.0, policy, sampler)
    sampler.sync(plain)
    for step in range(3):
        require_agreement(*gap(), policy, sampler)
        loss = (
            plain(**tiny.inputs(list(requests[0].prompt.ids), requests[0].prompt.images))
            .logits.float()
            .logsumexp(-1)
            .mean()
        )
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if step < 2:
            sampler.sync(plain)
    with pytest.raises(ParityError, match=r"stale weights: the policy has changed since .* \(version 3\)"):
        require_agreement(*gap(), policy, sampler)


def smaller(request):
    """The request with its pictures shrunk and blown up again: the same grid, other pixels."""
    images = []
    for image in request.prompt.images:
        if image.pixels.shape[1] != 3 * 2 * 16 * 16:  # of another family: every row of a patch blurred into the next
            images.append(
                replace(image, key=f"{image.key} resized", pixels=(image.pixels + image.pixels.roll(1, -1)) / 2)
            )
            continue
        (p,) = to_pictures(image.pixels, [image.grid], patch=16, temporal=2, merge=2, mean=[0.5] * 3, std=[0.5] * 3)
        again = p.resize((p.width * 3 // 4, p.height * 3 // 4)).resize(p.size)
        out = tiny_tokenizer.image_processor()(images=[again], return_tensors="pt")
        images.append(PromptImage(f"{image.key} resized", image.grid, out["pixel_values"]))
    return dataclasses.replace(request, prompt=dataclasses.replace(request.prompt, images=tuple(images)))


def test_resized_image(plain, requests):
    with pytest.raises(ParityError, match="resized image: the sampler agrees on prompts without pictures"):
        self_check(Policy(plain), Wrapped(NativeSampler(plain), smaller), requests, PARAMS)
    policy = Policy(plain)
    score = policy_score(policy, PARAMS)
    with pytest.raises(ParityError, match="resized image: the trainer"):
        self_check(policy, NativeSampler(plain), requests, PARAMS, score=lambda r, g: score([smaller(x) for x in r], g))


def test_lost_image_and_dead_image_path(plain, requests):
    policy, sampler = Policy(plain), NativeSampler(plain)
    score = policy_score(policy, PARAMS)
    with pytest.raises(ParityError, match="lost image: the sampler"):
        self_check(policy, Wrapped(sampler, blanked), requests, PARAMS)

    def blind(r, g):
        return score([blanked(x) for x in r], g)

    with pytest.raises(ParityError, match="lost image: the trainer"):
        self_check(policy, sampler, requests, PARAMS, score=blind)
    with pytest.raises(ParityError, match=r"trainer's image path is dead"):
        self_check(policy, Wrapped(sampler, blanked), requests, PARAMS, score=blind)


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        (faults.as_text, "as if they were text"),
        (faults.by_product, r"\+ rows × columns"),
        (faults.time_only, "time axis alone"),
    ],
)
def test_wrong_mrope_positions_in_the_sampler(plain, requests, monkeypatch, axes, message):
    if not family_of(plain).faults()[0].cause.startswith("wrong mRoPE"):
        pytest.skip("this family has no mRoPE")
    right = qwen.prompt_positions

    def wrong(ids, grids, image_token_id, merge):
        positions, _ = right(ids, grids, image_token_id, merge)
        image = torch.tensor([t == image_token_id for t in ids])
        moved = axes(torch.from_numpy(positions)[:, None], image)[:, 0]
        return moved.numpy(), int(moved[0, -1]) + 1

    monkeypatch.setattr(qwen, "prompt_positions", wrong)
    with pytest.raises(ParityError, match=rf"wrong mRoPE: the sampler.*{message}"):
        self_check(Policy(plain), NativeSampler(plain), requests, PARAMS)


def test_faults_inside_the_model_are_named_in_the_sampler(plain, requests):
    """The axes of mRoPE laid out in another way, tiles put together in another way."""
    inside = [fault for fault in family_of(plain).faults() if fault.within is not Fault.within]
    assert inside
    for fault in inside:

        class Faulty(NativeSampler):
            def sample(self, *args, fault=fault):
                with fault.within(self.family):
                    return super().sample(*args)

        with pytest.raises(ParityError, match=re.escape(fault.cause.format("sampler"))):
            self_check(Policy(plain), Faulty(plain), requests, PARAMS)


def test_wrong_tokenizer(plain, requests, tiny):
    build, image = partial(tiny_tokenizer.build, kind=tiny.kind), next(iter(family_of(plain).control_tokens))

    def check(tokenizer, params=PARAMS):
        self_check(Policy(plain), NativeSampler(plain), requests, params, tokenizer=tokenizer)

    shifted = build(first=(tiny_tokenizer.control(tiny.kind)[4],))
    with pytest.raises(UserError, match=rf"wrong tokenizer: {re.escape(image)} is id 3"):
        check(shifted)
    large = build()
    large.add_tokens(["<one_more>"])
    with pytest.raises(UserError, match="wrong tokenizer: it has 301 tokens and the model's embedding 300"):
        check(large)
    with pytest.raises(UserError, match="wrong tokenizer: its end of turn"):
        check(build(), dataclasses.replace(PARAMS, stop_ids=(7,)))
    text = build()("aabab", add_special_tokens=False)["input_ids"]
    other = build(merges=(("a", "b"),))
    with pytest.raises(UserError, match=r"does not survive decoding and encoding \(5 ids, 3 after\)"):
        parity_faults.require_tokenizer(other, family_of(plain), PARAMS, [Request(Prompt(text))])


def test_training_with_a_cut_distribution_is_refused(plain, requests):
    with pytest.raises(UserError, match="top_p must be 1 and top_k 0 for training"):
        self_check(Policy(plain), NativeSampler(plain), requests, dataclasses.replace(PARAMS, top_k=5))
