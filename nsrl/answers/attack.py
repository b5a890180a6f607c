"""The search a policy would make: one constant text that the check takes for many golds at once.

    python -m nsrl.rewards attack GOLDS.jsonl | --generate N   [--seed S] [--budget SECONDS] [--evaluations N]

Texts are tried as completions and as an engine's printed value. First a fixed round: the golds themselves; lists,
ranges, relations, nestings, boxes and sentences of golds of one type (numbers, words, letters, one notation), because
one gold of another type makes a list unreadable; units, percent, symbols, huge and tiny numbers. Then without end
random trees and crossover of what paid. A text is first tried on a few rows that share a number or a word with it; paid
on two different golds it is suspect, and only suspects are tried on all rows. Free-form rows and rows with options are
attacked apart, because a policy sees which is which.
The gate: no constant is paid on more than the share of the most frequent gold and one point.
"""

from __future__ import annotations

import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from nsrl.answers import clean
from nsrl.answers.checker import check
from nsrl.answers.gold import chosen
from nsrl.answers.rows import Row, read
from nsrl.engines.result import Result, Status
from nsrl.errors import UserError, program

POINT = 0.01  # above the most frequent gold, the room that a gold's own notations need
SAMPLE = 60  # rows a suspect is tried on before all
PROBES = 4  # golds that share a word with a text, on which it is tried first
KEPT = 40  # texts that breed
LETTERS = "ABCDEFGHIJ"


@dataclass(frozen=True)
class Found:
    """What the attack on one kind of rows came to. Shares are of its scored rows; finished: the fixed round was."""

    kind: str
    rows: int
    frequent: str
    frequent_share: float
    best: str
    best_form: str
    best_share: float
    tried: int
    finished: bool

    @property
    def holds(self) -> bool:
        """Whether the best constant text is paid little more than the most frequent gold."""
        return self.best_share <= _limit(self.frequent_share)

    @property
    def gate(self) -> str:
        """The verdict as a word: holds, BROKEN, or TOO SHORT where the fixed round was not finished."""
        return "BROKEN" if not self.holds else "holds" if self.finished else "TOO SHORT"


def _limit(share: float) -> float:
    return share + POINT + 1e-12


def attack(
    rows: Sequence[Row],
    seed: int,
    budget: float,
    evaluations: int | None = None,
    progress: Callable[[str], None] = lambda _: None,
    until_broken: bool = False,
) -> list[Found]:
    """One result for the free-form rows and one for those with options. budget: seconds in all; evaluations: checks in
    all; until_broken: each search ends with the first constant that breaks the gate."""
    scored = [r for r in rows if check("0", r.gold, r.options).correct is not None]
    if not scored:
        raise UserError("attack needs at least one row with a usable gold answer; got none")
    kinds = [
        (kind, part)
        for kind, part in (
            ("free-form", [r for r in scored if not r.options]),
            ("options", [r for r in scored if r.options]),
        )
        if part
    ]
    out = []
    for kind, part in kinds:
        search = _Search(kind, part, random.Random(f"{seed}:{kind}"), progress)
        out.append(
            search.run(
                time.monotonic() + budget / len(kinds),
                None if evaluations is None else evaluations // len(kinds),
                until_broken,
            )
        )
    return out


