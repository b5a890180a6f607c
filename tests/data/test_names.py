"""What is tested on is not trained on: split words in names of files and folders, and a column that says the split."""

import json
import logging
import random
from types import SimpleNamespace

import pytest
from PIL import Image

from nsrl.data import load, load_problems, open_source
from nsrl.data.names import column_splits, same_split, split_of
from nsrl.errors import UserError
from nsrl.trainer.problems import read_data

SEED = random.SystemRandom().randrange(2**32)


def config(folder, split="train"):
    return SimpleNamespace(source="hf", path=str(folder), split=split, eval_size=99, max_prompt_length=999)


def sides(folder, split="train"):
    train, test = load_problems(config(folder, split))
    return {p.answer for p in train}, {p.answer for p in test}


def write(file, numbers, **columns):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        "".join(json.dumps({"question": f"What is {i}?", "answer": str(i), **columns}) + "\n" for i in numbers)
    )


NAMES = {
    "test": ["tests", "mytest", "myTest", "testA", "testB", "testa", "devtest", "heldout", "holdout", "held-out",
    "hold_out", "HeldOut",
             "test-dev", "testdev", "geoTest", "geo_TEST", "teſt", "minitest", "tests1", "test1b", "testQuestions",
             "testimages", "TESTSET", "test2024"],
    "validation": ["minival", "val2017", "myVal", "valA", "devset", "valid", "geoValidation"],
    "eval": ["evals", "myeval", "evaluations"],
    "train": ["train", "Training", "mytrain", "trainset", "train2014"],
    "": ["latest", "contest", "devices", "values", "retrieval", "attested-tests2go", "medieval", "protest", "device",
    "valley", "fastest", "rows",
         "Greatest", "testament", "tester", "trainer", "evaluator", "interval", "holding", "household"],
}  # fmt: skip


@pytest.mark.parametrize("split,name", [(split, name) for split, names in NAMES.items() for name in names])
def test_names(split, name):
    assert split_of(name) == split
    for spelled in (f"my-{name}", f"{name}_1", f"a.{name}", f"{name} 2"):
        assert split_of(spelled) == split_of(name)


@pytest.mark.parametrize("name", [n for split, names in NAMES.items() if split not in ("", "train") for n in names])
@pytest.mark.parametrize("train", ["train", "rows"])
def test_no_such_file_is_trained_on(tmp_path, name, train):
    write(tmp_path / f"{train}.jsonl", range(20))
    write(tmp_path / f"{name}.jsonl", range(20, 24))
    assert sides(tmp_path) == ({str(i) for i in range(20)}, {str(i) for i in range(20, 24)})


def test_which_files_became_what_is_printed(tmp_path, capsys):
    write(tmp_path / "a.jsonl", range(20))
    write(tmp_path / "b.jsonl", range(30, 35))
    write(tmp_path / "tests.jsonl", range(40, 42))
    model = SimpleNamespace(prompt_lengths=lambda problems: [1] * len(problems))
    read_data(config(tmp_path), model)
    assert capsys.readouterr().out.splitlines() == ["trains on a.jsonl, b.jsonl; tests on tests.jsonl"]
    read_data(config(tmp_path / "a.jsonl"), model)
    assert capsys.readouterr().out.splitlines() == ["trains on a.jsonl; tests on 2 problems held out of it"]


# -- pictures in folders named after splits ------------------------------------------------------------------------


def picture(file, level):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 20), (level % 256, level // 256, 0)).save(file)


@pytest.mark.parametrize(
    "places",
    [
        ("images/train", "images/test"),
        ("train/a/b", "test/a/b"),
        ("x/Training/1", "x/my-Tests/2"),
        ("pics", "pics/val"),
    ],
)
def test_split_folders_at_any_depth(tmp_path, places):
    rows = []
    for number in range(6):
        name = f"{places[number % 2]}/{number}.png"
        picture(tmp_path / name, number)
        rows.append({"file_name": name, "question": "How much?", "answer": str(number)})
    (tmp_path / "metadata.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    assert sides(tmp_path) == ({"0", "2", "4"}, {"1", "3", "5"})
    assert {p.answer for p in open_source(str(tmp_path))} == {"1", "3", "5"}


def test_random_trees_of_pictures(tmp_path):
    """A picture whose nearest named folder is a test's is never in training, one that has none always."""
    rng = random.Random(SEED)
    for round_ in range(6):
        root, rows, wanted = tmp_path / str(round_), [], {}
        for number in range(30):
            parts = [rng.choice(["images", "test", "train", "val", "x", "contest"]) for _ in range(rng.randint(1, 4))]
            if number < 2:
                parts = ["images", ("train", "test")[number]]
            name = "/".join([*parts, f"{number}.png"])
            picture(root / name, number)
            rows.append({"file_name": name, "question": "How much?", "answer": str(number)})
            wanted[str(number)] = next((p for p in reversed(parts) if p in ("test", "train", "val")), "train")
        (root / "metadata.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
        train, test = sides(root)
        assert train == {n for n, split in wanted.items() if split == "train"}, (SEED, rows)
        assert test == {n for n, split in wanted.items() if split == "test"}, (SEED, rows)


def test_a_folder_of_nothing_but_test_pictures_is_one_set(tmp_path):
    for number in range(20):
        picture(tmp_path / f"images/test/{number}.png", number)
    rows = [{"file_name": f"images/test/{i}.png", "question": "How much?", "answer": str(i)} for i in range(20)]
    (tmp_path / "metadata.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    train, test = sides(tmp_path)
    assert len(train) == 18 and len(test) == 2


# -- a column of splits --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["split", "Split"])
@pytest.mark.parametrize(
    "words", [("train", "test"), ("Training", "held-out"), ("", "dev"), (None, "test"), ("train", "testA")]
)
def test_a_split_column_is_honoured(tmp_path, column, words):
    rows = [{"question": f"What is {i}?", "answer": str(i), column: words[i % 4 == 0]} for i in range(20)]
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    train, test = load_problems(config(tmp_path / "r.jsonl"))
    tested = {str(i) for i in range(0, 20, 4)}
    assert {p.answer for p in test} == tested and {p.answer for p in train} == {str(i) for i in range(20)} - tested
    assert "whose split is train" in train.origin and "whose split is" in test.origin
    assert {p.answer for p in open_source(str(tmp_path / "r.jsonl"))} == tested
    assert len(load("hf", tmp_path / "r.jsonl")) == 15
    with pytest.raises(UserError, match=r"data.split must be one of .*train.*, by the column 'split'"):
        load("hf", tmp_path / "r.jsonl", "nonsense")


def test_a_split_column_that_sets_no_test_apart(tmp_path, caplog):
    for values in (["train"] * 20, ["test"] * 20, [f"a{i % 3}" for i in range(20)], [None] * 20, list(range(20))):
        rows = [{"question": f"What is {i}?", "answer": str(i), "split": v} for i, v in enumerate(values)]
        (tmp_path / "r.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
        with caplog.at_level(logging.WARNING):
            train, test = load_problems(config(tmp_path / "r.jsonl"))
        assert (len(train), len(test)) == (18, 2)
    assert column_splits(["train", "train"]) == {} and same_split("val", "validation") and not same_split("val", "test")
