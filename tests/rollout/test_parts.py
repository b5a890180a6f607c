"""Random numbers, positions, the grid, the draw and fingerprints, each alone."""

import numpy as np
import pytest
import torch
from PIL import Image

from nsrl.errors import UserError
from nsrl.models.qwen_vl.patches import to_pictures
from nsrl.models.qwen_vl.positions import prompt_positions
from nsrl.models.weights import merged_weights
from nsrl.rollout.categorical import ban_row, cut, draw
from nsrl.rollout.fingerprint import checksum
from nsrl.rollout.grid import lay_out, moves
from nsrl.rollout.rng import sample_key, uniforms
from tests.rollout import tiny


def test_uniforms_are_uniform_independent_and_a_function_of_the_key():
    keys = [sample_key(seed, g) for seed in range(50) for g in range(10)]
    assert len(set(keys)) == 500
    u = uniforms(keys, 200)
    assert u.min() >= 0 and u.max() < 1
    counts = np.histogram(u, bins=64, range=(0, 1))[0]
    expected = u.size / 64
    assert ((counts - expected) ** 2 / expected).sum() < 63 + 5 * np.sqrt(2 * 63)
    for a, b in ((u[:-1], u[1:]), (u[:, :-1], u[:, 1:])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.015
    assert np.array_equal(uniforms(keys[7:8], 300)[0, :200], u[7])
    assert sample_key(-1, 0) != sample_key(1, 0)


def test_positions_are_those_of_transformers():
    model = tiny.build()
    for request in tiny.requests(12) + [tiny.request(0, (4, 1), (1, 4), (2, 2))]:
        batch = tiny.inputs(list(request.prompt.ids), request.prompt.images)
        grids = [image.grid for image in request.prompt.images]
        ours, behind = prompt_positions(request.prompt.ids, grids, tiny.IMAGE, 2)
        theirs, delta = model.model.get_rope_index(
            batch["input_ids"], batch["mm_token_type_ids"], batch.get("image_grid_thw")
        )
        assert torch.equal(torch.from_numpy(ours), theirs[:, 0])
        assert behind == len(request.prompt.ids) + int(delta)
    with pytest.raises(UserError, match="without a gap"):
        prompt_positions([tiny.IMAGE, 9, tiny.IMAGE], [(1, 2, 4)], tiny.IMAGE, 2)


def test_the_grid_holds_every_live_sample_once():
    rng = np.random.default_rng(0)
    for _ in range(50):
        live, at = [], 0
        for _ in range(rng.integers(1, 9)):
            n = int(rng.integers(0, 11))
            live.append(list(range(at, at + n)))
            at += n
        grid = lay_out(live, 60)
        assert sorted(s for s in grid.slot_sample if s >= 0) == list(range(at))
        assert grid.slots == len(grid.row_prompt) * grid.width
        for slot, sample in enumerate(grid.slot_sample):
            assert sample < 0 or sample in live[grid.row_prompt[slot // grid.width]]
    assert lay_out([list(range(10))] * 2, 1000).width == 10, "full groups read a prompt once"
    assert lay_out([[0], [1], list(range(2, 12))], 8).width < 10, "shrunk groups leave no holes for ten"


def test_moves_find_the_old_places():
    old = lay_out([[0, 1, 2], [3, 4, 5]], 50)
    new = lay_out([[2], [3, 5]], 50)
    rows, slots = moves(old, new)
    assert [old.row_prompt[r] for r in rows] == new.row_prompt
    assert all(s < 0 or old.slot_sample[at] == s for at, s in zip(slots, new.slot_sample))


def test_draws_follow_the_distribution():
    logits = torch.tensor([[2.0, 0.5, -1.0, 3.0, 0.0, -torch.inf, 1.0]])
    n = 40_000
    u = torch.from_numpy(uniforms([sample_key(3, 0)], n)).T
    bans = ban_row(7, (3, 99), torch.device("cpu"))
    for temperature, top_k, top_p in ((1.0, 0, 1.0), (0.5, 0, 1.0), (1.0, 3, 1.0), (1.0, 0, 0.7)):
        ids, logps = draw(logits.expand(n, 7), u, bans, temperature, top_k, top_p)
        weights = (logits[0] + bans) / temperature
        p = weights.softmax(-1)
        if top_k:
            p = torch.where(p >= p.sort(descending=True).values[top_k - 1], p, 0)
        if top_p < 1:
            order = p.argsort(descending=True)
            keep = order[: int((p[order].cumsum(0) < top_p).sum()) + 1]
            p = torch.zeros_like(p).index_put((keep,), p[keep])
        p = p / p.sum()
        counts = torch.bincount(ids, minlength=7)
        assert not counts[p == 0].any()
        error = (counts[p > 0] / n - p[p > 0]).abs() / (p[p > 0] * (1 - p[p > 0]) / n).sqrt()
        assert error.max() < 4.5
        assert torch.allclose(logps, p.log()[ids], atol=1e-5)


def test_the_tail_of_a_large_vocabulary_keeps_its_mass():
    vocab = 150_000
    logits = torch.full((1, vocab), -18.0)
    logits[0, 0] = 0.0
    tail = float(1 - logits.double().softmax(-1)[0, 0])
    u = torch.tensor([[1 - tail * 0.999]], dtype=torch.float64)
    ids, _ = draw(logits, u, ban_row(vocab, (), logits.device), 1.0)
    assert 1 <= int(ids[0]) < vocab * 0.01, "the first tail tokens begin right where the head's mass ends"
    u = torch.tensor([[1 - 2.0**-40]], dtype=torch.float64)
    ids, _ = draw(logits, u, ban_row(vocab, (), logits.device), 1.0)
    assert int(ids[0]) > vocab * 0.99


def test_greedy_ties_and_bans():
    logits = torch.tensor([[5.0, 1.0, 5.0]])
    ids, logps = draw(logits, None, ban_row(3, (0,), logits.device), 0.0)
    assert int(ids[0]) == 2
    assert float(logps[0]) == pytest.approx(-0.0181499, abs=1e-6)


def test_cut_keeps_the_likeliest_even_at_a_tiny_top_p():
    logp = torch.tensor([[0.1, 0.6, 0.3]]).log()
    assert cut(logp, 0, 1e-9)[0].tolist() == [-np.inf, 0.0, -np.inf]


def test_checksums_see_every_bit_and_every_order():
    a = {"x": torch.arange(12.0).view(3, 4), "y": torch.ones(3, dtype=torch.bfloat16)}
    same = {"y": a["y"].clone(), "x": a["x"].clone()}
    assert checksum(a) == checksum(same)
    swapped = a | {"x": a["x"][[1, 0, 2]]}
    renamed = {"x": a["x"], "z": a["y"]}
    nudged = a | {"x": torch.nextafter(a["x"], torch.tensor(99.0))}
    shaped = a | {"x": a["x"].view(4, 3)}
    assert len({checksum(t) for t in (a, swapped, renamed, nudged, shaped)}) == 5


def test_pictures_come_back_exactly_from_their_pixels():
    processor = pytest.importorskip(
        "transformers.models.qwen2_vl.image_processing_pil_qwen2_vl"
    ).Qwen2VLImageProcessorPil(
        patch_size=16,
        merge_size=2,
        min_pixels=32 * 32,
        max_pixels=1 << 20,
        image_mean=[0.4, 0.5, 0.6],
        image_std=[0.2, 0.3, 0.4],
    )
    rng = np.random.default_rng(0)
    originals = [Image.fromarray(rng.integers(0, 256, (h, w, 3), dtype=np.uint8)) for h, w in ((64, 96), (32, 128))]
    out = processor(images=originals, return_tensors="pt")
    how = dict(patch=16, temporal=2, merge=2, mean=processor.image_mean, std=processor.image_std)
    back = to_pictures(out["pixel_values"], out["image_grid_thw"].tolist(), **how)
    assert [p.tobytes() for p in back] == [p.tobytes() for p in originals]
    with pytest.raises(UserError, match="another normalisation"):
        to_pictures(out["pixel_values"], out["image_grid_thw"].tolist(), **how | {"std": [0.5, 0.5, 0.5]})


def test_merged_weights_are_those_of_the_adapted_model():
    peft = pytest.importorskip("peft")
    model = peft.get_peft_model(
        tiny.build(seed=2), peft.LoraConfig(r=2, lora_alpha=6, target_modules=r".*language_model.*\.[qo]_proj")
    )
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "lora_" in name:
                p.normal_(std=0.1)
    weights = dict(merged_weights(model))
    plain = tiny.build(seed=2)
    assert weights.keys() == dict(plain.named_parameters()).keys()
    request = tiny.request(1, (2, 2))
    ids = list(range(20, 30))
    before = tiny.score(plain, request, ids)
    plain.load_state_dict(weights, strict=False)
    after = tiny.score(plain, request, ids)
    assert (before - after).abs().max() > 0.01
    assert torch.allclose(after, tiny.score(model, request, ids), atol=1e-5)
    with model.disable_adapter():
        off = dict(merged_weights(model))
    assert torch.equal(
        off["model.language_model.layers.0.self_attn.q_proj.weight"],
        tiny.build(seed=2).model.language_model.layers[0].self_attn.q_proj.weight,
    )
