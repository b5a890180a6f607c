"""csrc/ compiles for sm_90a without a GPU; the library loads on any torch; its checks name the argument."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.compiles

ROOT = Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("nsrl_setup", ROOT / "setup.py")
nsrl_setup = importlib.util.module_from_spec(spec)
spec.loader.exec_module(nsrl_setup)


@pytest.fixture(scope="session")  # a second library would register its ops twice
def library(tmp_path_factory):
    """What `python setup.py build_ext` makes, in a folder of its own."""
    reason = nsrl_setup.why_not()
    if reason is not None:
        pytest.skip(f"native ops are not built here: {reason}")
    folder = tmp_path_factory.mktemp("native")
    out = folder / "lib" / "nsrl_kernels" / nsrl_setup.LIBRARY
    command = [sys.executable, "setup.py", "-q", "build_ext", "--build-lib", folder / "lib", "--build-temp", folder]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert out.is_file()
    return out


@pytest.fixture(scope="session")  # a second library would register its ops twice
def native(library):
    """The ops, loaded in this process: no GPU, and maybe a CPU build of torch."""
    torch.ops.load_library(str(library))
    return torch.ops.nsrl


def ints(*shape):
    return torch.zeros(shape, dtype=torch.int32)


def test_sm_90a_code_without_spills_and_with_16_byte_accesses(library, tmp_path):
    """Also catches a flag that would silently build for another chip."""
    for source in sorted((ROOT / "csrc").glob("*.cu")):
        cubin = tmp_path / f"{source.stem}.cubin"
        flags = [f for f in nsrl_setup.NVCC_FLAGS if f not in ("-Xcompiler", "-fPIC")]
        command = [nsrl_setup.find_nvcc(), *flags, "-Xptxas", "-v", "-cubin", str(source), "-o", str(cubin)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "'sm_90a'" in done.stderr
        spills = [int(n) for n in re.findall(r"(\d+) bytes spill (?:stores|loads)", done.stderr)]
        assert spills and not any(spills), done.stderr
    disassembler = _disassembler()
    for name in ("pack_gather", "deepstack_add", "kv_gather_backward"):
        sass = subprocess.run(
            [disassembler, tmp_path / f"{name}.cubin"], capture_output=True, text=True, check=True
        ).stdout
        assert re.search(r"LDG\.E\.128", sass) and re.search(r"STG\.E\.128", sass), name


def _disassembler() -> Path:
    triton = importlib.util.find_spec("triton")
    if triton is not None:
        tool = Path(triton.submodule_search_locations[0]) / "backends/nvidia/bin/nvdisasm"
        if tool.is_file():
            return tool
    pytest.skip("nvdisasm is not here (triton ships it)")


BAD_CALLS = {
    "table must be a CUDA tensor": lambda op: op.pack_gather_cuda(torch.zeros(4, 8), torch.zeros(2, 8), ints(3),
    torch.zeros(3, 8)),
    "visual must be of shape (any, 8); got (2, 7)": lambda op: op.pack_gather_cuda(
        torch.zeros(4, 8), torch.zeros(2, 7), ints(3), torch.zeros(3, 8)
    ),
    "visual must be float32; got float16": lambda op: op.pack_gather_cuda(
        torch.zeros(4, 8), torch.zeros(2, 8).half(), ints(3), torch.zeros(3, 8)
    ),
    "table must be float32, float16 or bfloat16; got int32": lambda op: op.pack_gather_cuda(
        ints(4, 8), ints(2, 8), ints(3), ints(3, 8)
    ),
    "row_map must be int32; got int64": lambda op: op.pack_gather_cuda(
        torch.zeros(4, 8), torch.zeros(2, 8), ints(3).long(), torch.zeros(3, 8)
    ),
    "out must be of shape (3, 8); got (4, 8)": lambda op: op.pack_gather_cuda(
        torch.zeros(4, 8), torch.zeros(2, 8), ints(3), torch.zeros(4, 8)
    ),
    "hidden must be contiguous": lambda op: op.deepstack_add_cuda(torch.zeros(8, 4).T, torch.zeros(2, 8), ints(3),
    ints(3)),
    "cu_k must be of shape (3,); got (2,)": lambda op: op.kv_gather_backward_cuda(
        torch.zeros(4, 8), ints(3), ints(2), ints(2), torch.zeros(3, 8)
    ),
    "visual_src must be of shape (3,); got (2,)": lambda op: op.deepstack_add_cuda(
        torch.zeros(4, 8), torch.zeros(2, 8), ints(3), ints(2)
    ),
    "parent must be of shape (2,); got (1, 2)": lambda op: op.pack_plan_cuda(
        ints(9), ints(3), ints(1, 2), ints(3), ints(0, 3), ints(0), 5, 2,
        ints(9), ints(3, 9), ints(3), ints(12), ints(0), ints(0), ints(0), ints(0, 2),
    ),
    "merge must be at least 1; got 0": lambda op: op.pack_plan_cuda(
        ints(9), ints(3), ints(2), ints(3), ints(0, 3), ints(0), 5, 0,
        ints(9), ints(3, 9), ints(3), ints(12), ints(0), ints(0), ints(0), ints(0, 2),
    ),
    "weights must be of shape (2,); got (3,)": lambda op: op.group_advantage_cuda(
        torch.zeros(4, 2), torch.zeros(3), ints(3), 0, 1e-4, torch.zeros(4), torch.zeros(4), torch.zeros(2),
        torch.zeros(2), ints(2), torch.zeros(2, dtype=torch.bool), ints(2), ints(1), torch.zeros(1),
    ),
}  # fmt: skip


@pytest.mark.parametrize("message", BAD_CALLS)
def test_bad_arguments_are_named(native, message):
    with pytest.raises(RuntimeError) as error:
        BAD_CALLS[message](native)
    assert message in str(error.value)
    assert re.match(r"\w+: ", str(error.value))


def test_the_package_finds_the_library_and_registers_fakes(library, tmp_path):
    """As installed: beside nsrl_kernels. In a process of its own, because a library is loaded once."""
    package = tmp_path / "nsrl_kernels"
    package.symlink_to(ROOT / "kernels" / "nsrl_kernels")
    code = f"""
