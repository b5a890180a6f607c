"""--help: every key with its default, its choices and what its docstring says."""

from __future__ import annotations

import dataclasses
import json
import shutil
import textwrap
from typing import Any

from nsrl.config.keys import Key, groups, keys, summary
from nsrl.config.values import kind_name

WRITTEN = (
    "Keys are written key=value, --key value or --key=value; a flag alone is true. A later word wins over an earlier "
    "one, "
    "the command line over --config files, these over the recipe, and that over the defaults below. Lists are [a,b] or "
    "the "
    "key again for each."
)


def help_text(kind: type[Any], program: str) -> str:
    """The whole help, as wide as the terminal and at most 100 columns."""
    width = max(40, min(100, shutil.get_terminal_size((80, 24)).columns))
    known, nested = keys(kind), groups(kind)
    recipe = "[recipe=NAME] " if "recipe" in known else ""
    lines = [f"usage: {program} {recipe}[--config FILE] [key=value ...]", ""]
    lines += [*textwrap.wrap(summary(kind), width), "", *textwrap.wrap(WRITTEN, width), ""]
    lines += _entry("--help, -h", "show this and stop.", width)
    lines += _entry("--config FILE", "YAML file of keys, read after the recipe; may be given again.", width)
    lines += _entry(
        "--print_config[=skip_default]",
        "print the resulting configuration (what differs from the defaults) as YAML and stop.",
        width,
    )
    for key in known.values():
        if "." not in key.name:
            lines += _key(key, width)
    for name, inner in nested.items():
        lines += ["", *textwrap.wrap(f"{name}: {summary(inner)}", width)]
        for key in known.values():
            if key.name.startswith(f"{name}."):
                lines += _key(key, width)
    if more := getattr(kind, "more", ""):
        lines += ["", *textwrap.wrap(more, width)]
    return "\n".join(lines)


def _key(key: Key, width: int) -> list[str]:
    told = "required" if key.default is dataclasses.MISSING else f"default: {shown(key.default)}"
    return _entry(f"--{key.name} {_placeholder(key)} ({told})", key.text, width)


def _entry(head: str, text: str, width: int) -> list[str]:
    """The head on lines of its own, what it means below it."""
    indented = textwrap.wrap(head, width, initial_indent="  ", subsequent_indent="      ", break_long_words=False)
    return [*indented, *textwrap.wrap(text, width, initial_indent="        ", subsequent_indent="        ")]


def _placeholder(key: Key) -> str:
    if key.choices:
        named = "{" + ",".join([*key.choices, *([key.also] if key.also else [])]) + "}"
        return named if len(named) <= 60 else named.replace(",", ", ")  # lines are broken at spaces
    if key.is_list:
        return "[...]"
    if key.is_mapping:
        return "{name: number, ...}"
    word = {"an integer": "INTEGER", "a number": "NUMBER", "true or false": "{true,false}", "a text": "TEXT"}
    return word[kind_name(key.type, dataclasses.replace(key, optional=False))]


def shown(value: Any) -> str:
    """A default as it would be written in YAML."""
    if isinstance(value, list):
        return "[" + ", ".join(map(shown, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {shown(item)}" for name, item in value.items()) + "}"
    return value if isinstance(value, str) else json.dumps(value)
