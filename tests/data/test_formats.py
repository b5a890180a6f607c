"""Data as it comes from other programs: CSV dialects and encodings, image folders, pictures inside rows, odd
columns."""

import base64
import bz2
import csv
import gzip
import io
import json
import lzma
import os
import random
import zipfile
from types import SimpleNamespace

import pytest
from PIL import Image

from nsrl.data import images, load, load_problems
from nsrl.data.csvs import records
from nsrl.errors import UserError

pyarrow = pytest.importorskip("pyarrow")
from pyarrow import parquet  # noqa: E402


def png(level, size=(40, 30)):
    out = io.BytesIO()
    Image.new("RGB", size, (level, 0, 0)).save(out, "PNG")
    return out.getvalue()


def jsonl(path, rows):
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


def level(ref):
    return ref.open().getpixel((0, 0))[0]


ROWS = [('What is, or was; the "größe"?', "5", "a|b"), ("Zwei\nZeilen?", "3,5", "c"), ("plain", "7", "d\te")]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv_by_any_program(tmp_path, separator, encoding, quoting, end):
    file = tmp_path / ("a.tsv" if separator == "\t" else "a.csv")
    with file.open("w", encoding=encoding, newline="") as out:
        if separator == ";" and end == "\r\n":
            out.write("sep=;\r\n")  # Excel's own hint
        writer = csv.writer(out, delimiter=separator, quoting=quoting, lineterminator=end)
        writer.writerows([("Question", "answer", "note"), *ROWS])
    problems = load("hf", file)
    assert [(p.question, p.answer, p.columns["note"]) for p in problems] == ROWS


def test_csv_random_tables_come_back(tmp_path):
    """The separator is found whatever stands in the cells."""
    rng = random.Random(0)
    for number in range(60):
        separator, width = rng.choice(",;\t|"), rng.randint(2, 5)
        header = ["question", "answer", *(f"c{i}" for i in range(width - 2))]
        body = [
            ["".join(rng.choice('ab ,;|\t".7\n') for _ in range(rng.randint(0, 12))) + "x" for _ in header]
            for _ in range(rng.randint(1, 30))
        ]
        body = [[cell.lstrip(" ") for cell in row] for row in body]
        with (tmp_path / "r.csv").open("w", newline="") as out:
            csv.writer(out, delimiter=separator).writerows([header, *body])
        found = [list(row.values()) for _, row in records(tmp_path / "r.csv")]
        assert found == body, (number, separator)


