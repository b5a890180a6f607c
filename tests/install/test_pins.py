"""The pins: what the check of them calls a conflict, on made-up metadata, and that every direct requirement has one."""

import os
import re
import subprocess
import sys
import tomllib

import check_pins
import pytest
from check_pins import ROOT, Wish, conflicts, own_requirements, read_constraints
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

TORCH = {
    "version": "2.13.0",
    "requires_dist": ['triton==3.7.1; platform_system == "Linux" and python_version < "3.15"'],
}


def run(constraints, metadata, own=("torch>=2.11",), python="3.12"):
    wishes = [Wish("nsrl", Requirement(line)) for line in own]
    return conflicts(read_constraints(constraints), wishes, metadata, python)


def package(*requires, version="1.0", python=None):
    return {"version": version, "requires_dist": list(requires), "requires_python": python}


@pytest.mark.parametrize(
    ("constraints", "metadata", "words"),
    [
        ("torch==2.13.0\ntriton==3.9.0", {"torch": TORCH}, ["triton==3.9.0 is pinned",
        "torch 2.13.0 asks for triton==3.7.1"]),
        ("torch==2.10.0", {"torch": package(version="2.10.0")}, ["torch==2.10.0 is pinned",
        "nsrl asks for torch>=2.11"]),
        ("a==1.0\nb==2.0", {"a": package("B<2"), "b": package(version="2.0")}, ["b==2.0 is pinned",
        "a 1.0 asks for B<2"]),
        ("a==1.0", {"a": package(python=">=3.13")}, ["a==1.0 asks for Python >=3.13"]),
        ("a==1.0\nb==2.0", {"a": package('b<2; python_version < "3.13"'), "b": package(version="2.0")}, ["b<2"]),
        ("a==1.0\nb==2.0\nc==1.0", {
            "a": package("c[fast]"), "b": package(version="2.0"), "c": package('b<2; extra == "fast"'),
        }, ["b==2.0 is pinned", "c 1.0 asks for b<2"]),
        ("", {}, ["torch has no pin"]),
    ],
)  # fmt: skip
def test_a_conflict_is_named(constraints, metadata, words):
    own = ("torch>=2.11",) if "torch" in constraints or not constraints else ()
    wrong, _, _ = run(constraints, metadata, own)
    assert len(wrong) == 1, wrong
    for word in words:
        assert word in wrong[0]


@pytest.mark.parametrize(
    ("constraints", "metadata"),
    [
        ("torch==2.13.0\ntriton==3.7.1", {"torch": TORCH}),
        ("torch==2.13.0\ntriton<3.10", {"torch": TORCH}),
        (
            "a==1.0\nb==2.0",
            {"a": package('b<2; sys_platform == "win32"', 'b<2; python_version < "3.12"'), "b": package()},
        ),
        ("a==1.0\nb==2.0", {"a": package('b<2; extra == "fast"'), "b": package(version="2.0")}),
        ("Some.Name==1.0", {"some-name": package("a>=1"), "a": package()}),
        ("a==1.0", {"a": package(python=">=3.12.1")}),
    ],
)
def test_what_agrees_is_no_conflict(constraints, metadata):
    pins = check_pins.pinned(read_constraints(constraints))
    metadata = {name: about for name, about in metadata.items() if name in pins}
    assert run(constraints, metadata, ())[0] == []


def test_wishes_for_a_package_without_a_pin_are_joined():
    metadata = {"torch": TORCH, "a": package("hub<3,>=1"), "b": package("Hub>=1.5", 'hub==9; sys_platform == "darwin"')}
    constraints = "torch==2.13.0\na==1.0\nb==1.0\ntriton<3.10"
    wrong, others, held = run(constraints, metadata, ("torch>=2.11", "triton>=3.6"))
    assert wrong == [] and held == 1
    assert others == {"triton": SpecifierSet("<3.10,==3.7.1,>=3.6"), "hub": SpecifierSet("<3,>=1,>=1.5")}


def test_every_direct_requirement_has_a_pin_that_it_accepts():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    constraints = read_constraints((ROOT / "constraints.txt").read_text())
    for python in check_pins.PYTHONS:
        wrong, others, held = conflicts(constraints, own_requirements(project), {}, python)
        assert wrong == [] and set(others) == check_pins.FREE and held > 20
    assert "triton" not in check_pins.pinned(constraints)


@pytest.mark.parametrize("line", ["-e foo", "-r other.txt", "--no-binary :all:", "torch=2.0", "./folder", "?"])
def test_a_line_that_is_no_requirement_is_named(line):
    with pytest.raises(
        ValueError, match=re.escape(f"line 3 must be a package with bounds, as torch==2.13.0; got {line!r}")
    ):
        read_constraints(f"# comment\na==1.0  # why\n{line}\n")


def test_without_an_index_the_check_is_skipped_with_the_reason():
    command = [sys.executable, check_pins.__file__]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PIP_NO_INDEX": "1"})
    assert done.returncode == 0 and done.stdout.startswith("check-pins: SKIPPED, no package index answers here"), done
