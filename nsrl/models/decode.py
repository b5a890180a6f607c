"""The sampler's forward prefills prompts once, then decodes G samples of each.

It walks the model's own weights, so there is nothing to synchronise. What it saves against the modules' forward is
overhead and copies: fused products, no mask tensors, and attention that reads a prompt's keys and values once for all
of its samples.

Prefill pads on the right: under a causal mask no real token sees the padding. Decode lays the live samples out as a
grid of N rows × W slots; all slots of a row share the row's prompt cache, each slot has a cache of its own behind it.
Never materialised: G copies of the prompt's keys and values; logits of prompt tokens.

Drawing tokens and stopping are the sampler's; pictures come as embeddings.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nsrl.models.decoder import Attend, DecoderLayer, FusedOps, walk
from nsrl.models.registry import family_of


@dataclass
class Cache:
    """Keys and values of a decode grid. prompt_k/v: per layer (N, Hkv, Lp, d); own_k/v: per layer (N*W, Hkv, cap,
    d)."""

    prompt_k: list[Tensor]
    prompt_v: list[Tensor]
    own_k: list[Tensor]
    own_v: list[Tensor]
    pad: Tensor | None  # (N, 1, 1, Lp) additive, -inf at padding; None when no prompt is padded
    steps: int = 0  # tokens every slot holds behind its prompt

    def select(self, rows: Tensor, slots: Tensor) -> None:
        """Become the cache of another grid: rows (N') index rows of this one, slots (N'*W') index slots of this one.

        One tensor after the other, each freed when its successor is there: the peak is the cache and one tensor.
        """
        for tensors, index in ((self.prompt_k, rows), (self.prompt_v, rows), (self.own_k, slots), (self.own_v, slots)):
            for i in range(len(tensors)):
                tensors[i] = tensors[i][index]
        if self.pad is not None:
            self.pad = self.pad[rows]

    def open_slots(self, slots: int, capacity: int) -> None:
        """Make room for `capacity` tokens behind each of `slots` slots, keeping what is held; one tensor after the
        other."""
        for tensors in (self.own_k, self.own_v):
            for i, old in enumerate(tensors):
                room = old.new_empty(slots, old.shape[1], capacity, old.shape[3])
                if self.steps:
                    room[:, :, : self.steps] = old[:, :, : self.steps]
                tensors[i] = room


class Decoder:
    """The language model of `model`, ready to prefill and decode. Make a new one after every change of weights."""

    def __init__(self, model: nn.Module) -> None:
        self.family = family_of(model)
        self.text, self.head = self.family.text, self.family.head
        self.ops = FusedOps()
        self.layers = self.family.layers(self.ops)
        self.dtype, self.device = self.text.embed_tokens.weight.dtype, self.family.device

    def rotary(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """cos and signed sin, each (B, T, 1, d), of positions (3, B, T)."""
        return self.family.rotary(positions, self.dtype)

    def prefill(
        self, x_PLD: Tensor, positions: Tensor, lengths: Tensor, visual: Tensor | None, deepstack: list[Tensor]
    ) -> tuple[Tensor, Cache]:
        """Logits (P, V) behind each prompt's last token, and the cache of a grid with no slots yet.

        x_PLD: embeddings padded on the right; positions (3, P, L); lengths (P,); visual (P, L) bool, where image rows
        lie; deepstack: per early layer the (n_visual, D) rows added there.
        """
        cos, sin = self.rotary(positions)
        keys, values = [], []

        def attend(layer: DecoderLayer, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            q, k, v = (t.transpose(1, 2) for t in (q, k, v))
            keys.append(k.contiguous())
            values.append(v.contiguous())
            out = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=layer.scale, enable_gqa=layer.rep > 1)
            return out.transpose(1, 2).flatten(-2)

        x = walk(
            self.layers, x_PLD, cos, sin, lambda index: attend, added=len(deepstack),
            add=lambda index, x: x.index_put((visual,), x[visual] + deepstack[index].to(x.dtype)),
        )  # fmt: skip
        last = x[torch.arange(len(x), device=x.device), lengths - 1]
        pad = None
        if bool((lengths != x.shape[1]).any()):
            pad = torch.zeros(x.shape[0], 1, 1, x.shape[1], device=x.device, dtype=torch.float32)
            pad.masked_fill_((torch.arange(x.shape[1], device=x.device) >= lengths[:, None])[:, None, None], -torch.inf)
        own_k, own_v = ([k.new_empty(0, k.shape[1], 0, k.shape[3]) for k in keys] for _ in "kv")
        return self.logits(last), Cache(keys, values, own_k, own_v, pad)

    def logits(self, x: Tensor) -> Tensor:
        """(…, V) in fp32 of hidden states before the last norm."""
        x = self.ops.norm(self.text.norm, x)
        if x.is_cuda and x.dtype is not torch.float32 and type(self.head) is nn.Linear:
            return torch.mm(x, self.head.weight.t(), out_dtype=torch.float32)  # as the update's log-probs see them
        return self.head(x).float()

    def decode(self, tokens_S: Tensor, cos: Tensor, sin: Tensor, cache: Cache) -> Tensor:
        """Logits (S, V) behind one more token of every slot, S = N*W; cos and sin (S, 1, d) of its position."""
        t = cache.steps

        def attention(index: int) -> Attend:
            own_k, own_v = cache.own_k[index], cache.own_v[index]

            def attend(layer: DecoderLayer, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
                own_k[:, :, t] = k
                own_v[:, :, t] = v
                return _grid_attention(
                    q, cache.prompt_k[index], cache.prompt_v[index], own_k, own_v, t + 1, cache.pad, layer
                )

            return attend

        x = walk(self.layers, self.text.embed_tokens(tokens_S), cos, sin, attention)
        cache.steps = t + 1
        return self.logits(x)


def _grid_attention(q, prompt_k, prompt_v, own_k, own_v, steps, pad, layer) -> Tensor:
    """(S, Hq*d): each slot's queries over its row's prompt and its own `steps` tokens, one softmax over both.

    The W slots' queries of a row are one matrix against the row's prompt keys, so those are read once for all.
    """
    slots, (rows, kv_heads, length, dim), rep = q.shape[0], prompt_k.shape, layer.rep
    width = slots // rows
    q = q.view(rows, width, kv_heads, rep, dim)
    q_row = q.transpose(1, 2).reshape(rows * kv_heads, width * rep, dim)
    q_own = q.reshape(slots * kv_heads, rep, dim)
    own_k = own_k.view(slots * kv_heads, -1, dim)[:, :steps]
    own_v = own_v.view(slots * kv_heads, -1, dim)[:, :steps]
    on_prompt = _products(q_row, prompt_k.flatten(0, 1)).view(rows, kv_heads, width * rep, length)
    if pad is not None:
        on_prompt = on_prompt + pad
    on_own = _products(q_own, own_k).view(rows, width, kv_heads, rep, steps)
    on_own = on_own.transpose(1, 2).reshape(rows, kv_heads, width * rep, steps)
    weights = torch.softmax(torch.cat([on_prompt, on_own], -1) * layer.scale, -1).to(q.dtype)
    out = _products(weights[..., :length].flatten(0, 1), prompt_v.flatten(0, 1).mT)
    out = out.view(rows, kv_heads, width, rep, dim).transpose(1, 2)
    w_own = weights[..., length:].view(rows, kv_heads, width, rep, steps).transpose(1, 2)
    own = _products(w_own.reshape(slots * kv_heads, rep, steps), own_v.mT).view(rows, width, kv_heads, rep, dim)
    return (out + own).to(q.dtype).reshape(slots, -1)


def _products(q: Tensor, k: Tensor) -> Tensor:
    """q·kᵀ (B, m, n) in fp32 of q (B, m, d) and k (B, n, d): rounding scores to 16 bits would show in the log-probs."""
    if q.is_cuda and q.dtype is not torch.float32:
        return torch.bmm(q, k.transpose(1, 2), out_dtype=torch.float32)
    return torch.bmm(q.float(), k.transpose(1, 2).float())
