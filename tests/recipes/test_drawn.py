"""Recipes of which problems are drawn: each rule written out again, on random data; and three steps of each."""

import contextlib
import itertools
import json
import math
import random
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from nsrl.config import TrainConfig, parse, require_sound
from nsrl.config.recipes import RECIPES
from nsrl.config.stages import planned_stages
from nsrl.data.made import opened as source_of
from nsrl.data.sat import NAMES as SAT_NAMES
from nsrl.data.source import Rows
from nsrl.engines import extract
from nsrl.engines.result import Result, Status
from nsrl.rewards import RewardBatch, Rewards
from nsrl.trainer.draw import Outcome, Streams, opened
from nsrl.trainer.members import is_other
from nsrl.trainer.pools import pools, streams
from nsrl.types import Problem
from nsrl.userfiles import load

RNG = random.Random(random.randrange(10**9))
NAMES = ("saturn", "synlogic", "vision_g1", "pebr_r1", "glm_rlcs", "pearl", "thinklite_vl", "temporal_r1")


def config(name, *more):
    return parse(TrainConfig, [f"recipe={name}", *more], "nsrl train")


def of(name, function):
    return load(f"{RECIPES / name / 'recipe.py'}:{function}", "test")[1]


def batch(problems, texts, results=None, sizes=None, **more):
    return RewardBatch(
        problems, texts, [[0] * RNG.randrange(1, 900) for _ in texts], [extract(t) for t in texts],
        results or [None] * len(texts), sizes or [len(texts)], **more,
    )  # fmt: skip


def taken(draw_config, rows, count):
    """What is taken of rows, in order, of an untouched stream."""
    draw = opened(draw_config, Streams({"": Rows(rows, (), 3)}), 3, {})
    return draw.take(count, 1), draw


def test_saturn():
    """The reward of every kind of answer, by brute force; and the promotion as it is configured."""
    satisfied, source = of("saturn", "satisfied"), source_of("sat", 1, 3, 4)
    for problem in itertools.islice(source.train(), 60):
        count = problem.columns["variables"]
        values = [RNG.random() < 0.5 for _ in range(count)]
        holds = all(any(values[abs(x) - 1] == (x > 0) for x in clause) for clause in problem.columns["clauses"])
        texts = [", ".join(str(int(v)) for v in values),
                 ", ".join(f"{n} = {int(v)}" for n, v in zip(SAT_NAMES, values)), "I give up", "1"]  # fmt: skip
        given = batch([problem] * 4, texts, correct=[holds, holds, False, False])
        assert satisfied(given) == [float(holds), float(holds), -1.0, -1.0]
        printed = Result(Status.OK, "{" + ", ".join(str(v) for v in values) + "}")
        program = batch(
            [problem] * 2, ["<wolfram>x</wolfram>"] * 2, [printed, Result(Status.SYNTAX)], correct=[holds, False]
        )
        assert satisfied(program) == [float(holds), -1.0]
    made = config("saturn")
    found = pools(made, source_of("sat", 1, 0, 4), lambda data: source_of(data.source, data.level, 0, 0))
    assert [source.level for source in found.values()] == [1, 2, 3, 4]
    draw = opened(made.draw, streams(made, found), 0, {})
    for accuracy, level in ((0.5, 1), (0.52, 2), (1.0, 3), (0.49, 3), (0.9, 4), (1.0, 4)):
        right = round(250 * accuracy)
        problems = draw.take(250, 1)
        draw.report([Outcome(p, [i < right], [0.0], part=draw.choose()) for i, p in enumerate(problems)])
        assert draw.choose() == str(level), accuracy


def test_synlogic():
    made = config("synlogic")
    found = pools(made, source_of("graphs", 1, 0, 4), lambda data: source_of(data.source, data.level, 0, 0))
    assert [*found] == ["graphs", "sat", "chains"]
    draw = opened(made.draw, streams(made, found), 0, {})
    sources = [p.source for p in draw.take(900, 1)]
    assert all(abs(sources.count(name) - 300) < 5 * math.sqrt(200) for name in found)
    rewards, problem = Rewards(**made.paid.asked()), Problem("a", "?", "5")
    texts = ["The answer is 5.", "The answer is 6.", "5 6", "<nsl>5</nsl> and <nsl>"]
    given = batch([problem] * 4, texts, [None] * 3 + [Result(Status.OK, "5")], correct=[True, False, True, True])
    rows = rewards(given)
    paid = [sum(w * (v or 0.0) for w, v in zip(rewards.weights, row)) for row in rows]
    assert paid == [float(bool(form) and right) for (form, _), right in zip(rows, given.correct)]
    assert (made.beta, made.epsilon, made.epsilon_high, made.loss_type) == (0, 0.2, 0.28, "dapo")


