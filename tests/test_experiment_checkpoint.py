"""The paper's experiment on a checkpoint of strangers: transformers' own Qwen3-VL with random weights, a BPE tokenizer
and rows in ViRL39K's shape, from in-context arms through harvest, cold start and GRPO to table and page."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import mean

import pyarrow
import pytest
import yaml
from PIL import Image
from pyarrow import parquet
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from nsrl import experiment, train
from nsrl.config import EvalConfig, ExperimentConfig, HarvestConfig, TrainConfig, parse
from nsrl.data.chat import Chat, examples_text
from nsrl.data.modes import MODES
from nsrl.engines.languages import LANGUAGES
from nsrl.errors import UserError
from nsrl.experiments import kept, lessons
from nsrl.experiments.checkpoint import OfACheckpoint
from nsrl.models import small
from nsrl.models.registry import family_class
from nsrl.report.records import collect
from nsrl.trainer import harvest
from nsrl.types import ImageRef, Problem

# What the checkpoint says at first, whatever it is asked: no SymPy, and no nsl, which it has never seen.
SAYS = ("\\boxed{4}", "It is four: \\boxed{4}", "<wolfram>Plus[2,2]</wolfram>")
ROWS = 800  # of which 8 are held out
CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
           "<|video_pad|>")  # fmt: skip
SHORT = ["max_completion_length=24", "data.max_prompt_length=1200", "eval_samples=2", "prompts_per_step=3",
         "num_generations=4", "max_steps=4", "engine.workers=1", "save_steps=2", "lora.r=8", "rollout=native",
         "warm_start.batch_size=8", "warm_start.learning_rate=0.02", "model.gradient_checkpointing=false"]  # fmt: skip
FEW = ["harvest_size=12", "harvest_samples=4", "cold_steps=40", "seeds=[0]"]


def context(mode):
    return Chat(mode, examples=examples_text(mode) if mode in LANGUAGES else None)


def checkpoint(folder, corpus):
    """Weights, tokenizer and picture processor as transformers writes them."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(small.QWEN_SPLIT), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])  # fmt: skip
    inner.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=1000, special_tokens=list(CONTROL), initial_alphabet=alphabet,
                                  show_progress=False)  # fmt: skip
    inner.train_from_iterator(corpus, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|im_end|>", pad_token="<|endoftext|>",
                                        extra_special_tokens=list(CONTROL[1:]))  # fmt: skip
    family = family_class("qwen3_vl")
    tokenizer.add_tokens(["<tool_call>", "</tool_call>"])  # text, as in Qwen's
    tokenizer.chat_template = small.CHAT_TEMPLATE.replace("PICTURE", family.small_picture)
    model = family.model_class()._from_config(family.small_config(tokenizer, len(tokenizer)))
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    for part in (model, tokenizer, family.small_processor()):
        part.save_pretrained(folder)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """(rows in ViRL39K's shape, a random checkpoint, the same after it was taught what `SAYS` says)."""
    home = tmp_path_factory.mktemp("world")
    data = home / "ViRL39K"
    (data / "images").mkdir(parents=True)
    for i in range(ROWS):
        Image.new("RGB", (32, 32), (i % 256, 9 + i // 256, 9)).save(data / "images" / f"{i}.png")
    table = {
        "qid": [f"q{i}" for i in range(ROWS)],
        "question": [f"<image>\nHow many sides has shape {i % 7}?" for i in range(ROWS)],
        "answer": [f"\\boxed{{{7 if i % 5 == 0 else 4}}}" for i in range(ROWS)],
        "image": [[f"images/{i}.png"] for i in range(ROWS)],
        "category": [("Charts", "Geometry")[i % 2] for i in range(ROWS)],
        "source": ["made"] * ROWS,
    }  # fmt: skip
    parquet.write_table(pyarrow.table(table), data / "39Krelease.parquet")

    rows, corpus = [], [*SAYS] * 20
    Image.new("RGB", (32, 32), (9, 9, 100)).save(home / "grey.png")
    for mode in MODES:
        for said in SAYS:  # whatever it is asked: one or the other by chance
            system, user = context(mode).messages(Problem("", "How many sides has shape 3?", "4"))
            corpus += [piece["text"] for message in (system, user) for piece in message["content"]]
            user["content"].insert(0, {"type": "image", "image": "grey.png"})
            turns = [system, user, {"role": "assistant", "content": said}]
            rows.append({"id": f"school-{len(rows)}", "messages": turns, "answer": "4"})
    school = home / "school.jsonl"
    school.write_text("".join(json.dumps(row) + "\n" for row in rows))
    checkpoint(home / "random", corpus)
    run = home / "run"
    assert train.main([
        f"model.name={home / 'random'}", f"output_dir={run}", f"demonstrations.path={school}", "lora.enabled=false",
        "warm_start.steps=50", "warm_start.batch_size=9", "warm_start.learning_rate=3e-3", "warm_start.optimizer=muon",
        "max_steps=0", "data.eval_size=2", "eval_samples=1", "max_completion_length=24", "preflight=false",
        "engine.workers=1", "threads=1",
    ]) == 0  # fmt: skip
    of_ours = shutil.ignore_patterns("trainer_state*", "config.yaml", "nsrl.json", "README.md")
    shutil.copytree((run / "latest").resolve(), home / "taught", ignore=of_ours)
    return data, home / "random", home / "taught"


def planned(folder, *words, arms=("nsl", "sympy"), seeds=(0, 1), points=("context", "cold", "grpo"), benchmarks=()):
    own = [f"arms={list(arms)}", f"seeds={list(seeds)}", f"points={list(points)}", f"benchmarks={list(benchmarks)}"]
    mine, runs = experiment.split([*own, f"folder={folder}", "recipe=paper", "model.name=their/own", *words])
    config = parse(ExperimentConfig, [word.replace("'", "") for word in mine], "test")
    plan = OfACheckpoint(config, parse(TrainConfig, runs, "test"), config.place, 1)
    plan.require_sound()
    return plan


def written(plan, name, kind):
    """The configuration of a job, from the files and words that it is begun with."""
    (job,) = [job for job in plan.all_jobs() if job.name == name]
    for file, text in job.keys:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return parse(kind, list(job.words[1:]), "test")


def test_every_part_has_the_keys_that_act_in_it_and_seeds_share_what_does_not_depend_on_them(tmp_path):
    words = ["max_completion_length=50", "lora.r=3", "warm_start.batch_size=5", "data.eval_size=9", "temperature=0.7",
             "harvest_size=7", "max_steps=6", "learning_rate=1e-3", "prompt.images=none", "benchmarks=[shapes]",
             "prompt.delimiters=tags",
             "eval_samples=3", "engine.workers=3", "cold_steps=11", "rollout=native"]  # fmt: skip
    plan = planned(tmp_path, *words)
    jobs = {job.name: job for job in plan.all_jobs()}
    assert sorted(name for name in jobs if name.startswith(("context", "harvest", "lessons"))) == [
        "context/nsl-0", "context/sympy-0", "harvest/nsl-0", "harvest/sympy-0", "harvest/wolfram-0", "lessons/nsl-0",
        "lessons/sympy-0",
    ]  # fmt: skip
    assert [name for name in jobs if "/nsl-" in name and not name.startswith(("context", "harvest", "lessons"))] == [
        "shapes/context/nsl-0", "cold/nsl-0", "kept/nsl-0", "shapes/cold/nsl-0", "grpo/nsl-0", "shapes/grpo/nsl-0",
        "cold/nsl-1", "kept/nsl-1", "shapes/cold/nsl-1", "grpo/nsl-1", "shapes/grpo/nsl-1",
    ]  # fmt: skip
    assert jobs["lessons/nsl-0"].after == ("harvest/nsl-0", "harvest/wolfram-0", "harvest/sympy-0")
    asked = written(plan, "context/nsl-0", TrainConfig)
    assert (asked.prompt.mode, asked.prompt.examples, asked.prompt.images) == ("nsl", "nsl", "none")
    assert (asked.max_steps, asked.warm_start.steps, asked.data.eval_size, asked.lora.r) == (0, 0, 9, 3)
    taken = written(plan, "harvest/wolfram-0", HarvestConfig)
    of = parse(TrainConfig, ["--config", taken.run], "test")
    assert (of.prompt.mode, of.max_completion_length, of.temperature, of.seed) == ("wolfram", 50, 0.7, 0)
    assert (taken.size, taken.samples, taken.translate, taken.allow_empty) == (7, 8, True, True)
    told = json.loads(dict(jobs["lessons/nsl-0"].keys)[Path(jobs["lessons/nsl-0"].words[1])])
    assert told["taught"]["warm_start"] == {"batch_size": 5, "steps": 11, "learning_rate": 2e-4} and told[
        "languages"
    ] == ["nsl"]
    (tmp_path / "nsl").mkdir()
    (tmp_path / "nsl" / "lessons-0.yaml").write_text(yaml.safe_dump(told["taught"]))
    runs = [written(plan, f"{kind}/nsl-{seed}", TrainConfig) for kind in ("cold", "grpo") for seed in (0, 1)]
    assert [(run.seed, run.max_steps, run.warm_start.steps) for run in runs] == [
        (0, 0, 11), (1, 0, 11), (0, 6, 11), (1, 6, 11),
    ]  # fmt: skip
    assert {(run.prompt.mode, run.prompt.examples) for run in runs} == {("nsl", None)}
    assert {run.demonstrations.path for run in runs} == {str(tmp_path / "nsl" / "lessons-0.parquet")}
    measured = written(plan, "shapes/grpo/sympy-1", EvalConfig)
    assert (measured.model, measured.samples, measured.temperature) == (str(tmp_path / "sympy" / "seed-1"), 3, 0.7)
    assert (measured.engine.workers, measured.data, measured.seed) == (3, "shapes", 2)
    in_context = written(plan, "shapes/context/sympy-0", EvalConfig)
    assert (in_context.model, in_context.prompt.mode, in_context.prompt.examples) == ("their/own", "sympy", "sympy")
    assert [len(cell.files) for cell in plan.cells()] == [1, 2, 2] * 4

    mixed = planned(tmp_path, *words, arms=["cot", "nsl"])  # what acts in one arm is not said in another
    asked = {arm: written(mixed, f"shapes/context/{arm}-0", EvalConfig).given for arm in ("cot", "nsl")}
    assert "prompt.delimiters" in asked["nsl"] and "prompt.delimiters" not in asked["cot"]
    assert "prompt.delimiters" not in written(mixed, "context/cot-0", TrainConfig).given

    alone = planned(tmp_path, points=["context"], arms=MODES, seeds=[0, 1])
    assert [job.name for job in alone.all_jobs()] == [f"context/{arm}-0" for arm in MODES]
    untaught = planned(tmp_path, points=["grpo"])
    assert {job.name for job in untaught.all_jobs()} == {f"grpo/{a}-{s}" for a in ("nsl", "sympy") for s in (0, 1)}
    assert written(untaught, "grpo/nsl-1", TrainConfig).warm_start.steps == 0


@pytest.mark.parametrize(
    ("words", "points", "sentence"),
    [
        (["warm_start.batch_size=5"], ["context", "grpo"], "warm_start.batch_size cannot act here, because points has"),
        (["max_steps=5"], ["cold"], "max_steps cannot act here, because points has no grpo"),
        (["harvest_size=5"], ["grpo"], "harvest_size cannot act here, because points has no cold"),
        (["prompt.examples=nsl"], ["context"], "prompt.examples must not be said of the runs"),
        (["model.name=/nope"], ["context"], "^model must be `small`, a Hub id or a folder; got '/nope'"),
        (["demonstrations.path=x"], ["cold"], "demonstrations.path must not be said of the runs"),
        (["vllm.eager=true"], ["grpo"], "vllm.eager acts in no run of this experiment, because rollout is native"),
        (["prompt.prefill=open"], ["context"], "prompt.prefill=open needs a prompt.mode of one language"),
        (["prompt.delimiters=tags", "arms=[cot]"], ["context"], "prompt.delimiters acts in no run .* for no program"),
        (["benchmark_size=5"], ["context"], "benchmark_size cannot act here"),
        (["benchmarks=[hf:/no/such/place]"], ["context"], "'/no/such/place' of .* is not there"),
        (["benchmarks=[mathvision:no/such/place]"], ["context"], "'no/such/place' of .* is not there"),
        (["benchmarks=[nosuch:place]"], ["context"], "'nosuch:place' of .* is not there"),
        (["benchmarks=[shapes]", "model.min_pixels=4096"], ["context"], "model.min_pixels must not be said with"),
        (["benchmarks=[shapes,shapes]"], ["context"], "benchmarks must be at least one, each once"),
        (["max_steps=0"], ["grpo"], "max_steps must be at least 1"),
        (["warm_start.languages={nsl: 1}"], ["cold"], "warm_start.languages acts in no run of this experiment"),
    ],
)  # fmt: skip
def test_a_key_acts_or_is_refused(tmp_path, words, points, sentence):
    with pytest.raises(UserError, match=sentence) as error:
        planned(tmp_path, *words, points=points)
    assert "\n" not in str(error.value) and not list(tmp_path.iterdir())


def row(problem, language, tokens, translated=""):
    return {"problem_id": problem, "question": "?", "options": [], "answer": "4", "category": "", "completion": "c",
            "language": language, "program": f"{problem}{tokens}", "value_text": "4", "tokens": tokens, "samples": 4,
            "pass_rate": 0.5, "pass_rate_language": 1.0, "translated_from": translated}  # fmt: skip


def test_lessons_are_the_shortest_of_each_problem_and_none_are_no_cold_start(tmp_path):
    picture = ImageRef("grey", lambda: Image.new("RGB", (8, 8), (9, 9, 9)))
    problems = [Problem(name, "?", "4", (picture,)) for name in "ab"]
    made = {"command": "harvest", "sampled": 8, "right": 3}
    harvests = [tmp_path / f"{number}.parquet" for number in range(3)]
    harvest.write(
        harvests[0], [row("a", "wolfram", 9), row("a", "nsl", 5, "wolfram"), row("b", "nsl", 4)], problems, made
    )
    harvest.write(harvests[1], [row("b", "nsl", 3, "sympy"), row("a", "nsl", 5, "sympy")], problems, made)
    harvest.write(harvests[2], [], problems, made | {"right": 0})

    def told(files, languages):
        names = {"rows": str(tmp_path / "l.parquet"), "keys": str(tmp_path / "l.yaml")}
        plan = {"harvests": list(map(str, files)), "languages": languages, "taught": {"a": 1}, "untaught": {"a": 0}}
        (tmp_path / "plan.json").write_text(json.dumps(plan | names))
        (tmp_path / "l.parquet").unlink(missing_ok=True)
        assert lessons.main([str(tmp_path / "plan.json"), str(tmp_path / "l.json")]) == 0
        return json.loads((tmp_path / "l.json").read_text()), yaml.safe_load((tmp_path / "l.yaml").read_text())["a"]

    counted, taught = told(harvests, ["nsl"])
    rows = parquet.read_table(tmp_path / "l.parquet").to_pylist()
    assert [(r["program"], r["translated_from"]) for r in rows] == [("a5", "wolfram"), ("b3", "sympy")]
    assert all(len(r["images"]) == 1 and r["images"][0]["bytes"][:4] == b"\x89PNG" for r in rows)
    assert counted == {"lessons": 2, "problems": 2, "translated": 2, "sampled": 24, "right": 6} and taught == 1
    assert told(harvests[2:], ["nsl"])[1] == told(harvests, ["sympy"])[1] == 0
    assert not (tmp_path / "l.parquet").exists()

    run, place, asked = tmp_path / "run", tmp_path / "cold-0", tmp_path / "asked.yaml"
    asked.write_text("model: theirs\n")
    run.mkdir()
    assert kept.main([str(run), str(place), str(asked)]) == 0
    assert (tmp_path / "cold-0.yaml").read_text() == "model: theirs\n" and not place.exists()
    (run / "checkpoint-warm-start-3").mkdir()
    for name in ("config.json", "trainer_state.pt"):
        (run / "checkpoint-warm-start-3" / name).write_text(name)
    (run / "latest").symlink_to("checkpoint-warm-start-3")
    for _ in range(2):
        assert kept.main([str(run), str(place), str(asked)]) == 0
    shutil.rmtree(run)
    assert {f.name: f.read_text() for f in place.iterdir()} == {"config.json": "config.json"}
    assert yaml.safe_load((tmp_path / "cold-0.yaml").read_text()) == {"model": str(place)}


def begun(folder, data, model, *words):
    """The command, in a process of its own."""
    command = [sys.executable, "-m", "nsrl.experiment", "recipe=paper", f"model.name={model}", f"data.path={data}",
               f"folder={folder}", *SHORT, *FEW, *words]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def ended(process):
    said = process.communicate()[0]
    assert process.returncode == 0, said
    return said


def records(folder, arm, place):
    return parquet.read_table(folder / arm / f"{place}.parquet").to_pylist()


@pytest.mark.long
def test_the_paper_on_a_checkpoint_of_strangers(world, tmp_path, shared_data):
    """Six arms from their context to GRPO, killed on the way and begun again; one arm alone, without a break."""
    data, _, model = world
    folder, other = tmp_path / "whole", tmp_path / "nsl-alone"
    first = begun(folder, data, model, f"arms={list(reversed(MODES))}".replace("'", ""))
    while first.poll() is None and not (folder / "nsl" / "seed-0" / "checkpoint-2").exists():
        time.sleep(0.05)
    assert first.poll() is None, first.communicate()[0]
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert not (folder / "table.md").exists()
    said = ended(begun(folder, data, model, f"arms={list(reversed(MODES))}".replace("'", "")))
    vision = shared_data / "mathvision_testmini"
    ended(begun(other, data, model, "arms=[nsl]", f"benchmarks=[shapes,mathvision:{vision}]", "benchmark_size=2"))

    points = {
        "context": "context-0/eval/warm_start",
        "cold start": "seed-0/eval/warm_start",
        "GRPO": "seed-0/eval/final",
    }
    of = {(arm, point): records(folder, arm, place) for arm in MODES for point, place in points.items()}
    for point, place in points.items():  # killed and begun again is as if it had not been
        assert records(other, "nsl", place) == of["nsl", point]
    ids = {name: sorted((r["problem_id"], r["sample"]) for r in rows) for name, rows in of.items()}
    assert len(of["nsl", "GRPO"]) == 8 * 3 and all(found == ids["nsl", "GRPO"] for found in ids.values())
    tokens = {name: rows[0]["prompt_tokens"] for name, rows in of.items()}
    for arm in MODES:  # the examples are in the context alone
        assert tokens[arm, "cold start"] == tokens[arm, "GRPO"]
        assert (tokens[arm, "context"] > tokens[arm, "GRPO"]) == (arm in LANGUAGES)

    lessons_of = {arm: folder / arm / "lessons-0.parquet" for arm in MODES}
    taught = {arm: parquet.read_table(file).to_pylist() for arm, file in lessons_of.items() if file.exists()}
    assert taught.keys() == set(MODES) - {"sympy"}
    assert {r["language"] for r in taught["wolfram"]} == {"wolfram"} and {r["language"] for r in taught["cot"]} == {
        "prose"
    }
    assert {(r["language"], r["translated_from"], r["completion"]) for r in taught["nsl"]} == {
        ("nsl", "wolfram", "<nsl>2+2</nsl>")
    }
    asked = parquet.read_table(folder / "harvests" / "nsl-0.parquet").to_pylist()
    assert "nsl" not in {r["language"] for r in asked if not r["translated_from"]}, "it has never seen nsl"
    held_out = {r["problem_id"] for r in of["nsl", "GRPO"]}
    assert not held_out & {r["problem_id"] for rows in taught.values() for r in rows}
    for arm in MODES:
        steps = [json.loads(line) for line in (folder / arm / "seed-0" / "metrics.jsonl").read_text().splitlines()]
        losses = [step["loss"] for step in steps if step["phase"] == "warm_start"]
        assert len(losses) == (40 if arm in taught else 0) and len(steps) - len(losses) == 4
        # One lesson of few may be learned late, so means of steps; what it could say already began low.
        assert arm not in taught or mean(losses[20:]) < 0.75 * mean(losses[:5])
        own = json.loads((folder / arm / "seed-0" / "latest" / "nsrl.json").read_text())
        assert own.get("prompt", {}).get("examples") is None
    share = {point: sum(r["language"] == "nsl" for r in of["nsl", point]) / 24 for point in points}
    assert share["context"] == 0 and share["cold start"] >= 1 / 3, "greedy answers are a third"

    table = {
        (r["arm"], r["point"]): r for r in json.loads((folder / "table.json").read_text()) if r["category"] == "All"
    }
    assert table.keys() == of.keys()
    for name, rows in of.items():
        sampled = [r for r in rows if r["sample"] >= 0]
        assert table[name]["accuracy"] == pytest.approx(sum(r["correct"] for r in sampled) / len(sampled))
        assert table[name]["count"] == 8 and table[name]["image_width"] == 32
    text = (folder / "table.md").read_text()
    assert "sympy: no lessons, so no cold start" in text and "GRPO begins with the checkpoint itself" in text
    assert f"nsl: {len(taught['nsl'])} lessons, {len(taught['nsl'])} of them translations" in text
    assert "view.html" in said and (folder / "view.html").stat().st_size > 10_000
    shown = {(part.arm, part.point) for part in collect([folder])[0]}
    assert {(arm, point) for arm in MODES for point in ("context", "before", "after")} <= shown

    measured = {name: [file.stem for file in sorted((other / "nsl").glob(f"on-{name}/*.parquet"))]
                for name in ("shapes", "mathvision-mathvision_testmini")}  # fmt: skip
    assert set(map(tuple, measured.values())) == {("cold-0", "context-0", "grpo-0")}
    context_prompt, later = (records(other, "nsl", f"on-shapes/{p}-0")[0]["prompt_tokens"] for p in ("context", "grpo"))
    assert context_prompt > later
    benchmarks = {row["benchmark"] for row in json.loads((other / "table.json").read_text())}
    assert benchmarks == {"", *measured}
