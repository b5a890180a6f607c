"""`nsrl gallery`: what a row is, which parts it makes, what its protocol says, and what is written."""

import itertools
import json
import random
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

import pytest
import yaml

from nsrl.config import GalleryConfig
from nsrl.errors import UserError
from nsrl.gallery import __main__ as gallery
from nsrl.gallery import writing
from nsrl.gallery.finished import decides, result
from nsrl.gallery.kept import by_recipe, is_of, published
from nsrl.gallery.page import page, sentence
from nsrl.gallery.picture import drawn
from nsrl.gallery.plan import HELD_OUT, SAMPLES, Parts
from nsrl.gallery.results import MATTERS, NOTHING, TOO_FEW, compared, direction, verdict, voted
from nsrl.gallery.row import FINAL, read, row_names
from nsrl.recipes import methods
from nsrl.report.statistics import Paired
from nsrl.trainer.folder import write_parquet

ROOT = Path(__file__).resolve().parents[1]
OWN = {
    "question": "What of it?", "prediction": "Nothing.", "expects": "none",
    "warm": {"seconds": 1, "keys": {"warm_start": {"steps": 4, "reading_steps": 2, "batch_size": 2}}},
    "run": {"max_steps": 3, "num_generations": 2, "max_completion_length": 12, "save_steps": 1},
    "arms": {"one": {"seconds": 1}, "two": {"seconds": 2, "keys": {"learning_rate": 1e-3, "beta": 0.1}}},
    "tests": {"level 2": {"level": 2}}, "on": [FINAL, "level 2"],
}  # fmt: skip


def own_row(folder, name="own", **changed):
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(OWN | changed))
    return file


# -- the protocol ----------------------------------------------------------------------------------------------------


def test_a_difference_matters_where_seeds_agree_and_the_interval_excludes_none():
    found = lambda low, high: Paired((low + high) / 2, low, high, 600, 3)
    assert verdict(found(0.01, 0.05), [0.02, 0.03, 0.01], 0.0) == MATTERS
    assert verdict(found(-0.05, -0.01), [-0.02, -0.03, -0.01], 0.0) == MATTERS
    assert verdict(found(0.01, 0.05), [0.09, 0.03, -0.01], 0.0) == NOTHING, "the seeds do not agree"
    assert verdict(found(-0.01, 0.05), [0.02, 0.03, 0.01], 0.0) == NOTHING, "the interval holds none"
    assert verdict(found(0.01, 0.05), [0.02, 0.03, 0.0], 0.0) == NOTHING, "no difference on one seed"
    assert verdict(found(0.01, 0.05), [0.02, None, 0.03], 0.0) == NOTHING
    assert verdict(found(0.01, 0.05), [0.02, 0.03], 0.0) == TOO_FEW
    assert verdict(found(0.7, 0.8), [0.7, 0.75, 0.8], 1.0) == MATTERS, "a ratio"
    assert verdict(found(0.9, 1.1), [0.9, 0.95, 0.99], 1.0) == NOTHING
    assert [direction({"verdict": MATTERS, "value": v, "ratio": r}) for v, r in ((0.1, False), (0.9, True))] == [
        "more", "less"
    ]  # fmt: skip
    assert direction({"verdict": NOTHING, "value": 0.1, "ratio": False}) == "none"


def records(rng, share, seed, problems=40, tokens=20, wrong=9):
    """Of a seed: 4 samples and a greedy answer of each problem."""
    return [
        {
            "problem_id": f"{seed}-{i}", "question": "?", "answer": "7", "sample": s, "correct": rng.random() < share,
            "value_text": str(100 + rng.randrange(wrong)), "tokens": tokens + rng.randrange(5),
        }
        for i in range(problems) for s in (-1, 0, 1, 2, 3)
    ]  # fmt: skip


def test_nothing_matters_by_chance_seldom_and_what_matters_is_found():
    """Of 30 rows whose arms are alike, and of 8 with one that is better by twelve points."""
    rng = random.Random(1)

    def row(gain):
        arms = [[records(rng, 0.5 + more, seed, 100) for seed in range(3)] for more in (0.0, gain)]
        return compared(arms[1], arms[0], "accuracy")["verdict"]

    chance = sum(row(0.0) == MATTERS for _ in range(30))
    assert chance <= 4 and sum(row(0.12) == MATTERS for _ in range(8)) >= 7


