"""Commands: run one program, run a file of them, count tokens, say what is here."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import IO, Any

from nsrl.engines import LANGUAGES, EnginePool, Limits, Result, external, languages
from nsrl.engines.backend import Backend
from nsrl.engines.pool.pool import check_limits
from nsrl.errors import UserError, program

_HELP = {
    "steps": "evaluation steps (nsl, wolfram)", "depth": "nesting of an evaluation (nsl, wolfram)",
    "integer_digits": "decimal digits of an integer", "list_length": "elements of a list (nsl, wolfram)",
    "cpu_s": "CPU seconds of a program", "wall_s": "seconds of a program by the clock",
    "memory_mb": "MiB a program may add to its worker's memory", "output_bytes": "characters of output and value",
}  # fmt: skip
_WINDOW = 5_000  # programs of a batch that are read ahead of the oldest unfinished one


def parser() -> argparse.ArgumentParser:
    """The command line, complete."""
    top = argparse.ArgumentParser(prog=program("engines"), description=__doc__)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run the program on standard input; its Result as JSON on standard output")
    batch = commands.add_parser(
        "batch", help="run JSON lines with fields id and program from standard input; Results in the same order",
        description="Reads one JSON object per line with the fields `id` and `program`; writes one per line: `id` and "
        "the fields of its Result, in the order read. Progress goes to standard error. A line that is no such object "
        "ends the batch with exit code 2, after the Results of the lines before it.",
    )  # fmt: skip
    for command in (run, batch):
        command.add_argument("--language", required=True, choices=LANGUAGES, help="what the program is written in")
        command.add_argument(
            "--backend", default=external.EMBEDDED, metavar="NAME",
            help=f"embedded (default), or for wolfram an engine of others: {', '.join(external.EXTERNAL)}; NAME=PATH "
            "says where its command is (of mathics: the Python that has it)",
        )  # fmt: skip
        command.add_argument("--timing", action="store_true", help="also print cpu_ms, the field that differs by run")
        command.add_argument(
            "--allow-unsandboxed", action="store_true", help="run although the system gives no sandbox of its own"
        )
        bounds = command.add_argument_group("limits of a program")
        for item in fields(Limits):
            kind = float if isinstance(item.default, float) else int
            flag = "--" + item.name.replace("_", "-")
            bounds.add_argument(
                flag, type=kind, default=item.default, metavar="N", help=f"{_HELP[item.name]} (default %(default)s)"
            )
    batch.add_argument("--workers", type=int, default=2, metavar="N", help="programs at once (default %(default)s)")
    batch.add_argument("--quiet", action="store_true", help="no progress on standard error")
    count = commands.add_parser("tokens", help="count the tokens of programs per arm", description=(
        "Counts tokens of the programs in FILE (JSON: a list of problems, or an object with `problems`; each text "
        "field "
        "of a problem is an arm) and prints a table: tokens alone, with their delimiters as single added tokens, and "
        "as a share of both SymPy arms."
    ))  # fmt: skip
    count.add_argument(
        "--tokenizer", required=True, metavar="DIR_OR_ID", help="folder with tokenizer.json, or a hub id"
    )
    count.add_argument("--json", action="store_true", help="rows as JSON instead of a table")
    count.add_argument("file", metavar="FILE", help="JSON file of problems")
    agree = commands.add_parser("agree", help="run the programs of a file on several engines, and compare their values",
        description="Runs every program of FILE on each engine and compares values by the answer check, each engine "
        "against the first. FILE: JSON lines or a list with the field `program` (and `id`, `expected` where known).",
    )  # fmt: skip
    agree.add_argument("file", metavar="FILE", help="programs")
    agree.add_argument("--language", default="wolfram", choices=["wolfram"], help="what they are written in")
    agree.add_argument("--backends", required=True, metavar="A,B[,…]", help="as --backend, several by comma: "
                       "embedded,mathics=DIR/bin/python")  # fmt: skip
    agree.add_argument("--workers", type=int, default=2, metavar="N", help="programs at once (default %(default)s)")
    agree.add_argument("--cpu-s", type=float, default=10.0, metavar="N", help="CPU seconds of a program (default 10)")
    agree.add_argument("--wall-s", type=float, default=20.0, metavar="N", help="seconds of a program (default 20)")
    agree.add_argument("--json", action="store_true", help="a row per program as JSON")
    here = commands.add_parser("list", help="engines on this machine, their versions, and the sandbox layers in force")
    here.add_argument("--json", action="store_true", help="as JSON")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run a command. Returns its exit code: 0, or 2 for bad input (one sentence on standard error)."""
    chosen = parser().parse_args(arguments)
    commands = {"run": _run, "batch": _batch, "tokens": _tokens, "agree": _agree, "list": _list}
    try:
        commands[chosen.command](chosen)
        sys.stdout.flush()
    except UserError as error:
        sys.stdout.flush()
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    return 0


