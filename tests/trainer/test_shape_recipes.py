"""The recipes of nsrl/recipes that shape what tokens count: each formula against its publication's own, typed anew."""

import math

import pytest
import shaping
import torch
from test_shape import batch, view

from nsrl.config import TrainConfig, parse
from nsrl.config.keys import flat
from nsrl.config.sound import require_sound
from nsrl.engines import EnginePool
from nsrl.rewards.functions import one_argument
from nsrl.trainer.loop import grpo_step

NAMES = ("papo", "vppo", "aspo", "univg", "entropy", "vogue", "klear")


def config_of(name):
    """What a recipe makes of a run."""
    return parse(TrainConfig, [f"recipe={name}"], "nsrl")


def function(name):
    (spec,) = config_of(name).shape_funcs
    return one_argument(spec, "shape_funcs")[1]


def drawn(sizes=(3, 2, 4), seed=0, **options):
    """A step with random everything: log-probs in the contexts of all recipes, entropies, advantages, verdicts."""
    generator = torch.Generator().manual_seed(seed)
    count = sum(sizes)
    lengths = (torch.randint(1, 9, (count,), generator=generator)).tolist()
    total = sum(lengths)
    draw = lambda: -3 * torch.rand(total, generator=generator)
    step = view(sizes, lengths, advantage=torch.randn(count, generator=generator).tolist(), **options)
    step.sampled_N = draw()
    step.scored = {name: draw() for name in ("masked", "raw", "noisy", "policy")}
    step.entropies = {name: -draw() for name in ("masked", "raw", "noisy", "policy")}
    return step


def padded(step, values):
    """(R, L) of values (N,), and where there is a token."""
    length = int(step.offsets.diff().max())
    out, mask = torch.zeros(len(step.rows()), length), torch.zeros(len(step.rows()), length)
    for i, row in enumerate(step.rows()):
        out[i, : row.stop - row.start], mask[i, : row.stop - row.start] = values[row], 1
    return out, mask


@pytest.mark.parametrize("seed", range(5))
def test_vppo_is_the_official_fragment(seed):
    """dp_actor.py of huaixuheqing/VPPO-RL on padded tensors: its mask times its scale, of one micro-batch."""
    step = drawn(seed=seed)
    step.scored["masked"][3] -= 40.0  # k3 over 10: clamped
    old, mask = padded(step, step.sampled_N)
    aug, _ = padded(step, step.scored["masked"])
    adv, _ = padded(step, step.advantage_N)
    gap = (aug - old).clamp(-20, 20)
    kl = torch.clamp(gap.exp() - gap - 1, min=0, max=10)
    k = torch.ceil(mask.sum(1) * 0.4).int()
    order = kl.masked_fill(mask == 0, -torch.inf).sort(dim=1, descending=True).indices
    ranked = torch.arange(kl.shape[1]).expand_as(kl) < k.unsqueeze(1)
    top = torch.zeros_like(kl, dtype=torch.bool).scatter_(1, order, ranked)
    score = (kl * mask).sum(1) / mask.sum(1)
    n = ((score - score.min()) / (score.max() - score.min())).clamp(0, 1)
    high = 0.9 + (1 - 0.9) / (n.mean() + 1e-8)
    want = adv * top * (0.9 + n * (high - 0.9)).unsqueeze(1)
    function("vppo")(step)
    got, _ = padded(step, step.advantage_N)
    assert (got - want).abs().max() < 1e-6 and torch.equal(step.weight_N, torch.ones_like(step.weight_N))
    assert float((0.9 + n * (high - 0.9)).mean()) == pytest.approx(1, abs=1e-5)
    equal = drawn()
    equal.scored["masked"] = equal.sampled_N.clone()  # nothing depends on the picture: no scale
    before = equal.advantage_N.clone()
    function("vppo")(equal)
    kept = equal.advantage_N != 0
    assert torch.equal(equal.advantage_N[kept], before[kept]) and 0 < kept.float().mean() < 1


def test_aspo_in_numbers():
    """Four completions: two right with programs at tokens 2 and 6, one wrong, one right without a program."""
    texts = ["a <nsl>1</nsl>", "abc de<nsl>1</nsl>", "<nsl>2</nsl>", "no program"]
    ids = [list(text.encode()) for text in texts]
    step = view((4,), [len(i) for i in ids], texts=texts, correct=[True, True, False, True],
                decode=lambda part: bytes(part).decode(), advantage=[0.5, 0.4, -1.0, 0.1])  # fmt: skip
    step.batch.completion_ids = ids
    begins = [text.index("<nsl>") + 5 for text in texts[:2]]
    p, length = sum(begins) / 2, (len(texts[0]) + len(texts[1])) / 2
    function("aspo")(step)
    for i, a in ((0, 0.5), (1, 0.4)):
        bonus = max(-0.7 * a, min(0.7 * a, -2.0 * (begins[i] - p) / length))
        assert step.advantage_N[step.rows()[i]].tolist() == pytest.approx([a + bonus] * len(texts[i]), abs=1e-6)
    assert step.advantage_N[step.rows()[0].start] > 0.5 and step.advantage_N[step.rows()[1].start] < 0.4
    assert set(step.advantage_N[step.rows()[2]].tolist()) == {-1.0}
    assert step.advantage_N[step.rows()[3]].tolist() == pytest.approx([0.1] * len(texts[3]))
    clipped = view((2,), [len(i) for i in ids[:2]], texts=texts[:2], correct=[True, True], advantage=[0.01, -0.01],
                   decode=lambda part: bytes(part).decode())  # fmt: skip
    clipped.batch.completion_ids = ids[:2]
    function("aspo")(clipped)
    assert clipped.advantage_N[0] == pytest.approx(0.017) and clipped.advantage_N[-1] == pytest.approx(-0.017)


