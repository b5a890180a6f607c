"""TRL's own `_compute_loss` on left-padded batches against `pack` + `objective.backward`: losses, gradients, metrics.

Tolerances, fp32: loss 1e-6, gradient 1e-5 of its norm. The second update is behind a step of SGD: Adam's first step is
a sign, which blows rounding of a gradient near zero up to a whole step. bf16: see `test_bf16`.
"""

import copy
import zlib

import pytest
import torch

from nsrl.config import TrainConfig
from nsrl.models.contexts import ADAPTER_OFF, POLICY
from nsrl.models.pack import Group, pack
from nsrl.models.policy import Policy
from nsrl.rewards import RewardBatch
from nsrl.rewards.combine import gdpo
from nsrl.trainer import loss as objective
from nsrl.trainer.advantage import advantages
from nsrl.trainer.metrics import Timer
from nsrl_kernels.ops.policy_loss.select import high_entropy
from tests.models.packing_cases import IMAGE, group, image, small_model

pytest.importorskip("trl", reason="TRL is not installed here; `make test-peers` makes an environment that has it")
from types import SimpleNamespace

from accelerate import Accelerator
from trl import GRPOTrainer

from tests.peers.trl_oracle import Oracle

G, LIMIT = 4, 24
ONE_REWARD = {"reward_funcs": ["correct"], "reward_weights": [1.0]}
STEP = 0.05  # of SGD between two updates
# options of the trainer, and what differs in TRL's spelling; bands so narrow that the second update is clipped
BAND = {"epsilon": 0.02, "epsilon_high": 0.03}
LOSSES = {
    "grpo": ({"loss_type": "grpo", **BAND}, {}),
    "bnpo": ({"loss_type": "bnpo", **BAND}, {}),
    "dr_grpo": ({"loss_type": "dr_grpo", **BAND}, {}),
    "dapo": ({"loss_type": "dapo", **BAND}, {}),
    "gspo": ({"loss_type": "gspo", "epsilon": 0.01, "epsilon_high": 0.015}, {"loss_type": "grpo",
    "importance_sampling_level": "sequence"}),
    "cispo": ({"loss_type": "cispo", "epsilon_high": 1.03}, {}),
    "sapo": ({"loss_type": "sapo"}, {}),
    "vespo": ({"loss_type": "vespo"}, {}),
    "luspo": ({"loss_type": "luspo", "epsilon": 0.01, "epsilon_high": 0.015},
              {"importance_sampling_level": "sequence"}),
}  # fmt: skip
KLS = {"no KL": {}, "KL": {"beta": 0.05}, "KL times ratio": {"beta": 0.05, "use_bias_correction_kl": True}}
PICTURES = {  # visual tokens of each image, per prompt
    "text only": [[], [], []],
    "one image": [[(1, 4)], [(6, 5)], [(4, 2)]],
    "several images": [[(2, 2), (3, 1), (2, 5)], [(1, 1), (1, 1)], [(3, 3)]],
    "images and text": [[(2, 3)], [], [(1, 2), (4, 4)]],
}


def make(pictures: str, seed: str) -> tuple[list[Group], torch.Tensor]:
    """Random prompts, images and completions of 1 to LIMIT tokens, and rewards; other numbers for every seed."""
    rng = torch.Generator().manual_seed(zlib.crc32(seed.encode()))
    draw = lambda low, high: int(torch.randint(low, high + 1, (1,), generator=rng))
    groups = [
        group(
            rng,
            draw(2, 12),
            [image(rng, *size) for size in sizes],
            lengths=[1, LIMIT, *(draw(1, LIMIT) for _ in range(G - 2))],
        )
        for sizes in PICTURES[pictures]
    ]
    return groups, torch.randn(G * len(groups), generator=rng)


def model(kind: str = "whole", seed: int = 0):
    base = small_model(seed)
    if kind == "lora":
        from peft import LoraConfig, get_peft_model

        torch.manual_seed(seed + 1)
        names = ["q_proj", "k_proj", "v_proj", "o_proj"]
        base = get_peft_model(
            base, LoraConfig(r=4, target_modules=names, init_lora_weights=False), autocast_adapter_dtype=False
        )
    return base


