"""policy_loss: every loss and option, value, gradient and metrics, kernel against fp64 autograd of the definition."""

import inspect
import itertools
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nsrl_kernels import LOSSES, METRIC_NAMES, Objective, policy_loss
from nsrl_kernels.ops.policy_loss.spec import OPTIONS as FIELDS

ROOT = Path(__file__).resolve().parents[2]
LENGTHS = [3, 0, 7, 1, 12]
OFFSETS = torch.tensor([0, *itertools.accumulate(LENGTHS)])
T, R = int(OFFSETS[-1]), len(LENGTHS)


def _inputs():
    torch.manual_seed(1)
    logp = -3 * torch.rand(T)
    near = lambda scale: logp + scale * torch.randn(T)
    x = {"logp": logp, "old": near(0.3), "ref": near(0.5), "entropy": torch.rand(T), "weights": torch.rand(T)}
    x |= {"sampler": x["old"] + 0.3 * torch.randn(T), "masked": near(0.3), "noisy": near(1.0)}
    x |= {"mask": torch.rand(T) > 0.2, "adv_R": torch.randn(R), "adv_T": torch.randn(T)}
    x |= {
        "policy": 2 * torch.rand(T),
        "chosen": (torch.rand(T) < 0.4).float(),
        "right_R": (torch.rand(R) < 0.6).float(),
    }
    return x


X = _inputs()
OPTIONS = {
    "plain": {},
    "on policy": dict(old_logp=None),
    "sequence ratio": dict(importance_sampling_level="sequence", mask=X["mask"]),
    "clip higher, delta, dual clip": dict(epsilon_high=0.28, delta=1.25, dual_clip=1.4),
    "k1": dict(beta=0.1, ref_logp=X["ref"], kl="k1"),
    "k2 times ratio": dict(beta=0.1, ref_logp=X["ref"], kl="k2", kl_times_ratio=True),
    "k3 clamped": dict(beta=0.1, ref_logp=X["ref"], kl_log_clamp=0.3, kl_clamp=0.02),
    "k3 times the sequence's ratio": dict(
        beta=0.1, ref_logp=X["ref"], kl_times_ratio=True, importance_sampling_level="sequence", mask=X["mask"]
    ),
    "kl as a metric": dict(ref_logp=X["ref"]),
    "extra k3, either sign": dict(extra_kl=((X["masked"], -0.02), (X["noisy"], 0.3)), kl_log_clamp=1.0),
    "truncate tokens": dict(importance="truncate", sampler_logp=X["sampler"], importance_cap=1.1),
    "mask sequences": dict(
        importance="mask", sampler_logp=X["sampler"], importance_level="sequence", importance_cap=1.5, mask=X["mask"]
    ),
    "entropy bonus": dict(entropy=X["entropy"], entropy_coef=0.1),
    "entropy bonus of a part": dict(
        entropy=X["entropy"],
        entropy_coef=0.1,
        entropy_normalizer=torch.tensor(51.0),
        mask=X["mask"],
        weights=X["weights"],
    ),
    "nll and weights": dict(nll_coef=0.2, weights=X["weights"]),
    "nll of some sequences": dict(nll_coef=0.2, nll_weights=X["right_R"], mask=X["mask"]),
    "nll of some tokens": dict(nll_coef=0.2, nll_weights=X["weights"], weights=X["policy"]),
    "policy weights beside KL and nll": dict(
        policy_weights=X["policy"], beta=0.1, ref_logp=X["ref"], nll_coef=0.2, mask=X["mask"]
    ),
    "policy weights, sequence ratio": dict(policy_weights=X["policy"], importance_sampling_level="sequence"),
    "drift": dict(
        drift_weights=X["chosen"], drift_coef=0.7, importance="truncate", sampler_logp=X["sampler"], mask=X["mask"]
    ),
    "drift on policy": dict(drift_weights=X["chosen"], old_logp=None),
    "sums over sequences": dict(aggregation="sequence_sum", mask=X["mask"]),
    "token advantages, sequence ratio": dict(
        advantages=X["adv_T"],
        importance_sampling_level="sequence",
        mask=X["mask"],
        beta=0.1,
        ref_logp=X["ref"],
        kl_times_ratio=True,
    ),
    "mask tokens": dict(importance="mask", sampler_logp=X["sampler"], importance_cap=1.1, mask=X["mask"]),
    "truncate tokens on policy": dict(
        importance="truncate", sampler_logp=X["sampler"], importance_cap=0.9, old_logp=None, mask=X["mask"]
    ),
    "mask, token advantages": dict(mask=X["mask"], advantages=X["adv_T"]),
    "global normaliser": dict(normalizer=torch.tensor(37.0)),
    "sequence means, masked": dict(aggregation="sequence", mask=X["mask"]),
}
CLIPPED_ONLY = ("clip higher, delta, dual clip",)
TOKENS_ONLY = ("mask sequences",)  # vespo's weight has the correction of each token


