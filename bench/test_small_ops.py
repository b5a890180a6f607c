"""The ops around the head: policy_loss, group_advantage, logp_from_logits, each against the torch a trainer would
write.

    python -m pytest bench/test_small_ops.py --benchmark-only --benchmark-group-by=group

extra_info holds the bytes that have to move and the rate.
"""

from typing import Any

import pytest
import torch

from nsrl_kernels import group_advantage, logp_from_logits, policy_loss

from .shapes import COPY_BYTES

GPU = torch.cuda.is_available()
DEVICE = "cuda" if GPU else "cpu"
PLAIN = "plain torch"  # the rival
BACKENDS = ("triton", "torch", PLAIN) if GPU else ("torch", PLAIN)


def _run(benchmark, group, call, n_bytes, agrees):
    assert agrees(), "disagrees: not timed"
    benchmark.group = group

    def timed():
        call()
        if GPU:
            torch.cuda.synchronize()

    benchmark.pedantic(timed, rounds=5, iterations=3, warmup_rounds=1)
    rate = n_bytes / benchmark.stats.stats.median
    benchmark.extra_info.update(
        bytes=n_bytes, gb_per_s=rate / 1e9, share_of_copy_rate=rate / COPY_BYTES if GPU else None
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_policy_loss(benchmark, backend):
    """Value, gradient and metrics of the 2B case's 10 x 1,024 tokens."""
    rows, length = (10, 1024) if GPU else (10, 64)
    logp, old, ref = (-3 * torch.rand(rows * length, device=DEVICE) for _ in "123")
    old, ref = logp + 0.1 * old, logp + 0.1 * ref
    advantages = torch.randn(rows, device=DEVICE)
    offsets = torch.arange(0, rows * length + 1, length, device=DEVICE)

    def ours(x, backend):
        return policy_loss(x, advantages, cu_seqlens=offsets, old_logp=old, ref_logp=ref, beta=0.05, backend=backend)[0]

    def plain(x):
        ratio, a = (x - old).exp(), advantages.repeat_interleave(length)
        kl = (ref - x).exp() - (ref - x) - 1
        return (-torch.minimum(ratio * a, ratio.clamp(0.8, 1.2) * a) + 0.05 * kl).mean()

    function = plain if backend == PLAIN else lambda x: ours(x, backend)

    def step() -> tuple[torch.Tensor, Any]:
        x = logp.detach().requires_grad_()
        loss = function(x)
        loss.backward()
        return loss.detach(), x.grad

    def agrees():
        x = logp.double().requires_grad_()
        want = plain(x)
        want_grad = torch.autograd.grad(want, x)[0]
        loss, grad = step()
        return torch.allclose(loss.double(), want, atol=1e-5) and torch.allclose(grad.double(), want_grad, atol=1e-6)

    _run(benchmark, "policy_loss", step, 4 * 4 * rows * length, agrees)


@pytest.mark.parametrize("backend", BACKENDS)
def test_group_advantage(benchmark, backend):
    """(r - mean) / std of many groups of 10."""
    groups = 512 if GPU else 32
    rewards = torch.rand(groups * 10, device=DEVICE)

    def plain():
        square = rewards.view(groups, 10)
        return ((square - square.mean(1, keepdim=True)) / (square.std(1, keepdim=True) + 1e-4)).view(-1)

    call = plain if backend == PLAIN else lambda: group_advantage(rewards, 10, backend=backend).advantages
    _run(benchmark, "group_advantage", call, 8 * groups * 10, lambda: torch.allclose(call(), plain(), atol=1e-4))


@pytest.mark.parametrize("backend", BACKENDS)
def test_logp_from_logits(benchmark, backend):
    """One read of the logits and one write of their gradient, in place."""
    n, n_vocab = (2048, 151_936) if GPU else (64, 1003)
    logits = 3 * torch.randn(n, n_vocab, device=DEVICE, dtype=torch.bfloat16 if GPU else torch.float32)
    target = torch.randint(0, n_vocab, (n,), device=DEVICE)
    buffer = torch.empty_like(logits)

    def plain(z):
        return z.float().log_softmax(-1).gather(1, target[:, None])[:, 0]

    def ours(z):
        return logp_from_logits(z, target, inplace_grad=True, backend=backend)[0]

    function = plain if backend == PLAIN else ours

    def step():
        leaf = buffer.copy_(logits).detach().requires_grad_()
        function(leaf * 1).sum().backward()
        return leaf.grad

    def agrees():
        with torch.no_grad():
            return torch.allclose(function(logits.clone()), plain(logits), atol=1e-4)

    _run(benchmark, "logp_from_logits", step, 2 * logits.numel() * logits.element_size(), agrees)
