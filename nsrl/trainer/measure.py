"""What one GRPO step is worth a line for: TRL's keys and ours (docs/metrics.md). Knows nothing of how a step is done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from nsrl.rewards import RewardBatch
from nsrl.trainer.evaluation import LANGUAGES
from nsrl.trainer.judge import Judged
from nsrl_kernels import GroupAdvantage


def step_metrics(
    judged: Sequence[Sequence[Judged]],
    batch: RewardBatch,
    components: torch.Tensor,
    names: Sequence[str],
    advantage: GroupAdvantage,
    tokenizer: Any,
) -> dict[str, float]:
    """Rewards, completions, programs and languages of a step.

    judged: per group; components: (R, K) rewards by `names`, NaN where one does not apply; tokenizer: counts the tokens
    of prose, program and answer apart.
    """
    lengths = [len(ids) for ids in batch.completion_ids]
    every = [j for group in judged for j in group]
    count = max(1, len(lengths))
    scored = [j.correct for j in every if j.correct is not None]
    metrics = {
        "reward": float(advantage.reward.nanmean()),
        "reward_std": float(advantage.std.mean()),
        "frac_reward_zero_std": 1 - float(advantage.n_live) / max(1, len(judged)),
        "completions/mean_length": sum(lengths) / count,
        "completions/max_length": float(max(lengths, default=0)),
        "completions/clipped_ratio": sum(batch.truncated) / count,
        "program/has_code": sum(j.extracted.language is not None for j in every) / count,
        "program/no_error": sum(j.result is not None and j.result.no_error for j in every) / count,
        "pass@1": sum(scored) / max(1, len(scored)),
        "pass@k": sum(any(j.correct for j in group) for group in judged) / max(1, len(judged)),
    }
    for index, name in enumerate(names):
        metrics[f"rewards/{name}/mean"] = float(components[:, index].nanmean())
    for language in LANGUAGES:
        metrics[f"language/{language}"] = sum(j.language == language for j in every) / count
    ran = [j.result for j in every if j.result is not None]
    for status in sorted({r.status.value for r in ran}):
        metrics[f"engine/{status}_frac"] = sum(r.status.value == status for r in ran) / len(ran)
    parts = {
        "program": [j.extracted.program for j in every],
        "prose": [j.extracted.prose if j.extracted.language is not None or j.language == "prose" else "" for j in every],
        "answer": [j.text if j.language == "direct" else "" for j in every],
    }
    for part, texts in parts.items():
        present = [text for text in texts if text]
        ids = tokenizer(present, add_special_tokens=False)["input_ids"] if present else []
        metrics[f"tokens/{part}"] = sum(map(len, ids)) / count
    return metrics
