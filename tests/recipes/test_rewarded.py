"""Recipes that are verifiers and rewards: each formula typed again, on random data; and three steps of each."""

import contextlib
import itertools
import json
import math
import random
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from nsrl.config import TrainConfig, parse, require_sound
from nsrl.config.recipes import RECIPES
from nsrl.engines import extract
from nsrl.engines.result import Result, Status
from nsrl.rewards import RewardBatch, Rewards, Verifiers
from nsrl.trainer.advantage import advantages
from nsrl.types import Problem
from nsrl.userfiles import load

RNG = random.Random(random.randrange(10**9))
NAMES = (
    "visual_rft", "vlm_r1", "star_r1", "laser_d", "open_rs", "self_efficiency", "code_as_thought", "rpr", "hypervolume",
    "general_reasoner", "temporal_r1", "rewardmap", "vlaa_thinker", "perception_r1", "gdpo",
)  # fmt: skip


def of(name, function):
    """A function of a recipe's file."""
    return load(f"{RECIPES / name / 'recipe.py'}:{function}", "test")[1]


def verdict(name, function, text, gold=None, **columns):
    problem = Problem("a", "?", None, columns={"answer": gold} | columns)
    return of(name, function)(problem, text, extract(text), None)


def rewards(name):
    config = parse(TrainConfig, [f"recipe={name}"], "nsrl train")
    return Rewards(**config.paid.asked()), config


def batch(sizes=(4, 5), texts=None, columns=None, **changes):
    count = sum(sizes)
    texts = texts or ["5"] * count
    fields = dict(
        problems=[Problem("a", "?", "5", columns=columns or {})] * count, completions=texts,
        completion_ids=[[0] * RNG.randrange(1, 4000) for _ in range(count)], extracted=[extract(t) for t in texts],
        results=[None] * count, group_sizes=list(sizes), correct=[RNG.random() < 0.6 for _ in range(count)],
    )  # fmt: skip
    return RewardBatch(**(fields | changes))


def box(size=9):
    x, y = RNG.randrange(size), RNG.randrange(size)
    return [x, y, x + RNG.randrange(1, size), y + RNG.randrange(1, size)]


def overlap(a, b):
    cells = [{(x, y) for x in range(c[0], c[2]) for y in range(c[1], c[3])} for c in (a, b)]
    return len(cells[0] & cells[1]) / len(cells[0] | cells[1])


def greedy(said, gold):
    left, total = {(i, j): overlap(s, g) for i, s in enumerate(said) for j, g in enumerate(gold)}, 0.0
    while left:
        (i, j), value = max(left.items(), key=lambda pair: (pair[1], -pair[0][0], -pair[0][1]))
        total += value
        left = {(a, b): v for (a, b), v in left.items() if a != i and b != j}
    return total


@pytest.fixture
def service():
    """A service on this machine that answers a JSON body by a function of it; gives its address."""
    answers = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            reply = json.dumps(answers["by"](body)).encode()
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


def test_visual_rft():
    for _ in range(100):
        gold, said = [box() for _ in range(RNG.randrange(1, 4))], [box() for _ in range(RNG.randrange(4))]
        found = verdict("visual_rft", "overlap", f"there: {said}", gold)
        want = greedy(said, gold) / max(len(gold), len(said))
        assert found.score == pytest.approx(want) and found.correct == (found.score >= 0.5)
    assert verdict("visual_rft", "overlap", "[1,2,3,4]", None).correct is None


def test_vlm_r1():
    for _ in range(100):
        gold, said = [box()], [box() for _ in range(RNG.randrange(3))]
        want = overlap(said[0], gold[0]) if said else 0.0
        assert verdict("vlm_r1", "rec", str(said), gold).score == pytest.approx(want)
    item = lambda label, b: {"bbox_2d": b, "label": label}
    for _ in range(60):  # boxes that overlap with one gold box at most: precision is then a count
        places = RNG.sample([[x, y, x + 10, y + 10] for x in range(0, 60, 20) for y in range(0, 60, 20)], 5)
        gold = [item(RNG.choice("ab"), b) for b in places[:3]]
        said = [item(RNG.choice("ab"), b) for b in RNG.sample(places, RNG.randrange(1, 5))]
        each = []
        for label in {g["label"] for g in gold}:
            mine, theirs = [[i["bbox_2d"] for i in items if i["label"] == label] for items in (said, gold)]
            hits = [b in theirs for b in mine]
            curve = [(sum(hits[:n]) / len(theirs), sum(hits[:n]) / n) for n in range(1, len(hits) + 1)]
            recalls = [(k + 1) / len(theirs) for k in range(len(theirs))]
            each.append(sum(max((p for r, p in curve if r >= x - 1e-9), default=0) for x in recalls) / len(theirs))
        want = sum(each) / len(each) * min(1, len(gold) / len(said))
        text = f"```json\n{json.dumps(said)}\n```"
        assert verdict("vlm_r1", "ovd", text, gold).score == pytest.approx(want)
    assert verdict("vlm_r1", "ovd", "none", gold).score == 0


