"""What a second turn costs: a rollout in turns against the sum of the prefills and decodes it is made of.

`PYTHONPATH=kernels:. python -m bench.turns [--prompts 16] [--samples 8]`: parts of that sum, which is that of the
sampler alone, asked the same again with nobody listening. In CPU seconds of the sampling thread, which others on the
machine change little; the best of ten tries each.
"""

from __future__ import annotations

import argparse
import time

from nsrl.config import LoraConfig, ModelConfig
from nsrl.config.turns import TurnsConfig
from nsrl.data.made import opened
from nsrl.data.turns import Observation
from nsrl.engines import EnginePool
from nsrl.models import loading
from nsrl.rollout.native import NativeSampler
from nsrl.rollout.turns import converse
from nsrl.rollout.types import Request
from nsrl.trainer.completions import sampling_params
from nsrl.trainer.grader import Grader
from nsrl.trainer.metrics import Timer
from nsrl.trainer.talk import Dialogue, Talk

TRIES = 10


def main() -> None:
    """Print the table."""
    top = argparse.ArgumentParser(description=__doc__)
    top.add_argument("--prompts", type=int, default=16)
    top.add_argument("--samples", type=int, default=8)
    chosen = top.parse_args()
    vlm = loading.load(ModelConfig(), LoraConfig(enabled=False), seed=0, sources=("zoom",))
    vlm.base.generation_config.eos_token_id = [*range(100, 130), vlm.tokenizer.eos_token_id]  # turns that end
    source = opened("zoom", 1, 0, held_out=0)
    stream = source.demonstrations({"nsl": 1.0}, turns=True)
    problems, crops = [], {}
    while len(problems) < chosen.prompts:
        first, second = next(stream), next(stream)
        problems.append(first.problem)
        crops[first.problem.id] = Observation("", second.problem.images[1:])
    prompts = [vlm.encode(problem) for problem in problems]
    talk, params = Talk(vlm, TurnsConfig(max=2, observe="crop")), sampling_params(vlm, 32, 1.0)
    talk.observe = lambda problem, *_: crops[problem.id]  # an untrained model asks for no crop
    sampler = NativeSampler(vlm.model)
    requests = [Request(prompt, chosen.samples, i, i) for i, prompt in enumerate(prompts)]
    whole, alone = [], []
    with EnginePool(1) as pool:
        for _ in range(TRIES):
            asked = []

            def sample(*call, asked=asked):
                asked.append(call[:2])
                return sampler.sample(*call)

            timer = Timer()
            start = time.thread_time()
            converse(sample, requests, params, talk.rules, Dialogue(talk, Grader(pool), problems, timer))
            whole.append(time.thread_time() - start)
            parts = {}
            for number, call in enumerate(asked, 1):
                start = time.thread_time()
                sampler.sample(*call)
                used, stats = time.thread_time() - start, sampler.stats
                prefill = stats.prefill_s / (stats.prefill_s + stats.decode_s)
                parts |= {f"prefill of turn {number}": used * prefill, f"decode of turn {number}": used * (1 - prefill)}
            alone.append(parts)
    parts = min(alone, key=lambda one: sum(one.values()))
    work = sum(parts.values())
    rows = {**parts, "sum of these": work, "in turns, all of it": min(whole)}
    print(f"{chosen.prompts * chosen.samples} completions, {len(asked[-1][0])} of them with a second turn")
    for name, value in rows.items():
        print(f"{name:22} {value / work:6.2f}")


if __name__ == "__main__":
    main()
