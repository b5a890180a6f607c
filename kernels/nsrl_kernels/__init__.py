"""Fused ops for policy-gradient training of language models. Needs torch (and Triton for speed); knows nothing of
nsrl."""

from .group_advantage.op import GroupAdvantage, group_advantage
from .linear_grpo.op import linear_grpo
from .linear_logp.op import linear_logp
from .logp_from_logits.op import logp_from_logits
from .pack_vision.op import deepstack_add, gather_kv, pack_embed, pack_vision
from .pack_vision.spec import PackPlan
from .policy_loss.op import policy_loss
from .policy_loss.spec import LOSSES, METRIC_NAMES, METRICS

__all__ = [
    "LOSSES",
    "METRICS",
    "METRIC_NAMES",
    "GroupAdvantage",
    "PackPlan",
    "deepstack_add",
    "gather_kv",
    "group_advantage",
    "linear_grpo",
    "linear_logp",
    "logp_from_logits",
    "pack_embed",
    "pack_vision",
    "policy_loss",
]
