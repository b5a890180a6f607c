"""Groups whose completions are not alike: against today's step, dense log-probs, and the statistics without them."""

import json
import math
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import shaping
import torch

from nsrl.config import TrainConfig, parse
from nsrl.config.sound import notes_on, require_sound
from nsrl.engines import EnginePool
from nsrl.errors import UserError
from nsrl.models.pack import Group
from nsrl.trainer.loop import grpo_step
from nsrl.trainer.metrics import CLOCK_KEYS

HERE = Path(__file__).resolve().parent
LONG = 24  # tokens: the gold programs of level 1 fit


@pytest.fixture(scope="module")
def pool():
    with EnginePool(1) as pool:
        yield pool


@pytest.fixture(scope="module")
def start():
    return shaping.untrained()


def learner(pool, start, members, **options):
    return shaping.learner(pool, start, members=members, **{"max_completion_length": LONG} | options)


def no_clocks(metrics):
    return {k: v for k, v in metrics.items() if not k.startswith((*CLOCK_KEYS, "members/"))}


def asked(runner):
    """Every request and every sampled completion of the following steps."""
    found, inner = [], runner.sampler.sample

    def sample(requests, params, on_group=None):
        done = inner(requests, params, on_group)
        found.extend(zip(requests, done))
        return done

    runner.sampler.sample = sample
    return found


def gradient(network):
    return {n: p.grad for n, p in network.named_parameters() if p.grad is not None}


def distance(got, want):
    scale = max(float(g.abs().max()) for g in want.values())
    return max(float((got[n] - want[n]).abs().max()) for n in want) / scale


def test_members_that_are_all_alike_are_the_step_without(pool, start):
    plain, alike = learner(pool, start, []), learner(pool, start, [{"n": 3}, {"n": 1}])
    options = {
        "dynamic_sampling": 1,
        "reward_noise": 0.3,
        "contexts": {"m": {"images": "black"}},
        "terms": {"m": "-.1"},
    }
    more, less = (learner(pool, start, members, **options) for members in ([], [{"n": 2}, {}]))
    for number in (1, 2, 3):
        for a, b in ((plain, alike), (more, less)):
            (one, rows), (other, others) = grpo_step(a, number), grpo_step(b, number)
            assert (
                no_clocks(one) == no_clocks(other)
                and "members/plain/n" in other
                and not any("members" in k for k in one)
            )
            assert [{k: v for k, v in row.items() if k != "member"} for row in others] == rows
    weights = alike.vlm.model.state_dict()
    assert all(torch.equal(v, weights[n]) for n, v in plain.vlm.model.state_dict().items())


def test_a_given_member_alone_has_the_gradient_of_weighted_nll(pool, start):
    """-w sum(log p) of the gold programs, over all tokens of the update; what is sampled beside it counts nothing."""
    runner = learner(pool, start, [{"n": 4, "advantage": 0}, {"given": "gold", "advantage": 0.7}], budget=130)
    gradients = shaping.seen_gradients(runner)
    shaping.SEEN.clear()
    metrics, _ = grpo_step(runner, 1)
    (batch,) = shaping.SEEN
    rows = [i for i, given in enumerate(batch.given) if given]
    texts = [start.tokenizer.decode(list(batch.completion_ids[i])[:-1]) for i in rows]
    stream = shaping.Shapes(1, 0, 10)
    assert texts == [stream.gold(batch.problems[i], "nsl") for i in rows] and all(batch.correct[i] for i in rows)
    network = shaping.learner(pool, start).vlm.model
    logp, _ = shaping.dense(start, network, [
        Group(start.encode(batch.problems[i]), [list(batch.completion_ids[i])]) for i in rows
    ])  # fmt: skip
    (-0.7 * logp.sum() / sum(batch.lengths)).backward()
    assert distance(gradients[0], gradient(network)) < 5e-5
    assert metrics["loss"] == pytest.approx(-0.7 * len(logp) / sum(batch.lengths), abs=1e-6)
    assert metrics["reward"] == pytest.approx(float(torch.tensor(
        [v for v, given in zip(shaping.spread(batch), batch.given) if not given]).mean()))  # fmt: skip


