"""The CUDA kernels of csrc/, run on this CPU by the emulator, against the definitions in plain torch."""

import math

import pytest
import torch
from native_build import emulated
from pack_streams import STREAMS, stream

from nsrl_kernels import _native, deepstack_add, gather_kv, pack_embed, pack_vision
from nsrl_kernels.ops.group_advantage import reference as advantage_reference

pytestmark = pytest.mark.compiles


@pytest.fixture(scope="session")  # a second library would register its ops twice
def native(tmp_path_factory):
    torch.ops.load_library(str(emulated(tmp_path_factory.mktemp("emulated"))))
    return torch.ops.nsrl_emulated


@pytest.fixture
def cuda_backend(native, monkeypatch):
    """backend="cuda" on CPU tensors: the emulated kernels behind the real ops."""
    monkeypatch.setattr(_native, "available", lambda device_type: True)
    monkeypatch.setattr(_native, "op", lambda name: getattr(native, f"{name}_cuda"))


@pytest.mark.parametrize("name", STREAMS)
def test_plan_equals_the_definition(cuda_backend, name):
    case = STREAMS[name]
    want = pack_vision(*case["args"], **case["kwargs"], backend="torch")
    got = pack_vision(*case["args"], **case["kwargs"], backend="cuda")
    for field, a, b in zip(want._fields, got, want):
        assert torch.equal(a, b), field


def test_more_images_and_sequences_than_threads(cuda_backend):
    case = stream(4, 1100, 1, 3, (1,), keys=40)
    want = pack_vision(*case["args"], **case["kwargs"], backend="torch")
    got = pack_vision(*case["args"], **case["kwargs"], backend="cuda")
    for field, a, b in zip(want._fields, got, want):
        assert torch.equal(a, b), field


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("width", [2048, 96, 20, 7])
def test_gather_and_deepstack_equal_the_definition(cuda_backend, dtype, width):
    """Widths on the 16-byte path (with and without a remainder) and off it."""
    case = STREAMS["several, shared"]
    plan = pack_vision(*case["args"], **case["kwargs"], backend="torch")
    g = torch.Generator().manual_seed(0)
    table = torch.randn(512, width, generator=g).to(dtype)
    visual = torch.randn(case["visual_rows"], width, generator=g).to(dtype)
    want = pack_embed(table, visual, plan, backend="torch")
    assert torch.equal(pack_embed(table, visual, plan, backend="cuda"), want)
    unaligned = torch.randn(table.numel() + 1, generator=g).to(dtype)[1:].view_as(table)
    again = pack_embed(unaligned, visual, plan, backend="cuda")
    assert torch.equal(again, pack_embed(unaligned, visual, plan, backend="torch"))
    added = deepstack_add(want.clone(), visual, plan, backend="cuda")
    assert torch.equal(added, deepstack_add(want.clone(), visual, plan, backend="torch"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(2, 64), (1, 7)])
@pytest.mark.parametrize("name", STREAMS)
def test_keys_and_their_gradient_equal_the_definition(cuda_backend, name, shape, dtype):
    case = STREAMS[name]
    plan = pack_vision(*case["args"], **case["kwargs"], backend="torch")
    g = torch.Generator().manual_seed(0)
    x = torch.randn(plan.row_map.numel(), *shape, generator=g).to(dtype)
    weight = torch.randn(plan.kv_index.numel(), *shape, generator=g).to(dtype)
    results = []
    for backend in ("torch", "cuda"):
        leaf = x.clone().requires_grad_()
        out = gather_kv(leaf, plan, backend=backend)
        results.append((out.detach(), *torch.autograd.grad(out, leaf, weight)))
    assert torch.equal(results[0][0], results[1][0])
    torch.testing.assert_close(results[1][1], results[0][1], rtol=1e-5 if dtype == torch.float32 else 8e-3, atol=1e-5)


MODES = ("grpo", "no_std", "batch_std", "rloo", "none")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("sizes", [(10,) * 40, (1, 2, 70, 5, 33), ()])
def test_group_advantage_equals_the_definition(native, mode, sizes):
    g = torch.Generator().manual_seed(len(sizes))
    R, K, P = sum(sizes), 3, len(sizes)
    rewards = torch.randn(R, K, generator=g)
    rewards[torch.rand(R, K, generator=g) < 0.3] = math.nan
    rewards[: R // 4] = 0.5  # groups without spread
    weights = torch.tensor([1.0, 0.2, -0.5])
    cu = torch.tensor([0, *sizes], dtype=torch.int32).cumsum(0).int()
    f, i = (lambda *s: torch.full(s, 77.0)), (lambda *s: torch.full(s, 77, dtype=torch.int32))
    advantages, reward, mean, std, count = f(R), f(R), f(P), f(P), i(P)
    live, live_groups, n_live, scratch = torch.zeros(P, dtype=torch.bool), i(P), i(1), f(1)
    native.group_advantage_cuda(
        rewards, weights, cu, MODES.index(mode), 1e-4, advantages, reward, mean, std, count, live, live_groups,
        n_live, scratch
    )  # fmt: skip
    want_reward = advantage_reference.combine(rewards, weights)
    group = torch.repeat_interleave(torch.arange(P), cu.diff().long())
    want = advantage_reference.group_advantage(want_reward, group, P, mode, 1e-4, torch.ones_like(want_reward))
    torch.testing.assert_close(reward, want_reward, equal_nan=True, rtol=1e-6, atol=1e-6)
    for name, a, b in zip(("advantages", "mean", "std"), (advantages, mean, std), want):
        torch.testing.assert_close(a, b, rtol=2e-5, atol=2e-6, msg=lambda m, name=name: f"{name}: {m}")
    assert torch.equal(count, want[3].int()) and torch.equal(live, want[4])
    ids = want[4].nonzero().flatten().int()
    assert n_live.item() == len(ids) and live_groups.tolist() == ids.tolist() + [-1] * (P - len(ids))


def test_the_same_call_gives_the_same_bits(native):
    rewards = torch.randn(320, 2, generator=torch.Generator().manual_seed(5))
    cu = torch.arange(0, 321, 10, dtype=torch.int32)
    results = []
    for _ in range(2):
        out = [torch.zeros(320), torch.zeros(320), torch.zeros(32), torch.zeros(32), torch.zeros(32, dtype=torch.int32)]
        rest = [
            torch.zeros(32, dtype=torch.bool),
            torch.zeros(32, dtype=torch.int32),
            torch.zeros(1, dtype=torch.int32),
        ]
        native.group_advantage_cuda(rewards, torch.ones(2), cu, 2, 1e-4, *out, *rest, torch.zeros(1))
        results.append(out[0])
    assert torch.equal(*results)
