"""The packing ops: their definition against transformers' own path, Triton against the definition, op contracts.

Without a GPU the Triton kernels run under the interpreter (conftest.py), on one they run natively.
"""

import os
import subprocess
import sys

import pytest
import torch
from pack_streams import IMAGE, STREAMS
from torch._subclasses.fake_tensor import FakeTensorMode

from nsrl_kernels import deepstack_add, gather_kv, pack_embed, pack_vision
from nsrl_kernels.ops.pack_vision import reference
from nsrl_kernels.ops.pack_vision.spec import Numbers, Stream

BACKENDS = ["torch", "triton"]


def plan_of(case, device="cpu", backend="torch"):
    return pack_vision(*(x.to(device) for x in case["args"]), **case["kwargs"], backend=backend)


@pytest.fixture(params=BACKENDS)
def backend(request):
    if request.param == "triton":
        pytest.importorskip("triton")
    return request.param


@pytest.mark.parametrize("name", STREAMS)
def test_triton_plan_equals_the_definition(name, device):
    pytest.importorskip("triton")
    want = plan_of(STREAMS[name], device)
    got = plan_of(STREAMS[name], device, "triton")
    for field, a, b in zip(want._fields, got, want):
        assert torch.equal(a, b), field


@pytest.mark.parametrize("name", STREAMS)
def test_positions_are_those_of_get_rope_index(name):
    """transformers computes them per row, in Python, per image: every prompt with each of its completions."""
    case = STREAMS[name]
    ids, cu, parent, cu_images, grid, _ = (x.long() for x in case["args"])
    positions = plan_of(case).positions
    qwen3 = pytest.importorskip("transformers.models.qwen3_vl.modeling_qwen3_vl")
    fake = type("M", (), {"config": type("C", (), {"vision_config": type("V", (), {"spatial_merge_size": 2})})})()
    fake.get_vision_position_ids = qwen3.Qwen3VLModel.get_vision_position_ids.__get__(fake)
    for s in range(len(parent)):
        p = parent[s]
        prompt, own = ids[cu[p] : cu[p + 1]], ids[cu[s] : cu[s + 1]]
        row = prompt if p == s else torch.cat([prompt, own])
        kinds = (row == IMAGE).int()
        kinds[len(prompt) :] = 0
        # transformers takes touching images for one: give each of its own kind of neighbour
        images = grid[cu_images[p] : cu_images[p + 1]]
        if _touching(kinds, images):
            continue
        want, _ = qwen3.Qwen3VLModel.get_rope_index(
            fake, row[None], kinds[None], image_grid_thw=images if len(images) else None
        )
        got = positions[:, cu[s] : cu[s + 1]]
        assert torch.equal(got.long(), want[:, 0, -len(own) :] if len(own) else want[:, 0, :0]), s


def _touching(kinds, images) -> bool:
    runs = int(((kinds[1:] == 1) & (kinds[:-1] == 0)).sum()) + int(kinds[0])
    return runs != len(images)


