"""A harvest is what a model did right: completions of training problems, of which the shortest right ones are kept as
demonstrations, and what they say in another language.

Rejection sampling as in STaR and RFT; the rows are what a supervised stage reads (`completion`).
"""

from __future__ import annotations

import ast
import io
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from nsrl.answers import check
from nsrl.config import DataConfig, HarvestConfig, TrainConfig
from nsrl.data import load_problems
from nsrl.data.chat import Chat
from nsrl.data.made import name_of, noise_of, opened
from nsrl.data.sources import is_made, source_and_path
from nsrl.engines import EnginePool, extract, nsl
from nsrl.engines.languages import CLOSE, OPEN
from nsrl.engines.result import Result, Status, writable
from nsrl.engines.translate import candidates
from nsrl.engines.translate.straight import Untranslatable
from nsrl.engines.translate.wolfram_source import read as read_wolfram
from nsrl.models.vlm import VLM
from nsrl.rollout.types import Finish, Sampler
from nsrl.trainer import evaluation, heldout
from nsrl.trainer.folder import SETTINGS, replacing
from nsrl.trainer.grader import Grader
from nsrl.trainer.resume import State
from nsrl.types import Problem

Row = dict[str, Any]
Judge = Callable[[Row, str, Result], bool | None]
TOGETHER = 256  # rows written at once
TRIED = 4  # translations of one program that are run, the shortest first
COLUMNS: dict[str, type] = {  # of a harvest, beside `images`
    "problem_id": str, "question": str, "options": list, "answer": str, "category": str, "completion": str,
    "language": str, "program": str, "value_text": str, "tokens": int, "pass_rate": float,
    "pass_rate_language": float, "samples": int, "translated_from": str,
}  # fmt: skip


@dataclass(frozen=True)
class Field:
    """What is harvested: training problems, what they are called, how many were held out of them, and the seed of the
    samples."""

    problems: list[Problem]
    name: str
    held_out: int
    seed: int


def field_of(config: HarvestConfig) -> Field:
    """The training problems that `config` names, those of the model's own run by default, without what a run on the
    same data holds out. Raises `UserError`."""
    runs = heldout.lineage(config.model)
    own = runs[0] if runs else None
    if config.data is not None:
        source, path = source_and_path(config.data)
    else:
        source, path = (own.config.data.source, own.config.data.path) if own else ("shapes", None)
    held_out = config.held_out or (own.held_out if own else DataConfig().eval_size)
    seed = config.seed if config.seed is not None else own.config.seed if own else 0
    if is_made(source):
        alike = own is not None and (own.config.data.source == source or not is_made(own.config.data.source))
        data = own.config.data if own and alike else DataConfig()
        level, noise = config.level or data.level, noise_of(data)
        made = opened(source, level, seed, held_out, noise=noise)
        wanted = config.size or DataConfig().eval_size
        return Field(list(islice(made.train(), wanted)), name_of(source, level, seed, noise), held_out, seed)
    mine = own is not None and own.config.data.source == source and heldout.same_place(path, own.config.data.path)
    data = (
        replace(own.config.data, eval_size=held_out)
        if own and mine
        else DataConfig(source, path, eval_size=held_out, answered=config.answered)
    )
    train, test = load_problems(data)
    return Field(list(train)[: config.size], f"{source}:{path}", len(test), seed)


def field_of_run(config: TrainConfig, model: str, size: int | None, vlm: VLM) -> Field:
    """The first `size` training problems of a run (None: all; of a source that makes them: 600) in the order in which
    it would draw them.

    config: of the run, whose prompts count where they must fit; model: where it would begin. Raises `UserError`.
    """
    own = heldout.own_data(config, State(began=heldout.began(model)), vlm)
    most = own.source.size or size or DataConfig().eval_size
    problems = list(islice(own.source.train(), min(size or most, most)))
    data = config.data
    made = is_made(data.source)
    name = name_of(data.source, data.level, config.seed, noise_of(data)) if made else f"{data.source}:{data.path}"
    return Field(problems, name, len(own.held_out), config.seed)


def sample(
    vlm: VLM, sampler: Sampler, grader: Grader, field: Field, start: int, *, batch: int, samples: int,
    temperature: float, max_tokens: int,
) -> list[Row]:  # fmt: skip
    """The records of a batch of the problems, from `start` on. Seeds go by a problem's place in the whole."""
    return evaluation.evaluate(
        vlm, sampler, grader, field.problems[start : start + batch], samples=samples, temperature=temperature,
        max_tokens=max_tokens, seed=field.seed, batch=batch, greedy=False, first=start,
    ).records  # fmt: skip


