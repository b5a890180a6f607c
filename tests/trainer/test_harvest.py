"""What is kept of a harvest, and what is said again in nsl."""

import random

import pytest
from pyarrow import parquet

from nsrl import harvest as command
from nsrl.config import HarvestConfig, TrainConfig, parse
from nsrl.config.keys import keys
from nsrl.data import load
from nsrl.data.shapes import Shapes
from nsrl.engines import EnginePool
from nsrl.errors import UserError
from nsrl.trainer.harvest import canonical, kept, translated
from nsrl.trainer.run import Run
from nsrl.types import Problem


def record(problem, completion, correct, language="nsl", program=None, tokens=5, value="4"):
    return {"problem_id": problem, "completion": completion, "correct": correct, "language": language,
            "program": completion if program is None else program, "tokens": tokens, "value_text": value,
            "finish": "stop"}  # fmt: skip


def test_the_shortest_right_ones_are_kept_once_with_their_rates():
    problems = [Problem("a", "2+2?", "4"), Problem("b", "never?", "5"), Problem("c", "?", None)]
    records = [
        record("a", "2+2", True, tokens=3),
        record("a", "2 + 2", True, tokens=4),  # the same program
        record("a", "1+3", True, tokens=4),
        record("a", "8-4", True, tokens=9),
        record("a", "5", False, tokens=1),
        record("a", "Plus[2,2]", True, "wolfram", tokens=7),
        record("a", "Plus[1,2]", False, "wolfram", tokens=7),
        record("b", "4", False),
        record("c", "4", None),
    ]
    random.Random(0).shuffle(records)
    rows = kept(records, problems, most=2)
    assert [(r["language"], r["program"]) for r in rows if r["language"] == "nsl"] == [("nsl", "2+2"), ("nsl", "1+3")]
    assert [r["program"] for r in rows if r["language"] == "wolfram"] == ["Plus[2,2]"]
    assert {r["problem_id"] for r in rows} == {"a"}
    assert {r["pass_rate"] for r in rows} == {5 / 7}
    assert [r["pass_rate_language"] for r in rows] == [4 / 5, 4 / 5, 1 / 2]


@pytest.mark.parametrize("language, one, other, equal", [
    ("sympy", "print( 1+2 )", "print(1 + 2)  # three", True), ("sympy", "print(3)", "print(1+2)", False),
    ("wolfram", "f := Module[{a}, a = 2; a + 1];", "a=2; a+1", True), ("nsl", "x=2; x+1", "x=2;x+1", True),
    ("direct", "4 ", "4", True), ("sympy", "x = = 1", "x = =  1", True), ("wolfram", "f[[", "f[[", True),
])  # fmt: skip
def test_two_texts_of_one_program_are_one(language, one, other, equal):
    assert (canonical(language, one) == canonical(language, other)) is equal


def test_a_translation_has_the_value_of_its_source():
    row = {"problem_id": "a", "answer": "12", "options": [], "value_text": "12", "tokens": 30, "translated_from": ""}
    module = "f := Module[{a}, a = {3, 4, 5}; Total[a]];"
    rows = [
        {**row, "language": "wolfram", "program": module, "completion": ""},
        {**row, "language": "sympy", "program": "a = [3, 4, 5]\nprint(sum(a))", "completion": ""},  # the same again
        {**row, "language": "sympy", "program": "print(max(3, 12))", "completion": "", "problem_id": "b"},
        {**row, "language": "sympy", "program": "print(3*5)", "completion": "", "problem_id": "c"},  # not the gold
        {**row, "language": "wolfram", "program": "3*4", "completion": "", "value_text": "13", "problem_id": "d"},
        {**row, "language": "nsl", "program": "3*4", "completion": "<nsl>3*4</nsl>"},
        {**row, "language": "nsl", "program": "4 * 3", "completion": "<nsl>4 * 3</nsl>", "problem_id": "e"},
        {**row, "language": "sympy", "program": "print(4*3)", "completion": "", "problem_id": "e"},  # it has that
    ]
    with EnginePool(workers=1, languages=["nsl"]) as pool:
        found = translated(rows, pool)
        assert [r["problem_id"] for r in translated(rows, pool, most=1)] == ["b"]  # the others have one in nsl
    assert [(r["problem_id"], r["program"], r["translated_from"]) for r in found] == [
        ("a", "sum{3,4,5}", "wolfram"), ("b", "max{3,12}", "sympy"),
    ]  # fmt: skip
    assert found[0]["completion"] == "<nsl>sum{3,4,5}</nsl>"


def test_what_stands_in_the_place_of_the_parts_is_refused(tmp_path):
    (tmp_path / "a.parquet.parts").symlink_to(tmp_path)
    with pytest.raises(UserError, match="output needs the folder '.*a.parquet.parts' for what is sampled; something"):
        command.main([f"model={tmp_path}", f"output={tmp_path / 'a.parquet'}"])


def harvested(model, output, *argv):
    assert command.main([f"model={model}", f"output={output}", *argv]) == 0
    return parquet.read_table(output).drop(["images"]).to_pylist()


