"""pass@k, maj@k, paired differences and their intervals: against enumeration, closed forms and simulation."""

import itertools
import json
import random
from collections import Counter

import numpy as np
import pytest
from pyarrow import Table, parquet

from nsrl.experiments.results import _plain
from nsrl.gallery.results import compared
from nsrl.report.__main__ import main
from nsrl.report.arms import ratio_cell
from nsrl.report.statistics import (
    at_k,
    ballot,
    difference_text,
    maj_at_k,
    paired_difference,
    paired_ratio,
    pass_at_k,
    powers,
    problem_means,
    right_tokens,
    wilson,
)


def record(problem, correct, sample=0, **changes):
    return {"problem_id": problem, "question": "?", "answer": "5", "category": "area", "correct": correct,
            "sample": sample, "value_text": "5" if correct else "6", "tokens": 10} | changes  # fmt: skip


def test_pass_and_maj_at_k_are_what_enumeration_finds():
    rng = random.Random(0)
    for _ in range(60):
        n = rng.randint(1, 8)
        votes = [rng.choice([0, 0, 1, 2, 3, None]) for _ in range(n)]
        right = rng.choice([[0], [], [0, 2]])
        for k in range(1, n + 1):
            draws = list(itertools.combinations(votes, k))
            assert pass_at_k(n, votes.count(0), k) == pytest.approx(sum(0 in d for d in draws) / len(draws))
            wins = 0.0
            for drawn in draws:
                counts = Counter(v for v in drawn if v is not None)
                first = [v for v, count in counts.items() if count == max(counts.values())]
                wins += sum(v in right for v in first) / len(first) if first else 0
            assert maj_at_k(votes, right, k) == pytest.approx(wins / len(draws)), (votes, right, k)


def test_votes_are_values_not_texts():
    texts = ["1/2", "0.5", "\\frac{1}{2}", "3", "", "3.0"]
    records = [record("p", False, i, value_text=t) for i, t in enumerate(texts)] + [record("p", True, 6)]
    assert ballot(records) == ([1, 1, 1, 2, None, 2, 0], [0])
    found = at_k([*records, record("q", None), record("p", True, -1)], powers(7))
    assert list(found["maj"]) == [1, 2, 4, 7] and found["maj"][7] == 0 and found["pass"][7] == 1
    assert (found["pass"][1], found["maj"][1]) == pytest.approx((1 / 7, 1 / 7))
    assert at_k([], [1]) == {"pass": {}, "maj": {}} and powers(1) == [1]


def test_wilson_against_the_score_test():
    """Its ends are where the observed share is 1.96 standard errors of the end away."""
    for right, n in ((0, 5), (3, 43), (20, 43), (43, 43)):
        for end in wilson(right / n, n):
            if 0 < end < 1:
                assert abs(right / n - end) == pytest.approx(1.959964 * (end * (1 - end) / n) ** 0.5, abs=1e-6)


def test_paired_differences_are_on_the_shared_problems():
    a = problem_means([record("p", True), record("p", False, 1), record("q", True), record("r", None),
                       record("q", False, -1)])  # fmt: skip
    b = problem_means([record("p", False), record("q", True), record("z", True), record("q", True, question="other")])
    found = paired_difference([a], [b])
    assert found is not None and (found.value, found.problems, found.seeds) == (0.25, 2, 1)
    assert paired_difference([a], [{}]) is None
    same = paired_difference([a], [a])
    assert same is not None and same.value == 0 and same.high == -same.low == pytest.approx(wilson(0, 2)[1])
    assert "no difference can be told" in difference_text("a", "b", same)
    with pytest.raises(ValueError, match="zip"):
        paired_difference([a, a], [b])


def test_the_interval_of_a_difference_is_near_the_normal_one():
    rng = np.random.default_rng(1)
    values = rng.choice([-1.0, 0.0, 1.0], p=[0.1, 0.6, 0.3], size=400)
    a, b = {(str(i), "", ""): v for i, v in enumerate(values)}, {(str(i), "", ""): 0.0 for i in range(400)}
    found = paired_difference([a], [b])
    half = 1.96 * values.std() / 20
    assert found is not None and found.low == pytest.approx(values.mean() - half, abs=0.01)
    assert found.high == pytest.approx(values.mean() + half, abs=0.01)
    assert found == paired_difference([a], [b])  # nothing is drawn anew


