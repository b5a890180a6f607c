"""One packed GRPO step of the real Qwen3-VL-2B configuration with random weights, timed by stage.

    python -m bench.packed_step                    # on a GPU: the 2B case; writes
    bench/results/packed_step-<device>.json python -m bench.packed_step --size small       # the default run's model and
    batch, on any machine

Stages: pack (host), vision (tower, kept for the later passes), reference (adapter off, no gradient), forward, backward,
optim. Beside them: rows through the language model against the padded forward, tokens/s, peak memory, MFU.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from nsrl.models.contexts import ADAPTER_OFF, POLICY
from nsrl.models.pack import Group, pack, pack_metrics
from nsrl.models.policy import Policy
from nsrl.models.prompt import Prompt, PromptImage
from nsrl_kernels import policy_loss

PEAK_TFLOPS = {"NVIDIA H200": 989.0, "NVIDIA H100": 989.0}  # dense bf16, as published
TARGETS = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj)"


def _config(sections: list[int], ids: tuple[int, int, int], text: dict, vision: dict):
    """A Qwen3-VL; ids: of an image's token, its start and its end."""
    from transformers import Qwen3VLConfig

    rope = {"rope_type": "default", "rope_theta": 5e6, "mrope_section": sections, "mrope_interleaved": True}
    marks = dict(zip(("image_token_id", "vision_start_token_id", "vision_end_token_id"), ids))
    both = dict(text_config=text | dict(rope_parameters=rope), vision_config=vision | dict(patch_size=16))
    return Qwen3VLConfig(**both, tie_word_embeddings=True, **marks)


def config_2b():
    """Qwen3-VL-2B's published configuration."""
    text = dict(
        vocab_size=151_936, hidden_size=2048, intermediate_size=6144, num_hidden_layers=28, num_attention_heads=16,
        num_key_value_heads=8, head_dim=128, max_position_embeddings=262_144,
    )  # fmt: skip
    vision = dict(
        hidden_size=1024, depth=24, intermediate_size=4096, num_heads=16, out_hidden_size=2048,
        num_position_embeddings=2304, deepstack_visual_indexes=[5, 11, 17],
    )  # fmt: skip
    return _config([24, 20, 20], (151_655, 151_652, 151_653), text, vision)


def config_small():
    """The default run's model: 0.7M parameters."""
    text = dict(
        vocab_size=512, hidden_size=96, intermediate_size=256, num_hidden_layers=3, num_attention_heads=3,
        num_key_value_heads=1, head_dim=32, max_position_embeddings=4096,
    )  # fmt: skip
    vision = dict(
        hidden_size=64, depth=2, intermediate_size=128, num_heads=2, out_hidden_size=96, num_position_embeddings=64,
        deepstack_visual_indexes=[0],
    )  # fmt: skip
    return _config([6, 5, 5], (500, 501, 502), text, vision)


# configuration, prompts, image grid in patches, text tokens of a prompt, completion tokens, budget, dtype
SIZES = {
    "2b": (config_2b, 4, (1, 64, 64), 76, 1024, 12_000, torch.bfloat16),
    "small": (config_small, 32, (1, 6, 6), 36, 24, 6_000, torch.float32),
}


def run(size: str, attention: str | None = None, repeats: int = 3) -> dict:
    """The record after `repeats` rounds."""
    return list(rounds(size, attention, repeats))[-1]


def rounds(size: str, attention: str | None = None, repeats: int = 3) -> Iterator[dict]:
    """After every round the record so far: seconds by stage (the best yet), counted work, rates, memory."""
    from peft import LoraConfig, get_peft_model
    from transformers import Qwen3VLForConditionalGeneration

    make, prompts, grid, text, length, budget, dtype = SIZES[size]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    config = make()
    torch.manual_seed(0)
    with device:
        base: Any = Qwen3VLForConditionalGeneration(config)
        base.to(dtype)
    model = get_peft_model(base, LoraConfig(r=16, lora_alpha=32, target_modules=TARGETS))
    policy = Policy(model, attention=attention, checkpointing=size == "2b")
    weights = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=2e-5)
    groups = _groups(prompts, grid, text, length, config.image_token_id)
    advantage = torch.randn(prompts * 10, device=device)

    best: dict[str, float] = {}
    for _ in range(repeats):
        clock = _Clock(device)
        batches = pack(groups, budget, image_token_id=config.image_token_id)
        clock.lap("pack")
        for batch in batches:
            with torch.no_grad():
                policy.encode(batch.to(device), POLICY)
        clock.lap("vision")
        reference = [policy.score(b, grad=False, context=ADAPTER_OFF).logp for b in batches]
        clock.lap("reference")
        for batch, ref in zip(batches, reference):
            scored = policy.score(batch)
            cu = batch.cu_completions.to(device)
            loss, _ = policy_loss(scored.logp, advantage[batch.rows.to(device)], cu_seqlens=cu, ref_logp=ref, beta=0.05)
            clock.lap("forward")
            loss.backward()
            clock.lap("backward")
        optimizer.step()
        optimizer.zero_grad()
        clock.lap("optim")
        best = {k: min(v, best[k]) if k in best else v for k, v in clock.seconds.items()}
        yield _record(size, policy, batches, best)


