"""Do the pins of constraints.txt accept each other, on every supported Python? `make check-pins`

Reads what the package index publishes about each pinned version (pip's dry run: no wheel is downloaded) and holds every
line of constraints.txt against every requirement: pyproject's own with the extras train, test and dev, and those of the
pinned packages, markers read for Linux x86-64. What they ask of packages without a line must exist as well, all wishes
for one package together. The lower bounds of pyproject.toml, taken as pins, are held the same way on the oldest Python.
Prints what was checked; exit code 1 and one line per conflict; where no index answers it says so and ends with 0.
Wheels on this machine (find-links, further indexes) are left aside: the check is about the public index.

`check_pins.py oldest` prints those lower bounds as lines for pip, and checks nothing.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PYTHONS = ("3.11", "3.12", "3.13")
EXTRAS = ("train", "test", "dev")
FREE = {"triton"}  # bounded in constraints.txt, but torch's own metadata chooses the version
GLIBC = range(17, 29)  # the wheels pip takes on a Linux of glibc 2.28, which torch asks for


@dataclass(frozen=True)
class Wish:
    """One requirement, and who has it."""

    by: str
    requirement: Requirement

    def __str__(self) -> str:
        return f"{self.by} asks for {self.requirement}"


def read_constraints(text: str) -> dict[str, SpecifierSet]:
    """Lines of constraints.txt by normalised name. Raises ValueError that names a line that is no package with
    bounds."""
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = re.split(r"(?:^|\s)#", line)[0].strip()  # a # within a word belongs to a URL
        if not line:
            continue
        try:
            read = Requirement(line)
        except InvalidRequirement:
            raise ValueError(
                f"constraints.txt line {number} must be a package with bounds, as torch==2.13.0; got {line!r}"
            ) from None
        found[canonicalize_name(read.name)] = read.specifier
    return found


def pinned(constraints: dict[str, SpecifierSet]) -> dict[str, str]:
    """Those that name one version: name to version."""
    exact = {name: list(wanted) for name, wanted in constraints.items()}
    return {name: one[0].version for name, one in exact.items() if len(one) == 1 and one[0].operator == "=="}


def environment(python: str, extra: str = "") -> dict[str, str]:
    """What markers are read against: CPython on Linux x86-64."""
    return {
        "python_version": python, "python_full_version": f"{python}.0", "extra": extra, "os_name": "posix",
        "sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64", "platform_release": "",
        "platform_version": "", "implementation_name": "cpython", "implementation_version": f"{python}.0",
        "platform_python_implementation": "CPython",
    }  # fmt: skip


def applies(requirement: Requirement, python: str, extras: set[str]) -> bool:
    if requirement.marker is None:
        return True
    return any(requirement.marker.evaluate(environment(python, extra)) for extra in ("", *sorted(extras)))


def own_requirements(project: dict[str, Any]) -> list[Wish]:
    """pyproject's requirements, those of the tested extras with them."""
    wishes = [Wish("nsrl", Requirement(line)) for line in project["dependencies"]]
    for extra in EXTRAS:
        wishes += [Wish(f"nsrl[{extra}]", Requirement(line)) for line in project["optional-dependencies"][extra]]
    return wishes


def oldest(own: list[Wish]) -> dict[str, SpecifierSet]:
    """The lower bound of each requirement as a pin. Raises ValueError for a requirement without one."""
    pins = {}
    for wish in own:
        bounds = [each.version for each in wish.requirement.specifier if each.operator == ">="]
        if len(bounds) != 1:
            raise ValueError(f"{wish}, which has no lower bound")
        pins[canonicalize_name(wish.requirement.name)] = SpecifierSet(f"=={bounds[0]}")
    return pins


def all_wishes(own: list[Wish], metadata: dict[str, dict[str, Any]], python: str) -> list[Wish]:
    """Every requirement that holds on that Python: ours and those of the pinned packages, with the extras asked of
    them."""
    extras: dict[str, set[str]] = defaultdict(set)
    while True:
        found = [wish for wish in own if applies(wish.requirement, python, set())]
        for name, about in metadata.items():
            by = f"{name} {about['version']}"
            read = [Requirement(line) for line in about.get("requires_dist", [])]
            found += [Wish(by, each) for each in read if applies(each, python, extras[name])]
        before = {name: set(wanted) for name, wanted in extras.items()}
        for wish in found:
            extras[canonicalize_name(wish.requirement.name)] |= wish.requirement.extras
        if {name: wanted for name, wanted in extras.items() if wanted} == {n: w for n, w in before.items() if w}:
            return found


def conflicts(
    constraints: dict[str, SpecifierSet], own: list[Wish], metadata: dict[str, dict[str, Any]], python: str
) -> tuple[list[str], dict[str, SpecifierSet], int]:
    """What contradicts a pin; what is asked of packages without one, joined; how many requirements were held against
    pins.

    metadata: per pinned package its `version`, `requires_dist` and `requires_python`, as pip's report has them.
    """
    pins = pinned(constraints)
    wrong, open_wishes, held = [], dict[str, SpecifierSet](), 0
    for name, about in metadata.items():
        if not SpecifierSet(about.get("requires_python") or "").contains(f"{python}.99"):
            wrong.append(f"{name}=={pins[name]} asks for Python {about['requires_python']}")
    for wish in all_wishes(own, metadata, python):
        name = canonicalize_name(wish.requirement.name)
        if name in pins:
            held += 1
            if not wish.requirement.specifier.contains(pins[name], prereleases=True):
                wrong.append(f"{name}=={pins[name]} is pinned, and {wish}")
        else:
            wanted = open_wishes.get(name, constraints.get(name, SpecifierSet()))
            open_wishes[name] = wanted & wish.requirement.specifier
            if wish.by.startswith("nsrl") and name not in FREE:
                wrong.append(f"{name} has no pin, and {wish}")
    return wrong, open_wishes, held


