"""Why sampler and trainer disagree: a third witness, and the faults people report, tried one by one.

The witness is transformers' own forward, one sequence at a time, slow and independent of both. Whoever differs from it
is wrong; then the witness repeats each known fault on purpose, and the one that reproduces the wrong numbers is named.
Knows nothing of how either side works inside.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from nsrl.errors import UserError
from nsrl.rollout.sync import policy_checksum
from nsrl.rollout.types import Images, Request, Sample, Sampler, SamplingParams

CONTROL = {
    "<|image_pad|>": "image_token_id",
    "<|video_pad|>": "video_token_id",
    "<|vision_start|>": "vision_start_token_id",
    "<|vision_end|>": "vision_end_token_id",
}


def blanked(request: Request) -> Request:
    """The request with every picture painted in the colour of its first pixel: the same sizes and tokens, no content."""
    if request.images is None:
        return request
    rows = []
    for pixels in request.images.split():
        colour = pixels[0].view(3, -1)[:, :1]
        rows.append(colour.expand(3, pixels.shape[1] // 3).reshape(1, -1).expand_as(pixels))
    keys = tuple(f"{key} blanked" for key in request.images.keys)
    return replace(request, images=Images(torch.cat(rows), request.images.grid_thw, keys))


def require_tokenizer(tokenizer: Any, config: Any, params: SamplingParams, requests: Sequence[Request]) -> None:
    """Raise UserError unless tokenizer, model configuration and prompts are of one kind."""
    rows = config.text_config.vocab_size
    if len(tokenizer) > rows:
        raise UserError(
            f"wrong tokenizer: it has {len(tokenizer)} tokens and the model's embedding {rows} rows; "
            "is the tokenizer of another model or checkpoint?"
        )
    for token, field in CONTROL.items():
        ours, models = tokenizer.convert_tokens_to_ids(token), getattr(config, field)
        if ours != models:
            raise UserError(
                f"wrong tokenizer: {token} is id {ours} in the tokenizer and {models} in the model's {field}; "
                "is the tokenizer of another model or checkpoint?"
            )
    if tokenizer.eos_token_id not in params.stop_ids:
        raise UserError(
            f"wrong tokenizer: its end of turn, id {tokenizer.eos_token_id}, is not among the ids that end a completion "
            f"({list(params.stop_ids)}); every completion would run to the limit"
        )
    for i, request in enumerate(requests):
        text = tokenizer.decode(list(request.prompt_ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)
        again = tokenizer(text, add_special_tokens=False)["input_ids"]
        if list(again) != list(request.prompt_ids):
            raise UserError(
                f"wrong tokenizer: prompt {i} does not survive decoding and encoding ({len(request.prompt_ids)} ids, "
                f"{len(again)} after); were the prompts made with another tokenizer?"
            )


def weights_cause(model: nn.Module, sampler: Sampler) -> str:
    """The cause when text disagrees too: stale weights if the last sync is of other weights, else what is left."""
    synced = sampler.last_sync
    if synced is None:
        return "stale weights: the sampler was never synchronised with the policy"
    if synced.checksum != policy_checksum(model):
        return f"stale weights: the policy has changed since the sampler's last sync (version {synced.version})"
    return (
        "the weights inside the sampler are not the policy's although its last sync was of these (a sync that did not "
        "arrive, a stale prefix cache, or another precision)"
    )


def explain(
    policy: Any,
    sampler: Sampler,
    requests: Sequence[Request],
    groups: Sequence[Sequence[Sample]],
    sampled: Sequence[Tensor],
    scored: Sequence[Tensor],
    params: SamplingParams,
    tolerance: float,
    nudged: bool,
) -> str:
    """One sentence naming the likely cause. sampled, scored: per request, log-probs of sampler and trainer."""
    witness = _Witness(policy.model, policy.base, requests, groups, params)
    truth = witness.score()
    who = "trainer" if _same(sampled, truth, tolerance) else "sampler"
    wrong = scored if who == "trainer" else sampled
    if who == "sampler" and not _same(scored, truth, tolerance):
        who = "sampler, and the trainer too,"
    texts = [i for i, r in enumerate(requests) if r.images is None]
    pictured = [i for i, r in enumerate(requests) if r.images is not None]
    adapted = hasattr(policy.model, "disable_adapter")
    if adapted:
        with policy.model.disable_adapter():
            if _same(wrong, witness.score(), tolerance):
                return f"lost adapter: the {who} computes what the model without its LoRA adapter does"
    if pictured:
        for cause, how in (
            ("lost image: the {} computes what it would with the pictures blanked", {"blank": True}),
            ("wrong mRoPE: the {} counts image tokens as if they were text (positions on one axis)", {"axes": "text"}),
            (
                "wrong mRoPE: the {} resumes text behind an image at + rows × columns, not + max(rows, columns)",
                {"axes": "product"},
            ),
            ("wrong mRoPE: the {} gives image tokens the time axis alone (mrope_section lost?)", {"axes": "time"}),
            (
                "wrong mRoPE: the {} lays the three axes out in blocks, not interleaved (mrope_interleaved lost?)",
                {"axes": "blocks"},
            ),
        ):
            if _same(_only(wrong, pictured), _only(witness.score(**how), pictured), tolerance):
                return cause.format(who)
    if texts and pictured and _same(_only(wrong, texts), _only(truth, texts), tolerance):
        return (
            f"resized image: the {who} agrees on prompts without pictures, so weights and tokenizer are right, and no "
            "known mRoPE fault fits; its pixels are others (resized, normalised or cut into patches in another way)"
        )
    if who.startswith("trainer"):
        return (
            "the trainer differs from transformers' own forward and the sampler does not: a fault in the packed policy"
        )
    cause = weights_cause(policy.model, sampler)
    if nudged and not cause.startswith("stale weights"):
        return f"stale weights: {cause}"
    return cause


def _same(a: Sequence[Tensor], b: Sequence[Tensor], tolerance: float) -> bool:
    return float((torch.cat(list(a)) - torch.cat(list(b))).abs().max()) <= tolerance


def _only(values: Sequence[Tensor], which: Sequence[int]) -> list[Tensor]:
    return [values[i] for i in which]


class _Witness:
    """transformers' forward on each completion, with known faults on request."""

    def __init__(self, model: nn.Module, base: nn.Module, requests, groups, params: SamplingParams):
        self.model, self.base, self.requests, self.groups, self.params = model, base, requests, groups, params

    @torch.no_grad()
    def score(self, blank: bool = False, axes: str = "right") -> list[Tensor]:
        """Per request, its completions' log-probs, sample after sample."""
        out = []
        with _blocks(self.base) if axes == "blocks" else contextlib.nullcontext():
            for request, group in zip(self.requests, self.groups):
                shown = blanked(request) if blank else request
                out.append(torch.cat([self._one(shown, sample.token_ids, axes) for sample in group]))
        return out

    def _one(self, request: Request, token_ids: list[int], axes: str) -> Tensor:
        config, device = self.base.config, self.base.device
        ids = torch.tensor([[*request.prompt_ids, *token_ids]], device=device)
        kinds = (ids == config.image_token_id).int()
        kinds[:, len(request.prompt_ids) :] = 0
        inputs = {"input_ids": ids, "mm_token_type_ids": kinds}
        grid = None
        if request.images is not None:
            grid = request.images.grid_thw.to(device)
            inputs |= {"pixel_values": request.images.pixel_values.to(device), "image_grid_thw": grid}
        positions, _ = self.base.model.get_rope_index(ids, kinds, image_grid_thw=grid)
        inputs["position_ids"] = _POSITIONS[axes](positions, kinds[0].bool())
        logits = self.model(**inputs, use_cache=False).logits[0, len(request.prompt_ids) - 1 : -1].float()
        logits[:, [i for i in self.params.banned_ids if i < logits.shape[-1]]] = -torch.inf
        logp = (logits / self.params.temperature).log_softmax(-1)
        return logp.gather(-1, ids[0, len(request.prompt_ids) :, None])[:, 0].cpu()


