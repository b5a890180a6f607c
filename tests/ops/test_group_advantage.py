"""group_advantage: every mode and layout by hand and across backends; NaN rows, dead groups, lists."""

import math

import pytest
import torch

from nsrl_kernels import _native, group_advantage

MODES = ("grpo", "no_std", "batch_std", "rloo", "none")
FURTHER = ("grpo_passk", "gpg", "opo", "reinforce_plus_plus", "reinforce_plus_plus_baseline")
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


def by_definition(mode, rewards, lengths, epsilon=1e-4):
    """Advantages of groups of 4 out of lists, NaN rows apart; a token's statistics are of rewards written out."""
    groups = [[i for i in range(a, a + 4) if not math.isnan(rewards[i])] for a in range(0, len(rewards), 4)]
    out, there = [0.0] * len(rewards), [i for g in groups for i in g]
    mean = lambda values: sum(values) / len(values)
    for group in groups:
        own = [rewards[i] for i in group]
        ordered = sorted(own)
        for i in group:
            if len(set(own)) < 2 and mode != "reinforce_plus_plus":
                continue
            if mode == "grpo_passk":
                best = rewards[i] == ordered[-1] and ordered[-1] > ordered[-2]
                deviation = math.sqrt(sum((r - mean(own)) ** 2 for r in own) / (len(own) - 1))
                out[i] = (ordered[-1] - ordered[-2]) / (deviation + epsilon) if best else 0.0
            elif mode == "gpg":
                out[i] = (rewards[i] - mean(own)) * len(there) / max(1, sum(rewards[j] != 0 for j in there))
            elif mode == "opo":
                out[i] = rewards[i] - mean([rewards[j] for j in group for _ in range(lengths[j])])
            else:
                out[i] = rewards[i] - (mean(own) if mode.endswith("baseline") else 0.0)
    if mode.startswith("reinforce"):
        written = [out[i] for i in there for _ in range(lengths[i])]
        variance = sum((v - mean(written)) ** 2 for v in written) / (len(written) - 1)
        out = [(v - mean(written)) / math.sqrt(variance + 1e-8) if i in there else 0.0 for i, v in enumerate(out)]
    return out


@pytest.mark.parametrize("mode", FURTHER)
def test_further_estimators_by_definition(mode):
    rng = torch.Generator().manual_seed(5)
    for draw in range(20):
        rewards = torch.randint(0, 3, (16,), generator=rng).double() * (0.7 if draw % 2 else 1.0)
        rewards[torch.rand(16, generator=rng) < 0.1] = NAN
        lengths = torch.randint(1, 9, (16,), generator=rng)
        got = group_advantage(rewards, 4, mode=mode, lengths=lengths)
        assert got.advantages.tolist() == pytest.approx(by_definition(mode, rewards.tolist(), lengths.tolist()))
        single = group_advantage(rewards.float(), 4, mode=mode, lengths=lengths)
        torch.testing.assert_close(single.advantages.double(), got.advantages, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="backend='triton' is not available here"):
        group_advantage(rewards.float(), 4, mode=mode, lengths=lengths, backend="triton")
    if mode not in ("gpg", "grpo_passk"):
        with pytest.raises(ValueError, match=f"lengths must be given with mode='{mode}'"):
            group_advantage(rewards, 4, mode=mode)


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
