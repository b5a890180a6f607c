"""`shapes`: a procedural source of visual-math problems with demonstrations in five languages. No download.

Every problem is a function of (seed, index). Held-out problems are drawn first and their contents are refused in
training, since a small space of pictures would otherwise repeat (47% did before this was done).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Set
from dataclasses import replace
from itertools import islice

from nsrl.data.shapes.draw import CELL, COLOURS, GREY, Cell, Grid
from nsrl.data.shapes.families import FAMILIES, LANGUAGES, Family, Values, show
from nsrl.data.source import Demonstration
from nsrl.errors import UserError
from nsrl.types import ImageRef, Problem

__all__ = ["LANGUAGES", "Demonstration", "Shapes", "is_familiar"]

CLOSING = {"sympy": ("<sympy>", "</sympy>"), "wolfram": ("<wolfram>", "</wolfram>"), "nsl": ("<nsl>", "</nsl>")}


class Shapes:
    """The source. level: 1 (few cells) to 3 (3x3 cells, two-digit numbers); seed: of everything drawn from it.

    refused: contents that no held-out problem may have, for the model has learned from them before; excluded: problems
    that are held out beside its own (of another level).
    """

    size: int | None = None  # without end

    def __init__(
        self,
        level: int = 1,
        seed: int = 0,
        held_out: int = 600,
        refused: Set[tuple[str, str]] = frozenset(),
        excluded: Iterable[Problem] = (),
    ) -> None:
        if level not in (1, 2, 3):
            raise UserError(f"data.level must be 1, 2 or 3; got {level}")
        self.level = level
        self.seed = seed
        self._excluded = {_content(problem) for problem in excluded}
        self._test = {_content(problem): problem for problem in self.unseen(held_out, refused)}
        if len(self._test) < held_out:
            left_out = " that the model was not trained on" if refused else ""
            raise UserError(f"data.eval_size must be at most {len(self._test)}, for hardly any other problems of "
            f"shapes (level {level}) "
                            f"are left{left_out}; got {held_out}")  # fmt: skip

    def test(self) -> list[Problem]:
        """The held-out problems: all different, none of them ever in `train` or `demonstrations`."""
        return list(self._test.values())

    def train(self, position: int = 0) -> Iterator[Problem]:
        """See `Source.train`."""
        for problem, _, _, taken in self._stream("train"):
            if taken >= position:
                yield problem

    def demonstrations(self, languages: dict[str, float], wrong: float = 0.0) -> Iterator[Demonstration]:
        """An endless stream of solved problems.

        languages: relative share of each language; wrong: share of demonstrations of misread pictures, 0 to 1.
        """
        unknown = set(languages) - set(LANGUAGES)
        if unknown:
            raise UserError(f"languages must be among {', '.join(LANGUAGES)}; got {', '.join(sorted(unknown))}")
        names, shares = list(languages), list(languages.values())
        for problem, family, values, taken in self._stream("demonstrations"):
            rng = random.Random(f"teacher/{self.seed}/{taken}")
            language = rng.choices(names, shares)[0]
            mistaken = rng.random() < wrong
            seen = family.misread(rng, values) if mistaken else values
            yield Demonstration(problem, language, form(family, seen, language), mistaken)

    def readings(self) -> Iterator[Demonstration]:
        """An endless stream of pictures read out, nothing solved: what a small model needs before it can solve."""
        for problem, family, values, taken in self._stream("readings"):
            question, text = family.reading(values, random.Random(f"reader/{self.seed}/{taken}"))
            yield Demonstration(replace(problem, question=question, answer=text), "reading", text, False)

    def seen(self, readings: int = 0, demonstrations: int = 0, train: int = 0) -> set[tuple[str, str]]:
        """The contents of the first so many problems of each stream: what a run has learned from."""
        counts = {"readings": readings, "demonstrations": demonstrations, "train": train}
        return {_content(row[0]) for split, count in counts.items() for row in islice(self._stream(split), count)}

    def unseen(self, size: int, seen: Set[tuple[str, str]]) -> list[Problem]:
        """The first `size` different test problems whose content is not in `seen`; fewer where hardly any are left."""
        found: dict[tuple[str, str], Problem] = {}
        for index in range(10_000 + 200 * size):
            if len(found) == size:
                break
            problem, _, _ = self._draw("test", index)
            if _content(problem) not in seen:
                found.setdefault(_content(problem), problem)
        return list(found.values())

    def _stream(self, split: str) -> Iterator[tuple[Problem, Family, Values, int]]:
        index = taken = 0
        while True:
            problem, family, values = self._draw(split, index)
            if (content := _content(problem)) not in self._test and content not in self._excluded:
                yield problem, family, values, taken
                taken += 1
            index += 1

    def _draw(self, split: str, index: int) -> tuple[Problem, Family, Values]:
        rng = random.Random(f"{split}/{self.seed}/{self.level}/{index}")
        family = FAMILIES[rng.randrange(len(FAMILIES))]
        values = family.sample(rng, self.level)
        grid = _arrange(rng, family.cells(values), family.columns(values), self.level)
        problem = Problem(
            id=f"shapes-{split}-{index}",
            question=family.question(values),
            answer=show(family.answer(values)),
            images=(ImageRef(grid.key, grid.open, grid.size),),
            category=family.name,
            source="shapes",
            columns={"level": self.level},
        )
        return problem, family, values


def is_familiar(problem: Problem) -> bool:
    """Whether a problem is of this source's kind: one of its questions about one picture, whole cells on its grey."""
    draws = range(64)  # enough for every shape and colour that is asked about
    known = {family.question(family.sample(random.Random(i), 1)) for family in FAMILIES for i in draws}
    if problem.question.strip() not in known or len(problem.images) != 1:
        return False
    picture = problem.images[0].open()
    if picture.width % CELL or picture.height % CELL or max(picture.size) > 9 * CELL:
        return False
    _, commonest = max(picture.getcolors(picture.width * picture.height))
    return all(abs(a - b) <= 8 for a, b in zip(commonest, GREY))  # a JPEG's grey is a little off


def form(family: Family, values: Values, language: str) -> str:
    """The completion a teacher writes for these values: delimiters included, end of turn left out."""
    answer = show(family.answer(values))
    if language == "direct":
        return answer
    text = family.forms(values, answer)[language]
    before, after = CLOSING.get(language, ("", ""))
    return before + text + after


def _arrange(rng: random.Random, cells: list[Cell], columns: int, level: int) -> Grid:
    """Cells in reading order, the last row filled up with blanks; colours of shapes and (from level 2) places vary."""
    dressed = []
    for cell in cells:
        if cell.kind not in ("number", "bar") and not cell.colour:
            cell = replace(cell, colour=rng.choice(list(COLOURS)))
        if level >= 2 and cell.kind != "bar":
            cell = replace(cell, shift=(rng.randint(-2, 2), rng.randint(-2, 2)))
        dressed.append(cell)
    dressed += [Cell()] * (-len(dressed) % columns)
    return Grid(tuple(tuple(dressed[i : i + columns]) for i in range(0, len(dressed), columns)))


def _content(problem: Problem) -> tuple[str, str]:
    return problem.question, problem.images[0].key