import pathlib, torch
from nsrl_kernels import _native
_native.LIBRARY = pathlib.Path({str(library)!r})
assert _native.why_not() is None, _native.why_not()
assert _native.available("cuda") and not _native.available("cpu")
meta = lambda *s: torch.empty(s, device="meta")
rows = torch.empty(3, dtype=torch.int32, device="meta")
assert _native.op("pack_gather")(meta(4, 8), meta(2, 8), rows, meta(3, 8)) is None
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": str(tmp_path)})


def test_without_nvcc_the_build_goes_on_and_says_why(tmp_path):
    """A machine with a compiler path of nothing but Python."""
    code = (
        "import shutil, runpy, sys; shutil.which = lambda *a, **k: None; sys.argv = ['setup.py', '-q', 'build_ext', "
        f"'--build-lib', {str(tmp_path / 'lib')!r}, '--build-temp', {str(tmp_path)!r}]; runpy.run_path('setup.py', "
        f"run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "native CUDA ops are not built: nvcc is not on the PATH" in done.stderr


def test_an_absent_library_is_a_reason_not_a_crash(monkeypatch, tmp_path):
    from nsrl_kernels import _native

    monkeypatch.setattr(_native, "LIBRARY", tmp_path / "absent.so")
    _native.why_not.cache_clear()
    try:
        assert "absent.so is not built" in _native.why_not()
        assert not _native.available("cuda")
        with pytest.raises(RuntimeError, match="the cuda backend is not available"):
            _native.op("pack_gather")
    finally:
        _native.why_not.cache_clear()
