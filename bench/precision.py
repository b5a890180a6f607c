"""`python -m bench.precision RUN`: does a 16-bit model learn what an fp32 one learns? Supervised steps, LoRA and full.

RUN: a run folder or checkpoint to start from (the warm start of the default run: `python -m nsrl.train max_steps=0`).
The same demonstrations (of nsl alone), seeds and learning rate in fp32 and in bfloat16; prints the loss over the first
10 and the last 20 steps, and the share of what learns that is bit for bit where it began. Exit code 1 when the last
losses are more than 2% apart (all weights: 5%), or an element of lora_A never moved.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Literal

import torch

from nsrl.config import LoraConfig, ModelConfig
from nsrl.data.shapes import Shapes
from nsrl.models import loading
from nsrl.models.policy import Policy
from nsrl.trainer.optim import Optimizer
from nsrl.trainer.supervised import supervised_step

# adapters, learning rate, how far apart the losses may end: all weights of a 16-bit model are rounded before they begin
MODES = {"LoRA": (LoraConfig(enabled=True, dropout=0.0), 2e-5, 0.02), "full": (None, 5e-6, 0.05)}


def learn(
    name: str, mode: str, dtype: Literal["float32", "bfloat16"], steps: int, size: int, rate: float | None = None
) -> tuple[list[float], float]:
    """(loss of every step, share of the trained elements that never moved); of LoRA only lora_A, as lora_B begins
    at 0."""
    lora, default, _ = MODES[mode]
    vlm = loading.load(ModelConfig(name=name, dtype=dtype), lora, seed=0)
    policy = Policy(vlm.model)
    rate = rate or default
    optimizer = Optimizer(vlm.model, learning_rate=rate, schedule="constant", warmup=0, total=steps, max_grad_norm=1.0)
    learned = [n for n, p in vlm.model.named_parameters() if p.requires_grad]
    watched = [p for n, p in zip(learned, optimizer.parameters) if lora is None or "lora_A" in n]
    before = [p.detach().clone() for p in watched]
    stream = Shapes(1, seed=0).demonstrations({"nsl": 1.0})
    losses = [supervised_step(vlm, policy, optimizer, stream, size, 16_384)["loss"] for _ in range(steps)]
    still = sum(int((p == old).sum()) for p, old in zip(watched, before))
    return losses, still / sum(p.numel() for p in watched)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--size", type=int, default=32, help="demonstrations per step")
    parser.add_argument("--mode", choices=MODES, action="append")
    options = parser.parse_args()
    torch.set_num_threads(1)
    sound = True
    print("| what learns | dtype | loss, first 10 | loss, last 20 | never moved | seconds |\n|---|---|---|---|---|---|")
    for mode in options.mode or MODES:
        last = {}
        for dtype in ("float32", "bfloat16"):
            start = time.perf_counter()
            losses, still = learn(options.run, mode, dtype, options.steps, options.size)
            last[dtype] = sum(losses[-20:]) / len(losses[-20:])
            first = sum(losses[:10]) / len(losses[:10])
            seconds = time.perf_counter() - start
            print(f"| {mode} | {dtype} | {first:.4f} | {last[dtype]:.4f} | {still:.1%} | {seconds:.0f} |", flush=True)
            sound = sound and (mode != "LoRA" or still == 0)
        sound = sound and abs(last["bfloat16"] / last["float32"] - 1) <= MODES[mode][2]
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
