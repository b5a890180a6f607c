"""Where the next problems come from: one position counts what was taken, so a resumed run takes the same ones."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from nsrl.data.shapes import Shapes
from nsrl.types import Problem


class ProblemStream:
    """An endless stream of training problems.

    source: `Shapes` (endless by itself) or a finite sequence, reshuffled from `seed` in every epoch; position: problems
    taken so far; recent: the problems of the latest calls by id.
    """

    def __init__(self, source: Shapes | Sequence[Problem], seed: int, position: int = 0) -> None:
        self.position = position
        self.recent: dict[str, Problem] = {}
        self._stream = source.train(position) if isinstance(source, Shapes) else _epochs(source, seed, position)

    def take(self, count: int) -> list[Problem]:
        self.position += count
        problems = [next(self._stream) for _ in range(count)]
        self.recent = dict([*self.recent.items(), *((p.id, p) for p in problems)][-1024:])
        return problems


def _epochs(problems: Sequence[Problem], seed: int, position: int) -> Iterator[Problem]:
    epoch, at = divmod(position, len(problems))
    while True:
        order = list(range(len(problems)))
        random.Random(f"epoch/{seed}/{epoch}").shuffle(order)
        for index in order[at:]:
            yield problems[index]
        epoch, at = epoch + 1, 0
