"""The native sampler against transformers' own forward and generate."""

import dataclasses
import importlib.util
import random

import pytest
import torch

from nsrl.errors import UserError
from nsrl.rollout.native import NativeSampler
from nsrl.rollout.types import Finish, SamplingParams
from tests.rollout import tiny as default

TOLERANCE = 2e-5  # fp32 log-probs of a random model whose logits reach 20


@pytest.fixture(scope="module")
def model(tiny):
    return tiny.build()


@pytest.fixture
def requests(tiny):
    return tiny.requests(6, n=3)


def params(max_tokens=16, stop_ids=(default.EOS,), **more):
    return SamplingParams(max_tokens=max_tokens, stop_ids=stop_ids, banned_ids=default.BANNED, **more)


def worst(model, requests, groups, **how):
    return max(
        float((default.score(model, r, s.token_ids, **how) - torch.tensor(s.logps)).abs().max())
        for r, group in zip(requests, groups)
        for s in group
    )


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_logps_are_those_of_the_models_own_forward(model, requests, temperature):
    groups = NativeSampler(model).sample(requests, params(temperature=temperature))
    assert [len(g) for g in groups] == [r.n for r in requests]
    assert worst(model, requests, groups, temperature=temperature) < TOLERANCE


def test_greedy_is_identical_to_generate(model, tiny):
    requests = tiny.requests(6)
    stop = tuple(range(10, 40))
    groups = NativeSampler(model).sample(requests, params(24, stop, temperature=0.0))
    for request, (sample,) in zip(requests, groups):
        out = model.generate(
            **tiny.inputs(list(request.prompt.ids), request.prompt.images),
            max_new_tokens=24,
            do_sample=False,
            eos_token_id=list(stop),
            suppress_tokens=list(tiny.BANNED),
        )
        assert sample.token_ids == out[0, len(request.prompt.ids) :].tolist()
    finishes = {sample.finish for (sample,) in groups}
    assert Finish.STOP in finishes, "the test wants a prompt that stops early"


def test_results_do_not_depend_on_order_or_company(model, tiny):
    requests = tiny.requests(12, n=4)
    sampler, how = NativeSampler(model), params(20, tuple(range(10, 25)))
    reference = sampler.sample(requests, how)
    assert sampler.stats.compactions > 0, "the test wants finished samples dropped"
    shuffled = list(range(12))
    random.Random(1).shuffle(shuffled)
    for order, groups in [
        (shuffled, sampler.sample([requests[i] for i in shuffled], how)),
        (range(12), [sampler.sample([r], how)[0] for r in requests]),
        (range(12), NativeSampler(model, max_sequences=7).sample(requests, how)),
        (range(12), NativeSampler(model, max_cache_bytes=768 * 500).sample(requests, how)),
    ]:
        for i, group in zip(order, groups):
            assert [s.token_ids for s in group] == [s.token_ids for s in reference[i]]
            for a, b in zip(group, reference[i]):
                assert a.logps == pytest.approx(b.logps, abs=TOLERANCE)


def test_fewer_samples_are_the_first_of_more(model, tiny):
    sampler = NativeSampler(model)
    ten = sampler.sample([tiny.request(3, (2, 3), n=10)], params())[0]
    two = sampler.sample([tiny.request(3, (2, 3), n=2)], params())[0]
    assert [s.token_ids for s in two] == [s.token_ids for s in ten[:2]]
    assert len({tuple(s.token_ids) for s in ten}) > 5, "samples of one group must differ"


def test_unequal_groups_and_repeated_runs(model, tiny):
    requests = [tiny.request(i, (2, 2), n=n) for i, n in enumerate((1, 7, 2, 5))]
    sampler = NativeSampler(model)
    first = sampler.sample(requests, params(12, tuple(range(10, 60))))
    again = sampler.sample(requests, params(12, tuple(range(10, 60))))
    assert [len(g) for g in first] == [1, 7, 2, 5]
    assert first == again, "the same call twice must agree bit for bit"
    assert worst(model, requests, first) < TOLERANCE


