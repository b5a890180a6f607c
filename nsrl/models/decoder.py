"""One walk through a decoder serves the update and sampling: its layers are views of transformers' own weights.

A walk leaves attention to its caller (`attend`), so the update attends over a packed stream and decoding over its
caches. How the products around it are computed is `Ops`: transformers' own modules, Liger's kernels, or few fused
products. Knows nothing of streams, caches, pictures or losses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nsrl.errors import MissingBackend

_FUSE_LIMIT = 1 << 20  # elements: above it a copy of the weights costs more than the launches it saves

Attend = Callable[["DecoderLayer", Tensor, Tensor, Tensor], Tensor]
"""(layer, q (…, Hq, d), k (…, Hkv, d), v (…, Hkv, d)) → (…, Hq·d)."""
Step = Callable[[Tensor, Tensor, Tensor, Attend, Tensor | None], Tensor]


class Ops:
    """The model's own modules, one call each: what adapters wrap and autograd follows."""

    def norm(self, module: Any, x: Tensor) -> Tensor:
        """RMSNorm of x (…, D)."""
        return module(x)

    def products(self, modules: Sequence[Any]) -> Callable[[Tensor], Sequence[Tensor]]:
        """A function of x that returns every module's product with it."""
        return lambda x: [module(x) for module in modules]

    def mlp(self, module: Any) -> Callable[[Tensor], Tensor]:
        """The feed-forward part of a layer as a function of its normed input."""
        return module

    def rotate(self, q: Tensor, k: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        """Rotary embedding of q and k (T, H, d) by cos and signed sin (T, 1, d)."""
        q, k = q[None].transpose(1, 2), k[None].transpose(1, 2)
        cos, sin = cos[None, :, 0][:, None], _unsigned(sin)[None, :, 0][:, None]
        q, k = q * cos + _half_turned(q) * sin, k * cos + _half_turned(k) * sin
        return q[0].transpose(0, 1), k[0].transpose(0, 1)


class LigerOps(Ops):
    """Liger's Triton RMSNorm, SwiGLU and RoPE with the same parameters; the model itself is left as it is."""

    def __init__(self) -> None:
        try:
            from liger_kernel.transformers.functional import liger_rms_norm, liger_rope, liger_swiglu
        except ImportError as e:
            raise MissingBackend("liger=True was asked for; the package liger-kernel is not installed") from e
        self._rms_norm, self._rope, self._swiglu = liger_rms_norm, liger_rope, liger_swiglu

    def norm(self, module: Any, x: Tensor) -> Tensor:
        """See `Ops.norm`: one kernel, which sums squares in fp32."""
        return self._rms_norm(x, module.weight, module.variance_epsilon, in_place=False)

    def mlp(self, module: Any) -> Callable[[Tensor], Tensor]:
        """See `Ops.mlp`: SiLU and product in one kernel. A part that is no gated MLP (experts) is called as it is."""
        if not hasattr(module, "gate_proj"):
            return module
        return lambda x: module.down_proj(self._swiglu(module.gate_proj(x), module.up_proj(x)))

    def rotate(self, q: Tensor, k: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        """See `Ops.rotate`: one kernel for both, which takes the sine unsigned."""
        q, k = self._rope(q[None].transpose(1, 2), k[None].transpose(1, 2), cos[None, :, 0], _unsigned(sin)[None, :, 0])
        return q[0].transpose(0, 1), k[0].transpose(0, 1)


class FusedOps(Ops):
    """For decoding: few launches. Plain linears that read the same input are one product where they are small, and fp32
    norms one op; anything else, such as peft's LoRA layers, is called. Holds copies of the weights it fused."""

    def norm(self, module: Any, x: Tensor) -> Tensor:
        """See `Ops.norm`: one op in fp32; in 16 bits the model's own module, which rounds between its steps."""
        if x.dtype is torch.float32:
            return F.rms_norm(x, module.weight.shape, module.weight, module.variance_epsilon)
        return module(x)

    def products(self, modules: Sequence[Any]) -> Callable[[Tensor], Sequence[Tensor]]:
        """See `Ops.products`: one product with the weights behind one another where all are plain linears, and small.
        Weights that change later are not seen."""
        plain = all(type(m) is nn.Linear for m in modules)
        if not plain or sum(m.weight.numel() for m in modules) > _FUSE_LIMIT:
            return super().products(modules)
        weight = torch.cat([m.weight for m in modules])
        bias = None if modules[0].bias is None else torch.cat([m.bias for m in modules])
        sizes = [m.out_features for m in modules]
        return lambda x: F.linear(x, weight, bias).split(sizes, -1)

    def mlp(self, module: Any) -> Callable[[Tensor], Tensor]:
        """See `Ops.mlp`: gate and up as one product. What is no gated MLP (experts) is called as it is."""
        if not hasattr(module, "gate_proj"):
            return module
        both = self.products([module.gate_proj, module.up_proj])

        def run(x: Tensor) -> Tensor:
            gate, up = both(x)
            return module.down_proj(module.act_fn(gate) * up)

        return run

    def rotate(self, q: Tensor, k: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        """Of q and k (…, H, d), cos and signed sin (…, 1, d): a roll by half in place of two slices and a join."""
        return q * cos + q.roll(q.shape[-1] // 2, -1) * sin, k * cos + k.roll(k.shape[-1] // 2, -1) * sin


class DecoderLayer:
    """One pre-norm decoder layer: its weights, gathered for calls with an attention of the caller's.

    module: the layer of transformers it reads; mlp: its feed-forward part, where it is not `module.mlp` of (…, D).
    """

    def __init__(self, module: Any, ops: Ops, mlp: Callable[[Tensor], Tensor] | None = None) -> None:
        attention = module.self_attn
        self.module, self.ops = module, ops
        self.qkv = ops.products([attention.q_proj, attention.k_proj, attention.v_proj])
        self.q_norm, self.k_norm = getattr(attention, "q_norm", None), getattr(attention, "k_norm", None)
        self.out, self.dim, self.scale = attention.o_proj, attention.head_dim, attention.scaling
        self.rep = attention.num_key_value_groups  # query heads per key/value head
        self.mlp = mlp or ops.mlp(module.mlp)

    def __call__(self, x: Tensor, cos: Tensor, sin: Tensor, attend: Attend, rows: Tensor | None = None) -> Tensor:
        """The layer's output for x (…, D); with `rows` (x of two axes), its output at those rows alone."""
        ops, module = self.ops, self.module
        q, k, v = (t.unflatten(-1, (-1, self.dim)) for t in self.qkv(ops.norm(module.input_layernorm, x)))
        if self.q_norm is not None:
            q, k = ops.norm(self.q_norm, q), ops.norm(self.k_norm, k)
        q, k = ops.rotate(q, k, cos, sin)
        o = attend(self, q, k, v)
        if rows is not None:
            x, o = x.index_select(0, rows), o.index_select(0, rows)
        x = x + self.out(o)
        return x + self.mlp(ops.norm(module.post_attention_layernorm, x))


def walk(
    layers: Sequence[Step],
    x: Tensor,
    cos: Tensor,
    sin: Tensor,
    attend: Callable[[int], Attend],
    *,
    added: int = 0,
    add: Callable[[int, Tensor], Tensor] | None = None,
    rows: Tensor | None = None,
) -> Tensor:
    """Hidden states (…, D) behind the last layer, before the final norm.

    layers: `DecoderLayer`s, or what wraps them (recomputation, shards). attend: each layer's attention. add: what the
    first `added` layers' outputs become (DeepStack adds picture features there). rows: only these rows are returned;
    behind the last attention nothing else is computed, unless something is added there.
    """
    last = len(layers) - 1
    for index, layer in enumerate(layers):
        chosen = rows if index == last and last >= added else None
        x = layer(x, cos, sin, attend(index), chosen)
        if index < added and add is not None:
            x = add(index, x)
    return x if rows is None or last >= added else x.index_select(0, rows)


def _unsigned(signed_sin: Tensor) -> Tensor:
    half = signed_sin.shape[-1] // 2
    return torch.cat([-signed_sin[..., :half], signed_sin[..., half:]], -1)


def _half_turned(x: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    return torch.cat((-x[..., half:], x[..., :half]), -1)
