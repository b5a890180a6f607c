"""Turns against transformers' own forward on the whole conversation: what is sampled, packed and scored is one sequence
of which the policy wrote a part."""

import random
from dataclasses import replace

import pytest
import torch

from nsrl.errors import UserError
from nsrl.models.pack import Group
from nsrl.models.padded import padded_hidden
from nsrl.models.policy import Policy
from nsrl.rollout.native import NativeSampler
from nsrl.rollout.turns import Rules, Shown, conversation, converse, written
from nsrl.rollout.types import Finish, Request, Sample, SamplingParams, StopTexts, Turn
from tests.rollout import tiny as default

STOP = 40  # ends a turn, where EOS ends the completion


def said(rng, length):
    return [rng.randrange(10, 95) for _ in range(length)]


def shown(tiny, rng, picture):
    """A text, or a text around a picture of random pixels, as the policy is shown it."""
    head, tail = said(rng, rng.randint(1, 4)), said(rng, rng.randint(1, 3))
    if not picture:
        return Shown([*head, *tail], [*head, *tail])
    images = tiny.images((rng.randint(1, 2), rng.randint(1, 3)), seed=rng.randrange(10**6))
    marks = [default.IMAGE] * (images[0].grid[0] * images[0].grid[1] * images[0].grid[2] // 4)
    return Shown([*head, *marks, *tail], [*head, default.IMAGE, *tail], images)


def talked(tiny, rng, pictures):
    """A completion of one to three turns of random tokens."""
    turns = []
    for number in range(rng.randint(1, 3)):
        if number:
            one = shown(tiny, rng, pictures and rng.random() < 0.7)
            turns.append(Turn(one.ids, None, one.images, one.template_ids))
        ids = said(rng, rng.randint(1, 6))
        turns.append(Turn(ids, [0.0] * len(ids)))
    return Sample(tuple(turns), Finish.STOP)


@pytest.mark.parametrize("pictures", (False, True))
def test_the_whole_with_its_mask_scores_as_the_sum_of_its_turns(tiny, pictures):
    """Packed, with gradient, in one budget and in many: transformers' padded forward of the whole conversation is the
    oracle of each token, and of a turn the packed score of that turn alone behind all that came before it."""
    rng = random.Random(f"turns/{tiny.kind}/{pictures}")
    model = tiny.build(seed=3)
    policy = Policy(model)
    requests = tiny.requests(4)
    samples = [[talked(tiny, rng, pictures) for _ in range(3)] for _ in requests]
    groups = [
        Group(r.prompt, [s.token_ids for s in of], [s.mask for s in of],
              [s.images for s in of] if any(s.images for s in of) else ())
        for r, of in zip(requests, samples)
    ]  # fmt: skip
    count = sum(len(s.written_ids) for of in samples for s in of)
    wanted = (padded_hidden(model, groups) @ policy.head.T).log_softmax(-1)
    target = torch.tensor([i for of in samples for s in of for i in s.written_ids])
    wanted = wanted.gather(-1, target[:, None])[:, 0]
    (wanted * torch.arange(count)).sum().backward()
    gradient = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    for budget in (4096, 90):
        model.zero_grad()
        found = torch.full((count,), torch.nan)
        for batch in policy.pack(groups, budget):
            scored = policy.score(batch)
            assert torch.equal(batch.target, target[batch.token_rows])
            assert batch.cu_completions.diff().tolist() == [
                len([s for of in samples for s in of][row].written_ids) for row in batch.rows.tolist()
            ]
            found[batch.token_rows] = scored.logp.detach()
            (scored.logp * batch.token_rows).sum().backward()
        assert torch.allclose(found, wanted.detach(), atol=1e-5), budget
        for name, p in model.named_parameters():
            if name in gradient:
                scale = gradient[name].abs().max() + 1
                assert torch.allclose(p.grad, gradient[name], atol=2e-5 * float(scale)), name
    at = 0
    for request, of in zip(requests, samples):
        for sample in of:
            total = 0.0
            for number, turn in enumerate(sample.turns):
                if turn.logps is not None:
                    before = conversation(request.prompt, sample.turns[:number])
                    (alone,) = policy.pack([Group(before, [turn.token_ids])], 4096)
                    total += float(policy.score(alone, grad=False).logp.double().sum())
            length = len(sample.written_ids)
            assert total == pytest.approx(float(found[at : at + length].double().sum()), abs=1e-5)
            at += length


def test_a_completion_with_pictures_is_refused_where_they_do_not_fit(model):
    policy, request = Policy(model), default.request(0, (2, 2))
    (image,) = default.images((1, 2), seed=9)
    for ids, images, words in (
        ([20, default.IMAGE, 30], [(image,)], "a completion has 1 image placeholders; its 1 images need 2"),
        ([20, default.IMAGE, default.IMAGE], [(image,)], "a completion must end by a token of the policy"),
        ([20, 30], [(), ()], r"images must be none or one tuple per completion \(1\); got 2"),
    ):
        with pytest.raises(UserError, match=words):
            policy.pack([Group(request.prompt, [ids], images=images)], 4096)


class Teller:
    """Answers each turn that may be answered; remembers all that it heard, in order."""

    def __init__(self, rng, silent=lambda place: False, pictures=False):
        self.rng, self.silent, self.pictures = rng, silent, pictures
        self.asked, self.over = [], {}

    def heard(self, place, sample, asked):
        self.asked.append((place, sample, asked))
        if not asked:
            return None
        return lambda: None if self.silent(place) else shown(default, random.Random(f"{place}"), self.pictures)

    def ended(self, place, sample):
        assert place not in self.over
        self.over[place] = sample


PARAMS = SamplingParams(24, stop_ids=(default.EOS, 50), banned_ids=default.BANNED)


def run(model, requests, rules, partner, params=PARAMS):
    sampler = NativeSampler(model)
    return converse(sampler.sample, requests, params, rules, partner)


@pytest.mark.parametrize("pictures", (False, True))
def test_what_is_sampled_in_turns_is_the_policys_own(model, pictures):
    """Log-probs are those of transformers on the conversation; seeds make it the same again, whoever else is there;
    budgets, turns and stops are kept."""
    requests = default.requests(4, n=3)
    rules = Rules(3, stop_ids=(STOP, *range(60, 75)))
    partner = Teller(random.Random(1), lambda place: place[1] == 2, pictures)
    drawn = run(model, requests, rules, partner)
    assert {place: partner.over[place] for place in partner.over} == {
        (i, g): one for i, of in enumerate(drawn) for g, one in enumerate(of)
    }
    assert {len([t for t in s.turns if t.logps is not None]) for of in drawn for s in of} == {1, 2, 3}
    for request, of in zip(requests, drawn):
        for sample in of:
            assert written(sample) == len(sample.logps) <= PARAMS.max_tokens
            if sample.finish is Finish.LENGTH:
                assert written(sample) == PARAMS.max_tokens
            for number, turn in enumerate(sample.turns):
                if turn.logps is not None:
                    before = conversation(request.prompt, sample.turns[:number])
                    wanted = default.score(model, replace(request, prompt=before), turn.token_ids)
                    assert torch.allclose(torch.tensor(turn.logps), wanted, atol=1e-5)
                    last = number == len(sample.turns) - 1
                    stops = {*PARAMS.stop_ids, *(rules.stop_ids if number < 4 else ())}
                    assert not stops & {*turn.token_ids[:-1]}
                    assert last or turn.token_ids[-1] in stops
    ids = [[s.token_ids for s in of] for of in drawn]
    again = run(model, requests, rules, Teller(random.Random(1), lambda place: place[1] == 2, pictures))
    assert [[s.token_ids for s in of] for of in again] == ids
    alone = Teller(random.Random(1), lambda place: place[1] == 2, pictures)
    assert [s.token_ids for s in run(model, requests[:1], rules, alone)[0]] == ids[0]


def test_one_turn_is_the_sampler_itself(model):
    requests, partner = default.requests(3, n=2), Teller(random.Random(0))
    calls = []

    def sample(*args):
        calls.append(args)
        return NativeSampler(model).sample(*args)

    found = converse(sample, requests, PARAMS, Rules(1), partner)
    assert found == NativeSampler(model).sample(requests, PARAMS) and len(calls) == 1
    assert not any(asked for _, _, asked in partner.asked)


def test_the_forced_answer_comes_when_the_tokens_are_used_up(model):
    """GLM's: what is shown at the end of the budget, behind which the reserve is left; nothing else is asked then."""
    params = replace(PARAMS, stop_ids=(default.EOS,))
    rules = Rules(1, on_length=Shown([30, 31], [30, 31]), reserve=5)
    requests, partner = default.requests(3, n=2), Teller(random.Random(0))
    found = run(model, requests, rules, partner, params)
    for sample in (s for of in found for s in of):
        if len(sample.turns) == 1:
            assert sample.finish is Finish.STOP and len(sample.token_ids) <= 19
            continue
        first, forced, last = sample.turns
        assert len(first.token_ids) == 19 and forced.token_ids == [30, 31] and forced.logps is None
        assert 1 <= len(last.token_ids) <= 5 and default.EOS not in first.token_ids
    assert any(len(s.turns) == 3 for of in found for s in of)
    with pytest.raises(UserError, match="reserve must be below the tokens of a completion"):
        run(model, requests, replace(rules, reserve=24), partner)


def test_a_request_may_have_fewer_tokens_than_the_call(model):
    requests = [replace(r, max_tokens=most) for r, most in zip(default.requests(4, n=2), (None, 3, 1, 99))]
    params = replace(PARAMS, max_tokens=8)
    found, whole = (
        NativeSampler(model).sample(requests, params),
        NativeSampler(model).sample(default.requests(4, n=2), params),
    )
    for of, all_of, most in zip(found, whole, (8, 3, 1, 8)):
        for one, other in zip(of, all_of):
            assert one.token_ids == other.token_ids[:most]
            assert one.finish is (other.finish if len(other.token_ids) <= most and other.finish is Finish.STOP
                                  else Finish.LENGTH)  # fmt: skip
    with pytest.raises(UserError, match="max_tokens must be at least 1 or None; got 0"):
        Request(requests[0].prompt, max_tokens=0)


def test_stop_texts_of_several_tokens_end_where_they_are_whole(model):
    """Characters as tokens: the end is where the text first stands in what was written, as found by a plain search."""
    decode = lambda ids: "".join(chr(i + 22) if 10 <= i < 105 else "\ufffd" for i in ids)
    requests = default.requests(4, n=4)
    params = replace(PARAMS, max_tokens=40, stop_ids=(default.EOS,))
    free = NativeSampler(model).sample(requests, params)
    rng = random.Random(5)
    texts = []
    for of in free:  # what it writes anyway
        ids = rng.choice(of).token_ids
        at = rng.randrange(len(ids) - 2)
        texts.append(decode(ids[at : at + 2]))
    last = frozenset(i for i in range(default.VOCAB) if any(decode([i]) == text[-1] for text in texts))
    stopped = NativeSampler(model).sample(requests, replace(params, stop_texts=StopTexts(tuple(texts), last, decode)))
    cut = 0
    for of, all_of in zip(stopped, free):
        for one, other in zip(of, all_of):
            places = [
                n for n in range(1, len(other.token_ids) + 1) if any(t in decode(other.token_ids[:n]) for t in texts)
            ]
            end = places[0] if places else len(other.token_ids)
            assert one.token_ids == other.token_ids[:end] and one.logps == pytest.approx(other.logps[:end], abs=1e-5)
            assert one.finish is (Finish.STOP if places else other.finish)
            cut += bool(places)
    assert cut >= 4


def test_what_vllm_is_asked_and_what_it_gives_back():
    """Without vLLM: texts are its to find where there are some, and a completion that one ended has ended."""
    from types import SimpleNamespace

    from nsrl.rollout.vllm import _sample, _stop_texts

    texts = StopTexts(("</nsl>",), frozenset({7}), lambda ids: "")
    assert _stop_texts(PARAMS) == {"detokenize": False}
    asked = _stop_texts(replace(PARAMS, stop_texts=texts))
    assert asked["stop"] == ["</nsl>"] and asked["detokenize"] and asked["include_stop_str_in_output"]
    for reason, last, finish in (
        (None, 9, Finish.LENGTH),
        ("</nsl>", 9, Finish.STOP),
        (default.EOS, default.EOS, Finish.STOP),
    ):
        steps = [{20: SimpleNamespace(logprob=-1.0)}, {last: SimpleNamespace(logprob=-2.0)}]
        found = _sample(SimpleNamespace(token_ids=[20, last], logprobs=steps, stop_reason=reason), PARAMS)
        assert (found.token_ids, found.logps, found.finish) == ([20, last], [-1.0, -2.0], finish)


def test_a_device_that_is_looked_at_now_and_then_finds_the_same_ends():
    """Stop texts in the latest tokens of running samples, against a search in all that they wrote."""
    from nsrl.rollout.ends import Ends

    rng = random.Random()
    decode = lambda ids: "".join(chr(97 + i) for i in ids)
    texts = StopTexts(("ab", "cad", "bbbb"), frozenset({1, 3}), decode)
    ends = Ends(replace(PARAMS, stop_texts=texts), default.requests(1, n=1) * 9, 100, torch.device("cpu"))
    for _ in range(50):
        out = torch.tensor([[rng.randrange(5) for _ in range(24)] for _ in range(9)])
        latest = rng.choice((1, 2, 8))
        ended: set[int] = set()
        for step in range(latest - 1, 24, latest):
            running = [s for s in range(9) if s not in ended]
            found = ends.by_text(running, out, step, latest) if running else set()
            assert found == {s for s in running if any(t in decode(out[s, : step + 1].tolist()) for t in texts.texts)}
            ended |= found
