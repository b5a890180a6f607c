"""The native CUDA ops of csrc/: loaded once when asked for, absent with a reason.

`python setup.py build_ext --inplace` builds the library beside this file. Knows nothing of what the ops compute: their
schemas are in csrc/ops.cpp, their callers in each op's folder.
"""

import functools
from pathlib import Path

import torch

LIBRARY = Path(__file__).with_name("_native_ops.so")
# every op of csrc/ops.cpp writes into tensors its caller made, so a fake has nothing to do
OPS = ("pack_plan_cuda", "pack_gather_cuda", "deepstack_add_cuda", "kv_gather_backward_cuda", "group_advantage_cuda")


@functools.cache
def why_not() -> str | None:
    """Why the native ops cannot be used here; None when they are loaded. Needs no GPU: they load on a CPU build too."""
    if not LIBRARY.is_file():
        return f"{LIBRARY.name} is not built (python setup.py build_ext --inplace)"
    try:
        torch.ops.load_library(str(LIBRARY))
    except OSError as e:
        return f"{LIBRARY.name} does not load: {e}"
    for op in OPS:
        torch.library.register_fake(f"nsrl::{op}", lambda *args: None)
    return None


def available(device_type: str) -> bool:
    """Whether the native ops can run on tensors of `device_type`."""
    return device_type == "cuda" and why_not() is None


def ops():
    """The namespace of the loaded ops. Raises RuntimeError with the reason when there is none."""
    reason = why_not()
    if reason is not None:
        raise RuntimeError(f"nsrl_kernels: the cuda backend is not available: {reason}")
    return torch.ops.nsrl