class _Search:
    def __init__(self, kind: str, rows: list[Row], rng: random.Random, progress: Callable[[str], None]) -> None:
        self.kind, self.rng, self.progress = kind, rng, progress
        self.counts = Counter(rows)  # equal rows are checked once
        self.total = len(rows)
        self.keys = {r: _key(r) for r in self.counts}
        some = rng.sample(rows, min(SAMPLE, len(rows)))
        self.sample, self.few = Counter(some), Counter(some[: SAMPLE // 3])
        ((self.frequent, self.frequent_count),) = Counter(self.keys[r] for r in rows).most_common(1)
        self.groups = _groups(rows)
        self.common = [g for g, _ in Counter(r.gold for r in rows).most_common(60)]
        self.sharing: dict[str, dict[str, Row]] = defaultdict(
            dict
        )  # a number or word, and one row of each gold it is in
        for row, _ in self.counts.most_common():
            for token in _tokens(row.gold + " " + _meant(row)):
                self.sharing[token].setdefault(self.keys[row], row)
        self.always = [
            next(iter(self.sharing[token].values())) for token in self.groups[0][:2] if self.sharing.get(token)
        ]
        self.best: list[tuple[float, str, str]] = []  # share, form, text
        self.pool: list[str] = []  # texts that were paid anything, the latest
        self.checks = self.tried = 0

    def run(self, until: float, evaluations: int | None, until_broken: bool) -> Found:
        share = self.frequent_count / self.total
        seen: set[str] = set()
        told = time.monotonic()
        finished = False
        for text in self.texts():
            if text is None:
                finished = True
                continue
            if self.best and (time.monotonic() > until or (evaluations is not None and self.checks >= evaluations)):
                break
            if until_broken and self.best and self.best[0][0] > _limit(share):
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
        best_share, form, text = self.best[0]
        return Found(self.kind, self.total, self.frequent, share, text, form, best_share, self.tried, finished)

    def score(self, form: str, text: str) -> None:
        prediction = text if form == "text" else Result(Status.OK, text)
        if self.best and not self.suspect(prediction, text):  # the first text, the most frequent gold, is scored anyway
            return
        most = self.best[0][0] if self.best else 0.0
        for rows, part in ((self.few, 0.25), (self.sample, 0.5)):  # all rows only for what is promising
            # Rounded down: a sample in which less than one row would be enough says nothing against a text.
            if self.paid(prediction, rows) < int(part * most * rows.total()):
                self.pool = [*self.pool[-KEPT:], text]
                return
        share = self.paid(prediction, self.counts) / self.total
        self.best = sorted({*self.best, (share, form, text)}, key=lambda b: (-b[0], len(b[2]), b[2], b[1]))[:KEPT]

    def suspect(self, prediction: str | Result, text: str) -> bool:
        """Whether two different golds take the text: among a few that share a word with it, the most frequent and two
        more."""
        near = {key: row for token in _tokens(text)[:40] for key, row in self.sharing.get(token, {}).items()}
        rows = (
            self.rng.sample(list(near.values()), min(PROBES, len(near)))
            + self.always
            + self.rng.choices(list(self.sample), k=2)
        )
        paid: set[str] = set()
        for row in rows:
            if self.keys[row] not in paid and self.paid(prediction, Counter((row,))):
                paid.add(self.keys[row])
                if len(paid) > 1:
                    return True
        return False

    def paid(self, prediction: str | Result, rows: Counter[Row]) -> int:
        self.checks += len(rows)
        return sum(count for row, count in rows.items() if check(prediction, row.gold, row.options).correct)

    # -- texts

    def texts(self) -> Iterator[str | None]:
        """The fixed round, None, then without end what was paid, changed."""
        yield from self.common[:1]
        for count in (2, 5, 50):
            for group in self.groups:
                yield from _together(group[:count])
            if count == 2:
                for numbers in _RANGES:
                    yield from (frame.replace("@", ", ".join(map(str, numbers))) for frame in _LISTS)
                    yield from (frame.replace("@", str(numbers[0])).replace("#", str(numbers[-1])) for frame in _SPANS)
        yield from self.common[1:25]
        yield from _FIXED
        for text in dict.fromkeys(g[0] for g in self.groups):
            yield from (frame.replace("@", text) for frame in _FRAMES)
        for text in self.groups[0][1:4]:  # the readings of a number in several units
            yield from (frame.replace("@", text) for frame in _FRAMES)
        yield None
        while True:
            group = self.rng.choice(self.groups)
            roll = self.rng.random()
            if roll < 0.3:
                yield self.tree(self.rng.randint(1, 4), group)
            elif roll < 0.45:
                yield self.rng.choice(_FRAMES).replace("@", self.rng.choice(group))
            elif roll < 0.6:
                some = self.rng.sample(group, min(len(group), self.rng.randint(2, 6)))
                yield self.rng.choice([*_LISTS, *_FRAMES]).replace("@", self.rng.choice(_JOINTS).join(some))
            else:
                yield self.bred(group)

    def tree(self, depth: int, group: Sequence[str]) -> str:
        rng = self.rng
        if depth == 0:
            return rng.choice(
                [
                    rng.choice(group),
                    rng.choice(group),
                    rng.choice(_FIXED),
                    rng.choice("ABCDEx"),
                    str(rng.randint(0, 30)),
                ]
            )
        a, b = self.tree(depth - 1, group), self.tree(depth - 1, group)
        return rng.choice(_NODES).replace("@", a).replace("#", b)

    def bred(self, group: Sequence[str]) -> str:
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
        return a[:at] + self.rng.choice([*_JOINTS, *_MARKS, self.rng.choice(group)]) + a[at + self.rng.randint(0, 1) :]


def _together(some: Sequence[str]) -> Iterator[str]:
    """Every way to say several things at once."""
    yield from (frame.replace("@", ", ".join(some)) for frame in _LISTS)
    yield from (joint.join(some) for joint in _JOINTS)
    yield "{{x -> " + "}, {x -> ".join(some) + "}}"
    yield " ".join(f"\\boxed{{{g}}}" for g in some)
    yield "\n".join(f"The answer is {g}." for g in some)
    for op in ("≈", "=", " \\approx ", "|", "->", "/", ":", "+", "<"):
        nested = some[0]
        for other in some[1:]:
            nested = f"({nested}){op}{other}"
        yield nested
        yield op.join(some)


# -- golds: what they are is told here without the check's reader, so that a hole in it does not hide itself

_SCALES = {"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12}
_NUMBER = re.compile(
    r"(?:[A-Za-z]\s*(?:=|≈|\\approx)\s*)?(?P<sign>-|−|minus |negative "
    r")?\s*(?:\\?\$)?(?:(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d*\.?\d+)(?:/(?P<over>\d+))?|"
    r"\\d?frac\{(?P<top>\d+)\}\{(?P<below>\d+)\})"
    rf"(?:\s*(?P<scale>{'|'.join(_SCALES)}))?(?:\\?%|°|\^\{{?\\circ\}}?|\\?\s*\\(?:text|mathrm)\{{[^{{}}]*\}}|"
    rf"\s+\\?[A-Za-z%][A-Za-z. /]*)?(?:\^\{{?\d\}}?)?"
)
_WORDS = re.compile(r"[^\W\d_][^\d\\${}()\[\]=<>]*[^\W\d_]")


def _number(text: str) -> str | None:
    """The number that a gold is, in whatever unit, as an integer or a fraction; None: it is none."""
    match = _NUMBER.fullmatch(text)
    if not match:
        return None
    below = int(match["over"] or match["below"] or 1)
    if not below:
        return None
    value = Fraction((match["number"] or match["top"]).replace(",", "")) / below * _SCALES.get(match["scale"] or "", 1)
    return str(-value if match["sign"] else value)


def _meant(row: Row) -> str:
    """The text of the gold: of its option where it is a letter, and out of its box and its dollars."""
    letters = chosen(row.gold, row.options) if row.options else None
    text = (
        row.options[LETTERS.index(letters)]
        if letters and len(letters) == 1 and letters in LETTERS[: len(row.options)]
        else clean.unescaped(row.gold)
    )
    return clean.unwrapped((clean.boxed(text) or [text])[-1]).strip().rstrip(".")


def _key(row: Row) -> str:
    """What the row's gold is, so that one value in several notations is one gold: a number is a number in any unit."""
    if row.options and (letters := chosen(row.gold, row.options)):
        return letters
    text = _meant(row)
    return _number(text) or (_WORDS.fullmatch(text) and clean.words(text)) or clean.latex(text)


def _groups(rows: Sequence[Row]) -> list[list[str]]:
    """The golds by type, the frequent first: numbers, words, letters, the most used notations, all together."""
    found: dict[str, Counter[str]] = {"number": Counter(), "word": Counter(), "letter": Counter()}
    for row in rows:
        text = _meant(row)
        if row.options:
            found["letter"].update(chosen(row.gold, row.options) or "")
        if re.fullmatch("[A-Ja-j]", text):
            found["letter"][text.upper()] += 1
        elif (number := _number(text)) is not None:
            found["number"][number] += 1
            if not re.fullmatch(r"[-\d./]+", text):
                found.setdefault(re.sub(r"\d+", "#", text), Counter())[text] += 1
        elif _WORDS.fullmatch(text):
            found["word"][text] += 1
        else:
            found.setdefault(re.sub(r"\d+", "#", text), Counter())[text] += 1
    typed = [found.pop(kind) for kind in ("number", "word", "letter")]
    notations = (
        [] if rows[0].options else sorted((c for c in found.values() if len(c) > 1), key=lambda c: -c.total())[:3]
    )
    everything = sum(found.values(), sum(typed, Counter()))
    typed[0] = typed[0] or Counter(map(str, range(10)))
    return [[t for t, _ in c.most_common(60)] for c in (*typed, *notations, everything) if c]


def _tokens(text: str) -> list[str]:
    return list(dict.fromkeys(re.findall(r"\d+(?:\.\d+)?|[^\W\d_]+", text)))


_RANGES = [
    range(0, 10),
    range(1, 21),
    range(0, 51),
    range(0, 101),
    range(-10, 11),
    range(0, 200, 5),
    range(0, 361, 15),
    range(100, 0, -1),
]
_LISTS = [
    "{@}",
    "\\{@\\}",
    "[@]",
    "(@)",
    "@",
    "The answer is @.",
    "The answer is {@}.",
    "\\boxed{@}",
    "\\boxed{\\{@\\}}",
    "x \\in \\{@\\}",
    "x = @",
    "Alternatives[@]",
    "one of @",
    "**@**",
]
_SPANS = [
    "[@, #]",
    "(@, #)",
    "@ to #",
    "@-#",
    "@..#",
    "@ < x < #",
    "@ \\le x \\le #",
    "Interval[{@, #}]",
    "between @ and #",
    "{@, ..., #}",
    "x > @",
    "x < #",
    "x >= @",
    "# or less",
    "@ or more",
    "at most #",
    "@ ± #",
]
_JOINTS = [
    ", ",
    " or ",
    " and ",
    " ",
    "; ",
    "\n",
    "/",
    " = ",
    " ≈ ",
    " is ",
    ", so ",
    " because it is ",
    ".\n",
    " | ",
    " - ",
    " -> ",
    ": ",
    "\n#### ",
    " (or ",
    " \\text{ or } ",
]
_MARKS = [
    "%",
    "°",
    "^\\circ",
    " cm",
    "0",
    "1",
    ".",
    "$",
    "\\pm ",
    "\\boxed{",
    "}",
    "(",
    ")",
    "{",
    "}",
    "x",
    "=",
    "≈",
    "+0x",
    " rad",
    ":00",
    "-",
    "!",
    "^",
    "**",
    "E",
    "I",
]
_FRAMES = [
    "@", "{@}", "[@]", "(@)", "\\boxed{@}", "$@$", "**@**", "The answer is @.", "@%", "@°", "@^\\circ", "@ cm",
    "@ apples", "x = @", "@ = x", "±@", "≈ @",
    "B. @", "(B) @", "A: @", "@ (B)", "B\n@", "B, so @", "The answer is B (@)", "@, so B", "@ (or 1)", "@ or @+1",
    "f[@]", "{{x -> @}}", "x > @", "x < @", "[0, @]", "(@, @)", "@:@", "@:00", "0@", "@.0",
    "@e0", "@ \\times 10^0", "@!", "|@|", "\\text{@}", "If[True, @, 0]", "Interval[{0, @}]", "<answer>@</answer>",
    "#### @", "@ + 0x", "@^x", "x@", "@ or none", '"@"',
]  # fmt: skip
_NODES = [
    "(@)≈(#)", "(@)=(#)", "@ or #", "{@, #}", "[@, #]", "(@, #)", "@, #", "@ \\approx #", "@ # ", "@:#", "@/#", "@+#",
    "@*#", "@^#", "@|#", "@->#", "@ is #", "@, so #", "@. #", "@\n#",
    "\\boxed{@} \\boxed{#}", "The answer is @. The answer is #.", "\\boxed{@ or #}", "@ (#)", "@ = # = @", "@ < x < #",
    "@ ± #", "max(@, #)", "{@ | #}", "If[@, #]", "**@** #", "@ because #",
    "<answer>@</answer> \\boxed{#}", "#### @\n#### #", "@ and #",
]  # fmt: skip
_FIXED = [
    "A", "B", "C", "D", "E", "(A)", "A, B, C, D, E", "A or B", "ABCDE", "{A, B, C, D, E}", "A B C D E", "A/B/C/D/E",
    "option A option B option C", "none of the above", "all of the above",
    "0", "1", "2", "3", "-1", "1/2", "0.5", "50%", "180°", "1:30", "\\pi", "e", "i", "x", "y", "n", "\\infty", "1e999",
    "1e-999", "9" * 380, "10^{10^{10}}", "0/0", "1/0", "Indeterminate", "ComplexInfinity",
    "\\emptyset", "{}", "[]", "()", "(-\\infty, \\infty)", "all real numbers", "no solution", "True", "False", "yes",
    "no", "yes or no", "Null", "$Failed", "x = x", "0 = 0", "x", "f(x)", "Interval[{-Infinity, Infinity}]",
    "_", "*", ".*", "%", "°", "?", "\\text{}", "\\boxed{}", "$", "#", "@", "{{}}", "1 ≈ 2", "((0≈1)≈2)≈3", "0 ≈ x",
    "January 1", "3:00", "0.000000000001", "\\pm 1", "RandomReal[]", "Alternatives[1, 2, 3]", "1 | 2 | 3",
]  # fmt: skip


def table(found: Sequence[Found]) -> str:
    """The results as lines of a table."""
    lines = [
        f"{'rows':<10} {'count':>6}  {'most frequent gold':<28} {'share':>6}  {'best constant':>13}  {'texts':>7}  gate"
    ]
    for f in found:
        lines.append(
            f"{f.kind:<10} {f.rows:>6}  {f.frequent[:28]:<28} {f.frequent_share:>6.1%}  {f.best_share:>13.1%}  "
            f"{f.tried:>7}  {f.gate}"
        )
        lines.append(
            f"           as {'a completion' if f.best_form == 'text' else 'an engine value'}: {f.best[:150]!r}"
        )
    if any(f.gate == "TOO SHORT" for f in found):
        lines.append(
            "too short: the fixed round was not finished, so that nothing found says little; give more --budget or "
            "--evaluations"
        )
    return "\n".join(lines)


def main(argv: Sequence[str]) -> int:
    """The command. Exit code 1 when the gate is broken, 2 for bad input, 3 when the search was too short to say that it
    holds."""
    import argparse
    import sys

    from nsrl.answers.generated import golds

    parser = argparse.ArgumentParser(prog=f"{program('rewards')} attack", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("golds", nargs="?", type=Path, help="JSON lines: gold or answer, options (may be absent)")
    parser.add_argument(
        "--generate", type=int, metavar="N", help="attack N made-up golds of all types instead of a file's"
    )
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
    rows = (
        [Row(r["answer"], tuple(r["options"])) for r in made]
        if made
        else [row for _, row in read(given.golds, "attack")]
    )
    found = attack(rows, given.seed, given.budget, given.evaluations, lambda line: print(line, file=sys.stderr))
    encoding = sys.stdout.encoding or "utf-8"
    print(table(found).encode(encoding, "backslashreplace").decode(encoding))  # a gold may be what no terminal shows
    return 1 if not all(f.holds for f in found) else 0 if all(f.finished for f in found) else 3