def _go(loss_type, options, dtype, backend, device="cpu"):
    def cast(x):
        if isinstance(x, torch.Tensor):
            return x.to(device, dtype) if x.is_floating_point() else x.to(device)
        return x

    options = dict(options)
    adv = cast(options.pop("advantages", X["adv_R"]))
    options.setdefault("old_logp", X["old"])
    if loss_type == "dr_grpo":
        options.setdefault("max_length", 16)
    if loss_type == "gppo":
        options.setdefault("gppo_beta", (0.3, 0.7))
    if loss_type == "sapo":
        options.setdefault("tau", (0.8, 1.3))
    if loss_type == "vespo":
        options |= dict(vespo_k=(1.5, 2.5), vespo_lambda=(2.0, 1.0))
    options = {k: tuple((cast(x), c) for x, c in v) if k == "extra_kl" else cast(v) for k, v in options.items()}
    logp = cast(X["logp"]).clone().requires_grad_()
    if "entropy" in options:
        options["entropy"] = options["entropy"].clone().requires_grad_()
    loss, metrics = policy_loss(
        logp, adv, cu_seqlens=OFFSETS.to(device), loss_type=loss_type, backend=backend, **options
    )
    loss.backward()
    entropy_grad = options["entropy"].grad if options.get("entropy_coef") else torch.zeros(())
    return [x.detach().cpu().double() for x in (loss, metrics, logp.grad, entropy_grad)]


@pytest.mark.parametrize("loss_type", LOSSES)
def test_kernel_against_fp64_autograd(loss_type, device):
    for name, options in OPTIONS.items():
        if (name in CLIPPED_ONLY and not LOSSES[loss_type].clipped) or (name in TOKENS_ONLY and loss_type == "vespo"):
            continue
        want = _go(loss_type, options, torch.float64, "torch")
        for ours, exact in zip(_go(loss_type, options, torch.float32, "triton", device), want):
            torch.testing.assert_close(ours, exact, rtol=2e-5, atol=2e-6, msg=lambda m, name=name: f"{name}: {m}")


@pytest.mark.parametrize("loss_type", LOSSES)
def test_definition_passes_gradcheck_away_from_stops(loss_type):
    """Where the loss is an honest function (no detached ratio), autograd must match finite differences."""
    if loss_type in ("cispo", "gppo", "vespo"):
        pytest.skip("its gradient is not that of its value, by design (checked by hand below)")
    logp = X["logp"].double().requires_grad_()
    options = dict(old_logp=X["old"].double(), beta=0.1, ref_logp=X["ref"].double(), nll_coef=0.1, max_length=16)
    run = lambda x: policy_loss(x, X["adv_R"].double(), cu_seqlens=OFFSETS, loss_type=loss_type, **options)[0]
    assert torch.autograd.gradcheck(run, (logp,))


def _one(loss_type, log_ratio, adv, **options):
    """∂loss/∂logp of a single token."""
    logp = torch.tensor([-1.0], dtype=torch.float64, requires_grad=True)
    loss, _ = policy_loss(
        logp, torch.tensor([adv], dtype=torch.float64), cu_seqlens=torch.tensor([0, 1]), loss_type=loss_type,
        old_logp=logp.detach() - log_ratio, max_length=1, **options,
    )  # fmt: skip
    loss.backward()
    return loss.item(), logp.grad.item()


