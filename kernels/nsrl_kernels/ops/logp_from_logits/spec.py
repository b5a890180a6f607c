"""What a call of `logp_from_logits` is: its tensors and its options, each one value. The custom ops take their fields,
flat."""

from typing import NamedTuple

from torch import Tensor


class Inputs(NamedTuple):
    """The tensors of a call, rows flattened to N."""

    logits: Tensor  # [N, V]
    target: Tensor  # [N] int64; negative: the row is left out
    temperature_rows: Tensor | None  # [N]
    row_mask: Tensor | None  # [N] bool
    banned: Tensor | None  # [V] bool


class Options(NamedTuple):
    """Everything about a call that is not a tensor."""

    temperature: float  # of every row, when there is none per row
    softcap: float  # 0: none
    entropy: str  # "metric", "grad" or "none"
    inplace_grad: bool
    backend: str  # as asked for, "" for the best
