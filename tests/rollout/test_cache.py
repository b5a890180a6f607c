"""The sampler's cache: moved only when its grid shrinks, never twice in memory, planned as it will be."""

import numpy as np
import pytest
import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from nsrl.models.decode import Cache
from nsrl.models.registry import family_of
from nsrl.rollout import grid as grids
from nsrl.rollout.grid import lay_out, shrunk
from nsrl.rollout.native import NativeSampler, cuda_free
from nsrl.rollout.types import SamplingParams
from tests.rollout import tiny


def decoded(lengths, prompt, every, rule):
    """(copies, copies of the same grid, slots computed) of a decode of groups whose samples end at `lengths[p][g]`."""
    groups = np.arange(lengths.size).reshape(lengths.shape).tolist()
    grid, copies, same, slots = lay_out(groups, prompt), 0, 0, 0
    for step in range(0, int(lengths.max()), every):
        new = rule(grid, [[s for s in group if lengths.flat[s] > step] for group in groups], prompt)
        if new is not None:
            copies, same, grid = copies + 1, same + (new == grid), new
        slots += every * grid.slots
    return copies, same, slots


def whenever_a_fifth_is_done(grid, live, prompt):
    """The rule before: it compares what lives with the slots, holes of a fresh grid included."""
    return lay_out(live, prompt) if sum(map(len, live)) < 0.8 * grid.slots else None


def test_an_unchanged_layout_is_not_copied():
    """8 × 10 samples, a look every 8 tokens, a fifth of the samples run to 4,096."""
    rng = np.random.default_rng(0)
    lengths = np.where(rng.random((8, 10)) < 0.2, 4096, rng.geometric(1 / 300, (8, 10)).clip(1, 4096))
    always, again, least = decoded(lengths, 1100, 8, whenever_a_fifth_is_done)
    copies, same, slots = decoded(lengths, 1100, 8, shrunk)
    assert always > 400 and again > 400, "the test wants the case that used to copy for ever"
    assert same == 0 and copies <= 12
    assert slots < 1.05 * least, "and hardly a row more is computed"


def ending(count, n, stop, longest, **more):
    requests = [tiny.request(i, (2, 2), n=n, problem=i) for i in range(count)]
    return requests, SamplingParams(longest, stop_ids=stop, banned_ids=tiny.BANNED, **more)


def test_fewer_copies_sample_the_same_tokens(model, monkeypatch):
    requests, how = ending(8, 10, tuple(range(10, 14)), 160)
    sampler = NativeSampler(model)
    few = sampler.sample(requests, how)
    copies = sampler.stats.compactions
    assert 2 <= copies <= 15
    for worth, check in ((0.0, lambda n: n == 0), (1.0, lambda n: n > 2 * copies)):
        monkeypatch.setattr(grids, "_WORTH", worth)
        other = sampler.sample(requests, how)
        assert check(sampler.stats.compactions)
        assert [[s.token_ids for s in g] for g in other] == [[s.token_ids for s in g] for g in few]


class Peak(TorchDispatchMode):
    """Most bytes in live storages of at least `least` bytes at once, counted at every op."""

    def __init__(self, least):
        super().__init__()
        self.least, self.live, self.most, self.made = least, {}, 0, []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor):
            self.count(out)
        return out

    def count(self, tensor):
        storage = tensor.untyped_storage()
        self.live = {at: kept for at, kept in self.live.items() if not kept[0].expired()}
        if storage.nbytes() >= self.least and storage.data_ptr() not in self.live:
            self.live[storage.data_ptr()] = (StorageWeakRef(storage), storage.nbytes())
            self.made.append(tuple(tensor.shape))
        self.most = max(self.most, sum(size for _, size in self.live.values()))


