"""The Triton backend of the packing ops: launches. Each function writes into tensors its caller made."""

import torch
import triton
from torch import Tensor

from ..._tl import on_its_device
from . import kernel
from .spec import Numbers, Stream


@on_its_device
def pack_plan(stream: Stream, numbers: Numbers, outputs) -> None:
    """Fills `outputs` = row_map, positions, cu_k, kv_index, visual_rows, visual_src, image_slot."""
    T, S, I = stream.token_ids.numel(), stream.parent.numel(), stream.image_key.numel()
    first = torch.empty_like(stream.image_key)
    if I:
        kernel.first_use_kernel[(I,)](stream.image_key, first, I, BLOCK=256)
    if S:
        kernel.plan_kernel[(S,)](
            *stream, first, *outputs, T, S, I, numbers.total_visual, numbers.image_token_id, numbers.merge, BLOCK=256
        )


@on_its_device
def pack_gather(table: Tensor, visual: Tensor, row_map: Tensor, out: Tensor) -> None:
    """out [T, H]: rows of `table`, or of `visual` where row_map is negative."""
    T, H = out.shape
    grid, rows, block = _tiles(T, H)
    if T and H:
        kernel.gather_kernel[grid](table, visual, row_map, out, T, H, rows, block)


@on_its_device
def deepstack_add(hidden: Tensor, feature: Tensor, visual_rows: Tensor, visual_src: Tensor) -> None:
    """hidden [T, H] += feature [rows, H] in place, where the map says."""
    n, H = visual_rows.numel(), hidden.shape[1]
    grid, rows, block = _tiles(n, H)
    if n and H:
        kernel.deepstack_add_kernel[grid](hidden, feature, visual_rows, visual_src, n, H, rows, block)


@on_its_device
def kv_gather_backward(grad: Tensor, cu_q: Tensor, cu_k: Tensor, parent: Tensor, out: Tensor) -> None:
    """out [T, H]: each stream row's sum of the rows of `grad` that were copied from it."""
    (T, H), S = out.shape, parent.numel()
    grid, rows, block = _tiles(T, H)
    if T and H:
        steps = S.bit_length() + 1  # of the search for a row's sequence
        kernel.kv_gather_backward_kernel[grid](grad, cu_q, cu_k, parent, out, T, S, steps, H, rows, block)


def _tiles(n: int, width: int) -> tuple[tuple[int, int], int, int]:
    """(grid, rows, columns) of programs that copy n rows of `width`."""
    block = min(1024, triton.next_power_of_2(max(width, 16)))
    rows = max(1, 4096 // block)
    return (triton.cdiv(n, rows), triton.cdiv(width, block)), rows, block
