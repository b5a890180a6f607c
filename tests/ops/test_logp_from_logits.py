"""logp_from_logits against fp64, both backends: values, gradients, in place or not, extremes."""

import pytest
import torch

from bench.cases import exact, extreme_case, gate, random_case
from nsrl_kernels import linear_logp, logp_from_logits

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning:triton", "ignore::RuntimeWarning:numpy")


@pytest.mark.parametrize("backend", ("torch", "triton"))
@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16, torch.float16))
@pytest.mark.parametrize("softcap,inplace", [(None, True), (10.0, False)])
def test_against_fp64(backend, dtype, softcap, inplace, device):
    for n, n_vocab in ((5, 17), (9, 5003), (0, 7)):
        logits = (torch.randn(n, n_vocab) * 6).to(device, dtype)
        target = torch.randint(0, n_vocab - 2, (n,), device=device)
        if n:
            target[1] = -100
        options = dict(
            temperature=torch.rand(n, device=device) + 0.5, softcap=softcap, entropy="grad",
            banned=torch.tensor([n_vocab - 1], device=device),
        )  # fmt: skip

        def go(z, backend, options=options, target=target, **more):
            leaf = z.clone().requires_grad_()
            logp, entropy = logp_from_logits(leaf * 1, target, backend=backend, **options, **more)
            (2 * logp.sum() + entropy.sum()).backward()
            return [x.detach().double() for x in (logp, entropy, leaf.grad)]

        got, want = go(logits, backend, inplace_grad=inplace), go(logits.double(), "torch")
        assert n == 0 or float((got[0] - want[0]).abs().max()) <= 4e-6
        assert n == 0 or float((got[1] - want[1]).abs().max()) <= 6e-6
        bound = 5e-6 if dtype == torch.float32 else 3e-3
        assert float((got[2] - want[2]).norm()) <= bound * float(want[2].norm())


@pytest.mark.parametrize("backend", ("torch", "triton"))
def test_extreme_logits(backend, device):
    _, hidden, weight, target = extreme_case(2001, device)
    logits = (hidden.float() @ weight.float().T).requires_grad_()
    logp, _ = logp_from_logits(logits, target, backend=backend)
    want = exact(hidden, weight, target, with_jacobian=False)
    assert ((logp.detach().cpu().double() - want[0]).abs() <= gate(want[3])).all()
    logp.sum().backward()
    assert logits.grad.isfinite().all() and float(logits.grad.sum(1).abs().max()) < 1e-5


def test_agrees_with_linear_logp_and_takes_any_leading_shape(device):
    hidden, weight, target = random_case(12, 8, 31, dtype=torch.float32, device=device)
    logits = hidden @ weight.T
    a, e = logp_from_logits(logits.view(3, 4, 31), target.view(3, 4))
    b, f = linear_logp(hidden.view(3, 4, 8), weight, target.view(3, 4))
    assert a.shape == b.shape == (3, 4)
    torch.testing.assert_close(a, b), torch.testing.assert_close(e, f)


def test_inplace_gradient_uses_the_logits_storage_and_is_single_use():
    leaf = torch.randn(4, 9, requires_grad=True)
    logits = leaf * 1
    logp, _ = logp_from_logits(logits, torch.zeros(4, dtype=torch.long), inplace_grad=True)
    kept = logits.data_ptr()
    (gradient,) = torch.autograd.grad(logp.sum(), logits, retain_graph=True)
    assert gradient.data_ptr() == kept
    with pytest.raises(RuntimeError):
        torch.autograd.grad(logp.sum(), logits)