def test_univg_weighs_by_the_whole_group():
    """Also by those of the group that are not learned from: (1.05 - mean score) times the advantage."""
    step = drawn()
    whole = batch((4, 2, 4), (1,) * 10, correct=[True, True, True, False, False, False, True, False, None, False])
    step.whole, step.row_R = whole, [0, 1, 2, 4, 5, 6, 7, 8, 9]
    before = step.advantage_N.clone()
    function("univg")(step)
    scale = torch.tensor([1.05 - 0.75] * 3 + [1.05] * 2 + [1.05 - 0.25] * 4)
    assert (step.advantage_N - before * step.per_row(scale)).abs().max() < 1e-6


def test_a_fifth_of_tokens_is_learned_from():
    step = drawn((4, 4, 4))
    before, entropy = step.advantage_N.clone(), step.entropies["policy"]
    function("entropy")(step)
    kept = torch.tensor([sum(float(o) > float(h) for o in entropy) < round(0.2 * len(entropy)) for h in entropy])
    assert torch.equal(step.advantage_N, before * kept) and int(kept.sum()) == round(0.2 * len(entropy))


def test_vogues_bonus_is_capped():
    """Of what was sampled under noise alone."""
    noisy = [False, True, True, False, True, True, True, False, True]
    step = drawn(members=["noise" if on else "plain" for on in noisy])
    others = step.per_row(torch.tensor(noisy)).tolist()
    before = step.advantage_N.tolist()
    raw, noisy = step.scored["raw"].tolist(), step.scored["noisy"].tolist()
    function("vogue")(step)
    for a, r, n, got, on in zip(before, raw, noisy, step.advantage_N.tolist(), others):
        u = (math.exp(n - r) - (n - r) - 1 + math.exp(r - n) - (r - n) - 1) / 2
        assert got == pytest.approx(a + on * min(0.5 * u, abs(a) / 2), abs=1e-5)
        assert (got > 0) == (a > 0)


def test_klears_likelihood_has_the_gradient_of_an_advantage():
    """d/dlogp of -A ratio - 0.1 logp on right completions, with ratio 1, is that of the shaped advantage."""
    step = drawn(correct=[True, None, False, True, True, False, False, True, False])
    right = step.per_row(torch.tensor([1.0, 0, 0, 1, 1, 0, 0, 1, 0]))
    logp = step.sampled_N.clone().requires_grad_()
    (-step.advantage_N * (logp - logp.detach()).exp() - 0.1 * right * logp).sum().backward()
    function("klear")(step)
    assert (logp.grad + step.advantage_N).abs().max() < 1e-6


@pytest.mark.parametrize("name", [n for n in NAMES if n != "papo"])
def test_the_order_of_groups_changes_nothing(name):
    """Groups of a step the other way round: every token counts what it counted."""
    text = lambda i: "ab"[: i % 3] + "<nsl>1</nsl>"
    sizes, order = (3, 2, 4), [5, 6, 7, 8, 3, 4, 0, 1, 2]
    straight = drawn(sizes)
    lengths = straight.offsets.diff().tolist()

    def build(rows, sizes):
        tokens = torch.cat([torch.arange(straight.rows()[i].start, straight.rows()[i].stop) for i in rows])
        firsts = [straight.advantage_N[straight.rows()[i].start].item() for i in rows]
        step = view(
            sizes, [lengths[i] for i in rows], advantage=firsts, texts=[text(i) for i in rows],
            correct=[i % 3 != 1 for i in rows], decode=lambda ids: "abcdefgh"[: len(ids)],
            members=["noise" if i % 2 else "plain" for i in rows],
        )  # fmt: skip
        step.sampled_N = straight.sampled_N[tokens]
        step.scored = {n: v[tokens] for n, v in straight.scored.items()}
        step.entropies = {n: v[tokens] for n, v in straight.entropies.items()}
        return step, tokens

    plain, _ = build(list(range(9)), sizes)
    turned, tokens = build(order, (4, 2, 3))
    before = plain.advantage_N.clone()
    function(name)(plain)
    function(name)(turned)
    assert (plain.advantage_N[tokens] - turned.advantage_N).abs().max() < 1e-6
    assert not torch.equal(plain.advantage_N, before)


@pytest.fixture(scope="module")
def real():
    with EnginePool(1) as pool:
        yield pool, shaping.untrained()


@pytest.mark.parametrize("name", NAMES)
def test_three_steps_of_each_on_real_components(name, real):
    """Its keys make a run (shape_funcs by the file beside its YAML), which takes three steps and says what it did."""
    pool, start = real
    config = config_of(name)
    require_sound(config)
    said = [key for key in config.given if key not in ("recipe", "scale_rewards") and not key.startswith("objective.")]
    values = flat(config) | ({"num_generations": config.num_generations} if config.members else {})
    said += ["num_generations"] * bool(config.members)
    runner = shaping.learner(pool, start, objective=config.objective, **{key: values[key] for key in said})
    for number in (1, 2, 3):
        metrics, _ = grpo_step(runner, number)
        assert all(math.isfinite(v) for k, v in metrics.items() if not k.startswith(("rewards/", "timing_s/")))
    told = {"papo": "terms/masked", "vppo": "shape/dependency", "entropy": "shape/threshold",
            "vogue": "shape/uncertainty"}  # fmt: skip
    assert told.get(name, "loss") in metrics and metrics["grad_norm"] > 0
