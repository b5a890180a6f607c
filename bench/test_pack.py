"""Packing against transformers' own path (get_rope_index, masked_scatter, DeepStack by mask) and torch index ops.

    python -m pytest bench/test_pack.py --benchmark-only          # small shapes on a CPU, the 2B case on a GPU

Every rival's result is compared before it is timed. Beside the times each row records the bytes that have to move, the
rate, how many kernels were launched (operator calls on a CPU) and how often the host waited for the device.
"""

import warnings
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from nsrl.models.pack import Group, pack
from nsrl.models.prompt import Prompt, PromptImage
from nsrl_kernels import _native, deepstack_add, pack_embed, pack_vision
from nsrl_kernels.ops.pack_vision import reference
from nsrl_kernels.ops.pack_vision.spec import Numbers, Stream

IMAGE = 151_655
GPU = torch.cuda.is_available()
DEVICE = "cuda" if GPU else "cpu"
# name: (prompts, completions each, completion tokens, image grid in patches, hidden size)
SHAPES = {"2B case": (4, 10, 1024, (1, 64, 64), 2048)} if GPU else {"small": (8, 10, 24, (1, 6, 6), 96)}
VOCAB = 151_936 if GPU else 512
DTYPE = torch.bfloat16 if GPU else torch.float32
BACKENDS = ("torch", "triton", "cuda") if GPU else ("torch",)
COPY_SHARE = 0.85  # of the measured copy rate, for the gather on a GPU


@pytest.fixture(scope="module", params=SHAPES)
def case(request):
    """One packed batch on the device, its rows the way transformers takes them, and what both read."""
    prompts, G, length, grid, hidden = SHAPES[request.param]
    tokens = grid[1] * grid[2] // 4
    image_id = IMAGE if GPU else 500
    g = torch.Generator().manual_seed(0)
    draw = lambda n: torch.randint(0, 490, (n,), generator=g).tolist()
    groups = [
        Group(Prompt(draw(38) + [image_id] * tokens + draw(38), images=(PromptImage(p, grid, torch.zeros(4 * tokens,
        1)),)),
              [draw(length) for _ in range(G)])
        for p in range(prompts)
    ]  # fmt: skip
    (batch,) = pack(groups, 1 << 30, image_token_id=image_id)
    batch = batch.to(DEVICE)
    args = (batch.token_ids, batch.cu_seqlens, batch.parent, batch.cu_images, batch.image_grid, batch.image_key)
    kwargs = dict(image_token_id=image_id, merge=2, total_visual=batch.total_visual, total_kv=batch.total_kv)
    table = torch.randn(VOCAB, hidden, generator=g).to(DEVICE, DTYPE)
    visual = torch.randn(prompts * tokens, hidden, generator=g).to(DEVICE, DTYPE)
    return SimpleNamespace(batch=batch, groups=groups, args=args, kwargs=kwargs, table=table, visual=visual, G=G)


def count(f) -> dict[str, int]:
    """Launches and host waits of one call: from the profiler on a GPU, from the dispatcher on a CPU."""
    if GPU:
        from torch.profiler import ProfilerActivity, profile

        with profile(activities=[ProfilerActivity.CUDA]) as prof:
            f()
            torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("warn")
        with warnings.catch_warnings(record=True) as waits:
            warnings.simplefilter("always")
            f()
        torch.cuda.set_sync_debug_mode("default")
        kernels = sum(e.count for e in prof.key_averages() if e.device_type.name == "CUDA")
        return {"launches": kernels, "host_syncs": sum("synchroniz" in str(w.message) for w in waits)}

    class Counter(TorchDispatchMode):
        calls = waits = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            Counter.calls += 1
            # what has to know a value on the host: item, tolist, and sizes that depend on data
            Counter.waits += func.overloadpacket.__name__ in ("_local_scalar_dense", "nonzero", "masked_select")
            return func(*args, **(kwargs or {}))

    with Counter():
        f()
    return {"operator_calls": Counter.calls, "host_syncs": Counter.waits}


def run(benchmark, f, moved: int, inside=None) -> None:
    """Times f (with the device waited for), records bytes, rate, launches and waits.

    inside: on a CPU, what a custom op runs, for the dispatcher counts that as one call.
    """

    def timed():
        out = f()
        if GPU:
            torch.cuda.synchronize()
        return out

    timed()
    counted = count(f if GPU or inside is None else inside)
    benchmark.pedantic(timed, rounds=20, iterations=1, warmup_rounds=3)
    benchmark.extra_info.update(bytes=moved, **counted)
    if benchmark.stats is not None:  # with --benchmark-disable the comparison is all that was wanted
        benchmark.extra_info["gb_per_s"] = round(moved / benchmark.stats.stats.median / 1e9, 2)


def need(backend: str) -> None:
    if backend == "cuda" and (why := _native.why_not()) is not None:
        pytest.skip(why)


def rope_index(case):
    """transformers: one padded row per completion, Python per image, as its forward calls it."""
    from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLModel

    config = SimpleNamespace(vision_config=SimpleNamespace(spatial_merge_size=2))
    owner: Any = SimpleNamespace(config=config)
    owner.get_vision_position_ids = Qwen3VLModel.get_vision_position_ids.__get__(owner)
    rows = [[*g.prompt.ids, *c] for g in case.groups for c in g.completions]
    ids = torch.tensor(rows, device=DEVICE)  # all of one length here
    kinds = (ids == case.kwargs["image_token_id"]).int()
    grids = torch.tensor([g.prompt.images[0].grid for g in case.groups for _ in g.completions], device=DEVICE)
    mask = torch.ones_like(ids)
    get: Any = Qwen3VLModel.get_rope_index
    return lambda: get(owner, ids, kinds, image_grid_thw=grids, attention_mask=mask)[0]


