"""The table: counts, shares, intervals, greedy apart, and its three forms."""

import json

import pytest

from nsrl.report.statistics import mean_interval
from nsrl.report.table import COLUMNS, markdown, print_table, status_table, table


def record(problem, correct, category="area", sample=0, **changes):
    base = {"problem_id": problem, "category": category, "correct": correct, "sample": sample, "has_code": True,
    "no_error": True,
            "status": "ok", "value_text": "5", "tokens": 10, "tokens_prose": 1, "tokens_program": 6, "tokens_answer": 0,
            "tokens_delimiters": 3, "prompt_tokens": 100, "n_images": 1, "image_width": 96.0,
            "image_height": 64.0}  # fmt: skip
    return base | changes


def test_counts_problems_and_averages_over_them():
    rows = table([
        record("a", True), record("a", False, sample=1), record("b", True, has_code=False, no_error=False, tokens=20),
        record("a", True, sample=-1, tokens=999), record("c", True, "bars", value_text="Missing[NotFound]",
        no_error=False),
    ])  # fmt: skip
    area, bars, everything = rows
    assert [r["category"] for r in rows] == ["area", "bars", "All"]
    assert (area["count"], area["completions"]) == (2, 3)
    assert area["accuracy"] == 0.75 and area["greedy_accuracy"] == 1.0
    assert area["has_code"] == area["no_error"] == pytest.approx(2 / 3)
    assert area["output_tokens"] == pytest.approx([40 / 3, 5.7735], abs=1e-3)
    assert bars["no_error_seed_rule"] == 0.0 and bars["no_error"] == 0.0 and bars["has_code"] == 1.0
    assert everything["count"] == 3 and everything["accuracy"] == pytest.approx((0.5 + 1 + 1) / 3)
    assert json.loads(json.dumps(rows)) == rows


def test_the_seeds_rule_reads_whole_words_where_the_seed_did():
    texts = {"note 5": 1, "not a number": 0, "Invalid syntax": 0, "Missing[NotFound]": 0, "knot": 1}
    for text, clean in texts.items():
        assert table([record("a", True, value_text=text)])[0]["no_error_seed_rule"] == clean, text


def test_rows_without_a_verdict_do_not_count_for_accuracy():
    area, _ = table([record("a", None), record("b", True)])
    assert area["accuracy"] == 1.0 and area["count"] == 2
    assert table([record("a", None)])[0]["accuracy"] is None
    assert table([]) == []


def test_parts_pictures_and_how_programs_ended():
    records = [
        record("a", True), record("a", False, sample=1, tokens_prose=3, status="syntax"),
        record("b", None, "bars", n_images=2, image_width=200.0, has_code=False, status=""),
        record("b", True, "bars", sample=-1, n_images=2, image_width=200.0, status="timeout"),
    ]  # fmt: skip
    area, bars, everything = table(records)
    assert area["parts"] == {"prose": 2.0, "program": 6.0, "answer": 0.0, "delimiters": 3.0}
    assert area["reasoning_tokens"] == pytest.approx([8.0, 2**0.5]) and bars["reasoning_tokens"] == [7.0, 0.0]
    assert (bars["n_images"], bars["image_width"], everything["image_width"]) == (2.0, 200.0, 148.0)  # over problems
    assert status_table(records) == (["Category", "ok", "syntax", "no program"],
        [["area", "50.0", "50.0", "0.0"], ["bars", "0.0", "0.0", "100.0"], ["All", "33.3", "33.3",
        "33.3"]])  # fmt: skip
    assert status_table([]) == (["Category"], [])


def test_what_an_earlier_version_kept_is_still_shown(capsys):
    new = (
        "tokens_prose",
        "tokens_program",
        "tokens_answer",
        "tokens_delimiters",
        "n_images",
        "image_width",
        "image_height",
    )
    old = [{k: v for k, v in record("a", True).items() if k not in new}]
    rows = table(old)
    assert rows[0]["parts"]["prose"] is None and rows[0]["reasoning_tokens"] is None and rows[0]["n_images"] is None
    kept = [{k: v for k, v in row.items() if k not in (*new, "parts", "reasoning_tokens")} for row in rows]
    assert markdown(kept) == markdown(rows) == markdown(old) and "| – | – |" in markdown(old)
    print_table(kept)
    assert "area" in capsys.readouterr().out


def test_intervals():
    assert mean_interval([]) == (None, None, None)
    mean, low, high = mean_interval([1.0] * 20)
    assert mean == 1 and low == pytest.approx(0.8389, abs=1e-3) and high == 1  # Wilson where nothing spreads
    assert mean_interval([1.0] * 3 + [0.0] * 40)[1:] == pytest.approx((0.0240, 0.1861), abs=1e-3)  # few right: Wilson
    mean, low, high = mean_interval([0.0, 1.0] * 50)
    assert (mean, high - low) == (0.5, pytest.approx(2 * 1.96 * 0.5025 / 10, abs=1e-3))


def test_printed_and_markdown(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "250")
    records = [record("a", True, "met|ric [area]"), record("b", False)]
    print_table(records, title="[final]")
    out = capsys.readouterr().out
    assert "Has Code %" in out and "met|ric [area]" in out and "[final]" in out and "10 ± 0" in out
    lines = markdown(records).splitlines()
    assert len(lines) == 2 + 3 and lines[0].count("|") == len(COLUMNS) + 1
    assert "met\\|ric" in markdown(table(records))


def test_only_greedy_records_still_make_a_table():
    assert table([record("a", True, sample=-1)])[0]["accuracy"] == 1.0


@pytest.mark.parametrize("columns", [80, 100, 120, 140, 250])
def test_the_printed_table_fits_the_terminal(capsys, monkeypatch, columns):
    records = [
        record(f"{name}-{i}", i > 0, name, tokens=3000 + i, prompt_tokens=1500 + 9 * i)
        for name in ("metric geometry - length", "transformation geometry", "combinatorial geometry",
        "det") for i in range(20)
    ]  # fmt: skip
    monkeypatch.setenv("COLUMNS", str(columns))
    print_table(records, title="a title")
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= columns
    for text in ("95.0 [76.4, 99.1]", "metric", "transformation", "3010", "1586", "100.0"):  # nothing is cut
        assert any(text in line for line in lines), text
    assert not any("…" in line for line in lines)
    assert any("±" in line for line in lines) == (columns > 130)
    pictures = "pictures: 1 per problem, 96 x 64 pixels" in "\n".join(lines)
    assert pictures == (columns < 200)  # where there is no room for their columns a line says it
    assert any(text in " ".join(lines) for text in ("1+6+0+3", "1 + 6 + 0 + 3", "prose 1, program 6, answer 0"))
