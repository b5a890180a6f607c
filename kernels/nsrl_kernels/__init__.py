"""Fused ops for policy-gradient training of language models. Needs torch (and Triton for speed); knows nothing of nsrl."""

from .group_advantage.op import GroupAdvantage, group_advantage
from .linear_grpo.op import linear_grpo
from .linear_logp.op import linear_logp
from .logp_from_logits.op import logp_from_logits
from .pack_vision.op import PackPlan, deepstack_add, gather_kv, pack_embed, pack_vision
from .policy_loss.op import METRIC_NAMES, policy_loss

__all__ = [
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