def test_a_ratio_of_tokens_is_over_problems_both_solve():
    a = [record("p", True, tokens=4), record("q", True, tokens=6), record("q", True, 1, tokens=8), record("r", False)]
    b = [record("p", True, tokens=40), record("q", True, tokens=30), record("r", True)]
    found = paired_ratio([right_tokens(a, "tokens")], [right_tokens(b, "tokens")])
    assert found is not None and found.value == pytest.approx(11 / 70) and found.problems == 2
    assert 4 / 40 <= found.low < found.value < found.high <= 7 / 30
    assert right_tokens(a, "tokens_prose", "tokens_program") == {}  # these say no parts


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("crossed", [False, True])
def test_a_ratio_without_a_finite_interval_is_none(crossed):
    """Against all draws there can be, of which those that divide by 0 are left out."""
    rng = np.random.default_rng(3)
    seen = Counter()
    for _ in range(40):
        n = int(rng.integers(2, 6))
        tops = [rng.integers(1, 9, n).astype(float) for _ in range(2)]
        bottoms = [np.where(rng.random(n) < 0.4, 0.0, rng.integers(1, 9, n)) for _ in range(2)]
        key = lambda s, i: (f"{i}" if crossed else f"{s}-{i}", "", "")
        a, b = ([{key(s, i): v for i, v in enumerate(row)} for s, row in enumerate(of)] for of in (tops, bottoms))
        one = paired_ratio(a[:1], b[:1])
        draws = [list(d) for d in itertools.product(range(n), repeat=n)]
        ratios = [tops[0][d].sum() / bottoms[0][d].sum() for d in draws if bottoms[0][d].any()]
        lost = 1 - len(ratios) / len(draws)
        if not bottoms[0].any() or lost > 0.03:
            assert one is None
        elif lost < 0.02:
            all_of = np.array(ratios)
            for end, share in ((one.low, 0.025), (one.high, 0.975)):
                assert np.mean(all_of < end - 1e-9) < share + 0.01 and np.mean(all_of < end + 1e-9) > share - 0.01
        seen["none" if one is None else "left out" if lost else "whole"] += 1
        both = paired_ratio(a, b)
        assert both is None or np.isfinite([both.value, both.low, both.high]).all()
        assert both is not None or any((row == 0).any() for row in bottoms)
    assert min(seen[kind] for kind in ("none", "left out", "whole")) > 1, seen
    assert ratio_cell(None) == "–" and json.loads(json.dumps(_plain({"tokens": None}))) == {"tokens": None}
    zero = record("p", True, tokens=0)
    assert compared([[record("p", True)]], [[zero]], "tokens") is None


@pytest.mark.long
@pytest.mark.parametrize("crossed", [False, True])
@pytest.mark.parametrize("seeds, least", [(1, 0.91), (3, 0.86), (8, 0.90)])
def test_the_interval_covers_what_it_should(crossed, seeds, least):
    """Problems and seeds both differ: a bootstrap over three seeds is a little too narrow, one over eight is not."""
    rng = np.random.default_rng(5)
    hits, times, n = 0, 150, 80
    for _ in range(times):
        common = rng.normal(0, 0.3, n)
        rows = [0.1 + 0.05 * rng.normal() * (seeds > 1) + (common if crossed else rng.normal(0, 0.3, n))
                + rng.normal(0, 0.2, n) for _ in range(seeds)]  # fmt: skip
        a = [{(f"{i}" if crossed else f"{s}-{i}", "", ""): v for i, v in enumerate(row)} for s, row in enumerate(rows)]
        found = paired_difference(a, [dict.fromkeys(one, 0.0) for one in a])
        hits += found is not None and found.low <= 0.1 <= found.high
    print(f"crossed={crossed} seeds={seeds}: {hits / times:.3f}")
    assert least <= hits / times <= 0.995


