"""Recipes of stages, prompts and sources: each formula typed again, on random data; and three steps of each."""

import itertools
import json
import math
import statistics
import string
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest
import torch
import yaml
from PIL import Image
from test_rewarded import RNG, batch, box, of, overlap, rewards, verdict

from nsrl.answers import check
from nsrl.config import TrainConfig, parse, require_sound
from nsrl.config.recipes import RECIPES
from nsrl.config.stages import planned_stages
from nsrl.data.chat import Chat
from nsrl.data.graphs import Graphs
from nsrl.data.made import generator
from nsrl.data.shapes.draw import COLOURS
from nsrl.engines import extract
from nsrl.report.statistics import maj_at_k
from nsrl.rewards import RewardBatch, Rewards
from nsrl.trainer.advantage import advantages
from nsrl.trainer.harvest import kept
from nsrl.types import ImageRef, Problem
from nsrl_kernels import policy_loss

NAMES = (
    "rlcr", "mixture_of_thought", "infi_mmr", "r1_onevision", "vicrit", "autothink", "g1", "x_reasoner", "fast_math_r1",
    "reason_rft", "skywork_r1v3", "ssl4rl", "curr_reft", "openvlthinker", "grip", "actial", "internvl3_5",
    "visualquality_r1",
)  # fmt: skip


def stages(name):
    config = parse(TrainConfig, [f"recipe={name}"], "nsrl train")
    return planned_stages(config), config


def kinds(name):
    return [(stage.kind, stage.steps) for stage in stages(name)[0]]


def totals(made, given):
    """The weighted sum of what a completion is paid; None counts 0."""
    return [sum(w * (value or 0.0) for w, value in zip(made.weights, row)) for row in made(given)]


def test_rlcr():
    made, config = rewards("rlcr")
    stated = [RNG.choice(["0.9", "75%", ".5", "1", "sure", None]) for _ in range(9)]
    numbers = {"0.9": 0.9, "75%": 0.75, ".5": 0.5, "1": 1.0}
    texts = ["12" if q is None else f"12 <confidence>{q}</confidence>" for q in stated]
    given = batch((4, 5), texts, templates=config.spans)
    for row, said, right in zip(made(given), stated, given.correct):
        q = numbers.get(said)
        assert row[2] == pytest.approx(0.0 if q is None else 1 - (q - right) ** 2)
    assert made.weights == [0.5] * 3 and config.scale_rewards == "none" and config.beta == 0
    assert (config.num_generations, config.temperature, config.mask_truncated_completions) == (32, 0.7, True)
    grid = [i / 100 for i in range(101)]  # a proper scoring rule: the expectation is largest at the true chance
    for chance in (0.2, 0.55, 0.9):
        best = max(grid, key=lambda q: chance * (1 + 1 - (q - 1) ** 2) + (1 - chance) * (1 - q**2))
        assert best == pytest.approx(chance)
    assert "<confidence>" in Path(config.prompt.system).read_text()


def test_mixture_of_thought():
    problems = [Problem(str(i), "?", "5") for i in range(12)]
    programs = {"prose": "", "sympy": "print(2+{})", "wolfram": "2+{}"}
    records = [
        {"problem_id": p.id, "language": way, "program": text.format(n), "completion": f"{way} {n} {text.format(n)}",
         "tokens": RNG.randrange(5, 90), "correct": RNG.random() < 0.5, "value_text": "5",
         "finish": RNG.choice(["stop", "stop", "length"])}
        for p in problems for way, text in programs.items() for n in range(3)
    ]  # fmt: skip
    rows = kept(records, problems, 1, Chat(mode="cot"))
    want = {}
    for r in records:  # right and whole, the shortest of each problem and way
        key = (r["problem_id"], r["language"])
        if r["correct"] and r["finish"] == "stop" and r["tokens"] < want.get(key, r)["tokens"] + (key not in want):
            want[key] = r
    assert {(r["problem_id"], r["language"]): r["tokens"] for r in rows} == {k: r["tokens"] for k, r in want.items()}
    for _ in range(30):  # the vote over the three ways: the chance over all draws of three
        votes = [RNG.choice([0, 1, 2, None]) for _ in range(7)]
        total = 0.0
        for drawn in itertools.combinations(votes, 3):
            counts = {v: drawn.count(v) for v in drawn if v is not None}
            top = [v for v, n in counts.items() if n == max(counts.values())]
            total += (0 in top) / len(top) if top else 0
        assert maj_at_k(votes, [0], 3) == pytest.approx(total / math.comb(7, 3))
    assert kinds("mixture_of_thought") == [("supervised", 200)]


