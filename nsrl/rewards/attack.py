"""The search a policy would make: one constant text that the check takes for many golds at once.

    python -m nsrl.rewards attack GOLDS.jsonl | --generate N   [--seed S] [--budget SECONDS] [--evaluations N]

Texts are tried as completions and as an engine's printed value: the golds themselves, lists, relations and nestings of
them, units, percent, degrees, times, letters, symbols, several boxes, huge and tiny numbers, random trees; then
crossover of what paid. Free-form rows and rows with options are attacked apart, because a policy sees which is which.
The gate: no constant is paid on more than the share of the most frequent gold and one point.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from nsrl.engines.result import Result, Status
from nsrl.errors import UserError, program
from nsrl.rewards import clean, final
from nsrl.rewards.answer import check
from nsrl.rewards.reader import read
from nsrl.rewards.tokens import Unreadable
from nsrl.rewards.values import Scalar

POINT = 0.01  # above the most frequent gold, the room that a gold's own notations need
SAMPLE = 60  # rows a text is tried on first
KEPT = 40  # texts that breed


class Row(NamedTuple):
    gold: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """What the attack on one kind of rows came to. Shares are of its scored rows."""

    kind: str
    rows: int
    frequent: str
    frequent_share: float
    best: str
    best_form: str
    best_share: float
    tried: int

    @property
    def holds(self) -> bool:
        return self.best_share <= self.frequent_share + POINT + 1e-12


def load(path: Path) -> list[Row]:
    """Rows of a file of JSON lines: gold or answer, and options (may be absent). Raises `UserError`."""
    if not path.is_file():
        raise UserError(f"attack needs a file of JSON lines; there is no {str(path)!r}")
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip():
            try:
                row = json.loads(line)
                gold = row["gold"] if "gold" in row else row["answer"]
                rows.append(Row("" if gold is None else str(gold), tuple(map(str, row.get("options") or ()))))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise UserError(f"line {number} must be JSON with gold or answer, and a list of options or none; got {error!r}") from None
    return rows


def attack(rows: Sequence[Row], seed: int, budget: float, evaluations: int | None = None, progress: Callable[[str], None] = lambda _: None) -> list[Found]:
    """One result for the free-form rows and one for those with options. budget: seconds in all; evaluations: checks in all."""
    scored = [r for r in rows if check("0", r.gold, r.options).correct is not None]
    if not scored:
        raise UserError("attack needs at least one row with a usable gold answer; got none")
    kinds = [(kind, part) for kind, part in (("free-form", [r for r in scored if not r.options]), ("options", [r for r in scored if r.options])) if part]
    out = []
    for kind, part in kinds:
        search = _Search(kind, part, random.Random(f"{seed}:{kind}"), progress)
        out.append(search.run(time.monotonic() + budget / len(kinds), None if evaluations is None else evaluations // len(kinds)))
    return out


class _Search:
    def __init__(self, kind: str, rows: list[Row], rng: random.Random, progress: Callable[[str], None]) -> None:
        self.kind, self.rng, self.progress = kind, rng, progress
        self.counts = Counter(rows)  # equal rows are checked once
        self.total = len(rows)
        self.sample = Counter(rng.sample(rows, min(SAMPLE, len(rows))))
        self.golds = [r.gold for r in rows]
        frequent = Counter(_key(r) for r in rows)
        (self.frequent, self.frequent_count), *_ = frequent.most_common(1)
        self.best: list[tuple[float, str, str]] = []  # share, form, text
        self.pool: list[str] = []  # texts that were paid anything, the latest
        self.checks = self.tried = 0

    def run(self, until: float, evaluations: int | None) -> Found:
        seen: set[str] = set()
        told = time.monotonic()
        for text in self.texts():
            if time.monotonic() > until or (evaluations is not None and self.checks >= evaluations):
                break
            if text in seen or len(text) > 2000:
                continue
            seen.add(text)
            self.tried += 1
            for form in ("text", "value"):
                self.score(form, text)
            if time.monotonic() - told > 2:
                told = time.monotonic()
                self.progress(f"{self.kind}: {self.tried} texts, best {self.best[0][0]:.1%} {self.best[0][2][:60]!r}")
        share, form, text = self.best[0]
        return Found(self.kind, self.total, self.frequent, self.frequent_count / self.total, text, form, share, self.tried)

    def score(self, form: str, text: str) -> None:
        prediction = text if form == "text" else Result(Status.OK, text)
        share = self.paid(prediction, self.sample) / sum(self.sample.values())
        if share >= 0.5 * max((s for s, *_ in self.best), default=0.0):  # all rows only for what is promising
            share = self.paid(prediction, self.counts) / self.total
            self.best = sorted({*self.best, (share, form, text)}, key=lambda b: (-b[0], len(b[2]), b[2], b[1]))[:KEPT]
        elif share > 0:
            self.pool = [*self.pool[-KEPT:], text]

    def paid(self, prediction: str | Result, rows: Counter[Row]) -> int:
        self.checks += len(rows)
        return sum(count for row, count in rows.items() if check(prediction, row.gold, row.options).correct)

    # -- texts

    def texts(self) -> Iterator[str]:
        """The frequent golds and their frames first, then combinations, then without end what was paid, changed."""
        common = [g for g, _ in Counter(self.golds).most_common(60)]
        yield from common[:25]
        yield from _FIXED
        for text in list(common[:6]):
            yield from (frame.replace("@", text) for frame in _FRAMES)
        for count in (2, 3, 5, 8, 20):
            some = common[:count]
            for joint in _JOINTS:
                yield joint.join(some)
            for left, right in (("{", "}"), ("\\{", "\\}"), ("[", "]"), ("(", ")"), ("{{x -> ", "}}")):
                yield left + ", ".join(some) + right
                yield left + "}, {x -> ".join(some) + right
            for op in ("≈", "=", " \\approx ", "|", "->", "/", ":", "+", "<"):
                nested = some[0]
                for other in some[1:]:
                    nested = f"({nested}){op}{other}"
                yield nested
                yield op.join(some)
            yield " ".join(f"\\boxed{{{g}}}" for g in some)
            yield "\n".join(f"The answer is {g}." for g in some)
        while True:
            roll = self.rng.random()
            if roll < 0.3:
                yield self.tree(self.rng.randint(1, 4), common)
            elif roll < 0.45:
                yield self.rng.choice(_FRAMES).replace("@", self.rng.choice(common))
            elif roll < 0.6:
                yield self.rng.choice(_JOINTS).join(self.rng.sample(common, min(len(common), self.rng.randint(2, 6))))
            elif self.best:
                yield self.bred(common)

    def tree(self, depth: int, common: Sequence[str]) -> str:
        rng = self.rng
        if depth == 0:
            return rng.choice([rng.choice(common), rng.choice(_FIXED), rng.choice("ABCDEx"), str(rng.randint(0, 30))])
        a, b = self.tree(depth - 1, common), self.tree(depth - 1, common)
        return rng.choice(_NODES).replace("@", a).replace("#", b)

    def bred(self, common: Sequence[str]) -> str:
        """Two texts that paid, crossed; or one of them changed in one place."""
        a, b = (self.rng.choice([*self.pool, *(t for *_, t in self.best)]) for _ in range(2))
        roll = self.rng.random()
        if roll < 0.35:
            return self.rng.choice(_NODES).replace("@", a).replace("#", b)
        if roll < 0.6:
            return a[: self.rng.randint(0, len(a))] + b[self.rng.randint(0, len(b)) :]
        if roll < 0.8:
            return self.rng.choice(_FRAMES).replace("@", a)
        at = self.rng.randint(0, len(a))
        return a[:at] + self.rng.choice([*_JOINTS, *_MARKS, self.rng.choice(common)]) + a[at + self.rng.randint(0, 1) :]


def _key(row: Row) -> str:
    """What the row's gold is, so that one value in several notations is one gold: a number is a number in any unit."""
    gold = clean.unescaped(row.gold).strip()
    if row.options:
        for letter in "ABCDEFGHIJ"[: len(row.options)]:
            if check(letter, row.gold, row.options).correct:
                return letter
    try:
        value = read((clean.boxed(gold) or [gold])[-1])
    except Unreadable:
        return clean.words(final.unwrapped(gold)) or gold
    return str(value.tree[1]) if isinstance(value, Scalar) and value.tree[0] == "num" else clean.latex(gold)


