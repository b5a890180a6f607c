"""The same tokens scored elsewhere, and terms of the loss of it: against dense logits of whole padded rows."""

import dataclasses
import math

import pytest
import shaping
import torch

from nsrl.config import ObjectiveConfig, TrainConfig, parse
from nsrl.config.acts import require_acting
from nsrl.config.sound import notes_on
from nsrl.errors import UserError
from nsrl.models.contexts import BLANK_IMAGES, Context
from nsrl.models.pack import Group, pack
from nsrl.models.policy import Policy
from nsrl.models.vision import altered
from nsrl.trainer import contexts
from nsrl.trainer import loss as objective
from nsrl.trainer.loop import grpo_step
from nsrl_kernels import Objective

MASKED = {"masked": {"images": "black", "share": 0.6}}


def step(runner, number=1):
    """(metrics, gradients of the first update, the groups sampled with what they earned)."""
    shaping.SEEN.clear()
    gradients = shaping.seen_gradients(runner)
    metrics, _ = grpo_step(runner, number)
    return metrics, gradients[0] if gradients else None, list(shaping.SEEN)


def closeness(got, want):
    """The largest difference of gradients, relative to the largest gradient."""
    scale = max(float(g.abs().max()) for g in want.values())
    return max(float((got[n] - want[n]).abs().max()) for n in want) / scale


# -- what a context draws ----------------------------------------------------------------------------------------------


def test_patches_are_drawn_by_seed_step_picture_and_patch():
    """Not by the place in a batch: other pictures beside, before and behind it change nothing."""
    pixels = torch.randn(4000, 12)
    one, many = [("a", 4000)], [("b", 700), ("a", 4000), ("c", 1)]
    beside = torch.cat([torch.randn(700, 12), pixels, torch.randn(1, 12)])
    for images in ("black", "noise"):
        context = Context(images=images, share=0.6, sigma=0.4, seed=3, step=7)
        alone = altered(pixels, one, context, (-1.0, -0.5, 0.0))
        assert torch.equal(altered(beside, many, context, (-1.0, -0.5, 0.0))[700:4700], alone)
        paint = shaping.black(3, 7, 0.6) if images == "black" else shaping.noise(3, 7, 0.6, 0.4)
        assert torch.equal(altered(pixels, one, context, (-1.0, -1.0, -1.0)), paint("a", pixels))
        touched = (alone != pixels).any(1)
        assert abs(float(touched.float().mean()) - 0.6) < 5 * math.sqrt(0.24 / 4000)
        for other in (dataclasses.replace(context, seed=4), dataclasses.replace(context, step=8)):
            assert not torch.equal((altered(pixels, one, other, (0.0, 0.0, 0.0)) != pixels).any(1), touched)
        assert not torch.equal((altered(pixels, [("b", 4000)], context, (0.0,) * 3) != pixels).any(1), touched)
        if images == "noise":
            added = (alone - pixels)[touched]
            assert abs(float(added.std()) - 0.4) < 0.02 and abs(float(added.mean())) < 0.02
    whole = altered(pixels, one, Context(images="black", seed=9), (-1.0, -0.5, 0.0))
    assert torch.equal(whole, torch.tensor([-1.0, -0.5, 0.0]).repeat_interleave(4).expand(4000, 12))


def test_scores_of_a_context_are_the_same_in_any_packing(start):
    """In one micro-batch or several, in any order of the groups; with share 1 they are those of blank images."""
    problems = shaping.Shapes(1, 5, 0).unseen(4, set())
    groups = [Group(start.encode(p), [[40, 41, 42], [43, 44]]) for p in problems]
    policy = Policy(start.model)
    config, banned = TrainConfig(), torch.tensor([], dtype=torch.long)

    def scored(order, budget, context):
        batches = pack([groups[i] for i in order], budget, image_token_id=start.config.image_token_id)
        found = objective.score_all(policy, batches, 5 * len(order), config, banned, context)
        return found.view(len(order), 5)[torch.tensor(order).argsort()]

    for context in (Context(images="black", share=0.5, seed=1, step=2), Context(images="noise", seed=1, step=2)):
        whole = scored([0, 1, 2, 3], 9999, context)
        assert (scored([3, 1, 0, 2], 120, context) - whole).abs().max() < 2e-6
        assert (whole - scored([0, 1, 2, 3], 9999, Context())).abs().max() > 1e-3
    assert torch.equal(
        scored([0, 1, 2, 3], 9999, Context(images="black", share=1.0, seed=5, step=6)),
        scored([0, 1, 2, 3], 9999, BLANK_IMAGES),
    )


