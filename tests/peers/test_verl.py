"""verl's own losses and estimators (0.9.1) against `policy_loss` and `group_advantage`: values and gradients to 1e-6.

On padded fp64 batches of random lengths. Where both can say the same, the options are said beside the case.
"""

import importlib
import inspect
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from nsrl.trainer.advantage import step_advantages
from nsrl.trainer.token_baseline import SHARP, otb
from nsrl_kernels import group_advantage, policy_loss
from nsrl_kernels.ops.policy_loss.select import clip_cov, covariance, kl_cov
from tests.peers.verl_oracle import ROOT, Algorithm, Config, core_algos

if not ROOT.is_dir():
    pytest.skip("verl is not installed here; `make test-peers` makes an environment of it", allow_module_level=True)
VERL = core_algos()
adapter = importlib.import_module("nsrl_kernels.adapters.verl")  # which finds what the line before has put there
S, L = 7, 11
BAND = {"clip_ratio": 0.1, "clip_ratio_low": 0.1, "clip_ratio_high": 0.15}
OURS = {"epsilon": 0.1, "epsilon_high": 0.15}
WIDE = {"clip_ratio": 50.0, "clip_ratio_low": 50.0, "clip_ratio_high": 50.0}
# verl's loss, its options and aggregation; ours
CASES = {
    "dual clip": ("vanilla", {"clip_ratio_c": 1.3, **BAND}, "token-mean",
                  {"loss_type": "dapo", "dual_clip": 1.3, **OURS}),
    "means of means": ("vanilla", {"clip_ratio_c": 3.0, **BAND}, "seq-mean-token-mean",
                       {"loss_type": "grpo", "dual_clip": 3.0, **OURS}),
    "means of sums": ("vanilla", {"clip_ratio_c": 3.0, **BAND}, "seq-mean-token-sum",
                      {"loss_type": "grpo", "aggregation": "sequence_sum", "dual_clip": 3.0, **OURS}),
    "fixed": ("vanilla", {"clip_ratio_c": 3.0, **BAND}, "seq-mean-token-sum-norm",
              {"loss_type": "dr_grpo", "dual_clip": 3.0, **OURS}),
    "gspo": ("gspo", BAND, "seq-mean-token-mean", {"loss_type": "gspo", **OURS}),
    "sapo": ("sapo", {"tau_pos": 0.75, "tau_neg": 1.25}, "seq-mean-token-mean",
             {"loss_type": "sapo", "tau": (0.75, 1.25)}),
    "gpg": ("gpg", {}, "token-mean", {"loss_type": "reinforce"}),
    "geo_mean": ("geo_mean", BAND, "token-mean", {"loss_type": "gmpo", **OURS}),
    "cispo": ("cispo", {**BAND, "clip_ratio_low": 50.0}, "token-mean", {"loss_type": "cispo", "epsilon_high": 0.15}),
}  # fmt: skip


def batch(seed):
    rng = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, L + 1, (S,), generator=rng)
    mask = torch.arange(L)[None] < lengths[:, None]
    logp = (-2 * torch.rand(S, L, generator=rng, dtype=torch.float64)).requires_grad_()
    old = logp.detach() + 0.2 * torch.randn(S, L, generator=rng, dtype=torch.float64)
    return logp, old, torch.randn(S, generator=rng, dtype=torch.float64), mask


def theirs(name, options, how, logp, old, advantage, mask):
    config = Config(global_batch_info={}, **options)
    spread = advantage[:, None].expand(S, L)
    loss, _ = VERL.get_policy_loss_fn(name)(old, logp, spread, mask.double(), how, config)
    (gradient,) = torch.autograd.grad(loss, logp)
    return loss.detach(), gradient


def ours(logp, old, advantage, mask, **options):
    loss, _ = policy_loss(logp, advantage, mask=mask, old_logp=old, backend="torch", **options)
    (gradient,) = torch.autograd.grad(loss, logp)
    return loss.detach(), gradient


@pytest.mark.parametrize("case", CASES)
def test_losses(case):
    name, options, how, said = CASES[case]
    for seed in range(5):
        given = batch(seed)
        torch.testing.assert_close(ours(*given, **said), theirs(name, options, how, *given), rtol=1e-6, atol=1e-8)


