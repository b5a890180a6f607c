"""Groups whose completions are not alike: against today's step, dense log-probs, and the statistics without them."""

import itertools
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

from nsrl.answers import Verdict
from nsrl.config import TrainConfig, parse
from nsrl.config.draw import DrawConfig
from nsrl.config.sound import notes_on, require_sound
from nsrl.data.chat import Chat
from nsrl.data.source import Rows
from nsrl.errors import UserError
from nsrl.models.pack import Group
from nsrl.rewards import Verifiers
from nsrl.trainer.draw import Draw, Streams
from nsrl.trainer.grader import Grader
from nsrl.trainer.loop import grpo_step
from nsrl.trainer.members import require_members
from nsrl.trainer.metrics import CLOCK_KEYS
from nsrl.trainer.problems import ProblemStream

HERE = Path(__file__).resolve().parent
LONG = 24  # tokens: the gold programs of level 1 fit


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
        "pack/",
        "num_tokens",
        "clip_ratio",
    )
    options = {
        "dead_groups": "keep",
        "reward_noise": 0.4,
        "contexts": {"m": {"images": "black"}},
        "terms": {"m": "-.1"},
    }
    plain = learner(pool, start, [{}], **options)
    with_gold = learner(pool, start, [{}, {"given": "gold"}, {"given": "answer"}], **options)
    (one, rows), (other, others) = grpo_step(plain, 1), grpo_step(with_gold, 1)
    left = lambda m: {
        k: pytest.approx(v, abs=1e-6, nan_ok=True) for k, v in no_clocks(m).items() if not k.startswith(compares)
    }
    assert (
        left(other) == left(one)
        and "contexts/m/k3" in one
        and other["members/given/n"] == 2
        and other["members/given/pass@1"] == 1
    )
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


def rows_of(count, columns=lambda i: {}):
    """Problems of shapes as the rows of a data set, with the columns of each."""
    problems = itertools.islice(shaping.Shapes(1, 0, 10).train(), count)
    return Rows([replace(problem, columns=columns(i)) for i, problem in enumerate(problems)])


def test_what_rows_lack_is_counted(pool, start):
    """Half of the rows have a hint, the other half a completion; a text of blanks is none."""
    source = rows_of(8, lambda i: {"completion": "5", "tip": " "} if i % 2 else {"tip": "look"})
    runner = learner(pool, start, [{"n": 2}, {"n": 2, "hint": "tip"}, {"given": "gold"}], prompts_per_step=8)
    runner.problems = ProblemStream(source, 0, runner.vlm)
    metrics, _ = grpo_step(runner, 1)
    assert metrics["members/hint/missing"] == metrics["members/given/missing"] == 0.5
    assert (metrics["members/hint/n"], metrics["members/plain/n"], metrics["members/given/n"]) == (1, 3, 0.5)


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ([{}, {"given": "solution"}], r"members.2.given must be what a training problem has; none of 6 .* 'solution'"),
        ([{}, {"given": "gold"}], r"none of 6 training problems has a text in 'completion or response'; got 'gold'"),
        ([{}, {"given": "long"}], r"can be written \(last: completion longer than max_completion_length 24 tokens"),
        ([{}, {"given": "cut"}], r"can be written \(last: control token in the completion"),
        ([{"n": 2}, {"n": 2, "hint": "nothing"}], r"members.2 must put .* none of 6 .* it has no nothing"),
        ([{"n": 2}, {"n": 2, "hint": "long"}], r"none of 6 .*: \d+ tokens, at most 90\)"),
    ],
)
def test_what_no_row_has_is_refused(start, members, sentence):
    """Once the rows are read, and before any work; one row is enough, and of one that only asks nothing is wanted."""
    columns = {"long": "word " * 60, "cut": f"5{start.tokenizer.eos_token} and 6", "tip": "look"}
    config = TrainConfig(members=members, num_generations=4, max_completion_length=LONG)
    config.data.source, config.data.max_prompt_length = "hf", 90
    with pytest.raises(UserError, match=sentence):
        require_members(config, rows_of(6, lambda i: columns), start)
    one = {"solution": "5", "completion": "5", "long": "5", "cut": "5", "nothing": "look"}
    require_members(config, rows_of(6, lambda i: columns | one if i == 4 else columns), start)
    config.grouped.members = [{"n": 2}, {"n": 2, "hint": "answer"}, {"given": "gold"}, {"given": "own.py:f"}]
    config.data.source, config.data.max_prompt_length = "shapes", 1
    require_members(config, shaping.Shapes(1, 0, 10), start)
    config.max_completion_length = 2
    with pytest.raises(UserError, match=r"members.3.given must be .* none of the first 64 training problems"):
        require_members(config, shaping.Shapes(1, 0, 10), start)


def test_a_run_whose_rows_have_no_completions_ends_before_its_first_step(tmp_path):
    from nsrl.train import main

    (tmp_path / "rows.jsonl").write_text("".join(f'{{"question": "{i}?", "answer": "5"}}\n' for i in range(9)))
    few = ["data.source=hf", f"data.path={tmp_path / 'rows.jsonl'}", "data.eval_size=2", "warm_start.steps=0"]
    with pytest.raises(UserError, match="members.2.given must be what a training problem has; none of 8 "):
        main(["recipe=visurf_sft", *few, f"output_dir={tmp_path / 'run'}"])
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_given_texts_go_on_behind_an_open_prefill(pool, start, tmp_path):
    """What opens a program itself is learned without its delimiters; what does not is left out, and counted."""
    (tmp_path / "own.py").write_text("def prose(problem):\n    return f'so {problem.answer}'\n")
    given = [{"given": "gold"}, {"given": f"{tmp_path / 'own.py'}:prose", "name": "prose"}]
    runner = learner(pool, start, [{}, *given])
    runner.vlm.chat = Chat(mode="nsl", prefill="open")
    shaping.SEEN.clear()
    metrics, _ = grpo_step(runner, 1)
    (batch,) = shaping.SEEN
    stream = shaping.Shapes(1, 0, 10)
    rows = [i for i, given in enumerate(batch.given) if given]
    assert [batch.members[i] for i in rows] == ["given"] * 4 and all(batch.correct[i] for i in rows)
    golds = [stream.gold(batch.problems[i], "nsl") for i in rows]
    assert [batch.completions[i] + "</nsl>" for i in rows] == golds and all(g.startswith("<nsl>") for g in golds)
    assert (metrics["members/given/missing"], metrics["members/prose/missing"]) == (0, 1)


