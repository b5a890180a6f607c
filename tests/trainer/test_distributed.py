"""Several processes are one run: the same steps as one process, checkpoints that change bins, and no silent hang.

Two gloo ranks on a CPU. `ranks.py` compares gradients rank by rank; here whole runs are compared.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import forked
import pytest
import ranks
import torch
import torch.distributed as dist
from safetensors.torch import load_file

from nsrl.trainer import checkpoint, watchdog
from nsrl.trainer.distributed import ALONE, World
from nsrl.trainer.metrics import CLOCK_KEYS

HERE = Path(__file__).resolve().parent
PER_RANK = (*CLOCK_KEYS, "pack/", "engine/submitted", "engine/done")  # of rank 0's own micro-batches and pool

REWARD = '''
def even(prompts, completions, completion_ids, problem_id, **columns):
    """Spread in some groups, none in others, whatever the model has learned."""
    dead = lambda name: sum(map(ord, name)) % 5 < 3
    return [0.5 if dead(name) else sum(i % 2 for i in ids) / len(ids) for name, ids in zip(problem_id, completion_ids)]
'''

# Rank 1 kills itself as it begins step 6, and leaves the time.
DRIVER = """
import os, pathlib, signal, time
from nsrl.config import command
from nsrl.train import main
from nsrl.trainer import stages
inner = stages.grpo_step
def step(learner, number):
    if learner.world.rank == 1 and number == 6:
        pathlib.Path(learner.config.output_dir, "killed").write_text(str(time.time()))
        os.kill(os.getpid(), signal.SIGKILL)
    return inner(learner, number)
stages.grpo_step = step
command(main)
"""


def settings(folder):
    reward = folder / "reward.py"
    reward.write_text(REWARD)
    return [
        "data.eval_size=2", "warm_start.steps=3", "warm_start.reading_steps=0", "warm_start.batch_size=5",
        "max_steps=5",
        "prompts_per_step=3", "num_generations=4", "save_steps=3", "save_total_limit=9", "completions_steps=0",
        "max_completion_length=24", "eval_samples=1", "threads=1", "logging_steps=1", f"reward_funcs=[{reward}:even]",
        "reward_weights=[1.0]", "engine.workers=1", "preflight=false", "parity_check=false", "token_budget=150",
    ]  # fmt: skip


def torchrun(*arguments, script=("-m", "nsrl.train")):
    """Two ranks as a user starts them."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(["kernels", "."]), "OMP_NUM_THREADS": "1"}
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launcher, *script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=150, env=env, cwd=HERE.parents[1])


def rows(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if not k.startswith(PER_RANK)} for row in lines]


def assert_same_rows(got, want):
    assert [(r["phase"], r["step"]) for r in got] == [(r["phase"], r["step"]) for r in want]
    for one, other in zip(got, want):
        assert one.keys() == other.keys()
        for key, value in other.items():
            assert one[key] == (value if isinstance(value, str) else pytest.approx(value, rel=1e-4, abs=1e-5)), (
                key,
                other,
            )


def assert_same_weights(got, want):
    """AdamW turns a rounding error in a tiny gradient into a share of the step (3e-4): a hundredth of one is
    allowed."""
    a, b = load_file(got / "model.safetensors"), load_file(want / "model.safetensors")
    assert a.keys() == b.keys()
    assert max(float((a[k] - b[k]).abs().max()) for k in b) < 3e-5


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """One process, at least two micro-batches a step."""
    folder = tmp_path_factory.mktemp("one")
    done = forked.run("nsrl.train", *settings(folder), f"output_dir={folder}/run")
    assert done.returncode == 0, done.stderr[-3000:]
    steps = rows(folder / "run")
    assert len(steps) == 8
    assert any(0 < row.get("frac_reward_zero_std", 0) < 0.5 for row in steps)  # two live groups: one for each rank
    assert any(row.get("frac_reward_zero_std", 0) > 0.5 for row in steps)  # at most one: a rank without
    return folder / "run"


@pytest.mark.long
def test_killed_rank_ends_the_other_and_one_process_goes_on_from_two(one, tmp_path):
    driver = tmp_path / "driver.py"
    driver.write_text(DRIVER)
    died = torchrun(*settings(tmp_path), f"output_dir={tmp_path}/run", "max_steps=6", script=(driver,))
    assert died.returncode != 0
    assert time.time() - float((tmp_path / "run" / "killed").read_text()) < 60
    said = [line for line in died.stderr.splitlines() if line.startswith("error:")]
    assert len(said) == 1 and "rank 1" in said[0] and "killed" in said[0] and "--resume" in said[0], died.stderr[-3000:]
    run = tmp_path / "run"
    assert_same_rows(rows(run), rows(one))  # all five steps that were finished
    assert_same_weights(run / "checkpoint-3", one / "checkpoint-3")
    names = lambda folder: sorted(p.name for p in folder.iterdir())
    assert names(run / "checkpoint-3") == names(one / "checkpoint-3")

    again = forked.run("nsrl.train", f"output_dir={run}", "--resume", "max_steps=5")
    assert again.returncode == 0, again.stderr[-3000:]
    assert "resumed from checkpoint-3: grpo step 3" in again.stdout
    assert_same_rows(rows(run), rows(one))
    assert_same_weights(run / "latest", one / "latest")


