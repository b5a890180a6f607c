"""The sampler of our own computes each prompt and image once and shares the cache out to G samples.

Finished samples leave the batch, groups are handed on as they finish, and a sample's draws depend on its seed alone:
what else is in the batch can move logits in their last bits (matrix products sum in another order), nothing else.
It samples with the very module that learns, so weights cannot be stale; `sync` only reports.

Knows nothing of tokenizers, data sets, engines or rewards.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from nsrl.errors import UserError
from nsrl.models.decode import Cache, Decoder
from nsrl.models.prompt import PromptImage
from nsrl.models.registry import base_of, family_of
from nsrl.rollout.categorical import ban_row, draw
from nsrl.rollout.ends import Ends
from nsrl.rollout.fingerprint import policy_checksum
from nsrl.rollout.grid import Grid, lay_out, moves, shrunk, size
from nsrl.rollout.rng import sample_key, uniforms
from nsrl.rollout.types import OnGroup, Request, Sample, SampleStats, SamplingParams, SyncReport

_FIRST_CAPACITY = 64  # tokens of cache per slot at first; doubled when full


@dataclass
class _Wave:
    """What is sampled together: some requests, all of their samples."""

    requests: Sequence[Request]
    first: int  # index of its first request in the call
    prompt_of: list[int] = field(default_factory=list)  # request (within the wave) of each sample

    def __post_init__(self) -> None:
        self.prompt_of = [p for p, r in enumerate(self.requests) for _ in range(r.n)]

    def members(self) -> list[list[int]]:
        groups: list[list[int]] = [[] for _ in self.requests]
        for sample, prompt in enumerate(self.prompt_of):
            groups[prompt].append(sample)
        return groups


class NativeSampler:
    """Samples from `model`, plain or wrapped by peft, on the device where it lives.

    max_sequences: most samples computed together; a call with more runs in waves of whole requests.
    max_patches: most image patches through the vision tower at once. max_cache_bytes: most keys and values held at once
    (None: 60% of what is free on a GPU, no bound on a CPU); a single request's own are never split.
    """

    def __init__(
        self,
        model: nn.Module,
        max_sequences: int = 512,
        max_patches: int = 1 << 16,
        max_cache_bytes: int | None = None,
    ):
        self.model = model
        self.family = family_of(model)
        self.max_sequences = max_sequences
        self.max_patches = max_patches
        self.max_cache_bytes = max_cache_bytes
        self.version = 0
        self.last_sync: SyncReport | None = None
        self.stats = SampleStats()

    def sync(self, policy: nn.Module) -> SyncReport:
        """Sampling reads the policy's own tensors: nothing is copied, the report carries their checksum."""
        if base_of(policy) is not self.family.base:
            raise UserError("NativeSampler.sync: policy must be the model the sampler was made with; got another one")
        start = time.perf_counter()
        self.version += 1
        self.last_sync = SyncReport(self.version, 0, 0, policy_checksum(policy), time.perf_counter() - start)
        return self.last_sync

    def close(self) -> None:
        """Nothing to give back: the model is the caller's."""

    def sample(
        self, requests: Sequence[Request], params: SamplingParams, on_group: OnGroup | None = None
    ) -> list[list[Sample]]:
        """See `nsrl.rollout.types.Sampler.sample`. Raises UserError when the model has too few positions."""
        positions = self.family.positions
        for request in requests:
            most = min(params.max_tokens, request.max_tokens or params.max_tokens)
            if len(request.prompt.ids) + most > positions:
                raise UserError(
                    f"prompt and completion must fit the model's {positions} positions; got a prompt of "
                    f"{len(request.prompt.ids)} tokens (request {request.problem}) and completions of {most}"
                )
        training = self.model.training
        self.model.eval()  # LoRA's dropout must not sample
        self.stats = SampleStats(prompts=len(requests), samples=sum(r.n for r in requests))
        groups: list[list[Sample]] = [[] for _ in requests]

        def emit(index: int, samples: list[Sample]) -> None:
            groups[index] = samples
            self.stats.completion_tokens += sum(len(s.token_ids) for s in samples)
            if on_group is not None:
                on_group(index, samples)

        try:
            with torch.inference_mode():
                features = _Features(self, requests)
                decoder = Decoder(self.model)
                for wave in self._waves(requests, params.max_tokens):
                    self._run(decoder, wave, params, features, emit)
        finally:
            self.model.train(training)
        return groups

    def _waves(self, requests: Sequence[Request], max_tokens: int) -> Iterator[_Wave]:
        first, count, longest = 0, 0, 0
        # While the cache moves to another grid or grows, one tensor of it (a layer's keys or values) is there twice.
        room = 1 + 1 / (2 * len(self.family.text.layers))
        limit = self._cache_limit() / room / self.family.cache_row_bytes
        for i, request in enumerate(requests):
            longest = max(longest, len(request.prompt.ids))  # prompts of a wave are padded to its longest
            rows, width = size([r.n for r in requests[first : i + 1]], longest)
            held = rows * (longest + width * max_tokens)
            if count and (count + request.n > self.max_sequences or held > limit):
                yield _Wave(requests[first:i], first)
                first, count, longest = i, 0, len(request.prompt.ids)
            count += request.n
        if count:
            yield _Wave(requests[first:], first)

    def _cache_limit(self) -> int:
        device = self.family.device
        if self.max_cache_bytes is not None:
            return self.max_cache_bytes
        return int(0.6 * cuda_free(device)) if device.type == "cuda" else 1 << 62

    def _prefill(self, decoder: Decoder, wave: _Wave, features: _Features) -> tuple[Tensor, Cache, list[int]]:
        """Logits behind each prompt, the prompts' cache, and the position of each prompt's first completion token."""
        family, device = self.family, decoder.device
        lengths = [len(r.prompt.ids) for r in wave.requests]
        ids = torch.zeros(len(lengths), max(lengths), dtype=torch.long)
        positions = torch.zeros(3, len(lengths), max(lengths), dtype=torch.long)
        behind = []
        for p, request in enumerate(wave.requests):
            ids[p, : lengths[p]] = torch.as_tensor(request.prompt.ids, dtype=torch.long)
            at, after = family.prompt_positions(request.prompt)
            positions[:, p, : lengths[p]] = torch.from_numpy(at)
            behind.append(after)
        ids = ids.to(device)
        x = decoder.text.embed_tokens(ids)
        visual, deepstack = None, []
        parts = features.of(wave.first, len(lengths))
        if parts:
            visual = ids == family.image_token_id
            x = x.index_put((visual,), torch.cat([p[0] for p in parts]).to(x.dtype))
            deepstack = [torch.cat(rows) for rows in zip(*(p[1] for p in parts))]
        self.stats.prompt_tokens += sum(lengths)
        logits, cache = decoder.prefill(
            x, positions.to(device), torch.tensor(lengths, device=device), visual, deepstack
        )
        return logits, cache, behind

    def _run(self, decoder: Decoder, wave: _Wave, params: SamplingParams, features: _Features, emit: OnGroup) -> None:
        start = time.perf_counter()
        logits, cache, behind = self._prefill(decoder, wave, features)
        device, total, most = decoder.device, len(wave.prompt_of), params.max_tokens
        self.stats.prefill_s += time.perf_counter() - start
        start = time.perf_counter()

        keys = [sample_key(r.seed, g) for r in wave.requests for g in range(r.n)]
        u = torch.zeros(total + 1, most, dtype=torch.float64)  # the last row serves the holes of the grid
        if params.temperature > 0:
            u[:total] = torch.from_numpy(uniforms(keys, most))
        u = u.to(device)
        out_ids = torch.zeros(total + 1, most, dtype=torch.long, device=device)
        out_logps = torch.zeros(total + 1, most, device=device)
        ends = Ends(params, [r for r in wave.requests for _ in range(r.n)], logits.shape[-1], device)
        bans = ban_row(logits.shape[-1], params.banned_ids, device)
        table = torch.arange(max(behind) + most, device=device)[None, None].expand(3, 1, -1)
        cos_table, sin_table = (t[0] for t in decoder.rotary(table))
        behind_T = torch.tensor(behind, device=device)
        # On an accelerator the host looks at what has finished only now and then; tokens behind a stop are cut off.
        look_every = 1 if device.type == "cpu" else 8

        groups = wave.members()
        open_groups = set(range(len(groups)))
        grid = lay_out(groups, max(len(r.prompt.ids) for r in wave.requests))
        if grid.row_prompt != list(range(len(groups))):
            cache.select(_index(grid.row_prompt, device), _index([], device))
        samples, prompts = self._slots(grid, wave, total, device)
        cache.open_slots(grid.slots, min(most, _FIRST_CAPACITY))
        live, running = samples < total, list(range(total))
        logits = logits[prompts]
        for step in range(most):
            ids, logps = draw(logits, u[samples, step, None], bans, params.temperature, params.top_k, params.top_p)
            out_ids[samples, step] = ids
            out_logps[samples, step] = logps
            live = live & ends.go_on(ids, samples, step)
            last = step + 1 == most
            if last or (step + 1) % look_every == 0:
                before, running = (
                    len(running),
                    [] if last else [s for s, on in zip(grid.slot_sample, live.tolist()) if on],
                )
                if ends.texts is not None and (ended := ends.by_text(running, out_ids, step, look_every)):
                    live = live & ~torch.isin(samples, _index(sorted(ended), device))
                    running = [s for s in running if s not in ended]
                left: list[list[int]] = [[] for _ in groups]
                for sample in running:
                    left[wave.prompt_of[sample]].append(sample)
                for p in sorted(p for p in open_groups if not left[p]):
                    emit(wave.first + p, ends.collect(groups[p], out_ids, out_logps))
                    open_groups.discard(p)
                if not running:
                    break
                new = shrunk(grid, left, cache.prompt_k[0].shape[2]) if len(running) < before else None
                if new is not None:
                    rows, slots = (_index(i, device) for i in moves(grid, new))
                    cache.select(rows, slots)
                    ids, grid = ids[slots], new
                    samples, prompts = self._slots(grid, wave, total, device)
                    live = samples < total
                    self.stats.compactions += 1
            if cache.steps == cache.own_k[0].shape[2]:
                cache.open_slots(grid.slots, min(most, 2 * cache.steps))
            at = behind_T[prompts] + step
            logits = decoder.decode(ids, cos_table[at], sin_table[at], cache)
            self.stats.rows_computed += grid.slots
        self.stats.decode_s += time.perf_counter() - start

    @staticmethod
    def _slots(grid: Grid, wave: _Wave, total: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Sample and prompt of each slot; a hole is sample `total`, a row nobody reads."""
        samples = [s if s >= 0 else total for s in grid.slot_sample]
        prompts = [p for p in grid.row_prompt for _ in range(grid.width)]
        return _index(samples, device), _index(prompts, device)


def cuda_free(device: torch.device) -> int:
    """Bytes a CUDA device can still give: what the driver has, and what torch keeps of blocks that are no longer
    used."""
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + kept


def _index(values: list[int], device: torch.device) -> Tensor:
    return torch.tensor(values, dtype=torch.long, device=device)


class _Features:
    """The vision tower's output for a call's images: each distinct one encoded once, freed after its last use."""

    def __init__(self, sampler: NativeSampler, requests: Sequence[Request]):
        self.sampler = sampler
        self.requests = requests
        self.ready: dict[Hashable, tuple[Tensor, list[Tensor]]] = {}
        self.uses = Counter(image.key for r in requests for image in r.prompt.images)

    def of(self, first: int, count: int) -> list[tuple[Tensor, list[Tensor]]]:
        """(rows (n, D), deepstack rows per layer) of every image of requests first … first+count, in order."""
        start = time.perf_counter()
        wanted = [image for request in self.requests[first : first + count] for image in request.prompt.images]
        missing = {image.key: image for image in wanted if image.key not in self.ready}
        batch: list[PromptImage] = []
        patches = 0
        for image in missing.values():
            if batch and patches + len(image.patches) > self.sampler.max_patches:
                self._encode(batch)
                batch, patches = [], 0
            batch.append(image)
            patches += len(image.patches)
        if batch:
            self._encode(batch)
        found = [self.ready[image.key] for image in wanted]
        for image in wanted:
            self.uses[image.key] -= 1
            if not self.uses[image.key]:
                del self.ready[image.key]
        self.sampler.stats.vision_s += time.perf_counter() - start
        return found

    def _encode(self, images: list[PromptImage]) -> None:
        family = self.sampler.family
        pixels = torch.cat([image.patches for image in images]).to(family.device, family.tower_dtype)
        grids = torch.tensor([image.grid for image in images], device=family.device)
        visual, added = family.see(pixels, grids)  # the tower as the update calls it
        sizes = (grids.prod(-1) // family.merge**2).tolist()
        rows, *deepstack = (part.split(sizes) for part in (visual, *added))
        for i, image in enumerate(images):
            self.ready[image.key] = (rows[i], [layer[i] for layer in deepstack])
        self.sampler.stats.images_encoded += len(images)
        self.sampler.stats.patches_encoded += len(pixels)
