"""Runs on sources that make their problems: trained, continued, evaluated at other levels and with noise."""

import json
from itertools import islice
from pathlib import Path

import pytest

from nsrl import eval, train
from nsrl.config import EvalConfig, TrainConfig, parse
from nsrl.config.stages import other_sources
from nsrl.data.made import opened
from nsrl.data.noise import Noise
from nsrl.data.procedural import LANGUAGES, content
from nsrl.models import small
from nsrl.trainer import heldout
from nsrl.trainer.metrics import CLOCK_KEYS

TINY = [
    "data.eval_size=4", "warm_start.steps=2", "warm_start.batch_size=4", "max_steps=2", "prompts_per_step=2",
    "num_generations=3", "save_steps=1", "completions_steps=0", "max_completion_length=12", "eval_samples=1",
    "threads=1", "engine.workers=1", "preflight=false", "parity_check=false",
]  # fmt: skip


def rows(run):
    lines = [json.loads(line) for line in (Path(run) / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if not k.startswith(CLOCK_KEYS)} for row in lines]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "run"
    words = ["data.source=chains", "warm_start.reading_steps=1", "data.noise=4", *TINY]
    assert train.main([f"output_dir={folder}", *words]) == 0
    return folder


def test_a_run_on_chains_and_what_evaluates_it(run, capsys):
    """level; noise, occlusion, contrast: null is the run's own."""
    problems, name, notes = heldout.choose(EvalConfig(model=str(run)))
    source = opened("chains", 1, 0, 4, noise=Noise(4.0))
    assert [p.id for p in problems] == [p.id for p in source.test()] and not notes
    assert name == "chains (level 1, seed 0, noise 4, occlusion 0, contrast 1)"
    assert [p.images[0].key for p in problems] == [p.images[0].key for p in source.test()]
    clear, name, _ = heldout.choose(EvalConfig(model=str(run), noise=0.0, occlusion=0.25, contrast=0.5))
    assert name.endswith("noise 0, occlusion 0.25, contrast 0.5)")
    assert [content(p) for p in clear] == [content(p) for p in problems] and clear[0].images != problems[0].images
    deep, name, _ = heldout.choose(EvalConfig(model=str(run), data="chains", level=3, size=5))
    assert {p.columns["operations"] for p in deep} == {3} and name.startswith("chains (level 3, seed 0, noise 4")
    other, name, _ = heldout.choose(EvalConfig(model=str(run), data="spot", size=3))
    assert name == "spot (level 1, seed 0)" and len(other) == 3  # what is of another source is as by default
    words = ["--data", "chains", "--level", "3", "size=2", "samples=1", "occlusion=0.5", "engine.workers=1"]
    assert eval.main(["--model", str(run), *words]) == 0
    assert "3 operations" in capsys.readouterr().out


def test_what_a_run_learned_from_is_not_asked(run):
    learned = heldout.lineage(str(run))[0].seen_made(frozenset())
    source = opened("chains", 1, 0, 4)
    streams = source.seen(readings=4, demonstrations=8, train=4)
    assert learned == streams and len(learned) > 8
    asked, _, _ = heldout.choose(EvalConfig(model=str(run), size=300))
    assert len({content(p) for p in asked}) == 300 and not {content(p) for p in asked} & learned


@pytest.mark.long
def test_a_resumed_run_is_the_same(run, tmp_path):
    words = ["data.source=chains", "warm_start.reading_steps=1", "data.noise=4", *TINY]
    assert train.main([f"output_dir={tmp_path}/half", *words, "max_steps=1"]) == 0
    assert train.main([f"output_dir={tmp_path}/half", "--resume", "max_steps=2"]) == 0
    assert rows(tmp_path / "half")[-1] == rows(run)[-1]


def test_text_sources_and_stages_with_another_one(tmp_path, capsys):
    """sat is verified by its clauses; a stage may draw from another source, whose words the tokenizer knows too."""
    stages = "[{name: a, kind: supervised, steps: 1}, {name: b, kind: grpo, steps: 1}, " \
             "{name: c, kind: grpo, steps: 1, data.source: graphs}]"  # fmt: skip
    words = [word for word in TINY if not word.startswith(("warm_start.steps", "max_steps"))]
    words = ["data.source=sat", "warm_start.languages={direct: 1, wolfram: 1}", f"stages={stages}", *words]
    config = parse(TrainConfig, [f"output_dir={tmp_path}", *words], "train")
    assert other_sources(config) == ("graphs", "sat")
    assert train.main([f"output_dir={tmp_path}/run", *words]) == 0
    assert "D 3 to 5" in capsys.readouterr().out
    learned = heldout.lineage(str(tmp_path / "run"))[0].seen_made(frozenset())
    of_graphs = opened("graphs", 1, 0, 0).seen(train=2)
    assert of_graphs < learned and not {content(p) for p in opened("sat", 1, 0, 4).test()} & learned


def test_the_tokenizer_knows_the_words_and_that_of_shapes_is_as_ever():
    plain = small.build_tokenizer()
    assert len(plain) == small.VOCABULARY and small.build_tokenizer().get_vocab() == plain.get_vocab()
    for source in ("chains", "sat"):
        known = small.build_tokenizer(sources=(source,))
        assert len(known) <= small.VOCABULARY + small.OTHERS and list(known.get_vocab()) != list(plain.get_vocab())
        made = opened(source, 3, 9, 0)
        texts = [p.question for p in islice(made.train(), 40)]
        shares = dict.fromkeys(LANGUAGES, 1.0)
        texts += [d.text for d in islice(made.demonstrations(shares), 40)]
        ours, theirs = (sum(len(one.encode(text)) for text in texts) for one in (known, plain))
        assert ours < 0.75 * theirs
        assert all(known.decode(known.encode(text)) == text for text in texts)
    words = {piece for text in texts for piece in text.split(" ") if piece.isalpha() and len(piece) > 1}
    assert all(len(known.encode(f" {word}")) == 1 for word in words & {"values", "make", "true", "not", "or", "Answer"})