def test_vision_g1():
    rows = [
        Problem(str(i), "?", "1", columns={"PassRate_7BBase": RNG.choice([0, 0.05, 0.5, 0.95, 1])}) for i in range(60)
    ]
    first, second = (stage.config for stage in planned_stages(config("vision_g1")))
    order = itertools.islice(Rows(rows, (), 3).train(), 60)
    wanted = [p.id for p in order if 0.05 <= p.columns["PassRate_7BBase"] <= 0.95]
    problems, _ = taken(first.draw, rows, len(wanted))
    assert [p.id for p in problems] == wanted
    draw = opened(second.draw, Streams({"": Rows(rows, (), 3)}), 3, {})
    solved = {p.id for p in rows[:30]}
    for number in range(12):
        now = draw.take(60, number)
        draw.report([Outcome(p, [p.id in solved] * 4, [1.0] * 4) for p in now])
    share = sum(p.id in solved for _ in range(20) for p in draw.take(60, 99)) / 1200
    assert abs(share - 0.1 / 1.1) < 5 * math.sqrt(0.1 / 1.1**2 / 1200), "solved ones come back at a tenth"


def test_pebr_r1(service):
    """sample_dataset.py written again: all 8 right is easy, none is hard, the others are medium."""
    stages = planned_stages(config("pebr_r1"))
    right = [RNG.randrange(9) for _ in range(60)]
    rows = [Problem(str(i), "?", "1", columns={"pass_rate": n / 8}) for i, n in enumerate(right)]
    cases = {"perception": {str(i) for i, n in enumerate(right) if n == 8},
             "reasoning": {str(i) for i, n in enumerate(right) if 0 < n < 8}}  # fmt: skip
    for stage in stages:
        if cases[stage.name]:
            problems, _ = taken(stage.config.draw, rows, len(cases[stage.name]))
            assert {p.id for p in problems} == cases[stage.name]
    words = ["red", "Blue", "a round cat"]
    parts = ["### Image Description: ", "### Rationales: it", "### step 1: x", "### The final answer is: 5"]
    for _ in range(40):
        kept, named = [p for p in parts if RNG.random() < 0.8], RNG.sample(words, RNG.randrange(4))
        text = "\n".join(part + " ".join(named).upper() * (part == parts[0]) for part in kept)
        said = parts[0] in kept and bool(named)
        given = batch([Problem("a", "?", "5", columns={"key_word": words})], [text])
        assert of("pebr_r1", "headings")(given) == [float(len(kept) == 4)]
        assert of("pebr_r1", "key_words")(given) == [pytest.approx(len(named) / 3 if said else 0.0)]
        n = given.lengths[0]
        assert of("pebr_r1", "brief")(given) == [pytest.approx(1.0 if n <= 512 else 512 / n)]
    import asyncio

    text = "### Image Description: a dog\n### Rationales: b"
    with service(of("pebr_r1", "alike"), lambda body: {"similarity": len(body["text"]) / 20}):
        found = asyncio.run(of("pebr_r1", "alike")(batch([Problem("a", "?", "5")] * 2, [text, "none"])))
    assert found == [pytest.approx(len("a dog") / 20 / 0.4), 0.0]
    weights = [list(stage.config.paid.named().values()) for stage in stages]
    assert weights == [[0.4, 0.4, 0.1, 0.1], [0.9, 0.1]]