def test_some_streams_have_images_that_do_not_touch():
    """The test above would pass by skipping every row."""
    checked = 0
    for case in STREAMS.values():
        ids, cu, parent, cu_images, grid, _ = (x.long() for x in case["args"])
        for s in range(len(parent)):
            images = grid[cu_images[s] : cu_images[s + 1]]
            checked += len(images) > 0 and not _touching((ids[cu[s] : cu[s + 1]] == IMAGE).int(), images)
    assert checked >= 5


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("width", [48, 2048])
def test_embed_is_transformers_masked_scatter(backend, device, dtype, width):
    case = STREAMS["one image each"]
    plan = plan_of(case, device)
    table = torch.randn(512, width, device=device).to(dtype)
    visual = torch.randn(case["visual_rows"], width, device=device).to(dtype)
    ids = case["args"][0].to(device)
    embeds = torch.nn.functional.embedding(ids, table)
    mask = (plan.row_map < 0)[:, None].expand_as(embeds)
    want = embeds.masked_scatter(mask, visual[plan.visual_src])
    assert torch.equal(pack_embed(table, visual, plan, backend=backend), want)
    hidden = torch.randn_like(want)
    expected = hidden.clone()
    expected[mask[:, 0]] += visual[plan.visual_src]
    got = deepstack_add(hidden, visual, plan, backend=backend)
    assert got.data_ptr() == hidden.data_ptr()
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("trains", ["both", "table", "visual", "none"])
def test_gradients_go_only_where_they_are_wanted(backend, device, trains):
    case = STREAMS["several, shared"]
    plan = plan_of(case, device)
    table = torch.randn(512, 20, device=device, requires_grad=trains in ("both", "table"))
    visual = torch.randn(case["visual_rows"], 20, device=device, requires_grad=trains in ("both", "visual"))
    weight = torch.randn(plan.row_map.numel(), 20, device=device)
    out = pack_embed(table, visual, plan, backend=backend)
    assert out.requires_grad == (trains != "none")
    if trains == "none":
        return
    (out * weight).sum().backward()
    for source, mine, index in (
        (table, plan.row_map >= 0, plan.row_map),
        (visual, plan.row_map < 0, -1 - plan.row_map),
    ):
        if not source.requires_grad:
            assert source.grad is None
            continue
        want = torch.zeros_like(source).index_add_(0, index[mine].long(), weight[mine])
        torch.testing.assert_close(source.grad, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", STREAMS)
def test_prompt_gradients_are_summed_over_the_completions(backend, device, name):
    plan = plan_of(STREAMS[name], device)
    x = torch.randn(plan.row_map.numel(), 2, 24, device=device, requires_grad=True)
    weight = torch.randn(plan.kv_index.numel(), 2, 24, device=device)
    out = gather_kv(x, plan, backend=backend)
    assert torch.equal(out, x[plan.kv_index.long()])
    (got,) = torch.autograd.grad(out, x, weight)
    want = torch.zeros_like(x).double().index_add_(0, plan.kv_index.long(), weight.double())
    assert (got - want).abs().max() <= 2e-5
    (again,) = torch.autograd.grad(gather_kv(x, plan, backend=backend), x, weight)
    assert torch.equal(got, again)


def test_prompt_gradients_in_16_bits_are_summed_in_fp32(backend, device):
    """Ten completions' gradients of 1 on a prompt's 256: added one by one in bf16 they would vanish."""
    case = STREAMS["one image each"]
    plan = plan_of(case, device)
    x = torch.zeros(plan.row_map.numel(), 8, dtype=torch.bfloat16, device=device, requires_grad=True)
    weight = torch.ones(plan.kv_index.numel(), 8, dtype=torch.bfloat16, device=device)
    length = int(case["args"][1][1])
    weight[:length] = 256.0  # the first prompt's own keys
    (grad,) = torch.autograd.grad(gather_kv(x, plan, backend=backend), x, weight)
    assert (grad[:length] == torch.tensor(266.0).bfloat16().to(device)).all()


def test_shared_images_sum_their_gradients_in_fp32(device):
    """Ten uses of one bf16 row: 1 + 2⁻⁸ · k would be lost by adding in bf16."""
    index = torch.zeros(300, dtype=torch.int32, device=device)
    grad = torch.full((300, 4), 1.0, dtype=torch.bfloat16, device=device)
    grad[0] = 0.5
    got = reference.scatter_add(grad, index, 1)
    assert got.dtype == torch.bfloat16 and (got == torch.tensor(299.5).bfloat16().to(device)).all()


def test_gradcheck(device):
    case = STREAMS["one image each"]
    plan = plan_of(case, device)
    kwargs = dict(dtype=torch.float64, device=device, requires_grad=True)
    table, visual = torch.randn(501, 2, **kwargs), torch.randn(case["visual_rows"], 2, **kwargs)
    used = plan.row_map.unique()
    picked = table[used[used >= 0].long()].detach().requires_grad_()  # a table of the used rows alone: fewer inputs
    number = torch.full((501,), 0, dtype=torch.int32, device=device)
    number[used[used >= 0].long()] = torch.arange(len(picked), dtype=torch.int32, device=device)
    row_map = torch.where(plan.row_map >= 0, number[plan.row_map.clamp(min=0).long()], plan.row_map)[:60]
    kept = plan.visual_rows < 60
    plan = plan._replace(row_map=row_map, visual_rows=plan.visual_rows[kept], visual_src=plan.visual_src[kept])
    assert torch.autograd.gradcheck(lambda t, v: pack_embed(t, v, plan), (picked, visual), fast_mode=True)

    rows, src = torch.tensor([1, 3, 4], device=device).int(), torch.tensor([0, 1, 0], device=device).int()
    plan = plan._replace(visual_rows=rows, visual_src=src)
    hidden, feature = torch.randn(6, 3, **kwargs), torch.randn(2, 3, **kwargs)
    assert torch.autograd.gradcheck(lambda h, f: deepstack_add(h * 1.5, f, plan), (hidden, feature))


def test_opcheck_of_every_custom_op(backend, device):
    """Schema, fake, autograd registration and dispatch, as torch.library checks them."""
    case = STREAMS["one image each"]
    args = tuple(x.to(device) for x in case["args"])
    k = case["kwargs"]
    plan = plan_of(case, device)
    ops = torch.ops.nsrl
    numbers = (k["image_token_id"], k["merge"], k["total_visual"], k["total_kv"])
    torch.library.opcheck(ops.pack_plan, (*args, *numbers, backend))
    table = torch.randn(512, 16, device=device, requires_grad=True)
    visual = torch.randn(case["visual_rows"], 16, device=device, requires_grad=True)
    maps = plan.row_map, plan.visual_rows, plan.visual_src
    torch.library.opcheck(ops.pack_gather, (table, visual, *maps, backend))
    grad = torch.randn(plan.row_map.numel(), 16, device=device)
    torch.library.opcheck(ops.pack_scatter_add, (grad, plan.row_map, 512))
    bounds = plan.kv_index, plan.cu_seqlens_q, plan.cu_seqlens_k, plan.parent
    torch.library.opcheck(ops.kv_gather, (grad.clone().requires_grad_(), *bounds, backend))
    keys = torch.randn(plan.kv_index.numel(), 16, device=device)
    torch.library.opcheck(ops.kv_gather_backward, (keys, *bounds, plan.row_map.numel(), backend))
    torch.library.opcheck(
        ops.deepstack_add_, (grad.clone(), visual.detach(), plan.visual_rows, plan.visual_src, backend)
    )


def test_compiles_without_graph_breaks(device):
    case = STREAMS["one image each"]
    args = tuple(x.to(device) for x in case["args"])
    table = torch.randn(512, 16, device=device, requires_grad=True)
    visual = torch.randn(case["visual_rows"], 16, device=device, requires_grad=True)

    def step(table, visual):
        plan = pack_vision(*args, **case["kwargs"], backend="torch")
        x = pack_embed(table, visual, plan, backend="torch") * 2
        return deepstack_add(x, visual, plan, backend="torch"), plan.positions

    want, positions = step(table, visual)
    got, again = torch.compile(step, fullgraph=True, backend="aot_eager")(table, visual)
    assert torch.equal(got, want) and torch.equal(positions, again)
    a = torch.autograd.grad(want.square().sum(), (table, visual))
    b = torch.autograd.grad(got.square().sum(), (table, visual))
    for x, y in zip(a, b):
        torch.testing.assert_close(x, y)


def test_nothing_waits_for_the_device():
    """Fake tensors have no values: anything that reads one on the host raises."""
    case = STREAMS["several, shared"]
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        args = [mode.from_tensor(x) for x in case["args"]]
        outputs = reference.plan(Stream(*args), Numbers(**case["kwargs"], backend="torch"))
        assert outputs[0].shape == args[0].shape
        table, visual = torch.randn(512, 8), torch.randn(case["visual_rows"], 8)
        out = reference.gather(table, visual, outputs[0], outputs[4], outputs[5])
        reference.scatter_add(out, outputs[0], 512)
        reference.deepstack_add(out, visual, outputs[4], outputs[5])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("backend", ["torch", "triton", "cuda"])
def test_nothing_waits_for_a_real_device(backend):
    from nsrl_kernels import _native

    if backend == "cuda" and _native.why_not() is not None:
        pytest.skip(_native.why_not())
    for case in STREAMS.values():
        want = plan_of(case)
        args = [x.cuda() for x in case["args"]]
        table, visual = torch.randn(512, 2048).cuda(), torch.randn(max(1, case["visual_rows"]), 2048).cuda()
        pack_vision(*args, **case["kwargs"], backend=backend)  # warm-up: compilation may wait
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
        try:
            plan = pack_vision(*args, **case["kwargs"], backend=backend)
            out = pack_embed(table, visual, plan, backend=backend)
            deepstack_add(out, visual, plan, backend=backend)
            keys = torch.randn(len(args[0]), 8, 128, device="cuda").requires_grad_()
            gathered = gather_kv(keys, plan, backend=backend)
            (grad,) = torch.autograd.grad(gathered, keys, torch.ones_like(gathered))
        finally:
            torch.cuda.set_sync_debug_mode("default")
        for field, a, b in zip(want._fields, plan, want):
            assert torch.equal(a.cpu(), b), field
        expected = pack_embed(table.cpu(), visual.cpu(), want, backend="torch")
        assert torch.equal(pack_embed(table, visual, plan, backend=backend).cpu(), expected)
        copies = torch.bincount(want.kv_index.long(), minlength=len(keys)).float()
        assert torch.equal(grad.cpu(), copies[:, None, None].expand_as(grad)) and torch.equal(
            gathered, keys[plan.kv_index]
        )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({0: lambda x: x.long()}, "token_ids must be int32"),
        ({1: lambda x: x[:-1]}, "cu_seqlens must be int32 of shape"),
        ({4: lambda x: x[:, :2]}, "image_grid must be int32 of shape"),
        ({5: lambda x: x.to("meta")}, "image_key must be on cpu"),
    ],
)
def test_bad_arguments_are_named(change, words):
    case = STREAMS["one image each"]
    args = [change.get(i, lambda x: x)(x) for i, x in enumerate(case["args"])]
    with pytest.raises(ValueError, match=words):
        pack_vision(*args, **case["kwargs"])