def ours(learner, frozen, groups, rewards, config, updates, sampler=None, budget=4096):
    """The packed path: (loss, gradients, metrics) of each update. frozen: the reference, None for the adapter off."""
    policy, learner = Policy(learner), learner
    batches = pack(groups, budget, image_token_id=IMAGE)
    lengths = [len(c) for g in groups for c in g.completions]
    advantage_R = advantages(
        rewards[:, None].double(), [G] * len(groups), config.reward_weights, config.scale_rewards
    ).advantages.float()
    sampler_N = None if sampler is None else torch.tensor([p for part in sampler for p in part])
    reference_N, old_N, keep_N = None, None, torch.zeros(sum(lengths))
    if config.beta:
        scorer, context = (policy, ADAPTER_OFF) if frozen is None else (Policy(frozen), POLICY)
        reference_N = objective.score_all(scorer, batches, sum(lengths), config, None, context)
    divisor = objective.normalizer(config, sum(lengths), len(lengths))
    sgd = torch.optim.SGD([p for p in learner.parameters() if p.requires_grad], lr=STEP)
    out = []
    for _ in range(updates):
        vector = objective.backward(
            policy,
            batches,
            advantage_R,
            old_N,
            sampler_N,
            reference_N,
            divisor,
            config,
            None,
            Timer(),
            None if out else keep_N,
        )
        metrics = dict(zip(objective.NAMES, vector.tolist()))
        out.append(
            (metrics["loss"], {n: p.grad.clone() for n, p in learner.named_parameters() if p.grad is not None}, metrics)
        )
        old_N = keep_N
        sgd.step(), sgd.zero_grad()
    return out


def theirs(learner, frozen, groups, rewards, options, updates, sampler=None):
    if sampler is not None:
        options = options | {
            "use_vllm": True,
            "vllm_importance_sampling_clip_max": TrainConfig().objective.importance_cap,
        }
    oracle = Oracle(
        learner, frozen, image_token=IMAGE, rows=G * len(groups), num_generations=G, num_iterations=updates,
        max_completion_length=LIMIT, **options,
    )  # fmt: skip
    inputs = oracle.inputs(groups, rewards, sampler)
    sgd = torch.optim.SGD([p for p in oracle.model.parameters() if p.requires_grad], lr=STEP)
    out = []
    for _ in range(updates):
        out.append(
            (oracle.backward(inputs), oracle.gradients(), {k: v[-1] for k, v in oracle._metrics["train"].items()})
        )
        sgd.step(), sgd.zero_grad()
    return out


def distance(got: dict, want: dict) -> float:
    """Length of the difference over the length of the wanted gradient."""
    assert set(got) == set(want)
    square = lambda terms: sum(float(t.double().pow(2).sum()) for t in terms)
    return (square(got[n] - want[n] for n in want) / max(square(want.values()), 1e-12)) ** 0.5


def run(loss, kl, pictures, *, kind="whole", updates=2, budget=4096, sampler=None, **more):
    """Both sides on one batch. more: options under the same name on both sides, or (ours, TRL's options)."""
    options, spelled = LOSSES[loss]
    shared = {"scale_rewards": "group", **options, **KLS[kl]}
    extra = more.pop("theirs", {})
    config = TrainConfig(max_completion_length=LIMIT, **ONE_REWARD, **shared | more)
    groups, rewards = make(pictures, f"{loss}/{kl}/{pictures}/{kind}/{updates}/{sorted(more.items())}")
    learner = model(kind)
    frozen = small_model(7) if kind == "whole" and kl != "no KL" else None
    more.pop("sampler_correction", None)
    spoken = {"use_bias_correction_kl": False} | shared | more | spelled | extra
    if sampler is not None:
        rng = torch.Generator().manual_seed(5)
        own = objective.score_all(
            Policy(learner),
            pack(groups, 4096, image_token_id=IMAGE),
            sum(len(c) for g in groups for c in g.completions),
            config,
            None,
            POLICY,
        )
        near = iter((own + sampler * torch.randn(own.shape, generator=rng)).tolist())
        sampler = [[next(near) for _ in c] for g in groups for c in g.completions]
    want = theirs(learner, frozen, groups, rewards, spoken, updates, sampler)
    return ours(copy.deepcopy(learner), frozen, groups, rewards, config, updates, sampler, budget), want


def rounding(loss):
    """What two sums in fp32 may be apart: of a whole completion's tokens in the two losses that have such sums."""
    return 5e-6 if loss in ("luspo", "vespo") else 1e-6


def require_equal(got, want, what):
    for number, ((loss, gradient, metrics), (their_loss, their_gradient, logged)) in enumerate(zip(got, want), 1):
        assert loss == pytest.approx(their_loss, abs=rounding(what.partition(",")[0])), f"{what}, update {number}: loss"
        assert distance(gradient, their_gradient) < 1e-5, (
            f"{what}, update {number}: gradient {distance(gradient, their_gradient)}"
        )
        assert metrics["entropy"] == pytest.approx(logged["entropy"], rel=1e-5)


