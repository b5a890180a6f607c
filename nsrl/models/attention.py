"""Attention over a packed stream is causal and shares prefixes: one function, four backends, the same numbers.

A prompt's rows attend causally to the prompt; a completion's rows attend to its whole prompt and causally to itself.

| backend | how | where |
|---|---|---|
| flash-attn | varlen kernel, K/V gathered as [prompt ; completion] per sequence, bottom-right causal | CUDA |
| varlen | the same through `torch.nn.attention.varlen` | CUDA, torch ≥ 2.10 |
| flex | FlexAttention on the stream itself with a block mask, nothing gathered | CUDA; CPU without gradients |
| sdpa | `scaled_dot_product_attention` on groups padded for this call only | anywhere; the CPU's choice |

Projections and rotary positions are the decoder's: (T, heads, head_dim) comes in, the same goes out.
"""

from __future__ import annotations

import importlib.util
import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from nsrl.errors import MissingBackend
from nsrl.models.pack import Layout
from nsrl_kernels import PackPlan, gather_kv

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Sequences:
    """Where the sequences of a stream are: the plan on the device, the lengths on the host."""

    plan: PackPlan
    layout: Layout


class Attention(Protocol):
    """One backend. `prepare` once per batch, then one call per layer."""

    name: str

    def prepare(self, seqs: Sequences, dtype: torch.dtype) -> object:
        """Whatever the calls need and only the lengths decide."""

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, state: object, scale: float) -> Tensor:
        """q (T, Hq, D), k and v (T, Hkv, D), Hkv divides Hq → (T, Hq, D)."""
        ...


class _PadRows(torch.autograd.Function):
    """Rows of a stream → cells of padded blocks. Each row stands in exactly one cell, so the gradient is a gather
    too."""

    @staticmethod
    def forward(ctx, x: Tensor, row_of_cell: Tensor, cell_of_row: Tensor) -> Tensor:
        ctx.save_for_backward(cell_of_row)
        return x.index_select(0, row_of_cell)

    @staticmethod
    def backward(ctx, grad: Tensor):
        return grad.index_select(0, ctx.saved_tensors[0]), None, None


class _UnpadRows(torch.autograd.Function):
    """Cells of padded blocks → rows of the stream; padding cells get a zero gradient."""

    @staticmethod
    def forward(ctx, x: Tensor, row_of_cell: Tensor, cell_of_row: Tensor, padding: Tensor) -> Tensor:
        ctx.save_for_backward(row_of_cell, padding)
        return x.index_select(0, cell_of_row)

    @staticmethod
    def backward(ctx, grad: Tensor):
        row_of_cell, padding = ctx.saved_tensors
        return grad.index_select(0, row_of_cell).index_fill_(0, padding, 0), None, None, None


@dataclass(frozen=True, eq=False)
class _Block:
    """Some groups, padded together: P prompts of `lp` cells, G completions each of `ls` cells."""

    P: int
    G: int
    lp: int
    ls: int
    mask: Tensor  # (P, 1, ls, lp + ls), 0 where visible, −inf elsewhere

    @property
    def cells(self) -> tuple[int, int]:
        return self.P * self.lp, self.P * self.G * self.ls