@pytest.mark.long
def test_every_key_of_a_harvest_and_an_interrupted_one(tmp_path, monkeypatch, capsys):
    """On a small model that was taught Wolfram Language alone, and little of it."""
    run = tmp_path / "run"
    Run(parse(TrainConfig, [
        f"output_dir={run}", "warm_start.reading_steps=150", "warm_start.steps=200", "warm_start.optimizer=muon",
        "warm_start.languages={wolfram: 1}", "max_steps=0", "data.eval_size=30", "seed=3", "preflight=false",
    ], "test")).execute()  # fmt: skip
    rows = harvested(run, tmp_path / "a.parquet", "size=40", "samples=4", "translate=true", "batch=16")
    assert {r["language"] for r in rows} == {"wolfram", "nsl"} and {r["samples"] for r in rows} == {4}
    sources = {r["problem_id"]: r for r in rows if r["language"] == "wolfram"}
    lessons = [r for r in rows if r["language"] == "nsl"]
    assert len(lessons) > 0.9 * len(sources) > 9 and {r["translated_from"] for r in lessons} == {"wolfram"}
    assert sum(r["tokens"] for r in lessons) < 0.6 * sum(sources[r["problem_id"]]["tokens"] for r in lessons)
    with EnginePool(workers=1, languages=["nsl"]) as pool:
        assert {result.status.value for result in pool.map("nsl", [r["program"] for r in lessons])} == {"ok"}
    held_out = {(p.question, p.images[0].key) for p in Shapes(1, 3, 30).test()}
    read = load("hf", tmp_path / "a.parquet")
    assert len(read) == len(rows) and not held_out & {(p.question, p.images[0].key) for p in read}
    drawn = {p.id for p, _ in zip(Shapes(1, 3, 30).train(), range(40))}
    assert {r["problem_id"] for r in rows} <= drawn

    # Stopped in the third batch, it goes on with it; another way of sampling begins anew.
    whole = command.write_parquet
    calls = []

    def stop(path, *rest):
        calls.append(path.name)
        if len(calls) == 3:
            raise KeyboardInterrupt
        whole(path, *rest)

    argv = ("size=40", "samples=4", "keep=2", "languages=[wolfram]", "batch=16")
    monkeypatch.setattr(command, "write_parquet", stop)
    with pytest.raises(KeyboardInterrupt):
        harvested(run, tmp_path / "b.parquet", *argv)
    mine = tmp_path / "b.parquet.parts" / "mine.txt"
    mine.touch()
    again = harvested(run, tmp_path / "b.parquet", *argv)
    assert len(calls) == 4 and not (tmp_path / "a.parquet.parts").exists() and list(mine.parent.iterdir()) == [mine]
    monkeypatch.undo()
    assert {r["problem_id"]: r["tokens"] for r in reversed(again)} == {p: r["tokens"] for p, r in sources.items()}
    assert {r["language"] for r in again} == {"wolfram"} and len(again) > len(sources)

    others = {
        "seed=9": {r["problem_id"] for r in again}, "level=2": None, "held_out=200": None, "temperature=0.3": None,
        "max_completion_length=20": None, "data=shapes": None,
    }  # fmt: skip
    for key in others:
        capsys.readouterr()
        try:
            found = harvested(run, tmp_path / f"{key}.parquet", "size=12", "samples=2", key)
        except UserError as error:  # answers of 20 tokens hold no program
            assert key.startswith("max_completion") and "was right" in str(error)
            continue
        printed = capsys.readouterr().out
        assert ("level 2" in printed) == (key == "level=2") and ("200 are held" in printed) == (key == "held_out=200")
        assert found
    with pytest.raises(UserError, match="no harvest"):
        (tmp_path / "c.parquet").write_text("mine")
        harvested(run, tmp_path / "c.parquet")
    assert {"model", "output", "dtype", "device", "max_pixels"} < keys(HarvestConfig).keys()


@pytest.mark.long
def test_nsl_is_learned_from_translations(tmp_path):
    """Lessons, cold start and GRPO of a small model that was taught Wolfram Language alone: no less accurate at half
    of the tokens."""
    first, second = tmp_path / "wolfram", tmp_path / "nsl"
    common = ["threads=2", "data.eval_size=100", "eval_samples=2", "warm_start.optimizer=muon", "preflight=false"]
    before = Run(parse(TrainConfig, [
        f"output_dir={first}", "warm_start.languages={wolfram: 1}", "warm_start.steps=200", "max_steps=0", *common,
    ], "test")).execute()  # fmt: skip
    rows = harvested(first, tmp_path / "lessons.parquet", "size=2000", "samples=2", "translate=true", "languages=[nsl]")
    assert {row["language"] for row in rows} == {"nsl"} and len(rows) > 1500
    after = Run(parse(TrainConfig, [
        f"output_dir={second}", f"model.name={first}", f"demonstrations.path={tmp_path / 'lessons.parquet'}",
        "warm_start.steps=150", "max_steps=20", *common,
    ], "test")).execute()  # fmt: skip
    assert after["language_share"]["before"]["nsl"] > 0.9
    assert after["accuracy_final"] >= before["accuracy_final"] > 0.5
    assert after["mean_output_tokens"]["after"] < 0.52 * before["mean_output_tokens"]["after"]


@pytest.mark.parametrize("argv, words", [
    (["output=a.json"], "output must end in .parquet"), (["output=a.parquet", "keep=9"], "keep must be at most"),
    (["output=a.parquet", "languages=[latin]"], "languages must be among"), ([], "output"),
    (["output=a.parquet", "data=hf:rows", "level=2"], "level cannot act"),
])  # fmt: skip
def test_one_sentence_before_anything_is_loaded(argv, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=words) as error:
        command.main(["model=runs/none", *argv])
    assert "\n" not in str(error.value)
