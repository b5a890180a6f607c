"""MathVista, MathVerse and MATH-Vision as they are published: what their rows ask, and what answers them."""

import io
import json

import pytest
from PIL import Image

from nsrl.answers import check
from nsrl.data import load, open_source
from nsrl.data.chat import messages
from nsrl.errors import UserError
from nsrl.report.table import group_tables

pyarrow = pytest.importorskip("pyarrow")
from pyarrow import parquet  # noqa: E402


def picture(shade):
    out = io.BytesIO()
    Image.new("RGB", (40, 30), (shade, 0, 0)).save(out, "PNG")
    return out.getvalue()


def vista(pid, answer, choices=None, kind="integer", **changes):
    row = {
        "pid": str(pid), "question": f"What is shown in {pid}?", "image": f"images/{pid}.png", "choices": choices,
        "unit": None, "precision": None, "answer": answer, "answer_type": "text" if choices else kind,
        "question_type": "multi_choice" if choices else "free_form", "query": "Hint: …",
        "metadata": {"task": "math word problem", "category": "general-vqa", "skills": ["arithmetic"]},
    }  # fmt: skip
    return row | changes


def verse(number, version, question, answer, kind="multi-choice", image=True, **changes):
    row = {
        "sample_index": str(number), "problem_index": "1", "problem_version": version, "question": question,
        "image": {"bytes": picture(number), "path": None} if image else "", "answer": answer, "question_type": kind,
        "metadata": {"subject": "Plane Geometry", "subfield": "Angle", "split": "testmini", "source": "x"},
        "query_wo": "Please …", "query_cot": "Please …", "question_for_eval": question,
    }  # fmt: skip
    return row | changes


def asked(problem):
    return "".join(part["text"] for part in messages(problem)[-1]["content"] if part["type"] == "text")


VISTA = [  # a row, the gold that it becomes, what answers it and what does not
    (vista(1, "larger", ["smaller", "larger"]), "B", ["B", "(B)", "larger", "It is larger.", "(B) larger"], ["A", "C"]),
    (vista(2, "6cm", ["6cm", "7cm", "6cm"]), "A", ["6 cm", "A", "6"], ["C", "7cm"]),
    (vista(3, "sample A", ["neither", "sample A", "sample B"]), "B", ["sample A", "B"], ["A", "sample B"]),
    (vista(4, "B", ["C", "A", "B"]), "B", ["B"], ["A"]),  # letters in another order: the text is meant
    (vista(5, "7", ["1", "7", "0"]), "B", ["7", "B"], ["1", "0"]),  # never a count of the options
    (vista(6, "0.8", kind="float", precision=1.0), "0.8", ["0.8", "0.84", "4/5"], ["0.9", "0.86"]),
    (vista(7, "5", kind="float", precision=2), "5.00", ["5", "5.004"], ["5.01", "5.1"]),
    (vista(8, "5.0"), "5", ["5", "5.0"], ["5.04"]),
    (vista(9, "11", unit="years"), "11 years", ["11", "They are 11 years apart.", "132 months"], ["11 days", "12"]),
    (vista(10, "3", unit="qux % zot"), "3", ["3"], ["4"]),  # a unit that the check cannot read
    (vista(11, "[2014, 2016]", kind="list"), "[2014, 2016]", ["[2014, 2016]", "2014, 2016"], ["[2016, 2014]", "2014"]),
    (vista(12, "many", kind="float", precision=1), "many", ["many"], ["1"]),
    (vista(13, "0.125", kind="float", precision=float("nan")), "0.125", ["0.125"], ["0.1"]),
]
HOSTILE = {
    "20": (vista(20, "x", question_type="multi_choice"), "no options"),
    "21": (vista(21, "C", ["red", "blue"]), "no gold answer"),
    "22": (vista(22, "red", "red, blue"), "no options"),
    "23": (vista(23, None), "no gold answer"),
    "25": (vista(25, "", ["", "b"], metadata=None), "no gold answer"),
}


@pytest.mark.parametrize("shape", ["json", "parquet"])
def test_mathvista(tmp_path, shape):
    rows = [row for row, *_ in VISTA] + [row for row, _ in HOSTILE.values()]
    rows = [{**row, "choices": None} if shape == "parquet" and isinstance(row["choices"], str) else row for row in rows]
    if shape == "json":  # {pid: row}, as in the authors' repository
        (tmp_path / "data" / "images").mkdir(parents=True)
        for row in rows:
            (tmp_path / "data" / row["image"]).write_bytes(picture(int(row["pid"])))
        (tmp_path / "data" / "testmini.json").write_text(json.dumps({r["pid"]: r for r in rows}))
        (tmp_path / "data" / "test.json").write_text("{}")
    else:  # as on the Hub
        rows = [{**r, "decoded_image": {"bytes": picture(int(r["pid"])), "path": None}} for r in rows]
        for part in range(2):
            parquet.write_table(
                pyarrow.Table.from_pylist(rows[part::2]), tmp_path / f"testmini-0000{part}-of-2.parquet"
            )
    problems = load("mathvista", tmp_path)
    found = {p.id: p for p in problems}
    assert {s.id: s.reason for s in problems.skipped} == {pid: reason for pid, (_, reason) in HOSTILE.items()}
    for row, gold, right, wrong in VISTA:
        p = found[row["pid"]]
        assert p.answer == gold, row
        assert [a for a in right if check(a, p.answer, p.options).correct is not True] == [], row
        assert [a for a in wrong if check(a, p.answer, p.options).correct is not False] == [], row
        assert (p.category, dict(p.groups)) == ("math word problem", {"answer type": row["answer_type"]})
        assert len(p.images) == 1 and p.images[0].open().getpixel((0, 0)) == (int(p.id), 0, 0)
    assert asked(found["2"]).endswith("A. 6cm\nB. 7cm")  # one text is one option
    assert asked(found["9"]) == "What is shown in 9? (Unit: years) Answer with a whole number."
    assert asked(found["6"]).endswith("Answer with a number rounded to 1 decimal place.")
    assert len(open_source(f"mathvista:{tmp_path}")) == len(VISTA)