class SdpaAttention:
    """torch's own attention. Groups of similar lengths are padded together, for this call only."""

    name = "sdpa"

    def prepare(self, seqs: Sequences, dtype: torch.dtype):
        """See `Attention.prepare`: the padded blocks; the stream row of each of their cells (0 in a padding cell), the
        cell of each of the T rows, and the padding cells, all int64 on the plan's device."""
        device, layout = seqs.plan.parent.device, seqs.layout
        sequence = [0]  # each group's prompt sequence
        for s in layout.suffixes:
            sequence.append(sequence[-1] + 1 + len(s))
        start = [0]
        for p, s in zip(layout.prompts, layout.suffixes):
            start += [start[-1] + p]
            for n in s:
                start.append(start[-1] + n)
        blocks, rows = [], []
        for members in _blocks(layout):
            lp = max(layout.prompts[g] for g in members)
            G = max(len(layout.suffixes[g]) for g in members)
            ls = max(max(layout.suffixes[g]) for g in members)
            P = len(members)
            p_start = torch.tensor([start[sequence[g]] for g in members])
            p_len = torch.tensor([layout.prompts[g] for g in members])
            s_start, s_len = torch.zeros(P, G, dtype=torch.long), torch.zeros(P, G, dtype=torch.long)
            for i, g in enumerate(members):
                n = len(layout.suffixes[g])
                s_start[i, :n] = torch.tensor(start[sequence[g] + 1 : sequence[g] + 1 + n])
                s_len[i, :n] = torch.tensor(layout.suffixes[g])
            jp, js = torch.arange(lp), torch.arange(ls)
            rows.append(torch.where(jp < p_len[:, None], p_start[:, None] + jp, -1).reshape(-1))
            rows.append(torch.where(js < s_len[..., None], s_start[..., None] + js, -1).reshape(-1))
            seen = torch.cat(
                [(jp < p_len[:, None])[:, None].expand(P, ls, lp), (js <= js[:, None]).expand(P, ls, ls)], -1
            )
            mask = torch.zeros(seen.shape, dtype=dtype).masked_fill_(~seen, float("-inf"))
            blocks.append(_Block(P, G, lp, ls, mask[:, None].to(device)))
        row_of_cell = torch.cat(rows)
        padding = (row_of_cell < 0).nonzero().flatten()
        valid = (row_of_cell >= 0).nonzero().flatten()
        cell_of_row = torch.empty(start[-1], dtype=torch.long)
        cell_of_row[row_of_cell[valid]] = valid
        return blocks, row_of_cell.clamp_(min=0).to(device), cell_of_row.to(device), padding.to(device)

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, state, scale: float) -> Tensor:
        blocks, row_of_cell, cell_of_row, padding = state
        Hq, Hk, D = q.shape[1], k.shape[1], q.shape[2]
        sizes = [n for b in blocks for n in b.cells]
        qs, ks, vs = (_PadRows.apply(x, row_of_cell, cell_of_row).split(sizes) for x in (q, k, v))
        out = []
        for i, b in enumerate(blocks):
            qp, kp, vp = (x[2 * i].view(b.P, b.lp, -1, D) for x in (qs, ks, vs))
            o = F.scaled_dot_product_attention(
                *(x.transpose(1, 2) for x in (qp, kp, vp)), is_causal=True, scale=scale, enable_gqa=Hq != Hk
            )
            out.append(o.transpose(1, 2).reshape(-1, Hq, D))
            if b.ls == 0:
                out.append(o.new_zeros(0, Hq, D))
                continue
            # one "head" per completion and K/V head; the query heads of a K/V head stand behind one another as rows,
            # so that neither K nor V is repeated for them
            K, V = (
                torch.cat([pre[:, None].expand(-1, b.G, -1, -1, -1), own[2 * i + 1].view(b.P, b.G, b.ls, Hk, D)], 2)
                .permute(0, 1, 3, 2, 4)
                .reshape(b.P, b.G * Hk, b.lp + b.ls, D)
                for pre, own in ((kp, ks), (vp, vs))
            )
            r = Hq // Hk
            Q = (
                qs[2 * i + 1]
                .view(b.P, b.G, b.ls, Hk, r, D)
                .permute(0, 1, 3, 4, 2, 5)
                .reshape(b.P, b.G * Hk, r * b.ls, D)
            )
            mask = b.mask if r == 1 else b.mask.repeat(1, 1, r, 1)
            o = F.scaled_dot_product_attention(Q, K, V, attn_mask=mask, scale=scale)
            out.append(o.view(b.P, b.G, Hk, r, b.ls, D).permute(0, 1, 4, 2, 3, 5).reshape(-1, Hq, D))
        return _UnpadRows.apply(torch.cat(out), row_of_cell, cell_of_row, padding)


def _blocks(layout: Layout, waste: float = 1.6, cells: int = 1 << 22) -> list[list[int]]:
    """Groups that may be padded together: the padded work stays below `waste` × the work of each one alone, and one
    head's scores below `cells` (a single group is taken whatever its size)."""

    def cost(members: list[int]) -> int:
        lp = max(layout.prompts[g] for g in members)
        G = max(len(layout.suffixes[g]) for g in members)
        ls = max(max(layout.suffixes[g]) for g in members)
        return len(members) * (lp * lp + G * ls * (lp + ls))

    order = sorted(range(len(layout.prompts)), key=lambda g: (max(layout.suffixes[g]), layout.prompts[g], g))
    out: list[list[int]] = []
    alone = 0
    for g in order:
        mine = cost([g])
        if out:
            together = cost(out[-1] + [g])
            if together <= cells and together <= waste * (alone + mine):
                out[-1].append(g)
                alone += mine
                continue
        out.append([g])
        alone = mine
    return out


class VarlenAttention:
    """A varlen kernel: q is the stream, k and v are gathered as [prompt ; completion] for every sequence.

    kernel(q, k, v, cu_q, cu_k, max_q, max_k, scale) must be causal, aligned to the bottom right. The gather's
    gradient sums over a prompt's completions in fp32, in a fixed order.
    """

    def __init__(self, name: str, kernel: Callable[..., Tensor]):
        self.name, self.kernel = name, kernel

    def prepare(self, seqs: Sequences, dtype: torch.dtype):
        """See `Attention.prepare`: the plan, and the rows of the longest sequence of queries and of keys."""
        both = list(zip(seqs.layout.prompts, seqs.layout.suffixes))
        max_q = max(max(p, *s) for p, s in both)
        return seqs.plan, max_q, max(p + max(s) for p, s in both)

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, state, scale: float) -> Tensor:
        plan, max_q, max_k = state
        k, v = gather_kv(k, plan), gather_kv(v, plan)
        return self.kernel(q.contiguous(), k, v, plan.cu_seqlens_q, plan.cu_seqlens_k, max_q, max_k, scale)


