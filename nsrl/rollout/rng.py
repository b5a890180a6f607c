"""Uniform numbers come by counter: the draw of (seed, sample, position) is a pure function of those three.

So a completion does not depend on the order of the batch, on what else is in it, or on when its neighbours finish, as
it would with a generator that is advanced.
"""

from __future__ import annotations

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mix64(x: np.ndarray) -> np.ndarray:
    """splitmix64's finaliser on uint64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014)."""
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


def sample_key(seed: int, sample: int) -> int:
    """The 64-bit key of sample number `sample` of a request seeded with `seed` (any integer)."""
    state = np.array([seed & 0xFFFF_FFFF_FFFF_FFFF], dtype=np.uint64)
    with np.errstate(over="ignore"):
        state = mix64(state + _GOLDEN)
        return int(mix64(state + _GOLDEN * np.uint64(sample + 1))[0])


def uniforms(keys: list[int], positions: int) -> np.ndarray:
    """(len(keys), positions) float64 in [0, 1), multiples of 2^-40: u * total stays below total in float64."""
    with np.errstate(over="ignore"):
        counter = np.arange(1, positions + 1, dtype=np.uint64) * _GOLDEN
        bits = mix64(np.asarray(keys, dtype=np.uint64)[:, None] + counter[None, :])
    return (bits >> np.uint64(24)).astype(np.float64) * 2.0**-40
