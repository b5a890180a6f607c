"""The visual-math problems as programs: right answers, few tokens."""

import base64
import importlib.util
import json
import sys
from pathlib import Path

import pytest

from nsrl.engines.nsl import evaluate
from nsrl.engines.result import Status

sys.path.insert(0, str(Path(__file__).parent))
from problems import MORE, PROBLEMS, SYMPY_TOKENS


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_twelve(name):
    program, expected, _ = PROBLEMS[name]
    result = evaluate(program)
    assert (result.status, result.text) == (Status.OK, expected)


@pytest.mark.parametrize("program,expected", [(p, e) for _, p, e in MORE])
def test_more_of_the_kind(program, expected):
    result = evaluate(program)
    assert (result.status, result.text) == (Status.OK, expected)


FORMS = [
    line.replace("\\n", "\n").rsplit(" | ", 1)
    for line in (Path(__file__).parent / "programs.txt").read_text().splitlines()
]


@pytest.mark.parametrize("program,expected", FORMS, ids=[p for p, _ in FORMS])
def test_as_people_write_it(program, expected):
    result = evaluate(program)
    assert (result.status, result.text) == (Status.OK, expected)


def test_the_twelve_cost_a_quarter_of_sympy():
    nsl, sympy = sum(n for *_, n in PROBLEMS.values()), sum(SYMPY_TOKENS.values())
    ratio = sum(n / SYMPY_TOKENS[k] for k, (*_, n) in PROBLEMS.items()) / len(PROBLEMS)
    print(f"\nnsl {nsl} tokens, SymPy {sympy} ({nsl / sympy:.1%}); mean of the ratios {ratio:.1%}")
    assert (nsl, sympy) == (142, 602) and ratio <= 0.25  # the numbers of docs/nsl.md


def test_the_twelve_are_the_recorded_ones(shared_data):
    recorded = {p["id"]: p for p in json.loads((shared_data / "token_problems.json").read_text())["problems"]}
    assert recorded.keys() == PROBLEMS.keys()
    assert {k: p["tokens"]["sympy"] for k, p in recorded.items()} == SYMPY_TOKENS


def _qwen_tokens(text: str, ranks: dict[bytes, int], pattern) -> int:
    count = 0
    for word in pattern.findall(text):
        parts = [bytes([b]) for b in word.encode()]
        while len(parts) > 1:
            pairs = [(ranks.get(parts[i] + parts[i + 1], 1 << 60), i) for i in range(len(parts) - 1)]
            rank, i = min(pairs)
            if rank == 1 << 60:
                break
            parts[i : i + 2] = [parts[i] + parts[i + 1]]
        count += len(parts)
    return count


def test_recorded_token_counts_are_the_tokenizer_s():
    spec = importlib.util.find_spec("dashscope")
    if spec is None or spec.origin is None:
        pytest.skip("the package dashscope, which carries Qwen's token table, is not installed")
    regex = pytest.importorskip("regex")
    table = Path(spec.origin).parent / "resources" / "qwen.tiktoken"
    lines = [line.split() for line in table.read_bytes().splitlines() if line]
    ranks = {base64.b64decode(a): int(b) for a, b in lines}
    pattern = regex.compile(
        r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
    )
    assert {k: _qwen_tokens(p, ranks, pattern) for k, (p, _, _) in PROBLEMS.items()} == {
        k: n for k, (_, _, n) in PROBLEMS.items()
    }
