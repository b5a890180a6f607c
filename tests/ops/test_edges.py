"""The ops at their edges: strides, rows of the head that are alike, fp16, rows that are left out, lists, devices.

Each test is of a case that was once wrong, or right by luck, on one of the backends.
"""

import math

import pytest
import torch

from bench.cases import WAYS, exact, random_case
from nsrl_kernels import (
    deepstack_add,
    gather_kv,
    group_advantage,
    linear_grpo,
    linear_logp,
    logp_from_logits,
    pack_embed,
    pack_vision,
    policy_loss,
)

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning:triton", "ignore::RuntimeWarning:numpy")
BACKENDS = ("torch", "triton")


def _gradient(logits, target, backend, inplace=False):
    leaf = logits.clone(memory_format=torch.preserve_format).requires_grad_()
    view = leaf * 1  # strides kept
    assert view.stride() == logits.stride()
    logp, _ = logp_from_logits(view, target, backend=backend, inplace_grad=inplace)
    logp.backward(torch.arange(1.0, len(target) + 1, device=logits.device))
    return logp.detach(), leaf.grad


@pytest.mark.parametrize("inplace", (False, True))
@pytest.mark.parametrize("backend", BACKENDS)
def test_logits_of_any_strides(backend, inplace, device):
    """Transposed, every second column, and a batch without its last position."""
    base = torch.randn(33, 7, device=device)
    target = torch.randint(0, 33, (7,), device=device)
    want = _gradient(base.T.contiguous(), target, "torch")
    for got, expected in zip(_gradient(base.T, target, backend, inplace), want):
        torch.testing.assert_close(got, expected)
    wide = torch.randn(7, 66, device=device)
    leaf = wide.clone().requires_grad_()
    logp, _ = logp_from_logits((leaf * 1)[:, ::2], target, backend=backend, inplace_grad=inplace)
    logp.sum().backward()
    ours = wide[:, ::2].clone().requires_grad_()
    ours.log_softmax(-1).gather(1, target[:, None]).sum().backward()
    torch.testing.assert_close(leaf.grad[:, ::2], ours.grad)
    assert (leaf.grad[:, 1::2] == 0).all()
    batch, ids = torch.randn(2, 5, 11, device=device), torch.randint(0, 11, (2, 4), device=device)
    leaf = batch.clone().requires_grad_()
    logp, _ = logp_from_logits((leaf * 1)[:, :-1], ids, backend=backend, inplace_grad=inplace)
    logp.sum().backward()
    want = batch[:, :-1].log_softmax(-1)
    torch.testing.assert_close(logp.detach(), want.gather(2, ids[..., None])[..., 0])
    torch.testing.assert_close(leaf.grad[:, :-1], torch.nn.functional.one_hot(ids, 11) - want.exp())


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_gradient_in_place_of_rows_that_are_one_is_refused(backend, device):
    row = torch.randn(1, 9, device=device, requires_grad=True)
    target = torch.zeros(3, dtype=torch.long, device=device)
    with pytest.raises(ValueError, match=r"logits must be rows of their own with inplace_grad; got strides \(0, 1\)"):
        logp_from_logits((row * 1).expand(3, 9), target, backend=backend, inplace_grad=True)
    logp_from_logits((row * 1).expand(3, 9), target, backend=backend)[0].sum().backward()
    want = 3 * (torch.nn.functional.one_hot(target[:1], 9) - row.detach().softmax(-1))
    torch.testing.assert_close(row.grad, want)


@pytest.mark.parametrize("way", WAYS)
def test_targets_masks_and_temperatures_of_any_strides(way, device):
    hidden, weight, target = random_case(6, 16, 40, dtype=torch.float32, device=device)
    plain = dict(temperature=torch.rand(6, device=device) + 0.5, hint_logp=torch.full((6,), -3.0, device=device))
    plain |= {"row_mask": torch.tensor([True, True, False, True, True, True], device=device)}
    strided = lambda x: torch.stack([x, torch.zeros_like(x)], 1)[:, 0]
    found = []
    for view in (lambda x: x, strided):
        h, w = hidden.clone().requires_grad_(), weight.clone().requires_grad_()
        options = {name: view(x) for name, x in plain.items()}
        logp, entropy = linear_logp(h, w, view(target), entropy="grad", **options, **WAYS[way])
        (logp * torch.arange(6, device=device) + entropy).sum().backward()
        found.append((logp.detach(), entropy.detach(), h.grad, w.grad))
    assert strided(target).stride() == (2,)
    for got, want in zip(*found):
        assert torch.equal(got, want)
    if way != "triton, cuBLAS":
        logits = hidden @ weight.T
        backend = WAYS[way]["backend"]
        for got, want in zip(_gradient(logits, strided(target), backend), _gradient(logits, target, backend)):
            assert torch.equal(got, want)