def test_a_comparison_is_of_the_problems_that_both_have():
    rng = random.Random(2)
    a, b = ([records(rng, share, seed) for seed in range(3)] for share in (0.8, 0.4))
    b[1] = [r for r in b[1] if r["problem_id"] != "1-3"]
    found = compared(a, b, "accuracy")

    def mean(rows, seed):
        own = [r for r in rows[seed] if r["sample"] >= 0 and r["problem_id"] != "1-3"]
        return sum(r["correct"] for r in own) / len(own)

    by_seed = [mean(a, seed) - mean(b, seed) for seed in range(3)]
    assert found["by_seed"] == pytest.approx(by_seed) and found["problems"] == 119 and found["seeds"] == 3
    assert found["value"] == pytest.approx(sum(by_seed) / 3) and found["low"] < found["value"] < found["high"]
    assert found["verdict"] == MATTERS
    shorter = [[{**r, "tokens": r["tokens"] / 2} for r in rows] for rows in a]
    ratio = compared(shorter, a, "tokens")
    assert ratio["ratio"] and ratio["by_seed"] == pytest.approx([0.5] * 3) and ratio["verdict"] == MATTERS
    assert compared([[], [], []], b, "accuracy") is None
    assert compared(a, a, "vote", "accuracy")["by_seed"][0] == pytest.approx(
        sum(voted(a[0]).values()) / 40 - sum(r["correct"] for r in a[0] if r["sample"] >= 0) / 160
    )


def test_a_vote_is_won_by_the_most_frequent_answer_and_ties_are_shared():
    for answers in itertools.product("7ab", repeat=4):
        rows = [
            {"problem_id": "p", "sample": s, "correct": said == "7", "answer": "7",
             "value_text": {"7": "7", "a": "11", "b": "12"}[said]}
            for s, said in enumerate(answers)
        ]  # fmt: skip
        counts = Counter(answers)
        most = [said for said in counts if counts[said] == max(counts.values())]
        assert list(voted(rows).values()) == [pytest.approx(("7" in most) / len(most))], answers


# -- rows and their parts --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rows():
    return [read(name) for name in row_names()]


def test_the_rows_that_come_with_nsrl_can_be_run(rows, tmp_path):
    """Every key acts, parts are shared, none takes more than four minutes, the whole not a night."""
    parts = Parts(tmp_path, [0, 1, 2])
    for row in rows:
        parts.add(row)
    assert len(rows) >= 14 and not parts.notes
    assert all(len(row.prediction) > 40 and row.source and row.question.endswith("?") for row in rows)
    assert all(arm.seconds <= 240 for row in rows for arm in row.arms.values()) and parts.seconds() < 6 * 3600
    assert len({job.name for job in parts.jobs}) == len(parts.jobs) == len({job.file for job in parts.jobs})
    known = {job.name for job in parts.jobs}
    assert all(set(job.after) <= known for job in parts.jobs)
    asked = sum(3 * len(row.arms) * (1 + len(row.tests)) for row in rows)
    assert len(parts.jobs) < asked, "rows share what is the same"
    same = [row.name for row in rows if parts.runs[row.name, row.against].folder == parts.runs["kl", "none"].folder]
    assert {"noise", "shuffled", "alike", "kl", "std"} <= set(same)
    train = next(job for job in parts.jobs if job.name == "papo.papo/seed-2")
    keys = yaml.safe_load(train.keys[0][1])
    assert keys["seed"] == 2 and keys["model"]["name"].endswith("seed-2") and keys["recipe"] == "papo"
    assert (keys["data"]["eval_size"], keys["eval_samples"]) == (HELD_OUT, SAMPLES) == (600, 4)
    named = {recipe.name for recipe in methods()}
    assert all(set(row.recipes) <= named for row in rows)


def test_a_part_stands_where_its_keys_and_its_recipe_say(tmp_path):
    recipe = tmp_path / "mine"
    recipe.mkdir()
    (recipe / "recipe.yaml").write_text('shape_funcs: ["recipe.py:one"]\n')
    (recipe / "recipe.py").write_text("def one(step):\n    pass\n")

    def folder(place=tmp_path / "x", seeds=(0,), **changed):
        arms = {"one": {"seconds": 1}, "two": {"seconds": 1, "keys": {"recipe": str(recipe), "beta": 0.1}}}
        parts = Parts(place, list(seeds))
        parts.add(read(str(own_row(tmp_path / "rows", **({"arms": arms} | changed)))))
        return parts.runs["own", "two"].folder.relative_to(place)

    first = folder()
    assert folder(tmp_path / "y", (0, 1)) == first == folder(prediction="Another.", question="Another?")
    assert folder(run={**OWN["run"], "max_steps": 4}) != first
    warm = {**OWN["warm"], "keys": {"warm_start": {"steps": 5, "reading_steps": 2}}}
    assert folder(warm=warm) != first
    (recipe / "recipe.py").write_text("def one(step):\n    return None\n")
    assert folder() != first