@pytest.mark.benchmark(group="plan")
@pytest.mark.parametrize("backend", BACKENDS)
def test_plan(benchmark, case, backend):
    need(backend)
    plan = pack_vision(*case.args, **case.kwargs, backend=backend)
    moved = 4 * (case.batch.tokens + sum(x.numel() for x in plan))
    inside = lambda: reference.plan(Stream(*case.args), Numbers(**case.kwargs, backend="torch"))
    run(benchmark, lambda: pack_vision(*case.args, **case.kwargs, backend=backend), moved, inside)
    assert benchmark.extra_info["host_syncs"] == 0


@pytest.mark.benchmark(group="plan")
def test_transformers_get_rope_index(benchmark, case):
    f = rope_index(case)
    positions = pack_vision(*case.args, **case.kwargs).positions
    want = f()
    cu = case.batch.cu_seqlens.tolist()
    starts = [s for s, p in enumerate(case.batch.parent.tolist()) if s == p]
    row = 0
    for prompt, following in pairwise([*starts, len(cu) - 1]):
        width = cu[prompt + 1] - cu[prompt]
        for s in range(prompt + 1, following):
            own = slice(cu[s], cu[s + 1])
            assert torch.equal(positions[:, own].long(), want[:, row, width : width + cu[s + 1] - cu[s]])
            row += 1
    run(benchmark, f, 8 * want.numel())


@pytest.mark.benchmark(group="embed")
@pytest.mark.parametrize("backend", BACKENDS)
def test_embed(benchmark, case, backend):
    need(backend)
    plan = pack_vision(*case.args, **case.kwargs)
    moved = 2 * case.batch.tokens * case.table.shape[1] * case.table.element_size()
    inside = lambda: reference.gather(case.table, case.visual, plan.row_map, plan.visual_rows, plan.visual_src)
    embed = lambda: pack_embed(case.table, case.visual, plan, backend=backend)
    run(benchmark, embed, moved, inside)
    if GPU and backend != "torch":  # the gate of docs/packing.md: device time, sources rotated past the L2 cache
        share = moved / median_seconds(embed) / 1e9 / copy_rate()
        benchmark.extra_info["share_of_copy_rate"] = round(share, 3)
        assert share >= COPY_SHARE, share


def copy_rate() -> float:
    """GB/s of a device copy, read and write counted, by CUDA events."""
    x = torch.empty(1 << 29, dtype=torch.uint8, device="cuda")
    y = torch.empty_like(x)
    return 2 * x.numel() / median_seconds(lambda: y.copy_(x)) / 1e9


def median_seconds(f) -> float:
    import triton

    return float(triton.testing.do_bench(f, return_mode="median")) * 1e-3  # pyright: ignore


def padded_embed(case):
    """transformers: embedding, placeholder mask over [B, L, H], a gather to count, masked_scatter; G times the
    image."""
    rows = torch.tensor([[*g.prompt.ids, *c] for g in case.groups for c in g.completions], device=DEVICE)
    per_image = case.visual.view(len(case.groups), -1, case.visual.shape[1])
    features = per_image.repeat_interleave(case.G, 0).flatten(0, 1)
    image_id = case.kwargs["image_token_id"]

    def f():
        embeds = torch.nn.functional.embedding(rows, case.table)
        mask = rows == image_id
        assert int(mask.sum()) * embeds.shape[-1] == features.numel()
        return embeds.masked_scatter(mask[..., None], features)

    return f


@pytest.mark.benchmark(group="embed")
def test_transformers_masked_scatter(benchmark, case):
    f = padded_embed(case)
    plan = pack_vision(*case.args, **case.kwargs)
    got, want = pack_embed(case.table, case.visual, plan), f()
    assert torch.equal(got[: len(case.groups[0].prompt.ids)], want[0, : len(case.groups[0].prompt.ids)])
    run(benchmark, f, 2 * want.numel() * want.element_size())


@pytest.mark.benchmark(group="embed")
def test_torch_index_ops(benchmark, case):
    """The same packed stream by index_select and index_copy_."""
    plan = pack_vision(*case.args, **case.kwargs)
    ids, rows, src = case.batch.token_ids.long(), plan.visual_rows.long(), plan.visual_src.long()
    f = lambda: case.table.index_select(0, ids).index_copy_(0, rows, case.visual.index_select(0, src))
    assert torch.equal(f(), pack_embed(case.table, case.visual, plan))
    run(benchmark, f, 2 * case.batch.tokens * case.table.shape[1] * case.table.element_size())


@pytest.mark.benchmark(group="deepstack")
@pytest.mark.parametrize("backend", BACKENDS)
def test_deepstack_add(benchmark, case, backend):
    need(backend)
    plan = pack_vision(*case.args, **case.kwargs)
    hidden = pack_embed(case.table, case.visual, plan)
    moved = 3 * case.visual.numel() * case.visual.element_size()
    inside = lambda: reference.deepstack_add(hidden, case.visual, plan.visual_rows, plan.visual_src)
    run(benchmark, lambda: deepstack_add(hidden, case.visual, plan, backend=backend), moved, inside)
    assert benchmark.extra_info["host_syncs"] == 0


@pytest.mark.benchmark(group="deepstack")
def test_transformers_deepstack_process(benchmark, case):
    """A clone of the hidden states and two boolean index operations; here on the packed stream, so G times less."""
    plan = pack_vision(*case.args, **case.kwargs)
    hidden = pack_embed(case.table, case.visual, plan)
    mask = plan.row_map < 0

    def f():
        out = hidden.clone()
        out[mask, :] = out[mask, :] + case.visual
        return out

    assert torch.equal(f(), deepstack_add(hidden.clone(), case.visual, plan))
    run(benchmark, f, 2 * hidden.numel() * hidden.element_size())
