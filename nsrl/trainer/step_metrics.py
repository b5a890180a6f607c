"""A GRPO step gets a line of metrics: TRL's keys and ours (docs/metrics.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

import torch

from nsrl.answers import mathverify
from nsrl.config import TrainConfig
from nsrl.report.table import PARTS
from nsrl.rewards.programs import computes
from nsrl.rollout.types import Finish, Sample
from nsrl.trainer import loss as objective
from nsrl.trainer.evaluation import LANGUAGES
from nsrl.trainer.grader import Graded
from nsrl_kernels import GroupAdvantage


def update_metrics(vector: torch.Tensor, config: TrainConfig) -> dict[str, float]:
    """The vector of `objective.backward` by name, without the clip shares of a loss that does not clip."""
    metrics = dict(zip(objective.NAMES, vector.tolist()))
    if not config.objective.loss.epsilon or config.objective.loss_type == "cispo":
        shares = {name: metrics.pop(name) for name in list(metrics) if name.startswith("clip_ratio/")}
        if config.objective.loss_type == "cispo":
            metrics["cispo_clip_ratio"] = shares["clip_ratio/high_mean"]
    return metrics


def step_metrics(
    samples: Sequence[Sample],
    graded: Sequence[Graded],
    sizes: Sequence[int],
    components: torch.Tensor,
    names: Sequence[str],
    advantage: GroupAdvantage,
    parts: Sequence[Mapping[str, int]],
) -> dict[str, float]:
    """Rewards, completions, programs and languages of everything a step sampled.

    samples, graded: R, group after group, of `sizes`; components: (R, K) rewards by `names`, NaN where one does not
    apply; parts: R, the tokens of each by part (`token_parts`).
    """
    lengths = [len(s.written_ids) for s in samples]
    ended = [n for n, s in zip(lengths, samples) if s.finish is Finish.STOP]
    count = max(1, len(lengths))
    scored = [j.correct for j in graded if j.correct is not None]
    correct = iter(graded)
    solved = [[j.correct for j in islice(correct, size) if j.correct is not None] for size in sizes]
    solved = [any(verdicts) for verdicts in solved if verdicts]
    printed = [j.result.text if j.result is not None and j.result.has_value else None for j in graded]
    programs = [
        (j.extracted.language, j.extracted.program, text)
        for j, text in zip(graded, printed)
        if j.extracted.language is not None
    ]
    metrics = {
        "reward": float(advantage.reward.nanmean()),
        "reward_std": float(advantage.std.mean()),
        "frac_reward_zero_std": 1 - float((advantage.std > 0).sum()) / max(1, len(sizes)),
        "completions/mean_length": sum(lengths) / count,
        "completions/min_length": float(min(lengths, default=0)),
        "completions/max_length": float(max(lengths, default=0)),
        "completions/mean_terminated_length": sum(ended) / max(1, len(ended)),
        "completions/min_terminated_length": float(min(ended, default=0)),
        "completions/max_terminated_length": float(max(ended, default=0)),
        "completions/clipped_ratio": (len(lengths) - len(ended)) / count,
        "program/has_code": sum(j.extracted.language is not None for j in graded) / count,
        "program/no_error": sum(j.result is not None and j.result.no_error for j in graded) / count,
        "program/literal": sum(not computes(*p) for p in programs) / max(1, len(programs)),
        "pass@1": sum(scored) / max(1, len(scored)),
        "pass@k": sum(solved) / max(1, len(solved)),
    }
    for index, name in enumerate(names):
        values = components[:, index]
        metrics[f"rewards/{name}/mean"] = float(values.nanmean())
        given = values[~values.isnan()]
        metrics[f"rewards/{name}/std"] = float(given.std()) if len(given) > 1 else float("nan")
    for language in LANGUAGES:
        metrics[f"language/{language}"] = sum(j.language == language for j in graded) / count
    ran = [j.result for j in graded if j.result is not None]
    for status in sorted({r.status.value for r in ran}):
        metrics[f"engine/{status}_frac"] = sum(r.status.value == status for r in ran) / len(ran)
    metrics |= {f"tokens/{part}": sum(p[part] for p in parts) / count for part in PARTS}
    if any(j.history for j in graded):
        turns = [len(j.history) for j in graded]
        metrics |= {
            "turns/mean": sum(turns) / count,
            "turns/max": float(max(turns)),
            "turns/several_frac": sum(n > 1 for n in turns) / count,
            "turns/shown_tokens": sum(len(s.token_ids) for s in samples) / count - sum(lengths) / count,
        }
    return metrics


def waiting(device: torch.device) -> Callable[[], object]:
    """What returns when the device has done all it was given."""
    return (lambda: None) if device.type == "cpu" else partial(torch.get_device_module(device).synchronize, device)


def peak_memory(device: torch.device) -> dict[str, float]:
    """The most GiB that torch's tensors took on a GPU since this was last asked; {} elsewhere."""
    if device.type != "cuda":
        return {}
    peak = torch.cuda.max_memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    return {"perf/peak_memory_gib": peak / 2**30}


def engine_metrics(stats: dict[str, Any]) -> dict[str, float]:
    """The pool's telemetry of the clock's kind; what it counts from its start would differ after a resume."""
    metrics = {f"engine/latency_s/{name}": ms / 1000 for name, ms in stats["latency_ms"].items()}
    names = {"queued": "queue_depth", "restarts": "restarts", "stalls": "stalls", "cache_hits": "cache_hits"}
    checks = {f"check/{name}": float(count) for name, count in mathverify.counts.items()}
    return metrics | {f"engine/{name}": float(stats[key]) for key, name in names.items()} | checks


def gpu_uuid(device: torch.device) -> str | None:
    """What the driver calls the device, whatever CUDA_VISIBLE_DEVICES renumbers; None for a CPU."""
    return f"GPU-{torch.cuda.get_device_properties(device).uuid}" if device.type == "cuda" else None
