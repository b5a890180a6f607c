"""The torch backend of linear_logp and logp_from_logits against their definitions, and both against gradcheck."""

import itertools

import pytest
import torch

from nsrl_kernels import linear_logp, logp_from_logits
from nsrl_kernels.ops.linear_logp.reference import linear_logp as definition


def _case(n=7, n_hidden=5, n_vocab=11, dtype=torch.float64):
    hidden = torch.randn(n, n_hidden, dtype=dtype, requires_grad=True)
    weight = torch.randn(n_vocab, n_hidden, dtype=dtype, requires_grad=True)
    bias = torch.randn(n_vocab, dtype=dtype, requires_grad=True)
    target = torch.randint(0, n_vocab - 2, (n,))
    options = dict(temperature=torch.rand(n, dtype=dtype) + 0.5, banned=torch.tensor([n_vocab - 1, n_vocab - 2]))
    return hidden, weight, bias, target, options


@pytest.mark.parametrize(
    "softcap,mode,entropy", itertools.product((None, 2.0), ("jacobian", "recompute"), ("metric", "grad"))
)
def test_definition_and_gradcheck(softcap, mode, entropy):
    hidden, weight, bias, target, options = _case()
    options["softcap"] = softcap
    got = linear_logp(hidden, weight, target, bias=bias, entropy=entropy, mode=mode, **options)
    for ours, theirs in zip(got, definition(hidden, weight, target, bias=bias, **options)):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    outputs = 2 if entropy == "grad" else 1
    if mode == "jacobian":
        frozen = weight.detach(), bias.detach()
        run = lambda h: linear_logp(h, frozen[0], target, bias=frozen[1], entropy=entropy, mode=mode, **options)[
            :outputs
        ]
        assert torch.autograd.gradcheck(run, (hidden,))
    else:
        run = lambda h, w, b: linear_logp(h, w, target, bias=b, entropy=entropy, mode=mode, **options)[:outputs]
        assert torch.autograd.gradcheck(run, (hidden, weight, bias))


@pytest.mark.parametrize("softcap", (None, 2.0))
def test_logits_gradcheck(softcap):
    _, _, _, target, options = _case()
    logits = (torch.randn(7, 11, dtype=torch.float64) * 3).requires_grad_()
    run = lambda z: logp_from_logits(z, target, softcap=softcap, entropy="grad", **options)
    assert torch.autograd.gradcheck(run, (logits,))