def picture():
    return ImageRef("k", lambda: Image.new("RGB", (32, 32)), (32, 32))


def test_infi_mmr():
    planned, config = stages("infi_mmr")
    assert [stage.kind for stage in planned] == ["grpo"] * 3
    assert [stage.config.data.path for stage in planned] == ["text.jsonl", "captioned.jsonl", config.data.path]
    shown = [
        Chat(pictures=s.config.prompt.images == "keep").shown(Problem("a", "?", "5", (picture(),))) for s in planned
    ]
    assert [len(problem.images) for problem in shown] == [0, 1, 1]
    made, _ = rewards("infi_mmr")
    given = batch((4, 5), truncated=[RNG.random() < 0.4 for _ in range(9)])
    want = [right + 0.1 * (not cut) for right, cut in zip(given.correct, given.truncated)]
    assert totals(made, given) == pytest.approx(want)


@pytest.mark.parametrize("name", ["r1_onevision", "actial"])
def test_right_and_whole(name):
    made, config = rewards(name)
    given = batch((4, 5), [RNG.choice(["5", ""]) for _ in range(9)], truncated=[RNG.random() < 0.4 for _ in range(9)])
    whole = [bool(text) and not cut for text, cut in zip(given.completions, given.truncated)]
    assert totals(made, given) == pytest.approx([a + b for a, b in zip(given.correct, whole)])
    assert [kind for kind, _ in kinds(name)] == ["supervised", "grpo"] and config.scale_rewards == "group"


def test_vicrit():
    crit = generator(f"{RECIPES / 'vicrit' / 'recipe.py'}:Captions")
    for level in crit.levels:
        for _ in range(20):
            item = crit.draw(RNG, level)
            image = item.pictures[0].open()
            seen = []
            for x in range(
                level + 2
            ):  # read out of the picture: the colour in the middle, and which corners are filled
                colour = image.getpixel((32 * x + 16, 16))
                filled = [image.getpixel((32 * x + a, b)) == colour for a, b in ((6, 6), (8, 24), (9, 9))]
                kind = {(1, 1, 1): "square", (0, 1, 0): "triangle", (0, 0, 1): "circle", (0, 0, 0): "diamond"}
                name = next(name for name, rgb in COLOURS.items() if rgb == colour)
                seen.append(f"{name} {kind[tuple(map(int, filled))]}")
            said = item.question.removeprefix("From the left: ").split(". ")[0].split(", ")
            wrong = [b for a, b in zip(seen, said) if a != b]
            assert wrong == [item.answer] and said.count(item.answer) == 1
            problem = Problem("a", item.question, item.answer)
            paid = [crit.verify(problem, text, extract(text), None).correct for text in said]
            assert paid == [text == item.answer for text in said]
            assert crit.demonstrate(item, "direct", RNG, False) == item.answer


def autothink(ways, lengths, sizes, balance, alpha):
    """RewardManager of the official code on tensors: lengths first, then the balance of the batch."""
    base = {(1, 1): 1.0, (1, 0): 0.0, (0, 1): 2.0, (0, 0): -1.0}
    r = torch.tensor([base[int(t), int(c)] for t, c in ways], dtype=torch.float64)
    size = torch.tensor(lengths, dtype=torch.float64)
    start = 0
    for n in sizes:
        for sign, kind in ((1, True), (-1, False)):
            own = [i for i in range(start, start + n) if ways[i][1] == kind]
            if len(own) > 1:
                z = (size[own] - size[own].mean()) / size[own].std(unbiased=True).clamp_min(1e-6)
                r[own] = r[own] + sign * (torch.exp(-alpha * z) - 1)
        start += n
    for kind, right, wrong in ((True, 0.0, -1.0), (False, 1.0, -2.0)):
        rate = sum(t == kind for t, _ in ways) / len(ways)
        if rate > balance:
            d = max(0.0, min(1.0, (rate - balance) * 2.0))
            for i, (t, c) in enumerate(ways):
                if t == kind:
                    r[i] = (1 - d) * r[i] + d * (right if c else wrong)
    return r.tolist()


