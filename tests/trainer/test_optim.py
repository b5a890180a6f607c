"""Learning in 16 bits is learning in fp32: small steps arrive, sums are not rounded away, and a run continues exactly.

What the whole of it is worth on a trained model: `python -m bench.precision RUN`.
"""

import copy
from itertools import islice

import pytest
import torch

from nsrl.config import LoraConfig, ModelConfig
from nsrl.data.shapes import LANGUAGES, Shapes
from nsrl.models import loading
from nsrl.models.policy import Policy
from nsrl.trainer import checkpoint
from nsrl.trainer.muon import TIMES
from nsrl.trainer.optim import Optimizer
from nsrl.trainer.supervised import supervised_step

OPTIONS = dict(schedule="constant", warmup=0, total=100, max_grad_norm=1.0)
LORA = LoraConfig(enabled=True, r=4, dropout=0.0)
FULL = LoraConfig(enabled=False)


def stream():
    return Shapes(1, seed=7).demonstrations(dict.fromkeys(LANGUAGES, 1.0))


def built(lora, dtype, rate=2e-5, muon=False, **options):
    vlm = loading.load(ModelConfig(dtype=dtype, **options), lora, seed=0)
    return vlm, Policy(vlm.model), Optimizer(vlm.model, learning_rate=rate, muon=muon, **OPTIONS)


def learn(runner, steps, demonstrations, size=4):
    return [supervised_step(*runner, demonstrations, size, 4096)["loss"] for _ in range(steps)]


def trained(vlm):
    return {n: p.detach().float().clone() for n, p in vlm.model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("lora,rate", [(LORA, 2e-5), (FULL, 1e-6)], ids=["adapters", "all weights"])
def test_a_16_bit_model_learns_what_an_fp32_one_does(lora, rate):
    """At the recipe's learning rates most of these steps used to round to nothing."""
    runs = {}
    for dtype in ("float32", "bfloat16"):
        vlm, policy, optimizer = built(lora, dtype, rate)
        if lora is FULL and dtype == "float32":  # both begin at the same weights
            with torch.no_grad():
                for p in vlm.model.parameters():
                    p.copy_(p.bfloat16())
        before = [p.detach().clone() for p in optimizer.parameters]
        names = list(trained(vlm))
        losses = learn((vlm, policy, optimizer), 12, stream())
        moved = {n: p.detach() - old for n, p, old in zip(names, optimizer.parameters, before)}
        runs[dtype] = losses, moved
        assert {p.dtype for p in optimizer.parameters} == {torch.float32}
        moments = [s[name] for s in optimizer.inner.state.values() for name in ("exp_avg", "exp_avg_sq")]
        assert moments and {m.dtype for m in moments} == {torch.float32}
        for weight, p in zip(optimizer.weights, optimizer.parameters):
            assert weight.dtype is (torch.float32 if lora is LORA else getattr(torch, dtype))
            assert torch.equal(weight, p.to(weight.dtype))
    (losses, moved), (short_losses, short_moved) = runs["float32"], runs["bfloat16"]
    assert short_losses == pytest.approx(losses, rel=0.02)
    if lora is LORA:
        for name in (n for n in moved if "lora_A" in n):
            assert int((short_moved[name] == 0).sum()) == int((moved[name] == 0).sum()) == 0, name
    flat = lambda change: torch.cat([change[n].flatten() for n in sorted(change)])
    a, b = flat(moved), flat(short_moved)
    assert float(b.norm() / a.norm()) == pytest.approx(1, abs=0.05)
    assert float(torch.nn.functional.cosine_similarity(a, b, dim=0)) > 0.9


def test_the_step_is_torchs_own_on_fp32_weights():
    """Three micro-batches a step, clipping and weight decay: torch.optim.AdamW on an fp32 copy is the oracle."""
    torch.manual_seed(0)
    module = torch.nn.Linear(64, 8).to(torch.bfloat16)
    oracle = copy.deepcopy(module).float()
    optimizer = Optimizer(module, learning_rate=3e-5, weight_decay=0.1, **OPTIONS)
    theirs = torch.optim.AdamW(oracle.parameters(), lr=3e-5, weight_decay=0.1, betas=(0.9, 0.95))
    for _ in range(5):
        for scale in (1.0, 3e-3, 1e-5):  # in bfloat16 the later ones would be lost in the first
            x = torch.randn(16, 64, dtype=torch.bfloat16)
            single = copy.deepcopy(module)
            for p in single.parameters():
                p.grad = None
            for each in (module, single):
                (each(x).square().sum() * scale).backward()
            for p, one in zip(oracle.parameters(), single.parameters()):
                p.grad = one.grad.float() + (0 if p.grad is None else p.grad)
        want = torch.nn.utils.clip_grad_norm_(oracle.parameters(), 1.0)
        theirs.step()
        theirs.zero_grad()
        assert float(optimizer.step()) == pytest.approx(float(want), rel=1e-6)
        for p, weight, other in zip(optimizer.parameters, module.parameters(), oracle.parameters()):
            torch.testing.assert_close(p.detach(), other.detach(), rtol=1e-6, atol=1e-8)
            assert torch.equal(weight, p.bfloat16()) and weight.grad is None and p.grad is None


def test_muon_is_torchs_own_on_linear_layers_and_adamw_on_the_rest(monkeypatch):
    """Tall, wide and square ones; torch orthogonalises in bfloat16, which is kept from it here."""
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.float)
    torch.manual_seed(0)
    layers = [torch.nn.Linear(12, 20), torch.nn.Linear(20, 12), torch.nn.Linear(12, 20), torch.nn.Linear(20, 20)]
    module = torch.nn.Sequential(torch.nn.Embedding(5, 12), *layers)
    oracle = copy.deepcopy(module)
    optimizer = Optimizer(module, learning_rate=1e-3, muon=True, **OPTIONS)
    flat, rest = (
        [p for p in oracle.parameters() if (p.ndim == 2 and len(p) > 5) is is_matrix] for is_matrix in (True, False)
    )
    theirs = [
        torch.optim.Muon(flat, lr=TIMES * 1e-3, weight_decay=0.0),
        torch.optim.AdamW(rest, lr=1e-3, weight_decay=0.0, betas=(0.9, 0.95)),
    ]
    for _ in range(4):
        x = torch.randint(5, (16,))
        for each in (module, oracle):
            (each(x).square().sum() * 10).backward()
        torch.nn.utils.clip_grad_norm_(oracle.parameters(), 1.0)
        for each in theirs:
            each.step()
            each.zero_grad()
        optimizer.step()
        for p, other in zip(module.parameters(), oracle.parameters(), strict=True):
            torch.testing.assert_close(p, other, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    "lora,tower,muon",
    [(FULL, None, False), (LORA, False, False), (FULL, None, True)],
    ids=["all weights", "adapters and tower", "muon"],
)
def test_two_steps_and_two_resumed_are_four(lora, tower, muon, tmp_path):
    """Bit for bit through the files of a checkpoint: weights, masters, moments."""
    straight = built(lora, "bfloat16", muon=muon, freeze_vision_tower=tower)
    demonstrations = stream()
    learn(straight, 2, demonstrations)
    tensors = {"optimizer": straight[2].state_dict()}
    folder = checkpoint.save(tmp_path, "checkpoint-2", straight[0].save, {}, tensors)
    position = islice(stream(), 8, None)  # where the first two steps end
    learn(straight, 2, demonstrations)
    resumed = built(lora, "bfloat16", muon=muon, freeze_vision_tower=tower)
    loading.load_weights(resumed[0], folder)
    resumed[2].load_state_dict(checkpoint.load(folder)[1]["optimizer"])
    assert resumed[2].steps == 2
    learn(resumed, 2, position)
    assert len(straight[2].finer) > 0
    for a, b in zip(straight[2].parameters, resumed[2].parameters):
        assert torch.equal(a, b)
    want, got = straight[0].model.state_dict(), resumed[0].model.state_dict()
    assert all(torch.equal(want[name], got[name]) and want[name].dtype is got[name].dtype for name in want)


