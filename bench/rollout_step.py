"""One whole GRPO step of prompts × 10 completions, by stage: rollout, engine, update, beside the seed's 72 s for one
prompt.

    python -m bench.rollout_step                   # on a GPU: the 2B configuration, 1,024 tokens each, random weights
    python -m bench.rollout_step --size small      # the default run's model, on any machine

Also: the sampler's log-probs against the trainer's on the tokens just drawn, decode steps per second, peak memory.
"""

import time
from collections.abc import Iterator
from typing import Any

import torch

from bench.packed_step import SIZES, TARGETS, command
from nsrl.checks.parity import policy_score
from nsrl.engines import EnginePool, Limits
from nsrl.errors import UserError
from nsrl.models.pack import Group, pack
from nsrl.models.policy import Policy
from nsrl.models.prompt import Prompt, PromptImage
from nsrl.rollout.native import NativeSampler
from nsrl.rollout.types import Request, SamplingParams
from nsrl_kernels import policy_loss

G = 10
SEED_STEP_S = 72.0  # the seed paper's code on an H200, one prompt with its group


def rounds(size: str, tokens: int | None = None, prompts: int = 1) -> Iterator[dict]:
    """After each of two steps the record with its seconds by stage."""
    from peft import LoraConfig, get_peft_model
    from transformers import Qwen3VLForConditionalGeneration

    make, _, grid, text, length, budget, dtype = SIZES[size]
    length = tokens or length
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    config = make()
    torch.manual_seed(0)
    with device:
        base: Any = Qwen3VLForConditionalGeneration(config)
        base.to(dtype).eval()
    model = get_peft_model(base, LoraConfig(r=16, lora_alpha=32, target_modules=TARGETS), autocast_adapter_dtype=False)
    policy, sampler = Policy(model, checkpointing=size == "2b"), NativeSampler(model)
    weights = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=2e-5)
    requests = [_request(config, grid, text, number) for number in range(prompts)]
    banned = (config.image_token_id, config.vision_start_token_id, config.vision_end_token_id)
    params = SamplingParams(max_tokens=length, banned_ids=banned)
    advantage = torch.randn(prompts * G, device=device)
    seconds: dict[str, float] = {}
    for number in range(2):
        start = _now(device)
        groups = sampler.sample(requests, params)
        seconds["rollout"] = _now(device) - start
        programs = _engine()
        seconds["engine"] = programs if programs is not None else 0.0
        start = _now(device)
        packed = [Group(r.prompt, [s.token_ids for s in g]) for r, g in zip(requests, groups)]
        for batch in pack(packed, budget, image_token_id=config.image_token_id):
            scored = policy.score(batch, banned=torch.tensor(banned, device=device))
            cu = batch.cu_completions.to(device)
            loss, _ = policy_loss(scored.logp, advantage[batch.rows.to(device)], cu_seqlens=cu)
            loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds["update"] = _now(device) - start
        record = {
            "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
            "torch": torch.__version__, "size": size, "dtype": str(dtype), "prompts": prompts, "round": number,
            "prompt_tokens": len(requests[0].prompt.ids), "completions": G, "tokens_each": length,
            "seconds": {k: round(v, 4) for k, v in seconds.items()}, "engine_ran": programs is not None,
            "step_s": round(sum(seconds.values()), 4), "seed_step_s": SEED_STEP_S,
            "rollout_tokens_per_s": round(prompts * G * length / seconds["rollout"], 1),
            "decode_steps_per_s": round(length / sampler.stats.decode_s, 1), "parity_max": None, "parity_mean": None,
            "peak_memory_gib": round(torch.cuda.max_memory_allocated() / 2**30, 3) if device.type == "cuda" else None,
        }  # fmt: skip
        if number == 0:
            yield record
    few = SamplingParams(max_tokens=min(length, 64), banned_ids=banned)
    (group,) = sampler.sample(requests[:1], few)
    (trainer,) = policy_score(policy, few)(requests[:1], [group])
    delta = (torch.tensor([p for s in group for p in s.logps]) - trainer).abs()
    yield record | {"parity_max": float(delta.max()), "parity_mean": float(delta.mean())}


def _request(config, grid: tuple[int, int, int], text: int, number: int) -> Request:
    g = torch.Generator().manual_seed(number)
    draw = lambda n: torch.randint(0, 490, (n,), generator=g).tolist()
    patches = grid[0] * grid[1] * grid[2]
    ids = draw(text // 2) + [config.image_token_id] * (patches // 4) + draw(text - text // 2)
    image = PromptImage(f"image {number}", grid, torch.randn(patches, 1536, generator=g))
    return Request(Prompt(ids, images=(image,)), n=G, seed=1 + number)


def _engine() -> float | None:
    """Seconds for ten programs through the pool once it is up; None where the pool cannot run."""
    try:
        with EnginePool(2, Limits(cpu_s=2.0, wall_s=5.0)) as pool:
            pool.submit("sympy", "print(0)").result()
            start = time.perf_counter()
            for future in [pool.submit("sympy", f"print({i} ** 2)") for i in range(G)]:
                future.result()
            return time.perf_counter() - start
    except UserError:
        return None


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    per_completion = dict(type=int, default=None, help="per completion")
    command("rollout_step", __doc__, rounds, tokens=per_completion, prompts=dict(type=int, default=1))
