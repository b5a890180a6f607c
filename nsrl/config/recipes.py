"""Where a recipe is: a name of nsrl/recipes, a YAML file, or a folder with recipe.yaml; several are joined by `+`."""

from __future__ import annotations

from pathlib import Path

from nsrl.errors import UserError, did_you_mean
from nsrl.userfiles import expanded

RECIPES = Path(__file__).parents[1] / "recipes"
RECIPE = "recipe.yaml"  # in the folder of a recipe, which may have a Python file beside it
ABOUT = "about"  # the group of such a file that tells of its method, for `nsrl recipes`; no key of a run


def recipe_names() -> list[str]:
    """Names of the recipes that come with nsrl."""
    return sorted([p.stem for p in RECIPES.glob("*.yaml")] + [p.parent.name for p in RECIPES.glob(f"*/{RECIPE}")])


def recipe_files(text: str) -> list[Path]:
    """The files of what was asked for, the later one to be laid over the earlier: `paper`, `own.yaml`, `folder`,
    `paper+papo`. Raises `UserError`."""
    whole = expanded(text)
    return [_file(text)] if whole.exists() else [_file(name) for name in text.split("+")]


def recipe_title(text: str) -> str:
    """What a run folder is called after: names without folders and endings, joined by `+`."""
    parts = [text] if expanded(text).exists() else text.split("+")
    paths = [path if path.name else path.resolve() for path in map(Path, parts)]
    return "+".join(path.parent.name if path.name == RECIPE else path.stem for path in paths)


def _file(name: str) -> Path:
    own = expanded(name)
    if own.suffix in (".yaml", ".yml") or "/" in name or own.is_absolute() or name == ".":
        inside = own / RECIPE if own.is_dir() else own
        if not inside.is_file():
            raise UserError(f"recipe must be a name, a YAML file or a folder with {RECIPE}; {str(inside)!r} is no file")
        return inside
    places = (RECIPES / f"{name}.yaml", RECIPES / name / RECIPE, own / RECIPE)  # nsrl's own come first
    found = next((path for path in places if name and path.is_file()), None)
    if found is None:
        names = recipe_names()
        near = did_you_mean(name, names) or f"; the names are {', '.join(names)}"
        raise UserError(f"recipe must be a name, a YAML file or a folder with {RECIPE}; got {name!r}{near}")
    return found
