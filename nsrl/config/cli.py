"""A command line to a configuration: recipe, then files, then the line itself; and what each key's origin was.

Words are `key=value`, `--key value`, `--key=value`, bare boolean flags, `recipe=NAME` and `--config FILE`. Knows
nothing of single keys but `recipe` and the two that say where problems come from.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path
from typing import Any, TypeVar

from nsrl.config.asking import EvalConfig, HarvestConfig, SolveConfig
from nsrl.config.experiment import ExperimentConfig
from nsrl.config.gallery import GalleryConfig
from nsrl.config.helptext import help_text
from nsrl.config.keys import Key, build, entry_of, first_key, flat, groups, keys, known_keys, nest, other_names, plain
from nsrl.config.names import unknown_key
from nsrl.config.recipes import ABOUT, recipe_files, recipe_title
from nsrl.config.schema import TrainConfig
from nsrl.config.values import read_mapping, read_yaml, value_of
from nsrl.data.sources import guess_source
from nsrl.errors import Terminated, UserError, extras_named, require_extra
from nsrl.userfiles import beside, expanded

# What it means that a run's configuration lacks a key, where that is not the key's default: it was written before there
# was one.
BEFORE = {"demonstrations.source": "shapes", "warm_start.optimizer": "adamw", "noise_gate": 0.0}

EXPERIMENT = "experiment"  # the group of a file whose keys are of nsrl experiment; all others are of its runs

Config = TypeVar("Config", TrainConfig, EvalConfig, HarvestConfig, SolveConfig, ExperimentConfig, GalleryConfig)
Said = dict[str, tuple[Any, str]]  # dotted key: text (or list, mapping of texts), origin


def parse(kind: type[Config], argv: list[str], program: str, begun: Path | None = None) -> Config:
    """Build a config from a command line. Raises `UserError` for bad input; prints and exits for --help,
    --print_config.

    begun: config.yaml of the run that is continued. It stands in place of the defaults, so that all else overrides it.
    """
    if sys.argv[0].startswith("nsrl "):  # started by the script `nsrl`, which help then names
        program = sys.argv[0]
    line, files, wish = _words(kind, argv)
    if wish == "help":
        print(help_text(kind, program))
        raise SystemExit(0)
    said: Said = {}
    contents = [_file(kind, file) for file in files]
    recipe = next((texts["recipe"] for texts in (line, *reversed(contents)) if "recipe" in texts), None)
    if recipe is not None:
        said |= {name: (text, "recipe") for name, text in _recipe(kind, str(recipe)).items()}
        said["recipe"] = (recipe, "line")
    if begun is not None:
        said |= {
            name: (text, "run")
            for name, text in (
                {key: str(value) for key, value in BEFORE.items()} | _file(kind, begun, strange=True)
            ).items()
            if name != "recipe" or recipe is None
        }
    for texts in contents:
        said |= {name: (text, "file") for name, text in texts.items()}
    said |= {name: (text, "line") for name, text in line.items()}
    config = _typed(kind, said, program)
    if wish is not None:
        print(_printed(config, wish), end="")
        raise SystemExit(0)
    require_extra()
    return config


def _typed(kind: type[Config], said: Said, program: str) -> Config:
    """Texts to values; `given` keeps the origin of each."""
    known, values, given = keys(kind), {}, {}
    for name, (text, origin) in said.items():
        if (
            name == "output_dir" and isinstance(text, str) and not text.strip()
        ):  # a variable of the shell that is not set
            raise UserError("output_dir must be a folder; got none (without the key it is runs/RECIPE-SEED)")
        key = known.get(name)
        if key is None:  # one entry of a mapping, as warm_start.languages.nsl
            root, entry = entry_of(known, name) or ("", "")
            value = {**values.get(root, known[root].default), **value_of(known[root], {entry: text})}
            name, key = root, known[root]
        else:
            value = value_of(key, text)
        values[name], given[name] = value, origin
        if origin == "file" and value == key.default:  # a whole configuration as --print_config writes it
            del given[name]
    missing = [name for name, key in known.items() if key.default is dataclasses.MISSING and name not in values]
    if missing:
        raise UserError(
            f"{' and '.join(missing)} must be given, as in {program} {' '.join(f'{m}=...' for m in missing)}"
        )
    if kind is TrainConfig:
        _recognise(values, given)
    config = build(kind, nest(values))
    config.given = given
    return config


def _recognise(values: dict[str, Any], given: dict[str, str]) -> None:
    """The source of a data set of which only the path was said."""
    if values.get("data.path") is not None and "data.source" not in given:
        values["data.source"] = guess_source(values["data.path"])


# -- where texts come from -------------------------------------------------------------------------------------------


def _words(kind: type[Any], argv: list[str]) -> tuple[dict[str, Any], list[Path], str | None]:
    """(texts by key, config files, "help" or a --print_config word or None) of a command line."""
    known, names = keys(kind), known_keys(kind)
    texts: dict[str, Any] = {}
    files: list[Path] = []
    wish: str | None = None
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        dashed = name.startswith("-")
        name = name.lstrip("-").replace("-", "_")
        if name in ("help", "h") and (dashed or not equals):
            return {}, [], "help"
        if name == "print_config":
            if value not in ("", "skip_default"):
                raise UserError(f"print_config takes nothing or skip_default; got {value!r}")
            wish = value or "all"
            continue
        key = known.get(name) or _mapping_of(known, name)
        if name != "config" and key is None and name not in groups(kind):
            if not equals and not dashed:
                raise UserError(f"arguments are written key=value or --key value; got {word!r}")
            raise UserError(unknown_key(name, names, others=other_names(kind)))
        if not equals:
            if key is not None and key.type is bool and not (rest and rest[0].lower() in ("true", "false")):
                value = "true"
            elif not dashed:
                raise UserError(f"arguments are written key=value or --key value; got {word!r}")
            elif not rest:
                raise UserError(f"{name} needs a value; got none")
            else:
                value = rest.pop(0)
        if name == "config":
            files.append(expanded(value))
        elif key is None:
            texts |= _flattened(kind, {name: read_mapping(value, name)}, "")
        else:
            _put(texts, key, name, value)
    return texts, files, wish


def _put(texts: dict[str, Any], key: Key, name: str, value: str) -> None:
    """A key said again replaces what was said before; single words for a list add up."""
    before = texts.pop(name, None)
    if key.is_list and not value.startswith("[") and isinstance(before, list):
        texts[name] = [*before, value]
    elif key.is_list and not value.startswith("[") and value.lower() not in ("none", "null", ""):
        texts[name] = [value]
    else:
        texts[name] = value


def _mapping_of(known: dict[str, Key], name: str) -> Key | None:
    """The mapping that `name` is an entry of."""
    found = entry_of(known, name)
    return None if found is None else known[found[0]]


def _file(kind: type[Any], file: Path, strange: bool = False) -> dict[str, Any]:
    """Texts by key of a YAML file. strange: keys this version does not know are left out."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"--config file {str(file)!r} must be UTF-8; byte {error.start} is not") from None
    except (OSError, ValueError) as error:
        raise UserError(
            f"--config file {str(file)!r} cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from None
    where = f"--config file {str(file)!r}"
    content = read_yaml(text, where)
    if content is None or content == "":
        return {}
    if not isinstance(content, dict):
        raise UserError(
            f"{where} must hold keys and values; got {'a list' if isinstance(content, list) else repr(content)[:60]}"
        )
    content.pop(ABOUT, None)
    own = content.pop(EXPERIMENT, None) or {}
    if not isinstance(own, dict):
        raise UserError(f"{where}: {EXPERIMENT} is a group of keys of nsrl experiment; got {str(own)[:60]!r}")
    if not strange:  # config.yaml of a run has its files where they were found
        content = beside(content, file.parent)
    if kind is ExperimentConfig:
        content = {name: content[name] for name in ("recipe",) if name in content} | own
    return _flattened(kind, content, f"{where}: ", strange)


def _flattened(kind: type[Any], content: dict[str, Any], where: str, strange: bool = False) -> dict[str, Any]:
    """Nested or dotted keys to dotted ones."""
    known, inner = keys(kind), groups(kind)
    texts: dict[str, Any] = {}
    for name, value in content.items():
        name = str(name)
        if name in inner:
            if value in (None, ""):
                continue
            if not isinstance(value, dict):
                raise UserError(
                    f"{where}{name} is a group of keys, {first_key(kind, name)} and others; got {str(value)[:60]!r} "
                    f"for the group"
                )
            inside = _flattened(kind, {f"{name}.{key}": deeper for key, deeper in value.items()}, where, strange)
        elif name in known or _mapping_of(known, name) is not None:
            inside = {name: value}
        elif not strange:
            raise UserError(unknown_key(name, known_keys(kind), where, other_names(kind)))
        else:
            continue
        twice = [key for key in inside if any(_overlap(key, other) for other in texts)]
        if twice:
            raise UserError(f"{where}{twice[0]} is there twice, in one line and in a group; give it once")
        texts |= inside
    return texts


def _overlap(key: str, other: str) -> bool:
    """Are they the same key, or is one an entry of the mapping that the other is?"""
    return key == other or key.startswith(f"{other}.") or other.startswith(f"{key}.")


def _recipe(kind: type[Any], name: str, seen: tuple[str, ...] = ()) -> dict[str, Any]:
    """Texts by key of a recipe, on those of the recipe that it names itself."""
    if "recipe" not in keys(kind):
        raise UserError(unknown_key("recipe", known_keys(kind)))
    texts: dict[str, Any] = {}
    for file in recipe_files(name):
        if str(file) in seen:
            raise UserError(f"recipe must not lead back to itself; got {' -> '.join([*seen, str(file)])}")
        own = _file(kind, file)
        base = own.pop("recipe", None)
        texts |= own if base is None else _recipe(kind, str(base), (*seen, str(file))) | own
    return texts


# -- and back --------------------------------------------------------------------------------------------------------


def to_yaml(config: Any) -> str:
    """The resolved configuration, as it is written into a run folder."""
    import yaml

    return yaml.safe_dump(plain(config), sort_keys=False, allow_unicode=True)


def from_yaml(kind: type[Config], text: str) -> Config:
    """The inverse of `to_yaml`; keys this version does not know are left out. Raises `UserError` for a text that holds
    no keys."""
    import yaml

    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError:
        values = None
    if not isinstance(values, dict):
        raise UserError(f"config.yaml of a run must hold its keys; got {text[:60]!r}")
    for name, value in BEFORE.items():
        *group, key = name.split(".")
        (values.setdefault(group[0], {}) if group else values).setdefault(key, value)
    return build(kind, values)


def _printed(config: Any, wish: str) -> str:
    import yaml

    if wish == "all":
        return to_yaml(config)
    known = keys(type(config))
    changed = {name: value for name, value in flat(config).items() if value != known[name].default}
    return yaml.safe_dump(nest(changed), sort_keys=False, allow_unicode=True)


def run_path(config: TrainConfig) -> Path:
    """The run folder of a configuration."""
    return expanded(config.output_dir or f"runs/{recipe_title(config.recipe)}-{config.seed}")


def launched() -> tuple[int, int]:
    """(rank, number of processes) a launcher such as torchrun gave this process; (0, 1) without one."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def command(main: Any) -> None:
    """Run a command's main(argv): a `UserError` is one sentence and exit code 2, Ctrl-C 130, SIGTERM 143."""
    try:
        with extras_named():
            code = main(sys.argv[1:])
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt as end:
        print(*(end.args or ["interrupted; `--resume` continues from the latest checkpoint"]), file=sys.stderr)
        code = 130
    except Terminated as end:
        print(end, file=sys.stderr)
        code = 143
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    raise SystemExit(code)
