"""Called by test_turns.py in each rank: steps in turns of two ranks against those of one process, as JSON on stdout."""

import copy
import json
import tempfile
from pathlib import Path

import torch

from nsrl.config import LoraConfig, ModelConfig, TrainConfig
from nsrl.config.turns import TurnsConfig
from nsrl.data.made import opened
from nsrl.engines import EnginePool
from nsrl.models import loading
from nsrl.trainer.distributed import join
from nsrl.trainer.loop import grpo_step
from tests.trainer.talking import ANSWER, learner

CLOCK = ("timing_s/", "perf/", "engine/", "pack/")


def paid(batch):
    """By what was written in all turns, and in the last one."""
    return [float(ids[0] % 3) + 0.1 * n + 0.2 * len(t) for ids, n, t in zip(
        batch.completion_ids, batch.lengths, batch.turns)]  # fmt: skip


def main():
    with join() as world, EnginePool(1) as pool, tempfile.TemporaryDirectory() as folder:
        vlm = loading.load(ModelConfig(), LoraConfig(enabled=False), seed=2, sources=("zoom",))
        vlm.base.generation_config.eos_token_id = [*range(100, 130), vlm.tokenizer.eos_token_id]
        file = Path(folder, "own.py")
        file.write_text(ANSWER)
        config = TrainConfig(
            turns=TurnsConfig(max=3, observe=f"{file}:observe", max_observation=64), reward_funcs=["paid"],
            reward_weights=[1.0], prompts_per_step=3, num_generations=4, scale_rewards="group",
            max_completion_length=24, contexts={"blind": {"prompt": {"images": "none"}}}, terms={"blind": 0.05},
        )  # fmt: skip
        source = opened("zoom", 1, 0, held_out=0)
        alone = learner(pool, vlm, copy.deepcopy(config), paid, source)
        together = learner(pool, vlm, copy.deepcopy(config), paid, source, world, 300)
        gaps: dict[str, float] = {}
        for number in (1, 2):
            want, rows = grpo_step(alone, number)
            got, others = grpo_step(together, number)
            for name in (n for n in want if not n.startswith(CLOCK)):
                gap = abs(want[name] - got[name]) / max(1.0, abs(want[name])) if want[name] == want[name] else 0.0
                gaps[name] = max(gaps.get(name, 0.0), gap)
            same = [row["turns"] for row in rows] == [row["turns"] for row in others]
            gaps["records"] = max(gaps.get("records", 0.0), float(not same))
        weights = together.vlm.model.state_dict()
        gaps["weights"] = max(float((v - weights[n]).abs().max()) for n, v in alone.vlm.model.state_dict().items())
        report = {name: max(world.gather(gap)) for name, gap in gaps.items()}
        turns, pictures = got["turns/mean"], sum("(picture" in row["turns"] for row in others)
        print(json.dumps(report | {"turns": turns, "pictures": pictures}))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
