"""`nsrl experiment`: what it runs and in which order, what it refuses, how it goes on, and what it writes."""

import base64
import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nsrl import experiment
from nsrl.config import ExperimentConfig, TrainConfig, parse
from nsrl.config.experiment import split
from nsrl.errors import Terminated, UserError
from nsrl.experiments import counting, jobs, results
from nsrl.experiments.jobs import Job
from nsrl.experiments.plan import Cell
from nsrl.experiments.settings import require_same, settings, settings_in
from nsrl.experiments.small import OfTheSmallModel
from nsrl.report.arms import arm_row, over_runs, run_lines
from nsrl.report.records import collect
from nsrl.trainer.folder import write_parquet

ROOT = Path(__file__).resolve().parents[1]

# What a job of these tests does: `touch FILE`, `fail`, `wait FILE` (until SIGTERM, which it writes there).
ACT = """
import signal, sys, time
from pathlib import Path
what, *rest = sys.argv[1:]
if what == "fail":
    print("first line"); print("the reason"); sys.exit(3)
if what == "wait":
    signal.signal(signal.SIGTERM, lambda *_: (Path(rest[0]).write_text("saved"), sys.exit(143)))
    Path(rest[0]).write_text("waits")
    time.sleep(60)
Path(rest[0]).parent.mkdir(exist_ok=True)
Path(rest[0]).write_text(f"{' '.join(rest[1:])} {time.monotonic()}")
"""


@pytest.fixture
def act(tmp_path, monkeypatch):
    (tmp_path / "act.py").write_text(ACT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(jobs, "PAUSE_S", 0.01)

    def job(name, what="touch", **more):
        file = tmp_path / name / "done"
        return Job(name, ("act", what, str(file)), file, tmp_path / f"{name}.log", **more)

    return job


def test_jobs_run_after_what_they_need_and_are_not_done_twice(act, tmp_path):
    said: list[str] = []
    begun = tmp_path / "c"
    begun.mkdir()
    (begun / "metrics.jsonl").write_text("{}\n")
    chain = [act("a", after=("b",)), act("b"), act("c", resumes=("again",), keys=((tmp_path / "c.yaml", "seed: 1\n"),))]
    jobs.run(chain, 2, 1, said.append)
    when = {job.name: job.file.read_text().split() for job in chain}
    assert float(when["b"][-1]) < float(when["a"][-1])
    assert when["c"][0] == "again" and (tmp_path / "c.yaml").read_text() == "seed: 1\n"  # a run that had begun goes on
    assert [line.split()[1] for line in said if line.startswith("begun")] == ["b", "c", "a"]
    assert "3 of 3 parts done" in said[-1] and "left" not in said[-1] and "left" in said[0]
    jobs.run(chain, 2, 1, said.append)
    assert {job.name: job.file.read_text().split() for job in chain} == when and "left" not in said[-1]
    chain[1] = act("b", also=(tmp_path / "b" / "more",))  # of an experiment with further points
    with pytest.raises(UserError, match="b ended with exit code 0"):
        jobs.run(chain, 2, 1, said.append)


def test_a_job_that_fails_is_told_with_its_log_and_the_others_save(act):
    other = act("other", "wait")

    def say(line):
        while line == "begun: other" and not other.file.exists():
            time.sleep(0.01)

    other.file.parent.mkdir()
    with pytest.raises(UserError, match=r"bad ended with exit code 3 \(what was learned is saved.*\n.*\nthe reason"):
        jobs.run([other, act("bad", "fail")], 2, 1, say)
    assert other.file.read_text() == "saved"


def test_patience_runs_what_needs_nothing_of_what_failed(act):
    said: list[str] = []
    took: dict[str, float] = {}
    chain = [act("bad", "fail"), act("of_it", after=("bad",)), act("of_that", after=("of_it",)), act("other")]
    with pytest.raises(UserError, match=r"1 of 4 parts failed, .*\(bad\); the same command goes on"):
        jobs.run(chain, 1, 1, said.append, ended=lambda job, s: took.update({job.name: s}), patient=True)
    assert [job.name for job in chain if job.done] == ["other"] == list(took) and 0 < took["other"] < 60
    assert any("bad ended with exit code 3" in line and "the reason" in line for line in said)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_experiment_ends_its_jobs_first(act, how, request):
    former = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background processes ignore Ctrl-C
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, former))
    waits = act("waits", "wait")
    waits.file.parent.mkdir()

    def say(line):
        while line.startswith("begun") and not waits.file.exists():
            time.sleep(0.01)
        if line.startswith("begun"):
            os.kill(os.getpid(), how)

    kind = KeyboardInterrupt if how == signal.SIGINT else Terminated
    with pytest.raises(kind, match="the same command goes on"):
        jobs.run([waits], 1, 1, say)
    assert waits.file.read_text() == "saved"


