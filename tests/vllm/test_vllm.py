"""Real vLLM behind the sampler interface: the same numbers as the trainer, before and after real GRPO steps."""

import dataclasses

import pytest

pytest.importorskip(
    "vllm.sampling_params", reason="vLLM is not installed here; `make test-vllm` makes an environment that has it"
)
import torch

import nsrl_kernels
from nsrl.checks.parity import ParityError, policy_score, require_agreement, self_check
from nsrl.data.chat import Chat
from nsrl.data.shapes import Shapes
from nsrl.errors import UserError
from nsrl.models import small
from nsrl.models.pack import Group, pack
from nsrl.models.policy import Policy
from nsrl.models.qwen3_vl import Qwen3VL
from nsrl.models.qwen_vl import family as qwen
from nsrl.models.vlm import VLM
from nsrl.rollout import vllm as backend
from nsrl.rollout.native import NativeSampler
from nsrl.rollout.types import Finish, Request, SamplingParams
from nsrl.types import Problem
from tests.rollout import tiny, tiny_tokenizer

TOLERANCE = 2e-5  # the stated max |Δ log-prob| in fp32; measured 7e-6
PARAMS = SamplingParams(max_tokens=16, stop_ids=(tiny.EOS, *range(10, 30)), banned_ids=tiny.BANNED)


def gap(engine, policy, requests, params=PARAMS):
    """(max, mean) |sampler − trainer| of fresh samples, and the samples."""
    groups = engine.sample(requests, params)
    sampled = torch.cat([torch.tensor(s.logps) for g in groups for s in g])
    delta = (sampled - torch.cat(policy_score(policy, params)(requests, groups))).abs()
    return float(delta.max()), float(delta.mean()), groups


def fresh(engine, seed):
    model = tiny.build(seed=seed)
    engine.sync(model)
    return model


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_logps_agree_with_the_trainer(engine, temperature):
    model = fresh(engine, 20)
    params = dataclasses.replace(PARAMS, temperature=temperature)
    most, _, groups = gap(engine, Policy(model), tiny.requests(6, n=10), params)
    assert most < TOLERANCE
    assert all(len(g) == 10 for g in groups)
    samples = [s for g in groups for s in g]
    assert not {t for s in samples for t in s.token_ids} & set(tiny.BANNED)
    assert {s.finish for s in samples} == {Finish.STOP, Finish.LENGTH}
    for s in samples:
        assert (s.finish is Finish.STOP) == (s.token_ids[-1] in PARAMS.stop_ids)
        assert len(s.token_ids) == len(s.logps) <= 16


def test_greedy_is_the_native_samplers(engine):
    model = fresh(engine, 21)
    params = dataclasses.replace(PARAMS, temperature=0.0)
    ours, theirs = (s.sample(tiny.requests(6, n=2), params) for s in (NativeSampler(model), engine))
    assert [[s.token_ids for s in g] for g in ours] == [[s.token_ids for s in g] for g in theirs]


def test_a_head_of_the_turn_is_prompt_here_too(engine):
    """Prompts as a run makes them, pictures and all, that end with the opening of a program."""
    model, tokenizer = fresh(engine, 24), tiny_tokenizer.build()
    tokenizer.chat_template = small.CHAT_TEMPLATE.replace("PICTURE", Qwen3VL.small_picture)
    vlm = VLM(model, tokenizer, tiny_tokenizer.image_processor(), "tiny", False, Chat(mode="nsl", prefill="open"))
    prompts = [vlm.encode(p) for p in [*Shapes(1, 0, 3).test(), Problem("text", "2+3?", "5")]]
    head = vlm.token_ids("<nsl>")
    assert all(prompt.ids[-len(head) :] == head == prompt.template_ids[-len(head) :] for prompt in prompts)
    requests = [Request(prompt, 4, index, index) for index, prompt in enumerate(prompts)]
    most, _, groups = gap(engine, Policy(model), requests)
    assert most < TOLERANCE and all(len(s.token_ids) <= 16 for g in groups for s in g)


def test_seeds(engine):
    fresh(engine, 20)
    requests = tiny.requests(3, n=4)
    first, again = engine.sample(requests, PARAMS), engine.sample(requests, PARAMS)
    assert [[s.token_ids for s in g] for g in first] == [[s.token_ids for s in g] for g in again]
    assert len({tuple(s.token_ids) for s in first[0]}) > 1
    other = engine.sample([dataclasses.replace(r, seed=r.seed + 99) for r in requests], PARAMS)
    assert [s.token_ids for s in other[0]] != [s.token_ids for s in first[0]]


def test_groups_arrive_one_by_one(engine):
    fresh(engine, 20)
    seen = []
    requests = tiny.requests(6, n=2)
    groups = engine.sample(requests, dataclasses.replace(PARAMS, max_tokens=40), lambda i, s: seen.append((i, s)))
    assert sorted(i for i, _ in seen) == list(range(6))
    assert all(groups[i] == samples for i, samples in seen)
    assert [i for i, _ in seen] != list(range(6)), "in the order of finishing"


