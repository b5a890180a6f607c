"""The policy's forward over packed micro-batches: log-probs of the completion tokens, nothing else kept.

Runs transformers' own modules of a model (peft-wrapped or not) over one stream without padding: every distinct image
through the vision tower once, every prompt through the language model once, attention with a shared prefix, and only
the rows that predict completion tokens on to `nsrl_kernels.linear_logp`.
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
from nsrl.errors import UserError
from nsrl.models import fsdp
from nsrl.models.attention import Attention, Sequences, choose_attention
from nsrl.models.decoder import DecoderLayer, LigerOps, Ops, Step, walk
from nsrl.models.pack import Group, PackedBatch, pack
from nsrl.models.prompt import Prompt
from nsrl.models.registry import family_of
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
        self.model, self.seed = model, seed
        self.family = family_of(model)
        self.base, self.text, self.towers = self.family.base, self.family.text, self.family.towers
        self.checkpointing, self.black = checkpointing, black
        if getattr(self.text.config, "attention_dropout", 0.0):
            raise UserError("policy model must have attention_dropout 0: the packed attention has no dropout")
        self.frozen: dict[str, Tensor] | None = None  # by parameter name; see `Context`
        self.ops = LigerOps() if liger else Ops()
        self.layers = self.family.layers(self.ops)
        self.dropouts = {part: _dropouts(part) for part in (*self.towers, *self.text.layers)}
        self.sharded = fsdp.is_sharded(model)
        self.even_graph = self.sharded  # gradients of the same parameters on every rank, images or not
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
        return any(self.dropouts.values())

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
        context: Context | str = POLICY,
        dropout: Sequence[int | str] | None = None,
        **options: Any,
    ) -> Scored:
        """Log-prob and entropy of every completion token of the batch, at `temperature`, without the `banned` tokens.

        grad=False stores nothing for a backward. context: a `Context`, or "policy", "adapter_off", "frozen",
        "blank_images". dropout: names this pass (its step, its micro-batch): the adapters' dropout acts, its masks
        drawn from the name and the policy's seed alone, one mask for a prompt that several completions share; None: no
        dropout. options go to `nsrl_kernels.linear_logp` (entropy, grad_rows, mode, backend, …).
        """
        batch = batch.to(self.device)
        drops = dropout is not None and self.has_dropout
        drawn = self._drawn(dropout or ()) if drops else contextlib.nullcontext()
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
        family = self.family
        token = next(i for i in range(family.vocabulary) if i != family.image_token_id)
        for _ in range(rounds):
            (batch,) = self.pack([Group(Prompt([token]), [[token]])], 2)
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
            with _acting([m for tower in self.towers for m in self.dropouts[tower]] if drops else []):
                visual, deepstack = self.encode(batch, context)
            x = pack_embed(self.text.embed_tokens.weight, visual, plan)
            if visual is None and self.even_graph and torch.is_grad_enabled() and self.family.tower_trains:
                x = x + self._touch_tower()
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
        with _acting(self.dropouts[layer.module]):  # here, not around the pass: a recomputation must drop the same
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
        trains = self.family.tower_trains
        names = [name for tower in self.towers for name, _ in tower.named_parameters()]
        adapted = any("lora_" in name or "modules_to_save." in name for name in names)
        key = (
            "vision",
            self,
            context.images,
            context.share,
            context.seed,
            (context.adapter, context.frozen) if adapted else (),
        )
        if not trains and key in batch.kept:
            return batch.kept[key]
        pixels = batch.pixel_values
        if context.images == "black":
            chosen = torch.rand(pixels.shape[0], generator=torch.Generator().manual_seed(context.seed)) < context.share
            each = pixels.shape[1] // len(self.black)  # a patch is laid out channel by channel
            black = pixels.new_tensor(self.black).repeat_interleave(each)
            pixels = torch.where(chosen[:, None].to(pixels.device), black, pixels)
        with contextlib.nullcontext() if trains else torch.no_grad():
            encoded = self.family.see(pixels.to(self.family.tower_dtype), batch.distinct_grid)
        if not trains:
            batch.kept[key] = encoded
        return encoded

    def _touch_tower(self) -> Tensor:
        """Zero, through every parameter of the tower: a batch without images then has the shards of the other ranks."""
        rows, added = self.family.see(*self.family.smallest_picture())
        return 0.0 * (rows.sum() + sum(f.sum() for f in added))


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
