"""The keys of `nsrl gallery`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

from nsrl.config.keys import keys
from nsrl.config.schema import ONE_OR_MORE, SEED, Given
from nsrl.config.values import check_value
from nsrl.errors import UserError


@dataclass
class GalleryConfig:
    """Which published methods matter on the small model: rows of two arms or more from one warm start, three seeds."""

    rows: list[str] = field(default_factory=list)
    """names of nsrl/gallery/rows, or YAML files of your own (gallery.md; none: all that come with nsrl)."""

    folder: str | None = None
    """of the runs (null: runs/gallery, with quick runs/gallery-quick); begun again, it does what is missing."""

    seeds: Annotated[list[int], SEED] = field(default_factory=lambda: [0, 1, 2])
    """of warm starts, arms and held-out problems; a row can matter from three on."""

    jobs: Annotated[int | None, ONE_OR_MORE] = None
    """runs at a time, of one thread each (null: one per CPU core)."""

    quick: bool = False
    """a few steps and problems of everything: whether it runs at all, not what it shows."""

    dry: bool = False
    """say what would be run and for how long, and run nothing; with publish the page is written of what was run."""

    publish: bool = False
    """write docs/gallery.md, its pictures and nsrl/gallery/found of the source tree that is the working directory."""

    given: ClassVar[Given] = {}

    def __post_init__(self) -> None:
        for name, key in keys(type(self)).items():
            check_value(key, getattr(self, name))
        for name in ("rows", "seeds"):
            values = getattr(self, name)
            if len(set(values)) < len(values) or (name == "seeds" and not values):
                raise UserError(f"{name} must be {'at least one, ' if name == 'seeds' else ''}each once; got {values}")
        if self.quick and self.publish:
            raise UserError("publish must be false with quick=true, which shows nothing; got true")

    @property
    def place(self) -> Path:
        """The folder."""
        return Path(self.folder or f"runs/gallery{'-quick' if self.quick else ''}").expanduser()