def grpo_step(model, optimizer, requests, groups, params=PARAMS):
    """A GRPO update on the packed batch: the reward is the share of even token ids."""
    policy = Policy(model)
    packed = [Group(r.prompt, [s.token_ids for s in g]) for r, g in zip(requests, groups)]
    rewards = torch.tensor([[sum(t % 2 == 0 for t in s.token_ids) / len(s.token_ids) for s in g] for g in groups])
    advantages = nsrl_kernels.group_advantage(rewards.flatten(), rewards.shape[1]).advantages
    sampled = torch.cat([torch.tensor(s.logps) for g in groups for s in g])
    (batch,) = pack(packed, 1 << 14, image_token_id=tiny.IMAGE)
    scored = policy.score(batch, temperature=params.temperature, banned=torch.tensor(params.banned_ids))
    loss, _ = nsrl_kernels.policy_loss(
        scored.logp, advantages[batch.rows], cu_seqlens=batch.cu_completions, sampler_logp=sampled[batch.token_rows]
    )
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def adapter(seed):
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=4, lora_alpha=8, target_modules=r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj)")
    torch.manual_seed(seed)
    return peft.get_peft_model(tiny.build(seed=seed), config).eval()


@pytest.mark.parametrize("kind", ["full", "lora"])
def test_three_grpo_steps_with_sync_agree_and_one_without_is_caught(engine, kind, record_property):
    model = tiny.build(seed=22) if kind == "full" else adapter(22)
    policy, requests = Policy(model), tiny.requests(6, n=10)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    for step in range(3):
        report = engine.sync(model)
        most, mean, groups = gap(engine, policy, requests)
        record_property(f"{kind} step {step}", most)
        assert most < TOLERANCE
        require_agreement(most, mean, policy, engine)
        grpo_step(model, optimizer, requests, groups)
    most, mean, groups = gap(engine, policy, requests)
    assert most > 0.05, "the step must be large enough to be seen"
    with pytest.raises(ParityError, match=rf"stale weights: .*\(version {report.version}\)"):
        require_agreement(most, mean, policy, engine)
    engine.sync(model)
    assert gap(engine, policy, requests)[0] < TOLERANCE


def test_the_self_check_passes_and_leaves_the_engine_in_step(engine):
    model = fresh(engine, 23)
    report = self_check(Policy(model), engine, tiny.requests(4, n=2), PARAMS, tokenizer=tiny_tokenizer.build())
    assert report.most < TOLERANCE and report.nudged_most < TOLERANCE
    assert report.trainer_effect > 0.05 and report.sampler_effect > 0.05
    assert report.seconds < 15  # a few, on a machine that does other things as well
    assert gap(engine, Policy(model), tiny.requests(4, n=2))[0] < TOLERANCE


def test_the_self_check_catches_a_sync_that_does_not_reach_the_engine(engine, monkeypatch):
    model = fresh(engine, 24)
    monkeypatch.setattr(backend, "_reload", lambda worker, weights: list(weights))
    with pytest.raises(ParityError, match=r"stale weights: .*a sync that did not arrive"):
        self_check(Policy(model), engine, tiny.requests(4, n=2), PARAMS)
    monkeypatch.undo()
    engine.sync(model)


def test_the_self_check_catches_an_adapter_left_out_of_the_sync(engine, monkeypatch):
    model = adapter(25)
    whole = backend.merged_weights

    def without(policy):
        with policy.disable_adapter():
            yield from whole(policy)

    monkeypatch.setattr(backend, "merged_weights", without)
    engine.sync(model)
    with pytest.raises(ParityError, match="lost adapter: the sampler"):
        self_check(Policy(model), engine, tiny.requests(4, n=2), PARAMS)


def test_a_stale_head_or_a_stale_picture_cache_would_be_seen(engine):
    """What vLLM keeps outside its parameters: the tied head's packed copy, prefix blocks, encoded pictures."""
    model = fresh(engine, 26)
    requests = tiny.requests(4, n=2)
    gap(engine, Policy(model), requests)  # fills the caches
    for part in ("model.visual.merger", "model.language_model.embed_tokens", "model.language_model.layers.0.self_attn"):
        with torch.no_grad():
            for p in model.get_submodule(part).parameters():
                p.mul_(1.1)
        engine.sync(model)
        assert gap(engine, Policy(model), requests)[0] < TOLERANCE


def test_a_resized_picture_is_caught(engine, monkeypatch):
    model = fresh(engine, 27)
    requests = tiny.requests(4, n=2)
    right = qwen.to_pictures
    monkeypatch.setattr(
        qwen, "to_pictures", lambda *a, **k: [p.resize((p.width + 32, p.height)) for p in right(*a, **k)]
    )
    with pytest.raises(UserError, match="the engine resized a picture"):
        engine.sample(requests, PARAMS)
    monkeypatch.setattr(
        qwen, "to_pictures", lambda *a, **k: [p.resize((24, 24)).resize(p.size) for p in right(*a, **k)]
    )
    with pytest.raises(ParityError, match="resized image: the sampler"):
        self_check(Policy(model), engine, requests, PARAMS)


def test_sync_while_sampling_is_refused(engine):
    model = fresh(engine, 28)

    def resync(index, samples):
        engine.sync(model)

    params = dataclasses.replace(PARAMS, stop_ids=tuple(range(6, 150)), max_tokens=40)
    with pytest.raises(RuntimeError, match="while completions are being sampled"):
        engine.sample([tiny.request(0, n=1), tiny.request(1, (2, 2), n=30)], params, resync)
    engine.sync(model)
    assert gap(engine, Policy(model), tiny.requests(2, n=2))[0] < TOLERANCE


def test_more_than_fits_in_one_batch(engine):
    """Prompts wait and start while others run; on a CPU none may be cut in two (its generator cannot be rewound)."""
    model = fresh(engine, 29)
    requests = [tiny.request(i, (3, 3), text=100 + i % 7, n=10) for i in range(40)]
    most, _, groups = gap(engine, Policy(model), requests, dataclasses.replace(PARAMS, max_tokens=6))
    assert [len(g) for g in groups] == [10] * 40
    assert most < TOLERANCE
