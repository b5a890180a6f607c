"""Completions of several turns, from tokens to the step: what is shown, to whom, what counts; off, nothing of it is
there."""

import copy
import json
import math
import os
import pickle
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nsrl.config import LoraConfig, ModelConfig, TrainConfig, parse
from nsrl.config.acts import require_acting
from nsrl.config.turns import TurnsConfig
from nsrl.data.made import opened
from nsrl.data.observers import observer
from nsrl.data.shapes import Shapes
from nsrl.data.turns import Observation
from nsrl.engines import EnginePool, Limits
from nsrl.errors import UserError
from nsrl.models import loading
from nsrl.models.pack import Group
from nsrl.models.padded import padded_hidden
from nsrl.trainer import completions, talk
from nsrl.trainer.evaluation import evaluate
from nsrl.trainer.grader import Grader
from nsrl.trainer.loop import grpo_step
from nsrl.trainer.talk import Talk
from tests.trainer.talking import ANSWER, Scripted, learner, talked, texts

G, HERE = 4, Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def pool():
    with EnginePool(1, Limits(cpu_s=0.4, wall_s=0.5)) as pool:
        yield pool


@pytest.fixture(scope="module")
def vlm():
    vlm = loading.load(ModelConfig(), LoraConfig(enabled=False), seed=2, sources=("zoom",))
    vlm.base.generation_config.eos_token_id = [*range(100, 130), vlm.tokenizer.eos_token_id]
    return vlm


@pytest.fixture
def plain(vlm):
    """With its own end of turn alone."""
    one = copy.copy(vlm)
    one.model = copy.deepcopy(vlm.model)
    one.base.generation_config.eos_token_id = one.tokenizer.eos_token_id
    return one


def test_the_engine_answers_with_its_value_its_error_or_its_end(plain, pool):
    """A program that is killed is an observation too; an answer without a program ends the conversation, and is what
    is judged."""
    problems = [replace(p, answer="7") for p in Shapes(1, 0, 5).test()]
    script = [
        ["<nsl>3+4</nsl>", "7"],
        ["<sympy>print(1/0)</sympy>", "<nsl>7</nsl>"],
        ["<sympy>while True: pass</sympy>", "8"],
        ["it is 7"],
        ["<nsl>3+</nsl>", "<nsl>3+4</nsl>"],
    ]
    done, sampler = talked(plain, pool, problems, script, TurnsConfig(max=2))
    assert [g[0].correct for g in done.graded] == [True, True, False, True, True]
    shown = [[said.shown for said in g[0].history] for g in done.graded]
    assert shown[0] == [Observation("7"), None] and shown[3] == [None]
    assert shown[1][0].text.startswith("error: ") and "ero" in shown[1][0].text
    assert shown[2][0].text.startswith("error: timeout") and shown[4][0].text.startswith("error: syntax")
    user = "\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
    assert texts(plain, done.samples[0][0]) == ["<nsl>3+4</nsl><|im_end|>", user.format("7"), "7<|im_end|>"]
    assert done.samples[0][0].mask == [
        turn.logps is not None for turn in done.samples[0][0].turns for _ in turn.token_ids
    ]
    for (sample,), (graded,) in zip(done.samples, done.graded):
        assert graded.text == plain.decode(sample.written_ids)
        for said in graded.history:
            assert graded.text[said.start :].startswith(said.text)
        if graded.extracted.language:
            assert graded.text[graded.extracted.begin :].startswith(graded.extracted.program)
    assert [g[0].language for g in done.graded] == ["nsl", "nsl", "sympy", "prose", "nsl"]
    assert len(sampler.asked) == 9 and len(done.overlapped) == 7 - 1
    # what a further turn is asked is what the chat template makes of the conversation, token by token
    behind = ({"role": "assistant", "content": [{"type": "text", "text": "<nsl>3+4</nsl>"}]},
              {"role": "user", "content": [{"type": "text", "text": "7"}]})  # fmt: skip
    asked = next(r for problem, r in sampler.asked[5:] if problem == 0)
    assert list(asked.prompt.ids) == list(plain.encode(replace(problems[0], behind=behind)).ids)