def test_finish_says_why(model, requests):
    stop = tuple(range(10, 40))
    for group in NativeSampler(model).sample(requests, params(10, stop)):
        for sample in group:
            assert len(sample.token_ids) == len(sample.logps) <= 10
            assert not set(sample.token_ids[:-1]) & set(stop)
            assert (sample.finish is Finish.STOP) == (sample.token_ids[-1] in stop)
            if sample.finish is Finish.LENGTH:
                assert len(sample.token_ids) == 10


def test_banned_tokens_are_never_drawn_and_have_no_mass(model, tiny):
    request = tiny.request(0, (2, 2), n=50)
    free = SamplingParams(max_tokens=8)
    banned = tuple(range(200))
    drawn = {t for s in NativeSampler(model).sample([request], free)[0] for t in s.token_ids}
    assert drawn & set(banned), "without bans these tokens do occur"
    group = NativeSampler(model).sample([request], SamplingParams(max_tokens=8, banned_ids=banned))[0]
    assert not {t for s in group for t in s.token_ids} & set(banned)
    assert worst(model, [request], [group], banned=banned) < TOLERANCE


def test_each_distinct_image_is_encoded_once_and_each_prompt_computed_once(model, tiny):
    images = tiny.request(0, (2, 2), (3, 2))
    same = [tiny.request(0, (2, 2), (3, 2), text=20 + i, n=5, problem=i) for i in range(4)]
    sampler = NativeSampler(model, max_sequences=10)
    groups = sampler.sample(same, params(4))
    assert sampler.stats.images_encoded == 2
    assert sampler.stats.patches_encoded == sum(len(i.pixels) for i in images.prompt.images)
    assert sampler.stats.prompt_tokens == sum(len(r.prompt.ids) for r in same), "the prompt once, not G times"
    assert worst(model, same, groups) < TOLERANCE


def test_the_vision_tower_in_parts(model, requests):
    whole = NativeSampler(model).sample(requests, params(6))
    parts = NativeSampler(model, max_patches=20).sample(requests, params(6))
    assert [[s.token_ids for s in g] for g in whole] == [[s.token_ids for s in g] for g in parts]


def test_groups_are_handed_on_while_others_still_run(model, tiny):
    requests = [tiny.request(i, (2, 2), n=2, problem=i) for i in range(8)]
    sampler, seen = NativeSampler(model), []
    rows = []

    def on_group(index, samples):
        seen.append(index)
        rows.append(sampler.stats.rows_computed)

    groups = sampler.sample(requests, params(40, tuple(range(10, 30))), on_group)
    assert sorted(seen) == list(range(8))
    assert len(set(rows)) > 3, "groups must come one after another, not all at the end"
    lengths = [max(len(s.token_ids) for s in groups[i]) for i in seen]
    assert lengths == sorted(lengths), "in the order of finishing"


def test_an_error_in_the_callback_is_not_swallowed(model, tiny):
    def broken(index, samples):
        raise RuntimeError("engine gone")

    with pytest.raises(RuntimeError, match="engine gone"):
        NativeSampler(model).sample([tiny.request(0)], params(2), broken)


def test_long_completions_outgrow_the_first_cache(model, tiny):
    request = tiny.request(1, (2, 2), n=3)
    groups = NativeSampler(model).sample([request], params(150, ()))
    assert len(groups[0][0].token_ids) == 150
    assert worst(model, [request], groups) < TOLERANCE


def test_lora_is_sampled_with_and_its_dropout_is_not(tiny):
    peft = pytest.importorskip("peft")
    base = tiny.build(seed=3)
    request = tiny.request(5, (2, 3), n=4)
    plain = NativeSampler(base).sample([request], params())
    config = peft.LoraConfig(
        r=4,
        lora_alpha=8,
        lora_dropout=0.5,
        init_lora_weights=False,
        target_modules=r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj)",
    )
    torch.manual_seed(1)
    model = peft.get_peft_model(base, config)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "lora_" in name:
                p.normal_(std=0.1)
    model.train()
    groups = NativeSampler(model).sample([request], params())
    assert model.training, "the mode is put back"
    assert worst(model, [request], groups) < TOLERANCE
    assert [s.token_ids for s in groups[0]] != [s.token_ids for s in plain[0]], "the adapter changes what is sampled"
    with model.disable_adapter():
        off = NativeSampler(model).sample([request], params())
    assert [s.token_ids for s in off[0]] == [s.token_ids for s in plain[0]]


