"""The definition of the packing ops in plain torch, no loop over images or sequences; it is also the torch backend.

Knows nothing of models, or of where token ids come from.
"""

import torch
from torch import Tensor

from .spec import Numbers, Stream


def plan(stream: Stream, numbers: Numbers) -> tuple[Tensor, ...]:
    """(row_map, positions, cu_seqlens_k, kv_index, visual_rows, visual_src, image_slot); see `spec.PackPlan`."""
    token_ids, cu_seqlens, parent, _, image_grid, image_key = stream
    image_token_id, merge, total_visual, total_kv, _ = numbers
    dev, T, S, I = token_ids.device, token_ids.numel(), parent.numel(), image_key.numel()
    rows, seqs = torch.arange(T, device=dev), torch.arange(S, device=dev)
    cu, parent, ids = cu_seqlens.long(), parent.long(), token_ids.long()
    length, is_suffix = cu.diff(), parent != seqs
    seq = torch.repeat_interleave(seqs, length, output_size=T)
    visual = (ids == image_token_id) & ~is_suffix[seq] if I else torch.zeros_like(ids, dtype=torch.bool)
    rank, images = visual.cumsum(0) - 1, torch.arange(I, device=dev)
    advance, row_map, offset, h, w = torch.ones_like(ids), ids, ids, ids, ids
    slot = image_key.long()
    if I:
        grid = image_grid.long() // torch.tensor([1, merge, merge], device=dev)
        tokens = grid.prod(1)
        first = (image_key[:, None] == image_key[None, :]).int().argmax(1)  # the first occurrence of the same image
        new = first == images
        slot = (new.cumsum(0) - 1)[first]
        start = ((tokens * new).cumsum(0) - tokens * new)[first]  # the image's first row in the tower's output
        end = tokens.cumsum(0)
        img = torch.searchsorted(end, rank, right=True).clamp(max=I - 1)
        offset, h, w = rank - (end - tokens)[img], grid[img, 1], grid[img, 2]
        # text resumes at image start + max(h, w): the whole step is taken at the image's last token
        step = torch.where(offset == tokens[img] - 1, torch.maximum(h, w), 0)
        advance = torch.where(visual, step, 1)
        row_map = torch.where(visual, -1 - (start[img] + offset), ids)
    before = torch.cat([advance.new_zeros(1), advance.cumsum(0)])
    base = (
        before[:-1] - before[cu[:-1]][seq] + torch.where(is_suffix, before[cu[parent + 1]] - before[cu[parent]], 0)[seq]
    )
    thw = torch.stack(
        [offset // (h * w).clamp(min=1), offset // w.clamp(min=1) % h.clamp(min=1), offset % w.clamp(min=1)]
    )
    positions = base + torch.where(visual, thw, 0)
    prefix = torch.where(is_suffix, length[parent], 0)
    cu_k = torch.cat([cu.new_zeros(1), (length + prefix).cumsum(0)])
    seg = torch.repeat_interleave(seqs, length + prefix, output_size=total_kv)
    local = torch.arange(total_kv, device=dev) - cu_k[seg]
    kv = torch.where(local < prefix[seg], cu[parent[seg]] + local, cu[seg] + local - prefix[seg])
    visual_rows = rows.new_zeros(total_visual + 1).scatter_(0, torch.where(visual, rank, total_visual), rows)[:-1]
    visual_src = -1 - row_map[visual_rows]
    return tuple(x.int() for x in (row_map, positions, cu_k, kv, visual_rows, visual_src, slot))


def gather(table: Tensor, visual: Tensor, row_map: Tensor, visual_rows: Tensor, visual_src: Tensor) -> Tensor:
    """[T, H]: `table[row_map]` where row_map ≥ 0, `visual[-1 - row_map]` elsewhere (the rows visual_rows)."""
    out = table.index_select(0, row_map.clamp(min=0))
    return out.index_copy_(0, visual_rows.long(), visual.index_select(0, visual_src)) if visual_rows.numel() else out


def scatter_add(grad: Tensor, index: Tensor, rows: int) -> Tensor:
    """[rows, H]: each row of grad added to row `index`, where that is not negative; summed in fp32 or wider."""
    index = torch.where(index < 0, rows, index)  # those go to a spare row
    out = torch.zeros(rows + 1, grad.shape[1], dtype=torch.promote_types(grad.dtype, torch.float32), device=grad.device)
    return out.index_add_(0, index, grad.to(out.dtype))[:rows].to(grad.dtype)


def deepstack_add(hidden: Tensor, feature: Tensor, visual_rows: Tensor, visual_src: Tensor) -> None:
    """In place: hidden[visual_rows] += feature[visual_src]. visual_rows holds no row twice."""
    hidden.index_add_(0, visual_rows, feature.index_select(0, visual_src).to(hidden.dtype))