def _limits(chosen: argparse.Namespace) -> Limits:
    return check_limits(Limits(**{item.name: getattr(chosen, item.name) for item in fields(Limits)}))


def _write(data: Any, out: Any, indent: int | None = None) -> None:
    text = json.dumps(data, ensure_ascii=False, indent=indent)
    # A lone surrogate has no UTF-8; its escape is the same JSON.
    out.buffer.write(text.encode("utf-8", "backslashreplace") + b"\n")


class _Runner:
    """Programs to futures, on our pool or on an engine of others."""

    def __init__(
        self, backend: str, language: str, limits: Limits, workers: int = 1, allow_unsandboxed: bool = False
    ) -> None:
        if workers < 1:
            raise UserError(f"--workers must be at least 1; got {workers}")
        name, _, command = backend.partition("=")
        if name == external.EMBEDDED:
            languages.require(language)
            pool = EnginePool(workers, limits, languages=[language], allow_unsandboxed=allow_unsandboxed)
            self.submit: Callable[[str], Future[Result]] = partial(pool.submit, language)
            self.close: Callable[[], None] = pool.close
            return
        if language != "wolfram":
            raise UserError(f"--backend {name} runs the language wolfram only; got --language {language}")
        other = Backend(name, command or None, workers, limits)
        self.submit, self.close = other.submit, other.close

    def __enter__(self) -> _Runner:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _run(chosen: argparse.Namespace) -> None:
    with _Runner(chosen.backend, chosen.language, _limits(chosen), 1, chosen.allow_unsandboxed) as runner:
        # Bytes that are no UTF-8 become replacement characters: the engine then says what is wrong with them.
        program = sys.stdin.buffer.read().decode("utf-8", "replace")
        result = runner.submit(program).result()
    _write(result.to_json(timing=chosen.timing), sys.stdout, indent=2)


def _lines(source: IO[bytes]) -> Iterator[tuple[Any, str]]:
    """(id, program) of each line. Raises UserError that names the line."""
    for number, line in enumerate(source, 1):
        text = line.decode("utf-8", "replace").strip()
        if not text:
            continue
        wanted = f"line {number}: expected a JSON object with the fields id and program (a text)"
        try:
            row = json.loads(text)
        except (ValueError, RecursionError):
            raise UserError(f"{wanted}; got {text[:60]!r}") from None
        if not isinstance(row, dict) or "id" not in row or not isinstance(row.get("program"), str):
            got = f"the fields {', '.join(map(str, row)) or 'none'}" if isinstance(row, dict) else type(row).__name__
            raise UserError(f"{wanted}; got {got}")
        yield row["id"], row["program"]


def _batch(chosen: argparse.Namespace) -> None:
    started = told = time.monotonic()
    statuses: Counter[str] = Counter()
    waiting: deque[tuple[Any, Future[Result]]] = deque()

    def report(last: bool = False) -> None:
        nonlocal told
        now = time.monotonic()
        if chosen.quiet or (not last and now - told < 1):
            return
        told = now
        done = sum(statuses.values())
        shares = ", ".join(f"{name} {count}" for name, count in statuses.most_common())
        rate = done / max(now - started, 1e-9)
        print(f"{done} programs in {now - started:.1f} s ({rate:.0f}/s): {shares or 'none'}", file=sys.stderr)

    def drain(down_to: int) -> None:
        while waiting and (len(waiting) > down_to or waiting[0][1].done()):
            name, future = waiting.popleft()
            result = future.result()
            statuses[result.status.value] += 1
            _write({"id": name, **result.to_json(timing=chosen.timing)}, sys.stdout)
            report()

    with _Runner(chosen.backend, chosen.language, _limits(chosen), chosen.workers, chosen.allow_unsandboxed) as runner:
        try:
            for name, program in _lines(sys.stdin.buffer):
                waiting.append((name, runner.submit(program)))
                drain(_WINDOW)
        except UserError:
            drain(0)
            report(last=True)
            raise
        drain(0)
        report(last=True)


def _tokens(chosen: argparse.Namespace) -> None:
    from nsrl.engines import token_counts

    rows = token_counts.count(
        token_counts.open_tokenizer(chosen.tokenizer, "--tokenizer"), token_counts.read_problems(chosen.file)
    )
    if chosen.json:
        _write(rows, sys.stdout, indent=2)
    else:
        print(token_counts.table(rows))


