"""How many tokens the same answers cost in each surface form ("arm").

Reads a JSON file of problems (a list, or an object with `problems`), each with the programs of its arms as text fields,
and a tokenizer; counts the program alone, and with its delimiters as single added tokens.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nsrl.engines.languages import CLOSE, LANGUAGES, OPEN, TOKENS
from nsrl.errors import MissingBackend, UserError

_NO_ARMS = {"id", "category", "problem", "question", "expected", "answer", "gold"}
BASELINES = ("sympy", "sympy_min")


def read_problems(file: str) -> list[dict[str, Any]]:
    """The problems of a file. Raises UserError."""
    try:
        text = Path(file).read_text(encoding="utf-8")
        data = json.loads(text)
    except OSError as error:
        raise UserError(f"FILE cannot be read: {error}") from error
    except ValueError as error:
        raise UserError(f"FILE must be JSON: {error}") from error
    problems = data.get("problems") if isinstance(data, dict) else data
    if not isinstance(problems, list) or not problems or not all(isinstance(item, dict) for item in problems):
        raise UserError("FILE must hold a list of problems, or an object whose field `problems` is one")
    return problems


def open_tokenizer(name: str, option: str) -> Any:
    """A tokenizer from a folder with tokenizer.json, such a file, or an id of a model hub; option: what gave the name.
    Raises UserError."""
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise MissingBackend(f"{option} needs the Python package tokenizers, which is not installed") from error
    path = Path(name)
    file = path / "tokenizer.json" if path.is_dir() else path
    # The library reports a bad file or an unknown id by plain Exceptions: tell the two ways apart by what is asked.
    if file.is_file():
        try:
            return Tokenizer.from_file(str(file))
        except Exception as error:
            raise UserError(f"{option}: {file} is no tokenizer: {error}") from error
    if path.exists():
        raise UserError(f"{option} must be a folder with tokenizer.json, or an id; {name} has none")
    try:
        return Tokenizer.from_pretrained(name)
    except Exception as error:
        raise UserError(f"{option}: neither a folder here nor an id that can be loaded: {name}") from error


def arms_of(problems: list[dict[str, Any]]) -> list[str]:
    """The arms: text fields that hold programs, in the order they first appear."""
    arms: dict[str, None] = {}
    for problem in problems:
        for name, value in problem.items():
            if isinstance(value, str) and name not in _NO_ARMS and not name.endswith("_output"):
                arms[name] = None
    return list(arms)


def language_of(arm: str) -> str:
    """The language an arm's programs are delimited by: by its first word, wl meaning wolfram."""
    first = arm.split("_")[0]
    return {"wl": "wolfram", "python": "sympy"}.get(first, first if first in LANGUAGES else "nsl")


def count(tokenizer: Any, problems: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per arm: programs, mean tokens alone and with delimiters, and the ratio to each SymPy engine.

    A ratio is taken over the problems that both arms solve: mean of tokens(arm)/tokens(baseline), and of the totals.
    """
    tokenizer.add_special_tokens(list(TOKENS))
    arms = arms_of(problems)
    plain: dict[str, dict[int, int]] = {arm: {} for arm in arms}
    tagged: dict[str, dict[int, int]] = {arm: {} for arm in arms}
    for number, problem in enumerate(problems):
        for arm in arms:
            if isinstance(problem.get(arm), str):
                text, language = problem[arm], language_of(arm)
                encode = lambda piece: len(tokenizer.encode(piece, add_special_tokens=False).ids)
                plain[arm][number] = encode(text)
                tagged[arm][number] = encode(f"{OPEN[language]}{text}{CLOSE[language]}")
    rows = []
    for arm in arms:
        size = len(plain[arm])
        row: dict[str, Any] = {
            "arm": arm, "programs": size, "tokens": sum(plain[arm].values()) / size,
            "with_delimiters": sum(tagged[arm].values()) / size,
        }  # fmt: skip
        for base in BASELINES:
            both = [n for n in plain[arm] if plain.get(base, {}).get(n)]
            if both:
                row[f"vs_{base}"] = sum(plain[arm][n] / plain[base][n] for n in both) / len(both)
                row[f"total_vs_{base}"] = sum(plain[arm][n] for n in both) / sum(plain[base][n] for n in both)
        rows.append(row)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as text for a person."""
    head = ["arm", "programs", "tokens", "with delimiters"]
    head += [name for base in BASELINES for name in (f"mean of ratios to {base}", f"total to {base}")]
    keys = [name for base in BASELINES for name in (f"vs_{base}", f"total_vs_{base}")]
    lines = [head]
    for row in rows:
        cells = [row["arm"], str(row["programs"]), f"{row['tokens']:.1f}", f"{row['with_delimiters']:.1f}"]
        lines.append(cells + [f"{100 * row[key]:.0f}%" if key in row else "-" for key in keys])
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.rjust(w) if i else cell.ljust(w) for i, (cell, w) in enumerate(zip(line, widths)))
        for line in lines
    )
