"""Every shape a head benchmark runs at, in one place. Knows nothing of ops."""

from typing import NamedTuple


class HeadShape(NamedTuple):
    """Rows, hidden size and vocabulary of one head."""

    name: str
    n: int
    n_hidden: int
    n_vocab: int

    @property
    def gemm_flop(self) -> float:
        return 2.0 * self.n * self.n_hidden * self.n_vocab


CASE_2B = HeadShape("2B case", 10_240, 2_048, 151_936)
SMALL = HeadShape("small", 96, 32, 1_003)
N_SWEEP = tuple(HeadShape(f"N={n}", n, 2_048, 151_936) for n in (1, 256, 2_048, 4_096))
V_SWEEP = tuple(HeadShape(f"V={v}", 10_240, 2_048, v) for v in (32_001, 129_920))
ON_GPU = (CASE_2B, *N_SWEEP, *V_SWEEP)

GROUP, COMPLETION = 10, 1_024  # of the 2B case: 10 completions of 1,024 tokens
BF16_FLOPS, COPY_BYTES = 790e12, 4.3e12  # an H200's measured rates, from docs/kernels.md
