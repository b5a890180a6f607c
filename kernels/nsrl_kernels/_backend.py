"""Which implementation an op runs: `torch`, `triton` or `cuda` (csrc/). Knows nothing of any op's arithmetic.

The only file of the package that reads the environment, and it reads one name: NSRL_KERNELS_BACKEND. (Triton itself
reads TRITON_INTERPRET when a kernel is first imported; with it set, `backend="triton"` runs on CPU tensors.)
"""

import importlib.util
import logging
import os

import torch

from . import _native

BACKENDS = ("torch", "triton", "cuda")
OLD_NAMES = {"reference": "torch"}  # of version 0.1
ENV = "NSRL_KERNELS_BACKEND"

_log = logging.getLogger("nsrl_kernels")
_announced: set[tuple[str, str, str]] = set()


@torch.compiler.assume_constant_result
def resolve(op: str, device_type: str, requested: str | None, *, triton: bool = True, cuda: bool = False) -> str:
    """The backend `op` runs on tensors of `device_type`: the argument, else the environment, else the best there is.

    Args:
        op: its public name, for errors and the log.
        device_type: of the tensors.
        requested: the caller's `backend`, or None. One that can not run here is an error; one asked for by environment
            falls through, because one variable speaks for every op.
        triton, cuda: whether the op has such kernels for its arguments.

    Raises:
        ValueError: an unknown name, or a backend that can not run here.
    """
    here = {
        "cuda": cuda and _native.available(device_type),
        "triton": triton and _runs_triton(device_type),
        "torch": True,
    }
    offered = tuple(name for name, runs in here.items() if runs)  # best first
    for source, name in (("backend", requested), (ENV, os.environ.get(ENV))):
        if not name:
            continue
        name = OLD_NAMES.get(name, name)
        if name not in BACKENDS:
            raise ValueError(f"{op}: {source} must be one of {', '.join(BACKENDS)}; got {name!r}")
        if name in offered:
            return _announce(op, name, device_type)
        if source == "backend":
            raise ValueError(f"{op}: {source}={name!r} is not available here; expected one of {', '.join(offered)}")
    return _announce(op, offered[0] if device_type == "cuda" else "torch", device_type)


def _runs_triton(device_type: str) -> bool:
    if importlib.util.find_spec("triton") is None:
        return False
    from ._tl import INTERPRETED

    return device_type == "cuda" or INTERPRETED.value


def _announce(op: str, name: str, device_type: str) -> str:
    if (op, name, device_type) not in _announced:
        _announced.add((op, name, device_type))
        _log.info("%s runs on %s (%s)", op, name, device_type)
    return name