def test_glm_rlcs():
    """expansion_ratio and its running mean, written out; those nearest one half; tiers as often as they weigh."""
    made = config("glm_rlcs").draw
    rows = [Problem(str(i), "?", "1", columns={"p": RNG.random()}) for i in range(40)]
    draw, ratio = opened(made, Streams({"": Rows(rows, (), 3)}), 3, {}), 1.0
    for number in range(30):
        assert draw.wanted(20) == math.ceil(20 * ratio - 1e-9)
        problems = draw.take(draw.wanted(20), number)
        found = [Outcome(p, [RNG.random() < p.columns["p"] for _ in range(4)], [0.0] * 4) for p in problems]
        kept = draw.keep(found, 20)
        near = sorted(abs(sum(o.correct) / 4 - 0.5) for o in found)
        assert sorted(abs(sum(found[i].correct) / 4 - 0.5) for i in kept) == near[:20]
        draw.report(found)
        invalid = sum(sum(o.correct) in (0, 4) for o in found) / len(found)
        ratio = 0.7 * ratio + 0.3 * min(4, 1 / (1 - invalid) if invalid < 1 else math.inf)
        assert draw.ratio == pytest.approx(ratio)
    assert [draw.chance_at(rate) for rate in (0.0, 0.5, 0.95)] == [0.3, 1.0, 0.3]


def test_pearl():
    from nsrl.trainer.shape import Step

    seen, anchored, probe = (of("pearl", name) for name in ("seen", "anchored", "probe"))
    for _ in range(30):
        golds = [str(RNG.randrange(5)) for _ in range(RNG.randrange(1, 5))]
        said = [str(RNG.randrange(5)) if RNG.random() < 0.8 else None for _ in golds]
        text = " ".join(f"<a{i}> {s} </a{i}>" for i, s in enumerate(said, 1) if s is not None) + " so 5"
        plain = Problem("a", "?", "5", columns={"checklist": [[f"what {i}?", gold] for i, gold in enumerate(golds)]})
        put = probe(plain)
        assert all(f"<q{i}>what {i - 1}?</q{i}>" in put.question for i in range(1, len(golds) + 1))
        assert is_other(put, plain) and put.columns["verifier"] in config("pearl").paid.verifiers
        found = seen(put, text, extract(text), None)
        assert found.correct is None and found.score == pytest.approx(
            sum(s == g for s, g in zip(said, golds)) / len(golds)
        )
    bare = Problem("a", "?", "5")
    assert probe(bare) is bare and not is_other(probe(bare), bare)
    sizes, names = [4, 3, 2], ["solver", "solver", "probe", "probe", "solver", "probe", "probe", "solver", "solver"]
    shares = [None, None, 1.0, 0.5, None, 0.0, 0.25, None, None]
    whole = batch(
        [bare] * 9, ["5"] * 9, sizes=sizes, members=names, scores=shares, correct=[RNG.random() < 0.5 for _ in names]
    )
    rows = [0, 2, 3, 4, 6, 8]
    values = torch.randn(12)
    view = Step(
        whole.part(rows, [3, 2, 1]), whole, rows, torch.zeros(6, 3), torch.zeros(6), torch.arange(0, 13, 2),
        values.clone(), torch.ones(12), torch.zeros(12), {}, {},
    )  # fmt: skip
    anchored(view)
    wanted = values * torch.tensor([0.5, 0.1, 0.1, 0.125, 0.1, 1.0]).repeat_interleave(2)
    torch.testing.assert_close(view.advantage_N, wanted)
    made = config("pearl")
    paid = Rewards(**made.paid.asked())
    components = paid(whole)
    totals = paid.totals(components, whole)
    for group in whole.groups():  # J_r and J_p are GRPO's, each among its own rollouts
        for kind in ("solver", "probe"):
            own = [i for i in group if names[i] == kind]
            r = torch.tensor(
                [
                    0.9 * whole.correct[i] + 0.1 if kind == "solver" else shares[i] + 0.1 + 0.9 * whole.correct[i]
                    for i in own
                ]
            )
            want = (r - r.mean()) / (r.std() + 1e-4) if len(own) > 1 and r.max() > r.min() else torch.zeros(len(own))
            assert [totals[i] for i in own] == pytest.approx(want.tolist(), abs=1e-4)
    draw = opened(made.draw, Streams({"": Rows([bare])}), 0, {})
    groups = [
        Outcome(bare, [True], [1.0], {"score": said}) for said in ([0.0, math.nan], [0.0, 0.5], [1.0], [math.nan])
    ]
    assert draw.keep(groups, 4) == [1, 2, 3]