def test_the_loss_table_by_hand():
    up, down = math.log(1.5), math.log(0.5)
    for loss_type in ("grpo", "bnpo", "dr_grpo", "dapo", "gspo"):
        assert _one(loss_type, 0.1, 2.0) == pytest.approx((-2 * math.exp(0.1), -2 * math.exp(0.1)))
        assert _one(loss_type, up, 2.0) == pytest.approx((-2 * 1.2, 0.0))
        assert _one(loss_type, down, -1.0) == pytest.approx((0.8, 0.0))
        assert _one(loss_type, up, -1.0) == pytest.approx((1.5, 1.5))
    assert _one("dapo", up, -1.0, delta=1.3) == pytest.approx((1.3, 0.0))
    assert _one("dapo", math.log(5), -1.0, dual_clip=3.0) == pytest.approx((3.0, 0.0))
    assert _one("cispo", up, 2.0) == pytest.approx((1.2 * 2.0, -1.2 * 2.0))  # value -w·A·logp at logp = -1
    assert _one("gppo", up, 2.0, gppo_beta=(0.5, 0.25)) == pytest.approx((-2.4, -0.25 * 1.2 * 2))
    assert _one("gppo", down, -1.0, gppo_beta=(0.5, 0.25)) == pytest.approx((0.8, 0.5 * 0.8))
    gate = 1 / (1 + math.exp(-0.5))
    assert _one("sapo", up, 1.0) == pytest.approx((-4 * gate, -4 * gate * (1 - gate) * 1.5))
    gate = 1 / (1 + math.exp(0.5 * 3))  # at a negative advantage tau's second
    assert _one("sapo", down, -1.0, tau=(2.0, 3.0)) == pytest.approx((4 / 3 * gate, 4 * gate * (1 - gate) * 0.5))
    assert _one("reinforce", up, 2.0) == pytest.approx((2.0, -2.0))
    assert _one("luspo", up, 2.0) == pytest.approx((-2.4, 0.0)) and _one("luspo", 0.1, 2.0) == _one("dapo", 0.1, 2.0)
    assert _one("gmpo", up, 2.0) == pytest.approx((-2 * math.exp(0.2), 0.0))  # the band is of the log-ratio
    assert _one("gmpo", down, -1.0) == pytest.approx((math.exp(-0.2), 0.0))
    assert _one("gmpo", up, -1.0) == pytest.approx((1.5, 1.5))
    gamma = math.exp(3) * 1.5**2 * math.exp(-3 * 1.5)
    assert _one("vespo", up, 2.0) == pytest.approx((gamma * 2.0, -gamma * 2.0))
    gamma = math.exp(2) * 0.5**3 * math.exp(-2 * 0.5)
    assert _one("vespo", down, -1.0) == pytest.approx((-gamma, gamma))
    assert _one("vespo", 0.0, 2.0) == pytest.approx((2.0, -2.0))  # on policy it is reinforce


def test_aggregations_by_hand():
    logp = torch.zeros(4, dtype=torch.float64)
    offsets, adv = torch.tensor([0, 1, 4]), torch.tensor([1.0, 10.0], dtype=torch.float64)
    run = lambda **k: policy_loss(logp, adv, cu_seqlens=offsets, **k)[0].item()
    assert run(loss_type="grpo") == pytest.approx(-(1 + 10) / 2)
    assert run(loss_type="dapo") == pytest.approx(-(1 + 30) / 4)
    assert run(loss_type="dr_grpo", max_length=8) == pytest.approx(-31 / 16)
    assert run(loss_type="dapo", normalizer=62.0) == pytest.approx(-0.5)
    assert run(loss_type="luspo") == run(loss_type="grpo", aggregation="sequence_sum") == pytest.approx(-31 / 2)


