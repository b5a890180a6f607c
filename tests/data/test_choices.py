"""Options and golds in the shapes of real data sets; what could mean two things is skipped and counted."""

import csv
import json
import random

import numpy
import pytest

from nsrl.answers.checker import check
from nsrl.answers.gold import chosen
from nsrl.data import load
from nsrl.data.chat import options_text
from nsrl.data.choices import BadRow, Counted, Meaning, Options, float_text, gold, options

pyarrow = pytest.importorskip("pyarrow")
from pyarrow import parquet  # noqa: E402

SEED = random.SystemRandom().randrange(2**32)  # printed where an assertion fails
TEN = ("10", "20", "30")


def loaded(tmp_path, rows, ending="jsonl"):
    """(question, answer, options) of each problem, and details of what was skipped."""
    file = tmp_path / f"rows.{ending}"
    rows = [{"question": f"q{i}", **row} for i, row in enumerate(rows)]
    if ending == "jsonl":
        file.write_text("".join(json.dumps(r) + "\n" for r in rows))
    elif ending == "parquet":
        parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    else:
        with file.open("w", newline="") as out:
            writer = csv.DictWriter(out, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    problems = load("hf", file)
    return [(p.question, p.answer, p.options) for p in problems], [s.detail for s in problems.skipped]


@pytest.mark.parametrize(
    "cell,texts",
    [
        (["10", "20", "30"], TEN),
        ("['10', '20', '30']", TEN),
        ('["10", "20", "30"]', TEN),
        ("['10' '20' '30']", TEN),  # a NumPy array in a cell that pandas wrote
        ("['10' '20'\n '30']", TEN),
        ("[10 20 30]", TEN),
        ("[10, 20, 30]", TEN),
        ("('10', '20')", None),
        ("['a \\'b\\' c' \"d's\"]", ("a 'b' c", "d's")),
        ("['10', nan, '30']", ("10", "", "30")),
        (str(["\\frac{1}{2}", "2 \\times 3"]), ("\\frac{1}{2}", "2 \\times 3")),
        # read as Python they are a form feed and a tab
        *((f"['1', '{tex} 2']", None) for tex in ("\\frac", "\\times", "\\beta")),
        ("{'text': array(['10', '20', '30'], dtype=object), 'label': array(['A', 'B', 'C'], dtype='<U1')}", TEN),
        ("['a, dtype=object)', 'array(b']", ("a, dtype=object)", "array(b")),
        ("A. 10\nB. 20\nC. 30", TEN),
        ("(A) 10 (B) 20 (C) 30", TEN),
        ("A: 10, B: 20, C: 30", TEN),
        ("10\n20\n30", TEN),
        (["(A) 10", "(B) 20", "(C) 30"], TEN),
        (["B. 20", "A. 10", "C. 30"], TEN),
        ({"A": None, "B": "x", "C": "y"}, ("", "x", "y")),
        ({"B": "x", "C": "y", "D": None}, ("", "x", "y")),
        ([None, "x", "y"], ("", "x", "y")),
        ([None, float("nan"), ""], ()),
        ({"c": "30", "a": "10", "b": "20"}, TEN),
        ({"option_b": "20", "option_a": "10", "option_c": "30"}, TEN),
        ({"label": ["B", "A", "C"], "text": ["20", "10", "30"]}, TEN),
        ({"label": ["1", "2", "3"], "text": ["10", "20", "30"]}, TEN),
        ({"text": ["10", "20", "30"]}, TEN),
        ({str(k): str(k * 10) for k in (10, 11, *range(1, 10))}, tuple(str(10 * k) for k in range(1, 12))),
        ([{"id": "A", "text": "10"}, {"id": "C", "text": "30"}, {"id": "B", "text": "20"}], TEN),
        ([{"label": "A", "option": "10"}, {"label": "B", "option": "20"}, {"label": "C", "option": "30"}], TEN),
        ([{"A": "10"}, {"B": "20"}, {"C": "30"}], TEN),
        ([10.0, 20.0, 30.0], TEN),
        (numpy.array(["10", "20", "30"]), TEN),
        (numpy.array([{"key": "A", "value": "10"}, {"key": "B", "value": "20"}, {"key": "C", "value": "30"}]), TEN),
        (["The [a]", "{b}"], ("The [a]", "{b}")),
        *((nothing, ()) for nothing in ([], "[]", "", "  ", None, {}, float("nan"), numpy.array([]), {"A": None,
        "B": None})),
        *((bad, None) for bad in ("[10, 20", "ten", 5, ["a", {"id": "B", "text": "b"}], {"label": ["A"], "text": ["a",
        "b"]})),
        *((bad, None) for bad in ([{"id": "A", "text": "a"}, {"id": "A", "text": "b"}], [{"x": 1, "y": 2}],
        "[" * 9000 + "]" * 9000)),
    ],
)  # fmt: skip
def test_shapes_of_options(cell, texts):
    if texts is None:
        with pytest.raises(BadRow, match="unreadable options"):
            options(cell)
    else:
        assert options(cell).texts == texts


def test_random_options_written_as_text_come_back():
    rng = random.Random(SEED)
    for _ in range(300):
        texts = [
            "".join(rng.choice("ab'\"\\,[]{}() 7\nné") for _ in range(rng.randint(1, 9))).strip() or "x"
            for _ in range(rng.randint(2, 6))
        ]
        for written in (
            str(texts),
            json.dumps(texts),
            str(numpy.array(texts, dtype=object)),
            str({"text": numpy.array(texts, dtype=object)}),
        ):
            assert list(options(written).texts) == list(options(texts).texts), (SEED, written)


@pytest.mark.parametrize("ending", ["jsonl", "parquet", "csv"])
@pytest.mark.parametrize(
    "name,rows,expected",
    [
        ("ARC", [{"choices": {"text": ["a", "b"], "label": ["A", "B"]}, "answerKey": "B"}, {"choices": {"text": ["10",
        "2"], "label": ["1", "2"]}, "answerKey": "2"}], "BB"),
        ("ScienceQA", [{"choices": ["red", "green", "blue"], "answer": k, "solution": "as one sees"} for k in (0, 2,
        1)], "ACB"),
        ("ScienceQA with numbers", [{"choices": ["0", "1", "2"], "answer": 1}, {"choices": ["2", "1", "0"],
        "answer": 2}, {"choices": ["a", "b"], "answer": 0}], "BCA"),
        ("MMMU", [{"options": "['$6', '$7', '$8']", "answer": "B"}, {"options": '["it\'s", "b"]', "answer": "A"}],
        "BA"),
        ("AI2D", [{"options": ["stem", "leaf", "root", "bud"], "answer": k} for k in "0312"], "ADBC"),
        ("MathVista", [{"choices": ["1.5 cm", "2 cm"], "answer": "2 cm"}, {"choices": ["Yes", "No"], "answer": "No"}],
        ["2 cm", "No"]),
        ("numbers as texts", [{"options": ["1", "2", "3"], "answer": 2}, {"options": ["12", "15", "3"], "answer": 15}],
        ["B", "B"]),
    ],
)  # fmt: skip
def test_conventions_of_real_data_sets(tmp_path, ending, name, rows, expected):
    found, skipped = loaded(tmp_path, rows, ending)
    assert not skipped
    assert [answer for _, answer, _ in found] == list(expected)
    for (_, answer, texts), row in zip(found, rows):
        right = [t for i, t in enumerate(texts) if check(chr(65 + i), answer, texts).correct]
        assert len(right) == 1, (name, row)


def test_open_and_choice_questions_in_one_set(tmp_path):
    """MMMU and MathVista have both: no options, an empty list or nothing; several open answers are refused."""
    rows = [
        {"options": "[]", "answer": "$6"},
        {"options": "['a', 'b']", "answer": "A"},
        {"options": "[]", "answer": "['24/7', '3.429']"},
        {"options": "[]", "answer": "['24']"},
    ]
    found, skipped = loaded(tmp_path, rows)
    assert [answer for _, answer, _ in found] == ["$6", "A", "24"]
    assert len(skipped) == 1 and "a list of 2 different answers" in skipped[0]


@pytest.mark.parametrize("column", [[1, 0, 2], ["1", "0", "2"], [1.0, 0.0, 2.0], ["1.0", "0", "2"]])
@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_an_index_is_one_however_it_is_written(tmp_path, column, ending):
    found, skipped = loaded(tmp_path, [{"options": ["cat", "dog", "cow"], "answer": a} for a in column], ending)
    assert [answer for _, answer, _ in found] == ["B", "A", "C"] and not skipped


def test_what_no_row_decides_is_skipped_and_counted(tmp_path):
    both, count, text = (
        {"options": ["2", "3", "1"], "answer": 1},
        {"options": ["a", "b"], "answer": 0},
        {"options": ["7", "8"], "answer": 8},
    )
    cases = [
        ([both, {"options": ["a", "b"], "answer": "A"}], ["A"], 1),  # an index or a text: nothing says it
        ([both, count], ["B", "A"], 0),
        ([both, text], ["C", "B"], 0),
        ([both, count, text], ["B"], 2),  # both are in use
        (
            [{"options": ["a", "b"], "answer": k} for k in (1, 2, 1)] + [{"options": ["a", "b"], "answer": "B"}],
            ["B"],
            3,
        ),  # from 1?
        ([{"options": ["a", "b"], "answer": k} for k in (0, 1, 2)], ["A", "B"], 1),  # 0 occurs: they count from 0
    ]
    for rows, answers, lost in cases:
        found, skipped = loaded(tmp_path, rows)
        assert ([answer for _, answer, _ in found], len(skipped)) == (answers, lost), rows
        assert all("count" in s for s in skipped)


@pytest.mark.parametrize(
    "cell,answer",
    [
        (["a", "b"], "E"), (["a", "b"], "maybe"), (["a", "b"], 7), (["a", "b"], -1), (["a", "b"], "A, F"), (["x", "x"],
        "x"), (["a", "b"], 0.5),
        ({"A": None, "B": "x", "C": "y"}, "A"), ([None, "x", "y"], 0), ({"A": "x", "B": "y", "C": None}, "C"),
        ({"text": ["10", "20"], "label": ["1", "2"]}, "3"), (["cat", "dog"], True),
    ],
)  # fmt: skip
def test_a_gold_that_is_no_option_costs_its_row(tmp_path, cell, answer):
    found, skipped = loaded(tmp_path, [{"options": cell, "answer": answer}, {"options": ["a", "b"], "answer": "B"}])
    assert [a for _, a, _ in found] == ["B"] and len(skipped) == 1 and "no gold answer" in skipped[0]


def test_golds_that_are_options():
    letters = {"A": None, "B": "x", "C": "y"}
    for cell, value, wanted in [
        (letters, "B", "B"), (letters, "y", "y"), (["a", "b", "c"], "A, C", "A, C"), (["a", "b", "c"], "(b)", "(b)"),
        (["Yes", "No"], True, "Yes"), (["True", "False"], False, "No"), (["true", "maybe"], True, "Yes"), (["x", "y"],
        "\\boxed{B}", "\\boxed{B}"),
        ({str(k): f"t{k}" for k in range(1, 12)}, "11", "t11"), ({str(k): f"t{k}" for k in range(1, 12)}, 2, "B"),
        ({"text": ["2", "10"], "label": ["1", "2"]}, 2, "B"), ([{"id": 0, "text": "x"}, {"id": 1, "text": "y"}], 1,
        "B"),
    ]:  # fmt: skip
        found = options(cell)
        assert gold(value, found) == wanted
        assert (
            sum(bool(check(t, wanted, found.texts).correct) for t in found.texts if t) == (2 if wanted == "A, C" else 1)
            or wanted == "A, C"
        )
    assert (
        options_text(options(letters).texts) == "B. x\nC. y"
    )  # an empty one is not shown, the others keep their letters


def test_random_sets_of_numbers_are_right_or_skipped():
    """Whatever the texts: in a set of indices, or of texts, a gold that is given is the one that was meant."""
    rng = random.Random(SEED)
    for _ in range(300):
        by_index = rng.random() < 0.5
        meant, numbers = [], []
        for _ in range(rng.randint(1, 8)):
            texts = tuple(str(n) for n in rng.sample(range(rng.choice([4, 9, 40])), 4))
            index = rng.randrange(4)
            found = gold(index if by_index else int(texts[index]), Options(texts))
            assert isinstance(found, Counted)
            meant.append(chr(65 + index))
            numbers.append(found)
        meaning = Meaning.of(numbers)
        for number, letter in zip(numbers, meant):
            try:
                assert meaning.answer(number) == letter, (SEED, numbers)
            except BadRow:
                assert number.text != number.count


# -- numbers -------------------------------------------------------------------------------------------------------


def test_floats_of_narrow_columns_are_their_shortest_text(tmp_path):
    rng = random.Random(SEED)
    values = [0.1, 1 / 3, 2.5, 7.0, 1e-7, *(round(rng.uniform(-99, 99), rng.randint(0, 4)) for _ in range(50))]
    for kind, numpy_kind in ((pyarrow.float32(), numpy.float32), (pyarrow.float16(), numpy.float16)):
        column = pyarrow.array([numpy_kind(v) for v in values], kind)
        choices = pyarrow.array([[v, v + 1] for v in values], pyarrow.list_(pyarrow.float32()))
        parquet.write_table(
            pyarrow.table({"question": [f"q{i}" for i in range(len(values))], "answer": column, "note": choices}),
            tmp_path / "f.parquet",
        )
        problems = load("hf", tmp_path / "f.parquet")
        assert len(problems) == len(values)
        for p, v in zip(problems, values):
            assert float(p.answer) == float(str(numpy_kind(v))), (SEED, v, kind)
            assert len(p.answer) <= len(str(numpy_kind(v))), (SEED, v, kind)
            assert p.columns["note"][0] == float(str(numpy.float32(v)))
    assert [p.answer for p in problems][:4] == ["0.1", "0.3333", "2.5", "7"]


def test_floats_of_saved_data_sets(tmp_path):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"question": datasets.Value("string"), "answer": datasets.Value("float32")})
    datasets.Dataset.from_dict({"question": ["a", "b"], "answer": [0.1, 1 / 3]}, features=features).save_to_disk(
        tmp_path / "d"
    )
    assert [p.answer for p in load("hf", tmp_path / "d")] == ["0.1", "0.33333334"]