class NoIndex(Exception):
    """No package index answers."""


class Absent(Exception):
    """pip finds no version for one of the requirements."""


def public_index() -> dict[str, str]:
    """The environment for pip: this machine's index and certificate, none of its folders of wheels or further
    indexes."""
    kept = {k: v for k, v in os.environ.items() if k not in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_CONSTRAINT")}
    done = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True)
    for line in done.stdout.splitlines():
        key, _, value = line.partition("=")
        section, _, option = key.partition(".")
        if section in ("global", "install") and option in ("index-url", "cert", "proxy", "no-index"):
            kept.setdefault("PIP_" + option.upper().replace("-", "_"), value.strip("'\""))
    return kept | {"PIP_CONFIG_FILE": os.devnull}


def ask(python: str, requirements: list[str], index: dict[str, str]) -> dict[str, dict[str, Any]]:
    """The metadata of what pip would install for these, without what they require. Raises Absent."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--ignore-installed", "--quiet"]
    command += ["--retries", "2", "--timeout", "20", "--only-binary=:all:", "--python-version", python, "--report", "-"]
    for minor in GLIBC:
        command += ["--platform", f"manylinux_2_{minor}_x86_64"]
    command += ["--platform", "manylinux2014_x86_64", *requirements]
    done = subprocess.run(command, capture_output=True, text=True, env=index)
    if done.returncode:
        raise Absent((done.stderr.strip().splitlines() or ["pip says nothing"])[-1])
    found = [item["metadata"] for item in json.loads(done.stdout)["install"]]
    return {canonicalize_name(about["name"]): about for about in found}


def ask_all(python: str, wanted: dict[str, SpecifierSet], index: dict[str, str]) -> tuple[dict[str, dict], list[str]]:
    """As `ask`, for all in one call; where that fails each alone, so that every absent one is named. Raises NoIndex."""
    try:
        return ask(python, [f"{name}{bounds}" for name, bounds in wanted.items()], index), []
    except Absent:
        probe(index)
    found, absent = {}, []
    for name, bounds in wanted.items():
        try:
            found |= ask(python, [f"{name}{bounds}"], index)
        except Absent:
            absent.append(f"no version of {name} is {str(bounds) or 'published'} for Python {python}")
    return found, absent


def probe(index: dict[str, str]) -> None:
    """Raises NoIndex where pip cannot even find itself."""
    try:
        ask(PYTHONS[0], ["pip"], index)
    except Absent as error:
        raise NoIndex(str(error)) from None


def check_one(
    title: str, python: str, constraints: dict[str, SpecifierSet], own: list[Wish], index: dict[str, str]
) -> tuple[str, list[str]]:
    """A line about these constraints on one Python, and their conflicts. Raises NoIndex."""
    pins = {name: SpecifierSet(f"=={version}") for name, version in pinned(constraints).items()}
    metadata, absent = ask_all(python, pins, index)
    contradicted, others, held = conflicts(constraints, own, metadata, python)
    chosen, none = ask_all(python, others, index)
    wrong = absent + contradicted + none
    triton = f", triton {chosen['triton']['version']}" if "triton" in chosen else ""
    counts = f"{len(metadata)} pins, {held} requirements on them, {len(chosen)} other packages{triton}"
    verdict = f"{len(wrong)} conflicts" if wrong else "all agree"
    return f"{title}: {counts}: {verdict}", [f"{title}: {sentence}" for sentence in wrong]


def check(constraints: dict[str, SpecifierSet], own: list[Wish]) -> list[str]:
    """Every conflict on every Python; prints a line for each. Raises NoIndex."""
    index = public_index()
    probe(index)
    cases = [(f"Python {python}", python, constraints) for python in PYTHONS]
    cases.append((f"Python {PYTHONS[0]}, oldest versions", PYTHONS[0], oldest(own)))
    with ThreadPoolExecutor(len(cases)) as pool:
        found = list(pool.map(lambda case: check_one(*case, own, index), cases))
    print("\n".join(line for line, _ in found))
    return [sentence for _, wrong in found for sentence in wrong]


def main(argv: list[str]) -> int:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    own = own_requirements(project)
    if argv == ["oldest"]:
        needed = [wish for wish in own if wish.by != "nsrl[dev]"]  # tests run without the tools of `make lint`
        print("\n".join(f"{name}{version}" for name, version in oldest(needed).items()))
        return 0
    try:
        constraints = read_constraints((ROOT / "constraints.txt").read_text())
    except ValueError as error:
        print(f"check-pins: {error}")
        return 1
    try:
        wrong = check(constraints, own)
    except NoIndex as error:
        print(f"check-pins: SKIPPED, no package index answers here ({error})")
        return 0
    for sentence in wrong:
        print(sentence)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
