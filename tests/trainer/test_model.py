"""The model room: the small model, checkpoints of it, adapters counted at full size without weights."""

import json

import pytest
import torch
from transformers import AutoTokenizer, Qwen3VLConfig, Qwen3VLForConditionalGeneration

from nsrl.config import LoraConfig, ModelConfig
from nsrl.data.shapes import LANGUAGES, Shapes
from nsrl.engines import TOKENS
from nsrl.errors import UserError
from nsrl.trainer import model, small

NO_LORA = LoraConfig(enabled=False)


@pytest.fixture(scope="module")
def vlm():
    return model.load(ModelConfig(), LoraConfig(), seed=0)


def qwen3_vl_2b() -> Qwen3VLConfig:
    """The published configuration of Qwen3-VL-2B."""
    text = {
        "vocab_size": 151_936, "hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 28,
        "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128, "tie_word_embeddings": True,
        "rope_parameters": {"rope_type": "default", "rope_theta": 5e6, "mrope_section": [24, 20, 20], "mrope_interleaved": True},
    }  # fmt: skip
    vision = {
        "depth": 24, "hidden_size": 1024, "intermediate_size": 4096, "num_heads": 16, "out_hidden_size": 2048,
        "num_position_embeddings": 2304, "deepstack_visual_indexes": [5, 11, 17],
    }  # fmt: skip
    return Qwen3VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=True)


def test_lora_on_attention_at_2b_has_the_papers_parameter_counts(vlm):
    with torch.device("meta"):
        big = Qwen3VLForConditionalGeneration._from_config(qwen3_vl_2b())
    held = model.VLM(big, vlm.tokenizer, vlm.image_processor, "2b")
    with torch.device("meta"):
        model.add_lora(held, LoraConfig())
    parameters = list(held.model.parameters())
    assert sum(p.numel() for p in parameters if p.requires_grad) == 6_422_528
    assert sum(p.numel() for p in parameters) == 2_133_954_560
    trainable = [n for n, p in held.model.named_parameters() if p.requires_grad]
    assert all("language_model" in name and "visual" not in name for name in trainable)


def test_the_tokenizer_is_the_same_every_time_and_loses_nothing(vlm):
    again = small.build_tokenizer()
    assert again.get_vocab() == vlm.tokenizer.get_vocab()
    stream = Shapes(1, seed=9).demonstrations(dict.fromkeys(LANGUAGES, 1.0))
    for _ in range(300):
        text = next(stream).text
        ids = again(text, add_special_tokens=False)["input_ids"]
        assert vlm.decode([*ids, again.eos_token_id]) == text
    for token in TOKENS:
        assert len(again(token, add_special_tokens=False)["input_ids"]) == 1


def test_small_model_size_and_seed(vlm):
    assert 600_000 < sum(p.numel() for p in vlm.model.parameters()) < 800_000
    same, other = small.build_model(vlm.tokenizer, 0), small.build_model(vlm.tokenizer, 1)
    weight = "model.language_model.layers.0.mlp.up_proj.weight"
    assert torch.equal(same.state_dict()[weight], vlm.model.state_dict()[weight])
    assert not torch.equal(same.state_dict()[weight], other.state_dict()[weight])


def test_one_cell_is_one_visual_token(vlm):
    for problem in Shapes(1, seed=0).test()[:20]:
        encoded = vlm.encode(problem)
        width, height = problem.images[0].open().size
        assert encoded.prompt_ids.count(vlm.config.image_token_id) == width * height // 32**2
        assert encoded.template_ids.count(vlm.config.image_token_id) == 1


def test_vision_and_control_tokens_are_banned(vlm):
    named = vlm.tokenizer.convert_tokens_to_ids(
        ["<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>", "<|endoftext|>", "<|im_start|>"]
    )
    assert set(named) <= set(vlm.banned_ids())
    assert not set(vlm.stop_ids()) & set(vlm.banned_ids())


def test_a_saved_model_loads_with_transformers_alone_and_with_us(vlm, tmp_path):
    vlm.save(tmp_path)
    alone = Qwen3VLForConditionalGeneration.from_pretrained(tmp_path)
    for name, tensor in vlm.model.state_dict().items():
        assert torch.equal(alone.state_dict()[name], tensor), name
    assert AutoTokenizer.from_pretrained(tmp_path).get_vocab() == vlm.tokenizer.get_vocab()
    again = model.load(ModelConfig(name=str(tmp_path)), NO_LORA)
    problem = Shapes(1, seed=0).test()[0]
    a, b = vlm.encode(problem), again.encode(problem)
    assert a.prompt_ids == b.prompt_ids and torch.equal(a.pixel_values, b.pixel_values)
    assert again.banned_ids() == vlm.banned_ids() and again.stop_ids() == vlm.stop_ids()


def test_an_adapter_loads_with_peft_alone(vlm, tmp_path):
    from peft import PeftModel

    base = tmp_path / "base"
    vlm.save(base)
    adapted = model.load(ModelConfig(name=str(base)), LoraConfig(enabled=True, r=4), seed=1)
    with torch.no_grad():
        for name, parameter in adapted.model.named_parameters():
            if "lora_B" in name:
                parameter.normal_()
    adapted.save(tmp_path / "adapter")
    fresh = PeftModel.from_pretrained(Qwen3VLForConditionalGeneration.from_pretrained(base), tmp_path / "adapter")
    again = model.load(ModelConfig(name=str(tmp_path / "adapter")), LoraConfig())
    for name, tensor in adapted.model.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], tensor), name
        assert torch.equal(again.model.state_dict()[name], tensor), name


def test_wrong_folders_are_one_sentence(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        model.load(ModelConfig(name=str(tmp_path / "absent")), NO_LORA)
    with pytest.raises(UserError, match=r"config\.json"):
        model.load(ModelConfig(name=str(tmp_path)), NO_LORA)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(UserError, match="Qwen3-VL checkpoint.*'llama'"):
        model.load(ModelConfig(name=str(tmp_path)), NO_LORA)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        model.load(ModelConfig(name=str(tmp_path)), NO_LORA)
