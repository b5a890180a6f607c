"""Where a run's problems come from: what every source offers, and the one that is made of a data set's rows."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from nsrl.errors import UserError
from nsrl.types import Problem

COMPLETION = ("completion", "response")  # columns that hold what is to be learned


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

    def demonstrations(
        self, languages: dict[str, float], wrong: float = 0.0, turns: bool = False
    ) -> Iterator[Demonstration]:
        """An endless stream of solved problems. Raises `UserError` where there are none.

        languages: relative share of each language; wrong: share of demonstrations of misread pictures, 0 to 1; turns:
        one demonstration for each turn, where the source solves in several.
        """
        ...

    def gold(self, problem: Problem, language: str) -> str | None:
        """A right completion of one of its training problems, delimiters included, the end of the turn left out; None
        where it has none (in that language)."""
        ...


class Rows:
    """The rows of a data set: training problems reshuffled from `seed` in every epoch, the held-out ones, and those
    with a completion to learn from."""

    def __init__(
        self,
        train: Sequence[Problem],
        test: Sequence[Problem] = (),
        seed: int = 0,
        demonstrated: Sequence[Demonstration] = (),
    ) -> None:
        self.rows, self.seed = train, seed
        self.size: int | None = len(train)
        self._test, self._demonstrated = list(test), demonstrated

    def train(self, position: int = 0) -> Iterator[Problem]:
        """See `Source.train`."""
        return (self.rows[index] for index in _epochs(len(self.rows), f"epoch/{self.seed}", position))

    def test(self) -> list[Problem]:
        """See `Source.test`."""
        return list(self._test)

    def readings(self) -> Iterator[Demonstration]:
        """There are none."""
        raise UserError(
            "warm_start.reading_steps needs pictures that can be read out; rows of a data set have no such text"
        )

    def demonstrations(
        self, languages: dict[str, float], wrong: float = 0.0, turns: bool = False
    ) -> Iterator[Demonstration]:
        """Those that the rows bring, reshuffled in every epoch, whatever their languages. Raises `UserError` without
        any."""
        if not self._demonstrated:
            raise UserError("warm_start.steps needs demonstrations; these rows are problems without a completion")
        order = _epochs(len(self._demonstrated), f"demonstrations/{self.seed}")
        return (self._demonstrated[index] for index in order)

    def gold(self, problem: Problem, language: str) -> str | None:
        """What stands in the row's column completion or response, whatever its language."""
        names = {str(name).strip().lower(): value for name, value in problem.columns.items()}
        found = next((names[name] for name in COMPLETION if names.get(name)), None)
        return found if isinstance(found, str) and found.strip() else None


def _epochs(size: int, seed: str, position: int = 0) -> Iterator[int]:
    """Indices below `size` without end behind the first `position`, each once in every epoch, in an order of its
    own."""
    epoch, at = divmod(position, size)
    while True:
        order = list(range(size))
        random.Random(f"{seed}/{epoch}").shuffle(order)
        yield from order[at:]
        epoch, at = epoch + 1, 0
