"""What a model or a program writes, whatever characters it holds, reaches the parquet, the JSON and the page."""

import json
import random

import pytest
from pyarrow import parquet

from nsrl.engines import Limits, Result, Status, extract
from nsrl.engines.pool import protocol
from nsrl.engines.result import writable
from nsrl.report import write_report
from nsrl.rollout.types import Finish, Sample
from nsrl.trainer.evaluation import record, summarise
from nsrl.trainer.folder import RunFolder, write
from nsrl.trainer.grader import Grader
from nsrl.types import Problem

PIECES = [
    "\ud83d",
    "\udc00",
    "\udfff\ud800",
    "\x00",
    "\x1b[31m",
    "\ufffe",
    "\u202e",
    "</script>",
    "\U0010ffff",
    "e\u0301",
    "\r\n",
    "5",
    " ",
    "\\boxed{",
    "}",
    '"',
    "'",
]


SAMPLED = Sample.single([1, 2, 3], [-1.0, -1.0, -1.0], Finish.STOP)


def hostile(rng):
    return "".join(rng.choice(PIECES) for _ in range(rng.randint(1, 6)))


def completions(rng):
    """Direct answers, and programs of each language that hold or print such text."""
    yield from (
        '<wolfram>"\\:d83d"</wolfram>',
        '<sympy>print("\\ud83d")</sympy>',
        "<sympy>print(chr(0xdc80) * 3); 1/0</sympy>",
        "\ud83d",
        "\\boxed{\udc00}",
    )
    for _ in range(12):
        text = hostile(rng)
        yield text
        yield f"<nsl>{text}</nsl>"
        yield f'<wolfram>"{text}"</wolfram>'
        yield f"<sympy>print({text!r})</sympy>"


def test_hostile_text_reaches_every_file(pool, tmp_path):
    rng = random.Random()
    texts = list(completions(rng))
    problem = Problem("p\ud83d", "what is \udc00?", answer="5", category="c\ud83d", images=())
    graded = Grader(pool).collect(Grader(pool).submit(problem, texts))
    assert [j.result.text for j in graded[:2]] == ["\ufffd", "\ufffd"] and graded[0].result.status is Status.OK
    for j in graded:
        assert j.correct in (True, False) and (
            j.result is None or all(map(clean, (j.result.text, j.result.stdout, *map(str, j.result.messages))))
        )
    rows = [record(problem, j, 3, SAMPLED, n, {}) | {"reward": 0.0} for n, j in enumerate(graded)]
    folder = RunFolder(tmp_path)
    (tmp_path / "completions").mkdir()
    (tmp_path / "eval").mkdir()
    folder.write_records("completions/step_000001.parquet", rows)
    back = parquet.read_table(tmp_path / "completions" / "step_000001.parquet").to_pylist()
    assert [r["completion"] for r in back] == [writable(t) for t in texts]
    folder.write_json("eval/final.json", {"accuracy": summarise(rows).accuracy, "rows": rows})
    assert json.loads((tmp_path / "eval" / "final.json").read_text(encoding="utf-8"))
    write(tmp_path / "metrics.jsonl", json.dumps({"phase": "grpo", "step": 1, "reward": 0.0}) + "\n")
    write_report(tmp_path)
    assert (tmp_path / "report.html").read_text(encoding="utf-8")


def clean(text):
    return text == writable(text) and bool(text.encode() or True)


def test_a_result_from_a_worker_holds_no_lone_surrogate():
    bad = Result(Status.OK, "\ud83d", ["String", "a\udc00"], stdout="\udfff", repairs=("\ud800",))
    got = protocol.decode_result(protocol.encode_result(bad), "e", "1", Limits())
    assert (got.text, got.value, got.stdout, got.repairs) == ("\ufffd", ["String", "a\ufffd"], "\ufffd", ("\ufffd",))
    nested = json.dumps(["ok", "1", None, [], "", 0, 0.0, []]).replace("null", "[" * 900 + "]" * 900).encode()
    with pytest.raises(protocol.BadFrame):
        protocol.decode_result(nested, "e", "1", Limits())


def test_a_program_with_lone_surrogates_is_answered(pool):
    cut = extract("<wolfram>\ud83d + 1</wolfram>")
    assert pool.run(cut.language, cut.program).status is not None
