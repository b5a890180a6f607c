"""Recipes whose groups have unlike members, and those whose rewards ask: each formula typed again, on random data."""

import itertools
import json
import math
import random
import statistics
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from nsrl.config import TrainConfig, parse, require_sound
from nsrl.config.recipes import RECIPES
from nsrl.engines import extract
from nsrl.rewards import RewardBatch, Rewards
from nsrl.rewards.asking import Answer
from nsrl.trainer.advantage import advantages
from nsrl.trainer.members import is_other
from nsrl.types import ImageRef, Problem
from nsrl.userfiles import load

RNG = random.Random(random.randrange(10**9))
NAMES = ("visurf", "visurf_sft", "vogue", "look_less", "visionary_r1", "vision_sr1", "raif", "mae", "laser_d_monitor")


def of(name, function):
    return load(f"{RECIPES / name / 'recipe.py'}:{function}", "test")[1]


def rewards(name):
    config = parse(TrainConfig, [f"recipe={name}"], "nsrl train")
    return Rewards(**config.paid.asked()), config


def answer(text="", correct=None, tokens=1):
    return Answer(text, extract(text), None, correct, tokens, False)


def batch(sizes, texts=None, spans=None, **changes):
    count = sum(sizes)
    texts = texts or ["5"] * count
    seen = (ImageRef("a", lambda: None),)
    problems = [Problem(f"p{g}", f"question {g}? <image>", str(g), seen) for g, n in enumerate(sizes) for _ in range(n)]
    fields = dict(
        problems=problems, completions=texts, completion_ids=[[0] * RNG.randrange(1, 99) for _ in range(count)],
        extracted=[extract(t) for t in texts], results=[None] * count, group_sizes=list(sizes),
        correct=[RNG.random() < 0.5 for _ in range(count)], templates=spans or {},
    )  # fmt: skip
    return RewardBatch(**(fields | changes))


def test_visurf_controls_the_reward_of_the_gold():
    """A gold that some rollout equals is worth their mean; under the group's spread its advantage is then 0."""
    control = of("visurf", "control")
    for _ in range(50):
        given = batch((5, 4), given=[False] * 4 + [True] + [False] * 3 + [True])
        given.weights = (1.0, 0.5)
        rows = [[RNG.choice([0.0, 1.0]), RNG.choice([0.0, 1.0, math.nan])] for _ in range(9)]
        totals = [a + (0 if math.isnan(b) else 0.5 * b) for a, b in rows]
        found, expected = control(rows, given), list(totals)
        for gold, own in ((4, range(4)), (8, range(5, 8))):
            if max(totals[i] for i in own) >= totals[gold]:
                expected[gold] = sum(totals[i] for i in own) / len(own)
                a = advantages(torch.tensor(found, dtype=torch.float64)[:, None], [5, 4], [1.0], "group").advantages
                assert abs(float(a[gold])) < 1e-9
        assert found == pytest.approx(expected)
    _, config = rewards("visurf")
    assert config.members == [{}, {"given": "gold"}] and config.scale_rewards == "group"


def test_look_less_pays_what_was_needed():
    decided = of("look_less", "decided")
    names = ["free"] * 4 + ["forced"] * 3 + ["without"] * 3
    for _ in range(100):
        texts = [RNG.choice(["5", "<nsl>2+3</nsl>"]) for _ in range(20)]
        given = batch((10, 10), texts, members=names * 2)
        found = decided(given)
        for start in (0, 10):
            right = given.correct[start : start + 10]
            needed = sum(right[4:7]) > sum(right[7:])
            want = [float(right[i] and ("nsl" in texts[start + i]) == needed) for i in range(4)]
            assert found[start : start + 4] == want and found[start + 4 : start + 10] == [None] * 6