def _agree(chosen: argparse.Namespace) -> None:
    from nsrl.answers.agreement import OUTCOMES, agreement

    rows, names = _programs(chosen.file), [name.strip() for name in chosen.backends.split(",")]
    if len(names) < 2:
        raise UserError(f"--backends must name two or more; got {chosen.backends!r}")
    limits = check_limits(Limits(cpu_s=chosen.cpu_s, wall_s=chosen.wall_s))
    results: list[list[Result]] = []
    for name in names:  # one after the other: they would hold up each other's programs
        with _Runner(name, chosen.language, limits, chosen.workers, allow_unsandboxed=True) as runner:
            futures = [runner.submit(row["program"]) for row in rows]
            results.append([future.result() for future in futures])
    shown = [name.partition("=")[0] for name in names]
    found = [[agreement(first, other) for first, other in zip(results[0], others)] for others in results[1:]]
    if chosen.json:
        for row, ended, *outcomes in zip(rows, zip(*results), *found):
            values = {name: [result.status.value, result.text] for name, result in zip(shown, ended)}
            _write({**row, "values": values, "agreement": outcomes}, sys.stdout)
        return
    for name, others, outcomes in zip(shown[1:], results[1:], found):
        counts = [f"{outcome} {outcomes.count(outcome)}" for outcome in OUTCOMES]
        print(f"{shown[0]} against {name}, {len(rows)} programs: {', '.join(counts)}")
        for row, first, other, outcome in zip(rows, results[0], others, outcomes):
            if outcome == "differ":
                print(f"\n{row['id']}: {' '.join(row['program'].split())[:300]}")
                for engine, result in ((shown[0], first), (name, other)):
                    print(f"    {engine:14} {result.status.value:8} {result.text[:200]}")
                if isinstance(row.get("expected"), str):
                    print(f"    {'expected':14} {'':8} {row['expected'][:200]}")


def _programs(file: str) -> list[dict[str, Any]]:
    """The rows of a file that hold a program: JSON lines, a list, or an object with lists. Raises UserError."""
    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"FILE cannot be read: {error}") from None
    try:
        data: Any = json.loads(text)
    except ValueError:
        data = [row for row in map(_row, text.splitlines()) if row is not None]
    data = [data] if isinstance(data, dict) and "program" in data else data
    lists = data.values() if isinstance(data, dict) else [data]
    found = [row for rows in lists if isinstance(rows, list) for row in rows if isinstance(row, dict)]
    rows = [{"id": n, **row} for n, row in enumerate(found, 1) if isinstance(row.get("program"), str)]
    if not rows:
        raise UserError(f"FILE must hold programs: JSON lines or a list with the field `program`; {file} has none")
    return rows


def _row(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _list(chosen: argparse.Namespace) -> None:
    engines = []
    for language in LANGUAGES:
        here = languages.present(language)
        row = {
            "engine": external.EMBEDDED,
            "language": language,
            "present": here,
            "version": languages.version(language) if here else None,
        }
        engines.append(row if here else {**row, "needs": "the package sympy: pip install 'nsrl[train]'"})
    for name, engine in external.EXTERNAL.items():
        here = engine.find() is not None
        row = {"engine": name, "language": "wolfram", "present": here, "version": engine.version() if here else None}
        engines.append(row if here else {**row, "needs": engine.wanted})
    walls = _walls()
    if chosen.json:
        _write({"engines": engines, "sandbox": walls}, sys.stdout, indent=2)
        return
    for row in engines:
        state = row["version"] if row["present"] else f"absent: needs {row['needs']}"
        print(f"{row['language']:8} {row['engine']:14} {state}")
    for kind, wall in walls.items():
        print(
            f"sandbox of {kind} workers: {', '.join(wall['layers']) or 'none'}; absent: "
            f"{', '.join(wall['absent']) or 'none'}"
        )


def _walls() -> dict[str, Any]:
    """The layers in force, by kind of worker: from the self-test of workers started for it."""
    from nsrl.engines.pool.sandbox import LAYERS

    walls: dict[str, Any] = {}
    if not any(map(languages.present, LANGUAGES)):
        return walls
    with EnginePool(workers=1, allow_unsandboxed=True) as pool:
        for language in pool.languages:
            pool.run(language, "1")  # its workers have said hello by then
        for kind, found in sorted(pool.sandbox.items()):
            walls[kind] = {**found, "absent": [layer for layer in LAYERS if layer not in found["layers"]]}
    return walls


if __name__ == "__main__":
    sys.exit(main())
