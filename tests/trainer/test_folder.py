"""The run folder: one process at a time, nothing left of a start that failed, and a full disk said in one sentence."""

import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest
import torch
from safetensors.torch import save_file

from nsrl.config import TrainConfig
from nsrl.errors import UserError
from nsrl.train import main
from nsrl.trainer import checkpoint
from nsrl.trainer.folder import RunFolder, check_writable, disk_watched, write, write_parquet
from nsrl.trainer.metrics import MetricsLog

HOLDER = """
import sys, time
from pathlib import Path
from nsrl.config import TrainConfig
from nsrl.trainer.folder import RunFolder
folder = RunFolder(Path(sys.argv[1]))
folder.claim(TrainConfig(output_dir=sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""
SHORT = ["warm_start.steps=0", "max_steps=1", "prompts_per_step=2", "num_generations=2", "max_completion_length=8",
         "eval_samples=1", "engine.workers=1", "data.eval_size=2", "preflight=false", "parity_check=false"]  # fmt: skip


def test_two_processes_do_not_write_to_one_folder(tmp_path):
    run = tmp_path / "run"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(run)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        files = {p: p.read_bytes() for p in run.iterdir()}
        for argv in (SHORT, ["--resume"]):
            with pytest.raises(UserError, match=f"is being written by process {holder.pid} on "):
                main([f"output_dir={run}", *argv])
        assert {p: p.read_bytes() for p in run.iterdir()} == files
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    folder = RunFolder(run)
    folder.claim(TrainConfig(output_dir=str(run)))  # a killed process leaves no lock, and no step: nothing to overwrite
    folder.release()


def test_a_failed_start_leaves_the_folder_as_it_was(tmp_path):
    """Each is refused, removes what it made, and the corrected command runs in the same folder."""
    rewards = tmp_path / "mine.py"
    rewards.write_text("def broken(batch):\n    raise RuntimeError('mine')\n")
    wrong = [
        "data.source=hf",
        f"model.name={tmp_path / 'absent'}",
        "reward_funcs=[corect]",
        "top_p=0.9",
        "model.attention=none",
    ]
    for option in wrong:
        weights = ["reward_weights=[1]"] if "reward" in option else []
        with pytest.raises(UserError):
            main([*SHORT, f"output_dir={tmp_path / 'runs' / 'one'}", option, *weights])
        assert not (tmp_path / "runs").exists(), option
    used = tmp_path / "used"
    (used / "completions").mkdir(parents=True)
    (used / "notes.txt").write_text("mine")
    for option in wrong[:2]:
        with pytest.raises(UserError):
            main([*SHORT, f"output_dir={used}", option])
        assert sorted(p.name for p in used.iterdir()) == ["completions", "notes.txt"]
    with pytest.raises(RuntimeError, match="mine"):  # in its first step, behind the first evaluation
        main([*SHORT, f"output_dir={used}", f"reward_funcs=[{rewards}:broken]", "reward_weights=[1]"])
    assert (used / "eval" / "warm_start.json").is_file()  # what was measured is not thrown away
    assert main([*SHORT, f"output_dir={used}"]) == 0
    assert (used / "notes.txt").read_text() == "mine"
    with pytest.raises(UserError, match="already holds a run"):
        main([*SHORT, f"output_dir={used}"])


LOOK = """
import sys
from nsrl.errors import UserError
from nsrl.train import main
for folder in sys.argv[1:]:
    try:
        main([f"output_dir={folder}", "max_steps=1"])
    except UserError as error:
        print(error)
