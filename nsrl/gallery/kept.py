"""The JSON of rows that were run: which are kept, what each is of, and what they say of recipes. No torch."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nsrl.gallery.plan import Parts
from nsrl.gallery.row import HOME, Row

PUBLISHED = HOME / "found"  # of rows that were run for docs/gallery.md


def published(folder: Path = PUBLISHED) -> dict[str, dict[str, Any]]:
    """The rows that are kept in a folder, by name."""
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))}


def is_of(row: Row, one: dict[str, Any] | None, parts: Parts) -> bool:
    """Whether a result that is kept is of the row as its file is now, and of these seeds."""
    now = {"digest": row.digest, "seeds": parts.seeds, "quick": parts.quick}
    return one is not None and {name: one.get(name) for name in now} == now


def by_recipe(rows: Iterable[Row], found: dict[str, dict[str, Any]]) -> dict[str, str]:
    """What the gallery says of each recipe, for those that a row is about."""
    return {
        recipe: f"{row.name}: {found[row.name]['verdict'] if row.name in found else 'not run yet'}"
        for row in rows
        for recipe in row.recipes
    }
