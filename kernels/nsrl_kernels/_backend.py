"""Which implementation an op runs: `reference` (torch), `triton` or `cuda`. Knows nothing of any op's arithmetic.

The only file of the package that reads the environment, and it reads one name: NSRL_KERNELS_BACKEND. (Triton itself
reads TRITON_INTERPRET when a kernel is first imported; with it set, `backend="triton"` runs on CPU tensors.)
"""

import importlib.util
import logging
import os

import torch

BACKENDS = ("reference", "triton", "triton_v0", "cuda")
ENV = "NSRL_KERNELS_BACKEND"

_log = logging.getLogger("nsrl_kernels")
_announced: set[tuple[str, str, str]] = set()


@torch.compiler.assume_constant_result
def has_triton() -> bool:
    return importlib.util.find_spec("triton") is not None


@torch.compiler.assume_constant_result
def resolve(op: str, device_type: str, requested: str | None, offered: tuple[str, ...]) -> str:
    """The backend `op` runs on tensors of `device_type`: the argument, else the environment, else the best there is.

    offered: what the op implements here, best first. A backend asked for by argument and not offered is an error;
    one asked for by environment falls through, because one variable speaks for every op.
    """
    for source, name in (("backend", requested), (ENV, os.environ.get(ENV))):
        if not name:
            continue
        if name not in BACKENDS:
            raise ValueError(f"{op}: {source} must be one of {', '.join(BACKENDS)}; got {name!r}")
        if name in offered:
            return _announce(op, name, device_type)
        if source == "backend":
            raise ValueError(f"{op}: {source}={name!r} is not available here; expected one of {', '.join(offered)}")
    best = next(name for name in offered if name == "reference" or device_type == "cuda")
    return _announce(op, best, device_type)


def _announce(op: str, name: str, device_type: str) -> str:
    if (op, name, device_type) not in _announced:
        _announced.add((op, name, device_type))
        _log.info("%s runs on %s (%s)", op, name, device_type)
    return name


def is_interpreted(kernel) -> bool:
    """Whether a Triton kernel object is the interpreter's (it then takes CPU tensors and needs fp32 dot operands)."""
    return type(kernel).__name__ == "InterpretedFunction"