def test_grouped_heads_and_biased_projections():
    model = default.build(seed=4, num_attention_heads=4, num_key_value_heads=2, attention_bias=True)
    requests = default.requests(6, n=3)
    assert worst(model, requests, NativeSampler(model).sample(requests, params())) < TOLERANCE


def test_bfloat16_agrees_to_its_own_precision(tiny):
    model = tiny.build(seed=5, dtype=torch.bfloat16)
    requests = tiny.requests(4, n=2)
    groups = NativeSampler(model).sample(requests, params(8))
    assert worst(model, requests, groups) < 0.5
    exact = tiny.build(seed=5)
    exact.load_state_dict(model.state_dict())  # transformers 5.17 draws other weights where the dtype is another
    assert worst(exact, requests, groups) < 1.0


def test_wrong_input_is_named(model, tiny):
    sampler = NativeSampler(model)
    good = tiny.request(0, (2, 2))
    missing = dataclasses.replace(
        good, prompt=dataclasses.replace(good.prompt, ids=[t for t in good.prompt.ids if t != tiny.IMAGE])
    )
    with pytest.raises(UserError, match="must hold 4 image placeholders"):
        sampler.sample([missing], params())
    with pytest.raises(UserError, match="max_tokens must be at least 1"):
        SamplingParams(max_tokens=0)
    with pytest.raises(UserError, match="nothing ever stops"):
        SamplingParams(max_tokens=4, stop_ids=(1,), banned_ids=(1,))
    with pytest.raises(UserError, match="top_p must be 1"):
        SamplingParams(max_tokens=4, top_p=0.9).for_training()
    with pytest.raises(UserError, match="family that nsrl knows .*; got Linear"):
        NativeSampler(torch.nn.Linear(2, 2))
    with pytest.raises(UserError, match="got another one"):
        sampler.sync(tiny.build(seed=9))


def test_what_does_not_fit_the_models_positions_is_said_before_work(model, tiny):
    positions = model.config.text_config.max_position_embeddings
    sampler, request = NativeSampler(model), tiny.request(0, (2, 2), problem=7)
    length = len(request.prompt.ids)
    (group,) = sampler.sample([request], params(positions - length, tuple(range(10, 290))))
    assert group[0].finish is Finish.STOP
    with pytest.raises(UserError, match=rf"2048 positions; got a prompt of {length} tokens \(request 7\)"):
        sampler.sample([tiny.request(1), request], params(positions - length + 1))


def test_sync_reports_a_checksum_that_follows_the_weights(tiny):
    model = tiny.build(seed=6)
    sampler = NativeSampler(model)
    first = sampler.sync(model)
    assert sampler.sync(model).checksum == first.checksum
    before = sampler.sample([tiny.request(0, n=2)], params())
    with torch.no_grad():
        model.lm_head.weight.mul_(1.01)
    assert sampler.sync(model).checksum != first.checksum
    after = sampler.sample([tiny.request(0, n=2)], params())
    assert before != after, "no copy of older weights is left"


def test_a_missing_vllm_is_said_only_when_it_is_asked_for(model):
    from nsrl.errors import MissingBackend
    from nsrl.rollout.vllm import VllmSampler  # importing the room needs nothing

    if importlib.util.find_spec("vllm") and importlib.util.find_spec("vllm").origin:
        pytest.skip("vLLM is installed here")
    with pytest.raises(MissingBackend, match="sampler 'vllm' needs vLLM"):
        VllmSampler(model, None, None, max_model_len=64)
    with pytest.raises(UserError, match=r"memory_share must be between 0 and 1; got 1\.5"):
        VllmSampler(model, None, None, max_model_len=64, memory_share=1.5)
