"""A row of the gallery as its file has it: a question, a prediction, and arms that differ in what is asked about.

Values are texts, as in every file of keys: what they mean, the key says (`nsrl.config.values`). Rows are YAML files of
nsrl/gallery/rows, or of the user; warm starts that several share stand in nsrl/gallery/warm.yaml.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nsrl.config.keys import keys, nest
from nsrl.config.recipes import RECIPE, recipe_files, recipe_names
from nsrl.config.schema import TrainConfig
from nsrl.config.values import read_yaml
from nsrl.errors import UserError, did_you_mean
from nsrl.experiments.plan import merged
from nsrl.gallery.results import MEASURES
from nsrl.userfiles import beside

HOME = Path(__file__).parent
ROWS, WARM = HOME / "rows", HOME / "warm.yaml"
FINAL = "held-out problems"  # what an arm is measured on where the row has no tests
EXPECTED = ("more", "less", "none")
_ROW = ("question", "prediction", "expects", "source", "recipes", "warm", "run", "arms", "decides", "measure", "tests",
        "on")  # fmt: skip
_OF_RUNS = ("run", "arms", "decides", "measure", "tests", "on")
_ARM = ("keys", "seconds", "measure", "harvest")
_WARM = ("keys", "seconds")


@dataclass(frozen=True)
class Warm:
    """What the arms of a row begin with: keys of `nsrl train`, nested; seconds: on a quiet core, about."""

    name: str
    keys: dict[str, Any]
    seconds: float


@dataclass(frozen=True)
class Arm:
    """keys: of `nsrl train`, nested, may name a recipe; seconds: on a quiet core, about; measure: what it is measured
    by; harvest: keys of `nsrl harvest`, whose right answers of the warm start it learns from (None: it does not)."""

    name: str
    keys: dict[str, Any]
    seconds: float
    measure: str
    harvest: dict[str, Any] | None


@dataclass(frozen=True)
class Row:
    """decides: the arm whose difference from `against`, the first one, on the first of `on` is the row's verdict;
    expects: what is predicted of it, one of `EXPECTED`; tests: keys of `nsrl eval` by name, for further measurements of
    the models that the arms end with; on: what is measured, `FINAL` or a name of tests; source: of the method; digest:
    of all that its runs and numbers follow from."""

    name: str
    file: Path
    question: str
    prediction: str
    expects: str
    source: str
    recipes: tuple[str, ...]
    warm: Warm
    arms: dict[str, Arm]
    decides: str
    tests: dict[str, dict[str, Any]]
    on: tuple[str, ...]
    digest: str

    @property
    def against(self) -> str:
        """The arm that all others are compared with."""
        return next(iter(self.arms))


def row_names() -> list[str]:
    """The rows that come with nsrl."""
    return sorted(file.stem for file in ROWS.glob("*.yaml"))


def read(name: str) -> Row:
    """A row by its name, or a YAML file. Raises `UserError`."""
    file = Path(name).expanduser()
    if file.suffix not in (".yaml", ".yml"):
        file = ROWS / f"{name}.yaml"
        if not file.is_file():
            names = row_names()
            near = did_you_mean(name, names) or f"; the names are {', '.join(names)}"
            raise UserError(f"rows must be names or YAML files; got {name!r}{near}")
    where = f"row {str(file)!r}" if file.parent != ROWS else f"row {name}"
    content = _content(file, where)
    _known(content, _ROW, ("question", "prediction", "expects", "warm", "arms"), where)
    if content["expects"] not in EXPECTED:
        raise UserError(f"{where}: expects must be {', '.join(EXPECTED)}; got {content['expects']!r}")
    shared = _mapping(content.get("run") or {}, f"{where}: run")
    measure = content.get("measure", "accuracy")
    said = _mapping(content["arms"], f"{where}: arms")
    arms = {str(name): _arm(str(name), own, shared, measure, f"{where}: arms.{name}") for name, own in said.items()}
    if len(arms) < 2:
        raise UserError(f"{where}: arms must be at least two; got {', '.join(arms) or 'none'}")
    tests = {
        str(n): _mapping(own or {}, f"{where}: tests.{n}")
        for n, own in _mapping(content.get("tests") or {}, f"{where}: tests").items()
    }
    on = tuple(content.get("on") or (*([] if tests else [FINAL]), *tests))
    _among(on, (FINAL, *tests), f"{where}: on")
    decides = str(content.get("decides", list(arms)[1]))
    _among([decides], list(arms)[1:], f"{where}: decides")
    recipes = tuple(content.get("recipes") or ())
    _among(recipes, recipe_names(), f"{where}: recipes")
    texts = {name: " ".join(str(content.get(name, "")).split()) for name in ("question", "prediction", "source")}
    return Row(
        name=file.stem, file=file, **texts, expects=content["expects"], recipes=recipes,
        warm=_warm(content["warm"], file.stem, where), arms=arms, decides=decides, tests=tests, on=on,
        digest=digest({name: content.get(name) for name in _OF_RUNS}, _warm(content["warm"], file.stem, where).keys),
    )  # fmt: skip


def digest(*parts: Any) -> str:
    """Of keys, of the files of the recipes that they name, and of files of functions and classes, wherever they are."""
    texts: list[str] = []

    def bare(said: Any, name: str = "") -> Any:
        if isinstance(said, Mapping):
            return {key: bare(value, key) for key, value in said.items()}
        if isinstance(said, list):
            return [bare(value) for value in said]
        file, colon, what = str(said).rpartition(".py:")
        own = Path(f"{file}.py")
        if colon and own.is_file():
            texts.append(own.read_text(encoding="utf-8"))
            return f"{own.name}:{what}"
        if name == "recipe":
            for one in recipe_files(str(said)):
                beside = sorted(one.parent.glob("*.py")) if one.name == RECIPE else []
                texts.extend(path.read_text(encoding="utf-8") for path in (one, *beside))
        return said

    told = json.dumps(bare(list(parts)), sort_keys=True)
    return hashlib.sha256("\n".join([told, *texts]).encode()).hexdigest()[:12]


def _content(file: Path, where: str) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{where} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    return _mapping(beside(read_yaml(text, where), file.parent), where)


def _warm(said: Any, name: str, where: str) -> Warm:
    """A name of warm.yaml, or the mapping itself, called by the row."""
    if not isinstance(said, str):
        return _warm_of(name, said, f"{where}: warm")
    known = _content(WARM, "warm.yaml")
    _among([said], list(known), f"{where}: warm")
    return _warm_of(said, known[said], f"{where}: warm")


def _warm_of(name: str, said: Any, where: str) -> Warm:
    own = _mapping(said, where)
    _known(own, _WARM, _WARM, where)
    return Warm(name, _keys(own["keys"], f"{where}.keys"), _seconds(own["seconds"], where))


def _arm(name: str, said: Any, shared: dict[str, Any], measure: str, where: str) -> Arm:
    own = _mapping(said, where)
    _known(own, _ARM, ("seconds",), where)
    measure = own.get("measure", measure)
    _among([measure], list(MEASURES), f"{where}: measure")
    harvest = None if own.get("harvest") is None else _mapping(own["harvest"], f"{where}: harvest")
    told = merged(_keys(shared, where), _keys(own.get("keys") or {}, f"{where}.keys"))
    return Arm(name, told, _seconds(own["seconds"], where), measure, harvest)


def _keys(said: Any, where: str) -> dict[str, Any]:
    """Keys of `nsrl train`, nested, from nested or dotted ones; whether they are known is seen when they are read."""
    own = _mapping(said, where)
    dotted = {name: value for name, value in own.items() if "." in name and name in keys(TrainConfig)}
    return merged({name: value for name, value in own.items() if name not in dotted}, nest(dotted))


def _mapping(said: Any, where: str) -> dict[str, Any]:
    if not isinstance(said, Mapping):
        raise UserError(f"{where} must be a mapping; got {str(said)[:60]!r}")
    return {str(name): value for name, value in said.items()}


def _known(own: Mapping[str, Any], known: tuple[str, ...], needed: tuple[str, ...], where: str) -> None:
    for name in own:
        if name not in known:
            raise UserError(f"{where} takes {', '.join(known)}; got {name!r}{did_you_mean(name, known)}")
    missing = [name for name in needed if name not in own]
    if missing:
        raise UserError(f"{where} must have {', '.join(needed)}; {missing[0]} is missing")


def _among(said: Any, known: Any, where: str) -> None:
    for name in said:
        if name not in known:
            raise UserError(f"{where} must be among {', '.join(known)}; got {name!r}{did_you_mean(str(name), known)}")


def _seconds(said: Any, where: str) -> float:
    try:
        value = float(said)
    except (TypeError, ValueError):
        value = 0.0
    if not 0 < value < float("inf"):
        raise UserError(f"{where}: seconds must be a number above 0; got {str(said)[:60]!r}")
    return value