def test_what_is_changed_between_two_steps_holds_from_the_next_one():
    """Rate, schedule and weight decay are the new optimiser's, moments and the step the old one's; nothing is a
    step late."""
    layer = torch.nn.Linear(3, 2)

    def made(**changed):
        options = dict(learning_rate=1e-3, schedule="linear", warmup=0, total=2, max_grad_norm=1.0, weight_decay=0.0)
        return Optimizer(layer, **options | changed)

    def step(optimizer):
        for p in layer.parameters():
            p.grad = torch.ones_like(p)
        rate = optimizer.learning_rate
        optimizer.step()
        return rate

    first = made()
    assert [step(first), step(first)] == [1e-3, 0.5e-3]
    for changed, rate in (
        ({"total": 4}, 0.5e-3),
        ({"schedule": "constant"}, 1e-3),
        ({"learning_rate": 1e-5, "total": 4, "weight_decay": 0.5}, 0.5e-5),
        ({"warmup": 10, "total": 20}, 0.3e-3),
    ):
        resumed = made(**changed)
        resumed.load_state_dict(first.state_dict())
        assert resumed.steps == 2 and resumed.inner.param_groups[0]["weight_decay"] == changed.get("weight_decay", 0.0)
        for p in layer.parameters():
            assert torch.equal(resumed.inner.state[p]["exp_avg"], first.inner.state[p]["exp_avg"])
        assert step(resumed) == pytest.approx(rate)


def test_a_checkpoint_changes_its_dtype_without_losing_the_masters():
    """fp32 goes on from bfloat16 at the masters, and bfloat16 from a state without masters at its own weights."""
    short, wide = built(FULL, "bfloat16"), built(FULL, "float32")
    learn(short, 1, stream())
    wide[2].load_state_dict(short[2].state_dict())
    assert all(torch.equal(a, b) for a, b in zip(short[2].parameters, wide[2].parameters))
    state = wide[2].state_dict()
    assert state.pop("masters") == {}
    before = [p.detach().clone() for p in short[2].parameters]
    short[2].load_state_dict(state)
    assert all(torch.equal(a, b) for a, b in zip(short[2].parameters, before))


