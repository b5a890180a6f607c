"""Train and test share no picture, whatever is shared by whom; the size is what was asked for where that can be."""

import json
import logging
import random
from collections import Counter
from types import SimpleNamespace

import pytest
from PIL import Image

from nsrl.data import Problems, load_problems, without
from nsrl.data.dedup import picture_keys
from nsrl.data.split import _families, held_out, split_off
from nsrl.errors import UserError
from nsrl.types import ImageRef, Problem


def problem(i, pictures=(), category="", question=None):
    return Problem(
        f"p{i}",
        question or f"What is {i}?",
        "1",
        tuple(ImageRef(f"k{k}", lambda: None) for k in pictures),
        category=category,
    )


def keys(problems):
    return {key for p in problems for key in picture_keys(p)}


@pytest.mark.parametrize("seed", range(60))
def test_random_sharing(seed):
    """Every problem stands on one side or is left out; nothing is shared; the size is met, or nearly by whole
    families."""
    rng = random.Random(seed)
    n = rng.randint(30, 400)
    pool = rng.choice([n // 20 + 2, n // 3, n, 3 * n])
    text = rng.choice([0.0, 0.3])
    rows = Problems(
        [
            problem(i, [] if rng.random() < text else {rng.randrange(pool) for _ in range(rng.choice([1, 1, 1, 2]))},
                    rng.choice("abc"), f"text {rng.randrange(n)}")
            for i in range(n)
        ],
        name="random",
    )  # fmt: skip
    sizes = sorted(map(len, _families(rows)))
    share, most = rng.choice([0.01, 0.1, 0.5]), rng.choice([10, 600])
    count = min(most, max(1, round(share * n)))
    if len(sizes) == 1:
        with pytest.raises(UserError, match="hang together by the pictures"):
            split_off(rows, most, share)
        return
    train, test = split_off(rows, most, share)
    assert not keys(train) & keys(test)
    assert train.items and 0 < len(test) <= count
    order = [p.id for p in rows]
    assert [p.id for p in test] == sorted((p.id for p in test), key=order.index)
    assert [[p.id for p in part] for part in split_off(rows, most, share)] == [
        [p.id for p in train],
        [p.id for p in test],
    ]
    if sizes[0] > count:  # every family is larger: one is cut, what is over is in neither
        assert len(test) == count and len(train) == n - sizes[0]
    else:
        assert len(train) + len(test) == n
        fitting = [s for s in sizes if s <= count]
        assert len(test) == min(count, sum(fitting)) or count - len(test) < max(fitting)
        if sizes.count(1) >= count:
            assert len(test) == count  # single problems fill up what families leave


@pytest.mark.parametrize("n,size", [(304, 600), (1000, 600), (38_482, 600)])
def test_without_sharing_the_share_and_the_categories_are_exact(n, size):
    rng = random.Random(n)
    rows = Problems([problem(i, [i], rng.choice("abcdefg")) for i in range(n)])
    share = 0.01 if n > 30_000 else 0.1
    train, test = split_off(rows, size, share)
    assert len(test) == round(share * n) and len(train) == n - len(test)
    whole, part = Counter(p.category for p in rows), Counter(p.category for p in test)
    assert all(abs(part[c] - whole[c] * len(test) / n) <= 1 for c in whole)


def test_three_questions_a_picture_keep_the_size_and_the_categories():
    """200 pictures with 3 questions each, and every test problem's picture was in train."""
    rows = Problems([problem(i, [i // 3], "ab"[(i // 3) % 2]) for i in range(600)])
    train, test = split_off(rows, 600, 0.1)
    assert len(test) == 60 and not keys(train) & keys(test)
    assert Counter(p.category for p in test) == {"a": 30, "b": 30}


def test_one_picture_in_all_problems_is_one_sentence_and_a_giant_family_stays_in_training(caplog):
    with pytest.raises(UserError, match="all hang together by the pictures they share") as error:
        split_off(Problems([problem(i, [0, i]) for i in range(1, 50)], name="charts"), 600, 0.1)
    assert "\n" not in str(error.value) and "charts" in str(error.value)
    rows = Problems([problem(i, [0]) for i in range(95)] + [problem(i, [i]) for i in range(95, 100)])
    with caplog.at_level(logging.WARNING):
        train, test = split_off(rows, 600, 0.1)
    assert len(train) == 95 and len(test) == 5 and "instead of 10 problems 5 are held out" in caplog.text
    assert held_out(Problems([problem(0, [0])]), 0) == set()


def test_equal_questions_without_pictures_stay_together():
    rows = [problem(i, question=f"How many?  {i % 5}") for i in range(20)] + [problem(90, [1], question="How many? 0")]
    assert [len(f) for f in _families(rows)] == [4, 4, 4, 4, 4, 1]  # a picture makes another problem of it
    assert without(rows, rows[:1]) == [p for i, p in enumerate(rows) if i % 5 or i == 20]


def test_a_test_split_of_its_own_takes_its_pictures_out_of_training(tmp_path, caplog):
    for i in range(6):
        Image.new("RGB", (40, 40), (i, 0, 0)).save(tmp_path / f"{i}.png")
    (tmp_path / "train.jsonl").write_text(
        "".join(json.dumps({"question": f"q{i}", "image": f"{i % 6}.png", "answer": "1"}) + "\n" for i in range(12))
    )
    (tmp_path / "test.jsonl").write_text(
        "".join(json.dumps({"question": f"t{i}", "image": f"{i}.png", "answer": "1"}) + "\n" for i in range(2))
    )
    config = SimpleNamespace(source="hf", path=str(tmp_path), split="train", eval_size=1)
    with caplog.at_level(logging.WARNING):
        train, test = load_problems(config)
    assert [p.question for p in train] == [f"q{i}" for i in range(12) if i % 6 > 1]  # the second test picture too
    assert len(test) == 1 and "4 training problems left out because their pictures" in caplog.text
