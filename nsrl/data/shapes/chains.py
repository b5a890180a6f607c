"""`chains`: a row of numbers above a row of numbers or shapes, and one to four operations on them in one question.

The level is the depth, so that what was learned at small depth can be asked at a greater one. The question names each
operation; every step but the first works on what came before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from nsrl.data.generator import Generator, Item, Reading
from nsrl.data.shapes.draw import COLOURS, KINDS, Cell, Grid
from nsrl.data.shapes.families import noted
from nsrl.data.shapes.forms import listed, module, sympy, tagged
from nsrl.types import ImageRef

Row = tuple[int | str, ...]  # digits, or names of shapes
ROWS = ("top", "bottom")
OF_NUMBERS = ("sum", "largest", "smallest")
OF_VALUES = ("double", "square")
JOINING = ("add", "subtract", "multiply")
LARGEST = 400  # of a value on the way


@dataclass(frozen=True)
class Step:
    """One operation. verb: take (the first one), one of `JOINING`, or of `OF_VALUES`; row: 0 is the top one; reads: one
    of `OF_NUMBERS`, or a shape that is counted."""

    verb: str
    row: int = 0
    reads: str = ""

    @property
    def words(self) -> str:
        """As the question has it."""
        if self.verb in OF_VALUES:
            return f"{self.verb.capitalize()} it."
        if self.reads in KINDS:
            read = f"the number of {self.reads}s"
        else:
            read = f"the {self.reads} {'of the ' * (self.reads == 'sum')}{ROWS[self.row]} number"
            read += "s" * (self.reads == "sum")
        return f"{self.verb.capitalize()}{' by' * (self.verb == 'multiply')} {read}."

    def read(self, rows: tuple[Row, Row]) -> int:
        """What it takes from the picture."""
        row = rows[self.row]
        if self.reads in KINDS:
            return row.count(self.reads)
        of = {"sum": sum, "largest": max, "smallest": min}[self.reads]
        return of(int(value) for value in row)

    def after(self, value: int, rows: tuple[Row, Row]) -> int:
        """The value behind this operation; value: the one before it."""
        if self.verb in OF_VALUES:
            return value * 2 if self.verb == "double" else value * value
        read = self.read(rows)
        joined = {"take": read, "add": value + read, "subtract": value - read, "multiply": value * read}
        return joined[self.verb]


@dataclass(frozen=True)
class Chain:
    """A picture of two rows and what is done with them."""

    rows: tuple[Row, Row]
    steps: tuple[Step, ...]

    @property
    def question(self) -> str:
        """A sentence for each operation."""
        return " ".join([*(step.words for step in self.steps), "What is the result?"])

    def values(self) -> list[int]:
        """The value behind each operation."""
        found: list[int] = []
        for step in self.steps:
            found.append(step.after(found[-1] if found else 0, self.rows))
        return found

    def expression(self, reads: dict[str, str], square: str) -> str:
        """The whole as one expression; reads: how a language says sum, largest, smallest and count of a row ({} is the
        row, {s} the shape); square: what stands behind a squared one."""
        text, binds = "", True  # binds: no brackets are needed around it in a product
        for step in self.steps:
            bare = text if binds else f"({text})"
            if step.verb in OF_VALUES:
                text, binds = (f"{bare}*2", True) if step.verb == "double" else (f"({text}){square}", True)
                continue
            kind = "count" if step.reads in KINDS else step.reads
            read = reads[f"{ROWS[step.row]} {kind}"].replace("{s}", step.reads)
            if step.verb == "take":
                text, binds = read, not _added(read)
                continue
            bound = f"({read})" if _added(read) and step.verb != "add" else read
            sign = {"add": "+", "subtract": "-", "multiply": "*"}[step.verb]
            text, binds = f"{bare if sign == '*' else text}{sign}{bound}", sign == "*"
        return text

    def form(self, language: str) -> str:
        """How a language answers it, delimiters included."""
        answer = self.values()[-1]
        if language == "direct":
            return str(answer)
        return tagged(language, {"prose": self._prose, "nsl": self._nsl, "sympy": self._sympy,
                                 "wolfram": self._wolfram}[language]())  # fmt: skip

    def _used(self) -> list[int]:
        return sorted({step.row for step in self.steps if step.verb not in OF_VALUES})

    def _prose(self) -> str:
        kind = lambda row: "numbers" if isinstance(self.rows[row][0], int) else "shapes"
        told = [f"The {ROWS[row]} {kind(row)} are {listed(self.rows[row])}." for row in self._used()]
        values = self.values()
        told.append(f"I take {values[0]}.")
        for step, before, after in zip(self.steps[1:], values, values[1:]):
            own = {"double": 2, "square": before}
            number = own[step.verb] if step.verb in own else step.read(self.rows)
            sign = {"add": "+", "subtract": "-"}.get(step.verb, "*")
            told.append(f"{before} {sign} {number} = {after}.")
        return " ".join([*told, f"The result is {values[-1]}."])

    def _nsl(self) -> str:
        reads = {}
        for name, row in zip(ROWS, self.rows):
            inside = ",".join(str(value)[0] for value in row)
            reads |= {f"{name} sum": inside.replace(",", "+"), f"{name} largest": f"max{{{inside}}}"}
            reads |= {f"{name} smallest": f"min{{{inside}}}"}
            reads |= {f"{name} count": f"count{{{inside}}}{{s}}"}
        text = self.expression(reads, "²")
        for kind in KINDS:
            text = text.replace(f"}}{kind}", f"}}{kind[0]}")
        return text

    def _sympy(self) -> str:
        reads = {}
        for name, letter in zip(ROWS, "ab"):
            reads |= {f"{name} sum": f"sum({letter})", f"{name} largest": f"max({letter})"}
            reads |= {f"{name} smallest": f"min({letter})", f"{name} count": f'{letter}.count("{{s}}")'}
        rows = [f"{'ab'[row]} = [{_quoted(self.rows[row])}]" for row in self._used()]
        return sympy(*rows, f"print({self.expression(reads, '**2')})")

    def _wolfram(self) -> str:
        reads = {}
        for name, letter in zip(ROWS, "ab"):
            reads |= {f"{name} sum": f"Total[{letter}]", f"{name} largest": f"Max[{letter}]"}
            reads |= {f"{name} smallest": f"Min[{letter}]", f"{name} count": f'Count[{letter}, "{{s}}"]'}
        rows = [f"{'ab'[row]} = {{{_quoted(self.rows[row])}}}" for row in self._used()]
        return module(listed("ab"[row] for row in self._used()), *rows, self.expression(reads, "^2"))


class Chains(Generator):
    """Level 1 has one or two operations (to learn from), 2, 3 and 4 have as many."""

    levels = range(1, 5)

    def draw(self, rng: Random, level: int) -> Item:
        """See `Generator`."""
        depth = rng.randint(1, 2) if level == 1 else level
        width = rng.randint(2, 3)
        top: Row = tuple(rng.randint(1, 9) for _ in range(width))
        shapes = rng.random() < 0.5
        bottom: Row = tuple(rng.choice(KINDS) if shapes else rng.randint(1, 9) for _ in range(width))
        chain = _chain(rng, (top, bottom), depth)
        cells = [[_cell(rng, value) for value in row] for row in chain.rows]
        grid = Grid(tuple(map(tuple, cells)))
        return Item(
            chain.question,
            str(chain.values()[-1]),
            (ImageRef(grid.key, grid.open, grid.size),),
            f"{depth} operation{'s' * (depth > 1)}",
            {"operations": depth},
            chain,
        )

    def demonstrate(self, item: Item, language: str, rng: Random, wrong: bool) -> str:
        """See `Generator`; wrong: one cell that counts is taken for another."""
        chain: Chain = item.values
        return (misread(chain, rng) if wrong else chain).form(language)

    def reading(self, item: Item, rng: Random) -> Reading:
        """See `Generator`; one of the rows."""
        place = rng.randrange(2)
        row = item.values.rows[place]
        kind = "numbers" if isinstance(row[0], int) else "shapes"
        return Reading(f"Read the {ROWS[place]} {kind}.", noted(row, rng))


def misread(chain: Chain, rng: Random) -> Chain:
    """The same chain with one cell of a row that it uses taken for another of its kind."""
    place = rng.choice([step.row for step in chain.steps if step.verb not in OF_VALUES])
    row = chain.rows[place]
    at = rng.randrange(len(row))
    others = [v for v in (range(1, 10) if isinstance(row[0], int) else KINDS) if v != row[at]]
    seen = (*row[:at], rng.choice(others), *row[at + 1 :])
    return replace(chain, rows=(seen, chain.rows[1]) if place == 0 else (chain.rows[0], seen))


def _chain(rng: Random, rows: tuple[Row, Row], depth: int) -> Chain:
    """The first two operations look at different rows; from the third on they may work on the value alone."""
    first = rng.randrange(2)
    chain = Chain(rows, (Step("take", first, _asked(rng, rows[first])),))
    while len(chain.steps) < depth:
        if len(chain.steps) > 1 and rng.random() < 0.3:
            step = Step(rng.choice(OF_VALUES))
        else:
            place = 1 - first if len(chain.steps) == 1 else rng.randrange(2)
            step = Step(rng.choice(JOINING), place, _asked(rng, rows[place]))
        longer = replace(chain, steps=(*chain.steps, step))
        nothing = step.verb == "multiply" and not step.read(rows)  # what came before would not matter
        before = chain.steps[len(chain.steps) - 1]
        again = (step.row, step.reads) == (before.row, before.reads)
        if abs(longer.values()[-1]) <= LARGEST and not nothing and not again:
            chain = longer
    return chain


def _asked(rng: Random, row: Row) -> str:
    return rng.choice(OF_NUMBERS if isinstance(row[0], int) else KINDS)


def _cell(rng: Random, value: int | str) -> Cell:
    return Cell("number", value) if isinstance(value, int) else Cell(value, colour=rng.choice(list(COLOURS)))


def _added(text: str) -> bool:
    return "+" in text


def _quoted(row: Row) -> str:
    return listed(value if isinstance(value, int) else f'"{value}"' for value in row)
