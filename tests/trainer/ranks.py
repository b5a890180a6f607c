"""Called by test_distributed.py in each rank: gradients of two ranks against those of one process, as JSON on
stdout."""

import json

import torch

from nsrl.config import TrainConfig
from nsrl.models import fsdp
from nsrl.models.pack import pack
from nsrl.models.policy import Policy
from nsrl.rollout.gathered import GatheredSampler
from nsrl.rollout.native import NativeSampler
from nsrl.rollout.types import Request, SamplingParams
from nsrl.trainer import loss as objective
from nsrl.trainer.distributed import ALONE, join
from nsrl.trainer.metrics import Timer
from nsrl.trainer.optim import Optimizer
from nsrl_kernels import METRIC_NAMES
from tests.models.packing_cases import IMAGE, cases, small_model

CASES = cases()
CONFIG = TrainConfig(max_completion_length=24)
# What each rank has to learn from, and the token budget of its micro-batches.
SHARES = {
    "a rank without images": ([CASES["one image"], CASES["text only"]], 999),
    "a rank without live groups": ([CASES["several images"], []], 999),
    "the other one without": ([[], CASES["one image"]], 999),
    "no images anywhere": ([CASES["text only"][:1], CASES["text only"][1:]], 999),
    "uneven micro-batches": ([CASES["several images"] + CASES["length 1 and limit"], CASES["text only"]], 90),
}


def backward(policy, groups, budget, everything, world):
    """A rank's part of the step's gradient; returns the step's metrics."""
    policy.model.zero_grad(set_to_none=True)
    lengths = [len(c) for g in everything for c in g.completions]
    advantage = {id(g): torch.linspace(-1, 1, len(g.completions)) + 0.1 * i for i, g in enumerate(everything)}
    advantage_R = torch.cat([torch.zeros(0), *(advantage[id(g)] for g in groups)])
    batches = pack(groups, budget, image_token_id=IMAGE)
    return objective.backward(
        policy, batches, advantage_R, None, None, None, objective.normalizer(CONFIG, sum(lengths), len(lengths)),
        CONFIG,
        torch.tensor([IMAGE]), Timer(), world=world,
    )  # fmt: skip


def gradients(policy, groups, budget, everything, world):
    """The step's gradients after they were added up, by name, and the step's metrics."""
    metrics = backward(policy, groups, budget, everything, world)
    trained = {n: p for n, p in policy.model.named_parameters() if p.requires_grad}
    world.sum_gradients(list(trained.values()))
    return {n: fsdp.whole(p.grad) for n, p in trained.items()}, metrics


def compare(got, want):
    """Largest difference relative to the largest gradient; infinite where one has a gradient and the other none."""
    if any((got[n] is None) != (want[n] is None) for n in want):
        return float("inf")
    scale = max(float(g.abs().max()) for g in want.values() if g is not None)
    return max(float((got[n] - g).abs().max()) for n, g in want.items() if g is not None) / scale


def lora_model():
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    return get_peft_model(small_model(), LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False))


def main():
    with join() as world:
        report = {}
        for mode in ("ddp", "lora", "fsdp", "fsdp checkpointing"):
            build = lora_model if mode == "lora" else small_model
            alone, mine = Policy(build()), build()
            world.sharded = mode.startswith("fsdp")
            if world.sharded:
                fsdp.shard(mine, world.size)
            together = Policy(mine, checkpointing="checkpointing" in mode)
            for name, (shares, budget) in SHARES.items():
                everything = [g for share in shares for g in share]
                want, want_metrics = gradients(alone, everything, budget, everything, ALONE)
                got, metrics = gradients(together, shares[world.rank], budget, everything, world)
                loss = METRIC_NAMES.index("loss")
                report[f"{mode}: {name}"] = max(
                    world.gather(max(compare(got, want), abs(float(metrics[loss] - want_metrics[loss]))))
                )
        half(report, world)
        report["sampled alike"] = all(world.gather(same_samples(mine, small_model(), world)))
        report["muon: step"] = max(world.gather(resumed_steps(mine, world, 2, muon=True)))
        fsdp.shard(mine := small_model(), world.size)
        report["gate: step"] = max(world.gather(resumed_steps(mine, world, 5, gate=0.5)))
        report["state comes back"] = all(world.gather(optimizer_round_trip(mine, world)))
        print(json.dumps(report))