@pytest.mark.parametrize(
    ("changed", "words"),
    [({"arms": {"one": {"seconds": 1}}}, "arms must be at least two; got one"),
     ({"expects": "much"}, "expects must be more, less, none; got 'much'"),
     ({"warm": "langauges"}, "did you mean 'languages'"),
     ({"armz": {}}, "takes question, .*; got 'armz'"),
     ({"arms": {"one": {"seconds": 1}, "two": {"seconds": 0}}}, "seconds must be a number above 0; got '0'"),
     ({"arms": {"one": {"seconds": 1}, "two": {}}}, "must have seconds; seconds is missing"),
     ({"arms": {"one": {"seconds": 1}, "two": {"seconds": 1, "measure": "luck"}}}, "measure must be among accuracy"),
     ({"on": ["level 3"]}, "on must be among held-out problems, level 2; got 'level 3'"),
     ({"decides": "three"}, "decides must be among two"), ({"recipes": ["papa"]}, "did you mean 'papo'"),
     ({"run": 3}, "run must be a mapping"), ({"warm": {"keys": {}}}, "seconds is missing"),
     ({"run": {"max_stepz": 3}}, "row own, arm one: .*max_stepz"),
     ({"run": {"max_steps": 3, "objective": {"tau": [1, 1]}}}, "arm one: objective.tau cannot act here"),
     ({"tests": {"level 2": {"level": 12}}}, "row own: tests.level 2: level must be"),
     ({"warm": {"seconds": 1, "keys": {"warm_start": {"stepz": 1}}}}, "warm start [a-z]+: .*stepz")],
)  # fmt: skip
def test_a_row_that_cannot_be_is_one_sentence(changed, words, tmp_path):
    with pytest.raises(UserError, match=words):
        Parts(tmp_path / "x", [0]).add(read(str(own_row(tmp_path, **changed))))
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(("name", "words"), [("noize", "did you mean 'noise'"), ("x.yaml", "cannot be read")])
def test_a_name_that_is_no_row(name, words):
    with pytest.raises(UserError, match=words):
        read(name)


# -- what is written -------------------------------------------------------------------------------------------------

SHARES = {"clean": 0.95, "noise 0.4": 0.8, "noise 0.5": 0.5}


@pytest.fixture
def done(tmp_path):
    """The row `noise`, its parts as if they had been run."""
    row, parts = read("noise"), Parts(tmp_path / "x", [0, 1, 2])
    parts.add(row)
    rng = random.Random(5)
    for name, share in SHARES.items():
        run = parts.runs["noise", name]
        for seed in parts.seeds:
            home = run.folder / f"seed-{seed}"
            home.mkdir(parents=True)
            write_parquet(run.folder / run.files[FINAL].format(seed), records(rng, share, seed))
            (home / "eval" / "warm_start.json").write_text('{"accuracy": 0.5}')
            (home / "metrics.jsonl").write_text('{"timing_s/step": 2.0, "timing_s/rollout": 0.5}\n' * 3)
    for job in parts.jobs:
        for file in (job.file, *job.also):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    return row, parts


def test_a_row_its_page_and_its_picture(done, rows):
    row, parts = done
    one = json.loads(json.dumps(result(row, parts)))
    pair = decides(row, one["pairs"])
    assert one["verdict"] == pair["verdict"] == MATTERS and one["came"] == "less" and pair["arm"] == "noise 0.4"
    means = {name: sum(arm["on"][FINAL]["accuracy"]) / 3 for name, arm in one["arms"].items()}
    assert means == pytest.approx(SHARES, abs=0.06)
    assert pair["value"] == pytest.approx(means["noise 0.4"] - means["clean"])
    assert one["arms"]["clean"]["before"] == [0.5] * 3
    assert (one["arms"]["clean"]["seconds"], one["arms"]["clean"]["sampling_s"]) == (6.0, 1.5)
    assert {(p["arm"], p["measure"]) for p in one["pairs"]} == set(
        itertools.product(("noise 0.4", "noise 0.5"), ("accuracy", "greedy", "tokens"))
    )
    text = page(rows, {"noise": one})
    assert f"**1 of {len(rows)} rows were run; 1 matter**: noise. 1 of 1 came as predicted." in text
    assert "| [noise](#noise) | noise 0.4 against clean |" in text and "| **matters** | less |" in text
    assert sentence(row, one, pair) in text and text.count("not run yet") == len(rows) - 1
    assert max(len(line) for line in text.splitlines() if "|" not in line and "Predicted" not in line) < 400
    picture = drawn(row, one)
    tree = ElementTree.fromstring(picture)
    circles = [e for e in tree.iter() if e.tag.endswith("circle")]
    assert len(circles) == 9 and len(picture) < 6000
    right = {name: [float(e.get("cx")) for e in circles[3 * i : 3 * i + 3]] for i, name in enumerate(SHARES)}
    assert min(right["clean"]) > max(right["noise 0.5"]), "further to the right is more"


