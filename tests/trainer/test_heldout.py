"""An evaluation of a run is never on what it was trained on, counted by content; its records and its output path."""

import dataclasses
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet

from nsrl import eval as command
from nsrl.config import EvalConfig, TrainConfig, from_yaml
from nsrl.data import content_key, load_problems
from nsrl.data.dedup import picture_keys
from nsrl.data.shapes import Shapes
from nsrl.errors import UserError
from nsrl.train import main as train
from nsrl.trainer import heldout
from nsrl.trainer.folder import settings_of, write, write_parquet
from nsrl.trainer.resume import State


def a_run(folder, yaml="", **state):
    """What an evaluation looks at of a run that has done so much, without its weights."""
    kept = folder / "checkpoint-9"
    kept.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml)
    (kept / "trainer_state.json").write_text(json.dumps(dataclasses.asdict(State(**state)) | {"files": {}}))
    (folder / "latest").symlink_to("checkpoint-9")
    return str(folder)


def keys(problems):
    return {(p.question, p.images[0].key) for p in problems}


RUN = dict(phase="grpo", step=40, position=1500, held_out=100)
YAML = ("seed: 1\nmax_steps: 50\ndata: {eval_size: 100}\n"
        "warm_start: {steps: 60, reading_steps: 40, batch_size: 32, languages: {nsl: 1.0}}\n")  # fmt: skip


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """The run's folder, and the contents of all it learned from, by drawing its streams."""
    source = Shapes(1, 1, 100)
    take = lambda stream, count: [next(stream) for _ in range(count)]
    read = source._stream("readings")  # a reading has another question: its picture with the problem it is drawn for
    trained = keys(row[0] for row in take(read, 40 * 32))
    trained |= keys(d.problem for d in take(source.demonstrations({"nsl": 1.0}), 60 * 32))
    trained |= keys(take(source.train(), 1500))
    return a_run(tmp_path_factory.mktemp("learned") / "run", YAML, **RUN), trained


@pytest.mark.parametrize("seed", [None, 0, 1, 2, 3])
@pytest.mark.parametrize("size", [None, 300])
def test_shapes_of_any_seed_and_size_are_unseen(learned, seed, size):
    model, trained = learned
    problems, _, notes = heldout.choose(EvalConfig(model=model, seed=seed, size=size))
    assert len(keys(problems)) == len(problems) == (size or 100)
    assert not keys(problems) & trained
    if seed in (None, 1):
        assert keys(Shapes(1, 1, 100).test()) >= keys(problems[:80])  # the run's own come first
    else:
        assert "left out and replaced: the model was trained on them" in notes[0]
        assert keys(Shapes(1, seed, size or 100).test()) & trained  # as drawn, they would not have been


def test_what_a_run_began_with_counts_too(learned, tmp_path):
    """A run that started from another run's checkpoint; one on pictures that had a warm start on shapes; no run at
    all."""
    model, trained = learned
    second = a_run(
        tmp_path / "second",
        f"model: {{name: {model}}}\nwarm_start: {{steps: 0}}\nseed: 5\n",
        phase="grpo",
        step=1,
        position=9,
    )
    for seed in (None, 0):
        assert not keys(heldout.choose(EvalConfig(model=second, seed=seed, size=200))[0]) & trained
    pictures = a_run(tmp_path / "pictures", YAML.replace("data:", "data: {source: mathvision, path: x}\nx:"), **RUN)
    problems, name, _ = heldout.choose(EvalConfig(model=pictures, data="shapes", size=200))
    source = Shapes(1, 1, 0)
    assert (
        not keys(problems) & source.seen(readings=40 * 32, demonstrations=60 * 32)
        and name == "shapes (level 1, seed 1)"
    )
    assert keys(heldout.choose(EvalConfig(size=50))[0]) == keys(Shapes(1, 0, 50).test())


def began_with(model):
    """What a run keeps in its checkpoints that begins with this model."""
    return dict(RUN, began=heldout.began(model))


