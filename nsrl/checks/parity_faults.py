"""When sampler and trainer disagree, a third witness finds out why: the faults people report are tried one by one.

The witness is transformers' own forward, one sequence at a time, slow and independent of both. Whoever differs from it
is wrong; then the witness repeats each known fault on purpose, and the one that reproduces the wrong numbers is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from nsrl.errors import UserError
from nsrl.models.family import Family, Fault
from nsrl.rollout.fingerprint import policy_checksum
from nsrl.rollout.types import Request, Sample, Sampler, SamplingParams


def blanked(request: Request) -> Request:
    """The request with every picture painted in the colour of its first pixel: the same sizes and tokens, no
    content."""
    images = []
    for image in request.prompt.images:
        shown = image.patches
        pixels = shown[0].view(3, -1)[:, :1].expand(3, shown.shape[1] // 3).reshape(1, -1).expand_as(shown)
        images.append(replace(image, pixels=pixels, key=("blanked", image.key)))
    return replace(request, prompt=replace(request.prompt, images=tuple(images)))


def require_tokenizer(tokenizer: Any, family: Family, params: SamplingParams, requests: Sequence[Request]) -> None:
    """Raise UserError unless tokenizer, model configuration and prompts are of one kind."""
    rows = family.vocabulary
    if len(tokenizer) > rows:
        raise UserError(
            f"wrong tokenizer: it has {len(tokenizer)} tokens and the model's embedding {rows} rows; "
            "is the tokenizer of another model or checkpoint?"
        )
    for token, models in family.control_tokens.items():
        ours = tokenizer.convert_tokens_to_ids(token)
        if ours != models:
            raise UserError(
                f"wrong tokenizer: {token} is id {ours} in the tokenizer and {models} in the model's configuration; "
                "is the tokenizer of another model or checkpoint?"
            )
    if tokenizer.eos_token_id not in params.stop_ids:
        raise UserError(
            f"wrong tokenizer: its end of turn, id {tokenizer.eos_token_id}, is not among the ids that end a "
            f"completion "
            f"({list(params.stop_ids)}); every completion would run to the limit"
        )
    for i, request in enumerate(requests):
        text = tokenizer.decode(list(request.prompt.ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)
        again = tokenizer(text, add_special_tokens=False)["input_ids"]
        if list(again) != list(request.prompt.ids):
            raise UserError(
                f"wrong tokenizer: prompt {i} does not survive decoding and encoding ({len(request.prompt.ids)} ids, "
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
    witness = _Witness(policy.model, policy.family, requests, groups, params)
    truth = witness.score()
    who = "trainer" if _same(sampled, truth, tolerance) else "sampler"
    wrong = scored if who == "trainer" else sampled
    if who == "sampler" and not _same(scored, truth, tolerance):
        who = "sampler, and the trainer too,"
    texts = [i for i, r in enumerate(requests) if not r.prompt.images]
    pictured = [i for i, r in enumerate(requests) if r.prompt.images]
    adapted = hasattr(policy.model, "disable_adapter")
    if adapted:
        with policy.model.disable_adapter():
            if _same(wrong, witness.score(), tolerance):
                return f"lost adapter: the {who} computes what the model without its LoRA adapter does"
    if pictured:
        lost = Fault("lost image: the {} computes what it would with the pictures blanked")
        for fault in (lost, *policy.family.faults()):
            if _same(_only(wrong, pictured), _only(witness.score(fault, blank=fault is lost), pictured), tolerance):
                return fault.cause.format(who)
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

    def __init__(self, model: nn.Module, family: Family, requests, groups, params: SamplingParams):
        self.model, self.family, self.requests, self.groups, self.params = model, family, requests, groups, params

    @torch.no_grad()
    def score(self, fault: Fault = Fault("none"), blank: bool = False) -> list[Tensor]:
        """Per request, its completions' log-probs, sample after sample."""
        out = []
        with fault.within(self.family):
            for request, group in zip(self.requests, self.groups):
                shown = blanked(request) if blank else request
                out.append(torch.cat([self._one(shown, sample, fault) for sample in group]))
        return out

    def _one(self, request: Request, sample: Sample, fault: Fault) -> Tensor:
        prompt, token_ids, device = request.prompt, sample.token_ids, self.family.device
        inputs = self.family.padded_inputs([[*prompt.ids, *token_ids]], [prompt], 0)
        inputs = fault.inputs(self.family, {name: tensor.to(device) for name, tensor in inputs.items()})
        logits = self.model(**inputs, use_cache=False).logits[0, len(prompt.ids) - 1 : -1].float()
        logits[:, [i for i in self.params.banned_ids if i < logits.shape[-1]]] = -torch.inf
        logp = (logits / self.params.temperature).log_softmax(-1)
        of_all = logp.gather(-1, torch.tensor(token_ids, device=device)[:, None])[:, 0].cpu()
        return of_all if sample.mask is None else of_all[torch.tensor(sample.mask)]
