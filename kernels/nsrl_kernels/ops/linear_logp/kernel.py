"""Triton kernels of `linear_logp`. They know tiles and rows; chunking and masks are triton_backend.py's.

One scan serves every pass over the vocabulary: its tile of logits comes from a GEMM or from memory (cuBLAS's, or those
of logp_from_logits), and its epilogue (MODE) is one of "sums" of exp (stored in 16 bits when a Jacobian is wanted),
"maximum" (of rows whose scale was wrong) and gradient "coefficients" (recompute mode). What a row loses when its tile
is stored in 16 bits is summed too: the target's row of the head pays it back, so that coefficients add up as they did.
Sums are made in a fixed order: within a tile by Triton's reduction, across tiles and splits in sequence. No atomics.
"""

import triton
import triton.language as tl

from ..._tl import INTERPRETED, fast_tanh, log1p64, narrow


@triton.jit
def anchor_kernel(
    h, w, logits, bias, column, own, hint, inv_t, z_target, slope, level,
    n_rows, n_hidden, stride_h, stride_w, stride_l, softcap, elsewhere,
    HAS_BIAS: tl.constexpr, HAS_SOFTCAP: tl.constexpr, HAS_HINT: tl.constexpr, FROM_LOGITS: tl.constexpr,
    BLOCK_R: tl.constexpr, BLOCK_H: tl.constexpr,
):  # fmt: skip
    """Each row's target logit in fp64 (-inf if banned), the softcap's slope there, and the scale exp will be taken at.

    `elsewhere` stands for a target this shard does not own: 0 with other shards, NaN (an id past the end) without.
    """
    rows = tl.program_id(0) * BLOCK_R + tl.arange(0, BLOCK_R)
    live = rows < n_rows
    rows64 = rows.to(tl.int64)
    col = tl.load(column + rows, mask=live, other=0).to(tl.int64)
    if FROM_LOGITS:
        raw = tl.load(logits + rows64 * stride_l + col, mask=live, other=0.0).to(tl.float64)
    else:
        raw = tl.zeros([BLOCK_R], dtype=tl.float64)
        for k0 in range(0, n_hidden, BLOCK_H):
            k = k0 + tl.arange(0, BLOCK_H)
            here = live[:, None] & (k < n_hidden)[None, :]
            x = tl.load(h + rows64[:, None] * stride_h + k[None, :], mask=here, other=0.0)
            y = tl.load(w + col[:, None] * stride_w + k[None, :], mask=here, other=0.0)
            raw += tl.sum(x.to(tl.float64) * y.to(tl.float64), 1)
    is_own = tl.load(own + rows, mask=live, other=0) != 0
    banned = rows < 0
    if HAS_BIAS:
        b = tl.load(bias + col, mask=live, other=0.0).to(tl.float64)
        banned = b == float("-inf")
        raw += tl.where(banned, 0.0, b)
    d_cap = tl.full([BLOCK_R], 1.0, dtype=tl.float64)
    if HAS_SOFTCAP:
        e = tl.exp(-2.0 * tl.abs(raw / softcap))
        t = (1.0 - e) / (1.0 + e)
        t = tl.where(raw < 0, -t, t)
        raw = softcap * t
        d_cap = 1.0 - t * t
    at = raw
    if HAS_HINT:
        known = tl.load(hint + rows, mask=live, other=0.0).to(tl.float64)
        known = tl.where(known < 0.0, known, 0.0)  # also turns NaN into "no hint"
        known = tl.where(known > -80.0, known, -80.0)
        at = tl.where(is_own, raw - known / tl.load(inv_t + rows, mask=live, other=1.0), raw)
    value = tl.where(is_own, tl.where(banned, float("-inf"), raw), elsewhere)
    tl.store(z_target + rows, value, mask=live)
    tl.store(slope + rows, d_cap.to(tl.float32), mask=live)
    tl.store(level + rows, at.to(tl.float32), mask=live)