def test_noisy_pictures_and_hints_against_dense_log_probs(pool, start):
    """What each completion saw when it was sampled, what it is learned behind, and the gradient of the whole group."""
    members = [{"n": 1}, {"n": 2, "images": "noise", "sigma": 0.9, "patches": 0.5},
               {"n": 1, "hint": "gold", "score_as": "plain"}, {"given": "gold"}]  # fmt: skip
    runner = learner(pool, start, members, scale_rewards="none", budget=150)
    gradients, requests = shaping.seen_gradients(runner), asked(runner)
    shaping.SEEN.clear()
    metrics, _ = grpo_step(runner, 1)
    (batch,) = shaping.SEEN
    network, paint = shaping.learner(pool, start).vlm.model, shaping.noise(0, 1, 0.5, 0.9)
    rewards, loss, tokens, counted = shaping.spread(batch), 0.0, sum(batch.lengths), 0
    for rows in batch.groups():
        problem, names = batch.problems[rows[0]], [batch.members[i] for i in rows]
        assert names == ["plain", "hint", "given", "noise", "noise"]
        prompt = start.encode(problem)
        r = torch.tensor([rewards[i] for i in rows])
        advantage = r - r.mean()
        if r.max() == r.min():
            continue
        ids = [list(batch.completion_ids[i]) for i in rows]
        counted += sum(batch.lengths[i] for i in rows if batch.members[i] in ("plain", "noise"))
        for places, painted in (([0, 1, 2], None), ([3, 4], paint)):
            logp, _ = shaping.dense(start, network, [Group(prompt, [ids[i] for i in places])], painted)
            a = torch.cat([advantage[i].repeat(len(ids[i])) for i in places])
            loss = loss - (a * (logp - logp.detach()).exp()).sum() / tokens
        hint = replace(problem, question=f"{problem.question}\n\nHint: {shaping.Shapes(1, 0, 10).gold(problem, 'nsl')}")
        seen = [r.prompt for r, done in requests if done[0].token_ids in ids and r.prompt.name == problem.id]
        assert len(seen) == 3 and sorted(len(p.ids) for p in seen)[-1] == len(start.encode(hint).ids)
        noisy = next(p for p in seen if p.images[0].key != prompt.images[0].key)
        assert torch.equal(noisy.images[0].pixels, paint(prompt.images[0].key, prompt.images[0].patches))
    loss.backward()
    assert metrics["loss"] == pytest.approx(float(loss.detach()), abs=2e-6)
    assert distance(gradients[0], gradient(network)) < 5e-5
    assert metrics["sampling/sampling_logp_difference/max"] < 1e-4, (
        "of what was sampled behind what it is learned behind"
    )
    assert metrics["tokens"] == counted


def test_what_is_given_is_in_no_statistic(pool, start):
    """Of the first step, in which both runs sample the same: all but what the other advantages make."""
    compares = (
        "loss",
        "policy_loss",
        "grad_norm",
        "reward_std",
        "frac_reward_zero_std",
        "pack/",
        "num_tokens",
        "clip_ratio",
    )
    plain = learner(pool, start, [{}], dead_groups="keep", reward_noise=0.4)
    with_gold = learner(pool, start, [{}, {"given": "gold"}, {"given": "answer"}], dead_groups="keep", reward_noise=0.4)
    (one, rows), (other, others) = grpo_step(plain, 1), grpo_step(with_gold, 1)
    left = lambda m: {
        k: pytest.approx(v, abs=1e-6, nan_ok=True) for k, v in no_clocks(m).items() if not k.startswith(compares)
    }
    assert left(other) == left(one) and other["members/given/n"] == 2 and other["members/given/pass@1"] == 1
    told = ("advantage",)
    assert [{k: v for k, v in r.items() if k not in told} for r in rows] == [
        {k: v for k, v in r.items() if k not in told} for r in others
    ]
    assert len(others) == 16 and [r["advantage"] for r in rows] != [r["advantage"] for r in others]


def test_members_with_one_prompt_are_sampled_apart(pool, start):
    members = [
        {"n": 1},
        {"n": 1, "hint": "answer"},
        {"n": 2, "name": "behind_plain", "hint": "answer", "score_as": "plain"},
    ]
    shaping.SEEN.clear()
    grpo_step(learner(pool, start, members), 1)
    (batch,) = shaping.SEEN
    for rows in batch.groups():
        texts = {batch.members[i]: batch.completion_ids[i] for i in reversed(rows)}  # the first of each
        assert len({str(ids) for ids in texts.values()}) == len(texts) == 3