def test_a_crop_comes_back_as_a_picture(plain, pool):
    """From near, with the pixels that the prompt of a demonstration of the same turns has; a box beside the picture is
    told so, and one in a program is a list of numbers."""
    problems = opened("zoom", 1, 0, held_out=4).test()
    boxes = [problem.columns["boxes"][0] for problem in problems]
    script = [[str(boxes[0]), problems[0].answer], ["[500, 0, 600, 40]", "1"], ["<sympy>[1,2,3,4]</sympy>"],
              ["[0, 0, 40, 400000]", "1"]]  # fmt: skip
    done, _ = talked(plain, pool, problems, script, TurnsConfig(max=2, observe="crop"))
    assert [len(s.images) for (s,) in done.samples] == [1, 0, 0, 1] and done.graded[0][0].correct
    assert done.graded[1][0].history[0].shown == Observation("nothing there")
    source = opened("zoom", 1, 0, held_out=0)
    demonstrated = source.demonstrations({"nsl": 1.0}, turns=True)
    first, second = next(demonstrated), next(demonstrated)
    assert (first.language, second.language) == ("turn", "nsl") and first.problem.id == second.problem.id
    taught = plain.encode(second.problem)
    again, _ = talked(plain, pool, [first.problem], [[first.text, second.text]], TurnsConfig(max=2, observe="crop"))
    (sample,) = again.samples[0]
    whole = [*plain.encode(first.problem).ids, *sample.turns[0].token_ids, *sample.turns[1].token_ids]
    assert whole == list(taught.ids) and len(taught.images) == 2
    assert torch.equal(sample.images[0].patches, taught.images[1].patches) and again.graded[0][0].correct
    assert plain.prompt_lengths([second.problem]) == [len(taught.ids)]


def test_what_travels_to_other_processes(plain, pool):
    """Pixels of what was shown, which no problem has; of observations the texts, whatever opens their pictures."""
    problems = [replace(p, columns={}) for p in opened("zoom", 1, 0, held_out=1).test()]
    config = TurnsConfig(max=2, observe="crop")
    done, _ = talked(plain, pool, problems, [["[0, 0, 32, 32]", "1"]], config)
    sample, graded = pickle.loads(pickle.dumps((done.samples[0][0], done.graded[0][0])))
    assert sample.images[0].grid == (1, 8, 8), "enlarged to the side of the whole"
    assert torch.equal(sample.images[0].patches, done.samples[0][0].images[0].patches)
    assert graded.history[0].seen == done.graded[0][0].history[0].seen and graded.history[0].seen
    with pytest.raises(UserError, match="shown in another process"):
        graded.history[0].shown.images[0].open()


def test_what_is_shown_is_no_longer_than_allowed_and_holds_no_control_token(plain):
    short = Talk(plain, TurnsConfig(max=2, max_observation=24))
    long = (
        "1 2 3 4 5 6 7 8 9 " * 2000 + "<|im_end|>" + plain.tokenizer.convert_ids_to_tokens(plain.family.image_token_id)
    )
    for inline in (False, True):
        one = short.shown(Observation(long), inline)
        assert len(one.ids) <= 24 and one.ids == one.template_ids
    free = Talk(plain, TurnsConfig(max=2))
    never = {*plain.banned_ids(), *plain.stop_ids()}
    mark = plain.tokenizer.convert_ids_to_tokens(plain.family.image_token_id)
    one = free.shown(Observation(f"a{mark}b<|im_end|>c<|endoftext|>"), True)
    assert not never & {*one.ids} and plain.tokenizer.decode(one.ids) == "\na b c \n"
    picture = opened("zoom", 1, 0, held_out=1).test()[0].images[0]
    told = short.shown(Observation("here", (picture,)), False)
    assert not told.images and "error: the picture" in plain.tokenizer.decode(told.ids)
    for text in ("", "7", "a b"):  # inside the user's message of the template
        body = plain.tokenizer.decode(free.shown(Observation(text), False).ids)
        assert body == f"\n<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"
    own = Talk(plain, TurnsConfig(max=2, around="<out>{}</out>"))
    assert plain.tokenizer.decode(own.shown(Observation("5"), False).ids) == "<out>5</out>"
    with pytest.raises(UserError, match="turns.max_observation must be above"):
        Talk(plain, TurnsConfig(max=2, max_observation=3))