def test_what_is_left_is_told_by_what_was_measured():
    make = lambda name, cost, after=(): Job(name, (), Path("x"), Path("y"), after, cost)
    plan = [make("s/0", 10), make("a/0", 40, ("s/0",)), make("b/0", 20, ("s/0",)), make("a/1", 40), make("b/1", 20)]
    left = lambda names, elapsed, took, at=2: jobs.expected(
        [job for job in plan if job.name in names], elapsed, took, plan, at
    )
    # one slot: s, then a and b; the other: a/1; then b/1 after the first that ends
    assert left([job.name for job in plan], {}, {}) == 70
    assert left([job.name for job in plan], {}, {}, 1) == 130
    assert left(["b/0"], {"b/0": 5}, {}) == 15 and left(["b/0"], {"b/0": 50}, {}) == 0 and left([], {}, {}) == 0
    assert left(["b/0", "a/1"], {"b/0": 60}, {}) == 120  # a machine three times as slow, at least
    # a took twice as long as its cost, which is known of its kind, and of others while they have none of their own
    assert left(["a/1"], {}, {"a/0": 80}) == 80 and left(["b/1"], {}, {"a/0": 80}) == 40
    assert left(["a/1", "b/1"], {}, {"a/0": 80, "b/0": 10}) == 80 and left(["b/1"], {}, {"a/0": 80, "b/0": 10}) == 10


def test_a_command_line_is_shared_out():
    own, runs = split(["recipe=languages", "arms=[nsl]", "--seeds", "1", "--shuffle_rewards", "--max_steps", "3",
                       "jobs=2", "--config=f.yaml", "--print_config", "data.level=2"])  # fmt: skip
    assert own == ["recipe=languages", "arms=[nsl]", "--seeds", "1", "jobs=2", "--config=f.yaml", "--print_config"]
    assert runs == ["recipe=languages", "--shuffle_rewards", "--max_steps", "3", "--config=f.yaml", "--print_config",
                    "data.level=2"]  # fmt: skip
    assert split(["--help"]) == (["--help"], [])