def test_held_out_shapes_are_unseen_by_what_the_run_began_with_which_may_go(learned, tmp_path, monkeypatch, capsys):
    model, trained = learned
    home = tmp_path / "first"
    shutil.copytree(model, home, symlinks=True)
    monkeypatch.chdir(tmp_path)
    yaml = YAML.replace("seed: 1", "seed: 5") + "model: {name: first/checkpoint-9}\n"
    second = a_run(tmp_path / "second", yaml, **began_with("first"))
    config, state = (lambda run: (run.config, run.state))(heldout.lineage(second)[0])
    data = heldout.own_data(config, state, None)
    source, own = data.source, data.held_out
    assert len(keys(own)) == 100 and not keys(own) & trained and keys(Shapes(1, 5, 100).test()) & trained
    learned_next = source.seen(readings=40 * 32, demonstrations=60 * 32, train=1500)
    assert data.teacher is source and not learned_next & keys(own)
    third = a_run(
        tmp_path / "third", YAML.replace("seed: 1", "seed: 9") + f"model: {{name: {second}}}\n", **began_with(second)
    )
    wanted = {
        second: trained | learned_next,
        third: trained | learned_next | heldout.lineage(third)[0].seen_made(trained | learned_next),
    }

    def problems(run, **options):
        return keys(heldout.choose(EvalConfig(model=run, **options))[0])

    before = [problems(run, seed=seed, size=size) for run in wanted for seed, size in ((None, None), (0, 150))]
    assert before[0] == keys(own) and not any(
        chosen & wanted[run] for run, chosen in zip((second, second, third, third), before)
    )
    old = a_run(tmp_path / "old", yaml, **RUN)  # of a version that did not keep it
    assert not problems(old, seed=0) & trained and len(heldout.lineage(old)) == 2
    home.rename(tmp_path / "gone")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert before == [problems(run, seed=seed, size=size) for run in wanted for seed, size in ((None, None), (0, 150))]
    assert heldout.choose(EvalConfig(model=second))[2] == []
    assert (
        "'first/checkpoint-9'" in (note := heldout.choose(EvalConfig(model=old))[2][0]) and "cannot be left out" in note
    )
    with pytest.raises(
        UserError, match=r"data.eval_size must be at most \d+, .* that the model was not trained on; got 3"
    ):
        every = Shapes(1, 5, 0).unseen(3, set())
        monkeypatch.setattr(Shapes, "_draw", lambda self, split, index: (every[index % 3], None))
        Shapes(1, 5, 3, keys(every[:2]))


def test_held_out_rows_are_unseen_by_what_the_run_began_with(tmp_path):
    file = rows(tmp_path / "data", "mine.jsonl", range(40))
    yaml = f"data: {{source: hf, path: {file}, eval_size: 3}}\nwarm_start: {{steps: 0}}\n"
    first = a_run(tmp_path / "first", yaml, phase="grpo", step=1, position=3, held_out=3)
    trained, own = load_problems(from_yaml(TrainConfig, yaml).data)
    more = yaml.replace("eval_size: 3", "eval_size: 4") + f"model: {{name: {first}}}\n"
    second = a_run(tmp_path / "second", more, phase="grpo", step=1, position=3, held_out=4, began=heldout.began(first))
    shutil.rmtree(first)
    problems, _, notes = heldout.choose(EvalConfig(model=second))
    assert {p.id for p in problems} == {p.id for p in own} and notes == []
    run = heldout.lineage(second)[0]
    vlm = SimpleNamespace(prompt_lengths=lambda problems: [9] * len(problems))
    data = heldout.own_data(run.config, run.state, vlm)
    assert [p.id for p in data.held_out] == [p.id for p in problems] and data.source.size == len(data.longest) == 37
    untrained = heldout.began(second)
    for kept in untrained:  # neither came to its first step of GRPO: its rows are as good as new
        kept["state"]["position"] = 0
    third = a_run(tmp_path / "third", more, phase="grpo", step=1, position=3, held_out=4, began=untrained)
    assert len(heldout.choose(EvalConfig(model=third))[0]) == 4
    with pytest.raises(UserError, match="trained on all of its problems before"):
        load_problems(run.config.data, refused={key for p in [*trained, *own] for key in picture_keys(p)})


