"""Which problems a step takes and which groups it learns from: each kind against a hand-written one, on problems with
known Bernoulli rates, and resumed at any step."""

import itertools
import json
import math
import random
from dataclasses import replace
from math import comb

import pytest
import torch

from nsrl.config import TrainConfig
from nsrl.config.draw import KEYS_OF, DrawConfig
from nsrl.data.made import opened as source_of
from nsrl.data.shapes import Shapes
from nsrl.data.source import Rows
from nsrl.errors import UserError
from nsrl.trainer.advantage import advantages, step_advantages
from nsrl.trainer.draw import CLASSES, Draw, Outcome, Streams, opened, state_of
from nsrl.trainer.pools import pools, streams
from nsrl.trainer.problems import ProblemStream
from nsrl.types import Problem

SEED = random.randrange(10**9)
G = 6

OWN = '''
from nsrl.trainer.draw import Draw

class EveryOther(Draw):
    """Every second problem; of the groups the best `most`; remembers how many it saw."""

    def take(self, count, step):
        return [self.draw("") for _ in range(2 * count)][::2]

    def keep(self, outcomes, count):
        order = sorted(super().keep(outcomes, count), key=lambda i: -outcomes[i].mean)
        return sorted(order[: int(self.config.arguments["most"])])

    def report(self, outcomes):
        self.seen = getattr(self, "seen", 0) + len(outcomes)
        self.metrics["seen"] = self.seen

    def state_dict(self):
        return super().state_dict() | {"seen": getattr(self, "seen", 0)}

    def load_state_dict(self, state):
        super().load_state_dict(state)
        self.seen = state["seen"]
'''


def rows(count=60, seed=SEED):
    """Problems with a pass rate each, in three categories."""
    rng = random.Random(seed)
    return [
        Problem(str(i), f"{i}?", "1", category="abc"[i % 3], columns={"rate": rng.choice((0.0, 0.1, 0.3, 0.5, 0.8, 1))})
        for i in range(count)
    ]  # fmt: skip


def made(kind, problems=None, parts=None, seed=SEED, **keys):
    config = DrawConfig(kind=kind, **keys)
    sources = parts or {"": Rows(problems if problems is not None else rows(), (), seed)}
    return opened(config, Streams(sources), seed, {})


def rolled(draw, problems, rng, rate=lambda p: p.columns["rate"], size=G):
    """What became of problems whose completions are right with these chances."""
    found = []
    for problem in problems:
        right = [rng.random() < rate(problem) for _ in range(size)]
        found.append(
            Outcome(problem, right, [float(r) for r in right], {}, [1] * size, draw.came_from.get(problem.id, ""))
        )
    return found  # fmt: skip


def step(draw, number, rng, count=8, **how):
    """One step of a run without a model: what was taken, and what was learned from."""
    draw.metrics = {}
    outcomes = rolled(draw, draw.take(draw.wanted(count), number), rng, **how)
    kept = draw.keep(outcomes, count)
    draw.report(outcomes)
    draw.came_from = {}
    return outcomes, kept


def live_share(rate, size=G):
    return 1 - rate**size - (1 - rate) ** size


KINDS = {
    "plain": {"gate": "correct"},
    "mixture": {"weights": {"a": 1.0, "b": 3.0}},
    "tiers": {"tiers": {"hard": "0 to 0.4", "easy": "0.4 to 1"}, "weights": {"hard": 1.0, "easy": 0.2}, "decay": 0.3},
    "variance": {"by": "id", "least": 0.1, "pass_at": 2},
    "promote": {"order": ["a", "b", "c"], "threshold": 0.4, "window": 20},
    "rlcs": {"most": 3.0, "decay": 0.6, "tiers": {"some": "0.05 to 0.95"}},
}