class FlexAttention:
    """FlexAttention on the stream: a block mask says which rows see which; compiled on a GPU, eager on a CPU."""

    name = "flex"

    def prepare(self, seqs: Sequences, dtype: torch.dtype):
        """See `Attention.prepare`: the block mask (T, T) of which row sees which."""
        from torch.nn.attention.flex_attention import create_block_mask

        T = sum(seqs.layout.prompts) + sum(map(sum, seqs.layout.suffixes))
        parent = seqs.plan.parent
        index = torch.arange(parent.numel(), device=parent.device)
        seq = torch.repeat_interleave(index, seqs.plan.cu_seqlens_q.diff(), output_size=T)
        prompt = parent.long()[seq]

        def sees(b, h, i, j):
            return ((seq[i] == seq[j]) & (j <= i)) | ((seq[j] == prompt[i]) & (seq[i] != prompt[i]))

        return create_block_mask(sees, None, None, T, T, device=str(seq.device))

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, state, scale: float) -> Tensor:
        if q.device.type == "cpu" and q.requires_grad:
            raise MissingBackend("attention backend flex has no backward on a CPU; use sdpa there")
        q, k, v = (x.transpose(0, 1)[None] for x in (q, k, v))
        flex = _flex(q.is_cuda)
        o = flex(q, k, v, block_mask=state, scale=scale, enable_gqa=q.shape[1] != k.shape[1])
        return o[0].transpose(0, 1)


_compiled: dict[bool, Callable] = {}


def _flex(compiled: bool) -> Callable:
    from torch.nn.attention.flex_attention import flex_attention

    if compiled not in _compiled:
        _compiled[compiled] = torch.compile(flex_attention, dynamic=True) if compiled else flex_attention
    return _compiled[compiled]


def _flash_kernel() -> Callable[..., Tensor]:
    if importlib.util.find_spec("flash_attn") is None:
        raise MissingBackend("attention backend flash-attn was asked for; the package flash_attn is not installed")
    from flash_attn import flash_attn_varlen_func

    def kernel(q, k, v, cu_q, cu_k, max_q, max_k, scale):
        return flash_attn_varlen_func(q, k, v, cu_q, cu_k, max_q, max_k, softmax_scale=scale, causal=True)

    return kernel


def _torch_varlen_kernel() -> Callable[..., Tensor]:
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError as e:
        raise MissingBackend(
            f"attention backend varlen was asked for; torch {torch.__version__} has no torch.nn.attention.varlen"
        ) from e
    has = inspect.signature(varlen_attn).parameters
    causal = {"window_size": (-1, 0)} if "window_size" in has else {"is_causal": True}

    def kernel(q, k, v, cu_q, cu_k, max_q, max_k, scale):
        extra: dict[str, Any] = dict(causal)
        if k.shape[1] != q.shape[1]:
            if "enable_gqa" in has:
                extra["enable_gqa"] = True
            else:
                k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], 1) for x in (k, v))
        if "scale" in has:
            extra["scale"] = scale
        else:
            q = q * (scale * q.shape[-1] ** 0.5)
        return varlen_attn(q, k, v, cu_q, cu_k, max_q, max_k, **extra)  # pyright: ignore

    return kernel  # pyright: ignore


BACKENDS = ("flash-attn", "varlen", "flex", "sdpa")


def choose_attention(name: str | None, device: torch.device | str, dtype: torch.dtype = torch.float32) -> Attention:
    """The backend called `name`, or the best one for `device` and `dtype`. Said once in the log.

    Raises MissingBackend when a backend is asked for by name that this machine does not have.
    """
    device = torch.device(device)
    half = dtype in (torch.float16, torch.bfloat16)
    if name is not None and name not in BACKENDS:
        raise MissingBackend(f"attention backend must be one of {', '.join(BACKENDS)}; got {name!r}")
    if name in ("flash-attn", "varlen") and device.type != "cuda":
        raise MissingBackend(f"attention backend {name} needs a CUDA device; the model is on {device.type}")
    if name in ("flash-attn", "varlen") and not half:
        raise MissingBackend(f"attention backend {name} needs float16 or bfloat16; the model is in {dtype}")
    if name is None:
        name = _best(device, half)
    chosen: Attention
    if name == "flash-attn":
        chosen = VarlenAttention(name, _flash_kernel())
    elif name == "varlen":
        chosen = VarlenAttention(name, _torch_varlen_kernel())
    else:
        chosen = FlexAttention() if name == "flex" else SdpaAttention()
    _announce(f"attention: {name} on {device.type}")
    return chosen


def _best(device: torch.device, half: bool) -> str:
    if device.type != "cuda" or not half:
        return "sdpa"
    if importlib.util.find_spec("flash_attn") is not None:
        return "flash-attn"
    if importlib.util.find_spec("torch.nn.attention.varlen") is not None:
        return "varlen"
    return "flex"


_said: set[str] = set()


def _announce(line: str) -> None:
    if line not in _said:
        _said.add(line)
        log.info(line)
