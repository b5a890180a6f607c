"""Builds csrc/ into one library beside nsrl_kernels when nvcc and torch are here; otherwise says why and goes on.

    python setup.py build_ext --inplace      # kernels/nsrl_kernels/_native_ops.so, in about ten seconds

Everything else about the package is in pyproject.toml. The library is written against torch's stable ABI and carries
machine code for sm_90a only. Without it the ops run on their Triton or torch backends.
"""

import importlib.util
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
SOURCES = sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / "csrc").glob("*.c*") if p.suffix in (".cpp", ".cu"))
HEADERS = sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / "csrc").glob("*.*h"))
LIBRARY = "_native_ops.so"
NVCC_FLAGS = ["-std=c++17", "-O3", "-Xcompiler", "-fPIC", "-gencode=arch=compute_90a,code=sm_90a", "--threads", "0"]


def find_nvcc() -> str | None:
    return shutil.which("nvcc") or shutil.which("nvcc", path="/usr/local/cuda/bin")


def why_not() -> str | None:
    """Why the native ops are not built here; None when they can be."""
    if not SOURCES:
        return "csrc/ is not beside setup.py"
    if find_nvcc() is None:
        return "nvcc is not on the PATH nor in /usr/local/cuda/bin"
    if shutil.which("g++") is None:
        return "g++ is not on the PATH"
    spec = importlib.util.find_spec("torch")
    if spec is None:
        return "torch is not installed in the environment that builds (pip isolates builds: use --no-build-isolation)"
    if not (Path(spec.submodule_search_locations[0]) / "include/torch/csrc/stable/library.h").is_file():
        return "this torch has no stable C++ ABI headers (torch 2.10 or newer has)"
    return None


def compile_all(build: Path, out: Path) -> None:
    """csrc/*.cu and csrc/ops.cpp → `out`. Raises CalledProcessError with the compiler's own output printed."""
    torch = Path(importlib.util.find_spec("torch").submodule_search_locations[0])
    nvcc = find_nvcc()
    build.mkdir(parents=True, exist_ok=True)
    out.parent.mkdir(parents=True, exist_ok=True)

    def one(source: str) -> str:
        obj = build / (Path(source).name + ".o")
        if source.endswith(".cu"):
            command = [nvcc, *NVCC_FLAGS, "-c", source, "-o", str(obj)]
        else:
            include = [f"-I{torch / 'include'}", f"-I{torch / 'include/torch/csrc/api/include'}"]
            command = ["g++", "-std=c++20", "-O2", "-fPIC", "-Wall", *include, "-c", source, "-o", str(obj)]
        subprocess.run(command, check=True, cwd=ROOT)
        return str(obj)

    with ThreadPoolExecutor(4) as pool:
        objects = list(pool.map(one, SOURCES))
    # -ltorch so that torch's CUDA half is in the library's scope where there is one; torch itself loads them first
    link = [nvcc, "-shared", "-cudart", "static", *objects, "-o", str(out), f"-L{torch / 'lib'}"]
    link += ["-Xlinker", "--no-as-needed", "-ltorch", "-ltorch_cpu", "-lc10", "-ldl"]
    subprocess.run(link, check=True, cwd=ROOT)


class BuildNative(build_ext):
    """Two compilers and a linker called directly: setuptools knows no .cu files."""

    def build_extension(self, ext: Extension) -> None:
        compile_all(Path(self.build_temp).resolve(), self._built())

    def copy_extensions_to_source(self) -> None:
        """For --inplace and editable installs: beside the package's source, under its own source root."""
        shutil.copy2(self._built(), ROOT / "kernels" / "nsrl_kernels" / LIBRARY)

    def get_ext_filename(self, fullname: str) -> str:
        return f"nsrl_kernels/{LIBRARY}"

    def get_outputs(self) -> list[str]:
        return [str(self._built())]

    def get_output_mapping(self) -> dict[str, str]:
        return {}

    def _built(self) -> Path:
        return (Path(self.build_lib) / "nsrl_kernels" / LIBRARY).resolve()


def extensions() -> list[Extension]:
    reason = why_not()
    if reason is None:
        return [Extension("nsrl_kernels._native_ops", SOURCES, depends=HEADERS)]
    if {"build_ext", "bdist_wheel", "build", "install"} & set(sys.argv):
        print(f"nsrl_kernels: native CUDA ops are not built: {reason}", file=sys.stderr)
    return []


if __name__ == "__main__":
    setup(ext_modules=extensions(), cmdclass={"build_ext": BuildNative})
