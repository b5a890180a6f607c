"""`python -m nsrl.eval --model RUN_OR_CHECKPOINT --data SOURCE:PATH`: the table by category, and pass@k."""

from __future__ import annotations

import json
from pathlib import Path

from nsrl.config import EvalConfig, LoraConfig, ModelConfig, command, parse, require_sound


def main(argv: list[str]) -> int:
    config = parse(EvalConfig, argv, "python -m nsrl.eval")
    require_sound(config)

    from nsrl.data import open_source
    from nsrl.report.table import print_table, table
    from nsrl.rollout.native import NativeSampler
    from nsrl.trainer import evaluation, model
    from nsrl.trainer.folder import write
    from nsrl.trainer.judge import Judge
    from nsrl.trainer.metrics import Progress
    from nsrl.trainer.run import open_pool

    lora = LoraConfig(enabled=False)
    chosen = ModelConfig(name=config.model, dtype=config.dtype, device=config.device, max_pixels=config.max_pixels)
    vlm = model.load(chosen, lora, config.seed)
    problems = open_source(config.data, level=config.level, seed=config.seed, size=config.size)
    longest = config.max_completion_length or model.trained_length(Path(config.model)) or 1024
    model.require_positions(vlm, longest)
    with open_pool(config.engine) as pool, Progress("evaluate", len(problems), every=config.batch) as progress:
        result = evaluation.evaluate(
            vlm,
            NativeSampler(vlm.model),
            Judge(pool),
            problems,
            samples=config.samples,
            temperature=config.temperature,
            max_tokens=longest,
            seed=config.seed,
            batch=config.batch,
            progress=lambda count: progress.step(count=count),
        )
    print_table(result.records, title=f"{config.model} on {config.data}")
    numbers = result.numbers()
    low, high = numbers["ci95"]
    print(f"mean@{config.samples} {100 * result.accuracy:.1f}% [{100 * low:.1f}, {100 * high:.1f}]   ", end="")
    print(f"pass@{config.samples} {100 * result.pass_at_n:.1f}%   greedy {100 * result.greedy_accuracy:.1f}%")
    if config.output:
        write(Path(config.output), json.dumps({**numbers, "table": table(result.records)}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    command(main)
