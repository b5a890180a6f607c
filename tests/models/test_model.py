"""The model room: the small model, checkpoints of it, adapters counted at full size without weights."""

import importlib.util
import json
import os

import pytest
import torch
import yaml
from transformers import AutoProcessor, AutoTokenizer, Qwen3VLConfig, Qwen3VLForConditionalGeneration

from nsrl.checks.parity import self_check
from nsrl.config import LoraConfig, ModelConfig
from nsrl.data.shapes import LANGUAGES, Shapes
from nsrl.engines import TOKENS
from nsrl.errors import UserError
from nsrl.models import loading, small
from nsrl.models.contexts import ADAPTER_OFF
from nsrl.models.pack import Group, pack
from nsrl.models.policy import Policy
from nsrl.models.vlm import VLM
from nsrl.models.weights import merged_weights
from nsrl.rollout.native import NativeSampler
from nsrl.rollout.types import Request, SamplingParams
from nsrl.trainer.optim import Optimizer
from nsrl.trainer.supervised import supervised_step

NO_LORA = LoraConfig(enabled=False)


@pytest.fixture(scope="module")
def vlm():
    return loading.load(ModelConfig(), LoraConfig(), seed=0)


def qwen3_vl_2b() -> Qwen3VLConfig:
    """The published configuration of Qwen3-VL-2B."""
    text = {
        "vocab_size": 151_936, "hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 28,
        "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128, "tie_word_embeddings": True,
        "rope_parameters": {"rope_type": "default", "rope_theta": 5e6, "mrope_section": [24, 20, 20],
        "mrope_interleaved": True},
    }  # fmt: skip
    vision = {
        "depth": 24, "hidden_size": 1024, "intermediate_size": 4096, "num_heads": 16, "out_hidden_size": 2048,
        "num_position_embeddings": 2304, "deepstack_visual_indexes": [5, 11, 17],
    }  # fmt: skip
    return Qwen3VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=True)


def test_lora_on_attention_at_2b_has_the_papers_parameter_counts(vlm):
    with torch.device("meta"):
        big = Qwen3VLForConditionalGeneration._from_config(qwen3_vl_2b())
    held = VLM(big, vlm.tokenizer, vlm.image_processor, "2b")
    with torch.device("meta"):
        loading.add_lora(held, LoraConfig())
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
        assert encoded.ids.count(vlm.config.image_token_id) == width * height // 32**2
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
    again = loading.load(ModelConfig(name=str(tmp_path)), NO_LORA)
    problem = Shapes(1, seed=0).test()[0]
    a, b = vlm.encode(problem), again.encode(problem)
    assert a.ids == b.ids and torch.equal(a.images[0].pixels, b.images[0].pixels)
    assert again.banned_ids() == vlm.banned_ids() and again.stop_ids() == vlm.stop_ids()


def test_an_adapter_loads_with_peft_alone(vlm, tmp_path):
    from peft import PeftModel

    base = tmp_path / "base"
    vlm.save(base)
    adapted = loading.load(ModelConfig(name=str(base)), LoraConfig(enabled=True, r=4), seed=1)
    with torch.no_grad():
        for name, parameter in adapted.model.named_parameters():
            if "lora_B" in name:
                parameter.normal_()
    adapted.save(tmp_path / "adapter")
    fresh = PeftModel.from_pretrained(Qwen3VLForConditionalGeneration.from_pretrained(base), tmp_path / "adapter")
    again = loading.load(ModelConfig(name=str(tmp_path / "adapter")), LoraConfig())
    for name, tensor in adapted.model.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], tensor), name
        assert torch.equal(again.model.state_dict()[name], tensor), name


def test_an_adapter_is_fp32_on_a_16_bit_base_however_it_comes(vlm, tmp_path):
    one = loading.load(ModelConfig(dtype="bfloat16"), LoraConfig(enabled=True, r=4))
    one.save(tmp_path)
    for adapted in (one, loading.load(ModelConfig(name=str(tmp_path), dtype="bfloat16"))):
        for name, p in adapted.model.named_parameters():
            assert p.dtype is (torch.float32 if "lora_" in name else torch.bfloat16), name
    buffers = dict(one.base.named_buffers())
    assert all(torch.equal(b, buffers[n]) for n, b in vlm.model.named_buffers()), "rotary frequencies are not rounded"


def test_every_target_module_must_match_the_language_model():
    load = lambda *names: loading.load(ModelConfig(), LoraConfig(enabled=True, r=4, target_modules=list(names)))
    there = "there are down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj$"
    with pytest.raises(UserError, match=f"got q_porj, of which it has none; {there}"):
        load("q_proj", "q_porj")
    with pytest.raises(
        UserError, match=rf"got qkv, linear_fc1, of which it has none \(qkv, linear_fc1: in the vision.*{there}"
    ):
        load("v_proj", "qkv", "linear_fc1")
    with pytest.raises(UserError, match=f"got none.*{there}"):
        load()
    adapted = {
        n.split(".lora_A")[0] for n, _ in load("mlp.up_proj", "q_proj").model.named_parameters() if ".lora_A" in n
    }
    assert len(adapted) == 6 and all(n.endswith(("mlp.up_proj", "self_attn.q_proj")) for n in adapted)
    assert all("language_model" in n for n in adapted)


