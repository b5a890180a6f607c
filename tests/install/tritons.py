"""Every Triton that a supported torch brings, each alone: `make test-tritons` (or `tritons.py 3.6.0 …` for those
named).

Which ones they are is read from the metadata of the torch versions on the package index, from the lower bound in
pyproject.toml on. Each is installed into a folder of its own, put in front of the environment's Triton, and tests/ops
run
with it: the kernels under its interpreter, and the compile report for Hopper with its compiler. Exit code 1 where a
test fails; where no index answers it says so and ends with 0.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from check_pins import ROOT, Absent, NoIndex, applies, ask, own_requirements, probe, public_index
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
# Triton 3.6 interprets with int(array of one element), which NumPy 2.4 no longer takes; its compiler is not concerned.
BESIDE = {"3.6.0": ["numpy<2.4"]}
FOLDER = Path(os.environ.get("TRITONS", ROOT / ".venv-tritons"))


def torch_versions(wanted: SpecifierSet, index: dict[str, str]) -> list[str]:
    """Versions of torch on the index that `wanted` accepts, oldest first. Raises NoIndex."""
    command = [sys.executable, "-m", "pip", "index", "versions", "torch"]
    done = subprocess.run(command, capture_output=True, text=True, env=index)
    listed = re.search(r"Available versions: (.*)", done.stdout)
    if listed is None:
        raise NoIndex("pip index lists no versions of torch")
    return sorted((v for v in listed.group(1).split(", ") if v in wanted), key=Version)


def brought(torch: str, index: dict[str, str]) -> str | None:
    """The Triton that this torch brings: the newest its metadata accepts. None: it asks for none, or has no wheel
    here."""
    try:
        about = ask(PYTHON, [f"torch=={torch}"], index)["torch"]
        for requirement in map(Requirement, about.get("requires_dist", [])):
            if requirement.name == "triton" and applies(requirement, PYTHON, set()):
                return ask(PYTHON, [f"triton{requirement.specifier}"], index)["triton"]["version"]
    except Absent:
        return None
    return None


def find() -> dict[str, list[str]]:
    """Triton version to the torch versions that bring it. Raises NoIndex."""
    index = public_index()
    probe(index)
    own = own_requirements(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"])
    wanted = next(wish.requirement.specifier for wish in own if wish.requirement.name == "torch")
    torches = torch_versions(wanted, index)
    with ThreadPoolExecutor(4) as pool:
        pairs = zip(torches, pool.map(lambda torch: brought(torch, index), torches))
    found: dict[str, list[str]] = {}
    for torch, triton in pairs:
        if triton is not None:
            found.setdefault(triton, []).append(torch)
    return found


def install(version: str) -> Path | None:
    """This Triton alone in a folder; None where pip cannot install it (its message is on standard error)."""
    folder = FOLDER / version
    if not (folder / "triton").is_dir():
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "-q",
            "--no-deps",
            "--target",
            str(folder),
            f"triton=={version}",
        ]
        if subprocess.run([*command, *BESIDE.get(version, [])]).returncode:
            return None
    return folder


def test(folder: Path, more: list[str]) -> int:
    """tests/ops with this Triton; pytest's exit code."""
    path = os.pathsep.join([str(folder), str(ROOT / "kernels"), str(ROOT)])
    environment = {"OMP_NUM_THREADS": "1", **os.environ, "PYTHONPATH": path}
    code = "import triton, sys; sys.exit(not triton.__file__.startswith(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, str(folder)], env=environment, check=True)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n",
        os.environ.get("WORKERS", "2"),
        "--dist",
        "worksteal",
        "tests/ops",
    ]
    kernels = [] if "-k" in more else ["-k", "triton or compile"]  # the rest of the room never meets Triton
    return subprocess.run([*command, *kernels, *more], cwd=ROOT, env=environment).returncode


def main(argv: list[str]) -> int:
    versions = [word for word in argv if re.fullmatch(r"\d+(\.\d+)+", word)]
    try:
        wanted = {version: ["asked for"] for version in versions} or find()
    except NoIndex as error:
        print(f"test-tritons: SKIPPED, no package index answers here ({error})")
        return 0
    print("\n".join(f"triton {triton}: torch {', '.join(torches)}" for triton, torches in wanted.items()), flush=True)
    lines, failed = [], 0
    for version in wanted:
        start, folder = time.monotonic(), install(version)
        if folder is None:
            lines.append(f"triton {version}: SKIPPED, cannot be installed here")
            continue
        code = test(folder, [word for word in argv if word not in versions])
        failed |= code != 0
        lines.append(f"triton {version}: {'passed' if code == 0 else 'FAILED'} in {time.monotonic() - start:.0f} s")
    print("\n".join(lines))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