def test_compare_prints_the_paired_table(tmp_path, capsys):
    parts = {"tokens_prose": 0, "tokens_program": 6}
    for name, right, tokens in (("nsl", 9, 10), ("sympy", 6, 40)):
        rows = [record(f"p{i}", i < right, s, tokens=tokens, category="bars" if i % 2 else "area", **parts)
                for i in range(10) for s in range(4)]  # fmt: skip
        folder = tmp_path / name / "eval"
        folder.mkdir(parents=True)
        parquet.write_table(Table.from_pylist(rows), folder / "final.parquet")
    a, b = tmp_path / "nsl", tmp_path / "sympy"
    assert main(["compare", str(a), str(b / "eval" / "final.parquet")]) == 0
    out = capsys.readouterr().out
    assert "30.0 [" in out and "bars" in out and "+30.00 points" in out and "the same 10 problems" in out
    assert "nsl takes 0.25 [0.25, 0.25] of the output tokens of" in out and "(-75%)" in out
    assert "1.00 [1.00, 1.00] of the reasoning tokens" in out
    assert "nsl: pass@1 90.0  pass@2 90.0  pass@4 90.0  maj@1 90.0" in out
    assert main(["compare", f"{a},{a}", f"{b},{b}"]) == 0
    assert "the same 20 problems (of 2 seeds together)" in (said := capsys.readouterr().out)
    assert f"nsl: {a / 'eval' / 'final.parquet'}\n" in said  # which evaluation of a run this is
    (tmp_path / "two").mkdir()
    (tmp_path / "bad.parquet").write_bytes(b"no")
    parquet.write_table(Table.from_pylist([record("z", True)]), tmp_path / "other.parquet")
    for wrong, said in (
        ([f"{a},{a}", str(b)], "got 2 and 1"), ([str(a), str(tmp_path / "two")], "it has 0 (name the file)"),
        ([str(a), str(tmp_path / "bad.parquet")], "must hold records"), ([str(a), "/none"], "there is none"),
        ([str(a), str(tmp_path / "other.parquet")], "share none"),
    ):  # fmt: skip
        assert main(["compare", *wrong]) == 2
        assert said in capsys.readouterr().err
    assert main(["compare", str(a)]) == 2 and "usage:" in capsys.readouterr().err
    assert main(["compare", "--help"]) == 0 and "usage:" in capsys.readouterr().out


def test_compare_of_ragged_records(tmp_path, capsys):
    def compare(a, b):
        code = main(
            ["compare", *(",".join(str(tmp_path / f"{name}.parquet") for name in names.split()) for names in (a, b))]
        )
        found = capsys.readouterr()
        return found.err if code else found.out

    rows = [record(f"p{i}", (i + s) % 2 == 0, s) for i in range(4) for s in range(-1, 4)]
    tables = {
        "x-0": rows, "x-1": rows, "y-0": rows, "zero": [r | {"correct": False} for r in rows],
        "y-1": [r | {"correct": None} if r["sample"] == 3 else r for r in rows],
        "few": [r for r in rows if r["sample"] < 2 or r["problem_id"] == "p0"],
        "greedy": [r for r in rows if r["sample"] < 0], "twice": rows + rows[:1],
        "edited": [r | {"question": "another"} for r in rows],
    }  # fmt: skip
    for name, table in tables.items():
        parquet.write_table(Table.from_pylist(table), tmp_path / f"{name}.parquet")
    assert "few: pass@1 50.0  pass@2 95.8  pass@4 100.0 (1 of 4 problems)  maj@1" in compare("x-0", "few")
    said = compare("x-0 x-1", "y-0 y-1")  # no problem of y-1 has four samples with a verdict
    assert "y: pass@1 50.0" in said and "pass@3 100.0" in said and "x against y" in said
    assert "tokens are not compared" in compare("x-0", "zero") and "tokens are not" not in compare("x-0", "y-0")
    said = compare("greedy", "x-0")
    assert "of greedy answers" in said and "50.0 │ 50.0" in said.replace("  ", " ") and "greedy: no samples" in said
    assert "sample -1 of 'p0' stands there 2 times" in compare("x-0", "twice")
    assert "share none (the same ids, with other questions" in compare("x-0", "edited")
