"""Sources of problems. A row of a data set becomes a `Problem`; bad rows are counted and named, never
fatal.

No torch here; pixels stay behind references until someone opens them. The package that opens them is imported with the
first of these names: the table of sources is read without it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nsrl.data.dedup import content_key, without
    from nsrl.data.problems import Problems, Skipped, load
    from nsrl.data.split import load_problems, open_source

_FROM = {
    "Problems": "problems",
    "Skipped": "problems",
    "content_key": "dedup",
    "load": "problems",
    "load_problems": "split",
    "open_source": "split",
    "without": "dedup",
}
__all__ = ["Problems", "Skipped", "content_key", "load", "load_problems", "open_source", "without"]


def __getattr__(name: str) -> Any:
    if name not in _FROM:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = getattr(import_module(f"{__name__}.{_FROM[name]}"), name)
    return globals()[name]
