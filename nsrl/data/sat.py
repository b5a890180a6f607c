"""`sat`: find values that make all clauses true. Text alone; any assignment that does is right.

The level is an interval of SATURN's difficulty D(n, k, l) = log2 k + 2 log2 l - n + k / n, for l clauses of n literals
each over k variables (Liu et al. 2025, arXiv 2505.16368, section 3.2).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import comb, log2
from random import Random

from nsrl.answers import Verdict
from nsrl.data.generator import Generator, Item
from nsrl.data.shapes.forms import listed, sympy, tagged
from nsrl.engines.extract import Extracted
from nsrl.engines.result import Result
from nsrl.types import Problem

NAMES = "abcdhkmp"  # no name that a language has taken
LONGEST = 2000  # characters of an answer that are looked at: the last ones
SIZES = (2, 3), range(3, len(NAMES) + 1), range(3, 25)  # literals, variables, clauses
Literal = tuple[int, bool]  # which variable, and whether it stands as it is
_VALUE = re.compile(r"\b(true|false|[01])\b", re.IGNORECASE)
_NAMED = re.compile(rf"\b([{NAMES}])\s*(?:=|:|->|→|is)\s*(true|false|[01])\b", re.IGNORECASE)


def difficulty(literals: int, variables: int, clauses: int) -> float:
    """SATURN's D(n, k, l)."""
    return log2(variables) + 2 * log2(clauses) - literals + variables / literals


@dataclass(frozen=True)
class Formula:
    """Clauses over the first `variables` of `NAMES`."""

    variables: int
    clauses: tuple[tuple[Literal, ...], ...]

    def holds(self, values: tuple[bool, ...]) -> bool:
        """Whether an assignment makes every clause true."""
        return all(any(values[at] is plain for at, plain in clause) for clause in self.clauses)

    def solutions(self) -> list[tuple[bool, ...]]:
        """The assignments that do, from all true down."""
        return list(filter(self.holds, product((True, False), repeat=self.variables)))

    def written(self, no: str, either: str, both: str) -> str:
        """The clauses with a language's signs, each in brackets."""
        terms = (either.join(("" if plain else no) + NAMES[at] for at, plain in clause) for clause in self.clauses)
        return both.join(f"({term})" for term in terms)


class Sat(Generator):
    """Levels 1 to 4 are D from 3, 5, 7 and 9 on, up to 2 more; every formula can be satisfied."""

    levels = range(1, 5)

    def draw(self, rng: Random, level: int) -> Item:
        """See `Generator`. Columns: clauses as [[variable from 1, negative where it is denied], ...], variables,
        difficulty."""
        size, count, most = rng.choice(sizes(level))
        while True:
            planted = [rng.random() < 0.5 for _ in range(count)]
            clauses: dict[tuple[Literal, ...], None] = {}
            while len(clauses) < most:
                clause = tuple((at, rng.random() < 0.5) for at in sorted(rng.sample(range(count), size)))
                if any(planted[at] is plain for at, plain in clause):
                    clauses[clause] = None
            if len({at for clause in clauses for at, _ in clause}) == count:
                break
        formula = Formula(count, tuple(clauses))
        names = listed(NAMES[:count])
        stated = formula.written("not ", " or ", ", ")
        question = f"Find values of {names} that make all of these true: {stated}. Answer 1 or 0 for each, in order."
        columns = {
            "clauses": [[(at + 1) * (1 if plain else -1) for at, plain in clause] for clause in clauses],
            "variables": count,
            "difficulty": round(difficulty(size, count, most), 3),
        }
        answer = _bits(tuple(planted))
        return Item(question, answer, category=f"D {2 * level + 1} to {2 * level + 3}", columns=columns, values=formula)

    def demonstrate(self, item: Item, language: str, rng: Random, wrong: bool) -> str | None:
        """See `Generator`; nsl has no words for it. wrong: one literal of one clause turned round, where that
        matters."""
        formula: Formula = item.values
        solutions = formula.solutions()
        if wrong:
            misread = _misread(formula, rng)
            seen = [values for values in misread.solutions() if values not in solutions]
            formula, solutions = (misread, seen) if seen else (formula, solutions)
        if language == "nsl":
            return None
        found = solutions[0]
        names = NAMES[: formula.variables]
        if language == "direct":
            return _bits(found)
        if language == "prose":
            told = ", ".join(f"{name} = {int(value)}" for name, value in zip(names, found))
            return f"I take {told}. The answer is {_bits(found)}."
        if language == "sympy":
            named = f"{listed(names)} = symbols('{' '.join(names)}')"
            return tagged("sympy", sympy(named, f"print(satisfiable({formula.written('~', ' | ', ' & ')}))"))
        joined = formula.written("!", " || ", " && ")
        return tagged("wolfram", f"First[SatisfiabilityInstances[{joined}, {{{listed(names)}}}]]")

    def verify(self, problem: Problem, text: str, extracted: Extracted | None, result: Result | None) -> Verdict:
        """Right is every assignment that makes all clauses true: by name (a = 1, {a: True}) or all in order (1, 0)."""
        if extracted is not None and extracted.language is not None:
            if result is None or not result.has_value:
                return Verdict(False, "no value")
            stated = result.text
        else:
            stated = (extracted.answer if extracted is not None else None) or text
        values = assignment(stated, problem.columns["variables"])
        if values is None:
            return Verdict(False, "no assignment")
        clauses = problem.columns["clauses"]
        right = all(any(values[abs(one) - 1] is (one > 0) for one in clause) for clause in clauses)
        return Verdict(right, "satisfied" if right else "not satisfied")


def assignment(text: str, variables: int) -> tuple[bool, ...] | None:
    """The values that a text states: by name, the last of each; else as a list of just so many; None without them."""
    text = text[-LONGEST:]
    named: Mapping[str, str] = {name.lower(): value for name, value in _NAMED.findall(text)}
    if all(name in named for name in NAMES[:variables]):
        found = [named[name] for name in NAMES[:variables]]
    else:
        found = _VALUE.findall(text)
    return tuple(value.lower() in ("1", "true") for value in found) if len(found) == variables else None


@lru_cache
def sizes(level: int) -> list[tuple[int, int, int]]:
    """(n, k, l) of a level: those whose D lies in its interval, with room for all variables and other clauses."""
    low = 2 * level + 1
    return [
        (n, k, clauses)
        for n, k, clauses in product(*SIZES)
        if low <= difficulty(n, k, clauses) < low + 2 and 1.5 * k <= n * clauses <= n * comb(k, n) * (2**n - 1) / 2
    ]


def _bits(values: tuple[bool, ...]) -> str:
    return ", ".join(str(int(value)) for value in values)


def _misread(formula: Formula, rng: Random) -> Formula:
    which = rng.randrange(len(formula.clauses))
    clause = formula.clauses[which]
    at = rng.randrange(len(clause))
    turned = (*clause[:at], (clause[at][0], not clause[at][1]), *clause[at + 1 :])
    return Formula(formula.variables, (*formula.clauses[:which], turned, *formula.clauses[which + 1 :]))
