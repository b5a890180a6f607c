"""The policy's forward runs over packed micro-batches and keeps the log-probs of the completion tokens, nothing else.

Runs transformers' own modules of a model (peft-wrapped or not) over one stream without padding: every distinct image
through the vision tower once, every prompt through the language model once, attention with a shared prefix, and only
the rows that predict completion tokens on to `nsrl_kernels.linear_logp`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

import nsrl_kernels
from nsrl.errors import UserError
from nsrl.models import fsdp, vision
from nsrl.models.attention import Attention, Sequences, choose_attention
from nsrl.models.contexts import POLICY, Context, adapter_off, weights_replaced
from nsrl.models.decoder import DecoderLayer, LigerOps, Ops, Step, walk
from nsrl.models.dropout import AdapterDropout
from nsrl.models.pack import Group, PackedBatch, pack
from nsrl.models.prompt import Prompt
from nsrl.models.registry import family_of
from nsrl_kernels import PackPlan, deepstack_add, pack_embed, pack_vision


@dataclass(frozen=True, eq=False)
class Scored:
    """One pass: logp and entropy (N,) fp32, aligned with the batch's `target`, `token_rows` and `cu_completions`."""

    logp: Tensor
    entropy: Tensor | None


class Policy:
    """A model as the trainer sees it: packed batches in, log-probs of completion tokens out.

    model: one of a known family, or a PeftModel of it. attention: a backend's name (see `attention.py`),
    None for the best one here. checkpointing: recompute each layer in the backward; None follows the model's own
    setting. black: a black pixel after the image processor's normalisation, by channel (mean and std 0.5: −1).
    liger: run the language model's RMSNorm, SwiGLU and RoPE on liger-kernel's Triton kernels (a GPU is needed).
    seed: of the adapters' dropout, which acts in passes that ask for it and in no other.
    """

    def __init__(
        self,
        model: Any,
        *,
        attention: str | None = None,
        checkpointing: bool | None = None,
        black: Sequence[float] = (-1.0, -1.0, -1.0),
        liger: bool = False,
        seed: int = 0,
    ):
        self.model = model
        self.family = family_of(model)
        self.base, self.text, self.towers = self.family.base, self.family.text, self.family.towers
        self.checkpointing, self.black = checkpointing, black
        if getattr(self.text.config, "attention_dropout", 0.0):
            raise UserError("policy model must have attention_dropout 0: the packed attention has no dropout")
        self.frozen: dict[str, Tensor] | None = None  # by parameter name; see `Context`
        self.ops = LigerOps() if liger else Ops()
        self.layers = self.family.layers(self.ops)
        self.dropout = AdapterDropout((*self.towers, *self.text.layers), seed)
        self.sharded = fsdp.is_sharded(model)
        self.same_graph = self.sharded  # gradients of the same parameters on every rank, images or not
        if self.sharded:  # FSDP2 gathers weights around a module's forward: these are ours
            fsdp.entry(self.base, "packed_score", self._score)
            for layer in self.layers:
                fsdp.entry(layer.module, "packed", layer)
        self.attention: Attention = choose_attention(attention, self.device, self.dtype)

    @property
    def device(self) -> torch.device:
        """Where the model lies, and where batches are moved to."""
        return self.family.device

    @property
    def dtype(self) -> torch.dtype:
        """What the model computes in; adapters and shards may be finer."""
        return fsdp.compute_dtype(self.base) if self.sharded else self.text.embed_tokens.weight.dtype

    @property
    def has_dropout(self) -> bool:
        """Whether any adapter drops anything: passes with and without dropout then differ."""
        return bool(self.dropout)

    @property
    def head(self) -> Tensor:
        """(V, H) output weight."""
        return self.family.head.weight

    def score(
        self,
        batch: PackedBatch,
        *,
        temperature: float = 1.0,
        banned: Tensor | None = None,
        grad: bool = True,
        context: Context = POLICY,
        dropout: Sequence[int | str] | None = None,
        **options: Any,
    ) -> Scored:
        """Log-prob and entropy of every completion token of the batch, at `temperature`, without the `banned` tokens.

        grad=False stores nothing for a backward. dropout: names this pass (its step, its micro-batch): the adapters'
        dropout acts, its masks drawn from the name and the policy's seed alone, one mask for a prompt that several
        completions share; None: no dropout. options go to `nsrl_kernels.linear_logp` (entropy, grad_rows, mode,
        backend, …).
        """
        batch = batch.to(self.device)
        drops = dropout is not None and self.has_dropout
        drawn = self.dropout.drawn(dropout or (), self.device) if drops else contextlib.nullcontext()
        with contextlib.nullcontext() if grad else torch.no_grad(), drawn:
            run = self.base.packed_score if self.sharded else self._score
            logp, entropy = run(batch, context, drops, {"temperature": temperature, "banned": banned, **options})
            if self.sharded and not grad:
                self.base.reshard()  # else the gathered root would outlive the next optimiser step
        return Scored(logp, entropy)

    def _score(
        self, batch: PackedBatch, context: Context, drops: bool, options: dict[str, Any]
    ) -> tuple[Tensor, Tensor | None]:
        hidden = self.hidden(batch, context=context, drops=drops)
        # a head without an adapter of its own is the same with the adapter off
        logp, entropy = nsrl_kernels.linear_logp(hidden, self.head, batch.target, **options)
        if not self.sharded:
            return logp, entropy
        return logp.clone(), entropy if entropy is None else entropy.clone()  # FSDP2 hooks what is returned: no views

    def join_collectives(self, rounds: int, *, grad: bool = True) -> None:
        """Forwards (and backwards) that add nothing, for a rank of a sharded model that has fewer micro-batches."""
        family = self.family
        token = next(i for i in range(family.vocabulary) if i != family.image_token_id)
        for _ in range(rounds):
            (batch,) = self.pack([Group(Prompt([token]), [[token]])], 2)
            nothing = 0.0 * self.score(batch, grad=grad, entropy="none").logp.sum()
            if grad:
                nothing.backward()

    def hidden(self, batch: PackedBatch, *, context: Context = POLICY, drops: bool = False) -> Tensor:
        """(N, H): the final hidden states that predict the batch's completion tokens, in their order.

        drops: with the adapters' dropout, drawn from torch's global random state.
        """
        batch = batch.to(self.device)
        plan, state = self._plan(batch)
        with contextlib.ExitStack() as stack:
            if not context.adapter:
                stack.enter_context(adapter_off(self.model))
            if context.frozen:
                stack.enter_context(weights_replaced(self.model, self.frozen))
            with self.dropout.acting(*self.towers if drops else ()):
                visual, deepstack = self.encode(batch, context)
            x = pack_embed(self.text.embed_tokens.weight, visual, plan)
            if visual is None and self.same_graph and torch.is_grad_enabled() and self.family.tower_trains:
                x = x + vision.zero_through_tower(self.family)
            positions = self.family.stream_positions(plan)
            cos, sin = (t[0] for t in self.family.rotary(positions[:, None], x.dtype))

            def attend(layer: DecoderLayer, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
                return self.attention(q, k, v, state, layer.scale).flatten(-2)

            x = walk(
                [self._step(layer, drops) for layer in self.layers], x, cos, sin, lambda index: attend,
                added=len(deepstack), add=lambda index, x: deepstack_add(x, deepstack[index], plan),
                rows=batch.predict_row,
            )  # fmt: skip
            return self.ops.norm(self.text.norm, x)

    def _step(self, layer: DecoderLayer, drops: bool) -> Step:
        """A layer of one pass: with its adapters' dropout, its shards, its recomputation in the backward."""
        run = layer.module.packed if self.sharded else partial(self._dropping, layer) if drops else layer
        return partial(checkpoint, run, use_reentrant=False) if self._checkpoints() else run

    def _dropping(self, layer: DecoderLayer, *args: Any) -> Tensor:
        with self.dropout.acting(layer.module):  # here, not around the pass: a recomputation must drop the same
            return layer(*args)

    def pack(self, groups: Sequence[Group], token_budget: int, parts: int = 1) -> list[PackedBatch]:
        """`nsrl.models.pack.pack` with this model's placeholder and merge."""
        return pack(
            groups, token_budget, image_token_id=self.family.image_token_id, merge=self.family.merge, parts=parts
        )

    def _checkpoints(self) -> bool:
        wanted = self.checkpointing
        if wanted is None:
            wanted = any(getattr(layer, "gradient_checkpointing", False) for layer in self.text.layers[:1])
        return bool(wanted) and torch.is_grad_enabled()

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
        """See `nsrl.models.vision.encode`."""
        return vision.encode(self.family, batch, context, self.black)