@pytest.mark.long
def test_a_run_from_anothers_checkpoint_is_never_scored_on_what_that_learned(tmp_path):
    """The whole way: two runs, the first one's folder then gone, the second one resumed and evaluated by the
    command."""
    common = ["data.eval_size=20", "eval_samples=1", "engine.workers=1", "preflight=false", "threads=1",
              "max_completion_length=4"]  # fmt: skip
    first, second, out = tmp_path / "first", tmp_path / "second", tmp_path / "table.json"
    train([f"output_dir={first}", *common, "data.eval_size=2", "warm_start.steps=8", "warm_start.batch_size=32",
           "warm_start.reading_steps=0", "max_steps=0"])  # fmt: skip
    train([f"output_dir={second}", *common, f"model.name={first}", "warm_start.steps=0", "max_steps=1", "seed=37",
    "prompts_per_step=2",
           "num_generations=2", "parity_check=false"])  # fmt: skip
    seen = Shapes(1, 0, 2).seen(demonstrations=8 * 32)
    drawn = {p.id: p for p in Shapes(1, 37, 0).unseen(100, set())}
    ids = lambda file: [row["problem_id"] for row in parquet.read_table(file).to_pylist() if row["sample"] < 0]
    own = ids(second / "eval" / "final.parquet")
    assert len(own) == 20 and not keys(drawn[name] for name in own) & seen and keys(Shapes(1, 37, 20).test()) & seen
    first.rename(tmp_path / "gone")
    assert command.main(["--model", str(second), "samples=1", f"output={out}"]) == 0
    assert ids(out.with_suffix(".parquet")) == own
    assert (
        json.loads(out.read_text())["accuracy"] == json.loads((second / "eval" / "final.json").read_text())["accuracy"]
    )
    (tmp_path / "gone").rename(first)
    train([f"output_dir={second}", "--resume", "max_steps=2"])
    assert ids(second / "eval" / "final.parquet") == own