def test_bad_widths_and_backends_are_named():
    case = STREAMS["one image each"]
    plan = plan_of(case)
    with pytest.raises(ValueError, match="merge must be at least 1"):
        pack_vision(*case["args"], **{**case["kwargs"], "merge": 0})
    with pytest.raises(ValueError, match=r"visual must be \(rows, 8\) like table; got \(3, 7\)"):
        pack_embed(torch.zeros(512, 8), torch.zeros(3, 7), plan)
    with pytest.raises(ValueError, match=r"feature must be \(rows, 8\) like hidden; got \(3, 7\)"):
        deepstack_add(torch.zeros(512, 8), torch.zeros(3, 7), plan)
    with pytest.raises(ValueError, match=r"x must have .* rows like the stream; got"):
        gather_kv(torch.zeros(2, 8), plan)
    with pytest.raises(ValueError, match="backend"):
        pack_embed(torch.zeros(512, 8), torch.zeros(case["visual_rows"], 8), plan, backend="fastest")


COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from nsrl_kernels.ops.pack_vision import kernel

def compile(fn, signature, constants, pointers):
    names = fn.arg_names
    attrs = {(names.index(p),): [["tt.divisibility", 16]] for p in pointers}
    source = ASTSource(fn, {n: constants.get(n) and "constexpr" or signature[n] for n in names}, {(names.index(n),): v for n, v in constants.items()}, attrs)
    return triton.compile(source, target=GPUTarget("cuda", 90, 32))