def test_thinklite_vl():
    counts = [RNG.choice([1, 3, 5, 6, 20, 50, 51]) for _ in range(50)] + [6]
    rows = [Problem(str(i), "?", "1", columns={"iterations": n}) for i, n in enumerate(counts)]
    hard = {str(i) for i, n in enumerate(counts) if n > 5}
    problems, draw = taken(config("thinklite_vl").draw, rows, len(hard))
    assert {p.id for p in problems} == hard
    draw.report([Outcome(p, [True], [1.0]) for p in problems])
    assert draw.rates == {}, "what the column says is not measured"


def test_temporal_r1_takes_problems_by_their_variance():
    rows = [Problem(str(i), "?", None) for i in range(30)]
    draw = opened(config("temporal_r1").draw, Streams({"": Rows(rows, (), 3)}), 3, {})
    rates = {str(i): i % 3 / 2 for i in range(30)}
    for number in range(6):
        now = draw.take(30, number)
        draw.report(
            [Outcome(p, [True] * round(4 * rates[p.id]) + [False] * round(4 - 4 * rates[p.id]), [0.0] * 4) for p in now]
        )
    share = sum(rates[p.id] == 0.5 for _ in range(20) for p in draw.take(60, 9)) / 1200
    assert abs(share - 1 / 1.2) < 5 * math.sqrt(1 / 1.2 * (1 - 1 / 1.2) / 1200), "the floor is a tenth"


@pytest.fixture
def service():
    """A service on this machine that answers a JSON body by a function of it."""
    answers = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            reply = json.dumps(answers["by"](json.loads(self.rfile.read(int(self.headers["Content-Length"]))))).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_):
            pass

    @contextlib.contextmanager
    def serving(function, by):
        answers["by"], before = by, function.__globals__["URL"]
        function.__globals__["URL"] = f"http://127.0.0.1:{server.server_port}/"
        yield
        function.__globals__["URL"] = before

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield serving
    server.shutdown()


COLUMNS = {
    "vision_g1": {"PassRate_7BBase": 0.5}, "thinklite_vl": {"iterations": 7}, "pearl": {"checklist": [["?", "1"]]},
    "pebr_r1": {"key_word": ["red"]}, "temporal_r1": {"answer": [3, 7.5]},
}  # fmt: skip


def rows_file(name, folder):
    rows = [{"id": str(i), "question": f"{i}?", "answer": "5", **COLUMNS.get(name, {})} for i in range(12)]
    if name == "pebr_r1":
        rows = [row | {"pass_rate": (i % 3) / 2} for i, row in enumerate(rows)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = name in ("saturn", "synlogic")
    return [] if made else ["data.source=hf", f"data.path={folder / 'rows.jsonl'}"]


@pytest.mark.parametrize("name", NAMES)
def test_each_is_sound_as_it_stands(name, tmp_path):
    own = [] if config(name).stages else ["warm_start.steps=0"]
    require_sound(config(name, *rows_file(name, tmp_path), *own))


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_three_steps_of_each(name, tmp_path, service):
    """On problems of its own kind with the small model; what measures pictures is a service on this machine."""
    from nsrl.train import main

    few = ["prompts_per_step=5", "num_generations=3", "max_completion_length=8", "eval_samples=1", "data.eval_size=2",
           "engine.workers=1", "preflight=false", "parity_check=false", "threads=1", "completions_steps=0"]  # fmt: skip
    text = (RECIPES / name / "recipe.yaml").read_text()
    few += ["num_generations=7"] if name == "pearl" else []  # of which five are probes
    if "stages:" in text:  # the same list, three steps in all
        import yaml

        steps = iter((2, 1))
        stages = [stage | {"steps": next(steps)} for stage in yaml.safe_load(text)["stages"]]
        beside = lambda said: re.sub(r"recipe\.py", str(RECIPES / name / "recipe.py"), json.dumps(said))
        few.append(f"stages={beside(stages)}")
    else:
        few += ["warm_start.steps=0", "max_steps=3"]
    serving = (
        service(of(name, "alike"), lambda body: {"similarity": 0.1}) if name == "pebr_r1" else contextlib.nullcontext()
    )
    with serving:
        assert main([f"recipe={name}", *few, *rows_file(name, tmp_path), f"output_dir={tmp_path / 'run'}"]) == 0
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert len(lines) == 3 and all(math.isfinite(line["loss"]) and "draw/kept" in line for line in lines)
