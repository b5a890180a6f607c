"""Made-up gold answers of every type the check knows, as free-form and as multiple-choice rows, by a seed."""

from __future__ import annotations

import random
from typing import Any

_WORDS = [
    "red",
    "blue",
    "green",
    "yellow",
    "black",
    "white",
    "purple",
    "orange",
    "circle",
    "square",
    "triangle",
    "pentagon",
    "hexagon",
    "cube",
    "sphere",
    "cone",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
    "cat",
    "dog",
    "horse",
    "bird",
    "Paris",
    "London",
    "Rome",
    "Berlin",
    "even",
    "odd",
    "prime",
    "isosceles",
    "scalene",
    "north",
    "south",
    "east",
    "west",
]
_UNITS = ["cm", "m", "km", "kg", "g", "cm^2", "\\text{ minutes}", "hours", "dollars", "m/s", "apples"]
_MONTHS = ["January", "March", "May", "July", "October", "December"]


def golds(count: int, seed: int) -> list[dict[str, Any]]:
    """`count` rows of answer and options (empty for a free-form problem), two in five with options."""
    rng = random.Random(seed)
    return [_choice(rng) if rng.random() < 0.4 else {"answer": _free(rng), "options": []} for _ in range(count)]


def _integer(rng: random.Random) -> int:
    """Small ones are more frequent, as in real data."""
    return rng.choice([rng.randint(0, 12), rng.randint(0, 40), rng.randint(0, 150), rng.randint(-20, 2000)])


def _free(rng: random.Random) -> str:
    n, m = _integer(rng), rng.randint(2, 12)
    kinds = [
        lambda: str(n), lambda: str(n), lambda: str(n), lambda: str(n),
        lambda: f"{n / 10 + 0.1:.1f}", lambda: f"{rng.uniform(0, 60):.2f}",
        lambda: f"\\frac{{{n}}}{{{m}}}", lambda: f"{n}/{m}", lambda: f"{m}\\sqrt{{{rng.choice([2, 3, 5, 7])}}}",
        lambda: f"{m}\\pi", lambda: f"\\frac{{\\pi}}{{{m}}}", lambda: f"{5 * rng.randint(1, 20)}\\%",
        lambda: f"{15 * rng.randint(1, 24)}^\\circ",
        lambda: f"{n} {rng.choice(_UNITS)}",
        lambda: f"{rng.randint(1, 12)}:{5 * rng.randint(0, 11):02d}" + rng.choice(["", " am", " pm"]),
        lambda: f"{m}:{rng.randint(1, 9)}", lambda: f"({n}, {rng.randint(-5, 9)})",
        lambda: f"\\{{{m}, {m + rng.randint(1, 5)}\\}}",
        lambda: f"{m}, {m + rng.randint(1, 9)}", lambda: f"\\pm {m}", lambda: f"x = {n}",
        lambda: f"[{m}, {m + rng.randint(1, 9)})", lambda: f"x > {n}",
        lambda: f"{m}x + {rng.randint(1, 9)}", lambda: f"x^2 - {m}", lambda: f"y = {m}x - {rng.randint(1, 9)}",
        lambda: f"{m} \\times 10^{{{rng.randint(3, 9)}}}",
        lambda: rng.choice("ABCDE"), lambda: rng.choice(_WORDS), lambda: rng.choice(_WORDS), lambda: rng.choice(["Yes",
        "No"]),
        lambda: f"{rng.choice(_MONTHS)} {rng.randint(1, 28)}" + rng.choice(["", f", {rng.randint(1990, 2026)}"]),
        lambda: f"x \\approx {rng.uniform(0, 9):.2f}",
    ]  # fmt: skip
    return rng.choice(kinds)()


def _choice(rng: random.Random) -> dict[str, Any]:
    """A problem with options: letters only, numbers, numbers in a unit, words or formulas; the gold is a letter or a
    text."""
    count = rng.choice([4, 5])
    kind = rng.randrange(5)
    if kind == 0:
        options = [chr(65 + i) for i in range(count)]
    elif kind == 1:
        options = list(map(str, rng.sample(range(60), count)))
    elif kind == 2:
        unit = rng.choice(["cm", "^\\circ", "\\%", "kg"])
        options = [f"${n} {unit}$" for n in rng.sample(range(1, 90), count)]
    elif kind == 3:
        options = rng.sample(_WORDS, count)
    else:
        options = [
            f"$\\frac{{{rng.randint(1, 9)}}}{{{n}}}\\sqrt{{{rng.choice([2, 3])}}}$"
            for n in rng.sample(range(2, 20), count)
        ]
    index = rng.randrange(count)
    return {"answer": chr(65 + index) if kind == 0 or rng.random() < 0.8 else options[index], "options": options}
