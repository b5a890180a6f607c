"""The keys of a configuration: what its documented dataclasses say of each field, and how values lie in them.

A field is said where it stands: `name: Annotated[type, bound] = default`, and below it a text, whose first paragraph is
that of --help. A nested dataclass gives its keys a prefix (`lora.r`), unless it is `INLINED`: the keys of the objective
are `beta` and `epsilon`, and are arguments and attributes of the whole configuration too. Fields of an inlined one that
are `Called` with a prefix are a group beside them (`objective.dual_clip`).
"""

from __future__ import annotations

import ast
import copy
import dataclasses
import functools
import inspect
import sys
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from nsrl_kernels.options import Option, options

T = TypeVar("T")
INLINED = {"inlined": True}  # metadata of a field that is a nested dataclass whose keys have no prefix


@dataclass(frozen=True)
class Called:
    """In an annotation: the key that a field has, where it is not the field's name."""

    key: str


@dataclass(frozen=True)
class Key(Option):
    """One key: its dotted name, where its value lies, default (`MISSING`: required), and text."""

    name: str = ""
    path: tuple[str, ...] = ()
    default: Any = None
    text: str = ""

    @property
    def is_list(self) -> bool:
        """Whether the key takes several values."""
        return typing.get_origin(self.type) in (list, tuple)

    @property
    def count(self) -> int | None:
        """How many values a list must have; None: any number."""
        return len(typing.get_args(self.type)) if typing.get_origin(self.type) is tuple else None

    @property
    def is_mapping(self) -> bool:
        """Whether the key takes values by name."""
        return typing.get_origin(self.type) is dict


@lru_cache
def keys(kind: type[Any], before: str = "", path: tuple[str, ...] = ()) -> dict[str, Key]:
    """The keys of a configuration by dotted name, in order; those of nested dataclasses instead of the dataclass."""
    hints = typing.get_type_hints(kind, include_extras=True)
    texts, said = descriptions(kind), options(kind)
    found: dict[str, Key] = {}
    for field in dataclasses.fields(kind):
        hint, way = hints[field.name], (*path, field.name)
        if dataclasses.is_dataclass(hint):
            inner = before if "inlined" in field.metadata else f"{before}{field.name}."
            found |= keys(typing.cast(type, hint), inner, way)
            continue
        notes = getattr(hint, "__metadata__", ())
        name = before + next((note.key for note in notes if isinstance(note, Called)), field.name)
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        default = list(default) if isinstance(default, tuple) else default
        found[name] = Key(**vars(said[field.name]), name=name, path=way, default=default, text=texts[field.name])
    return found


@lru_cache
def groups(kind: type[Any]) -> dict[str, type[Any]]:
    """The nested dataclasses whose keys, or some of them, have a prefix, by name."""
    return {
        name: inner
        for name, (inner, in_line) in _nested(kind).items()
        if not in_line or any(key.startswith(f"{name}.") for key in keys(inner))
    }


def first_key(kind: type[Any], group: str) -> str:
    """The first key of a group, for a sentence that names one."""
    return next(name for name in keys(kind) if name.startswith(f"{group}."))


@lru_cache
def _nested(kind: type[Any]) -> dict[str, tuple[type[Any], bool]]:
    hints = typing.get_type_hints(kind)
    return {
        f.name: (hints[f.name], "inlined" in f.metadata)
        for f in dataclasses.fields(kind)
        if dataclasses.is_dataclass(hints[f.name])
    }


@lru_cache
def _inner(kind: type[Any]) -> dict[str, tuple[str, str]]:
    """Where the keys without a prefix lie that are no fields of `kind`: (field, field of that) by key."""
    return {
        key.name: (key.path[0], key.path[1]) for key in keys(kind).values() if len(key.path) > key.name.count(".") + 1
    }


def other_names(kind: type[Any]) -> dict[str, str]:
    """What to say to a name of the inlined groups' fields that is no key: what the key is called."""
    said: dict[str, str] = {}
    for group in (inner for inner, in_line in _nested(kind).values() if in_line):
        said |= {key.path[-1]: f"; here it is {name}" for name, key in keys(group).items() if key.path[-1] != name}
    return said