def kept(records: Sequence[Row], problems: Sequence[Problem], most: int, chat: Chat = Chat()) -> list[Row]:
    """The shortest `most` right completions of each problem in each language, different ones, with pass rates.

    records: rows of an evaluation (`evaluation.record`); problems: those they are of; chat: how they were put. Programs
    stand between our tags, whatever was around them. pass_rate: share of the problem's completions that are right;
    pass_rate_language: of those in this language. A completion without an end is none to learn from; a problem that was
    never solved has no row.
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
            if len(same) < most and record["finish"] == Finish.STOP.value:
                same.setdefault(key, record)
        for language, programs in chosen.items():
            alike = [r for r in drawn if r["language"] == language]
            rates = {
                "pass_rate": len(right) / len(drawn),
                "pass_rate_language": sum(bool(r["correct"]) for r in alike) / len(alike),
                "samples": len(drawn),
            }
            rows += [_row(problem, record, tagged(record["completion"], chat), rates) for record in programs.values()]
    return rows


def tagged(completion: str, chat: Chat) -> str:
    """A completion with its program between our tags, in place of what stands around it under `chat`."""
    cut = chat.read(completion, True)
    if cut.language is None:
        return completion
    first, last = cut.span
    return f"{completion[:first]}{OPEN[cut.language]}{cut.program}{CLOSE[cut.language]}{completion[last:]}"


def _row(problem: Problem, record: Row, completion: str, rates: Row) -> Row:
    return {
        "problem_id": problem.id,
        "question": problem.question,
        "options": list(problem.options),
        "answer": problem.answer,
        "category": problem.category,
        "completion": completion,
        "language": record["language"],
        "program": record["program"],
        "value_text": record["value_text"],
        "tokens": record["tokens"],
        **rates,
        "translated_from": "",
    }


def translated(
    rows: Sequence[Row], pool: EnginePool, vlm: VLM | None = None, most: int | None = None, judge: Judge | None = None
) -> list[Row]:
    """Rows in Wolfram Language and SymPy once more in nsl, where a translation gives the same value and is right.

    Each translation is run by the engine; it is kept if its value is the source's (by the answer check, either way
    round) and answers the gold. The shortest that does is the row, unless the problem has that program in nsl already.
    vlm: counts tokens; most: rows in nsl that a problem has, its own among them (None: all); judge: of another verifier
    than the answer check, by a row, a completion and its Result.
    """
    judge = judge or (lambda row, text, result: check(result, row["answer"], row["options"]).correct)
    sources = [row for row in rows if row["language"] in ("wolfram", "sympy")]
    texts = [candidates(row["language"], row["program"])[:TRIED] for row in sources]
    running = [[pool.submit("nsl", text) for text in tried] for tried in texts]
    found: list[Row] = []
    own = [row for row in rows if row["language"] == "nsl"]
    seen = {(row["problem_id"], canonical("nsl", row["program"])) for row in own}
    count = Counter(row["problem_id"] for row in own)
    for row, tried, results in zip(sources, texts, running):
        for text, future in zip(tried, results):
            completion = f"{OPEN['nsl']}{text}{CLOSE['nsl']}"
            if not (says_the_same(future.result(), row) and judge(row, completion, future.result())):
                continue
            key = (row["problem_id"], canonical("nsl", text))
            if key not in seen and (most is None or count[row["problem_id"]] < most):
                seen.add(key)
                count[row["problem_id"]] += 1
                tokens = len(vlm.learned_ids(completion)) if vlm is not None else None
                anew = {"completion": completion, "language": "nsl", "program": text, "tokens": tokens}
                found.append({**row, **anew, "translated_from": row["language"]})
            break
    return found


def judge_of(grader: Grader, problems: Sequence[Problem]) -> Judge:
    """Right as the grader's verifiers have it."""
    by_id = {problem.id: problem for problem in problems}
    return lambda row, text, result: grader.judged(by_id[row["problem_id"]], text, extract(text), result).correct


def says_the_same(result: Result, row: Row) -> bool:
    """Whether a translation's value is the value that the source had."""
    if result.status is not Status.OK:
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


def write(path: Path, rows: Sequence[Row], problems: Sequence[Problem], settings: dict[str, Any]) -> None:
    """The rows, none to many, with their problems' pictures (`images`: bytes of lossless PNGs) as parquet, whole or not
    at all.

    A problem's pictures are opened once for its rows, and never more of them held than of `TOGETHER` rows.
    """
    import pyarrow
    from pyarrow import parquet

    by_id = {problem.id: problem for problem in problems}
    types: dict[type, Any] = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64()}
    kinds = {name: types.get(kind) or pyarrow.list_(pyarrow.string()) for name, kind in COLUMNS.items()}
    picture = pyarrow.list_(pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())]))
    schema = pyarrow.schema([*kinds.items(), ("images", picture)], metadata={SETTINGS: json.dumps(settings)})
    table = pyarrow.Table.from_pylist(
        [{k: writable(v) if isinstance(v, str) else v for k, v in r.items()} for r in rows],
        schema=schema.remove(len(COLUMNS)),
    )
    with replacing(path) as working, parquet.ParquetWriter(working, schema) as writer:
        for start in range(0, len(rows), TOGETHER):
            some = [pictures(by_id[row["problem_id"]]) for row in rows[start : start + TOGETHER]]
            part = table.slice(start, TOGETHER).append_column("images", pyarrow.array(some, picture))
            writer.write_table(part.cast(schema))


def pictures(problem: Problem) -> list[Row]:
    """A problem's pictures as a column of a table holds them: {bytes, path}, lossless PNG."""
    out = []
    for image in problem.images:
        buffer = io.BytesIO()
        image.open().save(buffer, format="PNG")
        out.append({"bytes": buffer.getvalue(), "path": None})
    return out


def summary(records: Sequence[Row], found: Sequence[Row], said_anew: Sequence[Row]) -> str:
    """A line for each language: what was sampled, right, kept, and said in nsl; and how many problems were solved."""
    head = f"{'language':10}{'sampled':>9}{'right':>9}{'kept':>9}{'in nsl':>9}"
    lines = [head]
    for language in dict.fromkeys(sorted(r["language"] for r in records)):
        of = [r for r in records if r["language"] == language]
        counts = (
            len(of),
            sum(bool(r["correct"]) for r in of),
            sum(r["language"] == language for r in found),
            sum(r["translated_from"] == language for r in said_anew),
        )
        lines.append(f"{language:10}" + "".join(f"{count:9,}" for count in counts))
    solved = len({r["problem_id"] for r in found})
    lines.append(f"solved: {solved:,} of {len({r['problem_id'] for r in records}):,} problems")
    return "\n".join(lines)
