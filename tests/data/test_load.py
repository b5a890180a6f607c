"""Sources: the formats, every kind of bad row, user errors in one sentence, splits without overlap."""

import base64
import io
import json
import logging
import zipfile
from types import SimpleNamespace

import pytest
from PIL import Image

from nsrl.data import content_key, load, load_problems, open_source
from nsrl.errors import UserError

pyarrow = pytest.importorskip("pyarrow")
from pyarrow import parquet  # noqa: E402


def picture(colour="red", size=(40, 30), kind="PNG"):
    out = io.BytesIO()
    Image.effect_noise(size, 40).convert("RGB").save(out, kind) if colour == "noise" else Image.new(
        "RGB", size, colour
    ).save(out, kind)
    return out.getvalue()


def jsonl(path, rows):
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows))
    return path


def good(i, **changes):
    return {"id": f"p{i}", "question": f"<image>\nHow many, {i}?", "image": f"im{i}.png", "answer": str(i), **changes}


@pytest.fixture
def folder(tmp_path):
    for i in range(12):
        (tmp_path / f"im{i}.png").write_bytes(picture((i, 0, 0)))
    return tmp_path


def test_mathvision_recorded(shared_data):
    path = shared_data / "mathvision_testmini"
    problems = load("mathvision", path)
    assert len(problems) == 304 and not problems.skipped
    assert len({p.category for p in problems}) == 16
    assert all(p.question.count("<image>") <= 1 and len(p.images) == 1 and p.answer for p in problems)
    assert problems[0].images[0].open().mode == "RGB"
    train, test = load_problems(SimpleNamespace(source="mathvision", path=str(path), split="train", eval_size=600), 0)
    assert len(train) + len(test) == 304 and len(test) == 30
    assert {p.category for p in test} == {p.category for p in problems}  # in proportion
    assert not {content_key(p) for p in train} & {content_key(p) for p in test}
    assert len(open_source(f"mathvision:{path}")) == 304
    assert len(open_source(str(path), size=7)) == 7