def test_latin_1_is_refused_with_row_line_and_byte(tmp_path):
    file = tmp_path / "a.csv"
    for where, message in ((3, r"row 3 \(line 5\) holds byte 0xf6"), (5000, r"row 5000 \(line 5002\) holds byte 0xf6")):
        rows = ['1,"two\nlines"', *(f"{i},fine" for i in range(2, where)), f"{where},größe"]
        file.write_bytes(
            ("id,question\n" + "\n".join(rows) + "\nlast,fine\n").replace("größe", "gr\xf6\xdfe").encode("latin-1")
        )
        with pytest.raises(UserError, match="must be UTF-8; " + message):
            load("hf", file)
    file.write_bytes("größe,question\n1,2\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"the header \(line 1\) holds byte 0xf6"):
        load("hf", file)


def test_a_broken_csv_record_costs_itself(tmp_path):
    cell = "data:image/png;base64," + base64.b64encode(png(9, (400, 400)) + b"\0" * 200_000).decode()
    (tmp_path / "a.csv").write_text(
        f'question,answer,image\na,1,\nb,2,,4,5\n"c" d,3,\ne,5\nf,6,"{cell}"\n\ng,"7\nh,8\n'
    )
    problems = load("hf", tmp_path / "a.csv")
    assert [(p.question, p.answer) for p in problems] == [("a", "1"), ("e", "5"), ("f", "6")]
    assert len(cell) > 200_000 and problems[2].images[0].size == (400, 400)  # longer than the csv module's own limit
    assert [s.reason for s in problems.skipped] == ["unreadable row"] * 3
    assert "5 fields, the header 3" in problems.skipped[0].detail and "line 8" in problems.skipped[2].detail


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("shape", ["flat", "splits", "one file"])
def test_hf_image_folders(tmp_path, ending, shape):
    def metadata(folder, rows):
        if ending == "jsonl":
            jsonl(folder / "metadata.jsonl", rows)
        elif ending == "parquet":
            parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "metadata.parquet")
        else:
            with (folder / "metadata.csv").open("w", newline="") as out:
                writer = csv.DictWriter(out, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)

    def rows(numbers, before=""):
        return [{"file_name": f"{before}{i}.png", "question": f"q{i}", "answer": str(i)} for i in numbers]

    for folder in ("train/deep", "test", "."):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    if shape == "flat":
        for i in range(5):
            (tmp_path / f"{i}.png").write_bytes(png(i))
        metadata(tmp_path, rows(range(5)))
        assert [level(p.images[0]) for p in load("hf", tmp_path)] == list(range(5))
        assert [level(p.images[0]) for p in load("hf", tmp_path / f"metadata.{ending}")] == list(range(5))
        return
    for i in range(3):
        (tmp_path / "train" / "deep" / f"{i}.png").write_bytes(png(i))
    for i in (3, 4):
        (tmp_path / "test" / f"{i}.png").write_bytes(png(i))
    if shape == "splits":
        metadata(tmp_path / "train", rows(range(3), "deep/"))
        metadata(tmp_path / "test", rows((3, 4)))
    else:
        metadata(tmp_path, rows(range(3), "train/deep/") + rows((3, 4), "test/"))
    train, test = load_problems(SimpleNamespace(source="hf", path=str(tmp_path), split="train", eval_size=9))
    assert [level(p.images[0]) for p in train] == [0, 1, 2] and [level(p.images[0]) for p in test] == [3, 4]
    assert "file_name" not in train[0].columns


def test_several_file_names_numbered_columns_and_what_is_no_picture(tmp_path):
    for i in range(4):
        (tmp_path / f"{i}.png").write_bytes(png(i))
    rows = [
        {"question": "a", "left_file_name": "0.png", "right_file_name": "3.png", "answer": "1"},
        {"question": "b", "file_names": ["1.png", "2.png"], "answer": "1"},
        {"question": "c", "image_2": "2.png", "image_10": "3.png", "image_1": "1.png", "image_11": None, "answer": "1"},
        {"question": "d", "file_name": "chapter.pdf", "answer": "1"},  # where a text comes from
        {"question": "e", "file_name": "gone.png", "answer": "1"},
    ]
    problems = load("hf", jsonl(tmp_path / "r.jsonl", rows))
    assert [[level(i) for i in p.images] for p in problems] == [[0, 3], [1, 2], [1, 2, 3], []]
    assert [s.reason for s in problems.skipped] == ["missing image"]
    with pytest.raises(UserError, match="'chapter.pdf' is missing"):
        load("hf", jsonl(tmp_path / "metadata.jsonl", rows[3:4]))