@pytest.mark.parametrize("more", [(0.5, 0.0), (1.0, 0.0), (1.0, 0.05), (0.3, 0.2)])
def test_autothink(more):
    thinking = of("autothink", "thinking")
    for share in (0.1, 0.5, 0.9):
        thought = [RNG.random() < share for _ in range(12)]
        texts = ["<think>\n...\n" + "so 2 + 3" * t + "\n</think>\n5" for t in thought]
        given = batch((4, 3, 5), texts)
        want = autothink(list(zip(thought, given.correct)), given.lengths, (4, 3, 5), *more)
        assert thinking(given, *more) == pytest.approx(want)
    cut = batch((2,), ["<think>\n...\nso 2 + 3", "<think>\n...\n"], correct=[True, True])
    assert thinking(cut) == [0.0, 0.0], "without an end of the thoughts nothing is paid"
    planned, config = stages("autothink")
    given = [stage.config.paid.rewards[0] for stage in planned]
    assert [(r.get("balance", 1.0), r.get("alpha", 0.0)) for r in given] == [(0.5, 0.0), (1.0, 0.0), (1.0, 0.05)]
    assert config.prompt.prefill == "<think>\n...\n" and config.beta == 0


def shortest(edges, a, b):
    """Bellman and Ford."""
    far = {node: math.inf for edge in edges for node in edge[:2]} | {a: 0}
    for _ in far:
        for u, v, w in edges:
            far[v], far[u] = min(far[v], far[u] + w), min(far[u], far[v] + w)
    return far[b]


@pytest.mark.parametrize("name", ["g1", "reason_rft", "curr_reft"])
def test_rows_of_several_verifiers_are_paid_their_score(name):
    made, _ = rewards(name)
    mixed = made(batch((4,), scores=[0.25, None, None, None], correct=[True, False, True, None]))
    assert [row[0] for row in mixed] == [0.25, 0.0, 1.0, None] and made.weights[0] == 1


def test_g1():
    for _ in range(60):
        gold, said = (RNG.sample(string.ascii_lowercase, RNG.randrange(1, 5)) for _ in range(2))
        found = verdict("g1", "jaccard", f"The answer is {{{', '.join(said)}}}.", gold)
        want = len({*gold} & {*said}) / len({*gold} | {*said})
        assert found.score == pytest.approx(want) and found.correct == ({*gold} == {*said})
    assert verdict("g1", "jaccard", "5", "5").correct is None
    graphs = Graphs()
    for level, _ in itertools.product(graphs.levels, range(60)):
        asked = graphs.draw(RNG, level).values
        if asked.kind in ("steps", "length"):
            edges = [(u, v, w if asked.kind == "length" else 1) for u, v, w in asked.edges]
            assert asked.value() == shortest(edges, *asked.of)
    assert [s.config.data.level for s in stages("g1")[0]] == [1, 1, 2, 3]


def test_x_reasoner():
    planned, config = stages("x_reasoner")
    assert [(s.kind, s.config.prompt.images) for s in planned] == [("supervised", "none"), ("grpo", "none")]
    assert planned[1].config.data.path == "text.jsonl" and config.prompt.images == "keep", "asked with its pictures"
    made, _ = rewards("x_reasoner")
    given = batch((4, 5))
    assert totals(made, given) == [float(right) for right in given.correct]