def test_two_sharded_ranks_go_on_from_one_process(one, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(one, run, symlinks=True)
    (run / "eval" / "final.json").unlink()
    again = forked.ranks(
        2, "nsrl.train", f"output_dir={run}", f"resume_from_checkpoint={run}/checkpoint-3", "parallel=fsdp"
    )
    assert [rank.returncode for rank in again] == [0, 0], [rank.stderr[-3000:] for rank in again]
    assert [rank.stdout.count("resumed from checkpoint-3") for rank in again] == [1, 0]  # one rank prints
    assert_same_rows(rows(run), rows(one))
    assert_same_weights(run / "latest", one / "latest")
    state, tensors = checkpoint.load(checkpoint.latest(run))
    _, whole = checkpoint.load(checkpoint.latest(one))
    assert (state["phase"], state["step"]) == ("grpo", 5)
    for index, moments in whole["optimizer"]["inner"]["state"].items():
        again_moments = tensors["optimizer"]["inner"]["state"][index]
        assert type(again_moments["exp_avg"]) is torch.Tensor
        assert torch.allclose(again_moments["exp_avg"], moments["exp_avg"], rtol=1e-3, atol=1e-6)


def test_gradients_of_two_ranks_are_those_of_one():
    done = forked.call_ranks(2, ranks.main)
    assert [rank.returncode for rank in done] == [0, 0], [rank.stderr[-3000:] for rank in done]
    report = json.loads(done[0].stdout.splitlines()[-1])
    assert report.pop("sampled alike") and report.pop("state comes back")
    for mode in ("ddp", "fsdp"):
        assert report.pop(f"{mode} bf16 is fp32 where it learns")
        assert report.pop(f"{mode} bf16: gradient") < 0.02  # other micro-batches round elsewhere
    assert report.pop("muon: step") < 1e-4  # orthogonal matrices magnify what rounding left of a small direction
    assert report.pop("gate: step") < 1e-4
    assert len(report) == 20
    assert all(difference < 5e-6 for difference in report.values()), report


def test_error_of_one_rank_is_said_once(one):
    done = torchrun(f"output_dir={one}", "max_steps=1")  # the folder holds a run: only rank 0 looks
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if "already holds a run" in line]
    assert len(said) == 1 and said[0].startswith("error: output_dir"), done.stderr[-3000:]


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_shares_and_bins_cover_everything_once(size):
    worlds = [World(rank, size) for rank in range(size)]
    items = list("abcdefg")
    assert sorted(x for w in worlds for x in w.share(items)) == items
    sizes = [5, 9, 1, 1, 7, 3, 8]
    bins = [w.partition_by_size(sizes) for w in worlds]
    assert sorted(i for hand in bins for i in hand) == list(range(7))
    loads = [sum(sizes[i] for i in hand) for hand in bins]
    assert max(loads) - min(loads) <= max(sizes)
    assert World(size, size + 1).partition_by_size([]) == []


def test_alone_is_a_no_op():
    p = torch.nn.Parameter(torch.ones(2))
    ALONE.sum_gradients([p])
    assert p.grad is None
    part = [object()]
    assert ALONE.gather_in_order(part) is part and ALONE.gather(3) == [3] and ALONE.all_reduce_sum(1.5, 2) == (1.5, 2)
    assert ALONE.from_main(lambda: 7) == 7 and ALONE.partition_by_size([3, 1]) == [0, 1] and ALONE.idle_rounds(4) == 0
    ALONE.require_same("x", 1)
    ALONE.barrier()


def watched(people):
    """A watch of rank 0 over others, without its thread."""
    store = dist.HashStore()
    found = watchdog.Watchdog(store, 0, len(people) + 1)
    me = {"pid": os.getpid(), "host": "here", "machine": watchdog._machine()}
    found.people = {0: me, **{r: {**me, **p} for r, p in enumerate(people, 1)}}
    for rank in found.people:
        store.set(f"beat/{rank}", "0")
    return store, found


def test_watch_names_the_rank_whose_process_is_gone():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    alive = subprocess.Popen(["sleep", "60"])
    try:
        store, found = watched([{"pid": alive.pid}, {"pid": gone.pid}])
        assert found.trouble().startswith(f"rank 2 (pid {gone.pid} on here) ended")
        store.set("done/2", "1")  # a rank that finished is not mourned
        assert found.trouble() is None
        alive.send_signal(signal.SIGKILL)
        time.sleep(0.2)  # a zombie: nobody has waited for it yet
        assert found.trouble().startswith(f"rank 1 (pid {alive.pid} on here) ended")
        store.add("said", 1)
        assert found.trouble() == ""  # another rank has told
    finally:
        alive.kill()
        alive.wait()


def test_watch_gives_a_silent_rank_elsewhere_up(monkeypatch):
    store, found = watched([{"pid": 1, "host": "there", "machine": "other"}])
    monkeypatch.setattr(watchdog, "STALE_S", 0.05)
    assert found.trouble() is None
    time.sleep(0.1)
    store.set("beat/1", "1")
    assert found.trouble() is None
    time.sleep(0.1)
    assert "rank 1 (pid 1 on there) has given no sign of life" in found.trouble()


def test_watch_without_its_store_says_so():
    class Gone:
        def check(self, keys):
            raise RuntimeError("connection reset")

    _, found = watched([{"pid": os.getpid()}])
    found.store = Gone()
    assert "cannot be reached" in found.trouble()