def test_a_gradient_that_is_not_finite_and_a_skipped_step_change_nothing():
    vlm, _, optimizer = built(FULL, "bfloat16")
    before = trained(vlm)
    for weight in optimizer.weights:
        weight.grad = torch.full_like(weight, torch.inf, dtype=torch.float32)
    assert not torch.isfinite(optimizer.step()) and (optimizer.take_dropped(), optimizer.take_dropped()) == (1, 0)
    optimizer.weights[0].grad = torch.ones_like(optimizer.weights[0], dtype=torch.float32)
    optimizer.skip()
    assert optimizer.steps == 2 and all(p.grad is None for p in (*optimizer.weights, *optimizer.parameters))
    assert all(torch.equal(p, before[n]) for n, p in trained(vlm).items())


def test_dropped_updates_are_told_the_first_and_every_tenth_in_a_row(capsys):
    weight = torch.nn.Linear(1, 1, bias=False)
    optimizer = Optimizer(weight, learning_rate=1e-3, schedule="constant", warmup=0, total=99, max_grad_norm=1.0)
    for gradient in [torch.inf, *[torch.nan] * 20, 1.0, -torch.inf]:
        weight.weight.grad = torch.full((1, 1), gradient)
        optimizer.step()
    said = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[2].partition(":")[0].strip() for line in said] == [
        "update 1 was dropped (1 in a row)", "update 10 was dropped (10 in a row)", "update 20 was dropped (20 in a "
                                                                                    "row)",
        "update 23 was dropped (1 in a row)",
    ]  # fmt: skip
    assert optimizer.take_dropped() == 22


class Plain(torch.nn.Module):
    def __init__(self, size):
        super().__init__()
        self.w = torch.nn.Parameter(torch.zeros(size))


@pytest.mark.parametrize("clipped", [1e9, 0.5])
def test_the_gate_is_what_the_gradients_have_in_common(clipped):
    """Against the double sum over pairs of steps, in float64."""
    model, beta, sizes = Plain(50), 0.9, torch.rand(14) * 3
    options = OPTIONS | dict(max_grad_norm=clipped, betas=(beta, 0.95), gate=2.0)
    optimizer = Optimizer(model, learning_rate=1e-3, **options)
    common, seen = torch.randn(50) / 50**0.5, []
    sums, pairs_of_others = 0.0, 0.0
    for at, size in enumerate(sizes):
        before = model.w.detach().clone()
        gradient = size * (common + torch.randn(50) / 50**0.5)
        model.w.grad = gradient.clone()
        optimizer.step()
        rate = 0.1
        if at >= 5:
            w = [(1 - beta) * beta ** (at - 1 - i) for i in range(at)]
            products = torch.stack([w[i] * seen[i] for i in range(at)]).double()
            pairs = products @ products.T
            sums = 0.95 * sums + float(pairs.sum())
            pairs_of_others = 0.95 * pairs_of_others + float(pairs.sum() - pairs.trace())
            signal = pairs_of_others / sums
            assert optimizer.gate.signal == pytest.approx(signal, abs=1e-5)
            rate = min(1.0, max(0.1, 2 * signal))
        seen.append(gradient * min(1.0, clipped / float(gradient.norm())))
        state = optimizer.inner.state[model.w]
        step = state["exp_avg"] / (1 - beta ** (at + 1))
        step = step / ((state["exp_avg_sq"] / (1 - 0.95 ** (at + 1))).sqrt() + 1e-8)
        torch.testing.assert_close(model.w.detach(), before - 1e-3 * rate * step, rtol=1e-4, atol=1e-8)
    assert optimizer.learning_rate == 1e-3


def test_the_gate_tells_noise_from_a_weak_signal_and_continues():
    """Noise of wild sizes is gated, a tenth of a step's energy in common is not."""
    shares = {}
    for of, strength in (("noise", 0.0), ("weak", 0.35)):
        model = Plain(3000)
        optimizer = Optimizer(model, learning_rate=1e-3, **OPTIONS | dict(max_grad_norm=1e9, gate=4.0))
        common, shares[of] = torch.randn(3000), []
        for at in range(60):
            model.w.grad = torch.exp(torch.randn(())) * (strength * common + torch.randn(3000))
            if at == 40:
                again = Optimizer(model, learning_rate=1e-3, **OPTIONS | dict(max_grad_norm=1e9, gate=4.0))
                again.load_state_dict(optimizer.state_dict())
                optimizer = again
            before = optimizer.gate.steps
            optimizer.step()
            assert optimizer.gate.steps == before + 1 == at + 1
            shares[of].append(min(1.0, max(0.1, 4.0 * optimizer.gate.signal)))
    assert sum(shares["noise"][10:]) / 50 < 0.2
    assert sum(shares["weak"][10:]) / 50 > 0.5  # 0.75 is the lowest of 150 seeds, 0.11 the highest of noise
