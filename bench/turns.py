"""What a second turn costs: seconds of sampling in turns against the sum of the prefills and decodes it is made of.

`PYTHONPATH=kernels:. python -m bench.turns [--prompts 16] [--samples 8]`: parts of that sum, of the best of five tries.
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
from nsrl.rollout.types import Request, Sample
from nsrl.trainer.completions import sampling_params
from nsrl.trainer.grader import Grader
from nsrl.trainer.metrics import Timer
from nsrl.trainer.talk import Dialogue, Talk

TRIES = 5


class Asking(Dialogue):
    """Every turn is answered by the same crop: an untrained model asks for none."""

    def heard(self, place, sample: Sample, asked: bool):
        """See `Dialogue`, without what the text says."""
        super().heard(place, sample, False)
        problem = self.problems[place[0]]
        return (lambda: self.shown(CROPS[problem.id], False)) if asked else None


CROPS = {}


def main() -> None:
    """Print the table."""
    top = argparse.ArgumentParser(description=__doc__)
    top.add_argument("--prompts", type=int, default=16)
    top.add_argument("--samples", type=int, default=8)
    chosen = top.parse_args()
    vlm = loading.load(ModelConfig(), LoraConfig(enabled=False), seed=0, sources=("zoom",))
    source = opened("zoom", 1, 0, held_out=0)
    stream = source.demonstrations({"nsl": 1.0}, turns=True)
    problems = []
    while len(problems) < chosen.prompts:
        first, second = next(stream), next(stream)
        problems.append(first.problem)
        CROPS[first.problem.id] = Observation("", second.problem.images[1:])
    prompts = [vlm.encode(problem) for problem in problems]
    talk, params = Talk(vlm, TurnsConfig(max=2, observe="crop")), sampling_params(vlm, 32, 1.0)
    sampler = NativeSampler(vlm.model)
    requests = [Request(prompt, chosen.samples, i, i) for i, prompt in enumerate(prompts)]
    tries: list[tuple[float, float, dict[str, float]]] = []
    with EnginePool(1) as pool:
        for _ in range(TRIES):
            parts = {"prefill of turn": [], "decode of turn": []}

            def sample(*args, parts=parts):
                drawn = sampler.sample(*args)
                parts["prefill of turn"].append(sampler.stats.prefill_s)
                parts["decode of turn"].append(sampler.stats.decode_s)
                return drawn

            start = time.perf_counter()
            converse(sample, requests, params, talk.rules, Asking(talk, Grader(pool), problems, Timer()))
            whole = time.perf_counter() - start
            seen = {f"{name} {n}": value for name, seconds in parts.items() for n, value in enumerate(seconds, 1)}
            start = time.perf_counter()
            sampler.sample(requests, params)
            tries.append((whole, time.perf_counter() - start, seen))
    whole, alone, seen = min(tries, key=lambda one: one[0])
    work = sum(seen.values())
    rows = {**seen, "sum of these": work, "in turns, all of it": whole, "the first turn alone": alone}
    for name, value in rows.items():
        print(f"{name:22} {value / work:6.2f}")


if __name__ == "__main__":
    main()