def test_a_move_holds_one_tensor_twice_and_no_more():
    """Four fifths of the slots are kept: both caches at once would be 1.8 times the first."""
    size = (4, 3, 128, 32), (40, 3, 256, 32)
    cache = Cache(*([torch.randn(size[own]) for _ in range(6)] for own in (0, 0, 1, 1)), pad=None, steps=200)
    before = [*cache.prompt_k, *cache.prompt_v, *cache.own_k, *cache.own_v]
    want = [t[[0, 2, 3] if len(t) == 4 else list(range(32))].clone() for t in before]
    total = sum(t.nbytes for t in before)
    peak = Peak(least=1 << 17)
    for tensor in before:
        peak.count(tensor)
    del before, tensor
    with peak:
        cache.select(torch.tensor([0, 2, 3]), torch.arange(32))
    assert all(map(torch.equal, want, [*cache.prompt_k, *cache.prompt_v, *cache.own_k, *cache.own_v]))
    assert total <= peak.most <= total + max(t.nbytes for t in want)


@pytest.mark.parametrize("case", ["growth", "repeated prompts"])
def test_the_cache_stays_within_its_plan(case):
    """Peak bytes of what is as large as a tensor of the cache, from prefill to the last token."""
    model = tiny.build(seed=7, num_key_value_heads=3)
    sizes, longest = [10] * 4 if case == "growth" else [24] + [1] * 7, 200
    requests = [tiny.request(i, (2, 2), text=8, n=n, problem=i) for i, n in enumerate(sizes)]
    rows, width = grids.size(sizes, max(len(r.prompt.ids) for r in requests))
    assert (rows > len(requests)) == (case == "repeated prompts"), "a narrow grid has prompts more than once"
    planned = rows * (max(len(r.prompt.ids) for r in requests) + width * longest) * family_of(model).cache_row_bytes
    with Peak(least=1 << 19) as peak:
        NativeSampler(model).sample(requests, SamplingParams(longest, banned_ids=tiny.BANNED))
    assert 0.8 * planned < peak.most <= planned * (1 + 1 / (2 * model.config.text_config.num_hidden_layers))


def test_waves_count_the_holes_and_repeated_prompts_of_their_grid(model):
    requests = [tiny.request(i, (2, 2), text=8, n=n, problem=i) for i, n in enumerate((24, 1, 1, 1, 1, 1, 1, 1))]
    longest = max(len(r.prompt.ids) for r in requests)
    needs = []
    for count in range(1, 9):
        rows, width = grids.size([r.n for r in requests[:count]], longest)
        needs.append(int(rows * (longest + width * 50) * family_of(model).cache_row_bytes * (1 + 1 / 6)) + 1)
    waves = lambda limit: [len(w.requests) for w in NativeSampler(model, max_cache_bytes=limit)._waves(requests, 50)]
    assert waves(max(needs)) == [8]
    assert waves(max(needs) - 1000)[0] == needs.index(max(needs))


def test_the_first_grid_leaves_prompts_where_they_are(model):
    requests, how = ending(6, 10, (), 2)
    with Peak(least=1 << 14) as peak:
        NativeSampler(model).sample(requests, how)
    length = max(len(r.prompt.ids) for r in requests)
    layers = model.config.text_config.num_hidden_layers
    assert peak.made.count((6, 1, length, 32)) <= 2 * layers, "prompt keys and values were copied again"


def test_blocks_that_torch_keeps_are_free(monkeypatch):
    """Without a GPU: what the driver and torch would say; with one: really."""
    device = torch.device("cuda")
    if torch.cuda.is_available():
        before = cuda_free(device)
        block = torch.empty(1 << 28, dtype=torch.uint8, device=device)
        assert cuda_free(device) <= before - (1 << 28) + (1 << 22)
        del block
        assert abs(cuda_free(device) - before) < 1 << 22
        return
    for name, value in (("mem_get_info", (10, 100)), ("memory_reserved", 50), ("memory_allocated", 30)):
        monkeypatch.setattr(torch.cuda, name, lambda _device, value=value: value)
    assert cuda_free(device) == 30