def rows(folder, name, numbers):
    folder.mkdir(exist_ok=True)
    for number in numbers:
        Image.new("RGB", (32, 32), (number, 90, 120)).save(folder / f"{number}.png")
    lines = [{"question": f"How many? {n}", "image": f"{n}.png", "answer": str(n)} for n in numbers]
    (folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder / name


def test_rows_are_the_runs_test_share_or_unseen(tmp_path):
    mine, other = (
        rows(tmp_path / "data", "mine.jsonl", range(40)),
        rows(tmp_path / "data", "other.jsonl", range(30, 60)),
    )
    yaml = f"data: {{source: hf, path: {mine}, eval_size: 4}}\nwarm_start: {{steps: 0}}\n"
    model = a_run(tmp_path / "run", yaml, phase="grpo", step=1, position=3, held_out=4)
    train_set, test_set = load_problems(from_yaml(TrainConfig, yaml).data)
    trained, own = ({content_key(p) for p in part} for part in (train_set, test_set))
    assert len(own) == 4
    for config in (
        EvalConfig(model=model),
        EvalConfig(model=model, data=f"hf:{mine}"),
        EvalConfig(model=model, data=f"hf:{mine}", size=30),
    ):
        assert {content_key(p) for p in heldout.choose(config)[0]} == own
    problems, _, notes = heldout.choose(EvalConfig(model=model, data=f"hf:{other}"))
    chosen = {content_key(p) for p in problems}
    assert (
        not chosen & trained
        and len(chosen) >= 20
        and notes == [f"{30 - len(chosen)} problems left out: the model was trained on them"]
    )
    mine.rename(tmp_path / "gone")
    assert "cannot be left out" in heldout.choose(EvalConfig(model=model, data=f"hf:{other}"))[2][0]
    with pytest.raises(UserError):
        heldout.choose(EvalConfig(model=model))


def test_a_data_set_that_was_edited_is_not_taken_for_the_runs_own(tmp_path):
    """A picture more, an answer corrected, or rows in another order: only the last is the same data set."""
    file = rows(tmp_path / "data", "mine.jsonl", range(40))
    yaml = f"data: {{source: hf, path: {file}, eval_size: 4}}\nwarm_start: {{steps: 0}}\n"
    state = State(phase="grpo", step=1, position=3, held_out=4)
    vlm = SimpleNamespace(prompt_lengths=lambda problems: [10] * len(problems))
    own = heldout.own_data(from_yaml(TrainConfig, yaml), state, vlm).held_out
    model = a_run(tmp_path / "run", yaml, **dataclasses.asdict(state))
    held = lambda: {content_key(p) for p in heldout.choose(EvalConfig(model=model))[0]}
    assert held() == {content_key(p) for p in own}
    other = rows(tmp_path / "data", "other.jsonl", range(30, 60))
    lines, question = file.read_text().splitlines(), own[0].question
    answer = [{**row, "answer": "77"} if row["question"] == question else row for row in map(json.loads, lines)]
    edits = {"training": lines[1:], "held-out": [json.dumps(row) for row in answer]}
    for part, edited in edits.items():
        file.write_text("\n".join(edited) + "\n")
        for config in (EvalConfig(model=model), EvalConfig(model=model, data=f"hf:{file}")):
            with pytest.raises(
                UserError, match=f"{part}.* problems are not those of .*checkpoint-9.*put that one back"
            ):
                heldout.choose(config)
        assert "cannot be left out" in heldout.choose(EvalConfig(model=model, data=f"hf:{other}"))[2][0]
    file.write_text("\n".join(lines) + "\n")
    assert held() == {content_key(p) for p in own}


def test_a_result_replaces_no_file_of_the_users(tmp_path, monkeypatch):
    """Asked before a model is looked for; its own results are replaced."""
    table, result = tmp_path / "virl.parquet", tmp_path / "virl.json"
    argv = ["--model", str(tmp_path / "no model"), f"output={result}"]
    for theirs in (table, result):
        parquet.write_table(pyarrow.table({"question": ["How many?"]}), theirs)
        before = theirs.read_bytes()
        with pytest.raises(UserError, match=f"output would replace .*{theirs.name}.*no result of an evaluation"):
            command.main(argv)
        assert theirs.read_bytes() == before
        theirs.unlink()
    write_parquet(table, [{"x": 1}], {"model": "m"})
    write(result, json.dumps({"accuracy": None, "ci95": []}, indent=1))
    with pytest.raises(UserError, match="no model"):
        command.main(argv)
    run = a_run(tmp_path / "run")
    for data in (run, f"hf:{run}"):
        with pytest.raises(UserError, match=f"data must be a data set; .*{run}.* is a run folder"):
            command.main([*argv, f"data={data}"])


def test_the_completions_of_every_model_have_a_place(tmp_path, monkeypatch):
    """A model that is in no run has one in the working directory, and so has one whose run cannot be written."""
    monkeypatch.chdir(tmp_path)
    places = []
    for home in ("one", "one", "two"):
        (tmp_path / home / "model").mkdir(parents=True, exist_ok=True)
        made: dict = {"size": 6}
        places.append(heldout.place(f"{home}/model", "shapes (level 1)", made))
        write_parquet(places[-1], [{"a": 1}], made)
        assert made["model"] == str(tmp_path / home / "model")
    assert [str(place) for place in places] == [
        f"evaluations/model-on-shapes-level-1{number}.parquet" for number in ("", "", "-2")
    ]
    run = a_run(tmp_path / "run", YAML, **RUN)
    assert heldout.place(run, "x", {}) == tmp_path / "run" / "eval" / "checkpoint-9-on-x.parquet"
    (tmp_path / "run" / "eval").rmdir()
    (tmp_path / "run" / "eval").touch()  # as a folder of someone else's
    assert str(heldout.place(run, "x", {})) == "evaluations/run-on-x.parquet"
    assert heldout.is_own(EvalConfig(model=run, size=100)) and not heldout.is_own(EvalConfig(model=run, seed=1))
    assert not heldout.is_own(EvalConfig(model=run, size=101)) and not heldout.is_own(EvalConfig())
    shutil.rmtree("evaluations")
    Path("evaluations").touch()
    with pytest.raises(UserError, match="the completions have no place; output=FILE.json names one"):
        heldout.place("small", "x", {})


@pytest.mark.long
def test_the_command_repeats_the_runs_number_keeps_records_and_checks_its_output(tmp_path, capsys):
    run = tmp_path / "run"
    train([f"output_dir={run}", "data.eval_size=6", "warm_start.steps=40", "warm_start.reading_steps=0",
    "warm_start.batch_size=16",
           "warm_start.languages={direct: "
           "1.0}", "max_steps=0", "eval_samples=3", "engine.workers=1", "seed=3", "preflight=false",
           "max_completion_length=8", "parity_check=false"])  # fmt: skip
    final = json.loads((run / "eval" / "warm_start.json").read_text())
    out = tmp_path / "table.json"
    for _ in range(2):  # the second time in place of the first
        assert command.main(["--model", str(run), "samples=3", f"output={out}"]) == 0
    again = json.loads(out.read_text())
    assert (
        again["accuracy"] == final["accuracy"]
        and again["table"] == final["table"]
        and again["mean_tokens"] == final["mean_tokens"]
    )
    kept = parquet.read_table(out.with_suffix(".parquet")).to_pylist()
    pictures = [row.pop("image_png") for row in kept]
    assert sum(picture is not None for picture in pictures) == 6 and pictures[0] is not None  # the run's are not beside
    assert kept == parquet.read_table(run / "eval" / "warm_start.parquet").to_pylist() and len(kept) == 6 * 4

    capsys.readouterr()
    assert command.main(["--model", str(run), "temperature=0", "seed=7"]) == 0
    said = capsys.readouterr().out
    (file,) = (run / "eval").glob("*seed-7*.parquet")
    table = parquet.read_table(file).to_pylist()
    assert [r["sample"] for r in table] == [-1] * 6 and len({r["problem_id"] for r in table}) == 6 and str(file) in said
    greedy = [r["correct"] for r in table]
    share = f"{100 * sum(greedy) / 6:.1f}%"
    assert f"mean@1 {share}" in said and f"pass@1 {share}   greedy {share}" in said and "temperature 0" in said

    files = {file: file.read_bytes() for file in (run / "eval").glob("*.parquet")}
    others = ["temperature=0.8", "samples=2", "max_completion_length=5", "dtype=bfloat16", "size=5", "engine.cpu_s=0.7"]
    for number, option in enumerate(others, 2):
        argv = ["--model", str(run), "seed=7", *(["temperature=0"] if number > 3 else []), option]
        for _ in range(2 if number == 4 else 1):  # the same again replaces its own file
            assert command.main(argv) == 0
        (new,) = set((run / "eval").glob("*.parquet")) - files.keys()
        assert new.stem == f"{file.stem}-{number}" and str(new) in capsys.readouterr().out
        assert {f: f.read_bytes() for f in files} == files
        files[new] = new.read_bytes()
        key, _, value = option.partition("=")
        made = settings_of(new)
        assert (
            str(made["engine"]["cpu_s"] if "engine" in key else made[key]) in (value, f"{value}.0")
            and made["seed"] == 7
        )
    assert settings_of(file)["temperature"] == 0 and json.loads(out.read_text())["settings"] == settings_of(
        out.with_suffix(".parquet")
    )

    for path in (tmp_path / "absent" / "x.json", tmp_path, "/proc/x.json"):
        with pytest.raises(UserError, match="output must be a file that can be written"):
            command.main(["--model", str(tmp_path / "no model"), f"output={path}"])  # before anything is looked at
