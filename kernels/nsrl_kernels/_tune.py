"""Tile shapes and schedules of the Triton kernels, one table; every number here is safe to change.

A row's bits depend on BLOCK_N, BLOCK_K and SPLIT_COLUMNS only, never on the batch: change them and the last bits move.
"""

from typing import NamedTuple

import torch

from ._tl import INTERPRETED

CHUNK_ROWS = 2048  # rows of exp(logits) held for GEMM 2: 2048 x 2048 of output is 97% of 132 SMs in 128 x 256 tiles
FORWARD_ROWS = 16384  # rows per pass when nothing is stored
LOGITS_ROWS = 512  # rows of fp32 logits held when cuBLAS multiplies GEMM 1
RAISE_ABOVE = 1e10  # odds above this (p < e^-23): entropies lose digits, and the row is scanned at a scale of its own
LOST_BELOW = 1e-12  # a hint this far off loses digits: the same
LEAST_KNOWN, MOST_KNOWN = 1e-30, 1e37  # between them a row's sum says its scale; else its maximum has to be found first
NEGLIGIBLE = 1e-9  # of a row's sum: a split that held less is not scanned again for it
FIXED = 2.0**40  # units of 1 in which the tiles of that scan are added: 5e5 columns at their maximum fit 63 bits
ODD = 128  # columns of which one flag says that some need a mask
SPLIT_COLUMNS = 4608  # vocabulary columns one program walks before it writes its partial sums: 151,936 = 33 splits,
# and 16 (or 80) row tiles x 33 splits fill 132 SMs without remainder
INTERPRETED_SPLIT_COLUMNS = 16384  # the interpreter pays per operation, not per element


class Tiles(NamedTuple):
    """What one program of a GEMM works on, and with what."""

    block_m: int
    block_n: int
    block_k: int
    num_warps: int
    num_stages: int


def split_columns() -> int:
    """Vocabulary columns of one split."""
    return INTERPRETED_SPLIT_COLUMNS if INTERPRETED else SPLIT_COLUMNS


def scan(dtype: torch.dtype, *, from_logits: bool = False, small: bool = False, least: bool = False) -> Tiles:
    """GEMM 1 with the exp epilogue, or the same epilogue over logits in memory.

    small: the epilogue holds more per element (softcap, bias, masks of the second scan): the wide tile would spill.
    least: addresses instead of TMA, or a second scan with a softcap or a bias.
    """
    if INTERPRETED:
        return Tiles(16, 2048, 64, 4, 1)
    if from_logits:
        return Tiles(4, 512, 1, 4, 2)
    if dtype == torch.float32:
        return Tiles(64, 64, 32, 4, 3)
    if least:
        return Tiles(128, 64, 64, 8, 3)
    return Tiles(128, 128, 64, 8, 3) if small else Tiles(128, 256, 64, 8, 3)


def gemm(dtype: torch.dtype, *, small: bool = False) -> Tiles:
    """GEMM 2 (E·W) and the ∂W accumulation."""
    if INTERPRETED:
        return Tiles(32, 64, 1024, 4, 1)
    if dtype == torch.float32:
        return Tiles(64, 64, 32, 4, 3)
    return Tiles(128, 128, 64, 8, 3) if small else Tiles(128, 256, 64, 8, 3)


def rows_by_hidden(n_hidden: int) -> tuple[int, int]:
    """Rows and columns per program of the [N, H] elementwise kernels: 16 bytes a thread and more."""
    if INTERPRETED:
        return 128, 128
    return (1, 1024) if n_hidden > 512 else (4, 256)


def parts(from_logits: bool, stores: bool, tiles: Tiles) -> int:
    """Pieces of a tile's columns that the scan's epilogue takes in turn; also the width of its TMA stores."""
    if from_logits:
        return 1
    return 4 if stores and tiles.block_n == 256 else 2


def lanes(from_logits: bool) -> int:
    """Parts in which a row's sums are kept while its tiles are walked: of the four threads that hold wgmma's row."""
    return 1 if from_logits or INTERPRETED else 4
