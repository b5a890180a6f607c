"""What an objective is: its losses, options, tensors and metrics, each listed once. Knows nothing of tensors' values.

A further loss is a row of LOSSES, a formula in reference.py and one in kernel.py; a further metric a row of METRICS and
a line in each of the two. The custom op takes the fields of `Inputs` and `Spec`, flat.
"""

from typing import NamedTuple

from torch import Tensor


class Loss(NamedTuple):
    """A row of the loss table of docs/kernels.md."""

    aggregation: str  # its own: "sequence" (mean of token means), "token" (mean) or "fixed" (sum / (S·max_length))
    clipped: bool = True  # has a ratio kept inside a band, which delta and dual_clip bound further
    sequence_ratio: bool = False  # always takes the sequence's ratio


LOSSES = {
    "grpo": Loss("sequence"),
    "bnpo": Loss("token"),
    "dr_grpo": Loss("fixed"),
    "dapo": Loss("token"),
    "gspo": Loss("sequence", sequence_ratio=True),
    "cispo": Loss("token", clipped=False),
    "gppo": Loss("token"),
    "sapo": Loss("sequence", clipped=False),
    "reinforce": Loss("token", clipped=False),
}
AGGREGATIONS = ("sequence", "token", "fixed")
KLS = ("k1", "k2", "k3")
CORRECTIONS = ("none", "truncate", "mask")
LEVELS = ("token", "sequence")
MOST_EXTRA = 4  # extra k3 terms the kernel takes; more run in torch

# How the values of calls that are parts of one batch make the batch's: "sum", or over its tokens "mean", "min" or
# "max".
METRICS = {
    "loss": "sum",
    "policy_loss": "sum",
    "kl": "mean",
    "entropy": "mean",
    "clip_ratio/low_mean": "mean",
    "clip_ratio/high_mean": "mean",
    "clip_ratio/region_mean": "mean",
    "ratio/min": "min",
    "ratio/max": "max",
    "ratio/mean": "mean",
    "sampling/sampling_logp_difference/mean": "mean",
    "sampling/sampling_logp_difference/max": "max",
    "sampling/importance_ratio/mean": "mean",
    "extra_kl": "mean",
    "tokens": "sum",
    "sequences": "sum",
}
METRIC_NAMES = tuple(METRICS)


class Inputs(NamedTuple):
    """The tensors of a call, layouts undone: T tokens of S sequences, one after the other."""

    logp: Tensor  # [T]
    entropy: Tensor | None  # [T]
    advantages: Tensor  # [S] or [T]
    mask: Tensor | None  # [T] bool
    offsets: Tensor  # [S + 1]
    normalizer: Tensor  # [] (or a number, for the definition)
    entropy_normalizer: Tensor  # the same
    old: Tensor | None  # [T]
    ref: Tensor | None  # [T]
    sampler: Tensor | None  # [T]
    weights: Tensor | None  # [T]
    extra: Tensor | None  # [K, T], one row for each of Spec.extra_coefs


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
    extra_coefs: tuple[float, ...]  # of Inputs.extra
    correction: str
    sequence_correction: bool
    cap: float
    entropy_coef: float
    nll_coef: float
    tau: tuple[float, ...]  # SAPO: for positive, for negative advantages
    gppo_beta: tuple[float, ...]  # GPPO: gradient scale below, above the band
