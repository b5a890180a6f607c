"""Functions that change what single tokens count: the gradient in closed form, and independence of order and ranks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import shaping
import torch

from nsrl.config import ObjectiveConfig, TrainConfig, parse
from nsrl.config.sound import notes_on
from nsrl.errors import UserError
from nsrl.models.pack import Group
from nsrl.rewards.batch import RewardBatch
from nsrl.trainer import loss as objective
from nsrl.trainer.loop import grpo_step
from nsrl.trainer.metrics import CLOCK_KEYS
from nsrl.trainer.run import Run
from nsrl.trainer.shape import ShapeFunctions, Step

HERE = Path(__file__).resolve().parent


def no_clocks(metrics):
    return {k: v for k, v in metrics.items() if not k.startswith(CLOCK_KEYS) and not k.startswith("shape/")}


def nothing(step):
    """Changes nothing."""


def test_no_function_and_one_that_changes_nothing_are_the_same_step(pool, start):
    plain, idle = shaping.learner(pool, start), shaping.learner(pool, start, functions={"nothing": nothing})
    for number in (1, 2, 3):
        a, b = grpo_step(plain, number)[0], grpo_step(idle, number)[0]
        assert no_clocks(a) == no_clocks(b) and "timing_s/shape" in b and "timing_s/shape" not in a
    weights = idle.vlm.model.state_dict()
    assert all(torch.equal(v, weights[n]) for n, v in plain.vlm.model.state_dict().items())


def test_gradient_of_shaped_tokens_against_autograd(pool, start):
    """Sum over tokens of weight (-advantage ratio), over dense logits; a mask through the advantage leaves -logp."""
    shape = {}

    def shaped(step):
        generator = torch.Generator().manual_seed(1)
        step.advantage_N *= (torch.rand(len(step.advantage_N), generator=generator) < 0.5).float()
        step.advantage_N += 0.1 * torch.randn(len(step.advantage_N), generator=generator)
        step.weight_N[::3] = 0.25
        shape.update(advantage=step.advantage_N.clone(), weight=step.weight_N.clone())
        step.metrics["mean"] = step.advantage_N.mean()

    objective = ObjectiveConfig(nll_coef=0.02, nll_on="all")
    runner = shaping.learner(
        pool, start, functions={"shaped": shaped}, objective=objective, dead_groups="drop", budget=90
    )
    gradients = shaping.seen_gradients(runner)
    shaping.SEEN.clear()
    metrics, _ = grpo_step(runner, 1)
    groups, _ = shaping.sampled(runner, list(shaping.SEEN))
    network = shaping.learner(pool, start).vlm.model
    logp, _ = shaping.dense(start, network, groups)
    value = -shape["advantage"] * (logp - logp.detach()).exp() - 0.02 * logp
    loss = (shape["weight"] * value).sum() / len(logp)
    loss.backward()
    assert metrics["loss"] == pytest.approx(float(loss.detach()), abs=2e-6)
    assert metrics["shape/mean"] == pytest.approx(float(shape["advantage"].mean()))
    want = {n: p.grad for n, p in network.named_parameters() if p.grad is not None}
    scale = max(float(g.abs().max()) for g in want.values())
    assert max(float((gradients[0][n] - want[n]).abs().max()) for n in want) / scale < 5e-5


def test_two_token_bandit_in_closed_form(start, pool):
    """Two arms of one token each: with shaped advantages a, b the loss -(a r + b r') / 2 has the gradient
    -(a (e_i - p) + b (e_j - p)) / 2 by the logits, p the softmax."""
    runner = shaping.learner(pool, start)
    problem = shaping.Shapes(1, 5, 0).unseen(1, set())[0]
    arms = [40, 41]
    batches = runner.policy.pack([Group(runner.vlm.encode(problem), [[arm] for arm in arms])], 4096)
    a, b = 0.7, -0.3
    network = runner.vlm.model
    hidden = runner.policy.hidden(batches[0]).detach()[0]
    logits = hidden @ network.lm_head.weight.T.detach()
    logits[runner.vlm.banned_ids()] = -torch.inf
    p = logits.softmax(-1)
    by_logits = -(a * (torch.nn.functional.one_hot(torch.tensor(40), len(p)) - p)
                  + b * (torch.nn.functional.one_hot(torch.tensor(41), len(p)) - p)) / 2  # fmt: skip
    want = torch.outer(by_logits, hidden)
    tied = network.lm_head.weight is network.get_input_embeddings().weight
    for p in network.parameters():
        p.requires_grad_(p is network.lm_head.weight)
    objective.backward(
        runner.policy, batches, torch.zeros(2), None, None, None, 2.0, runner.config, runner.banned, runner.timer,
        shaped=objective.Shaped(advantage_N=torch.tensor([a, b])),
    )  # fmt: skip
    got = network.lm_head.weight.grad
    rows = [40, 41] if tied else list(range(len(got)))  # of a tied head the prompt's rows learn as inputs too
    assert (got[rows] - want[rows]).abs().max() < 1e-6


def batch(sizes, lengths, **options):
    count = sum(sizes)
    from nsrl.engines.extract import extract
    from nsrl.types import Problem

    texts = options.pop("texts", [f"text {i}" for i in range(count)])
    return RewardBatch(
        problems=[Problem(id=f"p{i}", question="q", answer="1", images=()) for i in range(count)],
        completions=texts,
        completion_ids=[list(range(length)) for length in lengths],
        extracted=[extract(text) for text in texts],
        results=[None] * count,
        group_sizes=list(sizes),
        correct=options.pop("correct", [i % 2 == 0 for i in range(count)]),
        **options,
    )


def view(sizes=(2, 3), lengths=(3, 1, 2, 4, 2), advantage=None, scored=None, entropies=None, **options):
    """A step of completions that are all learned from."""
    whole = batch(sizes, lengths, **options)
    counts = torch.tensor(lengths)
    total = int(counts.sum())
    advantage = torch.arange(len(lengths)).float() - 2 if advantage is None else torch.tensor(advantage)
    return Step(
        whole, whole, list(range(len(lengths))), torch.zeros(len(lengths), 1), torch.zeros(len(lengths)),
        torch.nn.functional.pad(counts.cumsum(0), (1, 0)), advantage.repeat_interleave(counts), torch.ones(total),
        -torch.rand(total, generator=torch.Generator().manual_seed(0)), scored or {}, entropies or {},
    )  # fmt: skip


def test_what_a_step_offers():
    text = "so <nsl>1+2</nsl>"
    step = view(
        (2,), (len(text), 2), texts=[text, "ab"], decode=lambda ids: text[ids[0] : ids[0] + len(ids)] if ids else ""
    )
    assert step.rows() == [slice(0, len(text)), slice(len(text), len(text) + 2)]
    span = step.batch.span(0, "program")
    assert step.tokens(0, (span.start, span.end)) == slice(8, 11)
    assert step.per_row(torch.tensor([1, 2])).tolist() == [1.0] * len(text) + [2.0] * 2
    values = torch.arange(len(text) + 2).float()
    assert step.mean_R(values).tolist() == [values[: len(text)].mean(), values[len(text) :].mean()]
    with pytest.raises(UserError, match="contexts has no 'masked'; it has none"):
        step.k3("masked")
    masked = view((1,), (4,), texts=["abcd"], decode=lambda ids: "abcd"[ids[0] : ids[0] + len(ids)] if ids else "",
                  masks=[[True, False, False, True]])  # fmt: skip
    assert masked.tokens(0, (1, 4)) == slice(1, 2)  # of the two that the policy wrote, the second


def test_groups_are_whole_though_not_all_of_them_is_learned_from():
    whole = batch((2, 3, 2), (1,) * 7)
    rows = [2, 4, 5, 6]
    step = Step(
        whole.part(rows, [2, 2]), whole, rows, *[torch.zeros(4)] * 2, torch.arange(5), *[torch.zeros(4)] * 3, {}, {}
    )
    assert [(list(a), list(b)) for a, b in step.groups()] == [([0, 1], [2, 3, 4]), ([2, 3], [5, 6])]
    assert step.batch.problems == [whole.problems[i] for i in rows] and step.batch.group_sizes == [2, 2]


def test_what_a_function_must_leave(tmp_path):
    def says(words, body):
        file = tmp_path / f"f{len(list(tmp_path.iterdir()))}.py"
        file.write_text(f"import sys, torch\n\ndef wrong(step):\n    {body}\n")
        with pytest.raises(UserError, match=words):
            ShapeFunctions([f"{file}:wrong"])(view())

    says(
        r"shape function 'wrong' must leave finite numbers in advantage_N; got NaN",
        "step.advantage_N[0] = float('nan')",
    )
    says(r"must leave weight_N of shape \(12,\); got \(3,\)", "step.weight_N = torch.zeros(3)")
    says(r"must leave advantage_N of shape \(12,\); got NoneType", "step.advantage_N = None")
    says(r"shape function 'wrong' called sys\.exit\(3\)", "sys.exit(3)")
    says(r"must leave finite numbers in metrics; got inf for 'x'", "step.metrics['x'] = float('inf')")
    file = tmp_path / "two.py"
    file.write_text(
        "def two(a, b):\n    pass\n\ndef one(step):\n    step.state['seen'] = step.state.get('seen', 0) + 1\n"
    )
    for spec, words in (
        (f"{file}:two", r"shape_funcs: 'two' must be a function of one argument"),
        (f"{file}:three", r"shape_funcs: two\.py has no function 'three'"),
        ("vppo", r"shape_funcs must name file\.py:function; got 'vppo'"),
        (f"{tmp_path}/none.py:f", r"shape_funcs: no file"),
    ):
        with pytest.raises(UserError, match=words):
            notes_on(TrainConfig(shape_funcs=[spec]))
    with pytest.raises(UserError, match="shape_funcs must have different names; got one, one"):
        ShapeFunctions([f"{file}:one", f"{file}:one"])
    functions = ShapeFunctions([f"{file}:one"])
    functions(view())
    again = ShapeFunctions([f"{file}:one"])
    again.load_state_dict(functions.state_dict())
    again(view())
    assert functions.state_dict() == {"one": {"seen": 1}} and again.state_dict() == {"one": {"seen": 2}}
    again._state["one"]["seen"] = (1, 2)
    with pytest.raises(UserError, match="shape function 'one': what it remembers must come back from JSON"):
        again.state_dict()


def test_what_a_function_remembers_goes_on_with_the_run(tmp_path):
    """In the checkpoint, and from there; its numbers are in metrics.jsonl."""
    file = tmp_path / "counts.py"
    file.write_text(
        "def counts(step):\n    step.state['seen'] = step.state.get('seen', 0) + 1\n"
        "    step.metrics['seen'] = step.state['seen']\n    step.metrics['progress'] = step.progress\n\n"
        "def spread(completion_ids, **_):\n    return [float(ids[0] % 3) for ids in completion_ids]\n"
    )
    words = [
        "data.eval_size=2", "warm_start.steps=1", "warm_start.reading_steps=0", "warm_start.batch_size=2",
        "prompts_per_step=2", "num_generations=4", "max_completion_length=8", "eval_samples=1", "threads=1",
        "engine.workers=1", "preflight=false", "parity_check=false", "save_steps=1", "completions_steps=0",
        f"reward_funcs=[{file}:spread]", "reward_weights=[1]", f"shape_funcs=[{file}:counts]",
        f"output_dir={tmp_path / 'run'}",
    ]  # fmt: skip
    for steps, resume in ((1, "false"), (3, "true")):
        Run(parse(TrainConfig, [*words, f"max_steps={steps}", f"resume={resume}"], "train")).execute()
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["shape/seen"] for row in rows if row["phase"] == "grpo"] == [1, 2, 3]
    assert [row["shape/progress"] for row in rows if row["phase"] == "grpo"] == pytest.approx([0, 1 / 3, 2 / 3])


@pytest.mark.long
def test_two_ranks_are_one_process():
    """Contexts, terms and a function that looks at the whole step, on two gloo ranks and alone."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(["kernels", "."]), "OMP_NUM_THREADS": "1"}
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*launcher, str(HERE / "shaped_ranks.py")],
        capture_output=True, text=True, timeout=400, env=env, cwd=HERE.parents[1],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert report.pop("tokens") > 20 and report.pop("shaped") > 0.01
    assert report.pop("weights") < 2e-4  # Adam divides by gradients, the smallest of which are rounding
    assert max(report.values()) < 1e-5, report
