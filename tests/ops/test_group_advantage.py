"""group_advantage: every mode and layout by hand and across backends; NaN rows, dead groups, lists."""

import math

import pytest
import torch

from nsrl_kernels import _native, group_advantage

MODES = ("grpo", "no_std", "batch_std", "rloo", "none")
NAN = math.nan


def test_by_hand():
    rewards = torch.tensor([1.0, 0.0, 0.0, 0.0, 2.0, 2.0, 2.0, 2.0])
    for mode, want in {
        "no_std": [0.75, -0.25, -0.25, -0.25],
        "grpo": [0.75 / (0.5 + 1e-4)] + [-0.25 / (0.5 + 1e-4)] * 3,
        "rloo": [1.0] + [-1 / 3] * 3,
        "batch_std": [x / (float(rewards.std()) + 1e-4) for x in (0.75, -0.25, -0.25, -0.25)],
    }.items():
        got = group_advantage(rewards, 4, mode=mode)
        assert got.advantages.tolist() == pytest.approx(want + [0.0] * 4), mode
        assert got.live.tolist() == [True, False] and got.live_groups.tolist() == [0, -1] and int(got.n_live) == 1
        assert got.live_rows.tolist() == [True] * 4 + [False] * 4
    assert group_advantage(rewards, 4, mode="none").advantages.tolist() == rewards.tolist()


def test_unscorable_rows_are_left_out():
    rewards = torch.tensor([[1.0, NAN], [NAN, NAN], [NAN, 4.0], [0.0, 2.0]])
    got = group_advantage(rewards, 4, weights=torch.tensor([1.0, 0.5]), mode="no_std")
    assert got.reward[[0, 2, 3]].tolist() == [1.0, 2.0, 1.0] and got.reward[1].isnan()
    assert got.count.tolist() == [3] and got.mean.tolist() == pytest.approx([4 / 3])
    assert got.advantages.tolist() == pytest.approx([-1 / 3, 0.0, 2 / 3, -1 / 3])
    alone = group_advantage(torch.tensor([1.0, NAN, NAN, NAN]), 2)
    assert alone.advantages.tolist() == [0.0] * 4 and alone.count.tolist() == [1, 0] and int(alone.n_live) == 0


def test_equal_rewards_give_exact_zeros():
    rewards = torch.full((7,), 0.1)  # a mean that is not exactly 0.1 must not leak
    for mode in MODES[:4]:
        assert (group_advantage(rewards, 7, mode=mode).advantages == 0).all()


def _cases():
    torch.manual_seed(2)
    rewards = torch.randn(14, 3)
    rewards[torch.rand(14, 3) < 0.2] = NAN
    rewards[5] = NAN
    rewards[8:11] = torch.tensor([0.1, 0.2, 0.3])
    offsets = torch.tensor([0, 4, 8, 11, 11, 14])
    ids = torch.randint(0, 6, (14,))
    return rewards, {"offsets": (offsets, None), "even": (7, None), "ids in any order": (ids, 6)}


@pytest.mark.parametrize("backend", ("triton", "cuda"))
@pytest.mark.parametrize("mode", MODES)
def test_backends_agree_with_fp64(backend, mode, device):
    if backend == "cuda" and not _native.available(device):
        pytest.skip("needs a CUDA device and the library built from csrc/")
    rewards, layouts = _cases()
    weights = torch.tensor([1.0, 0.5, 0.25])
    for name, (groups, n) in layouts.items():
        there = groups.to(device) if isinstance(groups, torch.Tensor) else groups
        got = group_advantage(
            rewards.to(device), there, num_groups=n, mode=mode, weights=weights.to(device), backend=backend
        )
        want = group_advantage(rewards.double(), groups, num_groups=n, mode=mode, weights=weights, backend="torch")
        for field, ours, exact in zip(got._fields, got, want):
            torch.testing.assert_close(
                ours.cpu().double(), exact.double(), rtol=2e-6, atol=1e-6, equal_nan=True,
                msg=lambda m, at=(name, field): f"{at}: {m}",
            )  # fmt: skip


def test_offsets_and_ids_agree():
    rewards, layouts = _cases()
    ids = torch.repeat_interleave(torch.arange(5), layouts["offsets"][0].diff())
    for ours, theirs in zip(
        group_advantage(rewards, layouts["offsets"][0]), group_advantage(rewards, ids, num_groups=5)
    ):
        torch.testing.assert_close(ours, theirs, equal_nan=True)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="groups must be a divisor of the 5 rows; got 2"):
        group_advantage(torch.rand(5), 2)
    with pytest.raises(ValueError, match="mode must be one of 'grpo'"):
        group_advantage(torch.rand(4), 2, mode="std")
    with pytest.raises(ValueError, match=r"weights must be \(2,\) to match the components of rewards; got \(3,\)"):
        group_advantage(torch.rand(4, 2), 2, weights=torch.ones(3))