# -- terms -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", (4096, 90))
def test_papo_against_dense_logits(pool, start, budget):
    """L = mean over tokens of [-A ratio + beta k3(ref) - gamma k3(masked) + eta (-logp)], arXiv 2507.06448."""
    gamma, eta, beta = 0.02, 0.03, 0.04
    runner = shaping.learner(
        pool,
        start,
        budget=budget,
        contexts=MASKED,
        terms={"masked": -gamma},
        beta=beta,
        seed=4,
        objective=ObjectiveConfig(nll_coef=eta, nll_on="all"),
    )
    frozen = shaping.learner(pool, start).vlm.model
    with torch.no_grad():
        for p in frozen.parameters():
            p += 0.01 * torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel()))
    runner.reference = Policy(frozen)
    metrics, got, batches = step(runner, 3)

    network = shaping.learner(pool, start).vlm.model.double()
    groups, advantage_R = shaping.sampled(runner, batches, live=False)
    assert (advantage_R.view(-1, shaping.G) == 0).all(1).any()  # dead groups too: the terms need them
    advantage = shaping.per_token(groups, advantage_R.double())
    logp, _ = shaping.dense(start, network, groups)
    with torch.no_grad():
        masked, _ = shaping.dense(start, network, groups, shaping.black(4, 3, 0.6))
        ref, _ = shaping.dense(start, frozen.double(), groups)
    k3 = lambda gap: (gap.clamp(-20, 20).exp() - gap.clamp(-20, 20) - 1).clamp(-10, 10)
    per_token = -advantage * (logp - logp.detach()).exp() + beta * k3(ref - logp) - gamma * k3(masked - logp)
    loss = (per_token + eta * -logp).mean()
    loss.backward()
    want = {n: p.grad.float() for n, p in network.named_parameters() if p.grad is not None}
    assert metrics["loss"] == pytest.approx(float(loss.detach()), abs=1e-6)
    assert closeness(got, want) < 2e-5
    assert metrics["contexts/masked/k3"] == pytest.approx(float(k3(masked - logp.detach()).mean()), rel=1e-4)
    assert metrics["terms/masked"] == -gamma


def test_a_term_in_double_precision_to_a_millionth(pool, start):
    """The same formula where rounding is no excuse: loss and gradient of one backward in float64."""
    runner = shaping.learner(
        pool, start, contexts=MASKED, terms={"masked": -0.3}, objective=ObjectiveConfig(nll_coef=0.03, nll_on="all")
    )
    runner.vlm.model.double()
    network = shaping.learner(pool, start).vlm.model.double()
    problems = shaping.Shapes(1, 6, 0).unseen(3, set())
    groups = [Group(start.encode(p), [[40, 41, 42], [43, 44]]) for p in problems]
    batches = runner.policy.pack(groups, 4096)
    advantage_R = torch.linspace(-1, 1, 6).double()
    blind = Context(images="black", share=0.6, step=1)
    (masked_N,) = [runner.policy.score(b, banned=runner.banned, grad=False, context=blind).logp for b in batches]
    vector = objective.backward(
        runner.policy, batches, advantage_R, None, None, None, 15.0, runner.config, runner.banned, runner.timer,
        shaped=objective.Shaped(terms=((masked_N, -0.3),)),
    )  # fmt: skip
    logp, _ = shaping.dense(start, network, groups)
    with torch.no_grad():
        masked, _ = shaping.dense(start, network, groups, shaping.black(0, 1, 0.6))
    gap = (masked - logp).clamp(-20, 20)
    loss = -shaping.per_token(groups, advantage_R) * (logp - logp.detach()).exp()
    loss = (loss - 0.3 * (gap.exp() - gap - 1).clamp(-10, 10) - 0.03 * logp).mean()
    loss.backward()
    assert float(vector[0]) == pytest.approx(float(loss.detach()), abs=1e-6)
    got = {n: p.grad for n, p in runner.vlm.model.named_parameters() if p.grad is not None}
    want = {n: p.grad for n, p in network.named_parameters() if p.grad is not None}
    assert got.keys() == want.keys() and closeness(got, want) < 1e-6


