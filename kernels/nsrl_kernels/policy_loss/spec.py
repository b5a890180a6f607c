"""What an objective is: its options as one frozen value, and the names of its metrics. Knows nothing of tensors' values."""

from typing import NamedTuple

LOSSES = ("grpo", "bnpo", "dr_grpo", "dapo", "gspo", "cispo", "gppo", "sapo", "reinforce")
AGGREGATIONS = ("sequence", "token", "fixed")
KLS = ("k1", "k2", "k3")
CORRECTIONS = ("none", "truncate", "mask")
LEVELS = ("token", "sequence")

METRIC_NAMES = (
    "loss",
    "policy_loss",
    "kl",
    "entropy",
    "clip_ratio/low_mean",
    "clip_ratio/high_mean",
    "clip_ratio/region_mean",
    "ratio/min",
    "ratio/max",
    "ratio/mean",
    "sampling/sampling_logp_difference/mean",
    "sampling/sampling_logp_difference/max",
    "sampling/importance_ratio/mean",
    "extra_kl",
    "tokens",
    "sequences",
)


class Spec(NamedTuple):
    """Everything about an objective that is not a tensor."""

    loss_type: str
    sequence_ratio: bool
    aggregation: str
    eps_low: float
    eps_high: float
    delta: float | None
    dual_clip: float | None
    beta: float
    kl: str
    kl_log_clamp: float | None
    kl_clamp: float | None
    kl_times_ratio: bool
    extra: tuple[float, ...]
    correction: str
    sequence_correction: bool
    cap: float
    entropy_coef: float
    nll_coef: float
    tau: tuple[float, float]  # SAPO: for positive, for negative advantages
    gppo_beta: tuple[float, float]  # GPPO: gradient scale below, above the band


def default_aggregation(loss_type: str) -> str:
    if loss_type in ("grpo", "gspo", "sapo"):
        return "sequence"
    return "fixed" if loss_type == "dr_grpo" else "token"
