"""Called by test_shape.py in each rank: steps with contexts and a shape function of two ranks against those of one
process, as JSON on stdout."""

import json

import shaping
import torch

from nsrl.engines import EnginePool
from nsrl.trainer.distributed import ALONE, join
from nsrl.trainer.loop import grpo_step

OPTIONS = {
    "contexts": {"masked": {"images": "black", "share": 0.5}, "noisy": {"images": "noise"}},
    "terms": {"masked": -0.05},
}


def ranked(step):
    """Depends on the whole step: the smallest and the largest dependency of all."""
    score = step.mean_R(step.k3("masked").clamp(min=0))
    step.advantage_N *= step.per_row((score - score.min()) / (score.max() - score.min()))
    step.advantage_N += 0.1 * step.entropies["noisy"]
    step.metrics["least"], step.metrics["tokens"] = float(score.min()), len(step.advantage_N)
    step.metrics["sum"] = float(step.advantage_N.abs().sum())


def main():
    start = shaping.untrained()
    with join() as world, EnginePool(1) as pool:
        options = OPTIONS | {"functions": {"ranked": ranked}}
        alone = shaping.learner(pool, start, world=ALONE, **options)
        together = shaping.learner(pool, start, world=world, budget=120, **options)
        gaps: dict[str, float] = {}
        for number in (1, 2):
            want, got = grpo_step(alone, number)[0], grpo_step(together, number)[0]
            for name in ("loss", "grad_norm", "contexts/masked/k3", "contexts/noisy/k3", "shape/least"):
                gaps[name] = max(gaps.get(name, 0.0), abs(want[name] - got[name]) / max(1.0, abs(want[name])))
            gaps["shape/sum"] = abs(want["shape/sum"] - got["shape/sum"]) / want["shape/sum"]
        weights = together.vlm.model.state_dict()
        gaps["weights"] = max(float((v - weights[n]).abs().max()) for n, v in alone.vlm.model.state_dict().items())
        report = {name: max(world.gather(gap)) for name, gap in gaps.items()}
        print(json.dumps(report | {"tokens": got["shape/tokens"], "shaped": got["shape/sum"]}))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