def half(report, world):
    """A 16-bit model: shards are fp32 masters, gradients are summed in fp32, what leaves is what one process would
    hold."""
    shares, budget = SHARES["uneven micro-batches"]
    everything = [g for share in shares for g in share]
    build = lambda: small_model().to(torch.bfloat16)
    world.sharded = False
    _, want = half_step(build(), everything, budget, everything, ALONE)
    for mode in ("ddp", "fsdp"):
        mine = build()
        world.sharded = mode == "fsdp"
        if world.sharded:
            fsdp.shard(mine, world.size)
        optimizer, got = half_step(mine, shares[world.rank], budget, everything, world)
        report[f"{mode} bf16: gradient"] = max(world.gather(compare(got, want)))
        fits = all(g.dtype is torch.float32 for g in got.values()) and Policy(mine).dtype is torch.bfloat16
        state = world.gather(optimizer.state_dict())[0]
        weights = fsdp.whole_weights(mine) if world.sharded else dict(mine.named_parameters())
        single = Optimizer(build(), **HALF)  # one process goes on from several
        single.load_state_dict(state)
        for i, weight in enumerate(weights.values()):
            master, moments = state["masters"][i], single.inner.state[single.parameters[i]]
            fits = fits and master.dtype is moments["exp_avg"].dtype is torch.float32 and weight.dtype is torch.bfloat16
            fits = fits and torch.equal(master, single.parameters[i]) and torch.equal(master.bfloat16(), weight)
            fits = fits and torch.equal(weight, single.weights[i])
        again = Optimizer(mine, world=world, **HALF)  # and several from one
        again.load_state_dict(single.state_dict())
        fits = fits and all(
            torch.equal(a, b) for a, b in zip(map(local, again.parameters), map(local, optimizer.parameters))
        )
        report[f"{mode} bf16 is fp32 where it learns"] = all(world.gather(fits))


HALF = dict(learning_rate=1e-5, schedule="constant", warmup=0, total=9, max_grad_norm=1e9)


def half_step(model, groups, budget, everything, world):
    """(optimizer behind one step, the whole gradients it stepped on by place)."""
    optimizer, seen = Optimizer(model, world=world, **HALF), {}
    backward(Policy(model), groups, budget, everything, world)
    inner = optimizer.inner.step

    def step():
        seen.update({i: fsdp.whole(p.grad) for i, p in enumerate(optimizer.parameters)})
        inner()

    optimizer.inner.step = step
    optimizer.step()
    return optimizer, seen


def local(p):
    return p.to_local() if hasattr(p, "to_local") else p


def same_samples(model, reference, world):
    """A sharded model samples what the whole one samples; the rank without a request only takes part."""
    requests = world.share([Request(CASES["one image"][0].prompt, n=3, seed=5)])
    params = SamplingParams(max_tokens=8, stop_ids=(1,), banned_ids=(IMAGE,))
    got = GatheredSampler(NativeSampler(model), model).sample(requests, params)
    want = NativeSampler(reference).sample(requests, params)
    return [[s.token_ids for s in g] for g in got] == [[s.token_ids for s in g] for g in want]


def resumed_steps(model, world, steps, **how):
    """How far an optimiser of shards, resumed before each step from whole state, is from one of whole matrices."""
    groups, options = CASES["one image"], dict(HALF, learning_rate=1e-3, **how)
    single, whole = Optimizer(reference := small_model(), **options), None
    for _ in range(steps):
        backward(Policy(reference), groups, 999, groups, ALONE)
        single.step()
        optimizer = Optimizer(model, world=world, **options)
        if whole is not None:
            optimizer.load_state_dict(whole)
        backward(Policy(model), groups if world.is_main else [], 999, groups, world)
        optimizer.step()
        whole = world.gather(optimizer.state_dict())[0]
    weights = fsdp.whole_weights(model)
    return compare(weights, {name: p.detach() for name, p in reference.named_parameters()})


def optimizer_round_trip(model, world):
    """A sharded optimiser's state leaves whole and comes back into shards; weights leave under a plain model's
    names."""
    options = dict(learning_rate=1e-3, schedule="constant", warmup=0, total=9, max_grad_norm=1.0, world=world)
    optimizer = Optimizer(model, **options)
    policy = Policy(model)
    gradients(policy, CASES["one image"] if world.is_main else [], 999, CASES["one image"], world)
    optimizer.step()
    state = world.gather(optimizer.state_dict())[0]
    plain = small_model()
    shapes = [p.shape for p in plain.parameters()]
    fits = all(state["inner"]["state"][i]["exp_avg"].shape == shape for i, shape in enumerate(shapes))
    again = Optimizer(model, **options)
    again.load_state_dict(state)
    pairs = zip(again.inner.state_dict()["state"].values(), optimizer.inner.state_dict()["state"].values())
    fits = fits and all(torch.equal(a["exp_avg"].to_local(), b["exp_avg"].to_local()) for a, b in pairs)
    weights = fsdp.whole_weights(model)
    return fits and {n: p.shape for n, p in plain.named_parameters()} == {n: w.shape for n, w in weights.items()}