def test_folders_named_after_classes_are_refused(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(png(1))
    with pytest.raises(UserError, match=r"holds pictures but no questions; an image folder needs a metadata\.csv"):
        load("hf", tmp_path)


def test_messages_list_the_columns(tmp_path):
    cases = [
        ({"Frage": "q", "Antwort": "5"}, "no question .looked for a column question, prompt, .* or conversations; found Frage, Antwort"),
        ({"question": "q", "Antwort": "5"}, "none of the 1 rows has a usable gold answer .looked for a column answer, .*; found question, Antwort"),
        ({"question": "<image> q", "answer": "5", "bild": "1.png"},
        "missing image .1 image markers for 0 images; looked for .*; found question, answer, bild"),
    ]  # fmt: skip
    for row, message in cases:
        with pytest.raises(UserError, match=message) as error:
            load("hf", jsonl(tmp_path / "r.jsonl", [row]))
        assert "\n" not in str(error.value)
    (tmp_path / "1.png").write_bytes(png(7))
    names = {"question": "Frage", "answer": "Antwort", "image": "bild"}
    (problem,) = load(
        "hf",
        jsonl(tmp_path / "r.jsonl", [{"Frage": "q", "question": "other", "Antwort": "5", "bild": "1.png"}]),
        names=names,
    )
    assert (problem.question, problem.answer, level(problem.images[0])) == ("q", "5", 7)
    with pytest.raises(UserError, match=r"data.columns must name columns of the data set \(Frage\); got 'Antwort'"):
        load("hf", jsonl(tmp_path / "r.jsonl", [{"Frage": "q"}]), names=names)
    (problem,) = load("hf", jsonl(tmp_path / "r.jsonl", [{" Question ": "q", "ANSWER": "5", "Image": "1.png"}]))
    assert (problem.question, problem.answer, len(problem.images)) == ("q", "5", 1)


def test_lists_of_answers_are_never_joined(tmp_path):
    rows = [{"question": f"q{i}", "answer": a} for i, a in enumerate((["5"], ["5", " 5"], ["0", "9"], [3, 4], []))]
    rows.append({"question": "q", "reward_model": {"ground_truth": ["a", "b"]}})
    problems = load("hf", jsonl(tmp_path / "r.jsonl", rows))
    assert [p.answer for p in problems] == ["5", "5"]
    assert [s.reason for s in problems.skipped] == ["no gold answer"] * 4
    assert "a list of 2 different answers, ['0', '9']" in problems.skipped[0].detail


def test_pictures_inside_rows_are_read_again_and_not_held(tmp_path):
    """Parquet (bytes, {bytes, path}, lists), JSON lines and chat content with data URLs, saved data sets."""
    datasets = pytest.importorskip("datasets")
    noise = [io.BytesIO() for _ in range(30)]
    for i, out in enumerate(noise):
        Image.effect_noise((200, 200), 90).save(out, "PNG")
        noise[i] = out.getvalue()
    url = ["data:image/png;base64," + base64.b64encode(data).decode() for data in noise]
    base = {"question": [f"q{i}" for i in range(30)], "answer": ["1"] * 30}
    kinds = {
        "bytes": {"image": noise},
        "struct": {"image": [{"bytes": d, "path": "x.png"} for d in noise]},
        "list": {"images": [[{"bytes": d, "path": None}] * 2 for d in noise]},
    }
    places = []
    for name, column in kinds.items():
        parquet.write_table(pyarrow.table({**base, **column}), tmp_path / f"{name}.parquet", row_group_size=7)
        places.append(tmp_path / f"{name}.parquet")
    places.append(
        jsonl(tmp_path / "u.jsonl", [{"question": f"q{i}", "answer": "1", "image": u} for i, u in enumerate(url)])
    )
    content = lambda u: [{"type": "text", "text": "q"}, {"type": "image_url", "image_url": {"url": u}}]
    rows = [{"messages": [{"role": "user", "content": content(u)}], "answer": "1"} for u in url]
    places.append(jsonl(tmp_path / "m.jsonl", rows))
    datasets.Dataset.from_dict({**base, "image": [{"bytes": d, "path": None} for d in noise]}).save_to_disk(
        tmp_path / "saved"
    )
    places.append(tmp_path / "saved")
    expected = [images.bytes_image(d).key for d in noise]
    for place in places:
        problems = load("hf", place)
        assert [p.images[0].key for p in problems] == expected, place
        pixels = [images.decode(d, "").tobytes() for d in noise]
        assert [problems[i].images[-1].open().tobytes() for i in (0, 29, 11)] == [pixels[i] for i in (0, 29, 11)], place
        assert _bytes_held(problems) < 10_000, place
    problems = load("hf", tmp_path / "struct.parquet")
    (tmp_path / "struct.parquet").unlink()
    with pytest.raises(UserError, match="cannot be read any more"):
        problems[3].images[0].open()


def _bytes_held(problems):
    """Bytes and long texts reachable from the problems, closures included."""
    seen, stack, total = set(), [p for p in problems], 0
    while stack:
        value = stack.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, bytes | str):
            total += len(value) if len(value) > 1000 else 0
        elif isinstance(value, dict):
            stack += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple):
            stack += value
        elif callable(value):
            stack += [c.cell_contents for c in getattr(value, "__closure__", None) or ()]
            stack += [getattr(value, "args", ()), getattr(value, "keywords", None) or {}]
        elif hasattr(value, "__dict__") and type(value).__module__.startswith("nsrl"):
            stack.append(vars(value))
    return total


