"""A lean forward of Qwen3-VL's language model for sampling: prefill prompts once, then decode G samples of each.

It runs over the model's own weights (plain linears directly, anything else, such as peft's LoRA layers, by calling the
module), so there is nothing to synchronise. What it saves against the module's forward is overhead and copies: one
fused q/k/v product, no mask tensors, and attention that reads a prompt's keys and values once for all of its samples.

Prefill pads on the right: under a causal mask no real token sees the padding. Decode lays the live samples out as a
grid of N rows × W slots; all slots of a row share the row's prompt cache, each slot has a cache of its own behind it.
Never materialised: G copies of the prompt's keys and values; logits of prompt tokens.

Knows nothing of sampling, seeds, stop tokens or images (it is handed embeddings).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nsrl.errors import UserError

_FUSE_LIMIT = 1 << 20  # elements: above it a copy of the weights costs more than the launches it saves


def base_of(model: nn.Module) -> nn.Module:
    """The Qwen3-VL model under a peft wrapper (or the model itself)."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    if not hasattr(base, "lm_head") or not hasattr(getattr(base, "model", None), "language_model"):
        raise UserError(f"sampler: model must be a Qwen3VLForConditionalGeneration; got {type(base).__name__}")
    return base


def _fused(modules: list[nn.Module]):
    """One call that returns all modules' outputs on the last axis: one product if they are small plain linears."""
    plain = all(type(m) is nn.Linear for m in modules)
    if plain and sum(m.weight.numel() for m in modules) <= _FUSE_LIMIT:
        weight = torch.cat([m.weight for m in modules])
        bias = None if modules[0].bias is None else torch.cat([m.bias for m in modules])
        return lambda x: F.linear(x, weight, bias)
    return lambda x: torch.cat([m(x) for m in modules], -1)


