"""Turns through vLLM: its cached prefixes, pictures that come in between, texts that stop it."""

import random
from dataclasses import replace

import pytest

pytest.importorskip(
    "vllm.sampling_params", reason="vLLM is not installed here; `make test-vllm` makes an environment that has it"
)
import torch

from nsrl.checks.parity import policy_score
from nsrl.models.policy import Policy
from nsrl.rollout.turns import Rules, converse
from nsrl.rollout.types import StopTexts
from tests.rollout import tiny, tiny_tokenizer
from tests.rollout.test_turns import Teller
from tests.vllm.test_vllm import PARAMS, TOLERANCE


@pytest.mark.parametrize("pictures", (False, True))
def test_logps_of_every_turn_agree_with_the_trainer(engine, pictures):
    model = tiny.build(seed=27)
    engine.sync(model)
    requests = tiny.requests(4, n=3)
    rules = Rules(3, stop_ids=tuple(range(30, 60)))
    found = converse(engine.sample, requests, PARAMS, rules, Teller(random.Random(0), pictures=pictures))
    assert any(len(s.turns) > 2 for of in found for s in of)
    policy = Policy(model)
    if pictures:  # alone: the self-check packs what has none
        from nsrl.models.pack import Group

        for request, of in zip(requests, found):
            group = Group(request.prompt, [s.token_ids for s in of], [s.mask for s in of], [s.images for s in of])
            group = group if any(group.images) else replace(group, images=())
            banned = torch.tensor(PARAMS.banned_ids)
            for batch in policy.pack([group], 4096):
                scored = policy.score(batch, banned=banned, grad=False)
                sampled = torch.tensor([p for s in of for p in s.logps])[batch.token_rows]
                assert (scored.logp - sampled).abs().max() < TOLERANCE
        return
    sampled = torch.cat([torch.tensor(s.logps) for of in found for s in of])
    scored = torch.cat(policy_score(policy, PARAMS)(requests, found))
    assert (sampled - scored).abs().max() < TOLERANCE


def test_a_text_of_several_tokens_stops_it(engine):
    model = tiny.build(seed=28)
    engine.sync(model)
    tokenizer = tiny_tokenizer.build()
    decode = lambda ids: tokenizer.decode(ids, skip_special_tokens=False)
    params = replace(PARAMS, max_tokens=40, stop_ids=(tiny.EOS,))
    free = engine.sample(tiny.requests(4, n=4), params)
    text = decode(free[0][0].token_ids[3:5])
    texts = StopTexts((text,), frozenset(range(tiny.VOCAB)), decode)
    for of in engine.sample(tiny.requests(4, n=4), replace(params, stop_texts=texts)):
        for sample in of:
            end = texts.end(sample.token_ids)
            assert end is None or end == len(sample.token_ids)
