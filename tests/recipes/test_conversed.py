"""Recipes of tools between turns, and of length by difficulty: formulas typed again, and three steps of each.

What renders, builds and judges is a stub on this machine; databases are SQLite's own, in memory.
"""

import asyncio
import contextlib
import json
import math
import sqlite3
import statistics
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
from test_rewarded import RNG, batch, box, of, overlap, rewards, service

from nsrl.config import TrainConfig, parse, require_sound
from nsrl.data.turns import Observation, Said
from nsrl.engines import extract
from nsrl.engines.result import Result, Status
from nsrl.types import ImageRef, Problem

__all__ = ["service"]
NAMES = (
    "reex_sql", "verltool", "pixel_reasoner", "chain_of_focus", "rrvf", "virl", "step_grpo", "traac",
)  # fmt: skip
SCHEMA = "create table fruit (name text, price integer); insert into fruit values ('fig', 3), ('plum', 5);"
PART = ImageRef("part", lambda: None)


def said(text="", shown=None, result=None):
    return Said(text, extract(text), result, shown)


def looks(n):
    return [said("[1,2,3,4]", Observation("", (PART,))) for _ in range(n)] + [said("5")]


def stepped(problems, turns, sizes):
    """What a shape function needs of a step: groups, turns of two or three tokens each."""
    lengths = [[RNG.randrange(2, 4) for _ in own] for own in turns]
    ends = torch.tensor([n for own in lengths for n in own]).cumsum(0).tolist()
    bounds, slices = iter(zip([0, *ends], ends)), []
    for own in lengths:
        slices.append([slice(*next(bounds)) for _ in own])
    bounds = [sum(sizes[:k]) for k in range(len(sizes) + 1)]
    ranges = [range(a, b) for a, b in pairwise(bounds)]
    return SimpleNamespace(
        batch=SimpleNamespace(groups=lambda: ranges, problems=problems, turns=turns),
        turns=lambda i: slices[i],
        advantage_N=torch.randn(ends[-1]),
    ), slices


def test_reex_sql():
    made, config = rewards("reex_sql")
    assert (made.weights, config.turns.max) == ([3, 2, 1, 1, 2], 11)
    problem = Problem("a", "?", None, columns={"schema": SCHEMA, "answer": "select name from fruit where price > 4"})
    observe, executed = of("reex_sql", "observe"), of("reex_sql", "executed")
    base = sqlite3.connect(":memory:")
    base.executescript(SCHEMA)
    for query in ("select price from fruit", "select sum(price) from fruit", "select nothing", "drop table fruit"):
        turn = said(f"let me see <intermediate_sql>{query}</intermediate_sql>")
        shown = observe(problem, turn.extracted, None, [turn]).text
        if query.startswith("select") and "nothing" not in query:
            assert shown == str(base.execute(query).fetchall())
        else:
            assert shown.startswith("error: ")
    assert observe(problem, extract("so"), None, [said("so")]) is None
    for query, right in (
        ("select name from fruit where price = 5", True),
        ("select name from fruit", False),
        ("x", False),
    ):
        text = f"so <final_sql> {query} </final_sql>"
        assert executed(problem, text, extract(text), None).correct is right
    assert executed(problem, "none", extract("none"), None).correct is False
    gold = problem.columns["answer"].split()
    for _ in range(30):
        own = RNG.sample(gold, RNG.randrange(1, len(gold) + 1)) if RNG.random() < 0.7 else gold
        ran = [RNG.random() < 0.5 for _ in range(RNG.randrange(4))]
        turns = [said("q", Observation("[]" if ok else "error: no")) for ok in ran] + [said("end")]
        given = batch(
            (1,), [f"<final_sql>{' '.join(own)}</final_sql>"], problems=[problem], turns=[turns], correct=[True]
        )
        row = made(given)[0]
        assert row[2:] == [
            float(own == gold),
            len(set(own)) / len(set(gold)),
            pytest.approx(sum(ran) / max(1, len(ran))),
        ]


def test_verltool():
    made, _ = rewards("verltool")
    for _ in range(60):
        calls = [RNG.choice([Status.OK, Status.SYNTAX, Status.TIMEOUT, None]) for _ in range(RNG.randrange(4))]
        turns = [said("<sympy>print(1)</sympy>", None, status and Result(status)) for status in calls] + [said("so 5")]
        right = RNG.random() < 0.5
        valid = sum(status in (Status.OK, Status.TIMEOUT) for status in calls)
        want = (1 if right else -1) - 0.25 * (valid < len(calls)) - 0.25 * (valid == 0)
        assert sum(made(batch((1,), turns=[turns], correct=[right]))[0]) == pytest.approx(want)