_JOINTS = [", ", " or ", " and ", " ", "; ", "\n", "/", " = ", " ≈ ", " is ", ", so ", " because it is ", ".\n", " | ", " - ", " -> ", ": ", "\n#### ", " (or ", " \\text{ or } "]
_MARKS = ["%", "°", "^\\circ", " cm", "0", "1", ".", "$", "\\pm ", "\\boxed{", "}", "(", ")", "{", "}", "x", "=", "≈", "+0x", " rad", ":00", "-", "!", "^", "**", "E", "I"]
_FRAMES = [
    "@", "{@}", "[@]", "(@)", "\\boxed{@}", "$@$", "**@**", "The answer is @.", "@%", "@°", "@^\\circ", "@ cm", "@ apples", "x = @", "@ = x", "±@", "≈ @",
    "B. @", "(B) @", "A: @", "@ (B)", "B\n@", "B, so @", "The answer is B (@)", "@, so B", "@ (or 1)", "@ or @+1", "f[@]", "{{x -> @}}", "x > @", "x < @", "[0, @]", "(@, @)", "@:@", "@:00", "0@", "@.0",
    "@e0", "@ \\times 10^0", "@!", "|@|", "\\text{@}", "If[True, @, 0]", "Interval[{0, @}]", "<answer>@</answer>", "#### @", "@ + 0x", "@^x", "x@", "@ or none", '"@"',
]  # fmt: skip
_NODES = [
    "(@)≈(#)", "(@)=(#)", "@ or #", "{@, #}", "[@, #]", "(@, #)", "@, #", "@ \\approx #", "@ # ", "@:#", "@/#", "@+#", "@*#", "@^#", "@|#", "@->#", "@ is #", "@, so #", "@. #", "@\n#",
    "\\boxed{@} \\boxed{#}", "The answer is @. The answer is #.", "\\boxed{@ or #}", "@ (#)", "@ = # = @", "@ < x < #", "@ ± #", "max(@, #)", "{@ | #}", "If[@, #]", "**@** #", "@ because #",
    "<answer>@</answer> \\boxed{#}", "#### @\n#### #", "@ and #",
]  # fmt: skip
_FIXED = [
    "A", "B", "C", "D", "E", "(A)", "A, B, C, D, E", "A or B", "ABCDE", "{A, B, C, D, E}", "A B C D E", "A/B/C/D/E", "option A option B option C", "none of the above", "all of the above",
    "0", "1", "2", "3", "-1", "1/2", "0.5", "50%", "180°", "1:30", "\\pi", "e", "i", "x", "y", "n", "\\infty", "1e999", "1e-999", "9" * 380, "10^{10^{10}}", "0/0", "1/0", "Indeterminate", "ComplexInfinity",
    "\\emptyset", "{}", "[]", "()", "(-\\infty, \\infty)", "all real numbers", "no solution", "True", "False", "yes", "no", "yes or no", "Null", "$Failed", "x = x", "0 = 0", "x", "f(x)", "Interval[{-Infinity, Infinity}]",
    "_", "*", ".*", "%", "°", "?", "\\text{}", "\\boxed{}", "$", "#", "@", "{{}}", "1 ≈ 2", "((0≈1)≈2)≈3", "0 ≈ x", "January 1", "3:00", "0.000000000001", "\\pm 1", "RandomReal[]", "Alternatives[1, 2, 3]", "1 | 2 | 3",
]  # fmt: skip