def test_bad_rows_are_skipped_counted_and_named_and_nothing_else_is_lost(folder, caplog):
    (folder / "text.png").write_text("this is not an image")
    noise = picture("noise", (200, 200))
    (folder / "cut.png").write_bytes(noise[: len(noise) // 2])
    (folder / "cut.jpg").write_bytes(picture("noise", (200, 200), "JPEG")[:900])
    (folder / "empty.png").write_bytes(b"")
    flipped = bytearray(noise)
    flipped[len(noise) // 2] ^= 255
    (folder / "flipped.png").write_bytes(bytes(flipped))
    bad = [
        good(20, image="absent.png"),
        good(21, image="text.png"),
        good(22, image="cut.png"),
        good(23, image="cut.jpg"),
        good(24, image="empty.png"),
        good(25, image="flipped.png"),
        good(1, id="p26", answer=None),
        good(1, id="p27", answer="\\boxed{3"),
        good(1, id="p28", question="x" * 50_000),
        good(1, id="p29", question=""),
        good(1, id="p30", question="<image><image> two?"),
        "{broken json",
        "[1, 2]",
        good(1, id="p33", image="https://example.org/a.png"),
    ]
    bad[9]["image"] = None
    rows = [good(0), *bad, good(1), good(2)]
    caplog.set_level(logging.INFO, "nsrl.data")
    problems = load("hf", jsonl(folder / "rows.jsonl", rows))
    assert [p.id for p in problems] == ["p0", "p1", "p2"]
    assert len(problems.skipped) == len(bad)
    reasons = {s.id: s.reason for s in problems.skipped}
    assert reasons == {
        "p20": "missing image", "p21": "corrupt image", "p22": "corrupt image", "p23": "corrupt image",
        "p24": "corrupt image", "p25": "corrupt image", "p26": "no gold answer", "p27": "no gold answer",
        "p28": "over-long prompt", "p29": "no question", "p30": "missing image", "12": "unreadable row",
        "13": "not a row",
        "p33": "missing image",
    }  # fmt: skip
    details = {s.id: s.detail for s in problems.skipped}
    assert "is text, not an image" in details["p21"] and "damaged or truncated" in details["p22"]
    assert "3 problems; 14 of 17 rows skipped" in caplog.text and "p21" in caplog.text


def test_over_long_prompts_by_tokens(folder):
    rows = [good(0), good(1, question="<image> " + "word " * 500)]
    whole = load("hf", jsonl(folder / "r.jsonl", rows))
    problems = whole.fitting([len(p.question.split()) for p in whole], 100)
    assert [p.id for p in problems] == ["p0"] and problems.skipped[0].reason == "over-long prompt"


@pytest.mark.parametrize(
    "rows,message",
    [
        ([], "the data set is empty"),
        ([{"question": "q", "image": "im0.png"}], "none of the 1 rows has a usable gold answer"),
        ([{"question": "q", "image": "im0.png", "answer": ""}] * 3, "none of the 3 rows has a usable gold answer"),
        ([good(1, image="nowhere.png")], "no usable row; 1 of 1 skipped for: missing image"),
    ],
)
def test_unusable_data_sets_are_one_sentence(folder, rows, message):
    with pytest.raises(UserError, match=message) as error:
        load("hf", jsonl(folder / "r.jsonl", rows))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "source,path,message",
    [
        ("nope", None, "must be one of"),
        ("mathvision", None, "must be a MathVision folder"),
        ("mathvision", "./absent", "does not exist"),
        ("virl39k", "./absent", "does not exist"),
        ("hf", None, "must be a Hub id"),
        ("hf", "./absent.jsonl", "does not exist"),
        ("hf", "./absent", "does not exist"),
    ],
)
def test_wrong_sources_and_paths(source, path, message):
    with pytest.raises(UserError, match=message):
        load(source, path)


def test_empty_and_broken_files(tmp_path):
    with pytest.raises(UserError, match="holds no json"):
        load("hf", tmp_path)
    with pytest.raises(UserError, match=r"no \.jsonl or .parquet"):
        load("mathvision", tmp_path)
    (tmp_path / "a.parquet").write_bytes(b"not parquet")
    with pytest.raises(UserError, match="not a readable parquet"):
        load("hf", tmp_path / "a.parquet")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(UserError, match="is not JSON"):
        load("hf", tmp_path / "a.json")


def test_columns_options_and_extras_reach_the_problem(folder):
    row = {"prompt": "What?", "images": ["im1.png", "im2.png"], "solution": "B", "choices": ["3", "5"],
    "subject": "algebra",
           "level": 4, "source": "book"}  # fmt: skip
    (problem,) = load("hf", jsonl(folder / "r.jsonl", [row]))
    assert (problem.question, problem.answer, problem.options) == ("What?", "B", ("3", "5"))
    assert (problem.category, problem.source, len(problem.images)) == ("algebra", "book", 2)
    assert problem.columns["level"] == 4
    rows = [
        {"question": "q", "answer": 1, "choices": ["cat", "dog"]},
        {"question": "q2", "answer": 5},
        {"question": "q3", "answer": True},
    ]
    assert [p.answer for p in load("hf", jsonl(folder / "r.jsonl", rows))] == ["B", "5", "Yes"]


def test_typed_chat_content(folder):
    content = [
        {"type": "text", "text": "Look: "},
        {"type": "image", "image": "im3.png"},
        {"type": "text", "text": "how many?"},
    ]
    rows = [
        {"prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": content}], "answer": "3"},
        {
            "prompt": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "q"}]}],
            "images": ["im1.png"],
            "answer": "3",
        },
        {
            "messages": [{"role": "user", "content": "text only?"}, {"role": "assistant", "content": "the answer"}],
            "answer": "3",
        },
    ]
    a, b, c = load("hf", jsonl(folder / "r.jsonl", rows))
    assert a.question == "Look: \n<image>\nhow many?" and len(a.images) == 1 and a.columns["system"] == "Be brief."
    assert b.question == "<image>\nq" and len(b.images) == 1
    assert c.question == "text only?" and not c.images


def test_images_as_bytes_urls_and_mappings(tmp_path):
    png = picture("blue")
    url = "data:image/png;base64," + base64.b64encode(png).decode()
    table = pyarrow.table({"question": ["a", "b"], "image": [{"bytes": png, "path": None}] * 2, "answer": ["1", "2"]})
    parquet.write_table(table, tmp_path / "d.parquet")
    from_bytes = load("hf", tmp_path / "d.parquet")
    (from_url,) = load("hf", jsonl(tmp_path / "u.jsonl", [{"question": "a", "image": url, "answer": "1"}]))
    assert from_bytes[0].images[0].key == from_bytes[1].images[0].key == from_url.images[0].key
    assert from_url.images[0].open().getpixel((0, 0)) == (0, 0, 255)
    with pytest.raises(UserError, match="not valid base64"):
        load("hf", jsonl(tmp_path / "u.jsonl", [{"question": "a", "image": "data:image/png;base64,%%", "answer": "1"}]))


def virl_rows(count):
    return {
        "qid": [f"q{i}" for i in range(count)],
        "question": [f"<image>\nWhat is {i}?\n(A) 1 (B) 2" for i in range(count)],
        "answer": [f"\\boxed{{{i}}}" for i in range(count)],
        "image": [[f"images/im{i}.png"] for i in range(count)],
        "category": ["Charts"] * count,
        "source": ["Geo3K"] * count,
        "PassRate_7BBase": [0.5] * count,
    }


