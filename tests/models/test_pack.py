"""Groups → micro-batches: budget, balance, order, errors, counted work."""

import pytest
import torch

from nsrl.errors import UserError
from nsrl.models.pack import Group, pack, pack_metrics
from nsrl.models.prompt import Prompt, PromptImage
from tests.models.packing_cases import IMAGE, cases, default_run_groups, group, image


def test_every_token_once_in_a_balanced_budget():
    groups = default_run_groups()
    batches = pack(groups, 3_000, image_token_id=IMAGE)
    sizes = [b.tokens for b in batches]
    assert len(batches) >= 3 and max(sizes) <= 3_000 and max(sizes) - min(sizes) <= 400
    everything = torch.cat([torch.tensor(c) for g in groups for c in g.completions])
    rows = torch.cat([b.token_rows for b in batches])
    assert torch.equal(rows.sort().values, torch.arange(len(everything)))
    assert torch.equal(torch.cat([b.target for b in batches]), everything[rows])
    for b in batches:
        size = b.cu_completions.diff()
        flat = [c for g in groups for c in g.completions]
        assert size.tolist() == [len(flat[r]) for r in b.rows]
        assert torch.equal(b.groups, b.rows // 10)
        # a group stays whole when it fits
        assert all((b.groups == g).sum() == 10 for g in b.groups.unique())


def test_a_group_larger_than_the_budget_is_split_and_its_prompt_repeated():
    rng = torch.Generator().manual_seed(0)
    big = group(rng, 10, [image(rng, 2, 2)], lengths=(20,) * 6)
    batches = pack([big], 64, image_token_id=IMAGE)
    assert [b.tokens <= 64 for b in batches] == [True] * 3
    assert torch.cat([b.rows for b in batches]).sort().values.tolist() == list(range(6))
    assert all(b.pixel_values.shape[0] == 16 for b in batches)


def test_parts_asks_for_more_micro_batches():
    assert len(pack(default_run_groups(), 100_000, image_token_id=IMAGE, parts=4)) == 4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda g: Group(Prompt([1] * 90, name="problem-17"), [[1]]), ["problem-17", "90", "budget", "80"]),
        (lambda g: Group(Prompt([1] * 90), [[1]]), ["row 1", "budget"]),
        (lambda g: Group(g.prompt, [[1], []]), ["row 1", "completion"]),
        (lambda g: Group(g.prompt, []), ["row 1", "completion"]),
        (lambda g: Group(Prompt([]), [[1]]), ["row 1", "prompt"]),
        (lambda g: Group(Prompt(g.prompt.ids), [[1]]), ["row 1", "4 image placeholders", "need 0"]),
        (lambda g: Group(Prompt([1, 2], images=g.prompt.images), [[1]]), ["row 1", "0 image placeholders", "need 4"]),
        (lambda g: PromptImage(0, (1, 4, 4), g.prompt.images[0].pixels[:5]), ["16 patches", "(5, 1536)"]),
    ],
)
def test_bad_groups_are_named(change, words):
    rng = torch.Generator().manual_seed(0)
    good = group(rng, 10, [image(rng, 2, 2)])
    with pytest.raises(UserError) as error:
        pack([good, change(good)], 80, image_token_id=IMAGE)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(("length", "ratio"), [(1024, 1.85), (128, 5.1)])
def test_counted_work_of_the_case(length, ratio):
    """Prompt 1,100 with 1,024 visual tokens, G = 10."""
    rng = torch.Generator().manual_seed(0)
    picture = PromptImage("picture", (1, 64, 64), torch.zeros(4096, 4))
    prompt = [1] * 38 + [IMAGE] * 1024 + [2] * 38
    completions = torch.randint(0, 490, (10, length), generator=rng).tolist()
    (batch,) = pack([Group(Prompt(prompt, images=(picture,)), completions)], 16_384, image_token_id=IMAGE)
    assert batch.work.padded_tokens == 10 * (1100 + length) and batch.work.tokens == 1100 + 10 * (length - 1)
    metrics = pack_metrics([batch])
    assert metrics["pack/token_ratio"] >= ratio
    assert metrics["pack/vision_ratio"] == 10.0


def test_images_with_one_key_are_encoded_once():
    rng = torch.Generator().manual_seed(0)
    a, b = image(rng, 2, 2, key="a"), image(rng, 1, 3, key="b")
    (batch,) = pack([group(rng, 3, [a, b, a]), group(rng, 2, [b])], 999, image_token_id=IMAGE)
    assert batch.distinct_grid.tolist() == [[1, 4, 4], [1, 2, 6]]
    assert torch.equal(batch.pixel_values, torch.cat([a.pixels, b.pixels]))
    assert batch.image_key.tolist() == [0, 1, 0, 1] and batch.total_visual == 14


def test_metrics_without_images_are_one():
    assert pack_metrics(pack(cases()["text only"], 999, image_token_id=IMAGE))["pack/vision_ratio"] == 1.0
    assert pack_metrics([]) == {"pack/token_ratio": 1.0, "pack/vision_ratio": 1.0}