class _Layer:
    """One decoder layer's weights, gathered for the calls below."""

    def __init__(self, layer: nn.Module):
        attention, mlp = layer.self_attn, layer.mlp
        self.qkv = _fused([attention.q_proj, attention.k_proj, attention.v_proj])
        self.gate_up = _fused([mlp.gate_proj, mlp.up_proj])
        self.o, self.down, self.act = attention.o_proj, mlp.down_proj, mlp.act_fn
        self.dim = attention.head_dim
        self.rep = attention.num_key_value_groups
        self.scale = attention.scaling
        self.q_norm, self.k_norm = attention.q_norm, attention.k_norm
        self.norm1, self.norm2 = layer.input_layernorm, layer.post_attention_layernorm

    def heads(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """q (…, Hq, d), k and v (…, Hkv, d) of the normed x (…, D), rotated; cos and signed sin (…, 1, d)."""
        qkv = self.qkv(_rms(x, self.norm1)).unflatten(-1, (-1, self.dim))
        kv_heads = qkv.shape[-2] // (self.rep + 2)
        q, k, v = qkv.split([kv_heads * self.rep, kv_heads, kv_heads], dim=-2)
        return _rotate(_rms(q, self.q_norm), cos, sin), _rotate(_rms(k, self.k_norm), cos, sin), v

    def feed_forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(_rms(x, self.norm2)).chunk(2, -1)
        return x + self.down(self.act(gate) * up)


def _rms(x: Tensor, norm: nn.Module) -> Tensor:
    """The module's RMSNorm: one op in fp32, the module itself (which rounds between its steps) otherwise."""
    if x.dtype is torch.float32:
        return F.rms_norm(x, norm.weight.shape, norm.weight, norm.variance_epsilon)
    return norm(x)


def _rotate(x: Tensor, cos: Tensor, signed_sin: Tensor) -> Tensor:
    """Rotary embedding; rotate_half(x) * sin is written as a roll by half times a sin with its first half negated."""
    return x * cos + x.roll(x.shape[-1] // 2, -1) * signed_sin


@dataclass
class Cache:
    """Keys and values of a decode grid. prompt_k/v: per layer (N, Hkv, Lp, d); own_k/v: per layer (N*W, Hkv, cap, d)."""

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
        """Make room for `capacity` tokens behind each of `slots` slots, keeping what is held; one tensor after the other."""
        for tensors in (self.own_k, self.own_v):
            for i, old in enumerate(tensors):
                room = old.new_empty(slots, old.shape[1], capacity, old.shape[3])
                if self.steps:
                    room[:, :, : self.steps] = old[:, :, : self.steps]
                tensors[i] = room


class LeanDecoder:
    """The language model of `model`, ready to prefill and decode. Make a new one after every change of weights."""

    def __init__(self, model: nn.Module):
        base = base_of(model)
        self.text = base.model.language_model
        self.lm_head = base.lm_head
        self.layers = [_Layer(layer) for layer in self.text.layers]
        self.dtype = self.text.embed_tokens.weight.dtype
        self.device = self.text.embed_tokens.weight.device

    def rotary(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """cos and signed sin, each (B, T, 1, d), of positions (3, B, T), by the model's own rotary module."""
        cos, sin = self.text.rotary_emb(torch.empty(0, dtype=self.dtype, device=self.device), positions)
        half = sin.shape[-1] // 2
        return cos.unsqueeze(-2), torch.cat([-sin[..., :half], sin[..., half:]], -1).unsqueeze(-2)

    def prefill(
        self, x_PLD: Tensor, positions: Tensor, lengths: Tensor, visual: Tensor | None, deepstack: list[Tensor]
    ) -> tuple[Tensor, Cache]:
        """Logits (P, V) behind each prompt's last token, and the cache of a grid with no slots yet.

        x_PLD: embeddings padded on the right; positions (3, P, L); lengths (P,); visual (P, L) bool, where image rows
        lie; deepstack: per early layer the (n_visual, D) rows added there.
        """
        cos, sin = self.rotary(positions)
        keys, values, x = [], [], x_PLD
        for i, layer in enumerate(self.layers):
            q, k, v = (t.transpose(1, 2) for t in layer.heads(x, cos, sin))
            out = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=layer.scale, enable_gqa=layer.rep > 1)
            x = layer.feed_forward(x + layer.o(out.transpose(1, 2).flatten(-2)))
            if i < len(deepstack):
                x = x.index_put((visual,), x[visual] + deepstack[i].to(x.dtype))
            keys.append(k.contiguous())
            values.append(v.contiguous())
        last = x[torch.arange(len(x), device=x.device), lengths - 1]
        pad = None
        if bool((lengths != x.shape[1]).any()):
            pad = torch.zeros(x.shape[0], 1, 1, x.shape[1], device=x.device, dtype=torch.float32)
            pad.masked_fill_((torch.arange(x.shape[1], device=x.device) >= lengths[:, None])[:, None, None], -torch.inf)
        own_k, own_v = ([k.new_empty(0, k.shape[1], 0, k.shape[3]) for k in keys] for _ in "kv")
        return self.logits(last), Cache(keys, values, own_k, own_v, pad)

    def logits(self, x: Tensor) -> Tensor:
        """(…, V) in fp32 of hidden states before the last norm."""
        x = _rms(x, self.text.norm)
        if x.is_cuda and x.dtype is not torch.float32 and type(self.lm_head) is nn.Linear:
            return torch.mm(x, self.lm_head.weight.t(), out_dtype=torch.float32)  # as the update's log-probs see them
        return self.lm_head(x).float()

    def decode(self, tokens_S: Tensor, cos: Tensor, sin: Tensor, cache: Cache) -> Tensor:
        """Logits (S, V) behind one more token of every slot, S = N*W; cos and sin (S, 1, d) of its position."""
        x = self.text.embed_tokens(tokens_S)
        t = cache.steps
        for i, layer in enumerate(self.layers):
            q, k, v = layer.heads(x, cos, sin)
            own_k, own_v = cache.own_k[i], cache.own_v[i]
            own_k[:, :, t] = k
            own_v[:, :, t] = v
            out = _grid_attention(q, cache.prompt_k[i], cache.prompt_v[i], own_k, own_v, t + 1, cache.pad, layer)
            x = layer.feed_forward(x + layer.o(out))
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
