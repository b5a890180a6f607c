"""The README stays true and short: its rooms exist and are all there, its links, commands and tests lead somewhere."""

import importlib.util
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
PAGES = sorted((ROOT / "docs").glob("*.md"))


def tracked():
    done = subprocess.run(["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip("not a git checkout")
    return [Path(line) for line in done.stdout.splitlines()]


def test_it_is_read_in_one_sitting():
    assert len(README.splitlines()) <= 170 and max(map(len, README.splitlines())) <= 220


def test_every_room_is_named_and_every_room_named_exists():
    folders = {f"{path.parts[0]}/" for path in tracked() if len(path.parts) > 1}
    rooms = {f"nsrl/{path.parts[1]}/" for path in tracked() if path.parts[0] == "nsrl" and len(path.parts) > 2}
    packages = {f"kernels/{path.parts[1]}/" for path in tracked() if path.parts[0] == "kernels"}
    named = set(re.findall(r"`([\w./-]+/)`", README))
    wanted = (folders - {"nsrl/", "kernels/"}) | rooms | packages
    assert wanted - named == set(), "not in the README"
    assert {name for name in named if not (ROOT / name).is_dir()} == set(), "named in the README but absent"


def test_links_lead_somewhere():
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES, ROOT / "bench" / "results" / "README.md"]:
        for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)}: {target}"


def test_every_page_is_in_the_index_and_the_index_in_the_readme():
    index = (ROOT / "docs" / "README.md").read_text()
    assert {p.name for p in PAGES} - {"README.md"} == set(
        re.findall(r"^\| \[[^\]]+\]\((\w[^/)]*\.md)\)", index, re.MULTILINE)
    )
    assert "(docs/README.md)" in README


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"(?:^ {4}|`)make ([a-z-]+)", README, re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_commands_exist():
    for name in set(re.findall(r"(?:^ {4}|`)nsrl ([a-z]+)", README, re.MULTILINE)):
        spec = importlib.util.find_spec(f"nsrl.{name}")
        assert spec is not None, name
        if spec.submodule_search_locations:
            assert importlib.util.find_spec(f"nsrl.{name}.__main__") is not None, name


def test_tests_named_beside_claims_exist():
    texts = {"README.md": README, **{p.name: p.read_text() for p in PAGES}}
    found = [
        (page, *m)
        for page, text in texts.items()
        for m in re.findall(r"pytest\s+(?:-s\s+)?((?:tests|bench)/[\w/.]+)(?:::(\w+)|\s+(?:-s\s+)?-k\s+(\w+))?", text)
    ]
    assert len(found) > 10
    for page, path, test, word in found:
        file = ROOT / path.rstrip(".")
        assert file.exists(), f"{page}: {path}"
        files = [file] if file.is_file() else list(file.rglob("test_*.py"))
        names = [n for f in files for n in [f.name, *re.findall(r"^def (test_\w+)", f.read_text(), re.MULTILINE)]]
        assert not (test or word) or any((test or word) in n for n in names), f"{page}: {path} {test or word}"


def test_the_snippet_is_the_one_that_runs():
    """tests/ops/test_linear_grpo.py runs the block of docs/kernels.md; the README shows the same."""
    block = lambda text: re.search(r"```python\n(.*?)```", text, re.DOTALL).group(1)
    assert block(README) == block((ROOT / "docs" / "kernels.md").read_text())
