"""What is shipped: the sdist has every tracked file and its tests can be collected; the wheel has the packages' own
data."""

import io
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

from nsrl import __version__

ROOT = Path(__file__).resolve().parents[2]


def setup(folder, *words):
    """setup.py's command in `folder`, as on a machine without nvcc: what is packed does not hang on it."""
    code = "import runpy, shutil, sys; found = shutil.which; "
    code += "shutil.which = lambda name, *more, **others: None if name == 'nvcc' else found(name, *more, **others); "
    code += f"sys.argv = {['setup.py', '-q', *map(str, words)]!r}; runpy.run_path('setup.py', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def tracked():
    done = subprocess.run(["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git checkout: what belongs into the sdist is not known")
    return [name for name in done.stdout.splitlines() if (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def sdist(tracked, tmp_path_factory):
    """The sdist of the tracked files alone, unpacked."""
    checkout, out = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("out")
    for name in tracked:
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, checkout / name)
    setup(checkout, "sdist", "--dist-dir", out)
    (archive,) = out.iterdir()
    assert archive.name == f"nsrl-{__version__}.tar.gz"
    with tarfile.open(archive) as tar:
        tar.extractall(out, filter="data")
    return out / f"nsrl-{__version__}"


def test_the_sdist_has_every_tracked_file(sdist, tracked):
    packed = {p.relative_to(sdist).as_posix() for p in sdist.rglob("*") if p.is_file()}
    assert set(tracked) - packed == set()
    more = {name for name in packed - set(tracked) if not name.startswith("nsrl.egg-info/")}
    assert more == {"PKG-INFO", "setup.cfg"}


@pytest.mark.long
def test_its_tests_can_be_collected(sdist):
    """With its own conftest files and nothing of this checkout."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [*command, "tests/install", "tests/rollout", "tests/test_architecture.py"],
        cwd=sdist,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and " tests collected" in done.stdout, done.stdout[-2000:] + done.stderr[-2000:]


def test_the_wheel(sdist, tmp_path):
    setup(sdist, "bdist_wheel", "--dist-dir", tmp_path)
    (file,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(io.BytesIO(file.read_bytes())) as wheel:
        names = set(wheel.namelist())
        about = f"nsrl-{__version__}.dist-info/"
        metadata = message_from_string(wheel.read(about + "METADATA").decode())
        scripts = wheel.read(about + "entry_points.txt").decode()
    assert {
        "nsrl/py.typed",
        "nsrl_kernels/py.typed",
        "nsrl/report/report.html.jinja",
        "nsrl/recipes/default.yaml",
    } <= names
    sources = {p.relative_to(sdist).as_posix() for p in (sdist / "nsrl").rglob("*.py")}
    sources |= {p.relative_to(sdist / "kernels").as_posix() for p in (sdist / "kernels").rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == sources
    assert scripts.split("\n")[:2] == ["[console_scripts]", "nsrl = nsrl.__main__:main"]
    assert metadata["Version"] == __version__ and metadata["License-Expression"] == "Apache-2.0" and metadata["Author"]
    assert "Typing :: Typed" in metadata.get_all("Classifier")
    bare = [line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line]
    assert sorted(line.partition(">")[0] for line in bare) == ["torch", "triton"]


def test_the_citation_can_be_read():
    """CFF 1.2: the required keys of the file and of its reference, and the version of the package."""
    import yaml

    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["cff-version"] == "1.2.0" and {"message", "title", "authors"} <= set(cited)
    assert cited["version"] == __version__
    (paper,) = cited["references"]
    assert {"type", "title", "authors"} <= set(paper) and paper["title"] in " ".join(
        (ROOT / "README.md").read_text().split()
    )