def test_star_r1():
    attributes = {"color": ["red", "cyan"], "shape": ["cube", "ball"]}
    draw = lambda: (str(RNG.randrange(3)), a := RNG.choice([*attributes]), RNG.choice(attributes[a]))
    for _ in range(200):
        gold, said = list({draw() for _ in range(RNG.randrange(1, 4))}), [draw() for _ in range(RNG.randrange(4))]
        want = -max(0, len(gold) - len(said))
        for n, one in enumerate(said):
            if one in said[:n]:
                want -= 1
            elif one in gold:
                want += 5
            elif any(one[:2] == g[:2] for g in gold):
                want += 1.5
            else:
                want += 0.5 if any(one[0] == g[0] for g in gold) else -1
        text = "; ".join(f"({', '.join(one)})" if RNG.random() < 0.5 else ".".join(one) for one in said)
        found = verdict("star_r1", "changes", text, [list(g) for g in gold])
        assert found.score == pytest.approx(want)
        assert found.correct == (sorted(said) == sorted(gold))


def test_laser_d():
    made, _ = rewards("laser_d")
    seen = {0: [], 1: [], 2: []}
    for _ in range(20):
        given = batch((RNG.randrange(2, 6), RNG.randrange(2, 6)))
        want = [0.0] * len(given)
        for rows in given.groups():
            right = [given.lengths[i] for i in rows if given.correct[i]]
            share = len(right) / len(rows)
            own = seen[(share > 1 / 3) + (share > 2 / 3)]
            own += right
            for i in rows:
                below = sum(n < given.lengths[i] for n in own[-512:])
                want[i] = given.correct[i] * (1 + 0.5 * (below <= (len(own[-512:]) - 1) // 2))
        assert [sum(row) for row in made(given)] == want


def test_open_rs():
    made, config = rewards("open_rs")
    given = batch((6, 6))
    for row, right, n in zip(made(given), given.correct, given.lengths):
        low, high = (0.5, 1.0) if right else (-0.5, -1.0)  # open-r1: the two ends are swapped for wrong ones
        want = low + 0.5 * (high - low) * (1 + math.cos(min(n, 3584) / 3584 * math.pi))
        assert row[1] == pytest.approx(want)
    assert made.weights == [1, 2] and config.max_completion_length == 3584


def test_self_efficiency():
    made, _ = rewards("self_efficiency")
    given = batch((5, 4, 6))
    paid = [sum(w * v for w, v in zip(made.weights, row)) for row in made(given)]
    for rows in given.groups():
        longest = max((given.lengths[i] for i in rows if given.correct[i]), default=1)
        want = [given.correct[i] * (1 + 0.5 * (1 - given.lengths[i] / longest)) for i in rows]
        assert [paid[i] for i in rows] == pytest.approx(want)


def test_code_as_thought():
    made, _ = rewards("code_as_thought")
    for _ in range(30):  # numbers so far apart that each is near one of the chart's at most
        gold = RNG.sample(range(10, 100, 10), RNG.randrange(1, 6))
        held = RNG.sample(gold, RNG.randrange(len(gold) + 1))
        numbers = [f"{n * RNG.uniform(0.96, 1.04):.4f}" for n in held]
        given = batch(
            (1,), [f"<nsl>{{{', '.join(numbers) or '0'}}}</nsl>"], {"data": gold}, results=[Result(Status.OK)]
        )
        assert made(given)[0][2] == pytest.approx(len(held) / len(gold))
    assert made.weights == [0.8, 0.3, 0.15, 0.05]
    exact = batch(
        (2,), ["<nsl>{10, 20, 20}</nsl>", "5"], {"data": [10, 20, 40]}, results=[Result(Status.OK, "5"), None]
    )
    assert [row[2] for row in made(exact)] == [pytest.approx(2 / 3), None]


def test_rpr():
    made, config = rewards("rpr")
    phrases = of("rpr", "patterns").__globals__["PHRASES"]
    assert config.paid.reward_noise == 0.4 and len(set(phrases)) == 20
    for _ in range(50):
        chosen = RNG.sample(phrases, RNG.randrange(6))
        text = ". ".join(chosen).upper() + " 1 2 3"
        found = sum(phrase in text.lower() for phrase in phrases)
        assert made(batch((1,), [text]))[0][1] == pytest.approx(min(1, found / 20))
    words = [str(i) for i in range(30)]
    runs = [tuple((words * 2)[i : i + 20]) for i in range(41)]
    again = sum(runs.count(run) > 1 for run in set(runs)) / len(runs)
    assert of("rpr", "repeated")(" ".join(words * 2)) == pytest.approx(again) and again > 0.2


def test_general_reasoner(service):
    judged = of("general_reasoner", "judged")
    said = [("The answer is 12 cm.", True), ("The answer is 13.", False), ("", False)]

    def reply(body):
        assert body["prompt"].startswith("Question: how long?\nReference answer: a dozen centimetres\n")
        return {"choices": [{"text": " Yes" if "12" in body["prompt"] else " No"}]}

    from nsrl.config import EngineConfig
    from nsrl.trainer.grader import Grader, open_pool

    problem = Problem("a", "how long?", None, columns={"answer": "a dozen centimetres"})
    with service(judged, reply), open_pool(EngineConfig(workers=1)) as pool:
        grader = Grader(pool, Verifiers({"default": judged}))
        graded = grader.collect(grader.submit(problem, [text for text, _ in said]))
    assert [j.correct for j in graded] == [right for _, right in said]
    length = len((extract(said[0][0]).answer or "").split())
    assert [j.score for j in graded] == [pytest.approx(1 - 0.05 * abs(length - 3)), 0.0, -0.5]


def test_temporal_r1():
    for _ in range(100):
        a, b = sorted(RNG.sample(range(40), 2)), sorted(RNG.sample(range(40), 2))
        seconds = [set(range(*stretch)) for stretch in (a, b)]
        text = f"From 1 to 2 nothing; it happens {RNG.choice(['from {} to {}', '{}s - {}s', '[{}, {}]'])}".format(*a)
        found = verdict("temporal_r1", "stretch", text, b)
        assert found.score == pytest.approx(len(seconds[0] & seconds[1]) / len(seconds[0] | seconds[1]))
    assert verdict("temporal_r1", "stretch", "never", [1, 2]).score == 0
    assert verdict("temporal_r1", "stretch", "1 to 2", "x").correct is None


def test_hypervolume():
    volume = of("hypervolume", "volume")
    for size in (1, 2, 3):
        for _ in range(40):  # whole numbers, so that cells can be counted
            points = [tuple(RNG.randrange(6) for _ in range(size)) for _ in range(RNG.randrange(5))]
            reference = tuple(RNG.randrange(3) for _ in range(size))
            cells = itertools.product(*(range(r, 6) for r in reference))
            want = sum(any(all(c < v for c, v in zip(cell, p)) for p in points) for cell in cells)
            assert max(0, volume(points, reference)) == want
    made, _ = rewards("hypervolume")
    front = None
    for _ in range(8):
        given = batch((4, 4))
        rows = made(given)
        now = tuple(sum(column) / len(rows) for column in zip(*rows))
        front = front or [now]
        before = volume(front[1:], front[0])
        gain = max(0.0, volume([*front[1:], now], front[0]) - before)
        front += [now] if gain > 0 else []
        want = [(0.5 + 1.5 * math.tanh(gain)) * sum(w * v for w, v in zip((0.5, 0.3, 0.2), row)) for row in rows]
        assert made.totals(rows, given) == pytest.approx(want)
    assert json.loads(json.dumps(made.state_dict()))["combine:pushed"]["front"] == [list(p) for p in front]


def test_rewardmap():
    made, config = rewards("rewardmap")
    assert config.scale_rewards == "none"
    for hard, change in itertools.product(("easy", "middle", "hard"), (0, 2)):
        stops = ["Park", "Zoo", "Mill", "Dock"]
        texts = [f"{' '.join(RNG.sample(stops, RNG.randrange(5)))} is it" for _ in range(4)]
        given = batch((4,), texts, {"map_difficulty": hard, "transfers": change, "stops": stops})
        rows = made(given)
        weight = {"easy": 1, "middle": 1.2, "hard": 1.5}[hard] + 0.5 * (change > 0)
        want = [weight * (right + row[1] + 0.5 * sum(stop in text for stop in stops) / 4)
                for right, row, text in zip(given.correct, rows, texts)]  # fmt: skip
        assert made.totals(rows, given) == pytest.approx(want)


def test_vlaa_thinker(service):
    better = of("vlaa_thinker", "better")
    problem = Problem("a", "describe", None, columns={"answer": "a dog", "verifier": "open"})
    made, config = rewards("vlaa_thinker")
    verifiers = Verifiers(config.paid.verifiers)
    assert verifiers.name_of(problem) == "open" and verifiers.waits(problem)
    texts = ["a", "a big brown dog", "a cat sits"]

    import asyncio

    with service(better, lambda body: {"score": len(body["answer"]) / 5}):
        found = [asyncio.run(verifiers.wait(problem, text, extract(text), None)) for text in texts]
    gaps = [(len(text) - len("a dog")) / 5 for text in texts]
    assert [v.score for v in found] == pytest.approx([max(0, 1 - math.exp(-0.7 * gap)) for gap in gaps])
    assert [v.correct for v in found] == [gap > 0 for gap in gaps]
    a, b = box(), box()
    assert verdict("vlaa_thinker", "iou", str(a), [b]).score == pytest.approx(overlap(a, b))
    mixed = made(batch((3,), scores=[0.25, None, None], correct=[True, False, None]))
    assert [row[0] for row in mixed] == [0.25, 0.0, None]


def test_perception_r1(service):
    made, _ = rewards("perception_r1")
    facts = ["red", "blue", "round", "big"]
    texts = [" ".join(RNG.sample(facts, RNG.randrange(5))) or "none" for _ in range(6)]
    with service(of("perception_r1", "seen"), lambda body: {"holds": body["fact"] in body["text"].split()}):
        rows = made(batch((6,), texts, {"annotations": facts}))
        bare = made(batch((1,), ["red"]))
    assert [row[2] for row in rows] == [sum(f in t.split() for f in facts) / 4 for t in texts]
    assert bare[0][2] is None
    repeats, words = of("perception_r1", "repeats"), [str(i) for i in range(25)]

    @dataclass
    class Said:
        completions: list

    (loss, none) = repeats(Said([" ".join(words * 2), " ".join(words)]))
    runs = [tuple((words * 2)[i : i + 20]) for i in range(31)]
    assert none == 0 and loss == pytest.approx(-sum(run in runs[:i] for i, run in enumerate(runs)) / 31)


def test_gdpo():
    made, config = rewards("gdpo")
    import torch

    assert (config.scale_rewards, config.paid.combine) == ("batch", "gdpo")
    given = batch((6, 6, 6))
    rows = made(given)
    totals = torch.tensor([[value] for value in made.totals(rows, given)], dtype=torch.float64)
    got = advantages(totals, [6] * 3, [1.0], "batch").advantages
    r = torch.tensor([[math.nan if v is None else v for v in row] for row in rows], dtype=torch.float64).view(3, 6, 3)
    r = r.nan_to_num(0)  # no programs: executes is None throughout, which is no spread
    each = (r - r.mean(1, keepdim=True)) / (r.std(1, keepdim=True) + 1e-4)
    summed = (each * torch.tensor([1.0, 0.1, 0.6])).sum(-1).flatten()
    want = (summed - summed.mean()) / (summed.std() + 1e-4)
    torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-6)


ROWS = {
    "visual_rft": {"answer": [[1, 2, 30, 40]]}, "vlm_r1": {"answer": [{"bbox_2d": [1, 2, 30, 40], "label": "cat"}]},
    "star_r1": {"answer": [[1, "color", "red"]]}, "temporal_r1": {"answer": [3, 7.5]},
    "rewardmap": {"answer": "5", "map_difficulty": "hard", "transfers": 1, "stops": ["0", "1"]},
    "code_as_thought": {"answer": "5", "data": [3, 4]}, "vlaa_thinker": {"answer": [1, 2, 30, 40], "verifier": "boxes"},
    "perception_r1": {"answer": "5", "annotations": ["red", "round"]}, "general_reasoner": {"answer": {"x": 1}},
}  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_three_steps_of_each(name, tmp_path, service):
    """On rows of its own kind with the small model; judges are a service on this machine that says yes."""
    from nsrl.train import main

    rows = [{"id": str(i), "question": f"{i}?", **ROWS.get(name, {"answer": "5"})} for i in range(12)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    few = ["warm_start.steps=0", "max_steps=3", "prompts_per_step=2", "num_generations=3", "max_completion_length=8",
           "eval_samples=1", "data.eval_size=2", "engine.workers=1", "preflight=false", "parity_check=false",
           "threads=1", "data.source=hf", f"data.path={tmp_path / 'rows.jsonl'}"]  # fmt: skip
    asking = {"general_reasoner": "judged", "perception_r1": "seen"}.get(name)
    yes = {"choices": [{"text": "Yes"}], "holds": True}
    with service(of(name, asking), lambda body: yes) if asking else contextlib.nullcontext():
        assert main([f"recipe={name}", *few, f"output_dir={tmp_path / 'run'}"]) == 0
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert len(lines) == 3 and all(math.isfinite(line["loss"]) for line in lines)


@pytest.mark.parametrize("name", NAMES)
def test_each_is_sound_as_it_stands(name, tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"question": "1?", "answer": "1"}\n')
    more = [f"data.path={tmp_path / 'rows.jsonl'}", "data.source=hf"]
    require_sound(parse(TrainConfig, [f"recipe={name}", *more, "warm_start.steps=0"], "nsrl train"))