def test_noise_of_wide_floats(tmp_path):
    values = [0.1 + 0.2, 1.1 * 3, 1 / 3, 3.141592653589793, 1e300, 12345678.9, 0.1, 5.0]
    wanted = ["0.3", "3.3", "0.3333333333333333", "3.141592653589793", "1e+300", "12345678.9", "0.1", "5"]
    assert [float_text(v) for v in values] == wanted
    for ending in ("jsonl", "parquet", "csv"):
        found, _ = loaded(tmp_path, [{"answer": v} for v in values[:-1]], ending)
        assert [answer for _, answer, _ in found] == wanted[:-1], ending
    assert check("0.3", wanted[0]).correct
    rng = random.Random(SEED)
    for _ in range(2000):  # decimals that people write stay what they are
        v = round(rng.uniform(-1000, 1000), rng.randint(1, 9))
        assert float(float_text(v)) == v, (SEED, v)


def test_golds_that_are_no_numbers(tmp_path):
    values = [
        "1e400",
        "-1e400",
        "Infinity",
        "-Infinity",
        "NaN",
        '{"ground_truth": {"a": 1}}',
        '{"a": 1}',
        '{"value": [[1]]}',
        "[[1, 2]]",
    ]
    lines = [f'{{"question": "q{i}", "answer": {v}}}\n' for i, v in enumerate(values)]
    (tmp_path / "r.jsonl").write_text("".join(lines) + '{"question": "q", "answer": {"ground_truth": 5}}\n')
    problems = load("hf", tmp_path / "r.jsonl")
    assert [p.answer for p in problems] == ["5"]
    assert [s.reason for s in problems.skipped] == ["no gold answer"] * len(values)