def test_beta_is_the_term_of_the_model_without_its_adapter(pool):
    start = shaping.untrained(lora=True)
    runs = {}
    for name, options in {
        "beta": {"beta": 0.05},
        "term": {"contexts": {"ref": {"adapter": False}}, "terms": {"ref": 0.05}},
    }.items():
        runner = shaping.learner(pool, start, lr=1e-2, **options)
        runs[name] = [step(runner, number)[:2] for number in (1, 2, 3)]
    for (a, first), (b, second) in zip(runs["beta"], runs["term"]):
        assert a["loss"] == pytest.approx(b["loss"], abs=1e-7)
        assert closeness(first, second) < 1e-6
    assert abs(runs["beta"][2][0]["kl"]) > 1e-4  # and there was something to tell apart
    assert runs["term"][2][0]["contexts/ref/k3"] == pytest.approx(runs["beta"][2][0]["kl"], rel=1e-3)


def test_schedules_groups_without_spread_and_terms_of_nothing(pool, start, monkeypatch):
    """A coefficient of 0 costs no pass; dead groups are there when a term needs them, or as `dead_groups` says."""
    asked = []
    inner = objective.score_all
    monkeypatch.setattr(objective, "score_all", lambda *a, **k: asked.append(1) or inner(*a, **k))
    terms = {"masked": "0 until 2 then -0.02"}
    runner = shaping.learner(pool, start, contexts=MASKED, terms=terms)
    plain = shaping.learner(pool, start)
    for done in (0, 1):
        runner.progress = (done, 4)
        (a, first, _), (b, second, _) = step(runner, done + 1), step(plain, done + 1)
        assert asked == [] and a["loss"] == b["loss"] and closeness(first, second) == 0
    runner.progress = (2, 4)
    metrics = step(runner, 3)[0]
    assert asked == [1] and metrics["terms/masked"] == -0.02 and metrics["timing_s/contexts"] >= 0
    assert contexts.coefficients(TrainConfig(contexts=MASKED, terms={"masked": "linear 1 0"}), (3, 4)) == {
        "masked": 0.25
    }

    tokens = {}
    for how in ("auto", "keep", "drop"):
        runner = shaping.learner(pool, start, contexts=MASKED, terms={"masked": 0.1}, dead_groups=how, seed=4)
        metrics, _, batches = step(runner)
        groups, advantage_R = shaping.sampled(runner, batches, live=how == "drop")
        network = shaping.learner(pool, start).vlm.model.double()
        logp, _ = shaping.dense(start, network, groups)
        with torch.no_grad():
            masked, _ = shaping.dense(start, network, groups, shaping.black(4, 1, 0.6))
        gap = masked - logp
        loss = -shaping.per_token(groups, advantage_R.double()) * (logp - logp.detach()).exp()
        loss = (loss + 0.1 * (gap.exp() - gap - 1)).mean()
        assert metrics["loss"] == pytest.approx(float(loss.detach()), abs=2e-6)
        tokens[how] = len(logp)
    assert tokens["auto"] == tokens["keep"] > tokens["drop"]


def test_clamps_are_papos_where_the_objective_has_none():
    assert (objective.clamped(Objective()).kl_log_clamp, objective.clamped(Objective()).kl_clamp) == (20.0, 10.0)
    own = Objective(kl_log_clamp=5.0, kl_clamp=0.0)
    assert objective.clamped(own) == own
    gaps = torch.tensor([-30.0, -1.0, 0.0, 1.0, 30.0])
    want = [10.0, math.exp(-1), 0.0, math.e - 2, 10.0]
    assert contexts.k3(torch.zeros(5), gaps).tolist() == pytest.approx(want, abs=1e-6)


# -- another prompt ----------------------------------------------------------------------------------------------------