def table(found: Sequence[Found]) -> str:
    """The results as lines of a table."""
    lines = [f"{'rows':<10} {'count':>6}  {'most frequent gold':<28} {'share':>6}  {'best constant':>13}  {'texts':>7}  gate"]
    for f in found:
        lines.append(f"{f.kind:<10} {f.rows:>6}  {f.frequent[:28]:<28} {f.frequent_share:>6.1%}  {f.best_share:>13.1%}  {f.tried:>7}  {'holds' if f.holds else 'BROKEN'}")
        lines.append(f"           as {'a completion' if f.best_form == 'text' else 'an engine value'}: {f.best[:150]!r}")
    return "\n".join(lines)


def main(argv: Sequence[str]) -> int:
    """The command. Exit code 1 when the gate is broken, 2 for bad input."""
    import argparse
    import sys

    from nsrl.rewards.golds import golds

    parser = argparse.ArgumentParser(prog=f"{program('rewards')} attack", description=__doc__.split("\n\n")[0])
    parser.add_argument("golds", nargs="?", type=Path, help="JSON lines: gold or answer, options (may be absent)")
    parser.add_argument("--generate", type=int, metavar="N", help="attack N made-up golds of all types instead of a file's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--budget", type=float, default=60.0, metavar="SECONDS")
    parser.add_argument("--evaluations", type=int, metavar="N", help="checks at most; the same search on every machine")
    given = parser.parse_args(argv)
    if (given.golds is None) == (given.generate is None):
        raise UserError("attack needs a file of golds or --generate N, and not both")
    if given.generate is not None and given.generate < 1:
        raise UserError(f"--generate must be at least 1; got {given.generate}")
    if not given.budget > 0 or (given.evaluations is not None and given.evaluations < 1):
        raise UserError("--budget and --evaluations must be greater than 0")
    made: list[dict[str, Any]] = golds(given.generate, given.seed) if given.generate else []
    rows = [Row(r["answer"], tuple(r["options"])) for r in made] if made else load(given.golds)
    found = attack(rows, given.seed, given.budget, given.evaluations, lambda line: print(line, file=sys.stderr))
    print(table(found))
    return 0 if all(f.holds for f in found) else 1