def test_pixel_reasoner():
    """The reward manager of verl-tool, on counts."""
    made, _ = rewards("pixel_reasoner")
    for _ in range(40):
        counts = [RNG.choice([0, 0, 0, 1, 3]) for _ in range(9)]
        given = batch((4, 5), turns=[looks(n) for n in counts])
        rows = made(given)
        for group in ((0, 1, 2, 3), (4, 5, 6, 7, 8)):
            rate = statistics.mean(int(counts[i] > 0) for i in group)
            for i in group:
                bonus = (counts[i] != 0) * max(0, 0.3 - rate) * 0.5
                assert sum(rows[i]) == pytest.approx(given.correct[i] + bonus + min(1 - counts[i], 0) * 0.05)


def test_chain_of_focus():
    made, config = rewards("chain_of_focus")
    given = batch((4, 5), ["5" if RNG.random() < 0.7 else "" for _ in range(9)])
    paid = [sum(w * v for w, v in zip(made.weights, row)) for row in made(given)]
    assert paid == pytest.approx([0.9 * c + 0.1 * bool(t) for c, t in zip(given.correct, given.completions)])
    assert [stage["kind"] for stage in config.stages] == ["supervised", "grpo"] and config.turns.observe == "crop"


def drawn(body):
    """The stub of a renderer with a judge: code with `plot` draws, and is the more alike the longer it is."""
    return {"ran": "plot" in body["text"], "feedback": "too red", "similarity": min(1.0, len(body["text"]) / 100)}


def test_rrvf(service):
    observe, vision, tool = (of("rrvf", name) for name in ("observe", "vision", "tool"))
    problem = Problem("a", "?", None)
    texts = ["<tool_call>plot(1)</tool_call>", "<tool_call>nonsense</tool_call>", "so plot(1, 2)"]
    with service(observe, drawn):
        shown = [observe(problem, extract(t), None, [said(t)]) for t in texts]
        turns = [[said(t, s) for t, s in zip(texts, shown)], [said("nothing")]]
        given = batch((2,), [" ".join(texts), "nothing"], turns=turns)
        assert asyncio.run(vision(given)) == [len(texts[2]) / 100, 0.0]
    assert [s and s.text for s in shown] == ["too red", "error: too red", None] and tool(given) == [0.5, 0.0]


def test_virl():
    credits, by_turn = of("virl", "credits"), of("virl", "by_turn")
    for _ in range(30):
        problems, turns, want = [], [], []
        for _ in range(5):
            gold = [[0, 0, 8, 8], [20, 20, 29, 29]][: RNG.randrange(1, 3)]
            boxes = [RNG.choice([gold[0], gold[-1], box(40)]) for _ in range(RNG.randrange(4))]
            had, own = set(), []
            for one in boxes:
                near = [k for k, part in enumerate(gold) if overlap(one, part) >= 0.5]
                own.append(1.0 if set(near) - had else -0.5 if near else -1.0)
                had |= set(near)
            problems.append(Problem("a", "?", "5", columns={"rationale": gold}))
            turns.append(
                [said(f"look at {one}", Observation("", (PART,))) for one in boxes] + [said("at [0, 0, 8, 8] 5")]
            )
            want.append([*own, None])
            assert credits(problems[-1], turns[-1]) == want[-1]
        step, slices = stepped(problems, turns, [2, 3])
        before = step.advantage_N.clone()
        by_turn(step)
        for group in ((0, 1), (2, 3, 4)):
            known = [c for i in group for c in want[i] if c is not None]
            for i in group:
                for tokens, c in zip(slices[i], want[i]):
                    more = 0.0 if c is None else 0.5 * (c - statistics.mean(known))
                    assert torch.allclose(step.advantage_N[tokens], before[tokens] + more, atol=1e-6)
        rows = rewards("virl")[0](batch((5,), problems=problems, turns=turns))
        assert [row[1] for row in rows] == [sum(c or 0 for c in own) for own in want]