def test_clip_cov_and_kl_cov():
    for seed in range(5):
        logp, old, advantage, mask = batch(seed)
        flat = lambda x, m=mask: x.detach()[m]
        together = covariance(flat(logp), flat(advantage[:, None].expand(S, L)))

        def padded(values, m=mask):
            return torch.zeros(S, L, dtype=torch.float64).masked_scatter(m, values.double())

        options = Config(clip_cov_ratio=1.0, clip_cov_lb=0.2, clip_cov_ub=5.0)  # all that are within the band
        want = theirs("clip_cov", {"policy_loss": options, **WIDE}, "token-mean", logp, old, advantage, mask)
        left = padded(~clip_cov(together, 1.0, (0.2, 5.0), torch.rand(len(together))))
        assert 0 < left.sum() < mask.sum()
        got = ours(logp, old, advantage, mask, policy_weights=left, epsilon=50.0)
        torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-8)

        options = Config(kl_cov_ratio=0.2, ppo_kl_coef=0.7)
        want = theirs("kl_cov", {"policy_loss": options}, "token-mean", logp, old, advantage, mask)
        paying = padded(kl_cov(together, 0.2))
        got = ours(logp, old, advantage, mask, drift_weights=paying, drift_coef=0.7, epsilon=50.0)
        torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("estimator", "mode"),
    [("grpo", "grpo"), ("rloo", "rloo"), ("grpo_passk", "grpo_passk"), ("opo", "opo"), ("gpg", "gpg"),
     ("reinforce_plus_plus", "reinforce_plus_plus"),
     ("reinforce_plus_plus_baseline", "reinforce_plus_plus_baseline")],
)  # fmt: skip
def test_estimators(estimator, mode):
    for seed in range(10):
        rng = torch.Generator().manual_seed(seed)
        lengths = torch.randint(1, L + 1, (12,), generator=rng)
        mask = (torch.arange(L)[None] < lengths[:, None]).double()
        reward = torch.randint(0, 4, (12,), generator=rng).double()
        reward[:2] = torch.tensor([1.0, 2.0])
        reward[4:6] = torch.tensor([0.0, 3.0])
        reward[8:10] = torch.tensor([2.0, 0.5])  # spread in every group
        by_token = torch.zeros(12, L, dtype=torch.float64)
        by_token[torch.arange(12), lengths - 1] = reward
        config = Algorithm(gamma=1.0, norm_adv_by_std_in_grpo=True)
        index = np.array(["a"] * 4 + ["b"] * 4 + ["c"] * 4, dtype=object)
        want, _ = VERL.get_adv_estimator_fn(estimator)(
            token_level_rewards=by_token.clone(), response_mask=mask, index=index, config=config
        )
        got = group_advantage(reward, 4, mode=mode, epsilon=1e-6, lengths=lengths).advantages
        torch.testing.assert_close(got[:, None] * mask, want.double(), rtol=1e-6, atol=1e-8)


