"""Builds csrc/ without a GPU: for sm_90a with nvcc, and for this CPU with the emulator. Used by the tests only."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
CSRC = ROOT / "csrc"
EMULATOR = Path(__file__).with_name("emulator")
LAUNCH = re.compile(r"(\w+(?:<\w+>)?)<<<([^,<>]+),\s*([^,<>]+),[^<>]*>>>\(")


def emulated(folder: Path) -> Path:
    """csrc as a library whose kernels run on CPU tensors, its ops in the namespace `nsrl_emulated`."""
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed")
    headers = Path(torch.__file__).parent / "include"
    if not (headers / "torch/csrc/stable/library.h").is_file():
        pytest.skip("this torch has no stable C++ ABI headers")
    objects, jobs = [], []
    for source in sorted(CSRC.glob("*.c*")):
        if source.suffix not in (".cu", ".cpp"):
            continue
        text, launches = LAUNCH.subn(r"emulator::launch(\1, \2, \3, ", source.read_text())
        assert "<<<" not in text and (source.suffix == ".cpp" or launches), (
            f"{source.name}: a launch was not understood"
        )
        copy = folder / (source.name + ".cpp")
        copy.write_text(text)
        objects.append(str(copy.with_suffix(".o")))
        command = ["g++", "-std=c++20", "-O1", "-fPIC", "-DNSRL_EMULATED", "-Dnsrl=nsrl_emulated"]
        command += [f"-I{EMULATOR}", f"-I{CSRC}", f"-I{headers}", "-c", str(copy), "-o", objects[-1]]
        jobs.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
    for job in jobs:
        _, errors = job.communicate()
        assert job.returncode == 0, errors
    library = folder / "nsrl_emulated.so"
    link = [
        "g++",
        "-shared",
        *objects,
        "-o",
        str(library),
        f"-L{headers.parent / 'lib'}",
        "-ltorch_cpu",
        "-lc10",
        "-ldl",
    ]
    subprocess.run(link, check=True)
    return library