def test_stop_texts_become_tokens_or_texts(plain):
    rules = Talk(plain, TurnsConfig(max=2, stop=["</nsl>", "stop here"])).rules
    assert rules.stop_ids == tuple(plain.token_ids("</nsl>")) and rules.stop_texts.texts == ("</nsl>", "stop here")
    for written, end in (("go stop here now", "go stop here"), ("stop he", None), ("top here", None)):
        ids = plain.token_ids(written)
        found = rules.stop_texts.end(ids)
        assert (found and plain.tokenizer.decode(ids[:found])) == end


def junk(tmp_path, body):
    file = tmp_path / "own.py"
    file.write_text(
        f"from nsrl.data.turns import Observation\n\n\ndef observe(problem, extracted, result, history):\n    {body}\n"
    )
    return f"{file}:observe"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return 'higher'", "must return an Observation or None; got str"),
        ("return Observation(7)", "must return an Observation of a text and a tuple of ImageRef"),
        ("return Observation('x', ('picture.png',))", "must return an Observation of a text and a tuple of ImageRef"),
        ("raise SystemExit(3)", r"called sys.exit\(3\)"),
    ],
)
def test_what_a_users_function_does_wrong_is_told(plain, pool, tmp_path, body, words):
    problems = Shapes(1, 0, 1).test()
    with pytest.raises(UserError, match=words):
        talked(plain, pool, problems, [["1", "2"]], TurnsConfig(max=2, observe=junk(tmp_path, body)))


def test_a_users_function_of_other_arguments_is_refused(tmp_path):
    file = tmp_path / "own.py"
    file.write_text("def observe(problem):\n    return None\n")
    with pytest.raises(UserError, match="must be a function \\(problem, extracted, result, history\\)"):
        observer(f"{file}:observe")
    with pytest.raises(UserError, match="no file"):
        observer("nowhere.py:observe")


def spread(batch):
    """Pays by what was written alone; remembers what it was shown."""
    spread.batch = batch
    return [float(ids[0] % 3) + 0.1 * length for ids, length in zip(batch.completion_ids, batch.lengths)]