def test_several_updates_take_the_plain_prompts_log_probs_as_old(pool, start):
    """Two passes and two mini-batches; without learning (rate ~ 0) every ratio stays 1, also of what nobody sampled."""
    members = [{"n": 2}, {"n": 2, "hint": "answer", "score_as": "plain"}, {"given": "gold"}]
    still = learner(pool, start, members, num_iterations=2, mini_batches=2, lr=1e-12)
    metrics, _ = grpo_step(still, 1)
    assert metrics["ratio/max"] == pytest.approx(1, abs=1e-5) and metrics["ratio/min"] == pytest.approx(1, abs=1e-5)
    moved = learner(pool, start, members, num_iterations=2, mini_batches=2, objective=replace(still.config.objective,
                    importance="truncate"))  # fmt: skip
    metrics, _ = grpo_step(moved, 1)
    assert abs(metrics["ratio/max"] - 1) > 1e-4 and math.isfinite(metrics["loss"])


def test_a_share_falls_and_contexts_put_the_plain_prompt(pool, start):
    """The share of a step is rounded; behind `prompt` every completion sees the pictures as they are, or in the very
    noise that its member saw."""
    seen = {}

    def shaped(step):
        seen.update(step.scored, names=list(step.batch.members), own=step.sampled_N, rows=step.rows())

    runner = learner(
        pool, start, [{"n": 2}, {"n": 2, "images": "noise", "share": "linear 1 0"}], functions={"shaped": shaped},
        contexts={"raw": {"prompt": {"images": "keep"}}, "noisy": {"images": "noise", "prompt": {"images": "keep"}}},
    )  # fmt: skip
    counts = []
    for number, done in ((1, 0), (2, 2), (3, 4)):
        runner.progress = (done, 4)
        metrics, records = grpo_step(runner, number)
        counts.append(sum(r["member"] == "noise" for r in records) / 4)
        for name, row in zip(seen["names"], seen["rows"]):
            same, other = ("noisy", "raw") if name == "noise" else ("raw", "noisy")
            assert (
                (seen[same][row] - seen["own"][row]).abs().max()
                < 1e-4
                < (seen[other][row] - seen["own"][row]).abs().max()
            )
    assert counts == [2, 1, 0] and "members/noise/n" not in metrics


def test_other_prompts_and_users_functions(pool, start, tmp_path):
    (tmp_path / "own.py").write_text(
        "from dataclasses import replace\n"
        "def shorter(problem):\n    return replace(problem, question='What? <image>')\n"
        "def two(problem):\n"
        "    return [problem.answer, 'x' * 9999, '<|image_pad|>'] if problem.answer > '3' else None\n"
        "def wrong(problem):\n    return 3\n"
    )
    at = lambda name: f"{tmp_path / 'own.py'}:{name}"
    members = [{"n": 2}, {"n": 2, "prompt": at("shorter")}, {"given": at("two")}]
    runner = learner(pool, start, members)
    requests = asked(runner)
    shaping.SEEN.clear()
    grpo_step(runner, 1)
    (batch,) = shaping.SEEN
    assert len({len(r.prompt.ids) for r, _ in requests[1::2]}) <= 2
    golds = sum(p.answer > "3" for p in {p.id: p for p in batch.problems}.values())
    assert batch.members.count("given") == golds and len(batch) == 16 + golds
    for key in ("prompt", "given"):
        bad = learner(
            pool, start, [{"n": 4}, {"given": at("wrong")}] if key == "given" else [{"n": 4, "prompt": at("wrong")}]
        )
        with pytest.raises(UserError, match=f"members.*{key} must return"):
            grpo_step(bad, 1)
    modes = learner(pool, start, [{"n": 2}, {"n": 2, "prompt": {"mode": "nsl", "prefill": "open"}, "name": "forced"}])
    shaping.SEEN.clear()
    grpo_step(modes, 1)
    (batch,) = shaping.SEEN
    forced = [i for i, name in enumerate(batch.members) if name == "forced"]
    assert len(forced) == 8 and all(batch.completions[i].startswith("<nsl>") for i in forced)
    assert all(batch.heads[i] == "<nsl>" for i in forced) and batch.part(forced, [8]).heads == ["<nsl>"] * 8


@pytest.mark.long
def test_two_ranks_are_one_process():
    environment = os.environ | {"PYTHONPATH": f"{HERE.parents[1] / 'kernels'}:{HERE.parents[1]}:{HERE}"}
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
         str(HERE / "member_ranks.py")],
        capture_output=True, text=True, env=environment, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert report.pop("asked") > 0 and report.pop("weights") < 1e-3 and max(report.values()) < 1e-5, report


