"""The keys of what single tokens count: `contexts`, `terms`, `shape_funcs`, `dead_groups` (docs/contexts.md).

An entry of `contexts` is a mapping with keys of its own (`ContextConfig`), as an entry of `stages` is.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from nsrl.config.keys import keys
from nsrl.config.prompts import PromptConfig
from nsrl.config.schedules import Schedule, parse_schedule
from nsrl.config.values import NULL, as_text, check_value, read_mapping, value_of
from nsrl.data.modes import require_opening
from nsrl.errors import UserError, did_you_mean
from nsrl_kernels.options import Bound

PROMPT = "prompt"  # of a context: the keys of `prompt`, or a function
_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")


@dataclass(frozen=True)
class ContextConfig:
    """Under what the same tokens are scored: what is not said is as in the update."""

    images: Literal["keep", "black", "noise"] = "keep"
    """black paints patches black, noise adds Gaussian noise to them; the tokens stay as many."""

    share: Annotated[float, Bound(above=0, most=1)] = 1.0
    """of the patches that are painted or noisy; which, is drawn by (seed, step, picture, patch)."""

    sigma: Annotated[float, Bound(above=0, most=100)] = 0.4
    """standard deviation of the noise, where pixels are as the image processor normalised them."""

    adapter: bool = True
    """false: without the LoRA adapter."""

    prompt: str | dict[str, Any] | None = None
    """another prompt in front of the completions: keys of `prompt` (what is not said is as the run's), or
    FILE.py:function, from a problem to the problem that is put."""


@dataclass
class TokensConfig:
    """What single tokens count, beyond their completion's advantage."""

    contexts: dict[str, dict[str, Any]] = field(default_factory=dict)
    """further passes in which the completions' tokens are scored, without gradient, by name: {masked: {images: black,
    share: 0.6}, noisy: {images: noise, sigma: 0.4}, base: {adapter: false}, blind: {prompt: {images: none}}}
    (contexts.md)."""

    terms: dict[str, str] = field(default_factory=dict)
    """coefficients, of either sign, of k3(policy, context) in the loss, by context; numbers, or schedules over the
    steps of GRPO or of its stage: {masked: -0.02, base: cosine 0.04 0}."""

    shape_funcs: list[str] = field(default_factory=list)
    """file.py:function: each takes a `Step` and changes what its tokens count (contexts.md)."""

    dead_groups: Literal["auto", "keep", "drop"] = "auto"
    """groups without spread in the update: kept where something else than advantages drives the loss, kept, or dropped,
    then from what the loss is divided by too."""

    no_keys: ClassVar[Mapping[str, str]] = {}

    def __post_init__(self) -> None:
        self.contexts = typed(self.contexts)
        self.terms = {name: str(value) for name, value in self.terms.items()}
        for name in schedules_of_terms(self):
            if name not in self.contexts:
                there = ", ".join(self.contexts) or "contexts has none"
                near = did_you_mean(name, self.contexts)
                raise UserError(f"terms.{name} must name a context ({there}); got {name!r}{near}")


def schedules_of_terms(tokens: TokensConfig) -> dict[str, Schedule]:
    """The coefficients by context. Raises `UserError`."""
    found = {name: parse_schedule(text, f"terms.{name}") for name, text in tokens.terms.items()}
    for name, schedule in found.items():
        if max(map(abs, schedule.values)) > 1e6:
            raise UserError(f"terms.{name} must lie between -1,000,000 and 1,000,000; got {tokens.terms[name]!r}")
    return found


def typed(contexts: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """`contexts` with values of their keys' types, from texts or values, nested or dotted. Raises `UserError`."""
    folded: dict[str, dict[str, Any]] = {}
    for name, entry in contexts.items():
        name, _, rest = str(name).partition(".")
        entry = read_mapping(entry, f"contexts.{name}") if isinstance(entry, str) and not rest else entry
        folded.setdefault(name, {})
        _fold(folded[name], rest, entry, f"contexts.{name}")
    return {name: _entry(f"contexts.{name}", name, entry) for name, entry in folded.items()}


def _fold(into: dict[str, Any], path: str, value: Any, where: str) -> None:
    """`value` where the dotted `path` says."""
    first, _, rest = path.partition(".")
    if rest:
        inner = into.get(first)
        into[first] = dict(inner) if isinstance(inner, Mapping) else {}
        _fold(into[first], rest, value, where)
    elif first:
        into[first] = value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            _fold(into, str(name), item, where)
    elif value not in (None, ""):
        raise UserError(f"{where} must be a mapping such as {{images: black, share: 0.6}}; got {str(value)[:60]!r}")


def _entry(where: str, name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    if not _NAME.fullmatch(name):
        raise UserError(f"contexts must have names of small letters, digits and underscores, at most 60; got {name!r}")
    values = values_of_keys(ContextConfig, where, {key: value for key, value in entry.items() if key != PROMPT})
    images = values.get("images", "keep")
    for key, modes in (("share", ("black", "noise")), ("sigma", ("noise",))):
        if key in values and images not in modes:
            raise UserError(f"{where}.{key} is for images: {' or '.join(modes)}; got images: {images}")
    prompt = prompt_of(f"{where}.{PROMPT}", entry.get(PROMPT))
    return values if prompt is None else {**values, PROMPT: prompt}


def prompt_of(where: str, said: Any) -> str | dict[str, Any] | None:
    """What stands in front: a function's name, or keys of `prompt`. Raises `UserError`."""
    if isinstance(said, str) and said.lstrip()[:1] == "{":
        said = read_mapping(said, where)
    if said is None or (isinstance(said, str) and said.strip().lower() in NULL):
        return None
    if isinstance(said, str) and re.fullmatch(r".+\.py:\w+", said):
        return said
    if not isinstance(said, Mapping) or not said:
        raise UserError(f"{where} must be FILE.py:function or keys of prompt; got {str(said)[:60]!r}")
    values = values_of_keys(PromptConfig, where, said)
    require_opening(values.get("mode", "any"), values.get("prefill"))
    return values


def values_of_keys(kind: type[Any], where: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """Values of the keys of `kind`, from texts or values. Raises `UserError`."""
    known, values = keys(kind), {}
    for name, value in said.items():
        if name not in known:
            raise UserError(f"{where} has keys {', '.join(known)}; got {name!r}" + did_you_mean(str(name), known))
        key = dataclasses.replace(known[name], name=f"{where}.{name}")
        values[name] = value_of(key, as_text(value))
        check_value(key, values[name])
    return values
