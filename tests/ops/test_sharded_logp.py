"""A head sharded over two ranks (gloo) gives what the whole head gives, in two all-reduces per block of rows."""

import forked
import pytest
import torch
import torch.distributed as dist

CUT = 77  # unequal shards


def _case():
    torch.manual_seed(3)
    n, n_hidden, n_vocab = 23, 16, 203
    hidden, weight = torch.randn(n, n_hidden), torch.randn(n_vocab, n_hidden)
    hidden[3] *= 40  # a row whose scale on the other rank is far away
    target = torch.randint(0, n_vocab - 2, (n,))
    target[5], target[6] = -100, n_vocab - 1
    return hidden, weight, target, torch.tensor([n_vocab - 1]), torch.rand(n) > 0.3


def _run(hidden, weight, target, banned, grad_rows, trains, **options):
    hidden, weight = hidden.clone().requires_grad_(), weight.clone().requires_grad_(trains)
    from nsrl_kernels import linear_logp

    logp, entropy = linear_logp(
        hidden, weight, target, banned=banned, grad_rows=grad_rows, temperature=0.8,
        entropy="grad" if trains else "metric", **options,
    )  # fmt: skip
    finite = torch.where(torch.isfinite(logp), logp, 0)
    (finite.sum() + (entropy.sum() if trains else 0)).backward()
    return logp.detach(), entropy.detach(), hidden.grad, weight.grad


def _rank() -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    hidden, weight, target, banned, grad_rows = _case()
    calls = []
    plain = dist.all_reduce
    dist.all_reduce = lambda *a, **k: (calls.append(a[0].shape), plain(*a, **k))[1]
    mine, start = (weight[:CUT], 0) if rank == 0 else (weight[CUT:], CUT)
    for backend in ("torch", "triton"):
        for trains in (False, True):
            whole = _run(hidden, weight, target, banned, grad_rows, trains, backend=backend)
            del calls[:]
            options = dict(vocab_group=dist.group.WORLD, vocab_start=start, backend=backend)
            got = _run(hidden, mine, target, banned, grad_rows, trains, **options)
            if not trains and backend == "triton":
                assert len(calls) == 2, calls
            for ours, theirs in zip(got[:3], whole[:3]):
                torch.testing.assert_close(ours, theirs, rtol=2e-5, atol=2e-5)
            if trains:
                torch.testing.assert_close(got[3], whole[3][start : start + len(mine)], rtol=2e-5, atol=2e-5)
    dist.destroy_process_group()


def test_two_ranks_equal_one():
    if not dist.is_available() or not dist.is_gloo_available():
        pytest.skip("torch.distributed has no gloo here")
    done = forked.call_ranks(2, _rank, timeout=120)
    assert [rank.returncode for rank in done] == [0, 0], [rank.stderr[-3000:] for rank in done]