@pytest.mark.parametrize("backend", ("torch", "triton"))
@pytest.mark.parametrize("loss_type", LOSSES)
def test_entropy_bonus_is_a_token_mean_whatever_the_loss(loss_type, backend, device):
    """Also of a call that is a part of a batch: the parts add up to the mean over all of its tokens."""
    given = {k: X[k].to(device) for k in ("logp", "entropy", "mask", "adv_R")}

    def run(first, last, coefficient, **counts):
        part = slice(OFFSETS[first], OFFSETS[last])
        entropy = given["entropy"][part].clone().requires_grad_()
        loss, _ = policy_loss(
            given["logp"][part], given["adv_R"][first:last],
            cu_seqlens=(OFFSETS[first : last + 1] - OFFSETS[first]).to(device),
            mask=given["mask"][part], entropy=entropy, entropy_coef=coefficient, loss_type=loss_type, max_length=16,
            backend=backend, **counts,
        )  # fmt: skip
        if coefficient:
            loss.backward()
        return loss.item(), entropy.grad

    mean = given["entropy"][given["mask"]].mean().item()
    count = given["mask"].sum().item()
    with_bonus, gradient = run(0, R, 0.1)
    assert run(0, R, 0.0)[0] - with_bonus == pytest.approx(0.1 * mean, rel=1e-4)
    torch.testing.assert_close(gradient, -0.1 / count * given["mask"].float())
    counts = dict(normalizer=7.0, entropy_normalizer=float(count))
    bonus = sum(run(a, b, 0.0, **counts)[0] - run(a, b, 0.1, **counts)[0] for a, b in ((0, 3), (3, R)))
    assert bonus == pytest.approx(0.1 * mean, rel=1e-4)


@pytest.mark.parametrize("backend", ("torch", "triton"))
def test_padded_equals_packed(backend, device):
    width = max(LENGTHS)
    mask = torch.arange(width)[None] < torch.tensor(LENGTHS)[:, None]

    def pad(x):
        out = torch.full((R, width), math.nan)  # whatever padding holds must not matter
        out[mask] = x
        return out.to(device).requires_grad_(x is X["logp"])

    options = dict(loss_type="gspo", beta=0.1, backend=backend)
    packed = X["logp"].to(device).clone().requires_grad_()
    flat = {"old_logp": X["old"].to(device), "ref_logp": X["ref"].to(device)}
    a, metrics = policy_loss(packed, X["adv_R"].to(device), cu_seqlens=OFFSETS.to(device), **flat, **options)
    padded = pad(X["logp"])
    square = {"old_logp": pad(X["old"]), "ref_logp": pad(X["ref"])}
    b, metrics_b = policy_loss(padded, X["adv_R"].to(device), mask=mask.to(device), **square, **options)
    a.backward(), b.backward()
    torch.testing.assert_close((a, metrics), (b, metrics_b), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(padded.grad[mask.to(device)], packed.grad, rtol=1e-5, atol=1e-7)
    assert (padded.grad[~mask.to(device)] == 0).all()


@pytest.mark.parametrize("backend", ("torch", "triton"))
def test_nothing_left_by_the_mask(backend, device):
    logp = torch.randn(5, device=device).requires_grad_()
    loss, metrics = policy_loss(
        logp, torch.ones(2, device=device), cu_seqlens=torch.tensor([0, 2, 5], device=device),
        mask=torch.zeros(5, dtype=torch.bool, device=device), backend=backend,
    )  # fmt: skip
    loss.backward()
    assert loss == 0 and (logp.grad == 0).all() and metrics.isfinite().all() and len(metrics) == len(METRIC_NAMES)
    empty = torch.zeros(0, device=device, requires_grad=True)
    loss, metrics = policy_loss(empty, torch.ones(0, device=device), cu_seqlens=torch.tensor([0], device=device))
    assert loss == 0 and metrics.isfinite().all()


def test_metrics_are_what_they_say():
    old = X["logp"].clone()
    old[0] -= 1.0  # ratio e
    adv = torch.ones(R)
    _, metrics = policy_loss(
        X["logp"],
        adv,
        cu_seqlens=OFFSETS,
        old_logp=old,
        ref_logp=X["logp"] - 0.5,
        entropy=X["entropy"],
        sampler_logp=old - 0.25,
    )
    m = dict(zip(METRIC_NAMES, metrics.tolist()))
    assert m["tokens"] == T and m["sequences"] == R - 1
    assert m["ratio/max"] == pytest.approx(math.e) and m["ratio/min"] == pytest.approx(1)
    assert m["clip_ratio/high_mean"] == pytest.approx(1 / T) and m["clip_ratio/low_mean"] == 0
    assert m["clip_ratio/region_mean"] == pytest.approx(1 / T)
    assert m["kl"] == pytest.approx(math.exp(-0.5) + 0.5 - 1, rel=1e-5)
    assert m["entropy"] == pytest.approx(float(X["entropy"].mean()))
    assert m["sampling/sampling_logp_difference/mean"] == pytest.approx(0.25, rel=1e-5)
    assert m["sampling/importance_ratio/mean"] == pytest.approx(math.exp(0.25), rel=1e-5)


def test_an_objective_is_taken_whole_or_by_its_options():
    """Every option is a field, in the signature too, and some call of `OPTIONS` or `test_the_loss_table` sets it."""
    said = dict(loss_type="gppo", epsilon=0.1, beta=0.2, nll_coef=0.3)
    given = dict(cu_seqlens=OFFSETS, old_logp=X["old"], ref_logp=X["ref"])
    whole = policy_loss(X["logp"], X["adv_R"], objective=Objective(**said), **given)
    assert all(torch.equal(a, b) for a, b in zip(whole, policy_loss(X["logp"], X["adv_R"], **said, **given)))
    changed = policy_loss(X["logp"], X["adv_R"], objective=Objective(**said | {"beta": 0.9}), beta=0.2, **given)
    assert torch.equal(changed[0], whole[0])
    parameters = inspect.signature(policy_loss).parameters
    assert all(parameters[name].default == getattr(Objective(), name) for name in FIELDS)
    words = set(re.findall(r"\w+(?==)", Path(__file__).read_text()))
    assert FIELDS.keys() <= words


def test_the_objective_is_read_without_torch():
    code = "import sys, nsrl_kernels as k; assert k.LOSSES and k.Objective(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": "kernels"}, cwd=ROOT).returncode == 0