def test_a_recipe_has_keys_of_the_experiment_and_of_its_runs(tmp_path, capsys):
    config = parse(ExperimentConfig, ["recipe=languages", "seeds=[4]"], "x")
    runs = parse(TrainConfig, ["recipe=languages"], "x")
    assert config.cold_steps is None and config.seeds == [4] and runs.max_steps < 120 and len(config.arms) == 6
    assert str(config.place) == "runs/experiment-languages"
    own = tmp_path / "own.yaml"
    own.write_text(
        "recipe: languages\nexperiment: {against: [nsl], jobs: 3, folder: there, cold_steps: 9}\nbeta: 0.1\n"
    )
    for words in ([f"recipe={own}"], [f"--config={own}"]):
        config = parse(ExperimentConfig, words, "x")
        assert (config.against, config.jobs, config.folder) == (["nsl"], 3, "there") and config.cold_steps == 9
        assert parse(TrainConfig, words, "x").beta == 0.1
    own.write_text("experiment: [arms]\n")
    with pytest.raises(UserError, match="experiment is a group of keys of nsrl experiment"):
        parse(TrainConfig, [f"recipe={own}"], "x")
    with pytest.raises(SystemExit):
        experiment.main(["recipe=languages", "--print_config=skip_default", "arms=[nsl]", "beta=0.3"])
    own.write_text(capsys.readouterr().out)
    assert parse(ExperimentConfig, [f"recipe={own}"], "x").arms == ["nsl"]
    assert parse(TrainConfig, [f"recipe={own}"], "x").beta == 0.3


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["arms=[nsl,latin]"], "arms must be among .*; got 'latin'"),
        (["against=[none]"], "against must be among"),
        (["points=[end]"], "points must be among context, cold, grpo"),
        (["seeds=[1,1]"], "seeds must be at least one, each once"),
        (["seeds=[-1]"], "seeds must be .*; got"),
        (["arms=[]"], "arms must be at least one"),
        (["jobs=0"], "jobs must be at least 1"),
        (["cold_steps=0"], "cold_steps must be at least 1"),
        (["points=[context]"], "points must have cold or grpo for the small model"),
        (["max_steps=0"], "max_steps must be at least 1 with grpo"),
        (["seed=1"], "seed must not be said .* seeds says it"),
        (["warm_start.steps=9"], "cold_steps says it"),
        (["stages=[{name: a, kind: grpo, steps: 3}]"], "stages must not be said"),
        (["tokenizer=nowhere.json"], "tokenizer must be .*'nowhere.json' is not there"),
        (["tokenizer={mine}/file.tiktoken"], "tokenizer must have a rank for every byte; .* lacks 255 of the 256"),
        (["recipe=curriculum"], "stages must not be said of the runs"),
        (["warm_start.languages={nsl: 1}"], "cot/seed-0: warm_start.languages cannot act here"),
        (["data.source=hf", "data.path=/"], "demonstrations.source must be one that makes them, as shapes"),
        (["folder={mine}/theirs"], "folder must be of an experiment, or empty"),
        (["maxsteps=3"], "max_steps"),
        (["data.eval_size=0"], "data.eval_size must be at least 1"),
        (["folder={mine}"], "folder must be of an experiment, or empty"),
        (["folder={mine}/file"], "folder must be one that can be written"),
    ],
)
def test_one_sentence_before_anything_is_run(words, sentence, tmp_path, monkeypatch):
    mine = tmp_path / "mine"
    mine.mkdir()
    for name, text in (("file", "of the user"), ("file.tiktoken", "YQ== 0\n"), ("theirs/experiment.yaml", "a: 1\n")):
        (mine / name).parent.mkdir(exist_ok=True)
        (mine / name).write_text(text)
    there = sorted(mine.rglob("*"))
    monkeypatch.setattr(jobs, "run", lambda *_: pytest.fail("it ran"))
    words = [word.replace("{mine}", str(mine)) for word in words]
    with pytest.raises(UserError, match=sentence) as error:
        experiment.main([f"folder={tmp_path / 'x'}", *words])
    assert "\n" not in str(error.value) and sorted(mine.rglob("*")) == there and not (tmp_path / "x").exists()


def test_a_folder_may_grow_and_nothing_else(tmp_path):
    def of(*words):
        own, runs = split(words)
        return settings(parse(ExperimentConfig, own, "x"), parse(TrainConfig, runs, "x"))

    was = of("arms=[nsl]", "seeds=[0,1]", "points=[cold]", "max_steps=3")
    for more in (["jobs=9"], ["against=[nsl]"], ["arms=[sympy,nsl]"], ["seeds=[1,0,2]"], ["points=[cold,grpo]"]):
        require_same(tmp_path, was, of("arms=[nsl]", "seeds=[0,1]", "points=[cold]", "max_steps=3", *more))
    of_all = of("arms=[nsl]", "seeds=[0,1]", "max_steps=3")
    for word, sentence in (
        ("seeds=[1,2]", r"seeds was \[0, 1\] in .* and is \[1, 2\]; it may grow"),
        ("max_steps=4", "max_steps was 3 in .* and is 4; its runs were made with it"),
        ("cold_steps=4", "cold_steps was None"),
        ("beta=0.5", "beta was 0.0 .* and is 0.5"),
    ):
        with pytest.raises(UserError, match=sentence):
            require_same(tmp_path, of_all, of("arms=[nsl]", "seeds=[0,1]", "max_steps=3", word))