def test_no_cell_raises_anything_but_its_row():
    """Random values and texts as options and gold: a row, or `BadRow`; and no option is lost or invented."""
    rng = random.Random(SEED)

    def value(depth=0):
        kind = rng.randrange(12 if depth < 3 else 8)
        if kind >= 10:
            return {
                rng.choice(["A", "B", "text", "label", "id", "1", "2", "", "value", "é"]): value(depth + 1)
                for _ in range(rng.randint(0, 4))
            }
        if kind >= 8:
            return [value(depth + 1) for _ in range(rng.randint(0, 5))]
        return rng.choice(
            [
                None,
                True,
                0,
                1,
                3,
                -7,
                0.5,
                2.0,
                float("nan"),
                float("inf"),
                "",
                "A",
                "b",
                "(C)",
                "x",
                "10",
                "[1",
                "A. 1 B. 2",
                b"a",
                b"\xff",
            ]
        )

    for _ in range(3000):
        cell, answer = value(), value()
        if rng.random() < 0.3:
            cell = "".join(
                rng.choice(
                    [
                        "[",
                        "]",
                        "{",
                        "}",
                        "'",
                        '"',
                        ",",
                        " ",
                        "a",
                        "array(",
                        ")",
                        "nan",
                        ":",
                        "1",
                        "-",
                        "dtype=object",
                        "\\",
                        "\n",
                    ]
                )
                for _ in range(12)
            )
            cell = rng.choice([cell, f"[{cell}]", f"{{{cell}}}"])
        try:
            found = options(cell)
            assert all(isinstance(t, str) for t in found.texts) and (not found.texts or found.texts[-1]), (SEED, cell)
            picked = gold(answer, found)
            if isinstance(picked, Counted):
                picked = Meaning.of([picked]).answer(picked)
            if picked is not None and found.texts:
                assert chosen(picked, found.texts), (SEED, cell, answer)
        except BadRow as bad:
            assert bad.reason in ("unreadable options", "unreadable text", "no gold answer"), (SEED, cell, answer)
