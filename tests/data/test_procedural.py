"""What every source that makes its problems has in common: held out first, the same anywhere, right in every language;
shapes as it always was; noise; a source of the user."""

import hashlib
import json
import re
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from nsrl.config import TrainConfig, require_sound
from nsrl.data.generator import Generator, Item, picture
from nsrl.data.made import GENERATORS, generator, name_of, opened, verified
from nsrl.data.noise import CLEAN, Noise
from nsrl.data.procedural import LANGUAGES, Procedural, content
from nsrl.data.shapes import Shapes
from nsrl.data.sources import MADE, is_made, made_of, source_and_path
from nsrl.engines import EnginePool, extract
from nsrl.errors import UserError
from nsrl.rewards.batch import verdict

ROOT = Path(__file__).resolve().parents[2]
EVERY = dict.fromkeys(LANGUAGES, 1.0)
LEVELS = [(name, level) for name, made in MADE.items() for level in range(1, made.levels + 1)]


def said(problem):
    shown = [(image.key, image.size) for image in problem.images]
    return (problem.id, problem.question, problem.answer, problem.category, problem.source, problem.columns, shown)


def digest(rows):
    return hashlib.sha256("\n".join(map(repr, rows)).encode()).hexdigest()[:24]


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("seed", [0, 7])
def test_shapes_is_what_it_was(level, seed):
    """Digests taken before `Procedural` was made of it."""
    source = Shapes(level, seed, held_out=50)
    shown = lambda stream: digest((said(d.problem), d.language, d.text, d.wrong) for d in islice(stream, 120))
    found = {
        "test": digest(map(said, source.test())),
        "train": digest(map(said, islice(source.train(7), 120))),
        "demonstrations": shown(source.demonstrations(EVERY, 0.2)),
        "nsl": shown(source.demonstrations({"nsl": 1.0})),
        "readings": shown(source.readings()),
        "seen": digest(sorted(source.seen(5, 6, 7))),
        "unseen": digest(map(said, source.unseen(20, source.seen(40, 40, 40)))),
    }
    assert found == json.loads((Path(__file__).parent / "shapes_digests.json").read_text())[f"{level}/{seed}"]


def test_the_table_of_sources_says_what_they_are():
    assert GENERATORS.keys() == MADE.keys()
    for name, made in MADE.items():
        own = generator(name)
        assert own.levels == range(1, made.levels + 1) and own.reads == made.reads
        problem = opened(name, held_out=0).unseen(1, set())[0]
        assert problem.columns.keys() == made.columns and bool(problem.images) == made.pictures
        assert source_and_path(name) == (name, "")
        assert json.loads(json.dumps(problem.columns)) == problem.columns


@pytest.mark.parametrize(("name", "level"), LEVELS)
def test_held_out_problems_are_others_and_streams_can_be_entered_anywhere(name, level):
    source, again = (opened(name, level, seed=3, held_out=40) for _ in range(2))
    keys = {content(problem) for problem in source.test()}
    assert len(keys) == len(source.test()) == 40
    train = list(islice(source.train(), 60))
    assert not keys & {content(problem) for problem in train}
    assert list(map(said, islice(again.train(40), 20))) == list(map(said, train[40:]))
    assert list(map(said, islice(opened(name, level, 4, 40).train(), 20))) != list(map(said, train[:20]))
    assert not keys & {content(d.problem) for d in islice(source.demonstrations(EVERY), 60)}
    keys_by_pixels = {}
    for problem in train[:20]:
        for image in problem.images:
            shown = image.open()
            assert shown.size == image.size and shown.mode == "RGB"
            assert keys_by_pixels.setdefault(image.key, shown.tobytes()) == shown.tobytes()


@pytest.fixture(scope="module")
def pool():
    with EnginePool(2) as pool:
        yield pool


def judged(pool, problem, text):
    cut = extract(text)
    result = pool.submit(cut.language, cut.program).result() if cut.language else None
    return verdict(problem, text, cut, result).correct