def _as_text(positions: Tensor, image: Tensor) -> Tensor:
    return torch.arange(positions.shape[-1], device=positions.device).expand_as(positions)


def _by_product(positions: Tensor, image: Tensor) -> Tensor:
    """Text behind an image pushed on to image start + number of image tokens, the image's own axes left as they are."""
    count = torch.arange(positions.shape[-1], device=positions.device)
    moved = torch.where(image, positions, count.expand_as(positions))
    start = torch.zeros_like(count)
    opens = image & ~torch.cat([image.new_zeros(1), image[:-1]])
    for at in opens.nonzero()[:, 0].tolist():
        start[at:] = count[at] - positions[0, 0, at]
    return torch.where(image, moved + start, moved)


def _time_only(positions: Tensor, image: Tensor) -> Tensor:
    return positions[:1].expand_as(positions)


_POSITIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "right": lambda positions, image: positions,
    "blocks": lambda positions, image: positions,
    "text": _as_text,
    "product": _by_product,
    "time": _time_only,
}


@contextlib.contextmanager
def _blocks(base: nn.Module):
    """The rotary module's output with the axes in blocks of mrope_section, as Qwen2-VL lays them out."""
    rotary = base.model.language_model.rotary_emb

    def instead(module: nn.Module, args: tuple, output: Any) -> tuple[Tensor, Tensor]:
        x, positions = args
        angles = positions.expand(3, -1, -1)[..., None].float() * module.inv_freq
        parts = angles.split(list(module.mrope_section), -1)
        laid = torch.cat([part[i] for i, part in enumerate(parts)], -1)
        both = torch.cat([laid, laid], -1)
        return (both.cos() * module.attention_scaling).to(x.dtype), (both.sin() * module.attention_scaling).to(x.dtype)

    handle = rotary.register_forward_hook(instead)
    try:
        yield
    finally:
        handle.remove()