def test_floats_and_wide_greys_keep_their_brightness(tmp_path):
    for name, values, wanted in (
        ("unit", [0.0, 0.5, 1.0], [0, 128, 255]),
        ("bytes", [0.0, 128.0, 255.0], [0, 128, 255]),
        ("height", [-10.0, 0.0, 10.0], [0, 128, 255]),
        ("wide", [0.0, 30_000.0, 60_000.0], [0, 128, 255]),
    ):
        picture = Image.new("F", (3, 1))
        picture.putdata(values)
        picture.save(tmp_path / f"{name}.tif")
        shown = images.file_image(tmp_path / f"{name}.tif").open()
        assert [shown.getpixel((x, 0)) for x in range(3)] == [(v, v, v) for v in wanted], name
    picture.putdata([0.0, float("nan"), float("inf")])
    picture.save(tmp_path / "nan.tif")
    with pytest.raises(UserError, match="damaged"):
        images.file_image(tmp_path / "nan.tif").open()


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of damaged TIFF files
def test_damage_is_one_sentence_whatever_the_bytes(tmp_path):
    """Random damage to every common format: an error is always the picture's own, and a header never lies about the
    size."""
    rng, whole = random.Random(1), []
    picture = Image.effect_noise((70, 50), 60).convert("RGB")
    for kind, options in (
        ("PNG", {}),
        ("JPEG", {}),
        ("GIF", {}),
        ("WEBP", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("AVIF", {}),
        ("JPEG2000", {}),
        ("ICO", {}),
    ):
        out = io.BytesIO()
        try:
            picture.save(out, kind, **options)
        except (KeyError, OSError):
            continue  # this build of Pillow does not write it
        whole.append(out.getvalue())
    refused = 0
    for _ in range(700):
        data = bytearray(rng.choice(whole))
        if rng.random() < 0.3:
            data = data[: rng.randrange(1, len(data))]
        for _ in range(rng.randint(0, 8)):
            data[min(len(data) - 1, int(rng.random() ** 3 * len(data)))] = rng.randrange(256)
        try:
            size = images.inspect(bytes(data), "x")
            assert images.decode(bytes(data), "x").size == size
        except UserError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 100


GOOD = {"question": "q", "answer": "5"}
DEEP = '{"question": "deep", "answer": "5", "note": ' + "[" * 90_000 + "]" * 90_000 + "}"


def test_no_value_costs_more_than_its_row(tmp_path):
    """Each row alone between good ones: half characters, pictures that are none, nesting, roles that are lists."""
    url = base64.b64encode(png(7)).decode()
    bad = [
        *(GOOD | {k: "a\ud800b"} for k in ("question", "answer", "id", "category", "source", "note", "image")),
        *(GOOD | {k: v} for k, v in (("options", ["a", "\udfff"]), ("note", {"a": [{"b": "\ud800"}]}), ("note",
        {"\ud800": 1}))),
        *(GOOD | {"image": {"bytes": v}} for v in ("text", "dGV4dA==", ["a"], [300], [-1], [True], -1, 10**12, 1.5,
        {"a": 1}, "é", [[1]])),
        *(GOOD | {"image": v} for v in ("data:image/png;base64,é", "data:image/png;base64,\u00a0", "data:", 5, [5],
        {"path": ["a"]}, "a\0b")),
        *(GOOD | {"question": [{"role": "user", "content": [{"type": t, t: "a.mp4"}, {"type": "text",
        "text": "What?"}]}]} for t in ("video", "audio", "tool")),
        GOOD | {"question": [{"from": ["a"], "value": "x\ud800"}]},
        GOOD | {"question": [{"from": "human", "value": "<video>\nWhat?"}], "videos": ["a.mp4"]},
        GOOD | {"answer": {"a": 1}, "options": {"A": None}} | {"answer": None},
        GOOD | {"note": json.loads("[" * 150 + "]" * 150)},
    ]  # fmt: skip
    fine = [
        GOOD | {"id": "😀", "question": [{"from": ["a"], "value": "x"}]},
        *(
            GOOD | {"image": {"bytes": v}}
            for v in (url, "data:image/png;base64," + url, list(png(7)), url[:40] + "\n" + url[40:])
        ),
        GOOD
        | {
            "question": [
                {"role": "user", "content": [{"type": "input_text", "text": "q"}, {"type": "text", "text": None}]}
            ]
        },
        GOOD | {"question": "What does the tag <video> do?"},
    ]
    for name, pack in (("r.jsonl", "\n".join), ("r.json", lambda rows: "[" + ",".join(rows) + "]")):
        lines = [text for row in (*bad, None) for text in (json.dumps(row) if row else DEEP, json.dumps(GOOD))]
        (tmp_path / name).write_text(pack(lines + [json.dumps(row) for row in fine]))
        problems = load("hf", tmp_path / name)
        kept = {s.row for s in problems.skipped}
        assert [n for n in range(0, len(lines), 2) if n not in kept] == []
        assert len(problems) == len(lines) // 2 + len(fine) and len(problems.skipped) == len(bad) + 1
        assert [level(p.images[0]) for p in problems if p.images] == [7] * 4
        for text in [s.id + s.reason + s.detail for s in problems.skipped] + [problems.report()]:
            assert "\n" not in text.encode().decode()


def test_parquet_text_in_binary_broken_and_map_columns(tmp_path):
    questions = [b"q0 \xc3\xa9", b"q1", b"\xff\xfe", b"q3"]
    broken = pyarrow.Array.from_buffers(pyarrow.string(), 4, pyarrow.array(questions, pyarrow.binary()).buffers())
    for kind, column in (("binary", pyarrow.array(questions, pyarrow.binary())), ("string", broken)):
        table = pyarrow.table(
            {
                "question": column,
                "answer": pyarrow.array([b"5"] * 4, pyarrow.binary()),
                "subject": [b"a"] * 4,
                "id": [b"w", b"x", b"y", b"z"],
            }
        )
        parquet.write_table(table, tmp_path / f"{kind}.parquet")
        problems = load("hf", tmp_path / f"{kind}.parquet")
        assert [(p.id, p.question, p.answer, p.category) for p in problems] == [
            (i, q, "5", "a") for i, q in (("w", "q0 é"), ("x", "q1"), ("z", "q3"))
        ], kind
        assert [s.row for s in problems.skipped] == [2]
    options = pyarrow.array([[("B", "y"), ("A", "x")]], pyarrow.map_(pyarrow.string(), pyarrow.string()))
    lists = pyarrow.array([[b"x", b"y"]], pyarrow.list_(pyarrow.binary()))
    for number, column in enumerate((options, lists)):
        parquet.write_table(
            pyarrow.table({"question": ["q"], "choices": column, "answer": ["B"]}), tmp_path / f"o{number}.parquet"
        )
        assert load("hf", tmp_path / f"o{number}.parquet")[0].options == ("x", "y")
    picture = pyarrow.table(
        {
            "question": ["a", None, "b"],
            "image": [png(1), png(2), png(3)],
            "when": pyarrow.array([0, 1, 0], pyarrow.timestamp("s")),
        }
    )
    far = picture.set_column(2, "when", pyarrow.array([0, 10**14, 0], pyarrow.timestamp("s"))).append_column(
        "answer", [["1"] * 3]
    )
    parquet.write_table(far, tmp_path / "far.parquet")
    assert [level(p.images[0]) for p in load("hf", tmp_path / "far.parquet")] == [
        1,
        3,
    ]  # read again by the right number


def test_broken_text_in_a_saved_data_set(tmp_path):
    datasets = pytest.importorskip("datasets")
    broken = pyarrow.Array.from_buffers(
        pyarrow.string(), 4, pyarrow.array([b"a", b"\xff", b"c", b"d"], pyarrow.binary()).buffers()
    )
    datasets.Dataset(
        pyarrow.table({"question": broken, "answer": ["1"] * 4, "image": [png(i) for i in range(4)]})
    ).save_to_disk(tmp_path / "d")
    problems = load("hf", tmp_path / "d")
    assert [(p.question, level(p.images[0])) for p in problems] == [("a", 0), ("c", 2), ("d", 3)] and len(
        problems.skipped
    ) == 1


@pytest.mark.parametrize("at", [0, 1, 500, 998, 999])
@pytest.mark.parametrize("cell", ['"open {i}', '"two\nlines" {i}', '"a "quoted" word {i}'])
def test_a_stray_quote_costs_its_own_lines(tmp_path, at, cell):
    rows = [f"q{i},{i}" for i in range(1000)]
    rows[at] = f"{cell.format(i=at)},{at}"
    (tmp_path / "a.csv").write_text("question,answer\n" + "\n".join(rows) + "\n")
    problems = load("hf", tmp_path / "a.csv")
    assert [p.answer for p in problems if p.question.startswith("q")] == [str(i) for i in range(1000) if i != at]
    assert problems.skipped[0].detail.startswith(f"line {at + 2} is not CSV")
    # the second line of a cell has the header's number of fields here, so it is taken for a row
    assert (len(problems), len(problems.skipped)) == (999 + cell.count("\n"), 1)


def test_columns_of_one_name(tmp_path):
    for header in ("question,answer,question", "Question,question ,answer"):
        (tmp_path / "a.csv").write_text(header + "\na,b,c\n")
        with pytest.raises(UserError, match="must name each column once; got 'question' 2 times"):
            load("hf", tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text("question,answer,,\na,1,,\nb,2,,\n")  # what spreadsheets leave at the end
    assert [p.answer for p in load("hf", tmp_path / "a.csv")] == ["1", "2"]


def test_the_lines_of_a_torn_cell_are_told_and_no_rows(tmp_path):
    (tmp_path / "a.csv").write_text(
        'question,answer\na,1\n"a cell\nof, three, fields\nand "one",5\nb,2\n"open, 3\nc\nd'
    )
    found = [record for _, record in records(tmp_path / "a.csv")]
    assert [r for r in found if isinstance(r, dict)][0::2] == [
        {"question": "a", "answer": "1"},
        {"question": "b", "answer": "2"},
    ]
    bad = [r for r in found if isinstance(r, str)]
    assert len(bad) == 2 and "line 3 is not CSV" in bad[0] and "1 more of its lines" in bad[0]
    assert "line 7 is not CSV" in bad[1] and "2 more of its lines" in bad[1]


def test_integers_of_thousands_of_digits_and_keys_given_twice_cost_their_row(tmp_path):
    good = '{"question": "q", "answer": "5", "note": 12345678901234567890}'
    bad = [
        '{"question": "q", "answer": ' + "7" * 5000 + "}",
        '{"question": "q", "answer": "5", "note": [{"a": -' + "7" * 5000 + "}]}",
        '{"question": "q", "answer": "5", "answer": "6"}', '{"question": "q", "answer": "5", "note": {"a": 1, "a": 1}}',
        "7" * 5000,
        '{"question": "q", "answer": "5", "Answer": "6"}',
    ]  # fmt: skip
    lines = [line for b in bad for line in (good, b)]
    (tmp_path / "r.jsonl").write_text("\n".join(lines))
    (tmp_path / "r.json").write_text("[" + ",".join(lines) + "]")
    for name in ("r.jsonl", "r.json"):
        problems = load("hf", tmp_path / name)
        assert len(problems) == len(bad) and [s.row for s in problems.skipped] == list(range(1, 2 * len(bad), 2))
        details = " ".join(s.detail for s in problems.skipped)
        assert (
            "5000 digits" in details
            and "'answer' is given twice" in details
            and "'answer' and 'Answer' differ" in details
        )
        assert problems[0].columns["note"] == 12345678901234567890
    (tmp_path / "r.json").write_text('{"a": {"question": "q", "answer": "5"}, "a": {"question": "q", "answer": "6"}}')
    with pytest.raises(UserError, match="the key 'a' is given twice"):
        load("hf", tmp_path / "r.json")


def test_a_parquet_file_with_two_columns_of_one_name(tmp_path):
    table = pyarrow.Table.from_arrays([["q"], ["5"], ["6"]], names=["question", "answer", "answer"])
    parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(UserError, match="must name each column once; got 'answer' 2 times"):
        load("hf", tmp_path / "a.parquet")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_json_lines_in_utf_16_are_one_sentence(tmp_path, encoding):
    (tmp_path / "a.jsonl").write_bytes('{"question": "q", "answer": "5"}\n'.encode(encoding))
    with pytest.raises(UserError, match="'a.jsonl' must be UTF-8; it begins as UTF-16"):
        load("hf", tmp_path / "a.jsonl")
    (tmp_path / "a.jsonl").write_bytes('\ufeff{"question": "q", "answer": "5"}\n'.encode())
    assert len(load("hf", tmp_path / "a.jsonl")) == 1


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "json"])
def test_files_that_are_something_else_than_their_name_says(tmp_path, ending):
    parquet.write_table(pyarrow.table({"question": ["q"], "answer": ["5"]}), tmp_path / "a.parquet")
    whole = b"question,answer\nq,5\n" * 9
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.csv", whole)
    packed = {"gzip": gzip.compress(whole), "bzip2": bz2.compress(whole), "xz": lzma.compress(whole)}
    packed |= {"a zip archive": (tmp_path / "a.zip").read_bytes(), "parquet": (tmp_path / "a.parquet").read_bytes()}
    for what, data in packed.items():
        (tmp_path / f"b.{ending}").write_bytes(data)
        with pytest.raises(UserError, match=f"'b.{ending}' is {what}"):
            load("hf", tmp_path / f"b.{ending}")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "rows.jsonl")
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / "rows.jsonl", "pipe"):
        with pytest.raises(UserError, match="must be a file, a folder or a Hub id; .* a pipe"):
            load_problems(SimpleNamespace(source="hf", path=str(path), split="train", eval_size=9))


@pytest.mark.parametrize("title", ["My questions", "My questions,,", '"Questions, new ones"', "sep=,\r\nTitle"])
def test_a_title_line_above_the_header(tmp_path, title):
    (tmp_path / "a.csv").write_text(f"{title}\nquestion,answer,id\nq,5,x\nr,6,y\n")
    with pytest.raises(
        UserError, match=r"the first line of 'a.csv' must name the columns; it is .* take a title line away"
    ):
        load("hf", tmp_path / "a.csv")
