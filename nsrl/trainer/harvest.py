"""A harvest is what a model did right: completions of training problems, of which the shortest right ones are kept as
demonstrations, and what they say in another language.

Rejection sampling as in STaR and RFT; the rows are what a supervised stage reads (`completion`).
"""

from __future__ import annotations

import ast
import io
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from nsrl.answers import check
from nsrl.engines import EnginePool, nsl
from nsrl.engines.languages import CLOSE, OPEN
from nsrl.engines.result import Result, Status
from nsrl.engines.translate import candidates
from nsrl.engines.translate.straight import Untranslatable
from nsrl.engines.translate.wolfram_source import read as read_wolfram
from nsrl.types import Problem

Row = dict[str, Any]
TRIED = 4  # translations of one program that are run, the shortest first


def kept(records: Sequence[Row], problems: Sequence[Problem], most: int) -> list[Row]:
    """The shortest `most` right completions of each problem in each language, different ones, with pass rates.

    records: rows of an evaluation (`evaluation.record`), samples and greedy ones; problems: those they are of.
    pass_rate: share of the problem's completions that are right; pass_rate_language: of those in this language. A
    problem that was never solved has no row.
    """
    of_problem: dict[str, list[Row]] = defaultdict(list)
    for record in records:
        of_problem[record["problem_id"]].append(record)
    rows = []
    for problem in problems:
        drawn = of_problem.get(problem.id, [])
        right = sorted((r for r in drawn if r["correct"]), key=lambda r: r["tokens"])
        chosen: dict[str, dict[str, Row]] = defaultdict(dict)
        for record in right:
            same = chosen[record["language"]]
            key = canonical(record["language"], record["program"] or record["completion"])
            if len(same) < most:
                same.setdefault(key, record)
        for language, programs in chosen.items():
            alike = [r for r in drawn if r["language"] == language]
            rates = {
                "pass_rate": len(right) / len(drawn),
                "pass_rate_language": sum(bool(r["correct"]) for r in alike) / len(alike),
                "samples": len(drawn),
            }
            rows += [_row(problem, record, rates) for record in programs.values()]
    return rows


def _row(problem: Problem, record: Row, rates: Row) -> Row:
    return {
        "problem_id": problem.id,
        "question": problem.question,
        "options": list(problem.options),
        "answer": problem.answer,
        "category": problem.category,
        "completion": record["completion"],
        "language": record["language"],
        "program": record["program"],
        "value_text": record["value_text"],
        "tokens": record["tokens"],
        **rates,
        "translated_from": "",
    }


def translated(rows: Sequence[Row], pool: EnginePool) -> list[Row]:
    """Rows in Wolfram Language and SymPy once more in nsl, where a translation gives the same value and is right.

    Each translation is run by the engine; it is kept if its value is the source's (by the answer check, either way
    round) and answers the gold. The shortest that does is the row; one row per program and problem.
    """
    sources = [row for row in rows if row["language"] in ("wolfram", "sympy")]
    texts = [candidates(row["language"], row["program"])[:TRIED] for row in sources]
    running = [[pool.submit("nsl", text) for text in tried] for tried in texts]
    found: list[Row] = []
    seen: set[tuple[str, str]] = set()
    for row, tried, results in zip(sources, texts, running):
        for text, future in zip(tried, results):
            if not says_the_same(future.result(), row):
                continue
            key = (row["problem_id"], canonical("nsl", text))
            if key not in seen:
                seen.add(key)
                found.append({**row, "completion": f"{OPEN['nsl']}{text}{CLOSE['nsl']}", "language": "nsl",
                              "program": text, "tokens": None, "translated_from": row["language"]})  # fmt: skip
            break
    return found


def says_the_same(result: Result, row: Row) -> bool:
    """Whether a translation's value answers the gold, and is the value that the source had."""
    if result.status is not Status.OK or not check(result, row["answer"], row["options"]).correct:
        return False
    source = row["value_text"]
    return result.text == source or bool(check(result, source).correct) or bool(check(source, result.text).correct)


def canonical(language: str, text: str) -> str:
    """A program's text with what does not matter gone: two that are equal here are one program.

    nsl and Wolfram Language by their trees, SymPy by Python's; a text that is no program by its words.
    """
    reader = _CANONICAL.get(language, lambda text: " ".join(text.split()))
    try:
        return reader(text)
    except (nsl.NslSyntaxError, Untranslatable, SyntaxError, ValueError, RecursionError, MemoryError):
        return " ".join(text.split())


_CANONICAL: dict[str, Callable[[str], str]] = {
    "nsl": lambda text: repr(nsl.to_wolfram(text)),
    "wolfram": lambda text: repr(read_wolfram(text).tree),
    "sympy": lambda text: ast.dump(ast.parse(text)),
}


def pictures(problem: Problem) -> list[Row]:
    """A problem's pictures as a column of a table holds them: {bytes, path}, lossless PNG."""
    out = []
    for image in problem.images:
        buffer = io.BytesIO()
        image.open().save(buffer, format="PNG")
        out.append({"bytes": buffer.getvalue(), "path": None})
    return out