def known_keys(kind: type[Any]) -> list[str]:
    """Every dotted key, the names of nested groups too."""
    return [*groups(kind), *keys(kind)]


def entry_of(known: Mapping[str, Key], name: str) -> tuple[str, str] | None:
    """(the mapping, its entry) that a dotted name means, as warm_start.languages.nsl; None where it means none.

    Entries may have dots of their own: schedules.reward_weights.short.
    """
    parts = name.split(".")
    roots = ((".".join(parts[:n]), ".".join(parts[n:])) for n in range(1, len(parts)))
    return next(((root, entry) for root, entry in roots if root in known and known[root].is_mapping), None)


def descriptions(kind: type[Any]) -> dict[str, str]:
    """The first paragraph of what stands below each field of a dataclass, also of those that a class above it has."""
    found: dict[str, str] = {}
    for part in reversed(kind.__mro__):
        if part is not object:
            found |= _below(part.__module__).get(part.__name__, {})
    return found


@lru_cache
def _below(module: str) -> dict[str, dict[str, str]]:
    """The texts below fields, by class and field, of a module's source."""
    found: dict[str, dict[str, str]] = {}
    for node in ast.parse(inspect.getsource(sys.modules[module])).body:
        if not isinstance(node, ast.ClassDef):
            continue
        for field, below in zip(node.body, node.body[1:]):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    first = inspect.cleandoc(text).partition("\n\n")[0]
                    found.setdefault(node.name, {})[name] = " ".join(first.split())
    return found


def summary(kind: type[Any]) -> str:
    """What a dataclass says of itself, on one line."""
    return " ".join((kind.__doc__ or "").split())


# -- values ----------------------------------------------------------------------------------------------------------


def takes_keys(kind: type[T]) -> type[T]:
    """A configuration whose inlined groups' keys are arguments and attributes of its own: `TrainConfig(beta=0.1)`."""
    make, put = kind.__init__, kind.__setattr__

    @functools.wraps(make)
    def init(self: Any, **values: Any) -> None:
        said: dict[str, dict[str, Any]] = {}
        for name, (group, field) in _inner(kind).items():
            if name in values:
                said.setdefault(group, {})[field] = values.pop(name)
        for group, own in said.items():
            begun = values.get(group)
            values[group] = dataclasses.replace(_nested(kind)[group][0]() if begun is None else begun, **own)
        make(self, **values)

    def get(self: Any, name: str) -> Any:
        if name.startswith("_") or name not in _inner(kind):
            raise AttributeError(f"{kind.__name__!r} has no attribute {name!r}")
        group, field = _inner(kind)[name]
        return getattr(getattr(self, group), field)

    def assign(self: Any, name: str, value: Any) -> None:
        if name in _inner(kind):  # in the group, or the key would say one thing and the group another
            group, field = _inner(kind)[name]
            name, value = group, dataclasses.replace(getattr(self, group), **{field: value})
        put(self, name, value)

    kind.__init__, kind.__getattr__, kind.__setattr__ = init, get, assign  # pyright: ignore
    return kind


def flat(config: Any) -> dict[str, Any]:
    """The values of a configuration by dotted key."""
    values: dict[str, Any] = {}
    for name, key in keys(type(config)).items():
        place = config
        for part in key.path:
            place = getattr(place, part)
        values[name] = list(place) if isinstance(place, tuple) else place
    return values


def plain(config: Any) -> dict[str, Any]:
    """The values of a configuration as nested dictionaries, as its YAML has them."""
    return copy.deepcopy(nest(flat(config)))


def build(kind: type[Any], plain: Mapping[str, Any]) -> Any:
    """Nested dictionaries of typed values to nested dataclasses; keys that `kind` does not have are left out."""
    nested = groups(kind)
    own = {field.name for field in dataclasses.fields(kind)} | _inner(kind).keys()
    return kind(**{
        name: build(nested[name], value) if name in nested else value for name, value in plain.items() if name in own
    })  # fmt: skip


def nest(values: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys to nested dictionaries."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        *path, last = name.split(".")
        place = found
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    return found
