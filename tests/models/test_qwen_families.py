"""What the Qwen-VL families have apart from one another: axes in blocks, windows, experts."""

import pytest
import torch

from nsrl.config import LoraConfig, ModelConfig
from nsrl.errors import UserError
from nsrl.models import loading, small
from nsrl.models.pack import Group, pack
from nsrl.models.policy import Policy
from nsrl.models.registry import family_class, family_of
from nsrl.models.vlm import VLM
from nsrl.models.weights import merged_weights
from nsrl.rollout.native import NativeSampler
from nsrl.rollout.types import SamplingParams
from tests.rollout import tiny as default


def test_sliding_windows_are_refused_before_the_weights_are_read(tmp_path):
    tokenizer = small.build_tokenizer("qwen2_5_vl")
    model = small.build_model(tokenizer, 0, "qwen2_5_vl")
    VLM(model, tokenizer, small.build_image_processor("qwen2_5_vl"), "small", system=False).save(tmp_path)
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(config.replace('"full_attention"', '"sliding_attention"', 1))
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(
        UserError, match=r"this Qwen2\.5-VL has layers of sliding_attention, which nsrl does not compute$"
    ):
        loading.load(ModelConfig(name=str(tmp_path)), LoraConfig(enabled=False))
    model.config.text_config.layer_types[-1] = "sliding_attention"
    with pytest.raises(UserError, match="sliding_attention"):
        Policy(model)


def test_the_windows_of_the_small_tower_matter():
    """A picture of more than one window: the tower's own windows are what the small model is tested with."""
    tiny = default.of("qwen2_5_vl")
    model = tiny.build()
    (image,) = tiny.images((3, 4))
    grids = torch.tensor([image.grid])
    with torch.no_grad():
        right = family_of(model).see(image.pixels, grids)[0]
        model.model.visual.window_size *= 8  # one window for all
        assert (family_of(model).see(image.pixels, grids)[0] - right).abs().max() > 1e-3


@pytest.fixture
def moe():
    return default.of("qwen3_vl_moe")


def routed(model):
    """Experts chosen from now on, per layer: a list of (rows, k) for each call."""
    chosen = [[] for _ in model.model.language_model.layers]
    for layer, calls in zip(model.model.language_model.layers, chosen):
        layer.mlp.gate.register_forward_hook(
            lambda module, args, output, calls=calls: calls.append(output[2].sort(-1).values)
        )
    return chosen


def test_packed_padded_and_decoded_tokens_are_routed_alike(moe):
    model, request = moe.build(seed=3), moe.request(2, (2, 3), n=1)
    params = SamplingParams(max_tokens=10, stop_ids=(moe.EOS,), banned_ids=moe.BANNED)
    ((sample,),) = NativeSampler(model).sample([request], params)
    length, chosen = (
        len(request.prompt.ids) + len(sample.token_ids) - 1,
        routed(model),
    )  # nothing follows the last token
    moe.score(model, request, sample.token_ids)
    padded = [calls[0][:length] for calls in chosen]
    assert len({tuple(row) for row in padded[0].tolist()}) > 2, "the test wants different experts for different tokens"
    for calls in chosen:
        calls.clear()
    assert NativeSampler(model).sample([request], params) == [[sample]]
    decoded = [torch.cat(calls)[:length] for calls in chosen]
    for calls in chosen:
        calls.clear()
    (batch,) = pack([Group(request.prompt, [sample.token_ids])], 999, image_token_id=moe.IMAGE)
    Policy(model).score(batch, grad=False)
    packed = [calls[0] for calls in chosen]
    for layer, right in enumerate(padded):
        assert torch.equal(decoded[layer], right)
        last = layer == len(padded) - 1  # behind the last attention only the rows that predict something are left
        assert torch.equal(packed[layer], right[batch.predict_row] if last else right)


def test_another_engine_gets_experts_as_published_checkpoints_have_them(moe):
    """(experts, in, out), which transformers' loader turns around; other weights as they are."""
    model = moe.build()
    weights = dict(family_of(model).engine_weights(merged_weights(model)))
    assert weights.keys() == dict(model.named_parameters()).keys()
    text = model.config.text_config
    shapes = {
        "gate_up_proj": (text.hidden_size, 2 * text.moe_intermediate_size),
        "down_proj": (text.moe_intermediate_size, text.hidden_size),
    }
    for name, p in model.named_parameters():
        if ".experts." in name:
            assert weights[name].shape == (text.num_experts, *shapes[name.rsplit(".", 1)[1]])
            assert torch.equal(weights[name].transpose(1, 2), p)
        else:
            assert torch.equal(weights[name], p)


def test_a_published_checkpoint_of_experts_loads(moe, tmp_path):
    """Its files have the experts turned around."""
    from safetensors.torch import save_file

    model = moe.build()
    family = family_class("qwen3_vl_moe")
    model.save_pretrained(tmp_path)
    published = {name: t.detach().clone() for name, t in family_of(model).engine_weights(merged_weights(model))}
    save_file(published, tmp_path / "model.safetensors", metadata={"format": "pt"})
    again = family.model_class().from_pretrained(tmp_path)
    for name, p in model.named_parameters():
        assert torch.equal(dict(again.named_parameters())[name], p), name
