"""The objective of a run: every option of `policy_loss` (`nsrl_kernels/ops/policy_loss/spec.py`) is a key.

Here stands what a run says otherwise than the op: names, defaults and texts. What was a key before there was a group
has no prefix (`beta`), as in TRL; the others are `objective.*`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Annotated

from nsrl.config.keys import Called
from nsrl_kernels import Objective
from nsrl_kernels.ops.policy_loss.spec import AGGREGATIONS, CORRECTIONS, KLS, LEVELS, NONE_OR_MORE
from nsrl_kernels.options import Bound, OneOf

SHARE = Bound(least=0, below=1)


@dataclass(frozen=True)
class ObjectiveConfig(Objective):
    """What is minimised: options of `policy_loss`, handed on as they are."""

    epsilon: Annotated[float, NONE_OR_MORE] = 0.2
    """lower clip; it and what follows down to delta act from the second update of a rollout (mini_batches,
    num_iterations)."""

    epsilon_high: Annotated[float | None, NONE_OR_MORE] = 0.28
    """upper clip (null: as epsilon); with loss_type=cispo, as in TRL, the bound on the ratio itself, above 1."""

    delta: Annotated[float | None, Bound(above=1)] = None
    """upper bound on the ratio of a token with a negative advantage, above 1 + epsilon_high (null: none)."""

    kl_times_ratio: Annotated[bool, Called("use_bias_correction_kl")] = False
    """multiply that KL by the importance ratio (TRL's key; TRL's default is true)."""

    importance: Annotated[str, OneOf(CORRECTIONS), Called("sampler_correction")] = "none"
    """importance correction between sampler and trainer."""

    aggregation: Annotated[str | None, OneOf(AGGREGATIONS), Called("objective.aggregation")] = None
    """how tokens are averaged: mean over completions of token means, mean over tokens, sum over (completions times
    max_completion_length), or mean over completions of token sums (null: the loss type's own)."""

    dual_clip: Annotated[float | None, Bound(above=1), Called("objective.dual_clip")] = None
    """a token with a negative advantage A costs at most this times -A (null: no bound); 3 is verl's, 10 Klear's."""

    kl: Annotated[str, OneOf(KLS), Called("objective.kl")] = "k3"
    """estimator of the KL to the reference, in the loss and as the metric."""

    kl_log_clamp: Annotated[float | None, NONE_OR_MORE, Called("objective.kl_log_clamp")] = None
    """bound on the log-ratio of that KL, to either side; beyond it there is no gradient (null: none; 20 is verl's)."""

    kl_clamp: Annotated[float | None, NONE_OR_MORE, Called("objective.kl_clamp")] = None
    """bound on that KL of a token; beyond it there is no gradient (null: none; 10 is verl's)."""

    importance_level: Annotated[str, OneOf(LEVELS), Called("objective.importance_level")] = "token"
    """sampler_correction for each token, or for the whole completion."""

    importance_cap: Annotated[float, Bound(above=0), Called("objective.importance_cap")] = 2.0
    """where sampler_correction truncates or masks."""

    nll_coef: Annotated[float, NONE_OR_MORE, Called("objective.nll_coef")] = 0.0
    """weight of a further term: the mean -log-prob of the tokens of right completions (VAPO, Klear), or of
    objective.nll_on."""

    nll_on: Annotated[str, OneOf(("right", "all")), Called("objective.nll_on")] = "right"
    """the tokens of objective.nll_coef: of right completions, or all of them (PAPO's entropy penalty)."""

    drift_coef: Annotated[float, NONE_OR_MORE, Called("objective.drift_coef")] = 1.0
    """weight of |log-ratio| on the tokens that objective.kl_cov chooses."""

    tau: Annotated[tuple[float, float], Bound(above=0), Called("objective.tau")] = (1.0, 1.05)
    """sapo's temperatures, for advantages above and below 0."""

    gppo_beta: Annotated[tuple[float, float], NONE_OR_MORE, Called("objective.gppo_beta")] = (1.0, 1.0)
    """how much of its gradient gppo keeps below and above the band."""

    vespo_k: Annotated[tuple[float, float], NONE_OR_MORE, Called("objective.vespo_k")] = (2.0, 3.0)
    """vespo's powers of a completion's ratio, for advantages from 0 and below."""

    vespo_lambda: Annotated[tuple[float, float], NONE_OR_MORE, Called("objective.vespo_lambda")] = (3.0, 2.0)
    """vespo's rates of decay in that ratio, for advantages from 0 and below."""

    top_entropy: Annotated[float, Bound(above=0, most=1), Called("objective.top_entropy")] = 1.0
    """share of an update's tokens that the policy term is of: those of the highest entropy before the rollout's first
    update (0.2 in arXiv 2506.01939; 1: all)."""

    clip_cov: Annotated[float, SHARE, Called("objective.clip_cov")] = 0.0
    """share of an update's tokens left out of the policy term, drawn among those whose covariance of log-prob and
    advantage is within objective.cov_band (Clip-Cov; 0.0002 in verl; 0: none)."""

    cov_band: Annotated[tuple[float, float], Bound(), Called("objective.cov_band")] = (1.0, 5.0)
    """bounds of that covariance."""

    kl_cov: Annotated[float, SHARE, Called("objective.kl_cov")] = 0.0
    """share of an update's tokens, those of the largest such covariance, that pay objective.drift_coef times their
    |log-ratio| (KL-Cov; 0.002 for small models; 0: none)."""

    @property
    def chooses(self) -> bool:
        """Whether some tokens of an update are treated apart from the others."""
        return self.top_entropy < 1 or self.clip_cov > 0 or self.kl_cov > 0

    def __post_init__(self) -> None:
        for field in fields(self):  # a file has lists
            if isinstance(value := getattr(self, field.name), list):
                object.__setattr__(self, field.name, tuple(value))

    def handed_on(self) -> Objective:
        """What `policy_loss` takes: its epsilon_high is counted from 1, also with CISPO."""
        if self.loss_type == "cispo" and self.epsilon_high is not None:
            return replace(self, epsilon_high=self.epsilon_high - 1)
        return self
