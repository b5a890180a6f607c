"""InternVL's pictures: the tiles that transformers' processor makes, the text that it writes, and what is refused."""

import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import InternVLConfig, InternVLForConditionalGeneration, InternVLProcessor

from nsrl.checks.parity import self_check
from nsrl.config import LoraConfig, ModelConfig
from nsrl.data.shapes import Shapes
from nsrl.errors import UserError
from nsrl.models import loading, small
from nsrl.models.internvl.pictures import TiledPictures
from nsrl.models.policy import Policy
from nsrl.models.prompt import PromptImage
from nsrl.models.registry import family_class, family_of
from nsrl.models.small import VOCABULARY
from nsrl.models.vlm import VLM
from nsrl.rollout.native import NativeSampler
from nsrl.rollout.types import Request, SamplingParams
from tests.models import kinds


@pytest.fixture(scope="module")
def vlm():
    tokenizer = small.build_tokenizer("internvl")
    model = small.build_model(tokenizer, 0, "internvl")
    return VLM(model, tokenizer, small.build_image_processor("internvl"), "small", system=False)


def pictures_of(seed: int, count: int) -> list[Image.Image]:
    rng = random.Random(seed)
    sizes = [(rng.randint(1, 200), rng.randint(1, 200)) for _ in range(count)] + [
        (32, 32),
        (31, 400),
        (1, 1),
        (300, 7),
        (64, 96),
    ]
    return [
        Image.fromarray(np.random.default_rng(seed + i).integers(0, 256, (h, w, 3), dtype=np.uint8))
        for i, (w, h) in enumerate(sizes)
    ]


@pytest.mark.parametrize("bounds", [(1, 12), (1, 1), (4, 6), (1, 2)])
def test_patches_are_the_tiles_of_transformers_processor(vlm, bounds):
    processor, seed = family_class("internvl").small_processor(), random.randrange(10**6)
    processor.min_patches, processor.max_patches = bounds
    pictures = TiledPictures(processor, patch=8, merge=2)
    for picture in pictures_of(seed, 25):
        out = processor(images=[picture], crop_to_patches=True, return_tensors="pt")
        grid = pictures.grid(picture.size)
        counted = processor.get_number_of_image_patches(*picture.size[::-1], {"crop_to_patches": True})
        assert grid == (int(out["num_patches"][0]), 4, 4) == (counted, 4, 4), (seed, picture.size)
        rows = torch.from_numpy(pictures.patched(pictures.resized(picture)))
        assert torch.equal(kinds.tiles(PromptImage("one", grid, rows)), out["pixel_values"]), (seed, picture.size)
        assert torch.equal(family_of(vlm.model)._tiles(rows), out["pixel_values"]), (seed, picture.size)
        held = pictures.resized(picture).nbytes
        assert pictures.sizes(picture.size) == (held, 4 * held) == (held, rows.numel() * 4)


def test_a_prompt_is_what_transformers_processor_writes(vlm):
    tokenizer = vlm.tokenizer
    own = SimpleNamespace(
        start_image_token=tokenizer.start_image_token, end_image_token=tokenizer.end_image_token,
        image_token=tokenizer.context_image_token, image_seq_length=vlm.config.image_seq_length,
    )  # fmt: skip
    for tiles in (1, 5, 13):
        text = InternVLProcessor.replace_image_token(own, {"num_patches": [tiles]}, 0)
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert vlm.family.expand(4 * tiles, tokenizer) == ids
    assert {ids[0], ids[-1], ids[1]} <= set(vlm.banned_ids())


def test_pictures_of_one_tile_go_to_another_engine_and_others_do_not(vlm):
    processor, family = vlm.image_processor, vlm.family
    pictures = TiledPictures(processor, patch=8, merge=2)
    (tile,) = pictures.resized(Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)))
    one = PromptImage("one", (1, 4, 4), torch.from_numpy(pictures.patched(tile[None])))
    (back,) = family.to_pictures([one], processor)
    assert np.array_equal(np.asarray(back), tile.transpose(1, 2, 0))
    again = TiledPictures(family_class("internvl").small_processor(), patch=8, merge=2)
    for name, value in family.engine_processor(processor).items():
        setattr(again.processor, name, value)
    assert torch.equal(torch.from_numpy(again.patched(again.resized(back))), one.pixels)
    wide = Image.new("RGB", (64, 32))
    several = PromptImage(
        "several", pictures.grid(wide.size), torch.from_numpy(pictures.patched(pictures.resized(wide)))
    )
    with pytest.raises(UserError, match="InternVL needs model.max_pixels=1024 there, or rollout=native"):
        family.to_pictures([one, several], processor)


def test_what_is_not_computed_is_refused(vlm, tmp_path):
    family = family_class("internvl")
    vlm.save(tmp_path)
    config = (tmp_path / "config.json").read_text()
    for old, new, message in (
        ('"qwen2"', '"gemma2"', "language model must be one of qwen2, qwen3, llama; got 'gemma2'"),
        (
            '"full_attention"',
            '"sliding_attention"',
            "this InternVL has layers of sliding_attention, which nsrl does not compute",
        ),
    ):
        (tmp_path / "config.json").write_text(config.replace(old, new))
        with pytest.raises(UserError, match=message):
            loading.load(ModelConfig(name=str(tmp_path)), LoraConfig(enabled=False))
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(UserError, match="model.max_pixels must be at least 1,024"):
        loading.load(ModelConfig(name=str(tmp_path), max_pixels=1023), LoraConfig(enabled=False))
    with pytest.raises(UserError, match="whole number of tiles"):
        loading.load(ModelConfig(name=str(tmp_path), min_pixels=1025, max_pixels=2047), LoraConfig(enabled=False))
    processor = family.small_processor()
    processor.size = {"height": 64, "width": 64}
    with pytest.raises(UserError, match="tiles of the tower's size"):
        vlm.family.pictures(processor)


@pytest.mark.parametrize("name", ["qwen3", "llama"])
def test_other_language_models_of_internvl(name, vlm):
    """Norms on queries and keys (InternVL3.5) or no biases (InternVL2.5), packed and decoded as the padded forward."""
    config = family_class("internvl").small_config(vlm.tokenizer, VOCABULARY).to_dict()
    kept = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    kept += ("num_key_value_heads", "max_position_embeddings", "initializer_range", "tie_word_embeddings")
    text = {key: config["text_config"][key] for key in kept}
    config["text_config"] = {"model_type": name, "head_dim": 32, **text}
    torch.manual_seed(0)
    model = InternVLForConditionalGeneration(InternVLConfig(**config)).eval()
    requests = [Request(vlm.encode(p), n=2, seed=i) for i, p in enumerate(Shapes(1, seed=0).test()[:3])]
    params = SamplingParams(max_tokens=8, stop_ids=tuple(vlm.stop_ids()), banned_ids=tuple(vlm.banned_ids()))
    assert self_check(Policy(model), NativeSampler(model), requests, params).most < 2e-5