def test_step_grpo(service):
    """compute_step_level_grpo_advantage on padded rows: a score's tokens reach to its turn's end, the last one's to the
    completion's."""
    observe, by_turn, graded = (of("step_grpo", name) for name in ("observe", "by_turn", "graded"))
    asked = []
    with service(observe, lambda body: asked.append(body) or {"said": "blue\ngrade 7"}):
        history = [said("<boltAction a>"), said("<boltAction b>")]
        assert observe(Problem("a", "?", None), history[-1].extracted, None, history).text == "blue\ngrade 7"
        assert observe(Problem("a", "?", None), extract("done"), None, [said("done")]) is None
    assert asked == [{"id": "a", "turns": ["<boltAction a>", "<boltAction b>"]}]
    for _ in range(40):
        marks = [[RNG.randrange(11) for _ in range(RNG.randrange(4))] for _ in range(6)]
        turns = [[said("x", Observation(f"so\ngrade {m}")) for m in own] + [said("done")] for own in marks]
        step, slices = stepped([Problem("a", "?", None)] * 6, turns, [3, 1, 2])
        by_turn(step)
        for group in ((0, 1, 2), (3,), (4, 5)):
            scores = torch.tensor([m for i in group for m in marks[i]], dtype=torch.float64)
            for i in group:
                value, pieces = 0.0, []
                for tokens, m in zip(slices[i], [*marks[i], None]):
                    if m is not None:
                        value = float((m - scores.mean()) / (scores.std() + 1e-6)) if len(scores) > 1 else 0.0
                    pieces += [value] * (tokens.stop - tokens.start)
                got = step.advantage_N[slices[i][0].start : slices[i][-1].stop]
                assert torch.allclose(got, torch.tensor(pieces), atol=1e-5)
        given = batch((6,), turns=turns)
        assert graded(given) == pytest.approx([statistics.mean(own) if own else 0.0 for own in marks])


def test_traac():
    """length_reward, get_difficulty_class and get_difficulty_scale of sumLinear.py, and the last ten steps' lists."""
    made, _ = rewards("traac")
    lists = {"easy": [], "medium": [], "hard": []}
    for _ in range(14):
        given = batch((4, 5, 6))
        kinds = {}
        for rows in given.groups():
            rate = sum(given.correct[i] for i in rows) / len(rows)
            kinds[rows] = "easy" if rate >= 0.8 else "medium" if rate >= 0.3 else "hard"
        for kind, steps in lists.items():
            steps.append([given.lengths[i] for rows in kinds for i in rows if kinds[rows] == kind and given.correct[i]])
        found = made(given)
        for rows, kind in kinds.items():
            before = torch.tensor([n for step in lists[kind][-10:] for n in step], dtype=torch.float64)
            for i in rows:
                want = 0.0
                if given.correct[i]:
                    norm = (before.max() - given.lengths[i]) / max(float(before.max() - before.min()), 1e-6)
                    median = statistics.median(before.tolist())
                    soft = 1 / (1 + math.exp(min(700, (given.lengths[i] - median) / (0.1 * median))))
                    want = {"easy": 1, "medium": 0.75, "hard": 0.5}[kind] * max(min(1.0, float(norm)), soft)
                assert found[i][2] == pytest.approx(want)
    assert made.weights == [4, 0.5, 1] and json.loads(json.dumps(made.state_dict())) == made.state_dict()


ROWS = {
    "reex_sql": {"schema": SCHEMA, "answer": "select name from fruit"}, "rrvf": {}, "step_grpo": {},
}  # fmt: skip
STUBS = {"rrvf": ("observe", drawn), "step_grpo": ("observe", lambda body: {"said": f"grade {len(body['turns'])}"})}


def small(name, home):
    """The recipe of few and short steps: rows of its own kind, or the arena that has what it looks at."""
    (home / "rows.jsonl").write_text(
        "".join(json.dumps({"id": str(i), "question": f"{i}?", **ROWS.get(name, {})}) + "\n" for i in range(12))
    )
    rows = ["data.source=hf", f"data.path={home / 'rows.jsonl'}"] if name in ROWS else []
    made = [] if name in (*ROWS, "traac", "verltool") else ["data.source=zoom"]
    staged = name in ("pixel_reasoner", "chain_of_focus")
    stages = [{"name": "cold", "kind": "supervised", "steps": 1}, {"name": "rl", "kind": "grpo", "steps": 3}]
    steps = [f"stages={json.dumps(stages)}"] if staged else ["warm_start.steps=0", "max_steps=3"]
    return [f"recipe={name}", *rows, *made, *steps]


@pytest.mark.parametrize("name", NAMES)
def test_each_is_sound_as_it_stands(name, tmp_path):
    require_sound(parse(TrainConfig, small(name, tmp_path), "nsrl train"))


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_three_steps_of_each(name, tmp_path, service):
    from nsrl.train import main

    few = ["prompts_per_step=2", "num_generations=3", "max_completion_length=12", "eval_samples=1", "data.eval_size=2",
           "engine.workers=1", "preflight=false", "parity_check=false", "threads=1"]  # fmt: skip
    stub = STUBS.get(name)
    with service(of(name, stub[0]), stub[1]) if stub else contextlib.nullcontext():
        assert main([*small(name, tmp_path), *few, f"output_dir={tmp_path / 'run'}"]) == 0
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if "reward" in line]
    assert len(steps) == 3 and all(math.isfinite(line["loss"]) for line in steps)
