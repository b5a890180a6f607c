"""Every bad input gets one clear sentence and exit code 2, or a counted skip; nothing already computed is lost."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from PIL import Image

from nsrl.errors import UserError
from nsrl.train import main

SHORT = ["warm_start.steps=0", "max_steps=1", "prompts_per_step=2", "num_generations=2", "max_completion_length=8",
         "eval_samples=1", "engine.workers=1", "data.eval_size=2", "logging_steps=1"]  # fmt: skip


def rows(folder, entries):
    (folder / "images").mkdir(exist_ok=True)
    for number in range(4):
        Image.new("RGB", (64, 64), (40 * number, 90, 120)).save(folder / "images" / f"{number}.png")
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in entries))
    return path


def good(number):
    return {"question": f"How many? {number}", "image": f"images/{number}.png", "answer": str(number)}


def refused(tmp_path, *argv):
    with pytest.raises(UserError) as error:
        main([*SHORT, f"output_dir={tmp_path / 'run'}", *argv])
    assert "\n" not in str(error.value)
    return str(error.value)


def test_commands_exit_with_2_and_one_line():
    for argv in (["nsrl.train", "data.sorce=x"], ["nsrl.eval", "--model", "/nowhere/at/all"], ["nsrl.solve", "--model", "x"]):
        done = subprocess.run([sys.executable, "-m", *argv], capture_output=True, text=True)
        assert done.returncode == 2, done.stderr
        assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr


def test_missing_model_and_other_architecture(tmp_path):
    assert "does not exist" in refused(tmp_path, f"model.name={tmp_path / 'absent'}")
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text('{"model_type": "llama"}')
    shutil.rmtree(tmp_path / "run")
    assert "Qwen3-VL" in refused(tmp_path, f"model.name={other}")


def test_empty_data_and_no_gold(tmp_path):
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    assert "empty" in refused(tmp_path, "data.source=hf", f"data.path={empty}")
    shutil.rmtree(tmp_path / "run")
    path = rows(tmp_path, [{k: v for k, v in good(n).items() if k != "answer"} for n in range(4)])
    assert "gold answer" in refused(tmp_path, "data.source=hf", f"data.path={path}")


def test_bad_images_are_counted_skips(tmp_path, caplog):
    path = rows(tmp_path, [good(0), good(1), good(2), good(3), *({**good(0), "question": "?", "image": f"images/{x}"} for x in ("text.png", "cut.png", "gone.png"))])  # fmt: skip
    (tmp_path / "images" / "text.png").write_text("this is no picture")
    whole = (tmp_path / "images" / "1.png").read_bytes()
    (tmp_path / "images" / "cut.png").write_bytes(whole[: len(whole) // 2])
    with caplog.at_level("INFO"):
        assert main([*SHORT, f"output_dir={tmp_path / 'run'}", "data.source=hf", f"data.path={path}"]) == 0
    assert "3 of 7 rows skipped" in caplog.text
    metrics = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in metrics if row["phase"] == "grpo"] == [1]


def test_resume_from_half_written_checkpoint_and_a_taken_folder(tmp_path):
    folder = tmp_path / "run"
    assert main([*SHORT, f"output_dir={folder}"]) == 0
    assert "--resume" in refused(tmp_path)
    (folder / "latest" / "model.safetensors").write_bytes(b"half")
    with pytest.raises(UserError, match="incomplete: model.safetensors has 4 of"):
        main([f"output_dir={folder}", "--resume", "max_steps=2"])
    half = folder / "checkpoint-9"
    half.mkdir()
    with pytest.raises(UserError, match="half-written"):
        main([f"output_dir={folder}", f"resume_from_checkpoint={half}"])


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("chattr"), reason="root may write anywhere")
def test_read_only_output(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("a file, not a folder")
    with pytest.raises(UserError, match="output_dir must be a folder that can be written"):
        main([*SHORT, f"output_dir={blocked / 'run'}"])
    with pytest.raises(UserError, match="output_dir must be a folder that can be written"):
        main([*SHORT, "output_dir=/proc/nsrl"])


def test_one_generation(tmp_path):
    assert "num_generations must be at least 2" in refused(tmp_path, "num_generations=1")