@triton.jit
def _epilogue(
    z, m0, n0, first, second, spare, row, bias, out_e, n_vocab, softcap, WIDTH: tl.constexpr, MODE: tl.constexpr,
    STORE_E: tl.constexpr, TMA_STORE: tl.constexpr, ENTROPY: tl.constexpr, HAS_BIAS: tl.constexpr,
    HAS_SOFTCAP: tl.constexpr,
):  # fmt: skip
    """What a tile of h·W becomes: row sums, row maxima or coefficients; returns the three running row vectors."""
    at, scale, skip, gl, ge, ent, y_value, row_start, keep, stored = row
    cols = n0 + tl.arange(0, WIDTH)
    inside = cols < n_vocab
    if HAS_BIAS:  # -inf bans, and stands for the columns past the end
        if STORE_E:  # addresses and mask from n0 on are constants of a thread; from column 0 on they made it spill
            here = tl.arange(0, WIDTH)
            b = tl.load(bias + n0 + here, mask=here < n_vocab - n0, other=float("-inf"))
        else:
            b = tl.load(bias + cols, mask=inside, other=float("-inf"))
        inside = b > float("-inf")
        if HAS_SOFTCAP:
            b = tl.where(inside, b, 0.0)
        z += b[None, :]
    if HAS_SOFTCAP:
        t = fast_tanh(z / softcap)
        z = softcap * t
        d_cap = 1.0 - t * t
    if MODE == "maximum":
        first = tl.maximum(first, tl.max(tl.where(inside[None, :], z, float("-inf")), 1))
    else:
        d = (z - at[:, None]) * scale[:, None]
        is_y = cols[None, :] == skip[:, None]
        # a finite floor instead of -inf: exp gives 0 there and 0·d stays 0
        if HAS_BIAS and not HAS_SOFTCAP:
            d = tl.where(d < -1e4, -1e4, d)  # not maximum: NaN must stay
        else:
            d = tl.where(inside[None, :], d, -1e4)
        if MODE == "sums":
            d = tl.where(is_y, -1e4, d)
            e = tl.exp(d)
            first += tl.sum(e, 1)
            if ENTROPY:
                second += tl.sum(e * d, 1)
        else:
            e = tl.exp(d)
            if ENTROPY:
                e = -e * (gl[:, None] + ge[:, None] * (d + ent[:, None]))
            else:
                e = -e * gl[:, None]
            e = tl.where(is_y, y_value[:, None], e)
        if STORE_E:
            if HAS_SOFTCAP:
                e *= d_cap
            kept = narrow(e, out_e.dtype if TMA_STORE else out_e.dtype.element_ty)
            if MODE == "sums":
                spare += tl.sum(kept.to(tl.float32) - e, 1)
            else:
                spare += tl.sum(e - kept.to(tl.float32), 1)
            if TMA_STORE:  # clipped to the rows and columns of the descriptor; needs no addresses or masks
                if stored:
                    out_e.store([m0, n0], kept)
            else:
                here = keep[:, None] & (cols < n_vocab)[None, :]
                tl.store(out_e + row_start[:, None] + cols[None, :], kept, mask=here)
    return first, second, spare


