"""Sources of problems. A row of a data set becomes a `Problem`; bad rows are counted and named, never
fatal.

No torch here; pixels stay behind references until someone opens them.
"""

from nsrl.data.dedup import content_key, without
from nsrl.data.load import Problems, Skipped, load
from nsrl.data.split import load_problems, open_source

__all__ = ["Problems", "Skipped", "content_key", "load", "load_problems", "open_source", "without"]
