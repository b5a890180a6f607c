"""linear_grpo: equal to its three parts and to plain autograd; dead groups get no work; the docs' example runs."""

import re
from pathlib import Path

import pytest
import torch

from bench.cases import WAYS, random_case
from nsrl_kernels import group_advantage, linear_grpo, linear_logp, policy_loss

ROOT = Path(__file__).resolve().parents[2]


def _case(device):
    hidden, weight, target = random_case(24, 16, 61, dtype=torch.float32, device=device)
    rewards = torch.tensor([1.0, 0, 0, 0.5, 1, 1, 1, 1], device=device)  # the second group is dead
    return hidden, weight, target, rewards, torch.arange(0, 25, 3, device=device)


def _plain(hidden, weight, target, rewards, offsets, old, ref=None, beta=0.0, entropy_coef=0.0):
    """Dense logits, ordinary autograd, fp64."""
    logits = (hidden.double() @ weight.double().T).log_softmax(-1)
    logp = logits.gather(1, target[:, None])[:, 0]
    square = rewards.double().view(-1, 4)
    adv = ((square - square.mean(1, keepdim=True)) / (square.std(1, keepdim=True) + 1e-4)).view(-1)
    a = adv.repeat_interleave(offsets.diff())
    ratio = (logp - old.double()).exp()
    loss = -torch.minimum(ratio * a, ratio.clamp(0.8, 1.2) * a)
    if ref is not None:
        loss = loss + beta * ((ref.double() - logp).exp() - (ref.double() - logp) - 1)
    loss = loss + entropy_coef * (logits.exp() * logits).sum(-1)
    return loss.mean()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("beta,entropy_coef", [(0.0, 0.0), (0.1, 0.0), (0.0, 0.05)])
def test_equals_plain_autograd(way, beta, entropy_coef, device):
    hidden, weight, target, rewards, offsets = _case(device)
    old = torch.log_softmax(hidden @ weight.T, -1).gather(1, target[:, None])[:, 0] + 0.1
    ref = old - 0.3 if beta else None
    a, b = hidden.clone().requires_grad_(), hidden.clone().requires_grad_()
    loss, metrics = linear_grpo(
        a,
        weight,
        target,
        rewards,
        4,
        offsets,
        old_logp=old,
        ref_logp=ref,
        beta=beta,
        entropy_coef=entropy_coef,
        **WAYS[way],
    )
    want = _plain(b, weight, target, rewards, offsets, old, ref, beta, entropy_coef)
    loss.backward(), want.backward()
    assert float((loss - want).abs()) < 2e-6
    assert float((a.grad - b.grad).norm() / b.grad.norm()) < 1e-5
    named = dict(zip(linear_grpo.METRIC_NAMES, metrics.tolist()))
    assert named["reward"] == pytest.approx(5.5 / 8) and named["frac_reward_zero_std"] == 0.5
    if not beta and not entropy_coef:
        assert (a.grad[12:] == 0).all() and (a.grad[:12].abs().sum(1) > 0).any()


def test_equals_its_parts(device):
    hidden, weight, target, rewards, offsets = _case(device)
    group = group_advantage(rewards, 4, mode="rloo")
    logp, entropy = linear_logp(hidden, weight, target, temperature=0.7)
    want, metrics = policy_loss(logp, group.advantages, cu_seqlens=offsets, entropy=entropy, loss_type="grpo")
    got, all_metrics = linear_grpo(
        hidden, weight, target, rewards, 4, offsets, scale_rewards="rloo", temperature=0.7, loss_type="grpo"
    )
    torch.testing.assert_close(got, want), torch.testing.assert_close(all_metrics[: len(metrics)], metrics)


def test_the_documented_step_runs_as_it_stands(capsys):
    block = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "kernels.md").read_text(), re.S).group(1)
    assert sum(bool(line.strip()) and not line.startswith(("import", "from")) for line in block.splitlines()) <= 10
    torch.manual_seed(0)
    names: dict = {}
    exec(compile(block, "docs/kernels.md", "exec"), names)
    assert names["backbone"].weight.grad.abs().sum() > 0 and names["head"].weight.grad is None
    assert "'loss':" in capsys.readouterr().out


def test_bad_arguments_are_named():
    hidden, weight, target, rewards, offsets = _case("cpu")
    with pytest.raises(
        ValueError, match=r"linear_grpo: rewards must be one row per sequence of cu_seqlens \(8\); got 7"
    ):
        linear_grpo(hidden, weight, target, rewards[:7], 4, offsets)
