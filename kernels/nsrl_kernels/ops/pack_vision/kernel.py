"""Triton kernels of the packing ops. Indices and copies only: knows nothing of models.

The plan is two launches: `first_use_kernel` finds equal images, `plan_kernel` runs one program per sequence. Programs
share nothing, so their order does not matter and the same input gives the same bits.
"""

import triton
import triton.language as tl


@triton.jit
def first_use_kernel(image_key, first, I, BLOCK: tl.constexpr):
    """first[i] = the smallest j with the same key."""
    i = tl.program_id(0)
    key = tl.load(image_key + i)
    best = i
    for tile in range(0, I, BLOCK):
        j = tile + tl.arange(0, BLOCK)
        same = tl.load(image_key + j, j < I, other=0) == key
        best = tl.minimum(best, tl.min(tl.where(same & (j < I), j, i)))
    tl.store(first + i, best)


@triton.jit
def _merged(grid, i, mask, merge: tl.constexpr):
    """(tokens, height, width) of images i after merging; 0 where masked."""
    t = tl.load(grid + 3 * i, mask, other=0)
    h = tl.load(grid + 3 * i + 1, mask, other=0) // merge
    w = tl.load(grid + 3 * i + 2, mask, other=0) // merge
    return t * h * w, h, w


@triton.jit
def plan_kernel(
    token_ids, cu_seqlens, parent, cu_images, grid, image_key, first,
    row_map, positions, cu_k, kv_index, visual_rows, visual_src, image_slot,
    T, S, I, total_visual, image_token_id: tl.constexpr, merge: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One sequence's part of the plan: rows, positions and keys; see `spec.PackPlan`."""
    s = tl.program_id(0)
    p = tl.load(parent + s)
    start = tl.load(cu_seqlens + s)
    length = tl.load(cu_seqlens + s + 1) - start
    prompt = tl.load(cu_seqlens + p)
    prompt_length = tl.where(p != s, tl.load(cu_seqlens + p + 1) - prompt, 0)
    lane = tl.arange(0, BLOCK)

    keys = 0  # keys of the sequences before this one
    for tile in range(0, s, BLOCK):
        j = tile + lane
        pj = tl.load(parent + j, j < s, other=0)
        own = tl.load(cu_seqlens + j + 1, j < s, other=0) - tl.load(cu_seqlens + j, j < s, other=0)
        pre = tl.load(cu_seqlens + pj + 1, j < s, other=0) - tl.load(cu_seqlens + pj, j < s, other=0)
        keys += tl.sum(tl.where(j < s, own + tl.where(pj != j, pre, 0), 0))
    tl.store(cu_k + s, keys)
    if s == S - 1:
        tl.store(cu_k + S, keys + prompt_length + length)
    for tile in range(0, prompt_length, BLOCK):
        j = tile + lane
        tl.store(kv_index + keys + j, prompt + j, j < prompt_length)
    keys += prompt_length

    begin = tl.load(cu_images + p)
    end = tl.load(cu_images + p + 1)
    if p != s:  # a completion: text behind the whole prompt
        base = prompt_length
        for i in range(begin, end):
            n, h, w = _merged(grid, i, True, merge)
            base += tl.maximum(h, w) - n
        for tile in range(0, length, BLOCK):
            j = tile + lane
            row, inside = start + j, j < length
            tl.store(kv_index + keys + j, row, inside)
            tl.store(row_map + row, tl.load(token_ids + row, inside), inside)
            for axis in tl.static_range(3):
                tl.store(positions + axis * T + row, base + j, inside)
    else:
        first_rank = 0  # visual rows of the stream before this prompt
        for tile in range(0, begin, BLOCK):
            j = tile + lane
            n, h, w = _merged(grid, j, j < begin, merge)
            first_rank += tl.sum(n)
        for i in range(begin, end):
            origin = tl.load(first + i)
            slot = 0
            for tile in range(0, origin, BLOCK):
                j = tile + lane
                fresh = (tl.load(first + j, j < origin, other=-1) == j) & (j < origin)
                slot += tl.sum(fresh.to(tl.int32))
            tl.store(image_slot + i, slot)
        marker = tl.where(end > begin, image_token_id, -1)  # token ids are not negative
        seen = first_rank
        for tile in range(0, length, BLOCK):
            j = tile + lane
            row, inside = start + j, j < length
            ids = tl.load(token_ids + row, inside, other=0)
            visual = inside & (ids == marker)
            flag = visual.to(tl.int32)
            rank = seen + tl.cumsum(flag, 0) - flag
            base = j - (rank - first_rank)
            t, y, x = tl.zeros_like(j), tl.zeros_like(j), tl.zeros_like(j)
            mapped = ids
            bound = first_rank
            for i in range(begin, end):
                n, h, w = _merged(grid, i, True, merge)
                offset = rank - bound
                bound += n
                base += tl.where(rank >= bound, tl.maximum(h, w), 0)
                mine = visual & (offset >= 0) & (offset < n)
                origin = tl.load(first + i)
                tower = 0  # rows of the tower's output before this image
                for image_tile in range(0, origin, BLOCK):
                    k = image_tile + lane
                    fresh = (tl.load(first + k, k < origin, other=-1) == k) & (k < origin)
                    m, _mh, _mw = _merged(grid, k, k < origin, merge)
                    tower += tl.sum(tl.where(fresh, m, 0))
                line = offset // w
                frame = line // h
                t = tl.where(mine, frame, t)
                y = tl.where(mine, line - frame * h, y)
                x = tl.where(mine, offset - line * w, x)
                mapped = tl.where(mine, -1 - (tower + offset), mapped)
            tl.store(kv_index + keys + j, row, inside)
            tl.store(row_map + row, mapped, inside)
            tl.store(positions + row, base + t, inside)
            tl.store(positions + T + row, base + y, inside)
            tl.store(positions + 2 * T + row, base + x, inside)
            fits = visual & (rank < total_visual)
            tl.store(visual_rows + rank, row, fits)
            tl.store(visual_src + rank, -1 - mapped, fits)
            seen += tl.sum(flag)


@triton.jit
def gather_kernel(table, visual, row_map, out, T, H: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    """out[t] = table[row_map[t]], or visual[-1 - row_map[t]] where that is negative."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = row < T
    source = tl.load(row_map + row, inside, other=0).to(tl.int64)
    text = source >= 0
    mask = inside[:, None] & (column < H)[None, :]
    a = tl.load(table + tl.where(text, source, 0)[:, None] * H + column[None, :], mask & text[:, None], other=0.0)
    b = tl.load(
        visual + tl.where(text, 0, -1 - source)[:, None] * H + column[None, :], mask & ~text[:, None], other=0.0
    )
    tl.store(out + row[:, None] * H + column[None, :], tl.where(text[:, None], a, b), mask)


@triton.jit
def deepstack_add_kernel(hidden, feature, rows, src, n, H: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    """hidden[rows[i]] += feature[src[i]] for i < n."""
    i = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = i < n
    mask = inside[:, None] & (column < H)[None, :]
    to = hidden + tl.load(rows + i, inside, other=0).to(tl.int64)[:, None] * H + column[None, :]
    add = tl.load(
        feature + tl.load(src + i, inside, other=0).to(tl.int64)[:, None] * H + column[None, :], mask, other=0.0
    )
    x = tl.load(to, mask, other=0.0)
    tl.store(to, (x.to(tl.float32) + add.to(tl.float32)).to(x.dtype), mask)


@triton.jit
def kv_gather_backward_kernel(
    grad, cu_q, cu_k, parent, out, T, S, STEPS, H: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr
):  # fmt: skip
    """Each stream row sums the rows of grad that were copied from it: its own, then its completions' in order."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = row < T
    low, high = tl.zeros_like(row), tl.zeros_like(row) + S  # the last sequence that starts at or before the row
    for _ in range(STEPS):
        middle = (low + high) // 2
        before = (tl.load(cu_q + middle) <= row) & (middle > low)
        high = tl.where(before | (middle == low), high, middle)
        low = tl.where(before, middle, low)
    start = tl.load(cu_q + low, inside, other=0)
    own = tl.load(cu_k + low + 1, inside, other=0) - (tl.load(cu_q + low + 1, inside, other=0) - row)
    mask = inside[:, None] & (column < H)[None, :]
    total = tl.load(grad + own.to(tl.int64)[:, None] * H + column[None, :], mask, other=0.0).to(tl.float32)
    child = low + 1
    theirs = inside & (child < S)
    theirs = theirs & (tl.load(parent + child, theirs, other=-1) == low)
    while tl.max(theirs.to(tl.int32), 0) > 0:
        at = (tl.load(cu_k + child, theirs, other=0) + row - start).to(tl.int64)
        wanted = theirs[:, None] & (column < H)[None, :]
        total += tl.load(grad + at[:, None] * H + column[None, :], wanted, other=0.0).to(tl.float32)
        child += 1
        theirs = theirs & (child < S)
        theirs = theirs & (tl.load(parent + child, theirs, other=-1) == low)
    tl.store(out + row.to(tl.int64)[:, None] * H + column[None, :], total.to(out.dtype.element_ty), mask)
