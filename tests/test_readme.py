"""The README stays true: its tree has every source file, its links lead somewhere, its commands exist."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def tracked(*folders):
    done = subprocess.run(["git", "-C", str(ROOT), "ls-files", *folders], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip("not a git checkout")
    return [line for line in done.stdout.splitlines() if line.endswith((".py", ".cu", ".cuh", ".h", ".cpp", ".yaml", ".jinja"))]


def tree():
    """Paths named in the README's tree."""
    block = README.split("## The tree", 1)[1].split("```")[1]
    folder, found = "", set()
    for line in block.splitlines():
        if line and not line.startswith(" "):
            folder = line.split()[0] if line.split()[0].endswith("/") else ""
            if not folder:
                found.add(line.split()[0])
        elif line.strip():
            found.add(folder + line.split()[0])
    return found


def test_the_tree_has_every_source_file_and_no_other():
    files = {f for f in tracked("nsrl", "kernels", "csrc", "bench") if (ROOT / f).stat().st_size}
    named = {name for name in tree() if name.split("/")[0] in ("nsrl", "kernels", "csrc", "bench") and name[-1] != "/"}
    assert named - files == set(), "named in the README but absent"
    assert files - named == set(), "not in the README's tree"


def test_links_lead_somewhere():
    for text in [README, *((p.read_text()) for p in (ROOT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\((?!http)([^)#]+)", text):
            assert (ROOT / target).exists() or (ROOT / "docs" / target).exists(), target


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"^ {4}make ([a-z-]+)", README, re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