@pytest.mark.parametrize("text", ["", "[1]", "a: [1", "arms: [nsl]", "\xff"])
def test_a_file_that_says_nothing_of_an_experiment_is_somebody_elses(tmp_path, text):
    (tmp_path / "experiment.yaml").write_bytes(text.encode("latin-1"))
    assert settings_in(tmp_path / "experiment.yaml") is None


def test_what_acted_nowhere_may_be_said_when_a_point_comes_that_it_is_of(tmp_path):
    def of(*words):
        own, runs = split(["recipe=paper", "model.name=x", "data.path=y", *words])
        return settings(parse(ExperimentConfig, own, "x"), parse(TrainConfig, runs, "x"))

    context, grpo, cold = of("points=[context]"), of("points=[grpo]"), of("points=[context,cold]")
    more = ["cold_steps=3", "harvest_size=4", "warm_start.batch_size=2", "max_steps=5", "learning_rate=1e-3"]
    require_same(tmp_path, context, of(*more, "benchmarks=[shapes]", "benchmark_size=2"))
    require_same(tmp_path, cold, of("max_steps=5"))
    for was, words, sentence in (
        (cold, ["cold_steps=3"], "cold_steps was None"),
        (grpo, ["points=[context,grpo]", "max_steps=5"], "max_steps was 1000"),
        (grpo, ["points=[cold,grpo]"], "GRPO began there without a cold start: name another folder"),
        (context, ["temperature=0.5"], "temperature was 1.0"),
        (of("benchmarks=[shapes]"), ["benchmarks=[shapes]", "benchmark_size=3"], "benchmark_size was None"),
    ):
        with pytest.raises(UserError, match=sentence):
            require_same(tmp_path, was, of(*words))


def test_arms_share_the_reading_of_their_seed(tmp_path):
    config = ExperimentConfig(arms=["answer", "any"], seeds=[0, 3], cold_steps=7)
    plan = OfTheSmallModel(config, parse(TrainConfig, ["max_steps=5", "beta=0.1", "train=[vision]"], "x"), tmp_path, 1)
    parts = {job.name: job for job in plan.all_jobs()}
    assert list(parts) == [f"{name}-{s}" for s in (0, 3) for name in ("shared/reading", "any/seed", "answer/seed")]
    assert parts["any/seed-3"].after == ("shared/reading-3",) and not parts["shared/reading-3"].after
    assert not (tmp_path / "any").exists()  # its keys are written when it begins
    ((_, shared),), ((_, run),) = parts["shared/reading-3"].keys, parts["answer/seed-3"].keys
    file = tmp_path / "run.yaml"
    file.write_text(run)
    one = parse(TrainConfig, ["--config", str(file)], "x")
    assert (one.prompt.mode, one.seed, one.warm_start.steps, one.max_steps, one.beta) == ("answer", 3, 7, 5, 0.1)
    assert one.model.name == str(tmp_path / "shared/reading-3") and one.threads == 1
    assert one.warm_start.optimizer == "muon" and one.warm_start.reading_steps == 0
    file.write_text(shared)
    reading = parse(TrainConfig, ["--config", str(file)], "x")
    (stage,) = reading.stages
    assert stage["readings"] and stage["steps"] == 250 and reading.train == one.train == ["vision"]
    learned = OfTheSmallModel(ExperimentConfig(arms=["answer", "nsl"]), parse(TrainConfig, [], "x"), tmp_path)
    jobs = {job.name: job for job in learned.jobs(0)}
    for name, ends in (("answer", (300, None)), ("nsl", (800, "learned/worst >= 0.9"))):
        file.write_text(jobs[f"{name}/seed-0"].keys[0][1])  # programs are shown until they are known
        warm = parse(TrainConfig, ["--config", str(file)], "x").warm_start
        assert (warm.steps, warm.until) == ends
    alone = OfTheSmallModel(config, parse(TrainConfig, ["warm_start.reading_steps=0"], "x"), tmp_path)
    assert [job.name for job in alone.jobs(0)] == ["any/seed-0", "answer/seed-0"] and not next(alone.jobs(0)).after


