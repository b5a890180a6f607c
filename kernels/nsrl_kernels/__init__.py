"""Fused ops for policy-gradient training of language models. Needs torch (and Triton for speed); knows nothing of
nsrl.

What an objective is, its losses and its metrics can be read without torch, which comes with the first op that is
asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .ops.policy_loss.spec import LOSSES, METRIC_NAMES, METRICS, Objective

if TYPE_CHECKING:
    from .ops.group_advantage.op import GroupAdvantage, group_advantage
    from .ops.linear_grpo.op import linear_grpo
    from .ops.linear_logp.op import linear_logp
    from .ops.logp_from_logits.op import logp_from_logits
    from .ops.pack_vision.op import deepstack_add, gather_kv, pack_embed, pack_vision
    from .ops.pack_vision.spec import PackPlan
    from .ops.policy_loss.op import policy_loss

__all__ = [
    "LOSSES",
    "METRICS",
    "METRIC_NAMES",
    "GroupAdvantage",
    "Objective",
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
_ELSEWHERE = {  # what its op's folder is not called
    "GroupAdvantage": "group_advantage",
    "PackPlan": "pack_vision",
    "deepstack_add": "pack_vision",
    "gather_kv": "pack_vision",
    "pack_embed": "pack_vision",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    op = import_module(f".ops.{_ELSEWHERE.get(name, name)}.op", __name__)
    globals()[name] = getattr(op, name)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
