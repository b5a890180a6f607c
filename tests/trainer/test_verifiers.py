"""Runs whose right and wrong is the user's own: on rows that no answer check can read, in training and after it."""

import json

import pytest
from pyarrow import parquet

from nsrl import eval as evaluate
from nsrl import harvest, solve
from nsrl.errors import UserError
from nsrl.train import main

RECIPE = """
from nsrl.rewards import Verdict, gold_of

def early(problem, text, extracted, result):
    '''Right is a text whose first letter comes early in the alphabet, which the gold says in a mapping.'''
    share = sum(c in gold_of(problem)["letters"] for c in text) / max(1, len(text))
    return Verdict(share > 0.2, "early", share)

async def never(problem, text, extracted, result):
    return Verdict(False, "never")

def unknown(problem, text, extracted, result):
    return Verdict(None, "unknown")

def combined(components, batch):
    assert batch.names == ("correct", "score", "length")
    return [sum(v for v in row if v == v) for row in components]

def length(batch, unit=1):
    return [n / unit for n in batch.lengths]
"""
KEYS = """
verifiers: {default: recipe.py:early, odd: recipe.py:never, odder: recipe.py:unknown}
rewards: [{name: correct}, {name: score, weight: 0.5, gate: correct}, {name: recipe.py:length, weight: -0.1, unit: 10}]
schedules: {rewards.score.weight: 0.5 until 1 then 0.2}
"""
SMALL = ["warm_start.steps=0", "max_steps=2", "prompts_per_step=4", "num_generations=4", "max_completion_length=8",
         "eval_samples=2", "data.eval_size=3", "completions_steps=1", "engine.workers=1", "preflight=false",
         "parity_check=false", "threads=1", "data.source=hf"]  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A recipe, and a data set whose golds are mappings, of which two rows name other verifiers."""
    home = tmp_path_factory.mktemp("verifiers")
    (home / "recipe.py").write_text(RECIPE)
    (home / "recipe.yaml").write_text(KEYS)
    (home / "rows").mkdir()
    for split, count in (("train", 8), ("test", 3)):
        rows = [{"id": f"{split}-{i}", "question": f"{split} {i}?", "answer": {"letters": "nopqrstuvwxyz0123456789"},
                 "verifier": {0: "odd", 1: "odder"}.get(i, "")} for i in range(count)]  # fmt: skip
        (home / "rows" / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return home


def test_a_run_and_its_commands_are_judged_by_the_users_verifier(home, monkeypatch, capsys):
    monkeypatch.chdir(home.parent)
    own = [f"recipe={home / 'recipe.yaml'}", *SMALL, f"data.path={home / 'rows'}", f"output_dir={home / 'run'}"]
    with pytest.raises(UserError, match="none of the 8 rows has a usable gold answer"):
        main(own)
    assert main([*own, "data.answered=false"]) == 0
    rows = [json.loads(line) for line in (home / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["schedule/rewards.score.weight"] for row in rows] == [0.5, 0.2]
    table = parquet.read_table(home / "run" / "completions" / "step_000001.parquet").to_pylist()
    assert len(table) == 16 and {r["verifier"] for r in table} <= {"default", "odd", "odder"}
    for r in table:
        share = sum(c in "nopqrstuvwxyz0123456789" for c in r["completion"]) / max(1, len(r["completion"]))
        if r["verifier"] == "default":
            assert (r["correct"], r["reason"], r["score"]) == (share > 0.2, "early", pytest.approx(share))
            assert r["rewards/score"] == pytest.approx(share if r["correct"] else 0.0)  # its gate
        assert r["rewards/length"] == pytest.approx(r["tokens"] / 10)  # also where nothing says what is right
        parts = (r["rewards/correct"], 0.5 * r["rewards/score"], -0.1 * r["rewards/length"])
        assert r["reward"] == pytest.approx(sum(part for part in parts if part == part))
    scored = [r["correct"] for r in table if r["correct"] is not None]
    assert rows[0]["pass@1"] == pytest.approx(sum(scored) / len(scored))
    of = {i: [r["correct"] for r in table if r["problem_id"] == i and r["correct"] is not None]
          for i in {r["problem_id"] for r in table}}  # fmt: skip
    solved = [any(verdicts) for verdicts in of.values() if verdicts]
    assert rows[0]["pass@k"] == pytest.approx(sum(solved) / len(solved))

    final = parquet.read_table(home / "run" / "eval" / "final.parquet").to_pylist()
    reasons = {r["problem_id"]: (r["reason"], r["verifier"]) for r in final}
    assert reasons == {"test-0": ("never", "odd"), "test-1": ("unknown", "odder"), "test-2": ("early", "default")}
    capsys.readouterr()

    # nsrl eval: as the run says; or as the command says, on the data that it names
    ask = ["--model", str(home / "run"), "--samples", "2", "--max_completion_length", "8", "engine.workers=1"]
    for more in ([], ["--data", f"hf:{home / 'rows'}", "--answered=false", f"verifiers.default={home}/recipe.py:early",
                      f"verifiers.odd={home}/recipe.py:never", "verifiers.odder=answer"]):  # fmt: skip
        assert evaluate.main([*ask, *more, "--output", str(home / "eval.json")]) == 0
        found = parquet.read_table(home / "eval.parquet").to_pylist()
        kept = {r["problem_id"]: r["reason"] for r in found}
        assert kept == {"test-0": "never", "test-1": "gold_absent" if more else "unknown", "test-2": "early"}
    capsys.readouterr()

    # nsrl harvest keeps what is right by it
    out = home / "kept.parquet"
    line = ["--model", str(home / "run"), "--output", str(out), "--samples", "8", "--allow_empty", "engine.workers=1"]
    assert harvest.main(line) == 0
    kept = parquet.read_table(out).to_pylist()
    assert {r["problem_id"] for r in kept}.isdisjoint({"train-0", "train-1"})
    assert all(sum(c in "nopqrstuvwxyz0123456789" for c in r["completion"]) > 0.2 * len(r["completion"]) for r in kept)
    again = home / "again.parquet"
    named = [
        f"verifiers.default={home}/recipe.py:never",
        f"verifiers.odd={home}/recipe.py:never",
        "verifiers.odder=answer",
    ]
    assert (
        harvest.main([*line[:3], str(again), *line[4:], "--data", f"hf:{home / 'rows'}", "--answered=false", *named])
        == 0
    )
    assert parquet.read_table(again).num_rows == 0

    # nsrl solve says what it says of a held-out problem
    capsys.readouterr()
    assert solve.main(["--model", str(home / "run"), "--problem", "test-0", "engine.workers=1"]) == 0
    assert "gold     {'letters': 'nopqrstuvwxyz0123456789'}   (wrong)" in capsys.readouterr().out

    # and a run that goes on keeps it
    with pytest.raises(UserError, match="verifiers cannot change when a run is continued"):
        main([f"output_dir={home / 'run'}", "--resume", "max_steps=3", "verifiers={default: answer}"])
    assert main([f"output_dir={home / 'run'}", "--resume", "max_steps=3"]) == 0


def test_a_row_that_names_no_verifier_ends_the_run_before_its_first_step(home):
    (home / "strange.jsonl").write_text("".join(
        json.dumps({"id": i, "question": f"{i}?", "answer": "1", "verifier": "box"}) + "\n" for i in range(9)
    ))  # fmt: skip
    with pytest.raises(UserError, match="verifiers has no 'box', which the column 'verifier' of problem"):
        main([*SMALL, f"data.path={home / 'strange.jsonl'}", f"output_dir={home / 'strange'}",
              f"verifiers.boxes={home}/recipe.py:early"])  # fmt: skip
    assert not (home / "strange" / "metrics.jsonl").exists()


def test_totals_of_ones_own_are_what_advantages_are_of(home):
    """`combine` that says the plain sum learns what weights of one learn."""
    rows = {}
    for name, more in (("own", [f"combine={home}/recipe.py:combined"]), ("sum", [])):
        assert main([*SMALL, "data.answered=false", f"data.path={home / 'rows'}", f"output_dir={home / name}",
                     f"verifiers={{default: {home}/recipe.py:early, odd: {home}/recipe.py:never, odder: answer}}",
                     f"rewards=[correct, score, {{name: '{home}/recipe.py:length'}}]", *more]) == 0  # fmt: skip
        lines = [json.loads(line) for line in (home / name / "metrics.jsonl").read_text().splitlines()]
        rows[name] = [{k: row[k] for k in ("reward", "reward_std", "loss", "grad_norm", "pass@1")} for row in lines]
    assert rows["own"] == rows["sum"] and rows["own"][0]["grad_norm"] > 0
