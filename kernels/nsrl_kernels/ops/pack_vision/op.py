"""`pack_vision`: the plan of a packed stream, the gather that fills it, and DeepStack's add by index.

Nothing of size [tokens, hidden] is made but the packed stream itself: no mask is expanded, no image row is repeated for
the completions that share it, no position is computed in Python. Knows nothing of models; `reference.py` is the
definition, `kernel.py` the Triton kernels, csrc/ the CUDA ones.
"""

import torch
from torch import Tensor

from ... import _backend, _check, _native, _op
from . import reference
from .spec import Numbers, PackPlan, Stream


def pack_vision(
    token_ids: Tensor, cu_seqlens: Tensor, parent: Tensor, cu_images: Tensor, image_grid: Tensor, image_key: Tensor,
    *, image_token_id: int, merge: int, total_visual: int, total_kv: int, backend: str | None = None,
) -> PackPlan:  # fmt: skip
    """Plan of a packed stream of T tokens in S sequences with I images.

    Never materialised: a mask or position per image; no host synchronisation.

    Args:
        token_ids: [T] int32; image_token_id marks the visual rows of prompts.
        cu_seqlens: [S + 1] int32 bounds of the sequences.
        parent: [S] int32, a completion's prompt sequence, or the sequence itself for a prompt.
        cu_images: [S + 1] int32, bounds of each sequence's images (a completion has none).
        image_grid: [I, 3] int32, patches in time, height, width.
        image_key: [I] int32, equal for equal images.
        merge: the tower's spatial merge size.
        total_visual, total_kv: the host's sums of visual rows and of keys (they are the lengths of outputs, so they
            cannot come from the device).
        backend: "torch", "triton", "cuda" or None for the best there is.

    Returns:
        PackPlan.

    Raises:
        ValueError: an argument's shape, dtype or device is wrong.

    Numerics: integers, the same on every backend.
    Source: positions as in transformers' `get_rope_index`: text after an image resumes at its start + max(height,
    width).
    """
    stream = Stream(token_ids, cu_seqlens, parent, cu_images, image_grid, image_key)
    _check.tensors("pack_vision", **stream._asdict())
    I, S = image_key.numel(), parent.numel()
    shapes = ((token_ids.numel(),), (S + 1,), (S,), (S + 1,), (I, 3), (I,))
    for name, x, shape in zip(Stream._fields, stream, shapes):
        if x.dtype != torch.int32 or tuple(x.shape) != shape:
            raise ValueError(f"pack_vision: {name} must be int32 of shape {shape}; got {x.dtype} {tuple(x.shape)}")
    _check.same_device("pack_vision", token_ids.device, **stream._asdict())
    if merge < 1:
        _check.fail("pack_vision", "merge", "at least 1", merge)
    numbers = Numbers(image_token_id, merge, total_visual, total_kv, _resolve("pack_vision", token_ids, backend))
    row_map, positions, cu_k, kv_index, rows, src, slot = _pack_plan(*stream, *numbers)
    return PackPlan(row_map, positions, cu_seqlens.contiguous(), cu_k, kv_index, rows, src, slot, parent.contiguous())


def pack_embed(table: Tensor, visual: Tensor | None, plan: PackPlan, *, backend: str | None = None) -> Tensor:
    """The packed embeddings, each row copied once from where the plan says.

    Never materialised: the embeddings of image tokens, or an expanded mask.

    Args:
        table: [V, H] embeddings; gets a gradient only when it needs one.
        visual: [rows, H] of the distinct images, or None for a stream without images; the same, summed over their uses.
        plan: of `pack_vision`.
        backend: "torch", "triton", "cuda" or None for the best there is.

    Returns:
        [T, H] in table's dtype.

    Raises:
        ValueError: visual does not fit table.

    Numerics: the value is a copy; gradients are summed in fp32 (fp64) and rounded once.
    """
    if visual is None:
        visual = table.new_empty(0, table.shape[1])
    _rows_like("pack_embed", "visual", visual, "table", table)
    maps = plan.row_map, plan.visual_rows, plan.visual_src
    return _pack_gather(table, visual.to(table.dtype), *maps, _resolve("pack_embed", table, backend))


