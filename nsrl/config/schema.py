"""From a text to a typed value, and from a dataclass to its keys.

Texts from the command line and from YAML files are read alike: YAML gives structure and nothing else, the key's type
decides what a text means (so `name: no` is a name, `1e3` is an integer where one is wanted, and a date is a text).
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
import types
import typing
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from nsrl.errors import UserError, did_you_mean

NULL = ("null", "none", "~", "")
TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


@dataclass(frozen=True)
class Key:
    """One key: its dotted name, type (without None), whether null is allowed, default (`MISSING`: required), and
    text."""

    name: str
    type: Any
    optional: bool
    default: Any
    text: str

    @property
    def is_list(self) -> bool:
        """Whether the key takes several values."""
        return typing.get_origin(self.type) is list

    @property
    def is_mapping(self) -> bool:
        """Whether the key takes values by name."""
        return typing.get_origin(self.type) is dict

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that the key takes; empty where it takes more than words."""
        return typing.get_args(self.type) if typing.get_origin(self.type) is Literal else ()


@lru_cache
def keys(kind: type[Any], before: str = "") -> dict[str, Key]:
    """The keys of a configuration by dotted name, in order; those of nested dataclasses instead of the dataclass."""
    hints, texts = typing.get_type_hints(kind), descriptions(kind)
    found: dict[str, Key] = {}
    for field in dataclasses.fields(kind):
        hint, name = hints[field.name], before + field.name
        if dataclasses.is_dataclass(hint):
            found |= keys(hint, name + ".")
            continue
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
        inner = next(option for option in options if option is not types.NoneType)
        found[name] = Key(name, inner, types.NoneType in options, default, texts.get(field.name, ""))
    return found


@lru_cache
def groups(kind: type[Any]) -> dict[str, type[Any]]:
    """The nested dataclasses of a configuration by name."""
    hints = typing.get_type_hints(kind)
    return {f.name: hints[f.name] for f in dataclasses.fields(kind) if dataclasses.is_dataclass(hints[f.name])}


def known_keys(kind: type[Any]) -> list[str]:
    """Every dotted key, the names of nested groups too."""
    return [*groups(kind), *keys(kind)]


def descriptions(kind: type[Any]) -> dict[str, str]:
    """What a docstring's `Args:` say of each name."""
    _, _, part = inspect.cleandoc(kind.__doc__ or "").partition(
        "Args:\n"
    )  # Python 3.13 takes the indentation off itself
    found = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", part, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in found}


def summary(kind: type[Any]) -> str:
    """The docstring without its `Args:`, on one line."""
    return " ".join((kind.__doc__ or "").partition("Args:\n")[0].split())


def flat(config: Any) -> dict[str, Any]:
    """The values of a configuration by dotted key."""
    values: dict[str, Any] = {}
    for name in keys(type(config)):
        place = config
        for part in name.split("."):
            place = getattr(place, part)
        values[name] = place
    return values


def build(kind: type[Any], plain: dict[str, Any]) -> Any:
    """Nested dictionaries of typed values to nested dataclasses; keys that `kind` does not have are left out."""
    nested, values = groups(kind), {}
    for field in dataclasses.fields(kind):
        if field.name in plain:
            value = plain[field.name]
            values[field.name] = build(nested[field.name], value) if field.name in nested else value
    return kind(**values)


def nest(values: dict[str, Any]) -> dict[str, Any]:
    """Dotted keys to nested dictionaries."""
    plain: dict[str, Any] = {}
    for name, value in values.items():
        *path, last = name.split(".")
        place = plain
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    return plain


# -- text to value ---------------------------------------------------------------------------------------------------


@lru_cache(1)
def _loader() -> type:
    """A loader of YAML whose every scalar is a text, and which refuses a key that is there twice."""
    import yaml  # not above: without the extra that brings it, a command can still say so

    class Texts(yaml.BaseLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                raise yaml.constructor.ConstructorError(None, None, f"key {twice!r} is there twice", node.start_mark)
            return super().construct_mapping(node, deep)

    return Texts


def read_yaml(text: str, where: str) -> Any:
    """Mappings, lists and texts. Raises `UserError` that begins with `where`."""
    import yaml

    try:
        return yaml.load(text, _loader())
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" (line {mark.line + 1})" if mark is not None else ""
        what = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise UserError(f"{where} must be YAML; {what}{place}") from None


def read_mapping(text: str, where: str) -> Any:
    """`read_yaml` of what was typed: `{nsl:1,prose:2}` without the spaces that YAML wants is a mapping too."""
    content = read_yaml(text, where)
    if isinstance(content, dict) and all(":" in str(name) and value == "" for name, value in content.items()):
        content = {name.partition(":")[0]: name.partition(":")[2] for name in content}
    return content


def value_of(key: Key, given: Any) -> Any:
    """`given` (a text, or a list or mapping of texts) as the key's type. Raises `UserError`."""
    if isinstance(given, str) and key.optional and given.strip().lower() in NULL:
        return None
    if key.is_list:
        if isinstance(given, str) and given.strip()[:1] == "[":
            given = read_yaml(given, key.name)
        if isinstance(given, str):
            given = [] if given.strip().lower() in NULL else [given]
        if not isinstance(given, list):
            raise _wrong(key, "a list", given)
        (inner,) = typing.get_args(key.type)
        return [_scalar(key, inner, item) for item in given]
    if key.is_mapping:
        if isinstance(given, str):
            given = read_mapping(given, key.name)
        if not isinstance(given, dict):
            example = "{question: Frage, answer: Antwort}" if key.name == "data.columns" else "{nsl: 1, prose: 2}"
            raise _wrong(key, f"a mapping such as {example}", given)
        _, inner = typing.get_args(key.type)
        return {str(name): _scalar(key, inner, item, f"{key.name}.{name}") for name, item in given.items()}
    return _scalar(key, key.type, given)


def _scalar(key: Key, kind: Any, given: Any, name: str = "") -> Any:
    if not isinstance(given, str):
        raise _wrong(key, kind_name(kind, key), given, name)
    text = given.strip()
    if kind is str:
        return given
    if kind is bool:
        if text.lower() in TRUE + FALSE:
            return text.lower() in TRUE
    elif kind is int:
        number = _integer(text)
        if number is not None:
            return number
    elif kind is float:
        try:
            return float(text)
        except ValueError:
            pass
    elif text in key.choices:
        return text
    near = did_you_mean(text, key.choices)
    raise _wrong(key, kind_name(kind, key), given, name, near)


def _integer(text: str) -> int | None:
    """Also `1e3` and `32.0`; None where the text is no whole number."""
    if re.fullmatch(r"[+-]?\d{1,40}", text):
        return int(text)
    try:
        number = float(text)
    except ValueError:
        return None
    return int(number) if math.isfinite(number) and number == int(number) else None


def kind_name(kind: Any, key: Key) -> str:
    """What a value should be, in words."""
    if key.choices:
        return "one of " + ", ".join(map(str, key.choices))
    words = {int: "an integer", float: "a number", bool: "true or false", str: "a text"}[kind]
    return words + (" or null" if key.optional else "")


def _wrong(key: Key, expected: str, given: Any, name: str = "", near: str = "") -> UserError:
    if isinstance(given, dict | list):
        given = "a mapping" if isinstance(given, dict) else "a list"
    return UserError(f"{name or key.name} must be {expected}; got {_short(given)}{near}")


def _short(given: Any) -> str:
    shown = repr(given)
    return shown if len(shown) <= 80 else shown[:77] + "..."