def test_another_prompt_stands_in_front_of_the_same_completions(pool, start, tmp_path):
    """Without the picture, and as a function puts it: against dense logits behind that prompt."""
    file = tmp_path / "asks.py"
    file.write_text(
        "from dataclasses import replace\n\ndef shorter(problem):\n"
        "    return replace(problem, question='<image>What is the answer?')\n"
    )
    entries = {
        "blind": {"prompt": {"images": "none"}},
        "short": {"prompt": f"{file}:shorter", "images": "black", "share": 0.3},
    }
    runner = shaping.learner(pool, start, contexts=entries, terms={"blind": 0.1, "short": -0.1}, budget=60)
    metrics, _, batches = step(runner)
    groups, advantage_R = shaping.sampled(runner, batches, live=False)
    problems = [batch.problems[rows[0]] for batch in batches for rows in batch.groups()]
    network = shaping.learner(pool, start).vlm.model
    logp, _ = shaping.dense(start, network, groups)
    k3 = {}
    for name, paint in (("blind", None), ("short", shaping.black(0, 1, 0.3))):
        others = [
            Group(contexts.encoded(runner.vlm, name, entries[name]["prompt"], p), g.completions)
            for p, g in zip(problems, groups)
        ]
        assert all((name == "blind") == (not g.prompt.images) for g in others)
        gap = (shaping.dense(start, network, others, paint)[0] - logp).detach()
        k3[name] = float((gap.exp() - gap - 1).mean())
        assert k3[name] > 1e-5
        assert metrics[f"contexts/{name}/k3"] == pytest.approx(k3[name], rel=1e-3)
    policy = -float(shaping.per_token(groups, advantage_R).mean())
    assert metrics["loss"] == pytest.approx(policy + 0.1 * k3["blind"] - 0.1 * k3["short"], abs=1e-5)


# -- keys --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["contexts.a.imagse=black"], r"contexts\.a has keys .*; got 'imagse'; did you mean 'images'"),
        (["contexts.a=3"], r"contexts\.a must be a mapping such as .*; got '3'"),
        (["contexts={A: {}}"], "contexts must have names of small letters"),
        (["contexts.a.share=.5"], r"contexts\.a\.share is for images: black or noise; got images: keep"),
        (["contexts.a.images=black", "contexts.a.sigma=1"], r"contexts\.a\.sigma is for images: noise"),
        (["contexts.a.images=black", "contexts.a.share=0"], r"contexts\.a\.share must be above 0 and at most 1; got 0"),
        (["contexts.a.prompt=foo"], r"contexts\.a\.prompt must be FILE\.py:function or keys of prompt; got 'foo'"),
        (["contexts.a.prompt.mode=nls"], r"contexts\.a\.prompt\.mode must be one of .*; got 'nls'"),
        (["terms.a=1"], r"terms\.a must name a context \(contexts has none\); got 'a'"),
        (["contexts.a.images=black", "terms.a=much"], r"terms\.a must be `constant A`.*; got 'much'"),
        (["contexts.a.images=black", "terms.a=1e9"], r"terms\.a must lie between .*; got '1e9'"),
    ],
)
def test_values_that_make_no_context(argv, words):
    with pytest.raises(UserError, match=words):
        parse(TrainConfig, argv, "nsrl")


def test_contexts_that_cannot_act_are_refused_before_a_model_is_loaded(tmp_path):
    said = lambda *argv: parse(TrainConfig, list(argv), "nsrl")
    with pytest.raises(UserError, match=r"contexts cannot act here, because no term .* needs contexts\.a"):
        require_acting(said("contexts.a.images=black"))
    with pytest.raises(UserError, match="dead_groups cannot act here, because groups without spread have no gradient"):
        require_acting(said("dead_groups=keep"))
    with pytest.raises(UserError, match=r"contexts\.a\.adapter must be true where a model learns with all its weights"):
        notes_on(said("contexts.a.adapter=false", "terms.a=0.1"))
    assert notes_on(said("contexts.a.adapter=false", "terms.a=0.1", "lora.enabled=true")) == []
    with pytest.raises(UserError, match=r"contexts\.a\.prompt: no file"):
        notes_on(said(f"contexts.a.prompt={tmp_path}/none.py:f", "terms.a=0.1"))
    with pytest.raises(UserError, match=r"contexts\.a\.prompt\.system must be a file that can be read"):
        notes_on(said(f"contexts.a.prompt.system={tmp_path}/none.txt", "terms.a=0.1"))
    config = said(
        "contexts={b: {adapter: false, prompt: {images: none}}}", "terms.b=cosine 0.04 0", "contexts.m.images=black"
    )
    assert config.contexts == {"b": {"adapter": False, "prompt": {"images": "none"}}, "m": {"images": "black"}}