class Seen(Draw):
    """Takes the stream as it comes, and remembers what it is told."""

    kept = told = ()

    def keep(self, outcomes, count):
        self.kept = outcomes
        return super().keep(outcomes, count)

    def report(self, outcomes):
        self.told = outcomes


def drawn(runner):
    source = shaping.Shapes(1, 0, 10)
    runner.problems = ProblemStream(source, 0, runner.vlm, chooser=Seen(Streams({"": source}), DrawConfig()))
    return runner.problems.chooser


def test_another_problem_is_judged_by_its_own_answer_and_is_in_no_accuracy(pool, start, tmp_path):
    (tmp_path / "own.py").write_text(
        "from dataclasses import replace\n"
        "def other(problem):\n    return replace(problem, question='Ask!', answer='mine', options=('a', 'mine'))\n"
        "def column(problem):\n    return replace(problem, columns={**problem.columns, 'gold': 'mine'})\n"
        "def same(problem):\n    return replace(problem, question='Look. ' + problem.question)\n"
    )
    asked = [{"n": 1, "name": name, "prompt": f"{tmp_path / 'own.py'}:{name}"} for name in ("other", "column", "same")]
    runner = learner(pool, start, [{"n": 1}, *asked])
    mine = lambda problem, *_: Verdict("mine" in (problem.answer, problem.columns.get("gold")), "own")
    runner.grader, chooser = Grader(pool, Verifiers({"default": mine})), drawn(runner)
    shaping.SEEN.clear()
    metrics, records = grpo_step(runner, 1)
    (batch,) = shaping.SEEN
    names = ("plain", "other", "column", "same")
    assert [metrics[f"members/{name}/pass@1"] for name in names] == [0, 1, 1, 0]
    assert metrics["pass@1"] == metrics["pass@k"] == 0, "of the problems themselves"
    assert all(one.correct.count(None) == 2 and one.accuracy == 0 for one in chooser.told)
    for name, right, problem in zip(batch.members, batch.correct, batch.problems):
        assert right == (name in ("other", "column")) and (problem.options == ("a", "mine")) == (name == "other")
    for row in records:
        assert row["other_problem"] == row["correct"] == (row["member"] in ("other", "column"))
        assert (row["answer"] == "mine") == (row["member"] == "other")
    assert all("member" not in row for row in grpo_step(learner(pool, start, []), 1)[1])


def test_a_draw_is_told_the_same_rewards_when_it_keeps_and_afterwards(pool, start):
    runner = learner(pool, start, [{"n": 2}, {"n": 2, "hint": "answer", "advantage": 0.5}, {"given": "gold"}])
    chooser = drawn(runner)
    _, records = grpo_step(runner, 1)
    rewards = [row["reward"] for row in records]
    for told in (chooser.kept, chooser.told):
        assert [value for one in told for value in one.rewards] == pytest.approx(rewards)
    assert min(rewards) > 0


def test_what_a_share_leaves_is_called_as_the_plain_entry_is(pool, start):
    members = [{"n": 1, "name": "solver"}, {"n": 3, "images": "noise", "share": 0.34}]
    metrics, records = grpo_step(learner(pool, start, members), 1)
    assert sorted(row["member"] for row in records) == ["noise"] * 4 + ["solver"] * 12
    assert (metrics["members/solver/n"], metrics["members/noise/n"]) == (3, 1) and "members/plain/n" not in metrics
    _, records = grpo_step(learner(pool, start, [{"images": "noise", "share": 0.25}]), 1)
    assert sorted({row["member"] for row in records}) == ["noise", "plain"]


@pytest.mark.parametrize("rollout", ["native", "vllm"])
def test_a_member_whose_prompt_is_too_long_is_put_plainly(pool, start, rollout, tmp_path):
    """By data.max_prompt_length where plain prompts are held to it: of rows, and with vLLM. What the model cannot be
    shown at all is put plainly too."""
    (tmp_path / "own.py").write_text(
        "from dataclasses import replace\n"
        "def marks(problem):\n    return replace(problem, question=problem.question + '<|image_pad|>')\n"
    )
    members = [
        {"n": 2},
        {"n": 1, "hint": "answer"},
        {"n": 1, "name": "marks", "prompt": f"{tmp_path / 'own.py'}:marks"},
    ]
    runner = learner(pool, start, members)
    plain = [len(start.encode(p).ids) for p in itertools.islice(shaping.Shapes(1, 0, 10).train(), 4)]
    runner.config.rollout, runner.config.data.max_prompt_length = rollout, min(plain)
    requests = asked(runner)
    metrics, _ = grpo_step(runner, 1)
    held = rollout == "vllm"
    assert metrics["members/marks/missing"] == 1 and (metrics["members/hint/missing"] == 1) == held
    assert (max(len(request.prompt.ids) for request, _ in requests) <= max(plain)) == held
    assert metrics["members/plain/n"] == (4 if held else 3)


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