@pytest.mark.parametrize("pictures", PICTURES)
@pytest.mark.parametrize("loss", LOSSES)
def test_fp32(loss, pictures):
    """Every loss, with and without KL, one and two updates of one rollout; in one micro-batch and in several."""
    for kl in KLS:
        for updates in (1, 2) if kl != "KL times ratio" else (2,):
            got, want = run(loss, kl, pictures, updates=updates, budget=4096 if updates == 1 else 130)
            require_equal(got, want, f"{loss}, {kl}, {pictures}, {updates} updates")
            if kl == "KL":
                assert got[0][2]["kl"] == pytest.approx(want[0][2]["kl"], rel=1e-4)
            if updates == 2 and loss in ("grpo", "bnpo", "dr_grpo", "dapo"):
                shares = [f"clip_ratio/{side}_mean" for side in ("low", "high", "region")]
                assert [got[1][2][s] for s in shares] == pytest.approx([want[1][2][s] for s in shares])
                assert got[1][2]["clip_ratio/region_mean"] > 0  # or the band was not tried


@pytest.mark.parametrize("loss", LOSSES)
def test_lora(loss):
    for kl in KLS:
        got, want = run(loss, kl, "images and text", kind="lora", budget=150)
        assert all("lora_" in name for name in got[0][1])
        require_equal(got, want, f"{loss}, {kl}, LoRA")


def test_tokens_of_high_entropy():
    """TRL's own mask of the tokens that top_entropy_quantile leaves."""
    rng = torch.Generator().manual_seed(4)
    trl = SimpleNamespace(accelerator=Accelerator(cpu=True))
    for share in (0.2, 0.5, 0.93):
        mask = torch.rand(6, 9, generator=rng) > 0.3
        entropy = torch.rand(6, 9, generator=rng)
        want = GRPOTrainer.get_high_entropy_mask(trl, entropy, mask, 1 - share)
        assert torch.equal(high_entropy(entropy[mask], share), want[mask])


OPTIONS = {
    "delta": {"delta": 1.04},
    "entropy bonus": {"entropy_coef": 0.1},
    "entropy bonus and KL": {"entropy_coef": 0.1, "beta": 0.05},
    "temperature": {"temperature": 0.7},
    "sequence ratio": {"importance_sampling_level": "sequence"},
    "no upper epsilon": {"epsilon_high": None},
    "rewards not scaled": {"scale_rewards": "none"},
    "rewards scaled by the batch": {"scale_rewards": "batch"},
}


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_options_of_the_same_name(loss, option):
    if (option == "delta" and loss in ("cispo", "sapo", "vespo")) or (
        option == "no upper epsilon" and loss in ("cispo", "gspo")
    ):
        pytest.skip("not an option of this loss")
    options = dict(OPTIONS[option])
    kl = "KL" if options.pop("beta", 0) else "no KL"
    got, want = run(loss, kl, "images and text", budget=150, **options)
    require_equal(got, want, f"{loss}, {option}")
    if option == "entropy bonus":  # TRL's has the KL in it
        assert got[0][2]["policy_loss"] == pytest.approx(want[0][2]["policy_loss"], abs=1e-6)


@pytest.mark.parametrize("correction", ("truncate", "mask"))
@pytest.mark.parametrize("loss", LOSSES)
def test_sampler_correction(loss, correction):
    """Log-probs of a sampler that is off by 0.5 nats: TRL's token_truncate and token_mask with our cap."""
    mode = {"vllm_importance_sampling_mode": f"token_{correction}"}
    got, want = run(loss, "KL", "one image", budget=150, sampler=0.5, sampler_correction=correction, theirs=mode)
    require_equal(got, want, f"{loss}, {correction}")
    for name in ("importance_sampling_ratio/min", "importance_sampling_ratio/mean", "importance_sampling_ratio/max",
                 "sampling_logp_difference/mean", "sampling_logp_difference/max"):  # fmt: skip
        assert got[0][2][f"sampling/{name}"] == pytest.approx(want[0][2][f"sampling/{name}"], rel=1e-4, abs=1e-6)
    assert got[0][2]["sampling/importance_sampling_ratio/min"] == 0 or correction == "truncate"


def test_cispo_caps_at_the_bound_that_trl_recommends():
    """epsilon_high=5.0 is the ratio's bound, not 6: behind a large step the ratios lie between and beyond."""
    groups, rewards = make("one image", "far")
    learner = model()
    sampled = [
        [-9.0 for _ in c] for g in groups for c in g.completions
    ]  # old log-probs far below: ratios of e and more
    config = TrainConfig(
        loss_type="cispo", epsilon_high=5.0, max_completion_length=LIMIT, scale_rewards="group", **ONE_REWARD
    )
    oracle = Oracle(
        learner, image_token=IMAGE, rows=G * len(groups), num_generations=G, max_completion_length=LIMIT,
        loss_type="cispo",
        epsilon_high=5.0,
    )  # fmt: skip
    inputs = oracle.inputs(groups, rewards)
    inputs["old_per_token_logps"] = torch.full(inputs["completion_ids"].shape, -9.0)
    want = oracle.backward(inputs)
    policy, old_N = Policy(learner), torch.tensor([p for part in sampled for p in part])
    vector = objective.backward(
        policy, pack(groups, 4096, image_token_id=IMAGE), inputs["advantages"], old_N, None, None, float(len(old_N)),
        config,
        None, Timer(),
    )  # fmt: skip
    metrics = dict(zip(objective.NAMES, vector.tolist()))
    assert 0.1 < metrics["clip_ratio/high_mean"] == pytest.approx(oracle.metric("cispo_clip_ratio"), rel=1e-5)
    assert metrics["loss"] == pytest.approx(want, abs=1e-5 * abs(want))
    assert distance({n: p.grad for n, p in learner.named_parameters() if p.grad is not None}, oracle.gradients()) < 1e-5