def test_what_is_done_is_written_once_and_published_into_the_source_tree(done, tmp_path, monkeypatch, capsys, rows):
    row, parts = done
    writing.write_rows([row], parts, set())
    assert "row noise: right samples: noise 0.4" in capsys.readouterr().out
    writing.write_rows([row], parts, set())
    assert capsys.readouterr().out == "", "a row that is kept is not counted again"
    kept = published(parts.folder / "rows")["noise"]
    assert is_of(row, kept, parts) and not is_of(row, {**kept, "digest": "another"}, parts)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="publish needs the source tree"):
        gallery.main(["publish=true", "rows=[noise]"])
    (tmp_path / "nsrl" / "gallery").mkdir(parents=True)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "README.md").touch()
    gallery.main(["publish=true", "dry=true", "rows=[noise]", f"folder={parts.folder}"])
    assert "1 matter" in (tmp_path / "docs/gallery.md").read_text()
    assert (tmp_path / "docs/gallery/noise.svg").read_text() == drawn(row, kept)
    assert json.loads((tmp_path / "nsrl/gallery/found/noise.json").read_text()) == kept
    writing.write_page(GalleryConfig(folder=str(parts.folder)), [row])
    assert "1 of 1 rows were run" in (parts.folder / "gallery.md").read_text()
    assert by_recipe(rows, {"noise": kept})["rpr"] == "noise: matters"
    assert by_recipe(rows, {})["rpr"] == "noise: not run yet"


def test_a_row_with_files_is_the_same_wherever_its_tree_lies(tmp_path):
    here = ROOT / "nsrl" / "gallery" / "rows"
    for name in ("repair", "text_first"):
        for file in here.glob(f"{name}.*"):
            (tmp_path / file.name).write_text(file.read_text())
        assert read(str(tmp_path / f"{name}.yaml")).digest == read(name).digest
    (tmp_path / "repair.py").write_text((here / "repair.py").read_text() + "\n# another one\n")
    assert read(str(tmp_path / "repair.yaml")).digest != read("repair").digest


def test_the_page_in_the_tree_is_the_one_that_its_rows_give(rows):
    found = {row.name: one for row in rows if (one := published().get(row.name)) and one["digest"] == row.digest}
    assert (ROOT / "docs" / "gallery.md").read_text() == page(rows, found), (
        "nsrl gallery dry=true publish=true writes it"
    )
    assert {p.stem for p in (ROOT / "docs" / "gallery").glob("*.svg")} == found.keys()
    assert all(file.stat().st_size < 8000 for file in (ROOT / "docs" / "gallery").glob("*.svg"))


def test_the_command_says_what_it_would_do(tmp_path, capsys):
    assert gallery.main(["dry=true", "rows=[noise,vote]", f"folder={tmp_path / 'x'}", "jobs=2"]) == 0
    out = capsys.readouterr().out
    assert "2 rows, 3 seeds, 15 parts, of which 15 are to be run: about 11:30" in out and "2 quiet cores" in out
    assert "noise.noise 0.4/seed-1" in out and not (tmp_path / "x").exists()
    for words, told in ((["publish=true", "quick=true"], "publish must be false with quick=true"),
                        (["seeds=[]"], "seeds must be at least one, each once"),
                        (["rows=[noise,noise]"], "rows must be each once"), (["jobs=0"], "jobs must be")):  # fmt: skip
        with pytest.raises(UserError, match=told):
            gallery.main(words)
    other = own_row(tmp_path, "noise")
    with pytest.raises(UserError, match="rows must have names of their own"):
        gallery.main(["dry=true", f"rows=[noise,{other}]"])


# -- whole -----------------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_killed_and_begun_again_it_ends_the_same(tmp_path):
    file = own_row(tmp_path)

    def begin(folder):
        words = [f"rows=[{file}]", f"folder={tmp_path / folder}", "seeds=[0]", "quick=true", "jobs=1"]
        return subprocess.Popen([sys.executable, "-m", "nsrl.gallery", *words], cwd=ROOT, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)  # fmt: skip

    def numbers(folder):
        out, _ = (process := begin(folder)).communicate()
        assert process.returncode == 0, out
        one = json.loads((tmp_path / folder / "rows" / "own.json").read_text())
        assert one["verdict"] == TOO_FEW and one["quick"] and (tmp_path / folder / "gallery" / "own.svg").is_file()
        for arm in one["arms"].values():
            del arm["seconds"], arm["sampling_s"]
        return one, out

    whole, out = numbers("a")
    assert "5 parts, of which 5 are to be run" in out and "row own: right samples" in out
    process = begin("b")
    while not list((tmp_path / "b" / "runs").glob("*/seed-0/checkpoint-1")):
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.communicate()
    again, _ = numbers("b")
    assert again == whole
    done = {path: path.stat().st_mtime_ns for path in (tmp_path / "b" / "runs").rglob("*.parquet")}
    assert numbers("b")[0] == whole and {path: path.stat().st_mtime_ns for path in done} == done