@pytest.mark.parametrize("loss_type", ("dapo", "grpo", "dr_grpo"))
def test_a_step_learns_from_what_the_policy_wrote_and_from_nothing_else(pool, vlm, tmp_path, loss_type):
    """Loss, gradient, lengths and parts by hand: transformers on each whole conversation, what was shown masked out of
    loss and divisor."""
    (tmp_path / "own.py").write_text(ANSWER)
    config = TrainConfig(
        turns=TurnsConfig(max=3, observe=f"{tmp_path}/own.py:observe", max_observation=64), loss_type=loss_type,
        reward_funcs=["spread"], reward_weights=[1.0], prompts_per_step=3, num_generations=G, scale_rewards="group",
        max_completion_length=24,
    )  # fmt: skip
    run = learner(pool, vlm, config, spread)
    kept = []
    before = run.batch_of
    run.batch_of = lambda groups, step: kept.append(groups) or before(groups, step)
    metrics, records = grpo_step(run, 1)
    groups, batch = kept[0], spread.batch
    samples = [s for g in groups for s in g.samples]
    assert any(s.images for s in samples) and any(s.mask and not s.images for s in samples)
    assert any(s.mask is None for s in samples)

    advantage = torch.tensor([row["advantage"] for row in records])
    live = [i for i, g in enumerate(groups) if len({*advantage[G * i : G * i + G].tolist()}) > 1]
    learned = [i for i in range(len(samples)) if i // G in live]
    start = copy.deepcopy(vlm.model)
    whole = [Group(vlm.encode(groups[i // G].problem), [samples[i].token_ids], [samples[i].mask],
                   [samples[i].images] if samples[i].images else ()) for i in learned]  # fmt: skip
    logits = padded_hidden(start, whole) @ start.lm_head.weight.T
    logits[:, vlm.banned_ids()] = -math.inf
    target = torch.tensor([t for i in learned for t in samples[i].written_ids])
    logp = logits.log_softmax(-1).gather(1, target[:, None])[:, 0]
    sizes = torch.tensor([len(samples[i].written_ids) for i in learned])
    row = torch.repeat_interleave(torch.arange(len(sizes)), sizes)
    share = {"dapo": 1 / sizes.sum(), "grpo": (1 / sizes / len(samples))[row], "dr_grpo": 1 / (len(samples) * 24)}
    if loss_type == "grpo":
        share["grpo"] = (1 / sizes / len(samples))[row]
    loss = -((logp - logp.detach()).exp() * advantage[learned][row] * share[loss_type]).sum()
    loss.backward()
    norm = torch.stack([p.grad.norm() for p in start.parameters() if p.grad is not None]).norm()
    assert metrics["loss"] == pytest.approx(loss.item(), abs=1e-5)
    assert metrics["grad_norm"] == pytest.approx(norm.item(), rel=1e-3)
    assert metrics["sampling/sampling_logp_difference/max"] < 1e-4
    gap = torch.tensor([p for i in learned for p in samples[i].logps]) - logp.detach()
    assert gap.abs().max() < 1e-4

    assert batch.lengths == [len(s.written_ids) for s in samples] == [r["tokens"] for r in records]
    assert metrics["tokens"] == sizes.sum()
    assert metrics["completions/mean_length"] == pytest.approx(sum(batch.lengths) / len(samples))
    shown = [sum(len(t.token_ids) for t in s.turns if t.logps is None) for s in samples]
    assert metrics["turns/shown_tokens"] == pytest.approx(sum(shown) / len(shown))
    assert metrics["turns/mean"] == pytest.approx(sum(len(h) for h in batch.turns) / len(samples))
    assert metrics["num_tokens"] == sum(
        len(s.token_ids) + len(groups[i // G].prompt.ids) for i, s in enumerate(samples)
    )
    for record, sample, history in zip(records, samples, batch.turns):
        assert (
            sum(record[f"tokens_{part}"] for part in ("prose", "program", "answer", "delimiters")) == record["tokens"]
        )
        told = json.loads(record["turns"])
        assert [one["by"] for one in told] == ["policy" if t.logps is not None else "shown" for t in sample.turns]
        assert [one["text"] for one in told if one["by"] == "policy"] == [said.text for said in history]
        assert record["n_turns"] == len(history) and "see" not in record["completion"].split()


def test_the_forced_answer_is_in_the_step(pool, vlm):
    """GLM's: with on_length a completion that uses its tokens up is shown the text and has `reserve` more; all of it
    fits into max_completion_length."""
    config = TrainConfig(
        turns=TurnsConfig(on_length="so: ", reserve=4), reward_funcs=["spread"], reward_weights=[1.0],
        prompts_per_step=3, num_generations=G, max_completion_length=10,
    )  # fmt: skip
    run = learner(pool, vlm, config, spread)
    metrics, records = grpo_step(run, 1)
    forced = [json.loads(row["turns"]) for row in records if row["n_turns"] == 2]
    assert forced and all(turns[1] == {"by": "shown", "text": "so: "} for turns in forced)
    assert len(forced) < len(records) and metrics["completions/max_length"] <= 10
    assert metrics["turns/several_frac"] == pytest.approx(len(forced) / len(records))


def test_off_is_absent_from_the_step(pool, vlm, monkeypatch):
    """Not one call of it, and a step with a talk of one turn is the very same."""
    asked = dict(reward_funcs=["spread"], reward_weights=[1.0], prompts_per_step=2, num_generations=G,
                 scale_rewards="group", max_completion_length=10)  # fmt: skip
    plainly = learner(pool, vlm, TrainConfig(**asked), spread)
    assert plainly.talk is None
    with monkeypatch.context() as patch:
        for where, name in ((completions, "converse"), (completions, "Dialogue"), (talk.Talk, "__init__")):
            patch.setattr(where, name, lambda *_, **__: pytest.fail("called where turns are off"))
        without, rows = grpo_step(plainly, 1)
    alone = learner(pool, vlm, TrainConfig(**asked), spread)
    alone.talk = Talk(alone.vlm, TurnsConfig())
    found, told = grpo_step(alone, 1)
    clock = ("timing_s/", "perf/", "engine/overlap", "turns/")
    same = lambda metrics: {k: v for k, v in metrics.items() if not k.startswith(clock)}
    assert same(found) == pytest.approx(same(without), nan_ok=True, abs=0)
    assert [row["completion"] for row in told] == [row["completion"] for row in rows]
    assert "turns" not in rows[0]


def test_an_evaluation_is_in_turns_too(plain, pool):
    problems = [replace(p, answer="7") for p in Shapes(1, 0, 2).test()]
    sampler = Scripted(plain, [["<nsl>3+4</nsl>", "7"], ["<nsl>3+4</nsl>", "8"]])
    found = evaluate(plain, sampler, Grader(pool), problems, samples=1, temperature=0.0, max_tokens=50, seed=0,
                     talk=Talk(plain, TurnsConfig(max=2)))  # fmt: skip
    assert found.accuracy == 0.5 and [row["n_turns"] for row in found.records] == [2, 2]
    assert json.loads(found.records[0]["turns"])[1] == {"by": "shown", "text": "7"}


def test_turns_of_a_shape_function_are_what_the_policy_wrote(pool, vlm, tmp_path):
    """Step.turns and Step.tokens against the turns of the samples themselves."""
    (tmp_path / "own.py").write_text(ANSWER)
    (tmp_path / "shape.py").write_text(
        "SEEN = []\n\ndef look(step):\n    SEEN.append([step.turns(i) for i in range(len(step.batch))])\n"
        "    SEEN.append([[step.tokens(i, (s.start, s.start + len(s.text))) for s in step.batch.turns[i]]"
        " for i in range(len(step.batch))])\n"
    )
    config = TrainConfig(
        turns=TurnsConfig(max=3, observe=f"{tmp_path}/own.py:observe"), reward_funcs=["spread"], reward_weights=[1.0],
        prompts_per_step=2, num_generations=G, max_completion_length=24, shape_funcs=[f"{tmp_path}/shape.py:look"],
    )  # fmt: skip
    from nsrl.trainer.shape import ShapeFunctions

    run = learner(pool, vlm, config, spread)
    run.shapes = ShapeFunctions(config.tokens.shape_funcs)
    kept = []
    before = run.batch_of
    run.batch_of = lambda groups, step: kept.append(groups) or before(groups, step)
    grpo_step(run, 1)
    seen, spans = run.shapes.functions["look"].__globals__["SEEN"]
    groups = kept[0]
    at = 0
    for sample, turns, of_text in zip((s for g in groups for s in g.samples), seen, spans, strict=True):
        sizes = [len(t.token_ids) for t in sample.turns if t.logps is not None]
        begins = [at + sum(sizes[:n]) for n in range(len(sizes))]
        assert turns == [slice(a, a + n) for a, n in zip(begins, sizes)]
        for turn, text in zip(turns, of_text, strict=True):  # up to a character that bytes of two turns make
            assert abs(turn.start - text.start) <= 1 and abs(turn.stop - text.stop) <= 1
        at += sum(sizes)


def test_keys_of_turns_are_refused_where_they_cannot_act():
    for said, words in (
        ("turns.stop=[</nsl>]", "turns.stop cannot act here, because turns.max is 1"),
        ("turns.observe=crop", "turns.observe cannot act here, because turns.max is 1"),
        ("turns.max_observation=9", "turns.max_observation cannot act here, because turns.max is 1"),
        ("turns.around=<{}>", "turns.around cannot act here, because turns.max is 1"),
        ("turns.reserve=4", "turns.reserve cannot act here, because turns.on_length is null"),
        ("turns.max=2 turns.observe=corp", "did you mean 'crop'"),
        ("turns.max=2 turns.around=x", "turns.around must be a text with {} once"),
        ("turns.max=2 turns.stop=['']", "turns.stop must be texts with something in them"),
        ("turns.on_length=x turns.reserve=64", "turns.reserve must be below max_completion_length"),
    ):
        with pytest.raises(UserError, match=words):
            require_acting(parse(TrainConfig, said.split(), "train"))
    with pytest.raises(UserError, match="turns.on_length must be a text with something in it"):
        TrainConfig(turns=TurnsConfig(on_length=""))
    rng = random.Random(0)
    assert (
        require_acting(parse(TrainConfig, [f"turns.max={rng.randint(2, 9)}", "turns.stop=[</nsl>]"], "train"))
        is not None
    )


@pytest.mark.long
def test_two_ranks_are_one_process():
    """Steps in turns with pictures, texts and a blind context: every metric, the conversations and the weights."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(["kernels", "."]), "OMP_NUM_THREADS": "1"}
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*launcher, str(HERE / "turned_ranks.py")],
        capture_output=True, text=True, timeout=400, env=env, cwd=HERE.parents[1],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert report.pop("turns") > 1.5 and report.pop("pictures") > 3 and report.pop("records") == 0
    assert report.pop("weights") < 2e-4  # Adam divides by gradients, the smallest of which are rounding
    assert max(report.values()) < 1e-4, report
