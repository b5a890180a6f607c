"""The native CUDA ops of csrc/: loaded once when asked for, absent with a reason.

`python setup.py build_ext --inplace` builds the library beside this file. Knows nothing of what the ops compute: their
schemas are in csrc/ops.cpp, their callers in each op's folder.
"""

import functools
from pathlib import Path

import torch

LIBRARY = Path(__file__).with_name("_native_ops.so")
# every op of csrc/ops.cpp writes into tensors its caller made, so a fake has nothing to do
OPS = ("pack_plan", "pack_gather", "deepstack_add", "kv_gather_backward", "group_advantage")


@functools.cache
def why_not() -> str | None:
    """Why the native ops cannot be used here; None when they are loaded. Needs no GPU: they load on a CPU build too."""
    if not LIBRARY.is_file():
        return f"{LIBRARY.name} is not built (python setup.py build_ext --inplace)"
    try:
        torch.ops.load_library(str(LIBRARY))
    except OSError as e:
        return f"{LIBRARY.name} does not load: {e}"
    for name in OPS:
        torch.library.register_fake(f"nsrl::{name}_cuda", lambda *args: None)
    return None


def available(device_type: str) -> bool:
    """Whether the native ops can run on tensors of `device_type`."""
    return device_type == "cuda" and why_not() is None


def op(name: str):
    """A loaded op by its name without _cuda. Raises RuntimeError with the reason when there is none."""
    reason = why_not()
    if reason is not None:
        raise RuntimeError(f"nsrl_kernels: the cuda backend is not available: {reason}")
    return getattr(torch.ops.nsrl, f"{name}_cuda")