def _record(size: str, policy: Policy, batches: list, best: dict[str, float]) -> dict:
    device = policy.device
    tokens = sum(b.target.numel() for b in batches)
    rows = sum(b.tokens for b in batches)
    total = sum(best.values())
    # 2 FLOP per parameter and row: forward and ∂x are the model's (MFU); the reference and the forward again when
    # checkpointed are the hardware's too (HFU). The head's GEMMs: forward and Jacobian, and the reference's. Attention
    # and the vision tower are not counted.
    backbone = sum(p.numel() for p in policy.text.layers.parameters())
    useful = 2 * backbone * rows * 2 + 4 * policy.head.numel() * tokens
    flops = 2 * backbone * rows * (3 + bool(policy.checkpointing)) + 6 * policy.head.numel() * tokens
    name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    peak = next((v for k, v in PEAK_TFLOPS.items() if name.startswith(k)), None)
    return {
        "device": name, "torch": torch.__version__, "size": size, "attention": policy.attention.name,
        "rows": rows, "completion_tokens": tokens, "micro_batches": len(batches), **pack_metrics(batches),
        "seconds": {k: round(v, 4) for k, v in best.items()}, "step_s": round(total, 4),
        "tokens_per_s": round(tokens / total, 1), "tflops": round(flops / total / 1e12, 3),
        "mfu": round(useful / total / 1e12 / peak, 4) if peak else None,
        "hfu": round(flops / total / 1e12 / peak, 4) if peak else None,
        "peak_memory_gib": round(torch.cuda.max_memory_allocated() / 2**30, 3) if device.type == "cuda" else None,
    }  # fmt: skip


def _groups(prompts: int, grid: tuple[int, int, int], text: int, length: int, image_id: int) -> list[Group]:
    g = torch.Generator().manual_seed(0)
    draw = lambda n: torch.randint(0, 490, (n,), generator=g).tolist()
    patches = grid[0] * grid[1] * grid[2]
    out = []
    for p in range(prompts):
        image = PromptImage(p, grid, torch.randn(patches, 1536, generator=g))
        prompt = draw(text // 2) + [image_id] * (patches // 4) + draw(text - text // 2)
        out.append(Group(Prompt(prompt, images=(image,)), [draw(length) for _ in range(10)]))
    return out


class _Clock:
    """Wall seconds since the last lap, summed by name, the device waited for."""

    def __init__(self, device: torch.device):
        self.device = device
        self.seconds: dict[str, float] = {}
        self._now()

    def _now(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        self.last = time.perf_counter()

    def lap(self, name: str) -> None:
        before = self.last
        self._now()
        self.seconds[name] = self.seconds.get(name, 0.0) + self.last - before


def command(name: str, doc: str | None, rounds, **options) -> None:
    """The command line of a whole step: prints and writes the record of its last round; options: argparse's, by
    name."""
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("--size", choices=SIZES, default="2b" if torch.cuda.is_available() else "small")
    for option, about in options.items():
        parser.add_argument(f"--{option}", **about)
    parser.add_argument("--out", type=Path, default=None, help="folder for the record (bench/results)")
    parser.add_argument("--lines", action="store_true", help="a line of JSON after every round")
    args = parser.parse_args()
    for record in rounds(args.size, *(getattr(args, option) for option in options)):
        if args.lines:
            print(json.dumps(record), flush=True)
    if not args.lines:
        print(json.dumps(record, indent=2))
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        path = args.out / f"{name}-{args.size}-{record['device'].replace(' ', '_')}.json"
        path.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    command("packed_step", __doc__, rounds, attention=dict(default=None, help="a backend of nsrl/models/attention.py"))