def test_fast_math_r1():
    made, config = rewards("fast_math_r1")
    kinds_of = ["so \\boxed{5}.</think>", "so 5</think>\\boxed{5}", "\\boxed{5}", "a\nb\\boxed{7}\n</think> 7"]
    texts = [RNG.choice(kinds_of) for _ in range(9)]
    given = batch((4, 5), texts, completion_ids=[[0] * RNG.choice([7, 900, 20_000]) for _ in range(9)])
    total = []
    for rows in given.groups():
        low, high = min(given.lengths[i] for i in rows), max(given.lengths[i] for i in rows)
        for i in rows:
            n, right = given.lengths[i], given.correct[i]
            worst, best = (0.1, 1.0) if right else (-0.1, -1.0)
            wave = worst + 0.5 * (best - worst) * (1 + math.cos(min(1.0, n / 16384) * math.pi))
            saved = 0.5 - (n - low) / (high - low) if high > low else 0.0
            box_first = "oxed{" in given.completions[i].partition("</think>")[0] and "</think>" in given.completions[i]
            total.append(box_first + wave + (saved if right else min(0.0, saved)))
    assert totals(made, given) == pytest.approx(total)
    assert (config.beta, config.num_generations, config.learning_rate) == (0.04, 8, 4e-6)
    assert kinds("fast_math_r1") == [("supervised", math.ceil(10 * 7900 / 32)), ("grpo", 50)]


def test_reason_rft():
    for _ in range(80):
        gold, said = RNG.choice([-40.0, 2.5, 80.0]), RNG.uniform(-100, 100)
        off = abs(said - gold) / abs(gold)
        want = 1 if off < 0.05 else 0 if off > 0.2 else 0.5 * (math.cos(math.pi * (off - 0.05) / 0.15) + 1)
        found = verdict("reason_rft", "near", f"The answer is {said:.9f}", f"{gold}")
        assert found.score == pytest.approx(want, abs=1e-6)
    for text in ("", "many", "inf", "nan", "1e999"):
        assert verdict("reason_rft", "near", f"The answer is {text}", "5").score == 0
    draw = lambda: (RNG.choice(["move", "color", "size"]), RNG.choice("01"), RNG.choice(["red", "up"]))
    for _ in range(200):
        gold, said = [draw() for _ in range(RNG.randrange(1, 4))], [draw() for _ in range(RNG.randrange(5))]
        mine, theirs = sorted({*said}), sorted({*gold})
        count = max(len(mine), len(theirs))
        total = 0.0
        for worth, same in (
            (1, lambda p, s: p == s), (0.5, lambda p, s: p[:2] == s[:2]),
            (0.5, lambda p, s: (p[0], p[2]) == (s[0], s[2])), (0.25, lambda p, s: p[0] == s[0]),
        ):  # fmt: skip
            for p, s in [(p, s) for p in mine for s in theirs if same(p, s)]:
                if p in mine and s in theirs:
                    total += worth * (len({*said}) / len(said)) / count
                    mine.remove(p), theirs.remove(s)
        write = lambda calls: ", ".join(f"{f}({o}, '{v}')" for f, o, v in calls)
        found = verdict("reason_rft", "changed", write(said), write(gold))
        assert found.score == pytest.approx(total) and found.correct == ({*said} == {*gold})
    assert verdict("reason_rft", "changed", "a(1, b)", "nothing").correct is None


@dataclass
class Seen:
    """What `critical` looks at, one token a character."""

    batch: RewardBatch
    entropies: dict
    metrics: dict = field(default_factory=dict)

    def tokens(self, i, span):
        start = sum(len(text) for text in self.batch.completions[:i])
        return slice(start + span[0], start + span[1])


def test_skywork_r1v3():
    texts = ["Wait, 5. Alternatively 6. However", "so 5", "Awaiting. But wait, Hmm", "I await"]
    entropy = torch.rand(sum(map(len, texts)))
    step = Seen(batch((4,), texts), {"policy": entropy})
    of("skywork_r1v3", "critical")(step)
    whole = "".join(texts)
    places = [whole.index(w) for w in ("Wait", "Alternatively", "However", "But wait", "Hmm")]
    assert step.metrics["critical"] == pytest.approx(float(entropy[places].mean()))
    assert step.metrics["critical_tokens"] == 5
    none = Seen(batch((1,), ["so 5"]), {"policy": torch.rand(4)})
    of("skywork_r1v3", "critical")(none)
    assert none.metrics == {"critical_tokens": 0}
    planned, config = stages("skywork_r1v3")
    assert [(s.kind, s.config.train) for s in planned] == [
        ("supervised", ["language"]), ("grpo", ["language"]), ("supervised", ["merger"])
    ]  # fmt: skip
    assert config.model.freeze_vision_tower is False and planned[2].config.demonstrations.path == "mixed.jsonl"


