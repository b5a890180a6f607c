"""Recipes: a published method as a YAML file, at most one short Python file and the texts of its prompt beside it, and
what is known of it.

A folder with recipe.yaml is a recipe wherever it stands (`nsrl train recipe=FOLDER`); those in this package go by name.
Its group `about`, if it has one, tells what the method is, by `About`; all other keys are of the run.
"""

from __future__ import annotations

import ast
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nsrl.config.recipes import ABOUT, RECIPE, RECIPES, recipe_files
from nsrl.errors import UserError

ALONE = ("paper",)  # a method that is a file and no folder
MECHANISMS = {  # what a method can be made of, and the page that describes it
    "keys": "configuration.md",
    "objective": "trainer.md",
    "contexts": "contexts.md",
    "shape": "contexts.md",
    "draw": "draw.md",
    "rewards": "rewards.md",
    "members": "members.md",
    "ask": "rewards.md",
    "verifiers": "rewards.md",
    "prompts": "prompts.md",
    "stages": "runs.md",
    "demonstrations": "data.md",
    "harvest": "data.md",
    "sources": "data.md",
    "experiment": "experiment.md",
    "turns": "turns.md",
}


@dataclass(frozen=True)
class About:
    """What a recipe tells of its method.

    method, year: as published; paper: title and arXiv number; uses: names of `MECHANISMS`; formula: where no Python
    file says it; differs: from the publication; tested: the test of its formula, FILE::NAME or FILE; scale: what is
    known of it at scale; gallery: its row there.
    """

    method: str
    year: int
    paper: str
    uses: list[str]
    differs: str
    tested: str
    formula: str = ""
    scale: str = "never run at scale"
    gallery: str = ""


@dataclass(frozen=True)
class Recipe:
    """A recipe. lines: of its files that do something: no blank ones, comments, docstrings, nor `about`."""

    name: str
    files: tuple[Path, ...]
    lines: int


@dataclass(frozen=True)
class Method(Recipe):
    """A recipe that tells of its method."""

    about: About


def methods() -> list[Method]:
    """Every recipe of this package that is a published method, by year and name."""
    folders = [file.parent.name for file in RECIPES.glob(f"*/{RECIPE}")]
    found = [recipe for name in (*folders, *ALONE) if isinstance(recipe := read(name), Method)]
    return sorted(found, key=lambda recipe: (recipe.about.year, recipe.name))


def read(name: str) -> Recipe:
    """A recipe by name or folder. Raises `UserError` where it tells of its method, but not all that is asked of one."""
    import yaml

    file, *more = recipe_files(name)
    if more:
        raise UserError(f"recipes are shown one at a time; got {name!r}")
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    told: Any = content.pop(ABOUT, None) if isinstance(content, dict) else None
    known = {field.name: field for field in dataclasses.fields(About)}
    needed = {n for n, f in known.items() if f.default is dataclasses.MISSING}
    if told is not None and (not isinstance(told, dict) or not needed <= told.keys() <= known.keys()):
        raise UserError(
            f"{str(file)!r}: its group {ABOUT} must have {', '.join(known)} (some may be left out); got "
            f"{', '.join(map(str, told)) if isinstance(told, dict) else repr(told)}"
        )
    about = About(**told) if told is not None else None
    if about is not None and (strange := sorted(set(about.uses) - MECHANISMS.keys())):
        raise UserError(f"{str(file)!r}: uses must name some of {', '.join(MECHANISMS)}; got {strange[0]!r}")
    beside = lambda kind: sorted(file.parent.glob(kind)) if file.name == RECIPE else []
    texts, python = beside("*.txt"), beside("*.py")
    keys = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=120) if content else ""
    lines = len(keys.splitlines()) + sum(_lines(path.read_text(encoding="utf-8")) for path in python)
    lines += sum(bool(line.strip()) for path in texts for line in path.read_text(encoding="utf-8").splitlines())
    own, files = file.resolve().parent.name if file.name == RECIPE else file.stem, (file, *texts, *python)
    return Recipe(own, files, lines) if about is None else Method(own, files, lines, about)


def _lines(source: str) -> int:
    """Lines of Python that do something."""
    tree = ast.parse(source)
    told: set[int] = set()
    for node in ast.walk(tree):
        kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        if isinstance(node, kinds) and ast.get_docstring(node):
            first = node.body[0]
            told |= set(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    texts = source.splitlines()
    return sum(bool(t.strip()) and not t.strip().startswith("#") and n not in told for n, t in enumerate(texts, 1))
