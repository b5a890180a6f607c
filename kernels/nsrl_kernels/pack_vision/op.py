"""`pack_vision`: the plan of a packed stream, the gather that fills it, and DeepStack's add by index.

Nothing of size [tokens, hidden] is made but the packed stream itself: no mask is expanded, no image row is repeated for
the completions that share it, no position is computed in Python. Knows nothing of models; `reference.py` is the
definition, `kernel.py` the Triton kernels, csrc/ the CUDA ones.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from nsrl_kernels import _native
from nsrl_kernels._backend import has_triton, resolve
from nsrl_kernels.pack_vision import reference


class PackPlan(NamedTuple):
    """Where everything of a packed stream comes from. All int32, on the device of the token ids.

    row_map (T,): ≥ 0 a row of the embedding table, otherwise −1 − row of the vision tower's output.
    positions (3, T): mRoPE's temporal, height and width positions.
    cu_seqlens_q, cu_seqlens_k (S+1,): query and key bounds of each sequence, for varlen attention.
    kv_index (total_kv,): the stream row of every key: a prompt's own rows; for a completion the prompt's, then its own.
    visual_rows, visual_src (total_visual,): DeepStack's map, stream row ← row of the vision tower's output.
    image_slot (I,): which distinct image each image is, counted in order of first use. parent (S,): as given.
    """

    row_map: Tensor
    positions: Tensor
    cu_seqlens_q: Tensor
    cu_seqlens_k: Tensor
    kv_index: Tensor
    visual_rows: Tensor
    visual_src: Tensor
    image_slot: Tensor
    parent: Tensor


def pack_vision(
    token_ids: Tensor, cu_seqlens: Tensor, parent: Tensor, cu_images: Tensor, image_grid: Tensor, image_key: Tensor,
    *, image_token_id: int, merge: int, total_visual: int, total_kv: int, backend: str | None = None,
) -> PackPlan:  # fmt: skip
    """Plan of a packed stream of T tokens in S sequences with I images; no host synchronisation.

    token_ids (T,) int32; cu_seqlens (S+1,) int32; parent (S,) int32, a completion's prompt sequence, or the sequence
    itself for a prompt; cu_images (S+1,) int32, bounds of each sequence's images (a completion has none); image_grid
    (I, 3) int32, patches in time, height, width; image_key (I,) int32, equal for equal images. image_token_id marks
    the visual rows of prompts; merge is the tower's spatial merge size. total_visual and total_kv are the host's sums
    of visual rows and of keys (they are the lengths of outputs, so they cannot come from the device).
    backend: reference, triton or cuda; None chooses. Raises ValueError naming the argument.
    Positions follow transformers' `get_rope_index`: text after an image resumes at its start + max(height, width).
    """
    I, S = image_key.numel(), parent.numel()
    for name, x, shape in (
        ("token_ids", token_ids, (token_ids.numel(),)),
        ("cu_seqlens", cu_seqlens, (S + 1,)),
        ("parent", parent, (S,)),
        ("cu_images", cu_images, (S + 1,)),
        ("image_grid", image_grid, (I, 3)),
        ("image_key", image_key, (I,)),
    ):
        if x.dtype != torch.int32 or tuple(x.shape) != shape:
            raise ValueError(f"pack_vision: {name} must be int32 of shape {shape}; got {x.dtype} {tuple(x.shape)}")
        if x.device != token_ids.device:
            raise ValueError(f"pack_vision: {name} must be on {token_ids.device} like token_ids; got {x.device}")
    if merge < 1:
        raise ValueError(f"pack_vision: merge must be at least 1; got {merge}")
    row_map, positions, cu_k, kv_index, rows, src, slot = torch.ops.nsrl_kernels.pack_plan(
        token_ids, cu_seqlens, parent, cu_images, image_grid, image_key, image_token_id, merge, total_visual, total_kv,
        _backend("pack_vision", token_ids, backend),
    )  # fmt: skip
    return PackPlan(row_map, positions, cu_seqlens, cu_k, kv_index, rows, src, slot, parent)


def pack_embed(table: Tensor, visual: Tensor | None, plan: PackPlan, *, backend: str | None = None) -> Tensor:
    """(T, D): the packed embeddings, each row copied once from where the plan says.

    table (V, D), visual (rows, D) of the distinct images, or None for a stream without images. The gradient goes to the
    table only when it needs one, and to the distinct images' rows only when they do (summed over their uses in fp32).
    """
    if visual is None:
        visual = table.new_empty(0, table.shape[1])
    if visual.dim() != 2 or table.dim() != 2 or visual.shape[1] != table.shape[1]:
        raise ValueError(f"pack_embed: visual must be (rows, {table.shape[-1]}) like table; got {tuple(visual.shape)}")
    if visual.dtype != table.dtype:
        visual = visual.to(table.dtype)
    return torch.ops.nsrl_kernels.pack_gather(
        table, visual, plan.row_map, plan.visual_rows, plan.visual_src, _backend("pack_embed", table, backend)
    )


def deepstack_add(hidden: Tensor, feature: Tensor, plan: PackPlan, *, backend: str | None = None) -> Tensor:
    """`hidden` itself, (T, D), with feature (rows, D) added in place at the visual rows.

    hidden must not be a leaf that needs a gradient, nor be saved by the op that made it (a residual sum is not).
    """
    if feature.dim() != 2 or hidden.dim() != 2 or feature.shape[1] != hidden.shape[1]:
        raise ValueError(
            f"deepstack_add: feature must be (rows, {hidden.shape[-1]}) like hidden; got {tuple(feature.shape)}"
        )
    if feature.dtype != hidden.dtype:
        feature = feature.to(hidden.dtype)
    return _DeepStackAdd.apply(
        hidden, feature, plan.visual_rows, plan.visual_src, _backend("deepstack_add", hidden, backend)
    )


def gather_kv(x: Tensor, plan: PackPlan, *, backend: str | None = None) -> Tensor:
    """(total_kv, ...): the keys (or values) of every sequence, a completion's behind a copy of its prompt's.

    x (T, ...) of the stream. The gradient of a prompt's row is the sum over the prompt and its completions, in fp32 and
    in a fixed order (an index_select's would be added in x's dtype, on a GPU in any order).
    """
    if x.shape[0] != plan.row_map.shape[0]:
        raise ValueError(f"gather_kv: x must have {plan.row_map.shape[0]} rows like the stream; got {tuple(x.shape)}")
    name = _backend("gather_kv", x, backend)
    maps = plan.kv_index, plan.cu_seqlens_q, plan.cu_seqlens_k, plan.parent
    return torch.ops.nsrl_kernels.kv_gather(x.flatten(1), *maps, name).view(-1, *x.shape[1:])


def _backend(op: str, x: Tensor, requested: str | None) -> str:
    return resolve(op, x.device.type, requested, _offered(x.device.type))


@torch.compiler.assume_constant_result
def _offered(device_type: str) -> tuple[str, ...]:
    here = (("cuda", _native.available(device_type)), ("triton", has_triton()), ("reference", True))
    return tuple(name for name, present in here if present)


@torch.library.custom_op("nsrl_kernels::pack_plan", mutates_args=())
def _pack_plan(
    token_ids: Tensor, cu_seqlens: Tensor, parent: Tensor, cu_images: Tensor, image_grid: Tensor, image_key: Tensor,
    image_token_id: int, merge: int, total_visual: int, total_kv: int, backend: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    if backend == "reference":
        return reference.plan(
            token_ids, cu_seqlens, parent, image_grid, image_key, image_token_id, merge, total_visual, total_kv
        )
    inputs = [x.contiguous() for x in (token_ids, cu_seqlens, parent, cu_images, image_grid, image_key)]
    outputs = _plan_outputs(*inputs, image_token_id, merge, total_visual, total_kv, backend)
    if backend == "cuda":
        table = token_ids.new_empty(image_key.numel(), 2)
        _native.ops().pack_plan(*inputs, image_token_id, merge, *outputs, table)
    else:
        from nsrl_kernels.pack_vision import kernel

        kernel.plan(*inputs, image_token_id, merge, list(outputs))
    return outputs


@_pack_plan.register_fake
def _plan_outputs(
    token_ids, cu_seqlens, parent, cu_images, image_grid, image_key, image_token_id, merge, total_visual, total_kv, backend
):  # fmt: skip
    T, S, I = token_ids.numel(), parent.numel(), image_key.numel()
    shapes = ((T,), (3, T), (S + 1,), (total_kv,), (total_visual,), (total_visual,), (I,))
    return tuple(token_ids.new_empty(shape) for shape in shapes)


@torch.library.custom_op("nsrl_kernels::pack_gather", mutates_args=())
def _pack_gather(
    table: Tensor, visual: Tensor, row_map: Tensor, visual_rows: Tensor, visual_src: Tensor, backend: str
) -> Tensor:
    if backend == "reference":
        return reference.gather(table, visual, row_map, visual_rows, visual_src)
    out = table.new_empty(row_map.shape[0], table.shape[1])
    if backend == "cuda":
        _native.ops().pack_gather(table.contiguous(), visual.contiguous(), row_map, out)
    else:
        from nsrl_kernels.pack_vision import kernel

        kernel.gather(table.contiguous(), visual.contiguous(), row_map, out)
    return out


@_pack_gather.register_fake
def _(table, visual, row_map, visual_rows, visual_src, backend):
    return table.new_empty(row_map.shape[0], table.shape[1])


@torch.library.custom_op("nsrl_kernels::pack_scatter_add", mutates_args=())
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
    back = torch.ops.nsrl_kernels.pack_scatter_add
    table = back(grad, row_map, ctx.rows[0]) if ctx.needs_input_grad[0] else None
    visual = None
    if ctx.needs_input_grad[1]:
        visual = back(grad.index_select(0, visual_rows), visual_src, ctx.rows[1])
    return table, visual, None, None, None, None


_pack_gather.register_autograd(_gather_grad, setup_context=_gather_setup)


@torch.library.custom_op("nsrl_kernels::kv_gather", mutates_args=())
def _kv_gather(x: Tensor, kv_index: Tensor, cu_q: Tensor, cu_k: Tensor, parent: Tensor, backend: str) -> Tensor:
    if backend == "reference":
        return x.index_select(0, kv_index)
    out = x.new_empty(kv_index.shape[0], x.shape[1])
    if backend == "cuda":
        x = x.contiguous()
        _native.ops().pack_gather(x, x[:0], kv_index, out)
    else:
        from nsrl_kernels.pack_vision import kernel

        kernel.gather(x.contiguous(), x[:0], kv_index, out)
    return out


@_kv_gather.register_fake
def _(x, kv_index, cu_q, cu_k, parent, backend):
    return x.new_empty(kv_index.shape[0], x.shape[1])


@torch.library.custom_op("nsrl_kernels::kv_gather_backward", mutates_args=())
def _kv_gather_backward(
    grad: Tensor, kv_index: Tensor, cu_q: Tensor, cu_k: Tensor, parent: Tensor, rows: int, backend: str
) -> Tensor:
    if backend == "reference":
        return reference.scatter_add(grad, kv_index, rows)
    out = grad.new_empty(rows, grad.shape[1])
    if backend == "cuda":
        _native.ops().kv_gather_backward(grad.contiguous(), cu_q, cu_k, parent, out)
    else:
        from nsrl_kernels.pack_vision import kernel

        kernel.kv_gather_backward(grad.contiguous(), cu_q, cu_k, parent, out)
    return out


@_kv_gather_backward.register_fake
def _(grad, kv_index, cu_q, cu_k, parent, rows, backend):
    return grad.new_empty(rows, grad.shape[1])


def _kv_setup(ctx, inputs, output) -> None:
    x, *maps, ctx.backend = inputs
    ctx.save_for_backward(*maps)
    ctx.rows = x.shape[0]


def _kv_grad(ctx, grad: Tensor):
    back = torch.ops.nsrl_kernels.kv_gather_backward(grad, *ctx.saved_tensors, ctx.rows, ctx.backend)
    return back, None, None, None, None, None


_kv_gather.register_autograd(_kv_grad, setup_context=_kv_setup)


@torch.library.custom_op("nsrl_kernels::deepstack_add_", mutates_args=("hidden",))
def _deepstack_add_(hidden: Tensor, feature: Tensor, visual_rows: Tensor, visual_src: Tensor, backend: str) -> None:
    if backend == "reference":
        reference.deepstack_add(hidden, feature, visual_rows, visual_src)
    elif backend == "cuda":
        _native.ops().deepstack_add(hidden, feature.contiguous(), visual_rows, visual_src)
    else:
        from nsrl_kernels.pack_vision import kernel

        kernel.deepstack_add(hidden, feature.contiguous(), visual_rows, visual_src)


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
        torch.ops.nsrl_kernels.deepstack_add_(hidden, feature, visual_rows, visual_src, backend)
        return hidden

    @staticmethod
    def backward(ctx, grad: Tensor):
        visual_rows, visual_src = ctx.saved_tensors
        feature = None
        if ctx.needs_input_grad[1]:
            picked = grad.index_select(0, visual_rows)
            feature = torch.ops.nsrl_kernels.pack_scatter_add(picked, visual_src, ctx.rows)
        return grad, feature, None, None, None