def own_file(tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    return f"{tmp_path / 'own.py'}:EveryOther"


def of_kind(kind, tmp_path, seed=SEED):
    if kind == "own":
        return made(own_file(tmp_path), arguments={"most": "5"}, seed=seed)
    parts = {name: Rows([p for p in rows() if p.category == name], (), seed) for name in "abc"}
    keys = dict(KINDS[kind])
    gate = keys.pop("gate", None)
    divided = kind in ("mixture", "promote")
    return made(kind, parts=parts if divided else None, seed=seed, gate=gate, **keys)


def with_gate(outcomes):
    """The same with the component that the plain kind's gate looks at."""
    return [Outcome(o.problem, o.correct, o.rewards, {"correct": o.rewards}, o.tokens, o.part) for o in outcomes]


@pytest.mark.parametrize("kind", [*KINDS, "own"])
def test_n_steps_and_n_resumed_ones_are_2n(kind, tmp_path):
    """From a state that went through JSON, at every step; and nothing but seed and outcomes decides."""

    def run(draw, steps, done=0):
        told = []
        for number in range(done + 1, done + steps + 1):
            rng = random.Random(f"{SEED}/{number}")
            outcomes = with_gate(rolled(draw, draw.take(draw.wanted(7), number), rng))
            kept = draw.keep(outcomes, 7)
            draw.metrics = {}
            draw.report(outcomes)
            draw.came_from = {}
            told.append(([o.problem.id for o in outcomes], kept, dict(draw.metrics), json.dumps(state_of(draw))))
        return told

    whole = run(of_kind(kind, tmp_path), 12)
    assert whole == run(of_kind(kind, tmp_path), 12)
    for half in (1, 5, 9):
        first = of_kind(kind, tmp_path)
        begun = run(first, half)
        state = json.loads(json.dumps(state_of(first)))
        second = of_kind(kind, tmp_path)
        second = opened(second.config, Streams(second.streams.sources), SEED, state)
        assert begun + run(second, 12 - half, half) == whole
    other = of_kind(kind, tmp_path, SEED + 1)
    assert kind in ("plain", "own", "promote") or run(other, 12) != whole


@pytest.mark.parametrize("source", [Rows(rows(), (), 3), Shapes(1, 0, 10)], ids=["rows", "shapes"])
def test_the_plain_kind_takes_the_very_problems_of_the_stream(source):
    draw = opened(DrawConfig(gate="correct"), Streams({"": source}), 3, {})
    stream = ProblemStream(source, chooser=draw)
    taken = [p.id for _ in range(5) for p in stream.take(31)]
    assert (
        taken
        == [p.id for p in itertools.islice(source.train(0), 155)]
        == [p.id for p in ProblemStream(source).take(155)]
    )
    assert stream.position == draw.drawn == 155 and stream.wanted(31) == 31
    assert opened(DrawConfig(), Streams({"": source}), 3, {}) is None and not DrawConfig().is_on


def test_a_mixture_has_its_shares_and_each_part_its_own_stream():
    parts = {name: Rows([p for p in rows(90) if p.category == name], (), SEED) for name in "abc"}
    weights = {"a": 1.0, "b": 2.0, "c": 0.0}
    draw = made("mixture", parts=parts, weights=weights)
    taken = [p for number in range(100) for p in draw.take(30, number)]
    for name, weight in weights.items():
        mine = [p.id for p in taken if p.category == name]
        assert mine == [p.id for p in itertools.islice(parts[name].train(0), len(mine))]
        expected = weight / 3
        assert abs(len(mine) / 3000 - expected) <= 5 * math.sqrt(expected * (1 - expected) / 3000)
    alike = made("mixture", parts=parts)
    counts = [sum(p.category == name for p in alike.take(3000, 1)) for name in "abc"]
    assert all(abs(n - 1000) < 5 * math.sqrt(3000 * 2 / 9) for n in counts)


def test_a_gold_is_of_the_part_that_its_problem_is_of():
    parts = {str(level): source_of("shapes", level, 0, held_out=4) for level in (1, 3)}
    taken = Streams(parts, named=True)
    for part, source in parts.items():
        plain = next(source.train())
        assert taken.gold(taken.next(part), "nsl") == source.gold(plain, "nsl")
    assert len({taken.gold(Streams(parts, named=True).next(part), "nsl") for part in parts}) == 2


def test_tiers_of_a_column_take_what_is_in_them_once_an_epoch():
    problems = rows(80)
    keys = dict(column="rate", tiers={"hard": "0.05 to 0.3", "middle": "0.3 to 0.6"})
    draw = made("tiers", problems, **keys)
    wanted = [
        p.id for p in itertools.islice(Rows(problems, (), SEED).train(0), 400) if 0.05 <= p.columns["rate"] <= 0.6
    ]
    assert [p.id for p in draw.take(len(wanted), 1)] == wanted
    draw = made("tiers", problems, weights={"hard": 1.0, "middle": 0.25}, **keys)
    taken = [p.columns["rate"] for _ in range(40) for p in draw.take(100, 1)]
    hard, middle = (sum(low <= p.columns["rate"] <= 0.6 and (p.columns["rate"] <= 0.3) == (low < 0.3) for p in problems)
                    for low in (0.05, 0.31))  # fmt: skip
    expected = hard / (hard + 0.25 * middle)
    share = sum(rate <= 0.3 for rate in taken) / len(taken)
    assert abs(share - expected) < 5 * math.sqrt(expected * (1 - expected) / len(taken))
    with pytest.raises(UserError, match="no training problem of 80 can be taken"):
        made("tiers", problems, column="rate", tiers={"none": "2 to inf"})
    with pytest.raises(UserError, match="no training problem"):
        made("variance", problems, column="absent")
    with pytest.raises(UserError, match="can be taken by it"):  # percent are no rates
        made("variance", [replace(p, columns={"rate": 100.0 * (i + 1)}) for i, p in enumerate(problems)], column="rate")


def test_tiers_by_measured_rates_are_a_simulated_learners():
    """Written out: every problem has a running mean of its groups' pass@k; what is above 0.9 is left alone."""
    problems, k, decay = rows(30), 2, 0.5
    draw = made("tiers", problems, tiers={"open": "0 to 0.9"}, pass_at=k, decay=decay)
    stream, known, rng, other = Rows(problems, (), SEED).train(0), {}, random.Random(SEED), random.Random(SEED)
    passed_over = 0
    for number in range(25):
        outcomes, kept = step(draw, number, rng, 6)
        wanted = []
        while len(wanted) < 6:
            problem = next(stream)
            if known.get(problem.id, 0.0) <= 0.9:
                wanted.append(problem)
            else:
                passed_over += 1
        assert [o.problem.id for o in outcomes] == [p.id for p in wanted] and kept == [*range(6)]
        seen = {}
        for problem in wanted:
            right = sum(other.random() < problem.columns["rate"] for _ in range(G))
            pairs = [any(pair) for pair in itertools.combinations([1] * right + [0] * (G - right), k)]
            seen.setdefault(problem.id, []).append(sum(pairs) / len(pairs))
        for name, rates in seen.items():
            now = sum(rates) / len(rates)
            known[name] = now if name not in known else decay * known[name] + (1 - decay) * now
        assert draw.rates == pytest.approx(known)
    assert passed_over > 5 and draw.metrics["refused"] >= 0


def test_all_solved_takes_the_last_one_rather_than_none_and_the_unfiltered_accuracy_counts_what_was_passed_over():
    problems = [Problem(str(i), "?", "1", columns={"rate": 1.0}) for i in range(10)]
    draw = made("tiers", problems, tiers={"open": "0 to 0.9"}, decay=0.0)
    step(draw, 1, random.Random(0), 10)
    outcomes, _ = step(draw, 2, random.Random(0), 2)
    assert len(outcomes) == 2 and draw.metrics["forced"] == 2
    half = [Problem(str(i), "?", "1", columns={"rate": i % 2}) for i in range(100)]
    draw = made("tiers", half, tiers={"hard": "0 to 0.5"}, column="rate")
    step(draw, 1, random.Random(0), 50)
    seen = 50 + draw.metrics["refused"] * 50
    assert draw.metrics["unfiltered_pass@1"] == pytest.approx((seen - 50) / seen) and seen > 90


def test_the_unfiltered_accuracy_is_of_pass_at_1_and_of_rates_alone():
    """Measured pass@3 decides what is passed over; what that one is worth is its own running pass@1, resumed too."""
    problems, decay = rows(30), 0.5
    draw = made("tiers", problems, tiers={"open": "0 to 0.9"}, pass_at=3, decay=decay)
    stream, rng, other = Rows(problems, (), SEED).train(0), random.Random(SEED), random.Random(SEED)
    known, accuracy, told = {}, {}, 0
    for number in range(25):
        if number == 12:  # gone on with
            state = json.loads(json.dumps(state_of(draw)))
            draw = opened(draw.config, Streams(draw.streams.sources), SEED, state)
        outcomes, _ = step(draw, number, rng, 6)
        taken, refused = [], []
        while len(taken) < 6:
            problem = next(stream)
            taken += [problem] if known.get(problem.id, 0.0) <= 0.9 else []
            refused += [problem] if known.get(problem.id, 0.0) > 0.9 else []
        shares = []
        for problem in taken:
            right = sum(other.random() < problem.columns["rate"] for _ in range(G))
            trios = [any(trio) for trio in itertools.combinations([1] * right + [0] * (G - right), 3)]
            shares.append((problem.id, sum(trios) / len(trios), right / G))
        values = [share for _, _, share in shares] + [accuracy[p.id] for p in refused]
        assert [o.problem.id for o in outcomes] == [p.id for p in taken]
        assert draw.metrics["unfiltered_pass@1"] == pytest.approx(sum(values) / len(values))
        told += len(refused)
        for name in {name for name, _, _ in shares}:
            for into, k in ((known, 1), (accuracy, 2)):
                own = [one[k] for one in shares if one[0] == name]
                now = sum(own) / len(own)
                into[name] = now if name not in into else decay * into[name] + (1 - decay) * now
    assert told > 5
    counts = [Problem(str(i), "?", "1", columns={"iterations": 1 + i % 9}) for i in range(40)]
    draw = made("tiers", counts, tiers={"hard": "6 to 50"}, column="iterations")
    step(draw, 1, random.Random(0), 10, rate=lambda p: 0.5)
    assert draw.metrics["refused"] > 0 and "unfiltered_pass@1" not in draw.metrics, "1 iteration is no rate of 1"


def test_variance_has_the_live_share_that_its_weights_give():
    """Problems are taken in proportion to p(1 - p), so the expected share of groups with spread is known."""
    problems = rows(300)
    p = [one.columns["rate"] for one in problems]
    for kind, weight in (("variance", lambda x: 4 * x * (1 - x)), ("tiers", lambda x: 1.0)):
        keys = {} if kind == "variance" else {"tiers": {"all": "0 to 1"}}
        draw, rng, live, count = made(kind, problems, column="rate", **keys), random.Random(SEED), 0, 0
        for number in range(60):
            outcomes, _ = step(draw, number, rng, 50)
            live, count = live + sum(o.is_valid for o in outcomes), count + len(outcomes)
        expected = sum(weight(x) * live_share(x) for x in p) / sum(map(weight, p))
        assert abs(live / count - expected) < 5 * math.sqrt(expected * (1 - expected) / count)
    measured = made("variance", problems, by="category", decay=0.9, least=0.01)
    rates = {"a": 0.5, "b": 0.98, "c": 1.0}
    for number in range(40):
        outcomes, _ = step(measured, number, rng, 30, rate=lambda one: rates[one.category])
    shares = {name: sum(o.problem.category == name for o in outcomes) for name in "abc"}
    assert shares["a"] > 20 and measured.rates["a"] == pytest.approx(0.5, abs=0.15)


def test_rlcs_has_its_fixed_point_and_keeps_those_nearest_one_half():
    """The running mean of 1 / (share of valid groups) against the sum over the binomial distribution."""
    share, count, most, decay = 0.4, 12, 4.0, 0.9
    problems = [Problem(str(i), "?", "1") for i in range(40)]
    draw, rng, ratios = made("rlcs", problems, most=most, decay=decay), random.Random(SEED), []
    for number in range(3000):
        taken = draw.take(count, number)
        found = [Outcome(p, [rng.random() < share, False], [0.0, 0.0]) for p in taken]
        draw.report(found)
        ratios.append(draw.ratio)
    values = {v: most if v == 0 else min(most, count / v) for v in range(count + 1)}
    odds = {v: comb(count, v) * share**v * (1 - share) ** (count - v) for v in values}
    expected = sum(odds[v] * values[v] for v in values)
    spread = math.sqrt(sum(odds[v] * (values[v] - expected) ** 2 for v in values))
    assert abs(sum(ratios[100:]) / 2900 - expected) < 5 * spread / math.sqrt(2900)
    assert draw.wanted(10) == math.ceil(10 * draw.ratio) and draw.metrics["invalid"] <= 1
    for _ in range(50):
        found = [Outcome(problems[0], right, [0.0] * 6) for right in
                 ([rng.random() < 0.6 for _ in range(6)] for _ in range(8))]  # fmt: skip
        kept = draw.keep(found, 3)
        distance = lambda chosen, found=found: sum(abs(found[i].accuracy - 0.5) for i in chosen)
        assert len(kept) == 3 and kept == sorted(kept)
        assert distance(kept) == pytest.approx(min(map(distance, itertools.combinations(range(8), 3))))
    unsaid = [Outcome(problems[0], [None] * 2, r) for r in ([1.0, 1.0], [0.0, 1.0], [0.5, 0.5])]
    assert draw.keep(unsaid, 1) == [1]


def test_rlcs_passes_over_what_is_in_no_tier_as_tiers_do():
    keys = dict(column="rate", tiers={"middle": "0.2 to 0.7"})
    one, other = made("rlcs", **keys), made("tiers", **keys)
    assert [p.id for p in one.take(40, 1)] == [p.id for p in other.take(40, 1)]
    plain = [p.id for p in itertools.islice(Rows(rows(), (), SEED).train(0), 40)]
    assert [p.id for p in made("rlcs").take(40, 1)] == plain != [p.id for p in made("rlcs", **keys).take(40, 1)]


def test_promotion_is_saturns_rule_on_a_simulated_learner():
    """SATURN's loop, written out: check pass@k at this difficulty; above the threshold the next one comes."""

    class Learner:  # learns a level by practice, one after the other
        def __init__(self):
            self.practice = {"1": 0, "2": 0, "3": 0}

        def rate(self, level):
            return 1 - math.exp(-self.practice[level] / 120)

    for k, threshold, window in ((1, 0.5, 30), (3, 0.75, 50), (2, 0.9, 8)):
        parts = {name: Rows([Problem(f"{name}-{i}", "?", "1") for i in range(2000)], (), SEED) for name in "123"}
        draw = made("promote", parts=parts, pass_at=k, threshold=threshold, window=window)
        mine, its = Learner(), Learner()
        rng, other = random.Random(SEED), random.Random(SEED)
        level, seen, history = 0, [], []
        for number in range(150):
            outcomes, _ = step(draw, number, rng, 7, rate=lambda p, mine=mine: mine.rate(p.id[0]))
            now = {o.part for o in outcomes}
            assert now == {str(level + 1)} and draw.metrics["part"] == level + 1
            mine.practice[str(level + 1)] += len(outcomes)
            for _ in range(7):
                right = [other.random() < its.rate(str(level + 1)) for _ in range(G)]
                subsets = [any(s) for s in itertools.combinations(right, k)]
                seen.append(sum(subsets) / len(subsets))
            its.practice[str(level + 1)] += 7
            if len(seen) >= window:
                assert draw.metrics["check"] == pytest.approx(sum(seen) / len(seen))
                if sum(seen) / len(seen) > threshold and level < 2:
                    level += 1
                seen = []
            history.append(level)
        assert history[0] == 0 and (history[-1] == 2 or threshold == 0.9)


def test_pass_at_k_is_without_bias():
    for _ in range(30):
        n = random.randrange(1, 8)
        right = [random.choice([True, False, None]) for _ in range(n)]
        said = [r for r in right if r is not None]
        for k in range(1, n + 1):
            found = Outcome(Problem("a", "?", "1"), right, [0.0] * n).pass_at(k)
            subsets = [any(s) for s in itertools.combinations(said, min(k, len(said)))]
            assert found == (pytest.approx(sum(subsets) / len(subsets)) if said else None)


def test_the_gate_closes_where_a_component_is_zero_throughout():
    draw = made("plain", gate="seen")
    values = [[0.0, 0.0], [0.0, 0.5], [math.nan, 0.0], [math.nan, math.nan], [0.0, math.nan]]
    outcomes = [Outcome(Problem("a", "?", "1"), [True, False], [1.0, 0.0], {"seen": v}) for v in values]
    assert draw.keep(outcomes, 5) == [1, 3], "what does not apply closes nothing"
    both = made("rlcs", gate="seen")
    assert both.keep(outcomes, 1) == [1]


@pytest.mark.parametrize("scale", ["group", "batch", "none"])
def test_advantages_of_what_is_kept_are_those_of_a_batch_of_it_alone(scale):
    sizes, generator = [3, 4, 2, 5, 3], torch.Generator().manual_seed(SEED)
    components = torch.rand(sum(sizes), 2, generator=generator, dtype=torch.float64)
    components[3:7] = 0.5  # no spread
    lengths = [5] * sum(sizes)
    for kept, wanted in (([0, 1, 4], 3), ([2], 4), ([], 2)):
        seen = []
        gain = step_advantages(components, sizes, 5, [1.0, 0.5], scale, lengths, None,
                               lambda reward, kept=kept, seen=seen: seen.append(reward) or kept, wanted)  # fmt: skip
        assert seen[0].tolist() == pytest.approx((components @ torch.tensor([1.0, 0.5], dtype=torch.float64)).tolist())
        assert gain.chosen.tolist() == [i in kept for i in range(5)]
        starts = [0, *itertools.accumulate(sizes)]
        chosen = [r for i in kept for r in range(starts[i], starts[i + 1])]
        assert all(gain.advantages[r] == 0 for r in range(sum(sizes)) if r not in chosen)
        assert int(gain.missing) == max(0, wanted - sum(i != 1 for i in kept))
        if kept:
            alone = advantages(components[chosen], [sizes[i] for i in kept], [1.0, 0.5], scale)
            torch.testing.assert_close(gain.advantages[chosen], alone.advantages)
    every = step_advantages(components, sizes, 5, [1.0, 0.5], scale, lengths, None, lambda reward: [*range(5)], 5)
    plain = step_advantages(components, sizes, 5, [1.0, 0.5], scale, lengths)
    torch.testing.assert_close(every.advantages, plain.advantages)
    assert int(every.missing) == int(plain.missing) == 1


def test_parts_of_rows_and_of_levels():
    config = TrainConfig(draw=DrawConfig(kind="mixture", weights={"b": 1, "a": 2}))
    config.data.source = "hf"
    found = pools(config, Rows(rows(), (), 1), lambda data: None)
    assert [*found] == ["b", "a"] and {p.category for p in found["b"].rows} == {"b"}
    config.draw = DrawConfig(kind="promote", order=["d"])
    with pytest.raises(UserError, match=r"no training row has category 'd'; there are a \(20\), b \(20\), c \(20\)"):
        pools(config, Rows(rows(), (), 1), lambda data: None)
    config = TrainConfig(draw=DrawConfig(kind="promote", order=["2", "1"]))
    found = pools(config, Shapes(1, 0, 10), lambda data: Shapes(data.level, 0, 0))
    assert [source.level for source in found.values()] == [2, 1]
    ids = [p.id for p in opened(config.draw, streams(config, found), 0, {}).take(2, 1)]
    assert ids == ["shapes-train-0@2", "shapes-train-1@2"], "problems of two levels may have one id"


def test_two_classes_of_one_name_have_ids_of_their_own(tmp_path):
    """Sources of FILE.py:Class that are called alike; those with names of their own have the ids they always had."""
    own = "from nsrl.data.generator import Generator, Item\n\nclass {}(Generator):\n    def draw(self, rng, level):\n"
    for folder, name in (("a", "Cats"), ("b", "Cats"), ("c", "Dogs")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "own.py").write_text(own.format(name) + "        return Item(str(rng.random()), '1')\n")
    cats, more, dogs = (
        f"{tmp_path}/{at}:{name}" for at, name in (("a/own.py", "Cats"), ("b/own.py", "Cats"), ("c/own.py", "Dogs"))
    )
    for parts, alike in (([cats, more], True), ([cats, dogs], False)):
        config = TrainConfig(draw=DrawConfig(kind="mixture", by="source", weights=dict.fromkeys(parts, 1.0)))
        config.data.source = cats
        found = pools(config, source_of(cats, 1, 0, 2), lambda data: source_of(data.source, 1, 0, 0))
        taken = opened(config.draw, streams(config, found), 0, {}).take(40, 1)
        ids = [p.id for p in taken]
        assert len({*ids}) == 40 and ("Cats-train-0" in ids) == (not alike)
        assert (f"Cats-train-0@{more}" in ids) == alike


def test_each_kind_has_its_class_and_one_of_your_own_its_methods(tmp_path):
    assert CLASSES.keys() == KEYS_OF.keys()
    draw = opened(DrawConfig(kind=own_file(tmp_path), arguments={"most": "1"}), Streams({"": Rows(rows())}), 0, {})
    assert isinstance(draw, Draw) and state_of(draw)["kind"].endswith("own.py:EveryOther")
    draw.seen = {1: 2}
    with pytest.raises(UserError, match="must come back from JSON"):
        state_of(draw)
    kept = opened(DrawConfig(kind="rlcs"), Streams({"": Rows(rows())}), 0, {"kind": "variance", "state": {
        "drawn": 9, "positions": {"": 9}, "rates": {}}})  # fmt: skip
    assert kept.streams.positions == {"": 9} and kept.ratio == 1.0