def test_bad_arguments_are_named():
    logp, adv = X["logp"], X["adv_R"]
    for options, message in (
        (dict(loss_type="ppo"), "loss_type must be one of 'grpo'"),
        (dict(beta=0.1), "ref_logp must be given when beta is 0.1; got None"),
        (dict(importance="mask"), "sampler_logp must be given when importance is 'mask'"),
        (dict(epsilon=-0.1), "epsilon must be at least 0; got -0.1"),
        (dict(epsilon=None), "epsilon must be given; got None"),
        (dict(loss_type="sapo", tau=1.0), "tau must be a pair of numbers; got 1.0"),
        (dict(dual_clip=1.0), "dual_clip must be above 1; got 1.0"),
        (dict(loss_type="sapo", delta=2.0), "delta must be None for a loss without a clipped ratio"),
        (dict(gppo_beta=(1.0, -1.0)), "gppo_beta must be at least 0; got"),
        (dict(nll_weights=adv[:4]), r"nll_weights must be \(5,\) or \(23,\); got \(4,\)"),
        (
            dict(loss_type="vespo", importance="mask", sampler_logp=logp, importance_level="sequence"),
            "importance_level must be 'token' for vespo",
        ),
        (dict(loss_type="dr_grpo"), "max_length must be given for the fixed normaliser"),
        (dict(old_logp=logp[:3]), r"old_logp must be \(23,\) like logp; got \(3,\)"),
    ):
        with pytest.raises(ValueError, match="policy_loss: " + message):
            policy_loss(logp, adv, cu_seqlens=OFFSETS, **options)
    with pytest.raises(TypeError, match=r"policy_loss\(\) got an unexpected keyword argument 'epsylon'"):
        policy_loss(logp, adv, cu_seqlens=OFFSETS, epsylon=0.1)
    with pytest.raises(TypeError, match="policy_loss: epsilon must be a number; got '0.2'"):
        policy_loss(logp, adv, cu_seqlens=OFFSETS, epsilon="0.2")
    with pytest.raises(ValueError, match=r"advantages must be \(5,\) or \(23,\); got \(4,\)"):
        policy_loss(logp, adv[:4], cu_seqlens=OFFSETS)