# -- what it writes ----------------------------------------------------------------------------------------------------


def completions(rng, right, tokens, seed, problems=30, arm="nsl"):
    return [
        {
            "problem_id": f"test-{i}", "category": ("area", "bars")[i % 2], "question": f"{seed} {i}?", "answer": "1",
            "options": None, "sample": s, "completion": f"<nsl>{i}+{s}</nsl>", "program": f"{i}+{s}", "language": arm,
            "has_code": True, "status": "ok", "no_error": True, "value_text": "1", "correct": rng.random() < right,
            "reason": "", "tokens": tokens + s, "tokens_prose": 0, "tokens_program": tokens - 2, "tokens_answer": 0,
            "tokens_delimiters": 2, "prompt_tokens": 30, "n_images": 1, "image_width": 64.0, "image_height": 48.0,
        }
        for i in range(problems)
        for s in (-1, 0, 1, 2, 3)
    ]  # fmt: skip


@pytest.fixture
def written(tmp_path):
    """The folder of an experiment of two arms and two seeds, with a step's seconds, and its plan."""
    config = ExperimentConfig(arms=["sympy", "nsl"], seeds=[0, 1], folder=str(tmp_path / "x"))
    plan = OfTheSmallModel(config, TrainConfig(), config.place)
    (config.place / "shared/reading-0").mkdir(parents=True)
    (config.place / "shared/reading-1").mkdir()
    (config.place / "experiment.yaml").write_text("{}")
    rng = random.Random(0)
    for cell in plan.cells():
        for seed, file in enumerate(cell.files):
            file.parents[1].mkdir(parents=True, exist_ok=True)
            rows = completions(rng, 0.5 + 0.4 * (cell.point == "GRPO"), 40 if cell.arm == "sympy" else 14, seed)
            write_parquet(file, rows)
            steps = [{"phase": "warm_start", "timing_s/step": 2.0}, {"phase": "grpo", "timing_s/step": 3.0 + seed,
                                                                     "timing_s/rollout": 1.0}]  # fmt: skip
            (file.parents[1] / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in steps))
    for home in (config.place / "shared").iterdir():
        (home / "metrics.jsonl").write_text(json.dumps({"phase": "reading", "timing_s/step": 5.0}) + "\n")
        write_parquet(home / "eval" / "final.parquet", completions(rng, 0, 4, 9))
    return config, plan


