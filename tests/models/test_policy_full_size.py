"""The real Qwen3-VL-2B configuration without its weights: a packed GRPO step on the meta device, counted.

Shapes, floating-point operations and the bytes kept for the backward of one micro-batch of the case that
docs/packing.md is quoted for: a prompt of 1,100 tokens (1,024 visual), ten completions.
"""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import Qwen3VLForConditionalGeneration

from bench.packed_step import config_2b
from nsrl.models.pack import Group, pack
from nsrl.models.policy import Policy
from nsrl.models.prompt import Prompt, PromptImage

H, LAYERS, MLP, HEADS, KV, DIM, VOCAB = 2048, 28, 6144, 16, 8, 128, 151_936


@pytest.fixture(scope="module")
def model():
    from peft import LoraConfig, get_peft_model

    with torch.device("meta"):
        base = Qwen3VLForConditionalGeneration(config_2b()).to(torch.bfloat16)
        targets = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj)"
        return get_peft_model(base, LoraConfig(r=16, lora_alpha=32, target_modules=targets))


def case(length: int, image_token_id: int):
    picture = PromptImage("picture", (1, 64, 64), torch.zeros(4096, 1536, device="meta"))
    prompt = [1] * 38 + [image_token_id] * 1024 + [2] * 38
    (batch,) = pack(
        [Group(Prompt(prompt, images=(picture,)), [[3] * length] * 10)], 16_384, image_token_id=image_token_id
    )
    return batch


def tower_on_meta(policy, batch):
    """transformers' vision tower reads its grids on the host; its shapes are known: rows for the image, DeepStack's."""
    rows = batch.total_visual
    feature = lambda: torch.empty(rows, H, dtype=torch.bfloat16, device="meta")
    policy.encode = lambda b, c: (feature(), [feature() for _ in range(3)])


def test_parameters_are_the_2b_models(model):
    assert sum(p.numel() for p in model.parameters()) == 2_133_954_560
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 6_422_528


@pytest.mark.parametrize("length", [1024, 128])
def test_packed_step_shapes_flops_and_kept_bytes(model, length):
    policy = Policy(model, checkpointing=True)
    batch = case(length, policy.base.config.image_token_id)
    tower_on_meta(policy, batch)
    T, N = 1100 + 10 * (length - 1), 10 * length
    assert batch.tokens == T and batch.target.numel() == N
    for p in model.parameters():
        p.grad = None
    kept = {}

    def keep(t):
        if not isinstance(t, torch.nn.Parameter):
            kept[t.untyped_storage()._cdata] = t.untyped_storage().nbytes()
        return t

    with FlopCounterMode(display=False) as counter:
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
            hidden = policy.hidden(batch)
        assert hidden.shape == (N, H) and hidden.dtype == torch.bfloat16
        forward = counter.get_total_flops()
    # GEMMs of every layer for every stream row (adapters are 1% more), then attention: what a row can see, and for SDPA
    # the padding of its one block
    linear = 2 * T * LAYERS * (H * (HEADS + 2 * KV) * DIM + HEADS * DIM * H + 3 * H * MLP)
    assert linear <= forward <= 1.35 * linear
    # with checkpointing each layer keeps its input; the rest is the last norm and index vectors
    inputs = LAYERS * T * H * 2
    assert inputs <= sum(kept.values()) <= 1.15 * inputs + 6 * N * H * 4
    hidden.float().sum().backward()
    for name, p in model.named_parameters():
        assert (p.grad is not None) == ("lora_" in name), name
        assert p.grad is None or p.grad.shape == p.shape


def test_log_probs_of_the_step_have_the_right_shapes(model):
    policy = Policy(model)
    batch = case(128, policy.base.config.image_token_id)
    tower_on_meta(policy, batch)
    assert policy.head.shape == (VOCAB, H)
    scored = policy.score(batch, grad=False)
    assert scored.logp.shape == scored.entropy.shape == (1280,) and scored.logp.dtype == torch.float32


def test_the_step_bench_runs_on_this_machine_with_the_small_model():
    """`python -m bench.packed_step` is what records the 2B step on a GPU."""
    from bench.packed_step import run

    record = run("small", repeats=1)
    assert set(record["seconds"]) == {"pack", "vision", "reference", "forward", "backward", "optim"}
    assert record["pack/token_ratio"] > 2 and record["pack/vision_ratio"] == 10 and record["tokens_per_s"] > 0
