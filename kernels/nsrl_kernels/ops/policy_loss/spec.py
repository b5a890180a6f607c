"""What an objective is: its losses, options and metrics, each listed once. No torch, so a command line can read them.

A further loss is a row of LOSSES, a formula in reference.py and one in kernel.py; a further option a field of
`Objective` and its use in the two; a further metric a row of METRICS and a line in each of the two. The custom op takes
the fields of `Inputs` (reference.py) and `Objective`, flat.
"""

from dataclasses import dataclass
from typing import Annotated, NamedTuple

from ...options import Bound, OneOf, options


class Loss(NamedTuple):
    """A row of the loss table of docs/kernels.md."""

    aggregation: str  # its own: a name of AGGREGATIONS
    clipped: bool = True  # has a ratio kept inside a band, which delta and dual_clip bound further
    sequence_ratio: bool = False  # always takes the sequence's ratio
    epsilon: bool = True  # epsilon_high bounds something (and epsilon, but for cispo)


LOSSES = {
    "grpo": Loss("sequence"),
    "bnpo": Loss("token"),
    "dr_grpo": Loss("fixed"),
    "dapo": Loss("token"),
    "gspo": Loss("sequence", sequence_ratio=True),
    "luspo": Loss("sequence_sum", sequence_ratio=True),
    "gmpo": Loss("sequence", clipped=False, sequence_ratio=True),
    "cispo": Loss("token", clipped=False),
    "gppo": Loss("token"),
    "sapo": Loss("sequence", clipped=False, epsilon=False),
    "vespo": Loss("token", clipped=False, epsilon=False),
    "reinforce": Loss("token", clipped=False, epsilon=False),
}
# mean over sequences of token means; mean over tokens; sum / (S·max_length); mean over sequences of token sums
AGGREGATIONS = ("sequence", "token", "fixed", "sequence_sum")
KLS = ("k1", "k2", "k3")
CORRECTIONS = ("none", "truncate", "mask")
LEVELS = ("token", "sequence")
MOST_EXTRA = 4  # extra k3 terms the kernel takes; more run in torch
NONE_OR_MORE = Bound(least=0)


@dataclass(frozen=True)
class Objective:
    """Everything about an objective that is not a tensor: the options of `policy_loss`, by the names it takes them.

    The first paragraph below a field says what the option is, further ones what it does in the formula.
    """

    loss_type: Annotated[str, OneOf(tuple(LOSSES), "kernels.md")] = "dapo"
    """how tokens are clipped and averaged."""

    importance_sampling_level: Annotated[str, OneOf(LEVELS)] = "token"
    """ratio per token or per sequence.

    "sequence" is exp of the masked mean log-ratio; gspo, luspo and gmpo always take it."""

    aggregation: Annotated[str | None, OneOf(AGGREGATIONS)] = None
    """mean over sequences of token means, mean over tokens, sum / (S·max_length), or mean over sequences of token sums;
    None for the loss type's own."""

    epsilon: Annotated[float, NONE_OR_MORE] = 0.2
    """lower clip: the band is [1 - epsilon, 1 + epsilon_high].

    gmpo's is of each token's log-ratio, [-epsilon, epsilon_high]."""

    epsilon_high: Annotated[float | None, NONE_OR_MORE] = None
    """upper clip; None repeats epsilon.

    CISPO's weight is bounded by 1 + epsilon_high too (TRL's epsilon_high is that bound itself)."""

    delta: Annotated[float | None, Bound(above=0)] = None
    """upper bound on the unclipped ratio."""

    dual_clip: Annotated[float | None, Bound(above=1)] = None
    """bound c > 1 of the loss where the advantage is negative."""

    beta: Annotated[float, NONE_OR_MORE] = 0.0
    """weight of the KL to the reference model.

    It is a metric whenever ref_logp is given, and in the loss when beta is above 0."""

    kl: Annotated[str, OneOf(KLS)] = "k3"
    """estimator of that KL."""

    kl_log_clamp: Annotated[float | None, NONE_OR_MORE] = None
    """bound on the |log-ratio| of every KL term; no gradient where it is clamped."""

    kl_clamp: Annotated[float | None, NONE_OR_MORE] = None
    """bound on the estimate of every KL term; no gradient where it is clamped."""

    kl_times_ratio: bool = False
    """multiply that KL by the importance ratio (of the level chosen)."""

    entropy_coef: Annotated[float, Bound()] = 0.0  # below 0 it is a penalty
    """weight of an entropy bonus, the mean over tokens.

    Whatever the loss type: see entropy_normalizer."""

    importance: Annotated[str, OneOf(CORRECTIONS)] = "none"
    """correction by exp(old - sampler): truncated at the cap, or with what is above it masked."""

    importance_level: Annotated[str, OneOf(LEVELS)] = "token"
    """that correction per token, or for the sum over the sequence."""

    importance_cap: Annotated[float, Bound(above=0)] = 2.0
    """where that correction is truncated or masked."""

    nll_coef: Annotated[float, Bound()] = 0.0
    """weight of -logp, times nll_weights where they are given."""

    drift_coef: Annotated[float, NONE_OR_MORE] = 1.0
    """weight of |logp - old| on the tokens that drift_weights names (KL-Cov)."""

    tau: Annotated[tuple[float, float], Bound(above=0)] = (1.0, 1.05)
    """SAPO's temperatures for positive and negative advantages."""

    gppo_beta: Annotated[tuple[float, float], NONE_OR_MORE] = (1.0, 1.0)
    """GPPO's gradient scale below and above the band."""

    vespo_k: Annotated[tuple[float, float], NONE_OR_MORE] = (2.0, 3.0)
    """VESPO's power of the sequence's ratio, for advantages from 0 and below."""

    vespo_lambda: Annotated[tuple[float, float], NONE_OR_MORE] = (3.0, 2.0)
    """VESPO's rate of decay in that ratio, for advantages from 0 and below."""

    @property
    def loss(self) -> Loss:
        """Its row of LOSSES."""
        return LOSSES[self.loss_type]

    @property
    def averages(self) -> str:
        """How it aggregates: a name of AGGREGATIONS."""
        return self.aggregation or self.loss.aggregation

    @property
    def sequence_ratio(self) -> bool:
        """Whether the ratio is the sequence's."""
        return self.loss.sequence_ratio or self.importance_sampling_level == "sequence"

    @property
    def low(self) -> float:
        """Lower edge of the band."""
        return 1 - self.epsilon

    @property
    def high(self) -> float:
        """Upper edge of the band."""
        return 1 + (self.epsilon if self.epsilon_high is None else self.epsilon_high)

    @property
    def advantages_alone(self) -> bool:
        """Whether a token whose advantage is 0 has no gradient (extra_kl aside)."""
        return not (self.beta or self.entropy_coef or self.nll_coef)


OPTIONS = options(Objective)  # by name, with bounds and choices

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
