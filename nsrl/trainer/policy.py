"""The policy's forward over packed micro-batches: log-probs of the completion tokens, nothing else kept.

Runs transformers' own modules of a `Qwen3VLForConditionalGeneration` (peft-wrapped or not) over one stream without
padding: every distinct image through the vision tower once, every prompt through the language model once, attention
with a shared prefix, and only the rows that predict completion tokens on to `nsrl_kernels.linear_logp`.
Knows nothing of rewards, losses, optimisers or samplers.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
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
    seed: of the adapters' dropout, which acts in passes that ask for it and in no other.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        attention: str | None = None,
        checkpointing: bool | None = None,
        black: float = -1.0,
        liger: bool = False,
        seed: int = 0,
    ):
        self.model, self.seed = model, seed
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
        self.dropouts = {part: _dropouts(part) for part in (self.visual, *self.text.layers)}
        self.sharded = sharded.is_sharded(model)
        self.even_graph = self.sharded  # gradients of the same parameters on every rank, images or not
        if self.sharded:  # FSDP2 gathers weights around a module's forward: these are ours
            sharded.entry(self.base, "packed_score", self._score)
            for layer in self.text.layers:
                sharded.entry(layer, "packed", partial(self._layer, layer))
        self.attention: Attention = choose_attention(attention, self.device, self.dtype)

    @property
    def device(self) -> torch.device:
        return self.text.embed_tokens.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """What the model computes in; adapters and shards may be finer."""
        return sharded.compute_dtype(self.base) if self.sharded else self.text.embed_tokens.weight.dtype

    @property
    def has_dropout(self) -> bool:
        return any(self.dropouts.values())

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
        dropout: Sequence[int | str] | None = None,
        **options: Any,
    ) -> Scored:
        """Log-prob and entropy of every completion token of the batch, at `temperature`, without the `banned` tokens.

        grad=False stores nothing for a backward. context: a `Context`, or "policy", "adapter_off", "frozen",
        "blank_images". dropout: names this pass (its step, its micro-batch): the adapters' dropout acts, its masks drawn from
        the name and the policy's seed alone, one mask for a prompt that several completions share; None: no dropout.
        options go to `nsrl_kernels.linear_logp` (entropy, grad_rows, mode, backend, …).
        """
        batch = batch.to(self.device)
        drops = dropout is not None and self.has_dropout
        drawn = self._drawn(dropout) if drops else contextlib.nullcontext()
        with contextlib.nullcontext() if grad else torch.no_grad(), drawn:
            run = self.base.packed_score if self.sharded else self._score
            logp, entropy = run(batch, context, drops, {"temperature": temperature, "banned": banned, **options})
            if self.sharded and not grad:
                self.base.reshard()  # else the gathered root would outlive the next optimiser step
        return Scored(logp, entropy)

    def _score(
        self, batch: PackedBatch, context: Context | str, drops: bool, options: dict[str, Any]
    ) -> tuple[Tensor, Tensor | None]:
        hidden = self.hidden(batch, context=context, drops=drops)
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

    def hidden(self, batch: PackedBatch, *, context: Context | str = POLICY, drops: bool = False) -> Tensor:
        """(N, H): the final hidden states that predict the batch's completion tokens, in their order.

        drops: with the adapters' dropout, drawn from torch's global random state.
        """
        context = CONTEXTS[context] if isinstance(context, str) else context
        batch = batch.to(self.device)
        plan, state = self._plan(batch)
        with self._adapter(context.adapter), self._weights(context.frozen):
            with _acting(self.dropouts[self.visual] if drops else []):
                visual, deepstack = self.encode(batch, context)
            x = pack_embed(self.text.embed_tokens.weight, visual, plan)
            if visual is None and self.even_graph and torch.is_grad_enabled() and self._tower_trains():
                x = x + self._touch_tower()
            cos, sin = self.text.rotary_emb(x, plan.positions[:, None])
            last = len(self.text.layers) - 1
            for index, layer in enumerate(self.text.layers):
                # behind the last attention only the rows that predict something are needed (unless DeepStack adds there)
                rows = batch.predict_row if index == last and last >= len(deepstack) else None
                run = layer.packed if self.sharded else partial(self._layer, layer, drops=drops)
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
        self,
        layer: nn.Module,
        x: Tensor,
        cos: Tensor,
        sin: Tensor,
        state: object,
        rows: Tensor | None,
        drops: bool = False,
    ) -> Tensor:
        """One decoder layer on the stream; with `rows`, its output at those rows alone."""
        if drops:  # switched here, not around the whole pass: a recomputation in the backward must drop the same
            with _acting(self.dropouts[layer]):
                return self._layer(layer, x, cos, sin, state, rows)
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
    def _drawn(self, name: Sequence[int | str]) -> Iterator[None]:
        """The device's random state seeded from the name and the policy's seed, and put back after."""
        digest = hashlib.blake2b(repr((self.seed, *name)).encode(), digest_size=7).digest()
        seed, cuda = int.from_bytes(digest), self.device.type == "cuda"
        with torch.random.fork_rng(devices=[self.device] if cuda else []):
            (torch.cuda.manual_seed if cuda else torch.default_generator.manual_seed)(seed)
            yield

    @contextlib.contextmanager
    def _adapter(self, on: bool):
        if on:
            yield
            return
        if not hasattr(self.model, "disable_adapter"):
            raise UserError("scoring with the adapter off needs a LoRA model; this policy has no adapter")
        frozen = [p for p in self.model.parameters() if not p.requires_grad]
        try:
            with self.model.disable_adapter():
                yield
        finally:  # peft has everything of the adapter learn when it comes back, also what was frozen
            for p in frozen:
                p.requires_grad_(False)

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
        adapted = any("lora_" in name or "modules_to_save." in name for name, _ in self.visual.named_parameters())
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


def _dropouts(part: nn.Module) -> list[nn.Module]:
    """The dropout modules of a part's adapters (the model itself has none)."""
    return [m for name, m in part.named_modules() if "lora_dropout" in name and isinstance(m, nn.Dropout) and m.p > 0]


@contextlib.contextmanager
def _acting(dropouts: Sequence[nn.Module]) -> Iterator[None]:
    """Dropout that acts inside the block; everywhere else the policy is one function."""
    for module in dropouts:
        module.train()
    try:
        yield
    finally:
        for module in dropouts:
            module.eval()


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