def _stream(device):
    """Two prompts of an image of four patches each, and two completions of the first."""
    ints = lambda *x: torch.tensor(x, dtype=torch.int32, device=device)
    ids = ints(5, 9, 9, 9, 9, 6, 5, 9, 9, 9, 9, 1, 2, 3)
    stream = (ids, ints(0, 6, 11, 13, 14), ints(0, 1, 0, 0), ints(0, 1, 2, 2, 2), ints(1, 4, 4, 1, 4, 4).view(2, 3))
    return (*stream, ints(1, 2)), dict(image_token_id=9, merge=2, total_visual=8, total_kv=26)


@pytest.mark.parametrize("backend", BACKENDS)
def test_deepstack_adds_to_a_strided_view_and_to_nothing_beside_it(backend, device):
    stream, numbers = _stream(device)
    plan = pack_vision(*stream, **numbers, backend=backend)
    feature = torch.randn(8, 12, device=device)
    base = torch.randn(14, 3, 12, device=device)
    for of in (lambda x: x[:, 1], lambda x: x.view(14, 36)[:, ::3], lambda x: x.view(14, 36)[:, 12:24]):
        got, want = base.clone(), base.clone()
        of(want)[plan.visual_rows.long()] += feature[plan.visual_src.long()]
        deepstack_add(of(got), feature, plan, backend=backend)
        torch.testing.assert_close(got, want, rtol=0, atol=0)
    assert len(plan.visual_rows) == 8


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_stream_and_groups_of_any_strides(backend, device):
    stream, numbers = _stream(device)
    strided = lambda x: torch.stack([x, torch.full_like(x, 7)], -1)[..., 0]
    keys = torch.randn(14, 2, 4, device=device)
    found = []
    for view in (lambda x: x, strided):
        plan = pack_vision(*(view(x) for x in stream), **numbers, backend=backend)
        x = keys.clone().requires_grad_()
        out = gather_kv(x, plan, backend=backend)
        (out * torch.arange(out.numel(), device=device).view(out.shape)).sum().backward()
        offsets = view(torch.tensor([0, 3, 8], dtype=torch.int32, device=device))
        groups = group_advantage(view(torch.arange(8.0, device=device)), offsets, backend=backend)
        found.append((out.detach(), x.grad, groups.advantages))
    for got, want in zip(*found):
        assert torch.equal(got, want)


def _alike(noise, common, device, many=2, n_hidden=256):
    """16 times `many` rows of the head that differ by `noise` of their size, and hidden states that choose of them."""
    centre = torch.randn(16, n_hidden) / n_hidden**0.5
    weight = centre.repeat_interleave(many, 0) + noise * torch.randn(16 * many, n_hidden) / n_hidden**0.5
    weight = (weight + common * torch.randn(n_hidden) / n_hidden**0.5).to(device, torch.bfloat16)
    return (16 * centre).to(device, torch.bfloat16), weight, torch.arange(0, 16 * many, many, device=device)


@pytest.mark.parametrize("mode", ("jacobian", "recompute"))
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("noise,common,many", [(0.3, 0, 2), (0.1, 0, 2), (0.03, 0, 2), (1.0, 30, 2), (0.1, 0, 5)])
def test_rows_of_the_head_that_are_alike(noise, common, many, way, mode, device):
    """What the 16 bits of exp lose is lost for the target's row too, so that the difference of two alike is right."""
    hidden, weight, target = _alike(noise, common, device, many)
    leaf = hidden.clone().requires_grad_()
    linear_logp(leaf, weight, target, mode=mode, **WAYS[way])[0].sum().backward()
    want = exact(hidden, weight, target)[2]
    error = (leaf.grad.cpu().double() - want).norm(dim=1) / want.norm(dim=1)
    assert float(error.max()) <= 4e-3, f"{float(error.max()):.1e}"


@pytest.mark.parametrize("way", ("triton", "triton, cuBLAS"))
def test_rows_that_are_alike_under_a_softcap(way, device):
    hidden, weight, target = _alike(0.1, 0, device)
    grads = []
    for cast, options in ((torch.bfloat16, WAYS[way]), (torch.float64, WAYS["torch"])):
        leaf = hidden.detach().to(cast, copy=True).requires_grad_()
        linear_logp(leaf, weight.to(cast), target, softcap=30.0, **options)[0].sum().backward()
        grads.append(leaf.grad.double())
    assert float(((grads[0] - grads[1]).norm(dim=1) / grads[1].norm(dim=1)).max()) <= 5e-3