def deepstack_add(hidden: Tensor, feature: Tensor, plan: PackPlan, *, backend: str | None = None) -> Tensor:
    """`hidden` itself, with `feature` added in place at the visual rows.

    Never materialised: `feature` at the stream's length.

    Args:
        hidden: [T, H]; no leaf that needs a gradient, nor saved by the op that made it (a residual sum is not).
        feature: [rows, H] of the vision tower's output.
        plan: of `pack_vision`.
        backend: "torch", "triton", "cuda" or None for the best there is; a view of other strides is added to by torch.

    Returns:
        hidden.

    Raises:
        ValueError: feature does not fit hidden.

    Numerics: one addition per element in fp32, rounded once; feature's gradient is summed in fp32.
    Source: DeepStack (arXiv 2406.04334).
    """
    _rows_like("deepstack_add", "feature", feature, "hidden", hidden)
    name = _resolve("deepstack_add", hidden, backend)
    return _DeepStackAdd.apply(hidden, feature.to(hidden.dtype), plan.visual_rows, plan.visual_src, name)


def gather_kv(x: Tensor, plan: PackPlan, *, backend: str | None = None) -> Tensor:
    """The keys (or values) of every sequence, a completion's behind a copy of its prompt's.

    Never materialised: anything else of the keys' size.

    Args:
        x: [T, ...] of the stream.
        plan: of `pack_vision`.
        backend: "torch", "triton", "cuda" or None for the best there is.

    Returns:
        [total_kv, ...].

    Raises:
        ValueError: x has other rows than the stream.

    Numerics: the value is a copy. The gradient of a prompt's row is the sum over the prompt and its completions, in
    fp32
        and in a fixed order (an index_select's would be added in x's dtype, on a GPU in any order).
    """
    if x.shape[0] != plan.row_map.shape[0]:
        raise ValueError(f"gather_kv: x must have {plan.row_map.shape[0]} rows like the stream; got {tuple(x.shape)}")
    maps = plan.kv_index, plan.cu_seqlens_q, plan.cu_seqlens_k, plan.parent
    return _kv_gather(x.flatten(1), *maps, _resolve("gather_kv", x, backend)).view(-1, *x.shape[1:])


def _rows_like(op: str, argument: str, x: Tensor, like: str, other: Tensor) -> None:
    if x.dim() != 2 or other.dim() != 2 or x.shape[1] != other.shape[1]:
        _check.fail(op, argument, f"(rows, {other.shape[-1]}) like {like}", tuple(x.shape))


def _resolve(op: str, x: Tensor, requested: str | None) -> str:
    return _backend.resolve(op, x.device.type, requested, cuda=True)


_PLAN = (Stream, Numbers)


@torch.library.custom_op("nsrl::pack_plan", mutates_args=(), schema=_op.schema(*_PLAN, returns=7))
def _pack_plan(*flat):
    """(row_map, positions, cu_k, kv_index, visual_rows, visual_src, image_slot); see PackPlan."""
    stream, numbers = _op.group(flat, *_PLAN)
    if numbers.backend == "torch":
        return reference.plan(stream, numbers)
    stream, outputs = Stream(*(x.contiguous() for x in stream)), _plan_outputs(*flat)
    if numbers.backend == "cuda":
        table = stream.token_ids.new_empty(stream.image_key.numel(), 2)
        _native.op("pack_plan")(*stream, numbers.image_token_id, numbers.merge, *outputs, table)
    else:
        _kernel("pack_plan", "triton")(stream, numbers, outputs)
    return outputs


@_pack_plan.register_fake
def _plan_outputs(*flat):
    stream, numbers = _op.group(flat, *_PLAN)
    T, S, I = stream.token_ids.numel(), stream.parent.numel(), stream.image_key.numel()
    visual = (numbers.total_visual,)
    shapes = ((T,), (3, T), (S + 1,), (numbers.total_kv,), visual, visual, (I,))
    return tuple(stream.token_ids.new_empty(shape) for shape in shapes)


@torch.library.custom_op("nsrl::pack_gather", mutates_args=())
def _pack_gather(
    table: Tensor, visual: Tensor, row_map: Tensor, visual_rows: Tensor, visual_src: Tensor, backend: str
) -> Tensor:
    if backend == "torch":
        return reference.gather(table, visual, row_map, visual_rows, visual_src)
    return _gathered(table, visual, row_map, backend)


def _gathered(table, visual, row_map, backend):
    """`reference.gather` by a kernel."""
    out = table.new_empty(row_map.shape[0], table.shape[1])
    _kernel("pack_gather", backend)(table.contiguous(), visual.contiguous(), row_map, out)
    return out


def _kernel(name: str, backend: str):
    """The function that writes into tensors made here: csrc's, or Triton's."""
    if backend == "cuda":
        return _native.op(name)
    from . import triton_backend

    return getattr(triton_backend, name)


