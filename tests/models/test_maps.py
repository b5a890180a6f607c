"""Attention maps: equal to transformers' own eager attentions, and the ordinary forward is what it was."""

import pytest
import torch
from PIL import Image

from nsrl.errors import UserError
from nsrl.models import small
from nsrl.models.maps import look
from nsrl.models.pack import Group
from nsrl.models.padded import padded_inputs
from nsrl.models.policy import Policy
from nsrl.models.vlm import VLM
from nsrl.types import ImageRef
from tests.models.kinds import KINDS, patch
from tests.models.packing_cases import group, image, middle_model, small_model

SHAPES = [((3, 5),), ((1, 1), (7, 2), (3, 3)), ()]


def eager(model, given):
    """(layers, heads, L, L) by transformers' own attention, whose weights it hands out."""
    model.set_attn_implementation("eager")
    try:
        ids = padded_inputs(model, [Group(given.prompt, [given.completions[0][:-1]])])
        with torch.no_grad():
            return torch.stack(model(**ids, use_cache=False, output_attentions=True).attentions)[:, 0]
    finally:
        model.set_attn_implementation("sdpa")


@pytest.mark.parametrize("pictures", SHAPES, ids=["one picture", "three pictures", "none"])
@pytest.mark.parametrize("kind", [*KINDS, "GQA and three layers of DeepStack"])
def test_equal_to_transformers_eager_attentions(kind, pictures):
    rng = torch.Generator().manual_seed(1)
    model, family = (small_model(2, kind), kind) if kind in KINDS else (middle_model(2), "qwen3_vl")
    given = group(rng, 6, [image(rng, h, w, kind=family) for h, w in pictures], lengths=(9,))
    policy = Policy(model)
    (batch,) = policy.pack([given], 10_000)
    with torch.no_grad():
        before = policy.hidden(batch)
    found = look(policy, given.prompt, given.completions[0])
    right = eager(model, given)[:, :, len(given.prompt.ids) - 1 :]
    assert found.weights.shape == right.mean(1).shape and found.weights.shape[1] == 9
    assert (found.weights - right.mean(1)).abs().max() < 1e-5
    head = right.shape[1] - 1
    assert (look(policy, given.prompt, given.completions[0], head=head).weights - right[:, head]).abs().max() < 1e-5
    cells = sum(t * h * w // 4 for t, h, w in (picture.grid for picture in given.prompt.images))
    assert found.on_pictures.shape[-1] == cells and torch.equal(found.even, cells / found.visible)
    assert torch.equal((right.mean(1)[0] > 0).sum(-1), found.visible)  # nothing that comes later
    with torch.no_grad():  # the backend is its own again, and was all along
        assert torch.equal(policy.hidden(batch), before)
    with pytest.raises(UserError, match=f"head must be 0 to {head} or mean; got {head + 1}"):
        look(policy, given.prompt, given.completions[0], head=head + 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_is_what_its_visual_token_sees(kind):
    """A white cell on black: the brightest patches are those of its token. InternVL's overview has cells of its own."""
    tokenizer = small.build_tokenizer(kind)
    vlm = VLM(
        small.build_model(tokenizer, 0, kind), tokenizer, small.build_image_processor(kind), "small", system=False
    )
    pictures, merge = vlm.pictures, vlm.family.merge
    side = merge * patch(kind)[1]
    size = (96, 64) if kind == "internvl" else (3 * side, 2 * side)
    cells = pictures.cells(size)
    for number, (left, top, right, bottom) in enumerate(cells * (*size, *size)):
        drawn = Image.new("RGB", size)
        drawn.paste((255, 255, 255), (round(left), round(top), round(right), round(bottom)))
        rows, grid = pictures.patches(ImageRef(str((kind, number)), lambda drawn=drawn: drawn, size))
        light = rows.mean(1)
        if kind == "internvl":  # patches row by row in every tile; Qwen's stand token by token
            light = light.view(grid[0], grid[1] // merge, merge, grid[2] // merge, merge).transpose(2, 3)
        light = light.reshape(-1, merge**2).mean(1)
        tiles = len(light) - 4 if kind == "internvl" else len(light)  # the overview sees every cell too
        assert len(light) == len(cells)
        assert (
            int(light[:tiles].argmax()) == number if number < tiles else tiles + int(light[tiles:].argmax()) == number
        )
