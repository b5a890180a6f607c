"""The Triton backend of `linear_logp`: chunks of rows, workspaces, launches. Knows nothing of autograd.

GEMM 1 is the Triton scan, which multiplies and sums in one kernel and stores nothing without a gradient; or, with
gemm="cublas", the vendor's, which writes fp32 logits of 512 rows that the same scan reads. GEMM 2 is cuBLAS when every
row wants its gradient and nobody asked for batch invariance, else the Triton GEMM (it skips row tiles by a count that
stays on the device). No host synchronisation anywhere: the whole call can be captured in a CUDA graph.
"""

import functools
import math

import torch

from ... import _tune
from ..._rows import LEAST_ODDS, RowStats, Saved, by_odds, chosen, finish, inverse_temperature, jacobian
from ..._tl import INTERPRETED, LOG2E, descriptor, multiprocessors, on_its_device
from . import kernel, sharded
from .spec import Head, Inputs, Needs, Options

_ROWS = 64  # rows per program of the per-row kernels


def stored_dtype(dtype: torch.dtype) -> torch.dtype:
    """dtype of exp(logits) in memory: bf16 has fp32's exponent range, so fp16 inputs use it too."""
    return torch.float32 if dtype == torch.float32 else torch.bfloat16


def plan(n, n_hidden, n_vocab, dtype, *, jacobian, masked=False, gemm="triton"):
    """Every buffer of a forward beyond its inputs and its (logp, entropy, lse): name -> (shape, dtype).

    The forward allocates from this table and from nothing else of size, so its sum is the op's extra memory.
    """
    splits = -(-n_vocab // _tune.split_columns())
    chunk = min(n, _tune.CHUNK_ROWS if jacobian else _tune.FORWARD_ROWS)
    stride = -(-n_vocab // 8) * 8
    part = min(chunk, _tune.LOGITS_ROWS) if gemm == "cublas" else chunk
    sums = 3 if jacobian else 2
    f32, f64, i32, e = torch.float32, torch.float64, torch.int32, stored_dtype(dtype)
    table = {
        "inv_t": ((n,), f64), "column": ((n,), i32), "own": ((n,), i32), "role": ((n,), i32),
        "z_target": ((chunk,), f64), "total": ((chunk,), f64), "first": ((chunk,), f64), "slope": ((chunk,), f32),
        "shift": ((chunk,), f32), "flag": ((chunk,), i32), "row_stats": ((2, chunk), f32), "high": ((chunk,), f32),
        "parts": ((splits, sums, part), f32), "exact": ((sums, part), torch.int64), "marked": ((1,), i32),
    }  # fmt: skip
    if masked:
        table |= {"order": ((n,), torch.int64), "hidden": ((n, n_hidden), dtype)}
    if gemm == "cublas":
        table["logits"] = ((part, stride), f32)
    if jacobian:
        table |= {"e": ((chunk, stride), e), "jacobian": ((n, n_hidden), dtype), "spare": ((chunk,), f64)}
        reuse = gemm == "cublas" and part * stride >= chunk * n_hidden  # D lies in the logits, which are done with
        table |= {} if reuse else {"d": ((chunk, n_hidden), f32)}
    return table


class _Rows:
    """Per-row inputs in the order they are processed: rows that want a gradient, rows only scored, rows left out."""

    def __init__(self, x: Inputs, options: Options, scored, graded):
        """`graded` (None: all of `scored`) are those that want a gradient; both [N] bool."""
        local = x.target - options.vocab_start
        own = (local >= 0) & (local < x.weight.shape[0])
        role = scored.int() * 2 if graded is None else scored.int() + graded.int()
        self.order = self.counts = None
        self.hidden, self.role = x.hidden.contiguous(), role
        self.inv_t = inverse_temperature(x.hidden, x.temperature_rows, options.temperature).contiguous()
        self.hint = None if x.hint_logp is None else x.hint_logp.contiguous()
        self.column, self.own = torch.where(own, local, 0).int(), own.int()
        if x.row_mask is not None or x.grad_rows is not None:
            self.order = torch.argsort(role, descending=True, stable=True)
            self.counts = torch.stack([(role == 2).sum(), (role >= 1).sum()]).int()
            for name in ("hidden", "inv_t", "role", "hint", "column", "own"):
                setattr(self, name, self.pick(getattr(self, name)))

    def pick(self, value):
        """A tensor [N, ...] of the call in this order; None stays None."""
        return value if value is None or self.order is None else value.index_select(0, self.order)


def _precision(dtype: torch.dtype) -> str:
    return "tf32x3" if dtype == torch.float32 and not INTERPRETED else "ieee"


def anchor(ws, rows, c0, c1, head, logits=None, elsewhere=math.nan) -> None:
    """Target logits, slopes and scales of rows c0:c1, from the head or from `logits` [n, V]; see `anchor_kernel`."""
    m, dummy = c1 - c0, ws["shift"]
    given = lambda x: dummy if x is None else x
    hidden, weight = (dummy, dummy) if rows.hidden is None else (rows.hidden[c0:c1], head.weight)
    stride = lambda x: 0 if x is None or x is dummy else x.stride(0)
    kernel.anchor_kernel[(-(-m // 16),)](
        hidden, weight, given(logits), given(head.bias), rows.column[c0:c1], rows.own[c0:c1],
        dummy if rows.hint is None else rows.hint[c0:c1], rows.inv_t[c0:c1], ws["z_target"], ws["slope"], ws["shift"],
        ws["marked"], m, 0 if logits is not None else hidden.shape[1], stride(hidden), stride(weight), stride(logits),
        head.softcap, elsewhere,
        HAS_BIAS=head.bias is not None, HAS_SOFTCAP=head.softcap > 0, HAS_HINT=rows.hint is not None,
        FROM_LOGITS=logits is not None, BLOCK_R=16, BLOCK_H=128,
    )  # fmt: skip


class Scan:
    """The scan kernel bound to one block of rows, and the launches around it."""

    def __init__(self, ws, rows, c0, c1, head, n_vocab, logits=None, at=0, one_tile=False):
        """Rows c0:c1 of the call, whose workspace starts at row `at`. one_tile: the same tile shape in every launch."""
        self.one_tile = one_tile
        self.ws, self.rows, self.head, self.logits, self.at = ws, rows, head, logits, at
        self.c0, self.m, self.n_vocab = c0, c1 - c0, n_vocab
        self.splits = -(-n_vocab // _tune.split_columns())
        self.n_sums = ws["parts"].shape[1]

    def _launch(self, mode, *, entropy=False, rescue=False, e=None, coefficient=(None,) * 4):
        ws, rows, head, c0, m, logits = self.ws, self.rows, self.head, self.c0, self.m, self.logits
        c1, dummy, at, stored = c0 + m, ws["shift"], slice(self.at, self.at + self.m), e
        dtype = head.weight.dtype if logits is None else logits.dtype
        choose = functools.partial(_tune.scan, dtype, from_logits=logits is not None)
        biased = head.bias is not None and not head.bans_only
        tiles = choose(
            small=rescue or self.one_tile or biased or head.softcap > 0, least=rescue and (biased or head.softcap > 0)
        )
        parts = _tune.parts(logits is not None, e is not None, tiles)
        h = w = dummy
        tma, stride_h, stride_w, n_hidden = False, 0, 0, 0
        if logits is None:
            h, w = rows.hidden[c0:c1], head.weight
            stride_h, stride_w, n_hidden = h.stride(0), w.stride(0), h.shape[1]
            by_tma = [
                descriptor(h, [tiles.block_m, tiles.block_k]), descriptor(w, [tiles.block_n, tiles.block_k]),
                None if e is None else descriptor(e[:m, : self.n_vocab], [tiles.block_m, tiles.block_n // parts]),
            ]  # fmt: skip
            tma = by_tma[0] is not None and by_tma[1] is not None and (e is None or by_tma[2] is not None)
            h, w, stored = by_tma if tma else (h, w, e)
            tiles = tiles if tma else choose(least=True)
            parts = parts if tma else _tune.parts(False, e is not None, tiles)
        given = lambda x: dummy if x is None else x
        of_rows = (ws["shift"][at], rows.inv_t[c0:c1], rows.column[c0:c1], rows.own[c0:c1])
        numbers = (
            c0, m, self.n_vocab, n_hidden, stride_h, stride_w, 0 if logits is None else logits.stride(0),
            0 if e is None else e.stride(0), head.softcap,
        )  # fmt: skip
        constants = dict(
            MODE=mode, FROM_LOGITS=logits is not None, TMA=tma, STORE_E=e is not None, TMA_STORE=tma and e is not None,
            ENTROPY=entropy, HAS_BIAS=head.bias is not None, BANS_ONLY=head.bans_only, HAS_SOFTCAP=head.softcap > 0,
            SUMS=self.n_sums, HAS_COUNTS=rows.counts is not None, PRECISION=_precision(dtype), PARTS=parts,
            BLOCK_M=tiles.block_m, BLOCK_N=tiles.block_n, BLOCK_K=tiles.block_k, num_warps=tiles.num_warps,
            num_stages=tiles.num_stages,
        )  # fmt: skip
        programs = (1 if logits is None else 8) * multiprocessors(dummy.device)
        tensors = (h, w, given(logits), given(head.bias), *of_rows)
        if rescue:
            kernel.rescue_kernel[(min(-(-self.n_vocab // tiles.block_n), programs),)](
                *tensors, ws["flag"][at], ws["marked"], given(rows.counts), given(stored), given(e), ws["parts"],
                ws["total"][at], ws["high"][at], ws["exact"], *numbers, _tune.NEGLIGIBLE,
                SPLIT=_tune.split_columns(), FIXED=_tune.FIXED, **constants,
            )  # fmt: skip
        else:
            kernel.scan_kernel[(min(-(-m // tiles.block_m) * self.splits, programs),)](
                *tensors, head.odd, given(rows.counts), given(stored), ws["parts"], *map(given, coefficient), *numbers,
                self.splits, TILES=_tune.split_columns() // tiles.block_n, ODD=_tune.ODD,
                LANES=_tune.lanes(logits is not None), **constants,
            )  # fmt: skip

    def _settle(self, phase):
        ws, at = self.ws, slice(self.at, self.at + self.m)
        spare = ws["spare"][at] if self.n_sums == 3 else ws["total"]
        kernel.settle_kernel[(-(-self.m // _ROWS),)](
            ws["parts"], ws["z_target"][at], self.rows.inv_t[self.c0 : self.c0 + self.m], ws["shift"][at],
            ws["flag"][at], ws["marked"], ws["high"][at], ws["exact"], ws["total"][at], ws["first"][at], spare, self.m,
            self.splits, _tune.RAISE_ABOVE, _tune.LOST_BELOW, _tune.LEAST_KNOWN, _tune.MOST_KNOWN,
            PHASE=phase, SUMS=self.n_sums, FIXED=_tune.FIXED, BLOCK_R=_ROWS,
        )  # fmt: skip

    def sums(self, entropy, e=None) -> None:
        """R and Q of every row. Rows whose scale was wrong are found and scanned again at their own."""
        self._launch("sums", entropy=entropy, e=e)
        self._settle("sums")
        self._launch("maximum", rescue=True)
        self._settle("levels")
        self._launch("sums", entropy=entropy, rescue=True, e=e)
        self._settle("rescued")

    def coefficients(self, out, g_logp, g_entropy, entropy, at_target) -> torch.Tensor:
        """∂L/∂(h·W) of the block in 16 bits, for the recompute mode. Returns [m] what each row lost by that."""
        given = (g_logp, g_entropy, entropy, at_target)
        self._launch("coefficients", entropy=g_entropy is not None, e=out, coefficient=given)
        return self.ws["parts"].double().sum((0, 1)).float()


def wide_product(a, b, out):
    """out [M, N] fp32 = a·b by the vendor's GEMM, accumulated in fp32, without a copy of either in fp32 on a GPU."""
    if a.dtype == torch.float32:
        return torch.mm(a, b, out=out)
    return torch.mm(a, b, out_dtype=torch.float32, out=out) if a.is_cuda else out.copy_(a.float() @ b.float())


def triton_product(a, b, out, *, counts=None, row0=0, trans_a=False, add=False):
    """out (fp32) = a·b, or += aᵀ·b, in a fixed order; skips rows past the device count."""
    dtype = b.dtype
    k_total, m = a.shape if trans_a else a.shape[::-1]
    n = b.shape[1]
    left = right = None
    tiles = _tune.gemm(dtype)
    if not trans_a and a.dtype == b.dtype:
        left, right = descriptor(a, [tiles.block_m, tiles.block_k]), descriptor(b, [tiles.block_k, tiles.block_n])
    tma = left is not None and right is not None
    tiles = tiles if tma else _tune.gemm(dtype, small=True)
    kernel.gemm_kernel[(-(-m // tiles.block_m) * -(-n // tiles.block_n),)](
        left if tma else a, right if tma else b, out, out if counts is None else counts, row0, m, n, k_total,
        a.stride(0), b.stride(0), out.stride(0),
        TMA=tma, TRANS_A=trans_a, ADD=add, HAS_COUNTS=counts is not None,
        PRECISION=_precision(dtype),
        BLOCK_M=tiles.block_m, BLOCK_N=tiles.block_n, BLOCK_K=tiles.block_k,
        num_warps=tiles.num_warps, num_stages=tiles.num_stages,
    )  # fmt: skip


@on_its_device
def forward(x: Inputs, options: Options):
    """(logp, entropy, log-sum-exp of z/T [N], J [N, H]); J has no rows unless it is saved."""
    n, n_hidden = x.hidden.shape
    n_vocab, device = x.weight.shape[0], x.hidden.device
    saves, with_entropy = options.saving == "jacobian", options.entropy != "none"
    logp, entropy, lse = (torch.zeros(n, dtype=torch.float32, device=device) for _ in range(3))
    empty = x.hidden.new_empty(0, n_hidden)
    if n == 0:
        return logp, entropy, lse, empty
    gemm = "triton" if options.batch_invariant else options.gemm
    head, group = _head(x, options), sharded.resolve_group(options.vocab_group)
    scored = chosen(x.target, x.row_mask)
    rows = _Rows(x, options, scored, None if x.grad_rows is None else scored & x.grad_rows)
    masked = rows.order is not None
    table = plan(n, n_hidden, n_vocab, x.hidden.dtype, jacobian=saves, masked=masked, gemm=gemm)
    made = ("inv_t", "column", "own", "role", "order", "hidden")
    ws = {k: torch.empty(s, dtype=d, device=device) for k, (s, d) in table.items() if k not in made}
    chunk = ws["shift"].shape[0]
    if saves and "d" not in ws:
        ws["d"] = ws["logits"].view(-1)[: chunk * n_hidden].view(chunk, n_hidden)
    for c0 in range(0, n, chunk):
        c1 = min(c0 + chunk, n)
        anchor(ws, rows, c0, c1, head, elsewhere=math.nan if group is None else 0.0)
        step = ws["logits"].shape[0] if gemm == "cublas" else c1 - c0
        for s0 in range(c0, c1, step):
            s1, at = min(s0 + step, c1), s0 - c0
            logits = None
            if gemm == "cublas":
                logits = ws["logits"][: s1 - s0, :n_vocab]
                wide_product(rows.hidden[s0:s1], head.weight.T, logits)
            e = ws["e"][at:] if saves else None
            Scan(ws, rows, s0, s1, head, n_vocab, logits, at, options.batch_invariant).sums(with_entropy, e)
        d = None
        if saves:
            left, d = ws["e"][: c1 - c0, :n_vocab], ws["d"][: c1 - c0]
            if masked or options.batch_invariant or x.hidden.dtype == torch.float16:
                triton_product(left, head.weight, d, counts=rows.counts, row0=c0)
            else:
                wide_product(left, head.weight, d)
        if group is None:
            _finish(ws, rows, c0, c1, head, with_entropy, d, logp, entropy, lse)
        else:
            _finish_sharded(ws, rows, c0, c1, head, with_entropy, d, group, logp, entropy, lse)
    return logp, entropy, lse, ws.get("jacobian", empty)


def _head(x: Inputs, options: Options) -> Head:
    weight = x.weight if x.weight.stride(1) == 1 else x.weight.contiguous()
    odd = odd_columns(x.bias, len(weight), weight.device)
    return Head(weight, x.bias, options.softcap, options.bans_only, odd)


def odd_columns(bias, n_vocab: int, device) -> torch.Tensor:
    """[V / ODD and a split more] int32: whether one of so many columns is banned or past the end."""
    whole, most = n_vocab // _tune.ODD, _tune.split_columns() // _tune.ODD
    odd = torch.ones(whole + 1 + most, dtype=torch.int32, device=device)
    odd[:whole] = 0 if bias is None else torch.isneginf(bias[: whole * _tune.ODD]).view(whole, _tune.ODD).any(1)
    return odd


def _finish(ws, rows, c0, c1, head, with_entropy, d, logp, entropy, lse):
    m, n_hidden = c1 - c0, rows.hidden.shape[1]
    ordered = rows.order is not None
    place = lambda x: x if ordered else x[c0:c1]
    order = rows.order[c0:c1] if ordered else ws["shift"]
    kernel.finish_kernel[(-(-m // _ROWS),)](
        ws["z_target"], rows.inv_t[c0:c1], ws["shift"], ws["total"], ws["first"],
        ws["total"] if d is None else ws["spare"], ws["slope"], order, rows.role[c0:c1],
        place(logp), place(entropy), place(lse), ws["row_stats"], m, LEAST_ODDS,
        ENTROPY=with_entropy, HAS_ORDER=ordered, STORED=d is not None, BY_ODDS=by_odds(rows.hidden.dtype),
        HAS_SOFTCAP=head.softcap > 0, BLOCK_R=_ROWS,
    )  # fmt: skip
    if d is not None:
        block_r, block_h = _tune.rows_by_hidden(n_hidden)
        kernel.jacobian_kernel[(-(-m // block_r), -(-n_hidden // block_h))](
            d, head.weight, rows.column[c0:c1], order, ws["row_stats"], place(ws["jacobian"]), m, n_hidden,
            head.weight.stride(0), HAS_ORDER=ordered, BLOCK_R=block_r, BLOCK_H=block_h,
        )  # fmt: skip


def _finish_sharded(ws, rows, c0, c1, head, with_entropy, d, group, logp, entropy, lse):
    """The same arithmetic in torch, between the two all-reduces."""
    m = c1 - c0
    t, own = rows.inv_t[c0:c1], rows.own[c0:c1].bool()
    total = ws["total"][:m]
    level = ws["shift"][:m].double() / (t * LOG2E.value).float() * t  # what the scan multiplied by is rounded
    stats = RowStats(
        level, total, ws["first"][:m], ws["z_target"][:m] * t, ws["slope"][:m].double(),
        torch.zeros_like(total) if d is None else ws["spare"][:m],
    )  # fmt: skip
    stats = stats._replace(slope=torch.where(own, stats.slope, 1.0))
    stats, d = sharded.merge(stats, d, group)
    row_logp, row_entropy, whole = finish(stats)
    to = rows.order[c0:c1] if rows.order is not None else slice(c0, c1)
    role = rows.role[c0:c1]
    zero_out = lambda x: torch.where(role >= 1, x, 0).float()
    logp[to], lse[to] = zero_out(row_logp), zero_out(stats.level + whole.log())
    if with_entropy:
        entropy[to] = zero_out(row_entropy)
    if d is not None:
        target_rows = head.weight[rows.column[c0:c1].long()].float() * own[:, None]
        j = sharded.sum_rows(jacobian(stats, whole, d, target_rows, t, rows.hidden.dtype, head.softcap), group)
        graded = (role == 2)[:, None]
        ws["jacobian"][to] = torch.where(graded, j, 0).to(ws["jacobian"].dtype)


@on_its_device
def backward(x: Inputs, saved: Saved, needs: Needs, options: Options):
    """(∂hidden, ∂weight, ∂bias) of the recompute mode: logits once more as coefficients, then one GEMM for each."""
    n, n_hidden = x.hidden.shape
    n_vocab, device, dtype, f32 = x.weight.shape[0], x.hidden.device, x.hidden.dtype, torch.float32
    head, group = _head(x, options), sharded.resolve_group(options.vocab_group)
    d_weight = torch.zeros(head.weight.shape if needs.need_weight else (0,), dtype=f32, device=device)
    d_bias = torch.zeros(n_vocab if needs.need_bias else 0, dtype=f32, device=device)
    d_hidden = torch.zeros_like(x.hidden) if needs.need_hidden else x.hidden.new_zeros(0)
    live = chosen(x.target, x.row_mask, x.grad_rows)
    inv_t = inverse_temperature(x.hidden, x.temperature_rows, options.temperature)
    rows = _Rows(x, options, live, None)
    if rows.order is None:  # rows that are left out are multiplied with the others: 0 times NaN would not be 0
        rows.hidden = torch.where(live[:, None], rows.hidden, 0)
    logp, entropy, lse, g_logp, g_entropy = saved
    banned = torch.isneginf(logp)
    use = live & ~banned
    gl = torch.where(use, g_logp * inv_t, 0)
    at_y = gl * -torch.expm1(logp.masked_fill(banned, 0))
    ge = None
    if g_entropy is not None:
        ge = torch.where(use, g_entropy * inv_t, 0)
        at_y = at_y - ge * torch.where(banned, 0, logp.exp() * (logp + entropy))
        ge = rows.pick(ge).float()
    gl, at_y, ent = rows.pick(gl).float(), rows.pick(at_y).float(), rows.pick(entropy)
    shift = rows.pick(torch.where(banned, 0, lse * LOG2E.value)).float()
    chunk = max(1, min(n, _tune.CHUNK_ROWS))
    c = torch.empty(chunk, -(-n_vocab // 8) * 8, dtype=stored_dtype(dtype), device=device)
    parts = torch.empty(-(-n_vocab // _tune.split_columns()), 1, chunk, dtype=f32, device=device)
    d = torch.empty(chunk if needs.need_hidden else 0, n_hidden, dtype=f32, device=device)
    plain = rows.order is None and not (options.batch_invariant or dtype == torch.float16)
    for c0 in range(0, n, chunk):
        c1 = min(c0 + chunk, n)
        part = lambda v, c0=c0, c1=c1: None if v is None else v[c0:c1]
        ws = {"shift": shift[c0:c1], "parts": parts.view(-1)[: parts.shape[0] * (c1 - c0)].view(-1, 1, c1 - c0)}
        scan = Scan(ws, rows, c0, c1, head, n_vocab, one_tile=options.batch_invariant)
        lost = scan.coefficients(c, part(gl), part(ge), part(ent), part(at_y))
        left, h = c[: c1 - c0, :n_vocab], rows.hidden[c0:c1]
        if needs.need_hidden:
            into = d[: c1 - c0]
            if plain:
                wide_product(left, head.weight, into)
            else:
                triton_product(left, head.weight, into, counts=rows.counts, row0=c0)
            lost, own, y = sharded.sum_rows(lost, group), rows.own[c0:c1], at_y[c0:c1]
            into.addcmul_((lost * own)[:, None], head.weight.index_select(0, rows.column[c0:c1]).float())
            into = sharded.sum_rows(into, group)
            if ge is None and not head.softcap:  # all but the target's add up to -y, and in 16 bits to -y - others
                others = lost - (y - y.to(c.dtype).float())
                into *= torch.where(y.abs() > 2 * others.abs(), y / (y + others), 1)[:, None]
            keep = (rows.role[c0:c1] >= 1)[:, None]
            to = rows.order[c0:c1] if rows.order is not None else slice(c0, c1)
            d_hidden[to] = torch.where(keep, into, 0).to(d_hidden.dtype)
        if needs.need_weight:
            triton_product(left, h, d_weight, counts=rows.counts, row0=c0, trans_a=True, add=True)
        if needs.need_bias:
            seen = left if rows.counts is None else torch.where((rows.role[c0:c1] >= 1)[:, None], left, 0)
            d_bias += seen.sum(0, dtype=f32)
    return d_hidden, d_weight.to(dtype), d_bias


@on_its_device
def scale_rows(jacobian_rows, g_logp, out) -> None:
    """out [N, H] = g·J in one pass."""
    n, n_hidden = jacobian_rows.shape
    block_r, block_h = _tune.rows_by_hidden(n_hidden)
    if n:
        kernel.scale_rows_kernel[(-(-n // block_r), -(-n_hidden // block_h))](
            jacobian_rows, g_logp, out, n, n_hidden, BLOCK_R=block_r, BLOCK_H=block_h
        )
