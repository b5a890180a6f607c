"""The families of `shapes`: what is drawn, what is asked, the exact answer, and how each language would put it.

Every family is one `Family`: values are drawn, the picture, question, answer and forms follow from them. A wrong
demonstration is the right form of *misread* values, the mistake an imperfect teacher makes. Knows nothing of models.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction

from nsrl.data.shapes.draw import COLOURS, KINDS, Cell
from nsrl.data.shapes.forms import listed, module, sympy

# Before, between and after the items of a list, and each item: what reading in one of them teaches serves in all.
NOTATIONS = (
    ("", ",", "", "{}"),
    ("", ", ", "", "{}"),
    ("{", ",", "}", "{}"),
    ("{", ", ", "}", "{}"),
    ("[", ", ", "]", "{}"),
    ("(", ",", ")", "{}"),
    ("(", ", ", ")", "{}"),
    ("[", ", ", "]", '"{}"'),
    ("{", ", ", "}", '"{}"'),
    ("", "+", "", "{}"),
    ("", "*x + ", "", "{}"),
)

Values = tuple  # of ints, or of words for the counting families
Forms = dict[str, str]


@dataclass(frozen=True)
class Family:
    """One kind of question. `sample(rng, level)` draws values; the rest are functions of values."""

    name: str
    sample: Callable[[random.Random, int], Values]
    cells: Callable[[Values], list[Cell]]
    columns: Callable[[Values], int]
    question: Callable[[Values], str]
    answer: Callable[[Values], Fraction]
    forms: Callable[[Values, str], Forms]  # values, answer text -> the five forms
    misread: Callable[[random.Random, Values], Values]
    reads: str = "numbers"  # what a reader would name: numbers, bars, shapes or colours

    def reading(self, values: Values, rng: random.Random) -> tuple[str, str]:
        """The question `Read the numbers.` and what stands in the picture, in reading order, in one of `NOTATIONS`."""
        seen = values[1:] if self.reads in ("shapes", "colours") else values
        return f"Read the {self.reads}.", noted(seen, rng)


def noted(items: Iterable[object], rng: random.Random) -> str:
    """A list in one of `NOTATIONS`."""
    before, between, after, word = rng.choice(NOTATIONS)
    return before + between.join(word.format(item) for item in items) + after


def show(value: Fraction) -> str:
    """A number as a person writes it: `7`, `3/4`, `-2`."""
    return str(Fraction(value))


def _digits(rng: random.Random, count: int) -> Values:
    return tuple(rng.randint(1, 9) for _ in range(count))


def _misread_digit(rng: random.Random, values: Values) -> Values:
    at = rng.randrange(len(values))
    other = rng.choice([d for d in range(1, 10) if d != values[at]])
    return values[:at] + (other,) + values[at + 1 :]


def _numbers(values: Values) -> list[Cell]:
    return [Cell("number", value) for value in values]


def _few(rng: random.Random, level: int) -> int:
    return rng.randint(3, 4) if level <= 1 else rng.randint(3, 6) if level == 2 else rng.randint(5, 9)


# --- numbers -----------------------------------------------------------------------------------------------------


def _squares_forms(v: Values, answer: str) -> Forms:
    squares = [d * d for d in v]
    return {
        "prose": f"The numbers are {listed(v)}. Their squares are {listed(squares)}. The sum is {answer}.",
        "sympy": sympy(f"numbers = [{listed(v)}]", "result = sum([n**2 for n in numbers])", "print(result)"),
        "wolfram": module("numbers", "numbers = {" + listed(v) + "}", "Total[numbers^2]"),
        "nsl": "+".join(f"{d}²" for d in v),
    }


def _mean_forms(v: Values, answer: str) -> Forms:
    return {
        "prose": f"The numbers are {listed(v)}. They add up to {sum(v)}. The mean is {answer}.",
        "sympy": sympy(f"numbers = [{listed(v)}]", "mean = Rational(sum(numbers), len(numbers))", "print(mean)"),
        "wolfram": module("numbers", "numbers = {" + listed(v) + "}", "Mean[numbers]"),
        "nsl": "mean{" + ",".join(map(str, v)) + "}",
    }


def _bars_forms(v: Values, answer: str) -> Forms:
    braced = "{" + ",".join(map(str, v)) + "}"
    return {
        "prose": f"The bars are {listed(v)} high. The tallest is {max(v)} and the lowest is {min(v)}. "
        f"The difference is {answer}.",
        "sympy": sympy(f"bars = [{listed(v)}]", "difference = max(bars) - min(bars)", "print(difference)"),
        "wolfram": module("bars", "bars = {" + listed(v) + "}", "Max[bars] - Min[bars]"),
        "nsl": f"max{braced}-min{braced}",
    }


def _solve_forms(v: Values, answer: str) -> Forms:
    a, b, c = v
    return {
        "prose": f"The equation is {a}x + {b} = {c}. So {a}x = {c - b}. Therefore x = {answer}.",
        "sympy": sympy("x = symbols('x')", f"solution = solve(Eq({a}*x + {b}, {c}), x)", "print(solution[0])"),
        "wolfram": module("x, s", f"s = Solve[{a}*x + {b} == {c}, x]", "x /. s[[1]]"),
        "nsl": f"{a}x+{b}={c};x",
    }


def _area(v: Values) -> Fraction:
    a, b, c, d = v
    return Fraction(abs(a * d - b * c), 2)


def _area_forms(v: Values, answer: str) -> Forms:
    a, b, c, d = v
    return {
        "prose": f"The corners are (0, 0), ({a}, {b}) and ({c}, {d}). Twice the area is {abs(a * d - b * c)}. "
        f"The area is {answer}.",
        "sympy": sympy(f"t = Triangle(Point(0, 0), Point({a}, {b}), Point({c}, {d}))", "print(abs(t.area))"),
        "wolfram": module("p", f"p = {{{{0, 0}}, {{{a}, {b}}}, {{{c}, {d}}}}}", "Area[Triangle[p]]"),
        "nsl": f"area{{(0,0),({a},{b}),({c},{d})}}",
    }


def _det_forms(v: Values, answer: str) -> Forms:
    a, b, c, d = v
    return {
        "prose": f"The matrix has rows {a}, {b} and {c}, {d}. The products are {a * d} and {b * c}. "
        f"The determinant is {answer}.",
        "sympy": sympy(f"m = Matrix([[{a}, {b}], [{c}, {d}]])", "print(m.det())"),
        "wolfram": module("m", f"m = {{{{{a}, {b}}}, {{{c}, {d}}}}}", "Det[m]"),
        "nsl": f"det{{{{{a},{b}}},{{{c},{d}}}}}",
    }


# --- shapes: values are kinds or colours in reading order, the thing asked about first ------------------------------


def _sample_words(words: tuple[str, ...]) -> Callable[[random.Random, int], Values]:
    def sample(rng: random.Random, level: int) -> Values:
        count = rng.randint(4, 6) if level <= 2 else rng.randint(6, 9)
        return (rng.choice(words), *(rng.choice(words) for _ in range(count)))

    return sample


def _misread_word(words: tuple[str, ...]) -> Callable[[random.Random, Values], Values]:
    def misread(rng: random.Random, values: Values) -> Values:
        at = rng.randrange(1, len(values))
        other = values[0] if values[at] != values[0] else rng.choice([w for w in words if w != values[0]])
        return values[:at] + (other,) + values[at + 1 :]

    return misread


def _count_forms(v: Values, answer: str) -> Forms:
    asked, seen = v[0], v[1:]
    quoted = ", ".join(f'"{word}"' for word in seen)
    return {
        "prose": f"I see {listed(seen)}. The number of {asked} shapes is {answer}.",
        "sympy": sympy(f"shapes = [{quoted}]", f'count = shapes.count("{asked}")', "print(count)"),
        "wolfram": module("shapes", "shapes = {" + quoted + "}", f'Count[shapes, "{asked}"]'),
        "nsl": "count{" + ",".join(word[0] for word in seen) + "}" + asked[0],
    }


def _fraction_forms(v: Values, answer: str) -> Forms:
    asked, seen = v[0], v[1:]
    quoted = ", ".join(f'"{word}"' for word in seen)
    return {
        "prose": f"I see {listed(seen)}. There are {len(seen)} shapes and {seen.count(asked)} of them match. "
        f"The fraction is {answer}.",
        "sympy": sympy(
            f"colors = [{quoted}]", f'fraction = Rational(colors.count("{asked}"), len(colors))', "print(fraction)"
        ),
        "wolfram": module("colors", "colors = {" + quoted + "}", f'Count[colors, "{asked}"]/Length[colors]'),
        "nsl": "count{" + ",".join(word[0] for word in seen) + "}" + f"{asked[0]}/{len(seen)}",
    }


_WIDE = 3
_square_grid = lambda v: 2 if len(v) <= 4 else _WIDE
_count_grid = lambda v: 2 if len(v) - 1 <= 4 else _WIDE
_COLOUR_NAMES = tuple(COLOURS)


def _distinct_pairs(rng: random.Random, level: int) -> Values:
    """Two corners that with the origin make a real triangle."""
    while True:
        values = _digits(rng, 4)
        if _area(values):
            return values


def _equation(rng: random.Random, level: int) -> Values:
    return (rng.randint(2, 9), rng.randint(1, 9), rng.randint(1, 9 if level < 3 else 99))


FAMILIES: tuple[Family, ...] = (
    Family(
        "squares",
        lambda r, l: _digits(r, _few(r, l)),
        _numbers,
        _square_grid,
        lambda v: "What is the sum of the squares of the numbers?",
        lambda v: Fraction(sum(d * d for d in v)),
        _squares_forms,
        _misread_digit,
    ),
    Family(
        "mean",
        lambda r, l: _digits(r, _few(r, l)),
        _numbers,
        _square_grid,
        lambda v: "What is the mean of the numbers?",
        lambda v: Fraction(sum(v), len(v)),
        _mean_forms,
        _misread_digit,
    ),
    Family(
        "bars",
        lambda r, l: _digits(r, _few(r, l)),
        lambda v: [Cell("bar", h) for h in v],
        len,
        lambda v: "How much higher is the tallest bar than the lowest?",
        lambda v: Fraction(max(v) - min(v)),
        _bars_forms,
        _misread_digit,
        "bars",
    ),
    Family(
        "solve",
        _equation,
        _numbers,
        lambda v: 3,
        lambda v: "The picture shows a, b and c. Solve ax + b = c for x.",
        lambda v: Fraction(v[2] - v[1], v[0]),
        _solve_forms,
        _misread_digit,
    ),
    Family(
        "area",
        _distinct_pairs,
        _numbers,
        lambda v: 2,
        lambda v: "Each row is a corner of a triangle, the third is (0, 0). What is its area?",
        _area,
        _area_forms,
        _misread_digit,
    ),
    Family(
        "det",
        lambda r, l: _digits(r, 4),
        _numbers,
        lambda v: 2,
        lambda v: "What is the determinant of the matrix?",
        lambda v: Fraction(v[0] * v[3] - v[1] * v[2]),
        _det_forms,
        _misread_digit,
    ),
    Family(
        "count",
        _sample_words(KINDS),
        lambda v: [Cell(kind) for kind in v[1:]],
        _count_grid,
        lambda v: f"How many of the shapes are {v[0]}s?",
        lambda v: Fraction(v[1:].count(v[0])),
        _count_forms,
        _misread_word(KINDS),
        "shapes",
    ),
    Family(
        "fraction",
        _sample_words(_COLOUR_NAMES),
        lambda v: [Cell("square", colour=c) for c in v[1:]],
        _count_grid,
        lambda v: f"What fraction of the shapes is {v[0]}?",
        lambda v: Fraction(v[1:].count(v[0]), len(v) - 1),
        _fraction_forms,
        _misread_word(_COLOUR_NAMES),
        "colours",
    ),
)