def test_a_small_models_adapter_goes_where_its_folder_goes(tmp_path):
    """The base is random weights that nobody else has; it used to be saved nowhere."""
    one = loading.load(ModelConfig(), LoraConfig(enabled=True, r=4), seed=5)
    one.save(tmp_path / "here")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "here").rename(tmp_path / "elsewhere" / "moved")
    again = loading.load(ModelConfig(name=str(tmp_path / "elsewhere" / "moved")))
    assert again.is_small and again.has_adapter
    want, got = one.model.state_dict(), again.model.state_dict()
    assert want.keys() == got.keys() and all(torch.equal(want[n], got[n]) for n in want)
    again.save(tmp_path / "second")  # what is learned on from there takes the base along too
    third = loading.load(ModelConfig(name=str(tmp_path / "second")))
    assert all(torch.equal(want[n], p) for n, p in third.model.state_dict().items())
    alone = Qwen3VLForConditionalGeneration.from_pretrained(tmp_path / "second" / "base")
    plain = small.build_model(one.tokenizer, 5).state_dict()
    assert all(torch.equal(plain[n], p) for n, p in alone.state_dict().items())


def test_an_adapter_whose_base_is_gone_says_so(vlm, tmp_path):
    vlm.save(tmp_path / "base")
    config = json.loads((tmp_path / "base" / "nsrl.json").read_text()) | {"small": False}
    (tmp_path / "base" / "nsrl.json").write_text(json.dumps(config))
    loading.load(ModelConfig(name=str(tmp_path / "base")), LoraConfig(r=4)).save(tmp_path / "adapter")
    assert json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())["base_model_name_or_path"].startswith(
        "/"
    )
    (tmp_path / "base").rename(tmp_path / "other")
    with pytest.raises(UserError, match="is an adapter for '.*base', which is no longer there"):
        loading.load(ModelConfig(name=str(tmp_path / "adapter")))


def test_the_tower_learns_beside_adapters_when_it_is_not_frozen(vlm, tmp_path):
    """Trained, saved, loaded, handed to a sampler; the reference is the model with the tower as it was."""
    config = ModelConfig(freeze_vision_tower=False)
    one = loading.load(config, LoraConfig(enabled=True, r=4, dropout=0.0), seed=0)
    policy = Policy(one.model)
    optimizer = Optimizer(one.model, learning_rate=1e-2, schedule="constant", warmup=0, total=9, max_grad_norm=1.0)
    tower = sum(p.numel() for p in vlm.base.model.visual.parameters())
    assert sum(p.numel() for n, p in one.model.named_parameters() if "visual" in n and p.requires_grad) == tower
    stream = Shapes(1, 0, 10).demonstrations({"direct": 1.0})
    for _ in range(2):
        supervised_step(one, policy, optimizer, stream, 4, 4096)
    plain = dict(vlm.model.named_parameters())
    given = dict(merged_weights(one.model))
    assert given.keys() == plain.keys()
    still = [n for n, p in given.items() if "visual" in n and torch.equal(p, plain[n])]
    assert still == [] and all(torch.equal(p, plain[n]) for n, p in merged_weights(one.model, adapter=False))
    encoded = one.encode(Shapes(1, seed=0).test()[0])
    groups = [Group(encoded, [[40, 41, 42]])]
    (batch,) = pack(groups, 999, image_token_id=one.config.image_token_id)
    reference = policy.score(batch, grad=False, context=ADAPTER_OFF).logp
    torch.testing.assert_close(reference, Policy(vlm.model).score(batch, grad=False).logp)
    assert (policy.score(batch, grad=False).logp - reference).abs().max() > 1e-3
    scored = policy.score(batch)
    params = SamplingParams(max_tokens=6, stop_ids=tuple(one.stop_ids()), banned_ids=tuple(one.banned_ids()))
    self_check(policy, NativeSampler(one.model), [Request(encoded, 2)], params)
    one.save(tmp_path)
    frozen = loading.load(ModelConfig(name=str(tmp_path)))
    assert not any(p.requires_grad for n, p in frozen.model.named_parameters() if "visual" in n)
    resumed = loading.load(config, LoraConfig(enabled=True, r=4, dropout=0.0), seed=0)
    loading.load_weights(resumed, tmp_path)
    more = loading.load(ModelConfig(name=str(tmp_path), freeze_vision_tower=False), LoraConfig())
    assert sum(p.numel() for n, p in more.model.named_parameters() if "visual" in n and p.requires_grad) == tower
    for other in (frozen, resumed, more):
        assert torch.equal(Policy(other.model).score(batch, grad=False).logp, scored.logp)
        assert all(torch.equal(p, given[n]) for n, p in merged_weights(other.model))