@pytest.mark.parametrize("name", ["visionary_r1", "vision_sr1"])
def test_a_caption_is_paid_where_it_answers_alone(name):
    """A stub policy that says what the caption says; what it is asked has no picture and no marker of one."""
    made, config = rewards(name)
    before, after = config.spans["caption"].split("{}")
    facts = [RNG.choice(["0", "1", "2"]) for _ in range(9)]
    texts = [f"{before}it is {fact}{after} so" if RNG.random() < 0.7 else fact for fact in facts]
    given = batch((3, 3, 3), texts, spans=config.spans)
    given.problems = [replace(p, options=("one", "two")) for p in given.problems]

    def ask(problems, n=1, temperature=0.0, max_tokens=None):
        assert all(not p.images and "<image>" not in p.question for p in problems) and temperature == 0
        said = [m["content"][0]["text"] for p in problems for m in p.chat]
        assert all(text.startswith(p.question) and "\nA. one\n" in text for p, text in zip(problems, said))
        return [[answer(correct=p.question.split("it is ")[1][0] == p.answer)] for p in problems]

    rows = made(given, ask)
    for i, row in enumerate(rows):
        has = before in texts[i]
        assert row[1:] == [float(has), float(has and facts[i] == str(i // 3))]
    weights = {"visionary_r1": [1, 1, 0.1], "vision_sr1": [0.9, 0.1, 1]}[name]
    assert made.weights == weights
    if name == "visionary_r1":
        from nsrl.config.schedules import schedules_of

        beta = schedules_of(config)["beta"]
        for t in range(11):
            assert beta.at(t, 10) == pytest.approx(0.04 / 2 * (1 + math.cos(math.pi * t / 10)))


def test_raif_leaves_out_reasoning_that_is_worse_than_none():
    made, config = rewards("raif")
    at_once = [RNG.random() < 0.5 for _ in range(3)]

    def ask(problems, n=1, temperature=0.0, max_tokens=None):
        assert [p.id for p in problems] == ["p0", "p1", "p2"] and all("at once" in p.question for p in problems)
        return [[answer(correct=right)] for right in at_once]

    golds = [False, False, True] * 3
    given = batch((3, 3, 3), given=golds)
    rows = made(given, ask)
    assert [row[1] for row in rows] == [float(at_once[i // 3]) for i in range(9)] and made.weights == [1, 0]
    lengths = [len(ids) for ids in given.completion_ids]
    bounds = [0]
    for n in lengths:
        bounds.append(bounds[-1] + n)
    advantage = torch.randn(bounds[-1])
    step = SimpleNamespace(
        batch=given, components=torch.tensor(rows, dtype=torch.float64), advantage_N=advantage.clone(), metrics={},
        rows=lambda: [slice(a, b) for a, b in itertools.pairwise(bounds)],
    )  # fmt: skip
    of("raif", "superior")(step)
    for i, row in enumerate(step.rows()):
        worse = not golds[i] and at_once[i // 3] and not given.correct[i]
        assert torch.equal(step.advantage_N[row], advantage[row] * (not worse))
    assert config.members[1] == {"given": "gold", "advantage": "0.1"}


def test_mae_pays_proposers_for_questions_that_are_hard_and_good():
    made, _ = rewards("mae")
    wrote = lambda k: " ".join(f"<question>new {RNG.randrange(99)}!</question>" for _ in range(k))
    counts = [RNG.randrange(3) for _ in range(4)]
    texts = [text for pair in counts for text in ("5", "6", wrote(pair), wrote(1))]
    given = batch((4,) * 4, texts, members=["solver", "solver", "proposer", "proposer"] * 4)
    marks, asked = {}, []

    def ask(problems, n=1, temperature=0.0, max_tokens=None):
        asked.extend(problems)
        assert all(p.answer is None and not p.options for p in problems)
        if n == 3:
            assert temperature == 1
            return [[answer(f"{p.question} by {k}") for k in range(3)] for p in problems]
        for p in problems:
            marks.setdefault(p.question, RNG.randrange(0, 14))
        return [[answer(f"out of 10: {marks[p.question]}")] for p in problems]

    rows = made(given, ask)
    mark = lambda start: [min(10, v) / 10 for question, v in marks.items() if question.startswith(start)]
    for i, text in enumerate(texts):
        if given.members[i] == "solver":
            assert rows[i] == [float(given.correct[i]), None]
            continue
        assert rows[i][0] is None
        questions = [part.split("</question>")[0] for part in text.split("<question>")[1:]]
        if not questions:
            assert rows[i][1] == 0
            continue
        last = questions[-1]
        (quality,) = mark(f"Rate from 1 to 10, with a number alone, how good this question is: {last}")
        scores = [mark(f"Rate from 1 to 10, with a number alone, {last} by {k} as") for k in range(3)]
        hard = 1 - statistics.mean(s for (s,) in scores)
        assert rows[i][1] == pytest.approx((quality + hard + (1 if len(questions) == 1 else 0.5)) / 3)
    totals = made.totals(rows, given)
    for group in given.groups():
        for own in (list(group)[:2], list(group)[2:]):
            values = [next(v for v in rows[i] if v is not None) for i in own]
            spread = math.sqrt(sum((v - sum(values) / 2) ** 2 for v in values)) + 1e-4
            assert [totals[i] for i in own] == pytest.approx([(v - sum(values) / 2) / spread for v in values])
    plain = replace(given.problems[0], options=("1", "2"), columns={"verifier": "boxes", "solution": "4"})
    put = of("mae", "propose")(plain)
    assert "<question>" in put.question and plain.question in put.question and put.images == plain.images
    assert is_other(put, plain) and (put.answer, put.options, [*put.columns]) == (None, (), ["system"])


def test_laser_ds_monitor_sets_the_targets():
    made, _ = rewards("laser_d_monitor")
    calls = []

    def ask(problems, n=1, temperature=0.0, max_tokens=None):
        drawn = [[answer(correct=RNG.random() < share, tokens=RNG.randrange(1, 99)) for _ in range(n)]
                 for share in (RNG.random() for _ in problems)]  # fmt: skip
        calls.append(drawn)
        assert n == 8 and temperature == 1
        return drawn

    targets = {}
    for step in range(1, 46):
        given = batch((8, 8, 8), step=step)
        found = [row[1] for row in made(given, ask)]
        if step % 20 == 1:
            right = [[a.tokens for a in each if a.correct] for each in calls[-1]]
            for low, high in ((6, 8), (3, 5), (1, 2)):
                own = [n for each in right if low <= len(each) <= high for n in each]
                targets[low] = next(
                    (n for n in range(1, 100) if own and low * sum(m <= n for m in own) / len(own) >= 1), 0
                )
        for rows in given.groups():
            share = sum(given.correct[i] for i in rows)
            target = targets[next((low for low in (6, 3, 1) if share >= low), 6)]
            want = [0.5 * (given.correct[i] and given.lengths[i] <= target) for i in rows]
            assert [found[i] for i in rows] == want
    assert len(calls) == 3 and json.loads(json.dumps(made.state_dict())) == made.state_dict()


@pytest.mark.parametrize("name", NAMES)
def test_each_is_sound_as_it_stands(name):
    require_sound(parse(TrainConfig, [f"recipe={name}"], "nsrl train"))


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_three_steps_of_each(name, tmp_path):
    """On shapes with the small model, untaught."""
    from nsrl.train import main

    few = ["warm_start.steps=0", "max_steps=3", "prompts_per_step=2", "max_completion_length=24", "eval_samples=1",
           "data.eval_size=2", "engine.workers=1", "preflight=false", "parity_check=false", "threads=1"]  # fmt: skip
    assert main([f"recipe={name}", *few, f"output_dir={tmp_path / 'run'}"]) == 0
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert len(lines) == 3 and all(math.isfinite(line["loss"]) for line in lines)
    if name in ("raif", "laser_d_monitor"):
        assert all(line["tokens/ask"] > 0 for line in lines[:1])
