"""The policy's forward over packed micro-batches: log-probs of the completion tokens, nothing else kept.

Runs transformers' own modules of a `Qwen3VLForConditionalGeneration` (peft-wrapped or not) over one stream without
padding: every distinct image through the vision tower once, every prompt through the language model once, attention
with a shared prefix, and only the rows that predict completion tokens on to `nsrl_kernels.linear_logp`.
Knows nothing of rewards, losses, optimisers or samplers.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import nsrl_kernels
from nsrl.errors import MissingBackend, UserError
from nsrl.trainer import sharded
from nsrl.trainer.attention import Attention, Sequences, choose_attention
from nsrl.trainer.pack import PackedBatch, PackedGroup, pack
from nsrl_kernels import PackPlan, deepstack_add, pack_embed, pack_vision


@dataclass(frozen=True)
class Context:
    """Under what the same tokens are scored.

    adapter: False scores with the LoRA adapter off. frozen: with the weights of `Policy.frozen` in place of those that
    learn (the reference model of an adapter that had learned before). images: "black" paints image patches black,
    the number of visual tokens unchanged. share: the fraction of patches painted, chosen by seed.
    """

    adapter: bool = True
    frozen: bool = False
    images: Literal["real", "black"] = "real"
    share: float = 1.0
    seed: int = 0


POLICY = Context()
ADAPTER_OFF = Context(adapter=False)
FROZEN = Context(frozen=True)
BLANK_IMAGES = Context(images="black")
CONTEXTS = {"policy": POLICY, "adapter_off": ADAPTER_OFF, "frozen": FROZEN, "blank_images": BLANK_IMAGES}


@dataclass(frozen=True, eq=False)
class Scored:
    """One pass: logp and entropy (N,) fp32, aligned with the batch's `target`, `token_rows` and `cu_completions`."""

    logp: Tensor
    entropy: Tensor | None