def test_ssl4rl():
    made, _ = rewards("ssl4rl")
    planned, config = stages("ssl4rl")
    assert [s.config.data.source for s in planned] == [
        "rotation",
        "jigsaw",
        "shapes",
    ] and config.data.source == "shapes"
    for source in ("rotation", "jigsaw"):
        for seed in range(12):
            item = generator(source).draw(Random(seed), 1)
            others = {generator(source).draw(Random(n), 1).answer for n in range(40)} - {item.answer}
            texts = [str(item.answer), *sorted(map(str, others))[:3]]
            problem = Problem("a", item.question, item.answer, columns=dict(item.columns))
            rights = [check(text, item.answer).correct for text in texts]
            given = batch((len(texts),), texts, problems=[problem] * len(texts), correct=rights)
            assert [row[0] for row in made(given)] == [1.0] + [0.0] * (len(texts) - 1)


def test_curr_reft():
    letters = "ABCDE"
    for _ in range(100):
        gold, said = (set(RNG.sample(letters, RNG.randrange(1, 4))) for _ in range(2))
        text = f"The answer is {', '.join(sorted(said))}"
        found = of("curr_reft", "choices")(
            Problem("a", "?", None, columns={"answer": ", ".join(sorted(gold))}),
            text,
            Answer(", ".join(sorted(said))),
            None,
        )
        assert found.score == (1.0 if said == gold else 0.2 if said < gold else 0.0)
        names = {"cat", "dog", "traffic light", "bus"}
        gold, said = (set(RNG.sample(sorted(names), RNG.randrange(1, 4))) for _ in range(2))
        problem = Problem("a", "?", None, columns={"answer": ", ".join(gold)})
        found = of("curr_reft", "classes")(problem, "", Answer(", ".join(said).title()), None)
        assert found.score == pytest.approx(len(gold & said) / len(gold | said))
        a, b = box(), box()
        assert verdict("curr_reft", "found", str(a), [b]).score == float(overlap(a, b) > 0.5)
    nothing = Problem("a", "?", None)
    assert of("curr_reft", "choices")(nothing, "", Answer(None), None).correct is None
    assert [(s.steps, s.config.num_generations) for s in stages("curr_reft")[0]] == [(500, 4), (500, 2), (2300, 4)]


@dataclass
class Answer:
    """What was found in a text."""

    answer: str | None


def test_openvlthinker():
    made, config = rewards("openvlthinker")
    kinds_of = {"a</think>\nso <answer>5</answer>": 1.0, "a</think> \n <answer>5</answer>": 0.5, "5": 1.0,
                "<answer>5</answer>": 1.0, "a</think>5": 1.0}  # fmt: skip
    texts = [RNG.choice([*kinds_of]) for _ in range(9)]
    given = batch((4, 5), texts)
    want = [right * kinds_of[text] for text, right in zip(texts, given.correct)]
    assert [row[0] for row in made(given)] == pytest.approx(want)
    assert (config.beta, config.num_generations, config.prompts_per_step, config.mini_batches) == (0.01, 5, 512, 4)


def test_grip():
    made, _ = rewards("grip")
    for _ in range(60):
        gold = [[20 * i, 0, 20 * i + RNG.randrange(2, 9), RNG.randrange(2, 9)] for i in range(RNG.randrange(1, 4))]
        said = [[g[0] + RNG.randrange(2), g[1], g[2], g[3]] for g in gold if RNG.random() < 0.7]  # each near its own
        weights = [RNG.choice([0.5, 1, 3]) for _ in gold]
        near = [next((overlap(s, g) for s in said if abs(s[0] - g[0]) < 5), 0.0) for g in gold]
        want = sum(w * v for w, v in zip(weights, near)) / sum(weights)
        given = batch((1,), [f"see {said}"], {"boxes": gold, "salience": weights})
        assert made(given)[0][2] == pytest.approx(want)
    assert made(batch((1,), ["5"]))[0][2] is None
    even = batch((1,), ["[0, 0, 4, 4]"], {"boxes": [[0, 0, 4, 4], [9, 9, 12, 12]]})
    assert made(even)[0][2] == pytest.approx(0.5)