@pytest.mark.parametrize("way", WAYS)
def test_a_likely_token_has_a_gradient_in_fp16(way, device):
    """1 - p down to 1e-9: ∂logp/∂h itself is below fp16's least number, a loss scale brings it back."""
    weight = torch.randn(64, 64) / 8
    target = torch.arange(12)
    hidden = (weight[target] * torch.linspace(8, 30, 12)[:, None]).half().to(device)
    weight, target = weight.half().to(device), target.to(device)
    logp, _, jacobian, _ = exact(hidden, weight, target)
    rest = -torch.expm1(logp)
    assert rest.min() < 1e-8 and rest.max() > 1e-3
    leaf = hidden.clone().requires_grad_()
    linear_logp(leaf, weight, target, **WAYS[way])[0].backward((1 / rest).float().to(device))
    want = jacobian / rest[:, None]
    error = (leaf.grad.cpu().double() - want).norm(dim=1) / want.norm(dim=1)
    assert float(error.max()) <= 5e-3, error.tolist()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("entropy", ("metric", "grad"))
def test_a_row_that_is_left_out_by_its_target_may_hold_anything(way, entropy, device):
    hidden, weight, target = random_case(6, 16, 50, dtype=torch.float32, device=device)
    target[[1, 4]] = -100
    found = []
    for poison in (0.0, math.nan, math.inf):
        h = hidden.clone()
        h[[1, 4]] = poison
        h, w = h.requires_grad_(), weight.clone().requires_grad_()
        b = torch.zeros(50, device=device, requires_grad=True)
        logp, ent = linear_logp(h, w, target, bias=b, entropy=entropy, **WAYS[way])
        (logp.sum() + (ent.sum() if entropy == "grad" else 0)).backward()
        found.append((logp.detach(), ent.detach(), h.grad, w.grad, b.grad))
    for clean, *poisoned in zip(*found):
        for got in poisoned:
            assert torch.equal(got, clean)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("entropy", ("metric", "grad"))
@pytest.mark.parametrize("mode", ("jacobian", "recompute"))
def test_no_rows_at_all(way, entropy, mode, device):
    h = torch.zeros(0, 16, device=device, requires_grad=True)
    w, b = torch.randn(33, 16, device=device, requires_grad=True), torch.zeros(33, device=device, requires_grad=True)
    none = torch.zeros(0, dtype=torch.long, device=device)
    for masks in ({}, {"row_mask": none.bool(), "grad_rows": none.bool()}):
        logp, ent = linear_logp(h, w, none, bias=b, entropy=entropy, mode=mode, **masks, **WAYS[way])
        (logp.sum() + ent.sum()).backward()
        assert logp.shape == ent.shape == (0,) and h.grad.shape == (0, 16)
        assert (w.grad == 0).all() and (b.grad == 0).all()
    linear_logp(h, w.detach(), none, mode=mode, **WAYS[way])[0].sum().backward()


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_only_watched_may_be_infinite(backend, device):
    """A KL whose weight is 0, -logp whose weight is 0, an entropy that is a metric."""
    logp = torch.tensor([-1.0, -90.0, -2.0], device=device, requires_grad=True)
    ref = torch.tensor([-1.5, -0.1, -2.0], device=device)
    offsets = torch.tensor([0, 2, 3], device=device)
    advantages, ent = torch.tensor([1.0, -1.0], device=device), torch.tensor([math.inf, 1.0, 0.5], device=device)
    options = dict(cu_seqlens=offsets, loss_type="reinforce", backend=backend)
    want, _ = policy_loss(logp, advantages, **options)
    (clean,) = torch.autograd.grad(want, logp)
    loss, metrics = policy_loss(logp, advantages, ref_logp=ref, entropy=ent, **options)
    (grad,) = torch.autograd.grad(loss, logp)
    assert torch.equal(loss, want) and torch.equal(grad, clean)
    by_name = dict(zip(policy_loss_names(), metrics.tolist()))
    assert by_name["kl"] > 1e30 and by_name["entropy"] == math.inf
    banned = torch.tensor([-1.0, -math.inf, -2.0], device=device, requires_grad=True)
    loss, _ = policy_loss(banned, advantages, mask=torch.tensor([True, False, True], device=device), **options)
    assert loss.isfinite()


def policy_loss_names():
    from nsrl_kernels import METRIC_NAMES

    return METRIC_NAMES