def test_remax():
    """compute_remax_outcome_advantage: the return of every token less the reward of the greedy completion."""
    for seed in range(10):
        rng = torch.Generator().manual_seed(seed)
        lengths = torch.randint(1, L + 1, (12,), generator=rng)
        mask = (torch.arange(L)[None] < lengths[:, None]).double()
        reward, greedy = (torch.randn(n, generator=rng, dtype=torch.float64) for n in (12, 3))
        by_token = torch.zeros(12, L, dtype=torch.float64)
        by_token[torch.arange(12), lengths - 1] = reward
        want, _ = VERL.compute_remax_outcome_advantage(
            token_level_rewards=by_token, reward_baselines=greedy.repeat_interleave(4), response_mask=mask
        )
        got = step_advantages(reward[:, None], [4] * 3, 3, [1.0], "remax", lengths.tolist(), greedy).advantages
        torch.testing.assert_close(got[:, None] * mask, want, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("kind", ["k1", "k2", "k3"])
def test_kl(kind):
    logp, other, advantage, mask = batch(3)
    value = VERL.kl_penalty_forward(logp, other, kind)
    loss = 0.3 * (value * mask).sum() / mask.sum()
    (want,) = torch.autograd.grad(loss, logp)
    clamps = {"kl_log_clamp": 20.0, "kl_clamp": 10.0}
    with_kl = ours(logp, None, advantage, mask, beta=0.3, ref_logp=other, kl=kind, **clamps)
    without = ours(logp, None, advantage, mask)
    torch.testing.assert_close(with_kl[1] - without[1], want, rtol=1e-6, atol=1e-8)
    assert float(with_kl[0] - without[0]) == pytest.approx(float(loss.detach()))


@pytest.mark.parametrize("name", ["optimal_token_baseline", "tir_optimal_token_baseline"])
def test_optimal_token_baseline(name):
    """Theirs on padded tensors with the sum of pi^2 from logits, ours on log-probs at two temperatures."""
    for seed in range(10):
        rng = torch.Generator().manual_seed(seed)
        lengths = torch.randint(1, L + 1, (12,), generator=rng)
        mask = torch.arange(L)[None] < lengths[:, None]
        reward = torch.randn(12, generator=rng, dtype=torch.float64)
        logits = 3 * torch.randn(12, L, 9, generator=rng, dtype=torch.float64)
        target = torch.randint(0, 9, (12, L, 1), generator=rng)
        logp, sharp = (x.log_softmax(-1).gather(-1, target)[..., 0] for x in (logits, 2 * logits))
        by_token = torch.zeros(12, L, dtype=torch.float64)
        by_token[torch.arange(12), lengths - 1] = reward
        want, _ = VERL.get_adv_estimator_fn(name)(
            token_level_rewards=by_token, response_mask=mask.double(),
            index=np.array(list("aaaabbbbcccc"), dtype=object),
            old_log_probs=logp, sum_pi_squared=logits.softmax(-1).square().sum(-1),
        )  # fmt: skip
        bounds = torch.nn.functional.pad(lengths.cumsum(0), (1, 0)).tolist()
        step = SimpleNamespace(
            sampled_N=logp[mask], scored={SHARP: sharp[mask]}, reward_R=reward,
            advantage_N=torch.zeros(int(lengths.sum())),
            rows=lambda bounds=bounds: [slice(a, b) for a, b in pairwise(bounds)],
            batch=SimpleNamespace(groups=lambda: [range(0, 4), range(4, 8), range(8, 12)]),
        )  # fmt: skip
        otb(step)
        torch.testing.assert_close(step.advantage_N, want[mask].float(), rtol=1e-5, atol=1e-6)


MODES = ("token-mean", "token-sum", "seq-mean-token-sum", "seq-mean-token-sum-norm", "seq-mean-token-mean")
COUNTS = {
    "alone": {},
    "one of four ranks": {"dp_size": 4, "batch_num_tokens": 321, "global_batch_size": 40, "loss_scale_factor": 100},
}
ACTOR = dict(
    **BAND, clip_ratio_c=1.3, tau_pos=0.75, tau_neg=1.25,
    policy_loss=Config(
        clip_cov_ratio=0.1, clip_cov_lb=0.0, clip_cov_ub=5.0, kl_cov_ratio=0.2, ppo_kl_coef=0.7, dro_beta=0.3
    ),
)  # fmt: skip


@pytest.mark.parametrize("name", adapter.LOSSES)
def test_the_adapters_losses_are_verls(name):
    """Loss, gradient and metrics of every registered loss, with advantages of tokens, an empty sequence, ratios that
    are held at e^20 and weights for another sampler."""
    theirs = {known: function for known, function in vars(VERL).items() if known == f"compute_policy_loss_{name}"}
    for seed, (mode, (_, counts)) in enumerate((m, c) for m in MODES for c in COUNTS.items()):
        for weighted in (False, True):
            logp, old, advantage, mask = batch(seed)
            rng = torch.Generator().manual_seed(seed)
            mask = mask.clone()
            mask[2] = False
            advantage = advantage[:, None].expand(S, L)
            if name not in ("geo_mean", "gspo"):  # in whose ratio a token of e^20 is every token's
                advantage = torch.randn(S, L, generator=rng, dtype=torch.float64)
                old = torch.where(torch.rand(S, L, generator=rng) < 0.05, old - 30.0, old)
                if name in ("clip_cov", "kl_cov", "dro"):
                    old = old.clamp(min=-4)
            weights = torch.rand(S, L, generator=rng, dtype=torch.float64) + 0.5 if weighted else None
            found = []
            for function in (adapter.LOSSES[name], *theirs.values()):
                torch.manual_seed(seed)
                config = Config(global_batch_info=counts, **ACTOR)
                loss, metrics = function(old, logp, advantage, mask.double(), mode, config, weights)
                found.append((loss.detach(), *torch.autograd.grad(loss, logp), metrics))
            (loss, gradient, metrics), (want, wanted, their_metrics) = found
            torch.testing.assert_close((loss, gradient), (want, wanted), rtol=1e-6, atol=1e-7)
            assert metrics == pytest.approx(their_metrics, rel=1e-5, abs=1e-6)


def test_the_adapters_advantages_are_verls():
    for seed in range(5):
        rng = torch.Generator().manual_seed(seed)
        mask = (torch.arange(L)[None] < torch.randint(1, L + 1, (12,), generator=rng)[:, None]).float()
        rewards = torch.randn(12, L, generator=rng) * mask
        index = np.array(["b", "a", "c", "a"] * 3, dtype=object)
        for name, function in adapter.ESTIMATORS.items():
            want, _ = VERL.get_adv_estimator_fn(name)(
                token_level_rewards=rewards.clone(), response_mask=mask, index=index, config=Algorithm()
            )
            got, returns = function(token_level_rewards=rewards, response_mask=mask, index=index, config=Algorithm())
            torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-6)
            assert got is returns
        alone, _ = adapter.ESTIMATORS["grpo"](rewards, mask, index=list(range(12)))
        assert not alone.any()  # verl leaves a group of one its reward


