"""The head under mixed precision and with sharded parameters: autocast, fp32 heads, DTensors; the adapters without
their packages."""

import importlib
import importlib.util

import pytest
import torch
from torch.nn.functional import linear

from nsrl_kernels import linear_grpo, linear_logp
from nsrl_kernels.adapters.liger import LigerFusedLinearGRPOLoss

N, H, V = 24, 32, 301


def case(hidden_dtype, head_dtype, seed=0):
    rng = torch.Generator().manual_seed(seed)
    hidden = torch.randn(N, H, generator=rng).to(hidden_dtype).requires_grad_()
    weight = torch.randn(V, H, generator=rng).to(head_dtype).requires_grad_()
    bias = torch.randn(V, generator=rng).requires_grad_()
    return hidden, weight, bias, torch.randint(0, V, (N,), generator=rng)


def exact(hidden, weight, bias, target):
    """log-probs in fp64 of operands as they are lowered, with gradients to where they came from."""
    lower = lambda x: x.to(torch.bfloat16).double()
    logits = lower(hidden) @ lower(weight).T + bias.double()
    return logits.log_softmax(-1).gather(1, target[:, None])[:, 0]


@pytest.mark.parametrize("entropy", ("metric", "grad"))
@pytest.mark.parametrize("hidden_dtype", (torch.bfloat16, torch.float32))
def test_autocast_lowers_what_linear_lowers(hidden_dtype, entropy):
    """An fp32 head, as accelerate and Lightning leave it: lowered to bf16, with gradients in fp32."""
    hidden, weight, bias, target = case(hidden_dtype, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        assert linear(hidden, weight).dtype == torch.bfloat16  # what a Linear does of them
        logp, _ = linear_logp(hidden, weight, target, bias=bias, entropy=entropy)
        (logp * torch.arange(1.0, N + 1)).sum().backward()
    assert logp.dtype == torch.float32
    got = [x.grad for x in (hidden, weight, bias)]
    lowered = [x.detach().to(torch.bfloat16).requires_grad_() for x in (hidden, weight)]
    outside, _ = linear_logp(*lowered, target, bias=bias.detach().requires_grad_(), entropy=entropy)
    (outside * torch.arange(1.0, N + 1)).sum().backward()
    assert torch.equal(logp, outside)
    assert all(torch.equal(gradient, x.grad.to(gradient.dtype)) for gradient, x in zip(got, lowered))
    hidden.grad = weight.grad = bias.grad = None
    want = exact(hidden, weight, bias, target)
    (want * torch.arange(1.0, N + 1)).sum().backward()
    torch.testing.assert_close(logp.double(), want, rtol=0, atol=2e-6)
    for gradient, x in zip(got, (hidden, weight, bias)):
        assert gradient.dtype == x.dtype
        assert (gradient - x.grad).norm() <= 6e-3 * x.grad.norm()


@pytest.mark.parametrize("entropy", ("metric", "grad"))
def test_a_backward_under_autocast_is_the_same_backward(entropy):
    """Logits of fp32 operands are made once more there, in fp32."""
    hidden, weight, bias, target = case(torch.float32, torch.float32)
    found = []
    for enabled in (False, True):
        logp, _ = linear_logp(hidden, weight, target, bias=bias, entropy=entropy)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            found.append(torch.autograd.grad(logp.sum(), (hidden, weight, bias)))
    assert all(torch.equal(a, b) for a, b in zip(*found))


def test_a_frozen_head_under_autocast_keeps_the_jacobian():
    hidden, weight, _, target = case(torch.bfloat16, torch.float32)
    weight.requires_grad_(False)
    with torch.autocast("cpu", torch.bfloat16):
        logp, _ = linear_logp(hidden, weight, target)
    logp.sum().backward()
    plain, _ = linear_logp(hidden, weight.to(torch.bfloat16), target)
    assert torch.equal(logp, plain)
    (again,) = torch.autograd.grad(plain.sum(), hidden)
    assert torch.equal(hidden.grad, again)


def test_autocast_changes_nothing_of_operands_in_its_own_dtype():
    hidden, weight, bias, target = case(torch.bfloat16, torch.bfloat16)
    plain, entropy = linear_logp(hidden, weight, target, bias=bias)
    with torch.autocast("cpu", torch.bfloat16):
        lowered, same = linear_logp(hidden, weight, target, bias=bias)
    assert torch.equal(plain, lowered) and torch.equal(entropy, same)


def test_fp64_stays_fp64_under_autocast():
    hidden, weight, bias, target = (
        x.double() if x.is_floating_point() else x for x in case(torch.float32, torch.float32)
    )
    with torch.autocast("cpu", torch.bfloat16):
        logp, _ = linear_logp(hidden, weight, target, bias=bias)
    want = (hidden @ weight.T + bias).log_softmax(-1).gather(1, target[:, None])[:, 0]
    torch.testing.assert_close(logp, want, rtol=0, atol=1e-12)


def test_linear_grpo_under_autocast():
    hidden, weight, _, target = case(torch.float32, torch.float32)
    rewards, offsets = torch.tensor([1.0, 0, 0, 1]), torch.arange(0, N + 1, 6)
    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = linear_grpo(hidden, weight, target, rewards, 2, offsets)
    lowered = hidden.detach().bfloat16().requires_grad_()
    want, _ = linear_grpo(lowered, weight.detach().bfloat16(), target, rewards, 2, offsets)
    assert torch.equal(loss, want)
    loss.backward()
    want.backward()
    assert (hidden.grad - lowered.grad).norm() <= 6e-3 * lowered.grad.norm()


def test_two_dtypes_without_autocast_are_refused():
    hidden, weight, _, target = case(torch.bfloat16, torch.float32)
    with pytest.raises(TypeError, match="weight must be torch.bfloat16 like hidden; got torch.float32"):
        linear_logp(hidden, weight, target)


def test_it_compiles_under_autocast():
    hidden, weight, bias, target = case(torch.bfloat16, torch.float32)

    def score(hidden, weight):
        return linear_logp(hidden, weight, target, bias=bias)[0]

    with torch.autocast("cpu", torch.bfloat16):
        compiled = torch.compile(score, fullgraph=True, backend="eager")(hidden, weight)
        assert torch.equal(compiled, score(hidden, weight))


def test_tensors_without_values_have_shapes():
    """A device that knows no autocast."""
    hidden, weight, _, target = (x.to("meta") for x in case(torch.float32, torch.float32))
    logp, entropy = linear_logp(hidden, weight, target)
    assert logp.shape == entropy.shape == (N,) and logp.device.type == "meta"


@pytest.fixture
def mesh():
    """A mesh of one process."""
    from torch.distributed.device_mesh import init_device_mesh

    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    torch.distributed.destroy_process_group()


def test_a_sharded_head(mesh):
    """Gathered where it is frozen; where it trains one sentence says what to do."""
    from torch.distributed.tensor import Shard, distribute_tensor

    hidden, weight, bias, target = case(torch.float32, torch.float32)
    want, _ = linear_logp(hidden, weight.detach(), target, bias=bias.detach())
    shard = lambda x: distribute_tensor(x, mesh, [Shard(0)])
    got, _ = linear_logp(hidden, shard(weight.detach()), target, bias=shard(bias.detach()))
    assert torch.equal(got, want) and type(got) is torch.Tensor
    sharded = torch.nn.Parameter(shard(weight.detach()))
    with pytest.raises(ValueError, match=r"weight must be a plain tensor where it trains .*FSDP.*; got a DTensor"):
        linear_logp(hidden, sharded, target)
    with torch.no_grad():
        assert torch.equal(linear_logp(hidden, sharded, target, bias=bias)[0], want)
    with pytest.raises(ValueError, match="hidden must be a plain tensor, this process's rows; got a DTensor"):
        linear_logp(shard(hidden.detach()), weight, target)


@pytest.mark.parametrize("name", ("trl", "verl"))
def test_an_adapter_without_its_package_says_so(name):
    if importlib.util.find_spec(name) is not None:
        pytest.skip(f"{name} is installed here")
    with pytest.raises(
        ImportError, match=rf"^nsrl_kernels.adapters.{name} needs {name}, which is not installed: pip install"
    ):
        importlib.import_module(f"nsrl_kernels.adapters.{name}")


def test_ligers_class_needs_no_liger_and_refuses_in_its_words():
    loss = LigerFusedLinearGRPOLoss(
        beta=0.0, use_ref_model=False, loss_type="cispo", importance_sampling_level="sequence"
    )
    rng = torch.Generator().manual_seed(0)
    states, head = torch.randn(2, 5, H, generator=rng).requires_grad_(), torch.randn(V, H, generator=rng)
    ids, mask = torch.randint(0, V, (2, 5), generator=rng), torch.ones(2, 5)
    mask[1, 3:] = 0
    adv = torch.tensor([1.0, -0.5])
    with pytest.raises(ValueError, match="Sequence-level importance sampling is not supported for loss_type='cispo'"):
        loss(states, head, ids, mask, adv)
    with pytest.raises(ValueError, match="delta must be positive, got -1"):
        LigerFusedLinearGRPOLoss(delta=-1.0)
    got, (share,) = LigerFusedLinearGRPOLoss(beta=0.0, use_ref_model=False)(states, head, ids, mask, adv)
    got.backward()
    logp = (states.detach().double() @ head.double().T).log_softmax(-1).gather(-1, ids[..., None])[..., 0]
    # on-policy: the ratio is 1, its gradient the log-prob's
    assert got.item() == pytest.approx(-float((adv[:, None] * mask).sum() / mask.sum())) and share == 0
    x = states.detach().double().requires_grad_()
    again = (x @ head.double().T).log_softmax(-1).gather(-1, ids[..., None])[..., 0]
    (-(adv[:, None] * mask * (again - logp).exp()).sum() / mask.sum()).backward()
    assert (states.grad - x.grad).norm() <= 1e-5 * x.grad.norm()
    assert not states.grad[1, 3:].any()
