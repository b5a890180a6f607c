"""A source made of a generator: what is common to all that make their problems themselves.

Every problem is a function of (seed, index). Held-out problems are drawn first and their contents are refused in
training, since a small space of problems would otherwise repeat (47% of shapes did before this was done).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import replace
from itertools import islice

from nsrl.data.generator import Generator, Item
from nsrl.data.noise import CLEAN, Noise, clean_key, disturbed
from nsrl.data.source import Demonstration
from nsrl.data.turns import Observation, message
from nsrl.errors import UserError
from nsrl.types import Problem

TURN = "turn"  # in place of a language, of a turn that has an answer to come
LANGUAGES = ("direct", "prose", "sympy", "wolfram", "nsl")
Content = tuple[str, str]  # the question, and the keys of its pictures without what disturbs them
REFUSED = 20_000  # drawn in a row and all held out: then nothing else is left


class Procedural:
    """The source. name: what it is called in `Problem.source` and ids; seed: of everything drawn from it.

    refused: contents that no held-out problem may have, for the model has learned from them before; excluded: problems
    that are held out beside its own (of another level); noise: on every picture; spec: its name as `data.source`.
    """

    size: int | None = None  # without end

    def __init__(
        self,
        generator: Generator,
        name: str,
        level: int = 1,
        seed: int = 0,
        held_out: int = 600,
        refused: Set[Content] = frozenset(),
        excluded: Iterable[Problem] = (),
        noise: Noise = CLEAN,
        spec: str = "",
    ) -> None:
        if level not in generator.levels:
            *most, last = map(str, generator.levels)
            wanted = f"{', '.join(most)} or {last}" if most else last
            raise UserError(f"data.level must be {wanted}; got {level} ({name} has no other)")
        self.generator, self.name, self.spec = generator, name, spec or name
        self.level, self.seed, self.noise = level, seed, noise
        self._excluded = {content(problem) for problem in excluded}
        self._test = {content(problem): problem for problem in self.unseen(held_out, refused)}
        if len(self._test) < held_out:
            left_out = " that the model was not trained on" if refused else ""
            raise UserError(f"data.eval_size must be at most {len(self._test)}, for hardly any other problems of "
                            f"{name} (level {level}) are left{left_out}; got {held_out}")  # fmt: skip
        if held_out:
            next(self._stream("train"))  # or nothing could be learned

    def test(self) -> list[Problem]:
        """The held-out problems: all different, none of them ever in `train` or `demonstrations`."""
        return list(self._test.values())

    def train(self, position: int = 0) -> Iterator[Problem]:
        """See `Source.train`."""
        for problem, _, taken in self._stream("train"):
            if taken >= position:
                yield problem

    def demonstrations(
        self, languages: dict[str, float], wrong: float = 0.0, turns: bool = False
    ) -> Iterator[Demonstration]:
        """An endless stream of solved problems; where the generator has none in the language drawn, in another one.

        languages: relative share of each language; wrong: share of demonstrations of misread problems, 0 to 1; turns:
        each turn is one, behind a prompt with those before it, where the generator has several. Raises `UserError` for
        a language that is none, and a problem that is demonstrated in none of them.
        """
        unknown = set(languages) - set(LANGUAGES)
        if unknown:
            raise UserError(f"languages must be among {', '.join(LANGUAGES)}; got {', '.join(sorted(unknown))}")
        names, shares = list(languages), list(languages.values())
        for problem, item, taken in self._stream("demonstrations"):
            rng = random.Random(f"teacher/{self.seed}/{taken}")
            drawn = rng.choices(names, shares)[0]
            mistaken = rng.random() < wrong
            for language in (drawn, *(n for n, share in languages.items() if share and n != drawn)):
                if turns and (said := self.generator.converse(item, language, rng, mistaken)) is not None:
                    yield from in_turns(problem, language, said, mistaken)
                    break
                text = self.generator.demonstrate(item, language, rng, mistaken)
                if text is not None:
                    yield Demonstration(problem, language, text, mistaken)
                    break
            else:
                asked = ", ".join(name for name, share in languages.items() if share)
                raise UserError(f"warm_start.steps needs demonstrations; {self.name} (level {self.level}) has none in "
                                f"{asked}")  # fmt: skip

    def gold(self, problem: Problem, language: str) -> str | None:
        """See `Source.gold`: the problem is drawn again, by its id. Raises `UserError` for one of another source."""
        name, _, index = problem.id.rpartition("-")
        if name != f"{self.name}-train" or not index.isdigit():
            raise UserError(f"gold must be asked of a training problem of {self.name}; got {problem.id!r}")
        _, item = self._draw("train", int(index))
        return self.generator.demonstrate(item, language, random.Random(f"gold/{self.seed}/{index}"), False)

    def readings(self) -> Iterator[Demonstration]:
        """An endless stream of pictures read out, nothing solved: what a small model needs before it can solve."""
        for problem, item, taken in self._stream("readings"):
            read = self.generator.reading(item, random.Random(f"reader/{self.seed}/{taken}"))
            if read is None:
                raise UserError(f"warm_start.reading_steps needs pictures that can be read out; {self.name} has none")
            shown = problem.images if read.pictures is None else read.pictures
            asked = replace(problem, question=read.question, answer=read.text, images=shown)
            yield Demonstration(asked, "reading", read.text, False)

    def seen(self, readings: int = 0, demonstrations: int = 0, train: int = 0) -> set[Content]:
        """The contents of the first so many problems of each stream: what a run has learned from."""
        counts = {"readings": readings, "demonstrations": demonstrations, "train": train}
        return {content(row[0]) for split, count in counts.items() for row in islice(self._stream(split), count)}

    def unseen(self, size: int, seen: Set[Content]) -> list[Problem]:
        """The first `size` different test problems whose content is not in `seen`; fewer where hardly any are left."""
        found: dict[Content, Problem] = {}
        for index in range(10_000 + 200 * size):
            if len(found) == size:
                break
            problem, _ = self._draw("test", index)
            if content(problem) not in seen:
                found.setdefault(content(problem), problem)
        return list(found.values())

    def _stream(self, split: str) -> Iterator[tuple[Problem, Item, int]]:
        index = taken = refused = 0
        while True:
            problem, item = self._draw(split, index)
            if (own := content(problem)) not in self._test and own not in self._excluded:
                yield problem, item, taken
                taken, refused = taken + 1, 0
            elif (refused := refused + 1) == REFUSED:
                raise UserError(f"data.eval_size must leave problems to learn from, and of {self.name} (level "
                                f"{self.level}) hardly any are left; got {len(self._test)}")  # fmt: skip
            index += 1

    def _draw(self, split: str, index: int) -> tuple[Problem, Item]:
        item = self.generator.draw(random.Random(f"{split}/{self.seed}/{self.level}/{index}"), self.level)
        if not isinstance(item, Item):
            raise UserError(f"data.source: draw of {self.name} must return an Item; got {item!r}")
        columns = {"level": self.level, **item.columns}
        if self.generator.verifies:
            columns["verifier"] = self.spec
        shown = item.pictures if self.noise == CLEAN else tuple(disturbed(p, self.noise, self.seed)
                                                                for p in item.pictures)  # fmt: skip
        problem = Problem(
            id=f"{self.name}-{split}-{index}",
            question=item.question,
            answer=item.answer,
            images=shown,
            category=item.category,
            source=self.name,
            columns=columns,
        )
        return problem, item


def in_turns(
    problem: Problem, language: str, said: Sequence[tuple[str, Observation | None]], wrong: bool
) -> Iterator[Demonstration]:
    """The turns of a completion as a demonstration each, the last one in the language, those before it in none."""
    for number, (text, shown) in enumerate(said, 1):
        yield Demonstration(problem, language if number == len(said) else TURN, text, wrong)
        if shown is not None:
            written = {"role": "assistant", "content": [{"type": "text", "text": text}]}
            behind = (*problem.behind, written, message(shown))
            problem = replace(problem, behind=behind, images=(*problem.images, *shown.images))


def content(problem: Problem) -> Content:
    """What makes a problem another one: its question and its pictures, however they are disturbed."""
    return problem.question, " ".join(clean_key(image.key) for image in problem.images)