def test_lists_are_named():
    hidden, weight, target = random_case(4, 8, 11, dtype=torch.float32)
    ones = torch.ones(4)
    for call, words in (
        (lambda: linear_logp(hidden.tolist(), weight, target), "linear_logp: hidden must be a tensor; got the list"),
        (lambda: linear_logp(hidden, weight, [1, 2, 3, 4]), r"target must be a tensor; got the list \[1, 2, 3, 4\]"),
        (lambda: linear_logp(hidden, weight, target, banned=[3]), r"banned must be a tensor; got the list \[3\]"),
        (lambda: linear_logp(hidden, weight, target, row_mask=[True] * 4), "row_mask must be a tensor; got the list"),
        (lambda: linear_logp(hidden, weight, target, bias=(0.0,) * 11), "bias must be a tensor; got the tuple"),
        (lambda: linear_logp(hidden, weight, target, temperature=[1.0] * 4), "temperature must be a number or"),
        (lambda: logp_from_logits(hidden.tolist(), target), "logp_from_logits: logits must be a tensor"),
        (lambda: logp_from_logits(hidden, [0, 1, 2, 3]), "logp_from_logits: target must be a tensor"),
        (lambda: policy_loss([-1.0], ones), "policy_loss: logp must be a tensor; got the list"),
        (lambda: policy_loss(ones, [1.0], cu_seqlens=[0, 4]), "advantages must be a tensor; got the list"),
        (lambda: policy_loss(ones, ones[:1], cu_seqlens=[0, 4]), r"cu_seqlens must be a tensor; got the list \[0, 4\]"),
        (lambda: policy_loss(ones, ones, extra_kl=(([0.0], 1.0),)), "extra_kl must be a tensor; got the list"),
        (lambda: group_advantage([1.0, 0.0], 2), "group_advantage: rewards must be a tensor; got the list"),
        (lambda: group_advantage(ones, [0, 4]), r"groups must be a tensor; got the list \[0, 4\]"),
        (lambda: linear_grpo(hidden, weight, target, [1.0], 1, target), "linear_grpo: rewards must be a tensor"),
        (lambda: pack_vision([1], *_stream("cpu")[0][1:], **_stream("cpu")[1]), "token_ids must be a tensor"),
    ):  # fmt: skip
        with pytest.raises(TypeError, match=words):
            call()


def test_every_kernel_is_launched_on_the_device_of_its_tensors(monkeypatch, device):
    pytest.importorskip("triton")
    from triton.runtime.jit import JITFunction

    from nsrl_kernels._tl import INTERPRETED

    if INTERPRETED:
        from triton.runtime.interpreter import GridExecutor as Launcher
    else:
        Launcher = JITFunction
    name, entered, launched = "__call__" if INTERPRETED else "run", [], []
    plain, own = getattr(Launcher, name), torch.cuda.device_of

    class Device(own):
        def __init__(self, tensor):
            super().__init__(tensor)
            self.of = tensor.device

        def __enter__(self):
            entered.append(self.of)
            return super().__enter__()

        def __exit__(self, *error):
            entered.pop()
            return super().__exit__(*error)

    def launch(self, *args, **kwargs):
        launched.append(list(entered))
        return plain(self, *args, **kwargs)

    monkeypatch.setattr(torch.cuda, "device_of", Device)
    monkeypatch.setattr(Launcher, name, launch)
    hidden, weight, target = random_case(5, 16, 33, dtype=torch.float32, device=device)
    for trains in (False, True):
        h, w = hidden.clone().requires_grad_(), weight.clone().requires_grad_(trains)
        linear_logp(h, w, target, backend="triton", row_mask=target > 3)[0].sum().backward()
    logits = (hidden @ weight.T).requires_grad_()
    logp, _ = logp_from_logits(logits, target, backend="triton")
    offsets = torch.tensor([0, 2, 5], device=device)
    policy_loss(logp, torch.ones(2, device=device), cu_seqlens=offsets, backend="triton")[0].backward()
    group_advantage(torch.rand(4, device=device), 2, backend="triton")
    stream, numbers = _stream(device)
    plan = pack_vision(*stream, **numbers, backend="triton")
    pack_embed(torch.randn(10, 8, device=device), torch.randn(8, 8, device=device), plan, backend="triton")
    deepstack_add(torch.randn(14, 8, device=device), torch.randn(8, 8, device=device), plan, backend="triton")
    keys = torch.randn(14, 2, 4, device=device, requires_grad=True)
    gather_kv(keys, plan, backend="triton").sum().backward()
    assert len(launched) > 20
    assert all(where and where[-1] == hidden.device for where in launched)