@pytest.mark.parametrize(("name", "level"), [row for row in LEVELS if row[0] != "shapes"])
def test_demonstrations_give_the_gold_in_every_language(name, level, pool):
    source = opened(name, level, seed=11, held_out=0)
    without = {"sat": ("nsl",), "graphs": ("nsl",)}.get(name, ())
    for language in LANGUAGES:
        if language in without:
            with pytest.raises(UserError, match=f"warm_start.steps needs demonstrations; {name} .* has none in nsl"):
                next(source.demonstrations({language: 1.0}))
            continue
        for one in islice(source.demonstrations({language: 1.0}), 4):
            assert one.language == language and judged(pool, one.problem, one.text), (one.problem, one.text)
    shown = list(islice(source.demonstrations({"direct": 1.0}, wrong=0.5), 40))
    wrong = [judged(pool, one.problem, one.text) for one in shown if one.wrong]
    assert 8 < len(wrong) < 32 and sum(wrong) < 0.5 * len(wrong)  # a misread problem may be right by accident


def test_where_a_language_has_no_words_another_one_is_taken():
    found = {d.language for d in islice(opened("graphs", held_out=0).demonstrations({"nsl": 9.0, "prose": 1.0}), 20)}
    assert found == {"prose"}


class Coins(Generator):
    """Six problems in all."""

    def draw(self, rng, level):
        count = rng.randint(1, 6)
        return Item(f"What are {count} coins of 2 worth?", str(2 * count))


def test_a_small_space_is_refused_in_one_sentence():
    with pytest.raises(UserError, match=r"data.eval_size must be at most 6, for hardly any other problems of coins"):
        Procedural(Coins(), "coins", held_out=7)
    with pytest.raises(UserError, match=r"data.eval_size must leave problems to learn from, and of coins \(level 1\)"):
        Procedural(Coins(), "coins", held_out=6)
    few = Procedural(Coins(), "coins", held_out=5)
    assert len({p.question for p in islice(few.train(), 30)}) == 1
    with pytest.raises(UserError, match="data.level must be 1; got 2"):
        Procedural(Coins(), "coins", level=2)
    with pytest.raises(UserError, match="cannot be read out|can be read out; coins has none"):
        next(few.readings())
    with pytest.raises(UserError, match="coins .* has none in"):
        next(few.demonstrations(EVERY))


def example():
    """The source in docs/data.md."""
    text = (ROOT / "docs" / "data.md").read_text()
    return next(block for block in re.findall(r"```python\n(.*?)```", text, re.S) if "Generator" in block)