@_pack_gather.register_fake
def _(table, visual, row_map, visual_rows, visual_src, backend):
    return table.new_empty(row_map.shape[0], table.shape[1])


@torch.library.custom_op("nsrl::pack_scatter_add", mutates_args=())
def _pack_scatter_add(grad: Tensor, index: Tensor, rows: int) -> Tensor:
    return reference.scatter_add(grad, index, rows)


@_pack_scatter_add.register_fake
def _(grad, index, rows):
    return grad.new_empty(rows, grad.shape[1])


def _gather_setup(ctx, inputs, output) -> None:
    table, visual, row_map, visual_rows, visual_src, _ = inputs
    ctx.save_for_backward(row_map, visual_rows, visual_src)
    ctx.rows = table.shape[0], visual.shape[0]


def _gather_grad(ctx, grad: Tensor):
    row_map, visual_rows, visual_src = ctx.saved_tensors
    table = _pack_scatter_add(grad, row_map, ctx.rows[0]) if ctx.needs_input_grad[0] else None
    visual = None
    if ctx.needs_input_grad[1]:
        visual = _pack_scatter_add(grad.index_select(0, visual_rows), visual_src, ctx.rows[1])
    return table, visual, *[None] * 4


_pack_gather.register_autograd(_gather_grad, setup_context=_gather_setup)


@torch.library.custom_op("nsrl::kv_gather", mutates_args=())
def _kv_gather(x: Tensor, kv_index: Tensor, cu_q: Tensor, cu_k: Tensor, parent: Tensor, backend: str) -> Tensor:
    if backend == "torch":
        return x.index_select(0, kv_index)
    return _gathered(x, x[:0], kv_index, backend)


@_kv_gather.register_fake
def _(x, kv_index, cu_q, cu_k, parent, backend):
    return x.new_empty(kv_index.shape[0], x.shape[1])


@torch.library.custom_op("nsrl::kv_gather_backward", mutates_args=())
def _kv_gather_backward(
    grad: Tensor, kv_index: Tensor, cu_q: Tensor, cu_k: Tensor, parent: Tensor, rows: int, backend: str
) -> Tensor:
    if backend == "torch":
        return reference.scatter_add(grad, kv_index, rows)
    out = grad.new_empty(rows, grad.shape[1])
    _kernel("kv_gather_backward", backend)(grad.contiguous(), cu_q, cu_k, parent, out)
    return out


@_kv_gather_backward.register_fake
def _(grad, kv_index, cu_q, cu_k, parent, rows, backend):
    return grad.new_empty(rows, grad.shape[1])


def _kv_setup(ctx, inputs, output) -> None:
    x, *maps, ctx.backend = inputs
    ctx.save_for_backward(*maps)
    ctx.rows = x.shape[0]


def _kv_grad(ctx, grad: Tensor):
    return _kv_gather_backward(grad, *ctx.saved_tensors, ctx.rows, ctx.backend), *[None] * 5


_kv_gather.register_autograd(_kv_grad, setup_context=_kv_setup)


@torch.library.custom_op("nsrl::deepstack_add_", mutates_args=("hidden",))
def _deepstack_add_(hidden: Tensor, feature: Tensor, visual_rows: Tensor, visual_src: Tensor, backend: str) -> None:
    dense = hidden.is_contiguous()  # the kernels know no strides
    run = _kernel("deepstack_add", backend) if dense and backend != "torch" else reference.deepstack_add
    run(hidden, feature.contiguous(), visual_rows, visual_src)


@_deepstack_add_.register_fake
def _(hidden, feature, visual_rows, visual_src, backend):
    return None


class _DeepStackAdd(torch.autograd.Function):
    """The in-place op in autograd: hidden's gradient passes through, feature's is gathered back and summed."""

    @staticmethod
    def forward(ctx, hidden: Tensor, feature: Tensor, visual_rows: Tensor, visual_src: Tensor, backend: str) -> Tensor:
        ctx.save_for_backward(visual_rows, visual_src)
        ctx.rows = feature.shape[0]
        ctx.mark_dirty(hidden)
        _deepstack_add_(hidden, feature, visual_rows, visual_src, backend)
        return hidden

    @staticmethod
    def backward(ctx, grad: Tensor):
        visual_rows, visual_src = ctx.saved_tensors
        feature = None
        if ctx.needs_input_grad[1]:
            feature = _pack_scatter_add(grad.index_select(0, visual_rows), visual_src, ctx.rows)
        return grad, feature, None, None, None