def test_register_and_install():
    before = dict(VERL.POLICY_LOSS_REGISTRY)
    adapter.register()
    try:
        assert VERL.get_policy_loss_fn("nsrl_vanilla") is adapter.LOSSES["vanilla"]
        assert VERL.get_adv_estimator_fn("nsrl_grpo") is adapter.ESTIMATORS["grpo"]
        assert VERL.get_policy_loss_fn("vanilla") is before["vanilla"]
    finally:
        for name in (*adapter.LOSSES, *adapter.ESTIMATORS):
            VERL.POLICY_LOSS_REGISTRY.pop(f"nsrl_{name}", None), VERL.ADV_ESTIMATOR_REGISTRY.pop(f"nsrl_{name}", None)


def test_the_head_is_verls_by_its_signature():
    """The names and order of verl's arguments, and plain logits as the oracle: verl's own head needs a GPU."""
    from verl.utils.kernel.linear_cross_entropy import LinearCrossEntropy

    theirs = list(inspect.signature(LinearCrossEntropy.forward).parameters)[1:]
    assert list(inspect.signature(adapter.linear_cross_entropy).parameters)[: len(theirs)] == theirs
    rng = torch.Generator().manual_seed(4)
    hidden = torch.randn(1, 9, 16, generator=rng).requires_grad_()
    weight, labels = torch.randn(57, 16, generator=rng).requires_grad_(), torch.randint(0, 57, (1, 9), generator=rng)
    g_logp, g_entropy = torch.randn(9, generator=rng), torch.randn(9, generator=rng)
    logp, entropy = adapter.linear_cross_entropy(hidden, weight, labels, 0.7, "none", None)
    got = torch.autograd.grad((logp * g_logp).sum() + (entropy * g_entropy).sum(), (hidden, weight))
    all_ = (hidden.double()[0] @ weight.double().T / 0.7).log_softmax(-1)
    want, wanted = all_.gather(1, labels[0, :, None])[:, 0], -(all_.exp() * all_).sum(-1)
    torch.testing.assert_close((logp.double(), entropy.double()), (want, wanted), rtol=1e-5, atol=1e-5)
    theirs = torch.autograd.grad((want * g_logp).sum() + (wanted * g_entropy).sum(), (hidden, weight))
    for mine, their in zip(got, theirs):
        torch.testing.assert_close(mine, their, rtol=1e-4, atol=1e-4)
    for reduction in ("sum", "mean"):
        reduced, _ = adapter.linear_cross_entropy(hidden, weight, labels, 0.7, reduction)
        torch.testing.assert_close(reduced.double(), getattr(want, reduction)(), rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="reduction must be one of none, sum, mean; got 'max'"):
        adapter.linear_cross_entropy(hidden, weight, labels, 0.7, "max")