@triton.jit
def _in_parts(
    z, m0, n0, first, second, spare, row, bias, out_e, n_vocab, softcap, WIDTH: tl.constexpr, PARTS: tl.constexpr,
    MODE: tl.constexpr, STORE_E: tl.constexpr, TMA_STORE: tl.constexpr, ENTROPY: tl.constexpr, HAS_BIAS: tl.constexpr,
    HAS_SOFTCAP: tl.constexpr,
):  # fmt: skip
    """The epilogue on PARTS (1, 2 or 4) pieces of the tile's columns in turn: fewer temporaries beside the
    accumulator."""
    if PARTS == 1:
        first, second, spare = _epilogue(
            z, m0, n0, first, second, spare, row, bias, out_e, n_vocab, softcap, WIDTH, MODE, STORE_E, TMA_STORE,
            ENTROPY, HAS_BIAS, HAS_SOFTCAP,
        )  # fmt: skip
    else:
        halves = tl.split(tl.permute(tl.reshape(z, [z.shape[0], 2, WIDTH // 2]), [0, 2, 1]))
        for half in tl.static_range(2):
            first, second, spare = _in_parts(
                halves[half], m0, n0 + half * (WIDTH // 2), first, second, spare, row, bias, out_e, n_vocab, softcap,
                WIDTH // 2, PARTS // 2, MODE, STORE_E, TMA_STORE, ENTROPY, HAS_BIAS, HAS_SOFTCAP,
            )  # fmt: skip
    return first, second, spare


@triton.jit
def scan_kernel(
    h, w, logits, bias, level, inv_t, column, own, flag, counts, out_e, parts,
    g_logp, g_entropy, entropy, at_target,
    row0, n_rows, n_vocab, n_hidden, stride_h, stride_w, stride_l, stride_e, softcap, n_splits,
    MODE: tl.constexpr, FROM_LOGITS: tl.constexpr, TMA: tl.constexpr, STORE_E: tl.constexpr,
    TMA_STORE: tl.constexpr, ENTROPY: tl.constexpr, HAS_BIAS: tl.constexpr, HAS_SOFTCAP: tl.constexpr,
    FLAGGED: tl.constexpr, SUMS: tl.constexpr,
    HAS_COUNTS: tl.constexpr, PRECISION: tl.constexpr, PARTS: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, TILES: tl.constexpr,
):  # fmt: skip
    """Walks (row tile, vocabulary split) items, row tiles fastest so that neighbours share the head's tiles in L2.

    counts = (rows that want a gradient, rows that are scored), of rows sorted in that order; a tile past them is
    skipped. parts [splits, SUMS, n_rows]: a split's row sums of exp, of exp·d and of what was rounded where E is stored
    (coefficients: of what was rounded alone).
    """
    n_m = tl.cdiv(n_rows, BLOCK_M)
    for item in tl.range(tl.program_id(0), n_m * n_splits, tl.num_programs(0)):
        m0 = (item % n_m) * BLOCK_M
        split = item // n_m
        rows = m0 + tl.arange(0, BLOCK_M)
        live = rows < n_rows
        wanted = True
        stored = True
        if HAS_COUNTS:
            wanted = row0 + m0 < tl.load(counts + 1)
            stored = row0 + m0 < tl.load(counts)
        if FLAGGED:
            marks = tl.load(flag + rows, mask=live, other=0)
            wanted = wanted & (tl.max(marks, 0) > 0)
        if wanted:
            rows64 = rows.to(tl.int64)
            at = tl.load(level + rows, mask=live, other=0.0)
            scale = tl.load(inv_t + rows, mask=live, other=1.0).to(tl.float32)
            skip = tl.load(column + rows, mask=live, other=-1)
            skip = tl.where(tl.load(own + rows, mask=live, other=0) != 0, skip, -1)
            gl = at
            ge = at
            ent = at
            y_value = at
            if MODE == "coefficients":
                gl = tl.load(g_logp + rows, mask=live, other=0.0)
                y_value = tl.load(at_target + rows, mask=live, other=0.0)
                if ENTROPY:
                    ge = tl.load(g_entropy + rows, mask=live, other=0.0)
                    ent = tl.load(entropy + rows, mask=live, other=0.0)
            keep_e = live
            if HAS_COUNTS:
                keep_e = rows < tl.where(stored, n_rows, 0)
            if FLAGGED:
                keep_e = keep_e & (marks > 0)
            if MODE == "maximum":
                first = tl.full([BLOCK_M], float("-inf"), dtype=tl.float32)
            else:
                first = tl.zeros([BLOCK_M], dtype=tl.float32)
            second = tl.zeros([BLOCK_M], dtype=tl.float32)
            spare = tl.zeros([BLOCK_M], dtype=tl.float32)
            last = tl.minimum((split + 1) * TILES * BLOCK_N, n_vocab)
            for n0 in tl.range(split * TILES * BLOCK_N, last, BLOCK_N):
                cols = n0 + tl.arange(0, BLOCK_N)
                if FROM_LOGITS:
                    z = tl.load(
                        logits + rows64[:, None] * stride_l + cols[None, :],
                        mask=live[:, None] & (cols < n_vocab)[None, :], other=0.0,
                    ).to(tl.float32)  # fmt: skip
                else:
                    z = tl.zeros([BLOCK_M, BLOCK_N], dtype=tl.float32)
                    for k0 in range(0, n_hidden, BLOCK_K):
                        if TMA:
                            x = h.load([m0, k0])
                            y = w.load([n0, k0])
                        else:
                            k = k0 + tl.arange(0, BLOCK_K)
                            x = tl.load(
                                h + rows64[:, None] * stride_h + k[None, :],
                                mask=live[:, None] & (k < n_hidden)[None, :], other=0.0,
                            )  # fmt: skip
                            y = tl.load(
                                w + cols.to(tl.int64)[:, None] * stride_w + k[None, :],
                                mask=(cols < n_vocab)[:, None] & (k < n_hidden)[None, :], other=0.0,
                            )  # fmt: skip
                        if INTERPRETED:
                            x = x.to(tl.float32)
                            y = y.to(tl.float32)
                        z = tl.dot(x, tl.trans(y), z, input_precision=PRECISION)
                first, second, spare = _in_parts(
                    z, m0, n0, first, second, spare, (at, scale, skip, gl, ge, ent, y_value, rows64 * stride_e, keep_e,
                    stored),
                    bias, out_e, n_vocab, softcap, BLOCK_N, PARTS, MODE, STORE_E, TMA_STORE, ENTROPY, HAS_BIAS,
                    HAS_SOFTCAP,
                )  # fmt: skip
            keep = live
            if FLAGGED:
                keep = keep & (marks > 0)
            to = parts + split * SUMS * n_rows + rows
            if MODE == "coefficients":
                tl.store(to, spare, mask=keep)
            else:
                tl.store(to, first, mask=keep)
                if MODE == "sums":
                    tl.store(to + n_rows, second, mask=keep)
                    if STORE_E:
                        tl.store(to + 2 * n_rows, spare, mask=keep)


@triton.jit
def settle_kernel(
    parts, z_target, inv_t, level, flag, total, first, spare,
    n_rows, n_splits, raise_above, lost_below,
    PHASE: tl.constexpr, SUMS: tl.constexpr, BLOCK_R: tl.constexpr,
):  # fmt: skip
    """Between scans. PHASE "sums": R, Q and what was rounded, and which rows need another scale; "levels": their maxima
    as levels; "rescued": the sums at those."""
    rows = tl.program_id(0) * BLOCK_R + tl.arange(0, BLOCK_R)
    live = rows < n_rows
    if PHASE != "sums":
        live = live & (tl.load(flag + rows, mask=live, other=0) > 0)
    if PHASE == "levels":
        high = tl.full([BLOCK_R], float("-inf"), dtype=tl.float32)
        for split in range(n_splits):
            high = tl.maximum(high, tl.load(parts + split * SUMS * n_rows + rows, mask=live, other=float("-inf")))
        tl.store(level + rows, tl.where(high > float("-inf"), high, 0.0), mask=live)
    else:
        r = tl.zeros([BLOCK_R], dtype=tl.float64)
        q = tl.zeros([BLOCK_R], dtype=tl.float64)
        lost = tl.zeros([BLOCK_R], dtype=tl.float64)
        for split in range(n_splits):
            at_split = parts + split * SUMS * n_rows + rows
            r += tl.load(at_split, mask=live, other=0.0).to(tl.float64)
            q += tl.load(at_split + n_rows, mask=live, other=0.0).to(tl.float64)
            if SUMS == 3:
                lost += tl.load(at_split + 2 * n_rows, mask=live, other=0.0).to(tl.float64)
        tl.store(total + rows, r, mask=live)
        tl.store(first + rows, q, mask=live)
        if SUMS == 3:
            tl.store(spare + rows, lost, mask=live)
        if PHASE == "sums":
            at = tl.load(level + rows, mask=live, other=0.0).to(tl.float64)
            zy = tl.load(z_target + rows, mask=live, other=0.0)
            s = (tl.where(zy > float("-inf"), zy, at) - at) * tl.load(inv_t + rows, mask=live, other=1.0)
            fine = (r < raise_above) & (r + tl.exp(tl.minimum(s, 0.0)) > lost_below)
            tl.store(flag + rows, tl.where(fine, 0, 1).to(tl.int32), mask=live)


@triton.jit
def finish_kernel(
    z_target, inv_t, level, total, first, spare, slope, order, role, logp, entropy, lse, row_stats,
    n_rows, least_odds, ENTROPY: tl.constexpr, HAS_ORDER: tl.constexpr, STORED: tl.constexpr, BY_ODDS: tl.constexpr,
    HAS_SOFTCAP: tl.constexpr, BLOCK_R: tl.constexpr,
):  # fmt: skip
    """Log-prob, entropy and log-sum-exp in fp64, written to the rows' own places; what the Jacobian needs in row_stats.

    role: 2 wants a gradient, 1 is scored, 0 is left out. row_stats [2, n], where exp was STORED: the weight of the
    target's row in J, and the scale (BY_ODDS: of J / (1 - p), see _rows.by_odds).
    """
    rows = tl.program_id(0) * BLOCK_R + tl.arange(0, BLOCK_R)
    live = rows < n_rows
    part = tl.load(role + rows, mask=live, other=0)
    scored = part >= 1
    graded = part == 2
    zy = tl.load(z_target + rows, mask=live, other=0.0)
    t = tl.load(inv_t + rows, mask=live, other=1.0)
    at = tl.load(level + rows, mask=live, other=0.0).to(tl.float64)
    r = tl.load(total + rows, mask=live, other=0.0)
    q = tl.load(first + rows, mask=live, other=0.0)
    banned = zy == float("-inf")
    s = (tl.where(banned, at, zy) - at) * t
    own = tl.where(banned, 0.0, tl.exp(tl.where(s < -700.0, -700.0, s)))
    whole = own + r
    odds = r * tl.exp(-tl.where(s < -600.0, -600.0, s))
    value = tl.where(s < -600.0, s - tl.log(whole), -log1p64(odds))
    value = tl.where(banned, float("-inf"), value)
    mean = (q + own * s) / whole
    to = rows
    if HAS_ORDER:
        to = tl.load(order + rows, mask=live, other=0)
    tl.store(logp + to, tl.where(scored, value, 0.0).to(tl.float32), mask=live)
    tl.store(lse + to, tl.where(scored, at * t + tl.log(whole), 0.0).to(tl.float32), mask=live)
    if ENTROPY:
        tl.store(entropy + to, tl.where(scored, tl.log(whole) - mean, 0.0).to(tl.float32), mask=live)
    if STORED:
        keep = graded & (zy > float("-inf"))
        cap = tl.load(slope + rows, mask=live, other=1.0).to(tl.float64)
        rounded = tl.load(spare + rows, mask=live, other=0.0)
        weight = r * cap + rounded
        scale = t / whole
        if BY_ODDS:
            scale = tl.where(r > least_odds, t / r, 0.0)
        if not HAS_SOFTCAP:  # what D was summed of adds up to R + rounded, and should to R
            scale *= tl.where(r > least_odds, r / (r + rounded), 1.0)
        tl.store(row_stats + rows, tl.where(keep, weight, 0.0).to(tl.float32), mask=live)
        tl.store(row_stats + n_rows + rows, tl.where(keep, scale, 0.0).to(tl.float32), mask=live)


@triton.jit
def jacobian_kernel(
    d_rows, w, column, order, row_stats, jac, n_rows, n_hidden, stride_w,
    HAS_ORDER: tl.constexpr, BLOCK_R: tl.constexpr, BLOCK_H: tl.constexpr,
):  # fmt: skip
    """J = (weight·W_y - D)·scale of row_stats; rows without gradient get zeros (their D may hold anything)."""
    rows = tl.program_id(0) * BLOCK_R + tl.arange(0, BLOCK_R)
    k = tl.program_id(1) * BLOCK_H + tl.arange(0, BLOCK_H)
    live = rows < n_rows
    inside = live[:, None] & (k < n_hidden)[None, :]
    col = tl.load(column + rows, mask=live, other=0).to(tl.int64)
    to = rows.to(tl.int64)
    if HAS_ORDER:
        to = tl.load(order + rows, mask=live, other=0)
    weight = tl.load(row_stats + rows, mask=live, other=0.0)
    scale = tl.load(row_stats + n_rows + rows, mask=live, other=0.0)
    d = tl.load(d_rows + rows.to(tl.int64)[:, None] * n_hidden + k[None, :], mask=inside, other=0.0)
    y = tl.load(w + col[:, None] * stride_w + k[None, :], mask=inside, other=0.0).to(tl.float32)
    j = tl.where((scale == 0.0)[:, None], 0.0, (weight[:, None] * y - d) * scale[:, None])
    tl.store(jac + to[:, None] * n_hidden + k[None, :], narrow(j, jac.dtype.element_ty), mask=inside)


@triton.jit
def gemm_kernel(
    a, b, out, counts, row0, m, n, k_total, stride_a, stride_b, stride_out,
    TMA: tl.constexpr, TRANS_A: tl.constexpr, ADD: tl.constexpr, HAS_COUNTS: tl.constexpr,
    PRECISION: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """out[m, n] (fp32) = A·B, or += AᵀB with TRANS_A and ADD. One program per tile, k in sequence: fixed order.

    With counts, row tiles past the rows that want a gradient are skipped (GEMM 2), or the sum stops there (∂W).
    """
    n_m = tl.cdiv(m, BLOCK_M)
    pid = tl.program_id(0)
    m0 = (pid % n_m) * BLOCK_M
    n0 = (pid // n_m) * BLOCK_N
    rows = m0 + tl.arange(0, BLOCK_M)
    cols = n0 + tl.arange(0, BLOCK_N)
    wanted = True
    k_end = k_total
    if HAS_COUNTS:
        if TRANS_A:
            k_end = tl.minimum(k_total, tl.maximum(tl.load(counts).to(tl.int32) - row0, 0))
        else:
            wanted = row0 + m0 < tl.load(counts)
    if wanted:
        acc = tl.zeros([BLOCK_M, BLOCK_N], dtype=tl.float32)
        for k0 in range(0, k_end, BLOCK_K):
            k = k0 + tl.arange(0, BLOCK_K)
            if TRANS_A:
                here = (k < k_end)[:, None] & (rows < m)[None, :]
                x = tl.trans(tl.load(a + k.to(tl.int64)[:, None] * stride_a + rows[None, :], mask=here, other=0.0))
            elif TMA:
                x = a.load([m0, k0])
            else:
                here = (rows < m)[:, None] & (k < k_end)[None, :]
                x = tl.load(a + rows.to(tl.int64)[:, None] * stride_a + k[None, :], mask=here, other=0.0)
            if TMA and not TRANS_A:
                y = b.load([k0, n0])
            else:
                here = (k < k_end)[:, None] & (cols < n)[None, :]
                y = tl.load(b + k.to(tl.int64)[:, None] * stride_b + cols[None, :], mask=here, other=0.0)
            if INTERPRETED:  # its dot multiplies the bit patterns of 16-bit operands, and BLAS sums by row position
                acc = tl.dot(x.to(tl.float64), y.to(tl.float64), acc.to(tl.float64)).to(tl.float32)
            else:
                acc = tl.dot(x, y.to(x.dtype), acc, input_precision=PRECISION)
        at = out + rows.to(tl.int64)[:, None] * stride_out + cols[None, :]
        keep = (rows < m)[:, None] & (cols < n)[None, :]
        if ADD:
            acc += tl.load(at, mask=keep, other=0.0)
        tl.store(at, acc, mask=keep)


@triton.jit
def scale_rows_kernel(jac, g_logp, out, n_rows, n_hidden, BLOCK_R: tl.constexpr, BLOCK_H: tl.constexpr):
    """∂hidden = g·J, the product in fp32, rounded once."""
    rows = tl.program_id(0) * BLOCK_R + tl.arange(0, BLOCK_R)
    k = tl.program_id(1) * BLOCK_H + tl.arange(0, BLOCK_H)
    inside = (rows < n_rows)[:, None] & (k < n_hidden)[None, :]
    at = rows.to(tl.int64)[:, None] * n_hidden + k[None, :]
    g = tl.load(g_logp + rows, mask=rows < n_rows, other=0.0)
    value = tl.load(jac + at, mask=inside, other=0.0).to(tl.float32) * g[:, None]
    tl.store(out + at, narrow(value, out.dtype.element_ty), mask=inside)