def test_the_table_the_pairs_and_the_page(written, capsys):
    config, plan = written
    results.write_all(config, plan, lambda text: len(text))
    folder, out = config.place, capsys.readouterr().out
    rows = json.loads((folder / "table.json").read_text())
    whole = {(row["arm"], row["point"]): row for row in rows if row["category"] == "All"}
    assert list(whole) == [(arm, point) for arm in ("sympy", "nsl") for point in ("cold start", "GRPO")]
    row = whole["nsl", "GRPO"]
    assert (row["count"], row["seeds"], row["seconds"], row["sampling_s"]) == (30, 2, 5 + 2 + 3.5, 1)
    assert whole["nsl", "cold start"]["seconds"] == 7 and row["output_tokens"][0] == 14 + 1.5
    assert row["counted"][0] == pytest.approx(sum(len(f"{i}+0") for i in range(30)) / 30)
    assert 0.8 < row["accuracy"] < row["pass"]["4"] and row["ci95"][0] < row["accuracy"] < row["ci95"][1]
    assert len([r for r in rows if r["category"] == "area"]) == 4
    text = (folder / "table.md").read_text()
    assert "| nsl | GRPO | 30 × 2 | 1 | 64 | 48 | 100.0 |" in text and "| Arm | Point | area % | bars % |" in text
    assert "| Arm | median % | worst % |" in text and "Counted tokens" in text and "60 problems over 2 seeds" in text
    (pair,) = [p for p in json.loads((folder / "paired.json").read_text()) if p["point"] == "GRPO"]
    assert (pair["arm"], pair["against"], pair["accuracy"]["problems"]) == ("nsl", "sympy", 60)
    assert pair["output tokens"]["value"] == pytest.approx(15.5 / 41.5, abs=0.02)
    assert pair["counted tokens"]["value"] == pytest.approx(1, abs=0.01)
    page = folder / "view.html"
    assert page.exists() and str(page) in out and "nsl" in out
    parts, _ = collect([folder])  # what nsrl view shows of it: not what arms were made from
    assert {(part.arm, part.point, part.seed) for part in parts} == {
        (arm, point, seed) for arm in ("nsl", "sympy") for point in ("before", "after") for seed in (0, 1)
    }
    results.write_all(config, plan)
    assert "Counted" not in (folder / "table.md").read_text()


def test_an_arm_in_its_context_is_a_point_of_the_arm(written):
    config, _ = written
    (config.place / "nsl/context-0").mkdir()
    write_parquet(config.place / "nsl/context-0/eval/warm_start.parquet", completions(random.Random(1), 0.1, 50, 0))
    parts, _ = collect([config.place])
    assert [part.point for part in parts if (part.arm, part.seed) == ("nsl", 0)] == ["context", "before", "after"]


def test_arms_are_compared_on_the_problems_that_all_could_be_shown():
    rng = random.Random(2)
    rows = [completions(rng, 0.5, 9, 0, 4) for _ in range(2)]  # of a data set: every seed has the same problems
    found = [
        results.Found(Cell("nsl", "GRPO", ()), rows),
        results.Found(Cell("nsl", "context", ()), [[r for r in rows[0] if r["problem_id"] != "test-2"]]),
    ]
    kept, left_out = results.common(found)
    assert left_out == 2 and {r["problem_id"] for r in kept[0].seeds[1]} == {"test-0", "test-1", "test-3"}
    assert len(kept[0].seeds[0]) == len(kept[1].seeds[0]) == 15


def test_the_interval_of_an_arm_is_that_of_a_plain_bootstrap():
    rng = random.Random(3)
    seeds = [completions(rng, 0.6 + 0.1 * seed, 9, seed) for seed in range(3)]
    row = arm_row(seeds)
    means = [
        [sum(r["correct"] for r in rows if r["problem_id"] == f"test-{i}" and r["sample"] >= 0) / 4 for i in range(30)]
        for rows in seeds
    ]
    assert row["accuracy"] == pytest.approx(sum(map(sum, means)) / 90)
    draws = []
    for _ in range(4000):
        chosen = [rng.choices(rng.choice(means), k=30) for _ in range(3)]
        draws.append(sum(map(sum, chosen)) / 90)
    draws.sort()
    assert row["ci95"] == pytest.approx([draws[100], draws[3900]], abs=0.015)
    assert row["pass"][1] == pytest.approx(row["accuracy"]) and row["greedy_accuracy"] == pytest.approx(
        sum(r["correct"] for rows in seeds for r in rows if r["sample"] < 0) / 90
    )