def test_the_source_in_the_page_is_a_source(tmp_path, pool, monkeypatch):
    code = example()
    assert len([line for line in code.splitlines() if line.strip()]) <= 20
    (tmp_path / "dots.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    spec = "dots.py:Dots"
    assert is_made(spec) and source_and_path(spec) == (spec, "") and not is_made("dots.py") and not is_made("a/b")
    require_sound(_config(spec, 2))
    for level in (1, 2):
        source = opened(spec, level, held_out=30)
        assert len(source.test()) == 30
        for one in islice(source.demonstrations({"nsl": 1.0}), 5):
            assert judged(pool, one.problem, one.text)
        problem = next(source.train())
        assert problem.source == "Dots" and problem.columns["verifier"] == spec and problem.images[0].open().size
        assert judged(pool, problem, f"about {problem.answer}") and not judged(pool, problem, "about 99")
    with pytest.raises(UserError, match="data.level must be at least 1 and at most 2 with dots.py:Dots; got 3"):
        require_sound(_config(spec, 3))
    (tmp_path / "bad.py").write_text("class No:\n    pass\nclass Draws:\n    pass\nx = 1 / 0\n")
    with pytest.raises(UserError, match=r"data.source: .*bad.py' line 5 cannot be run: ZeroDivisionError"):
        made_of("bad.py:No")
    (tmp_path / "bad.py").write_text("class No:\n    pass\n")
    with pytest.raises(UserError, match=r"data.source: 'bad.py:No' must be a class of nsrl.data.generator.Generator"):
        made_of("bad.py:No")
    with pytest.raises(UserError, match="data.source: no file 'away.py'"):
        require_sound(_config("away.py:Dots", 1))


def _config(source, level):
    from nsrl.config import DataConfig

    return TrainConfig(data=DataConfig(source=source, level=level))


def test_a_picture_of_the_users_has_a_key_by_its_pixels():
    from PIL import Image

    one, same, other = (picture(Image.new("RGB", (32, 32), colour)) for colour in ("red", "red", "blue"))
    assert one.key == same.key != other.key and one.open().size == one.size == (32, 32)


# -- noise -------------------------------------------------------------------------------------------------------------


def pixels(problem):
    return np.asarray(problem.images[0].open(), dtype=float)


def test_noise_is_a_function_of_seed_and_picture_and_leaves_the_problems_alone():
    noise = Noise(sigma=12.0, occlusion=0.5, contrast=0.6)
    clean, noisy, again = Shapes(2, 5, 40), Shapes(2, 5, 40, noise=noise), Shapes(2, 5, 40, noise=noise)
    other = [p for p in Shapes(2, 6, 0, noise=noise).unseen(40, set())]
    for a, b, c in zip(clean.test(), noisy.test(), again.test()):
        assert (a.id, a.question, a.answer) == (b.id, b.question, b.answer) and content(a) == content(b)
        assert a.images[0].key != b.images[0].key == c.images[0].key and a.images[0].size == b.images[0].size
        assert (pixels(b) == pixels(c)).all() and (pixels(a) != pixels(b)).mean() > 0.8
    assert not {p.images[0].key for p in other} & {p.images[0].key for p in noisy.test()}
    assert noisy.seen(5, 5, 5) == clean.seen(5, 5, 5)  # held out and learned from alike, however they are shown
    plain = opened("shapes", 2, 5, 40, noise=CLEAN)
    assert [said(p) for p in plain.test()] == [said(p) for p in clean.test()]
    assert name_of("shapes", 2, 5) == "shapes (level 2, seed 5)" and "noise 12" in name_of("shapes", 2, 5, noise)


def test_each_knob_does_what_it_says():
    problem = Shapes(1, 2, 1).test()[0]
    grey = np.array([200.0, 200.0, 200.0])
    of = lambda **knobs: pixels(Shapes(1, 2, 1, noise=Noise(**knobs)).test()[0])
    clean = pixels(problem)
    assert np.abs(of(contrast=0.3) - (grey + 0.3 * (clean - grey))).max() <= 0.5
    assert (of(contrast=0.0) == grey).all()
    # of the pixels that can move both ways: the standard deviation asked for, and twice the noise is the same field
    shown, strong = of(sigma=6.0) - clean, of(sigma=12.0) - clean
    free = (clean > 60) & (clean < 215)
    assert abs(shown[free].std() - 6.0) < 0.4 and np.abs(strong - 2 * shown)[free].max() <= 1.5
    for share in (0.25, 1.0):
        hidden = (of(occlusion=share) != clean).any(axis=2)
        rows, columns = np.where(hidden)
        assert hidden.any() and (of(occlusion=share)[hidden] == grey).all()
        side = round(32 * share**0.5)
        assert np.ptp(rows) < side and np.ptp(columns) < side  # in one cell
        assert rows.min() // 32 == rows.max() // 32 and columns.min() // 32 == columns.max() // 32
    quarter, all_of_it = ((of(occlusion=share) != clean).any(axis=2) for share in (0.25, 1.0))
    assert (quarter <= all_of_it).all() and quarter.sum() < all_of_it.sum()  # the same cell
    assert (of(occlusion=0.0, sigma=0.0) == clean).all()


def test_noise_that_cannot_act_is_refused():
    from nsrl.config import parse

    for words, told in (
        (["data.source=sat", "data.noise=5", "data.eval_size=10"], "data.noise cannot act here, because sat has no"),
        (["data.level=4"], "data.level must be at least 1 and at most 3 with shapes; got 4"),
        (["data.source=chains", "data.level=5"], "data.level must be at least 1 and at most 4 with chains; got 5"),
        (["data.occlusion=1.5"], "data.occlusion must be at least 0 and at most 1; got 1.5"),
        (["data.source=chainz"], "data.source must be one of shapes, chains.*or FILE.py:Class; got 'chainz'"),
        (["data.source=sat", "warm_start.reading_steps=5"], "pictures of sat cannot be read out"),
    ):
        with pytest.raises(UserError, match=told):
            require_sound(parse(TrainConfig, words, "train"))


def test_verified_leaves_other_rows_to_the_check():
    problem = Shapes(1, 0, 1).test()[0]
    assert verified(problem, "7", None, None) is None
