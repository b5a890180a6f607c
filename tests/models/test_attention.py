"""Every attention backend gives the same numbers and gradients; the choice is announced; an absent one is an error."""

import logging
import sys
import types

import pytest
import torch
import torch.nn.functional as F

import nsrl.models.attention as attention
from nsrl.errors import MissingBackend
from nsrl.models.attention import BACKENDS, FlexAttention, SdpaAttention, Sequences, VarlenAttention, choose_attention
from nsrl.models.pack import pack
from nsrl.models.policy import Policy
from nsrl_kernels import pack_vision
from tests.models.packing_cases import IMAGE, cases, default_run_groups, small_model

CASES = {**cases(), "many": default_run_groups(prompts=6)}


def varlen_by_hand(q, k, v, cu_q, cu_k, max_q, max_k, scale):
    """What flash-attn computes: per sequence, causal, aligned to the bottom right."""
    out = []
    for i in range(len(cu_q) - 1):
        qi, ki, vi = (x[c[i] : c[i + 1]].transpose(0, 1) for x, c in ((q, cu_q), (k, cu_k), (v, cu_k)))
        assert qi.shape[1] <= max_q and ki.shape[1] <= max_k
        late = ki.shape[1] - qi.shape[1]
        mask = torch.ones(qi.shape[1], ki.shape[1], dtype=torch.bool).tril(late)
        ki, vi = (x.repeat_interleave(q.shape[1] // k.shape[1], 0) for x in (ki, vi))
        out.append(F.scaled_dot_product_attention(qi, ki, vi, attn_mask=mask, scale=scale).transpose(0, 1))
    return torch.cat(out)


def sequences(batch):
    plan = pack_vision(
        batch.token_ids, batch.cu_seqlens, batch.parent, batch.cu_images, batch.image_grid, batch.image_key,
        image_token_id=IMAGE, merge=2, total_visual=batch.total_visual, total_kv=batch.total_kv,
    )  # fmt: skip
    return Sequences(plan, batch.layout)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("heads", [(3, 1), (4, 2), (2, 2)])
def test_backends_agree_in_value_and_gradient(case, heads):
    (batch,) = pack(CASES[case], 100_000, image_token_id=IMAGE)
    seqs, g = sequences(batch), torch.Generator().manual_seed(0)
    q, k, v = (
        torch.randn(batch.tokens, n, 32, generator=g, requires_grad=True) for n in (heads[0], heads[1], heads[1])
    )
    weight = torch.randn(batch.tokens, heads[0], 32, generator=g)
    results = []
    for backend in (VarlenAttention("by hand", varlen_by_hand), SdpaAttention()):
        out = backend(q, k, v, backend.prepare(seqs, torch.float32), 32**-0.5)
        results.append((out.detach(), *torch.autograd.grad((out * weight).sum(), (q, k, v))))
    for want, got in zip(*results):
        assert (got - want).abs().max() <= 2e-5
    flex = FlexAttention()
    q, k, v = (x.detach() for x in (q, k, v))  # torch has no backward of it on a CPU
    out = flex(q, k, v, flex.prepare(seqs, torch.float32), 32**-0.5)
    assert (out - results[0][0]).abs().max() <= 2e-5


def test_groups_of_like_lengths_are_padded_together():
    """The waste of padding for the call is bounded, and each group stands in exactly one block."""
    (batch,) = pack(CASES["mixed"], 100_000, image_token_id=IMAGE)
    blocks = attention._blocks(batch.layout)
    assert sorted(g for b in blocks for g in b) == list(range(len(batch.layout.prompts)))
    assert 1 < len(blocks) < len(batch.layout.prompts)


def test_policy_runs_on_flex_and_says_what_a_cpu_lacks():
    (batch,) = pack(CASES["one image"], 10_000, image_token_id=IMAGE)
    model = small_model()
    policy = Policy(model, attention="flex")
    with torch.no_grad():
        assert (policy.hidden(batch) - Policy(model).hidden(batch)).abs().max() <= 1e-5
    with pytest.raises(MissingBackend, match="no backward on a CPU"):
        policy.hidden(batch)


def test_policy_runs_on_a_varlen_kernel_with_the_gather_map():
    (batch,) = pack(CASES["mixed"], 10_000, image_token_id=IMAGE)
    model = small_model()
    want = Policy(model).hidden(batch)
    policy = Policy(model)
    policy.attention = VarlenAttention("by hand", varlen_by_hand)
    assert (policy.hidden(batch) - want).abs().max() <= 1e-5


def test_the_choice_is_announced_once(caplog, monkeypatch):
    monkeypatch.setattr(attention, "_said", set())
    with caplog.at_level(logging.INFO, "nsrl"):
        assert choose_attention(None, "cpu").name == "sdpa"
        choose_attention(None, "cpu")
    assert [r.message for r in caplog.records] == ["attention: sdpa on cpu"]


@pytest.mark.parametrize(
    ("name", "device", "dtype", "words"),
    [
        ("flash", "cpu", torch.float32, "must be one of flash-attn, varlen, flex, sdpa; got 'flash'"),
        ("varlen", "cpu", torch.float32, "needs a CUDA device"),
        ("flash-attn", "cpu", torch.bfloat16, "needs a CUDA device"),
        ("varlen", "cuda", torch.float32, "needs float16 or bfloat16"),
    ],
)
def test_an_impossible_backend_is_an_error(name, device, dtype, words):
    with pytest.raises(MissingBackend, match=words.replace("'", ".")):
        choose_attention(name, device, dtype)


def test_absent_flash_attn_is_an_error(monkeypatch):
    monkeypatch.setattr(attention.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingBackend, match="flash_attn is not installed"):
        choose_attention("flash-attn", "cuda", torch.bfloat16)


def test_flash_attn_is_called_bottom_right_causal(monkeypatch):
    seen = {}

    def flash_attn_varlen_func(q, k, v, cu_q, cu_k, max_q, max_k, *, softmax_scale, causal):
        seen.update(scale=softmax_scale, causal=causal)
        return q

    monkeypatch.setitem(sys.modules, "flash_attn", types.SimpleNamespace(flash_attn_varlen_func=flash_attn_varlen_func))
    monkeypatch.setattr(attention.importlib.util, "find_spec", lambda name: object())
    chosen = choose_attention(None, "cuda", torch.bfloat16)
    x = torch.zeros(2, 1, 8)
    chosen.kernel(x, x, x, None, None, 2, 2, 0.25)
    assert chosen.name == "flash-attn" and seen == {"scale": 0.25, "causal": True}


def _varlen_2_13(q, k, v, cu_q, cu_k, max_q, max_k, *, scale=None, window_size=(-1, -1), enable_gqa=False):
    assert window_size == (-1, 0) and enable_gqa
    return varlen_by_hand(q, k, v, cu_q, cu_k, max_q, max_k, scale)


def _varlen_2_10(q, k, v, cu_q, cu_k, max_q, max_k, is_causal=False):
    assert is_causal and q.shape[1] == k.shape[1]
    return varlen_by_hand(q, k, v, cu_q, cu_k, max_q, max_k, q.shape[-1] ** -0.5)


@pytest.mark.parametrize("signature", [_varlen_2_13, _varlen_2_10])
def test_torch_varlen_under_both_of_its_signatures(monkeypatch, signature):
    """torch 2.13 takes window_size and enable_gqa; older ones is_causal, equal heads and no scale."""
    module = types.SimpleNamespace(varlen_attn=signature)
    monkeypatch.setitem(sys.modules, "torch.nn.attention.varlen", module)
    (batch,) = pack(CASES["mixed"], 10_000, image_token_id=IMAGE)
    seqs, g = sequences(batch), torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(batch.tokens, n, 16, generator=g) for n in (4, 2, 2))
    want = SdpaAttention()
    got = choose_attention("varlen", "cuda", torch.bfloat16)
    out = got(q, k, v, got.prepare(seqs, torch.float32), 0.3)
    assert (out - want(q, k, v, want.prepare(seqs, torch.float32), 0.3)).abs().max() <= 1e-5


def test_the_best_backend_prefers_flash_then_varlen_then_flex(monkeypatch):
    assert (
        attention._best(torch.device("cpu"), True) == "sdpa" and attention._best(torch.device("cuda"), False) == "sdpa"
    )
    for present, best in (({"flash_attn", "varlen"}, "flash-attn"), ({"varlen"}, "varlen"), (set(), "flex")):
        monkeypatch.setattr(
            attention.importlib.util, "find_spec", lambda n, p=present: object() if n.split(".")[-1] in p else None
        )
        assert attention._best(torch.device("cuda"), True) == best and best in BACKENDS


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", BACKENDS)
def test_backends_agree_on_a_gpu(name):
    """bf16 against fp32 SDPA on the CPU, values and gradients; a backend that is not installed says so."""
    try:
        backend = choose_attention(name, "cuda", torch.bfloat16)
    except MissingBackend as missing:
        pytest.skip(str(missing))
    (batch,) = pack(CASES["mixed"], 100_000, image_token_id=IMAGE)
    g = torch.Generator().manual_seed(0)
    tensors = [torch.randn(batch.tokens, n, 64, generator=g).bfloat16() for n in (8, 4, 4)]
    weight = torch.randn(batch.tokens, 8, 64, generator=g).bfloat16()
    results = []
    for attend, device, dtype in ((SdpaAttention(), "cpu", torch.float32), (backend, "cuda", torch.bfloat16)):
        q, k, v = (x.to(device, dtype).requires_grad_() for x in tensors)
        out = attend(q, k, v, attend.prepare(sequences(batch.to(device)), dtype), 0.125)
        grads = torch.autograd.grad(out, (q, k, v), weight.to(device, dtype))
        results.append([x.detach().float().cpu() for x in (out, *grads)])
    for want, got in zip(*results):
        assert (got - want).norm() <= 1e-2 * want.norm()