def test_tokens_are_counted_in_the_tokenizer_that_is_given(tmp_path, shared_data):
    ranks = tmp_path / "own.tiktoken"
    tokens = [*(bytes([b]) for b in range(256)), b"ea", b"an", b"mean", b"me"]  # "m e an", then "me an"
    ranks.write_bytes(b"".join(base64.b64encode(token) + b" %d\n" % i for i, token in enumerate(tokens)))
    count = counting.counter(str(ranks))
    assert (count("mean"), count("mean{3,51}"), count(""), counting.counter(None)) == (3, 9, 0, None)
    ranks.write_text("not ranks\n")
    with pytest.raises(UserError, match="tokenizer must have lines"):
        counting.counter(str(ranks))
    qwen = Path("/nowhere/qwen.tiktoken")
    spec = importlib.util.find_spec("dashscope")
    if spec is not None and spec.origin is not None:
        qwen = Path(spec.origin).parent / "resources" / "qwen.tiktoken"
    if not qwen.is_file():
        pytest.skip("needs the ranks that the Python package dashscope brings")
    count = counting.counter(str(qwen))
    recorded = json.loads((shared_data / "token_problems.json").read_text())["problems"]
    assert all(
        count(problem[arm]) == n for problem in recorded for arm, n in problem["tokens"].items() if arm in problem
    )


def test_the_worst_of_the_runs_is_told():
    def run(bars, area, greedy):
        """Records of which so many of ten are right."""
        rows = completions(random.Random(0), 1, 9, 0, 20)
        for r in rows:
            most = {"bars": bars, "area": area}[r["category"]] if r["sample"] >= 0 else greedy
            r["correct"] = int(r["problem_id"][5:]) // 2 < most
        return rows

    found = over_runs([run(9, 9, 9), run(8, 8, 10), run(6, 6, 6)], [run(10, 10, 10), run(4, 10, 9), run(9, 9, 6)])
    assert (found["median"], found["worst"], found["worst_run"]) == pytest.approx((0.9, 0.7, 1))
    assert found["greedy"] == pytest.approx((-0.1, 1)) and found["family"][1:] == ("bars", 1)
    assert found["family"][0] == pytest.approx(-0.4)
    assert run_lines({"nsl": found}, [5, 6, 7])[1] == [
        "nsl", "90.0", "70.0 (seed 6)", "-10.0 (seed 6)", "bars -40.0 (seed 6)"
    ]  # fmt: skip
    assert over_runs([[]], [run(1, 1, 1)]) is None


# -- whole ----------------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_killed_and_begun_again_is_the_same_table_and_may_grow(tmp_path):
    small = ["cold_steps=2", "max_steps=3", "data.eval_size=8", "warm_start.reading_steps=2", "prompts_per_step=2",
             "num_generations=2", "warm_start.batch_size=2", "save_steps=1", "max_completion_length=12"]  # fmt: skip

    def begin(folder, *words):
        command = [sys.executable, "-m", "nsrl.experiment", f"folder={tmp_path / folder}", *small, *words]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def table(folder, *words):
        out, _ = (process := begin(folder, *words)).communicate()
        assert process.returncode == 0, out
        rows = json.loads((tmp_path / folder / "table.json").read_text())
        return [{k: v for k, v in row.items() if k not in ("seconds", "sampling_s")} for row in rows]

    whole = table("a", "arms=[nsl]", "seeds=[0]")
    process = begin("b", "arms=[nsl]", "seeds=[0]")
    while not list((tmp_path / "b/nsl/seed-0").glob("checkpoint-1")):
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.communicate()
    assert not (tmp_path / "b/nsl/seed-0/summary.json").exists()
    assert table("b", "arms=[nsl]", "seeds=[0]") == whole
    assert "resumed from" in (tmp_path / "b/nsl/seed-0.log").read_text()
    assert table("b", "arms=[nsl]", "seeds=[0]") == whole
    assert table("c", "arms=[nsl]", "seeds=[0]", "points=[cold]") == [r for r in whole if r["point"] == "cold start"]
    assert table("c", "arms=[nsl]", "seeds=[0]") == whole  # what was cold goes on
    more = table("b", "arms=[nsl,cot]", "seeds=[0]", "against=[nsl]")
    assert [row for row in more if row["arm"] == "nsl"] == whole and (tmp_path / "b/cot/seed-0/summary.json").exists()
    assert json.loads((tmp_path / "b/paired.json").read_text())[-1]["against"] == "nsl"
