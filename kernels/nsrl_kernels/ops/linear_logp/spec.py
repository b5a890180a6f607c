"""What a call of `linear_logp` is: its tensors and its options, each one value. Both custom ops take their fields,
flat."""

from typing import NamedTuple

from torch import Tensor


class Inputs(NamedTuple):
    """The tensors of a call, rows flattened to N."""

    hidden: Tensor  # [N, H]
    weight: Tensor  # [V, H], this rank's shard of the head
    target: Tensor  # [N] int64, ids of the whole vocabulary; negative: the row is left out
    bias: Tensor | None  # [V] fp32 (fp64), -inf for a banned id
    temperature_rows: Tensor | None  # [N]
    hint_logp: Tensor | None  # [N]
    row_mask: Tensor | None  # [N] bool
    grad_rows: Tensor | None  # [N] bool


class Options(NamedTuple):
    """Everything about a call that is not a tensor."""

    temperature: float  # of every row, when there is none per row
    softcap: float  # 0: none
    entropy: str  # "metric", "grad" or "none"
    saving: str  # what the forward keeps for the backward: "none", "jacobian" or "recompute"
    batch_invariant: bool
    vocab_group: str  # name of the process group over which the head is sharded, "" for a whole head
    vocab_start: int
    backend: str  # as asked for, "" for the best
    gemm: str  # the triton backend's GEMM 1: "triton" or "cublas"
    bans_only: bool = False  # the bias is 0 but where it bans


class Needs(NamedTuple):
    """Which gradients the recompute mode's backward returns."""

    need_hidden: bool
    need_weight: bool
    need_bias: bool


class Head(NamedTuple):
    """What turns hidden states into logits."""

    weight: Tensor  # [V, H]
    bias: Tensor | None  # [V] fp32 or fp64, -inf for a banned id
    softcap: float  # 0: none
    bans_only: bool = False  # the bias is 0 but where it bans
    odd: Tensor | None = None  # [V / 128 and more] int32: whether one of 128 columns is banned or past the end