def train(*words):
    return parse(TrainConfig, list(words), "nsrl train")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["members=[{n: 11}]"], r"n that add up to num_generations \(10\)"),
        (["members=[{n: 3}]"], r"add up to num_generations \(10\), or leave one entry's .*; got 3"),
        (["members=[{given: gold}]"], "an entry that is sampled"),
        (["members=[{}, {}]"], "at most one of them without n; got 2 and 2"),
        (["members=[{n: 10}, {}]"], "add up to num_generations"),
        (["members=[{sigma: 0.2}]"], "members.1.sigma is for a member with images: noise"),
        (["members=[{share: 0.5}]"], "members.1.share is for a member with prompt, hint or images"),
        (["members=[{images: noise, share: 1.5}]"], "share must lie between 0 and 1"),
        (["members=[{score_as: plain}]"], "score_as is for a member with"),
        (["members=[{score_as: plain, prompt: {mode: nsl, prefill: open}}]"], "must be own with a prompt.prefill"),
        (["members=[{}, {given: gold, n: 2}]"], "members.2.n is for members that are sampled"),
        (["members=[{}, {given: gold, language: latin}]"], "language must be one of"),
        (["members=[{}, {given: x, language: nsl}]"], "language is for a member with gold"),
        (["members=[{hint: 'a.py:b'}]"], "hint must be gold, a column;"),
        (["members=[{name: Big}]"], "name must be of small letters"),
        (["members=[{n: 5}, {n: 5, advantage: 1}]"], "name must be its own, for another entry called plain"),
        (["members=[3]"], "members must be a list of mappings"),
        (["members=[{colour: red}]"], "members.1 has keys n, name"),
        (["members=[{images: noise}]", "rollout=vllm"], "keep or black with rollout=vllm"),
        (["members=[{}, {given: gold}]", "shuffle_rewards=true"], "must not be said with shuffle_rewards"),
        (["members=[{}, {given: gold}]", "scale_rewards=passk"], "advantage must be said of a given member"),
    ],
)
def test_what_cannot_be_is_one_sentence(words, sentence):
    with pytest.raises(UserError, match=sentence):
        train(*words)


def test_what_the_source_does_not_have_is_told_before_a_model_is_loaded(tmp_path):
    for words, sentence in (
        (["members=[{}, {given: solution}]"], "members.2.given must be gold, answer or one of level"),
        (["members=[{n: 5}, {n: 5, hint: nothing}]"], "members.2.hint must be gold, answer"),
        (["members=[{}, {given: 'no.py:f'}]"], "no.py"),
        (["members=[{prompt: {system: absent.txt}}]"], "members.1.prompt.system must be a file"),
        (["members=[{n: 5}, {n: 5}]", "turns.max=2"], "members must be none where completions have several turns"),
        (["scale_rewards=remax", "turns.max=2"], "must not be remax where completions have several turns"),
        (["members=[{}, {given: gold}]", "draw.kind=mixture"], "must not be gold with draw.kind=mixture"),
    ):
        with pytest.raises(UserError, match=sentence):
            require_sound(train(*words))
    assert notes_on(train("members=[{n: 5}, {n: 5, images: noise, share: linear 1 0}, {given: gold}]")) == []
    written = train("members=[{n: 5}, {n: 5, images: noise, share: linear 1 0}, {given: gold, advantage: 0.5}]")
    assert written.members[1] == {"n": 5, "images": "noise", "share": "linear 1 0"}


@pytest.mark.long
def test_stages_with_members_and_a_resumed_run_is_the_same(tmp_path):
    """Golds in the first stage, noise in the second, gone on with from within the second."""
    from nsrl.train import main

    few = ["prompts_per_step=2", "num_generations=3", "max_completion_length=24", "eval_samples=1", "data.eval_size=2",
           "engine.workers=1", "preflight=false", "threads=1", "save_steps=1"]  # fmt: skip
    stages = (
        "stages=[{name: a, kind: grpo, steps: 2, members: [{}, {given: gold}]}, "
        "{name: b, kind: grpo, steps: 2, members: [{n: 2}, {n: 1, images: noise, share: 0.5}]}]"
    )
    whole, again = tmp_path / "whole", tmp_path / "again"
    assert main([*few, stages, f"output_dir={whole}"]) == 0
    read = lambda at: [no_clocks(json.loads(line)) for line in (at / "metrics.jsonl").read_text().splitlines()]
    once = read(whole)
    shutil.copytree(whole, again, symlinks=True)
    assert main([f"output_dir={again}", f"resume_from_checkpoint={again}/checkpoint-b-1"]) == 0
    assert read(again) == once and len(once) == 4