def test_the_tower_may_learn_beside_an_adapter_that_was_trained_without_it(tmp_path):
    loading.load(ModelConfig(), LoraConfig(enabled=True, r=4)).save(tmp_path)
    one = loading.load(ModelConfig(name=str(tmp_path), freeze_vision_tower=False), LoraConfig())
    plain = dict(small.build_model(one.tokenizer, 0).named_parameters())
    assert all(torch.equal(p, plain[n]) for n, p in merged_weights(one.model))
    trained = {n for n, p in one.model.named_parameters() if p.requires_grad and "lora_" not in n}
    assert len(trained) == sum("visual" in n for n in plain)


def test_a_device_that_is_not_there_is_one_sentence(monkeypatch):
    for name in ("gpu", "mps", "cuda", "cuda:0", "cuda:zero", "meta"):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        with pytest.raises(
            UserError, match=rf"one of auto, cpu on this machine \(torch sees no CUDA GPU\); got '{name}'$"
        ):
            loading.load(ModelConfig(device=name), NO_LORA)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert loading.pick_device("cuda:1").index == 1 and loading.pick_device("auto").type == "cuda"
    with pytest.raises(UserError, match="one of auto, cpu, cuda, cuda:0, cuda:1 on this machine; got 'cuda:2'"):
        loading.pick_device("cuda:2")


def test_liger_on_a_cpu_is_one_sentence_before_a_model_is_built():
    with pytest.raises(UserError, match=r"model.liger=true needs a GPU .*; got model.device 'cpu'"):
        loading.load(ModelConfig(name="Qwen/not-asked-for", device="cpu", liger=True), NO_LORA)


def test_a_checkpoint_is_whole_for_transformers_processor(vlm, tmp_path):
    from transformers import Qwen3VLProcessor

    vlm.save(tmp_path)
    read = lambda name: json.loads((tmp_path / name).read_text())
    assert read("processor_config.json")["processor_class"] == "Qwen3VLProcessor"
    assert read("preprocessor_config.json")["image_processor_type"] == "Qwen2VLImageProcessor"
    assert read("video_preprocessor_config.json")["video_processor_type"] == "Qwen3VLVideoProcessor"
    if importlib.util.find_spec("torchvision") is None:
        with pytest.raises(ImportError, match="[Tt]orchvision"):
            AutoProcessor.from_pretrained(tmp_path)
        return
    processor = AutoProcessor.from_pretrained(tmp_path)
    assert isinstance(processor, Qwen3VLProcessor)
    problem = Shapes(1, seed=0).test()[0]
    encoded = vlm.encode(problem)
    theirs = processor(text=[vlm.prompt_text(problem)], images=[problem.images[0].open()], return_tensors="pt")
    assert theirs["input_ids"][0].tolist() == encoded.ids
    torch.testing.assert_close(
        theirs["pixel_values"], torch.cat([image.pixels for image in encoded.images]), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("adapter", [False, True])
def test_the_model_card_says_what_it_is_and_how_to_load_it(adapter, tmp_path):
    """Its code is run as it stands, in the folder."""
    one = loading.load(ModelConfig(), LoraConfig(enabled=adapter, r=4))
    one.save(tmp_path, facts={"recipe": "default", "phase": "grpo, step 7"})
    card = (tmp_path / "README.md").read_text()
    head = yaml.safe_load(card.split("---")[1])
    assert head["library_name"] == ("peft" if adapter else "transformers") and "grpo" in head["tags"]
    assert "| recipe | default |" in card and "| phase | grpo, step 7 |" in card
    assert ("LoRA adapter" in card) == adapter and "built into nsrl" in card and "More Information" not in card
    code = card.split("```python\n")[1].split("```")[0]
    before = os.getcwd()
    os.chdir(tmp_path)
    try:
        exec(code, scope := {})
    finally:
        os.chdir(before)
    want = dict(one.model.named_parameters())
    assert all(torch.equal(p, want[n]) for n, p in scope["model"].named_parameters())


def test_wrong_folders_are_one_sentence(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        loading.load(ModelConfig(name=str(tmp_path / "absent")), NO_LORA)
    with pytest.raises(UserError, match=r"config\.json"):
        loading.load(ModelConfig(name=str(tmp_path)), NO_LORA)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(UserError, match="family that nsrl knows.*'qwen3_vl'.*is 'llama'"):
        loading.load(ModelConfig(name=str(tmp_path)), NO_LORA)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        loading.load(ModelConfig(name=str(tmp_path)), NO_LORA)
