"""Called by test_members.py in each rank: steps with members, a reward that asks and ReMax's baseline of two ranks
against those of one process, as JSON on stdout."""

import json
from dataclasses import replace

import shaping
import torch

from nsrl.engines import EnginePool
from nsrl.rewards import Rewards
from nsrl.trainer.distributed import ALONE, join
from nsrl.trainer.loop import grpo_step

MEMBERS = [
    {"n": 1}, {"n": 2, "images": "noise"}, {"n": 1, "hint": "gold", "score_as": "plain"}, {"given": "gold"},
    {"given": "answer", "name": "own", "advantage": 0.3},
]  # fmt: skip


def asked(batch, ask):
    """Depends on what the policy says of other problems, with pictures and without, by chance and greedily."""
    firsts = [batch.problems[rows.start] for rows in batch.groups()]
    drawn = ask(firsts, n=2, temperature=1.0, max_tokens=6)
    bare = ask([replace(p, images=(), question=f"{batch.completions[0]} {p.question}") for p in firsts])
    by_problem = {p.id: len(a[0].text) + len(a[1].text) + len(b[0].text) for p, a, b in zip(firsts, drawn, bare)}
    spread = [float(ids[0] % 3) + 0.1 * len(ids) for ids in batch.completion_ids]
    return [s * (1 + by_problem[p.id]) / 20 for s, p in zip(spread, batch.problems)]


def main():
    start = shaping.untrained()
    with join() as world, EnginePool(1) as pool:
        gaps: dict[str, float] = {}
        for options in ({"members": MEMBERS}, {"scale_rewards": "remax"}):
            options = options | {"max_completion_length": 24}
            alone = shaping.learner(pool, start, world=ALONE, **options)
            together = shaping.learner(pool, start, world=world, budget=150, **options)
            alone.rewards, together.rewards = Rewards([asked]), Rewards([asked])
            for number in (1, 2):
                want, got = grpo_step(alone, number)[0], grpo_step(together, number)[0]
                for name in want:
                    if name.startswith(("loss", "grad_norm", "reward", "members/", "tokens", "entropy", "pass")):
                        gap = abs(want[name] - got[name]) / max(1.0, abs(want[name]))
                        gaps[name] = max(gaps.get(name, 0.0), gap)
            weights = together.vlm.model.state_dict()
            own = max(float((v - weights[n]).abs().max()) for n, v in alone.vlm.model.state_dict().items())
            gaps["weights"] = max(gaps.get("weights", 0.0), own)
        report = {name: max(world.gather(gap)) for name, gap in gaps.items()}
        print(json.dumps(report | {"asked": got["tokens/ask"]}))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
