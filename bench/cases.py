"""Heads with chosen logits, and the exact answer in fp64 a few rows at a time. For the tests of the ops and for
bench."""

import math

import torch

WAYS = {  # every way to run the head
    "torch": dict(backend="torch"),
    "triton": dict(backend="triton", gemm="triton"),
    "triton, cuBLAS": dict(backend="triton", gemm="cublas"),
}


def random_case(n, n_hidden, n_vocab, *, spread=3.0, dtype=torch.bfloat16, device="cpu"):
    """hidden, weight, target whose logits have standard deviation `spread`."""
    hidden = (torch.randn(n, n_hidden, device=device) * spread).to(dtype)
    weight = (torch.randn(n_vocab, n_hidden, device=device) / n_hidden**0.5).to(dtype)
    return hidden, weight, torch.randint(0, n_vocab, (n,), device=device)


def extreme_case(n_vocab, device="cpu"):
    """The cases a softmax gets wrong: names, hidden, weight, target. Logits are bf16 numbers."""
    quiet = torch.full((n_vocab,), -2.0)
    names, rows, target = [], [], []

    def add(name, logits, y):
        names.append(name)
        rows.append(logits.bfloat16().float())
        target.append(y % n_vocab)

    near = quiet.clone()
    near[3 % n_vocab] = -2.0 + 16.1 + math.log(n_vocab)
    add("1 - p about 1e-7", near, 3)
    rare = quiet.clone()
    rare[0], rare[1 % n_vocab] = -30.0, 30.0
    add("p = e^-60", rare, 0)
    add("all negative", -50 - 20 * torch.rand(n_vocab), 1)
    add("all equal", torch.full((n_vocab,), 7.0), 0)
    wide = 80 * (2 * torch.rand(n_vocab) - 1)
    wide[0], wide[1 % n_vocab] = -80.0, 80.0
    add("logits up to 80, target lowest", wide, 0)
    add("logits up to 80, target highest", wide, 1)
    add("target alone", torch.cat([torch.full((n_vocab - 1,), -80.0), torch.tensor([80.0])]), n_vocab - 1)
    logits = torch.stack(rows).to(device, torch.bfloat16)
    hidden = torch.eye(len(rows), device=device, dtype=torch.bfloat16)  # so the logits are exactly these
    return names, hidden, logits.T.contiguous(), torch.tensor(target, device=device)


def exact(hidden, weight, target, *, temperature=1.0, with_jacobian=True):
    """fp64 on the same inputs, where they lie: (logp, entropy, J, max |logit| per row) on the CPU, a few rows at a
    time."""
    w, device = weight.detach().double(), weight.device
    step = max(1, 4_000_000 // w.shape[0])
    temperature = torch.as_tensor(temperature, dtype=torch.float64, device=device).expand(len(hidden))
    outs = []
    for r0 in range(0, len(hidden), step):
        t = temperature[r0 : r0 + step, None]
        z = hidden[r0 : r0 + step].detach().to(device).double() @ w.T / t
        y = target[r0 : r0 + step].to(device)[:, None]
        at = z.gather(1, y)
        d = (z - at).scatter(1, y, -torch.inf)  # odds form in fp64: 1 - p keeps its digits
        top = d.amax(1, keepdim=True).clamp(min=0)
        e = (d - top).exp()
        own = (-top).exp()
        total = e.sum(1, keepdim=True)
        logp = torch.where(top > 0, -(top + (own + total).log()), -torch.log1p(total))
        p = (e / (own + total)).scatter(1, y, own / (own + total))
        log_p = (z - at + logp).clamp(min=-1e4)
        jac = torch.empty(len(z), 0, dtype=torch.float64, device=device)
        if with_jacobian:
            odds = total / (own + total)
            jac = (odds * w[y[:, 0]] - p.scatter(1, y, 0.0) @ w) / t
        outs.append((logp[:, 0], -(p * log_p).sum(1), jac, z.abs().amax(1)))
    return tuple(torch.cat(x).cpu() for x in zip(*outs))


def gate(max_logit, cores_of=0):
    """The gate of the docs: 2e-6 while logits stay within ±25, 2e-7·max|logit| beyond.

    cores_of: the hidden size where tensor cores multiply. They cut their fp32 sum off after each 16 products, half of
    its last place on average (bench/tensor_cores.py), whoever drives them: H/16 · 2⁻²⁴ · max|logit| more.
    """
    return torch.where(max_logit <= 25, 2e-6, 2e-7 * max_logit) + cores_of / 16 * 2**-24 * max_logit


def row_errors(got, want):
    """(relative error overall, worst relative error of a row), in fp64."""
    got, want = got.detach().cpu().double(), want.double()
    rows = (got - want).norm(dim=1) / want.norm(dim=1).clamp(min=1e-30)
    return float((got - want).norm() / want.norm().clamp(min=1e-30)), float(rows.max())
