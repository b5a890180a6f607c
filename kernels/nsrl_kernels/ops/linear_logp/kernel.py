"""Triton kernels of `linear_logp`. They know tiles and rows; chunking and masks are triton_backend.py's.

One scan serves every pass over the vocabulary: its tile of logits comes from a GEMM or from memory (cuBLAS's, or those
of logp_from_logits), and its epilogue (MODE) is one of "sums" of exp (stored in 16 bits when a Jacobian is wanted),
"maximum" (of rows whose scale was wrong) and gradient "coefficients" (recompute mode). What a row loses when its tile
is stored in 16 bits is summed too: the target's row of the head pays it back, so that coefficients add up as they did.
Sums are made in a fixed order: within a tile by Triton's reduction, across tiles and splits in sequence. No atomics.
"""

import triton
import triton.language as tl

from ..._tl import INTERPRETED, LN2, LOG2E, exp2, fast_tanh, log1p64, narrow, rounded


@triton.jit
def anchor_kernel(
    h, w, logits, bias, column, own, hint, inv_t, z_target, slope, shift, marked,
    n_rows, n_hidden, stride_h, stride_w, stride_l, softcap, elsewhere,
    HAS_BIAS: tl.constexpr, HAS_SOFTCAP: tl.constexpr, HAS_HINT: tl.constexpr, FROM_LOGITS: tl.constexpr,
    BLOCK_R: tl.constexpr, BLOCK_H: tl.constexpr,
):  # fmt: skip
    """Each row's target logit in fp64 (-inf if banned), the softcap's slope there, and the scale exp will be taken at:
    2^(logit / T · log2 e - shift).

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
    t = (tl.load(inv_t + rows, mask=live, other=1.0) * LOG2E).to(tl.float32).to(tl.float64)
    at = raw * t
    if HAS_HINT:
        known = tl.load(hint + rows, mask=live, other=0.0).to(tl.float64)
        known = tl.where(known < 0.0, known, 0.0)  # also turns NaN into "no hint"
        known = tl.where(known > -80.0, known, -80.0)
        at = tl.where(is_own, at - known * LOG2E, at)
    value = tl.where(is_own, tl.where(banned, float("-inf"), raw), elsewhere)
    tl.store(z_target + rows, value, mask=live)
    tl.store(slope + rows, d_cap.to(tl.float32), mask=live)
    tl.store(shift + rows, at.to(tl.float32), mask=live)
    tl.store(marked, 0, mask=tl.program_id(0) == 0)


@triton.jit
def _either(a, b):
    return a | b


@triton.jit
def _fold(x, LANES: tl.constexpr):
    """Row sums of a tile [M, WIDTH] in LANES parts, [M, LANES]. With 4, each is what one thread holds of a row of
    wgmma's accumulator (two columns of every eight): no thread waits for another before the walk ends."""
    if LANES == 1:
        return tl.sum(x, 1)[:, None]
    else:
        return tl.sum(tl.sum(tl.reshape(x, [x.shape[0], x.shape[1] // (2 * LANES), LANES, 2]), 3), 1)


@triton.jit
def _epilogue(
    z, m0, n0, first, second, spare, row, masked, bias, out_e, n_vocab, softcap, WIDTH: tl.constexpr,
    MODE: tl.constexpr, STORE_E: tl.constexpr, TMA_STORE: tl.constexpr, ENTROPY: tl.constexpr, HAS_BIAS: tl.constexpr,
    BANS_ONLY: tl.constexpr, HAS_SOFTCAP: tl.constexpr, RESCUE: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """What a tile of h·W becomes: row sums, row maxima or coefficients; returns the three running row vectors.

    An element costs one fma, one exp2 and the sums: where a column does not count (the target's, a banned one, one past
    the end) is asked in tiles that are `masked`.
    """
    scale, shift, skip, gl, ge, ent, y_value, row_start, keep, idle, stored = row
    cols = n0 + tl.arange(0, WIDTH)
    LOW: tl.constexpr = float("-inf") if MODE == "maximum" else -1e30  # exp gives 0, and 0 times it stays 0
    if HAS_BIAS and not BANS_ONLY:
        b = tl.load(bias + cols, mask=cols < n_vocab, other=0.0)
        z += tl.where(b > float("-inf"), b, 0.0)[None, :]
    if HAS_SOFTCAP:
        t = fast_tanh(z / softcap)
        z = softcap * t
        d_cap = 1.0 - t * t
    if masked:
        counts = cols < n_vocab
        if HAS_BIAS:
            counts = tl.load(bias + cols, mask=counts, other=float("-inf")) > float("-inf")
        counts = counts[None, :]
        if MODE != "maximum":
            counts = counts & (cols[None, :] != skip[:, None])
        z = tl.where(counts, z, LOW)
    if MODE == "maximum":
        first = tl.maximum(first, tl.max(z, 1)[:, None])
    else:
        d = tl.fma(z, scale[:, None], -shift[:, None])
        e = exp2(d)
        if MODE == "sums":
            first += _fold(e, LANES)
            if ENTROPY:
                second += _fold(e * d, LANES)
        else:
            if ENTROPY:
                e = -e * (gl[:, None] + ge[:, None] * (d * LN2 + ent[:, None]))
            else:
                e = -e * gl[:, None]
            if masked:
                e = tl.where(cols[None, :] == skip[:, None], y_value[:, None], e)
        if STORE_E:
            if HAS_SOFTCAP:
                e *= d_cap
            kept, again = rounded(e, out_e.dtype if TMA_STORE else out_e.dtype.element_ty)
            if MODE == "coefficients":
                spare += _fold(e - again, LANES)
            elif HAS_SOFTCAP:
                spare += _fold(again - e, LANES)
            else:  # less what exp sums to, in the end
                spare += _fold(again, LANES)
            if RESCUE:
                kept = tl.where(idle[:, None], 0.0, kept)
            if TMA_STORE:  # clipped to the rows and columns of the descriptor; needs no addresses or masks
                if stored:
                    out_e.store([m0, n0], kept)
            else:
                here = keep[:, None] & (cols < n_vocab)[None, :]
                tl.store(out_e + row_start[:, None] + cols[None, :], kept, mask=here)
    return first, second, spare


@triton.jit
def _in_parts(
    z, m0, n0, first, second, spare, row, masked, bias, out_e, n_vocab, softcap, WIDTH: tl.constexpr,
    PARTS: tl.constexpr, MODE: tl.constexpr, STORE_E: tl.constexpr, TMA_STORE: tl.constexpr, ENTROPY: tl.constexpr,
    HAS_BIAS: tl.constexpr, BANS_ONLY: tl.constexpr, HAS_SOFTCAP: tl.constexpr, RESCUE: tl.constexpr,
    LANES: tl.constexpr,
):  # fmt: skip
    """The epilogue on PARTS (1, 2 or 4) pieces of the tile's columns in turn: fewer temporaries beside the
    accumulator."""
    if PARTS == 1:
        first, second, spare = _epilogue(
            z, m0, n0, first, second, spare, row, masked, bias, out_e, n_vocab, softcap, WIDTH, MODE, STORE_E,
            TMA_STORE, ENTROPY, HAS_BIAS, BANS_ONLY, HAS_SOFTCAP, RESCUE, LANES,
        )  # fmt: skip
    else:
        halves = tl.split(tl.permute(tl.reshape(z, [z.shape[0], 2, WIDTH // 2]), [0, 2, 1]))
        for half in tl.static_range(2):
            first, second, spare = _in_parts(
                halves[half], m0, n0 + half * (WIDTH // 2), first, second, spare, row, masked, bias, out_e, n_vocab,
                softcap, WIDTH // 2, PARTS // 2, MODE, STORE_E, TMA_STORE, ENTROPY, HAS_BIAS, BANS_ONLY, HAS_SOFTCAP,
                RESCUE, LANES,
            )  # fmt: skip
    return first, second, spare


@triton.jit
def _products(
    z, h, w, rows64, cols, live, m0, n0, k0, n_vocab, n_hidden, stride_h, stride_w,
    TMA: tl.constexpr, PRECISION: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """z + h·W of one step along the hidden size."""
    if TMA:
        x = h.load([m0, k0])
        y = w.load([n0, k0])
    else:
        k = k0 + tl.arange(0, BLOCK_K)
        within = (k < n_hidden)[None, :]
        x = tl.load(h + rows64[:, None] * stride_h + k[None, :], mask=live[:, None] & within, other=0.0)
        y = tl.load(
            w + cols.to(tl.int64)[:, None] * stride_w + k[None, :], mask=(cols < n_vocab)[:, None] & within, other=0.0
        )
    if INTERPRETED:
        x = x.to(tl.float32)
        y = y.to(tl.float32)
    return tl.dot(x, tl.trans(y), z, input_precision=PRECISION)


@triton.jit
def scan_kernel(
    h, w, logits, bias, shift, inv_t, column, own, odd, counts, out_e, parts,
    g_logp, g_entropy, entropy, at_target,
    row0, n_rows, n_vocab, n_hidden, stride_h, stride_w, stride_l, stride_e, softcap, n_splits,
    MODE: tl.constexpr, FROM_LOGITS: tl.constexpr, TMA: tl.constexpr, STORE_E: tl.constexpr,
    TMA_STORE: tl.constexpr, ENTROPY: tl.constexpr, HAS_BIAS: tl.constexpr, BANS_ONLY: tl.constexpr,
    HAS_SOFTCAP: tl.constexpr, SUMS: tl.constexpr,
    HAS_COUNTS: tl.constexpr, PRECISION: tl.constexpr, PARTS: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, TILES: tl.constexpr, ODD: tl.constexpr,
    LANES: tl.constexpr,
):  # fmt: skip
    """Walks (row tile, vocabulary split) items, row tiles fastest so that neighbours share the head's tiles in L2.

    With TMA the walk is one loop over (tile, k): the loads of the next tile are under way while this one is summed.

    counts = (rows that want a gradient, rows that are scored), of rows sorted in that order; a tile past them is
    skipped. parts [splits, SUMS, n_rows]: a split's row sums of exp, of exp·d (in powers of two) and of what was
    rounded where E is stored (coefficients: of what was rounded alone). odd: for every ODD columns, whether one of them
    is banned or past the end.
    """
    n_m = tl.cdiv(n_rows, BLOCK_M)
    GROUP: tl.constexpr = (TILES + 30) // 31  # tiles to a bit
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
        if wanted:
            rows64 = rows.to(tl.int64)
            at = tl.load(shift + rows, mask=live, other=0.0)
            scale = (tl.load(inv_t + rows, mask=live, other=1.0) * LOG2E).to(tl.float32)
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
            first = tl.zeros([BLOCK_M, LANES], dtype=tl.float32)
            second = tl.zeros([BLOCK_M, LANES], dtype=tl.float32)
            spare = tl.zeros([BLOCK_M, LANES], dtype=tl.float32)
            begin = split * TILES * BLOCK_N
            last = tl.minimum(begin + TILES * BLOCK_N, n_vocab)
            here = live & (skip >= begin) & (skip < last)
            holds = tl.where(here, 1 << (tl.where(here, skip - begin, 0) // (GROUP * BLOCK_N)), 0)
            holds = tl.reduce(holds, 0, _either)
            row = (scale, at, skip, gl, ge, ent, y_value, rows64 * stride_e, keep_e, keep_e, stored)
            if TMA:
                n_k = tl.cdiv(n_hidden, BLOCK_K)
                z = tl.zeros([BLOCK_M, BLOCK_N], dtype=tl.float32)
                n0 = begin
                ki = 0
                for _ in tl.range(0, tl.cdiv(last - begin, BLOCK_N) * n_k):
                    z = _products(
                        z, h, w, rows64, rows, live, m0, n0, ki * BLOCK_K, n_vocab, n_hidden, stride_h, stride_w, TMA,
                        PRECISION, BLOCK_K,
                    )  # fmt: skip
                    ki += 1
                    if ki == n_k:
                        which = tl.arange(0, BLOCK_N // ODD if BLOCK_N > ODD else 1)
                        masked = (tl.max(tl.load(odd + n0 // ODD + which), 0) > 0) | (
                            (holds >> ((n0 - begin) // (GROUP * BLOCK_N))) & 1 != 0
                        )
                        first, second, spare = _in_parts(
                            z, m0, n0, first, second, spare, row, masked, bias, out_e, n_vocab, softcap, BLOCK_N,
                            PARTS, MODE, STORE_E, TMA_STORE, ENTROPY, HAS_BIAS, BANS_ONLY, HAS_SOFTCAP, False, LANES,
                        )  # fmt: skip
                        z = tl.zeros([BLOCK_M, BLOCK_N], dtype=tl.float32)
                        ki = 0
                        n0 += BLOCK_N
            else:
                for n0 in tl.range(begin, last, BLOCK_N):
                    cols = n0 + tl.arange(0, BLOCK_N)
                    if FROM_LOGITS:
                        z = tl.load(
                            logits + rows64[:, None] * stride_l + cols[None, :],
                            mask=live[:, None] & (cols < n_vocab)[None, :], other=0.0,
                        ).to(tl.float32)  # fmt: skip
                    else:
                        z = tl.zeros([BLOCK_M, BLOCK_N], dtype=tl.float32)
                        for k0 in range(0, n_hidden, BLOCK_K):
                            z = _products(
                                z, h, w, rows64, cols, live, m0, n0, k0, n_vocab, n_hidden, stride_h, stride_w, TMA,
                                PRECISION, BLOCK_K,
                            )  # fmt: skip
                    which = tl.arange(0, BLOCK_N // ODD if BLOCK_N > ODD else 1)
                    masked = (tl.max(tl.load(odd + n0 // ODD + which), 0) > 0) | (
                        (holds >> ((n0 - begin) // (GROUP * BLOCK_N))) & 1 != 0
                    )
                    first, second, spare = _in_parts(
                        z, m0, n0, first, second, spare, row, masked, bias, out_e, n_vocab, softcap, BLOCK_N, PARTS,
                        MODE, STORE_E, TMA_STORE, ENTROPY, HAS_BIAS, BANS_ONLY, HAS_SOFTCAP, False, LANES,
                    )  # fmt: skip
            to = parts + split * SUMS * n_rows + rows
            first = tl.sum(first, 1)
            spare = tl.sum(spare, 1)
            if MODE == "coefficients":
                tl.store(to, spare, mask=live)
            else:
                tl.store(to, first, mask=live)
                tl.store(to + n_rows, tl.sum(second, 1), mask=live)
                if STORE_E:
                    tl.store(to + 2 * n_rows, spare if HAS_SOFTCAP else spare - first, mask=live)


@triton.jit
def rescue_kernel(
    h, w, logits, bias, shift, inv_t, column, own, flag, marked, counts, out_e, e, parts, total, high, exact,
    row0, n_rows, n_vocab, n_hidden, stride_h, stride_w, stride_l, stride_e, softcap, negligible,
    MODE: tl.constexpr, FROM_LOGITS: tl.constexpr, TMA: tl.constexpr, STORE_E: tl.constexpr,
    TMA_STORE: tl.constexpr, ENTROPY: tl.constexpr, HAS_BIAS: tl.constexpr, BANS_ONLY: tl.constexpr,
    HAS_SOFTCAP: tl.constexpr, SUMS: tl.constexpr,
    HAS_COUNTS: tl.constexpr, PRECISION: tl.constexpr, PARTS: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, SPLIT: tl.constexpr, FIXED: tl.constexpr,
):  # fmt: skip
    """The scan again, for rows whose scale was wrong: their maxima (MODE "maximum", flag 2), or their sums at the scale
    that is right (flag 1 and 2).

    One tile is one item, so that the few rows there are take all multiprocessors; and tiles of splits that held less
    than `negligible` of all of a row with flag 1 are left out for it, E set to 0. The tiles' sums are added as integers
    (of 1 / FIXED), whose order does not matter.
    """
    LEAST: tl.constexpr = 2 if MODE == "maximum" else 1
    if tl.load(marked) >= LEAST:
        n_tiles = tl.cdiv(n_vocab, BLOCK_N)
        for m0 in tl.range(0, n_rows, BLOCK_M):
            rows = m0 + tl.arange(0, BLOCK_M)
            live = rows < n_rows
            rows64 = rows.to(tl.int64)
            stored = True
            keep_e = live
            if HAS_COUNTS:
                live = live & (row0 + rows < tl.load(counts + 1))
                stored = row0 + m0 < tl.load(counts)
                keep_e = rows < tl.where(stored, n_rows, 0)
            marks = tl.load(flag + rows, mask=live, other=0)
            if tl.max(marks, 0) >= LEAST:
                at = tl.load(shift + rows, mask=live, other=0.0)
                scale = (tl.load(inv_t + rows, mask=live, other=1.0) * LOG2E).to(tl.float32)
                skip = tl.load(column + rows, mask=live, other=-1)
                skip = tl.where(tl.load(own + rows, mask=live, other=0) != 0, skip, -1)
                least = tl.load(total + rows, mask=live, other=0.0) * negligible
                for tile in tl.range(tl.program_id(0), n_tiles, tl.num_programs(0)):
                    n0 = tile * BLOCK_N
                    cols = n0 + tl.arange(0, BLOCK_N)
                    share = tl.load(parts + (n0 // SPLIT) * SUMS * n_rows + rows, mask=live, other=0.0)
                    use = (marks == 2) | ((marks == 1) & (share.to(tl.float64) > least))
                    if MODE == "maximum":
                        use = marks == 2
                    idle = (marks > 0) & ~use
                    if STORE_E and MODE == "sums":
                        none = tl.zeros([BLOCK_M, BLOCK_N], dtype=tl.float32).to(e.dtype.element_ty)
                        there = (idle & keep_e)[:, None] & (cols < n_vocab)[None, :]
                        tl.store(e + rows64[:, None] * stride_e + cols[None, :], none, mask=there)
                    if tl.max(use.to(tl.int32), 0) > 0:
                        if FROM_LOGITS:
                            z = tl.load(
                                logits + rows64[:, None] * stride_l + cols[None, :],
                                mask=live[:, None] & (cols < n_vocab)[None, :], other=0.0,
                            ).to(tl.float32)  # fmt: skip
                        else:
                            z = tl.zeros([BLOCK_M, BLOCK_N], dtype=tl.float32)
                            for k0 in range(0, n_hidden, BLOCK_K):
                                z = _products(
                                    z, h, w, rows64, cols, live, m0, n0, k0, n_vocab, n_hidden, stride_h, stride_w,
                                    TMA, PRECISION, BLOCK_K,
                                )  # fmt: skip
                        first = tl.zeros([BLOCK_M, 1], dtype=tl.float32)
                        second = tl.zeros([BLOCK_M, 1], dtype=tl.float32)
                        spare = tl.zeros([BLOCK_M, 1], dtype=tl.float32)
                        if MODE == "maximum":
                            first -= float("inf")
                        row = (scale, at, skip, at, at, at, at, rows64 * stride_e, use & keep_e, idle, stored)
                        first, second, spare = _in_parts(
                            z, m0, n0, first, second, spare, row, True, bias, out_e, n_vocab, softcap, BLOCK_N, PARTS,
                            MODE, STORE_E, TMA_STORE, ENTROPY, HAS_BIAS, BANS_ONLY, HAS_SOFTCAP, True, 1,
                        )  # fmt: skip
                        if MODE == "maximum":
                            tl.atomic_max(high + rows, tl.max(first, 1), mask=use, sem="relaxed")
                        else:
                            if STORE_E and not HAS_SOFTCAP:
                                spare -= first
                            found = (first, second, spare)
                            for k in tl.static_range(SUMS):
                                units = (tl.sum(found[k], 1).to(tl.float64) * FIXED).to(tl.int64)
                                tl.atomic_add(exact + k * n_rows + rows, units, mask=use, sem="relaxed")


@triton.jit
def settle_kernel(
    parts, z_target, inv_t, shift, flag, marked, high, exact, total, first, spare,
    n_rows, n_splits, raise_above, lost_below, least, most,
    PHASE: tl.constexpr, SUMS: tl.constexpr, FIXED: tl.constexpr, BLOCK_R: tl.constexpr,
):  # fmt: skip
    """Between scans. PHASE "sums": R, Q and what was rounded, and which rows need another scale: that of their sum
    where it is between `least` and `most` (flag 1), else their maximum's (flag 2); "levels": those; "rescued": the sums
    at the new scale."""
    rows = tl.program_id(0) * BLOCK_R + tl.arange(0, BLOCK_R)
    live = rows < n_rows
    t = (tl.load(inv_t + rows, mask=live, other=1.0) * LOG2E).to(tl.float32)
    at = tl.load(shift + rows, mask=live, other=0.0)
    if PHASE != "sums":
        marks = tl.load(flag + rows, mask=live, other=0)
        live = live & (marks > 0)
    if PHASE == "levels":
        top = tl.load(high + rows, mask=live, other=0.0)
        known = live & (marks == 2) & (tl.abs(top) < float("inf"))
        tl.store(shift + rows, top * t, mask=known)
        tl.store(flag + rows, 0, mask=live & (marks == 2) & (tl.abs(top) == float("inf")))
    elif PHASE == "sums":
        r = tl.zeros([BLOCK_R], dtype=tl.float64)
        q = tl.zeros([BLOCK_R], dtype=tl.float64)
        lost = tl.zeros([BLOCK_R], dtype=tl.float64)
        for split in range(n_splits):
            of = parts + split * SUMS * n_rows + rows
            r += tl.load(of, mask=live, other=0.0).to(tl.float64)
            q += tl.load(of + n_rows, mask=live, other=0.0).to(tl.float64)
            if SUMS == 3:
                lost += tl.load(of + 2 * n_rows, mask=live, other=0.0).to(tl.float64)
        tl.store(total + rows, r, mask=live)
        tl.store(first + rows, q * LN2, mask=live)
        if SUMS == 3:
            tl.store(spare + rows, lost, mask=live)
        zy = tl.load(z_target + rows, mask=live, other=0.0)
        s = zy * t.to(tl.float64) - at.to(tl.float64)  # in powers of two
        s = tl.where(zy > float("-inf"), tl.minimum(s, 0.0), 0.0)
        whole = r + tl.exp(tl.maximum(s, -1000.0) * LN2)
        fine = ((r < raise_above) & (whole > lost_below)) | (r != r)
        known = (whole > least) & (whole < most)
        mark = tl.where(fine, 0, tl.where(known, 1, 2)).to(tl.int32)
        tl.store(flag + rows, mark, mask=live)
        more = tl.log(tl.where(known, whole, 1.0)) * LOG2E
        tl.store(shift + rows, at + more.to(tl.float32), mask=live & (mark == 1))
        tl.store(high + rows, float("-inf"), mask=live)
        for k in tl.static_range(SUMS):
            tl.store(exact + k * n_rows + rows, tl.zeros([BLOCK_R], dtype=tl.int64), mask=live)
        tl.atomic_max(marked, tl.max(tl.where(live, mark, 0), 0), sem="relaxed")
    else:
        tl.store(total + rows, tl.load(exact + rows, mask=live, other=0).to(tl.float64) / FIXED, mask=live)
        q = tl.load(exact + n_rows + rows, mask=live, other=0).to(tl.float64) / FIXED
        tl.store(first + rows, q * LN2, mask=live)
        if SUMS == 3:
            lost = tl.load(exact + 2 * n_rows + rows, mask=live, other=0).to(tl.float64) / FIXED
            tl.store(spare + rows, lost, mask=live)


@triton.jit
def finish_kernel(
    z_target, inv_t, shift, total, first, spare, slope, order, role, logp, entropy, lse, row_stats,
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
    at = tl.load(shift + rows, mask=live, other=0.0).to(tl.float64) / (t * LOG2E).to(tl.float32).to(tl.float64) * t
    r = tl.load(total + rows, mask=live, other=0.0)
    q = tl.load(first + rows, mask=live, other=0.0)
    banned = zy == float("-inf")
    s = tl.where(banned, 0.0, zy * t - at)
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
    tl.store(lse + to, tl.where(scored, at + tl.log(whole), 0.0).to(tl.float32), mask=live)
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
