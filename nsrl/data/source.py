"""Where a run's problems come from: what every source offers, and the one that is made of a data set's rows."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from nsrl.errors import UserError
from nsrl.types import Problem


@dataclass(frozen=True)
class Demonstration:
    """A problem and one way to answer it; `wrong` if the teacher misread the picture."""

    problem: Problem
    language: str
    text: str
    wrong: bool


class Source(Protocol):
    """A source of problems. What it gives depends on its own settings and on positions alone, so a run can go on."""

    size: int | None
    """Training problems whose pictures are read from somewhere, and may not open; None: without end, made on the
    spot."""

    def train(self, position: int = 0) -> Iterator[Problem]:
        """An endless stream of training problems behind the first `position`; none of them is a test problem."""
        ...

    def test(self) -> list[Problem]:
        """The held-out problems."""
        ...

    def readings(self) -> Iterator[Demonstration]:
        """An endless stream of pictures read out, nothing solved. Raises `UserError` where there are none."""
        ...

    def demonstrations(self, languages: dict[str, float], wrong: float = 0.0) -> Iterator[Demonstration]:
        """An endless stream of solved problems. Raises `UserError` where there are none.

        languages: relative share of each language; wrong: share of demonstrations of misread pictures, 0 to 1.
        """
        ...


class Rows:
    """The rows of a data set: training problems reshuffled from `seed` in every epoch, and the held-out ones."""

    def __init__(self, train: Sequence[Problem], test: Sequence[Problem] = (), seed: int = 0) -> None:
        self.rows, self.seed = train, seed
        self.size: int | None = len(train)
        self._test = list(test)

    def train(self, position: int = 0) -> Iterator[Problem]:
        """See `Source.train`."""
        epoch, at = divmod(position, len(self.rows))
        while True:
            order = list(range(len(self.rows)))
            random.Random(f"epoch/{self.seed}/{epoch}").shuffle(order)
            for index in order[at:]:
                yield self.rows[index]
            epoch, at = epoch + 1, 0

    def test(self) -> list[Problem]:
        """See `Source.test`."""
        return list(self._test)

    def readings(self) -> Iterator[Demonstration]:
        """There are none."""
        raise UserError(
            "warm_start.reading_steps needs pictures that can be read out; rows of a data set have no such text"
        )

    def demonstrations(self, languages: dict[str, float], wrong: float = 0.0) -> Iterator[Demonstration]:
        """There are none."""
        raise UserError("warm_start.steps needs demonstrations; rows of a data set are problems without a solution")