OPTIONS = "\nChoices:\nA:40°\nB:60°\nC:2√{3}"
VERSE = [
    (verse(1, "Text Dominant", f"Angle A is 40, angle B?{OPTIONS}", "B"), "B", ["B", "60°", "60"], ["A", "40"]),
    (verse(2, "Text Lite", f"Angle B?{OPTIONS}", "C"), "C", ["C", "2\\sqrt{3}"], ["B"]),
    (verse(3, "Vision Only", "", "B", question_for_eval=f"Angle B?{OPTIONS}"), "B", ["60°", "(B)"], ["40°"]),
    (verse(4, "Vision Only", None, "B", question_for_eval=None), "B", ["B"], ["C"]),
    (verse(5, "Text Only", f"True?{OPTIONS}", "40°", image=False), "40°", ["A", "40"], ["B"]),
    (verse(6, "Vision Intensive", "Area?", "Area $=9 \\pi \\mathrm{cm}^{2}$", "free-form"),
     "9 \\pi \\mathrm{cm}^{2}", ["9\\pi", "9\\pi cm^2", "$A = 9\\pi$ cm²"], ["9\\pi m^2", "9", "9\\pi cm"]),
    (verse(7, "Vision Dominant", "Bearing?", "118掳T", "free-form"), "118°", ["118°T", "118^\\circ T", "118"], ["62°"]),
    (verse(8, "Vision Dominant", "Slope?", "slope =-4", "free-form"), "-4", ["-4"], ["4"]),
    (verse(9, "Text Lite", "Line?", "y=-2x+5", "free-form"), "y=-2x+5", ["y = 5 - 2x"], ["y=2x+5"]),
    (verse(10, "Text Lite", "Parity?", "even", "free-form"), "even", ["even"], ["odd"]),
]  # fmt: skip


def test_mathverse(tmp_path):
    rows = [{**row, "image": row["image"] or None} for row, *_ in VERSE]
    parquet.write_table(pyarrow.Table.from_pylist([*rows, rows[-1]]), tmp_path / "testmini.parquet")
    (tmp_path / "testmini_text_only.json").write_text(json.dumps([{**rows[4], "image": ""}]))
    problems = open_source(f"mathverse:{tmp_path}")
    assert [p.id for p in problems][-2:] == ["9", "10"]  # a row twice counts twice, as it is scored
    for p, (row, gold, right, wrong) in zip(problems, VERSE):
        assert (p.answer, p.category, p.groups["subject"]) == (gold, row["problem_version"], "Plane Geometry")
        assert [a for a in right if check(a, p.answer, p.options).correct is not True] == [], row
        assert [a for a in wrong if check(a, p.answer, p.options).correct is not False] == [], row
    assert asked(problems[0]) == "Angle A is 40, angle B?\nA. 40°\nB. 60°\nC. 2√{3}"
    assert asked(problems[2]) == asked(problems[3]) == "Answer the question that the picture shows."
    alone = load("mathverse", tmp_path / "testmini_text_only.json")
    assert [(p.category, len(p.images)) for p in alone] == [("Text Only", 0)]
    with pytest.raises(UserError, match="must be a MathVerse folder, file or Hub id .* does not exist"):
        load("mathverse", "./absent")


def test_mathvision_as_on_the_hub(tmp_path):
    row = {"id": "7", "question": "Which of <image1>, <image2>?\n<image3>", "options": ["A", "B", "C"], "answer": "B",
           "image": "images/7.jpg", "decoded_image": {"bytes": picture(9), "path": None}, "solution": None, "level": 3,
           "subject": "logic"}  # fmt: skip
    (tmp_path / "data").mkdir()
    for part in ("test", "testmini"):
        more = [] if part == "testmini" else [{**row, "id": "8", "options": [], "answer": "3.14", "level": 1}]
        parquet.write_table(pyarrow.Table.from_pylist([row, *more]), tmp_path / "data" / f"{part}-00000-of-1.parquet")
    letters, number = load("mathvision", tmp_path)
    assert (letters.category, letters.groups, letters.answer, len(letters.images)) == ("logic", {"level": "3"}, "B", 1)
    assert check("The answer is (B).", letters.answer, letters.options).correct
    assert check("3.142", number.answer).correct and check("3.15", number.answer).correct is False
    records = [{"problem_id": p.id, "category": p.category, "correct": p is number, "group/level": p.groups["level"]}
               for p in (letters, number)]  # fmt: skip
    levels = group_tables(records)["level"]
    assert [(r["category"], r["count"], r["accuracy"]) for r in levels] == [("1", 1, 1.0), ("3", 1, 0.0)]
    assert group_tables([{"problem_id": "1", "correct": True}]) == {}


def test_a_bad_row_of_a_mapping_of_rows_costs_itself(tmp_path):
    rows = ", ".join(f'"{i}": {{"question": "How many {i}?", "answer": "3"}}' for i in range(3))
    (tmp_path / "testmini.json").write_text(f'{{{rows}, "8": 17, "9": {{"question": "a", "question": "b"}}}}')
    problems = load("mathvista", tmp_path)
    assert len(problems) == 3 and len(problems.skipped) == 2