i32 = "*i32"
k = compile(kernel.gather_kernel, dict(table="*bf16", visual="*bf16", row_map=i32, out="*bf16", T="i32"), dict(H=2048, ROWS=4, BLOCK=1024), ["table", "visual", "out"])
assert "ld.global.v4.b32" in k.asm["ptx"] and "st.global.v4.b32" in k.asm["ptx"], k.asm["ptx"]
k = compile(kernel.deepstack_add_kernel, dict(hidden="*bf16", feature="*bf16", rows=i32, src=i32, n="i32"), dict(H=2048, ROWS=4, BLOCK=1024), ["hidden", "feature"])
assert "ld.global.v4.b32" in k.asm["ptx"]
k = compile(kernel.kv_gather_backward_kernel, dict(grad="*bf16", cu_q=i32, cu_k=i32, parent=i32, out="*bf16", T="i32", S="i32", STEPS="i32"), dict(H=1024, ROWS=4, BLOCK=1024), ["grad", "out"])
assert "ld.global.v4.b32" in k.asm["ptx"] and "st.global.v4.b32" in k.asm["ptx"]
compile(kernel.first_use_kernel, dict(image_key=i32, first=i32, I="i32"), dict(BLOCK=256), [])
names = {n: i32 for n in kernel.plan_kernel.arg_names[:14]} | {n: "i32" for n in ("T", "S", "I", "total_visual")}
compile(kernel.plan_kernel, names, dict(image_token_id=151655, merge=2, BLOCK=256), [])
print("compiled")
"""


@pytest.mark.compiles
def test_triton_kernels_compile_for_sm_90_with_16_byte_accesses():
    """In a process of its own: here the kernels are the interpreter's."""
    pytest.importorskip("triton")
    env = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"} | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", COMPILE], env=env, capture_output=True, text=True)
    assert done.stdout.strip() == "compiled", done.stderr[-3000:]