class Policy:
    """A model as the trainer sees it: packed batches in, log-probs of completion tokens out.

    model: `Qwen3VLForConditionalGeneration`, or a PeftModel of it. attention: a backend's name (see `attention.py`),
    None for the best one here. checkpointing: recompute each layer in the backward; None follows the model's own
    setting. black: the value of a black pixel after the image processor's normalisation (mean and std 0.5: −1).
    liger: run the language model's RMSNorm, SwiGLU and RoPE on liger-kernel's Triton kernels (a GPU is needed).
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        attention: str | None = None,
        checkpointing: bool | None = None,
        black: float = -1.0,
        liger: bool = False,
    ):
        self.model = model
        self.base = model.get_base_model() if hasattr(model, "get_base_model") else model
        inner = getattr(self.base, "model", None)
        if not hasattr(inner, "visual") or not hasattr(inner, "language_model"):
            raise UserError(f"policy model must be a Qwen3VLForConditionalGeneration; got {type(self.base).__name__}")
        self.visual, self.text = inner.visual, inner.language_model
        self.checkpointing, self.black = checkpointing, black
        if getattr(self.text.config, "attention_dropout", 0.0):
            raise UserError("policy model must have attention_dropout 0: the packed attention has no dropout")
        self.frozen: dict[str, Tensor] | None = None  # by parameter name; see `Context`
        self.ops = _LigerOps() if liger else _TorchOps()
        self.sharded = sharded.is_sharded(model)
        self.even_graph = self.sharded  # gradients of the same parameters on every rank, images or not
        if self.sharded:  # FSDP2 gathers weights around a module's forward: these are ours
            sharded.entry(self.base, "packed_score", self._score)
            for layer in self.text.layers:
                sharded.entry(layer, "packed", partial(self._layer, layer))
        self.attention: Attention = choose_attention(attention, self.device, self.text.embed_tokens.weight.dtype)

    @property
    def device(self) -> torch.device:
        return self.text.embed_tokens.weight.device

    @property
    def head(self) -> Tensor:
        """(V, H) output weight."""
        return self.base.get_output_embeddings().weight

    def score(
        self,
        batch: PackedBatch,
        *,
        temperature: float = 1.0,
        banned: Tensor | None = None,
        grad: bool = True,
        context: Context | str = POLICY,
        **options: Any,
    ) -> Scored:
        """Log-prob and entropy of every completion token of the batch, at `temperature`, without the `banned` tokens.

        grad=False stores nothing for a backward. context: a `Context`, or "policy", "adapter_off", "frozen",
        "blank_images".
        options go to `nsrl_kernels.linear_logp` (entropy, grad_rows, mode, backend, …).
        """
        batch = batch.to(self.device)
        with contextlib.nullcontext() if grad else torch.no_grad():
            run = self.base.packed_score if self.sharded else self._score
            logp, entropy = run(batch, context, {"temperature": temperature, "banned": banned, **options})
            if self.sharded and not grad:
                self.base.reshard()  # else the gathered root would outlive the next optimiser step
        return Scored(logp, entropy)

    def _score(self, batch: PackedBatch, context: Context | str, options: dict[str, Any]) -> tuple[Tensor, Tensor | None]:
        hidden = self.hidden(batch, context=context)
        # a head without an adapter of its own is the same with the adapter off
        logp, entropy = nsrl_kernels.linear_logp(hidden, self.head, batch.target, **options)
        if not self.sharded:
            return logp, entropy
        return logp.clone(), entropy if entropy is None else entropy.clone()  # FSDP2 hooks what is returned: no views

    def take_part(self, rounds: int, *, grad: bool = True) -> None:
        """Forwards (and backwards) that add nothing, for a rank of a sharded model that has fewer micro-batches."""
        config = self.base.config
        token = next(i for i in range(config.text_config.vocab_size) if i != config.image_token_id)
        group = PackedGroup([token], [[token]])
        for _ in range(rounds):
            (batch,) = pack([group], 2, image_token_id=config.image_token_id)
            nothing = 0.0 * self.score(batch, grad=grad, entropy="none").logp.sum()
            if grad:
                nothing.backward()

    def hidden(self, batch: PackedBatch, *, context: Context | str = POLICY) -> Tensor:
        """(N, H): the final hidden states that predict the batch's completion tokens, in their order."""
        context = CONTEXTS[context] if isinstance(context, str) else context
        batch = batch.to(self.device)
        plan, state = self._plan(batch)
        with self._adapter(context.adapter), self._weights(context.frozen):
            visual, deepstack = self.encode(batch, context)
            x = pack_embed(self.text.embed_tokens.weight, visual, plan)
            if visual is None and self.even_graph and torch.is_grad_enabled() and self._tower_trains():
                x = x + self._touch_tower()
            cos, sin = self.text.rotary_emb(x, plan.positions[:, None])
            last = len(self.text.layers) - 1
            for index, layer in enumerate(self.text.layers):
                # behind the last attention only the rows that predict something are needed (unless DeepStack adds there)
                rows = batch.predict_row if index == last and last >= len(deepstack) else None
                run = layer.packed if self.sharded else partial(self._layer, layer)
                if self._checkpoints():
                    x = checkpoint(run, x, cos, sin, state, rows, use_reentrant=False)
                else:
                    x = run(x, cos, sin, state, rows)
                if index < len(deepstack):
                    x = deepstack_add(x, deepstack[index], plan)
            if rows is None:
                x = x.index_select(0, batch.predict_row)
            return self.ops.norm(self.text.norm, x)

    def _layer(
        self, layer: nn.Module, x: Tensor, cos: Tensor, sin: Tensor, state: object, rows: Tensor | None
    ) -> Tensor:
        """One decoder layer on the stream; with `rows`, its output at those rows alone."""
        attn, heads, ops = layer.self_attn, (1, x.shape[0], -1, layer.self_attn.head_dim), self.ops
        h = ops.norm(layer.input_layernorm, x)
        q = ops.norm(attn.q_norm, attn.q_proj(h).view(heads)).transpose(1, 2)
        k = ops.norm(attn.k_norm, attn.k_proj(h).view(heads)).transpose(1, 2)
        v = attn.v_proj(h).view(heads)[0]
        q, k = ops.rope(q, k, cos, sin)
        o = self.attention(q[0].transpose(0, 1), k[0].transpose(0, 1), v, state, attn.scaling)
        o = o.reshape(x.shape[0], -1)
        if rows is not None:
            x, o = x.index_select(0, rows), o.index_select(0, rows)
        x = x + attn.o_proj(o)
        return x + ops.mlp(layer.mlp, ops.norm(layer.post_attention_layernorm, x))

    def _checkpoints(self) -> bool:
        wanted = self.checkpointing
        if wanted is None:
            wanted = any(getattr(layer, "gradient_checkpointing", False) for layer in self.text.layers[:1])
        return bool(wanted) and torch.is_grad_enabled()

    @contextlib.contextmanager
    def _adapter(self, on: bool):
        if on:
            yield
            return
        if not hasattr(self.model, "disable_adapter"):
            raise UserError("scoring with the adapter off needs a LoRA model; this policy has no adapter")
        with self.model.disable_adapter():
            yield

    @contextlib.contextmanager
    def _weights(self, frozen: bool):
        """The frozen weights in the parameters' places, by exchanging what they point at: nothing is copied."""
        if not frozen:
            yield
            return
        if self.frozen is None or torch.is_grad_enabled():
            raise ValueError("the frozen weights are for scoring without a gradient, once Policy.frozen is set")
        parameters = dict(self.model.named_parameters())
        learned = {name: parameters[name].data for name in self.frozen}
        try:
            for name, tensor in self.frozen.items():
                parameters[name].data = tensor
            yield
        finally:
            for name, tensor in learned.items():
                parameters[name].data = tensor

    def _plan(self, batch: PackedBatch) -> tuple[PackPlan, object]:
        key = ("plan", self.attention.name)
        if key not in batch.kept:
            plan = pack_vision(
                batch.token_ids,
                batch.cu_seqlens,
                batch.parent,
                batch.cu_images,
                batch.image_grid,
                batch.image_key,
                image_token_id=batch.image_token_id,
                merge=batch.merge,
                total_visual=batch.total_visual,
                total_kv=batch.total_kv,
            )
            seqs = Sequences(plan, batch.layout)
            batch.kept[key] = plan, self.attention.prepare(seqs, self.text.embed_tokens.weight.dtype)
        return batch.kept[key]

    def encode(self, batch: PackedBatch, context: Context) -> tuple[Tensor | None, list[Tensor]]:
        """The vision tower's rows and DeepStack features for the distinct images; kept on the batch when frozen."""
        if batch.pixel_values is None:
            return None, []
        trains = self._tower_trains()
        adapted = any("lora_" in name for name, _ in self.visual.named_parameters())
        key = ("vision", self, context.images, context.share, context.seed, (context.adapter, context.frozen) if adapted else ())
        if not trains and key in batch.kept:
            return batch.kept[key]
        pixels = batch.pixel_values
        if context.images == "black":
            chosen = torch.rand(pixels.shape[0], generator=torch.Generator().manual_seed(context.seed)) < context.share
            pixels = pixels.masked_fill(chosen[:, None].to(pixels.device), self.black)
        with contextlib.nullcontext() if trains else torch.no_grad():
            out = self.visual(pixels.to(self.visual.dtype), grid_thw=batch.distinct_grid)
        encoded = out.pooler_output, list(out.deepstack_features)
        if not trains:
            batch.kept[key] = encoded
        return encoded

    def _tower_trains(self) -> bool:
        return any(p.requires_grad for p in self.visual.parameters())

    def _touch_tower(self) -> Tensor:
        """Zero, through every parameter of the tower: a batch without images then has the shards of the other ranks."""
        config, side = self.visual.config, self.visual.config.spatial_merge_size
        width = config.in_channels * config.temporal_patch_size * config.patch_size**2
        black = torch.zeros(side * side, width, dtype=self.visual.dtype, device=self.device)
        out = self.visual(black, grid_thw=torch.tensor([[1, side, side]], device=self.device))
        return 0.0 * (out.pooler_output.sum() + sum(f.sum() for f in out.deepstack_features))


class _TorchOps:
    """transformers' own modules."""

    def __init__(self):
        from transformers.models.qwen3_vl.modeling_qwen3_vl import apply_rotary_pos_emb

        self.rope = apply_rotary_pos_emb

    def norm(self, module: nn.Module, x: Tensor) -> Tensor:
        return module(x)

    def mlp(self, module: nn.Module, x: Tensor) -> Tensor:
        return module(x)


class _LigerOps:
    """Liger's Triton RMSNorm, SwiGLU and RoPE with the same parameters; the model itself is left as it is."""

    def __init__(self):
        try:
            from liger_kernel.transformers.functional import liger_rms_norm, liger_rope, liger_swiglu
        except ImportError as e:
            raise MissingBackend("liger=True was asked for; the package liger-kernel is not installed") from e
        self.rms_norm, self.rope, self.swiglu = liger_rms_norm, liger_rope, liger_swiglu

    def norm(self, module: nn.Module, x: Tensor) -> Tensor:
        return self.rms_norm(x, module.weight, module.variance_epsilon, in_place=False)

    def mlp(self, module: nn.Module, x: Tensor) -> Tensor:
        return module.down_proj(self.swiglu(module.gate_proj(x), module.up_proj(x)))