def test_internvl3_5():
    config = parse(TrainConfig, ["recipe=internvl3_5"], "nsrl train")
    assert (config.loss_type, config.epsilon, config.epsilon_high, config.beta) == ("gspo", 3e-4, 4e-4, 0)
    generator = torch.Generator().manual_seed(RNG.randrange(10**6))
    lengths = [3, 5, 1, 4]
    old = -3 * torch.rand(sum(lengths), generator=generator)
    new = (old + 2e-3 * torch.randn(old.shape, generator=generator)).requires_grad_()
    reward = torch.tensor([1.0, 0.0, 1.1, 0.1])
    own = advantages(reward.double()[:, None], [4], [1.0], config.scale_rewards).advantages
    torch.testing.assert_close(own, ((reward - reward.mean()) / (reward.std() + 1e-4)).double(), rtol=1e-5, atol=1e-6)
    bounds = [0, *itertools.accumulate(lengths)]
    want = torch.zeros(())
    for a, (start, end) in zip(own.tolist(), itertools.pairwise(bounds)):
        s = torch.exp((new[start:end] - old[start:end]).mean())
        want = want - torch.minimum(s * a, s.clamp(1 - 3e-4, 1 + 4e-4) * a) / len(lengths)
    options = {name: getattr(config, name) for name in ("loss_type", "epsilon", "epsilon_high", "beta")}
    loss, _ = policy_loss(new, own.float(), cu_seqlens=torch.tensor(bounds), old_logp=old, backend="torch", **options)
    torch.testing.assert_close(loss, want, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(
        torch.autograd.grad(loss, new)[0], torch.autograd.grad(want, new)[0], rtol=1e-4, atol=1e-7
    )


def test_visualquality_r1():
    ranked = of("visualquality_r1", "ranked")
    phi = lambda x: 0.5 * (1 + math.erf(x / math.sqrt(2)))
    for _ in range(20):
        opinions, sizes = [RNG.choice([1.5, 2.0, 4.25]) for _ in range(4)], [5, 6, 4, 6]
        scores = [[RNG.randrange(100, 500) / 100 for _ in range(n)] for n in sizes]
        problems = [
            Problem(str(i), "?", None, columns={"mos": o}) for i, o in enumerate(opinions) for _ in range(sizes[i])
        ]
        texts = [f"In 2 ways: the score is {s:.2f}" for group in scores for s in group]
        given = batch(tuple(sizes), texts, problems=problems)
        want = []
        for i, j_all in ((i, [j for j in range(4) if j != i]) for i in range(4)):
            for q in scores[i]:
                total = 0.0
                for j in j_all:
                    scale = math.sqrt(statistics.variance(scores[i]) + statistics.variance(scores[j]) + 1e-6)
                    p = phi((q - sum(scores[j]) / len(scores[j])) / scale)
                    t = 1.0 if opinions[i] > opinions[j] else 0.5 if opinions[i] == opinions[j] else 0.0
                    total += math.sqrt(t * p) + math.sqrt((1 - t) * (1 - p))
                want.append(total / 3)
        assert ranked(given) == pytest.approx(want, abs=1e-9)
    odd = batch((1, 1), ["none", "3"], problems=[Problem("a", "?", "2"), Problem("b", "?", None)])
    assert ranked(odd) == [0.0, None]


def test_paper():
    config = parse(TrainConfig, ["recipe=paper"], "nsrl train")
    made = Rewards(**config.paid.asked())
    given = batch((5, 5))
    want = []
    for rows in given.groups():
        longest = max((given.lengths[i] for i in rows if given.correct[i]), default=1)
        want += [given.correct[i] * (1 + 0.2 * (1 - given.lengths[i] / longest)) for i in rows]
    assert totals(made, given) == pytest.approx(want) and made.weights == [1.0, 0.1, 0.2]
    assert (config.num_generations, config.lora.r, config.lora.alpha, config.beta) == (10, 16, 32, 0.05)
    assert config.lora.target_modules == ["q_proj", "k_proj", "v_proj", "o_proj"]


TAUGHT = ("mixture_of_thought", "r1_onevision", "x_reasoner", "fast_math_r1", "reason_rft", "skywork_r1v3",
             "openvlthinker", "grip", "actial")  # fmt: skip
OWN = {
    "reason_rft": {"answer": "move(1, 'up')", "verifier": "change"},
    "curr_reft": {"answer": "A, B", "verifier": "choices"},
    "grip": {"answer": "5", "boxes": [[1, 2, 30, 40]], "salience": [2]},
    "visualquality_r1": {"answer": "3.5", "mos": 3.5},
}  # fmt: skip
FEW = {
    "prompts_per_step": 2, "num_generations": 3, "max_completion_length": 8, "mini_batches": 1, "eval_samples": 1,
    "data.eval_size": 2, "engine.workers": 1, "preflight": False, "parity_check": False, "threads": 1,
    "warm_start.batch_size": 2, "temperature": 1.0,
}  # fmt: skip


def put(content, key, value):
    group, _, name = key.rpartition(".")
    (content.setdefault(group, {}) if group else content)[name] = value


def small(name, home):
    """A recipe of few and short steps, three of them of GRPO, on rows of its own kind, in the folder `home`."""
    folder = RECIPES / name
    content = yaml.safe_load((folder / "recipe.yaml").read_text())
    for path in [*folder.glob("*.py"), *folder.glob("*.txt")]:
        (home / path.name).write_text(path.read_text())
    Image.new("RGB", (32, 32)).save(home / "p.png")
    row = lambda i, where="": {"id": f"{where}{i}", "question": f"{where} {i}?", "answer": "5"} | OWN.get(name, {})
    told = {
        "rows": [row(i) for i in range(12)],
        "taught": [{"question": f"{i}?", "completion": "so 5", "answer": "5", "image": "p.png"} for i in range(8)],
    }
    learning = [stage for stage in content.get("stages", []) if stage["kind"] != "evaluate"]
    grpo = [stage for stage in learning if stage["kind"] == "grpo"]
    for stage in learning:
        stage["steps"] = max(1, 4 - len(grpo)) if grpo and stage is grpo[-1] else 1
        for key in FEW:
            stage.pop(key, None)
        if path := stage.get("data", {}).get("path"):
            told[path.removesuffix(".jsonl")] = [row(i, stage["name"]) for i in range(12)]
            stage["data"]["path"] = str(home / path)
        if "demonstrations" in stage:
            stage["demonstrations"]["path"] = str(home / "taught.jsonl")
    for file, rows in told.items():
        (home / f"{file}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    more = FEW | ({} if learning else {"max_steps": 3, "warm_start.steps": 0})
    more |= {"demonstrations.path": str(home / "taught.jsonl")} if name in TAUGHT else {}
    if "source" not in content.get("data", {}):
        more |= {"data.source": "hf", "data.path": str(home / "rows.jsonl")}
    for key, value in more.items():
        put(content, key, value)
    (home / "recipe.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return f"recipe={home}"


@pytest.mark.parametrize("name", NAMES)
def test_each_is_sound_as_it_stands(name, tmp_path):
    require_sound(parse(TrainConfig, [small(name, tmp_path)], "nsrl train"))


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_three_steps_of_each(name, tmp_path):
    """With the small model, on rows of its own kind or its own source."""
    from nsrl.train import main

    assert main([small(name, tmp_path), f"output_dir={tmp_path / 'run'}"]) == 0
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    grpo = [line for line in lines if "reward" in line]
    assert len(grpo) == (0 if name == "mixture_of_thought" else 3)
    assert all(math.isfinite(line["loss"]) for line in lines)
    told = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert ("calibration" in told) == (name == "rlcr")