def test_virl39k_with_images_in_a_folder_or_in_the_zip(tmp_path):
    parquet.write_table(pyarrow.table(virl_rows(400)), tmp_path / "39Krelease.parquet")
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for i in range(400):
            archive.writestr(f"images/im{i}.png", picture((i % 256, 9 + i // 256, 9)))
    config = SimpleNamespace(source="virl39k", path=str(tmp_path), split="train", eval_size=600)
    train, test = load_problems(config, 0)
    again = load_problems(config, 1)[1]
    assert (len(train), len(test)) == (396, 4) and [p.id for p in test] == [p.id for p in again]
    p = train[0]
    assert p.answer.startswith("\\boxed{") and p.columns["PassRate_7BBase"] == 0.5 and p.source == "Geo3K"
    assert p.images[0].open().size == (40, 30)
    assert len(open_source(f"virl39k:{tmp_path}")) == 4
    with zipfile.ZipFile(tmp_path / "images.zip") as archive:
        archive.extractall(tmp_path)
    (tmp_path / "images.zip").unlink()
    assert load("virl39k", tmp_path)[0].images[0].key == p.images[0].key


def test_saved_data_sets_and_their_test_split(tmp_path):
    datasets = pytest.importorskip("datasets")
    pictures = [Image.new("RGB", (20, 20), (i, i, i)) for i in range(6)]
    data = datasets.Dataset.from_dict(
        {"question": [f"q{i}" for i in range(6)], "image": pictures, "answer": [str(i) for i in range(6)]},
        features=datasets.Features(
            {"question": datasets.Value("string"), "image": datasets.Image(), "answer": datasets.Value("string")}
        ),
    )
    both = datasets.DatasetDict(train=data.select(range(5)), test=data.select([5, 0]))
    both.save_to_disk(tmp_path / "d")
    config = SimpleNamespace(source="hf", path=str(tmp_path / "d"), split="train", eval_size=10)
    train, test = load_problems(config)
    assert [p.question for p in test] == ["q5", "q0"]
    assert [p.question for p in train] == ["q1", "q2", "q3", "q4"]  # q0 is in the test set
    assert train[0].images[0].open().getpixel((0, 0)) == (1, 1, 1)
    with pytest.raises(UserError, match=r"data\.split must be one of train, test"):
        load("hf", tmp_path / "d", "dev")


def test_a_folder_of_files_with_split_names(folder):
    jsonl(folder / "train.jsonl", [good(i) for i in range(4)])
    jsonl(folder / "test.jsonl", [good(5)])
    config = SimpleNamespace(source="hf", path=str(folder), split="train", eval_size=10)
    train, test = load_problems(config)
    assert [p.id for p in train] == ["p0", "p1", "p2", "p3"] and [p.id for p in test] == ["p5"]


def test_json_shapes_csv_and_duplicate_ids(folder):
    for value in ([good(0), good(0)], {"data": [good(0), good(0)]}):
        (folder / "a.json").write_text(json.dumps(value))
        assert [p.id for p in load("hf", folder / "a.json")] == ["p0", "p0#2"]
    (folder / "a.csv").write_text("id,question,answer\n1,What?,5\n")
    assert load("hf", folder / "a.csv")[0].answer == "5"


def test_numbered_markers(folder):
    rows = [
        {
            "question": "Which goes from <image1> to <image2>?",
            "image": "im0.png",
            "answer": "A",
            "options": ["<image3>", "<image4>"],
        },
        {"question": "<image1> then <image2>?", "images": ["im0.png", "im1.png"], "answer": "5"},
        {"question": "No picture <|image_pad|> here <|im_end|>", "images": ["im1.png"], "answer": "5"},
    ]
    one, two, three = load("hf", jsonl(folder / "r.jsonl", rows))
    assert one.question == "Which goes from <image> to (picture 2)?" and one.options == ("(picture 3)", "(picture 4)")
    assert two.question == "<image> then <image>?"
    assert three.question.split() == ["No", "picture", "<image>", "here"]


def test_limit(folder):
    path = jsonl(folder / "r.jsonl", [good(i) for i in range(12)])
    assert len(load("hf", path, limit=5)) == 5


def plain(i, **changes):
    return {"question": f"What is {i}?", "answer": str(i), **changes}


def sides(folder, split="train"):
    train, test = load_problems(SimpleNamespace(source="hf", path=str(folder), split=split, eval_size=99))
    return {p.answer for p in train}, {p.answer for p in test}


@pytest.mark.parametrize(
    "name",
    ["test_data.csv", "my-test.csv", "testing.csv", "data_test.jsonl", "test1.csv", "Test.csv", "math_test.parquet",
    "dev.csv", "valid.csv",
     "val.csv", "VALIDATION.jsonl", "eval.csv", "evaluation-2.csv", "a.dev.b.csv", "testset.csv", "geo test 3.csv",
     "test-00000-of-00001.parquet",
     "my_test_images/metadata.csv", "Dev/rows.csv", "deep/er/test/rows.jsonl"],
)  # fmt: skip
@pytest.mark.parametrize("train", ["train_data.csv", "rows.csv"])
def test_no_file_named_after_a_test_split_is_trained_on(tmp_path, name, train):
    for file, numbers in ((train, range(20)), (name, range(20, 24))):
        rows, file = [plain(i) for i in numbers], tmp_path / file
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".jsonl":
            jsonl(file, rows)
        elif file.suffix == ".parquet":
            parquet.write_table(pyarrow.Table.from_pylist(rows), file)
        else:
            file.write_text("question,answer\n" + "".join(f"{r['question']},{r['answer']}\n" for r in rows))
    assert sides(tmp_path) == ({str(i) for i in range(20)}, {str(i) for i in range(20, 24)})


@pytest.mark.parametrize(
    "name", ["latest.csv", "contest.csv", "devices.csv", "values.csv", "retrieval.csv", "attested-tests2go.csv"]
)
def test_words_that_only_look_like_a_split(tmp_path, name):
    (tmp_path / "a.csv").write_text("question,answer\na,1\nb,2\n")
    (tmp_path / name).write_text("question,answer\nc,3\nd,4\n")
    train, test = sides(tmp_path)
    assert len(train) == 3 and len(train | test) == 4


def test_pictures_in_folders_named_like_splits(tmp_path):
    rows = []
    for number, folder in enumerate(("Training_images", "test-images")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.png").write_bytes(picture((number, 0, 0)))
        rows.append(plain(number, file_name=f"{folder}/a.png"))
    jsonl(tmp_path / "metadata.jsonl", rows)
    assert sides(tmp_path) == ({"0"}, {"1"})


def test_a_split_that_is_not_there_is_refused(tmp_path):
    datasets = pytest.importorskip("datasets")
    jsonl(tmp_path / "train.jsonl", [plain(i) for i in range(4)])
    with pytest.raises(UserError, match=r"data.split must be one of train for .*; got 'nonsense'"):
        load("hf", tmp_path, "nonsense")
    jsonl(tmp_path / "val.jsonl", [plain(9)])
    jsonl(tmp_path / "hard.jsonl", [plain(8)])
    with pytest.raises(UserError, match=r"must be one of train, validation for .*; got 'nonsense'"):
        load("hf", tmp_path, "nonsense")
    assert [[p.answer for p in load("hf", tmp_path, s)] for s in ("valid", "validation", "hard")] == [
        ["9"],
        ["9"],
        ["8"],
    ]
    datasets.Dataset.from_list([plain(1)]).save_to_disk(tmp_path / "saved")
    with pytest.raises(UserError, match="data.split must be train for .*no splits; got 'nonsense'"):
        load("hf", tmp_path / "saved", "nonsense")


def test_names_of_saved_splits(tmp_path):
    datasets = pytest.importorskip("datasets")
    for number, name in enumerate(("dev", "val", "valid", "test_easy")):
        parts = {"train": [plain(i) for i in range(4)], name: [plain(9)]}
        datasets.DatasetDict({k: datasets.Dataset.from_list(v) for k, v in parts.items()}).save_to_disk(
            tmp_path / str(number)
        )
        assert sides(tmp_path / str(number)) == ({"0", "1", "2", "3"}, {"9"}), name


@pytest.mark.parametrize("spec", ["shapes:3", "shapes:", "hf:", "mathvision:", "virl39k:"])
def test_a_source_without_its_path_or_with_one_too_many(spec, tmp_path, monkeypatch):
    jsonl(tmp_path / "rows.jsonl", [plain(i) for i in range(4)])
    monkeypatch.chdir(tmp_path)  # not to be read because nothing was named
    with pytest.raises(UserError, match="data must"):
        open_source(spec)
    with pytest.raises(UserError, match="got none"):
        load("hf", "")


def test_hidden_files_and_a_broken_archive_in_the_folder(folder, caplog):
    jsonl(folder / "rows.jsonl", [good(i) for i in range(4)])
    for name in (
        "._rows.jsonl",
        ".x.zip",
        ".ipynb_checkpoints/rows-checkpoint.jsonl",
        "__MACOSX/._rows.csv",
        "._im0.png",
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"\0\x05\x16\x07\xff\xfe" * 9)
    (folder / "old.zip").write_bytes(b"no archive")
    assert [p.id for p in load("hf", folder)] == ["p0", "p1", "p2", "p3"]
    assert "old.zip is not a readable zip archive" in caplog.text
    (folder / "rows.jsonl").rename(folder / "testmini.jsonl")
    assert len(load("mathvision", folder)) == 4