assert "torch" not in sys.modules
"""
THEIRS = ["plots/fig1.png", "report.html", "config.yaml", "config-a.yaml", "eval/final.json", "completions/a.parquet",
"reference/a",
          "checkpoint-best/a", "checkpoint-500.tmp/a", "latest.txt", "preflight.json", "tensorboard/a", "wandb/a",
          ".lock"]  # fmt: skip


def test_a_folder_with_files_of_the_users_is_no_run_folder(tmp_path):
    """What a run would write over or delete is refused before torch is imported; so are runs, locks and closed
    folders."""
    said = {}
    for name in THEIRS:
        file = tmp_path / name.replace("/", "-") / name
        file.parent.mkdir(parents=True)
        file.write_text("mine")
        said[tmp_path / name.replace("/", "-")] = f"holds {name.partition('/')[0]}, which a run would write over"
    del said[tmp_path / "latest.txt"]  # no name of ours
    many = tmp_path / "many"
    many.mkdir()
    for name in ("report.html", "config.yaml", "preflight.json", "summary.txt", "config-a.yaml", "notes.txt"):
        (many / name).write_text("mine")
    said[many] = "holds config-a.yaml, config.yaml, preflight.json and 1 more, which"
    held, begun = tmp_path / "held", tmp_path / "begun"
    holder = RunFolder(held)
    holder.claim(TrainConfig(output_dir=str(held)))
    begun.mkdir()
    (begun / "metrics.jsonl").write_text("{}\n")
    said |= {held: f"is being written by process {os.getpid()} on ", begun: "already holds a run"}
    said[many / "notes.txt" / "run"] = "must be a folder that can be written; "
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    done = subprocess.run([sys.executable, "-c", LOOK, *map(str, said)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    for (folder, words), line in zip(said.items(), done.stdout.splitlines(), strict=True):
        assert line.startswith("output_dir ") and str(folder) in line and words in line, line
        with pytest.raises(UserError, match=re.escape(words)):
            RunFolder(folder).claim(TrainConfig(output_dir=str(folder)))
        if folder not in (held, begun):
            with pytest.raises(UserError, match=re.escape(words)):  # nor is a run continued into it
                RunFolder(folder).claim(
                    TrainConfig(output_dir=str(folder), resume_from_checkpoint=str(tmp_path / "run" / "checkpoint-1"))
                )
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
    holder.release()  # as a process that was killed leaves it: the same command may start again
    holder = RunFolder(held)
    holder.look(TrainConfig(output_dir=str(held)))
    holder.claim(TrainConfig(output_dir=str(held)))
    holder.release()
    other = RunFolder(tmp_path / "latest.txt")
    other.claim(TrainConfig())
    other.abandon()
    assert [p.name for p in other.path.iterdir()] == ["latest.txt"]


def test_only_checkpoints_of_the_run_are_pruned(tmp_path):
    fill = lambda folder: (folder / "model.safetensors").write_text("weights")
    save = lambda step: checkpoint.save(tmp_path, f"checkpoint-{step}", fill, {"step": step}, {}, keep=2)
    save(1)
    shutil.copytree(tmp_path / "checkpoint-1", tmp_path / "checkpoint-best")
    theirs = [
        "checkpoint-best/trainer_state.json",
        "checkpoint-500.tmp/a",
        "checkpoint-7/trainer_state.json",
        "checkpoint-8/a",
        ".a.tmp/a",
    ]
    for name in theirs[1:]:
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text('{"global_step": 7}')
    (tmp_path / ".0123456789abcdef.tmp").mkdir()  # of a process that was killed
    for step in (2, 3, 4):
        save(step)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        {"checkpoint-3", "checkpoint-4", "latest", *(n.partition("/")[0] for n in theirs)}
    )


@contextmanager
def file_limit(size):
    """No file may grow beyond `size` bytes in this process: the same way out of the kernel as a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_one_sentence_and_the_last_checkpoint_stays(tmp_path):
    big = {"weights": torch.zeros(300_000)}
    save = lambda step, fill, tensors: checkpoint.save(tmp_path, f"checkpoint-{step}", fill, {"step": step}, tensors)
    small = lambda folder: save_file({"weights": torch.zeros(9)}, folder / "model.safetensors")
    save(1, small, {"a": torch.ones(3)})
    log = MetricsLog(tmp_path, [])
    cases = {
        "torch": lambda: save(2, small, big),
        "safetensors": lambda: save(2, lambda folder: save_file(big, folder / "model.safetensors"), {}),
        "text": lambda: save(2, lambda folder: (folder / "a.txt").write_text("x" * 10**6), {}),
        "parquet": lambda: write_parquet(tmp_path / "eval" / "a.parquet",
        [{"x": os.urandom(9).hex()} for _ in range(30_000)]),
        "json": lambda: write(tmp_path / "a.json", "x" * 10**6),
        "metrics": lambda: [log.write("grpo", n, {f"key {i}": 0.1 for i in range(200)}) for n in range(200)],
    }  # fmt: skip
    for name, case in cases.items():
        with file_limit(200_000), pytest.raises(UserError) as error, disk_watched(tmp_path):
            case()
        said = str(error.value)
        assert "\n" not in said and str(tmp_path) in said and "mounted at '/" in said and "File too large" in said, (
            name,
            said,
        )
        assert checkpoint.latest(tmp_path).name == "checkpoint-1"
        assert not list(tmp_path.glob("*.tmp"))
        assert checkpoint.load(tmp_path / "latest")[0]["step"] == 1
    assert not (tmp_path / "a.json").exists() and not (tmp_path / "eval" / "a.parquet").exists()


def test_other_errors_are_not_taken_for_a_full_disk(tmp_path):
    def wrong(folder):
        raise RuntimeError("a bug of ours")

    with pytest.raises(RuntimeError, match="a bug of ours"), disk_watched(tmp_path):
        checkpoint.save(tmp_path, "checkpoint-1", wrong, {}, {})
    with pytest.raises(FileNotFoundError), disk_watched(tmp_path):
        (tmp_path / "absent" / "file").write_text("")


def test_where_a_result_is_to_go_is_checked(tmp_path):
    (tmp_path / "file").write_text("kept")
    check_writable(tmp_path / "file", "output")
    check_writable(tmp_path / "new", "output")
    assert (tmp_path / "file").read_text() == "kept" and not (tmp_path / "new").exists()
    for path, words in ((tmp_path / "absent" / "x", "No such file"), (tmp_path, "is a folder"), ("/proc/x", "")):
        with pytest.raises(UserError, match=f"output must be a file that can be written.*{words}"):
            check_writable(type(tmp_path)(path), "output")


def test_a_result_replaces_nothing_but_a_file(tmp_path):
    """Pipes, sockets and links to them stay, as does a file of the user's that has the name of one of ours; links
    are followed."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to-pipe").symlink_to("pipe")
    (tmp_path / "round").symlink_to("round")
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(tmp_path / "socket"))
        for name in ("pipe", "to-pipe", "round", "socket"):
            with pytest.raises(UserError, match="output must be a file that can be written.*not a regular file"):
                check_writable(tmp_path / name, "output")
    assert (tmp_path / "pipe").is_fifo() and (tmp_path / "round").is_symlink()
    (tmp_path / "a.json.tmp").write_text("mine")
    (tmp_path / "target").write_text("old")
    (tmp_path / "a.json").symlink_to("target")
    check_writable(tmp_path / "a.json", "output")
    write(tmp_path / "a.json", "new")
    write_parquet(tmp_path / "b.parquet", [{"x": 1}])
    assert (tmp_path / "a.json").is_symlink() and (tmp_path / "target").read_text() == "new"
    assert (tmp_path / "a.json.tmp").read_text() == "mine" and not list(tmp_path.glob(".*"))