@pytest.mark.parametrize("kind", ("whole", "lora"))
@pytest.mark.parametrize("loss", LOSSES)
def test_bf16(loss, kind):
    """Weights and activations in bf16 on both sides, against TRL on the same weights in fp32.

    bf16 keeps 8 bits, and the two sides round in other places: the gradients of both are 2 to 8% away from fp32's here.
    Ours may be no further from it than 1.25 times TRL's distance, and the loss no further than 2e-2.
    """
    options, spelled = LOSSES[loss]
    config = TrainConfig(max_completion_length=LIMIT, scale_rewards="group", **ONE_REWARD, **options)
    spoken = {"scale_rewards": "group", "use_bias_correction_kl": False} | options | spelled
    groups, rewards = make("images and text", f"bf16/{loss}/{kind}")
    learner = model(kind).bfloat16()
    exact = theirs(copy.deepcopy(learner).float(), None, groups, rewards, spoken, 1)[0]
    want = theirs(learner, None, groups, rewards, spoken, 1)[0]
    got = ours(learner, None, groups, rewards, config, 1)[0]
    print(
        loss,
        kind,
        "gradient: ours",
        distance(got[1], exact[1]),
        "TRL's",
        distance(want[1], exact[1]),
        "loss",
        got[0] - exact[0],
    )
    assert distance(got[1], exact[1]) < 1.25 * distance(want[1], exact[1]) < 0.2
    assert abs(got[0] - exact[0]) < 2e-2


def test_advantages():
    """Several rewards, some of which do not apply, a completion nothing applies to, a group without spread."""
    nan = float("nan")
    rewards = torch.tensor([
        [1.0, 0.5], [0.0, nan], [nan, nan], [0.3, -2.0],
        [1.0, 1.0], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0],
        [nan, 0.1], [0.2, 0.1], [nan, 0.7], [5.0, nan],
    ])  # fmt: skip
    groups, _ = make("text only", "advantages")
    for scale in ("group", "none", "batch"):
        config = TrainConfig(scale_rewards=scale, reward_funcs=["correct", "executes"], reward_weights=[1.0, 1.0])
        oracle = Oracle(model(), image_token=IMAGE, rows=12, num_generations=G, scale_rewards=scale)
        want = oracle.inputs(groups, rewards)["advantages"]
        got = advantages(rewards, [G] * 3, config.reward_weights, config.scale_rewards)
        torch.testing.assert_close(got.advantages, want, rtol=1e-5, atol=1e-6)
        assert got.reward.nanmean().item() == pytest.approx(oracle.metric("reward"))
        if scale != "batch":  # TRL looks at the batch's spread there
            assert 1 - got.n_live.item() / 3 == pytest.approx(oracle.metric("frac_reward_zero_std"))


def test_combined_rewards():
    """`combine=gdpo` with `scale_rewards=batch` against normalize_then_sum: several rewards, some of which do not
    apply, and a group without spread in one of them."""
    nan = float("nan")
    generator = torch.Generator().manual_seed(torch.seed() % 2**31)
    weights = torch.tensor([1.0, 0.3, -0.5])
    for _ in range(5):
        rewards = torch.randn(3 * G, 3, generator=generator)
        rewards[torch.rand(3 * G, 3, generator=generator) < 0.2] = nan
        rewards[0], rewards[G : 2 * G, 1] = nan, 0.7
        groups, _ = make("text only", "advantages")
        oracle = Oracle(model(), image_token=IMAGE, rows=3 * G, num_generations=G,
                        multi_objective_aggregation="normalize_then_sum")  # fmt: skip
        want = oracle.inputs(groups, rewards, weights=weights)["advantages"]
        none = [None] * 3 * G
        batch = RewardBatch(none, none, none, none, none, [G] * 3, correct=none, prompts=none, weights=weights.tolist())
        totals = torch.tensor([[nan if value is None else value] for value in gdpo(rewards.double().tolist(), batch)])
        got = advantages(totals.double(), [G] * 3, [1.0], "batch").advantages
        torch.testing.assert_close(got.float(), want, rtol=2e-3, atol=2e-4)
