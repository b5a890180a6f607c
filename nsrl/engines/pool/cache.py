"""The cache holds Results of programs that ran before. Not thread-safe: the queue holds its lock. Stdlib only.

Results that depend on the machine's state (timeouts, crashes) are never kept.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from nsrl.engines.result import Result, Status

_UNSURE = frozenset((Status.TIMEOUT, Status.CRASH))


class ResultCache:
    """At most `size` Results by key, `size` 0 keeps none; what was used longest ago goes first."""

    def __init__(self, size: int, max_bytes: int = 64 << 20) -> None:
        self._size, self._room = size, max_bytes
        self._items: OrderedDict[Hashable, tuple[Result, int]] = OrderedDict()

    def get(self, key: Hashable) -> Result | None:
        """The Result of an identical program, or None."""
        found = self._items.get(key)
        if found is None:
            return None
        self._items.move_to_end(key)
        return found[0]

    def put(self, key: Hashable, result: Result) -> None:
        """Remember a Result that every run of the program gives; the oldest are forgotten past the size."""
        if self._size <= 0 or result.status in _UNSURE or key in self._items:
            return
        cost = 500 + 2 * (len(result.text) + len(result.stdout))
        self._items[key] = (result, cost)
        self._room -= cost
        while self._items and (len(self._items) > self._size or self._room < 0):
            _, (_, freed) = self._items.popitem(last=False)
            self._room += freed

    def __len__(self) -> int:
        return len(self._items)
