"""From a text to a typed value, and whether a value is one that its key takes.

Texts from the command line and from YAML files are read alike: YAML gives structure and nothing else, the key's type
decides what a text means (so `name: no` is a name, `1e3` is an integer where one is wanted, and a date is a text).
NaN and infinity are never taken.
"""

from __future__ import annotations

import math
import re
import typing
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from nsrl.config.keys import Key
from nsrl.errors import UserError, did_you_mean

EXAMPLES = {
    "data.columns": "{question: Frage, answer: Antwort}",
    "spans": '{info: "<info>{}</info>"}',
    "verifiers": "{default: recipe.py:verify}",
    "contexts": "{masked: {images: black, share: 0.6}}",
    "terms": "{masked: -0.02}",
    "draw.tiers": "{hard: 0 to 0.3, middle: 0.3 to 0.8}",
    "draw.arguments": "{share: 0.5}",
}
NULL = ("null", "none", "~", "")
TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
LARGEST_INT, LARGEST_FLOAT = 2**31 - 1, 3e38  # what every tensor and every call of the system takes


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
        inner = typing.get_args(key.type)[0]
        if typing.get_origin(inner) is dict:  # of several keys each: `stages.typed` reads them
            return given
        return [_scalar(key, inner, item) for item in given]
    if key.is_mapping:
        if isinstance(given, str):
            given = read_mapping(given, key.name)
        if not isinstance(given, dict):
            example = EXAMPLES.get(key.name, "{nsl: 1, prose: 2}")
            raise _wrong(key, f"a mapping such as {example}", given)
        _, inner = typing.get_args(key.type)
        if typing.get_origin(inner) is dict:  # of several keys each: `contexts.typed` reads them
            return given
        return {str(name): _scalar(key, inner, item, f"{key.name}.{name}") for name, item in given.items()}
    return _scalar(key, key.type, given)


def _scalar(key: Key, kind: Any, given: Any, name: str = "") -> Any:
    if not isinstance(given, str):
        raise _wrong(key, kind_name(kind, key), given, name)
    text = given.strip()
    if kind is str and not key.choices:
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
    elif key.chosen(text):
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
        return "one of " + ", ".join(map(str, key.choices)) + (f", or {key.also}" if key.also else "")
    words = {int: "an integer", float: "a number", bool: "true or false", str: "a text"}[kind]
    return words + (" or null" if key.optional else "")


def _wrong(key: Key, expected: str, given: Any, name: str = "", near: str = "") -> UserError:
    if isinstance(given, dict | list):
        given = "a mapping" if isinstance(given, dict) else "a list"
    return UserError(f"{name or key.name} must be {expected}; got {_short(given)}{near}")


def _short(given: Any) -> str:
    shown = repr(given)
    return shown if len(shown) <= 80 else shown[:77] + "..."


def as_text(value: Any) -> Any:
    """A value as it stands in a file, where everything is a text."""
    if isinstance(value, Mapping):
        return {str(name): as_text(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_text(item) for item in value]
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return value if isinstance(value, str) else repr(value)


# -- what a key takes --------------------------------------------------------------------------------------------------


def check_value(key: Key, value: Any) -> None:
    """Type, bound and choices of a value. Raises `UserError`: the key, what was expected, what came."""
    if value is None:
        if not key.optional:
            raise UserError(f"{key.name} must be {kind_name(key.type, key)}; got null" if not key.is_list
                            else f"{key.name} must be a list; got null")  # fmt: skip
        return
    parts = [(key.name, value, key.type)]
    if key.is_list:
        if key.count is not None and len(value) != key.count:
            raise UserError(f"{key.name} must be {key.count} numbers; got {len(value)}")
        inner = typing.get_args(key.type)[0]
        parts = [(key.name, item, inner) for item in value]
    elif key.is_mapping:
        parts = [(f"{key.name}.{name}", item, typing.get_args(key.type)[1]) for name, item in value.items()]
    for name, item, kind in parts:
        if isinstance(item, str) and "\0" in item:
            raise UserError(f"{name} must be a text without the character NUL; got {item!r}")
        if key.choices:
            if not key.chosen(item):
                raise UserError(
                    f"{name} must be {kind_name(kind, key)}; got {item!r}" + did_you_mean(str(item), key.choices)
                )
        elif kind in (int, float, bool):
            _check_number(key, name, item, kind)


def _check_number(key: Key, name: str, value: Any, kind: type) -> None:
    bound = key.bound
    numbers = {int: int, float: (int, float), bool: bool}[kind]
    if not isinstance(value, numbers) or (isinstance(value, bool) and kind is not bool):
        raise UserError(f"{name} must be {kind_name(kind, key)}; got {value!r}")
    if kind is bool:
        return
    if not math.isfinite(value):
        raise UserError(f"{name} must be a finite number; got {value}")
    if bound is not None and not bound.holds(value):
        why = f" ({bound.why})" if bound.why else ""
        raise UserError(f"{name} must be {bound}{' or null' if key.optional else ''}; got {value}{why}")
    most = LARGEST_INT if kind is int else LARGEST_FLOAT
    if abs(value) > most and not (bound is not None and bound.most > most and math.isfinite(bound.most)):
        raise UserError(f"{name} must be between {-most:,} and {most:,}; got {value}")
