"""Whole runs on data with rows that cannot be shown to the model: each costs itself, and is counted where it falls."""

import json
import struct
import zlib

import pytest
import torch
from PIL import Image

from nsrl import check, eval, solve
from nsrl.errors import UserError
from nsrl.train import main
from nsrl.trainer import checkpoint
from nsrl.trainer.metrics import CLOCK_KEYS

SHORT = ["warm_start.steps=0", "prompts_per_step=3", "num_generations=2", "max_completion_length=8", "eval_samples=1",
         "engine.workers=1", "logging_steps=1", "threads=1", "save_steps=1", "reward_funcs=[format]",
         "reward_weights=[1.0]",
         "data.source=hf"]  # fmt: skip


def truncated_png(width=64, height=64) -> bytes:
    """Sound to look at: every chunk is there with its checksum, but half of the pixels are not."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    raw = b"".join(b"\0" + bytes((x * y + 7 * x) % 256 for x in range(3 * width)) for y in range(height))
    packed = zlib.compress(raw)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed[: len(packed) // 2]) + chunk(b"IEND", b"")
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """12 training and 5 test problems, of which in each one is thin, one over-long and one broken behind its header."""
    folder = tmp_path_factory.mktemp("data")

    def row(name, **changes):
        Image.new("RGB", (64, 64), (sum(map(ord, name)) % 200, len(name) * 9, 99)).save(folder / f"{name}.png")
        return {"id": name, "question": f"How many? {name}", "image": f"{name}.png", "answer": "3", **changes}

    for name, rows in (("train", 9), ("test", 2)):
        entries = [row(f"{name}{i}") for i in range(rows)]
        entries += [row(f"{name}-long", question="word " * 700), row(f"{name}-thin"), row(f"{name}-broken")]
        Image.new("RGB", (2000, 4) if name == "train" else (3, 900)).save(folder / f"{name}-thin.png")
        (folder / f"{name}-broken.png").write_bytes(truncated_png(64 if name == "train" else 96))
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return folder


def outcome(run):
    _, tensors = checkpoint.load(checkpoint.latest(run))
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    rows = [{k: v for k, v in row.items() if not k.startswith(CLOCK_KEYS)} for row in rows]
    return rows, tensors["optimizer"], (run / "eval" / "final.json").read_text()


def equal(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


@pytest.mark.long
def test_rows_that_cannot_be_shown_cost_themselves_and_a_resumed_run_is_the_same(folder, tmp_path, capsys):
    options = [*SHORT, f"data.path={folder}", "data.max_prompt_length=400"]
    assert main([*options, f"output_dir={tmp_path / 'a'}", "max_steps=6"]) == 0
    out = capsys.readouterr().out
    for name in ("train", "test"):
        what = {"train": "training", "test": "test"}[name]
        assert f"1 {what} problems dropped: prompt longer than 400 tokens (first: {name}-long: " in out
        assert f"1 {what} problems dropped: impossible prompt (first: {name}-thin: " in out
    assert "2000x4 pixels" in out and "3x900 pixels" in out
    assert (
        out.count("problem train-broken passed over (1 so far): image 'train-broken.png' is damaged or truncated") == 1
    )
    assert out.count("1 of 3 problems not scored") == 2 and "first: test-broken" in out
    rows, state, final = outcome(tmp_path / "a")
    assert [row["step"] for row in rows] == list(range(1, 7))
    numbers = json.loads(final)
    assert list(numbers["unscored"]) == ["test-broken"] and numbers["table"][-1]["count"] == 2

    other = f"output_dir={tmp_path / 'b'}"  # nor does it depend on how pictures are read
    assert main([*options, other, "data.picture_memory_mb=1", "data.picture_threads=0", "max_steps=3"]) == 0
    (tmp_path / "b" / "eval" / "final.json").unlink()
    assert main(["--resume", other, "data.picture_memory_mb=0", "data.picture_threads=3", "max_steps=6"]) == 0
    again_rows, again_state, again_final = outcome(tmp_path / "b")
    assert again_rows == rows and equal(again_state, state) and again_final == final
    capsys.readouterr()

    assert eval.main(["--model", str(tmp_path / "a"), "--data", f"hf:{folder / 'test.jsonl'}", "samples=1"]) == 0
    out = capsys.readouterr().out
    assert "2 of 5 problems not scored" in out and "test-thin" in out
    with pytest.raises(UserError, match="2000x4 pixels cannot be shown to the model") as error:
        solve.main(["--model", str(tmp_path / "a"), "--question", "What?", "--image", str(folder / "train-thin.png")])
    assert "\n" not in str(error.value)


def test_check_looks_at_the_data_of_the_run(folder, capsys):
    assert check.main([*SHORT, f"data.path={folder}", "data.max_prompt_length=400", "data.picture_threads=0"]) == 0
    out = capsys.readouterr().out
    assert "train-long" in out and "sound:" in out


def test_where_every_test_problem_is_dropped_others_are_held_out(folder, tmp_path, capsys):
    data = tmp_path / "data"
    data.mkdir()
    rows = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    rows = [row | {"image": str(folder / row["image"])} for row in rows]
    (data / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (data / "test.jsonl").write_text(json.dumps({"question": "word " * 700, "answer": "1"}) + "\n")
    assert (
        main(
            [*SHORT, f"data.path={data}", "data.max_prompt_length=400", f"output_dir={tmp_path / 'run'}", "max_steps=1"]
        )
        == 0
    )
    assert "1 test problems dropped" in capsys.readouterr().out
    assert json.loads((tmp_path / "run" / "eval" / "final.json").read_text())["problems"] == 1
    with pytest.raises(UserError, match="no training problem fits data.max_prompt_length 5"):
        main(
            [*SHORT, f"data.path={data}", "data.max_prompt_length=5", f"output_dir={tmp_path / 'none'}", "max_steps=1"]
        )


def test_an_accuracy_of_nothing_is_no_number(tmp_path, capsys):
    """The only test picture breaks when it is read; and a set of one row has none to hold out."""
    for name in ("train", "test"):
        Image.new("RGB", (64, 64), (len(name), 9, 99)).save(tmp_path / f"{name}.png")
        rows = [
            {"question": f"How many? {i}", "image": f"{name}.png", "answer": "3"}
            for i in range(1 if name == "test" else 3)
        ]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "test.png").write_bytes(truncated_png())
    run = tmp_path / "run"
    assert main([*SHORT, f"data.path={tmp_path}", f"output_dir={run}", "max_steps=1", "eval_steps=1"]) == 0
    said = capsys.readouterr().out
    assert json.loads((run / "latest" / "trainer_state.json").read_text())["split"].keys() == {"training", "held-out"}
    train_rows = (tmp_path / "train.jsonl").read_text()
    (tmp_path / "train.jsonl").write_text(train_rows.replace("How many? 1", "How many? 9"))
    with pytest.raises(UserError, match="the training problems are not those of .*checkpoint-1'"):
        eval.main([f"model={run}"])
    assert "accuracy of samples – -> – (nothing could be scored)" in said and "0.0%" not in said
    summary = json.loads((run / "summary.json").read_text())
    assert [summary[k] for k in ("accuracy_warm_start", "accuracy_final", "accuracy_final_greedy", "gain_points")] == [
        None
    ] * 4
    assert summary["accuracy_final_ci95"] == [None, None] and (run / "report.html").stat().st_size > 10_000
    numbers = json.loads((run / "eval" / "final.json").read_text())
    assert (numbers["accuracy"], numbers["pass_at_n"], numbers["mean_tokens"]) == (None, None, None)
    one = tmp_path / "one.jsonl"
    one.write_text(json.dumps({"question": "How many?", "answer": "3"}) + "\n")
    with pytest.raises(UserError, match="at least 2 usable problems are needed.*got 1"):
        main([*SHORT, f"data.path={one}", f"output_dir={tmp_path / 'one'}", "max_steps=1", "warm_start.steps=3"])
    assert not (tmp_path / "one" / "metrics.jsonl").exists()
